# kernels/linear.py: value and gradient by w and b.  Written by adc.
import numpy as np


def loss_value_and_grad(w, b, X, y, penalty):
    n = X.shape[0]
    # line 17: r = X @ w + b - y
    r = X @ w + b - y
    # line 18: return 0.5 * np.mean(r**2) + penalty * np.sum(w**2)
    r_bar = 0.5 / np.float64(n) * (2.0 * r)
    # line 17: r = X @ w + b - y
    b_bar = np.sum(r_bar)
    w_bar = penalty * (2.0 * w) + r_bar @ X
    return 0.5 * (np.sum(r ** 2) / n) + penalty * np.sum(w ** 2), w_bar, b_bar
