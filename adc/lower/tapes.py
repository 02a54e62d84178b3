"""What a step leaves and what the next one finds are one tape.

In: a program before its nests meet.  Out: the same, where a loop that saves its state at the beginning of each turn and again at the end saves it once.

    for t in range(n):                              saved[0] = h
        before[t] = h                               for t in range(n):
        h = step(h)                 →                   h = step(h)
        after[t] = h                                    saved[t + 1] = h
    … before[t] … after[t] …                        … saved[t] … saved[t + 1] …
"""

from __future__ import annotations

from collections.abc import Iterator

from adc.ir import Sym, size
from adc.lower.boxes import nest
from adc.lower.nodes import Buf, CallFn, Expr, Item, Load, Loop, Pool, Program, Store, Swap, bodies, items
from adc.lower.rewrite import replace_loads


def one_tape(program: Program) -> None:
    fixed = {b for it in items(program.body) if isinstance(it, Swap) for b in (it.a, it.b)}
    fixed |= {b for it in items(program.body) if isinstance(it, CallFn) for b in (*it.args, *it.outs) if isinstance(b, Buf)}

    def visit(body: list[Item]) -> None:
        for it in list(body):
            if isinstance(it, Loop) and not it.nest and not it.reverse:
                pair = _pair(program, it, fixed)
                if pair is not None:
                    body.insert(body.index(it), _joined(program, it, *pair))
            for inner in bodies(it):
                visit(inner)

    visit(program.body)


def _pair(program: Program, loop: Loop, fixed: set[Buf]) -> tuple[Item, Store, Item, Store] | None:
    pool = program.pool
    saves = [(it, s) for it in loop.body for s in _saves(loop, it)]
    for first, a in saves:
        for last, b in saves:
            start, end = loop.body.index(first), loop.body.index(last)
            state = a.value.buf if isinstance(a.value, Load) else None
            if start >= end or not isinstance(b.value, Load) or b.value.buf is not state or a.dims != b.dims or a.buf.dtype != b.buf.dtype or {a.buf, b.buf, state} & fixed:
                continue
            changes = [k for k, x in enumerate(loop.body) if any(y.buf is state and y.writes for y in pool.accesses(x))]
            if not changes or min(changes) < start or max(changes) > end:
                continue
            inside = [y.buf for x in loop.body for y in pool.accesses(x)]
            uses = [y for x in program.body for y in pool.accesses(x) if y.buf in (a.buf, b.buf)]
            if inside.count(a.buf) == inside.count(b.buf) == 1 and sum(y.writes for y in uses) == 2 and all(y.dims == a.dims for y in uses):
                return first, a, last, b
    return None


def _saves(loop: Loop, it: Item) -> Iterator[Store]:
    """A nest that copies all of an array into the turn's row of another."""
    loops: list[Loop] = []
    while isinstance(it, Loop) and it.nest and len(it.body) == 1:
        loops.append(it)
        it = it.body[0]
    if not loops or not isinstance(it, Store) or it.mode != "set" or not isinstance(it.value, Load) or it.buf.kind != "temp" or it.value.buf.kind != "temp":
        return
    whole = it.value.dims == it.value.buf.dims == tuple(x.count for x in loops) and it.value.coords == tuple(size(x.var) for x in loops)
    if whole and it.dims == it.buf.dims and it.dims[1:] == it.value.dims and it.coords == (size(loop.var), *it.value.coords):
        yield it


def _joined(program: Program, loop: Loop, first: Item, a: Store, last: Item, b: Store) -> Item:
    """The program with one tape for both; what must stand before the loop."""
    pool: Pool = program.pool
    before, after = a.buf, b.buf
    tape = Buf(before.hint, before.dtype, (size(before.dims[0]) + 1, *before.dims[1:]))

    def swap(e: Load) -> Expr | None:
        if e.buf is before:
            return pool.load(tape, tape.dims, e.coords)
        return pool.load(tape, tape.dims, (size(e.coords[0]) + 1, *e.coords[1:])) if e.buf is after else None

    assert isinstance(a.value, Load)
    state = a.value.buf
    loop.body.remove(first)
    b.buf, b.dims, b.coords = tape, tape.dims, (size(loop.var) + 1, *b.coords[1:])
    replace_loads(pool, program.body, swap)
    program.story.append(f"`{loop.note}`: what a turn leaves and what the next one finds are saved once")
    names = [(Sym("ijklmn"[min(k, 5)]), d) for k, d in enumerate(state.dims)]
    place = tuple(size(v) for v, _ in names)
    return nest(names, [Store(tape, tape.dims, (0, *place), pool.load(state, state.dims, place), note=loop.note)], note=loop.note)[0]


__all__ = ["one_tape"]
