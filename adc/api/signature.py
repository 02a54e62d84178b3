"""Signatures as text: `"f8[d], f8[n,d], f8[n]"`, or jaxtyping-style annotations of a function.

In: a text or a function.  Out: its arguments, with a `Tensor` where a run-time value goes: what `f.source(...)`,
`f.ir(...)` and `adc show` take in the place of arrays.  A name is a size; the same name is the same size everywhere.

>>> print(*parse_signature("f8[d], f8[n, d], float, 10"))
f8[d] f8[n, d] f8* 10

`f8 f4 i8 i4 b1` (or `float64` …) with sizes are arrays, without are scalars; `float`, `int` and `bool` are Python
numbers; literals are static values; tuples, lists and dicts are containers of all these.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import Pos, UnsupportedError, fail
from adc.ir.dims import Dim, Sym, size
from adc.ir.program import Tensor

DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code)
    for code, names in {
        "f8": ("f8", "float64", "Float64", "Float"),
        "f4": ("f4", "float32", "Float32"),
        "i8": ("i8", "int64", "Int64", "Int", "Integer"),
        "i4": ("i4", "int32", "Int32"),
        "?": ("b1", "bool_", "Bool"),
    }.items()
    for name in names
}
"""Names of element types: NumPy's, the short ones, and jaxtyping's."""

NUMBERS = {"float": Tensor(np.dtype("f8"), (), True), "int": Tensor(np.dtype("i8"), (), True), "bool": Tensor(np.dtype("?"))}
INSTEAD = 'write it like "f8[d], f8[n, d], f8[n]": f8 f4 i8 i4 b1 with sizes, float, int, literals, or (…), […], {…} of these'


class _Reader:
    """One signature: names of sizes are shared by everything read through one reader."""

    def __init__(self, where: str = "signature") -> None:
        self.where = where
        self.sizes: dict[str, Sym] = {}
        self.text = ""

    def refuse(self, node: ast.AST | None, what: str, instead: str = INSTEAD) -> UnsupportedError:
        start = getattr(node, "col_offset", 0) - 1
        end = (getattr(node, "end_col_offset", None) or len(self.text) + 1) - 1
        pos = Pos(self.where, 1, max(start, 0), max(end, 1), self.text)
        return fail(UnsupportedError, "type", pos, what=what, instead=instead)  # type: ignore[return-value]

    def tree(self, text: str) -> ast.expr:
        self.text = text
        try:
            # in parentheses: a text of several lines is one signature
            return ast.parse(f"({text}\n)", mode="eval").body
        except SyntaxError as e:
            here = ast.Constant(0, lineno=1, col_offset=e.offset or 1, end_lineno=1, end_col_offset=(e.offset or 1) + 1)
            raise self.refuse(here, f"this cannot be read as a signature: {e.msg}") from None

    # ------------------------------------------------------------ arguments

    def arguments(self, text: str) -> tuple[Any, ...]:
        if not text.strip():
            raise self.refuse(None, "the signature is empty")
        node = self.tree(text)
        # "(f8, f8)" is one argument, a pair; "f8, f8" are two: only the first begins with its own parenthesis
        several = isinstance(node, ast.Tuple) and node.col_offset == 0
        return tuple(self.argument(e) for e in node.elts) if several else (self.argument(node),)  # type: ignore[attr-defined]

    def argument(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Tuple):
            return tuple(map(self.argument, node.elts))
        if isinstance(node, ast.List):
            return list(map(self.argument, node.elts))
        if isinstance(node, ast.Dict):
            keys = [self.literal(k) if k is not None else None for k in node.keys]
            return dict(zip(keys, map(self.argument, node.values), strict=True))
        if isinstance(node, ast.Name | ast.Attribute):
            name = _last_name(node)
            if name in NUMBERS and isinstance(node, ast.Name):
                return NUMBERS[name]
            return Tensor(self.dtype(node))
        if isinstance(node, ast.Subscript):
            return self.array(node)
        return self.literal(node)

    def literal(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise self.refuse(node, f"{ast.unparse(node)} is neither a type nor a literal") from None

    def dtype(self, node: ast.expr) -> np.dtype[Any]:
        name = _last_name(node)
        if name not in DTYPES:
            raise self.refuse(node, f"{ast.unparse(node)} is not a type that adc knows", "use one of f8, f4, i8, i4, b1, float, int, bool")
        return DTYPES[name]

    def array(self, node: ast.Subscript) -> Tensor:
        dtype, inside = self.dtype(node.value), node.slice
        parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        last = parts[-1] if parts else None
        if isinstance(last, ast.Constant) and isinstance(last.value, str):  # Float64[np.ndarray, "n d"]
            return Tensor(dtype, tuple(self.named(word, last) for word in last.value.split()))
        return Tensor(dtype, tuple(map(self.dim, parts)))

    # ------------------------------------------------------------ sizes

    def named(self, word: str, node: ast.AST) -> Dim:
        if any(c in word for c in "*.#?"):
            raise self.refuse(node, f"the size {word!r} leaves the rank or a broadcast open", "adc compiles for one rank: write one name or number per axis")
        name = word.split("=")[0]
        try:
            return self.dim(ast.parse(name, mode="eval").body, node)
        except SyntaxError:
            raise self.refuse(node, f"{word!r} is not a size") from None

    def dim(self, node: ast.expr, at: ast.AST | None = None) -> Dim:
        """A number, a name, or a sum or product of them."""
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value >= 0:
            return node.value
        if isinstance(node, ast.Name):
            return size(Sym("n") if node.id == "_" else self.sizes.setdefault(node.id, Sym(node.id)))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
            left, right = self.dim(node.left, at), self.dim(node.right, at)
            return left + right if isinstance(node.op, ast.Add) else left - right if isinstance(node.op, ast.Sub) else left * right
        raise self.refuse(at or node, f"{ast.unparse(node)} is not a size", "a size is a number, a name, or a sum or product of them")


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def parse_signature(text: str) -> tuple[Any, ...]:
    """The arguments that a text such as `"f8[d], f8[n, d]"` describes, one entry per positional argument."""
    return _Reader().arguments(text)


# ---------------------------------------------------------------- annotations


def annotated(fun: Callable[..., Any]) -> tuple[Any, ...]:
    """The arguments that the annotations of a function describe; what has a default and no annotation is left out."""
    while hasattr(fun, "fun"):
        fun = fun.fun
    fun = getattr(fun, "py_func", fun)
    name = getattr(fun, "__name__", str(fun))
    reader = _Reader(f"annotations of {name}")
    found: list[Any] = []
    missing: list[str] = []
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        raise fail(UnsupportedError, "no_source", None, what=name) from None
    for p in parameters:
        if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            continue
        if p.annotation is not p.empty:
            found.append(_annotation(reader, p.annotation))
        elif p.default is p.empty:
            missing.append(p.name)
        else:
            break
    if missing or not found:
        what = f"the types of {', '.join(missing)} of {name} are not known" if missing else f"{name} takes no arguments"
        raise fail(UnsupportedError, "type", None, what=what, instead='call it first, pass example arguments, annotate it (x: "f8[n]"), or use --sig')
    return tuple(found)


def _annotation(reader: _Reader, annotation: Any) -> Any:
    if annotation in (float, int, bool):
        return NUMBERS[annotation.__name__]
    if isinstance(annotation, type) and issubclass(annotation, np.generic):
        reader.text = annotation.__name__
        return Tensor(reader.dtype(ast.Name(annotation.__name__)))
    dims = getattr(annotation, "dim_str", None)
    if dims is not None:  # a class that jaxtyping made
        reader.text = f'{annotation.__name__}'
        names = [str(d) for d in getattr(annotation, "dtypes", ())] if not isinstance(annotation.dtypes, str) else [annotation.dtypes]
        known = [DTYPES[d] for d in ("float64", "int64", "bool_", *names) if d in DTYPES and (d in names or (d == "bool_" and "bool" in names))]
        if not known:
            raise reader.refuse(None, f"{annotation.__name__} has no element type that adc knows", "use Float64, Float32, Int64, Int32 or Bool")
        return Tensor(known[0], tuple(reader.named(w, ast.Constant(0)) for w in dims.split()))
    if isinstance(annotation, str):
        text = annotation.strip()
        if text[:1] in "'\"" and text[-1:] == text[:1]:  # quoted under `from __future__ import annotations`
            text = ast.literal_eval(text)
        return reader.argument(reader.tree(text))
    raise reader.refuse(None, f"the annotation {annotation!r} does not say dtype and sizes", 'annotate it like x: "f8[n, d]" or x: Float64[np.ndarray, "n d"]')


__all__ = ["DTYPES", "annotated", "parse_signature"]
