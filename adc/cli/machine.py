"""What LLVM makes of a kernel: its language after all passes, and the processor's instructions.

In: a `Kernel`.  Out: `machine_text(kernel, "llvm")` or `"asm"`: the text of the kernel's functions.  It is compiled
anew for this; the cache holds only the finished code.

    adc show kernels.seidel:loss --stage asm
"""

from __future__ import annotations

import re
from typing import Any

from adc.backend import layout
from adc.lower.kernel import Kernel

STAGES = ("llvm", "asm")
FUNCTION = re.compile(r"^\s*# -- Begin function (?P<name>\S+)\n(?P<text>.*?)^\s*# -- End function$", re.M | re.S)
NOISE = re.compile(r"^\s*\.(cfi_|p2align|type|size|file|ident|section|addrsig|weak|hidden|globl).*\n", re.M)


def machine_text(kernel: Kernel, stage: str) -> str:
    """The kernel's functions, without the entry that reads Python's objects."""
    module, assembly = finished(kernel)
    if stage == "llvm":
        kept = [f for f in module.functions if not f.is_declaration and f.name != layout.ENTRY]
        return "\n".join(str(f).strip() + "\n" for f in kept)
    found = [m for m in FUNCTION.finditer(assembly + "\n") if m["name"] != layout.ENTRY]
    return "\n".join(NOISE.sub("", m["text"]).strip("\n") + "\n" for m in found) if found else assembly


def finished(kernel: Kernel) -> tuple[Any, str]:
    """(the optimised module, its assembly text) of the very module that becomes the kernel's object."""
    import llvmlite.binding as llvm
    from numba.core.compiler_lock import global_compiler_lock

    from adc.backend.compile import compile_object

    seen: list[tuple[Any, str]] = []
    emit = llvm.TargetMachine.emit_object

    def look(machine: Any, module: Any) -> Any:
        # a copy: making instructions changes the module
        copy = llvm.parse_bitcode(module.as_bitcode())
        seen.append((llvm.parse_bitcode(module.as_bitcode()), machine.emit_assembly(copy)))
        return emit(machine, module)

    with global_compiler_lock:  # nobody else compiles meanwhile
        llvm.TargetMachine.emit_object = look
        try:
            compile_object(kernel)
        finally:
            llvm.TargetMachine.emit_object = emit
    return seen[-1]


__all__ = ["STAGES", "finished", "machine_text"]
