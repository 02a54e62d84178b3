"""kernels/hinge.py: value and gradient by w and b: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    w            f8[d]                     input
    b            f8                        input
    X            f8[n, d]                  input
    y            f8[n]                     input
    C            f8                        input
    d            i8                        size
    n            i8                        size
    out          f8                        result
    w_bar        f8[d]                     result
    b_bar        f8                        result
    w_bar_parts  f8[16*chunks + chunks*d]  scratch
    total_parts  f8[chunks, 16]            scratch
    b_bar_parts  f8[chunks, 16]            scratch
    sum_1        f8[144*chunks]            scratch
    b_bar_1      f8[144*chunks]            scratch
    report       i8[0]                     result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, chunks, d, w_bar_parts, sum_1, w, X, y, b, total_bar, b_bar_1, total_parts, b_bar_parts):
    for chunk in range(begin, end):
        first = chunk * ((n + 127) // 128) // chunks
        last = (chunk + 1) * ((n + 127) // 128) // chunks
        at = 144 * chunk
        at_1 = (d + 16) * chunk
        total_1 = 0.0
        for i in range(d * min(1, chunks - 1)):
            w_bar_parts[at_1 + i] = 0.0
        b_bar_3 = 0.0
        for turn in range(last - first):
            block = first + turn
            start = 128 * block
            lanes = min(128, n - start)
            # margin = y[i] * (np.dot(w, X[i]) + b)
            for lane in range(lanes):
                sum_1[at + lane] = 0.0
            for lane in range(lanes):
                for i in range(d):
                    sum_1[at + lane] += w[i] * X[(lane + start) * d + i]
            for lane in range(lanes):
                margin = y[lane + start] * (sum_1[at + lane] + b)
                # if margin < 1.0:
                t_2 = margin < 1.0
                t_3 = 1.0 - margin
                total_1 += t_3 if t_2 else 0.0
                t_4 = -total_bar
                margin_bar = t_4 if t_2 else 0.0
                # margin = y[i] * (np.dot(w, X[i]) + b)
                b_bar_1[at + lane] = margin_bar * y[lane + start]
            # for i in range(len(y)):
            for lane in range(lanes):
                for i in range(d):
                    w_bar_parts[at_1 + i] += b_bar_1[at + lane] * X[(lane + start) * d + i]
            for lane in range(lanes):
                b_bar_3 += b_bar_1[at + lane]
        total_parts[chunk * 16] = total_1
        b_bar_parts[chunk * 16] = b_bar_3
    return 0


def loss_value_and_grad(w, b, X, y, C, d, n, out, w_bar, b_bar, w_bar_parts, total_parts, b_bar_parts, sum_1, b_bar_1, report):
    # for i in range(len(y)):
    total = 0.0
    # return 0.5 * np.dot(w, w) + C * total / len(y)
    t = np.float64(n)
    # for i in range(len(y)):
    total_bar = C / t
    # return 0.5 * np.dot(w, w) + C * total / len(y)
    sum_2 = 0.0
    # for i in range(len(y)):
    for i in range(d):
        w_bar[i] = 2.0 * (0.5 * w[i])
        t_1 = w[i]
        sum_2 += t_1 * t_1
    b_bar_2 = 0.0
    chunks = max(1, min((n + 127) // 128, 2 * min(max(2, min(8, 2097152 // (8 * d))), (7 * d + 18) * n // (2 * max(131072, 32 * d)))))
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, n, chunks, d, w_bar, sum_1, w, X, y, b, total_bar, b_bar_1, total_parts, b_bar_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, n, chunks, d, w_bar_parts, sum_1, w, X, y, b, total_bar, b_bar_1, total_parts, b_bar_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        total += total_parts[chunk * 16]
        for i in range(d * min(1, chunks - 1)):
            w_bar[i] += w_bar_parts[(d + 16) * chunk + i]
        b_bar_2 += b_bar_parts[chunk * 16]
    out[0] = 0.5 * sum_2 + C * total / t
    b_bar[0] = b_bar_2
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
