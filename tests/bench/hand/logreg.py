"""Logistic regression in one pass over X: an example's row is read once, for its score and for its share of the gradient.

In: w [d], X [n, d], y [n].  Out: the sum of losses and the sum of gradients [d].  Examples go in blocks of 256, so that the
exponentials of a block stand together and a block of X stays in the second-level cache.
"""

from __future__ import annotations

import numba
import numpy as np

BLOCK = 256


@numba.njit(error_model="numpy", nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"})
def examples(begin, end, w, X, y):
    d = w.shape[0]
    g = np.zeros_like(w)
    z = np.empty(BLOCK, X.dtype)
    value = 0.0
    one = X.dtype.type(1.0)
    zero = X.dtype.type(0.0)
    for start in range(begin, end, BLOCK):
        size = min(BLOCK, end - start)
        for b in range(size):
            dot = zero
            for j in range(d):
                dot += X[start + b, j] * w[j]
            z[b] = dot
        for b in range(size):
            t = z[b]
            e = np.exp(-abs(t))
            value += max(t, zero) + np.log1p(e) - y[start + b] * t
            z[b] = (one if t > zero else e) / (one + e) - y[start + b]
        for b in range(size):
            r = z[b]
            for j in range(d):
                g[j] += r * X[start + b, j]
    return value, g
