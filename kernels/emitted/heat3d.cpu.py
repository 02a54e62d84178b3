"""kernels/heat3d.py: value and gradient by u and conductivity: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    u                 f8[n, m, l]                   input
    conductivity      f8[n, m, l]                   input
    measured          f8[n, m, l]                   input
    slope             f8                            input
    dt                f8                            input
    steps             i8                            input
    n                 i8                            size
    m                 i8                            size
    l                 i8                            size
    steps_most        i8                            room
    out               f8                            result
    u_bar             f8[n, m, l]                   result
    conductivity_bar  f8[n, m, l]                   result
    u_1               f8[n, m, l]                   scratch
    v                 f8[n, m, l]                   scratch
    u_saved           f8[steps, n, m, l]            scratch
    v_bar_parts       f8[16*chunks + chunks*l*m*n]  scratch
    report            i8[0]                         result: sizes that only the data know

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
                    t = u_1[base_1 + k + l + l * m + 1]
                    t_2 = u_1[base_1 + k + l + 1] + u_1[base_1 + k + l + 2 * l * m + 1] + u_1[base_1 + k + l * m + 1]
                    t_3 = t_2 + u_1[base_1 + k + 2 * l + l * m + 1] + u_1[base_1 + k + l + l * m] + u_1[base_1 + k + l + l * m + 2]
                    t_4 = dt * conductivity[base_1 + k + l + l * m + 1] * (1.0 + slope * t) * (t_3 - 6.0 * t)
                    t_1 = t + t_4
                    v[base_1 + k + l + l * m + 1] = t_1
    return 0


def loss_value_and_grad_part_1(begin, end, worker, n, chunks_1, l, m, v_bar_parts, i, dt, conductivity, u_saved, slope, u_1, conductivity_bar):
    for chunk in range(begin, end):
        first_1 = (chunk * n - 2 * chunk) // chunks_1
        last_1 = (chunk * n + n - 2 * chunk - 2) // chunks_1
        at = 16 * chunk + chunk * l * m * n
        for i_2 in range(l * m * n * min(1, chunks_1 - 1)):
            v_bar_parts[at + i_2] = 0.0
        for turn in range(last_1 - first_1):
            i_3 = first_1 + turn
            # for j in range(1, m - 1):
            for j in range(m - 2 - 1, -1, -1):
                # for k in range(1, l - 1):
                base_3 = (i_3 * m + j) * l
                u_saved_row = ((i * n + i_3) * m + j) * l
                v_bar_parts_row = (i_3 * m + j) * l + at
                for k in range(l - 2 - 1, -1, -1):
                    # v[i, j, k] = u[i, j, k] + dt * conductivity[i, j, k] * (1.0 + slope * u[i, j, k]) * (around - 6.0 * u[i, j, k])
                    t_6 = dt * conductivity[base_3 + k + l + l * m + 1]
                    t_7 = u_saved[u_saved_row + k + l + l * m + 1]
                    t_8 = 1.0 + slope * t_7
                    t_9 = u_1[base_3 + k + l + l * m + 1]
                    u_1[base_3 + k + l + l * m + 1] = 0.0
                    t_11 = u_saved[u_saved_row + k + l + 1] + u_saved[u_saved_row + k + l + 2 * l * m + 1] + u_saved[u_saved_row + k + l * m + 1]
                    t_12 = t_11 + u_saved[u_saved_row + k + 2 * l + l * m + 1] + u_saved[u_saved_row + k + l + l * m]
                    t_10 = t_9 * (t_12 + u_saved[u_saved_row + k + l + l * m + 2] - 6.0 * t_7)
                    around_bar = t_9 * (t_6 * t_8)
                    t_13 = -6.0 * around_bar
                    v_bar_parts[v_bar_parts_row + k + l + l * m + 1] += t_13
                    t_14 = t_10 * t_6 * slope
                    v_bar_parts[v_bar_parts_row + k + l + l * m + 1] += t_14
                    t_15 = t_10 * t_8 * dt
                    conductivity_bar[base_3 + k + l + l * m + 1] += t_15
                    v_bar_parts[v_bar_parts_row + k + l + l * m + 1] += t_9
                    # around = u[i - 1, j, k] + u[i + 1, j, k] + u[i, j - 1, k] + u[i, j + 1, k] + u[i, j, k - 1] + u[i, j, k + 1]
                    v_bar_parts[v_bar_parts_row + k + l + l * m + 2] += around_bar
                    v_bar_parts[v_bar_parts_row + k + l + l * m] += around_bar
                    v_bar_parts[v_bar_parts_row + k + 2 * l + l * m + 1] += around_bar
                    v_bar_parts[v_bar_parts_row + k + l * m + 1] += around_bar
                    v_bar_parts[v_bar_parts_row + k + l + 2 * l * m + 1] += around_bar
                    v_bar_parts[v_bar_parts_row + k + l + 1] += around_bar
    return 0


def loss_value_and_grad(u, conductivity, measured, slope, dt, steps, n, m, l, steps_most, out, u_bar, conductivity_bar, u_1, v, u_saved, v_bar_parts, report):
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
        # for i in range(1, n - 1):
        chunks_1 = max(1, min(n - 2, 2 * min(max(2, min(8, 2097152 // (8 * l * m * n))), (204 * l + 51 * l * m * n + 204 * m + 204 * n - 102 * l * m - 102 * l * n - 102 * m * n - 408) // (2 * max(131072, 32 * l * m * n)))))
        if chunks_1 == 1:
            code_1 = run_loss_value_and_grad_part_1(1, n, chunks_1, l, m, v, i, dt, conductivity, u_saved, slope, u_1, conductivity_bar)
        else:
            code_1 = run_loss_value_and_grad_part_1(chunks_1, n, chunks_1, l, m, v_bar_parts, i, dt, conductivity, u_saved, slope, u_1, conductivity_bar)
        if code_1 != 0:
            return code_1
        # for i in range(1, n - 1):
        for chunk in range(chunks_1):
            for i_2 in range(l * m * n * min(1, chunks_1 - 1)):
                v[i_2] += v_bar_parts[16 * chunk + chunk * l * m * n + i_2]
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
