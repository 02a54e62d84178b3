"""Lorenz's equations by 10,000 classical Runge–Kutta steps: the gradient of the three parameters through a scalar recurrence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc
from tests.bench.spine import lorenz as loss
from tests.bench.workload import Workload

GRADIENT = adc.value_and_grad(loss)
PRIMAL = adc.jit(loss)


def inputs(n: int) -> tuple[Any, ...]:
    return np.array([10.0, 28.0, 8.0 / 3.0]), n


def numba_hand(theta, n):
    from tests.bench.hand.lorenz import gradient

    return lambda: gradient(theta, n)


def jax_objective(n: int) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    h = 0.001

    def slope(theta, u):
        x, y, z = u
        return jnp.stack([theta[0] * (y - x), x * (theta[1] - z) - y, x * y - theta[2] * z])

    def objective(theta):
        def step(u, _):
            a = slope(theta, u)
            b = slope(theta, u + 0.5 * h * a)
            c = slope(theta, u + 0.5 * h * b)
            d = slope(theta, u + h * c)
            u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
            return u, u[0] ** 2

        return jnp.sum(jax.lax.scan(step, jnp.ones(3), None, length=n)[1]) / n

    return jax.value_and_grad(objective)


def jax_scan(theta, n):
    import jax

    jax.config.update("jax_enable_x64", True)
    fun, own = jax.jit(jax_objective(n)), jax.numpy.asarray(theta)
    return lambda: jax.block_until_ready(fun(own))


def torch_loop(theta, n):
    """Scalars recorded one by one: the tape has some 60 nodes a step."""
    import torch

    def call():
        own = torch.tensor(theta, requires_grad=True)
        value = loss(own, n)
        return value, torch.autograd.grad(value, own)

    return call


WORKLOAD = Workload(
    title="Lorenz, RK4",
    cases={"n10000": {"n": 10_000}},
    inputs=inputs,
    adc={"adc": lambda *args: lambda: GRADIENT(*args)},
    primal={"adc": lambda *args: lambda: PRIMAL(*args)},
    peers={"numba_hand": numba_hand, "jax": jax_scan, "torch": torch_loop},
    small={"n": 10},
    slow={"n10000": ("torch",)},
)
