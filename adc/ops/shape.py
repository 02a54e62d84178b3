"""Shapes: reshape, transpose, joining, splitting, repeating, padding.

In: values, static axes and sizes.  Out: the same elements in another arrangement.  Four primitives
(`reshape`, `transpose`, `concatenate`, `stack`); the rest are functions over them and over indexing.

    reshape(x, (-1, 3)); transpose(x, axes=(1, 0)); np.pad(x, 1)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import Atom, Dim, Params, Primitive, Sample, Special, Tensor, View, here, product, size
from adc.ops.access import At, Slice, index, zeros
from adc.ops.core import agree, broadcast_dims, broadcast_to, promote, value, with_dims
from adc.ops.index import axis_of
from adc.ops.ranges import static
from adc.ops.registry import METHODS, PRIMITIVES, answers, register
from adc.ops.structure import convert_to, expand, same_size, show, squeeze

# ---------------------------------------------------------------- static arguments


def static_dim(d: Any, what: str = "a size") -> Dim:
    """A size given as an int, a Size, or an int value that is made of sizes."""
    known = static(d if not isinstance(d, np.integer) else int(d))
    if known is None:
        raise fail(UnsupportedError, "static", here(), what=what)
    return known


def shape_of(shape: Any) -> tuple[Dim, ...]:
    """A shape given as one size or a sequence of them."""
    if isinstance(shape, list | tuple):
        return tuple(static_dim(d) for d in shape)
    return (static_dim(shape),)


def static_int(k: Any, what: str) -> int:
    known = static(k if not isinstance(k, np.integer) else int(k))
    if not isinstance(known, int):
        raise fail(UnsupportedError, "static", here(), what=what)
    return known


def axes_of(axes: Any, rank: int) -> tuple[int, ...]:
    return tuple(axis_of(a, rank) for a in (axes if isinstance(axes, list | tuple) else (axes,)))


# ---------------------------------------------------------------- reshape, transpose


def _reshape_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    # sizes whose equality a guard assures may differ in form, so only numbers are compared
    old, new = product(types[0].dims), product(p["dims"])
    if isinstance(old, int) and isinstance(new, int) and old != new:
        raise fail(ShapeError, "shape", here(), what=f"cannot reshape array of size {old} into shape {show(p['dims'])}")
    return (types[0].with_dims(p["dims"]),)


def shape_text(dims: tuple[Dim, ...], dim: Any) -> str:
    return "(" + ", ".join(map(dim, dims)) + ("," if len(dims) == 1 else "") + ")"


def _reshape_numpy(args: Any, types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    dims = p["dims"]
    if len(dims) == 1 and not isinstance(dims[0], int):
        return f"{args[0]}.reshape(-1)"
    return f"{args[0]}.reshape({', '.join(map(dim, dims)) or '()'})"


def _arr(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)


_reshape: Primitive = register(
    Primitive(
        "reshape",
        type=_reshape_type,
        numpy=_reshape_numpy,
        loops=Special("reshape"),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else _reshape(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (_reshape(bars[0], dims=args[0].type.dims),),
        samples=lambda: (
            Sample((_arr(2, 3),), {"dims": (6,)}),
            Sample((_arr(6),), {"dims": (3, 1, 2)}),
            Sample((_arr(1),), {"dims": ()}),
            Sample((np.arange(4),), {"dims": (2, 2)}, False),
        ),
        reference=lambda x, dims: np.reshape(x, dims),
        cheap=True,
    )
)


def _transpose_numpy(args: Any, types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    axes = p["axes"]
    return f"{args[0]}.T" if axes == tuple(reversed(range(len(axes)))) else f"{args[0]}.transpose{axes}"


def _transpose_coords(coords: Any, types: Any, p: Params, sizes: Any, scalars: Any) -> tuple[str, ...]:
    axes = p["axes"]
    return tuple(coords[axes.index(k)] for k in range(len(axes)))


def _transpose_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    if sorted(p["axes"]) != list(range(types[0].rank)):
        raise fail(ShapeError, "shape", here(), what=f"axes {p['axes']} don't match array of rank {types[0].rank}")
    return (types[0].with_dims(tuple(types[0].dims[a] for a in p["axes"])),)


_transpose: Primitive = register(
    Primitive(
        "transpose",
        type=_transpose_type,
        numpy=_transpose_numpy,
        loops=View(_transpose_coords),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else _transpose(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (
            _transpose(bars[0], axes=tuple(p["axes"].index(k) for k in range(len(p["axes"])))),
        ),
        samples=lambda: (
            Sample((_arr(2, 3),), {"axes": (1, 0)}),
            Sample((_arr(2, 3, 4),), {"axes": (2, 0, 1)}),
        ),
        reference=lambda x, axes: np.transpose(x, axes),
        cheap=True,
    )
)


def permute(x: Any, axes: tuple[int, ...]) -> Atom:
    """`transpose`, unless nothing moves."""
    still = tuple(axes) == tuple(range(len(axes)))
    return x if still else _transpose(x, axes=tuple(axes))  # type: ignore[no-any-return]


# ---------------------------------------------------------------- joining


def _concatenate_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    k = p["axis"]
    first = types[0]
    for t in types:
        if t.dtype != first.dtype or t.dims[:k] + t.dims[k + 1 :] != first.dims[:k] + first.dims[k + 1 :]:
            raise fail(ShapeError, "shape", here(), what=f"cannot concatenate {first} and {t} along axis {k}")
    total: Dim = 0
    for t in types:
        total = total + t.dims[k]
    return (Tensor(first.dtype, (*first.dims[:k], total, *first.dims[k + 1 :])),)


def slab(x: Any, k: int, start: Dim, count: Dim) -> Any:
    """`count` positions from `start` on axis k."""
    dims = x.type.dims
    if start == 0 and count == dims[k]:
        return x
    return index(x, axes=tuple(Slice(start, count) if j == k else Slice(0, d) for j, d in enumerate(dims)))


def _concatenate_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    k, at, out = p["axis"], 0, []
    for a in args:
        out.append(slab(bars[0], k, at, a.type.dims[k]))
        at = at + a.type.dims[k]
    return tuple(out)


def _dense(xs: Any, dots: Any) -> Any:
    return tuple(zeros(x.type) if d is None else d for x, d in zip(xs, dots, strict=True))


def _join_jvp(which: str) -> Any:
    def rule(args: Any, outs: Any, dots: Any, p: Params) -> Any:
        return (None if all(d is None for d in dots) else PRIMITIVES[which](*_dense(args, dots), **p),)

    return rule


join: Primitive = register(
    Primitive(
        "concatenate",
        type=_concatenate_type,
        numpy=lambda args, types, p, dim: (
            f"np.concatenate(({', '.join(args)}{',' if len(args) == 1 else ''})"
            + (f", axis={p['axis']})" if p["axis"] else ")")
        ),
        loops=Special("concatenate"),
        jvp=_join_jvp("concatenate"),
        vjp=_concatenate_vjp,
        samples=lambda: (
            Sample((_arr(2), _arr(3, seed=2)), {"axis": 0}),
            Sample((_arr(2, 1), _arr(2, 3, seed=2), _arr(2, 2, seed=3)), {"axis": 1}),
        ),
        reference=lambda *xs, axis: np.concatenate(xs, axis),
    )
)


def _stack_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    first, k = types[0], p["axis"]
    if any((t.dtype, t.dims) != (first.dtype, first.dims) for t in types):
        raise fail(ShapeError, "shape", here(), what="all input arrays must have the same shape")
    return (Tensor(first.dtype, (*first.dims[:k], len(types), *first.dims[k:])),)


def _stack_numpy(args: Any, types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    if p["axis"] == 0 and types[0].rank == 0:
        suffix = (
            ""
            if types[0].dtype in (np.dtype("f8"), np.dtype("i8"), np.dtype("?"))
            else f", dtype=np.{types[0].dtype.name}"
        )
        return f"np.array([{', '.join(args)}]{suffix})"
    return f"np.stack(({', '.join(args)}{',' if len(args) == 1 else ''})" + (
        f", axis={p['axis']})" if p["axis"] else ")"
    )


def _stack_prepare(*xs: Any, axis: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
    values = alike(xs)
    dims = values[0].type.dims
    for v in values[1:]:
        if v.type.rank != len(dims):
            raise fail(ShapeError, "shape", here(), what="all input arrays must have the same shape")
    values = tuple(with_dims(v, dims, "all input arrays must have the same shape") for v in values)
    return values, {"axis": axis_of(axis, len(dims) + 1)}


def alike(xs: Any) -> tuple[Atom, ...]:
    """Values of one strong dtype; in a list Python's numbers are of int64 and float64: `np.array([x, 1.0])` is of float64 though x is of float32."""
    values = tuple(value(x) for x in xs)
    if not values:
        raise fail(ShapeError, "shape", here(), what="need at least one array to join")
    joint = promote(tuple(Tensor(v.type.dtype, v.type.dims) for v in values))
    return tuple(convert_to(v, joint) for v in values)


