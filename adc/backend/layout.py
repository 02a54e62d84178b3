"""What compiled entries and Python agree on: the plan of a call, the state words and the table of C functions.

In: a `Kernel`.  Out: `plan(kernel)` (how sizes are learnt, what is checked), `describe(kernel)` (its meaning for the
cache, free of names and serials), and the constants that `glue` bakes into machine code and `entry` fills at load.

>>> plan(kernel).sizes                       # doctest: +SKIP
(Bind(sym=n, param=0, axis=0),)
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.errors import StageError, fail
from adc.ir.dims import Dim, Size, Sym, size, size_terms, substitute, symbols
from adc.ir.program import Guard
from adc.lower.kernel import Buffer, Kernel

KERNEL = "adc_kernel"
ENTRY = "adc_entry"
RUNTIME_NAME = "adc_runtime"
"""The exported word where the loader puts the address of the table `RUNTIME` describes."""
PRODUCTS_NAME = "adc_products"
"""Exported by a library that multiplies matrices: its table must be able to; the word says of which numbers, by the sum of these."""
PRODUCTS_BITS = {"d": 1, "s": 2}
RUNTIME = {"run": 0, "dgemm": 1, "sgemm": 2, "blas_get": 3, "blas_set": 4}
BROKEN = -(1 << 31)
"""What the C function returns where Numba's code reports an error, which kernels never do."""

# words of the state that belongs to one entry: the data of the array that is the builtin's `self`
SCRATCH, SCRATCH_BYTES, API, FALLBACK, CAPACITIES = range(5)
FIRST_CAPACITY = 64
ALIGN = 64
KEEP_BYTES = 64 << 20
"""Scratch of an entry that is kept whatever others keep; above this size it counts (`memory.scratch_limit`)."""
PAGE = 4096
HUGE = 1 << 22
"""Bytes from which on the system is asked for large pages, by this advice to Linux."""
MADV_HUGEPAGE = 14
LARGE_RESULT = 1 << 16
"""Bytes of results from which on they have memory of `memory`; below, the system's own lists are quick."""
GIL_WORK = 10_000
"""Above so many elements the interpreter lock is released around the kernel."""

# offsets in objects of CPython with a GIL and of NumPy 1 and 2, 64 bit
OB_TYPE, OB_VALUE = 8, 16
ARRAY_DATA, ARRAY_NDIM, ARRAY_DIMS, ARRAY_DESCR, ARRAY_FLAGS = 16, 24, 32, 56, 64
DESCR_BYTEORDER, DESCR_NUM = 26, 28
READY_FLAGS = 0x1 | 0x100  # C-contiguous, aligned

