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
    total_parts       f8[chunks, 16]               scratch
    t                 f8[19*chunks]                scratch
    result            f8[19*chunks]                scratch
    stack             f8[19*chunks]                scratch
    stack_1           f8[19*chunks]                scratch
    u                 f8[18*chunks]                scratch
    e                 f8[18*chunks]                scratch
    cams_bar_parts    f8[16*chunks + 11*chunks*n]  scratch
    points_bar_parts  f8[16*chunks + 3*chunks*m]   scratch
    t_1               f8[19*chunks]                scratch
    result_bar        f8[19*chunks]                scratch
    result_1          f8[19*chunks]                scratch
    stack_2           f8[19*chunks]                scratch
    stack_3           f8[19*chunks]                scratch
    u_1               f8[18*chunks]                scratch
    t_2               f8[18*chunks]                scratch
    e_bar             f8[18*chunks]                scratch
    distorted_bar     f8[18*chunks]                scratch
    t_3               f8[19*chunks]                scratch
    report            i8[0]                        result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 0 with size n (line 43)
    2  index out of bounds for axis 0 with size m (line 43)
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, p, chunks, seen, weights, n, m, t, points, cams, stack, result, stack_1, u, e, pixels, total_parts):
    for chunk in range(begin, end):
        first = chunk * p // chunks
        last = (chunk * p + p) // chunks
        at = 19 * chunk
        at_1 = 18 * chunk
        total_1 = 0.0
        for turn in range(last - first):
            k = first + turn
            # i, j = seen[k, 0], seen[k, 1]
            i = seen[k * 2]
            j = seen[k * 2 + 1]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            t_4 = weights[k]
            t_6 = i < 0
            t_5 = i + n if t_6 else i
            if not (t_5 >= 0) & (t_5 < n):
                return 1
            t_8 = j < 0
            t_7 = j + m if t_8 else j
            if not (t_7 >= 0) & (t_7 < m):
                return 2
            # square = np.sum(axis * axis)
            square = 0.0
            # p = rotate(cam[0:3], x - cam[3:6])
            for i_1 in range(3):
                t[at + i_1] = points[t_7 * 3 + i_1] - cams[t_5 * 11 + i_1 + 3]
                t_9 = cams[t_5 * 11 + i_1]
                square += t_9 * t_9
            # if square == 0.0:
            if square == 0.0:
                # return x + np.cross(axis, x)
                t_10 = cams[t_5 * 11]
                t_11 = cams[t_5 * 11 + 1]
                t_12 = cams[t_5 * 11 + 2]
                t_13 = t[at]
                t_14 = t[at + 1]
                t_15 = t[at + 2]
                stack[at] = t_11 * t_15 - t_12 * t_14
                stack[at + 1] = t_12 * t_13 - t_10 * t_15
                stack[at + 2] = t_10 * t_14 - t_11 * t_13
                # if square == 0.0:
                for i_1 in range(3):
                    result[at + i_1] = t[at + i_1] + stack[at + i_1]
            else:
                # theta = np.sqrt(square)
                theta = math.sqrt(square)
                # c, s = np.cos(theta), np.sin(theta)
                c = math.cos(theta)
                s = math.sin(theta)
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                sum_1 = 0.0
                # w = axis / theta
                for i_1 in range(3):
                    stack[at + i_1] = cams[t_5 * 11 + i_1] / theta
                    sum_1 += stack[at + i_1] * t[at + i_1]
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                t_16 = stack[at]
                t_17 = stack[at + 1]
                t_18 = stack[at + 2]
                t_19 = t[at]
                t_20 = t[at + 1]
                t_21 = t[at + 2]
                stack_1[at] = t_17 * t_21 - t_18 * t_20
                stack_1[at + 1] = t_18 * t_19 - t_16 * t_21
                stack_1[at + 2] = t_16 * t_20 - t_17 * t_19
                t_22 = sum_1 * (1.0 - c)
                # if square == 0.0:
                for i_1 in range(3):
                    result[at + i_1] = t[at + i_1] * c + stack_1[at + i_1] * s + stack[at + i_1] * t_22
            # u = p[0:2] / p[2]
            t_23 = result[at + 2]
            # square = np.sum(u * u)
            square_1 = 0.0
            # u = p[0:2] / p[2]
            for i_1 in range(2):
                u[at_1 + i_1] = result[at + i_1] / t_23
                t_24 = u[at_1 + i_1]
                square_1 += t_24 * t_24
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_25 = 1.0 + cams[t_5 * 11 + 9] * square_1 + cams[t_5 * 11 + 10] * square_1 * square_1
            # return distorted * cam[6] + cam[7:9]
            t_26 = cams[t_5 * 11 + 6]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            for i_1 in range(2):
                e[at_1 + i_1] = t_4 * (u[at_1 + i_1] * t_25 * t_26 + cams[t_5 * 11 + i_1 + 7] - pixels[k * 2 + i_1])
            # for k in range(len(weights)):
            total_1 += e[at_1] ** 2 + e[at_1 + 1] ** 2 + (1.0 - t_4 ** 2) ** 2
        total_parts[chunk * 16] = total_1
    return 0


