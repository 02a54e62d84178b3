"""The expressions of the NumPy module: ops and their operands as trees, in which variables are placeholders.

In: a function after `place`, and its ops one by one.  Out: `expr(op)`, `read(atom)`: trees for the statements of `numpy_source`.

    y = mul(broadcast(2.0), x)   ->   2.0 * _v0
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from adc.emit.names import Info, negated
from adc.emit.reading import STORES, Operand, Reading
from adc.emit.texts import call, constructor, dim_text, expression, fill_in, literal, name
from adc.errors import StageError, fail
from adc.ir import Atom, Dim, Function, Lit, Op, Pointwise, Tensor, Var
from adc.ir.dims import Sym


class Expressions:
    def __init__(self, fn: Function):
        self.reading = Reading(fn)
        self.info: dict[str, Info] = {}
        self.exprs: dict[Var, ast.expr] = {}
        self.symbols: dict[Sym, str] = {}

    # ------------------------------------------------------------ placeholders

    def placeholder(self, hint: str, t: Tensor | None = None, fixed: str | None = None, index: bool = False) -> str:
        key = f"_v{len(self.info)}"
        kind = "i" if index else "t"
        if t is not None and t.dtype.kind == "b":
            kind = "mask" if t.rank else "flag"
        elif t is not None and t.dtype.kind == "i" and not t.rank and not index:
            kind = "k"
        self.info[key] = Info(hint, kind, fixed, t is None or not t.rank)
        return key

    def variable(self, v: Var, hint: str | None = None, index: bool = False) -> str:
        """A placeholder for `v`, under which it is read from now on."""
        key = self.placeholder(v.hint if hint is None else hint, v.type, index=index)
        self.exprs[v] = name(key)
        return key

    def symbol(self, s: Sym) -> str:
        if s not in self.symbols:
            self.symbols[s] = self.placeholder(s.hint)
        return self.symbols[s]

    def dim(self, d: Dim) -> str:
        return dim_text(d, self.symbol)

    # ------------------------------------------------------------ expressions

    def read(self, a: Atom, plain: bool = True) -> ast.expr:
        if isinstance(a, Lit):
            return literal(a, plain)
        if a not in self.exprs:
            raise fail(StageError, "internal", a.pos, what=f"{a!r} is printed before it is defined")
        return _copied(self.exprs[a])

    def operand(self, o: Operand, plain: bool) -> ast.expr:
        node = self.read(o.atom, plain)
        if o.index is None:
            return node
        if not o.atom.type.rank or self.reading.is_python(o.atom):
            node = call(constructor(o.atom.type.dtype), node)
        parts = ", ".join(":" if kept else "None" for kept in o.index)
        base = expression(f"a_[{parts}]")
        assert isinstance(base, ast.Subscript)
        base.value = node
        return base

    def expr(self, s: Op) -> ast.expr:
        """The op as an expression; its operands' own expressions inside."""
        operands = self.reading.operands[s]
        out = s.outs[0].type
        plain = self.plain(s, operands)
        nodes = [self.operand(o, plain) for o in operands]
        if self.reading.wrapped(s):
            k = 1 if s.prim.name in ("div", "floordiv", "mod") else 0
            nodes[k] = call(constructor(operands[k].atom.type.dtype), nodes[k])
        if not out.rank:
            special = self.number(s, nodes)
            if special is not None:
                return special
        literals = tuple(o.atom if isinstance(o.atom, Lit) and o.index is None else None for o in operands)
        if self.reading.wrapped(s):
            literals = tuple(None for _ in literals)

        def wrap(k: int, node: ast.expr) -> ast.expr:
            a = operands[k].atom
            python = not a.type.rank and (self.reading.is_python(a) or isinstance(node, ast.IfExp | ast.BoolOp))
            return call(constructor(a.type.dtype), node) if python else node

        types = tuple(a.type for a in s.args)
        made = fill_in(s, tuple(nodes), literals, types, self.dim, wrap)
        assert isinstance(made, ast.expr)
        if not out.rank and (_has_where(made) or (s.prim.name == "reshape" and s.args[0].type.rank)):
            made = ast.Subscript(made, ast.Tuple([], ast.Load()), ast.Load())  # a number, not an array of rank 0
        return made

    def plain(self, s: Op, operands: tuple[Operand, ...]) -> bool:
        """Do the other operands fix the dtype, so that a Python number will do?"""
        if s.prim.name in ("fill", *STORES):
            return True
        if s.prim.name == "convert":
            return True
        if not isinstance(s.prim.loops, Pointwise):
            return False
        return any(not isinstance(o.atom, Lit) and o.atom.type.dtype == self.main(s) for o in operands)

    def main(self, s: Op) -> np.dtype[Any]:
        return s.args[-1].type.dtype

    def number(self, s: Op, nodes: Sequence[ast.expr]) -> ast.expr | None:
        """Scalar ops that Python says better."""
        match s.prim.name:
            case "where":
                c, a, b = nodes
                return ast.IfExp(c, a, b)
            case "and" | "or" if s.outs[0].type.dtype.kind == "b":
                op = ast.And() if s.prim.name == "and" else ast.Or()
                values: list[ast.expr] = []
                for n in nodes:
                    values += n.values if isinstance(n, ast.BoolOp) and type(n.op) is type(op) else [n]
                return ast.BoolOp(op, values)
            case "invert" if s.outs[0].type.dtype.kind == "b":
                return negated(nodes[0])
            case "abs":
                return call("abs", nodes[0])
            case "maximum" | "minimum" if s.outs[0].type.dtype.kind == "i":
                return call(s.prim.name[:3], *nodes)
        return None

    def expr_of_many(self, s: Op) -> ast.expr:
        operands = self.reading.operands[s]
        nodes = tuple(self.operand(o, False) for o in operands)
        literals = tuple(o.atom if isinstance(o.atom, Lit) else None for o in operands)
        made = fill_in(s, nodes, literals, tuple(a.type for a in s.args), self.dim, lambda k, n: n)
        assert isinstance(made, ast.expr)
        return made


def _copied(e: ast.expr) -> ast.expr:
    return copy.deepcopy(e)


def _has_where(e: ast.expr) -> bool:
    """Does an expression of numbers call what gives arrays of rank 0?"""
    return isinstance(e, ast.Call) and isinstance(e.func, ast.Attribute) and e.func.attr in ("where", "select")


__all__ = ["Expressions"]
