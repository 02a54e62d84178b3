"""Logistic regression: the mean negative log likelihood of binary labels.

>>> w, X, y = example_inputs(4)
>>> loss(w, X, y).shape
()
"""

import numpy as np

REFERENCE = 0.861840705146
"""The value of `loss(*example_inputs())`."""


def loss(w: "f8[d]", X: "f8[n, d]", y: "f8[n]"):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def example_inputs(size=50):
    """(w, X, y) for `size` examples of four features."""
    rng = np.random.default_rng(0)
    return rng.normal(size=4), rng.normal(size=(size, 4)), rng.integers(0, 2, size).astype(float)
