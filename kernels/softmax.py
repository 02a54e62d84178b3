"""Softmax regression (multinomial logistic regression): the mean cross entropy of integer labels.

The logarithm of the sum is taken after subtracting the largest score, as everybody writes it.

In the adjoint: the gradient of one number picked from a row is one number put into a row of zeros; the labels are checked once,
before they are used.
"""

import numpy as np

WRT = (0, 1)
REFERENCE = 1.055055139048
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((0.846690772962, 0.115078128311), (0.182740273339, 0.168834181012))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(W: "f8[d, c]", b: "f8[c]", X: "f8[n, d]", labels: "i8[n]"):
    scores = X @ W + b
    scores = scores - np.max(scores, axis=1, keepdims=True)
    logp = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(len(labels)), labels])


def example_inputs(size=40):
    """(W, b, X, labels) for `size` examples of five features and three classes, each class around a centre of its own."""
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 3, size)
    X = rng.normal(size=(3, 5))[labels] + 0.7 * rng.normal(size=(size, 5))
    return 0.3 * rng.normal(size=(5, 3)), 0.1 * rng.normal(size=3), X, labels
