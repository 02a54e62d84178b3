"""Reverse steps of stencils in one pass: what stands inside the grid's rim changes places with its successor.

In: a program after `join_stores`.  Out: the same; where a step moves the inside of `bar` into a padded array (zeros around it) and gathers from
there, the inside stays in padded arrays, two of which change places, and `bar` holds the rim alone until the loop is over.

    for t in steps, last first:                           pad[2:-2] = bar[1:-1]
        pad[2:-2] = bar[1:-1]                             for t in steps, last first:
        bar[1:-1] = own(pad)                →                 new[2:-2] = own(pad) + gather(pad)
        bar += gather(pad)                                    bar[rim] += gather(pad)
                                                              pad, new = new, pad
                                                          bar[1:-1] = pad[2:-2]

A step then reads and writes each number once: by hand it is written so.
"""

from __future__ import annotations

from dataclasses import dataclass

from adc.ir import Dim, Sym, size
from adc.lower.boxes import Box, around, box, nest, places
from adc.lower.nodes import Buf, Const, Expr, Item, Load, Loop, Pool, Program, Store, Swap, bodies, items


@dataclass
class Step:
    """The two nests: `move` (over a box of `bar`) and `gather` (over all of it), their loops and stores."""

    move: Item
    gather: Item
    move_loops: list[Loop]
    gather_loops: list[Loop]
    moved: list[Store]
    gathered: list[Store]
    bar: Buf
    pad: Buf
    inside: Box
    at: tuple[Dim, ...]
    """The element of `bar` that `move` is at."""
    padded: tuple[Dim, ...]
    """And where it is in `pad`."""


def sweep_once(program: Program) -> None:
    def visit(body: list[Item]) -> None:
        for it in list(body):
            for inner in bodies(it):
                visit(inner)
            if isinstance(it, Loop) and not it.nest and not it.shared:
                step = _find(program, it)
                if step is not None:
                    _rewrite(program, body, it, step)

    visit(program.body)


def _find(program: Program, loop: Loop) -> Step | None:
    nests = [(it, *_flat(it)) for it in loop.body]
    for k, (gather, loops, stores) in enumerate(nests):
        last = stores[-1] if stores else None
        if k == 0 or last is None or last.mode != "sum" or last.buf.kind == "local" or [s for s in stores[:-1] if s.buf.kind != "local"]:
            continue
        for move, outer, moved in nests[:k]:
            step = _step(program, loop, move, outer, moved, gather, loops, stores)
            if step is not None:
                return step
    return None


def _flat(it: Item) -> tuple[list[Loop], list[Store]]:
    """The loops of a nest and the stores in the innermost; nothing where it is another."""
    loops: list[Loop] = []
    while isinstance(it, Loop) and it.nest and not it.reverse:
        loops.append(it)
        if len(it.body) == 1 and isinstance(it.body[0], Loop):
            it = it.body[0]
            continue
        stores = [s for s in it.body if isinstance(s, Store)]
        return (loops, stores) if len(stores) == len(it.body) else ([], [])
    return [], []


