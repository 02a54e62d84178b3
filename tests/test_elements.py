"""Loops over the elements of grids, as people write them: the same kernels as array code, and the same derivatives."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import adc
from adc.ir import Sym, size
from adc.lower.elements import Grid
from adc.lower.nodes import Buf, Loop, Pool, Store
from adc.testing import check_grads
from tests import programs

RNG = np.random.default_rng(17)


def reverse_part(f: Any, args: tuple[Any, ...], argnums: Any = 0) -> str:
    """The kernel from the first loop backwards on, and its parts."""
    return adc.value_and_grad(f, argnums=argnums).kernel_source(*args)


def agree(f: Any, args: tuple[Any, ...], argnums: Any) -> None:
    """Both targets, and differences."""
    own = [adc.value_and_grad(f, argnums=argnums, target=t)(*(np.copy(a) if np.ndim(a) else a for a in args)) for t in ("cpu", "numpy")]
    assert own[0][0] == pytest.approx(own[1][0], rel=1e-11)
    for a, b in zip(*(x[1] if isinstance(argnums, tuple) else (x[1],) for x in own), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    assert check_grads(f, *args)


# ---------------------------------------------------------------- grids in time


def jacobi(u, steps):
    n, m = u.shape
    for _ in range(steps):
        new = u.copy()
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                new[i, j] = 0.2 * (u[i, j] + u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u = new
    return np.sum(u * u)


def two_grids(u, steps):
    n, m = u.shape
    u = u.copy()
    v = u.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                v[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u, v = v, u
    return np.sum(u * v)


def cubic(u, k, steps):
    n, m = u.shape
    for _ in range(steps):
        new = u.copy()
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = u[i, j]
                new[i, j] = c + k * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4.0 * c) + 0.05 * (c - c * c * c)
        u = new
    return np.sum(u * u)


def two_species(u, v, a, b, feed, steps):
    n, m = u.shape
    for _ in range(steps):
        un = u.copy()
        vn = v.copy()
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                lu = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4.0 * u[i, j]
                lv = v[i - 1, j] + v[i + 1, j] + v[i, j - 1] + v[i, j + 1] - 4.0 * v[i, j]
                r = u[i, j] * v[i, j] * v[i, j]
                un[i, j] = u[i, j] + a * lu - r + feed * (1.0 - u[i, j])
                vn[i, j] = v[i, j] + b * lv + r - feed * v[i, j]
        u = un
        v = vn
    return np.sum(u * v)


def wave(u, speed, steps):
    n = u.shape[0]
    before = u.copy()
    now = u.copy()
    after = np.zeros(n)
    for _ in range(steps):
        for i in range(1, n - 1):
            after[i] = 2.0 * now[i] - before[i] + speed[i] * (now[i + 1] - 2.0 * now[i] + now[i - 1])
        before, now, after = now, after, before
    return np.sum(now * now) + np.sum(before)


def fluxes(u, nu, dt, steps):
    n = u.shape[0]
    u = u.copy()
    flux = np.zeros(n)
    for _ in range(steps):
        for i in range(n - 1):
            flux[i] = 0.25 * u[i] * u[i] + 0.25 * u[i + 1] * u[i + 1] - nu * (u[i + 1] - u[i])
        for i in range(1, n - 1):
            u[i] = u[i] - dt * (flux[i] - flux[i - 1])
    return np.sum(u * u)


def walls(u, k, steps):
    n = u.shape[0]
    for _ in range(steps):
        v = u.copy()
        for i in range(1, n - 1):
            v[i] = u[i] + k * (u[i + 1] - 2.0 * u[i] + u[i - 1])
        v[0] = v[1]
        v[n - 1] = v[n - 2]
        u = v
    return np.sum(u * u)


def two_grids_cubic(u, k, steps):
    n, m = u.shape
    u = u.copy()
    v = u.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = u[i, j]
                v[i, j] = c + k * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4.0 * c * c)
        u, v = v, u
    return np.sum(u * u)


def two_grids_apart(u, k, steps):
    """The rim of the other grid is another one: every second state has it."""
    n, m = u.shape
    u = u.copy()
    v = 0.5 * u
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                c = u[i, j]
                v[i, j] = c + k * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4.0 * c * c)
        u, v = v, u
    return np.sum(u * u)


GRID = RNG.random((7, 8))
LINE = RNG.random(9)
CASES = {
    "jacobi": (jacobi, (GRID, 4), 0),
    "two_grids": (two_grids, (GRID, 3), 0),
    "cubic": (cubic, (GRID, 0.1, 4), (0, 1)),
    "two_grids_cubic": (two_grids_cubic, (GRID, 0.1, 3), (0, 1)),
    "two_grids_apart": (two_grids_apart, (GRID, 0.1, 3), (0, 1)),
    "two_species": (two_species, (GRID, RNG.random((7, 8)), 0.16, 0.08, 0.03, 3), (0, 1, 2, 3, 4)),
    "wave": (wave, (LINE, 0.2 * RNG.random(9), 4), (0, 1)),
    "fluxes": (fluxes, (LINE, 0.1, 0.2, 4), (0, 1, 2)),
    "walls": (walls, (LINE, 0.2, 4), (0, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    f, args, argnums = CASES[name]
    agree(f, args, argnums)


@pytest.mark.parametrize("name", CASES)
def test_steps_that_are_not_made(name):
    f, args, argnums = CASES[name]
    agree(f, (*args[:-1], 0), argnums)
    agree(f, (*args[:-1], 1), argnums)


@pytest.mark.parametrize("name", ("jacobi", "cubic", "two_species"))
def test_the_reverse_gathers(name):
    """No element is added to at a distance: additions are to the place of the loops."""
    text = reverse_part(*CASES[name])
    spread = [line for line in text.splitlines() if re.search(r"_bar\w*\[.*(\+|-) [1-9]\] \+= \w+$", line)]
    assert not spread, spread
    assert "_pad" in text or "hold" in text
    assert not re.search(r"[uv]_bar_parts", text)  # nor has every chunk a grid of its own
    f, args, _ = CASES[name]
    assert "is gathered, and each element written once" in str(adc.value_and_grad(f).explain(*args))


def test_a_step_reads_and_writes_each_number_once():
    f, args, _ = CASES["jacobi"]
    text = reverse_part(f, args)
    assert len(re.findall(r"^ +hold\w* = ", text, re.M)) == 2  # the states change places, and so do their cotangents
    assert "jacobi_value_and_grad_part_1" in text


def test_two_grids_that_begin_alike_are_rows_of_the_tape():
    tells = {name: str(adc.value_and_grad(CASES[name][0]).explain(*CASES[name][1])) for name in ("two_grids_cubic", "two_grids_apart")}
    assert "each state is computed where it is saved" in tells["two_grids_cubic"]
    assert "each state is computed where it is saved" not in tells["two_grids_apart"]


def test_three_arrays_take_turns_without_copies():
    f, args, argnums = CASES["wave"]
    text = reverse_part(f, args, argnums)
    assert len(re.findall(r"^ +hold\w* = ", text, re.M)) == 4
    assert not re.search(r"^ +(before|now|after)\[i\w*\] = (before|now|after)\[", text, re.M)


def test_states_are_kept_and_not_what_was_made_of_them():
    for name, argnums, count in (("fluxes", (0, 1), 1), ("two_species", (0, 1, 2), 2), ("walls", 0, 0)):
        f, args, _ = CASES[name]
        text = adc.value_and_grad(f, argnums=argnums).kernel_source(*args)
        head = re.search(r"^def \w+_value_and_grad\((.*)\):", text, re.M)
        assert head is not None
        assert len([w for w in head[1].split(", ") if "saved" in w]) == count, head[1]


# ---------------------------------------------------------------- what must stay as it is


def test_a_sweep_in_place_waits_for_its_neighbours():
    def seidel(u, steps):
        n = u.shape[0]
        u = u.copy()
        for _ in range(steps):
            for i in range(1, n - 1):
                u[i] = 0.5 * (u[i - 1] + u[i + 1])
        return np.sum(u * u)

    agree(seidel, (LINE, 3), 0)


def test_a_place_that_was_changed_before_it_is_spread():
    """The cotangent that is spread is the one before the loop cleared it; a second store to the same place in one iteration."""

    def f(u, steps):
        n = u.shape[0]
        for _ in range(steps):
            v = u.copy()
            for i in range(1, n - 1):
                v[i] = u[i - 1] * u[i + 1]
                v[i] = v[i] * u[i] + u[i + 1]
            u = v
        return np.sum(u * u)

    agree(f, (LINE, 3), 0)


def test_what_is_spread_is_what_stood_there_then():
    """`a` grows after it was spread, in the same iteration."""

    def f(a, w):
        n = a.shape[0]
        a = a.copy()
        out = np.zeros(n + 1)
        for i in range(n):
            out[i] += a[i] * 0.5
            out[i + 1] += a[i] * 0.25
            a[i] += w[i] * w[i]
        return np.sum(out * out) + np.sum(a * a)

    agree(f, (LINE, RNG.random(9)), (0, 1))
    assert adc.jit(f)(LINE, LINE) == pytest.approx(f(LINE, LINE), rel=1e-13)


def test_what_is_spread_does_not_pass_what_changes_it():
    """The same where the value has no name of its own, as the front end gives it one."""
    pool, i, n = Pool(), Sym("i"), size(Sym("n"))
    a, out = Buf("a", np.dtype("f8"), (n,), "temp"), Buf("out", np.dtype("f8"), (n + 1,), "temp")
    here = pool.load(a, a.dims, (size(i),))
    spread = [Store(out, out.dims, (size(i) + k,), here, "sum") for k in (0, 1)]
    grows = Store(a, a.dims, (size(i),), pool.const(1.0, a.dtype), "sum")
    grid = Grid(pool, [Loop(i, n, [*spread, grows])], [*spread, grows], {a, out})
    assert [s.buf for s in grid.in_order()] == [out, out, a]
    elsewhere = Store(Buf("b", a.dtype, (n,), "temp"), (n,), (size(i),), here, "sum")
    grid = Grid(pool, [Loop(i, n, [*spread, elsewhere])], [*spread, elsewhere], {out, elsewhere.buf})
    assert [s.buf for s in grid.in_order()] == [elsewhere.buf, out, out]


def test_the_copy_is_looked_at():
    """`new` is read where it is not set: the copy counts."""

    def f(u, steps):
        n = u.shape[0]
        for _ in range(steps):
            new = u.copy()
            for i in range(1, n - 1):
                new[i] = new[i] + 0.1 * (u[i - 1] + u[i + 1])
            u = new
        return np.sum(u * u)

    def g(u, steps):
        n = u.shape[0]
        for _ in range(steps):
            new = u.copy()
            for i in range(1, n - 1):
                new[i] = 0.3 * (u[i - 1] + u[i + 1])
            u = new * new[0]
        return np.sum(u * u)

    for h in (f, g):
        agree(h, (LINE, 3), 0)


def test_a_step_with_a_branch():
    def f(u, steps):
        n = u.shape[0]
        for _ in range(steps):
            new = u.copy()
            for i in range(1, n - 1):
                if u[i] > 0.5:
                    new[i] = 0.5 * (u[i - 1] + u[i + 1])
                else:
                    new[i] = u[i] * u[i - 1]
            u = new
        return np.sum(u * u)

    agree(f, (LINE, 3), 0)


def test_neighbours_in_a_sum_over_a_series():
    def f(x, w):
        total = 0.0
        for i in range(1, x.shape[0]):
            d = x[i] - x[i - 1]
            total += w * np.sqrt(d * d + 0.01)
        return total

    agree(f, (LINE, 0.7), (0, 1))
    x = RNG.random(200_000)
    value, (gx, gw) = adc.value_and_grad(f, argnums=(0, 1))(x, 0.7)
    d = np.diff(x)
    root = np.sqrt(d * d + 0.01)
    assert value == pytest.approx(0.7 * root.sum(), rel=1e-11) and gw == pytest.approx(root.sum(), rel=1e-11)
    expected = np.zeros_like(x)
    expected[1:] += 0.7 * d / root
    expected[:-1] -= 0.7 * d / root
    np.testing.assert_allclose(gx, expected, rtol=1e-10, atol=1e-12)


def test_the_same_bits_for_any_number_of_threads():
    u = RNG.random((150, 160))
    g = adc.value_and_grad(cubic, argnums=(0, 1))
    threads = adc.get_num_threads()
    try:
        adc.set_num_threads(1)
        value, (du, dk) = g(u, 0.1, 6)
        for n in (2, 3):
            adc.set_num_threads(n)
            v, (x, y) = g(u, 0.1, 6)
            assert (v, y) == (value, dk)
            np.testing.assert_array_equal(x, du)
    finally:
        adc.set_num_threads(threads)


def test_a_sum_that_another_starts_from():
    """Two loops of one step add to the cotangent of `k`: the second starts from what the first has."""

    def f(u, w, k, steps):
        n = u.shape[0]
        u = u.copy()
        v = u.copy()
        for _ in range(steps):
            for i in range(1, n - 1):
                v[i] = 0.15 * k * k
            for i in range(1, n - 1):
                v[i] = (0.3 * u[i + 1] - 0.5 * k) * u[i - 1]
                u[i] = 0.3 * w[i] - 0.5 * w[i]
            u, v = v, u
        return np.sum(u * u) + np.sum(v)

    agree(f, (LINE, RNG.random(9), 0.6, 2), (0, 1, 2))


def test_a_part_that_is_another_one_in_each_step():
    """What a step leaves as it is was written by another: grids that change places hold what is two states old there."""

    def copied(u, steps):
        n = u.shape[0]
        for t in range(steps):
            new = u.copy()
            for i in range(n - 1 - 2 * t):
                new[i] = u[i] * u[i + 1]
            u = new
        return np.sum(u * u)

    def sliced(u, steps):
        n = u.shape[0]
        for t in range(steps):
            new = u.copy()
            m = max(n - 1 - 2 * t, 0)
            new[:m] = u[:m] * u[1 : m + 1]
            u = new
        return np.sum(u * u)

    def taking_turns(u, steps):
        n = u.shape[0]
        u = u.copy()
        v = u.copy()
        for t in range(steps):
            for i in range(max(n - 1 - 2 * t, 0)):
                v[i] = u[i] * u[i + 1]
            u, v = v, u
        return np.sum(u * u)

    for f in (copied, sliced, taking_turns):
        agree(f, (LINE, 3), 0)
        assert adc.jit(f)(LINE, 3) == pytest.approx(f(LINE, 3), rel=1e-12)


def cells(state, w, steps):
    """Layers of cells, as in ADBench's LSTM: all of the state is set in every step."""
    layers = state.shape[0]
    total = 0.0
    state = np.stack((state[:, 0], state[:, 1]), 1)  # two rows for certain
    for _ in range(steps):
        x = 0.3 * w + 0.01 * np.sum(state[0, 0])
        for k in range(layers):
            gate = np.tanh(x * w + state[k, 0])
            memory = state[k, 1] * gate + 0.1
            x = gate * np.tanh(memory)
            state[k, 0] = x
            state[k, 1] = memory
        total += np.sum(x * x)
    return total


