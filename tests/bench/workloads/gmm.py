"""Gaussian mixture, ADBench's objective: value and gradient of alphas, means and inverse covariances.

adc gets the loop over points (kernels/gmm.py) and the same in array operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

import adc
from kernels import gmm
from tests.bench import adbench
from tests.bench.workload import Workload, in_jax, in_torch

GAMMA, M = 1.0, 0




def in_arrays(alphas, means, rows, icf, x, gamma, m):
    """`rows` [d, d] says which number of icf stands where below the diagonal."""
    n, d = x.shape
    Q = np.tril(icf[:, rows], -1) + np.exp(icf[:, :d])[:, :, None] * np.eye(d)
    away = x[:, None, :] - means[None]
    q = np.einsum("kde,nke->nkd", Q, away)
    scores = alphas + np.sum(icf[:, :d], axis=1) - 0.5 * np.sum(q * q, axis=2)
    likelihood = np.sum(special.logsumexp(scores, axis=1)) - n * special.logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi)
    return likelihood + gmm.log_wishart_prior(icf, gamma, m, d)


def positions(d: int) -> np.ndarray[Any, Any]:
    rows = np.zeros((d, d), dtype=np.int64)
    at = d
    for column in range(d):
        for row in range(column + 1, d):
            rows[row, column] = at
            at += 1
    return rows


def inputs(n: int, d: int, k: int) -> tuple[Any, ...]:
    return (*adbench.gmm(n, d, k), GAMMA, M)


LOOP = adc.value_and_grad(gmm.loss, argnums=(0, 1, 2))
ARRAYS = adc.value_and_grad(in_arrays, argnums=(0, 1, 3))


def adc_arrays(alphas, means, icf, x, gamma, m):
    rows = positions(x.shape[1])
    return lambda: ARRAYS(alphas, means, rows, icf, x, gamma, m)


def primal_arrays(alphas, means, icf, x, gamma, m):
    rows, fun = positions(x.shape[1]), adc.jit(in_arrays)
    return lambda: fun(alphas, means, rows, icf, x, gamma, m)


def primal_loop(*args):
    fun = adc.jit(gmm.loss)
    return lambda: fun(*args)


# ---------------------------------------------------------------- by hand


def prior(alphas, icf, n, d):
    """Value and gradients of what does not depend on the points."""
    soft = special.logsumexp(alphas)
    value = -n * soft - 0.5 * n * d * np.log(2.0 * np.pi) + gmm.log_wishart_prior(icf, GAMMA, M, d)
    grad = GAMMA * GAMMA * icf
    grad[:, :d] = GAMMA * GAMMA * np.exp(2.0 * icf[:, :d]) - M
    return value, -n * np.exp(alphas - soft), grad


def below(d: int) -> tuple[Any, Any]:
    """Rows and columns of the numbers below the diagonal, column by column."""
    columns, rows = np.triu_indices(d, 1)
    return rows, columns


def matrices(icf, d):
    rows, columns = below(d)
    Q = np.zeros((len(icf), d, d))
    Q[:, np.arange(d), np.arange(d)] = np.exp(icf[:, :d])
    Q[:, rows, columns] = icf[:, d:]
    return Q


def packed(dQ, icf, weights, d):
    """The gradient of icf from that of the matrices and of the sums of the diagonal's logarithms."""
    rows, columns = below(d)
    out = np.empty_like(icf)
    out[:, :d] = dQ[:, np.arange(d), np.arange(d)] * np.exp(icf[:, :d]) + weights[:, None]
    out[:, d:] = dQ[:, rows, columns]
    return out


def numpy_hand(alphas, means, icf, x, gamma, m):
    """One large product forward and two back: Q (x - mu) is Q x - Q mu, for all components at once."""
    n, d = x.shape
    k = len(alphas)

    def call():
        Q = matrices(icf, d)
        flat = Q.reshape(k * d, d)
        q = (x @ flat.T).reshape(n, k, d)
        q -= (Q @ means[:, :, None])[:, :, 0]
        scores = np.einsum("nkd,nkd->nk", q, q)
        scores *= -0.5
        scores += alphas + np.sum(icf[:, :d], axis=1)
        top = scores.max(axis=1, keepdims=True)
        w = np.exp(scores - top)
        total = w.sum(axis=1, keepdims=True)
        w /= total
        value = np.sum(np.log(total) + top)
        q *= -w[:, :, None]
        dQ = (q.reshape(n, k * d).T @ x).reshape(k, d, d)
        shift = q.sum(axis=0)
        dQ -= shift[:, :, None] * means[:, None, :]
        dmeans = -(shift[:, None, :] @ Q)[:, 0]
        weights = w.sum(axis=0)
        rest, dalphas, dicf = prior(alphas, icf, n, d)
        return value + rest, (weights + dalphas, dmeans, dicf + packed(dQ, icf, weights, d))

    return call


