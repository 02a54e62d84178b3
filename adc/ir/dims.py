"""Sizes of axes: integers, or polynomials over size symbols in canonical form.

In: `+ - * // %` on ints, `Sym`s and `Size`s.  Out: a `Dim` (an int where the value is known) whose
structural equality decides whether two axes agree, so that `x[1:]` and `np.zeros(n - 1)` meet.

>>> n, m = Sym("n"), Sym("m")
>>> (size(n) + 1) * 2 - 2 == size(n) * 2
True
>>> (size(n) * m // 2) , size(n) - n
((m*n) // 2, 0)
>>> evaluate(size(n) * m - 1, {n: 3, m: 4})
11
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Union

_serial = itertools.count()


@dataclass(frozen=True, eq=False, slots=True)
class Sym:
    """A size known at run time.  Two symbols are one only if they are the same object."""

    hint: str = "n"
    serial: int = field(default_factory=lambda: next(_serial))

    def __repr__(self) -> str:
        return self.hint


class Held(Sym):
    """The turns of a loop whose rows a limit on memory has counted: nothing may keep more of them at once (`tape_limit`)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Quotient:
    """An opaque atom: `op` is `//`, `%`, `max` or `min` of two dims."""

    op: str
    left: Dim
    right: Dim

    def __repr__(self) -> str:
        if self.op in ("max", "min"):
            return f"{self.op}({self.left}, {self.right})"
        wrap = [f"({d})" if isinstance(d, Size) and not d.is_symbol else f"{d}" for d in (self.left, self.right)]
        return f"{wrap[0]} {self.op} {wrap[1]}"


Atom = Union[Sym, Quotient]
Monomial = tuple[Atom, ...]


def _order(atom: Atom) -> tuple[int, str, int]:
    return (0, atom.hint, atom.serial) if isinstance(atom, Sym) else (1, _text(atom), 0)


@functools.lru_cache(maxsize=1 << 14)
def _text(atom: Quotient) -> str:
    """Sums are sorted by the texts of what they hold, which is deep where sizes are computed from sizes."""
    return repr(atom)


