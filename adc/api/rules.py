"""What users say about derivatives: checkpoint, custom_vjp, custom_jvp, stop_gradient.

In: a function (and its rule).  Out: a callable that other transformations see as one `Call` with a rule.

    @adc.custom_vjp
    def f(x): return np.sqrt(x)
    f.defvjp(lambda x: (np.sqrt(x), x), lambda x, y_bar: (y_bar / (2 * np.sqrt(x)),))
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from adc.api.apply import Result, Stage, bound_dims, emit, emit_call, fitted, leaves_of, typed, zeros
from adc.api.trees import flatten
from adc.errors import UnsupportedError, fail
from adc.frontend import Leaf
from adc.ir import Atom, Function, Pointwise, Primitive, Sample, Tensor, Var, building, here, inline, size
from adc.ir.dims import Sym
from adc.ops.arithmetic import stop_gradient as stop
from adc.ops.core import with_dims
from adc.ops.registry import register
from adc.ops.structure import convert_to

ORDERS = 4
"""A rule may call its own function: derivatives up to this order then use the rule again; a higher one is refused."""

_inside: ContextVar[tuple[int, ...]] = ContextVar("inside", default=())
"""Functions of which a rule is being staged."""


def _too_deep(args: Any, outs: Any, moved: Any, p: Any) -> tuple[Any, ...]:
    if all(m is None for m in moved):
        return (None,)
    raise fail(
        UnsupportedError, "type", here(), what=f"the rule of {p['name']} calls {p['name']}, and a derivative of order {ORDERS + 1} is asked for",
        instead="compute the value in the rule without calling the function itself",
    )  # fmt: skip


last_order = register(
    Primitive(
        "last_order",
        type=lambda types, p: types,
        numpy="{0}",
        loops=Pointwise("{0}"),
        jvp=_too_deep,
        vjp=_too_deep,
        samples=lambda: tuple(Sample(s.args, {"name": "f"}, False) for s in stop.samples()),
        reference=lambda x, name: x,
        cheap=True,
    )
)


def _stage_rule(stage: Stage, fun: Any, rule: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A rule staged; calls of its own function in it are counted."""
    token = _inside.set((*_inside.get(), id(fun)))
    try:
        return stage(rule, args, kwargs)
    finally:
        _inside.reset(token)


def _deep(fun: Any) -> bool:
    return _inside.get().count(id(fun)) >= ORDERS


def _without_rule(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], fun: Any, name: str) -> Result:
    args, kwargs = typed(in_tree, types)
    staged, captured = stage(fun, args, kwargs)
    results = emit(staged.function, (*atoms, *captured))
    return tuple(last_order(r, name=name) if r.type.is_float else r for r in results), staged.out_tree


def checkpoint(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any) -> Result:
    args, kwargs = typed(in_tree, types)
    staged, captured = stage(fun, args, kwargs)
    return emit_call(staged.function, (*atoms, *captured), "checkpoint", {}), staged.out_tree


def _fresh(t: Tensor) -> Tensor:
    """The same type with sizes of its own: a rule is a closed function."""
    return Tensor(t.dtype, tuple(d if isinstance(d, int) else size(Sym("n")) for d in t.dims))


def _nondiff(in_tree: Any, nums: tuple[int, ...], what: str) -> tuple[Any, ...]:
    found = tuple(in_tree[0][n] for n in nums)
    if leaves_of(found):
        raise fail(UnsupportedError, "type", None, what=f"{what}: nondiff_argnums names a number or an array", instead="give it a zero cotangent in the rule instead")
    return found


def _like_args(tree: Any, in_tree: Any, nums: tuple[int, ...], what: str) -> dict[int, int | None]:
    """Which leaf of a rule's answer belongs to which argument leaf; None stands for zero."""
    args = tuple(a for n, a in enumerate(in_tree[0]) if n not in nums)
    given = tuple(tree) if isinstance(tree, tuple | list) else (tree,)
    if len(given) != len(args):
        raise fail(UnsupportedError, "type", None, what=f"the backward rule of {what} returns {len(given)} cotangents for {len(args)} arguments", instead="return a tuple with one cotangent (or None) per argument")
    found: dict[int, int | None] = {}
    for a, g in zip(args, given, strict=True):
        places, structure = flatten(a)
        if g is None:
            found.update({x.index: None for x in places if isinstance(x, Leaf)})
            continue
        answers, other = flatten(g)
        if other != structure:
            raise fail(UnsupportedError, "type", None, what=f"the backward rule of {what} returns {other} for an argument {structure}", instead="give the cotangent the structure of the argument")
        found.update({x.index: y.index if isinstance(y, Leaf) else None for x, y in zip(places, answers, strict=True) if isinstance(x, Leaf)})
    return found


