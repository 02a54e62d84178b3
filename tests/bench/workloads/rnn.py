"""LSTM and GRU with full matrices: 100 steps, 64 inputs and 64 hidden units, batch of 32, float32; gates in torch.nn's order."""

from __future__ import annotations

from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, tensors

WRT = (0, 1, 2, 3)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(W, U, b, c, xs):
    """W [4 h, d], U [4 h, h], b and c [4 h], xs [steps, batch, d]"""
    n = U.shape[1]
    h = np.zeros((xs.shape[1], n), dtype=np.float32)
    memory = np.zeros((xs.shape[1], n), dtype=np.float32)
    total = np.float32(0.0)
    for t in range(len(xs)):
        z = xs[t] @ W.T + h @ U.T + b + c
        i, f, g, o = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n]), np.tanh(z[:, 2 * n : 3 * n]), sigmoid(z[:, 3 * n :])
        memory = f * memory + i * g
        h = o * np.tanh(memory)
        total += np.sum(h * h)
    return total


def gru(W, U, b, c, xs):
    """W [3 h, d], U [3 h, h], b and c [3 h], xs [steps, batch, d]"""
    n = U.shape[1]
    h = np.zeros((xs.shape[1], n), dtype=np.float32)
    total = np.float32(0.0)
    for t in range(len(xs)):
        x = xs[t] @ W.T + b
        y = h @ U.T + c
        r, z = sigmoid(x[:, :n] + y[:, :n]), sigmoid(x[:, n : 2 * n] + y[:, n : 2 * n])
        new = np.tanh(x[:, 2 * n :] + r * y[:, 2 * n :])
        h = (1.0 - z) * new + z * h
        total += np.sum(h * h)
    return total


CELLS = {"lstm": lstm, "gru": gru}
GRADIENTS = {k: adc.value_and_grad(f, argnums=WRT) for k, f in CELLS.items()}
PRIMALS = {k: adc.jit(f) for k, f in CELLS.items()}


