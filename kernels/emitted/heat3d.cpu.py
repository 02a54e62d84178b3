"""kernels/heat3d.py: value and gradient by u and conductivity: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    u                 f8[n, m, l]              input
    conductivity      f8[n, m, l]              input
    measured          f8[n, m, l]              input
    slope             f8                       input
    dt                f8                       input
    steps             i8                       input
    n                 i8                       size
    m                 i8                       size
    l                 i8                       size
    steps_most        i8                       room
    out               f8                       result
    u_bar             f8[n, m, l]              result
    conductivity_bar  f8[n, m, l]              result
    around_bar_pad    f8[n + 2, m + 2, l + 2]  scratch
    u_1               f8[n, m, l]              scratch
    v                 f8[n, m, l]              scratch
    u_saved           f8[steps, n, m, l]       scratch
    report            i8[0]                    result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, chunks, m, l, u_1, dt, conductivity, slope, v):
    for chunk in range(begin, end):
        first = (chunk * n - 2 * chunk) // chunks
        last = (chunk * n + n - 2 * chunk - 2) // chunks
        for turn in range(last - first):
            i_1 = first + turn
            # for j in range(1, m - 1):
            for j in range(m - 2):
                # for k in range(1, l - 1):
                base_1 = (i_1 * m + j) * l
                for k in range(l - 2):
                    # v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
                    t = u_1[base_1 + (m + 1) * l + k + 1]
                    t_2 = u_1[base_1 + l + k + 1] + u_1[base_1 + (2 * m + 1) * l + k + 1] + u_1[base_1 + m * l + k + 1]
                    t_3 = t_2 + u_1[base_1 + (m + 2) * l + k + 1] + u_1[base_1 + (m + 1) * l + k] + u_1[base_1 + (m + 1) * l + k + 2]
                    t_4 = dt * conductivity[base_1 + (m + 1) * l + k + 1] * (1.0 + slope * t) * (t_3 - 6.0 * t)
                    t_1 = t + t_4
                    v[base_1 + (m + 1) * l + k + 1] = t_1
    return 0


def loss_value_and_grad_part_1(begin, end, worker, n, chunks_1, m, i, l, slope, u_saved, u_1, dt, conductivity, v, conductivity_bar, around_bar_pad):
    for chunk in range(begin, end):
        first_1 = (chunk * n - 2 * chunk) // chunks_1
        last_1 = (chunk * n + n - 2 * chunk - 2) // chunks_1
        for turn in range(last_1 - first_1):
            i_3 = first_1 + turn
            for j in range(m - 2):
                u_saved_row = ((i * n + i_3) * m + j) * l
                base_3 = (i_3 * m + j) * l
                for k in range(l - 2):
                    t_6 = 1.0 + slope * u_saved[u_saved_row + (m + 1) * l + k + 1]
                    t_7 = u_1[base_3 + (m + 1) * l + k + 1]
                    u_1[base_3 + (m + 1) * l + k + 1] = 0.0
                    t_9 = u_saved[u_saved_row + l + k + 1] + u_saved[u_saved_row + (2 * m + 1) * l + k + 1] + u_saved[u_saved_row + m * l + k + 1]
                    t_10 = t_9 + u_saved[u_saved_row + (m + 2) * l + k + 1] + u_saved[u_saved_row + (m + 1) * l + k]
                    t_11 = t_10 + u_saved[u_saved_row + (m + 1) * l + k + 2] - 6.0 * u_saved[u_saved_row + (m + 1) * l + k + 1]
                    t_8 = t_7 * t_11
                    t_12 = dt * conductivity[base_3 + (m + 1) * l + k + 1]
                    around_bar = t_7 * (t_12 * t_6)
                    v[base_3 + (m + 1) * l + k + 1] += t_8 * t_12 * slope
                    conductivity_bar[base_3 + (m + 1) * l + k + 1] += t_8 * t_6 * dt
                    v[base_3 + (m + 1) * l + k + 1] += t_7
                    around_bar_pad[((i_3 + 2) * (m + 2) + j + 2) * (l + 2) + k + 2] = around_bar
    return 0


def loss_value_and_grad_part_2(begin, end, worker, n, chunks_2, m, l, around_bar_pad, v):
    for chunk in range(begin, end):
        first_2 = chunk * n // chunks_2
        last_2 = (chunk * n + n) // chunks_2
        for turn in range(last_2 - first_2):
            i_4 = first_2 + turn
            for j in range(m):
                around_bar_pad_row = (i_4 * (m + 2) + j) * (l + 2)
                for k in range(l):
                    t_13 = -6.0 * around_bar_pad[around_bar_pad_row + (m + 2 + 1) * (l + 2) + k + 1] + around_bar_pad[around_bar_pad_row + (m + 2 + 1) * (l + 2) + k]
                    t_14 = t_13 + around_bar_pad[around_bar_pad_row + (m + 2 + 1) * (l + 2) + k + 2] + around_bar_pad[around_bar_pad_row + (m + 2) * (l + 2) + k + 1]
                    t_15 = t_14 + around_bar_pad[around_bar_pad_row + (m + 2 + 2) * (l + 2) + k + 1] + around_bar_pad[around_bar_pad_row + (l + 2) + k + 1]
                    v[(i_4 * m + j) * l + k] += t_15 + around_bar_pad[around_bar_pad_row + (2 * (m + 2) + 1) * (l + 2) + k + 1]
    return 0


def loss_value_and_grad(u, conductivity, measured, slope, dt, steps, n, m, l, steps_most, out, u_bar, conductivity_bar, around_bar_pad, u_1, v, u_saved, report):
    # v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
    for i in range(n + 2):
        for j in range(m + 2):
            for k in range(l + 2):
                around_bar_pad[(i * (m + 2) + j) * (l + 2) + k] = 0.0
    # for _ in range(steps):
    steps_1 = steps if steps > 0 else 0
    if steps_1 > steps_most:
        return -1
    for i in range(n):
        for j in range(m):
            base = (i * m + j) * l
            for k in range(l):
                u_1[base + k] = u[base + k]
                v[base + k] = u[base + k]
    for i in range(steps_1):
        # for i in range(1, n - 1):
        chunks = max(1, min(n - 2, 2 * min(8, (104 * l + 26 * l * m * n + 104 * m + 104 * n - 52 * l * m - 52 * l * n - 52 * m * n - 208) // 262144)))
        code = run_loss_value_and_grad_part(chunks, n, chunks, m, l, u_1, dt, conductivity, slope, v)
        if code != 0:
            return code
        # for _ in range(steps):
        for i_2 in range(n):
            for j in range(m):
                for k in range(l):
                    u_saved[((i * n + i_2) * m + j) * l + k] = u_1[(i_2 * m + j) * l + k]
        hold = u_1
        u_1 = v
        v = hold
    # return np.sum((u - measured) ** 2)
    sum_1 = 0.0
    for i in range(n):
        for j in range(m):
            base_2 = (i * m + j) * l
            for k in range(l):
                t_5 = u_1[base_2 + k] - measured[base_2 + k]
                sum_1 += t_5 * t_5
                u_1[base_2 + k] = 2.0 * t_5
                v[base_2 + k] = 0.0
                conductivity_bar[base_2 + k] = 0.0
    # for _ in range(steps):
    for i in range(steps_1 - 1, -1, -1):
        # v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
        chunks_1 = max(1, min(n - 2, 2 * min(8, (164 * l + 41 * l * m * n + 164 * m + 164 * n - 82 * l * m - 82 * l * n - 82 * m * n - 328) // 262144)))
        code_1 = run_loss_value_and_grad_part_1(chunks_1, n, chunks_1, m, i, l, slope, u_saved, u_1, dt, conductivity, v, conductivity_bar, around_bar_pad)
        if code_1 != 0:
            return code_1
        chunks_2 = max(1, min(n, 2 * min(8, 15 * l * m * n // 262144)))
        code_2 = run_loss_value_and_grad_part_2(chunks_2, n, chunks_2, m, l, around_bar_pad, v)
        if code_2 != 0:
            return code_2
        # for _ in range(steps):
        hold_1 = u_1
        u_1 = v
        v = hold_1
    out[0] = sum_1
    for i in range(n):
        for j in range(m):
            base_4 = (i * m + j) * l
            for k in range(l):
                u_bar[base_4 + k] = u_1[base_4 + k] + v[base_4 + k]
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