def loss_value_and_grad_part_1(begin, end, worker, p, chunks_1, n, m, cams_bar_parts, points_bar_parts, weights_bar, seen, weights, t_1, points, cams, result_bar, stack_2, result_1, stack_3, u_1, t_2, pixels, e_bar, distorted_bar, t_3):
    for chunk in range(begin, end):
        first_1 = chunk * p // chunks_1
        last_1 = (chunk * p + p) // chunks_1
        at_2 = 19 * chunk
        at_3 = 18 * chunk
        at_4 = 16 * chunk + 11 * chunk * n
        at_5 = 16 * chunk + 3 * chunk * m
        for i_1 in range(11 * n * min(1, chunks_1 - 1)):
            cams_bar_parts[at_4 + i_1] = 0.0
        for i_1 in range(3 * m * min(1, chunks_1 - 1)):
            points_bar_parts[at_5 + i_1] = 0.0
        for turn in range(last_1 - first_1):
            i_2 = first_1 + turn
            weights_bar[i_2] = 0.0
            # i, j = seen[k, 0], seen[k, 1]
            i_3 = seen[i_2 * 2]
            j_2 = seen[i_2 * 2 + 1]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            t_27 = weights[i_2]
            t_29 = i_3 < 0
            t_28 = i_3 + n if t_29 else i_3
            t_31 = j_2 < 0
            t_30 = j_2 + m if t_31 else j_2
            # square = np.sum(axis * axis)
            square_2 = 0.0
            # p = rotate(cam[0:3], x - cam[3:6])
            for i_1 in range(3):
                t_1[at_2 + i_1] = points[t_30 * 3 + i_1] - cams[t_28 * 11 + i_1 + 3]
                t_32 = cams[t_28 * 11 + i_1]
                square_2 += t_32 * t_32
                result_bar[at_2 + i_1] = 0.0
            # if square == 0.0:
            t_33 = square_2 == 0.0
            if t_33:
                # return x + np.cross(axis, x)
                t_34 = cams[t_28 * 11]
                t_35 = cams[t_28 * 11 + 1]
                t_36 = cams[t_28 * 11 + 2]
                t_37 = t_1[at_2]
                t_38 = t_1[at_2 + 1]
                t_39 = t_1[at_2 + 2]
                stack_2[at_2] = t_35 * t_39 - t_36 * t_38
                stack_2[at_2 + 1] = t_36 * t_37 - t_34 * t_39
                stack_2[at_2 + 2] = t_34 * t_38 - t_35 * t_37
                # if square == 0.0:
                for i_1 in range(3):
                    result_1[at_2 + i_1] = t_1[at_2 + i_1] + stack_2[at_2 + i_1]
            else:
                # theta = np.sqrt(square)
                theta_1 = math.sqrt(square_2)
                # c, s = np.cos(theta), np.sin(theta)
                c_1 = math.cos(theta_1)
                s_1 = math.sin(theta_1)
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                sum_2 = 0.0
                # w = axis / theta
                for i_1 in range(3):
                    stack_2[at_2 + i_1] = cams[t_28 * 11 + i_1] / theta_1
                    sum_2 += stack_2[at_2 + i_1] * t_1[at_2 + i_1]
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                t_40 = stack_2[at_2]
                t_41 = stack_2[at_2 + 1]
                t_42 = stack_2[at_2 + 2]
                t_43 = t_1[at_2]
                t_44 = t_1[at_2 + 1]
                t_45 = t_1[at_2 + 2]
                stack_3[at_2] = t_41 * t_45 - t_42 * t_44
                stack_3[at_2 + 1] = t_42 * t_43 - t_40 * t_45
                stack_3[at_2 + 2] = t_40 * t_44 - t_41 * t_43
                t_46 = sum_2 * (1.0 - c_1)
                # if square == 0.0:
                for i_1 in range(3):
                    result_1[at_2 + i_1] = t_1[at_2 + i_1] * c_1 + stack_3[at_2 + i_1] * s_1 + stack_2[at_2 + i_1] * t_46
            # u = p[0:2] / p[2]
            t_47 = result_1[at_2 + 2]
            # square = np.sum(u * u)
            square_3 = 0.0
            # u = p[0:2] / p[2]
            for i_1 in range(2):
                u_1[at_3 + i_1] = result_1[at_2 + i_1] / t_47
                t_48 = u_1[at_3 + i_1]
                square_3 += t_48 * t_48
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_49 = cams[t_28 * 11 + 9]
            t_50 = cams[t_28 * 11 + 10]
            t_51 = t_50 * square_3
            t_52 = 1.0 + t_49 * square_3 + t_51 * square_3
            # return distorted * cam[6] + cam[7:9]
            t_53 = cams[t_28 * 11 + 6]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            for i_1 in range(2):
                t_2[at_3 + i_1] = u_1[at_3 + i_1] * t_52 * t_53 + cams[t_28 * 11 + i_1 + 7] - pixels[i_2 * 2 + i_1]
                e_bar[at_3 + i_1] = 0.0
            # total += e[0] ** 2 + e[1] ** 2 + (1.0 - weights[k] ** 2) ** 2
            t_54 = -(0.5 * (2.0 * (1.0 - t_27 ** 2)) * (2.0 * t_27))
            weights_bar[i_2] += t_54
            t_55 = 0.5 * (2.0 * (t_27 * t_2[at_3 + 1]))
            e_bar[at_3 + 1] = t_55
            t_56 = 0.5 * (2.0 * (t_27 * t_2[at_3]))
            e_bar[at_3] += t_56
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            sum_3 = 0.0
            # return distorted * cam[6] + cam[7:9]
            sum_4 = 0.0
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            sum_5 = 0.0
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            for i_1 in range(2):
                sum_3 += e_bar[at_3 + i_1] * t_2[at_3 + i_1]
                cams_bar_parts[at_4 + i_1 + 11 * t_28 + 7] += e_bar[at_3 + i_1] * t_27
                distorted_bar[at_3 + i_1] = e_bar[at_3 + i_1] * t_27 * t_53
                sum_4 += e_bar[at_3 + i_1] * t_27 * (u_1[at_3 + i_1] * t_52)
                sum_5 += distorted_bar[at_3 + i_1] * u_1[at_3 + i_1]
            # return distorted * cam[6] + cam[7:9]
            cams_bar_parts[at_4 + 11 * t_28 + 6] += sum_4
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_57 = sum_5 * square_3
            t_58 = t_57 * square_3
            cams_bar_parts[at_4 + 11 * t_28 + 10] += t_58
            square_bar = sum_5 * t_51 + t_57 * t_50 + sum_5 * t_49
            cams_bar_parts[at_4 + 11 * t_28 + 9] += t_57
            # u = p[0:2] / p[2]
            sum_6 = 0.0
            t_59 = 1.0 / t_47
            # square = np.sum(u * u)
            for i_1 in range(2):
                t_60 = square_bar * u_1[at_3 + i_1]
                u_bar = distorted_bar[at_3 + i_1] * t_52 + t_60 + t_60
                sum_6 += -(u_bar * (u_1[at_3 + i_1] / t_47))
                result_bar[at_2 + i_1] = u_bar * t_59
            # u = p[0:2] / p[2]
            result_bar[at_2 + 2] += sum_6
            # if square == 0.0:
            if t_33:
                # return x + np.cross(axis, x)
                t_61 = cams[t_28 * 11]
                t_62 = cams[t_28 * 11 + 1]
                t_63 = cams[t_28 * 11 + 2]
                t_64 = t_1[at_2]
                t_65 = t_1[at_2 + 1]
                t_66 = t_1[at_2 + 2]
                t_67 = result_bar[at_2]
                t_68 = result_bar[at_2 + 1]
                t_69 = result_bar[at_2 + 2]
                t_70 = t_67 * t_62 - t_68 * t_61
                result_bar[at_2 + 2] += t_70
                t_71 = t_69 * t_61 - t_67 * t_63
                result_bar[at_2 + 1] += t_71
                t_72 = t_68 * t_63 - t_69 * t_62
                result_bar[at_2] += t_72
                t_73 = t_68 * t_64 - t_67 * t_65
                for i_1 in range(3):
                    result_1[at_2 + i_1] = 0.0
                result_1[at_2 + 2] = t_73
                t_74 = t_67 * t_66 - t_69 * t_64
                result_1[at_2 + 1] += t_74
                t_75 = t_69 * t_65 - t_68 * t_66
                result_1[at_2] += t_75
                for i_1 in range(3):
                    cams_bar_parts[at_4 + i_1 + 11 * t_28] += result_1[at_2 + i_1]
                # if square == 0.0:
                square_bar_1 = 0.0
            else:
                # theta = np.sqrt(square)
                theta_2 = math.sqrt(square_2)
                # c, s = np.cos(theta), np.sin(theta)
                c_2 = math.cos(theta_2)
                s_2 = math.sin(theta_2)
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                sum_7 = 0.0
                sum_8 = 0.0
                # w = axis / theta
                for i_1 in range(3):
                    result_1[at_2 + i_1] = cams[t_28 * 11 + i_1] / theta_2
                    sum_7 += result_1[at_2 + i_1] * t_1[at_2 + i_1]
                    sum_8 += result_bar[at_2 + i_1] * result_1[at_2 + i_1]
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                t_76 = result_1[at_2]
                t_77 = result_1[at_2 + 1]
                t_78 = result_1[at_2 + 2]
                t_79 = t_1[at_2]
                t_80 = t_1[at_2 + 1]
                t_81 = t_1[at_2 + 2]
                stack_2[at_2] = t_77 * t_81 - t_78 * t_80
                stack_2[at_2 + 1] = t_78 * t_79 - t_76 * t_81
                stack_2[at_2 + 2] = t_76 * t_80 - t_77 * t_79
                t_82 = 1.0 - c_2
                t_83 = sum_7 * t_82
                t_84 = sum_8 * t_82
                s_bar = 0.0
                sum_9 = 0.0
                for i_1 in range(3):
                    stack_3[at_2 + i_1] = result_bar[at_2 + i_1] * t_83 + t_84 * t_1[at_2 + i_1]
                    s_bar += result_bar[at_2 + i_1] * stack_2[at_2 + i_1]
                    t_3[at_2 + i_1] = t_84 * result_1[at_2 + i_1]
                    sum_9 += result_bar[at_2 + i_1] * t_1[at_2 + i_1]
                t_85 = result_bar[at_2] * s_2
                t_86 = result_bar[at_2 + 1] * s_2
                t_87 = result_bar[at_2 + 2] * s_2
                t_88 = t_85 * t_77 - t_86 * t_76
                t_3[at_2 + 2] += t_88
                t_89 = t_87 * t_76 - t_85 * t_78
                t_3[at_2 + 1] += t_89
                t_90 = t_86 * t_78 - t_87 * t_77
                t_3[at_2] += t_90
                t_91 = t_86 * t_79 - t_85 * t_80
                stack_3[at_2 + 2] += t_91
                t_92 = t_85 * t_81 - t_87 * t_79
                stack_3[at_2 + 1] += t_92
                t_93 = t_87 * t_80 - t_86 * t_81
                stack_3[at_2] += t_93
                # w = axis / theta
                t_94 = 1.0 / theta_2
                theta_bar = 0.0
                for i_1 in range(3):
                    theta_bar += -(stack_3[at_2 + i_1] * (result_1[at_2 + i_1] / theta_2))
                    cams_bar_parts[at_4 + i_1 + 11 * t_28] += stack_3[at_2 + i_1] * t_94
                    result_bar[at_2 + i_1] = t_3[at_2 + i_1] + result_bar[at_2 + i_1] * c_2
                # if square == 0.0:
                square_bar_1 = (theta_bar + s_bar * c_2 - (sum_9 - sum_8 * sum_7) * s_2) * (0.5 / theta_2)
            # square = np.sum(axis * axis)
            for i_1 in range(3):
                cams_bar_parts[at_4 + i_1 + 11 * t_28] += square_bar_1 * cams[t_28 * 11 + i_1]
                cams_bar_parts[at_4 + i_1 + 11 * t_28] += square_bar_1 * cams[t_28 * 11 + i_1]
                cams_bar_parts[at_4 + i_1 + 11 * t_28 + 3] += -result_bar[at_2 + i_1]
                points_bar_parts[at_5 + i_1 + 3 * t_30] += result_bar[at_2 + i_1]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            weights_bar[i_2] += sum_3
    return 0