def half_of_it(state, w, steps):
    """The second row of each layer stays as it is."""
    state = state.copy()
    total = 0.0
    for _ in range(steps):
        for k in range(state.shape[0]):
            state[k, 0] = np.tanh(state[k, 0] * state[k, 1] * w)
        total += np.sum(state[0, 0] * state[1, 1])
    return total


def looked_at(state, w, steps):
    """The new state is read in the same step."""
    state = state.copy()
    total = 0.0
    for _ in range(steps):
        old = state.copy()
        for k in range(state.shape[0]):
            state[k, 0] = np.tanh(old[k, 0] * old[k, 1] * w)
            state[k, 1] = old[k, 1] * 0.9 * old[0, 0]
        total += np.sum(state[0, 0] * state[1, 1])
    return total


@pytest.mark.parametrize("f", (cells, half_of_it, looked_at))
def test_states_in_layers(f):
    args = RNG.random((2, 2, 5)), RNG.random(5), 3
    agree(f, args, (0, 1))
    agree(f, (*args[:2], 0), (0, 1))
    value, _ = adc.value_and_grad(f)(*args)
    assert value == pytest.approx(f(*args), rel=1e-12)


def limited(h, k, w, steps):
    """The state is changed in place, and what comes after a step needs it as well as the next step does."""
    n = h.shape[0]
    h = h.copy()
    flux = np.zeros(n)
    loss = 0.0
    for t in range(steps):
        for i in range(1, n - 1):
            flux[i] = k[i] * (h[i - 1] - 2.0 * h[i] + h[i + 1]) * h[i]
        for i in range(n):
            h[i] += 0.1 * flux[i]
            if h[i] > 0.8:
                h[i] = 0.8 + 0.5 * (h[i] - 0.8) ** 2
        for i in range(n):
            loss += w[i] * (h[i] - 0.1 * t) ** 2
    return loss


