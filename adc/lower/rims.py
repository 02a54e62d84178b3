"""The rim of a grid beside its inside: a row's first and last elements are done with the row, the first and last rows with the chunks beside them.

In: a program whose time loops have their states in the tape, and one pass backwards.  Out: the same, where loops over the rims of a
step, and the nest over its inside, are one loop over rows.

    for i: new[i + 1, 0] = u[i + 1, 0]                      for i:
    for i: new[i + 1, m - 1] = u[i + 1, m - 1]                  new[i + 1, 0] = u[i + 1, 0]
    for i:                                          ->          new[i + 1, m - 1] = u[i + 1, m - 1]
        for j: new[i + 1, j + 1] = step(u)                      for j: new[i + 1, j + 1] = step(u)

Alone a column is as many cache lines as it has elements, on one thread, while the others wait: a third of a step on a grid of
200 × 200.  Beside its row it is at hand, and is shared like it.  The first and last rows are rims of the whole nest: where `share` cuts it into chunks, the
worker that has the rows beside them in its cache does them too (5 % of Jacobi's gradient on a grid of 200 × 200).

    for j: new[0, j] = u[0, j]                              for chunk:                        # shared
    for j: new[n - 1, j] = u[n - 1, j]                          if chunk == 0: for j: new[0, j] = u[0, j]
    for i:                                          ->          for i of the chunk: …
        …                                                       if chunk == chunks - 1: for j: new[n - 1, j] = u[n - 1, j]
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from adc.ir import Dim, size, symbols
from adc.lower.bounds import BOOL, Bounds
from adc.lower.fuse import Fuser
from adc.lower.independent import counts
from adc.lower.nodes import Access, Branch, Buf, CallFn, Exit, Item, Loop, Pool, Program, Swap, bodies, depth, items


def rims_beside(program: Program) -> None:
    fuser = Fuser(program, counts(program.pool, program.body))

    def visit(body: list[Item], inside: bool) -> None:
        if inside:
            fuser.meet_all(body, _rim)
        for it in body:
            for inner in bodies(it):
                visit(inner, isinstance(it, Loop))

    visit(program.body, False)


def _rim(a: Item, b: Item) -> bool:
    """Is one of them a nest, and the other a part of its rim?"""
    assert isinstance(a, Loop) and isinstance(b, Loop)
    return a.nest and b.nest and depth(a) != depth(b)


@dataclass
class Ends:
    """Loops right before a nest over rows that do nothing but the first or the last row."""

    first: list[Loop] = field(default_factory=list)
    last: list[Loop] = field(default_factory=list)

    def move(self, pool: Pool, body: list[Item], chunks: Loop) -> None:
        """From the body into that of the loop over chunks, around its turns."""
        turns = max(k for k, x in enumerate(chunks.body) if isinstance(x, Loop))
        for at, chunk, loops in ((turns + 1, size(chunks.count) - 1, self.last), (turns, 0, self.first)):
            if loops:
                here = pool.apply("{0} == {1}", (pool.index(size(chunks.var)), pool.index(chunk)), BOOL)
                chunks.body.insert(at, Branch(here, [*loops], [], note=loops[0].note))
                for x in loops:
                    body.remove(x)


def ends(pool: Pool, body: list[Item], nest: Loop, everywhere: Counter[Buf]) -> Ends:
    """Those of `nest`, whose iterations need not wait for them."""
    found = Ends()
    for it in reversed(body[: body.index(nest)]):
        if not (isinstance(it, Loop) and not it.shared and depth(it) < depth(nest) and _moves(pool, it, everywhere)):
            break
        row = _row(pool, it, nest)
        mine, others = (found.first, found.last) if isinstance(row, int) else (found.last, found.first)
        # where there are several chunks there are several rows
        if row is None or not _never_meet(pool, it, nest) or not all(_never_meet(pool, it, x, size(nest.count) - 2) for x in others):
            break
        mine.insert(0, it)
    return found


def _moves(pool: Pool, rim: Loop, everywhere: Counter[Buf]) -> bool:
    """Does it leave nothing but elements of arrays?  It becomes part of a function of its own."""
    if any(isinstance(x, Exit | CallFn | Swap) or (isinstance(x, Loop) and x.product) for x in items([rim])):
        return False
    here = counts(pool, [rim])
    return all(here[a.buf] == everywhere[a.buf] for a in pool.accesses(rim) if a.writes and not a.buf.dims)


def _row(pool: Pool, rim: Loop, nest: Loop) -> Dim | None:
    """Which one the loop writes; None if several, or none that is in the grid."""
    own = {x.var for x in items([rim]) if isinstance(x, Loop)}
    axes = {(a.buf, k) for it in nest.body for a in pool.accesses(it) for k, c in enumerate(a.coords) if nest.var in symbols(size(c))}
    rows = {c for it in rim.body for a in pool.accesses(it) if a.writes for k, c in enumerate(a.coords) if (a.buf, k) in axes}
    row = rows.pop() if len(rows) == 1 else None
    return row if row is not None and own.isdisjoint(symbols(size(row))) else None


def _never_meet(pool: Pool, one: Loop, other: Loop, natural: Dim = 0) -> bool:
    """Does neither write what the other looks at or writes?  `natural`: what is known to be at least 0."""
    loops = [x for x in items([one, other]) if isinstance(x, Loop)]
    box = Bounds(pool, {x.var: (0, size(x.count) - 1) for x in loops})

    def apart(a: Access, b: Access) -> bool:
        if a.dims != b.dims or len(a.coords) != len(b.coords):
            return False
        return any(box.natural(size(x) - y - 1 - natural) or box.natural(size(y) - x - 1 - natural) for x, y in zip(a.coords, b.coords, strict=True))

    seen: dict[Buf, dict[Access, None]] = {}
    for a in pool.accesses(other):
        seen.setdefault(a.buf, {})[a] = None
    return all(apart(a, b) for a in pool.accesses(one) for b in seen.get(a.buf, ()) if a.writes or b.writes)


__all__ = ["Ends", "ends", "rims_beside"]
