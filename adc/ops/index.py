"""Python's indexing: `x[...]`, `x[...] = v`, `np.add.at(x, ..., v)`.

In: a value and index parts (ints, sizes, run-time ints, slices, None, Ellipsis, int and bool arrays, lists).
Out: the part, or the new value of the whole array.  NumPy's meaning throughout: negative indices,
clamped slices, masks, the placement of advanced axes.

    getitem(x, (0, slice(1, None)))           # x[0, 1:]
    setitem(x, (mask,), 0.0)                  # the value of x after x[mask] = 0.0

What is not provable goes, in this order, into a guard on the sizes at entry (when it fails, the caller
compiles for the exact sizes), or into a run-time `check`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import OPERATORS, Atom, Dim, Lit, Sym, Tensor, Var, current, here, product, size
from adc.ir.build import fact
from adc.ops.access import Arg, At, Position, Slice, accumulate, index, index_text, is_full, update, zeros
from adc.ops.core import broadcast_dims, broadcast_to, value, with_dims
from adc.ops.gather import flatnonzero, gather, scatter, scatter_add
from adc.ops.parts import INT, choose, decide, is_int, position_of, refuse, wrap
from adc.ops.ranges import know, known_at_entry, static
from adc.ops.registry import PRIMITIVES, lookup
from adc.ops.structure import bind_size, check, convert_to, expand, same_size, show, size_value, squeeze

# ---------------------------------------------------------------- basic indexing


@dataclass(frozen=True)
class _Plan:
    """Basic indexing decided: the op's axes and int arguments, then flips, then new axes."""

    dims: tuple[Dim, ...]
    axes: tuple[At | Slice, ...]
    ints: tuple[Any, ...]
    flips: tuple[int, ...]
    new: tuple[int, ...]

    @property
    def whole(self) -> bool:
        return all(is_full(a, d) for a, d in zip(self.axes, self.dims, strict=True))

    @property
    def part(self) -> tuple[Dim, ...]:
        """The dims of the result."""
        out = [a.size for a in self.axes if isinstance(a, Slice)]
        for k in self.new:
            out.insert(k, 1)
        return tuple(out)


def _plan(dims: tuple[Dim, ...], items: list[Any]) -> _Plan:
    axes: list[At | Slice] = []
    ints: list[Any] = []
    flips: list[int] = []
    new: list[int] = []
    out = 0

    def position(p: Any) -> Position:
        if isinstance(p, Lit):
            return int(p.value)
        if not isinstance(p, Var):
            return p  # type: ignore[no-any-return]
        ints.append(p)
        return Arg(len(ints) - 1)

    for item in items:
        if item is None:
            new.append(out)
            out += 1
            continue
        axis, n = len(axes), dims[len(axes)]
        if isinstance(item, slice):
            part = decide(item, n)
            axes.append(Slice(position(part.start), part.size, part.step))
            if part.flip:
                flips.append(sum(isinstance(a, Slice) for a in axes) - 1)
            out += 1
        else:
            axes.append(At(position(position_of(item, n, axis))))
    return _Plan(dims, tuple(axes), tuple(ints), tuple(flips), tuple(new))


def flip(x: Atom, axes: tuple[int, ...]) -> Atom:
    """`x` reversed along `axes`."""
    if not axes:
        return x
    dims = x.type.dims
    return index(
        x, axes=tuple(Slice(size(d) - 1, d, -1) if k in axes and d != 0 else Slice(0, d) for k, d in enumerate(dims))
    )  # type: ignore[no-any-return]


def _read(x: Atom, p: _Plan) -> Atom:
    y = x if p.whole else index(x, *p.ints, axes=p.axes)
    return expand(flip(y, p.flips), p.new)


def _store(x: Atom, p: _Plan, v: Atom, add: bool) -> Atom:
    if p.new:
        v = squeeze(v, axes=p.new)
    v = flip(v, p.flips)
    if p.whole:
        return x + v if add else v
    return (accumulate if add else update)(x, v, *p.ints, axes=p.axes)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- parsing

_ALL = slice(None)


