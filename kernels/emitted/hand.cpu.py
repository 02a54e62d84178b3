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
    stack_1         f8[4, 4]                  scratch
    relative        f8[4, 4]                  scratch
    t_2             f8[4]                     scratch
    t_3             f8[20*chunks]             scratch
    result          f8[3, 3]                  scratch
    cross           f8[3, 3]                  scratch
    vertices        f8[3, v]                  scratch
    vertices_bar    f8[3, v]                  scratch
    rows_bar        f8[25, 3]                 scratch
    result_bar      f8[3, 3]                  scratch
    cross_bar       f8[3, 3]                  scratch
    sum_1           f8[3, 4]                  scratch
    moved_bar       f8[16*chunks + chunks*v]  scratch
    t_4             f8[4, 4]                  scratch
    t_5             f8[3]                     scratch
    t_6             f8[3]                     scratch
    report          i8[0]                     result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 0 with size 22 (line 74)
    2  index out of bounds for axis 1 with size v (line 85)
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, chunks, i, absolute, inverse_base, inverse_base_row, t_3, v, base, positions, weights):
    for chunk in range(begin, end):
        first = 3 * chunk // chunks
        last = (3 * chunk + 3) // chunks
        at = 20 * chunk
        for turn in range(last - first):
            i_2 = first + turn
            absolute_row_1 = (i * 4 + i_2) * 4
            for j in range(4):
                t_20 = absolute[absolute_row_1] * inverse_base[inverse_base_row + j] + absolute[absolute_row_1 + 1] * inverse_base[inverse_base_row + j + 4]
                t_3[at + j] = t_20 + absolute[absolute_row_1 + 2] * inverse_base[inverse_base_row + j + 8] + absolute[absolute_row_1 + 3] * inverse_base[inverse_base_row + j + 12]
            # for i in range(BONES):
            for j in range(v):
                t_21 = t_3[at] * base[j] + t_3[at + 1] * base[v + j] + t_3[at + 2] * base[2 * v + j] + t_3[at + 3] * base[3 * v + j]
                positions[i_2 * v + j] += weights[i * v + j] * t_21
    return 0


def loss_value_and_grad_part_1(begin, end, worker, chunks_1, cross, result, rows, v, positions, vertices, vertices_bar, t):
    for chunk in range(begin, end):
        first_1 = 3 * chunk // chunks_1
        last_1 = (3 * chunk + 3) // chunks_1
        for turn in range(last_1 - first_1):
            i_3 = first_1 + turn
            base_2 = i_3 * 3
            for j in range(3):
                cross[base_2 + j] = result[base_2 + j] * rows[j + 3]
            for j in range(v):
                t_26 = cross[base_2] * positions[j] + cross[base_2 + 1] * positions[v + j] + cross[base_2 + 2] * positions[2 * v + j]
                vertices[i_3 * v + j] = t_26 + rows[i_3 + 6]
                vertices_bar[i_3 * v + j] = 0.0
            t[i_3] = 0.0
    return 0


def loss_value_and_grad_part_2(begin, end, worker, chunks_2, v, vertices_bar, positions, cross, rows_bar, t):
    for chunk in range(begin, end):
        first_2 = 3 * chunk // chunks_2
        last_2 = (3 * chunk + 3) // chunks_2
        for turn in range(last_2 - first_2):
            i_4 = first_2 + turn
            sum_4 = 0.0
            for j in range(v):
                sum_4 += vertices_bar[i_4 * v + j]
                positions[i_4 * v + j] = vertices_bar[j] * cross[i_4] + vertices_bar[v + j] * cross[i_4 + 3] + vertices_bar[2 * v + j] * cross[i_4 + 6]
            sum_5 = sum_4
            rows_bar[i_4 + 6] = sum_5
            rows_bar[i_4 + 3] += t[i_4]
    return 0


def loss_value_and_grad_part_3(begin, end, worker, chunks_3, v, t, rows, base_6, t_1, moved_bar, positions, weights, i, sum_1, base):
    for chunk in range(begin, end):
        first_3 = 3 * chunk // chunks_3
        last_3 = (3 * chunk + 3) // chunks_3
        at_1 = (v + 16) * chunk
        for turn in range(last_3 - first_3):
            i_5 = first_3 + turn
            t[i_5] = math.cos(rows[base_6 + i_5 + 9])
            t_1[i_5] = math.sin(rows[base_6 + i_5 + 9])
            # positions += weights[i] * moved
            for j in range(v):
                moved_bar[at_1 + j] = positions[i_5 * v + j] * weights[i * v + j]
            # moved = (absolute[i] @ inverse_base[i])[:3] @ base
            for j in range(4):
                sum_1[i_5 * 4 + j] = 0.0
            for j in range(4):
                for k in range(v):
                    sum_1[i_5 * 4 + j] += moved_bar[at_1 + k] * base[j * v + k]
    return 0


