"""The gradient of every example of a batch by itself, for the MLP: some 235,000 numbers an example go out."""

from __future__ import annotations

from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, tensors
from tests.bench.workloads import mlp


def one(params, x, label):
    W1, b1, W2, b2, W3, b3 = params
    h = np.maximum(x @ W1 + b1, 0.0)
    h = np.maximum(h @ W2 + b2, 0.0)
    scores = h @ W3 + b3
    top = np.max(scores)
    return top + np.log(np.sum(np.exp(scores - top))) - scores[label]


EACH = adc.vmap(adc.grad(one), in_axes=(None, 0, 0))
PRIMAL = adc.jit(adc.vmap(one, in_axes=(None, 0, 0)))


def inputs(batch: int) -> tuple[Any, ...]:
    _, params, _, X, labels = mlp.inputs(batch, False)
    return params, X, labels


def numpy_hand(params, X, labels):
    W1, b1, W2, b2, W3, b3 = params
    rows = np.arange(len(labels))

    def call():
        h1 = np.maximum(X @ W1 + b1, 0)
        h2 = np.maximum(h1 @ W2 + b2, 0)
        scores = h2 @ W3 + b3
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        e /= e.sum(axis=1, keepdims=True)
        e[rows, labels] -= 1
        d2 = (e @ W3.T) * (h2 > 0)
        d1 = (d2 @ W2.T) * (h1 > 0)
        return [X[:, :, None] * d1[:, None], d1, h1[:, :, None] * d2[:, None], d2, h2[:, :, None] * e[:, None], e]

    return call


def in_jax(params, X, labels):
    import jax
    import jax.numpy as jnp

    def objective(params, x, label):
        W1, b1, W2, b2, W3, b3 = params
        h = jax.nn.relu(jax.nn.relu(x @ W1 + b1) @ W2 + b2)
        return -jax.nn.log_softmax(h @ W3 + b3)[label]

    fun = jax.jit(jax.vmap(jax.grad(objective), in_axes=(None, 0, 0)))
    own = jax.tree.map(jnp.asarray, (params, X, labels))
    return lambda: jax.block_until_ready(fun(*own))


def torch_func(params, X, labels):
    import torch
    from torch.func import grad, vmap

    def objective(params, x, label):
        W1, b1, W2, b2, W3, b3 = params
        h = torch.relu(torch.relu(x @ W1 + b1) @ W2 + b2)
        return torch.nn.functional.cross_entropy((h @ W3 + b3)[None], label[None])

    fun = vmap(grad(objective), in_dims=(None, 0, 0))
    own = tensors([params, X, labels])
    return lambda: fun(*own)


WORKLOAD = Workload(
    title="per-example gradients, MLP",
    cases={"b32": {"batch": 32}, "b256": {"batch": 256}},
    inputs=inputs,
    adc={"adc": lambda *args: lambda: EACH(*args)},
    primal={"adc": lambda *args: lambda: PRIMAL(*args)},
    peers={"numpy_hand": numpy_hand, "jax": in_jax, "torch_func": torch_func},
    small={"batch": 3},
)
