"""The negative log marginal likelihood of a Gaussian process with one length scale per input (Rasmussen and Williams, 2.30).

The unknowns are logarithms: of the length scales, the signal's size and the noise's.

In the adjoint: the derivative of the factorisation is two triangular solves around a lower triangle; that of a solve is a solve.
"""

import numpy as np

WRT = (0,)
REFERENCE = 12.68162077365
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((6.38124083507, -2.3858891788),)
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(logs: "f8[p]", X: "f8[n, d]", y: "f8[n]"):
    n, d = X.shape
    scaled = X / np.exp(logs[:d])
    signal, noise = np.exp(2.0 * logs[d]), np.exp(2.0 * logs[d + 1])
    square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
    K = signal * np.exp(-0.5 * square) + noise * np.eye(n)
    L = np.linalg.cholesky(K)
    alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    return 0.5 * np.dot(y, alpha) + np.sum(np.log(np.diag(L))) + 0.5 * n * np.log(2.0 * np.pi)


def example_inputs(size=14):
    """(logs, X, y) for `size` noisy values of a wave over two inputs."""
    rng = np.random.default_rng(22)
    X = rng.uniform(-2.0, 2.0, size=(size, 2))
    return np.array([0.1, 0.4, 0.2, -1.0]), X, np.sin(2.0 * X[:, 0]) + 0.3 * X[:, 1] + 0.1 * rng.normal(size=size)
