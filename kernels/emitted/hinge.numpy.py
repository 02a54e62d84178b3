# kernels/hinge.py: value and gradient by w and b.  Written by adc.
import numpy as np


def loss_value_and_grad(w, b, X, y, C):
    n = X.shape[0]
    # line 17: for i in range(len(y)):
    total = 0.0
    saved = np.empty(n, dtype=np.bool_)
    for i in range(n):
        # line 18: margin = y[i] * (np.dot(w, X[i]) + b)
        margin = y[i] * (w @ X[i] + b)
        # line 19: if margin < 1.0:
        flag0 = margin < 1.0
        saved[i] = flag0
        if flag0:
            # line 20: total += 1.0 - margin
            total += 1.0 - margin
    # line 21: return 0.5 * np.dot(w, w) + C * total / len(y)
    total_bar = C / n
    # line 17: for i in range(len(y)):
    w_bar = 2.0 * (0.5 * w)
    b_bar = 0.0
    for i in reversed(range(n)):
        # line 19: if margin < 1.0:
        saved_1 = saved[i]
        if saved_1:
            # line 20: total += 1.0 - margin
            margin_bar = -total_bar
        else:
            # line 19: if margin < 1.0:
            margin_bar = 0.0
        # line 18: margin = y[i] * (np.dot(w, X[i]) + b)
        b_bar_1 = margin_bar * y[i]
        w_bar += b_bar_1 * X[i]
        b_bar += b_bar_1
    return 0.5 * (w @ w) + C * total / n, w_bar, b_bar
