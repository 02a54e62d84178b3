"""Random programs whose parts are nearly alike: the same fragment with another start, factor, array or limit.

Steps that join (sweeps that meet, twins, values of one loop read by the next, repeated arithmetic) must tell such parts apart.
A generator whose parts all differ never asks them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import adc
from tests import programs

Draw = Callable[..., Any]

# a number r{i} out of the vectors x and y, the numbers {A} and {B} and the literal {K}
NUMBERS = {
    "carry": ["r{i} = {A}", "for t in range(n):", "    r{i} = r{i} + {K} * np.sin(r{i} * {B}) * x[t]"],
    "two carries": ["r{i} = {A}", "q{i} = {B}", "for t in range(n):", "    r{i} = r{i} + {K} * q{i} * x[t]", "    q{i} = q{i} * 0.9 + np.tanh(r{i})", "r{i} = r{i} + q{i}"],
    "sum": ["r{i} = 0.0", "for t in range(n):", "    r{i} += np.exp({K} * x[t] * {A}) * y[t] + {B}"],
    "elements": ["u{i} = np.sin(x * {A}) * {K} + y", "r{i} = np.sum(u{i} * u{i} * {B})"],
    "recurrence": ["u{i} = np.zeros(n)", "for t in range(1, n):", "    u{i}[t] = u{i}[t - 1] * {K} + x[t] * {A}", "r{i} = np.sum(u{i} * y) + {B} * u{i}[2]"],
    "in place": ["u{i} = x * {A}", "for t in range(n - 1):", "    u{i}[t + 1] += {K} * u{i}[t] * {B}", "r{i} = np.sum(u{i} * u{i})"],
    "stencil": [
        "u{i} = x * {A}",
        "for _ in range(3):",
        "    w{i} = u{i}.copy()",
        "    w{i}[1:-1] = u{i}[1:-1] + {K} * (u{i}[:-2] - 2.0 * u{i}[1:-1] + u{i}[2:]) * {B}",
        "    u{i} = w{i}",
        "r{i} = np.sum(u{i} * u{i} * y)",
    ],
    "pairs": ["r{i} = 0.0", "for i in range(n):", "    s{i} = {A}", "    for j in range(n):", "        s{i} += x[i] * y[j] * {K}", "    r{i} += s{i} * s{i} * {B}"],
    "carry in a loop": [
        "r{i} = 0.0",
        "for i in range(n):",
        "    s{i} = {A} * y[i]",
        "    for j in range(n):",
        "        s{i} = s{i} + {K} * np.tanh(s{i} * x[j]) * {B}",
        "    r{i} += s{i} * s{i}",
    ],
    "branch": ["r{i} = 0.0", "for t in range(n):", "    if x[t] > {A}:", "        r{i} += x[t] * {B}", "    else:", "        r{i} -= {K} * y[t]"],
    "while": ["r{i} = {A}", "c{i} = 0", "while c{i} < n and r{i} * r{i} < 9.0:", "    r{i} = r{i} * 1.1 + {K} * x[c{i}] * {B}", "    c{i} += 1"],
    "product": ["m{i} = np.outer(x, y) * {A}", "for k in range(2):", "    m{i} = np.tanh(m{i} @ M * {K}) + {B}", "r{i} = np.sum(m{i})"],
    "running maximum": ["r{i} = {A}", "for t in range(n):", "    r{i} = max(r{i}, x[t] * {B}) * {K}"],
    "scatter": ["u{i} = np.zeros(3)", "for t in range(n):", "    u{i}[t % 3] += x[t] * {A} * {K}", "r{i} = np.sum(u{i} ** 2) * {B}"],
}


@st.composite
def numbers(draw: Draw) -> str:
    """Two to four fragments of one or two kinds, whose starts and factors are often the same, and may be each other's results."""
    kinds = draw(st.lists(st.sampled_from(sorted(NUMBERS)), min_size=1, max_size=2, unique=True))
    usual = {"A": draw(st.sampled_from("ab")), "B": draw(st.sampled_from("ab")), "K": draw(st.sampled_from(["0.1", "0.2"]))}
    lines: list[str] = []
    names: list[str] = []
    for i in range(draw(st.integers(2, 4))):
        here = {k: draw(st.sampled_from([v, v, "a", "b", "a * b", "0.5", *names])) for k, v in usual.items() if k != "K"}
        lines += [line.format(i=i, K=usual["K"], **here) for line in NUMBERS[draw(st.sampled_from(kinds))]]
        names.append(f"r{i}")
    result = " + ".join(f"{draw(st.sampled_from(['', '2.0 * ', '0.5 * ']))}np.tanh({r})" for r in names)
    head = ["import numpy as np", "", "", "def f(a, b, x, y, M):", "    n = len(x)"]
    if draw(st.integers(0, 2)):
        return "\n".join([*head, *("    " + line for line in lines), f"    return {result}", ""])
    moving = ["        a = a * 0.9 + 0.1 * x[k9]"] * draw(st.integers(0, 1))
    return "\n".join([*head, "    total = 0.0", "    for k9 in range(3):", *moving, *("        " + line for line in lines), f"        total += {result}", "    return total", ""])


