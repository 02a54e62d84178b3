"""Heston path by path: two numbers a step are kept for the one path at hand, so the tape stays in the first-level cache."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(error_model="numpy", nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"})
def paths(begin, end, p, z, w, strike, rate, rho, other):
    """The sum of payoffs over the paths and its gradient [5]."""
    steps = z.shape[1]
    h = 1.0 / steps
    s0, v0, kappa, theta, sigma = p[0], p[1], p[2], p[3], p[4]
    g = np.zeros(5)
    kept_s, kept_v, factor = np.empty(steps), np.empty(steps), np.empty(steps)
    total = 0.0
    for k in range(begin, end):
        s, v, mean = s0, v0, 0.0
        for t in range(steps):
            kept_s[t], kept_v[t] = s, v
            positive = max(v, 0.0)
            root = np.sqrt(positive * h + 1e-16)
            factor[t] = np.exp((rate - 0.5 * positive) * h + root * z[k, t])
            s *= factor[t]
            v += kappa * (theta - positive) * h + sigma * root * (rho * z[k, t] + other * w[k, t])
            mean += s
        mean /= steps
        if mean <= strike:
            continue  # an unexercised path has neither value nor derivative
        total += mean - strike
        gs, gv = 0.0, 0.0
        for t in range(steps - 1, -1, -1):
            gs += 1.0 / steps
            v = kept_v[t]
            positive = max(v, 0.0)
            root = np.sqrt(positive * h + 1e-16)
            mixed = rho * z[k, t] + other * w[k, t]
            g[2] += gv * (theta - positive) * h
            g[3] += gv * kappa * h
            g[4] += gv * root * mixed
            ge = gs * kept_s[t] * factor[t]
            groot = ge * z[k, t] + gv * sigma * mixed
            gpos = -0.5 * h * ge - gv * kappa * h + groot * 0.5 * h / root
            gs *= factor[t]
            if v > 0.0:
                gv += gpos
        g[0] += gs
        g[1] += gv
    return total, g
