"""Programs as people have them, which no workload has: loops over grids with borders, masks and rings, trees, likelihoods, filters, paths, tables.

In: nothing.  Out: `PROGRAMS`: by name, the function and what makes its arguments from a scale (1.0: the size that is measured).  The gradient is that
of the first argument.  Nothing here is adc's: each of them runs in plain Python, and, but for those in `ARRAYS_ONLY`, in Numba.

>>> sorted(PROGRAMS)[:2]
['adam', 'american_put']
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Arguments = Callable[[np.random.Generator, float], tuple[Any, ...]]
PROGRAMS: dict[str, tuple[Callable[..., Any], Arguments]] = {}
ARRAYS_ONLY = frozenset({"two_species"})
"""What Numba refuses (`np.roll` along an axis)."""


def program(arguments: Arguments) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def note(f: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS[f.__name__] = f, arguments
        return f

    return note


def some(n: int, scale: float, least: int = 6) -> int:
    return max(least, round(n * scale))


# ---------------------------------------------------------------- grids


@program(lambda r, s: (r.random((some(200, s), some(200, s))), r.random((some(200, s), some(200, s))) > 0.2, some(50, s, 3)))
def masked_grid(u, mask, steps):
    n, m = u.shape
    v, w = u.copy(), u.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                if mask[i, j]:
                    w[i, j] = v[i, j] + 0.2 * (v[i + 1, j] + v[i - 1, j] + v[i, j + 1] + v[i, j - 1] - 4 * v[i, j])
                else:
                    w[i, j] = v[i, j]
        v, w = w, v
    return np.sum(v * v)


@program(lambda r, s: (r.random((some(200, s), some(200, s))), some(50, s, 3)))
def border_by_if(u, steps):
    n, m = u.shape
    v, w = u.copy(), u.copy()
    for _ in range(steps):
        for i in range(n):
            for j in range(m):
                if i == 0 or j == 0 or i == n - 1 or j == m - 1:
                    w[i, j] = 0.0
                else:
                    w[i, j] = v[i, j] + 0.2 * (v[i + 1, j] + v[i - 1, j] + v[i, j + 1] + v[i, j - 1] - 4 * v[i, j])
        v, w = w, v
    return np.sum(v * v)


@program(lambda r, s: (r.random((some(200, s), some(200, s))), some(50, s, 3)))
def torus(u, steps):
    n, m = u.shape
    v = u.copy()
    for _ in range(steps):
        w = np.zeros((n, m))
        for i in range(n):
            for j in range(m):
                w[i, j] = np.tanh(0.2 * (v[(i + 1) % n, j] + v[(i - 1) % n, j] + v[i, (j + 1) % m] + v[i, (j - 1) % m]) + v[i, j])
        v = w
    return np.sum(v * v)


@program(lambda r, s: (0.1 * r.random(some(2000, s)), 0.3, some(500, s, 3)))
def ring(u, a, steps):
    n = u.shape[0]
    v, w = u.copy(), np.empty(n)
    for _ in range(steps):
        for i in range(n):
            w[i] = v[i] + a * (v[(i + 1) % n] - 2 * v[i] + v[i - 1])
        v, w = w, v
    return np.sum(v * v)


@program(lambda r, s: (r.random((some(64, s), some(64, s))), r.random((some(64, s), some(64, s))), some(40, s, 3)))
def two_species(f, g, steps):
    for _ in range(steps):
        lap = np.roll(f, 1, 0) + np.roll(f, -1, 0) + np.roll(f, 1, 1) + np.roll(f, -1, 1) - 4 * f
        f = f + 0.1 * lap - f * g * g * 0.1
        g = g + 0.05 * (np.roll(g, 1, 0) + np.roll(g, -1, 0) + np.roll(g, 1, 1) + np.roll(g, -1, 1) - 4 * g) + 0.1 * f * g * g
    return np.sum(f * g)


@program(lambda r, s: (0.1 * r.random(some(20_000, s)) + 1.0, some(100, s, 3)))
def upwind(u, steps):
    n = u.shape[0]
    v = u.copy()
    for _ in range(steps):
        f = np.zeros(n)
        for i in range(1, n - 1):
            if v[i] > 0:
                f[i] = v[i] * (v[i] - v[i - 1])
            else:
                f[i] = v[i] * (v[i + 1] - v[i])
        for i in range(1, n - 1):
            v[i] -= 0.1 * f[i]
    return np.sum(v * v)


@program(lambda r, s: (r.random((some(128, s), some(128, s))) + 1.0, some(30, s, 3)))
def varying_coefficients(k, steps):
    n, m = k.shape
    u = np.ones((n, m))
    for _ in range(steps):
        w = u.copy()
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                east, west = 0.5 * (k[i, j] + k[i + 1, j]), 0.5 * (k[i, j] + k[i - 1, j])
                north, south = 0.5 * (k[i, j] + k[i, j + 1]), 0.5 * (k[i, j] + k[i, j - 1])
                flux = east * (u[i + 1, j] - u[i, j]) - west * (u[i, j] - u[i - 1, j]) + north * (u[i, j + 1] - u[i, j]) - south * (u[i, j] - u[i, j - 1])
                w[i, j] = u[i, j] + 0.1 * flux + 0.01
        u = w
    return np.sum(u * u)


@program(lambda r, s: (r.random(some(100_000, s)), 1.3, some(20, s, 3)))
def reaction_front(u, k, steps):
    for _ in range(steps):
        new = u.copy()
        new[1:-1] = u[1:-1] + 0.1 * (u[:-2] - 2 * u[1:-1] + u[2:]) + 0.01 * np.exp(-k * u[1:-1]) * u[1:-1]
        u = new
    return np.sum(u * u)


@program(lambda r, s: (r.random(some(400, s)) + 1.0, 0.3, some(200, s, 3)))
def crank_nicolson(u, a, steps):
    n = u.shape[0]
    x = u.copy()
    c, d = np.empty(n), np.empty(n)
    for _ in range(steps):
        c[0], d[0] = -a / (1 + 2 * a), x[0] / (1 + 2 * a)
        for i in range(1, n):
            den = 1 + 2 * a + a * c[i - 1]
            c[i], d[i] = -a / den, (x[i] + a * d[i - 1]) / den
        x[n - 1] = d[n - 1]
        for i in range(n - 2, -1, -1):
            x[i] = d[i] - c[i] * x[i + 1]
    return np.sum(x * x)


# ---------------------------------------------------------------- images, matrices, kernels


@program(lambda r, s: (r.standard_normal((5, 5)), r.standard_normal((some(256, s), some(256, s)))))
def filter_weights(k, image):
    n, m = image.shape
    out = 0.0
    for i in range(n - 4):
        for j in range(m - 4):
            s = 0.0
            for a in range(5):
                for b in range(5):
                    s += k[a, b] * image[i + a, j + b]
            out += s * s
    return out


@program(lambda r, s: (r.standard_normal((some(256, s), some(256, s))), r.standard_normal((5, 5))))
def filter_image(image, k):
    n, m = image.shape
    out = np.zeros((n - 4, m - 4))
    for i in range(n - 4):
        for j in range(m - 4):
            s = 0.0
            for a in range(5):
                for b in range(5):
                    s += k[a, b] * image[i + a, j + b]
            out[i, j] = s
    return np.sum(out * out)


@program(lambda r, s: (r.standard_normal((some(100, s), some(100, s))), r.standard_normal((some(100, s), some(100, s)))))
def product_by_loops(a, b):
    n, m = a.shape[0], b.shape[1]
    c = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            for k in range(a.shape[1]):
                c[i, j] += a[i, k] * b[k, j]
    return np.sum(c * c)


def positive_definite(r, n):
    a = r.standard_normal((n, n))
    return a @ a.T + n * np.eye(n)


@program(lambda r, s: (positive_definite(r, some(50, s)),))
def cholesky(M):
    n = M.shape[0]
    L = np.zeros((n, n))
    for j in range(n):
        s = M[j, j]
        for k in range(j):
            s -= L[j, k] * L[j, k]
        L[j, j] = math.sqrt(s)
        for i in range(j + 1, n):
            s = M[i, j]
            for k in range(j):
                s -= L[i, k] * L[j, k]
            L[i, j] = s / L[j, j]
    total = 0.0
    for i in range(n):
        total += 2 * math.log(L[i, i])
    return total


@program(lambda r, s: (r.standard_normal((some(300, s), 4)), r.standard_normal(some(300, s)), 1.0))
def kernel_matrix(X, y, length):
    n, d = X.shape
    K = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            s = 0.0
            for k in range(d):
                s += (X[i, k] - X[j, k]) ** 2
            K[i, j] = math.exp(-0.5 * s / length)
    return y @ K @ y


@program(lambda r, s: (r.standard_normal((50, 30)), r.integers(0, 50, (some(3000, s), 2)), r.standard_normal(some(3000, s))))
def factorisation(U, pairs, r):
    e = 0.0
    for t in range(pairs.shape[0]):
        i, j, s = pairs[t, 0], pairs[t, 1], 0.0
        for k in range(U.shape[1]):
            s += U[i, k] * U[j, k]
        e += (s - r[t]) ** 2
    return e


# ---------------------------------------------------------------- particles, graphs, tables


@program(lambda r, s: (r.random((some(300, s), 3)), r.random(some(300, s)) + 0.5))
def potential(x, m):
    n, e = x.shape[0], 0.0
    for i in range(n):
        for j in range(i + 1, n):
            dx, dy, dz = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1], x[i, 2] - x[j, 2]
            e -= m[i] * m[j] / math.sqrt(dx * dx + dy * dy + dz * dz + 0.01)
    return e


@program(lambda r, s: (r.random((some(60, s), 3)), r.random(some(60, s)) + 0.5, some(50, s, 3)))
def bodies(x, m, steps):
    n = x.shape[0]
    place, speed = x.copy(), np.zeros((n, 3))
    for _ in range(steps):
        force = np.zeros((n, 3))
        for i in range(n):
            for j in range(n):
                if i != j:
                    r2 = 0.01
                    for k in range(3):
                        d = place[j, k] - place[i, k]
                        r2 += d * d
                    inverse = m[j] / (r2 * math.sqrt(r2))
                    for k in range(3):
                        force[i, k] += (place[j, k] - place[i, k]) * inverse
        for i in range(n):
            for k in range(3):
                speed[i, k] += 0.001 * force[i, k]
                place[i, k] += 0.001 * speed[i, k]
    return np.sum(place**2)


@program(lambda r, s: (r.standard_normal(some(3000, s)), r.integers(0, some(3000, s), (some(20_000, s), 2)), some(20, s, 3)))
def graph(x, edges, steps):
    v = x.copy()
    for _ in range(steps):
        w = v.copy()
        for e in range(edges.shape[0]):
            i, j = edges[e, 0], edges[e, 1]
            d = math.sin(v[j] - v[i])
            w[i] += 0.01 * d
            w[j] -= 0.01 * d
        v = w
    return np.sum(v * v)


@program(lambda r, s: (r.random((some(300, s), some(300, s))),))
def time_warping(c):
    n, m = c.shape
    D = np.full((n + 1, m + 1), 1e10)
    D[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            D[i, j] = c[i - 1, j - 1] + min(D[i - 1, j], D[i, j - 1], D[i - 1, j - 1])
    return D[n, m]


@program(lambda r, s: (r.random((8, 8)), r.random((8, 20)), r.integers(0, 20, some(1000, s))))
def hidden_states(A, B, seen):
    n = A.shape[0]
    a, total = np.full(n, 1.0 / n), 0.0
    for t in range(seen.shape[0]):
        b = np.zeros(n)
        for j in range(n):
            s = 0.0
            for i in range(n):
                s += a[i] * A[i, j]
            b[j] = s * B[j, seen[t]]
        c = np.sum(b)
        total += math.log(c)
        a = b / c
    return total


# ---------------------------------------------------------------- likelihoods


@program(lambda r, s: (np.array([0.5, 1.2]), 3.0 * r.random(some(50_000, s)) + 0.1, r.random(some(50_000, s)) > 0.4))
def weibull(p, t, died):
    k, length = p[0], p[1]
    total = 0.0
    for i in range(t.shape[0]):
        z = (t[i] / length) ** k
        if died[i]:
            total += math.log(k / length) + (k - 1) * math.log(t[i] / length) - z
        else:
            total -= z
    return total


@program(lambda r, s: (np.array([0.5, 1.2]), r.standard_normal(some(50_000, s))))
def huber(p, x):
    s = 0.0
    for i in range(x.shape[0]):
        z = (x[i] - p[0]) / p[1]
        if abs(z) < 1.3:
            s += 0.5 * z * z
        else:
            s += 1.3 * (abs(z) - 0.65)
        if x[i] > 2.0:
            s += p[0] * x[i]
    return s + x.shape[0] * math.log(p[1])


@program(lambda r, s: (2.0 * r.random(some(100_000, s)) - 1.0,))
def three_conditions(x):
    s = 0.0
    for i in range(x.shape[0]):
        v = x[i]
        if v > 0:
            s += v * v
        elif v < -0.5:
            s -= math.sin(v)
    return s


@program(lambda r, s: (r.standard_normal(20), r.standard_normal((some(2000, s), 20)), r.random(some(2000, s)) > 0.3))
def cox(beta, X, died):
    eta = X @ beta
    total, s = 0.0, 0.0
    for i in range(X.shape[0] - 1, -1, -1):
        s += math.exp(eta[i])
        if died[i]:
            total += eta[i] - math.log(s)
    return -total


@program(lambda r, s: (np.array([0.1, 0.1, 0.8]), r.standard_normal(some(20_000, s))))
def garch(p, x):
    h = p[0] / (1 - p[1] - p[2])
    total = 0.0
    for i in range(len(x)):
        total += np.log(h) + x[i] * x[i] / h
        h = p[0] + p[1] * x[i] * x[i] + p[2] * h
    return total


@program(lambda r, s: (np.array([0.9, 0.1, 0.3, 0.2]), r.standard_normal((some(500, s), 2))))
def kalman(p, y):
    F = np.array([[p[0], p[1]], [0.0, p[0]]])
    Q, R = p[2] * np.eye(2), p[3] * np.eye(2)
    x, C, total = np.zeros(2), np.eye(2), 0.0
    for t in range(y.shape[0]):
        x, C = F @ x, F @ C @ F.T + Q
        S, v = C + R, y[t] - x
        total -= 0.5 * (v @ np.linalg.solve(S, v) + np.log(np.linalg.det(S)))
        K = C @ np.linalg.inv(S)
        x, C = x + K @ v, C - K @ C
    return total


# ---------------------------------------------------------------- paths and trees


@program(lambda r, s: (np.array([0.2, 0.05, 100.0, 95.0]), some(500, s)))
def american_put(p, n):
    sigma, rate, start, strike = p[0], p[1], p[2], p[3]
    dt = 1.0 / n
    u = math.exp(sigma * math.sqrt(dt))
    q, discount = (math.exp(rate * dt) - 1 / u) / (u - 1 / u), math.exp(-rate * dt)
    v = np.empty(n + 1)
    for i in range(n + 1):
        v[i] = max(strike - start * u ** (2 * i - n), 0.0)
    for t in range(n - 1, -1, -1):
        for i in range(t + 1):
            v[i] = max(strike - start * u ** (2 * i - t), discount * (q * v[i + 1] + (1 - q) * v[i]))
    return v[0]


@program(lambda r, s: (np.array([1.0, 0.5, 0.3]), r.random((some(2000, s), 3))))
def pendulums(p, starts):
    total = 0.0
    for k in range(starts.shape[0]):
        y = np.array([starts[k, 0], starts[k, 1]])
        for _ in range(50):
            k1 = np.array([y[1], -p[0] * np.sin(y[0]) - p[1] * y[1]])
            z = y + 0.05 * k1
            k2 = np.array([z[1], -p[0] * np.sin(z[0]) - p[1] * z[1]])
            y = y + 0.05 * (k1 + k2)
        total += y[0] ** 2 + y[1] ** 2
    return total


@program(lambda r, s: (np.array([0.5, 1.0, 2.0]), r.standard_normal((some(2000, s), some(200, s)))))
def noisy_paths(p, noise):
    total = 0.0
    for k in range(noise.shape[0]):
        x = p[0]
        for t in range(noise.shape[1]):
            x = x + p[1] * np.tanh(p[2] * x) * 0.01 + 0.1 * np.sin(x) * noise[k, t]
        total += x * x
    return total


@program(lambda r, s: (np.array([120.0, 36.0, 0.3]), 3.0 * r.standard_normal(some(10_000, s)) + 7.0))
def neuron(p, current):
    v, m, h, n, total = -65.0, 0.05, 0.6, 0.32, 0.0
    for i in range(len(current)):
        am, bm = 0.1 * (v + 40) / (1 - np.exp(-(v + 40) / 10)), 4 * np.exp(-(v + 65) / 18)
        ah, bh = 0.07 * np.exp(-(v + 65) / 20), 1 / (1 + np.exp(-(v + 35) / 10))
        an, bn = 0.01 * (v + 55) / (1 - np.exp(-(v + 55) / 10)), 0.125 * np.exp(-(v + 65) / 80)
        m, h, n = m + 0.01 * (am * (1 - m) - bm * m), h + 0.01 * (ah * (1 - h) - bh * h), n + 0.01 * (an * (1 - n) - bn * n)
        v = v + 0.01 * (current[i] - p[0] * m**3 * h * (v - 50) - p[1] * n**4 * (v + 77) - p[2] * (v + 54.4))
        total += v
    return total


@program(lambda r, s: (r.random(some(1000, s)), some(1000, s)))
def adam(x, steps):
    m, v, y = np.zeros_like(x), np.zeros_like(x), x.copy()
    for _ in range(steps):
        g = 2 * y * np.cos(y)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        y = y - 0.01 * m / (np.sqrt(v) + 0.1)
    return np.sum((y - 0.5) ** 2)


def arguments(name: str, scale: float = 1.0) -> tuple[Any, ...]:
    return PROGRAMS[name][1](np.random.default_rng(7), scale)
