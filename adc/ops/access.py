"""The primitives of basic indexing, by integers and slices: `index update accumulate`.

In: arrays, values, rank-0 int arguments, and `axes`: for each axis of the array an `At` or a `Slice`.
Out: parts of arrays, or arrays with parts replaced.  All indices are nonnegative and inside.

    index(x, i, axes=(At(Arg(0)), Slice(1, n - 1, 1)))       # x[i, 1:]

`ops/gather.py` has those of indexing by arrays; `ops/index.py` turns Python's indexing into both and re-exports both rooms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from adc.errors import ShapeError, fail
from adc.ir import Atom, Dim, Params, Primitive, Sample, Size, Tensor, Update, View, evaluate, here, literal, size
from adc.ops.core import broadcast_to
from adc.ops.registry import PRIMITIVES, register
from adc.ops.structure import show, size_value


@dataclass(frozen=True)
class Arg:
    """The k-th of the op's rank-0 int arguments, which stand last."""

    k: int


Position = Union[int, Size, Arg]


@dataclass(frozen=True)
class At:
    """One position: the axis goes away."""

    pos: Position


@dataclass(frozen=True)
class Slice:
    """`size` positions from `start` in steps of `step`.

    With a negative step the start is a Dim, and the end is known to lie before or after position 0.
    """

    start: Position
    size: Dim
    step: int = 1


Axes = tuple[Union[At, Slice], ...]


def is_full(axis: At | Slice, dim: Dim) -> bool:
    return isinstance(axis, Slice) and axis.start == 0 and axis.step == 1 and axis.size == dim


def part_of_part(outer: Axes, first: Sequence[Atom], inner: Axes, second: Sequence[Atom]) -> tuple[Axes, tuple[Atom, ...]] | None:
    """The place in an array of a part (`inner`, with its integers) of a part of it (`outer`): `x[2:][i]` is `x[i + 2]`.

    None where it would take more than one sum of integers.
    """
    rest, made, used = iter(inner), list[At | Slice](), list[Atom]()

    def position(pos: Position, source: Sequence[Atom], more: Dim = 0) -> Position:
        if not isinstance(pos, Arg):
            return pos
        number = source[pos.k]
        used.append(number if more == 0 else PRIMITIVES["add"](number, size_value(more)))
        return Arg(len(used) - 1)

    for a in outer:
        if isinstance(a, At):
            made.append(At(position(a.pos, first)))
            continue
        b = next(rest)
        at = b.pos if isinstance(b, At) else b.start
        if isinstance(a.start, Arg):
            if isinstance(at, Arg):
                return None
            start = position(a.start, first, at * a.step)
        elif isinstance(at, Arg):
            if a.step != 1:
                return None
            start = position(at, second, a.start)
        else:
            start = a.start + at * a.step
        made.append(At(start) if isinstance(b, At) else Slice(start, b.size, a.step * b.step))
    return tuple(made), tuple(used)


# ---------------------------------------------------------------- texts


def _term(text: str) -> str:
    """Parenthesised where `text + 1` or `text:` would read otherwise."""
    depth = 0
    for c in re.sub(r"'[^']*'", "", text):
        depth += (c in "([") - (c in ")]")
        if depth == 0 and c in "<>=&|^:":
            return f"({text})"
    return f"({text})" if re.search(r"\b(if|and|or|not|lambda)\b", text) else text


def _plus(text: str, offset: Dim, dim: Callable[[Dim], str]) -> str:
    if offset == 0:
        return text
    if isinstance(offset, int):
        if re.fullmatch(r"\d+", text):
            return str(int(text) + offset)
        return f"{text} {'-' if offset < 0 else '+'} {abs(offset)}"
    return f"{text} + {dim(offset)}"


def _from_end(value: Dim, extent: Dim, dim: Callable[[Dim], str]) -> str:
    """`value` as an index below `extent`: `-1` for n - 1."""
    back = size(value) - extent
    return str(back) if isinstance(extent, Size) and isinstance(back, int) and back < 0 else dim(value)


