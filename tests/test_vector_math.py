"""The elementary functions of compiled code: accuracy against mpmath, special values, vectors, no C library.

Every value goes through a kernel, as users' do: long arrays (vectors and what remains), single numbers, float32 and
float64, with and without fused multiply-add.
"""

from __future__ import annotations

import ast
import math
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import adc
from adc.backend import cpu
from adc.backend.vector_math import SYMBOLS
from adc.ir import Sym, Tensor, size, trace
from adc.ops import routines
from adc.ops.core import PRIMITIVES

mp = pytest.importorskip("mpmath")

DTYPES = (np.float64, np.float32)
LIMIT = 2.0
"""units in the last place"""


def exp(x):
    return np.exp(x)


def exp2(x):
    return np.exp2(x)


def expm1(x):
    return np.expm1(x)


def tanh(x):
    return np.tanh(x)


def expit(x):
    return scipy.special.expit(x)


def log(x):
    return np.log(x)


def log2(x):
    return np.log2(x)


def log10(x):
    return np.log10(x)


def log1p(x):
    return np.log1p(x)


def sin(x):
    return np.sin(x)


def cos(x):
    return np.cos(x)


def erf(x):
    return scipy.special.erf(x)


def erfc(x):
    return scipy.special.erfc(x)


def softplus(x):
    return np.logaddexp(0.0, x)


def power(x, y):
    return x**y


def logaddexp(x, y):
    return np.logaddexp(x, y)


EXACT: dict[Callable[..., Any], Callable[[Any], Any]] = {
    exp: lambda x: mp.exp(x),
    exp2: lambda x: mp.power(2, x),
    expm1: lambda x: mp.expm1(x),
    tanh: lambda x: mp.tanh(x),
    expit: lambda x: 1 / (1 + mp.exp(-x)),
    log: lambda x: mp.log(x),
    log2: lambda x: mp.log(x) / mp.log(2),
    log10: lambda x: mp.log(x) / mp.log(10),
    log1p: lambda x: mp.log1p(x),
    sin: lambda x: mp.sin(x),
    cos: lambda x: mp.cos(x),
    erf: lambda x: mp.erf(x),
    erfc: lambda x: mp.erfc(x) if abs(x) < 40 else mp.mpf(0 if x > 0 else 2),
    softplus: lambda x: mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x)),
}
WHERE: dict[Callable[..., Any], tuple[tuple[float, float], ...]] = {
    exp: ((-746.0, 711.0), (-105.0, 89.0), (-1.0, 1.0)),
    exp2: ((-1076.0, 1025.0), (-151.0, 129.0), (-1.0, 1.0)),
    expm1: ((-40.0, 90.0), (-1.1, 1.1), (-1e-3, 1e-3)),
    tanh: ((-22.0, 22.0), (-1.0, 1.0), (-1e-3, 1e-3)),
    expit: ((-746.0, 40.0), (-105.0, 20.0), (-3.0, 3.0)),
    log: ((0.0, 10.0), (0.5, 2.0), (0.999, 1.001)),
    log2: ((0.0, 10.0), (0.5, 2.0), (0.999, 1.001)),
    log10: ((0.0, 10.0), (0.5, 2.0), (0.999, 1.001)),
    log1p: ((-1.0, 3.0), (-0.01, 0.01), (0.0, 1e10)),
    sin: ((-7.0, 7.0), (-2e5, 2e5), (-1e13, 1e13)),
    cos: ((-7.0, 7.0), (-2e5, 2e5), (-1e13, 1e13)),
    erf: ((-6.0, 6.0), (-1.1, 1.1)),
    erfc: ((-6.0, 27.3), (-1.1, 1.1), (0.9, 3.0)),
    softplus: ((-740.0, 40.0), (-3.0, 3.0)),
}
SPECIAL = [
    0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 10.0, 1000.0, 8.0, 1024.0, -1074.0,
    5e-324, -5e-324, 1e-310, -1e-310, 2.2250738585072014e-308, 1.5e308, 1.7976931348623157e308, -1.7976931348623157e308,
    1e-45, -1e-45, 1e-40, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 2e38, 1.0 + 2.0**-52, 1.0 - 2.0**-53, -1.0 + 2.0**-53,
    2.0**52, 2.0**52 + 1.0, 2.0**53 - 1.0, 2.0**53, 2.0**54, -(2.0**53) + 1.0, 2.0**23 + 1.0, 2.0**24 - 1.0, 1.0 + 2.0**-23,
    709.782712893384, 709.7827128933841, 709.78, -708.39641853226408, -745.1332191019411, -745.1332191019412, -745.14,
    88.72283172607422, 88.72283935546875, -87.336544, -103.97207, -103.97208, 127.99999, 128.0, -149.5, -1075.0,
    2.0**38, 2.0**38 + 1.0, 1e5, 1.00001e5, 1e22, 6381956970095103.0 * 2.0**797, 5.319372648326541e255, 2.608e11, math.pi, math.pi / 2,
    0.9999999999999999, 1.0000000000000002, 26.5, 27.2, 27.3, 9.2, 10.1, 0.4, -0.4,
]  # fmt: skip


