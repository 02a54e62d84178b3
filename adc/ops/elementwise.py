"""Everything that works element by element: arithmetic, comparison, logic, elementary functions.

In: values of any shapes, broadcast and promoted as NumPy does.  Out: a value of the joint shape.

    np.sin(x) + y ** 2;   np.where(x > 0.0, x, 0.0);   np.maximum(a, b)

Derivatives at kinks follow JAX: `abs` at 0 is 0, equal arguments of `maximum` share (docs/supported.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import UnsupportedError, fail
from adc.ir import OPERATORS, Lit, Params, Pointwise, Primitive, Sample, Tensor, here, literal
from adc.ops.core import broadcast_dims, broadcast_to, elementwise, promote, value
from adc.ops.registry import METHODS, answers, register
from adc.ops.samples import ANY, POSITIVE, and_also, between, halves, ints
from adc.ops.structure import convert_to

# ---------------------------------------------------------------- arithmetic

add: Primitive = elementwise(
    "add", calls=(np.add,), numpy="{0} + {1}", partials=(lambda y, a, b: 1, lambda y, a, b: 1),
    samples=and_also(between(ANY, ANY), ints((-9, 9), (-9, 9)), halves), result="same", cheap=True, operator=True,
)
sub: Primitive = elementwise(
    "sub", calls=(np.subtract,), numpy="{0} - {1}", partials=(lambda y, a, b: 1, lambda y, a, b: -1),
    samples=and_also(between(ANY, ANY), ints((-9, 9), (-9, 9))), result="same", cheap=True, operator=True,
)
mul: Primitive = elementwise(
    "mul", calls=(np.multiply,), numpy="{0} * {1}", partials=(lambda y, a, b: b, lambda y, a, b: a),
    samples=and_also(between(ANY, ANY), ints((-9, 9), (-9, 9)), halves), result="same", cheap=True, operator=True,
)
div: Primitive = elementwise(
    "div", calls=(np.divide, np.true_divide), numpy="{0} / {1}",
    partials=(lambda y, a, b: 1.0 / b, lambda y, a, b: -(y / b)),
    samples=and_also(between(ANY, POSITIVE), ints((-9, 9), (1, 9)), halves), operator=True,
)
# a / (b + exp(c)), where b > 0, as one: exp(c) may be infinite, and is taken no derivative of (`transform.prepare` finds it)
logistic: Primitive = elementwise(
    "logistic", numpy="{0} / ({1} + np.exp({2}))",
    partials=(lambda y, a, b, c: 1.0 / (b + exp(c)), lambda y, a, b, c: -(y / (b + exp(c))), lambda y, a, b, c: -(y / b / (1.0 / b + exp(-c)))),
    samples=between(ANY, POSITIVE, ANY), operator=True,
)
neg: Primitive = elementwise(
    "neg", calls=(np.negative,), numpy="-{0}", partials=(lambda y, x: -1,),
    samples=and_also(between(ANY), ints((-9, 9))), result="same", cheap=True, operator=True,
)
floordiv: Primitive = elementwise(
    "floordiv", calls=(np.floor_divide,), numpy="{0} // {1}", partials=(None, None),
    samples=and_also(ints((-9, 9), (1, 5)), ints((-9, 9), (-5, -1)), between((0.1, 9.0), (2.0, 3.0))),
    result="same", operator=True,
)
mod: Primitive = elementwise(
    "mod", calls=(np.mod, np.remainder), numpy="{0} % {1}",
    partials=(lambda y, a, b: 1, lambda y, a, b: -(a // b)),
    samples=and_also(between((0.1, 1.9), (2.0, 3.0)), between((-1.9, -0.1), (2.0, 3.0)), ints((-9, 9), (1, 5)), ints((-9, 9), (-5, -1))),
    result="same", operator=True,
)
fmod: Primitive = elementwise(
    "fmod", calls=(np.fmod,), numpy="np.fmod({0}, {1})",
    partials=(lambda y, a, b: 1, lambda y, a, b: -trunc(a / b)),
    samples=and_also(between((0.1, 1.9), (2.0, 3.0)), between((-1.9, -0.1), (2.0, 3.0))), result="same",
)
square: Primitive = elementwise(
    "square", calls=(np.square,), numpy="{0} ** 2", scalar="{0} * {0}", partials=(lambda y, x: 2.0 * x,),
    samples=and_also(between(ANY), ints((-9, 9))), result="same", cheap=True,
)
absolute: Primitive = elementwise(
    "abs", calls=(np.abs, np.fabs), numpy="np.abs({0})", scalar="abs({0})", partials=(lambda y, x: sign(x),),
    samples=and_also(between((0.2, 2.0)), between((-2.0, -0.2), extra=(0.0,)), ints((-9, 9))), result="same", cheap=True,
)
sign: Primitive = elementwise(
    "sign", calls=(np.sign,), numpy="np.sign({0})",
    scalar="({0} if {0} != {0} else (1.0 if {0} > 0 else (-1.0 if {0} < 0 else 0.0)))", partials=(None,),
    samples=and_also(between((0.2, 2.0)), between((-2.0, -0.2), extra=(0.0,))), result="same",
)


def _power_x(z: Any, x: Any, y: Any) -> Any:
    # y * x**(y - 1), and 0 where y == 0 even at x == 0
    flat = equal(y, 0.0)
    return where(flat, 0.0, y * power(x, where(flat, 1.0, y - 1.0)))


def _power_y(z: Any, x: Any, y: Any) -> Any:
    return log(where(equal(x, 0.0), 1.0, x)) * z


power: Primitive = elementwise(
    "power", numpy="{0} ** {1}", partials=(_power_x, _power_y),
    samples=and_also(between(POSITIVE, ANY), ints((1, 5), (0, 5))), result="same", operator=True,
)


def _integer_power_rule(args: Any, outs: Any, given: Any, p: Params) -> Any:
    n, x = p["n"], args[0]
    return (None if given[0] is None else given[0] * (float(n) * raise_to(x, n - 1)),)


def _products(x: str, n: int) -> str:
    """`x ** n` for loops: Numba's own power of integers is a function that it compiles anew for each kernel."""
    if n > 8:
        return f"({x}) ** {n}"
    half = " * ".join([x] * (n // 2))
    return " * ".join([x] * n) if n < 4 else f"({half}) * ({half})" + f" * {x}" * (n % 2)


integer_power: Primitive = register(
    Primitive(
        "integer_power",
        type=lambda types, p: (Tensor(types[0].dtype, types[0].dims, types[0].weak),),
        numpy=lambda args, types, p, dim: f"{args[0]} ** {p['n']}",
        # small constant exponents become products
        loops=Pointwise(lambda args, types, p: _products(args[0], p["n"]) if p["n"] > 0 else f"(1 / ({_products(args[0], -p['n'])}))"),
        jvp=_integer_power_rule,
        vjp=_integer_power_rule,
        samples=lambda: (
            *(Sample((np.array([-1.5, 0.5, 2.0]),), {"n": n}) for n in (3, 4, -1, -2)),
            Sample((np.array([2, -3]),), {"n": 3}, False),
            Sample((np.array([0.5, 2.0], np.float32),), {"n": 3}, False),
        ),
        reference=lambda x, n: np.asarray(x)[()] ** n,
    )
)


def raise_to(x: Any, n: int) -> Any:
    """`x` to an integer power that is known now."""
    if n == 0:
        return broadcast_to(literal(1, x.type.dtype), x.type.dims)
    if n == 1:
        return x
    return square(x) if n == 2 else integer_power(x, n=n)


@answers(np.power, np.float_power)
def pow_(x: Any, y: Any) -> Any:
    """`x ** y`; an integer exponent known now becomes products, as `x ** 2` reads."""
    x = value(x)
    y = value(y)
    if isinstance(y, Lit) and y.value == int(y.value if math.isfinite(y.value) else 0) and abs(y.value) <= 64 and not isinstance(y.value, bool):
        joint = promote((x.type, y.type))
        if joint.kind == "f" or y.value >= 0:
            weak = x.type.weak and y.type.weak
            x = x if weak and x.type.dtype == joint else convert_to(x, joint)
            return raise_to(x, int(y.value))
    if promote((x.type, y.type)).kind != "f" and isinstance(y, Lit) and y.value < 0:
        if x.type.weak:
            return raise_to(convert_to(x, np.float64), int(y.value))
        raise fail(UnsupportedError, "type", here(), what="Integers to negative integer powers are not allowed.", instead="use a float base")
    return power(x, y)


answers(math.pow)(lambda x, y: pow_(convert_to(value(x), np.float64), y))


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


# the value, taken as constant by every derivative
stop_gradient: Primitive = register(
    Primitive(
        "stop_gradient",
        type=lambda types, p: types,
        numpy="{0}",
        loops=Pointwise("{0}"),
        jvp=lambda args, outs, dots, p: (None,),
        vjp=lambda args, outs, bars, p: (None,),
        samples=lambda: (Sample((np.array([0.5, -1.0]),), differentiable=False),),
        reference=lambda x: x,
        cheap=True,
    )
)


@answers("adc.api.functions.stop_gradient")
def _stop(x: Any) -> Any:
    x = value(x)
    return stop_gradient(x) if x.type.is_float else x


# ---------------------------------------------------------------- elementary functions

def _function(
    name: str, fn: Any, domain: tuple[float, float], rule: Callable[..., Any], extra: tuple[float, ...] = (), scalar: str | None = None,
    text: str | None = None,
) -> Primitive:
    calls = fn if isinstance(fn, tuple) else (fn,)
    return elementwise(
        name, calls=calls, numpy=text or f"np.{name}({{0}})", scalar=scalar, partials=(rule,), samples=between(domain, extra=extra)
    )


exp: Primitive = _function("exp", np.exp, ANY, lambda y, x: y)
expm1: Primitive = _function("expm1", np.expm1, ANY, lambda y, x: y + 1.0)
exp2: Primitive = _function("exp2", np.exp2, ANY, lambda y, x: y * math.log(2.0))
log: Primitive = _function("log", np.log, POSITIVE, lambda y, x: 1.0 / x, extra=(0.0, np.inf))
log1p: Primitive = _function("log1p", np.log1p, (-0.5, 2.0), lambda y, x: 1.0 / (x + 1.0))
log2: Primitive = _function("log2", np.log2, POSITIVE, lambda y, x: (1.0 / math.log(2.0)) / x)
log10: Primitive = _function("log10", np.log10, POSITIVE, lambda y, x: (1.0 / math.log(10.0)) / x)
sqrt: Primitive = _function("sqrt", np.sqrt, POSITIVE, lambda y, x: 0.5 / y, extra=(0.0,))
cbrt: Primitive = _function("cbrt", np.cbrt, POSITIVE, lambda y, x: 1.0 / (3.0 * square(y)))
reciprocal: Primitive = _function("reciprocal", np.reciprocal, POSITIVE, lambda y, x: -square(y), text="1.0 / {0}")
sin: Primitive = _function("sin", np.sin, ANY, lambda y, x: cos(x))
cos: Primitive = _function("cos", np.cos, ANY, lambda y, x: -sin(x))
tan: Primitive = _function("tan", np.tan, (-1.0, 1.0), lambda y, x: 1.0 + square(y))
arcsin: Primitive = _function("arcsin", np.arcsin, (-0.9, 0.9), lambda y, x: 1.0 / sqrt(1.0 - square(x)))
arccos: Primitive = _function("arccos", np.arccos, (-0.9, 0.9), lambda y, x: -1.0 / sqrt(1.0 - square(x)))
arctan: Primitive = _function("arctan", np.arctan, ANY, lambda y, x: 1.0 / (1.0 + square(x)))
sinh: Primitive = _function("sinh", np.sinh, ANY, lambda y, x: cosh(x))
cosh: Primitive = _function("cosh", np.cosh, ANY, lambda y, x: sinh(x))
tanh: Primitive = _function("tanh", np.tanh, ANY, lambda y, x: 1.0 - square(y))
arcsinh: Primitive = _function("arcsinh", np.arcsinh, ANY, lambda y, x: 1.0 / sqrt(square(x) + 1.0))
arccosh: Primitive = _function("arccosh", np.arccosh, (1.2, 3.0), lambda y, x: 1.0 / sqrt(square(x) - 1.0))
arctanh: Primitive = _function("arctanh", np.arctanh, (-0.9, 0.9), lambda y, x: 1.0 / (1.0 - square(x)))
degrees: Primitive = _function("degrees", (np.degrees, np.rad2deg), ANY, lambda y, x: 180.0 / math.pi)
radians: Primitive = _function("radians", (np.radians, np.deg2rad), ANY, lambda y, x: math.pi / 180.0)


def _sinc_rule(y: Any, x: Any) -> Any:
    flat = equal(x, 0.0)
    return where(flat, 0.0, (cos(math.pi * x) - y) / where(flat, 1.0, x))


sinc: Primitive = _function(
    "sinc", np.sinc, (0.2, 2.0), _sinc_rule, extra=(0.0,),
    scalar="(math.sin(math.pi * {0}) / (math.pi * {0}) if {0} != 0.0 else 1.0)",
)


def _step(name: str, fn: Any, scalar: str | None = None) -> Primitive:
    """Piecewise constant: the derivative is zero wherever there is one."""
    return elementwise(
        name, calls=(fn,), numpy=f"np.{name}({{0}})", scalar=scalar, partials=(None,),
        samples=between((-1.9, -1.6), extra=(0.5, 1.5, -0.5)), cheap=True,
    )


floor: Primitive = _step("floor", np.floor)
ceil: Primitive = _step("ceil", np.ceil)
trunc: Primitive = _step("trunc", np.trunc)
rint: Primitive = _step("rint", np.rint)
answers(np.fix)(lambda x: trunc(x))


@answers(np.round, np.around, method="round")
def round_(a: Any, decimals: int = 0) -> Any:
    x = value(a)
    if not x.type.is_float:
        if decimals >= 0:
            return x
        raise fail(UnsupportedError, "type", here(), what="integers are rounded to a power of ten", instead="convert to float first")
    if decimals == 0:
        return rint(x)
    scale = 10.0 ** abs(decimals)
    return rint(x * scale) / scale if decimals > 0 else rint(x / scale) * scale


def _angle_rule(k: int) -> Callable[..., Any]:
    def rule(z: Any, y: Any, x: Any) -> Any:
        norm = square(x) + square(y)
        return x / norm if k == 0 else -(y / norm)

    return rule


arctan2: Primitive = elementwise(
    "arctan2", calls=(np.arctan2,), numpy="np.arctan2({0}, {1})", partials=(_angle_rule(0), _angle_rule(1)),
    samples=and_also(between(ANY, POSITIVE), between((0.2, 2.0), (-2.0, -0.2))),
)


def _hypot_rule(k: int) -> Callable[..., Any]:
    def rule(h: Any, *xs: Any) -> Any:
        return xs[k] / where(equal(h, 0.0), 1.0, h)

    return rule


hypot: Primitive = elementwise(
    "hypot", calls=(np.hypot,), numpy="np.hypot({0}, {1})", partials=(_hypot_rule(0), _hypot_rule(1)), samples=between(ANY, POSITIVE, extra=(0.0,))
)


def _sigmoid(x: Any) -> Any:
    from adc.ops.probability import expit  # defined on top of this file

    return expit(x)


logaddexp: Primitive = elementwise(
    "logaddexp", calls=(np.logaddexp,), numpy="np.logaddexp({0}, {1})", scalar="routines.logaddexp({0}, {1})",
    partials=(lambda z, a, b: _sigmoid(a - b), lambda z, a, b: _sigmoid(b - a)), samples=between(ANY, ANY),
)
logaddexp2: Primitive = elementwise(
    "logaddexp2", calls=(np.logaddexp2,), numpy="np.logaddexp2({0}, {1})",
    partials=(lambda z, a, b: _sigmoid((a - b) * math.log(2.0)), lambda z, a, b: _sigmoid((b - a) * math.log(2.0))), samples=between(ANY, ANY),
)
copysign: Primitive = elementwise(
    "copysign", calls=(np.copysign,), numpy="np.copysign({0}, {1})",
    partials=(lambda z, a, b: copysign(1.0, a) * copysign(1.0, b), None), samples=between(POSITIVE, POSITIVE),
)
heaviside: Primitive = elementwise(
    "heaviside", calls=(np.heaviside,), numpy="np.heaviside({0}, {1})",
    scalar="({0} if {0} != {0} else ({1} if {0} == 0.0 else (1.0 if {0} > 0.0 else 0.0)))",
    partials=(None, lambda z, a, b: where(equal(a, 0.0), 1.0, 0.0)), samples=between(POSITIVE, ANY),
)


@answers(np.divmod, divmod)
def divmod_(a: Any, b: Any) -> Any:
    return OPERATORS["floordiv"](a, b), OPERATORS["mod"](a, b)


answers(np.positive)(lambda x: value(x))


@answers(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    x = value(x)
    if not x.type.is_float:
        return x
    big = float(np.finfo(x.type.dtype).max)
    y = where(isnan(x), nan, x)
    y = where(equal(x, math.inf), big if posinf is None else posinf, y)
    return where(equal(x, -math.inf), -big if neginf is None else neginf, y)


# ---------------------------------------------------------------- Python's operators and the math module

def _logical(on_numbers: Any, on_flags: Any) -> Callable[[Any, Any], Any]:
    """NumPy's `+` and `*` of booleans are "or" and "and"."""

    def op(a: Any, b: Any) -> Any:
        a, b = value(a), value(b)
        if a.type.dtype.kind == b.type.dtype.kind == "b" and not (a.type.weak or b.type.weak) and (a.type.rank or b.type.rank):
            return on_flags(a, b)
        if a.type.dtype.kind == b.type.dtype.kind == "b":
            a, b = convert_to(a, np.int64), convert_to(b, np.int64)
        return on_numbers(a, b)

    return op


OPERATORS.update(
    {
        "add": _logical(add, bit_or),
        "sub": sub,
        "mul": _logical(mul, bit_and),
        "truediv": div,
        "floordiv": floordiv,
        "mod": mod,
        "pow": pow_,
        "neg": neg,
        "pos": value,
        "abs": absolute,
        "lt": less,
        "le": less_equal,
        "gt": greater,
        "ge": greater_equal,
        "eq": equal,
        "ne": not_equal,
        "and": bit_and,
        "or": bit_or,
        "xor": bit_xor,
        "lshift": left_shift,
        "rshift": right_shift,
        "invert": invert,
    }
)


def _scalar_only(prim: Callable[..., Any], *, integer: bool = False) -> Callable[..., Any]:
    """A function of `math`: Python floats in, a Python float (or int) out."""

    def call(*xs: Any) -> Any:
        values = tuple(value(x) for x in xs)
        for v in values:
            if v.type.rank:
                raise fail(UnsupportedError, "type", here(), what="only length-1 arrays can be converted to Python scalars", instead="use the function of numpy")
        y = prim(*values, weak=True) if isinstance(prim, Primitive) else prim(*values)
        return convert_to(y, np.int64) if integer else y

    return call


for _fn, _prim in {
    math.sin: sin, math.cos: cos, math.tan: tan, math.asin: arcsin, math.acos: arccos, math.atan: arctan, math.atan2: arctan2,
    math.sinh: sinh, math.cosh: cosh, math.tanh: tanh, math.asinh: arcsinh, math.acosh: arccosh, math.atanh: arctanh,
    math.exp: exp, math.expm1: expm1, math.log1p: log1p, math.log2: log2, math.log10: log10, math.sqrt: sqrt, math.fabs: absolute,
    math.hypot: hypot, math.degrees: degrees, math.radians: radians, math.copysign: copysign, math.fmod: fmod,
    math.isnan: isnan, math.isinf: isinf, math.isfinite: isfinite,
}.items():  # fmt: skip
    answers(_fn)(_scalar_only(_prim))
for _fn, _prim in {math.floor: floor, math.ceil: ceil, math.trunc: trunc}.items():
    answers(_fn)(_scalar_only(_prim, integer=True))
if hasattr(math, "cbrt"):  # Python 3.11
    answers(math.cbrt)(_scalar_only(cbrt))
    answers(getattr(math, "exp2"))(_scalar_only(exp2))


@answers(math.log)
def math_log(x: Any, base: Any = None) -> Any:
    y = _scalar_only(log)(x)
    return y if base is None else y / _scalar_only(log)(base)


METHODS["__abs__"] = absolute
