"""Parameters of the Lorenz system from what it did: the gradient of 3,000 Runge–Kutta steps, handed to SciPy's BFGS.

    python examples/lorenz.py
"""

import numpy as np
from scipy.optimize import minimize

import adc

START = np.array([1.0, 1.0, 1.0])
TRUE = np.array([10.0, 28.0, 8.0 / 3.0])


def slope(theta, u):
    sigma, rho, beta = theta
    return np.array([sigma * (u[1] - u[0]), u[0] * (rho - u[2]) - u[1], u[0] * u[1] - beta * u[2]])


def step(theta, u, h):
    a = slope(theta, u)
    b = slope(theta, u + 0.5 * h * a)
    c = slope(theta, u + 0.5 * h * b)
    d = slope(theta, u + h * c)
    return u + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)


def simulate(theta, u, n, h):
    path = np.empty((n, 3))
    for k in range(n):
        u = step(theta, u, h)
        path[k] = u
    return path


def loss(theta, u, path, h):
    total = 0.0
    for k in range(len(path)):
        u = step(theta, u, h)
        total += np.sum((u - path[k]) ** 2)
    return total / len(path)


def main(steps=3000, h=0.0005):
    observed = adc.jit(simulate)(TRUE, START, steps, h)
    value_and_grad = adc.value_and_grad(loss)
    found = minimize(lambda theta: value_and_grad(theta, START, observed, h), np.array([8.0, 24.0, 2.0]), jac=True, method="BFGS", options={"gtol": 1e-8})
    print(f"{steps} steps, {found.nfev} gradients")
    print("found: " + ", ".join(f"{name} = {v:.6f}" for name, v in zip(("sigma", "rho", "beta"), found.x)))
    print(f"largest error: {np.max(np.abs(found.x - TRUE)):.1e}")
    return found.x


if __name__ == "__main__":
    main()
