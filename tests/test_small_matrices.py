"""Matrices of three or four rows: sums of products are written out, rows are made where they belong, positions have few operations."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import adc
from adc.ir import Size, Sym, product, size
from adc.lower.text import taken_out
from tests.test_meet import agree

RNG = np.random.default_rng(11)
N = Sym("n")


def text_of(fun: Any, *args: Any) -> str:
    return re.sub(r"^ *#.*\n", "", adc.jit(fun).kernel_source(*args), flags=re.M)


# ---------------------------------------------------------------- sums of products


def turned(A, b):
    R = np.array([[np.cos(b), -np.sin(b), 0.0], [np.sin(b), np.cos(b), 0.0], [0.0, 0.0, 1.0]])
    return np.sum(A @ R @ A.T) + (R @ A[0]) @ A[1] + np.trace(R.T @ R * b)


def chain(angles, x):
    """A product of matrices along a chain, each with a vector."""
    M, total = np.eye(3), 0.0
    for k in range(len(angles)):
        c, s = np.cos(angles[k]), np.sin(angles[k])
        M = M @ np.array([[c, -s, 0.1], [s, c, angles[k]], [0.0, 0.0, 1.0]])
        total += np.sum((M @ x) ** 2)
    return total


def outer(u, v):
    """One term: the summed axis has one place."""
    return np.sum(np.sin(u.reshape(-1, 1) @ v.reshape(1, -1)))


def in_place(A, x):
    """What a product reads is overwritten by it."""
    for k in range(3):
        A[:3, :3] = A[:3, :3] @ A[:3, :3].T * x[k]
        x[:3] = A[:3, :3] @ x[:3]
    return np.sum(A) + np.sum(x)


def used_twice(A, x):
    y = A[:, :4] @ x[:4]
    return np.sum(y * np.roll(y, 1)) + np.max(np.exp(-y * y))


def by_einsum(T, x):
    return np.sum(np.einsum("abij,bj->ai", T[:, :2, :, :2], x[:2, :2]) ** 2)


def of_floats32(A, x):
    return np.sum((A[:, :3] @ x[:3]) * np.float32(0.5))


PROGRAMS = [
    (turned, (RNG.normal(size=(3, 3)), 0.3)), (chain, (RNG.normal(size=6), RNG.normal(size=3))), (outer, (RNG.normal(size=4), RNG.normal(size=7))),
    (in_place, (0.3 * RNG.normal(size=(4, 4)), RNG.normal(size=5))), (used_twice, (RNG.normal(size=(6, 5)), RNG.normal(size=4))),
    (by_einsum, (RNG.normal(size=(3, 2, 4, 2)), RNG.normal(size=(2, 2)))),
]  # fmt: skip


@pytest.mark.parametrize(("fun", "args"), PROGRAMS)
def test_they_agree(fun: Any, args: Any) -> None:
    agree(fun, args, tuple(range(len(args))))


@pytest.mark.parametrize(("fun", "args"), PROGRAMS)
def test_all_columns_at_once(fun: Any, args: Any) -> None:
    """Forward mode has lanes, a tile of directions."""
    got = adc.jacfwd(fun)(*[np.copy(a) for a in args])
    want = adc.jacfwd(fun, target="numpy")(*[np.copy(a) for a in args])
    assert np.allclose(got, want, rtol=1e-12, atol=1e-12)


def test_float32_stays_float32() -> None:
    A, x = RNG.normal(size=(6, 3)).astype("f4"), RNG.normal(size=3).astype("f4")
    value, slope = adc.value_and_grad(of_floats32)(A, x)
    assert value.dtype == slope.dtype == np.float32 and np.allclose(slope, 0.5 * x[None], rtol=1e-6)
    assert "float64" not in text_of(of_floats32, A, x)


def test_the_sum_is_an_element_like_any_other() -> None:
    """No zeros, no array of products beside the result."""

    def f(A, B, C):
        return A[:, :3] @ B[:3] + C

    text = text_of(f, np.ones((50, 4)), np.ones((3, 60)), np.ones((50, 60)))
    assert text.count("for ") == 3 and "0.0" not in text and "product" not in text


def test_long_sums_stay_loops() -> None:
    A, B = np.ones((50, 5)), np.ones((5, 60))
    assert "product" in text_of(lambda A, B: A @ B, A, B)

    def f(A, B):
        return A[:, :5] @ B[:5]

    assert "product" in text_of(f, A, B)


# ---------------------------------------------------------------- rows of matrices


def test_rows_are_made_where_they_belong() -> None:
    def f(x, y):
        return np.array([[[x, y], [y, x]], [[1.0, x * y], [y, 2.0]]]) * x

    text = text_of(f, 2.0, 3.0)
    assert len(re.findall(r"\w+\[\d\] = ", text)) == 8 and text.count("for ") <= 3


def rows_used_again(x):
    """A row that something else reads, and a row that stands twice, stay arrays of their own."""
    row = np.array([x[0], x[1] * x[2]])
    twice = np.array([x[2], x[0]])
    m = np.array([row, [x[3], 1.0], twice, twice])
    return np.sum(m @ row) + np.sum(m[2] * m[3] * m[0])


def rows_in_a_loop(x):
    """The matrix is itself a row of what the loop stacks."""
    found = []
    for k in range(4):
        found.append(np.array([[x[k], 1.0], [x[0] * x[k], np.sin(x[k])]]))
    return np.sum(np.stack(found) ** 3)


def rows_in_branches(x):
    m = np.array([[x[0], x[1]], [x[2], x[3]]])
    if x[0] > 0.0:
        m = np.array([[x[1], x[0]], [m[1, 1], m[0, 0] * x[2]]])
    return np.sum(m @ m)


@pytest.mark.parametrize("fun", [rows_used_again, rows_in_a_loop, rows_in_branches])
def test_rows_agree(fun: Any) -> None:
    x = RNG.normal(size=4)
    agree(fun, (x,), (0,))
    agree(fun, (-x,), (0,))


# ---------------------------------------------------------------- positions


def test_what_most_terms_share_is_taken_out() -> None:
    i, j, k = (size(Sym(x)) for x in "ijk")
    n = size(N)
    for d, want in ((i * 3 * n + j * n + k, (N, i * 3 + j, k)), (n * i - n, (N, i - 1, 0)), (i + j, (None, 0, i + j)), (n * n + n, (N, n + 1, 0))):
        assert isinstance(d, Size)
        shared, inner, rest = taken_out(d)
        left = sum((size(c) * product(tuple(size(a) for a in m)) for m, c in rest), size(0))
        assert (shared, inner, left) == want


def test_rows_of_lanes_count_from_one_place() -> None:
    """`tile` is a size: neighbours among a matrix's columns have one beginning."""

    def f(x):
        return np.array([[x[0], x[1], x[2]], [x[1], x[2], x[0]], [x[2], x[0], x[1]]]) @ np.array([[x[0], 1.0], [x[1], x[2]], [x[2], x[0]]])

    x = RNG.normal(size=3)
    assert np.allclose(adc.jacfwd(f)(x), adc.jacfwd(f, target="numpy")(x), rtol=1e-13)
    text = adc.jacfwd(f).kernel_source(x)
    assert re.search(r"_row\w* \+ lane \+ 2 \* tile\]", text)


