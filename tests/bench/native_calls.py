"""What a call costs where there is no Python: a gradient inside Numba, an integrand and a filter under SciPy.

    python -m tests.bench.native_calls

Every ratio is of the best of interleaved rounds in this process.
"""

from __future__ import annotations

import numba
import numpy as np
from scipy import integrate, ndimage

import adc
from tests.bench.spine import rounds

N = 200_000


def cubes(x):
    return np.sum(x * x * x)


def square(x):
    return x * x


def damped(x, a):
    return np.exp(-a * x) * np.cos(3.0 * x)


def spread(v):
    return np.sum((v - np.mean(v)) ** 2)


@numba.njit
def by_hand(x, out):
    for k in range(len(x)):
        out[k] = 3.0 * x[k] * x[k]


def loops():
    gradient = adc.numba_callable(adc.grad(cubes), np.ones(3))
    slope = adc.numba_callable(adc.grad(square), 1.0)

    @numba.njit
    def compiled(x, out, n):
        for _ in range(n):
            gradient(x, out)
            x[0] = 1e-9 * out[0]

    @numba.njit
    def hand(x, out, n):
        for _ in range(n):
            by_hand(x, out)
            x[0] = 1e-9 * out[0]

    @numba.njit
    def allocating(x, n):
        for _ in range(n):
            x[0] = 1e-9 * gradient(x)[0]

    @numba.njit
    def scalars(n):
        s = 1.0
        for _ in range(n):
            s = 0.4 * slope(s)
        return s

    return compiled, hand, allocating, scalars


def main() -> None:
    compiled, hand, allocating, scalars = loops()
    x, out = np.ones(3), np.empty(3)
    t = rounds({
        "compiled": lambda: compiled(x, out, N), "hand": lambda: hand(x, out, N),
        "allocating": lambda: allocating(x, N), "scalars": lambda: scalars(N),
    })  # fmt: skip
    ns = {name: 1e9 * seconds / N for name, seconds in t.items()}
    table = [
        ("gradient of 3 numbers inside Numba, into a buffer", f"{ns['compiled']:.1f} ns", f"{ns['compiled'] - ns['hand']:+.1f} ns over the same loop inlined"),
        ("the same, result allocated", f"{ns['allocating']:.1f} ns", ""),
        ("derivative of x², a number", f"{ns['scalars']:.1f} ns", ""),
    ]
    slope = adc.grad(damped, argnums=1)
    low = adc.scipy_callable(slope, 0.5, bound=(2.0,))
    slope(0.5, 2.0)
    t = rounds({"native": lambda: integrate.quad(low, 0.0, 30.0), "python": lambda: integrate.quad(lambda v: slope(v, 2.0), 0.0, 30.0)})
    table.append(("quad of a derivative", f"{1e6 * t['native']:.1f} µs", f"{t['python'] / t['native']:.1f}× faster than through Python"))
    image = np.random.default_rng(0).random((100, 100))
    window = adc.scipy_callable(spread, np.ones(9), caller="generic_filter")
    t = rounds({"native": lambda: ndimage.generic_filter(image, window, size=3), "python": lambda: ndimage.generic_filter(image, spread, size=3)})
    table.append(("generic_filter, 100 × 100, 3 × 3", f"{1e3 * t['native']:.2f} ms", f"{t['python'] / t['native']:.0f}× faster than through Python"))
    print("| what | time | |\n|---|---|---|")
    for row in table:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
