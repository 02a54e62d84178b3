"""Iterators and functions made in comprehensions mean what they mean in Python, or are refused: they are consumed once, item by item."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest

import adc

X = np.array([0.7, -0.4, 1.3])
k = 100.0  # what a function made in a comprehension must not see


# ---------------------------------------------------------------- what is right


def late(x):
    fs = [lambda v: v * k for k in (1.0, 2.0, 3.0)]
    return fs[0](x[0]) + fs[2](x[1])


def early(x):
    fs = [lambda v, k=k: v * k for k in (1.0, 2.0, 3.0)]
    return fs[0](x[0]) + fs[2](x[1])


def of_two(x):
    fs = [lambda v: v * j * k for k in (1.0, 2.0) for j in (3.0, 4.0)]
    return fs[0](x[0])


def in_a_dict(x):
    fs = {k: (lambda v: v * k) for k in (1.0, 2.0)}
    return fs[1.0](x[0]) + fs[2.0](x[1])


def hidden_after(x):
    fs = [lambda v: v * k for k in (1.0, 2.0)]
    k = 7.0
    return fs[0](x[0]) + k


def consumed_at_once(x):
    pairs = [*zip(x[:2], [x[1], x[2]])]
    squares = list(map(lambda v: v * v, [x[0], x[1]]))
    a, b = (v * 2.0 for v in (x[0], x[1]))
    d = dict(zip("ab", squares, strict=True))
    return sum(p * q for p, q in zip((1.0, 2.0), squares)) + a * b + d["a"] + sum(d.values()) + max(v * v for v in x[:2]) + len(pairs)


def nested(x):
    return sum(sum(a * b for b in (1.0, 2.0)) for a in x) + sum(f * v for f, v in enumerate(x))


def changed_on_the_way(x):
    items = [x[0], x[1], x[2]]
    total = 0.0
    for n, v in enumerate(items):
        if n < 2:
            items[n + 1] = v * 2.0
        total += v
    return total


def dict_changed_on_the_way(x):
    d = {"a": x[0], "b": x[1]}
    total = 0.0
    for key, v in d.items():
        d["b"] = 5.0 * x[2]
        d[key] = v * 3.0
        total += v
    return total + d["a"] * d["b"]


def array_changed_on_the_way(x):
    total = 0.0
    for n, v in enumerate(x):
        if n < 2:
            x[n + 1] = v * 2.0
        total += v
    return total


def kept_range_and_view(x):
    r, d = range(3), {"a": x[0], "b": x[1]}
    keys = d.keys()
    return len(list(r)) + len(list(r)) + len(keys) * x[0] + sum(d.values())


def handed_on(x):
    def total(values):
        return sum(v * v for v in values)

    return total([v for v in x[:2]])


@pytest.mark.parametrize("target", ["cpu", "numpy"])
@pytest.mark.parametrize(
    "fun", [late, early, of_two, in_a_dict, consumed_at_once, nested, changed_on_the_way, dict_changed_on_the_way, array_changed_on_the_way, kept_range_and_view, handed_on]
)
def test_as_in_python(fun: Any, target: str) -> None:
    assert adc.jit(fun, target=target)(X.copy()) == pytest.approx(fun(X.copy()), rel=1e-12)
    d, e = np.array([0.3, -0.8, 0.5]), 1e-6
    slope = (fun(X + e * d) - fun(X - e * d)) / (2 * e)
    assert np.sum(adc.grad(fun, target=target)(X.copy()) * d) == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_a_name_of_the_function_is_not_that_of_the_comprehension() -> None:
    assert adc.jit(hidden_after)(X) == hidden_after(X) == 0.7 * 2.0 + 7.0


# ---------------------------------------------------------------- what is refused


def kept_generator(x):
    a = 1.0
    g = (a * v for v in (1.0, 2.0))
    a = 5.0
    return sum(g) * x[0]


def changed_under_a_generator(x):
    a, s = 1.0, 0.0
    for v in (a * t for t in (1.0, 2.0, 3.0)):
        s += v * x[0]
        a = a + 1.0
    return s


def kept_map(x):
    m = map(lambda v: v * 2.0, [x[0], x[1]])
    return sum(m) + len(list(m))


def kept_zip(x):
    z = zip([1.0, 2.0], [3.0, 4.0])
    return (len(list(z)) + len(list(z))) * x[0]


def kept_enumerate(x):
    e = enumerate([1.0, 2.0])
    return (len(list(e)) + len(list(e))) * x[0]


def kept_reversed(x):
    return len([reversed([1.0, 2.0])]) * x[0]


def kept_filter(x):
    f = filter(lambda v: v > 1.0, [1.0, 2.0])
    return (len(list(f)) + len(list(f))) * x[0]


def kept_in_a_parameter(x):
    def twice(values):
        return sum(values) + sum(values)

    return twice(v * v for v in x)


def appended(x):
    held = []
    held.append(zip(x, x))
    return x[0]


def view_of_what_changes(x):
    d = {"a": x[0]}
    values = d.values()
    d["a"] = 2.0 * x[1]
    return sum(values)


def grows_on_the_way(x):
    items = [x[0]]
    for v in items:
        if len(items) < 3:
            items.append(v * 2.0)
    return sum(items)


def keys_on_the_way(x):
    d = {"a": x[0]}
    for key, v in d.items():
        d[key + "b"] = v
    return d["a"]


def functions_of_a_generator(x):
    return sum(f(x[0]) for f in (lambda v: v * k for k in (1.0, 2.0, 3.0)))


@pytest.mark.parametrize(
    ("fun", "says"),
    [
        (kept_generator, "a generator expression is kept in g"), (changed_under_a_generator, "the loop changes a"), (kept_map, r"map\(...\) is kept in m"),
        (kept_zip, r"zip\(...\) is kept in z"), (kept_enumerate, r"enumerate\(...\) is kept in e"), (kept_reversed, r"reversed\(...\) is kept"),
        (kept_filter, r"filter\(...\) is kept in f"), (kept_in_a_parameter, "a generator expression is kept in values"), (appended, r"zip\(...\) is kept"),
        (view_of_what_changes, "d is changed while a view of it is kept"), (grows_on_the_way, "items becomes longer or shorter"), (keys_on_the_way, "d gets other keys"),
        (functions_of_a_generator, "how far that has been consumed"),
    ],
)  # fmt: skip
def test_refused(fun: Any, says: str) -> None:
    with pytest.raises(adc.UnsupportedError, match=says) as caught:
        adc.jit(fun)(X)
    assert "list" in str(caught.value) and __file__.rpartition("/")[2] in str(caught.value)


def test_a_structure_that_grows_is_an_error_of_ours() -> None:
    def f(x):
        return [(lambda: v) for v in x][0]()

    with pytest.raises(adc.UnsupportedError) as caught:
        adc.jit(f)(X)
    assert type(caught.value) is adc.UnsupportedError


# ---------------------------------------------------------------- arrays and numbers with rules of their own


class Percent(np.ndarray):
    def __mul__(self, other: Any) -> Any:
        return np.asarray(self) * np.asarray(other) / 100.0


class Named(np.ndarray):
    """Only a name more."""


class Odd(float):
    def __mul__(self, other: Any) -> Any:
        return 7.0


class Level(enum.IntEnum):
    HIGH = 2


MASKED, MATRIX = np.ma.masked_array([1.0, 2.0, 3.0], mask=[0, 1, 0]), np.eye(2).view(np.matrix)


def squares(x):
    return np.sum(x * x)


def of_masked(x):
    return np.sum(MASKED * x)


def of_matrix(x):
    return np.sum(MATRIX * x)


@pytest.mark.parametrize("x", [MASKED, MATRIX, np.ones(3).view(Percent), Odd(2.0)])
def test_other_meanings_of_operators_are_refused(x: Any) -> None:
    g = adc.grad(squares)
    for _ in range(2):
        with pytest.raises(adc.UnsupportedError, match="its own"):
            g(x)
        g(np.asarray(x, "f8"))  # what was compiled for plain arrays does not take them either


def test_captured_arrays_too() -> None:
    for fun, x in ((of_masked, np.ones(3)), (of_matrix, np.ones((2, 2)))):
        with pytest.raises(adc.UnsupportedError, match="its own"):
            adc.grad(fun)(x)


def test_what_only_looks_different_is_taken() -> None:
    assert np.array_equal(adc.grad(squares)(X.view(Named)), 2 * X) and np.array_equal(adc.grad(squares)(np.rec.array(X)), 2 * X)
    assert adc.grad(lambda x, n: x[0] ** n)(X, Level.HIGH)[0] == pytest.approx(1.4)
