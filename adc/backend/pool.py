"""The pool of workers: native threads that share the chunks of a loop with the thread that calls.

In: `run(chunk, context, count)`, called from compiled kernels.  Out: chunks 0 … count - 1 are done, each once; 0, or what
the first failing chunk (the lowest number) returned.

    int64 run(int64 (*chunk)(void *context, int64 begin, int64 end, int64 worker), void *context, int64 count)

Workers spin for some microseconds after a job, then sleep; they are handed chunks by one counter.  The counter and the
number of the job are one 64-bit word (`TICKET`), so that a worker which comes late can never take a chunk of a job that
is over: its exchange fails.  Whoever calls while the pool is busy, or from inside a chunk, does its chunks alone.
The code is the text below, made once into a library by LLVM and kept in the cache; a warm process opens it.

>>> start()                                                      # doctest: +SKIP
140184462692352
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import sys
import threading
from pathlib import Path

from adc.backend import cache

WORDS = 64
TICKET, COUNT, CHUNK, CONTEXT, DONE, ERROR, BUSY, LIMIT, SLEEPING = 0, 8, 9, 10, 16, 17, 24, 25, 32
"""Places in the state, in 64-bit words; what different threads write lies on different cache lines."""
MUTEX, CONDITION = 40, 52
"""Room for a pthread_mutex_t and a pthread_cond_t of any system (at most 64 and 48 bytes here)."""
CLOSED = 0xFFFFFFFF
SPINS = 400
"""Turns of a waiting worker before it sleeps: 10 to 30 µs."""

TEXT = f"""
@adc_pool_state = global ptr null

declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @sched_yield()

; chunks, until none is left
define internal void @take(ptr %s) {{
entry:
  %pcount = getelementptr i64, ptr %s, i64 {COUNT}
  %pchunk = getelementptr i64, ptr %s, i64 {CHUNK}
  %pcontext = getelementptr i64, ptr %s, i64 {CONTEXT}
  %pdone = getelementptr i64, ptr %s, i64 {DONE}
  %perror = getelementptr i64, ptr %s, i64 {ERROR}
  br label %again
again:
  %t = load atomic i64, ptr %s seq_cst, align 8
  %k = and i64 %t, {CLOSED}
  %count = load atomic i64, ptr %pcount seq_cst, align 8
  %chunk = load atomic ptr, ptr %pchunk seq_cst, align 8
  %context = load atomic ptr, ptr %pcontext seq_cst, align 8
  %left = icmp ult i64 %k, %count
  br i1 %left, label %try, label %out
try:
  %next = add i64 %t, 1
  %pair = cmpxchg ptr %s, i64 %t, i64 %next seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %mine, label %do, label %again
do:
  %end = add i64 %k, 1
  %code = call i64 %chunk(ptr %context, i64 %k, i64 %end, i64 0)
  %bad = icmp ne i64 %code, 0
  br i1 %bad, label %failed, label %done
failed:
  %high = shl i64 %k, 32
  %low = and i64 %code, 4294967295
  %key = or i64 %high, %low
  %was = atomicrmw umin ptr %perror, i64 %key seq_cst
  br label %done
done:
  %n = atomicrmw add ptr %pdone, i64 1 seq_cst
  br label %again
out:
  ret void
}}

; is there a chunk to take?
define internal i1 @work(ptr %s, i64 %number) {{
  %t = load atomic i64, ptr %s seq_cst, align 8
  %k = and i64 %t, {CLOSED}
  %pcount = getelementptr i64, ptr %s, i64 {COUNT}
  %count = load atomic i64, ptr %pcount seq_cst, align 8
  %left = icmp ult i64 %k, %count
  %plimit = getelementptr i64, ptr %s, i64 {LIMIT}
  %limit = load atomic i64, ptr %plimit seq_cst, align 8
  %one = add i64 %number, 1
  %wanted = icmp slt i64 %one, %limit
  %yes = and i1 %left, %wanted
  ret i1 %yes
}}

