"""Logistic regression on scikit-learn's breast-cancer data, by Newton's method: gradient and Hessian from adc.

    python examples/breast_cancer.py
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import adc


def loss(w, X, y, penalty):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z) + 0.5 * penalty * np.dot(w, w)


def data():
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y.astype(float), test_size=0.25, random_state=0)
    mean, std = X.mean(0), X.std(0)
    X, X_test = ((np.column_stack([np.ones(len(a)), (a - mean) / std])) for a in (X, X_test))
    return X, y, X_test, y_test


def main():
    X, y, X_test, y_test = data()
    w = np.zeros(X.shape[1])
    value_and_grad, hessian = adc.value_and_grad(loss), adc.hessian(loss)
    for k in range(20):
        value, g = value_and_grad(w, X, y, 0.01)
        size = np.linalg.norm(g)
        print(f"step {k}: loss {value:.10f}, |gradient| {size:.2e}")
        if size < 1e-10:
            break
        w = w - np.linalg.solve(hessian(w, X, y, 0.01), g)
    accuracy = np.mean((X_test @ w > 0) == (y_test > 0.5))
    print(f"test accuracy: {accuracy:.1%}")
    return value, accuracy


if __name__ == "__main__":
    main()
