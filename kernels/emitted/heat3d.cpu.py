"""kernels/heat3d.py: value and gradient by u and conductivity: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    u                 f8[n, m, l]                                                      input
    conductivity      f8[n, m, l]                                                      input
    measured          f8[n, m, l]                                                      input
    slope             f8                                                               input
    dt                f8                                                               input
    steps             i8                                                               input
    n                 i8                                                               size
    m                 i8                                                               size
    l                 i8                                                               size
    steps_most        i8                                                               room
    out               f8                                                               result
    u_bar             f8[n, m, l]                                                      result
    conductivity_bar  f8[n, m, l]                                                      result
    around_bar_pad    f8[m*n*stride_1 + 2*m*stride_1 + 2*n*stride_1 + 4*stride_1 + 7]  scratch
    u_saved           f8[m*n*steps*stride + m*n*stride + 7]                            scratch
    u_bar_1           f8[n, m, l]                                                      scratch
    v_bar             f8[n, m, l]                                                      scratch
    report            i8[0]                                                            result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, chunks, m, i, stride, l, u_saved, dt, conductivity, slope):
    for chunk in range(begin, end):
        first = (n - 2) * chunk // chunks
        last = ((n - 2) * chunk + n - 2) // chunks
        if chunk == 0:
            for j in range(m):
                u_saved_row = (i * n * m + j) * stride
                for k in range(l):
                    u_saved[u_saved_row + n * m * stride + k + 7] = u_saved[u_saved_row + k + 7]
        for turn in range(last - first):
            i_1 = first + turn
            u_saved_row_1 = (i * n + i_1) * m * stride
            for k in range(l):
                u_saved[u_saved_row_1 + (n + 1) * m * stride + k + 7] = u_saved[u_saved_row_1 + m * stride + k + 7]
            for k in range(l):
                u_saved[u_saved_row_1 + ((n + 1) * m + m - 1) * stride + k + 7] = u_saved[u_saved_row_1 + (m + m - 1) * stride + k + 7]
            for j in range(m - 2):
                u_saved_row_2 = ((i * n + i_1) * m + j) * stride
                u_saved[u_saved_row_2 + ((n + 1) * m + 1) * stride + 7] = u_saved[u_saved_row_2 + (m + 1) * stride + 7]
                u_saved[u_saved_row_2 + ((n + 1) * m + 1) * stride + l + 6] = u_saved[u_saved_row_2 + (m + 1) * stride + l + 6]
                # v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
                for k in range(l - 2):
                    t = u_saved[u_saved_row_2 + (m + 1) * stride + k + 8]
                    t_1 = u_saved[u_saved_row_2 + stride + k + 8] + u_saved[u_saved_row_2 + (2 * m + 1) * stride + k + 8]
                    t_2 = t_1 + u_saved[u_saved_row_2 + m * stride + k + 8] + u_saved[u_saved_row_2 + (m + 2) * stride + k + 8]
                    t_3 = t_2 + u_saved[u_saved_row_2 + (m + 1) * stride + k + 7] + u_saved[u_saved_row_2 + (m + 1) * stride + k + 9]
                    t_4 = dt * conductivity[((i_1 + 1) * m + j + 1) * l + k + 1] * (1.0 + slope * t) * (t_3 - 6.0 * t)
                    u_saved[u_saved_row_2 + ((n + 1) * m + 1) * stride + k + 8] = t + t_4
        if chunk == chunks - 1:
            for j in range(m):
                u_saved_row_3 = (i * n * m + j) * stride
                for k in range(l):
                    u_saved[u_saved_row_3 + (n + n - 1) * m * stride + k + 7] = u_saved[u_saved_row_3 + (n - 1) * m * stride + k + 7]
    return 0


def loss_value_and_grad_part_1(begin, end, worker, n, chunks_1, m, i, stride, l, slope, u_saved, u_bar_1, dt, conductivity, v_bar, conductivity_bar, around_bar_pad, stride_1):
    for chunk in range(begin, end):
        first_1 = (n - 2) * chunk // chunks_1
        last_1 = ((n - 2) * chunk + n - 2) // chunks_1
        for turn in range(last_1 - first_1):
            i_2 = first_1 + turn
            for j in range(m - 2):
                u_saved_row_4 = ((i * n + i_2) * m + j) * stride
                base_1 = (i_2 * m + j) * l
                for k in range(l - 2):
                    t_6 = 1.0 + slope * u_saved[u_saved_row_4 + (m + 1) * stride + k + 8]
                    t_7 = u_bar_1[base_1 + (m + 1) * l + k + 1]
                    u_bar_1[base_1 + (m + 1) * l + k + 1] = 0.0
                    t_9 = u_saved[u_saved_row_4 + stride + k + 8] + u_saved[u_saved_row_4 + (2 * m + 1) * stride + k + 8]
                    t_10 = t_9 + u_saved[u_saved_row_4 + m * stride + k + 8] + u_saved[u_saved_row_4 + (m + 2) * stride + k + 8]
                    t_11 = t_10 + u_saved[u_saved_row_4 + (m + 1) * stride + k + 7] + u_saved[u_saved_row_4 + (m + 1) * stride + k + 9]
                    t_8 = t_7 * (t_11 - 6.0 * u_saved[u_saved_row_4 + (m + 1) * stride + k + 8])
                    t_12 = dt * conductivity[base_1 + (m + 1) * l + k + 1]
                    around_bar = t_7 * (t_12 * t_6)
                    v_bar[base_1 + (m + 1) * l + k + 1] += t_8 * t_12 * slope
                    conductivity_bar[base_1 + (m + 1) * l + k + 1] += t_8 * t_6 * dt
                    v_bar[base_1 + (m + 1) * l + k + 1] += t_7
                    around_bar_pad[((i_2 + 2) * (m + 2) + j + 2) * stride_1 + k + 9] = around_bar
    return 0


def loss_value_and_grad_part_2(begin, end, worker, n, chunks_2, m, stride_1, l, around_bar_pad, v_bar):
    for chunk in range(begin, end):
        first_2 = chunk * n // chunks_2
        last_2 = (chunk + 1) * n // chunks_2
        for turn in range(last_2 - first_2):
            i_3 = first_2 + turn
            for j in range(m):
                around_bar_pad_row = (i_3 * (m + 2) + j) * stride_1
                for k in range(l):
                    t_13 = -6.0 * around_bar_pad[around_bar_pad_row + (m + 2 + 1) * stride_1 + k + 8] + around_bar_pad[around_bar_pad_row + (m + 2 + 1) * stride_1 + k + 7]
                    t_14 = t_13 + around_bar_pad[around_bar_pad_row + (m + 2 + 1) * stride_1 + k + 9] + around_bar_pad[around_bar_pad_row + (m + 2) * stride_1 + k + 8]
                    t_15 = t_14 + around_bar_pad[around_bar_pad_row + (m + 2 + 2) * stride_1 + k + 8] + around_bar_pad[around_bar_pad_row + stride_1 + k + 8]
                    v_bar[(i_3 * m + j) * l + k] += t_15 + around_bar_pad[around_bar_pad_row + (2 * (m + 2) + 1) * stride_1 + k + 8]
    return 0


def loss_value_and_grad(u, conductivity, measured, slope, dt, steps, n, m, l, steps_most, out, u_bar, conductivity_bar, around_bar_pad, u_saved, u_bar_1, v_bar, report):
    # rows of whole cache lines
    stride = (l + 7) // 8 * 8 if l > 16 else l
    stride_1 = (l + 2 + 7) // 8 * 8 if l + 2 > 16 else l + 2
    # v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
    for i in range(n + 2):
        for j in range(m + 2):
            for k in range(l + 2):
                around_bar_pad[(i * (m + 2) + j) * stride_1 + k + 7] = 0.0
    # for _ in range(steps):
    steps_1 = steps if steps > 0 else 0
    if steps_1 > steps_most:
        return -1
    for i in range(n):
        for j in range(m):
            for k in range(l):
                u_saved[(i * m + j) * stride + k + 7] = u[(i * m + j) * l + k]
    for i in range(steps_1):
        chunks = max(1, min(n - 2, 2 * min(8, (((24 * n - 48) * m + 88 - 44 * n) * l + 88 * m + 88 * n - 44 * m * n - 176) // 262144)))
        code = run_loss_value_and_grad_part(chunks, n, chunks, m, i, stride, l, u_saved, dt, conductivity, slope)
        if code != 0:
            return code
    # return np.sum((u - measured) ** 2)
    sum_1 = 0.0
    for i in range(n):
        for j in range(m):
            base = (i * m + j) * l
            for k in range(l):
                t_5 = u_saved[((steps_1 * n + i) * m + j) * stride + k + 7] - measured[base + k]
                sum_1 += t_5 * t_5
                u_bar_1[base + k] = 2.0 * t_5
                v_bar[base + k] = 0.0
                conductivity_bar[base + k] = 0.0
    # for _ in range(steps):
    for i in range(steps_1 - 1, -1, -1):
        # v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
        chunks_1 = max(1, min(n - 2, 2 * min(8, (((41 * n - 82) * m + 164 - 82 * n) * l + 164 * m + 164 * n - 82 * m * n - 328) // 262144)))
        code_1 = run_loss_value_and_grad_part_1(chunks_1, n, chunks_1, m, i, stride, l, slope, u_saved, u_bar_1, dt, conductivity, v_bar, conductivity_bar, around_bar_pad, stride_1)
        if code_1 != 0:
            return code_1
        chunks_2 = max(1, min(n, 2 * min(8, 15 * l * m * n // 262144)))
        code_2 = run_loss_value_and_grad_part_2(chunks_2, n, chunks_2, m, stride_1, l, around_bar_pad, v_bar)
        if code_2 != 0:
            return code_2
        # for _ in range(steps):
        hold = u_bar_1
        u_bar_1 = v_bar
        v_bar = hold
    out[0] = sum_1
    for i in range(n):
        for j in range(m):
            base_2 = (i * m + j) * l
            for k in range(l):
                u_bar[base_2 + k] = u_bar_1[base_2 + k] + v_bar[base_2 + k]
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
