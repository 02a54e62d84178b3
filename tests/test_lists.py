"""Lists that loops append to, and loops whose arrays change their shape: values against Python, gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest

import adc
from adc.errors import UnsupportedError
from tests.kernel_run import everywhere

rng = np.random.default_rng(0)
X = rng.normal(size=(6, 3))
W = rng.normal(size=(4, 4)) * 0.4
U = rng.normal(size=(4, 3))
H0 = rng.normal(size=4)


def recurrent(X, W, U, h0):
    h = h0
    hs = []
    for t in range(X.shape[0]):
        h = np.tanh(W @ h + U @ X[t])
        hs.append(h)
    H = np.stack(hs)
    return np.sum(H * H) + len(hs) * H[0, 0] + hs[-1][1] + hs[2][0]


def reads_the_last(X, W, U, h0):
    hs = [h0]
    for x in X:
        hs.append(np.tanh(W @ hs[-1] + U @ x))
    return np.sum(np.array(hs) ** 2) + np.sum(hs[3])


def numbers(X, W, U, h0):
    losses = []
    for x in X:
        losses.append(np.sum(U @ x))
    return sum(losses) ** 2 + max(losses) + np.mean(losses) + min(losses)


def pairs(X, W, U, h0):
    trace = []
    v = 0.0
    for x in X:
        v = v * 0.9 + x[0]
        trace.append((v, x * v))
    s = 0.0
    for a, b in trace:
        s = s + a * a * np.sum(b)
    for k, (a, b) in enumerate(reversed(trace)):
        s += (k + 1) * a * b[1]
    return s


def comprehensions(X, W, U, h0):
    ys = [np.sum(U @ x) ** 2 for x in X]
    return np.sum(np.array(ys)) + sum(np.sin(y) for y in ys) + sum(x[0] * y for x, y in zip(X, ys, strict=True))


def kernel_matrix(X, W, U, h0):
    n = X.shape[0]
    K = np.array([[np.exp(-(X[i] - X[j]) @ (X[i] - X[j])) for j in range(n)] for i in range(n)])
    return np.sum(K @ K)


def lists_in_lists(X, W, U, h0):
    trace = []
    p, v = 1.0, 0.0
    for x in X:
        v = v - 0.1 * p + x[1] * 0.1
        p = p + 0.1 * v
        trace.append([p, v])
    T = np.array(trace)
    return np.sum(T[:, 0] * T[:, 1]) + trace[-1][0]


def joins(X, W, U, h0):
    hs = []
    for x in X:
        hs.append(x * x)
    s = 0.0
    for a, b in zip(hs[:-1], hs[1:], strict=True):
        s += a @ b
    hs.append(h0[:3])
    hs += [h0[1:]]
    more = hs + [X[0]]
    s = s + np.sum(np.concatenate(hs) ** 3) + np.sum(np.vstack(more)) + np.hstack(hs)[4] * 5
    return s + np.column_stack(hs)[1, 2] + np.stack(hs, axis=-1)[0, 1] * 3 + np.concatenate(more, axis=None)[-1]


def joins_of_matrices(X, W, U, h0):
    ms = []
    for x in X:
        ms.append(np.outer(h0, x))
    a, b, c = np.concatenate(ms, axis=1), np.vstack(ms), np.hstack(ms)
    return np.sum(a[1, 2:5] * b[3:6, 1]) + np.sum(c**2) + np.column_stack(ms)[2, 4] + a.shape[1] * b[b.shape[0] - 1, 0]


def joins_of_numbers(X, W, U, h0):
    ys = []
    for x in X:
        ys.append(x[0] * x[1])
    return np.sum(np.vstack(ys) @ np.column_stack(ys)) + np.hstack(ys)[2]


def in_two_loops(X, W, U, h0):
    hs = []
    for x in X:
        hs.append(x[0] * x[1])
    for x in X:
        hs.append(x[2])
    kept = list(hs)
    hs.append(1.0)
    return np.sum(np.array(hs) ** 2) * len(kept) + len(hs)


def inside_the_loop(X, W, U, h0):
    hs = []
    s = 0.0
    for t in range(X.shape[0]):
        hs.append(X[t] * 2.0)
        s = s + hs[t][0] * hs[0][1] * len(hs) + hs[-1][2] + np.sum(np.stack(hs))
        if t > 0:
            s = s + hs[t - 1][0] * hs[-2][1]
    return s


def whole_history(X, W, U, h0):
    hs = [X[0, 0]]
    for t in range(1, X.shape[0]):
        total = 0.0
        for k in range(t):
            total = total + hs[k] * X[t, 1]
        hs.append(np.tanh(total))
    return np.sum(np.array(hs) ** 2)


def one_in_each_branch(X, W, U, h0):
    hs = []
    for x in X:
        if x[0] > 0:
            hs.append(x[0])
        else:
            hs.append(-2 * x[1])
    return np.sum(np.array(hs) ** 2)


def empty_at_first(X, W, U, h0):
    hs = []
    for x in X:
        before = hs[-1] if hs else 0.5
        hs.append(np.sin(before * x[0]))
    return np.sum(np.array(hs) ** 2)


def in_a_loop_of_its_own(X, W, U, h0):
    s = 0.0
    for i in range(X.shape[0]):
        row = []
        for j in range(X.shape[1]):
            row.append(X[i, j] * X[j, i % 3])
        s += np.sum(np.array(row)) ** 2 + row[-1]
    return s


def rows_of_a_matrix(X, W, U, h0):
    rows = []
    for i in range(X.shape[0]):
        row = []
        for j in range(X.shape[1]):
            row.append(X[i, j] * X[j, i % 3])
        rows.append(row)
    M = np.array(rows)
    return np.sum(M @ M.T) + M[1, 2]


def of_dicts(X, W, U, h0):
    hs = []
    for x in X:
        hs.append({"a": x, "b": x[0] ** 2})
    return sum(np.sum(h["a"]) * h["b"] for h in hs)


def copies(X, W, U, h0):
    h = np.zeros(3)
    hs = []
    for x in X:
        h += x
        hs.append(h.copy())
    h[0] = 7.0
    return np.sum(np.stack(hs) ** 2) + h[0] * h[1]


def chosen(X, W, U, h0):
    if X[0, 0] > 0:
        hs = [x[0] for x in X]
    else:
        hs = [x[1] for x in X]
    return np.sum(np.array(hs) ** 2)


def of_ints(X, W, U, h0):
    ks = []
    for t in range(X.shape[0]):
        ks.append(t * 2)
    return X[ks[2], 0] * X[ks[1], 1] * sum(ks)


def any_and_all(X, W, U, h0):
    big = [x[0] > 1e9 for x in X]
    return X[0, 0] if any(big) else X[1, 1] if all(big) else X[2, 2] ** 2


ALL = [
    recurrent, reads_the_last, numbers, pairs, comprehensions, kernel_matrix, lists_in_lists, joins, joins_of_matrices, joins_of_numbers, in_two_loops,
    inside_the_loop, whole_history, one_in_each_branch, empty_at_first, in_a_loop_of_its_own, rows_of_a_matrix, of_dicts, copies, chosen, of_ints, any_and_all,
]  # fmt: skip


def compare(f, args, argnums, target):
    """Value against Python, gradient against central differences along one direction for each argument."""
    value, grads = adc.value_and_grad(f, argnums=argnums, target=target)(*args)
    assert np.allclose(value, f(*args), rtol=1e-12)
    for k, g in zip(argnums, grads, strict=True):
        d = np.random.default_rng(k).normal(size=np.shape(args[k]))
        plus, minus = (f(*args[:k], args[k] + s * d, *args[k + 1 :]) for s in (1e-6, -1e-6))
        assert np.isclose((plus - minus) / 2e-6, np.sum(g * d), rtol=1e-5, atol=1e-7), (f.__name__, k)


@pytest.mark.parametrize("target", ["numpy", "cpu"])
@pytest.mark.parametrize("f", ALL, ids=lambda f: f.__name__)
def test_lists_that_grow(f, target):
    compare(f, (X, W, U, H0), (0, 1, 2, 3), target)


def test_another_length_is_the_same_program():
    g = adc.value_and_grad(numbers, target="numpy")
    for n in (6, 9, 2):
        x = np.random.default_rng(n).normal(size=(n, 3))
        assert np.isclose(g(x, W, U, H0)[0], numbers(x, W, U, H0))
    assert "losses[" in g.source() and g.source().count("\n    for ") <= 2


# ------------------------------------------------------------ refused


def changed_before_the_next(x):
    h = np.zeros(3)
    hs = []
    for t in range(x.shape[0]):
        h[0] = 1.0
        h = h + x[t]
        hs.append(h)
    return np.sum(np.stack(hs))


def changed_at_once(x):
    hs = []
    for t in range(x.shape[0]):
        h = x[t] * 2
        hs.append(h)
        h[0] = 2.0
    return np.sum(np.stack(hs))


def one_array_again_and_again(x):
    h = np.zeros(3)
    hs = []
    for t in range(x.shape[0]):
        h += x[t]
        hs.append(h)
    return np.sum(np.stack(hs))


def changed_after(x):
    y = x * 2
    hs = []
    for t in range(x.shape[0]):
        hs.append(y[t])
    y[0] = 1.0
    return np.sum(np.stack(hs))


def item_changed(x):
    hs = []
    for t in range(x.shape[0]):
        hs.append(x[t] * 2)
    hs[0][1] = 3.0
    return np.sum(np.stack(hs))


def item_assigned(x):
    hs = []
    for t in range(x.shape[0]):
        hs.append(x[t, 0])
    hs[0] = 3.0
    return np.sum(np.stack(hs))


def sometimes(x):
    hs = []
    for t in range(x.shape[0]):
        if x[t, 0] > 0:
            hs.append(x[t])
    return np.sum(np.stack(hs))


def two_at_once(x):
    hs = []
    for t in range(x.shape[0]):
        hs.append(x[t])
        hs.append(x[t])
    return np.sum(np.stack(hs))


def until(x):
    hs = []
    while len(hs) < x[0, 0]:
        hs.append(x[0])
    return np.sum(np.stack(hs))


def leaves(x):
    hs = []
    for t in range(x.shape[0]):
        if x[t, 0] > 5:
            break
        hs.append(x[t])
    return np.sum(np.stack(hs))


def returned(x):
    hs = []
    for t in range(x.shape[0]):
        hs.append(x[t, 0])
    return x[0, 0], hs


def ragged(x):
    hs = []
    for t in range(x.shape[0]):
        hs.append(x[t, :t])
    return np.sum(hs[1])


def popped(x):
    hs = []
    for t in range(x.shape[0]):
        hs.append(x[t, 0])
    return hs.pop()


def words(x):
    hs = []
    for t in range(x.shape[0]):
        hs.append("word")
    return x[0, 0] * len(hs)


@pytest.mark.parametrize(
    ("f", "line", "says"),
    [
        (changed_before_the_next, 4, "a change in place of h, which is an item of hs"), (changed_at_once, 5, "hs.append(h.copy())"),
        (one_array_again_and_again, 3, "a change in place of h"), (changed_after, 5, "a change in place of y"),
        (item_changed, 4, "a change in place of an item of hs"), (item_assigned, 4, "assignment to an item of hs"),
        (sometimes, 3, "hs has another structure"), (two_at_once, 2, "a list of 0 and a list of 2"), (until, 2, "hs has another structure"),
        (leaves, 3, "hs has another structure"), (returned, 2, "hs, which grows in a loop, as a result"), (ragged, 2, "items of sizes that each iteration computes"),
        (popped, 4, "the method pop of hs"), (words, 2, "an item that is a str"),
    ],
)  # fmt: skip
def test_what_lists_refuse(f, line, says):
    with pytest.raises(UnsupportedError) as e:
        adc.jit(f)(X)
    assert says in str(e.value)
    assert e.value.diagnostics[0].pos.line == f.__code__.co_firstlineno + line


def test_indices_outside_a_growing_list():
    def ahead(x):
        hs = [0.0]
        for t in range(x.shape[0]):
            hs.append(hs[t + 1])
        return hs[-1]

    def behind(x, k):
        hs = []
        for t in range(x.shape[0]):
            hs.append(x[t, 0])
        return hs[k]

    for target in ("numpy", "cpu"):
        with pytest.raises(adc.AdcError, match="list index out of range"):
            adc.jit(ahead, target=target)(X)
        f = adc.jit(behind, target=target)
        assert f(X, -6) == X[0, 0] and f(X, 5) == X[5, 0]
        with pytest.raises(adc.AdcError, match="out of bounds"):
            f(X, 6)


def test_nothing_to_stack():
    def f(x):
        hs = []
        for t in range(1, x.shape[0]):
            hs.append(x[t])
        return np.stack(hs)

    g = adc.jit(f)
    assert np.array_equal(g(X), X[1:])
    with pytest.raises(ValueError, match="at least one array"):
        g(X[:1])


# ------------------------------------------------------------ another shape in every iteration


def american_put(S, K, u, p, n):
    V = np.maximum(K - S * u ** (2.0 * np.arange(n + 1) - n), 0.0)
    for i in range(n - 1, -1, -1):
        exercise = np.maximum(K - S * u ** (2.0 * np.arange(i + 1) - i), 0.0)
        V = np.maximum(0.99 * (p * V[1:] + (1 - p) * V[:-1]), exercise)
    return V[0]


def static_tree(S, K, u, p):
    n = 6
    V = np.maximum(S * u ** (2.0 * np.arange(n + 1) - n) - K, 0.0)
    for _i in range(n - 1, -1, -1):
        V = 0.99 * (p * V[1:] + (1 - p) * V[:-1])
    return V[0]


def differences(S, K, u, p, n):
    x = np.sin(S * np.arange(10.0) * u)
    for _ in range(n):
        x = np.diff(x) * K * p
    return np.sum(x)


@pytest.mark.parametrize("target", ["numpy", "cpu"])
@pytest.mark.parametrize(
    ("f", "args"),
    [(american_put, (100.0, 103.0, 1.1, 0.53, 7)), (american_put, (100.0, 103.0, 1.1, 0.53, 1)), (static_tree, (100.0, 95.0, 1.1, 0.53)), (differences, (1.0, 0.3, 0.2, 0.6, 3))],
)
def test_shapes_that_shrink(f, args, target):
    compare(f, args, (0, 1, 2, 3), target)


def test_a_shape_that_shrinks_by_the_data_is_refused():
    def f(x):
        for _ in range(x.shape[0] - 1):
            x = x[:-1] + x[1:]
        return x[0]

    with pytest.raises(UnsupportedError, match=r"x is f8\[.*\] before the loop"):
        adc.jit(f)(X[:, 0])


def states(x, steps):
    v = x.copy()
    kept = [x]
    for _ in range(steps):
        v = v * 0.6
        kept.append(v)
    for _ in range(2):
        w = v.copy()
        w[1:-1, 1:-1] = np.sin(v[1:-1, 1:-1]) + 0.1 * (v[1:-1, :-2] + v[1:-1, 2:])
        v = w
        kept.append(v)
    return np.sum(v) + sum([np.sum(q * q) for q in kept])


@pytest.mark.parametrize("steps", [0, 1, 3, 9])
def test_nothing_is_written_before_there_is_room(steps):
    """Loops meet across the question whether what grows with the trip count is large enough: not those that touch it."""
    x = rng.normal(size=(5, 6))
    everywhere(adc.value_and_grad(states), (x, steps), "states", None, 1e-9, ("small", "serial"))
    value, slope = adc.value_and_grad(states)(x, 40 * steps)
    want, want_slope = adc.value_and_grad(states, target="numpy")(x, 40 * steps)
    assert value == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(slope, want_slope, rtol=1e-12)
