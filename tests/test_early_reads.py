"""Loops that overwrite what they have read: the reverse sweep reads the array from before."""

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

RNG = np.random.default_rng(31)
LINE = RNG.random(9) + 0.2


def american(p, n):
    """A binomial tree for an American put, one array for all levels."""
    sigma, strike = p[0], p[1]
    up = np.exp(sigma / np.sqrt(n))
    q = (1.0 - 1.0 / up) / (up - 1.0 / up)
    v = np.empty(n + 1)
    for i in range(n + 1):
        v[i] = max(strike - up ** (2 * i - n), 0.0)
    for t in range(n - 1, -1, -1):
        for i in range(t + 1):
            v[i] = max(0.99 * (q * v[i + 1] + (1 - q) * v[i]), strike - up ** (2 * i - t))
    return v[0]


def knapsack(values, k):
    """From the end, so that each thing is taken once; with a soft maximum, which needs both."""
    best = np.zeros(12)
    for item in range(values.shape[0]):
        for w in range(11, 1, -1):
            a = best[w]
            b = best[w - 2] + values[item]
            best[w] = (a * a + b * b) / (a + b + k)
    return np.sum(best * best)


def squares(u, steps):
    u = u.copy()
    for _ in range(steps):
        for i in range(u.shape[0]):
            u[i] = 0.5 * u[i] * u[i] + 0.1
    return np.sum(u)


def plane(u, steps):
    """Reads to the right and below, which come later."""
    n, m = u.shape
    u = u.copy()
    for _ in range(steps):
        for i in range(n - 1):
            for j in range(m - 1):
                u[i, j] = 0.4 * u[i, j] * u[i + 1, j] + 0.3 * u[i, j + 1] * u[i + 1, j + 1]
    return np.sum(u * u)


def behind(u, steps):
    """Reads what the iteration before has written."""
    u = u.copy()
    for _ in range(steps):
        for i in range(1, u.shape[0]):
            u[i] = 0.5 * u[i] * u[i - 1] + 0.2
    return np.sum(u * u)


def both(u, steps):
    u = u.copy()
    for _ in range(steps):
        for i in range(1, u.shape[0] - 1):
            u[i] = 0.5 * u[i - 1] * u[i + 1]
    return np.sum(u * u)


def after_the_write(u, steps):
    u = u.copy()
    for _ in range(steps):
        for i in range(u.shape[0] - 1):
            u[i] = u[i] * u[i + 1]
            u[i] = u[i] * u[i] + 0.1
    return np.sum(u * u)


def conditional(u, w, steps):
    u = u.copy()
    for _ in range(steps):
        for i in range(u.shape[0] - 1):
            if w[i] > 0.6:
                u[i] = u[i] * u[i + 1]
            elif u[i + 1] > 0.5:
                u[i] = np.sin(u[i + 1])
    return np.sum(u * u)


