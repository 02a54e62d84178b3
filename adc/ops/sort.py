"""Order: sort, argsort, searchsorted, and what stands on them: interp, median, quantile.

In: values and an axis.  Out: values in order, positions (int64), or interpolated values.

    np.sort(x, axis=0); x.argsort(); np.interp(x, xp, fp); np.quantile(x, 0.9, axis=1)

Derivatives: the tangents take the order of their values; equal values keep theirs (`argsort` is stable).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import Atom, Guard, Lit, Params, Primitive, Routine, Sample, Tensor, guard, here, product, size
from adc.ops import routines
from adc.ops.access import zeros
from adc.ops.arithmetic import floor
from adc.ops.comparison import equal, isnan, maximum, minimum, where
from adc.ops.core import broadcast_to, promote, value, with_dims
from adc.ops.gather import gather, scatter
from adc.ops.index import axis_of, getitem
from adc.ops.joining import concatenate
from adc.ops.pick import along_axis
from adc.ops.ranges import know, nonnegative
from adc.ops.reduce import axes_of, keep, not_empty
from adc.ops.registry import PRIMITIVES, answers, register
from adc.ops.scan import same_type
from adc.ops.shape import moveaxis, permute, ravel, reshape
from adc.ops.structure import convert_to, expand, size_value

INT = np.dtype("i8")

# ---------------------------------------------------------------- the last axis in order


def _rows(*more: Any) -> tuple[Sample, ...]:
    rng = np.random.default_rng(4)
    x = rng.permutation(24).astype(float)
    return (
        Sample((x[:5],)),
        Sample((x.reshape(2, 3, 4),)),
        Sample((rng.permutation(70) * 0.5,)),
        Sample((np.array([2.0, np.nan, 1.0, np.inf, -1.0]),), {}, False),
        Sample((np.array([[2.0, 1.0, 2.0, 1.0]], np.float32),), {}, False),
        Sample((np.zeros((2, 0)),), {}, False),
        *more,
    )


def _along_rows(text: str) -> Any:
    """The text with the place of the last axis, as NumPy has it by default."""
    return lambda args, types, p, dim: text.format(args[0])


def ordered(x: Atom) -> tuple[Atom, tuple[Atom, ...]]:
    """The stable order of the last axis, and the index arrays that read by it."""
    order = argsort_op(x)
    know(order, 0, size(x.type.dims[-1]) - 1)
    if x.type.rank == 1:
        return order, (order,)
    return order, tuple(broadcast_to(i, x.type.dims) for i in along_axis(x, order, x.type.rank - 1))


argsort_op: Primitive = register(
    Primitive(
        "argsort",
        type=lambda types, p: (Tensor(INT, types[0].dims),),
        numpy=_along_rows("np.argsort({0}, kind='stable')"),
        loops=Routine(routines.argsort_rows, work=lambda types, p: ((types[0].dims[-1],),)),
        jvp=None,
        vjp=None,
        samples=lambda: tuple(
            Sample(s.args, {}, False)
            for s in _rows(Sample((np.arange(50) % 7,)), Sample((np.array([True, False, True, False]),)))
        ),
        reference=lambda x: np.argsort(x, kind="stable"),
    )
)


def _sort_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    x = args[0]
    if bars[0] is None or not x.type.is_float:
        return (None,)
    return (scatter(zeros(x.type), bars[0], *ordered(x)[1], unique=True),)


sort_op: Primitive = register(
    Primitive(
        "sort",
        type=same_type,
        numpy=_along_rows("np.sort({0})"),
        loops=Routine(routines.sort_rows, work=lambda types, p: ((types[0].dims[-1],),)),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else gather(dots[0], *ordered(args[0])[1]),),
        vjp=_sort_vjp,
        samples=_rows,
        reference=lambda x: np.sort(x),
    )
)


def _plain_order(kind: Any, order: Any, stable: Any = None) -> None:
    if order is not None:
        raise fail(UnsupportedError, "type", here(), what="the argument order= of a sort", instead="sort plain arrays")
    if kind not in (None, "quicksort", "mergesort", "heapsort", "stable"):
        raise fail(
            ShapeError, "shape", here(), what=f"sort kind must be one of 'quick', 'heap', or 'stable' (got {kind!r})"
        )


def _flat_or_last(a: Any, axis: Any) -> tuple[Atom, int]:
    """The value with the axis of interest last, and where that axis was."""
    x = value(a)
    if axis is None:
        return ravel(x), 0
    k = axis_of(axis, x.type.rank)
    return moveaxis(x, k, -1), k


@answers(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Atom:
    _plain_order(kind, order, stable)
    x, k = _flat_or_last(a, axis)
    # integers go by their order: the scratch of `sort` holds floats
    y = sort_op(x) if x.type.is_float else gather(x, *ordered(x)[1])
    return moveaxis(y, -1, k)


@answers(np.argsort, method="argsort")
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Atom:
    _plain_order(kind, order, stable)
    x, k = _flat_or_last(a, axis)
    y, _ = ordered(x)
    if k == x.type.rank - 1:
        return y
    z = moveaxis(y, -1, k)
    know(z, 0, size(x.type.dims[-1]) - 1)
    return z


# ---------------------------------------------------------------- searchsorted


def _search_text(args: list[str], types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    return f"np.searchsorted({args[0]}, {args[1]}{', side=' + repr('right') if p['right'] else ''})"


def _search_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    if types[0].rank != 1 or types[0].dtype != types[1].dtype:
        raise fail(ShapeError, "shape", here(), what=f"searchsorted: {types[0]} and {types[1]}")
    return (Tensor(INT, types[1].dims),)


_SORTED = np.array([0.0, 1.0, 1.0, 2.5, 4.0])


def _searches(name: str, routine: Any, points: tuple[Any, ...]) -> Primitive:
    return register(
        Primitive(
            name,
            type=_search_type,
            numpy=_search_text,
            loops=Routine(routine, ("right",)),
            jvp=None,
            vjp=None,
            samples=lambda: tuple(
                Sample((np.asarray(_SORTED, np.asarray(v).dtype), v), {"right": right}, False)
                for v in points
                for right in (False, True)
            ),
            reference=lambda a, v, right: np.searchsorted(a, v, side="right" if right else "left"),
        )
    )


_places = _searches(
    "searchsorted", routines.places, (np.array([1.0, -1.0, 9.0, 2.0, np.nan]), np.array([[1, 2], [0, 5]]), np.zeros(0))
)
_place = _searches("searchsorted_one", routines.place, (np.asarray(1.0), np.asarray(7), np.asarray(np.nan)))


@answers(np.searchsorted, method="searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Atom:
    a, v = value(a), value(v)
    if side not in ("left", "right"):
        raise fail(ShapeError, "shape", here(), what=f"search side must be one of 'left' or 'right' (got {side!r})")
    if a.type.rank != 1:
        raise fail(
            ShapeError,
            "shape",
            here(),
            what="object too deep for desired array" if a.type.rank else "object of too small depth for desired array",
        )
    if sorter is not None:
        a = getitem(a, (value(sorter),))
    joint = promote((a.type, v.type))
    a, v = convert_to(a, joint), convert_to(v, joint)
    y = (_places if v.type.rank else _place)(a, v, right=side == "right")
    know(y, 0, size(a.type.dims[0]))
    return y  # type: ignore[no-any-return]


@answers(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Atom:
    """Bins are taken as ascending."""
    return searchsorted(bins, x, "left" if right else "right")


# ---------------------------------------------------------------- interpolation


def _at_least(n: Any, least: int, message: str) -> None:
    if isinstance(n, int):
        if n < least:
            raise fail(ShapeError, "shape", here(), what=message)
    elif not nonnegative(n - least):
        guard(Guard("least", n, least, message, here()))


@answers(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Atom:
    """Piecewise linear through the points; at a point the slope is that of the segment to its right."""
    x, xp, fp = (v if v.type.dtype == np.float64 else convert_to(v, np.float64) for v in map(value, (x, xp, fp)))
    if xp.type.rank != 1 or fp.type.rank != 1:
        raise fail(ShapeError, "shape", here(), what="Data points must be 1-D sequences")
    fp = with_dims(fp, xp.type.dims, "fp and xp are not of the same length.")
    if period is not None:
        x, xp = x % period, xp % period
        order, _ = ordered(xp)
        xp, fp = gather(xp, order), gather(fp, order)
        ends = (slice(-1, None),), (slice(0, 1),)
        xp = concatenate((getitem(xp, ends[0]) - period, xp, getitem(xp, ends[1]) + period))
        fp = concatenate((getitem(fp, ends[0]), fp, getitem(fp, ends[1])))
        left = right = None
    n = xp.type.dims[0]
    _at_least(n, 1, "array of sample points is empty")
    first, last = getitem(fp, (0,)), getitem(fp, (-1,))
    low = first if left is None else value(left)
    high = last if right is None else value(right)
    if n == 1:
        y: Atom = broadcast_to(first, x.type.dims)
    else:
        i = minimum(maximum(searchsorted(xp, x, "right") - 1, 0), size_value(size(n) - 2))
        know(i, 0, size(n) - 2)
        j = i + 1
        know(j, 1, size(n) - 1)
        x0, x1, f0, f1 = (getitem(v, (k,)) for v, k in ((xp, i), (xp, j), (fp, i), (fp, j)))
        width = x1 - x0
        flat = equal(width, 0.0)
        y = f0 + (x - x0) * (where(flat, 0.0, f1 - f0) / where(flat, 1.0, width))
    y = where(x < getitem(xp, (0,)), low, y)
    end = getitem(xp, (-1,))
    y = where(x > end, high, y)
    return where(equal(x, end), last, y) if right is not None else y  # type: ignore[no-any-return]


# ---------------------------------------------------------------- quantiles

_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


def _gathered(a: Any, axis: Any, what: str) -> tuple[Atom, tuple[int, ...]]:
    """A float value with the axes of interest flattened into the last."""
    x = value(a)
    if not x.type.is_float:
        x = convert_to(x, np.float64)
    axes = axes_of(axis, x.type.rank)
    not_empty(x, axes, what)
    rest = tuple(k for k in range(x.type.rank) if k not in axes)
    if not axes:
        return expand(x, (x.type.rank,)), axes
    moved = permute(x, (*rest, *axes))
    dims = tuple(x.type.dims[k] for k in rest)
    return (moved if len(axes) == 1 else reshape(moved, (*dims, product(x.type.dims[k] for k in axes)))), axes


def _at(rows: Atom, k: Any) -> Atom:
    return getitem(rows, (Ellipsis, k))


@answers(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Atom:
    if method not in _METHODS:
        raise fail(
            UnsupportedError,
            "type",
            here(),
            what=f"np.quantile(method={method!r})",
            instead=f"use one of {', '.join(_METHODS)}",
        )
    x, axes = _gathered(a, axis, "quantile")
    rows = sort_op(x)
    q = value(q)
    if not q.type.is_float:
        q = convert_to(q, np.float64)
    if q.type.rank > 1:
        raise fail(
            UnsupportedError,
            "type",
            here(),
            what="np.quantile of a matrix of probabilities",
            instead="pass a vector of them",
        )
    n = rows.type.dims[-1]
    if isinstance(q, Lit) and not 0.0 <= q.value <= 1.0:
        raise fail(ShapeError, "shape", here(), what="Quantiles must be in the range [0, 1]")
    place = minimum(maximum(q, 0.0), 1.0) * convert_to(size_value(size(n) - 1), np.float64)
    if method == "nearest":
        place = PRIMITIVES["rint"](place)
    elif method == "higher":
        place = PRIMITIVES["ceil"](place)
    base = floor(place)
    i = convert_to(base, INT)
    know(i, 0, size(n) - 1)
    low = _at(rows, i)
    if method in ("linear", "midpoint"):
        j = minimum(i + 1, size_value(size(n) - 1))
        know(j, 0, size(n) - 1)
        high = _at(rows, j)
        t = place - base
        t = convert_to(where(equal(t, 0.0), 0.0, 0.5) if method == "midpoint" else t, rows.type.dtype)
        y = low + (high - low) * t
    else:
        y = low
    last = _at(rows, -1)  # NaN sorts last
    y = where(isnan(expand(last, (last.type.rank,)) if q.type.rank else last), np.nan, y)
    if q.type.rank:
        y = moveaxis(y, -1, 0)
        return expand(y, tuple(k + 1 for k in axes)) if keepdims else y
    return keep(y, axes, keepdims)


@answers(np.percentile)
def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Atom:
    return quantile(a, value(q) / 100.0, axis, out, overwrite_input, method, keepdims)


@answers(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Atom:
    """The middle, or the mean of the two middles."""
    x, axes = _gathered(a, axis, "median")
    rows = sort_op(x)
    n = size(rows.type.dims[-1])
    low, high = (n - 1) // 2, n // 2
    parts = []
    for k in (low, high):
        i = size_value(k)
        know(i, 0, n - 1)
        parts.append(_at(rows, i if not isinstance(k, int) else k))
    middle = parts[0] if low == high else (parts[0] + parts[1]) * 0.5
    return keep(where(isnan(_at(rows, -1)), np.nan, middle), axes, keepdims)


__all__ = ["argsort", "interp", "median", "ordered", "percentile", "quantile", "searchsorted", "sort"]
