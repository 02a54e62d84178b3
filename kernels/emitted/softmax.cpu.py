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
    t            i8[n]                          scratch
    b_bar_parts  f8[c*chunks + 16*chunks]       scratch
    W_bar_parts  f8[c*chunks*d + 16*chunks]     scratch
    sum_parts    f8[chunks, 16]                 scratch
    sum_1        f8[c*chunks*tile + 16*chunks]  scratch
    max_1        f8[16*chunks + chunks*tile]    scratch
    scores       f8[c*chunks*tile + 16*chunks]  scratch
    sum_2        f8[16*chunks + chunks*tile]    scratch
    t_1          f8[c*chunks*tile + 16*chunks]  scratch
    t_2          f8[16*chunks + chunks*tile]    scratch
    logp         f8[c*chunks*tile + 16*chunks]  scratch
    logp_bar     f8[c*chunks*tile + 16*chunks]  scratch
    sum_3        f8[16*chunks + chunks*tile]    scratch
    sum_4        f8[16*chunks + chunks*tile]    scratch
    sum_5        f8[16*chunks + chunks*tile]    scratch
    report       i8[0]                          result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 1 with size c (line 22)
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm
from adc.ops.routines_products import product_blocks


def loss_value_and_grad_part(begin, end, worker, n, tile, chunks, c, d, b_bar_parts, W_bar_parts, W, X, sum_1, max_1, scores, b, sum_2, t_1, t_2, logp, logp_bar, t, t_8, sum_3, sum_4, sum_5, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((n + tile - 1) // tile) // chunks
        last = (chunk + 1) * ((n + tile - 1) // tile) // chunks
        at = (c * tile + 16) * chunk
        at_1 = (tile + 16) * chunk
        at_2 = (c + 16) * chunk
        at_3 = (c * d + 16) * chunk
        sum_7 = 0.0
        for i in range(c * min(1, chunks - 1)):
            b_bar_parts[at_2 + i] = 0.0
        if last - first == 0:
            for i in range(c * d):
                W_bar_parts[at_3 + i] = 0.0
        for turn in range(last - first):
            block = first + turn
            start = block * tile
            lanes = min(tile, n - start)
            blocks = product_blocks(c, lanes, d)
            run_product(blocks, blocks, 1, 1, 0, c, lanes, d, W, 0, c, X, d * start, d, sum_1, at, tile)
            for lane in range(lanes):
                max_1[at_1 + lane] = -math.inf
            for j in range(c):
                base = at + j * tile
                for lane in range(lanes):
                    scores[base + lane] = sum_1[base + lane] + b[j]
                    t_9 = scores[base + lane]
                    t_10 = max_1[at_1 + lane]
                    max_1[at_1 + lane] = t_9 if (t_9 > t_10) | (t_9 != t_9) else t_10
            for lane in range(lanes):
                sum_2[at_1 + lane] = 0.0
            # scores = scores - np.max(scores, axis=1, keepdims=True)
            for j in range(c):
                base_1 = at + j * tile
                for lane in range(lanes):
                    sum_1[base_1 + lane] = scores[base_1 + lane] - max_1[at_1 + lane]
                    t_1[base_1 + lane] = math.exp(sum_1[base_1 + lane])
                    sum_2[at_1 + lane] += t_1[base_1 + lane]
            for lane in range(lanes):
                t_2[at_1 + lane] = math.log(sum_2[at_1 + lane])
            # logp = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
            for j in range(c):
                base_2 = at + j * tile
                for lane in range(lanes):
                    logp[base_2 + lane] = sum_1[base_2 + lane] - t_2[at_1 + lane]
                    logp_bar[base_2 + lane] = 0.0
            for lane in range(lanes):
                sum_7 += logp[t[lane + start] * tile + at + lane]
                logp_bar[t[lane + start] * tile + at + lane] += t_8
                t_2[at_1 + lane] = 0.0
            for j in range(c):
                for lane in range(lanes):
                    t_2[at_1 + lane] += -logp_bar[at + j * tile + lane]
            for lane in range(lanes):
                sum_3[at_1 + lane] = t_2[at_1 + lane] * (1.0 / sum_2[at_1 + lane])
                sum_4[at_1 + lane] = 0.0
                sum_5[at_1 + lane] = 0.0
            for j in range(c):
                base_3 = at + j * tile
                for lane in range(lanes):
                    sum_1[base_3 + lane] = logp_bar[base_3 + lane] + sum_3[at_1 + lane] * t_1[base_3 + lane]
                    sum_4[at_1 + lane] += -sum_1[base_3 + lane]
                    logp[base_3 + lane] = np.float64(scores[base_3 + lane] == max_1[at_1 + lane])
                    sum_5[at_1 + lane] += logp[base_3 + lane]
            for lane in range(lanes):
                max_1[at_1 + lane] = sum_4[at_1 + lane]
            # scores = scores - np.max(scores, axis=1, keepdims=True)
            for j in range(c):
                b_bar_1 = 0.0
                base_4 = at + j * tile
                for lane in range(lanes):
                    scores[base_4 + lane] = sum_1[base_4 + lane] + max_1[at_1 + lane] * (logp[base_4 + lane] / sum_5[at_1 + lane])
                    b_bar_1 += scores[base_4 + lane]
                b_bar_parts[at_2 + j] += b_bar_1
            # scores = X @ W + b
            blocks_1 = product_blocks(d, c, lanes)
            run_product(blocks_1, blocks_1, 1, 1, min(1, turn), d, c, lanes, X, d * start, d, scores, at, tile, W_bar_parts, at_3, c)
        sum_parts[chunk * 16] = sum_7
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


def loss_value_and_grad(W, b, X, labels, d, c, n, out, W_bar, b_bar, t, b_bar_parts, W_bar_parts, sum_parts, sum_1, max_1, scores, sum_2, t_1, t_2, logp, logp_bar, sum_3, sum_4, sum_5, report):
    # return -np.mean(logp[np.arange(len(labels)), labels])
    all_1 = True
    for i in range(n):
        t_3 = labels[i]
        t_4 = t_3 < 0
        t_5 = t_3 + c
        t[i] = t_5 if t_4 else t_3
        t_6 = t[i]
        all_1 = all_1 & ((t_6 >= 0) & (t_6 < c))
    if not all_1:
        return 1
    sum_6 = 0.0
    t_7 = np.float64(n)
    t_8 = -1.0 / t_7
    # scores = X @ W + b
    for i in range(c):
        b_bar[i] = 0.0
    tile = max(max(8, min(128, 8 * (max(32768 // (72 * c + 8 * d + 64), min(64, 2097152 // (72 * c + 8 * d + 64))) // 8))), min(512 * min(1, 8 * c * d // 262144), 8 * ((n + 7) // 8)))
    chunks = max(1, min((n + tile - 1) // tile, 2 * min(max(2, min(8, 2097152 // ((8 * d + 8) * c))) * min(1, 262144 // (8 * c * d)), ((8 * d + 58) * c + 29) * n // (2 * max(131072, (32 * d + 32) * c)))))
    if chunks > 1:
        for i in range(d):
            for j in range(c):
                W_bar[i * c + j] = 0.0
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, n, tile, chunks, c, d, b_bar, W_bar, W, X, sum_1, max_1, scores, b, sum_2, t_1, t_2, logp, logp_bar, t, t_8, sum_3, sum_4, sum_5, sum_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, n, tile, chunks, c, d, b_bar_parts, W_bar_parts, W, X, sum_1, max_1, scores, b, sum_2, t_1, t_2, logp, logp_bar, t, t_8, sum_3, sum_4, sum_5, sum_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        sum_6 += sum_parts[chunk * 16]
        for i in range(c * min(1, chunks - 1)):
            b_bar[i] += b_bar_parts[(c + 16) * chunk + i]
        for i in range(c * d * min(1, chunks - 1)):
            W_bar[i] += W_bar_parts[(c * d + 16) * chunk + i]
    out[0] = -(sum_6 / t_7)
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
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
