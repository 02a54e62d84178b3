"""Hand tracking: 26 angles bend a skeleton of 22 bones, the bones move a skin, the skin should meet measured points (ADBench, simple).

After Taylor et al. 2014.  Matrices are 4 by 4 and homogeneous; a bone's parent stands before it.

In the adjoint: the chain of bones backwards, from finger tips to the wrist: each bone's matrix hands its derivative to its
parent.
"""

import numpy as np

WRT = (0,)
REFERENCE = 77.275973537
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((23.5752087599, 22.8243663463),)
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


BONES = 22


def pose(theta):
    """Three rows of globals (rotation, scale, translation), then one row of Euler angles per bone."""
    rows = np.zeros((BONES + 3, 3))
    rows[0] = theta[0:3]
    rows[1] = 1.0
    rows[2] = theta[3:6]
    at = 6
    row = 5
    for _finger in range(5):
        for joint in range(3):
            rows[row, 0] = theta[at]
            at += 1
            if joint == 0:
                rows[row, 1] = theta[at]
                at += 1
            row += 1
        row += 1
    return rows


def euler(angles):
    """Rotation about x, then y, then z; the angles come in the order x, z, y."""
    cx, cz, cy = np.cos(angles)
    sx, sz, sy = np.sin(angles)
    return np.array([
        [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        [cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz, 0.0],
        [-sy, sx * cy, cx * cy, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ])  # fmt: skip


def rotation(axis):
    """The matrix of an angle–axis rotation."""
    angle = np.sqrt(np.sum(axis**2))
    if angle < 1e-4:
        return np.eye(3)
    x, y, z = axis / angle
    c, s = np.cos(angle), np.sin(angle)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)


def skin(theta, parents, base_relative, inverse_base, base, weights):
    """The vertices' positions, [3, v]."""
    rows = pose(theta)
    absolute = np.zeros((BONES, 4, 4))
    positions = np.zeros((3, base.shape[1]))
    for i in range(BONES):
        relative = base_relative[i] @ euler(rows[i + 3])
        if parents[i] < 0:
            absolute[i] = relative
        else:
            absolute[i] = absolute[parents[i]] @ relative
        moved = (absolute[i] @ inverse_base[i])[:3] @ base
        positions += weights[i] * moved
    return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]


def loss(theta: "f8[26]", parents: "i8[22]", base_relative: "f8[22, 4, 4]", inverse_base: "f8[22, 4, 4]", base: "f8[4, v]", weights: "f8[22, v]",
         matches: "i8[p]", points: "f8[p, 3]"):  # fmt: skip
    vertices = skin(theta, parents, base_relative, inverse_base, base, weights)
    total = 0.0
    for k in range(len(matches)):
        e = points[k] - vertices[:, matches[k]]
        total += np.dot(e, e)
    return 0.5 * total


def example_inputs(size=30):
    """A hand with `size` vertices, each moved by two bones, and as many measured points: (theta, parents, …, matches, points)."""
    rng = np.random.default_rng(24)
    parents = np.array([-1, 0] + [b for finger in range(5) for b in (0, *range(2 + 4 * finger, 5 + 4 * finger))])
    base_relative = np.tile(np.eye(4), (BONES, 1, 1))
    base_relative[:, :3, 3] = 0.3 * rng.normal(size=(BONES, 3))
    inverse = np.zeros((BONES, 4, 4))
    absolute = np.zeros((BONES, 4, 4))
    for i in range(BONES):
        absolute[i] = base_relative[i] if parents[i] < 0 else absolute[parents[i]] @ base_relative[i]
        inverse[i] = np.linalg.inv(absolute[i])
    base = np.vstack([rng.normal(size=(3, size)), np.ones(size)])
    weights = np.zeros((BONES, size))
    first, share = rng.integers(0, BONES - 1, size), rng.random(size)
    weights[first, np.arange(size)] = share
    weights[first + 1, np.arange(size)] = 1.0 - share
    theta = 0.3 * rng.normal(size=26)
    return theta, parents, base_relative, inverse, base, weights, rng.integers(0, size, size), rng.normal(size=(size, 3))
