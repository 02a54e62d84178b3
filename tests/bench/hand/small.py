"""Small functions by hand: a sum of sines, and a network of two inputs, three hidden units and two outputs.

The network keeps an example's numbers in registers; its parameters' gradients are summed over examples in the same pass.
"""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(error_model="numpy")
def sine(x):
    g = np.empty_like(x)
    value = 0.0
    for i in range(x.shape[0]):
        s = math.sin(x[i])
        value += s * x[i]
        g[i] = math.cos(x[i]) * x[i] + s
    return value, g


@numba.njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
def network(W1, b1, W2, b2, X, Y):
    n, inside = X.shape
    hidden, outside = W2.shape
    dW1, db1, dW2, db2 = np.zeros_like(W1), np.zeros_like(b1), np.zeros_like(W2), np.zeros_like(b2)
    h, dh = np.empty(hidden), np.empty(hidden)
    value = 0.0
    scale = 2.0 / (n * outside)
    for i in range(n):
        for j in range(hidden):
            z = b1[j]
            for k in range(inside):
                z += X[i, k] * W1[k, j]
            h[j] = math.tanh(z)
            dh[j] = 0.0
        for o in range(outside):
            z = b2[o]
            for j in range(hidden):
                z += h[j] * W2[j, o]
            y = math.tanh(z)
            r = y - Y[i, o]
            value += r * r
            d = scale * r * (1.0 - y * y)
            db2[o] += d
            for j in range(hidden):
                dW2[j, o] += h[j] * d
                dh[j] += W2[j, o] * d
        for j in range(hidden):
            d = dh[j] * (1.0 - h[j] * h[j])
            db1[j] += d
            for k in range(inside):
                dW1[k, j] += X[i, k] * d
    return value / (n * outside), (dW1, db1, dW2, db2)
