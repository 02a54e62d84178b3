"""States that live in the tape: a loop whose state is saved in every step computes the next one where it will be saved.

In: a program after `swap_copies`.  Out: the same, without the copies of states, and without the two buffers that changed places.

    for i in range(steps):                          saved[0] = u
        saved[i] = u                                for i in range(steps):
        new[1:-1] = step(u)                 →           saved[i + 1, rim] = saved[i, rim]
        u, new = new, u                                 saved[i + 1, 1:-1] = step(saved[i])
    … u …                                           … saved[steps] …

The tape has a row more, for the last state.  A copy of a state costs as much as a cheap step of a stencil, since the tape is far away.
"""

from __future__ import annotations

from dataclasses import dataclass

from adc.ir import Dim, product, size, symbols
from adc.lower.boxes import Box, around, box, lasting, nest, places
from adc.lower.exchange import as_copy, fills
from adc.lower.nodes import (
    Buf,
    CallFn,
    Expr,
    Item,
    Load,
    Loop,
    Program,
    Store,
    Swap,
    bodies,
    items,
)
from adc.lower.rewrite import replace_loads


@dataclass
class Found:
    """A loop and what it does with its state: `tape[i] = state` and the write of the next one, with the loops around each."""

    loop: Loop
    swap: Swap
    state: Buf
    new: Buf
    tape: Buf
    save: tuple[list[Loop], Store]
    step: tuple[list[Loop], Store] | None
    filled: Store | None
    """`new = state` before the loop, for what a step does not write; None where every step makes all of `new`."""


def states_in_tape(program: Program) -> None:
    def visit(body: list[Item]) -> None:
        for it in list(body):
            for inner in bodies(it):
                visit(inner)
            for swap in [x for x in it.body if isinstance(x, Swap)] if isinstance(it, Loop) else []:
                found = _find(program, body, it, swap)  # type: ignore[arg-type]
                if found is not None:
                    _record(program, body, found)

    visit(program.body)


def _find(program: Program, body: list[Item], loop: Loop, swap: Swap) -> Found | None:
    pool, state, new = program.pool, swap.a, swap.b
    if loop.reverse or any(a.buf in (state, new) for x in loop.body[loop.body.index(swap) + 1 :] for a in pool.accesses(x)):
        return None
    if state.kind != "temp" or new.kind != "temp" or state.dims != new.dims or loop.var in symbols(size(loop.count)):
        return None
    stores = list(_stores(loop.body, []))
    saves = [(loops, s) for loops, s in stores if s.mode == "set" and isinstance(s.value, Load) and s.value.buf is state and s.buf.kind == "temp"
             and s.dims == s.buf.dims and s.coords == (size(loop.var), *s.value.coords) and s.buf.dims[1:] == state.dims and s.value.dims == state.dims]  # fmt: skip
    steps = [(loops, s) for loops, s in stores if s.buf is new]
    if len(saves) != 1 or not _box(saves[0], state.dims, whole=True):
        return None
    save, tape = saves[0], saves[0][1].buf
    inside = [a for it in loop.body if it is not swap for a in pool.accesses(it)]
    uses = {b: [a for a in inside if a.buf is b] for b in (state, new, tape)}
    if len(uses[tape]) != 1 or any(a.writes or a.dims != state.dims for a in uses[state]) or any(a.dims != new.dims for a in uses[new]):
        return None
    anew = _made_anew(program, loop, swap)
    if not anew:
        if len(steps) != 1 or len(uses[new]) != 1 or steps[0][1].mode != "set" or not _box(steps[0], new.dims, whole=False):
            return None
        if not lasting(pool, loop, [d for part in _box(steps[0], new.dims, whole=False) or [] for d in part]):
            return None  # what one step does not write is two states old, where the other has written it
    at = body.index(loop)
    outer = [a for x in body if x is not loop for a in pool.accesses(x)]
    everywhere = [a for x in program.body for a in pool.accesses(x)]
    for b in (state, new):
        if sum(a.buf is b for a in outer) + sum(a.buf is b for a in pool.accesses(loop)) != sum(a.buf is b for a in everywhere):
            return None
    if any(a.buf is state and a.dims != state.dims for a in outer) or any(isinstance(x, CallFn | Swap) and state in _names(x) for y in body if y is not loop for x in items([y])):
        return None
    if any(a.buf is tape for x in body[:at] for a in pool.accesses(x)) or any(a.buf is tape and a.dims != tape.dims for a in everywhere):
        return None
    filled = None if anew else _filled(program, body, loop, state, new)
    if (filled is None and not anew) or any(isinstance(x, CallFn) and tape in _names(x) for x in items(program.body)):
        return None
    return Found(loop, swap, state, new, tape, save, None if anew else steps[0], filled)


