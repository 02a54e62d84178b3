"""One axis of an index: a position or a slice, normalised and made certain.

In: an int (static, a size, or run-time) or a Python slice, and the axis' size.  Out: a nonnegative
position inside, or a `Part` (start, size, step), with what could not be proved put into guards or checks.

    position_of(-1, n, 0)                 # n - 1
    decide(slice(1, None), n)             # Part(1, n - 1, 1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import OPERATORS, Atom, Dim, Guard, Lit, Size, Sym, Var, current, guard, here, size
from adc.ir.build import fact
from adc.ops.core import value
from adc.ops.ranges import affine, bound_to, inside, is_size, know, known_at_entry, nonnegative, static
from adc.ops.registry import PRIMITIVES, lookup
from adc.ops.structure import bind_size, check, convert_to, size_value

INT = np.dtype("i8")


def refuse(what: str, instead: str) -> Any:
    return fail(UnsupportedError, "type", here(), what=what, instead=instead)


def is_int(item: Any) -> bool:
    if isinstance(item, Var | Lit):
        return not item.type.rank and item.type.dtype.kind == "i"
    return isinstance(item, int | np.integer | Size) and not isinstance(item, bool)


def plain(item: Any) -> Any:
    return int(item) if isinstance(item, np.integer) else item


# ---------------------------------------------------------------- what must hold


def _assume(left: Dim, right: Dim) -> bool:
    """Make `left >= right` certain by a guard at entry; False if no guard can speak of it."""
    if nonnegative(left - right):
        return True
    if isinstance(left, int) and isinstance(right, int):
        return False
    if not known_at_entry(size(left) - right):
        return False
    guard(Guard("least", left, right, "", here()))
    return True


def _possible(left: Dim, right: Dim) -> bool:
    gap = size(left) - right
    return nonnegative(gap) or (not isinstance(gap, int) and known_at_entry(gap))


def _negative(d: Dim) -> bool:
    return nonnegative(size(d) * -1 - 1)


def _out_of_bounds(i: Any, axis: int, n: Dim) -> Any:
    return fail(ShapeError, "out_of_bounds", here(), index=i, axis=axis, size=n)


def _both(a: Any, b: Any) -> Any:
    return OPERATORS["and"](a, b)


def choose(cond: Any, a: Any, b: Any) -> Any:
    return PRIMITIVES["where"](cond, a, b)


@dataclass(frozen=True)
class _Wrapped:
    """Key of an index already normalised and checked for an axis of this size."""

    index: Var
    extent: Dim


@dataclass(frozen=True)
class _Count:
    """Key of the symbol bound to a run-time length."""

    value: Dim
    step: int


def wrap(i: Atom, n: Dim, axis: int) -> Any:
    """A run-time index (or array of them) as a nonnegative one, checked to be inside."""
    if inside(i, 0, size(n) - 1):
        return convert_to(i, INT)
    key = _Wrapped(i, n) if isinstance(i, Var) else None
    done = fact(key) if key is not None else None
    if done is not None:
        return done
    j = convert_to(i, INT)
    if inside(i, size(n) * -1, -1):
        j = j + size_value(n)
    else:
        j = j if inside(i, 0, None) else choose(j < 0, j + size_value(n), j)
        ok = _both(j >= 0, j < size_value(n))
        if ok.type.rank:
            ok = lookup(np.all)(ok)  # type: ignore[misc]
        check(ok, code="out_of_bounds", message=f"index out of bounds for axis {axis} with size {n}")
        if isinstance(j, Var):
            know(j, 0, size(n) - 1)
    if key is not None:
        current().facts[key] = j
    return j


def position_of(item: Any, n: Dim, axis: int) -> Dim | Var:
    """One position on an axis of size n: a Dim, or a run-time value."""
    item = plain(item)
    d = static(item)
    if d is not None:
        pos = n + d if _negative(d) else d
        if isinstance(n, int) and isinstance(d, int) and not 0 <= pos < n:  # type: ignore[operator]
            raise _out_of_bounds(d, axis, n)
        if _possible(pos, 0) and _possible(size(n) - 1, pos):
            _assume(pos, 0)
            _assume(size(n) - 1, pos)
            return pos
    wrapped = wrap(value(item), n, axis)
    return int(wrapped.value) if isinstance(wrapped, Lit) else wrapped


# ---------------------------------------------------------------- slices


@dataclass(frozen=True)
class Part:
    """A slice decided: `flip` reverses what `start:start + size * step:step` gives."""

    start: Any
    size: Dim
    step: int
    flip: bool = False


def _step(s: slice) -> int:
    if s.step is None:
        return 1
    step = static(plain(s.step))
    if not isinstance(step, int):
        raise fail(UnsupportedError, "static", here(), what="the step of a slice")
    if step == 0:
        raise fail(ShapeError, "shape", here(), what="slice step cannot be zero")
    return step


def decide(s: slice, n: Dim) -> Part:
    step = _step(s)
    for bound in (s.start, s.stop):
        if bound is not None and not is_int(bound):
            raise refuse("a bound of a slice is not an integer", "use integers in slices")
    start, stop = plain(s.start), plain(s.stop)
    first = static(start) if start is not None else None
    last = static(stop) if stop is not None else None
    known = (start is None or first is not None) and (stop is None or last is not None)
    if known and isinstance(n, int) and not isinstance(first, Size) and not isinstance(last, Size):
        lo, hi, _ = slice(first, last, step).indices(n)
        count = len(range(lo, hi, step))
        return Part(lo, count, step) if count else Part(0, 0, 1)
    if known:
        part = _static_part(first, last, step, n)
        if part is not None:
            return part
    return _rising(start, stop, step, n) if step > 0 else _falling(start, stop, -step, n)


def _static_part(first: Dim | None, last: Dim | None, step: int, n: Dim) -> Part | None:
    """Bounds that guards at entry can speak of; None where they cannot."""
    top = n if step > 0 else size(n) - 1
    lo: Dim = (0 if step > 0 else size(n) - 1) if first is None else n + first if _negative(first) else first
    hi: Dim = (n if step > 0 else -1) if last is None else n + last if _negative(last) else last
    needs: list[tuple[Dim, Dim]] = []
    if first is not None:
        needs += [(lo, 0), (top, lo)]
    if last is not None:
        needs += [(hi, 0), (top, hi)]
    gap = size(hi) - lo if step > 0 else size(lo) - hi
    empty = _negative(gap) or gap == 0
    if not empty:
        needs.append((gap, 0))
    if not all(_possible(a, b) for a, b in needs):
        return None
    for a, b in needs:
        _assume(a, b)
    if empty:
        return Part(0, 0, 1)
    stride = abs(step)
    return Part(lo, gap if stride == 1 else (gap + stride - 1) // stride, step)


def _bound(b: Any, n: Dim, low: int, high: Dim) -> Any:
    """A run-time bound of a slice, normalised and clamped as Python does."""
    form = affine(b)
    assert form is not None
    if _negative(form):
        b = value(b) + size_value(n)
        if inside(b, low, high):
            return b
    elif inside(b, 0, high):
        return b
    else:
        j = convert_to(value(b), INT)
        b = j if nonnegative(form) else choose(j < 0, j + size_value(n), j)
    if not nonnegative(affine(b) - size(low)):  # type: ignore[operator]
        b = lookup(np.maximum)(b, low)  # type: ignore[misc]
    if not nonnegative(high - affine(b)):  # type: ignore[operator]
        b = lookup(np.minimum)(b, size_value(high))  # type: ignore[misc]
    return b


def _length(span: Any, stride: int, upper: Dim) -> Dim:
    """A run-time length as a size: `ceil(max(span, 0) / stride)`."""
    form = affine(span)
    assert form is not None
    certain = nonnegative(form)
    if certain and is_size(form):
        return (form + stride - 1) // stride
    key = _Count(form, stride)
    sym = fact(key) or (bound_to(form) if stride == 1 else None)
    if sym is None:
        count = span if certain else lookup(np.maximum)(span, 0)  # type: ignore[misc]
        if stride > 1:
            count = OPERATORS["floordiv"](count + (stride - 1), stride)
        sym = Sym("m")
        bind_size(value(count), sym=sym, upper=upper)
        current().facts[key] = sym
    return size(sym)


def _minus(a: Any, b: Any) -> Any:
    """`a - b`, as a person writes it where b is a small constant."""
    if isinstance(b, int) and b <= 0:
        return value(a) if b == 0 else value(a) + -b
    return value(a) - value(b)


def _rising(start: Any, stop: Any, step: int, n: Dim) -> Part:
    start = 0 if start is None else start
    stop = n if stop is None else stop
    lo, hi = affine(start), affine(stop)
    assert lo is not None and hi is not None
    gap = hi - lo
    if is_size(gap) and not (is_size(lo) and is_size(hi)) and not _negative(lo):
        # a window x[i:i + 3]: its length is known, so only its place needs a check
        if _negative(gap):
            return Part(0, 0, 1)
        if _assume(gap, 0):
            conditions = [value(start) >= 0] if not nonnegative(lo) else []
            if not nonnegative(n - hi):
                conditions.append(value(stop) <= size_value(n))
            for cond in conditions:
                check(cond, code="out_of_bounds", message=f"slice reaches outside an axis of size {n}")
            return Part(start, (gap + step - 1) // step, step)
    start, stop = _bound(start, n, 0, n), _bound(stop, n, 0, n)
    return Part(start, _length(_minus(stop, start), step, n), step)


def _falling(start: Any, stop: Any, stride: int, n: Dim) -> Part:
    """A negative step: the rising slice of the same elements, to be flipped."""
    top = size(n) - 1
    first = top if start is None else _bound(start, n, -1, top)
    last = -1 if stop is None else _bound(stop, n, -1, top)
    count = _length(_minus(first, last), stride, n)
    return Part(_minus(first, (size(count) - 1) * stride), count, stride, True)