# ---------------------------------------------------------------- what is known


def test_places_in_a_range_are_not_asked_for() -> None:
    """`np.arange(len(labels))` lies inside `labels`: one loop asks, for the labels."""

    def f(scores, labels):
        return np.sum(scores[np.arange(len(labels)), labels])

    scores, labels = RNG.normal(size=(7, 4)), RNG.integers(0, 4, 7)
    text = text_of(f, scores, labels)
    assert len(re.findall("return [12]", text)) == 2 and text.count("for ") == 2  # labels are columns, and there are rows enough
    agree(f, (scores, labels), (0,))
    with pytest.raises(IndexError):
        adc.jit(f)(scores, labels + 1)
    with pytest.raises(IndexError):
        adc.jit(f)(scores[:5], labels)


def test_a_choice_that_several_read_has_a_name() -> None:
    def f(v, z):
        for _ in range(5):
            positive = np.maximum(v, 0.0)
            v = v + 0.1 * (1.0 - positive) + np.sqrt(positive + 1.0) * z
        return np.sum(v)

    v, z = RNG.normal(size=40), RNG.normal(size=40)
    assert text_of(f, v, z).count(" else ") == 1
    agree(f, (v, z), (0, 1))


def test_a_matrix_of_each_turn_is_made_in_lanes() -> None:
    """What a loop hands on row by row: made beside its place, where lanes lie side by side, and then copied; made there, the loop had no vectors."""

    def turned(x):
        c, s = np.cos(x), np.sin(x)
        return np.array([[c, -s, x * c], [s, c, x * s]])

    x, every = RNG.normal(size=1000), adc.jit(adc.vmap(turned))
    assert "lane" in every.kernel_source(x)
    assert np.allclose(every(x), np.stack([turned(v) for v in x]), rtol=1e-14)
