import numpy as np


def carried_grad(a, x, n):
    # line 12: for _ in range(n):
    n = max(n, 0)
    x_saved = np.empty(n)
    for i in range(n):
        x_saved[i] = x
        # line 13: x = np.sin(a * x) + x
        x += np.sin(a * x)
    # line 12: for _ in range(n):
    x_bar = 1.0
    a_bar = 0.0
    for i in reversed(range(n)):
        x = x_saved[i]
        # line 13: x = np.sin(a * x) + x
        t0 = x_bar * np.cos(a * x)
        a_bar += t0 * x
        x_bar += t0 * a
    return a_bar, x_bar
