"""ADBench's LSTM: hidden values and memories are kept for every step, the gates are computed again on the way back."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(error_model="numpy", inline="always")
def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


@numba.njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
def gradient(main, extra, state, sequence):
    layers, _, _, b = main.shape
    n = sequence.shape[0] - 1
    kept = np.empty((n + 1, layers, 2, b))
    kept[0] = state
    soft = np.empty((n, b))
    x = np.empty(b)
    total = 0.0
    for t in range(n):
        for i in range(b):
            x[i] = sequence[t, i] * extra[0, i]
        for k in range(layers):
            w, c = main[k, 0], main[k, 1]
            for i in range(b):
                hidden, memory = kept[t, k, 0, i], kept[t, k, 1, i]
                forget = sigmoid(x[i] * w[0, i] + c[0, i])
                ingate = sigmoid(hidden * w[1, i] + c[1, i])
                outgate = sigmoid(x[i] * w[2, i] + c[2, i])
                memory = memory * forget + ingate * math.tanh(hidden * w[3, i] + c[3, i])
                kept[t + 1, k, 1, i] = memory
                x[i] = kept[t + 1, k, 0, i] = outgate * math.tanh(memory)
        norm = 2.0
        for i in range(b):
            soft[t, i] = math.exp(x[i] * extra[1, i] + extra[2, i])
            norm += soft[t, i]
        logarithm = math.log(norm)
        for i in range(b):
            total += sequence[t + 1, i] * (x[i] * extra[1, i] + extra[2, i] - logarithm)
            soft[t, i] /= norm
    scale = -1.0 / (n * b)
    gmain, gextra = np.zeros_like(main), np.zeros_like(extra)
    gh, gm, gx = np.zeros((layers, b)), np.zeros((layers, b)), np.empty(b)
    for t in range(n - 1, -1, -1):
        ones = 0.0
        for i in range(b):
            ones += sequence[t + 1, i]
        for i in range(b):
            gy = scale * (sequence[t + 1, i] - ones * soft[t, i])
            gextra[1, i] += gy * kept[t + 1, layers - 1, 0, i]
            gextra[2, i] += gy
            gx[i] = gy * extra[1, i]
        for k in range(layers - 1, -1, -1):
            w, c = main[k, 0], main[k, 1]
            for i in range(b):
                below = kept[t + 1, k - 1, 0, i] if k else sequence[t, i] * extra[0, i]
                hidden, memory = kept[t, k, 0, i], kept[t, k, 1, i]
                forget = sigmoid(below * w[0, i] + c[0, i])
                ingate = sigmoid(hidden * w[1, i] + c[1, i])
                outgate = sigmoid(below * w[2, i] + c[2, i])
                change = math.tanh(hidden * w[3, i] + c[3, i])
                curve = math.tanh(kept[t + 1, k, 1, i])
                g = gx[i] + gh[k, i]
                m = gm[k, i] + g * outgate * (1.0 - curve * curve)
                a = m * memory * forget * (1.0 - forget)
                d = m * change * ingate * (1.0 - ingate)
                o = g * curve * outgate * (1.0 - outgate)
                e = m * ingate * (1.0 - change * change)
                gmain[k, 0, 0, i] += a * below
                gmain[k, 0, 1, i] += d * hidden
                gmain[k, 0, 2, i] += o * below
                gmain[k, 0, 3, i] += e * hidden
                gmain[k, 1, 0, i] += a
                gmain[k, 1, 1, i] += d
                gmain[k, 1, 2, i] += o
                gmain[k, 1, 3, i] += e
                gx[i] = a * w[0, i] + o * w[2, i]
                gh[k, i] = d * w[1, i] + e * w[3, i]
                gm[k, i] = m * forget
        for i in range(b):
            gextra[0, i] += gx[i] * sequence[t, i]
    return scale * total, (gmain, gextra)
