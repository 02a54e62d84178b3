"""A multilayer perceptron with three activations, ReLU, ELU and tanh, and a cross entropy at its end.

The parameters are a list of (matrix, bias) pairs; the loop over layers is unrolled while compiling, as the list's length is static.

Rumelhart, Hinton and Williams (1986); ELU: Clevert et al. (2015).  In the adjoint: products with transposed matrices, and one
mask or factor per activation.
"""

import numpy as np

WRT = (0,)
REFERENCE = 1.155814907277
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((0.903298422829, 1.08315441625),)
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def relu(x):
    return np.maximum(x, 0.0)


def elu(x):
    return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))


ACTIVATIONS = (relu, elu, np.tanh)


def loss(layers: "[(f8[a, b], f8[b]), (f8[b, c], f8[c]), (f8[c, d], f8[d]), (f8[d, e], f8[e])]", X: "f8[n, a]", labels: "i8[n]"):
    h = X
    for activation, (W, b) in zip(ACTIVATIONS, layers[:-1]):
        h = activation(h @ W + b)
    W, b = layers[-1]
    scores = h @ W + b
    top = np.max(scores, axis=1)
    logsum = top + np.log(np.sum(np.exp(scores - top[:, None]), axis=1))
    return np.mean(logsum - scores[np.arange(len(labels)), labels])


def example_inputs(size=10):
    """(layers, X, labels) for `size` examples of four features, hidden layers of 6, 5 and 4 units, three classes."""
    rng = np.random.default_rng(15)
    widths = [4, 6, 5, 4, 3]
    layers = [(rng.normal(size=(a, b)) * np.sqrt(2.0 / a), 0.1 * rng.normal(size=b)) for a, b in zip(widths, widths[1:])]
    return layers, rng.normal(size=(size, 4)), rng.integers(0, 3, size)
