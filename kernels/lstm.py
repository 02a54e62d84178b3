"""A character model: layers of LSTM cells over a sequence, as in ADBench (its recurrence is element by element).

The loss of a step is the cross entropy of the next character's bits under ADBench's `log(2 + sum exp)`, a quirk that is kept.

Hochreiter and Schmidhuber (1997).  In the adjoint: hidden and memory of every step are saved, the gates are computed again;
`state_bar` is moved, not added, where the state was overwritten.
"""

import numpy as np

WRT = (0, 1)
REFERENCE = 1.711719042408
"""The value of `loss(*example_inputs())`, by JAX from another program: kernels/reference/independent.py."""
GRADIENT = ((0.0275786747415, -0.0119161032355), (0.106014329686, -0.0992001894899))
"""Its gradients by `WRT` from the same place, in two numbers each: `adc.artifact.catalogue.digest`."""


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def cell(weight, bias, hidden, state, x):
    """One LSTM cell: (hidden, state) after it has seen `x`; the gates' parameters are rows of `weight` and `bias`."""
    forget = sigmoid(x * weight[0] + bias[0])
    ingate = sigmoid(hidden * weight[1] + bias[1])
    outgate = sigmoid(x * weight[2] + bias[2])
    change = np.tanh(hidden * weight[3] + bias[3])
    state = state * forget + ingate * change
    return outgate * np.tanh(state), state


def loss(main: "f8[l, 2, 4, b]", extra: "f8[3, b]", state: "f8[l, 2, b]", sequence: "f8[c, b]"):
    layers = len(main)
    total = 0.0
    for t in range(len(sequence) - 1):
        x = sequence[t] * extra[0]
        for k in range(layers):
            hidden, memory = cell(main[k, 0], main[k, 1], state[k, 0], state[k, 1], x)
            state[k, 0] = hidden
            state[k, 1] = memory
            x = hidden
        y = x * extra[1] + extra[2]
        norm = np.log(2.0 + np.sum(np.exp(y)))
        total += np.sum(sequence[t + 1] * (y - norm))
    return -total / ((len(sequence) - 1) * sequence.shape[1])


def example_inputs(size=12):
    """(main, extra, state, sequence) for `size` characters of 14 bits and two layers."""
    rng = np.random.default_rng(13)
    l, b = 2, 14
    sequence = rng.integers(0, 2, (size, b)).astype(float)
    return rng.normal(size=(l, 2, 4, b)), rng.normal(size=(3, b)), 0.5 * rng.normal(size=(l, 2, b)), sequence
