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
FUNCTION = re.compile(r"^\s*\.type\s+(?P<name>[^\s,]+),@function\n(?P<text>.*?)^\.Lfunc_end\d+:", re.M | re.S)
ATTRIBUTES = re.compile(r"^; Function Attrs:.*\n", re.M)
MANGLED = re.compile(r"_ZN\w+")
NOISE = re.compile(r"^\s*\.(cfi_|p2align|type|size|file|ident|section|addrsig|weak|hidden|globl).*\n", re.M)


def machine_text(kernel: Kernel, stage: str) -> str:
    """The kernel's functions, `adc_kernel` first, without the entry that reads Python's objects."""
    module, assembly = finished(kernel)
    if stage == "llvm":
        found = {f.name: ATTRIBUTES.sub("", str(f)).strip() for f in module.functions if not f.is_declaration}
    else:
        found = {m["name"]: NOISE.sub("", m["text"]).strip("\n") for m in FUNCTION.finditer(assembly)}
    if layout.KERNEL not in found:
        return assembly  # another system's assembler names functions otherwise
    order = sorted((name for name in found if name != layout.ENTRY), key=lambda name: name != layout.KERNEL)
    return MANGLED.sub(lambda m: plain(m[0]), "\n\n".join(found[name] for name in order)) + "\n"


def plain(mangled: str) -> str:
    """The function's own name in one that Numba has made.

    >>> plain("_ZN15adc_kernel_loss9loss_partB2v6B122c8tJT")
    'loss_part'
    """
    rest, word = mangled.removeprefix("_ZN"), mangled
    while m := re.match(r"\d+", rest):
        end = m.end() + int(m[0])
        word, rest = rest[m.end() : end], rest[end:]
    return word


def finished(kernel: Kernel) -> tuple[Any, str]:
    """(the optimised module, its assembly text) of the very module that becomes the kernel's object."""
    import llvmlite.binding as llvm

    from adc.backend import compile

    seen: list[tuple[Any, str]] = []

    def look(module: Any, cpu: str, features: str, exported: set[str]) -> bytes:
        with compile.optimised(module, cpu, features, exported) as machine:
            # copies: making instructions changes the module
            copies = [llvm.parse_bitcode(module.as_bitcode()) for _ in range(2)]
            seen.append((copies[0], machine.emit_assembly(copies[1])))
        return b""

    compile.compile_object(kernel, emit=look)
    return seen[-1]


__all__ = ["STAGES", "finished", "machine_text"]
