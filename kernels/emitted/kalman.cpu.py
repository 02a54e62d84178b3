"""kernels/kalman.py: value and gradient by A, root_q, H and root_r: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    A               f8[d, d]                       input
    root_q          f8[d, d]                       input
    H               f8[k, d]                       input
    root_r          f8[k, k]                       input
    mean            f8[d]                          input
    cov             f8[d, d]                       input
    ys              f8[t, k]                       input
    d               i8                             size
    k               i8                             size
    t               i8                             size
    total           f8                             result
    A_bar           f8[d, d]                       result
    root_q_bar      f8[d, d]                       result
    H_bar           f8[k, d]                       result
    root_r_bar      f8[k, k]                       result
    cov_1           f8[d, d]                       scratch
    cov_bar         f8[d, d]                       scratch
    Q_bar           f8[d, d]                       scratch
    Q               f8[d, d]                       scratch
    mean_1          f8[d]                          scratch
    mean_bar        f8[d]                          scratch
    R_bar           f8[k, k]                       scratch
    R               f8[k, k]                       scratch
    saved           f8[t, k, d]                    scratch
    gain_saved      f8[t, k, d]                    scratch
    S_saved         f8[t, k, k]                    scratch
    r_saved         f8[t, k]                       scratch
    saved_1         f8[t, k]                       scratch
    mean_saved      f8[t, d]                       scratch
    cov_saved       f8[t, d, d]                    scratch
    saved_2         f8[t, d, d]                    scratch
    cov_saved_1     f8[t, d, d]                    scratch
    mean_saved_1    f8[t, d]                       scratch
    saved_3         f8[t, d, k]                    scratch
    mean_2          f8[d]                          scratch
    sum_1           f8[d, d]                       scratch
    cov_2           f8[d, d]                       scratch
    sum_2           f8[d, d]                       scratch
    sum_3           f8[d]                          scratch
    sum_4           f8[d, k]                       scratch
    mean_3          f8[16*chunks + chunks*tile]    scratch
    sum_5           f8[16*chunks + chunks*d*tile]  scratch
    sum_6           f8[k, d]                       scratch
    S               f8[k, k]                       scratch
    r               f8[k]                          scratch
    sum_7           f8[16*chunks + chunks*tile]    scratch
    sum_8           f8[16*chunks + chunks*k*tile]  scratch
    gain            f8[k, d]                       scratch
    work            f8[k, k]                       scratch
    sign            f8[1]                          scratch
    logdet          f8[1]                          scratch
    solve           f8[k]                          scratch
    work_1          f8[k, k]                       scratch
    sum_parts       f8[16*chunks + chunks*d*k]     scratch
    sum_9           f8[d, k]                       scratch
    t_1             f8[16*chunks + chunks*d*tile]  scratch
    r_bar           f8[144*chunks]                 scratch
    solve_1         f8[k]                          scratch
    work_2          f8[k, k]                       scratch
    sum_parts_1     f8[16*chunks + chunks*d]       scratch
    sum_parts_2     f8[16*chunks + chunks*d*d]     scratch
    sum_10          f8[k, d]                       scratch
    mean_bar_parts  f8[16*chunks + chunks*d]       scratch
    R_bar_tile      f8[16*chunks + chunks*k*tile]  scratch
    root_r_bar_1    f8[16*chunks + chunks*k*tile]  scratch
    Q_bar_tile      f8[16*chunks + chunks*d*tile]  scratch
    root_q_bar_1    f8[16*chunks + chunks*d*tile]  scratch
    report          i8[0]                          result: sizes that only the data know

Returns 0, or the number of what failed:

    1  Singular matrix (line 25)
    2  Singular matrix (line 27)
    3  Singular matrix (line 26)
    4  Singular matrix (line 27)
    5  Singular matrix (line 25)
"""

import math

import numpy as np

from adc.ops.routines_linalg import invert_matrices
from adc.ops.routines_linalg import log_determinants
from adc.ops.routines_linalg import solve_systems
from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm
from adc.ops.routines_products import product_blocks


