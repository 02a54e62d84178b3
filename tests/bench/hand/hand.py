"""The hand's Jacobian by kinematics: an angle of a finger turns only the bones behind it, so a vertex moves only by those.

In: the model, each vertex's bones and shares (padded with share 0), the corners of each point ([p, 1] for a vertex, [p, 3] for a
triangle, then `us` [p, 2]).  Out: [p, 3, 26], or [p, 3, 28] with the two derivatives of the place first.
"""

from __future__ import annotations

import math

import numba
import numpy as np


def lists(weights):
    """(bones [v, b], shares [v, b]) from the dense weights [22, v]."""
    most = int((weights != 0).sum(axis=0).max())
    bones = np.argsort(weights == 0, axis=0, kind="stable")[:most].T.copy()
    return bones, np.take_along_axis(weights.T, bones, axis=1).copy()


@numba.njit(error_model="numpy")
def turn(angles, which, out):
    """The rotation of angles (x, z, y), or its derivative in one of them (`which` 0 or 1; -1 is none)."""
    cx, cz, cy = math.cos(angles[0]), math.cos(angles[1]), math.cos(angles[2])
    sx, sz, sy = math.sin(angles[0]), math.sin(angles[1]), math.sin(angles[2])
    one, only = 1.0, 1.0
    if which == 0:
        sx, cx, one = cx, -sx, 0.0
    if which == 1:
        sz, cz, only = cz, -sz, 0.0
    # a term without x (or z) vanishes under the derivative in x (or z)
    out[0, 0], out[0, 1], out[0, 2] = one * cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz
    out[1, 0], out[1, 1], out[1, 2] = one * cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz
    out[2, 0], out[2, 1], out[2, 2] = -one * only * sy, only * sx * cy, only * cx * cy
    out[3, 3] = 1.0 if which < 0 else 0.0


@numba.njit(error_model="numpy")
def times(a, b, out):
    for i in range(4):
        for j in range(4):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j] + a[i, 3] * b[3, j]


@numba.njit(error_model="numpy")
def rotation(axis, R, dR):
    """The matrix of an angle–axis rotation and its three derivatives."""
    angle = math.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    w = axis / angle
    c, s = math.cos(angle), math.sin(angle)
    K, D = np.zeros((3, 3)), np.zeros((3, 3))
    K[0, 1], K[0, 2], K[1, 0], K[1, 2], K[2, 0], K[2, 1] = -w[2], w[1], w[2], -w[0], -w[1], w[0]
    for i in range(3):
        for j in range(3):
            R[i, j] = s * K[i, j] + (1.0 - c) * (w[i] * w[j] - (1.0 if i == j else 0.0)) + (1.0 if i == j else 0.0)
    for k in range(3):
        d = -w[k] * w / angle
        d[k] += 1.0 / angle
        D[0, 1], D[0, 2], D[1, 0], D[1, 2], D[2, 0], D[2, 1] = -d[2], d[1], d[2], -d[0], -d[1], d[0]
        for i in range(3):
            for j in range(3):
                square = w[i] * w[j] - (1.0 if i == j else 0.0)
                dR[k, i, j] = c * w[k] * K[i, j] + s * D[i, j] + s * w[k] * square + (1.0 - c) * (d[i] * w[j] + w[i] * d[j])


@numba.njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
def jacobian(theta, parents, relative, inverse, base, bones, shares, corners, points, us):
    n = parents.shape[0]
    angles = np.zeros((n, 3))
    owner = np.full((n, 2), -1)
    at, row = 6, 2
    for _ in range(5):
        angles[row, 0], angles[row, 1] = theta[at], theta[at + 1]
        angles[row + 1, 0], angles[row + 2, 0] = theta[at + 2], theta[at + 3]
        owner[row, 0], owner[row, 1], owner[row + 1, 0], owner[row + 2, 0] = at, at + 1, at + 2, at + 3
        at, row = at + 4, row + 4
    absolute = np.zeros((n, 4, 4))
    down = np.zeros((26, n, 4, 4))
    moves = np.zeros((n, 4), np.int64)  # the angles that move a bone
    count = np.zeros(n, np.int64)
    E, T, S = np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4))
    skinned = np.zeros((n, 4, 4))
    dskinned = np.zeros((26, n, 4, 4))
    for i in range(n):
        parent = parents[i]
        turn(angles[i], -1, E)
        times(relative[i], E, T)
        if parent < 0:
            absolute[i] = T
        else:
            times(absolute[parent], T, absolute[i])
            for q in range(count[parent]):
                k = moves[parent, q]
                moves[i, q] = k
                times(down[k, parent], T, down[k, i])
            count[i] = count[parent]
        for which in range(2):
            k = owner[i, which]
            if k >= 0:
                turn(angles[i], which, E)
                times(relative[i], E, S)
                if parent < 0:
                    down[k, i] = S
                else:
                    times(absolute[parent], S, down[k, i])
                moves[i, count[i]] = k
                count[i] += 1
        times(absolute[i], inverse[i], skinned[i])
        for q in range(count[i]):
            k = moves[i, q]
            times(down[k, i], inverse[i], dskinned[k, i])
    R, dR = np.empty((3, 3)), np.empty((3, 3, 3))
    rotation(theta[:3], R, dR)
    places = us.shape[0]
    first = 2 if places else 0
    p = points.shape[0]
    out = np.zeros((p, 3, first + 26))
    at_corner, local, moved = np.empty((3, 3)), np.empty(3), np.empty(3)
    for o in range(p):
        for i in range(3):
            local[i] = 0.0
        for corner in range(corners.shape[1]):
            share = 1.0
            if places:
                share = us[o, 0] if corner == 0 else (us[o, 1] if corner == 1 else 1.0 - us[o, 0] - us[o, 1])
            v = corners[o, corner]
            for i in range(3):
                at_corner[corner, i] = 0.0
            for q in range(bones.shape[1]):
                w, bone = shares[v, q], bones[v, q]
                if w == 0.0:
                    continue
                for i in range(3):
                    m = skinned[bone, i]
                    at_corner[corner, i] += w * (m[0] * base[0, v] + m[1] * base[1, v] + m[2] * base[2, v] + m[3] * base[3, v])
                for r in range(count[bone]):
                    k = moves[bone, r]
                    for i in range(3):
                        m = dskinned[k, bone, i]
                        moved[i] = share * w * (m[0] * base[0, v] + m[1] * base[1, v] + m[2] * base[2, v] + m[3] * base[3, v])
                    for i in range(3):
                        out[o, i, first + k] -= R[i, 0] * moved[0] + R[i, 1] * moved[1] + R[i, 2] * moved[2]
            for i in range(3):
                local[i] += share * at_corner[corner, i]
        for i in range(3):
            for k in range(3):
                out[o, i, first + k] = -(dR[k, i, 0] * local[0] + dR[k, i, 1] * local[1] + dR[k, i, 2] * local[2])
            out[o, i, first + 3 + i] = -1.0
        if places:
            for i in range(3):
                for k in range(2):
                    d = 0.0
                    for e in range(3):
                        d += R[i, e] * (at_corner[k, e] - at_corner[2, e])
                    out[o, i, k] = -d
    return out
