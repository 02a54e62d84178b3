"""The four functions of docs/design/four_adjoints.md, as users write them."""

import numpy as np


def logistic(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def carried(a, x, n):
    for _ in range(n):
        x = np.sin(a * x) + x
    return x


def seidel(u, b, sweeps):
    n = len(u)
    for _ in range(sweeps):
        for i in range(1, n - 1):
            u[i] = 0.5 * (u[i - 1] + u[i + 1] + b[i])
    return np.sum(u * u)


def root(a):
    x = a
    k = 0
    while k < 50:
        step = (x * x - a) / (2.0 * x)
        x = x - step
        k += 1
        if abs(step) < 1e-12:
            break
    return x
