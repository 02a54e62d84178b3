"""The primitives of indexing by arrays: `gather scatter scatter_add`, and where a mask is true.

In: arrays, values, and arrays of integers of one common shape, one for each leading axis.  All indices are nonnegative and inside.
Out: parts of arrays, or arrays with parts replaced.

    gather(x, rows)                     # x[rows]
    scatter_add(x, v, rows)             # np.add.at(x, rows, v)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import ShapeError, fail
from adc.ir import Atom, Dim, Params, Primitive, Routine, Sample, Tensor, Update, View, here, product
from adc.ops.access import same_part, stored, uniform, zeros
from adc.ops.registry import PRIMITIVES, lookup, register


def _shape_of(idx: tuple[Tensor, ...], x: Tensor) -> tuple[Dim, ...]:
    """S + rest for leading axes of `x` indexed by `idx`."""
    if not idx or len(idx) > x.rank or any(t.dims != idx[0].dims or t.dtype.kind != "i" for t in idx):
        raise fail(ShapeError, "shape", here(), what=f"cannot index {x} by {', '.join(map(str, idx))}")
    return idx[0].dims + x.dims[len(idx) :]


def _gather_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    return (Tensor(types[0].dtype, _shape_of(types[1:], types[0])),)


def _scatter_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    same_part(types[0], types[1], _shape_of(types[2:], types[0]))
    return (Tensor(types[0].dtype, types[0].dims),)


def _gather_coords(first: int) -> Callable[..., tuple[str, ...]]:
    def coords_of(coords: Any, types: Any, p: Any, sizes: Any, scalars: Any, load: Any) -> tuple[str, ...]:
        rank = types[first].rank
        lead = tuple(load(k, coords[:rank]) for k in range(first, len(types)))
        return lead + tuple(coords[rank:])

    return coords_of


_ROWS = np.array([2, 0, 2])
_GRID = np.array([[1, 0], [1, 1]])


def _array_samples(values: bool) -> tuple[Sample, ...]:
    cases = (
        (uniform(4), (_ROWS,)),
        (uniform(3, 2), (_ROWS,)),
        (uniform(3, 2), (_GRID, _GRID)),
        (uniform(3, 2, 2), (_ROWS, np.array([1, 0, 1]))),
        (uniform(3, 2), (np.array(1),)),
        (uniform(3), (np.zeros(0, int),)),
    )
    out = []
    for x, idx in cases:
        v = (uniform(*idx[0].shape, *x.shape[len(idx) :], seed=5),) if values else ()
        out.append(Sample((x, *v, *idx)))
    return tuple(out)


def _gather_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    x, *idx = args
    if bars[0] is None or not x.type.is_float:
        return (None,) * len(args)
    return (scatter_add(zeros(x.type), bars[0], *idx), *(None for _ in idx))


gather: Primitive = register(
    Primitive(
        "gather",
        type=_gather_type,
        numpy=lambda args, types, p, dim: f"{args[0]}[{', '.join(args[1:])}]",
        loops=View(_gather_coords(1), loads=True),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else gather(dots[0], *args[1:]),),
        vjp=_gather_vjp,
        samples=lambda: _array_samples(False),
        reference=lambda x, *idx: np.asarray(x[tuple(idx)]),
    )
)


def _scatter_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    x, v, *idx = args
    if dots[0] is None and dots[1] is None:
        return (None,)
    dx = zeros(x.type) if dots[0] is None else dots[0]
    return (scatter(dx, zeros(v.type) if dots[1] is None else dots[1], *idx, **p),)


def last_writers(x: Tensor, idx: tuple[Atom, ...]) -> Atom:
    """True where `scatter` with these indices is the last to write its element (NumPy keeps the last)."""
    dims = idx[0].type.dims
    number = PRIMITIVES["reshape"](PRIMITIVES["iota"](size=product(dims)), dims=dims)
    owners = scatter(zeros(Tensor(np.dtype("i8"), x.dims[: len(idx)])), number, *idx)
    equal = lookup(np.equal)
    assert equal is not None
    return equal(gather(owners, *idx), number)  # type: ignore[no-any-return]


def _scatter_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    x, v, *idx = args
    if bars[0] is None or not x.type.is_float:
        return (None,) * len(args)
    to_v = gather(bars[0], *idx)
    if not p["unique"]:
        last, dims = last_writers(x.type, tuple(idx)), to_v.type.dims
        if last.type.dims != dims:
            last = PRIMITIVES["broadcast"](last, dims=dims, axes=tuple(range(last.type.rank)))
        to_v = PRIMITIVES["where"](last, to_v, zeros(v.type))
    return (scatter(bars[0], zeros(v.type), *idx, **p), to_v, *(None for _ in idx))


scatter: Primitive = register(
    Primitive(
        "scatter",
        type=_scatter_type,
        numpy=lambda args, types, p, dim: f"{args[0]}[{', '.join(args[2:])}] = {args[1]}",
        loops=Update("set", _gather_coords(2), loads=True),
        jvp=_scatter_jvp,
        vjp=_scatter_vjp,
        samples=lambda: (
            tuple(Sample(s.args, {"unique": False}) for s in _array_samples(True))
            + (Sample((uniform(4), uniform(2, seed=5), np.array([3, 1])), {"unique": True}),)
        ),
        reference=lambda x, v, *idx, unique=False: stored(x, v, tuple(idx), False),
        # `unique`: no element is addressed twice
        prepare=lambda x, v, *idx, unique=False: ((x, v, *idx), {"unique": unique}),
    )
)


def _scatter_add_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    x, v, *idx = args
    if dots[1] is None:
        return (dots[0],)
    return (scatter_add(zeros(x.type) if dots[0] is None else dots[0], dots[1], *idx),)


def _scatter_add_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    x, v, *idx = args
    if bars[0] is None or not x.type.is_float:
        return (None,) * len(args)
    return (bars[0], gather(bars[0], *idx), *(None for _ in idx))


scatter_add: Primitive = register(
    Primitive(
        "scatter_add",
        type=_scatter_type,
        numpy=lambda args, types, p, dim: f"np.add.at({args[0]}, {_index_tuple(args[2:])}, {args[1]})",
        loops=Update("add", _gather_coords(2), loads=True),
        jvp=_scatter_add_jvp,
        vjp=_scatter_add_vjp,
        samples=lambda: _array_samples(True),
        reference=lambda x, v, *idx: stored(x, v, tuple(idx), True),
    )
)


def _index_tuple(texts: Any) -> str:
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def _flatnonzero_loop(mask: Any, out: Any, n: int) -> None:
    k = 0
    for i in range(n):
        if mask[i]:
            out[k] = i
            k += 1


# the positions of the true elements; `size` is their number, counted and bound before
flatnonzero: Primitive = register(
    Primitive(
        "flatnonzero",
        type=lambda types, p: (Tensor(np.dtype("i8"), (p["size"],)),),
        numpy="np.flatnonzero({0})",
        loops=Routine(_flatnonzero_loop),
        jvp=None,
        vjp=None,
        samples=lambda: (
            Sample((np.array([True, False, True, True]),), {"size": 3}, False),
            Sample((np.array([False, False]),), {"size": 0}, False),
        ),
        reference=lambda x, size: np.flatnonzero(x),
    )
)
