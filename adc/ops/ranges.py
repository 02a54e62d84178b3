"""What is known of integers while a program is written: affine forms and bounds.

In: rank-0 int atoms (loop indices, sums of them, sizes) and int arrays.  Out: their value as a `Dim`
over size symbols and one symbol per integer of unknown value, and proofs that they lie in a range,
so that `x[i - 1]` in `for i in range(1, n)` needs no check.

    know(i, 0, n - 1)
    affine(i + 1)             # i + 1, a Dim
    inside(i + 1, 0, n)       # True

Facts live in the builder of the block where they hold and vanish with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.ir import Atom, Dim, Lit, Op, Size, Sym, Var, at_least, current, size, symbols
from adc.ir.build import definition, fact, run_time_sizes
from adc.ir.dims import size_terms, substitute


@dataclass(frozen=True)
class Bounds:
    """Lower and upper bounds.  `every`: the value is one of several, so all of them must satisfy a claim;
    otherwise each bound holds by itself, and one that suffices is enough."""

    low: tuple[Dim, ...] = ()
    high: tuple[Dim, ...] = ()
    every_low: bool = False
    every_high: bool = False


@dataclass(frozen=True)
class _Unknown:
    """Key of an integer's symbol."""

    var: Var


@dataclass(frozen=True)
class _Form:
    """Key of an integer's affine form."""

    var: Var


@dataclass(frozen=True)
class _Of:
    """Key of a symbol's bounds; marks the symbol as no size."""

    sym: Sym


@dataclass(frozen=True)
class _Elements:
    """Key of the bounds of an array's elements."""

    var: Var


def know(var: Atom, lo: Dim, hi: Dim) -> None:
    """`lo <= var <= hi`, for the rest of the block being written; of an array: for every element."""
    if not isinstance(var, Var):
        return
    if var.type.rank:
        current().facts[_Elements(var)] = Bounds((lo,), (hi,))
        return
    below, above = lower(var), upper(var)  # what was known before
    sym = Sym(var.hint or "i")
    current().facts[_Unknown(var)] = sym
    current().facts[_Of(sym)] = Bounds((lo,) if below is None else (lo, below), (hi,) if above is None else (hi, above))


MAX_DEPTH = 100
"""How far definitions are followed; integers beyond are taken as unknown."""


def affine(x: Any, depth: int = MAX_DEPTH) -> Dim | None:
    """The value of a rank-0 int as a Dim over sizes and symbols of unknown integers; None if it is no int."""
    if isinstance(x, int) and not isinstance(x, bool):
        return x
    if isinstance(x, Size):
        return x
    if not isinstance(x, Var | Lit) or x.type.rank or x.type.dtype.kind != "i":
        return None
    if isinstance(x, Lit):
        return int(x.value)
    known = fact(_Unknown(x))
    if known is not None:
        return size(known)
    form = fact(_Form(x))
    if form is None:
        op = definition(x)
        form = _affine_op(op, depth - 1) if op is not None and depth else None
        form = form if form is not None else size(_unknown(x, op, depth - 1))
        current().facts[_Form(x)] = form
    return form  # type: ignore[no-any-return]


# one primitive goes by its own name here, whatever it is called in NumPy
_NAMES = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "maximum": np.maximum,
    "minimum": np.minimum, "mod": np.remainder, "floordiv": np.floor_divide,
}  # fmt: skip


def _kind(op: Op) -> str:
    return next((name for name, f in _NAMES.items() if any(f is c for c in op.prim.calls)), op.prim.name)


def _affine_op(op: Op, depth: int) -> Dim | None:
    name, args = _kind(op), op.args
    if name == "size":
        return size(op.params["dim"])
    if (
        name == "convert"
        and args[0].type.dtype.kind == "i"
        and op.params["dtype"].itemsize >= args[0].type.dtype.itemsize
    ):
        return affine(args[0], depth)
    if name == "neg":
        a = affine(args[0], depth)
        return None if a is None else size(a) * -1
    if name in ("add", "sub", "mul"):
        a, b = affine(args[0], depth), affine(args[1], depth)
        if a is None or b is None:
            return None
        return a + b if name == "add" else a - b if name == "sub" else a * b
    return None


