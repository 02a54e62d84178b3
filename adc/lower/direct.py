"""Sums that are made apart only to be added to another: they are added where they belong.

In: a program before `lift`.  Out: the same, with the part and its zeros gone.

    p[:] = 0                                  w[k] += z[i] * x[i, k]   for all i
    p[k] += z[i] * x[i, k]   for all i   →
    w[:] += p
"""

from __future__ import annotations

from collections import Counter

from adc.ir import size
from adc.lower.independent import counts, independent
from adc.lower.nodes import Buf, Const, Item, Load, Loop, Pool, Program, Store, bodies
from adc.lower.rewrite import replace_buffers


def add_directly(program: Program) -> None:
    pool = program.pool
    everywhere = counts(pool, program.body)
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}

    def visit(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                visit(inner)
        for last in [it for it in body if isinstance(it, Loop)]:
            pair = _added(last)
            if pair is not None and pair[0] not in new and pair[1] not in new:
                zero = _part_of(pool, body, last, *pair, everywhere)
                if zero is not None:
                    body.remove(zero)
                    body.remove(last)
                    new[pair[0]] = pair[1], tuple(range(len(pair[1].dims)))

    visit(program.body)
    # a sum that goes into a sum
    for part in list(new):
        target = new[part][0]
        while target in new:
            target = new[target][0]
        new[part] = target, new[part][1]
    if new:
        replace_buffers(program, new)


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


def _added(it: Item) -> tuple[Buf, Buf] | None:
    """(part, total) of `total[c] += part[c]` for all c."""
    s = _whole(it)
    if s is None or s.mode != "sum" or not isinstance(s.value, Load) or s.value.coords != s.coords or s.value.dims != s.dims:
        return None
    part = s.value.buf
    return (part, s.buf) if part.kind == "temp" and not part.swapped and part.dims == s.buf.dims and part.dtype == s.buf.dtype else None


def _part_of(pool: Pool, body: list[Item], last: Item, part: Buf, total: Buf, everywhere: Counter[Buf]) -> Item | None:
    """The nest that sets `part` to zero, if all else that happens to it is that it is added to."""
    end = body.index(last)
    mine = [it for it in body[:end] if any(a.buf is part for a in pool.accesses(it))]
    if not mine or sum(a.buf is part for it in (*mine, last) for a in pool.accesses(it)) != everywhere[part]:
        return None
    first = _whole(mine[0])
    if first is None or first.buf is not part or first.mode != "set" or not isinstance(first.value, Const) or first.value.value != 0:
        return None
    for it in mine[1:]:
        if any(a.mode != "sum" for a in pool.accesses(it) if a.buf is part):
            return None
    start = body.index(mine[0])
    if any(a.buf is total and a.mode != "sum" for it in body[start:end] for a in pool.accesses(it)):
        return None
    return mine[0]


__all__ = ["add_directly", "start_from_zero"]
