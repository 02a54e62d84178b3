"""Compiled functions under other libraries' calling conventions, each against the real library."""

from __future__ import annotations

import ctypes
import doctest
import importlib
import os
import subprocess
import sys
import threading
import warnings
from collections import namedtuple
from pathlib import Path

import numba
import numpy as np
import pytest
from scipy import LowLevelCallable, integrate, ndimage, optimize

import adc
from adc.errors import CheckError, ShapeError, UnsupportedError
from adc.interop import adapter
from tests.helpers import numeric_gradient

ROOT = Path(__file__).resolve().parents[1]
DOUBLES = ctypes.POINTER(ctypes.c_double)
RNG = np.random.default_rng(0)
Pair = namedtuple("Pair", "w b")
SCALE = np.array([1.0, 2.0, 3.0])


def pointer(a):
    return a.ctypes.data_as(DOUBLES)


# ---------------------------------------------------------------- functions


def logistic(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def through_scratch(x):
    """The reverse sweep needs every s: a stack as long as x."""
    s = 1.0
    for k in range(len(x)):
        s = np.sin(s * x[k]) + 0.5 * s
    return s


def until(x):
    """A loop whose trips only the data know: the reverse sweep's buffers grow."""
    s, total = x, 0.0
    while s < 1000.0:
        s = s * 1.01 + 0.01 * np.sin(s)
        total += s * s
    return total


def asserted(x):
    assert x[0] > 0.0
    return np.sum(np.log(x))


def captured(x):
    return np.sum(SCALE * x * x)


def stepped(x, n, flag, k):
    """`n` is a trip count, `k` an exponent that must be static, `flag` a bool."""
    y = x
    for _ in range(n):
        y = y + 0.1 * y**k
    return np.sum(y) if flag else np.sum(y * y)


def powers(x, axis):
    return np.sum(np.sum(x, axis=axis) ** 2)


def single(x):
    return np.sum(x * x * np.float32(0.5))


def containers(p, x):
    return np.sum((x @ p[0] + p[1]) ** 2)


def aux(w):
    return np.sum(w**3), {"not": "for Numba", "w": w}


# ---------------------------------------------------------------- inside Numba


def test_numba_descends_as_python_does():
    w, X, y = RNG.normal(size=3), RNG.normal(size=(20, 3)), RNG.integers(0, 2, 20).astype(float)
    gradient = adc.value_and_grad(logistic)
    f = adc.numba_callable(gradient, w, X, y)

    @numba.njit
    def descend(w, X, y, steps):
        w, w_bar, losses = w.copy(), np.empty_like(w), np.zeros(steps)
        for k in range(steps):
            losses[k], _ = f(w, X, y, w_bar)
            w -= 0.5 * w_bar
        return w, losses

    found, losses = descend(w, X, y, 30)
    for k in range(30):
        value, w_bar = gradient(w, X, y)
        np.testing.assert_allclose(losses[k], value, rtol=1e-12)
        w = w - 0.5 * w_bar
    np.testing.assert_allclose(found, w, rtol=1e-12)


def test_numba_results_are_new_arrays_or_the_callers():
    f = adc.numba_callable(adc.grad(captured), np.ones(3))
    x = np.array([1.0, 2.0, 3.0])
    a, b = f(x), f(x)
    assert a is not b and not np.shares_memory(a, b)
    out = np.zeros(3)
    f(x, out)
    f(x, x_bar=out)
    np.testing.assert_array_equal(out, 2.0 * SCALE * x)
    np.testing.assert_array_equal(a, out)


def test_numba_takes_any_length():
    f = adc.numba_callable(adc.value_and_grad(through_scratch), np.ones(5))
    for n in (2, 3, 900, 1100, 5000):  # the stack holds 1,024 numbers
        x = RNG.uniform(0.5, 1.5, n)
        value, gradient = adc.value_and_grad(through_scratch)(x)
        got, bar = f(x)
        np.testing.assert_allclose(got, value, rtol=1e-14)
        np.testing.assert_allclose(bar, gradient, rtol=1e-13)


def test_numba_sizes_that_do_not_fit():
    w, X, y = np.ones(3), np.ones((4, 3)), np.ones(4)
    f = adc.numba_callable(adc.grad(logistic), w, X, y)
    with pytest.raises(ShapeError, match="X of logistic_grad has another length along axis 1"):
        f(w, X[:, :2].copy(), y)
    with pytest.raises(ShapeError, match="shorter than 2"):
        f(w, X[:1], y[:1])
    with pytest.raises(ShapeError, match="buffer w_bar"):
        f(w, X, y, np.zeros(2))
    one = adc.numba_callable(adc.grad(logistic), w, X[:1], y[:1])
    np.testing.assert_allclose(one(w, X[:1], y[:1]), adc.grad(logistic)(w, X[:1], y[:1]), rtol=1e-13)
    with pytest.raises(ShapeError):
        one(w, X, y)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda w, X, y: (w.astype("f4"), X, y),
        lambda w, X, y: (w, X[:, ::-1], y),
        lambda w, X, y: (w, np.asfortranarray(X), y),
        lambda w, X, y: (w, X[0], y),
        lambda w, X, y: (w, X, 1.0),
        lambda w, X, y: (w, X, y, np.zeros(3, "f4")),
    ],
)
def test_numba_types_that_do_not_fit(wrong):
    args = np.ones(3), np.ones((4, 3)), np.ones(4)
    f = adc.numba_callable(adc.grad(logistic), *args)
    with pytest.raises(numba.TypingError, match=r"adc: (argument|buffer) \w+ of logistic_grad is .*was compiled for array\(float64"):
        f(*wrong(*args))


