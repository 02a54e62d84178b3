"""Where other tools give a silently wrong gradient, one test each."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap
import threading
from typing import Any

import numpy as np
import pytest

import adc
from tests.helpers import TARGETS, check

X5 = np.array([0.3, -0.7, 1.1, 0.4, 0.9])
Y5 = np.array([1.2, 0.8, -0.5, 0.6, 1.5])


def test_overwritten_after_nonlinear_use():
    def f(x):
        y = x * 2.0
        z = np.sin(y)
        y[1:3] = y[:2] ** 2
        return np.sum(z * y)

    check(f, X5)


def test_read_and_written_in_one_statement():
    def f(a):
        a = a.copy()
        a[1:] = a[:-1] * a[1:]
        return np.sum(np.exp(a))

    check(f, X5)


def test_argument_overwritten():
    def f(a):
        a[1:] = a[:-1] * a[1:]
        a += 1.0
        return np.sum(a**3)

    check(f, X5)


def test_value_crosses_a_dynamic_loop():
    def f(x, n):
        s = np.sin(x)
        t = x
        for _ in range(n):
            t = t * s + 0.1
        return t * s

    check(f, 0.7, 5)


def test_scalar_accumulated_by_product_and_quotient():
    def f(x):
        p = 1.0
        q = 2.0
        for i in range(len(x)):
            p *= x[i] + 2.0
            q /= x[i] * x[i] + 1.0
        return p * q

    check(f, X5)


def test_continue_and_break_in_nested_loops_with_stores():
    def f(x):
        out = np.zeros(len(x))
        for i in range(len(x)):
            if x[i] < 0.0:
                continue
            for j in range(len(x)):
                if j > i:
                    break
                if x[j] > 1.0:
                    continue
                out[i] += x[i] * x[j] ** 2
        return np.sum(out * out)

    check(f, X5)


def test_view_written_after_base_was_read():
    def f(x):
        base = x * 1.0
        view = base[1:4]
        before = np.sum(base**2)
        view[:] = view * 3.0
        base[2] = 5.0 * x[0]
        return before + np.sum(view**2) + np.sum(base)

    check(f, X5)


def test_two_names_for_one_array():
    def f(x):
        a = np.zeros(3)
        b = a
        b[0] = x * x
        a[1] = b[0] * x
        return np.sum(a) * b[1]

    check(f, 1.3)


def test_zero_trips():
    def f(x, n):
        y = x * x
        for _ in range(n):
            y = np.sin(y)
        return y * x

    check(f, 0.6, 0)


def test_bound_from_data():
    def f(x):
        n = int(np.floor(x[0] * 10))
        total = 0.0
        for i in range(n):
            total += x[1] ** 2 * i
        return total + x[0]

    check(f, np.array([0.35, 0.5]))


def test_assigned_in_one_branch():
    def f(x, flag):
        if flag > 0:
            y = x * x
        if flag > 0:
            return y * 2.0
        return x

    check(f, 1.5, 1)
    check(f, 1.5, -1)


def test_branch_on_differentiated_value():
    def f(x):
        total = 0.0
        for i in range(len(x)):
            if x[i] > 0.5:
                total += x[i] ** 2
            elif x[i] > 0.0:
                total += 3.0 * x[i]
            else:
                total -= np.exp(x[i])
        return total

    check(f, X5)


def test_tuple_swap_in_loop():
    def f(a, b, n):
        for _ in range(n):
            a, b = b * a, a + np.sin(b)
        return a - b

    check(f, 0.4, 0.7, 4)


def test_buffer_swap_in_loop():
    def f(u, n):
        a = u.copy()
        b = np.zeros(len(u))
        for _ in range(n):
            b[1:-1] = a[:-2] * a[2:] + a[1:-1]
            a, b = b, a
        return np.sum(a**2) + np.sum(b)

    check(f, X5, 3)
    check(f, X5, 4)


def test_shadowed_and_reused_names():
    def f(x):
        y = x * x
        x = np.cos(y)
        y = x + y

        def g(x):
            y = x * 3.0
            return y * y

        return g(y) + y * x

    check(f, 0.8)


def test_same_closure_with_different_arrays():
    def f(x, y):
        def energy(v):
            return np.sum(np.sin(v) * x)

        return energy(x) * energy(y) + energy(x + y)

    check(f, X5, Y5)


SCALE = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize("target", TARGETS)
def test_global_array_is_an_input(target):
    global SCALE

    def f(x):
        return np.sum(SCALE * x * x)

    g = adc.grad(f, target=target)
    x = np.array([1.0, 1.0, 2.0])
    SCALE = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(g(x), 2 * SCALE * x)
    SCALE[0] = 10.0
    np.testing.assert_allclose(g(x), 2 * SCALE * x)
    SCALE = np.array([5.0, 5.0, 5.0])
    np.testing.assert_allclose(g(x), 2 * SCALE * x)


@pytest.mark.parametrize("target", TARGETS)
def test_closure_value_changes(target):
    factor = 2.0

    def f(x):
        return factor * x * x

    g = adc.grad(f, target=target)
    assert g(3.0) == pytest.approx(12.0)
    factor = 5.0
    assert g(3.0) == pytest.approx(30.0)


def test_runtime_index_in_nested_loops():
    def f(x, idx):
        total = 0.0
        for i in range(len(idx)):
            for j in range(len(x)):
                total += x[idx[i]] * x[j] * (i + 1)
        return total

    check(f, X5, np.array([3, 0, 3]))


def test_negative_indices():
    def f(x, k):
        return x[-1] * x[-2] + x[k] * x[-3:][0] + np.sum(x[:-2] ** 2)

    check(f, X5, -4)


def test_broadcasting():
    def f(a, b):
        return np.sum(np.sin(a * b) + a)

    check(f, np.array([[0.1], [0.5], [0.9]]), np.array([0.3, 0.7]))
    check(f, np.array([[0.4]]), np.array([0.3, 0.7]))
    check(f, np.array([[0.1], [0.5]]), np.array([0.3]))


def test_empty_arrays():
    def f(x):
        return np.sum(x * x) + 1.0

    check(f, np.zeros(0))


def test_zero_dimensional_arrays():
    def f(x):
        return np.sin(x) * x

    check(f, np.array(0.7))


@pytest.mark.parametrize("target", TARGETS)
def test_float32_stays_float32(target):
    def f(x):
        return np.sum(np.sin(x) * 2.0 + x / 3)

    x = np.array([0.1, 0.2], np.float32)
    value, g = adc.value_and_grad(f, target=target)(x)
    assert g.dtype == np.float32
    assert np.asarray(value).dtype == np.float32
    np.testing.assert_allclose(g, 2 * np.cos(x) + np.float32(1) / 3, rtol=1e-6)


def test_integer_arguments():
    def f(x, k, m):
        return x**k * m + x / k

    check(f, 1.3, 3, np.array(4))


@pytest.mark.parametrize("target", TARGETS)
def test_other_layouts(target):
    def f(x):
        return np.sum(x[0] * x[-1] ** 2)

    g = adc.grad(f, target=target)
    base = np.arange(24.0).reshape(4, 6) / 10
    want = np.zeros((4, 6))
    want[0] = base[-1] ** 2
    want[-1] = 2 * base[0] * base[-1]
    np.testing.assert_allclose(g(base), want)
    np.testing.assert_allclose(g(np.asfortranarray(base)), want)
    np.testing.assert_allclose(g(np.repeat(base, 2, axis=1)[:, ::2]), want)
    np.testing.assert_allclose(g(base.astype(">f8")), want)
    frozen = base.copy()
    frozen.flags.writeable = False
    np.testing.assert_allclose(g(frozen), want)
    np.testing.assert_allclose(g(base[:2, :3]), np.stack([base[1, :3] ** 2, 2 * base[0, :3] * base[1, :3]]))
    np.testing.assert_allclose(g(base.astype(np.float32)), want, rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_exception_leaves_no_state(target):
    def f(x):
        assert x[0] > 0, "x must be positive"
        return np.sum(np.log(x))

    g = adc.grad(f, target=target)
    for _ in range(3):
        with pytest.raises(adc.AdcError, match="x must be positive"):
            g(np.array([-1.0, 2.0]))
        np.testing.assert_allclose(g(np.array([1.0, 2.0])), [1.0, 0.5])


@pytest.mark.parametrize("target", TARGETS)
def test_calls_from_several_threads(target):
    def f(x):
        s = 0.0
        for i in range(len(x)):
            s += math.sin(x[i]) * s + x[i]
        return s

    g = adc.grad(f, target=target)
    inputs = [np.linspace(0.1, 1.0, 50 + k) for k in range(4)]
    wrong: list[str] = []

    def work(x):
        want = g(x)
        for _ in range(50):
            if not np.array_equal(g(x), want):
                wrong.append("differs")

    threads = [threading.Thread(target=work, args=(x,)) for x in inputs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_grad_made_anew_in_each_iteration():
    def f(w, x):
        return np.sum((x * w) ** 2)

    w = np.ones(3)
    x = np.array([1.0, 0.5, 0.25])
    first = adc.grad(f)
    first(w, x)
    for _ in range(100):
        w = w - 0.1 * adc.grad(f)(w, x)
    assert len(adc.api.transformed.compiled_programs(f)) == 1


def test_transposed_views_and_out():
    def f(a):
        b = np.zeros((3, 2))
        t = b.T
        t[0] = a[:3] * 2.0
        t[1, ::2] = a[:2] ** 2
        np.multiply(b, b, out=b)
        b.fill(0.0) if False else None
        return np.sum(b * np.arange(6.0).reshape(3, 2))

    check(f, X5)


def test_fancy_store_does_not_accumulate_but_add_at_does():
    def f(x):
        a = np.zeros(4)
        a[np.array([0, 0, 2])] += x[:3]
        np.add.at(a, np.array([1, 1, 3]), x[:3] ** 2)
        return np.sum(a * a)

    check(f, X5)


def test_masked_store():
    def f(x):
        y = x * x
        y[x > 0.5] = 0.1
        y[y < 0.2] *= 3.0
        return np.sum(y * x)

    check(f, X5)


def test_while_with_unknown_trips():
    def f(a):
        x = a
        k = 0
        while k < 50:
            step = (x * x - a) / (2.0 * x)
            x = x - step
            k += 1
            if abs(step) < 1e-12:
                break
        return x * x * x

    check(f, 2.5, rtol=1e-5)


def test_early_return():
    def f(x, limit):
        total = 0.0
        for i in range(len(x)):
            total += x[i] ** 2
            if total > limit:
                return total * 10.0
        return total

    check(f, X5, 1.0, argnums=(0,))
    check(f, X5, 100.0, argnums=(0,))


def test_gauss_seidel_in_place():
    def f(u, b, sweeps):
        n = len(u)
        for _ in range(sweeps):
            for i in range(1, n - 1):
                u[i] = 0.5 * (u[i - 1] + u[i + 1] + b[i])
        return np.sum(u * u)

    check(f, X5, Y5, 3)


def test_nonlinear_in_place_sweep():
    def f(u, sweeps):
        n = len(u)
        for _ in range(sweeps):
            for i in range(1, n - 1):
                u[i] = np.sin(u[i - 1] * u[i + 1]) + 0.5 * u[i] ** 2
        return np.sum(u * u)

    check(f, X5, 3)


def test_recursion_of_static_depth():
    def power(x, n):
        if n == 0:
            return 1.0
        return x * power(x, n - 1)

    def f(x):
        return power(x, 5) + power(np.sin(x), 2)

    check(f, 0.9)


def test_containers():
    def f(params, x):
        h = x
        for layer in params["layers"]:
            h = np.tanh(layer["w"] @ h + layer["b"])
        return np.sum(h**2) + params["scale"] * 2.0

    rng = np.random.default_rng(0)
    params = {
        "layers": [{"w": rng.normal(size=(3, 5)), "b": np.zeros(3)}, {"w": rng.normal(size=(2, 3)), "b": np.ones(2)}],
        "scale": 1.5,
    }
    for target in TARGETS:
        g = adc.grad(f, target=target)(params, X5)
        assert g["scale"] == pytest.approx(2.0)
        w = params["layers"][0]["w"]
        eps = 1e-6
        for i, j in ((0, 0), (2, 4)):
            old = w[i, j]
            w[i, j] = old + eps
            up = f(params, X5)
            w[i, j] = old - eps
            down = f(params, X5)
            w[i, j] = old
            assert g["layers"][0]["w"][i, j] == pytest.approx((up - down) / (2 * eps), rel=1e-5, abs=1e-8)


def test_nesting():
    def f(x):
        s = 0.0
        for i in range(len(x)):
            s = np.sin(s + x[i] ** 2)
        return s

    for target in TARGETS:
        h = adc.hessian(f, target=target)(X5)
        g = adc.grad(f, target=target)
        eps = 1e-6
        for k in range(5):
            e = np.zeros(5)
            e[k] = eps
            np.testing.assert_allclose(h[k], (g(X5 + e) - g(X5 - e)) / (2 * eps), rtol=1e-5, atol=1e-7)
        batch = np.stack([X5, Y5, X5 * 0.5])
        per = adc.vmap(adc.grad(f), target=target)(batch)
        np.testing.assert_allclose(per, np.stack([g(b) for b in batch]), rtol=1e-12)
        total = adc.grad(lambda xs: np.sum(adc.vmap(f)(xs)), target=target)(batch)
        np.testing.assert_allclose(total, per, rtol=1e-12)
        third = adc.grad(adc.grad(adc.grad(lambda t: t**4 * np.sin(t))), target=target)(0.7)
        t = 0.7
        want = 24 * t * math.sin(t) + 36 * t**2 * math.cos(t) - 12 * t**3 * math.sin(t) - t**4 * math.cos(t)
        assert third == pytest.approx(want, rel=1e-10)


def test_sizes_that_a_capture_makes_equal():
    """Staging starts again with what the guards found, also for captured arrays (it once started again for ever)."""
    data = X5 + 1.0

    def f(x):
        a, b = x * 1.0 + 0.0 * data, np.cos(data)
        for _ in range(2):
            if a[0] > 0.2:
                a, b = b, a
            a[1] = a[1] * b[0]
        return np.sum(a * b)

    check(f, X5)


def test_norm_of_infinite_order():
    check(lambda x: np.linalg.norm(x, np.inf) + np.linalg.norm(x, 3), X5)


def test_a_name_that_is_an_index_here_and_a_float_there():
    def f(x, n):
        total = 0.0
        for t in range(n):
            total += x[t] * t
        for k in range(n):
            t = np.sin(x[k]) * total
            for j in range(n):
                total += t * x[j]
        for t in range(n):
            total *= x[t] + t
        return total

    check(f, X5, 3)


@pytest.mark.parametrize("target", TARGETS)
def test_singular_matrices_are_errors(target):
    flat = np.ones((3, 3))
    for f, message in (
        (lambda a: np.sum(np.linalg.solve(a, np.ones(3))), "Singular matrix"),
        (lambda a: np.sum(np.linalg.inv(a)), "Singular matrix"),
        (lambda a: np.sum(np.linalg.cholesky(a - 2.0)), "not positive definite"),
    ):
        g = adc.value_and_grad(f, target=target)
        with pytest.raises(adc.CheckError, match=message) as caught:
            g(flat)
        assert "test_traps.py" in str(caught.value)
        assert np.isfinite(g(flat + 3.0 * np.eye(3))[0]) if "Sing" in message else True


@pytest.mark.parametrize("n", (3, 7, 33))
def test_maximum_compared_in_reverse_with_values_computed_again(n):
    """Compiled code may round otherwise the second time: a maximum saved and its operand computed again give 0 / 0."""

    def f(a, x, ys):
        total = 0.0
        for t in range(len(ys)):
            x = a * x + 0.1
            total += np.max(-0.5 * (ys[t] - x) ** 2)
        return total

    rng = np.random.default_rng(0)
    a, x, ys = 0.9, rng.normal(size=n), rng.normal(size=5)
    by_hand = 0.0
    x_dot = np.zeros(n)
    here = x
    for y in ys:
        x_dot = a * x_dot + here
        here = a * here + 0.1
        at = np.argmax(-0.5 * (y - here) ** 2)
        by_hand += (y - here[at]) * x_dot[at]
    for target in TARGETS:
        np.testing.assert_allclose(adc.grad(f, target=target)(a, x, ys), by_hand, rtol=1e-9)


def test_copy_of_rank_three_read_outside_its_nest():
    def f(u):
        new = u.copy()
        new[0, 0, 0] = 1.0
        return np.sum(new * new)

    check(f, np.arange(1.0, 25.0).reshape(2, 3, 4))


def test_transposed_copy_stored_into_before_a_product():
    def f(A, B):
        C = A.T.copy()
        C[:, 0] = 5.0
        return np.sum((B.T @ C) ** 2)

    rng = np.random.default_rng(0)
    for n in (3, 12):
        check(f, rng.normal(size=(n, n)), rng.normal(size=(n, n)))


@pytest.mark.parametrize("target", TARGETS)
def test_results_of_two_shapes_are_an_error(target):
    """They once came back as an object of the compiler's."""

    def f(x, y):
        a = x * 1.0
        if a[0] > 1.4:
            return a * 0.5, a
        a = y * 1.0
        return a * y, y

    with pytest.raises(adc.UnsupportedError, match=r"result is f8\[x_n\] in one branch and f8\[y_n\] in the other"):
        adc.jit(f, target=target)(X5, Y5[:3])


