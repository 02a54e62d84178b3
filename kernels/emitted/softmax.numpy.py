# kernels/softmax.py: value and gradient by W and b.  Written by adc.
import numpy as np


def loss_value_and_grad(W, b, X, labels):
    c = W.shape[1]
    n = X.shape[0]
    # line 19: scores = X @ W + b
    scores = X @ W + b
    # line 20: scores = scores - np.max(scores, axis=1, keepdims=True)
    t0 = np.max(scores, axis=1)
    scores_1 = scores - t0[:, None]
    # line 21: logp = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    t1 = np.exp(scores_1)
    t2 = np.sum(t1, axis=1)
    logp = scores_1 - np.log(t2)[:, None]
    # line 22: return -np.mean(logp[np.arange(len(labels)), labels])
    t3 = np.arange(n)
    t4 = np.where(labels < 0, labels + c, labels)
    if not np.all((t4 >= 0) & (t4 < c)):
        raise IndexError('index out of bounds for axis 1 with size c')
    logp_bar = np.zeros((n, c))
    np.add.at(logp_bar, (t3, t4), -1.0 / np.float64(n))
    # line 21: logp = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    scores_bar = logp_bar + np.sum(np.sum(-logp_bar, axis=1)[:, None] * (1.0 / t2[:, None]), axis=1)[:, None] * t1
    # line 20: scores = scores - np.max(scores, axis=1, keepdims=True)
    t5 = (scores == t0[:, None]).astype(np.float64)
    t6 = np.sum(np.sum(-scores_bar, axis=1)[:, None], axis=1)[:, None] * (t5 / np.sum(t5, axis=1)[:, None])
    scores_bar = scores_bar + t6
    # line 19: scores = X @ W + b
    b_bar = np.sum(scores_bar, axis=0)
    W_bar = X.T @ scores_bar
    return -(np.sum(logp[t3, t4]) / n), W_bar, b_bar
