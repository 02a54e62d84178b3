"""A Gaussian mixture: the log posterior of points under k full covariances with a Wishart prior (ADBench's objective).

An inverse covariance is Qᵀ Q with Q lower triangular; `icf` holds the logarithms of its diagonal, then what is below it, column by
column.  A component's weight is the softmax of `alphas`.

Šrajer, Kukelova and Fitzgibbon (2018).  In the adjoint: a triangular product written as a loop with a counter is a loop backwards
with the same counter; the derivative of the log-sum-exp is the responsibilities.
"""

import math

import numpy as np

WRT = (0, 1, 2)
REFERENCE = -58.20869997973
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((6.70534046191, -0.432460040778), (14.6812357052, -10.866548595), (16.5621733181, 6.08170702311))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def logsumexp(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def times(diagonal, below, r):
    """Q r."""
    d = len(r)
    out = diagonal * r
    k = 0
    for column in range(d):
        for row in range(column + 1, d):
            out[row] += below[k] * r[column]
            k += 1
    return out


def log_gamma_distribution(a, p):
    total = 0.25 * p * (p - 1) * np.log(np.pi)
    for j in range(p):
        total += math.lgamma(a - 0.5 * j)
    return total


def log_wishart_prior(icf, gamma, m, d):
    k = len(icf)
    freedom = d + m + 1
    constant = freedom * d * (np.log(gamma) - 0.5 * np.log(2.0)) - log_gamma_distribution(0.5 * freedom, d)
    total = 0.0
    for j in range(k):
        squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
        total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
    return total - k * constant


def loss(alphas: "f8[k]", means: "f8[k, d]", icf: "f8[k, q]", x: "f8[n, d]", gamma: float, m: int):
    n, d = x.shape
    k = len(alphas)
    total = 0.0
    for i in range(n):
        scores = np.zeros(k)
        for j in range(k):
            q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
            scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
        total += logsumexp(scores)
    return total - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + log_wishart_prior(icf, gamma, m, d)


def example_inputs(size=20):
    """(alphas, means, icf, x, gamma, m) for `size` points in three dimensions and four components."""
    rng = np.random.default_rng(1)
    k, d = 4, 3
    return rng.normal(size=k), rng.random((k, d)), 0.5 * rng.normal(size=(k, d * (d + 1) // 2)), rng.normal(size=(size, d)), 1.0, 0