def test_numba_numbers_bools_and_static_integers():
    x = np.array([1.0, 2.0])
    gradient = adc.grad(stepped)
    f = adc.numba_callable(gradient, x, 3, True, 2)

    @numba.njit
    def both(x, n):
        return f(x, n, True, 2) + f(x, n, x[0] > 5.0, 2)

    np.testing.assert_allclose(both(x, 5), gradient(x, 5, True, 2) + gradient(x, 5, False, 2))
    with pytest.raises(numba.TypingError, match="adc: argument n"):
        f(x, 3.5, True, 2)
    g = adc.numba_callable(adc.grad(powers), np.ones((2, 3)), 1)
    np.testing.assert_array_equal(g(np.ones((2, 3)), 1), np.full((2, 3), 6.0))
    with pytest.raises(ShapeError, match="compiled for axis = 1"):
        g(np.ones((2, 3)), 0)


def test_numba_float32():
    x = np.array([1.0, 2.0], np.float32)
    value, gradient = adc.numba_callable(adc.value_and_grad(single), x)(x)
    assert gradient.dtype == np.float32 and value == np.float32(2.5)
    np.testing.assert_array_equal(gradient, x)


def test_numba_containers():
    X, p = RNG.normal(size=(4, 3)), (RNG.normal(size=3), 0.5)
    want = adc.grad(containers)(p, X)
    f = adc.numba_callable(adc.grad(containers), p, X)
    got = f(p, X)
    assert isinstance(got, tuple)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-13)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-13)
    named = Pair(*p)
    g = adc.numba_callable(adc.grad(containers), named, X)
    assert type(g(named, X)).__name__ == "Pair" and abs(g(named, X).b / want[1] - 1.0) < 1e-13
    with pytest.raises(UnsupportedError, match=r"(?s)container|list.*tuples"):
        adc.numba_callable(adc.grad(containers), list(p), X)
    with pytest.raises(UnsupportedError, match="(?s)dict.*tuples"):
        adc.numba_callable(adc.grad(aux, has_aux=True), np.ones(3))


def test_numba_failed_checks():
    f = adc.numba_callable(adc.grad(asserted), np.ones(3))

    @numba.njit
    def caught(x):
        try:
            return f(x)
        except Exception:
            return np.zeros(1)

    with pytest.raises(CheckError, match=r"test_interop.py:\d+"):
        f(np.array([-1.0, 2.0]))
    assert len(caught(np.array([-1.0, 2.0]))) == 1
    np.testing.assert_array_equal(caught(np.array([1.0, 2.0])), [1.0, 0.5])


