"""`out=`: results in the caller's arrays, just in time and from a built library; what does not fit is refused by name."""

from __future__ import annotations

import dataclasses
import shutil
from typing import Any, NamedTuple

import numpy as np
import pytest

import adc
from adc.api import into
from adc.artifact.build import build
from adc.artifact.load import Function
from adc.artifact.spec import make_spec, plans
from adc.backend import entry, layout
from tests.build_project import forget

X = np.array([1.0, -2.0, 3.0])
LARGE = into.DIRECT // 8 + 3
both = pytest.mark.parametrize("target", ["numpy", "cpu"])


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Line:
    slope: Any
    rest: Any


def cubes(x):
    return np.sum(x**3)


def tree_loss(p):
    return np.sum(p["x"] ** 3) + p["pair"].a * np.sum(p["pair"].b[0]) + np.sum(p["line"].slope * p["line"].rest[0])


def tree(n):
    return {"x": np.linspace(0.0, 1.0, n), "pair": Pair(2.0, [np.ones(n)]), "line": Line(np.ones(4), (np.full(4, 0.5), None))}


@both
@pytest.mark.parametrize("n", [5, LARGE])
def test_arrays_are_written_and_returned(target, n):
    g = adc.grad(cubes, target=target)
    x = np.linspace(-1.0, 1.0, n)
    out = np.full(n, np.nan)
    for _ in range(3):
        assert g(x, out=out) is out
        np.testing.assert_array_equal(out, g(x))
        x = x + 1.0


@both
@pytest.mark.parametrize("n", [5, LARGE])
def test_any_part_of_any_structure(target, n):
    g = adc.value_and_grad(tree_loss, target=target)
    p = tree(n)
    value, want = g(p)
    room = {"pair": None, "x": np.empty(n), "line": Line(None, (np.empty(4), None))}
    for _ in range(2):
        total = np.empty(())
        got_value, got = g(p, out=(total, room))
        assert got_value is total and total == value
        assert got["x"] is room["x"] and got["line"].rest[0] is room["line"].rest[0]
        for a, b in ((got["x"], want["x"]), (got["pair"].b[0], want["pair"].b[0]), (got["line"].slope, want["line"].slope), (got["line"].rest[0], want["line"].rest[0])):
            np.testing.assert_array_equal(a, b)
        assert got["pair"].a == want["pair"].a and list(got) == list(want)
    assert g(p, out=None)[0] == value == g(p, out=(None, None))[0]


@both
@pytest.mark.parametrize("n", [6, 2 * LARGE])
def test_an_argument_as_out(target, n):
    """Whatever it shares with what is read, the numbers are those of a call without `out`."""

    def f(x, y):
        return np.sum(x[::-1] * x**2 * y)

    g = adc.grad(f, argnums=(0, 1), target=target)
    x, y = np.linspace(0.5, 2.0, n), np.linspace(-1.0, 1.0, n)
    dx, dy = g(x, y)
    a, b = x.copy(), y.copy()
    assert g(a, b, out=(a, b))[0] is a
    np.testing.assert_array_equal(a, dx)
    np.testing.assert_array_equal(b, dy)
    # a part of a larger array, and one that is shifted by an element
    block = np.concatenate([x, [0.0]])
    g(block[:n], y, out=(block[1:], None))
    np.testing.assert_array_equal(block[1:], dx)
    # an argument that is not contiguous, in the same memory
    block = np.repeat(x, 2)
    g(block[::2], y, out=(block[:n], block[n:]))
    np.testing.assert_array_equal(block[:n], dx)
    np.testing.assert_array_equal(block[n:], dy)


DATA = np.linspace(1.0, 2.0, LARGE)


def reads_data(x):
    return np.sum(x * DATA)


def test_data_from_outside_as_out(monkeypatch):
    """The gradient is written over the data that it is made of."""
    g = adc.grad(reads_data)
    want = g(np.ones(LARGE))
    data = want.copy()
    monkeypatch.setitem(reads_data.__globals__, "DATA", data)
    for _ in range(2):
        assert g(np.ones(LARGE), out=data) is data
        np.testing.assert_array_equal(data, want)


def both_ways(x):
    y = x * 2.0
    return y, y, "word", x[x > 0.0]


def test_results_that_are_one_and_results_of_a_size_that_only_data_know():
    f = adc.jit(both_ways)
    a, b, c = np.empty(3), np.empty(3), np.empty(2)
    got = f(X, out=(a, b, None, c))
    assert got[0] is a and got[2] == "word" and got[3] is c
    np.testing.assert_array_equal(a, 2.0 * X)
    np.testing.assert_array_equal(b, 2.0 * X)
    np.testing.assert_array_equal(c, [1.0, 3.0])
    with pytest.raises(adc.ShapeError, match=r"out\[3\] has shape \(3,\), and the result \(2,\)"):
        f(X, out=(a, None, None, np.empty(3)))
    with pytest.raises(adc.ShapeError, match=r"out\[2\]: the result there is 'word', which is not computed"):
        f(X, out=(a, None, np.empty(1), None))


