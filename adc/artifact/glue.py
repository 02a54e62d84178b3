"""The C functions of a library, written in LLVM's language: no compiler is needed to make them.

In: the `Prototype`s of a library, its levels.  Out: `write(...)`: the text of a module that defines

    int NAME(…), size_t NAME_scratch_bytes(…)          per function
    const char *LIBRARY_strerror(int code)
    int LIBRARY_level(void), int LIBRARY_set_level(int), const char *LIBRARY_level_name(int)
    LIBRARY_set_num_threads, LIBRARY_set_runtime       where its kernels use threads or products (see `threads`)
    LIBRARY_programs                                   for `adc.load`: kernels, entries and kept data by level

A function checks the sizes, cuts the scratch block into buffers and calls the kernel of the level that the processor
has, which is found when the library is loaded (or at the first call, where nothing runs when it is loaded).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from adc.artifact import threads
from adc.artifact.prototype import (
    BAD_PROCESSOR,
    BAD_SCRATCH,
    CAPACITY,
    CODES,
    INTERNAL,
    Condition,
    Prototype,
    first_codes,
)
from adc.backend import aot, layout
from adc.backend import glue as entry_glue
from adc.backend.glue import I8, I32, I64, PTR, const, machine_type


def write(library: str, prototypes: Sequence[Prototype], levels: Sequence[aot.Level], symbols: Sequence[dict[str, list[str]]]) -> str:
    """The module; `symbols`: per function, the names in its object for each level."""
    return str(_Library(library, prototypes, levels, symbols).module)


class _Library:
    def __init__(self, library: str, prototypes: Sequence[Prototype], levels: Sequence[aot.Level], symbols: Sequence[dict[str, list[str]]]):
        self.name, self.prototypes, self.levels = library, prototypes, levels
        self.module = ir.Module(f"adc_{library}")
        self.chosen = ir.GlobalVariable(self.module, I32, "chosen")
        self.chosen.linkage, self.chosen.initializer = "internal", const(0, I32)
        self.detect = aot.write_detection(self.module, levels, "detect")
        self.level_of = self._level()
        self._levels()
        self._strerror()
        words: list[Any] = []
        data: list[Any] = []
        runtimes: list[Any] = []
        for p, first, names in zip(prototypes, first_codes(prototypes), symbols, strict=True):
            kernels = [self._outside(p, names[x.name]) for x in levels]
            runtimes += [self._word(n) for x in levels for n in names[x.name] if n.endswith("_runtime")]
            kept = [self._kept(p, k) for k in range(len(p.kept))]
            for kernel, entry in kernels:
                words += [kernel.bitcast(PTR), entry.bitcast(PTR) if entry is not None else ir.Constant(PTR, None)]
            data += [g.bitcast(PTR) for g in kept]
            table = self._constant(f"{p.symbol}.kernels", [k for k, _ in kernels], kernels[0][0].type)
            _Function(self, p, first, table, kept)
            _scratch_bytes(self.module, p)
        pool = threads.write(self.module, library, runtimes) if runtimes else []
        programs = self._constant(f"{library}_programs", [*words, *data, *pool] or [ir.Constant(PTR, None)], PTR)
        programs.linkage = ""

    def _constant(self, name: str, values: list[Any], type: Any) -> Any:
        g = ir.GlobalVariable(self.module, ir.ArrayType(type, len(values)), name)
        g.linkage, g.global_constant = "internal", True
        g.initializer = ir.Constant(g.value_type, values)
        return g

    def _text(self, text: str, name: str) -> Any:
        data = bytearray(text.encode() + b"\0")
        g = ir.GlobalVariable(self.module, ir.ArrayType(I8, len(data)), self.module.get_unique_name(name))
        g.linkage, g.global_constant = "internal", True
        g.initializer = ir.Constant(g.value_type, data)
        return g.bitcast(PTR)

    def _word(self, name: str) -> Any:
        """Where a kernel looks for the table of threads and products."""
        return ir.GlobalVariable(self.module, I64.as_pointer(), name)

    def _outside(self, p: Prototype, names: list[str]) -> tuple[Any, Any]:
        """The kernel and the entry of one function at one level, which stand in an object of their own."""
        kernel = next(n for n in names if n.endswith("_kernel"))
        entry = next((n for n in names if n.endswith("_entry")), None)
        fn = ir.Function(self.module, ir.FunctionType(I64, entry_glue.signature(p.kernel)), kernel)
        if entry is None:
            return fn, None
        return fn, ir.Function(self.module, ir.FunctionType(PTR, [PTR, PTR.as_pointer(), I64]), entry)

    def _kept(self, p: Prototype, k: int) -> Any:
        g = ir.GlobalVariable(self.module, ir.ArrayType(I8, max(1, p.kept[k].nbytes)), f"{p.symbol}.data{k}")
        g.linkage, g.global_constant, g.align = "internal", True, layout.ALIGN
        g.initializer = ir.Constant(g.value_type, bytearray(p.kept[k].tobytes() or b"\0"))
        return g

    # ------------------------------------------------------------ levels and messages

    def _level(self) -> Any:
        """`int LIBRARY_level()`: the level in use, or -1; what is stored is one more, so that 0 is "not yet"."""
        fn = ir.Function(self.module, ir.FunctionType(I32, []), f"{self.name}_level")
        b = ir.IRBuilder(fn.append_basic_block("entry"))
        known = b.load_atomic(self.chosen, "monotonic", 4)
        with b.if_then(b.icmp_signed(">", known, const(0, I32)), likely=True):
            b.ret(b.sub(known, const(1, I32)))
        have = b.call(self.detect, [])
        found: Any = const(-1, I32)
        for k in range(len(self.levels)):
            found = b.select(self._has(b, have, const(k, I32)), const(k, I32), found)
        b.store_atomic(b.add(found, const(1, I32)), self.chosen, "monotonic", 4)
        b.ret(found)
        self._at_load(fn)
        return fn

    def _at_load(self, fn: Any) -> None:
        """Call a function when the library is loaded, before there are threads that use it."""
        start = ir.Function(self.module, ir.FunctionType(ir.VoidType(), []), "start")
        start.linkage = "internal"
        b = ir.IRBuilder(start.append_basic_block("entry"))
        b.call(fn, [])
        b.ret_void()
        entry = ir.LiteralStructType([I32, start.type, PTR])
        g = ir.GlobalVariable(self.module, ir.ArrayType(entry, 1), "llvm.global_ctors")
        g.linkage = "appending"
        g.initializer = ir.Constant(g.value_type, [ir.Constant(entry, [const(65535, I32), start, ir.Constant(PTR, None)])])

    def _has(self, b: Any, have: Any, level: Any) -> Any:
        return b.icmp_unsigned("!=", b.and_(b.lshr(have, level), const(1, I32)), const(0, I32))

    def _levels(self) -> None:
        fn = ir.Function(self.module, ir.FunctionType(I32, [I32]), f"{self.name}_set_level")
        b = ir.IRBuilder(fn.append_basic_block("entry"))
        with b.if_then(b.icmp_unsigned(">=", fn.args[0], const(len(self.levels), I32))):
            b.ret(const(BAD_PROCESSOR, I32))
        with b.if_then(b.not_(self._has(b, b.call(self.detect, []), fn.args[0]))):
            b.ret(const(BAD_PROCESSOR, I32))
        b.store_atomic(b.add(fn.args[0], const(1, I32)), self.chosen, "monotonic", 4)
        b.ret(const(0, I32))
        fn = ir.Function(self.module, ir.FunctionType(PTR, [I32]), f"{self.name}_level_name")
        b = ir.IRBuilder(fn.append_basic_block("entry"))
        self._lookup(b, fn.args[0], [self._text(x.name, "level") for x in self.levels], "levels", "none")

    def _lookup(self, b: Any, index: Any, texts: list[Any], name: str, otherwise: str) -> None:
        """Return the text of this index."""
        inside = b.icmp_unsigned("<", index, const(len(texts), I32))
        if texts:
            table = self._constant(name, texts, PTR)
            with b.if_then(inside):
                b.ret(b.load(b.gep(table, [const(0), b.zext(index, I64)])))
        b.ret(self._text(otherwise, "otherwise"))

    def _strerror(self) -> None:
        fn = ir.Function(self.module, ir.FunctionType(PTR, [I32]), f"{self.name}_strerror")
        b = ir.IRBuilder(fn.append_basic_block("entry"))
        code = fn.args[0]
        for value, text in CODES.values():
            same = b.icmp_signed("<=" if value == CAPACITY else "==", code, const(value, I32))
            with b.if_then(same):
                b.ret(self._text(text if value != CAPACITY else "a capacity is too small: double it, allocate again, call again", "code"))
        texts = [self._text(m, "message") for p in self.prototypes for m in p.messages]
        self._lookup(b, b.sub(code, const(1, I32)), texts, "messages", "unknown code")


class _Sizes(entry_glue.Dims):
    """Sizes as a function of the library gets them."""

    def __init__(self, b: Any, p: Prototype, sizes: Sequence[Any]):
        self.b, self.p = b, p
        self.env: dict[Any, Any] = {s: const(n) for s, n in p.fixed_sizes.items()}
        self.env.update(zip([*(x.sym for x in p.sizes), *p.kernel.capacities], sizes, strict=True))

    def scratch(self) -> tuple[list[Any], Any]:
        """(offset of every scratch buffer, bytes of them all)"""
        total: Any = const(0)
        offsets = []
        for s, dims in zip(self.p.kernel.scratch, self.p.plan.scratch, strict=True):
            offsets.append(total)
            size = self.b.mul(self.elements(dims), const(s.dtype.itemsize))
            total = self.b.add(total, self.b.and_(self.b.add(size, const(layout.ALIGN - 1)), const(-layout.ALIGN)))
        return offsets, total


def _scratch_bytes(module: Any, p: Prototype) -> None:
    count = len(p.of_kind("size", "capacity"))
    fn = ir.Function(module, ir.FunctionType(I64, [I64] * count), f"{p.symbol}_scratch_bytes")
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    if not p.kernel.scratch:
        b.ret(const(0))
        return
    # the caller's block may begin anywhere
    b.ret(b.add(_Sizes(b, p, fn.args).scratch()[1], const(layout.ALIGN)))


class _Function:
    """Writes one C function."""

    def __init__(self, library: _Library, p: Prototype, first: int, table: Any, kept: list[Any]):
        self.library, self.p, self.first, self.kept = library, p, first, kept
        types = [self.type_of(a) for a in p.arguments]
        self.fn = ir.Function(library.module, ir.FunctionType(I32, types), p.symbol)
        self.given = dict(zip((a.name for a in p.arguments), self.fn.args, strict=True))
        for a, arg in zip(p.arguments, self.fn.args, strict=True):
            arg.name = a.name
        self.b = ir.IRBuilder(self.fn.append_basic_block("entry"))
        self.sizes = _Sizes(self.b, p, [self.given[a.name] for a in p.of_kind("size", "capacity")])
        self.check()
        kernel = self.kernel(table)
        self.call(kernel)

    @staticmethod
    def type_of(a: Any) -> Any:
        if a.kind == "scratch":
            return PTR
        own = machine_type(np.dtype("u1" if a.dtype == "b1" else a.dtype))
        return own.as_pointer() if a.type.endswith("*") else own

    def refuse(self, condition: Any, code: Any) -> None:
        with self.b.if_then(condition, likely=False):
            self.b.ret(const(code, I32) if isinstance(code, int) else code)

    def check(self) -> None:
        start = self.first + len(self.p.kernel.checks)
        for k, c in enumerate(self.p.conditions):
            self.refuse(self.b.not_(self.holds(c)), start + k)

    def holds(self, c: Condition) -> Any:
        return self.b.icmp_signed(c.kind, self.sizes.dim(c.left), self.sizes.dim(c.right))

    def kernel(self, table: Any) -> Any:
        level = self.b.call(self.library.level_of, [])
        self.refuse(self.b.icmp_signed("<", level, const(0, I32)), BAD_PROCESSOR)
        return self.b.load(self.b.gep(table, [const(0), self.b.zext(level, I64)]))

    def scratch(self) -> list[Any]:
        b, kernel = self.b, self.p.kernel
        if not kernel.scratch:
            return []
        given = b.ptrtoint(self.given["scratch"], I64)
        self.refuse(b.icmp_unsigned("==", given, const(0)), BAD_SCRATCH)
        base = b.and_(b.add(given, const(layout.ALIGN - 1)), const(-layout.ALIGN))
        offsets, _ = self.sizes.scratch()
        return [b.inttoptr(b.add(base, at), machine_type(s.dtype).as_pointer()) for s, at in zip(kernel.scratch, offsets, strict=True)]

    def call(self, function: Any) -> None:
        b, p, kernel = self.b, self.p, self.p.kernel
        scratch = self.scratch()
        values = [self.given[a.name] for a in p.of_kind("input")]
        for buffer, data in zip(kernel.params[p.count :], self.kept, strict=True):
            at = b.bitcast(data, machine_type(buffer.dtype).as_pointer())
            values.append(at if buffer.dims else b.load(at))
        sizes = [self.sizes.env[s] for s in (*kernel.sizes, *kernel.capacities)]
        outs = [self.given[a.name] for a in p.of_kind("result")]
        report = self.given.get("extents") if kernel.run_time else b.alloca(I64)
        code = b.call(function, [*values, *sizes, *outs, *scratch, report])
        small = b.trunc(code, I32)
        self.refuse(b.icmp_signed("==", code, const(0)), 0)
        failed = b.and_(b.icmp_signed(">", code, const(0)), b.icmp_signed("<=", code, const(len(kernel.checks))))
        self.refuse(failed, b.add(small, const(self.first - 1, I32)))
        short = b.and_(b.icmp_signed("<", code, const(0)), b.icmp_signed(">=", code, const(-len(kernel.capacities))))
        self.refuse(short, b.add(small, const(CAPACITY + 1, I32)))
        b.ret(const(INTERNAL, I32))


__all__ = ["write"]
