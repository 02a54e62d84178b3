"""Nanoseconds an element of the elementary functions: ours, NumPy's loops, Numba with the C library.

    python -m tests.bench.vector_math              float64 and float32, 4096 elements, best of interleaved rounds
    python -m tests.bench.vector_math exp tanh --size 100000

The three write into an array made before the clock starts (ours is called through its C function); the last columns are
ratios to NumPy (SciPy for expit, erf and erfc).  Arguments are uniform in [-3, 3], positive where they must be.
"""

from __future__ import annotations

import argparse
import ctypes
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import scipy.special

from adc.backend import cpu, layout
from adc.ir import Sym, Tensor, size, trace
from adc.lower.whole import lower
from adc.ops.core import PRIMITIVES
from tests.bench.spine import rounds

NUMPY: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "tanh": np.tanh, "expit": scipy.special.expit, "log": np.log,
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "logaddexp": np.logaddexp, "sin": np.sin, "cos": np.cos,
    "erf": scipy.special.erf, "erfc": scipy.special.erfc, "power": np.power,
}  # fmt: skip
TEXTS = {
    "expit": "1 / (1 + math.exp(-x[i]))", "exp2": "np.exp2(x[i])", "logaddexp": "np.logaddexp(x[i], y[i])", "power": "x[i] ** y[i]",
}  # fmt: skip
"""The body of a loop that a user of Numba writes; where there is none, `math.name(x[i])`."""


def arguments(name: str, dtype: Any, n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    x = rng.uniform(-3.0, 3.0, n)
    if name == "power" or (name.startswith("log") and name != "logaddexp"):
        x = np.abs(x) + 0.01
    return tuple(a.astype(dtype) for a in ((x, rng.uniform(-3.0, 3.0, n)) if name in ("power", "logaddexp") else (x,)))


def ours(name: str, xs: tuple[Any, ...], out: Any) -> Callable[[], Any]:
    """The kernel's C function on these arrays."""
    t = Tensor(out.dtype, (size(Sym("n")),))
    kernel = lower(trace(f"apply_{name}", (t,) * len(xs), lambda *args: (PRIMITIVES[name](*args),)))
    fn = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * len(xs), ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(
        cpu.addresses(kernel)[layout.KERNEL]
    )
    report = np.zeros(8, np.int64)
    given = [*(x.ctypes.data for x in xs), out.size, out.ctypes.data, report.ctypes.data]
    # keeps what the addresses belong to
    return lambda held=(xs, out, report): fn(*given)


def with_library(name: str, xs: tuple[Any, ...], out: Any) -> Callable[[], Any]:
    scope: dict[str, Any] = {"math": math, "np": np}
    body = TEXTS.get(name, f"math.{name}(x[i])")
    exec(f"def loop(x, y, out):\n    for i in range(out.size):\n        out[i] = {body}\n", scope)
    loop = numba.njit(error_model="numpy")(scope["loop"])
    return lambda: loop(xs[0], xs[-1], out)


def row(name: str, dtype: Any, n: int) -> dict[str, float]:
    xs = arguments(name, dtype, n)
    mine, theirs, library = (np.empty(n, dtype) for _ in range(3))
    best = rounds(
        {
            "adc": ours(name, xs, mine),
            "numpy": lambda: NUMPY[name](*xs, out=theirs),
            "libm": with_library(name, xs, library),
        }
    )
    # speed of a wrong result is of no interest
    np.testing.assert_allclose(mine, theirs, rtol=1e-5 if dtype == np.float32 else 1e-13)
    return {k: 1e9 * v / n for k, v in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NUMPY))
    parser.add_argument("--size", type=int, default=4096)
    given = parser.parse_args()
    print(f"{'ns/element':>10} {'':8}{'adc':>7}{'numpy':>8}{'libm':>8}{'/numpy':>8}{'/libm':>8}")
    for name in given.names:
        for dtype in (np.float64, np.float32):
            t = row(name, dtype, given.size)
            ratios = f"{t['adc'] / t['numpy']:8.2f}{t['adc'] / t['libm']:8.2f}"
            print(f"{name:>10} {np.dtype(dtype).name:8}{t['adc']:7.2f}{t['numpy']:8.2f}{t['libm']:8.2f}{ratios}", flush=True)


if __name__ == "__main__":
    main()
