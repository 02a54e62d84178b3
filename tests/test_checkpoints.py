"""Loops under `tape_limit`: the same gradients as without one, in the memory that was asked for (docs/design/checkpoints.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import adc
from adc.transform.checkpoints import DEEPEST, Tape, least, scheme, shares
from tests.helpers import TARGETS


def heat(u, k, steps):
    """A nonlinear step on a plate: the conductivity depends on the temperature."""
    for _ in range(steps):
        new = u.copy()
        lap = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * u[1:-1, 1:-1]
        new[1:-1, 1:-1] = u[1:-1, 1:-1] + k * lap / (1.0 + u[1:-1, 1:-1] ** 2)
        u = new
    return np.sum(u * u)


def lorenz(state, p, h, steps):
    """Runge and Kutta's method with parameters; a sum along the way."""
    def slope(s):
        return np.array([p[0] * (s[1] - s[0]), s[0] * (p[1] - s[2]) - s[1], s[0] * s[1] - p[2] * s[2]])

    total = 0.0
    for _ in range(steps):
        k1 = slope(state)
        k2 = slope(state + 0.5 * h * k1)
        k3 = slope(state + 0.5 * h * k2)
        k4 = slope(state + h * k3)
        state = state + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        total += state[0] * state[2]
    return total


def gates(W, U, b, xs, h, c):
    """A recurrence with two states, data read at every step, and results that are collected."""
    n = h.shape[0]
    out = np.zeros(len(xs))
    for t in range(len(xs)):
        z = W @ xs[t] + U @ h + b
        forget, enter = 1.0 / (1.0 + np.exp(-z[:n])), np.tanh(z[n:])
        c = forget * c + (1.0 - forget) * enter
        h = np.tanh(c)
        out[t] = np.sum(h)
    return np.sum(out**2) + np.sum(h)


def swapped(u, v, a, steps):
    """Two buffers that change places, written in part."""
    u, v = u.copy(), v.copy()
    for t in range(steps):
        v[1:-1] = u[1:-1] * (1.0 + a * (u[2:] - u[:-2])) + 0.1 * np.sin(v[1:-1] + t)
        u, v = v, u
    return np.sum(u * v)


def in_place(x, a, steps):
    """Sweeps over one array that is changed where it stands."""
    x = x.copy()
    n = len(x)
    for t in range(steps):
        for i in range(1, n):
            x[i] += a * np.sin(x[i - 1] * x[i]) / (1.0 + t)
        x[0] = np.cos(x[n - 1]) * x[0]
    return np.sum(x**2)


def nested(x, a, steps):
    """A time loop in a time loop."""
    for t in range(steps):
        y = x
        for _ in range(3):
            y = np.sin(a * y + 0.1 * t)
        x = 0.9 * x + 0.1 * y * x
    return np.sum(x**2)


def downwards(x, a, steps):
    """A range that falls, an integer that is handed on, a branch, a maximum."""
    k, top = 1, 0.0
    for i in range(steps - 1, -1, -1):
        k = (3 * k + i) % 7
        if k > 3:
            x = x * np.cos(a * k + i)
        else:
            x = x + np.sin(a * x)
        top = max(top, x[0])
    return np.sum(x**2) + top


def until(x, a, steps):
    """A loop that ends early, and one of which nobody knows when it ends."""
    for t in range(steps):
        x = x + 0.1 * np.sin(a * x + t)
        if x[0] > 2.0:
            break
    while np.sum(x) < 30.0:
        x = 1.04 * x + 0.01 * np.cos(a * x) + 0.01
    return np.sum(x**2)


def rows(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape)