def loss_value_and_grad_part(begin, end, worker, d, tile, chunks, mean_3, A, mean_1, sum_5, mean_2, cov_1, sum_1, cov_2, Q, sum_2, sum_3, k, sum_4):
    for chunk in range(begin, end):
        first = chunk * ((d + tile - 1) // tile) // chunks
        last = (chunk + 1) * ((d + tile - 1) // tile) // chunks
        at = (d * tile + 16) * chunk
        at_1 = (tile + 16) * chunk
        for turn in range(last - first):
            block = first + turn
            start = block * tile
            lanes = min(tile, d - start)
            for lane in range(lanes):
                mean_3[at_1 + lane] = 0.0
            for lane in range(lanes):
                for j in range(d):
                    mean_3[at_1 + lane] += A[(lane + start) * d + j] * mean_1[j]
                    sum_5[at + j * tile + lane] = 0.0
            for lane in range(lanes):
                mean_2[lane + start] = mean_3[at_1 + lane]
            # cov = A @ cov @ A.T + Q
            blocks_2 = product_blocks(lanes, d, d)
            run_product(blocks_2, blocks_2, 0, 0, 0, lanes, d, d, A, d * start, d, cov_1, 0, d, sum_1, d * start, d)
            blocks_3 = product_blocks(d, lanes, d)
            run_product(blocks_3, blocks_3, 0, 1, 1, d, lanes, d, A, 0, d, sum_1, d * start, d, sum_5, at, tile)
            for lane in range(lanes):
                base_1 = (lane + start) * d
                for j in range(d):
                    cov_2[base_1 + j] = sum_5[at + j * tile + lane] + Q[base_1 + j]
                    sum_2[base_1 + j] = 0.0
            for lane in range(lanes):
                sum_3[lane + start] = 0.0
            # cov = cov - gain @ S @ gain.T
            for lane in range(lanes):
                for j in range(k):
                    sum_4[(lane + start) * k + j] = 0.0
    return 0


def loss_value_and_grad_part_1(begin, end, worker, k, tile_1, chunks_1, sum_7, d, H, mean_2, cov_2, sum_6, sum_8, S, R, r, ys, y):
    for chunk in range(begin, end):
        first_1 = chunk * ((k + tile_1 - 1) // tile_1) // chunks_1
        last_1 = (chunk + 1) * ((k + tile_1 - 1) // tile_1) // chunks_1
        at_2 = (tile_1 + 16) * chunk
        at_3 = (k * tile_1 + 16) * chunk
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = block_1 * tile_1
            lanes_1 = min(tile_1, k - start_1)
            for lane in range(lanes_1):
                sum_7[at_2 + lane] = 0.0
            for lane in range(lanes_1):
                for j in range(d):
                    sum_7[at_2 + lane] += H[(lane + start_1) * d + j] * mean_2[j]
            blocks_4 = product_blocks(lanes_1, d, d)
            run_product(blocks_4, blocks_4, 0, 0, 0, lanes_1, d, d, H, d * start_1, d, cov_2, 0, d, sum_6, d * start_1, d)
            blocks_5 = product_blocks(k, lanes_1, d)
            run_product(blocks_5, blocks_5, 0, 1, 0, k, lanes_1, d, H, 0, d, sum_6, d * start_1, d, sum_8, at_3, tile_1)
            for lane in range(lanes_1):
                base_2 = (lane + start_1) * k
                for j in range(k):
                    S[base_2 + j] = sum_8[at_3 + j * tile_1 + lane] + R[base_2 + j]
            for lane in range(lanes_1):
                r[lane + start_1] = ys[y * k + lane + start_1] - sum_7[at_2 + lane]
    return 0


def loss_value_and_grad_part_2(begin, end, worker, d, tile_2, chunks_2, k, sum_parts, t_1, cov_bar, cov_1, gain_saved, y, sum_4, saved_3, R, sum_9, mean_1):
    for chunk in range(begin, end):
        first_2 = chunk * ((d + tile_2 - 1) // tile_2) // chunks_2
        last_2 = (chunk + 1) * ((d + tile_2 - 1) // tile_2) // chunks_2
        at_4 = (d * tile_2 + 16) * chunk
        at_5 = (d * k + 16) * chunk
        if last_2 - first_2 == 0:
            for i in range(d * k):
                sum_parts[at_5 + i] = 0.0
        for turn in range(last_2 - first_2):
            block_2 = first_2 + turn
            start_2 = block_2 * tile_2
            lanes_2 = min(tile_2, d - start_2)
            for lane in range(lanes_2):
                base_7 = (lane + start_2) * d
                for j in range(d):
                    t_1[at_4 + j * tile_2 + lane] = -cov_bar[base_7 + j]
                    cov_1[base_7 + j] = 0.0
            blocks_8 = product_blocks(lanes_2, k, d)
            run_product(blocks_8, blocks_8, 1, 1, 0, lanes_2, k, d, t_1, at_4, tile_2, gain_saved, d * k * y, d, sum_4, k * start_2, k)
            blocks_9 = product_blocks(k, d, lanes_2)
            run_product(blocks_9, blocks_9, 1, 1, min(1, turn), k, d, lanes_2, saved_3, (d * y + start_2) * k, k, t_1, at_4, tile_2, sum_parts, at_5, d)
            blocks_10 = product_blocks(lanes_2, k, k)
            run_product(blocks_10, blocks_10, 0, 1, 0, lanes_2, k, k, sum_4, k * start_2, k, R, 0, k, sum_9, k * start_2, k)
            for lane in range(lanes_2):
                mean_1[lane + start_2] = 0.0
    return 0


def loss_value_and_grad_part_3(begin, end, worker, k, chunks_3, d, gain_saved, y, sum_4, S, r_bar, mean_bar, gain, sum_6, sum_9, r_saved, r, R, S_saved, work_1, solve):
    for chunk in range(begin, end):
        first_3 = chunk * ((k + 127) // 128) // chunks_3
        last_3 = (chunk + 1) * ((k + 127) // 128) // chunks_3
        at_6 = 144 * chunk
        for turn in range(last_3 - first_3):
            block_3 = first_3 + turn
            start_3 = 128 * block_3
            lanes_3 = min(128, k - start_3)
            blocks_11 = product_blocks(lanes_3, k, d)
            run_product(blocks_11, blocks_11, 0, 0, 1, lanes_3, k, d, gain_saved, (k * y + start_3) * d, d, sum_4, 0, k, S, k * start_3, k)
            for lane in range(lanes_3):
                r_bar[at_6 + lane] = 0.0
            # mean = mean + gain @ r
            r_saved_row = y * k + start_3
            for lane in range(lanes_3):
                base_8 = (lane + start_3) * d
                for j in range(d):
                    r_bar[at_6 + lane] += mean_bar[j] * gain_saved[(y * k + lane + start_3) * d + j]
                    gain[base_8 + j] = sum_6[base_8 + j] + sum_9[j * k + lane + start_3] + mean_bar[j] * r_saved[r_saved_row + lane]
            for lane in range(lanes_3):
                r[lane + start_3] = r_bar[at_6 + lane]
            # total += 0.5 * (np.dot(r, np.linalg.solve(S, r)) + logdet + len(r) * np.log(2.0 * np.pi))
            for lane in range(lanes_3):
                base_9 = (lane + start_3) * k
                for j in range(k):
                    R[base_9 + j] = S_saved[(y * k + j) * k + lane + start_3]
                    work_1[base_9 + j] = 0.0
            for lane in range(lanes_3):
                solve[lane + start_3] = 0.5 * r_saved[r_saved_row + lane]
    return 0


def loss_value_and_grad_part_4(begin, end, worker, k, chunks_4, d, sum_parts_1, sum_parts_2, work_1, sum_6, gain_saved, y, R, S, solve_1, saved_1, work, solve, r, gain, H, sum_10, cov_saved_1):
    for chunk in range(begin, end):
        first_4 = chunk * k // chunks_4
        last_4 = (chunk + 1) * k // chunks_4
        at_7 = (d + 16) * chunk
        at_8 = (d * d + 16) * chunk
        for i in range(d * min(1, chunks_4 - 1)):
            sum_parts_1[at_7 + i] = 0.0
        for i in range(d * d * min(1, chunks_4 - 1)):
            sum_parts_2[at_8 + i] = 0.0
        for turn in range(last_4 - first_4):
            i_2 = first_4 + turn
            base_10 = i_2 * k
            base_11 = i_2 * d
            for j in range(k):
                for k_1 in range(d):
                    work_1[base_10 + j] += sum_6[base_11 + k_1] * gain_saved[(y * k + j) * d + k_1]
            for j in range(k):
                R[base_10 + j] = S[base_10 + j] - solve_1[i_2] * saved_1[y * k + j] + 0.5 * work[j * k + i_2] - work_1[base_10 + j]
            solve[i_2] = -(r[i_2] + 0.5 * saved_1[y * k + i_2] + solve_1[i_2])
            for j in range(d):
                gain[base_11 + j] = 0.0
                sum_parts_1[at_7 + j] += solve[i_2] * H[base_11 + j]
                sum_10[base_11 + j] = 0.0
            for j in range(d):
                for k_1 in range(d):
                    gain[base_11 + j] += sum_6[base_11 + k_1] * cov_saved_1[(y * d + j) * d + k_1]
            for i in range(d):
                for j in range(d):
                    sum_parts_2[at_8 + d * i + j] += sum_6[base_11 + j] * H[base_11 + i]
            # S = H @ cov @ H.T + R
            for k_1 in range(k):
                for j in range(d):
                    sum_10[base_11 + j] += R[base_10 + k_1] * H[k_1 * d + j]
    return 0


def loss_value_and_grad_part_5(begin, end, worker, d, chunks_5, mean_2, mean_bar, mean_1, k, sum_4, Q):
    for chunk in range(begin, end):
        first_5 = chunk * d // chunks_5
        last_5 = (chunk + 1) * d // chunks_5
        for turn in range(last_5 - first_5):
            i_3 = first_5 + turn
            mean_2[i_3] = mean_bar[i_3] + mean_1[i_3]
            # S = H @ cov @ H.T + R
            for j in range(k):
                sum_4[i_3 * k + j] = 0.0
            for j in range(d):
                Q[i_3 * d + j] = 0.0
    return 0


def loss_value_and_grad_part_6(begin, end, worker, d, chunks_6, sum_1, cov_bar, cov_1, Q, cov_2, sum_2, A):
    for chunk in range(begin, end):
        first_6 = chunk * d // chunks_6
        last_6 = (chunk + 1) * d // chunks_6
        for turn in range(last_6 - first_6):
            i_4 = first_6 + turn
            base_12 = i_4 * d
            for j in range(d):
                sum_1[base_12 + j] = cov_bar[base_12 + j] + cov_1[base_12 + j] + Q[base_12 + j]
                cov_2[base_12 + j] = 0.0
                sum_2[base_12 + j] = 0.0
            # cov = A @ cov @ A.T + Q
            for k_1 in range(d):
                for j in range(d):
                    cov_2[base_12 + j] += sum_1[base_12 + k_1] * A[k_1 * d + j]
    return 0


def loss_value_and_grad_part_7(begin, end, worker, d, chunks_7, mean_bar_parts, mean_2, A, A_bar, sum_2, cov_1, mean_saved, y, Q_bar, sum_1):
    for chunk in range(begin, end):
        first_7 = chunk * d // chunks_7
        last_7 = (chunk + 1) * d // chunks_7
        at_9 = (d + 16) * chunk
        for i in range(d * min(1, chunks_7 - 1)):
            mean_bar_parts[at_9 + i] = 0.0
        for turn in range(last_7 - first_7):
            j_1 = first_7 + turn
            base_13 = j_1 * d
            for i in range(d):
                mean_bar_parts[at_9 + i] += mean_2[j_1] * A[base_13 + i]
                A_bar[base_13 + i] += sum_2[i * d + j_1] + cov_1[base_13 + i] + mean_2[j_1] * mean_saved[y * d + i]
                Q_bar[base_13 + i] += sum_1[base_13 + i]
    return 0


def loss_value_and_grad_part_8(begin, end, worker, k, chunks_8, d, H_bar, gain, solve, mean_saved_1, y, sum_4, sum_6, R_bar, R):
    for chunk in range(begin, end):
        first_8 = chunk * k // chunks_8
        last_8 = (chunk + 1) * k // chunks_8
        for turn in range(last_8 - first_8):
            i_5 = first_8 + turn
            base_14 = i_5 * d
            for j in range(d):
                H_bar[base_14 + j] += gain[base_14 + j] + solve[i_5] * mean_saved_1[y * d + j] + sum_4[j * k + i_5] + sum_6[base_14 + j]
            for j in range(k):
                R_bar[i_5 * k + j] += R[i_5 * k + j]
    return 0


def loss_value_and_grad_part_9(begin, end, worker, k, tile_3, chunks_9, R_bar_tile, R_bar, root_r, root_r_bar_1, root_r_bar, R):
    for chunk in range(begin, end):
        first_9 = chunk * ((k + tile_3 - 1) // tile_3) // chunks_9
        last_9 = (chunk + 1) * ((k + tile_3 - 1) // tile_3) // chunks_9
        at_10 = (k * tile_3 + 16) * chunk
        for turn in range(last_9 - first_9):
            block_4 = first_9 + turn
            start_4 = block_4 * tile_3
            lanes_4 = min(tile_3, k - start_4)
            for lane in range(lanes_4):
                for i in range(k):
                    R_bar_tile[at_10 + i * tile_3 + lane] = R_bar[(lane + start_4) * k + i]
            blocks_19 = product_blocks(k, lanes_4, k)
            run_product(blocks_19, blocks_19, 1, 0, 0, k, lanes_4, k, root_r, 0, k, R_bar_tile, at_10, tile_3, root_r_bar_1, at_10, tile_3)
            for j in range(k):
                for lane in range(lanes_4):
                    root_r_bar[(lane + start_4) * k + j] = root_r_bar_1[at_10 + j * tile_3 + lane] + R[j * k + lane + start_4]
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


def loss_value_and_grad(A, root_q, H, root_r, mean, cov, ys, d, k, t, total, A_bar, root_q_bar, H_bar, root_r_bar, cov_1, cov_bar, Q_bar, Q, mean_1, mean_bar, R_bar, R, saved, gain_saved, S_saved, r_saved, saved_1, mean_saved, cov_saved, saved_2, cov_saved_1, mean_saved_1, saved_3, mean_2, sum_1, cov_2, sum_2, sum_3, sum_4, mean_3, sum_5, sum_6, S, r, sum_7, sum_8, gain, work, sign, logdet, solve, work_1, sum_parts, sum_9, t_1, r_bar, solve_1, work_2, sum_parts_1, sum_parts_2, sum_10, mean_bar_parts, R_bar_tile, root_r_bar_1, Q_bar_tile, root_q_bar_1, report):
    # Q, R = root_q @ root_q.T, root_r @ root_r.T
    for i in range(d):
        base = i * d
        for j in range(d):
            cov_1[base + j] = cov[base + j]
            cov_bar[base + j] = 0.0
            A_bar[base + j] = 0.0
            Q_bar[base + j] = 0.0
    blocks = product_blocks(d, d, d)
    run_product(blocks, blocks, 0, 1, 0, d, d, d, root_q, 0, d, root_q, 0, d, Q, 0, d)
    for i in range(d):
        mean_1[i] = mean[i]
        mean_bar[i] = 0.0
    for i in range(k):
        for j in range(k):
            R_bar[i * k + j] = 0.0
    blocks_1 = product_blocks(k, k, k)
    run_product(blocks_1, blocks_1, 0, 1, 0, k, k, k, root_r, 0, k, root_r, 0, k, R, 0, k)
    for i in range(k):
        # for y in ys:
        for j in range(d):
            H_bar[i * d + j] = 0.0
    total_1 = 0.0
    for y in range(t):
        tile = max(8, min(128, 8 * (max(32768 // (16 * d + 8), min(64, 2097152 // (16 * d + 8))) // 8)))
        # mean = A @ mean
        chunks = max(1, min((d + tile - 1) // tile, 2 * min(8, ((8 * d + 11) * d + k + 3) * d // 262144)))
        code = run_loss_value_and_grad_part(chunks, d, tile, chunks, mean_3, A, mean_1, sum_5, mean_2, cov_1, sum_1, cov_2, Q, sum_2, sum_3, k, sum_4)
        if code != 0:
            return code
        tile_1 = max(8, min(128, 8 * (max(32768 // (8 * d + 8 * k + 8), min(64, 2097152 // (8 * d + 8 * k + 8))) // 8)))
        # S = H @ cov @ H.T + R
        chunks_1 = max(1, min((k + tile_1 - 1) // tile_1, 2 * min(8, ((4 * d + 4 * k + 5) * d + 5 * k + 4) * k // 262144)))
        code_1 = run_loss_value_and_grad_part_1(chunks_1, k, tile_1, chunks_1, sum_7, d, H, mean_2, cov_2, sum_6, sum_8, S, R, r, ys, y)
        if code_1 != 0:
            return code_1
        # gain = np.linalg.solve(S, H @ cov).T
        if solve_systems(S, sum_6, gain, work, k, k, k, d) != 0:
            return 1
        # sign, logdet = np.linalg.slogdet(S)
        log_determinants(S, sign, logdet, work, k, k)
        # total += 0.5 * (np.dot(r, np.linalg.solve(S, r)) + logdet + len(r) * np.log(2.0 * np.pi))
        if solve_systems(S, r, solve, work, k, k, k) != 0:
            return 2
        sum_11 = 0.0
        for i in range(k):
            sum_11 += r[i] * solve[i]
            # mean = mean + gain @ r
            base_3 = i * d
            base_4 = (y * k + i) * d
            for i_1 in range(d):
                sum_3[i_1] += gain[base_3 + i_1] * r[i]
                saved[base_4 + i_1] = sum_6[base_3 + i_1]
                gain_saved[base_4 + i_1] = gain[base_3 + i_1]
        # total += 0.5 * (np.dot(r, np.linalg.solve(S, r)) + logdet + len(r) * np.log(2.0 * np.pi))
        blocks_6 = product_blocks(d, k, k)
        run_product(blocks_6, blocks_6, 1, 0, 1, d, k, k, gain, 0, d, S, 0, k, sum_4, 0, k)
        for i in range(k):
            # for y in ys:
            for j in range(k):
                S_saved[(y * k + i) * k + j] = S[i * k + j]
            r_saved[y * k + i] = r[i]
            saved_1[y * k + i] = solve[i]
        # cov = cov - gain @ S @ gain.T
        blocks_7 = product_blocks(d, d, k)
        run_product(blocks_7, blocks_7, 0, 0, 1, d, d, k, sum_4, 0, k, gain, 0, d, sum_2, 0, d)
        for i in range(d):
            mean_saved[y * d + i] = mean_1[i]
            # for y in ys:
            base_5 = (y * d + i) * d
            base_6 = i * d
            for j in range(d):
                cov_saved[base_5 + j] = cov_1[base_6 + j]
                saved_2[base_5 + j] = sum_1[base_6 + j]
                cov_saved_1[base_5 + j] = cov_2[base_6 + j]
                cov_1[base_6 + j] = cov_2[base_6 + j] - sum_2[base_6 + j]
            mean_saved_1[y * d + i] = mean_2[i]
            for j in range(k):
                saved_3[(y * d + i) * k + j] = sum_4[i * k + j]
            mean_1[i] = mean_2[i] + sum_3[i]
        total_1 += 0.5 * (sum_11 + logdet[0] + np.float64(k) * 1.8378770664093453)
    for y in range(t - 1, -1, -1):
        # sign, logdet = np.linalg.slogdet(S)
        for i in range(k):
            for j in range(k):
                R[i * k + j] = S_saved[(y * k + i) * k + j]
                S[i * k + j] = 0.0
        if invert_matrices(R, work, work_1, k, k) != 0:
            return 3
        tile_2 = max(max(8, min(128, 8 * (max(32768 // (8 * d), min(64, 2097152 // (8 * d))) // 8))), min(512 * min(1, 8 * d * k // 262144), 8 * ((d + 7) // 8)))
        # cov = cov - gain @ S @ gain.T
        chunks_2 = max(1, min((d + tile_2 - 1) // tile_2, 2 * min(max(2, min(8, 2097152 // (8 * d * k))) * min(1, 262144 // (8 * d * k)), ((8 * d + 4 * k + 2) * k + 4 * d + 1) * d // (2 * max(131072, 32 * d * k)))))
        if chunks_2 > 1:
            for i in range(k):
                for j in range(d):
                    sum_6[i * d + j] = 0.0
        if chunks_2 == 1:
            code_2 = run_loss_value_and_grad_part_2(1, d, tile_2, chunks_2, k, sum_6, t_1, cov_bar, cov_1, gain_saved, y, sum_4, saved_3, R, sum_9, mean_1)
        else:
            code_2 = run_loss_value_and_grad_part_2(chunks_2, d, tile_2, chunks_2, k, sum_parts, t_1, cov_bar, cov_1, gain_saved, y, sum_4, saved_3, R, sum_9, mean_1)
        if code_2 != 0:
            return code_2
        for chunk in range(chunks_2):
            for i in range(d * k * min(1, chunks_2 - 1)):
                sum_6[i] += sum_parts[(d * k + 16) * chunk + i]
        chunks_3 = max(1, min((k + 127) // 128, 2 * min(8, ((4 * k + 12) * d + 3 * k + 5) * k // 262144)))
        code_3 = run_loss_value_and_grad_part_3(chunks_3, k, chunks_3, d, gain_saved, y, sum_4, S, r_bar, mean_bar, gain, sum_6, sum_9, r_saved, r, R, S_saved, work_1, solve)
        if code_3 != 0:
            return code_3
        if solve_systems(R, solve, solve_1, work_2, k, k, k) != 0:
            return 4
        # gain = np.linalg.solve(S, H @ cov).T
        if solve_systems(R, gain, sum_6, work_2, k, k, k, d) != 0:
            return 5
        chunks_4 = max(1, min(k, 2 * min(max(2, min(8, 2097152 // ((8 * d + 8) * d))) * min(1, 262144 // (8 * d * d)), ((8 * d + 8 * k + 6) * d + 11 * k + 8) * k // (2 * max(131072, (32 * d + 32) * d)))))
        if chunks_4 == 1:
            code_4 = run_loss_value_and_grad_part_4(1, k, chunks_4, d, mean_1, cov_1, work_1, sum_6, gain_saved, y, R, S, solve_1, saved_1, work, solve, r, gain, H, sum_10, cov_saved_1)
        else:
            code_4 = run_loss_value_and_grad_part_4(chunks_4, k, chunks_4, d, sum_parts_1, sum_parts_2, work_1, sum_6, gain_saved, y, R, S, solve_1, saved_1, work, solve, r, gain, H, sum_10, cov_saved_1)
        if code_4 != 0:
            return code_4
        # gain = np.linalg.solve(S, H @ cov).T
        for chunk in range(chunks_4):
            for i in range(d * min(1, chunks_4 - 1)):
                mean_1[i] += sum_parts_1[(d + 16) * chunk + i]
            for i in range(d * d * min(1, chunks_4 - 1)):
                cov_1[i] += sum_parts_2[(d * d + 16) * chunk + i]
        # r = y - H @ mean
        chunks_5 = max(1, min(d, 2 * min(8, (d + k + 4) * d // 262144)))
        code_5 = run_loss_value_and_grad_part_5(chunks_5, d, chunks_5, mean_2, mean_bar, mean_1, k, sum_4, Q)
        if code_5 != 0:
            return code_5
        blocks_12 = product_blocks(d, k, k)
        run_product(blocks_12, blocks_12, 1, 0, 1, d, k, k, saved, d * k * y, d, R, 0, k, sum_4, 0, k)
        blocks_13 = product_blocks(k, d, d)
        run_product(blocks_13, blocks_13, 0, 1, 0, k, d, d, sum_10, 0, d, cov_saved_1, d * d * y, d, sum_6, 0, d)
        blocks_14 = product_blocks(d, d, k)
        run_product(blocks_14, blocks_14, 1, 0, 1, d, d, k, H, 0, d, sum_10, 0, d, Q, 0, d)
        chunks_6 = max(1, min(d, 2 * min(8, (4 * d + 8) * d * d // 262144)))
        code_6 = run_loss_value_and_grad_part_6(chunks_6, d, chunks_6, sum_1, cov_bar, cov_1, Q, cov_2, sum_2, A)
        if code_6 != 0:
            return code_6
        blocks_15 = product_blocks(d, d, d)
        run_product(blocks_15, blocks_15, 1, 0, 1, d, d, d, saved_2, d * d * y, d, sum_1, 0, d, sum_2, 0, d)
        blocks_16 = product_blocks(d, d, d)
        run_product(blocks_16, blocks_16, 0, 1, 0, d, d, d, cov_2, 0, d, cov_saved, d * d * y, d, cov_1, 0, d)
        blocks_17 = product_blocks(d, d, d)
        run_product(blocks_17, blocks_17, 1, 0, 0, d, d, d, A, 0, d, cov_2, 0, d, Q, 0, d)
        for k_1 in range(d):
            mean_1[k_1] = 0.0
        # mean = A @ mean
        chunks_7 = max(1, min(d, 2 * min(max(2, min(8, 2097152 // (8 * d))), 14 * d * d // (2 * max(131072, 32 * d)))))
        if chunks_7 == 1:
            code_7 = run_loss_value_and_grad_part_7(1, d, chunks_7, mean_1, mean_2, A, A_bar, sum_2, cov_1, mean_saved, y, Q_bar, sum_1)
        else:
            code_7 = run_loss_value_and_grad_part_7(chunks_7, d, chunks_7, mean_bar_parts, mean_2, A, A_bar, sum_2, cov_1, mean_saved, y, Q_bar, sum_1)
        if code_7 != 0:
            return code_7
        for chunk in range(chunks_7):
            for i in range(d * min(1, chunks_7 - 1)):
                mean_1[i] += mean_bar_parts[(d + 16) * chunk + i]
        # for y in ys:
        chunks_8 = max(1, min(k, 2 * min(8, (10 * d + 2 * k) * k // 262144)))
        code_8 = run_loss_value_and_grad_part_8(chunks_8, k, chunks_8, d, H_bar, gain, solve, mean_saved_1, y, sum_4, sum_6, R_bar, R)
        if code_8 != 0:
            return code_8
        for i in range(d):
            mean_bar[i] = mean_1[i]
            for j in range(d):
                cov_bar[i * d + j] = Q[i * d + j]
    # Q, R = root_q @ root_q.T, root_r @ root_r.T
    blocks_18 = product_blocks(k, k, k)
    run_product(blocks_18, blocks_18, 1, 0, 0, k, k, k, root_r, 0, k, R_bar, 0, k, R, 0, k)
    tile_3 = max(8, min(128, 8 * (max(32768 // (16 * k), min(64, 2097152 // (16 * k))) // 8)))
    chunks_9 = max(1, min((k + tile_3 - 1) // tile_3, 2 * min(8, (4 * k + 5) * k * k // 262144)))
    code_9 = run_loss_value_and_grad_part_9(chunks_9, k, tile_3, chunks_9, R_bar_tile, R_bar, root_r, root_r_bar_1, root_r_bar, R)
    if code_9 != 0:
        return code_9
    blocks_20 = product_blocks(d, d, d)
    run_product(blocks_20, blocks_20, 1, 0, 0, d, d, d, root_q, 0, d, Q_bar, 0, d, cov_1, 0, d)
    tile_4 = max(8, min(128, 8 * (max(32768 // (16 * d), min(64, 2097152 // (16 * d))) // 8)))
    chunks_10 = max(1, min((d + tile_4 - 1) // tile_4, 2 * min(8, (4 * d + 5) * d * d // 262144)))
    code_10 = run_loss_value_and_grad_part_9(chunks_10, d, tile_4, chunks_10, Q_bar_tile, Q_bar, root_q, root_q_bar_1, root_q_bar, cov_1)
    if code_10 != 0:
        return code_10
    total[0] = total_1
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


def run_loss_value_and_grad_part_8(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_8(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0


def run_loss_value_and_grad_part_9(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_9(chunk, chunk + 1, 0, *args)
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
