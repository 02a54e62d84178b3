# kernels/conv.py: value and gradient by filters, bias and out.  Written by adc.
import numpy as np


def loss_value_and_grad(filters, bias, out, images, y):
    k, l, c, m = filters.shape
    n = images.shape[0]
    h = images.shape[1]
    w = images.shape[2]
    # line 23: out = np.zeros((n, rows, columns, maps))
    out_1 = np.zeros((n, h - k + 1, -l + w + 1, m))
    # line 24: for i in range(kh):
    for i in range(k):
        # line 25: for j in range(kw):
        for j in range(l):
            # line 26: out += images[:, i : i + rows, j : j + columns] @ filters[i, j]
            t0 = images[:, i:i + h - k + 1, j:j + -l + w + 1]
            out_1 = out_1 + np.einsum('ijkl,lm->ijkm', t0, filters[i, j])
    # line 27: return out + bias
    t1 = out_1 + bias
    # line 31: maps = np.maximum(conv(images, filters, bias), 0.0)
    maps = np.maximum(t1, 0.0)
    # line 32: pooled = np.mean(maps, axis=(1, 2))
    pooled = np.sum(maps, axis=(1, 2)) / (h - h * l + h * w - k + k * l - k * w - l + w + 1)
    # line 33: return np.mean((pooled @ out - y) ** 2)
    t2 = pooled @ out - y
    t3 = 1.0 / np.float64(n) * (2.0 * t2)
    pooled_bar = np.outer(t3, out)
    out_bar = t3 @ pooled
    # line 32: pooled = np.mean(maps, axis=(1, 2))
    t4 = np.float64(h - h * l + h * w - k + k * l - k * w - l + w + 1)
    t5 = pooled_bar * (1.0 / t4)
    # line 31: maps = np.maximum(conv(images, filters, bias), 0.0)
    out_bar_1 = np.where(t1 == 0.0, 0.5 * t5[:, None, None, :], np.where(t1 > 0.0, t5[:, None, None, :], 0.0))
    # line 27: return out + bias
    bias_bar = np.sum(out_bar_1, axis=(0, 1, 2))
    # line 24: for i in range(kh):
    filters_bar = np.zeros((k, l, c, m))
    for i in reversed(range(k)):
        # line 25: for j in range(kw):
        for j in reversed(range(l)):
            # line 26: out += images[:, i : i + rows, j : j + columns] @ filters[i, j]
            t6 = np.einsum('ijkm,ijkl->lm', out_bar_1, images[:, i:i + h - k + 1, j:j + -l + w + 1])
            filters_bar[i, j] += t6
    return np.sum(t2 ** 2) / n, filters_bar, bias_bar, out_bar
