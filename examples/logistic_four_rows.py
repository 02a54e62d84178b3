"""Logistic regression on four rows of data, trained by 100 steps of gradient descent.

    python examples/logistic_four_rows.py
"""

import numpy as np

import adc

INPUTS = np.array([[0.52, 1.12, 0.77], [0.88, -1.08, 0.15], [0.52, 0.06, -1.30], [0.74, -2.49, 1.39]])
TARGETS = np.array([True, True, False, True])


def sigmoid(x):
    return 0.5 * (np.tanh(x / 2.0) + 1.0)


def loss(w, x, t):
    p = sigmoid(np.dot(x, w))
    return -np.sum(np.log(p * t + (1 - p) * (1 - t)))


def main():
    w = np.zeros(3)
    gradient = adc.grad(loss)
    print(f"initial loss: {loss(w, INPUTS, TARGETS):.11f}")
    for _ in range(100):
        w -= 0.01 * gradient(w, INPUTS, TARGETS)
    print(f"final loss:   {loss(w, INPUTS, TARGETS):.11f}")
    print(f"weights:      [{' '.join(f'{v:.8f}' for v in w)}]")
    return w


if __name__ == "__main__":
    main()
