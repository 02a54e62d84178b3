"""The Lorenz system through classical Runge–Kutta steps, held against observations of its first coordinate.

Lorenz (1963).  In the adjoint: the state of each step is saved and the four slopes are computed again; they are undone from the
last to the first.
"""

import numpy as np

WRT = (0, 1)
REFERENCE = 84.80335811895
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((6.15214690412, 1.5776815622), (3.24538808482, 3.82455901216))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def slope(theta, u):
    x, y, z = u
    sigma, rho, beta = theta
    return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])


def loss(theta: "f8[3]", u: "f8[3]", observed: "f8[n]", h: float):
    total = 0.0
    for k in range(len(observed)):
        a = slope(theta, u)
        b = slope(theta, u + 0.5 * h * a)
        c = slope(theta, u + 0.5 * h * b)
        d = slope(theta, u + h * c)
        u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        total += (u[0] - observed[k]) ** 2
    return total / len(observed)


def example_inputs(size=60):
    """(theta, start, observed, h) for `size` steps; the observations are a plain sine."""
    return np.array([10.0, 28.0, 8.0 / 3.0]), np.array([1.0, 1.0, 1.0]), np.sin(np.linspace(0.0, 3.0, size)), 0.01
