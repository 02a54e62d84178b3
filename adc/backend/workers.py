"""Calls of a kernel's parts: how compiled code hands chunks to the pool.

In: a part of a kernel, a plain function (begin, end, worker, *args) -> int.  Out: what Numba compiles `run_<part>(count,
*args)` to, a call of a function that puts the arguments into a block on the stack; the pool (through the table at `adc_runtime`)
calls back with that block for each chunk; where there is no pool, or one chunk, the chunks are done here, one after the other.

    run_rows(8, x, n, out)           # rows(0, 1, 0, x, n, out) … rows(7, 8, worker, x, n, out); 0, or what the first failing one returned

There is one piece of machine code for a part, whoever calls it: a copy that LLVM inlined and vectorised anew could add
in another order, and results would depend on the number of threads.  And there is one for handing it out: a network's kernel
multiplies in ten places.  A part is a `Unit`, which may be compiled by itself, in another process (`pieces`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from adc.backend import glue, layout
from adc.backend.glue import I32, I64, PTR, const


@dataclass(frozen=True)
class Unit:
    """A part of a kernel for arguments of these types: what is compiled by itself."""

    name: str
    args: tuple[Any, ...]

    @property
    def symbol(self) -> str:
        """The function that hands it out, under the same name in every process."""
        return f"adc_run.{self.name}.{hashlib.sha256(repr(self.args).encode()).hexdigest()[:16]}"


def runner(name: str, parameters: int, ask: Callable[[Unit], None]) -> Any:
    """`run_<part>` for Numba; typing a call asks for the part to be compiled, for these types."""

    def typed(typing: Any, count: Any, args: tuple[Any, ...]) -> tuple[Any, Callable[..., Any]]:
        unit = Unit(name, args)
        ask(unit)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            run = ir.FunctionType(I64, [I64, *(context.get_value_type(t) for t in args)])
            return builder.call(cgutils.get_or_insert_function(builder.module, run, unit.symbol), values)

        return types.int64(types.int64, *args), generate

    # Numba reads how many arguments there are
    names = "".join(f"a{k}, " for k in range(parameters - 3))
    scope: dict[str, Any] = {"typed": typed}
    exec(f"def run_{name}(typing, count, {names}): return typed(typing, count, ({names}))", scope)
    return intrinsic(scope[f"run_{name}"])


def inner_types(unit: Unit) -> tuple[Any, ...]:
    """What the part itself takes."""
    return types.int64, types.int64, types.int64, *unit.args


def write(context: Any, module: Any, unit: Unit, made: str) -> None:
    """The function `unit.symbol`; `made`: what Numba made of the part."""
    block = ir.LiteralStructType([context.get_value_type(t) for t in unit.args])
    chunk = _chunk(context, module, made, inner_types(unit), block)
    _run(module, unit.symbol, chunk, block)


def _run(module: Any, name: str, chunk: Any, block: Any) -> None:
    """All chunks, by the pool or here."""
    fn = ir.Function(module, ir.FunctionType(I64, [I64, *block.elements]), name)
    fn.attributes.add("noinline")
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    count, *values = fn.args
    held = b.alloca(block)
    for k, v in enumerate(values):
        b.store(v, _field(b, held, k))
    packed = b.bitcast(held, PTR)
    answer = cgutils.alloca_once_value(b, const(0))
    run = cgutils.alloca_once_value(b, const(0))
    table = b.load(glue.runtime_word(module))
    has_table = b.icmp_unsigned("!=", b.ptrtoint(table, I64), const(0))
    with b.if_then(b.and_(has_table, b.icmp_signed(">", count, const(1)))):
        b.store(b.load(b.gep(table, [const(layout.RUNTIME["run"])])), run)
    address = b.load(run)
    with b.if_then(b.icmp_unsigned("!=", address, const(0))):
        run_type = ir.FunctionType(I64, [chunk.type, PTR, I64])
        b.ret(b.call(b.inttoptr(address, run_type.as_pointer()), [chunk, packed, count]))
        b.position_at_end(fn.append_basic_block("never"))
    with cgutils.for_range(b, count) as loop:
        code = b.call(chunk, [packed, loop.index, b.add(loop.index, const(1)), const(0)])
        b.store(code, answer)
        with b.if_then(b.icmp_signed("!=", code, const(0)), likely=False):
            loop.do_break()
    b.ret(b.load(answer))


def _chunk(context: Any, module: Any, name: str, inner: tuple[Any, ...], block: Any) -> Any:
    """The C function of a chunk: takes the arguments out of the block and calls what Numba made of the part."""
    part = cgutils.get_or_insert_function(module, context.call_conv.get_function_type(types.int64, inner), name)
    chunk = ir.Function(module, ir.FunctionType(I64, [PTR, I64, I64, I64]), f"adc_chunk.{name}")
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


__all__ = ["Unit", "inner_types", "runner", "write"]
