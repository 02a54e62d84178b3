# kernels/mlp.py: value and gradient by layers.  Written by adc.
import numpy as np


def loss_value_and_grad(layers, layers_1, layers_2, layers_3, layers_4, layers_5, layers_6, layers_7, X, labels):
    e = layers_6.shape[1]
    n = X.shape[0]
    # line 32: h = activation(h @ W + b)
    t0 = X @ layers + layers_1
    # line 19: return np.maximum(x, 0.0)
    h = np.maximum(t0, 0.0)
    # line 32: h = activation(h @ W + b)
    t1 = h @ layers_2 + layers_3
    # line 23: return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))
    mask0 = t1 > 0.0
    t2 = np.expm1(np.minimum(t1, 0.0))
    h_1 = np.where(mask0, t1, t2)
    # line 32: h = activation(h @ W + b)
    h_2 = np.tanh(h_1 @ layers_4 + layers_5)
    # line 34: scores = h @ W + b
    scores = h_2 @ layers_6 + layers_7
    # line 35: top = np.max(scores, axis=1)
    top = np.max(scores, axis=1)
    # line 36: logsum = top + np.log(np.sum(np.exp(scores - top[:, None]), axis=1))
    t3 = np.exp(scores - top[:, None])
    t4 = np.sum(t3, axis=1)
    logsum = top + np.log(t4)
    # line 37: return np.mean(logsum - scores[np.arange(len(labels)), labels])
    t5 = np.arange(n)
    t6 = np.where(labels < 0, labels + e, labels)
    if not np.all((t6 >= 0) & (t6 < e)):
        raise IndexError('index out of bounds for axis 1 with size e')
    t7 = 1.0 / np.float64(n)
    scores_bar = np.zeros((n, e))
    np.add.at(scores_bar, (t5, t6), -t7)
    # line 36: logsum = top + np.log(np.sum(np.exp(scores - top[:, None]), axis=1))
    t8 = (t7 / t4)[:, None] * t3
    top_bar = t7 + np.sum(np.sum(-t8, axis=1)[:, None], axis=1)
    # line 35: top = np.max(scores, axis=1)
    t9 = (scores == top[:, None]).astype(np.float64)
    scores_bar = scores_bar + t8 + top_bar[:, None] * (t9 / np.sum(t9, axis=1)[:, None])
    # line 34: scores = h @ W + b
    layers_bar = np.sum(scores_bar, axis=0)
    h_bar = scores_bar @ layers_6.T
    layers_bar_1 = h_2.T @ scores_bar
    # line 32: h = activation(h @ W + b)
    t10 = h_bar * (1.0 - h_2 ** 2)
    layers_bar_2 = np.sum(t10, axis=0)
    h_bar = t10 @ layers_4.T
    layers_bar_3 = h_1.T @ t10
    # line 23: return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))
    t11 = np.where(mask0, 0.0, h_bar) * (t2 + 1.0)
    t12 = np.where(0.0 == t1, 0.5 * t11, np.where(0.0 > t1, t11, 0.0))
    t13 = np.where(mask0, h_bar, 0.0) + t12
    # line 32: h = activation(h @ W + b)
    layers_bar_4 = np.sum(t13, axis=0)
    h_bar = t13 @ layers_2.T
    layers_bar_5 = h.T @ t13
    # line 19: return np.maximum(x, 0.0)
    t14 = np.where(t0 == 0.0, 0.5 * h_bar, np.where(t0 > 0.0, h_bar, 0.0))
    # line 32: h = activation(h @ W + b)
    layers_bar_6 = np.sum(t14, axis=0)
    layers_bar_7 = X.T @ t14
    return np.sum(logsum - scores[t5, t6]) / n, layers_bar_7, layers_bar_6, layers_bar_5, layers_bar_4, layers_bar_3, layers_bar_2, layers_bar_1, layers_bar
