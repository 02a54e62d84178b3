"""Linear algebra, scans, order, statistics, special functions: fronts against NumPy, routines against records."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special

import adc.ops
from adc.backend import cpu
from adc.errors import AdcError, ShapeError, UnsupportedError
from adc.ir import F8, Function, Routine, Sym, Tensor, current, guarding, size, trace
from adc.ir.evaluate import evaluate_program
from adc.ir.verify import verify
from adc.lower.whole import lower
from adc.ops import routines
from adc.ops.core import METHODS, PRIMITIVES, lookup
from adc.transform import jvp, vjp
from tests.lower_run import compare, run_kernel

RNG = np.random.default_rng(0)
X = RNG.uniform(-1.0, 1.0, (5, 6, 7))
M = RNG.uniform(-1.0, 1.0, (5, 6))
V = RNG.uniform(-1.0, 1.0, 5)
W = RNG.uniform(0.5, 1.5, 6)
A = RNG.uniform(-1.0, 1.0, (4, 4)) + 3.0 * np.eye(4)
P = A @ A.T
B = RNG.uniform(-1.0, 1.0, (3, 4, 4)) + 3.0 * np.eye(4)
HOLES = np.where(RNG.random((5, 6)) < 0.3, np.nan, M)
F4 = M.astype(np.float32)
INTS = RNG.integers(-9, 9, (5, 6))


def build(f: Callable[..., Any], args: tuple[Any, ...], symbolic: bool) -> Function:
    """`f` traced; equal extents share a symbol."""
    syms: dict[int, Any] = {}

    def dim(n: int) -> Any:
        return syms.setdefault(n, size(Sym("abcdefgh"[len(syms)]))) if symbolic and n > 1 else n

    types = tuple(Tensor(np.asarray(a).dtype, tuple(dim(n) for n in np.shape(a))) for a in args)

    def body(*xs: Any) -> tuple[Any, ...]:
        out = f(*xs)
        return tuple(out) if isinstance(out, tuple | list) else (out,)

    with guarding() as guards:
        fn = trace("f", types, body)
    return verify(Function(fn.name, fn.params, fn.body, tuple(guards)), "trace")


def answer(obj: Any) -> Callable[..., Any]:
    found = lookup(obj)
    assert found is not None, obj
    return found


def check(obj: Any, *args: Any, exact: bool = False, **options: Any) -> None:
    """What answers to `obj` gives what `obj` gives; arrays are run-time, the rest is static."""
    given = [k for k, a in enumerate(args) if isinstance(a, np.ndarray | np.generic)]
    fn = answer(obj)

    def call(*xs: Any) -> Any:
        full = list(args)
        for k, x in zip(given, xs, strict=True):
            full[k] = x
        return fn(*full, **options)

    with np.errstate(all="ignore"):
        want = obj(*args, **options)
    want = tuple(want) if isinstance(want, tuple | list) else (want,)
    values = tuple(args[k] for k in given)
    for symbolic in (False,) if exact else (True, False):
        got = evaluate_program(build(call, values, symbolic), values)
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            assert np.asarray(g).dtype == np.asarray(w).dtype, (obj, np.asarray(g).dtype, np.asarray(w).dtype)
            assert np.shape(g) == np.shape(w)
            tol = 1e-5 if np.asarray(w).dtype == np.float32 else 1e-12
            np.testing.assert_allclose(g, w, rtol=tol, atol=tol)


def check_gradient(f: Callable[..., Any], *args: Any, rtol: float = 1e-6) -> None:
    """jvp against differences of the program itself, vjp as its transpose."""
    fn = build(f, args, True)
    rng = np.random.default_rng(1)
    floats = [k for k, a in enumerate(args) if np.asarray(a).dtype.kind == "f"]
    dots = [rng.uniform(-1.0, 1.0, np.shape(args[k])) for k in floats]
    h = 1e-6

    def moved(step: float) -> list[Any]:
        xs = list(args)
        for k, d in zip(floats, dots, strict=True):
            xs[k] = xs[k] + step * d
        return [y for y in evaluate_program(fn, xs) if np.asarray(y).dtype.kind == "f"]

    forward = verify(jvp(fn, tuple(k in floats for k in range(len(args)))), "jvp")
    tangents = evaluate_program(forward, (*args, *dots))[len(fn.results) :]
    for t, hi, lo in zip(tangents, moved(h), moved(-h), strict=True):
        np.testing.assert_allclose(t, (np.asarray(hi) - np.asarray(lo)) / (2 * h), rtol=rtol * 10, atol=1e-7)
    bars = [rng.uniform(-1.0, 1.0, np.shape(t)) for t in tangents]
    backward = verify(vjp(fn, tuple(floats)), "vjp")
    back = evaluate_program(backward, (*args, *bars))[len(fn.results) :]
    left = sum(float(np.vdot(b, t)) for b, t in zip(bars, tangents, strict=True))
    np.testing.assert_allclose(
        left, sum(float(np.vdot(c, d)) for c, d in zip(back, dots, strict=True)), rtol=1e-9, atol=1e-10
    )


# ---------------------------------------------------------------- linear algebra


def test_systems() -> None:
    solve = np.linalg.solve
    check(solve, A, V[:4])
    check(solve, A, M[:4, :2])
    check(solve, B, V[:4])
    check(solve, B, X[:3, :4, :2], exact=True)
    check(solve, A, X[:3, :4, :2], exact=True)
    check(solve, A.astype(np.float32), V[:4].astype(np.float32))
    check(solve, np.array([[2, 1], [1, 3]]), np.array([1, 2]))
    for f in (np.linalg.inv, np.linalg.det, np.linalg.slogdet):
        for a in (A, B, -A, A.astype(np.float32), np.array([[2, 1], [1, 3]])):
            check(f, a)
    check(np.linalg.cholesky, P)
    check(np.linalg.cholesky, P, upper=True)
    fields: list[Any] = []
    build(lambda a: fields.__iadd__([answer(np.linalg.slogdet)(a)])[0], (A,), True)
    assert fields[0].sign is fields[0][0] and fields[0].logabsdet is fields[0][1]


def test_scipy_systems() -> None:
    for low in (False, True):
        check(scipy.linalg.cholesky, P, lower=low)
        check(scipy.linalg.solve_triangular, A, V[:4], lower=low)
        check(scipy.linalg.solve_triangular, A, M[:4, :2], trans="T", lower=low)
        for b in (V[:4], M[:4, :2]):
            built = build(
                lambda p, r, lo=low: answer(scipy.linalg.cho_solve)(answer(scipy.linalg.cho_factor)(p, lower=lo), r),
                (P, b),
                True,
            )
            np.testing.assert_allclose(evaluate_program(built, (P, b))[0], np.linalg.solve(P, b), rtol=1e-10)
    with pytest.raises(UnsupportedError):
        build(lambda a, b: answer(scipy.linalg.solve_triangular)(a, b, unit_diagonal=True), (A, V[:4]), False)


def test_shapes_that_do_not_fit_are_refused() -> None:
    for f, args in (
        (np.linalg.solve, (A, V)),
        (np.linalg.inv, (M,)),
        (np.linalg.det, (V,)),
        (np.linalg.norm, (X, 1)),
        (np.cross, (V, V)),
        (np.searchsorted, (M, V)),
        (np.linalg.norm, (M, 2)),
        (np.interp, (V, M, V)),
        (np.convolve, (M, V)),
    ):
        arrays = tuple(a for a in args if isinstance(a, np.ndarray))
        rest = tuple(a for a in args if not isinstance(a, np.ndarray))
        with pytest.raises(AdcError):
            build(lambda *xs, f=f, rest=rest: answer(f)(*xs, *rest), arrays, False)


def test_diagonals_and_triangles() -> None:
    for k in (-2, -1, 0, 1, 2, 3):
        check(np.diag, V, k)
        for m in (A, M, M.T, INTS):
            check(np.diag, m, k)
            check(np.diagonal, m, k)
            check(np.trace, m, k)
            check(np.tril, m, k)
            check(np.triu, m, k)
    check(np.diag, A, 7, exact=True)
    check(np.diagonal, X, 1, 0, 2)
    check(np.diagonal, X, 0, -1, 1)
    check(np.trace, X, 0, 1, 2)
    check(np.tril, X)
    check(np.triu, V)
    check(np.diagflat, M[:2, :2])
    check(np.linalg.trace, X)
    check(np.linalg.diagonal, X, offset=1)
    check(np.trace, INTS > 0)
    assert {"trace", "diagonal", "cumsum", "cumprod", "argsort", "searchsorted", "var", "std"} <= METHODS.keys()


def test_products() -> None:
    for a, b in ((M, A), (V, W), (V, M), (X[:2, :2], V), (INTS, INTS[:2]), (X[:2, :3, :2], X[:2, :2, :4])):
        check(np.kron, a, b)
    u, v = X[:, :3, 0], X[:, :3, 1]
    check(np.cross, u, v)
    check(np.cross, u.T, v, axisa=0)
    check(np.cross, u.T.copy(), v.T.copy(), axis=0)
    check(np.cross, u[0], v)
    for n in (-3, -1, 0, 1, 2, 5):
        check(np.linalg.matrix_power, A, n)
        check(np.linalg.matrix_power, B, n)
    check(np.linalg.matrix_power, np.array([[2, 1], [1, 3]]), 3)

    def chain(*xs: Any) -> Any:
        return answer(np.linalg.multi_dot)(list(xs))

    for operands in ((V, M, M.T), (M, M.T, V), (M, M.T, M, W), (V, M, W), (M.T, M)):
        for symbolic in (True, False):
            got = evaluate_program(build(chain, operands, symbolic), operands)[0]
            np.testing.assert_allclose(got, np.linalg.multi_dot(operands), rtol=1e-12)
    if hasattr(np, "vecdot"):
        check(np.vecdot, M, M)


def test_norms() -> None:
    norm = np.linalg.norm
    order: Any
    for order in (None, 0, 1, 2, 3, -1, 0.5, np.inf, -np.inf):
        check(norm, V, order)
        for axis in (0, 1, -1):
            check(norm, X, order, axis=axis)
            check(norm, M, order, axis=axis, keepdims=True)
    for order in (None, "fro", 1, -1, np.inf, -np.inf):
        check(norm, M, order)
        check(norm, X, order, axis=(0, 2))
        check(norm, X, order, axis=(2, 0), keepdims=True)
    check(norm, X)
    check(norm, X, keepdims=True)
    check(norm, F4)
    check(norm, INTS)
    check(np.linalg.vector_norm, X)
    check(np.linalg.vector_norm, X, axis=(0, 2), ord=3)
    check(np.linalg.matrix_norm, X, ord=1)


# ---------------------------------------------------------------- scans


def test_scans() -> None:
    for f in (np.cumsum, np.cumprod):
        for a in (V, M, X, INTS, F4, INTS > 0, np.float64(2.0), INTS.astype(np.int32)):
            check(f, a)
        for axis in (0, 1, -1):
            check(f, X, axis=axis)
        check(f, INTS, 0, float)
    check(np.nancumsum, HOLES, 1)
    check(np.nancumprod, HOLES, 0)
    if hasattr(np, "cumulative_sum"):
        check(np.cumulative_sum, V, include_initial=True)
        check(np.cumulative_prod, M, axis=1, include_initial=True)
    trapezoid = getattr(np, "trapezoid", getattr(np, "trapz", None))
    check(trapezoid, V)
    check(trapezoid, X, axis=1)
    check(trapezoid, X, None, 0.1, 0)
    check(trapezoid, M, np.sort(W))
    check(trapezoid, M, np.sort(V), axis=0)
    check(trapezoid, M, np.sort(M, 0), axis=0)


def test_scan_gradients() -> None:
    zeros = np.array([2.0, 0.0, 3.0, 0.0, 0.5])
    check_gradient(lambda x: answer(np.cumprod)(x), zeros)
    check_gradient(lambda x: answer(np.cumprod)(x, axis=1), M)
    check_gradient(lambda x: answer(np.cumsum)(x, axis=0), M)
    check_gradient(lambda y, x: answer(getattr(np, "trapezoid", getattr(np, "trapz", None)))(y, x), V, np.sort(V))


# ---------------------------------------------------------------- order


def test_order() -> None:
    long = RNG.permutation(np.repeat(np.arange(60.0), 3))
    for a in (V, M, X, INTS, F4, long, INTS > 0, np.array([2.0, np.nan, 1.0])):
        check(np.sort, a)
        check(np.sort, a, axis=0)
        check(np.sort, a, axis=None)
        check(np.argsort, a, kind="stable")
        check(np.argsort, a, axis=0, kind="stable")
        check(np.argsort, a, axis=None, kind="stable")
    check(np.sort, np.array([2**62 + 1, 2**62, -(2**62) - 1]))
    grid = np.array([0.0, 1.0, 1.0, 2.0, 5.0])
    for side in ("left", "right"):
        for v in (V, M, np.float64(1.0), INTS, np.float32(1.0)):
            check(np.searchsorted, grid, v, side)
    order = np.argsort(V)
    fn = build(lambda a, v, s: answer(np.searchsorted)(a, v, sorter=s), (V, W, order), True)
    np.testing.assert_array_equal(evaluate_program(fn, (V, W, order))[0], np.searchsorted(V, W, sorter=order))
    check(np.digitize, W, grid)
    check(np.digitize, W, grid, True)


def test_interpolation() -> None:
    xp, fp = np.array([0.0, 1.0, 1.5, 4.0, 4.5]), np.array([2.0, -1.0, 0.5, 0.0, 3.0])
    x = np.array([-1.0, 0.0, 0.2, 1.0, 1.49, 3.0, 4.4, 4.5, 9.0, np.nan])
    for a in (x, x.reshape(2, 5), np.float64(1.2), np.array([0, 1, 2])):
        check(np.interp, a, xp, fp)
        check(np.interp, a, xp, fp, -7.0, 8.0)
    check(np.interp, x[:-1] * 3, xp, fp, period=5.0)
    check(np.interp, x, xp[:1], fp[:1])
    check_gradient(lambda a, b, c: answer(np.interp)(a, b, c), np.array([-1.0, 0.3, 1.2, 2.0, 5.0]), xp, fp)


def test_quantiles() -> None:
    for a in (V, M, X, INTS, W, F4):
        check(np.median, a)
        check(np.median, a, axis=0)
        check(np.median, a, axis=-1, keepdims=True)
    check(np.median, X, axis=(0, 2))
    check(np.median, HOLES, axis=1)
    for q in (0.0, 0.1, 0.5, 0.73, 1.0):
        check(np.quantile, M, q, axis=1)
        for method in ("lower", "higher", "nearest", "midpoint"):
            check(np.quantile, W, q, method=method)
    check(np.quantile, M, np.array([0.2, 0.9]), axis=0)
    check(np.quantile, M, np.array([0.2, 0.9]), axis=0, keepdims=True)
    check(np.quantile, M, np.array([0.2, 0.9]))
    check(np.quantile, HOLES, 0.3, axis=1)
    check(np.percentile, M, 30, axis=1)
    check_gradient(lambda x: answer(np.median)(x, axis=1), M)
    check_gradient(lambda x, q: answer(np.quantile)(x, q, axis=0), M, np.float64(0.37))
    check_gradient(lambda x: answer(np.sort)(x, axis=0), M)


# ---------------------------------------------------------------- statistics


def test_variance() -> None:
    for f in (np.var, np.std, np.ptp):
        for a in (V, M, X, INTS, F4):
            check(f, a)
            check(f, a, axis=0)
            check(f, a, axis=-1, keepdims=True)
    check(np.var, X, axis=(0, 2), ddof=1)
    check(np.std, X, axis=1, ddof=2)
    check(np.average, M)
    check(np.average, M, 1, W)
    check(np.average, M, 0, V, True)
    check(np.average, M, None, np.abs(M))
    check(np.average, M, (0, 1), np.abs(M))
    check(np.average, INTS, 0)
    check(np.average, M, returned=True)
    for a in (M, V, INTS):
        check(np.cov, a)
        check(np.cov, a, rowvar=False)
    check(np.cov, M, M[:2], bias=True)
    check(np.cov, M, ddof=0)
    check(np.corrcoef, M)
    check(np.corrcoef, V)
    check_gradient(lambda x: answer(np.std)(x, axis=0, ddof=1), M)
    check_gradient(lambda x: answer(np.corrcoef)(x), M[:3])


def test_comparison() -> None:
    near = M * (1 + 1e-9)
    odd = np.array([1.0, np.inf, -np.inf, np.nan, 0.0])
    for a, b in ((M, near), (M, M + 1e-3), (odd, odd), (odd, V), (INTS, INTS)):
        for nan in (True, False):
            check(np.isclose, a, b, equal_nan=nan)
            check(np.allclose, a, b, equal_nan=nan)
            check(np.array_equal, a, b, equal_nan=nan)
    check(np.array_equal, V, W, exact=True)
    check(np.array_equal, V, M)
    with pytest.raises(UnsupportedError):
        build(lambda a, b: answer(np.array_equal)(a, b), (V, W), True)
    for a in (INTS, INTS > 0, M):
        check(np.count_nonzero, a, axis=0)
    fn = build(lambda a: answer(np.select)([a < -0.3, a < 0.3], [a * 2.0, 1], 7), (M,), True)
    np.testing.assert_array_equal(evaluate_program(fn, (M,))[0], np.select([M < -0.3, M < 0.3], [M * 2.0, 1], 7))


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_without_nan() -> None:
    empty = HOLES.copy()
    empty[2] = np.nan
    for f in (np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin, np.nanvar, np.nanstd):
        for a in (HOLES, INTS, empty):
            check(f, a)
            check(f, a, axis=0)
            check(f, a, axis=1, keepdims=True)
    check_gradient(lambda x: answer(np.nanvar)(x, axis=0), HOLES)


def test_polynomials_and_differences() -> None:
    for p in (V, np.arange(3), np.linspace(-1, 1, 30), V[:1]):
        check(np.polyval, p, W)
        check(np.polyval, p, np.float64(0.5))
    check(np.vander, V, 4)
    check(np.vander, V, 3, True)
    check(np.vander, np.arange(3), exact=True)
    xs = np.cumsum(W)
    for order in (1, 2):
        check(np.gradient, W, edge_order=order)
        check(np.gradient, W, 0.1, edge_order=order)
        check(np.gradient, W, xs, edge_order=order)
        check(np.gradient, M, edge_order=order)
        check(np.gradient, M, 0.5, xs, edge_order=order)
        check(np.gradient, X, axis=1, edge_order=order)
    check(np.gradient, INTS, axis=0)
    with pytest.raises(ShapeError):
        build(lambda a: answer(np.gradient)(a), (V[:1],), False)


def test_convolution() -> None:
    for mode in ("full", "same", "valid"):
        for a, v in ((W, V), (V, V), (W, V[:1]), (W, V[:2]), (np.arange(5), np.arange(3))):
            check(np.convolve, a, v, mode)
            check(np.correlate, a, v, mode)
            check(np.convolve, v, a, mode, exact=True)
            check(np.correlate, v, a, mode, exact=True)
    check_gradient(lambda a, v: answer(np.convolve)(a, v, "same"), W, V)
    check_gradient(lambda a, v: answer(np.correlate)(a, v, "valid"), W, V[:2])


# ---------------------------------------------------------------- special functions


def test_special() -> None:
    special = scipy.special
    wide = np.array([[1000.0, 1001.0, -5.0], [-np.inf, 0.0, 2.0], [-np.inf, -np.inf, -np.inf]])
    for a in (V, M, wide, INTS):
        for axis in (None, 0, -1):
            check(special.logsumexp, a, axis)
            if a is not wide:
                check(special.softmax, a, axis)
                check(special.log_softmax, a, axis)
    check(special.logsumexp, M, 1, keepdims=True)
    check(special.logsumexp, M, 1, np.abs(M))
    check(special.logsumexp, M, 0, W)
    check(special.erfinv, V)
    for f in (special.logsumexp, special.softmax, special.log_softmax):
        check_gradient(lambda x, f=f: answer(f)(x, axis=1), M)


def test_scalar_routines() -> None:
    points = [0.1, 0.5, 1.0, 1.3, 1.4616321449, 1.7, 2.0, 3.5, 7.7, 10.0, 11.3, 1e3, 1e20, -0.7, -3.3, 1e-8]
    for x in points:
        np.testing.assert_allclose(routines.digamma(x), scipy.special.digamma(x), rtol=1e-13)
        np.testing.assert_allclose(routines.trigamma(x), scipy.special.polygamma(1, x), rtol=1e-13)
        for n in (2, 3, 6):
            np.testing.assert_allclose(routines.polygamma(n, x), scipy.special.polygamma(n, x), rtol=1e-12)
    for y in (0.0, 1e-300, 1e-9, 0.1, 0.5, 0.9, 0.9999, 1 - 1e-12, -0.3, 1.0, -1.0):
        np.testing.assert_allclose(routines.erfinv(y), scipy.special.erfinv(y), rtol=1e-13)
    assert (
        math.isnan(routines.erfinv(1.5))
        and math.isnan(routines.digamma(-2.0))
        and math.isnan(routines.digamma(math.nan))
    )
    assert routines.digamma(0.0) == -math.inf and routines.digamma(math.inf) == math.inf
    assert routines.hurwitz(2.0, -1.0) == math.inf and routines.hurwitz(2.0, math.inf) == 0.0


# ---------------------------------------------------------------- compiled code

ROUTINES = [
    (name, p, s)
    for name, p in PRIMITIVES.items()
    if isinstance(p.loops, Routine) and name != "flatnonzero"
    for s in p.samples()
]


def _program(entries: list[Any]) -> tuple[Function, list[Any]]:
    """All samples in one program."""
    arrays = [np.asarray(a) for _, _, s in entries for a in s.args]
    types = tuple(Tensor(a.dtype, a.shape) for a in arrays)

    def body(*xs: Any) -> tuple[Any, ...]:
        out: list[Any] = []
        rest = iter(xs)
        for _, p, s in entries:
            out += current().op(p, tuple(next(rest) for _ in s.args), s.params)
        return tuple(out)

    return trace("all", types, body), arrays


@pytest.mark.parametrize(
    "entry", [pytest.param(e, id=f"{e[0]}-{k}") for k, e in enumerate(ROUTINES) if 0 not in np.shape(e[2].args[0])]
)
def test_routines_as_python(entry: Any) -> None:
    fn, arrays = _program([entry])
    compare(fn, *arrays)


def test_routines_as_machine_code() -> None:
    names: dict[str, list[Any]] = {}
    for e in ROUTINES:
        if 0 not in np.shape(e[2].args[0]):
            names.setdefault(e[0], []).append(e)
    # of each routine the sample of highest rank
    fn, arrays = _program([max(group, key=lambda e: np.ndim(e[2].args[0])) for group in names.values()])
    got = cpu.load(fn)(*arrays)
    for g, w in zip(got, evaluate_program(fn, arrays), strict=True):
        assert np.asarray(g).dtype == np.asarray(w).dtype
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12)


def test_singular_matrices_in_compiled_code() -> None:
    t = Tensor(F8, (2, 2))
    fine = lower(trace("singular", (t,), lambda a: (PRIMITIVES["det"](a), *PRIMITIVES["slogdet"](a))))
    assert tuple(float(np.squeeze(x)) for x in run_kernel(fine, (np.ones((2, 2)),))) == (0.0, 0.0, -np.inf)
    for body, message in (
        (lambda a: (PRIMITIVES["solve"](a, a),), "Singular matrix"),
        (lambda a: (PRIMITIVES["inv"](a),), "Singular matrix"),
        (lambda a: (PRIMITIVES["cholesky"](-a),), "Matrix is not positive definite"),
    ):
        with pytest.raises(AdcError, match=message):
            run_kernel(lower(trace("singular", (t,), body)), (np.ones((2, 2)),))


def test_a_package_registers_its_rooms() -> None:
    assert {"solve", "cumsum", "sort", "convolve", "erfinv"} <= PRIMITIVES.keys() and adc.ops is not None
