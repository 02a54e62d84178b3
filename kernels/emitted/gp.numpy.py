# kernels/gp.py: value and gradient by logs.  Written by adc.
import numpy as np


def loss_value_and_grad(logs, X, y):
    p = logs.shape[0]
    n, d = X.shape
    # line 19: scaled = X / np.exp(logs[:d])
    t0 = np.exp(logs[:d])
    scaled = X / t0
    # line 20: signal, noise = np.exp(2.0 * logs[d]), np.exp(2.0 * logs[d + 1])
    signal = np.exp(2.0 * logs[d])
    noise = np.exp(2.0 * logs[d + 1])
    # line 21: square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
    t1 = scaled[:, None, :] - scaled
    square = np.sum(t1 ** 2, axis=2)
    # line 22: K = signal * np.exp(-0.5 * square) + noise * np.eye(n)
    t2 = np.exp(-0.5 * square)
    t3 = np.arange(n)
    mask0 = t3[:, None] == t3
    t4 = mask0.astype(np.float64)
    K = signal * t2 + noise * t4
    # line 23: L = np.linalg.cholesky(K)
    L = np.linalg.cholesky(K)
    # line 24: alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    t5 = np.linalg.solve(L, y)
    t6 = L.T
    alpha = np.linalg.solve(t6, t5)
    # line 25: return 0.5 * np.dot(y, alpha) + np.sum(np.log(np.diag(L))) + 0.5 * n * np.log(2.0 * np.pi)
    t7 = L[t3, t3]
    t8 = 0.5 * np.float64(n) * 1.8378770664093453
    L_bar = np.zeros((n, n))
    np.add.at(L_bar, (t3, t3), 1.0 / t7)
    alpha_bar = 0.5 * y
    # line 24: alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    t9 = np.linalg.solve(L, alpha_bar)
    t10 = np.outer(np.linalg.solve(t6, t9), t5)
    L_bar = L_bar + (-np.outer(t9, alpha)).T - t10
    # line 23: L = np.linalg.cholesky(K)
    t11 = L.T @ L_bar
    mask1 = t3[:, None] > t3
    t12 = np.linalg.solve(np.tril(L).T, np.where(mask1, t11, np.where(mask0, t11 * 0.5, 0.0)))
    t13 = np.linalg.solve(np.tril(L).T, t12.T)
    t14 = t13.T + t13
    K_bar = np.where(mask1, t14, np.where(mask0, t14 * 0.5, 0.0))
    # line 22: K = signal * np.exp(-0.5 * square) + noise * np.eye(n)
    noise_bar = np.sum(K_bar * t4)
    signal_bar = np.sum(K_bar * t2)
    square_bar = K_bar * signal * t2 * -0.5
    # line 21: square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
    t15 = square_bar[:, :, None] * (2.0 * t1)
    scaled_bar = np.sum(np.sum(-t15, axis=0)[None, :, :], axis=0) + np.sum(np.sum(t15, axis=1)[:, None, :], axis=1)
    # line 20: signal, noise = np.exp(2.0 * logs[d]), np.exp(2.0 * logs[d + 1])
    logs_bar = np.zeros(p)
    logs_bar[d + 1] = noise_bar * noise * 2.0
    logs_bar[d] += signal_bar * signal * 2.0
    # line 19: scaled = X / np.exp(logs[:d])
    logs_bar[:d] += np.sum(-(scaled_bar * (scaled / t0)), axis=0) * t0
    return 0.5 * (y @ alpha) + np.sum(np.log(t7)) + t8, logs_bar
