"""Checks that need not be made in every iteration are made once, before the loop; the others in a loop of their own before it.

In: a program whose loops hold `Exit`s.  Out: the same, with what is uniform or monotone in a loop's variable outside, and
what only reads what the loop does not write apart: a loop without a way out can be tiled, shared, and meet others.

    for j in range(k):                      if not (k < 1 or k - 1 < n): return 1
        if not j < n: return 1              for j in range(k):
        if not y[j] < m: return 2      →        if not y[j] < m: return 2
        …                                   for j in range(k):
                                                …
"""

from __future__ import annotations

from adc.ir import Dim, Size, Sym, at_least, size, symbols
from adc.ir.dims import size_terms
from adc.lower.bounds import BOOL, Natural
from adc.lower.nodes import Apply, Buf, Const, Exit, Expr, Index, Item, Loop, Pool, Program, Store, bodies

ORDER = ("{0} < {1}", "{0} <= {1}", "{0} > {1}", "{0} >= {1}")


def hoist_checks(program: Program) -> None:
    pool, body = program.pool, program.body
    _visit(pool, body)
    # what only asks about sizes and arguments is asked first: nothing stands between loops that could meet
    written = {a.buf for it in body for a in pool.accesses(it) if a.writes}
    first = [it for it in body if asks(it) and not any(a.buf in written for a in pool.accesses(it))]
    body[:] = [*first, *(it for it in body if it not in first)]
    _sooner(pool, body)


def _sooner(pool: Pool, body: list[Item]) -> None:
    """Checks of integers that are known from the start, such as labels, with the loops that make them up, go to the front.

    `all_1 &= labels[i] < m` in a nest, then an exit on `all_1`: between two loops that could meet it would keep them apart.
    """
    front = 0
    while front < len(body) and isinstance(body[front], Exit):
        front += 1
    for check in [it for it in body[front:] if asks(it)]:
        at = body.index(check)
        needed = {a.buf for a in pool.accesses(check)}
        chosen: list[Item] = []
        for it in reversed(body[front:at]):
            found = pool.accesses(it)
            if any(a.writes and a.buf in needed for a in found):
                chosen.insert(0, it)
                needed |= {a.buf for a in found}
        rest = [it for it in body[front:at] if it not in chosen]
        written = {a.buf for it in chosen for a in pool.accesses(it) if a.writes}
        if not rest or not all(_whole_numbers(it) for it in chosen) or any(b.dtype.kind == "f" for b in needed):
            continue
        if any(a.buf in written or (a.writes and a.buf in needed) for it in rest for a in pool.accesses(it)):
            continue
        body[front : at + 1] = [*chosen, check, *rest]
        front += len(chosen) + 1


def _whole_numbers(it: Item) -> bool:
    """Stores of integers and truths, and loops around them."""
    if isinstance(it, Loop):
        return all(_whole_numbers(x) for x in it.body)
    return isinstance(it, Store) and it.buf.dtype.kind != "f"


def _visit(pool: Pool, body: list[Item]) -> None:
    k = 0
    while k < len(body):
        it = body[k]
        for inner in bodies(it):
            _visit(pool, inner)
        if isinstance(it, Loop):
            before = _outside(pool, it)
            body[k:k] = before
            k += len(before)
            if not it.body:
                body.pop(k)
                continue
        k += 1


def asks(it: Item) -> bool:
    """A check, or loops around checks alone."""
    if isinstance(it, Loop):
        return bool(it.body) and all(asks(x) for x in it.body)
    return isinstance(it, Exit) and not it.when and it.capacity is None and it.code > 0


