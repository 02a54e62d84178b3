"""The gradient of log(x0) + x0 x1 - sin(x1) at (2, 5), and the source that adc wrote for it.

    python examples/first_gradient.py
"""

import numpy as np

import adc


def f(x):
    return np.log(x[0]) + x[0] * x[1] - np.sin(x[1])


def main():
    x = np.array([2.0, 5.0])
    gradient = adc.grad(f)
    g = gradient(x)
    print(f"f({x[0]:.0f}, {x[1]:.0f}) = {f(x):.4f}")
    print(f"gradient = ({g[0]:.2f}, {g[1]:.2f})")
    print(f"by hand  = ({1 / x[0] + x[1]:.2f}, {x[0] - np.cos(x[1]):.2f})")
    print(f"\n{gradient.source()}")
    return g


if __name__ == "__main__":
    main()
