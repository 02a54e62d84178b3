"""`for i in range(n)` as Numba compiles it quickest: counting by hand.

In: the text of a kernel.  Out: its code object, with each such loop as

    stop = n                                  a third of what Numba writes, and half of its time: a range is an object with
    i = 0                                     a step of either sign, an iterator of its own and a count of what is left,
    while i < stop:                           which LLVM then finds to be this
        …
        i = i + 1

Kernels neither leave a `for` in the middle other than by `return`, nor look at its variable afterwards.
"""

from __future__ import annotations

import ast
from types import CodeType

STOP = "stop_of_"


class Counting(ast.NodeTransformer):
    def __init__(self) -> None:
        self.loops = 0

    def visit_For(self, node: ast.For) -> list[ast.stmt]:
        self.generic_visit(node)
        call = node.iter
        assert isinstance(node.target, ast.Name) and isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"
        name, one = node.target.id, ast.Constant(1)
        compare: ast.cmpop = ast.Lt()
        go: ast.operator = ast.Add()
        if len(call.args) == 3:
            first, stop, step = call.args
            assert ast.unparse(step) == "-1"
            compare, go = ast.Gt(), ast.Sub()
        else:
            first, stop = call.args if len(call.args) == 2 else (ast.Constant(0), *call.args)
        before: list[ast.stmt] = []
        if not isinstance(stop, ast.Constant | ast.UnaryOp):
            self.loops += 1
            before.append(_set(f"{STOP}{self.loops}", stop))  # once: the loop may change what it is made of
            stop = _get(f"{STOP}{self.loops}")
        before.append(_set(name, first))
        next_one = _set(name, ast.BinOp(_get(name), go, one))
        return [*before, ast.While(ast.Compare(_get(name), [compare], [stop]), [*node.body, next_one], [])]


def _get(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _set(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def counting(source: str, filename: str) -> CodeType:
    """The module's code object."""
    assert STOP not in source
    return compile(ast.fix_missing_locations(Counting().visit(ast.parse(source))), filename, "exec")


__all__ = ["counting"]
