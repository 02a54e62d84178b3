"""An Asian call under Heston's stochastic volatility (1993), priced by Monte Carlo, path by path.

Euler steps with full truncation: where the variance falls below zero, its positive part is used.  The normal numbers are inputs,
so the derivative is that of the very paths that were drawn (pathwise sensitivities).

Heston (1993); Broadie and Glasserman (1996) for pathwise sensitivities.  In the adjoint: price and variance of one path are saved
at a time, never those of all; a path that ends out of the money gives nothing.
"""

import numpy as np

WRT = (0,)
REFERENCE = 4.72551846744
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((44.7364573294, 23.5161646493),)
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def path_mean(model, z, h):
    """The mean of one path's prices."""
    s0, v0, kappa, theta, sigma, rho, rate = model
    s, v, total = s0, v0, 0.0
    for t in range(len(z)):
        positive = max(v, 0.0)
        root = np.sqrt(positive * h)
        first = z[t, 0]
        second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
        s = s * np.exp((rate - 0.5 * positive) * h + root * first)
        v = v + kappa * (theta - positive) * h + sigma * root * second
        total += s
    return total / len(z)


def loss(model: "f8[7]", strike: float, horizon: float, z: "f8[p, t, 2]"):
    paths, steps, _ = z.shape
    h = horizon / steps
    total = 0.0
    for k in range(paths):
        total += max(path_mean(model, z[k], h) - strike, 0.0)
    return np.exp(-model[6] * horizon) * total / paths


def example_inputs(size=16):
    """(model, strike, horizon, z) for `size` paths of 12 months; model = [s0, v0, kappa, theta, sigma, rho, rate]."""
    rng = np.random.default_rng(18)
    return np.array([100.0, 0.04, 2.0, 0.05, 0.5, -0.6, 0.02]), 100.0, 1.0, rng.normal(size=(size, 12, 2))
