"""A linear support vector machine: hinge loss and a quadratic penalty, one example after the other.

Cortes and Vapnik (1995).  In the adjoint: the branch is taken again in reverse; examples outside the margin contribute nothing.
"""

import numpy as np

WRT = (0, 1)
REFERENCE = 3.532828181613
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((2.763610297, 1.02472468854), (0.05, -0.05))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(w: "f8[d]", b: float, X: "f8[n, d]", y: "f8[n]", C: float):
    total = 0.0
    for i in range(len(y)):
        margin = y[i] * (np.dot(w, X[i]) + b)
        if margin < 1.0:
            total += 1.0 - margin
    return 0.5 * np.dot(w, w) + C * total / len(y)


def example_inputs(size=40):
    """(w, b, X, y, C) for `size` examples of three features."""
    rng = np.random.default_rng(2)
    y = np.where(rng.random(size) < 0.5, -1.0, 1.0)
    return rng.normal(size=3), 0.1, rng.normal(size=(size, 3)) + 0.8 * y[:, None], y, 2.0
