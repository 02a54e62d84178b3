# kernels/jacobi.py: value and gradient by u and source.  Written by adc.
import numpy as np


def loss_value_and_grad(u, source, wanted, sweeps):
    n, m = u.shape
    # line 18: for _ in range(sweeps):
    sweeps = max(sweeps, 0)
    u = u.copy()
    for i in range(sweeps):
        # line 20: new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + source[1:-1, 1:-1])
        t0 = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        u[1:-1, 1:-1] = 0.25 * (t0 + source[1:-1, 1:-1])
    # line 22: return np.sum((u - wanted) ** 2)
    t1 = u - wanted
    u_bar = 2.0 * t1
    # line 18: for _ in range(sweeps):
    source_bar = np.zeros((n, m))
    for i in reversed(range(sweeps)):
        # line 20: new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + source[1:-1, 1:-1])
        t2 = u_bar[1:-1, 1:-1].copy()
        u_bar[1:-1, 1:-1] = 0.0
        t3 = t2 * 0.25
        source_bar[1:-1, 1:-1] += t3
        u_bar[1:-1, 2:] += t3
        u_bar[1:-1, :-2] += t3
        u_bar[2:, 1:-1] += t3
        u_bar[:-2, 1:-1] += t3
    return np.sum(t1 ** 2), u_bar, source_bar
