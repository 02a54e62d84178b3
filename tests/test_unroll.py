"""Small loops inside loops over elements are written out: filters, small vectors, fixed stencils."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import adc
from tests import programs
from tests.test_borders import agree

RNG = np.random.default_rng(37)


def filtered(img, k):
    n, m = img.shape
    out = 0.0
    for i in range(n - 2):
        for j in range(m - 2):
            s = 0.0
            for a in range(3):
                for b in range(3):
                    s += k[a, b] * img[i + a, j + b]
            out += s * s
    return out


def smoothed(x, w, steps):
    n = x.shape[0]
    for _ in range(steps):
        y = x.copy()
        for i in range(2, n - 2):
            s = 0.1
            for d in range(-2, 3):
                s += w[d + 2] * x[i + d]
            y[i] = np.tanh(s)
        x = y
    return np.sum(x * x)


def pairs(x, m):
    n = x.shape[0]
    e = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            r2 = 0.1
            for d in range(3):
                r2 += (x[i, d] - x[j, d]) ** 2
            e -= m[i] * m[j] / np.sqrt(r2)
    return e


def turned(X, R):
    """A small vector for each example."""
    total = 0.0
    for i in range(X.shape[0]):
        y = np.zeros(3)
        for a in range(3):
            for b in range(3):
                y[a] += R[a, b] * X[i, b]
        for a in range(2, -1, -1):
            total = total + y[a] * y[(a + 1) % 3]
    return total


def powers(x, c):
    total = 0.0
    for i in range(x.shape[0]):
        v = 0.0
        for k in range(4):
            v = v * x[i] + c[k]
        total += v * v
    return total


def chosen(x, w):
    total = 0.0
    for i in range(x.shape[0] - 3):
        best = 0.0
        for k in range(4):
            if x[i + k] > 0.3:
                best += w[k] * x[i + k]
        total += best * best
    return total


CASES = {
    "filtered": (filtered, (RNG.random((6, 7)), RNG.random((3, 3))), (0, 1)),
    "smoothed": (smoothed, (RNG.random(9), RNG.random(5), 2), (0, 1)),
    "pairs": (pairs, (RNG.random((5, 3)), RNG.random(5)), (0, 1)),
    "turned": (turned, (RNG.random((6, 3)), RNG.random((3, 3))), (0, 1)),
    "powers": (powers, (RNG.random(7), RNG.random(4)), (0, 1)),
    "chosen": (chosen, (RNG.random(9), RNG.random(4)), (0, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    agree(*CASES[name])


def test_a_filter_is_gathered_with_its_coefficients():
    """The adjoint of a filter is a filter: each element written once, nine coefficients beside nine neighbours."""
    f, args, _ = CASES["filtered"]
    text = adc.value_and_grad(f).kernel_source(*args)
    assert "img_bar_parts" not in text and "_pad[" in text
    assert not re.search(r"for [ab] in range\(3\)", text)
    assert len(re.findall(r"\* \w+_pad\[", text)) == 9


def test_coefficients_have_variables():
    f, args, _ = CASES["filtered"]
    text = adc.value_and_grad(f, argnums=1).kernel_source(*args)
    assert len(set(re.findall(r"^ +(k_bar_\d+) \+= ", text, re.M))) >= 9


def test_what_stays_a_loop():
    """A loop of run-time length, one with many turns, and one of a recurrence that is not inside a loop over elements."""

    def f(x, w):
        total = 0.0
        for i in range(x.shape[0] - w.shape[0]):
            s = 0.0
            for k in range(w.shape[0]):
                s += w[k] * x[i + k]
            total += s * s
        return total

    def g(x):
        total = 0.0
        for i in range(x.shape[0] - 40):
            s = 0.0
            for k in range(40):
                s += x[i + k] * x[i]
            total += s * s
        return total

    def h(u):
        for _ in range(5):
            u = np.sin(u) * u
        return np.sum(u)

    agree(f, (RNG.random(12), RNG.random(3)), (0, 1))
    agree(g, (RNG.random(60),), 0)
    agree(h, (RNG.random(4),), 0)
    assert "for k in range(40)" in adc.jit(g).kernel_source(RNG.random(60))
    assert re.search(r"range\(5\)", adc.jit(h).kernel_source(RNG.random(4)))


def test_the_same_bits_for_any_number_of_threads():
    img, k = RNG.random((150, 160)), RNG.random((3, 3))
    g = adc.value_and_grad(filtered, argnums=(0, 1))
    threads = adc.get_num_threads()
    results: list[Any] = []
    try:
        for n in (1, 2, 3):
            adc.set_num_threads(n)
            results.append(g(img, k))
    finally:
        adc.set_num_threads(threads)
    for value, (a, b) in results[1:]:
        assert value == results[0][0]
        np.testing.assert_array_equal(a, results[0][1][0])
        np.testing.assert_array_equal(b, results[0][1][1])


# ---------------------------------------------------------------- random small loops

TERMS = ("x[i + k]", "x[i - k]", "w[k]", "y[k]", "s", "x[i]", "float(k)", "w[(k + 1) % 3]", "r")
STEPS = ("s += {e}", "s = {e}", "y[k] += {e}", "y[k] = {e}", "r = {e}", "out[i + k] += {e}", "total += {e}", "if x[i] > 0.5: s += {e}", "out[i] = {e}")


@st.composite
def bodies(draw: Any) -> str:
    lines = ["def f(x, w):", "    n = x.shape[0]", "    out = np.zeros(n)", "    total = 0.0"]
    lines += ["    for i in range(2, n - 2):", "        s = 0.2", "        r = x[i]", "        y = np.zeros(3)"]
    for _ in range(draw(st.integers(1, 2))):
        lines.append(f"        for k in range({draw(st.sampled_from(('3', '2', '3', '2, -1, -1', '1, 3')))}):")
        for _ in range(draw(st.integers(1, 3))):
            a, b = draw(st.sampled_from(TERMS)), draw(st.sampled_from(TERMS))
            lines.append("            " + draw(st.sampled_from(STEPS)).format(e=f"0.4 * {a} {draw(st.sampled_from('+-*'))} 0.5 * {b}"))
    lines += ["        total += s * r + y[0] * y[1] + y[2]", "    return total + np.sum(out * out)"]
    return "\n".join(["import numpy as np", "", "", *lines]) + "\n"


def check_body(source: str) -> None:
    f = programs.load(source)
    args = np.linspace(0.2, 0.9, 8), np.array([0.3, 0.9, 0.5])
    expected = f(*args)
    (value, grads), (again, plain) = (adc.value_and_grad(f, argnums=(0, 1), target=t)(*args) for t in ("cpu", "numpy"))
    assert adc.jit(f)(*args) == pytest.approx(expected, rel=1e-11), source
    assert value == pytest.approx(expected, rel=1e-11), source
    assert again == pytest.approx(expected, rel=1e-11), source
    for a, b in zip(grads, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=source)


@given(bodies())
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # a failing text is short, and compiling it again is not
def test_random_bodies(source: str) -> None:
    check_body(source)
