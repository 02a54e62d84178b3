"""Calls of a kernel's parts: how compiled code hands chunks to the pool.

In: a part of a kernel, a plain function (begin, end, worker, *args) -> int.  Out: what Numba compiles `run_<part>(count,
*args)` to: the arguments are put into a block on the stack, and the pool (through the table at `adc_runtime`) calls back
with that block for each chunk; where there is no pool, or one chunk, the chunks are done here, one after the other.

    run_rows(8, x, n, out)           # rows(0, 1, 0, x, n, out) … rows(7, 8, worker, x, n, out); 0, or what the first failing one returned

There is one piece of machine code for a part, whoever calls it: a copy that LLVM inlined and vectorised anew could add
in another order, and results would depend on the number of threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.compiler import compile_extra
from numba.extending import intrinsic

from adc.backend import glue, layout
from adc.backend.glue import I32, I64, PTR, const

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
    names = "".join(f"a{k}, " for k in range(part.__code__.co_argcount - 3))
    scope: dict[str, Any] = {"typed": typed}
    exec(f"def run_{part.__name__}(typing, count, {names}): return typed(typing, count, ({names}))", scope)
    return intrinsic(scope[f"run_{part.__name__}"])


def _call(context: Any, b: Any, name: str, inner: tuple[Any, ...], count: Any, values: Any) -> Any:
    block = ir.LiteralStructType([v.type for v in values])
    chunk = _chunk(context, b.module, name, inner, block)
    held = cgutils.alloca_once(b, block)
    for k, v in enumerate(values):
        b.store(v, _field(b, held, k))
    packed = b.bitcast(held, PTR)
    answer = cgutils.alloca_once_value(b, const(0))
    run = cgutils.alloca_once(b, I64)
    b.store(const(0), run)  # here: it may stand in a loop
    table = b.load(glue.runtime_word(b.module))
    has_table = b.icmp_unsigned("!=", b.ptrtoint(table, I64), const(0))
    with b.if_then(b.and_(has_table, b.icmp_signed(">", count, const(1)))):
        b.store(b.load(b.gep(table, [const(layout.RUNTIME["run"])])), run)
    address = b.load(run)
    with b.if_else(b.icmp_unsigned("!=", address, const(0))) as (shared, alone):
        with shared:
            run_type = ir.FunctionType(I64, [chunk.type, PTR, I64])
            b.store(b.call(b.inttoptr(address, run_type.as_pointer()), [chunk, packed, count]), answer)
        with alone:
            b.store(const(0), answer)
            with cgutils.for_range(b, count) as loop:
                code = b.call(chunk, [packed, loop.index, b.add(loop.index, const(1)), const(0)])
                b.store(code, answer)
                with b.if_then(b.icmp_signed("!=", code, const(0)), likely=False):
                    loop.do_break()
    return b.load(answer)


def _chunk(context: Any, module: Any, name: str, inner: tuple[Any, ...], block: Any) -> Any:
    """The C function of a chunk: takes the arguments out of the block and calls what Numba made of the part."""
    part = cgutils.get_or_insert_function(module, context.call_conv.get_function_type(types.int64, inner), name)
    chunk = ir.Function(module, ir.FunctionType(I64, [PTR, I64, I64, I64]), f"adc_chunk_{next(_serial)}")
    chunk.linkage = "internal"
    chunk.attributes.add("noinline")
    b = ir.IRBuilder(chunk.append_basic_block("entry"))
    packed = b.bitcast(chunk.args[0], block.as_pointer())
    given = [b.load(_field(b, packed, k)) for k in range(len(block.elements))]
    status, result = context.call_conv.call_function(b, part, types.int64, inner, [*chunk.args[1:], *given])
    b.ret(b.select(status.is_ok, result, const(layout.BROKEN)))
    return chunk


def _field(b: Any, block: Any, k: int) -> Any:
    return b.gep(block, [const(0, I32), const(k, I32)])


__all__ = ["runner"]
