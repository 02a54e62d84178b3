"""Functions of statistics, element by element, as `scipy.special` has them.

In: values.  Out: a value of the joint shape.  SciPy is looked up only when the user has imported it.

    special.erf(x); special.gammaln(x); special.expit(x); special.xlogy(x, y)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adc.errors import UnsupportedError, fail
from adc.ir import Params, Pointwise, Primitive, Sample, Tensor, here
from adc.ops.arithmetic import absolute
from adc.ops.comparison import equal, isnan, where
from adc.ops.core import elementwise, value
from adc.ops.elementary import exp, log, log1p, logaddexp, square
from adc.ops.operators import scalar_only
from adc.ops.registry import answers, register
from adc.ops.samples import and_also, between
from adc.ops.structure import convert_to

SPECIAL = "scipy.special."


def _special(name: str, domain: tuple[float, float], rule: Any, scalar: str) -> Primitive:
    return elementwise(
        name, calls=(SPECIAL + name,), numpy=f"special.{name}({{0}})", scalar=scalar, partials=(rule,), samples=between(domain)
    )


erf: Primitive = _special("erf", (-2.0, 2.0), lambda y, x: (2.0 / math.sqrt(math.pi)) * exp(-square(x)), "math.erf({0})")
erfc: Primitive = _special("erfc", (-2.0, 2.0), lambda y, x: (-2.0 / math.sqrt(math.pi)) * exp(-square(x)), "math.erfc({0})")
expit: Primitive = _special("expit", (-3.0, 3.0), lambda y, x: y * (1.0 - y), "routines.expit({0})")
logit: Primitive = _special("logit", (0.1, 0.9), lambda y, x: 1.0 / (x * (1.0 - x)), "math.log({0} / (1.0 - {0}))")
gammaln: Primitive = _special("gammaln", (0.3, 4.0), lambda y, x: digamma(x), "math.lgamma({0})")
digamma: Primitive = _special("digamma", (0.3, 4.0), lambda y, x: polygamma(x, n=1), "routines.digamma({0})")
answers(SPECIAL + "psi")(digamma)


def _polygamma_rule(args: Any, outs: Any, given: Any, p: Params) -> Any:
    return (None if given[0] is None else given[0] * polygamma(args[0], n=p["n"] + 1),)


def _polygamma_reference(x: Any, n: int) -> Any:
    from scipy import special

    return np.asarray(special.polygamma(n, x), np.asarray(x).dtype)[()]


polygamma: Primitive = register(
    Primitive(
        "polygamma",
        type=lambda types, p: (Tensor(types[0].dtype, types[0].dims),),
        numpy=lambda args, types, p, dim: f"special.polygamma({p['n']}, {args[0]})",
        loops=Pointwise(lambda args, types, p: f"routines.polygamma({p['n']}, {args[0]})"),
        jvp=_polygamma_rule,
        vjp=_polygamma_rule,
        samples=lambda: (Sample((np.array([0.4, 1.5, 7.0]),), {"n": 1}), Sample((np.array([0.4, 1.5, 7.0]),), {"n": 2})),
        reference=_polygamma_reference,
    )
)


@answers(SPECIAL + "polygamma")
def polygamma_(n: Any, x: Any) -> Any:
    if not isinstance(n, int):
        raise fail(UnsupportedError, "static", here(), what="the order of polygamma")
    x = value(x)
    x = x if x.type.is_float else convert_to(x, np.float64)
    return digamma(x) if n == 0 else polygamma(x, n=n)


xlogy: Primitive = elementwise(
    "xlogy", calls=(SPECIAL + "xlogy",), numpy="special.xlogy({0}, {1})",
    scalar="(0.0 if ({0} == 0.0) & ({1} == {1}) else {0} * math.log({1}))",
    partials=(lambda z, x, y: log(y), lambda z, x, y: x / y),
    samples=and_also(between((0.3, 2.0), (0.3, 2.0)), lambda: (Sample((np.asarray(0.0), np.asarray(0.0)), {}, False),)),
)
xlog1py: Primitive = elementwise(
    "xlog1py", calls=(SPECIAL + "xlog1py",), numpy="special.xlog1py({0}, {1})",
    scalar="(0.0 if ({0} == 0.0) & ({1} == {1}) else {0} * math.log1p({1}))",
    partials=(lambda z, x, y: log1p(y), lambda z, x, y: x / (1.0 + y)), samples=between((0.3, 2.0), (0.3, 2.0)),
)  # fmt: skip


def _exprel_rule(y: Any, x: Any) -> Any:
    # (exp(x) - y) / x loses all digits near 0: there the series 1/2 + x/3 + x²/8 + x³/30
    near = absolute(x) < 1e-3
    return where(near, 0.5 + x * (1.0 / 3.0 + x * (0.125 + x / 30.0)), (exp(x) - y) / where(near, 1.0, x))


exprel = elementwise(
    "exprel", calls=(SPECIAL + "exprel",), numpy="special.exprel({0})",
    scalar="(math.expm1({0}) / {0} if {0} != 0.0 else 1.0)",
    partials=(_exprel_rule,), samples=and_also(between((-2.0, -0.5)), between((0.5, 2.0)), between((-1e-4, 1e-4), extra=(0.0,))),
)  # fmt: skip


@answers(SPECIAL + "ndtr")
def ndtr(x: Any) -> Any:
    """The normal distribution function."""
    return 0.5 * erfc(value(x) * -math.sqrt(0.5))


@answers(SPECIAL + "log_expit")
def log_expit(x: Any) -> Any:
    return -logaddexp(0.0, -value(x))


@answers(SPECIAL + "entr")
def entr(x: Any) -> Any:
    x = value(x)
    return where(x < 0.0, -math.inf, -xlogy(x, x))


@answers(SPECIAL + "betaln")
def betaln(a: Any, b: Any) -> Any:
    a, b = value(a), value(b)
    return gammaln(a) + gammaln(b) - gammaln(a + b)


@answers(SPECIAL + "rel_entr")
def rel_entr(x: Any, y: Any) -> Any:
    x, y = value(x), value(y)
    inside = (x > 0.0) & (y > 0.0)
    safe = where(inside, x / where(equal(y, 0.0), 1.0, y), 1.0)
    found = x * log(safe)
    others = where(equal(x, 0.0) & (y >= 0.0), 0.0, where(isnan(x) | isnan(y), math.nan, math.inf))
    return where(inside, found, convert_to(others, found.type.dtype))


answers(math.erf)(scalar_only(erf))
answers(math.erfc)(scalar_only(erfc))
answers(math.lgamma)(scalar_only(gammaln))