def _made_anew(program: Program, loop: Loop, swap: Swap) -> bool:
    """Is all of the next state set in every step, before anything of it is looked at, and is it nowhere else?  A copy of the state that is overwritten is gone then."""
    pool, new, body = program.pool, swap.b, [it for it in loop.body if it is not swap]
    if sum(a.buf is new for x in program.body for a in pool.accesses(x)) != sum(a.buf is new for a in pool.accesses(loop)):
        return False
    if any(isinstance(x, CallFn | Swap) and new in _names(x) for x in items(body)):
        return False
    first = next((x for x in body if any(a.buf is new for a in pool.accesses(x))), None)
    if first is None or not fills(first, new):
        return False
    mine = [(loops, s) for loops, s in _stores(body, []) if s.buf is new]
    copy = mine[0][1]
    alone = sum(a.buf is new for a in pool.accesses(first)) == 1
    if alone and all(a.mode == "set" for x in body for a in pool.accesses(x) if a.buf is new) and _covered(mine[1:], new.dims):
        _drop(loop.body, copy)
    return True


def _covered(stores: list[tuple[list[Loop], Store]], dims: tuple[Dim, ...]) -> bool:
    """Do stores with numbers along some axes, and loops over all of the others, set every element?"""
    found: dict[tuple[bool, ...], set[tuple[int, ...]]] = {}
    for loops, s in stores:
        if not all(isinstance(x, Loop) for x in loops) or s.dims != dims:
            continue
        left = {size(x.var): x.count for x in loops}
        fixed = [c for c in s.coords if isinstance(c, int)]
        if all(isinstance(c, int) or left.pop(c, None) == d for c, d in zip(s.coords, dims, strict=True)):
            found.setdefault(tuple(isinstance(c, int) for c in s.coords), set()).add(tuple(fixed))
    for axes, numbers in found.items():
        wide = [d for d, is_fixed in zip(dims, axes, strict=True) if is_fixed]
        if all(isinstance(d, int) for d in wide) and len(numbers) == product(wide):
            return True
    return False


def _filled(program: Program, body: list[Item], loop: Loop, state: Buf, new: Buf) -> Store | None:
    """What makes both alike before the loop: `new = state`, or one value that both are set to."""
    pool, at = program.pool, body.index(loop)
    mine = [x for x in body if x is not loop and any(a.buf is new for a in pool.accesses(x))]
    if len(mine) != 1 or body.index(mine[0]) > at:
        return None
    if any(a.buf is state and a.writes for x in body[body.index(mine[0]) + 1 : at] for a in pool.accesses(x)):
        return None
    stores = _stores(mine, [])
    sets = [(loops, s) for loops, s in stores if s.buf is new]
    begins = [s for _, s in stores if s.buf is state]
    if len(sets) != 1 or sets[0][1].mode != "set" or not _box(sets[0], new.dims, whole=True):
        return None
    ((_, fill),) = sets
    if not begins:
        return fill if as_copy(mine[0]) == (new, state) else None
    (begin, *more) = begins
    same = begin.value is fill.value and (begin.mode, begin.dims, begin.coords) == (fill.mode, fill.dims, fill.coords)
    return fill if same and not more and not pool.reads(fill.value) & {state, new} else None


