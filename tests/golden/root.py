def root_grad(a):
    # line 28: while k < 50:
    x = a
    k = 0
    broke = False
    x_saved = []
    while not broke and k < 50:
        x_saved.append(x)
        # line 29: step = (x * x - a) / (2.0 * x)
        step = (x * x - a) / (2.0 * x)
        # line 30: x = x - step
        x -= step
        # line 31: k += 1
        k += 1
        # line 32: if abs(step) < 1e-12:
        broke = abs(step) < 1e-12 or broke
    # line 28: while k < 50:
    trips = len(x_saved)
    x_bar = 1.0
    a_bar = 0.0
    for k in reversed(range(trips)):
        x = x_saved[k]
        # line 29: step = (x * x - a) / (2.0 * x)
        t0 = 2.0 * x
        step = (x * x - a) / t0
        # line 30: x = x - step
        step_bar = -x_bar
        # line 29: step = (x * x - a) / (2.0 * x)
        t1 = step_bar / t0
        t2 = t1 * x
        x_bar = x_bar - step_bar * (step / t0) * 2.0 + t2 + t2
        a_bar -= t1
    # line 28: while k < 50:
    a_bar += x_bar
    return a_bar
