"""k-means: the squared distance of every point to the centre nearest to it.

Its gradient moves each centre towards the mean of its own points; the distances are those of one matrix product.

Bottou and Bengio (1995) see it as gradient descent.  In the adjoint: a 0–1 matrix says who belongs to whom, with equal shares
where two centres are equally near; one product does the rest.
"""

import numpy as np

WRT = (0,)
REFERENCE = 41.39430515336
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((29.7294004454, -4.49231969361),)
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def loss(centres: "f8[k, d]", points: "f8[n, d]"):
    squares = np.sum(points**2, axis=1)[:, None] + np.sum(centres**2, axis=1) - 2.0 * points @ centres.T
    return np.sum(np.min(squares, axis=1))


def example_inputs(size=30):
    """(centres, points) for `size` points in three dimensions around four places."""
    rng = np.random.default_rng(17)
    places = 3.0 * rng.normal(size=(4, 3))
    return places + 0.5 * rng.normal(size=(4, 3)), places[rng.integers(0, 4, size)] + 0.4 * rng.normal(size=(size, 3))
