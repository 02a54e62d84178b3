"""A network of two inputs, three tanh units and two outputs on 200 points: small arrays, where every pass and every call counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, in_jax, in_torch

WRT = (0, 1, 2, 3)


def loss(W1, b1, W2, b2, X, Y):
    h = np.tanh(X @ W1 + b1)
    return np.mean((np.tanh(h @ W2 + b2) - Y) ** 2)


GRADIENT = adc.value_and_grad(loss, argnums=WRT)
PRIMAL = adc.jit(loss)


def inputs(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2))
    return rng.normal(size=(2, 3)), rng.normal(size=3), rng.normal(size=(3, 2)), rng.normal(size=2), X, np.tanh(X[:, ::-1].copy())


def numpy_hand(W1, b1, W2, b2, X, Y):
    def call():
        h = np.tanh(X @ W1 + b1)
        o = np.tanh(h @ W2 + b2)
        r = o - Y
        do = (2.0 / r.size) * r * (1.0 - o * o)
        dh = (do @ W2.T) * (1.0 - h * h)
        return np.mean(r * r), (X.T @ dh, dh.sum(0), h.T @ do, do.sum(0))

    return call


def numba_hand(*args):
    from tests.bench.hand.small import network

    return lambda: network(*args)


def jax_objective() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def objective(W1, b1, W2, b2, X, Y):
        return jnp.mean((jnp.tanh(jnp.tanh(X @ W1 + b1) @ W2 + b2) - Y) ** 2)

    return jax.value_and_grad(objective, argnums=WRT)


def torch_objective() -> Callable[..., Any]:
    import torch

    return lambda W1, b1, W2, b2, X, Y: torch.mean((torch.tanh(torch.tanh(X @ W1 + b1) @ W2 + b2) - Y) ** 2)


WORKLOAD = Workload(
    title="2-3-2 tanh network",
    cases={"n200": {"n": 200}},
    inputs=inputs,
    adc={"adc": lambda *args: lambda: GRADIENT(*args)},
    primal={"adc": lambda *args: lambda: PRIMAL(*args)},
    peers={"numpy_hand": numpy_hand, "numba_hand": numba_hand, "jax": in_jax(jax_objective), "torch": in_torch(torch_objective, WRT)},
    small={"n": 5},
)