def custom_vjp(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any, fwd: Any, bwd: Any, nondiff_argnums: tuple[int, ...]) -> Result:
    name = getattr(fun, "__name__", "f")
    if fwd is None:
        raise fail(UnsupportedError, "type", None, what=f"{name} has no rule", instead=f"call {name}.defvjp(fwd, bwd)")
    if _deep(fun):
        return _without_rule(stage, in_tree, types, atoms, fun, name)
    args, kwargs = typed(in_tree, types)
    primal, c0 = stage(fun, args, kwargs)
    forward, c1 = _stage_rule(stage, fun, fwd, args, kwargs)
    if not (isinstance(forward.out_tree, tuple) and len(forward.out_tree) == 2):
        raise fail(UnsupportedError, "type", forward.function.pos, what=f"the forward rule of {name} must return (result, residuals)", instead="return a pair")
    out_tree, res_tree = forward.out_tree
    if flatten(out_tree)[1] != flatten(primal.out_tree)[1]:
        raise fail(UnsupportedError, "type", forward.function.pos, what=f"the forward rule of {name} returns another structure than {name}", instead="return (the same result, residuals)")
    order, res = leaves_of(primal.out_tree), leaves_of(res_tree)
    results = forward.function.results
    outs = leaves_of(out_tree)
    table = {r: _fresh(results[r].type) for r in res}
    bars = {o: _fresh(results[o].type) for o in outs}
    # residuals first, then cotangents: the order of the backward function's parameters
    res_arg = _place(res_tree, table)
    bar_arg = _place(out_tree, bars)
    backward, c2 = _stage_rule(stage, fun, bwd, (*_nondiff(in_tree, nondiff_argnums, name), res_arg, bar_arg), {})
    n, n0, n1 = len(atoms), len(c0), len(c1)
    every = (*atoms, *c0, *c1, *c2)
    whole = with_params(primal.function, every, (*range(n), *range(n, n + n0)), order)
    fwd_fn = _forward(forward.function, every, n, n0, n1, len(c2), outs, res)
    bwd_fn = _backward(backward, every, types, res, table, outs, bars, len(c2), in_tree, nondiff_argnums, name)
    attrs = {"fwd": fwd_fn, "bwd": bwd_fn, "n_res": len(res) + len(c2)}
    made = emit_call(whole, every, "custom_vjp", attrs)
    return made, _renumbered(primal.out_tree)


def _renumbered(tree: Any) -> Any:
    from adc.api.apply import renumber

    return renumber(tree)


def _place(tree: Any, table: dict[int, Tensor]) -> Any:
    leaves, treedef = flatten(tree)
    return treedef.unflatten([table[x.index] if isinstance(x, Leaf) else x for x in leaves])


def _params(atoms: tuple[Atom, ...]) -> tuple[Var, ...]:
    return tuple(Var(Tensor(a.type.dtype, a.type.dims), getattr(a, "hint", "") or "x", getattr(a, "pos", None)) for a in atoms)


def with_params(fn: Function, atoms: tuple[Atom, ...], places: tuple[int, ...], order: list[int]) -> Function:
    """`fn` as a function of more parameters than it reads."""
    params = _params(atoms)
    with building(*params) as b:
        results = inline(fn, fitted(fn, tuple(params[k] for k in places)))
    return Function(fn.name, params, b.block(tuple(results[k] for k in order)), fn.guards, fn.pos)


def _forward(fn: Function, atoms: tuple[Atom, ...], n: int, n0: int, n1: int, n2: int, outs: list[int], res: list[int]) -> Function:
    params = _params(atoms)
    with building(*params) as b:
        results = emit(fn, (*params[:n], *params[n + n0 : n + n0 + n1]))
    last = params[len(params) - n2 :] if n2 else ()
    return Function(fn.name, params, b.block((*(results[k] for k in outs), *(results[k] for k in res), *last)), fn.guards, fn.pos)


