"""kernels/lstm.py: value and gradient by main and extra: the loops that adc compiles.

Arrays are flat and C-ordered; bools are bytes.

    main            f8[l, 2, 4, b]  input
    extra           f8[3, b]        input
    state           f8[l, 2, b]     input
    sequence        f8[c, b]        input
    l               i8              size
    b               i8              size
    c               i8              size
    out             f8              result
    main_bar        f8[l, 2, 4, b]  result
    extra_bar       f8[3, b]        result
    state_saved     f8[c, l, 2, b]  scratch
    state_bar       f8[l, 2, b]     scratch
    saved           f8[c - 1]       scratch
    y               f8[b]           scratch
    sum_parts       f8[chunks, 16]  scratch
    x               f8[144*chunks]  scratch
    x_saved         f8[l, b]        scratch
    forget_saved    f8[l, b]        scratch
    ingate_saved    f8[l, b]        scratch
    outgate_saved   f8[l, b]        scratch
    change_saved    f8[l, b]        scratch
    saved_1         f8[l, b]        scratch
    norm_bar_parts  f8[chunks, 16]  scratch
    state_bar_1     f8[l, 2, b]     scratch
    x_bar           f8[144*chunks]  scratch
    report          i8[0]           result: sizes that only the data know

Returns 0.
"""

import math

import numpy as np


