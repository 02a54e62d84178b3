"""Lists and tuples of numbers as tables: an index that only a run knows; and Python's numbers beside float32, which they never narrow."""

from __future__ import annotations

import math

import numpy as np
import pytest

import adc
from adc.testing import check_grads

RNG = np.random.default_rng(21)
X, AT = RNG.normal(size=3), np.array([0, 2, 1, 1])
WEIGHTS = [1.0, 2.0, 0.5]


class Curve:
    def __init__(self, tenors):
        self.tenors = tenors

    def discount(self, rates, t):
        k = 0
        while k < len(self.tenors) - 1 and self.tenors[k + 1] < t:
            k += 1
        return np.exp(-rates[k] * (t - self.tenors[k]))


CURVE = Curve([0.5, 1.0, 2.0])


def constants(x, at):
    s = 0.0
    for i in at:
        s += WEIGHTS[i] * x[i]
    return s


def computed(x, at):
    c = [x[0] ** 2, x[1], 2.0 * x[2]]
    s = 0.0
    for i in at:
        s += c[i]
    return s


def whole_numbers(x, at):
    places = (2, 0, 1)
    s = 0.0
    for i in at:
        s += x[places[i]] * i
    return s


def mixed(x, at):
    c = [1, 2.5, 0]
    s = 0.0
    for i in at:
        s += c[i] * x[i]
    return s


def truths(x, at):
    wanted = [True, False, True]
    s = 0.0
    for i in at:
        if wanted[i]:
            s += x[i]
    return s


def from_the_end(x, at):
    s = 0.0
    for i in at:
        s += WEIGHTS[i - 3] * x[i] + WEIGHTS[-1 - i]
    return s


def changing(x, at):
    c = [1.0, 2.0, 3.0]
    s = 0.0
    for k in range(4):
        s += c[at[k]] * x[0]
        c[0] = c[0] + x[1]
    return s


def curve(x, at):
    return CURVE.discount(x, 0.7) + CURVE.discount(x, 1.7 + x[0] ** 2) + at[0]


@pytest.mark.parametrize("f", [constants, computed, whole_numbers, mixed, truths, from_the_end, changing, curve])
def test_numbers_by_an_index_of_the_run(f):
    assert adc.jit(f)(X, AT) == pytest.approx(f(X, AT), rel=1e-14)
    assert check_grads(f, X, AT)


def test_an_index_outside_is_an_error():
    def f(x, at):
        return WEIGHTS[at[0] + 2] * x[0]

    assert adc.jit(f)(X, AT) == f(X, AT)
    with pytest.raises(adc.BoundsError, match="size 3"):
        adc.jit(f)(X, AT + 1)


def test_a_list_that_changes_outside_is_noticed():
    weights = [1.0, 2.0, 3.0]

    def f(x, at):
        return weights[at[1]] * x[0]

    g = adc.jit(f)
    assert g(X, AT) == f(X, AT)
    weights[2] = 7.0
    assert g(X, AT) == f(X, AT)


@pytest.mark.parametrize("items", [["a", "b", "c"], [[1.0], [2.0], [3.0]], [True, 2, 3], [1.0, None, 2.0]])
def test_other_lists_are_refused(items):
    def f(x, at):
        return items[at[0]] * x[0]

    with pytest.raises(adc.UnsupportedError, match="index of a list or tuple"):
        adc.jit(f)(X, AT)


def test_an_int_argument_is_part_of_the_program():
    def f(x, k):
        return np.zeros((3, 2, 4)[k]).size * x[0]

    assert [adc.jit(f)(X, k) for k in range(3)] == [f(X, k) for k in range(3)]


# ---------------------------------------------------------------- Python's numbers and NumPy's

S, D = np.array([0.5, 1.5, -0.7], np.float32), np.array([1.3, 2.2, 0.4])
NUMBERS = {
    "float": lambda s, d: s[0] * float(d[0]),
    "float of a float": lambda s, d: float(d[0]) * float(d[1]) * s[0],
    "item": lambda s, d: s[0] * d[0].item(),
    "item of one": lambda s, d: s[0] * d.item(1),
    "item of float32": lambda s, d: s[0].item() * 0.1,
    "round": lambda s, d: s[0] * round(d[0]),
    "math": lambda s, d: s[0] * math.sin(d[0]),
    "math of float32": lambda s, d: math.exp(s[0]),
    "two of float32": lambda s, d: math.hypot(s[0], s[1]) + math.atan2(s[0], s[1]),
    "floor": lambda s, d: s[0] * math.floor(d[1]),
    "array": lambda s, d: np.array([s[0], 1.0]),
    "array of ints": lambda s, d: np.array([1, s[0]]),
    "array of float32": lambda s, d: np.array([s[0], s[1]]),
    "with a dtype": lambda s, d: np.array([s[0], 1.0], dtype=np.float32),
    "stack": lambda s, d: np.stack([s[0], 1.0]),
    "hstack": lambda s, d: np.hstack([s, 1.0]),
    "list": lambda s, d: WEIGHTS[int(d[0])] * s[0],
    "power": lambda s, d: s[0] ** 2.5,
    "strong": lambda s, d: s[0] * d[0],
    "where": lambda s, d: np.where(s > 0, s, 0.0),
    "sum": lambda s, d: sum([v for v in s]) * 0.1,
}