def _names(x: CallFn | Swap) -> tuple[object, ...]:
    return (x.a, x.b) if isinstance(x, Swap) else (*x.args, *x.outs)


def _stores(body: list[Item], loops: list[Loop]) -> list[tuple[list[Loop], Store]]:
    """Every store, with what stands around it: loops, or conditions, which `_box` refuses."""
    out: list[tuple[list[Loop], Store]] = []
    for it in body:
        if isinstance(it, Store):
            out.append((loops, it))
        for inner in bodies(it):
            out += _stores(inner, [*loops, it])  # type: ignore[list-item]
    return out


def _box(found: tuple[list[Loop], Store], dims: tuple[Dim, ...], whole: bool) -> Box | None:
    """What a store in a nest writes; with `whole` it must be all there is."""
    loops, s = found
    if not all(isinstance(x, Loop) and x.nest for x in loops):
        return None
    out = box(loops, s.coords[len(s.coords) - len(dims) :])
    return None if out is None or (whole and out != [(0, d) for d in dims]) else out


def _record(program: Program, body: list[Item], f: Found) -> None:
    pool, loop = program.pool, f.loop
    rows = size(f.tape.dims[0])
    tape = Buf(f.tape.hint, f.tape.dtype, (rows + 1, *f.state.dims))
    here: Dim = size(loop.var)

    def moved(part: list[Item], row: Dim) -> None:
        def swap(e: Load) -> Expr | None:
            if e.buf is f.tape:
                return pool.load(tape, tape.dims, e.coords)
            if e.buf is f.new:
                return pool.load(tape, tape.dims, (size(row) + 1, *e.coords))
            return pool.load(tape, tape.dims, (row, *e.coords)) if e.buf is f.state else None

        replace_loads(pool, part, swap)
        for it in items(part):
            if isinstance(it, Store) and it.buf is f.tape:
                it.buf, it.dims = tape, tape.dims
            elif isinstance(it, Store) and it.buf is f.state:
                it.buf, it.dims, it.coords = tape, tape.dims, (row, *it.coords)
            elif isinstance(it, Store) and it.buf is f.new:
                it.buf, it.dims, it.coords = tape, tape.dims, (size(row) + 1, *it.coords)

    _drop(loop.body, f.save[1])
    loop.body.remove(f.swap)
    moved(loop.body, here)
    if f.step is not None and f.filled is not None:
        inside = _box(f.step, f.new.dims, whole=False)
        assert inside is not None
        step = next(k for k, x in enumerate(loop.body) if any(y is f.step[1] for y in items([x])))  # before it the sizes of the box may be computed
        loop.body[step:step] = _rim(program, tape, f.new.dims, inside, here)
        _drop(body, f.filled)
    at = body.index(loop)
    moved(body[:at], 0)
    moved(body[at + 1 :], loop.count)
    for it in program.body:  # the reverse sweep may stand elsewhere
        if it not in body:
            moved([it], loop.count)
    program.story.append(f"`{loop.note}`: each state is computed where it is saved")


def _rim(program: Program, tape: Buf, dims: tuple[Dim, ...], inside: Box, here: Dim) -> list[Item]:
    """What a step does not write is the same in the next row."""
    out: list[Item] = []
    for slab in around(dims, inside):
        loops, coords = places(slab)
        same = Store(tape, tape.dims, (size(here) + 1, *coords), program.pool.load(tape, tape.dims, (here, *coords)))
        out += nest(loops, [same], small=True)
    return out


def _drop(body: list[Item], store: Store) -> None:
    for it in list(body):
        for inner in bodies(it):
            _drop(inner, store)
        if it is store or (isinstance(it, Loop) and not it.body):
            body.remove(it)


__all__ = ["states_in_tape"]
