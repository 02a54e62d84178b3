"""Scans: cumsum, cumprod, and the trapezoid rule.

In: a value and an axis (None flattens).  Out: running sums and products of the same shape.

    np.cumsum(x, axis=0); x.cumprod(); np.trapezoid(y, x)

The derivative of `cumprod` divides by nothing: it is right with zeros, to any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import Atom, Dim, Params, Primitive, Routine, Sample, Tensor, build_for, here
from adc.ops import routines
from adc.ops.access import Arg, At, Slice, index
from adc.ops.comparison import isnan, where
from adc.ops.core import broadcast_to, check_dtype, value
from adc.ops.create import full
from adc.ops.index import axis_of, getitem
from adc.ops.joining import concatenate
from adc.ops.reduce import np_sum
from adc.ops.registry import answers, lookup, register
from adc.ops.shape import moveaxis, ravel
from adc.ops.structure import broadcast, convert_to, expand

INT = np.dtype("i8")


def same_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    return (Tensor(types[0].dtype, types[0].dims),)


def _axis_text(types: tuple[Tensor, ...], p: Params) -> str:
    return f", axis={p['axis']}" if types[0].rank > 1 else ""


def _cumsum_text(args: list[str], types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    if not p["reverse"]:
        return f"np.cumsum({args[0]}{_axis_text(types, p)})"
    back = "[" + ":, " * p["axis"] + "::-1]"
    return f"np.cumsum({args[0]}{back}{_axis_text(types, p)}){back}"


def _cumsum_reference(x: Any, axis: int, reverse: bool) -> Any:
    x = np.asarray(x)
    return (
        np.flip(np.cumsum(np.flip(x, axis), axis, dtype=x.dtype), axis)
        if reverse
        else np.cumsum(x, axis, dtype=x.dtype)
    )


def _samples(*more: dict[str, Any]) -> tuple[Sample, ...]:
    x = np.random.default_rng(2).uniform(0.5, 1.5, (2, 3, 4))
    out = []
    for extra in more or ({},):
        out += [Sample((x[0, 0],), {"axis": 0, **extra})]
        out += [Sample((x,), {"axis": k, **extra}) for k in range(3)]
        out += [
            Sample((np.arange(6).reshape(2, 3),), {"axis": 1, **extra}, False),
            Sample((x[0, 0][:0],), {"axis": 0, **extra}, False),
        ]
        out += [Sample((x[0].astype(np.float32),), {"axis": 0, **extra}, False)]
    return tuple(out)


cumsum_op: Primitive = register(
    Primitive(
        "cumsum",
        type=same_type,
        numpy=_cumsum_text,
        loops=Routine(routines.running_sum, ("axis", "reverse")),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else cumsum_op(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (
            cumsum_op(bars[0], axis=p["axis"], reverse=not p["reverse"])
            if args[0].type.is_float and bars[0] is not None
            else None,
        ),
        samples=lambda: _samples({"reverse": False}, {"reverse": True}),
        reference=_cumsum_reference,
    )
)


# ---------------------------------------------------------------- products


def _row(x: Atom, i: Any) -> Any:
    return index(x, i, axes=(At(Arg(0)), *(Slice(0, d, 1) for d in x.type.dims[1:])))


def _ones(x: Atom, v: float) -> Atom:
    return broadcast_to(convert_to(value(v), x.type.dtype), x.type.dims[1:])


def _cumprod_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    if dots[0] is None:
        return (None,)
    # the product so far and its tangent, step by step
    x, dx = moveaxis(args[0], p["axis"], 0), moveaxis(dots[0], p["axis"], 0)

    def step(i: Any, so_far: Any, dot: Any) -> Any:
        a, da = _row(x, i), _row(dx, i)
        dot = dot * a + so_far * da
        return (so_far * a, dot), (), (dot,)

    _, _, (dy,) = build_for(x.type.dims[0], (_ones(x, 1.0), _ones(x, 0.0)), step)
    return (moveaxis(dy, 0, p["axis"]),)


def _cumprod_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    if bars[0] is None or not args[0].type.is_float:
        return (None,)
    x, bar = moveaxis(args[0], p["axis"], 0), moveaxis(bars[0], p["axis"], 0)

    def ahead(i: Any, so_far: Any) -> Any:
        return (so_far * _row(x, i),), (), (so_far,)

    def back(i: Any, later: Any) -> Any:
        s = _row(bar, i) + later
        return (s * _row(x, i),), (), (s,)

    # what stands before each factor, times what all products from it on ask for
    _, _, (before,) = build_for(x.type.dims[0], (_ones(x, 1.0),), ahead)
    _, _, (asked,) = build_for(x.type.dims[0], (_ones(x, 0.0),), back, reverse=True)
    return (moveaxis(before * asked, 0, p["axis"]),)


cumprod_op: Primitive = register(
    Primitive(
        "cumprod",
        type=same_type,
        numpy=lambda args, types, p, dim: f"np.cumprod({args[0]}{_axis_text(types, p)})",
        loops=Routine(routines.running_product, ("axis",)),
        jvp=_cumprod_jvp,
        vjp=_cumprod_vjp,
        samples=lambda: (
            *_samples(),
            Sample((np.array([2.0, 0.0, 3.0, 0.5]),), {"axis": 0}),
            Sample((np.array([[2.0, 0.0, 3.0], [0.0, 1.5, 0.0]]),), {"axis": 1}),
        ),
        reference=lambda x, axis: np.cumprod(x, axis, dtype=np.asarray(x).dtype),
    )
)


# ---------------------------------------------------------------- as NumPy calls them


def _operand(a: Any, axis: Any, dtype: Any, out: Any) -> tuple[Atom, int]:
    x = value(a)
    if out is not None:
        raise fail(UnsupportedError, "type", here(), what="the argument out= of a scan", instead="assign the result")
    if dtype is not None:
        x = convert_to(x, check_dtype(dtype))
    elif not x.type.is_float:
        x = convert_to(x, INT)
    if axis is None:
        return (expand(x, (0,)) if not x.type.rank else x if x.type.rank == 1 else ravel(x)), 0
    return x, axis_of(axis, x.type.rank)


@answers(np.cumsum, method="cumsum")
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Atom:
    x, k = _operand(a, axis, dtype, out)
    return cumsum_op(x, axis=k, reverse=False)  # type: ignore[no-any-return]


@answers(np.cumprod, method="cumprod")
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Atom:
    x, k = _operand(a, axis, dtype, out)
    return cumprod_op(x, axis=k)  # type: ignore[no-any-return]


@answers(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Atom:
    x = value(a)
    return cumsum(where(isnan(x), 0.0, x) if x.type.is_float else x, axis, dtype, out)


@answers(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Atom:
    x = value(a)
    return cumprod(where(isnan(x), 1.0, x) if x.type.is_float else x, axis, dtype, out)


RUNNING = (np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.hypot)
"""Whose `accumulate` is a loop that hands one row on."""


def running(ufunc: Any, array: Any, axis: Any = 0) -> Atom:
    """`np.maximum.accumulate(x)`: the largest so far."""
    combine: Any = lookup(ufunc)
    x = value(array)
    if not x.type.rank:
        raise fail(ShapeError, "shape", here(), what="cannot accumulate on a scalar")
    if ufunc in (np.logaddexp, np.hypot) and not x.type.is_float:
        x = convert_to(x, np.float64)
    k = axis_of(axis, x.type.rank)
    x = moveaxis(x, k, 0)
    first, rest = getitem(x, (slice(None, 1),)), getitem(x, (slice(1, None),))

    def step(i: Any, so_far: Any) -> Any:
        so_far = combine(so_far, _row(rest, i))
        return (so_far,), (), (so_far,)

    _, _, (later,) = build_for(rest.type.dims[0], (getitem(first, (0,)),), step)
    return moveaxis(concatenate((first, later), 0), 0, k)


def _cumulative(scan: Any, start: int) -> Any:
    def front(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Atom:
        x = value(x)
        if axis is None and x.type.rank != 1:
            raise fail(
                ShapeError,
                "shape",
                here(),
                what="For arrays which have more than one dimension ``axis`` argument is required.",
            )
        y: Atom = scan(x, 0 if axis is None else axis, dtype, out)
        if not include_initial:
            return y
        k = axis_of(0 if axis is None else axis, y.type.rank)
        dims: tuple[Dim, ...] = tuple(1 if j == k else d for j, d in enumerate(y.type.dims))
        return concatenate((full(dims, convert_to(value(start), y.type.dtype)), y), k)

    return front


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    answers(np.cumulative_sum)(_cumulative(cumsum, 0))
    answers(np.cumulative_prod)(_cumulative(cumprod, 1))


@answers(getattr(np, "trapezoid", getattr(np, "trapz", None)))
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Atom:
    """The integral along an axis: mean heights times widths."""
    y = value(y)
    k = axis_of(axis, y.type.rank)
    lead = (slice(None),) * k
    high, low = getitem(y, (*lead, slice(1, None))), getitem(y, (*lead, slice(None, -1)))
    if x is None:
        width: Any = dx
    else:
        x = value(x)
        if x.type.rank == 1:
            step = getitem(x, (slice(1, None),)) - getitem(x, (slice(None, -1),))
            dims = tuple(step.type.dims[0] if j == k else 1 for j in range(y.type.rank))
            width = step if y.type.rank == 1 else broadcast(step, dims=dims, axes=(k,))
        else:
            j = k - y.type.rank  # counted from the end, as NumPy does
            cut = (
                (Ellipsis, slice(1, None), *[slice(None)] * (-j - 1)),
                (Ellipsis, slice(None, -1), *[slice(None)] * (-j - 1)),
            )
            width = getitem(x, cut[0]) - getitem(x, cut[1])
    return np_sum(width * (high + low) / 2.0, axis=k)
