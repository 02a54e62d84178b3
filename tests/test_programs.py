"""Hypothesis writes programs; adc must give their values, gradients, tangents, batches and second derivatives."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

import adc
from tests.helpers import copies
from tests.programs import load, programs

X = np.array([0.31, -0.74, 1.13, 0.42, 0.97])
Y = np.array([1.21, 0.83, -0.52, 0.64, 1.55])
COUNT = int(os.environ.get("ADC_PROGRAMS", "40"))


def differences(f, x, y, n, dx, dy):
    """Directional derivative by two steps; None where they disagree (a branch flips nearby)."""
    found = []
    for eps in (1e-5, 2.5e-6):
        up = f(x + eps * dx, y + eps * dy, n)
        down = f(x - eps * dx, y - eps * dy, n)
        found.append((float(up) - float(down)) / (2 * eps))
    if not np.isfinite(found).all() or abs(found[0] - found[1]) > 1e-4 * (1 + abs(found[1])):
        return None
    return found[1]


def check_program(text: str, target: str, second: bool) -> None:
    f = load(text)
    args = (X, Y, 3)
    want = f(*copies(args))
    assume(np.isfinite(want) and abs(want) < 1e6)
    dx = np.cos(np.arange(5.0))
    dy = np.sin(1.0 + np.arange(5.0))
    slope = differences(f, X, Y, 3, dx, dy)
    assume(slope is not None)
    value, (gx, gy) = adc.value_and_grad(f, argnums=(0, 1), target=target)(*args)
    np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-12)
    along = float(gx @ dx + gy @ dy)
    assert along == pytest.approx(slope, rel=2e-4, abs=2e-5)
    out, dot = adc.jvp(lambda x, y: f(x, y, 3), (X, Y), (dx, dy), target=target)
    np.testing.assert_allclose(out, want, rtol=1e-12, atol=1e-12)
    assert float(dot) == pytest.approx(along, rel=1e-10, abs=1e-10)
    if second:
        _, hv = adc.jvp(lambda x: adc.grad(f)(x, Y, 3), (X,), (dx,), target=target)
        g = adc.grad(f, target=target)
        eps = 1e-5
        numeric = (g(X + eps * dx, Y, 3) - g(X - eps * dx, Y, 3)) / (2 * eps)
        if np.abs(numeric).max() < 1e4:
            np.testing.assert_allclose(hv, numeric, rtol=1e-3, atol=1e-4)
        batch = np.stack([X, Y])
        np.testing.assert_allclose(
            adc.vmap(adc.grad(f), in_axes=(0, None, None), target=target)(batch, Y, 3),
            np.stack([g(b, Y, 3) for b in batch]),
            rtol=1e-10,
            atol=1e-12,
        )


SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


@settings(max_examples=COUNT, **SETTINGS)
@given(programs())
def test_numpy(text):
    check_program(text, "numpy", second=False)


@settings(max_examples=max(COUNT // 4, 1), **SETTINGS)
@given(programs())
def test_numpy_second_order(text):
    check_program(text, "numpy", second=True)


@settings(max_examples=max(COUNT // 8, 1), **SETTINGS)
@given(programs())
def test_cpu(text):
    check_program(text, "cpu", second=False)
