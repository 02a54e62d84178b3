"""kernels/heston.py: value and gradient by model: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    model            f8[7]                          input
    strike           f8                             input
    horizon          f8                             input
    z                f8[p, t, 2]                    input
    p                i8                             size
    t                i8                             size
    out              f8                             result
    model_bar        f8[7]                          result
    total_parts      f8[chunks, 16]                 scratch
    s                f8[144*chunks]                 scratch
    v                f8[144*chunks]                 scratch
    total            f8[144*chunks]                 scratch
    model_bar_parts  f8[23*chunks]                  scratch
    s_1              f8[16*chunks + chunks*tile]    scratch
    v_1              f8[16*chunks + chunks*tile]    scratch
    total_1          f8[16*chunks + chunks*tile]    scratch
    s_saved          f8[16*chunks + chunks*t*tile]  scratch
    v_saved          f8[16*chunks + chunks*t*tile]  scratch
    v_bar            f8[16*chunks + chunks*tile]    scratch
    rho_bar          f8[16*chunks + chunks*tile]    scratch
    rate_bar         f8[16*chunks + chunks*tile]    scratch
    theta_bar        f8[16*chunks + chunks*tile]    scratch
    kappa_bar        f8[16*chunks + chunks*tile]    scratch
    sigma_bar        f8[16*chunks + chunks*tile]    scratch
    report           i8[0]                          result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, p, chunks, model, s, v, total, t, h, z, rho, t_1, strike, total_parts):
    for chunk in range(begin, end):
        first = chunk * ((p + 127) // 128) // chunks
        last = (chunk * ((p + 127) // 128) + (p + 127) // 128) // chunks
        at = 144 * chunk
        total_3 = 0.0
        for turn in range(last - first):
            block = first + turn
            start = 128 * block
            lanes = min(128, p - start)
            # s0, v0, kappa, theta, sigma, rho, rate = model
            kappa = model[2]
            theta = model[3]
            sigma = model[4]
            rate = model[6]
            # for t in range(len(z)):
            for lane in range(lanes):
                s[at + lane] = model[0]
                v[at + lane] = model[1]
                total[at + lane] = 0.0
            for t_2 in range(t):
                # positive = max(v, 0.0)
                for lane in range(lanes):
                    t_3 = v[at + lane]
                    positive = t_3 if (t_3 > 0.0) | (t_3 != t_3) else 0.0
                    # root = np.sqrt(positive * h)
                    root = math.sqrt(positive * h)
                    # first = z[t, 0]
                    z_row = ((lane + start) * t + t_2) * 2
                    first_1 = z[z_row]
                    # s = s * np.exp((rate - 0.5 * positive) * h + root * first)
                    s_2 = s[at + lane] * math.exp((rate - 0.5 * positive) * h + root * first_1)
                    # for t in range(len(z)):
                    s[at + lane] = s_2
                    v[at + lane] += kappa * (theta - positive) * h + sigma * root * (rho * first_1 + t_1 * z[z_row + 1])
                    total[at + lane] += s_2
            # for k in range(paths):
            for lane in range(lanes):
                t_4 = total[at + lane] / np.float64(t) - strike
                total_3 += t_4 if (t_4 > 0.0) | (t_4 != t_4) else 0.0
        total_parts[chunk * 16] = total_3
    return 0


def loss_value_and_grad_part_1(begin, end, worker, p, tile, chunks_1, t, model_bar_parts, model, s_1, v_1, total_1, h, z, t_5, s_saved, v_saved, rho, t_1, t_9, strike, total_bar, v_bar, rho_bar, rate_bar, theta_bar, kappa_bar, sigma_bar, t_10):
    for chunk in range(begin, end):
        first_2 = chunk * ((p + tile - 1) // tile) // chunks_1
        last_1 = (chunk * ((p + tile - 1) // tile) + (p + tile - 1) // tile) // chunks_1
        at_1 = 16 * chunk + chunk * tile
        at_2 = 16 * chunk + chunk * t * tile
        at_3 = 23 * chunk
        for i in range(7 * min(1, chunks_1 - 1)):
            model_bar_parts[at_3 + i] = 0.0
        for turn in range(last_1 - first_2):
            block_1 = first_2 + turn
            start_1 = block_1 * tile
            lanes_1 = min(tile, p - start_1)
            # s0, v0, kappa, theta, sigma, rho, rate = model
            kappa_1 = model[2]
            theta_1 = model[3]
            sigma_1 = model[4]
            # for t in range(len(z)):
            for lane in range(lanes_1):
                s_1[at_1 + lane] = model[0]
                v_1[at_1 + lane] = model[1]
                total_1[at_1 + lane] = 0.0
            for t_2 in range(t):
                # positive = max(v, 0.0)
                base = at_2 + t_2 * tile
                for lane in range(lanes_1):
                    t_11 = v_1[at_1 + lane]
                    positive_1 = t_11 if (t_11 > 0.0) | (t_11 != t_11) else 0.0
                    # root = np.sqrt(positive * h)
                    root_1 = math.sqrt(positive_1 * h)
                    # first = z[t, 0]
                    z_row_1 = ((lane + start_1) * t + t_2) * 2
                    first_3 = z[z_row_1]
                    # s = s * np.exp((rate - 0.5 * positive) * h + root * first)
                    s_3 = s_1[at_1 + lane] * math.exp((t_5 - 0.5 * positive_1) * h + root_1 * first_3)
                    # for t in range(len(z)):
                    s_saved[base + lane] = s_1[at_1 + lane]
                    v_saved[base + lane] = v_1[at_1 + lane]
                    s_1[at_1 + lane] = s_3
                    v_1[at_1 + lane] += kappa_1 * (theta_1 - positive_1) * h + sigma_1 * root_1 * (rho * first_3 + t_1 * z[z_row_1 + 1])
                    total_1[at_1 + lane] += s_3
            # return total / len(z)
            for lane in range(lanes_1):
                t_12 = total_1[at_1 + lane] / t_9 - strike
                s_1[at_1 + lane] = (0.5 * total_bar if t_12 == 0.0 else total_bar if t_12 > 0.0 else 0.0) / t_9
                # for t in range(len(z)):
                v_1[at_1 + lane] = 0.0
                v_bar[at_1 + lane] = 0.0
                rho_bar[at_1 + lane] = 0.0
                rate_bar[at_1 + lane] = 0.0
                theta_bar[at_1 + lane] = 0.0
                kappa_bar[at_1 + lane] = 0.0
                sigma_bar[at_1 + lane] = 0.0
            for t_2 in range(t - 1, -1, -1):
                base_1 = at_2 + t_2 * tile
                for lane in range(lanes_1):
                    v_2 = v_saved[base_1 + lane]
                    # positive = max(v, 0.0)
                    positive_2 = v_2 if (v_2 > 0.0) | (v_2 != v_2) else 0.0
                    # root = np.sqrt(positive * h)
                    root_2 = math.sqrt(positive_2 * h)
                    # first = z[t, 0]
                    z_row_2 = ((lane + start_1) * t + t_2) * 2
                    first_4 = z[z_row_2]
                    # second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
                    t_13 = z[z_row_2 + 1]
                    # s = s * np.exp((rate - 0.5 * positive) * h + root * first)
                    t_14 = math.exp((t_5 - 0.5 * positive_2) * h + root_2 * first_4)
                    # total += s
                    s_bar = v_1[at_1 + lane] + s_1[at_1 + lane]
                    # v = v + kappa * (theta - positive) * h + sigma * root * second
                    t_15 = v_bar[at_1 + lane] * (rho * first_4 + t_1 * t_13)
                    second_bar = v_bar[at_1 + lane] * (sigma_1 * root_2)
                    t_16 = v_bar[at_1 + lane] * h
                    theta_bar_1 = t_16 * kappa_1
                    # s = s * np.exp((rate - 0.5 * positive) * h + root * first)
                    t_17 = s_bar * s_saved[base_1 + lane] * t_14
                    rate_bar_1 = t_17 * h
                    # second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
                    rho_bar_1 = second_bar * t_13 * t_10 * rho
                    # for t in range(len(z)):
                    rho_bar[at_1 + lane] += -rho_bar_1 - rho_bar_1 + second_bar * first_4
                    rate_bar[at_1 + lane] += rate_bar_1
                    theta_bar[at_1 + lane] += theta_bar_1
                    kappa_bar[at_1 + lane] += t_16 * (theta_1 - positive_2)
                    sigma_bar[at_1 + lane] += t_15 * root_2
                    v_1[at_1 + lane] = s_bar * t_14
                    t_18 = -theta_bar_1 - rate_bar_1 * 0.5 + (t_15 * sigma_1 + t_17 * first_4) * (0.5 / root_2) * h
                    v_bar[at_1 + lane] += 0.5 * t_18 if v_2 == 0.0 else t_18 if v_2 > 0.0 else 0.0
            # s0, v0, kappa, theta, sigma, rho, rate = model
            model_bar_1 = 0.0
            model_bar_2 = 0.0
            model_bar_3 = 0.0
            model_bar_4 = 0.0
            model_bar_5 = 0.0
            model_bar_6 = 0.0
            model_bar_7 = 0.0
            for lane in range(lanes_1):
                model_bar_1 += rate_bar[at_1 + lane]
                model_bar_2 += rho_bar[at_1 + lane]
                model_bar_3 += sigma_bar[at_1 + lane]
                model_bar_4 += theta_bar[at_1 + lane]
                model_bar_5 += kappa_bar[at_1 + lane]
                model_bar_6 += v_bar[at_1 + lane]
                model_bar_7 += v_1[at_1 + lane]
            model_bar_parts[at_3 + 6] += model_bar_1
            model_bar_parts[at_3 + 5] += model_bar_2
            model_bar_parts[at_3 + 4] += model_bar_3
            model_bar_parts[at_3 + 3] += model_bar_4
            model_bar_parts[at_3 + 2] += model_bar_5
            model_bar_parts[at_3 + 1] += model_bar_6
            model_bar_parts[at_3] += model_bar_7
    return 0


def loss_value_and_grad(model, strike, horizon, z, p, t, out, model_bar, total_parts, s, v, total, model_bar_parts, s_1, v_1, total_1, s_saved, v_saved, v_bar, rho_bar, rate_bar, theta_bar, kappa_bar, sigma_bar, report):
    # h = horizon / steps
    h = horizon / np.float64(t)
    # s0, v0, kappa, theta, sigma, rho, rate = model
    rho = model[5]
    # second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
    t_1 = math.sqrt(1.0 - rho * rho)
    # for k in range(paths):
    total_2 = 0.0
    chunks = max(1, min((p + 127) // 128, 2 * min(8, (26 * p + 42 * p * t) // 262144)))
    code = run_loss_value_and_grad_part(chunks, p, chunks, model, s, v, total, t, h, z, rho, t_1, strike, total_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        total_2 += total_parts[chunk * 16]
    # return np.exp(-model[6] * horizon) * total / paths
    t_5 = model[6]
    t_6 = math.exp(-(t_5 * horizon))
    t_7 = np.float64(p)
    total_bar = t_6 / t_7
    t_8 = -(total_2 / t_7 * t_6 * horizon)
    for i in range(7):
        model_bar[i] = 0.0
    model_bar[6] = t_8
    # return total / len(z)
    t_9 = np.float64(t)
    # second = rho * first + np.sqrt(1.0 - rho * rho) * z[t, 1]
    t_10 = 0.5 / t_1
    tile = max(8, min(128, 8 * (max(32768 // (16 * t + 88), min(64, 2097152 // (16 * t + 88))) // 8)))
    # for k in range(paths):
    chunks_1 = max(1, min((p + tile - 1) // tile, 2 * min(8, (45 * p + 133 * p * t) // 262144)))
    if chunks_1 == 1:
        code_1 = run_loss_value_and_grad_part_1(1, p, tile, chunks_1, t, model_bar, model, s_1, v_1, total_1, h, z, t_5, s_saved, v_saved, rho, t_1, t_9, strike, total_bar, v_bar, rho_bar, rate_bar, theta_bar, kappa_bar, sigma_bar, t_10)
    else:
        code_1 = run_loss_value_and_grad_part_1(chunks_1, p, tile, chunks_1, t, model_bar_parts, model, s_1, v_1, total_1, h, z, t_5, s_saved, v_saved, rho, t_1, t_9, strike, total_bar, v_bar, rho_bar, rate_bar, theta_bar, kappa_bar, sigma_bar, t_10)
    if code_1 != 0:
        return code_1
    # for k in range(paths):
    for chunk in range(chunks_1):
        for i in range(7 * min(1, chunks_1 - 1)):
            model_bar[i] += model_bar_parts[23 * chunk + i]
    out[0] = t_6 * total_2 / t_7
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_loss_value_and_grad_part_1(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_1(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
