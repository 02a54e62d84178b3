"""kernels/mlp.py: value and gradient by layers: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    layers              f8[a, b]                       input
    layers_1            f8[b]                          input
    layers_2            f8[b, c]                       input
    layers_3            f8[c]                          input
    layers_4            f8[c, d]                       input
    layers_5            f8[d]                          input
    layers_6            f8[d, e]                       input
    layers_7            f8[e]                          input
    X                   f8[n, a]                       input
    labels              i8[n]                          input
    a                   i8                             size
    b                   i8                             size
    c                   i8                             size
    d                   i8                             size
    e                   i8                             size
    n                   i8                             size
    out                 f8                             result
    layers_bar          f8[a, b]                       result
    layers_bar_1        f8[b]                          result
    layers_bar_2        f8[b, c]                       result
    layers_bar_3        f8[c]                          result
    layers_bar_4        f8[c, d]                       result
    layers_bar_5        f8[d]                          result
    layers_bar_6        f8[d, e]                       result
    layers_bar_7        f8[e]                          result
    t                   i8[n]                          scratch
    layers_bar_parts    f8[16*chunks + chunks*e]       scratch
    layers_bar_parts_1  f8[16*chunks + chunks*d]       scratch
    layers_bar_parts_2  f8[c*chunks + 16*chunks]       scratch
    layers_bar_parts_3  f8[b*chunks + 16*chunks]       scratch
    layers_bar_parts_4  f8[16*chunks + chunks*d*e]     scratch
    layers_bar_parts_5  f8[c*chunks*d + 16*chunks]     scratch
    layers_bar_parts_6  f8[b*c*chunks + 16*chunks]     scratch
    layers_bar_parts_7  f8[a*b*chunks + 16*chunks]     scratch
    sum_parts           f8[chunks, 16]                 scratch
    sum_1               f8[b*chunks*tile + 16*chunks]  scratch
    t_1                 f8[b*chunks*tile + 16*chunks]  scratch
    h                   f8[b*chunks*tile + 16*chunks]  scratch
    sum_2               f8[c*chunks*tile + 16*chunks]  scratch
    t_2                 f8[c*chunks*tile + 16*chunks]  scratch
    t_3                 f8[c*chunks*tile + 16*chunks]  scratch
    h_1                 f8[c*chunks*tile + 16*chunks]  scratch
    sum_3               f8[16*chunks + chunks*d*tile]  scratch
    h_2                 f8[16*chunks + chunks*d*tile]  scratch
    sum_4               f8[16*chunks + chunks*e*tile]  scratch
    top                 f8[16*chunks + chunks*tile]    scratch
    scores              f8[16*chunks + chunks*e*tile]  scratch
    sum_5               f8[16*chunks + chunks*tile]    scratch
    t_4                 f8[16*chunks + chunks*tile]    scratch
    sum_6               f8[16*chunks + chunks*tile]    scratch
    sum_7               f8[16*chunks + chunks*tile]    scratch
    t_5                 f8[16*chunks + chunks*e*tile]  scratch
    t_6                 f8[16*chunks + chunks*e*tile]  scratch
    scores_bar          f8[16*chunks + chunks*e*tile]  scratch
    t_7                 f8[16*chunks + chunks*d*tile]  scratch
    report              i8[0]                          result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 1 with size e (line 37)
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm
from adc.ops.routines_products import product_blocks


def loss_value_and_grad_part(begin, end, worker, n, tile, chunks, b, c, d, e, a, layers_bar_parts, layers_bar_parts_1, layers_bar_parts_2, layers_bar_parts_3, layers_bar_parts_4, layers_bar_parts_5, layers_bar_parts_6, layers_bar_parts_7, layers, X, sum_1, t_1, layers_1, h, layers_2, sum_2, t_2, layers_3, t_3, h_1, layers_4, sum_3, h_2, layers_5, layers_6, sum_4, top, scores, layers_7, sum_5, t, t_4, t_13, sum_6, sum_7, t_5, t_6, scores_bar, t_14, t_7, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((n + tile - 1) // tile) // chunks
        last = (chunk + 1) * ((n + tile - 1) // tile) // chunks
        at = (b * tile + 16) * chunk
        at_1 = (c * tile + 16) * chunk
        at_2 = (d * tile + 16) * chunk
        at_3 = (e * tile + 16) * chunk
        at_4 = (tile + 16) * chunk
        at_5 = (e + 16) * chunk
        at_6 = (d * e + 16) * chunk
        at_7 = (d + 16) * chunk
        at_8 = (c * d + 16) * chunk
        at_9 = (c + 16) * chunk
        at_10 = (b * c + 16) * chunk
        at_11 = (b + 16) * chunk
        at_12 = (a * b + 16) * chunk
        sum_9 = 0.0
        for i in range(e * min(1, chunks - 1)):
            layers_bar_parts[at_5 + i] = 0.0
        for i in range(d * min(1, chunks - 1)):
            layers_bar_parts_1[at_7 + i] = 0.0
        for i in range(c * min(1, chunks - 1)):
            layers_bar_parts_2[at_9 + i] = 0.0
        for i in range(b * min(1, chunks - 1)):
            layers_bar_parts_3[at_11 + i] = 0.0
        if last - first == 0:
            for i in range(d * e):
                layers_bar_parts_4[at_6 + i] = 0.0
            for i in range(c * d):
                layers_bar_parts_5[at_8 + i] = 0.0
            for i in range(b * c):
                layers_bar_parts_6[at_10 + i] = 0.0
            for i in range(a * b):
                layers_bar_parts_7[at_12 + i] = 0.0
        for turn in range(last - first):
            block = first + turn
            start = block * tile
            lanes = min(tile, n - start)
            blocks = product_blocks(b, lanes, a)
            run_product(blocks, blocks, 1, 1, 0, b, lanes, a, layers, 0, b, X, a * start, a, sum_1, at, tile)
            for j in range(b):
                base = at + j * tile
                for lane in range(lanes):
                    t_1[base + lane] = sum_1[base + lane] + layers_1[j]
                    t_15 = t_1[base + lane]
                    h[base + lane] = t_15 if (t_15 > 0.0) | (t_15 != t_15) else 0.0
            blocks_1 = product_blocks(c, lanes, b)
            run_product(blocks_1, blocks_1, 1, 0, 0, c, lanes, b, layers_2, 0, c, h, at, tile, sum_2, at_1, tile)
            for j in range(c):
                base_1 = at_1 + j * tile
                for lane in range(lanes):
                    t_2[base_1 + lane] = sum_2[base_1 + lane] + layers_3[j]
                    t_16 = t_2[base_1 + lane]
                    t_3[base_1 + lane] = math.expm1(t_16 if (t_16 < 0.0) | (t_16 != t_16) else 0.0)
                    t_17 = t_2[base_1 + lane]
                    t_18 = t_17 > 0.0
                    t_19 = t_3[base_1 + lane]
                    h_1[base_1 + lane] = t_17 if t_18 else t_19
            blocks_2 = product_blocks(d, lanes, c)
            run_product(blocks_2, blocks_2, 1, 0, 0, d, lanes, c, layers_4, 0, d, h_1, at_1, tile, sum_3, at_2, tile)
            for j in range(d):
                base_2 = at_2 + j * tile
                for lane in range(lanes):
                    h_2[base_2 + lane] = math.tanh(sum_3[base_2 + lane] + layers_5[j])
            # scores = h @ W + b
            blocks_3 = product_blocks(e, lanes, d)
            run_product(blocks_3, blocks_3, 1, 0, 0, e, lanes, d, layers_6, 0, e, h_2, at_2, tile, sum_4, at_3, tile)
            for lane in range(lanes):
                top[at_4 + lane] = -math.inf
            for j in range(e):
                base_3 = at_3 + j * tile
                for lane in range(lanes):
                    scores[base_3 + lane] = sum_4[base_3 + lane] + layers_7[j]
                    t_20 = scores[base_3 + lane]
                    t_21 = top[at_4 + lane]
                    top[at_4 + lane] = t_20 if (t_20 > t_21) | (t_20 != t_20) else t_21
            for lane in range(lanes):
                sum_5[at_4 + lane] = 0.0
            # logsum = top + np.log(np.sum(np.exp(scores - top[:, None]), axis=1))
            for j in range(e):
                base_4 = at_3 + j * tile
                for lane in range(lanes):
                    sum_4[base_4 + lane] = math.exp(scores[base_4 + lane] - top[at_4 + lane])
                    sum_5[at_4 + lane] += sum_4[base_4 + lane]
            for lane in range(lanes):
                sum_9 += top[at_4 + lane] + math.log(sum_5[at_4 + lane]) - scores[t[lane + start] * tile + at_3 + lane]
                t_4[at_4 + lane] = t_13 / sum_5[at_4 + lane]
                sum_6[at_4 + lane] = 0.0
                sum_7[at_4 + lane] = 0.0
            for j in range(e):
                base_5 = at_3 + j * tile
                for lane in range(lanes):
                    t_5[base_5 + lane] = t_4[at_4 + lane] * sum_4[base_5 + lane]
                    sum_6[at_4 + lane] += -t_5[base_5 + lane]
                    t_6[base_5 + lane] = np.float64(scores[base_5 + lane] == top[at_4 + lane])
                    sum_7[at_4 + lane] += t_6[base_5 + lane]
                    scores_bar[base_5 + lane] = 0.0
            for lane in range(lanes):
                top[at_4 + lane] = sum_6[at_4 + lane]
                scores_bar[t[lane + start] * tile + at_3 + lane] += t_14
            # top = np.max(scores, axis=1)
            for j in range(e):
                layers_bar_8 = 0.0
                base_6 = at_3 + j * tile
                for lane in range(lanes):
                    sum_4[base_6 + lane] = scores_bar[base_6 + lane] + t_5[base_6 + lane] + (t_13 + top[at_4 + lane]) * (t_6[base_6 + lane] / sum_7[at_4 + lane])
                    layers_bar_8 += sum_4[base_6 + lane]
                layers_bar_parts[at_5 + j] += layers_bar_8
            # scores = h @ W + b
            blocks_4 = product_blocks(d, lanes, e)
            run_product(blocks_4, blocks_4, 0, 0, 0, d, lanes, e, layers_6, 0, e, sum_4, at_3, tile, sum_3, at_2, tile)
            blocks_5 = product_blocks(d, e, lanes)
            run_product(blocks_5, blocks_5, 0, 1, min(1, turn), d, e, lanes, h_2, at_2, tile, sum_4, at_3, tile, layers_bar_parts_4, at_6, e)
            # h = activation(h @ W + b)
            for j in range(d):
                layers_bar_9 = 0.0
                base_7 = at_2 + j * tile
                for lane in range(lanes):
                    t_22 = h_2[base_7 + lane]
                    t_7[base_7 + lane] = sum_3[base_7 + lane] * (1.0 - t_22 * t_22)
                    layers_bar_9 += t_7[base_7 + lane]
                layers_bar_parts_1[at_7 + j] += layers_bar_9
            blocks_6 = product_blocks(c, lanes, d)
            run_product(blocks_6, blocks_6, 0, 0, 0, c, lanes, d, layers_4, 0, d, t_7, at_2, tile, sum_2, at_1, tile)
            blocks_7 = product_blocks(c, d, lanes)
            run_product(blocks_7, blocks_7, 0, 1, min(1, turn), c, d, lanes, h_1, at_1, tile, t_7, at_2, tile, layers_bar_parts_5, at_8, d)
            # return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))
            for j in range(c):
                layers_bar_10 = 0.0
                base_8 = at_1 + j * tile
                for lane in range(lanes):
                    t_23 = t_2[base_8 + lane]
                    t_24 = t_23 > 0.0
                    t_25 = sum_2[base_8 + lane]
                    t_26 = (0.0 if t_24 else t_25) * (t_3[base_8 + lane] + 1.0)
                    h_1[base_8 + lane] = (t_25 if t_24 else 0.0) + (0.5 * t_26 if 0.0 == t_23 else t_26 if 0.0 > t_23 else 0.0)
                    layers_bar_10 += h_1[base_8 + lane]
                layers_bar_parts_2[at_9 + j] += layers_bar_10
            # h = activation(h @ W + b)
            blocks_8 = product_blocks(b, lanes, c)
            run_product(blocks_8, blocks_8, 0, 0, 0, b, lanes, c, layers_2, 0, c, h_1, at_1, tile, sum_1, at, tile)
            blocks_9 = product_blocks(b, c, lanes)
            run_product(blocks_9, blocks_9, 0, 1, min(1, turn), b, c, lanes, h, at, tile, h_1, at_1, tile, layers_bar_parts_6, at_10, c)
            # return np.maximum(x, 0.0)
            for j in range(b):
                layers_bar_11 = 0.0
                base_9 = at + j * tile
                for lane in range(lanes):
                    t_27 = sum_1[base_9 + lane]
                    t_28 = t_1[base_9 + lane]
                    h[base_9 + lane] = 0.5 * t_27 if t_28 == 0.0 else t_27 if t_28 > 0.0 else 0.0
                    layers_bar_11 += h[base_9 + lane]
                layers_bar_parts_3[at_11 + j] += layers_bar_11
            # h = activation(h @ W + b)
            blocks_10 = product_blocks(a, b, lanes)
            run_product(blocks_10, blocks_10, 1, 1, min(1, turn), a, b, lanes, X, a * start, a, h, at, tile, layers_bar_parts_7, at_12, b)
        sum_parts[chunk * 16] = sum_9
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


def loss_value_and_grad(layers, layers_1, layers_2, layers_3, layers_4, layers_5, layers_6, layers_7, X, labels, a, b, c, d, e, n, out, layers_bar, layers_bar_1, layers_bar_2, layers_bar_3, layers_bar_4, layers_bar_5, layers_bar_6, layers_bar_7, t, layers_bar_parts, layers_bar_parts_1, layers_bar_parts_2, layers_bar_parts_3, layers_bar_parts_4, layers_bar_parts_5, layers_bar_parts_6, layers_bar_parts_7, sum_parts, sum_1, t_1, h, sum_2, t_2, t_3, h_1, sum_3, h_2, sum_4, top, scores, sum_5, t_4, sum_6, sum_7, t_5, t_6, scores_bar, t_7, report):
    # return np.mean(logsum - scores[np.arange(len(labels)), labels])
    all_1 = True
    for i in range(n):
        t_8 = labels[i]
        t_9 = t_8 < 0
        t_10 = t_8 + e
        t[i] = t_10 if t_9 else t_8
        t_11 = t[i]
        all_1 = all_1 & ((t_11 >= 0) & (t_11 < e))
    if not all_1:
        return 1
    sum_8 = 0.0
    t_12 = np.float64(n)
    t_13 = 1.0 / t_12
    t_14 = -t_13
    # scores = h @ W + b
    for i in range(e):
        layers_bar_7[i] = 0.0
    for i in range(d):
        layers_bar_5[i] = 0.0
    # h = activation(h @ W + b)
    for i in range(c):
        layers_bar_3[i] = 0.0
    for i in range(b):
        layers_bar_1[i] = 0.0
    tile = max(max(8, min(128, 8 * (max(32768 // (8 * a + 40 * b + 48 * c + 32 * d + 56 * e + 48), min(64, 2097152 // (8 * a + 40 * b + 48 * c + 32 * d + 56 * e + 48))) // 8))), min(512 * min(1, ((8 * a + 8 * c) * b + 8 * c * d + 8 * d * e) // 262144), 8 * ((n + 7) // 8)))
    chunks = max(1, min((n + tile - 1) // tile, 2 * min(max(2, min(8, 2097152 // ((8 * a + 8 * c + 8) * b + 8 * c + 8 * c * d + 8 * d + 8 * d * e + 8 * e))) * min(1, 262144 // ((8 * a + 8 * c) * b + 8 * c * d + 8 * d * e)), ((8 * a + 12 * c + 15) * b + 35 * c + 12 * c * d + 22 * d + 12 * d * e + 51 * e + 28) * n // (2 * max(131072, (32 * a + 32 * c + 32) * b + 32 * c + 32 * c * d + 32 * d + 32 * d * e + 32 * e)))))
    if chunks > 1:
        for i in range(d):
            for j in range(e):
                layers_bar_6[i * e + j] = 0.0
        for i in range(c):
            for j in range(d):
                layers_bar_4[i * d + j] = 0.0
        for i in range(b):
            for j in range(c):
                layers_bar_2[i * c + j] = 0.0
        for i in range(a):
            for j in range(b):
                layers_bar[i * b + j] = 0.0
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, n, tile, chunks, b, c, d, e, a, layers_bar_7, layers_bar_5, layers_bar_3, layers_bar_1, layers_bar_6, layers_bar_4, layers_bar_2, layers_bar, layers, X, sum_1, t_1, layers_1, h, layers_2, sum_2, t_2, layers_3, t_3, h_1, layers_4, sum_3, h_2, layers_5, layers_6, sum_4, top, scores, layers_7, sum_5, t, t_4, t_13, sum_6, sum_7, t_5, t_6, scores_bar, t_14, t_7, sum_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, n, tile, chunks, b, c, d, e, a, layers_bar_parts, layers_bar_parts_1, layers_bar_parts_2, layers_bar_parts_3, layers_bar_parts_4, layers_bar_parts_5, layers_bar_parts_6, layers_bar_parts_7, layers, X, sum_1, t_1, layers_1, h, layers_2, sum_2, t_2, layers_3, t_3, h_1, layers_4, sum_3, h_2, layers_5, layers_6, sum_4, top, scores, layers_7, sum_5, t, t_4, t_13, sum_6, sum_7, t_5, t_6, scores_bar, t_14, t_7, sum_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        sum_8 += sum_parts[chunk * 16]
        for i in range(e * min(1, chunks - 1)):
            layers_bar_7[i] += layers_bar_parts[(e + 16) * chunk + i]
        for i in range(d * e * min(1, chunks - 1)):
            layers_bar_6[i] += layers_bar_parts_4[(d * e + 16) * chunk + i]
        for i in range(d * min(1, chunks - 1)):
            layers_bar_5[i] += layers_bar_parts_1[(d + 16) * chunk + i]
        for i in range(c * d * min(1, chunks - 1)):
            layers_bar_4[i] += layers_bar_parts_5[(c * d + 16) * chunk + i]
        for i in range(c * min(1, chunks - 1)):
            layers_bar_3[i] += layers_bar_parts_2[(c + 16) * chunk + i]
        for i in range(b * c * min(1, chunks - 1)):
            layers_bar_2[i] += layers_bar_parts_6[(b * c + 16) * chunk + i]
        for i in range(b * min(1, chunks - 1)):
            layers_bar_1[i] += layers_bar_parts_3[(b + 16) * chunk + i]
        for i in range(a * b * min(1, chunks - 1)):
            layers_bar[i] += layers_bar_parts_7[(a * b + 16) * chunk + i]
    out[0] = sum_8 / t_12
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
