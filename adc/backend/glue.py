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

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from adc.backend import layout
from adc.ir.dims import Dim, Sym, product, size_terms
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


def runtime_word(module: Any) -> Any:
    """The word, defined elsewhere in the library, that holds the address of the table."""
    return module.globals.get(layout.RUNTIME_NAME) or ir.GlobalVariable(module, I64.as_pointer(), layout.RUNTIME_NAME)


def write_runtime(module: Any) -> Any:
    """The word where the loader puts the address of the table of `layout.RUNTIME`."""
    word = runtime_word(module)
    word.initializer = ir.Constant(I64.as_pointer(), None)
    return word


def write_mark(module: Any, letters: str) -> None:
    """What says that the library multiplies matrices of such numbers."""
    mark = ir.GlobalVariable(module, I64, layout.PRODUCTS_NAME)
    mark.initializer = const(sum(layout.PRODUCTS_BITS[letter] for letter in letters))


class Dims:
    """Writes numbers of sizes with `b`; `env` has the values of symbols."""

    b: Any
    env: dict[Any, Any]

    def dim(self, dim: Dim) -> Any:
        """The number of a dim, from the sizes known so far."""
        total: Any = None
        for monomial, coefficient in size_terms(dim):
            factors = self.factors(monomial)
            term = const(coefficient) if factors is None else factors if coefficient == 1 else self.b.mul(factors, const(coefficient))
            total = term if total is None else self.b.add(total, term)
        return const(0) if total is None else total

    def factors(self, monomial: tuple[Any, ...]) -> Any:
        """The product of sizes; None for no sizes."""
        values = [self.env[a] if isinstance(a, Sym) else self.quotient(a) for a in monomial]
        return functools.reduce(self.b.mul, values) if values else None

    def quotient(self, a: Any) -> Any:
        """`//`, `%`, `max`, `min` of dims, as Python means them; a division by zero is 0."""
        b, left, right = self.b, self.dim(a.left), self.dim(a.right)
        if a.op in ("max", "min"):
            return b.select(b.icmp_signed(">" if a.op == "max" else "<", left, right), left, right)
        none = b.icmp_signed("==", right, const(0))
        right = b.select(none, const(1), right)
        q, r = b.sdiv(left, right), b.srem(left, right)
        apart = b.and_(b.icmp_signed("!=", r, const(0)), b.icmp_signed("<", b.xor(r, right), const(0)))
        value = b.sub(q, b.zext(apart, I64)) if a.op == "//" else b.select(apart, b.add(r, right), r)
        return b.select(none, const(0), value)

    def elements(self, dims: tuple[Dim, ...]) -> Any:
        n = self.dim(product(dims))
        return self.b.select(self.b.icmp_signed("<", n, const(0)), const(0), n)


