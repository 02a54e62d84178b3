"""Shifted additions to one array become one pass that gathers.

In: the nests of a reverse sweep over slices.  Out: the same sums, where every element of the array is written once.

    for i: g[i + 2] += 0.5 * t[i]              for i: pad[i + 2] = t[i]                     # its rim is zero
    for i: g[i] += 0.5 * t[i]            →     for i: g[i] += 0.5 * pad[i] + 0.5 * pad[i + 2]

`pad` holds what is spread, with a rim of zeros as wide as the shifts: it is cleared once, at the start of the kernel.
What was a chain of read-modify-writes at a distance is a loop that vectors and workers can take in any order.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.ir import Dim, Size, Sym, size, symbols
from adc.lower.independent import counts, independent
from adc.lower.nodes import Apply, Buf, Const, Expr, Item, Load, Loop, Pool, Program, Store, bodies
from adc.lower.rewrite import rename_item


@dataclass
class Spread:
    """`buf[c + shift] += factor * source(c)` for all c in a box."""

    position: int
    buf: Buf
    dims: tuple[Dim, ...]
    extents: tuple[Dim, ...]
    shift: tuple[int, ...]
    source: Expr
    factor: Expr | None
    note: str


def gather(program: Program) -> None:
    everywhere = counts(program.pool, program.body)
    start: list[Item] = []

    def visit(body: list[Item]) -> None:
        for it in body:
            if isinstance(it, Loop) and not it.nest and independent(program.pool, it, everywhere) is not None:
                continue  # a rim that all examples share would tie them together
            for inner in bodies(it):
                visit(inner)
        _gather(program, body, start)

    visit(program.body)
    program.body[:0] = start


def _gather(program: Program, body: list[Item], start: list[Item]) -> None:
    pool = program.pool
    names: list[Sym] = [Sym("ijklmn"[min(k, 5)]) for k in range(6)]
    k = 0
    while k < len(body):
        first = _spread(pool, body, k, names)
        family = [first] if first is not None else []
        if first is not None:
            for m in range(k + 1, len(body)):
                other = _spread(pool, body, m, names)
                if other is not None and (other.buf, other.dims, other.extents) == (first.buf, first.dims, first.extents) and other.source is first.source:
                    family.append(other)
                elif other is None or other.buf is not first.buf:
                    found = pool.accesses(body[m])
                    if any(a.buf is first.buf and a.mode != "sum" for a in found):
                        break
                    if any(a.writes and any(a.buf in pool.reads(e) for s in family for e in (s.source, s.factor) if e is not None) for a in found):
                        break
        if first is not None and len({s.shift for s in family}) > 1:
            new = _rewritten(program, family, names, start)
            if new is not None:
                store, pass_ = new
                last = family[-1].position
                gone = {s.position for s in family}
                kept = [x for m, x in enumerate(body[: last + 1]) if m not in gone or m == last]
                kept[-1] = pass_
                at = k - sum(g < k for g in gone)
                body[: last + 1] = [*kept[:at], store, *kept[at:]]
        k += 1


def _spread(pool: Pool, body: list[Item], position: int, names: list[Sym]) -> Spread | None:
    loops: list[Loop] = []
    it: Item = body[position]
    while isinstance(it, Loop) and it.nest and len(it.body) == 1:
        loops.append(it)
        it = it.body[0]
    if not loops or len(loops) > len(names) or not isinstance(it, Store) or it.mode != "sum" or it.buf.kind == "local" or it.buf.dtype.kind != "f":
        return None
    shift: list[int] = []
    if len(it.coords) != len(loops) or it.dims != it.buf.dims:
        return None
    for loop, c in zip(loops, it.coords, strict=True):
        gap = c - size(loop.var) if isinstance(c, Size) else None
        if not isinstance(gap, int) or gap < 0:
            return None
        shift.append(gap)
    table = {loop.var: size(s) for loop, s in zip(loops, names, strict=False)}
    value = pool.subst(it.value, table)
    if it.buf in pool.reads(value):
        return None
    source, factor = factored(pool, value, it.buf.dtype, {it.buf})
    if isinstance(source, Const):
        return None
    return Spread(position, it.buf, it.dims, tuple(x.count for x in loops), tuple(shift), source, factor, it.note or loops[0].note)


def factored(pool: Pool, value: Expr, dtype: np.dtype[Any], changed: Set[Buf] = frozenset()) -> tuple[Expr, Expr | None]:
    """What is spread, and the number that it is multiplied by on its way: the same for all elements, and none of what is `changed`."""

    def steady(e: Expr) -> bool:
        fixed = all(isinstance(x, Apply) or (isinstance(x, Const) and np.isfinite(x.value)) or (isinstance(x, Load) and all(isinstance(c, int) for c in x.coords)) for x in pool.nodes(e))
        return fixed and not pool.reads(e) & changed and e.dtype == dtype

    if isinstance(value, Apply) and value.text == "{0} * {1}":
        left, right = value.args
        if steady(right) and not steady(left):
            return left, right
        if steady(left) and not steady(right):
            return right, left
    elif isinstance(value, Apply) and value.text == "-{0}":
        return value.args[0], pool.const(-1.0, dtype)
    return value, None


def _rewritten(program: Program, family: list[Spread], names: list[Sym], start: list[Item]) -> tuple[Item, Item] | None:
    """(the copy with a rim, the pass that gathers); the clearing of the rim goes to `start`."""
    pool, one = program.pool, family[0]
    rank = len(one.dims)
    known = {s for p in program.params for d in p.dims for s in symbols(size(d))}
    if any(s not in known for d in (*one.dims, *one.extents) for s in symbols(size(d))):
        return None
    low = [max(s.shift[k] for s in family) for k in range(rank)]
    pad_dims: tuple[Dim, ...] = tuple(size(d) + low[k] - min(s.shift[k] for s in family) for k, d in enumerate(one.dims))
    hint = one.source.buf.hint if isinstance(one.source, Load) else one.buf.hint
    pad = Buf(f"{hint}_pad", one.buf.dtype, pad_dims)
    syms = names[:rank]
    at = tuple(size(s) for s in syms)
    zero = pool.const(0.0, pad.dtype)
    start.append(_nest(pool, Store(pad, pad_dims, at, zero), syms, pad_dims, one.note))
    copy = _nest(pool, Store(pad, pad_dims, tuple(size(s) + w for s, w in zip(syms, low, strict=True)), one.source), syms, one.extents, one.note)
    total: Expr | None = None
    for s in family:
        # source(p - shift), which stands at p - shift + low
        e = pool.load(pad, pad_dims, tuple(size(x) + (w - d) for x, w, d in zip(syms, low, s.shift, strict=True)))
        if s.factor is not None:
            e = pool.apply("{0} * {1}", (s.factor, e), pad.dtype)
        total = e if total is None else pool.apply("{0} + {1}", (total, e), pad.dtype)
    assert total is not None
    return copy, _nest(pool, Store(one.buf, one.dims, at, total, "sum"), syms, one.dims, one.note)


def _nest(pool: Pool, store: Store, syms: list[Sym], extents: tuple[Dim, ...], note: str) -> Item:
    """Loops with variables of their own around the store."""
    fresh = [Sym(s.hint) for s in syms]
    store.note = note
    rename_item(pool, store, {s: size(f) for s, f in zip(syms, fresh, strict=True)})
    body: list[Item] = [store]
    for s, d in reversed(list(zip(fresh, extents, strict=True))):
        body = [Loop(s, d, body, note=note)]
    return body[0]


__all__ = ["factored", "gather"]
