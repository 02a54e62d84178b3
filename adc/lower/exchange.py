"""Copies that become exchanges of pointers.

In: a program whose loops end with `carry[:] = new[:]`.  Out: the same, with `carry, new = new, carry` there.

Where a step of a stencil ends with `carry[1:-1] = new[:]`, and nothing else of `carry` changes, `new` becomes as large as `carry` and
has its borders from the beginning: then these two change places.
"""

from __future__ import annotations

from adc.ir import Dim, Sym, size
from adc.lower.boxes import lasting
from adc.lower.nodes import (
    Buf,
    CallFn,
    Expr,
    Item,
    Load,
    Loop,
    Program,
    Repeat,
    Store,
    Swap,
    bodies,
    items,
)
from adc.lower.rewrite import replace_loads


def swap_copies(program: Program) -> None:
    """At the end of a loop's body, `carry[:] = new[:]` becomes an exchange of the two pointers."""
    pool = program.pool
    outside: list[Item] = []

    def visit(body: list[Item]) -> None:
        for it in list(body):
            for inner in bodies(it):
                visit(inner)
            if (isinstance(it, Loop) and not it.nest) or isinstance(it, Repeat):
                loop_body = it.body
                for m in range(len(loop_body) - 1, -1, -1):
                    copy = as_copy(loop_body[m])
                    if copy is None:
                        if isinstance(it, Loop):
                            body[body.index(it) : body.index(it)] = _inner_part(program, it, m)
                        continue
                    target, origin = copy
                    if exchangeable(loop_body, m, target, origin):
                        loop_body[m] = Swap(target, origin, loop_body[m].note)
                        target.swapped = origin.swapped = True
                        if target.kind == "out":
                            outside.append(_deliver(program, target))

    def exchangeable(body: list[Item], m: int, target: Buf, origin: Buf) -> bool:
        if origin.kind != "temp" or origin.swapped or target.swapped or target.kind not in ("temp", "out"):
            return False
        if target.dims != origin.dims or target.dtype != origin.dtype:
            return False
        inside = sum(a.buf is origin for x in body for a in pool.accesses(x))
        if inside != sum(a.buf is origin for x in program.body for a in pool.accesses(x)):
            return False
        if any(a.buf in (origin, target) for x in body[m + 1 :] for a in pool.accesses(x)):
            return False
        first = next(x for x in body if any(a.buf is origin for a in pool.accesses(x)))
        return fills(first, origin)

    visit(program.body)
    program.body.extend(outside)


def _inner_part(program: Program, loop: Loop, m: int) -> list[Item]:
    """Exchange `carry` and a `new` of its size in place of the copy of a part; what must stand before the loop."""
    pool, body = program.pool, loop.body
    loops, s = _nest(body[m])
    if not isinstance(s, Store) or s.mode != "set" or not loops or not isinstance(s.value, Load) or s.dims != s.buf.dims:
        return []
    target, origin, place = s.buf, s.value.buf, s.value
    if not lasting(pool, loop, [*s.coords, *(x.count for x in loops)]):
        return []  # what one step leaves as it is was written by another: it is not what `new` has from the beginning
    if not _covers(loops, Store(origin, place.dims, place.coords, place)) or len(s.coords) != len(place.coords):
        return []
    shift = [size(a) - b for a, b in zip(s.coords, place.coords, strict=True)]
    if not all(isinstance(d, int) and d >= 0 for d in shift) or origin.kind != "temp" or target.kind != "temp":
        return []
    if origin.swapped or target.swapped or target.dtype != origin.dtype or target is origin:
        return []
    found = [a for x in body for a in pool.accesses(x) if a.buf is origin]
    if len(found) != sum(a.buf is origin for x in program.body for a in pool.accesses(x)) or any(a.dims != origin.dims for a in found):
        return []
    if sum(a.buf is target and a.writes for x in body for a in pool.accesses(x)) != 1:
        return []
    if any(a.buf in (origin, target) for x in body[m + 1 :] for a in pool.accesses(x)):
        return []
    if not fills(next(x for x in body if any(a.buf is origin for a in pool.accesses(x))), origin):
        return []
    new = Buf(target.hint, target.dtype, target.dims, swapped=True)
    target.swapped = True

    def moved(coords: tuple[Dim, ...]) -> tuple[Dim, ...]:
        return tuple(size(c) + d for c, d in zip(coords, shift, strict=True))

    def swap(e: Load) -> Expr | None:
        return pool.load(new, new.dims, moved(e.coords)) if e.buf is origin else None

    body[m] = Swap(target, new, body[m].note)
    replace_loads(pool, body, swap)
    for it in items(body):
        if isinstance(it, Store) and it.buf is origin:
            it.buf, it.dims, it.coords = new, new.dims, moved(it.coords)
    return [_whole_copy(program, new, target)]


def _whole_copy(program: Program, to: Buf, origin: Buf) -> Item:
    names = [Sym("ijklmn"[min(k, 5)]) for k in range(len(to.dims))]
    at = tuple(0 if d == 1 else size(s) for s, d in zip(names, to.dims, strict=True))
    body: list[Item] = [Store(to, to.dims, at, program.pool.load(origin, origin.dims, at))]
    for s, d in reversed(list(zip(names, to.dims, strict=True))):
        if d != 1:
            body = [Loop(s, d, body)]
    return body[0]


def _deliver(program: Program, buf: Buf) -> Item:
    """A result that is exchanged in a loop is computed in scratch, and copied at the end."""
    out = Buf(buf.hint, buf.dtype, buf.dims, "out")
    buf.kind = "temp"
    program.outs[program.outs.index(buf)] = out
    return _whole_copy(program, out, buf)


def _nest(it: Item) -> tuple[list[Loop], Item | None]:
    loops = []
    while isinstance(it, Loop) and it.nest:
        loops.append(it)
        if len(it.body) != 1:
            return loops, None
        it = it.body[0]
    return loops, it


def _covers(loops: list[Loop], s: Store) -> bool:
    wide = [(c, d) for c, d in zip(s.coords, s.dims, strict=True) if d != 1]
    have = {loop.var: loop.count for loop in loops}
    found = [next((v for v in have if c == size(v) and have[v] == d), None) for c, d in wide]
    return None not in found and len(set(found)) == len(found) == len(loops) and s.dims == s.buf.dims


def as_copy(it: Item) -> tuple[Buf, Buf] | None:
    """(to, from) if the item copies one whole buffer to another."""
    loops, s = _nest(it)
    if not isinstance(s, Store) or s.mode != "set" or not loops or not _covers(loops, s):
        return None
    e = s.value
    if isinstance(e, Load) and e.dims == s.dims and e.coords == s.coords and e.buf is not s.buf:
        return s.buf, e.buf
    return None


def fills(it: Item, buf: Buf) -> bool:
    """Does the item, before anything else, write every element of the buffer?"""
    loops: list[Loop] = []

    def search(x: Item) -> bool:
        if isinstance(x, Store):
            return x.buf is buf and x.mode == "set" and _covers(loops, x)
        if isinstance(x, Loop) and x.nest:
            loops.append(x)
            if any(search(y) for y in x.body):
                return True
            loops.pop()
        return False

    return search(it) if not isinstance(it, CallFn) else buf in it.outs


__all__ = ["as_copy", "fills", "swap_copies"]
