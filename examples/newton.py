"""The derivative of a Newton iteration: a `while` loop that stops when it has converged, differentiated as written.

    python examples/newton.py
"""

import numpy as np

import adc


def root(a, start):
    """The x > 0 with x³ + x = a."""
    x = start
    k = 0
    while True:
        step = (x**3 + x - a) / (3.0 * x**2 + 1.0)
        x = x - step
        k += 1
        if abs(step) < 1e-13 or k >= 100:
            break
    return x


def main():
    slope, curve = adc.grad(root), adc.grad(adc.grad(root))
    for a in (1.0, 2.0, 10.0):
        x = root(a, 1.5)
        exact = 1.0 / (3.0 * x**2 + 1.0)
        exact2 = -6.0 * x * exact**3
        print(f"a = {a:4.1f}: x = {x:.12f}, dx/da = {slope(a, 1.5):.12f} (exact {exact:.12f}), d²x/da² = {curve(a, 1.5):.9f} (exact {exact2:.9f})")
    print(f"\n{adc.grad(root).explain(10.0, 1.5)}")
    return np.array([slope(a, 1.5) for a in (1.0, 2.0, 10.0)])


if __name__ == "__main__":
    main()
