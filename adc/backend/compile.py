"""From a kernel's text to machine code: Numba types and lowers it, LLVM optimises, the linker makes a small library.

In: a `Kernel`.  Out: `compile_object(kernel)`, all of it as one object; or its pieces (`main_object`, `unit_object`), which `link` makes a
shared library of that exports `adc_kernel` and `adc_entry` (see `glue`) and needs only libc and libm.  Who puts pieces together is
`pieces`.  Only a miss of the cache imports this module, and with it Numba.

>>> link(compile_object(kernel))[:4]         # doctest: +SKIP
b'\x7fELF'
"""

from __future__ import annotations

import contextlib
import dis
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types as python_types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba import njit
from numba.core import cgutils, types
from numba.core.codegen import AOTCodeLibrary
from numba.core.compiler import CompilerBase, Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.cpu_options import FastMathOptions
from numba.core.dispatcher import Dispatcher
from numba.core.typed_passes import (
    AnnotateTypes,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
)
from numba.core.untyped_passes import FixupArgs, GenericRewrites, IRProcessing, TranslateByteCode
from numba.np.numpy_support import from_dtype

from adc.backend import glue, layout, products, target, vector_math, workers
from adc.backend.counting import counting
from adc.backend.processors import whole_vectors
from adc.errors import StageError, fail
from adc.lower.kernel import Kernel

FASTMATH = frozenset({"reassoc", "contract", "nsz", "arcp"})
"""Sums may be taken in any order; NaN and infinity keep their meaning."""


if not hasattr(llvm, "adc_options"):
    # loops over `x[i * n]` are not doubled for n == 1, which leaves every other n without vectors; may be said once in a process
    llvm.set_option("adc", "-enable-mem-access-versioning=0")
    llvm.adc_options = True


KERNEL = "<adc kernel"
"""How the file names of emitted texts begin."""


# ---------------------------------------------------------------- the function


def numba_type(dtype: np.dtype[Any]) -> Any:
    return types.uint8 if dtype.kind == "b" else from_dtype(dtype)


def argument_types(kernel: Kernel) -> tuple[Any, ...]:
    made = [types.CPointer(numba_type(p.dtype)) if p.dims else numba_type(p.dtype) for p in kernel.params]
    made += [types.int64] * (len(kernel.sizes) + len(kernel.capacities))
    made += [types.CPointer(numba_type(b.dtype)) for b in (*kernel.outs, *kernel.scratch)]
    return (*made, types.CPointer(types.int64))


SHORT = 24
"""Lines of a part that is not worth a module."""


@dataclass(frozen=True)
class Text:
    """What Numba is given of a kernel; other processes are given it, too."""

    name: str
    functions: dict[str, str]
    """The main function and the parts, each with its text."""
    routines: tuple[Any, ...]
    parts: tuple[str, ...]

    @staticmethod
    def of(kernel: Kernel) -> Text:
        functions = {m[1]: m[0] for m in re.finditer(r"^def (\w+)\(.*?(?=^def |\Z)", kernel.source, re.M | re.S)}
        return Text(kernel.name, functions, kernel.routines, tuple(p.name for p in kernel.parts))

    def own(self) -> frozenset[str]:
        """Short parts that the main function calls: they stay in its module, for every module costs some time."""
        found: dict[str, None] = {}
        left = [self.name]
        while left:
            called = re.findall(r"\brun_(\w+)\(", self.functions[left.pop()])
            new = [name for name in called if name not in found and self.functions[name].count("\n") <= SHORT]
            found.update(dict.fromkeys(new))
            left += new
        return frozenset(found)


@dataclass(frozen=True)
class How:
    """What machine code there shall be."""

    fastmath: frozenset[str]
    cpu: str
    features: str

    @staticmethod
    def here(strict: bool, cpu: str | None = None, features: str | None = None) -> How:
        """For this processor, or the one that is named in LLVM's words."""
        cpu = host_cpu() if cpu is None else cpu
        return How(frozenset() if strict else FASTMATH, cpu, host_features(cpu) if features is None else features)


Ask = Callable[[workers.Unit], Any]


