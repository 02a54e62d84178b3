"""Kepler's equation by Newton's method: a loop whose number of iterations only the data know.

`E - e sin E = M` for the mean anomalies M; the loss compares the true positions with observed ones.

In the adjoint: the number of iterations is unknown beforehand, so their values go to a list, and the reverse loop takes as many
steps.
"""

import numpy as np

WRT = (0,)
REFERENCE = 2.526006590479
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((16.8207828791, 16.8207828791),)
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def anomaly(M, e):
    """The eccentric anomaly E."""
    E = M
    step = 1.0
    while abs(step) > 1e-12:
        step = (E - e * np.sin(E) - M) / (1.0 - e * np.cos(E))
        E = E - step
    return E


def loss(e: float, M: "f8[n]", x: "f8[n]"):
    total = 0.0
    for k in range(len(M)):
        total += (np.cos(anomaly(M[k], e)) - e - x[k]) ** 2
    return total


def example_inputs(size=12):
    """(eccentricity, mean anomalies, observed positions)"""
    M = np.linspace(0.1, 6.0, size)
    return 0.3, M, np.cos(M)
