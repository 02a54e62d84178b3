"""A network of 2, 3 and 2 units (tanh, softmax, L2 penalty) on scikit-learn's two moons; draws the decision boundary.

    python examples/moons.py            writes moons.png
"""

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import make_moons
from tqdm import tqdm

import adc


def scores(params, X):
    return np.tanh(X @ params["W1"] + params["b1"]) @ params["W2"] + params["b2"]


def loss(params, X, y, penalty):
    """Cross-entropy of all examples and half the squared weights."""
    z = scores(params, X)
    top = np.max(z, axis=1, keepdims=True)
    log_p = z - top - np.log(np.sum(np.exp(z - top), axis=1, keepdims=True))
    right = log_p[np.arange(len(y)), y]
    return -np.sum(right) + 0.5 * penalty * (np.sum(params["W1"] ** 2) + np.sum(params["W2"] ** 2))


def draw(params, X, y, path):
    os.environ.setdefault("MPLBACKEND", "Agg")
    import matplotlib.pyplot as plt

    (x0, y0), (x1, y1) = X.min(0) - 0.5, X.max(0) + 0.5
    xs, ys = np.meshgrid(np.linspace(x0, x1, 300), np.linspace(y0, y1, 300))
    z = scores(params, np.column_stack([xs.ravel(), ys.ravel()]))
    fig, ax = plt.subplots(figsize=(6, 4))
    ax.contourf(xs, ys, (z[:, 1] > z[:, 0]).reshape(xs.shape), levels=[-0.5, 0.5, 1.5], cmap="Spectral", alpha=0.6)
    ax.scatter(X[:, 0], X[:, 1], c=y, s=18, cmap="Spectral", edgecolors="black", linewidths=0.4)
    ax.set_title("two moons, three hidden units")
    fig.savefig(path, dpi=120)
    plt.close(fig)


def main(steps=20_000, path="moons.png"):
    np.random.seed(0)
    X, y = make_moons(200, noise=0.20)
    np.random.seed(0)
    params = {
        "W1": np.random.randn(2, 3) / np.sqrt(2), "b1": np.zeros(3),
        "W2": np.random.randn(3, 2) / np.sqrt(3), "b2": np.zeros(2),
    }  # fmt: skip
    step = adc.value_and_grad(loss)
    for _ in tqdm(range(steps), desc="two moons", mininterval=0.5):
        value, g = step(params, X, y, 0.01)
        params = {name: params[name] - 0.01 * g[name] for name in params}
    accuracy = np.mean(np.argmax(scores(params, X), axis=1) == y)
    print(f"loss per example after {steps} steps: {value / len(y):.6f}")
    print(f"training accuracy: {accuracy:.1%}")
    if path:
        draw(params, X, y, path)
        print(f"the boundary is in {Path(path).name}")
    return value / len(y), accuracy


if __name__ == "__main__":
    main()
