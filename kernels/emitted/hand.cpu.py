"""kernels/hand.py: value and gradient by theta: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    theta               f8[26]                      input
    parents             i8[22]                      input
    base_relative       f8[22, 4, 4]                input
    inverse_base        f8[22, 4, 4]                input
    base                f8[4, v]                    input
    weights             f8[22, v]                   input
    matches             i8[p]                       input
    points              f8[p, 3]                    input
    v                   i8                          size
    p                   i8                          size
    out                 f8                          result
    theta_bar           f8[26]                      result
    rows                f8[25, 3]                   scratch
    at_saved            i8[5]                       scratch
    row_saved           i8[5]                       scratch
    stack               f8[4]                       scratch
    absolute            f8[22, 4, 4]                scratch
    positions           f8[3, v]                    scratch
    absolute_saved      f8[22, 4, 4]                scratch
    t                   f8[3]                       scratch
    t_1                 f8[3]                       scratch
    stack_1             f8[4]                       scratch
    stack_2             f8[4]                       scratch
    stack_3             f8[4]                       scratch
    stack_4             f8[4, 4]                    scratch
    relative            f8[4, 4]                    scratch
    moved               f8[v]                       scratch
    result              f8[3, 3]                    scratch
    stack_5             f8[3]                       scratch
    cross               f8[3, 3]                    scratch
    sum_1               f8[3, 3]                    scratch
    vertices            f8[3, v]                    scratch
    total_parts         f8[chunks, 16]              scratch
    vertices_bar        f8[3, v]                    scratch
    vertices_bar_parts  f8[16*chunks + 3*chunks*v]  scratch
    rows_bar            f8[25, 3]                   scratch
    result_bar          f8[3, 3]                    scratch
    stack_6             f8[3]                       scratch
    cross_bar           f8[3, 3]                    scratch
    sum_2               f8[3, 3]                    scratch
    sum_3               f8[3, 4]                    scratch
    moved_bar           f8[16*chunks + chunks*v]    scratch
    t_2                 f8[4, 4]                    scratch
    sum_4               f8[4, 4]                    scratch
    sum_5               f8[4, 4]                    scratch
    relative_bar        f8[4, 4]                    scratch
    report              i8[0]                       result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 0 with size 26 (line 31)
    2  index out of bounds for axis 0 with size 25 (line 31)
    3  index out of bounds for axis 0 with size 26 (line 34)
    4  index out of bounds for axis 0 with size 26 (line 31)
    5  index out of bounds for axis 0 with size 25 (line 31)
    6  index out of bounds for axis 0 with size 26 (line 31)
    7  index out of bounds for axis 0 with size 25 (line 31)
    8  index out of bounds for axis 0 with size 22 (line 74)
    9  index out of bounds for axis 1 with size v (line 85)
"""

import math

import numpy as np

from adc.ops.routines_products import gemm
from adc.ops.routines_products import have_gemm


def loss_value_and_grad_part(begin, end, worker, p, chunks, matches, v, points, vertices, total_parts):
    for chunk in range(begin, end):
        first = chunk * p // chunks
        last = (chunk * p + p) // chunks
        total_1 = 0.0
        for turn in range(last - first):
            k_1 = first + turn
            # e = points[k] - vertices[:, matches[k]]
            t_28 = matches[k_1]
            t_30 = t_28 < 0
            t_29 = t_28 + v if t_30 else t_28
            if not (t_29 >= 0) & (t_29 < v):
                return 9
            # total += np.dot(e, e)
            sum_7 = 0.0
            for i in range(3):
                t_31 = points[k_1 * 3 + i] - vertices[i * v + t_29]
                sum_7 += t_31 * t_31
            # for k in range(len(matches)):
            total_1 += sum_7
        total_parts[chunk * 16] = total_1
    return 0


def loss_value_and_grad_part_1(begin, end, worker, p, chunks_1, v, vertices_bar_parts, matches, points, vertices):
    for chunk in range(begin, end):
        first_1 = chunk * p // chunks_1
        last_1 = (chunk * p + p) // chunks_1
        at_1 = 16 * chunk + 3 * chunk * v
        for i in range(3 * v * min(1, chunks_1 - 1)):
            vertices_bar_parts[at_1 + i] = 0.0
        for turn in range(last_1 - first_1):
            k_2 = first_1 + turn
            # e = points[k] - vertices[:, matches[k]]
            t_32 = matches[k_2]
            t_34 = t_32 < 0
            t_33 = t_32 + v if t_34 else t_32
            for i in range(3):
                vertices_bar_parts[at_1 + i * v + t_33] += -(2.0 * (0.5 * (points[k_2 * 3 + i] - vertices[i * v + t_33])))
    return 0


