"""The table that compiled kernels find their surroundings in: the pool, and products of matrices.

In: nothing.  Out: `address()`: where the table stands, for the word `adc_runtime` that every kernel library exports.
A kernel that finds no table, or a zero in it, does without.

>>> address() != 0
True
"""

from __future__ import annotations

import ctypes
import os
import threading

from adc.backend import blas, layout, pool

_lock = threading.Lock()
_table: ctypes.Array[ctypes.c_uint64] | None = None
_own: set[str] = set()
"""Of which numbers the table has adc's own products."""


def address(multiplies: str = "") -> int:
    """The table of this process, filled.

    `multiplies`: somebody will use its products of these numbers ("d": float64, "s": float32); adc's own are then made if they never
    were.  Until then the table holds the BLAS itself, so that nothing is made for who does not multiply.
    """
    global _table
    with _lock:
        if _table is None:
            _table = (ctypes.c_uint64 * len(layout.RUNTIME))()
            _fill({"run": pool.start(), **blas.addresses()})
        if not _own.issuperset(multiplies) and (own := blas.products(multiplies)):
            _fill(own)
            _own.update(multiplies)
    return ctypes.addressof(_table)


def _fill(found: dict[str, int]) -> None:
    assert _table is not None
    for name, where in found.items():
        _table[layout.RUNTIME[name]] = where


def _fresh_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_lock)


def set_num_threads(n: int) -> None:
    """Let kernels use `n` threads, the calling one included; 1 turns the workers off.

    Results do not depend on it: a loop is cut into chunks by its sizes alone.  `ADC_NUM_THREADS` sets the number from
    outside.  Raises ValueError for anything but a positive int.

    >>> import adc
    >>> adc.set_num_threads(2)
    >>> adc.get_num_threads()
    2
    """
    pool.set_threads(n)


def get_num_threads() -> int:
    """How many threads kernels use: `set_num_threads`, `ADC_NUM_THREADS`, or the cores that the process may use."""
    return pool.threads()


def set_flush_denormals(on: bool) -> bool:
    """Make numbers below 2.2e-308 (float32: 1.2e-38) zero in the calling thread, and in what workers do for it; returns what was.

    Off, as in NumPy, unless something else has turned it on.  Where such numbers appear in masses (weights far from any observation,
    adjoints of a long simulation that die away) many processors take a hundred times as long for each; `adc doctor` says how
    long this one takes.  JAX has it always on.
    It is a mode of the processor for one thread, like `torch.set_flush_denormal`, and holds for NumPy in that thread too.

    Raises: `UnsupportedError` where there is no such mode, or no pool of workers (Windows).

    >>> import adc
    >>> @adc.jit
    ... def scaled(x):
    ...     return x * 1e-310
    >>> before = adc.set_flush_denormals(True)
    >>> scaled(1.0)
    0.0
    >>> adc.set_flush_denormals(before)
    True
    >>> scaled(1.0)
    1e-310
    """
    return pool.flush(bool(on))


__all__ = ["address", "get_num_threads", "set_flush_denormals", "set_num_threads"]
