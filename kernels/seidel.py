"""Gauss–Seidel sweeps in place: every new value is used by the next one at once.  Linear, so nothing need be saved.

In the adjoint: the sweeps run backwards, points in reverse order, each value handed to its neighbours; no state of the grid is
saved, for the program is linear.
"""

import numpy as np

WRT = (0, 1)
REFERENCE = 44.55864343606
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((14.2577226499, -4.65147579277), (13.0178803198, 1.47260376142))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(u: "f8[n, n]", b: "f8[n, n]", sweeps: int):
    n = len(u)
    for _ in range(sweeps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
    return np.sum(u * u)


def example_inputs(size=8):
    """(u, b, sweeps) on a grid of `size` by `size` points."""
    rng = np.random.default_rng(3)
    return rng.random((size, size)), rng.random((size, size)), 3
