"""Loops and branches that are less than they look.

In: a function.  Out: the same, where a carry that never changes is a variable from outside, a loop of no or one
iteration and a branch with a known condition are their contents, and a branch that only chooses between two numbers
is a `where`.

    for i < 1: x = x + i   ->   x = x + 0
"""

from __future__ import annotations

import dataclasses

import numpy as np

from adc.ir import Atom, Block, For, Function, If, Lit, Stmt, Tensor, Var, While, at, current
from adc.ir.rebuild import Rebuild
from adc.ops.access import zeros
from adc.ops.registry import PRIMITIVES
from adc.ops.structure import expand

COMBINE = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum"}


def loops(fn: Function) -> Function:
    """`fn` with simpler control flow."""
    return _Loops().function(fn)


class _Loops(Rebuild):
    def emit(self, s: Stmt) -> None:
        match s:
            case If():
                self.branch(s)
            case For():
                self.loop(s)
            case While():
                self.repeat(s)
            case _:
                super().emit(s)

    def put(self, outs: tuple[Var, ...], values: tuple[Atom, ...]) -> None:
        self.env.update(zip(outs, values, strict=True))

    def branch(self, s: If) -> None:
        cond = self.atom(s.cond)
        if isinstance(cond, Lit):
            chosen = s.then if cond.value else s.orelse
            for t in chosen.stmts:
                self.emit(t)
            self.put(s.outs, self.atoms(chosen.results))
            return
        then, orelse = self.block(s.then), self.block(s.orelse)
        outs: list[Var] = []
        results: tuple[list[Atom], list[Atom]] = ([], [])
        plain = not then.stmts and not orelse.stmts
        for v, a, b in zip(s.outs, then.results, orelse.results, strict=True):
            if a is b or (isinstance(a, Lit) and isinstance(b, Lit) and repr(a.value) == repr(b.value) and a.type == b.type):
                self.env[v] = a
            elif plain and not v.type.rank:
                with at(s.pos, v.hint):
                    self.env[v] = current().op(PRIMITIVES["where"], (cond, a, b), {})[0]
            else:
                outs.append(self.define(v))
                results[0].append(a)
                results[1].append(b)
        if outs or then.stmts or orelse.stmts:
            blocks = tuple(Block((), b.stmts, tuple(r)) for b, r in zip((then, orelse), results, strict=True))
            current().add(If(cond, blocks[0], blocks[1], tuple(outs), s.pos))

    def loop(self, s: For) -> None:
        count = self.dims(s.count)
        if isinstance(count, int) and count <= 1:
            self.unrolled(s, max(count, 0))
            return
        still = self.invariant(s.body.results[: s.carries], s.body.params[1:], s.inits)
        if still:
            drop = {k: s.outs[k] for k in still}
            self.put(tuple(drop.values()), tuple(self.atom(s.inits[k]) for k in still))
            keep = [k for k in range(len(s.outs)) if k not in drop]
            params = (s.index, *(p for k, p in enumerate(s.body.params[1:]) if k not in drop))
            s = dataclasses.replace(
                s,
                inits=tuple(a for k, a in enumerate(s.inits) if k not in drop),
                body=Block(params, s.body.stmts, tuple(s.body.results[k] for k in keep)),
                outs=tuple(s.outs[k] for k in keep),
            )
        super().emit(s)

    def invariant(self, results: tuple[Atom, ...], params: tuple[Var, ...], inits: tuple[Atom, ...]) -> list[int]:
        """The carries that every iteration hands on as they are; their outs and params become the initial values."""
        still = [k for k, (r, p) in enumerate(zip(results, params, strict=True)) if r is p]
        for k in still:
            self.env[params[k]] = self.atom(inits[k])
        return still

    def unrolled(self, s: For, count: int) -> None:
        carries, reduces, stacks = s.split(s.outs)
        inits = self.atoms(s.inits)
        if not count:
            self.put((*carries, *reduces), inits)
            with at(s.pos):
                for v in stacks:
                    self.env[v] = zeros(self.dims(v.type))
            return
        self.env[s.index] = Lit(0, Tensor(np.dtype("i8")))
        self.put(s.body.params[1:], inits[: s.carries])
        for t in s.body.stmts:
            self.emit(t)
        got = s.split(self.atoms(s.body.results))
        self.put(carries, got[0])
        with at(s.pos):
            for v, kind, a, b in zip(reduces, s.reduce, inits[s.carries :], got[1], strict=True):
                self.env[v] = current().op(PRIMITIVES[COMBINE[kind]], (a, b), {})[0]
            for v, a in zip(stacks, got[2], strict=True):
                self.env[v] = expand(a, (0,))

    def repeat(self, s: While) -> None:
        n = len(s.inits)
        still = self.invariant(s.body.results[:n], s.body.params, s.inits)
        if still:
            for k in still:
                self.env[s.cond.params[k]] = self.atom(s.inits[k])
                self.env[s.outs[k]] = self.atom(s.inits[k])
            keep = [k for k in range(n) if k not in still]
            order = [*keep, *range(n, len(s.outs))]
            s = dataclasses.replace(
                s,
                inits=tuple(s.inits[k] for k in keep),
                cond=Block(tuple(s.cond.params[k] for k in keep), s.cond.stmts, s.cond.results),
                body=Block(
                    tuple(s.body.params[k] for k in keep), s.body.stmts, tuple(s.body.results[k] for k in order)
                ),
                outs=tuple(s.outs[k] for k in order),
            )
        new = self.tested(s)
        if new is not None:
            current().add(new)

    def tested(self, s: While) -> Stmt | None:
        """The copy; nothing at all if the condition is known to fail at once and nothing is counted."""
        if isinstance(s.cond.results[0], Lit) and not s.cond.results[0].value and not s.stacks and s.count is None:
            self.put(s.outs, self.atoms(s.inits))
            return None
        return self.stmt(s)
