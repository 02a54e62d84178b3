"""`a[i] += v`, or `a[i] -= v`, in one op: what was there need not be known, so its cotangent passes by.

In: a function.  Out: the same, where an element or a part is read, added to (or subtracted from) and stored back by `accumulate`.
"""

from __future__ import annotations

import dataclasses

from adc.ir import Atom, Block, Copier, Function, Op, Params, Stmt, building, current, walk
from adc.ir.build import at
from adc.ir.program import blocks, inputs
from adc.ops.registry import PRIMITIVES


def additions(fn: Function) -> Function:
    """`fn` where an element is read, added to and stored back in one op: what it was need not be known."""
    return _Additions(fn).function()


class _Additions(Copier):
    def __init__(self, fn: Function):
        super().__init__({p: p for p in fn.params})
        self.fn = fn
        self.makers = {v: s for s in walk(fn.body) if isinstance(s, Op) for v in s.outs}
        self.uses: dict[Atom, int] = {}
        for b in _every_block(fn.body):
            for a in (*b.results, *(a for s in b.stmts for a in inputs(s))):
                self.uses[a] = self.uses.get(a, 0) + 1

    def function(self) -> Function:
        body = self.block(Block((), self.fn.body.stmts, self.fn.results))
        return dataclasses.replace(self.fn, body=Block(self.fn.params, body.stmts, body.results))

    def block(self, b: Block) -> Block:
        params = self.defines(b.params)
        with building(*params) as inner:
            for s in b.stmts:
                current().add(self.stmt(s))
        return inner.block(self.atoms(b.results))

    def stmt(self, s: Stmt) -> Stmt:
        if isinstance(s, Op) and s.prim.name == "update" and s.args[0].type.is_float:
            added = self.added(s)
            if added is not None:
                held, v, *ints = self.atoms((s.args[0], added, *s.args[2:]))
                if self.makers[s.args[1]].prim.name == "sub":  # type: ignore[index, union-attr]
                    with at(s.pos):
                        v = PRIMITIVES["neg"](v)
                args = (held, v, *ints)
                return Op(PRIMITIVES["accumulate"], args, Params(self.dims(s.params)), self.defines(s.outs), s.pos)
        return super().stmt(s)

    def added(self, s: Op) -> Atom | None:
        """What is added, if that is all that happens to the part and its old value is used for nothing else."""
        held, v, *ints = s.args
        sum_ = self.makers.get(v)  # type: ignore[arg-type]
        if sum_ is None or sum_.prim.name not in ("add", "sub") or self.uses.get(v) != 1:
            return None
        for old, new in (sum_.args, sum_.args[::-1])[: 2 if sum_.prim.name == "add" else 1]:
            read = self.makers.get(old)  # type: ignore[arg-type]
            if (
                read is not None and read.prim.name == "index" and self.uses.get(old) == 1 and read.args[0] is held
                and read.args[1:] == tuple(ints) and read.params == s.params
            ):  # fmt: skip
                return new if sum_.prim.name == "add" or new.type.is_float else None
        return None


def _every_block(b: Block) -> list[Block]:
    return [b, *(c for s in b.stmts for inner in blocks(s) for c in _every_block(inner))]