CASES = {
    "heat": (heat, (rows(0, (5, 6)), 0.1), (0, 1), 240),
    "lorenz": (lorenz, (rows(1, 3), np.array([10.0, 28.0, 2.6]), 0.004), (0, 1, 2), 104),
    "swapped": (swapped, (rows(2, 7), rows(3, 7), 0.2), (0, 1, 2), 112),
    "in_place": (in_place, (rows(4, 5), 0.3), (0, 1), 40),
    "nested": (nested, (rows(5, 4), 0.7), (0, 1), 32),
    "downwards": (downwards, (rows(6, 3), 0.4), (0, 1), 32),
    "until": (until, (np.abs(rows(7, 4)), 0.4), (0, 1), 80),
}
"""A function, its arguments before the count, argnums, and about the bytes that an iteration saves."""
COUNTS = (0, 1, 2, 3, 7, 13, 24, 29)


def compare(got: Any, want: Any, exact: bool) -> None:
    for a, b in zip(got, want, strict=True):
        assert np.shape(a) == np.shape(b)
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def cuts(derivative: Any, *args: Any) -> list[Any]:
    """How the loops of a derivative are cut."""
    return [loop.cut for loop in derivative.explain(*args).loops if loop.cut is not None]


@pytest.mark.parametrize("name", CASES)
def test_the_readable_source_gives_the_same_bits(name: str) -> None:
    f, args, argnums, step = CASES[name]
    plain = adc.grad(f, argnums=argnums, target="numpy")
    for iterations in (14, 40):
        limited = adc.grad(f, argnums=argnums, target="numpy", tape_limit=iterations * step)
        done = 0
        for n in COUNTS:
            try:
                got = limited(*args, n)
            except adc.TapeError:
                continue
            compare(got, plain(*args, n), exact=True)
            done += 1
        assert done >= 5 and cuts(limited, *args, 7)


@pytest.mark.parametrize("name", ("heat", "in_place", "until", "downwards"))
def test_native_code(name: str) -> None:
    f, args, argnums, step = CASES[name]
    plain = adc.grad(f, argnums=argnums, target="numpy")
    limited = adc.grad(f, argnums=argnums, target="cpu", tape_limit=24 * step)
    for n in COUNTS:
        compare(limited(*args, n), plain(*args, n), exact=False)


@pytest.mark.parametrize("target", TARGETS)
def test_recurrence_with_data(target: str) -> None:
    """The cells of a recurrent net: weights get sums, data are read at every step, each step leaves a result."""
    n, d = 3, 2
    for length in (2, 11):
        args = (rows(0, (2 * n, d)), rows(1, (2 * n, n)), rows(2, 2 * n), rows(3, (length, d)), rows(4, n), rows(5, n))
        every = tuple(range(6))
        value, got = adc.value_and_grad(gates, argnums=every, target=target, tape_limit=2000)(*args)
        want_value, want = adc.value_and_grad(gates, argnums=every, target="numpy")(*args)
        compare(got, want, exact=False)
        np.testing.assert_allclose(value, want_value, rtol=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 60), st.sampled_from([500, 777, 1000, 2000]))
def test_any_length_under_any_limit(n: int, limit: int) -> None:
    f, args, argnums, _ = CASES["nested"]
    got = adc.grad(f, argnums=argnums, target="numpy", tape_limit=limit)(*args, n)
    compare(got, adc.grad(f, argnums=argnums, target="numpy")(*args, n), exact=True)


# ---------------------------------------------------------------- with other transformations


def chain(x, a, steps):
    for t in range(steps):
        x = x + 0.1 * np.sin(a * x * x + t)
    return np.sum(x**2)


X, V = np.array([0.3, -0.8, 1.1]), np.array([1.0, 0.5, -2.0])


def test_second_derivatives() -> None:
    plain = adc.hessian(chain, target="numpy")(X, 0.7, 13)
    np.testing.assert_allclose(adc.hessian(chain, target="numpy", tape_limit=250)(X, 0.7, 13), plain, rtol=1e-10)
    product = adc.hvp(chain, target="numpy", tape_limit=250)(X, 0.7, 13, V)
    np.testing.assert_allclose(product, plain @ V, rtol=1e-10)
    twice = adc.grad(lambda x: np.sum(adc.grad(chain, tape_limit=250)(x, 0.7, 13) * V), target="numpy")
    np.testing.assert_allclose(twice(X), plain @ V, rtol=1e-10)
    twice = adc.grad(lambda x: np.sum(adc.grad(chain, tape_limit=250)(x, 0.7, 13) * V), target="numpy", tape_limit=2000)
    np.testing.assert_allclose(twice(X), plain @ V, rtol=1e-10)


