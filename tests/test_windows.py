"""Sliding windows and the indices of triangles: values against NumPy, gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest

import adc
from adc.errors import ShapeError, UnsupportedError

X = np.random.default_rng(3).normal(size=9)
M = np.random.default_rng(4).normal(size=(4, 6))
windows = np.lib.stride_tricks.sliding_window_view


def upper(x):
    i, j = np.triu_indices(4, 1)
    return np.sum(x[i] * x[j] ** 2) + x[i[2]] * len(i)


def lower_into(x):
    L = np.zeros((3, 3))
    L[np.tril_indices(3)] = x[:6]
    return np.sum((L @ L.T) ** 2)


def of_any_size(x):
    i, j = np.triu_indices(x.shape[0], k=1)
    d = x[i] - x[j]
    return np.sum(np.exp(-d * d))


def from_a_matrix(x):
    m = np.outer(x[:3], x[:4])
    return np.sum(m[np.triu_indices_from(m, 1)] ** 2) + np.sum(m[np.tril_indices_from(m, -1)])


def rectangles(x):
    m = np.outer(x[:3], x[:5])
    return np.sum(np.sin(m[np.triu_indices(3, -1, 5)])) + np.sum(m[np.tril_indices(3, 1, 5)] ** 2)


def moving_maximum(x):
    return np.sum(np.max(windows(x, 3), axis=-1) ** 2)


def filtered(x):
    return np.sum((windows(x, window_shape=4) @ x[:4]) ** 2)


def patches(x):
    m = np.outer(x[:5], x[2:9])
    p = windows(m, (2, 3))
    return np.sum(p[1:, ::2] ** 3) + np.sum(windows(m, 2, axis=1)[..., 0] * windows(m, 2, axis=-1)[..., 1]) + p.shape[0] * p[0, 0, 1, 2]


def seen_through(x):
    y = x.copy()
    w = windows(y, 2)
    y[1] = 3.0 * x[2]
    return np.sum(w[:, 0] * w[:, 1])


def long_ones(x):
    y = np.concatenate([x] * 9)
    return np.sum(windows(y, 70).sum(axis=0) ** 2)


def values_under_a_table_of_indices(x):
    a = np.zeros(9)
    np.add.at(a, np.array([[0, 1, 2], [1, 2, 3], [1, 1, 8]]), x[:3] * 2.0)
    return a @ x


ALL = [upper, lower_into, of_any_size, from_a_matrix, rectangles, moving_maximum, filtered, patches, seen_through, long_ones, values_under_a_table_of_indices]


@pytest.mark.parametrize("target", ["numpy", "cpu"])
@pytest.mark.parametrize("f", ALL, ids=lambda f: f.__name__)
def test_values_and_gradients(f, target):
    given = f
    if f is values_under_a_table_of_indices:
        f = lambda x: np.bincount([0, 1, 2, 1, 2, 3, 1, 1, 8], np.tile(2.0 * x[:3], 3), 9) @ x
    value, g = adc.value_and_grad(given, target=target)(X)
    assert np.isclose(value, f(X), rtol=1e-12)
    d = np.random.default_rng(5).normal(size=X.shape)
    assert np.isclose((f(X + 1e-6 * d) - f(X - 1e-6 * d)) / 2e-6, g @ d, rtol=1e-6)


@pytest.mark.parametrize("target", ["numpy", "cpu"])
def test_a_window_that_does_not_fit(target):
    f = adc.jit(lambda x: windows(x, 3), target=target)
    assert np.array_equal(f(X), windows(X, 3)) and np.array_equal(f(X[:3]), windows(X[:3], 3))
    with pytest.raises((ValueError, adc.AdcError), match="cannot be larger"):
        f(X[:2])


@pytest.mark.parametrize(
    ("f", "kind", "says"),
    [
        (lambda x: windows(x, (2, 2)), ShapeError, "one length for each of the 1 axes"), (lambda x: windows(x, (2, 2), axis=0), ShapeError, "2 and 1 items"),
        (lambda x: windows(x, -1), ShapeError, "cannot be negative"), (lambda x: windows(np.zeros(2), 3) * x[0], ShapeError, "cannot be larger"),
    ],
)  # fmt: skip
def test_refused(f, kind, says):
    with pytest.raises(kind, match=says):
        adc.jit(f)(X)


def test_a_store_through_windows_is_refused():
    def f(x):
        y = x.copy()
        windows(y, 2)[0, 0] = 1.0
        return y

    with pytest.raises(UnsupportedError, match="a store through np.sliding_window_view"):
        adc.jit(f)(X)
