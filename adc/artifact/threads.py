"""Threads and matrix products of a built library: its own pool of workers, or whatever the host lends.

In: the module of a library's glue, the words of its kernels that hold the table `layout.RUNTIME`.  Out: two functions

    int LIBRARY_set_num_threads(int n)                     n threads share the work of a call, the caller included
    void LIBRARY_set_runtime(const adc_runtime *table)     the host's own threads and products; NULL: none

Until one of them is called, functions run on the calling thread alone.  The pool is that of adc/backend/pool_code.py, in an
object of its own (`pool_text`); its workers are native threads, made by the first job, asleep when there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from adc.backend import layout, pool_code, pool_words
from adc.backend.glue import I8, I32, I64, PTR, VOID, const


def pool_text(library: str, machine: str) -> str:
    """The pool in LLVM's language, under names of this library."""
    return pool_code.text(machine).replace("adc_pool_", f"{library}_pool_")


def pool_object(library: str) -> str:
    return f"{library}.pool.o"


def write(module: Any, library: str, words: Sequence[Any]) -> list[Any]:
    """Both functions; `words`: where each kernel reads the address of the table.  Returns the pool: `pool.NAMES`."""
    install = _install(module, words)
    _set_runtime(module, library, install)
    known = ir.GlobalVariable(module, PTR, f"{library}_pool_state")
    worker = ir.Function(module, ir.FunctionType(PTR, [PTR]), f"{library}_pool_worker")
    run = ir.Function(module, ir.FunctionType(I64, [PTR, PTR, I64]), f"{library}_pool_run")
    _set_num_threads(module, library, install, known, run)
    return [x.bitcast(PTR) for x in (run, worker, known)]


def _install(module: Any, words: Sequence[Any]) -> Any:
    """Put the address of a table where every kernel looks for it."""
    fn = ir.Function(module, ir.FunctionType(VOID, [PTR]), "install")
    fn.linkage = "internal"
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    table = b.bitcast(fn.args[0], I64.as_pointer())
    for word in words:
        b.store_atomic(table, word, "release", 8)
    b.ret_void()
    return fn


def _set_runtime(module: Any, library: str, install: Any) -> None:
    fn = ir.Function(module, ir.FunctionType(VOID, [PTR]), f"{library}_set_runtime")
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    b.call(install, [fn.args[0]])
    b.ret_void()


def _zeros(module: Any, name: str, type: Any) -> Any:
    g = ir.GlobalVariable(module, type, name)
    g.linkage, g.initializer = "internal", ir.Constant(type, None)
    return g


def _set_num_threads(module: Any, library: str, install: Any, known: Any, run: Any) -> None:
    """Set how many there may be; the first job makes them.  In a forked child there are none: it begins anew."""
    owner = _zeros(module, "pool_owner", I32)
    table = _zeros(module, "pool_table", ir.ArrayType(I64, len(layout.RUNTIME)))
    two = ir.FunctionType(I32, [PTR, PTR])
    mutex, condition = (ir.Function(module, two, f"pthread_{name}_init") for name in ("mutex", "cond"))
    getpid = ir.Function(module, ir.FunctionType(I32, []), "getpid")
    fn = ir.Function(module, ir.FunctionType(I32, [I32]), f"{library}_set_num_threads")
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    n = fn.args[0]
    with b.if_then(b.or_(b.icmp_signed("<", n, const(1, I32)), b.icmp_signed(">", n, const(pool_words.MOST, I32)))):
        b.ret(const(0, I32))
    memory = b.load(known)
    state = b.bitcast(memory, I64.as_pointer())

    def place(k: int) -> Any:
        return b.gep(state, [const(k)])

    pid = b.call(getpid, [])
    with b.if_then(b.icmp_signed("!=", pid, b.load(owner))):
        clear = module.declare_intrinsic("llvm.memset", [PTR, I64])
        b.call(clear, [memory, const(0, I8), const(8 * pool_words.SIZE), const(0, ir.IntType(1))])
        b.call(mutex, [b.bitcast(place(pool_words.MUTEX), PTR), ir.Constant(PTR, None)])
        b.call(condition, [b.bitcast(place(pool_words.CONDITION), PTR), ir.Constant(PTR, None)])
        b.store(const(1), place(pool_words.LAZY))
        b.store(pid, owner)
        b.store(b.ptrtoint(run, I64), b.gep(table, [const(0), const(layout.RUNTIME["run"])]))
    b.store_atomic(b.zext(n, I64), place(pool_words.LIMIT), "seq_cst", 8)
    b.call(install, [b.bitcast(table, PTR)])
    b.ret(n)


__all__ = ["pool_object", "pool_text", "write"]