@pytest.mark.parametrize("target", TARGETS)
def test_batches(target: str) -> None:
    batch = rows(0, (4, 3))
    g = adc.vmap(adc.grad(chain, tape_limit=300), in_axes=(0, None, None), target=target)(batch, 0.7, 13)
    np.testing.assert_allclose(g, [adc.grad(chain, target="numpy")(x, 0.7, 13) for x in batch], rtol=1e-10)

    def total(xs, a):
        s = 0.0
        for x in xs:
            s += chain(x, a, 13)
        return s

    g = adc.grad(total, argnums=(0, 1), target=target, tape_limit=300)(batch, 0.7)
    compare(g, adc.grad(total, argnums=(0, 1), target="numpy")(batch, 0.7), exact=False)


def test_pullbacks_and_jacobians() -> None:
    def end(x, a):
        for t in range(13):
            x = x + 0.1 * np.sin(a * x * x + t)
        return x

    want = adc.jacrev(end, target="numpy")(X, 0.7)
    np.testing.assert_allclose(adc.jacrev(end, target="numpy", tape_limit=250)(X, 0.7), want, rtol=1e-12)
    _, pullback = adc.vjp(end, X, 0.7, target="numpy", tape_limit=250)
    np.testing.assert_allclose(pullback(V)[0], V @ want, rtol=1e-12)


def test_within_branches_checkpoints_and_rules() -> None:
    @adc.checkpoint
    def half(x, a):
        for t in range(14):
            x = x + 0.1 * np.sin(a * x * x + t)
        return x

    def f(x, a, n):
        if a > 0.5:
            for t in range(n):
                x = x * np.cos(a * x + t)
        else:
            x = half(x, a)
        return np.sum(half(x, a) ** 2)

    @adc.custom_vjp
    def clipped(x):
        return 1.0 * x

    clipped.defvjp(lambda x: (1.0 * x, np.sin(x)), lambda sines, bar: (bar * sines,))

    def ruled(x, a, n):
        for t in range(n):
            x = clipped(x) * np.cos(a * x + t)
        return np.sum(x)

    want = adc.grad(ruled, argnums=(0, 1), target="numpy")(X, 0.7, 20)
    compare(adc.grad(ruled, argnums=(0, 1), target="numpy", tape_limit=600)(X, 0.7, 20), want, exact=True)
    for a in (0.7, 0.3):
        got = adc.grad(f, argnums=(0, 1), target="numpy", tape_limit=900)(X, a, 9)
        compare(got, adc.grad(f, argnums=(0, 1), target="numpy")(X, a, 9), exact=True)


# ---------------------------------------------------------------- memory


def scratch(derivative: Any, *args: Any) -> int:
    """The bytes that a kernel works in, for the sizes of these arguments."""
    from adc.cli.rates import _memory

    derivative(*args)
    return _memory(derivative, args)["scratch"]


def test_the_memory_is_what_was_asked_for() -> None:
    u, state = rows(0, (30, 40)), 30 * 40 * 8
    limit = 12 * state
    g = adc.grad(heat, argnums=(0, 1), tape_limit=limit)
    work = 4 * state + 4096  # without any tape there are some arrays to work in
    assert scratch(g, u, 0.1, 60) <= limit + work
    assert scratch(adc.grad(heat, argnums=(0, 1)), u, 0.1, 60) > 60 * state
    with pytest.raises(adc.TapeError):
        g(u, 0.1, 4 * 4 * 4 + 1)
    assert scratch(g, u, 0.1, 64) <= limit + work


def test_memory_of_a_loop_of_unknown_length() -> None:
    limit = 9000
    g = adc.grad(until, argnums=(0, 1), tape_limit=limit)
    for steps in (3, 50):
        assert scratch(g, np.full(4, 0.001), 0.4, steps) <= limit + 5000


