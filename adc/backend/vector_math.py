"""The elementary functions of a kernel: our own, which LLVM's vectorisers use, in place of the C library's.

In: the LLVM module of a kernel, which calls `llvm.exp.f64`, `tanh`, `erff`, ….  Out: the module without them.

    module = declare(module)          # before optimising: they become `adc.exp.f64` …, pure, with vector variants
    optimise(module)                  # loops call `adc.exp.f64.4` on four numbers at once
    define(module, machine)           # after: what is still called gets its body and is inlined

So the optimiser sees one cheap instruction, chooses the width of vectors by itself, and no flag of the surrounding code
(reassoc, contract, nsz) reaches the bodies: each instruction keeps its own flags, and theirs have none.  The same code
runs under `strict`, just in time, ahead of time and on any processor; without fused multiply-add the exact products
are taken apart (`Lanes.product_error`).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
from numba.core import cgutils, types
from numba.extending import intrinsic

from adc.backend.lanes import F32, F64, INLINE, PURE, Format, Lanes
from adc.backend.vector_kernels import KERNELS
from adc.backend.vector_trig import RARE, table_text
from adc.ops import routines

WIDTHS = {F64: (2, 4, 8), F32: (2, 4, 8, 16)}
"""Lanes of the variants: vectors of 128, 256 and 512 bits, and halves of them beside a wider type."""
CALLS = 4
"""A function of single numbers is inlined where it is called at most so often."""
VECTOR_CALLS = 40
"""And one of several lanes, of which each copy saves the registers around it: beyond, the text outgrows the processor's cache."""
INTRINSIC = ("exp", "exp2", "log", "log2", "log10", "sin", "cos", "pow")
OURS = ("expit", "logaddexp")
"""Those that no library has; `adc.ops.routines` says in Python what they are."""


def _symbols() -> dict[str, tuple[str, Format]]:
    """What is called for each function, by LLVM's name and by that of the C library."""
    made = {}
    for name in KERNELS:
        if name in OURS:
            made.update({f"adc_{name}_{f.suffix}": (name, f) for f in WIDTHS})
            continue
        made.update({name: (name, F64), f"{name}f": (name, F32)})
        if name in INTRINSIC:
            made.update({f"llvm.{name}.{f.suffix}": (name, f) for f in WIDTHS})
    return made


SYMBOLS = _symbols()


def _type(f: Format, lanes: int) -> str:
    return f.scalar if lanes == 1 else f"<{lanes} x {f.scalar}>"


def _signature(name: str, f: Format, lanes: int, symbol: str) -> str:
    t = _type(f, lanes)
    return f'declare {t} @"{symbol}"({", ".join([t] * KERNELS[name].arity)})'


# ---------------------------------------------------------------- before the optimiser


def declare(module: Any) -> Any:
    """The module with its calls renamed, and declarations that tell of the variants.  The given one is used up."""
    found: list[tuple[str, str, Format]] = []
    for fn in module.functions:
        if fn.is_declaration and fn.name in SYMBOLS:
            found.append((fn.name, *SYMBOLS[fn.name]))
            fn.name = f"adc.{fn.name}"
    if not found:
        return module
    lines, kept = [], []
    for k, (symbol, name, f) in enumerate(found):
        variants = {n: f"adc.{symbol}.{n}" for n in WIDTHS[f]}
        lines.append(f"{_signature(name, f, 1, f'adc.{symbol}')} #{k}")
        lines += [f"{_signature(name, f, n, v)} speculatable {PURE}" for n, v in variants.items()]
        kept += [f'ptr @"{v}"' for v in variants.values()]
        shape = "v" * KERNELS[name].arity
        listed = ",".join(f"_ZGV_LLVM_N{n}{shape}_adc.{symbol}({v})" for n, v in variants.items())
        lines.append(f'attributes #{k} = {{ speculatable {PURE} "vector-function-abi-variant"="{listed}" }}')
    # nothing calls the variants yet: this list keeps them
    lines.append(f'@llvm.compiler.used = appending global [{len(kept)} x ptr] [{", ".join(kept)}], section "llvm.metadata"')
    made = _parse(lines, module)
    made.link_in(module)
    return made


def _parse(lines: list[str], like: Any) -> Any:
    """A module for the target of another module, or of a machine."""
    made = llvm.parse_assembly("\n".join(lines))
    made.triple = like.triple
    made.data_layout = like.data_layout if isinstance(like, llvm.ModuleRef) else str(like.target_data)
    return made


