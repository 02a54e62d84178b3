"""Batching: a function over examples as a loop that stacks (docs/design/vmap.md).

In: a function and which axis of each parameter (and result) runs over the examples; None is shared.
Out: a function whose body is one `For` without carries, so every op and statement is batched by construction.

    vmap(f, (0, None), 0)       # params: x[B, ...], w -> results: y[B, ...]
"""

from __future__ import annotations

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import Atom, Dim, Function, Sym, Tensor, Var, at, build_for, building, inline, size, stmt_uses, symbols
from adc.ir.dce import dce
from adc.ops.access import Arg, At, Slice
from adc.ops.registry import PRIMITIVES
from adc.transform.prepare import finish

Axis = int | None


def vmap(
    fn: Function,
    in_axes: tuple[Axis, ...],
    out_axes: tuple[Axis, ...] | Axis = 0,
    count: Dim | None = None,
) -> Function:
    """`fn` over a batch of `count` examples (a new symbol if not given)."""
    if len(in_axes) != len(fn.params) or all(a is None for a in in_axes):
        raise fail(ShapeError, "shape", fn.pos, what="vmap needs at least one mapped argument")
    outs = out_axes if isinstance(out_axes, tuple) else (out_axes,) * len(fn.results)
    if len(outs) != len(fn.results):
        raise fail(ShapeError, "shape", fn.pos, what=f"out_axes has {len(outs)} entries for {len(fn.results)} results")
    batch = size(Sym("B")) if count is None else count
    axes = tuple(None if a is None else _axis(a, p.type.rank + 1, fn) for a, p in zip(in_axes, fn.params, strict=True))
    params = tuple(_param(p, a, batch) for p, a in zip(fn.params, axes, strict=True))
    free = _unmapped(fn, axes)
    for r, a in zip(fn.results, outs, strict=True):
        if a is None and r in free:
            raise fail(ShapeError, "shape", fn.pos, what="out_axes is None for a result that differs between examples")
    stacked = [k for k, a in enumerate(outs) if a is not None]

    with building(*params) as b, at(fn.pos):
        shared: tuple[Atom, ...] = ()
        if len(stacked) < len(outs):
            # the results that are the same for every example, computed once; the mapped parameters are not used
            dummy = tuple(p if a is None else q for p, q, a in zip(params, fn.params, axes, strict=True))
            shared = inline(fn, dummy)

        def body(i: Var) -> tuple[tuple[Atom, ...], tuple[Atom, ...], tuple[Atom, ...]]:
            args = tuple(p if a is None else _slice(p, a, i) for p, a in zip(params, axes, strict=True))
            results = inline(fn, args)
            for k in stacked:
                _same_sizes(results[k], fn)
            return (), (), tuple(results[k] for k in stacked)

        _, _, stacks = build_for(batch, (), body)
        moved = {k: _move(v, outs[k], fn) for k, v in zip(stacked, stacks, strict=True)}
        results = tuple(moved[k] if k in moved else shared[k] for k in range(len(outs)))
    whole = dce(b.block(results))
    return finish(Function(f"{fn.name}_vmap", params, whole, fn.guards, fn.pos))


def _axis(a: int, rank: int, fn: Function) -> int:
    if not -rank <= a < rank:
        raise fail(ShapeError, "shape", fn.pos, what=f"axis {a} is out of bounds for array of dimension {rank}")
    return a % rank


def _param(p: Var, axis: Axis, batch: Dim) -> Var:
    if axis is None:
        return Var(p.type, p.hint, p.pos)
    dims = list(p.type.dims)
    dims.insert(axis, batch)
    return Var(Tensor(p.type.dtype, tuple(dims)), p.hint, p.pos)


def _slice(x: Var, axis: int, i: Var) -> Atom:
    """Example `i` of `x`."""
    parts = tuple(At(Arg(0)) if k == axis else Slice(0, d) for k, d in enumerate(x.type.dims))
    with at(x.pos, x.hint):
        return PRIMITIVES["index"](x, i, axes=parts)  # type: ignore[no-any-return]


def _move(x: Atom, axis: Axis, fn: Function) -> Atom:
    """The stack with the examples' axis where it is wanted."""
    assert axis is not None
    k = _axis(axis, x.type.rank, fn)
    if k == 0:
        return x
    order = list(range(1, x.type.rank))
    order.insert(k, 0)
    return PRIMITIVES["transpose"](x, axes=tuple(order))  # type: ignore[no-any-return]


def _same_sizes(r: Atom, fn: Function) -> None:
    """Examples whose results have sizes of their own cannot be stacked."""
    known = {s for p in fn.params for d in p.type.dims for s in symbols(size(d))}
    if any(s not in known for d in r.type.dims for s in symbols(size(d))):
        raise fail(
            UnsupportedError, "type", getattr(r, "pos", None) or fn.pos,
            what=f"vmap of a function whose result {r.type} has another size for each example",
            instead="give the result a size that depends on the shapes only",
        )  # fmt: skip


def _unmapped(fn: Function, axes: tuple[Axis, ...]) -> set[Atom]:
    """The values that depend on mapped parameters (through data or control)."""
    found: set[Atom] = {p for p, a in zip(fn.params, axes, strict=True) if a is not None}
    for s in fn.body.stmts:
        if any(v in found for v in stmt_uses(s)):
            found.update(s.outs)
    return found
