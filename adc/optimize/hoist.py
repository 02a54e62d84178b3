"""What a loop computes anew with the same result in every iteration is computed once, before it.

In: a function.  Out: the same with expensive invariant ops moved out; cheap ops stay where they read well and fuse.  An op that
the loop would never have reached must be harmless: one that looks at a position is moved only if that lies inside for certain,
one that may fail (a singular matrix) only out of a loop that turns for certain.

    for i: y = y + exp(a)   ->   t = exp(a); for i: y = y + t
"""

from __future__ import annotations

import dataclasses

from adc.ir import Atom, Block, Dim, For, Function, If, Lit, Op, Routine, Stmt, Sym, Var, While, at_least, size, symbols
from adc.ir.dce import defined_sizes, stmt_sizes
from adc.ir.ranges import nonnegative
from adc.ops.access import Arg, At
from adc.optimize.cse import pure


def hoist(fn: Function) -> Function:
    """`fn` with invariant ops before their loops."""
    return dataclasses.replace(fn, body=_Hoist(fn).block(fn.body))


class _Hoist:
    def __init__(self, fn: Function) -> None:
        self.sizes = {s for p in fn.params for d in p.type.dims for s in symbols(size(d))}
        """At least 2."""
        self.forms: dict[Var, Dim] = {}
        """Integers that are loop indices, sizes, or sums of these."""
        self.counts: dict[Sym, Dim] = {}
        """Indices of the loops around, the outermost first, and how often the loops turn."""

    def block(self, b: Block) -> Block:
        stmts: list[Stmt] = []
        for s in b.stmts:
            match s:
                case If():
                    stmts.append(dataclasses.replace(s, then=self.block(s.then), orelse=self.block(s.orelse)))
                case For():
                    index = Sym(s.index.hint or "i")
                    self.forms[s.index] = size(index)
                    self.counts[index] = s.count
                    inside = self.block(s.body)
                    del self.counts[index]
                    turns = at_least(s.count, 1, {x: 0 for x in symbols(size(s.count)) if x not in self.sizes})
                    before, body = self.lift(inside, turns)
                    stmts += [*before, dataclasses.replace(s, body=body)]
                case While():
                    before, body = self.lift(self.block(s.body), False)
                    first, cond = self.lift(self.block(s.cond), True)
                    stmts += [*first, *before, dataclasses.replace(s, cond=cond, body=body)]
                case _:
                    if isinstance(s, Op):
                        self.learn(s)
                    stmts.append(s)
        return Block(b.params, tuple(stmts), b.results)

    def learn(self, s: Op) -> None:
        if s.prim.name == "size":
            self.forms[s.outs[0]] = s.params["dim"]
        elif s.prim.name in ("add", "sub") and not s.outs[0].type.rank:
            left, right = map(self.form, s.args)
            if left is not None and right is not None:
                self.forms[s.outs[0]] = size(left) + right if s.prim.name == "add" else size(left) - right

    def form(self, a: Atom) -> Dim | None:
        if isinstance(a, Lit):
            return int(a.value) if a.type.dtype.kind == "i" else None
        return self.forms.get(a)

    def total(self, s: Op, turns: bool) -> bool:
        """May the op be computed where no check before it was made?  `turns`: it is computed at least once anyway."""
        if isinstance(s.prim.loops, Routine) and s.prim.loops.fails:
            return turns
        if s.prim.name in ("gather", "scatter", "scatter_add"):
            return False
        if s.prim.name not in ("index", "update", "accumulate"):
            return True
        axes = s.params["axes"]
        ints = s.args[len(s.args) - sum(isinstance(a.pos if isinstance(a, At) else a.start, Arg) for a in axes) :]
        for d, a in zip(s.args[0].type.dims, axes, strict=True):
            start = a.pos if isinstance(a, At) else a.start
            if not isinstance(start, Arg):
                continue
            first = self.form(ints[start.k])
            if first is None or (not isinstance(a, At) and a.step < 0):
                return False
            last = first if isinstance(a, At) else size(first) + (size(a.size) - 1) * a.step
            if not (nonnegative(size(first), self.counts) and nonnegative(size(d) - 1 - last, self.counts)):
                return False
        return True

    def lift(self, b: Block, turns: bool) -> tuple[list[Op], Block]:
        """The invariant ops of a loop's block that are worth moving, and the rest."""
        inside: set[Var] = {*b.params, *(v for s in b.stmts for v in s.outs)}
        sizes = set(defined_sizes(b.stmts))
        candidates: dict[Var, Op] = {}  # invariant; moved only if something expensive is, or needs it
        expensive: list[Var] = []
        for s in b.stmts:
            if not isinstance(s, Op) or not pure(s) or not s.outs or stmt_sizes(s) & sizes:
                continue
            if any(a in inside and a not in candidates for a in s.args) or not self.total(s, turns):
                continue
            candidates.update((v, s) for v in s.outs)
            if not s.prim.cheap:
                expensive += s.outs
        moved: set[Op] = set()

        def take(v: Var) -> None:
            op = candidates.get(v)
            if op is not None and op not in moved:
                moved.add(op)
                for a in op.args:
                    if isinstance(a, Var):
                        take(a)

        for v in expensive:
            take(v)
        before = [s for s in b.stmts if isinstance(s, Op) and s in moved]
        return before, Block(b.params, tuple(s for s in b.stmts if not (isinstance(s, Op) and s in moved)), b.results)
