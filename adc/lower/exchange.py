"""Copies that become exchanges of pointers.

In: a program whose loops end with `carry[:] = new[:]`.  Out: the same, with `carry, new = new, carry` there.
"""

from __future__ import annotations

from adc.ir import Sym, size
from adc.lower.nodes import Buf, CallFn, Item, Load, Loop, Program, Repeat, Store, Swap, bodies


def swap_copies(program: Program) -> None:
    """At the end of a loop's body, `carry[:] = new[:]` becomes an exchange of the two pointers."""
    pool = program.pool
    outside: list[Item] = []

    def visit(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                visit(inner)
            if (isinstance(it, Loop) and not it.nest) or isinstance(it, Repeat):
                loop_body = it.body
                for m in range(len(loop_body) - 1, -1, -1):
                    copy = as_copy(loop_body[m])
                    if copy is None:
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


def _deliver(program: Program, buf: Buf) -> Item:
    """A result that is exchanged in a loop is computed in scratch, and copied at the end."""
    out = Buf(buf.hint, buf.dtype, buf.dims, "out")
    buf.kind = "temp"
    program.outs[program.outs.index(buf)] = out
    names = [Sym("ijklmn"[min(k, 5)]) for k in range(len(buf.dims))]
    at = tuple(0 if d == 1 else size(s) for s, d in zip(names, buf.dims, strict=True))
    body: list[Item] = [Store(out, buf.dims, at, program.pool.load(buf, buf.dims, at))]
    for s, d in reversed(list(zip(names, buf.dims, strict=True))):
        if d != 1:
            body = [Loop(s, d, body)]
    return body[0]


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


__all__ = ["swap_copies"]
