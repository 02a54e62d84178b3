"""The memory of large results: blocks that come back and are handed out again.

In: nothing.  Out: `handler()`: what `PyDataMem_SetHandler` takes (NumPy's NEP 49), for the compiled entries; None where there is none.

A fresh block of a megabyte costs more than most kernels that fill it, since the system clears and maps its pages one by one (three
results of 784 × 256 float32: 0.7 ms, where the kernel takes 0.2).  So blocks of freed results from `LARGE` bytes on are kept, at most
`SLOTS` of them and `limit()` bytes in all, and the next result of just that size gets one.  The arrays are NumPy's in every way: they own
their memory, may be resized, and outlive adc's functions.

Blocks are taken and given back under a word that is tried once: who finds it taken (another thread, or a thread that did not come along
into a forked child) uses the system's memory instead, so nobody waits.

>>> LARGE <= limit() or limit() == 0
True
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adc.backend import layout, native
from adc.errors import UnsupportedError, fail

LARGE = layout.LARGE_RESULT
SLOTS = 32
LIMIT = 64 << 20
"""Bytes kept, unless `ADC_RESULT_MEMORY` says otherwise."""
PAGE, HUGE = layout.PAGE, layout.HUGE
STATE = ("taken", "kept", "limit", "turn")
"""Words of the state: somebody is in it; bytes in the slots; how many there may be; the next slot to be emptied."""
EXPORTS = ("adc_memory_handler", "adc_memory_state")

# as NumPy does for its own: pages of two megabytes, of which a fresh block needs few
ADVISED = f"""
declare i32 @madvise(ptr, i64, i32)
define internal void @advise(ptr %block, i64 %size) {{
  %address = ptrtoint ptr %block to i64
  %up = add i64 %address, {PAGE - 1}
  %first = and i64 %up, -{PAGE}
  %skipped = sub i64 %first, %address
  %rest = sub i64 %size, %skipped
  %from = inttoptr i64 %first to ptr
  %done = call i32 @madvise(ptr %from, i64 %rest, i32 {layout.MADV_HUGEPAGE})
  ret void
}}
"""
PLAIN = """
define internal void @advise(ptr %block, i64 %size) {
  ret void
}
"""
TEXT = f"""
@adc_memory_state = global [{len(STATE)} x i64] zeroinitializer, align 64
@blocks = internal global [{SLOTS} x ptr] zeroinitializer
@sizes = internal global [{SLOTS} x i64] zeroinitializer
; PyDataMem_Handler: name, version 1, context, malloc, calloc, realloc, free
@adc_memory_handler = global {{ [127 x i8], i8, ptr, ptr, ptr, ptr, ptr }} {{
  [127 x i8] c"adc{chr(92)}00{(chr(92) + "00") * 123}", i8 1, ptr null, ptr @take, ptr @take_zeros, ptr @resize, ptr @give }}

ADVISE
declare ptr @malloc(i64)
declare ptr @calloc(i64, i64)
declare ptr @realloc(ptr, i64)
declare void @free(ptr)

; what a request takes: whole pages from LARGE on
define internal i64 @room(i64 %size) {{
  %large = icmp uge i64 %size, {LARGE}
  %more = add i64 %size, {PAGE - 1}
  %pages = and i64 %more, -{PAGE}
  %room = select i1 %large, i64 %pages, i64 %size
  ret i64 %room
}}

define internal i1 @enter() {{
  %pair = cmpxchg ptr @adc_memory_state, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  ret i1 %mine
}}

define internal void @leave() {{
  store atomic i64 0, ptr @adc_memory_state seq_cst, align 8
  ret void
}}

