"""Arithmetic element by element: the four operations, remainders, the absolute value, rounding.

In: values of any shapes, broadcast and promoted as NumPy does.  Out: a value of the joint shape.

    x + y;   -x;   x // 2;   np.abs(x);   np.round(x, 2)

Powers are in `ops/elementary.py`.  The derivative of `abs` at 0 is 0, as in JAX (docs/supported.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.errors import UnsupportedError, fail
from adc.ir import OPERATORS, Pointwise, Primitive, Sample, here
from adc.ops.core import elementwise, value
from adc.ops.registry import answers, register
from adc.ops.samples import ANY, POSITIVE, and_also, between, halves, ints

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
absolute: Primitive = elementwise(
    "abs", calls=(np.abs, np.fabs), numpy="np.abs({0})", scalar="abs({0})", partials=(lambda y, x: sign(x),),
    samples=and_also(between((0.2, 2.0)), between((-2.0, -0.2), extra=(0.0,)), ints((-9, 9))), result="same", cheap=True,
)
sign: Primitive = elementwise(
    "sign", calls=(np.sign,), numpy="np.sign({0})",
    scalar="({0} if {0} != {0} else (1.0 if {0} > 0 else (-1.0 if {0} < 0 else 0.0)))", partials=(None,),
    samples=and_also(between((0.2, 2.0)), between((-2.0, -0.2), extra=(0.0,))), result="same",
)
copysign: Primitive = elementwise(
    "copysign", calls=(np.copysign,), numpy="np.copysign({0}, {1})",
    partials=(lambda z, a, b: copysign(1.0, a) * copysign(1.0, b), None), samples=between(POSITIVE, POSITIVE),
)


@answers(np.divmod, divmod)
def divmod_(a: Any, b: Any) -> Any:
    return OPERATORS["floordiv"](a, b), OPERATORS["mod"](a, b)


answers(np.positive)(lambda x: value(x))


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


# ---------------------------------------------------------------- rounding

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
