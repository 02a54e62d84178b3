# kernels/hand.py: value and gradient by theta.  Written by adc.
import numpy as np


def loss_value_and_grad(theta, parents, base_relative, inverse_base, base, weights, matches, points):
    v = base.shape[1]
    p = matches.shape[0]
    # line 23: rows = np.zeros((BONES + 3, 3))
    rows = np.zeros((25, 3))
    # line 24: rows[0] = theta[0:3]
    rows[0] = theta[:3]
    # line 25: rows[1] = 1.0
    rows[1] = 1.0
    # line 26: rows[2] = theta[3:6]
    rows[2] = theta[3:6]
    # line 29: for _finger in range(5):
    for _finger in range(5):
        at = 4 * _finger
        at_1 = at + 6
        row = at + 5
        # line 31: rows[row, 0] = theta[at]
        rows[row, 0] = theta[at_1]
        # line 32: at += 1
        at_2 = at + 7
        # line 34: rows[row, 1] = theta[at]
        rows[row, 1] = theta[at_2]
        # line 35: at += 1
        at_3 = at + 8
        # line 31: rows[row, 0] = theta[at]
        rows[at_1, 0] = theta[at_3]
        # line 32: at += 1
        at += 9
        # line 31: rows[row, 0] = theta[at]
        rows[at_2, 0] = theta[at]
    # line 45: return np.array([
    t0 = np.array([0.0, 0.0, 0.0, 1.0])
    # line 67: absolute = np.zeros((BONES, 4, 4))
    absolute = np.zeros((22, 4, 4))
    # line 68: positions = np.zeros((3, base.shape[1]))
    positions = np.zeros((3, v))
    # line 69: for i in range(BONES):
    absolute_saved = np.empty((22, 4, 4))
    for i in range(22):
        # line 43: cx, cz, cy = np.cos(angles)
        t1 = rows[i + 3]
        t2 = np.cos(t1)
        cx = t2[0]
        cz = t2[1]
        cy = t2[2]
        # line 44: sx, sz, sy = np.sin(angles)
        t3 = np.sin(t1)
        sx = t3[0]
        sz = t3[1]
        sy = t3[2]
        # line 46: [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t4 = sx * sy
        t5 = cx * sy
        t6 = t4 * cz - cx * sz
        # line 47: [cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz, 0.0],
        t7 = cx * cz + t4 * sz
        # line 45: return np.array([
        t8 = np.array([cy * cz, t6, sx * sz + t5 * cz, 0.0])
        t9 = np.array([cy * sz, t7, t5 * sz - sx * cz, 0.0])
        t10 = np.stack((t8, t9, np.array([-sy, sx * cy, cx * cy, 0.0]), t0))
        # line 70: relative = base_relative[i] @ euler(rows[i + 3])
        relative = base_relative[i] @ t10
        # line 71: if parents[i] < 0:
        k0 = parents[i]
        flag0 = k0 < 0
        if flag0:
            # line 72: absolute[i] = relative
            absolute[i] = relative
            # line 71: if parents[i] < 0:
            absolute_1 = np.zeros((4, 4))
        else:
            # line 74: absolute[i] = absolute[parents[i]] @ relative
            k1 = k0 + 22 if flag0 else k0
            if not (k1 >= 0 and k1 < 22):
                raise IndexError('index out of bounds for axis 0 with size 22')
            absolute_1 = absolute[k1].copy()
            absolute[i] = absolute_1 @ relative
        absolute_saved[i] = absolute_1
        # line 75: moved = (absolute[i] @ inverse_base[i])[:3] @ base
        moved = (absolute[i] @ inverse_base[i])[:3] @ base
        # line 76: positions += weights[i] * moved
        positions = positions + weights[i] * moved
    # line 55: angle = np.sqrt(np.sum(axis**2))
    t11 = rows[0]
    angle = np.sqrt(np.sum(t11 ** 2))
    # line 56: if angle < 1e-4:
    flag1 = angle < 0.0001
    if flag1:
        # line 57: return np.eye(3)
        t12 = np.arange(3)
        result = (t12[:, None] == t12).astype(np.float64)
    else:
        # line 58: x, y, z = axis / angle
        t13 = t11 / angle
        x = t13[0]
        y = t13[1]
        z = t13[2]
        # line 59: c, s = np.cos(angle), np.sin(angle)
        c = np.cos(angle)
        s = np.sin(angle)
        # line 60: cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        t14 = np.array([0.0, -z, y])
        cross = np.stack((t14, np.array([z, 0.0, -x]), np.array([-y, x, 0.0])))
        # line 61: return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)
        t15 = np.arange(3)
        t16 = (t15[:, None] == t15).astype(np.float64) + s * cross
        result = t16 + (1.0 - c) * (cross @ cross)
    # line 77: return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]
    t17 = rows[1]
    t18 = result * t17
    vertices = t18 @ positions + rows[2][:, None]
    # line 84: for k in range(len(matches)):
    total = 0.0
    for k in range(p):
        # line 85: e = points[k] - vertices[:, matches[k]]
        k2 = matches[k]
        k3 = k2 + v if k2 < 0 else k2
        if not (k3 >= 0 and k3 < v):
            raise IndexError('index out of bounds for axis 1 with size v')
        e = points[k] - vertices[:, k3]
        # line 86: total += np.dot(e, e)
        total += e @ e
    # line 84: for k in range(len(matches)):
    vertices_bar = np.zeros((3, v))
    for k in reversed(range(p)):
        # line 85: e = points[k] - vertices[:, matches[k]]
        k4 = matches[k]
        k5 = k4 + v if k4 < 0 else k4
        e = points[k] - vertices[:, k5]
        # line 86: total += np.dot(e, e)
        e_bar = 2.0 * (0.5 * e)
        # line 85: e = points[k] - vertices[:, matches[k]]
        vertices_bar[:, k5] -= e_bar
    # line 77: return (rotation(rows[0]) * rows[1]) @ positions + rows[2][:, None]
    rows_bar = np.zeros((25, 3))
    rows_bar[2] = np.sum(np.sum(vertices_bar, axis=1)[:, None], axis=1)
    t19 = vertices_bar @ positions.T
    positions_bar = t18.T @ vertices_bar
    result_bar = t19 * t17
    rows_bar[1] += np.sum(t19 * result, axis=0)
    # line 56: if angle < 1e-4:
    if flag1:
        angle_bar = 0.0
    else:
        # line 58: x, y, z = axis / angle
        t20 = t11 / angle
        x = t20[0]
        y = t20[1]
        z = t20[2]
        # line 59: c, s = np.cos(angle), np.sin(angle)
        c = np.cos(angle)
        s = np.sin(angle)
        # line 60: cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        t21 = np.array([0.0, -z, y])
        cross = np.stack((t21, np.array([z, 0.0, -x]), np.array([-y, x, 0.0])))
        # line 61: return np.eye(3) + s * cross + (1.0 - c) * (cross @ cross)
        t22 = result_bar * (1.0 - c)
        c_bar = -np.sum(result_bar * (cross @ cross))
        cross_bar = t22 @ cross.T + cross.T @ t22 + result_bar * s
        s_bar = np.sum(result_bar * cross)
        # line 60: cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        t23 = cross_bar[0]
        t24 = cross_bar[1]
        t25 = cross_bar[2]
        y_bar = t23[2] - t25[0]
        x_bar = t25[1] - t24[2]
        z_bar = t24[0] - t23[1]
        # line 58: x, y, z = axis / angle
        t26 = np.zeros(3)
        t26[2] = z_bar
        t26[1] += y_bar
        t26[0] += x_bar
        rows_bar[0] += t26 * (1.0 / angle)
        angle_bar = s_bar * c - c_bar * s + np.sum(-(t26 * (t20 / angle)))
    # line 55: angle = np.sqrt(np.sum(axis**2))
    rows_bar[0] += angle_bar * (0.5 / angle) * (2.0 * t11)
    # line 69: for i in range(BONES):
    absolute_bar = np.zeros((22, 4, 4))
    for i in reversed(range(22)):
        # line 74: absolute[i] = absolute[parents[i]] @ relative
        absolute = absolute_saved[i]
        # line 43: cx, cz, cy = np.cos(angles)
        t27 = rows[i + 3]
        t28 = np.cos(t27)
        cx = t28[0]
        cz = t28[1]
        cy = t28[2]
        # line 44: sx, sz, sy = np.sin(angles)
        t29 = np.sin(t27)
        sx = t29[0]
        sz = t29[1]
        sy = t29[2]
        # line 46: [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t30 = sx * sy
        t31 = cx * sy
        t32 = t30 * cz - cx * sz
        # line 47: [cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz, 0.0],
        t33 = cx * cz + t30 * sz
        # line 45: return np.array([
        t34 = np.array([cy * cz, t32, sx * sz + t31 * cz, 0.0])
        t35 = np.array([cy * sz, t33, t31 * sz - sx * cz, 0.0])
        # line 70: relative = base_relative[i] @ euler(rows[i + 3])
        t36 = base_relative[i]
        # line 45: return np.array([
        t37 = np.stack((t34, t35, np.array([-sy, sx * cy, cx * cy, 0.0]), t0))
        # line 70: relative = base_relative[i] @ euler(rows[i + 3])
        relative = t36 @ t37
        # line 71: if parents[i] < 0:
        k6 = parents[i]
        flag2 = k6 < 0
        # line 76: positions += weights[i] * moved
        moved_bar = positions_bar * weights[i]
        # line 75: moved = (absolute[i] @ inverse_base[i])[:3] @ base
        t38 = np.zeros((4, 4))
        t38[:3] = moved_bar @ base.T
        absolute_bar[i] += t38 @ inverse_base[i].T
        # line 71: if parents[i] < 0:
        if flag2:
            # line 72: absolute[i] = relative
            relative_bar = absolute_bar[i].copy()
            absolute_bar[i] = 0.0
        else:
            # line 74: absolute[i] = absolute[parents[i]] @ relative
            t39 = absolute_bar[i].copy()
            absolute_bar[i] = 0.0
            absolute_bar[k6 + 22 if flag2 else k6] += t39 @ relative.T
            relative_bar = absolute.T @ t39
        # line 70: relative = base_relative[i] @ euler(rows[i + 3])
        t40 = t36.T @ relative_bar
        # line 45: return np.array([
        t41 = t40[0]
        t42 = t40[1]
        t43 = t40[2]
        t44 = t43[1]
        t45 = t43[2]
        t46 = t42[0]
        t47 = t42[1]
        t48 = t42[2]
        t49 = t41[0]
        t50 = t41[1]
        t51 = t41[2]
        # line 47: [cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz, 0.0],
        t52 = t48 * sz
        t53 = t47 * sz
        # line 46: [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
        t54 = t51 * cz
        cx_bar = t45 * cy + t52 * sy + t47 * cz + t54 * sy
        cx_bar -= t50 * sz
        sz_bar = t48 * t31 + t47 * t30 + t46 * cy + t51 * sx
        sz_bar -= t50 * cx
        t55 = t50 * cz
        sx_bar = t44 * cy - t48 * cz + t53 * sy + t51 * sz
        sx_bar += t55 * sy
        sy_bar = t52 * cx - t43[0] + t53 * sx + t54 * cx
        sy_bar += t55 * sx
        cy_bar = t45 * cx + t44 * sx + t46 * sz + t49 * cz
        cz_bar = t47 * cx - t48 * sx + t51 * t31 + t50 * t30
        cz_bar += t49 * cy
        # line 44: sx, sz, sy = np.sin(angles)
        t56 = np.zeros(3)
        t56[2] = sy_bar
        t56[1] += sz_bar
        t56[0] += sx_bar
        rows_bar[i + 3] += t56 * t28
        # line 43: cx, cz, cy = np.cos(angles)
        t57 = np.zeros(3)
        t57[2] = cy_bar
        t57[1] += cz_bar
        t57[0] += cx_bar
        rows_bar[i + 3] -= t57 * t29
    # line 29: for _finger in range(5):
    theta_bar = np.zeros(26)
    for _finger in reversed(range(5)):
        at = 4 * _finger
        at_1 = at + 6
        row = at + 5
        # line 32: at += 1
        at_2 = at + 7
        # line 35: at += 1
        at_3 = at + 8
        # line 32: at += 1
        at += 9
        # line 31: rows[row, 0] = theta[at]
        t58 = rows_bar[at_2, 0]
        rows_bar[at_2, 0] = 0.0
        theta_bar[at] += t58
        t59 = rows_bar[at_1, 0]
        rows_bar[at_1, 0] = 0.0
        theta_bar[at_3] += t59
        # line 34: rows[row, 1] = theta[at]
        t60 = rows_bar[row, 1]
        rows_bar[row, 1] = 0.0
        theta_bar[at_2] += t60
        # line 31: rows[row, 0] = theta[at]
        t61 = rows_bar[row, 0]
        rows_bar[row, 0] = 0.0
        theta_bar[at_1] += t61
    # line 26: rows[2] = theta[3:6]
    t62 = rows_bar[2].copy()
    rows_bar[2] = 0.0
    theta_bar[3:6] += t62
    # line 25: rows[1] = 1.0
    rows_bar[1] = 0.0
    # line 24: rows[0] = theta[0:3]
    theta_bar[:3] += rows_bar[0]
    return 0.5 * total, theta_bar