class Making:
    """A module in the making: what Numba made of some of a kernel's functions, and what they are called by."""

    def __init__(self, text: Text, how: How, chosen: Any, ask: Ask) -> None:
        self.text, self.how, self.chosen, self.ask = text, how, chosen, ask
        self.context = chosen.target_context.with_aot_codegen("adc", cpu_name=how.cpu)
        self.context.codegen()._library_class = Raw
        self.library = self.context.codegen().create_library(f"adc_{text.name}")
        self.module = self.library.create_ir_module("adc_glue")
        self.namespace: dict[str, Any] = {"np": np, "math": math, "__name__": f"adc_kernel_{text.name}"}
        made: dict[Any, Any] = {}
        for fn in text.routines:
            self.namespace[fn.__name__] = routine(fn, self.prepare, made)
        for name in text.parts:
            parameters = text.functions[name].partition("):")[0].count(",") + 1
            self.namespace[f"run_{name}"] = workers.runner(name, parameters, ask)

    def prepare(self, fn: Any) -> Any:
        """A routine's Python, for kernels to call."""
        if self.chosen is not target.lean:
            return njit(error_model="numpy", fastmath=set(self.how.fastmath))(fn)
        return target.Routine(fn, numba_flags(self.how.fastmath, noalias=False), self.context, self.library, Lean)

    def function(self, name: str, args: tuple[Any, ...]) -> str:
        """The name of the machine function that Numba makes of this one."""
        exec(counting(self.text.functions[name], f"{KERNEL} {name}>"), self.namespace)
        flags = numba_flags(self.how.fastmath)
        made = compile_extra(
            self.chosen.typing_context, self.context, self.namespace[name], args, types.int64, flags, {}, self.library, pipeline_class=Lean
        )
        return str(made.fndesc.llvm_func_name)

    def parts(self, asked: dict[workers.Unit, None]) -> None:
        """All that are asked for, and those that they ask for."""
        done: set[workers.Unit] = set()
        while left := [unit for unit in asked if unit not in done]:
            for unit in left:
                self.part(unit)
            done.update(left)

    def part(self, unit: workers.Unit) -> None:
        workers.write(self.context, self.module, unit, self.function(unit.name, workers.inner_types(unit)))

    def whole(self) -> Any:
        """The module, linked; it is not optimised yet."""
        self.library.add_ir_module(self.module)
        # not library.finalize(): its passes, followed by ours, take a third more time and give no faster code
        whole = self.library._final_module
        for callee in dict.fromkeys(self.library._linking_libraries):
            whole.link_in(callee._get_module_for_linking(), preserve=True)
        return vector_math.declare(whole)


def full(kernel: Kernel) -> bool:
    """Does it call a routine that is not ours, which may need, or be compiled by, Numba's own target?"""
    return any(isinstance(fn, Dispatcher) or not str(fn.__module__).startswith("adc.") for fn in kernel.routines)


def routine(fn: Any, prepare: Callable[[Any], Any], made: dict[Any, Any]) -> Any:
    """A plain function, and those it calls by global name, for Numba."""
    for native in (vector_math.NATIVE, products.NATIVE):
        if fn in native:
            return native[fn]
    if not isinstance(fn, python_types.FunctionType):
        return fn  # an intrinsic, or compiled by its author
    if fn in made:
        return made[fn]
    if fn.__closure__:
        raise fail(StageError, "internal", None, what=f"the routine {fn.__name__} has a closure")
    own = dict(fn.__globals__)
    copy = python_types.FunctionType(fn.__code__, own, fn.__name__, fn.__defaults__)
    made[fn] = compiled = prepare(copy)
    for name in fn.__code__.co_names:
        if isinstance(own.get(name), python_types.FunctionType):
            own[name] = routine(own[name], prepare, made)
    return compiled


def numba_flags(flags: frozenset[str], noalias: bool = True) -> Any:
    f: Any = Flags()
    f.no_compile = True
    f.enable_ssa = False
    f.no_cpython_wrapper = True
    f.no_cfunc_wrapper = True
    f.error_model = "numpy"
    f.boundscheck = False
    f.nrt = False
    f.noalias = noalias  # pointers are distinct: no run-time checks before vector loops
    f.fastmath = FastMathOptions(set(flags))
    return f


