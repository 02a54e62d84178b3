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
    t                   f8[n, b]                       scratch
    h                   f8[n, b]                       scratch
    t_1                 f8[n, c]                       scratch
    t_2                 f8[n, c]                       scratch
    h_1                 f8[n, c]                       scratch
    h_2                 f8[n, d]                       scratch
    scores              f8[n, e]                       scratch
    top                 f8[n]                          scratch
    t_3                 f8[n, e]                       scratch
    sum_1               f8[n]                          scratch
    t_4                 i8[n]                          scratch
    sum_2               f8[b, tile]                    scratch
    sum_3               f8[c, tile]                    scratch
    sum_4               f8[d, tile]                    scratch
    sum_5               f8[e, tile]                    scratch
    top_1               f8[tile]                       scratch
    sum_6               f8[tile]                       scratch
    sum_parts           f8[16*chunks + chunks*tile]    scratch
    layers_bar_parts    f8[16*chunks + chunks*e]       scratch
    layers_bar_parts_1  f8[16*chunks + chunks*d*e]     scratch
    layers_bar_parts_2  f8[16*chunks + chunks*d]       scratch
    layers_bar_parts_3  f8[c*chunks*d + 16*chunks]     scratch
    layers_bar_parts_4  f8[c*chunks + 16*chunks]       scratch
    layers_bar_parts_5  f8[b*c*chunks + 16*chunks]     scratch
    layers_bar_parts_6  f8[b*chunks + 16*chunks]       scratch
    layers_bar_parts_7  f8[a*b*chunks + 16*chunks]     scratch
    sum_parts_1         f8[chunks, 16]                 scratch
    h_tile              f8[16*chunks + chunks*d*tile]  scratch
    h_tile_1            f8[c*chunks*tile + 16*chunks]  scratch
    h_tile_2            f8[b*chunks*tile + 16*chunks]  scratch
    t_5                 f8[16*chunks + chunks*tile]    scratch
    sum_7               f8[16*chunks + chunks*tile]    scratch
    sum_8               f8[16*chunks + chunks*tile]    scratch
    scores_bar          f8[16*chunks + chunks*e*tile]  scratch
    t_6                 f8[16*chunks + chunks*e*tile]  scratch
    t_7                 f8[16*chunks + chunks*e*tile]  scratch
    scores_bar_1        f8[16*chunks + chunks*e*tile]  scratch
    h_bar               f8[16*chunks + chunks*d*tile]  scratch
    t_8                 f8[16*chunks + chunks*d*tile]  scratch
    h_bar_1             f8[c*chunks*tile + 16*chunks]  scratch
    h_bar_2             f8[b*chunks*tile + 16*chunks]  scratch
    report              i8[0]                          result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 1 with size e (line 37)
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm


def loss_value_and_grad_part(begin, end, worker, c, chunks, t_1, lane, start, sum_3, tile, layers_3, t_2, h_1):
    for chunk in range(begin, end):
        first = c * chunk // chunks
        last = (c + c * chunk) // chunks
        for turn in range(last - first):
            j_1 = first + turn
            t_1[(lane + start) * c + j_1] = sum_3[j_1 * tile + lane] + layers_3[j_1]
            t_10 = t_1[(lane + start) * c + j_1]
            t_2[(lane + start) * c + j_1] = math.expm1(t_10 if (t_10 < 0.0) | (t_10 != t_10) else 0.0)
            t_11 = t_1[(lane + start) * c + j_1]
            t_12 = t_11 > 0.0
            t_13 = t_2[(lane + start) * c + j_1]
            h_1[(lane + start) * c + j_1] = t_11 if t_12 else t_13
    return 0


def loss_value_and_grad_part_1(begin, end, worker, d, chunks_1, lanes, h_2, start, sum_4, tile, layers_5):
    for chunk in range(begin, end):
        first_1 = chunk * d // chunks_1
        last_1 = (chunk * d + d) // chunks_1
        for turn in range(last_1 - first_1):
            j_2 = first_1 + turn
            for lane in range(lanes):
                h_2[(lane + start) * d + j_2] = math.tanh(sum_4[j_2 * tile + lane] + layers_5[j_2])
    return 0