@pytest.mark.parametrize("target", ["cpu", "numpy"])
@pytest.mark.parametrize("name", NUMBERS)
def test_python_numbers_beside_float32(name, target):
    f = NUMBERS[name]
    want, got = np.asarray(f(np.abs(S), D)), np.asarray(adc.jit(f, target=target)(np.abs(S), D))
    assert got.dtype == want.dtype
    assert got == pytest.approx(want, rel=1e-6 if want.dtype == np.float32 else 1e-14)


# ---------------------------------------------------------------- methods of ufuncs, contexts

Y, M = RNG.normal(size=7), RNG.normal(size=(4, 5))
SCANS = {
    "largest so far": lambda x: np.sum(np.maximum.accumulate(x) * np.arange(1.0, 8.0)),
    "smallest so far": lambda x: np.sum(np.minimum.accumulate(x) ** 2),
    "drawdown": lambda x: np.max(1.0 - np.cumprod(1.0 + 0.1 * x) / np.maximum.accumulate(np.cumprod(1.0 + 0.1 * x))),
    "log of sums so far": lambda x: np.sum(np.logaddexp.accumulate(x) ** 2),
    "log of the sum": lambda x: np.logaddexp.reduce(x),
}
TABLES = {
    "rows": lambda a: np.sum(np.maximum.accumulate(a, axis=1) ** 2),
    "columns": lambda a: np.sum(np.maximum.accumulate(a) ** 2),
    "last axis": lambda a: np.sum(np.logaddexp.accumulate(a, axis=-1)),
    "reduced": lambda a: np.sum(np.logaddexp.reduce(a, axis=1) ** 2) + np.sum(np.logaddexp.reduce(a) ** 3),
    "reduced, and kept": lambda a: np.sum((a - np.logaddexp.reduce(a, axis=1, keepdims=True)) ** 2),
}


@pytest.mark.parametrize(("f", "x"), [*((f, Y) for f in SCANS.values()), *((f, M) for f in TABLES.values())], ids=[*SCANS, *TABLES])
def test_methods_of_ufuncs(f, x):
    assert adc.jit(f)(x) == pytest.approx(f(x), rel=1e-13)
    assert check_grads(f, x)


@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum, np.logaddexp, np.hypot, np.fmax])
@pytest.mark.parametrize("x", [np.array([1.0, np.nan, -0.0, 2.0]), np.array([3, 1, 2]), np.float32([1.5, 0.5, 2.5]), np.array([1.0])])
def test_accumulate_as_numpy_does(ufunc, x):
    def f(x):
        return ufunc.accumulate(x)

    want, got = f(x), adc.jit(f)(x)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_errstate_is_what_adc_does_anyway():
    def f(x):
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.where(x > 0.0, np.log(np.maximum(x, 1e-9)), 0.0)
            if len(x) > 100:
                return np.sum(y) * 2.0
        return np.sum(y * x)

    assert adc.jit(f)(Y) == pytest.approx(f(Y), rel=1e-14)
    assert check_grads(f, Y)


@pytest.mark.parametrize("context", ["np.errstate(all='raise')", "open('x')", "np.errstate() as old", "other.errstate()"])
def test_other_contexts_are_refused(context, tmp_path):
    import importlib.util

    path = tmp_path / "program.py"
    path.write_text(
        "import contextlib\nimport types\nimport numpy as np\n\nother = types.SimpleNamespace(errstate=contextlib.nullcontext)\n\n\n"
        f"def f(x):\n    with {context}:\n        return np.sum(x)\n"
    )
    spec = importlib.util.spec_from_file_location("program", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    with pytest.raises(adc.UnsupportedError, match="with statement|errstate"):
        adc.jit(program.f)(Y)
