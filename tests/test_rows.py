"""Where rows begin has a name: only where it saves something, only while it is true."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import adc
from adc.ir import Sym, size
from adc.lower.nodes import Buf, Loop, Pool, Program, Store
from adc.lower.rows import Place, name_rows
from adc.lower.text import source_text
from tests.test_meet import agree

RNG = np.random.default_rng(5)
N, M = Sym("n"), Sym("m")
F8 = np.dtype("f8")


def text_of(fun: Any, *args: Any) -> str:
    text = adc.jit(fun).kernel_source(*args)
    return re.sub(r"^ *#.*\n", "", text, flags=re.M)


def test_operations_are_those_of_the_text():
    i, j = Sym("i"), Sym("j")
    b, square = Buf("x", F8, (size(1000),), "param"), Buf("y", F8, (size(N), size(M)), "param")
    for value, count in ((size(i), 0), (size(i) * M + j, 2), (size(i) * -2, 1), (7, 0), (size(i) + 7, 1)):
        assert Place(b, b.dims, (0,)).operations((value,)) == count
    assert Place(square, square.dims, (0, 0)).operations((size(i), 0)) == 1
    assert Place(square, square.dims, (0, 0)).operations((size(i) + j, size(j))) == 3


# ---------------------------------------------------------------- what gets a name


def loops(statements: Any) -> str:
    """The text of `for i: for j: …` over x and y of n × m."""
    pool = Pool()
    x, y = Buf("x", F8, (size(N), size(M)), "param"), Buf("y", F8, (size(N), size(M)), "out")
    i, j = Sym("i"), Sym("j")
    program = Program("kernel", [], [x], [y], pool)
    program.body.append(Loop(i, size(N), [Loop(j, size(M), statements(pool, x, y, i, j))]))
    name_rows(program)
    return source_text(program, (N, M), [], ())[0]


def stored(pool: Pool, to: Buf, at: tuple[Any, ...], *loads: tuple[Buf, tuple[Any, ...]]) -> Store:
    values = tuple(pool.load(b, b.dims, tuple(size(c) for c in where)) for b, where in loads)
    value = values[0]
    for v in values[1:]:
        value = pool.apply("{0} + {1}", (value, v), F8)
    return Store(to, to.dims, tuple(size(c) for c in at), value)


def test_a_row_of_two_arrays():
    text = loops(lambda p, x, y, i, j: [stored(p, y, (i, j), (x, (i, j)), (x, (i, size(j) + 1)))])
    assert text.splitlines()[1:5] == [
        "    for i in range(n):",
        "        base = i * m",
        "        for j in range(m):",
        "            y[base + j] = x[base + j] + x[base + j + 1]",
    ]


def test_neighbours_count_from_one_row_which_has_the_name_of_its_array():
    text = loops(lambda p, x, y, i, j: [stored(p, y, (j, i), (x, (i, j)), (x, (size(i) + 1, j)), (x, (size(i) - 1, size(j) + 2)))])
    assert "        x_row = i * m\n" in text
    assert "y[j * m + i] = x[x_row + j] + x[x_row + m + j] + x[x_row - m + j + 2]" in text


def test_what_stands_once_has_no_name():
    text = loops(lambda p, x, y, i, j: [stored(p, y, (i, j), (x, (j, i)))])
    assert text.splitlines()[2:4] == ["        for j in range(m):", "            y[i * m + j] = x[j * m + i]"]


def test_a_position_that_the_loop_itself_changes_is_not_fixed():
    """`k` is set again in the body of the loop that uses it."""

    def f(x, y):
        k = 0
        total = 0.0
        for i in range(y.shape[0]):
            total += y[i] * x[k, 0] * x[k, 1] * x[k, 2]
            k = (3 * k + 1) % x.shape[0]
        return total

    x, y = RNG.normal(size=(5, 3)), RNG.normal(size=11)
    assert adc.jit(f)(x, y) == pytest.approx(f(x, y), rel=1e-13)
    agree(f, (x, y), (0, 1))


def test_places_under_a_branch_and_in_a_while():
    def f(x, y):
        total = 0.0
        i = 0
        while i < x.shape[0]:
            if y[i] > 0.0:
                row = i * 2 - i
                for j in range(x.shape[1] - 1):
                    total += x[row, j] * x[row, j + 1] * y[row]
            else:
                for j in range(x.shape[1]):
                    x[i, j] = x[i, j] * 2.0 + x[i, j] * y[i]
            i += 1
        return total + np.sum(x)

    x, y = RNG.normal(size=(6, 4)), RNG.normal(size=6)
    assert adc.jit(f)(x.copy(), y) == pytest.approx(f(x.copy(), y), rel=1e-13)
    value, grads = adc.value_and_grad(f, argnums=(0, 1))(x.copy(), y)
    again, plain = adc.value_and_grad(f, argnums=(0, 1), target="numpy")(x.copy(), y)
    assert value == pytest.approx(again, rel=1e-13)
    for a, b in zip(grads, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_name_of_the_user_is_his():
    def f(x):
        y = np.zeros(x.shape)
        for base in range(x.shape[0]):
            for j in range(x.shape[1]):
                y[base, j] = x[base, j] * 2.0 + x[base, 0]
        return y

    x = RNG.normal(size=(3, 4))
    np.testing.assert_array_equal(adc.jit(f)(x), f(x))


def test_a_place_is_where_numpy_has_it():
    b = Buf("x", F8, (3, 4, 5), "param")
    assert Place(b, (3, 4, 5), (2, 1, 3)).position((2, 1, 3)) == np.ravel_multi_index((2, 1, 3), (3, 4, 5))
