"""The emitted module: as a person would write it, and running as a module of its own with exact types."""

from __future__ import annotations

import linecache

import numpy as np
import pytest

import adc.ops  # noqa: F401
from adc.backend.numpy_backend import load
from adc.emit.numpy_source import numpy_source
from adc.errors import CheckError, Pos
from adc.ir import F4, F8, I8, Function, Sym, Tensor, at, build_for, build_while, literal, scalar, size, trace
from adc.ir.evaluate import evaluate_program
from adc.ops.access import Arg, At, Slice
from adc.ops.core import PRIMITIVES as P
from adc.ops.structure import check, convert_to, size_value
from adc.optimize import optimize

N = Sym("n")
VEC = Tensor(F8, (size(N),))
MAT = Tensor(F8, (size(N), size(Sym("d"))))
F = scalar(F8)
X = np.array([0.5, -1.25, 2.0, 0.75])


def body(fn: Function, name: str = "f") -> str:
    """The text after the imports."""
    text = numpy_source(optimize(fn), name)
    assert text == numpy_source(optimize(fn), name)
    return text[text.index("def ") :]


def agree(fn: Function, *args) -> None:
    made = optimize(fn)
    got = load(made, numpy_source(made, "f"))(*args)
    for g, w, r in zip(got, evaluate_program(fn, args), fn.results, strict=True):
        assert np.asarray(g).dtype == r.type.dtype and type(g) is type(np.asarray(w)[()] if not r.type.rank else w)
        np.testing.assert_allclose(g, w, rtol=1e-6 if r.type.dtype == F4 else 1e-12)


def test_expressions_without_needless_names():
    fn = trace("f", (VEC, F), lambda x, a: (P["sin"](x * (x - x / 2.0)) ** 3,), ("x", "a"))
    assert body(fn) == "def f(x, a):\n    return np.sin(x * (x - x / 2.0)) ** 3\n"
    agree(fn, X, 2.0)


def test_users_names_stay():
    def f(x):
        with at(None, "z"):
            z = P["exp"](x)
        return (z * 2.0,)

    assert body(trace("f", (VEC,), f, ("x",))) == "def f(x):\n    z = np.exp(x)\n    return z * 2.0\n"


def test_sizes_come_from_shapes_when_used():
    fn = trace("f", (MAT,), lambda X: (P["sum"](X, axes=(0, 1)) / convert_to(size_value(size(N)), F8),), ("X",))
    assert body(fn) == "def f(X):\n    n = X.shape[0]\n    return np.sum(X) / n\n"
    agree(fn, np.ones((3, 2)))


def test_carries_keep_their_names_and_sums_accumulate():
    def f(x, a):
        def step(i, y):
            return (P["sin"](y * a) + y,), (y * y,), ()

        (y,), (s,), _ = build_for(size(N), (a, literal(0.0, F8)), step, reduce=("sum",), hints=("y",))
        return y, s + P["sum"](x, axes=(0,))

    text = body(trace("f", (VEC, F), f, ("x", "a")))
    assert "y += np.sin(y * a)" in text and "for i in range(n):" in text
    agree(trace("f", (VEC, F), f), X, 0.3)


def test_values_that_cross_are_assigned_at_once():
    def f(a, b):
        return build_for(3, (a, b), lambda i, p, q: ((q, p), (), ()), hints=("p", "q"))[0]

    text = body(trace("f", (F, F), f, ("a", "b")))
    assert "a, b = b, a" in text
    agree(trace("f", (F, F), f), 1.0, 2.0)


def test_stores():
    def f(x, k):
        y = P["update"](x * 2.0, literal(1.0, F8), k, axes=(At(Arg(0)),))
        y = P["accumulate"](y, P["index"](x, axes=(Slice(0, size(N) - 2),)), axes=(Slice(1, size(N) - 2),))
        return (y,)

    text = body(trace("f", (VEC, scalar(I8)), f, ("x", "k")))
    assert text.splitlines()[2:] == ["    t0[k] = 1.0", "    t0[1:-1] += x[:-2]", "    return t0"]
    agree(trace("f", (VEC, scalar(I8)), f), X, 1)


def test_a_while_loop_says_its_condition():
    def f(a):
        def step(k, x):
            return (k + 1, x - (x * x - a) / (2.0 * x)), (x,)

        (_, x), (s,), _ = build_while((literal(0, I8), a), lambda k, x: P["less"](k, literal(5, I8)), step, hints=("k", "x"))
        return x, P["sum"](s, axes=(0,))

    text = body(trace("f", (F,), f, ("a",)))
    assert "while k < 5:" in text and ".append(x)" in text and "k += 1" in text
    agree(trace("f", (F,), f), 2.0)


