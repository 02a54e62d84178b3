# kernels/seidel.py: value and gradient by u and b.  Written by adc.
import numpy as np


def loss_value_and_grad(u, b, sweeps):
    n = u.shape[0]
    # line 18: for _ in range(sweeps):
    sweeps = max(sweeps, 0)
    u = u.copy()
    for k in range(sweeps):
        # line 19: for i in range(1, n - 1):
        for i in range(n - 2):
            # line 20: for j in range(1, n - 1):
            for j in range(n - 2):
                # line 21: u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
                t0 = u[i, j + 1] + u[i + 2, j + 1] + u[i + 1, j]
                t1 = 0.25 * (t0 + u[i + 1, j + 2] + b[i + 1, j + 1])
                u[i + 1, j + 1] = t1
    # line 22: return np.sum(u * u)
    u_bar = 2.0 * u
    # line 18: for _ in range(sweeps):
    b_bar = np.zeros((n, n))
    for k in reversed(range(sweeps)):
        # line 19: for i in range(1, n - 1):
        for i in reversed(range(n - 2)):
            # line 20: for j in range(1, n - 1):
            for j in reversed(range(n - 2)):
                # line 21: u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
                t2 = u_bar[i + 1, j + 1]
                u_bar[i + 1, j + 1] = 0.0
                t3 = t2 * 0.25
                b_bar[i + 1, j + 1] += t3
                u_bar[i + 1, j + 2] += t3
                u_bar[i + 1, j] += t3
                u_bar[i + 2, j + 1] += t3
                u_bar[i, j + 1] += t3
    return np.sum(u * u), u_bar, b_bar
