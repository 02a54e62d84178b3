"""The elementary functions as branch-free formulas: exp, log, tanh, erf, pow and their relatives.

In: `Lanes` and the argument in all lanes.  Out: the result; errors are below 2 units in the last place, over the whole
range, with NumPy's NaN, infinities, denormal numbers and signed zeros.  `KERNELS[name]` is the function of a name.

    m = Lanes(lanes=4, fused=True)
    KERNELS["exp"].formula(m, *m.arguments("double"))

The coefficients are in `vector_tables`; erf, erfc and pow of float32 are computed in double, with shorter polynomials.
sin and cos are in `vector_trig`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from adc.backend.lanes import F64, Lanes, Value
from adc.backend.vector_tables import (
    ABOVE_EXP,
    ABOVE_EXP2,
    BELOW_EXP,
    EXP2,
    FULL,
    LN2,
    LOG2_E,
    LOG10_2,
    LOG10_E,
    MIDDLE,
    POW,
    ROOT_HALF,
    SINGLE,
    THIRDS,
    Table,
)
from adc.backend.vector_trig import cos, sin


def table(x: Value) -> Table:
    return FULL if x.format is F64 else SINGLE


# ---------------------------------------------------------------- exponentials


@dataclass
class Power:
    """2**k, as a number and as bits whose lowest ones hold k."""

    k: Value
    bits: Value


def whole(m: Lanes, x: Value, scale: float) -> Power:
    """The integer nearest to x * scale."""
    t = m.mad(x, scale, x.format.magic)
    return Power(t - x.format.magic, t.bits())


def reduced(m: Lanes, x: Value) -> tuple[Power, Value, Value]:
    """x = k log(2) + r, |r| <= log(2) / 2; also the error of r."""
    high, low = LN2[x.format.suffix]
    p = whole(m, x, LOG2_E[x.format.suffix][0])
    exact = m.mad(p.k, -high, x)
    r = m.mad(p.k, -low, exact)
    return p, r, m.mad(p.k, -low, exact - r)


def exp_near(m: Lanes, r: Value, error: Value, t: Table) -> tuple[Value, Value]:
    """exp(r + error) for |r| <= log(2) / 2, in two parts: the error counts times exp(r)."""
    z, q = r * r, m.polynomial(r, t.exp)
    return m.fast_two_sum(1.0, m.mad(z, q, m.mad(error, m.mad(z, q, r), error)) + r)


def times_power(m: Lanes, x: Value, p: Power) -> Value:
    """x * 2**k for a positive x near 1, rounded once also where the result is denormal."""
    f = x.format
    bits = x.bits() + (p.bits << f.digits)
    # small ones are made large first, so that the bits stay those of a normal number
    spare = 100 if f is F64 else 60
    small = p.k < float(10 - f.bias)
    bits = bits + m.select(small, m.value(spare << f.digits, bits), 0)
    return bits.as_float() * m.select(small, m.value(2.0**-spare, x), 1.0)


def exp(m: Lanes, x: Value) -> Value:
    p, r, _ = reduced(m, m.at_least(x, BELOW_EXP[x.format.suffix]))
    y = times_power(m, m.mad(r * r, m.polynomial(r, table(x).exp), r) + 1.0, p)
    return m.select(x <= ABOVE_EXP[x.format.suffix], y, x + math.inf)


def exp2(m: Lanes, x: Value) -> Value:
    f = x.format
    low = float(-f.bias - f.digits - 3)
    inside = m.at_least(x, low)
    p = whole(m, inside, 1.0)
    r = inside - p.k
    y = times_power(m, m.mad(r, m.polynomial(r, EXP2[f.suffix]), 1.0), p)
    return m.select(x < ABOVE_EXP2[f.suffix], y, x + math.inf)


def less_one(m: Lanes, x: Value) -> tuple[Power, Value, Value]:
    """k and exp(r) - 1 as a sum of two numbers, where x = k log(2) + r."""
    p, r, error = reduced(m, x)
    high, low = m.fast_two_sum(r, m.mad(r * r, m.polynomial(r, table(x).exp), error))
    return p, high, low


def expm1(m: Lanes, x: Value) -> Value:
    f = x.format
    p, high, low = less_one(m, m.at_most(m.at_least(x, -45.0 if f is F64 else -25.0), ABOVE_EXP[f.suffix] + 0.2))
    # 2**k (exp(r) - 1) + (2**k - 1), all halved: 2**k itself may be too large
    half = ((p.bits << f.digits) + f.pattern(0.5)).as_float()
    total, error = m.fast_two_sum(half - 0.5, half * high)
    y = (total + m.mad(half, low, error)) * 2.0
    return m.select(m.abs(x) < 2.0 ** -(f.digits + 2), x, y)


def tanh(m: Lanes, x: Value) -> Value:
    """-e / (2 + e) for e = exp(-2 |x|) - 1, as sums of two numbers."""
    f = x.format
    p, high, low = less_one(m, m.at_least(m.abs(x) * -2.0, -44.0 if f is F64 else -24.0))
    power = ((p.bits << f.digits) + f.pattern(1.0)).as_float()
    e, error = m.fast_two_sum(power - 1.0, power * high)
    error = m.mad(power, low, error)
    d, lost = m.fast_two_sum(2.0, e)
    one = 1.0 / d
    q = e * one
    rest = m.mad(-q, error + lost, error) - m.product_error(q, d, e)
    return m.copysign(m.mad(rest, one, q), x)


def expit(m: Lanes, x: Value) -> Value:
    """1 / (1 + e) and e / (1 + e) for e = exp(-|x|)."""
    e = exp(m, -m.abs(x))
    d, lost = m.fast_two_sum(1.0, e)
    top = m.select(x >= 0.0, 1.0, e)
    one = 1.0 / d
    q = top * one
    # one step of Newton's gives the quotient by the exact 1 + e
    return m.mad(m.mad(-q, lost, -m.product_error(q, d, top)), one, q)


# ---------------------------------------------------------------- logarithms


@dataclass
class Split:
    """x = 2**k (1 + f), with s = f / (2 + f)."""

    k: Value
    f: Value


def split(m: Lanes, x: Value, shift: Value | float = 0.0) -> tuple[Split, Value]:
    """A positive normal number, and the bits of its power of two; k is `shift` more."""
    form = x.format
    off, one = ROOT_HALF[form.suffix], form.pattern(1.0)
    bits = x.bits() + (one - off)
    exponent = bits >> form.digits
    near = (bits & ((1 << form.digits) - 1)) + off
    # an integer as a float: its bits below those of 2**digits
    k = (exponent | form.pattern(2.0**form.digits)).as_float() - (2.0**form.digits + form.bias)
    return Split(k + shift if isinstance(shift, Value) else k, near.as_float() - 1.0), exponent


def normal(m: Lanes, x: Value) -> tuple[Value, Value]:
    """Denormal numbers made normal, and what that does to the exponent."""
    f = x.format
    up = f.digits + 2
    small = x < f.tiny
    return m.select(small, x * 2.0**up, x), m.select(small, m.value(-float(up), x), 0.0)


def log_terms(m: Lanes, f: Value, c: tuple[float, ...]) -> tuple[Value, Value]:
    """h = f²/2 and t with log(1 + f) = f - (h - t)."""
    h = f * f * 0.5
    s = f / (f + 2.0)
    z = s * s
    return h, s * m.mad(z, m.polynomial(z, c), h)


def log_of(m: Lanes, a: Split, c: tuple[float, ...]) -> Value:
    high, low = LN2[a.f.format.suffix]
    h, t = log_terms(m, a.f, c)
    return m.mad(a.k, high, a.f - (h - m.mad(a.k, low, t)))


def edges(m: Lanes, x: Value, y: Value) -> Value:
    """-inf at 0, NaN below, inf at inf."""
    y = m.select(x > 0.0, y, m.select(x.equals(0.0), m.value(-math.inf, x), math.nan))
    return m.select(x.equals(math.inf), x, y)


def log(m: Lanes, x: Value) -> Value:
    inside, shift = normal(m, x)
    return edges(m, x, log_of(m, split(m, inside, shift)[0], table(x).log))


def _log_in_base(m: Lanes, x: Value, unit: tuple[float, float], two: tuple[float, float]) -> Value:
    """k log(2) + log(1 + f), each in the base, the large parts exactly."""
    inside, shift = normal(m, x)
    a, _ = split(m, inside, shift)
    h, t = log_terms(m, a.f, table(x).log)
    high, low = m.fast_two_sum(a.f, -h)
    low = low + t
    y = high * unit[0]
    rest = m.product_error(high, unit[0], y) + m.mad(high, unit[1], low * unit[0])
    total, error = m.fast_two_sum(a.k * two[0], y)
    return edges(m, x, total + (error + (rest if not two[1] else m.mad(a.k, two[1], rest))))


def log2(m: Lanes, x: Value) -> Value:
    return _log_in_base(m, x, LOG2_E[x.format.suffix], (1.0, 0.0))


def log10(m: Lanes, x: Value) -> Value:
    return _log_in_base(m, x, LOG10_E[x.format.suffix], LOG10_2[x.format.suffix])


def log1p_inside(m: Lanes, x: Value) -> Value:
    """For -1 < x < inf: u = 1 + x, and what rounding took from it."""
    f = x.format
    u = x + 1.0
    lost = m.select(x < 1.0, x - (u - 1.0), 1.0 - (u - x))
    a, exponent = split(m, u)
    # times 2**-k by its bits; beyond nothing is lost that would matter; NaN stays
    scaled = m.select(x > 4.0 * 2.0**f.digits, 0.0, lost * ((2 * f.bias - exponent) << f.digits).as_float())
    return log_of(m, Split(a.k, a.f + scaled), table(x).log)


def log1p(m: Lanes, x: Value) -> Value:
    y = m.select(x > -1.0, log1p_inside(m, x), m.select(x.equals(-1.0), m.value(-math.inf, x), math.nan))
    return m.select(x.equals(0.0), x, m.select(x.equals(math.inf), x, y))


def logaddexp(m: Lanes, a: Value, b: Value) -> Value:
    """The larger, plus log1p(exp(-|difference|))."""
    apart = m.select(a.equals(b), m.value(0.0, a), a - b)
    return m.select(a > b, a, b) + log1p_inside(m, exp(m, -m.abs(apart)))


# ---------------------------------------------------------------- the error function


def erf_near(m: Lanes, x: Value, t: Table) -> Value:
    """erf(x) / x - 1 for |x| <= 1."""
    z = m.mad(x, x, -0.5)
    return m.mad(z, m.polynomial(z, t.erf[1:]), t.erf[0])


def erfc_far(m: Lanes, a: Value, t: Table) -> Value:
    """erfc(a) for a >= 1: exp(-a²) times a polynomial over 1 + 2 a."""
    a = m.at_most(a, 27.5)
    square = a * a
    p, r, error = reduced(m, -square)
    # one division for both quotients
    d, d_low = m.fast_two_sum(1.0, a * 2.0)
    plus = a + 3.0
    both = 1.0 / (d * plus)
    at = (a - 3.0) * (d * both)
    top = m.mad(at, m.polynomial(at, t.erfc[1:]), t.erfc[0])
    one = plus * both
    y = top * one
    if t is not FULL:
        return times_power(m, exp_near(m, r, error, t)[0] * y, p)
    high, low = exp_near(m, r, error - m.product_error(a, a, square), t)
    # what rounding took from the quotient, the power and the product
    y_low = m.mad(-y, d_low, -m.product_error(y, d, top)) * one
    z = high * y
    z = z + m.mad(high, y_low, m.mad(low, y, m.product_error(high, y, z)))
    return times_power(m, z, p)


def erf_of(m: Lanes, x: Value, t: Table) -> Value:
    a = m.abs(x)
    far = m.copysign(1.0 - erfc_far(m, a, t), x)
    return m.select(a > 1.0, far, m.mad(x, erf_near(m, x, t), x))


def erfc_of(m: Lanes, x: Value, t: Table) -> Value:
    a = m.abs(x)
    beyond = erfc_far(m, a, t)
    near = m.mad(-x, erf_near(m, x, t), 1.0 - x)
    return m.select(a > 1.0, m.select(x > 0.0, beyond, 2.0 - beyond), near)


def in_double(m: Lanes, x: Value, formula: Callable[[Lanes, Value, Table], Value]) -> Value:
    """Double as it is; float32 through double."""
    if x.format is F64:
        return formula(m, x, FULL)
    return formula(m, x.cast("fpext", "double"), MIDDLE).cast("fptrunc", "float")


def erf(m: Lanes, x: Value) -> Value:
    return in_double(m, x, erf_of)


def erfc(m: Lanes, x: Value) -> Value:
    return in_double(m, x, erfc_of)


# ---------------------------------------------------------------- powers


def long_log(m: Lanes, x: Value) -> tuple[Value, Value]:
    """log of a positive double as a sum of two: 65 bits."""
    inside, shift = normal(m, x)
    a, _ = split(m, inside, shift)
    # s = f / (2 + f)
    d, lost = m.fast_two_sum(2.0, a.f)
    one = 1.0 / d
    s = a.f * one
    s_low = m.mad(-s, lost, -m.product_error(s, d, a.f)) * one
    z = s * s
    z_low = m.mad(s * 2.0, s_low, m.product_error(s, s, z))
    # 2/3 + 2/5 z + …, then times s³
    third, third_low = m.fast_two_sum(THIRDS[0], z * m.polynomial(z, POW))
    third_low = m.mad(z_low, POW[0], third_low + THIRDS[1])
    cube = s * z
    cube_low = m.product_error(s, z, cube) + m.mad(s, z_low, s_low * z)
    tail = cube * third
    tail_low = m.product_error(cube, third, tail) + m.mad(cube, third_low, cube_low * third)
    high, low = m.fast_two_sum(s * 2.0, tail)
    low = low + m.mad(s_low, 2.0, tail_low)
    two, two_low = LN2["f64"]
    total, error = m.fast_two_sum(a.k * two, high)
    return total, error + m.mad(a.k, two_low, low)


def power_of_positive(m: Lanes, x: Value, y: Value) -> Value:
    """exp(y log(x)) for 0 < x < inf."""
    high, low = long_log(m, x)
    # so large that only x = 1 stays finite
    y = m.at_most(m.at_least(y, -(2.0**66)), 2.0**66)
    e = y * high
    error = m.mad(y, low, m.product_error(y, high, e))
    inside = m.at_most(m.at_least(e, BELOW_EXP["f64"]), 710.0)
    p, r, _ = reduced(m, inside)
    error = m.select(inside.equals(e), error, 0.0)
    z = times_power(m, exp_near(m, r, error, FULL)[0], p)
    # more than the largest number has the bits of a NaN
    return m.select(z.is_nan(), math.inf, z)


def power_of_positive_floats(m: Lanes, x: Value, y: Value) -> Value:
    """The same for numbers of single precision, in double."""
    e = m.at_most(m.at_least(y, -(2.0**60)), 2.0**60) * log_of(m, split(m, x)[0], MIDDLE.log)
    p, r, _ = reduced(m, m.at_most(m.at_least(e, -200.0), 200.0))
    power = m.mad(r * r, m.polynomial(r, MIDDLE.exp), r) + 1.0
    return (power.bits() + (p.bits << F64.digits)).as_float().cast("fptrunc", "float")


def pow_(m: Lanes, x: Value, y: Value) -> Value:
    """x ** y as C has it."""
    f = x.format
    a, b = m.abs(x), m.abs(y)
    if f is F64:
        z = power_of_positive(m, a, y)
    else:
        z = power_of_positive_floats(m, a.cast("fpext", "double"), y.cast("fpext", "double"))
    # is y an integer, and an odd one?  From 2**digits on all are integers, from twice that on all are even
    limit, half = 2.0**f.digits, b * 0.5
    integer = (b >= limit) | ((b + limit) - limit).equals(b)
    odd = integer & ~((half + limit) - limit).equals(half) & (b < 2.0 * limit)
    zero = x.equals(0.0)
    to_infinity = (y > 0.0) ^ zero
    z = m.select(zero | a.equals(math.inf), m.select(to_infinity, m.value(math.inf, z), 0.0), z)
    z = m.select((x.bits() < 0) & odd, -z, z)
    z = m.select((x < 0.0) & ~integer & (a < math.inf), math.nan, z)
    z = m.select(x.is_nan() | y.is_nan(), x + y, z)
    return m.select(y.equals(0.0) | x.equals(1.0), 1.0, z)


# ---------------------------------------------------------------- all of them


@dataclass(frozen=True)
class Kernel:
    formula: Callable[..., Value]
    arity: int = 1


KERNELS = {
    "exp": Kernel(exp), "exp2": Kernel(exp2), "expm1": Kernel(expm1), "tanh": Kernel(tanh), "expit": Kernel(expit),
    "log": Kernel(log), "log2": Kernel(log2), "log10": Kernel(log10), "log1p": Kernel(log1p),
    "logaddexp": Kernel(logaddexp, 2), "sin": Kernel(sin), "cos": Kernel(cos), "erf": Kernel(erf), "erfc": Kernel(erfc),
    "pow": Kernel(pow_, 2),
}  # fmt: skip

__all__ = ["KERNELS", "Kernel"]
