"""Joining and splitting: concatenate, stack and their family, split and its family.

In: sequences of values, static axes, counts or split points.  Out: values, or lists of them.

    np.concatenate((a, b), axis=1); np.vstack((a, row)); np.split(x, 2)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adc.errors import ShapeError, fail
from adc.ir import Atom, Dim, Lit, Var, here, size
from adc.ops.core import agree, value, with_dims
from adc.ops.index import axis_of, getitem
from adc.ops.registry import answers
from adc.ops.shape import alike, atleast_1d, atleast_2d, atleast_3d, join, ravel, slab, stack_op, static_dim, static_int
from adc.ops.structure import convert_to, expand


def _parts(arrays: Any) -> tuple[Atom, ...]:
    if isinstance(arrays, Var | Lit):
        return tuple(getitem(arrays, (k,)) for k in range(static_int(arrays.type.dims[0], "the number of arrays")))
    return tuple(value(a) for a in arrays)


@answers(np.concatenate, np.concat)
def concatenate(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None) -> Atom:
    values = alike(_parts(arrays))
    if dtype is not None:
        values = tuple(convert_to(v, dtype) for v in values)
    if axis is None:
        values, axis = tuple(ravel(v) for v in values), 0
    rank = values[0].type.rank
    if rank == 0:
        raise fail(ShapeError, "shape", here(), what="zero-dimensional arrays cannot be concatenated")
    if any(v.type.rank != rank for v in values):
        raise fail(
            ShapeError, "shape", here(), what="all the input array dimensions must match in number to concatenate"
        )
    k = axis_of(axis, rank)
    dims = values[0].type.dims
    message = "all the input array dimensions except for the concatenation axis must match exactly"
    values = tuple(with_dims(v, (*dims[:k], v.type.dims[k], *dims[k + 1 :]), message) for v in values)
    return values[0] if len(values) == 1 else join(*values, axis=k)  # type: ignore[no-any-return]


@answers(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Atom:
    return concatenate((ravel(arr), ravel(values)), 0) if axis is None else concatenate((arr, values), axis)


@answers(np.stack)
def stack(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None) -> Atom:
    values = _parts(arrays)
    if dtype is not None:
        values = tuple(convert_to(v, dtype) for v in values)
    return stack_op(*values, axis=axis)  # type: ignore[no-any-return]


@answers(np.hstack)
def hstack(tup: Any, *, dtype: Any = None) -> Atom:
    values = tuple(atleast_1d(v) for v in _parts(tup))
    return concatenate(values, 0 if values[0].type.rank == 1 else 1, dtype=dtype)


@answers(np.vstack)
def vstack(tup: Any, *, dtype: Any = None) -> Atom:
    return concatenate(tuple(atleast_2d(v) for v in _parts(tup)), 0, dtype=dtype)


@answers(np.dstack)
def dstack(tup: Any) -> Atom:
    return concatenate(tuple(atleast_3d(v) for v in _parts(tup)), 2)


@answers(np.column_stack)
def column_stack(tup: Any) -> Atom:
    columns = (expand(v, tuple(range(v.type.rank, 2))) if v.type.rank < 2 else v for v in _parts(tup))
    return concatenate(tuple(columns), 1)


def _cut(a: Atom, k: int, points: Sequence[Dim]) -> list[Atom]:
    """The pieces of axis k between the points (NumPy's slices, so points past the end are clamped)."""
    ends: list[Any] = [0, *points, None]
    return [getitem(a, (*[slice(None)] * k, slice(lo, hi))) for lo, hi in zip(ends, ends[1:], strict=False)]


def _split(ary: Any, sections: Any, axis: Any, even: bool) -> list[Atom]:
    a = value(ary)
    k = axis_of(axis, a.type.rank)
    n = a.type.dims[k]
    if isinstance(sections, list | tuple):
        return _cut(a, k, [static_dim(p, "a split point") for p in sections])
    count = static_int(sections, "the number of sections")
    if count <= 0:
        raise fail(ShapeError, "shape", here(), what="number sections must be larger than 0.")
    each = size(n) // count  # type: ignore[operator]
    if even:
        agree(each * count, n, "array split does not result in an equal division")
        return [slab(a, k, each * j, each) for j in range(count)]
    extra = size(n) % count  # type: ignore[operator]
    if not isinstance(extra, int):
        # piece j has one element more while j < n % count: (n - j + count - 1) // count elements
        sizes: list[Dim] = [(size(n) + (count - 1 - j)) // count for j in range(count)]  # type: ignore[misc]
    else:
        sizes = [each + (1 if j < extra else 0) for j in range(count)]
    out: list[Atom] = []
    at: Dim = 0
    for s in sizes:
        out.append(slab(a, k, at, s))
        at = at + s
    return out


@answers(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Atom]:
    return _split(ary, indices_or_sections, axis, True)


@answers(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Atom]:
    return _split(ary, indices_or_sections, axis, False)


@answers(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Atom]:
    a = value(ary)
    return _split(a, indices_or_sections, 0 if a.type.rank == 1 else 1, True)


@answers(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Atom]:
    return _split(ary, indices_or_sections, 0, True)


@answers(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Atom]:
    return _split(ary, indices_or_sections, 2, True)
