# kernels/heat3d.py: value and gradient by u and conductivity.  Written by adc.
import numpy as np


def loss_value_and_grad(u, conductivity, measured, slope, dt, steps):
    n, m, l = u.shape
    # line 20: for _ in range(steps):
    steps = max(steps, 0)
    u_1 = u.copy()
    u = u.copy()
    u_saved = np.empty((steps, n, m, l))
    for i1 in range(steps):
        u_saved[i1] = u
        # line 21: for i in range(1, n - 1):
        for i in range(n - 2):
            # line 22: for j in range(1, m - 1):
            for j in range(m - 2):
                # line 23: for k in range(1, l - 1):
                for k in range(l - 2):
                    # line 24: around = u[i - 1, j, k] + u[i + 1, j, k] + u[i, j - 1, k] + u[i, j + 1, k] + u[i, j, k - 1] + u[i, j, k + 1]
                    t0 = u[i, j + 1, k + 1] + u[i + 2, j + 1, k + 1]
                    t1 = t0 + u[i + 1, j, k + 1]
                    t2 = t1 + u[i + 1, j + 2, k + 1]
                    t3 = t2 + u[i + 1, j + 1, k]
                    around = t3 + u[i + 1, j + 1, k + 2]
                    # line 25: v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
                    t4 = u[i + 1, j + 1, k + 1]
                    t5 = dt * conductivity[i + 1, j + 1, k + 1] * (1.0 + slope * t4)
                    u_1[i + 1, j + 1, k + 1] = t4 + t5 * (around - 6.0 * t4)
        # line 20: for _ in range(steps):
        u, u_1 = u_1, u
    # line 27: return np.sum((u - measured) ** 2)
    t6 = u - measured
    u_bar = 2.0 * t6
    # line 20: for _ in range(steps):
    v_bar = np.zeros((n, m, l))
    conductivity_bar = np.zeros((n, m, l))
    for i1 in reversed(range(steps)):
        u = u_saved[i1]
        # line 21: for i in range(1, n - 1):
        v_bar, u_bar = u_bar, v_bar
        for i in reversed(range(n - 2)):
            # line 22: for j in range(1, m - 1):
            for j in reversed(range(m - 2)):
                # line 23: for k in range(1, l - 1):
                for k in reversed(range(l - 2)):
                    # line 24: around = u[i - 1, j, k] + u[i + 1, j, k] + u[i, j - 1, k] + u[i, j + 1, k] + u[i, j, k - 1] + u[i, j, k + 1]
                    t7 = u[i, j + 1, k + 1] + u[i + 2, j + 1, k + 1]
                    t8 = t7 + u[i + 1, j, k + 1]
                    t9 = t8 + u[i + 1, j + 2, k + 1]
                    t10 = t9 + u[i + 1, j + 1, k]
                    around = t10 + u[i + 1, j + 1, k + 2]
                    # line 25: v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
                    t11 = dt * conductivity[i + 1, j + 1, k + 1]
                    t12 = u[i + 1, j + 1, k + 1]
                    t13 = 1.0 + slope * t12
                    t14 = v_bar[i + 1, j + 1, k + 1]
                    v_bar[i + 1, j + 1, k + 1] = 0.0
                    t15 = t14 * (around - 6.0 * t12)
                    around_bar = t14 * (t11 * t13)
                    u_bar[i + 1, j + 1, k + 1] += -6.0 * around_bar
                    u_bar[i + 1, j + 1, k + 1] += t15 * t11 * slope
                    conductivity_bar[i + 1, j + 1, k + 1] += t15 * t13 * dt
                    u_bar[i + 1, j + 1, k + 1] += t14
                    # line 24: around = u[i - 1, j, k] + u[i + 1, j, k] + u[i, j - 1, k] + u[i, j + 1, k] + u[i, j, k - 1] + u[i, j, k + 1]
                    u_bar[i + 1, j + 1, k + 2] += around_bar
                    u_bar[i + 1, j + 1, k] += around_bar
                    u_bar[i + 1, j + 2, k + 1] += around_bar
                    u_bar[i + 1, j, k + 1] += around_bar
                    u_bar[i + 2, j + 1, k + 1] += around_bar
                    u_bar[i, j + 1, k + 1] += around_bar
    # line 20: for _ in range(steps):
    u_bar = u_bar + v_bar
    return np.sum(t6 ** 2), u_bar, conductivity_bar
