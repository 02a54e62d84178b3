"""Writes adapters in LLVM's language: the core around a kernel, and the pieces of which conventions are made.

In: a `Native` and what comes with each call.  Out: an `Adapter` with a module; `object_code(module)`: its bytes.
Imported on a miss of the cache only, like everything that needs llvmlite.

    a = Adapter(native, frozenset({0}), False);  a.core.type         # i64 (i64*, double*, double*)*
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from adc.backend import glue, layout
from adc.backend.glue import I64, PTR, VOID, const, machine_type
from adc.interop.adapter import BROKEN, MEMORY, SIZES
from adc.interop.native import Native, words

STACK = 8192
"""Scratch of up to so many bytes lies on the caller's stack."""


class Adapter(glue.Dims):
    """A module with `core`; conventions add their function to it."""

    def __init__(self, native: Native, given: frozenset[int], free: bool):
        self.native, self.kernel, self.plan = native, native.kernel, native.plan
        self.given, self.free = given, free
        self.module = ir.Module("adc_adapter")
        self.words = words(self.kernel, self.plan, given, free)
        self.kernel_type = ir.FunctionType(I64, glue.signature(self.kernel))
        # symbols whose values come with each call
        self.asked = [b for b in self.plan.sizes if free and b.param in given]
        params = [self.kernel_type.args[k] for k in sorted(given)]
        outs = [machine_type(o.dtype).as_pointer() for o in self.kernel.outs]
        type = ir.FunctionType(I64, [I64.as_pointer(), *params, *[I64] * len(self.asked), *outs])
        self.core = ir.Function(self.module, type, "core")
        self.core.linkage = "internal"
        self.env: dict[Any, Any] = {}
        self.b = ir.IRBuilder(self.core.append_basic_block("entry"))
        self._write_core()

    def c(self, name: str, result: Any, *args: Any) -> Any:
        """Call a function of the C library."""
        type = ir.FunctionType(result, [a.type for a in args])
        fn = self.module.globals.get(name) or ir.Function(self.module, type, name)
        return self.b.call(fn, args)

    def refuse_unless(self, condition: Any, code: int) -> None:
        with self.b.if_then(self.b.not_(condition), likely=False):
            self.b.ret(const(code))

    # ------------------------------------------------------------ the core

    def _write_core(self) -> None:
        b, state = self.b, self.core.args[0]

        def word(k: int) -> Any:
            return b.gep(state, [const(k)])

        arguments = list(self.core.args[1:])
        given = dict(zip(sorted(self.given), arguments, strict=False))
        rest = arguments[len(given) :]
        self.read_sizes(state, rest[: len(self.asked)])
        outs = rest[len(self.asked) :]
        params = []
        for k, type in enumerate(self.kernel_type.args[: len(self.kernel.params)]):
            params.append(given[k] if k in given else b.load(b.bitcast(word(self.words.params[k]), type.as_pointer())))
        self._check_sizes()
        report = self.b.alloca(I64, size=max(1, len(self.kernel.run_time)))
        small = self.b.alloca(ir.ArrayType(ir.IntType(8), STACK)) if self.kernel.scratch else None
        if small is not None:
            small.align = layout.ALIGN
        again = self.core.append_basic_block("again")
        self.b.branch(again)
        self.b.position_at_end(again)
        places = [self.words.capacities + j for j in range(len(self.kernel.capacities))]
        used = [self.b.load(word(k)) for k in places]
        self.env.update(zip(self.kernel.capacities, used, strict=True))
        block, scratch = self._scratch(small)
        sizes = [self.env[s] for s in self.kernel.sizes]
        kernel = self.b.inttoptr(self.b.load(word(0)), self.kernel_type.as_pointer())
        code = self.b.call(kernel, [*params, *sizes, *used, *outs, *scratch, report])
        if small is not None:
            own = self.b.icmp_unsigned("!=", block, self.b.bitcast(small, PTR))
            with self.b.if_then(own, likely=False):
                self.c("free", VOID, block)
        for j, k in enumerate(places):
            # no room: twice as much, unless another thread has found that out meanwhile
            with self.b.if_then(self.b.icmp_signed("==", code, const(-1 - j)), likely=False):
                twice, now = self.b.mul(used[j], const(2)), self.b.load(word(k))
                more = self.b.icmp_signed(">", now, twice)
                self.b.store(self.b.select(more, now, twice), word(k))
                self.b.branch(again)
                self.b.position_at_end(self.core.append_basic_block("never"))
        self.b.ret(self.b.select(self.b.icmp_signed("<", code, const(0)), const(BROKEN), code))

    def read_sizes(self, state: Any, asked: Sequence[Any]) -> None:
        """The values of sizes in the function being written: those that come with the call, those that are fixed."""
        self.env.update(zip((b.sym for b in self.asked), asked, strict=True))
        state = self.b.bitcast(state, I64.as_pointer())
        for sym, k in self.words.sizes.items():
            self.env[sym] = self.b.load(self.b.gep(state, [const(k)]))

    def _check_sizes(self) -> None:
        """Sizes that come with the call; those that are fixed were checked when they were bound."""
        asked = {b.sym for b in self.asked}
        if not asked:
            return
        for bind in self.asked:
            self.refuse_unless(self.b.icmp_signed(">=", self.env[bind.sym], const(2)), SIZES)
        for k, axis, dim in self.plan.fixed:
            if (k, axis) in self.words.extents:
                have = self.b.load(self.b.gep(self.core.args[0], [const(self.words.extents[k, axis])]))
                self.refuse_unless(self.b.icmp_signed("==", have, self.dim(dim)), SIZES)
        for g in self.plan.guards:
            sign = "==" if g.kind == "equal" else ">="
            self.refuse_unless(self.b.icmp_signed(sign, self.dim(g.left), self.dim(g.right)), SIZES)

    def _scratch(self, small: Any) -> tuple[Any, list[Any]]:
        """(the block, a pointer per scratch buffer)"""
        if small is None:
            return None, []
        offsets: list[Any] = []
        total: Any = const(0)
        for s, dims in zip(self.kernel.scratch, self.plan.scratch, strict=True):
            offsets.append(total)
            bytes_ = self.b.mul(self.elements(dims), const(s.dtype.itemsize))
            total = self.b.add(total, self.b.and_(self.b.add(bytes_, const(layout.ALIGN - 1)), const(-layout.ALIGN)))
        here = self.b.bitcast(small, PTR)
        large = self.b.icmp_signed(">", total, const(STACK))
        before = self.b.block
        with self.b.if_then(large, likely=False):
            # malloc aligns to 16: the block has room to start at a multiple of 64
            got = self.c("malloc", PTR, self.b.add(total, const(layout.ALIGN)))
            self.refuse_unless(self.b.icmp_unsigned("!=", got, ir.Constant(PTR, None)), MEMORY)
            inside = self.b.block
        block = self.b.phi(PTR)
        block.add_incoming(here, before)
        block.add_incoming(got, inside)
        start = self.b.and_(self.b.add(self.b.ptrtoint(block, I64), const(layout.ALIGN - 1)), const(-layout.ALIGN))
        made = [
            self.b.inttoptr(self.b.add(start, at), machine_type(s.dtype).as_pointer())
            for s, at in zip(self.kernel.scratch, offsets, strict=True)
        ]
        return block, made

    # ------------------------------------------------------------ conventions

    def begin(self, result: Any, *types: Any) -> list[Any]:
        """Start the exported function; its arguments."""
        fn = ir.Function(self.module, ir.FunctionType(result, types), layout.KERNEL)
        self.b = ir.IRBuilder(fn.append_basic_block("entry"))
        return list(fn.args)

    def flat(self, state: Any, x: Any, offsets: Sequence[int], sizes: Sequence[Any], outs: Sequence[Any]) -> Any:
        """Call `core` with the given parameters lying one after the other behind `x`; its code."""
        values = []
        for k, at in zip(sorted(self.given), offsets, strict=True):
            p = self.kernel.params[k]
            place = self.b.bitcast(self.b.gep(x, [const(at)]), machine_type(p.dtype).as_pointer())
            values.append(place if p.dims else self.b.load(place))
        state = self.b.bitcast(state, I64.as_pointer())
        return self.b.call(self.core, [state, *values, *sizes, *outs])


def object_code(module: Any, exported: str) -> bytes:
    """Relocatable object code for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    machine = target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="default")
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(3))
    builder.getModulePassManager().run(parsed, builder)
    return bytes(machine.emit_object(parsed))


__all__ = ["Adapter", "object_code"]
