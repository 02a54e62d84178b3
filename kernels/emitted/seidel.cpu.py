"""kernels/seidel.py: value and gradient by u and b: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    u       f8[n, n]          input
    b       f8[n, n]          input
    sweeps  i8                input
    n       i8                size
    out     f8                result
    u_bar   f8[n, n]          result
    b_bar   f8[n, n]          result
    u_1     f8[n*stride + 7]  scratch
    report  i8[0]             result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad(u, b, sweeps, n, out, u_bar, b_bar, u_1, report):
    # rows of whole cache lines
    stride = (n + 7) // 8 * 8 if n > 16 else n
    # for _ in range(sweeps):
    sweeps_1 = sweeps if sweeps > 0 else 0
    for i in range(n):
        for j in range(n):
            u_1[i * stride + j + 7] = u[i * n + j]
    for i in range(sweeps_1):
        # for i in range(1, n - 1):
        for i_1 in range(n - 2):
            # for j in range(1, n - 1):
            u_row = i_1 * stride
            for j in range(n - 2):
                # u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
                t_1 = u_1[u_row + j + 8] + u_1[u_row + 2 * stride + j + 8] + u_1[u_row + stride + j + 7] + u_1[u_row + stride + j + 9]
                t = 0.25 * (t_1 + b[(i_1 + 1) * n + j + 1])
                u_1[u_row + stride + j + 8] = t
    # return np.sum(u * u)
    sum_1 = 0.0
    for i in range(n):
        for j in range(n):
            t_2 = u_1[i * stride + j + 7]
            sum_1 += t_2 * t_2
            u_bar[i * n + j] = 2.0 * u_1[i * stride + j + 7]
            b_bar[i * n + j] = 0.0
    # for _ in range(sweeps):
    for i in range(sweeps_1 - 1, -1, -1):
        # for i in range(1, n - 1):
        for i_1 in range(n - 2 - 1, -1, -1):
            # for j in range(1, n - 1):
            base = i_1 * n
            for j in range(n - 2 - 1, -1, -1):
                # u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
                t_3 = u_bar[base + n + j + 1]
                u_bar[base + n + j + 1] = 0.0
                t_4 = t_3 * 0.25
                b_bar[base + n + j + 1] += t_4
                u_bar[base + n + j + 2] += t_4
                u_bar[base + n + j] += t_4
                u_bar[base + 2 * n + j + 1] += t_4
                u_bar[base + j + 1] += t_4
    out[0] = sum_1
    return 0
