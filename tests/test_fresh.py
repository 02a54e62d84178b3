"""Products that set their target, instead of adding to zeros written before."""

from __future__ import annotations

import re

import numpy as np
import pytest

import adc

RNG = np.random.default_rng(11)


def test_a_product_alone_sets_its_result():
    f = adc.jit(lambda a, b: a @ b)
    a, b = RNG.normal(size=(40, 30)), RNG.normal(size=(30, 20))
    source = f.kernel_source(a, b)
    main = source[source.index("def lambda") if "def lambda" in source else source.rindex("\ndef ") :]
    assert "= 0.0" not in main
    for m, k, n in ((40, 30, 20), (5, 0, 4), (3, 2, 2), (2, 300, 2), (60, 70, 80)):  # without a sum, by loops, by tiles
        a, b = RNG.normal(size=(m, k)), RNG.normal(size=(k, n))
        for _ in range(2):
            got = f(a, b)
            np.testing.assert_allclose(got, a @ b, rtol=1e-12, atol=1e-13)
            got[:] = np.nan  # its memory may be the next result's


def loss(W, V, c, X):
    h = np.maximum(X @ W + c, 0.0)
    return np.mean((h @ V) ** 2)


def model(rows, d=5, n=6, k=3):
    return RNG.normal(size=(d, n)), RNG.normal(size=(n, k)), RNG.normal(size=n), RNG.normal(size=(rows, d))


def test_totals_are_set_by_the_first_tile():
    g = adc.grad(loss, argnums=(0, 1, 2))
    args = model(50)
    source = g.kernel_source(*args)
    assert "min(1, turn)" in source
    assert "if chunks > 1:" in source  # the totals' own zeros: only where chunks are added up
    assert not re.search(r"h_bar\w*\[[^\]]*\] = 0\.0", source)
    got, want = g(*args), adc.grad(loss, argnums=(0, 1, 2), target="numpy")(*args)
    for x, y in zip(got, want):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 8, 9, 63, 64, 65, 1000, 5000])
def test_any_number_of_rows(rows):
    args = model(rows)
    got = adc.grad(loss, argnums=(0, 1, 2))(*args)
    want = adc.grad(loss, argnums=(0, 1, 2), target="numpy")(*args)
    for _ in range(2):
        for x, y in zip(got, want):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)
            x[:] = np.nan
        got = adc.grad(loss, argnums=(0, 1, 2))(*args)


def test_no_rows():
    def total(W, X):
        return np.sum(np.maximum(X @ W, 0.0) @ W.T)

    got = adc.grad(total)(RNG.normal(size=(4, 3)), np.empty((0, 4)))
    np.testing.assert_array_equal(got, np.zeros((4, 3)))


def test_a_total_that_holds_something_already_is_added_to():
    def penalised(W, X):
        return np.sum(W**2) + np.sum(np.maximum(X @ W, 0.0))

    W = RNG.normal(size=(4, 3))
    for rows in (0, 1, 70, 4000):
        X = RNG.normal(size=(rows, 4))
        got = adc.grad(penalised)(W, X)
        np.testing.assert_allclose(got, 2 * W + X.T @ (X @ W > 0), rtol=1e-9)


def large(d=300, n=260):
    return RNG.normal(size=(d, n)).astype("f4") / 17, RNG.normal(size=(n, 40)).astype("f4") / 16, RNG.normal(size=n).astype("f4")


def test_large_totals_are_one_chunk_of_shared_products():
    """300 x 260 float32 is more than `share.TOTALS`: no accumulators for each chunk, and each product is cut for the workers."""
    args = (*large(), RNG.normal(size=(256, 300)).astype("f4"))
    g = adc.grad(loss, argnums=(0, 1, 2))
    assert "262144 // " in g.kernel_source(*args)
    got, want = g(*args), adc.grad(loss, argnums=(0, 1, 2), target="numpy")(*args)
    for x, y in zip(got, want):
        np.testing.assert_allclose(x, y, rtol=2e-3, atol=1e-4)
    threads = adc.get_num_threads()
    try:
        for n in (1, 2, 3):
            adc.set_num_threads(n)
            for x, y in zip(got, g(*args)):
                np.testing.assert_array_equal(x, y)
    finally:
        adc.set_num_threads(threads)


def swept(W, x, steps):
    """The total of a product inside a loop that may have no turn."""
    s = 0.0
    for _ in range(steps):
        x = np.tanh(W @ x)
        s = s + np.sum(x)
    return s


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_product_in_every_step_of_a_loop(steps):
    args = RNG.normal(size=(6, 6)) / 3, RNG.normal(size=(6, 4)), steps
    got = adc.grad(swept, argnums=(0, 1))(*args)
    want = adc.grad(swept, argnums=(0, 1), target="numpy")(*args)
    for _ in range(2):
        for x, y in zip(got, want):
            np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)
        got = adc.grad(swept, argnums=(0, 1))(*args)