def _unknown(x: Var, op: Op | None, depth: int) -> Sym:
    """The symbol of an integer that is no affine form, with the bounds that its op gives."""
    bounds = _bounds_op(op, depth) if op is not None and depth > 0 else Bounds()
    sym = Sym(x.hint or "k")
    current().facts[_Unknown(x)] = sym
    current().facts[_Of(sym)] = bounds
    return sym


def _bounds_op(op: Op, depth: int) -> Bounds:
    name = _kind(op)
    forms = [affine(a, depth) for a in op.args]
    if name in ("argmax", "argmin"):
        axes = op.params.get("axes", op.params.get("axis"))
        axes = axes if isinstance(axes, tuple) else (axes,)
        if len(axes) == 1 and isinstance(axes[0], int):
            return Bounds((0,), (op.args[0].type.dims[axes[0]] - 1,))
    if name == "where" and forms[1] is not None and forms[2] is not None:
        both = (forms[1], forms[2])
        return Bounds(both, both, True, True)
    if not forms or any(f is None for f in forms):
        return Bounds()
    known: tuple[Dim, ...] = tuple(f for f in forms if f is not None)
    if name == "maximum":
        return Bounds(known, known, every_high=True)
    if name == "minimum":
        return Bounds(known, known, every_low=True)
    if name == "mod" and nonnegative(known[1] - 1):
        return Bounds((0,), (known[1] - 1,))
    if name == "floordiv" and isinstance(known[1], int) and known[1] > 0 and nonnegative(known[0]):
        return Bounds((0,), (known[0],))
    return Bounds()


def _bounds(sym: Sym) -> Bounds | None:
    """What is known of a symbol that is no size of the arguments."""
    found = fact(_Of(sym))
    if found is not None:
        return found  # type: ignore[no-any-return]
    form = affine(run_time_sizes().get(sym))
    return None if form is None else Bounds((form, 0), (form,))


def bound_to(form: Dim) -> Sym | None:
    """A size symbol in scope that stands for `max(form, 0)`."""
    for sym, a in run_time_sizes().items():
        if affine(a) == form and nonnegative(form):
            return sym
        op = definition(a)
        if op is not None and _kind(op) == "maximum" and affine(op.args[1]) == 0 and affine(op.args[0]) == form:
            return sym
    return None


def nonnegative(d: Dim, depth: int = 12) -> bool:
    """Is `d >= 0` certain, for sizes of at least 2 and integers within their bounds?"""
    if isinstance(d, int):
        return d >= 0
    loose = {s: b for s in symbols(d) if (b := _bounds(s)) is not None}
    if not loose:
        return at_least(d, 0, dict.fromkeys(run_time_sizes(), 0))
    if depth == 0:
        return False
    if at_least(d, 0, dict.fromkeys(run_time_sizes(), 0)) and not any(fact(_Of(s)) for s in loose):
        return True
    last = max(loose, key=lambda s: s.serial)  # an integer's bounds mention only older ones
    slope = _slope(d, last)
    if slope is None:
        return False
    b = loose[last]
    if nonnegative(slope, depth - 1):
        bounds, every = b.low, b.every_low
    elif nonnegative(size(slope) * -1, depth - 1):
        bounds, every = b.high, b.every_high
    else:
        return False
    results = (nonnegative(substitute(d, {last: bound}), depth - 1) for bound in bounds)
    return bool(bounds) and (all(results) if every else any(results))


def _slope(d: Dim, sym: Sym) -> Dim | None:
    """The coefficient of `sym`, if `d` is linear in it."""
    at0, at1, at2 = (substitute(d, {sym: k}) for k in (0, 1, 2))
    slope = at1 - at0
    inner = any(sym in symbols(size_of(a)) for m, _ in size_terms(d) for a in m if not isinstance(a, Sym))
    return slope if not inner and at2 - at1 == slope else None


