"""Copying programs: the one place where blocks are rebuilt with other variables or sizes.

In: a block and an environment.  Out: fresh statements.  `Copier.stmt` may be given a `visit`
function that replaces a statement by others; whatever it does not handle is copied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from adc.ir.dims import Dim, Sym, size
from adc.ir.program import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Lit,
    Op,
    Params,
    Stmt,
    Var,
    While,
    subst_dims,
)


class Copier:
    """Maps old variables to new atoms while statements are rebuilt."""

    def __init__(self, env: Mapping[Var, Atom] | None = None, sizes: Mapping[Sym, Dim] | None = None):
        self.env: dict[Var, Atom] = dict(env or {})
        self.sizes: dict[Sym, Dim] = dict(sizes or {})

    def atom(self, a: Atom) -> Atom:
        return a if isinstance(a, Lit) else self.env.get(a, a)

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(self.atom(a) for a in atoms)

    def dims(self, value: Any) -> Any:
        return subst_dims(value, self.sizes)

    def define(self, v: Var) -> Var:
        """A fresh variable for the copy of `v`."""
        new = Var(self.dims(v.type), v.hint, v.pos)
        self.env[v] = new
        return new

    def defines(self, vs: tuple[Var, ...]) -> tuple[Var, ...]:
        return tuple(self.define(v) for v in vs)

    def fresh_sym(self, s: Sym | None) -> Sym | None:
        if s is None:
            return None
        new = type(s)(s.hint)
        self.sizes[s] = size(new)
        return new

    def block(self, b: Block) -> Block:
        params = self.defines(b.params)
        stmts = tuple(self.stmt(s) for s in b.stmts)
        return Block(params, stmts, self.atoms(b.results))

    def stmt(self, s: Stmt) -> Stmt:
        match s:
            case Op():
                args = self.atoms(s.args)
                params = dict(s.params)
                for key in s.prim.defines:  # symbols that this op defines are new in the copy
                    params[key] = self.fresh_sym(params[key])
                kept = {k: v if k in s.prim.defines else self.dims(v) for k, v in params.items()}
                return Op(s.prim, args, Params(kept), self.defines(s.outs), s.pos)
            case If():
                cond = self.atom(s.cond)
                return If(cond, self.block(s.then), self.block(s.orelse), self.defines(s.outs), s.pos)
            case For():
                inits, count = self.atoms(s.inits), self.dims(s.count)
                body = self.block(s.body)
                return dataclasses.replace(s, count=count, inits=inits, body=body, outs=self.defines(s.outs))
            case While():
                inits, count_sym = self.atoms(s.inits), self.fresh_sym(s.count)
                test, body = self.block(s.cond), self.block(s.body)
                return dataclasses.replace(
                    s, inits=inits, cond=test, body=body, count=count_sym, outs=self.defines(s.outs)
                )
            case Call():
                return dataclasses.replace(s, args=self.atoms(s.args), outs=self.defines(s.outs))
        raise TypeError(f"not a statement: {s!r}")


def inline(fn: Function, args: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """Emit the body of `fn` at the current builder with `args` for its parameters."""
    from adc.ir.build import current

    copier = Copier(dict(zip(fn.params, args, strict=True)))
    for p, a in zip(fn.params, args, strict=True):
        bind_sizes(p.type.dims, a.type.dims, copier.sizes)
    for s in fn.body.stmts:
        current().add(copier.stmt(s))
    return copier.atoms(fn.body.results)


def bind_sizes(pattern: tuple[Dim, ...], dims: tuple[Dim, ...], table: dict[Sym, Dim]) -> None:
    """Learn what a parameter's size symbols stand for from an argument's dims."""
    from adc.ir.dims import Size

    for p, d in zip(pattern, dims, strict=True):
        if isinstance(p, Size) and p.is_symbol:
            sym = p.terms[0][0][0]
            assert isinstance(sym, Sym)
            table.setdefault(sym, d)


def rename_sizes(fn: Function, table: Mapping[Sym, Dim]) -> Function:
    """`fn` with size symbols replaced everywhere."""
    copier = Copier(sizes=table)
    params = copier.defines(fn.params)
    stmts = tuple(copier.stmt(s) for s in fn.body.stmts)
    body = Block(params if fn.body.params else (), stmts, copier.atoms(fn.body.results))  # the parameters are one
    guards = tuple(copier.dims(g) for g in fn.guards)
    return Function(fn.name, params, body, guards, fn.pos)