class Lean(CompilerBase):  # type: ignore[misc]
    """The passes that a kernel needs: every variable has one type, so SSA, closures, rewrites of array
    expressions and the rest only cost time (half of the compilation of a long kernel).  Nor are variables deleted where they
    are used for the last time: numbers and pointers count no references, and LLVM would read and clear each of them."""

    def define_pipelines(self) -> list[Any]:
        manager = PassManager("adc kernel")
        code = self.state.func_id.code
        plain = code.co_filename.startswith(KERNEL) and not any(i.argrepr.startswith("**") for i in dis.get_instructions(code))
        for step, why in (
            (TranslateByteCode, "bytecode"),
            (FixupArgs, "arguments"),
            (IRProcessing, "control flow"),
            *(() if plain else ((GenericRewrites, "powers with a constant exponent, and in routines items of tuples"),)),
            (NopythonTypeInference, "types"),
            (AnnotateTypes, "annotations, which the lowering reads"),
            (NativeLowering, "LLVM"),
            (NoPythonBackend, "the result"),
        ):
            manager.add_pass(step, why)
        manager.finalize()
        return [manager]


class Raw(AOTCodeLibrary):  # type: ignore[misc]
    """Numba runs LLVM's cheap passes on each function before they are linked; ours run on the whole in any case."""

    def _optimize_functions(self, ll_module: Any) -> None:
        pass


@global_compiler_lock
def compile_object(kernel: Kernel, strict: bool = False, *, cpu: str | None = None, features: str | None = None, emit: Emit | None = None) -> bytes:
    """Relocatable object code of all of it: for this machine, or the processor that is named.

    `cpu`, `features`: LLVM's names, by default those of `host_cpu` and `host_features`; `emit`: what makes the object of the
    whole module, instead of `emit_object`.
    """
    how = How.here(strict, cpu, features)
    asked: dict[workers.Unit, None] = {}
    with target.use(full(kernel)) as chosen:
        making = Making(Text.of(kernel), how, chosen, asked.setdefault)
        exported = main_function(making, kernel)
        making.parts(asked)
        return (emit or emit_object)(making.whole(), how.cpu, how.features, exported)


@global_compiler_lock
def main_object(kernel: Kernel, text: Text, how: How, ask: Ask, own: frozenset[str]) -> tuple[bytes, list[workers.Unit]]:
    """The object of a kernel without its parts, but for those of its own, which are given, too."""
    mine: dict[workers.Unit, None] = {}

    def sort(unit: workers.Unit) -> None:
        if unit.name in own:
            mine[unit] = None
        else:
            ask(unit)

    with target.use(False) as chosen:
        making = Making(text, how, chosen, sort)
        exported = main_function(making, kernel)
        making.parts(mine)
        return emit_object(making.whole(), how.cpu, how.features, exported | {unit.symbol for unit in mine}), list(mine)


@global_compiler_lock
def unit_object(text: Text, unit: workers.Unit, how: How, ask: Ask) -> bytes:
    """The object of a part."""
    with target.use(False) as chosen:
        making = Making(text, how, chosen, ask)
        making.part(unit)
        return emit_object(making.whole(), how.cpu, how.features, {unit.symbol})


def main_function(making: Making, kernel: Kernel) -> set[str]:
    """The main function, and what it is called by; the names that it exports."""
    args, module, context = argument_types(kernel), making.module, making.context
    plan = layout.plan(kernel)
    made = making.function(kernel.name, args)

    def call(b: Any, values: list[Any]) -> Any:
        numba_fn = cgutils.get_or_insert_function(module, context.call_conv.get_function_type(types.int64, args), made)
        status, value = context.call_conv.call_function(b, numba_fn, types.int64, args, values)
        return b.select(status.is_ok, value, glue.const(layout.BROKEN))

    inner = glue.write_kernel(module, kernel, call)
    exported = {layout.KERNEL}
    if kernel.parts or kernel.multiplies:
        glue.write_runtime(module)
        exported.add(layout.RUNTIME_NAME)
    if kernel.multiplies:
        glue.write_mark(module, kernel.multiplies)
        exported.add(layout.PRODUCTS_NAME)
    if glue.can_enter(kernel, plan):
        glue.write_entry(module, kernel, plan, inner)
        exported.add(layout.ENTRY)
    return exported


Emit = Callable[[Any, str, str, set[str]], bytes]
"""(module, processor, features, exported names) -> an object."""


def host_cpu() -> str:
    return os.environ.get("NUMBA_CPU_NAME") or str(llvm.get_host_cpu_name())


def host_features(cpu: str) -> str:
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None and cpu == llvm.get_host_cpu_name():
        # a name alone would promise instructions that a virtual machine may hide
        has = llvm.get_host_cpu_features()
        features = ",".join(x for x in (has.flatten(), whole_vectors(has)) if x)
    return str(features or "")


