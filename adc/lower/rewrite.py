"""Changing items in place: symbols for others, buffers for others.

    rename_item(pool, item, {i: n - 1 - i});   replace_buffers(program, {old: (new, (0, 2))})     # axes 0 and 2 are kept
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from adc.ir import Dim, Sym, size, substitute, symbols
from adc.lower.nodes import (
    Branch,
    Buf,
    CallFn,
    Exit,
    Expr,
    Index,
    Item,
    Load,
    Loop,
    Pool,
    Program,
    Repeat,
    Store,
    Swap,
    bodies,
    items,
)


def rename_item(pool: Pool, it: Item, table: dict[Sym, Dim]) -> None:
    memo: dict[Expr, Expr] = {}

    def dim(d: Dim) -> Dim:
        return pool.subst_dim(d, table, memo)

    for x in items([it]):
        match x:
            case Store():
                x.dims, x.coords = tuple(map(dim, x.dims)), tuple(map(dim, x.coords))
                x.value = pool.subst(x.value, table, memo)
            case Loop():
                x.count = dim(x.count)
            case Branch() | Repeat() | Exit():
                x.cond = pool.subst(x.cond, table, memo)
            case CallFn():
                x.args = tuple(a if isinstance(a, Buf) else pool.subst(a, table, memo) for a in x.args)


def replace_buffers(program: Program, new: dict[Buf, tuple[Buf, tuple[int, ...]]]) -> None:
    """Every access to `buf` becomes one to its replacement, with the axes that are kept, in that order."""
    pool = program.pool
    memo: dict[Expr, Expr] = {}

    def swap(e: Load) -> Expr | None:
        if e.buf not in new:
            return None
        buf, keep = new[e.buf]
        if keep == tuple(range(len(e.buf.dims))):  # all of it, with whatever shape it is seen
            return pool.load(buf, e.dims, e.coords)
        return pool.load(buf, tuple(e.dims[k] for k in keep), tuple(e.coords[k] for k in keep))

    def expr(e: Expr) -> Expr:
        return pool.replace(e, swap, memo)

    def dim(d: Dim) -> Dim:
        return pool.replace_dim(d, swap, memo)

    for it in items(program.body):
        match it:
            case Store():
                it.value, it.coords = expr(it.value), tuple(map(dim, it.coords))
                if it.buf in new:
                    buf, keep = new[it.buf]
                    if keep != tuple(range(len(it.buf.dims))):
                        it.dims, it.coords = tuple(it.dims[k] for k in keep), tuple(it.coords[k] for k in keep)
                    it.buf = buf
            case Branch() | Repeat() | Exit():
                it.cond = expr(it.cond)
            case CallFn():
                it.args = tuple((new[a][0] if a in new else a) if isinstance(a, Buf) else expr(a) for a in it.args)
                it.outs = tuple(new[b][0] if b in new else b for b in it.outs)
            case Loop():
                it.count = dim(it.count)
                it.carried = frozenset(new[b][0] if b in new else b for b in it.carried)
                it.alone = {new[a][0] if a in new else a: new[b][0] if b in new else b for a, b in it.alone.items()}
            case Swap():
                it.a, it.b = (new[x][0] if x in new else x for x in (it.a, it.b))


def replace_loads(pool: Pool, part: Iterable[Item], swap: Callable[[Load], Expr | None]) -> None:
    """What is read in the items, at any depth, rewritten by `swap(load) -> Expr | None`; what is written stays."""
    memo: dict[Expr, Expr] = {}
    for it in items(part):
        match it:
            case Store():
                it.value, it.coords = pool.replace(it.value, swap, memo), tuple(pool.replace_dim(c, swap, memo) for c in it.coords)
            case Loop():
                it.count = pool.replace_dim(it.count, swap, memo)
            case Branch() | Repeat() | Exit():
                it.cond = pool.replace(it.cond, swap, memo)
            case CallFn():
                it.args = tuple(a if isinstance(a, Buf) else pool.replace(a, swap, memo) for a in it.args)


def inline_indices(program: Program) -> None:
    """`k = i + 1`, set once from loop variables and sizes: the sum itself stands wherever k stood."""
    pool = program.pool
    stores: dict[Buf, list[Store]] = {}
    for it in items(program.body):
        if isinstance(it, Store) and it.buf.sym is not None:
            stores.setdefault(it.buf, []).append(it)
    kept = {b.sym for b, found in stores.items() if not (len(found) == 1 and found[0].mode == "set" and isinstance(found[0].value, Index))}
    kept |= {p.sym for p in program.params} | set(program.bounds)
    table: dict[Sym, Dim] = {}
    for buf, found in stores.items():
        value = found[0].value
        if buf.sym is None or buf.sym in kept or not isinstance(value, Index):
            continue
        dim = substitute(value.dim, table)
        if any(s in pool.opaque or s in pool.locals for s in symbols(size(dim))):
            continue
        table[buf.sym] = dim
    if not table:
        return
    for it in program.body:
        rename_item(pool, it, table)
    gone = {pool.locals[s] for s in table}

    def drop(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                drop(inner)
        body[:] = [it for it in body if not (isinstance(it, Store) and it.buf in gone)]

    drop(program.body)


__all__ = ["inline_indices", "rename_item", "replace_buffers", "replace_loads"]
