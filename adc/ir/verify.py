"""The verifier: what every stage promises of its output.

In: a function.  Out: nothing, or a `StageError` that names the stage and the statement.
Checked: every variable is defined once and before use; op types equal the type rule's; loop and
branch results match their outs; every size symbol is defined.
"""

from __future__ import annotations

from adc.errors import Diagnostic, StageError
from adc.ir.dims import Size, Sym, size, symbols
from adc.ir.program import Atom, Block, Call, For, Function, If, Lit, Op, Stmt, Tensor, Var, While


def verify(fn: Function, stage: str) -> Function:
    """`fn` itself, if it keeps the promises."""
    _Verifier(stage).function(fn)
    return fn


class _Verifier:
    def __init__(self, stage: str):
        self.stage = stage
        self.scope: set[Var] = set()
        self.ever: set[Var] = set()
        self.sizes: set[Sym] = set()

    def fail(self, what: str, s: Stmt | None = None) -> StageError:
        pos = s.pos if s is not None else None
        return StageError(Diagnostic("internal", pos, {"what": f"after {self.stage}: {what}"}))

    def function(self, fn: Function) -> None:
        for p in fn.params:
            self.bind(p)
            for d in p.type.dims:
                self.sizes.update(symbols(d))
        self.block(fn.body, fn.body.params)

    def bind(self, v: Var, s: Stmt | None = None) -> None:
        if v in self.ever:
            raise self.fail(f"{v} is defined twice", s)
        self.scope.add(v)
        self.ever.add(v)

    def use(self, a: Atom, s: Stmt | None) -> None:
        if isinstance(a, Var) and a not in self.scope:
            raise self.fail(f"{a} is used before it is defined", s)
        if isinstance(a, Lit) and a.type.dims:
            raise self.fail("a literal must be a scalar", s)

    def check_sizes(self, t: Tensor, s: Stmt | None) -> None:
        for d in t.dims:
            for sym in symbols(d):
                if sym not in self.sizes:
                    raise self.fail(f"size {sym} in {t} is not defined", s)

    def block(self, b: Block, params: tuple[Var, ...] = ()) -> None:
        for s in b.stmts:
            self.stmt(s)
        for r in b.results:
            self.use(r, None)

    def inner(self, b: Block) -> None:
        outer, sizes = set(self.scope), set(self.sizes)
        for p in b.params:
            self.bind(p)
        self.block(b)
        self.scope, self.sizes = outer, sizes

    def same(self, got: Tensor, want: Tensor, what: str, s: Stmt) -> None:
        if (got.dtype, got.dims) != (want.dtype, want.dims):
            raise self.fail(f"{what} is {got}, expected {want}", s)

    def stmt(self, s: Stmt) -> None:
        match s:
            case Op():
                for a in s.args:
                    self.use(a, s)
                for key in s.prim.defines:
                    self.sizes.add(s.params[key])
                types = s.prim.type(tuple(a.type for a in s.args), s.params)
                if len(types) != len(s.outs):
                    raise self.fail(f"{s.prim.name} gives {len(types)} values, has {len(s.outs)}", s)
                for v, t in zip(s.outs, types, strict=True):
                    self.same(v.type, t, f"the result of {s.prim.name}", s)
            case If():
                self.use(s.cond, s)
                for b in (s.then, s.orelse):
                    self.inner(b)
                    for r, v in zip(b.results, s.outs, strict=True):
                        self.same(r.type, v.type, "a branch's result", s)
            case For():
                for a in s.inits:
                    self.use(a, s)
                for p, a in zip(s.body.params[1:], s.inits, strict=False):
                    self.same(a.type, p.type, f"the initial value of {p}", s)
                self.inner(s.body)
                carries, reduces, stacks = s.split(s.body.results)
                oc, outr, ok = s.split(s.outs)
                for r, v in (*zip(carries, oc, strict=True), *zip(reduces, outr, strict=True)):
                    self.same(r.type, v.type, "an iteration's result", s)
                for r, v in zip(stacks, ok, strict=True):
                    self.same(Tensor(r.type.dtype, (size(s.count), *r.type.dims)), v.type, "a stack", s)
            case While():
                for a in s.inits:
                    self.use(a, s)
                if s.count is not None:
                    self.sizes.add(s.count)
                for b in (s.cond, s.body):
                    for p, a in zip(b.params, s.inits, strict=True):
                        self.same(a.type, p.type, f"the initial value of {p}", s)
                    self.inner(b)
                for r, v in zip(s.body.results, s.outs, strict=False):
                    if v in s.outs[: len(s.inits)]:
                        self.same(r.type, v.type, "an iteration's result", s)
            case Call():
                for a in s.args:
                    self.use(a, s)
                for p, a in zip(s.fn.params, s.args, strict=True):
                    if p.type.dtype != a.type.dtype or p.type.rank != a.type.rank:
                        raise self.fail(f"argument of {s.fn.name} is {a.type}, expected {p.type}", s)
        for v in s.outs:
            self.bind(v, s)
            self.check_sizes(v.type, s)


__all__ = ["Size", "verify"]