# what may be done to the grid {p} with the grid {q}, a number {c} and a literal {K}
GRIDS = {
    "step": ["w = {p}.copy()", "w[1:-1, 1:-1] = {p}[1:-1, 1:-1] + {K} * ({q}[:-2, 1:-1] + {q}[2:, 1:-1] - 2.0 * {q}[1:-1, 1:-1]) * {c}", "{p} = w"],
    "bent step": ["w = {p}.copy()", "w[1:-1, 1:-1] = np.sin({p}[1:-1, 1:-1]) + {K} * ({q}[1:-1, :-2] + {q}[1:-1, 2:]) * {p}[2:, 1:-1]", "{p} = w"],
    "step in place": ["{p}[1:-1, 1:-1] += {K} * ({q}[:-2, 1:-1] + {q}[1:-1, 2:]) * {c}"],
    "loops": ["w = {p}.copy()", "for i in range(1, n - 1):", "    for j in range(1, m - 1):", "        w[i, j] = {p}[i, j] + {K} * ({q}[i - 1, j] + {q}[i, j + 1] - {c} * {q}[i, j] * {p}[i, j])", "{p} = w"],
    "loops in place": ["for i in range(1, n - 1):", "    for j in range(1, m - 1):", "        {p}[i, j] = 0.4 * {p}[i, j] + {K} * ({q}[i - 1, j] + {p}[i, j - 1] + {q}[i + 1, j] * {c})"],
    "loops over elements": ["for i in range(n):", "    for j in range(m):", "        {p}[i, j] = max({q}[i, j] * {c}, 0.0) + {K} * {p}[i, j]"],
    "border": ["{p}[0, :] = {q}[1, :]", "{p}[-1, :] = {q}[-2, :]", "{p}[:, 0] = {q}[:, 1] * {c}"],
    "swap": ["u, v = v, u"],
    "copy into": ["{p}[...] = {q} * {c}"],
    "elements": ["{p} = np.tanh({q} * {c}) + {K} * {p}"],
    "elements in place": ["{p} -= {K} * np.exp(-{q} ** 2) * {c}"],
    "where": ["{p} = np.where({q} > {c}, {p} * {K}, np.abs({q}))"],
    "roll": ["{p} = 0.7 * {p} + {K} * np.roll({q}, 1, axis=0) * {c}"],
    "ring": ["w = np.empty_like({p})", "for i in range(n):", "    for j in range(m):", "        w[i, j] = 0.5 * {p}[i, j] + {K} * ({q}[(i + 1) % n, j] + {q}[i, (j - 1) % m]) * {c}", "{p} = w"],
    "number": ["s = np.mean({p} * {q})", "{p} = {p} * np.tanh(s + {c})"],
    "rows": ["{p} = {p} - {K} * {q}.mean(axis=1)[:, None]"],
    "view": ["row = {p}[1]", "row *= {K}", "row += {q}[-1] * {c}"],
    "product": ["{p} = np.tanh({K} * ({p} @ M) * {c})"],
    "down": ["for i in range(1, n):", "    {p}[i] = {p}[i] * 0.5 + {K} * {p}[i - 1] * {q}[i]"],
    "across": ["for j in range(1, m):", "    {p}[:, j] = {p}[:, j] * 0.5 + {K} * {p}[:, j - 1] * {q}[:, j]"],
    "mirror": ["{p} = {p} * 0.6 + {K} * {q}[::-1, :] * {c}"],
    "shift": ["{p}[1:] = {p}[1:] + {K} * {q}[:-1] * {c}"],
    "total": ["total = total + {K} * np.sum(np.sin({p}) * {q})"],
    "few": ["h[3] += {p}[1, 2] * {K}", "h[1:4] += {q}[1:4, 1] * {c}"],
    "kept": ["states.append({p})"],
}


