"""Rearrangements written over indexing and joining: flip, rot90, roll, tile, repeat, pad.

In: values and static counts, axes, widths.  Out: values.  One primitive (`roll`); the rest are functions over indexing and joining.

    np.pad(x, 1, mode="edge"); np.roll(x, 1, axis=0); np.tile(row, (n, 1))
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import OPERATORS, Atom, Dim, Params, Primitive, Sample, Tensor, View, here, size
from adc.ops.access import Slice, update
from adc.ops.core import agree, broadcast_to, value
from adc.ops.index import axis_of, flip, getitem
from adc.ops.joining import concatenate
from adc.ops.pick import take
from adc.ops.ranges import static
from adc.ops.registry import PRIMITIVES, answers, lookup, register
from adc.ops.shape import axes_of, moveaxis, ravel, reshape, static_dim, static_int, swapaxes
from adc.ops.structure import broadcast, convert_to, expand, size_value

_ALL = slice(None)


@answers(np.flip)
def flip_(m: Any, axis: Any = None) -> Atom:
    m = value(m)
    return flip(m, tuple(range(m.type.rank)) if axis is None else axes_of(axis, m.type.rank))


@answers(np.fliplr)
def fliplr(m: Any) -> Atom:
    return flip_(m, 1)


@answers(np.flipud)
def flipud(m: Any) -> Atom:
    return flip_(m, 0)


@answers(np.rot90)
def rot90(m: Any, k: Any = 1, axes: Any = (0, 1)) -> Atom:
    m = value(m)
    a, b = axes_of(axes, m.type.rank)
    turns = static_int(k, "the number of turns") % 4
    if turns == 0:
        return m
    if turns == 2:
        return flip(m, (a, b))
    return swapaxes(flip(m, (b,)), a, b) if turns == 1 else flip(swapaxes(m, a, b), (b,))


def _along(x: Atom, k: int, part: Any) -> Atom:
    return getitem(x, (*[_ALL] * k, part))


def _rolled_coords(coords: Any, types: tuple[Tensor, ...], p: Params, sizes: Any, scalars: Any) -> tuple[str, ...]:
    k = p["axis"]
    return tuple(f"({c} - ({p['shift']})) % {sizes(types[0].dims[k])}" if j == k else c for j, c in enumerate(coords))


_rolled: Primitive = register(
    Primitive(
        "roll",
        type=lambda types, p: (types[0],),
        numpy=lambda args, types, p, dim: f"np.roll({args[0]}, {p['shift']}, axis={p['axis']})",
        loops=View(_rolled_coords),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else _rolled(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (None if bars[0] is None else _rolled(bars[0], shift=-p["shift"], axis=p["axis"]),),
        samples=lambda: (
            Sample((np.arange(5.0),), {"shift": 2, "axis": 0}),
            Sample((np.arange(6.0).reshape(2, 3) / 7,), {"shift": -1, "axis": 1}),
            Sample((np.arange(6.0).reshape(3, 2) / 7,), {"shift": 7, "axis": 0}),
            Sample((np.arange(4),), {"shift": 1, "axis": 0}, False),
        ),
        reference=lambda x, shift, axis: np.roll(x, shift, axis=axis),
        cheap=True,
    )
)


@answers(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Atom:
    a = value(a)
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), a.type.dims)
    if isinstance(axis, list | tuple):
        shifts = shift if isinstance(shift, list | tuple) else [shift] * len(axis)
        for s, k in zip(shifts, axis, strict=True):
            a = roll(a, s, k)
        return a
    k = axis_of(axis, a.type.rank)
    n = a.type.dims[k]
    by = static(shift)
    if isinstance(by, int) and isinstance(n, int):
        by = by % n if n else 0
    if isinstance(by, int):
        return a if by == 0 else _rolled(a, shift=by, axis=k)
    # the place where out[j] comes from, for a shift known at run time
    source = OPERATORS["mod"](PRIMITIVES["iota"](size=n) - value(shift), size_value(n))
    return take(a, source, axis=k)


@answers(np.tile)
def tile(A: Any, reps: Any) -> Atom:
    a = value(A)
    counts: list[Dim] = [static_dim(r) for r in (reps if isinstance(reps, list | tuple) else (reps,))]
    rank = max(len(counts), a.type.rank)
    counts[:0] = [1] * (rank - len(counts))
    a = expand(a, tuple(range(rank - a.type.rank)))
    if all(c == 1 for c in counts):
        return a
    dims: list[Dim] = []
    axes: list[int] = []
    for c, d in zip(counts, a.type.dims, strict=True):
        if c != 1:
            dims.append(c)
        axes.append(len(dims))
        dims.append(d)
    return reshape(
        broadcast(a, dims=tuple(dims), axes=tuple(axes)),
        tuple(size(c) * d for c, d in zip(counts, a.type.dims, strict=True)),
    )


@answers(np.repeat, method="repeat")
def repeat(a: Any, repeats: Any, axis: Any = None) -> Atom:
    a = value(a)
    if axis is None:
        a, axis = ravel(a), 0
    k = axis_of(axis, a.type.rank)
    if isinstance(repeats, list | tuple) and len(repeats) == 1:
        (repeats,) = repeats
    if isinstance(repeats, list | tuple):
        counts = [static_int(r, "a number of repeats") for r in repeats]
        rows = [j for j, c in enumerate(counts) for _ in range(c)]
        agree(
            a.type.dims[k],
            len(counts),
            f"operands could not be broadcast together with shape ({a.type.dims[k]},) ({len(counts)},)",
        )
        return take(a, rows, axis=k)
    count = static_dim(repeats, "the number of repeats")
    if count == 1:
        return a
    dims = a.type.dims
    wide = broadcast(a, dims=(*dims[: k + 1], count, *dims[k + 1 :]), axes=tuple(j + (j > k) for j in range(len(dims))))
    return reshape(wide, (*dims[:k], size(dims[k]) * count, *dims[k + 1 :]))


def _widths(pad_width: Any, rank: int) -> list[tuple[Dim, Dim]]:
    """NumPy's forms: w, (before, after), ((before, after), …)."""
    if not isinstance(pad_width, list | tuple):
        pad_width = (pad_width,)
    if len(pad_width) and not isinstance(pad_width[0], list | tuple):
        pad_width = (tuple(pad_width),)
    pairs = [(w[0], w[0]) if len(w) == 1 else tuple(w) for w in pad_width]
    if len(pairs) == 1:
        pairs = pairs * rank
    if len(pairs) != rank:
        raise fail(ShapeError, "shape", here(), what=f"pad_width {pad_width} does not fit an array of rank {rank}")
    return [(static_dim(b, "a pad width"), static_dim(e, "a pad width")) for b, e in pairs]


