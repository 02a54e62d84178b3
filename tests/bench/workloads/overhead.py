"""Value and gradient of a function of three numbers: what a call costs beside its arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, in_jax, in_torch, timed


def loss(x):
    return np.sum(np.sin(x) * x)


GRADIENT = adc.value_and_grad(loss)
PRIMAL = adc.jit(loss)


def inputs(n: int) -> tuple[Any, ...]:
    return (np.linspace(0.1, 1.0, n),)


def numpy_hand(x):
    s = np.sin(x)
    return np.dot(s, x), np.cos(x) * x + s


def numba_hand(x):
    from tests.bench.hand.small import sine

    return lambda: sine(x)


def jax_objective() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    return jax.value_and_grad(lambda x: jnp.sum(jnp.sin(x) * x))


def jax_from_numpy(x):
    """As a NumPy program calls it: an array of NumPy in, arrays of NumPy out."""
    import jax

    jax.config.update("jax_enable_x64", True)
    fun = jax.jit(jax_objective())

    def call():
        value, g = fun(x)
        return float(value), np.asarray(g)

    return call


def torch_objective() -> Callable[..., Any]:
    import torch

    return lambda x: torch.sum(torch.sin(x) * x)


WORKLOAD = Workload(
    title="call overhead",
    cases={"vec3": {"n": 3}},
    inputs=inputs,
    adc={"adc": lambda x: lambda: GRADIENT(x)},
    primal={"adc": lambda x: lambda: PRIMAL(x)},
    peers={
        "numpy_hand": timed(numpy_hand), "numba_hand": numba_hand, "jax": jax_from_numpy,
        "jax_on_device": in_jax(jax_objective), "torch": in_torch(torch_objective, (0,)),
    },
)  # fmt: skip
