"""Matrices without systems: diagonals, triangles, norms, powers, kron, cross.

In: values.  Out: what NumPy gives, made of other ops.

    np.trace(A); np.diag(v, k=1); np.tril(A, -1); np.linalg.norm(x, axis=1); np.kron(a, b); np.cross(u, v)

The gradient of a norm at 0 is NaN, as in JAX (the square root's); of the 1-norm it is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import OPERATORS, Atom, Dim, Guard, Lit, Var, guard, here, size
from adc.ir.dims import dim_min
from adc.ops.access import zeros
from adc.ops.arithmetic import absolute
from adc.ops.comparison import not_equal
from adc.ops.contract import dot, matmul, outer, tensordot
from adc.ops.core import agree, broadcast_to, value
from adc.ops.create import identity
from adc.ops.elementary import pow_, sqrt, square
from adc.ops.gather import gather, scatter
from adc.ops.index import axis_of, getitem
from adc.ops.joining import stack
from adc.ops.linalg import inv, triangle
from adc.ops.linalg import matrices as matrices_of
from adc.ops.ranges import know, nonnegative
from adc.ops.reduce import keep, np_max, np_min, sum_
from adc.ops.registry import PRIMITIVES, answers
from adc.ops.shape import matrix_transpose, moveaxis, permute, ravel, reshape, static_int
from adc.ops.structure import broadcast, convert_to, expand, same_size

# ---------------------------------------------------------------- diagonals


def _along(n: Dim, offset: int = 0, extent: Dim | None = None) -> Atom:
    """offset, offset + 1, …: n positions on an axis of the given extent."""
    i: Atom = PRIMITIVES["iota"](size=n)
    i = i + offset if offset else i
    know(i, offset, size(n) + offset - 1 if extent is None else size(extent) - 1)
    return i


def _length(n: Dim, m: Dim, k: int) -> Dim:
    """How long the k-th diagonal of an n by m matrix is."""
    count = dim_min(n, size(m) - k) if k >= 0 else dim_min(size(n) + k, m)
    count = size(n) - abs(k) if n == m else count
    if isinstance(count, int):
        return max(count, 0)
    for d in (size(m) - k, size(n) + k):
        if not nonnegative(d):
            if isinstance(d, int):
                return 0
            guard(Guard("least", d, 0, "the diagonal lies outside of the matrix", here()))
    return count


def _matrix_front(a: Any, axis1: Any, axis2: Any) -> Atom:
    """The two axes of the matrix first."""
    x = value(a)
    if x.type.rank < 2:
        raise fail(ShapeError, "shape", here(), what="diag requires an array of at least two dimensions")
    i, j = axis_of(axis1, x.type.rank), axis_of(axis2, x.type.rank)
    if i == j:
        raise fail(ShapeError, "shape", here(), what="axis1 and axis2 cannot be the same")
    return permute(x, (i, j, *(k for k in range(x.type.rank) if k not in (i, j))))


def _diagonal(x: Atom, k: int) -> Atom:
    """The k-th diagonal of the first two axes, as the first axis."""
    n, m = x.type.dims[:2]
    count = _length(n, m, k)
    i = _along(count, max(-k, 0), n)
    j = i if k == 0 else _along(count, max(k, 0), m)
    return gather(x, i, j)  # type: ignore[no-any-return]


@answers(np.diagonal, method="diagonal")
def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Atom:
    return moveaxis(_diagonal(_matrix_front(a, axis1, axis2), static_int(offset, "the offset of a diagonal")), 0, -1)


@answers(np.trace, method="trace")
def trace(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None) -> Atom:
    d = _diagonal(_matrix_front(a, axis1, axis2), static_int(offset, "the offset of a diagonal"))
    if dtype is not None or not d.type.is_float:
        d = convert_to(d, dtype or np.int64)
    return sum_(d, axes=(0,))  # type: ignore[no-any-return]


@answers(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: Any = 0) -> Atom:
    return diagonal(x, offset, -2, -1)


@answers(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: Any = 0, dtype: Any = None) -> Atom:
    return trace(x, offset, -2, -1, dtype)


@answers(np.diag)
def diag(v: Any, k: Any = 0) -> Atom:
    x, at = value(v), static_int(k, "the diagonal")
    if x.type.rank == 2:
        return _diagonal(x, at)
    if x.type.rank != 1:
        raise fail(ShapeError, "shape", here(), what="Input must be 1- or 2-d.")
    (count,) = x.type.dims
    n = size(count) + abs(at)
    empty = zeros(x.type.with_dims((n, n)))
    i = _along(count, max(-at, 0))
    return scatter(empty, x, i, i if at == 0 else _along(count, max(at, 0)), unique=True)  # type: ignore[no-any-return]


@answers(np.diagflat)
def diagflat(v: Any, k: Any = 0) -> Atom:
    return diag(ravel(value(v)), k)


def _triangle(m: Any, k: Any, lower: bool) -> Atom:
    x = value(m)
    if not x.type.rank:
        raise fail(ShapeError, "shape", here(), what="a scalar has no triangle")
    if x.type.rank == 1:  # NumPy's broadcasting of one row
        (n,) = x.type.dims
        x = broadcast(x, dims=(n, n), axes=(1,))
    at = static_int(k, "the diagonal")
    y: Atom = triangle(x, lower, at)
    return y


@answers(np.tril)
def tril(m: Any, k: Any = 0) -> Atom:
    return _triangle(m, k, True)


@answers(np.triu)
def triu(m: Any, k: Any = 0) -> Atom:
    return _triangle(m, k, False)


# ---------------------------------------------------------------- products


@answers(np.kron)
def kron(a: Any, b: Any) -> Atom:
    a, b = value(a), value(b)
    rank = max(a.type.rank, b.type.rank)
    a, b = expand(a, tuple(range(rank - a.type.rank))), expand(b, tuple(range(rank - b.type.rank)))
    dims = tuple(size(m) * n for m, n in zip(a.type.dims, b.type.dims, strict=True))
    wide = tuple(d for pair in zip(a.type.dims, b.type.dims, strict=True) for d in pair)
    left = broadcast(a, dims=wide, axes=tuple(range(0, 2 * rank, 2))) if rank else a
    right = broadcast(b, dims=wide, axes=tuple(range(1, 2 * rank, 2))) if rank else b
    y = OPERATORS["mul"](left, right)
    return reshape(y, dims) if rank else y


def _component(x: Atom, k: int) -> Atom:
    return getitem(x, (Ellipsis, k))


@answers(np.cross, np.linalg.cross)
def cross(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Atom:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = value(a), value(b)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    for x in (a, b):
        if isinstance(x.type.dims[-1], int) and x.type.dims[-1] != 3:
            raise fail(
                UnsupportedError,
                "type",
                here(),
                what="np.cross of vectors of other length than 3",
                instead="write the products out",
            )
        agree(x.type.dims[-1], 3, "incompatible dimensions for cross product (dimension must be 3)")
    a, b = (same_size(x, dims=(*x.type.dims[:-1], 3)) if x.type.dims[-1] != 3 else x for x in (a, b))
    a0, a1, a2 = (_component(a, k) for k in range(3))
    b0, b1, b2 = (_component(b, k) for k in range(3))
    y = stack((a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0), -1)
    return moveaxis(y, -1, axisc)


@answers(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Atom:
    x, count = value(a), static_int(n, "the exponent of matrix_power")
    if x.type.rank < 2:
        raise fail(
            ShapeError,
            "shape",
            here(),
            what=f"{x.type.rank}-dimensional array given. Array must be at least two-dimensional",
        )
    if count < 0 or x.type.is_float:
        x = matrices_of(x)
    if count < 0:
        x, count = inv(x), -count
    if count == 0:
        return broadcast_to(identity(x.type.dims[-1], x.type.dtype), x.type.dims)
    result: Atom | None = None
    while True:
        if count & 1:
            result = x if result is None else matmul(result, x)
        count >>= 1
        if not count:
            assert result is not None
            return result
        x = matmul(x, x)


@answers(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Atom:
    """The cheapest order where all sizes are known; else vectors go first."""
    xs = [value(x) for x in arrays]
    if len(xs) < 2:
        raise fail(ShapeError, "shape", here(), what="Expecting at least two arrays.")
    sides = [
        x.type.dims if x.type.rank == 2 else (x.type.dims[0], 1) if k else (1, x.type.dims[0]) for k, x in enumerate(xs)
    ]
    if all(isinstance(d, int) for pair in sides for d in pair):
        p = [sides[0][0], *(s[1] for s in sides)]
        return _ordered_dot(xs, p, 0, len(xs) - 1, {})
    if xs[-1].type.rank == 1:
        y = xs[-1]
        for x in reversed(xs[:-1]):
            y = dot(x, y)
        return y
    y = xs[0]
    for x in xs[1:]:
        y = dot(y, x)
    return y


def _cost(p: list[Any], i: int, j: int, known: dict[tuple[int, int], tuple[int, int]]) -> tuple[int, int]:
    """(multiplications, where to split) for the product of operands i to j."""
    if (i, j) not in known:
        if i == j:
            known[i, j] = (0, i)
        else:
            known[i, j] = min(
                (_cost(p, i, k, known)[0] + _cost(p, k + 1, j, known)[0] + p[i] * p[k + 1] * p[j + 1], k)
                for k in range(i, j)
            )
    return known[i, j]


def _ordered_dot(xs: list[Atom], p: list[Any], i: int, j: int, known: dict[tuple[int, int], tuple[int, int]]) -> Atom:
    if i == j:
        return xs[i]
    k = _cost(p, i, j, known)[1]
    return dot(_ordered_dot(xs, p, i, k, known), _ordered_dot(xs, p, k + 1, j, known))


answers(np.linalg.matmul)(matmul)
answers(np.linalg.outer)(outer)
answers(np.linalg.tensordot)(lambda x1, x2, /, *, axes=2: tensordot(x1, x2, axes))
answers(np.linalg.matrix_transpose)(matrix_transpose)


def _vecdot(x1: Any, x2: Any, /, *, axis: Any = -1) -> Atom:
    y = OPERATORS["mul"](value(x1), value(x2))
    return sum_(y, axes=(axis_of(axis, y.type.rank),))  # type: ignore[no-any-return]


for _module in (np, np.linalg):
    if hasattr(_module, "vecdot"):
        answers(_module.vecdot)(_vecdot)


# ---------------------------------------------------------------- norms


def _float(x: Any) -> Atom:
    x = value(x)
    return x if x.type.is_float else convert_to(x, np.float64)


def _vector(x: Atom, order: Any, axes: tuple[int, ...], keepdims: bool) -> Atom:
    if isinstance(order, Lit):
        order = order.value
    if isinstance(order, Var):
        raise fail(UnsupportedError, "static", here(), what="the order of a norm")
    """The norm of a vector that lies along `axes`."""
    if order is None or order == 2:
        return keep(sqrt(sum_(square(x), axes=axes)), axes, keepdims)
    if order == np.inf:
        return np_max(absolute(x), axis=axes, keepdims=keepdims)
    if order == -np.inf:
        return np_min(absolute(x), axis=axes, keepdims=keepdims)
    if order == 0:
        return keep(sum_(convert_to(not_equal(x, 0), x.type.dtype), axes=axes), axes, keepdims)
    if order == 1:
        return keep(sum_(absolute(x), axes=axes), axes, keepdims)
    if isinstance(order, str):
        raise fail(ShapeError, "shape", here(), what=f"Invalid norm order '{order}' for vectors")
    powers = pow_(absolute(x), order)
    return keep(pow_(sum_(powers, axes=axes), 1.0 / order), axes, keepdims)


def _matrix(x: Atom, order: Any, axes: tuple[int, ...], keepdims: bool) -> Atom:
    rows, columns = axes
    if rows == columns:
        raise fail(ShapeError, "shape", here(), what="Duplicate axes given.")
    if order is None or order in ("fro", "f"):
        return keep(sqrt(sum_(square(x), axes=tuple(sorted(axes)))), tuple(sorted(axes)), keepdims)
    if order in (1, -1, np.inf, -np.inf) and not isinstance(order, str):
        first, second = (rows, columns) if abs(order) == 1 else (columns, rows)
        sums = sum_(absolute(x), axes=(first,))
        y = (np_max if order > 0 else np_min)(sums, axis=second - (second > first))
        return keep(y, tuple(sorted(axes)), keepdims)
    if order in (2, -2, "nuc"):
        raise fail(
            UnsupportedError, "type", here(), what=f"np.linalg.norm(ord={order!r}) of a matrix needs singular values",
            instead="use 'fro', 1, -1, np.inf or -np.inf",
        )  # fmt: skip
    raise fail(ShapeError, "shape", here(), what="Invalid norm order for matrices.")


@answers(np.linalg.norm, "scipy.linalg.norm")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Atom:
    x = _float(x)
    rank = x.type.rank
    if axis is None:
        every = tuple(range(rank))
        if ord is None:
            return _vector(x, None, every, keepdims)
        if rank not in (1, 2):
            raise fail(ShapeError, "shape", here(), what="Improper number of dimensions to norm.")
        axes = every
    else:
        axes = tuple(axis_of(a, rank) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(axes) == 1:
        return _vector(x, ord, axes, keepdims)
    if len(axes) != 2:
        raise fail(ShapeError, "shape", here(), what="Improper number of dimensions to norm.")
    return _matrix(x, ord, axes, keepdims)


@answers(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Atom:
    x = _float(x)
    axes = range(x.type.rank) if axis is None else (axis if isinstance(axis, tuple | list) else (axis,))
    return _vector(x, ord, tuple(sorted(axis_of(a, x.type.rank) for a in axes)), keepdims)


@answers(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Atom:
    x = _float(x)
    return _matrix(x, ord, (x.type.rank - 2, x.type.rank - 1), keepdims)


__all__ = ["cross", "diag", "diagonal", "kron", "matrix_power", "norm", "trace", "tril", "triu"]