def some(draw: Draw, kinds: list[str], depth: int) -> list[str]:
    lines: list[str] = []
    for _ in range(draw(st.integers(2, 4))):
        what = draw(st.integers(0, 9)) if depth else 0
        if what < 7:
            p, q = draw(st.sampled_from(["uv", "vu", "uu"]))
            lines += [x.format(p=p, q=q, K=draw(st.sampled_from(["0.1", "0.2"])), c=draw(st.sampled_from(["a", "a", "b", "0.5"]))) for x in GRIDS[draw(st.sampled_from(kinds))]]
        elif what < 9:
            lines += [f"for _ in range({draw(st.sampled_from(['2', 'T']))}):", *("    " + x for x in some(draw, kinds, depth - 1))]
        else:
            lines += [f"if {draw(st.sampled_from(['a > b', 'T > 2', 'u[1, 1] > v[2, 1]']))}:", *("    " + x for x in some(draw, kinds, depth - 1))]
            lines += ["else:", *("    " + x for x in some(draw, kinds, depth - 1))]
    return lines


@st.composite
def grids(draw: Draw) -> str:
    """Steps in time over two grids, of one to three kinds."""
    kinds = draw(st.lists(st.sampled_from(sorted(GRIDS)), min_size=1, max_size=3, unique=True))
    head = ["import numpy as np", "", "", "def f(a, b, x, y, M, T=3):", "    u = x.copy()", f"    v = {draw(st.sampled_from(['x * b', 'x + b', 'np.zeros_like(x)', 'u.copy()']))}"]
    head += ["    n, m = u.shape", "    total = 0.0", "    h = np.zeros(5)", "    states = []"]
    steps = ["    for t in range(T):", *("        " + x for x in some(draw, kinds, 1)), *(["        a = a * 0.9 + 0.05 * y[t]"] * draw(st.integers(0, 1)))]
    end = "    return np.sum(u * u) + np.sum(v * y[0]) + total + np.sum(h * h) + 0.5 * sum([np.sum(s * s) for s in states])"
    return "\n".join([*head, *steps, *("    " + x for x in some(draw, kinds, 0) * draw(st.integers(0, 1))), end, ""])


TERMS = ["np.sin({})", "np.tanh({})", "np.exp(-({}) ** 2)", "1.0 / (1.0 + ({}) ** 2)", "np.sqrt(1.0 + ({}) ** 2)", "({}) * 0.5", "abs({})", "max({}, 0.1)"]


def term(draw: Draw, names: list[str], depth: int = 2) -> str:
    what = draw(st.integers(0, 4)) if depth else 0
    if what == 0:
        return draw(st.sampled_from(names))
    if what < 3:
        return draw(st.sampled_from(TERMS)).format(term(draw, names, depth - 1))
    return f"({term(draw, names, depth - 1)} {draw(st.sampled_from('+-*'))} {term(draw, names, depth - 1)})"


