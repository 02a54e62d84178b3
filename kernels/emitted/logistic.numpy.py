# kernels/logistic.py: value and gradient by w.  Written by adc.
import numpy as np
from scipy import special


def loss_value_and_grad(w, X, y):
    n = X.shape[0]
    # line 20: z = X @ w
    z = X @ w
    # line 21: return np.mean(np.logaddexp(0.0, z) - y * z)
    t0 = 1.0 / np.float64(n)
    z_bar = -t0 * y + t0 * special.expit(z)
    # line 20: z = X @ w
    w_bar = z_bar @ X
    return np.sum(np.logaddexp(0.0, z) - y * z) / n, w_bar