def size_of(atom: Any) -> Dim:
    """A `Quotient` as a dim."""
    return Size((((atom,), 1),))


def inside(x: Any, lo: Dim, hi: Dim | None) -> bool:
    """Is `lo <= x` (and `x <= hi`) certain?  Of an array: for every element."""
    if isinstance(x, Var) and x.type.rank:
        return _elements_inside(x, lo, hi)
    form = affine(x)
    return form is not None and nonnegative(form - lo) and (hi is None or nonnegative(hi - form))


_KEEPS_ELEMENTS = (
    "broadcast",
    "squeeze",
    "reshape",
    "transpose",
    "index",
    "same_size",
    "copy",
    "gather",
    "fill",
    "sort",
)


def _elements_inside(x: Atom, lo: Dim, hi: Dim | None) -> bool:
    if not x.type.rank:
        return inside(x, lo, hi)
    known = fact(_Elements(x)) if isinstance(x, Var) else None
    if known is not None and nonnegative(known.low[0] - lo) and (hi is None or nonnegative(hi - known.high[0])):
        return True
    op = definition(x)
    if op is None:
        return False
    name = op.prim.name
    if name in ("stack", "concatenate"):
        return all(_elements_inside(a, lo, hi) for a in op.args)
    if name in _KEEPS_ELEMENTS or (name == "convert" and op.args[0].type.dtype.kind == "i"):
        return _elements_inside(op.args[0], lo, hi)
    extents: tuple[Dim, ...] = ()  # the elements are positions on an axis as long as one of these
    if name == "iota":
        extents = (op.params["size"],)
    elif name == "argsort":
        extents = op.args[0].type.dims
    elif name in ("argmax", "argmin"):
        axes = op.params.get("axes", op.params.get("axis"))
        axes = axes if isinstance(axes, tuple) else (axes,)
        extents = tuple(op.args[0].type.dims[a] for a in axes if isinstance(a, int)) if len(axes) == 1 else ()
    return bool(extents) and nonnegative(0 - lo) and (hi is None or all(nonnegative(hi - d + 1) for d in extents))


def static(x: Any) -> Dim | None:
    """The value as a size known at entry (an int, or a Dim over the arguments' sizes), or None."""
    form = affine(x)
    return form if form is not None and known_at_entry(form) else None


def known_at_entry(d: Dim) -> bool:
    """Can a guard at entry speak of `d`?"""
    bound = run_time_sizes()
    return not any(s in bound or fact(_Of(s)) is not None for s in symbols(d))


def is_size(d: Dim) -> bool:
    """Is `d` made of size symbols only (known at entry or bound), so that it may stand in a type?"""
    return all(fact(_Of(s)) is None for s in symbols(d))


def _extreme(x: Any, pick: Callable[[Bounds], tuple[Dim, ...]], up: bool) -> Dim | None:
    d = affine(x)
    for _ in range(8):
        if d is None or isinstance(d, int):
            return d
        loose = [s for s in symbols(d) if fact(_Of(s)) is not None]
        if not loose:
            return d
        last = max(loose, key=lambda s: s.serial)
        slope = _slope(d, last)
        if slope is None:
            return None
        rising = nonnegative(slope)
        if not rising and not nonnegative(size(slope) * -1):
            return None
        b: Bounds = fact(_Of(last))
        bounds, every = (b.high, b.every_high) if rising == up else (b.low, b.every_low)
        if not bounds or (every and len(bounds) > 1):
            return None
        d = substitute(d, {last: bounds[0]})
    return None


def lower(x: Any) -> Dim | None:
    """A size that the integer is never below, or None."""
    return _extreme(x, lambda b: b.low, False)


def upper(x: Any) -> Dim | None:
    """A size that the integer is never above, or None."""
    return _extreme(x, lambda b: b.high, True)


__all__ = ["Bounds", "affine", "bound_to", "inside", "is_size", "know", "known_at_entry", "lower", "nonnegative", "static", "upper"]
