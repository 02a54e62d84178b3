"""Bundle adjustment: how far the points seen by cameras are from where the model puts them (ADBench, after Triggs et al. 1999).

A camera has 11 numbers: an angle–axis rotation, its centre, focal length, principal point, two numbers of radial distortion.
Each observation joins a camera and a point, and has a weight that is itself an unknown, held near one.

Triggs et al. (1999).  In the adjoint: each observation adds to one camera and one point only, at indices that the data give;
Rodrigues' formula keeps both its branches.
"""

import numpy as np

WRT = (0, 1, 2)
REFERENCE = 9.301843344092
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((21.7360003242, 23.0143524075), (1.58542505683, -1.27880043039), (5.48023522237, 0.257518441573))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def rotate(axis, x):
    """Rodrigues' formula."""
    square = np.sum(axis * axis)
    if square == 0.0:
        return x + np.cross(axis, x)
    theta = np.sqrt(square)
    c, s = np.cos(theta), np.sin(theta)
    w = axis / theta
    return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))


def project(cam, x):
    """The pixel where a camera sees a point."""
    p = rotate(cam[0:3], x - cam[3:6])
    u = p[0:2] / p[2]
    square = np.sum(u * u)
    distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
    return distorted * cam[6] + cam[7:9]


def loss(cams: "f8[n, 11]", points: "f8[m, 3]", weights: "f8[p]", seen: "i8[p, 2]", pixels: "f8[p, 2]"):
    total = 0.0
    for k in range(len(weights)):
        i, j = seen[k, 0], seen[k, 1]
        e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        total += e[0] ** 2 + e[1] ** 2 + (1.0 - weights[k] ** 2) ** 2
    return 0.5 * total


def example_inputs(size=24):
    """(cams, points, weights, seen, pixels) for `size` observations of 8 points by 3 cameras, observation k by camera k % 3 of point k % 8."""
    rng = np.random.default_rng(12)
    n, m = 3, 8
    cams = np.zeros((n, 11))
    cams[:, 0:3] = 0.2 * rng.normal(size=(n, 3))
    cams[:, 3:6] = np.array([0.0, 0.0, -6.0]) + 0.3 * rng.normal(size=(n, 3))
    cams[:, 6] = 1.5
    cams[:, 7:9] = 0.1 * rng.normal(size=(n, 2))
    cams[:, 9:11] = 0.05 * rng.normal(size=(n, 2))
    points = rng.normal(size=(m, 3))
    seen = np.stack([np.arange(size) % n, np.arange(size) % m], axis=1)
    pixels = 0.3 * rng.normal(size=(size, 2))
    return cams, points, 1.0 + 0.1 * rng.normal(size=size), seen, pixels