def test_numba_grows_buffers_and_runs_in_threads():
    f = adc.numba_callable(adc.value_and_grad(until), 1.0)

    @numba.njit(nogil=True)
    def many(xs, values, bars):
        for k in range(len(xs)):
            values[k], bars[k] = f(xs[k])

    xs = np.geomspace(1e-3, 900.0, 50)
    want = [adc.value_and_grad(until)(float(x)) for x in xs]
    kept = [(np.zeros(50), np.zeros(50)) for _ in range(4)]
    threads = [threading.Thread(target=many, args=(xs, *k)) for k in kept]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for values, bars in kept:
        np.testing.assert_allclose(values, [float(v) for v, _ in want], rtol=1e-12)
        np.testing.assert_allclose(bars, [float(b) for _, b in want], rtol=1e-12)


def test_numba_does_not_cache_addresses(tmp_path):
    (tmp_path / "user.py").write_text(
        "import numba, numpy as np, adc\n\ndef f(x):\n    return np.sum(x * x)\n\n"
        "g = adc.numba_callable(adc.grad(f), np.ones(2))\n\n@numba.njit(cache=True)\ndef user(x):\n    return g(x)\n\n"
        "import warnings\nwith warnings.catch_warnings(record=True) as seen:\n    warnings.simplefilter('always')\n"
        "    assert user(np.ones(3))[0] == 2.0\nassert any('dynamic globals' in str(w.message) for w in seen), seen\n"
    )
    done = subprocess.run([sys.executable, "user.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_data_that_changes_later_is_not_seen(monkeypatch):
    data = np.array([1.0, 2.0, 3.0])
    monkeypatch.setitem(globals(), "SCALE", data)
    f = adc.numba_callable(adc.grad(captured), np.ones(3))
    before = f(np.ones(3))
    data[:] = 7.0
    np.testing.assert_array_equal(f(np.ones(3)), before)


# ---------------------------------------------------------------- plain C


def test_c_function_through_ctypes_and_cffi():
    cffi = pytest.importorskip("cffi")
    w, X, y = RNG.normal(size=3), RNG.normal(size=(20, 3)), RNG.integers(0, 2, 20).astype(float)
    f = adc.c_function(adc.value_and_grad(logistic), w, X, y)
    value, w_bar = np.zeros(1), np.zeros(3)
    sizes = [(w, X, y)[b.param].shape[b.axis] for b in f.sizes]
    assert f.ctypes(f.state, pointer(w), pointer(X), pointer(y), *sizes, pointer(value), pointer(w_bar)) == 0
    want = adc.value_and_grad(logistic)(w, X, y)
    np.testing.assert_allclose(value[0], want[0], rtol=1e-14)
    np.testing.assert_allclose(w_bar, want[1], rtol=1e-13)
    ffi = cffi.FFI()
    ffi.cdef(f.prototype + ";")  # the declaration is C
    g = f.cffi(ffi)
    cast = [ffi.from_buffer("double[]", a) for a in (w, X, y, value, w_bar)]
    w_bar[:] = 0.0
    assert g(ffi.cast("void *", f.state), *cast[:3], *sizes, *cast[3:]) == 0
    np.testing.assert_allclose(w_bar, want[1], rtol=1e-13)


def test_c_function_codes():
    f = adc.c_function(adc.grad(asserted), np.ones(3))
    x, bar = np.array([-1.0, 2.0]), np.zeros(2)
    assert f.ctypes(f.state, pointer(x), 2, pointer(bar)) == 1 and len(f.checks) == 1
    assert f.ctypes(f.state, pointer(x), 1, pointer(bar)) == adapter.SIZES
    x[0] = 4.0
    assert f.ctypes(f.state, pointer(x), 2, pointer(bar)) == 0 and bar[0] == 0.25


def test_what_has_no_c_function():
    with pytest.raises(UnsupportedError, match="depends on data"):
        adc.c_function(lambda x: x[x > 0.0], np.ones(3))
    with pytest.raises(UnsupportedError, match='target="cpu"'):
        adc.c_function(adc.grad(captured, target="numpy"), np.ones(3))


@pytest.mark.parametrize("linker", [None, ""])
def test_a_new_process_needs_no_compiler(tmp_path, linker):
    """Adapters are kept on disk: neither Numba nor (where objects can be linked) llvmlite is imported again."""
    (tmp_path / "user.py").write_text(
        "import sys, numpy as np, adc\n\ndef logp(x, y):\n    return -0.5 * np.sum((x - y) ** 2)\n\n"
        "d = adc.log_density(logp, np.zeros(3), np.ones(3))\nprint(d(np.zeros(3))[1])\n"
        "print('numba' in sys.modules, 'llvmlite' in sys.modules, 'adc.frontend' in sys.modules)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "ADC_CACHE_DIR": str(tmp_path / "cache")}
    if linker is not None:
        env["ADC_LINKER"] = linker
    first, second = (subprocess.run([sys.executable, "user.py"], cwd=tmp_path, env=env, capture_output=True, text=True) for _ in range(2))
    assert first.returncode == 0, first.stderr
    lines = second.stdout.splitlines()
    assert lines[0] == first.stdout.splitlines()[0] == "[1. 1. 1.]"
    assert lines[1] == ("False False False" if linker is None else "False True False")


# ---------------------------------------------------------------- scipy.integrate, scipy.ndimage


def damped(x, a, b):
    return np.exp(-a * x) * np.cos(b * x)


def test_quad_of_a_gradient():
    gradient = adc.grad(damped, argnums=1)
    want, _ = integrate.quad(lambda x: float(gradient(x, 2.0, 3.0)), 0.0, 2.0)
    fixed = adc.scipy_callable(gradient, 0.5, bound=(2.0, 3.0))
    assert isinstance(fixed, LowLevelCallable) and abs(integrate.quad(fixed, 0.0, 2.0)[0] / want - 1.0) < 1e-13
    free = adc.scipy_callable(gradient, 0.5, 2.0, 3.0)
    assert abs(integrate.quad(free, 0.0, 2.0, args=(2.0, 3.0))[0] / want - 1.0) < 1e-13
    # a derivative of the integral by differences of SciPy's own results
    around = [integrate.quad(lambda x, a=a: np.exp(-a * x) * np.cos(3.0 * x), 0.0, 2.0)[0] for a in (2.0 + 1e-5, 2.0 - 1e-5)]
    assert abs((around[0] - around[1]) / 2e-5 - want) < 1e-8


def test_nquad_of_numbers_and_of_a_vector():
    want = integrate.nquad(damped, [[0.0, 1.0]] * 3)[0]
    assert abs(integrate.nquad(adc.scipy_callable(damped, 0.1, 0.1, 0.1), [[0.0, 1.0]] * 3)[0] - want) < 1e-13
    vector = adc.scipy_callable(lambda v: np.exp(-v[1] * v[0]) * np.cos(v[2] * v[0]), np.ones(3))
    assert abs(integrate.nquad(vector, [[0.0, 1.0]] * 3)[0] - want) < 1e-13


def test_integrand_with_an_array():
    points = np.linspace(0.0, 1.0, 7)
    f = adc.scipy_callable(adc.grad(lambda x, p: np.sum(np.exp(-((x - p) ** 2)))), 0.3, bound=(points,))
    want = np.sum(np.exp(-((1.0 - points) ** 2)) - np.exp(-(points**2)))  # the integral of a derivative
    assert abs(integrate.quad(f, 0.0, 1.0)[0] - want) < 1e-12


def test_integrand_says_nan_where_a_check_fails():
    def short(x):
        assert x < 0.5
        return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(integrate.quad(adc.scipy_callable(short, 0.1), 0.0, 1.0)[0])
    assert integrate.quad(adc.scipy_callable(short, 0.1), 0.0, 0.4)[0] == pytest.approx(0.08)


IMAGE = np.random.default_rng(3).random((17, 23))


def test_generic_filter():
    weights = np.array([1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]) / 16.0

    def spread(v, w):
        m = np.sum(w * v)
        return np.sqrt(np.sum(w * (v - m) ** 2))

    f = adc.scipy_callable(spread, np.ones(9), bound=(weights,), caller="generic_filter")
    want = ndimage.generic_filter(IMAGE, lambda v: spread(v, weights), size=3)
    np.testing.assert_allclose(ndimage.generic_filter(IMAGE, f, size=3), want, rtol=1e-13)
    with pytest.raises(RuntimeError):
        ndimage.generic_filter(IMAGE, f, size=5)  # 25 values, 9 weights
    free = adc.scipy_callable(lambda v: np.max(v) - np.min(v), np.ones(9), caller="generic_filter")
    for size in (3, 5):
        np.testing.assert_array_equal(ndimage.generic_filter(IMAGE, free, size=size), ndimage.generic_filter(IMAGE, np.ptp, size=size))


def test_generic_filter1d():
    kernel = np.array([0.25, 0.5, 0.25])

    def blur(line, k):
        out = np.zeros(len(line) - len(k) + 1)
        for j in range(len(k)):
            out += k[j] * line[j : j + len(out)]
        return out

    f = adc.scipy_callable(blur, np.ones(9), bound=(kernel,), caller="generic_filter1d")
    np.testing.assert_allclose(ndimage.generic_filter1d(IMAGE, f, 3), ndimage.correlate1d(IMAGE, kernel), rtol=1e-14)
    with pytest.raises(RuntimeError):
        ndimage.generic_filter1d(IMAGE, f, 5)


def test_geometric_transform():
    def shrink(c):
        return (c[0] * 0.5 + 0.1 * c[1], c[1] * 0.7)

    want = ndimage.geometric_transform(IMAGE, shrink)
    f = adc.scipy_callable(shrink, (1, 1), caller="geometric_transform")
    np.testing.assert_allclose(ndimage.geometric_transform(IMAGE, f), want, rtol=1e-13, atol=1e-14)
    g = adc.scipy_callable(lambda c: c * 0.5 + 1.0, np.array([1, 1]), caller="geometric_transform")
    half = ndimage.geometric_transform(IMAGE, lambda c: (c[0] * 0.5 + 1.0, c[1] * 0.5 + 1.0))
    np.testing.assert_allclose(ndimage.geometric_transform(IMAGE, g), half, rtol=1e-13, atol=1e-14)
    with pytest.raises(RuntimeError):
        ndimage.geometric_transform(np.ones((3, 3, 3)), f)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: adc.scipy_callable(adc.value_and_grad(np.sin), 1.0), "takes one number"),
        (lambda: adc.scipy_callable(np.sin, np.float32(1.0)), "float64"),
        (lambda: adc.scipy_callable(lambda: 1.0), "no argument"),
        (lambda: adc.scipy_callable(np.sin, 1.0, caller="nobody"), "generic_filter"),
        (lambda: adc.scipy_callable(lambda v: v, np.ones(3), caller="generic_filter"), "takes one number"),
        (lambda: adc.scipy_callable(lambda x: x > 0.5, 1.0), "float64 is what"),
        (lambda: adc.scipy_objective(np.sin, like={"n": 3}), "only floats"),
        (lambda: adc.scipy_objective(np.sin).x0, "like="),
    ],
)
def test_what_scipy_cannot_take(make, message):
    with pytest.raises(UnsupportedError, match=message):
        make()