def inputs(kind: str, steps: int, batch: int, d: int, h: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    gates = 4 if kind == "lstm" else 3
    draw = lambda *shape: (rng.uniform(-1.0, 1.0, shape) / np.sqrt(h)).astype(np.float32)
    return kind, draw(gates * h, d), draw(gates * h, h), draw(gates * h), draw(gates * h), rng.standard_normal((steps, batch, d), dtype=np.float32)


def gradient(kind, *args):
    fun = GRADIENTS[kind]
    return lambda: fun(*args)


def primal(kind, *args):
    fun = PRIMALS[kind]
    return lambda: fun(*args)


def numpy_hand(kind, W, U, b, c, xs):
    """One product for the inputs of all steps before, one for the parameters' gradients after: only h @ U is left in the loop."""
    steps, batch, d = xs.shape
    n = U.shape[1]
    one = np.float32(1.0)

    def of_lstm():
        z = (xs.reshape(-1, d) @ W.T).reshape(steps, batch, -1) + (b + c)
        hs, ms = np.zeros((steps + 1, batch, n), np.float32), np.zeros((steps + 1, batch, n), np.float32)
        for t in range(steps):
            z[t] += hs[t] @ U.T
            g = np.tanh(z[t, :, 2 * n : 3 * n])
            z[t] = one / (one + np.exp(-z[t]))
            z[t, :, 2 * n : 3 * n] = g
            ms[t + 1] = z[t, :, n : 2 * n] * ms[t] + z[t, :, :n] * g
            hs[t + 1] = z[t, :, 3 * n :] * np.tanh(ms[t + 1])
        value = np.sum(hs * hs)
        dh, dm = np.zeros((batch, n), np.float32), np.zeros((batch, n), np.float32)
        for t in range(steps - 1, -1, -1):
            i, f, g, o = z[t, :, :n], z[t, :, n : 2 * n], z[t, :, 2 * n : 3 * n], z[t, :, 3 * n :]
            curve = np.tanh(ms[t + 1])
            dh += 2 * hs[t + 1]
            dm += dh * o * (one - curve * curve)
            new = np.concatenate([dm * g * i * (one - i), dm * ms[t] * f * (one - f), dm * i * (one - g * g), dh * curve * o * (one - o)], axis=1)
            dm = dm * f
            z[t] = new
            dh = new @ U
        dz = z.reshape(steps * batch, -1)
        db = dz.sum(0)
        return value, (dz.T @ xs.reshape(-1, d), dz.T @ hs[:-1].reshape(-1, n), db, db)

    def of_gru():
        x = (xs.reshape(-1, d) @ W.T).reshape(steps, batch, -1) + b
        y = np.empty_like(x)
        hs = np.zeros((steps + 1, batch, n), np.float32)
        for t in range(steps):
            y[t] = hs[t] @ U.T + c
            x[t, :, : 2 * n] = one / (one + np.exp(-(x[t, :, : 2 * n] + y[t, :, : 2 * n])))
            x[t, :, 2 * n :] = np.tanh(x[t, :, 2 * n :] + x[t, :, :n] * y[t, :, 2 * n :])
            u = x[t, :, n : 2 * n]
            hs[t + 1] = (one - u) * x[t, :, 2 * n :] + u * hs[t]
        value = np.sum(hs * hs)
        dh = np.zeros((batch, n), np.float32)
        for t in range(steps - 1, -1, -1):
            r, u, new = x[t, :, :n].copy(), x[t, :, n : 2 * n].copy(), x[t, :, 2 * n :].copy()
            dh += 2 * hs[t + 1]
            da = dh * (one - u) * (one - new * new)
            x[t, :, 2 * n :] = da
            x[t, :, n : 2 * n] = dh * (hs[t] - new) * u * (one - u)
            x[t, :, :n] = da * y[t, :, 2 * n :] * r * (one - r)
            y[t] = x[t]
            y[t, :, 2 * n :] = da * r
            dh = dh * u + y[t] @ U
        dx, dy = x.reshape(steps * batch, -1), y.reshape(steps * batch, -1)
        return value, (dx.T @ xs.reshape(-1, d), dy.T @ hs[:-1].reshape(-1, n), dx.sum(0), dy.sum(0))

    return of_lstm if kind == "lstm" else of_gru


def in_jax(kind, W, U, b, c, xs):
    import jax
    import jax.numpy as jnp

    n = U.shape[1]

    def of_lstm(W, U, b, c, xs):
        before = xs @ W.T + (b + c)

        def step(state, x):
            h, memory = state
            i, f, g, o = jnp.split(x + h @ U.T, 4, axis=1)
            memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(memory)
            return (h, memory), jnp.sum(h * h)

        zero = jnp.zeros((xs.shape[1], n), jnp.float32)
        return jnp.sum(jax.lax.scan(step, (zero, zero), before)[1])

    def of_gru(W, U, b, c, xs):
        before = xs @ W.T + b

        def step(h, x):
            y = h @ U.T + c
            r, z = jax.nn.sigmoid(x[:, :n] + y[:, :n]), jax.nn.sigmoid(x[:, n : 2 * n] + y[:, n : 2 * n])
            h = (1.0 - z) * jnp.tanh(x[:, 2 * n :] + r * y[:, 2 * n :]) + z * h
            return h, jnp.sum(h * h)

        return jnp.sum(jax.lax.scan(step, jnp.zeros((xs.shape[1], n), jnp.float32), before)[1])

    fun = jax.jit(jax.value_and_grad(of_lstm if kind == "lstm" else of_gru, argnums=WRT))
    own = [jnp.asarray(a) for a in (W, U, b, c, xs)]
    return lambda: jax.block_until_ready(fun(*own))


def torch_nn(kind, W, U, b, c, xs):
    import torch

    module = (torch.nn.LSTM if kind == "lstm" else torch.nn.GRU)(W.shape[1], U.shape[1])
    parameters = list(module.parameters())
    with torch.no_grad():
        for own, given in zip(parameters, tensors([W, U, b, c])):
            own.copy_(given)
    data = torch.from_numpy(xs)

    def call():
        out = module(data)[0]
        value = torch.sum(out * out)
        return value, torch.autograd.grad(value, parameters)

    return call


WORKLOAD = Workload(
    title="LSTM and GRU, 100 steps, f32",
    cases={k: {"kind": k, "steps": 100, "batch": 32, "d": 64, "h": 64} for k in CELLS},
    inputs=inputs,
    adc={"adc": gradient},
    primal={"adc": primal},
    peers={"numpy_hand": numpy_hand, "jax": in_jax, "torch_nn": torch_nn},
    small={"steps": 3, "batch": 2, "d": 4, "h": 5},
    single=1e-4,  # the value: adc adds 200,000 squares in one float32 number (4.8e-5 from float64), its peers in parts (6e-8)
)
