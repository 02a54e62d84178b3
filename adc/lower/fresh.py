"""Products that set: zeros that are written only so that a product can be added to them.

In: a program after `products`.  Out: the same; the first product into a buffer sets it, and its zeros are gone.

    c[:] = 0                                            run_product(…, keep=0, …, c)
    run_product(…, keep=1, …, c)                  →

    total[:] = 0                                        if turns == 0: total[:] = 0
    for turn: run_product(…, keep=1, …, total)    →     for turn: run_product(…, keep=min(1, turn), …, total)

The second form reaches through the loops around a product, also through the chunks of `share`: with one chunk the accumulators are
the totals themselves, so that the totals' own zeros are needed only where there are several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adc.ir import Dim, Sym, product, size, symbols
from adc.ir.dims import dim_min
from adc.lower.nodes import Branch, Buf, CallFn, Const, Expr, Index, Item, Loop, Pool, Program, Store, bodies
from adc.lower.products import COLUMNS, KEEP, OFFSET, PART, ROWS, STEP, TARGET


@dataclass
class Zeros:
    """A store of zeros and the loops around it, each with the list that it stands in."""

    path: list[tuple[list[Item], Item]]

    @property
    def loops(self) -> list[Loop]:
        return [it for _, it in self.path if isinstance(it, Loop)]

    @property
    def store(self) -> Store:
        last = self.path[-1][1]
        assert isinstance(last, Store)
        return last

    def remove(self) -> None:
        for body, it in reversed(self.path):
            if not isinstance(it, Loop) or not it.body:
                body.remove(it)

    def again(self, pool: Pool, when: Expr) -> Branch:
        """The same zeros in loops of their own, under a condition."""
        new = {x.var: Sym(x.var.hint) for x in self.loops}
        table: dict[Sym, Dim] = {v: size(s) for v, s in new.items()}
        s = self.store
        made: Item = Store(s.buf, s.dims, tuple(pool.subst_dim(c, table) for c in s.coords), s.value)
        for x in reversed(self.loops):
            made = Loop(new[x.var], x.count, [made])
        return Branch(when, [made], [])


@dataclass
class Around:
    """A loop around a product, and where it stands."""

    loop: Loop
    body: list[Item]


def fresh(program: Program) -> None:
    _visit(program, program.body, [])


def _visit(program: Program, body: list[Item], around: list[Around]) -> None:
    for it in list(body):
        if isinstance(it, CallFn) and it.name == PART:
            _settle(program, it, body, around)
        for inner in bodies(it):
            _visit(program, inner, [*around, Around(it, body)] if isinstance(it, Loop) else [])


def _settle(program: Program, call: CallFn, body: list[Item], around: list[Around]) -> None:
    """Let the first call of all set its target, where the zeros before it cover just that."""
    pool, args = program.pool, call.args
    buf = args[TARGET]
    assert isinstance(buf, Buf)
    rows, columns, start, step = (_dim(args[k]) for k in (ROWS, COLUMNS, OFFSET, STEP))
    covers = _merged([(step, rows), (1, columns)])
    touched = sum(a.buf is buf for a in pool.accesses(call))
    first: Dim = 0
    turns: list[Dim] = []
    it: Item = call
    while True:
        zeros = _before(pool, body, it, buf, start, covers)
        if zeros is not None:
            break
        if not around or sum(a.buf is buf for a in pool.accesses(around[-1].loop)) != touched:
            break
        loop = around[-1].loop
        if loop.shared or any(loop.var in symbols(size(d)) for d in (rows, columns, start, step, *turns)):
            return
        first = size(first) + (size(loop.count) - 1 - size(loop.var) if loop.reverse else size(loop.var))
        turns.append(loop.count)
        it, body, around = loop, around[-1].body, around[:-1]
    if zeros is None:
        zeros = _of_chunks(program, it, body, around, buf, start, covers, turns)
        if zeros is None:
            return
    zeros.remove()
    if any(t == 0 if isinstance(t, int) else True for t in turns):
        none = pool.apply("{0} == 0", (pool.index(product(tuple(turns))),), np.dtype("?"))
        _insert(body, it, zeros.again(pool, none))
    call.args = (*args[:KEEP], pool.index(dim_min(1, first)), *args[KEEP + 1 :])


def _of_chunks(
    program: Program, it: Item, body: list[Item], around: list[Around], buf: Buf, start: Dim, covers: list[tuple[Dim, Dim]], turns: list[Dim]
) -> Zeros | None:
    """The zeros of a chunk's own accumulator; those of the total are put under a condition."""
    pool = program.pool
    if not turns or not around or not around[-1].loop.shared or buf not in around[-1].loop.alone:
        return None
    chunks, outer = around[-1].loop, around[-1].body
    several = dim_min(1, size(chunks.count) - 1)
    total = chunks.alone[buf]
    own = _before(pool, body, it, buf, start, [(s, size(several) * c) for s, c in covers] if len(covers) == 1 else [])
    first = _before(pool, outer, chunks, total, 0, covers)
    if own is None or first is None or len(own.loops) != 1:
        return None
    first.remove()
    many = pool.apply("{0} > 1", (pool.index(chunks.count),), np.dtype("?"))
    _insert(outer, chunks, first.again(pool, many))
    own.loops[0].count = covers[0][1]
    return own


