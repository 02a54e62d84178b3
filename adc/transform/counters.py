"""Integers that a loop counts up are known from the iteration's number: no carry, nothing to save, loops stay independent.

In: a function without plain calls.  Out: the same, where an integer carry that grows by what is the same in each iteration, or by
what is linear in the iteration's number, is computed from it.

    k = 0                                        for c in range(d):
    for c in range(d):                               k = c * (2 * d - 1 - c) // 2
        for r in range(c + 1, d):           →        for r in range(c + 1, d):
            use(k); k += 1                               use(k + r)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from adc.ir import (
    Atom,
    Block,
    Dim,
    For,
    Function,
    If,
    Lit,
    Op,
    Size,
    Stmt,
    Sym,
    Var,
    While,
    at,
    current,
    literal,
    size,
    symbols,
)
from adc.ir.build import building
from adc.ir.dims import size_terms, substitute
from adc.ir.ranges import nonnegative
from adc.ir.rebuild import Rebuild
from adc.ops.registry import PRIMITIVES
from adc.ops.structure import size_value

Growth = tuple[Dim, Dim]
"""How much a carry grows in iteration i: the first plus i times the second."""


def counters(fn: Function) -> Function:
    """`fn` with counters computed instead of carried."""
    found = Integers.of(fn)
    return _Compute(found).function(fn) if found.grows else fn


class Integers:
    """Integers as polynomials in sizes and in symbols that stand for other integers."""

    def __init__(self) -> None:
        self.known: dict[Var, Dim] = {}
        self.stands_for: dict[Sym, Var] = {}
        self.sizes: dict[Sym, Dim] = {}
        self.counts: dict[Sym, Dim] = {}
        """Loop indices, the outermost first, and how often their loops turn."""
        self.made: list[Sym] = []
        self.grows: dict[For, dict[int, Growth]] = {}

    @classmethod
    def of(cls, fn: Function) -> Integers:
        found = cls()
        found.unknown(fn.params)
        found.block(fn.body)
        return found

    def opaque(self, v: Var) -> Sym:
        sym = Sym(v.hint or "k")
        self.stands_for[sym] = v
        self.made.append(sym)
        self.known[v] = size(sym)
        return sym

    def number(self, a: Atom) -> Dim:
        return int(a.value) if isinstance(a, Lit) else self.known[a]

    def unknown(self, vs: Sequence[Var]) -> None:
        """Integers of which nothing is known, from here on."""
        for v in vs:
            if _counts(v) and v not in self.known:
                self.opaque(v)

    def dim(self, d: Dim) -> Dim:
        return substitute(d, self.sizes)

    def positive(self, d: Dim) -> bool:
        """Is it at least 0?  Of integers that are no loop's index the sign is not known."""
        return not any(x in self.stands_for and x not in self.counts for x in symbols(d)) and nonnegative(d, self.counts)

    def block(self, b: Block) -> None:
        for s in b.stmts:
            self.stmt(s)

    def stmt(self, s: Stmt) -> None:
        match s:
            case Op():
                self.op(s)
            case For():
                self.loop(s)
            case If():
                self.block(s.then)
                self.block(s.orelse)
            case While():
                if s.count is not None:
                    self.made.append(s.count)
                self.unknown((*s.cond.params, *s.body.params))
                self.block(s.cond)
                self.block(s.body)
        self.unknown(s.outs)

    def op(self, s: Op) -> None:
        if s.prim.name == "bind_size":
            sym = s.params["sym"]
            self.sizes[sym] = self.number(s.args[0])
            return
        for key in s.prim.defines:
            if isinstance(s.params[key], Sym):
                self.made.append(s.params[key])
        if len(s.outs) != 1 or not _counts(s.outs[0]):
            return
        v = s.outs[0]
        if s.prim.name == "size":
            self.known[v] = self.dim(s.params["dim"])
        elif s.prim.name == "neg" and _counts(s.args[0]):
            self.known[v] = size(self.number(s.args[0])) * -1
        elif s.prim.name in ("add", "sub", "mul", "maximum", "minimum") and all(_counts(a) for a in s.args):
            left, right = (size(self.number(a)) for a in s.args)
            match s.prim.name:
                case "add":
                    self.known[v] = left + right
                case "sub":
                    self.known[v] = left - right
                case "mul":
                    self.known[v] = left * right
                case name:
                    if self.positive(left - right):
                        self.known[v] = left if name == "maximum" else right
                    elif self.positive(right - left):
                        self.known[v] = right if name == "maximum" else left

    def loop(self, s: For) -> None:
        count, since = self.dim(s.count), len(self.made)
        index = self.opaque(s.index)
        self.counts[index] = count
        carries = s.body.params[1 : s.carries + 1]
        self.unknown(carries)
        self.block(s.body)
        del self.counts[index]
        inside = set(self.made[since:]) - {index}
        grows: dict[int, Growth] = {}
        for k, (p, r) in enumerate(zip(carries, s.body.results, strict=False)):
            if not _counts(p):
                continue
            by = size(self.number(r)) - self.number(p)
            growth = linear(by, index)
            if growth is None or inside & set(symbols(by)):
                continue
            grows[k] = growth
            if growth[1] == 0:
                self.known[s.outs[k]] = self.number(s.inits[k]) + size(growth[0]) * count
        if grows:
            self.grows[s] = grows


