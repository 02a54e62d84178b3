"""A convolution layer: shifted windows times the filter, ReLU, average pooling, a linear read-out.

The loop runs over the filter's places, so that each step is a product of a window of every image with one matrix.

LeCun et al. (1998).  In the adjoint: the filter's gradient at one place is a product of the same shifted window with what comes
back.
"""

import numpy as np

WRT = (0, 1, 2)
REFERENCE = 1.039115504869
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((1.1822682537, 0.329577253586), (1.32657864784, -0.48381254404), (1.53553275385, -0.818133564023))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def conv(images, filters, bias):
    """Valid convolution: images [n, height, width, channels], filters [kh, kw, channels, maps]."""
    n, height, width, _ = images.shape
    kh, kw, _, maps = filters.shape
    rows, columns = height - kh + 1, width - kw + 1
    out = np.zeros((n, rows, columns, maps))
    for i in range(kh):
        for j in range(kw):
            out += images[:, i : i + rows, j : j + columns] @ filters[i, j]
    return out + bias


def loss(filters: "f8[k, l, c, m]", bias: "f8[m]", out: "f8[m]", images: "f8[n, h, w, c]", y: "f8[n]"):
    maps = np.maximum(conv(images, filters, bias), 0.0)
    pooled = np.mean(maps, axis=(1, 2))
    return np.mean((pooled @ out - y) ** 2)


def example_inputs(size=4):
    """(filters, bias, out, images, y): `size` images of 7 by 8 with two channels, three filters of 3 by 3."""
    rng = np.random.default_rng(16)
    return 0.3 * rng.normal(size=(3, 3, 2, 3)), 0.1 * rng.normal(size=3), rng.normal(size=3), rng.normal(size=(size, 7, 8, 2)), rng.normal(size=size)
