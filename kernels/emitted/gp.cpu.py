"""kernels/gp.py: value and gradient by logs: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    logs              f8[p]                          input
    X                 f8[n, d]                       input
    y                 f8[n]                          input
    p                 i8                             size
    n                 i8                             size
    d                 i8                             size
    out               f8                             result
    logs_bar          f8[p]                          result
    t                 f8[d]                          scratch
    sum_1             f8[d]                          scratch
    scaled            f8[n, d]                       scratch
    t_1               f8[n, n, d]                    scratch
    t_2               f8[n, n]                       scratch
    K                 f8[n, n]                       scratch
    square            f8[144*chunks]                 scratch
    L                 f8[n, n]                       scratch
    solve             f8[n]                          scratch
    alpha             f8[n]                          scratch
    work              f8[n, n]                       scratch
    alpha_bar         f8[n]                          scratch
    sum_parts         f8[chunks, 16]                 scratch
    sum_parts_1       f8[chunks, 16]                 scratch
    solve_1           f8[n]                          scratch
    work_1            f8[n, n]                       scratch
    sum_parts_2       f8[16*chunks + chunks*n*n]     scratch
    L_bar             f8[16*chunks + chunks*n*tile]  scratch
    L_bar_1           f8[16*chunks + chunks*n*tile]  scratch
    sum_2             f8[n, d]                       scratch
    sum_parts_3       f8[16*chunks + chunks*d*n]     scratch
    sum_3             f8[n, d]                       scratch
    noise_bar_parts   f8[chunks, 16]                 scratch
    signal_bar_parts  f8[chunks, 16]                 scratch
    sum_4             f8[16*chunks + chunks*d*tile]  scratch
    square_bar        f8[16*chunks + chunks*tile]    scratch
    sum_parts_4       f8[16*chunks + chunks*d]       scratch
    report            i8[0]                          result: sizes that only the data know

Returns 0, or the number of what failed:

    1  Matrix is not positive definite (line 23)
    2  Singular matrix (line 24)
    3  Singular matrix (line 24)
    4  Singular matrix (line 24)
    5  Singular matrix (line 24)
"""

import math

import numpy as np

from adc.ops.routines_linalg import cholesky_factors
from adc.ops.routines_linalg import solve_systems
from adc.ops.routines_linalg import solve_triangles
from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm
from adc.ops.routines_products import product_blocks


def loss_value_and_grad_part(begin, end, worker, d, chunks, t, logs, sum_1):
    for chunk in range(begin, end):
        first = chunk * d // chunks
        last = (chunk + 1) * d // chunks
        for turn in range(last - first):
            i = first + turn
            t[i] = math.exp(logs[i])
            sum_1[i] = 0.0
    return 0


def loss_value_and_grad_part_1(begin, end, worker, n, chunks_1, d, scaled, X, t):
    for chunk in range(begin, end):
        first_1 = chunk * n // chunks_1
        last_1 = (chunk + 1) * n // chunks_1
        for turn in range(last_1 - first_1):
            i_1 = first_1 + turn
            for j in range(d):
                scaled[i_1 * d + j] = X[i_1 * d + j] / t[j]
    return 0


