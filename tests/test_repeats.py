"""What a loop and its reverse compute alike is computed once: variables, expressions, statements, whole loops; and where it must not be."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adc
from adc.errors import AdcError
from adc.ir.evaluate import evaluate_program
from adc.lower.common import common
from adc.lower.nodes import Apply, Buf, Pool, Program, Store
from adc.testing import check_grads
from adc.transform import vjp
from tests import programs
from tests.frontend_run import staged
from tests.lower_run import compare
from tests.test_meet import agree, parts

RNG = np.random.default_rng(11)


def part(f: Any, args: tuple[Any, ...], argnums: Any) -> str:
    """The one function over examples, without comments."""
    (text,) = parts(adc.value_and_grad(f, argnums=argnums).kernel_source(*args))
    return re.sub(r"^ *#.*\n", "", text, flags=re.M)


def test_an_index_is_looked_up_once() -> None:
    def f(x, seen):
        total = 0.0
        for k in range(len(seen)):
            total += np.sin(x[seen[k]])
        return total

    args = RNG.normal(size=5), RNG.integers(-5, 5, 40)
    text = part(f, args, 0)
    assert text.count("seen[") == 1
    assert text.count(" < 0") == 1
    agree(f, args, (0,))


def test_a_sigmoid_beside_its_slope() -> None:
    def f(w, x, y):
        total = 0.0
        for k in range(len(x)):
            p = 1.0 / (1.0 + np.exp(-(w[0] * x[k] + w[1])))
            total += (p - y[k]) ** 2
        return total

    args = RNG.normal(size=2), RNG.normal(size=30), RNG.random(30)
    assert part(f, args, 0).count("math.exp(") == 1
    agree(f, args, (0,))


def rotated(axis, x):
    square = np.sum(axis * axis)
    if square == 0.0:
        return x + np.cross(axis, x)
    theta = np.sqrt(square)
    w = axis / theta
    return x * np.cos(theta) + np.cross(w, x) * np.sin(theta)


def turns(axes, points, which):
    total = 0.0
    for k in range(len(points)):
        p = rotated(axes[which[k]], points[k])
        total += (p[0] / p[2]) ** 2 + np.sum(p)
    return total


def test_branches_and_small_arrays_are_not_made_again() -> None:
    axes = RNG.normal(size=(4, 3))
    axes[1] = 0.0
    args = axes, RNG.normal(size=(20, 3)) + 3.0, RNG.integers(0, 4, 20)
    text = part(turns, args, (0, 1))
    assert len(re.findall(r"^ +if ", text, re.M)) == 2  # one forwards, one back
    agree(turns, args, (0, 1))


def test_an_iteration_to_convergence_is_made_once() -> None:
    def f(e, M):
        total = 0.0
        for k in range(len(M)):
            E = M[k]
            step = 1.0
            while abs(step) > 1e-12:
                step = (E - e * np.sin(E) - M[k]) / (1.0 - e * np.cos(E))
                E = E - step
            total += np.cos(E)
        return total

    args = 0.3, np.linspace(0.1, 6.0, 9)
    assert part(f, args, (0, 1)).count("while ") == 1
    agree(f, args, (0, 1))
    assert check_grads(f, *args)


def test_what_was_written_between_is_another_value() -> None:
    """`x[j]` before and after `x[j]` changed; a sum before and after it grew."""

    def f(x, w):
        total = 0.0
        for k in range(len(w)):
            y = x[k] * x[k]
            a = np.exp(y * w[k])
            x[k] = a + w[k]
            z = x[k] * x[k]
            b = np.exp(z * w[k])
            total += a * b
        return total + np.sum(x)

    def g(x, w):
        total = 0.0
        for k in range(len(w)):
            s = 0.0
            for j in range(3):
                s += x[k] * w[j]
            first = np.sin(s)
            for j in range(3):
                s += x[k] * w[j]
            total += first * np.sin(s)
        return total

    x, w = 0.1 * RNG.normal(size=6), 0.1 * RNG.normal(size=6)
    for h in (f, g):
        both = [adc.value_and_grad(h, argnums=(0, 1), target=t)(x.copy(), w) for t in ("cpu", "numpy")]
        assert both[0][0] == pytest.approx(h(x.copy(), w), rel=1e-12)
        for a, b in zip(both[0][1], both[1][1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)
        assert check_grads(h, x, w)


def test_what_one_side_of_a_branch_sets_is_not_what_both_have() -> None:
    def f(x):
        total = 0.0
        for k in range(len(x)):
            a = x[k]
            if a > 0.0:
                a = a * 2.0
            b = x[k]
            if b > 0.5:
                b = b * 2.0
            c = x[k]
            if c > 0.0:
                c = c * 3.0
            total += np.sin(a) * b * c
        return total

    x = RNG.normal(size=40)
    agree(f, (x,), (0,))
    assert check_grads(f, x)


STATEMENTS = [
    "a = x[k] * w[0]", "b = np.exp(0.1 * a)", "a = a + b", "b = b * x[k]", "c = np.sin(a * b)", "c = c + np.exp(0.1 * a)", "x[k] = 0.5 * c",
    "w2[0] = w2[0] + 0.1 * a", "a = w2[0] * x[k]", "v[1] = a * b", "c = c + v[1] + v[0]", "v = x[k] * w[0:2]", "if a > b:\n                a = a * x[k]",
    "if a > b:\n                c = np.exp(0.1 * a)\n            else:\n                b = np.exp(0.1 * a)", "for j in range(2):\n                v[j] = v[j] + a * w[j]",
    "s = 0.0\n            for j in range(2):\n                s = s + v[j] * x[k]\n            c = c + s", "i = n[k]\n            c = c + x[i]", "i = n[k] + 1\n            x[i] = 0.5 * a",
]  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.sampled_from(STATEMENTS), min_size=3, max_size=9))
def test_random_bodies(lines: list[str]) -> None:
    """Statements that overwrite each other's variables, elements and arrays, twice and in any order."""
    body = "\n".join(f"            {line}" for line in lines)
    text = f"""import numpy as np

def f(x, w, n):
    x = x.copy()
    w2 = w.copy()
    total = 0.0
    for k in range(len(n)):
            a = x[k]
            b = w[1]
            c = 0.0
            v = np.array([x[k], w[0]])
{body}
            total += c + a * b + v[0] * v[1]
    return total + np.sum(x * w2[0])
"""
    args = 0.3 * RNG.normal(size=7), 0.3 * RNG.normal(size=3), np.array([0, 3, 3, 1])
    s, values = staged(programs.load(text), *args)
    values = [*values, *(c.get() for c in s.captures)]
    try:
        evaluate_program(s.function, values)
    except AdcError:
        return  # an index out of bounds
    wrt = tuple(k for k, p in enumerate(s.function.params) if p.type.is_float)
    compare(vjp(s.function, wrt, True), *values, np.float64(1.0), rtol=1e-9)


def test_a_rounded_variable_is_not_what_it_was_rounded_from() -> None:
    pool, f4, f8 = Pool(), np.dtype("f4"), np.dtype("f8")
    x, y, t = Buf("x", f8, (2,), "param"), Buf("y", f8, (1,), "out"), pool.local("t", f4)
    e = pool.apply("{0} * {1}", tuple(pool.load(x, (2,), (k,)) for k in range(2)), f8, 8)
    last = Store(y, (1,), (0,), pool.apply("{0} - {1}", (pool.load(t, (), ()), e), f8))
    program = Program("f", [Store(t, (), (), e), last], [x], [y], pool)
    common(program)
    assert t in pool.reads(last.value)
    assert isinstance(last.value, Apply) and last.value.args[0] is not last.value.args[1]