; what a worker does for ever; `arg` holds the state and the worker's number
define ptr @adc_pool_worker(ptr %arg) {{
entry:
  %s = load ptr, ptr %arg
  %pnumber = getelementptr i64, ptr %arg, i64 1
  %number = load i64, ptr %pnumber
  %psleeping = getelementptr i64, ptr %s, i64 {SLEEPING}
  %mutex = getelementptr i64, ptr %s, i64 {MUTEX}
  %condition = getelementptr i64, ptr %s, i64 {CONDITION}
  br label %fresh
fresh:
  br label %spin
spin:
  %turn = phi i64 [ 0, %fresh ], [ %turn1, %rest ]
  %yes = call i1 @work(ptr %s, i64 %number)
  br i1 %yes, label %go, label %wait
wait:
  %turn1 = add i64 %turn, 1
  %tired = icmp ugt i64 %turn1, {SPINS}
  br i1 %tired, label %sleep, label %rest
rest:
  PAUSE
  br label %spin
sleep:
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %before = atomicrmw add ptr %psleeping, i64 1 seq_cst
  br label %check
check:
  %now = call i1 @work(ptr %s, i64 %number)
  br i1 %now, label %awake, label %lie
lie:
  %woken = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %check
awake:
  %after = atomicrmw sub ptr %psleeping, i64 1 seq_cst
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %go
go:
  call void @take(ptr %s)
  br label %fresh
}}

