"""kernels/lorenz.py: value and gradient by theta and u: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    theta      f8[3]     input
    u          f8[3]     input
    observed   f8[n]     input
    h          f8        input
    n          i8        size
    out        f8        result
    theta_bar  f8[3]     result
    u_bar      f8[3]     result
    u_1        f8[3]     scratch
    u_bar_1    f8[3]     scratch
    u_bar_2    f8[3]     scratch
    u_saved    f8[n, 3]  scratch
    a          f8[3]     scratch
    t          f8[3]     scratch
    t_1        f8[3]     scratch
    t_2        f8[3]     scratch
    u_2        f8[3]     scratch
    report     i8[0]     result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad(theta, u, observed, h, n, out, theta_bar, u_bar, u_1, u_bar_1, u_bar_2, u_saved, a, t, t_1, t_2, u_2, report):
    # u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
    t_3 = h / 6.0
    # for k in range(len(observed)):
    for i in range(3):
        u_1[i] = u[i]
        u_bar_1[i] = 0.0
        theta_bar[i] = 0.0
    total = 0.0
    for k in range(n):
        # x, y, z = u
        x = u_1[0]
        y = u_1[1]
        z = u_1[2]
        # sigma, rho, beta = theta
        sigma = theta[0]
        rho = theta[1]
        beta = theta[2]
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        a[0] = sigma * (y - x)
        a[1] = x * (rho - z) - y
        a[2] = x * y - beta * z
        # b = slope(theta, u + 0.5 * h * a)
        t_4 = 0.5 * h
        for i in range(3):
            t[i] = u_1[i] + t_4 * a[i]
        # x, y, z = u
        x_1 = t[0]
        y_1 = t[1]
        z_1 = t[2]
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t[0] = sigma * (y_1 - x_1)
        t[1] = x_1 * (rho - z_1) - y_1
        t[2] = x_1 * y_1 - beta * z_1
        # c = slope(theta, u + 0.5 * h * b)
        for i in range(3):
            t_1[i] = u_1[i] + t_4 * t[i]
        # x, y, z = u
        x_2 = t_1[0]
        y_2 = t_1[1]
        z_2 = t_1[2]
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_1[0] = sigma * (y_2 - x_2)
        t_1[1] = x_2 * (rho - z_2) - y_2
        t_1[2] = x_2 * y_2 - beta * z_2
        # d = slope(theta, u + h * c)
        for i in range(3):
            t_2[i] = u_1[i] + h * t_1[i]
        # x, y, z = u
        x_3 = t_2[0]
        y_3 = t_2[1]
        z_3 = t_2[2]
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_2[0] = sigma * (y_3 - x_3)
        t_2[1] = x_3 * (rho - z_3) - y_3
        t_2[2] = x_3 * y_3 - beta * z_3
        # u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        for i in range(3):
            u_2[i] = u_1[i] + t_3 * (a[i] + 2.0 * t[i] + 2.0 * t_1[i] + t_2[i])
            u_saved[k * 3 + i] = u_1[i]
            u_1[i] = u_2[i]
        # for k in range(len(observed)):
        t_5 = u_2[0] - observed[k]
        total += t_5 * t_5
    # return total / len(observed)
    t_6 = np.float64(n)
    # for k in range(len(observed)):
    theta_bar_1 = 0.0
    theta_bar_2 = 0.0
    theta_bar_3 = 0.0
    for k in range(n - 1, -1, -1):
        # x, y, z = u
        u_saved_row = k * 3
        x_4 = u_saved[u_saved_row]
        y_4 = u_saved[u_saved_row + 1]
        z_4 = u_saved[u_saved_row + 2]
        # sigma, rho, beta = theta
        sigma_1 = theta[0]
        rho_1 = theta[1]
        beta_1 = theta[2]
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_7 = y_4 - x_4
        t_8 = rho_1 - z_4
        u_1[0] = sigma_1 * t_7
        u_1[1] = x_4 * t_8 - y_4
        u_1[2] = x_4 * y_4 - beta_1 * z_4
        # b = slope(theta, u + 0.5 * h * a)
        t_9 = 0.5 * h
        for i in range(3):
            a[i] = u_saved[u_saved_row + i] + t_9 * u_1[i]
        # x, y, z = u
        x_5 = a[0]
        y_5 = a[1]
        z_5 = a[2]
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_10 = y_5 - x_5
        t_11 = rho_1 - z_5
        a[0] = sigma_1 * t_10
        a[1] = x_5 * t_11 - y_5
        a[2] = x_5 * y_5 - beta_1 * z_5
        # c = slope(theta, u + 0.5 * h * b)
        for i in range(3):
            t[i] = u_saved[u_saved_row + i] + t_9 * a[i]
        # x, y, z = u
        x_6 = t[0]
        y_6 = t[1]
        z_6 = t[2]
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_12 = y_6 - x_6
        t_13 = rho_1 - z_6
        t[0] = sigma_1 * t_12
        t[1] = x_6 * t_13 - y_6
        t[2] = x_6 * y_6 - beta_1 * z_6
        # d = slope(theta, u + h * c)
        for i in range(3):
            t_1[i] = u_saved[u_saved_row + i] + h * t[i]
        # x, y, z = u
        x_7 = t_1[0]
        y_7 = t_1[1]
        z_7 = t_1[2]
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_14 = y_7 - x_7
        t_15 = rho_1 - z_7
        t_1[0] = sigma_1 * t_14
        t_1[1] = x_7 * t_15 - y_7
        t_1[2] = x_7 * y_7 - beta_1 * z_7
        # total += (u[0] - observed[k]) ** 2
        t_17 = 2.0 * (x_4 + t_3 * (u_1[0] + 2.0 * a[0] + 2.0 * t[0] + t_1[0]) - observed[k])
        t_16 = t_17 / t_6
        u_bar_1[0] += t_16
        # u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        for i in range(3):
            u_1[i] = u_bar_1[i] * t_3 * 2.0
            a[i] = 0.0
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_18 = u_bar_1[0] * t_3
        t_19 = u_bar_1[1] * t_3
        t_20 = u_bar_1[2] * t_3
        rho_bar = t_19 * x_7
        t_21 = t_18 * sigma_1
        # sigma, rho, beta = theta
        beta_bar = -(t_20 * z_7)
        theta_bar_1 += beta_bar
        theta_bar_2 += rho_bar
        sigma_bar = t_18 * t_14
        theta_bar_3 += sigma_bar
        # x, y, z = u
        z_bar = -(t_20 * beta_1) - rho_bar
        a[2] = z_bar
        y_bar = t_20 * x_7 - t_19 + t_21
        a[1] += y_bar
        x_bar = t_20 * y_7 + t_19 * t_15 - t_21
        a[0] += x_bar
        # d = slope(theta, u + h * c)
        for i in range(3):
            t[i] = u_1[i] + a[i] * h
            t_1[i] = 0.0
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_22 = t[0]
        t_23 = t[1]
        t_24 = t[2]
        rho_bar_1 = t_23 * x_6
        t_25 = t_22 * sigma_1
        # sigma, rho, beta = theta
        beta_bar_1 = -(t_24 * z_6)
        theta_bar_1 += beta_bar_1
        theta_bar_2 += rho_bar_1
        sigma_bar_1 = t_22 * t_12
        theta_bar_3 += sigma_bar_1
        # x, y, z = u
        z_bar_1 = -(t_24 * beta_1) - rho_bar_1
        t_1[2] = z_bar_1
        y_bar_1 = t_24 * x_6 - t_23 + t_25
        t_1[1] += y_bar_1
        x_bar_1 = t_24 * y_6 + t_23 * t_13 - t_25
        t_1[0] += x_bar_1
        # c = slope(theta, u + 0.5 * h * b)
        for i in range(3):
            t[i] = u_1[i] + t_1[i] * t_9
            t_2[i] = 0.0
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_26 = t[0]
        t_27 = t[1]
        t_28 = t[2]
        rho_bar_2 = t_27 * x_5
        t_29 = t_26 * sigma_1
        # sigma, rho, beta = theta
        beta_bar_2 = -(t_28 * z_5)
        theta_bar_1 += beta_bar_2
        theta_bar_2 += rho_bar_2
        sigma_bar_2 = t_26 * t_10
        theta_bar_3 += sigma_bar_2
        # x, y, z = u
        z_bar_2 = -(t_28 * beta_1) - rho_bar_2
        t_2[2] = z_bar_2
        y_bar_2 = t_28 * x_5 - t_27 + t_29
        t_2[1] += y_bar_2
        x_bar_2 = t_28 * y_5 + t_27 * t_11 - t_29
        t_2[0] += x_bar_2
        # b = slope(theta, u + 0.5 * h * a)
        for i in range(3):
            u_bar_2[i] = u_bar_1[i] + a[i] + t_1[i] + t_2[i]
            u_1[i] = u_bar_1[i] * t_3 + t_2[i] * t_9
        # return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t_30 = u_1[0]
        t_31 = u_1[1]
        t_32 = u_1[2]
        rho_bar_3 = t_31 * x_4
        t_33 = t_30 * sigma_1
        # sigma, rho, beta = theta
        beta_bar_3 = -(t_32 * z_4)
        theta_bar_1 += beta_bar_3
        theta_bar_2 += rho_bar_3
        sigma_bar_3 = t_30 * t_7
        theta_bar_3 += sigma_bar_3
        # x, y, z = u
        z_bar_3 = -(t_32 * beta_1) - rho_bar_3
        u_bar_2[2] += z_bar_3
        y_bar_3 = t_32 * x_4 - t_31 + t_33
        u_bar_2[1] += y_bar_3
        x_bar_3 = t_32 * y_4 + t_31 * t_8 - t_33
        u_bar_2[0] += x_bar_3
        # for k in range(len(observed)):
        hold = u_bar_1
        u_bar_1 = u_bar_2
        u_bar_2 = hold
    theta_bar[0] += theta_bar_3
    theta_bar[1] += theta_bar_2
    theta_bar[2] += theta_bar_1
    out[0] = total / t_6
    for i in range(3):
        u_bar[i] = u_bar_1[i]
    return 0
