"""A program as native code: taken from the cache on disk, or compiled.

In: an optimised `Function`.  Out: `load(fn)`, a callable(*leaves) -> tuple of results.

A hit imports neither Numba nor llvmlite: the program is lowered to text (plain Python), the text and everything else
that the machine code depends on is hashed, and the library of that name is opened.

>>> run = load(fn)                                      # doctest: +SKIP
>>> run(np.ones(3))                                     # doctest: +SKIP
(np.float64(3.0),)
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from adc.backend import cache, entry, helper, layout
from adc.backend.cache import LIBRARY, OBJECT
from adc.backend.entry import SizeAssumption
from adc.ir.program import Function, walk
from adc.lower.kernel import Kernel

Run = Callable[..., tuple[Any, ...]]

GENERATOR = (
    "layout", "glue", "compile", "processors", "counting", "target", "workers", "products", "vector_math", "vector_kernels", "vector_tables", "vector_trig", "lanes",
)  # fmt: skip
"""The modules that make machine code: another text of theirs, other code."""
HELPED = 120
"""Lines of a kernel; a shorter one is compiled by the time that a helper has loaded Numba."""
EXPECTED = 75
"""Statements of a program that will most likely have as many lines."""
_lock = threading.Lock()
_loaded: dict[str, dict[str, int]] = {}


def load(fn: Function, strict: bool = False) -> Run:
    from adc.lower.whole import lower

    return load_kernel(lower(fn), strict)


def load_kernel(kernel: Kernel, strict: bool = False) -> Run:
    return entry.make(kernel, addresses(kernel, strict))  # type: ignore[no-any-return]


def addresses(kernel: Kernel, strict: bool = False) -> dict[str, int]:
    """Where the functions of the kernel stand in this process."""
    key = kernel_key(kernel, strict)
    with _lock:
        if key not in _loaded:
            _loaded[key] = from_cache(key) or compiled(key, kernel, strict)
        return _loaded[key]


def known(key: str) -> dict[str, int] | None:
    """The functions of a kernel that was compiled before, in this process or another."""
    with _lock:
        if key not in _loaded:
            found = from_cache(key)
            if found is None:
                return None
            _loaded[key] = found
        return _loaded[key]


def from_cache(key: str) -> dict[str, int] | None:
    return next((found for path in cache.fetch(key) if (found := opened(path))), None)


def expect(fn: Function) -> None:
    """This is about to be lowered and compiled: while it is, a helper for a long one loads Numba."""
    if sum(1 for _ in walk(fn.body)) > EXPECTED:
        helper.start()


def products_first(kernel: Kernel) -> tuple[str, str] | None:
    """The folder where the helper is to make adc's own products first, and for which numbers; None where it need not."""
    from adc.backend import blas

    return (str(cache.directory()), missing) if (missing := blas.missing(kernel.multiplies)) else None


def compiled(key: str, kernel: Kernel, strict: bool) -> dict[str, int]:
    products = products_first(kernel)
    if kernel.parts and (products or kernel.source.count("\n") > HELPED):
        helper.start(products)
    from adc.backend.pieces import compile_kernel

    made = compile_kernel(kernel, strict)
    if made.library is not None:
        found = opened(cache.store(key, LIBRARY, made.library))
        if found:
            return found
    return opened(cache.store(key, OBJECT, made.object)) or {}


def opened(path: Path) -> dict[str, int] | None:
    """The functions of a file of the cache; None where the system refuses to load it."""
    if path.suffix == OBJECT:
        from adc.backend.inprocess import load_object

        return ready(load_object(cache.content(path)))
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        return None
    found: dict[str, int] = {}
    for name in (layout.KERNEL, layout.ENTRY):
        if hasattr(library, name):
            found[name] = ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    for name in (layout.RUNTIME_NAME, layout.PRODUCTS_NAME):
        if hasattr(library, name):
            found[name] = ctypes.addressof(ctypes.c_uint64.in_dll(library, name))
    return ready(found)


