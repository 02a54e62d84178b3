"""Mixture scores and their adjoint in blocks of points: products of a block with one matrix, fused loops between.

In: points x [n, d], constants base [k], means [k, d], matrices Q [k, d, d].  Out: value, and sums over the points: weights [k],
means' gradient [k, d], matrices' gradient [k, d, d].  No array of n × k × d numbers exists.
"""

from __future__ import annotations

import numba
import numpy as np

BLOCK = 64


@numba.njit(error_model="numpy", nogil=True, fastmath={"reassoc", "contract", "nsz", "arcp"})
def blocks(begin, end, base, means, Q, x):
    k, d = means.shape
    value = 0.0
    weights = np.zeros(k)
    dmeans = np.zeros((k, d))
    dQ = np.zeros((k, d, d))
    away = np.empty((k, d, BLOCK))
    q = np.empty((k, d, BLOCK))
    w = np.empty((k, BLOCK))
    back = np.empty((d, BLOCK))
    part = np.empty((d, d))
    top = np.empty(BLOCK)
    total = np.empty(BLOCK)
    small = d <= 16
    for start in range(begin, end, BLOCK):
        size = min(BLOCK, end - start)
        for b in range(size, BLOCK):
            top[b] = 0.0
        for j in range(k):
            for i in range(d):
                mean = means[j, i]
                for b in range(size):
                    away[j, i, b] = x[start + b, i] - mean
                for b in range(size, BLOCK):
                    away[j, i, b] = 0.0
            if small:
                for i in range(d):
                    for b in range(BLOCK):
                        q[j, i, b] = 0.0
                    for e in range(i + 1):
                        c = Q[j, i, e]
                        for b in range(BLOCK):
                            q[j, i, b] += c * away[j, e, b]
            else:
                np.dot(Q[j], away[j], q[j])
            for b in range(BLOCK):
                w[j, b] = 0.0
            for i in range(d):
                for b in range(BLOCK):
                    w[j, b] += q[j, i, b] * q[j, i, b]
            for b in range(BLOCK):
                w[j, b] = base[j] - 0.5 * w[j, b]
        for b in range(BLOCK):
            top[b] = w[0, b]
            total[b] = 0.0
        for j in range(1, k):
            for b in range(BLOCK):
                top[b] = w[j, b] if w[j, b] > top[b] else top[b]
        for j in range(k):
            for b in range(BLOCK):
                w[j, b] = np.exp(w[j, b] - top[b])
                total[b] += w[j, b]
        for b in range(size):
            value += np.log(total[b]) + top[b]
            total[b] = 1.0 / total[b]
        for b in range(size, BLOCK):
            total[b] = 0.0
        for j in range(k):
            mass = 0.0
            for b in range(BLOCK):
                w[j, b] *= total[b]
                mass += w[j, b]
            weights[j] += mass
            for i in range(d):
                for b in range(BLOCK):
                    q[j, i, b] *= -w[j, b]
            if small:
                for i in range(d):
                    shift = 0.0
                    for b in range(BLOCK):
                        shift += q[j, i, b]
                    for e in range(i + 1):
                        dmeans[j, e] -= shift * Q[j, i, e]
                        dot = 0.0
                        for b in range(BLOCK):
                            dot += q[j, i, b] * away[j, e, b]
                        dQ[j, i, e] += dot
            else:
                np.dot(q[j], away[j].T, part)
                for i in range(d):
                    for e in range(i + 1):
                        dQ[j, i, e] += part[i, e]
                np.dot(Q[j].T, q[j], back)
                for e in range(d):
                    shift = 0.0
                    for b in range(BLOCK):
                        shift += back[e, b]
                    dmeans[j, e] -= shift
    return value, weights, dmeans, dQ
