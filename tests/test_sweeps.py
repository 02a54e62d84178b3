"""Time loops over grids: states live in the tape, reverse steps pass over the grid once, and stores to one place are one."""

from __future__ import annotations

import re

import numpy as np
import pytest

import adc

RNG = np.random.default_rng(12)


def agree(f, args, argnums):
    both = [adc.value_and_grad(f, argnums=argnums, target=t)(*args) for t in ("cpu", "numpy")]
    for _ in range(2):  # the second time in memory that was used
        (a, ga), (b, gb) = both
        np.testing.assert_allclose(a, b, rtol=1e-10)
        for x, y in zip(ga, gb, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11)
        both[0] = adc.value_and_grad(f, argnums=argnums)(*args)


def kernel(f, args, argnums=0):
    return adc.value_and_grad(f, argnums=argnums).kernel_source(*args)


def jacobi(u, steps):
    for _ in range(steps):
        new = u.copy()
        new[1:-1, 1:-1] = 0.2 * (u[1:-1, 1:-1] + u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u = new
    return np.sum(u * u)


def cubic(u, k, steps):
    for _ in range(steps):
        new = u.copy()
        c = u[1:-1, 1:-1]
        around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        new[1:-1, 1:-1] = c + k * (around - 4.0 * c) + 0.05 * (c - c * c * c)
        u = new
    return np.sum(u * u * u)


def line(u, k, steps):
    for _ in range(steps):
        new = u.copy()
        new[1:-2] = u[1:-2] + k * (u[:-3] - 2.0 * u[1:-2] + u[2:-1]) * u[1:-2]
        u = new
    return np.sum(u**3)


def block(u, steps):
    for _ in range(steps):
        new = u.copy()
        c = u[1:-1, 2:-1, 1:-2]
        new[1:-1, 2:-1, 1:-2] = c + 0.1 * np.sin(u[:-2, 2:-1, 1:-2] + u[2:, 2:-1, 1:-2] - u[1:-1, :-3, 1:-2] * c)
        u = new
    return np.sum(u * u)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(3, 3), (4, 9), (12, 5)])
def test_grids_of_two_dimensions(shape, steps):
    u = RNG.normal(size=shape)
    before = u.copy()
    agree(jacobi, (u, steps), (0,))
    agree(cubic, (u, 0.1, steps), (0, 1))
    np.testing.assert_array_equal(u, before)


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_lines_and_blocks(steps):
    for n in (4, 5, 30):
        agree(line, (RNG.normal(size=n), 0.1, steps), (0, 1))
    for shape in ((3, 4, 4), (5, 6, 7)):
        agree(block, (RNG.normal(size=shape), steps), (0,))


def test_a_reverse_step_passes_once():
    source = kernel(jacobi, (RNG.normal(size=(8, 9)), 3))
    main = source[source.rindex("\ndef ") :]
    back = main[main.index("range(steps_1 - 1, -1, -1)") :]
    back = back[: back.index("hold_1")]
    assert back.count("for ") == 1 and back.count("run_") == 1  # the rim is done with the inside
    assert source.count("for j in") - main.count("for j in") == 4 and source[: -len(main)].count("u_bar[") == 4  # two rows, and the ends of the others
    assert "t_pad" not in source  # it has the memory of the sweep forwards
    story = str(adc.value_and_grad(jacobi).explain(RNG.normal(size=(8, 9)), 3))
    assert "each step backwards passes over its array once" in story


def test_states_are_computed_in_the_tape():
    args = RNG.normal(size=(8, 9)), 0.1, 3
    source = kernel(cubic, args)
    assert "u_1" not in source[source.rindex("\ndef ") :].split(":")[0]  # no buffers that change places
    assert re.search(r"u_saved\[u_saved_row\w* \+ \(u_n0 \+ 1\) \* stride \+ j \+ \d+\] = ", source)  # the next state
    assert "each state is computed where it is saved" in str(adc.value_and_grad(cubic).explain(*args))


def test_a_large_grid_is_shared_and_has_the_same_bits_for_any_number_of_threads():
    args = RNG.random((150, 160)), 0.1, 6
    source = kernel(cubic, args)
    assert source.count("_part") >= 4  # the step and its reverse
    g = adc.value_and_grad(cubic, argnums=(0, 1))
    threads = adc.get_num_threads()
    try:
        adc.set_num_threads(1)
        value, (u, k) = g(*args)
        for n in (2, 3):
            adc.set_num_threads(n)
            v, (x, y) = g(*args)
            assert (v, y) == (value, k)
            np.testing.assert_array_equal(x, u)
    finally:
        adc.set_num_threads(threads)
    agree(cubic, args, (0, 1))