def _per_side(values: Any, rank: int) -> list[tuple[Any, Any]]:
    if not isinstance(values, list | tuple):
        return [(values, values)] * rank
    if values and isinstance(values[0], list | tuple):
        pairs = [(v[0], v[-1]) for v in values]
        return pairs * rank if len(pairs) == 1 else pairs
    return [(values[0], values[-1])] * rank


@answers(np.pad)
def pad(
    array: Any, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0, reflect_type: str = "even"
) -> Atom:
    x = value(array)
    widths = _widths(pad_width, x.type.rank)
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap") or reflect_type != "even":
        raise fail(
            UnsupportedError,
            "type",
            here(),
            what=f"np.pad(mode={mode!r})",
            instead="use constant, edge, reflect, symmetric or wrap",
        )
    if mode == "constant":
        return _pad_constant(x, widths, _per_side(constant_values, x.type.rank))
    for k, (before, after) in enumerate(widths):
        if before != 0 or after != 0:
            x = _pad_axis(x, k, before, after, mode)
    return x


def _pad_constant(x: Atom, widths: list[tuple[Dim, Dim]], values: list[tuple[Any, Any]]) -> Atom:
    first = values[0][0]
    if all(v is first or (isinstance(v, int | float) and v == first) for pair in values for v in pair):
        dims = tuple(size(b) + d + e for (b, e), d in zip(widths, x.type.dims, strict=True))
        if dims == x.type.dims:
            return x
        base = PRIMITIVES["fill"](convert_to(value(first), x.type.dtype), dims=dims)
        axes = tuple(Slice(b, d) for (b, _), d in zip(widths, x.type.dims, strict=True))
        return update(base, x, axes=axes)  # type: ignore[no-any-return]
    for k, ((before, after), (low, high)) in enumerate(zip(widths, values, strict=True)):
        parts = [x]
        for count, v, front in ((before, low, True), (after, high, False)):
            if count == 0:
                continue
            dims = tuple(count if j == k else d for j, d in enumerate(x.type.dims))
            slab = PRIMITIVES["fill"](convert_to(value(v), x.type.dtype), dims=dims)
            parts.insert(0 if front else len(parts), slab)
        x = concatenate(tuple(parts), k)
    return x


