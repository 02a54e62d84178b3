# kernels/gmm.py: value and gradient by alphas, means and icf.  Written by adc.
import numpy as np
from scipy import special


def loss_value_and_grad(alphas, means, icf, x, gamma, m):
    k = alphas.shape[0]
    d = means.shape[1]
    q = icf.shape[1]
    n = x.shape[0]
    # line 60: for i in range(n):
    total = 0.0
    out_saved = np.empty((n, k, d))
    saved = np.empty((n, k))
    saved_1 = np.empty(n)
    saved_2 = np.empty((n, k), dtype=np.bool_)
    for i in range(n):
        # line 61: scores = np.zeros(k)
        scores = np.zeros(k)
        # line 62: for j in range(k):
        out_saved_1 = np.empty((k, d))
        for j in range(k):
            # line 63: q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
            t0 = icf[j, :d]
            t1 = x[i] - means[j]
            # line 29: out = diagonal * r
            out = np.exp(t0) * t1
            # line 31: for column in range(d):
            for column in range(d):
                k_1 = column * (2 * d - 1 - column) // 2
                # line 32: for row in range(column + 1, d):
                n_1 = d - (column + 1)
                for row in range(n_1):
                    k_2 = k_1 + row
                    row_1 = column + 1 + row
                    # line 33: out[row] += below[k] * r[column]
                    if not k_2 < -d + q:
                        raise IndexError('index out of bounds for axis 0 with size -d + q')
                    out[row_1] += icf[j, d:][k_2] * t1[column]
            # line 31: for column in range(d):
            out_saved_1[j] = out
            # line 64: scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
            scores[j] = alphas[j] + np.sum(t0) - 0.5 * np.sum(out * out)
        # line 31: for column in range(d):
        out_saved[i] = out_saved_1
        # line 22: top = np.max(x)
        top = np.max(scores)
        # line 23: return top + np.log(np.sum(np.exp(x - top)))
        t2 = np.exp(scores - top)
        saved[i] = t2
        t3 = np.sum(t2)
        saved_1[i] = 1.0 / t3
        # line 22: top = np.max(x)
        saved_2[i] = scores == top
        # line 65: total += logsumexp(scores)
        total += top + np.log(t3)
    # line 22: top = np.max(x)
    top = np.max(alphas)
    # line 23: return top + np.log(np.sum(np.exp(x - top)))
    t4 = np.exp(alphas - top)
    t5 = np.sum(t4)
    # line 66: return total - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + log_wishart_prior(icf, gamma, m, d)
    t6 = 0.5 * np.float64(n) * d * 1.8378770664093453
    # line 47: freedom = d + m + 1
    freedom = d + m + 1
    # line 48: constant = freedom * d * (np.log(gamma) - 0.5 * np.log(2.0)) - log_gamma_distribution(0.5 * freedom, d)
    a = 0.5 * np.float64(freedom)
    # line 39: total = 0.25 * p * (p - 1) * np.log(np.pi)
    total_1 = 0.25 * np.float64(d) * (d - 1) * 1.1447298858494002
    # line 40: for j in range(p):
    for j in range(d):
        # line 41: total += math.lgamma(a - 0.5 * j)
        total_1 += special.gammaln(a - 0.5 * np.float64(j))
    # line 48: constant = freedom * d * (np.log(gamma) - 0.5 * np.log(2.0)) - log_gamma_distribution(0.5 * freedom, d)
    constant = freedom * d * (np.log(gamma) - 0.34657359027997264) - total_1
    # line 50: for j in range(k):
    total_1 = 0.0
    for j in range(k):
        # line 51: squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
        t7 = icf[j, :d]
        squares = np.sum(np.exp(t7) ** 2) + np.sum(icf[j, d:] ** 2)
        # line 52: total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
        total_1 += 0.5 * gamma * gamma * squares - m * np.sum(t7)
    # line 50: for j in range(k):
    icf_bar = np.zeros((k, q))
    for j in reversed(range(k)):
        # line 51: squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
        t8 = np.exp(icf[j, :d])
        # line 52: total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
        t9 = 0.5 * gamma * gamma
        icf_bar[j, :d] -= np.float64(m)
        # line 51: squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
        icf_bar[j, d:] += t9 * (2.0 * icf[j, d:])
        icf_bar[j, :d] += t9 * (2.0 * t8) * t8
    # line 66: return total - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + log_wishart_prior(icf, gamma, m, d)
    top_bar = -np.float64(n)
    # line 23: return top + np.log(np.sum(np.exp(x - top)))
    alphas_bar = top_bar / t5 * t4
    top_bar = np.sum(-alphas_bar) - n
    # line 22: top = np.max(x)
    t10 = (alphas == top).astype(np.float64)
    # line 60: for i in range(n):
    means_bar = np.zeros((k, d))
    # line 22: top = np.max(x)
    alphas_bar = alphas_bar + top_bar * (t10 / np.sum(t10))
    # line 60: for i in range(n):
    for i in reversed(range(n)):
        # line 31: for column in range(d):
        out_saved_1 = out_saved[i]
        # line 23: return top + np.log(np.sum(np.exp(x - top)))
        saved_3 = saved[i]
        saved_4 = saved_1[i]
        # line 22: top = np.max(x)
        saved_5 = saved_2[i]
        t11 = saved_5.astype(np.float64)
        # line 23: return top + np.log(np.sum(np.exp(x - top)))
        scores_bar = saved_4 * saved_3
        top_bar = 1.0 + np.sum(-scores_bar)
        # line 22: top = np.max(x)
        scores_bar = scores_bar + top_bar * (t11 / np.sum(t11))
        # line 62: for j in range(k):
        for j in reversed(range(k)):
            # line 31: for column in range(d):
            out = out_saved_1[j]
            # line 63: q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
            t12 = np.exp(icf[j, :d])
            t13 = x[i] - means[j]
            # line 64: scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
            t14 = scores_bar[j]
            scores_bar[j] = 0.0
            icf_bar[j, :d] += t14
            alphas_bar[j] += t14
            out_bar = 2.0 * (-0.5 * t14 * out)
            # line 31: for column in range(d):
            bar = np.zeros(d)
            for column in reversed(range(d)):
                k_1 = column * (2 * d - 1 - column) // 2
                # line 32: for row in range(column + 1, d):
                n_1 = d - (column + 1)
                for row in reversed(range(n_1)):
                    k_2 = k_1 + row
                    row_1 = column + 1 + row
                    # line 33: out[row] += below[k] * r[column]
                    t15 = out_bar[row_1]
                    bar[column] += t15 * icf[j, d:][k_2]
                    icf_bar[j, k_2 + d] += t15 * t13[column]
            # line 63: q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
            means_bar[j] -= bar + out_bar * t12
            icf_bar[j, :d] += out_bar * t13 * t12
    return total - n * (top + np.log(t5)) - t6 + (total_1 - k * constant), alphas_bar, means_bar, icf_bar