@pytest.mark.parametrize("use", ("if found: total = 2.0", "total = len(found)", "total = [*found]", "total = found", "total = sum(found)", "total = found[0]"))
def test_a_list_that_differs_in_branches_is_an_error_where_it_is_read(tmp_path, use):
    """`if found` was true whatever was found."""
    path = tmp_path / "lists.py"
    path.write_text(f"def f(x):\n    found = []\n    total = 0.0\n    if x[0] > 0.0:\n        found.append(x[0])\n    {use}\n    return total\n")
    scope: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    with pytest.raises(adc.UnsupportedError, match="found has another structure in each branch"):
        adc.jit(scope["f"], target="numpy")(X5)


def test_chunks_inside_a_loop_whose_turn_sets_their_number():
    """The memory of the chunks was asked for by a size that only the loop knows."""

    def f(x, y, s):
        a = y.copy()
        for i in range(len(x)):
            for _ in range(i):
                a -= np.maximum(x, np.maximum(y, x[0]))
            s += s - 0.75
        return s + np.sum(a * a)

    check(f, X5, Y5, 0.3)


@pytest.mark.parametrize("target", TARGETS)
def test_an_index_is_looked_at_in_loops_that_turn(target):
    """What stood in a loop was read before it, and before its index was looked at: an IndexError for a loop that does not
    turn, memory of others on the cpu."""

    def f(U, x, idx, j, n):
        s = 0.0
        for _ in range(n):
            s += np.sum(np.exp(U[:, j])) * x[0]
        k = 0
        while k < n and x[1] < 5.0:
            s += np.sum(np.sin(U[idx] * x[0]))
            k += 1
        return s

    U = np.linspace(0.1, 1.0, 12).reshape(3, 4)
    inside, outside = np.array([0, -1, 2]), np.array([0, 3, 1])
    g = adc.value_and_grad(f, argnums=(0, 1), target=target)
    check(f, U, X5, inside, -2, 2, targets=(target,))
    value, (du, dx) = g(U, X5, outside, 100_000_000, 0)
    assert value == 0.0 and not du.any() and not dx.any()
    for idx, j in ((inside, 100_000_000), (inside, -5), (outside, 0)):
        with pytest.raises(adc.CheckError, match="index out of bounds"):
            g(U, X5, idx, j, 1)