def _items(x: Atom, parts: Any) -> list[Any]:
    """Index parts with the ellipsis written out: ints, slices, None, int arrays, masks (bool arrays), int lists."""
    given = list(parts) if isinstance(parts, tuple) else [parts]
    items: list[Any] = []
    used = 0
    for item in given:
        if isinstance(item, list | tuple) or (isinstance(item, np.ndarray) and item.ndim):
            item = item.tolist() if isinstance(item, np.ndarray) else item
            if not _int_list(item):
                item = value(item) if len(item) else zeros(Tensor(INT, (0,)))
        elif isinstance(item, bool | np.bool_):
            raise refuse("a single bool is not an index", "use an integer or a boolean array")
        if isinstance(item, Var | Lit):
            kind, rank = item.type.dtype.kind, item.type.rank
            if kind == "f" or (kind == "b" and not rank):
                raise refuse(f"{item.type} is not an index", "use integers, slices or boolean arrays")
            used += rank if kind == "b" else 1
        elif item is not None and item is not Ellipsis:
            if not (isinstance(item, slice | list | tuple) or is_int(item)):
                raise refuse(f"a {type(item).__name__} is not an index", "use integers, slices, None, ... or arrays")
            used += 1
        items.append(item)
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise fail(ShapeError, "shape", here(), what="an index can only have a single ellipsis ('...')")
    rest = x.type.rank - used
    if rest < 0:
        raise fail(
            ShapeError,
            "shape",
            here(),
            what=f"too many indices for array: array is {x.type.rank}-dimensional, but {used} were indexed",
        )
    at = dots[0] if dots else len(items)
    return items[:at] + [_ALL] * rest + items[at + 1 :]


def _int_list(item: Any) -> bool:
    """A nested list of integers, whose signs may be known."""
    if isinstance(item, list | tuple):
        return bool(item) and all(_int_list(i) for i in item)
    return is_int(item)


def _is_array(item: Any) -> bool:
    return isinstance(item, list | tuple) or (isinstance(item, Var) and item.type.rank > 0)


def _is_mask(item: Any) -> bool:
    return isinstance(item, Var) and item.type.dtype.kind == "b"


# ---------------------------------------------------------------- masks


@dataclass(frozen=True)
class _Nonzero:
    """Key of the positions already counted for a mask."""

    mask: Var


def nonzero_flat(mask: Atom) -> Atom:
    """The flat positions of the true elements, as many as there are at run time."""
    key = _Nonzero(mask) if isinstance(mask, Var) else None
    known = fact(key) if key is not None else None
    if known is not None:
        return known  # type: ignore[no-any-return]
    flags = mask if mask.type.dtype.kind == "b" else lookup(np.not_equal)(mask, 0)  # type: ignore[misc]
    total = product(mask.type.dims)
    if flags.type.rank != 1:
        flags = PRIMITIVES["reshape"](flags, dims=(total,))
    sym = Sym("count")
    bind_size(lookup(np.sum)(flags), sym=sym, upper=total)  # type: ignore[misc]
    flat = flatnonzero(flags, size=size(sym))
    know(flat, 0, size(total) - 1)
    if key is not None:
        current().facts[key] = flat
    return flat  # type: ignore[no-any-return]


def nonzero(mask: Any) -> tuple[Atom, ...]:
    """np.nonzero: one array of positions for each axis."""
    mask = value(mask)
    flat, dims = nonzero_flat(mask), mask.type.dims
    if len(dims) == 1:
        return (flat,)
    out: list[Atom] = []
    for k in range(len(dims) - 1, 0, -1):
        d = size_value(dims[k])
        out.append(OPERATORS["mod"](flat, d))
        flat = OPERATORS["floordiv"](flat, d)
        know(out[-1], 0, size(dims[k]) - 1)
    know(flat, 0, size(dims[0]) - 1)
    return (flat, *reversed(out))


