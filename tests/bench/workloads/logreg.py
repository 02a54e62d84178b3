"""Logistic regression, 100,000 examples of 64 features: a product with X forward and one back.

By hand the two are one pass over X, because the adjoint of an example's score is known as soon as the score is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, in_jax, in_torch


def loss(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


GRADIENT = adc.value_and_grad(loss)
PRIMAL = adc.jit(loss)


def inputs(n: int, d: int, dtype: str) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32).astype(dtype)
    w = (rng.normal(size=d) / np.sqrt(d)).astype(dtype)
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-X @ w))).astype(dtype)
    return (0.5 * w).astype(dtype), X, y


def numpy_hand(w, X, y):
    n = X.dtype.type(len(y))

    def call():
        z = X @ w
        e = np.exp(-np.abs(z))
        value = np.mean(np.maximum(z, 0) + np.log1p(e) - y * z)
        r = np.where(z > 0, 1 / (1 + e), e / (1 + e)) - y
        return value, (r / n) @ X

    return call


def numba_hand(w, X, y, threads: int = 1):
    from tests.bench.hand.chunks import added, in_chunks
    from tests.bench.hand.logreg import examples

    def call():
        value, g = added(in_chunks(examples, len(y), w, X, y, threads=threads))
        return value / len(y), g / X.dtype.type(len(y))

    return call


def numba_hand_par(*args):
    from tests.bench.hand.chunks import THREADS

    return numba_hand(*args, threads=THREADS)


def jax_objective() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def objective(w, X, y):
        z = X @ w
        return jnp.mean(jnp.logaddexp(0.0, z) - y * z)

    return jax.value_and_grad(objective)


def torch_objective() -> Callable[..., Any]:
    import torch

    return lambda w, X, y: torch.nn.functional.binary_cross_entropy_with_logits(X @ w, y)


WORKLOAD = Workload(
    title="logistic regression",
    cases={
        "100k_d64_f64": {"n": 100_000, "d": 64, "dtype": "f8"},
        "100k_d64_f32": {"n": 100_000, "d": 64, "dtype": "f4"},
    },
    inputs=inputs,
    adc={"adc": lambda *args: lambda: GRADIENT(*args)},
    primal={"adc": lambda *args: lambda: PRIMAL(*args)},
    peers={
        "numpy_hand": numpy_hand, "numba_hand": numba_hand, "numba_hand_par": numba_hand_par,
        "jax": in_jax(jax_objective), "torch": in_torch(torch_objective, (0,)),
    },
    small={"n": 50, "d": 3},
)  # fmt: skip