define internal ptr @take(ptr %context, i64 %size) {{
start:
  %room = call i64 @room(i64 %size)
  %large = icmp uge i64 %size, {LARGE}
  br i1 %large, label %try, label %system
try:
  %mine = call i1 @enter()
  br i1 %mine, label %look, label %system
look:
  %k = phi i64 [ 0, %try ], [ %next, %other ]
  %end = icmp eq i64 %k, {SLOTS}
  br i1 %end, label %none, label %see
see:
  %at = getelementptr i64, ptr @sizes, i64 %k
  %has = load i64, ptr %at
  %fits = icmp eq i64 %has, %room
  br i1 %fits, label %found, label %other
other:
  %next = add i64 %k, 1
  br label %look
found:
  %where = getelementptr ptr, ptr @blocks, i64 %k
  %block = load ptr, ptr %where
  store i64 0, ptr %at
  %pkept = getelementptr i64, ptr @adc_memory_state, i64 1
  %kept = load i64, ptr %pkept
  %less = sub i64 %kept, %room
  store i64 %less, ptr %pkept
  call void @leave()
  ret ptr %block
none:
  call void @leave()
  br label %system
system:
  %new = call ptr @malloc(i64 %room)
  %huge = icmp uge i64 %room, {HUGE}
  %got = icmp ne ptr %new, null
  %ask = and i1 %huge, %got
  br i1 %ask, label %advise, label %out
advise:
  call void @advise(ptr %new, i64 %room)
  br label %out
out:
  ret ptr %new
}}

define internal ptr @take_zeros(ptr %context, i64 %count, i64 %each) {{
  %size = mul i64 %count, %each
  %room = call i64 @room(i64 %size)
  %large = icmp uge i64 %size, {LARGE}
  %n = select i1 %large, i64 %room, i64 %count
  %e = select i1 %large, i64 1, i64 %each
  %new = call ptr @calloc(i64 %n, i64 %e)
  ret ptr %new
}}

define internal ptr @resize(ptr %context, ptr %block, i64 %size) {{
  %room = call i64 @room(i64 %size)
  %new = call ptr @realloc(ptr %block, i64 %room)
  ret ptr %new
}}

; empties the slot whose turn it is
define internal void @empty() {{
  %pturn = getelementptr i64, ptr @adc_memory_state, i64 3
  %turn = load i64, ptr %pturn
  %on = add i64 %turn, 1
  %next = and i64 %on, {SLOTS - 1}
  store i64 %next, ptr %pturn
  %at = getelementptr i64, ptr @sizes, i64 %turn
  %has = load i64, ptr %at
  %full = icmp ne i64 %has, 0
  br i1 %full, label %drop, label %out
drop:
  %where = getelementptr ptr, ptr @blocks, i64 %turn
  %block = load ptr, ptr %where
  call void @free(ptr %block)
  store i64 0, ptr %at
  %pkept = getelementptr i64, ptr @adc_memory_state, i64 1
  %kept = load i64, ptr %pkept
  %less = sub i64 %kept, %has
  store i64 %less, ptr %pkept
  br label %out
out:
  ret void
}}