@pytest.mark.parametrize("target", TARGETS)
def test_a_matrix_is_inverted_in_loops_that_turn(target):
    def f(A, x, n):
        s = 0.0
        for _ in range(n):
            s += np.sum(np.linalg.inv(A) @ x) + np.sum(np.linalg.cholesky(A))
        return s

    g = adc.value_and_grad(f, target=target)
    assert g(np.zeros((3, 3)), np.ones(3), 0)[0] == 0.0
    with pytest.raises(adc.CheckError, match="Singular matrix"):
        g(np.zeros((3, 3)), np.ones(3), 1)


def test_a_number_carried_through_three_loops():
    """Its cotangent is one variable in all of them: what the innermost loop added was lost."""

    def f(x, B, n):
        t = 0.3
        k = 0
        while k < n:
            k += 1
            for i in range(len(x)):
                z = x[0]
                for j in range(B.shape[1]):
                    z += B[i, j] * t
                t += np.tanh(z)
        return t * t

    check(f, X5, np.cos(np.arange(15.0)).reshape(5, 3), 3)


def test_a_number_carried_through_four_loops():
    def f(x, n):
        t = 0.3
        for a in range(n):
            for b in range(n):
                for c in range(n):
                    z = x[a]
                    for d in range(len(x)):
                        z += x[d] * t
                    t = np.sin(t + z * x[c])
                t = t * x[b]
        return t * t

    check(f, X5, 2)


