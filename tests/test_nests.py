"""Loops that are written as one, generator expressions with conditions, and functions that take functions."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import re
from typing import Any

import numpy as np
import pytest

import adc
from adc.testing import check_grads

RNG = np.random.default_rng(8)
X = RNG.normal(size=7)
M = RNG.normal(size=(4, 3))


def agree(f: Any, *args: Any) -> None:
    """The value of Python on both targets, and the gradient of the first argument as differences."""
    expected = f(*(np.copy(a) if isinstance(a, np.ndarray) else a for a in args))
    for target in ("cpu", "numpy"):
        assert adc.jit(f, target=target)(*args) == pytest.approx(expected, rel=1e-12)
    assert check_grads(f, *args)


# ---------------------------------------------------------------- np.ndindex, np.ndenumerate, itertools


def by_index(m):
    total = 0.0
    for i, j in np.ndindex(m.shape):
        total += m[i, j] * (i + 2 * j)
    return total


def by_index_whole(m):
    out = np.zeros_like(m)
    for at in np.ndindex(*m.shape):
        out[at] = np.sin(m[at]) * m[0, 0]
    return np.sum(out * out)


def enumerated(m):
    total = 0.0
    for (i, j), v in np.ndenumerate(m):
        if i == j:
            continue
        total += v * v * (i + 1)
    return total


def enumerated_and_changed(m):
    """The element is read when it is reached."""
    m = m.copy()
    total = 0.0
    for (i, j), v in np.ndenumerate(m):
        total += v * total + v
        if j + 1 < m.shape[1]:
            m[i, j + 1] += 0.5 * v
    return total


def product(m):
    total = 0.0
    for a, b in itertools.product(m[0], m[:, 1]):
        total += np.tanh(a * b)
    return total


def product_changed(m):
    """The numbers are those of the beginning."""
    x = m[0].copy()
    total = 0.0
    for a, b in itertools.product(x, m[1]):
        x[:] = x * 0.5
        total += a * b + x[0]
    return total


def product_of_rows(m):
    """Rows are views: they see what the loop stores."""
    m = m.copy()
    total = 0.0
    for r, k in itertools.product(m, range(2)):
        r[k] += 0.25 * r[k + 1]
        total += np.sum(r * r)
    return total


def repeated(m):
    total = 0.0
    for i, j, k in itertools.product(range(m.shape[1]), repeat=3):
        total += m[i, j] * m[j, k]
    return total


def pairs(m):
    x = m[:, 0]
    total = 0.0
    for i, j in itertools.combinations(range(len(x)), 2):
        total += 1.0 / (1.0 + (x[i] - x[j]) ** 2)
    return total


def triples(m):
    return sum(a * b * c for a, b, c in itertools.combinations(m[:, 1], 3))


def with_replacement(m):
    total = 0.0
    for a, b in itertools.combinations_with_replacement(m[:, 2], 2):
        total += a * b
    return total


def neighbours(m):
    total = 0.0
    for a, b in itertools.pairwise(m[:, 0]):
        total += (b - a) ** 2
    return total


def sliced(m):
    total = 0.0
    for a in itertools.islice(m[:, 0], 1, None, 2):
        total += a * a
    for a in itertools.islice(m[:, 0], 2):
        total += np.sin(a)
    return total


def left(m):
    """A `break` leaves all of the loops, and then there is no `else`."""
    total = 0.0
    for i, j in np.ndindex(m.shape):
        if m[i, j] > 1.0:
            break
        total += m[i, j] ** 2
    else:
        total = total * 100.0
    return total


def left_by_return(m):
    for (i, j), v in np.ndenumerate(m):
        if v > 0.5:
            return v * (i + j)
    return m[0, 0]


def not_left(m):
    total = 0.0
    for a, b in itertools.product(m[0], m[1]):
        total += a * b
    else:
        total = total * 2.0
    return total


def no_axes(m):
    total = m[0, 0]
    for _ in np.ndindex():
        total = total * 2.0
    return total


def too_many(m):
    total = m[0, 0]
    for a, _ in itertools.combinations(m[0, :1], 2):
        total += a
    return total


def known(m):
    return np.sum(np.array([m[i, j] * 2.0**i for i, j in itertools.product(range(2), range(3))])) + sum(m[0, i] for i, _ in itertools.combinations(range(3), 2))


LOOPS = [by_index, by_index_whole, enumerated, enumerated_and_changed, product, product_changed, product_of_rows, repeated, pairs, triples, with_replacement]
LOOPS += [neighbours, sliced, left, left_by_return, not_left, no_axes, too_many, known]


@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
def test_loops_written_as_one(f: Any) -> None:
    agree(f, M)


@pytest.mark.parametrize("f", [by_index, enumerated, product, pairs, neighbours, sliced, not_left], ids=lambda f: f.__name__)
def test_other_lengths_need_no_new_kernel(f: Any) -> None:
    g = adc.value_and_grad(f)
    for shape in ((4, 3), (2, 2), (3, 5)):
        m = RNG.normal(size=shape)
        assert g(m)[0] == pytest.approx(f(m), rel=1e-12)


def two_loops(m):
    x = m[:, 0]
    total = 0.0
    for i in range(len(x) - 1):
        for j in range(i + 1, len(x)):
            total += 1.0 / (1.0 + (x[i] - x[j]) ** 2)
    return total


def test_they_are_the_loops_that_one_would_write() -> None:
    own, plain = (adc.grad(f).kernel_source(M) for f in (pairs, two_loops))
    assert re.findall(r"^ *for|^ *if", own, re.M) == re.findall(r"^ *for|^ *if", plain, re.M)


def changed_while_paired(x):
    x = x.copy()
    total = 0.0
    for a, b in itertools.pairwise(x):
        x[:] = 0.5 * x
        total += a * b
    return total


def kept(x):
    both = itertools.product(x, x)
    total = 0.0
    for a, b in both:
        total += a * b
    return total


def chained(x):
    total = 0.0
    for a in itertools.chain(x, x[1:]):
        total += a
    return total


def cycled(x):
    total = 0.0
    for a, _ in zip(itertools.cycle(x), range(20)):
        total += a
    return total


@pytest.mark.parametrize(
    ("f", "said"),
    [(changed_while_paired, "the loop changes x"), (kept, "is kept in both"), (chained, "np.concatenate"), (cycled, "no derivative rule for itertools.cycle")],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_refused(f: Any, said: str) -> None:
    with pytest.raises(adc.AdcError, match=said):
        adc.grad(f)(X)


# ---------------------------------------------------------------- generator expressions

GENERATORS = [
    lambda x: sum(v * v for v in x if v > 0.0),
    lambda x: sum((v * w for i, v in enumerate(x) for w in x[:i]), 1.5),
    lambda x: sum(x[i] * x[j] for i in range(len(x)) if x[i] > 0.0 for j in range(len(x)) if i != j if x[j] < 1.0),
    lambda x: sum(1 for v in x if v > 0.0) * x[0],
    lambda x: sum(v > 0.0 for v in x if v < 1.0) * x[1],
    lambda x: sum(a * b for a, b in itertools.product(x, x) if a > b),
    lambda x: sum(v for v in x if v > 100.0) + x[2],
    lambda x: max(abs(a - b) for i, a in enumerate(x) for b in x[:i]),
    lambda x: min(v for v in x if v > -0.5),
    lambda x: min((v for v in x if v > 100.0), default=x[1] * 2.0),
    lambda x: max((v for v in x if v < 0.5), default=0.0),
    lambda x: x[0] * any(v > 1.0 for v in x if v < 3.0) + x[1] * all(v > 1.0 for v in x if v > 0.0),
    lambda x: sum(v * k for k in (1.0, 2.0) for v in x if v > 0.0),
    lambda x: sum(k * k for k in range(5) if k != 2) * x[0],
]


@pytest.mark.parametrize("k", range(len(GENERATORS)))
def test_generator_expressions(k: int) -> None:
    agree(GENERATORS[k], X)


def hidden_names(x):
    v = 3.0
    total = sum(v * v for v in x if v > 0.0)
    return total * v


def in_a_loop(x):
    total = 0.0
    for k in range(3):
        total = total * 0.5 + sum(v * total for v in x if v > 0.1 * k) + x[k]
    return total


def around(x):
    """A function sees the names of where it was made, not those of the expression that calls it."""
    v = 2.0
    scaled = lambda t: t * v  # noqa: E731
    return sum([scaled(v) for v in x]) + sum(scaled(v) for v in x if v > 0.0) + sum([scaled(v) for v in (x[0], x[1])]) * v


def counted(x):
    """Functions that expressions call may change what stands around them."""
    seen, last = 0.0, x[0]

    def squared(v):
        nonlocal seen, last
        seen, last = seen + v, last * 0.5 + v
        return v * v

    total = sum(squared(v) for v in x if v > 0.0)
    total = total * seen + sum([squared(v) for v in x])
    total = total * seen + sum(map(squared, x[1:]))
    total = total * seen + functools.reduce(lambda a, v: a + squared(v), x, 1.0)
    return total * seen + max(squared(a * b) for a in x for b in x) * last


def stored(x):
    y = x.copy()

    def halved(v):
        y[0] = 0.5 * y[0] + v
        return v * y[0]

    return sum(halved(v) for v in x if v > 0.0) * y[0] + np.sum(np.vectorize(halved)(x)) * y[0]


def asked(x):
    """`any` and `all` ask for no item behind the one that decides."""
    seen = 0.0

    def large(v):
        nonlocal seen
        seen = seen * 0.5 + v
        return v > 0.5

    total = x[0] * any(large(v) for v in x) + seen
    total = total * (1.0 + all(not large(v) for v in x)) + seen * seen
    total = total * (2.0 - any(large(a * b) for a in x for b in x if b > 0.0)) + seen
    return total * (1.0 + any(x[i + 3] < 0.0 for i in range(len(x)))) + seen


@pytest.mark.parametrize("f", [hidden_names, in_a_loop, around, counted, stored, asked], ids=lambda f: f.__name__)
def test_names_of_generator_expressions(f: Any) -> None:
    agree(f, X)


def test_sum_of_arrays_wants_its_start() -> None:
    agree(lambda x: np.sum(sum((np.array([v, v * v]) for v in x if v > 0.0), np.zeros(2))), X)
    with pytest.raises(adc.AdcError, match="sum"):
        adc.grad(lambda x: np.sum(sum(np.array([v, v * v]) for v in x if v > 0.0)))(X)


def test_no_items() -> None:
    with pytest.raises(adc.AdcError, match="without items"):
        adc.grad(lambda x: max(v for v in x if v > 100.0))(X)


# ---------------------------------------------------------------- functions that take functions


def bent(v, w):
    return v * w if v > w else np.sin(w)


@np.vectorize
def decorated(v):
    return v * v if v > 0.0 else -v


FUNCTIONS = [
    lambda x: np.sum(np.vectorize(bent)(x, 0.3)),
    lambda x: np.sum(np.vectorize(bent)(x[:, None], x[:4])[1]),
    lambda x: np.sum(decorated(x)) + decorated(x[0]),
    lambda x: np.sum(np.vectorize(lambda v: v > 0.0, otypes=[float])(x) * x),
    lambda x: np.sum(np.piecewise(x, [x < -0.5, x > 0.5], [lambda v: v * v, 2.0, lambda v: np.sin(v)])),
    lambda x: np.sum(np.piecewise(x, [x < 0.0], [lambda v, k: v * k, lambda v, k: v / k], 3.0)),
    lambda x: np.sum(np.apply_along_axis(lambda r: r / np.sum(r * r), 1, np.outer(x, x[:3])) * 0.5),
    lambda x: np.sum(np.apply_along_axis(lambda r: np.sum(r * r) ** 2, 0, np.outer(x, x[:3]))),
    lambda x: np.sum(np.fromfunction(lambda i, j: np.sin(i * x[0] + j), (3, 4))),
    lambda x: np.sum(np.fromiter((np.sin(v) for v in x), float)),
    lambda x: np.sum(np.fromiter((np.sin(v) for v in x), float, 3)),
    lambda x: np.sum(np.fromfunction(lambda i, k: i * k * x[1], (3,), k=2.0)),
    lambda x: np.sum(np.apply_along_axis(lambda r, k, s: r * k * s, 0, x, 2.0, s=3.0)),
    lambda x: functools.reduce(operator.mul, x),
    lambda x: functools.reduce(lambda a, b: a * 0.5 + b, x, 1.0),
    lambda x: functools.reduce(lambda a, b: a * b, [x[0], x[1], 2.0]),
    lambda x: sum(map(lambda v: v * v, x)),
    lambda x: np.mean(list(map(bent, x, x[1:]))),
    lambda x: math.prod(x),
    lambda x: math.prod([x[0], x[1], 2.0]),
    lambda x: math.dist(x, x[::-1] * 2.0),
    lambda x: sorted(x)[2] * sorted(x, reverse=True)[1],
    lambda x: np.polynomial.polynomial.polyval(0.3, x),
    lambda x: sum(itertools.accumulate([x[0], x[1], x[2]], operator.mul)),
    lambda x: sum(a * a for a in itertools.chain([x[0], 2.0], (x[1],))),
]


@pytest.mark.parametrize("k", range(len(FUNCTIONS)))
def test_functions_of_functions(k: int) -> None:
    agree(FUNCTIONS[k], X)


def unpacked(x):
    first, *rest = x
    a, *middle, b = x
    total = first * sum(rest) + a * b
    for v in middle:
        total = total * 0.5 + v
    return total + len(middle) * x[0]


def test_unpacking_around_a_star() -> None:
    agree(unpacked, X)
    with pytest.raises(adc.AdcError, match="not enough values"):
        adc.grad(unpacked)(X[:1])


def vectorized_changes(x):
    """The arguments are copied after the first call, which asks for the type."""
    y = x.copy()

    def moved(v):
        y[1:] = y[1:] * 0.5
        return v * y[2]

    return np.sum(np.vectorize(moved)(y)) + np.sum(y)


def lines_changed(x):
    """The function gets views."""
    m = np.outer(x, x)

    def centred(r):
        r -= np.mean(r)
        return r * r

    return np.sum(np.apply_along_axis(centred, 0, m)) + np.sum(m * m[::-1])


def piecewise_number(x):
    return np.piecewise(x[0], [x[0] < 0.0, x[0] >= 0.0], [lambda v: v * v, lambda v: 3.0 * v]) * 1.0


@pytest.mark.parametrize("f", [vectorized_changes, lines_changed, piecewise_number], ids=lambda f: f.__name__)
def test_what_they_store(f: Any) -> None:
    agree(f, X)


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (lambda x: np.sum(np.vectorize(lambda v: (v, v))(x)[0]), "not one number"),
        (lambda x: np.sum(np.vectorize(lambda v: v * x)(x)), "not one number"),
        (lambda x: np.sum(np.vectorize(lambda v, k: v * k)(x, k=2.0)), "by their position"),
        (lambda x: np.sum(np.vectorize(lambda v: v, signature="(n)->(n)")(x)), "adc.vmap"),
        (lambda x: np.sum(np.apply_along_axis(np.sum, 0, np.ones((2, 2, 2)) * x[0])), "3 axes"),
        (lambda x: np.sum(np.fromiter((v for v in x), float, 9)), "iterator too short"),
        (lambda x: np.sum(np.ndenumerate(2.0)) * x[0], "no array"),
    ],
)
def test_functions_refused(f: Any, said: str) -> None:
    with pytest.raises(adc.AdcError, match=said):
        adc.grad(f)(X)


def test_piecewise_wants_a_function_for_each_condition() -> None:
    with pytest.raises(adc.AdcError, match="1 or 2 functions"):
        adc.grad(lambda x: np.sum(np.piecewise(x, [x > 0.0], [1.0, 2.0, 3.0])))(X)
