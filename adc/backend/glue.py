"""The machine code around a kernel: its C entry, and a function that Python calls without any marshalling.

In: an LLVM module (through `llvmlite.ir`), a `Kernel`, and how to call what Numba made of it.  Out: two exported
functions in that module:

    int64 adc_kernel(params…, sizes…, capacities…, outs…, scratch…, report)      the contract of adc/lower/kernel.py
    PyObject *adc_entry(PyObject *self, PyObject *const *args, Py_ssize_t n)     METH_FASTCALL

`adc_entry` reads the fields of its arguments directly, checks all that the program was compiled for, allocates the
results through NumPy and calls the kernel.  Whatever is not exactly as expected (another type, a layout, a failed
check, a full buffer) goes to the Python callable in the state, which is careful and slow and gives the messages.
Every C function comes from a table in memory (`layout.SLOTS`): the code has no symbol of Python or NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from adc.backend import layout
from adc.ir.dims import Dim, Size, Sym, product, size_terms
from adc.lower.kernel import Buffer, Kernel

I1, I8, I32, I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
PTR = I8.as_pointer()
VOID = ir.VoidType()


def const(value: int, type: Any = I64) -> Any:
    return ir.Constant(type, value)


def machine_type(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return {2: ir.HalfType(), 4: F32, 8: F64}[dtype.itemsize]
    return ir.IntType(8 * dtype.itemsize)


def signature(kernel: Kernel) -> list[Any]:
    """Machine types of the C function's arguments."""
    made = [machine_type(p.dtype).as_pointer() if p.dims else machine_type(p.dtype) for p in kernel.params]
    made += [I64] * (len(kernel.sizes) + len(kernel.capacities))
    made += [machine_type(b.dtype).as_pointer() for b in (*kernel.outs, *kernel.scratch)]
    return [*made, I64.as_pointer()]


def write_kernel(module: Any, kernel: Kernel, call: Callable[[Any, list[Any]], Any]) -> Any:
    """`adc_kernel`; `call(builder, values)` calls what Numba compiled."""
    fn = ir.Function(module, ir.FunctionType(I64, signature(kernel)), layout.KERNEL)
    for a in fn.args:
        if isinstance(a.type, ir.PointerType):
            a.add_attribute("noalias")  # parameters are only read, everything else is the callee's alone
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    b.ret(call(b, list(fn.args)))
    return fn


class _Entry:
    """Writes `adc_entry`."""

    def __init__(self, module: Any, kernel: Kernel, plan: layout.Plan, target: Any):
        self.kernel, self.plan, self.target = kernel, plan, target
        self.fn = ir.Function(module, ir.FunctionType(PTR, [PTR, PTR.as_pointer(), I64]), layout.ENTRY)
        self.slots = ir.IRBuilder(self.fn.append_basic_block("slots"))
        self.b = ir.IRBuilder(self.fn.append_basic_block("start"))
        start = self.b.block
        self.slow = self.fn.append_basic_block("slow")
        self.state = self.b.bitcast(self.read(self.fn.args[0], layout.ARRAY_DATA, PTR), I64.as_pointer())
        self.table = self.b.inttoptr(self.word(layout.API), I64.as_pointer())
        self.env: dict[Sym, Any] = {}
        self.ints: list[Any] = []
        self.write()
        self.slots.branch(start)

    # ------------------------------------------------------------ pieces

    def read(self, base: Any, offset: int, type: Any) -> Any:
        return self.b.load(self.b.bitcast(self.b.gep(base, [const(offset)]), type.as_pointer()))

    def word(self, k: int) -> Any:
        return self.b.load(self.b.gep(self.state, [const(k)]))

    def set_word(self, k: int, value: Any) -> None:
        self.b.store(value, self.b.gep(self.state, [const(k)]))

    def slot(self, name: str) -> Any:
        """An entry of the table, as an integer."""
        return self.b.load(self.b.gep(self.table, [const(layout.SLOTS[name])]))

    def object(self, name: str) -> Any:
        return self.b.inttoptr(self.slot(name), PTR)

    def c(self, name: str, result: Any, *args: Any) -> Any:
        """Call a C function of the table."""
        type = ir.FunctionType(result, [a.type for a in args])
        return self.b.call(self.b.inttoptr(self.slot(name), type.as_pointer()), args)

    def need(self, condition: Any) -> None:
        """Go on if it holds, else the slow way."""
        on = self.fn.append_basic_block("on")
        self.b.cbranch(condition, on, self.slow).set_weights([1000, 1])
        self.b.position_at_end(on)

    def is_null(self, pointer: Any) -> Any:
        return self.b.icmp_unsigned("==", pointer, ir.Constant(pointer.type, None))

    def dim(self, dim: Dim) -> Any:
        """The number of a dim, from the sizes known so far."""
        total: Any = None
        for monomial, coefficient in size_terms(dim):
            term: Any = const(coefficient)
            for a in monomial:
                value = self.env[a] if isinstance(a, Sym) else self.quotient(a)
                term = value if term.opname_is_one else self.b.mul(term, value) if False else self.b.mul(term, value)
            total = term if total is None else self.b.add(total, term)
        return const(0) if total is None else total
