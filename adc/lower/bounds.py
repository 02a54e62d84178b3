"""What is certain of conditions and indices inside a box of loops.

In: the first and last values of loop variables.  Out: conditions that are decided, and expressions without the choices that depend on them.

    0 <= i <= n - 2:    i + 1 < n → True        (i + 1) % n → i + 1        i - 1 + n if i - 1 < 0 else i - 1 → as it is
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from adc.ir import I8, Dim, Size, Sym, at_least, size, substitute, symbols
from adc.ir.dims import Quotient, size_terms
from adc.lower.nodes import Apply, Const, Expr, Index, Load, Pool

BOOL = np.dtype("?")
CHOICE = "({1} if {0} else {2})"
COMPARED = ("{0} < {1}", "{0} <= {1}", "{0} > {1}", "{0} >= {1}", "{0} == {1}", "{0} != {1}")
LOGIC = ("{0} | {1}", "{0} & {1}")
REMAINDER = "{0} % {1}"


class Natural(dict[Sym, int]):
    """Sizes and loop variables are at least 0, or what is said of them (those of the arguments at least 2, which is not needed here)."""

    def get(self, key: Sym, default: Any = None) -> Any:  # type: ignore[override]
        return super().get(key, 0)


class Bounds:
    """Loop variables and what they run through: `ranges[i] = (first, last)`."""

    def __init__(self, pool: Pool, ranges: dict[Sym, tuple[Dim, Dim]], counts: Iterable[Dim] = ()):
        """`counts` of loops around: where the body runs at all, they are at least 1."""
        self.pool = pool
        self.ranges = ranges
        self.sizes = Natural({s: 1 for c in counts for s in symbols(size(c)) if size(c) == size(s)})
        self._folded: dict[Expr, Expr] = {}

    # ------------------------------------------------------------ numbers

    def least(self, d: Dim) -> Dim | None:
        """A bound from below without loop variables; None if there is none to be seen."""
        total: Dim = 0
        for monomial, c in size_terms(d):
            own = [a for a in monomial if isinstance(a, Sym) and a in self.ranges]
            rest = tuple(a for a in monomial if not (isinstance(a, Sym) and a in self.ranges))
            if len(own) > 1 or any(v in symbols(Size((((a,), 1),))) for a in rest if not isinstance(a, Sym) for v in self.ranges):
                return None
            if not own:
                total = total + _term(monomial, c)
                continue
            if any(not isinstance(a, Sym) or a in self.pool.locals or a in self.pool.opaque for a in rest):
                return None
            first, last = self.ranges[own[0]]
            total = total + _term(rest, c) * (first if c > 0 else last)
        return total

    def natural(self, d: Dim) -> bool:
        """Is it certain that `d >= 0`?"""
        low = self.least(d)
        return low is not None and (not any(s in self.pool.locals or s in self.pool.opaque for s in symbols(size(low)))) and at_least(low, 0, self.sizes)

    def within(self, c: Dim, extent: Dim) -> bool:
        """Is it certain that `0 <= c < extent`?"""
        return self.natural(c) and self.natural(size(extent) - c - 1)

    # ------------------------------------------------------------ conditions

    def decide(self, e: Expr) -> bool | None:
        """The truth of a condition, where it is the same all over the box."""
        if isinstance(e, Const):
            return bool(e.value)
        if not isinstance(e, Apply):
            return None
        if e.text in LOGIC and e.dtype == BOOL:
            sides = [self.decide(a) for a in e.args]
            strong = e.text == LOGIC[0]
            return strong if strong in sides else (not strong if None not in sides else None)
        if e.text not in COMPARED or not all(isinstance(a, Index) for a in e.args):
            return None
        a, b = (x.dim for x in e.args if isinstance(x, Index))
        if e.text in ("{0} == {1}", "{0} != {1}"):
            if a == b:
                return e.text == "{0} == {1}"
            apart = self.natural(size(a) - b - 1) or self.natural(size(b) - a - 1)
            return (e.text == "{0} != {1}") if apart else None
        less, more = (a, b) if "<" in e.text else (b, a)
        strict = 0 if "=" in e.text else 1
        if self.natural(size(more) - less - strict):
            return True
        return False if self.natural(size(less) - more - (1 - strict)) else None

    # ------------------------------------------------------------ expressions

    def fold(self, e: Expr) -> Expr:
        """The same value without what is decided."""
        if e not in self._folded:
            self._folded[e] = self._fold(e)
        return self._folded[e]

    def fold_dim(self, d: Dim) -> Dim:
        table = {s: self.pool.as_dim(self.fold(self.pool.opaque[s])) for s in symbols(size(d)) if s in self.pool.opaque}
        d = substitute(d, table) if table else d
        if not any(isinstance(a, Quotient) for monomial, _ in size_terms(d) for a in monomial):
            return d
        total: Dim = 0
        for monomial, c in size_terms(d):
            term: Dim = c
            for a in monomial:
                rest = self.turned(a.left, a.right) if isinstance(a, Quotient) and a.op == "%" else None
                term = term * (Size((((a,), 1),)) if rest is None else rest)
            total = total + term
        return total

    def _fold(self, e: Expr) -> Expr:
        pool = self.pool
        match e:
            case Load():
                return pool.load(e.buf, e.dims, tuple(self.fold_dim(c) for c in e.coords))
            case Index():
                return pool.index(self.fold_dim(e.dim))
            case Apply():
                args = tuple(self.fold(a) for a in e.args)
                if e.text == CHOICE and (truth := self.decide(args[0])) is not None:
                    return args[1 if truth else 2]
                if e.text == REMAINDER and isinstance(args[0], Index) and isinstance(args[1], Index):
                    rest = self.turned(args[0].dim, args[1].dim)
                    if rest is not None:
                        return pool.index(rest)
                if e.text in LOGIC and e.dtype == BOOL and any(isinstance(a, Const) for a in args):
                    a, b = args if isinstance(args[0], Const) else args[::-1]
                    if isinstance(a, Const) and bool(a.value) is (e.text == LOGIC[1]):
                        return b
                new = pool.apply(e.text, args, e.dtype, e.cost)
                truth = self.decide(new) if new.dtype == BOOL else None
                return new if truth is None else pool.const(truth, BOOL)
        return e

    def turned(self, a: Dim, n: Dim) -> Dim | None:
        """`a % n`, where that is at most one turn away: a choice is cheaper than a division."""
        for rest in (a, size(a) - n, size(a) + n):
            if self.within(rest, n):
                return rest
        if self.within(a, size(n) * 2):
            return self.either(a, n, size(a) - n)
        return self.either(a, 0, a, size(a) + n) if self.within(size(a) + n, size(n) * 2) else None

    def either(self, a: Dim, bound: Dim, behind: Dim, before: Dim | None = None) -> Dim:
        """`a` below the bound, else `behind`; with `before` that below, and `behind` from there on."""
        below = self.pool.apply("{0} < {1}", (self.pool.index(a), self.pool.index(bound)), BOOL)
        return self.pool.as_dim(self.pool.apply(CHOICE, (below, self.pool.index(a if before is None else before), self.pool.index(behind)), I8))


def _term(monomial: tuple[Any, ...], c: int) -> Dim:
    return Size(((monomial, c),)) if monomial else c


def turns(d: Dim) -> Iterator[tuple[Dim, int, int]]:
    """The same of the remainders in an index."""
    for monomial, _ in size_terms(d):
        for a in monomial:
            if isinstance(a, Quotient) and a.op == "%":
                yield a.left, -1, 0
                yield size(a.left) - a.right, -1, 0


def turning_points(pool: Pool, e: Expr) -> Iterator[tuple[Dim, int, int]]:
    """(gap, below, above) for each comparison: it is decided where the gap is at most `below`, and where it is at least `above`."""
    for x in pool.nodes(e):
        if not isinstance(x, Apply) or not all(isinstance(a, Index) for a in x.args):
            continue
        if x.text in COMPARED:
            a, b = (y.dim for y in x.args if isinstance(y, Index))
            gap = size(a) - b
            if "==" in x.text or "!=" in x.text:
                yield gap, -1, 1
            elif x.text in ("{0} < {1}", "{0} >= {1}"):
                yield gap, -1, 0
            else:
                yield gap, 0, 1
        elif x.text == REMAINDER:
            a, n = (y.dim for y in x.args if isinstance(y, Index))
            yield a, -1, 0
            yield size(a) - n, -1, 0


__all__ = ["BOOL", "CHOICE", "Bounds", "Natural", "turning_points", "turns"]
