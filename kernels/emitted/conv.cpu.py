"""kernels/conv.py: value and gradient by filters, bias and out: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    filters         f8[k, l, c, m]                                                                                                                                                                         input
    bias            f8[m]                                                                                                                                                                                  input
    out             f8[m]                                                                                                                                                                                  input
    images          f8[n, h, w, c]                                                                                                                                                                         input
    y               f8[n]                                                                                                                                                                                  input
    k               i8                                                                                                                                                                                     size
    l               i8                                                                                                                                                                                     size
    c               i8                                                                                                                                                                                     size
    m               i8                                                                                                                                                                                     size
    n               i8                                                                                                                                                                                     size
    h               i8                                                                                                                                                                                     size
    w               i8                                                                                                                                                                                     size
    out_1           f8                                                                                                                                                                                     result
    filters_bar     f8[k, l, c, m]                                                                                                                                                                         result
    bias_bar        f8[m]                                                                                                                                                                                  result
    out_bar         f8[m]                                                                                                                                                                                  result
    out_2           f8[n, h - k + 1, -l + w + 1, m]                                                                                                                                                        scratch
    out_bar_parts   f8[16*chunks + chunks*m]                                                                                                                                                               scratch
    bias_bar_parts  f8[16*chunks + chunks*m]                                                                                                                                                               scratch
    out_bar_1       f8[n, h - k + 1, -l + w + 1, m]                                                                                                                                                        scratch
    sum_parts       f8[chunks, 16]                                                                                                                                                                         scratch
    sum_1           f8[16*chunks + chunks*m*tile]                                                                                                                                                          scratch
    t               f8[16*chunks - chunks*h*l*m*tile + chunks*h*m*tile + chunks*h*m*tile*w + chunks*k*l*m*tile - chunks*k*m*tile - chunks*k*m*tile*w - chunks*l*m*tile + chunks*m*tile + chunks*m*tile*w]  scratch
    sum_2           f8[16*chunks + chunks*tile]                                                                                                                                                            scratch
    pooled          f8[16*chunks + chunks*m*tile]                                                                                                                                                          scratch
    t_1             f8[16*chunks + chunks*tile]                                                                                                                                                            scratch
    sum_3           f8[c*chunks*m*tile + 16*chunks]                                                                                                                                                        scratch
    report          i8[0]                                                                                                                                                                                  result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm
from adc.ops.routines_products import product_blocks


def loss_value_and_grad_part(begin, end, worker, n, tile, chunks, m, w, l, h, k, out_bar_parts, bias_bar_parts, sum_1, t, out_2, bias, sum_2, pooled, t_2, out, y, t_1, t_4, t_5, out_bar_1, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((n + tile - 1) // tile) // chunks
        last = (chunk + 1) * ((n + tile - 1) // tile) // chunks
        at = (m * tile + 16) * chunk
        at_1 = (((w + 1 - l) * h + k * l + w + 1 - k - k * w - l) * tile * m + 16) * chunk
        at_2 = (tile + 16) * chunk
        at_3 = (m + 16) * chunk
        sum_5 = 0.0
        for i in range(m * min(1, chunks - 1)):
            out_bar_parts[at_3 + i] = 0.0
        for i in range(m * min(1, chunks - 1)):
            bias_bar_parts[at_3 + i] = 0.0
        for turn in range(last - first):
            block = first + turn
            start = block * tile
            lanes = min(tile, n - start)
            # pooled = np.mean(maps, axis=(1, 2))
            for j in range(m):
                for lane in range(lanes):
                    sum_1[at + j * tile + lane] = 0.0
            # return out + bias
            for j in range(h + 1 - k):
                for k_1 in range(w + 1 - l):
                    for l_1 in range(m):
                        t_row = (((w + 1 - l) * j + k_1) * m + l_1) * tile + at_1
                        for lane in range(lanes):
                            t[t_row + lane] = out_2[(((lane + start) * (h + 1 - k) + j) * (w + 1 - l) + k_1) * m + l_1] + bias[l_1]
                            t_6 = t[t_row + lane]
                            sum_1[at + l_1 * tile + lane] += t_6 if (t_6 > 0.0) | (t_6 != t_6) else 0.0
            for lane in range(lanes):
                sum_2[at_2 + lane] = 0.0
            # pooled = np.mean(maps, axis=(1, 2))
            for j in range(m):
                base = at + j * tile
                for lane in range(lanes):
                    pooled[base + lane] = sum_1[base + lane] / t_2
                    sum_2[at_2 + lane] += pooled[base + lane] * out[j]
            for lane in range(lanes):
                t_7 = sum_2[at_2 + lane] - y[lane + start]
                sum_5 += t_7 * t_7
                t_1[at_2 + lane] = t_4 * (2.0 * t_7)
            # return np.mean((pooled @ out - y) ** 2)
            for i in range(m):
                out_bar_2 = 0.0
                base_1 = at + i * tile
                for lane in range(lanes):
                    out_bar_2 += t_1[at_2 + lane] * pooled[base_1 + lane]
                    sum_1[base_1 + lane] = t_1[at_2 + lane] * out[i] * t_5
                out_bar_parts[at_3 + i] += out_bar_2
            # maps = np.maximum(conv(images, filters, bias), 0.0)
            for j in range(h + 1 - k):
                for k_1 in range(w + 1 - l):
                    for l_1 in range(m):
                        bias_bar_1 = 0.0
                        for lane in range(lanes):
                            out_bar_row = (((lane + start) * (h + 1 - k) + j) * (w + 1 - l) + k_1) * m + l_1
                            t_8 = sum_1[at + l_1 * tile + lane]
                            t_9 = t[(((w + 1 - l) * j + k_1) * m + l_1) * tile + at_1 + lane]
                            out_bar_1[out_bar_row] = 0.5 * t_8 if t_9 == 0.0 else t_8 if t_9 > 0.0 else 0.0
                            bias_bar_1 += out_bar_1[out_bar_row]
                        bias_bar_parts[at_3 + l_1] += bias_bar_1
        sum_parts[chunk * 16] = sum_5
    return 0


def loss_value_and_grad_part_1(begin, end, worker, k, tile_1, chunks_1, c, m, l, filters_bar, sum_3, n, h, w, out_bar_1, images):
    for chunk in range(begin, end):
        first_1 = chunk * ((k + tile_1 - 1) // tile_1) // chunks_1
        last_1 = (chunk + 1) * ((k + tile_1 - 1) // tile_1) // chunks_1
        at_4 = (c * m * tile_1 + 16) * chunk
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = block_1 * tile_1
            lanes_1 = min(tile_1, k - start_1)
            for j in range(l):
                for k_1 in range(c):
                    for l_1 in range(m):
                        for lane in range(lanes_1):
                            filters_bar[(((lane + start_1) * l + j) * c + k_1) * m + l_1] = 0.0
                            sum_3[(k_1 * m + l_1) * tile_1 + at_4 + lane] = 0.0
                # out += images[:, i : i + rows, j : j + columns] @ filters[i, j]
                for k_1 in range(n):
                    for l_1 in range(h + 1 - k):
                        for m_1 in range(w + 1 - l):
                            for i in range(c):
                                for j_1 in range(m):
                                    for lane in range(lanes_1):
                                        sum_3[(i * m + j_1) * tile_1 + at_4 + lane] += out_bar_1[((k_1 * (h + 1 - k) + l_1) * (w + 1 - l) + m_1) * m + j_1] * images[((k_1 * h + l_1 + lane + start_1) * w + j + m_1) * c + i]
                for i in range(c):
                    for j_1 in range(m):
                        for lane in range(lanes_1):
                            filters_bar[(((lane + start_1) * l + j) * c + i) * m + j_1] += sum_3[(i * m + j_1) * tile_1 + at_4 + lane]
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


def loss_value_and_grad(filters, bias, out, images, y, k, l, c, m, n, h, w, out_1, filters_bar, bias_bar, out_bar, out_2, out_bar_parts, bias_bar_parts, out_bar_1, sum_parts, sum_1, t, sum_2, pooled, t_1, sum_3, report):
    # for i in range(kh):
    for i in range(n):
        for j in range(h + 1 - k):
            for k_1 in range(w + 1 - l):
                for l_1 in range(m):
                    out_2[((i * (h + 1 - k) + j) * (w + 1 - l) + k_1) * m + l_1] = 0.0
    for i in range(k):
        # for j in range(kw):
        for j in range(l):
            # out += images[:, i : i + rows, j : j + columns] @ filters[i, j]
            for i_1 in range(n):
                for j_1 in range(h + 1 - k):
                    blocks = product_blocks(w + 1 - l, m, c)
                    run_product(blocks, blocks, 0, 0, 1, w + 1 - l, m, c, images, ((h * i_1 + i + j_1) * w + j) * c, c, filters, (i * l + j) * m * c, m, out_2, (((w + 1 - l) * h + k * l + w + 1 - k - k * w - l) * i_1 + j_1 + j_1 * w - j_1 * l) * m, m)
    # pooled = np.mean(maps, axis=(1, 2))
    t_2 = np.float64((w + 1 - l) * h + k * l + w + 1 - k - k * w - l)
    # return np.mean((pooled @ out - y) ** 2)
    sum_4 = 0.0
    t_3 = np.float64(n)
    t_4 = 1.0 / t_3
    for i in range(m):
        out_bar[i] = 0.0
        bias_bar[i] = 0.0
    # pooled = np.mean(maps, axis=(1, 2))
    t_5 = 1.0 / t_2
    tile = max(8, min(128, 8 * (max(32768 // (((8 * w + 8 - 8 * l) * h + 8 * k * l + 8 * w + 32 - 8 * k - 8 * k * w - 8 * l) * m + 16), min(64, 2097152 // (((8 * w + 8 - 8 * l) * h + 8 * k * l + 8 * w + 32 - 8 * k - 8 * k * w - 8 * l) * m + 16))) // 8)))
    # return out + bias
    chunks = max(1, min((n + tile - 1) // tile, 2 * min(max(2, min(8, 2097152 // (16 * m))), (((13 * w + 13 - 13 * l) * h + 13 * k * l + 13 * w + 35 - 13 * k - 13 * k * w - 13 * l) * m + 9) * n // (2 * max(131072, 64 * m)))))
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, n, tile, chunks, m, w, l, h, k, out_bar, bias_bar, sum_1, t, out_2, bias, sum_2, pooled, t_2, out, y, t_1, t_4, t_5, out_bar_1, sum_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, n, tile, chunks, m, w, l, h, k, out_bar_parts, bias_bar_parts, sum_1, t, out_2, bias, sum_2, pooled, t_2, out, y, t_1, t_4, t_5, out_bar_1, sum_parts)
    if code != 0:
        return code
    # return out + bias
    for chunk in range(chunks):
        sum_4 += sum_parts[chunk * 16]
        base_2 = (m + 16) * chunk
        for i in range(m * min(1, chunks - 1)):
            out_bar[i] += out_bar_parts[base_2 + i]
        for i in range(m * min(1, chunks - 1)):
            bias_bar[i] += bias_bar_parts[base_2 + i]
    tile_1 = max(8, min(128, 8 * (max(32768 // (8 * c * m), min(64, 2097152 // (8 * c * m))) // 8)))
    # for i in range(kh):
    chunks_1 = max(1, min((k + tile_1 - 1) // tile_1, 2 * min(8, (((4 * w + 4 - 4 * l) * h + 4 * k * l + 4 * w + 4 - 4 * k - 4 * k * w - 4 * l) * n + 4) * m * l * k * c // 262144)))
    code_1 = run_loss_value_and_grad_part_1(chunks_1, k, tile_1, chunks_1, c, m, l, filters_bar, sum_3, n, h, w, out_bar_1, images)
    if code_1 != 0:
        return code_1
    out_1[0] = sum_4 / t_3
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