stack_op: Primitive = register(
    Primitive(
        "stack",
        type=_stack_type,
        numpy=_stack_numpy,
        loops=Special("stack"),
        jvp=_join_jvp("stack"),
        vjp=lambda args, outs, bars, p: tuple(
            index(
                bars[0], axes=tuple(At(k) if j == p["axis"] else Slice(0, d) for j, d in enumerate(outs[0].type.dims))
            )
            for k in range(len(args))
        ),
        samples=lambda: (
            Sample((np.float64(1.0), np.float64(2.0)), {"axis": 0}),
            Sample((_arr(3), _arr(3, seed=2)), {"axis": 0}),
            Sample((_arr(2, 3), _arr(2, 3, seed=2), _arr(2, 3, seed=3)), {"axis": 1}),
        ),
        reference=lambda *xs, axis: np.stack(xs, axis),
        prepare=_stack_prepare,
    )
)


# ---------------------------------------------------------------- functions on shapes


@answers(np.reshape)
def reshape(a: Any, shape: Any, order: str = "C") -> Atom:
    """NumPy's reshape; one size may be -1."""
    a = value(a)
    if order == "F":
        back = _flip_axes(reshape(_flip_axes(a), tuple(reversed(_sizes(shape)))))
        return back
    if order != "C":
        raise fail(UnsupportedError, "type", here(), what=f"order={order!r}, which depends on how an array lies in memory", instead="use order='C' or 'F'")
    dims = list(shape_of(shape))
    total = product(a.type.dims)
    message = f"cannot reshape array of size {total} into shape {show(tuple(dims))}"
    if -1 in dims:
        k = dims.index(-1)
        rest = product(dims[:k] + dims[k + 1 :])
        if -1 in dims[k + 1 :] or rest == 0:
            raise fail(ShapeError, "shape", here(), what=message)
        dims[k] = size(total) // rest  # type: ignore[assignment]
    agree(product(dims), total, message)
    return a if tuple(dims) == a.type.dims else _reshape(a, dims=tuple(dims))  # type: ignore[no-any-return]


