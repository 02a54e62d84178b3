"""Threads and matrix products of a built library: its own pool of workers, or whatever the host lends.

In: the module of a library's glue, the words of its kernels that hold the table `layout.RUNTIME`.  Out: two functions

    int LIBRARY_set_num_threads(int n)                     n threads share the work of a call, the caller included
    void LIBRARY_set_runtime(const adc_runtime *table)     the host's own threads and products; NULL: none

Until one of them is called, functions run on the calling thread alone.  The pool is that of adc/backend/pool.py, in an
object of its own (`pool_text`); its workers are native threads, which sleep when there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from adc.backend import layout, pool
from adc.backend.glue import I8, I32, I64, PTR, VOID, const

MOST = 256
"""Threads of one library."""
STATE_ALIGN = 128


def pool_text(library: str, machine: str) -> str:
    """The pool in LLVM's language, under names of this library."""
    declaration, pause = pool.PAUSES[machine]
    return (declaration + pool.TEXT.replace("PAUSE", pause)).replace("adc_pool_", f"{library}_pool_")


def pool_object(library: str) -> str:
    return f"{library}.pool.o"


def write(module: Any, library: str, words: Sequence[Any]) -> None:
    """Both functions; `words`: where each kernel reads the address of the table."""
    install = _install(module, words)
    _set_runtime(module, library, install)
    _set_num_threads(module, library, install)


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


def _set_num_threads(module: Any, library: str, install: Any) -> None:
    """Start the workers that are missing.  In a forked child there are none: it begins anew."""
    state = _zeros(module, "pool_state", ir.ArrayType(I64, pool.WORDS + 16))
    state.align = STATE_ALIGN
    arguments = _zeros(module, "pool_arguments", ir.ArrayType(I64, 2 * MOST))
    started, owner = _zeros(module, "pool_started", I32), _zeros(module, "pool_owner", I32)
    table = _zeros(module, "pool_table", ir.ArrayType(I64, len(layout.RUNTIME)))
    known = ir.GlobalVariable(module, PTR, f"{library}_pool_state")
    worker_type = ir.FunctionType(PTR, [PTR])
    worker = ir.Function(module, worker_type, f"{library}_pool_worker")
    run = ir.Function(module, ir.FunctionType(I64, [PTR, PTR, I64]), f"{library}_pool_run")
    c = {
        "getpid": ir.FunctionType(I32, []),
        "pthread_mutex_init": ir.FunctionType(I32, [PTR, PTR]),
        "pthread_cond_init": ir.FunctionType(I32, [PTR, PTR]),
        "pthread_create": ir.FunctionType(I32, [I64.as_pointer(), PTR, worker_type.as_pointer(), PTR]),
        "pthread_detach": ir.FunctionType(I32, [I64]),
    }
    lib = {name: ir.Function(module, kind, name) for name, kind in c.items()}
    fn = ir.Function(module, ir.FunctionType(I32, [I32]), f"{library}_set_num_threads")
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    n, null = fn.args[0], ir.Constant(PTR, None)
    handle = b.alloca(I64)

    def word(block: Any, k: Any) -> Any:
        return b.gep(block, [const(0), k if isinstance(k, ir.Value) else const(k)])

    with b.if_then(b.or_(b.icmp_signed("<", n, const(1, I32)), b.icmp_signed(">", n, const(MOST, I32)))):
        b.ret(const(0, I32))
    pid = b.call(lib["getpid"], [])
    with b.if_then(b.icmp_signed("!=", pid, b.load(owner))):
        memory = b.bitcast(state, PTR)
        b.call(_memset(module), [memory, ir.Constant(I8, 0), const(8 * (pool.WORDS + 16)), ir.Constant(ir.IntType(1), 0)])
        b.call(lib["pthread_mutex_init"], [b.bitcast(word(state, pool.MUTEX), PTR), null])
        b.call(lib["pthread_cond_init"], [b.bitcast(word(state, pool.CONDITION), PTR), null])
        b.store(const(pool.CLOSED), word(state, pool.TICKET))
        b.store(memory, known)
        b.store(const(0, I32), started)
        b.store(pid, owner)
        b.store(b.ptrtoint(run, I64), word(table, layout.RUNTIME["run"]))
    head, more, done = (fn.append_basic_block(name) for name in ("head", "more", "done"))
    b.branch(head)
    b.position_at_end(head)
    have = b.load(started)
    b.cbranch(b.icmp_signed("<", have, b.sub(n, const(1, I32))), more, done)
    b.position_at_end(more)
    at = b.mul(b.zext(have, I64), const(2))
    b.store(b.ptrtoint(state, I64), word(arguments, at))
    b.store(b.zext(have, I64), word(arguments, b.add(at, const(1))))
    failed = b.call(lib["pthread_create"], [handle, null, worker, b.bitcast(word(arguments, at), PTR)])
    with b.if_then(b.icmp_signed("==", failed, const(0, I32))):
        b.call(lib["pthread_detach"], [b.load(handle)])
        b.store(b.add(have, const(1, I32)), started)
        b.branch(head)
        b.position_at_end(fn.append_basic_block("never"))
    b.branch(done)
    b.position_at_end(done)
    total = b.add(b.load(started), const(1, I32))
    limit = b.select(b.icmp_signed("<", n, total), n, total)
    b.store_atomic(b.zext(limit, I64), word(state, pool.LIMIT), "seq_cst", 8)
    b.call(install, [b.bitcast(table, PTR)])
    b.ret(limit)


def _memset(module: Any) -> Any:
    return module.declare_intrinsic("llvm.memset", [PTR, I64])


__all__ = ["MOST", "pool_object", "pool_text", "write"]
