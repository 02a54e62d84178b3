"""The NumPy text of an op as a tree: the record's text, with the operands put in as trees.

In: an op, trees for its operands, text for sizes.  Out: an expression or a statement (`x[i] = v`).  Operands go in as
nodes, so no text needs parentheses of its own.

    "{0} ** 2" with a + b   ->   (a + b) ** 2
"""

from __future__ import annotations

import ast
import copy
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.ir import Dim, Lit, Op, Size, Tensor
from adc.ir.dims import Quotient, Sym

SUFFIX = {"f": "np.float", "i": "np.int"}


def name(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def call(function: str, *args: ast.expr) -> ast.Call:
    return ast.Call(expression(function), list(args), [])


def constructor(dtype: np.dtype[Any]) -> str:
    return f"np.{dtype.name}" if dtype.kind != "b" else "np.bool_"


@functools.lru_cache(4096)
def _parsed(text: str, mode: str) -> ast.AST:
    return ast.parse(text, mode=mode)


def expression(text: str) -> ast.expr:
    return copy.deepcopy(_parsed(text, "eval").body)  # type: ignore[attr-defined, no-any-return]


def statement(text: str) -> ast.stmt:
    return copy.deepcopy(_parsed(text, "exec").body[0])  # type: ignore[attr-defined, no-any-return]


# ---------------------------------------------------------------- constants and sizes


def literal_text(a: Lit) -> str | None:
    """A number as people write it; None where it needs more than a token."""
    v = a.value
    if a.type.dtype.kind == "b":
        return str(bool(v))
    if a.type.dtype.kind in "iu":
        return str(int(v)) if v >= 0 else None
    v = float(v)
    return repr(v) if math.isfinite(v) and math.copysign(1.0, v) > 0 else None


def literal(a: Lit, plain: bool) -> ast.expr:
    """A constant; where nothing else says so, its text tells a dtype other than Python's."""
    text = literal_text(a)
    if text is not None:
        node: ast.expr = expression(text)
    elif a.type.dtype.kind in "iu":
        node = ast.UnaryOp(ast.USub(), ast.Constant(-int(a.value)))
    elif math.isnan(a.value):
        node = expression("np.nan")
    else:
        v = abs(float(a.value))
        node = ast.Constant(v) if math.isfinite(v) else expression("np.inf")
        if math.copysign(1.0, float(a.value)) < 0:
            node = ast.UnaryOp(ast.USub(), node)
    short = a.type.dtype.kind in "fiu" and a.type.dtype.itemsize < 8
    return call(constructor(a.type.dtype), node) if short and not plain else node


def dim_text(d: Dim, symbol: Callable[[Sym], str]) -> str:
    """A size as Python: `2 * n - 1`."""
    if not isinstance(d, Size):
        return str(d)
    out = ""
    for monomial, c in d.terms:
        factors = [_factor(a, symbol) for a in monomial]
        scale = [str(abs(c))] if abs(c) != 1 or not factors else []
        text = " * ".join(scale + factors)
        if not out:
            out = f"-{text}" if c < 0 else text
        else:
            out += f" {'-' if c < 0 else '+'} {text}"
    return out


def _factor(a: Sym | Quotient, symbol: Callable[[Sym], str]) -> str:
    if isinstance(a, Sym):
        return symbol(a)
    left, right = dim_text(a.left, symbol), dim_text(a.right, symbol)
    if a.op in ("max", "min"):
        return f"{a.op}({left}, {right})"
    return f"(({left}) {a.op} ({right}))"


# ---------------------------------------------------------------- texts of records


class _Put(ast.NodeTransformer):
    def __init__(self, nodes: dict[str, ast.expr], wrap: Callable[[str, ast.expr], ast.expr]):
        self.nodes = nodes
        self.wrap = wrap

    def put(self, n: ast.AST) -> ast.expr | None:
        return self.nodes.get(n.id) if isinstance(n, ast.Name) else None

    def visit_Name(self, n: ast.Name) -> ast.AST:
        return self.nodes.get(n.id, n)

    def visit_Attribute(self, n: ast.Attribute) -> ast.AST:
        inner = self.put(n.value)
        if inner is not None:
            assert isinstance(n.value, ast.Name)
            n.value = self.wrap(n.value.id, inner)
            return n
        return self.generic_visit(n)

    def visit_Subscript(self, n: ast.Subscript) -> ast.AST:
        inner = self.put(n.value)
        if inner is not None:
            assert isinstance(n.value, ast.Name)
            n.value = self.wrap(n.value.id, inner)
            n.slice = self.visit(n.slice)
            return n
        return self.generic_visit(n)


def fill_in(
    s: Op,
    operands: tuple[ast.expr, ...],
    literals: tuple[Lit | None, ...],
    types: tuple[Tensor, ...],
    dim: Callable[[Dim], str],
    wrap: Callable[[int, ast.expr], ast.expr],
    store: bool = False,
) -> ast.AST:
    """The record's text with the operands in their places; `wrap` is asked before a number gets an attribute."""
    texts = []
    nodes: dict[str, ast.expr] = {}
    for k, (node, lit) in enumerate(zip(operands, literals, strict=True)):
        text = literal_text(lit) if lit is not None else None
        if text is None or not isinstance(node, ast.Constant):
            text = f"_a{k}_"
            nodes[text] = node
        texts.append(text)
    given = s.prim.numpy
    text = given.format(*texts) if isinstance(given, str) else given(texts, types, s.params, dim)
    tree: ast.AST = statement(text) if store else expression(text)
    put = _Put(nodes, lambda key, node: wrap(int(key[2:-1]), node))
    return simplified(put.visit(tree))


class _Sums(ast.NodeTransformer):
    """`i + 1 + 3` -> `i + 4` inside slices: the ends of a slice are made of texts."""

    def visit_Subscript(self, n: ast.Subscript) -> ast.AST:
        n = self.generic_visit(n)  # type: ignore[assignment]
        for part in ast.walk(n.slice):
            if isinstance(part, ast.Slice):
                part.lower, part.upper = _sum(part.lower), _sum(part.upper)
        return n


def _offset(e: ast.expr) -> tuple[ast.expr, int]:
    if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Add | ast.Sub) and isinstance(e.right, ast.Constant):
        if isinstance(e.right.value, int) and not isinstance(e.right.value, bool):
            inner, k = _offset(e.left)
            return inner, k + (e.right.value if isinstance(e.op, ast.Add) else -e.right.value)
    return e, 0


def _sum(e: ast.expr | None) -> ast.expr | None:
    if e is None:
        return None
    inner, k = _offset(e)
    if inner is e:
        return e
    return inner if not k else ast.BinOp(inner, ast.Add() if k > 0 else ast.Sub(), ast.Constant(abs(k)))


def simplified(tree: ast.AST) -> ast.AST:
    return _Sums().visit(tree)  # type: ignore[no-any-return]


def width(e: ast.AST) -> int:
    """About how many characters an expression takes."""
    total = 0
    for n in ast.walk(e):
        match n:
            case ast.Name():
                total += min(len(n.id), 4)
            case ast.Constant():
                total += len(repr(n.value))
            case ast.Attribute():
                total += len(n.attr) + 1
            case ast.BinOp() | ast.Compare():
                total += 4
            case ast.Call() | ast.Subscript():
                total += 2
            case ast.BoolOp() | ast.UnaryOp():
                total += 3
            case ast.IfExp():
                total += 9
            case _:
                pass
    return total