def bit_patterns(dtype: Any, n: int, rng: np.random.Generator) -> Any:
    word = np.uint64 if dtype is np.float64 else np.uint32
    return rng.integers(0, np.iinfo(word).max, n, word, endpoint=True).view(dtype)


def multiples_of_pi(n: int, rng: np.random.Generator) -> Any:
    """The numbers nearest to multiples of pi / 2, where the result is smallest."""
    with mp.workprec(1200):
        return np.array([float(int(10.0 ** rng.uniform(0, 15)) * 2 ** int(e) * mp.pi / 2) for e in rng.integers(0, 900, n)])


def points(f: Callable[..., Any], dtype: Any) -> Any:
    rng = np.random.default_rng(7)
    parts = [bit_patterns(dtype, 300, rng), np.array(SPECIAL)]
    parts += [rng.uniform(a, b, 300) for a, b in WHERE[f]]
    parts.append(np.ldexp(rng.uniform(-1.0, 1.0, 200), rng.integers(-60, 6, 200)))
    if f in (sin, cos):
        parts += [multiples_of_pi(150, rng), np.arange(1, 100) * (math.pi / 2)]
    with np.errstate(over="ignore"):
        return np.concatenate([p.astype(dtype) for p in parts])


def error(y: Any, exact: Any, dtype: Any) -> float:
    """|y - exact| in units in the last place; beyond the largest number there is one more, which is infinity."""
    info = np.finfo(dtype)
    edge = mp.mpf(2) ** int(info.maxexp)
    exact = max(-edge, min(edge, exact))
    y = mp.sign(exact) * edge if np.isinf(y) and np.sign(y) == mp.sign(exact) else mp.mpf(float(y))
    exponent = int(mp.frexp(exact)[1]) - 1 if exact else info.minexp
    return float(abs(y - exact) / mp.mpf(2) ** (max(exponent, int(info.minexp)) - info.nmant))


def check(f: Callable[..., Any], xs: tuple[Any, ...], y: Any, limit: float = LIMIT) -> None:
    """Every result: against NumPy at edges (NaN, infinities, zeros), else against mpmath."""
    dtype = xs[0].dtype.type
    assert y.dtype == dtype
    with np.errstate(all="ignore"):
        edges = f(*(x.astype(np.float64) for x in xs))
    worst: tuple[float, Any, Any] = (0.0, None, None)
    with mp.workprec(160):
        for *a, b, w in zip(*xs, y, edges, strict=True):
            if np.isnan(w):
                assert np.isnan(b), (a, b)
            elif np.isinf(a).any() or (w in (0.0, math.inf, -math.inf) and (0.0 in a or -1.0 in a)):
                assert b == dtype(w) and np.signbit(b) == np.signbit(w), (a, b, w)
            else:
                exact = EXACT[f](*(mp.mpf(float(v)) for v in a))
                worst = max(worst, (error(b, exact, dtype), a, b), key=lambda t: t[0])
    assert worst[0] <= limit, worst


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", WHERE, ids=lambda f: f.__name__)
def test_accuracy(f, dtype):
    x = points(f, dtype)
    check(f, (x,), adc.jit(f)(x))


# ---------------------------------------------------------------- two arguments


def pairs(dtype: Any) -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(8)
    top = 745.0 if dtype is np.float64 else 103.0
    wide = np.exp(rng.uniform(-top, min(top, 709.0), 400))
    near = 1.0 + rng.uniform(-1e-3, 1e-3, 400)
    middle = rng.uniform(0.5, 2.0, 400)
    with np.errstate(over="ignore"):
        cut = [v.astype(dtype) for v in (wide, near, middle)]
        special = np.array(SPECIAL).astype(dtype)
    found = {
        "bits": (bit_patterns(dtype, 400, rng), bit_patterns(dtype, 400, rng)),
        "whole": (rng.uniform(-9.0, 9.0, 400).astype(dtype), rng.integers(-20, 20, 400).astype(dtype)),
        "special": tuple(v.ravel() for v in np.meshgrid(special, special)),
    }
    for name, x in zip(("wide", "near", "middle"), cut, strict=True):
        with np.errstate(divide="ignore"):
            found[name] = (x, (rng.uniform(-top, top, 400) / np.log(x.astype(np.float64))).astype(dtype))
    return found


