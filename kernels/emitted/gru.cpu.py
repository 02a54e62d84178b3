"""kernels/gru.py: value and gradient by params: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    Uh             f8[h, h]                         input
    Ur             f8[h, h]                         input
    Uz             f8[h, h]                         input
    Wh             f8[d, h]                         input
    Wr             f8[d, h]                         input
    Wz             f8[d, h]                         input
    bh             f8[h]                            input
    br             f8[h]                            input
    bz             f8[h]                            input
    out            f8[h]                            input
    xs             f8[t, n, d]                      input
    y              f8[n]                            input
    h              i8                               size
    d              i8                               size
    t              i8                               size
    n              i8                               size
    out_1          f8                               result
    Uh_bar         f8[h, h]                         result
    Ur_bar         f8[h, h]                         result
    Uz_bar         f8[h, h]                         result
    Wh_bar         f8[d, h]                         result
    Wr_bar         f8[d, h]                         result
    Wz_bar         f8[d, h]                         result
    bh_bar         f8[h]                            result
    br_bar         f8[h]                            result
    bz_bar         f8[h]                            result
    out_bar        f8[h]                            result
    out_bar_parts  f8[16*chunks + chunks*h]         scratch
    bh_bar_parts   f8[16*chunks + chunks*h]         scratch
    br_bar_parts   f8[16*chunks + chunks*h]         scratch
    bz_bar_parts   f8[16*chunks + chunks*h]         scratch
    Uh_bar_parts   f8[16*chunks + chunks*h*h]       scratch
    Wh_bar_parts   f8[16*chunks + chunks*d*h]       scratch
    Ur_bar_parts   f8[16*chunks + chunks*h*h]       scratch
    Wr_bar_parts   f8[16*chunks + chunks*d*h]       scratch
    Uz_bar_parts   f8[16*chunks + chunks*h*h]       scratch
    Wz_bar_parts   f8[16*chunks + chunks*d*h]       scratch
    sum_parts      f8[chunks, 16]                   scratch
    h_1            f8[16*chunks + chunks*h*tile]    scratch
    h_saved        f8[16*chunks + chunks*h*t*tile]  scratch
    saved          f8[16*chunks + chunks*h*t*tile]  scratch
    saved_1        f8[16*chunks + chunks*h*t*tile]  scratch
    new_saved      f8[16*chunks + chunks*h*t*tile]  scratch
    sum_1          f8[16*chunks + chunks*h*tile]    scratch
    sum_2          f8[16*chunks + chunks*h*tile]    scratch
    t_1            f8[16*chunks + chunks*h*tile]    scratch
    z              f8[16*chunks + chunks*h*tile]    scratch
    t_2            f8[16*chunks + chunks*h*tile]    scratch
    t_3            f8[16*chunks + chunks*h*tile]    scratch
    sum_3          f8[16*chunks + chunks*tile]      scratch
    t_4            f8[16*chunks + chunks*tile]      scratch
    report         i8[0]                            result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm
from adc.ops.routines_products import product_blocks


def loss_value_and_grad_part(begin, end, worker, n, tile, chunks, h, t, d, out_bar_parts, bh_bar_parts, br_bar_parts, bz_bar_parts, Uh_bar_parts, Wh_bar_parts, Ur_bar_parts, Wr_bar_parts, Uz_bar_parts, Wz_bar_parts, h_1, Wz, xs, sum_1, Uz, sum_2, t_1, bz, z, Wr, Ur, t_2, br, t_3, Wh, Uh, bh, h_saved, saved, saved_1, new_saved, sum_3, out, y, t_4, t_6, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((n + tile - 1) // tile) // chunks
        last = (chunk + 1) * ((n + tile - 1) // tile) // chunks
        at = (h * tile + 16) * chunk
        at_1 = (h * t * tile + 16) * chunk
        at_2 = (tile + 16) * chunk
        at_3 = (h + 16) * chunk
        at_4 = (h * h + 16) * chunk
        at_5 = (d * h + 16) * chunk
        sum_5 = 0.0
        for i in range(h * min(1, chunks - 1)):
            out_bar_parts[at_3 + i] = 0.0
        for i in range(h * min(1, chunks - 1)):
            bh_bar_parts[at_3 + i] = 0.0
        for i in range(h * min(1, chunks - 1)):
            br_bar_parts[at_3 + i] = 0.0
        for i in range(h * min(1, chunks - 1)):
            bz_bar_parts[at_3 + i] = 0.0
        if (last - first) * t == 0:
            for i in range(h * h):
                Uh_bar_parts[at_4 + i] = 0.0
            for i in range(d * h):
                Wh_bar_parts[at_5 + i] = 0.0
            for i in range(h * h):
                Ur_bar_parts[at_4 + i] = 0.0
            for i in range(d * h):
                Wr_bar_parts[at_5 + i] = 0.0
            for i in range(h * h):
                Uz_bar_parts[at_4 + i] = 0.0
            for i in range(d * h):
                Wz_bar_parts[at_5 + i] = 0.0
        for turn in range(last - first):
            block = first + turn
            start = block * tile
            lanes = min(tile, n - start)
            for j in range(h):
                for lane in range(lanes):
                    h_1[at + j * tile + lane] = 0.0
            for x in range(t):
                # z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
                blocks = product_blocks(h, lanes, d)
                run_product(blocks, blocks, 1, 1, 0, h, lanes, d, Wz, 0, h, xs, (n * x + start) * d, d, sum_1, at, tile)
                blocks_1 = product_blocks(h, lanes, h)
                run_product(blocks_1, blocks_1, 1, 0, 0, h, lanes, h, Uz, 0, h, h_1, at, tile, sum_2, at, tile)
                # return 1.0 / (1.0 + np.exp(-x))
                for j in range(h):
                    base = at + j * tile
                    for lane in range(lanes):
                        t_1[base + lane] = -(sum_1[base + lane] + sum_2[base + lane] + bz[j])
                        z[base + lane] = 1.0 / (1.0 + math.exp(t_1[base + lane]))
                # r = sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"])
                blocks_2 = product_blocks(h, lanes, d)
                run_product(blocks_2, blocks_2, 1, 1, 0, h, lanes, d, Wr, 0, h, xs, (n * x + start) * d, d, sum_1, at, tile)
                blocks_3 = product_blocks(h, lanes, h)
                run_product(blocks_3, blocks_3, 1, 0, 0, h, lanes, h, Ur, 0, h, h_1, at, tile, sum_2, at, tile)
                # return 1.0 / (1.0 + np.exp(-x))
                for j in range(h):
                    base_1 = at + j * tile
                    for lane in range(lanes):
                        t_2[base_1 + lane] = -(sum_1[base_1 + lane] + sum_2[base_1 + lane] + br[j])
                        t_3[base_1 + lane] = 1.0 / (1.0 + math.exp(t_2[base_1 + lane])) * h_1[base_1 + lane]
                # new = np.tanh(x @ p["Wh"] + (r * h) @ p["Uh"] + p["bh"])
                blocks_4 = product_blocks(h, lanes, d)
                run_product(blocks_4, blocks_4, 1, 1, 0, h, lanes, d, Wh, 0, h, xs, (n * x + start) * d, d, sum_1, at, tile)
                blocks_5 = product_blocks(h, lanes, h)
                run_product(blocks_5, blocks_5, 1, 0, 0, h, lanes, h, Uh, 0, h, t_3, at, tile, sum_2, at, tile)
                for j in range(h):
                    base_2 = at + j * tile
                    base_3 = (h * x + j) * tile + at_1
                    for lane in range(lanes):
                        new = math.tanh(sum_1[base_2 + lane] + sum_2[base_2 + lane] + bh[j])
                        h_saved[base_3 + lane] = h_1[base_2 + lane]
                        saved[base_3 + lane] = t_1[base_2 + lane]
                        saved_1[base_3 + lane] = t_2[base_2 + lane]
                        new_saved[base_3 + lane] = new
                        t_7 = z[base_2 + lane]
                        h_1[base_2 + lane] = (1.0 - t_7) * h_1[base_2 + lane] + t_7 * new
            for lane in range(lanes):
                sum_3[at_2 + lane] = 0.0
            # return np.mean((h @ p["out"] - y) ** 2)
            for j in range(h):
                for lane in range(lanes):
                    sum_3[at_2 + lane] += h_1[at + j * tile + lane] * out[j]
            for lane in range(lanes):
                t_8 = sum_3[at_2 + lane] - y[lane + start]
                sum_5 += t_8 * t_8
                t_4[at_2 + lane] = t_6 * (2.0 * t_8)
            for i in range(h):
                out_bar_1 = 0.0
                base_4 = at + i * tile
                for lane in range(lanes):
                    out_bar_1 += t_4[at_2 + lane] * h_1[base_4 + lane]
                    sum_1[base_4 + lane] = t_4[at_2 + lane] * out[i]
                out_bar_parts[at_3 + i] += out_bar_1
            # for x in xs:
            for x in range(t - 1, -1, -1):
                # return 1.0 / (1.0 + np.exp(-x))
                for j in range(h):
                    bh_bar_1 = 0.0
                    base_5 = at + j * tile
                    base_6 = (h * x + j) * tile + at_1
                    for lane in range(lanes):
                        h_1[base_5 + lane] = 1.0 / (1.0 + math.exp(saved[base_6 + lane]))
                        sum_2[base_5 + lane] = 1.0 / (1.0 + math.exp(saved_1[base_6 + lane]))
                        t_1[base_5 + lane] = sum_2[base_5 + lane] * h_saved[base_6 + lane]
                        t_9 = new_saved[base_6 + lane]
                        z[base_5 + lane] = sum_1[base_5 + lane] * h_1[base_5 + lane] * (1.0 - t_9 * t_9)
                        bh_bar_1 += z[base_5 + lane]
                    bh_bar_parts[at_3 + j] += bh_bar_1
                # new = np.tanh(x @ p["Wh"] + (r * h) @ p["Uh"] + p["bh"])
                blocks_6 = product_blocks(h, lanes, h)
                run_product(blocks_6, blocks_6, 0, 0, 0, h, lanes, h, Uh, 0, h, z, at, tile, t_2, at, tile)
                blocks_7 = product_blocks(h, h, lanes)
                run_product(blocks_7, blocks_7, 0, 1, min(1, t + turn - x - 1), h, h, lanes, t_1, at, tile, z, at, tile, Uh_bar_parts, at_4, h)
                blocks_8 = product_blocks(d, h, lanes)
                run_product(blocks_8, blocks_8, 1, 1, min(1, t + turn - x - 1), d, h, lanes, xs, (n * x + start) * d, d, z, at, tile, Wh_bar_parts, at_5, h)
                # return 1.0 / (1.0 + np.exp(-x))
                for j in range(h):
                    br_bar_1 = 0.0
                    bz_bar_1 = 0.0
                    base_7 = at + j * tile
                    base_8 = (h * x + j) * tile + at_1
                    for lane in range(lanes):
                        t_1[base_7 + lane] = t_2[base_7 + lane] * h_saved[base_8 + lane] * (sum_2[base_7 + lane] / (1.0 + math.exp(-saved_1[base_8 + lane])))
                        br_bar_1 += t_1[base_7 + lane]
                        t_10 = sum_1[base_7 + lane]
                        z[base_7 + lane] = (t_10 * new_saved[base_8 + lane] - t_10 * h_saved[base_8 + lane]) * (h_1[base_7 + lane] / (1.0 + math.exp(-saved[base_8 + lane])))
                        bz_bar_1 += z[base_7 + lane]
                    br_bar_parts[at_3 + j] += br_bar_1
                    bz_bar_parts[at_3 + j] += bz_bar_1
                # r = sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"])
                blocks_9 = product_blocks(h, lanes, h)
                run_product(blocks_9, blocks_9, 0, 0, 0, h, lanes, h, Ur, 0, h, t_1, at, tile, t_3, at, tile)
                blocks_10 = product_blocks(h, h, lanes)
                run_product(blocks_10, blocks_10, 0, 1, min(1, t + turn - x - 1), h, h, lanes, h_saved, at_1 + h * tile * x, tile, t_1, at, tile, Ur_bar_parts, at_4, h)
                blocks_11 = product_blocks(d, h, lanes)
                run_product(blocks_11, blocks_11, 1, 1, min(1, t + turn - x - 1), d, h, lanes, xs, (n * x + start) * d, d, t_1, at, tile, Wr_bar_parts, at_5, h)
                # z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
                blocks_12 = product_blocks(h, lanes, h)
                run_product(blocks_12, blocks_12, 0, 0, 0, h, lanes, h, Uz, 0, h, z, at, tile, t_1, at, tile)
                blocks_13 = product_blocks(h, h, lanes)
                run_product(blocks_13, blocks_13, 0, 1, min(1, t + turn - x - 1), h, h, lanes, h_saved, at_1 + h * tile * x, tile, z, at, tile, Uz_bar_parts, at_4, h)
                blocks_14 = product_blocks(d, h, lanes)
                run_product(blocks_14, blocks_14, 1, 1, min(1, t + turn - x - 1), d, h, lanes, xs, (n * x + start) * d, d, z, at, tile, Wz_bar_parts, at_5, h)
                # for x in xs:
                for j in range(h):
                    base_9 = at + j * tile
                    for lane in range(lanes):
                        t_11 = sum_1[base_9 + lane] * (1.0 - h_1[base_9 + lane]) + t_2[base_9 + lane] * sum_2[base_9 + lane]
                        sum_1[base_9 + lane] = t_11 + t_3[base_9 + lane] + t_1[base_9 + lane]
        sum_parts[chunk * 16] = sum_5
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


def loss_value_and_grad(Uh, Ur, Uz, Wh, Wr, Wz, bh, br, bz, out, xs, y, h, d, t, n, out_1, Uh_bar, Ur_bar, Uz_bar, Wh_bar, Wr_bar, Wz_bar, bh_bar, br_bar, bz_bar, out_bar, out_bar_parts, bh_bar_parts, br_bar_parts, bz_bar_parts, Uh_bar_parts, Wh_bar_parts, Ur_bar_parts, Wr_bar_parts, Uz_bar_parts, Wz_bar_parts, sum_parts, h_1, h_saved, saved, saved_1, new_saved, sum_1, sum_2, t_1, z, t_2, t_3, sum_3, t_4, report):
    # return np.mean((h @ p["out"] - y) ** 2)
    sum_4 = 0.0
    t_5 = np.float64(n)
    t_6 = 1.0 / t_5
    for i in range(h):
        out_bar[i] = 0.0
        bz_bar[i] = 0.0
        br_bar[i] = 0.0
        bh_bar[i] = 0.0
    tile = max(8, min(128, 8 * (min(max(32768 // (200 * h + 16), min(64, 2097152 // (200 * h + 16))), 8 * ((n + 15) // 16)) // 8)))
    # for x in xs:
    chunks = max(1, min((n + tile - 1) // tile, 2 * min(max(2, min(8, 2097152 // ((24 * d + 24 * h + 32) * h))) * min(1, 262144 // ((24 * d + 24 * h) * h)), (((24 * d + 36 * h + 209) * t + 11) * h + 9) * n // (2 * max(131072, (96 * d + 96 * h + 128) * h)))))
    if chunks > 1:
        for i in range(h):
            for j in range(h):
                Uh_bar[i * h + j] = 0.0
        for i in range(d):
            for j in range(h):
                Wh_bar[i * h + j] = 0.0
        for i in range(h):
            for j in range(h):
                Ur_bar[i * h + j] = 0.0
        for i in range(d):
            for j in range(h):
                Wr_bar[i * h + j] = 0.0
        for i in range(h):
            for j in range(h):
                Uz_bar[i * h + j] = 0.0
        for i in range(d):
            for j in range(h):
                Wz_bar[i * h + j] = 0.0
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, n, tile, chunks, h, t, d, out_bar, bh_bar, br_bar, bz_bar, Uh_bar, Wh_bar, Ur_bar, Wr_bar, Uz_bar, Wz_bar, h_1, Wz, xs, sum_1, Uz, sum_2, t_1, bz, z, Wr, Ur, t_2, br, t_3, Wh, Uh, bh, h_saved, saved, saved_1, new_saved, sum_3, out, y, t_4, t_6, sum_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, n, tile, chunks, h, t, d, out_bar_parts, bh_bar_parts, br_bar_parts, bz_bar_parts, Uh_bar_parts, Wh_bar_parts, Ur_bar_parts, Wr_bar_parts, Uz_bar_parts, Wz_bar_parts, h_1, Wz, xs, sum_1, Uz, sum_2, t_1, bz, z, Wr, Ur, t_2, br, t_3, Wh, Uh, bh, h_saved, saved, saved_1, new_saved, sum_3, out, y, t_4, t_6, sum_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        sum_4 += sum_parts[chunk * 16]
        base_10 = (h + 16) * chunk
        for i in range(h * min(1, chunks - 1)):
            out_bar[i] += out_bar_parts[base_10 + i]
        for i in range(h * min(1, chunks - 1)):
            bh_bar[i] += bh_bar_parts[base_10 + i]
        base_11 = (h * h + 16) * chunk
        for i in range(h * h * min(1, chunks - 1)):
            Uh_bar[i] += Uh_bar_parts[base_11 + i]
        base_12 = (d * h + 16) * chunk
        for i in range(d * h * min(1, chunks - 1)):
            Wh_bar[i] += Wh_bar_parts[base_12 + i]
        for i in range(h * min(1, chunks - 1)):
            br_bar[i] += br_bar_parts[base_10 + i]
        for i in range(h * min(1, chunks - 1)):
            bz_bar[i] += bz_bar_parts[base_10 + i]
        for i in range(h * h * min(1, chunks - 1)):
            Ur_bar[i] += Ur_bar_parts[base_11 + i]
        for i in range(d * h * min(1, chunks - 1)):
            Wr_bar[i] += Wr_bar_parts[base_12 + i]
        for i in range(h * h * min(1, chunks - 1)):
            Uz_bar[i] += Uz_bar_parts[base_11 + i]
        for i in range(d * h * min(1, chunks - 1)):
            Wz_bar[i] += Wz_bar_parts[base_12 + i]
    out_1[0] = sum_4 / t_5
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
