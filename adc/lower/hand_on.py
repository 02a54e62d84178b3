"""What is added to the next element is handed on to the next iteration.

In: loops in their last order.  Out: the same, where an innermost loop that adds to an element and to its neighbours adds to each element once.

    for i in range(n):                      carry = 0
        g[i] += a                           for i in range(n):
        g[i + 1] += b                →          g[i] += a + carry
                                                carry = b
                                            if n > 0: g[n] += carry

An iteration that reads what the one before has just written waits for it, and no vector holds both; a number that is handed on LLVM takes from the vector
before ("first-order recurrence").  `gather` does more, since its loops may be cut anywhere, but needs to know how long they are when the kernel begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from adc.ir import Dim, Sym, size, symbols
from adc.lower.bounds import BOOL
from adc.lower.nodes import Branch, Buf, Expr, Index, Item, Loop, Pool, Program, Store, bodies, items

FARTHEST = 3
"""How far away a neighbour may be: what is handed on needs a variable for each step."""
FEW = 16
"""A loop of fewer turns, if that is known, is written out by LLVM, which then sees all of its additions."""


def hand_on(program: Program) -> None:
    def visit(body: list[Item]) -> None:
        for it in list(body):
            if isinstance(it, Loop) and not any(isinstance(x, Loop) for x in items(it.body)):
                for family in _families(program.pool, it):
                    at = body.index(it)
                    before, after = _handed(program.pool, it, family)
                    body[at : at + 1] = [*before, it, *after]
            for b in bodies(it):
                visit(b)

    visit(program.body)


@dataclass
class Family:
    """Additions of a loop to one array: the stores, and how many turns later each would be at the place of the lowest."""

    steps: dict[int, list[Store]]
    lowest: Store

    @property
    def farthest(self) -> int:
        return max(self.steps)


def _families(pool: Pool, loop: Loop) -> list[Family]:
    if loop.shared or (isinstance(loop.count, int) and loop.count < FEW) or not all(isinstance(s, Store) for s in loop.body):
        return []
    sums: dict[Buf, list[Store]] = {}
    for s in loop.body:
        assert isinstance(s, Store)
        if s.mode == "sum" and s.buf.kind != "local" and s.buf.dtype.kind == "f":
            sums.setdefault(s.buf, []).append(s)
    uses = pool.accesses(loop)
    out = []
    for buf, stores in sums.items():
        if len(stores) > 1 and sum(a.buf is buf for a in uses) == len(stores) and len({s.dims for s in stores}) == 1:
            found = _family(pool, loop, stores)
            if found is not None:
                out.append(found)
    return out


def _family(pool: Pool, loop: Loop, stores: list[Store]) -> Family | None:
    later: dict[Sym, Dim] = {s: size(s) + 1 for s in _counting(pool, loop)}
    moving = _written(loop) - {pool.locals[s] for s in later if s in pool.locals}
    if any(b in moving for d in (loop.count, *(c for s in stores for c in s.coords)) for b in pool.dim_reads(d)):
        return None  # places that the loop itself decides upon
    for lowest in stores:
        place, steps = lowest.coords, {0: [s for s in stores if s.coords == lowest.coords]}
        for k in range(1, FARTHEST + 1):
            place = tuple(pool.subst_dim(c, later) for c in place)
            if found := [s for s in stores if s.coords == place]:
                steps[k] = found
        if len(steps) > 1 and place != lowest.coords and sum(map(len, steps.values())) == len(stores):
            return Family(steps, lowest)
    return None


def _counting(pool: Pool, loop: Loop) -> dict[Sym, Dim]:
    """The loop's variable, and those that count with it: each with where it starts."""
    found: dict[Sym, Dim] = {loop.var: 0}
    for s in loop.body:
        if isinstance(s, Store) and s.buf.sym is not None and isinstance(s.value, Index) and s.mode == "set":
            start = size(s.value.dim) - size(loop.var)
            if not any(x == loop.var or pool.locals.get(x) in _written(loop) for x in symbols(size(start))):
                found[s.buf.sym] = start
    return found


def _written(loop: Loop) -> set[Buf]:
    return {s.buf for s in loop.body if isinstance(s, Store)}


def _handed(pool: Pool, loop: Loop, family: Family) -> tuple[list[Item], list[Item]]:
    """What stands before the loop and behind it; the loop itself is changed."""
    buf, dims, far = family.lowest.buf, family.lowest.dims, family.farthest
    # a loop that counts down meets the highest element first
    first = family.steps[far][0].coords if loop.reverse else family.lowest.coords
    value: dict[int, Expr] = {}
    at = max(loop.body.index(s) for found in family.steps.values() for s in found)
    last = loop.body[at]
    for k, found in sorted(family.steps.items()):
        for s in found:
            part = _kept(pool, loop, s, last)
            turns = far - k if loop.reverse else k
            value[turns] = part if turns not in value else pool.apply("{0} + {1}", (value[turns], part), buf.dtype)
    carries = [pool.local("carry", buf.dtype) for _ in range(far)]
    loads = [pool.load(c, (), ()) for c in carries]
    new: list[Item] = []
    for k in range(far + 1):
        total = value.get(k)
        if k < far:
            total = loads[k] if total is None else pool.apply("{0} + {1}", (total, loads[k]), buf.dtype)
        assert total is not None
        new.append(Store(buf, dims, first, total, "sum", note=family.lowest.note) if k == 0 else Store(carries[k - 1], (), (), total))
    where = loop.body.index(last)
    gone = {s for found in family.steps.values() for s in found}
    loop.body[:] = [x for x in [*loop.body[: where + 1], *new, *loop.body[where + 1 :]] if x not in gone]
    behind: list[Item] = []
    for k in range(1, far + 1):
        turn: Dim = size(-k) if loop.reverse else size(loop.count) - 1 + k
        there: dict[Sym, Dim] = {s: size(start) + turn for s, start in _counting(pool, loop).items()}
        coords = tuple(pool.subst_dim(c, there) for c in first)
        behind.append(Store(buf, dims, coords, loads[k - 1], "sum"))
    zero = [Store(c, (), (), pool.const(0.0, buf.dtype)) for c in carries]
    if isinstance(loop.count, int):
        return [*zero], behind
    some = pool.apply("{0} > 0", (pool.index(loop.count),), BOOL)
    return [*zero], [Branch(some, behind, [])]


def _kept(pool: Pool, loop: Loop, store: Store, last: Item) -> Expr:
    """The value of a store, where what it is made of may change until the last one: in a variable."""
    between = loop.body[loop.body.index(store) : loop.body.index(last) + 1]
    if not pool.reads(store.value) & {x.buf for x in between if isinstance(x, Store)}:
        return store.value
    local = pool.local("part", store.buf.dtype)
    loop.body.insert(loop.body.index(store), Store(local, (), (), store.value))
    return pool.load(local, (), ())


__all__ = ["hand_on"]
