"""A Gaussian mixture: the negative log likelihood of points under K full covariances.

Each component's inverse covariance is Q Qᵀ with Q lower triangular, its diagonal stored as logarithms, as in ADBench.
"""

import numpy as np

REFERENCE = 89.7271315316
"""The value of `loss(*example_inputs())`."""


def loss(alphas: "f8[k]", means: "f8[k, d]", logs: "f8[k, d]", lower: "f8[k, d, d]", x: "f8[n, d]"):
    n, d = x.shape
    k = len(alphas)
    total = 0.0
    for i in range(n):
        scores = np.zeros(k)
        for j in range(k):
            r = x[i] - means[j]
            q = np.exp(logs[j]) * r
            for a in range(1, d):
                for b in range(a):
                    q[a] += lower[j, a, b] * r[b]
            scores[j] = alphas[j] + np.sum(logs[j]) - 0.5 * np.sum(q * q)
        top = np.max(scores)
        total += top + np.log(np.sum(np.exp(scores - top)))
    top = np.max(alphas)
    norm = top + np.log(np.sum(np.exp(alphas - top)))
    return n * norm - total + 0.5 * n * d * np.log(2.0 * np.pi)


def example_inputs(size=20):
    """(alphas, means, logs, lower, x) for `size` points in three dimensions and four components."""
    rng = np.random.default_rng(1)
    k, d = 4, 3
    return rng.normal(size=k), rng.normal(size=(k, d)), 0.3 * rng.normal(size=(k, d)), 0.3 * rng.normal(size=(k, d, d)), rng.normal(size=(size, d))
