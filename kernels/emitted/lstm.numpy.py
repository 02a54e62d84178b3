# kernels/lstm.py: value and gradient by main and extra.  Written by adc.
import numpy as np


def loss_value_and_grad(main, extra, state, sequence):
    l = main.shape[0]
    b = main.shape[3]
    c = sequence.shape[0]
    # line 35: for t in range(len(sequence) - 1):
    total = 0.0
    state_saved = np.empty((c - 1, l, 2, b))
    saved = np.empty(c - 1)
    for t in range(c - 1):
        state_saved[t] = state
        # line 37: for k in range(layers):
        state_1 = state.copy()
        # line 36: x = sequence[t] * extra[0]
        x = sequence[t] * extra[0]
        # line 37: for k in range(layers):
        for k in range(l):
            # line 19: return 1.0 / (1.0 + np.exp(-x))
            forget = 1.0 / (1.0 + np.exp(-(x * main[k, 0, 0] + main[k, 1, 0])))
            # line 25: ingate = sigmoid(hidden * weight[1] + bias[1])
            t0 = state[k, 0]
            # line 19: return 1.0 / (1.0 + np.exp(-x))
            ingate = 1.0 / (1.0 + np.exp(-(t0 * main[k, 0, 1] + main[k, 1, 1])))
            outgate = 1.0 / (1.0 + np.exp(-(x * main[k, 0, 2] + main[k, 1, 2])))
            # line 27: change = np.tanh(hidden * weight[3] + bias[3])
            change = np.tanh(t0 * main[k, 0, 3] + main[k, 1, 3])
            # line 28: state = state * forget + ingate * change
            state_2 = state[k, 1] * forget + ingate * change
            # line 29: return outgate * np.tanh(state), state
            x = outgate * np.tanh(state_2)
            # line 39: state[k, 0] = hidden
            state_1[k, 0] = x
            # line 40: state[k, 1] = memory
            state_1[k, 1] = state_2
        # line 42: y = x * extra[1] + extra[2]
        y = x * extra[1] + extra[2]
        # line 43: norm = np.log(2.0 + np.sum(np.exp(y)))
        t1 = 2.0 + np.sum(np.exp(y))
        norm = np.log(t1)
        saved[t] = 1.0 / t1
        # line 35: for t in range(len(sequence) - 1):
        state = state_1
        # line 44: total += np.sum(sequence[t + 1] * (y - norm))
        total += np.sum(sequence[t + 1] * (y - norm))
    # line 45: return -total / ((len(sequence) - 1) * sequence.shape[1])
    t2 = np.float64(-b + b * c)
    total_bar = -(1.0 / t2)
    # line 35: for t in range(len(sequence) - 1):
    state_bar = np.zeros((l, 2, b))
    extra_bar = np.zeros((3, b))
    main_bar = np.zeros((l, 2, 4, b))
    for t in reversed(range(c - 1)):
        state = state_saved[t]
        # line 43: norm = np.log(2.0 + np.sum(np.exp(y)))
        saved_1 = saved[t]
        # line 36: x = sequence[t] * extra[0]
        t3 = sequence[t]
        x = t3 * extra[0]
        # line 37: for k in range(layers):
        x_saved = np.empty((l, b))
        forget_saved = np.empty((l, b))
        ingate_saved = np.empty((l, b))
        outgate_saved = np.empty((l, b))
        change_saved = np.empty((l, b))
        saved_2 = np.empty((l, b))
        for k in range(l):
            x_saved[k] = x
            # line 19: return 1.0 / (1.0 + np.exp(-x))
            forget = 1.0 / (1.0 + np.exp(-(x * main[k, 0, 0] + main[k, 1, 0])))
            forget_saved[k] = forget
            # line 25: ingate = sigmoid(hidden * weight[1] + bias[1])
            t4 = state[k, 0]
            # line 19: return 1.0 / (1.0 + np.exp(-x))
            ingate = 1.0 / (1.0 + np.exp(-(t4 * main[k, 0, 1] + main[k, 1, 1])))
            ingate_saved[k] = ingate
            outgate = 1.0 / (1.0 + np.exp(-(x * main[k, 0, 2] + main[k, 1, 2])))
            outgate_saved[k] = outgate
            # line 27: change = np.tanh(hidden * weight[3] + bias[3])
            change = np.tanh(t4 * main[k, 0, 3] + main[k, 1, 3])
            change_saved[k] = change
            # line 28: state = state * forget + ingate * change
            state_1 = state[k, 1] * forget + ingate * change
            # line 29: return outgate * np.tanh(state), state
            t5 = np.tanh(state_1)
            saved_2[k] = t5
            x = outgate * t5
        # line 42: y = x * extra[1] + extra[2]
        t6 = extra[1]
        y = x * t6 + extra[2]
        # line 44: total += np.sum(sequence[t + 1] * (y - norm))
        y_bar = total_bar * sequence[t + 1]
        norm_bar = np.sum(-y_bar)
        # line 43: norm = np.log(2.0 + np.sum(np.exp(y)))
        y_bar = y_bar + norm_bar * saved_1 * np.exp(y)
        # line 42: y = x * extra[1] + extra[2]
        extra_bar[2] += y_bar
        extra_bar[1] += y_bar * x
        x_bar = y_bar * t6
        # line 37: for k in range(layers):
        state_bar_1 = np.zeros((l, 2, b))
        for k in reversed(range(l)):
            x = x_saved[k]
            # line 19: return 1.0 / (1.0 + np.exp(-x))
            forget = forget_saved[k]
            ingate = ingate_saved[k]
            outgate = outgate_saved[k]
            # line 27: change = np.tanh(hidden * weight[3] + bias[3])
            change = change_saved[k]
            # line 29: return outgate * np.tanh(state), state
            saved_1 = saved_2[k]
            # line 24: forget = sigmoid(x * weight[0] + bias[0])
            t7 = main[k, 0, 0]
            # line 25: ingate = sigmoid(hidden * weight[1] + bias[1])
            t8 = state[k, 0]
            t9 = main[k, 0, 1]
            # line 26: outgate = sigmoid(x * weight[2] + bias[2])
            t10 = main[k, 0, 2]
            # line 40: state[k, 1] = memory
            state_bar_2 = state_bar[k, 1].copy()
            state_bar[k, 1] = 0.0
            # line 39: state[k, 0] = hidden
            hidden_bar = x_bar + state_bar[k, 0]
            state_bar[k, 0] = 0.0
            # line 29: return outgate * np.tanh(state), state
            outgate_bar = hidden_bar * saved_1
            state_bar_2 = state_bar_2 + hidden_bar * outgate * (1.0 - saved_1 ** 2)
            # line 28: state = state * forget + ingate * change
            ingate_bar = state_bar_2 * change
            change_bar = state_bar_2 * ingate
            forget_bar = state_bar_2 * state[k, 1]
            state_bar_1[k, 1] += state_bar_2 * forget
            # line 27: change = np.tanh(hidden * weight[3] + bias[3])
            t11 = change_bar * (1.0 - change ** 2)
            main_bar[k, 1, 3] += t11
            main_bar[k, 0, 3] += t11 * t8
            state_bar_1[k, 0] += t11 * main[k, 0, 3]
            # line 19: return 1.0 / (1.0 + np.exp(-x))
            t12 = outgate_bar * (outgate / (1.0 + np.exp(x * t10 + main[k, 1, 2])))
            # line 26: outgate = sigmoid(x * weight[2] + bias[2])
            main_bar[k, 1, 2] += t12
            main_bar[k, 0, 2] += t12 * x
            # line 19: return 1.0 / (1.0 + np.exp(-x))
            t13 = ingate_bar * (ingate / (1.0 + np.exp(t8 * t9 + main[k, 1, 1])))
            # line 25: ingate = sigmoid(hidden * weight[1] + bias[1])
            main_bar[k, 1, 1] += t13
            main_bar[k, 0, 1] += t13 * t8
            state_bar_1[k, 0] += t13 * t9
            # line 19: return 1.0 / (1.0 + np.exp(-x))
            t14 = forget_bar * (forget / (1.0 + np.exp(x * t7 + main[k, 1, 0])))
            # line 24: forget = sigmoid(x * weight[0] + bias[0])
            main_bar[k, 1, 0] += t14
            main_bar[k, 0, 0] += t14 * x
            x_bar = t12 * t10 + t14 * t7
        # line 36: x = sequence[t] * extra[0]
        extra_bar[0] += x_bar * t3
        # line 37: for k in range(layers):
        state_bar = state_bar_1 + state_bar
    return -(total / t2), main_bar, extra_bar