def loss_value_and_grad_part_2(begin, end, worker, chunks_2, v, t, rows, i, t_1, moved_bar, vertices, weights, sum_3, base):
    for chunk in range(begin, end):
        first_2 = 3 * chunk // chunks_2
        last_2 = (3 * chunk + 3) // chunks_2
        at_2 = 16 * chunk + chunk * v
        for turn in range(last_2 - first_2):
            i_2 = first_2 + turn
            t[i_2] = math.cos(rows[(i + 3) * 3 + i_2])
            t_1[i_2] = math.sin(rows[(i + 3) * 3 + i_2])
            # positions += weights[i] * moved
            for j in range(v):
                moved_bar[at_2 + j] = vertices[i_2 * v + j] * weights[i * v + j]
            # moved = (absolute[i] @ inverse_base[i])[:3] @ base
            for j in range(4):
                sum_3[i_2 * 4 + j] = 0.0
            for j in range(4):
                for k in range(v):
                    sum_3[i_2 * 4 + j] += moved_bar[at_2 + k] * base[j * v + k]
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


def loss_value_and_grad(theta, parents, base_relative, inverse_base, base, weights, matches, points, v, p, out, theta_bar, rows, at_saved, row_saved, stack, absolute, positions, absolute_saved, t, t_1, stack_1, stack_2, stack_3, stack_4, relative, moved, result, stack_5, cross, sum_1, vertices, total_parts, vertices_bar, vertices_bar_parts, rows_bar, result_bar, stack_6, cross_bar, sum_2, sum_3, moved_bar, t_2, sum_4, sum_5, relative_bar, report):
    # rows[0] = theta[0:3]
    for i in range(25):
        for j in range(3):
            rows[i * 3 + j] = 0.0
    for i in range(3):
        rows[i] = theta[i]
        rows[1 * 3 + i] = 1.0
        rows[2 * 3 + i] = theta[i + 3]
    # for _finger in range(5):
    at = 6
    row = 5
    for _finger in range(5):
        # rows[row, 0] = theta[at]
        t_4 = at < 0
        t_3 = at + 26 if t_4 else at
        if not (t_3 >= 0) & (t_3 < 26):
            return 1
        t_6 = row < 0
        t_5 = row + 25 if t_6 else row
        if not (t_5 >= 0) & (t_5 < 25):
            return 2
        t_7 = theta[t_3]
        rows[t_5 * 3] = t_7
        # rows[row, 1] = theta[at]
        t_9 = at + 1 < 0
        t_8 = at + 27 if t_9 else at + 1
        if not (t_8 >= 0) & (t_8 < 26):
            return 3
        t_10 = theta[t_8]
        rows[t_5 * 3 + 1] = t_10
        # rows[row, 0] = theta[at]
        t_12 = at + 2 < 0
        t_11 = at + 28 if t_12 else at + 2
        if not (t_11 >= 0) & (t_11 < 26):
            return 4
        t_14 = row + 1 < 0
        t_13 = row + 26 if t_14 else row + 1
        if not (t_13 >= 0) & (t_13 < 25):
            return 5
        t_15 = theta[t_11]
        rows[t_13 * 3] = t_15
        t_17 = at + 3 < 0
        t_16 = at + 29 if t_17 else at + 3
        if not (t_16 >= 0) & (t_16 < 26):
            return 6
        t_19 = row + 2 < 0
        t_18 = row + 27 if t_19 else row + 2
        if not (t_18 >= 0) & (t_18 < 25):
            return 7
        t_20 = theta[t_16]
        rows[t_18 * 3] = t_20
        # for _finger in range(5):
        at_saved[_finger] = at
        row_saved[_finger] = row
        at = at + 4
        row = row + 4
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
    for i in range(3):
        for j in range(v):
            positions[i * v + j] = 0.0
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
        t_21 = sx * sy
        t_22 = cx * sy
        # return np.array([
        stack_1[0] = cy * cz
        stack_1[1] = t_21 * cz - cx * sz
        stack_1[2] = sx * sz + t_22 * cz
        stack_1[3] = 0.0
        stack_2[0] = cy * sz
        stack_2[1] = cx * cz + t_21 * sz
        stack_2[2] = t_22 * sz - sx * cz
        stack_2[3] = 0.0
        stack_3[0] = -sy
        stack_3[1] = sx * cy
        stack_3[2] = cx * cy
        stack_3[3] = 0.0
        for i_1 in range(4):
            stack_4[i_1] = stack_1[i_1]
            stack_4[1 * 4 + i_1] = stack_2[i_1]
            stack_4[2 * 4 + i_1] = stack_3[i_1]
            stack_4[3 * 4 + i_1] = stack[i_1]
            # relative = base_relative[i] @ euler(rows[i + 3])
            for j in range(4):
                relative[i_1 * 4 + j] = 0.0
        blocks = max(1, min(8, 4 * 4 * 4 // 2097152))
        run_product(blocks, blocks, 0, 0, 4, 4, 4, base_relative, 16 * i, 4, stack_4, 0, 4, relative, 0, 4)
        # if parents[i] < 0:
        t_23 = parents[i]
        t_24 = t_23 < 0
        if t_24:
            # absolute[i] = relative
            for i_1 in range(4):
                for j in range(4):
                    absolute[(i * 4 + i_1) * 4 + j] = relative[i_1 * 4 + j]
                    stack_4[i_1 * 4 + j] = 0.0
        else:
            # absolute[i] = absolute[parents[i]] @ relative
            t_25 = t_23 + 22 if t_24 else t_23
            if not (t_25 >= 0) & (t_25 < 22):
                return 8
            for i_1 in range(4):
                for j in range(4):
                    stack_1[j] = 0.0
                    stack_4[i_1 * 4 + j] = absolute[(t_25 * 4 + i_1) * 4 + j]
                for k in range(4):
                    for j in range(4):
                        stack_1[j] += absolute[(t_25 * 4 + i_1) * 4 + k] * relative[k * 4 + j]
                for j in range(4):
                    absolute[(i * 4 + i_1) * 4 + j] = stack_1[j]
        # moved = (absolute[i] @ inverse_base[i])[:3] @ base
        for i_1 in range(4):
            for j in range(4):
                relative[i_1 * 4 + j] = 0.0
                absolute_saved[(i * 4 + i_1) * 4 + j] = stack_4[i_1 * 4 + j]
            for k in range(4):
                for j in range(4):
                    relative[i_1 * 4 + j] += absolute[(i * 4 + i_1) * 4 + k] * inverse_base[(i * 4 + k) * 4 + j]
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
    sum_6 = 0.0
    for i in range(3):
        sum_6 += rows[i] ** 2
    angle = math.sqrt(sum_6)
    # if angle < 1e-4:
    t_26 = angle < 0.0001
    if t_26:
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
            cross[1 * 3 + i] = t_1[i]
            cross[2 * 3 + i] = stack_5[i]
            # return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)
            for j in range(3):
                sum_1[i * 3 + j] = 0.0
        t_27 = 1.0 - math.cos(angle)
        for i in range(3):
            for k in range(3):
                for j in range(3):
                    sum_1[i * 3 + j] += cross[i * 3 + k] * cross[k * 3 + j]
            # if angle < 1e-4:
            for j in range(3):
                result[i * 3 + j] = np.float64(i == j) + s * cross[i * 3 + j] + t_27 * sum_1[i * 3 + j]
    # return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]
    for i in range(3):
        for j in range(3):
            cross[i * 3 + j] = result[i * 3 + j] * rows[1 * 3 + j]
        for j in range(v):
            moved[j] = 0.0
        for k in range(3):
            for j in range(v):
                moved[j] += cross[i * 3 + k] * positions[k * v + j]
        for j in range(v):
            vertices[i * v + j] = moved[j] + rows[2 * 3 + i]
    # for k in range(len(matches)):
    total = 0.0
    chunks = max(1, min(p, 2 * min(8, 30 * p // 262144)))
    code = run_loss_value_and_grad_part(chunks, p, chunks, matches, v, points, vertices, total_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        total += total_parts[chunk * 16]
    for i in range(3):
        for j in range(v):
            vertices_bar[i * v + j] = 0.0
    chunks_1 = max(1, min(p, 2 * min(max(2, min(8, 2097152 // (24 * v))), 26 * p // (2 * max(131072, 96 * v)))))
    if chunks_1 == 1:
        code_1 = run_loss_value_and_grad_part_1(1, p, chunks_1, v, vertices_bar, matches, points, vertices)
    else:
        code_1 = run_loss_value_and_grad_part_1(chunks_1, p, chunks_1, v, vertices_bar_parts, matches, points, vertices)
    if code_1 != 0:
        return code_1
    # for k in range(len(matches)):
    for chunk in range(chunks_1):
        for i in range(3 * v * min(1, chunks_1 - 1)):
            vertices_bar[i] += vertices_bar_parts[16 * chunk + 3 * chunk * v + i]
    # return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]
    for i in range(25):
        for j in range(3):
            rows_bar[i * 3 + j] = 0.0
    for i in range(3):
        sum_8 = 0.0
        for j in range(v):
            sum_8 += vertices_bar[i * v + j]
            vertices[i * v + j] = 0.0
        sum_9 = sum_8
        rows_bar[2 * 3 + i] = sum_9
        for j in range(3):
            sum_1[i * 3 + j] = 0.0
        for j in range(3):
            for k in range(v):
                sum_1[i * 3 + j] += vertices_bar[i * v + k] * positions[j * v + k]
    for k in range(3):
        for i in range(3):
            for j in range(v):
                vertices[i * v + j] += vertices_bar[k * v + j] * cross[k * 3 + i]
        for j in range(3):
            result_bar[k * 3 + j] = sum_1[k * 3 + j] * rows[1 * 3 + j]
        t[k] = 0.0
    for i in range(3):
        for j in range(3):
            t[j] += sum_1[i * 3 + j] * result[i * 3 + j]
    for i in range(3):
        rows_bar[1 * 3 + i] += t[i]
    # if angle < 1e-4:
    if t_26:
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
            result[1 * 3 + i] = stack_5[i]
            result[2 * 3 + i] = stack_6[i]
            # return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)
            for j in range(3):
                cross[i * 3 + j] = 0.0
        t_35 = 1.0 - c
        sum_10 = 0.0
        for i in range(3):
            for k in range(3):
                for j in range(3):
                    cross[i * 3 + j] += result[i * 3 + k] * result[k * 3 + j]
            for j in range(3):
                sum_10 += result_bar[i * 3 + j] * cross[i * 3 + j]
                sum_1[i * 3 + j] = result_bar[i * 3 + j] * t_35
                cross_bar[i * 3 + j] = 0.0
                sum_2[i * 3 + j] = 0.0
            for j in range(3):
                for k in range(3):
                    cross_bar[i * 3 + j] += sum_1[i * 3 + k] * result[j * 3 + k]
        blocks_1 = max(1, min(8, 3 * 3 * 3 // 2097152))
        run_product(blocks_1, blocks_1, 1, 0, 3, 3, 3, result, 0, 3, sum_1, 0, 3, sum_2, 0, 3)
        s_bar = 0.0
        for i in range(3):
            for j in range(3):
                cross[i * 3 + j] = cross_bar[i * 3 + j] + sum_2[i * 3 + j] + result_bar[i * 3 + j] * s_1
                s_bar += result_bar[i * 3 + j] * result[i * 3 + j]
            t_1[i] = 0.0
        # x, y, z = axis / angle
        z_bar = cross[1 * 3] - cross[1]
        t_1[2] = z_bar
        y_bar = cross[2] - cross[2 * 3]
        t_1[1] += y_bar
        x_bar = cross[2 * 3 + 1] - cross[1 * 3 + 2]
        t_1[0] += x_bar
        t_36 = 1.0 / angle
        sum_11 = 0.0
        for i in range(3):
            sum_11 += -(t_1[i] * (t[i] / angle))
            rows_bar[i] += t_1[i] * t_36
        # if angle < 1e-4:
        angle_bar = s_bar * c - -sum_10 * s_1 + sum_11
    # angle = np.sqrt(np.sum(axis**2))
    t_37 = angle_bar * (0.5 / angle)
    for i in range(3):
        rows_bar[i] += t_37 * (2.0 * rows[i])
    # for i in range(BONES):
    for i in range(22):
        for j in range(4):
            for k in range(4):
                absolute[(i * 4 + j) * 4 + k] = 0.0
    for i in range(22 - 1, -1, -1):
        # cx, cz, cy = np.cos(angles)
        chunks_2 = max(1, min(3, 2 * min(8, (60 * v + 72) // 262144)))
        code_2 = run_loss_value_and_grad_part_2(chunks_2, chunks_2, v, t, rows, i, t_1, moved_bar, vertices, weights, sum_3, base)
        if code_2 != 0:
            return code_2
        # cx, cz, cy = np.cos(angles)
        cx_1 = t[0]
        cz_1 = t[1]
        cy_1 = t[2]
        # sx, sz, sy = np.sin(angles)
        sx_1 = t_1[0]
        sz_1 = t_1[1]
        sy_1 = t_1[2]
        # [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t_38 = sx_1 * sy_1
        t_39 = cx_1 * sy_1
        # return np.array([
        stack_1[0] = cy_1 * cz_1
        stack_1[1] = t_38 * cz_1 - cx_1 * sz_1
        stack_1[2] = sx_1 * sz_1 + t_39 * cz_1
        stack_1[3] = 0.0
        stack_2[0] = cy_1 * sz_1
        stack_2[1] = cx_1 * cz_1 + t_38 * sz_1
        stack_2[2] = t_39 * sz_1 - sx_1 * cz_1
        stack_2[3] = 0.0
        stack_3[0] = -sy_1
        stack_3[1] = sx_1 * cy_1
        stack_3[2] = cx_1 * cy_1
        stack_3[3] = 0.0
        for i_1 in range(4):
            stack_4[i_1] = stack_1[i_1]
            stack_4[1 * 4 + i_1] = stack_2[i_1]
            stack_4[2 * 4 + i_1] = stack_3[i_1]
            stack_4[3 * 4 + i_1] = stack[i_1]
            # relative = base_relative[i] @ euler(rows[i + 3])
            for j in range(4):
                relative[i_1 * 4 + j] = 0.0
        for i_1 in range(4):
            for k in range(4):
                for j in range(4):
                    relative[i_1 * 4 + j] += base_relative[(i * 4 + i_1) * 4 + k] * stack_4[k * 4 + j]
            # moved = (absolute[i] @ inverse_base[i])[:3] @ base
            for j in range(4):
                t_2[i_1 * 4 + j] = 0.0
                sum_4[i_1 * 4 + j] = 0.0
        # if parents[i] < 0:
        t_40 = parents[i]
        t_41 = t_40 < 0
        # moved = (absolute[i] @ inverse_base[i])[:3] @ base
        for i_1 in range(3):
            for j in range(4):
                t_2[i_1 * 4 + j] = sum_3[i_1 * 4 + j]
            stack_5[i_1] = 0.0
        for i_1 in range(4):
            for j in range(4):
                for k in range(4):
                    sum_4[i_1 * 4 + j] += t_2[i_1 * 4 + k] * inverse_base[(i * 4 + j) * 4 + k]
            for j in range(4):
                absolute[(i * 4 + i_1) * 4 + j] += sum_4[i_1 * 4 + j]
                stack_4[i_1 * 4 + j] = 0.0
        # if parents[i] < 0:
        if t_41:
            # absolute[i] = relative
            for i_1 in range(4):
                for j in range(4):
                    t_2[i_1 * 4 + j] = absolute[(i * 4 + i_1) * 4 + j]
                    absolute[(i * 4 + i_1) * 4 + j] = 0.0
        else:
            # absolute[i] = absolute[parents[i]] @ relative
            t_42 = t_40 + 22 if t_41 else t_40
            for i_1 in range(4):
                for j in range(4):
                    sum_4[i_1 * 4 + j] = absolute[(i * 4 + i_1) * 4 + j]
                    absolute[(i * 4 + i_1) * 4 + j] = 0.0
                    sum_5[i_1 * 4 + j] = 0.0
                    relative_bar[i_1 * 4 + j] = 0.0
                for j in range(4):
                    for k in range(4):
                        sum_5[i_1 * 4 + j] += sum_4[i_1 * 4 + k] * relative[j * 4 + k]
            for k in range(4):
                for i_1 in range(4):
                    for j in range(4):
                        relative_bar[i_1 * 4 + j] += sum_4[k * 4 + j] * absolute_saved[(i * 4 + k) * 4 + i_1]
                for j in range(4):
                    absolute[(t_42 * 4 + k) * 4 + j] += sum_5[k * 4 + j]
            # if parents[i] < 0:
            for i_1 in range(4):
                for j in range(4):
                    t_2[i_1 * 4 + j] = relative_bar[i_1 * 4 + j]
        # relative = base_relative[i] @ euler(rows[i + 3])
        blocks_2 = max(1, min(8, 4 * 4 * 4 // 2097152))
        run_product(blocks_2, blocks_2, 1, 0, 4, 4, 4, base_relative, 16 * i, 4, t_2, 0, 4, stack_4, 0, 4)
        # return np.array([
        t_43 = stack_4[2 * 4 + 1]
        t_44 = stack_4[2 * 4 + 2]
        t_45 = stack_4[1 * 4]
        t_46 = stack_4[1 * 4 + 1]
        t_47 = stack_4[1 * 4 + 2]
        t_48 = stack_4[0]
        t_49 = stack_4[1]
        t_50 = stack_4[2]
        # [cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz, 0.0],
        t_51 = t_47 * sz_1
        t_52 = t_46 * sz_1
        # [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t_53 = t_50 * cz_1
        t_54 = t_49 * cz_1
        # sx, sz, sy = np.sin(angles)
        sy_bar = t_51 * cx_1 - stack_4[2 * 4] + t_52 * sx_1 + t_53 * cx_1 + t_54 * sx_1
        stack_5[2] = sy_bar
        sz_bar = t_47 * t_39 + t_46 * t_38 + t_45 * cy_1 + t_50 * sx_1 - t_49 * cx_1
        stack_5[1] += sz_bar
        sx_bar = t_43 * cy_1 - t_47 * cz_1 + t_52 * sy_1 + t_50 * sz_1 + t_54 * sy_1
        stack_5[0] += sx_bar
        for i_1 in range(3):
            rows_bar[(i + 3) * 3 + i_1] += stack_5[i_1] * t[i_1]
            stack_6[i_1] = 0.0
        # cx, cz, cy = np.cos(angles)
        cy_bar = t_44 * cx_1 + t_43 * sx_1 + t_45 * sz_1 + t_48 * cz_1
        stack_6[2] = cy_bar
        cz_bar = t_46 * cx_1 - t_47 * sx_1 + t_50 * t_39 + t_49 * t_38 + t_48 * cy_1
        stack_6[1] += cz_bar
        cx_bar = t_44 * cy_1 + t_51 * sy_1 + t_46 * cz_1 + t_53 * sy_1 - t_49 * sz_1
        stack_6[0] += cx_bar
        for i_1 in range(3):
            rows_bar[(i + 3) * 3 + i_1] += -(stack_6[i_1] * t_1[i_1])
    # for _finger in range(5):
    for i in range(26):
        theta_bar[i] = 0.0
    for _finger in range(5 - 1, -1, -1):
        at_3 = at_saved[_finger]
        row_1 = row_saved[_finger]
        # rows[row, 0] = theta[at]
        t_56 = row_1 < 0
        t_55 = row_1 + 25 if t_56 else row_1
        t_58 = row_1 + 1 < 0
        t_57 = row_1 + 26 if t_58 else row_1 + 1
        t_60 = row_1 + 2 < 0
        t_59 = row_1 + 27 if t_60 else row_1 + 2
        t_61 = rows_bar[t_59 * 3]
        rows_bar[t_59 * 3] = 0.0
        t_63 = at_3 + 3 < 0
        t_62 = at_3 + 29 if t_63 else at_3 + 3
        theta_bar[t_62] += t_61
        t_64 = rows_bar[t_57 * 3]
        rows_bar[t_57 * 3] = 0.0
        t_66 = at_3 + 2 < 0
        t_65 = at_3 + 28 if t_66 else at_3 + 2
        theta_bar[t_65] += t_64
        # rows[row, 1] = theta[at]
        t_67 = rows_bar[t_55 * 3 + 1]
        rows_bar[t_55 * 3 + 1] = 0.0
        t_69 = at_3 + 1 < 0
        t_68 = at_3 + 27 if t_69 else at_3 + 1
        theta_bar[t_68] += t_67
        # rows[row, 0] = theta[at]
        t_70 = rows_bar[t_55 * 3]
        rows_bar[t_55 * 3] = 0.0
        t_72 = at_3 < 0
        t_71 = at_3 + 26 if t_72 else at_3
        theta_bar[t_71] += t_70
    # rows[2] = theta[3:6]
    for i in range(3):
        t_73 = rows_bar[2 * 3 + i]
        rows_bar[2 * 3 + i] = 0.0
        theta_bar[i + 3] += t_73
        rows_bar[1 * 3 + i] = 0.0
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
