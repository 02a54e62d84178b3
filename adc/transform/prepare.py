"""A program made ready for a transformation: fresh variables, plain calls inlined, products as carries.

In: a function and the parameters to differentiate.  Out: an equal function of which every variable is new
(so the transformation may use it as it is), without calls of rule "", and where a differentiated `prod`,
`max` or `min` is a carry: its derivative depends on the value before each iteration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from typing import Any

from adc.ir import (
    Atom,
    Block,
    Call,
    Copier,
    For,
    Function,
    If,
    Lit,
    Op,
    Stmt,
    Tensor,
    Var,
    While,
    at,
    bind_sizes,
    building,
)
from adc.ops.access import Arg, At, Slice, zeros
from adc.ops.arithmetic import add, div
from adc.ops.elementary import exp, logistic
from adc.ops.registry import PRIMITIVES
from adc.transform.activity import varied
from adc.transform.additions import additions
from adc.transform.counters import counters
from adc.transform.early_reads import early_reads

COMBINE = {"prod": "mul", "max": "maximum", "min": "minimum"}


class Fresh(Copier):
    """A copy whose variables may get other hints."""

    def __init__(self, names: dict[Var, str] | None = None):
        super().__init__()
        self.names = names or {}

    def define(self, v: Var) -> Var:
        new = Var(self.dims(v.type), self.names.get(v, v.hint), v.pos)
        self.env[v] = new
        return new

    def function(self, fn: Function) -> Function:
        """The copy of a whole function; `Function.params` and `Block.params` stay the same variables."""
        params = self.defines(fn.params)
        body = self.inside(fn.body)
        return Function(fn.name, params, Block(params, body.stmts, body.results), fn.guards, fn.pos)

    def inside(self, b: Block) -> Block:
        """The copy of a block whose parameters are already mapped."""
        stmts = tuple(t for s in b.stmts for t in self.copies(s))
        return Block(tuple(self.env[p] for p in b.params), stmts, self.atoms(b.results))  # type: ignore[misc]

    def block(self, b: Block) -> Block:
        self.defines(b.params)
        return self.inside(b)

    def copies(self, s: Stmt) -> tuple[Stmt, ...]:
        return (self.stmt(s),)


class _Logistic(Fresh):
    """`a / (b + exp(c))` as one op: through an infinite exp(c) its derivative would be inf / inf."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[Atom, Op] = {}

    def copies(self, s: Stmt) -> tuple[Stmt, ...]:
        new = self.stmt(s)
        if isinstance(new, Op):
            self.made.update((v, new) for v in new.outs)
            total = self.made.get(new.args[1]) if new.prim is div else None
            if total is not None and total.prim is add:
                for one, power in (total.args, total.args[::-1]):
                    found = self.made.get(power)
                    if found is not None and found.prim is exp and found.args[0].type.is_float and self.positive(one):
                        return (dataclasses.replace(new, prim=logistic, args=(new.args[0], one, found.args[0])),)
        return (new,)

    def positive(self, a: Atom) -> bool:
        """Is it a constant above 0?"""
        op = self.made.get(a)
        if op is not None and op.prim.name in ("broadcast", "fill", "same_size", "div"):
            return all(map(self.positive, op.args))
        return isinstance(a, Lit) and a.value > 0


class _Prepare(Fresh):
    def __init__(self, active: Set[Var], names: dict[Var, str] | None = None):
        super().__init__(names)
        self.active = active

    def copies(self, s: Stmt) -> tuple[Stmt, ...]:
        if isinstance(s, Call) and not s.rule:
            args = self.atoms(s.args)
            sizes: dict = {}
            for p, a in zip(s.fn.params, args, strict=True):
                bind_sizes(p.type.dims, a.type.dims, sizes)
            self.sizes.update(sizes)
            self.env.update(zip(s.fn.params, args, strict=True))
            stmts = tuple(t for inner in s.fn.body.stmts for t in self.copies(inner))
            self.env.update(zip(s.outs, self.atoms(s.fn.results), strict=True))
            return stmts
        if isinstance(s, For) and any(self.turns(s)):
            return (as_carries(self.stmt(s), self.turns(s)),)  # type: ignore[arg-type]
        return (self.stmt(s),)

    def turns(self, s: For) -> tuple[bool, ...]:
        """For each reduce: must it become a carry?"""
        _, outs, _ = s.split(s.outs)
        return tuple(kind != "sum" and v in self.active for kind, v in zip(s.reduce, outs, strict=True))


def as_carries(s: For, chosen: tuple[bool, ...]) -> For:
    """The loop with the chosen reduces as carries."""
    carries, reduces, stacks = s.split(s.body.results)
    outs, reduced, stacked = s.split(s.outs)
    inits = s.inits[s.carries :]
    moved = [k for k, c in enumerate(chosen) if c]
    kept = [k for k, c in enumerate(chosen) if not c]
    params = tuple(Var(Tensor(inits[k].type.dtype, inits[k].type.dims), reduced[k].hint, s.pos) for k in moved)
    with building() as b:
        with at(s.pos):
            new: tuple[Atom, ...] = tuple(
                PRIMITIVES[COMBINE[s.reduce[k]]](p, reduces[k]) for k, p in zip(moved, params, strict=True)
            )
    body = Block(
        (*s.body.params, *params),
        (*s.body.stmts, *b.stmts),
        (*carries, *new, *(reduces[k] for k in kept), *stacks),
    )
    return dataclasses.replace(
        s,
        inits=(*s.inits[: s.carries], *(inits[k] for k in moved), *(inits[k] for k in kept)),
        body=body,
        outs=(*outs, *(reduced[k] for k in moved), *(reduced[k] for k in kept), *stacked),
        reduce=tuple(s.reduce[k] for k in kept),
    )


def prepare(fn: Function, wrt: Set[int]) -> Function:
    """`fn` ready to be differentiated with respect to its parameters of these numbers."""
    fn = additions(counters(_Logistic().function(finish(fn))))
    fn = early_reads(fn, varied(fn, {fn.params[k] for k in wrt}))
    active = varied(fn, {fn.params[k] for k in wrt})
    return _Prepare(active).function(fn)


def finish(fn: Function, names: dict[Var, str] | None = None) -> Function:
    """A fresh copy with plain calls inlined, and with better hints for some variables."""
    return _Prepare(frozenset(), names).function(fn)


def zeros_like(a: Atom) -> Atom:
    """Zeros of the type of `a`."""
    return zeros(Tensor(a.type.dtype, a.type.dims))


def load(stack: Atom, k: Atom) -> Any:
    """Slice `k` of a stack."""
    axes = (At(Arg(0)), *(Slice(0, d) for d in stack.type.dims[1:]))
    return PRIMITIVES["index"](stack, k, axes=axes)


def all_vars(fn: Function) -> set[Var]:
    """Every variable of a function, at any depth."""
    found = set(fn.params)

    def visit(b: Block) -> None:
        found.update(b.params)
        for s in b.stmts:
            found.update(s.outs)
            match s:
                case If():
                    visit(s.then)
                    visit(s.orelse)
                case For():
                    visit(s.body)
                case While():
                    visit(s.cond)
                    visit(s.body)

    visit(fn.body)
    return found