def _slice_text(a: Slice, extent: Dim, ints: list[str], dim: Callable[[Dim], str]) -> str:
    step = "" if a.step == 1 else f":{a.step}"
    if isinstance(a.start, Arg):
        start = _term(ints[a.start.k])
        return f"{start}:{_plus(start, size(a.size) * a.step, dim)}{step}"
    if a.step > 0:
        first = "" if a.start == 0 else _from_end(a.start, extent, dim)
        stop = size(a.start) + size(a.size) * a.step
        rest = stop - extent
        reaches = (isinstance(rest, int) and rest >= 0) or a.size == (size(extent) - a.start + a.step - 1) // a.step
        return f"{first}:{'' if reaches else _from_end(stop, extent, dim)}{step}"
    first = "" if size(a.start) + 1 == extent else _from_end(a.start, extent, dim)
    # not start + size * step, which may fall below -1 and would then count from the end
    stop = size(a.start) + (size(a.size) - 1) * a.step - 1
    covers = a.size == (size(a.start) - a.step) // -a.step or (isinstance(stop, int) and stop < 0)
    return f"{first}:{'' if covers else dim(stop)}{step}"


def index_text(
    args: list[str] | tuple[str, ...], types: tuple[Tensor, ...], params: Params, dim: Callable[[Dim], str]
) -> str:
    """What stands between the brackets for an `index`, `update` or `accumulate` op: "i, 1:-1"."""
    axes: Axes = params["axes"]
    ints = list(args[len(args) - count_args(axes) :])
    extents = types[0].dims
    parts = []
    for a, n in zip(axes, extents, strict=True):
        if isinstance(a, Slice):
            parts.append(":" if is_full(a, n) else _slice_text(a, n, ints, dim))
        elif isinstance(a.pos, Arg):
            parts.append(ints[a.pos.k])
        else:
            parts.append(_from_end(a.pos, n, dim))
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts) if parts else "()"


def _store_text(args: list[str], types: tuple[Tensor, ...], p: Params, dim: Callable[[Dim], str], op: str) -> str:
    return f"{args[0]}[{index_text(args, types, p, dim)}] {op} {args[1]}"


# ---------------------------------------------------------------- rules


def count_args(axes: Axes) -> int:
    """How many int arguments the axes refer to."""
    refs = [r.k for a in axes for r in ((a.pos,) if isinstance(a, At) else (a.start,)) if isinstance(r, Arg)]
    return max(refs, default=-1) + 1


def part_dims(axes: Axes) -> tuple[Dim, ...]:
    return tuple(a.size for a in axes if isinstance(a, Slice))


def zeros(t: Tensor) -> Atom:
    """Zeros of a type."""
    fill = PRIMITIVES.get("fill")
    zero = literal(0, t.dtype)
    return fill(zero, dims=t.dims) if fill is not None and t.dims else broadcast_to(zero, t.dims)


def source_coords(
    coords: tuple[str, ...], types: Any, p: Params, sizes: Callable[[Dim], str], scalars: Any
) -> tuple[str, ...]:
    """Where in the array the part's element `coords` lies."""
    rest = iter(coords)
    out = []

    def position(pos: Position) -> str:
        return str(scalars[pos.k]) if isinstance(pos, Arg) else sizes(pos)

    for a in p["axes"]:
        if isinstance(a, At):
            out.append(position(a.pos))
            continue
        c = next(rest)
        scaled = c if a.step == 1 else f"{a.step} * {c}"
        out.append(scaled if a.start == 0 else f"{position(a.start)} + {scaled}")
    return tuple(out)


def _check_axes(types: tuple[Tensor, ...], p: Params, lead: int) -> None:
    axes, ints = p["axes"], types[lead:]
    if len(axes) != types[0].rank or len(ints) != count_args(axes):
        raise fail(
            ShapeError, "shape", here(), what=f"too many indices or too few for an array of rank {types[0].rank}"
        )
    if any(t.rank or t.dtype.kind != "i" for t in ints):
        raise fail(ShapeError, "shape", here(), what="an index must be an integer")


def _index_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    _check_axes(types, p, 1)
    return (Tensor(types[0].dtype, part_dims(p["axes"])),)


def _update_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    _check_axes(types, p, 2)
    same_part(types[0], types[1], part_dims(p["axes"]))
    return (Tensor(types[0].dtype, types[0].dims),)


def same_part(x: Tensor, v: Tensor, dims: tuple[Dim, ...]) -> None:
    if v.dims != dims or v.dtype != x.dtype:
        raise fail(ShapeError, "shape", here(), what=f"could not store {v} in a part of {x} of shape {show(dims)}")


