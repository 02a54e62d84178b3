"""kernels/jacobi.py: value and gradient by u and source: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    u           f8[n, m]                         input
    source      f8[n, m]                         input
    wanted      f8[n, m]                         input
    sweeps      i8                               input
    n           i8                               size
    m           i8                               size
    out         f8                               result
    u_bar       f8[n, m]                         result
    source_bar  f8[n, m]                         result
    u_1         f8[n*stride_1 + 2*stride_1 + 7]  scratch
    u_2         f8[n*stride_1 + 2*stride_1 + 7]  scratch
    report      i8[0]                            result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, chunks, stride, m, u_1, u_2, source):
    for chunk in range(begin, end):
        first = (n - 2) * chunk // chunks
        last = ((n - 2) * chunk + n - 2) // chunks
        for turn in range(last - first):
            i_1 = first + turn
            base = i_1 * stride
            for j in range(m - 2):
                t = u_1[base + j + 8] + u_1[base + 2 * stride + j + 8] + u_1[base + stride + j + 7] + u_1[base + stride + j + 9]
                u_2[base + stride + j + 8] = 0.25 * (t + source[(i_1 + 1) * m + j + 1])
    return 0


def loss_value_and_grad_part_1(begin, end, worker, n, chunks_1, m, u_bar, u_1, stride_1, source_bar, u_2):
    for chunk in range(begin, end):
        first_1 = (n - 2) * chunk // chunks_1
        last_1 = ((n - 2) * chunk + n - 2) // chunks_1
        if chunk == 0:
            for j in range(m):
                u_bar[j] += 0.25 * u_1[stride_1 + j + 6] + 0.25 * u_1[stride_1 + j + 8] + 0.25 * u_1[j + 7] + 0.25 * u_1[2 * stride_1 + j + 7]
        for turn in range(last_1 - first_1):
            i_2 = first_1 + turn
            base_2 = i_2 * stride_1
            base_3 = i_2 * m
            for j in range(m - 2):
                t_2 = u_1[base_2 + 2 * stride_1 + j + 8]
                source_bar[base_3 + m + j + 1] += t_2 * 0.25
                t_3 = 0.25 * u_1[base_2 + 2 * stride_1 + j + 7] + 0.25 * u_1[base_2 + 2 * stride_1 + j + 9]
                u_2[base_2 + 2 * stride_1 + j + 8] = t_3 + 0.25 * u_1[base_2 + stride_1 + j + 8] + 0.25 * u_1[base_2 + 3 * stride_1 + j + 8]
            t_4 = 0.25 * u_1[base_2 + 2 * stride_1 + 6] + 0.25 * u_1[base_2 + 2 * stride_1 + 8] + 0.25 * u_1[base_2 + stride_1 + 7]
            u_bar[base_3 + m] += t_4 + 0.25 * u_1[base_2 + 3 * stride_1 + 7]
            t_5 = 0.25 * u_1[base_2 + 2 * stride_1 + m + 5] + 0.25 * u_1[base_2 + 2 * stride_1 + m + 7]
            u_bar[base_3 + m + m - 1] += t_5 + 0.25 * u_1[base_2 + stride_1 + m + 6] + 0.25 * u_1[base_2 + 3 * stride_1 + m + 6]
        if chunk == chunks_1 - 1:
            for j in range(m):
                t_6 = 0.25 * u_1[n * stride_1 + j + 6] + 0.25 * u_1[n * stride_1 + j + 8] + 0.25 * u_1[(n - 1) * stride_1 + j + 7]
                u_bar[(n - 1) * m + j] += t_6 + 0.25 * u_1[(n + 1) * stride_1 + j + 7]
    return 0


def loss_value_and_grad(u, source, wanted, sweeps, n, m, out, u_bar, source_bar, u_1, u_2, report):
    # rows of whole cache lines
    stride = (m + 7) // 8 * 8 if m > 16 else m
    stride_1 = (m + 2 + 7) // 8 * 8 if m + 2 > 16 else m + 2
    # for _ in range(sweeps):
    sweeps_1 = sweeps if sweeps > 0 else 0
    for i in range(n):
        for j in range(m):
            u_1[i * stride + j + 7] = u[i * m + j]
    for i in range(n):
        for j in range(m):
            u_2[i * stride + j + 7] = u_1[i * stride + j + 7]
    for i in range(sweeps_1):
        # new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + source[1:-1, 1:-1])
        chunks = max(1, min(n - 2, 2 * min(8, ((11 * n - 22) * m + 44 - 22 * n) // 262144)))
        code = run_loss_value_and_grad_part(chunks, n, chunks, stride, m, u_1, u_2, source)
        if code != 0:
            return code
        hold = u_1
        u_1 = u_2
        u_2 = hold
    # return np.sum((u - wanted) ** 2)
    sum_1 = 0.0
    for i in range(n):
        base_1 = i * m
        for j in range(m):
            t_1 = u_1[i * stride + j + 7] - wanted[base_1 + j]
            sum_1 += t_1 * t_1
            u_bar[base_1 + j] = 2.0 * t_1
            source_bar[base_1 + j] = 0.0
    for i in range(n + 2):
        for j in range(m + 2):
            u_1[i * stride_1 + j + 6] = 0.0
    for i in range(n + 2):
        for j in range(m + 2):
            u_2[i * stride_1 + j + 6] = 0.0
    for i in range(n - 2):
        for j in range(m - 2):
            u_1[(i + 2) * stride_1 + j + 8] = u_bar[(i + 1) * m + j + 1]
    # for _ in range(sweeps):
    for i in range(sweeps_1 - 1, -1, -1):
        # new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + source[1:-1, 1:-1])
        chunks_1 = max(1, min(n - 2, 2 * min(8, ((16 * n - 32) * m + 16 - 8 * n) // 262144)))
        code_1 = run_loss_value_and_grad_part_1(chunks_1, n, chunks_1, m, u_bar, u_1, stride_1, source_bar, u_2)
        if code_1 != 0:
            return code_1
        # for _ in range(sweeps):
        hold_1 = u_1
        u_1 = u_2
        u_2 = hold_1
    for i in range(n - 2):
        for j in range(m - 2):
            u_bar[(i + 1) * m + j + 1] = u_1[(i + 2) * stride_1 + j + 8]
    out[0] = sum_1
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
