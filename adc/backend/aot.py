"""Ahead of time: a kernel as relocatable objects, one per processor level, and objects and libraries linked from them.

In: a `Kernel` and levels (`"x86-64-v3"`).  Out: `objects(kernel, prefix, levels)`, the bytes of an object per level
whose functions are `<prefix>_<level>_kernel` and `<prefix>_<level>_entry`; `write_detection` (which levels does the
processor have?), `emit` (a module of glue as an object), `link_library` and `archive`.

A kernel is typed once; LLVM then compiles the same module for every level.  Only `level`, `levels_here` and
`LEVELS` are for processes that compile nothing: everything else imports llvmlite or Numba.

>>> level("x86-64-v2").needs
('cx16', 'popcnt', 'sahf', 'sse3', 'sse4.1', 'sse4.2', 'ssse3')
"""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adc.backend.processors import whole_vectors
from adc.errors import LinkError, UnsupportedError, fail
from adc.lower.kernel import Kernel

# ---------------------------------------------------------------- processors

FEATURES: dict[str, tuple[str, int]] = {
    **{name: ("1.ecx", bit) for name, bit in {
        "sse3": 0, "pclmul": 1, "ssse3": 9, "fma": 12, "cx16": 13, "sse4.1": 19, "sse4.2": 20, "movbe": 22,
        "popcnt": 23, "aes": 25, "avx": 28, "f16c": 29,
    }.items()},
    **{name: ("7.ebx", bit) for name, bit in {
        "bmi": 3, "avx2": 5, "bmi2": 8, "avx512f": 16, "avx512dq": 17, "adx": 19, "avx512ifma": 21,
        "avx512cd": 28, "avx512bw": 30, "avx512vl": 31,
    }.items()},
    **{name: ("7.ecx", bit) for name, bit in {
        "avx512vbmi": 1, "avx512vbmi2": 6, "gfni": 8, "vaes": 9, "vpclmulqdq": 10, "avx512vnni": 11,
        "avx512bitalg": 12, "avx512vpopcntdq": 14,
    }.items()},
    **{name: ("8.ecx", bit) for name, bit in {"sahf": 0, "lzcnt": 5, "sse4a": 6}.items()},
}  # fmt: skip
"""LLVM's name of an x86 instruction set -> (register of CPUID, bit); "8" stands for leaf 0x80000001."""
BASELINE_FEATURES = frozenset({"sse", "sse2", "fxsr", "mmx", "cx8", "cmov", "x87", "64bit"})
OSXSAVE = 27
"""The bit of 1.ecx that says: the system tells which registers it saves."""

