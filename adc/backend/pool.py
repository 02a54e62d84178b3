"""The pool of workers: native threads that share the chunks of a loop with the thread that calls.

In: `run(chunk, context, count)`, called from compiled kernels.  Out: chunks 0 … count - 1 are done, each once; 0, or what
the failing chunk of the lowest number returned.

    int64 run(int64 (*chunk)(void *context, int64 begin, int64 end, int64 worker), void *context, int64 count)

The first job that is worth it makes the workers: no thread exists before, nor in a forked child that computes nothing.
Whoever calls while the pool is busy, or from inside a chunk, does its chunks alone: nobody waits for another's job.  When
the interpreter ends the workers leave.  The code (`pool_code`) is made once into a library by LLVM and kept in the
cache; a warm process opens it with ctypes.  docs/design/threads.md has the measurements.

>>> start() == 0                                                  # no pool on this system
False
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from adc.backend import native
from adc.backend.pool_code import text
from adc.backend.pool_words import (
    CONDITION,
    GONE,
    LAZY,
    LEAVE,
    LIMIT,
    MADE,
    MOST,
    MUTEX,
    SIZE,
)
from adc.backend.processors import MACHINES, Machine
from adc.errors import UnsupportedError, fail

NAMES = ("adc_pool_run", "adc_pool_worker", "adc_pool_state", "adc_pool_flush")

_lock = threading.RLock()
_functions: dict[str, int] = {}
"""Filled by `start`, or by `adopt` before it."""
_ready = False
PATIENCE = 1.0
"""Seconds that the end of the interpreter waits for workers."""
_chosen: int | None = None
_why_not = ""


# ---------------------------------------------------------------- how many


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its group, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota in _quotas():
        cores = min(cores, max(1, -(-quota[0] // quota[1])))
    return max(1, min(cores, MOST))


def _quotas(proc: str = "/proc/self/cgroup", mount: str = "/sys/fs/cgroup") -> Iterator[tuple[int, int]]:
    """(microseconds, in every period of so many) of the process's group and those around it, version 2 and 1."""
    try:
        lines = Path(proc).read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = Path(mount) / controllers
        place = root / own.lstrip("/")
        # in a container the path is the host's: what is mounted is the container's own
        for folder in (place, *place.parents):
            with contextlib.suppress(OSError, ValueError):
                if controllers:
                    words = [(folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period")]
                else:
                    words = (folder / "cpu.max").read_text().split()
                if words[0] not in ("max", "-1"):
                    yield int(words[0]), int(words[1])
            if folder == root:
                break


def threads() -> int:
    """How many threads kernels use, the calling one included.

    Raises: `UnsupportedError` where `ADC_NUM_THREADS` is no positive whole number.
    """
    if _chosen is not None:
        return _chosen
    given = os.environ.get("ADC_NUM_THREADS", "").strip()
    if not given:
        return usable_cores()
    if not given.isdecimal() or not 1 <= int(given) <= MOST:
        raise fail(
            UnsupportedError, "type", None, what=f"ADC_NUM_THREADS={given}", instead=f"set it to a whole number from 1 to {MOST}, or not at all"
        )
    return int(given)


def set_threads(n: int) -> None:
    """Raises: ValueError for anything but a positive int."""
    global _chosen
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST:
        raise ValueError(f"the number of threads is a positive int up to {MOST}, not {n!r}")
    with _lock:
        _chosen = n
        if _ready:
            _write(LIMIT, n)


# ---------------------------------------------------------------- the pool


def adopt(functions: dict[str, int]) -> None:
    """Take the functions of `NAMES` from a library that holds the same text, where there are none yet: no compiler is needed."""
    with _lock:
        if not _functions:
            _functions.update(functions)


def start() -> int:
    """The address of `run`; 0 where there can be no pool (and kernels do their chunks alone): `why_not` says why."""
    global _why_not, _ready
    with _lock:
        if not _ready and not _why_not:
            n = threads()
            try:
                if not _functions:
                    _functions.update(_library())
            except (OSError, RuntimeError, ImportError) as e:
                _why_not = f"{type(e).__name__}: {e}"
                return 0
            _begin(n)
            atexit.register(_stop)
            _ready = True
    return _functions.get("adc_pool_run", 0)


def _library() -> dict[str, int]:
    if sys.platform == "win32":
        raise OSError("there are no POSIX threads")
    code = text(platform.machine())
    return native.library("pool", lambda: code, code, NAMES)


def flush(on: bool) -> bool:
    """Make denormals zero in the calling thread, or not, and in what workers do for it; returns what was."""
    if not start() or not MACHINES.get(platform.machine(), Machine()).flush:
        raise fail(
            UnsupportedError, "type", None, what=f"set_flush_denormals on this system ({why_not() or platform.machine()})",
            instead="leave it out: results are the same but for numbers below 1e-307",
        )  # fmt: skip
    return bool(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(_functions["adc_pool_flush"])(on))


def why_not() -> str:
    """Why there is no pool; empty where there is one."""
    start()
    return _why_not


def _state() -> int:
    return ctypes.c_uint64.from_address(_functions["adc_pool_state"]).value


def _write(word: int, value: int) -> None:
    ctypes.c_int64.from_address(_state() + 8 * word).value = value


def _read(word: int) -> int:
    return ctypes.c_int64.from_address(_state() + 8 * word).value


def _posix(name: str, place: int, *rest: None) -> None:
    """Call a function of POSIX threads with the address of a word."""
    getattr(ctypes.CDLL(None), name)(ctypes.c_void_p(_state() + 8 * place), *rest)


def _begin(n: int) -> None:
    """A pool without workers, for n threads."""
    ctypes.memset(_state(), 0, 8 * SIZE)
    _posix("pthread_mutex_init", MUTEX, None)
    _posix("pthread_cond_init", CONDITION, None)
    _write(LAZY, 1)
    _write(LIMIT, n)


def _stop() -> None:
    """Workers leave; one that is inside a longer chunk ends with the process.  What is called later is done alone."""
    _write(LIMIT, LEAVE)
    _posix("pthread_mutex_lock", MUTEX)
    _posix("pthread_cond_broadcast", CONDITION)
    _posix("pthread_mutex_unlock", MUTEX)
    end = time.monotonic() + PATIENCE
    while _read(GONE) < _read(MADE) and time.monotonic() < end:
        time.sleep(50e-6)


def _after_fork() -> None:
    """The workers did not come along, and a job of another thread was left in the middle: the child begins anew."""
    global _lock
    _lock = threading.RLock()
    if _ready:
        _begin(threads())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


__all__ = ["adopt", "flush", "set_threads", "start", "threads", "usable_cores", "why_not"]
