"""ADBench's hand-written C++ as a peer, where it is: `ADC_ADBENCH_CPP` names the folder `src/cpp` of a copy of ADBench.

In: arrays.  Out: functions that compute the Jacobians of `hand` and `ba` into memory that the C++ keeps (its results are column by
column; callers get views).  Compiled with `g++ -O3 -march=native`.  Revisions that only Microsoft's compiler takes (`double const const*`,
`3Ui64`) have to be mended first.  ADBench is published under the MIT licence; nothing of it is in this repository.
"""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GLUE = Path(__file__).with_name("adbench_glue.cpp")
SOURCES = ("modules/manual/hand_d.cpp", "modules/manual/ba_d.cpp", "shared/utils.cpp")


def folder() -> Path | None:
    """Where the C++ is; None where nobody said."""
    chosen = os.environ.get("ADC_ADBENCH_CPP", "")
    if not chosen:
        return None
    if not (Path(chosen) / SOURCES[0]).is_file():
        raise FileNotFoundError(f"ADC_ADBENCH_CPP names {chosen}, which has no {SOURCES[0]}")
    return Path(chosen)


@functools.cache
def library() -> ctypes.CDLL:
    where = folder()
    assert where is not None
    with tempfile.TemporaryDirectory(prefix="adc-adbench-") as text:
        built = Path(text) / "adbench.so"
        files = [str(where / source) for source in SOURCES]
        subprocess.run(
            ["g++", "-O3", "-march=native", "-DNDEBUG", "-std=c++17", "-w", "-shared", "-fPIC", f"-I{where}", str(GLUE), *files, "-o", str(built)],
            check=True,
        )
        found = ctypes.CDLL(str(built))
    found.hand_new.restype = found.ba_new.restype = ctypes.c_void_p
    found.ba_jacobian.restype = ctypes.c_void_p
    return found


def _doubles(a: Any) -> tuple[np.ndarray[Any, Any], Any]:
    own = np.ascontiguousarray(a, dtype=np.float64)
    return own, own.ctypes.data_as(ctypes.c_void_p)


def _ints(a: Any) -> tuple[np.ndarray[Any, Any], Any]:
    own = np.ascontiguousarray(a, dtype=np.int32)
    return own, own.ctypes.data_as(ctypes.c_void_p)


def hand(data: dict[str, np.ndarray[Any, Any]]) -> Callable[[], np.ndarray[Any, Any]]:
    """[p, 3, 26], or [p, 3, 2 + 26] where the data has `us`."""
    p, bones, vertices = len(data["points"]), len(data["parents"]), data["base"].shape[1]
    us = _doubles(data["us"])[1] if "us" in data else None
    held = ctypes.c_void_p(
        library().hand_new(
            bones, _ints(data["parents"])[1], _doubles(data["base_relative"])[1], _doubles(data["inverse_base"])[1], vertices,
            _doubles(data["base"])[1], _doubles(data["weights"])[1], len(data["triangles"]), _ints(data["triangles"])[1], p,
            _ints(data["matches"])[1], _doubles(data["points"])[1], us,
        )
    )  # fmt: skip
    columns = 26 + 2 * ("us" in data)
    theta, at = _doubles(data["theta"])
    error, jacobian = np.zeros(3 * p), np.zeros((columns, p, 3))
    into = (error.ctypes.data_as(ctypes.c_void_p), jacobian.ctypes.data_as(ctypes.c_void_p))
    fun = library().hand_jacobian

    def call(_kept: Any = theta) -> np.ndarray[Any, Any]:
        fun(held, at, *into)
        return jacobian.transpose(1, 2, 0)

    return call


def ba(cams: Any, points: Any, weights: Any, seen: Any, pixels: Any) -> Callable[[], np.ndarray[Any, Any]]:
    """[p, 2, 15]: camera, point, weight; the rows of the weights' own errors are computed, too, as ADBench asks, and left out."""
    kept = [_doubles(a) for a in (cams, points, weights, pixels)]
    p = len(weights)
    held = ctypes.c_void_p(library().ba_new(len(cams), len(points), p, kept[0][1], kept[1][1], kept[2][1], _ints(seen)[1], kept[3][1]))
    fun = library().ba_jacobian

    def call(_kept: Any = kept) -> np.ndarray[Any, Any]:
        numbers = ctypes.cast(fun(held), ctypes.POINTER(ctypes.c_double))
        return np.ctypeslib.as_array(numbers, (30 * p,)).reshape(p, 2, 15)

    return call
