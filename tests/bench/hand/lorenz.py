"""Lorenz by Runge–Kutta: the states are kept (three numbers a step), the four slopes of a step are computed again on the way back."""

from __future__ import annotations

import numba
import numpy as np

STEP = 0.001


@numba.njit(error_model="numpy", inline="always")
def slope(s, r, b, x, y, z):
    return s * (y - x), x * (r - z) - y, x * y - b * z


@numba.njit(error_model="numpy", inline="always")
def back(s, r, b, x, y, z, gx, gy, gz):
    """Adjoints of state and parameters from the adjoint g of a slope at (x, y, z)."""
    return (
        -s * gx + (r - z) * gy + y * gz,
        s * gx - gy + x * gz,
        -x * gy - b * gz,
        (y - x) * gx,
        x * gy,
        -z * gz,
    )


@numba.njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
def gradient(theta, n):
    s, r, b = theta[0], theta[1], theta[2]
    h = STEP
    kept = np.empty((n, 3))
    x, y, z = 1.0, 1.0, 1.0
    total = 0.0
    for t in range(n):
        kept[t, 0], kept[t, 1], kept[t, 2] = x, y, z
        ax, ay, az = slope(s, r, b, x, y, z)
        bx, by, bz = slope(s, r, b, x + 0.5 * h * ax, y + 0.5 * h * ay, z + 0.5 * h * az)
        cx, cy, cz = slope(s, r, b, x + 0.5 * h * bx, y + 0.5 * h * by, z + 0.5 * h * bz)
        dx, dy, dz = slope(s, r, b, x + h * cx, y + h * cy, z + h * cz)
        x += h / 6.0 * (ax + 2.0 * bx + 2.0 * cx + dx)
        y += h / 6.0 * (ay + 2.0 * by + 2.0 * cy + dy)
        z += h / 6.0 * (az + 2.0 * bz + 2.0 * cz + dz)
        total += x * x
    gx, gy, gz = 0.0, 0.0, 0.0
    gs, gr, gb = 0.0, 0.0, 0.0
    last = x
    for t in range(n - 1, -1, -1):
        gx += 2.0 * last / n
        x, y, z = kept[t, 0], kept[t, 1], kept[t, 2]
        last = x
        ax, ay, az = slope(s, r, b, x, y, z)
        x1, y1, z1 = x + 0.5 * h * ax, y + 0.5 * h * ay, z + 0.5 * h * az
        bx, by, bz = slope(s, r, b, x1, y1, z1)
        x2, y2, z2 = x + 0.5 * h * bx, y + 0.5 * h * by, z + 0.5 * h * bz
        cx, cy, cz = slope(s, r, b, x2, y2, z2)
        x3, y3, z3 = x + h * cx, y + h * cy, z + h * cz
        w = h / 6.0
        px, py, pz, qs, qr, qb = back(s, r, b, x3, y3, z3, w * gx, w * gy, w * gz)
        ux, uy, uz = px, py, pz
        gs += qs
        gr += qr
        gb += qb
        w = h / 3.0
        px, py, pz, qs, qr, qb = back(s, r, b, x2, y2, z2, w * gx + h * px, w * gy + h * py, w * gz + h * pz)
        ux, uy, uz = ux + px, uy + py, uz + pz
        gs += qs
        gr += qr
        gb += qb
        k = 0.5 * h
        px, py, pz, qs, qr, qb = back(s, r, b, x1, y1, z1, w * gx + k * px, w * gy + k * py, w * gz + k * pz)
        ux, uy, uz = ux + px, uy + py, uz + pz
        gs += qs
        gr += qr
        gb += qb
        w = h / 6.0
        px, py, pz, qs, qr, qb = back(s, r, b, x, y, z, w * gx + k * px, w * gy + k * py, w * gz + k * pz)
        gx, gy, gz = gx + ux + px, gy + uy + py, gz + uz + pz
        gs += qs
        gr += qr
        gb += qb
    return total / n, np.array([gs, gr, gb])