def readonly(n):
    a = np.empty(n)
    a.flags.writeable = False
    return a


def overlapping(n):
    block = np.empty(2 * n)
    return block[:n], block[n - 1 : 2 * n - 1]


WRONG = {
    "shape": (lambda n: (np.empty(n + 1), None), r"out\[0\] has shape \(\d+,\), and the result \(\d+,\)"),
    "rank": (lambda n: (np.empty((n, 1)), None), r"out\[0\] has shape"),
    "dtype": (lambda n: (None, np.empty(n, np.float32)), r"out\[1\] has dtype float32, and the result float64"),
    "order": (lambda n: (np.empty(2 * n)[::2], None), r"out\[0\] is not a C-contiguous, aligned array of native numbers"),
    "bytes": (lambda n: (np.empty(n, ">f8"), None), r"out\[0\] is not a C-contiguous"),
    "aligned": (lambda n: (np.empty(8 * n + 1, np.uint8)[1:].view(np.float64), None), r"out\[0\] is not a C-contiguous, aligned"),
    "read-only": (lambda n: (None, readonly(n)), r"out\[1\] is read-only"),
    "overlap": (overlapping, r"out\[0\] and out\[1\] share memory"),
    "list": (lambda n: ([0.0] * n, None), r"out\[0\] is a list, and a result can be written into an array only"),
    "one array": (lambda n: np.empty(n), r"out is a ndarray, and the result there is a tuple of 2"),
    "length": (lambda n: (np.empty(n),), r"out is a tuple of 1, and the result there is a tuple of 2"),
}


@both
@pytest.mark.parametrize("n", [4, LARGE])
@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused_by_name(target, n, name):
    g = adc.grad(lambda x, y: np.sum(x * y), argnums=(0, 1), target=target)
    make, says = WRONG[name]
    out = make(n)
    arrays = [a for a in out if isinstance(a, np.ndarray) and a.flags.writeable] if isinstance(out, tuple) else []
    for a in arrays:
        a.fill(7.0)
    for _ in range(2):
        with pytest.raises(adc.ShapeError, match=says):
            g(np.ones(n), np.ones(n), out=out)
    assert all((a == 7.0).all() for a in arrays), "nothing is written where something does not fit"
    np.testing.assert_array_equal(g(np.ones(n), np.full(n, 3.0))[0], np.full(n, 3.0))


@both
def test_wrong_structures(target):
    g = adc.grad(tree_loss, target=target)
    p = tree(3)
    for out, says in (
        ({"x": None, "pair": None}, r"out has the keys \['x', 'pair'\], and the result there is a dict with the keys \['x', 'pair', 'line'\]"),
        ({"x": None, "pair": (None, None), "line": None}, r"out\['pair'\] is a tuple of 2, and the result there is a Pair of 2"),
        ({"x": None, "pair": Pair(np.empty(2), None), "line": None}, r"out\['pair'\].a has shape \(2,\), and the result \(\)"),
        ({"x": None, "pair": None, "line": Line(None, (np.empty(3), None))}, r"out\['line'\].rest\[0\] has shape \(3,\), and the result \(4,\)"),
        (np.empty(3), r"out is a ndarray, and the result there is a dict"),
    ):
        with pytest.raises(adc.ShapeError, match=says):
            g(p, out=out)


def with_own_out(x, out=2.0):
    return np.sum(x * out)


def with_more(x, **more):
    return np.sum(x) * more["out"]


@both
def test_an_argument_of_that_name_is_the_functions(target):
    np.testing.assert_array_equal(adc.grad(with_own_out, target=target)(X, out=5.0), [5.0] * 3)
    np.testing.assert_array_equal(adc.grad(with_more, target=target)(X, out=4.0), [4.0] * 3)


def calls_inside(x):
    return np.sum(adc.grad(cubes)(x, out=x))


def test_inside_a_function_it_is_refused():
    with pytest.raises(adc.UnsupportedError, match="out= inside a function that adc reads"):
        adc.grad(calls_inside)(X)


def test_where_the_call_raises():
    def f(x):
        assert x[0] > 0.0, "x must be positive"
        return np.sum(np.sqrt(x))

    g = adc.grad(f)
    out = np.empty(LARGE)
    for n in (3, LARGE):
        with pytest.raises(adc.CheckError, match="x must be positive"):
            g(np.full(n, -1.0), out=out[:n])
        g(np.full(n, 4.0), out=out[:n])
        assert (out[:n] == 0.25).all()


def test_large_results_are_not_copied(monkeypatch):
    g = adc.grad(cubes)
    x = np.ones(LARGE)
    g(x)
    monkeypatch.setattr(into.np, "copyto", None)
    out = np.empty(LARGE)
    assert g(x, out=out) is out and (out == 3.0).all()


