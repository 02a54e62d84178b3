"""Grids with borders, masks and periodic indices, as people write them: the inside without conditions, the borders apart, and the right derivative."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import adc
from adc.ir import Sym, size
from adc.lower.bounds import CHOICE, Bounds
from adc.lower.nodes import Pool
from adc.testing import check_grads
from tests import programs

RNG = np.random.default_rng(23)


def agree(f: Any, args: tuple[Any, ...], argnums: Any, differences: bool = True) -> None:
    """The value as Python has it, both targets, and differences."""
    expected = f(*(np.copy(a) if np.ndim(a) else a for a in args))
    own = [adc.value_and_grad(f, argnums=argnums, target=t)(*(np.copy(a) if np.ndim(a) else a for a in args)) for t in ("cpu", "numpy")]
    for value, _ in own:
        assert value == pytest.approx(expected, rel=1e-11)
    for a, b in zip(*(x[1] if isinstance(argnums, tuple) else (x[1],) for x in own), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    if differences:
        assert check_grads(f, *args)


# ---------------------------------------------------------------- what is certain in a box


def test_conditions_that_are_decided():
    pool, i, n = Pool(), Sym("i"), size(Sym("n"))
    here = Bounds(pool, {i: (1, n - 2)})
    at = size(i)

    def asks(text: str, a: Any, b: Any) -> bool | None:
        return here.decide(pool.apply(text, (pool.index(a), pool.index(b)), "?"))

    assert asks("{0} < {1}", at + 1, n) is True
    assert asks("{0} < {1}", at + 2, n) is None
    assert asks("{0} == {1}", at, 0) is False
    assert asks("{0} != {1}", at, n - 1) is True
    assert asks("{0} >= {1}", at - 1, 0) is True
    assert asks("{0} > {1}", at * at, 0) is None  # not linear: nothing is said
    wrapped = pool.apply("{0} % {1}", (pool.index(at + 1), pool.index(n)), "i8")
    assert here.fold(wrapped) is pool.index(at + 1)
    assert Bounds(pool, {i: (0, n - 1)}).fold(wrapped) is wrapped
    behind = pool.apply("{0} % {1}", (pool.index(at - 2), pool.index(n)), "i8")
    assert Bounds(pool, {i: (0, 1)}).fold(behind) is behind  # where n is 1, that is another turn
    negative = pool.apply(CHOICE, (pool.apply("{0} < {1}", (pool.index(at - 1), pool.index(0)), "?"), pool.index(at + n - 1), pool.index(at - 1)), "i8")
    assert here.fold(negative) is pool.index(at - 1)


# ---------------------------------------------------------------- grids


def ring(u, a, steps):
    n = u.shape[0]
    v = u.copy()
    w = np.empty(n)
    for _ in range(steps):
        for i in range(n):
            w[i] = v[i] + a * (v[(i + 1) % n] - 2 * v[i] + v[i - 1])
        v, w = w, v
    return np.sum(v * v)


def torus(u, steps):
    n, m = u.shape
    v = u.copy()
    for _ in range(steps):
        w = np.zeros((n, m))
        for i in range(n):
            up = (i - 1) % n
            down = (i + 1) % n
            for j in range(m):
                w[i, j] = np.tanh(0.2 * (v[down, j] + v[up, j] + v[i, (j + 1) % m] + v[i, (j - 1) % m]) + v[i, j])
        v = w
    return np.sum(v * v)


def masked(u, mask, steps):
    n, m = u.shape
    v = u.copy()
    w = u.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                if mask[i, j]:
                    w[i, j] = v[i, j] + 0.2 * (v[i + 1, j] + v[i - 1, j] + v[i, j + 1] + v[i, j - 1] - 4 * v[i, j])
                else:
                    w[i, j] = v[i, j]
        v, w = w, v
    return np.sum(v * v)


def walls(u, steps):
    n, m = u.shape
    v = u.copy()
    w = u.copy()
    for _ in range(steps):
        for i in range(n):
            for j in range(m):
                if i == 0 or j == 0 or i == n - 1 or j == m - 1:
                    w[i, j] = 0.5 * v[i, j]
                else:
                    w[i, j] = v[i, j] + 0.2 * (v[i + 1, j] + v[i - 1, j] + v[i, j + 1] + v[i, j - 1] - 4 * v[i, j])
        v, w = w, v
    return np.sum(v * v)


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


def energy(s, k):
    """A sum over pairs of neighbours on a torus, as spin systems have it."""
    n, m = s.shape
    total = 0.0
    for i in range(n):
        for j in range(m):
            total -= s[i, j] * (s[(i + 1) % n, j] + s[i, (j + 1) % m])
            if i > 0:
                total += k * s[i, j] * s[i - 1, j] ** 2
    return total


def wide(u, steps):
    """Borders that are two cells wide, with other formulas."""
    n = u.shape[0]
    for _ in range(steps):
        v = u.copy()
        for i in range(n):
            if i < 2:
                v[i] = u[i + 1] * u[i]
            elif i >= n - 2:
                v[i] = u[i - 1] - 0.5 * u[i]
            else:
                v[i] = u[i] + 0.1 * (u[i - 2] - 4 * u[i - 1] + 6 * u[i] - 4 * u[i + 1] + u[i + 2])
        u = v
    return np.sum(u * u)


def cube(u, steps):
    n, m, k = u.shape
    for _ in range(steps):
        v = np.zeros((n, m, k))
        for i in range(n):
            for j in range(m):
                for l in range(k):
                    v[i, j, l] = 0.2 * (u[i - 1, j, l] + u[(i + 1) % n, j, l] + u[i, j - 1, l] + u[i, (j + 1) % m, l] * u[i, j, (l + 1) % k])
        u = v
    return np.sum(u * u)


def limited(u, dt, steps):
    """A flux limiter: minmod, with three ways in one cell, on a ring."""
    n = u.shape[0]
    for _ in range(steps):
        slope = np.zeros(n)
        for i in range(n):
            a = u[i] - u[i - 1]
            b = u[(i + 1) % n] - u[i]
            if a * b <= 0:
                slope[i] = 0.0
            elif abs(a) < abs(b):
                slope[i] = a
            else:
                slope[i] = b
        v = np.empty(n)
        for i in range(n):
            left = u[i - 1] + 0.5 * (1 - dt) * slope[i - 1]
            right = u[i] + 0.5 * (1 - dt) * slope[i]
            v[i] = u[i] - dt * (right - left)
        u = v
    return np.sum(u * u * u)


LINE = RNG.random(9) - 0.4
GRID = RNG.random((7, 8))
CASES = {
    "ring": (ring, (LINE, 0.2, 4), (0, 1)),
    "torus": (torus, (GRID, 3), 0),
    "masked": (masked, (GRID, RNG.random((7, 8)) > 0.3, 3), 0),
    "walls": (walls, (GRID, 3), 0),
    "upwind": (upwind, (LINE, 3), 0),
    "energy": (energy, (GRID, 0.3), (0, 1)),
    "wide": (wide, (LINE, 3), 0),
    "cube": (cube, (RNG.random((4, 5, 3)), 3), 0),
    "limited": (limited, (RNG.random(11), 0.3, 3), (0, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    agree(*CASES[name])


@pytest.mark.parametrize("name", ("ring", "torus", "walls", "energy", "cube", "limited"))
@pytest.mark.parametrize("n", (1, 2, 3))
def test_grids_that_are_all_border(name, n):
    f, args, argnums = CASES[name]
    small = tuple(a[tuple(slice(n) for _ in a.shape)].copy() if np.ndim(a) else a for a in args)
    agree(f, small, argnums, differences=False)


def test_a_grid_too_small_for_its_borders():
    for n in (4, 5):
        agree(wide, (LINE[:n].copy(), 2), 0)
    with pytest.raises(IndexError):
        wide(LINE[:1].copy(), 1)
    with pytest.raises((adc.AdcError, IndexError)):
        adc.value_and_grad(wide)(LINE[:1].copy(), 1)


def loops(text: str, header: str) -> list[str]:
    """The bodies of the loops whose first line has `header`."""
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    found = []
    for k, line in enumerate(lines):
        if line.strip().startswith("for ") and header in line:
            depth = len(line) - len(line.lstrip())
            inside = []
            for other in lines[k + 1 :]:
                if len(other) - len(other.lstrip()) <= depth:
                    break
                inside.append(other)
            found.append("\n".join(inside))
    return found


@pytest.mark.parametrize("name", ("ring", "torus", "walls", "masked", "upwind", "energy"))
def test_the_inside_asks_nothing(name):
    f, args, argnums = CASES[name]
    text = adc.value_and_grad(f, argnums=argnums).kernel_source(*args)
    inside = [x for header in ("_n - 2)", "_n1 - 2)", "_n1 - 1)", "turn in") for x in loops(text, header)]
    assert inside
    for body in inside:
        assert " % " not in body and not re.search(r"^ +if ", body, re.M), body
    if name != "energy":
        assert "_pad" in text and not re.search(r"[uvw]_bar_parts", text)


def test_explain_says_it():
    f, args, _ = CASES["torus"]
    assert "what asks for the border is done apart" in str(adc.value_and_grad(f).explain(*args))

    def censored(p, t, died):
        total = 0.0
        for i in range(t.shape[0]):
            if died[i]:
                total += p[0] * t[i]
            else:
                total -= p[1] * t[i]
        return total

    told = str(adc.value_and_grad(censored).explain(RNG.random(2), LINE, LINE > 0))
    assert "both sides are computed, and one is chosen" in told


def test_a_mask_is_a_choice():
    f, args, _ = CASES["masked"]
    text = adc.value_and_grad(f).kernel_source(*args)
    assert not re.search(r"^ +if .*mask.*!= 0:", text, re.M)
    assert re.search(r"if \w+ else 0\.0", text)


def test_branches_that_must_stay():
    """A read that only the condition makes safe, an integer division that it guards, and two places of one array."""

    def guarded(u, at, steps):
        n = u.shape[0]
        for _ in range(steps):
            v = u.copy()
            for i in range(1, n - 1):
                if at[i] < n:
                    v[i] = u[at[i]] + u[i - 1]
                else:
                    v[i] = u[i] * u[i + 1]
            u = v
        return np.sum(u * u)

    def divided(u, by, steps):
        n = u.shape[0]
        for _ in range(steps):
            v = u.copy()
            for i in range(1, n - 1):
                if by[i] != 0:
                    v[i] = u[i] * (7 // by[i]) + u[i - 1]
                else:
                    v[i] = u[i + 1]
            u = v
        return np.sum(u * u)

    def two_places(u, steps):
        n = u.shape[0]
        for _ in range(steps):
            v = u.copy()
            for i in range(2, n - 1):
                if u[i] > 0:
                    v[i] = u[i - 1] * u[i]
                else:
                    v[i - 1] = u[i + 1]
            u = v
        return np.sum(u * u)

    at = np.array([3, 99, 2, 1, 0, 99, 5, 2, 7])
    agree(guarded, (LINE, at, 2), 0)
    agree(divided, (LINE, np.array([1, 0, 2, 3, 0, 0, 5, 1, 1]), 2), 0)
    agree(two_places, (LINE, 2), 0)


def test_iterations_with_an_order_keep_it():
    """A prefix sum with a border, and Gauss–Seidel on a ring: each looks at what the one before has set."""

    def prefix(u):
        n = u.shape[0]
        s = np.zeros(n)
        for i in range(n):
            if i == 0:
                s[i] = u[i]
            else:
                s[i] = s[i - 1] * 0.9 + u[i] * u[i]
        return np.sum(s * s)

    def seidel(u, steps):
        n = u.shape[0]
        u = u.copy()
        for _ in range(steps):
            for i in range(n):
                u[i] = 0.5 * (u[i - 1] + u[(i + 1) % n])
        return np.sum(u * u)

    agree(prefix, (LINE,), 0)
    agree(seidel, (LINE, 3), 0)


def test_a_variable_that_lives_after_the_branch():
    def f(u, w, steps):
        n = u.shape[0]
        for _ in range(steps):
            v = np.zeros(n)
            for i in range(n):
                flux = 0.3 * u[i]
                if w[i] > 0.0:
                    flux = u[i] - u[i - 1]
                    scale = 2.0
                elif w[i] < -0.2:
                    scale = u[i]
                else:
                    flux += w[i]
                    scale = 1.0
                v[i] = u[i] + 0.1 * flux * scale
            u = v
        return np.sum(u * u)

    agree(f, (RNG.random(9), LINE, 3), (0, 1))


def test_the_same_bits_for_any_number_of_threads():
    u, mask = RNG.random((150, 160)), RNG.random((150, 160)) > 0.2
    for f, args in ((masked, (u, mask, 4)), (torus, (u, 3)), (walls, (u, 3))):
        g = adc.value_and_grad(f)
        threads = adc.get_num_threads()
        try:
            adc.set_num_threads(1)
            value, du = g(*args)
            for n in (2, 3):
                adc.set_num_threads(n)
                v, x = g(*args)
                assert v == value
                np.testing.assert_array_equal(x, du)
        finally:
            adc.set_num_threads(threads)


# ---------------------------------------------------------------- np.roll


def rolled(f, g, steps):
    for _ in range(steps):
        lap = np.roll(f, 1, 0) + np.roll(f, -1, 0) + np.roll(f, 1, 1) + np.roll(f, -2, 1) - 4 * f
        f = f + 0.1 * lap - f * g * g * 0.1
        g = g + 0.05 * (np.roll(g, 1, 0) + np.roll(g, (1, -1), (0, 1)) - 4 * g) + 0.1 * f * g * g
    return np.sum(f * g)


def advected(u, c, steps):
    for _ in range(steps):
        u = u - c * (u - np.roll(u, 1)) * u + 0.1 * np.roll(u, -3)
    return np.sum(u * u)


@pytest.mark.parametrize("n", (1, 2, 3, 4, 7))
def test_rolled_arrays(n):
    agree(rolled, (RNG.random((n, 4)), RNG.random((n, 4)), 2), (0, 1), differences=n == 4)
    agree(rolled, (RNG.random((4, n)), RNG.random((4, n)), 2), (0, 1), differences=False)
    agree(advected, (RNG.random(n), 0.3, 3), (0, 1), differences=n == 7)


def test_rolled_arrays_are_not_built():
    text = adc.value_and_grad(rolled, argnums=(0, 1)).kernel_source(RNG.random((6, 5)), RNG.random((6, 5)), 2)
    assert "concatenate" not in text and " += " not in text.replace("sum_1 += ", "").replace("u_bar", "")
    for body in loops(text, "_n1 - 3)"):
        assert " % f_n1" not in body
    assert "np.roll(" in adc.value_and_grad(rolled).source(RNG.random((6, 5)), RNG.random((6, 5)), 2)


def test_rolls_of_examples():
    """One ring for each example, and another number of turns for the whole."""

    def f(x, w):
        return np.sum(w * np.roll(x, 1) * np.roll(x, -2)) + np.sum(np.roll(w, 9) * w)

    X, w = RNG.random((5, 6)), RNG.random(6)
    agree(lambda X, w: np.sum(adc.vmap(f, in_axes=(0, None))(X, w)), (X, w), (0, 1))


# ---------------------------------------------------------------- random steps

TERMS = ("u[i]", "u[(i + 1) % n]", "u[i - 1]", "u[(i - 1) % n]", "u[(i + 2) % n]", "v[i]", "w[i]", "w[i - 1]", "k", "s")
CONDITIONS = ("m[i]", "u[i] > 0.45", "i == 0", "i < 2", "i > 0", "i == n - 1", "i >= n - 2", "i == 0 or i == n - 1", "i > 0 and m[i]", "w[i] < u[i]", "i == 3")
STEPS = ("v[i] = {e}", "v[i] = {e}", "u[i] = {e}", "v[i] += {e}", "s = {e}", "v[i] = {e} * {t}", "total += {e}", "out[(i + 1) % n] += {e}")


@st.composite
def bodies(draw: Any) -> str:
    """A time loop with one or two loops over a ring, and branches in them."""
    lines = ["def f(u, w, m, k, steps):", "    n = u.shape[0]", "    u = u.copy()", "    v = u.copy()", "    out = np.zeros(n)", "    total = 0.0", "    for _ in range(steps):"]
    anew = draw(st.sampled_from(("v = u.copy()", "v = np.zeros(n)", "")))
    if anew:
        lines.append("        " + anew)

    def step() -> str:
        a, b = draw(st.sampled_from(TERMS)), draw(st.sampled_from(TERMS))
        e = f"(0.3 * {a} {draw(st.sampled_from('+-*'))} 0.5 * {b})"
        return draw(st.sampled_from(STEPS)).format(e=e, t=draw(st.sampled_from(TERMS)))

    for _ in range(draw(st.integers(1, 2))):
        lines += [f"        for i in range({draw(st.sampled_from(('n', 'n', '1, n - 1', 'n - 1', '1, n')))}):", "            s = 0.5"]
        for _ in range(draw(st.integers(1, 2))):
            if draw(st.integers(0, 2)):
                lines += [f"            if {draw(st.sampled_from(CONDITIONS))}:", "                " + step()]
                if draw(st.booleans()):
                    lines.append("                " + step())
                if draw(st.booleans()):
                    lines += [f"            elif {draw(st.sampled_from(CONDITIONS))}:", "                " + step()]
                if draw(st.booleans()):
                    lines += ["            else:", "                " + step()]
            else:
                lines.append("            " + step())
    lines.append("        " + draw(st.sampled_from(("u = v" if anew else "k = 0.9 * k", "u, v = v, u", "v[0] = u[-1]", "u = 0.5 * out + u"))))
    lines.append("    return np.sum(u * u) + np.sum(v) + total + np.sum(out * out)")
    return "\n".join(["import numpy as np", "", "", *lines]) + "\n"


def check_step(source: str, n: int) -> None:
    f = programs.load(source)
    args = np.linspace(0.2, 0.9, n), np.linspace(0.8, 0.3, n), np.arange(n) % 3 != 1, 0.6, 2
    expected = f(*(np.copy(a) if np.ndim(a) else a for a in args))
    (value, grads), (again, plain) = (adc.value_and_grad(f, argnums=(0, 1, 3), target=t)(*args) for t in ("cpu", "numpy"))
    assert value == pytest.approx(expected, rel=1e-11), source
    assert again == pytest.approx(expected, rel=1e-11), source
    for a, b in zip(grads, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=source)


@given(bodies(), st.sampled_from((2, 3, 4, 7, 8)))
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # a failing text is short, and compiling it again is not
def test_random_steps(source: str, n: int) -> None:
    check_step(source, n)