def _step(
    program: Program, loop: Loop, move: Item, outer: list[Loop], moved: list[Store], gather: Item, loops: list[Loop], stores: list[Store]
) -> Step | None:
    pool, bar = program.pool, stores[-1].buf
    pads = [s for s in moved if s.buf.kind == "temp" and s.buf is not bar and s.mode == "set" and any(s.buf in pool.reads(x.value) for x in stores)]
    if not outer or len(pads) != 1 or bar.kind not in ("temp", "out") or bar.swapped or pads[0].buf.swapped:
        return None
    (into,) = pads
    pad = into.buf
    # all of bar, in order, from the pad alone
    if stores[-1].dims != bar.dims or bar in _read(pool, stores) or box(loops, stores[-1].coords) != [(0, d) for d in bar.dims]:
        return None
    found = [a for s in moved for a in pool.accesses(s)]
    reads, writes = [a for a in found if a.buf is bar and not a.writes], [a for a in found if a.buf is bar and a.writes]
    if not reads or len(writes) != 1 or writes[0].mode != "set" or any(a.buf is pad and not a.writes for a in found):
        return None
    change = next(k for k, s in enumerate(moved) if s.buf is bar)
    if any(bar in pool.reads(s.value) or any(bar in pool.dim_reads(c) for c in s.coords) for s in moved[change + 1 :]):
        return None  # what was left there is looked at
    if any(s.buf.sym is not None for s in stores) or any(bar in pool.dim_reads(c) for s in moved for c in s.coords):
        return None  # a place that depends on what is computed
    at = writes[0].coords
    inside = box(outer, at)
    if inside is None or any(a.dims != bar.dims or a.coords != at for a in (*reads, *writes)) or not _moves(pool, moved, into, bar):
        return None
    if box(outer, into.coords) is None or into.dims != pad.dims or len(at) != len(into.coords):
        return None
    if not all(isinstance(size(p) - a, int) for p, a in zip(into.coords, at, strict=True)):
        return None
    if not _alone(program, loop, move, gather, bar, pad) or not _movable(pool, loop, move, gather, moved, {bar, pad}):
        return None
    return Step(move, gather, outer, loops, moved, stores, bar, pad, inside, at, into.coords)


def _read(pool: Pool, stores: list[Store]) -> set[Buf]:
    return {a.buf for s in stores for a in pool.accesses(s) if not a.writes}


def _moves(pool: Pool, moved: list[Store], into: Store, bar: Buf) -> bool:
    """Does `pad` get just what was in `bar`?"""
    value = into.value
    if isinstance(value, Load) and value.buf.kind == "local":
        made = [s for s in moved if s.buf is value.buf]
        value = made[0].value if len(made) == 1 and made[0].mode == "set" else value
    return isinstance(value, Load) and value.buf is bar


def _alone(program: Program, loop: Loop, move: Item, gather: Item, bar: Buf, pad: Buf) -> bool:
    """In the loop only the two nests touch them; outside, the pad is filled with zeros, once, and no more."""
    pool = program.pool
    for it in loop.body:
        if it is not move and it is not gather and any(a.buf in (bar, pad) for a in pool.accesses(it)):
            return False
    total = sum(a.buf is pad for it in program.body for a in pool.accesses(it))
    mine = sum(a.buf is pad for it in (move, gather) for a in pool.accesses(it))
    if total != mine + 1:
        return False
    return any(
        isinstance(s, Store) and s.buf is pad and s.mode == "set" and isinstance(s.value, Const) and s.value.value == 0
        for it in program.body if isinstance(it, Loop) and it.nest for s in items([it])
    )  # fmt: skip


def _movable(pool: Pool, loop: Loop, move: Item, gather: Item, moved: list[Store], own: set[Buf]) -> bool:
    """May all that `move` does happen where `gather` stands?"""
    between = loop.body[loop.body.index(move) + 1 : loop.body.index(gather)]
    mine = [a for s in moved for a in pool.accesses(s) if a.buf not in own]
    others = [a for it in between for a in pool.accesses(it)]
    last = [a for a in pool.accesses(gather) if a.buf not in own]
    return not any(a.buf is b.buf and (a.writes or b.writes) for a in mine for b in (*others, *last))


