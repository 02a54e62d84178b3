"""kernels/lstm.py: value and gradient by main and extra: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    main           f8[l, 2, 4, b]   input
    extra          f8[3, b]         input
    state          f8[l, 2, b]      input
    sequence       f8[c, b]         input
    l              i8               size
    b              i8               size
    c              i8               size
    out            f8               result
    main_bar       f8[l, 2, 4, b]   result
    extra_bar      f8[3, b]         result
    state_1        f8[l, 2, b]      scratch
    state_bar      f8[l, 2, b]      scratch
    state_saved    f8[c - 1, l, b]  scratch
    state_saved_1  f8[c - 1, l, b]  scratch
    x_saved        f8[c - 1, l, b]  scratch
    x_saved_1      f8[c - 1, b]     scratch
    saved          f8[c - 1]        scratch
    x              f8[b]            scratch
    y              f8[b]            scratch
    sum_parts      f8[chunks, 16]   scratch
    x_bar          f8[144*chunks]   scratch
    report         i8[0]            result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, b, chunks, x, sequence, t, extra, l, main, state_1, state_saved, state_saved_1, x_saved, y, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((b + 127) // 128) // chunks
        last = (chunk * ((b + 127) // 128) + (b + 127) // 128) // chunks
        sum_2 = 0.0
        for turn in range(last - first):
            block = first + turn
            start = 128 * block
            lanes = min(128, b - start)
            for lane in range(lanes):
                x[lane + start] = sequence[t * b + lane + start] * extra[lane + start]
            for k in range(l):
                for lane in range(lanes):
                    t_1 = x[lane + start] * main[k * 2 * 4 * b + lane + start] + main[(k * 2 + 1) * 4 * b + lane + start]
                    t_2 = state_1[k * 2 * b + lane + start]
                    t_3 = t_2 * main[(k * 2 * 4 + 1) * b + lane + start] + main[((k * 2 + 1) * 4 + 1) * b + lane + start]
                    t_4 = t_2 * main[(k * 2 * 4 + 3) * b + lane + start] + main[((k * 2 + 1) * 4 + 3) * b + lane + start]
                    state_2 = state_1[(k * 2 + 1) * b + lane + start] * (1.0 / (1.0 + math.exp(-t_1))) + 1.0 / (1.0 + math.exp(-t_3)) * math.tanh(t_4)
                    t_5 = x[lane + start] * main[(k * 2 * 4 + 2) * b + lane + start] + main[((k * 2 + 1) * 4 + 2) * b + lane + start]
                    hidden = 1.0 / (1.0 + math.exp(-t_5)) * math.tanh(state_2)
                    state_saved[(t * l + k) * b + lane + start] = state_1[k * 2 * b + lane + start]
                    state_saved_1[(t * l + k) * b + lane + start] = state_1[(k * 2 + 1) * b + lane + start]
                    state_1[k * 2 * b + lane + start] = hidden
                    state_1[(k * 2 + 1) * b + lane + start] = state_2
                    x_saved[(t * l + k) * b + lane + start] = x[lane + start]
                    x[lane + start] = hidden
            for lane in range(lanes):
                y[lane + start] = x[lane + start] * extra[1 * b + lane + start] + extra[2 * b + lane + start]
                sum_2 += math.exp(y[lane + start])
        sum_parts[chunk * 16] = sum_2
    return 0


def loss_value_and_grad_part_1(begin, end, worker, b, chunks_1, x_saved_1, t, extra, total_bar, sequence, t_8, extra_bar, x_bar, l, x_saved, main, state_saved, state_saved_1, state_bar, main_bar):
    for chunk in range(begin, end):
        first_1 = chunk * ((b + 127) // 128) // chunks_1
        last_1 = (chunk * ((b + 127) // 128) + (b + 127) // 128) // chunks_1
        at = 144 * chunk
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = 128 * block_1
            lanes_1 = min(128, b - start_1)
            for lane in range(lanes_1):
                t_9 = x_saved_1[t * b + lane + start_1] * extra[1 * b + lane + start_1] + extra[2 * b + lane + start_1]
                y_bar = total_bar * sequence[(t + 1) * b + lane + start_1] + t_8 * math.exp(t_9)
                extra_bar[2 * b + lane + start_1] += y_bar
                extra_bar[1 * b + lane + start_1] += y_bar * x_saved_1[t * b + lane + start_1]
                x_bar[at + lane] = y_bar * extra[1 * b + lane + start_1]
            # for k in range(layers):
            for k in range(l - 1, -1, -1):
                for lane in range(lanes_1):
                    t_10 = x_saved[(t * l + k) * b + lane + start_1] * main[k * 2 * 4 * b + lane + start_1] + main[(k * 2 + 1) * 4 * b + lane + start_1]
                    t_11 = math.exp(-t_10)
                    forget = 1.0 / (1.0 + t_11)
                    t_13 = state_saved[(t * l + k) * b + lane + start_1] * main[(k * 2 * 4 + 1) * b + lane + start_1]
                    t_12 = t_13 + main[((k * 2 + 1) * 4 + 1) * b + lane + start_1]
                    t_14 = math.exp(-t_12)
                    ingate = 1.0 / (1.0 + t_14)
                    t_16 = x_saved[(t * l + k) * b + lane + start_1] * main[(k * 2 * 4 + 2) * b + lane + start_1]
                    t_15 = t_16 + main[((k * 2 + 1) * 4 + 2) * b + lane + start_1]
                    t_17 = math.exp(-t_15)
                    outgate = 1.0 / (1.0 + t_17)
                    t_18 = state_saved[(t * l + k) * b + lane + start_1] * main[(k * 2 * 4 + 3) * b + lane + start_1]
                    change = math.tanh(t_18 + main[((k * 2 + 1) * 4 + 3) * b + lane + start_1])
                    t_19 = math.tanh(state_saved_1[(t * l + k) * b + lane + start_1] * forget + ingate * change)
                    state_bar_1 = state_bar[(k * 2 + 1) * b + lane + start_1]
                    hidden_bar = x_bar[at + lane] + state_bar[k * 2 * b + lane + start_1]
                    state_bar_2 = state_bar_1 + hidden_bar * outgate * (1.0 - t_19 * t_19)
                    state_bar[(k * 2 + 1) * b + lane + start_1] = state_bar_2 * forget
                    t_20 = state_bar_2 * ingate * (1.0 - change * change)
                    main_bar[((k * 2 + 1) * 4 + 3) * b + lane + start_1] += t_20
                    main_bar[(k * 2 * 4 + 3) * b + lane + start_1] += t_20 * state_saved[(t * l + k) * b + lane + start_1]
                    t_21 = hidden_bar * t_19 * (outgate / (1.0 + 1.0 / t_17))
                    main_bar[((k * 2 + 1) * 4 + 2) * b + lane + start_1] += t_21
                    main_bar[(k * 2 * 4 + 2) * b + lane + start_1] += t_21 * x_saved[(t * l + k) * b + lane + start_1]
                    t_22 = state_bar_2 * change * (ingate / (1.0 + 1.0 / t_14))
                    main_bar[((k * 2 + 1) * 4 + 1) * b + lane + start_1] += t_22
                    main_bar[(k * 2 * 4 + 1) * b + lane + start_1] += t_22 * state_saved[(t * l + k) * b + lane + start_1]
                    state_bar[k * 2 * b + lane + start_1] = t_20 * main[(k * 2 * 4 + 3) * b + lane + start_1] + t_22 * main[(k * 2 * 4 + 1) * b + lane + start_1]
                    t_23 = state_bar_2 * state_saved_1[(t * l + k) * b + lane + start_1] * (forget / (1.0 + 1.0 / t_11))
                    main_bar[(k * 2 + 1) * 4 * b + lane + start_1] += t_23
                    main_bar[k * 2 * 4 * b + lane + start_1] += t_23 * x_saved[(t * l + k) * b + lane + start_1]
                    x_bar[at + lane] = t_21 * main[(k * 2 * 4 + 2) * b + lane + start_1] + t_23 * main[k * 2 * 4 * b + lane + start_1]
            for lane in range(lanes_1):
                extra_bar[lane + start_1] += x_bar[at + lane] * sequence[t * b + lane + start_1]
    return 0


def loss_value_and_grad(main, extra, state, sequence, l, b, c, out, main_bar, extra_bar, state_1, state_bar, state_saved, state_saved_1, x_saved, x_saved_1, saved, x, y, sum_parts, x_bar, report):
    # for t in range(len(sequence) - 1):
    for i in range(l):
        for j in range(2):
            for k in range(b):
                state_1[(i * 2 + j) * b + k] = state[(i * 2 + j) * b + k]
                state_bar[(i * 2 + j) * b + k] = 0.0
            for k in range(4):
                for l_1 in range(b):
                    main_bar[((i * 2 + j) * 4 + k) * b + l_1] = 0.0
    total = 0.0
    for t in range(c - 1):
        # norm = np.log(2.0 + np.sum(np.exp(y)))
        sum_1 = 0.0
        # for k in range(layers):
        chunks = max(1, min((b + 127) // 128, 2 * min(8, (20 * b + 102 * b * l) // 262144)))
        code = run_loss_value_and_grad_part(chunks, b, chunks, x, sequence, t, extra, l, main, state_1, state_saved, state_saved_1, x_saved, y, sum_parts)
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
    t_7 = np.float64(b * c - b)
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
        chunks_1 = max(1, min((b + 127) // 128, 2 * min(8, (28 * b + 233 * b * l) // 262144)))
        code_1 = run_loss_value_and_grad_part_1(chunks_1, b, chunks_1, x_saved_1, t, extra, total_bar, sequence, t_8, extra_bar, x_bar, l, x_saved, main, state_saved, state_saved_1, state_bar, main_bar)
        if code_1 != 0:
            return code_1
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