def test_whole_states():
    """No rim: every element is written in each step."""

    def rolled(u, k, steps):
        for _ in range(steps):
            u = u + k * (np.roll(u, 1) - 2.0 * u + np.roll(u, -1)) * u
        return np.sum(u**3)

    for steps in (0, 1, 6):
        agree(rolled, (RNG.normal(size=11), 0.05, steps), (0, 1))


def test_states_that_are_looked_at_elsewhere():
    """In the loop, before it, after it, and in a loop around it."""

    def f(u, k, steps):
        total = np.sum(u * u)
        for t in range(3):
            for s in range(steps):
                total += np.sum(u[1:] * u[:-1]) * (s + 1)
                new = u.copy()
                new[1:-1] = u[1:-1] + k * (u[:-2] + u[2:]) * u[1:-1]
                u = new
            total += u[0] * u[-2] + t
        return total + np.sum(u**3)

    for steps in (0, 1, 4):
        agree(f, (RNG.normal(size=7), 0.1, steps), (0, 1))


def test_the_last_state_is_a_result():
    def f(u, k, steps):
        for _ in range(steps):
            new = u.copy()
            new[1:-1] = u[1:-1] + k * (u[:-2] + u[2:]) * u[1:-1]
            u = new
        return u

    def loss(u, k, steps):
        v = f(u, k, steps)
        return np.sum(v * v), v

    args = RNG.normal(size=8), 0.1, 4
    (value, state), g = adc.value_and_grad(loss, has_aux=True)(*args)
    (want, there), h = adc.value_and_grad(loss, has_aux=True, target="numpy")(*args)
    np.testing.assert_allclose(value, want)
    np.testing.assert_allclose(state, there)
    np.testing.assert_allclose(g, h)
    np.testing.assert_allclose(adc.jacrev(f)(*args), adc.jacfwd(f)(*args), rtol=1e-10, atol=1e-12)


def test_two_grids_that_need_each_other():
    def f(u, v, steps):
        for _ in range(steps):
            a, b = u.copy(), v.copy()
            reaction = u[1:-1] * v[1:-1] * v[1:-1]
            a[1:-1] = u[1:-1] + 0.1 * (u[:-2] + u[2:] - 2.0 * u[1:-1]) - reaction + 0.02 * (1.0 - u[1:-1])
            b[1:-1] = v[1:-1] + 0.05 * (v[:-2] + v[2:] - 2.0 * v[1:-1]) + reaction - 0.06 * v[1:-1]
            u, v = a, b
        return np.sum(u * u) + np.sum(v**3)

    for steps in (0, 1, 5):
        agree(f, (RNG.random(9), RNG.random(9), steps), (0, 1))


def test_a_rim_that_moves():
    def f(u, k, steps):
        for t in range(steps):
            new = u.copy()
            new[1:-1] = 0.5 * (u[:-2] + u[2:]) * u[1:-1]
            new[0] = k * u[0] + t
            u = new
        return np.sum(u * u)

    agree(f, (RNG.normal(size=9), 0.7, 5), (0, 1))


def test_second_derivatives_and_batches():
    u, w = RNG.normal(size=(5, 6)), RNG.normal(size=(5, 6))
    hv = adc.hvp(lambda x: cubic(x, 0.1, 3))
    np.testing.assert_allclose(hv(u, w), adc.hvp(lambda x: cubic(x, 0.1, 3), target="numpy")(u, w), rtol=1e-9, atol=1e-11)
    many = RNG.normal(size=(4, 5, 6))
    got = adc.vmap(adc.grad(jacobi), in_axes=(0, None))(many, 3)
    for x, y in zip(got, many, strict=True):
        np.testing.assert_allclose(x, adc.grad(jacobi)(y, 3), rtol=1e-10)


def test_stores_to_one_place_are_one():
    def f(x, y):
        z = np.zeros_like(x)
        for i in range(len(x)):
            z[i] = 2.0 * x[i]
            z[i] += y[i]
            z[i] += x[i] * y[i]
        return z

    args = RNG.normal(size=6), RNG.normal(size=6)
    source = adc.jit(f).kernel_source(*args)
    assert len(re.findall(r"^ *z\[i\] \+?= ", source, re.M)) == 1
    np.testing.assert_allclose(adc.jit(f)(*args), 2 * args[0] + args[1] + args[0] * args[1])


