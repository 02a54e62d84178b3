"""kernels/tiny.py: value and gradient by V and W: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    V            f8[3, 3]        input
    W            f8[2, 4]        input
    x            f8[n, 2]        input
    y            f8[n, 2]        input
    n            i8              size
    out          f8              result
    V_bar        f8[3, 3]        result
    W_bar        f8[2, 4]        result
    W_bar_parts  f8[24*chunks]   scratch
    V_bar_parts  f8[25*chunks]   scratch
    total_parts  f8[chunks, 16]  scratch
    report       i8[0]           result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, chunks, W_bar_parts, V_bar_parts, x, V, W, y, t, total_parts):
    for chunk in range(begin, end):
        first = chunk * n // chunks
        last = (chunk * n + n) // chunks
        at = 24 * chunk
        at_1 = 25 * chunk
        total_1 = 0.0
        for i in range(8 * min(1, chunks - 1)):
            W_bar_parts[at + i] = 0.0
        for i in range(9 * min(1, chunks - 1)):
            V_bar_parts[at_1 + i] = 0.0
        for turn in range(last - first):
            i_1 = first + turn
            # a += V[j, k] * x[i, k]
            base = i_1 * 2
            t_1 = x[base]
            t_2 = x[base + 1]
            # hidden[j] = math.tanh(a)
            t_3 = math.tanh(V[2] + V[0] * t_1 + V[1] * t_2)
            t_4 = math.tanh(V[5] + V[3] * t_1 + V[4] * t_2)
            t_5 = math.tanh(V[8] + V[6] * t_1 + V[7] * t_2)
            # p = 1.0 / (1.0 + math.exp(-a))
            a = W[3] + W[0] * t_3 + W[1] * t_4 + W[2] * t_5
            t_6 = math.exp(-a)
            p = 1.0 / (1.0 + t_6)
            a_1 = W[7] + W[4] * t_3 + W[5] * t_4 + W[6] * t_5
            t_7 = math.exp(-a_1)
            p_1 = 1.0 / (1.0 + t_7)
            # for i in range(len(x)):
            t_8 = p - y[base]
            t_9 = p_1 - y[base + 1]
            total_1 += t_8 * t_8 + t_9 * t_9
            # a += W[o, j] * hidden[j]
            t_10 = W[0]
            t_11 = W[1]
            t_12 = W[2]
            t_13 = W[4]
            t_14 = W[5]
            t_15 = W[6]
            # p = 1.0 / (1.0 + math.exp(-a))
            t_16 = 2.0 * t_9 / t * (p_1 / (1.0 + 1.0 / t_7))
            # a += W[o, j] * hidden[j]
            t_17 = t_16 * t_5
            W_bar_parts[at + 6] += t_17
            t_18 = t_16 * t_4
            W_bar_parts[at + 5] += t_18
            t_19 = t_16 * t_3
            W_bar_parts[at + 4] += t_19
            # a = W[o, 3]
            W_bar_parts[at + 7] += t_16
            # p = 1.0 / (1.0 + math.exp(-a))
            t_20 = 2.0 * t_8 / t * (p / (1.0 + 1.0 / t_6))
            # a += W[o, j] * hidden[j]
            t_21 = t_20 * t_5
            W_bar_parts[at + 2] += t_21
            t_22 = t_20 * t_4
            W_bar_parts[at + 1] += t_22
            t_23 = t_20 * t_3
            W_bar_parts[at] += t_23
            # a = W[o, 3]
            W_bar_parts[at + 3] += t_20
            # hidden[j] = math.tanh(a)
            a_bar = (t_16 * t_15 + t_20 * t_12) * (1.0 - t_5 * t_5)
            # a += V[j, k] * x[i, k]
            t_24 = a_bar * t_2
            V_bar_parts[at_1 + 7] += t_24
            t_25 = a_bar * t_1
            V_bar_parts[at_1 + 6] += t_25
            # a = V[j, 2]
            V_bar_parts[at_1 + 8] += a_bar
            # hidden[j] = math.tanh(a)
            a_bar_1 = (t_16 * t_14 + t_20 * t_11) * (1.0 - t_4 * t_4)
            # a += V[j, k] * x[i, k]
            t_26 = a_bar_1 * t_2
            V_bar_parts[at_1 + 4] += t_26
            t_27 = a_bar_1 * t_1
            V_bar_parts[at_1 + 3] += t_27
            # a = V[j, 2]
            V_bar_parts[at_1 + 5] += a_bar_1
            # hidden[j] = math.tanh(a)
            a_bar_2 = (t_16 * t_13 + t_20 * t_10) * (1.0 - t_3 * t_3)
            # a += V[j, k] * x[i, k]
            t_28 = a_bar_2 * t_2
            V_bar_parts[at_1 + 1] += t_28
            t_29 = a_bar_2 * t_1
            V_bar_parts[at_1] += t_29
            # a = V[j, 2]
            V_bar_parts[at_1 + 2] += a_bar_2
        total_parts[chunk * 16] = total_1
    return 0


def loss_value_and_grad(V, W, x, y, n, out, V_bar, W_bar, W_bar_parts, V_bar_parts, total_parts, report):
    # for i in range(len(x)):
    total = 0.0
    # return total / len(x)
    t = np.float64(n)
    # for i in range(len(x)):
    for i in range(3):
        for j in range(3):
            V_bar[i * 3 + j] = 0.0
    for i in range(2):
        for j in range(4):
            W_bar[i * 4 + j] = 0.0
    chunks = max(1, min(n, 2 * min(8, 268 * n // 262144)))
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, n, chunks, W_bar, V_bar, x, V, W, y, t, total_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, n, chunks, W_bar_parts, V_bar_parts, x, V, W, y, t, total_parts)
    if code != 0:
        return code
    # for i in range(len(x)):
    for chunk in range(chunks):
        total += total_parts[chunk * 16]
        for i in range(8 * min(1, chunks - 1)):
            W_bar[i] += W_bar_parts[24 * chunk + i]
        for i in range(9 * min(1, chunks - 1)):
            V_bar[i] += V_bar_parts[25 * chunk + i]
    out[0] = total / t
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
