"""Checks that need not be made in every iteration are made once, before the loop.

In: a program whose loops hold `Exit`s.  Out: the same, with what is uniform or monotone in a loop's variable outside.

    for j in range(k):                      if not (k < 1 or k - 1 < n): return 1
        if not j < n: return 1         →    for j in range(k):
        …                                       …
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.ir import Dim, Size, Sym, at_least, size, symbols
from adc.ir.dims import size_terms
from adc.lower.nodes import Apply, Buf, Const, Exit, Expr, Index, Item, Loop, Pool, Program, bodies

BOOL = np.dtype("?")
ORDER = ("{0} < {1}", "{0} <= {1}", "{0} > {1}", "{0} >= {1}")


def hoist_checks(program: Program) -> None:
    pool, body = program.pool, program.body
    _visit(pool, body)
    # what only asks about sizes and arguments is asked first: nothing stands between loops that could meet
    written = {a.buf for it in body for a in pool.accesses(it) if a.writes}
    first = [it for it in body if isinstance(it, Exit) and it.capacity is None and not pool.reads(it.cond) & written]
    body[:] = [*first, *(it for it in body if it not in first)]


def _visit(pool: Pool, body: list[Item]) -> None:
    k = 0
    while k < len(body):
        it = body[k]
        for inner in bodies(it):
            _visit(pool, inner)
        if isinstance(it, Loop):
            moved = [_moved(pool, it, x) for x in list(it.body) if isinstance(x, Exit)]
            before = [e for e in moved if e is not None and not _always(pool, e.cond)]
            body[k:k] = before
            k += len(before)
        k += 1


def _moved(pool: Pool, loop: Loop, check: Exit) -> Exit | None:
    """The check for all iterations at once; it is taken out of the loop."""
    if check.when or check.capacity is not None or check.code <= 0:
        return None
    written = {a.buf for x in loop.body for a in pool.accesses(x) if a.writes}
    cond = _worst(pool, check.cond, loop.var, loop.count, written)
    if cond is None:
        return None
    loop.body.remove(check)
    if not _positive(pool, loop.count):
        none = pool.apply("{0} < {1}", (pool.index(loop.count), pool.index(1)), BOOL)
        cond = cond if _always(pool, cond) else pool.apply("{0} | {1}", (none, cond), BOOL)
    return Exit(cond, check.code, False, check.note)


def _worst(pool: Pool, cond: Expr, var: Sym, count: Dim, written: set[Buf]) -> Expr | None:
    """A condition without `var` that holds just if `cond` holds for 0 … count - 1; None if it cannot be said."""
    if pool.reads(cond) & written:
        return None
    if not _depends(pool, cond, var):
        return cond
    if not isinstance(cond, Apply):
        return None
    if cond.text == "{0} & {1}" and all(a.dtype == BOOL for a in cond.args):
        left, right = (_worst(pool, a, var, count, written) for a in cond.args)
        if left is None or right is None:
            return None
        return right if _always(pool, left) else left if _always(pool, right) else pool.apply("{0} & {1}", (left, right), BOOL)
    if cond.text == "{0} | {1}" and all(a.dtype == BOOL for a in cond.args):
        one, other = cond.args
        if _depends(pool, one, var):
            one, other = other, one
        if _depends(pool, one, var):
            return None  # each may hold where the other does not
        rest = _worst(pool, other, var, count, written)
        return None if rest is None else pool.apply("{0} | {1}", (one, rest), BOOL)
    if cond.text not in ORDER or not all(isinstance(a, Index) for a in cond.args):
        return None
    a, b = (x.dim for x in cond.args if isinstance(x, Index))
    if any(s in pool.opaque for d in (a, b) for s in symbols(d)):
        return None
    gap = size(a) - b if "<" in cond.text else size(b) - a  # must stay below a bound
    signs = set()
    for monomial, c in size_terms(gap):
        if var in symbols(Size(((monomial, 1),))):
            if monomial.count(var) != 1 or any(not isinstance(m, Sym) for m in monomial) or any(m in pool.locals for m in monomial):
                return None
            signs.add(c > 0)
    if len(signs) != 1:
        return None
    worst = {var: size(count) - 1 if signs.pop() else 0}
    return pool.apply(cond.text, tuple(pool.index(pool.subst_dim(d, worst)) for d in (a, b)), BOOL)


class _Natural(dict[Sym, int]):
    """Sizes and loop variables are at least 0 (those of the arguments at least 2, which is not needed here)."""

    def get(self, key: Sym, default: Any = None) -> Any:  # type: ignore[override]
        return 0


def _positive(pool: Pool, count: Dim) -> bool:
    """Is a loop's count at least 1 for certain?"""
    if any(s in pool.locals or s in pool.opaque for s in symbols(size(count))):
        return False
    return at_least(count, 1, _Natural())


def _depends(pool: Pool, e: Expr, var: Sym) -> bool:
    for n in pool.nodes(e):
        dims = (n.dim,) if isinstance(n, Index) else getattr(n, "coords", ())
        if any(var in symbols(size(d)) for d in dims):
            return True
    return False


def _always(pool: Pool, cond: Expr) -> bool:
    """Is it certain, whatever the sizes?"""
    if isinstance(cond, Const):
        return bool(cond.value)
    if not isinstance(cond, Apply):
        return False
    if cond.text == "{0} & {1}":
        return all(_always(pool, a) for a in cond.args)
    if cond.text == "{0} | {1}":
        return any(_always(pool, a) for a in cond.args)
    if cond.text in ORDER and all(isinstance(a, Index) for a in cond.args):
        a, b = (x.dim for x in cond.args if isinstance(x, Index))
        gap = size(b) - a if "<" in cond.text else size(a) - b
        return isinstance(gap, int) and (gap >= 0 if "=" in cond.text else gap > 0)
    return False


__all__ = ["hoist_checks"]
