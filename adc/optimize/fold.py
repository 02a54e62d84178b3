"""Arithmetic that can be done, or left out, while compiling.

In: a function.  Out: the same with constants computed, neutral elements dropped, indices like `(i + 1) - 1` made
simple, work on broadcast scalars done on the scalars, and comparisons decided where the ranges of loop indices do.

    y = x * 1.0 + zeros;  k = (1 + i) - 1   ->   y = x;  k = i

Kept as they are: `x * 0` (x may be infinite) and whatever else depends on values that floats may take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adc.ir import Atom, Dim, For, Function, Lit, Op, Params, Pointwise, Stmt, Sym, Tensor, Var, current, size
from adc.ir.build import definition
from adc.ir.ranges import nonnegative
from adc.ir.rebuild import Rebuild, literal_like, same_type
from adc.ops.registry import PRIMITIVES

RULES: dict[str, Callable[..., Atom | None]] = {}
"""By the name of the op: those of numbers are in `fold_numbers`, those of arrays in `fold_arrays`."""


def fold(fn: Function) -> Function:
    """`fn` after every rule, bottom up."""
    return Fold().function(fn)


def rule(*names: str) -> Callable[[Callable[..., Atom | None]], Callable[..., Atom | None]]:
    """A rule for the ops of these names: (fold, op, args, params) -> what the op is, or None."""

    def mark(fn: Callable[..., Atom | None]) -> Callable[..., Atom | None]:
        for n in names:
            RULES[n] = fn
        return fn

    return mark


def constant(a: Atom) -> Any:
    """The number that every element of `a` is, or None."""
    if isinstance(a, Lit):
        return a.value
    d = definition(a)
    if d is not None and d.prim.name in ("broadcast", "fill", "same_size", "reshape") and d.args:
        return constant(d.args[0])
    return None


def equals(a: Atom, number: float) -> bool:
    """Is every element of `a` this number?"""
    c = constant(a)
    return c is not None and not isinstance(c, bool) and c == number


def defined_by(a: Atom, *names: str) -> Op | None:
    """The op that defines `a`, if it is one of these."""
    d = definition(a) if isinstance(a, Var) else None
    return d if d is not None and d.prim.name in names else None


class Fold(Rebuild):
    def __init__(self) -> None:
        super().__init__()
        self.index: dict[Var, Sym] = {}
        self.counts: dict[Sym, Dim] = {}
        """How often the loop of each index turns, the outermost first."""

    def stmt(self, s: Stmt) -> Stmt:
        if not isinstance(s, For):
            return super().stmt(s)
        sym = self.index[s.index] = Sym("i")
        self.counts[sym] = self.dims(s.count)
        new = super().stmt(s)
        del self.counts[sym]
        return new

    def define(self, v: Var) -> Var:
        new = super().define(v)
        if v in self.index:
            self.index[new] = self.index[v]
        return new

    def op(self, s: Op, args: tuple[Atom, ...], params: Params) -> tuple[Atom, ...] | None:
        if s.prim.name == "check":
            # a check of what is known to hold is no check; one that must fail stays, as the user wrote it
            return () if constant(args[0]) is True else None
        if len(s.outs) != 1 or s.prim.effect or s.prim.defines:
            return None
        want = self.dims(s.outs[0].type)
        found = self.numbers(s, args, params, want)
        if found is None and s.prim.name in RULES:
            found = RULES[s.prim.name](self, s, args, params)
        if found is None and isinstance(s.prim.loops, Pointwise):
            found = self.sunk(s, args, params)
        if found is None or not same_type(found.type, want):
            return None
        return (found,)

    def numbers(self, s: Op, args: tuple[Atom, ...], params: Params, want: Tensor) -> Atom | None:
        """An op on constants alone."""
        if want.rank or not args or not isinstance(s.prim.loops, Pointwise) or s.prim.reference is None:
            return None
        if not all(isinstance(a, Lit) for a in args):
            return None
        with np.errstate(all="ignore"):
            try:
                got = s.prim.reference(*(a.type.dtype.type(a.value) for a in args if isinstance(a, Lit)), **params)
            except (ArithmeticError, ValueError):
                return None
        value = np.asarray(got)
        if value.dtype != want.dtype or (value.dtype.kind == "f" and not np.isfinite(value)):
            return None
        return literal_like(value.item(), want)

    def sunk(self, s: Op, args: tuple[Atom, ...], params: Params) -> Atom | None:
        """An op on values broadcast alike is done before they are broadcast."""
        ops = [defined_by(a, "broadcast") for a in args]
        first = ops[0] if ops else None
        if first is None or any(o is None or o.params["axes"] != first.params["axes"] for o in ops):
            return None
        inner = tuple(o.args[0] for o in ops if o is not None)
        if any(a.type.dims != inner[0].type.dims for a in inner):
            return None
        made: Atom = self.make(s, s.prim, inner, params)
        if all(isinstance(a, Lit) for a in inner) and isinstance(made, Var):
            d = definition(made)
            known = self.numbers(d, inner, params, made.type) if d is not None else None
            if known is not None:
                current().stmts.remove(d)  # type: ignore[arg-type]
                made = known
        return self.make(s, PRIMITIVES["broadcast"], (made,), dict(first.params))

    def again(self, v: Var) -> Atom:
        """What a rule has just made, after the rules."""
        d = definition(v)
        if d is None or d.prim.name not in RULES:
            return v
        found = RULES[d.prim.name](self, d, d.args, d.params)
        return v if found is None or not same_type(found.type, v.type) else found

    # ------------------------------------------------------------ integers

    def polynomial(self, a: Atom) -> Dim | None:
        """`a` in sizes and loop indices."""
        if isinstance(a, Lit):
            return int(a.value) if a.type.dtype.kind == "i" else None
        if a.type.dtype.kind != "i" or a.type.rank:
            return None
        if a in self.index:
            return size(self.index[a])
        d = definition(a)
        if d is None:
            return None
        if d.prim.name == "size":
            return size(d.params["dim"])
        if d.prim.name not in ("add", "sub", "mul"):
            return None
        left, right = self.polynomial(d.args[0]), self.polynomial(d.args[1])
        if left is None or right is None:
            return None
        left = size(left)
        return left + right if d.prim.name == "add" else left - right if d.prim.name == "sub" else left * right

    def above(self, a: Atom, b: Atom) -> bool:
        """Is `a >= b` certain?"""
        left, right = self.polynomial(a), self.polynomial(b)
        if left is not None and right is not None and nonnegative(size(left) - right, self.counts):
            return True
        return isinstance(right, int) and right <= 0 and self.positive(a)

    def positive(self, a: Atom) -> bool:
        """Is `a >= 0` certain, from how it is made?"""
        known = self.polynomial(a)
        if known is not None and nonnegative(known, self.counts):
            return True
        d = definition(a) if isinstance(a, Var) else None
        if d is None or a.type.rank or a.type.dtype.kind != "i":
            return False
        match d.prim.name:
            case "add" | "mul" | "floordiv":
                return all(self.positive(x) for x in d.args)
            case "maximum":
                return any(self.positive(x) for x in d.args)
        return False
