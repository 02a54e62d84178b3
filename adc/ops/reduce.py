"""Reductions over axes: sum, prod, max, min, any, all, argmax, argmin, mean.

In: a value, NumPy's `axis` and `keepdims`.  Out: a value with those axes gone (or of extent 1).

    np.sum(x, axis=0); x.mean(); np.max(x, axis=(0, 1), keepdims=True)

Derivatives: equal maxima share (as in JAX); `prod` is right with zeros, to any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import (
    Atom,
    Guard,
    Params,
    Primitive,
    Reduction,
    Routine,
    Sample,
    Tensor,
    build_for,
    guard,
    here,
    literal,
    product,
)
from adc.ops.comparison import equal, truth, where
from adc.ops.core import broadcast_to, check_dtype, value
from adc.ops.registry import PRIMITIVES, answers, register
from adc.ops.structure import broadcast, check, convert_to, expand, size_value

BOOL, INT = np.dtype("?"), np.dtype("i8")


def _drop(t: Tensor, axes: tuple[int, ...], dtype: Any = None) -> Tensor:
    return Tensor(t.dtype if dtype is None else np.dtype(dtype), tuple(d for k, d in enumerate(t.dims) if k not in axes))


def _text(name: str) -> Callable[..., str]:
    def numpy(args: list[str], types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
        axes = p["axes"]
        if len(axes) == types[0].rank:
            return f"np.{name}({args[0]})"
        return f"np.{name}({args[0]}, axis={axes[0] if len(axes) == 1 else axes})"

    return numpy


def _arrays() -> tuple[Sample, ...]:
    rng = np.random.default_rng(5)
    x = rng.uniform(0.5, 2.0, (2, 3, 4))
    return (
        Sample((x,), {"axes": (0, 1, 2)}),
        Sample((x,), {"axes": (1,)}),
        Sample((x[0],), {"axes": (0,)}),
        Sample((x[0, 0],), {"axes": (0,)}),
    )


def spread(y: Atom, like: Tensor, axes: tuple[int, ...]) -> Atom:
    """The result of a reduction seen at every element that went into it."""
    return broadcast(y, dims=like.dims, axes=tuple(k for k in range(like.rank) if k not in axes))


sum_: Primitive = register(
    Primitive(
        "sum",
        type=lambda types, p: (_drop(types[0], p["axes"]),),
        numpy=_text("sum"),
        loops=Reduction("sum"),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else sum_(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (spread(bars[0], args[0].type, p["axes"]) if args[0].type.is_float else None,),
        samples=lambda: (
            *_arrays(),
            Sample((np.zeros((0, 3)),), {"axes": (0,)}, False),
            Sample((np.arange(6).reshape(2, 3),), {"axes": (1,)}, False),
            Sample((np.linspace(0, 1, 5, dtype=np.float32),), {"axes": (0,)}, False),
        ),
        reference=lambda x, axes: np.sum(x, axis=axes),
        prepare=lambda x, axes: ((value(x),), {"axes": tuple(axes)}),
    )
)


def _extreme_indicator(x: Atom, y: Atom, axes: tuple[int, ...]) -> Atom:
    """1/k at each of the k places where the extreme value stands."""
    flags = equal(x, spread(y, x.type, axes))
    mask = convert_to(flags, x.type.dtype)
    return mask / spread(sum_(mask, axes=axes), x.type, axes)


def _extreme(name: str, fn: Any) -> Primitive:
    def jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
        if dots[0] is None:
            return (None,)
        return (sum_(dots[0] * _extreme_indicator(args[0], outs[0], p["axes"]), axes=p["axes"]),)

    def vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
        x, axes = args[0], p["axes"]
        if not x.type.is_float:
            return (None,)
        return (spread(bars[0], x.type, axes) * _extreme_indicator(x, outs[0], axes),)

    return register(
        Primitive(
            name,
            type=lambda types, p: (_drop(types[0], p["axes"]),),
            numpy=_text(name),
            loops=Reduction(name),
            jvp=jvp,
            vjp=vjp,
            samples=lambda: (*_arrays(), Sample((np.array([3, 1, 3]),), {"axes": (0,)}, False)),
            reference=lambda x, axes: fn(x, axis=axes),
        )
    )


max_: Primitive = _extreme("max", np.max)
min_: Primitive = _extreme("min", np.min)


def _others(x: Atom, axes: tuple[int, ...]) -> Atom:
    """At each element the product of the others along `axes`: what stands before times what stands after.

    No division, so zeros are right and it can be differentiated again.
    """
    rest = tuple(k for k in range(x.type.rank) if k not in axes)
    order = (*axes, *rest)
    rest_dims = tuple(x.type.dims[k] for k in rest)
    count = product(x.type.dims[k] for k in axes)
    moved = PRIMITIVES["transpose"](x, axes=order) if order != tuple(range(x.type.rank)) else x
    moved_dims = moved.type.dims
    rows = PRIMITIVES["reshape"](moved, dims=(count, *rest_dims)) if moved_dims != (count, *rest_dims) else moved
    one = broadcast_to(literal(1.0, x.type.dtype), rest_dims)

    def step(i: Any, c: Any) -> Any:
        row = PRIMITIVES["index"](rows, i, axes=_row(rest_dims))
        return (c * row,), (), (c,)

    _, _, (before,) = build_for(count, (one,), step)
    _, _, (after,) = build_for(count, (one,), step, reverse=True)
    y = before * after
    y = PRIMITIVES["reshape"](y, dims=moved_dims) if y.type.dims != moved_dims else y
    back = tuple(order.index(k) for k in range(x.type.rank))
    return PRIMITIVES["transpose"](y, axes=back) if back != tuple(range(x.type.rank)) else y


def _row(rest: tuple[Any, ...]) -> tuple[Any, ...]:
    from adc.ops.access import Arg, At, Slice

    return (At(Arg(0)), *(Slice(0, d, 1) for d in rest))


prod_: Primitive = register(
    Primitive(
        "prod",
        type=lambda types, p: (_drop(types[0], p["axes"]),),
        numpy=_text("prod"),
        loops=Reduction("prod"),
        jvp=lambda args, outs, dots, p: (
            None if dots[0] is None else sum_(dots[0] * _others(args[0], p["axes"]), axes=p["axes"]),
        ),
        vjp=lambda args, outs, bars, p: (
            spread(bars[0], args[0].type, p["axes"]) * _others(args[0], p["axes"]) if args[0].type.is_float else None,
        ),
        samples=lambda: (
            *_arrays(),
            Sample((np.array([0.0, 2.0, 3.0]),), {"axes": (0,)}),
            Sample((np.array([0.0, 2.0, 0.0]),), {"axes": (0,)}),
            Sample((np.array([2, 3, 4]),), {"axes": (0,)}, False),
        ),
        reference=lambda x, axes: np.prod(x, axis=axes),
    )
)


def _flags_sample() -> tuple[Sample, ...]:
    x = np.array([[True, False], [True, True]])
    return Sample((x,), {"axes": (0,)}, False), Sample((x,), {"axes": (0, 1)}, False)


def _logical(name: str, fn: Any) -> Primitive:
    return register(
        Primitive(
            name,
            type=lambda types, p: (_drop(types[0], p["axes"], BOOL),),
            numpy=_text(name),
            loops=Reduction(name),
            jvp=None,
            vjp=None,
            samples=_flags_sample,
            reference=lambda x, axes: fn(x, axis=axes),
        )
    )


any_ = _logical("any", np.any)
all_ = _logical("all", np.all)


# ---------------------------------------------------------------- argmax and argmin

def argmax_rows(x, out, n, m):  # type: ignore[no-untyped-def]
    """The first place of the greatest element of each row; a NaN counts as greatest, as in NumPy."""
    for i in range(n):
        best = 0
        for j in range(m):
            a = x[i * m + j]
            b = x[i * m + best]
            if b == b and (a > b or a != a):
                best = j
        out[i] = best


def argmin_rows(x, out, n, m):  # type: ignore[no-untyped-def]
    """The first place of the least element of each row; a NaN counts as least, as in NumPy."""
    for i in range(n):
        best = 0
        for j in range(m):
            a = x[i * m + j]
            b = x[i * m + best]
            if b == b and (a < b or a != a):
                best = j
        out[i] = best


def _arg(name: str, fn: Any, routine: Any) -> Primitive:
    return register(
        Primitive(
            name,
            type=lambda types, p: (Tensor(INT, types[0].dims[:1]),),
            numpy=f"np.{name}({{0}}, axis=1)",
            loops=Routine(routine),
            jvp=None,
            vjp=None,
            samples=lambda: (
                Sample((np.array([[1.0, 3.0, 3.0], [2.0, np.nan, 5.0]]),), {}, False),
                Sample((np.array([[4, 1, 1]]),), {}, False),
            ),
            reference=lambda x: fn(x, axis=1),
        )
    )


argmax_rows_prim = _arg("argmax", np.argmax, argmax_rows)
argmin_rows_prim = _arg("argmin", np.argmin, argmin_rows)


# ---------------------------------------------------------------- as NumPy calls them

def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """`axis` of a reduction as sorted positions."""
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    out = []
    for a in given:
        if not isinstance(a, int | np.integer) or isinstance(a, bool):
            raise fail(UnsupportedError, "static", here(), what="the axis of a reduction")
        if not -rank <= a < rank:
            raise fail(ShapeError, "shape", here(), what=f"axis {a} is out of bounds for array of dimension {rank}")
        out.append(int(a) % rank)
    if len(set(out)) != len(out):
        raise fail(ShapeError, "shape", here(), what="duplicate value in 'axis'")
    return tuple(sorted(out))


def keep(y: Atom, axes: tuple[int, ...], keepdims: bool) -> Atom:
    return expand(y, axes) if keepdims else y


def not_empty(x: Atom, axes: tuple[int, ...], what: str) -> None:
    """NumPy refuses extremes of nothing."""
    from adc.ir.build import run_time_sizes
    from adc.ir.dims import at_least, size, symbols

    for k in axes:
        d = x.type.dims[k]
        message = f"zero-size array to reduction operation {what} which has no identity"
        if d == 0:
            raise fail(ShapeError, "shape", here(), what=message)
        if any(s in run_time_sizes() for s in symbols(size(d))):
            check(PRIMITIVES["greater"](size_value(d), 0), code="shape", message=message)
        elif not at_least(d, 1):
            guard(Guard("least", d, 1, message, here()))


def _only_where(x: Atom, mask: Any, otherwise: Any) -> Atom:
    return x if mask is None or mask is True else where(mask, x, otherwise)  # type: ignore[no-any-return]


@answers(np.sum, sum_, method="sum")
def np_sum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Atom:
    x = value(a)
    if dtype is not None:
        x = convert_to(x, check_dtype(dtype))
    elif x.type.dtype.kind == "b" or (x.type.dtype.itemsize < 8 and x.type.dtype.kind == "i"):
        x = convert_to(x, INT)
    x = _only_where(x, where, 0)
    axes = axes_of(axis, x.type.rank)
    y = keep(sum_(x, axes=axes), axes, keepdims) if axes else x
    return y if initial is None else y + initial


@answers(np.prod, method="prod")
def np_prod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Atom:
    x = value(a)
    if dtype is not None:
        x = convert_to(x, check_dtype(dtype))
    elif x.type.dtype.kind == "b" or (x.type.dtype.itemsize < 8 and x.type.dtype.kind == "i"):
        x = convert_to(x, INT)
    x = _only_where(x, where, 1)
    axes = axes_of(axis, x.type.rank)
    y = keep(prod_(x, axes=axes), axes, keepdims) if axes else x
    return y if initial is None else y * initial


def _extreme_front(prim: Primitive, what: str, pick: str) -> Callable[..., Atom]:
    def front(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None) -> Atom:
        x = value(a)
        if where is not None and initial is None:
            raise fail(ShapeError, "shape", here(), what=f"reduction operation '{what}' does not have an identity, so to use a where mask one has to specify 'initial'")
        axes = axes_of(axis, x.type.rank)
        if not axes:
            return x
        if where is not None:
            x = _only_where(x, where, initial)
        if x.type.dtype.kind == "b":
            y = (any_ if pick == "maximum" else all_)(x, axes=axes)
        else:
            if initial is None:
                not_empty(x, axes, what)
            y = prim(x, axes=axes)
        y = keep(y, axes, keepdims)
        return y if initial is None else PRIMITIVES[pick](y, initial)

    return front


np_max = answers(np.max, np.amax, method="max")(_extreme_front(max_, "maximum", "maximum"))
np_min = answers(np.min, np.amin, method="min")(_extreme_front(min_, "minimum", "minimum"))


@answers(np.any, method="any")
def np_any(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
    x = truth(a)
    axes = axes_of(axis, x.type.rank)
    return keep(any_(x, axes=axes), axes, keepdims) if axes else x


@answers(np.all, method="all")
def np_all(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
    x = truth(a)
    axes = axes_of(axis, x.type.rank)
    return keep(all_(x, axes=axes), axes, keepdims) if axes else x


@answers(np.mean, method="mean")
def np_mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
    x = value(a)
    x = convert_to(x, check_dtype(dtype) if dtype is not None else x.type.dtype if x.type.is_float else np.float64)
    axes = axes_of(axis, x.type.rank)
    count = product(x.type.dims[k] for k in axes)
    y = sum_(x, axes=axes) if axes else x
    return keep(y / convert_to(size_value(count), x.type.dtype), axes, keepdims)


def _arg_front(prim: Primitive, what: str) -> Callable[..., Atom]:
    def front(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Atom:
        x = value(a)
        if x.type.dtype.kind == "b":
            x = convert_to(x, INT)
        rank = x.type.rank
        axes = axes_of(axis, rank)
        if axis is not None and len(axes) != 1:
            raise fail(UnsupportedError, "type", here(), what=f"{what} takes one axis", instead="reshape first")
        not_empty(x, axes, what)
        rest = tuple(k for k in range(rank) if k not in axes)
        order = (*rest, *axes)
        if order != tuple(range(rank)):
            x = PRIMITIVES["transpose"](x, axes=order)
        lead, last = x.type.dims[: len(rest)], product(x.type.dims[len(rest) :])
        rows = PRIMITIVES["reshape"](x, dims=(product(lead), last)) if x.type.dims != (product(lead), last) else x
        y = prim(rows)
        if lead != y.type.dims:
            y = PRIMITIVES["reshape"](y, dims=lead)
        return keep(y, axes, keepdims)

    return front


np_argmax = answers(np.argmax, method="argmax")(_arg_front(argmax_rows_prim, "argmax"))
np_argmin = answers(np.argmin, method="argmin")(_arg_front(argmin_rows_prim, "argmin"))