# ---------------------------------------------------------------- what is said


def test_explain_says_how_the_loop_is_cut() -> None:
    args = (rows(0, (5, 6)), 0.1)
    g = adc.grad(heat, argnums=(0, 1), target="numpy", tape_limit=12 * 240)
    text = str(g.explain(*args, 7))
    assert "checkpointed under 2,880 bytes" in text and "segments = 2 are kept" in text and "at most twice" in text
    text = str(g.explain(*args, 60))
    assert "segments = 4 are kept, and of a segment stride // span = 4" in text and "at most three times" in text
    found = g.explain(*args, 60)
    assert found.bytes.number <= 2880 and found.ratio > adc.grad(heat, argnums=(0, 1), target="numpy").explain(*args, 60).ratio
    assert found.as_dict()["loops"][0]["checkpoints"]["runs"] == 3


def test_what_fits_is_left_alone() -> None:
    def f(x, n):
        for t in range(len(x)):
            x = np.sin(x * x[::-1] + t)
        for _ in range(n):
            x = 2.0 * x + 1.0
        return np.sum(x)

    def fixed(x):
        for t in range(9):
            x = x + np.sin(x[:3] * t)
        return np.sum(x)

    x = np.ones(3)
    limited = adc.grad(f, target="numpy", tape_limit=10_000)
    limited(x, 5)
    assert len(cuts(limited, x, 5)) == 1, "sizes are not known when compiling; the second loop saves nothing"
    few = adc.grad(lambda s: np.sin(s) + fixed(np.array([s, 1.0, 2.0])), target="numpy", tape_limit=10_000)
    few(0.3)
    assert not cuts(few, 0.3), "all sizes are known, and it fits"


def test_too_small_a_limit() -> None:
    def known(s):
        x = np.array([s, 1.0])
        for t in range(100):
            x = x + np.sin(x * t)
        return np.sum(x)

    with pytest.raises(adc.TapeError) as e:
        adc.grad(known, target="numpy", tape_limit=64)(0.3)
    text = str(e.value)
    assert "test_checkpoints.py" in text and "for t in range(100)" in text and "^^^" in text and "instead: raise tape_limit" in text
    need = int(text.split("need at least ")[1].split(" ")[0].replace(",", ""))
    want = adc.grad(known, target="numpy")(0.3)
    assert adc.grad(known, target="numpy", tape_limit=need)(0.3) == want
    with pytest.raises(adc.TapeError):
        adc.grad(known, target="numpy", tape_limit=need - 1)(0.3)
    for target in TARGETS:  # found by the run: nothing is known before
        with pytest.raises(adc.TapeError, match="chain|for t in range"):
            adc.grad(chain, target=target, tape_limit=300)(X, 0.7, 5000)
    with pytest.raises(adc.TapeError, match="only a run knows"):
        adc.grad(until, target="numpy", tape_limit=400)(np.full(4, 0.001), 0.4, 5)


@pytest.mark.parametrize("limit", (0, -5, True, 2.5, "64 MX", "many", [1]))
def test_a_limit_that_is_none(limit: Any) -> None:
    with pytest.raises(adc.AdcError, match="tape_limit"):
        adc.grad(chain, tape_limit=limit)


def test_units_and_programs_of_their_own() -> None:
    a, b = adc.grad(chain, tape_limit="0.5 kB"), adc.grad(chain, tape_limit=500)
    assert a.key() == b.key() != adc.grad(chain).key()
    assert adc.grad(chain, tape_limit="1.5 KiB").options["tape_limit"] == 1536
    assert adc.grad(tape_limit="2MB")(chain).options["tape_limit"] == 2_000_000


# ---------------------------------------------------------------- files and the command

MODEL = """
import numpy as np

def chain(x, a, steps):
    for t in range(steps):
        x = x + 0.1 * np.sin(a * x[::-1] * x + t)
        if x[0] > 50.0:
            break
    return np.sum(x**2)
"""


