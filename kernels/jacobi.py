"""Jacobi sweeps of the Poisson equation on a grid, by slices; the loss is the distance from a wanted potential.

The rim is held.  Linear, so the reverse sweep needs nothing of the forward one but its end.

In the adjoint: what a point hands out to four neighbours; no grid is saved, for the program is linear.
"""

import numpy as np

WRT = (0, 1)
REFERENCE = 10.24884528101
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((5.24121061055, 2.71566187911), (1.74838599739, 0.451840725116))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(u: "f8[n, m]", source: "f8[n, m]", wanted: "f8[n, m]", sweeps: int):
    for _ in range(sweeps):
        new = u.copy()
        new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + source[1:-1, 1:-1])
        u = new
    return np.sum((u - wanted) ** 2)


def example_inputs(size=8):
    """(u, source, wanted, sweeps) on a grid of `size` by `size + 1` points."""
    rng = np.random.default_rng(19)
    shape = (size, size + 1)
    return rng.random(shape), 0.1 * rng.normal(size=shape), rng.random(shape), 6
