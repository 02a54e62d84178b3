# kernels/lorenz.py: value and gradient by theta and u.  Written by adc.
import numpy as np


def loss_value_and_grad(theta, u, observed, h):
    n = observed.shape[0]
    # line 29: u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
    t0 = h / 6.0
    # line 24: for k in range(len(observed)):
    total = 0.0
    u_saved = np.empty((n, 3))
    for k in range(n):
        u_saved[k] = u
        # line 17: x, y, z = u
        x = u[0]
        y = u[1]
        z = u[2]
        # line 18: sigma, rho, beta = theta
        sigma = theta[0]
        rho = theta[1]
        beta = theta[2]
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t1 = x * (rho - z) - y
        a = np.array([sigma * (y - x), t1, x * y - beta * z])
        # line 26: b = slope(theta, u + 0.5 * h * a)
        t2 = 0.5 * h
        t3 = u + t2 * a
        # line 17: x, y, z = u
        x = t3[0]
        y = t3[1]
        z = t3[2]
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t4 = x * (rho - z) - y
        b = np.array([sigma * (y - x), t4, x * y - beta * z])
        # line 27: c = slope(theta, u + 0.5 * h * b)
        t5 = u + t2 * b
        # line 17: x, y, z = u
        x = t5[0]
        y = t5[1]
        z = t5[2]
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t6 = x * (rho - z) - y
        c = np.array([sigma * (y - x), t6, x * y - beta * z])
        # line 28: d = slope(theta, u + h * c)
        t7 = u + h * c
        # line 17: x, y, z = u
        x = t7[0]
        y = t7[1]
        z = t7[2]
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t8 = x * (rho - z) - y
        d = np.array([sigma * (y - x), t8, x * y - beta * z])
        # line 29: u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        u = u + t0 * (a + 2.0 * b + 2.0 * c + d)
        # line 30: total += (u[0] - observed[k]) ** 2
        total += (u[0] - observed[k]) ** 2
    # line 24: for k in range(len(observed)):
    u_bar = np.zeros(3)
    theta_bar = np.zeros(3)
    for k in reversed(range(n)):
        u = u_saved[k]
        # line 17: x, y, z = u
        x = u[0]
        y = u[1]
        z = u[2]
        # line 18: sigma, rho, beta = theta
        sigma = theta[0]
        rho = theta[1]
        beta = theta[2]
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t9 = y - x
        t10 = rho - z
        a = np.array([sigma * t9, x * t10 - y, x * y - beta * z])
        # line 26: b = slope(theta, u + 0.5 * h * a)
        t11 = 0.5 * h
        t12 = u + t11 * a
        # line 17: x, y, z = u
        x_1 = t12[0]
        y_1 = t12[1]
        z_1 = t12[2]
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t13 = y_1 - x_1
        t14 = rho - z_1
        b = np.array([sigma * t13, x_1 * t14 - y_1, x_1 * y_1 - beta * z_1])
        # line 27: c = slope(theta, u + 0.5 * h * b)
        t15 = u + t11 * b
        # line 17: x, y, z = u
        x_2 = t15[0]
        y_2 = t15[1]
        z_2 = t15[2]
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t16 = y_2 - x_2
        t17 = rho - z_2
        c = np.array([sigma * t16, x_2 * t17 - y_2, x_2 * y_2 - beta * z_2])
        # line 28: d = slope(theta, u + h * c)
        t18 = u + h * c
        # line 17: x, y, z = u
        x_3 = t18[0]
        y_3 = t18[1]
        z_3 = t18[2]
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t19 = y_3 - x_3
        t20 = rho - z_3
        d = np.array([sigma * t19, x_3 * t20 - y_3, x_3 * y_3 - beta * z_3])
        # line 29: u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        u = u + t0 * (a + 2.0 * b + 2.0 * c + d)
        # line 30: total += (u[0] - observed[k]) ** 2
        u_bar[0] += 2.0 * (u[0] - observed[k]) / n
        # line 29: u = u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        d_bar = u_bar * t0
        c_bar = d_bar * 2.0
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t21 = d_bar[0]
        t22 = d_bar[1]
        t23 = d_bar[2]
        beta_bar = -(t23 * z_3)
        rho_bar = t22 * x_3
        z_bar = -(t23 * beta) - rho_bar
        sigma_bar = t21 * t19
        t24 = t21 * sigma
        y_bar = t23 * x_3 - t22 + t24
        x_bar = t23 * y_3 + t22 * t20 - t24
        # line 18: sigma, rho, beta = theta
        theta_bar[2] += beta_bar
        theta_bar[1] += rho_bar
        theta_bar[0] += sigma_bar
        # line 17: x, y, z = u
        t25 = np.zeros(3)
        t25[2] = z_bar
        t25[1] += y_bar
        t25[0] += x_bar
        # line 28: d = slope(theta, u + h * c)
        c_bar_1 = c_bar + t25 * h
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t26 = c_bar_1[0]
        t27 = c_bar_1[1]
        t28 = c_bar_1[2]
        beta_bar = -(t28 * z_2)
        rho_bar = t27 * x_2
        z_bar = -(t28 * beta) - rho_bar
        sigma_bar = t26 * t16
        t29 = t26 * sigma
        y_bar = t28 * x_2 - t27 + t29
        x_bar = t28 * y_2 + t27 * t17 - t29
        # line 18: sigma, rho, beta = theta
        theta_bar[2] += beta_bar
        theta_bar[1] += rho_bar
        theta_bar[0] += sigma_bar
        # line 17: x, y, z = u
        t30 = np.zeros(3)
        t30[2] = z_bar
        t30[1] += y_bar
        t30[0] += x_bar
        # line 27: c = slope(theta, u + 0.5 * h * b)
        b_bar = c_bar + t30 * t11
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t31 = b_bar[0]
        t32 = b_bar[1]
        t33 = b_bar[2]
        beta_bar = -(t33 * z_1)
        rho_bar = t32 * x_1
        z_bar = -(t33 * beta) - rho_bar
        sigma_bar = t31 * t13
        t34 = t31 * sigma
        y_bar = t33 * x_1 - t32 + t34
        x_bar = t33 * y_1 + t32 * t14 - t34
        # line 18: sigma, rho, beta = theta
        theta_bar[2] += beta_bar
        theta_bar[1] += rho_bar
        theta_bar[0] += sigma_bar
        # line 17: x, y, z = u
        t35 = np.zeros(3)
        t35[2] = z_bar
        t35[1] += y_bar
        t35[0] += x_bar
        # line 26: b = slope(theta, u + 0.5 * h * a)
        u_bar = u_bar + t25 + t30 + t35
        a_bar = d_bar + t35 * t11
        # line 19: return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])
        t36 = a_bar[0]
        t37 = a_bar[1]
        t38 = a_bar[2]
        beta_bar = -(t38 * z)
        rho_bar = t37 * x
        z_bar = -(t38 * beta) - rho_bar
        sigma_bar = t36 * t9
        t39 = t36 * sigma
        y_bar = t38 * x - t37 + t39
        x_bar = t38 * y + t37 * t10 - t39
        # line 18: sigma, rho, beta = theta
        theta_bar[2] += beta_bar
        theta_bar[1] += rho_bar
        theta_bar[0] += sigma_bar
        # line 17: x, y, z = u
        u_bar[2] += z_bar
        u_bar[1] += y_bar
        u_bar[0] += x_bar
    return total / np.float64(n), theta_bar, u_bar