# ---------------------------------------------------------------- after the optimiser


@dataclass(frozen=True)
class Variant:
    """A function for a format and a number of lanes."""

    name: str
    format: Format
    lanes: int


def define(module: Any, machine: Any) -> None:
    """Bodies for what the optimised module calls, inlined where that pays."""
    called = Counter(re.findall(r'call [^@\n]*@"?adc\.([\w.]+)"?\(', str(module)))
    wanted = {symbol: v for symbol in called if (v := variant(symbol)) is not None}
    if not wanted:
        return
    often = Counter({v: sum(called[s] for s, w in wanted.items() if w == v) for v in wanted.values()})
    outside = {v for v in often if often[v] > (CALLS if v.lanes == 1 else VECTOR_CALLS)}
    module.link_in(_parse(definitions(wanted, outside, fused(machine)), module))
    for fn in module.functions:
        # what was external only to be found by the linker
        if wanted.get(fn.name.removeprefix("adc.")) in outside:
            fn.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(3)))


def variant(symbol: str) -> Variant | None:
    """`tanh.4` is the variant of `tanh` for 4 lanes."""
    base, _, lanes = symbol.rpartition(".")
    if symbol in SYMBOLS:
        return Variant(*SYMBOLS[symbol], 1)
    return Variant(*SYMBOLS[base], int(lanes)) if base in SYMBOLS else None


def definitions(wanted: dict[str, Variant], outside: set[Variant], is_fused: bool) -> list[str]:
    """The text of the functions, and of what they need."""
    lines: list[str] = []
    declared: set[str] = set()
    needed: set[tuple[str, int]] = set()
    for symbol, v in wanted.items():
        kernel, m = KERNELS[v.name], Lanes(v.lanes, is_fused)
        result = kernel.formula(m, *m.arguments(*[v.format.scalar] * kernel.arity))
        linkage, attributes = ("", "noinline") if v in outside else (INLINE, "alwaysinline")
        lines.append(m.function(f"adc.{symbol}", result, linkage, attributes))
        declared |= m.declared
        needed |= m.needed
    for function, lanes in sorted(needed | {(function, 1) for function, _ in needed}):
        m = Lanes(lanes, is_fused)
        lines.append(rare_function(m, function))
        declared |= m.declared
    if needed:
        lines.append(table_text())
        lines.append('!0 = !{!"branch_weights", i32 1, i32 2000}')
    return [*sorted(declared), *lines]


def rare_function(m: Lanes, function: str) -> str:
    """A function for rare lanes: the formula itself, or a call of it in each lane."""
    rare = RARE[function]
    x = m.arguments(rare.scalar)[0]
    if m.lanes == 1:
        return m.function(function, rare.formula(m, x), "internal", "noinline cold")
    return m.function(f"{function}.{m.lanes}", m.lane_by_lane(function, rare.scalar, x), "internal", "noinline cold")


def fused(machine: Any) -> bool:
    """Has the machine an instruction for a * b + c?  Where not, LLVM calls the C library's fma."""
    text = """
        declare double @llvm.fma.f64(double, double, double)
        define double @probe(double %a, double %b, double %c) {
            %r = call double @llvm.fma.f64(double %a, double %b, double %c)
            ret double %r
        }"""
    return not re.search(r"\bfma\b", machine.emit_assembly(_parse([text], machine)))


# ---------------------------------------------------------------- routines that are functions of ours


@intrinsic
def _expit(typing: Any, x: Any) -> Any:
    return _call("expit", x)


@intrinsic
def _logaddexp(typing: Any, x: Any, y: Any) -> Any:
    return _call("logaddexp", x, y)


def _call(name: str, *args: Any) -> Any:
    """Numba's view: float32 if all are, else float64."""
    t = types.float32 if all(a == types.float32 for a in args) else types.float64

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        machine_type = context.get_value_type(t)
        kind = F32 if t == types.float32 else F64
        of = cgutils.ir.FunctionType(machine_type, [machine_type] * len(args))
        fn = cgutils.get_or_insert_function(builder.module, of, f"adc_{name}_{kind.suffix}")
        return builder.call(fn, values)

    return t(*[t] * len(args)), generate


NATIVE = {routines.expit: _expit, routines.logaddexp: _logaddexp}
"""For a routine in Python, what kernels call instead."""

__all__ = ["NATIVE", "declare", "define"]
