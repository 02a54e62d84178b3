"""What is added to the next element is handed on: the same sums, for any length, direction, distance and number of chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import adc
from tests.kernel_run import everywhere

RNG = np.random.default_rng(8)


def fluxes(u, count):
    """The inner loop's length is known when it begins only."""
    total = 0.0
    for t in range(count):
        d = np.zeros(len(u) + 1)
        for i in range(len(u) - t):
            f = np.sin(u[i]) * u[i]
            d[i] -= f
            d[i + 1] += 2.0 * f
        total += np.sum(d * d * np.arange(len(d)))
    return total


def downwards(u, count):
    total = 0.0
    for t in range(count):
        d = np.zeros(len(u) + 3)
        for i in range(len(u) - 1 - t, -1, -1):
            d[i] += u[i] * u[i]
            d[i + 2] -= np.cos(u[i])
            d[i + 3] += u[i]
        total += np.sum(d * d * np.arange(len(d)))
    return total


def tree(p, n):
    v = np.empty(n + 1)
    for i in range(n + 1):
        v[i] = max(p[0] - i, 0.0) + p[1] * i
    for t in range(n - 1, -1, -1):
        for i in range(t + 1):
            v[i] = max(p[2] * (p[1] * v[i + 1] + (1.0 - p[1]) * v[i]), p[0] - i)
    return v[0]


def changed_between(u, count):
    total = 0.0
    for t in range(count):
        d = np.zeros(len(u) + 2)
        for i in range(len(u) - t):
            f = u[i] * u[i]
            d[i + 1] += f
            f = f * u[i] - 1.0
            d[i] += f
            f = np.exp(f)
            d[i + 1] -= f
        total += np.sum(d * d)
    return total


def rows(u, count):
    """The neighbour is in the next row: the inner loop goes down a column."""
    n, m = u.shape
    total = 0.0
    for t in range(count):
        d = np.zeros((n + 1, m))
        for j in range(m):
            for i in range(n - t):
                d[i, j] += u[i, j]
                d[i + 1, j] -= u[i, j] * u[i, j]
        total += np.sum(d**3)
    return total


def two_arrays(u, count):
    total = 0.0
    for t in range(count):
        d, e = np.zeros(len(u) + 1), np.zeros(len(u) + 2)
        for i in range(len(u) - t):
            d[i] += u[i]
            e[i] -= u[i]
            d[i + 1] += u[i] ** 3
            e[i + 2] += u[i] ** 2
        total += np.sum(d * d) + np.sum(e**3)
    return total


@pytest.mark.parametrize("n", [0, 1, 2, 5, 9])
@pytest.mark.parametrize("f", [fluxes, downwards, changed_between, two_arrays])
def test_lines(f, n):
    u = RNG.random(n)
    count = min(n, 3)
    first = everywhere(adc.value_and_grad(f), (u, count), f.__name__, None, 1e-11, ("small", "serial", "shared"))
    np.testing.assert_allclose(first[0], f(u, count), rtol=1e-11)


@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (3, 5)])
def test_rows(shape):
    everywhere(adc.value_and_grad(rows), (RNG.random(shape), 2 if shape[0] > 1 else 1), "rows", None, 1e-11, ("small", "serial", "shared"))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_trees(n):
    everywhere(adc.value_and_grad(tree), (np.array([3.3, 0.4, 0.9]), n), "tree", None, 1e-11, ("serial", "shared"))


def test_an_element_is_written_once():
    source = adc.value_and_grad(tree).kernel_source(np.array([3.3, 0.4, 0.9]), 50)
    assert "+ carry\n" in source and "] += carry\n" in source
    assert "carry" in adc.value_and_grad(tree).kernel_source(np.array([3.3, 0.4, 0.9], np.float32), 50)


def test_what_is_read_in_the_loop_is_left():
    """The sum that an iteration reads has what the one before added."""

    def chain(u, count):
        total = 0.0
        for t in range(count):
            d = np.zeros(len(u) + 1)
            for i in range(len(u) - t):
                d[i] += u[i]
                d[i + 1] += np.sin(d[i])
            total += np.sum(d * d)
        return total

    u = RNG.random(9)
    assert "carry" not in adc.jit(chain).kernel_source(u, 3)
    everywhere(adc.value_and_grad(chain), (u, 3), "chain", None, 1e-11, ("serial", "shared"))


