"""A classifier 784-256-128-10 with ReLU in float32: value and gradient of a batch, and a whole step of Adam.

The step is one function for adc: gradient, moments and new parameters in one program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, in_torch, tensors

WIDTHS = (784, 256, 128, 10)
RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


def loss(params, X, labels):
    W1, b1, W2, b2, W3, b3 = params
    h = np.maximum(X @ W1 + b1, 0.0)
    h = np.maximum(h @ W2 + b2, 0.0)
    scores = h @ W3 + b3
    top = np.max(scores, axis=1)
    logsum = top + np.log(np.sum(np.exp(scores - top[:, None]), axis=1))
    return np.mean(logsum - scores[np.arange(len(labels)), labels])


def adam(params, m, v, count, X, labels):
    value, grads = adc.value_and_grad(loss)(params, X, labels)
    first, second = 1.0 - BETA1**count, 1.0 - BETA2**count
    new_m = [BETA1 * a + (1.0 - BETA1) * g for a, g in zip(m, grads)]
    new_v = [BETA2 * a + (1.0 - BETA2) * g * g for a, g in zip(v, grads)]
    new = [p - RATE * (a / first) / (np.sqrt(b / second) + EPS) for p, a, b in zip(params, new_m, new_v)]
    return value, new, new_m, new_v


GRADIENT, PRIMAL, STEP = adc.value_and_grad(loss), adc.jit(loss), adc.jit(adam)


def parameters(rng: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    made = []
    for a, b in zip(WIDTHS, WIDTHS[1:]):
        made += [(rng.normal(size=(a, b)) * np.sqrt(2.0 / a)).astype(np.float32), (0.1 * rng.normal(size=b)).astype(np.float32)]
    return made


def inputs(batch: int, step: bool) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    params = parameters(rng)
    X, labels = rng.random((batch, WIDTHS[0]), dtype=np.float32), rng.integers(0, WIDTHS[-1], batch)
    moments = [[0.01 * rng.standard_normal(p.shape, dtype=np.float32) for p in params], [1e-4 * rng.random(p.shape, dtype=np.float32) for p in params]]
    return step, params, moments, X, labels


def adc_call(step, params, moments, X, labels):
    if step:
        count = np.float32(3.0)
        return lambda: STEP(params, *moments, count, X, labels)
    return lambda: GRADIENT(params, X, labels)


def primal(step, params, moments, X, labels):
    return lambda: PRIMAL(params, X, labels)


def backward(params, X, labels):
    """Value and gradients by hand: NumPy's products, one thread or two as its BLAS has."""
    W1, b1, W2, b2, W3, b3 = params
    n = len(labels)
    rows = np.arange(n)
    h1 = np.maximum(X @ W1 + b1, 0)
    h2 = np.maximum(h1 @ W2 + b2, 0)
    scores = h2 @ W3 + b3
    scores -= scores.max(axis=1, keepdims=True)
    e = np.exp(scores)
    total = e.sum(axis=1, keepdims=True)
    value = np.mean(np.log(total[:, 0]) - scores[rows, labels])
    e /= total
    e[rows, labels] -= 1
    e /= np.float32(n)
    d2 = e @ W3.T
    d2 *= h2 > 0
    d1 = d2 @ W2.T
    d1 *= h1 > 0
    return value, [X.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ e, e.sum(0)]


def numpy_hand(step, params, moments, X, labels):
    def call():
        value, grads = backward(params, X, labels)
        if not step:
            return value, grads
        one = np.float32(1.0)
        first, second = one - np.float32(BETA1) ** np.float32(3), one - np.float32(BETA2) ** np.float32(3)
        m = [np.float32(BETA1) * a + np.float32(1 - BETA1) * g for a, g in zip(moments[0], grads)]
        v = [np.float32(BETA2) * a + np.float32(1 - BETA2) * g * g for a, g in zip(moments[1], grads)]
        new = [p - np.float32(RATE) * (a / first) / (np.sqrt(b / second) + np.float32(EPS)) for p, a, b in zip(params, m, v)]
        return value, new, m, v

    return call


