"""Run a lowered kernel: its text as plain Python on flat arrays (exact and quick), or through Numba.

In: a `Function` and NumPy arguments.  Out: its results, as `evaluate_program` gives them.
"""

from __future__ import annotations

import math
import types
from typing import Any

import numpy as np

import adc.ops  # noqa: F401
from adc.errors import CheckError, Diagnostic
from adc.ir import Function, Size, size, substitute, symbols
from adc.ir.dims import evaluate
from adc.ir.evaluate import evaluate_program
from adc.lower import share, tile
from adc.lower.whole import Kernel, lower

_MATH = {
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh,
    **{n: getattr(np, n) for n in "sin cos tan sinh cosh tanh exp expm1 log log1p log2 log10 sqrt hypot copysign".split()},
}  # fmt: skip
NUMPY_MATH = types.SimpleNamespace(**{**vars(math), **_MATH})
"""`math` that gives infinities and NaN where Python would raise, as compiled code does."""


def function(kernel: Kernel, compiled: bool = False) -> Any:
    scope: dict[str, Any] = {"np": np, "math": math if compiled else NUMPY_MATH}
    wrap = (lambda f: f) if not compiled else _njit
    for fn in kernel.routines:
        scope[fn.__name__] = wrap(fn)
    exec(compile(kernel.source, "<kernel>", "exec"), scope)
    for part in kernel.parts:
        scope[part.name] = wrap(scope[part.name])
        scope[f"run_{part.name}"] = wrap((in_order if compiled else in_any_order)(scope[part.name]))
    return wrap(scope[kernel.name])


def in_order(part: Any) -> Any:
    """What the pool does, without workers."""

    def run(count: int, *args: Any) -> int:
        for chunk in range(count):
            code = part(chunk, chunk + 1, 0, *args)
            if code != 0:
                return code
        return 0

    return run


def in_any_order(part: Any) -> Any:
    """The last chunk first: what a chunk needs of one before it is not there."""

    def run(count: int, *args: Any) -> int:
        codes = [part(chunk, chunk + 1, 0, *args) for chunk in reversed(range(count))]
        return next((code for code in reversed(codes) if code != 0), 0)

    return run


def _njit(fn: Any) -> Any:
    import numba

    return numba.njit(error_model="numpy")(fn)


class _Guarded(np.ndarray[Any, Any]):
    """Refuses negative positions: pointers do not wrap."""

    def __getitem__(self, k: Any) -> Any:
        assert k >= 0, k
        return super().__getitem__(k)

    def __setitem__(self, k: Any, v: Any) -> None:
        assert k >= 0, k
        super().__setitem__(k, v)


def run_kernel(kernel: Kernel, args: Any, compiled: bool = False, capacity: int = 2) -> tuple[Any, ...]:
    env: dict[Any, int] = {}
    given: list[Any] = []
    kept = []
    for p, a in zip(kernel.params, args, strict=True):
        a = np.asarray(a, p.dtype)
        for d, n in zip(p.dims, a.shape, strict=True):
            if isinstance(d, Size) and d.is_symbol:
                env[d.terms[0][0][0]] = n
        flat = a.astype(np.uint8) if p.dtype.kind == "b" else a.copy()
        kept.append((flat, flat.copy()))
        given.append(_flat(flat) if p.dims else flat[()])
    fn = function(kernel, compiled)
    capacities = dict.fromkeys(kernel.capacities, capacity)
    while True:
        full = {**env, **capacities}

        def bounded(d: Any) -> int:
            while any(s in kernel.bounds for s in symbols(size(d))):
                d = substitute(size(d), kernel.bounds)
            return evaluate(size(d), full)

        def memory(b: Any) -> Any:
            n = math.prod(bounded(d) for d in b.dims)
            dt = np.dtype(np.uint8) if b.dtype.kind == "b" else b.dtype
            return _flat(np.full(n, 77 if dt.kind in "iu" else np.nan, dt))

        outs, scratch = [memory(b) for b in kernel.outs], [memory(b) for b in kernel.scratch]
        report = np.zeros(max(1, len(kernel.run_time)), np.int64)
        raw = [np.asarray(x) if isinstance(x, np.ndarray) and compiled else x for x in (*given, *(env[s] for s in kernel.sizes), *capacities.values(), *outs, *scratch)]
        with np.errstate(all="ignore"):
            code = fn(*raw, report)
        if code < 0:
            capacities[kernel.capacities[-code - 1]] *= 2
            continue
        break
    for now, before in kept:
        np.testing.assert_array_equal(now, before, err_msg="a parameter was written")
    if code:
        c = kernel.checks[code - 1]
        raise CheckError(Diagnostic("assertion", c.pos, {"what": c.message}))
    full.update(zip(kernel.run_time, report.tolist(), strict=False))
    results = []
    for b, x in zip(kernel.outs, outs, strict=True):
        shape = tuple(evaluate(size(d), full) for d in b.dims)
        y = np.asarray(x)[: math.prod(shape)].reshape(shape)
        results.append((y != 0 if b.dtype.kind == "b" else y)[()])
    return tuple(results)


def _flat(a: Any) -> Any:
    return a.reshape(-1).view(_Guarded)


def compare(fn: Function, *args: Any, compiled: bool = False, rtol: float = 1e-12) -> Kernel:
    """The kernel gives what the program means."""
    kernels = [lower(fn, workers=False)]
    for other in () if compiled else (lower(fn, workers=True), small_tiles(fn)):
        if other.source != kernels[-1].source:
            kernels.append(other)
    want = evaluate_program(fn, [np.copy(a) if isinstance(a, np.ndarray) else a for a in args])
    runs = [(k, run_kernel(k, args, compiled)) for k in kernels]
    for kernel, g, w in ((k, g, w) for k, got in runs for g, w in zip(got, want, strict=True)):
        w = np.asarray(w)
        assert np.asarray(g).dtype == w.dtype, kernel.source
        tol = max(rtol, 2e-6) if w.dtype == np.float32 else rtol
        np.testing.assert_allclose(g, w, rtol=tol, atol=tol, err_msg=kernel.source)
    return kernels[0]


def small_tiles(fn: Function) -> Kernel:
    """The same kernel with tiles of two lanes, so that few examples fill several tiles, the last one not whole, and several chunks."""
    before = tile.MOST, tile.LEAST, share.GRAIN
    tile.MOST, tile.LEAST, share.GRAIN = 2, 2, 8
    try:
        return lower(fn, workers=True)
    finally:
        tile.MOST, tile.LEAST, share.GRAIN = before
