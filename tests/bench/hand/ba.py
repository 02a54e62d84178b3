"""The Jacobian of a reprojection error by hand: rotation, projection and distortion derived once, no array per observation."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
def jacobian(cams, points, weights, seen, pixels):
    """Rows [p, 2, 15] in the order camera, point, weight; and the derivatives [p] of the weights' errors 1 - w^2."""
    n = weights.shape[0]
    out = np.empty((n, 2, 15))
    error = np.empty(n)
    dp = np.empty((3, 6))
    for k in range(n):
        cam, x, weight = cams[seen[k, 0]], points[seen[k, 1]], weights[k]
        a0, a1, a2 = cam[0], cam[1], cam[2]
        v0, v1, v2 = x[0] - cam[3], x[1] - cam[4], x[2] - cam[5]
        theta = math.sqrt(a0 * a0 + a1 * a1 + a2 * a2)
        c, s = math.cos(theta), math.sin(theta)
        inverse = 1.0 / theta
        w0, w1, w2 = a0 * inverse, a1 * inverse, a2 * inverse
        dot, rest = w0 * v0 + w1 * v1 + w2 * v2, 1.0 - c
        x0, x1, x2 = w1 * v2 - w2 * v1, w2 * v0 - w0 * v2, w0 * v1 - w1 * v0
        p0 = v0 * c + x0 * s + w0 * dot * rest
        p1 = v1 * c + x1 * s + w1 * dot * rest
        p2 = v2 * c + x2 * s + w2 * dot * rest
        t0 = -v0 * s + x0 * c + w0 * dot * s  # derivative in theta
        t1 = -v1 * s + x1 * c + w1 * dot * s
        t2 = -v2 * s + x2 * c + w2 * dot * s
        for j in range(3):
            wj = w0 if j == 0 else (w1 if j == 1 else w2)
            # the axis moves by (e_j - w_j w) / theta
            e0 = ((1.0 if j == 0 else 0.0) - wj * w0) * inverse
            e1 = ((1.0 if j == 1 else 0.0) - wj * w1) * inverse
            e2 = ((1.0 if j == 2 else 0.0) - wj * w2) * inverse
            along = (e0 * v0 + e1 * v1 + e2 * v2) * rest
            dp[0, j] = t0 * wj + (e1 * v2 - e2 * v1) * s + e0 * dot * rest + w0 * along
            dp[1, j] = t1 * wj + (e2 * v0 - e0 * v2) * s + e1 * dot * rest + w1 * along
            dp[2, j] = t2 * wj + (e0 * v1 - e1 * v0) * s + e2 * dot * rest + w2 * along
        # the rotation's matrix: how p moves with the point
        dp[0, 3], dp[0, 4], dp[0, 5] = c + w0 * w0 * rest, w0 * w1 * rest - w2 * s, w0 * w2 * rest + w1 * s
        dp[1, 3], dp[1, 4], dp[1, 5] = w1 * w0 * rest + w2 * s, c + w1 * w1 * rest, w1 * w2 * rest - w0 * s
        dp[2, 3], dp[2, 4], dp[2, 5] = w2 * w0 * rest - w1 * s, w2 * w1 * rest + w0 * s, c + w2 * w2 * rest
        down = 1.0 / p2
        u0, u1 = p0 * down, p1 * down
        square = u0 * u0 + u1 * u1
        factor = 1.0 + cam[9] * square + cam[10] * square * square
        slope = 2.0 * (cam[9] + 2.0 * cam[10] * square)
        f = cam[6] * weight
        q00, q01, q11 = f * (factor + slope * u0 * u0), f * slope * u0 * u1, f * (factor + slope * u1 * u1)
        for j in range(6):
            d0 = (dp[0, j] - u0 * dp[2, j]) * down
            d1 = (dp[1, j] - u1 * dp[2, j]) * down
            r0, r1 = q00 * d0 + q01 * d1, q01 * d0 + q11 * d1
            if j < 3:
                out[k, 0, j], out[k, 1, j] = r0, r1
            else:
                out[k, 0, j], out[k, 1, j] = -r0, -r1
                out[k, 0, j + 8], out[k, 1, j + 8] = r0, r1
        out[k, 0, 6], out[k, 1, 6] = weight * u0 * factor, weight * u1 * factor
        out[k, 0, 7], out[k, 1, 7] = weight, 0.0
        out[k, 0, 8], out[k, 1, 8] = 0.0, weight
        out[k, 0, 9], out[k, 1, 9] = f * u0 * square, f * u1 * square
        out[k, 0, 10], out[k, 1, 10] = f * u0 * square * square, f * u1 * square * square
        out[k, 0, 14] = cam[6] * u0 * factor + cam[7] - pixels[k, 0]
        out[k, 1, 14] = cam[6] * u1 * factor + cam[8] - pixels[k, 1]
        error[k] = -2.0 * weight
    return out, error