_V2 = ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3")
_V3 = (*_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")


@dataclass(frozen=True)
class Level:
    """A kind of processor to compile for."""

    name: str
    machine: str
    """"x86_64" or "aarch64", as `platform.machine()` has it."""
    cpu: str
    """LLVM's name of the processor."""
    needs: tuple[str, ...] = ()
    """Instruction sets beyond the machine's first (names of `FEATURES`)."""
    features: str = ""
    """Features for LLVM besides what `cpu` has."""

    @property
    def symbol(self) -> str:
        return "".join(c if c.isalnum() else "_" for c in self.name)


LEVELS = ("baseline", "x86-64-v2", "x86-64-v3", "x86-64-v4", "native", "aarch64")
_FIXED = {
    "x86-64-v2": Level("x86-64-v2", "x86_64", "x86-64-v2", _V2),
    "x86-64-v3": Level("x86-64-v3", "x86_64", "x86-64-v3", _V3),
    "x86-64-v4": Level("x86-64-v4", "x86_64", "x86-64-v4", _V4),
    "aarch64": Level("aarch64", "aarch64", "generic"),
}


def machine_here() -> str:
    """This machine's architecture under one name on every system."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def level(name: str) -> Level:
    """The level of this name; `native` and `baseline` are this machine's.

    Raises: `UnsupportedError` for a name that is none, or a machine that adc cannot compile for.
    """
    if name in _FIXED:
        return _FIXED[name]
    here = machine_here()
    if name == "baseline" and here in ("x86_64", "aarch64"):
        return Level(name, here, "x86-64" if here == "x86_64" else "generic")
    if name == "native":
        return _native(here)
    raise fail(UnsupportedError, "type", None, what=f"the processor level {name!r} (on {here})", instead=f"use one of {', '.join(LEVELS)}")


def _native(here: str) -> Level:
    """This very processor, with the instruction sets that a library can ask for when it is loaded, and no other."""
    if here != "x86_64":
        raise fail(UnsupportedError, "type", None, what=f"level native on {here}, where a library cannot ask for its instruction sets", instead="use baseline")
    import llvmlite.binding as llvm

    host = {name: bool(on) for name, on in llvm.get_host_cpu_features().items()}
    have = tuple(sorted(name for name in FEATURES if host.get(name)))
    # a processor's name promises more than can be checked (and than a virtual machine shows): said off by name
    known = BASELINE_FEATURES | set(have)
    features = [("+" if name in known and on else "-") + name for name, on in sorted(host.items())]
    features += [x for x in [whole_vectors(host)] if x]
    return Level("native", here, llvm.get_host_cpu_name(), have, ",".join(features))


def levels(names: Sequence[str]) -> tuple[Level, ...]:
    """The levels of one library, each above the one before; all of one machine.

    >>> [x.name for x in levels(("x86-64-v3", "x86-64-v2"))]
    ['x86-64-v2', 'x86-64-v3']
    """
    found = [level(name) for name in dict.fromkeys(names)]
    if not found or len({x.machine for x in found}) > 1:
        raise fail(
            UnsupportedError, "type", None, what=f"levels {', '.join(names) or '(none)'}: one library is for one machine",
            instead="build each architecture into a folder of its own",
        )
    return tuple(sorted(found, key=lambda x: len(x.needs)))


def triple(machine: str) -> str:
    """What LLVM calls this system on `machine`."""
    import llvmlite.binding as llvm

    if machine == machine_here():
        return str(llvm.get_process_triple())
    if sys.platform != "linux" or machine != "aarch64":
        raise fail(UnsupportedError, "type", None, what=f"objects for {machine} on {sys.platform}-{machine_here()}", instead="build on that machine")
    return "aarch64-unknown-linux-gnu"


# ---------------------------------------------------------------- objects


def objects(kernel: Kernel, prefix: str, chosen: Sequence[Level], strict: bool = False) -> dict[str, tuple[bytes, list[str]]]:
    """Level name -> (the kernel as an object, the names that it exports: `<prefix>_<level>_kernel`, `…_entry`)."""
    import llvmlite.binding as llvm

    from adc.backend import compile

    made: dict[str, tuple[bytes, list[str]]] = {}

    def every_level(module: Any, cpu: str, features: str, exported: set[str]) -> bytes:
        bitcode = module.as_bitcode()
        for x in chosen:
            own = llvm.parse_bitcode(bitcode)
            names = []
            for name in sorted(exported):
                names.append(f"{prefix}_{x.symbol}_{name.removeprefix('adc_')}")
                _global(own, name).name = names[-1]
            _retarget(own, x)
            made[x.name] = compile.emit_object(own, x.cpu, x.features, set(names)), names
        return b""

    # typed once, for the machine's first processor: what Numba folds in must hold on all of them
    first = "x86-64" if machine_here() == "x86_64" else "generic"
    compile.compile_object(kernel, strict, cpu=first, features="", emit=every_level)
    return made


def _global(module: Any, name: str) -> Any:
    for kind in (module.get_function, module.get_global_variable):
        with contextlib.suppress(NameError):
            return kind(name)
    raise NameError(name)


def _retarget(module: Any, x: Level) -> None:
    """The module for the machine of `x`: kernels are loads, stores and arithmetic, the same on all 64-bit machines."""
    import llvmlite.binding as llvm

    if x.machine == machine_here():
        return
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module.triple = triple(x.machine)
    module.data_layout = str(llvm.Target.from_triple(module.triple).create_target_machine(cpu=x.cpu, reloc="pic").target_data)


def emit(text: str, x: Level) -> bytes:
    """A module in LLVM's language as an object for the first processor of a machine."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()  # CPUID is inline assembly
    module = llvm.parse_assembly(text)
    module.triple = triple(x.machine)
    machine = llvm.Target.from_triple(module.triple).create_target_machine(
        cpu="x86-64" if x.machine == "x86_64" else "generic", opt=2, reloc="pic", codemodel="default"
    )
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(2)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


# ---------------------------------------------------------------- which levels does the processor have?


def write_detection(module: Any, chosen: Sequence[Level], name: str) -> Any:
    """The function `int32 name()`: bit k says that this processor has level k.

    On x86-64 CPUID is asked; a level without `needs` is everybody's.
    """
    from llvmlite import ir

    i32 = ir.IntType(32)
    fn = ir.Function(module, ir.FunctionType(i32, []), name)
    fn.linkage = "internal"
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    if not any(x.needs for x in chosen):
        b.ret(ir.Constant(i32, (1 << len(chosen)) - 1))
        return fn
    registers = _cpuid(b)
    answer: Any = ir.Constant(i32, 0)
    for k, x in enumerate(chosen):
        has: Any = ir.Constant(ir.IntType(1), 1)
        for register, mask in masks(x).items():
            want = ir.Constant(i32, mask)
            has = b.and_(has, b.icmp_unsigned("==", b.and_(registers[register], want), want))
        answer = b.or_(answer, b.shl(b.zext(has, i32), ir.Constant(i32, k)))
    b.ret(answer)
    return fn


def masks(x: Level) -> dict[str, int]:
    """Register of CPUID -> the bits that a level needs; "xcr0" are the registers that the system must save."""
    found: dict[str, int] = {}
    for name in x.needs:
        register, bit = FEATURES[name]
        found[register] = found.get(register, 0) | 1 << bit
    if any(name.startswith(("avx", "fma", "f16c", "vaes", "vpcl")) for name in x.needs):
        found["1.ecx"] = found.get("1.ecx", 0) | 1 << OSXSAVE
        found["xcr0"] = 0xE6 if any(name.startswith("avx512") for name in x.needs) else 0x6
    return found


def _cpuid(b: Any) -> dict[str, Any]:
    """The registers that `masks` names; 0 where the processor does not have the leaf."""
    from llvmlite import ir

    i32 = ir.IntType(32)
    four = ir.LiteralStructType([i32] * 4)
    zero = ir.Constant(i32, 0)

    def leaf(number: Any, sub: int = 0) -> list[Any]:
        kind = ir.FunctionType(four, [i32, i32])
        done = b.asm(kind, "cpuid", "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}", [number, ir.Constant(i32, sub)], True)
        return [b.extract_value(done, k) for k in range(4)]

    def present(number: int, most: Any, register: int) -> Any:
        n = ir.Constant(i32, number)
        has = b.icmp_unsigned(">=", most, n)
        value = leaf(b.select(has, n, zero))[register]
        return b.select(has, value, zero)

    most = leaf(zero)[0]
    ecx1 = leaf(ir.Constant(i32, 1))[2]
    found = {
        "1.ecx": ecx1,
        "7.ebx": present(7, most, 1),
        "7.ecx": present(7, most, 2),
        "8.ecx": present(0x80000001, leaf(ir.Constant(i32, 0x80000000))[0], 2),
    }
    # XGETBV is an instruction only where the system says so
    start = b.block
    saves = b.icmp_unsigned("!=", b.and_(ecx1, ir.Constant(i32, 1 << OSXSAVE)), zero)
    with b.if_then(saves):
        pair = ir.FunctionType(ir.LiteralStructType([i32, i32]), [i32])
        asked = b.extract_value(b.asm(pair, "xgetbv", "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}", [zero], True), 0)
        inside = b.block
    xcr0 = b.phi(i32)
    xcr0.add_incoming(zero, start)
    xcr0.add_incoming(asked, inside)
    found["xcr0"] = xcr0
    return found


# ---------------------------------------------------------------- linking


def linkers(machine: str) -> list[str]:
    """Compilers on this machine that can link for `machine`: those that kernels are linked with, or a cross compiler."""
    from adc.backend import compile

    if machine == machine_here():
        return compile.linkers()
    return [name for name in (f"{machine}-linux-gnu-gcc",) if shutil.which(name)]


def link_library(data: dict[str, bytes], exported: Sequence[str], soname: str, machine: str, stays: bool = False) -> bytes | None:
    """A shared library of objects (file name -> bytes) with these exports; None where there is no linker.

    `stays`: once loaded it is never unloaded, for threads may be running in it.

    Raises: `LinkError` where no linker made one.
    """
    if sys.platform == "win32" or not (found := linkers(machine)):
        return None
    said = ""
    with tempfile.TemporaryDirectory(prefix="adc-link-") as folder:
        place = Path(folder)
        for name, content in data.items():
            (place / name).write_bytes(content)
        made, listing = place / soname, place / "exports"
        if sys.platform == "darwin":
            listing.write_text("".join(f"_{name}\n" for name in exported))
            options = ["-dynamiclib", f"-Wl,-install_name,@rpath/{soname}", f"-Wl,-exported_symbols_list,{listing}"]
        else:
            listing.write_text("{ global: " + "; ".join(exported) + "; local: *; };")
            options = [
                "-shared", "-nostartfiles", f"-Wl,-soname,{soname}", f"-Wl,--version-script={listing}",
                "-Wl,--gc-sections", "-Wl,-z,defs", "-Wl,-z,noexecstack", "-Wl,--build-id=none", "-s",
                *(["-Wl,-z,nodelete"] if stays else []),
            ]  # fmt: skip
        for linker in found:
            done = subprocess.run([linker, *options, "-o", str(made), *(str(place / name) for name in data), "-lm", *(["-lpthread"] if sys.platform == "linux" else [])], capture_output=True, text=True)
            if done.returncode == 0 and made.exists():
                return made.read_bytes()
            said += f"{linker}: {done.stderr.strip()}\n"
    raise fail(LinkError, "type", None, what=f"no linker could make {soname}: {said.strip()}", instead="see what the linker says; ADC_LINKER=name chooses another")


def archive(data: dict[str, bytes], name: str) -> bytes | None:
    """A static archive of objects; None where there is no `ar`."""
    tool = shutil.which("ar") or shutil.which("llvm-ar")
    if tool is None:
        return None
    with tempfile.TemporaryDirectory(prefix="adc-ar-") as folder:
        for member, content in data.items():
            Path(folder, member).write_bytes(content)
        # "D": no times and owners, so that the same objects give the same bytes
        flags = "rcsD" if sys.platform == "linux" else "rcs"
        done = subprocess.run([tool, flags, name, *data], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise fail(LinkError, "type", None, what=f"{tool}: {done.stderr.strip()}", instead="build without the static archive")
        return Path(folder, name).read_bytes()


__all__ = ["LEVELS", "Level", "archive", "emit", "level", "levels", "link_library", "linkers", "machine_here", "objects", "triple", "write_detection"]
