"""Linear regression with a ridge penalty and an intercept: the mean squared error of a line through many features.

Hoerl and Kennard (1970).  In the adjoint: the residual is computed once and read twice, `r_bar @ X` is the transposed product
that normal equations have.
"""

import numpy as np

WRT = (0, 1)
REFERENCE = 4.001973143099
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((2.84795866277, 1.92447467664), (0.957194710864, -0.957194710864))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(w: "f8[d]", b: float, X: "f8[n, d]", y: "f8[n]", penalty: float):
    r = X @ w + b - y
    return 0.5 * np.mean(r**2) + penalty * np.sum(w**2)


def example_inputs(size=50):
    """(w, b, X, y, penalty) for `size` examples of four features; the labels follow a line with noise."""
    rng = np.random.default_rng(10)
    X = rng.normal(size=(size, 4))
    y = X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.7 + 0.1 * rng.normal(size=size)
    return 0.5 * rng.normal(size=4), 0.2, X, y, 0.01
