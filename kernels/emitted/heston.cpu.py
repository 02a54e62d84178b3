"""kernels/heston.py: value and gradient by model: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    model              f8[7]                          input
    strike             f8                             input
    horizon            f8                             input
    z                  f8[p, t, 2]                    input
    p                  i8                             size
    t                  i8                             size
    out                f8                             result
    model_bar          f8[7]                          result
    total_parts        f8[chunks, 16]                 scratch
    model_bar_parts    f8[chunks, 16]                 scratch
    model_bar_parts_1  f8[chunks, 16]                 scratch
    model_bar_parts_2  f8[chunks, 16]                 scratch
    model_bar_parts_3  f8[chunks, 16]                 scratch
    model_bar_parts_4  f8[chunks, 16]                 scratch
    model_bar_parts_5  f8[chunks, 16]                 scratch
    model_bar_parts_6  f8[chunks, 16]                 scratch
    v                  f8[16*chunks + chunks*tile]    scratch
    s                  f8[16*chunks + chunks*tile]    scratch
    total              f8[16*chunks + chunks*tile]    scratch
    s_saved            f8[16*chunks + chunks*t*tile]  scratch
    v_saved            f8[16*chunks + chunks*t*tile]  scratch
    root_saved         f8[16*chunks + chunks*t*tile]  scratch
    saved              f8[16*chunks + chunks*t*tile]  scratch
    v_bar              f8[16*chunks + chunks*tile]    scratch
    rho_bar            f8[16*chunks + chunks*tile]    scratch
    rate_bar           f8[16*chunks + chunks*tile]    scratch
    theta_bar          f8[16*chunks + chunks*tile]    scratch
    kappa_bar          f8[16*chunks + chunks*tile]    scratch
    sigma_bar          f8[16*chunks + chunks*tile]    scratch
    report             i8[0]                          result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, p, tile, chunks, t, model, v, s, total, h, z, t_2, s_saved, v_saved, root_saved, saved, rho, t_1, t_5, strike, total_bar, v_bar, rho_bar, rate_bar, theta_bar, kappa_bar, sigma_bar, t_6, total_parts, model_bar_parts, model_bar_parts_1, model_bar_parts_2, model_bar_parts_3, model_bar_parts_4, model_bar_parts_5, model_bar_parts_6):
    for chunk in range(begin, end):
        first = chunk * ((p + tile - 1) // tile) // chunks
        last = (chunk + 1) * ((p + tile - 1) // tile) // chunks
        at = (tile + 16) * chunk
        at_1 = (t * tile + 16) * chunk
        total_2 = 0.0
        model_bar_8 = 0.0
        model_bar_9 = 0.0
        model_bar_10 = 0.0
        model_bar_11 = 0.0
        model_bar_12 = 0.0
        model_bar_13 = 0.0
        model_bar_14 = 0.0
        for turn in range(last - first):
            block = first + turn
            start = block * tile
            lanes = min(tile, p - start)
            # s0, v0, kappa, theta, sigma, rho, rate = model
            kappa = model[2]
            theta = model[3]
            sigma = model[4]
            # for t in range(len(z)):
            for lane in range(lanes):
                v[at + lane] = model[1]
                s[at + lane] = model[0]
                total[at + lane] = 0.0
            for t_7 in range(t):
                # positive = max(v, 0.0)
                base = at_1 + t_7 * tile
                for lane in range(lanes):
                    t_8 = v[at + lane]
                    positive = t_8 if (t_8 > 0.0) | (t_8 != t_8) else 0.0
                    # root = np.sqrt(positive * h)
                    root = math.sqrt(positive * h)
                    # first = z[t, 0]
                    z_row = ((lane + start) * t + t_7) * 2
                    first_1 = z[z_row]
                    # s = s * np.exp((rate - 0.5 * positive) * h + root * first)
                    t_9 = math.exp((t_2 - 0.5 * positive) * h + root * first_1)
                    s_1 = s[at + lane] * t_9
                    # for t in range(len(z)):
                    s_saved[base + lane] = s[at + lane]
                    v_saved[base + lane] = v[at + lane]
                    root_saved[base + lane] = root
                    saved[base + lane] = t_9
                    s[at + lane] = s_1
                    v[at + lane] += kappa * (theta - positive) * h + sigma * root * (rho * first_1 + t_1 * z[z_row + 1])
                    total[at + lane] += s_1
            # for k in range(paths):
            for lane in range(lanes):
                t_10 = total[at + lane] / t_5 - strike
                total_2 += t_10 if (t_10 > 0.0) | (t_10 != t_10) else 0.0
                # return total / len(z)
                v[at + lane] = (0.5 * total_bar if t_10 == 0.0 else total_bar if t_10 > 0.0 else 0.0) / t_5
                # for t in range(len(z)):
                s[at + lane] = 0.0
                v_bar[at + lane] = 0.0
                rho_bar[at + lane] = 0.0
                rate_bar[at + lane] = 0.0
                theta_bar[at + lane] = 0.0
                kappa_bar[at + lane] = 0.0
                sigma_bar[at + lane] = 0.0
            for t_7 in range(t - 1, -1, -1):
                base_1 = at_1 + t_7 * tile
                for lane in range(lanes):
                    v_1 = v_saved[base_1 + lane]
                    # root = np.sqrt(positive * h)
                    root_1 = root_saved[base_1 + lane]
                    # s = s * np.exp((rate - 0.5 * positive) * h + root * first)
                    saved_1 = saved[base_1 + lane]
                    # first = z[t, 0]
                    z_row_1 = ((lane + start) * t + t_7) * 2
                    first_2 = z[z_row_1]
                    # second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
                    t_11 = z[z_row_1 + 1]
                    # total += s
                    s_bar = s[at + lane] + v[at + lane]
                    # v = v + kappa * (theta - positive) * h + sigma * root * second
                    t_12 = v_bar[at + lane] * (rho * first_2 + t_1 * t_11)
                    second_bar = v_bar[at + lane] * (sigma * root_1)
                    t_13 = v_bar[at + lane] * h
                    theta_bar_1 = t_13 * kappa
                    # s = s * np.exp((rate - 0.5 * positive) * h + root * first)
                    t_14 = s_bar * s_saved[base_1 + lane] * saved_1
                    rate_bar_1 = t_14 * h
                    # second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
                    rho_bar_1 = second_bar * t_11 * t_6 * rho
                    # for t in range(len(z)):
                    rho_bar[at + lane] += -rho_bar_1 - rho_bar_1 + second_bar * first_2
                    rate_bar[at + lane] += rate_bar_1
                    theta_bar[at + lane] += theta_bar_1
                    kappa_bar[at + lane] += t_13 * (theta - (v_1 if (v_1 > 0.0) | (v_1 != v_1) else 0.0))
                    sigma_bar[at + lane] += t_12 * root_1
                    s[at + lane] = s_bar * saved_1
                    t_15 = -theta_bar_1 - rate_bar_1 * 0.5 + (t_12 * sigma + t_14 * first_2) * (0.5 / root_1) * h
                    v_bar[at + lane] += 0.5 * t_15 if v_1 == 0.0 else t_15 if v_1 > 0.0 else 0.0
            # s0, v0, kappa, theta, sigma, rho, rate = model
            for lane in range(lanes):
                model_bar_8 += rate_bar[at + lane]
                model_bar_9 += rho_bar[at + lane]
                model_bar_10 += sigma_bar[at + lane]
                model_bar_11 += theta_bar[at + lane]
                model_bar_12 += kappa_bar[at + lane]
                model_bar_13 += v_bar[at + lane]
                model_bar_14 += s[at + lane]
        base_2 = chunk * 16
        total_parts[base_2] = total_2
        model_bar_parts[base_2] = model_bar_8
        model_bar_parts_1[base_2] = model_bar_9
        model_bar_parts_2[base_2] = model_bar_10
        model_bar_parts_3[base_2] = model_bar_11
        model_bar_parts_4[base_2] = model_bar_12
        model_bar_parts_5[base_2] = model_bar_13
        model_bar_parts_6[base_2] = model_bar_14
    return 0


def loss_value_and_grad(model, strike, horizon, z, p, t, out, model_bar, total_parts, model_bar_parts, model_bar_parts_1, model_bar_parts_2, model_bar_parts_3, model_bar_parts_4, model_bar_parts_5, model_bar_parts_6, v, s, total, s_saved, v_saved, root_saved, saved, v_bar, rho_bar, rate_bar, theta_bar, kappa_bar, sigma_bar, report):
    # h = horizon / steps
    h = horizon / np.float64(t)
    # s0, v0, kappa, theta, sigma, rho, rate = model
    rho = model[5]
    # second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
    t_1 = math.sqrt(1.0 - rho * rho)
    # for k in range(paths):
    total_1 = 0.0
    # return np.exp(-model[6] * horizon) * total / paths
    t_2 = model[6]
    t_3 = math.exp(-(t_2 * horizon))
    t_4 = np.float64(p)
    total_bar = t_3 / t_4
    # return total / len(z)
    t_5 = np.float64(t)
    # second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
    t_6 = 0.5 / t_1
    # for k in range(paths):
    model_bar_1 = 0.0
    model_bar_2 = 0.0
    model_bar_3 = 0.0
    model_bar_4 = 0.0
    model_bar_5 = 0.0
    model_bar_6 = 0.0
    model_bar_7 = 0.0
    tile = max(8, min(128, 8 * (max(32768 // (32 * t + 88), min(64, 2097152 // (32 * t + 88))) // 8)))
    chunks = max(1, min((p + tile - 1) // tile, 2 * min(8, (115 * t + 57) * p // 262144)))
    code = run_loss_value_and_grad_part(chunks, p, tile, chunks, t, model, v, s, total, h, z, t_2, s_saved, v_saved, root_saved, saved, rho, t_1, t_5, strike, total_bar, v_bar, rho_bar, rate_bar, theta_bar, kappa_bar, sigma_bar, t_6, total_parts, model_bar_parts, model_bar_parts_1, model_bar_parts_2, model_bar_parts_3, model_bar_parts_4, model_bar_parts_5, model_bar_parts_6)
    if code != 0:
        return code
    # for k in range(paths):
    for chunk in range(chunks):
        base_3 = chunk * 16
        total_1 += total_parts[base_3]
        model_bar_1 += model_bar_parts[base_3]
        model_bar_2 += model_bar_parts_1[base_3]
        model_bar_3 += model_bar_parts_2[base_3]
        model_bar_4 += model_bar_parts_3[base_3]
        model_bar_5 += model_bar_parts_4[base_3]
        model_bar_6 += model_bar_parts_5[base_3]
        model_bar_7 += model_bar_parts_6[base_3]
    # return np.exp(-model[6] * horizon) * total / paths
    t_16 = -(total_1 / t_4 * t_3 * horizon)
    for i in range(7):
        model_bar[i] = 0.0
    # for k in range(paths):
    model_bar[0] += model_bar_7
    model_bar[1] += model_bar_6
    model_bar[2] += model_bar_5
    model_bar[3] += model_bar_4
    model_bar[4] += model_bar_3
    model_bar[5] += model_bar_2
    model_bar[6] = t_16 + model_bar_1
    out[0] = t_3 * total_1 / t_4
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
