"""The base of passes that rewrite statement by statement.

In: a function.  Out: a fresh function, written through the builder; a pass overrides `op` (what an op becomes) or
`emit` (what a statement becomes), and `enter`/`leave` where it keeps something per block.
"""

from __future__ import annotations

from typing import Any

from adc.ir import Atom, Block, Function, Lit, Op, Params, Primitive, Stmt, Tensor, Var, at, building, current
from adc.ir.rewrite import Copier


def literal_like(value: Any, t: Tensor) -> Lit:
    """A constant of a type."""
    kind = t.dtype.kind
    return Lit(bool(value) if kind == "b" else int(value) if kind == "i" else float(value), Tensor(t.dtype, (), t.weak))


def same_type(a: Tensor, b: Tensor) -> bool:
    """Equal, whatever came from Python numbers."""
    return a.dtype == b.dtype and a.dims == b.dims


class Rebuild(Copier):
    def enter(self) -> None:
        """A block begins."""

    def leave(self) -> None:
        """A block ends."""

    def op(self, s: Op, args: tuple[Atom, ...], params: Params) -> tuple[Atom, ...] | None:
        """The values that stand for the op's results, or None: copy it."""
        return None

    def make(self, s: Op, prim: Primitive, args: tuple[Atom, ...], params: dict[str, Any] | None = None) -> Var:
        """An op in the place of `s`, with its position and hint."""
        with at(s.pos, s.outs[0].hint):
            return current().op(prim, args, dict(params or {}))[0]

    def emit(self, s: Stmt) -> None:
        """Write what stands for `s` at the current builder."""
        if isinstance(s, Op):
            params: dict[str, Any] = {k: v if k in s.prim.defines else self.dims(v) for k, v in s.params.items()}
            found = self.op(s, self.atoms(s.args), Params(params))
            if found is not None:
                self.env.update(zip(s.outs, found, strict=True))
                return
        current().add(self.stmt(s))

    def block(self, b: Block) -> Block:
        return self.inside(b, self.defines(b.params))

    def inside(self, b: Block, params: tuple[Var, ...]) -> Block:
        with building(*params) as builder:
            self.enter()
            for s in b.stmts:
                self.emit(s)
            self.leave()
        return builder.block(self.atoms(b.results))

    def function(self, fn: Function) -> Function:
        body = self.inside(fn.body, self.defines(fn.params))
        return Function(fn.name, body.params, body, fn.guards, fn.pos)
