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
    t_1               f8[19*chunks]                scratch
    result_bar        f8[19*chunks]                scratch
    result            f8[19*chunks]                scratch
    stack             f8[19*chunks]                scratch
    stack_1           f8[19*chunks]                scratch
    u                 f8[18*chunks]                scratch
    e                 f8[18*chunks]                scratch
    u_1               f8[18*chunks]                scratch
    distorted_bar     f8[18*chunks]                scratch
    report            i8[0]                        result: sizes that only the data know

Returns 0, or the number of what failed:

    1  index out of bounds for axis 0 with size n (line 43)
    2  index out of bounds for axis 0 with size m (line 43)
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, p, chunks, n, m, cams_bar_parts, points_bar_parts, seen, weights, t, points, cams, t_1, result_bar, stack, result, stack_1, u, e, pixels, u_1, weights_bar, distorted_bar, total_parts):
    for chunk in range(begin, end):
        first = chunk * p // chunks
        last = (chunk * p + p) // chunks
        at = 19 * chunk
        at_1 = 18 * chunk
        at_2 = 16 * chunk + 11 * chunk * n
        at_3 = 16 * chunk + 3 * chunk * m
        total_1 = 0.0
        for i in range(11 * n * min(1, chunks - 1)):
            cams_bar_parts[at_2 + i] = 0.0
        for i in range(3 * m * min(1, chunks - 1)):
            points_bar_parts[at_3 + i] = 0.0
        for turn in range(last - first):
            k_1 = first + turn
            # i, j = seen[k, 0], seen[k, 1]
            i_1 = seen[k_1 * 2]
            j_1 = seen[k_1 * 2 + 1]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            t_8 = weights[k_1]
            t_10 = i_1 < 0
            t_9 = i_1 + n if t_10 else i_1
            t_12 = j_1 < 0
            t_11 = j_1 + m if t_12 else j_1
            # square = np.sum(axis * axis)
            square = 0.0
            # i, j = seen[k, 0], seen[k, 1]
            i_2 = seen[k_1 * 2]
            j_2 = seen[k_1 * 2 + 1]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            t_14 = i_2 < 0
            t_13 = i_2 + n if t_14 else i_2
            t_16 = j_2 < 0
            t_15 = j_2 + m if t_16 else j_2
            # square = np.sum(axis * axis)
            square_1 = 0.0
            # p = rotate(cam[0:3], x - cam[3:6])
            for i in range(3):
                t[at + i] = points[t_11 * 3 + i] - cams[t_9 * 11 + i + 3]
                t_17 = cams[t_9 * 11 + i]
                square += t_17 * t_17
                t_1[at + i] = points[t_15 * 3 + i] - cams[t_13 * 11 + i + 3]
                t_18 = cams[t_13 * 11 + i]
                square_1 += t_18 * t_18
                result_bar[at + i] = 0.0
            # if square == 0.0:
            if square == 0.0:
                # return x + np.cross(axis, x)
                t_19 = cams[t_9 * 11]
                t_20 = cams[t_9 * 11 + 1]
                t_21 = cams[t_9 * 11 + 2]
                t_22 = t[at]
                t_23 = t[at + 1]
                t_24 = t[at + 2]
                stack[at] = t_20 * t_24 - t_21 * t_23
                stack[at + 1] = t_21 * t_22 - t_19 * t_24
                stack[at + 2] = t_19 * t_23 - t_20 * t_22
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
                    stack[at + i] = cams[t_9 * 11 + i] / theta
                    sum_1 += stack[at + i] * t[at + i]
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                t_25 = stack[at]
                t_26 = stack[at + 1]
                t_27 = stack[at + 2]
                t_28 = t[at]
                t_29 = t[at + 1]
                t_30 = t[at + 2]
                stack_1[at] = t_26 * t_30 - t_27 * t_29
                stack_1[at + 1] = t_27 * t_28 - t_25 * t_30
                stack_1[at + 2] = t_25 * t_29 - t_26 * t_28
                t_31 = sum_1 * (1.0 - c)
                # if square == 0.0:
                for i in range(3):
                    result[at + i] = t[at + i] * c + stack_1[at + i] * s + stack[at + i] * t_31
            # u = p[0:2] / p[2]
            t_32 = result[at + 2]
            # square = np.sum(u * u)
            square_2 = 0.0
            # u = p[0:2] / p[2]
            for i in range(2):
                u[at_1 + i] = result[at + i] / t_32
                t_33 = u[at_1 + i]
                square_2 += t_33 * t_33
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_34 = 1.0 + cams[t_9 * 11 + 9] * square_2 + cams[t_9 * 11 + 10] * square_2 * square_2
            # return distorted * cam[6] + cam[7:9]
            t_35 = cams[t_9 * 11 + 6]
            # if square == 0.0:
            t_36 = square_1 == 0.0
            if t_36:
                # return x + np.cross(axis, x)
                t_37 = cams[t_13 * 11]
                t_38 = cams[t_13 * 11 + 1]
                t_39 = cams[t_13 * 11 + 2]
                t_40 = t_1[at]
                t_41 = t_1[at + 1]
                t_42 = t_1[at + 2]
                result[at] = t_38 * t_42 - t_39 * t_41
                result[at + 1] = t_39 * t_40 - t_37 * t_42
                result[at + 2] = t_37 * t_41 - t_38 * t_40
                # if square == 0.0:
                for i in range(3):
                    t[at + i] = t_1[at + i] + result[at + i]
            else:
                # theta = np.sqrt(square)
                theta_1 = math.sqrt(square_1)
                # c, s = np.cos(theta), np.sin(theta)
                c_1 = math.cos(theta_1)
                s_1 = math.sin(theta_1)
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                sum_2 = 0.0
                # w = axis / theta
                for i in range(3):
                    result[at + i] = cams[t_13 * 11 + i] / theta_1
                    sum_2 += result[at + i] * t_1[at + i]
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                t_43 = result[at]
                t_44 = result[at + 1]
                t_45 = result[at + 2]
                t_46 = t_1[at]
                t_47 = t_1[at + 1]
                t_48 = t_1[at + 2]
                stack[at] = t_44 * t_48 - t_45 * t_47
                stack[at + 1] = t_45 * t_46 - t_43 * t_48
                stack[at + 2] = t_43 * t_47 - t_44 * t_46
                t_49 = sum_2 * (1.0 - c_1)
                # if square == 0.0:
                for i in range(3):
                    t[at + i] = t_1[at + i] * c_1 + stack[at + i] * s_1 + result[at + i] * t_49
            # u = p[0:2] / p[2]
            t_50 = t[at + 2]
            # square = np.sum(u * u)
            square_3 = 0.0
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            for i in range(2):
                e[at_1 + i] = t_8 * (u[at_1 + i] * t_34 * t_35 + cams[t_9 * 11 + i + 7] - pixels[k_1 * 2 + i])
                u_1[at_1 + i] = t[at + i] / t_50
                t_51 = u_1[at_1 + i]
                square_3 += t_51 * t_51
            # for k in range(len(weights)):
            t_52 = e[at_1]
            t_53 = e[at_1 + 1]
            t_54 = 1.0 - t_8 * t_8
            total_1 += t_52 * t_52 + t_53 * t_53 + t_54 * t_54
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            t_55 = weights[k_1]
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_56 = cams[t_13 * 11 + 9]
            t_57 = cams[t_13 * 11 + 10]
            t_58 = t_57 * square_3
            t_59 = 1.0 + t_56 * square_3 + t_58 * square_3
            # return distorted * cam[6] + cam[7:9]
            t_60 = cams[t_13 * 11 + 6]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            for i in range(2):
                u[at_1 + i] = u_1[at_1 + i] * t_59 * t_60 + cams[t_13 * 11 + i + 7] - pixels[k_1 * 2 + i]
                e[at_1 + i] = 0.0
            # total += e[0] ** 2 + e[1] ** 2 + (1.0 - weights[k] ** 2) ** 2
            t_61 = -(0.5 * (2.0 * (1.0 - t_55 * t_55)) * (2.0 * t_55))
            weights_bar[k_1] = t_61
            t_62 = 0.5 * (2.0 * (t_55 * u[at_1 + 1]))
            e[at_1 + 1] = t_62
            t_63 = 0.5 * (2.0 * (t_55 * u[at_1]))
            e[at_1] += t_63
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            sum_3 = 0.0
            # return distorted * cam[6] + cam[7:9]
            sum_4 = 0.0
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            sum_5 = 0.0
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            for i in range(2):
                sum_3 += e[at_1 + i] * u[at_1 + i]
                cams_bar_parts[at_2 + i + 11 * t_13 + 7] += e[at_1 + i] * t_55
                distorted_bar[at_1 + i] = e[at_1 + i] * t_55 * t_60
                sum_4 += e[at_1 + i] * t_55 * (u_1[at_1 + i] * t_59)
                sum_5 += distorted_bar[at_1 + i] * u_1[at_1 + i]
            # return distorted * cam[6] + cam[7:9]
            cams_bar_parts[at_2 + 11 * t_13 + 6] += sum_4
            # distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
            t_64 = sum_5 * square_3
            t_65 = t_64 * square_3
            cams_bar_parts[at_2 + 11 * t_13 + 10] += t_65
            square_bar = sum_5 * t_58 + t_64 * t_57 + sum_5 * t_56
            cams_bar_parts[at_2 + 11 * t_13 + 9] += t_64
            # u = p[0:2] / p[2]
            sum_6 = 0.0
            t_66 = 1.0 / t_50
            # square = np.sum(u * u)
            for i in range(2):
                t_67 = square_bar * u_1[at_1 + i]
                u_bar = distorted_bar[at_1 + i] * t_59 + t_67 + t_67
                sum_6 += -(u_bar * (u_1[at_1 + i] / t_50))
                result_bar[at + i] = u_bar * t_66
            # u = p[0:2] / p[2]
            result_bar[at + 2] += sum_6
            # if square == 0.0:
            if t_36:
                # return x + np.cross(axis, x)
                t_68 = cams[t_13 * 11]
                t_69 = cams[t_13 * 11 + 1]
                t_70 = cams[t_13 * 11 + 2]
                t_71 = t_1[at]
                t_72 = t_1[at + 1]
                t_73 = t_1[at + 2]
                t_74 = result_bar[at]
                t_75 = result_bar[at + 1]
                t_76 = result_bar[at + 2]
                t_77 = t_74 * t_69 - t_75 * t_68
                result_bar[at + 2] += t_77
                t_78 = t_76 * t_68 - t_74 * t_70
                result_bar[at + 1] += t_78
                t_79 = t_75 * t_70 - t_76 * t_69
                result_bar[at] += t_79
                t_80 = t_75 * t_71 - t_74 * t_72
                for i in range(3):
                    t[at + i] = 0.0
                t[at + 2] = t_80
                t_81 = t_74 * t_73 - t_76 * t_71
                t[at + 1] += t_81
                t_82 = t_76 * t_72 - t_75 * t_73
                t[at] += t_82
                for i in range(3):
                    cams_bar_parts[at_2 + i + 11 * t_13] += t[at + i]
                # if square == 0.0:
                square_bar_1 = 0.0
            else:
                # theta = np.sqrt(square)
                theta_2 = math.sqrt(square_1)
                # c, s = np.cos(theta), np.sin(theta)
                c_2 = math.cos(theta_2)
                s_2 = math.sin(theta_2)
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                sum_7 = 0.0
                sum_8 = 0.0
                # w = axis / theta
                for i in range(3):
                    t[at + i] = cams[t_13 * 11 + i] / theta_2
                    sum_7 += t[at + i] * t_1[at + i]
                    sum_8 += result_bar[at + i] * t[at + i]
                # return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
                t_83 = t[at]
                t_84 = t[at + 1]
                t_85 = t[at + 2]
                t_86 = t_1[at]
                t_87 = t_1[at + 1]
                t_88 = t_1[at + 2]
                result[at] = t_84 * t_88 - t_85 * t_87
                result[at + 1] = t_85 * t_86 - t_83 * t_88
                result[at + 2] = t_83 * t_87 - t_84 * t_86
                t_89 = 1.0 - c_2
                t_90 = sum_7 * t_89
                t_91 = sum_8 * t_89
                s_bar = 0.0
                sum_9 = 0.0
                for i in range(3):
                    stack[at + i] = result_bar[at + i] * t_90 + t_91 * t_1[at + i]
                    s_bar += result_bar[at + i] * result[at + i]
                    stack_1[at + i] = t_91 * t[at + i]
                    sum_9 += result_bar[at + i] * t_1[at + i]
                t_92 = result_bar[at] * s_2
                t_93 = result_bar[at + 1] * s_2
                t_94 = result_bar[at + 2] * s_2
                t_95 = t_92 * t_84 - t_93 * t_83
                stack_1[at + 2] += t_95
                t_96 = t_94 * t_83 - t_92 * t_85
                stack_1[at + 1] += t_96
                t_97 = t_93 * t_85 - t_94 * t_84
                stack_1[at] += t_97
                t_98 = t_93 * t_86 - t_92 * t_87
                stack[at + 2] += t_98
                t_99 = t_92 * t_88 - t_94 * t_86
                stack[at + 1] += t_99
                t_100 = t_94 * t_87 - t_93 * t_88
                stack[at] += t_100
                # w = axis / theta
                t_101 = 1.0 / theta_2
                theta_bar = 0.0
                for i in range(3):
                    theta_bar += -(stack[at + i] * (t[at + i] / theta_2))
                    cams_bar_parts[at_2 + i + 11 * t_13] += stack[at + i] * t_101
                    result_bar[at + i] = stack_1[at + i] + result_bar[at + i] * c_2
                # if square == 0.0:
                square_bar_1 = (theta_bar + s_bar * c_2 - (sum_9 - sum_8 * sum_7) * s_2) * (0.5 / theta_2)
            # square = np.sum(axis * axis)
            for i in range(3):
                cams_bar_parts[at_2 + i + 11 * t_13] += square_bar_1 * cams[t_13 * 11 + i]
                cams_bar_parts[at_2 + i + 11 * t_13] += square_bar_1 * cams[t_13 * 11 + i]
                cams_bar_parts[at_2 + i + 11 * t_13 + 3] += -result_bar[at + i]
                points_bar_parts[at_3 + i + 3 * t_15] += result_bar[at + i]
            # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
            weights_bar[k_1] += sum_3
        total_parts[chunk * 16] = total_1
    return 0


