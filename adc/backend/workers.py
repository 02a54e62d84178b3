"""Calls of a kernel's parts: how compiled code hands chunks to the pool.

In: a part of a kernel, a plain function (begin, end, worker, *args) -> int.  Out: what Numba compiles `run_<part>(count,
*args)` to: the arguments are put into a block on the stack, and the pool (through the table at `adc_runtime`) calls back
with that block for each chunk; without a pool the part is called for all chunks at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.compiler import compile_extra
from numba.extending import intrinsic

from adc.backend import layout
from adc.backend.glue import I64, PTR, const

_serial = itertools.count()


def runner(part: Any, flags: Any, context: Any, library: Any, pipeline: Any) -> Any:
    """`run_<part>` for Numba; compiling a call compiles the part into `library`."""
    made: dict[tuple[Any, ...], str] = {}

    def typed(typing: Any, count: Any, args: tuple[Any, ...]) -> tuple[Any, Callable[..., Any]]:
        inner = (types.int64, types.int64, types.int64, *args)
        if args not in made:
            result = compile_extra(typing, context, part, inner, types.int64, flags, {}, library, pipeline_class=pipeline)
            made[args] = result.fndesc.llvm_func_name

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return _call(context, builder, made[args], inner, values[0], list(values[1:]))

        return types.int64(types.int64, *args), generate

    # Numba reads how many arguments there are
    names = ", ".join(f"a{k}" for k in range(part.__code__.co_argcount - 3))
    scope: dict[str, Any] = {"typed": typed}
    exec(f"def run_{part.__name__}(typing, count, {names}): return typed(typing, count, ({names},))", scope)
    return intrinsic(scope[f"run_{part.__name__}"])


def _call(context: Any, b: Any, name: str, inner: tuple[Any, ...], count: Any, values: Any) -> Any:
    module = b.module
    part = cgutils.get_or_insert_function(module, context.call_conv.get_function_type(types.int64, inner), name)
    block = ir.LiteralStructType([v.type for v in values])
    chunk_type = ir.FunctionType(I64, [PTR, I64, I64, I64])
    thunk = ir.Function(module, chunk_type, f"adc_chunk_{next(_serial)}")
    thunk.linkage = "internal"
    inside = ir.IRBuilder(thunk.append_basic_block("entry"))
    at = inside.bitcast(thunk.args[0], block.as_pointer())
    given = [inside.load(inside.gep(at, [const(0, ir.IntType(32)), const(k, ir.IntType(32))])) for k in range(len(values))]
    status, result = context.call_conv.call_function(inside, part, types.int64, inner, [*thunk.args[1:], *given])
    inside.ret(inside.select(status.is_ok, result, const(layout.BROKEN)))

    held = cgutils.alloca_once(b, block)
    for k, v in enumerate(values):
        b.store(v, b.gep(held, [const(0, ir.IntType(32)), const(k, ir.IntType(32))]))
    context_pointer = b.bitcast(held, PTR)
    answer = cgutils.alloca_once(b, I64)
    table_at = module.globals.get(layout.RUNTIME_NAME) or ir.GlobalVariable(module, I64.as_pointer(), layout.RUNTIME_NAME)
    table = b.load(table_at)
    run_at = cgutils.alloca_once_value(b, const(0))
    has_table = b.icmp_unsigned("!=", b.ptrtoint(table, I64), const(0))
    with b.if_then(b.and_(has_table, b.icmp_signed(">", count, const(1)))):
        b.store(b.load(b.gep(table, [const(layout.RUNTIME["run"])])), run_at)
    run = b.load(run_at)
    with b.if_else(b.icmp_unsigned("!=", run, const(0))) as (shared, alone):
        with shared:
            run_type = ir.FunctionType(I64, [chunk_type.as_pointer(), PTR, I64])
            b.store(b.call(b.inttoptr(run, run_type.as_pointer()), [thunk, context_pointer, count]), answer)
        with alone:
            b.store(b.call(thunk, [context_pointer, const(0), count, const(0)]), answer)
    return b.load(answer)


__all__ = ["runner"]
