"""A program as the NumPy module that a person would have written.

In: a function after `place`, and a name for it.  Out: the text of a module that imports NumPy (and SciPy) only.

    function f(x): y = sin(x); return y      ->      import numpy as np

                                                     def f(x):
                                                         return np.sin(x)

Stores overwrite (`place` has made the copies that this needs); values used once become part of the expression that
uses them; a loop's carried value keeps one name; every group of statements says from which line it comes.
Each printed check is a `raise`; the k-th `raise` of the text is the k-th check of the program in the order of `walk`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from adc.emit.expressions import Expressions
from adc.emit.names import Move, identifier, name_all, negated
from adc.emit.printer import unparse
from adc.emit.texts import call, constructor, expression, fill_in, name, width
from adc.emit.tidy import Comments, cleaned, lists
from adc.errors import StageError, fail
from adc.ir import Atom, Block, For, Function, If, Lit, Op, Size, Var, While
from adc.ir.dims import Sym
from adc.optimize.alias import overwrites

WIDTH = 72
IMPORTS = {
    "np": "import numpy as np",
    "math": "import math",
    "special": "from scipy import special",
    "linalg": "from scipy import linalg",
}
RAISES = {"out_of_bounds": "IndexError", "shape": "ValueError", "tape_limit": "MemoryError"}
REDUCE: dict[str, type[ast.operator]] = {"sum": ast.Add, "prod": ast.Mult}


def numpy_source(fn: Function, name: str) -> str:
    """The module's text."""
    return _Writer(fn, identifier(name)).module()


