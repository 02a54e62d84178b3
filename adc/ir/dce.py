"""Dead code: what no result needs is dropped, through every statement.

In: a block.  Out: the same block without unused ops, branch results, stacks, reduces, and carries that
only feed themselves; a statement that gives nothing disappears.  Checks stay, unless `effects=False`
(the reverse sweep computes again what the forward sweep has already checked).

>>> dce(Block((), (Op(sin, …, (y,)),), (x,))).stmts      # doctest: +SKIP
()
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Set
from typing import Any

from adc.ir.dims import Size, Sym, symbols
from adc.ir.program import Atom, Block, Call, For, Function, If, Lit, Op, Stmt, Tensor, Var, While, walk


def dce(block: Block, effects: bool = True, given: Set[Var] = frozenset()) -> Block:
    """`block` without what its results do not need; `given` variables count as known from elsewhere."""
    return _Sweep(effects, given).block(block, block.results)


def dce_function(fn: Function) -> Function:
    """`fn` without dead code."""
    return dataclasses.replace(fn, body=dce(fn.body))


def sizes_in(value: Any) -> set[Sym]:
    """Every size symbol inside types, params, tuples and frozen dataclasses."""
    found: set[Sym] = set()
    _collect(value, found)
    return found


def _collect(value: Any, found: set[Sym]) -> None:
    if isinstance(value, Size):
        found.update(symbols(value))
    elif isinstance(value, Sym):
        found.add(value)
    elif isinstance(value, Tensor):
        for d in value.dims:
            if isinstance(d, Size):
                found.update(symbols(d))
    elif isinstance(value, dict):
        for v in value.values():
            _collect(v, found)
    elif isinstance(value, tuple | list):
        for v in value:
            _collect(v, found)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type | Var | Lit | Function):
        for f in dataclasses.fields(value):
            _collect(getattr(value, f.name), found)


def stmt_sizes(stmt: Stmt) -> set[Sym]:
    """Every size symbol that a statement mentions, its blocks included."""
    found: set[Sym] = set()
    for s in (stmt, *(t for b in _blocks(stmt) for t in walk(b))):
        for v in s.outs:
            _collect(v.type, found)
        match s:
            case Op():
                _collect(s.params, found)
            case For():
                _collect(s.count, found)
            case While():
                _collect(s.count, found)
            case Call():
                _collect(tuple(a.type for a in s.args), found)
    return found


def defined_sizes(stmts: Iterable[Stmt]) -> dict[Sym, Stmt]:
    """The size symbols that these statements define, by statement (not those of inner blocks)."""
    found: dict[Sym, Stmt] = {}
    for s in stmts:
        match s:
            case Op():
                found.update((s.params[key], s) for key in s.prim.defines)
            case While():
                if s.count is not None:
                    found[s.count] = s
    return found


def _blocks(stmt: Stmt) -> tuple[Block, ...]:
    from adc.ir.program import blocks

    return blocks(stmt)


def has_effects(block: Block) -> bool:
    """Does the block check anything (defining a size is no effect of its own)?"""
    for s in walk(block):
        if isinstance(s, Op) and s.prim.effect and not s.prim.defines:
            return True
        if isinstance(s, Call) and has_effects(s.fn.body):
            return True
    return False


class _Sweep:
    """One backward pass; the sets only grow, and every variable is defined once."""

    def __init__(self, effects: bool, given: Set[Var]):
        self.effects = effects
        self.given = given
        self.vars: set[Var] = set()
        self.sizes: set[Sym] = set()

    def use(self, a: Atom) -> None:
        if isinstance(a, Var):
            if a not in self.given:
                self.vars.add(a)
            _collect(a.type, self.sizes)

    def acts(self, *blocks: Block) -> bool:
        return self.effects and any(has_effects(b) for b in blocks)

    def live(self, values: tuple[Var, ...], indices: Iterable[int]) -> list[int]:
        return [k for k in indices if values[k] in self.vars]

    def block(self, b: Block, results: tuple[Atom, ...]) -> Block:
        for r in results:
            self.use(r)
        kept = [new for s in reversed(b.stmts) if (new := self.stmt(s)) is not None]
        return Block(b.params, tuple(reversed(kept)), results)

    def stmt(self, s: Stmt) -> Stmt | None:
        match s:
            case Op():
                return self.op(s)
            case If():
                return self.branch(s)
            case For():
                return self.loop(s)
            case While():
                return self.repeat(s)
            case Call():
                if not (any(v in self.vars for v in s.outs) or self.acts(s.fn.body)):
                    return None
                for a in s.args:
                    self.use(a)
                _collect(tuple(v.type for v in s.outs), self.sizes)
                return s
        raise TypeError(f"not a statement: {s!r}")

    def op(self, s: Op) -> Op | None:
        wanted = any(v in self.vars for v in s.outs) or any(s.params[k] in self.sizes for k in s.prim.defines)
        if not wanted and not (s.prim.effect and not s.prim.defines and self.effects):
            return None
        for a in s.args:
            self.use(a)
        _collect(s.params, self.sizes)
        _collect(tuple(v.type for v in s.outs), self.sizes)
        return s

    def branch(self, s: If) -> If | None:
        keep = self.live(s.outs, range(len(s.outs)))
        if not keep and not self.acts(s.then, s.orelse):
            return None
        orelse = self.block(s.orelse, tuple(s.orelse.results[k] for k in keep))
        then = self.block(s.then, tuple(s.then.results[k] for k in keep))
        self.use(s.cond)
        return If(s.cond, then, orelse, tuple(s.outs[k] for k in keep), s.pos)

    def loop(self, s: For) -> For | None:
        carries, reduces, stacks = s.split(tuple(range(len(s.outs))))
        rest = self.live(s.outs, (*reduces, *stacks))
        need = set(self.live(s.outs, carries))
        if not need and not rest and not self.acts(s.body):
            return None
        while True:
            order = [*sorted(need), *rest]
            body = self.block(s.body, tuple(s.body.results[k] for k in order))
            more = {k for k in carries if s.body.params[k + 1] in self.vars} - need
            if not more:
                break
            need |= more
        kept = sorted(need)
        sums = [k for k in rest if k in reduces]
        inits = tuple(s.inits[k] for k in (*kept, *sums))
        for a in inits:
            self.use(a)
        _collect(s.count, self.sizes)
        outs = tuple(s.outs[k] for k in order)
        for v in outs:
            _collect(v.type, self.sizes)
        params = (s.index, *(s.body.params[k + 1] for k in kept))
        return For(
            s.count,
            inits,
            Block(params, body.stmts, body.results),
            outs,
            tuple(s.reduce[k - len(carries)] for k in sums),
            len(rest) - len(sums),
            s.reverse,
            s.pos,
        )

    def repeat(self, s: While) -> While | None:
        n = len(s.inits)
        stacks = self.live(s.outs, range(n, len(s.outs)))
        if s.count in self.sizes and not stacks and s.stacks:
            stacks = [n]  # the count is defined by a loop that stacks
        need = set(self.live(s.outs, range(n)))
        if not need and not stacks and s.count not in self.sizes and not self.acts(s.cond, s.body):
            return None
        while True:
            order = [*sorted(need), *stacks]
            body = self.block(s.body, tuple(s.body.results[k] for k in order))
            cond = self.block(s.cond, s.cond.results)
            more = {k for k in range(n) if s.body.params[k] in self.vars or s.cond.params[k] in self.vars} - need
            if not more:
                break
            need |= more
        kept = sorted(need)
        for k in kept:
            self.use(s.inits[k])
        outs = tuple(s.outs[k] for k in order)
        for v in outs:
            _collect(v.type, self.sizes)
        return dataclasses.replace(
            s,
            inits=tuple(s.inits[k] for k in kept),
            cond=Block(tuple(s.cond.params[k] for k in kept), cond.stmts, cond.results),
            body=Block(tuple(s.body.params[k] for k in kept), body.stmts, body.results),
            outs=outs,
            stacks=len(stacks),
            count=s.count if stacks else None,
        )
