"""Logistic regression: the mean negative log likelihood of binary labels.

Cox (1958).  In the adjoint: the derivative of `logaddexp` is the sigmoid; nothing else of the forward sweep is kept than `z`.

>>> w, X, y = example_inputs(4)
>>> loss(w, X, y).shape
()
"""

import numpy as np

WRT = (0,)
REFERENCE = 0.8618407051461
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((0.353675499331, -0.0902037885029),)
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(w: "f8[d]", X: "f8[n, d]", y: "f8[n]"):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def example_inputs(size=50):
    """(w, X, y) for `size` examples of four features."""
    rng = np.random.default_rng(0)
    return rng.normal(size=4), rng.normal(size=(size, 4)), rng.integers(0, 2, size).astype(float)
