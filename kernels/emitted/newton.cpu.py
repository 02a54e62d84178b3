"""kernels/newton.py: value and gradient by e: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    e            f8                                 input
    M            f8[n]                              input
    x            f8[n]                              input
    n            i8                                 size
    trips_most   i8                                 room
    total        f8                                 result
    e_bar        f8                                 result
    total_parts  f8[chunks, 16]                     scratch
    e_bar_parts  f8[chunks, 16]                     scratch
    E_saved      f8[16*chunks + chunks*trips_most]  scratch
    report       i8[0]                              result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, n, chunks, trips_most, M, e, E_saved, x, total_parts, e_bar_parts):
    for chunk in range(begin, end):
        first = chunk * n // chunks
        last = (chunk + 1) * n // chunks
        at = (trips_most + 16) * chunk
        total_2 = 0.0
        e_bar_2 = 0.0
        for turn in range(last - first):
            k = first + turn
            # total += (np.cos(anomaly(M[k], e)) - e - x[k]) ** 2
            M_1 = M[k]
            # while abs(step) > 1e-12:
            E = M_1
            step = 1.0
            trips = 0
            while abs(step) > 1e-12:
                if trips >= trips_most:
                    return -1
                # step = (E - e * np.sin(E) - M) / (1.0 - e * np.cos(E))
                step_1 = (E - e * math.sin(E) - M_1) / (1.0 - e * math.cos(E))
                # while abs(step) > 1e-12:
                E_saved[at + trips] = E
                step = step_1
                E += -step_1
                trips = trips + 1
            # for k in range(len(M)):
            t = math.cos(E) - e - x[k]
            total_2 += t * t
            # while abs(step) > 1e-12:
            E_bar = -(2.0 * t * math.sin(E))
            e_bar_3 = -2.0 * t
            for k_1 in range(trips - 1, -1, -1):
                E_1 = E_saved[at + k_1]
                # step = (E - e * np.sin(E) - M) / (1.0 - e * np.cos(E))
                t_1 = math.sin(E_1)
                t_2 = math.cos(E_1)
                t_3 = 1.0 - e * t_2
                # E = E - step
                step_bar = -E_bar
                # step = (E - e * np.sin(E) - M) / (1.0 - e * np.cos(E))
                t_4 = step_bar / t_3
                t_5 = step_bar * ((E_1 - e * t_1 - M_1) / t_3 / t_3)
                # while abs(step) > 1e-12:
                e_bar_3 += t_5 * t_2 - t_4 * t_1
                E_bar += -(t_5 * e * t_1) + t_4 - t_4 * e * t_2
            # for k in range(len(M)):
            e_bar_2 += e_bar_3
        total_parts[chunk * 16] = total_2
        e_bar_parts[chunk * 16] = e_bar_2
    return 0


def loss_value_and_grad(e, M, x, n, trips_most, total, e_bar, total_parts, e_bar_parts, E_saved, report):
    # for k in range(len(M)):
    total_1 = 0.0
    e_bar_1 = 0.0
    chunks = max(1, min(n, 2 * min(8, 1859 * n // 262144)))
    code = run_loss_value_and_grad_part(chunks, n, chunks, trips_most, M, e, E_saved, x, total_parts, e_bar_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        total_1 += total_parts[chunk * 16]
        e_bar_1 += e_bar_parts[chunk * 16]
    total[0] = total_1
    e_bar[0] = e_bar_1
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