def _pad_axis(x: Atom, k: int, before: Dim, after: Dim, mode: str) -> Atom:
    n = x.type.dims[k]
    if mode != "edge" and isinstance(n, int) and isinstance(before, int) and isinstance(after, int):
        if max(before, after) > (n - 1 if mode == "reflect" else n):
            # wider than the array: NumPy repeats the pattern
            return take(x, [_source(j - before, n, mode) for j in range(n + before + after)], axis=k)
    parts = []
    if before != 0:
        parts.append(_margin(x, k, before, mode, True))
    parts.append(x)
    if after != 0:
        parts.append(_margin(x, k, after, mode, False))
    return concatenate(tuple(parts), k)


def _margin(x: Atom, k: int, w: Dim, mode: str, front: bool) -> Atom:
    n = x.type.dims[k]
    if mode == "edge":
        edge = _along(x, k, slice(0, 1) if front else slice(size(n) - 1, n))
        return repeat(edge, w, axis=k)
    if mode == "wrap":
        return _along(x, k, slice(size(n) - w, n) if front else slice(0, w))
    skip = 1 if mode == "reflect" else 0
    part = slice(skip, size(w) + skip) if front else slice(size(n) - w - skip, size(n) - skip)
    return flip(_along(x, k, part), (k,))


def _source(j: int, n: int, mode: str) -> int:
    """Which element stands at place j of the endless pattern."""
    if mode == "wrap":
        return j % n
    if mode == "symmetric":
        j %= 2 * n
        return j if j < n else 2 * n - 1 - j
    if n == 1:
        return 0
    j %= 2 * n - 2
    return j if j < n else 2 * n - 2 - j


@answers(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Atom:
    """One static place; several values are refused."""
    x = value(arr)
    if axis is None:
        x, axis = ravel(x), 0
    k, v = axis_of(axis, x.type.rank), convert_to(value(values), x.type.dtype)
    at = static_dim(obj, "the place of np.insert")
    dims = x.type.dims
    if v.type.rank == x.type.rank and v.type.rank > 1:
        v = moveaxis(v, 0, k)
    count: Dim = v.type.dims[k] if v.type.rank == x.type.rank else 1
    slab = broadcast_to(v, (*dims[:k], count, *dims[k + 1 :]))
    return concatenate((_along(x, k, slice(None, at)), slab, _along(x, k, slice(at, None))), k)


@answers(np.diff)
def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Atom:
    x = value(a)
    k = axis_of(axis, x.type.rank)
    for extra, front in ((prepend, True), (append, False)):
        if extra is not None:
            e = value(extra)
            if not e.type.rank:
                e = broadcast(e, dims=tuple(1 if j == k else d for j, d in enumerate(x.type.dims)), axes=())
            x = concatenate((e, x) if front else (x, e), k)
    for _ in range(static_int(n, "the order of np.diff")):
        high, low = _along(x, k, slice(1, None)), _along(x, k, slice(None, -1))
        x = lookup(np.not_equal)(high, low) if x.type.dtype.kind == "b" else high - low  # type: ignore[misc]
    return x
