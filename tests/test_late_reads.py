"""Tables that a loop fills, each element once: the reverse sweep reads them, and nothing else is kept."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import adc
from tests.test_borders import agree
from tests.test_early_reads import check_text

RNG = np.random.default_rng(41)
LINE = RNG.random(8) + 0.3
SQUARE = RNG.random((5, 5)) + 4.0 * np.eye(5)


def cholesky(A):
    n = A.shape[0]
    M = A @ A.T
    L = np.zeros((n, n))
    for j in range(n):
        s = M[j, j]
        for k in range(j):
            s -= L[j, k] * L[j, k]
        L[j, j] = np.sqrt(s)
        for i in range(j + 1, n):
            s = M[i, j]
            for k in range(j):
                s -= L[i, k] * L[j, k]
            L[i, j] = s / L[j, j]
    total = 0.0
    for i in range(n):
        total += 2 * np.log(L[i, i]) + L[n - 1, i]
    return total


def in_place(A):
    """Doolittle's factors in the place of the matrix: the rows below are overwritten in every step."""
    n = A.shape[0]
    A = A.copy()
    for k in range(n - 1):
        for i in range(k + 1, n):
            A[i, k] = A[i, k] / A[k, k]
            for j in range(k + 1, n):
                A[i, j] = A[i, j] - A[i, k] * A[k, j]
    return np.sum(A * A)


def substituted(L, b):
    """Forward, then back."""
    n = b.shape[0]
    y = np.zeros(n)
    for i in range(n):
        s = b[i]
        for k in range(i):
            s -= L[i, k] * y[k]
        y[i] = s / L[i, i]
    x = np.zeros(n)
    for i in range(n - 1, -1, -1):
        s = y[i]
        for k in range(i + 1, n):
            s -= L[k, i] * x[k]
        x[i] = s / L[i, i]
    return np.sum(x * x) + np.sum(y)


def alignment(c, gap):
    """Dynamic programming with a soft minimum."""
    n, m = c.shape
    D = np.zeros((n + 1, m + 1))
    for i in range(n):
        D[i + 1, 0] = D[i, 0] + gap
    for j in range(m):
        D[0, j + 1] = D[0, j] + gap
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            a, b, d = D[i - 1, j] + gap, D[i, j - 1] + gap, D[i - 1, j - 1] + c[i - 1, j - 1]
            D[i, j] = -np.log(np.exp(-a) + np.exp(-b) + np.exp(-d))
    return D[n, m]


def trajectory(u, k, steps):
    n = u.shape[0]
    x = np.zeros((steps + 1, n))
    x[0] = u
    for t in range(steps):
        for i in range(1, n - 1):
            x[t + 1, i] = x[t, i] + k * (x[t, i - 1] - 2 * x[t, i] + x[t, i + 1]) * x[t, i]
    return np.sum(x * x)


