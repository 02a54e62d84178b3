"""A linear support vector machine: hinge loss, two kinds of iris, subgradient descent.

    python examples/svm.py
"""

import numpy as np
from sklearn.datasets import load_iris
from tqdm import tqdm

import adc


def loss(params, X, y, C):
    """½ |w|² + C · mean of max(0, 1 - y (w·x + b)), labels -1 and 1."""
    margins = y * (X @ params["w"] + params["b"])
    return 0.5 * np.sum(params["w"] ** 2) + C * np.mean(np.maximum(0.0, 1.0 - margins))


def data():
    X, y = load_iris(return_X_y=True)
    X, y = X[y > 0], np.where(y[y > 0] == 1, -1.0, 1.0)
    return (X - X.mean(0)) / X.std(0), y


def main(steps=2000):
    X, y = data()
    params = {"w": np.zeros(X.shape[1]), "b": 0.0}
    step = adc.value_and_grad(loss)
    for k in tqdm(range(steps), desc="hinge loss, iris", mininterval=0.5):
        value, g = step(params, X, y, 10.0)
        rate = 1.0 / (k + 10.0)
        params = {name: params[name] - rate * g[name] for name in params}
    right = np.mean(np.sign(X @ params["w"] + params["b"]) == y)
    print(f"loss after {steps} steps: {value:.4f}")
    print(f"weights: {np.round(params['w'], 3)}, offset {params['b']:.3f}")
    print(f"versicolor against virginica: {right:.1%} right")
    return value, right


if __name__ == "__main__":
    main()