def test_stores_that_are_looked_at_between_stay():
    def f(x):
        z = np.zeros_like(x)
        for i in range(1, len(x)):
            z[i] = 2.0 * x[i]
            x[i] = z[i] * z[i - 1]
            z[i] += x[i - 1]
            z[i - 1] = z[i] + 1.0
            z[i] = z[i - 1] * x[i]
        return z + x

    x = RNG.normal(size=7)
    want = f(x.copy())
    np.testing.assert_allclose(adc.jit(f)(x), want)
    agree(lambda x: np.sum(f(x.copy()) ** 2), (x,), (0,))


def test_two_tapes_of_one_value_are_one():
    def f(w, x):
        h = np.zeros_like(x)
        for t in range(5):
            a = np.tanh(h * w[0]) + x
            b = np.sin(h * w[1])
            h = a * b + np.cos(h)
        return np.sum(h)

    args = RNG.normal(size=(2, 6)), RNG.normal(size=6)
    agree(f, args, (0, 1))
    source = kernel(f, args)
    saved = re.findall(r"^ *(\w*_saved\w*)\[[^=]*\] = (.*)$", source, re.M)
    assert len({value for _, value in saved}) == len(saved)


def test_loops_inside_lanes_that_keep_nothing():
    """Layers inside, elements outside, all in arrays of the program: the elements go innermost, where they are vectors."""

    def f(w, x):
        s = np.zeros((2, x.shape[1]))
        total = 0.0
        for t in range(len(x)):
            y = x[t].copy()
            for k in range(len(w)):
                s[k % 2] = np.tanh(y * w[k]) + 0.5 * s[k % 2]
                y = np.exp(-s[k % 2] * s[k % 2]) * w[k]
            total += np.log(2.0 + np.sum(np.exp(y)))
        return total

    for n in (1, 7, 8, 14, 40, 129, 300):
        agree(f, (RNG.normal(size=(3, n)), RNG.normal(size=(4, n))), (0,))


def test_a_pair_is_made_in_the_memory_of_the_one_before():
    """Two grids that change places, forwards and backwards: the cotangents begin in the nest that looks at the last state for the last time."""

    def f(u, steps):
        v = u.copy()
        for _ in range(steps):
            v[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
            u, v = v, u
        return np.sum(u * u)

    def shifted(u, steps):
        """The other way round: the cotangent of one element needs the state of another."""
        v = u.copy()
        for _ in range(steps):
            v[1:-1] = 0.25 * (u[:-2] + u[2:])
            u, v = v, u
        return np.sum(u[1:] * u[:-1] * u[1:])

    for steps in (0, 1, 2, 5):
        agree(f, (RNG.normal(size=(6, 7)), steps), (0,))
        agree(shifted, (RNG.normal(size=9), steps), (0,))
    source = adc.grad(f).kernel_source(RNG.normal(size=(6, 7)), 3)
    arguments = source[source.index("def f_grad(") :].split(")")[0]
    assert "u_bar_1" not in arguments and "v_bar" not in arguments


def test_what_a_sweep_of_the_users_leaves_inside():
    """The user's own padded sweep: its inside is looked at after the change, is padded after it, or decides where another array is read."""

    def after(u, w, steps):
        p, q = np.zeros(len(u) + 2), np.zeros(len(u) - 2)
        for _ in range(steps):
            t = u[1:-1].copy()
            p[2:-2] = t
            u[1:-1] = 0.5 * t
            q += u[1:-1] * w
            u += 0.3 * p[:-2] + 0.2 * p[2:]
        return np.sum(q) + np.sum(u * u)

    def late(u, w, steps):
        p = np.zeros(len(u) + 2)
        for _ in range(steps):
            u[1:-1] = 0.5 * u[1:-1] * w
            p[2:-2] = u[1:-1]
            u += 0.3 * p[:-2] + 0.2 * p[2:]
        return np.sum(u * u)

    def placed(u, w, steps):
        p = np.zeros(len(u) + 2)
        total = 0.0
        for _ in range(steps):
            t = u[1:-1].copy()
            p[2:-2] = t
            u[1:-1] = 0.5 * t
            total += np.sum(w[np.abs(10.0 * t).astype(np.int64) % len(w)])
            u += 0.3 * p[:-2] + 0.2 * p[2:]
        return total + np.sum(u * u)

    for f in (after, late, placed):
        for steps in (0, 1, 4):
            args = RNG.normal(size=7), RNG.normal(size=5), steps
            agree(lambda u, w, s, f=f: f(u.copy(), w, s), args, (0, 1))
            np.testing.assert_allclose(adc.jit(f)(args[0].copy(), *args[1:]), f(args[0].copy(), *args[1:]), rtol=1e-12)
