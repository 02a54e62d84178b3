"""Three layers by hand: BLAS for the products, ReLU and its derivative in the passes that add the biases; Adam in one pass."""

from __future__ import annotations

import numba
import numpy as np

FLAGS = {"reassoc", "contract", "nsz", "arcp"}


@numba.njit(error_model="numpy", fastmath=FLAGS)
def relu_in_place(h, b):
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            t = h[i, j] + b[j]
            h[i, j] = t if t > 0 else np.float32(0)


@numba.njit(error_model="numpy", fastmath=FLAGS)
def masked_with_sums(d, h, sums):
    """The adjoint before ReLU, in place, and its sums over the batch."""
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            t = d[i, j] if h[i, j] > 0 else np.float32(0)
            d[i, j] = t
            sums[j] += t


@numba.njit(error_model="numpy", fastmath=FLAGS)
def softmax_in_place(s, b, labels, sums):
    """Scores become the loss's adjoint; the value is returned."""
    n, c = s.shape
    value = 0.0
    for i in range(n):
        top = np.float32(-np.inf)
        for j in range(c):
            s[i, j] += b[j]
            top = max(top, s[i, j])
        own = s[i, labels[i]] - top
        total = np.float32(0)
        for j in range(c):
            s[i, j] = np.exp(s[i, j] - top)
            total += s[i, j]
        value += np.log(total) - own
        scale = np.float32(1) / (total * np.float32(n))
        for j in range(c):
            s[i, j] *= scale
        s[i, labels[i]] -= np.float32(1) / np.float32(n)
        for j in range(c):
            sums[j] += s[i, j]
    return value / n


@numba.njit(error_model="numpy", fastmath=FLAGS)
def update(p, g, m, v, rate, beta1, beta2, eps, count):
    """New parameter and moments in one pass."""
    new, new_m, new_v = np.empty_like(p), np.empty_like(p), np.empty_like(p)
    b1, b2, r, e = np.float32(beta1), np.float32(beta2), np.float32(rate), np.float32(eps)
    c1, c2 = np.float32(1 - beta1), np.float32(1 - beta2)
    first, second = np.float32(1 / (1 - beta1**count)), np.float32(1 / (1 - beta2**count))
    x, gx, mx, vx = p.ravel(), g.ravel(), m.ravel(), v.ravel()
    y, my, vy = new.ravel(), new_m.ravel(), new_v.ravel()
    for i in range(x.shape[0]):
        a = b1 * mx[i] + c1 * gx[i]
        b = b2 * vx[i] + c2 * gx[i] * gx[i]
        my[i], vy[i] = a, b
        y[i] = x[i] - r * (a * first) / (np.sqrt(b * second) + e)
    return new, new_m, new_v


def gradient(W1, b1, W2, b2, W3, b3, X, labels):
    """Value and the six gradients."""
    g1, g2, g3 = np.zeros_like(b1), np.zeros_like(b2), np.zeros_like(b3)
    h1 = X @ W1
    relu_in_place(h1, b1)
    h2 = h1 @ W2
    relu_in_place(h2, b2)
    s = h2 @ W3
    value = softmax_in_place(s, b3, labels, g3)
    d2 = s @ W3.T
    masked_with_sums(d2, h2, g2)
    d1 = d2 @ W2.T
    masked_with_sums(d1, h1, g1)
    return value, [X.T @ d1, g1, h1.T @ d2, g2, h2.T @ s, g3]