def test_what_a_step_leaves_and_the_next_one_finds_is_saved_once():
    args = RNG.random(9), RNG.random(9), RNG.random(9), 4
    agree(limited, args, (0, 1, 2))
    for steps in (0, 1):
        agree(limited, (*args[:3], steps), (0, 1, 2))
    g = adc.value_and_grad(limited, argnums=(0, 1, 2))
    assert "what a turn leaves and what the next one finds are saved once" in str(g.explain(*args))
    head = re.search(r"^def limited_value_and_grad\((.*)\):", g.kernel_source(*args), re.M)
    assert head is not None and head[1].count("h_saved") == 1, head[1]


def test_a_state_that_is_made_anew_is_made_in_the_tape():
    args = RNG.random((2, 2, 5)), RNG.random(5), 3
    g = adc.value_and_grad(cells)
    assert "each state is computed where it is saved" in str(g.explain(*args))
    forward = g.kernel_source(*args).split("for _ in range(steps_1 - 1")[0]
    assert not re.search(r"state_saved\[.*\] = state_saved\[", forward)  # nor is it copied from one row to the next


# ---------------------------------------------------------------- random steps

TERMS = ("u[i]", "u[i - 1]", "u[i + 1]", "v[i]", "v[i - 1]", "w[i]", "w[i + 1]", "k", "s")
STEPS = ("v[i] = {e}", "u[i] = {e}", "v[i] += {e}", "u[i] += {e}", "s = {e}", "v[i] = {e} * {t}", "total += {e}")


