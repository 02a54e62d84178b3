"""What the tests share: a function against its own Python run and against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc

TARGETS = ("numpy", "cpu")


def copies(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)


def numeric_gradient(f: Callable[..., Any], args: tuple[Any, ...], k: int, eps: float = 1e-6) -> Any:
    """Central differences of a scalar function with respect to argument k, by the user's own code."""
    x = np.asarray(args[k], float)
    out = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        shifted = []
        for sign in (1, -1):
            y = x.copy()
            y[i] += sign * eps
            fresh = list(copies(args))
            fresh[k] = y if x.ndim else float(y)
            shifted.append(float(f(*fresh)))
        out[i] = (shifted[0] - shifted[1]) / (2 * eps)
    return out


def check(
    f: Callable[..., Any],
    *args: Any,
    argnums: tuple[int, ...] | None = None,
    targets: tuple[str, ...] = TARGETS,
    rtol: float = 2e-6,
    atol: float = 1e-7,
) -> None:
    """The value is Python's and the gradient is that of differences, on every target; arguments stay as they were."""
    if argnums is None:
        argnums = tuple(
            k for k, a in enumerate(args) if isinstance(a, float) or (isinstance(a, np.ndarray) and a.dtype.kind == "f")
        )
    want = f(*copies(args))
    gradients = [numeric_gradient(f, args, k) for k in argnums]
    for target in targets:
        before = copies(args)
        value, grads = adc.value_and_grad(f, argnums=argnums, target=target)(*args)
        np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-12, err_msg=f"value, {target}")
        for k, g, n in zip(argnums, grads, gradients, strict=True):
            assert np.shape(g) == np.shape(args[k])
            np.testing.assert_allclose(g, n, rtol=rtol, atol=atol, err_msg=f"gradient {k}, {target}")
        for a, b in zip(args, before, strict=True):
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b, err_msg="an argument was changed")
