"""Reading what adc makes (source, IR, loops, costs), signatures, and the gradient checker."""

from __future__ import annotations

import math

import numpy as np
import pytest

import adc
from adc.api.signature import annotated, parse_signature
from adc.testing import check_grad

X = np.array([0.3, -0.7, 1.1])


def close(a, b, rtol=1e-12):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


def of_dict(p, x):
    return np.sum((p["w"] * x + p["b"]) ** 2)


def with_aux(x, y):
    z = x * y
    return np.sum(z**2), {"z": z, "n": len(x)}


def smooth(x):
    return np.sum(np.sin(x) * x) + x[0] * x[1] ** 2


def cubic(x):
    return x**3


# ---------------------------------------------------------------- reading


def logistic(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def powers(x, n):
    for _ in range(n):
        x = np.sin(x) * x
    return x


def newton(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


def test_source_runs_alone():
    text = adc.grad(logistic).source(*parse_signature("f8[d], f8[n, d], f8[n]"))
    scope: dict = {}
    exec(text, scope)
    rng = np.random.default_rng(0)
    args = rng.normal(size=3), rng.normal(size=(5, 3)), np.ones(5)
    close(scope["logistic_grad"](*args), adc.grad(logistic)(*args))
    imported = {line.split()[1] for line in text.splitlines() if line.startswith(("import", "from"))}
    assert imported <= {"numpy", "scipy"}


def test_reading():
    f = adc.grad(logistic)
    args = parse_signature("f8[d], f8[n, d], f8[n]")
    assert "logistic_grad" in f.source(*args)
    assert "logaddexp" in f.ir("stage", *args)
    assert f.ir("apply", *args) != f.ir("optimize", *args)
    assert "for " in f.kernel_source(*args)
    with pytest.raises(adc.UnsupportedError, match="no IR"):
        f.ir("nonsense", *args)
    assert "adc.grad of logistic" in repr(f)
    assert "<pre" in f._repr_html_()


def test_source_of_the_last_call():
    f = adc.grad(lambda x, y: np.sum(x * y**2))
    f(X, X)
    assert "y ** 2" in f.source()


def test_explain():
    e = adc.grad(powers).explain(0.5, 100)
    assert e.bytes.number is not None and e.bytes.number <= 2 * 8 * 100
    assert e.loops[0].trips.number == 100
    assert e.primal_operations.number == 200
    assert 2 < e.ratio < 5
    assert "line" in str(e) and "operations" in str(e)
    assert e.as_dict()["bytes"]["number"] == e.bytes.number


def test_explain_a_while_loop():
    e = adc.grad(newton).explain(2.0)
    trips = 0
    x = 2.0
    while abs(x * x - 2.0) > 1e-12:
        x, trips = 0.5 * (x + 2.0 / x), trips + 1
    assert e.loops[0].trips.number == trips
    assert e.ratio is not None


def test_explain_without_values():
    e = adc.grad(logistic).explain(*parse_signature("f8[d], f8[n, d], f8[n]"))
    assert e.bytes.number == 0 and e.ratio is None
    assert "d*n" in str(e)
    e = adc.grad(powers).explain(*parse_signature("float, int"))
    assert e.bytes.number is None and "bytes" in str(e)


def test_explain_counts_products():
    e = adc.jit(lambda A, B: np.sum(A @ B)).explain(np.ones((2, 3)), np.ones((3, 4)))
    assert e.operations.number == 2 * 2 * 3 * 4 + 8


# ---------------------------------------------------------------- signatures


@pytest.mark.parametrize(
    "text, want",
    [
        ("f8[d], f8[n, d], f8[n]", "f8[d] f8[n, d] f8[n]"),
        ("float, int, bool", "f8* i8* b1"),
        ("float32[3], i4[n+1, 2*n], bool_[n]", "f4[3] i4[n + 1, 2*n] b1[n]"),
        ('Float64[np.ndarray, "n d"], Int[np.ndarray, ""]', "f8[n, d] i8"),
        ("f8[_, _]", "f8[n, n]"),
    ],
)
def test_signatures(text, want):
    assert " ".join(map(str, parse_signature(text))) == want


def test_signature_containers():
    (p, steps), q = parse_signature("({'w': f8[n], 'b': [f8]}, 10), 'name'")
    assert str(p["w"]) == "f8[n]" and str(p["b"][0]) == "f8" and steps == 10 and q == "name"
    assert len(parse_signature("(f8, f8)")) == 1
    assert len(parse_signature("(f8, f8), f8")) == 2
    a, b = parse_signature("f8[_], f8[_]")
    assert a.dims != b.dims
    a, b = parse_signature("f8[n], f8[n]")
    assert a.dims == b.dims


@pytest.mark.parametrize(
    "text, message",
    [
        ("g8[d]", "g8 is not a type"),
        ("f8[d, f8", "cannot be read"),
        ("f8[n / 2]", "n / 2 is not a size"),
        ("f8[n], sin(x)", r"sin\(x\) is neither"),
        ("", "empty"),
        ('Float64[np.ndarray, "*batch d"]', "leaves the rank"),
        ('Float64[np.ndarray, "n("]', "not a size"),
    ],
)
def test_signature_errors(text, message):
    with pytest.raises(adc.UnsupportedError, match=message):
        parse_signature(text)


def test_annotations():
    def f(w: "f8[d]", X: 'Float64[np.ndarray, "n d"]', k: int, t: float, s: np.float32, note="x"):
        return w

    assert [str(a) for a in annotated(f)] == ["f8[d]", "f8[n, d]", "i8*", "f8*", "f4"]

    def g(w, x: "f8[n]"):
        return w

    with pytest.raises(adc.UnsupportedError, match="types of w"):
        annotated(g)
    with pytest.raises(adc.UnsupportedError, match="does not say"):
        annotated(_with_annotation(list))
    with pytest.raises(adc.UnsupportedError, match="no arguments"):
        annotated(lambda: 1.0)

    class Jaxtyped:  # what jaxtyping makes of Float64[np.ndarray, "n d"]
        dim_str = "n d"
        dtypes = ("float64",)

    assert str(annotated(_with_annotation(Jaxtyped))[0]) == "f8[n, d]"

    def loss(w: "f8[n]", x: "f8[n]"):
        return np.sum(w * x)

    assert "return" in adc.grad(loss).source()


def _with_annotation(a):
    def f(x):
        return x

    f.__annotations__ = {"x": a}
    return f


# ---------------------------------------------------------------- the checker


def test_check_grad():
    report = check_grad(of_dict, {"w": X, "b": 0.5}, np.ones(3), target="numpy")
    assert report and [r.name for r in report.rows] == ["p['b']", "p['w']", "x"]
    assert "ok" in str(report) and report.as_dict()["ok"]
    assert check_grad(with_aux, X, X, has_aux=True, argnums=0, target="numpy")
    assert check_grad(adc.grad(smooth), X, target="numpy")
    assert check_grad(smooth, X.astype("f4"), target="numpy")
    assert len(check_grad(smooth, np.linspace(0, 1, 300), target="numpy", limit=10).rows) == 1
    with pytest.raises(adc.UnsupportedError, match="no float argument"):
        check_grad(cubic, 3)


@adc.custom_vjp
def wrong(x):
    return x * x


wrong.defvjp(lambda x: (x * x, x), lambda x, bar: (bar * x,))


def uses_wrong(x):
    return np.sum(wrong(x))


def test_check_grad_sees_mistakes():
    report = check_grad(uses_wrong, X, target="numpy")
    assert not report and not report.rows[0].ok
    assert "FAIL" in str(report)
    assert math.isclose(report.rows[0].error, 0.5, rel_tol=1e-6)
