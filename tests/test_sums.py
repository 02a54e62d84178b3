"""Sums with conditions, and sums into fixed elements: found as sums, so that ∇ commutes with Σ: one pass, in any order."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import adc
from tests.test_borders import agree

RNG = np.random.default_rng(29)
X = RNG.standard_normal(40)
MASK = RNG.random(40) > 0.4
P = np.array([0.3, 1.4])


def censored(p, t, died):
    """A Weibull likelihood where some have not died yet."""
    k, scale = p[0], p[1]
    total = 0.0
    for i in range(t.shape[0]):
        z = (t[i] / scale) ** k
        if died[i]:
            total += math.log(k / scale) + (k - 1) * math.log(t[i] / scale) - z
        else:
            total -= z
    return total


def robust(p, x):
    """Huber's loss, and a second sum in the same number."""
    total = 0.0
    for i in range(x.shape[0]):
        r = (x[i] - p[0]) / p[1]
        if abs(r) < 1.3:
            total += 0.5 * r * r
        else:
            total += 1.3 * (abs(r) - 0.65)
        if x[i] > 1.0:
            total += p[0] * x[i]
    return total + x.shape[0] * math.log(p[1])


def skipped(p, x, mask):
    total = 0.0
    count = 0
    for i in range(x.shape[0]):
        if not mask[i]:
            continue
        r = (x[i] - p[0]) / p[1]
        total += r * r
        count += 1
    return total / count


def three_ways(p, x):
    total = 0.0
    for i in range(x.shape[0]):
        margin = p[0] * x[i] + p[1]
        if margin < 0.0:
            total += 0.5 - margin
        elif margin < 1.0:
            total += 0.5 * (1.0 - margin) ** 2
    return total


def elements(p, x):
    out = np.zeros(3)
    for i in range(x.shape[0]):
        r = (x[i] - p[0]) * p[1]
        out[0] += r * r
        out[2] += abs(r)
    return out[0] * out[2] + out[1]


def on_a_plane(p, x):
    total = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            d = x[i, j] - p[0]
            if d > 0:
                total += p[1] * d * d
            else:
                total += d * d
    return total


CASES = {
    "censored": (censored, (P, np.abs(X) + 0.1, MASK), 0),
    "robust": (robust, (P, X), 0),
    "skipped": (skipped, (P, X, MASK), 0),
    "three_ways": (three_ways, (P, X), 0),
    "elements": (elements, (P, X), (0, 1)),
    "on_a_plane": (on_a_plane, (P, X.reshape(5, 8)), (0, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    f, args, argnums = CASES[name]
    agree(f, args, argnums)
    agree(f, (args[0], *(np.tile(a, (50, *[1] * (a.ndim - 1))) for a in args[1:])), argnums, differences=False)


@pytest.mark.parametrize("name", ("censored", "robust", "three_ways"))
def test_value_and_gradient_in_one_pass(name):
    """The examples are looked at once, by several workers, without branches."""
    f, args, _ = CASES[name]
    text = adc.value_and_grad(f).kernel_source(*args)
    assert len(re.findall(r"for turn in range", text)) == 1
    assert not re.search(r"for i(_\d)? in range\((x|t)_n\)", text)
    part = text.split("\n\n\n")[0]
    assert not re.search(r"^ +if ", part, re.M), part
    assert not re.search(r"p_bar\w*\[.*\] \+= ", part), part  # its two sums have variables


def test_a_total_that_is_looked_at_stays_a_carry():
    """What one iteration adds depends on what the ones before have added."""

    def stops(x):
        total = 0.0
        for i in range(x.shape[0]):
            if total < 2.0:
                total += x[i] * x[i]
            else:
                total += 0.1 * x[i]
        return total

    def by_parts(x):
        total = 0.0
        for i in range(x.shape[0]):
            before = total
            if x[i] > 0:
                total = before + x[i]
            else:
                total = before * 0.5
        return total

    def other_sum(x):
        total = 0.0
        half = 1.0
        for i in range(x.shape[0]):
            if x[i] > 0:
                total = half + x[i]
            else:
                total = half
            half = half * 0.9
        return total * half

    def kept(x):
        total = 0.0
        last = 0.0
        for i in range(x.shape[0]):
            if x[i] > 0:
                new = total + x[i]
            else:
                new = total
            last = last + new * total
            total = new
        return total + last

    for f in (stops, by_parts, other_sum, kept):
        agree(f, (X,), 0)


def test_elements_that_are_looked_at_stay_where_they_are():
    def f(x):
        out = np.zeros(2)
        for i in range(x.shape[0]):
            out[0] += x[i] * x[i]
            out[1] += out[0] * x[i]
        return out[1]

    def g(x, k):
        out = np.zeros(3)
        for i in range(x.shape[0]):
            out[0] += x[i] * x[i]
            out[i % 3] += x[i]
        return out[0] * out[1] + out[2]

    agree(f, (X,), 0)
    agree(g, (X, 2), 0)


def test_a_sum_in_single_precision_and_of_numbers_that_are_not_finite():
    def f(p, x, mask):
        total = np.float32(0.0)
        for i in range(x.shape[0]):
            if mask[i]:
                total += p * np.log(x[i])
        return total

    x = np.array([1.0, 0.0, -1.0, 2.0], dtype=np.float32)  # the logarithms that are not wanted are -inf and nan
    value, (dp, dx) = adc.value_and_grad(f, argnums=(0, 1))(np.float32(2.0), x, np.array([True, False, False, True]))
    assert value.dtype == np.float32
    assert value == pytest.approx(2 * math.log(2.0), rel=1e-6)
    assert dp == pytest.approx(math.log(2.0), rel=1e-6)
    np.testing.assert_allclose(dx, [2.0, 0.0, 0.0, 1.0])


def test_an_infinite_factor_of_what_is_not_wanted():
    """Infinity times nothing is not nothing: such a factor stays inside the choice."""

    def f(x, mask):
        total = 0.0
        for i in range(x.shape[0]):
            if mask[i]:
                total += x[i] * np.inf
        return total

    x = np.array([1.0, 2.0, 3.0])
    value, dx = adc.value_and_grad(f)(x, np.zeros(3, bool))
    assert value == 0.0
    np.testing.assert_array_equal(dx, [0.0, 0.0, 0.0])


def test_the_same_bits_for_any_number_of_threads():
    x = RNG.standard_normal(200_000)
    g = adc.value_and_grad(robust)
    threads = adc.get_num_threads()
    results: list[Any] = []
    try:
        for n in (1, 2, 3):
            adc.set_num_threads(n)
            results.append(g(P, x))
    finally:
        adc.set_num_threads(threads)
    for value, dp in results[1:]:
        assert value == results[0][0]
        np.testing.assert_array_equal(dp, results[0][1])
