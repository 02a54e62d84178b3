"""kernels/hand.py: value and gradient by theta: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    theta           f8[26]                    input
    parents         i8[22]                    input
    base_relative   f8[22, 4, 4]              input
    inverse_base    f8[22, 4, 4]              input
    base            f8[4, v]                  input
    weights         f8[22, v]                 input
    matches         i8[p]                     input
    points          f8[p, 3]                  input
    v               i8                        size
    p               i8                        size
    out             f8                        result
    theta_bar       f8[26]                    result
    rows            f8[25, 3]                 scratch
    positions       f8[3, v]                  scratch
    stack           f8[4]                     scratch
    absolute        f8[22, 4, 4]              scratch
    absolute_saved  f8[22, 4, 4]              scratch
    t               f8[3]                     scratch
    t_1             f8[3]                     scratch
    stack_1         f8[4]                     scratch
    stack_2         f8[4]                     scratch
    stack_3         f8[4]                     scratch
    stack_4         f8[4, 4]                  scratch
    relative        f8[4, 4]                  scratch
    moved           f8[v]                     scratch
    result          f8[3, 3]                  scratch
    stack_5         f8[3]                     scratch
    cross           f8[3, 3]                  scratch
    sum_1           f8[3, 3]                  scratch
    vertices        f8[3, v]                  scratch
    vertices_bar    f8[3, v]                  scratch
    rows_bar        f8[25, 3]                 scratch
    stack_6         f8[3]                     scratch
    sum_2           f8[3, 3]                  scratch
    t_2             f8[3, 3]                  scratch
    cross_bar       f8[3, 3]                  scratch
    sum_3           f8[3, 3]                  scratch
    sum_4           f8[3, 4]                  scratch
    moved_bar       f8[16*chunks + chunks*v]  scratch
    t_3             f8[4, 4]                  scratch
    sum_5           f8[4, 4]                  scratch
    sum_6           f8[4, 4]                  scratch
    relative_bar    f8[4, 4]                  scratch
    report          i8[0]                     result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 0 with size 22 (line 74)
    2  index out of bounds for axis 1 with size v (line 85)
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm
from adc.ops.routines_products import product_blocks


def loss_value_and_grad_part(begin, end, worker, chunks, v, t, rows, base_8, t_1, moved_bar, positions, weights, i, sum_4, base):
    for chunk in range(begin, end):
        first = 3 * chunk // chunks
        last = (3 * chunk + 3) // chunks
        at = 16 * chunk + chunk * v
        for turn in range(last - first):
            i_2 = first + turn
            t[i_2] = math.cos(rows[base_8 + i_2 + 9])
            t_1[i_2] = math.sin(rows[base_8 + i_2 + 9])
            # positions += weights[i] * moved
            for j in range(v):
                moved_bar[at + j] = positions[i_2 * v + j] * weights[i * v + j]
            # moved = (absolute[i] @ inverse_base[i])[:3] @ base
            for j in range(4):
                sum_4[i_2 * 4 + j] = 0.0
            for j in range(4):
                for k in range(v):
                    sum_4[i_2 * 4 + j] += moved_bar[at + k] * base[j * v + k]
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


def loss_value_and_grad(theta, parents, base_relative, inverse_base, base, weights, matches, points, v, p, out, theta_bar, rows, positions, stack, absolute, absolute_saved, t, t_1, stack_1, stack_2, stack_3, stack_4, relative, moved, result, stack_5, cross, sum_1, vertices, vertices_bar, rows_bar, stack_6, sum_2, t_2, cross_bar, sum_3, sum_4, moved_bar, t_3, sum_5, sum_6, relative_bar, report):
    # for k in range(len(matches)):
    for k in range(p):
        # e = points[k] - vertices[:, matches[k]]
        t_4 = matches[k]
        t_5 = t_4 < 0
        if not ((t_4 + v if t_5 else t_4) >= 0) & ((t_4 + v if t_5 else t_4) < v):
            return 2
    # rows[0] = theta[0:3]
    for i in range(25):
        for j in range(3):
            rows[i * 3 + j] = 0.0
    for i in range(3):
        rows[i] = theta[i]
        rows[i + 3] = 1.0
        rows[i + 6] = theta[i + 3]
        # for i in range(BONES):
        for j in range(v):
            positions[i * v + j] = 0.0
    # for _finger in range(5):
    for _finger in range(5):
        # rows[row, 0] = theta[at]
        theta_row = 4 * _finger
        t_6 = theta[theta_row + 6]
        rows_row = 4 * _finger * 3
        rows[rows_row + 15] = t_6
        # rows[row, 1] = theta[at]
        t_7 = theta[theta_row + 7]
        rows[rows_row + 16] = t_7
        # rows[row, 0] = theta[at]
        t_8 = theta[theta_row + 8]
        rows[rows_row + 18] = t_8
        t_9 = theta[theta_row + 9]
        rows[rows_row + 21] = t_9
    # return np.array([
    stack[0] = 0.0
    stack[1] = 0.0
    stack[2] = 0.0
    stack[3] = 1.0
    # for i in range(BONES):
    for i in range(22):
        for j in range(4):
            for k in range(4):
                absolute[(i * 4 + j) * 4 + k] = 0.0
    for i in range(22):
        # cx, cz, cy = np.cos(angles)
        for i_1 in range(3):
            t[i_1] = math.cos(rows[(i + 3) * 3 + i_1])
            t_1[i_1] = math.sin(rows[(i + 3) * 3 + i_1])
        cx = t[0]
        cz = t[1]
        cy = t[2]
        # sx, sz, sy = np.sin(angles)
        sx = t_1[0]
        sz = t_1[1]
        sy = t_1[2]
        # [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t_10 = sx * sy
        t_11 = cx * sy
        # return np.array([
        stack_1[0] = cy * cz
        stack_1[1] = t_10 * cz - cx * sz
        stack_1[2] = sx * sz + t_11 * cz
        stack_1[3] = 0.0
        stack_2[0] = cy * sz
        stack_2[1] = cx * cz + t_10 * sz
        stack_2[2] = t_11 * sz - sx * cz
        stack_2[3] = 0.0
        stack_3[0] = -sy
        stack_3[1] = sx * cy
        stack_3[2] = cx * cy
        stack_3[3] = 0.0
        for i_1 in range(4):
            stack_4[i_1] = stack_1[i_1]
            stack_4[i_1 + 4] = stack_2[i_1]
            stack_4[i_1 + 8] = stack_3[i_1]
            stack_4[i_1 + 12] = stack[i_1]
            # relative = base_relative[i] @ euler(rows[i + 3])
            for j in range(4):
                relative[i_1 * 4 + j] = 0.0
        for i_1 in range(4):
            for k in range(4):
                for j in range(4):
                    relative[i_1 * 4 + j] += base_relative[(i * 4 + i_1) * 4 + k] * stack_4[k * 4 + j]
        # if parents[i] < 0:
        t_12 = parents[i]
        t_13 = t_12 < 0
        if t_13:
            # absolute[i] = relative
            for i_1 in range(4):
                for j in range(4):
                    absolute[(i * 4 + i_1) * 4 + j] = relative[i_1 * 4 + j]
                    stack_4[i_1 * 4 + j] = 0.0
        else:
            # absolute[i] = absolute[parents[i]] @ relative
            t_14 = t_12 + 22 if t_13 else t_12
            if not (t_14 >= 0) & (t_14 < 22):
                return 1
            for i_1 in range(4):
                absolute_row = (t_14 * 4 + i_1) * 4
                for j in range(4):
                    stack_1[j] = 0.0
                    stack_4[i_1 * 4 + j] = absolute[absolute_row + j]
                for k in range(4):
                    for j in range(4):
                        stack_1[j] += absolute[absolute_row + k] * relative[k * 4 + j]
                for j in range(4):
                    absolute[(i * 4 + i_1) * 4 + j] = stack_1[j]
        # moved = (absolute[i] @ inverse_base[i])[:3] @ base
        for i_1 in range(4):
            base_1 = i_1 * 4
            base_2 = (i * 4 + i_1) * 4
            for j in range(4):
                relative[base_1 + j] = 0.0
                absolute_saved[base_2 + j] = stack_4[base_1 + j]
            for k in range(4):
                for j in range(4):
                    relative[base_1 + j] += absolute[base_2 + k] * inverse_base[(i * 4 + k) * 4 + j]
        for i_1 in range(3):
            for j in range(v):
                moved[j] = 0.0
            for k in range(4):
                for j in range(v):
                    moved[j] += relative[i_1 * 4 + k] * base[k * v + j]
            # for i in range(BONES):
            for j in range(v):
                positions[i_1 * v + j] += weights[i * v + j] * moved[j]
    # angle = np.sqrt(np.sum(axis**2))
    sum_7 = 0.0
    for i in range(3):
        t_15 = rows[i]
        sum_7 += t_15 * t_15
    angle = math.sqrt(sum_7)
    # if angle < 1e-4:
    t_16 = angle < 0.0001
    if t_16:
        for i in range(3):
            for j in range(3):
                result[i * 3 + j] = np.float64(i == j)
    else:
        # x, y, z = axis / angle
        for i in range(3):
            t[i] = rows[i] / angle
        x = t[0]
        y = t[1]
        z = t[2]
        # c, s = np.cos(angle), np.sin(angle)
        s = math.sin(angle)
        # cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        t[0] = 0.0
        t[1] = -z
        t[2] = y
        t_1[0] = z
        t_1[1] = 0.0
        t_1[2] = -x
        stack_5[0] = -y
        stack_5[1] = x
        stack_5[2] = 0.0
        for i in range(3):
            cross[i] = t[i]
            cross[i + 3] = t_1[i]
            cross[i + 6] = stack_5[i]
            # return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)
            for j in range(3):
                sum_1[i * 3 + j] = 0.0
        t_17 = 1.0 - math.cos(angle)
        for i in range(3):
            base_3 = i * 3
            for k in range(3):
                for j in range(3):
                    sum_1[base_3 + j] += cross[base_3 + k] * cross[k * 3 + j]
            # if angle < 1e-4:
            for j in range(3):
                result[base_3 + j] = np.float64(i == j) + s * cross[base_3 + j] + t_17 * sum_1[base_3 + j]
    # return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]
    for i in range(3):
        base_4 = i * 3
        for j in range(3):
            cross[base_4 + j] = result[base_4 + j] * rows[j + 3]
        for j in range(v):
            moved[j] = 0.0
        for k in range(3):
            for j in range(v):
                moved[j] += cross[base_4 + k] * positions[k * v + j]
        for j in range(v):
            vertices[i * v + j] = moved[j] + rows[i + 6]
            vertices_bar[i * v + j] = 0.0
        t[i] = 0.0
    # for k in range(len(matches)):
    total = 0.0
    for k in range(p):
        # e = points[k] - vertices[:, matches[k]]
        t_18 = matches[k]
        t_20 = t_18 < 0
        t_19 = t_18 + v if t_20 else t_18
        # total += np.dot(e, e)
        sum_8 = 0.0
        for i in range(3):
            base_5 = i * v + t_19
            t_21 = points[k * 3 + i] - vertices[base_5]
            sum_8 += t_21 * t_21
            vertices_bar[base_5] += -(2.0 * (0.5 * t_21))
        # for k in range(len(matches)):
        total += sum_8
    # return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]
    for i in range(25):
        for j in range(3):
            rows_bar[i * 3 + j] = 0.0
    for i in range(3):
        for j in range(3):
            t_1[j] = 0.0
        for j in range(3):
            for k in range(v):
                t_1[j] += vertices_bar[i * v + k] * positions[j * v + k]
        for j in range(3):
            sum_1[i * 3 + j] = t_1[j] * rows[j + 3]
            t[j] += t_1[j] * result[i * 3 + j]
    for i in range(3):
        sum_9 = 0.0
        for j in range(v):
            sum_9 += vertices_bar[i * v + j]
        sum_10 = sum_9
        rows_bar[i + 6] = sum_10
        rows_bar[i + 3] += t[i]
    # if angle < 1e-4:
    if t_16:
        angle_bar = 0.0
    else:
        # x, y, z = axis / angle
        for i in range(3):
            t[i] = rows[i] / angle
        x_1 = t[0]
        y_1 = t[1]
        z_1 = t[2]
        # c, s = np.cos(angle), np.sin(angle)
        c = math.cos(angle)
        s_1 = math.sin(angle)
        # cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        t_1[0] = 0.0
        t_1[1] = -z_1
        t_1[2] = y_1
        stack_5[0] = z_1
        stack_5[1] = 0.0
        stack_5[2] = -x_1
        stack_6[0] = -y_1
        stack_6[1] = x_1
        stack_6[2] = 0.0
        for i in range(3):
            result[i] = t_1[i]
            result[i + 3] = stack_5[i]
            result[i + 6] = stack_6[i]
            # return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)
            for j in range(3):
                sum_2[i * 3 + j] = 0.0
        t_22 = 1.0 - c
        sum_11 = 0.0
        for i in range(3):
            base_6 = i * 3
            for k in range(3):
                for j in range(3):
                    sum_2[base_6 + j] += result[base_6 + k] * result[k * 3 + j]
            for j in range(3):
                sum_11 += sum_1[base_6 + j] * sum_2[base_6 + j]
                t_2[base_6 + j] = sum_1[base_6 + j] * t_22
                cross_bar[base_6 + j] = 0.0
                sum_3[base_6 + j] = 0.0
            for j in range(3):
                for k in range(3):
                    cross_bar[base_6 + j] += t_2[base_6 + k] * result[j * 3 + k]
        for k in range(3):
            for i in range(3):
                for j in range(3):
                    sum_3[i * 3 + j] += t_2[k * 3 + j] * result[k * 3 + i]
        s_bar = 0.0
        for i in range(3):
            base_7 = i * 3
            for j in range(3):
                sum_2[base_7 + j] = cross_bar[base_7 + j] + sum_3[base_7 + j] + sum_1[base_7 + j] * s_1
                s_bar += sum_1[base_7 + j] * result[base_7 + j]
            t_1[i] = 0.0
        # x, y, z = axis / angle
        z_bar = sum_2[3] - sum_2[1]
        t_1[2] = z_bar
        y_bar = sum_2[2] - sum_2[6]
        t_1[1] += y_bar
        x_bar = sum_2[7] - sum_2[5]
        t_1[0] += x_bar
        t_23 = 1.0 / angle
        sum_12 = 0.0
        for i in range(3):
            sum_12 += -(t_1[i] * (t[i] / angle))
            rows_bar[i] += t_1[i] * t_23
        # if angle < 1e-4:
        angle_bar = s_bar * c - -sum_11 * s_1 + sum_12
    # angle = np.sqrt(np.sum(axis**2))
    t_24 = angle_bar * (0.5 / angle)
    # return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]
    blocks = product_blocks(3, v, 3)
    run_product(blocks, blocks, 1, 0, 0, 3, v, 3, cross, 0, 3, vertices_bar, 0, v, positions, 0, v)
    for k in range(3):
        rows_bar[k] += t_24 * (2.0 * rows[k])
    # for i in range(BONES):
    for i in range(22):
        for j in range(4):
            for k in range(4):
                absolute[(i * 4 + j) * 4 + k] = 0.0
    for i in range(22 - 1, -1, -1):
        # cx, cz, cy = np.cos(angles)
        chunks = max(1, min(3, 2 * min(8, (60 * v + 72) // 262144)))
        base_8 = i * 3
        code = run_loss_value_and_grad_part(chunks, chunks, v, t, rows, base_8, t_1, moved_bar, positions, weights, i, sum_4, base)
        if code != 0:
            return code
        # cx, cz, cy = np.cos(angles)
        cx_1 = t[0]
        cz_1 = t[1]
        cy_1 = t[2]
        # sx, sz, sy = np.sin(angles)
        sx_1 = t_1[0]
        sz_1 = t_1[1]
        sy_1 = t_1[2]
        # [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t_25 = sx_1 * sy_1
        t_26 = cx_1 * sy_1
        # return np.array([
        stack_1[0] = cy_1 * cz_1
        stack_1[1] = t_25 * cz_1 - cx_1 * sz_1
        stack_1[2] = sx_1 * sz_1 + t_26 * cz_1
        stack_1[3] = 0.0
        stack_2[0] = cy_1 * sz_1
        stack_2[1] = cx_1 * cz_1 + t_25 * sz_1
        stack_2[2] = t_26 * sz_1 - sx_1 * cz_1
        stack_2[3] = 0.0
        stack_3[0] = -sy_1
        stack_3[1] = sx_1 * cy_1
        stack_3[2] = cx_1 * cy_1
        stack_3[3] = 0.0
        for i_1 in range(4):
            stack_4[i_1] = stack_1[i_1]
            stack_4[i_1 + 4] = stack_2[i_1]
            stack_4[i_1 + 8] = stack_3[i_1]
            stack_4[i_1 + 12] = stack[i_1]
            # relative = base_relative[i] @ euler(rows[i + 3])
            for j in range(4):
                relative[i_1 * 4 + j] = 0.0
        for i_1 in range(4):
            base_9 = i_1 * 4
            for k in range(4):
                for j in range(4):
                    relative[base_9 + j] += base_relative[(i * 4 + i_1) * 4 + k] * stack_4[k * 4 + j]
            # moved = (absolute[i] @ inverse_base[i])[:3] @ base
            for j in range(4):
                t_3[base_9 + j] = 0.0
                sum_5[base_9 + j] = 0.0
        # if parents[i] < 0:
        t_27 = parents[i]
        t_28 = t_27 < 0
        # moved = (absolute[i] @ inverse_base[i])[:3] @ base
        for i_1 in range(3):
            for j in range(4):
                t_3[i_1 * 4 + j] = sum_4[i_1 * 4 + j]
            stack_5[i_1] = 0.0
        for i_1 in range(4):
            base_10 = i_1 * 4
            for j in range(4):
                for k in range(4):
                    sum_5[base_10 + j] += t_3[base_10 + k] * inverse_base[(i * 4 + j) * 4 + k]
            for j in range(4):
                absolute[(i * 4 + i_1) * 4 + j] += sum_5[base_10 + j]
                stack_4[base_10 + j] = 0.0
        # if parents[i] < 0:
        if t_28:
            # absolute[i] = relative
            for i_1 in range(4):
                absolute_row_1 = (i * 4 + i_1) * 4
                for j in range(4):
                    t_3[i_1 * 4 + j] = absolute[absolute_row_1 + j]
                    absolute[absolute_row_1 + j] = 0.0
        else:
            # absolute[i] = absolute[parents[i]] @ relative
            t_29 = t_27 + 22 if t_28 else t_27
            for i_1 in range(4):
                base_11 = i_1 * 4
                absolute_row_2 = (i * 4 + i_1) * 4
                for j in range(4):
                    sum_5[base_11 + j] = absolute[absolute_row_2 + j]
                    absolute[absolute_row_2 + j] = 0.0
                    sum_6[base_11 + j] = 0.0
                    relative_bar[base_11 + j] = 0.0
                for j in range(4):
                    for k in range(4):
                        sum_6[base_11 + j] += sum_5[base_11 + k] * relative[j * 4 + k]
            for k in range(4):
                for i_1 in range(4):
                    for j in range(4):
                        relative_bar[i_1 * 4 + j] += sum_5[k * 4 + j] * absolute_saved[(i * 4 + k) * 4 + i_1]
                for j in range(4):
                    absolute[(t_29 * 4 + k) * 4 + j] += sum_6[k * 4 + j]
            # if parents[i] < 0:
            for i_1 in range(4):
                for j in range(4):
                    t_3[i_1 * 4 + j] = relative_bar[i_1 * 4 + j]
        # relative = base_relative[i] @ euler(rows[i + 3])
        for k in range(4):
            for i_1 in range(4):
                for j in range(4):
                    stack_4[i_1 * 4 + j] += t_3[k * 4 + j] * base_relative[(i * 4 + k) * 4 + i_1]
        # return np.array([
        t_30 = stack_4[9]
        t_31 = stack_4[10]
        t_32 = stack_4[4]
        t_33 = stack_4[5]
        t_34 = stack_4[6]
        t_35 = stack_4[0]
        t_36 = stack_4[1]
        t_37 = stack_4[2]
        # [cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz, 0.0],
        t_38 = t_34 * sz_1
        t_39 = t_33 * sz_1
        # [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t_40 = t_37 * cz_1
        t_41 = t_36 * cz_1
        # sx, sz, sy = np.sin(angles)
        sy_bar = t_38 * cx_1 - stack_4[8] + t_39 * sx_1 + t_40 * cx_1 + t_41 * sx_1
        stack_5[2] = sy_bar
        sz_bar = t_34 * t_26 + t_33 * t_25 + t_32 * cy_1 + t_37 * sx_1 - t_36 * cx_1
        stack_5[1] += sz_bar
        sx_bar = t_30 * cy_1 - t_34 * cz_1 + t_39 * sy_1 + t_37 * sz_1 + t_41 * sy_1
        stack_5[0] += sx_bar
        for i_1 in range(3):
            rows_bar[base_8 + i_1 + 9] += stack_5[i_1] * t[i_1]
            stack_6[i_1] = 0.0
        # cx, cz, cy = np.cos(angles)
        cy_bar = t_31 * cx_1 + t_30 * sx_1 + t_32 * sz_1 + t_35 * cz_1
        stack_6[2] = cy_bar
        cz_bar = t_33 * cx_1 - t_34 * sx_1 + t_37 * t_26 + t_36 * t_25 + t_35 * cy_1
        stack_6[1] += cz_bar
        cx_bar = t_31 * cy_1 + t_38 * sy_1 + t_33 * cz_1 + t_40 * sy_1 - t_36 * sz_1
        stack_6[0] += cx_bar
        for i_1 in range(3):
            rows_bar[base_8 + i_1 + 9] += -(stack_6[i_1] * t_1[i_1])
    # for _finger in range(5):
    for i in range(26):
        theta_bar[i] = 0.0
    for _finger in range(5 - 1, -1, -1):
        # rows[row, 0] = theta[at]
        rows_bar_row = 4 * _finger * 3
        t_42 = rows_bar[rows_bar_row + 21]
        rows_bar[rows_bar_row + 21] = 0.0
        theta_bar_row = 4 * _finger
        theta_bar[theta_bar_row + 9] += t_42
        t_43 = rows_bar[rows_bar_row + 18]
        rows_bar[rows_bar_row + 18] = 0.0
        theta_bar[theta_bar_row + 8] += t_43
        # rows[row, 1] = theta[at]
        t_44 = rows_bar[rows_bar_row + 16]
        rows_bar[rows_bar_row + 16] = 0.0
        theta_bar[theta_bar_row + 7] += t_44
        # rows[row, 0] = theta[at]
        t_45 = rows_bar[rows_bar_row + 15]
        rows_bar[rows_bar_row + 15] = 0.0
        theta_bar[theta_bar_row + 6] += t_45
    # rows[2] = theta[3:6]
    for i in range(3):
        t_46 = rows_bar[i + 6]
        rows_bar[i + 6] = 0.0
        theta_bar[i + 3] += t_46
        rows_bar[i + 3] = 0.0
        theta_bar[i] += rows_bar[i]
    out[0] = 0.5 * total
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
