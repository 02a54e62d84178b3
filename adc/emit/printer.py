"""Python trees as text, with full-line comments and no more parentheses than the grammar needs.

In: an `ast` tree, which may hold `Comment` statements.  Out: its source text, which parses back to the same tree.

>>> print(unparse(ast.parse("x = (a * b) + (-(c ** 2))")), end="")
x = a * b + -c ** 2
"""

from __future__ import annotations

import ast
import io
from collections.abc import Callable, Sequence
from typing import Any

from astunparse.unparser import INFSTR, Unparser


class Comment(ast.stmt):
    """A line (or lines) of comment, standing among the statements."""

    _fields = ("text",)

    def __init__(self, text: str = ""):
        super().__init__()
        self.text = text


(NAMED, TUPLE, YIELD, TEST, OR, AND, NOT, CMP, BOR, BXOR, BAND, SHIFT, ARITH, TERM, FACTOR, POWER, AWAIT, ATOM) = range(
    1, 19
)
BINARY = {
    "Add": ARITH, "Sub": ARITH, "Mult": TERM, "MatMult": TERM, "Div": TERM, "Mod": TERM, "FloorDiv": TERM, "LShift": SHIFT,
    "RShift": SHIFT, "BitOr": BOR, "BitXor": BXOR, "BitAnd": BAND, "Pow": POWER,
}  # fmt: skip


def unparse(tree: ast.AST) -> str:
    """The text of a tree."""
    out = io.StringIO()
    Printer(tree, out)
    return out.getvalue().lstrip("\n")


def _interleave(between: Callable[[], None], each: Callable[[Any], None], items: Sequence[Any]) -> None:
    for k, x in enumerate(items):
        if k:
            between()
        each(x)


