"""Where an element lies: the texts that a record's `index` rule gives, read as coordinates.

In: an op with a `View` or `Update` record, and the coordinates of one element of its result (or stored value).
Out: the coordinates in the first argument, as dims.

    index(x, i, axes=(At(Arg(0)), Slice(1, n - 1))) at (c,)   ->   (i, c + 1)
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from adc.ir import Dim, Op, Tensor, Update, View, size
from adc.ir.dims import floordiv, mod
from adc.lower.state import Lowering, internal

BINARY: dict[type, Callable[[Dim, Dim], Dim]] = {
    ast.Add: operator.add,
    ast.Sub: lambda a, b: size(a) - b,
    ast.Mult: lambda a, b: size(a) * b,
    ast.FloorDiv: floordiv,
    ast.Mod: mod,
}


class Names:
    """Tokens that stand for dims in a rule's texts."""

    def __init__(self) -> None:
        self.dims: dict[str, Dim] = {}

    def token(self, d: Dim) -> str:
        if isinstance(d, int):
            return str(d) if d >= 0 else f"({d})"
        name = f"t{len(self.dims)}"
        self.dims[name] = d
        return name

    def read(self, text: str) -> Dim:
        return self._dim(ast.parse(text.strip(), mode="eval").body, text)

    def _dim(self, node: ast.expr, text: str) -> Dim:
        if isinstance(node, ast.Name) and node.id in self.dims:
            return self.dims[node.id]
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
            return BINARY[type(node.op)](self._dim(node.left, text), self._dim(node.right, text))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return size(self._dim(node.operand, text)) * -1
        raise internal(f"a coordinate that is not made of sums and products: {text}")


def source(lo: Lowering, s: Op, rule: View | Update, coords: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The coordinates in the first argument of the element `coords`."""
    names = Names()
    types: tuple[Tensor, ...] = tuple(a.type for a in s.args)
    first = 1 if isinstance(rule, View) else 2

    def load(k: int, at: Any) -> str:
        where = tuple(names.read(str(c)) for c in at)
        return names.token(lo.pool.as_dim(lo.elem(s.args[k], where)))

    scalars = [] if rule.loads else [names.token(lo.pool.as_dim(lo.scalar(a))) for a in s.args[first:]]
    texts = tuple(names.token(c) for c in coords)
    more = (load,) if rule.loads else ()
    found = rule.index(texts, types, s.params, names.token, scalars, *more)
    return tuple(names.read(str(c)) for c in found)
