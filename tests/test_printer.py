"""What the printer prints parses back to the same tree, with no parentheses that could go."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adc.emit.printer import Comment, unparse

NAMES = st.sampled_from(["a", "b", "xs"]).map(lambda n: ast.Name(n, ast.Load()))
CONSTANTS = st.one_of(
    st.integers(0, 20),
    st.floats(0, 1e300, allow_nan=False),
    st.sampled_from([True, False, None, "text", "it's", b"raw", ...]),
).map(ast.Constant)
BINARY = [ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult, ast.BitOr, ast.BitAnd, ast.BitXor, ast.LShift, ast.RShift]  # fmt: skip
COMPARE = [ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn]


def _pick(kinds):
    return st.sampled_from(kinds).map(lambda k: k())


def _args(names):
    return ast.arguments([], [ast.arg(n) for n in names], None, [], [], None, [])


def _bigger(e):
    several = st.lists(e, min_size=2, max_size=3)
    slices = st.builds(ast.Slice, st.none() | e, st.none() | e, st.none() | e)
    index = e | slices | st.lists(e | slices, min_size=1, max_size=3).map(lambda xs: ast.Tuple(xs, ast.Load()))
    return st.one_of(
        st.builds(ast.BinOp, e, _pick(BINARY), e),
        st.builds(ast.UnaryOp, _pick([ast.USub, ast.UAdd, ast.Not, ast.Invert]), e),
        st.builds(lambda a, pairs: ast.Compare(a, [o for o, _ in pairs], [x for _, x in pairs]), e, st.lists(st.tuples(_pick(COMPARE), e), min_size=1, max_size=2)),
        st.builds(ast.BoolOp, _pick([ast.And, ast.Or]), several),
        st.builds(ast.IfExp, e, e, e),
        st.builds(lambda v, i: ast.Subscript(v, i, ast.Load()), e, index),
        st.builds(lambda v: ast.Attribute(v, "real", ast.Load()), e),
        st.builds(lambda f, xs, k: ast.Call(f, xs, [ast.keyword("key", k)]), e, st.lists(e, max_size=2), e),
        st.lists(e, max_size=3).map(lambda xs: ast.Tuple(xs, ast.Load())),
        st.lists(e, max_size=3).map(lambda xs: ast.List(xs, ast.Load())),
        st.builds(lambda names, body: ast.Lambda(_args(names), body), st.lists(st.sampled_from("pqr"), unique=True, max_size=2), e),
    )


EXPRESSIONS = st.recursive(NAMES | CONSTANTS, _bigger, max_leaves=12)


def _targets():
    part = st.builds(lambda e: ast.Subscript(ast.Name("a", ast.Load()), e, ast.Store()), EXPRESSIONS)
    return st.sampled_from(["a", "b"]).map(lambda n: ast.Name(n, ast.Store())) | part


def _pair():
    return st.lists(_targets(), min_size=1, max_size=3).map(lambda xs: ast.Tuple(xs, ast.Store()))


SIMPLE = st.one_of(
    st.builds(lambda t, v: ast.Assign([t], v), _targets() | _pair(), EXPRESSIONS),
    st.builds(ast.AugAssign, _targets(), _pick(BINARY), EXPRESSIONS),
    st.builds(ast.Expr, EXPRESSIONS),
    st.builds(ast.Return, st.none() | EXPRESSIONS),
    st.just(ast.Pass()),
    st.builds(lambda e: ast.Raise(e, None), EXPRESSIONS),
    st.builds(Comment, st.sampled_from(["from line 3", "two\nlines", ""])),
)


def _nested(s):
    body = st.lists(s, min_size=1, max_size=3)
    return st.one_of(
        st.builds(ast.If, EXPRESSIONS, body, st.just([]) | body),
        st.builds(lambda t, e, b: ast.For(t, e, b, []), _targets() | _pair(), EXPRESSIONS, body),
        st.builds(lambda e, b: ast.While(e, b, []), EXPRESSIONS, body),
        st.builds(lambda b: ast.FunctionDef("f", _args(["x", "y"]), b, [], None), body),
    )


STATEMENTS = st.recursive(SIMPLE, _nested, max_leaves=6)


def _without_comments(body):
    kept = [s for s in body if not isinstance(s, Comment)]
    for s in kept:
        for field in ("body", "orelse"):
            if isinstance(getattr(s, field, None), list):
                inner = _without_comments(getattr(s, field))
                # a body of comments alone is printed with `pass`
                setattr(s, field, inner or ([ast.Pass()] if getattr(s, field) else []))
    return kept


def _shape(tree) -> str:
    """A tree without what the text does not tell: contexts."""
    return re.sub(r", ctx=\w+\(\)|ctx=\w+\(\)", "", ast.dump(tree)).replace(", type_params=[]", "").replace(", kind=None", "")


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_expressions_come_back(e):
    assert _shape(ast.parse(unparse(ast.Expression(e)).strip(), mode="eval").body) == _shape(e)


@settings(max_examples=300, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=4))
def test_statements_come_back(body):
    text = unparse(ast.Module(body, []))
    again = ast.parse(text)
    assert _shape(again) == _shape(ast.Module(_without_comments(body), []))


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS)
def test_no_parentheses_too_many(e):
    text = unparse(ast.Expression(e)).strip()
    try:
        reference = ast.unparse(ast.parse(text, mode="eval"))
    except RecursionError:
        return
    assert text.count("(") <= reference.count("(") + text.count("[")


@pytest.mark.parametrize(
    "text",
    [
        "a - (b - c) - d",
        "-a ** -b",
        "(-a) ** b",
        "(a, b) if c else d",
        "not (a and (b or c))",
        "a[1:-1, ::2, None]",
        "a[b:c + 1]",
        "(a if b else c) * d",
        "lambda x: x + 1",
        "(1).real",
        "1.5.real",
        "(a < b) == (c < d)",
    ],
)
def test_texts_as_people_write_them(text):
    want = text.replace("(1).real", "1 .real")
    assert unparse(ast.parse(text, mode="eval")).strip() == want


def test_comments_stand_on_lines_of_their_own():
    body = ast.parse("def f(x):\n    return x").body
    body[0].body.insert(0, Comment("line 2: return x"))
    assert unparse(ast.Module(body, [])) == "def f(x):\n    # line 2: return x\n    return x\n"


def test_pairs_without_parentheses():
    text = "def f(a, b):\n    a, b = b, a\n    for i, x in a:\n        return a, b\n"
    assert unparse(ast.parse(text)) == text