@pytest.mark.parametrize("target", TARGETS)
def test_sigmoid_by_hand_far_out(target):
    """exp(800) is infinite: the derivative through it was inf / inf."""

    def s(x):
        return 1.0 / (np.exp(-x) + 1.0)

    def f(x):
        return np.sum(s(x))

    x = np.array([-800.0, -40.0, -1.0, 0.0, 2.0, 40.0, 800.0])
    e = np.exp(-np.abs(x))
    first = e / (1.0 + e) ** 2
    second = -np.sign(x) * first * (1.0 - e) / (1.0 + e)
    value, g = adc.value_and_grad(f, target=target)(x)
    with np.errstate(over="ignore"):
        assert value == pytest.approx(f(x), rel=1e-15)
    np.testing.assert_allclose(g, first, rtol=1e-14)
    np.testing.assert_allclose(adc.jvp(s, (x,), (np.ones(7),), target=target)[1], first, rtol=1e-14)
    np.testing.assert_allclose(np.diag(adc.hessian(f, target=target)(x)), second, rtol=1e-12)
    assert adc.grad(s, target=target)(-800.0) == adc.grad(adc.grad(s), target=target)(-800.0) == 0.0


def test_a_read_at_a_fixed_place_and_a_store_at_a_moving_one():
    """As many indices known at run time in one as not in the other: taken for one place, and then for an error of ours."""

    def f(x, n):
        b = np.cos(x)
        for i in range(n):
            b[-1 - i] = b[2] + x[i]
            b[1] = b[n - 1] + x[i] * b[0]
        return np.sum(b * x)

    check(f, X5, 3)