def loss_value_and_grad_part_2(begin, end, worker, e, chunks_2, tile, sum_parts, t_3, lane, start, scores, top):
    for chunk in range(begin, end):
        first_2 = chunk * e // chunks_2
        last_2 = (chunk * e + e) // chunks_2
        at = 16 * chunk + chunk * tile
        for i in range(tile * min(1, chunks_2 - 1)):
            sum_parts[at + i] = 0.0
        for turn in range(last_2 - first_2):
            j_3 = first_2 + turn
            t_3[(lane + start) * e + j_3] = math.exp(scores[(lane + start) * e + j_3] - top[lane + start])
            sum_parts[at + lane] += t_3[(lane + start) * e + j_3]
    return 0


def loss_value_and_grad_part_3(begin, end, worker, n, tile_1, chunks_3, d, c, b, a, e, layers_bar_parts, layers_bar_parts_1, layers_bar_parts_2, layers_bar_parts_3, layers_bar_parts_4, layers_bar_parts_5, layers_bar_parts_6, layers_bar_parts_7, h_tile, h_2, h_tile_1, h_1, h_tile_2, h, top, sum_1, scores, t_4, t_5, t_21, sum_7, sum_8, scores_bar, t_6, t_3, t_7, t_22, scores_bar_1, h_bar, layers_6, t_8, h_bar_1, layers_4, t_1, t_2, h_bar_2, layers_2, t, X, sum_parts_1):
    for chunk in range(begin, end):
        first_3 = chunk * ((n + tile_1 - 1) // tile_1) // chunks_3
        last_3 = (chunk * ((n + tile_1 - 1) // tile_1) + (n + tile_1 - 1) // tile_1) // chunks_3
        at_1 = 16 * chunk + chunk * d * tile_1
        at_2 = c * chunk * tile_1 + 16 * chunk
        at_3 = b * chunk * tile_1 + 16 * chunk
        at_4 = a * chunk * tile_1 + 16 * chunk
        at_5 = 16 * chunk + chunk * tile_1
        at_6 = 16 * chunk + chunk * e * tile_1
        at_7 = 16 * chunk + chunk * e
        at_8 = 16 * chunk + chunk * d * e
        at_9 = 16 * chunk + chunk * d
        at_10 = c * chunk * d + 16 * chunk
        at_11 = c * chunk + 16 * chunk
        at_12 = b * c * chunk + 16 * chunk
        at_13 = b * chunk + 16 * chunk
        at_14 = a * b * chunk + 16 * chunk
        sum_10 = 0.0
        for i in range(e * min(1, chunks_3 - 1)):
            layers_bar_parts[at_7 + i] = 0.0
        for i in range(d * e * min(1, chunks_3 - 1)):
            layers_bar_parts_1[at_8 + i] = 0.0
        for i in range(d * min(1, chunks_3 - 1)):
            layers_bar_parts_2[at_9 + i] = 0.0
        for i in range(c * d * min(1, chunks_3 - 1)):
            layers_bar_parts_3[at_10 + i] = 0.0
        for i in range(c * min(1, chunks_3 - 1)):
            layers_bar_parts_4[at_11 + i] = 0.0
        for i in range(b * c * min(1, chunks_3 - 1)):
            layers_bar_parts_5[at_12 + i] = 0.0
        for i in range(b * min(1, chunks_3 - 1)):
            layers_bar_parts_6[at_13 + i] = 0.0
        for i in range(a * b * min(1, chunks_3 - 1)):
            layers_bar_parts_7[at_14 + i] = 0.0
        for turn in range(last_3 - first_3):
            block_1 = first_3 + turn
            start_1 = block_1 * tile_1
            lanes_1 = min(tile_1, n - start_1)
            for lane in range(lanes_1):
                for i in range(d):
                    h_tile[at_1 + i * tile_1 + lane] = h_2[(lane + start_1) * d + i]
            for lane in range(lanes_1):
                for i in range(c):
                    h_tile_1[at_2 + i * tile_1 + lane] = h_1[(lane + start_1) * c + i]
            for lane in range(lanes_1):
                for i in range(b):
                    h_tile_2[at_3 + i * tile_1 + lane] = h[(lane + start_1) * b + i]
            for lane in range(lanes_1):
                sum_10 += top[lane + start_1] + math.log(sum_1[lane + start_1]) - scores[(lane + start_1) * e + t_4[lane + start_1]]
                t_5[at_5 + lane] = t_21 / sum_1[lane + start_1]
                sum_7[at_5 + lane] = 0.0
                sum_8[at_5 + lane] = 0.0
            for j in range(e):
                for lane in range(lanes_1):
                    scores_bar[at_6 + j * tile_1 + lane] = 0.0
                    t_6[at_6 + j * tile_1 + lane] = t_5[at_5 + lane] * t_3[(lane + start_1) * e + j]
                    sum_7[at_5 + lane] += -t_6[at_6 + j * tile_1 + lane]
                    t_7[at_6 + j * tile_1 + lane] = np.float64(scores[(lane + start_1) * e + j] == top[lane + start_1])
                    sum_8[at_5 + lane] += t_7[at_6 + j * tile_1 + lane]
            for lane in range(lanes_1):
                scores_bar[t_4[lane + start_1] * tile_1 + at_6 + lane] += t_22
                t_5[at_5 + lane] = sum_7[at_5 + lane]
            # top = np.max(scores, axis=1)
            for j in range(e):
                layers_bar_8 = 0.0
                for lane in range(lanes_1):
                    scores_bar_1[at_6 + j * tile_1 + lane] = scores_bar[at_6 + j * tile_1 + lane] + t_6[at_6 + j * tile_1 + lane] + (t_21 + t_5[at_5 + lane]) * (t_7[at_6 + j * tile_1 + lane] / sum_8[at_5 + lane])
                    layers_bar_8 += scores_bar_1[at_6 + j * tile_1 + lane]
                layers_bar_parts[at_7 + j] += layers_bar_8
            # scores = h @ W + b
            for j in range(d):
                for lane in range(lanes_1):
                    h_bar[at_1 + j * tile_1 + lane] = 0.0
            blocks_4 = max(1, min(8, d * lanes_1 * e // 2097152))
            run_product(blocks_4, blocks_4, 0, 0, d, lanes_1, e, layers_6, 0, e, scores_bar_1, at_6, tile_1, h_bar, at_1, tile_1)
            blocks_5 = max(1, min(8, d * e * lanes_1 // 2097152))
            run_product(blocks_5, blocks_5, 0, 1, d, e, lanes_1, h_tile, at_1, tile_1, scores_bar_1, at_6, tile_1, layers_bar_parts_1, at_8, e)
            # h = activation(h @ W + b)
            for j in range(d):
                layers_bar_9 = 0.0
                for lane in range(lanes_1):
                    t_8[at_1 + j * tile_1 + lane] = h_bar[at_1 + j * tile_1 + lane] * (1.0 - h_tile[at_1 + j * tile_1 + lane] ** 2)
                    layers_bar_9 += t_8[at_1 + j * tile_1 + lane]
                layers_bar_parts_2[at_9 + j] += layers_bar_9
            for j in range(c):
                for lane in range(lanes_1):
                    h_bar_1[at_2 + j * tile_1 + lane] = 0.0
            blocks_6 = max(1, min(8, c * lanes_1 * d // 2097152))
            run_product(blocks_6, blocks_6, 0, 0, c, lanes_1, d, layers_4, 0, d, t_8, at_1, tile_1, h_bar_1, at_2, tile_1)
            blocks_7 = max(1, min(8, c * d * lanes_1 // 2097152))
            run_product(blocks_7, blocks_7, 0, 1, c, d, lanes_1, h_tile_1, at_2, tile_1, t_8, at_1, tile_1, layers_bar_parts_3, at_10, d)
            # return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))
            for j in range(c):
                layers_bar_10 = 0.0
                for lane in range(lanes_1):
                    t_23 = t_1[(lane + start_1) * c + j]
                    t_24 = t_23 > 0.0
                    t_25 = h_bar_1[at_2 + j * tile_1 + lane]
                    t_26 = (0.0 if t_24 else t_25) * (t_2[(lane + start_1) * c + j] + 1.0)
                    h_tile_1[at_2 + j * tile_1 + lane] = (t_25 if t_24 else 0.0) + (0.5 * t_26 if 0.0 == t_23 else t_26 if 0.0 > t_23 else 0.0)
                    layers_bar_10 += h_tile_1[at_2 + j * tile_1 + lane]
                layers_bar_parts_4[at_11 + j] += layers_bar_10
            # h = activation(h @ W + b)
            for j in range(b):
                for lane in range(lanes_1):
                    h_bar_2[at_3 + j * tile_1 + lane] = 0.0
            blocks_8 = max(1, min(8, b * lanes_1 * c // 2097152))
            run_product(blocks_8, blocks_8, 0, 0, b, lanes_1, c, layers_2, 0, c, h_tile_1, at_2, tile_1, h_bar_2, at_3, tile_1)
            blocks_9 = max(1, min(8, b * c * lanes_1 // 2097152))
            run_product(blocks_9, blocks_9, 0, 1, b, c, lanes_1, h_tile_2, at_3, tile_1, h_tile_1, at_2, tile_1, layers_bar_parts_5, at_12, c)
            # return np.maximum(x, 0.0)
            for j in range(b):
                layers_bar_11 = 0.0
                for lane in range(lanes_1):
                    t_27 = h_bar_2[at_3 + j * tile_1 + lane]
                    t_28 = t[(lane + start_1) * b + j]
                    h_tile_2[at_3 + j * tile_1 + lane] = 0.5 * t_27 if t_28 == 0.0 else t_27 if t_28 > 0.0 else 0.0
                    layers_bar_11 += h_tile_2[at_3 + j * tile_1 + lane]
                layers_bar_parts_6[at_13 + j] += layers_bar_11
            # h = activation(h @ W + b)
            blocks_10 = max(1, min(8, a * b * lanes_1 // 2097152))
            run_product(blocks_10, blocks_10, 1, 1, a, b, lanes_1, X, a * start_1, a, h_tile_2, at_3, tile_1, layers_bar_parts_7, at_14, b)
        sum_parts_1[chunk * 16] = sum_10
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


def loss_value_and_grad(layers, layers_1, layers_2, layers_3, layers_4, layers_5, layers_6, layers_7, X, labels, a, b, c, d, e, n, out, layers_bar, layers_bar_1, layers_bar_2, layers_bar_3, layers_bar_4, layers_bar_5, layers_bar_6, layers_bar_7, t, h, t_1, t_2, h_1, h_2, scores, top, t_3, sum_1, t_4, sum_2, sum_3, sum_4, sum_5, top_1, sum_6, sum_parts, layers_bar_parts, layers_bar_parts_1, layers_bar_parts_2, layers_bar_parts_3, layers_bar_parts_4, layers_bar_parts_5, layers_bar_parts_6, layers_bar_parts_7, sum_parts_1, h_tile, h_tile_1, h_tile_2, t_5, sum_7, sum_8, scores_bar, t_6, t_7, scores_bar_1, h_bar, t_8, h_bar_1, h_bar_2, report):
    # return np.mean(logsum - scores[np.arange(len(labels)), labels])
    all_1 = True
    tile = max(8, min(128, 8 * (max(32768 // (8 * a + 8 * b + 8 * c + 8 * d + 8 * e + 16), min(64, 2097152 // (8 * a + 8 * b + 8 * c + 8 * d + 8 * e + 16))) // 8)))
    # h = activation(h @ W + b)
    for block in range((n + tile - 1) // tile):
        start = block * tile
        lanes = min(tile, n - start)
        for j in range(b):
            for lane in range(lanes):
                sum_2[j * tile + lane] = 0.0
        blocks = max(1, min(8, b * lanes * a // 2097152))
        run_product(blocks, blocks, 1, 1, b, lanes, a, layers, 0, b, X, a * start, a, sum_2, 0, tile)
        for lane in range(lanes):
            for j in range(b):
                t[(lane + start) * b + j] = sum_2[j * tile + lane] + layers_1[j]
                t_9 = t[(lane + start) * b + j]
                h[(lane + start) * b + j] = t_9 if (t_9 > 0.0) | (t_9 != t_9) else 0.0
        for j in range(c):
            for lane in range(lanes):
                sum_3[j * tile + lane] = 0.0
        blocks_1 = max(1, min(8, c * lanes * b // 2097152))
        run_product(blocks_1, blocks_1, 1, 1, c, lanes, b, layers_2, 0, c, h, b * start, b, sum_3, 0, tile)
        for lane in range(lanes):
            chunks = max(1, min(c, 2 * min(8, 20 * c // 262144)))
            code = run_loss_value_and_grad_part(chunks, c, chunks, t_1, lane, start, sum_3, tile, layers_3, t_2, h_1)
            if code != 0:
                return code
        for j in range(d):
            for lane in range(lanes):
                sum_4[j * tile + lane] = 0.0
        blocks_2 = max(1, min(8, d * lanes * c // 2097152))
        run_product(blocks_2, blocks_2, 1, 1, d, lanes, c, layers_4, 0, d, h_1, c * start, c, sum_4, 0, tile)
        chunks_1 = max(1, min(d, 2 * min(8, 12 * d * lanes // 262144)))
        code_1 = run_loss_value_and_grad_part_1(chunks_1, d, chunks_1, lanes, h_2, start, sum_4, tile, layers_5)
        if code_1 != 0:
            return code_1
        # scores = h @ W + b
        for j in range(e):
            for lane in range(lanes):
                sum_5[j * tile + lane] = 0.0
        blocks_3 = max(1, min(8, e * lanes * d // 2097152))
        run_product(blocks_3, blocks_3, 1, 1, e, lanes, d, layers_6, 0, e, h_2, d * start, d, sum_5, 0, tile)
        for lane in range(lanes):
            top_1[lane] = -math.inf
        for lane in range(lanes):
            for j in range(e):
                scores[(lane + start) * e + j] = sum_5[j * tile + lane] + layers_7[j]
                t_14 = scores[(lane + start) * e + j]
                t_15 = top_1[lane]
                top_1[lane] = t_14 if (t_14 > t_15) | (t_14 != t_14) else t_15
        for lane in range(lanes):
            top[lane + start] = top_1[lane]
            sum_6[lane] = 0.0
        # logsum = top + np.log(np.sum(np.exp(scores - top[:, None]), axis=1))
        for lane in range(lanes):
            chunks_2 = max(1, min(e, 2 * min(max(2, min(8, 2097152 // (8 * tile))), 14 * e // (2 * max(131072, 32 * tile)))))
            if chunks_2 == 1:
                code_2 = run_loss_value_and_grad_part_2(1, e, chunks_2, tile, sum_6, t_3, lane, start, scores, top)
            else:
                code_2 = run_loss_value_and_grad_part_2(chunks_2, e, chunks_2, tile, sum_parts, t_3, lane, start, scores, top)
            if code_2 != 0:
                return code_2
            for chunk in range(chunks_2):
                for i in range(tile * min(1, chunks_2 - 1)):
                    sum_6[i] += sum_parts[16 * chunk + chunk * tile + i]
        for lane in range(lanes):
            sum_1[lane + start] = sum_6[lane]
            t_16 = labels[lane + start]
            t_17 = t_16 < 0
            t_18 = t_16 + e
            t_4[lane + start] = t_18 if t_17 else t_16
            t_19 = t_4[lane + start]
            all_1 = all_1 & ((t_19 >= 0) & (t_19 < e))
    # return np.mean(logsum - scores[np.arange(len(labels)), labels])
    if not all_1:
        return 1
    sum_9 = 0.0
    t_20 = np.float64(n)
    t_21 = 1.0 / t_20
    t_22 = -t_21
    # scores = h @ W + b
    for i in range(e):
        layers_bar_7[i] = 0.0
    for i in range(d):
        for j in range(e):
            layers_bar_6[i * e + j] = 0.0
        layers_bar_5[i] = 0.0
    # h = activation(h @ W + b)
    for i in range(c):
        for j in range(d):
            layers_bar_4[i * d + j] = 0.0
        layers_bar_3[i] = 0.0
    for i in range(b):
        for j in range(c):
            layers_bar_2[i * c + j] = 0.0
        layers_bar_1[i] = 0.0
    for i in range(a):
        for j in range(b):
            layers_bar[i * b + j] = 0.0
    tile_1 = max(8, min(128, 8 * (max(32768 // (8 * a + 24 * b + 24 * c + 24 * d + 32 * e + 32), min(64, 2097152 // (8 * a + 24 * b + 24 * c + 24 * d + 32 * e + 32))) // 8)))
    # return np.mean(logsum - scores[np.arange(len(labels)), labels])
    chunks_3 = max(1, min((n + tile_1 - 1) // tile_1, 2 * min(max(2, min(8, 2097152 // (8 * a * b + 8 * b + 8 * b * c + 8 * c + 8 * c * d + 8 * d + 8 * d * e + 8 * e))), (4 * a * b * n + 8 * b * c * n + 7 * b * n + 8 * c * d * n + 14 * c * n + 8 * d * e * n + 9 * d * n + 32 * e * n + 29 * n) // (2 * max(131072, 32 * a * b + 32 * b + 32 * b * c + 32 * c + 32 * c * d + 32 * d + 32 * d * e + 32 * e)))))
    if chunks_3 == 1:
        code_3 = run_loss_value_and_grad_part_3(1, n, tile_1, chunks_3, d, c, b, a, e, layers_bar_7, layers_bar_6, layers_bar_5, layers_bar_4, layers_bar_3, layers_bar_2, layers_bar_1, layers_bar, h_tile, h_2, h_tile_1, h_1, h_tile_2, h, top, sum_1, scores, t_4, t_5, t_21, sum_7, sum_8, scores_bar, t_6, t_3, t_7, t_22, scores_bar_1, h_bar, layers_6, t_8, h_bar_1, layers_4, t_1, t_2, h_bar_2, layers_2, t, X, sum_parts_1)
    else:
        code_3 = run_loss_value_and_grad_part_3(chunks_3, n, tile_1, chunks_3, d, c, b, a, e, layers_bar_parts, layers_bar_parts_1, layers_bar_parts_2, layers_bar_parts_3, layers_bar_parts_4, layers_bar_parts_5, layers_bar_parts_6, layers_bar_parts_7, h_tile, h_2, h_tile_1, h_1, h_tile_2, h, top, sum_1, scores, t_4, t_5, t_21, sum_7, sum_8, scores_bar, t_6, t_3, t_7, t_22, scores_bar_1, h_bar, layers_6, t_8, h_bar_1, layers_4, t_1, t_2, h_bar_2, layers_2, t, X, sum_parts_1)
    if code_3 != 0:
        return code_3
    # return np.mean(logsum - scores[np.arange(len(labels)), labels])
    for chunk in range(chunks_3):
        sum_9 += sum_parts_1[chunk * 16]
        for i in range(e * min(1, chunks_3 - 1)):
            layers_bar_7[i] += layers_bar_parts[16 * chunk + chunk * e + i]
        for i in range(d * e * min(1, chunks_3 - 1)):
            layers_bar_6[i] += layers_bar_parts_1[16 * chunk + chunk * d * e + i]
        for i in range(d * min(1, chunks_3 - 1)):
            layers_bar_5[i] += layers_bar_parts_2[16 * chunk + chunk * d + i]
        for i in range(c * d * min(1, chunks_3 - 1)):
            layers_bar_4[i] += layers_bar_parts_3[c * chunk * d + 16 * chunk + i]
        for i in range(c * min(1, chunks_3 - 1)):
            layers_bar_3[i] += layers_bar_parts_4[c * chunk + 16 * chunk + i]
        for i in range(b * c * min(1, chunks_3 - 1)):
            layers_bar_2[i] += layers_bar_parts_5[b * c * chunk + 16 * chunk + i]
        for i in range(b * min(1, chunks_3 - 1)):
            layers_bar_1[i] += layers_bar_parts_6[b * chunk + 16 * chunk + i]
        for i in range(a * b * min(1, chunks_3 - 1)):
            layers_bar[i] += layers_bar_parts_7[a * b * chunk + 16 * chunk + i]
    out[0] = sum_9 / t_20
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


def run_product(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = product(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
