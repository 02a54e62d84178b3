"""Products of matrices: nests that one routine, and for large ones a library, does better.

In: a program after `tile` and `share`.  Out: the same, where a nest of three loops over `c[i, j] += a[i, k] * b[k, j]` (in
any order, with any of the three transposed) is a call of `product`, which shares large ones between workers, and takes
BLAS or loops by the size.

    for k: for j: for lane: z[j, lane] += x[k, lane] * w[k, j]     →     run_product(blocks, blocks, 1, 0, j, lanes, k, w, …)

The text of `product` stands in the kernel once.  A copy of rows that only products read is not made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from adc.ir import Dim, Sym, product, size, symbols
from adc.lower.nodes import Apply, Buf, CallFn, Const, Expr, Item, Load, Loop, Pool, Program, Store, bodies
from adc.ops import routines_products

LARGE = 256
"""Multiplications from which on a call of tiles is quicker than loops (docs/design/products.md)."""
PART = "product"
KEEP, ROWS, COLUMNS, INNER, TARGET, OFFSET, STEP = 2, 3, 4, 5, 12, 13, 14
"""Places among the arguments of its call, chunks left out: is the target added to; m, n, k; the target, where it begins, its step."""
TEXT = f"""def product(begin, end, worker, chunks, ta, tb, keep, m, n, k, a, a0, lda, b, b0, ldb, c, c0, ldc):
    # c[m, n] += op(a)[m, k] @ op(b)[k, n], or without keep =: chunks are blocks of columns, or of rows
    wide = n >= m
    for chunk in range(begin, end):
        first = (n if wide else m) * chunk // chunks
        size = (n if wide else m) * (chunk + 1) // chunks - first
        rows, columns = (m, size) if wide else (size, n)
        a1 = a0 if wide else a0 + (first if ta else first * lda)
        b1 = b0 + (first * ldb if tb else first) if wide else b0
        c1 = c0 + first if wide else c0 + first * ldc
        tiles = rows * columns * k > {LARGE} and have_gemm(c[c1])
        for i in range(0 if keep or tiles else rows):
            for j in range(columns):
                c[c1 + i * ldc + j] = 0
        if tiles:
            gemm(ta, tb, keep, rows, columns, k, a, a1, lda, b, b1, ldb, c, c1, ldc)
        elif tb:
            for i in range(rows):
                for j in range(columns):
                    total = c[c1 + i * ldc + j]
                    for t in range(k):
                        total += a[a1 + t * lda + i if ta else a1 + i * lda + t] * b[b1 + j * ldb + t]
                    c[c1 + i * ldc + j] = total
        else:
            for i in range(rows):
                for t in range(k):
                    x = a[a1 + t * lda + i if ta else a1 + i * lda + t]
                    for j in range(columns):
                        c[c1 + i * ldc + j] += x * b[b1 + t * ldb + j]
    return 0