def loss_value_and_grad_part(begin, end, worker, b, chunks, x, sequence, t, extra, l, main, state_saved, y, sum_parts):
    for chunk in range(begin, end):
        first = chunk * ((b + 127) // 128) // chunks
        last = (chunk + 1) * ((b + 127) // 128) // chunks
        at = 144 * chunk
        sum_2 = 0.0
        for turn in range(last - first):
            block = first + turn
            start = 128 * block
            lanes = min(128, b - start)
            for lane in range(lanes):
                x[at + lane] = sequence[t * b + lane + start] * extra[lane + start]
            for k in range(l):
                main_row = k * 2 * 4 * b + start
                state_saved_row = (t * l + k) * 2 * b + start
                for lane in range(lanes):
                    t_1 = 1.0 / (1.0 + math.exp(-(x[at + lane] * main[main_row + lane] + main[main_row + 4 * b + lane])))
                    t_2 = state_saved[state_saved_row + lane]
                    t_3 = 1.0 / (1.0 + math.exp(-(t_2 * main[main_row + b + lane] + main[main_row + 5 * b + lane])))
                    t_4 = t_3 * math.tanh(t_2 * main[main_row + 3 * b + lane] + main[main_row + 7 * b + lane])
                    state_1 = state_saved[state_saved_row + b + lane] * t_1 + t_4
                    t_5 = math.exp(-(x[at + lane] * main[main_row + 2 * b + lane] + main[main_row + 6 * b + lane]))
                    hidden = 1.0 / (1.0 + t_5) * math.tanh(state_1)
                    state_saved[state_saved_row + l * 2 * b + lane] = hidden
                    state_saved[state_saved_row + (l * 2 + 1) * b + lane] = state_1
                    x[at + lane] = hidden
            for lane in range(lanes):
                y[lane + start] = x[at + lane] * extra[b + lane + start] + extra[2 * b + lane + start]
                sum_2 += math.exp(y[lane + start])
        sum_parts[chunk * 16] = sum_2
    return 0


def loss_value_and_grad_part_1(begin, end, worker, b, chunks_1, t, y, sequence, extra, l, main, state_saved, x_saved, forget_saved, ingate_saved, outgate_saved, change_saved, saved_1, total_bar, norm_bar_parts):
    for chunk in range(begin, end):
        first_1 = chunk * ((b + 127) // 128) // chunks_1
        last_1 = (chunk + 1) * ((b + 127) // 128) // chunks_1
        norm_bar_1 = 0.0
        for turn in range(last_1 - first_1):
            block_1 = first_1 + turn
            start_1 = 128 * block_1
            lanes_1 = min(128, b - start_1)
            sequence_row = t * b + start_1
            for lane in range(lanes_1):
                y[lane + start_1] = sequence[sequence_row + lane] * extra[lane + start_1]
            for k in range(l):
                main_row_1 = k * 2 * 4 * b + start_1
                state_saved_row_1 = (t * l + k) * 2 * b + start_1
                base_1 = k * b + start_1
                for lane in range(lanes_1):
                    t_8 = math.exp(-(y[lane + start_1] * main[main_row_1 + lane] + main[main_row_1 + 4 * b + lane]))
                    forget = 1.0 / (1.0 + t_8)
                    t_9 = state_saved[state_saved_row_1 + lane] * main[main_row_1 + b + lane] + main[main_row_1 + 5 * b + lane]
                    ingate = 1.0 / (1.0 + math.exp(-t_9))
                    t_10 = -(y[lane + start_1] * main[main_row_1 + 2 * b + lane] + main[main_row_1 + 6 * b + lane])
                    outgate = 1.0 / (1.0 + math.exp(t_10))
                    t_11 = state_saved[state_saved_row_1 + lane] * main[main_row_1 + 3 * b + lane] + main[main_row_1 + 7 * b + lane]
                    change = math.tanh(t_11)
                    t_12 = math.tanh(state_saved[state_saved_row_1 + b + lane] * forget + ingate * change)
                    x_saved[base_1 + lane] = y[lane + start_1]
                    forget_saved[base_1 + lane] = forget
                    ingate_saved[base_1 + lane] = ingate
                    outgate_saved[base_1 + lane] = outgate
                    change_saved[base_1 + lane] = change
                    saved_1[base_1 + lane] = t_12
                    y[lane + start_1] = outgate * t_12
            for lane in range(lanes_1):
                norm_bar_1 += -(total_bar * sequence[sequence_row + b + lane])
        norm_bar_parts[chunk * 16] = norm_bar_1
    return 0


def loss_value_and_grad_part_2(begin, end, worker, b, chunks_2, t, y, extra, total_bar, sequence, t_13, extra_bar, x_bar, l, state_bar, saved_1, outgate_saved, state_bar_1, forget_saved, change_saved, ingate_saved, main_bar, state_saved, main, x_saved):
    for chunk in range(begin, end):
        first_2 = chunk * ((b + 127) // 128) // chunks_2
        last_2 = (chunk + 1) * ((b + 127) // 128) // chunks_2
        at_1 = 144 * chunk
        for turn in range(last_2 - first_2):
            block_2 = first_2 + turn
            start_2 = 128 * block_2
            lanes_2 = min(128, b - start_2)
            sequence_row_1 = t * b + start_2
            for lane in range(lanes_2):
                t_14 = math.exp(y[lane + start_2] * extra[b + lane + start_2] + extra[2 * b + lane + start_2])
                y_bar = total_bar * sequence[sequence_row_1 + b + lane] + t_13 * t_14
                extra_bar[2 * b + lane + start_2] += y_bar
                extra_bar[b + lane + start_2] += y_bar * y[lane + start_2]
                x_bar[at_1 + lane] = y_bar * extra[b + lane + start_2]
            # for k in range(layers):
            for k in range(l - 1, -1, -1):
                base_2 = k * 2 * b + start_2
                base_3 = k * b + start_2
                base_4 = k * 2 * 4 * b + start_2
                state_saved_row_2 = (t * l + k) * 2 * b + start_2
                for lane in range(lanes_2):
                    state_bar_2 = state_bar[base_2 + b + lane]
                    state_bar[base_2 + b + lane] = 0.0
                    hidden_bar = x_bar[at_1 + lane] + state_bar[base_2 + lane]
                    state_bar[base_2 + lane] = 0.0
                    t_15 = saved_1[base_3 + lane]
                    state_bar_3 = state_bar_2 + hidden_bar * outgate_saved[base_3 + lane] * (1.0 - t_15 * t_15)
                    state_bar_1[base_2 + b + lane] += state_bar_3 * forget_saved[base_3 + lane]
                    t_17 = change_saved[base_3 + lane]
                    t_16 = state_bar_3 * ingate_saved[base_3 + lane] * (1.0 - t_17 * t_17)
                    main_bar[base_4 + 7 * b + lane] += t_16
                    main_bar[base_4 + 3 * b + lane] += t_16 * state_saved[state_saved_row_2 + lane]
                    state_bar_1[base_2 + lane] += t_16 * main[base_4 + 3 * b + lane]
                    t_19 = math.exp(x_saved[base_3 + lane] * main[base_4 + 2 * b + lane] + main[base_4 + 6 * b + lane])
                    t_18 = hidden_bar * saved_1[base_3 + lane] * (outgate_saved[base_3 + lane] / (1.0 + t_19))
                    main_bar[base_4 + 6 * b + lane] += t_18
                    main_bar[base_4 + 2 * b + lane] += t_18 * x_saved[base_3 + lane]
                    t_21 = state_saved[state_saved_row_2 + lane] * main[base_4 + b + lane] + main[base_4 + 5 * b + lane]
                    t_20 = state_bar_3 * change_saved[base_3 + lane] * (ingate_saved[base_3 + lane] / (1.0 + math.exp(t_21)))
                    main_bar[base_4 + 5 * b + lane] += t_20
                    main_bar[base_4 + b + lane] += t_20 * state_saved[state_saved_row_2 + lane]
                    state_bar_1[base_2 + lane] += t_20 * main[base_4 + b + lane]
                    t_23 = 1.0 + math.exp(x_saved[base_3 + lane] * main[base_4 + lane] + main[base_4 + 4 * b + lane])
                    t_22 = state_bar_3 * state_saved[state_saved_row_2 + b + lane] * (forget_saved[base_3 + lane] / t_23)
                    main_bar[base_4 + 4 * b + lane] += t_22
                    main_bar[base_4 + lane] += t_22 * x_saved[base_3 + lane]
                    x_bar[at_1 + lane] = t_18 * main[base_4 + 2 * b + lane] + t_22 * main[base_4 + lane]
            for lane in range(lanes_2):
                extra_bar[lane + start_2] += x_bar[at_1 + lane] * sequence[sequence_row_1 + lane]
    return 0


def loss_value_and_grad(main, extra, state, sequence, l, b, c, out, main_bar, extra_bar, state_saved, state_bar, saved, y, sum_parts, x, x_saved, forget_saved, ingate_saved, outgate_saved, change_saved, saved_1, norm_bar_parts, state_bar_1, x_bar, report):
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
        chunks = max(1, min((b + 127) // 128, 2 * min(8, (94 * l + 19) * b // 262144)))
        code = run_loss_value_and_grad_part(chunks, b, chunks, x, sequence, t, extra, l, main, state_saved, y, sum_parts)
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
        # for k in range(layers):
        chunks_1 = max(1, min((b + 127) // 128, 2 * min(8, (105 * l + 8) * b // 262144)))
        code_1 = run_loss_value_and_grad_part_1(chunks_1, b, chunks_1, t, y, sequence, extra, l, main, state_saved, x_saved, forget_saved, ingate_saved, outgate_saved, change_saved, saved_1, total_bar, norm_bar_parts)
        if code_1 != 0:
            return code_1
        for chunk in range(chunks_1):
            norm_bar += norm_bar_parts[chunk * 16]
        # norm = np.log(2.0 + np.sum(np.exp(y)))
        t_13 = norm_bar * saved[t]
        # for k in range(layers):
        for i in range(l):
            for j in range(2):
                for k in range(b):
                    state_bar_1[(i * 2 + j) * b + k] = 0.0
        # norm = np.log(2.0 + np.sum(np.exp(y)))
        chunks_2 = max(1, min((b + 127) // 128, 2 * min(8, (134 * l + 28) * b // 262144)))
        code_2 = run_loss_value_and_grad_part_2(chunks_2, b, chunks_2, t, y, extra, total_bar, sequence, t_13, extra_bar, x_bar, l, state_bar, saved_1, outgate_saved, state_bar_1, forget_saved, change_saved, ingate_saved, main_bar, state_saved, main, x_saved)
        if code_2 != 0:
            return code_2
        # for t in range(len(sequence) - 1):
        for i in range(l):
            for j in range(2):
                base_5 = (i * 2 + j) * b
                for k in range(b):
                    state_bar[base_5 + k] += state_bar_1[base_5 + k]
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


def run_loss_value_and_grad_part_2(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = loss_value_and_grad_part_2(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
