"""What adc stands on here, and whether it works.

In: nothing.  Out: rows of (name, value, ok); the last ones compile a gradient.  The machine's peaks are measured once and
kept in the cache folder (`peaks`).

>>> examine()[0].name                        # doctest: +SKIP
'adc'
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    name: str
    value: str
    ok: bool = True


NEEDED = ("numpy", "scipy", "numba", "llvmlite", "gast", "astunparse", "optree", "click", "rich")
OPTIONAL = ("nutpie", "cffi", "jax", "scikit-learn", "matplotlib")
"""Used by examples, adaptors and comparisons; named where they are installed."""


def examine(measure: bool = False) -> list[Row]:
    """All rows; `measure` measures the machine's peaks again."""
    rows = [Row("adc", __import__("adc").__version__), Row("Python", f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}")]
    for package in NEEDED:
        rows.append(_version(package) or Row(package, "not installed", False))
    rows += [row for package in OPTIONAL if (row := _version(package))]
    for look in (_processor, _threads, _compiling, _blas, _products, _memory, _vector_math, _linker, _entries, _cuda, _cache):
        rows.append(_guarded(look))
    rows += _peaks(measure)
    return [*rows, *_gradient()]


def _version(package: str) -> Row | None:
    try:
        return Row(package, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return None


def _guarded(look: Callable[[], Row]) -> Row:
    try:
        return look()
    except Exception as e:  # whatever is broken is what the doctor is asked for
        return Row(look.__name__.strip("_").replace("_", " "), f"{type(e).__name__}: {e}", False)


# ---------------------------------------------------------------- the machine


def _processor() -> Row:
    from adc.cli import peaks

    caches = ", ".join(f"{level} {_bytes(size)}" for level, size in peaks.caches().items())
    return Row("processor", peaks.processor() + (f", {caches}" if caches else ""))


def _bytes(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} kB"


def _threads() -> Row:
    from adc.backend import pool, runtime

    why = pool.why_not() if runtime.get_num_threads() > 1 else ""
    chosen = {name: os.environ[name] for name in ("ADC_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if name in os.environ}
    said = "".join(f", {name}={value}" for name, value in chosen.items())
    cannot = f"; no pool ({why}): kernels run on one thread" if why else ""
    return Row("threads", f"{runtime.get_num_threads()} of {os.cpu_count()} processors{said}{cannot}")


def _compiling() -> Row:
    from adc.backend import helper

    return Row("compiling", helper.describe())


def _blas() -> Row:
    import numpy as np

    about = np.show_config(mode="dicts")
    blas = about.get("Build Dependencies", {}).get("blas", {}) if isinstance(about, dict) else {}
    return Row("BLAS of NumPy", f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip())


def _products() -> Row:
    from adc.backend import blas

    return Row("products", blas.describe())


def _memory() -> Row:
    from adc.backend import memory

    return Row("results", memory.describe())


def _vector_math() -> Row:
    import llvmlite.binding as llvm

    from adc.backend.vector_kernels import KERNELS

    features = llvm.get_host_cpu_features()
    widths = [bits for name, bits in (("avx512f", 512), ("avx2", 256), ("neon", 128), ("sse2", 128)) if features.get(name)]
    fused = features.get("fma") or features.get("neon")
    return Row("vector math", f"{len(KERNELS)} functions of our own, vectors of {widths[0] if widths else 64} bits, {'fused' if fused else 'separate'} multiply-add")


def _linker() -> Row:
    from adc.backend.compile import linkers

    found = linkers()
    return Row("linker", found[0] if found else "none: kernels are loaded by llvmlite, which takes longer in a new process")


def _entries() -> Row:
    from adc.backend.layout import has_fast_entries

    return Row("calls", "direct entry" if has_fast_entries() else "through ctypes: some microseconds slower on this interpreter")


def _cuda() -> Row:
    """The driver is asked, not a package: adc has no CUDA target yet."""
    library = ctypes.util.find_library("cuda")
    if library is None:
        return Row("CUDA", "no driver; adc compiles for the CPU")
    cuda = ctypes.CDLL(library)
    count, version = ctypes.c_int(0), ctypes.c_int(0)
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or cuda.cuDriverGetVersion(ctypes.byref(version)):
        return Row("CUDA", "a driver without a device; adc compiles for the CPU")
    return Row("CUDA", f"driver {version.value // 1000}.{version.value % 1000 // 10}, {count.value} devices; adc compiles for the CPU")


def _cache() -> Row:
    from adc.backend import cache

    about = cache.info()
    return Row("cache", f"{about['path']}: {about['entries']} kernels, {about['bytes'] / 1e6:.1f} MB")


def _peaks(measure: bool) -> list[Row]:
    from adc.cli import peaks

    try:
        best = peaks.peaks(measure)
    except Exception as e:  # no compiler, a full disk: said, like everything here
        return [Row("peaks", f"{type(e).__name__}: {e}", False)]

    def rates(found: dict[int, float], unit: str) -> str:
        return ", ".join(f"{rate / 1e9:.1f} {unit} on {n} thread{'s' * (n > 1)}" for n, rate in sorted(found.items()))

    rows = [Row("arithmetic", rates(best.flops, "GFLOP/s") + " (float64)")]
    slow = f"{best.denormals:.0f} times as slow as other numbers (adc.set_flush_denormals)" if best.denormals > 2 else "as quick as other numbers"
    rows += [Row(f"bandwidth, {place}", rates(found, "GB/s")) for place, found in best.bandwidth.items()]
    return [*rows, Row("denormals", f"kept, {slow}")]


# ---------------------------------------------------------------- does it work?


def _probe(x: float) -> float:
    return x * x * x


def _gradient() -> list[Row]:
    import adc

    rows = []
    for target in ("numpy", "cpu"):
        start = time.perf_counter()
        try:
            right = float(adc.grad(_probe, target=target)(2.0)) == 12.0
            rows.append(Row(f"gradient, {target}", f"{'right' if right else 'WRONG'}, {time.perf_counter() - start:.2f} s", right))
        except Exception as e:  # whatever is broken is what the doctor is asked for
            rows.append(Row(f"gradient, {target}", f"{type(e).__name__}: {e}", False))
    return rows


__all__ = ["Row", "examine"]