def _mask_alone(items: list[Any]) -> int | None:
    """Where the one mask stands if all else is `:`."""
    masks = [k for k, i in enumerate(items) if _is_mask(i)]
    others = [i for i in items if not _is_mask(i)]
    plain = all(isinstance(i, slice) and (i.start, i.stop, i.step) == (None, None, None) for i in others)
    return masks[0] if len(masks) == 1 and plain else None


def _store_masked(x: Atom, items: list[Any], v: Atom, add: bool) -> Atom | None:
    """`x[mask] = v` without counting, where v does not vary along the selected elements."""
    at = _mask_alone(items)
    if at is None:
        return None
    rank = items[at].type.rank
    after = x.type.rank - at - rank
    if v.type.rank > after:
        axis = v.type.rank - after - 1
        if v.type.dims[axis] != 1:
            return None
        v = squeeze(v, axes=(axis,))
        if v.type.rank > after:  # axes before the mask
            v = expand(v, tuple(range(axis, axis + rank)))
    mask = _fit_mask(items[at], x.type.dims[at : at + rank])
    dims = x.type.dims
    if mask.type.dims != dims:
        mask = PRIMITIVES["broadcast"](mask, dims=dims, axes=tuple(range(at, at + rank)))
    v = broadcast_to(v, dims)
    return choose(mask, x + v if add else v, x)  # type: ignore[no-any-return]


def _fit_mask(mask: Atom, dims: tuple[Dim, ...]) -> Atom:
    return with_dims(mask, dims, f"boolean index did not match indexed array: {show(mask.type.dims)} and {show(dims)}")


# ---------------------------------------------------------------- advanced indexing


@dataclass(frozen=True)
class _Gather:
    """Advanced indexing decided: a basic part, its axes in order, index arrays, where their axes go."""

    plan: _Plan
    order: tuple[int, ...]
    idx: tuple[Atom, ...]
    shape: tuple[Dim, ...]
    place: int
    unique: bool

    def to_front(self, rank: int) -> tuple[int, ...]:
        """The transposition that brings the index axes of the result to the front."""
        s = tuple(range(self.place, self.place + len(self.shape)))
        return s + tuple(k for k in range(rank) if k not in s)


def _plan_arrays(x: Atom, items: list[Any]) -> _Gather:
    flat: list[Any] = []
    axis = 0
    unique = sum(_is_array(i) for i in items) == 1 and any(_is_mask(i) for i in items)
    for item in items:
        if _is_mask(item):
            fitted = _fit_mask(item, x.type.dims[axis : axis + item.type.rank])
            flat.extend(nonzero(fitted))
            axis += item.type.rank
        else:
            flat.append(item)
            axis += item is not None
    advanced = [k for k, i in enumerate(flat) if _is_array(i) or is_int(i)]
    together = advanced == list(range(advanced[0], advanced[-1] + 1))
    plan = _plan(x.type.dims, [_ALL if _is_array(i) else i for i in flat])
    kept = [i for i in flat if not is_int(i)]
    positions = tuple(k for k, i in enumerate(kept) if _is_array(i))
    arrays: list[Atom] = []
    axis = 0
    for item in flat:
        if _is_array(item):
            arrays.append(_array(item, x.type.dims[axis], axis))
        axis += item is not None
    shape = broadcast_dims(tuple(a.type.dims for a in arrays))
    idx = tuple(broadcast_to(a, shape) for a in arrays)
    order = positions + tuple(k for k in range(len(kept)) if k not in positions)
    return _Gather(plan, order, idx, shape, advanced[0] if together else 0, unique)


def _array(item: Any, n: Dim, axis: int) -> Atom:
    """An array of indices, nonnegative and inside."""
    if isinstance(item, list | tuple):

        def norm(i: Any) -> Any:
            return [norm(k) for k in i] if isinstance(i, list | tuple) else size_or_value(position_of(i, n, axis))

        item = value(norm(item))
    return wrap(item, n, axis)  # type: ignore[no-any-return]


def size_or_value(d: Any) -> Atom:
    return d if isinstance(d, Var | Lit) else value(d)


def _transpose(x: Atom, axes: tuple[int, ...]) -> Atom:
    return x if axes == tuple(range(len(axes))) else PRIMITIVES["transpose"](x, axes=axes)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(k) for k in range(len(axes)))


