"""sin and cos of any number: reduction by multiples of pi, then one polynomial.

In: `Lanes` and the argument.  Out: the result.  Up to `LIMIT` the argument is reduced by pi in three parts (Cody and
Waite), x - k pi being exact up to the second part.  Lanes beyond it take the bits of 1/pi that matter
(Payne and Hanek), one lane after the other in a function that is not inlined: `RARE`.

    m = Lanes(lanes=4, fused=True)
    sin(m, *m.arguments("double"))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from adc.backend.lanes import Lanes, Value

PI = {
    "f64": (3.141592653589793, 1.2246467991473532e-16, -2.9947698097183397e-33),
    "f32": (3.1415927410125732, -8.742277657347586e-08, -3.4302490200117637e-15),
}
LIMIT = {"f64": 2.0**38, "f32": 1e5}
"""The rounding of x / pi is well below 1/2 up to here."""
SINE = {
    "f64": (
        -0.16666666666666666, 0.008333333333333217, -0.00019841269841216658, 2.7557319212306833e-06,
        -2.5052106972095174e-08, 1.6058944367110932e-10, -7.643105362772747e-13, 2.722304998508763e-15,
    ),
    "f32": (-0.1666666, 0.008333078, -0.00019810219, 2.6067091e-06),
}  # fmt: skip
"""(sin(r) - r) / r³ in r², a little beyond pi / 2"""


def sine(m: Lanes, r: Value, error: Value) -> Value:
    """sin(r + error), where |r| is at most a little more than pi / 2."""
    z = r * r
    c = SINE[r.format.suffix]
    p = m.mad(z, m.polynomial(z, c[1:]), c[0])
    w = z * p
    # what rounding took from r² and from the product; the error, times the cosine
    low = m.mad(m.product_error(r, r, z), p, m.product_error(z, p, w))
    slope = m.mad(z, m.mad(z, 1.0 / 24.0, -0.5), 1.0)
    return r + m.mad(r, w, m.mad(r, low, slope * error))


def remainder(m: Lanes, x: Value, k: Value) -> tuple[Value, Value]:
    """x - k pi, in two numbers."""
    one, two, three = PI[x.format.suffix]
    near = m.minus_product(x, k, one)
    step = k * two
    r = near - step
    return r, m.mad(k, -three, ((near - r) - step) - m.product_error(k, two, step))


def flip(m: Lanes, y: Value, sign: Value) -> Value:
    """y, with the sign changed where the highest bit of `sign` is set."""
    f = y.format
    return (y.bits() ^ (sign & f.sign)).as_float()


def sin(m: Lanes, x: Value) -> Value:
    f = x.format
    a = m.abs(x)
    t = m.mad(a, 1.0 / math.pi, f.magic)
    r, error = remainder(m, a, t - f.magic)
    y = flip(m, sine(m, r, error), (t.bits() << (f.width - 1)) ^ x.bits())
    return m.where_rare(a > LIMIT[f.suffix], y, f"adc.sin.far.{f.suffix}", x)


def cos(m: Lanes, x: Value) -> Value:
    """sin(x + pi / 2): reduced by odd multiples of pi / 2."""
    f = x.format
    a = m.abs(x)
    t = m.mad(a, 1.0 / math.pi, -0.5) + f.magic
    r, error = remainder(m, a, (t - f.magic) + 0.5)
    y = flip(m, -sine(m, r, error), t.bits() << (f.width - 1))
    return m.where_rare(a > LIMIT[f.suffix], y, f"adc.cos.far.{f.suffix}", x)


# ---------------------------------------------------------------- far from 0


WORDS = 20
"""64 zeros, then as many bits of 1/pi as the largest double asks for."""
FIRST = 1012
"""The biased exponent whose window begins at the first bit."""


@lru_cache(maxsize=1)
def inverse_of_pi() -> tuple[int, ...]:
    """0, then the bits of 1/pi in words (Machin's formula in integers)."""
    n = 64 * (WORDS - 1) + 64

    def arctangent(inverse: int) -> int:
        total = term = (1 << n) // inverse
        k = 1
        while term:
            term //= -(inverse * inverse)
            k += 2
            total += term // k
        return total

    pi = 4 * (4 * arctangent(5) - arctangent(239))
    bits = ((1 << (2 * n)) // pi) >> 64
    return (0, *(bits >> (64 * k) & (1 << 64) - 1 for k in range(WORDS - 2, -1, -1)))


def table_text() -> str:
    words = ", ".join(f"i64 {w}" for w in inverse_of_pi())
    return f"@adc.inverse.pi = internal unnamed_addr constant [{WORDS} x i64] [{words}]"


def window(m: Lanes, start: Value) -> list[Value]:
    """192 bits of 1/pi from a position on, as three words."""
    word, shift = start >> 6, start & 63
    words = []
    for k in range(4):
        place = m.emit("ptr", f"getelementptr i64, ptr @adc.inverse.pi, i64 {(word + k).name}")
        words.append(m.emit("i64", f"load i64, ptr {place.name}, align 8"))
    return [m.call("i64", "llvm.fshl.i64", a, b, shift) for a, b in zip(words, words[1:], strict=False)]


def turns(m: Lanes, x: Value) -> Value:
    """|x| / pi modulo 2, times 2**127, as an integer."""
    bits = x.bits()
    exponent = (bits >> 52) & 2047
    exponent = m.select(exponent < FIRST, FIRST, exponent)
    significand = ((bits & ((1 << 52) - 1)) | (1 << 52)).cast("zext", "i128")
    high, middle, low = (w.cast("zext", "i128") for w in window(m, exponent - FIRST))
    return ((significand * high) << 64) + significand * middle + ((significand * low) >> 64)


def far(m: Lanes, x: Value, ahead: int) -> Value:
    """sin(x + ahead pi / 2) of one double from 2**-11 on, inf giving NaN."""
    half = 1 << 126
    t = turns(m, x) + half * (1 + ahead)
    odd = (t >> 127).cast("trunc", "i64") << 63
    rest = (t & ((1 << 127) - 1)) - half
    below = rest < 0
    size = m.select(below, -rest, rest)
    # to two floats: the leading 53 bits, and the next 53
    zeros = m.emit("i128", f"call i128 @llvm.ctlz.i128(i128 {size.name}, i1 false)")
    m.declared.add("declare i128 @llvm.ctlz.i128(i128, i1)")
    lead = size << zeros
    unit = ((1023 - zeros.cast("trunc", "i64")) << 52).as_float()
    high = (lead >> 75).cast("trunc", "i64").cast("sitofp", "double") * unit * 2.0**-52
    low = ((lead << 53) >> 75).cast("trunc", "i64").cast("sitofp", "double") * unit * 2.0**-105
    one, two, _ = PI["f64"]
    r = high * one
    error = m.product_error(high, one, r) + m.mad(high, two, low * one)
    sign = odd ^ m.select(below, m.value(1 << 63, odd), 0)
    y = flip(m, sine(m, r, error), sign if ahead else sign ^ x.bits())
    return m.select(m.abs(x) < math.inf, y, x - x)


@dataclass(frozen=True)
class Rare:
    """A function of one number."""

    scalar: str
    formula: Callable[[Lanes, Value], Value]


def _of_floats(ahead: int) -> Callable[[Lanes, Value], Value]:
    return lambda m, x: far(m, x.cast("fpext", "double"), ahead).cast("fptrunc", "float")


RARE = {
    "adc.sin.far.f64": Rare("double", lambda m, x: far(m, x, 0)),
    "adc.cos.far.f64": Rare("double", lambda m, x: far(m, x, 1)),
    "adc.sin.far.f32": Rare("float", _of_floats(0)),
    "adc.cos.far.f32": Rare("float", _of_floats(1)),
}
"""What the formulas call for rare lanes."""
__all__ = ["RARE", "cos", "sin", "table_text"]
