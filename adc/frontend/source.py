"""From a function object to its tree and its places in the file.

In: a Python function (also a lambda, decorated, or jitted by Numba).  Out: `Source`: the gast node, the
digest of its text and a maker of `Pos`.  A fence lists every construct that adc refuses, at once.

>>> source_of(my_loss).node.name          # doctest: +SKIP
'my_loss'
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gast

from adc.errors import Diagnostic, Pos, SourceError, UnsupportedError, fail
from adc.ir.reach import plain as plain_function


@dataclass(frozen=True, eq=False)
class Source:
    """One function's text."""

    node: Any
    """gast FunctionDef or Lambda."""
    file: str
    lines: tuple[str, ...]
    name: str
    digest: str

    def pos(self, node: Any) -> Pos:
        """Where `node` stands; columns count characters."""
        line = int(getattr(node, "lineno", None) or getattr(self.node, "lineno", None) or 1)
        text = self.lines[line - 1].rstrip("\n") if 0 < line <= len(self.lines) else ""
        start = getattr(node, "col_offset", 0) or 0
        end = getattr(node, "end_col_offset", None) or len(text)
        if getattr(node, "end_lineno", line) != line:
            end = len(text.encode())
        if not text.isascii():
            raw = text.encode()
            start, end = (len(raw[:k].decode(errors="replace")) for k in (start, end))
        return Pos(self.file, line, start, end, text, self.name)

    def text(self, node: Any) -> str:
        """The node as written, on one line."""
        first, last = node.lineno - 1, node.end_lineno - 1
        raw = [line.encode() for line in self.lines[first : last + 1]]
        if not raw:
            return ""
        raw[-1] = raw[-1][: node.end_col_offset]
        raw[0] = raw[0][node.col_offset :]
        return " ".join(part.decode(errors="replace").strip() for part in raw)


_sources: dict[int, tuple[types.CodeType, tuple[str, ...], Source]] = {}
_trees: dict[str, tuple[tuple[str, ...], ast.Module]] = {}


def file_lines(fn: types.FunctionType) -> tuple[str, ...]:
    """The current text of the file (or notebook cell) that defines `fn`."""
    file = fn.__code__.co_filename
    linecache.checkcache(file)
    lines = linecache.getlines(file, fn.__globals__)
    if not lines:
        try:
            lines = inspect.findsource(fn)[0]
        except (OSError, TypeError):
            lines = []
    return tuple(lines)


def source_of(fn: Any) -> Source:
    """Tree and places of a function; a `SourceError` where there is no text to read."""
    fn = plain_function(fn)
    if not isinstance(fn, types.FunctionType):
        name = getattr(fn, "__name__", None) or repr(fn)
        raise fail(SourceError, "no_source", None, what=f"{name} ({type(fn).__name__})")
    lines = file_lines(fn)
    if not lines:
        raise fail(SourceError, "no_source", None, what=fn.__qualname__)
    known = _sources.get(id(fn.__code__))
    if known is not None and known[0] is fn.__code__ and known[1] == lines:
        return known[2]
    node = _find(fn, _parse(fn, lines))
    name = fn.__qualname__.replace("<locals>.", "")
    node_g = _Contexts().visit(gast.ast_to_gast(node))
    text = "".join(lines[node.lineno - 1 : node.end_lineno])
    digest = hashlib.sha256(f"{ast.dump(node)}".encode() if isinstance(node, ast.Lambda) else text.encode()).hexdigest()
    source = Source(node_g, fn.__code__.co_filename, lines, name, digest)
    problems = [Diagnostic("syntax", source.pos(n), {"what": w, "instead": i}) for n, w, i in fence(node_g)]
    if problems:
        raise UnsupportedError(*problems)
    _sources[id(fn.__code__)] = (fn.__code__, lines, source)
    return source


def _parse(fn: types.FunctionType, lines: tuple[str, ...]) -> ast.Module:
    file = fn.__code__.co_filename
    if file in _trees and _trees[file][0] == lines:
        return _trees[file][1]
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError as e:
        raise fail(SourceError, "no_source", None, what=f"{fn.__qualname__} ({e.msg} in line {e.lineno})") from e
    _trees[file] = (lines, tree)
    return tree


