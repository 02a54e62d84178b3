"""New arrays: fill, iota and what is made of them; copies and casts.

In: static shapes and sizes, scalars, nested lists of values.  Out: values.

    np.zeros((n, 3)); np.arange(1, n); np.linspace(0.0, 1.0, 5); np.array([x, y])
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import (
    OPERATORS,
    Atom,
    Dim,
    Guard,
    Lit,
    Params,
    Pointwise,
    Primitive,
    Sample,
    Special,
    Tensor,
    Var,
    guard,
    here,
    literal,
    size,
)
from adc.ops.core import broadcast_to, check_dtype, promote, value
from adc.ops.index import setitem
from adc.ops.ranges import affine, is_size, know, known_at_entry, nonnegative
from adc.ops.registry import PRIMITIVES, answers, lookup, register
from adc.ops.shape import permute, ravel, shape_of, shape_text, static_dim, static_int
from adc.ops.structure import convert_to, expand, same_size

FLOAT, INT = np.dtype("f8"), np.dtype("i8")


def _dtype_text(t: Tensor, default: str = "f8") -> str:
    return "" if t.dtype == np.dtype(default) else f", dtype=np.{'bool_' if t.dtype.kind == 'b' else t.dtype.name}"


def _fill_numpy(args: Any, types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    dims = p["dims"]
    shape = dim(dims[0]) if len(dims) == 1 else shape_text(dims, dim)
    for text, name in (("0", "zeros"), ("1", "ones")):
        if args[0] in (text, f"{text}.0", f"np.float32({text}.0)") or (
            types[0].dtype.kind == "b" and args[0] == str(bool(int(text)))
        ):
            return f"np.{name}({shape}{_dtype_text(types[0])})"
    weak = "" if types[0].dtype in (FLOAT, INT, np.dtype("?")) else _dtype_text(types[0])
    return f"np.full({shape}, {args[0]}{weak})"


# an array of one value: its own storage, unlike `broadcast`
_fill: Primitive = register(
    Primitive(
        "fill",
        type=lambda types, p: (Tensor(types[0].dtype, p["dims"]),),
        numpy=_fill_numpy,
        loops=Special("fill"),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else _fill(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (PRIMITIVES["sum"](bars[0], axes=tuple(range(len(p["dims"])))),),
        samples=lambda: (
            Sample((np.float64(1.5),), {"dims": (3,)}),
            Sample((np.float64(0.0),), {"dims": (2, 2)}),
            Sample((np.int64(2),), {"dims": (2,)}, False),
            Sample((np.float32(1.0),), {"dims": (2,)}, False),
        ),
        reference=lambda x, dims: np.full(dims, x),
        cheap=True,
    )
)

# storage whose elements are all written before they are read: what a loop keeps at rows of its own choice
empty_op: Primitive = register(
    Primitive(
        "empty",
        type=lambda types, p: (Tensor(p["dtype"], p["dims"]),),
        numpy=lambda args, types, p, dim: f"np.empty({dim(p['dims'][0]) if len(p['dims']) == 1 else shape_text(p['dims'], dim)}{_dtype_text(Tensor(p['dtype']))})",
        loops=Special("empty"),
        jvp=None,
        vjp=None,
        samples=lambda: (),
        reference=lambda dims, dtype: np.zeros(dims, dtype),
        cheap=True,
    )
)

# 0, 1, …, size - 1
iota: Primitive = register(
    Primitive(
        "iota",
        type=lambda types, p: (Tensor(INT, (p["size"],)),),
        numpy=lambda args, types, p, dim: f"np.arange({dim(p['size'])})",
        loops=Special("iota"),
        jvp=None,
        vjp=None,
        samples=lambda: (Sample((), {"size": 4}, False), Sample((), {"size": 0}, False)),
        reference=lambda size: np.arange(size),
        cheap=True,
    )
)

# the same value in new storage
copy_op: Primitive = register(
    Primitive(
        "copy",
        type=lambda types, p: (Tensor(types[0].dtype, types[0].dims),),
        numpy="{0}.copy()",
        loops=Pointwise("{0}"),
        jvp=lambda args, outs, dots, p: (dots[0],),
        vjp=lambda args, outs, bars, p: (bars[0],),
        samples=lambda: (Sample((np.array([1.0, 2.5]),)), Sample((np.array([[1, 2]]),), {}, False)),
        reference=lambda x: np.array(x),
    )
)


# ---------------------------------------------------------------- constant arrays


def _no_order(order: Any) -> None:
    if order not in ("C", "K", "A", None, "F"):
        raise fail(UnsupportedError, "type", here(), what=f"order={order!r}", instead="leave `order` out")


def _filled(v: Any, dims: tuple[Dim, ...]) -> Atom:
    v = value(v)
    v = literal(v.value, v.type.dtype) if isinstance(v, Lit) else v
    if v.type.rank:
        return broadcast_to(v, dims)
    return _fill(v, dims=dims) if dims else v


@answers(np.zeros)
def zeros(shape: Any, dtype: Any = float, order: Any = "C") -> Atom:
    _no_order(order)
    return _filled(literal(0, check_dtype(dtype or float)), shape_of(shape))


@answers(np.empty)
def empty(shape: Any, dtype: Any = float, order: Any = "C") -> Atom:
    """As zeros: what nobody wrote must not decide a result."""
    return zeros(shape, dtype, order)


@answers(np.ones)
def ones(shape: Any, dtype: Any = None, order: Any = "C") -> Atom:
    _no_order(order)
    return _filled(literal(1, check_dtype(dtype or float)), shape_of(shape))


@answers(np.full)
def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C") -> Atom:
    _no_order(order)
    v = value(fill_value)
    return _filled(convert_to(v, check_dtype(dtype or v.type.dtype)), shape_of(shape))


def _like(a: Any, v: Any, dtype: Any, shape: Any) -> Atom:
    a = value(a)
    return _filled(
        convert_to(value(v), check_dtype(dtype or a.type.dtype)), a.type.dims if shape is None else shape_of(shape)
    )


@answers(np.zeros_like)
def zeros_like(a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None) -> Atom:
    return _like(a, 0, dtype, shape)


@answers(np.empty_like)
def empty_like(prototype: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None) -> Atom:
    return _like(prototype, 0, dtype, shape)


@answers(np.ones_like)
def ones_like(a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None) -> Atom:
    return _like(a, 1, dtype, shape)


@answers(np.full_like)
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None
) -> Atom:
    return _like(a, fill_value, dtype, shape)


# ---------------------------------------------------------------- arrays of values


def _nested(x: Any) -> Atom:
    if isinstance(x, np.ndarray):
        if x.ndim == 0:
            return value(x[()])
        if x.size == 0:
            return _fill(literal(0, check_dtype(x.dtype)), dims=x.shape)  # type: ignore[no-any-return]
        return convert_to(_nested(list(x)), x.dtype)
    if not isinstance(x, list | tuple):
        return value(x)
    if not x:
        return _fill(literal(0, FLOAT), dims=(0,))  # type: ignore[no-any-return]
    parts = [_nested(p) for p in x]
    if len({p.type.rank for p in parts}) > 1:
        raise fail(
            ShapeError,
            "shape",
            here(),
            what="setting an array element with a sequence: the parts of the list have different ranks",
        )
    return PRIMITIVES["stack"](*parts)  # type: ignore[no-any-return]


@answers(np.array)
def array(
    object: Any, dtype: Any = None, *, copy: Any = True, order: Any = "K", subok: bool = False, ndmin: int = 0
) -> Atom:
    a = _nested(object)
    a = convert_to(a, check_dtype(dtype or a.type.dtype))
    if a.type.rank < ndmin:
        a = expand(a, tuple(range(ndmin - a.type.rank)))
    return a


@answers(np.asarray, np.ascontiguousarray, np.asanyarray, np.asfortranarray)
def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None) -> Atom:
    return array(a, dtype)


@answers(np.asarray_chkfinite)
def asarray_chkfinite(a: Any, dtype: Any = None) -> Atom:
    raise fail(UnsupportedError, "type", here(), what="np.asarray_chkfinite", instead="use np.asarray")


@answers(np.copy, method="copy")
def copy(a: Any, order: Any = "K", subok: bool = False) -> Atom:
    return array(a)


@answers(method="astype")
def astype(
    x: Any, dtype: Any, order: Any = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Atom:
    return convert_to(value(x), check_dtype(dtype))


answers(np.astype)(astype)


def _cast(dtype: Any, *objects: Any) -> None:
    @answers(*objects)
    def cast(x: Any = 0) -> Atom:
        return convert_to(_nested(x), dtype)


_cast(np.dtype("f8"), np.float64)
_cast(np.dtype("f4"), np.float32)
_cast(np.dtype("i8"), np.int64)
_cast(np.dtype("i4"), np.int32)
_cast(np.dtype("?"), np.bool_)


# ---------------------------------------------------------------- ranges of numbers


def _length(span: Any) -> Dim:
    """A count of elements as a size; 0 for negative ones."""
    form = affine(span)
    if form is None:
        raise fail(UnsupportedError, "static", here(), what="the length of np.arange")
    if isinstance(form, int):
        return max(form, 0)
    if is_size(form) and nonnegative(form):
        return form
    if is_size(form) and known_at_entry(form):
        guard(Guard("least", form, 0, "", here()))
        return form
    raise fail(UnsupportedError, "static", here(), what="the length of np.arange")


def _is_float(x: Any) -> bool:
    return x.type.is_float if isinstance(x, Var | Lit) else isinstance(x, float | np.floating)


@answers(np.arange)
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Atom:
    if stop is None:
        start, stop = 0, start
    floats = [_is_float(x) for x in (start, stop, step)]
    if builtins.any(floats):
        return _arange_float(start, stop, step, dtype)
    stride = static_int(step, "the step of np.arange")
    if stride == 0:
        raise fail(ShapeError, "shape", here(), what="Maximum allowed size exceeded")
    lo, hi = affine(start), affine(stop)
    assert lo is not None and hi is not None
    span = size(hi) - lo if stride > 0 else size(lo) - hi
    count = _length((span + abs(stride) - 1) // abs(stride) if abs(stride) > 1 else span)
    out: Any = iota(size=count)
    if stride != 1:
        out = out * stride
    if lo != 0:
        out = out + value(start)
    return convert_to(out, check_dtype(dtype or INT))


def _number(x: Any) -> float | None:
    x = value(x)
    return x.value if isinstance(x, Lit) else None


def _arange_float(start: Any, stop: Any, step: Any, dtype: Any) -> Atom:
    lo, hi, by = (_number(x) for x in (start, stop, step))
    if lo is None or hi is None or by is None:
        raise fail(UnsupportedError, "static", here(), what="a float bound of np.arange")
    out = np.arange(lo, hi, by)  # for the length: NumPy's own rounding
    values = iota(size=len(out)) * (out[1] - out[0] if len(out) > 1 else by) + lo
    return convert_to(values, check_dtype(dtype or promote(tuple(value(x).type for x in (start, stop, step)))))


@answers(np.linspace)
def linspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    count = static_dim(num, "the number of points")
    a, b = value(start), value(stop)
    joint = promote((a.type, b.type, Tensor(FLOAT, (), True)))
    a, b = convert_to(a, joint), convert_to(b, joint)
    intervals = size(count) - 1 if endpoint else size(count)
    delta = b - a
    step = delta / (max(intervals, 1) if isinstance(intervals, int) else value(intervals))
    along: Any = convert_to(iota(size=count), joint)
    rank = delta.type.rank
    if rank:
        along = expand(along, tuple(range(1, rank + 1)))
    y = along * step + a
    if endpoint and not (isinstance(count, int) and count < 2):
        # the last point exactly, as NumPy does
        y = setitem(y, (size(count) - 1,), b)
    y = convert_to(y, check_dtype(dtype or joint))
    if rank and axis not in (0, -rank - 1):
        order = list(range(1, rank + 1))
        order.insert(axis % (rank + 1), 0)
        y = permute(y, tuple(order))
    return (y, step) if retstep else y


@answers(np.logspace)
def logspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None) -> Atom:
    y = OPERATORS["pow"](value(base), linspace(start, stop, num, endpoint))
    return convert_to(y, check_dtype(dtype or y.type.dtype))


# ---------------------------------------------------------------- matrices


@answers(np.eye)
def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = float, order: Any = "C") -> Atom:
    rows = static_dim(N)
    columns = rows if M is None else static_dim(M)
    shift = static_int(k, "the diagonal of np.eye")
    down, right = expand(iota(size=rows), (1,)), expand(iota(size=columns), (0,))
    on = lookup(np.equal)(down + shift if shift else down, right)  # type: ignore[misc]
    return convert_to(on, check_dtype(dtype))


@answers(np.identity)
def identity(n: Any, dtype: Any = None) -> Atom:
    return eye(n, dtype=dtype or float)


@answers(np.tri)
def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = float) -> Atom:
    rows = static_dim(N)
    columns = rows if M is None else static_dim(M)
    down, right = expand(iota(size=rows), (1,)), expand(iota(size=columns), (0,))
    below = lookup(np.greater_equal)(down + static_int(k, "k"), right)  # type: ignore[misc]
    return convert_to(below, check_dtype(dtype))


def _triangle_indices(n: Any, k: Any, m: Any, upper: bool) -> tuple[Atom, ...]:
    rows, offset = static_dim(n), static_int(k, "k")
    columns = rows if m is None else static_dim(m)
    mask = tri(rows, columns, offset - 1 if upper else offset, bool)
    if upper:
        mask = lookup(np.logical_not)(mask)  # type: ignore[misc]
    found = lookup(np.nonzero)(mask)  # type: ignore[misc]
    if isinstance(rows, int) and isinstance(columns, int):  # then so is their number
        count = len((np.triu_indices if upper else np.tril_indices)(rows, offset, columns)[0])
        found = tuple(same_size(v, dims=(count,)) for v in found)
    for v, extent in zip(found, (rows, columns), strict=True):
        know(v, 0, extent - 1)
    return tuple(found)


@answers(np.triu_indices)
def triu_indices(n: Any, k: Any = 0, m: Any = None) -> tuple[Atom, ...]:
    return _triangle_indices(n, k, m, True)


@answers(np.tril_indices)
def tril_indices(n: Any, k: Any = 0, m: Any = None) -> tuple[Atom, ...]:
    return _triangle_indices(n, k, m, False)


@answers(np.triu_indices_from)
def triu_indices_from(arr: Any, k: Any = 0) -> tuple[Atom, ...]:
    rows, columns = value(arr).type.dims
    return _triangle_indices(rows, k, columns, True)


@answers(np.tril_indices_from)
def tril_indices_from(arr: Any, k: Any = 0) -> tuple[Atom, ...]:
    rows, columns = value(arr).type.dims
    return _triangle_indices(rows, k, columns, False)


@answers(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Atom]:
    values = [ravel(value(x)) for x in xi]
    rank = len(values)
    place = list(range(rank))
    if indexing == "xy" and rank > 1:
        place[0], place[1] = 1, 0
    dims: list[Dim] = [1] * rank
    for v, k in zip(values, place, strict=True):
        dims[k] = v.type.dims[0]
    out = [expand(v, tuple(j for j in range(rank) if j != k)) for v, k in zip(values, place, strict=True)]
    return out if sparse else [broadcast_to(v, tuple(dims)) for v in out]


@answers(np.indices)
def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    dims = shape_of(dimensions)
    rank = len(dims)
    grids = [
        expand(convert_to(iota(size=d), dtype), tuple(j for j in range(rank) if j != k)) for k, d in enumerate(dims)
    ]
    return tuple(grids) if sparse else PRIMITIVES["stack"](*(broadcast_to(g, dims) for g in grids))
