"""kernels/gmm.py: value and gradient by alphas, means and icf: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    alphas            f8[k]                                input
    means             f8[k, d]                             input
    icf               f8[k, q]                             input
    x                 f8[n, d]                             input
    gamma             f8                                   input
    m                 i8                                   input
    k                 i8                                   size
    d                 i8                                   size
    q                 i8                                   size
    n                 i8                                   size
    out               f8                                   result
    alphas_bar        f8[k]                                result
    means_bar         f8[k, d]                             result
    icf_bar           f8[k, q]                             result
    k_saved           i8[n, k, d]                          scratch
    out_saved         f8[n, k, d]                          scratch
    saved             f8[n, k]                             scratch
    saved_1           b1[n, k]                             scratch
    saved_2           f8[n]                                scratch
    total_parts       f8[chunks, 16]                       scratch
    x_tile            f8[16*chunks + chunks*d*tile]        scratch
    scores            f8[16*chunks + chunks*k*tile]        scratch
    t                 f8[16*chunks + chunks*d*tile]        scratch
    out_1             f8[16*chunks + chunks*d*tile]        scratch
    sum_1             f8[16*chunks + chunks*tile]          scratch
    sum_2             f8[16*chunks + chunks*tile]          scratch
    t_1               f8[k]                                scratch
    sum_parts         f8[chunks, 16]                       scratch
    total_parts_1     f8[chunks, 16]                       scratch
    sum_3             f8[16*chunks + chunks*tile]          scratch
    sum_4             f8[16*chunks + chunks*tile]          scratch
    t_2               f8[16*chunks + chunks*d*tile]        scratch
    sum_5             f8[16*chunks + chunks*tile]          scratch
    total_parts_2     f8[chunks, 16]                       scratch
    t_3               f8[k]                                scratch
    icf_bar_parts     f8[16*chunks + chunks*k*q]           scratch
    alphas_bar_parts  f8[16*chunks + chunks*k]             scratch
    means_bar_parts   f8[16*chunks + chunks*d*k]           scratch
    t_4               f8[16*chunks + chunks*d]             scratch
    t_5               f8[16*chunks + chunks*d]             scratch
    out_bar           f8[16*chunks + chunks*d]             scratch
    bar               f8[16*chunks + chunks*d]             scratch
    t_6               f8[16*chunks - chunks*d + chunks*q]  scratch
    report            i8[0]                                result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 0 with size -d + q (line 33)
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, tile, chunks, d, k, x_tile, x, scores, t, means, out_1, icf, q, k_saved, sum_1, out_saved, alphas, sum_2, saved, saved_1, saved_2, total_parts):
    for chunk in range(begin, end):
        first = chunk * ((n + tile - 1) // tile) // chunks
        last = (chunk * ((n + tile - 1) // tile) + (n + tile - 1) // tile) // chunks
        at = 16 * chunk + chunk * d * tile
        at_1 = 16 * chunk + chunk * k * tile
        at_2 = 16 * chunk + chunk * tile
        total_1 = 0.0
        for turn in range(last - first):
            block = first + turn
            start = block * tile
            lanes = min(tile, n - start)
            for lane in range(lanes):
                for i in range(d):
                    x_tile[at + i * tile + lane] = x[(lane + start) * d + i]
            # for j in range(k):
            for i in range(k):
                for lane in range(lanes):
                    scores[at_1 + i * tile + lane] = 0.0
            for j in range(k):
                # q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
                for i in range(d):
                    for lane in range(lanes):
                        t[at + i * tile + lane] = x_tile[at + i * tile + lane] - means[j * d + i]
                        out_1[at + i * tile + lane] = math.exp(icf[j * q + i]) * t[at + i * tile + lane]
                # for column in range(d):
                k_1 = 0
                for column in range(d):
                    # for row in range(column + 1, d):
                    n_1 = d - column - 1 if d - column - 1 > 0 else 0
                    k_2 = k_1
                    for row in range(n_1):
                        # out[row] += below[k] * r[column]
                        t_8 = k_2 < 0
                        t_7 = k_2 + q - d if t_8 else k_2
                        if not (t_7 >= 0) & (t_7 < q - d):
                            return 1
                        for lane in range(lanes):
                            t_9 = out_1[at + column * tile + lane + row * tile + tile] + icf[j * q + d + t_7] * t[at + column * tile + lane]
                            out_1[at + column * tile + lane + row * tile + tile] = t_9
                        # for row in range(column + 1, d):
                        k_2 = k_2 + 1
                    # for column in range(d):
                    for lane in range(lanes):
                        k_saved[((lane + start) * k + j) * d + column] = k_1
                    k_1 = k_2
                # scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
                sum_6 = 0.0
                for lane in range(lanes):
                    sum_1[at_2 + lane] = 0.0
                for i in range(d):
                    sum_6 += icf[j * q + i]
                    for lane in range(lanes):
                        t_10 = out_1[at + i * tile + lane]
                        sum_1[at_2 + lane] += t_10 * t_10
                        out_saved[((lane + start) * k + j) * d + i] = out_1[at + i * tile + lane]
                for lane in range(lanes):
                    t_11 = alphas[j] + sum_6 - 0.5 * sum_1[at_2 + lane]
                    scores[at_1 + j * tile + lane] = t_11
            # top = np.max(x)
            for lane in range(lanes):
                sum_1[at_2 + lane] = -math.inf
            for i in range(k):
                for lane in range(lanes):
                    t_12 = scores[at_1 + i * tile + lane]
                    t_13 = sum_1[at_2 + lane]
                    sum_1[at_2 + lane] = t_12 if (t_12 > t_13) | (t_12 != t_12) else t_13
            # return top + np.log(np.sum(np.exp(x - top)))
            for lane in range(lanes):
                sum_2[at_2 + lane] = 0.0
            for i in range(k):
                for lane in range(lanes):
                    t_14 = math.exp(scores[at_1 + i * tile + lane] - sum_1[at_2 + lane])
                    sum_2[at_2 + lane] += t_14
                    saved[(lane + start) * k + i] = t_14
                    saved_1[(lane + start) * k + i] = np.uint8(scores[at_1 + i * tile + lane] == sum_1[at_2 + lane])
            # for i in range(n):
            for lane in range(lanes):
                saved_2[lane + start] = 1.0 / sum_2[at_2 + lane]
                total_1 += sum_1[at_2 + lane] + math.log(sum_2[at_2 + lane])
        total_parts[chunk * 16] = total_1
    return 0


def loss_value_and_grad_part_1(begin, end, worker, k, tile_1, chunks_1, d, t_1, alphas, top, sum_3, sum_4, q, icf_bar, m, icf, t_2, sum_5, gamma, sum_parts, total_parts_1):
    for chunk in range(begin, end):
        first_1 = chunk * ((k + tile_1 - 1) // tile_1) // chunks_1
        last_1 = (chunk * ((k + tile_1 - 1) // tile_1) + (k + tile_1 - 1) // tile_1) // chunks_1
        at_3 = 16 * chunk + chunk * tile_1
        at_4 = 16 * chunk + chunk * d * tile_1
        sum_8 = 0.0
        total_3 = 0.0
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = block_1 * tile_1
            lanes_1 = min(tile_1, k - start_1)
            for lane in range(lanes_1):
                t_1[lane + start_1] = math.exp(alphas[lane + start_1] - top)
                sum_8 += t_1[lane + start_1]
                # squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
                sum_3[at_3 + lane] = 0.0
                # total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
                sum_4[at_3 + lane] = 0.0
            # for j in range(k):
            for lane in range(lanes_1):
                for j in range(q):
                    icf_bar[(lane + start_1) * q + j] = 0.0
            # total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
            t_16 = -np.float64(m)
            # squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
            for lane in range(lanes_1):
                for i in range(d):
                    sum_3[at_3 + lane] += math.exp(icf[(lane + start_1) * q + i]) ** 2
                    sum_4[at_3 + lane] += icf[(lane + start_1) * q + i]
                    t_2[at_4 + i * tile_1 + lane] = math.exp(icf[(lane + start_1) * q + i])
                    icf_bar[(lane + start_1) * q + i] += t_16
            for lane in range(lanes_1):
                sum_5[at_3 + lane] = 0.0
            # total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
            t_17 = 0.5 * gamma * gamma
            # squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
            for lane in range(lanes_1):
                for i in range(q - d):
                    sum_5[at_3 + lane] += icf[(lane + start_1) * q + d + i] ** 2
                    icf_bar[(lane + start_1) * q + d + i] += t_17 * (2.0 * icf[(lane + start_1) * q + d + i])
            # for j in range(k):
            for lane in range(lanes_1):
                total_3 += 0.5 * gamma * gamma * (sum_3[at_3 + lane] + sum_5[at_3 + lane]) - np.float64(m) * sum_4[at_3 + lane]
            # squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
            for i in range(d):
                for lane in range(lanes_1):
                    t_18 = t_2[at_4 + i * tile_1 + lane]
                    icf_bar[(lane + start_1) * q + i] += t_17 * (2.0 * t_18) * t_18
        sum_parts[chunk * 16] = sum_8
        total_parts_1[chunk * 16] = total_3
    return 0


def loss_value_and_grad_part_2(begin, end, worker, d, chunks_2, a, total_parts_2):
    for chunk in range(begin, end):
        first_2 = chunk * d // chunks_2
        last_2 = (chunk * d + d) // chunks_2
        total_5 = 0.0
        for turn in range(last_2 - first_2):
            j_1 = first_2 + turn
            total_5 += math.lgamma(a - 0.5 * np.float64(j_1))
        total_parts_2[chunk * 16] = total_5
    return 0


def loss_value_and_grad_part_3(begin, end, worker, k, chunks_3, alphas_bar, t_24, t_1, top_bar, t_3, sum_10):
    for chunk in range(begin, end):
        first_3 = chunk * k // chunks_3
        last_3 = (chunk * k + k) // chunks_3
        for turn in range(last_3 - first_3):
            i_1 = first_3 + turn
            alphas_bar[i_1] = t_24 * t_1[i_1] + top_bar * (t_3[i_1] / sum_10)
    return 0


def loss_value_and_grad_part_4(begin, end, worker, n, chunks_4, d, q, k, icf_bar_parts, alphas_bar_parts, means_bar_parts, saved_2, saved_1, saved, t_4, icf, t_5, x, means, out_bar, out_saved, bar, k_saved, t_6):
    for chunk in range(begin, end):
        first_4 = chunk * n // chunks_4
        last_4 = (chunk * n + n) // chunks_4
        at_5 = 16 * chunk + chunk * d
        at_6 = 16 * chunk + chunk * q - chunk * d
        at_7 = 16 * chunk + chunk * k * q
        at_8 = 16 * chunk + chunk * k
        at_9 = 16 * chunk + chunk * d * k
        for i in range(k * q * min(1, chunks_4 - 1)):
            icf_bar_parts[at_7 + i] = 0.0
        for i in range(k * min(1, chunks_4 - 1)):
            alphas_bar_parts[at_8 + i] = 0.0
        for i in range(d * k * min(1, chunks_4 - 1)):
            means_bar_parts[at_9 + i] = 0.0
        for turn in range(last_4 - first_4):
            i_2 = first_4 + turn
            # return top + np.log(np.sum(np.exp(x - top)))
            saved_3 = saved_2[i_2]
            # top = np.max(x)
            sum_11 = 0.0
            # return top + np.log(np.sum(np.exp(x - top)))
            sum_12 = 0.0
            # top = np.max(x)
            for i in range(k):
                sum_11 += np.float64(saved_1[i_2 * k + i] != 0)
                sum_12 += -(saved_3 * saved[i_2 * k + i])
            # return top + np.log(np.sum(np.exp(x - top)))
            top_bar_1 = 1.0 + sum_12
            # for j in range(k):
            for i in range(k):
                scores_bar = saved_3 * saved[i_2 * k + i] + top_bar_1 * (np.float64(saved_1[i_2 * k + i] != 0) / sum_11)
                # scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
                t_25 = scores_bar
                t_26 = -0.5 * t_25
                # q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
                for i_3 in range(d):
                    t_4[at_5 + i_3] = math.exp(icf[i * q + i_3])
                    t_5[at_5 + i_3] = x[i_2 * d + i_3] - means[i * d + i_3]
                    icf_bar_parts[at_7 + i * q + i_3] += t_25
                    out_bar[at_5 + i_3] = 2.0 * (t_26 * out_saved[(i_2 * k + i) * d + i_3])
                    bar[at_5 + i_3] = 0.0
                # scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
                scores_bar = 0.0
                alphas_bar_parts[at_8 + i] += t_25
                # for column in range(d):
                for column in range(d - 1, -1, -1):
                    k_3 = k_saved[(i_2 * k + i) * d + column]
                    # for row in range(column + 1, d):
                    n_2 = d - column - 1 if d - column - 1 > 0 else 0
                    for row in range(n_2 - 1, -1, -1):
                        # out[row] += below[k] * r[column]
                        t_28 = k_3 + row < 0
                        t_27 = k_3 + q + row - d if t_28 else k_3 + row
                        t_29 = out_bar[at_5 + column + row + 1]
                        out_bar[at_5 + column + row + 1] = 0.0
                        t_30 = t_29 * icf[i * q + d + t_27]
                        bar[at_5 + column] += t_30
                        t_31 = t_29 * t_5[at_5 + column]
                        for i_3 in range(q - d):
                            t_6[at_6 + i_3] = 0.0
                        t_6[at_6 + t_27] = t_31
                        for i_3 in range(q - d):
                            icf_bar_parts[at_7 + d + i * q + i_3] += t_6[at_6 + i_3]
                        out_bar[at_5 + column + row + 1] += t_29
                # q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
                for i_3 in range(d):
                    means_bar_parts[at_9 + d * i + i_3] += -(bar[at_5 + i_3] + out_bar[at_5 + i_3] * t_4[at_5 + i_3])
                    icf_bar_parts[at_7 + i * q + i_3] += out_bar[at_5 + i_3] * t_5[at_5 + i_3] * t_4[at_5 + i_3]
    return 0


def loss_value_and_grad(alphas, means, icf, x, gamma, m, k, d, q, n, out, alphas_bar, means_bar, icf_bar, k_saved, out_saved, saved, saved_1, saved_2, total_parts, x_tile, scores, t, out_1, sum_1, sum_2, t_1, sum_parts, total_parts_1, sum_3, sum_4, t_2, sum_5, total_parts_2, t_3, icf_bar_parts, alphas_bar_parts, means_bar_parts, t_4, t_5, out_bar, bar, t_6, report):
    # for i in range(n):
    total = 0.0
    tile = max(8, min(128, 8 * (max(32768 // (24 * d + 8 * k + 24), min(64, 2097152 // (24 * d + 8 * k + 24))) // 8)))
    chunks = max(1, min((n + tile - 1) // tile, 2 * min(8, (332 * d * k * n + 28 * k * n + 21 * n) // 262144)))
    code = run_loss_value_and_grad_part(chunks, n, tile, chunks, d, k, x_tile, x, scores, t, means, out_1, icf, q, k_saved, sum_1, out_saved, alphas, sum_2, saved, saved_1, saved_2, total_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        total += total_parts[chunk * 16]
    # top = np.max(x)
    top = -math.inf
    for i in range(k):
        t_15 = alphas[i]
        if t_15 > top or t_15 != t_15:
            top = t_15
    # return top + np.log(np.sum(np.exp(x - top)))
    sum_7 = 0.0
    # for j in range(k):
    total_2 = 0.0
    tile_1 = max(8, min(128, 8 * (max(32768 // (8 * d + 24), min(64, 2097152 // (8 * d + 24))) // 8)))
    # return top + np.log(np.sum(np.exp(x - top)))
    chunks_1 = max(1, min((k + tile_1 - 1) // tile_1, 2 * min(8, (22 * d * k + 32 * k + 8 * k * q) // 262144)))
    code_1 = run_loss_value_and_grad_part_1(chunks_1, k, tile_1, chunks_1, d, t_1, alphas, top, sum_3, sum_4, q, icf_bar, m, icf, t_2, sum_5, gamma, sum_parts, total_parts_1)
    if code_1 != 0:
        return code_1
    # return top + np.log(np.sum(np.exp(x - top)))
    for chunk in range(chunks_1):
        sum_7 += sum_parts[chunk * 16]
        total_2 += total_parts_1[chunk * 16]
    # return total - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + log_wishart_prior(icf, gamma, m, d)
    t_19 = np.float64(n)
    t_20 = np.float64(d)
    # constant = freedom * d * (np.log(gamma) - 0.5 * np.log(2.0)) - log_gamma_distribution(0.5 * freedom, d)
    a = 0.5 * np.float64(d + m + 1)
    # for j in range(p):
    total_4 = 0.0
    chunks_2 = max(1, min(d, 2 * min(8, 12 * d // 262144)))
    code_2 = run_loss_value_and_grad_part_2(chunks_2, d, chunks_2, a, total_parts_2)
    if code_2 != 0:
        return code_2
    for chunk in range(chunks_2):
        total_4 += total_parts_2[chunk * 16]
    total_4 += 0.25 * t_20 * np.float64(d - 1) * 1.1447298858494002
    # return total - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + log_wishart_prior(icf, gamma, m, d)
    t_22 = total - t_19 * (top + math.log(sum_7)) - 0.5 * np.float64(n) * t_20 * 1.8378770664093453
    t_23 = np.float64(d + d * d + d * m) * (math.log(gamma) - 0.34657359027997264) - total_4
    t_21 = t_22 + (total_2 - np.float64(k) * t_23)
    # return top + np.log(np.sum(np.exp(x - top)))
    t_24 = -t_19 / sum_7
    sum_9 = 0.0
    # top = np.max(x)
    sum_10 = 0.0
    # return top + np.log(np.sum(np.exp(x - top)))
    for i in range(k):
        sum_9 += -(t_24 * t_1[i])
        t_3[i] = np.float64(alphas[i] == top)
        sum_10 += t_3[i]
        # for i in range(n):
        for j in range(d):
            means_bar[i * d + j] = 0.0
    # return top + np.log(np.sum(np.exp(x - top)))
    top_bar = sum_9 - t_19
    # for i in range(n):
    chunks_3 = max(1, min(k, 2 * min(8, 14 * k // 262144)))
    code_3 = run_loss_value_and_grad_part_3(chunks_3, k, chunks_3, alphas_bar, t_24, t_1, top_bar, t_3, sum_10)
    if code_3 != 0:
        return code_3
    chunks_4 = max(1, min(n, 2 * min(max(2, min(8, 2097152 // (8 * d * k + 8 * k + 8 * k * q))), (277 * d * k * n + 48 * d * k * n * q + 27 * k * n + 6 * n - 48 * d * d * k * n) // (2 * max(131072, 32 * d * k + 32 * k + 32 * k * q)))))
    if chunks_4 == 1:
        code_4 = run_loss_value_and_grad_part_4(1, n, chunks_4, d, q, k, icf_bar, alphas_bar, means_bar, saved_2, saved_1, saved, t_4, icf, t_5, x, means, out_bar, out_saved, bar, k_saved, t_6)
    else:
        code_4 = run_loss_value_and_grad_part_4(chunks_4, n, chunks_4, d, q, k, icf_bar_parts, alphas_bar_parts, means_bar_parts, saved_2, saved_1, saved, t_4, icf, t_5, x, means, out_bar, out_saved, bar, k_saved, t_6)
    if code_4 != 0:
        return code_4
    # for i in range(n):
    for chunk in range(chunks_4):
        for i in range(k * q * min(1, chunks_4 - 1)):
            icf_bar[i] += icf_bar_parts[16 * chunk + chunk * k * q + i]
        for i in range(k * min(1, chunks_4 - 1)):
            alphas_bar[i] += alphas_bar_parts[16 * chunk + chunk * k + i]
        for i in range(d * k * min(1, chunks_4 - 1)):
            means_bar[i] += means_bar_parts[16 * chunk + chunk * d * k + i]
    out[0] = t_21
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


def run_loss_value_and_grad_part_2(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_2(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_loss_value_and_grad_part_3(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_3(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_loss_value_and_grad_part_4(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_4(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