def _cast(x: Atom, v: Any, add: bool) -> Atom:
    v = value(v)
    if add and x.type.dtype.kind != "f" and v.type.dtype.kind == "f":
        raise refuse(f"{v.type} cannot be added into {x.type}", "make the array an array of floats")
    return convert_to(v, x.type.dtype)


def _spread(v: Atom, dims: tuple[Dim, ...]) -> Atom:
    """`v` broadcast to the part it is stored in; leading axes of extent 1 may be too many."""
    extra = v.type.rank - len(dims)
    if extra > 0 and all(d == 1 for d in v.type.dims[:extra]):
        v = squeeze(v, axes=tuple(range(extra)))
    offset = len(dims) - v.type.rank
    if offset >= 0:  # sizes found at run time meet in a check: no guard at entry can speak of them
        want = tuple(d if d == 1 else dims[k + offset] for k, d in enumerate(v.type.dims))
        for a, b in zip(v.type.dims, want, strict=True):
            if a != b and not (known_at_entry(a) and known_at_entry(b)):
                message = f"could not broadcast input array from shape {show(v.type.dims)} into shape {show(dims)}"
                check(lookup(np.equal)(size_value(a), size_value(b)), code="shape", message=message)  # type: ignore[misc]
                dims_v = tuple(b2 if (a2, b2) == (a, b) else a2 for a2, b2 in zip(v.type.dims, want, strict=True))
                v = same_size(v, dims=dims_v)
    return broadcast_to(v, dims)


# ---------------------------------------------------------------- the three fronts


def getitem(x: Any, parts: Any) -> Atom:
    """`x[parts]`."""
    x = value(x)
    items = _items(x, parts)
    if not any(_is_array(i) for i in items):
        return _read(x, _plan(x.type.dims, items))
    g = _plan_arrays(x, items)
    result = gather(_transpose(_read(x, g.plan), g.order), *g.idx)
    return _transpose(result, _inverse(g.to_front(result.type.rank)))


def _write(x: Any, parts: Any, v: Any, add: bool) -> Atom:
    x = value(x)
    v = _cast(x, v, add)
    items = _items(x, parts)
    if not any(_is_array(i) for i in items):
        plan = _plan(x.type.dims, items)
        return _store(x, plan, _spread(v, plan.part), add)
    masked = _store_masked(x, items, v, add)
    if masked is not None:
        return masked
    g = _plan_arrays(x, items)
    base = _transpose(_read(x, g.plan), g.order)
    part = g.shape + base.type.dims[len(g.idx) :]
    front = g.to_front(len(part))
    v = _transpose(_spread(v, tuple(part[k] for k in _inverse(front))), front)
    new = scatter_add(base, v, *g.idx) if add else scatter(base, v, *g.idx, unique=g.unique)
    return _store(x, g.plan, _transpose(new, _inverse(g.order)), False)


def setitem(x: Any, parts: Any, v: Any) -> Atom:
    """The value of `x` after `x[parts] = v`."""
    return _write(x, parts, v, False)


def add_at(x: Any, parts: Any, v: Any) -> Atom:
    """The value of `x` after `np.add.at(x, parts, v)`: repeated indices add up."""
    return _write(x, parts, v, True)


OPERATORS["getitem"] = getitem


def axis_of(axis: Any, rank: int) -> int:
    """A static axis, counted from the front."""
    k = static(axis)
    if not isinstance(k, int):
        raise fail(UnsupportedError, "static", here(), what="an axis")
    if not -rank <= k < rank:
        raise fail(ShapeError, "shape", here(), what=f"axis {k} is out of bounds for array of dimension {rank}")
    return k % rank


__all__ = [
    "Arg",
    "At",
    "Slice",
    "accumulate",
    "add_at",
    "axis_of",
    "flip",
    "gather",
    "getitem",
    "index",
    "index_text",
    "nonzero",
    "nonzero_flat",
    "scatter",
    "scatter_add",
    "setitem",
    "update",
]
