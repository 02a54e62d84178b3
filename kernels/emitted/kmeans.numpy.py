# kernels/kmeans.py: value and gradient by centres.  Written by adc.
import numpy as np


def loss_value_and_grad(centres, points):
    # line 19: squares = np.sum(points**2, axis=1)[:, None] + np.sum(centres**2, axis=1) - 2.0 * points @ centres.T
    t0 = 2.0 * points
    squares = np.sum(points ** 2, axis=1)[:, None] + np.sum(centres ** 2, axis=1) - t0 @ centres.T
    # line 20: return np.sum(np.min(squares, axis=1))
    t1 = np.min(squares, axis=1)
    t2 = (squares == t1[:, None]).astype(np.float64)
    t3 = t2 / np.sum(t2, axis=1)[:, None]
    # line 19: squares = np.sum(points**2, axis=1)[:, None] + np.sum(centres**2, axis=1) - 2.0 * points @ centres.T
    centres_bar = (t0.T @ -t3).T + np.sum(t3, axis=0)[:, None] * (2.0 * centres)
    return np.sum(t1), centres_bar
