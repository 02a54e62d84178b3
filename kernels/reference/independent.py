"""The catalogue's losses by another road: array programs without loops over examples, which NumPy and JAX both run.

In: the name of a kernel, its arguments, a module of arrays.  Out: its value.  With `numpy` they check the values in
the tests; with `jax.numpy` (in float64) JAX's gradient of them is what `GRADIENT` in the kernels was taken from:

    python -m kernels.reference.independent          prints REFERENCE and GRADIENT of every kernel

Where it can be, the road is another one mathematically too: the Kalman filter is one large Gaussian, Gauss–Seidel a
matrix splitting, Newton's method a contraction, the mixture a product with inverse covariances.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def logsumexp(xp, x, axis):
    top = xp.max(x, axis=axis, keepdims=True)
    return xp.squeeze(top, axis) + xp.log(xp.sum(xp.exp(x - top), axis=axis))


def sigmoid(xp, x):
    return 0.5 * (1.0 + xp.tanh(0.5 * x))


def linear(xp, w, b, X, y, penalty):
    design = xp.concatenate([X, xp.ones((len(y), 1))], axis=1)
    r = y - design @ xp.concatenate([w, xp.reshape(xp.asarray(b), (1,))])
    return xp.vdot(r, r) / (2 * len(y)) + penalty * xp.vdot(w, w)


def logistic(xp, w, X, y):
    z = (2.0 * y - 1.0) * (X @ w)
    return xp.mean(xp.log1p(xp.exp(-xp.abs(z))) + xp.maximum(-z, 0.0))


def softmax(xp, W, b, X, labels):
    scores = X @ W + b
    one = xp.eye(W.shape[1])[labels]
    return xp.mean(logsumexp(xp, scores, 1) - xp.sum(one * scores, axis=1))


def hinge(xp, w, b, X, y, C):
    return 0.5 * xp.vdot(w, w) + C * xp.mean(xp.maximum(0.0, 1.0 - y * (X @ w + b)))


def gmm(xp, alphas, means, icf, x, gamma, m):
    n, d = x.shape
    k = len(alphas)
    columns, rows = np.triu_indices(d, 1)  # below the diagonal, column by column
    place = np.zeros((d * (d - 1) // 2, d, d))
    place[np.arange(len(rows)), rows, columns] = 1.0
    q = xp.exp(icf[:, :d])[:, :, None] * np.eye(d) + xp.einsum("ke,eij->kij", icf[:, d:], place)
    precision = xp.einsum("kai,kaj->kij", q, q)
    off = x[:, None, :] - means
    distance = xp.einsum("nki,kij,nkj->nk", off, precision, off)
    weights = alphas - logsumexp(xp, alphas, 0)
    total = xp.sum(logsumexp(xp, weights + 0.5 * xp.linalg.slogdet(precision)[1] - 0.5 * distance, 1)) - 0.5 * n * d * math.log(2.0 * math.pi)
    freedom = d + m + 1
    gammas = 0.25 * d * (d - 1) * math.log(math.pi) + sum(math.lgamma(0.5 * (freedom - j)) for j in range(d))
    constant = freedom * d * (math.log(gamma) - 0.5 * math.log(2.0)) - gammas
    return total + 0.5 * gamma**2 * xp.sum(q * q) - m * xp.sum(icf[:, :d]) - k * constant


def rotations(xp, axes):
    """Matrices of angle–axis rotations [n, 3], by the half angle's quaternion."""
    angle = xp.sqrt(xp.sum(axes**2, axis=1))
    w = xp.cos(0.5 * angle)
    x, y, z = (axes * (xp.sin(0.5 * angle) / angle)[:, None]).T
    rows = [
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
    return xp.stack([xp.stack(r, axis=-1) for r in rows], axis=-2)


def ba(xp, cams, points, weights, seen, pixels):
    cam = cams[seen[:, 0]]
    p = xp.einsum("pij,pj->pi", rotations(xp, cam[:, :3]), points[seen[:, 1]] - cam[:, 3:6])
    u = p[:, :2] / p[:, 2:]
    square = xp.sum(u * u, axis=1)
    factor = cam[:, 6] * (1.0 + square * (cam[:, 9] + square * cam[:, 10]))
    e = weights[:, None] * (u * factor[:, None] + cam[:, 7:9] - pixels)
    return 0.5 * (xp.sum(e**2) + xp.sum((1.0 - weights**2) ** 2))


def lstm(xp, main, extra, state, sequence):
    hidden, memory = [s[0] for s in state], [s[1] for s in state]
    total = 0.0
    for now, then in zip(sequence[:-1], sequence[1:]):
        x = now * extra[0]
        for k, (weight, bias) in enumerate(main):
            gates = weight * xp.stack([x, hidden[k], x, hidden[k]]) + bias
            forget, ingate, outgate = sigmoid(xp, gates[:3])
            memory[k] = forget * memory[k] + ingate * xp.tanh(gates[3])
            x = hidden[k] = outgate * xp.tanh(memory[k])
        y = x * extra[1] + extra[2]
        total = total + xp.vdot(then, y) - xp.sum(then) * xp.log(2.0 + xp.sum(xp.exp(y)))
    return -total / sequence[1:].size


def gru(xp, params, xs, y):
    p = params
    h = xp.zeros((xs.shape[1], len(p["bz"])))
    for x in xs:
        both = xp.concatenate([x, h], axis=1)
        z, r = (sigmoid(xp, both @ xp.concatenate([p[f"W{g}"], p[f"U{g}"]]) + p[f"b{g}"]) for g in "zr")
        new = xp.tanh(xp.concatenate([x, r * h], axis=1) @ xp.concatenate([p["Wh"], p["Uh"]]) + p["bh"])
        h = h + z * (new - h)
    return xp.mean(xp.square(h @ p["out"] - y))


def mlp(xp, layers, X, labels):
    (W1, b1), (W2, b2), (W3, b3), (W4, b4) = layers
    a = X @ W1 + b1
    b = xp.where(a > 0.0, a, 0.0) @ W2 + b2
    c = xp.where(b > 0.0, b, xp.exp(xp.where(b > 0.0, 0.0, b)) - 1.0)
    scores = (2.0 * sigmoid(xp, 2.0 * (c @ W3 + b3)) - 1.0) @ W4 + b4
    one = xp.eye(scores.shape[1])[labels]
    return xp.mean(logsumexp(xp, scores, 1) - xp.sum(one * scores, axis=1))


def conv(xp, filters, bias, out, images, y):
    kh, kw = filters.shape[:2]
    rows = np.arange(images.shape[1] - kh + 1)[:, None] + np.arange(kh)
    columns = np.arange(images.shape[2] - kw + 1)[:, None] + np.arange(kw)
    windows = images[:, rows[:, None, :, None], columns[None, :, None, :]]
    maps = xp.maximum(xp.einsum("nrcijk,ijkm->nrcm", windows, filters) + bias, 0.0)
    return xp.mean((xp.mean(maps.reshape(len(y), -1, len(bias)), axis=1) @ out - y) ** 2)


def kmeans(xp, centres, points):
    return xp.sum(xp.min(xp.sum((points[:, None, :] - centres) ** 2, axis=2), axis=1))


def slope(xp, theta, u):
    sigma, rho, beta = theta
    x, y, z = u
    return xp.stack([sigma * (y - x), rho * x - x * z - y, x * y - beta * z])


def lorenz(xp, theta, u, observed, h):
    stages = [0.0, 0.5, 0.5, 1.0]
    found = []
    for _ in observed:
        last, sum_ = xp.zeros(3), xp.zeros(3)
        for at, share in zip(stages, [1.0, 2.0, 2.0, 1.0]):
            last = slope(xp, theta, u + at * h * last)
            sum_ = sum_ + share * last
        u = u + h * sum_ / 6.0
        found.append(u[0])
    return xp.mean((xp.stack(found) - observed) ** 2)


def heston(xp, model, strike, horizon, z):
    s, v, kappa, theta, sigma, rho, rate = model
    h = horizon / z.shape[1]
    logs, total = xp.log(s) * xp.ones(len(z)), 0.0
    v = v * xp.ones(len(z))
    for t in range(z.shape[1]):
        positive = xp.where(v > 0.0, v, 0.0)
        root = xp.sqrt(xp.where(v > 0.0, v, 1.0) * h) * (v > 0.0)
        logs = logs + (rate - 0.5 * positive) * h + root * z[:, t, 0]
        v = v + kappa * (theta - positive) * h + sigma * root * (rho * z[:, t, 0] + xp.sqrt(1.0 - rho**2) * z[:, t, 1])
        total = total + xp.exp(logs)
    return xp.exp(-rate * horizon) * xp.mean(xp.maximum(total / z.shape[1] - strike, 0.0))


def neighbours(n):
    """The matrix that adds the left and right neighbour inside, and the inside itself as 0 and 1."""
    inside = np.zeros(n)
    inside[1:-1] = 1.0
    return inside[:, None] * (np.eye(n, k=1) + np.eye(n, k=-1)), inside


def seidel(xp, u, b, sweeps):
    n = len(u)
    line, inside = neighbours(n)
    mask = np.outer(inside, inside).ravel()
    full = 0.25 * mask[:, None] * (np.kron(line, np.eye(n)) + np.kron(np.eye(n), line))
    lower, upper = np.tril(full), np.triu(full)  # row by row is the order of the sweep
    flat = xp.ravel(u)
    for _ in range(sweeps):
        flat = xp.linalg.solve(np.eye(n * n) - lower, upper @ flat + (1.0 - mask) * flat + 0.25 * mask * xp.ravel(b))
    return xp.vdot(flat, flat)


def jacobi(xp, u, source, wanted, sweeps):
    (a, inside_a), (b, inside_b) = neighbours(u.shape[0]), neighbours(u.shape[1])
    mask = np.outer(inside_a, inside_b)
    for _ in range(sweeps):
        u = (1.0 - mask) * u + 0.25 * mask * (a @ u + u @ b.T + source)
    return xp.vdot(u - wanted, u - wanted)


def heat3d(xp, u, conductivity, measured, slope, dt, steps):
    (a, ia), (b, ib), (c, ic) = (neighbours(n) for n in u.shape)
    mask = ia[:, None, None] * ib[:, None] * ic
    for _ in range(steps):
        around = xp.einsum("ia,ajk->ijk", a, u) + xp.einsum("ja,iak->ijk", b, u) + xp.einsum("ka,ija->ijk", c, u)
        u = u + mask * dt * conductivity * (1.0 + slope * u) * (around - 6.0 * u)
    return xp.vdot(u - measured, u - measured)


def kalman(xp, A, root_q, H, root_r, mean, cov, ys):
    """All observations are one Gaussian: y_t = H x_t + noise, x_t = A^t x_0 + Σ A^(t-s) q_s."""
    t, d = len(ys), len(A)
    Q, R = root_q @ root_q.T, root_r @ root_r.T
    power = [xp.eye(d)]
    for _ in range(t):
        power.append(A @ power[-1])
    covs = [A @ cov @ A.T + Q]  # of x_1, x_2, …
    for _ in range(t - 1):
        covs.append(A @ covs[-1] @ A.T + Q)
    blocks = [[None] * t for _ in range(t)]
    for i in range(t):
        for j in range(i + 1):
            blocks[i][j] = H @ power[i - j] @ covs[j] @ H.T + (R if i == j else 0.0)
            blocks[j][i] = (H @ power[i - j] @ covs[j] @ H.T).T if i != j else blocks[i][j]
    joint = xp.concatenate([xp.concatenate(row, axis=1) for row in blocks])
    y = xp.ravel(ys) - xp.concatenate([H @ power[k + 1] @ mean for k in range(t)])
    return 0.5 * (y @ xp.linalg.solve(joint, y) + xp.linalg.slogdet(joint)[1] + len(y) * math.log(2.0 * math.pi))


def gp(xp, logs, X, y):
    n, d = X.shape
    over = [-0.5 * ((X[:, j, None] - X[:, j]) / xp.exp(logs[j])) ** 2 for j in range(d)]
    K = xp.exp(2.0 * logs[d] + sum(over)) + xp.exp(2.0 * logs[d + 1]) * np.eye(n)
    return 0.5 * (y @ xp.linalg.inv(K) @ y + xp.linalg.slogdet(K)[1] + n * math.log(2.0 * math.pi))


def newton(xp, e, M, x):
    E = M
    for _ in range(60):  # e < 1: a contraction
        E = M + e * xp.sin(E)
    return xp.sum((xp.cos(E) - e - x) ** 2)


def tiny(xp, V, W, x, y):
    one = xp.ones((len(x), 1))
    hidden = xp.tanh(xp.concatenate([x, one], axis=1) @ V.T)
    return xp.sum((sigmoid(xp, xp.concatenate([hidden, one], axis=1) @ W.T) - y) ** 2) / len(x)


def hand(xp, theta, parents, base_relative, inverse_base, base, weights, matches, points):
    fingers = theta[6:].reshape(5, 4)
    zero = xp.zeros(5)
    joints = xp.stack([
        xp.stack([fingers[:, 0], fingers[:, 1], zero], axis=1), xp.stack([fingers[:, 2], zero, zero], axis=1), xp.stack([fingers[:, 3], zero, zero], axis=1),
        xp.zeros((5, 3)),
    ], axis=1).reshape(20, 3)  # fmt: skip
    angles = xp.concatenate([xp.zeros((2, 3)), joints])
    x, z, y = (xp.stack([a, -a]) for a in angles.T)

    def turn(a, first, second):
        cos, sin = xp.cos(a[0])[:, None, None], xp.sin(a[0])[:, None, None]
        flat = np.zeros((3, 3))
        flat[first, first] = flat[second, second] = 1.0
        skew = np.zeros((3, 3))
        skew[first, second], skew[second, first] = -1.0, 1.0
        return np.eye(3) - flat + cos * flat + sin * skew

    turns = turn(z, 0, 1) @ turn(y, 2, 0) @ turn(x, 1, 2)
    relative = base_relative @ xp.concatenate([
        xp.concatenate([turns, xp.zeros((22, 3, 1))], axis=2), xp.zeros((22, 1, 4)) + np.array([0.0, 0.0, 0.0, 1.0])
    ], axis=1)  # fmt: skip
    absolute: list[Any] = []
    for parent, matrix in zip(parents, relative):
        absolute.append(matrix if parent < 0 else absolute[int(parent)] @ matrix)
    moved = xp.einsum("bij,bjk,kv->biv", xp.stack(absolute), inverse_base, base)[:, :3]
    skin = xp.einsum("bv,biv->iv", weights, moved)
    vertices = rotations(xp, theta[None, :3])[0] @ skin + theta[3:6, None]
    return 0.5 * xp.sum((points - vertices.T[matches]) ** 2)


ROADS = {f.__name__: f for f in (
    ba, conv, gmm, gp, gru, hand, heat3d, heston, hinge, jacobi, kalman, kmeans, linear, logistic, lorenz, lstm, mlp, newton, seidel, softmax, tiny,
)}  # fmt: skip


def gradients(name: str, args: tuple[Any, ...], wrt: tuple[int, ...]) -> tuple[float, tuple[Any, ...]]:
    """(value, gradients by the arguments `wrt`) as JAX computes them in float64."""
    import jax

    with jax.enable_x64(True):
        import jax.numpy as jnp

        value, found = jax.value_and_grad(lambda *a: ROADS[name](jnp, *a), argnums=wrt)(*args)
        return float(value), jax.tree.map(np.asarray, found)


def main() -> None:
    """Print the reference numbers of every kernel."""
    import importlib

    from adc.artifact.catalogue import digest

    for name in ROADS:
        kernel = importlib.import_module(f"kernels.{name}")
        value, found = gradients(name, kernel.example_inputs(), kernel.WRT)
        print(f"# {name}\nREFERENCE = {value:.13g}\nGRADIENT = {tuple(tuple(float(f'{x:.12g}') for x in digest(g)) for g in found)}")


if __name__ == "__main__":
    main()
