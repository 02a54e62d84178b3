"""A gated recurrent unit over a batch of sequences, with a linear read-out of the last state (Cho et al. 2014).

The parameters are a dict, as in most code that people write by hand.

Cho et al. (2014).  In the adjoint: time runs backwards over saved states; each matrix' gradient is a sum of products, one per
step.
"""

import numpy as np

WRT = (0,)
REFERENCE = 0.5198490419695
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((0.447380696716, -0.464550618701),)
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def loss(params: "{'Wz': f8[d, h], 'Uz': f8[h, h], 'bz': f8[h], 'Wr': f8[d, h], 'Ur': f8[h, h], 'br': f8[h], 'Wh': f8[d, h], 'Uh': f8[h, h], 'bh': f8[h], 'out': f8[h]}",
         xs: "f8[t, n, d]", y: "f8[n]"):  # fmt: skip
    p = params
    h = np.zeros((xs.shape[1], len(p["bz"])))
    for x in xs:
        z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
        r = sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"])
        new = np.tanh(x @ p["Wh"] + (r * h) @ p["Uh"] + p["bh"])
        h = (1.0 - z) * h + z * new
    return np.mean((h @ p["out"] - y) ** 2)


def example_inputs(size=6):
    """(params, xs, y): `size` steps of 5 sequences, three inputs, four hidden units."""
    rng = np.random.default_rng(14)
    n, d, h = 5, 3, 4
    params = {}
    for gate in "zrh":
        params[f"W{gate}"] = rng.normal(size=(d, h)) / np.sqrt(d)
        params[f"U{gate}"] = rng.normal(size=(h, h)) / np.sqrt(h)
        params[f"b{gate}"] = 0.1 * rng.normal(size=h)
    params["out"] = rng.normal(size=h)
    return params, rng.normal(size=(size, n, d)), rng.normal(size=n)