def _rewrite(program: Program, body: list[Item], loop: Loop, s: Step) -> None:
    pool, bar, pad = program.pool, s.bar, s.pad
    new = Buf(pad.hint, pad.dtype, pad.dims, swapped=True)
    pad.swapped = True
    shift = [size(p) - a for p, a in zip(s.padded, s.at, strict=True)]

    def beside(coords: tuple[Dim, ...]) -> tuple[Dim, ...]:
        return tuple(size(c) + d for c, d in zip(coords, shift, strict=True))

    # the inside: what `move` leaves in bar, and what is gathered there
    memo: dict[Expr, Expr] = {}

    def swap(e: Load) -> Expr | None:
        return pool.load(pad, pad.dims, beside(e.coords)) if e.buf is bar else None

    joint: list[Item] = []
    left: Expr | None = None
    for x in s.moved:
        x.value = pool.replace(x.value, swap, memo)
        if x.buf is bar:
            left = x.value
        elif x.buf is not pad:
            joint.append(x)
    assert left is not None
    more = _copy(pool, s.gathered, {v.var: c for v, c in zip(_in_order(s), s.at, strict=True)})
    value = more[-1].value
    if not (isinstance(left, Const) and left.value == 0):
        value = pool.apply("{0} + {1}", (left, value), bar.dtype)
    joint += [*more[:-1], Store(new, new.dims, s.padded, value, note=s.gathered[-1].note)]
    innermost = s.move_loops[-1]
    innermost.body = joint
    # the rim
    rim: list[Item] = []
    for slab in around(bar.dims, s.inside):
        loops, coords = places(slab)
        inner = _copy(pool, s.gathered, {v.var: c for v, c in zip(_in_order(s), coords, strict=True)})
        rim += nest(loops, [*inner], small=True)
    loop.body.remove(s.move)
    at = loop.body.index(s.gather)
    loop.body[at : at + 1] = [s.move, *rim]
    loop.body.append(Swap(pad, new, loop.note))
    # before and after; the pad's own zeros too stand right before the loop, so that its memory may be another's until then
    _drop_zeros(program.body, pad)
    where = body.index(loop)
    first, here = places(s.inside)
    last, there = places(s.inside)
    body[where : where + 1] = [
        *(x for b in (pad, new) for x in _zeros(pool, b)),
        *nest(first, [Store(pad, pad.dims, beside(here), pool.load(bar, bar.dims, here))]),
        loop,
        *nest(last, [Store(bar, bar.dims, there, pool.load(pad, pad.dims, beside(there)))]),
    ]
    program.story.append(f"`{loop.note}`: each step backwards passes over its array once")


def _zeros(pool: Pool, b: Buf) -> list[Item]:
    loops, coords = places([(0, d) for d in b.dims])
    return nest(loops, [Store(b, b.dims, coords, pool.const(0.0, b.dtype))])


def _drop_zeros(body: list[Item], b: Buf) -> None:
    for it in list(body):
        for inner in bodies(it):
            _drop_zeros(inner, b)
        if (isinstance(it, Store) and it.buf is b and isinstance(it.value, Const)) or (isinstance(it, Loop) and not it.body):
            body.remove(it)


def _in_order(s: Step) -> list[Loop]:
    """The loops of `gather` by the axes of `bar`."""
    by_var = {size(x.var): x for x in s.gather_loops}
    return [by_var[c] for c in s.gathered[-1].coords]  # type: ignore[index]


def _copy(pool: Pool, stores: list[Store], table: dict[Sym, Dim]) -> list[Store]:
    """The stores at another place, with variables of their own."""
    fresh: dict[Buf, Buf] = {}
    memo: dict[Expr, Expr] = {}
    renamed: dict[Expr, Expr] = {}

    def swap(e: Load) -> Expr | None:
        return pool.load(fresh[e.buf], (), ()) if e.buf in fresh else None

    out = []
    for s in stores:
        value = pool.subst(s.value, table, memo)
        if fresh:
            value = pool.replace(value, swap, renamed)
        buf = s.buf
        if buf.kind == "local":
            buf = fresh.setdefault(s.buf, pool.local(s.buf.hint, s.buf.dtype))
            renamed.clear()  # from here on it has another name
        out.append(Store(buf, s.dims, tuple(pool.subst_dim(c, table, memo) for c in s.coords), value, s.mode, s.note))
    return out


__all__ = ["sweep_once"]