def _outside(pool: Pool, loop: Loop) -> list[Item]:
    """The loop's checks that can stand before it; they are taken out of it."""
    written = {a.buf for x in loop.body for a in pool.accesses(x) if a.writes}
    before: list[Item] = []
    each: list[Item] = []
    plain = _plain(pool, loop.body)
    for x in [x for x in loop.body if asks(x)]:
        if plain:
            _spell_out(pool, x, plain)
        if isinstance(x, Exit):
            moved = _moved(pool, loop, x, written)
            if moved is not None:
                before += [] if _always(pool, moved.cond) else [moved]
                continue
        if any(a.buf in written for a in pool.accesses(x)):
            continue
        loop.body.remove(x)
        if isinstance(x, Loop) and not _varies(pool, x, loop.var):
            before.append(_where(pool, x, {}, loop.count))
        else:
            each.append(x)
    if each:
        own = Sym(loop.var.hint)
        checks = [_where(pool, x, {loop.var: size(own)}, 1) for x in each]
        before.append(Loop(own, loop.count, checks, reverse=loop.reverse, nest=False, note=loop.note))
    return before


def _plain(pool: Pool, body: list[Item]) -> dict[Sym, Dim]:
    """Integers that the body sets once, from loop variables, sizes and what it does not write."""
    written = [a.buf for x in body for a in pool.accesses(x) if a.writes]
    table: dict[Sym, Dim] = {}
    for x in body:
        if isinstance(x, Store) and x.buf.sym is not None and x.mode == "set" and written.count(x.buf) == 1:
            value = pool.subst(x.value, table)
            if not pool.reads(value) & set(written):
                table[x.buf.sym] = pool.as_dim(value)
    return table


def _spell_out(pool: Pool, it: Item, table: dict[Sym, Dim]) -> None:
    if isinstance(it, Loop):
        it.count = pool.subst_dim(it.count, table)
        for x in it.body:
            _spell_out(pool, x, table)
    elif isinstance(it, Exit):
        it.cond = pool.subst(it.cond, table)


def _varies(pool: Pool, it: Item, var: Sym) -> bool:
    if isinstance(it, Exit):
        return _depends(pool, it.cond, var)
    return isinstance(it, Loop) and (_depends(pool, pool.index(it.count), var) or any(_varies(pool, x, var) for x in it.body))


def _where(pool: Pool, it: Item, names: dict[Sym, Dim], count: Dim) -> Item:
    """A check, or loops around checks, in other variables; asked only where a loop of `count` turns has any."""
    if isinstance(it, Loop):
        own = Sym(it.var.hint)
        inner = {**names, it.var: size(own)}
        return Loop(own, pool.subst_dim(it.count, names), [_where(pool, x, inner, count) for x in it.body], reverse=it.reverse, nest=False, note=it.note)
    assert isinstance(it, Exit)
    return Exit(_if_any(pool, pool.subst(it.cond, names), count), it.code, False, it.note)


def _if_any(pool: Pool, cond: Expr, count: Dim) -> Expr:
    """`cond`, or nothing to ask about: no iteration."""
    if _positive(pool, count) or _always(pool, cond):
        return cond
    none = pool.apply("{0} < {1}", (pool.index(count), pool.index(1)), BOOL)
    return pool.apply("{0} | {1}", (none, cond), BOOL)


def _moved(pool: Pool, loop: Loop, check: Exit, written: set[Buf]) -> Exit | None:
    """The check for all iterations at once; it is taken out of the loop."""
    cond = _worst(pool, check.cond, loop.var, loop.count, written)
    if cond is None:
        return None
    loop.body.remove(check)
    return Exit(_if_any(pool, cond, loop.count), check.code, False, check.note)


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


def everywhere(pool: Pool, cond: Expr, extents: dict[Sym, Dim]) -> Expr | None:
    """A condition without these variables that holds just if `cond` holds for all 0 … extent - 1; None if it cannot be said."""
    for var, count in extents.items():
        worst = _worst(pool, cond, var, count, set())
        if worst is None:
            return None
        cond = pool.const(True, BOOL) if _always(pool, worst) else _if_any(pool, worst, count)
    return cond


def _positive(pool: Pool, count: Dim) -> bool:
    """Is a loop's count at least 1 for certain?"""
    if any(s in pool.locals or s in pool.opaque for s in symbols(size(count))):
        return False
    return at_least(count, 1, Natural())


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


__all__ = ["asks", "everywhere", "hoist_checks"]
