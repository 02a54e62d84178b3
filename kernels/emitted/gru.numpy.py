# kernels/gru.py: value and gradient by params.  Written by adc.
import numpy as np


def loss_value_and_grad(Uh, Ur, Uz, Wh, Wr, Wz, bh, br, bz, out, xs, y):
    h = Uh.shape[0]
    d = Wh.shape[0]
    t = xs.shape[0]
    n = xs.shape[1]
    # line 25: h = np.zeros((xs.shape[1], len(p["bz"])))
    h_1 = np.zeros((n, h))
    # line 26: for x in xs:
    h_saved = np.empty((t, n, h))
    saved = np.empty((t, n, h))
    saved_1 = np.empty((t, n, h))
    new_saved = np.empty((t, n, h))
    for x in range(t):
        h_saved[x] = h_1
        # line 27: z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
        t0 = xs[x]
        # line 19: return 1.0 / (1.0 + np.exp(-x))
        t1 = -(t0 @ Wz + h_1 @ Uz + bz)
        saved[x] = t1
        z = 1.0 / (1.0 + np.exp(t1))
        t2 = -(t0 @ Wr + h_1 @ Ur + br)
        saved_1[x] = t2
        r = 1.0 / (1.0 + np.exp(t2))
        # line 29: new = np.tanh(x @ p["Wh"] + (r * h) @ p["Uh"] + p["bh"])
        new = np.tanh(t0 @ Wh + r * h_1 @ Uh + bh)
        new_saved[x] = new
        # line 30: h = (1.0 - z) * h + z * new
        h_1 = (1.0 - z) * h_1 + z * new
    # line 31: return np.mean((h @ p["out"] - y) ** 2)
    t3 = h_1 @ out - y
    t4 = 1.0 / np.float64(n) * (2.0 * t3)
    out_bar = t4 @ h_1
    h_bar = np.outer(t4, out)
    # line 26: for x in xs:
    Wz_bar = np.zeros((d, h))
    Uz_bar = np.zeros((h, h))
    bz_bar = np.zeros(h)
    Wr_bar = np.zeros((d, h))
    Ur_bar = np.zeros((h, h))
    br_bar = np.zeros(h)
    Wh_bar = np.zeros((d, h))
    Uh_bar = np.zeros((h, h))
    bh_bar = np.zeros(h)
    for x in reversed(range(t)):
        h = h_saved[x]
        # line 19: return 1.0 / (1.0 + np.exp(-x))
        saved_2 = saved[x]
        saved_3 = saved_1[x]
        # line 29: new = np.tanh(x @ p["Wh"] + (r * h) @ p["Uh"] + p["bh"])
        new = new_saved[x]
        # line 27: z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
        t5 = xs[x]
        # line 19: return 1.0 / (1.0 + np.exp(-x))
        z = 1.0 / (1.0 + np.exp(saved_2))
        r = 1.0 / (1.0 + np.exp(saved_3))
        # line 30: h = (1.0 - z) * h + z * new
        new_bar = h_bar * z
        z_bar = h_bar * new - h_bar * h
        # line 29: new = np.tanh(x @ p["Wh"] + (r * h) @ p["Uh"] + p["bh"])
        t6 = new_bar * (1.0 - new ** 2)
        t7 = t6 @ Uh.T
        r_bar = t7 * h
        # line 19: return 1.0 / (1.0 + np.exp(-x))
        t8 = r_bar * (r / (1.0 + np.exp(-saved_3)))
        t9 = z_bar * (z / (1.0 + np.exp(-saved_2)))
        # line 28: r = sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"])
        h_bar = h_bar * (1.0 - z) + t7 * r + t8 @ Ur.T
        # line 27: z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
        Wz_bar += t5.T @ t9
        Uz_bar += h.T @ t9
        bz_bar += np.sum(t9, axis=0)
        # line 28: r = sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"])
        Wr_bar += t5.T @ t8
        Ur_bar += h.T @ t8
        br_bar += np.sum(t8, axis=0)
        # line 29: new = np.tanh(x @ p["Wh"] + (r * h) @ p["Uh"] + p["bh"])
        Wh_bar += t5.T @ t6
        Uh_bar += (r * h).T @ t6
        bh_bar += np.sum(t6, axis=0)
        # line 27: z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
        h_bar = h_bar + t9 @ Uz.T
    return np.sum(t3 ** 2) / n, Uh_bar, Ur_bar, Uz_bar, Wh_bar, Wr_bar, Wz_bar, bh_bar, br_bar, bz_bar, out_bar