def turn(draw: Draw, states: list[str], names: list[str], depth: int) -> list[str]:
    """One turn of a loop over steps: temporaries, states that change, branches and inner loops."""
    lines, names = [], list(names)
    for _ in range(draw(st.integers(1, 4))):
        what = draw(st.integers(0, 9 if depth else 7))
        if what < 3:
            name = f"w{sum(n.startswith('w') for n in names)}"
            lines.append(f"{name} = {term(draw, names)}")
            names.append(name)
        elif what < 8:
            s = draw(st.sampled_from(states))
            lines.append(f"{s} = 0.5 * {s} + 0.3 * np.tanh({term(draw, names)})")
        elif what < 9:
            lines += [f"if {draw(st.sampled_from(names))} > {draw(st.sampled_from(['0.0', '0.2', *names]))}:", *("    " + x for x in turn(draw, states, names, depth - 1))]
            if draw(st.booleans()):
                lines += ["else:", *("    " + x for x in turn(draw, states, names, depth - 1))]
        else:
            lines += [f"for _ in range({draw(st.sampled_from(['2', 'len(y) - 4']))}):", *("    " + x for x in turn(draw, states, names, depth - 1))]
    return lines


@st.composite
def paths(draw: Draw) -> str:
    """Paths that go twice, with the same step or nearly the same, from the same start or another."""
    states = ["s", "v", "w"][: draw(st.integers(1, 2))]
    names = [*states, "a", "b", "M[k, t]"]
    step = turn(draw, states, names, 2)
    starts = [draw(st.sampled_from(["a", "b", "0.1", "b * 0.5"])) for _ in states]
    lines = ["import numpy as np", "", "", "def f(a, b, x, y, M):", "    total = 0.0", "    for k in range(M.shape[0]):"]
    for again in range(2):
        if again and draw(st.booleans()):
            starts = [draw(st.sampled_from(["a", "0.1", "y[1]", "M[k, 0] * a", *states])) for _ in states]
        if again and draw(st.booleans()):
            step = turn(draw, states, names, 2)
        lines += [f"        {s} = {e}" for s, e in zip(states, starts, strict=True)]
        lines += ["        for t in range(M.shape[1]):", *("            " + x for x in step), f"        total += {' + '.join(states)} + s * s"]
    return "\n".join([*lines, "    return np.log(1.0 + total * total) + np.sum(x) * a", ""])


def agree(source: str, args: tuple[Any, ...]) -> None:
    """The value of Python, the same gradient from both targets, and the slope along two directions."""
    f = programs.load(source)
    expected = f(*args)
    wrt = (0, 1, 2, 3)
    (value, grads), (again, plain) = (adc.value_and_grad(f, argnums=wrt, target=t)(*args) for t in ("cpu", "numpy"))
    assert [adc.jit(f)(*args), value, again] == pytest.approx([expected] * 3, rel=1e-10)
    for a, b in zip(grads, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9, err_msg=source)
    rng = np.random.default_rng(5)
    for _ in range(2):
        way = [rng.normal(size=np.shape(a)) for a in args[:4]]
        there, back = (f(*(a + h * w for a, w in zip(args[:4], way, strict=True)), *args[4:]) for h in (1e-6, -1e-6))
        slope = sum(float(np.sum(g * w)) for g, w in zip(grads, way, strict=True))
        assert slope == pytest.approx((there - back) / 2e-6, rel=2e-4, abs=2e-5), source


def inputs(*shape: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(11)
    return 0.4, -0.7, 0.5 * rng.normal(size=shape), 0.5 * rng.normal(size=6), 0.3 * rng.normal(size=(6, 6))


given_few = settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))


@given(numbers())
@given_few
def test_numbers(source: str) -> None:
    agree(source, inputs(6))


@given(grids())
@given_few
def test_grids(source: str) -> None:
    agree(source, inputs(6, 6))


@given(paths())
@given_few
def test_paths(source: str) -> None:
    agree(source, inputs(6))