def even_and_odd(u, steps):
    """Red and black: each colour reads the other only."""
    n = u.shape[0]
    u = u.copy()
    for _ in range(steps):
        for k in range(n // 2 - 1):
            u[2 * k + 1] = u[2 * k] * u[2 * k + 2]
        for k in range(1, n // 2):
            u[2 * k] = 0.5 * u[2 * k - 1] * u[2 * k + 1]
    return np.sum(u * u)


def one_place(u, steps):
    """Every iteration writes where the next one reads."""
    u = u.copy()
    for _ in range(steps):
        for i in range(u.shape[0]):
            u[0] = u[0] * u[i] + 0.1
    return np.sum(u * u)


def shrinking(u, v, steps):
    """A state whose written part has a size that is computed in the step: the rest is carried over once that is known."""
    u, v = u.copy(), u.copy()
    for t in range(steps):
        for i in range(max(u.shape[0] - 1 - 2 * t, 0)):
            v[i] = u[i] * u[i + 1]
        u, v = v, u
    return np.sum(u * u)


CASES = {
    "american": (american, (np.array([0.4, 1.1]), 7), 0),
    "knapsack": (knapsack, (np.array([0.5, 0.7, 0.3]), 0.2), (0, 1)),
    "squares": (squares, (LINE, 3), 0),
    "plane": (plane, (RNG.random((4, 5)), 3), 0),
    "behind": (behind, (LINE, 3), 0),
    "both": (both, (LINE, 3), 0),
    "after_the_write": (after_the_write, (LINE, 2), 0),
    "conditional": (conditional, (LINE, RNG.random(9), 3), (0, 1)),
    "even_and_odd": (even_and_odd, (RNG.random(10), 2), 0),
    "one_place": (one_place, (0.5 * LINE, 2), 0),
    "shrinking": (shrinking, (LINE, LINE, 3), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    agree(*CASES[name])


@pytest.mark.parametrize("name", ("american", "squares"))
def test_nothing_runs_twice(name):
    """The forward loop's statement stands once in the forward part, and the tape has the states alone."""
    f, args, argnums = CASES[name]
    text = adc.value_and_grad(f, argnums=argnums).kernel_source(*args)
    head = re.search(r"^def \w+_value_and_grad\((.*)\):", text, re.M)
    assert head is not None
    assert len([w for w in head[1].split(", ") if "saved" in w]) == 1, head[1]


def test_what_was_written_is_read_as_it_is():
    """Of loops that read what they have written nothing changes, and a read that is only added up needs no array from before."""

    def added(u, w, steps):
        u = u.copy()
        for _ in range(steps):
            for i in range(u.shape[0]):
                u[i] = u[i] - 0.1 * w[i]
        return np.sum(u * u)

    agree(added, (LINE, LINE, 3), 0)
    text = adc.value_and_grad(added).source(LINE, LINE, 3)
    assert text.count(".copy()") <= 2


# ---------------------------------------------------------------- random loops

READS = ("u[{i}]", "u[{i} + 1]", "u[{i} - 1]", "u[{i} + 2]", "u[0]", "u[n - 1]", "w[{i}]", "u[n - 1 - {i}]")
LOOPS = ("range(2, n - 2)", "range(n - 3, 1, -1)", "range(2, n - 2, 2)")


@st.composite
def sweeps(draw: Any) -> str:
    lines = ["def f(u, w, steps):", "    n = u.shape[0]", "    u = u.copy()", "    for _ in range(steps):"]
    for _ in range(draw(st.integers(1, 2))):
        lines.append(f"        for i in {draw(st.sampled_from(LOOPS))}:")
        for _ in range(draw(st.integers(1, 2))):
            a, b = draw(st.sampled_from(READS)), draw(st.sampled_from(READS))
            to = draw(st.sampled_from(("u[i]", "u[i]", "u[i]", "u[i + 1]", "u[n - 1 - i]", "w[i]")))
            op = draw(st.sampled_from(("=", "=", "+=", "*=")))
            line = f"{to} {op} 0.6 * {a.format(i='i')} * {b.format(i='i')} + 0.1"
            if draw(st.integers(0, 3)) == 0:
                line = f"if {draw(st.sampled_from(READS)).format(i='i')} > 0.4: {line}"
            lines.append("            " + line)
    lines.append("    return np.sum(u * u) + np.sum(w)")
    return "\n".join(["import numpy as np", "", "", *[line.replace("def f(u, w, steps):", "def f(u, w, steps):\n    w = w.copy()") for line in lines]]) + "\n"


def check_text(source: str, args: tuple[Any, ...], directions: tuple[Any, Any]) -> None:
    """The value as Python has it, both targets, and differences along one direction in the first two arguments."""
    f = programs.load(source)
    expected = f(*args)
    (value, grads), (again, plain) = (adc.value_and_grad(f, argnums=(0, 1), target=t)(*args) for t in ("cpu", "numpy"))
    assert value == pytest.approx(expected, rel=1e-11), source
    assert again == pytest.approx(expected, rel=1e-11), source
    for a, b in zip(grads, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=source)
    h = 1e-6
    up, down = (f(*(x + s * h * d for x, d in zip(args[:2], directions, strict=True)), *args[2:]) for s in (1, -1))
    assert sum(float(np.sum(g * d)) for g, d in zip(grads, directions, strict=True)) == pytest.approx((up - down) / (2 * h), rel=2e-5, abs=1e-7), source


def check_sweep(source: str, n: int) -> None:
    check_text(source, (np.linspace(0.2, 0.9, n), np.linspace(0.8, 0.3, n), 2), (np.cos(np.arange(n)), np.sin(np.arange(n) + 1.0)))


@given(sweeps(), st.sampled_from((6, 9)))
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # a failing text is short, and compiling it again is not
def test_random_sweeps(source: str, n: int) -> None:
    check_sweep(source, n)
