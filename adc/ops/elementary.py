"""Powers and elementary functions, element by element.

In: values of any shapes, broadcast and promoted as NumPy does.  Out: a value of the joint shape.

    x ** 2;   np.sqrt(x);   np.exp(x);   np.sin(x);   np.arctan2(y, x);   np.logaddexp(a, b)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import UnsupportedError, fail
from adc.ir import Lit, Params, Pointwise, Primitive, Sample, Tensor, here, literal
from adc.ops.comparison import equal, where
from adc.ops.core import broadcast_to, elementwise, promote, value
from adc.ops.registry import answers, register
from adc.ops.samples import ANY, POSITIVE, and_also, between, ints
from adc.ops.structure import convert_to

# ---------------------------------------------------------------- powers

square: Primitive = elementwise(
    "square", calls=(np.square,), numpy="{0} ** 2", scalar="{0} * {0}", partials=(lambda y, x: 2.0 * x,),
    samples=and_also(between(ANY), ints((-9, 9))), result="same", cheap=True,
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
heaviside: Primitive = elementwise(
    "heaviside", calls=(np.heaviside,), numpy="np.heaviside({0}, {1})",
    scalar="({0} if {0} != {0} else ({1} if {0} == 0.0 else (1.0 if {0} > 0.0 else 0.0)))",
    partials=(None, lambda z, a, b: where(equal(a, 0.0), 1.0, 0.0)), samples=between(POSITIVE, ANY),
)


# a / (b + exp(c)), where b > 0, as one: exp(c) may be infinite, and is taken no derivative of (`transform.prepare` finds it)
logistic: Primitive = elementwise(
    "logistic", numpy="{0} / ({1} + np.exp({2}))",
    partials=(lambda y, a, b, c: 1.0 / (b + exp(c)), lambda y, a, b, c: -(y / (b + exp(c))), lambda y, a, b, c: -(y / b / (1.0 / b + exp(-c)))),
    samples=between(ANY, POSITIVE, ANY), operator=True,
)