def _insert(body: list[Item], here: Item, new: Branch) -> None:
    """Before `here`; together with what stands there under the same condition."""
    at = body.index(here)
    last = body[at - 1] if at else None
    if isinstance(last, Branch) and last.cond is new.cond and not last.orelse:
        last.then += new.then
    else:
        body.insert(at, new)


def _dim(e: Buf | Expr) -> Dim:
    assert isinstance(e, Index)
    return e.dim


def _merged(axes: list[tuple[Dim, Dim]]) -> list[tuple[Dim, Dim]]:
    """(step, count) of each axis, outermost first; axes that lie together are one."""
    out: list[tuple[Dim, Dim]] = []
    for step, count in axes:
        if out and out[-1][0] == size(step) * count:
            out[-1] = step, size(out[-1][1]) * count
        else:
            out.append((step, count))
    return out


def _before(pool: Pool, body: list[Item], here: Item, buf: Buf, start: Dim, covers: list[tuple[Dim, Dim]]) -> Zeros | None:
    """The zeros that the last access to `buf` before `here` writes, if they cover just these elements."""
    for it in reversed(body[: body.index(here)]):
        seen = sum(a.buf is buf for a in pool.accesses(it))
        if seen == 0:
            continue
        path: list[tuple[list[Item], Item]] = [(body, it)]
        while seen == 1 and isinstance(path[-1][1], Loop) and not path[-1][1].shared:
            inner = path[-1][1].body
            path.append((inner, next(x for x in inner if any(a.buf is buf for a in pool.accesses(x)))))
        last = path[-1][1]
        if seen != 1 or not isinstance(last, Store) or last.buf is not buf or last.mode != "set":
            return None
        if not isinstance(last.value, Const) or last.value.value != 0:
            return None
        found = Zeros(path)
        return found if _region(pool, found) == (start, covers) else None
    return None


def _region(pool: Pool, zeros: Zeros) -> tuple[Dim, list[tuple[Dim, Dim]]] | None:
    """Where it begins, and (step, count) of its axes."""
    flat: Dim = 0
    for d, c in zip(zeros.store.dims, zeros.store.coords, strict=True):
        flat = size(flat) * d + c
    names = [x.var for x in zeros.loops]
    steps = [size(pool.subst_dim(flat, {v: size(v) + 1})) - flat for v in names]
    counts = [x.count for x in zeros.loops]
    if any(v in symbols(size(d)) for d in (*steps, *counts) for v in names):
        return None
    return pool.subst_dim(flat, dict.fromkeys(names, 0)), _merged(list(zip(steps, counts, strict=True)))


__all__ = ["fresh"]
