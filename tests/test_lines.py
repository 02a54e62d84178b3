"""Rows of grids begin on cache lines: the same numbers, nothing outside of the memory that was asked for, and rows where they belong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import adc
from adc.lower import lines
from tests.kernel_run import everywhere

RNG = np.random.default_rng(31)
LONG = lines.SHORT * 8 + 1


def cubic(u, steps):
    for _ in range(steps):
        new = u.copy()
        c = u[1:-1, 1:-1]
        around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        new[1:-1, 1:-1] = c + 0.1 * (around - 4.0 * c) + 0.05 * (c - c * c * c)
        u = new
    return np.sum(u * u)


def upwind(u, steps):
    for _ in range(steps):
        new = u.copy()
        new[2:-1] = u[2:-1] - 0.2 * u[2:-1] * (3.0 * u[2:-1] - 4.0 * u[1:-2] + u[:-3])
        u = new
    return np.sum(u**3)


def smooth(u, steps):
    for _ in range(steps):
        new = u.copy()
        new[1:-1, 1:-1] = 0.2 * (u[1:-1, 1:-1] + u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u = new
    return np.sum(u * u)


def block(u, steps):
    for _ in range(steps):
        new = u.copy()
        c = u[1:-1, 1:-1, 1:-1]
        new[1:-1, 1:-1, 1:-1] = c + 0.1 * np.sin(u[:-2, 1:-1, 1:-1] + u[2:, 1:-1, 1:-1] - u[1:-1, 1:-1, 2:] * u[1:-1, 1:-1, :-2])
        u = new
    return np.sum(u * u)


def ring(u, steps):
    for _ in range(steps):
        u = u + 0.1 * np.tanh(np.roll(u, 1, axis=1) - 2.0 * u + np.roll(u, -1, axis=1)) * np.roll(u, 1, axis=0)
    return np.sum(u * u)


def by_loops(u, steps):
    n, m = u.shape
    old, new = u.copy(), u.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                new[i, j] = old[i, j] + 0.1 * (old[i - 1, j] + old[i + 1, j] + old[i, j - 1] * old[i, j + 1] - 4.0 * old[i, j])
        old, new = new, old
    return np.sum(old * old)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("m", [1, 3, 8, LONG - 1, LONG, LONG + 1, LONG + 6, LONG + 7, LONG + 8, 2 * LONG - 3, 2 * LONG - 2, 2 * LONG - 1, LONG + 31])
@pytest.mark.parametrize("f", [cubic, ring, by_loops, smooth])
def test_rows_of_any_length(f, m, dtype):
    """As plain Python on memory of just the size that is asked for."""
    u = RNG.random((3 if f is ring else 4, m)).astype(dtype)
    everywhere(adc.value_and_grad(f), (u, 2), f.__name__, None, 1e-10 if dtype == "f8" else 1e-5, ("serial", "shared"))


@pytest.mark.parametrize("shape", [(1,), (4,), (65,), (72,)])
def test_lines(shape):
    everywhere(adc.value_and_grad(upwind), (RNG.random(shape), 2), "upwind", None, 1e-10, ("serial",))


@pytest.mark.parametrize("shape", [(3, 3, 3), (3, 4, LONG), (4, 3, LONG + 5), (1, 1, LONG)])
def test_blocks(shape):
    everywhere(adc.value_and_grad(block), (RNG.random(shape), 2), "block", None, 1e-10, ("serial", "shared"))


@given(st.integers(1, 5), st.integers(1, 3 * LONG), st.integers(0, 4), st.sampled_from([cubic, ring, by_loops, smooth]))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_compiled(n, m, steps, f):
    u = RNG.random((n, m))
    value, bar = adc.value_and_grad(f)(u, steps)
    want, want_bar = adc.value_and_grad(f, target="numpy")(u, steps)
    np.testing.assert_allclose(value, want, rtol=1e-11)
    np.testing.assert_allclose(bar, want_bar, rtol=1e-9, atol=1e-11)


def test_what_is_written_stands_first_in_a_line():
    """Where a row begins is a multiple of a line, and the loop over the row writes from there on."""
    for dtype, lanes in (("f8", 8), ("f4", 16)):
        source = adc.value_and_grad(cubic).kernel_source(RNG.random((200, 200)).astype(dtype), 3)
        assert f"+ {lanes - 1}) // {lanes} * {lanes} if u_n1 > {lines.SHORT * lanes} else u_n1" in source
        written = re.findall(r"(?:u_saved|t_pad|t_pad_1)\[[^\]]*stride(?:_1)? \+ j \+ (\d+)\] = (?!0\.0|np\.float32\(0\.0\)|u)", source)
        assert len(written) >= 2 and all(int(k) % lanes == 0 for k in written), source


def test_arrays_that_share_memory_have_each_their_own_first_element():
    """The adjoint of a linear sweep has a rim of zeros around it, and lies where the states lay."""
    source = adc.value_and_grad(smooth).kernel_source(RNG.random((200, 200)), 3)
    written = re.findall(r"u_2\[base(?:_1)? \+ [^\]]*stride(?:_1)? \+ j \+ (\d+)\] = ", source)
    assert len(written) == 2 and all(int(k) % 8 == 0 for k in written), source


def test_rows_of_known_length_need_no_question():
    def fixed(u, steps):
        grid = np.zeros((4, 70))
        grid[1:-1, 1:-1] = u[0]
        return cubic(grid, steps)

    source = adc.value_and_grad(fixed).kernel_source(np.ones(2), 3)
    assert "stride" not in source and "* 72" in source
    np.testing.assert_allclose(adc.grad(fixed)(np.ones(2), 3), adc.grad(fixed, target="numpy")(np.ones(2), 3), rtol=1e-11)


def test_what_has_no_neighbours_stays():
    def f(x, steps):
        y = x.copy()
        for _ in range(steps):
            y = np.sin(y) * y
        return np.sum(y)

    assert "stride" not in adc.value_and_grad(f).kernel_source(np.ones((80, 80)), 3)


def test_an_array_that_is_seen_with_two_shapes_stays():
    """A routine, or another shape, would look for its elements where they are not."""

    def f(u, steps):
        for _ in range(steps):
            new = u.copy()
            new[1:-1, 1:-1] = np.sin(u[1:-1, 1:-1]) + 0.1 * u[1:-1, 2:] * u[1:-1, :-2]
            u = new
        flat = u.reshape(-1)
        total = 0.0
        for k in range(1, len(flat)):
            total += flat[k] * flat[k - 1]
        return total + np.sum(np.linalg.solve(u[:3, :3] + 3.0 * np.eye(3), u[:3, 0]))

    u = RNG.random((4, LONG + 2))
    everywhere(adc.value_and_grad(f), (u, 2), "two shapes", None, 1e-9, ("serial", "shared"))
    np.testing.assert_allclose(adc.grad(f)(u, 3), adc.grad(f, target="numpy")(u, 3), rtol=1e-9, atol=1e-11)
