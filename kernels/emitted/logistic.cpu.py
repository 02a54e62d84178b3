"""kernels/logistic.py: value and gradient by w: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    w            f8[d]                     input
    X            f8[n, d]                  input
    y            f8[n]                     input
    d            i8                        size
    n            i8                        size
    out          f8                        result
    w_bar        f8[d]                     result
    w_bar_parts  f8[16*chunks + chunks*d]  scratch
    sum_parts    f8[chunks, 16]            scratch
    z            f8[144*chunks]            scratch
    z_bar        f8[144*chunks]            scratch
    report       i8[0]                     result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np

from adc.ops.routines import expit
from adc.ops.routines import logaddexp


def loss_value_and_grad_part(begin, end, worker, n, chunks, d, w_bar_parts, z, X, w, y, z_bar, t_2, t_1, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((n + 127) // 128) // chunks
        last = (chunk + 1) * ((n + 127) // 128) // chunks
        at = 144 * chunk
        at_1 = (d + 16) * chunk
        sum_2 = 0.0
        for i in range(d * min(1, chunks - 1)):
            w_bar_parts[at_1 + i] = 0.0
        for turn in range(last - first):
            block = first + turn
            start = 128 * block
            lanes = min(128, n - start)
            for lane in range(lanes):
                z[at + lane] = 0.0
            for lane in range(lanes):
                for j in range(d):
                    z[at + lane] += X[(lane + start) * d + j] * w[j]
            for lane in range(lanes):
                t_3 = z[at + lane]
                sum_2 += logaddexp(0.0, t_3) - y[lane + start] * t_3
                z_bar[at + lane] = t_2 * y[lane + start] + t_1 * expit(z[at + lane])
            for lane in range(lanes):
                for i in range(d):
                    w_bar_parts[at_1 + i] += z_bar[at + lane] * X[(lane + start) * d + i]
        sum_parts[chunk * 16] = sum_2
    return 0


def loss_value_and_grad(w, X, y, d, n, out, w_bar, w_bar_parts, sum_parts, z, z_bar, report):
    # return np.mean(np.logaddexp(0.0, z) - y * z)
    sum_1 = 0.0
    t = np.float64(n)
    t_1 = 1.0 / t
    t_2 = -t_1
    # z = X @ w
    for i in range(d):
        w_bar[i] = 0.0
    chunks = max(1, min((n + 127) // 128, 2 * min(max(2, min(8, 2097152 // (8 * d))), (7 * d + 26) * n // (2 * max(131072, 32 * d)))))
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, n, chunks, d, w_bar, z, X, w, y, z_bar, t_2, t_1, sum_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, n, chunks, d, w_bar_parts, z, X, w, y, z_bar, t_2, t_1, sum_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        sum_1 += sum_parts[chunk * 16]
        for i in range(d * min(1, chunks - 1)):
            w_bar[i] += w_bar_parts[(d + 16) * chunk + i]
    out[0] = sum_1 / t
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