def numba_hand(step, params, moments, X, labels):
    """NumPy's BLAS for the products, compiled loops for everything between, one pass over the parameters for Adam."""
    from tests.bench.hand.mlp import gradient, update

    def call():
        value, grads = gradient(*params, X, labels)
        if not step:
            return value, grads
        done = [update(p, g, a, b, RATE, BETA1, BETA2, EPS, 3) for p, g, a, b in zip(params, grads, *moments)]
        return value, [d[0] for d in done], [d[1] for d in done], [d[2] for d in done]

    return call


def in_jax(step, params, moments, X, labels):
    import jax
    import jax.numpy as jnp

    def objective(params, X, labels):
        W1, b1, W2, b2, W3, b3 = params
        h = jax.nn.relu(X @ W1 + b1)
        h = jax.nn.relu(h @ W2 + b2)
        scores = jax.nn.log_softmax(h @ W3 + b3)
        return -jnp.mean(scores[jnp.arange(len(labels)), labels])

    gradient = jax.value_and_grad(objective)

    def adam(params, m, v, X, labels):
        value, grads = gradient(params, X, labels)
        first, second = 1.0 - BETA1**3, 1.0 - BETA2**3
        m = [BETA1 * a + (1.0 - BETA1) * g for a, g in zip(m, grads)]
        v = [BETA2 * a + (1.0 - BETA2) * g * g for a, g in zip(v, grads)]
        return value, [p - RATE * (a / first) / (jnp.sqrt(b / second) + EPS) for p, a, b in zip(params, m, v)], m, v

    own = jax.tree.map(jnp.asarray, (params, X, labels))
    if not step:
        fun = jax.jit(gradient)
        return lambda: jax.block_until_ready(fun(*own))
    whole, state = jax.jit(adam), jax.tree.map(jnp.asarray, moments)
    return lambda: jax.block_until_ready(whole(own[0], *state, *own[1:]))


def torch_objective() -> Callable[..., Any]:
    import torch

    def objective(params, X, labels):
        W1, b1, W2, b2, W3, b3 = params
        h = torch.relu(torch.addmm(b1, X, W1))
        h = torch.relu(torch.addmm(b2, h, W2))
        return torch.nn.functional.cross_entropy(torch.addmm(b3, h, W3), labels)

    return objective


def torch_eager(step, params, moments, X, labels):
    if not step:
        return in_torch(torch_objective, (0,))(params, X, labels)
    import torch

    objective, own, (m, v) = torch_objective(), tensors(params, True), tensors(moments)
    data = tensors([X, labels])
    first, second = 1.0 - BETA1**3, 1.0 - BETA2**3

    def call():
        value = objective(own, *data)
        grads = torch.autograd.grad(value, own)
        with torch.no_grad():
            new_m = torch._foreach_add(torch._foreach_mul(m, BETA1), grads, alpha=1.0 - BETA1)
            new_v = torch._foreach_addcmul(torch._foreach_mul(v, BETA2), grads, grads, value=1.0 - BETA2)
            down = torch._foreach_add(torch._foreach_sqrt(torch._foreach_div(new_v, second)), EPS)
            new = torch._foreach_addcdiv(own, new_m, down, value=-RATE / first)
        return value, new, new_m, new_v

    return call


WORKLOAD = Workload(
    title="MLP 784-256-128-10, f32",
    cases={
        "b64": {"batch": 64, "step": False},
        "b512": {"batch": 512, "step": False},
        "adam_b64": {"batch": 64, "step": True},
    },
    inputs=inputs,
    adc={"adc": adc_call},
    primal={"adc": primal},
    peers={"numpy_hand": numpy_hand, "numba_hand": numba_hand, "jax": in_jax, "torch": torch_eager},
    small={"batch": 4},
)