def loss_value_and_grad(cams, points, weights, seen, pixels, n, m, p, out, cams_bar, points_bar, weights_bar, cams_bar_parts, points_bar_parts, total_parts, t, t_1, result_bar, result, stack, stack_1, u, e, u_1, distorted_bar, report):
    # for k in range(len(weights)):
    for k in range(p):
        # e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        t_2 = seen[k * 2]
        t_3 = seen[k * 2] < 0
        if not ((seen[k * 2] + n if seen[k * 2] < 0 else seen[k * 2]) >= 0) & ((seen[k * 2] + n if seen[k * 2] < 0 else seen[k * 2]) < n):
            return 1
        t_4 = seen[k * 2 + 1]
        t_5 = seen[k * 2 + 1] < 0
        t_6 = (seen[k * 2 + 1] + m if seen[k * 2 + 1] < 0 else seen[k * 2 + 1]) >= 0
        t_7 = (seen[k * 2 + 1] + m if seen[k * 2 + 1] < 0 else seen[k * 2 + 1]) < m
        if not t_6 & t_7:
            return 2
    # for k in range(len(weights)):
    total = 0.0
    for i in range(n):
        for j in range(11):
            cams_bar[i * 11 + j] = 0.0
    for i in range(m):
        for j in range(3):
            points_bar[i * 3 + j] = 0.0
    chunks = max(1, min(p, 2 * min(max(2, min(8, 2097152 // (24 * m + 88 * n))), 1038 * p // (2 * max(131072, 96 * m + 352 * n)))))
    if chunks == 1:
        code = run_loss_value_and_grad_part(1, p, chunks, n, m, cams_bar, points_bar, seen, weights, t, points, cams, t_1, result_bar, stack, result, stack_1, u, e, pixels, u_1, weights_bar, distorted_bar, total_parts)
    else:
        code = run_loss_value_and_grad_part(chunks, p, chunks, n, m, cams_bar_parts, points_bar_parts, seen, weights, t, points, cams, t_1, result_bar, stack, result, stack_1, u, e, pixels, u_1, weights_bar, distorted_bar, total_parts)
    if code != 0:
        return code
    # for k in range(len(weights)):
    for chunk in range(chunks):
        total += total_parts[chunk * 16]
        for i in range(11 * n * min(1, chunks - 1)):
            cams_bar[i] += cams_bar_parts[16 * chunk + 11 * chunk * n + i]
        for i in range(3 * m * min(1, chunks - 1)):
            points_bar[i] += points_bar_parts[16 * chunk + 3 * chunk * m + i]
    out[0] = 0.5 * total
    return 0


def run_loss_value_and_grad_part(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
