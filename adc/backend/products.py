"""Products of matrices in kernels: calls through the table of the run time.

In: the plain functions of adc/ops/routines_products.py.  Out: `NATIVE`: what stands for them in compiled code.

    gemm(0, 0, 1, m, n, k, a, 0, k, b, 0, n, c, 0, n)  # cblas_dgemm(101, 111, 111, m, n, k, 1.0, a, k, b, n, 1.0, c, n)

In this process the words of the table are adc's own functions (`blas`).  Where they are a BLAS itself (lent to a built library by its
host) and the words `blas_get` and `blas_set` too, its own threads are set to one for the length of the call.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from adc.backend import glue, layout
from adc.backend.glue import F32, F64, I32, I64, PTR, VOID, const
from adc.ops import routines_products

NO_TRANSPOSE, TRANSPOSE, ROW_MAJOR = 111, 112, 101


def _table(b: Any) -> Any:
    return b.load(glue.runtime_word(b.module))


def _word(b: Any, table: Any, name: str) -> Any:
    return b.load(b.gep(table, [const(layout.RUNTIME[name])]))


def _name(dtype: Any) -> str:
    return "dgemm" if dtype == types.float64 else "sgemm"


@intrinsic  # type: ignore[misc]
def have_gemm(typing, number):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        table = _table(b)
        there = b.icmp_unsigned("!=", b.ptrtoint(table, I64), const(0))
        found = cgutils.alloca_once(b, ir.IntType(1))  # in the entry: this may stand in a loop
        b.store(const(0, ir.IntType(1)), found)
        with b.if_then(there):
            b.store(b.icmp_unsigned("!=", _word(b, table, _name(signature.args[0])), const(0)), found)
        return b.load(found)

    return types.boolean(number), generate


@intrinsic  # type: ignore[misc]
def gemm(typing, ta, tb, keep, m, n, k, a, a0, lda, b, b0, ldb, c, c0, ldc):  # type: ignore[no-untyped-def]
    def generate(context: Any, build: Any, signature: Any, args: Any) -> Any:
        ta, tb, keep, m, n, k, a, a0, lda, b, b0, ldb, c, c0, ldc = args
        real = F64 if signature.args[12].dtype == types.float64 else F32
        table = _table(build)

        def flag(value: Any) -> Any:
            return build.select(build.icmp_signed("!=", value, const(0)), const(TRANSPOSE, I32), const(NO_TRANSPOSE, I32))

        def at(pointer: Any, offset: Any) -> Any:
            return build.bitcast(build.gep(pointer, [offset]), PTR)

        get, put = (_word(build, table, name) for name in ("blas_get", "blas_set"))
        there = build.and_(build.icmp_unsigned("!=", get, const(0)), build.icmp_unsigned("!=", put, const(0)))
        before = cgutils.alloca_once(build, I32)
        build.store(const(1, I32), before)
        get_type, put_type = ir.FunctionType(I32, []), ir.FunctionType(VOID, [I32])
        with build.if_then(there):
            build.store(build.call(build.inttoptr(get, get_type.as_pointer()), []), before)
            with build.if_then(build.icmp_signed(">", build.load(before), const(1, I32))):
                build.call(build.inttoptr(put, put_type.as_pointer()), [const(1, I32)])
        type = ir.FunctionType(VOID, [I32, I32, I32, I64, I64, I64, real, PTR, I64, PTR, I64, real, PTR, I64])
        function = build.inttoptr(_word(build, table, _name(signature.args[12].dtype)), type.as_pointer())
        one = ir.Constant(real, 1.0)
        beta = build.select(build.icmp_signed("!=", keep, const(0)), one, ir.Constant(real, 0.0))
        build.call(function, [const(ROW_MAJOR, I32), flag(ta), flag(tb), m, n, k, one, at(a, a0), lda, at(b, b0), ldb, beta, at(c, c0), ldc])
        with build.if_then(build.icmp_signed(">", build.load(before), const(1, I32))):
            build.call(build.inttoptr(put, put_type.as_pointer()), [build.load(before)])
        return context.get_dummy_value()

    integers = (types.int64,) * 6
    return types.void(*integers, a, *integers[:2], b, *integers[:2], c, *integers[:2]), generate


NATIVE = {routines_products.gemm: gemm, routines_products.have_gemm: have_gemm}

__all__ = ["NATIVE"]