"""
"""A product for several workers, by blocks of columns or of rows: as many as `routines_products.product_blocks` says."""


@dataclass
class Matrix:
    """`buf[offset + rows * i + columns * j]`"""

    buf: Buf
    offset: Dim
    steps: dict[Sym, Dim]


@dataclass
class Copy:
    """A nest that only copies: `copy[…] = source[…]` for all i, j."""

    item: Loop
    copy: Matrix
    source: Matrix


def products(program: Program) -> None:
    _visit(program, program.body, {})


def _visit(program: Program, body: list[Item], copies: dict[Buf, Copy]) -> None:
    pool = program.pool
    mine: dict[Buf, Copy] = {}
    k = 0
    while k < len(body):
        it = body[k]
        if isinstance(it, Loop):
            copy = _copy(pool, it)
            if copy is not None and _writes(program, copy.copy.buf) == 1:  # what is stored into later is no copy any more
                mine[copy.copy.buf] = copy
                k += 1
                continue
            new = _called(program, it, {**copies, **mine})
            if new is not None:
                body[k] = new
                k += 1
                continue
            apart = _apart(program, it, {**copies, **mine})
            if apart is not None:
                body[k : k + 1] = apart  # and look at each
                continue
        for inner in bodies(it):
            _visit(program, inner, {**copies, **mine})
        k += 1
    for buf, copy in mine.items():
        if sum(a.buf is buf for it in program.body for a in pool.accesses(it)) == 1:  # readers may stand outside this body
            body.remove(copy.item)  # the calls read what it is a copy of


def _apart(program: Program, it: Loop, copies: dict[Buf, Copy]) -> list[Item] | None:
    """`for i: (c[i, :] = 0; the rest of a product)`: the product in a loop of its own, where each row waits only for its own."""
    if not it.nest or it.shared or it.carried or it.roles is not None or len(it.body) < 2:
        return None
    for k, x in enumerate(it.body):
        if not isinstance(x, Loop) or _called(program, Loop(it.var, it.count, [x], note=it.note), copies) is None:
            continue
        others = [*it.body[:k], *it.body[k + 1 :]]
        if all(_own_row(program.pool, x, y, it.var) for y in others):
            pieces: list[list[Item]] = [it.body[:k], [x], it.body[k + 1 :]]
            return [Loop(it.var, it.count, piece, note=it.note) for piece in pieces if piece]
    return None


def _own_row(pool: Pool, x: Item, y: Item, var: Sym) -> bool:
    """Do the two look at one place of a common axis in each iteration, in whatever one of them changes?"""
    seen = pool.accesses(y)
    for a in pool.accesses(x):
        for b in seen:
            if a.buf is b.buf and (a.writes or b.writes):
                if a.dims != b.dims or not any(c == d == size(var) for c, d in zip(a.coords, b.coords, strict=True)):
                    return False
    return True


def _writes(program: Program, buf: Buf) -> int:
    return sum(a.buf is buf and a.writes for it in program.body for a in program.pool.accesses(it))


def _copy(pool: Pool, it: Loop) -> Copy | None:
    inner = it.body[0]
    if len(it.body) != 1 or not isinstance(inner, Loop) or len(inner.body) != 1 or not isinstance(inner.body[0], Store):
        return None
    store, names = inner.body[0], [it.var, inner.var]
    if store.mode != "set" or not isinstance(store.value, Load) or store.buf.kind != "temp" or store.value.buf.kind != "param":
        return None
    one = _matrix(pool, store.buf, store.dims, store.coords, names)
    other = _matrix(pool, store.value.buf, store.value.dims, store.value.coords, names)
    return None if one is None or other is None else Copy(it, one, other)


def _original(m: Matrix, copies: dict[Buf, Copy]) -> Matrix:
    """What a matrix is a copy of, seen in the same way."""
    found = copies.get(m.buf)
    if found is None or m.offset != found.copy.offset:
        return m
    steps: dict[Sym, Dim] = {}
    for v, step in m.steps.items():
        if step == 0:
            steps[v] = 0
            continue
        match = [w for w, s in found.copy.steps.items() if s == step]
        if len(match) != 1:
            return m
        steps[v] = found.source.steps[match[0]]
    return Matrix(found.source.buf, found.source.offset, steps)


def _nest(it: Item) -> tuple[list[Loop], Store] | None:
    """Three loops around one addition of a product; the innermost may add up in a variable first."""
    loops: list[Loop] = []
    while isinstance(it, Loop) and not it.shared and len(it.body) == 1:
        loops.append(it)
        it = it.body[0]
    if isinstance(it, Store):
        return (loops, it) if len(loops) == 3 else None
    if isinstance(it, Loop) and len(loops) == 1 and len(it.body) == 3:
        first, inner, last = it.body
        if not (isinstance(first, Store) and isinstance(inner, Loop) and isinstance(last, Store) and len(inner.body) == 1):
            return None
        add = inner.body[0]
        if not isinstance(add, Store) or not (add.buf is first.buf and add.buf.kind == "local" and add.mode == last.mode == "sum"):
            return None
        if first.mode != "set" or not isinstance(first.value, Const) or first.value.value != 0:
            return None
        if not (isinstance(last.value, Load) and last.value.buf is add.buf):
            return None
        return [*loops, it, inner], Store(last.buf, last.dims, last.coords, add.value, "sum")
    return None


def _called(program: Program, it: Loop, copies: dict[Buf, Copy]) -> Item | None:
    pool = program.pool
    found = _nest(it)
    if found is None:
        return None
    loops, store = found
    names = [x.var for x in loops]
    value = store.value
    if store.mode != "sum" or store.buf.kind == "local" or store.buf.dtype not in (np.dtype("f8"), np.dtype("f4")):
        return None
    if not isinstance(value, Apply) or value.text != "{0} * {1}" or not all(isinstance(a, Load) for a in value.args):
        return None
    if any(v in symbols(size(x.count)) for x in loops for v in names):
        return None
    left, right = (a for a in value.args if isinstance(a, Load))
    if any(a.buf.kind == "local" or a.buf is store.buf or a.dtype != store.buf.dtype for a in (left, right)):
        return None
    out, a, b = (_matrix(pool, x.buf, x.dims, x.coords, names) for x in (store, left, right))
    if out is None or a is None or b is None:
        return None
    a, b = _original(a, copies), _original(b, copies)
    still = [[v for v in names if m.steps[v] == 0] for m in (out, a, b)]
    if any(len(s) != 1 for s in still) or len({s[0] for s in still}) != 3:
        return None
    k, n, m = (s[0] for s in still)
    if out.steps[n] != 1:
        a, b, m, n = b, a, n, m  # the transposed product
    if out.steps[n] != 1:
        return None
    flags: list[Dim] = []
    strides: list[Dim] = []
    for x, row, column in ((a, m, k), (b, k, n)):
        if x.steps[column] == 1:
            flags.append(0)
            strides.append(x.steps[row])
        elif x.steps[row] == 1:
            flags.append(1)
            strides.append(x.steps[column])
        else:
            return None
    extent = {x.var: x.count for x in loops}
    if never_large(extent.values()):
        return None

    def index(d: Dim) -> Expr:
        return pool.index(d)

    program.shares_products = True
    args: list[Buf | Expr] = [index(flags[0]), index(flags[1]), index(1), *(index(extent[v]) for v in (m, n, k))]
    for x, step in ((a, strides[0]), (b, strides[1]), (out, out.steps[m])):
        args += [x.buf, index(x.offset), index(step)]
    for fn in (routines_products.gemm, routines_products.have_gemm, routines_products.product_blocks):
        program.routines[fn.__name__] = fn
    return CallFn(PART, tuple(args), (out.buf,), note=it.note)


def never_large(extents: Iterable[Dim]) -> bool:
    """Are the extents known, and so few that the loops themselves are quicker than asking which way is?"""
    total = product(extents)
    return isinstance(total, int) and total <= LARGE


def _matrix(pool: Pool, buf: Buf, dims: tuple[Dim, ...], coords: tuple[Dim, ...], names: list[Sym]) -> Matrix | None:
    flat: Dim = 0
    for d, c in zip(dims, coords, strict=True):
        flat = size(flat) * d + c
    if any(s in pool.opaque for s in symbols(size(flat))):
        return None
    zero = pool.subst_dim(flat, dict.fromkeys(names, 0))
    steps = {v: size(pool.subst_dim(flat, {v: size(v) + 1})) - flat for v in names}
    if any(v in symbols(size(d)) for d in steps.values() for v in names):
        return None
    return Matrix(buf, zero, steps)


__all__ = ["products"]