def np_index(axes: Axes, ints: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index as NumPy takes it, for concrete sizes."""

    def number(pos: Position) -> int:
        return int(ints[pos.k]) if isinstance(pos, Arg) else evaluate(pos, {})

    out: list[Any] = []
    for a in axes:
        if isinstance(a, At):
            out.append(number(a.pos))
        else:
            start = number(a.start)
            stop = start + evaluate(a.size, {}) * a.step
            out.append(slice(start, None if stop < 0 else stop, a.step))
    return tuple(out)


def stored(x: Any, v: Any, where: Any, add: bool) -> Any:
    out = np.array(x)
    if add:
        np.add.at(out, where, v)
    else:
        out[where] = v
    return out


def uniform(*shape: int, seed: int = 3) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)


_AXES: tuple[tuple[tuple[int, ...], Axes, tuple[int, ...]], ...] = (
    ((4,), (At(2),), ()),
    ((4,), (At(Arg(0)),), (3,)),
    ((5,), (Slice(1, 3, 1),), ()),
    ((6,), (Slice(5, 3, -2),), ()),
    ((6,), (Slice(4, 5, -1),), ()),
    ((3, 6), (At(Arg(0)), Slice(Arg(1), 2, 2)), (1, 1)),
    ((3, 4, 2), (Slice(0, 3, 1), At(1), Slice(0, 2, 1)), ()),
)


def _basic_samples(values: bool) -> tuple[Sample, ...]:
    out = []
    for shape, axes, ints in _AXES:
        v = (uniform(*part_dims(axes), seed=4),) if values else ()  # type: ignore[arg-type]
        out.append(Sample((uniform(*shape), *v, *(np.int64(i) for i in ints)), {"axes": axes}))
    return tuple(out)


def _index_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    x, *ints = args
    if bars[0] is None or not x.type.is_float:
        return (None,) * len(args)
    return (accumulate(zeros(x.type), bars[0], *ints, **p), *(None for _ in ints))


index: Primitive = register(
    Primitive(
        "index",
        type=_index_type,
        numpy=lambda args, types, p, dim: f"{args[0]}[{index_text(args, types, p, dim)}]",
        loops=View(source_coords),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else index(dots[0], *args[1:], **p),),
        vjp=_index_vjp,
        samples=lambda: _basic_samples(False),
        reference=lambda x, *ints, axes: np.asarray(x[np_index(axes, ints)]),
        cheap=True,
    )
)


def _update_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    x, v, *ints = args
    if dots[0] is None and dots[1] is None:
        return (None,)
    dx = zeros(x.type) if dots[0] is None else dots[0]
    dv = zeros(v.type) if dots[1] is None else dots[1]
    return (update(dx, dv, *ints, **p),)


def _update_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    x, v, *ints = args
    if bars[0] is None or not x.type.is_float:
        return (None,) * len(args)
    return (update(bars[0], zeros(v.type), *ints, **p), index(bars[0], *ints, **p), *(None for _ in ints))


update: Primitive = register(
    Primitive(
        "update",
        type=_update_type,
        numpy=lambda args, types, p, dim: _store_text(args, types, p, dim, "="),
        loops=Update("set", source_coords),
        jvp=_update_jvp,
        vjp=_update_vjp,
        samples=lambda: _basic_samples(True),
        reference=lambda x, v, *ints, axes: stored(x, v, np_index(axes, ints), False),
    )
)


def _accumulate_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    x, v, *ints = args
    if dots[1] is None:
        return (dots[0],)
    return (accumulate(zeros(x.type) if dots[0] is None else dots[0], dots[1], *ints, **p),)


def _accumulate_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    x, v, *ints = args
    if bars[0] is None or not x.type.is_float:
        return (None,) * len(args)
    return (bars[0], index(bars[0], *ints, **p), *(None for _ in ints))


accumulate: Primitive = register(
    Primitive(
        "accumulate",
        type=_update_type,
        numpy=lambda args, types, p, dim: _store_text(args, types, p, dim, "+="),
        loops=Update("add", source_coords),
        jvp=_accumulate_jvp,
        vjp=_accumulate_vjp,
        samples=lambda: _basic_samples(True),
        reference=lambda x, v, *ints, axes: stored(x, v, np_index(axes, ints), True),
    )
)