def loss_value_and_grad(cams, points, weights, seen, pixels, n, m, p, out, cams_bar, points_bar, weights_bar, total_parts, t, result, stack, stack_1, u, e, cams_bar_parts, points_bar_parts, t_1, result_bar, result_1, stack_2, stack_3, u_1, t_2, e_bar, distorted_bar, t_3, report):
    # for k in range(len(weights)):
    total = 0.0
    chunks = max(1, min(p, 2 * min(8, 277 * p // 262144)))
    code = run_loss_value_and_grad_part(chunks, p, chunks, seen, weights, n, m, t, points, cams, stack, result, stack_1, u, e, pixels, total_parts)
    if code != 0:
        return code
    for chunk in range(chunks):
        total += total_parts[chunk * 16]
    for i_1 in range(n):
        for j_1 in range(11):
            cams_bar[i_1 * 11 + j_1] = 0.0
    for i_1 in range(m):
        for j_1 in range(3):
            points_bar[i_1 * 3 + j_1] = 0.0
    chunks_1 = max(1, min(p, 2 * min(max(2, min(8, 2097152 // (24 * m + 88 * n))), 778 * p // (2 * max(131072, 96 * m + 352 * n)))))
    if chunks_1 == 1:
        code_1 = run_loss_value_and_grad_part_1(1, p, chunks_1, n, m, cams_bar, points_bar, weights_bar, seen, weights, t_1, points, cams, result_bar, stack_2, result_1, stack_3, u_1, t_2, pixels, e_bar, distorted_bar, t_3)
    else:
        code_1 = run_loss_value_and_grad_part_1(chunks_1, p, chunks_1, n, m, cams_bar_parts, points_bar_parts, weights_bar, seen, weights, t_1, points, cams, result_bar, stack_2, result_1, stack_3, u_1, t_2, pixels, e_bar, distorted_bar, t_3)
    if code_1 != 0:
        return code_1
    # for k in range(len(weights)):
    for chunk in range(chunks_1):
        for i_1 in range(11 * n * min(1, chunks_1 - 1)):
            cams_bar[i_1] += cams_bar_parts[16 * chunk + 11 * chunk * n + i_1]
        for i_1 in range(3 * m * min(1, chunks_1 - 1)):
            points_bar[i_1] += points_bar_parts[16 * chunk + 3 * chunk * m + i_1]
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
