"""What this machine can do at best: bytes and floating-point operations per second, and the sizes of its caches.

In: nothing.  Out: `peaks()`: measured once (two seconds), then read from `machine.json` in the cache folder as long as
the processor and the number of usable cores are the same.  `adc bench` holds kernels against it.

>>> peaks().flops[1] > 1e9                       # doctest: +SKIP
True
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from adc.backend import cache

FILE = "machine.json"
LENGTH, CHAINS = 10_000, 10
"""Of the measuring loop: rounds of as many independent multiply-adds on vectors."""
SMALLEST, LARGEST = 96 << 20, 512 << 20
"""Bytes of the arrays when memory is measured: four times the last cache, within these."""
MOVED = 512 << 20
"""Bytes that one measurement moves, at least."""
BEST_OF = 7


@dataclasses.dataclass(frozen=True)
class Peaks:
    """Rates by number of threads: {1: …, cores: …}; `caches` in bytes by level."""

    processor: str
    threads: int
    caches: dict[str, int]
    flops: dict[int, float]
    """Double-precision operations per second: fused multiply-adds in registers."""
    bandwidth: dict[str, dict[int, float]]
    """Bytes per second of `a + s * b` into a third array, by where the arrays lie: "L1", "L2", "memory"."""
    denormals: float = 1.0
    """How many times as long a multiplication takes for numbers below 2.2e-308."""


def peaks(again: bool = False) -> Peaks:
    """The peaks of this machine, measured if they are not known yet (or `again`)."""
    known = None if again else _read()
    if known is None:
        known = measure()
        _write(known)
    return known


def path() -> Path:
    return cache.directory() / FILE


def _read() -> Peaks | None:
    try:
        data = json.loads(path().read_text(encoding="utf-8"))
        found = Peaks(
            data["processor"], data["threads"], data["caches"], {int(k): v for k, v in data["flops"].items()},
            {place: {int(k): v for k, v in rates.items()} for place, rates in data["bandwidth"].items()},
            data["denormals"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or of another version: measured anew
    return found if (found.processor, found.threads) == (processor(), cores()) else None


def _write(found: Peaks) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path().parent)
    with os.fdopen(handle, "w", encoding="utf-8") as f:
        json.dump(dataclasses.asdict(found), f, indent=1)
    os.replace(temporary, path())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(("model name", "CPU part")):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def caches() -> dict[str, int]:
    """Sizes of the data caches of the first core, in bytes; empty where the system does not tell."""
    found: dict[str, int] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        with contextlib.suppress(OSError, ValueError):
            kind = (folder / "type").read_text().strip()
            text = (folder / "size").read_text().strip()
            size = int(text.rstrip("KM")) << {"K": 10, "M": 20}.get(text[-1], 0)
            if kind in ("Data", "Unified"):
                found[f"L{(folder / 'level').read_text().strip()}"] = size
    return found


# ---------------------------------------------------------------- measuring


def measure() -> Peaks:
    sizes = caches()
    counts = sorted({1, cores()})
    flops = {n: _flops(n) for n in counts}
    # half of a cache, so that what else runs does not push the arrays out
    places = {"L1": sizes.get("L1", 32 << 10) // 2, "L2": sizes.get("L2", 256 << 10) // 2}
    places["memory"] = min(max(4 * max(sizes.values(), default=0), SMALLEST), LARGEST)
    bandwidth = {place: {n: _triad(bytes_ // 24, n) for n in counts} for place, bytes_ in places.items()}
    return Peaks(processor(), cores(), sizes, flops, bandwidth, _denormals())


def _denormals() -> float:
    a, b = np.full(4096, 1.0), np.full(4096, 1e-310)
    out = np.empty_like(a)
    usual, small = (_rate(1.0, [functools.partial(np.multiply, x, 0.75, out)]) for x in (a, b))
    return usual / small


def _rate(work: float, parts: list[Callable[[], Any]]) -> float:
    """`work` units per second when all parts run at once, each on a thread of its own; the best of some runs."""
    best = float("inf")
    with ThreadPoolExecutor(len(parts)) as pool:
        for _ in range(BEST_OF):
            if len(parts) == 1:
                start = time.perf_counter()
                parts[0]()
                best = min(best, time.perf_counter() - start)
                continue
            start = time.perf_counter()
            for job in [pool.submit(p) for p in parts]:
                job.result()
            best = min(best, time.perf_counter() - start)
    return work / best


def _flops(threads: int) -> float:
    call, lanes = _multiply_add()
    return _rate(threads * 400.0 * LENGTH * CHAINS * lanes * 2, [lambda: call(400 * LENGTH)] * threads)


def _multiply_add() -> tuple[Any, int]:
    """(f(n): n rounds of independent multiply-adds in registers, numbers per vector)"""
    import ctypes

    import llvmlite.binding as llvm
    from llvmlite import ir

    from adc.backend import layout
    from adc.backend.inprocess import load_object
    from adc.interop.writer import object_code

    features = llvm.get_host_cpu_features()
    lanes = 8 if features.get("avx512f") else 4 if features.get("avx") else 2
    fused = features.get("fma") or platform.machine() in ("aarch64", "arm64")
    f64, i64 = ir.DoubleType(), ir.IntType(64)
    vector = ir.VectorType(f64, lanes)
    module = ir.Module("peak")
    fn = ir.Function(module, ir.FunctionType(f64, [i64]), layout.KERNEL)
    entry, loop, done = (fn.append_basic_block(n) for n in ("entry", "loop", "done"))
    b = ir.IRBuilder(entry)
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(i64)
    chains = [b.phi(vector) for _ in range(CHAINS)]
    fma = ir.Function(module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f64")
    scale, shift = (ir.Constant(vector, [ir.Constant(f64, v)] * lanes) for v in (0.999999, 1e-6))
    later = [b.call(fma, [c, scale, shift]) if fused else b.fadd(b.fmul(c, scale), shift) for c in chains]
    more = b.add(k, ir.Constant(i64, 1))
    k.add_incoming(ir.Constant(i64, 0), entry)
    k.add_incoming(more, loop)
    for j, (c, v) in enumerate(zip(chains, later, strict=True)):
        c.add_incoming(ir.Constant(vector, [ir.Constant(f64, 1.0 + j)] * lanes), entry)
        c.add_incoming(v, loop)
    b.cbranch(b.icmp_signed("<", more, fn.args[0]), loop, done)
    b.position_at_end(done)
    total = later[0]
    for v in later[1:]:
        total = b.fadd(total, v)
    b.ret(b.extract_element(total, ir.Constant(ir.IntType(32), 0)))
    code = load_object(object_code(module, layout.KERNEL))[layout.KERNEL]
    return ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(code), lanes


def _scaled_sum(a: Any, b: Any, c: Any, s: Any, rounds: Any) -> None:
    for r in range(rounds):
        for k in range(len(a)):
            c[k] = a[k] + s * b[k]
        s += c[r % len(a)] * 1e-300  # every round depends on the one before


def _triad(length: int, threads: int) -> float:
    """Bytes per second, two reads and a write for each element."""
    import numba

    triad: Any = numba.njit(nogil=True, fastmath=True)(_scaled_sum)
    rounds = max(1, MOVED // (24 * length))
    arrays = [[np.full(length, float(j)) for j in range(3)] for _ in range(threads)]
    triad(*arrays[0], 0.5, 1)
    work = 24.0 * length * rounds * threads
    return _rate(work, [functools.partial(triad, *x, 0.5, rounds) for x in arrays])


__all__ = ["Peaks", "caches", "cores", "measure", "peaks", "processor"]