define internal void @give(ptr %context, ptr %block, i64 %size) {{
start:
  %room = call i64 @room(i64 %size)
  %plimit = getelementptr i64, ptr @adc_memory_state, i64 2
  %limit = load i64, ptr %plimit
  %large = icmp uge i64 %size, {LARGE}
  %small = icmp ule i64 %room, %limit
  %there = icmp ne ptr %block, null
  %both = and i1 %large, %small
  %all = and i1 %both, %there
  br i1 %all, label %try, label %system
try:
  %mine = call i1 @enter()
  br i1 %mine, label %fit, label %system
fit:
  %pkept = getelementptr i64, ptr @adc_memory_state, i64 1
  %kept = load i64, ptr %pkept
  %sum = add i64 %kept, %room
  %much = icmp ugt i64 %sum, %limit
  br i1 %much, label %crowded, label %look
crowded:
  call void @empty()
  br label %fit
look:
  %k = phi i64 [ 0, %fit ], [ %next, %other ]
  %end = icmp eq i64 %k, {SLOTS}
  br i1 %end, label %crowded, label %see
see:
  %at = getelementptr i64, ptr @sizes, i64 %k
  %has = load i64, ptr %at
  %free = icmp eq i64 %has, 0
  br i1 %free, label %keep, label %other
other:
  %next = add i64 %k, 1
  br label %look
keep:
  store i64 %room, ptr %at
  %where = getelementptr ptr, ptr @blocks, i64 %k
  store ptr %block, ptr %where
  store i64 %sum, ptr %pkept
  call void @leave()
  ret void
system:
  call void @free(ptr %block)
  ret void
}}
"""

TEXT = TEXT.replace("ADVISE\n", ADVISED if sys.platform == "linux" else PLAIN)

_capsule: Any = None
_state: Any = None
_making: threading.Thread | None = None
_why_not = ""
_lock = threading.Lock()


def limit() -> int:
    """Bytes of results that are kept at most; 0 where `ADC_RESULT_MEMORY` turns it off.

    Raises: `UnsupportedError` where that is no whole number.
    """
    return _given("ADC_RESULT_MEMORY", LIMIT)


def scratch_limit() -> int:
    """Bytes of scratch that entries keep between calls, all of them together, beyond 64 MB each: a quarter of the memory, or `ADC_SCRATCH_MEMORY`.

    A tape of a gigabyte that is asked for anew in each call costs more to be cleared and mapped than to be written.

    Raises: `UnsupportedError` where that is no whole number.
    """
    return _given("ADC_SCRATCH_MEMORY", _memory() // 4)


def _given(name: str, usual: int) -> int:
    given = os.environ.get(name, "").strip()
    if not given:
        return usual
    if not given.isdecimal():
        raise fail(UnsupportedError, "type", None, what=f"{name}={given}", instead="set it to a number of bytes, 0 to keep nothing, or not at all")
    return int(given)


def _memory(group: str = "/sys/fs/cgroup/memory.max") -> int:
    """Bytes of memory that this process may use: the machine's, or its group's."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        found = 4 * LIMIT
    try:
        text = Path(group).read_text().strip()
    except OSError:
        return found
    return min(found, int(text)) if text.isdecimal() else found


def handler(later: Callable[[Any], None] | None = None) -> Any:
    """The capsule; None where there is none (yet), or nothing is to be kept.

    Where the library was never made, and a compiler is at hand, a thread makes it (a tenth of a second that the first call need not
    wait for) and hands the capsule to `later`.
    """
    global _making
    with _lock:
        if _capsule is None and limit() and _making is None:
            if not _open(make=False) and "llvmlite.binding" in sys.modules:
                _making = threading.Thread(target=_make, args=(later,), name="adc memory")
                _making.start()
        return _capsule


def wait() -> None:
    """Until a library that is being made is there."""
    if _making is not None:
        _making.join()


def _make(later: Callable[[Any], None] | None) -> None:
    if _open(make=True) and later is not None:
        later(_capsule)


def _open(make: bool) -> bool:
    global _capsule, _state, _why_not
    try:
        found = native.library("memory", lambda: TEXT, TEXT, EXPORTS, make=make)
    except (OSError, RuntimeError, ImportError) as e:
        _why_not = f"{type(e).__name__}: {e}"
        return False  # results are right in NumPy's own memory: `describe` and `adc doctor` say so
    if found:
        _state = (ctypes.c_int64 * len(STATE)).from_address(found["adc_memory_state"])
        _state[STATE.index("limit")] = limit()
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        _capsule = new(found["adc_memory_handler"], b"mem_handler", None)
    return bool(found)


def describe() -> str:
    """Where the memory of large results comes from, in words."""
    if not layout.has_fast_entries():
        return "NumPy's: calls go through Python here"
    if not limit():
        return "NumPy's: ADC_RESULT_MEMORY=0"
    if _capsule is None and not _open(make=True):
        return f"NumPy's; blocks cannot be kept: {_why_not}"
    return f"blocks that come back, up to {limit() >> 20} MB kept; scratch of kernels up to {scratch_limit() >> 20} MB"


def kept() -> int:
    """Bytes that wait for the next result."""
    return int(_state[STATE.index("kept")]) if _state is not None else 0


def _after_fork() -> None:
    """A thread that was making the library did not come along."""
    global _lock, _making
    _lock = threading.Lock()
    if _capsule is None:
        _making = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


__all__ = ["EXPORTS", "LARGE", "LIMIT", "SLOTS", "TEXT", "describe", "handler", "kept", "limit", "scratch_limit", "wait"]