class _Entry(Dims):
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
        self.known: dict[Any, Any] = {}
        self.answer = self.kept(PTR)
        self.before = self.kept(PTR)
        self.lost = self.fn.append_basic_block("lost")
        self.write()
        self.slots.branch(start)

    # ------------------------------------------------------------ pieces

    def once(self, key: Any, write: Callable[[], Any]) -> Any:
        """What was written before: the width of a tile stands in the sizes of all its rows, and no size is computed in a branch."""
        if key not in self.known:
            self.known[key] = write()
        return self.known[key]

    def quotient(self, a: Any) -> Any:
        return self.once(("quotient", a), lambda: Dims.quotient(self, a))

    def factors(self, monomial: tuple[Any, ...]) -> Any:
        return self.once(("factors", monomial), lambda: Dims.factors(self, monomial))

    def elements(self, dims: tuple[Dim, ...]) -> Any:
        return self.once(("elements", product(dims)), lambda: Dims.elements(self, dims))

    def kept(self, type: Any) -> Any:
        """A place for a pointer that is NULL until it is set."""
        at = self.slots.alloca(type)
        self.slots.store(ir.Constant(type, None), at)
        return at

    def read(self, base: Any, offset: int, type: Any) -> Any:
        return self.b.load(self.b.bitcast(self.b.gep(base, [const(offset)]), type.as_pointer()))

    def word(self, k: int) -> Any:
        return self.b.load(self.b.gep(self.state, [const(k)]))

    def set_word(self, k: int, value: Any) -> None:
        self.b.store(value, self.b.gep(self.state, [const(k)]))

    def slot(self, name: str) -> Any:
        """An entry of the table, as an integer."""
        return self.b.load(self.b.gep(self.table, [const(layout.SLOTS[name])]))

    def set_slot(self, name: str, value: Any) -> None:
        self.b.store(value, self.b.gep(self.table, [const(layout.SLOTS[name])]))

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

    # ------------------------------------------------------------ arguments

    def array(self, o: Any, p: Buffer) -> tuple[Any, list[Any]]:
        """Pointer and extents of an array that is exactly as the kernel wants it."""
        b = self.b
        self.need(b.icmp_unsigned("==", self.read(o, layout.OB_TYPE, I64), self.slot("ndarray")))
        self.need(self.b.icmp_signed("==", self.read(o, layout.ARRAY_NDIM, I32), const(len(p.dims), I32)))
        flags = self.b.and_(self.read(o, layout.ARRAY_FLAGS, I32), const(layout.READY_FLAGS, I32))
        self.need(self.b.icmp_signed("==", flags, const(layout.READY_FLAGS, I32)))
        # the number, not the identity: unpickled arrays have dtypes of their own
        descr = self.read(o, layout.ARRAY_DESCR, PTR)
        self.need(self.b.icmp_signed("==", self.read(descr, layout.DESCR_NUM, I32), const(p.dtype.num, I32)))
        order = self.read(descr, layout.DESCR_BYTEORDER, I8)
        self.need(self.b.icmp_unsigned("!=", order, const(ord(">"), I8)))
        extents = self.read(o, layout.ARRAY_DIMS, I64.as_pointer())
        dims = [self.b.load(self.b.gep(extents, [const(j)])) for j in range(len(p.dims))]
        return self.read(o, layout.ARRAY_DATA, machine_type(p.dtype).as_pointer()), dims

    def number(self, o: Any, p: Buffer) -> Any:
        """A scalar: Python's own of that kind, or NumPy's of that very dtype."""
        b, type, mt = self.b, self.read(o, layout.OB_TYPE, I64), machine_type(p.dtype)
        own = b.icmp_unsigned("==", type, self.slot(f"type {p.dtype.str[1:]}"))
        value = self.read(o, layout.OB_VALUE, mt)
        if p.dtype == np.float64:
            self.need(b.or_(own, b.icmp_unsigned("==", type, self.slot("float"))))
            return value  # NumPy's float64 has Python's layout
        if p.dtype == np.float32:
            python = b.icmp_unsigned("==", type, self.slot("float"))
            self.need(b.or_(own, python))
            at = self.slots.alloca(F64)
            with self.b.if_then(python):
                self.b.store(self.read(o, layout.OB_VALUE, F64), at)
            wide = self.b.fptrunc(self.b.load(at), F32)
            return self.b.select(python, wide, value)
        if p.dtype.kind == "b":
            yes = b.icmp_unsigned("==", b.ptrtoint(o, I64), self.slot("True"))
            no = b.icmp_unsigned("==", b.ptrtoint(o, I64), self.slot("False"))
            self.need(b.or_(own, b.or_(yes, no)))
            return self.b.select(own, value, self.b.zext(yes, I8))
        return self.integer(o, p, own, b.icmp_unsigned("==", type, self.slot("int")), value)

    def integer(self, o: Any, p: Buffer, own: Any, python: Any, value: Any) -> Any:
        self.need(self.b.or_(own, python))
        signed, mt = p.dtype.kind == "i", machine_type(p.dtype)
        at = self.slots.alloca(mt)
        self.b.store(value, at)
        with self.b.if_then(python):
            long = self.c("PyLong_AsLongLong", I64, o)
            maybe = self.b.icmp_signed("==", long, const(-1))
            with self.b.if_then(maybe, likely=False):
                failed = self.b.icmp_unsigned("!=", self.b.ptrtoint(self.c("PyErr_Occurred", PTR), I64), const(0))
                with self.b.if_then(failed, likely=False):
                    self.c("PyErr_Clear", VOID)
                    self.b.branch(self.slow)
                    self.b.position_at_end(self.fn.append_basic_block("never"))
            if p.dtype.itemsize < 8:
                short = self.b.trunc(long, mt)
                back = self.b.sext(short, I64) if signed else self.b.zext(short, I64)
                self.need(self.b.icmp_signed("==", back, long))
            else:
                short = long
                if not signed:
                    self.need(self.b.icmp_signed(">=", long, const(0)))
            self.b.store(short, at)
        result = self.b.load(at)
        wide = result
        if p.dtype.itemsize < 8:
            wide = self.b.sext(result, I64) if signed else self.b.zext(result, I64)
        self.ints.append(wide)
        return result

    def arguments(self) -> list[Any]:
        kernel, plan = self.kernel, self.plan
        self.need(self.b.icmp_signed("==", self.fn.args[2], const(len(kernel.params))))
        values: list[Any] = []
        extents: list[list[Any]] = []
        for k, p in enumerate(kernel.params):
            o = self.b.load(self.b.gep(self.fn.args[1], [const(k)]))
            value, dims = self.array(o, p) if p.dims else (self.number(o, p), [])
            values.append(value)
            extents.append(dims)
        for bind in plan.sizes:
            self.env[bind.sym] = extents[bind.param][bind.axis]
        for k, axis in plan.grown:
            self.need(self.b.icmp_signed(">=", extents[k][axis], const(2)))
        for k, axis, dim in plan.fixed:
            self.need(self.b.icmp_signed("==", extents[k][axis], self.dim(dim)))
        for g in plan.guards:
            left, right = self.dim(g.left), self.dim(g.right)
            self.need(self.b.icmp_signed("==" if g.kind == "equal" else ">=", left, right))
        return values

    # ------------------------------------------------------------ the call

    def scratch(self) -> tuple[Any, Any, list[Any]]:
        """(block, its size, a pointer per buffer): the kept block if it is free and large enough."""
        b = self.b
        offsets: list[Any] = []
        total: Any = const(layout.ALIGN)
        for s, dims in zip(self.kernel.scratch, self.plan.scratch, strict=True):
            offsets.append(total)
            size = b.mul(self.elements(dims), const(s.dtype.itemsize))
            total = b.add(total, b.and_(b.add(size, const(layout.ALIGN - 1)), const(-layout.ALIGN)))
        block = b.inttoptr(self.word(layout.SCRATCH), PTR)
        have = self.word(layout.SCRATCH_BYTES)
        self.set_word(layout.SCRATCH, const(0))  # taken: a call on another thread finds none
        block_at, size_at = self.slots.alloca(PTR), self.slots.alloca(I64)
        b.store(block, block_at)
        b.store(have, size_at)
        with b.if_then(b.and_(b.not_(self.is_null(block)), self.counts(have)), likely=False):
            self.set_slot("scratch kept", b.sub(self.slot("scratch kept"), have))
        short = b.or_(self.is_null(block), b.icmp_signed("<", have, total))
        with b.if_then(short, likely=False):
            self.c("PyMem_RawFree", VOID, block)
            b.store(self.c("PyMem_RawMalloc", PTR, total), block_at)
            b.store(total, size_at)
            self.advise(b.load(block_at), total)
        block, have = b.load(block_at), b.load(size_at)
        self.need(b.icmp_unsigned("!=", b.ptrtoint(block, I64), const(0)))
        b = self.b
        base = b.and_(b.ptrtoint(block, I64), const(-layout.ALIGN))
        pointers = [
            b.inttoptr(b.add(base, at), machine_type(s.dtype).as_pointer())
            for s, at in zip(self.kernel.scratch, offsets, strict=True)
        ]
        return block, have, pointers

    def advise(self, block: Any, size: Any) -> None:
        """Ask for pages of two megabytes, of which a large fresh block needs few."""
        b = self.b
        known = b.icmp_unsigned("!=", self.slot("madvise"), const(0))
        large = b.icmp_signed(">=", size, const(layout.HUGE))
        with b.if_then(b.and_(b.and_(known, large), b.not_(self.is_null(block)))):
            at = b.ptrtoint(block, I64)
            first = b.and_(b.add(at, const(layout.PAGE - 1)), const(-layout.PAGE))
            self.c("madvise", I32, b.inttoptr(first, PTR), b.sub(size, b.sub(first, at)), const(layout.MADV_HUGEPAGE, I32))

    def counts(self, size: Any) -> Any:
        """Is a block so large that it is kept only while all such blocks are within the limit?  The interpreter's lock guards the count."""
        return self.b.icmp_signed(">", size, const(layout.KEEP_BYTES))

    def give_back(self, block: Any, size: Any) -> None:
        b = self.b
        free = b.icmp_signed("==", self.word(layout.SCRATCH), const(0))
        all_kept = b.add(self.slot("scratch kept"), size)
        large = self.counts(size)
        fits = b.or_(b.not_(large), b.icmp_signed("<=", all_kept, self.slot("scratch limit")))
        with b.if_else(b.and_(free, fits)) as (kept, dropped):
            with kept:
                self.set_word(layout.SCRATCH, b.ptrtoint(block, I64))
                self.set_word(layout.SCRATCH_BYTES, size)
                with b.if_then(large, likely=False):
                    self.set_slot("scratch kept", all_kept)
            with dropped:
                self.c("PyMem_RawFree", VOID, block)

    def fail(self, condition: Any) -> None:
        """Where a C function has set an exception: give everything back and return NULL."""
        on = self.fn.append_basic_block("on")
        self.b.cbranch(condition, self.lost, on).set_weights([1, 1000])
        self.b.position_at_end(on)

    def results(self) -> list[Any]:
        """A pointer per result, whose arrays are in place in the tuple `answer`."""
        null = ir.Constant(PTR, None)
        answer = self.c("PyTuple_New", PTR, const(len(self.kernel.outs)))
        self.fail(self.is_null(answer))
        self.b.store(answer, self.answer)
        self.borrow_memory()
        pointers: list[Any] = []
        for k, (o, dims) in enumerate(zip(self.kernel.outs, self.plan.outs, strict=True)):
            mt = machine_type(o.dtype)
            if not dims:
                pointers.append(self.slots.alloca(mt))
                continue
            shape = self.slots.alloca(I64, size=len(dims))
            for j, d in enumerate(dims):
                self.b.store(self.dim(d), self.b.gep(shape, [const(j)]))
            array = self.c(
                "PyArray_New", PTR, self.object("ndarray"), const(len(dims), I32), shape, const(o.dtype.num, I32),
                null, null, const(0, I32), const(0, I32), null,
            )  # fmt: skip
            self.fail(self.is_null(array))
            self.c("PyTuple_SetItem", I32, answer, const(k), array)
            pointers.append(self.read(array, layout.ARRAY_DATA, mt.as_pointer()))
        self.give_memory_back()
        return pointers

    def borrow_memory(self) -> None:
        """Let large results have blocks that came back (`memory`): `before` is NumPy's own handler, NULL where it stays."""
        b = self.b
        outs = [(o, dims) for o, dims in zip(self.kernel.outs, self.plan.outs, strict=True) if dims]
        if outs:
            total: Any = const(0)
            for o, dims in outs:
                total = b.add(total, b.mul(self.elements(dims), const(o.dtype.itemsize)))
            handler = self.object("memory")
            large = b.icmp_signed(">=", total, const(layout.LARGE_RESULT))
            with b.if_then(b.and_(large, b.icmp_unsigned("!=", b.ptrtoint(handler, I64), const(0))), likely=False):
                own = self.c("PyDataMem_SetHandler", PTR, handler)
                self.fail(self.is_null(own))
                b.store(own, self.before)

    def give_memory_back(self) -> None:
        b = self.b
        own = b.load(self.before)
        with b.if_then(b.icmp_unsigned("!=", b.ptrtoint(own, I64), const(0)), likely=False):
            ours = self.c("PyDataMem_SetHandler", PTR, own)
            b.store(ir.Constant(PTR, None), self.before)
            for held in (ours, own):
                with b.if_then(b.icmp_unsigned("!=", b.ptrtoint(held, I64), const(0))):
                    self.c("Py_DecRef", VOID, held)

    def release(self) -> Any:
        """The saved thread state, or NULL where the work is too small to let others in."""
        k, p = self.kernel, self.plan
        work: Any = const(0)
        for dims in (*(x.dims for x in k.params), *p.outs, *p.scratch):
            if dims:
                work = self.b.add(work, self.elements(dims))
        for n in self.ints:  # an integer often is a number of steps
            size = self.b.select(self.b.icmp_signed("<", n, const(0)), self.b.neg(n), n)
            work = self.b.add(work, size)
        at = self.slots.alloca(PTR)
        self.b.store(ir.Constant(PTR, None), at)
        with self.b.if_then(self.b.icmp_unsigned(">", work, const(layout.GIL_WORK)), likely=False):
            self.b.store(self.c("PyEval_SaveThread", PTR), at)
        return self.b.load(at)

    def write(self) -> None:
        kernel = self.kernel
        values = self.arguments()
        sizes = [self.env[s] for s in kernel.sizes]
        for j, s in enumerate(kernel.capacities):
            self.env[s] = self.word(layout.CAPACITIES + j)
        capacities = [self.env[s] for s in kernel.capacities]
        scratch: list[Any] = []
        block = size = None
        if kernel.scratch:
            block, size, scratch = self.scratch()
        outs = self.results()
        report = self.slots.alloca(I64, size=max(1, len(kernel.run_time)))
        saved = self.release()
        code = self.b.call(self.target, [*values, *sizes, *capacities, *outs, *scratch, report])
        with self.b.if_then(self.b.not_(self.is_null(saved)), likely=False):
            self.c("PyEval_RestoreThread", VOID, saved)
        if block is not None:
            self.give_back(block, size)
        answer = self.b.load(self.answer)
        bad = self.b.icmp_signed("!=", code, const(0))
        with self.b.if_then(bad, likely=False):
            # nothing of the caller's was changed: the careful way calls again, and grows buffers or raises
            self.c("Py_DecRef", VOID, answer)
            self.b.branch(self.slow)
            self.b.position_at_end(self.fn.append_basic_block("never"))
        for k, (o, dims) in enumerate(zip(kernel.outs, self.plan.outs, strict=True)):
            if dims:
                continue
            descr = self.object(f"descr {o.dtype.str[1:]}")
            number = self.c("PyArray_Scalar", PTR, self.b.bitcast(outs[k], PTR), descr, ir.Constant(PTR, None))
            with self.b.if_then(self.is_null(number), likely=False):
                self.c("Py_DecRef", VOID, answer)
                self.b.ret(ir.Constant(PTR, None))
                self.b.position_at_end(self.fn.append_basic_block("never"))
            self.c("PyTuple_SetItem", I32, answer, const(k), number)
        self.b.ret(answer)
        self.b.position_at_end(self.lost)
        self.give_memory_back()
        with self.b.if_then(self.b.not_(self.is_null(self.b.load(self.answer)))):
            self.c("Py_DecRef", VOID, self.b.load(self.answer))
        if block is not None:
            self.give_back(block, size)
        self.b.ret(ir.Constant(PTR, None))
        self.b.position_at_end(self.slow)
        careful = self.b.inttoptr(self.word(layout.FALLBACK), PTR)
        null = ir.Constant(PTR, None)
        self.b.ret(self.c("PyObject_VectorcallDict", PTR, careful, self.fn.args[1], self.fn.args[2], null))


def can_enter(kernel: Kernel, plan: layout.Plan) -> bool:
    """Can `adc_entry` serve it? Results of a size that only the kernel knows are made in Python."""
    scalars = (p.dtype for p in (*kernel.params, *kernel.outs) if not p.dims)
    return plan.exact and all(d in layout.DTYPES for d in scalars)


def write_entry(module: Any, kernel: Kernel, plan: layout.Plan, target: Any) -> None:
    _Entry(module, kernel, plan, target)
