"""kernels/gmm.py: value and gradient by alphas, means and icf: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    alphas            f8[k]                            input
    means             f8[k, d]                         input
    icf               f8[k, q]                         input
    x                 f8[n, d]                         input
    gamma             f8                               input
    m                 i8                               input
    k                 i8                               size
    d                 i8                               size
    q                 i8                               size
    n                 i8                               size
    out               f8                               result
    alphas_bar        f8[k]                            result
    means_bar         f8[k, d]                         result
    icf_bar           f8[k, q]                         result
    t                 f8[k]                            scratch
    sum_parts         f8[chunks, 16]                   scratch
    t_1               f8[16*chunks + chunks*d*tile]    scratch
    t_2               f8[k]                            scratch
    total_parts       f8[chunks, 16]                   scratch
    sum_1             f8[144*chunks]                   scratch
    sum_2             f8[144*chunks]                   scratch
    sum_3             f8[144*chunks]                   scratch
    icf_bar_parts     f8[16*chunks + chunks*k*q]       scratch
    alphas_bar_parts  f8[16*chunks + chunks*k]         scratch
    means_bar_parts   f8[16*chunks + chunks*d*k]       scratch
    total_parts_1     f8[chunks, 16]                   scratch
    x_tile            f8[16*chunks + chunks*d*tile]    scratch
    top               f8[16*chunks + chunks*tile]      scratch
    out_saved         f8[16*chunks + chunks*d*k*tile]  scratch
    scores            f8[16*chunks + chunks*k*tile]    scratch
    t_3               f8[16*chunks + chunks*d*tile]    scratch
    out_1             f8[16*chunks + chunks*d*tile]    scratch
    sum_4             f8[16*chunks + chunks*tile]      scratch
    sum_5             f8[16*chunks + chunks*tile]      scratch
    saved             f8[16*chunks + chunks*k*tile]    scratch
    saved_1           b1[16*chunks + chunks*k*tile]    scratch
    saved_2           f8[16*chunks + chunks*tile]      scratch
    sum_6             f8[16*chunks + chunks*tile]      scratch
    t_4               f8[16*chunks + chunks*tile]      scratch
    t_5               f8[16*chunks + chunks*d]         scratch
    bar               f8[16*chunks + chunks*d*tile]    scratch
    total_parts_2     f8[chunks, 16]                   scratch
    report            i8[0]                            result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 0 with size -d + q (line 33)
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, k, tile, chunks, d, t, alphas, top_1, q, icf_bar, m, t_1, icf, gamma, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((k + tile - 1) // tile) // chunks
        last = (chunk + 1) * ((k + tile - 1) // tile) // chunks
        at = (d * tile + 16) * chunk
        sum_8 = 0.0
        for turn in range(last - first):
            block = first + turn
            start = block * tile
            lanes = min(tile, k - start)
            for lane in range(lanes):
                t[lane + start] = math.exp(alphas[lane + start] - top_1)
                sum_8 += t[lane + start]
            # for j in range(k):
            for lane in range(lanes):
                for j in range(q):
                    icf_bar[(lane + start) * q + j] = 0.0
            # total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
            t_8 = -np.float64(m)
            # squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
            for lane in range(lanes):
                base = (lane + start) * q
                for i in range(d):
                    t_1[at + i * tile + lane] = math.exp(icf[base + i])
                    icf_bar[base + i] += t_8
            # total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
            t_9 = 0.5 * gamma * gamma
            # squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
            for lane in range(lanes):
                base_1 = (lane + start) * q
                for i in range(q - d):
                    icf_bar[base_1 + d + i] += t_9 * (2.0 * icf[base_1 + d + i])
            for i in range(d):
                for lane in range(lanes):
                    t_10 = t_1[at + i * tile + lane]
                    icf_bar[(lane + start) * q + i] += t_9 * (2.0 * t_10) * t_10
        sum_parts[chunk * 16] = sum_8
    return 0


def loss_value_and_grad_part_1(begin, end, worker, k, chunks_1, alphas_bar, t_12, t, top_bar, t_2, sum_10, sum_1, sum_2, q, d, icf, sum_3, gamma, m, total_parts):
    for chunk in range(begin, end):
        first_1 = chunk * ((k + 127) // 128) // chunks_1
        last_1 = (chunk + 1) * ((k + 127) // 128) // chunks_1
        at_1 = 144 * chunk
        total_2 = 0.0
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = 128 * block_1
            lanes_1 = min(128, k - start_1)
            for lane in range(lanes_1):
                alphas_bar[lane + start_1] = t_12 * t[lane + start_1] + top_bar * (t_2[lane + start_1] / sum_10)
                # squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
                sum_1[at_1 + lane] = 0.0
                # total += 0.5 * gamma * gamma * squares - m * np.sum(icf[j, :d])
                sum_2[at_1 + lane] = 0.0
            # squares = np.sum(np.exp(icf[j, :d]) ** 2) + np.sum(icf[j, d:] ** 2)
            for lane in range(lanes_1):
                icf_row = (lane + start_1) * q
                for i in range(d):
                    t_13 = math.exp(icf[icf_row + i])
                    sum_1[at_1 + lane] += t_13 * t_13
                    sum_2[at_1 + lane] += icf[icf_row + i]
            for lane in range(lanes_1):
                sum_3[at_1 + lane] = 0.0
            for lane in range(lanes_1):
                for i in range(q - d):
                    t_14 = icf[(lane + start_1) * q + d + i]
                    sum_3[at_1 + lane] += t_14 * t_14
            # for j in range(k):
            for lane in range(lanes_1):
                total_2 += 0.5 * gamma * gamma * (sum_1[at_1 + lane] + sum_3[at_1 + lane]) - np.float64(m) * sum_2[at_1 + lane]
        total_parts[chunk * 16] = total_2
    return 0


def loss_value_and_grad_part_2(begin, end, worker, n, tile_1, chunks_2, d, k, q, icf_bar_parts, alphas_bar_parts, means_bar_parts, x_tile, x, top, t_3, means, out_1, icf, sum_4, out_saved, alphas, scores, sum_5, saved, saved_1, saved_2, sum_6, t_4, t_5, bar, total_parts_1):
    for chunk in range(begin, end):
        first_2 = chunk * ((n + tile_1 - 1) // tile_1) // chunks_2
        last_2 = (chunk + 1) * ((n + tile_1 - 1) // tile_1) // chunks_2
        at_2 = (d * tile_1 + 16) * chunk
        at_3 = (tile_1 + 16) * chunk
        at_4 = (d * k * tile_1 + 16) * chunk
        at_5 = (k * tile_1 + 16) * chunk
        at_6 = (d + 16) * chunk
        at_7 = (k * q + 16) * chunk
        at_8 = (k + 16) * chunk
        at_9 = (d * k + 16) * chunk
        total_3 = 0.0
        for i in range(k * q * min(1, chunks_2 - 1)):
            icf_bar_parts[at_7 + i] = 0.0
        for i in range(k * min(1, chunks_2 - 1)):
            alphas_bar_parts[at_8 + i] = 0.0
        for i in range(d * k * min(1, chunks_2 - 1)):
            means_bar_parts[at_9 + i] = 0.0
        for turn in range(last_2 - first_2):
            block_2 = first_2 + turn
            start_2 = block_2 * tile_1
            lanes_2 = min(tile_1, n - start_2)
            for lane in range(lanes_2):
                for i in range(d):
                    x_tile[at_2 + i * tile_1 + lane] = x[(lane + start_2) * d + i]
            # top = np.max(x)
            for lane in range(lanes_2):
                top[at_3 + lane] = -math.inf
            # for j in range(k):
            for i in range(k):
                # q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
                for i_1 in range(d):
                    base_2 = at_2 + i_1 * tile_1
                    for lane in range(lanes_2):
                        t_3[base_2 + lane] = x_tile[base_2 + lane] - means[i * d + i_1]
                        out_1[base_2 + lane] = math.exp(icf[i * q + i_1]) * t_3[base_2 + lane]
                # scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
                sum_11 = 0.0
                # for column in range(d):
                for column in range(d):
                    k_1 = (2 * d - column - 1) * column // 2
                    # for row in range(column + 1, d):
                    for row in range(d - column - 1):
                        # out[row] += below[k] * r[column]
                        for lane in range(lanes_2):
                            t_15 = icf[i * q + d + k_1 + row] * t_3[at_2 + column * tile_1 + lane]
                            out_1[(column + row + 1) * tile_1 + at_2 + lane] += t_15
                    sum_11 += icf[i * q + column]
                # scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
                for lane in range(lanes_2):
                    sum_4[at_3 + lane] = 0.0
                for i_1 in range(d):
                    out_row = at_2 + i_1 * tile_1
                    for lane in range(lanes_2):
                        t_16 = out_1[out_row + lane]
                        sum_4[at_3 + lane] += t_16 * t_16
                        out_saved[(d * i + i_1) * tile_1 + at_4 + lane] = out_1[out_row + lane]
                scores_row = at_5 + i * tile_1
                for lane in range(lanes_2):
                    t_17 = alphas[i] + sum_11 - 0.5 * sum_4[at_3 + lane]
                    scores[scores_row + lane] = t_17
                    t_18 = scores[scores_row + lane]
                    t_19 = top[at_3 + lane]
                    top[at_3 + lane] = t_18 if (t_18 > t_19) | (t_18 != t_18) else t_19
            # return top + np.log(np.sum(np.exp(x - top)))
            for lane in range(lanes_2):
                sum_4[at_3 + lane] = 0.0
                # top = np.max(x)
                sum_5[at_3 + lane] = 0.0
            # return top + np.log(np.sum(np.exp(x - top)))
            for i in range(k):
                base_3 = at_5 + i * tile_1
                for lane in range(lanes_2):
                    t_20 = math.exp(scores[base_3 + lane] - top[at_3 + lane])
                    sum_4[at_3 + lane] += t_20
                    saved[base_3 + lane] = t_20
                    saved_1[base_3 + lane] = np.uint8(scores[base_3 + lane] == top[at_3 + lane])
                    sum_5[at_3 + lane] += np.float64(saved_1[base_3 + lane] != 0)
            # for i in range(n):
            for lane in range(lanes_2):
                saved_2[at_3 + lane] = 1.0 / sum_4[at_3 + lane]
                total_3 += top[at_3 + lane] + math.log(sum_4[at_3 + lane])
                # return top + np.log(np.sum(np.exp(x - top)))
                sum_6[at_3 + lane] = 0.0
            for i in range(k):
                for lane in range(lanes_2):
                    sum_6[at_3 + lane] += -(saved_2[at_3 + lane] * saved[at_5 + i * tile_1 + lane])
            for lane in range(lanes_2):
                top[at_3 + lane] = 1.0 + sum_6[at_3 + lane]
            # for j in range(k):
            for i in range(k):
                base_4 = at_5 + i * tile_1
                for lane in range(lanes_2):
                    sum_4[at_3 + lane] = saved_2[at_3 + lane] * saved[base_4 + lane] + top[at_3 + lane] * (np.float64(saved_1[base_4 + lane] != 0) / sum_5[at_3 + lane])
                    # scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
                    sum_6[at_3 + lane] = sum_4[at_3 + lane]
                    t_4[at_3 + lane] = -0.5 * sum_6[at_3 + lane]
                # q = times(np.exp(icf[j, :d]), icf[j, d:], x[i] - means[j])
                icf_bar_parts_row = at_7 + i * q
                for i_1 in range(d):
                    t_5[at_6 + i_1] = math.exp(icf[i * q + i_1])
                    icf_bar_1 = 0.0
                    base_5 = at_2 + i_1 * tile_1
                    for lane in range(lanes_2):
                        t_3[base_5 + lane] = x_tile[base_5 + lane] - means[i * d + i_1]
                        icf_bar_1 += sum_6[at_3 + lane]
                        out_1[base_5 + lane] = 2.0 * (t_4[at_3 + lane] * out_saved[(d * i + i_1) * tile_1 + at_4 + lane])
                        bar[base_5 + lane] = 0.0
                    icf_bar_parts[icf_bar_parts_row + i_1] += icf_bar_1
                # scores[j] = alphas[j] + np.sum(icf[j, :d]) - 0.5 * np.sum(q * q)
                alphas_bar_1 = 0.0
                for lane in range(lanes_2):
                    sum_4[at_3 + lane] = 0.0
                    alphas_bar_1 += sum_6[at_3 + lane]
                alphas_bar_parts[at_8 + i] += alphas_bar_1
                # for column in range(d):
                for column in range(d):
                    k_2 = (2 * d - column - 1) * column // 2
                    # for row in range(column + 1, d):
                    base_6 = at_2 + column * tile_1
                    for row in range(d - column - 1 - 1, -1, -1):
                        # out[row] += below[k] * r[column]
                        icf_bar_2 = 0.0
                        for lane in range(lanes_2):
                            t_21 = out_1[(column + row + 1) * tile_1 + at_2 + lane]
                            t_22 = t_21 * icf[i * q + d + k_2 + row]
                            bar[base_6 + lane] += t_22
                            t_23 = t_21 * t_3[base_6 + lane]
                            icf_bar_2 += t_23
                        icf_bar_parts[at_7 + d + i * q + k_2 + row] += icf_bar_2
                    means_bar_1 = 0.0
                    icf_bar_3 = 0.0
                    for lane in range(lanes_2):
                        means_bar_1 += -(bar[base_6 + lane] + out_1[base_6 + lane] * t_5[at_6 + column])
                        icf_bar_3 += out_1[base_6 + lane] * t_3[base_6 + lane] * t_5[at_6 + column]
                    means_bar_parts[at_9 + column + d * i] += means_bar_1
                    icf_bar_parts[icf_bar_parts_row + column] += icf_bar_3
        total_parts_1[chunk * 16] = total_3
    return 0


def loss_value_and_grad_part_3(begin, end, worker, d, chunks_3, a, total_parts_2):
    for chunk in range(begin, end):
        first_3 = chunk * d // chunks_3
        last_3 = (chunk + 1) * d // chunks_3
        total_5 = 0.0
        for turn in range(last_3 - first_3):
            j_1 = first_3 + turn
            total_5 += math.lgamma(a - 0.5 * np.float64(j_1))
        total_parts_2[chunk * 16] = total_5
    return 0


def loss_value_and_grad(alphas, means, icf, x, gamma, m, k, d, q, n, out, alphas_bar, means_bar, icf_bar, t, sum_parts, t_1, t_2, total_parts, sum_1, sum_2, sum_3, icf_bar_parts, alphas_bar_parts, means_bar_parts, total_parts_1, x_tile, top, out_saved, scores, t_3, out_1, sum_4, sum_5, saved, saved_1, saved_2, sum_6, t_4, t_5, bar, total_parts_2, report):
    # for column in range(d):
    for column in range(d):
        # out[row] += below[k] * r[column]
        t_6 = (d - column - 1 < 1) | ((2 * d - column - 1) * column // 2 + d - column - 2 < q - d)
        if not (n < 1) | ((k < 1) | t_6):
            return 1
    # for i in range(n):
    total = 0.0
    # top = np.max(x)
    top_1 = -math.inf
    for i in range(k):
        t_7 = alphas[i]
        if t_7 > top_1 or t_7 != t_7:
            top_1 = t_7
    # return top + np.log(np.sum(np.exp(x - top)))
    sum_7 = 0.0
    tile = max(8, min(128, 8 * (max(32768 // (8 * d), min(64, 2097152 // (8 * d))) // 8)))
    chunks = max(1, min((k + tile - 1) // tile, 2 * min(8, (12 * d + 5 * q + 20) * k // 262144)))
    code = run_loss_value_and_grad_part(chunks, k, tile, chunks, d, t, alphas, top_1, q, icf_bar, m, t_1, icf, gamma, sum_parts)
    if code != 0:
        return code
    # return top + np.log(np.sum(np.exp(x - top)))
    for chunk in range(chunks):
        sum_7 += sum_parts[chunk * 16]
    # return total - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + log_wishart_prior(icf, gamma, m, d)
    t_11 = np.float64(n)
    # return top + np.log(np.sum(np.exp(x - top)))
    t_12 = -t_11 / sum_7
    sum_9 = 0.0
    # top = np.max(x)
    sum_10 = 0.0
    # return top + np.log(np.sum(np.exp(x - top)))
    for i in range(k):
        sum_9 += -(t_12 * t[i])
        t_2[i] = np.float64(alphas[i] == top_1)
        sum_10 += t_2[i]
        # for i in range(n):
        for j in range(d):
            means_bar[i * d + j] = 0.0
    # return top + np.log(np.sum(np.exp(x - top)))
    top_bar = sum_9 - t_11
    # for j in range(k):
    total_1 = 0.0
    # for i in range(n):
    chunks_1 = max(1, min((k + 127) // 128, 2 * min(8, (10 * d + 3 * q + 26) * k // 262144)))
    code_1 = run_loss_value_and_grad_part_1(chunks_1, k, chunks_1, alphas_bar, t_12, t, top_bar, t_2, sum_10, sum_1, sum_2, q, d, icf, sum_3, gamma, m, total_parts)
    if code_1 != 0:
        return code_1
    # for i in range(n):
    for chunk in range(chunks_1):
        total_1 += total_parts[chunk * 16]
    tile_1 = max(8, min(128, 8 * (max(32768 // ((8 * k + 48) * d + 17 * k + 80), min(64, 2097152 // ((8 * k + 48) * d + 17 * k + 80))) // 8)))
    chunks_2 = max(1, min((n + tile_1 - 1) // tile_1, 2 * min(max(2, min(8, 2097152 // ((8 * d + 8 * q + 8) * k))), (((15 * d + 59 - 15 * (d // 2)) * d + 53) * k + 25) * n // (2 * max(131072, (32 * d + 32 * q + 32) * k)))))
    if chunks_2 == 1:
        code_2 = run_loss_value_and_grad_part_2(1, n, tile_1, chunks_2, d, k, q, icf_bar, alphas_bar, means_bar, x_tile, x, top, t_3, means, out_1, icf, sum_4, out_saved, alphas, scores, sum_5, saved, saved_1, saved_2, sum_6, t_4, t_5, bar, total_parts_1)
    else:
        code_2 = run_loss_value_and_grad_part_2(chunks_2, n, tile_1, chunks_2, d, k, q, icf_bar_parts, alphas_bar_parts, means_bar_parts, x_tile, x, top, t_3, means, out_1, icf, sum_4, out_saved, alphas, scores, sum_5, saved, saved_1, saved_2, sum_6, t_4, t_5, bar, total_parts_1)
    if code_2 != 0:
        return code_2
    # for i in range(n):
    for chunk in range(chunks_2):
        total += total_parts_1[chunk * 16]
        for i in range(k * q * min(1, chunks_2 - 1)):
            icf_bar[i] += icf_bar_parts[(k * q + 16) * chunk + i]
        for i in range(k * min(1, chunks_2 - 1)):
            alphas_bar[i] += alphas_bar_parts[(k + 16) * chunk + i]
        for i in range(d * k * min(1, chunks_2 - 1)):
            means_bar[i] += means_bar_parts[(d * k + 16) * chunk + i]
    # return total - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + log_wishart_prior(icf, gamma, m, d)
    t_24 = np.float64(d)
    # constant = freedom * d * (np.log(gamma) - 0.5 * np.log(2.0)) - log_gamma_distribution(0.5 * freedom, d)
    a = 0.5 * np.float64(d + m + 1)
    # for j in range(p):
    total_4 = 0.0
    chunks_3 = max(1, min(d, 2 * min(8, 12 * d // 262144)))
    code_3 = run_loss_value_and_grad_part_3(chunks_3, d, chunks_3, a, total_parts_2)
    if code_3 != 0:
        return code_3
    for chunk in range(chunks_3):
        total_4 += total_parts_2[chunk * 16]
    total_4 += 0.25 * t_24 * np.float64(d - 1) * 1.1447298858494002
    # return total - n * logsumexp(alphas) - 0.5 * n * d * np.log(2.0 * np.pi) + log_wishart_prior(icf, gamma, m, d)
    t_26 = total - t_11 * (top_1 + math.log(sum_7)) - 0.5 * t_11 * t_24 * 1.8378770664093453
    t_27 = np.float64(k) * (np.float64((d + m + 1) * d) * (math.log(gamma) - 0.34657359027997264) - total_4)
    t_25 = t_26 + (total_1 - t_27)
    out[0] = t_25
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
