"""The Lorenz system through classical Runge–Kutta steps, held against observations of its first coordinate."""

import numpy as np

REFERENCE = 84.8033581189
"""The value of `loss(*example_inputs())`."""


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
