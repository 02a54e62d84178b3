"""kernels/lstm.py: value and gradient by main and extra: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    main         f8[l, 2, 4, b]   input
    extra        f8[3, b]         input
    state        f8[l, 2, b]      input
    sequence     f8[c, b]         input
    l            i8               size
    b            i8               size
    c            i8               size
    out          f8               result
    main_bar     f8[l, 2, 4, b]   result
    extra_bar    f8[3, b]         result
    state_saved  f8[c, l, 2, b]   scratch
    state_bar    f8[l, 2, b]      scratch
    x_saved      f8[c - 1, l, b]  scratch
    x_saved_1    f8[c - 1, b]     scratch
    saved        f8[c - 1]        scratch
    x            f8[b]            scratch
    y            f8[b]            scratch
    sum_parts    f8[chunks, 16]   scratch
    state_bar_1  f8[l, 2, b]      scratch
    x_bar        f8[144*chunks]   scratch
    report       i8[0]            result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, b, chunks, x, sequence, t, extra, l, main, state_saved, x_saved, y, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((b + 127) // 128) // chunks
        last = (chunk + 1) * ((b + 127) // 128) // chunks
        sum_2 = 0.0
        for turn in range(last - first):
            block = first + turn
            start = 128 * block
            lanes = min(128, b - start)
            for lane in range(lanes):
                x[lane + start] = sequence[t * b + lane + start] * extra[lane + start]
            for k in range(l):
                main_row = k * 2 * 4 * b + start
                state_saved_row = (t * l + k) * 2 * b + start
                for lane in range(lanes):
                    t_1 = 1.0 / (1.0 + math.exp(-(x[lane + start] * main[main_row + lane] + main[main_row + 4 * b + lane])))
                    t_2 = state_saved[state_saved_row + lane]
                    t_3 = 1.0 / (1.0 + math.exp(-(t_2 * main[main_row + b + lane] + main[main_row + 5 * b + lane])))
                    t_4 = t_3 * math.tanh(t_2 * main[main_row + 3 * b + lane] + main[main_row + 7 * b + lane])
                    state_1 = state_saved[state_saved_row + b + lane] * t_1 + t_4
                    t_5 = math.exp(-(x[lane + start] * main[main_row + 2 * b + lane] + main[main_row + 6 * b + lane]))
                    hidden = 1.0 / (1.0 + t_5) * math.tanh(state_1)
                    state_saved[state_saved_row + l * 2 * b + lane] = hidden
                    state_saved[state_saved_row + (l * 2 + 1) * b + lane] = state_1
                    x_saved[(t * l + k) * b + lane + start] = x[lane + start]
                    x[lane + start] = hidden
            for lane in range(lanes):
                y[lane + start] = x[lane + start] * extra[b + lane + start] + extra[2 * b + lane + start]
                sum_2 += math.exp(y[lane + start])
        sum_parts[chunk * 16] = sum_2
    return 0


def loss_value_and_grad_part_1(begin, end, worker, b, chunks_1, t, x_saved_1, extra, total_bar, sequence, t_8, extra_bar, x_bar, l, x_saved, main, state_saved, state_bar, state_bar_1, main_bar):
    for chunk in range(begin, end):
        first_1 = chunk * ((b + 127) // 128) // chunks_1
        last_1 = (chunk + 1) * ((b + 127) // 128) // chunks_1
        at = 144 * chunk
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = 128 * block_1
            lanes_1 = min(128, b - start_1)
            base_1 = t * b + start_1
            for lane in range(lanes_1):
                t_9 = math.exp(x_saved_1[base_1 + lane] * extra[b + lane + start_1] + extra[2 * b + lane + start_1])
                y_bar = total_bar * sequence[base_1 + b + lane] + t_8 * t_9
                extra_bar[2 * b + lane + start_1] += y_bar
                extra_bar[b + lane + start_1] += y_bar * x_saved_1[base_1 + lane]
                x_bar[at + lane] = y_bar * extra[b + lane + start_1]
            # for k in range(layers):
            for k in range(l - 1, -1, -1):
                base_2 = k * 2 * 4 * b + start_1
                x_saved_row = (t * l + k) * b + start_1
                state_saved_row_1 = (t * l + k) * 2 * b + start_1
                base_3 = k * 2 * b + start_1
                for lane in range(lanes_1):
                    t_10 = x_saved[x_saved_row + lane] * main[base_2 + lane] + main[base_2 + 4 * b + lane]
                    t_11 = math.exp(-t_10)
                    forget = 1.0 / (1.0 + t_11)
                    t_12 = state_saved[state_saved_row_1 + lane] * main[base_2 + b + lane] + main[base_2 + 5 * b + lane]
                    t_13 = math.exp(-t_12)
                    ingate = 1.0 / (1.0 + t_13)
                    t_14 = x_saved[x_saved_row + lane] * main[base_2 + 2 * b + lane] + main[base_2 + 6 * b + lane]
                    t_15 = math.exp(-t_14)
                    outgate = 1.0 / (1.0 + t_15)
                    t_16 = state_saved[state_saved_row_1 + lane] * main[base_2 + 3 * b + lane] + main[base_2 + 7 * b + lane]
                    change = math.tanh(t_16)
                    t_17 = math.tanh(state_saved[state_saved_row_1 + b + lane] * forget + ingate * change)
                    state_bar_2 = state_bar[base_3 + b + lane]
                    state_bar[base_3 + b + lane] = 0.0
                    hidden_bar = x_bar[at + lane] + state_bar[base_3 + lane]
                    state_bar[base_3 + lane] = 0.0
                    state_bar_3 = state_bar_2 + hidden_bar * outgate * (1.0 - t_17 * t_17)
                    state_bar_1[base_3 + b + lane] += state_bar_3 * forget
                    t_18 = state_bar_3 * ingate * (1.0 - change * change)
                    main_bar[base_2 + 7 * b + lane] += t_18
                    main_bar[base_2 + 3 * b + lane] += t_18 * state_saved[state_saved_row_1 + lane]
                    state_bar_1[base_3 + lane] += t_18 * main[base_2 + 3 * b + lane]
                    t_19 = hidden_bar * t_17 * (outgate / (1.0 + 1.0 / t_15))
                    main_bar[base_2 + 6 * b + lane] += t_19
                    main_bar[base_2 + 2 * b + lane] += t_19 * x_saved[x_saved_row + lane]
                    t_20 = state_bar_3 * change * (ingate / (1.0 + 1.0 / t_13))
                    main_bar[base_2 + 5 * b + lane] += t_20
                    main_bar[base_2 + b + lane] += t_20 * state_saved[state_saved_row_1 + lane]
                    state_bar_1[base_3 + lane] += t_20 * main[base_2 + b + lane]
                    t_21 = state_bar_3 * state_saved[state_saved_row_1 + b + lane] * (forget / (1.0 + 1.0 / t_11))
                    main_bar[base_2 + 4 * b + lane] += t_21
                    main_bar[base_2 + lane] += t_21 * x_saved[x_saved_row + lane]
                    x_bar[at + lane] = t_19 * main[base_2 + 2 * b + lane] + t_21 * main[base_2 + lane]
            for lane in range(lanes_1):
                extra_bar[lane + start_1] += x_bar[at + lane] * sequence[base_1 + lane]
    return 0


def loss_value_and_grad(main, extra, state, sequence, l, b, c, out, main_bar, extra_bar, state_saved, state_bar, x_saved, x_saved_1, saved, x, y, sum_parts, state_bar_1, x_bar, report):
    # for t in range(len(sequence) - 1):
    for i in range(l):
        for j in range(2):
            base = (i * 2 + j) * b
            for k in range(b):
                state_saved[base + k] = state[base + k]
                state_bar[base + k] = 0.0
            for k in range(4):
                for l_1 in range(b):
                    main_bar[((i * 2 + j) * 4 + k) * b + l_1] = 0.0
    total = 0.0
    for t in range(c - 1):
        # norm = np.log(2.0 + np.sum(np.exp(y)))
        sum_1 = 0.0
        # for k in range(layers):
        chunks = max(1, min((b + 127) // 128, 2 * min(8, (98 * l + 20) * b // 262144)))
        code = run_loss_value_and_grad_part(chunks, b, chunks, x, sequence, t, extra, l, main, state_saved, x_saved, y, sum_parts)
        if code != 0:
            return code
        for chunk in range(chunks):
            sum_1 += sum_parts[chunk * 16]
        # norm = np.log(2.0 + np.sum(np.exp(y)))
        t_6 = 2.0 + sum_1
        norm = math.log(t_6)
        # total += np.sum(sequence[t + 1] * (y - norm))
        sum_3 = 0.0
        for i in range(b):
            sum_3 += sequence[(t + 1) * b + i] * (y[i] - norm)
            x_saved_1[t * b + i] = x[i]
        # for t in range(len(sequence) - 1):
        saved[t] = 1.0 / t_6
        total += sum_3
    # return -total / ((len(sequence) - 1) * sequence.shape[1])
    t_7 = np.float64((c - 1) * b)
    total_bar = -(1.0 / t_7)
    # for t in range(len(sequence) - 1):
    for i in range(3):
        for j in range(b):
            extra_bar[i * b + j] = 0.0
    for t in range(c - 1 - 1, -1, -1):
        # total += np.sum(sequence[t + 1] * (y - norm))
        norm_bar = 0.0
        for i in range(b):
            norm_bar += -(total_bar * sequence[(t + 1) * b + i])
        # norm = np.log(2.0 + np.sum(np.exp(y)))
        t_8 = norm_bar * saved[t]
        # for k in range(layers):
        for i in range(l):
            for j in range(2):
                for k in range(b):
                    state_bar_1[(i * 2 + j) * b + k] = 0.0
        # norm = np.log(2.0 + np.sum(np.exp(y)))
        chunks_1 = max(1, min((b + 127) // 128, 2 * min(8, (235 * l + 28) * b // 262144)))
        code_1 = run_loss_value_and_grad_part_1(chunks_1, b, chunks_1, t, x_saved_1, extra, total_bar, sequence, t_8, extra_bar, x_bar, l, x_saved, main, state_saved, state_bar, state_bar_1, main_bar)
        if code_1 != 0:
            return code_1
        # for t in range(len(sequence) - 1):
        for i in range(l):
            for j in range(2):
                base_4 = (i * 2 + j) * b
                for k in range(b):
                    state_bar[base_4 + k] += state_bar_1[base_4 + k]
    out[0] = -(total / t_7)
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