def loss_value_and_grad_part_2(begin, end, worker, n, chunks_2, square, d, t_1, scaled, t_2, K, signal, noise):
    for chunk in range(begin, end):
        first_2 = chunk * ((n + 127) // 128) // chunks_2
        last_2 = (chunk + 1) * ((n + 127) // 128) // chunks_2
        at = 144 * chunk
        for turn in range(last_2 - first_2):
            block = first_2 + turn
            start = 128 * block
            lanes = min(128, n - start)
            for j in range(n):
                for lane in range(lanes):
                    square[at + lane] = 0.0
                for lane in range(lanes):
                    t_row = ((lane + start) * n + j) * d
                    for k in range(d):
                        t_1[t_row + k] = scaled[(lane + start) * d + k] - scaled[j * d + k]
                        t_3 = t_1[t_row + k]
                        square[at + lane] += t_3 * t_3
                for lane in range(lanes):
                    base = (lane + start) * n + j
                    t_2[base] = math.exp(-0.5 * square[at + lane])
                    K[base] = signal * t_2[base] + noise * np.float64(lane + start == j)
    return 0


def loss_value_and_grad_part_3(begin, end, worker, n, chunks_3, y, alpha, L, alpha_bar, work, sum_parts, sum_parts_1):
    for chunk in range(begin, end):
        first_3 = chunk * n // chunks_3
        last_3 = (chunk + 1) * n // chunks_3
        sum_7 = 0.0
        sum_8 = 0.0
        for turn in range(last_3 - first_3):
            i_3 = first_3 + turn
            sum_7 += y[i_3] * alpha[i_3]
            sum_8 += math.log(L[i_3 * n + i_3])
            alpha_bar[i_3] = 0.5 * y[i_3]
            # L = np.linalg.cholesky(K)
            for j in range(n):
                work[i_3 * n + j] = 0.0
        sum_parts[chunk * 16] = sum_7
        sum_parts_1[chunk * 16] = sum_8
    return 0


def loss_value_and_grad_part_4(begin, end, worker, n, tile, chunks_4, sum_parts_2, L_bar, L, L_bar_1, solve_1, alpha, alpha_bar, solve):
    for chunk in range(begin, end):
        first_4 = chunk * ((n + tile - 1) // tile) // chunks_4
        last_4 = (chunk + 1) * ((n + tile - 1) // tile) // chunks_4
        at_1 = (n * tile + 16) * chunk
        at_2 = (n * n + 16) * chunk
        for i_2 in range(n * n * min(1, chunks_4 - 1)):
            sum_parts_2[at_2 + i_2] = 0.0
        for turn in range(last_4 - first_4):
            block_1 = first_4 + turn
            start_1 = block_1 * tile
            lanes_1 = min(tile, n - start_1)
            for j in range(n):
                for lane in range(lanes_1):
                    L_bar[at_1 + j * tile + lane] = 0.0
            for lane in range(lanes_1):
                L_bar[(tile + 1) * lane + at_1 + start_1 * tile] += 1.0 / L[(lane + start_1) * n + lane + start_1]
            # alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
            for j in range(n):
                base_1 = at_1 + j * tile
                for lane in range(lanes_1):
                    L_bar_1[base_1 + lane] = L_bar[base_1 + lane] + -(solve_1[j] * alpha[lane + start_1]) - alpha_bar[lane + start_1] * solve[j]
            # L = np.linalg.cholesky(K)
            blocks = product_blocks(n, n, lanes_1)
            run_product(blocks, blocks, 1, 1, 1, n, n, lanes_1, L, n * start_1, n, L_bar_1, at_1, tile, sum_parts_2, at_2, n)
    return 0


def loss_value_and_grad_part_5(begin, end, worker, n, chunks_5, work, K):
    for chunk in range(begin, end):
        first_5 = chunk * n // chunks_5
        last_5 = (chunk + 1) * n // chunks_5
        for turn in range(last_5 - first_5):
            i_4 = first_5 + turn
            for j in range(n):
                t_4 = i_4 > j
                t_5 = work[i_4 * n + j]
                t_6 = i_4 == j
                t_7 = t_5 * 0.5
                t_8 = t_7 if t_6 else 0.0
                K[i_4 * n + j] = t_5 if t_4 else t_8
    return 0


def loss_value_and_grad_part_6(begin, end, worker, n, tile_1, chunks_6, d, sum_parts_3, sum_4, work, t_2, square_bar, signal, t_1, sum_3, noise_bar_parts, signal_bar_parts):
    for chunk in range(begin, end):
        first_6 = chunk * ((n + tile_1 - 1) // tile_1) // chunks_6
        last_6 = (chunk + 1) * ((n + tile_1 - 1) // tile_1) // chunks_6
        at_3 = (d * tile_1 + 16) * chunk
        at_4 = (tile_1 + 16) * chunk
        at_5 = (d * n + 16) * chunk
        noise_bar_1 = 0.0
        signal_bar_1 = 0.0
        for i_2 in range(d * n * min(1, chunks_6 - 1)):
            sum_parts_3[at_5 + i_2] = 0.0
        for turn in range(last_6 - first_6):
            block_2 = first_6 + turn
            start_2 = block_2 * tile_1
            lanes_2 = min(tile_1, n - start_2)
            # square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
            for j in range(d):
                for lane in range(lanes_2):
                    sum_4[at_3 + j * tile_1 + lane] = 0.0
            # L = np.linalg.cholesky(K)
            for j in range(n):
                for lane in range(lanes_2):
                    base_2 = (lane + start_2) * n + j
                    t_9 = work[j * n + lane + start_2] + work[base_2]
                    t_10 = lane + start_2 > j
                    t_11 = lane + start_2 == j
                    t_12 = t_9 * 0.5
                    t_13 = t_12 if t_11 else 0.0
                    K_bar = t_9 if t_10 else t_13
                    noise_bar_1 += K_bar * np.float64(lane + start_2 == j)
                    signal_bar_1 += K_bar * t_2[base_2]
                    square_bar[at_4 + lane] = K_bar * signal * t_2[base_2] * -0.5
                # square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
                for k in range(d):
                    sum_9 = 0.0
                    for lane in range(lanes_2):
                        t_14 = square_bar[at_4 + lane] * (2.0 * t_1[((lane + start_2) * n + j) * d + k])
                        sum_9 += -t_14
                        sum_4[at_3 + k * tile_1 + lane] += t_14
                    sum_parts_3[at_5 + d * j + k] += sum_9
            for k in range(d):
                for lane in range(lanes_2):
                    sum_3[(lane + start_2) * d + k] = sum_4[at_3 + k * tile_1 + lane]
        noise_bar_parts[chunk * 16] = noise_bar_1
        signal_bar_parts[chunk * 16] = signal_bar_1
    return 0


def loss_value_and_grad_part_7(begin, end, worker, n, chunks_7, d, sum_parts_4, sum_2, sum_3, scaled, t):
    for chunk in range(begin, end):
        first_7 = chunk * n // chunks_7
        last_7 = (chunk + 1) * n // chunks_7
        at_6 = (d + 16) * chunk
        for i_2 in range(d * min(1, chunks_7 - 1)):
            sum_parts_4[at_6 + i_2] = 0.0
        for turn in range(last_7 - first_7):
            j_1 = first_7 + turn
            base_3 = j_1 * d
            for k in range(d):
                scaled_bar = sum_2[base_3 + k]
                sum_parts_4[at_6 + k] += -((scaled_bar + sum_3[base_3 + k]) * (scaled[base_3 + k] / t[k]))
    return 0


def product(begin, end, worker, chunks, ta, tb, keep, m, n, k, a, a0, lda, b, b0, ldb, c, c0, ldc):
    # c[m, n] += op(a)[m, k] @ op(b)[k, n], or without keep =: chunks are blocks of columns, or of rows
    wide = n >= m
    for chunk in range(begin, end):
        first = (n if wide else m) * chunk // chunks
        size = (n if wide else m) * (chunk + 1) // chunks - first
        rows, columns = (m, size) if wide else (size, n)
        a1 = a0 if wide else a0 + (first if ta else first * lda)
        b1 = b0 + (first * ldb if tb else first) if wide else b0
        c1 = c0 + first if wide else c0 + first * ldc
        tiles = rows * columns * k > 256 and have_gemm(c[c1])
        for i in range(0 if keep or tiles else rows):
            for j in range(columns):
                c[c1 + i * ldc + j] = 0
        if tiles:
            gemm(ta, tb, keep, rows, columns, k, a, a1, lda, b, b1, ldb, c, c1, ldc)
        elif tb:
            for i in range(rows):
                for j in range(columns):
                    total = c[c1 + i * ldc + j]
                    for t in range(k):
                        total += a[a1 + t * lda + i if ta else a1 + i * lda + t] * b[b1 + j * ldb + t]
                    c[c1 + i * ldc + j] = total
        else:
            for i in range(rows):
                for t in range(k):
                    x = a[a1 + t * lda + i if ta else a1 + i * lda + t]
                    for j in range(columns):
                        c[c1 + i * ldc + j] += x * b[b1 + t * ldb + j]
    return 0


def loss_value_and_grad(logs, X, y, p, n, d, out, logs_bar, t, sum_1, scaled, t_1, t_2, K, square, L, solve, alpha, work, alpha_bar, sum_parts, sum_parts_1, solve_1, work_1, sum_parts_2, L_bar, L_bar_1, sum_2, sum_parts_3, sum_3, noise_bar_parts, signal_bar_parts, sum_4, square_bar, sum_parts_4, report):
    # scaled = X / np.exp(logs[:d])
    chunks = max(1, min(d, 2 * min(8, 11 * d // 262144)))
    code = run_loss_value_and_grad_part(chunks, d, chunks, t, logs, sum_1)
    if code != 0:
        return code
    chunks_1 = max(1, min(n, 2 * min(8, 11 * d * n // 262144)))
    code_1 = run_loss_value_and_grad_part_1(chunks_1, n, chunks_1, d, scaled, X, t)
    if code_1 != 0:
        return code_1
    # signal, noise = np.exp(2.0 * logs[d]), np.exp(2.0 * logs[d + 1])
    signal = math.exp(2.0 * logs[d])
    noise = math.exp(2.0 * logs[d + 1])
    # square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
    chunks_2 = max(1, min((n + 127) // 128, 2 * min(8, (7 * d + 18) * n * n // 262144)))
    code_2 = run_loss_value_and_grad_part_2(chunks_2, n, chunks_2, square, d, t_1, scaled, t_2, K, signal, noise)
    if code_2 != 0:
        return code_2
    # L = np.linalg.cholesky(K)
    if cholesky_factors(K, L, n, n) != 0:
        return 1
    # alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    if solve_systems(L, y, solve, K, n, n, n) != 0:
        return 2
    for i_2 in range(n):
        for j in range(n):
            K[i_2 * n + j] = L[j * n + i_2]
    if solve_systems(K, solve, alpha, work, n, n, n) != 0:
        return 3
    # return 0.5 * np.dot(y, alpha) + np.sum(np.log(np.diag(L))) + 0.5 * n * np.log(2.0 * np.pi)
    sum_5 = 0.0
    sum_6 = 0.0
    chunks_3 = max(1, min(n, 2 * min(8, (n + 17) * n // 262144)))
    code_3 = run_loss_value_and_grad_part_3(chunks_3, n, chunks_3, y, alpha, L, alpha_bar, work, sum_parts, sum_parts_1)
    if code_3 != 0:
        return code_3
    # return 0.5 * np.dot(y, alpha) + np.sum(np.log(np.diag(L))) + 0.5 * n * np.log(2.0 * np.pi)
    for chunk in range(chunks_3):
        sum_5 += sum_parts[chunk * 16]
        sum_6 += sum_parts_1[chunk * 16]
    # alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    if solve_systems(L, alpha_bar, solve_1, work_1, n, n, n) != 0:
        return 4
    if solve_systems(K, solve_1, alpha_bar, work_1, n, n, n) != 0:
        return 5
    tile = max(max(8, min(128, 8 * (max(32768 // (16 * n), min(64, 2097152 // (16 * n))) // 8))), min(512 * min(1, 8 * n * n // 262144), 8 * ((n + 7) // 8)))
    # return 0.5 * np.dot(y, alpha) + np.sum(np.log(np.diag(L))) + 0.5 * n * np.log(2.0 * np.pi)
    chunks_4 = max(1, min((n + tile - 1) // tile, 2 * min(max(2, min(8, 2097152 // (8 * n * n))) * min(1, 262144 // (8 * n * n)), ((4 * n + 12) * n + 10) * n // (2 * max(131072, 32 * n * n)))))
    if chunks_4 == 1:
        code_4 = run_loss_value_and_grad_part_4(1, n, tile, chunks_4, work, L_bar, L, L_bar_1, solve_1, alpha, alpha_bar, solve)
    else:
        code_4 = run_loss_value_and_grad_part_4(chunks_4, n, tile, chunks_4, sum_parts_2, L_bar, L, L_bar_1, solve_1, alpha, alpha_bar, solve)
    if code_4 != 0:
        return code_4
    # return 0.5 * np.dot(y, alpha) + np.sum(np.log(np.diag(L))) + 0.5 * n * np.log(2.0 * np.pi)
    for chunk in range(chunks_4):
        for i_2 in range(n * n * min(1, chunks_4 - 1)):
            work[i_2] += sum_parts_2[(n * n + 16) * chunk + i_2]
    # L = np.linalg.cholesky(K)
    chunks_5 = max(1, min(n, 2 * min(8, 7 * n * n // 262144)))
    code_5 = run_loss_value_and_grad_part_5(chunks_5, n, chunks_5, work, K)
    if code_5 != 0:
        return code_5
    solve_triangles(L, K, work, n, n, n, n, 1, 1)
    for i_2 in range(n):
        for j in range(n):
            K[i_2 * n + j] = work[j * n + i_2]
        # square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
        for j in range(d):
            sum_2[i_2 * d + j] = 0.0
    # L = np.linalg.cholesky(K)
    solve_triangles(L, K, work, n, n, n, n, 1, 1)
    # K = signal * np.exp(-0.5 * square) + noise * np.eye(n)
    noise_bar = 0.0
    signal_bar = 0.0
    tile_1 = max(8, min(128, 8 * (max(32768 // (8 * d + 8), min(64, 2097152 // (8 * d + 8))) // 8)))
    # L = np.linalg.cholesky(K)
    chunks_6 = max(1, min((n + tile_1 - 1) // tile_1, 2 * min(max(2, min(8, 2097152 // (8 * d * n))), ((7 * n + 3) * d + 22 * n) * n // (2 * max(131072, 32 * d * n)))))
    if chunks_6 == 1:
        code_6 = run_loss_value_and_grad_part_6(1, n, tile_1, chunks_6, d, sum_2, sum_4, work, t_2, square_bar, signal, t_1, sum_3, noise_bar_parts, signal_bar_parts)
    else:
        code_6 = run_loss_value_and_grad_part_6(chunks_6, n, tile_1, chunks_6, d, sum_parts_3, sum_4, work, t_2, square_bar, signal, t_1, sum_3, noise_bar_parts, signal_bar_parts)
    if code_6 != 0:
        return code_6
    # L = np.linalg.cholesky(K)
    for chunk in range(chunks_6):
        noise_bar += noise_bar_parts[chunk * 16]
        signal_bar += signal_bar_parts[chunk * 16]
        for i_2 in range(d * n * min(1, chunks_6 - 1)):
            sum_2[i_2] += sum_parts_3[(d * n + 16) * chunk + i_2]
    # square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=2)
    chunks_7 = max(1, min(n, 2 * min(max(2, min(8, 2097152 // (8 * d))), 17 * d * n // (2 * max(131072, 32 * d)))))
    if chunks_7 == 1:
        code_7 = run_loss_value_and_grad_part_7(1, n, chunks_7, d, sum_1, sum_2, sum_3, scaled, t)
    else:
        code_7 = run_loss_value_and_grad_part_7(chunks_7, n, chunks_7, d, sum_parts_4, sum_2, sum_3, scaled, t)
    if code_7 != 0:
        return code_7
    for chunk in range(chunks_7):
        for i_2 in range(d * min(1, chunks_7 - 1)):
            sum_1[i_2] += sum_parts_4[(d + 16) * chunk + i_2]
    # signal, noise = np.exp(2.0 * logs[d]), np.exp(2.0 * logs[d + 1])
    t_15 = noise_bar * noise * 2.0
    for i_2 in range(p):
        logs_bar[i_2] = 0.0
    logs_bar[d + 1] = t_15
    t_16 = signal_bar * signal * 2.0
    logs_bar[d] += t_16
    # scaled = X / np.exp(logs[:d])
    for i_2 in range(d):
        logs_bar[i_2] += sum_1[i_2] * t[i_2]
    out[0] = 0.5 * sum_5 + sum_6 + 0.5 * np.float64(n) * 1.8378770664093453
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


def run_loss_value_and_grad_part_3(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_3(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_loss_value_and_grad_part_4(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_4(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_loss_value_and_grad_part_5(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_5(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_loss_value_and_grad_part_6(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_6(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_loss_value_and_grad_part_7(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_7(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_product(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = product(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
