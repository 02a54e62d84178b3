"""kernels/linear.py: value and gradient by w and b: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    w            f8[d]                     input
    b            f8                        input
    X            f8[n, d]                  input
    y            f8[n]                     input
    penalty      f8                        input
    d            i8                        size
    n            i8                        size
    out          f8                        result
    w_bar        f8[d]                     result
    b_bar        f8                        result
    sum_1        f8[d]                     scratch
    sum_parts    f8[16*chunks + chunks*d]  scratch
    sum_parts_1  f8[chunks, 16]            scratch
    b_bar_parts  f8[chunks, 16]            scratch
    sum_2        f8[144*chunks]            scratch
    r_bar        f8[144*chunks]            scratch
    report       i8[0]                     result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, chunks, d, sum_parts, sum_2, X, w, b, y, r_bar, t_1, sum_parts_1, b_bar_parts):
    for chunk in range(begin, end):
        first = chunk * ((n + 127) // 128) // chunks
        last = (chunk + 1) * ((n + 127) // 128) // chunks
        at = 144 * chunk
        at_1 = (d + 16) * chunk
        sum_5 = 0.0
        b_bar_2 = 0.0
        for i in range(d * min(1, chunks - 1)):
            sum_parts[at_1 + i] = 0.0
        for turn in range(last - first):
            block = first + turn
            start = 128 * block
            lanes = min(128, n - start)
            for lane in range(lanes):
                sum_2[at + lane] = 0.0
            for lane in range(lanes):
                for j in range(d):
                    sum_2[at + lane] += X[(lane + start) * d + j] * w[j]
            for lane in range(lanes):
                r = sum_2[at + lane] + b - y[lane + start]
                sum_5 += r * r
                r_bar[at + lane] = t_1 * (2.0 * r)
                b_bar_2 += r_bar[at + lane]
            for lane in range(lanes):
                for i in range(d):
                    sum_parts[at_1 + i] += r_bar[at + lane] * X[(lane + start) * d + i]
        sum_parts_1[chunk * 16] = sum_5
        b_bar_parts[chunk * 16] = b_bar_2
    return 0


def loss_value_and_grad_part_1(begin, end, worker, d, chunks_1, w_bar, penalty, w, sum_1):
    for chunk in range(begin, end):
        first_1 = chunk * d // chunks_1
        last_1 = (chunk + 1) * d // chunks_1
        for turn in range(last_1 - first_1):
            i_1 = first_1 + turn
            w_bar[i_1] = penalty * (2.0 * w[i_1]) + sum_1[i_1]
    return 0


def loss_value_and_grad(w, b, X, y, penalty, d, n, out, w_bar, b_bar, sum_1, sum_parts, sum_parts_1, b_bar_parts, sum_2, r_bar, report):
    # return 0.5 * np.mean(r**2) + penalty * np.sum(w**2)
    sum_3 = 0.0
    t = np.float64(n)
    t_1 = 0.5 / t
    # r = X @ w + b - y
    b_bar_1 = 0.0
    # return 0.5 * np.mean(r**2) + penalty * np.sum(w**2)
    sum_4 = 0.0
    # r = X @ w + b - y
    for i in range(d):
        sum_1[i] = 0.0
        t_2 = w[i]
        sum_4 += t_2 * t_2
    chunks = max(1, min((n + 127) // 128, 2 * min(max(2, min(8, 2097152 // (8 * d))), (7 * d + 12) * n // (2 * max(131072, 32 * d)))))
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, n, chunks, d, sum_1, sum_2, X, w, b, y, r_bar, t_1, sum_parts_1, b_bar_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, n, chunks, d, sum_parts, sum_2, X, w, b, y, r_bar, t_1, sum_parts_1, b_bar_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        sum_3 += sum_parts_1[chunk * 16]
        b_bar_1 += b_bar_parts[chunk * 16]
        for i in range(d * min(1, chunks - 1)):
            sum_1[i] += sum_parts[(d + 16) * chunk + i]
    out[0] = 0.5 * (sum_3 / t) + penalty * sum_4
    chunks_1 = max(1, min(d, 2 * min(8, 7 * d // 262144)))
    code_1 = run_loss_value_and_grad_part_1(chunks_1, d, chunks_1, w_bar, penalty, w, sum_1)
    if code_1 != 0:
        return code_1
    b_bar[0] = b_bar_1
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
