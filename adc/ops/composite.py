"""Statistics and the like, made of other ops: they run while compiling and need no derivative.

In: values.  Out: what NumPy gives.

    np.var(x, axis=0, ddof=1); np.average(x, weights=w); np.polyval(p, x); np.gradient(f, h); np.nanmean(x)

The gradient of `std` is NaN where the deviation is 0, as in JAX (the square root's).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import Atom, Dim, build_for, here, product, size
from adc.ops.access import Arg, At, index, zeros
from adc.ops.arithmetic import absolute
from adc.ops.comparison import equal, invert, isfinite, isnan, less_equal, maximum, truth, where
from adc.ops.contract import matmul
from adc.ops.core import agree, broadcast_to, check_dtype, promote, value
from adc.ops.elementary import sqrt, square
from adc.ops.index import axis_of, getitem
from adc.ops.joining import concatenate, stack
from adc.ops.matrices import diag
from adc.ops.reduce import (
    axes_of,
    keep,
    max_,
    min_,
    np_all,
    np_max,
    np_mean,
    np_min,
    np_prod,
    np_sum,
    sum_,
)
from adc.ops.registry import PRIMITIVES, answers
from adc.ops.shape import permute, static_int
from adc.ops.structure import broadcast, convert_to, expand, show, size_value

INT = np.dtype("i8")
UNROLL = 16  # so many steps of Horner's rule are written out


def _float(x: Any, dtype: Any = None) -> Atom:
    x = value(x)
    if dtype is not None:
        return convert_to(x, check_dtype(dtype))
    return x if x.type.is_float else convert_to(x, np.float64)


def _count(x: Atom, axes: tuple[int, ...]) -> Dim:
    return product(x.type.dims[k] for k in axes)


# ---------------------------------------------------------------- variance


def _divisor(count: Dim, ddof: Any, dtype: Any) -> Any:
    """count - ddof, not below zero."""
    if isinstance(ddof, int) and isinstance(count, int):
        return convert_to(value(float(max(count - ddof, 0))), dtype)
    n = convert_to(size_value(count), dtype)
    return n if ddof == 0 else maximum(n - convert_to(value(ddof), dtype), 0.0)


@answers(np.var, method="var")
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Atom:  # fmt: skip
    if where is not None:
        raise fail(
            UnsupportedError, "type", here(), what="the argument where= of np.var", instead="select the elements first"
        )
    x = _float(a, dtype)
    axes = axes_of(axis, x.type.rank)
    middle = np_mean(x, axis=axes, keepdims=True) if mean is None else convert_to(value(mean), x.type.dtype)
    y = square(x - middle)
    y = sum_(y, axes=axes) if axes else y
    return keep(y / _divisor(_count(x, axes), ddof if correction is None else correction, x.type.dtype), axes, keepdims)


@answers(np.std, method="std")
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Atom:  # fmt: skip
    y: Atom = sqrt(var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))
    return y


@answers(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
    return np_max(a, axis=axis, keepdims=keepdims) - np_min(a, axis=axis, keepdims=keepdims)


@answers(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    x = value(a)
    axes = axes_of(axis, x.type.rank)
    if weights is None:
        y = np_mean(x, axis=axes, keepdims=keepdims)
        total: Atom = broadcast_to(convert_to(size_value(_count(x, axes)), y.type.dtype), y.type.dims)
        return (y, total) if returned else y
    w = value(weights)
    joint = promote((x.type, w.type))
    joint = joint if joint.kind == "f" else np.dtype("f8")
    x, w = convert_to(x, joint), convert_to(w, joint)
    if w.type.dims != x.type.dims:
        if w.type.rank == x.type.rank and axis is None:
            for d, e in zip(x.type.dims, w.type.dims, strict=True):
                agree(d, e, "Axis must be specified when shapes of a and weights differ.")
            w = broadcast_to(w, x.type.dims)
        else:
            if axis is None:
                raise fail(
                    ShapeError, "shape", here(), what="Axis must be specified when shapes of a and weights differ."
                )
            if w.type.rank != len(axes):
                raise fail(
                    ShapeError,
                    "shape",
                    here(),
                    what="Shape of weights must be consistent with shape of a along specified axis.",
                )
            given = tuple(axis_of(k, x.type.rank) for k in (axis if isinstance(axis, tuple | list) else (axis,)))
            w = PRIMITIVES["transpose"](w, axes=tuple(int(k) for k in np.argsort(given))) if given != axes else w
            w = broadcast_to(w, tuple(x.type.dims[k] for k in axes))
            w = broadcast(w, dims=x.type.dims, axes=axes)
    scale = np_sum(w, axis=axes, keepdims=keepdims)
    y = np_sum(x * w, axis=axes, keepdims=keepdims) / scale
    return (y, scale) if returned else y


@answers(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Atom:  # fmt: skip
    if fweights is not None or aweights is not None:
        raise fail(
            UnsupportedError, "type", here(), what="the weights of np.cov", instead="write the weighted sums out"
        )
    x = _variables(m, rowvar, dtype)
    if y is not None:
        x = concatenate((x, _variables(y, rowvar, dtype)), 0)
    x = x - np_mean(x, axis=1, keepdims=True)
    by = _divisor(x.type.dims[1], (0 if bias else 1) if ddof is None else ddof, x.type.dtype)
    c = matmul(x, PRIMITIVES["transpose"](x, axes=(1, 0))) / by
    return getitem(c, (0, 0)) if c.type.dims == (1, 1) else c


def _variables(m: Any, rowvar: bool, dtype: Any) -> Atom:
    """One variable in each row."""
    x = _float(m, dtype)
    if x.type.rank > 2:
        raise fail(ShapeError, "shape", here(), what="m has more than 2 dimensions")
    if x.type.rank < 2:
        return expand(x, tuple(range(2 - x.type.rank)))
    return x if rowvar or x.type.dims[0] == 1 else permute(x, (1, 0))


@answers(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Atom:
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.type.rank:
        return c / c
    deviation = sqrt(diag(c))
    c = c / expand(deviation, (1,)) / expand(deviation, (0,))
    return PRIMITIVES["minimum"](maximum(c, -1.0), 1.0)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- comparison


@answers(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Atom:
    x, y = value(a), value(b)
    near = less_equal(absolute(x - y), atol + rtol * absolute(y)) & isfinite(y) | equal(x, y)
    return near | (isnan(x) & isnan(y)) if equal_nan else near  # type: ignore[no-any-return]


@answers(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Atom:
    return np_all(isclose(a, b, rtol, atol, equal_nan))


def _same_shape(x: Atom, y: Atom) -> bool:
    if x.type.rank != y.type.rank:
        return False
    for d, e in zip(x.type.dims, y.type.dims, strict=True):
        if isinstance(d, int) and isinstance(e, int) and d != e:
            return False
        if d != e:
            raise fail(
                UnsupportedError,
                "static",
                here(),
                what=f"whether shapes {show(x.type.dims)} and {show(y.type.dims)} are equal",
            )
    return True


@answers(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Atom:
    x, y = value(a1), value(a2)
    if not _same_shape(x, y):
        return value(False)
    same = equal(x, y)
    return np_all(same | (isnan(x) & isnan(y)) if equal_nan and x.type.is_float and y.type.is_float else same)


@answers(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Atom:
    return np_sum(convert_to(truth(a), INT), axis=axis, keepdims=keepdims)


@answers(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Atom:
    if len(condlist) != len(choicelist) or not condlist:
        raise fail(ShapeError, "shape", here(), what="list of cases must be same length as list of conditions")
    values = [value(c) for c in (*choicelist, default)]
    joint = promote(tuple(v.type for v in values))
    y = convert_to(values[-1], joint)
    for c, v in zip(reversed(condlist), reversed(values[:-1]), strict=True):
        y = where(c, convert_to(v, joint), y)
    return y


# ---------------------------------------------------------------- without NaN


def _filled(a: Any, v: float) -> tuple[Atom, Atom | None]:
    """The value with its NaN replaced, and where there were any."""
    x = value(a)
    if not x.type.is_float:
        return x, None
    flags = isnan(x)
    return where(flags, v, x), flags


@answers(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
    return np_sum(_filled(a, 0.0)[0], axis=axis, dtype=dtype, keepdims=keepdims)


@answers(np.nanprod)
def nanprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
    return np_prod(_filled(a, 1.0)[0], axis=axis, dtype=dtype, keepdims=keepdims)


def _present(flags: Atom, axis: Any, dtype: Any, keepdims: bool) -> Atom:
    return convert_to(np_sum(convert_to(invert(flags), INT), axis=axis, keepdims=keepdims), dtype)


@answers(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
    x, flags = _filled(_float(a, dtype), 0.0)
    assert flags is not None
    return np_sum(x, axis=axis, keepdims=keepdims) / _present(flags, axis, x.type.dtype, keepdims)


@answers(np.nanvar)
def nanvar(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False) -> Atom:
    x, flags = _filled(_float(a, dtype), 0.0)
    assert flags is not None
    count = _present(flags, axis, x.type.dtype, True)
    middle = np_sum(x, axis=axis, keepdims=True) / count
    total = np_sum(square(where(flags, 0.0, x - middle)), axis=axis, keepdims=keepdims)
    free = _present(flags, axis, x.type.dtype, keepdims) - convert_to(value(ddof), x.type.dtype)
    good = free > 0.0
    return where(good, total / where(good, free, 1.0), math.nan)  # type: ignore[no-any-return]


@answers(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False) -> Atom:
    return sqrt(nanvar(a, axis, dtype, out, ddof, keepdims))  # type: ignore[no-any-return]


def _nan_extreme(otherwise: float, prim: Any, front: Any) -> Any:
    def extreme(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
        x, flags = _filled(a, otherwise)
        y = front(x, axis=axis, keepdims=keepdims)
        return y if flags is None else where(np_all(flags, axis=axis, keepdims=keepdims), math.nan, y)

    return extreme


np_nanmax = answers(np.nanmax)(_nan_extreme(-math.inf, max_, np_max))
np_nanmin = answers(np.nanmin)(_nan_extreme(math.inf, min_, np_min))

# ---------------------------------------------------------------- polynomials


@answers(np.polyval)
def polyval(p: Any, x: Any) -> Atom:
    """Horner's rule: written out for few coefficients, a loop for many or an unknown number."""
    c = value(p)
    x = value(x)
    joint = promote((c.type, x.type))
    c, x = convert_to(c, joint), convert_to(x, joint)
    if c.type.rank != 1:
        raise fail(ShapeError, "shape", here(), what="the coefficients of a polynomial are a vector")
    (count,) = c.type.dims
    if isinstance(count, int) and count <= UNROLL:
        if count == 0:
            return broadcast_to(convert_to(value(0), joint), x.type.dims)
        y = broadcast_to(getitem(c, (0,)), x.type.dims)
        for k in range(1, count):
            y = y * x + getitem(c, (k,))
        return y

    def step(i: Any, y: Any) -> Any:
        return (y * x + broadcast_to(index(c, i, axes=(At(Arg(0)),)), x.type.dims),), (), ()

    (y,), _, _ = build_for(count, (broadcast_to(convert_to(value(0), joint), x.type.dims),), step)
    return y


