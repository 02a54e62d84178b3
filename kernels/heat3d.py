"""Heat in a block: explicit steps in three dimensions with a conductivity of its own at every point, by loops over two buffers.

As PolyBench's heat-3d, but the conductivity grows with temperature, so the steps are nonlinear and every state is needed again.

In the adjoint: one grid is saved per step, nothing else; the two buffers swap in reverse as they did.
"""

import numpy as np

WRT = (0, 1)
REFERENCE = 25.23240669778
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((9.53879329065, -15.12243041), (0.480741559424, 0.252872889105))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(u: "f8[n, m, l]", conductivity: "f8[n, m, l]", measured: "f8[n, m, l]", slope: float, dt: float, steps: int):
    n, m, l = u.shape
    v = u.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                for k in range(1, l - 1):
                    around = u[i - 1, j, k] + u[i + 1, j, k] + u[i, j - 1, k] + u[i, j + 1, k] + u[i, j, k - 1] + u[i, j, k + 1]
                    v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
        u, v = v, u
    return np.sum((u - measured) ** 2)


def example_inputs(size=5):
    """(u, conductivity, measured, slope, dt, steps) on a block of `size` by `size + 1` by `size` points."""
    rng = np.random.default_rng(20)
    shape = (size, size + 1, size)
    return rng.random(shape), 0.5 + rng.random(shape), rng.random(shape), 0.3, 0.05, 4
