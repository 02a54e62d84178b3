"""What adc stands on here, and whether it works.

In: nothing.  Out: rows of (name, value, ok); the last one compiles a gradient.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from typing import NamedTuple


class Row(NamedTuple):
    name: str
    value: str
    ok: bool = True


NEEDED = ("numpy", "scipy", "numba", "llvmlite", "gast", "astunparse", "optree", "click", "rich")


def examine() -> list[Row]:
    rows = [Row("adc", __import__("adc").__version__), Row("Python", f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}")]
    for package in NEEDED:
        try:
            rows.append(Row(package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            rows.append(Row(package, "not installed", False))
    return [*rows, _blas(), _linker(), _entries(), _cache(), *_gradient()]


def _blas() -> Row:
    import numpy as np

    about = np.show_config(mode="dicts")
    blas = about.get("Build Dependencies", {}).get("blas", {}) if isinstance(about, dict) else {}
    return Row("BLAS of NumPy", f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip())


def _linker() -> Row:
    from adc.backend.compile import linkers

    found = linkers()
    return Row("linker", found[0] if found else "none: kernels are loaded by llvmlite, which takes longer in a new process")


def _entries() -> Row:
    from adc.backend.layout import has_fast_entries

    return Row("calls", "direct entry" if has_fast_entries() else "through ctypes: some microseconds slower on this interpreter")


def _cache() -> Row:
    from adc.backend import cache

    about = cache.info()
    return Row("cache", f"{about['path']}: {about['entries']} kernels, {about['bytes'] / 1e6:.1f} MB")


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
