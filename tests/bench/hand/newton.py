"""Kepler's equation by Newton: through the iterations (their values are kept for one element), and at the solution."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(error_model="numpy")
def iterations(e, M, x):
    n = M.shape[0]
    gM = np.empty(n)
    kept = np.empty(64)
    value, ge = 0.0, 0.0
    for k in range(n):
        E = M[k]
        step = 1.0
        count = 0
        while abs(step) > 1e-12:
            kept[count] = E
            count += 1
            step = (E - e * math.sin(E) - M[k]) / (1.0 - e * math.cos(E))
            E -= step
        r = math.cos(E) - e - x[k]
        value += r * r
        ge -= 2.0 * r
        g = -2.0 * r * math.sin(E)
        m = 0.0
        for t in range(count - 1, -1, -1):
            E = kept[t]
            s, c = math.sin(E), math.cos(E)
            down = 1.0 / (1.0 - e * c)
            step = (E - e * s - M[k]) * down
            # E' = E - f / f': the derivative in E is f f'' / f'^2
            m += g * down
            ge += g * down * (s - step * c)
            g *= step * down * e * s
        gM[k] = m + g
    return value, (ge, gM)


@numba.njit(error_model="numpy")
def implicit(e, M, x):
    n = M.shape[0]
    gM = np.empty(n)
    value, ge = 0.0, 0.0
    for k in range(n):
        E = M[k]
        step = 1.0
        while abs(step) > 1e-12:
            step = (E - e * math.sin(E) - M[k]) / (1.0 - e * math.cos(E))
            E -= step
        s, c = math.sin(E), math.cos(E)
        r = c - e - x[k]
        value += r * r
        g = -2.0 * r * s / (1.0 - e * c)
        ge += g * s - 2.0 * r
        gM[k] = g
    return value, (ge, gM)
