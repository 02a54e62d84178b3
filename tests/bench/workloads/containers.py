"""Value and gradient of tiny networks whose parameters lie in containers: what taking them apart costs beside the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, in_jax


def dict_loss(params, x):
    return np.sum(np.tanh(params["w"] * x + params["b"]))


def pairs_loss(params, x):
    for w, b in params:
        x = np.tanh(w @ x + b)
    return np.sum(x)


LOSSES = {dict: dict_loss, list: pairs_loss}
GRADIENTS = {kind: adc.value_and_grad(loss) for kind, loss in LOSSES.items()}
PRIMALS = {kind: adc.jit(loss) for kind, loss in LOSSES.items()}


def inputs(kind: str) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=3)
    if kind == "dict":
        return {"w": rng.normal(size=3), "b": rng.normal(size=3)}, x
    return [(rng.normal(size=(3, 3)), rng.normal(size=3)) for _ in range(4)], x


def numpy_hand(params, x):
    def of_dict():
        y = np.tanh(params["w"] * x + params["b"])
        d = 1.0 - y * y
        return np.sum(y), {"w": d * x, "b": d}

    def of_pairs():
        kept = [x]
        for w, b in params:
            kept.append(np.tanh(w @ kept[-1] + b))
        bar, gradient = np.ones(3), []
        for (w, _), before, after in zip(params[::-1], kept[-2::-1], kept[:0:-1]):
            bar = bar * (1.0 - after * after)
            gradient.append((np.outer(bar, before), bar))
            bar = bar @ w
        return np.sum(kept[-1]), gradient[::-1]

    return of_dict if isinstance(params, dict) else of_pairs


def jax_objective() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def loss(params, x):
        if isinstance(params, dict):
            return jnp.sum(jnp.tanh(params["w"] * x + params["b"]))
        for w, b in params:
            x = jnp.tanh(w @ x + b)
        return jnp.sum(x)

    return jax.value_and_grad(loss)


def called(group: dict[type, Callable[..., Any]]) -> Callable[..., Callable[[], Any]]:
    def make(params, x):
        fun = group[type(params)]
        return lambda: fun(params, x)

    return make


WORKLOAD = Workload(
    title="parameters in containers",
    cases={"dict of 2": {"kind": "dict"}, "4 pairs": {"kind": "pairs"}},
    inputs=inputs,
    adc={"adc": called(GRADIENTS)},
    primal={"adc": called(PRIMALS)},
    peers={"numpy_hand": numpy_hand, "jax": in_jax(jax_objective)},
)