def _counts(a: Atom) -> bool:
    return not a.type.rank and a.type.dtype.kind == "i" and a.type.dtype.itemsize == 8


def linear(d: Dim, index: Sym) -> Growth | None:
    """`d` as first + second * index."""
    rest: Dim = 0
    step: Dim = 0
    for monomial, coefficient in size_terms(d):
        times = monomial.count(index)
        term = Size(((tuple(a for a in monomial if a is not index), coefficient),)) if len(monomial) > times else coefficient
        if index in symbols(size(term)) or times > 1:
            return None
        if times:
            step = step + term
        else:
            rest = rest + term
    return rest, step


class _Compute(Rebuild):
    def __init__(self, found: Integers) -> None:
        super().__init__()
        self.found = found

    def emit(self, s: Stmt) -> None:
        if isinstance(s, For) and s in self.found.grows:
            self.loop(s, self.found.grows[s])
        else:
            super().emit(s)

    def loop(self, s: For, grows: dict[int, Growth]) -> None:
        inits, count = self.atoms(s.inits), self.dims(s.count)
        kept = [k for k in range(len(s.outs)) if k not in grows]
        params = self.defines((s.index, *(p for k, p in enumerate(s.body.params[1:]) if k not in grows)))
        with building(*params) as b:
            turn: Atom = params[0]
            if s.reverse:
                turn = _sub(size_value(size(count) - 1), turn)
            for k, growth in grows.items():
                p = s.body.params[1 + k]
                with at(s.pos, p.hint):
                    self.env[p] = self.after(inits[k], growth, turn)
            for t in s.body.stmts:
                self.emit(t)
        body = b.block(self.atoms(tuple(s.body.results[k] for k in kept)))
        outs = self.defines(tuple(s.outs[k] for k in kept))
        new = dataclasses.replace(s, count=count, inits=tuple(i for k, i in enumerate(inits) if k not in grows), body=body, outs=outs)
        current().add(new)
        for k, growth in grows.items():
            with at(s.pos, s.outs[k].hint):
                self.env[s.outs[k]] = self.after(inits[k], growth, size_value(count))

    def after(self, init: Atom, growth: Growth, turn: Atom) -> Atom:
        """The counter after so many iterations: Σ (a + b i) = a turn + b turn (turn - 1) / 2."""
        first, step = growth
        if step == 0:
            return _add(init, _mul(self.atom_of(first), turn))
        slope = size(step)
        twice = _add(self.atom_of(size(first) * 2 - slope), _mul(self.atom_of(slope), turn))
        if isinstance(slope, int) and slope < 0:
            twice = _sub(self.atom_of(size(first) * 2 - slope), _mul(literal(-slope), turn))
        return _add(init, PRIMITIVES["floordiv"](_mul(turn, twice), literal(2)))

    def atom_of(self, d: Dim) -> Atom:
        """A polynomial as a number: sizes in one, other integers by sums and products."""
        pure: Dim = 0
        others: list[tuple[Dim, list[Var]]] = []
        for monomial, coefficient in size_terms(d):
            integers = [self.found.stands_for[a] for a in monomial if isinstance(a, Sym) and a in self.found.stands_for]
            rest = tuple(a for a in monomial if not (isinstance(a, Sym) and a in self.found.stands_for))
            term = self.dims(Size(((rest, coefficient),))) if rest else coefficient
            if integers:
                others.append((term, integers))
            else:
                pure = pure + term
        value: Atom = size_value(self.dims(pure))
        for term, vs in others:
            more: Atom = size_value(-term if isinstance(term, int) and term < 0 else term)
            for v in vs:
                more = _mul(more, self.atom(v))
            value = _sub(value, more) if isinstance(term, int) and term < 0 else _add(value, more)
        return value


def _is(a: Atom, number: int) -> bool:
    return isinstance(a, Lit) and a.value == number


def _add(a: Atom, b: Atom) -> Atom:
    return b if _is(a, 0) else a if _is(b, 0) else PRIMITIVES["add"](a, b)


def _sub(a: Atom, b: Atom) -> Atom:
    return a if _is(b, 0) else PRIMITIVES["sub"](a, b)


def _mul(a: Atom, b: Atom) -> Atom:
    if _is(a, 0) or _is(b, 0):
        return literal(0)
    return b if _is(a, 1) else a if _is(b, 1) else PRIMITIVES["mul"](a, b)
