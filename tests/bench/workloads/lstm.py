"""ADBench's LSTM, two layers over 1,024 characters of 14 bits: a recurrence element by element."""

from __future__ import annotations

from typing import Any

import adc
from kernels.lstm import loss
from tests.bench import adbench
from tests.bench.workload import Workload

WRT = (0, 1)
GRADIENT = adc.value_and_grad(loss, argnums=WRT)
PRIMAL = adc.jit(loss)


def inputs(layers: int, c: int) -> tuple[Any, ...]:
    return adbench.lstm(layers, c)


def numba_hand(*args):
    from tests.bench.hand.lstm import gradient

    return lambda: gradient(*args)


def jax_scan(main, extra, state, sequence):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    layers = len(main)

    def objective(main, extra, state, sequence):
        def step(state, pair):
            now, then = pair
            x = now * extra[0]
            new = []
            for k in range(layers):
                hidden, memory = state[k, 0], state[k, 1]
                w, b = main[k, 0], main[k, 1]
                forget = jax.nn.sigmoid(x * w[0] + b[0])
                ingate = jax.nn.sigmoid(hidden * w[1] + b[1])
                outgate = jax.nn.sigmoid(x * w[2] + b[2])
                memory = memory * forget + ingate * jnp.tanh(hidden * w[3] + b[3])
                x = outgate * jnp.tanh(memory)
                new.append(jnp.stack([x, memory]))
            y = x * extra[1] + extra[2]
            return jnp.stack(new), jnp.sum(then * (y - jnp.log(2.0 + jnp.sum(jnp.exp(y)))))

        losses = jax.lax.scan(step, state, (sequence[:-1], sequence[1:]))[1]
        return -jnp.sum(losses) / ((len(sequence) - 1) * sequence.shape[1])

    fun = jax.jit(jax.value_and_grad(objective, argnums=WRT))
    own = [jnp.asarray(a) for a in (main, extra, state, sequence)]
    return lambda: jax.block_until_ready(fun(*own))


WORKLOAD = Workload(
    title="ADBench LSTM",
    cases={"l2_c1024": {"layers": 2, "c": 1024}},
    inputs=inputs,
    adc={"adc": lambda *args: lambda: GRADIENT(*args)},
    primal={"adc": lambda *args: lambda: PRIMAL(*args)},
    peers={"numba_hand": numba_hand, "jax": jax_scan},
    small={"c": 5},
)
