"""NumPy's functions that pick elements: take, nonzero, where with one argument, argwhere, compress, ix_.

In: values, indices, masks.  Out: values; how many may be known only at run time.

    np.take(x, [0, 2], axis=1); np.nonzero(x > 0.0); np.take_along_axis(x, np.argsort(x, 1), 1)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.errors import ShapeError, fail
from adc.ir import OPERATORS, Atom, here, product
from adc.ops.core import agree, value
from adc.ops.index import axis_of, getitem, nonzero, nonzero_flat
from adc.ops.registry import PRIMITIVES, answers, lookup
from adc.ops.structure import expand, size_value

_ALL = slice(None)

answers(np.nonzero, method="nonzero")(nonzero)


@answers(np.take, method="take")
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Atom:
    a = value(a)
    if axis is None:
        a, axis = PRIMITIVES["reshape"](a, dims=(product(a.type.dims),)), 0
    k = axis_of(axis, a.type.rank)
    if mode != "raise":
        n, indices = size_value(a.type.dims[k]), value(indices)
        if mode == "wrap":
            indices = OPERATORS["mod"](indices, n)
        else:
            indices = lookup(np.maximum)(lookup(np.minimum)(indices, n - 1), 0)  # type: ignore[misc]
    return getitem(a, (*[_ALL] * k, indices))


@answers(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Atom:
    arr, indices = value(arr), value(indices)
    if axis is None:
        arr, axis = PRIMITIVES["reshape"](arr, dims=(product(arr.type.dims),)), 0
    return getitem(arr, along_axis(arr, indices, axis_of(axis, arr.type.rank)))


def along_axis(x: Atom, indices: Atom, k: int) -> tuple[Atom, ...]:
    """The index arrays by which `take_along_axis` reads."""
    rank = x.type.rank
    if indices.type.rank != rank:
        raise fail(ShapeError, "shape", here(), what="`indices` and `arr` must have the same number of dimensions")
    parts = []
    for j in range(rank):
        if j == k:
            parts.append(indices)
        else:
            along = PRIMITIVES["iota"](size=x.type.dims[j])
            parts.append(expand(along, tuple(m for m in range(rank) if m != j)))
    return tuple(parts)


@answers(np.flatnonzero)
def flat_nonzero(a: Any) -> Atom:
    return nonzero_flat(value(a))


@answers(np.argwhere)
def argwhere(a: Any) -> Atom:
    columns = nonzero(a)
    return PRIMITIVES["stack"](*columns, axis=1)  # type: ignore[no-any-return]


@answers(np.ix_)
def ix_(*args: Any) -> tuple[Atom, ...]:
    rank = len(args)
    parts = []
    for k, a in enumerate(args):
        v = value(a)
        v = nonzero_flat(v) if v.type.dtype.kind == "b" else v
        parts.append(expand(v, tuple(j for j in range(rank) if j != k)))
    return tuple(parts)


@answers(method="item")
def item(a: Any, *where: Any) -> Atom:
    """The one element, or the element at a place."""
    a = value(a)
    if not where:
        agree(product(a.type.dims), 1, "can only convert an array of size 1 to a Python scalar")
        where = (0,) * a.type.rank
    elif len(where) == 1 and a.type.rank != 1:
        a = PRIMITIVES["reshape"](a, dims=(product(a.type.dims),))
    return getitem(a, where)


@answers(np.extract)
def extract(condition: Any, arr: Any) -> Atom:
    arr = value(arr)
    return getitem(PRIMITIVES["reshape"](arr, dims=(product(arr.type.dims),)), (flat_nonzero(condition),))


@answers(np.compress, method="compress")
def compress(condition: Any, a: Any, axis: Any = None) -> Atom:
    return take(a, flat_nonzero(condition), axis=axis)


@answers(np.where)
def where(condition: Any, *choices: Any) -> Any:
    return PRIMITIVES["where"](condition, *choices) if choices else nonzero(condition)
