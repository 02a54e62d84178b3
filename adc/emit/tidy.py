"""The last touches on a printed function: sizes that nobody reads go, comments say where groups come from.

In: statements (Python trees).  Out: the statements that are needed, with `Comment`s among them.

    n = x.shape[0]; return x   ->   # line 2: return x
                                    return x
"""

from __future__ import annotations

import ast
from typing import Any

from adc.emit.names import Move
from adc.emit.printer import Comment
from adc.ir import Block, Function, Op, Var, While, blocks, inputs, walk
from adc.ops.access import At, is_full


def lists(b: Block) -> set[Var]:
    """Stacks of while loops that are read one slice at a time and nothing else."""
    found = {v for s in walk(b) if isinstance(s, While) for v in s.outs[len(s.inits) :]}

    def visit(block: Block) -> None:
        for s in block.stmts:
            for k, a in enumerate(inputs(s)):
                if a in found:
                    sliced = (
                        isinstance(s, Op)
                        and s.prim.name == "index"
                        and k == 0
                        and isinstance(s.params["axes"][0], At)
                        and all(is_full(x, d) for x, d in zip(s.params["axes"][1:], a.type.dims[1:], strict=True))
                    )
                    if not sliced:
                        found.discard(a)  # type: ignore[arg-type]
            for inner in blocks(s):
                visit(inner)
        for r in block.results:
            found.discard(r)  # type: ignore[arg-type]

    visit(b)
    return found


def cleaned(body: list[ast.stmt], symbols: set[str]) -> set[str]:
    """Drop sizes that are bound and never read; gives the placeholders that are read."""
    while True:
        read = {
            n.id
            for s in body
            for t in ast.walk(s)
            for n in _read_names(t)
        }
        dead = symbols - read
        before = _length(body)
        body[:] = _without(body, dead)
        if _length(body) == before:
            return read


def _length(body: list[ast.stmt]) -> int:
    return sum(1 for s in body for n in ast.walk(s) if isinstance(n, ast.stmt))


def _read_names(t: ast.AST) -> list[ast.Name]:
    match t:
        case Move():
            return [n for v in t.values for n in ast.walk(v) if isinstance(n, ast.Name)]
        case ast.Assign():
            exprs = [t.value, *(x for x in t.targets if isinstance(x, ast.Subscript))]
            return [n for v in exprs for n in ast.walk(v) if isinstance(n, ast.Name)]
        case ast.For():
            return [n for n in ast.walk(t.iter) if isinstance(n, ast.Name)]
        case ast.If() | ast.While():
            return [n for n in ast.walk(t.test) if isinstance(n, ast.Name)]
        case ast.AugAssign() | ast.Expr() | ast.Return() | ast.Raise():
            return [n for n in ast.walk(t) if isinstance(n, ast.Name)]
    return []


def _without(body: list[ast.stmt], dead: set[str]) -> list[ast.stmt]:
    out: list[ast.stmt] = []
    for s in body:
        targets = s.targets if isinstance(s, ast.Assign | Move) else []
        if targets and all(isinstance(t, ast.Name) and t.id in dead for t in targets):
            continue
        if isinstance(s, ast.For | ast.While | ast.If):
            s.body = _without(s.body, dead)
            s.orelse = _without(s.orelse, dead)
        out.append(s)
    return out


class Comments:
    """Puts the primal's lines above the groups of statements that come from them."""

    def __init__(self, fn: Function):
        self.file = fn.pos.file if fn.pos is not None else None
        self.function = fn.pos.function if fn.pos is not None else None
        self.last: Any = None

    def block(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for s in stmts:
            pos = getattr(s, "pos", None)
            if pos is not None and pos.text.strip() and (pos.file, pos.line) != self.last:
                self.last = (pos.file, pos.line)
                where = "" if self.file in (None, pos.file) else f"{pos.function or pos.file}, "
                out.append(Comment(f"{where}line {pos.line}: {pos.text.strip()}"))
            for field in ("body", "orelse"):
                inner = getattr(s, field, None)
                if isinstance(inner, list) and inner:
                    setattr(s, field, self.block(inner))
            out.append(s)
        return out