PYTHON_FUNCTIONS = (
    "PyTuple_New",
    "PyTuple_SetItem",
    "Py_DecRef",
    "PyObject_VectorcallDict",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyMem_RawMalloc",
    "PyMem_RawFree",
    "PyLong_AsLongLong",
    "PyErr_Occurred",
    "PyErr_Clear",
)
NUMPY_FUNCTIONS = {"PyArray_New": 93, "PyArray_Scalar": 60, "PyDataMem_SetHandler": 304}
OBJECTS = {"ndarray": np.ndarray, "float": float, "int": int, "True": True, "False": False}
DTYPES = tuple(np.dtype(d) for d in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"))

SLOTS: dict[str, int] = {}
for _name in (*PYTHON_FUNCTIONS, *NUMPY_FUNCTIONS, *OBJECTS, "memory", "madvise", "scratch kept", "scratch limit"):
    SLOTS[_name] = len(SLOTS)
for _d in DTYPES:
    SLOTS[f"type {_d.str[1:]}"] = len(SLOTS)
    SLOTS[f"descr {_d.str[1:]}"] = len(SLOTS)


def has_fast_entries() -> bool:
    """Object layouts are known: a 64-bit little-endian CPython with its global lock."""
    return (
        sys.implementation.name == "cpython"
        and sys.maxsize > 1 << 32
        and sys.byteorder == "little"
        and "t" not in getattr(sys, "abiflags", "")
        and getattr(sys, "_is_gil_enabled", lambda: True)()
        and not hasattr(sys, "gettotalrefcount")
    )


_api: Any = None


def api_table(scratch_limit: int) -> int:
    """The address of the table that `SLOTS` describes: C functions and objects of this process, and what scratch may be kept (at its first call)."""
    global _api
    if _api is None:
        from numpy._core import _multiarray_umath as core  # type: ignore[attr-defined]

        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        arrays = ctypes.cast(get(core._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
        table = (ctypes.c_uint64 * len(SLOTS))()
        for name in PYTHON_FUNCTIONS:
            table[SLOTS[name]] = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0
        for name, index in NUMPY_FUNCTIONS.items():
            table[SLOTS[name]] = arrays[index] or 0
        for name, value in OBJECTS.items():
            table[SLOTS[name]] = id(value)
        for d in DTYPES:  # types and builtin dtypes live as long as NumPy
            table[SLOTS[f"type {d.str[1:]}"]] = id(d.type)
            table[SLOTS[f"descr {d.str[1:]}"]] = id(np.dtype(d.type))
        if sys.platform == "linux":  # elsewhere the number of the advice is another one, or there is none
            table[SLOTS["madvise"]] = ctypes.cast(ctypes.CDLL(None).madvise, ctypes.c_void_p).value or 0
        table[SLOTS["scratch limit"]] = scratch_limit
        _api = table
    return ctypes.addressof(_api)


def scratch_kept() -> int:
    """Bytes of large scratch that wait for the next call of their kernels."""
    return int(_api[SLOTS["scratch kept"]]) if _api is not None else 0


def scratch_freed(size: int) -> None:
    """The owner of a kept block has gone, and the block with it."""
    if size > KEEP_BYTES and _api is not None:
        _api[SLOTS["scratch kept"]] -= size


def keep_results(handler: Callable[[Callable[[Any], None]], Any]) -> None:
    """Let large results have blocks that come back: `handler` gives the capsule of `memory`, which keeps it, at once or later."""

    def fill(capsule: Any) -> None:
        assert _api is not None
        _api[SLOTS["memory"]] = id(capsule) if capsule is not None else 0

    if _api is not None and not _api[SLOTS["memory"]]:
        fill(handler(fill))


# ---------------------------------------------------------------- the plan of a call


@dataclass(frozen=True)
class Bind:
    """The symbol is the extent of this axis."""

    sym: Sym
    param: int
    axis: int


@dataclass(frozen=True)
class Plan:
    sizes: tuple[Bind, ...]
    """In the order of `Kernel.sizes`."""
    fixed: tuple[tuple[int, int, Dim], ...]
    """(param, axis, dim): axes whose extent must be this."""
    grown: tuple[tuple[int, int], ...]
    """(param, axis): axes that the program was compiled for as at least 2."""
    guards: tuple[Guard, ...]
    """Those that say something of the sizes, in symbols that the parameters bind."""
    outs: tuple[tuple[Dim, ...], ...]
    """Dims to allocate: run-time sizes replaced by what they never exceed."""
    scratch: tuple[tuple[Dim, ...], ...]
    exact: bool
    """No result has a size that only the kernel knows."""


def plan(kernel: Kernel) -> Plan:
    bound: dict[Sym, Bind] = {}
    fixed: list[tuple[int, int, Dim]] = []
    grown: list[tuple[int, int]] = []
    for k, p in enumerate(kernel.params):
        for axis, dim in enumerate(p.dims):
            if isinstance(dim, Size):
                grown.append((k, axis))
            if isinstance(dim, Size) and dim.is_symbol and dim.terms[0][0][0] not in bound:
                sym = dim.terms[0][0][0]
                assert isinstance(sym, Sym)
                bound[sym] = Bind(sym, k, axis)
            else:
                fixed.append((k, axis, dim))
    loose = [s for s in kernel.sizes if s not in bound]
    loose += [s for _, _, d in fixed for s in symbols(size(d)) if s not in bound]
    if loose:
        raise fail(StageError, "internal", None, what=f"no parameter of {kernel.name} has the size {loose[0]!r}")
    known = {**kernel.bounds}
    return Plan(
        tuple(bound[s] for s in kernel.sizes) + tuple(b for s, b in bound.items() if s not in kernel.sizes),
        tuple(fixed),
        tuple(grown),
        resolved(kernel.guards, set(bound)),
        tuple(tuple(bounded(d, known) for d in o.dims) for o in kernel.outs),
        tuple(tuple(bounded(d, known) for d in s.dims) for s in kernel.scratch),
        not any(s in kernel.run_time for o in kernel.outs for d in o.dims for s in symbols(size(d))),
    )


def bounded(dim: Dim, bounds: Mapping[Sym, Dim]) -> Dim:
    """`dim` with run-time sizes replaced by their bounds, which may be said in other run-time sizes."""
    for _ in range(len(bounds) + 1):
        if not any(s in bounds for s in symbols(size(dim))):
            break
        dim = substitute(dim, bounds)
    return dim


def resolved(guards: tuple[Guard, ...], bound: set[Sym]) -> tuple[Guard, ...]:
    """Guards keep the sizes as they were first named; those replaced by an equal are expressed by it again."""
    table: dict[Sym, Dim] = {}
    found: list[Guard] = []
    pending = list(guards)
    for _ in range(len(guards) + 1):
        later: list[Guard] = []
        for g in pending:
            left, right = bounded(size(g.left), table), bounded(size(g.right), table)
            unknown = [s for s in (*symbols(left), *symbols(right)) if s not in bound]
            if not unknown:
                found.append(Guard(g.kind, left, right, g.message, g.pos))
            elif g.kind == "equal" and (solution := solved(left, right, unknown)):
                table[solution[0]] = solution[1]
            else:
                later.append(g)
        if len(later) == len(pending):
            break
        pending = later
    return tuple(g for g in found if g.left != g.right)


def solved(left: Dim, right: Dim, unknown: list[Sym]) -> tuple[Sym, Dim] | None:
    """The one unknown size, if `left == right` gives it with coefficient 1 or -1."""
    if len(set(unknown)) != 1:
        return None
    sym, difference = unknown[0], size(left) - right
    own = [(m, c) for m, c in size_terms(difference) if any(sym in symbols(size(a)) if isinstance(a, Sym) else True for a in m)]
    if len(own) != 1 or own[0][0] != (sym,) or abs(own[0][1]) != 1:
        return None
    rest = difference - size(sym) * own[0][1]
    return sym, rest * -own[0][1]


def dim_text(dim: Dim, names: Mapping[Sym, str]) -> str:
    """A dim as a Python expression."""

    def atom(a: Any) -> str:
        if isinstance(a, Sym):
            return names[a]
        left, right = dim_text(a.left, names), dim_text(a.right, names)
        return f"{a.op}({left}, {right})" if a.op in ("max", "min") else f"(({left}) {a.op} ({right}))"

    return " + ".join("*".join([str(c), *map(atom, m)]) for m, c in size_terms(dim)) or "0"


# ---------------------------------------------------------------- the meaning, for the cache


def describe(kernel: Kernel, p: Plan) -> str:
    """Everything machine code depends on besides the source, with sizes numbered by appearance."""
    names: dict[Sym, str] = {}

    def dim(d: Any) -> str:
        if isinstance(d, Size):
            return "+".join(f"{c}*" + "*".join(atom(a) for a in m) for m, c in d.terms)
        return str(d)

    def atom(a: Any) -> str:
        if isinstance(a, Sym):
            return names.setdefault(a, f"s{len(names)}")
        return f"({a.op} {dim(a.left)} {dim(a.right)})"

    def buffer(b: Buffer, dims: tuple[Dim, ...]) -> str:
        return f"{b.dtype.str}[{','.join(map(dim, dims))}]"

    lines = [
        kernel.name,
        "params " + " ".join(buffer(x, x.dims) for x in kernel.params),
        "sizes " + " ".join(atom(s) for s in kernel.sizes),
        "capacities " + " ".join(atom(s) for s in kernel.capacities),
        f"run_time {len(kernel.run_time)} {p.exact}",
        "outs " + " ".join(map(buffer, kernel.outs, p.outs)),
        "scratch " + " ".join(map(buffer, kernel.scratch, p.scratch)),
        "guards " + " ".join(f"{g.kind}({dim(g.left)};{dim(g.right)})" for g in p.guards),
    ]
    return "\n".join(lines)