class Printer(Unparser):  # type: ignore[misc]
    """`astunparse` with precedence: `at(p, node)` prints a node where an operator of precedence p stands around it."""

    def __init__(self, tree: ast.AST, file: Any):
        self._precedence = TEST  # before super().__init__, which dispatches at once
        super().__init__(tree, file)

    def at(self, precedence: int, node: Any) -> None:
        old, self._precedence = self._precedence, precedence
        try:
            self.dispatch(node)
        finally:
            self._precedence = old

    def paren(self, own: int, inside: Callable[[], None]) -> None:
        """Parentheses if the context binds tighter than `own`."""
        need = self._precedence > own
        old, self._precedence = self._precedence, TEST
        if need:
            self.write("(")
        inside()
        if need:
            self.write(")")
        self._precedence = old

    def elements(self, items: Sequence[Any]) -> None:
        _interleave(lambda: self.write(", "), lambda e: self.at(TEST, e), items)

    def bare(self, node: Any) -> None:
        """A tuple without its parentheses, as assignments and returns take it."""
        if isinstance(node, ast.Tuple) and node.elts and not any(isinstance(e, ast.Starred) for e in node.elts):
            self.elements(node.elts)
            if len(node.elts) == 1:
                self.write(",")
        else:
            self.at(TEST, node)

    # ------------------------------------------------------------ statements

    def _Comment(self, t: Comment) -> None:
        for line in t.text.splitlines() or [""]:
            self.fill(f"# {line}".rstrip())

    def _body(self, stmts: Sequence[Any]) -> None:
        self.enter()
        self.dispatch(list(stmts))
        if all(isinstance(s, Comment) for s in stmts):
            self.fill("pass")
        self.leave()

    def _Assign(self, t: Any) -> None:
        self.fill()
        for target in t.targets:
            self.bare(target)
            self.write(" = ")
        self.bare(t.value)

    def _AugAssign(self, t: Any) -> None:
        self.fill()
        self.dispatch(t.target)
        self.write(f" {self.binop[type(t.op).__name__]}= ")
        self.at(TEST, t.value)

    def _Return(self, t: Any) -> None:
        self.fill("return")
        if t.value is not None:
            self.write(" ")
            self.bare(t.value)

    def _For(self, t: Any) -> None:
        self.fill("for ")
        self.bare(t.target)
        self.write(" in ")
        self.bare(t.iter)
        self._body(t.body)
        if t.orelse:
            self.fill("else")
            self._body(t.orelse)

    def _While(self, t: Any) -> None:
        self.fill("while ")
        self.at(TEST, t.test)
        self._body(t.body)
        if t.orelse:
            self.fill("else")
            self._body(t.orelse)

    def _If(self, t: Any) -> None:
        word = "if "
        while True:
            self.fill(word)
            self.at(TEST, t.test)
            self._body(t.body)
            if len(t.orelse) != 1 or not isinstance(t.orelse[0], ast.If):
                break
            word, t = "elif ", t.orelse[0]
        if t.orelse:
            self.fill("else")
            self._body(t.orelse)

    def _FunctionDef(self, t: Any) -> None:
        self.write("\n")
        for d in t.decorator_list:
            self.fill("@")
            self.dispatch(d)
        self.fill(f"def {t.name}(")
        self.dispatch(t.args)
        self.write(")")
        if t.returns is not None:
            self.write(" -> ")
            self.dispatch(t.returns)
        self._body(t.body)

    def _arguments(self, t: Any) -> None:
        named = [*t.posonlyargs, *t.args]
        defaults = [None] * (len(named) - len(t.defaults)) + list(t.defaults)
        first = True

        def sep() -> None:
            nonlocal first
            if not first:
                self.write(", ")
            first = False

        def one(a: Any, default: Any) -> None:
            sep()
            self.dispatch(a)
            if default is not None:
                self.write(" = " if a.annotation is not None else "=")
                self.at(TEST, default)

        for k, (a, d) in enumerate(zip(named, defaults, strict=True), 1):
            one(a, d)
            if k == len(t.posonlyargs):
                sep()
                self.write("/")
        if t.vararg or t.kwonlyargs:
            sep()
            self.write("*")
            if t.vararg:
                self.dispatch(t.vararg)
        for a, d in zip(t.kwonlyargs, t.kw_defaults, strict=True):
            one(a, d)
        if t.kwarg:
            sep()
            self.write("**")
            self.dispatch(t.kwarg)

    # ------------------------------------------------------------ expressions

    def _Constant(self, t: Any) -> None:
        v = t.value
        if v is Ellipsis:
            self.write("...")
        elif isinstance(v, float) and v != v:
            self.write(f"({INFSTR} - {INFSTR})")
        elif isinstance(v, int | float) and not isinstance(v, bool) and str(v).startswith("-"):
            self.paren(FACTOR, lambda: self._number(v))
        elif isinstance(v, int | float) and not isinstance(v, bool):
            self._number(v)
        else:
            self.write(repr(v))

    def _number(self, v: Any) -> None:
        self.write(repr(v).replace("inf", INFSTR))

    def _UnaryOp(self, t: Any) -> None:
        op = type(t.op).__name__
        own = NOT if op == "Not" else FACTOR

        def inside() -> None:
            self.write("not " if op == "Not" else self.unop[op])
            self.at(own, t.operand)

        self.paren(own, inside)

    def _BinOp(self, t: Any) -> None:
        op = type(t.op).__name__
        own = BINARY[op]

        def inside() -> None:
            # a power binds its right side like a unary sign does: a ** -b
            self.at(own + 1 if op == "Pow" else own, t.left)
            self.write(f" {self.binop[op]} ")
            self.at(FACTOR if op == "Pow" else own + 1, t.right)

        self.paren(own, inside)

    def _Compare(self, t: Any) -> None:
        def inside() -> None:
            self.at(CMP + 1, t.left)
            for o, e in zip(t.ops, t.comparators, strict=True):
                self.write(f" {self.cmpops[type(o).__name__]} ")
                self.at(CMP + 1, e)

        self.paren(CMP, inside)

    def _BoolOp(self, t: Any) -> None:
        own, word = (AND, " and ") if isinstance(t.op, ast.And) else (OR, " or ")
        self.paren(own, lambda: _interleave(lambda: self.write(word), lambda e: self.at(own + 1, e), t.values))

    def _IfExp(self, t: Any) -> None:
        def inside() -> None:
            self.at(TEST + 1, t.body)
            self.write(" if ")
            self.at(TEST + 1, t.test)
            self.write(" else ")
            self.at(TEST, t.orelse)

        self.paren(TEST, inside)

    def _Lambda(self, t: Any) -> None:
        a = t.args

        def inside() -> None:
            self.write("lambda " if a.posonlyargs or a.args or a.vararg or a.kwonlyargs or a.kwarg else "lambda")
            self.dispatch(a)
            self.write(": ")
            self.at(TEST, t.body)

        self.paren(TEST, inside)

    def _Attribute(self, t: Any) -> None:
        self.at(ATOM, t.value)
        if isinstance(t.value, ast.Constant) and isinstance(t.value.value, int):
            self.write(" ")
        self.write(f".{t.attr}")

    def _Tuple(self, t: Any) -> None:
        self.write("(")
        self.elements(t.elts)
        self.write(",)" if len(t.elts) == 1 else ")")

    def _List(self, t: Any) -> None:
        self.write("[")
        self.elements(t.elts)
        self.write("]")

    def _Subscript(self, t: Any) -> None:
        self.at(ATOM, t.value)
        self.write("[")
        self.bare(t.slice)
        self.write("]")

    def _Slice(self, t: Any) -> None:
        if t.lower is not None:
            self.at(TEST, t.lower)
        self.write(":")
        if t.upper is not None:
            self.at(TEST, t.upper)
        if t.step is not None:
            self.write(":")
            self.at(TEST, t.step)

    def _Call(self, t: Any) -> None:
        self.at(ATOM, t.func)
        self.write("(")
        self.elements([*t.args, *t.keywords])
        self.write(")")

    def _keyword(self, t: Any) -> None:
        self.write("**" if t.arg is None else f"{t.arg}=")
        self.at(TEST, t.value)

    def _Starred(self, t: Any) -> None:
        self.write("*")
        self.at(BOR, t.value)