@pytest.mark.parametrize("target", ["numpy", "cpu"])
def test_a_loop_that_never_turns_hides_nothing(target):
    """`while False` was taken for `while True` where names are given: a name that is still needed was given to another value."""

    def f(x):
        a = x * 1.0
        b = np.cos(x)
        for i in range(len(x)):
            if a[i] > 0.9:
                break
            b = np.sin(2.0 * b * a[-1])
        a = np.sin(b * a[0])
        k = 0
        while k < 3 and np.tanh(2.0) < 0.9:
            a = np.sin((a + b) * a[2])
            k += 1
        return np.sum(a * b)

    x, d = np.array([0.31, -0.74, 1.13, 0.42, 0.97]), np.cos(np.arange(5.0))
    g = adc.grad(f, target=target)
    _, got = adc.jvp(lambda x: adc.grad(f)(x), (x,), (d,), target=target)
    np.testing.assert_allclose(got, (g(x + 1e-5 * d) - g(x - 1e-5 * d)) / 2e-5, rtol=1e-6, atol=1e-8)


def test_a_place_that_the_store_itself_moves():
    """`k[k[i]]` twice: the first store may change where the second goes, so the two are not one."""

    def f(k, x):
        for i in range(len(k)):
            k[k[i]] = 1
            k[k[i]] = 2
        return k * 1.0 + x

    for k in ([2, 0, 3, 1, 2], [0, 1, 2, 3], [1, 1, 0], [0, 0, 0]):
        for target in ("numpy", "cpu"):
            np.testing.assert_array_equal(adc.jit(f, target=target)(np.array(k), 0.0), f(np.array(k), 0.0))


