"""Products of matrices: plain loops of a kernel, adc's own tiles, and the BLAS, by size.

    python -m tests.bench.products            prints the tables of docs/design/products.md

In: nothing.  Out: GFLOP/s (best of many) of `c += op(a) @ op(b)` in one thread, called from inside a compiled kernel; all in one
process, interleaved.  `--quick`: fewer rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from typing import Any

import numpy as np

from adc.backend import blas, cpu, layout, runtime
from adc.lower.kernel import Buffer, Kernel
from adc.ops import routines_products

SIZES = (
    (2, 2, 2), (4, 4, 4), (6, 6, 6), (8, 8, 8), (12, 12, 12), (16, 16, 16), (24, 24, 24), (32, 32, 32), (48, 48, 48), (64, 64, 64),
    (96, 96, 96), (128, 128, 128), (192, 192, 192), (256, 256, 256), (64, 10, 128), (64, 128, 10), (10, 64, 64), (100, 25, 10),
    (64, 256, 784), (256, 784, 64), (1000, 8, 8), (8, 8, 1000), (1, 64, 64), (64, 1, 64), (1, 500, 500), (500, 1, 500), (2, 256, 256),
)  # fmt: skip
LOOPS = """
    if tb:
        for i in range(m):
            for j in range(n):
                s = c[i * n + j]
                for t in range(k):
                    s += a[t * m + i if ta else i * k + t] * b[j * k + t]
                c[i * n + j] = s
    else:
        for i in range(m):
            for t in range(k):
                x = a[t * m + i if ta else i * k + t]
                for j in range(n):
                    c[i * n + j] += x * b[t * n + j]
"""
CALL = """
    gemm(ta, tb, 1, m, n, k, a, 0, m if ta else k, b, 0, k if tb else n, c, 0, n)
"""


def kernel(name: str, body: str, dtype: np.dtype[Any]) -> Any:
    numbers = ("ta", "tb", "m", "n", "k", "rounds")
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    source = (
        f"def {name}(a, b, {', '.join(numbers)}, out, c, report):\n    for i in range(m * n):\n        c[i] = 0\n"
        f"    for r in range(rounds):\n{lines}    out[0] = c[0]\n    return 0\n"
    )
    i8 = np.dtype("i8")
    params = (Buffer("a", dtype, (1 << 18,)), Buffer("b", dtype, (1 << 18,)), *(Buffer(x, i8) for x in numbers))
    out, c = Buffer("out", dtype), Buffer("c", dtype, (1 << 18,))
    return cpu.load_kernel(Kernel(name, params, (), (out,), (c,), source, routines=(routines_products.gemm,)))


class Table:
    """Which functions kernels find: adc's own, or the BLAS with its threads set to one."""

    def __init__(self) -> None:
        self.own = blas.products("ds")
        self.theirs = {**blas.addresses(), "blas_get": 0, "blas_set": 0}
        self.at = runtime.address("ds")

    def use(self, words: dict[str, int]) -> None:
        for name, where in words.items():
            ctypes.c_uint64.from_address(self.at + 8 * layout.RUNTIME[name]).value = where


def seconds(run: Any, args: tuple[Any, ...], rounds: int) -> float:
    start = time.perf_counter()
    run(*args, rounds)
    return (time.perf_counter() - start) / rounds


def enough(run: Any, args: tuple[Any, ...]) -> int:
    """Rounds that take a quarter of a millisecond, beside which a call is nothing."""
    rounds = 1
    while seconds(run, args, rounds) * rounds < 2.5e-4:
        rounds *= 2
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    turns = 5 if parser.parse_args().quick else 15
    table = Table()
    if set_threads := blas.addresses()["blas_set"]:
        ctypes.CFUNCTYPE(None, ctypes.c_int)(set_threads)(1)
    for dtype in (np.dtype("f8"), np.dtype("f4")):
        loops, call = kernel("loops", LOOPS, dtype), kernel("call", CALL, dtype)
        a, b = np.full(1 << 18, 1e-3, dtype), np.full(1 << 18, 1e-3, dtype)
        print(f"\n{dtype}: GFLOP/s of loops, own tiles, BLAS\n\n| m, n, k | multiplications | a @ b | a @ bᵀ | aᵀ @ b | aᵀ @ bᵀ |\n|---|---|---|---|---|---|")
        for m, n, k in SIZES:
            row = []
            for ta, tb in ((0, 0), (0, 1), (1, 0), (1, 1)):
                args = (a, b, ta, tb, m, n, k)
                ways = {"loops": (loops, table.own), "own": (call, table.own), "blas": (call, table.theirs)}
                rounds, best = {}, dict.fromkeys(ways, 1.0)
                for turn in range(turns):
                    for name, (run, words) in ways.items():
                        table.use(words)
                        if turn == 0:
                            rounds[name] = enough(run, args)
                        best[name] = min(best[name], seconds(run, args, rounds[name]))
                table.use(table.own)
                row.append(" ".join(f"{2e-9 * m * n * k / best[name]:.1f}" for name in ways))
            print(f"| {m}, {n}, {k} | {m * n * k} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
