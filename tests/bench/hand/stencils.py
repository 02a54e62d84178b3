"""Adjoints of stencil sweeps by hand, in two forms.

In: a grid and a number of sweeps.  Out: value and gradient.  `*_hand` scatters: the backward loop visits the cells as the forward one does
and adds to what each cell read; `*_gather` writes each adjoint once, as a sum over the cells that read it.  `*_hand_par` is the scattering form split
over threads by rows (the two rows at a border belong to whoever owns them, so each thread gathers its border).
Linear sweeps keep nothing of the forward loop; the nonlinear one keeps its states.
"""

from __future__ import annotations

import numba
import numpy as np

FLAGS = {"reassoc", "contract", "nsz", "arcp"}
serial = numba.njit(error_model="numpy", fastmath=FLAGS)
parallel = numba.njit(error_model="numpy", fastmath=FLAGS, parallel=True)


# ---------------------------------------------------------------- Jacobi, two dimensions


@serial
def jacobi2d_forward(u0, steps):
    n, m = u0.shape
    u, v = u0.copy(), u0.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                v[i, j] = 0.2 * (u[i, j] + u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u, v = v, u
    value = 0.0
    for i in range(n):
        for j in range(m):
            value += u[i, j] * u[i, j]
            v[i, j] = 2.0 * u[i, j]
    return value, v, u


@serial
def jacobi2d_hand(u0, steps):
    n, m = u0.shape
    value, g, h = jacobi2d_forward(u0, steps)
    for _ in range(steps):
        for i in range(n):
            for j in range(m):
                h[i, j] = g[i, j] if i == 0 or i == n - 1 or j == 0 or j == m - 1 else 0.0
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = 0.2 * g[i, j]
                h[i, j] += c
                h[i - 1, j] += c
                h[i + 1, j] += c
                h[i, j - 1] += c
                h[i, j + 1] += c
        g, h = h, g
    return value, g


@serial
def jacobi2d_gather(u0, steps):
    """The rim's adjoint stands apart, and the grid's rim is held at zero, so that the inner loop has no condition."""
    n, m = u0.shape
    value, g, h = jacobi2d_forward(u0, steps)
    rim = g.copy()
    rim[1:-1, 1:-1] = 0.0
    for i in range(n):
        g[i, 0] = g[i, m - 1] = h[i, 0] = h[i, m - 1] = 0.0
    for j in range(m):
        g[0, j] = g[n - 1, j] = h[0, j] = h[n - 1, j] = 0.0
    for _ in range(steps):
        for i in range(1, n - 1):
            rim[i, 0] += 0.2 * g[i, 1]
            rim[i, m - 1] += 0.2 * g[i, m - 2]
        for j in range(1, m - 1):
            rim[0, j] += 0.2 * g[1, j]
            rim[n - 1, j] += 0.2 * g[n - 2, j]
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                h[i, j] = 0.2 * (g[i, j] + g[i - 1, j] + g[i + 1, j] + g[i, j - 1] + g[i, j + 1])
        g, h = h, g
    return value, g + rim


@parallel
def jacobi2d_hand_par(u0, steps, threads):
    n, m = u0.shape
    u, v = u0.copy(), u0.copy()
    for _ in range(steps):
        for i in numba.prange(1, n - 1):
            for j in range(1, m - 1):
                v[i, j] = 0.2 * (u[i, j] + u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u, v = v, u
    value = np.sum(u * u)
    g, h = 2.0 * u, v
    for _ in range(steps):
        for i in numba.prange(n):
            inside = 0 < i < n - 1
            for j in range(m):
                h[i, j] = 0.0 if inside and 0 < j < m - 1 else g[i, j]
            if inside:
                for j in range(1, m - 1):
                    c = 0.2 * g[i, j]
                    h[i, j] += c
                    h[i, j - 1] += c
                    h[i, j + 1] += c
            if i + 1 < n - 1:
                for j in range(1, m - 1):
                    h[i, j] += 0.2 * g[i + 1, j]
            if i - 1 > 0:
                for j in range(1, m - 1):
                    h[i, j] += 0.2 * g[i - 1, j]
        g, h = h, g
    return value, g


# ---------------------------------------------------------------- heat, three dimensions


@serial
def heat3d_forward(u0, steps):
    n = u0.shape[0]
    u, v = u0.copy(), u0.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    around = u[i - 1, j, k] + u[i + 1, j, k] + u[i, j - 1, k] + u[i, j + 1, k] + u[i, j, k - 1] + u[i, j, k + 1]
                    v[i, j, k] = 0.25 * u[i, j, k] + 0.125 * around
        u, v = v, u
    value = 0.0
    for i in range(n):
        for j in range(n):
            for k in range(n):
                value += u[i, j, k] * u[i, j, k]
                v[i, j, k] = 2.0 * u[i, j, k]
    return value, v, u


@serial
def heat3d_hand(u0, steps):
    n = u0.shape[0]
    value, g, h = heat3d_forward(u0, steps)
    for _ in range(steps):
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    rim = i == 0 or i == n - 1 or j == 0 or j == n - 1 or k == 0 or k == n - 1
                    h[i, j, k] = g[i, j, k] if rim else 0.0
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    c = 0.125 * g[i, j, k]
                    h[i, j, k] += 2.0 * c
                    h[i - 1, j, k] += c
                    h[i + 1, j, k] += c
                    h[i, j - 1, k] += c
                    h[i, j + 1, k] += c
                    h[i, j, k - 1] += c
                    h[i, j, k + 1] += c
        g, h = h, g
    return value, g


@serial
def heat3d_gather(u0, steps):
    n = u0.shape[0]
    value, g, h = heat3d_forward(u0, steps)
    rim = g.copy()
    rim[1:-1, 1:-1, 1:-1] = 0.0
    g -= rim
    h[:] = 0.0
    last = n - 1
    for _ in range(steps):
        for a in range(1, last):
            for b in range(1, last):
                rim[0, a, b] += 0.125 * g[1, a, b]
                rim[last, a, b] += 0.125 * g[last - 1, a, b]
                rim[a, 0, b] += 0.125 * g[a, 1, b]
                rim[a, last, b] += 0.125 * g[a, last - 1, b]
                rim[a, b, 0] += 0.125 * g[a, b, 1]
                rim[a, b, last] += 0.125 * g[a, b, last - 1]
        for i in range(1, last):
            for j in range(1, last):
                for k in range(1, last):
                    around = g[i - 1, j, k] + g[i + 1, j, k] + g[i, j - 1, k] + g[i, j + 1, k] + g[i, j, k - 1] + g[i, j, k + 1]
                    h[i, j, k] = 0.25 * g[i, j, k] + 0.125 * around
        g, h = h, g
    return value, g + rim


@parallel
def heat3d_hand_par(u0, steps, threads):
    n = u0.shape[0]
    u, v = u0.copy(), u0.copy()
    for _ in range(steps):
        for i in numba.prange(1, n - 1):
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    around = u[i - 1, j, k] + u[i + 1, j, k] + u[i, j - 1, k] + u[i, j + 1, k] + u[i, j, k - 1] + u[i, j, k + 1]
                    v[i, j, k] = 0.25 * u[i, j, k] + 0.125 * around
        u, v = v, u
    value = np.sum(u * u)
    g, h = 2.0 * u, v
    for _ in range(steps):
        for i in numba.prange(n):
            inside = 0 < i < n - 1
            for j in range(n):
                for k in range(n):
                    h[i, j, k] = 0.0 if inside and 0 < j < n - 1 and 0 < k < n - 1 else g[i, j, k]
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    if inside:
                        c = 0.125 * g[i, j, k]
                        h[i, j, k] += 2.0 * c
                        h[i, j - 1, k] += c
                        h[i, j + 1, k] += c
                        h[i, j, k - 1] += c
                        h[i, j, k + 1] += c
                    if i + 1 < n - 1:
                        h[i, j, k] += 0.125 * g[i + 1, j, k]
                    if i - 1 > 0:
                        h[i, j, k] += 0.125 * g[i - 1, j, k]
        g, h = h, g
    return value, g


# ---------------------------------------------------------------- a nonlinear step, two dimensions


@serial
def nonlinear2d_forward(u0, steps):
    n, m = u0.shape
    kept = np.empty((steps + 1, n, m))
    kept[0] = u0
    for t in range(steps):
        u, v = kept[t], kept[t + 1]
        v[0], v[n - 1] = u[0], u[n - 1]
        for i in range(1, n - 1):
            v[i, 0], v[i, m - 1] = u[i, 0], u[i, m - 1]
            for j in range(1, m - 1):
                c = u[i, j]
                v[i, j] = c + 0.1 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4.0 * c) + 0.05 * (c - c * c * c)
    value = 0.0
    g, h = np.empty((n, m)), np.empty((n, m))
    for i in range(n):
        for j in range(m):
            x = kept[steps, i, j]
            value += x * x
            g[i, j] = 2.0 * x
    return value, g, h, kept


@serial
def nonlinear2d_hand(u0, steps):
    n, m = u0.shape
    value, g, h, kept = nonlinear2d_forward(u0, steps)
    for t in range(steps - 1, -1, -1):
        u = kept[t]
        for i in range(n):
            for j in range(m):
                h[i, j] = g[i, j] if i == 0 or i == n - 1 or j == 0 or j == m - 1 else 0.0
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = u[i, j]
                w = 0.1 * g[i, j]
                h[i, j] += g[i, j] * (0.65 - 0.15 * c * c)
                h[i - 1, j] += w
                h[i + 1, j] += w
                h[i, j - 1] += w
                h[i, j + 1] += w
        g, h = h, g
    return value, g


@serial
def nonlinear2d_gather(u0, steps):
    n, m = u0.shape
    value, g, h, kept = nonlinear2d_forward(u0, steps)
    rim = g.copy()
    rim[1:-1, 1:-1] = 0.0
    g -= rim
    h[:] = 0.0
    for t in range(steps - 1, -1, -1):
        u = kept[t]
        for i in range(1, n - 1):
            rim[i, 0] += 0.1 * g[i, 1]
            rim[i, m - 1] += 0.1 * g[i, m - 2]
        for j in range(1, m - 1):
            rim[0, j] += 0.1 * g[1, j]
            rim[n - 1, j] += 0.1 * g[n - 2, j]
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = u[i, j]
                h[i, j] = g[i, j] * (0.65 - 0.15 * c * c) + 0.1 * (g[i - 1, j] + g[i + 1, j] + g[i, j - 1] + g[i, j + 1])
        g, h = h, g
    return value, g + rim


@parallel
def nonlinear2d_hand_par(u0, steps, threads):
    n, m = u0.shape
    kept = np.empty((steps + 1, n, m))
    kept[0] = u0
    for t in range(steps):
        kept[t + 1, 0], kept[t + 1, n - 1] = kept[t, 0], kept[t, n - 1]
        for i in numba.prange(1, n - 1):
            kept[t + 1, i, 0], kept[t + 1, i, m - 1] = kept[t, i, 0], kept[t, i, m - 1]
            for j in range(1, m - 1):
                c = kept[t, i, j]
                around = kept[t, i - 1, j] + kept[t, i + 1, j] + kept[t, i, j - 1] + kept[t, i, j + 1]
                kept[t + 1, i, j] = c + 0.1 * (around - 4.0 * c) + 0.05 * (c - c * c * c)
    u = kept[steps]
    value = np.sum(u * u)
    g, h = 2.0 * u, np.empty((n, m))
    for t in range(steps - 1, -1, -1):
        for i in numba.prange(n):
            inside = 0 < i < n - 1
            for j in range(m):
                h[i, j] = 0.0 if inside and 0 < j < m - 1 else g[i, j]
            if inside:
                for j in range(1, m - 1):
                    c = kept[t, i, j]
                    w = 0.1 * g[i, j]
                    h[i, j] += g[i, j] * (0.65 - 0.15 * c * c)
                    h[i, j - 1] += w
                    h[i, j + 1] += w
            if i + 1 < n - 1:
                for j in range(1, m - 1):
                    h[i, j] += 0.1 * g[i + 1, j]
            if i - 1 > 0:
                for j in range(1, m - 1):
                    h[i, j] += 0.1 * g[i - 1, j]
        g, h = h, g
    return value, g


# ---------------------------------------------------------------- Gauss–Seidel in place


@serial
def seidel2d_hand(u0, steps):
    n, m = u0.shape
    u = u0.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
    value = 0.0
    g = np.empty_like(u)
    for i in range(n):
        for j in range(m):
            value += u[i, j] * u[i, j]
            g[i, j] = 2.0 * u[i, j]
    for _ in range(steps):
        for i in range(n - 2, 0, -1):
            for j in range(m - 2, 0, -1):
                v = 0.25 * g[i, j]
                g[i, j] = 0.0
                g[i - 1, j] += v
                g[i + 1, j] += v
                g[i, j - 1] += v
                g[i, j + 1] += v
    return value, g