def _sizes(shape: Any) -> tuple[Any, ...]:
    return tuple(shape) if isinstance(shape, list | tuple) else (shape,)


def _flip_axes(x: Atom) -> Atom:
    return permute(x, tuple(reversed(range(x.type.rank))))


def _reshape_method(a: Any, *shape: Any, order: str = "C") -> Atom:
    return reshape(a, shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape, order)


METHODS["reshape"] = _reshape_method


@answers(np.ravel, method="ravel")
def ravel(a: Any, order: str = "C") -> Atom:
    a = value(a)
    return reshape(a, (product(a.type.dims),), order)


METHODS["flatten"] = ravel


@answers(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Atom:
    a = value(a)
    if axes is None:
        return _flip_axes(a)
    found = axes_of(axes, a.type.rank)
    if sorted(found) != list(range(a.type.rank)):
        raise fail(ShapeError, "shape", here(), what="axes don't match array")
    return permute(a, found)


def _transpose_method(a: Any, *axes: Any) -> Atom:
    return transpose(
        a, axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], list | tuple)) else axes or None
    )


METHODS["transpose"] = _transpose_method
METHODS["T"] = transpose


@answers(np.matrix_transpose)
def matrix_transpose(x: Any) -> Atom:
    return swapaxes(x, -1, -2)


METHODS["mT"] = matrix_transpose


@answers(np.swapaxes, method="swapaxes")
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Atom:
    a = value(a)
    i, j = axis_of(axis1, a.type.rank), axis_of(axis2, a.type.rank)
    order = list(range(a.type.rank))
    order[i], order[j] = j, i
    return permute(a, tuple(order))


@answers(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Atom:
    a = value(a)
    src, dst = axes_of(source, a.type.rank), axes_of(destination, a.type.rank)
    order = [k for k in range(a.type.rank) if k not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return permute(a, tuple(order))


@answers(np.rollaxis)
def rollaxis(a: Any, axis: Any, start: Any = 0) -> Atom:
    a = value(a)
    k, s = axis_of(axis, a.type.rank), static_int(start, "start")
    s = s + a.type.rank if s < 0 else s
    return moveaxis(a, k, s - 1 if k < s else s)


@answers(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Atom:
    a = value(a)
    many = axis if isinstance(axis, list | tuple) else (axis,)
    return expand(a, tuple(sorted(axes_of(many, a.type.rank + len(many)))))


@answers(np.squeeze, method="squeeze")
def squeeze_(a: Any, axis: Any = None) -> Atom:
    a = value(a)
    if axis is None:
        axes = tuple(k for k, d in enumerate(a.type.dims) if d == 1)
    else:
        axes = axes_of(axis, a.type.rank)
    for k in axes:
        agree(a.type.dims[k], 1, "cannot select an axis to squeeze out which has size not equal to one")
    if any(a.type.dims[k] != 1 for k in axes):
        a = same_size(a, dims=tuple(1 if k in axes else d for k, d in enumerate(a.type.dims)))
    return squeeze(a, axes=axes) if axes else a  # type: ignore[no-any-return]


@answers(np.broadcast_to)
def broadcast_to_(array: Any, shape: Any) -> Atom:
    return broadcast_to(value(array), shape_of(shape))


@answers(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> tuple[Atom, ...]:
    values = tuple(value(a) for a in args)
    dims = broadcast_dims(tuple(v.type.dims for v in values))
    return tuple(broadcast_to(v, dims) for v in values)


@answers(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    return _each(arys, lambda a: expand(a, (0,)) if not a.type.rank else a)


@answers(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    return _each(arys, lambda a: expand(a, tuple(range(2 - a.type.rank))) if a.type.rank < 2 else a)


@answers(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    new: dict[int, tuple[int, ...]] = {0: (0, 1, 2), 1: (0, 2), 2: (2,)}
    return _each(arys, lambda a: expand(a, new[a.type.rank]) if a.type.rank < 3 else a)


def _each(arys: Any, fn: Any) -> Any:
    out = tuple(fn(value(a)) for a in arys)
    return out[0] if len(out) == 1 else out