# ---------------------------------------------------------------- one array by two names, from outside


def stores_into_the_first(a, b):
    a[0] = 5.0 * b[1]
    return np.sum(a * b)


def only_reads(a, b):
    return np.sum(a * b)


def stores_into_the_rest(a, *rest):
    a[0] = 2.0
    rest[0][1] = 7.0 * a[2]
    return np.sum(a) + np.sum(rest[1])


OUTSIDE = np.array([1.0, 2.0, 3.0])


def with_an_outside_array(a):
    a[0] = 5.0
    return np.sum(OUTSIDE * a)


def stores_outside(a):
    OUTSIDE[0] = a[1]
    return np.sum(OUTSIDE * a)


def of_a_dict(p):
    p["a"][0] = 9.0
    return np.sum(p["b"])


@pytest.mark.parametrize("target", ["cpu", "numpy"])
def test_arguments_in_one_memory(target: str) -> None:
    """Python's store is seen through the other name; adc's would not be."""
    x = np.arange(6.0)
    g = adc.grad(stores_into_the_first, argnums=(0, 1), target=target)
    for _ in range(2):
        for a, b in ((x, x), (x[:5], x[1:]), (x[:3], x[2::-1])):
            with pytest.raises(adc.UnsupportedError, match="shares memory"):
                g(a, b)
        g(x, x.copy())
        g(x[::2], x[1::2])  # side by side, with no element in common
        assert len(adc.grad(only_reads, argnums=(0, 1), target=target)(x, x)) == 2  # where nobody stores
    with pytest.raises(adc.UnsupportedError, match="shares memory"):
        adc.grad(stores_into_the_rest, target=target)(x.copy(), x, x)
    with pytest.raises(adc.UnsupportedError, match="shares memory"):
        adc.grad(with_an_outside_array, target=target)(OUTSIDE)
    with pytest.raises(adc.UnsupportedError, match="shares memory"):
        adc.grad(of_a_dict, target=target)({"a": x, "b": x})
    assert OUTSIDE.tolist() == [1.0, 2.0, 3.0] and x.tolist() == list(range(6))


