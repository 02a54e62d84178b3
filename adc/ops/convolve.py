"""np.convolve, np.correlate and sliding windows.

In: two vectors and a mode.  Out: the sums of products over every shift.  One primitive, closed under derivatives.
Windows are the slices that lie under each place of a window of static length.

    np.convolve(x, kernel, mode="same"); np.correlate(x, pattern)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.errors import ShapeError, fail
from adc.ir import Atom, Dim, Guard, Params, Primitive, Routine, Sample, Tensor, guard, here, size
from adc.ops import routines
from adc.ops.core import promote, total, value
from adc.ops.index import axis_of, flip, getitem
from adc.ops.ranges import nonnegative
from adc.ops.reduce import not_empty
from adc.ops.registry import answers, lookup, register
from adc.ops.shape import static_int
from adc.ops.structure import check, convert_to, expand, size_value

MODES = ("valid", "same", "full")


def _type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    a, v = types
    if a.rank != 1 or v.rank != 1 or a.dtype != v.dtype:
        raise fail(ShapeError, "shape", here(), what=f"cannot convolve {a} and {v}")
    n, m = size(a.dims[0]), size(v.dims[0])
    return (Tensor(a.dtype, (n - m + 1 if p["valid"] else n + m - 1,)),)


def _jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    (a, v), (da, dv) = args, dots
    return (total(None if da is None else convolve_op(da, v, **p), None if dv is None else convolve_op(a, dv, **p)),)


def _vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    (a, v), bar = args, bars[0]
    if bar is None or not a.type.is_float:
        return None, None
    if p["valid"]:
        return convolve_op(bar, flip(v, (0,)), valid=False), flip(convolve_op(a, flip(bar, (0,)), valid=True), (0,))
    return convolve_op(bar, flip(v, (0,)), valid=True), convolve_op(bar, flip(a, (0,)), valid=True)


def _r(n: int, seed: int = 6) -> Any:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, n)


# with `valid` the first is at least as long as the second
convolve_op: Primitive = register(
    Primitive(
        "convolve",
        type=_type,
        numpy=lambda args, types, p, dim: (
            f"np.convolve({args[0]}, {args[1]}{', mode=' + repr('valid') if p['valid'] else ''})"
        ),
        loops=Routine(routines.convolution, ("valid",)),
        jvp=_jvp,
        vjp=_vjp,
        samples=lambda: (
            *(
                Sample((_r(n), _r(m, 7)), {"valid": valid})
                for n, m in ((5, 3), (4, 4), (3, 1))
                for valid in (True, False)
            ),
            Sample((_r(2), _r(4, 7)), {"valid": False}),
            Sample((np.arange(4), np.arange(1, 3)), {"valid": False}, False),
        ),
        reference=lambda a, v, valid: np.convolve(a, v, "valid" if valid else "full"),
    )
)


def _mode(mode: Any) -> str:
    name = MODES[mode] if isinstance(mode, int) and 0 <= mode < 3 else mode
    if name not in MODES:
        raise fail(ShapeError, "shape", here(), what=f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    return str(name)


def _pair(a: Any, v: Any) -> tuple[Atom, Atom]:
    a, v = value(a), value(v)
    joint = promote((a.type, v.type))
    out = []
    for x in (a, v):
        x = convert_to(x, joint if joint.kind != "b" else np.dtype("i8"))
        if x.type.rank > 1:
            raise fail(ShapeError, "shape", here(), what="object too deep for desired array")
        x = x if x.type.rank else getitem(x, (None,))
        not_empty(x, (0,), "convolve")
        out.append(x)
    return out[0], out[1]


def _longer(n: Dim, m: Dim) -> bool:
    """Is n >= m?  Of sizes in doubt the first is taken for the longer, with a guard."""
    if nonnegative(size(n) - m):
        return True
    if nonnegative(size(m) - n):
        return False
    guard(Guard("least", n, m, "the first operand is taken for the longer one", here()))
    return True


def _same(y: Atom, n: Dim, m: Dim, start: Dim) -> Atom:
    return getitem(y, (slice(start, size(start) + n),))


@answers(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Atom:
    name = _mode(mode)
    x, w = _pair(a, v)
    if name == "full":
        return convolve_op(x, w, valid=False)  # type: ignore[no-any-return]
    if not _longer(x.type.dims[0], w.type.dims[0]):
        x, w = w, x
    if name == "valid":
        return convolve_op(x, w, valid=True)  # type: ignore[no-any-return]
    (n,), (m,) = x.type.dims, w.type.dims
    return _same(convolve_op(x, w, valid=False), n, m, (size(m) - 1) // 2)


@answers(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Atom:
    """Convolution with the second reversed; where it is the longer, NumPy swaps them and reverses the result."""
    name = _mode(mode)
    x, w = _pair(a, v)
    swapped = name != "full" and not _longer(x.type.dims[0], w.type.dims[0])
    if swapped:
        x, w = w, x
    (n,), (m,) = x.type.dims, w.type.dims
    y: Atom = convolve_op(x, flip(w, (0,)), valid=name == "valid")
    if name == "same":
        y = _same(y, n, m, (size(m) - 1) // 2)
    return flip(y, (0,)) if swapped else y


__all__ = ["convolve", "correlate"]


MOST_SLICES = 64
"""Windows longer than this are read by indices instead of one slice for each place."""


@answers(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(x: Any, window_shape: Any, axis: Any = None, *, subok: Any = False, writeable: Any = False) -> Atom:
    x = value(x)
    lengths = tuple(window_shape) if isinstance(window_shape, tuple | list) else (window_shape,)
    if axis is None:
        if len(lengths) != x.type.rank:
            raise fail(ShapeError, "shape", here(), what=f"window_shape must have one length for each of the {x.type.rank} axes where axis is None")
        axes = tuple(range(x.type.rank))
    else:
        axes = tuple(axis_of(a, x.type.rank) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(axes) != len(lengths):
        raise fail(ShapeError, "shape", here(), what=f"window_shape and axis have {len(lengths)} and {len(axes)} items")
    for k, length in zip(axes, lengths, strict=True):
        x = _windows(x, k, static_int(length, "the length of a window"))
    return x


def _windows(x: Atom, axis: int, w: int) -> Atom:
    """The windows along one axis; the place in the window is a new last axis."""
    n = x.type.dims[axis]
    message = "window shape cannot be larger than input array shape"
    if w < 0 or (isinstance(n, int) and n < w):
        raise fail(ShapeError, "shape", here(), what="values in window_shape cannot be negative" if w < 0 else message)
    if not nonnegative(size(n) - w):
        check(lookup(np.greater_equal)(size_value(n), w), code="shape", message=message)  # type: ignore[misc]
    before = (slice(None),) * axis
    if 0 < w <= MOST_SLICES:
        return lookup(np.stack)([getitem(x, (*before, slice(j, n - w + 1 + j))) for j in range(w)], axis=-1)  # type: ignore[misc]
    where = expand(lookup(np.arange)(n - w + 1), (1,)) + expand(lookup(np.arange)(w), (0,))  # type: ignore[misc]
    return lookup(np.moveaxis)(getitem(x, (*before, where)), axis + 1, -1)  # type: ignore[misc]
