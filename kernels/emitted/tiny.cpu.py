"""kernels/tiny.py: value and gradient by V and W: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    V              f8[3, 3]        input
    W              f8[2, 4]        input
    x              f8[n, 2]        input
    y              f8[n, 2]        input
    n              i8              size
    out            f8              result
    V_bar          f8[3, 3]        result
    W_bar          f8[2, 4]        result
    total_parts    f8[chunks, 16]  scratch
    W_bar_parts    f8[chunks, 16]  scratch
    W_bar_parts_1  f8[chunks, 16]  scratch
    W_bar_parts_2  f8[chunks, 16]  scratch
    W_bar_parts_3  f8[chunks, 16]  scratch
    W_bar_parts_4  f8[chunks, 16]  scratch
    W_bar_parts_5  f8[chunks, 16]  scratch
    W_bar_parts_6  f8[chunks, 16]  scratch
    W_bar_parts_7  f8[chunks, 16]  scratch
    V_bar_parts    f8[chunks, 16]  scratch
    V_bar_parts_1  f8[chunks, 16]  scratch
    V_bar_parts_2  f8[chunks, 16]  scratch
    V_bar_parts_3  f8[chunks, 16]  scratch
    V_bar_parts_4  f8[chunks, 16]  scratch
    V_bar_parts_5  f8[chunks, 16]  scratch
    V_bar_parts_6  f8[chunks, 16]  scratch
    V_bar_parts_7  f8[chunks, 16]  scratch
    V_bar_parts_8  f8[chunks, 16]  scratch
    report         i8[0]           result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, chunks, x, V, W, y, t, total_parts, W_bar_parts, W_bar_parts_1, W_bar_parts_2, W_bar_parts_3, W_bar_parts_4, W_bar_parts_5, W_bar_parts_6, W_bar_parts_7, V_bar_parts, V_bar_parts_1, V_bar_parts_2, V_bar_parts_3, V_bar_parts_4, V_bar_parts_5, V_bar_parts_6, V_bar_parts_7, V_bar_parts_8):
    for chunk in range(begin, end):
        first = chunk * n // chunks
        last = (chunk + 1) * n // chunks
        total_1 = 0.0
        W_bar_9 = 0.0
        W_bar_10 = 0.0
        W_bar_11 = 0.0
        W_bar_12 = 0.0
        W_bar_13 = 0.0
        W_bar_14 = 0.0
        W_bar_15 = 0.0
        W_bar_16 = 0.0
        V_bar_10 = 0.0
        V_bar_11 = 0.0
        V_bar_12 = 0.0
        V_bar_13 = 0.0
        V_bar_14 = 0.0
        V_bar_15 = 0.0
        V_bar_16 = 0.0
        V_bar_17 = 0.0
        V_bar_18 = 0.0
        for turn in range(last - first):
            i = first + turn
            # a += V[j, k] * x[i, k]
            base = i * 2
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
            W_bar_9 += t_17
            t_18 = t_16 * t_4
            W_bar_10 += t_18
            t_19 = t_16 * t_3
            W_bar_11 += t_19
            # a = W[o, 3]
            W_bar_12 += t_16
            # p = 1.0 / (1.0 + math.exp(-a))
            t_20 = 2.0 * t_8 / t * (p / (1.0 + 1.0 / t_6))
            # a += W[o, j] * hidden[j]
            t_21 = t_20 * t_5
            W_bar_13 += t_21
            t_22 = t_20 * t_4
            W_bar_14 += t_22
            t_23 = t_20 * t_3
            W_bar_15 += t_23
            # a = W[o, 3]
            W_bar_16 += t_20
            # hidden[j] = math.tanh(a)
            a_bar = (t_16 * t_15 + t_20 * t_12) * (1.0 - t_5 * t_5)
            # a += V[j, k] * x[i, k]
            t_24 = a_bar * t_2
            V_bar_10 += t_24
            t_25 = a_bar * t_1
            V_bar_11 += t_25
            # a = V[j, 2]
            V_bar_12 += a_bar
            # hidden[j] = math.tanh(a)
            a_bar_1 = (t_16 * t_14 + t_20 * t_11) * (1.0 - t_4 * t_4)
            # a += V[j, k] * x[i, k]
            t_26 = a_bar_1 * t_2
            V_bar_13 += t_26
            t_27 = a_bar_1 * t_1
            V_bar_14 += t_27
            # a = V[j, 2]
            V_bar_15 += a_bar_1
            # hidden[j] = math.tanh(a)
            a_bar_2 = (t_16 * t_13 + t_20 * t_10) * (1.0 - t_3 * t_3)
            # a += V[j, k] * x[i, k]
            t_28 = a_bar_2 * t_2
            V_bar_16 += t_28
            t_29 = a_bar_2 * t_1
            V_bar_17 += t_29
            # a = V[j, 2]
            V_bar_18 += a_bar_2
        base_1 = chunk * 16
        total_parts[base_1] = total_1
        W_bar_parts[base_1] = W_bar_9
        W_bar_parts_1[base_1] = W_bar_10
        W_bar_parts_2[base_1] = W_bar_11
        W_bar_parts_3[base_1] = W_bar_12
        W_bar_parts_4[base_1] = W_bar_13
        W_bar_parts_5[base_1] = W_bar_14
        W_bar_parts_6[base_1] = W_bar_15
        W_bar_parts_7[base_1] = W_bar_16
        V_bar_parts[base_1] = V_bar_10
        V_bar_parts_1[base_1] = V_bar_11
        V_bar_parts_2[base_1] = V_bar_12
        V_bar_parts_3[base_1] = V_bar_13
        V_bar_parts_4[base_1] = V_bar_14
        V_bar_parts_5[base_1] = V_bar_15
        V_bar_parts_6[base_1] = V_bar_16
        V_bar_parts_7[base_1] = V_bar_17
        V_bar_parts_8[base_1] = V_bar_18
    return 0


def loss_value_and_grad(V, W, x, y, n, out, V_bar, W_bar, total_parts, W_bar_parts, W_bar_parts_1, W_bar_parts_2, W_bar_parts_3, W_bar_parts_4, W_bar_parts_5, W_bar_parts_6, W_bar_parts_7, V_bar_parts, V_bar_parts_1, V_bar_parts_2, V_bar_parts_3, V_bar_parts_4, V_bar_parts_5, V_bar_parts_6, V_bar_parts_7, V_bar_parts_8, report):
    # for i in range(len(x)):
    total = 0.0
    # return total / len(x)
    t = np.float64(n)
    # for i in range(len(x)):
    W_bar_1 = 0.0
    W_bar_2 = 0.0
    W_bar_3 = 0.0
    W_bar_4 = 0.0
    W_bar_5 = 0.0
    W_bar_6 = 0.0
    W_bar_7 = 0.0
    W_bar_8 = 0.0
    V_bar_1 = 0.0
    V_bar_2 = 0.0
    V_bar_3 = 0.0
    V_bar_4 = 0.0
    V_bar_5 = 0.0
    V_bar_6 = 0.0
    V_bar_7 = 0.0
    V_bar_8 = 0.0
    V_bar_9 = 0.0
    chunks = max(1, min(n, 2 * min(8, 268 * n // 262144)))
    code = run_loss_value_and_grad_part(chunks, n, chunks, x, V, W, y, t, total_parts, W_bar_parts, W_bar_parts_1, W_bar_parts_2, W_bar_parts_3, W_bar_parts_4, W_bar_parts_5, W_bar_parts_6, W_bar_parts_7, V_bar_parts, V_bar_parts_1, V_bar_parts_2, V_bar_parts_3, V_bar_parts_4, V_bar_parts_5, V_bar_parts_6, V_bar_parts_7, V_bar_parts_8)
    if code != 0:
        return code
    # for i in range(len(x)):
    for chunk in range(chunks):
        base_2 = chunk * 16
        total += total_parts[base_2]
        W_bar_1 += W_bar_parts[base_2]
        W_bar_2 += W_bar_parts_1[base_2]
        W_bar_3 += W_bar_parts_2[base_2]
        W_bar_4 += W_bar_parts_3[base_2]
        W_bar_5 += W_bar_parts_4[base_2]
        W_bar_6 += W_bar_parts_5[base_2]
        W_bar_7 += W_bar_parts_6[base_2]
        W_bar_8 += W_bar_parts_7[base_2]
        V_bar_1 += V_bar_parts[base_2]
        V_bar_2 += V_bar_parts_1[base_2]
        V_bar_3 += V_bar_parts_2[base_2]
        V_bar_4 += V_bar_parts_3[base_2]
        V_bar_5 += V_bar_parts_4[base_2]
        V_bar_6 += V_bar_parts_5[base_2]
        V_bar_7 += V_bar_parts_6[base_2]
        V_bar_8 += V_bar_parts_7[base_2]
        V_bar_9 += V_bar_parts_8[base_2]
    for i_1 in range(3):
        for j in range(3):
            V_bar[i_1 * 3 + j] = 0.0
    for i_1 in range(2):
        for j in range(4):
            W_bar[i_1 * 4 + j] = 0.0
    V_bar[2] += V_bar_9
    V_bar[0] += V_bar_8
    V_bar[1] += V_bar_7
    V_bar[5] += V_bar_6
    V_bar[3] += V_bar_5
    V_bar[4] += V_bar_4
    V_bar[8] += V_bar_3
    V_bar[6] += V_bar_2
    V_bar[7] += V_bar_1
    W_bar[3] += W_bar_8
    W_bar[0] += W_bar_7
    W_bar[1] += W_bar_6
    W_bar[2] += W_bar_5
    W_bar[7] += W_bar_4
    W_bar[4] += W_bar_3
    W_bar[5] += W_bar_2
    W_bar[6] += W_bar_1
    out[0] = total / t
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
