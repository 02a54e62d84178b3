# kernels/heston.py: value and gradient by model.  Written by adc.
import numpy as np


def loss_value_and_grad(model, strike, horizon, z):
    p = z.shape[0]
    t = z.shape[1]
    # line 36: h = horizon / steps
    h = horizon / t
    # line 21: s0, v0, kappa, theta, sigma, rho, rate = model
    rho = model[5]
    # line 27: second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
    t0 = np.sqrt(1.0 - rho * rho)
    # line 38: for k in range(paths):
    total = 0.0
    for k in range(p):
        # line 21: s0, v0, kappa, theta, sigma, rho, rate = model
        s0 = model[0]
        v0 = model[1]
        kappa = model[2]
        theta = model[3]
        sigma = model[4]
        rate = model[6]
        # line 23: for t in range(len(z)):
        total_1 = 0.0
        for t_1 in range(t):
            # line 24: positive = max(v, 0.0)
            positive = np.maximum(v0, 0.0)
            # line 25: root = np.sqrt(positive * h)
            root = np.sqrt(positive * h)
            # line 26: first = z[t, 0]
            first = z[k, t_1, 0]
            # line 27: second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
            second = rho * first + t0 * z[k, t_1, 1]
            # line 28: s = s * np.exp((rate - 0.5 * positive) * h + root * first)
            s0 *= np.exp((rate - 0.5 * positive) * h + root * first)
            # line 29: v = v + kappa * (theta - positive) * h + sigma * root * second
            v0 = v0 + kappa * (theta - positive) * h + sigma * root * second
            # line 30: total += s
            total_1 += s0
        # line 39: total += max(path_mean(model, z[k], h) - strike, 0.0)
        total += np.maximum(total_1 / np.float64(t) - strike, 0.0)
    # line 40: return np.exp(-model[6] * horizon) * total / paths
    t1 = model[6]
    t2 = np.exp(-(t1 * horizon))
    total_bar = t2 / p
    model_bar = np.zeros(7)
    model_bar[6] = -(total / np.float64(p) * t2 * horizon)
    # line 31: return total / len(z)
    t3 = np.float64(t)
    # line 27: second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
    t4 = 0.5 / t0
    # line 38: for k in range(paths):
    for k in reversed(range(p)):
        # line 21: s0, v0, kappa, theta, sigma, rho, rate = model
        s0 = model[0]
        v0 = model[1]
        kappa = model[2]
        theta = model[3]
        sigma = model[4]
        # line 23: for t in range(len(z)):
        total_1 = 0.0
        s_saved = np.empty(t)
        v_saved = np.empty(t)
        root_saved = np.empty(t)
        saved = np.empty(t)
        for t_1 in range(t):
            s_saved[t_1] = s0
            v_saved[t_1] = v0
            # line 24: positive = max(v, 0.0)
            positive = np.maximum(v0, 0.0)
            # line 25: root = np.sqrt(positive * h)
            root = np.sqrt(positive * h)
            root_saved[t_1] = root
            # line 26: first = z[t, 0]
            first = z[k, t_1, 0]
            # line 27: second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
            second = rho * first + t0 * z[k, t_1, 1]
            # line 28: s = s * np.exp((rate - 0.5 * positive) * h + root * first)
            t5 = np.exp((t1 - 0.5 * positive) * h + root * first)
            saved[t_1] = t5
            s0 *= t5
            # line 29: v = v + kappa * (theta - positive) * h + sigma * root * second
            v0 = v0 + kappa * (theta - positive) * h + sigma * root * second
            # line 30: total += s
            total_1 += s0
        # line 39: total += max(path_mean(model, z[k], h) - strike, 0.0)
        t6 = total_1 / t3 - strike
        # line 31: return total / len(z)
        total_bar_1 = np.where(t6 == 0.0, 0.5 * total_bar, np.where(t6 > 0.0, total_bar, 0.0))[()] / t
        # line 23: for t in range(len(z)):
        s_bar = 0.0
        v_bar = 0.0
        rho_bar = 0.0
        rate_bar = 0.0
        theta_bar = 0.0
        kappa_bar = 0.0
        sigma_bar = 0.0
        for t_1 in reversed(range(t)):
            s = s_saved[t_1]
            v = v_saved[t_1]
            # line 25: root = np.sqrt(positive * h)
            root = root_saved[t_1]
            # line 28: s = s * np.exp((rate - 0.5 * positive) * h + root * first)
            saved_1 = saved[t_1]
            # line 24: positive = max(v, 0.0)
            positive = np.maximum(v, 0.0)
            # line 26: first = z[t, 0]
            first = z[k, t_1, 0]
            # line 27: second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
            t7 = z[k, t_1, 1]
            second = rho * first + t0 * t7
            # line 30: total += s
            s_bar_1 = s_bar + total_bar_1
            # line 29: v = v + kappa * (theta - positive) * h + sigma * root * second
            t8 = v_bar * second
            second_bar = v_bar * (sigma * root)
            t9 = v_bar * h
            theta_bar_1 = t9 * kappa
            # line 28: s = s * np.exp((rate - 0.5 * positive) * h + root * first)
            s_bar = s_bar_1 * saved_1
            t10 = s_bar_1 * s * saved_1
            root_bar = t8 * sigma + t10 * first
            rate_bar_1 = t10 * h
            # line 27: second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
            rho_bar_1 = second_bar * t7 * t4 * rho
            # line 25: root = np.sqrt(positive * h)
            positive_bar = -theta_bar_1 - rate_bar_1 * 0.5 + root_bar * (0.5 / root) * h
            # line 24: positive = max(v, 0.0)
            v_bar += np.where(v == 0.0, 0.5 * positive_bar, np.where(v > 0.0, positive_bar, 0.0))[()]
            # line 27: second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
            rho_bar += -rho_bar_1 - rho_bar_1 + second_bar * first
            # line 28: s = s * np.exp((rate - 0.5 * positive) * h + root * first)
            rate_bar += rate_bar_1
            # line 29: v = v + kappa * (theta - positive) * h + sigma * root * second
            theta_bar += theta_bar_1
            kappa_bar += t9 * (theta - positive)
            sigma_bar += t8 * root
        # line 21: s0, v0, kappa, theta, sigma, rho, rate = model
        model_bar[6] += rate_bar
        model_bar[5] += rho_bar
        model_bar[4] += sigma_bar
        model_bar[3] += theta_bar
        model_bar[2] += kappa_bar
        model_bar[1] += v_bar
        model_bar[0] += s_bar
    return t2 * total / p, model_bar
