"""kernels/ba.py: value and gradient by cams, points and weights: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    cams              f8[n, 11]                    input
    points            f8[m, 3]                     input
    weights           f8[p]                        input
    seen              i8[p, 2]                     input
    pixels            f8[p, 2]                     input
    n                 i8                           size
    m                 i8                           size
    p                 i8                           size
    out               f8                           result
    cams_bar          f8[n, 11]                    result
    points_bar        f8[m, 3]                     result
    weights_bar       f8[p]                        result
    cams_bar_parts    f8[16*chunks + 11*chunks*n]  scratch
    points_bar_parts  f8[16*chunks + 3*chunks*m]   scratch
    total_parts       f8[chunks, 16]               scratch
    t                 f8[19*chunks]                scratch
    result_bar        f8[19*chunks]                scratch
    result            f8[19*chunks]                scratch
    stack             f8[19*chunks]                scratch
    stack_1           f8[19*chunks]                scratch
    u                 f8[18*chunks]                scratch
    e                 f8[18*chunks]                scratch
    t_1               f8[18*chunks]                scratch
    e_bar             f8[18*chunks]                scratch
    t_2               f8[19*chunks]                scratch
    report            i8[0]                        result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 0 with size n (line 43)
    2  index out of bounds for axis 0 with size m (line 43)
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, p, chunks, n, m, cams_bar_parts, points_bar_parts, seen, weights, t, points, cams, result_bar, stack, result, stack_1, u, pixels, e, t_1, e_bar, weights_bar, t_2, total_parts):
    for chunk in range(begin, end):
        first = chunk * p // chunks
        last = (chunk + 1) * p // chunks
        at = 19 * chunk
        at_1 = 18 * chunk
        at_2 = (11 * n + 16) * chunk
        at_3 = (3 * m + 16) * chunk
        total_1 = 0.0
        for i in range(11 * n * min(1, chunks - 1)):
            cams_bar_parts[at_2 + i] = 0.0
        for i in range(3 * m * min(1, chunks - 1)):
            points_bar_parts[at_3 + i] = 0.0
        for turn in range(last - first):
            k_1 = first + turn
            # i, j = seen[k, 0], seen[k, 1]
            base = k_1 * 2
            i_1 = seen[base]
            j_1 = seen[base + 1]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            t_7 = weights[k_1]
            t_9 = i_1 < 0
            t_8 = i_1 + n if t_9 else i_1
            t_11 = j_1 < 0
            t_10 = j_1 + m if t_11 else j_1
            # square = np.sum(axis * axis)
            square = 0.0
            # p = rotate(cam[0:3], x - cam[3:6])
            cams_row = t_8 * 11
            for i in range(3):
                t[at + i] = points[t_10 * 3 + i] - cams[cams_row + i + 3]
                t_12 = cams[cams_row + i]
                square += t_12 * t_12
                result_bar[at + i] = 0.0
            # if square == 0.0:
            if square == 0.0:
                # return x + np.cross(axis, x)
                t_13 = cams[cams_row]
                t_14 = cams[cams_row + 1]
                t_15 = cams[cams_row + 2]
                t_16 = t[at]
                t_17 = t[at + 1]
                t_18 = t[at + 2]
                stack[at] = t_14 * t_18 - t_15 * t_17
                stack[at + 1] = t_15 * t_16 - t_13 * t_18
                stack[at + 2] = t_13 * t_17 - t_14 * t_16
                # if square == 0.0:
                for i in range(3):
                    result[at + i] = t[at + i] + stack[at + i]
            else:
                # theta = np.sqrt(square)
                theta = math.sqrt(square)
                # c, s = np.cos(theta), np.sin(theta)
                c = math.cos(theta)
                s = math.sin(theta)
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                sum_1 = 0.0
                # w = axis / theta
                for i in range(3):
                    stack[at + i] = cams[cams_row + i] / theta
                    sum_1 += stack[at + i] * t[at + i]
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                t_19 = stack[at]
                t_20 = stack[at + 1]
                t_21 = stack[at + 2]
                t_22 = t[at]
                t_23 = t[at + 1]
                t_24 = t[at + 2]
                stack_1[at] = t_20 * t_24 - t_21 * t_23
                stack_1[at + 1] = t_21 * t_22 - t_19 * t_24
                stack_1[at + 2] = t_19 * t_23 - t_20 * t_22
                t_25 = sum_1 * (1.0 - c)
                # if square == 0.0:
                for i in range(3):
                    result[at + i] = t[at + i] * c + stack_1[at + i] * s + stack[at + i] * t_25
            # u = p[0:2] / p[2]
            t_26 = result[at + 2]
            # square = np.sum(u * u)
            square_1 = 0.0
            # u = p[0:2] / p[2]
            for i in range(2):
                u[at_1 + i] = result[at + i] / t_26
                t_27 = u[at_1 + i]
                square_1 += t_27 * t_27
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_28 = 1.0 + cams[cams_row + 9] * square_1 + cams[cams_row + 10] * square_1 * square_1
            # return distorted * cam[6] + cam[7:9]
            t_29 = cams[cams_row + 6]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            for i in range(2):
                t_30 = u[at_1 + i] * t_28 * t_29 + cams[cams_row + i + 7] - pixels[base + i]
                e[at_1 + i] = t_7 * t_30
                t_1[at_1 + i] = t_30
                e_bar[at_1 + i] = 0.0
            # for k in range(len(weights)):
            t_31 = 1.0 - t_7 * t_7
            t_32 = e[at_1]
            t_33 = e[at_1 + 1]
            total_1 += t_32 * t_32 + t_33 * t_33 + t_31 * t_31
            # if square == 0.0:
            t_34 = square == 0.0
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_35 = cams[cams_row + 9]
            t_36 = cams[cams_row + 10]
            t_37 = t_36 * square_1
            # total += e[0] ** 2 + e[1] ** 2 + (1.0 - weights[k] ** 2) ** 2
            t_38 = -(0.5 * (2.0 * t_31) * (2.0 * t_7))
            weights_bar[k_1] = t_38
            t_39 = 0.5 * (2.0 * (t_7 * t_1[at_1 + 1]))
            e_bar[at_1 + 1] = t_39
            t_40 = 0.5 * (2.0 * (t_7 * t_1[at_1]))
            e_bar[at_1] += t_40
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            sum_2 = 0.0
            # return distorted * cam[6] + cam[7:9]
            sum_3 = 0.0
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            sum_4 = 0.0
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            cams_bar_parts_row = at_2 + 11 * t_8
            for i in range(2):
                sum_2 += e_bar[at_1 + i] * t_1[at_1 + i]
                cams_bar_parts[cams_bar_parts_row + i + 7] += e_bar[at_1 + i] * t_7
                e[at_1 + i] = e_bar[at_1 + i] * t_7 * t_29
                sum_3 += e_bar[at_1 + i] * t_7 * (u[at_1 + i] * t_28)
                sum_4 += e[at_1 + i] * u[at_1 + i]
            # return distorted * cam[6] + cam[7:9]
            cams_bar_parts[cams_bar_parts_row + 6] += sum_3
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_41 = sum_4 * square_1
            t_42 = t_41 * square_1
            cams_bar_parts[cams_bar_parts_row + 10] += t_42
            square_bar = sum_4 * t_37 + t_41 * t_36 + sum_4 * t_35
            cams_bar_parts[cams_bar_parts_row + 9] += t_41
            # u = p[0:2] / p[2]
            sum_5 = 0.0
            t_43 = 1.0 / t_26
            # square = np.sum(u * u)
            for i in range(2):
                t_44 = square_bar * u[at_1 + i]
                u_bar = e[at_1 + i] * t_28 + t_44 + t_44
                sum_5 += -(u_bar * (u[at_1 + i] / t_26))
                result_bar[at + i] = u_bar * t_43
            # u = p[0:2] / p[2]
            result_bar[at + 2] += sum_5
            # if square == 0.0:
            if t_34:
                # return x + np.cross(axis, x)
                t_45 = cams[cams_row]
                t_46 = cams[cams_row + 1]
                t_47 = cams[cams_row + 2]
                t_48 = t[at]
                t_49 = t[at + 1]
                t_50 = t[at + 2]
                t_51 = result_bar[at]
                t_52 = result_bar[at + 1]
                t_53 = result_bar[at + 2]
                t_54 = t_51 * t_46 - t_52 * t_45
                result_bar[at + 2] += t_54
                t_55 = t_53 * t_45 - t_51 * t_47
                result_bar[at + 1] += t_55
                t_56 = t_52 * t_47 - t_53 * t_46
                result_bar[at] += t_56
                t_57 = t_52 * t_48 - t_51 * t_49
                for i in range(3):
                    result[at + i] = 0.0
                result[at + 2] = t_57
                t_58 = t_51 * t_50 - t_53 * t_48
                result[at + 1] += t_58
                t_59 = t_53 * t_49 - t_52 * t_50
                result[at] += t_59
                for i in range(3):
                    cams_bar_parts[cams_bar_parts_row + i] += result[at + i]
                # if square == 0.0:
                square_bar_1 = 0.0
            else:
                # theta = np.sqrt(square)
                theta_1 = math.sqrt(square)
                # c, s = np.cos(theta), np.sin(theta)
                c_1 = math.cos(theta_1)
                s_1 = math.sin(theta_1)
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                sum_6 = 0.0
                sum_7 = 0.0
                # w = axis / theta
                for i in range(3):
                    result[at + i] = cams[cams_row + i] / theta_1
                    sum_6 += result[at + i] * t[at + i]
                    sum_7 += result_bar[at + i] * result[at + i]
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                t_60 = result[at]
                t_61 = result[at + 1]
                t_62 = result[at + 2]
                t_63 = t[at]
                t_64 = t[at + 1]
                t_65 = t[at + 2]
                stack[at] = t_61 * t_65 - t_62 * t_64
                stack[at + 1] = t_62 * t_63 - t_60 * t_65
                stack[at + 2] = t_60 * t_64 - t_61 * t_63
                t_66 = 1.0 - c_1
                t_67 = sum_6 * t_66
                t_68 = sum_7 * t_66
                s_bar = 0.0
                sum_8 = 0.0
                for i in range(3):
                    stack_1[at + i] = result_bar[at + i] * t_67 + t_68 * t[at + i]
                    s_bar += result_bar[at + i] * stack[at + i]
                    t_2[at + i] = t_68 * result[at + i]
                    sum_8 += result_bar[at + i] * t[at + i]
                t_69 = result_bar[at] * s_1
                t_70 = result_bar[at + 1] * s_1
                t_71 = result_bar[at + 2] * s_1
                t_72 = t_69 * t_61 - t_70 * t_60
                t_2[at + 2] += t_72
                t_73 = t_71 * t_60 - t_69 * t_62
                t_2[at + 1] += t_73
                t_74 = t_70 * t_62 - t_71 * t_61
                t_2[at] += t_74
                t_75 = t_70 * t_63 - t_69 * t_64
                stack_1[at + 2] += t_75
                t_76 = t_69 * t_65 - t_71 * t_63
                stack_1[at + 1] += t_76
                t_77 = t_71 * t_64 - t_70 * t_65
                stack_1[at] += t_77
                # w = axis / theta
                t_78 = 1.0 / theta_1
                theta_bar = 0.0
                for i in range(3):
                    theta_bar += -(stack_1[at + i] * (result[at + i] / theta_1))
                    cams_bar_parts[cams_bar_parts_row + i] += stack_1[at + i] * t_78
                    result_bar[at + i] = t_2[at + i] + result_bar[at + i] * c_1
                # if square == 0.0:
                square_bar_1 = (theta_bar + s_bar * c_1 - (sum_8 - sum_7 * sum_6) * s_1) * (0.5 / theta_1)
            # square = np.sum(axis * axis)
            for i in range(3):
                cams_bar_parts[cams_bar_parts_row + i] += square_bar_1 * cams[cams_row + i]
                cams_bar_parts[cams_bar_parts_row + i] += square_bar_1 * cams[cams_row + i]
                cams_bar_parts[cams_bar_parts_row + i + 3] += -result_bar[at + i]
                points_bar_parts[at_3 + i + 3 * t_10] += result_bar[at + i]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            weights_bar[k_1] += sum_2
        total_parts[chunk * 16] = total_1
    return 0


def loss_value_and_grad(cams, points, weights, seen, pixels, n, m, p, out, cams_bar, points_bar, weights_bar, cams_bar_parts, points_bar_parts, total_parts, t, result_bar, result, stack, stack_1, u, e, t_1, e_bar, t_2, report):
    # for k in range(len(weights)):
    for k in range(p):
        # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        t_3 = seen[k * 2]
        t_4 = t_3 < 0
        if not ((t_3 + n if t_4 else t_3) >= 0) & ((t_3 + n if t_4 else t_3) < n):
            return 1
        t_5 = seen[k * 2 + 1]
        t_6 = t_5 < 0
        if not ((t_5 + m if t_6 else t_5) >= 0) & ((t_5 + m if t_6 else t_5) < m):
            return 2
    # for k in range(len(weights)):
    total = 0.0
    for i in range(n):
        for j in range(11):
            cams_bar[i * 11 + j] = 0.0
    for i in range(m):
        for j in range(3):
            points_bar[i * 3 + j] = 0.0
    chunks = max(1, min(p, 2 * min(max(2, min(8, 2097152 // (24 * m + 88 * n))), 795 * p // (2 * max(131072, 96 * m + 352 * n)))))
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, p, chunks, n, m, cams_bar, points_bar, seen, weights, t, points, cams, result_bar, stack, result, stack_1, u, pixels, e, t_1, e_bar, weights_bar, t_2, total_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, p, chunks, n, m, cams_bar_parts, points_bar_parts, seen, weights, t, points, cams, result_bar, stack, result, stack_1, u, pixels, e, t_1, e_bar, weights_bar, t_2, total_parts)
    if code != 0:
        return code
    # for k in range(len(weights)):
    for chunk in range(chunks):
        total += total_parts[chunk * 16]
        for i in range(11 * n * min(1, chunks - 1)):
            cams_bar[i] += cams_bar_parts[(11 * n + 16) * chunk + i]
        for i in range(3 * m * min(1, chunks - 1)):
            points_bar[i] += points_bar_parts[(3 * m + 16) * chunk + i]
    out[0] = 0.5 * total
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
