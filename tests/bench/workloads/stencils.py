"""Sweeps over grids: Jacobi in two dimensions, heat in three, a nonlinear step, and Gauss–Seidel in place.

By hand there are two forms of the adjoint: `numba_hand` adds to the neighbours' adjoints as the forward loop reads them (scatter), what most
people write; `numba_gather` writes each adjoint once from its neighbours (gather).  The bars name the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc
from tests.bench.spine import seidel
from tests.bench.workload import Workload


def jacobi2d(u, steps):
    for _ in range(steps):
        new = u.copy()
        new[1:-1, 1:-1] = 0.2 * (u[1:-1, 1:-1] + u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u = new
    return np.sum(u * u)


def heat3d(u, steps):
    for _ in range(steps):
        new = u.copy()
        new[1:-1, 1:-1, 1:-1] = (
            0.25 * u[1:-1, 1:-1, 1:-1]
            + 0.125 * (u[2:, 1:-1, 1:-1] + u[:-2, 1:-1, 1:-1])
            + 0.125 * (u[1:-1, 2:, 1:-1] + u[1:-1, :-2, 1:-1])
            + 0.125 * (u[1:-1, 1:-1, 2:] + u[1:-1, 1:-1, :-2])
        )
        u = new
    return np.sum(u * u)


def nonlinear2d(u, steps):
    for _ in range(steps):
        new = u.copy()
        c = u[1:-1, 1:-1]
        around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        new[1:-1, 1:-1] = c + 0.1 * (around - 4.0 * c) + 0.05 * (c - c * c * c)
        u = new
    return np.sum(u * u)


def seidel2d(u, steps):
    return seidel(u, np.zeros(u.shape), steps)


def jacobi2d_loops(u, steps):
    n, m = u.shape
    for _ in range(steps):
        new = u.copy()
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                new[i, j] = 0.2 * (u[i, j] + u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u = new
    return np.sum(u * u)


def heat3d_loops(u, steps):
    n, m, k = u.shape
    for _ in range(steps):
        new = u.copy()
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                for l in range(1, k - 1):
                    beside = u[i + 1, j, l] + u[i - 1, j, l] + u[i, j + 1, l] + u[i, j - 1, l] + u[i, j, l + 1] + u[i, j, l - 1]
                    new[i, j, l] = 0.25 * u[i, j, l] + 0.125 * beside
        u = new
    return np.sum(u * u)


def nonlinear2d_loops(u, steps):
    n, m = u.shape
    for _ in range(steps):
        new = u.copy()
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = u[i, j]
                around = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                new[i, j] = c + 0.1 * (around - 4.0 * c) + 0.05 * (c - c * c * c)
        u = new
    return np.sum(u * u)


SWEEPS = {"jacobi2d": jacobi2d, "heat3d": heat3d, "nonlinear2d": nonlinear2d, "seidel2d": seidel2d}
LOOPS = {"jacobi2d": jacobi2d_loops, "heat3d": heat3d_loops, "nonlinear2d": nonlinear2d_loops, "seidel2d": seidel2d}
"""The same as people write it for Numba; Gauss–Seidel is that anyway."""
GRADIENTS = {name: adc.value_and_grad(f) for name, f in SWEEPS.items()}
PRIMALS = {name: adc.jit(f) for name, f in SWEEPS.items()}
LOOP_GRADIENTS = {name: adc.value_and_grad(f) for name, f in LOOPS.items()}
LOOP_PRIMALS = {name: adc.jit(f) for name, f in LOOPS.items()}


def inputs(kind: str, n: int, steps: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return kind, rng.random((n, n, n) if kind == "heat3d" else (n, n)), steps


def of(table: dict[str, Callable[..., Any]]) -> Callable[..., Callable[[], Any]]:
    def make(kind, u, steps):
        fun = table[kind]
        return lambda: fun(u, steps)

    return make


def by_hand(form: str, threads: int = 1) -> Callable[..., Callable[[], Any]]:
    def make(kind, u, steps):
        from tests.bench.hand import stencils

        if threads != 1:
            import numba

            fun = getattr(stencils, f"{kind}_{form}_par")
            return lambda: fun(u, steps, numba.get_num_threads())
        fun = getattr(stencils, f"{kind}_{form}")
        return lambda: fun(u, steps)

    return make


def in_jax(kind, u, steps):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def step(u):
        if kind == "heat3d":
            new = 0.25 * u[1:-1, 1:-1, 1:-1] + 0.125 * (
                u[2:, 1:-1, 1:-1] + u[:-2, 1:-1, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, :-2, 1:-1] + u[1:-1, 1:-1, 2:] + u[1:-1, 1:-1, :-2]
            )
            return u.at[1:-1, 1:-1, 1:-1].set(new)
        c = u[1:-1, 1:-1]
        around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        if kind == "jacobi2d":
            return u.at[1:-1, 1:-1].set(0.2 * (c + around))
        return u.at[1:-1, 1:-1].set(c + 0.1 * (around - 4.0 * c) + 0.05 * (c - c * c * c))

    def seidel_sweep(u):
        """Rows in order, cells of a row in order: what a user must write by hand to have it in JAX."""

        def row(above, parts):
            own, below = parts

            def cell(left, around):
                v = 0.25 * (around[0] + left + around[1] + around[2])
                return v, v

            inner = jax.lax.scan(cell, own[0], jnp.stack([above[1:-1], own[2:], below[1:-1]], 1))[1]
            own = own.at[1:-1].set(inner)
            return own, own

        rows = jax.lax.scan(row, u[0], (u[1:-1], u[2:]))[1]
        return u.at[1:-1].set(rows)

    sweep = seidel_sweep if kind == "seidel2d" else step

    def objective(u):
        return jnp.sum(jax.lax.scan(lambda u, _: (sweep(u), None), u, None, length=steps)[0] ** 2)

    fun, own = jax.jit(jax.value_and_grad(objective)), jnp.asarray(u)
    return lambda: jax.block_until_ready(fun(own))


def in_torch(kind, u, steps):
    import torch

    def step(u):
        new = u.clone()
        if kind == "heat3d":
            new[1:-1, 1:-1, 1:-1] = 0.25 * u[1:-1, 1:-1, 1:-1] + 0.125 * (
                u[2:, 1:-1, 1:-1] + u[:-2, 1:-1, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, :-2, 1:-1] + u[1:-1, 1:-1, 2:] + u[1:-1, 1:-1, :-2]
            )
            return new
        c = u[1:-1, 1:-1]
        around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        new[1:-1, 1:-1] = 0.2 * (c + around) if kind == "jacobi2d" else c + 0.1 * (around - 4.0 * c) + 0.05 * (c - c * c * c)
        return new

    own = torch.from_numpy(u).requires_grad_()

    def call():
        v = own
        for _ in range(steps):
            v = step(v)
        value = torch.sum(v * v)
        return value, torch.autograd.grad(value, own)

    return call


WORKLOAD = Workload(
    title="stencils",
    cases={
        "jacobi2d": {"kind": "jacobi2d", "n": 200, "steps": 100},
        "heat3d": {"kind": "heat3d", "n": 40, "steps": 50},
        "nonlinear2d": {"kind": "nonlinear2d", "n": 200, "steps": 100},
        "seidel2d": {"kind": "seidel2d", "n": 200, "steps": 50},
    },
    inputs=inputs,
    adc={"adc": of(GRADIENTS), "adc_loops": of(LOOP_GRADIENTS)},
    primal={"adc": of(PRIMALS), "adc_loops": of(LOOP_PRIMALS)},
    peers={
        "numba_hand": by_hand("hand"), "numba_hand_par": by_hand("hand", 0), "numba_gather": by_hand("gather"),
        "jax": in_jax, "torch": in_torch,
    },
    small={"n": 8, "steps": 3},
    slow={"seidel2d": ("torch", "numba_hand_par", "numba_gather")},
)  # fmt: skip
