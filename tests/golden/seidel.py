import numpy as np


def seidel_grad(u, b, sweeps):
    u_n = u.shape[0]
    b_n = b.shape[0]
    # line 19: for _ in range(sweeps):
    sweeps = max(sweeps, 0)
    u = u.copy()
    for j in range(sweeps):
        # line 20: for i in range(1, n - 1):
        for i in range(u_n - 2):
            # line 21: u[i] = 0.5 * (u[i - 1] + u[i + 1] + b[i])
            if not i + 1 < b_n:
                raise IndexError('index out of bounds for axis 0 with size b_n')
            u[i + 1] = 0.5 * (u[i] + u[i + 2] + b[i + 1])
    # line 22: return np.sum(u * u)
    u_bar = 2.0 * u
    # line 19: for _ in range(sweeps):
    b_bar = np.zeros(b_n)
    for j in reversed(range(sweeps)):
        # line 20: for i in range(1, n - 1):
        for i in reversed(range(u_n - 2)):
            # line 21: u[i] = 0.5 * (u[i - 1] + u[i + 1] + b[i])
            t0 = u_bar[i + 1]
            u_bar[i + 1] = 0.0
            t1 = t0 * 0.5
            b_bar[i + 1] += t1
            u_bar[i + 2] += t1
            u_bar[i] += t1
    return u_bar, b_bar
