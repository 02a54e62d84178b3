"""The BLAS that NumPy brings along: where its functions stand in this process.

In: nothing.  Out: `addresses()`: {"dgemm", "sgemm", "blas_get", "blas_set"} → address, 0 where it is not known.  NumPy's
wheels hold an OpenBLAS with 64-bit integers under names of its own; a NumPy that is linked to the system's has the usual
names, whose integers may have 32 bits: sizes are passed in whole registers, which both read rightly on the systems that
adc runs on (little-endian, 64 bit).

>>> sorted(addresses())
['blas_get', 'blas_set', 'dgemm', 'sgemm']
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

SPELLINGS = ("scipy_{}64_", "{}64_", "scipy_{}", "{}")
FUNCTIONS = {
    "dgemm": "cblas_dgemm",
    "sgemm": "cblas_sgemm",
    "blas_get": "openblas_get_num_threads",
    "blas_set": "openblas_set_num_threads",
}


def _libraries() -> Iterator[ctypes.CDLL]:
    home = Path(np.__file__).parent
    for folder in (home.parent / "numpy.libs", home / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                yield ctypes.CDLL(str(path))
            except OSError:
                continue
    from numpy._core import _multiarray_umath as core  # type: ignore[attr-defined]

    try:
        yield ctypes.CDLL(core.__file__)  # and what it is linked to
    except OSError:
        return


@lru_cache(maxsize=1)
def addresses() -> dict[str, int]:
    """Where the functions stand."""
    for library in _libraries():
        found = {name: _find(library, function) for name, function in FUNCTIONS.items()}
        if found["dgemm"] and found["sgemm"]:
            return found
    return dict.fromkeys(FUNCTIONS, 0)


def _find(library: ctypes.CDLL, function: str) -> int:
    for spelling in SPELLINGS:
        name = spelling.format(function)
        if hasattr(library, name):
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    return 0


__all__ = ["addresses"]
