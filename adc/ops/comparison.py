"""Comparison, logic and choice, element by element.

In: values of any shapes, broadcast and promoted as NumPy does.  Out: a value of the joint shape, of booleans or of what was chosen.

    x < y;   np.logical_and(a, b);   np.isnan(x);   np.where(x > 0.0, x, 0.0);   np.maximum(a, b);   np.clip(x, 0.0, 1.0)

Derivatives at ties follow JAX: equal arguments of `maximum` share (docs/supported.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.ir import Params, Pointwise, Primitive, Sample, Tensor
from adc.ops.core import broadcast_dims, broadcast_to, elementwise, promote, value
from adc.ops.registry import answers, register
from adc.ops.samples import ANY, and_also, between, ints
from adc.ops.structure import convert_to

# ---------------------------------------------------------------- comparison and logic

def _compare(name: str, fn: Any, op: str) -> Primitive:
    return elementwise(
        name, calls=(fn,), numpy="{0} " + op + " {1}", partials=None, result="bool", cheap=True,
        samples=lambda: (
            Sample((np.array([1.0, 2.0, 3.0, np.nan]), np.array([2.0, 2.0, 1.0, 0.0])), {}, False),
            Sample((np.asarray(1), np.asarray(1)), {}, False),
        ),
    )


less = _compare("less", np.less, "<")
less_equal = _compare("less_equal", np.less_equal, "<=")
greater = _compare("greater", np.greater, ">")
greater_equal = _compare("greater_equal", np.greater_equal, ">=")
equal = _compare("equal", np.equal, "==")
not_equal = _compare("not_equal", np.not_equal, "!=")

_FLAGS = (np.array([True, True, False, False]), np.array([True, False, True, False]))


def _bitwise(name: str, fn: Any, op: str) -> Primitive:
    return elementwise(
        name, calls=(fn,), numpy="{0} " + op + " {1}", partials=None, result="same", cheap=True,
        samples=lambda: (Sample(_FLAGS, {}, False), Sample((np.array([5, 6]), np.array([3, 1])), {}, False)),
    )


bit_and = _bitwise("and", np.bitwise_and, "&")
bit_or = _bitwise("or", np.bitwise_or, "|")
bit_xor = _bitwise("xor", np.bitwise_xor, "^")
left_shift: Primitive = elementwise(
    "left_shift", calls=(np.left_shift,), numpy="{0} << {1}", partials=None, result="same", samples=ints((0, 9), (0, 5)), cheap=True
)
right_shift: Primitive = elementwise(
    "right_shift", calls=(np.right_shift,), numpy="{0} >> {1}", partials=None, result="same", samples=ints((0, 99), (0, 5)), cheap=True
)
invert: Primitive = elementwise(
    "invert", calls=(np.invert,), numpy="~{0}", partials=None, result="same", cheap=True,
    scalar=lambda args, types, p: f"(not {args[0]})" if types[0].dtype.kind == "b" else f"(~{args[0]})",
    samples=lambda: (Sample((_FLAGS[1],), {}, False), Sample((np.array([5, -6]),), {}, False)),
)


def truth(x: Any) -> Any:
    """`x` as booleans."""
    x = value(x)
    return x if x.type.dtype.kind == "b" else not_equal(x, 0)


answers(np.logical_and)(lambda a, b: bit_and(truth(a), truth(b)))
answers(np.logical_or)(lambda a, b: bit_or(truth(a), truth(b)))
answers(np.logical_xor)(lambda a, b: bit_xor(truth(a), truth(b)))
answers(np.logical_not)(lambda a: invert(truth(a)))


def _test(name: str, fn: Any, scalar: str) -> Primitive:
    return elementwise(
        name, calls=(fn,), numpy=f"np.{name}({{0}})", scalar=scalar, partials=None, result="bool", float_args=True, cheap=True,
        samples=lambda: (Sample((np.array([1.0, np.nan, np.inf, -np.inf, -0.0]),), {}, False),),
    )


isnan = _test("isnan", np.isnan, "({0} != {0})")
isinf = _test("isinf", np.isinf, "np.isinf({0})")
isfinite = _test("isfinite", np.isfinite, "np.isfinite({0})")
signbit = _test("signbit", np.signbit, "np.signbit({0})")


# ---------------------------------------------------------------- choice

def _where_prepare(c: Any, a: Any, b: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    c, a, b = truth(c), value(a), value(b)
    joint = promote((a.type, b.type))
    a, b = convert_to(a, joint), convert_to(b, joint)
    dims = broadcast_dims((c.type.dims, a.type.dims, b.type.dims))
    return tuple(broadcast_to(v, dims) for v in (c, a, b)), {}


def _where_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    c, a, b = args
    if not a.type.is_float or bars[0] is None:
        return None, None, None
    return None, where(c, bars[0], 0.0), where(c, 0.0, bars[0])


def _where_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    if dots[1] is None and dots[2] is None:
        return (None,)
    return (where(args[0], 0.0 if dots[1] is None else dots[1], 0.0 if dots[2] is None else dots[2]),)


where: Primitive = register(
    Primitive(
        "where",
        type=lambda types, p: (Tensor(types[1].dtype, types[1].dims),),
        numpy="np.where({0}, {1}, {2})",
        loops=Pointwise("({1} if {0} else {2})"),
        jvp=_where_jvp,
        vjp=_where_vjp,
        samples=lambda: (
            Sample((np.array([True, False]), np.array([1.0, 2.0]), np.array([3.0, 4.0]))),
            Sample((np.asarray(True), np.asarray(1.0), np.asarray(3.0))),
            Sample((np.array([True, False]), np.array([1, 2]), np.array([3, 4])), {}, False),
        ),
        reference=lambda c, a, b: np.asarray(np.where(c, a, b))[()],
        calls=(),
        prepare=_where_prepare,
        cheap=True,
    )
)


def _share(a: Any, b: Any) -> Callable[[Any], Any]:
    return lambda bar: share(bar, a, b)


# what the first of two competitors gets of `bar`: all if it wins, half in a tie; the loser gets 0 of anything, also of inf
share: Primitive = elementwise(
    "share",
    numpy="np.where({1} == {2}, 0.5 * {0}, np.where({1} > {2}, {0}, 0.0))",
    scalar="(0.5 * {0} if {1} == {2} else ({0} if {1} > {2} else 0.0))",
    reference=lambda bar, a, b: np.where(a == b, np.asarray(0.5 * bar, np.asarray(a).dtype), np.where(a > b, bar, np.zeros_like(bar)))[()],
    partials=(lambda y, bar, a, b: _share(a, b), None, None),
    samples=between(ANY, (0.0, 1.0), (2.0, 3.0), extra=(1.0,)), cheap=True,
)
maximum: Primitive = elementwise(
    "maximum", calls=(np.maximum,), numpy="np.maximum({0}, {1})", scalar="({0} if ({0} > {1}) | ({0} != {0}) else {1})",
    partials=(lambda y, a, b: _share(a, b), lambda y, a, b: _share(b, a)),
    samples=and_also(between((0.0, 1.0), (2.0, 3.0)), between((4.0, 5.0), (2.0, 3.0), extra=(1.0,)), ints((0, 9), (0, 9))),
    result="same", cheap=True,
)
minimum: Primitive = elementwise(
    "minimum", calls=(np.minimum,), numpy="np.minimum({0}, {1})", scalar="({0} if ({0} < {1}) | ({0} != {0}) else {1})",
    partials=(lambda y, a, b: _share(b, a), lambda y, a, b: _share(a, b)),
    samples=and_also(between((0.0, 1.0), (2.0, 3.0)), between((4.0, 5.0), (2.0, 3.0), extra=(1.0,)), ints((0, 9), (0, 9))),
    result="same", cheap=True,
)


@answers(np.fmax)
def fmax(a: Any, b: Any) -> Any:
    a, b = value(a), value(b)
    return where(bit_or(greater(a, b), isnan(b)), a, b)


@answers(np.fmin)
def fmin(a: Any, b: Any) -> Any:
    a, b = value(a), value(b)
    return where(bit_or(less(a, b), isnan(b)), a, b)


@answers(np.clip, method="clip")
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    x = value(a)
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


@answers(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    x = value(x)
    if not x.type.is_float:
        return x
    big = float(np.finfo(x.type.dtype).max)
    y = where(isnan(x), nan, x)
    y = where(equal(x, math.inf), big if posinf is None else posinf, y)
    return where(equal(x, -math.inf), -big if neginf is None else neginf, y)
