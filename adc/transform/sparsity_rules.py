"""Calls with rules of the user's own: the rule says what depends on what.

In: the machine (`sparsity.Machine`) and a `Call`.  Out: its results, bound in the machine.

    custom_jvp     the tangents carry the dependences through the rule, which is linear in them
    custom_vjp     what the cotangents reach through the backward rule, transposed
    checkpoint     the function itself
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from adc.ir import Call, Function
from adc.ir.dims import Size
from adc.transform.reach_sets import Matrix, Value, identity, join, rows, union

if TYPE_CHECKING:
    from adc.transform.sparsity import Machine


def call(m: Machine, s: Call) -> None:
    values = [m.value(a) for a in s.args]
    results = inline(m, s.fn, values)
    if s.rule in ("custom_jvp", "custom_vjp") and any(v.deps is not None for v in values):
        made = iter((by_forward_rule if s.rule == "custom_jvp" else by_reverse_rule)(m, s, values))
        # the derivative is the rule's, the numbers are the function's
        results = [next(made) if v.type.is_float else r for v, r in zip(s.outs, results, strict=True)]
    m.put(s.outs, results)


def inline(m: Machine, fn: Function, values: Sequence[Value]) -> list[Value]:
    for p, x in zip(fn.params, values, strict=True):
        for d, have in zip(p.type.dims, x.shape, strict=True):
            if isinstance(d, Size) and d.is_symbol:
                m.sizes[d.terms[0][0][0]] = have  # type: ignore[index]
        m.env[p] = x
    return [m.value(r) for r in m.block(fn.body)]


def without(v: Value) -> Value:
    """The value as a constant."""
    return Value(v.level, v.shape, None, None, v.numbers if v.is_known else None, v.sources)


def by_forward_rule(m: Machine, s: Call, values: list[Value]) -> list[Value]:
    dots = [v for v, a in zip(values, s.args, strict=True) if a.type.is_float]
    made = inline(m, s.attrs["jvp"], [*map(without, values), *(Value(v.level, v.shape, v.deps) for v in dots)])
    return made[len(s.outs) :]


def by_reverse_rule(m: Machine, s: Call, values: Sequence[Value]) -> list[Value]:
    fwd, bwd, n = s.attrs["fwd"], s.attrs["bwd"], s.attrs["n_res"]
    level, values = m.lift_all(values)
    lanes = m.lanes(level)
    made = inline(m, fwd, list(map(without, values)))
    outs = [v for v, o in zip(made, s.outs, strict=False) if o.type.is_float]
    sizes = [v.size for v in outs]
    # every lane has cotangents of the same columns: what they reach is told apart by its rows
    bars = [m.lift(identity(v.shape, sum(sizes[:k]), sum(sizes)), level) for k, v in enumerate(outs)]
    back = inline(m, bwd, [*map(without, made[len(made) - n :] if n else []), *bars])
    targets = values if len(back) == len(values) else [v for v, a in zip(values, s.args, strict=True) if a.type.is_float]
    height = lanes * sum(sizes)
    deps: Matrix | None = None
    for arg, reached in zip(targets, back, strict=True):
        found = m.lift(reached, level).deps
        if arg.deps is None or found is None:
            continue
        coo = found.tocoo()
        lane, row = np.divmod(coo.row.astype(np.int64), arg.size)
        deps = union(deps, join(arg.deps, lane * sum(sizes) + coo.col, lane * arg.size + row, height))
    results = []
    own = np.arange(height).reshape(lanes, -1)
    for k, v in enumerate(outs):
        part = own[:, sum(sizes[:k]) : sum(sizes[: k + 1])]
        results.append(Value(level, v.shape, rows(deps, part.ravel())))
    return results


__all__ = ["call", "inline"]
