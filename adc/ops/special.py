"""Special functions over axes, and erf's inverse: logsumexp, softmax, log_softmax, erfinv.

In: values, axes.  Out: what `scipy.special` gives, safe from overflow.  The shift by the maximum is no part of the
derivative: it cancels.

    special.logsumexp(x, axis=1); special.softmax(z, axis=-1); special.erfinv(u)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adc.errors import UnsupportedError, fail
from adc.ir import Atom, Primitive, here
from adc.ops.comparison import equal, isfinite, where
from adc.ops.core import broadcast_dims, broadcast_to, elementwise, promote, value
from adc.ops.elementary import exp, log, square
from adc.ops.reduce import axes_of, keep, max_, not_empty, spread, sum_
from adc.ops.registry import PRIMITIVES, answers
from adc.ops.samples import between
from adc.ops.structure import convert_to

SPECIAL = "scipy.special."

erfinv: Primitive = elementwise(
    "erfinv",
    calls=(SPECIAL + "erfinv",),
    numpy="special.erfinv({0})",
    scalar="routines.erfinv({0})",
    partials=(lambda y, x: (0.5 * math.sqrt(math.pi)) * exp(square(y)),),
    samples=between((-0.9, 0.9), extra=(0.0, 1.0, -1.0, 2.0)),
)


def _float(x: Any) -> Atom:
    x = value(x)
    return x if x.type.is_float else convert_to(x, np.float64)


def _shift(x: Atom, axes: tuple[int, ...]) -> Atom:
    """The maximum over the axes (0 where it is not finite), constant for every derivative."""
    top = max_(x, axes=axes)
    top = where(isfinite(top), top, 0.0)
    stop = PRIMITIVES.get("stop_gradient")  # the users' own op, registered with the public functions
    return top if stop is None else stop(top)  # type: ignore[no-any-return]


@answers(SPECIAL + "logsumexp")
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Atom:
    if return_sign:
        raise fail(UnsupportedError, "type", here(), what="logsumexp(return_sign=True)", instead="use the plain result")
    x = _float(a)
    weights: Atom | None = None
    if b is not None:
        weights = value(b)
        joint = promote((x.type, weights.type))
        dims = broadcast_dims((x.type.dims, weights.type.dims))
        x, weights = (broadcast_to(convert_to(v, joint), dims) for v in (x, weights))
        x = where(equal(weights, 0), -math.inf, x)
    axes = axes_of(axis, x.type.rank)
    if not axes:
        return x if weights is None else log(weights) + x  # type: ignore[no-any-return]
    not_empty(x, axes, "maximum")
    top = _shift(x, axes)
    terms = exp(x - spread(top, x.type, axes))
    terms = terms if weights is None else weights * terms
    return keep(log(sum_(terms, axes=axes)) + top, axes, keepdims)


def _shifted(x: Any, axis: Any) -> tuple[Atom, tuple[int, ...]]:
    x = _float(x)
    axes = axes_of(axis, x.type.rank)
    if not axes:
        return x - x, axes
    not_empty(x, axes, "maximum")
    return x - spread(_shift(x, axes), x.type, axes), axes


@answers(SPECIAL + "softmax")
def softmax(x: Any, axis: Any = None) -> Atom:
    z, axes = _shifted(x, axis)
    e: Atom = exp(z)
    return e / spread(sum_(e, axes=axes), e.type, axes) if axes else e


@answers(SPECIAL + "log_softmax")
def log_softmax(x: Any, axis: Any = None) -> Atom:
    z, axes = _shifted(x, axis)
    return z - spread(log(sum_(exp(z), axes=axes)), z.type, axes) if axes else z