class _Writer(Expressions):
    def __init__(self, fn: Function, title: str):
        super().__init__(fn)
        self.fn = fn
        self.title = title
        self.inline: dict[Var, ast.expr] = {}  # expressions not yet written; their variables have no name
        self.bound: set[str] = set()  # symbols whose value is a statement's
        self.stacked: dict[Var, list[ast.stmt]] = {}  # what to do as soon as a value is there
        self.lists: set[Var] = set()
        self.out: list[ast.stmt] = []

    # ------------------------------------------------------------ statements

    def put(self, s: ast.stmt, pos: Any) -> None:
        s.pos = pos  # type: ignore[attr-defined]
        self.out.append(s)

    def assign(self, v: Var, value: ast.expr, pos: Any) -> None:
        key = self.variable(v)
        self.put(ast.Assign([name(key)], value), pos)

    def inner(self, b: Block, begin: Sequence[Atom] = ()) -> list[ast.stmt]:
        """The statements of a block."""
        outside, self.out = self.out, []
        for a in begin:
            self.ready(a)
        self.block(b)
        made, self.out = self.out, outside
        return made

    def block(self, b: Block) -> None:
        for s in b.stmts:
            match s:
                case Op():
                    self.op(s)
                case If():
                    self.branch(s)
                case For():
                    self.loop(s)
                case While():
                    self.repeat(s)
                case _:
                    raise fail(StageError, "internal", s.pos, what="a call is left after optimize")
            for v in s.outs:
                self.ready(v)

    def ready(self, a: Atom) -> None:
        """The value is there: store it where slices are kept."""
        if isinstance(a, Var) and a in self.exprs:
            for s in self.stacked.pop(a, ()):
                self.out.append(s)

    def op(self, s: Op) -> None:
        if s.prim.name == "check":
            self.check(s)
            return
        if s.prim.name == "bind_size":
            self.shorten(s)
            sym = self.symbol(s.params["sym"])
            self.bound.add(sym)
            self.put(Move([name(sym)], [self.read(s.args[0])]), s.pos)
            return
        if s not in self.reading.operands:
            return
        if overwrites(s):
            self.store(s)
            return
        if len(s.outs) != 1:
            self.shorten(s)
            value = self.expr_of_many(s)
            keys = [self.variable(v) for v in s.outs]
            made = ast.Assign([ast.Tuple([name(k) for k in keys])], value) if keys else ast.Expr(value)
            self.put(made, s.pos)
            return
        v = s.outs[0]
        if v in self.reading.inlined:
            self.shorten(s)
            self.exprs[v] = self.expr(s)
            if not self.reading.trivial(s):
                self.inline[v] = self.exprs[v]
            return
        self.shorten(s)
        value = self.expr(s)
        if v in self.stacked and self.reading.uses[v] == 1:
            self.exprs[v] = value  # its only use is the slice
            return
        if isinstance(value, ast.Name):
            key = self.variable(v)
            self.put(Move([name(key)], [value]), s.pos)
        else:
            self.assign(v, value, s.pos)

    def shorten(self, s: Op) -> None:
        """Give names to the largest operands until the line has a reasonable length."""
        while True:
            pending = [
                (width(self.inline[o.atom]), k, o.atom)
                for k, o in enumerate(self.reading.operands.get(s, ()))
                if isinstance(o.atom, Var) and o.atom in self.inline
            ]
            total = sum(w for w, _, _ in pending) + 4 * len(s.args)
            if total <= WIDTH or not pending or max(pending)[0] < 16:
                for _, _, v in pending:
                    self.inline.pop(v, None)
                return
            v = max(pending, key=lambda t: (t[0], -t[1]))[2]
            value = self.inline.pop(v)
            self.assign(v, value, self.reading.defs[v].pos)

    def store(self, s: Op) -> None:
        self.shorten(s)
        operands = self.reading.operands[s]
        nodes = tuple(self.operand(o, True) for o in operands)
        literals = tuple(o.atom if isinstance(o.atom, Lit) else None for o in operands)
        made = fill_in(s, nodes, literals, tuple(a.type for a in s.args), self.dim, lambda k, n: n, store=True)
        assert isinstance(made, ast.stmt)
        self.exprs[s.outs[0]] = self.read(s.args[0])
        self.put(made, s.pos)

    def check(self, s: Op) -> None:
        message = str(s.params.get("message", "")) or str(s.params.get("code", ""))
        kind = RAISES.get(s.params.get("code", ""), "AssertionError")
        failed = ast.Raise(ast.Call(name(kind), [ast.Constant(message)], []), None)
        self.put(ast.If(negated(self.read(s.args[0])), [failed], []), s.pos)

    def branch(self, s: If) -> None:
        test = self.read(s.cond)
        blocks: list[list[ast.stmt]] = []
        keys = [self.placeholder(v.hint, v.type) for v in s.outs]
        for b in (s.then, s.orelse):
            stmts = self.inner(b)
            if keys:
                move = Move([name(k) for k in keys], [self.read(r, False) for r in b.results])
                move.pos = s.pos  # type: ignore[attr-defined]
                self.values_at(move, b.results, s.pos)
                stmts.append(move)
            blocks.append(stmts)
        self.put(ast.If(test, blocks[0], blocks[1]), s.pos)
        for v, k in zip(s.outs, keys, strict=True):
            self.exprs[v] = name(k)

    def values_at(self, move: Move, results: Sequence[Atom], pos: Any) -> None:
        """Each value of a move knows the line that it comes from."""
        for node, r in zip(move.values, results, strict=True):
            op = self.reading.defs.get(r) if isinstance(r, Var) else None
            inlined = isinstance(r, Var) and r in self.reading.inlined
            node.pos = op.pos if op is not None and inlined else pos  # type: ignore[attr-defined]

    # ------------------------------------------------------------ loops

    def begin(self, s: For | While, params: Sequence[Var]) -> list[str]:
        """The carried values, under the names that they keep through the loop."""
        keys = [self.placeholder(p.hint or v.hint, p.type) for p, v in zip(params, s.outs, strict=False)]
        if keys:
            move = Move([name(k) for k in keys], [self.read(a, False) for a in s.inits[: len(keys)]])
            self.values_at(move, s.inits[: len(keys)], s.pos)
            self.put(move, s.pos)
        for p, v, k in zip(params, s.outs, keys, strict=False):
            self.exprs[p] = name(k)
            self.exprs[v] = name(k)
        return keys

    def end(self, keys: list[str], results: Sequence[Atom], stmts: list[ast.stmt], pos: Any) -> None:
        if keys:
            move = Move([name(k) for k in keys], [self.read(r, False) for r in results])
            move.pos = pos  # type: ignore[attr-defined]
            self.values_at(move, results, pos)
            stmts.append(move)

    def slices(self, s: For | While, results: Sequence[Atom], stores: list[ast.stmt], pos: Any) -> list[ast.stmt]:
        """Notes the stores of slices; returns those to do at the end of the body, which nothing announces."""
        late: list[ast.stmt] = []
        local = {*s.body.params, *(v for t in s.body.stmts for v in t.outs)}
        for r, made in zip(results, stores, strict=True):
            made.pos = r.pos if isinstance(r, Var) and r.pos is not None else pos  # type: ignore[attr-defined]
            if isinstance(r, Var) and r in local and (r not in self.reading.inlined):
                self.stacked.setdefault(r, []).append(made)
            else:
                late.append(made)
        return late

    def loop(self, s: For) -> None:
        carries, reduces, stacks = s.split(s.outs)
        c_res, r_res, s_res = s.split(s.body.results)
        keys = self.begin(s, s.body.params[1:])
        sums = [self.placeholder(v.hint, v.type) for v in reduces]
        for key, a, v in zip(sums, s.inits[s.carries :], reduces, strict=True):
            self.put(Move([name(key)], [self.read(a, False)]), s.pos)
            self.exprs[v] = name(key)
        arrays = [self.placeholder(v.hint or "saved", v.type) for v in stacks]
        for key, v in zip(arrays, stacks, strict=True):
            shape = ", ".join(self.dim(d) for d in v.type.dims)
            shape = shape if len(v.type.dims) == 1 else f"({shape})"
            dtype = "" if v.type.dtype == np.float64 else f", dtype={constructor(v.type.dtype)}"
            self.put(ast.Assign([name(key)], expression(f"np.empty({shape}{dtype})")), s.pos)
            self.exprs[v] = name(key)
        index = self.variable(s.index, s.index.hint, index=True)
        targets = [_Later(name(k), name(index), r, self) for k, r in zip(arrays, s_res, strict=True)]
        late = self.slices(s, s_res, list(targets), s.pos)
        stmts = self.settled(self.inner(s.body, s.body.params))
        stmts += self.settled(late)
        for key, kind, r, v in zip(sums, s.reduce, r_res, reduces, strict=True):
            value = self.read(r, v.type.rank > 0)
            if kind in REDUCE:
                made: ast.stmt = ast.AugAssign(name(key), REDUCE[kind](), value)
            else:
                made = ast.Assign([name(key)], call(f"np.{kind}imum", name(key), value))
            op = self.reading.defs.get(r) if isinstance(r, Var) else None
            made.pos = op.pos if op is not None else s.pos  # type: ignore[attr-defined]
            stmts.append(made)
        self.end(keys, c_res, stmts, s.pos)
        span = call("range", expression(self.dim(s.count)))
        self.put(ast.For(name(index), call("reversed", span) if s.reverse else span, stmts, []), s.pos)

    def repeat(self, s: While) -> None:
        n = len(s.inits)
        keys = self.begin(s, s.body.params)
        for p, key in zip(s.cond.params, keys, strict=True):
            self.exprs[p] = name(key)
        stacks = s.outs[n:]
        lists = [self.placeholder(v.hint or "saved") for v in stacks]
        for key in lists:
            self.info[key].number = False
            self.put(ast.Assign([name(key)], ast.List([], ast.Load())), s.pos)
        tests = self.inner(s.cond, s.cond.params)
        verdict = self.read(s.cond.results[0])
        targets = [_Later(name(k), None, r, self) for k, r in zip(lists, s.body.results[n:], strict=True)]
        late = self.slices(s, s.body.results[n:], list(targets), s.pos)
        stmts = self.settled(self.inner(s.body, s.body.params))
        stmts += self.settled(late)
        self.end(keys, s.body.results[:n], stmts, s.pos)
        if tests:
            leave = ast.If(negated(verdict), [ast.Break()], [])
            leave.pos = s.pos  # type: ignore[attr-defined]
            self.put(ast.While(ast.Constant(True), [*tests, leave, *stmts], []), s.pos)
        else:
            self.put(ast.While(verdict, stmts, []), s.pos)
        if s.count is not None:
            sym = self.symbol(s.count)
            self.bound.add(sym)
            self.put(ast.Assign([name(sym)], call("len", name(lists[0]))), s.pos)
        for key, v in zip(lists, stacks, strict=True):
            if self.only_slices(v):
                self.exprs[v] = name(key)
                continue
            made = self.placeholder(v.hint or "saved", v.type)
            dtype = constructor(v.type.dtype)
            if v.type.rank == 1:
                value = expression(f"np.array({key}, dtype={dtype})")
            else:
                shape = ", ".join(self.dim(d) for d in v.type.dims)
                value = expression(f"np.array({key}, dtype={dtype}).reshape({shape})")
            self.put(ast.Assign([name(made)], value), s.pos)
            self.exprs[v] = name(made)

    def only_slices(self, v: Var) -> bool:
        """Is the stack only ever read one slice at a time, so that a list will do?"""
        return v in self.lists

    def settled(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        """Slice stores as statements, now that their values have been written."""
        return [s.made() if isinstance(s, _Later) else s for s in stmts]

    # ------------------------------------------------------------ the module

    def module(self) -> str:
        fn = self.fn
        self.lists = lists(fn.body)
        taken: set[str] = {self.title}
        params: list[str] = []
        for k, p in enumerate(fn.params):
            base = identifier(p.hint or f"x{k}")
            fixed = next(n for j in range(len(fn.params) + 2) if (n := base if not j else f"{base}_{j}") not in taken)
            taken.add(fixed)
            key = self.placeholder(p.hint, p.type, fixed)
            self.exprs[p] = name(key)
            params.append(key)
        self.block(fn.body)
        results = [self.read(r, False) for r in fn.results]
        value = results[0] if len(results) == 1 else ast.Tuple(results)
        self.out.append(ast.Return(value))
        used = cleaned(self.out, self.bound)
        body = [*self.header(params, used), *self.out]
        named = name_all(body, params, self.info, {self.title})
        arguments = [ast.arg(self.info[p].fixed or "", None) for p in params]
        shape = ast.arguments([], arguments, None, [], [], None, [])
        define = ast.FunctionDef(self.title, shape, Comments(fn).block(named), [], None)
        roots = {n.id for n in ast.walk(define) if isinstance(n, ast.Name)}
        imports = [text for key, text in IMPORTS.items() if key in roots]
        text = unparse(ast.Module([define], []))
        return "\n".join([*imports, "", ""]) + "\n" + text if imports else text

    def header(self, params: list[str], used: set[str]) -> list[ast.stmt]:
        """The sizes that are used, from the shapes of the arguments."""
        out: list[ast.stmt] = []
        known: set[Sym] = set()
        for p, key in zip(self.fn.params, params, strict=True):
            mine: list[Sym | None] = []
            for d in p.type.dims:
                sym = d.terms[0][0][0] if isinstance(d, Size) and d.is_symbol else None
                fresh = isinstance(sym, Sym) and sym not in known and self.symbols.get(sym) in used
                mine.append(sym if fresh and sym not in mine else None)  # type: ignore[arg-type]
            known.update(s for s in mine if s is not None)
            if len(mine) > 1 and all(s is not None for s in mine):
                targets = ast.Tuple([name(self.symbol(s)) for s in mine if s is not None])
                out.append(ast.Assign([targets], expression(f"{key}.shape")))
                continue
            for k, s in enumerate(mine):
                if s is not None:
                    out.append(ast.Assign([name(self.symbol(s))], expression(f"{key}.shape[{k}]")))
        missing = [s for s, key in self.symbols.items() if key in used and s not in known and key not in self.bound]
        if missing:
            raise fail(StageError, "internal", self.fn.pos, what=f"no shape tells the size {missing[0]}")
        return out


class _Later(ast.stmt):
    """The store of a slice; its value is asked for when the body has been written."""

    _fields = ()

    def __init__(self, target: ast.expr, index: ast.expr | None, value: Atom, writer: _Writer):
        super().__init__()
        self.target, self.index, self.value, self.writer = target, index, value, writer

    def made(self) -> ast.stmt:
        rank = self.value.type.rank
        op = self.writer.reading.defs.get(self.value) if isinstance(self.value, Var) else None
        node = self.writer.read(self.value, self.index is not None)
        copied = op is not None and op.prim.name == "copy" and isinstance(node, ast.Call)
        if self.index is not None:
            if copied:  # the store is a copy
                assert isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                node = node.func.value
            made: ast.stmt = ast.Assign([ast.Subscript(self.target, self.index, ast.Store())], node)
        else:
            if rank and not copied:
                node = ast.Call(ast.Attribute(node, "copy", ast.Load()), [], [])
            made = ast.Expr(ast.Call(ast.Attribute(self.target, "append", ast.Load()), [node], []))
        made.pos = getattr(self, "pos", None)  # type: ignore[attr-defined]
        return made


__all__ = ["numpy_source"]