def emit_object(module: Any, cpu: str, features: str, exported: set[str]) -> bytes:
    with optimised(module, cpu, features, exported) as machine:
        return bytes(machine.emit_object(module))


STRAIGHT = 1000
"""Instructions without a branch, beyond which the search for numbers that lie side by side takes longer than everything else."""
LARGE = 2_000
"""Instructions of a function (as Numba writes them), from which on two of LLVM's `habits` are broken."""
UNROLLED = 300, 60
"""What LLVM may make of a loop by writing its turns one after the other: its own number, and that for large functions, where
the copies hold loops over lanes again, each of them with a body for vectors and one for what is left."""


def lengths(module: Any) -> tuple[int, int]:
    """Instructions of the longest function and of the longest block, by the text: asking for each takes ten times as long."""
    function = block = longest = widest = 0
    for line in str(module).splitlines():
        if line.startswith("  "):
            block += 1
            continue
        function, block, widest = function + block, 0, max(widest, block)
        if line.startswith("}"):
            longest, function = max(longest, function), 0
    return longest, widest


@contextlib.contextmanager
def habits(large: bool) -> Iterator[None]:
    """LLVM's options while a kernel is optimised.

    Whether arrays of a loop overlap is asked before that loop, not once before the loop around it: asked for all of its turns at once,
    rows of one array, `w[k, 0, i]` and `w[k, 1, i]`, always do, and the loop over i then runs without vectors (docs/design/tiles.md).

    In functions that are `large`, two habits take most of the compilation (docs/design/first_calls.md).

    The options belong to the process; only this module compiles while they are changed (`global_compiler_lock`).
    """

    def say(usual: bool) -> None:
        words = {"hoist-runtime-checks": "true" if usual else "false"}
        if large:
            words |= {"disable-lsr": "false" if usual else "true", "unroll-threshold-aggressive": str(UNROLLED[0 if usual else 1])}
        for name, value in words.items():
            llvm.set_option("adc", f"-{name}={value}")

    say(False)
    try:
        yield
    finally:
        say(True)


@contextlib.contextmanager
def optimised(module: Any, cpu: str, features: str, exported: set[str]) -> Iterator[Any]:
    """Everything but what is exported becomes internal; then LLVM optimises the whole.  Gives the machine that can emit it."""
    for f in module.functions:
        if not f.is_declaration and f.name not in exported:
            f.linkage = "internal"
    for g in module.global_variables:
        # Numba's environments are never read: their declarations must not stay as undefined symbols
        if (not g.is_declaration or g.name.startswith("_ZN08NumbaEnv")) and not g.name.startswith("llvm.") and g.name not in exported:
            g.linkage = "internal"
    triple = llvm.Target.from_triple(module.triple or llvm.get_process_triple())
    machine = triple.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="default")
    longest, straight = lengths(module)
    options = llvm.create_pipeline_tuning_options(3)
    options.loop_vectorization = True
    options.slp_vectorization = straight < STRAIGHT
    with habits(longest >= LARGE):
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        vector_math.define(module, machine)
        yield machine


# ---------------------------------------------------------------- linking


def linkers() -> list[str]:
    chosen = os.environ.get("ADC_LINKER")
    if chosen is not None:
        return [chosen] if chosen and shutil.which(chosen) else []
    return [name for name in ("gcc", "clang", "cc") if shutil.which(name)]


def link(*objects: bytes, libraries: tuple[str, ...] = ()) -> bytes | None:
    """The shared library of objects, or None where no linker can make one (ADC_LINKER= chooses that)."""
    if sys.platform == "win32":
        return None
    with tempfile.TemporaryDirectory(prefix="adc-link-") as folder:
        made = Path(folder, "kernel.so")
        sources = [Path(folder, f"kernel{k}.o") for k in range(len(objects))]
        for source, data in zip(sources, objects, strict=True):
            source.write_bytes(data)
        if sys.platform == "darwin":
            options = ["-dynamiclib", "-Wl,-x"]
        else:
            options = ["-shared", "-nostartfiles", "-Wl,--gc-sections", "-Wl,-z,defs", "-s"]
        for linker in linkers():
            done = subprocess.run([linker, *options, "-o", str(made), *map(str, sources), *libraries, "-lm"], capture_output=True)
            if done.returncode == 0 and made.exists():
                return made.read_bytes()
    return None