def test_libraries_and_the_command(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from adc.cli.commands import adc as command

    (tmp_path / "chained.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def say(*words: str) -> Any:
        return CliRunner().invoke(command, [*words[:1], "chained:chain", "--sig", "f8[n], float, int", *words[1:]])

    shown = say("show", "--tape-limit", "700", "--stage", "explain")
    assert shown.exit_code == 0 and "checkpointed under 700 bytes" in shown.output
    assert "no reverse sweep" in say("show", "--transform", "jit", "--tape-limit", "700").output
    assert "no reverse sweep" in say("build", "--transform", "jvp", "--tape-limit", "700").output
    assert "give a number of bytes above 0" in say("show", "--tape-limit", "7x").output
    made = say("build", "--tape-limit", "700 B", "--name", "chain_g", "--out", str(tmp_path / "build"))
    assert made.exit_code == 0, made.output
    library = adc.load(tmp_path / "build" / "chained")
    from chained import chain as written  # type: ignore[import-not-found]

    for n in (0, 1, 20, 47):
        np.testing.assert_allclose(library.chain_g(X, 0.7, n), adc.grad(written, target="numpy")(X, 0.7, n), rtol=1e-10)
    with pytest.raises(adc.TapeError):
        library.chain_g(X, 0.7, 10**5)


# ---------------------------------------------------------------- the arithmetic


@given(st.integers(1, 10**6), st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 10**6), st.integers(1, DEEPEST))
def test_schemes_keep_their_word(count: int, step: int, state: int, limit: int, levels: int) -> None:
    cut = scheme(count, step, state, limit, levels)
    if not cut.fits():
        return
    assert cut.bytes <= limit
    length = count
    for level in range(levels):
        piece = cut.stride(length) if level < levels - 1 else cut.span
        parts = math.ceil(length / piece)
        assert parts <= cut.cap and (level or parts <= cut.segments) and (not level or parts <= cut.parts)
        length = piece
    assert length == cut.span


def test_least() -> None:
    assert least(1000, 1, 1) <= 4 * 6, "the fourth root of a thousand is below six"
    for count, step, state in ((100, 16, 16), (7, 800, 8), (1000, 8, 8000)):
        need = least(count, step, state)
        assert any(scheme(count, step, state, need, k).fits() for k in range(1, DEEPEST + 1))


def sweeps(x, a, steps):
    """Each step has a loop of its own, which is run again with a tape of its own."""
    for t in range(steps):
        y = x
        for _ in range(40):
            y = np.sin(a * y[::-1] + 0.1 * t)
        x = 0.9 * x + 0.1 * y
    return np.sum(x**2)


def once(x, a, steps):
    """Only the inner loop saves anything."""
    total = 0.0
    for t in range(steps):
        y = x
        for _ in range(90):
            y = y + 0.1 * np.sin(a * y[::-1])
        total = 0.5 * total + np.sum(y) * t
    return total


def test_what_inner_loops_keep_counts_too() -> None:
    x = rows(0, 5)
    for f, limit in ((sweeps, 2500), (once, 800)):
        g = adc.grad(f, argnums=(0, 1), target="numpy", tape_limit=limit)
        compare(g(x, 0.7, 9), adc.grad(f, argnums=(0, 1), target="numpy")(x, 0.7, 9), exact=True)
        assert cuts(g, x, 0.7, 9) and scratch(adc.grad(f, argnums=(0, 1), tape_limit=limit), x, 0.7, 9) <= limit + 1200
    with pytest.raises(adc.TapeError):
        adc.grad(sweeps, target="numpy", tape_limit=1600)(x, 0.7, 9)


def test_shares() -> None:
    a, b, c = (Tape(object(), n) for n in (10, 500, None))  # type: ignore[arg-type]
    assert shares([a, b], 600) == {}
    assert shares([a, b], 300) == {b.stmt: 290}
    assert shares([a, b, c], 300) == {b.stmt: 145, c.stmt: 145}
