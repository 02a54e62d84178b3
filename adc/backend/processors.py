"""What differs between processors, in LLVM's language.

In: nothing but data.  Out: `MACHINES`: the name of a machine (`platform.machine()`) → how a thread waits, and how it computes: the mode in which
it rounds and treats denormals.  Elsewhere there is `Machine()`, which has neither.  And `whole_vectors`: does LLVM get to use vectors of 512 bits?

>>> MACHINES["x86_64"].pause
'call void @llvm.x86.sse2.pause()'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """What differs between processors."""

    code: str = """
define internal i64 @mode() {
  ret i64 0
}
define internal void @set_mode(i64 %m) {
  ret void
}
"""
    """How a thread computes, as a number; a mode without the flags that say what has happened."""
    pause: str = ""
    """How a waiting thread tells the processor so."""
    flush: int = 0
    """The bits of the mode that make denormals zero."""


def whole_vectors(has: Mapping[str, bool]) -> str:
    """What LLVM is told besides the instruction sets of a processor that `has` them.

    LLVM keeps to vectors of 256 bits on Intel's processors with AVX-512, for the sake of the first ones, whose clock fell with the
    wide ones.  Those from Ice Lake on have AVX-512 VBMI2; docs/design/threads.md has what was measured, on one of them.

    >>> whole_vectors({"avx512f": True, "avx512vbmi2": True}), whole_vectors({"avx512f": True})
    ('-prefer-256-bit', '')
    """
    return "-prefer-256-bit" if has.get("avx512f") and has.get("avx512vbmi2") else ""


X86 = Machine(
    """
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define internal i64 @mode() {
  %at = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %at)
  %all = load i32, ptr %at
  %own = and i32 %all, -64
  %m = zext i32 %own to i64
  ret i64 %m
}
define internal void @set_mode(i64 %m) {
  %at = alloca i32
  %own = trunc i64 %m to i32
  store i32 %own, ptr %at
  call void @llvm.x86.sse.ldmxcsr(ptr %at)
  ret void
}
""",
    "call void @llvm.x86.sse2.pause()",
    0x8040,
)
ARM = Machine(
    """
declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
define internal i64 @mode() {
  %m = call i64 @llvm.aarch64.get.fpcr()
  ret i64 %m
}
define internal void @set_mode(i64 %m) {
  call void @llvm.aarch64.set.fpcr(i64 %m)
  ret void
}
""",
    "call void @llvm.aarch64.hint(i32 1)",
    1 << 24,
)
MACHINES = {"x86_64": X86, "AMD64": X86, "aarch64": ARM, "arm64": ARM}


__all__ = ["MACHINES", "Machine"]
