# kernels/newton.py: value and gradient by e.  Written by adc.
import numpy as np


def loss_value_and_grad(e, M, x):
    n = M.shape[0]
    # line 30: for k in range(len(M)):
    total = 0.0
    for k in range(n):
        # line 31: total += (np.cos(anomaly(M[k], e)) - e - x[k]) ** 2
        M_1 = M[k]
        # line 22: while abs(step) > 1e-12:
        step = 1.0
        E = M_1
        while abs(step) > 1e-12:
            # line 23: step = (E - e * np.sin(E) - M) / (1.0 - e * np.cos(E))
            step = (E - e * np.sin(E) - M_1) / (1.0 - e * np.cos(E))
            # line 24: E = E - step
            E -= step
        # line 31: total += (np.cos(anomaly(M[k], e)) - e - x[k]) ** 2
        total += (np.cos(E) - e - x[k]) ** 2
    # line 30: for k in range(len(M)):
    e_bar = 0.0
    for k in reversed(range(n)):
        # line 31: total += (np.cos(anomaly(M[k], e)) - e - x[k]) ** 2
        M_1 = M[k]
        # line 22: while abs(step) > 1e-12:
        step = 1.0
        E = M_1
        E_saved = []
        while abs(step) > 1e-12:
            E_saved.append(E)
            # line 23: step = (E - e * np.sin(E) - M) / (1.0 - e * np.cos(E))
            step = (E - e * np.sin(E) - M_1) / (1.0 - e * np.cos(E))
            # line 24: E = E - step
            E -= step
        # line 22: while abs(step) > 1e-12:
        trips = len(E_saved)
        # line 31: total += (np.cos(anomaly(M[k], e)) - e - x[k]) ** 2
        t0 = np.cos(E) - e - x[k]
        E_bar = -(2.0 * t0 * np.sin(E))
        # line 22: while abs(step) > 1e-12:
        e_bar_1 = -2.0 * t0
        for k_1 in reversed(range(trips)):
            E = E_saved[k_1]
            # line 23: step = (E - e * np.sin(E) - M) / (1.0 - e * np.cos(E))
            t1 = np.sin(E)
            t2 = np.cos(E)
            t3 = 1.0 - e * t2
            step = (E - e * t1 - M_1) / t3
            # line 24: E = E - step
            step_bar = -E_bar
            # line 23: step = (E - e * np.sin(E) - M) / (1.0 - e * np.cos(E))
            t4 = step_bar / t3
            t5 = step_bar * (step / t3)
            E_bar = E_bar - t5 * e * t1 + t4 - t4 * e * t2
            e_bar_1 += t5 * t2 - t4 * t1
        # line 30: for k in range(len(M)):
        e_bar += e_bar_1
    return total, e_bar