@pytest.mark.parametrize("target", ["cpu", "numpy"])
def test_arrays_outside_are_not_stored_into(target: str) -> None:
    with pytest.raises(adc.UnsupportedError, match="OUTSIDE, an array from outside the function") as caught:
        adc.jit(stores_outside, target=target)(np.ones(3))
    assert "copy" in str(caught.value)


def test_in_one_memory_also_for_a_program_from_disk(tmp_path) -> None:
    file = tmp_path / "overlapping.py"
    file.write_text(textwrap.dedent("""
        import numpy as np
        import adc
        def f(a, b):
            a[0] = 5.0 * b[1]
            return np.sum(a * b)
        x = np.arange(4.0)
        try:
            adc.grad(f)(x, x)
        except adc.UnsupportedError:
            print("refused")
        print(adc.grad(f)(x, x.copy())[1])
    """))
    for _ in range(2):
        said = subprocess.run([sys.executable, str(file)], env={**os.environ, "ADC_CACHE_DIR": str(tmp_path / "cache")}, capture_output=True, text=True, check=True)
        assert said.stdout.split() == ["refused", "1.0"]


# ---------------------------------------------------------------- objects that change


class Settings:
    number, factor, table = 2, 2.0, np.array([1.0, 2.0, 3.0])

    def __init__(self) -> None:
        self.own = 3.0

    @property
    def twice(self) -> float:
        return 2.0 * self.own

    def power(self, x):
        return x[0] ** self.number


@pytest.mark.parametrize(
    ("uses", "name", "new"),
    [
        ("x[0] * s.number", "number", 5), ("x[0] * s.factor", "factor", 5.0), ("np.sum(x * s.table)", "table", np.ones(3)), ("x[0] * s.twice", "own", 7.0),
        ("s.power(x)", "number", 3), ("s.power(x)", "power", lambda x: 4.0 * x[0]),
    ],
)  # fmt: skip
def test_what_an_object_hides_of_its_class(uses: str, name: str, new: Any, tmp_path) -> None:
    """An attribute of the object, set after the first call, stands before that of its class; so does the class's own, changed."""
    s, x = Settings(), np.array([0.7, -0.4, 1.3])
    file = tmp_path / f"uses_{name}.py"
    file.write_text(f"import numpy as np\n\ndef f(x):\n    return {uses}\n")
    scope: dict[str, Any] = {"s": s, "__name__": "__main__"}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    f = scope["f"]
    g = adc.jit(f)
    assert g(x) == pytest.approx(f(x))
    setattr(s, name, new)
    assert g(x) == pytest.approx(f(x))
    if not callable(new) and name != "own":
        delattr(s, name)
        assert g(x) == pytest.approx(f(x))