@st.composite
def bodies(draw: Any) -> str:
    """A time loop with one or two loops over a line, and what may stand between."""
    lines = ["def f(u, w, k, steps):", "    n = u.shape[0]", "    u = u.copy()", "    v = u.copy()", "    total = 0.0", "    for t in range(steps):"]
    anew = draw(st.booleans())
    if anew:
        lines.append("        v = u.copy()")
    for _ in range(draw(st.integers(1, 2))):
        lines += [f"        for i in range({draw(st.sampled_from(('1, n - 1', '1, n - 1', '1, n - 1 - t', '1 + t, n - 1', '1, max(n - 1 - 2 * t, 1)')))}):", "            s = 0.5"]
        for _ in range(draw(st.integers(1, 3))):
            a, b = draw(st.sampled_from(TERMS)), draw(st.sampled_from(TERMS))
            e = f"(0.3 * {a} {draw(st.sampled_from('+-*'))} 0.5 * {b})"
            lines.append("            " + draw(st.sampled_from(STEPS)).format(e=e, t=draw(st.sampled_from(TERMS))))
    lines.append("        " + draw(st.sampled_from(("u = v" if anew else "k = 0.9 * k", "u, v = v, u", "v[0] = u[1]", "u[n - 1] = v[n - 2] * k"))))
    lines.append("    return np.sum(u * u) + np.sum(v) + total")
    return "\n".join(["import numpy as np", "", "", *lines]) + "\n"


@given(bodies())
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # a failing text is short, and compiling it again is not
def test_random_steps(source: str) -> None:
    f = programs.load(source)
    args = np.linspace(0.2, 0.9, 7), np.linspace(0.8, 0.3, 7), 0.6, 2
    expected = f(*(np.copy(a) if np.ndim(a) else a for a in args))
    (value, grads), (again, plain) = (adc.value_and_grad(f, argnums=(0, 1, 2), target=t)(*args) for t in ("cpu", "numpy"))
    assert adc.jit(f)(*args) == pytest.approx(expected, rel=1e-11)
    assert value == pytest.approx(expected, rel=1e-11)
    assert again == pytest.approx(expected, rel=1e-11)
    for a, b in zip(grads, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=source)
