# kernels/ba.py: value and gradient by cams, points and weights.  Written by adc.
import numpy as np


def loss_value_and_grad(cams, points, weights, seen, pixels):
    n = cams.shape[0]
    m = points.shape[0]
    p = weights.shape[0]
    # line 41: for k in range(len(weights)):
    total = 0.0
    for k in range(p):
        # line 42: i, j = seen[k, 0], seen[k, 1]
        i = seen[k, 0]
        j = seen[k, 1]
        # line 43: e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        t0 = weights[k]
        k0 = i + n if i < 0 else i
        if not (k0 >= 0 and k0 < n):
            raise IndexError('index out of bounds for axis 0 with size n')
        k1 = j + m if j < 0 else j
        if not (k1 >= 0 and k1 < m):
            raise IndexError('index out of bounds for axis 0 with size m')
        # line 32: p = rotate(cam[0:3], x - cam[3:6])
        t1 = points[k1] - cams[k0, 3:6]
        # line 21: square = np.sum(axis * axis)
        t2 = cams[k0, :3]
        square = np.sum(t2 * t2)
        # line 22: if square == 0.0:
        if square == 0.0:
            # line 23: return x + np.cross(axis, x)
            t3 = t2[0]
            t4 = t2[1]
            t5 = t2[2]
            t6 = t1[0]
            t7 = t1[1]
            t8 = t1[2]
            t9 = t4 * t8 - t5 * t7
            t10 = np.array([t9, t5 * t6 - t3 * t8, t3 * t7 - t4 * t6])
            result = t1 + t10
        else:
            # line 24: theta = np.sqrt(square)
            theta = np.sqrt(square)
            # line 25: c, s = np.cos(theta), np.sin(theta)
            c = np.cos(theta)
            s = np.sin(theta)
            # line 26: w = axis / theta
            w = t2 / theta
            # line 27: return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
            t11 = w[0]
            t12 = w[1]
            t13 = w[2]
            t14 = t1[0]
            t15 = t1[1]
            t16 = t1[2]
            t17 = t12 * t16 - t13 * t15
            t18 = np.array([t17, t13 * t14 - t11 * t16, t11 * t15 - t12 * t14])
            result = t1 * c + t18 * s + w * (w @ t1 * (1.0 - c))
        # line 33: u = p[0:2] / p[2]
        u = result[:2] / result[2]
        # line 34: square = np.sum(u * u)
        square = np.sum(u * u)
        # line 35: distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
        distorted = u * (1.0 + cams[k0, 9] * square + cams[k0, 10] * square * square)
        # line 43: e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        e = t0 * (distorted * cams[k0, 6] + cams[k0, 7:9] - pixels[k])
        # line 44: total += e[0] ** 2 + e[1] ** 2 + (1.0 - weights[k] ** 2) ** 2
        total += e[0] ** 2 + e[1] ** 2 + (1.0 - t0 ** 2) ** 2
    # line 41: for k in range(len(weights)):
    weights_bar = np.zeros(p)
    cams_bar = np.zeros((n, 11))
    points_bar = np.zeros((m, 3))
    for k in reversed(range(p)):
        # line 42: i, j = seen[k, 0], seen[k, 1]
        i = seen[k, 0]
        j = seen[k, 1]
        # line 43: e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        t19 = weights[k]
        k2 = i + n if i < 0 else i
        k3 = j + m if j < 0 else j
        # line 32: p = rotate(cam[0:3], x - cam[3:6])
        t20 = points[k3] - cams[k2, 3:6]
        # line 21: square = np.sum(axis * axis)
        t21 = cams[k2, :3]
        square = np.sum(t21 * t21)
        # line 22: if square == 0.0:
        flag0 = square == 0.0
        if flag0:
            # line 23: return x + np.cross(axis, x)
            t22 = t21[0]
            t23 = t21[1]
            t24 = t21[2]
            t25 = t20[0]
            t26 = t20[1]
            t27 = t20[2]
            t28 = t23 * t27 - t24 * t26
            t29 = np.array([t28, t24 * t25 - t22 * t27, t22 * t26 - t23 * t25])
            result = t20 + t29
        else:
            # line 24: theta = np.sqrt(square)
            theta = np.sqrt(square)
            # line 25: c, s = np.cos(theta), np.sin(theta)
            c = np.cos(theta)
            s = np.sin(theta)
            # line 26: w = axis / theta
            w = t21 / theta
            # line 27: return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
            t30 = w[0]
            t31 = w[1]
            t32 = w[2]
            t33 = t20[0]
            t34 = t20[1]
            t35 = t20[2]
            t36 = t31 * t35 - t32 * t34
            t37 = np.array([t36, t32 * t33 - t30 * t35, t30 * t34 - t31 * t33])
            result = t20 * c + t37 * s + w * (w @ t20 * (1.0 - c))
        # line 33: u = p[0:2] / p[2]
        t38 = result[2]
        u = result[:2] / t38
        # line 34: square = np.sum(u * u)
        square_1 = np.sum(u * u)
        # line 35: distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
        t39 = cams[k2, 9]
        t40 = cams[k2, 10]
        t41 = t40 * square_1
        t42 = 1.0 + t39 * square_1 + t41 * square_1
        distorted = u * t42
        # line 36: return distorted * cam[6] + cam[7:9]
        t43 = cams[k2, 6]
        # line 43: e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        t44 = distorted * t43 + cams[k2, 7:9] - pixels[k]
        e = t19 * t44
        # line 44: total += e[0] ** 2 + e[1] ** 2 + (1.0 - weights[k] ** 2) ** 2
        weights_bar[k] -= 0.5 * (2.0 * (1.0 - t19 ** 2)) * (2.0 * t19)
        e_bar = np.zeros(2)
        e_bar[1] = 0.5 * (2.0 * e[1])
        e_bar[0] += 0.5 * (2.0 * e[0])
        # line 43: e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        t45 = e_bar * t19
        # line 36: return distorted * cam[6] + cam[7:9]
        cams_bar[k2, 7:9] += t45
        distorted_bar = t45 * t43
        cams_bar[k2, 6] += np.sum(t45 * distorted)
        # line 35: distorted = u * (1.0 + cam[9] * square + cam[10] * square * square)
        t46 = np.sum(distorted_bar * u)
        t47 = t46 * square_1
        cams_bar[k2, 10] += t47 * square_1
        square_bar = t46 * t41 + t47 * t40 + t46 * t39
        cams_bar[k2, 9] += t47
        # line 34: square = np.sum(u * u)
        t48 = square_bar * u
        u_bar = distorted_bar * t42 + t48 + t48
        # line 33: u = p[0:2] / p[2]
        result_bar = np.zeros(3)
        result_bar[:2] = u_bar * (1.0 / t38)
        result_bar[2] += np.sum(-(u_bar * (u / t38)))
        # line 22: if square == 0.0:
        if flag0:
            # line 23: return x + np.cross(axis, x)
            t49 = t21[0]
            t50 = t21[1]
            t51 = t21[2]
            t52 = t20[0]
            t53 = t20[1]
            t54 = t20[2]
            t55 = result_bar[0]
            t56 = result_bar[1]
            t57 = result_bar[2]
            result_bar[2] += t55 * t50 - t56 * t49
            result_bar[1] += t57 * t49 - t55 * t51
            result_bar[0] += t56 * t51 - t57 * t50
            t58 = np.zeros(3)
            t58[2] = t56 * t52 - t55 * t53
            t58[1] += t55 * t54 - t57 * t52
            t58[0] += t57 * t53 - t56 * t54
            cams_bar[k2, :3] += t58
            # line 22: if square == 0.0:
            square_bar = 0.0
        else:
            # line 24: theta = np.sqrt(square)
            theta = np.sqrt(square)
            # line 25: c, s = np.cos(theta), np.sin(theta)
            c = np.cos(theta)
            s = np.sin(theta)
            # line 26: w = axis / theta
            w = t21 / theta
            # line 27: return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
            t59 = w[0]
            t60 = w[1]
            t61 = w[2]
            t62 = t20[0]
            t63 = t20[1]
            t64 = t20[2]
            t65 = t60 * t64 - t61 * t63
            t66 = w @ t20
            t67 = 1.0 - c
            t68 = np.sum(result_bar * w)
            t69 = t68 * t67
            t70 = t69 * w
            w_bar = result_bar * (t66 * t67) + t69 * t20
            t71 = result_bar * s
            t72 = np.array([t65, t61 * t62 - t59 * t64, t59 * t63 - t60 * t62])
            s_bar = np.sum(result_bar * t72)
            t73 = t71[0]
            t74 = t71[1]
            t75 = t71[2]
            t70[2] += t73 * t60 - t74 * t59
            t70[1] += t75 * t59 - t73 * t61
            t70[0] += t74 * t61 - t75 * t60
            w_bar[2] += t74 * t62 - t73 * t63
            w_bar[1] += t73 * t64 - t75 * t62
            w_bar[0] += t75 * t63 - t74 * t64
            c_bar = np.sum(result_bar * t20) - t68 * t66
            # line 26: w = axis / theta
            cams_bar[k2, :3] += w_bar * (1.0 / theta)
            # line 25: c, s = np.cos(theta), np.sin(theta)
            theta_bar = np.sum(-(w_bar * (w / theta))) + s_bar * c - c_bar * s
            # line 27: return x * c + np.cross(w, x) * s + w * (np.dot(w, x) * (1.0 - c))
            result_bar = t70 + result_bar * c
            # line 24: theta = np.sqrt(square)
            square_bar = theta_bar * (0.5 / theta)
        # line 21: square = np.sum(axis * axis)
        t76 = square_bar * t21
        cams_bar[k2, :3] += t76
        cams_bar[k2, :3] += t76
        # line 32: p = rotate(cam[0:3], x - cam[3:6])
        cams_bar[k2, 3:6] -= result_bar
        points_bar[k3] += result_bar
        # line 43: e = weights[k] * (project(cams[i], points[j]) - pixels[k])
        weights_bar[k] += np.sum(e_bar * t44)
    return 0.5 * total, cams_bar, points_bar, weights_bar