def test_without_direct_entries(monkeypatch):
    monkeypatch.setattr(layout, "has_fast_entries", lambda: False)

    def fresh(x):
        return np.sum(x**5)

    g = adc.grad(fresh)
    for n in (3, LARGE):
        out = np.empty(n)
        assert g(np.ones(n), out=out) is out and (out == 5.0).all()
    assert isinstance(g.table.last.run, entry.Careful)


# ---------------------------------------------------------------- built libraries

MODEL = """
import numpy as np

SCALE = np.linspace(1.0, 2.0, 5)


def loss(p, x):
    return np.sum(p["w"] * x) ** 2 + p["b"][0] * np.sum(p["b"][1])


def scaled(x):
    return np.sum(x**2 * SCALE)


def writes(x, out):
    return np.sum(x * out)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if not (shutil.which("gcc") or shutil.which("clang")):
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("out")
    (folder / "kept_out.py").write_text(MODEL)
    specs = [
        make_spec("kept_out:loss", "value_and_grad", sig="{'w': f8[n], 'b': (float, f8[m])}, f8[n]"),
        make_spec("kept_out:scaled", sig="f8[5]"),
        make_spec("kept_out:writes", sig="f8[n], f8[n]"),
    ]
    build(plans([(None, s) for s in specs], folder / "build"), folder)
    yield adc.load(folder / "build" / "kept_out")
    forget("kept_out")


@pytest.mark.parametrize("n", [4, LARGE])
def test_loaded(built, n):
    p, x = {"w": np.ones(n), "b": (2.0, np.ones(3))}, np.ones(n)
    value, want = built.loss_value_and_grad(p, x)
    room = {"w": np.empty(n), "b": (None, np.empty(3))}
    for _ in range(3):
        got_value, got = built.loss_value_and_grad(p, x=x, out=(None, room))
        assert got_value == value and got["w"] is room["w"] and got["b"][1] is room["b"][1] and got["b"][0] == want["b"][0]
        np.testing.assert_array_equal(got["w"], want["w"])
    with pytest.raises(adc.ShapeError, match=r"out\[1\]\['w'\] has dtype float32, and the result float64"):
        built.loss_value_and_grad(p, x, out=(None, {"w": np.empty(n, np.float32), "b": None}))
    y = np.linspace(0.0, 1.0, 5)
    want = built.scaled_grad(y)
    assert built.scaled_grad(y, out=y) is y
    np.testing.assert_array_equal(y, want)
    # its own argument
    np.testing.assert_array_equal(built.writes_grad(np.ones(2), out=np.full(2, 3.0)), [3.0, 3.0])


def test_loaded_functions_take_containers_the_quick_way(built, monkeypatch):
    calls = []
    slow = Function.careful
    monkeypatch.setattr(Function, "careful", lambda self, *args: calls.append(1) or slow(self, *args))
    p, x = {"w": X, "b": (2.0, X)}, X
    want = built.loss_value_and_grad(p, x)
    del calls[:]
    for _ in range(3):
        np.testing.assert_array_equal(built.loss_value_and_grad(p, x)[1]["w"], want[1]["w"])
        np.testing.assert_array_equal(built.loss_value_and_grad(x=x, p=p)[1]["w"], want[1]["w"])
    assert not calls
    with pytest.raises(adc.UnsupportedError, match="in the order that it was built for"):
        built.loss_value_and_grad({"b": (2.0, X), "w": X}, x)
    with pytest.raises(adc.UnsupportedError, match="build it for that signature too"):
        built.loss_value_and_grad({"w": X}, x)
    with pytest.raises(adc.UnsupportedError, match="build it for that signature too"):
        built.loss_value_and_grad({"w": X, "b": [2.0, X]}, x)
    with pytest.raises(adc.UnsupportedError, match=r": p\['w'\] is f4\[3\], built for f8\[n\]"):
        built.loss_value_and_grad({"w": X.astype(np.float32), "b": (2.0, X)}, x)
    with pytest.raises(adc.ShapeError):
        built.loss_value_and_grad({"w": X[:2], "b": (2.0, X)}, x)


def test_what_a_built_function_cannot_do_is_said(built):
    says = "kept_out.scaled_grad is built: adc has its machine code and not its source"
    for use in (lambda: adc.grad(built.scaled_grad)(X), lambda: adc.scipy_objective(built.scaled_grad, like=X)(X), lambda: adc.log_density(built.scaled_grad, X)):
        with pytest.raises(adc.UnsupportedError, match=says):
            use()
    with pytest.raises(AttributeError, match="kept_out has no function 'nothing': it has loss_value_and_grad, scaled_grad, writes_grad"):
        _ = built.nothing
    with pytest.raises(adc.UnsupportedError, match="was given no example arguments"):
        adc.c_function(adc.grad(cubes))