# ---------------------------------------------------------------- scipy.optimize


def squares(p, X, y):
    return np.mean((X @ p["w"] + p["b"] - y) ** 2)


X0 = np.random.default_rng(4).normal(size=(30, 3))
Y0 = X0 @ np.array([1.0, -2.0, 3.0]) + 0.5


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "Newton-CG", "trust-ncg"])
def test_minimize(method):
    fun = adc.scipy_objective(squares, like={"w": np.zeros(3), "b": 0.0})
    second = {"Newton-CG": {"hess": fun.hess}, "trust-ncg": {"hessp": fun.hessp}}.get(method, {})
    found = optimize.minimize(fun, fun.x0, args=(X0, Y0), jac=True, method=method, **second)
    assert found.success
    p = fun.unflatten(found.x)
    np.testing.assert_allclose(p["w"], [1.0, -2.0, 3.0], atol=2e-4)
    assert isinstance(p["b"], float) and abs(p["b"] - 0.5) < 2e-4


def test_objective_of_a_vector():
    fun = adc.scipy_objective(logistic)
    w, X, y = RNG.normal(size=3), RNG.normal(size=(20, 3)), RNG.integers(0, 2, 20).astype(float)
    value, gradient = fun(w, X, y)
    assert type(value) is float
    np.testing.assert_allclose(gradient, numeric_gradient(logistic, (w, X, y), 0), rtol=1e-6)
    np.testing.assert_allclose(fun.hess(w, X, y) @ gradient, fun.hessp(w, gradient, X, y), rtol=1e-10)
    named = adc.scipy_objective(squares, like={"w": np.zeros(3), "b": 0.0})
    x = RNG.normal(size=4)
    steps = np.stack([(named(x + 1e-6 * e, X0, Y0)[1] - named(x - 1e-6 * e, X0, Y0)[1]) / 2e-6 for e in np.eye(4)])
    np.testing.assert_allclose(named.hess(x, X0, Y0), steps, atol=1e-7)