def test_a_method_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    s, x = Settings(), np.array([3.0])

    def f(x):
        return s.power(x)

    g = adc.jit(f)
    assert g(x) == 9.0
    monkeypatch.setattr(Settings, "power", lambda self, x: x[0] * self.own)
    assert g(x) == 9.0 == f(x)
    s.own = 4.0
    assert g(x) == 12.0 == f(x)


# ---------------------------------------------------------------- truths and integers


def truths_added(x):
    return ((x[0] > 0.0) + (x[1] > 0.0)) * 1.5


def truths_subtracted(x):
    return (x[0] > 0.0) - (x[1] > 0.0) + 0.0


def truths_counted(x):
    return (int(x[0] > 0.0) + int(x[1] > 0.0)) * x[0] + (bool(x[0] > 0.0) + bool(x[1] > 0.0)) * x[1] + sum([v > 0.0 for v in (x[0], x[1])]) * 2.0 + np.sum(x > 0.0)


@pytest.mark.parametrize("target", ["cpu", "numpy"])
def test_truths(target: str) -> None:
    """`np.True_ + np.True_` is True, `True + True` is 2."""
    x = np.array([2.0, 3.0])
    for fun in (truths_added, truths_subtracted):
        with pytest.raises(adc.UnsupportedError, match="two truths"):
            adc.jit(fun, target=target)(x)
    assert adc.jit(truths_counted, target=target)(x) == truths_counted(x)


@pytest.mark.parametrize("target", ["cpu", "numpy"])
def test_integers_to_negative_powers(target: str) -> None:
    def f(n):
        return 2**n

    g = adc.jit(f, target=target)
    assert g(5) == 32
    with pytest.raises(adc.CheckError, match="negative power"):
        g(-2)


# ---------------------------------------------------------------- by columns


def by_columns(x):
    return np.sum(x.reshape(4, 3, order="F") * np.arange(12.0).reshape(4, 3)) + x.ravel("F")[1] * 7.0 + np.reshape(x, (2, -1), order="F")[0, 3] * x.flatten("F")[5]


def stored_by_columns(x):
    x.reshape(4, 3, order="F")[0, 1] = 3.0
    return np.sum(x)


def as_it_lies(x):
    return x.ravel(order="K")[1]


@pytest.mark.parametrize("target", ["cpu", "numpy"])
def test_order_of_reshape(target: str) -> None:
    x = np.random.default_rng(3).normal(size=(3, 4))
    assert adc.jit(by_columns, target=target)(x) == pytest.approx(by_columns(x))
    d, e = np.random.default_rng(4).normal(size=(3, 4)), 1e-6
    slope = (by_columns(x + e * d) - by_columns(x - e * d)) / (2 * e)
    assert np.sum(adc.grad(by_columns, target=target)(x) * d) == pytest.approx(slope, rel=1e-7)
    for fun in (stored_by_columns, as_it_lies):
        with pytest.raises(adc.UnsupportedError):
            adc.jit(fun, target=target)(x)


def test_unknown_is_unknown() -> None:
    from scipy import special

    def f(x, y):
        return special.rel_entr(x, y)

    x, y = np.array([0.3, np.nan, 0.0, -1.0, 0.2, 0.5]), np.array([0.5, 1.0, 0.7, 1.0, np.nan, 0.0])
    for dtype in ("f8", "f4"):
        got = adc.jit(f)(x.astype(dtype), y.astype(dtype))
        assert got.dtype == np.dtype(dtype) and np.allclose(got, f(x, y), equal_nan=True, rtol=1e-6)


@pytest.mark.parametrize("target", ["cpu", "numpy"])
def test_shifts(target: str) -> None:
    def f(a, n):
        return (a << n) + (1 << 3) + sum(1 << k for k in range(4)) + (a >> n)

    g = adc.jit(f, target=target)
    assert g(5, 2) == f(5, 2) and g(5, 63) == np.int64(-(2**63)) + 23  # 64 bits
    for n in (64, 70, -1):
        with pytest.raises(adc.CheckError, match="shift"):
            g(5, n)
    x = np.array([1, 2, 3])
    assert adc.jit(lambda x, n: x << n, target=target)(x, x).tolist() == [2, 8, 24]
