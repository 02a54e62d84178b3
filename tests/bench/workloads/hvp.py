"""Hessian–vector products: logistic regression (100,000 × 64, float64) and the MLP (batch 64, float32)."""

from __future__ import annotations

from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, tensors
from tests.bench.workloads import logreg, mlp


def smooth(params, X, labels):
    """The MLP with tanh: ReLU's second derivative is zero."""
    W1, b1, W2, b2, W3, b3 = params
    h = np.tanh(X @ W1 + b1)
    h = np.tanh(h @ W2 + b2)
    scores = h @ W3 + b3
    top = np.max(scores, axis=1)
    logsum = top + np.log(np.sum(np.exp(scores - top[:, None]), axis=1))
    return np.mean(logsum - scores[np.arange(len(labels)), labels])


PRODUCTS = {"logreg": adc.hvp(logreg.loss), "mlp": adc.hvp(smooth)}
PRIMALS = {"logreg": adc.jit(logreg.loss), "mlp": adc.jit(smooth)}


def inputs(kind: str, n: int) -> tuple[Any, ...]:
    """(kind, what is differentiated, data, direction)"""
    rng = np.random.default_rng(1)
    if kind == "logreg":
        w, X, y = logreg.inputs(n, 64, "f8")
        return kind, w, (X, y), rng.normal(size=len(w))
    _, params, _, X, labels = mlp.inputs(n, False)
    return kind, params, (X, labels), [rng.standard_normal(p.shape, dtype=np.float32) for p in params]


def adc_call(kind, at, data, v):
    fun = PRODUCTS[kind]
    return lambda: fun(at, *data, v)


def primal(kind, at, data, v):
    fun = PRIMALS[kind]
    return lambda: fun(at, *data)


def numpy_hand(kind, w, data, v):
    X, y = data

    def call():
        s = 1.0 / (1.0 + np.exp(-(X @ w)))
        return ((X @ v) * (s * (1.0 - s) / len(y))) @ X

    return call


def in_jax(kind, at, data, v):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", kind == "logreg")

    def network(params, X, labels):
        W1, b1, W2, b2, W3, b3 = params
        h = jnp.tanh(jnp.tanh(X @ W1 + b1) @ W2 + b2)
        return -jnp.mean(jax.nn.log_softmax(h @ W3 + b3)[jnp.arange(len(labels)), labels])

    gradient = jax.grad((lambda w, X, y: jnp.mean(jnp.logaddexp(0.0, X @ w) - y * (X @ w))) if kind == "logreg" else network)
    own = jax.tree.map(jnp.asarray, (at, data, v))
    fun = jax.jit(lambda at, data, v: jax.jvp(lambda p: gradient(p, *data), (at,), (v,))[1])
    return lambda: jax.block_until_ready(fun(*own))


def torch_double(kind, at, data, v):
    import torch

    own, direction, given = tensors(at, True), tensors(v), tensors(list(data))
    leaves = own if isinstance(own, list) else [own]
    along = direction if isinstance(direction, list) else [direction]

    def network(params, X, labels):
        W1, b1, W2, b2, W3, b3 = params
        h = torch.tanh(torch.addmm(b2, torch.tanh(torch.addmm(b1, X, W1)), W2))
        return torch.nn.functional.cross_entropy(torch.addmm(b3, h, W3), labels)

    objective = (lambda w, X, y: torch.nn.functional.binary_cross_entropy_with_logits(X @ w, y)) if kind == "logreg" else network

    def call():
        grads = torch.autograd.grad(objective(own, *given), leaves, create_graph=True)
        return torch.autograd.grad(grads, leaves, along)

    return call


WORKLOAD = Workload(
    title="Hessian–vector product",
    cases={"logreg": {"kind": "logreg", "n": 100_000}, "mlp_b64": {"kind": "mlp", "n": 64}},
    inputs=inputs,
    adc={"adc": adc_call},
    primal={"adc": primal},
    peers={"numpy_hand": numpy_hand, "jax": in_jax, "torch_double": torch_double},
    small={"n": 8},
    slow={"mlp_b64": ("numpy_hand",)},
)