def numba_block(alphas, means, icf, x, gamma, m, threads: int = 1):
    from tests.bench.hand.chunks import added, in_chunks
    from tests.bench.hand.gmm import blocks

    n, d = x.shape

    def call():
        Q = matrices(icf, d)
        base = alphas + np.sum(icf[:, :d], axis=1)
        value, weights, dmeans, dQ = added(in_chunks(blocks, n, base, means, Q, x, threads=threads))
        rest, dalphas, dicf = prior(alphas, icf, n, d)
        return value + rest, (weights + dalphas, dmeans, dicf + packed(dQ, icf, weights, d))

    return call


def numba_block_par(*args):
    from tests.bench.hand.chunks import THREADS

    return numba_block(*args, threads=THREADS)


# ---------------------------------------------------------------- other tools


def jax_objective() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import logsumexp

    def objective(alphas, means, icf, x, gamma, m):
        n, d = x.shape
        rows, columns = below(d)

        def matrix(one):
            return jnp.zeros((d, d)).at[rows, columns].set(one[d:]).at[jnp.arange(d), jnp.arange(d)].set(jnp.exp(one[:d]))

        def score(alpha, mean, one):
            q = (x - mean) @ matrix(one).T
            return alpha + jnp.sum(one[:d]) - 0.5 * jnp.sum(q * q, axis=1)

        scores = jax.vmap(score, out_axes=1)(alphas, means, icf)
        constant = gmm.log_wishart_prior(np.zeros(icf.shape), GAMMA, M, d) - 0.5 * len(alphas) * d * GAMMA**2
        prior = 0.5 * gamma**2 * (jnp.sum(jnp.exp(2.0 * icf[:, :d])) + jnp.sum(icf[:, d:] ** 2)) - m * jnp.sum(icf[:, :d])
        return jnp.sum(logsumexp(scores, axis=1)) - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + prior + constant

    return jax.value_and_grad(objective, argnums=(0, 1, 2))


def torch_objective() -> Callable[..., Any]:
    import torch

    def objective(alphas, means, icf, x, gamma, m):
        n, d = x.shape
        k = len(alphas)
        rows, columns = (torch.from_numpy(i) for i in below(d))
        Q = torch.diag_embed(torch.exp(icf[:, :d]))
        Q = Q.index_put((torch.arange(k)[:, None], rows, columns), icf[:, d:])
        q = torch.bmm(x - means[:, None, :], Q.transpose(1, 2))
        scores = alphas + icf[:, :d].sum(1) - 0.5 * (q * q).sum(2).T
        constant = gmm.log_wishart_prior(np.zeros((k, icf.shape[1])), GAMMA, M, d) - 0.5 * k * d * GAMMA**2
        prior = 0.5 * gamma**2 * (torch.exp(2.0 * icf[:, :d]).sum() + (icf[:, d:] ** 2).sum()) - m * icf[:, :d].sum()
        return torch.logsumexp(scores, 1).sum() - n * torch.logsumexp(alphas, 0) - 0.5 * n * d * np.log(2.0 * np.pi) + prior + constant

    return objective


WORKLOAD = Workload(
    title="Gaussian mixture (ADBench)",
    cases={
        "1k_d10_K25": {"n": 1000, "d": 10, "k": 25},
        "10k_d10_K25": {"n": 10_000, "d": 10, "k": 25},
        "1k_d64_K100": {"n": 1000, "d": 64, "k": 100},
        "1M_d2_K10": {"n": 1_000_000, "d": 2, "k": 10},
    },
    inputs=inputs,
    adc={"adc": lambda *args: lambda: LOOP(*args), "adc_arrays": adc_arrays},
    primal={"adc": primal_loop, "adc_arrays": primal_arrays},
    peers={
        "numpy_hand": numpy_hand, "numba_block": numba_block, "numba_block_par": numba_block_par,
        "jax": in_jax(jax_objective, static=(4, 5)), "torch": in_torch(torch_objective, (0, 1, 2)),
    },
    small={"n": 100, "d": 3, "k": 4},
    threads={"10k_d10_K25": 1},
    slow={"1M_d2_K10": ("torch", "numpy_hand")},
    flushes=True,  # weights far from any point
)  # fmt: skip
