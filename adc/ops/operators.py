"""Python's operators on values, and the functions of the `math` module.

In: values, or Python numbers.  Out: what `+`, `**`, `<`, … call (`OPERATORS`), and answers to `math.sin`, …

    OPERATORS["add"](x, y);   lookup(math.sqrt)(x)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import UnsupportedError, fail
from adc.ir import OPERATORS, Lit, Primitive, here, literal
from adc.ops import ranges
from adc.ops.arithmetic import absolute, add, ceil, copysign, div, floor, floordiv, fmod, mod, mul, neg, sub, trunc
from adc.ops.comparison import (
    bit_and,
    bit_or,
    bit_xor,
    equal,
    greater,
    greater_equal,
    invert,
    isfinite,
    isinf,
    isnan,
    left_shift,
    less,
    less_equal,
    not_equal,
    right_shift,
)
from adc.ops.core import value
from adc.ops.elementary import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cbrt,
    cos,
    cosh,
    degrees,
    exp,
    exp2,
    expm1,
    hypot,
    log,
    log1p,
    log2,
    log10,
    pow_,
    radians,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)
from adc.ops.registry import METHODS, answers, lookup
from adc.ops.structure import check, convert, convert_to

# ---------------------------------------------------------------- Python's operators

def _int(x: Any) -> Any:
    """A Python bool as Python's int."""
    return literal(int(x.value)) if isinstance(x, Lit) else convert(x, dtype=np.dtype("i8"), weak=True)


def _logical(on_numbers: Any, on_flags: Any) -> Callable[[Any, Any], Any]:
    """NumPy's `+` and `*` of booleans are "or" and "and".

    Of two single ones Python's sum is 2 and NumPy's True: which of them `x[0] > 0.0` is, its type does not say.
    """

    def op(a: Any, b: Any) -> Any:
        a, b = value(a), value(b)
        if a.type.dtype.kind == b.type.dtype.kind == "b":
            if all(x.type.weak or isinstance(x, Lit) for x in (a, b)):  # Python's, by bool(...)
                return on_numbers(_int(a), _int(b))
            if on_flags is None or (on_flags is bit_or and not (a.type.rank or b.type.rank)):
                what = "the sum of two truths, which is 2 for Python and True for NumPy" if on_flags else "the difference of two truths, which NumPy does not know"
                raise fail(UnsupportedError, "type", here(), what=what, instead="write int(a) + int(b) to count, a | b for either")
            return on_flags(a, b)
        return on_numbers(a, b)

    return op


def _power(a: Any, b: Any) -> Any:
    """Integers to a power: a negative one gives a float in Python and an error in NumPy."""
    a, b = value(a), value(b)
    if a.type.dtype.kind in "ib" and b.type.dtype.kind == "i" and not ranges.inside(b, 0, None):
        _everywhere(greater_equal(b, 0), "an integer to a negative power")
    return pow_(a, b)


def _shift(by: Any) -> Callable[[Any, Any], Any]:
    """`a << n`, `a >> n`: processors look at some bits of n only, NumPy gives 0, Python has longer integers and refuses negative n."""

    def op(a: Any, b: Any) -> Any:
        a, b = value(a), value(b)
        if not ranges.inside(b, 0, 63):
            _everywhere(bit_and(greater_equal(b, 0), less(b, 64)), "a shift by fewer than 0 or more than 63 places")
        return by(a, b)

    return op


def _everywhere(fine: Any, otherwise: str) -> None:
    """An `adc.CheckError` at run time where a condition does not hold for all elements."""
    check(lookup(np.all)(fine) if fine.type.rank else fine, code="assertion", message=otherwise)  # type: ignore[misc]


OPERATORS.update(
    {
        "add": _logical(add, bit_or),
        "sub": _logical(sub, None),
        "mul": _logical(mul, bit_and),
        "truediv": div,
        "floordiv": floordiv,
        "mod": mod,
        "pow": _power,
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
        "lshift": _shift(left_shift),
        "rshift": _shift(right_shift),
        "invert": invert,
    }
)
METHODS["__abs__"] = absolute


# ---------------------------------------------------------------- the math module

def scalar_only(prim: Callable[..., Any], *, integer: bool = False) -> Callable[..., Any]:
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
    answers(_fn)(scalar_only(_prim))
for _fn, _prim in {math.floor: floor, math.ceil: ceil, math.trunc: trunc}.items():
    answers(_fn)(scalar_only(_prim, integer=True))
if hasattr(math, "cbrt"):  # Python 3.11
    answers(math.cbrt)(scalar_only(cbrt))
    answers(getattr(math, "exp2"))(scalar_only(exp2))


@answers(math.log)
def math_log(x: Any, base: Any = None) -> Any:
    y = scalar_only(log)(x)
    return y if base is None else y / scalar_only(log)(base)