def _find(fn: types.FunctionType, tree: ast.Module) -> Any:
    """The node of `fn`: by first line and name, lambdas by the positions in their code."""
    code = fn.__code__
    found: list[Any] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                found.append(node)
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
            if node.lineno <= code.co_firstlineno <= (node.end_lineno or node.lineno):
                found.append(node)
    if len(found) > 1:
        found = _by_positions(code, found) or found
    if len(found) > 1:
        found = [n for n in found if _same_code(code, n)] or found
    if not found or len({ast.dump(n) for n in found}) > 1:
        raise fail(SourceError, "no_source", None, what=f"{fn.__qualname__} (line {code.co_firstlineno} of {code.co_filename})")
    return found[0]


def _by_positions(code: types.CodeType, nodes: list[Any]) -> list[Any]:
    """The nodes whose body spans every instruction, the innermost ones."""
    if not hasattr(code, "co_positions"):
        return []
    spots = [(line, col) for line, _, col, _ in code.co_positions() if line is not None and col is not None and (line, col) != (code.co_firstlineno, 0)]

    def span(n: Any) -> tuple[tuple[int, int], tuple[int, int]]:
        first = n.body[0] if isinstance(n.body, list) else n.body
        last = n.body[-1] if isinstance(n.body, list) else n.body
        return (first.lineno, first.col_offset), (last.end_lineno, last.end_col_offset)

    fit = [n for n in nodes if all(span(n)[0] <= s <= span(n)[1] for s in spots)]
    if not fit:
        return []
    innermost = max(span(n)[0] for n in fit)
    return [n for n in fit if span(n)[0] == innermost]


def _same_code(code: types.CodeType, node: Any) -> bool:
    wrapper = ast.Expression(node) if isinstance(node, ast.Lambda) else ast.Module([node], [])
    made = compile(wrapper, code.co_filename, "eval" if isinstance(node, ast.Lambda) else "exec")
    inner = [c for c in made.co_consts if isinstance(c, types.CodeType)]
    return any(c.co_code == code.co_code and c.co_consts == code.co_consts and c.co_names == code.co_names for c in inner)


class _Contexts(gast.NodeTransformer):  # type: ignore[misc]
    """`with np.errstate(…):` is a call, which is looked at when it is met (`stmts.stmt_Expr`), and its body: adc says nothing of divisions by zero."""

    def visit_With(self, node: Any) -> Any:
        self.generic_visit(node)
        calls = [i.context_expr for i in node.items]
        if any(i.optional_vars is not None or not isinstance(i.context_expr, gast.Call) for i in node.items):
            return node
        if any(getattr(c.func, "attr", getattr(c.func, "id", "")) != "errstate" for c in calls):
            return node
        stated = [gast.copy_location(gast.Expr(c), c) for c in calls]
        for s in stated:
            s.context = True
        return [*stated, *node.body]


# ---------------------------------------------------------------- the fence

_REFUSED: dict[str, tuple[str, str]] = {
    "Try": ("a try statement", "test the condition with if, or assert it"),
    "TryStar": ("a try statement", "test the condition with if, or assert it"),
    "With": ("a with statement", "enter the context around the call of the function"),
    "AsyncWith": ("a with statement", "enter the context around the call of the function"),
    "AsyncFor": ("an async loop", "write a plain for loop"),
    "AsyncFunctionDef": ("an async function", "write a plain function"),
    "Await": ("await", "write a plain call"),
    "Yield": ("yield", "return a value, or collect values in an array"),
    "YieldFrom": ("yield from", "return a value, or collect values in an array"),
    "ClassDef": ("a class definition inside a function", "define the class at module level"),
    "Global": ("assignment to a global", "return the value instead"),
    "TemplateStr": ("a template string", "use an f-string"),
    "TypeAlias": ("a type alias inside a function", "define it at module level"),
    "MatchClass": ("a class pattern", "compare with if and isinstance"),
    "MatchMapping": ("a mapping pattern", "compare with if"),
}


def fence(node: Any) -> Iterator[tuple[Any, str, str]]:
    """Every unsupported place: (node, what it is, what to write instead)."""
    for n in gast.walk(node):
        kind = type(n).__name__
        if kind in _REFUSED:
            yield (n, *_REFUSED[kind])
        elif kind == "Constant" and isinstance(n.value, complex):
            yield n, "a complex number", "split the computation into real and imaginary parts"
        elif kind == "Delete" and any(not isinstance(t, gast.Name) for t in n.targets):
            yield n, "del of an element", "build the container without it"
        elif kind == "ImportFrom" and any(a.name == "*" for a in n.names):
            yield n, "import *", "name what is imported"
