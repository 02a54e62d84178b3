"""Arrays and numbers that are what they look like.

In: an object that a program takes as an array or a number.  Out: nothing, or an `UnsupportedError`: a subclass with operators of its own
computes something else than what is read in the source.

>>> own_rules(np.memmap), own_rules(np.matrix)
('', '__getitem__')
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from adc.errors import UnsupportedError, fail

PLAIN = frozenset({np.ndarray, np.memmap, np.recarray, float, int, bool})
OWN = frozenset({
    "__array_ufunc__", "__array_function__", "__getitem__", "__setitem__", "__iter__", "__bool__", "__float__", "__int__", "__index__", "__neg__", "__abs__",
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__", "__pow__", "__rpow__", "__matmul__", "sum", "mean", "prod", "dot",
})  # fmt: skip
"""What an array or a number does in an expression."""
INSTEAD = {
    "numpy.ma.MaskedArray": "pass the data and the mask: x.data, x.mask",
    "numpy.matrix": "pass np.asarray(x), and write @ for products of matrices",
}


@functools.cache
def own_rules(cls: Any) -> str:
    """What a subclass of arrays or numbers computes in its own way: an operator or function; empty where there is none."""
    between = itertools.takewhile(lambda c: c not in PLAIN, cls.__mro__)
    return next((name for c in between if c.__module__ != "enum" for name in sorted(OWN & vars(c).keys())), "")


def plain_like(x: Any, what: str, pos: Any = None) -> None:
    """Masked arrays, matrices, arrays with units: what they mean by `x * y` is not what adc reads.  Raises `UnsupportedError`."""
    cls: Any = type(x)
    if cls not in PLAIN and not issubclass(cls, np.generic) and (rule := own_rules(cls)):
        kind = f"{cls.__module__}.{cls.__qualname__}"
        instead = INSTEAD.get(kind, "pass its numbers: np.asarray(x), float(x)")
        raise fail(UnsupportedError, "type", pos, what=f"{what} is a {kind}, which has its own {rule}", instead=instead)


__all__ = ["own_rules", "plain_like"]
