"""Sums that are made apart only to be added to another: they are added where they belong.

In: a program before `lift`.  Out: the same, with the part and its zeros gone.

    p[:] = 0                                  w[k] += z[i] * x[i, k]   for all i
    p[k] += z[i] * x[i, k]   for all i   →
    w[:] += p
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from adc.ir import Sym, size
from adc.lower.independent import counts, independent
from adc.lower.nodes import Buf, Const, Item, Load, Loop, Pool, Program, Store, bodies
from adc.lower.rewrite import replace_buffers


def add_directly(program: Program) -> None:
    pool = program.pool
    _for_each_total(pool, program.body, counts(pool, program.body))
    everywhere = counts(pool, program.body)
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}

    def visit(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                visit(inner)
        for last in [it for it in body if isinstance(it, Loop)]:
            found = _added(last)
            if found is None:
                continue
            part, total, order = found
            if part not in new and total not in new:
                zero = _part_of(pool, body, last, part, total, order, everywhere)
                if zero is not None:
                    body.remove(zero)
                    body.remove(last)
                    new[part] = total, order

    visit(program.body)
    # a sum that goes into a sum
    for part in list(new):
        target, order = new[part]
        while target in new:
            target, then = new[target]
            order = tuple(order[k] for k in then)
        new[part] = target, order
    if new:
        replace_buffers(program, new)


def _for_each_total(pool: Pool, body: list[Item], everywhere: Counter[Buf]) -> None:
    """A sum of numbers at hand that goes into several totals is made once for each, so that each can be added to directly."""
    for it in body:
        for inner in bodies(it):
            _for_each_total(pool, inner, everywhere)
    goes: dict[Buf, list[Store]] = {}
    for it in body:
        found = _added(it)
        if found is not None:
            goes.setdefault(found[0], []).append(_whole(it))  # type: ignore[arg-type]
    for part, lasts in goes.items():
        mine = [it for it in body if any(a.buf is part for a in pool.accesses(it))]
        accesses = [a for it in mine for a in pool.accesses(it) if a.buf is part]
        adds = [(inner, s) for it in mine for inner, s in _stores(it) if s.buf is part and s.mode == "sum"]
        known = len(accesses) == everywhere[part] == 1 + len(adds) + len(lasts)
        if len(lasts) < 2 or not known or not all(isinstance(s.value, Load) for _, s in adds) or _zeros(mine[0], part) is None:
            continue
        for last in lasts[1:]:
            other = Buf(part.hint, part.dtype, part.dims)
            for inner, s in adds:
                inner.insert(inner.index(s) + 1, Store(other, s.dims, s.coords, s.value, "sum", s.note))
            assert isinstance(last.value, Load)
            last.value = pool.load(other, last.value.dims, last.value.coords)
            place = tuple(Sym("i") for _ in other.dims)
            zero: Item = Store(other, other.dims, tuple(map(size, place)), pool.const(0, other.dtype))
            for var, count in zip(reversed(place), reversed(other.dims), strict=True):
                zero = Loop(var, count, [zero])
            body.insert(body.index(mine[0]), zero)


def _stores(it: Item) -> Iterator[tuple[list[Item], Store]]:
    """Every store inside, with the list it stands in."""
    for inner in bodies(it):
        for x in inner:
            if isinstance(x, Store):
                yield inner, x
            yield from _stores(x)


def start_from_zero(program: Program) -> None:
    """A sum that starts from a number of its own starts from zero, and the number is added afterwards: the loop then
    waits for nothing, and may meet an earlier one whose result the number was made of."""
    pool = program.pool
    everywhere = counts(pool, program.body)
    body = program.body
    for loop in [it for it in body if isinstance(it, Loop) and not it.nest]:
        if independent(pool, loop, everywhere) is None:
            continue
        inside = pool.accesses(loop)
        written = {a.buf for a in inside if a.writes}
        for buf in dict.fromkeys(a.buf for a in inside):
            modes = {a.mode for a in inside if a.buf is buf}
            if buf.kind != "local" or modes != {"sum"}:
                continue
            at = body.index(loop)
            first = next((m for m in range(at - 1, -1, -1) if any(a.buf is buf for a in pool.accesses(body[m]))), None)
            start = body[first] if first is not None else None
            if not isinstance(start, Store) or start.buf is not buf or start.mode != "set" or isinstance(start.value, Const):
                continue
            between = {a.buf for it in body[first + 1 : at] for a in pool.accesses(it) if a.writes} if first is not None else set()
            if pool.reads(start.value) & (between | written):
                continue
            body.insert(at + 1, Store(buf, (), (), start.value, "sum", start.note))
            start.value = pool.const(0.0 if buf.dtype.kind == "f" else 0, buf.dtype)


def _whole(it: Item) -> Store | None:
    """The store of a nest that does one thing to every element of a buffer, in order."""
    loops: list[Loop] = []
    while isinstance(it, Loop) and it.nest and len(it.body) == 1:
        loops.append(it)
        it = it.body[0]
    if not isinstance(it, Store) or it.buf.kind == "local" or it.dims != it.buf.dims:
        return None
    wide = [(c, d) for c, d in zip(it.coords, it.dims, strict=True) if d != 1]
    if len(wide) != len(loops) or {x.var for x in loops} != {x.var for x in loops for c, d in wide if c == size(x.var) and d == x.count}:
        return None
    return it


def _zeros(it: Item, buf: Buf) -> Store | None:
    s = _whole(it)
    return s if s is not None and s.buf is buf and s.mode == "set" and isinstance(s.value, Const) and s.value.value == 0 else None


def _added(it: Item) -> tuple[Buf, Buf, tuple[int, ...]] | None:
    """(part, total, order) of `total[j, i] += part[i, j]` for all i and j: axis k of the total is axis order[k] of the part."""
    s = _whole(it)
    if s is None or s.mode != "sum" or not isinstance(s.value, Load) or len(s.value.coords) != len(s.coords) or len(set(s.coords)) != len(s.coords):
        return None
    part, coords = s.value.buf, s.value.coords
    if set(coords) != set(s.coords) or s.value.dims != part.dims or part.kind != "temp" or part.swapped or part.dtype != s.buf.dtype:
        return None
    order = tuple(coords.index(c) for c in s.coords)
    return (part, s.buf, order) if tuple(part.dims[k] for k in order) == s.buf.dims else None


def _part_of(pool: Pool, body: list[Item], last: Item, part: Buf, total: Buf, order: tuple[int, ...], everywhere: Counter[Buf]) -> Item | None:
    """The nest that sets `part` to zero, if all else that happens to it is that it is added to."""
    end = body.index(last)
    mine = [it for it in body[:end] if any(a.buf is part for a in pool.accesses(it))]
    if not mine or sum(a.buf is part for it in (*mine, last) for a in pool.accesses(it)) != everywhere[part]:
        return None
    if order != tuple(range(len(order))) and any(a.dims != part.dims for it in mine for a in pool.accesses(it) if a.buf is part):
        return None  # seen with another shape
    if _zeros(mine[0], part) is None:
        return None
    for it in mine[1:]:
        if any(a.mode != "sum" for a in pool.accesses(it) if a.buf is part):
            return None
    start = body.index(mine[1]) if len(mine) > 1 else end  # what is done to the total before anything is added does not matter
    if any(a.buf is total and a.mode != "sum" for it in body[start:end] for a in pool.accesses(it)):
        return None
    return mine[0]


__all__ = ["add_directly", "start_from_zero"]
