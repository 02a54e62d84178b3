"""The negative log likelihood of observations under a linear Gaussian state space model, by the Kalman filter.

The unknowns are the matrices themselves, those of the noise as factors.

Kalman (1960).  In the adjoint: the filter backwards; derivatives of solves are solves with the transposed matrix.
"""

import numpy as np

WRT = (0, 1, 2, 3)
REFERENCE = 21.39588284842
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((14.6919578759, 23.0462373193), (2.96056078357, 3.52162959022), (2.75353005499, -1.15681999312), (11.0587810264, 0.156623852663))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(A: "f8[d, d]", root_q: "f8[d, d]", H: "f8[k, d]", root_r: "f8[k, k]", mean: "f8[d]", cov: "f8[d, d]", ys: "f8[t, k]"):
    Q, R = root_q @ root_q.T, root_r @ root_r.T
    total = 0.0
    for y in ys:
        mean = A @ mean
        cov = A @ cov @ A.T + Q
        S = H @ cov @ H.T + R
        r = y - H @ mean
        gain = np.linalg.solve(S, H @ cov).T
        sign, logdet = np.linalg.slogdet(S)
        total += 0.5 * (np.dot(r, np.linalg.solve(S, r)) + logdet + len(r) * np.log(2.0 * np.pi))
        mean = mean + gain @ r
        cov = cov - gain @ S @ gain.T
    return total


def example_inputs(size=10):
    """(A, root_q, H, root_r, mean, cov, ys): `size` noisy observations of two coordinates of a slowly turning state of three."""
    rng = np.random.default_rng(21)
    c, s = np.cos(0.3), np.sin(0.3)
    A = 0.95 * np.array([[c, -s, 0.0], [s, c, 0.1], [0.0, 0.0, 1.0]])
    H = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, -0.3]])
    root_q = 0.3 * np.eye(3) + 0.05 * np.tri(3)
    root_r = np.array([[0.5, 0.0], [0.1, 0.4]])
    x = rng.normal(size=3)
    ys = np.zeros((size, 2))
    for t in range(size):
        x = A @ x + root_q @ rng.normal(size=3)
        ys[t] = H @ x + root_r @ rng.normal(size=2)
    return A, root_q, H, root_r, np.array([0.5, 0.0, -0.5]), np.eye(3), ys