define i64 @adc_pool_run(ptr %chunk, ptr %context, i64 %count) {{
entry:
  %s = load ptr, ptr @adc_pool_state
  %plimit = getelementptr i64, ptr %s, i64 {LIMIT}
  %limit = load atomic i64, ptr %plimit seq_cst, align 8
  %several = icmp sgt i64 %limit, 1
  %many = icmp sgt i64 %count, 1
  %try = and i1 %several, %many
  br i1 %try, label %claim, label %alone
claim:
  %pbusy = getelementptr i64, ptr %s, i64 {BUSY}
  %pair = cmpxchg ptr %pbusy, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %mine, label %publish, label %alone
publish:
  %pcount = getelementptr i64, ptr %s, i64 {COUNT}
  %pchunk = getelementptr i64, ptr %s, i64 {CHUNK}
  %pcontext = getelementptr i64, ptr %s, i64 {CONTEXT}
  %pdone = getelementptr i64, ptr %s, i64 {DONE}
  %perror = getelementptr i64, ptr %s, i64 {ERROR}
  %psleeping = getelementptr i64, ptr %s, i64 {SLEEPING}
  %old = load atomic i64, ptr %s seq_cst, align 8
  %job = lshr i64 %old, 32
  %job1 = add i64 %job, 1
  %high = shl i64 %job1, 32
  %closed = or i64 %high, {CLOSED}
  store atomic i64 %closed, ptr %s seq_cst, align 8
  store atomic i64 %count, ptr %pcount seq_cst, align 8
  store atomic ptr %chunk, ptr %pchunk seq_cst, align 8
  store atomic ptr %context, ptr %pcontext seq_cst, align 8
  store atomic i64 0, ptr %pdone seq_cst, align 8
  store atomic i64 -1, ptr %perror seq_cst, align 8
  %job2 = add i64 %job1, 1
  %open = shl i64 %job2, 32
  store atomic i64 %open, ptr %s seq_cst, align 8
  %asleep = load atomic i64, ptr %psleeping seq_cst, align 8
  %wake = icmp sgt i64 %asleep, 0
  br i1 %wake, label %call, label %own
call:
  %mutex = getelementptr i64, ptr %s, i64 {MUTEX}
  %condition = getelementptr i64, ptr %s, i64 {CONDITION}
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %told = call i32 @pthread_cond_broadcast(ptr %condition)
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %own
own:
  call void @take(ptr %s)
  br label %finish
finish:
  %turn = phi i64 [ 0, %own ], [ %turn1, %more ]
  %turn1 = add i64 %turn, 1
  %done = load atomic i64, ptr %pdone seq_cst, align 8
  %all = icmp eq i64 %done, %count
  br i1 %all, label %end, label %idle
idle:
  PAUSE
  %rest = and i64 %turn1, 255
  %long = icmp eq i64 %rest, 0
  br i1 %long, label %yield, label %more
yield:
  %y = call i32 @sched_yield()
  br label %more
more:
  br label %finish
end:
  %error = load atomic i64, ptr %perror seq_cst, align 8
  store atomic i64 0, ptr %pbusy seq_cst, align 8
  %fine = icmp eq i64 %error, -1
  %low = trunc i64 %error to i32
  %wide = sext i32 %low to i64
  %code = select i1 %fine, i64 0, i64 %wide
  ret i64 %code
alone:
  %none = icmp slt i64 %count, 1
  br i1 %none, label %well, label %one
one:
  %k = phi i64 [ 0, %alone ], [ %k1, %on ]
  %k1 = add i64 %k, 1
  %c = call i64 %chunk(ptr %context, i64 %k, i64 %k1, i64 0)
  %failed = icmp ne i64 %c, 0
  br i1 %failed, label %ill, label %on
on:
  %last = icmp eq i64 %k1, %count
  br i1 %last, label %well, label %one
ill:
  ret i64 %c
well:
  ret i64 0
}}
"""

X86 = ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()")
ARM = ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)")
PAUSES = {"x86_64": X86, "AMD64": X86, "aarch64": ARM, "arm64": ARM}

_lock = threading.RLock()
_state: ctypes.Array[ctypes.c_uint64] | None = None
_arguments: list[ctypes.Array[ctypes.c_uint64]] = []
_functions: dict[str, int] = {}
_wanted: int | None = None


def text() -> str:
    declaration, pause = PAUSES.get(platform.machine(), ("", ""))
    return declaration + TEXT.replace("PAUSE", pause)


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, -(-int(quota) // int(period))))
    return max(1, cores)


def threads() -> int:
    """How many threads kernels use, the calling one included."""
    if _wanted is not None:
        return _wanted
    given = os.environ.get("ADC_NUM_THREADS", "")
    return max(1, int(given)) if given.isdigit() else usable_cores()


def set_threads(n: int) -> None:
    global _wanted
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"the number of threads is a positive int, not {n!r}")
    with _lock:
        _wanted = n
        if _state is not None:
            _grow(n)
            _state[LIMIT] = n


def start() -> int:
    """The address of `run`, with its workers ready; 0 where there can be no pool (and kernels do their chunks alone)."""
    global _state
    if sys.platform == "win32":
        return 0
    with _lock:
        if _state is None:
            if not _functions:
                _functions.update(_load())
            if not _functions:
                return 0
            state = (ctypes.c_uint64 * (WORDS + 16))()
            libc = ctypes.CDLL(None)
            libc.pthread_mutex_init(ctypes.byref(state, 8 * MUTEX), None)
            libc.pthread_cond_init(ctypes.byref(state, 8 * CONDITION), None)
            state[TICKET] = CLOSED
            ctypes.c_uint64.from_address(_functions["adc_pool_state"]).value = ctypes.addressof(state)
            _state = state
            _grow(threads())
            state[LIMIT] = threads()
    return _functions["adc_pool_run"]


def _grow(n: int) -> None:
    """Workers for n threads."""
    assert _state is not None
    libc = ctypes.CDLL(None)
    while len(_arguments) < n - 1:
        argument = (ctypes.c_uint64 * 2)(ctypes.addressof(_state), len(_arguments))
        handle = ctypes.c_uint64()
        if libc.pthread_create(ctypes.byref(handle), None, ctypes.c_void_p(_functions["adc_pool_worker"]), argument) != 0:
            break  # fewer workers: the others, and the caller, do all chunks
        libc.pthread_detach(handle)
        _arguments.append(argument)


def _after_fork() -> None:
    """The threads did not come along: the child begins with a state of its own, at the address that kernels know."""
    global _state, _lock
    _lock = threading.RLock()
    if _state is not None:
        _state = None
        _arguments.clear()
        start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


NAMES = ("adc_pool_run", "adc_pool_worker", "adc_pool_state")


def _load() -> dict[str, int]:
    """The pool's functions: from the cache, or made now."""
    key = "pool-" + hashlib.sha256(f"{text()} {sys.platform} {platform.machine()} {cache.FORMAT}".encode()).hexdigest()[:48]
    for path in cache.fetch(key):
        found = _opened(path)
        if found:
            return found
    from adc.backend.compile import link, object_of

    data = object_of(text())
    library = link(data)
    path = cache.store(key, cache.LIBRARY, library) if library is not None else cache.store(key, cache.OBJECT, data)
    return _opened(path)


def _opened(path: Path) -> dict[str, int]:
    if path.suffix == cache.OBJECT:
        from adc.backend.inprocess import load_names

        return load_names(cache.content(path), NAMES[:2], NAMES[2:])
    try:
        library = ctypes.CDLL(str(path))
        return {name: ctypes.addressof(ctypes.c_uint64.in_dll(library, name)) for name in NAMES}
    except (OSError, ValueError):
        return {}


__all__ = ["set_threads", "start", "threads", "usable_cores"]