def exact_power(x: Any, y: Any) -> Any:
    """x ** y; what is far outside the range of doubles is not computed in full."""
    size = y * mp.log(abs(x))
    z = mp.exp(max(-mp.mpf(2000), min(mp.mpf(2000), size)))
    return -z if x < 0 and int(y) % 2 else z


EXACT[power] = exact_power


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ("bits", "whole", "wide", "near", "middle"))
def test_powers(kind, dtype):
    x, y = pairs(dtype)[kind]
    check(power, (x, y), adc.jit(power)(x, y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_special_values(dtype):
    x, y = pairs(dtype)["special"]
    z = adc.jit(power)(x, y)
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    assert np.array_equal(np.isnan(z), np.isnan(want))
    assert np.array_equal(np.signbit(z[~np.isnan(z)]), np.signbit(want[~np.isnan(z)]))
    np.testing.assert_array_max_ulp(z[~np.isnan(z)], want[~np.isnan(z)], 2, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logaddexp(dtype):
    x, y = pairs(dtype)["special"]
    z = adc.jit(logaddexp)(x, y)
    with np.errstate(all="ignore"):
        want = np.logaddexp(x.astype(np.float64), y.astype(np.float64))
        assert np.array_equal(np.isnan(z), np.isnan(want))
        edge = np.isinf(x) | np.isinf(y)
        assert np.array_equal(z[edge], want[edge].astype(dtype), equal_nan=True)
        # where the two summands cancel, the error is that of the larger one
        size = np.maximum(np.abs(want), np.maximum(np.abs(x), np.abs(y)).astype(np.float64))
        inside = np.isfinite(want) & (size < np.finfo(dtype).max)
        assert np.all(np.abs(z - want)[inside] <= 2.0 * np.spacing(size[inside].astype(dtype)))


# ---------------------------------------------------------------- the same code everywhere


def several(x, y):
    return np.exp(x) + np.sin(y) * np.tanh(x), np.log1p(np.abs(x)) ** y, scipy.special.erfc(x), scipy.special.expit(y)


def numbers(a):
    t = np.tanh(a) + np.tanh(a + 1.0) * np.tanh(a + 2.0) + np.tanh(a + 3.0) * np.tanh(a + 4.0) + np.tanh(a * 0.5)
    return t + np.sin(a * 1e9) + np.cos(a * 1e15)


def total(x):
    s = 0.0
    for i in range(x.shape[0]):
        s += np.exp(-x[i]) * np.log(1.0 + x[i] * x[i])
    return s


def guarded(x):
    y = np.zeros(x.shape[0])
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            y[i] = np.log(x[i]) ** 2.0 + x[i] ** 1.5
        else:
            y[i] = np.expm1(x[i])
    return y


def test_single_numbers_and_more_calls_than_are_inlined():
    for a in (0.3, -2.5, 0.0):
        np.testing.assert_allclose(adc.jit(numbers)(a), numbers(a), rtol=4e-15)


def test_sums_and_branches():
    x = np.random.default_rng(3).uniform(-2.0, 2.0, 1003)
    np.testing.assert_allclose(adc.jit(total)(np.abs(x)), total(np.abs(x)), rtol=1e-13)
    np.testing.assert_allclose(adc.jit(guarded)(x), guarded(x), rtol=1e-15)


@pytest.mark.parametrize("n", (0, 1, 2, 3, 5, 8, 17, 35))
def test_every_length(n):
    x, y = np.linspace(-3.0, 3.0, n), np.linspace(-400.0, 400.0, n)
    power = 2e-13  # a power of 400 makes 400 ulp of one ulp of log1p
    for a, b, rtol in zip(adc.jit(several)(x, y), several(x, y), (1e-14, power, 1e-14, 1e-14), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol)


def test_the_same_bits_in_vectors_and_one_by_one():
    # alone in its array every element goes the way of single numbers
    x = np.concatenate([np.linspace(-3.0, 3.0, 21), [1e12, -1e300]])
    whole = adc.jit(several)(x, x)
    for k in range(x.size):
        for a, b in zip(whole, adc.jit(several)(x[k : k + 1], x[k : k + 1]), strict=True):
            assert np.array_equal(a[k : k + 1], b, equal_nan=True)


class Seen:
    """What the compiler made: the optimised modules and the libraries."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.libraries: list[bytes] = []
        self.fused: list[bool] = []


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """Nothing comes from the cache, and everything that is compiled is kept."""
    from adc.backend import pieces, vector_math

    found = Seen()
    define, fused, compile_kernel = vector_math.define, vector_math.fused, pieces.compile_kernel

    def watched_define(module, machine):
        define(module, machine)
        found.modules.append(str(module))

    def watched_fused(machine):
        found.fused.append(fused(machine))
        return found.fused[-1]

    def watched_compile(*args):
        made = compile_kernel(*args)
        found.libraries.append(made.library)
        return made

    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(vector_math, "define", watched_define)
    monkeypatch.setattr(vector_math, "fused", watched_fused)
    monkeypatch.setattr(pieces, "compile_kernel", watched_compile)
    return found


def loaded(name: str, dtype: Any, arity: int, strict: bool = False) -> Callable[..., Any]:
    """A kernel that applies one primitive, compiled for the processor that the environment names."""
    t = Tensor(np.dtype(dtype), (size(Sym("n")),))
    fn = trace(f"apply_{name}", (t,) * arity, lambda *xs: (PRIMITIVES[name](*xs),))
    return cpu.load(fn, strict)


def functions_called(text: str) -> set[str]:
    return set(re.findall(r'call [^@\n]*@"?([\w.]+)"?\(', text))


@pytest.mark.parametrize("dtype", DTYPES)
def test_loops_become_vectors_and_need_no_library(seen, dtype, tmp_path):
    @adc.jit
    def all_of_them(x, y):
        a = np.exp(x) + np.exp2(x) + np.expm1(x) + np.tanh(x) + scipy.special.expit(x) + np.log(y) + np.log2(y)
        b = np.log10(y) + np.log1p(y) + np.sin(x) + np.cos(x) + scipy.special.erf(x) + scipy.special.erfc(x)
        return a + b + y**x + np.logaddexp(x, y)

    x = np.linspace(0.1, 2.0, 50).astype(dtype)
    np.testing.assert_allclose(all_of_them(x, x), all_of_them.__wrapped__(x, x), rtol=1e-5)
    text = "\n".join(seen.modules)
    called = functions_called(text)
    assert not called & set(SYMBOLS)
    assert not {c for c in called if c.startswith("adc.")} - {c for c in called if ".far." in c}
    scalar = "double" if dtype is np.float64 else "float"
    assert re.search(rf"= fdiv <\d+ x {scalar}> ", text)
    if shutil.which("nm") and seen.libraries[0]:
        for library in seen.libraries:
            path = tmp_path / "library.so"
            path.write_bytes(library)
            undefined = subprocess.run(["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True).stdout
            assert not set(re.findall(r"U (\w+)", undefined)) & {n for n in SYMBOLS if "." not in n} - {"fma", "fmaf"}
            assert not re.search(r"\bfmaf?\b", undefined)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names processors of x86")
@pytest.mark.parametrize("name, fused", (("x86-64-v2", False), ("x86-64-v3", True)))
def test_processors_with_and_without_fused_products(seen, monkeypatch, name, fused):
    if fused and "fma" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has none")
    monkeypatch.setenv("NUMBA_CPU_NAME", name)
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "")
    for f in (cos, tanh, erfc, power):
        for dtype in DTYPES:
            xs = pairs(dtype)["wide"] if f is power else (points(f, dtype)[::3].copy(),)
            check(f, xs, loaded(f.__name__, dtype, len(xs))(*xs)[0])
    assert set(seen.fused) == {fused}


@pytest.mark.parametrize("dtype", DTYPES)
def test_strict_kernels_have_them_too(seen, dtype):
    for name in ("exp", "sin", "log1p"):
        x = np.linspace(0.1, 3.0, 100).astype(dtype)
        strict, default = (loaded(name, dtype, 1, strict)(x)[0] for strict in (True, False))
        np.testing.assert_array_equal(strict, default)
    assert len(seen.modules) >= 3
    assert not set().union(*map(functions_called, seen.modules)) & set(SYMBOLS)


def test_the_routines_in_python_say_the_same():
    for a in (-800.0, -3.0, -0.0, 0.5, 40.0, math.inf, -math.inf):
        np.testing.assert_array_max_ulp(adc.jit(expit)(a), routines.expit(a), 2)
        for b in (-800.0, 0.4, math.inf):
            np.testing.assert_array_max_ulp(adc.jit(logaddexp)(a, b), routines.logaddexp(a, b), 2)


def test_the_cache_depends_on_every_module_that_makes_code():
    folder = Path(cpu.__file__).parent
    todo, found = ["compile"], set()
    while todo:
        name = todo.pop()
        found.add(name)
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("adc.backend"):
                base = (node.module or "").removeprefix("adc.backend").lstrip(".")
                named = [base] if base else [a.name for a in node.names]
                todo += [n for n in named if n not in found]
    assert found <= set(cpu.GENERATOR), found - set(cpu.GENERATOR)