def ready(found: dict[str, int]) -> dict[str, int] | None:
    """The functions, with the table of the run time in its place; None where there is no kernel among them."""
    word, mark = found.pop(layout.RUNTIME_NAME, None), found.pop(layout.PRODUCTS_NAME, None)
    if word is not None:
        from adc.backend import runtime

        bits = 0 if mark is None else ctypes.c_uint64.from_address(mark).value
        letters = "".join(letter for letter, bit in layout.PRODUCTS_BITS.items() if bits & bit)
        ctypes.c_uint64.from_address(word).value = runtime.address(letters)
    return found if layout.KERNEL in found else None


# ---------------------------------------------------------------- the key


def kernel_key(kernel: Kernel, strict: bool = False) -> str:
    """A hash of everything that the machine code depends on."""
    h = hashlib.sha256()
    for part in (
        environment(),
        f"strict={strict} cpu={os.environ.get('NUMBA_CPU_NAME')} {os.environ.get('NUMBA_CPU_FEATURES')}",
        layout.describe(kernel, layout.plan(kernel)),
        kernel.source,
        *(_routine_text(fn, set()) for fn in kernel.routines),
    ):
        h.update(part.encode() + b"\0")
    return h.hexdigest()


@lru_cache(maxsize=1)
def environment() -> str:
    """Versions and processor, without importing any of what is named."""
    here = Path(__file__).parent
    parts = [
        f"format {cache.FORMAT}",
        sys.platform,
        platform.machine(),
        str(sys.implementation.cache_tag),
        getattr(sys, "abiflags", ""),
        str(np.__version__),
        processor(),
        *(_version_text(name) for name in ("numba", "llvmlite")),
        # the generator of machine code is its own version
        *(_digest(here / f"{name}.py") for name in GENERATOR),
    ]
    return "\n".join(parts)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # imported from an archive
        return "-"


def _version_text(package: str) -> str:
    """The file that names a package's version."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.origin:
        return f"no {package}"
    return package + _digest(Path(spec.origin).with_name("_version.py"))


@lru_cache(maxsize=1)
def processor() -> str:
    """Name and abilities of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            # the first processor's lines come first; reading all of them is slow where there are many
            lines = f.read(8192).split("\n\n")[0].splitlines()
        wanted = ("model name", "flags", "Features", "CPU part", "CPU implementer", "isa")
        return "\n".join(x for x in lines if x.split("\t")[0].split(":")[0].strip() in wanted)
    except OSError:
        from numpy._core import _multiarray_umath as core  # type: ignore[attr-defined]

        return f"{platform.processor()} {sorted(k for k, v in core.__cpu_features__.items() if v)}"


def _routine_text(fn: Any, seen: set[Any]) -> str:
    """What a routine does: its bytecode, and that of the functions and constants that it names."""
    fn = _plain(fn)
    if not isinstance(fn, FunctionType):
        return repr(type(fn))
    if fn in seen:
        return fn.__name__
    seen.add(fn)
    parts = [fn.__name__, _code_text(fn.__code__), repr(fn.__defaults__)]
    for name in fn.__code__.co_names:
        value = _plain(fn.__globals__.get(name))
        if isinstance(value, bool | int | float | str | tuple):
            parts.append(f"{name}={value!r}")
        elif isinstance(value, FunctionType):
            parts.append(_routine_text(value, seen))
    return "\n".join(parts)


def _plain(fn: Any) -> Any:
    """The function behind one that Numba has wrapped."""
    return getattr(fn, "py_func", getattr(fn, "_defn", fn)) if callable(fn) else fn


def _code_text(code: CodeType) -> str:
    consts = " ".join(map(_const_text, code.co_consts))
    return f"{code.co_code.hex()} {consts} {code.co_names} {code.co_varnames}"


def _const_text(value: Any) -> str:
    if isinstance(value, CodeType):
        return _code_text(value)
    # the order of a set of strings differs from process to process
    return str(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


__all__ = ["SizeAssumption", "load", "load_kernel"]
