"""A small network on scikit-learn's handwritten digits, trained with Adam on mini-batches: 97% and more on test data.

    python examples/digits.py
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import adc


def scores(layers, X):
    for layer in layers[:-1]:
        X = np.maximum(X @ layer["W"] + layer["b"], 0.0)
    return X @ layers[-1]["W"] + layers[-1]["b"]


def loss(layers, X, y):
    z = scores(layers, X)
    top = np.max(z, axis=1, keepdims=True)
    log_sum = np.log(np.sum(np.exp(z - top), axis=1)) + top[:, 0]
    return np.mean(log_sum - z[np.arange(len(y)), y])


def adam(params, grads, state, rate=3e-3):
    """One step; every leaf has its own moments."""
    state["t"] += 1
    t = state["t"]
    for k, (layer, g) in enumerate(zip(params, grads)):
        for name in layer:
            m, v = state["m"][k][name], state["v"][k][name]
            m += 0.1 * (g[name] - m)
            v += 0.001 * (g[name] ** 2 - v)
            layer[name] -= rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def main(epochs=30, batch=50):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16.0, y, test_size=0.25, random_state=0, stratify=y)
    rng = np.random.default_rng(0)
    sizes = [64, 64, 10]
    layers = [{"W": rng.normal(size=(m, n)) * np.sqrt(2.0 / m), "b": np.zeros(n)} for m, n in zip(sizes[:-1], sizes[1:])]
    state = {"t": 0, **{k: [{name: np.zeros_like(a) for name, a in layer.items()} for layer in layers] for k in "mv"}}
    gradient = adc.grad(loss)
    for _ in tqdm(range(epochs), desc="digits, 64-64-10", mininterval=0.5):
        order = rng.permutation(len(y))
        for start in range(0, len(y) - batch + 1, batch):
            pick = order[start : start + batch]
            adam(layers, gradient(layers, X[pick], y[pick]), state)
    accuracy = np.mean(np.argmax(scores(layers, X_test), axis=1) == y_test)
    print(f"loss on training data: {loss(layers, X, y):.5f}")
    print(f"test accuracy: {accuracy:.2%} of {len(y_test)} digits")
    return accuracy


if __name__ == "__main__":
    main()