@answers(np.polynomial.polynomial.polyval)
def polynomial_polyval(x: Any, c: Any) -> Atom:
    """The coefficients of the lowest powers come first."""
    return polyval(getitem(value(c), (slice(None, None, -1),)), x)


@answers(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Atom:
    v = value(x)
    if v.type.rank != 1:
        raise fail(ShapeError, "shape", here(), what="x must be a one-dimensional array or sequence.")
    v = convert_to(v, np.promote_types(v.type.dtype, INT))  # float32 becomes float64, as in NumPy
    count = static_int(v.type.dims[0] if N is None else N, "the number of columns of np.vander")
    column: Atom = broadcast_to(convert_to(value(1), v.type.dtype), v.type.dims)
    columns = []
    for _ in range(count):
        columns.append(column)
        column = column * v
    if not columns:
        return zeros(v.type.with_dims((*v.type.dims, 0)))
    return stack(tuple(columns if increasing else reversed(columns)), -1)


# ---------------------------------------------------------------- differences


def _part(x: Atom, k: int, start: int | None, stop: int | None) -> Atom:
    return getitem(x, (*[slice(None)] * k, slice(start, stop)))


def _spacing(h: Any, x: Atom, k: int) -> tuple[Any, bool]:
    """(step or steps shaped to fit axis k, whether it is one step for all)."""
    h = value(h)
    if not h.type.rank:
        return h, True
    if h.type.rank != 1:
        raise fail(ShapeError, "shape", here(), what="distances must be either scalars or 1d")
    agree(h.type.dims[0], x.type.dims[k], "when 1d, distances must match the length of the corresponding dimension")
    step = getitem(h, (slice(1, None),)) - getitem(h, (slice(None, -1),))
    dims = tuple(size(x.type.dims[k]) - 1 if j == k else 1 for j in range(x.type.rank))
    if step.type.dims != (dims[k],):
        step = broadcast_to(step, (dims[k],))
    return (step if x.type.rank == 1 else broadcast(step, dims=dims, axes=(k,))), False


def _gradient(x: Atom, h: Any, k: int, order: int) -> Atom:
    step, uniform = _spacing(h, x, k)

    def at(start: int | None, stop: int | None) -> Atom:
        return _part(x, k, start, stop)

    if uniform:
        inner = (at(2, None) - at(None, -2)) / (2.0 * step)
    else:
        left, right = _part(step, k, None, -1), _part(step, k, 1, None)
        inner = (
            at(None, -2) * (-right / (left * (left + right)))
            + at(1, -1) * ((right - left) / (left * right))
            + at(2, None) * (left / (right * (left + right)))
        )
    if order == 1:
        first, last = (step, step) if uniform else (_part(step, k, 0, 1), _part(step, k, -1, None))
        low, high = (at(1, 2) - at(0, 1)) / first, (at(-1, None) - at(-2, -1)) / last
    elif uniform:
        low = (-1.5 * at(0, 1) + 2.0 * at(1, 2) - 0.5 * at(2, 3)) / step
        high = (0.5 * at(-3, -2) - 2.0 * at(-2, -1) + 1.5 * at(-1, None)) / step
    else:
        a, b = _part(step, k, 0, 1), _part(step, k, 1, 2)
        low = (
            at(0, 1) * (-(2.0 * a + b) / (a * (a + b)))
            + at(1, 2) * ((a + b) / (a * b))
            + at(2, 3) * (-a / (b * (a + b)))
        )
        a, b = _part(step, k, -2, -1), _part(step, k, -1, None)
        high = (
            at(-3, -2) * (b / (a * (a + b)))
            + at(-2, -1) * (-(b + a) / (a * b))
            + at(-1, None) * ((2.0 * b + a) / (b * (a + b)))
        )
    return concatenate((low, inner, high), k)


@answers(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    x = value(f)
    if not x.type.is_float:
        x = convert_to(x, np.float64)
    given = range(x.type.rank) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    axes = tuple(axis_of(a, x.type.rank) for a in given)
    if edge_order not in (1, 2):
        raise fail(ShapeError, "shape", here(), what="'edge_order' greater than 2 not supported")
    steps: tuple[Any, ...] = varargs if varargs else (1.0,)
    if len(steps) == 1:
        steps = steps * len(axes)
    if len(steps) != len(axes):
        raise fail(ShapeError, "shape", here(), what="invalid number of arguments")
    for k in axes:
        n = x.type.dims[k]
        if isinstance(n, int) and n < edge_order + 1:
            raise fail(
                ShapeError, "shape", here(),
                what="Shape of array too small to calculate a numerical gradient, "
                "at least (edge_order + 1) elements are required.",
            )  # fmt: skip
    out = tuple(_gradient(x, h, k, edge_order) for h, k in zip(steps, axes, strict=True))
    return out[0] if len(out) == 1 else out


__all__ = ["average", "cov", "gradient", "polyval", "std", "var"]