class _Remembered:
    """What is asked of a size thousands of times; not pickled, for symbols hash by what they are in this process."""

    __slots__ = ("_hash", "_symbols")
    _hash: int
    _symbols: tuple[Sym, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Size(_Remembered):
    """A sum of `coefficient * product of atoms`, sorted; never a constant (that is an int)."""

    terms: tuple[tuple[Monomial, int], ...]

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", hash(self.terms))
            return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Size) and hash(self) == hash(other) and self.terms == other.terms)

    @property
    def is_symbol(self) -> bool:
        if len(self.terms) != 1 or self.terms[0][1] != 1:
            return False
        atoms = self.terms[0][0]
        return len(atoms) == 1 and isinstance(atoms[0], Sym)

    def __add__(self, other: DimLike) -> Dim:
        return _make(itertools.chain(self.terms, size_terms(other)))

    def __mul__(self, other: DimLike) -> Dim:
        return _make(
            (tuple(sorted(a + b, key=_order)), p * q) for a, p in self.terms for b, q in size_terms(other)
        )

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: DimLike) -> Dim:
        return self + size(other) * -1

    def __rsub__(self, other: DimLike) -> Dim:
        return size(other) + self * -1

    def __floordiv__(self, other: DimLike) -> Dim:
        return floordiv(self, size(other))

    def __rfloordiv__(self, other: DimLike) -> Dim:
        return floordiv(size(other), self)

    def __mod__(self, other: DimLike) -> Dim:
        return mod(self, size(other))

    def __rmod__(self, other: DimLike) -> Dim:
        return mod(size(other), self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __repr__(self) -> str:
        parts = []
        for monomial, coefficient in self.terms:
            product = "*".join(f"({a!r})" if isinstance(a, Quotient) and (len(monomial) > 1 or coefficient != 1 or len(self.terms) > 1) and a.op in "//%" else repr(a) for a in monomial)
            sign = "-" if coefficient < 0 else "+"
            scale = abs(coefficient)
            text = str(scale) if not monomial else product if scale == 1 else f"{scale}*{product}"
            parts.append((sign, text))
        first_sign, first = parts[0]
        return ("-" if first_sign == "-" else "") + first + "".join(f" {s} {t}" for s, t in parts[1:])


Dim = Union[int, Size]
DimLike = Union[int, Sym, Size]


def size(value: DimLike) -> Dim:
    """`value` as a canonical dim."""
    if isinstance(value, Sym):
        return Size((((value,), 1),))
    if isinstance(value, Size):
        return value
    return int(value)


def size_terms(value: DimLike) -> tuple[tuple[Monomial, int], ...]:
    value = size(value)
    return value.terms if isinstance(value, Size) else (((), value),) if value else ()


def _make(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    total: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        total[monomial] = total.get(monomial, 0) + coefficient
    kept = [(m, c) for m, c in total.items() if c]
    if not kept:
        return 0
    if len(kept) == 1 and kept[0][0] == ():
        return kept[0][1]
    # constants last, so that `n - 1` reads as people write it
    kept.sort(key=lambda t: (t[0] == (), [_order(a) for a in t[0]]))
    return Size(tuple(kept))


def _atom(op: str, left: Dim, right: Dim) -> Dim:
    return Size((((Quotient(op, left, right),), 1),))


def floordiv(left: Dim, right: Dim) -> Dim:
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    if right == 1:
        return left
    if left == right:
        return 1
    if isinstance(left, Size) and isinstance(right, int) and all(c % right == 0 for _, c in left.terms):
        return _make((m, c // right) for m, c in left.terms)
    exact = _divide(left, right)
    return exact if exact is not None else _atom("//", left, right)


def _divide(left: Dim, right: Dim) -> Dim | None:
    """Exact division by one monomial, or None."""
    terms = size_terms(right)
    if not isinstance(left, Size) or len(terms) != 1:
        return None
    monomial, coefficient = terms[0]
    result = []
    for m, c in left.terms:
        rest = list(m)
        for atom in monomial:
            if atom not in rest:
                return None
            rest.remove(atom)
        if c % coefficient:
            return None
        result.append((tuple(rest), c // coefficient))
    return _make(result)


def mod(left: Dim, right: Dim) -> Dim:
    if isinstance(left, int) and isinstance(right, int):
        return left % right
    if right == 1 or left == right or (right != 0 and _divide(left, right) is not None):
        return 0
    if isinstance(left, Size) and isinstance(right, int) and all(c % right == 0 for _, c in left.terms):
        return 0
    return _atom("%", left, right)


def dim_max(left: Dim, right: Dim) -> Dim:
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return left if left == right else _atom("max", left, right)


def dim_min(left: Dim, right: Dim) -> Dim:
    if isinstance(left, int) and isinstance(right, int):
        return min(left, right)
    return left if left == right else _atom("min", left, right)


def product(dims: Iterable[Dim]) -> Dim:
    """The number of elements of a shape."""
    total: Dim = 1
    for d in dims:
        total = total * d
    return total


def symbols(value: Dim) -> tuple[Sym, ...]:
    """Every symbol in `value`, in a fixed order, without repeats."""
    if not isinstance(value, Size):
        return ()
    try:
        return value._symbols
    except AttributeError:
        pass
    found: dict[Sym, None] = {}
    for monomial, _ in value.terms:
        for a in monomial:
            for s in (a,) if isinstance(a, Sym) else (*symbols(a.left), *symbols(a.right)):
                found[s] = None
    object.__setattr__(value, "_symbols", tuple(found))
    return value._symbols


def substitute(value: Dim, table: Mapping[Sym, Dim]) -> Dim:
    """`value` with symbols replaced."""
    if not isinstance(value, Size) or not any(s in table for s in symbols(value)):
        return value

    def atom(a: Atom) -> Dim:
        if isinstance(a, Sym):
            return table.get(a, size(a))
        return COMBINE[a.op](substitute(a.left, table), substitute(a.right, table))

    total: Dim = 0
    for monomial, coefficient in value.terms:
        term: Dim = coefficient
        for a in monomial:
            term = term * atom(a)
        total = total + term
    return total


COMBINE: dict[str, Callable[[Dim, Dim], Dim]] = {"//": floordiv, "%": mod, "max": dim_max, "min": dim_min}


def evaluate(value: Dim, env: Mapping[Sym, int]) -> int:
    """The number, for the given sizes."""
    result = substitute(value, env)
    if isinstance(result, Size):
        raise KeyError(f"no value for {symbols(result)} in {value}")
    return result


def lower_bound(value: Dim, least: Mapping[Sym, int] | None = None) -> int | None:
    """A number that `value` cannot be below, if every symbol is at least 2 (or `least`)."""
    least = {} if least is None else least
    total = 0
    for monomial, coefficient in size_terms(value):
        if not monomial:
            total += coefficient
            continue
        if coefficient < 0 or not all(isinstance(a, Sym) for a in monomial):
            return None
        bound = 1
        for a in monomial:
            bound *= least.get(a, 2)  # type: ignore[arg-type]
        total += coefficient * bound
    return total


def at_least(left: Dim, right: Dim, least: Mapping[Sym, int] | None = None) -> bool:
    """Is `left >= right` certain?"""
    bound = lower_bound(size(left) - right, least)
    return bound is not None and bound >= 0
