import numpy as np
from scipy import special


def logistic_grad(w, X, y):
    X_n0 = X.shape[0]
    # line 7: z = X @ w
    z = X @ w
    # line 8: return np.mean(np.logaddexp(0.0, z) - y * z)
    t0 = 1.0 / np.float64(X_n0)
    z_bar = -t0 * y + t0 * special.expit(z)
    # line 7: z = X @ w
    w_bar = z_bar @ X
    return w_bar