def _backward(
    staged: Any, every: tuple[Atom, ...], types: tuple[Tensor, ...], res: list[int], table: dict[int, Tensor], outs: list[int],
    bars: dict[int, Tensor], n2: int, in_tree: Any, nums: tuple[int, ...], name: str,
) -> Function:  # fmt: skip
    """(residuals, captures, one cotangent per float result) -> one cotangent per float argument."""
    fn = staged.function
    kept = tuple(Var(table[r], "residual") for r in res)
    own = _params(fn.params[len(fn.params) - n2 :]) if n2 else ()
    bar_of = {o: Var(bars[o], "bar") for o in outs if bars[o].is_float}
    params = (*kept, *own, *bar_of.values())
    answer = _like_args(staged.out_tree, in_tree, nums, name)
    with building(*params) as b:
        cts = tuple(bar_of[o] if o in bar_of else zeros(bars[o].dims, bars[o].dtype) for o in outs)
        got = emit(fn, (*kept, *cts, *own))
        results: list[Atom] = []
        for k, a in enumerate(every):
            if not a.type.is_float:
                continue
            place = answer.get(k) if k < len(types) else None
            if place is None:
                results.append(zeros(_own_dims(a, every, params), a.type.dtype))
                continue
            g = convert_to(got[place], a.type.dtype)
            if g.type.rank != a.type.rank:
                raise fail(UnsupportedError, "type", fn.pos, what=f"the backward rule of {name} returns {g.type} for an argument {a.type}", instead="give the cotangent the shape of the argument")
            results.append(g)
    return Function(fn.name, params, b.block(tuple(results)), fn.guards, fn.pos)


def _own_dims(a: Atom, every: tuple[Atom, ...], params: tuple[Var, ...]) -> Any:
    return a.type.dims


def custom_jvp(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any, rule: Any, nondiff_argnums: tuple[int, ...]) -> Result:
    name = getattr(fun, "__name__", "f")
    if rule is None:
        raise fail(UnsupportedError, "type", None, what=f"{name} has no rule", instead=f"call {name}.defjvp(rule)")
    if _deep(fun):
        return _without_rule(stage, in_tree, types, atoms, fun, name)
    args, kwargs = typed(in_tree, types)
    primal, c0 = stage(fun, args, kwargs)
    order = leaves_of(primal.out_tree)
    kept = tuple(a for n, a in enumerate(in_tree[0]) if n not in nondiff_argnums)
    places = leaves_of(kept)
    tangents = {k: Tensor(types[k].dtype, types[k].dims) if types[k].is_float else types[k] for k in places}
    dots_tree = _place(kept, tangents)
    primals_tree = typed(kept, types)
    staged, c1 = _stage_rule(stage, fun, rule, (*_nondiff(in_tree, nondiff_argnums, name), primals_tree, dots_tree), {})
    if not (isinstance(staged.out_tree, tuple) and len(staged.out_tree) == 2):
        raise fail(UnsupportedError, "type", staged.function.pos, what=f"the rule of {name} must return (result, tangent)", instead="return a pair")
    values, moved = leaves_of(staged.out_tree[0]), leaves_of(staged.out_tree[1])
    every = (*atoms, *c0, *c1)
    whole = with_params(primal.function, every, tuple(range(len(atoms) + len(c0))), order)
    params = _params(every)
    dots = {k: Var(Tensor(a.type.dtype, a.type.dims), f"{p.hint}_dot") for k, (a, p) in enumerate(zip(every, params, strict=True)) if a.type.is_float}
    with building(*params, *dots.values()) as b:
        tail = params[len(atoms) + len(c0) :]
        got = emit(staged.function, (*(params[k] for k in places), *(dots.get(k, params[k]) for k in places), *tail))
        results = [got[k] for k in values]
        for k, place in zip(order, moved, strict=True):
            r = primal.function.results[k]
            if r.type.is_float:
                results.append(with_dims(convert_to(got[place], r.type.dtype), bound_dims(r, primal.function, (*params[: len(atoms) + len(c0)],)), "the tangent has another shape than the result"))
    rule_fn = Function(f"{name}_jvp", (*params, *dots.values()), b.block(tuple(results)), staged.function.guards, staged.function.pos)
    return emit_call(whole, every, "custom_jvp", {"jvp": rule_fn}), _renumbered(primal.out_tree)
