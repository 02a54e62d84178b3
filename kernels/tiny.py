"""A network of two inputs, three hidden units and two outputs, every sum a loop: what a first textbook program looks like.

In the adjoint: the lists and small loops are gone, unrolled while compiling; what is left is what one derives by hand.
"""

import math

WRT = (0, 1)
REFERENCE = 0.5931245803482
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((0.321105974588, 0.1157493397), (0.213335224265, -0.231991549986))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(V: "f8[3, 3]", W: "f8[2, 4]", x: "f8[n, 2]", y: "f8[n, 2]"):
    total = 0.0
    for i in range(len(x)):
        hidden = [0.0, 0.0, 0.0]
        for j in range(3):
            a = V[j, 2]
            for k in range(2):
                a += V[j, k] * x[i, k]
            hidden[j] = math.tanh(a)
        for o in range(2):
            a = W[o, 3]
            for j in range(3):
                a += W[o, j] * hidden[j]
            p = 1.0 / (1.0 + math.exp(-a))
            total += (p - y[i, o]) ** 2
    return total / len(x)


def example_inputs(size=20):
    """(V, W, x, y): `size` points of the plane, labelled inside or outside the circle, and left or right."""
    import numpy as np

    rng = np.random.default_rng(23)
    x = rng.uniform(-1.5, 1.5, size=(size, 2))
    y = np.stack([np.sum(x**2, axis=1) < 1.0, x[:, 0] > 0.0], axis=1).astype(float)
    return rng.normal(size=(3, 3)), rng.normal(size=(2, 4)), x, y