def loss_value_and_grad(theta, parents, base_relative, inverse_base, base, weights, matches, points, v, p, out, theta_bar, rows, positions, stack, absolute, absolute_saved, t, t_1, stack_1, relative, t_2, t_3, result, cross, vertices, vertices_bar, rows_bar, result_bar, cross_bar, sum_1, moved_bar, t_4, t_5, t_6, report):
    # for k in range(len(matches)):
    for k in range(p):
        # e = points[k] - vertices[:, matches[k]]
        t_7 = matches[k]
        t_8 = t_7 < 0
        if not ((t_7 + v if t_8 else t_7) >= 0) & ((t_7 + v if t_8 else t_7) < v):
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
        t_9 = theta[theta_row + 6]
        rows_row = 4 * _finger * 3
        rows[rows_row + 15] = t_9
        # rows[row, 1] = theta[at]
        t_10 = theta[theta_row + 7]
        rows[rows_row + 16] = t_10
        # rows[row, 0] = theta[at]
        t_11 = theta[theta_row + 8]
        rows[rows_row + 18] = t_11
        t_12 = theta[theta_row + 9]
        rows[rows_row + 21] = t_12
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
        t_13 = sx * sy
        t_14 = cx * sy
        # return np.array([
        stack_1[0] = cy * cz
        stack_1[1] = t_13 * cz - cx * sz
        stack_1[2] = sx * sz + t_14 * cz
        stack_1[3] = 0.0
        stack_1[4] = cy * sz
        stack_1[5] = cx * cz + t_13 * sz
        stack_1[6] = t_14 * sz - sx * cz
        stack_1[7] = 0.0
        stack_1[8] = -sy
        stack_1[9] = sx * cy
        stack_1[10] = cx * cy
        stack_1[11] = 0.0
        for i_1 in range(4):
            stack_1[i_1 + 12] = stack[i_1]
        # relative = base_relative[i] @ euler(rows[i + 3])
        for i_1 in range(4):
            base_relative_row = (i * 4 + i_1) * 4
            for j in range(4):
                t_15 = base_relative[base_relative_row] * stack_1[j] + base_relative[base_relative_row + 1] * stack_1[j + 4]
                relative[i_1 * 4 + j] = t_15 + base_relative[base_relative_row + 2] * stack_1[j + 8] + base_relative[base_relative_row + 3] * stack_1[j + 12]
        # if parents[i] < 0:
        t_16 = parents[i]
        t_17 = t_16 < 0
        if t_17:
            # absolute[i] = relative
            for i_1 in range(4):
                for j in range(4):
                    absolute[(i * 4 + i_1) * 4 + j] = relative[i_1 * 4 + j]
                    stack_1[i_1 * 4 + j] = 0.0
        else:
            # absolute[i] = absolute[parents[i]] @ relative
            t_18 = t_16 + 22 if t_17 else t_16
            if not (t_18 >= 0) & (t_18 < 22):
                return 1
            for i_1 in range(4):
                absolute_row = (t_18 * 4 + i_1) * 4
                for j in range(4):
                    stack_1[i_1 * 4 + j] = absolute[absolute_row + j]
                    t_19 = absolute[absolute_row] * relative[j] + absolute[absolute_row + 1] * relative[j + 4] + absolute[absolute_row + 2] * relative[j + 8]
                    t_2[j] = t_19 + absolute[absolute_row + 3] * relative[j + 12]
                for j in range(4):
                    absolute[(i * 4 + i_1) * 4 + j] = t_2[j]
        # moved = (absolute[i] @ inverse_base[i])[:3] @ base
        chunks = max(1, min(3, 2 * min(8, (54 * v + 192) // 262144)))
        inverse_base_row = i * 4 * 4
        code = run_loss_value_and_grad_part(chunks, chunks, i, absolute, inverse_base, inverse_base_row, t_3, v, base, positions, weights)
        if code != 0:
            return code
        for i_1 in range(4):
            for j in range(4):
                absolute_saved[(i * 4 + i_1) * 4 + j] = stack_1[i_1 * 4 + j]
    # angle = np.sqrt(np.sum(axis**2))
    sum_2 = 0.0
    for i in range(3):
        t_22 = rows[i]
        sum_2 += t_22 * t_22
    angle = math.sqrt(sum_2)
    # if angle < 1e-4:
    t_23 = angle < 0.0001
    if t_23:
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
        cross[0] = 0.0
        cross[1] = -z
        cross[2] = y
        cross[3] = z
        cross[4] = 0.0
        cross[5] = -x
        cross[6] = -y
        cross[7] = x
        cross[8] = 0.0
        # return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)
        t_24 = 1.0 - math.cos(angle)
        # if angle < 1e-4:
        for i in range(3):
            base_1 = i * 3
            for j in range(3):
                t_25 = cross[base_1] * cross[j] + cross[base_1 + 1] * cross[j + 3] + cross[base_1 + 2] * cross[j + 6]
                result[base_1 + j] = np.float64(i == j) + s * cross[base_1 + j] + t_24 * t_25
    # return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]
    chunks_1 = max(1, min(3, 2 * min(8, (45 * v + 39) // 262144)))
    code_1 = run_loss_value_and_grad_part_1(chunks_1, chunks_1, cross, result, rows, v, positions, vertices, vertices_bar, t)
    if code_1 != 0:
        return code_1
    # for k in range(len(matches)):
    total = 0.0
    for k in range(p):
        # e = points[k] - vertices[:, matches[k]]
        t_27 = matches[k]
        t_29 = t_27 < 0
        t_28 = t_27 + v if t_29 else t_27
        # total += np.dot(e, e)
        sum_3 = 0.0
        for i in range(3):
            base_3 = i * v + t_28
            t_30 = points[k * 3 + i] - vertices[base_3]
            sum_3 += t_30 * t_30
            vertices_bar[base_3] += -(2.0 * (0.5 * t_30))
        # for k in range(len(matches)):
        total += sum_3
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
            result_bar[i * 3 + j] = t_1[j] * rows[j + 3]
            t[j] += t_1[j] * result[i * 3 + j]
    chunks_2 = max(1, min(3, 2 * min(8, (42 * v + 15) // 262144)))
    code_2 = run_loss_value_and_grad_part_2(chunks_2, chunks_2, v, vertices_bar, positions, cross, rows_bar, t)
    if code_2 != 0:
        return code_2
    # if angle < 1e-4:
    if t_23:
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
        result[0] = 0.0
        result[1] = -z_1
        result[2] = y_1
        result[3] = z_1
        result[4] = 0.0
        result[5] = -x_1
        result[6] = -y_1
        result[7] = x_1
        result[8] = 0.0
        # return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)
        t_31 = 1.0 - c
        sum_6 = 0.0
        for i in range(3):
            base_4 = i * 3
            for j in range(3):
                t_32 = result[base_4] * result[j] + result[base_4 + 1] * result[j + 3] + result[base_4 + 2] * result[j + 6]
                sum_6 += result_bar[base_4 + j] * t_32
                cross[base_4 + j] = result_bar[base_4 + j] * t_31
        s_bar = 0.0
        for i in range(3):
            base_5 = i * 3
            for j in range(3):
                result_row = j * 3
                t_33 = cross[base_5] * result[result_row] + cross[base_5 + 1] * result[result_row + 1] + cross[base_5 + 2] * result[result_row + 2]
                t_34 = cross[j] * result[i] + cross[j + 3] * result[i + 3] + cross[j + 6] * result[i + 6]
                cross_bar[base_5 + j] = t_33 + t_34 + result_bar[base_5 + j] * s_1
                s_bar += result_bar[base_5 + j] * result[base_5 + j]
            t_1[i] = 0.0
        # x, y, z = axis / angle
        z_bar = cross_bar[3] - cross_bar[1]
        t_1[2] = z_bar
        y_bar = cross_bar[2] - cross_bar[6]
        t_1[1] += y_bar
        x_bar = cross_bar[7] - cross_bar[5]
        t_1[0] += x_bar
        t_35 = 1.0 / angle
        sum_7 = 0.0
        for i in range(3):
            sum_7 += -(t_1[i] * (t[i] / angle))
            rows_bar[i] += t_1[i] * t_35
        # if angle < 1e-4:
        angle_bar = s_bar * c - -sum_6 * s_1 + sum_7
    # angle = np.sqrt(np.sum(axis**2))
    t_36 = angle_bar * (0.5 / angle)
    for i in range(3):
        rows_bar[i] += t_36 * (2.0 * rows[i])
    # for i in range(BONES):
    for i in range(22):
        for j in range(4):
            for k in range(4):
                absolute[(i * 4 + j) * 4 + k] = 0.0
    for i in range(22 - 1, -1, -1):
        # cx, cz, cy = np.cos(angles)
        chunks_3 = max(1, min(3, 2 * min(8, (60 * v + 72) // 262144)))
        base_6 = i * 3
        code_3 = run_loss_value_and_grad_part_3(chunks_3, chunks_3, v, t, rows, base_6, t_1, moved_bar, positions, weights, i, sum_1, base)
        if code_3 != 0:
            return code_3
        # cx, cz, cy = np.cos(angles)
        cx_1 = t[0]
        cz_1 = t[1]
        cy_1 = t[2]
        # sx, sz, sy = np.sin(angles)
        sx_1 = t_1[0]
        sz_1 = t_1[1]
        sy_1 = t_1[2]
        # [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t_37 = sx_1 * sy_1
        t_38 = cx_1 * sy_1
        # return np.array([
        stack_1[0] = cy_1 * cz_1
        stack_1[1] = t_37 * cz_1 - cx_1 * sz_1
        stack_1[2] = sx_1 * sz_1 + t_38 * cz_1
        stack_1[3] = 0.0
        stack_1[4] = cy_1 * sz_1
        stack_1[5] = cx_1 * cz_1 + t_37 * sz_1
        stack_1[6] = t_38 * sz_1 - sx_1 * cz_1
        stack_1[7] = 0.0
        stack_1[8] = -sy_1
        stack_1[9] = sx_1 * cy_1
        stack_1[10] = cx_1 * cy_1
        stack_1[11] = 0.0
        for i_1 in range(4):
            stack_1[i_1 + 12] = stack[i_1]
        # relative = base_relative[i] @ euler(rows[i + 3])
        for i_1 in range(4):
            base_relative_row_1 = (i * 4 + i_1) * 4
            for j in range(4):
                t_39 = base_relative[base_relative_row_1] * stack_1[j] + base_relative[base_relative_row_1 + 1] * stack_1[j + 4]
                relative[i_1 * 4 + j] = t_39 + base_relative[base_relative_row_1 + 2] * stack_1[j + 8] + base_relative[base_relative_row_1 + 3] * stack_1[j + 12]
                t_4[i_1 * 4 + j] = 0.0
        # if parents[i] < 0:
        t_40 = parents[i]
        t_41 = t_40 < 0
        # moved = (absolute[i] @ inverse_base[i])[:3] @ base
        for i_1 in range(3):
            for j in range(4):
                t_4[i_1 * 4 + j] = sum_1[i_1 * 4 + j]
            t_5[i_1] = 0.0
        for i_1 in range(4):
            t_row = i_1 * 4
            for j in range(4):
                inverse_base_row_1 = (i * 4 + j) * 4
                t_42 = t_4[t_row] * inverse_base[inverse_base_row_1] + t_4[t_row + 1] * inverse_base[inverse_base_row_1 + 1]
                absolute[(i * 4 + i_1) * 4 + j] += t_42 + t_4[t_row + 2] * inverse_base[inverse_base_row_1 + 2] + t_4[t_row + 3] * inverse_base[inverse_base_row_1 + 3]
        # if parents[i] < 0:
        base_7 = i * 4 * 4
        if t_41:
            # absolute[i] = relative
            for i_1 in range(4):
                absolute_row_2 = (i * 4 + i_1) * 4
                for j in range(4):
                    stack_1[i_1 * 4 + j] = absolute[absolute_row_2 + j]
                    absolute[absolute_row_2 + j] = 0.0
        else:
            # absolute[i] = absolute[parents[i]] @ relative
            t_43 = t_40 + 22 if t_41 else t_40
            for i_1 in range(4):
                t_row_1 = i_1 * 4
                absolute_row_3 = (i * 4 + i_1) * 4
                for j in range(4):
                    t_4[t_row_1 + j] = absolute[absolute_row_3 + j]
                    absolute[absolute_row_3 + j] = 0.0
                for j in range(4):
                    relative_row = j * 4
                    t_44 = t_4[t_row_1] * relative[relative_row] + t_4[t_row_1 + 1] * relative[relative_row + 1]
                    absolute[(t_43 * 4 + i_1) * 4 + j] += t_44 + t_4[t_row_1 + 2] * relative[relative_row + 2] + t_4[t_row_1 + 3] * relative[relative_row + 3]
            # if parents[i] < 0:
            for i_1 in range(4):
                for j in range(4):
                    t_45 = t_4[j] * absolute_saved[base_7 + i_1] + t_4[j + 4] * absolute_saved[base_7 + i_1 + 4]
                    stack_1[i_1 * 4 + j] = t_45 + t_4[j + 8] * absolute_saved[base_7 + i_1 + 8] + t_4[j + 12] * absolute_saved[base_7 + i_1 + 12]
        # relative = base_relative[i] @ euler(rows[i + 3])
        for i_1 in range(4):
            for j in range(4):
                t_46 = stack_1[j] * base_relative[base_7 + i_1] + stack_1[j + 4] * base_relative[base_7 + i_1 + 4]
                relative[i_1 * 4 + j] = t_46 + stack_1[j + 8] * base_relative[base_7 + i_1 + 8] + stack_1[j + 12] * base_relative[base_7 + i_1 + 12]
        # return np.array([
        t_47 = relative[9]
        t_48 = relative[10]
        t_49 = relative[4]
        t_50 = relative[5]
        t_51 = relative[6]
        t_52 = relative[0]
        t_53 = relative[1]
        t_54 = relative[2]
        # [cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz, 0.0],
        t_55 = t_51 * sz_1
        t_56 = t_50 * sz_1
        # [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t_57 = t_54 * cz_1
        t_58 = t_53 * cz_1
        # sx, sz, sy = np.sin(angles)
        sy_bar = t_55 * cx_1 - relative[8] + t_56 * sx_1 + t_57 * cx_1 + t_58 * sx_1
        t_5[2] = sy_bar
        sz_bar = t_51 * t_38 + t_50 * t_37 + t_49 * cy_1 + t_54 * sx_1 - t_53 * cx_1
        t_5[1] += sz_bar
        sx_bar = t_47 * cy_1 - t_51 * cz_1 + t_56 * sy_1 + t_54 * sz_1 + t_58 * sy_1
        t_5[0] += sx_bar
        for i_1 in range(3):
            rows_bar[base_6 + i_1 + 9] += t_5[i_1] * t[i_1]
            t_6[i_1] = 0.0
        # cx, cz, cy = np.cos(angles)
        cy_bar = t_48 * cx_1 + t_47 * sx_1 + t_49 * sz_1 + t_52 * cz_1
        t_6[2] = cy_bar
        cz_bar = t_50 * cx_1 - t_51 * sx_1 + t_54 * t_38 + t_53 * t_37 + t_52 * cy_1
        t_6[1] += cz_bar
        cx_bar = t_48 * cy_1 + t_55 * sy_1 + t_50 * cz_1 + t_57 * sy_1 - t_53 * sz_1
        t_6[0] += cx_bar
        for i_1 in range(3):
            rows_bar[base_6 + i_1 + 9] += -(t_6[i_1] * t_1[i_1])
    # for _finger in range(5):
    for i in range(26):
        theta_bar[i] = 0.0
    for _finger in range(5 - 1, -1, -1):
        # rows[row, 0] = theta[at]
        rows_bar_row = 4 * _finger * 3
        t_59 = rows_bar[rows_bar_row + 21]
        rows_bar[rows_bar_row + 21] = 0.0
        theta_bar_row = 4 * _finger
        theta_bar[theta_bar_row + 9] += t_59
        t_60 = rows_bar[rows_bar_row + 18]
        rows_bar[rows_bar_row + 18] = 0.0
        theta_bar[theta_bar_row + 8] += t_60
        # rows[row, 1] = theta[at]
        t_61 = rows_bar[rows_bar_row + 16]
        rows_bar[rows_bar_row + 16] = 0.0
        theta_bar[theta_bar_row + 7] += t_61
        # rows[row, 0] = theta[at]
        t_62 = rows_bar[rows_bar_row + 15]
        rows_bar[rows_bar_row + 15] = 0.0
        theta_bar[theta_bar_row + 6] += t_62
    # rows[2] = theta[3:6]
    for i in range(3):
        t_63 = rows_bar[i + 6]
        rows_bar[i + 6] = 0.0
        theta_bar[i + 3] += t_63
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
