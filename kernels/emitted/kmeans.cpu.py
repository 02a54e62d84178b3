"""kernels/kmeans.py: value and gradient by centres: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    centres      f8[k, d]                       input
    points       f8[n, d]                       input
    k            i8                             size
    d            i8                             size
    n            i8                             size
    out          f8                             result
    centres_bar  f8[k, d]                       result
    sum_1        f8[k]                          scratch
    sum_2        f8[k]                          scratch
    sum_3        f8[144*chunks]                 scratch
    sum_4        f8[d, k]                       scratch
    sum_parts    f8[16*chunks + chunks*k]       scratch
    sum_parts_1  f8[16*chunks + chunks*d*k]     scratch
    sum_parts_2  f8[chunks, 16]                 scratch
    sum_5        f8[16*chunks + chunks*tile]    scratch
    t            f8[16*chunks + chunks*d*tile]  scratch
    sum_6        f8[16*chunks + chunks*k*tile]  scratch
    min_1        f8[16*chunks + chunks*tile]    scratch
    squares      f8[16*chunks + chunks*k*tile]  scratch
    report       i8[0]                          result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm
from adc.ops.routines_products import product_blocks


def loss_value_and_grad_part(begin, end, worker, k, chunks, sum_3, d, centres, sum_1, sum_2):
    for chunk in range(begin, end):
        first = chunk * ((k + 127) // 128) // chunks
        last = (chunk + 1) * ((k + 127) // 128) // chunks
        at = 144 * chunk
        for turn in range(last - first):
            block = first + turn
            start = 128 * block
            lanes = min(128, k - start)
            for lane in range(lanes):
                sum_3[at + lane] = 0.0
            for lane in range(lanes):
                for j in range(d):
                    t_1 = centres[(lane + start) * d + j]
                    sum_3[at + lane] += t_1 * t_1
            for lane in range(lanes):
                sum_1[lane + start] = sum_3[at + lane]
                sum_2[lane + start] = 0.0
    return 0


def loss_value_and_grad_part_1(begin, end, worker, n, tile, chunks_1, d, k, sum_parts, sum_parts_1, sum_5, points, t, centres, sum_6, min_1, squares, sum_1, sum_parts_2):
    for chunk in range(begin, end):
        first_1 = chunk * ((n + tile - 1) // tile) // chunks_1
        last_1 = (chunk + 1) * ((n + tile - 1) // tile) // chunks_1
        at_1 = (tile + 16) * chunk
        at_2 = (d * tile + 16) * chunk
        at_3 = (k * tile + 16) * chunk
        at_4 = (k + 16) * chunk
        at_5 = (d * k + 16) * chunk
        sum_8 = 0.0
        for i in range(k * min(1, chunks_1 - 1)):
            sum_parts[at_4 + i] = 0.0
        if last_1 - first_1 == 0:
            for i in range(d * k):
                sum_parts_1[at_5 + i] = 0.0
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = block_1 * tile
            lanes_1 = min(tile, n - start_1)
            for lane in range(lanes_1):
                sum_5[at_1 + lane] = 0.0
            for lane in range(lanes_1):
                points_row = (lane + start_1) * d
                for j in range(d):
                    t_2 = points[points_row + j]
                    sum_5[at_1 + lane] += t_2 * t_2
                    t[at_2 + j * tile + lane] = 2.0 * points[points_row + j]
            blocks = product_blocks(k, lanes_1, d)
            run_product(blocks, blocks, 0, 0, 0, k, lanes_1, d, centres, 0, d, t, at_2, tile, sum_6, at_3, tile)
            for lane in range(lanes_1):
                min_1[at_1 + lane] = math.inf
            for j in range(k):
                base = at_3 + j * tile
                for lane in range(lanes_1):
                    squares[base + lane] = sum_5[at_1 + lane] + sum_1[j] - sum_6[base + lane]
                    t_3 = squares[base + lane]
                    t_4 = min_1[at_1 + lane]
                    min_1[at_1 + lane] = t_3 if (t_3 < t_4) | (t_3 != t_3) else t_4
            for lane in range(lanes_1):
                sum_8 += min_1[at_1 + lane]
                sum_5[at_1 + lane] = 0.0
            # return np.sum(np.min(squares, axis=1))
            for j in range(k):
                base_1 = at_3 + j * tile
                for lane in range(lanes_1):
                    sum_6[base_1 + lane] = np.float64(squares[base_1 + lane] == min_1[at_1 + lane])
                    sum_5[at_1 + lane] += sum_6[base_1 + lane]
            for j in range(k):
                sum_9 = 0.0
                base_2 = at_3 + j * tile
                for lane in range(lanes_1):
                    t_5 = sum_6[base_2 + lane] / sum_5[at_1 + lane]
                    squares[base_2 + lane] = -t_5
                    sum_9 += t_5
                sum_parts[at_4 + j] += sum_9
            # squares = np.sum(points**2, axis=1)[:, None] + np.sum(centres**2, axis=1) - 2.0 * points @ centres.T
            blocks_1 = product_blocks(d, k, lanes_1)
            run_product(blocks_1, blocks_1, 0, 1, min(1, turn), d, k, lanes_1, t, at_2, tile, squares, at_3, tile, sum_parts_1, at_5, k)
        sum_parts_2[chunk * 16] = sum_8
    return 0


def loss_value_and_grad_part_2(begin, end, worker, k, chunks_2, d, centres_bar, sum_4, sum_2, centres):
    for chunk in range(begin, end):
        first_2 = chunk * k // chunks_2
        last_2 = (chunk + 1) * k // chunks_2
        for turn in range(last_2 - first_2):
            i_1 = first_2 + turn
            for j in range(d):
                centres_bar[i_1 * d + j] = sum_4[j * k + i_1] + sum_2[i_1] * (2.0 * centres[i_1 * d + j])
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


def loss_value_and_grad(centres, points, k, d, n, out, centres_bar, sum_1, sum_2, sum_3, sum_4, sum_parts, sum_parts_1, sum_parts_2, sum_5, t, sum_6, min_1, squares, report):
    # squares = np.sum(points**2, axis=1)[:, None] + np.sum(centres**2, axis=1) - 2.0 * points @ centres.T
    chunks = max(1, min((k + 127) // 128, 2 * min(8, (3 * d + 3) * k // 262144)))
    code = run_loss_value_and_grad_part(chunks, k, chunks, sum_3, d, centres, sum_1, sum_2)
    if code != 0:
        return code
    # return np.sum(np.min(squares, axis=1))
    sum_7 = 0.0
    tile = max(max(8, min(128, 8 * (max(32768 // (8 * d + 32 * k + 24), min(64, 2097152 // (8 * d + 32 * k + 24))) // 8))), min(512 * min(1, 8 * d * k // 262144), 8 * ((n + 7) // 8)))
    # squares = np.sum(points**2, axis=1)[:, None] + np.sum(centres**2, axis=1) - 2.0 * points @ centres.T
    chunks_1 = max(1, min((n + tile - 1) // tile, 2 * min(max(2, min(8, 2097152 // ((8 * d + 8) * k))) * min(1, 262144 // (8 * d * k)), ((8 * k + 6) * d + 27 * k + 4) * n // (2 * max(131072, (32 * d + 32) * k)))))
    if chunks_1 > 1:
        for i in range(d):
            for j in range(k):
                sum_4[i * k + j] = 0.0
    if chunks_1 == 1:
        code_1 = run_loss_value_and_grad_part_1(1, n, tile, chunks_1, d, k, sum_2, sum_4, sum_5, points, t, centres, sum_6, min_1, squares, sum_1, sum_parts_2)
    else:
        code_1 = run_loss_value_and_grad_part_1(chunks_1, n, tile, chunks_1, d, k, sum_parts, sum_parts_1, sum_5, points, t, centres, sum_6, min_1, squares, sum_1, sum_parts_2)
    if code_1 != 0:
        return code_1
    for chunk in range(chunks_1):
        sum_7 += sum_parts_2[chunk * 16]
        for i in range(k * min(1, chunks_1 - 1)):
            sum_2[i] += sum_parts[(k + 16) * chunk + i]
        for i in range(d * k * min(1, chunks_1 - 1)):
            sum_4[i] += sum_parts_1[(d * k + 16) * chunk + i]
    out[0] = sum_7
    chunks_2 = max(1, min(k, 2 * min(8, 7 * d * k // 262144)))
    code_2 = run_loss_value_and_grad_part_2(chunks_2, k, chunks_2, d, centres_bar, sum_4, sum_2, centres)
    if code_2 != 0:
        return code_2
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


def run_product(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = product(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
