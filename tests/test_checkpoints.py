"""Loops under `tape_limit`: the same gradients as without one, in the memory that was asked for (docs/design/checkpoints.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import adc
from tests.helpers import TARGETS
from adc.transform.checkpoints import DEEPEST, Tape, least, scheme, shares


def heat(u, k, steps):
    """A nonlinear step on a plate: the conductivity depends on the temperature."""
    for _ in range(steps):
        new = u.copy()
        lap = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * u[1:-1, 1:-1]
        new[1:-1, 1:-1] = u[1:-1, 1:-1] + k * lap / (1.0 + u[1:-1, 1:-1] ** 2)
        u = new
    return np.sum(u * u)


def lorenz(state, p, h, steps):
    """Runge and Kutta's method with parameters; a sum along the way."""
    def slope(s):
        return np.array([p[0] * (s[1] - s[0]), s[0] * (p[1] - s[2]) - s[1], s[0] * s[1] - p[2] * s[2]])

    total = 0.0
    for _ in range(steps):
        k1 = slope(state)
        k2 = slope(state + 0.5 * h * k1)
        k3 = slope(state + 0.5 * h * k2)
        k4 = slope(state + h * k3)
        state = state + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        total += state[0] * state[2]
    return total


def gates(W, U, b, xs, h, c):
    """A recurrence with two states, data read at every step, and results that are collected."""
    n = h.shape[0]
    out = np.zeros(len(xs))
    for t in range(len(xs)):
        z = W @ xs[t] + U @ h + b
        forget, enter = 1.0 / (1.0 + np.exp(-z[:n])), np.tanh(z[n:])
        c = forget * c + (1.0 - forget) * enter
        h = np.tanh(c)
        out[t] = np.sum(h)
    return np.sum(out**2) + np.sum(h)


def swapped(u, v, a, steps):
    """Two buffers that change places, written in part."""
    u, v = u.copy(), v.copy()
    for t in range(steps):
        v[1:-1] = u[1:-1] * (1.0 + a * (u[2:] - u[:-2])) + 0.1 * np.sin(v[1:-1] + t)
        u, v = v, u
    return np.sum(u * v)


def in_place(x, a, steps):
    """Sweeps over one array that is changed where it stands."""
    x = x.copy()
    n = len(x)
    for t in range(steps):
        for i in range(1, n):
            x[i] += a * np.sin(x[i - 1] * x[i]) / (1.0 + t)
        x[0] = np.cos(x[n - 1]) * x[0]
    return np.sum(x**2)


def nested(x, a, steps):
    """A time loop in a time loop."""
    for t in range(steps):
        y = x
        for _ in range(3):
            y = np.sin(a * y + 0.1 * t)
        x = x + 0.5 * y * x
    return np.sum(x**2)


def downwards(x, a, steps):
    """A range that falls, an integer that is handed on, a branch, a maximum."""
    k, top = 1, 0.0
    for i in range(steps - 1, -1, -1):
        k = (3 * k + i) % 7
        if k > 3:
            x = x * np.cos(a * k + i)
        else:
            x = x + np.sin(a * x)
        top = max(top, x[0])
    return np.sum(x**2) + top


def rows(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape)


CASES = {
    "heat": (heat, (rows(0, (5, 6)), 0.1), (0, 1), 240),
    "lorenz": (lorenz, (rows(1, 3), np.array([10.0, 28.0, 2.6]), 0.004), (0, 1, 2), 104),
    "swapped": (swapped, (rows(2, 7), rows(3, 7), 0.2), (0, 1, 2), 112),
    "in_place": (in_place, (rows(4, 5), 0.3), (0, 1), 40),
    "nested": (nested, (rows(5, 4), 0.7), (0, 1), 32),
    "downwards": (downwards, (rows(6, 3), 0.4), (0, 1), 32),
}
COUNTS = (0, 1, 2, 3, 7, 13, 24, 29)


def compare(got: Any, want: Any, exact: bool) -> None:
    for a, b in zip(got, want, strict=True):
        assert np.shape(a) == np.shape(b)
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", TARGETS)
def test_gradients_are_those_without_a_limit(name: str, target: str) -> None:
    f, args, argnums, state = CASES[name]
    plain = adc.grad(f, argnums=argnums, target="numpy")
    for states in (14, 40):
        limited = adc.grad(f, argnums=argnums, target=target, tape_limit=states * state)
        ran = 0
        for n in COUNTS:
            try:
                got = limited(*args, n)
            except adc.TapeError:
                continue
            ran += 1
            compare(got, plain(*args, n), target == "numpy")
        assert ran >= 4
        assert limited.explain(*args, 7).loops[-1].cut is not None
