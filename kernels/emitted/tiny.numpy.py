# kernels/tiny.py: value and gradient by V and W.  Written by adc.
import numpy as np


def loss_value_and_grad(V, W, x, y):
    n = x.shape[0]
    # line 17: for i in range(len(x)):
    total = 0.0
    for i in range(n):
        # line 22: a += V[j, k] * x[i, k]
        t0 = x[i, 0]
        t1 = x[i, 1]
        a = V[0, 2] + V[0, 0] * t0 + V[0, 1] * t1
        # line 23: hidden[j] = math.tanh(a)
        t2 = np.tanh(a)
        # line 22: a += V[j, k] * x[i, k]
        a = V[1, 2] + V[1, 0] * t0 + V[1, 1] * t1
        # line 23: hidden[j] = math.tanh(a)
        t3 = np.tanh(a)
        # line 22: a += V[j, k] * x[i, k]
        a = V[2, 2] + V[2, 0] * t0 + V[2, 1] * t1
        # line 23: hidden[j] = math.tanh(a)
        t4 = np.tanh(a)
        # line 27: a += W[o, j] * hidden[j]
        a = W[0, 3] + W[0, 0] * t2 + W[0, 1] * t3 + W[0, 2] * t4
        # line 28: p = 1.0 / (1.0 + math.exp(-a))
        p = 1.0 / (1.0 + np.exp(-a))
        # line 27: a += W[o, j] * hidden[j]
        a = W[1, 3] + W[1, 0] * t2 + W[1, 1] * t3 + W[1, 2] * t4
        # line 28: p = 1.0 / (1.0 + math.exp(-a))
        p_1 = 1.0 / (1.0 + np.exp(-a))
        # line 29: total += (p - y[i, o]) ** 2
        total = total + (p - y[i, 0]) ** 2 + (p_1 - y[i, 1]) ** 2
    # line 17: for i in range(len(x)):
    V_bar = np.zeros((3, 3))
    W_bar = np.zeros((2, 4))
    for i in reversed(range(n)):
        # line 22: a += V[j, k] * x[i, k]
        t5 = x[i, 0]
        t6 = x[i, 1]
        a = V[0, 2] + V[0, 0] * t5 + V[0, 1] * t6
        # line 23: hidden[j] = math.tanh(a)
        t7 = np.tanh(a)
        # line 22: a += V[j, k] * x[i, k]
        a = V[1, 2] + V[1, 0] * t5 + V[1, 1] * t6
        # line 23: hidden[j] = math.tanh(a)
        t8 = np.tanh(a)
        # line 22: a += V[j, k] * x[i, k]
        a = V[2, 2] + V[2, 0] * t5 + V[2, 1] * t6
        # line 23: hidden[j] = math.tanh(a)
        t9 = np.tanh(a)
        # line 27: a += W[o, j] * hidden[j]
        t10 = W[0, 0]
        t11 = W[0, 1]
        t12 = W[0, 2]
        a = W[0, 3] + t10 * t7 + t11 * t8 + t12 * t9
        # line 28: p = 1.0 / (1.0 + math.exp(-a))
        p = 1.0 / (1.0 + np.exp(-a))
        # line 27: a += W[o, j] * hidden[j]
        t13 = W[1, 0]
        t14 = W[1, 1]
        t15 = W[1, 2]
        a_1 = W[1, 3] + t13 * t7 + t14 * t8 + t15 * t9
        # line 28: p = 1.0 / (1.0 + math.exp(-a))
        p_1 = 1.0 / (1.0 + np.exp(-a_1))
        # line 29: total += (p - y[i, o]) ** 2
        p_bar = 2.0 * (p_1 - y[i, 1]) / n
        # line 28: p = 1.0 / (1.0 + math.exp(-a))
        t16 = p_bar * (p_1 / (1.0 + np.exp(a_1)))
        # line 27: a += W[o, j] * hidden[j]
        W_bar[1, 2] += t16 * t9
        W_bar[1, 1] += t16 * t8
        W_bar[1, 0] += t16 * t7
        # line 25: a = W[o, 3]
        W_bar[1, 3] += t16
        # line 29: total += (p - y[i, o]) ** 2
        p_bar = 2.0 * (p - y[i, 0]) / n
        # line 28: p = 1.0 / (1.0 + math.exp(-a))
        t17 = p_bar * (p / (1.0 + np.exp(a)))
        # line 27: a += W[o, j] * hidden[j]
        W_bar[0, 2] += t17 * t9
        W_bar[0, 1] += t17 * t8
        W_bar[0, 0] += t17 * t7
        # line 25: a = W[o, 3]
        W_bar[0, 3] += t17
        # line 23: hidden[j] = math.tanh(a)
        a_bar = (t16 * t15 + t17 * t12) * (1.0 - t9 ** 2)
        # line 22: a += V[j, k] * x[i, k]
        V_bar[2, 1] += a_bar * t6
        V_bar[2, 0] += a_bar * t5
        # line 20: a = V[j, 2]
        V_bar[2, 2] += a_bar
        # line 23: hidden[j] = math.tanh(a)
        a_bar = (t16 * t14 + t17 * t11) * (1.0 - t8 ** 2)
        # line 22: a += V[j, k] * x[i, k]
        V_bar[1, 1] += a_bar * t6
        V_bar[1, 0] += a_bar * t5
        # line 20: a = V[j, 2]
        V_bar[1, 2] += a_bar
        # line 23: hidden[j] = math.tanh(a)
        a_bar = (t16 * t13 + t17 * t10) * (1.0 - t7 ** 2)
        # line 22: a += V[j, k] * x[i, k]
        V_bar[0, 1] += a_bar * t6
        V_bar[0, 0] += a_bar * t5
        # line 20: a = V[j, 2]
        V_bar[0, 2] += a_bar
    return total / np.float64(n), V_bar, W_bar
