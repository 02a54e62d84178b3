"""Kepler's equation for 100,000 mean anomalies by Newton's method in a `while`: the number of iterations differs from element to element."""

from __future__ import annotations

from typing import Any

import numpy as np

import adc
from kernels.newton import loss
from tests.bench.workload import Workload

WRT = (0, 1)
GRADIENT = adc.value_and_grad(loss, argnums=WRT)
PRIMAL = adc.jit(loss)
STEPS = 12
"""Masked iterations in JAX, where a `while` has no reverse mode: enough for every element here."""


def inputs(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    M = rng.uniform(0.1, 6.0, n)
    return 0.3, M, np.cos(M)


def numba_hand(e, M, x):
    """The derivative of the iterations that ran, as adc's."""
    from tests.bench.hand.newton import iterations

    return lambda: iterations(e, M, x)


def numba_implicit(e, M, x):
    """The derivative at the solution, by the implicit function theorem: another program, equal where Newton has converged."""
    from tests.bench.hand.newton import implicit

    return lambda: implicit(e, M, x)


def jax_bounded(e, M, x):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def objective(e, M, x):
        def step(state, _):
            E, running = state
            move = (E - e * jnp.sin(E) - M) / (1.0 - e * jnp.cos(E))
            return (jnp.where(running, E - move, E), running & (jnp.abs(move) > 1e-12)), None

        E = jax.lax.scan(step, (M, jnp.ones(M.shape, bool)), None, length=STEPS)[0][0]
        return jnp.sum((jnp.cos(E) - e - x) ** 2)

    fun = jax.jit(jax.value_and_grad(objective, argnums=WRT))
    own = [jnp.asarray(e), jnp.asarray(M), jnp.asarray(x)]
    return lambda: jax.block_until_ready(fun(*own))


def jax_implicit(e, M, x):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    @jax.custom_vjp
    def anomaly(e, M):
        def move(E):
            return (E - e * jnp.sin(E) - M) / (1.0 - e * jnp.cos(E))

        def body(state):
            E, running = state
            d = move(E)
            return jnp.where(running, E - d, E), running & (jnp.abs(d) > 1e-12)

        return jax.lax.while_loop(lambda s: jnp.any(s[1]), body, (M, jnp.ones(M.shape, bool)))[0]

    def forward(e, M):
        E = anomaly(e, M)
        return E, (e, E)

    def backward(kept, g):
        e, E = kept
        d = g / (1.0 - e * jnp.cos(E))
        return jnp.sum(d * jnp.sin(E)), d

    anomaly.defvjp(forward, backward)
    fun = jax.jit(jax.value_and_grad(lambda e, M, x: jnp.sum((jnp.cos(anomaly(e, M)) - e - x) ** 2), argnums=WRT))
    own = [jnp.asarray(e), jnp.asarray(M), jnp.asarray(x)]
    return lambda: jax.block_until_ready(fun(*own))


WORKLOAD = Workload(
    title="Newton in a while",
    cases={"n100000": {"n": 100_000}},
    inputs=inputs,
    adc={"adc": lambda *args: lambda: GRADIENT(*args)},
    primal={"adc": lambda *args: lambda: PRIMAL(*args)},
    peers={"numba_hand": numba_hand, "numba_implicit": numba_implicit, "jax_bounded": jax_bounded, "jax_implicit": jax_implicit},
    small={"n": 10},
)