def test_comments_name_the_line_once_in_a_row():
    pos = Pos("m.py", 7, 4, 9, "    y = np.sin(x) * 2", "f")

    def f(x):
        with at(pos, "y"):
            y = P["sin"](x)
        with at(pos, "z"):
            z = P["cos"](x)
        return (y * z + z,)

    text = body(trace("f", (VEC,), f, ("x",)))
    assert text.count("# line 7: y = np.sin(x) * 2") == 1


def test_float32_stays_float32():
    f4, v4 = scalar(F4), Tensor(F4, (size(N),))

    def f(a, x):
        half = literal(0.5, F4)
        (s,), _, _ = build_for(size(N), (literal(0.0, F4),), lambda i, s: ((s + half * a,), (), ()))
        w = P["where"](P["less"](a, half), half, literal(2.0, F4))
        return x * half, a / literal(3.0, F4), s, P["sin"](w), P["fill"](half, dims=(3,)), half

    agree(trace("f", (f4, v4), f), np.float32(0.3), X.astype(F4))


def test_python_numbers_do_not_raise():
    def f(x):
        zero = size_value(size(N)) - size_value(size(N))
        bad = literal(1.0, F8) / convert_to(zero, F8)
        (s,), _, _ = build_for(size(N) - 4, (literal(0.0, F8),), lambda i, s: ((s + 1.0,), (), ()))
        return bad, literal(1.0, F8) / s, s ** 2, s ** -1.0, P["floordiv"](size_value(size(N)), zero)

    with np.errstate(all="ignore"):
        agree(trace("f", (VEC,), f), X)


def test_numbers_of_rank_zero():
    def f(x, a):
        c = P["less"](a, literal(1.0, F8))
        return P["where"](c, a, literal(2.0, F8)), P["invert"](c), P["reshape"](P["index"](x, axes=(Slice(0, 1),)), dims=()), c

    agree(trace("f", (VEC, F), f), X, 0.5)


def test_names_are_safe():
    def f(x, lam, np_):
        with at(None, "lambda"):
            y = P["exp"](x) * lam
        with at(None, "x"):
            z = y * y + np_
        return (z * x + y,)

    fn = trace("f", (F, F, F), f, ("x", "lambda", "np"))
    assert body(fn).startswith("def f(x, lambda_, np_):")
    agree(fn, 0.2, 0.3, 0.4)


def test_broadcasts_are_left_to_numpy():
    def f(X, v, a):
        dims = X.type.dims
        wide = P["broadcast"](v, dims=dims, axes=(0,))
        return (X * wide + P["broadcast"](a, dims=dims, axes=()),)

    fn = trace("f", (MAT, VEC, F), f, ("X", "v", "a"))
    assert body(fn) == "def f(X, v, a):\n    return X * v[:, None] + a\n"
    agree(fn, np.ones((4, 2)), X, 3.0)


def test_checks_raise_check_errors_and_the_text_is_shown():
    pos = Pos("m.py", 3, 4, 9, "    assert a > 0", "f")

    def f(a, b):
        check(P["greater"](b, literal(0.0, F8)), code="assertion", message="b first")
        with at(pos):
            check(P["greater"](a, literal(0.0, F8)), code="assertion", message="a must be positive")
        return (a * b,)

    made = optimize(trace("f", (F, F), f, ("a", "b")))
    source = numpy_source(made, "f")
    run = load(made, source)
    assert run(1.0, 2.0) == (2.0,)
    with pytest.raises(CheckError, match="m.py:3:5: a must be positive"):
        run(-1.0, 2.0)
    with pytest.raises(CheckError, match="b first"):
        run(-1.0, -2.0)
    file = run.function.__code__.co_filename
    assert linecache.getline(file, 1) == source.splitlines(True)[0]


def test_only_used_modules_are_imported():
    fn = trace("f", (F,), lambda a: (a * 2.0,), ("a",))
    assert numpy_source(optimize(fn), "f") == "def f(a):\n    return a * 2.0\n"
    text = numpy_source(optimize(trace("f", (VEC,), lambda x: (P["expit"](x),))), "f")
    assert text.startswith("from scipy import special\n\n\ndef f(x0):")