def test_places_that_the_data_say_are_left():
    def spread(u, at, count):
        total = 0.0
        for t in range(count):
            d = np.zeros(12)
            for i in range(len(u) - t):
                d[at[i]] += u[i]
                d[at[i] + 1] += u[i] ** 2
            total += np.sum(d**3)
        return total

    u, at = RNG.random(9), RNG.integers(0, 11, 9)
    everywhere(adc.value_and_grad(spread), (u, at, 3), "spread", None, 1e-11, ("serial", "shared"))
    np.testing.assert_allclose(adc.value_and_grad(spread)(u, at, 3)[0], spread(u, at, 3))


def test_places_that_move_by_what_the_loop_reads_are_left():
    """`i + k` with another `k` in every turn: the next element is not that of the next turn."""

    def jumps(u, at, count):
        total = 0.0
        for t in range(count):
            d = np.zeros(40)
            for i in range(len(u) - t):
                k = at[i]
                d[i + k] += u[i]
                d[i + k + 1] += u[i] ** 2
            total += np.sum(d**3)
        return total

    def counted(u, at, count):
        total = 0.0
        for t in range(count):
            d, where = np.zeros(40), at.copy()
            for i in range(len(u) - t):
                where[0] = where[0] + at[i] % 2
                d[i + where[0]] += u[i]
                d[i + where[0] + 1] += u[i] ** 2
            total += np.sum(d**3)
        return total

    u, at = RNG.random(9), RNG.integers(0, 9, 9)
    for f in (jumps, counted):
        assert "carry" not in adc.jit(f).kernel_source(u, at, 3)
        first = everywhere(adc.value_and_grad(f), (u, at, 3), f.__name__, None, 1e-11, ("small", "serial", "shared"))
        np.testing.assert_allclose(first[0], f(u, at, 3), rtol=1e-11)


def test_a_long_loop_in_chunks():
    """Large enough for several workers; the same bits for any number of them."""
    u = RNG.random(60_000)
    value, bar = adc.value_and_grad(fluxes)(u, 2)
    np.testing.assert_allclose(value, fluxes(u, 2), rtol=1e-10)
    np.testing.assert_allclose(bar, adc.grad(fluxes, target="numpy")(u, 2), rtol=1e-9)
    before = adc.get_num_threads()
    try:
        adc.set_num_threads(1)
        np.testing.assert_array_equal(adc.grad(fluxes)(u, 2), bar)
    finally:
        adc.set_num_threads(before)


TEXT = """
import numpy as np
def f(u, w, count):
    total = 0.0
    for t in range(count):
        d = np.zeros(len(u) + 5)
        for i in range({span}):
{body}
        total += np.sum(d * d * w[: len(d)])
    return total
"""


@st.composite
def spreading(draw):
    span = draw(st.sampled_from(["len(u) - t", "t + 1", "len(u) - t - 1, -1, -1", "min(t, len(u))"]))
    lines = []
    for _ in range(draw(st.integers(2, 4))):
        to = draw(st.sampled_from(["i", "i + 1", "i + 2", "i + 4", "2 * i", "0", "len(u) - i", "(i + k) % 5", "(i + k) % 5 + 1"]))
        op = draw(st.sampled_from(["+=", "-="]))
        what = draw(st.sampled_from(["u[i]", "u[i] * u[i]", "np.sin(u[i]) * t", "w[i]", "1.0", "u[i] * s"]))
        lines.append(f"            d[{to if to != '2 * i' else 'i // 2'}] {op} {what}")
        if draw(st.booleans()):
            lines.append(f"            s = {draw(st.sampled_from(['u[i] + 1.0', 'np.cos(u[i])', '2.0 * w[i]']))}")
    return TEXT.format(span=span, body="\n".join(["            s, k = u[i], i * i % 3", *lines]))


@given(spreading(), st.integers(0, 9))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_loops(tmp_path_factory, text, n):
    path = tmp_path_factory.mktemp("spreading") / "spreading.py"
    path.write_text(text)
    scope: dict = {}
    exec(compile(text, str(path), "exec"), scope)
    f, u, w = scope["f"], RNG.random(n), RNG.random(n + 5)
    first = everywhere(adc.value_and_grad(f), (u, w, min(n, 4)), text, None, 1e-10, ("small", "serial", "shared"))
    np.testing.assert_allclose(first[0], f(u, w, min(n, 4)), rtol=1e-10, err_msg=text)
