"""kernels/softmax.py: value and gradient by W and b: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    W            f8[d, c]                       input
    b            f8[c]                          input
    X            f8[n, d]                       input
    labels       i8[n]                          input
    d            i8                             size
    c            i8                             size
    n            i8                             size
    out          f8                             result
    W_bar        f8[d, c]                       result
    b_bar        f8[c]                          result
    scores       f8[n, c]                       scratch
    max_1        f8[n]                          scratch
    t            f8[n, c]                       scratch
    sum_1        f8[n]                          scratch
    logp         f8[n, c]                       scratch
    t_1          i8[n]                          scratch
    sum_2        f8[c, tile]                    scratch
    max_2        f8[tile]                       scratch
    sum_3        f8[tile]                       scratch
    sum_parts    f8[16*chunks + chunks*tile]    scratch
    b_bar_parts  f8[c*chunks + 16*chunks]       scratch
    W_bar_parts  f8[c*chunks*d + 16*chunks]     scratch
    sum_parts_1  f8[chunks, 16]                 scratch
    logp_bar     f8[c*chunks*tile + 16*chunks]  scratch
    sum_4        f8[16*chunks + chunks*tile]    scratch
    sum_5        f8[16*chunks + chunks*tile]    scratch
    sum_6        f8[16*chunks + chunks*tile]    scratch
    sum_7        f8[16*chunks + chunks*tile]    scratch
    scores_bar   f8[c*chunks*tile + 16*chunks]  scratch
    t_2          f8[c*chunks*tile + 16*chunks]  scratch
    report       i8[0]                          result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 1 with size c (line 22)
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm


def loss_value_and_grad_part(begin, end, worker, c, chunks, tile, sum_parts, sum_2, lane, scores, start, max_1, t):
    for chunk in range(begin, end):
        first = c * chunk // chunks
        last = (c + c * chunk) // chunks
        at = 16 * chunk + chunk * tile
        for i in range(tile * min(1, chunks - 1)):
            sum_parts[at + i] = 0.0
        for turn in range(last - first):
            j_1 = first + turn
            sum_2[j_1 * tile + lane] = scores[(lane + start) * c + j_1] - max_1[lane + start]
            t[(lane + start) * c + j_1] = math.exp(sum_2[j_1 * tile + lane])
            sum_parts[at + lane] += t[(lane + start) * c + j_1]
    return 0


def loss_value_and_grad_part_1(begin, end, worker, n, tile_1, chunks_1, d, c, b_bar_parts, W_bar_parts, logp, t_1, logp_bar, t_10, sum_4, sum_5, sum_1, sum_6, sum_7, scores_bar, t, t_2, scores, max_1, X, sum_parts_1):
    for chunk in range(begin, end):
        first_1 = chunk * ((n + tile_1 - 1) // tile_1) // chunks_1
        last_1 = (chunk * ((n + tile_1 - 1) // tile_1) + (n + tile_1 - 1) // tile_1) // chunks_1
        at_1 = 16 * chunk + chunk * d * tile_1
        at_2 = c * chunk * tile_1 + 16 * chunk
        at_3 = 16 * chunk + chunk * tile_1
        at_4 = c * chunk + 16 * chunk
        at_5 = c * chunk * d + 16 * chunk
        sum_9 = 0.0
        for i in range(c * min(1, chunks_1 - 1)):
            b_bar_parts[at_4 + i] = 0.0
        for i in range(c * d * min(1, chunks_1 - 1)):
            W_bar_parts[at_5 + i] = 0.0
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = block_1 * tile_1
            lanes_1 = min(tile_1, n - start_1)
            for lane in range(lanes_1):
                sum_9 += logp[(lane + start_1) * c + t_1[lane + start_1]]
            for j in range(c):
                for lane in range(lanes_1):
                    logp_bar[at_2 + j * tile_1 + lane] = 0.0
            for lane in range(lanes_1):
                logp_bar[t_1[lane + start_1] * tile_1 + at_2 + lane] += t_10
                sum_4[at_3 + lane] = 0.0
            # logp = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
            for j in range(c):
                for lane in range(lanes_1):
                    sum_4[at_3 + lane] += -logp_bar[at_2 + j * tile_1 + lane]
            for lane in range(lanes_1):
                sum_5[at_3 + lane] = sum_4[at_3 + lane] * (1.0 / sum_1[lane + start_1])
                sum_6[at_3 + lane] = 0.0
                sum_7[at_3 + lane] = 0.0
            for j in range(c):
                for lane in range(lanes_1):
                    scores_bar[at_2 + j * tile_1 + lane] = logp_bar[at_2 + j * tile_1 + lane] + sum_5[at_3 + lane] * t[(lane + start_1) * c + j]
                    sum_6[at_3 + lane] += -scores_bar[at_2 + j * tile_1 + lane]
                    t_2[at_2 + j * tile_1 + lane] = np.float64(scores[(lane + start_1) * c + j] == max_1[lane + start_1])
                    sum_7[at_3 + lane] += t_2[at_2 + j * tile_1 + lane]
            for lane in range(lanes_1):
                sum_4[at_3 + lane] = sum_6[at_3 + lane]
            # scores = scores - np.max(scores, axis=1, keepdims=True)
            for j in range(c):
                b_bar_1 = 0.0
                for lane in range(lanes_1):
                    logp_bar[at_2 + j * tile_1 + lane] = scores_bar[at_2 + j * tile_1 + lane] + sum_4[at_3 + lane] * (t_2[at_2 + j * tile_1 + lane] / sum_7[at_3 + lane])
                    b_bar_1 += logp_bar[at_2 + j * tile_1 + lane]
                b_bar_parts[at_4 + j] += b_bar_1
            # scores = X @ W + b
            blocks_1 = max(1, min(8, d * c * lanes_1 // 2097152))
            run_product(blocks_1, blocks_1, 1, 1, d, c, lanes_1, X, d * start_1, d, logp_bar, at_2, tile_1, W_bar_parts, at_5, c)
        sum_parts_1[chunk * 16] = sum_9
    return 0


def product(begin, end, worker, chunks, ta, tb, m, n, k, a, a0, lda, b, b0, ldb, c, c0, ldc):
    # c[m, n] += op(a)[m, k] @ op(b)[k, n]: chunks are blocks of columns, or of rows
    wide = n >= m
    for chunk in range(begin, end):
        first = (n if wide else m) * chunk // chunks
        size = (n if wide else m) * (chunk + 1) // chunks - first
        rows, columns = (m, size) if wide else (size, n)
        a1 = a0 if wide else a0 + (first if ta else first * lda)
        b1 = b0 + (first * ldb if tb else first) if wide else b0
        c1 = c0 + first if wide else c0 + first * ldc
        if rows * columns * k > 256 and have_gemm(c[c1]):
            gemm(ta, tb, rows, columns, k, a, a1, lda, b, b1, ldb, c, c1, ldc)
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


def loss_value_and_grad(W, b, X, labels, d, c, n, out, W_bar, b_bar, scores, max_1, t, sum_1, logp, t_1, sum_2, max_2, sum_3, sum_parts, b_bar_parts, W_bar_parts, sum_parts_1, logp_bar, sum_4, sum_5, sum_6, sum_7, scores_bar, t_2, report):
    # return -np.mean(logp[np.arange(len(labels)), labels])
    all_1 = True
    tile = max(8, min(128, 8 * (max(32768 // (16 * c + 8 * d + 24), min(64, 2097152 // (16 * c + 8 * d + 24))) // 8)))
    # scores = X @ W + b
    for block in range((n + tile - 1) // tile):
        start = block * tile
        lanes = min(tile, n - start)
        for j in range(c):
            for lane in range(lanes):
                sum_2[j * tile + lane] = 0.0
        blocks = max(1, min(8, c * lanes * d // 2097152))
        run_product(blocks, blocks, 1, 1, c, lanes, d, W, 0, c, X, d * start, d, sum_2, 0, tile)
        for lane in range(lanes):
            max_2[lane] = -math.inf
        for lane in range(lanes):
            for j in range(c):
                scores[(lane + start) * c + j] = sum_2[j * tile + lane] + b[j]
                t_3 = scores[(lane + start) * c + j]
                t_4 = max_2[lane]
                max_2[lane] = t_3 if (t_3 > t_4) | (t_3 != t_3) else t_4
        for lane in range(lanes):
            max_1[lane + start] = max_2[lane]
            sum_3[lane] = 0.0
        # scores = scores - np.max(scores, axis=1, keepdims=True)
        for lane in range(lanes):
            chunks = max(1, min(c, 2 * min(max(2, min(8, 2097152 // (8 * tile))), 16 * c // (2 * max(131072, 32 * tile)))))
            if chunks == 1:
                code = run_loss_value_and_grad_part(1, c, chunks, tile, sum_3, sum_2, lane, scores, start, max_1, t)
            else:
                code = run_loss_value_and_grad_part(chunks, c, chunks, tile, sum_parts, sum_2, lane, scores, start, max_1, t)
            if code != 0:
                return code
            for chunk in range(chunks):
                for i in range(tile * min(1, chunks - 1)):
                    sum_3[i] += sum_parts[16 * chunk + chunk * tile + i]
        for lane in range(lanes):
            sum_1[lane + start] = sum_3[lane]
            max_2[lane] = math.log(sum_1[lane + start])
        # logp = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
        for j in range(c):
            for lane in range(lanes):
                logp[(lane + start) * c + j] = sum_2[j * tile + lane] - max_2[lane]
        for lane in range(lanes):
            t_5 = labels[lane + start]
            t_6 = t_5 < 0
            t_7 = t_5 + c
            t_1[lane + start] = t_7 if t_6 else t_5
            t_8 = t_1[lane + start]
            all_1 = all_1 & ((t_8 >= 0) & (t_8 < c))
    # return -np.mean(logp[np.arange(len(labels)), labels])
    if not all_1:
        return 1
    sum_8 = 0.0
    t_9 = np.float64(n)
    t_10 = -1.0 / t_9
    # scores = X @ W + b
    for i in range(c):
        b_bar[i] = 0.0
    for i in range(d):
        for j in range(c):
            W_bar[i * c + j] = 0.0
    tile_1 = max(8, min(128, 8 * (max(32768 // (32 * c + 8 * d + 40), min(64, 2097152 // (32 * c + 8 * d + 40))) // 8)))
    # return -np.mean(logp[np.arange(len(labels)), labels])
    chunks_1 = max(1, min((n + tile_1 - 1) // tile_1, 2 * min(max(2, min(8, 2097152 // (8 * c + 8 * c * d))), (4 * c * d * n + 34 * c * n + 19 * n) // (2 * max(131072, 32 * c + 32 * c * d)))))
    if chunks_1 == 1:
        code_1 = run_loss_value_and_grad_part_1(1, n, tile_1, chunks_1, d, c, b_bar, W_bar, logp, t_1, logp_bar, t_10, sum_4, sum_5, sum_1, sum_6, sum_7, scores_bar, t, t_2, scores, max_1, X, sum_parts_1)
    else:
        code_1 = run_loss_value_and_grad_part_1(chunks_1, n, tile_1, chunks_1, d, c, b_bar_parts, W_bar_parts, logp, t_1, logp_bar, t_10, sum_4, sum_5, sum_1, sum_6, sum_7, scores_bar, t, t_2, scores, max_1, X, sum_parts_1)
    if code_1 != 0:
        return code_1
    # return -np.mean(logp[np.arange(len(labels)), labels])
    for chunk in range(chunks_1):
        sum_8 += sum_parts_1[chunk * 16]
        for i in range(c * min(1, chunks_1 - 1)):
            b_bar[i] += b_bar_parts[c * chunk + 16 * chunk + i]
        for i in range(c * d * min(1, chunks_1 - 1)):
            W_bar[i] += W_bar_parts[c * chunk * d + 16 * chunk + i]
    out[0] = -(sum_8 / t_9)
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


def run_product(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = product(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
