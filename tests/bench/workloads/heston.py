"""An Asian call under Heston's model: 10,000 paths of 252 steps and five Greeks (spot, variance, speed, level, volatility of volatility).

adc gets it as a loop over paths, and with arrays over paths and a loop over steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload

STRIKE, RATE, RHO = 100.0, 0.03, -0.7
ROOT = float(np.sqrt(1.0 - RHO * RHO))


def over_paths(p, z, w):
    """z, w [paths, steps]"""
    paths, steps = z.shape
    h = 1.0 / steps
    total = 0.0
    for k in range(paths):
        s, v, mean = p[0], p[1], 0.0
        for t in range(steps):
            positive = max(v, 0.0)
            root = np.sqrt(positive * h + 1e-16)
            s = s * np.exp((RATE - 0.5 * positive) * h + root * z[k, t])
            v = v + p[2] * (p[3] - positive) * h + p[4] * root * (RHO * z[k, t] + ROOT * w[k, t])
            mean += s
        total += max(mean / steps - STRIKE, 0.0)
    return np.exp(-RATE) * total / paths


def in_arrays(p, z, w):
    """z, w [steps, paths]"""
    steps, paths = z.shape
    h = 1.0 / steps
    s, v, mean = np.full(paths, p[0]), np.full(paths, p[1]), np.zeros(paths)
    for t in range(steps):
        positive = np.maximum(v, 0.0)
        root = np.sqrt(positive * h + 1e-16)
        s = s * np.exp((RATE - 0.5 * positive) * h + root * z[t])
        v = v + p[2] * (p[3] - positive) * h + p[4] * root * (RHO * z[t] + ROOT * w[t])
        mean = mean + s
    return np.exp(-RATE) * np.mean(np.maximum(mean / steps - STRIKE, 0.0))


LOOP, ARRAYS = adc.value_and_grad(over_paths), adc.value_and_grad(in_arrays)
PRIMAL_LOOP, PRIMAL_ARRAYS = adc.jit(over_paths), adc.jit(in_arrays)


def inputs(paths: int, steps: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return np.array([100.0, 0.04, 1.5, 0.04, 0.3]), rng.normal(size=(paths, steps)), rng.normal(size=(paths, steps))


def by_steps(fun: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """The normal numbers with steps first, laid out before the clock runs."""

    def make(p, z, w):
        zs, ws = np.ascontiguousarray(z.T), np.ascontiguousarray(w.T)
        return lambda: fun(p, zs, ws)

    return make


def numba_hand(p, z, w, threads: int = 1):
    from tests.bench.hand.chunks import added, in_chunks
    from tests.bench.hand.heston import paths

    n = z.shape[0]
    scale = np.exp(-RATE) / n

    def call():
        value, g = added(in_chunks(paths, n, p, z, w, STRIKE, RATE, RHO, ROOT, threads=threads))
        return scale * value, scale * g

    return call


def numba_hand_par(*args):
    from tests.bench.hand.chunks import THREADS

    return numba_hand(*args, threads=THREADS)


def jax_scan(remat: bool) -> Callable[..., Callable[[], Any]]:
    def make(p, z, w):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        steps, paths = z.shape[1], z.shape[0]
        h = 1.0 / steps

        def step(p, state, zw):
            s, v, mean = state
            a, b = zw
            positive = jnp.maximum(v, 0.0)
            root = jnp.sqrt(positive * h + 1e-16)
            s = s * jnp.exp((RATE - 0.5 * positive) * h + root * a)
            v = v + p[2] * (p[3] - positive) * h + p[4] * root * (RHO * a + ROOT * b)
            return s, v, mean + s

        one = jax.checkpoint(step) if remat else step

        def objective(p, z, w):
            start = (jnp.full(paths, p[0]), jnp.full(paths, p[1]), jnp.zeros(paths))
            mean = jax.lax.scan(lambda state, zw: (one(p, state, zw), None), start, (z, w))[0][2]
            return jnp.exp(-RATE) * jnp.mean(jnp.maximum(mean / steps - STRIKE, 0.0))

        fun = jax.jit(jax.value_and_grad(objective))
        own = [jnp.asarray(p), jnp.asarray(z.T.copy()), jnp.asarray(w.T.copy())]
        return lambda: jax.block_until_ready(fun(*own))

    return make


def in_torch(p, z, w):
    import torch

    steps = z.shape[1]
    h = 1.0 / steps
    own, zs, ws = torch.tensor(p, requires_grad=True), torch.from_numpy(z.T.copy()), torch.from_numpy(w.T.copy())

    def call():
        s, v, mean = own[0], own[1], 0.0
        for t in range(steps):
            positive = torch.clamp(v, min=0.0)
            root = torch.sqrt(positive * h + 1e-16)
            s = s * torch.exp((RATE - 0.5 * positive) * h + root * zs[t])
            v = v + own[2] * (own[3] - positive) * h + own[4] * root * (RHO * zs[t] + ROOT * ws[t])
            mean = mean + s
        value = np.exp(-RATE) * torch.mean(torch.clamp(mean / steps - STRIKE, min=0.0))
        return value, torch.autograd.grad(value, own)

    return call


WORKLOAD = Workload(
    title="Heston, Asian call",
    cases={"p10000": {"paths": 10_000, "steps": 252}},
    inputs=inputs,
    adc={"adc": lambda *args: lambda: LOOP(*args), "adc_arrays": by_steps(ARRAYS)},
    primal={"adc": lambda *args: lambda: PRIMAL_LOOP(*args), "adc_arrays": by_steps(PRIMAL_ARRAYS)},
    peers={
        "numba_hand": numba_hand, "numba_hand_par": numba_hand_par, "jax": jax_scan(False), "jax_remat": jax_scan(True),
        "torch": in_torch,
    },
    small={"paths": 20, "steps": 4},
)  # fmt: skip