def test_least_squares():
    t = np.linspace(0.0, 2.0, 25)

    def decay(p, t, y):
        return p["height"] * np.exp(-p["rate"][0] * t) + p["rate"][1] - y

    y = 3.0 * np.exp(-2.0 * t) + 0.25
    fun, jac = adc.scipy_residuals(decay, like={"height": 1.0, "rate": np.array([1.0, 0.0])})
    found = optimize.least_squares(fun, fun.x0, jac=jac, args=(t, y))
    p = fun.unflatten(found.x)
    np.testing.assert_allclose([p["height"], *p["rate"]], [3.0, 2.0, 0.25], rtol=1e-8)
    x = np.array([2.0, 1.5, 0.1])
    columns = [(fun(x + 1e-6 * e, t, y) - fun(x - 1e-6 * e, t, y)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(jac(x, t, y), np.stack(columns, axis=1), atol=1e-8)
    np.testing.assert_array_equal(jac(x, t[:2], y[:2]), jac(x, t, y)[:2])  # other data, other length
    wide, wide_jac = adc.scipy_residuals(lambda x: x[:2] * x[2:4] - 1.0)
    np.testing.assert_array_equal(wide_jac(np.array([1.0, 2.0, 3.0, 4.0])), [[3.0, 0.0, 1.0, 0.0], [0.0, 4.0, 0.0, 2.0]])
    assert wide(np.ones(4)).shape == (2,)


# ---------------------------------------------------------------- densities


SCHOOLS_Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCHOOLS_S = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def schools(p, y, sigma):
    """Eight schools (Rubin 1981), non-centred: mu ~ N(0, 5), tau ~ half-Cauchy(5)."""
    tau = np.exp(p["log_tau"])
    r = (y - (p["mu"] + tau * p["z"])) / sigma
    prior = -0.5 * (p["mu"] / 5.0) ** 2 - np.log1p((tau / 5.0) ** 2) + p["log_tau"]
    return prior - 0.5 * np.sum(p["z"] * p["z"]) - 0.5 * np.sum(r * r)


def effects(p):
    tau = np.exp(p["log_tau"])
    return {"mu": p["mu"], "tau": tau, "theta": p["mu"] + tau * p["z"]}


PARAMS = {"mu": 0.0, "log_tau": 0.0, "z": np.zeros(8)}


def schools_exactly():
    """Moments by integrating mu and theta out by hand and tau by quadrature: {name: (mean, sd)}."""
    def given(tau):
        v = SCHOOLS_S**2 + tau**2
        precision = np.sum(1.0 / v) + 1.0 / 25.0
        m = np.sum(SCHOOLS_Y / v) / precision
        log = 0.5 * m * m * precision - 0.5 * np.sum(SCHOOLS_Y**2 / v) - 0.5 * np.sum(np.log(v)) - 0.5 * np.log(precision)
        return np.exp(log) / (1.0 + (tau / 5.0) ** 2), m, 1.0 / precision

    tau = np.concatenate([np.linspace(0.0, 60.0, 6001)[1:], np.geomspace(60.0, 3000.0, 4000)[1:]])
    weight, mean, var = map(np.array, zip(*map(given, tau)))
    total = np.trapezoid(weight, tau)

    def average(values):
        return np.trapezoid(weight * values, tau) / total

    found = {"mu": (average(mean), np.sqrt(average(var + mean**2) - average(mean) ** 2))}
    found["tau"] = average(tau), np.sqrt(average(tau**2) - average(tau) ** 2)
    shrink = tau**2 / (tau**2 + SCHOOLS_S[0] ** 2)
    theta = mean + shrink * (SCHOOLS_Y[0] - mean)
    spread = shrink * SCHOOLS_S[0] ** 2 + (1.0 - shrink) ** 2 * var
    found["theta"] = average(theta), np.sqrt(average(spread + theta**2) - average(theta) ** 2)
    return found


def test_log_density():
    density = adc.log_density(schools, PARAMS, SCHOOLS_Y, SCHOOLS_S)
    x = RNG.normal(size=10)
    p = density.unflatten(x)
    value, gradient = density(x)
    want, tree = adc.value_and_grad(schools)(p, SCHOOLS_Y, SCHOOLS_S)
    np.testing.assert_allclose([value, density(p)[0]], want, rtol=1e-14)
    np.testing.assert_allclose(gradient, density.flatten(tree), rtol=1e-13)
    logp, grad = ctypes.c_double(), np.zeros(10)
    call = density.ctypes
    assert call(10, pointer(x), pointer(grad), ctypes.byref(logp), density.state) == 0 and logp.value == value
    assert call(9, pointer(x), pointer(grad), ctypes.byref(logp), density.state) == adapter.SIZES
    x[density.names.index("log_tau")] = 800.0  # overflows
    assert call(10, pointer(x), pointer(grad), ctypes.byref(logp), density.state) in (3, 4)


def test_log_density_refusals():
    with pytest.raises(UnsupportedError, match="float64"):
        adc.log_density(lambda x: -np.sum(x * x), np.zeros(3, np.float32))
    with pytest.raises(UnsupportedError, match="only floats"):
        adc.log_density(lambda p: -p["x"], {"x": 0.0, "n": 3})

    def guarded(x):
        assert x[0] < 1.0, "too far"
        return -np.sum(x * x)

    density = adc.log_density(guarded, np.zeros(2))
    with pytest.raises(CheckError, match="too far"):
        density(np.array([2.0, 0.0]))
    with pytest.raises(UnsupportedError, match="names"):
        density.nutpie()


def test_nutpie_recovers_the_moments_of_eight_schools():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nutpie = pytest.importorskip("nutpie", reason="nutpie is not installed: pip install nutpie")
        density = adc.log_density(schools, PARAMS, SCHOOLS_Y, SCHOOLS_S, expand=effects)
        model = density.nutpie(coords={"school": list("ABCDEFGH")}, dims={"theta": ("school",)}, initial=PARAMS)
        trace = nutpie.sample(model, draws=4000, tune=1000, chains=4, seed=7, progress_bar=False)
    posterior = trace.posterior
    assert posterior["theta"].dims == ("chain", "draw", "school") and posterior.sizes["draw"] == 4000
    drawn = {"mu": posterior["mu"], "tau": posterior["tau"], "theta": posterior["theta"].sel(school="A")}
    for name, (mean, sd) in schools_exactly().items():
        # 16,000 draws, some thousands effective: an error of the mean of about sd / 60
        assert abs(float(drawn[name].mean()) - mean) < 0.1 * sd, name
        assert abs(float(drawn[name].std()) / sd - 1.0) < (0.15 if name == "tau" else 0.08), name


def test_nutpie_without_expand_and_with_wrong_names():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nutpie = pytest.importorskip("nutpie", reason="nutpie is not installed: pip install nutpie")
        density = adc.log_density(lambda p: -0.5 * np.sum(p["a"] ** 2) - 0.5 * ((p["b"] - 3.0) / 2.0) ** 2, {"a": np.zeros((2, 2)), "b": 0.0})
        trace = nutpie.sample(density.nutpie(), draws=1000, tune=500, chains=2, seed=1, progress_bar=False, store_unconstrained=True)
    assert trace.posterior["a"].shape == (2, 1000, 2, 2)
    assert abs(float(trace.posterior["b"].mean()) - 3.0) < 0.4 and abs(float(trace.posterior["b"].std()) - 2.0) < 0.4
    places = list(trace.sample_stats["unconstrained_draw"].coords["unconstrained_parameter"].values)
    assert places == ["a_0_0", "a_0_1", "a_1_0", "a_1_1", "b"]
    with pytest.raises(UnsupportedError, match="coords"):
        density.nutpie(dims={"a": ("row", "column")})
    with pytest.raises(UnsupportedError, match="dims names"):
        density.nutpie(dims={"q": ()})


# ---------------------------------------------------------------- the pages and the examples of docstrings


@pytest.mark.parametrize("module", ["inside_numba", "for_scipy", "density", "c_abi", "prototypes"])
def test_docstrings(module):
    found = doctest.testmod(importlib.import_module(f"adc.interop.{module}"))
    assert found.attempted and not found.failed


@pytest.mark.parametrize("page", ["inside_numba", "scipy", "mcmc"])
def test_pages(page, request):
    if page == "mcmc":
        pytest.importorskip("nutpie", reason="nutpie is not installed: pip install nutpie")
    from tests import test_docs

    test_docs.test_blocks_print_what_the_page_says(f"docs/{page}.md", request)
