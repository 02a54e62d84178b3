"""Products of matrices in this process: adc's own code, and the BLAS that NumPy brings along for large ones.

In: nothing.  Out: `addresses()`: {"dgemm", "sgemm", "blas_get", "blas_set"} → the BLAS's functions, 0 where it has none;
`products(…)`: the same words with adc's own functions (`gemm_code`), which call the BLAS where that is quicker.  Those for float64 ("d")
and float32 ("s") are libraries of their own: each takes 0.3 s to make, once per machine, and a program has mostly one of them.

NumPy's wheels hold an OpenBLAS with 64-bit integers under names of its own; a NumPy that is linked to the system's has the
usual names, whose integers may have 32 bits: sizes are passed in whole registers and words, which both read rightly on
little-endian 64-bit systems (except Apple's for ARM, which packs arguments: there only 64-bit integers will do).

While kernels are inside the BLAS it uses one thread of its own: kernels are shared between workers already, and two threads
on a small block wait for each other longer than they work.  The last to leave gives back what it had.

>>> sorted(addresses())
['blas_get', 'blas_set', 'dgemm', 'sgemm']
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from adc.backend import gemm_code, native

WIDE = ("scipy_{}64_", "{}64_", "{}$NEWLAPACK$ILP64")
USUAL = ("scipy_{}", "{}")
SPELLINGS = WIDE if (sys.platform, platform.machine()) == ("darwin", "arm64") else WIDE + USUAL
FUNCTIONS = {
    "dgemm": "cblas_dgemm",
    "sgemm": "cblas_sgemm",
    "blas_get": "openblas_get_num_threads",
    "blas_set": "openblas_set_num_threads",
}
EXPORTS = ("adc_gemm", "adc_blas")
_own: dict[str, int] = {}
"""Letter -> adc's own function."""
_why_not = ""
_words = (ctypes.c_int64 * len(gemm_code.WORDS))()
"""What adc's own functions know of the BLAS, and who is inside it, whatever the numbers."""


# ---------------------------------------------------------------- the BLAS


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
    """Where the functions of the BLAS stand."""
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


# ---------------------------------------------------------------- our own


def products(letters: str, make: bool = True) -> dict[str, int]:
    """The words of the table with adc's own functions for these letters; empty where they were never made and may not be now.

    Where they cannot be made (`describe` says why) there is the BLAS alone.
    """
    global _why_not
    for letter in letters:
        if letter not in _own and not _why_not:
            from adc.backend.cpu import processor

            try:
                found = native.library(f"{letter}gemm", lambda letter=letter: _text(letter), _meaning(), EXPORTS, processor(), make)  # type: ignore[misc]
            except (OSError, RuntimeError, ImportError) as e:
                _why_not = f"{type(e).__name__}: {e}"
                break
            if found:
                _words[: len(FUNCTIONS)] = list(addresses().values())  # in the order of WORDS
                ctypes.c_uint64.from_address(found["adc_blas"]).value = ctypes.addressof(_words)
                _own[letter] = found["adc_gemm"]
    if not _own.keys() >= set(letters):
        return {}
    return {**{f"{letter}gemm": _own[letter] for letter in letters}, "blas_get": 0, "blas_set": 0}


def missing(letters: str) -> str:
    """Those of them for which adc's own products are still to be made, as far as is known they can be."""
    return "" if _why_not else "".join(letter for letter in letters if not products(letter, make=False))


def describe() -> str:
    """What multiplies matrices in this process, in words."""
    theirs = "the BLAS of NumPy" if addresses()["dgemm"] else ""
    if products("ds"):
        return f"own tiles, above {gemm_code.large(gemm_code.shape())} multiplications {theirs}" if theirs else "own tiles"
    return f"{theirs or 'plain loops'}; own tiles cannot be made: {_why_not}"


def _text(letter: str) -> str:
    return gemm_code.text(gemm_code.shape(), letter)


def _meaning() -> str:
    folder = Path(__file__).parent
    h = hashlib.sha256()
    for name in ("gemm_code", "gemm_tiles"):
        try:
            h.update((folder / f"{name}.py").read_bytes())
        except OSError:  # imported from an archive
            h.update(b"-")
    return h.hexdigest()


def _after_fork() -> None:
    """Whoever was inside the BLAS is not here: its threads are given back."""
    users, saved = (gemm_code.WORDS.index(word) for word in ("users", "saved"))
    if _words[users]:
        _words[users] = 0
        before = _words[saved]
        if before > 1 and addresses()["blas_set"]:
            ctypes.CFUNCTYPE(None, ctypes.c_int)(addresses()["blas_set"])(before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


__all__ = ["addresses", "describe", "missing", "products"]
