"""The calling conventions in machine instructions: each function writes one C function into an adapter's module.

In: an `Adapter` (see `writer`), and a `Flat`: how a flat vector is cut into parameters and results.  Out: the module
exports the function whose prototype stands under the same name in `prototypes`.

    double integrand(int n, double *x, void *state)          ->      core(state, x[0], &result); NaN unless it returns 0
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from adc.backend.glue import F64, I32, I64, PTR, const
from adc.interop.adapter import SIZES
from adc.interop.prototypes import FIRST_CHECK, NOT_FINITE_GRADIENT, NOT_FINITE_VALUE, Flat
from adc.interop.writer import Adapter


def _vector(a: Adapter, pointer: Any, flat: Flat) -> list[Any]:
    return [a.b.gep(pointer, [const(at)]) for at in flat.outputs]


def plain(a: Adapter, detail: Any) -> None:
    """int64 f(int64 *state, parameters…, sizes…, results…)"""
    args = a.begin(I64, *a.core.function_type.args)
    a.b.ret(a.b.call(a.core, args))


def density(a: Adapter, flat: Flat) -> None:
    """The value is the result whose place is -1; the others lie in `grad`."""
    dim, x, grad, logp, state = a.begin(I64, I64, F64.as_pointer(), F64.as_pointer(), F64.as_pointer(), PTR)
    a.refuse_unless(a.b.icmp_unsigned("==", dim, const(flat.input_total or 0)), SIZES)
    outs = [logp if at < 0 else a.b.gep(grad, [const(at)]) for at in flat.outputs]
    code = a.flat(state, x, flat.inputs, [], outs)
    with a.b.if_then(a.b.icmp_signed("!=", code, const(0)), likely=False):
        failed = a.b.icmp_signed(">", code, const(0))
        a.b.ret(a.b.select(failed, a.b.add(code, const(FIRST_CHECK - 1)), code))
    # x - x is 0 for finite numbers, else NaN
    fn = a.b.function
    before, loop, after = a.b.block, fn.append_basic_block("each"), fn.append_basic_block("after")
    zero = ir.Constant(F64, 0.0)
    a.b.cbranch(a.b.icmp_unsigned(">", dim, const(0)), loop, after)
    a.b.position_at_end(loop)
    k, bad = a.b.phi(I64), a.b.phi(ir.IntType(1))
    g = a.b.load(a.b.gep(grad, [k]))
    more, worse = a.b.add(k, const(1)), a.b.or_(bad, a.b.fcmp_unordered("uno", a.b.fsub(g, g), zero))
    for phi, first, later in ((k, const(0), more), (bad, ir.Constant(ir.IntType(1), 0), worse)):
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    a.b.cbranch(a.b.icmp_unsigned("<", more, dim), loop, after)
    a.b.position_at_end(after)
    found = a.b.phi(ir.IntType(1))
    found.add_incoming(ir.Constant(ir.IntType(1), 0), before)
    found.add_incoming(worse, loop)
    value = a.b.load(logp)
    wrong = a.b.fcmp_unordered("uno", a.b.fsub(value, value), zero)
    code = a.b.select(found, const(NOT_FINITE_GRADIENT), const(0))
    a.b.ret(a.b.select(wrong, const(NOT_FINITE_VALUE), code))


def expand(a: Adapter, flat: Flat) -> None:
    dim, expanded, x, out, state = a.begin(I64, I64, I64, F64.as_pointer(), F64.as_pointer(), PTR)
    a.refuse_unless(a.b.icmp_unsigned("==", dim, const(flat.input_total or 0)), SIZES)
    a.refuse_unless(a.b.icmp_unsigned("==", expanded, const(flat.output_total or 0)), SIZES)
    a.b.ret(a.flat(state, x, flat.inputs, [], _vector(a, out, flat)))


def integrand(a: Adapter, flat: Flat) -> None:
    """NaN where the user's program failed a check: this convention has no other way to say so."""
    n, x, state = a.begin(F64, I32, F64.as_pointer(), PTR)
    nan = ir.Constant(F64, float("nan"))
    out = a.b.alloca(F64)
    sizes = [a.b.sext(n, I64)] if flat.input_total is None else []
    if flat.input_total is not None:
        with a.b.if_then(a.b.icmp_signed("!=", n, const(flat.input_total, I32)), likely=False):
            a.b.ret(nan)
    code = a.flat(state, x, flat.inputs, sizes, [out])
    a.b.ret(a.b.select(a.b.icmp_signed("==", code, const(0)), a.b.load(out), nan))


def window_filter(a: Adapter, flat: Flat) -> None:
    x, n, out, state = a.begin(I32, F64.as_pointer(), I64, F64.as_pointer(), PTR)
    sizes = _length(a, n, flat.input_total)
    _status(a, a.flat(state, x, flat.inputs, sizes, [out]))


def line_filter(a: Adapter, flat: Flat) -> None:
    x, n, out, m, state = a.begin(I32, F64.as_pointer(), I64, F64.as_pointer(), I64, PTR)
    sizes = _length(a, n, flat.input_total)
    a.read_sizes(state, sizes)
    length = a.elements(a.plan.outs[0])
    _need(a, a.b.icmp_signed("==", length, m))
    _status(a, a.flat(state, x, flat.inputs, sizes, [out]))


def coordinates(a: Adapter, flat: Flat) -> None:
    x, y, rank_out, rank_in, state = a.begin(I32, I64.as_pointer(), F64.as_pointer(), I32, I32, PTR)
    _need(a, a.b.icmp_signed("==", rank_out, const(flat.input_total or 0, I32)))
    _need(a, a.b.icmp_signed("==", rank_in, const(flat.output_total or 0, I32)))
    _status(a, a.flat(state, x, flat.inputs, [], _vector(a, y, flat)))


def _length(a: Adapter, n: Any, total: int | None) -> list[Any]:
    if total is None:
        return [n] * len(a.asked)
    _need(a, a.b.icmp_signed("==", n, const(total)))
    return []


def _need(a: Adapter, condition: Any) -> None:
    """Return 0, which SciPy takes for an error, unless it holds."""
    with a.b.if_then(a.b.not_(condition), likely=False):
        a.b.ret(const(0, I32))


def _status(a: Adapter, code: Any) -> None:
    """SciPy's callbacks return 1 where all is well."""
    a.b.ret(a.b.zext(a.b.icmp_signed("==", code, const(0)), I32))