def recurrence(a):
    n = a.shape[0]
    f = np.zeros(n)
    f[0] = a[0]
    f[1] = a[1] * a[1]
    for i in range(2, n):
        f[i] = np.sin(f[i - 1] * f[i - 2]) + a[i] * f[i // 2]
    return np.sum(f * f)


def backwards(a):
    n = a.shape[0]
    f = np.zeros(n + 1)
    for i in range(n - 1, -1, -1):
        f[i] = np.exp(-f[i + 1]) * a[i] + f[i + 1] * f[n]
    return np.sum(f * f)


def ring(a):
    """Three places that are used again and again."""
    f = np.ones(3)
    for i in range(a.shape[0]):
        f[i % 3] = f[(i + 1) % 3] * a[i] + f[(i + 2) % 3] * f[i % 3]
    return np.sum(f * f)


def written_twice(a):
    n = a.shape[0]
    f = np.zeros(n)
    for i in range(n - 1):
        f[i] = a[i] * a[i]
        f[i + 1] = f[i] * a[i + 1]
    return np.sum(f * f)


def looked_up(a, at):
    """Where it is written the data say."""
    f = np.ones(a.shape[0])
    for i in range(a.shape[0]):
        f[at[i]] = f[at[i]] * a[i] + f[i] * 0.5
    return np.sum(f * f)


def in_a_time_loop(A, b, steps):
    """Factors in every step: one table for each is kept."""
    n = b.shape[0]
    x = b.copy()
    for _ in range(steps):
        y = np.zeros(n)
        for i in range(n):
            s = x[i] * x[i]
            for k in range(i):
                s -= A[i, k] * y[k]
            y[i] = s / A[i, i]
        x = np.sin(y) + 0.1 * x
    return np.sum(x * x)


def largest(a):
    """A comparison needs both sides from one evaluation."""
    n = a.shape[0]
    f = np.zeros(n)
    f[0] = a[0]
    for i in range(1, n):
        row = a * f[i - 1] + 0.1
        f[i] = np.max(row) * 0.5 + np.min(row)
    return np.sum(f)


CASES = {
    "cholesky": (cholesky, (SQUARE,), 0),
    "in_place": (in_place, (SQUARE,), 0),
    "substituted": (substituted, (SQUARE, LINE[:5].copy()), (0, 1)),
    "alignment": (alignment, (RNG.random((4, 5)), 0.4), (0, 1)),
    "trajectory": (trajectory, (LINE, 0.2, 4), (0, 1)),
    "recurrence": (recurrence, (LINE,), 0),
    "backwards": (backwards, (LINE,), 0),
    "ring": (ring, (LINE,), 0),
    "written_twice": (written_twice, (LINE,), 0),
    "looked_up": (looked_up, (LINE, np.array([3, 1, 3, 0, 7, 7, 2, 5])), 0),
    "in_a_time_loop": (in_a_time_loop, (SQUARE, LINE[:5].copy(), 3), (0, 1)),
    "largest": (largest, (LINE,), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    agree(*CASES[name])


@pytest.mark.parametrize("name", ("cholesky", "substituted", "trajectory", "backwards"))
def test_no_tape(name):
    """Neither the table nor a number of it is kept beside it, and no loop runs twice."""
    f, args, argnums = CASES[name]
    text = adc.value_and_grad(f, argnums=argnums).source(*args)
    assert "saved" not in text, text
    loops = adc.jit(f).source(*args).count("for ")
    assert text.count("for ") <= 2 * loops, text


def test_an_element_that_is_written_again_before_it_is_read():
    """`f[i + 1]` is overwritten by the next iteration before that reads it: what was read is what stands there in the end."""
    f, args, _ = CASES["written_twice"]
    assert "saved" not in adc.value_and_grad(f).source(*args)


@pytest.mark.parametrize("name", ("ring", "looked_up"))
def test_what_is_overwritten_is_kept(name):
    f, args, argnums = CASES[name]
    assert "saved" in adc.value_and_grad(f, argnums=argnums).source(*args)


def test_a_table_that_is_changed_afterwards():
    """The reverse sweep reads the table as the loop left it."""

    def f(a):
        n = a.shape[0]
        f = np.zeros(n)
        f[0] = a[0]
        for i in range(1, n):
            f[i] = np.sin(f[i - 1]) * a[i]
        total = np.sum(f * f)
        f *= 2.0
        f[0] = 7.0
        for i in range(n - 1):
            f[i] = f[i] * f[i + 1]
        return total + np.sum(f)

    agree(f, (LINE,), 0)


def test_a_table_of_numbers_that_are_not_differentiated():
    def f(a, w):
        n = a.shape[0]
        weights = np.zeros(n)
        weights[0] = 1.0
        total = 0.0
        for i in range(1, n):
            weights[i] = 0.5 * weights[i - 1] + w[i]
            total += weights[i] * a[i] * a[i] + weights[i - 1] * np.sin(a[i])
        return total

    agree(f, (LINE, LINE[::-1].copy()), 0)
    assert "saved" not in adc.value_and_grad(f).source(LINE, LINE)


def test_tables_under_a_limit_and_in_second_derivatives():
    def f(a):
        n = a.shape[0]
        x = np.zeros((n, 3))
        x[0] = 0.3
        for t in range(n - 1):
            for i in range(3):
                x[t + 1, i] = np.sin(x[t, i]) * a[t] + x[t, (i + 1) % 3] * x[t, i]
        return np.sum(x * x)

    agree(f, (LINE,), 0)
    limited = adc.grad(f, tape_limit=2000)(LINE)
    np.testing.assert_allclose(limited, adc.grad(f)(LINE), rtol=1e-12)
    h = 1e-5
    H = adc.hessian(f)(LINE)
    np.testing.assert_allclose(H, H.T, rtol=1e-9, atol=1e-12)
    for k in range(3):
        e = np.eye(LINE.shape[0])[k] * h
        np.testing.assert_allclose(H[k], (adc.grad(f)(LINE + e) - adc.grad(f)(LINE - e)) / (2 * h), rtol=1e-5, atol=1e-7)


def test_a_loop_that_runs_again_does_not_read_its_own_result():
    """In a time loop: what the inner loop fills is computed again, from what it reads while it fills it."""

    def f(u, w, k, steps):
        n = u.shape[0]
        u = u.copy()
        v = u.copy()
        total = 0.0
        for _ in range(steps):
            v = u.copy()
            for i in range(1, n - 1):
                v[i] = (0.3 * v[i - 1] + 0.5 * w[i + 1]) * u[i]
            u[n - 1] = v[n - 2] * k
        return np.sum(u * u) + np.sum(v) + total

    def g(u, w, steps):
        n = u.shape[0]
        u = u.copy()
        v = u.copy()
        for _ in range(steps):
            v = u.copy()
            for i in range(1, n - 1):
                u[i] = 0.3 * v[i] * 0.5 * u[i - 1]
                v[i] += 0.3 * u[i - 1] - 0.5 * w[i]
            u, v = v, u
        return np.sum(u * u) + np.sum(v)

    agree(f, (LINE, LINE[::-1].copy(), 0.6, 3), (0, 1, 2))
    agree(g, (LINE, LINE[::-1].copy(), 3), (0, 1))


def test_memory_of_a_factor():
    """The tape of a Cholesky factor was a matrix for every column: 64 MB here."""
    A = RNG.random((200, 200)) + 200 * np.eye(200)
    head = re.search(r"^def \w+_value_and_grad\((.*)\):", adc.value_and_grad(cholesky).kernel_source(A), re.M)
    assert head is not None and "saved" not in head[1]
    value, grad = adc.value_and_grad(cholesky)(A)
    L = np.linalg.cholesky(A @ A.T)
    assert value == pytest.approx(np.sum(2 * np.log(np.diag(L))) + np.sum(L[-1]), rel=1e-10)
    assert np.all(np.isfinite(grad))


# ---------------------------------------------------------------- random tables

READS = ("D[i - 1, j]", "D[i, j - 1]", "D[i - 1, j - 1]", "D[i, j]", "D[i - 1, j + 1]", "D[0, j]", "D[i, 0]", "c[i, j]", "D[j, i]", "f[j]", "f[i]")
WRITES = ("D[i, j]", "D[i, j]", "D[i, j]", "D[i - 1, j]", "D[j, i]", "f[j]", "f[i]", "D[i, j - 1]")
OUTER = ("range(1, n)", "range(n - 1, 0, -1)", "range(1, n - 1)")
INNER = ("range(1, n - 1)", "range(1, i)", "range(i, n - 1)", "range(n - 2, 0, -1)")


@st.composite
def tables(draw: Any) -> str:
    lines = ["def f(c, w):", "    n = c.shape[0]", "    D = c * 0.5", "    f = w.copy()"]
    lines.append(f"    for i in {draw(st.sampled_from(OUTER))}:")
    for _ in range(draw(st.integers(1, 2))):
        lines.append(f"        for j in {draw(st.sampled_from(INNER))}:")
        for _ in range(draw(st.integers(1, 2))):
            a, b = draw(st.sampled_from(READS)), draw(st.sampled_from(READS))
            op = draw(st.sampled_from(("=", "=", "=", "+=")))
            line = f"{draw(st.sampled_from(WRITES))} {op} 0.6 * {a} * {b} + 0.1"
            if draw(st.integers(0, 4)) == 0:
                line = f"if c[i, j] > 0.5: {line}"
            lines.append("            " + line)
    lines.append("    return np.sum(D * D) + np.sum(f * f)")
    return "\n".join(["import numpy as np", "", "", *lines]) + "\n"


def check_table(source: str) -> None:
    n = 6
    args = np.cos(np.arange(n * n)).reshape(n, n) * 0.4 + 0.5, np.linspace(0.2, 0.8, n)
    check_text(source, args, (np.sin(np.arange(n * n)).reshape(n, n), np.cos(np.arange(n))))


@given(tables())
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # a failing text is short, and compiling it again is not
def test_random_tables(source: str) -> None:
    check_table(source)
