"""What each transformation writes: the meaning of grad, jvp, jacrev, … on staged functions.

In: `stage(fun, args, kwargs) -> (staged, captured atoms)`, the tree of arguments with `Leaf(k)`, their types and
atoms.  Out: result atoms and the tree of the result.  Everything goes to the current builder, so the same code
serves the outermost call and a transformation inside user code.

    emit(transform.vjp(f, wrt), (*atoms, literal(1.0)))    the heart of grad
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from adc.api.trees import broadcast_prefix, flatten
from adc.errors import UnsupportedError, fail
from adc.frontend import Leaf, Staged, broken_guard
from adc.ir import (
    Atom,
    Call,
    Copier,
    Dim,
    Function,
    Guard,
    Params,
    Tensor,
    Var,
    at,
    bind_sizes,
    build_for,
    building,
    current,
    guard,
    inline,
    literal,
    product,
    size,
    subst_dims,
    symbols,
)
from adc.ops.core import agree, with_dims
from adc.ops.registry import lookup
from adc.ops.structure import convert_to, same_size
from adc.transform.report import LoopReport, reports

Stage = Callable[[Any, tuple[Any, ...], dict[str, Any]], tuple[Staged, tuple[Atom, ...]]]
Result = tuple[tuple[Atom, ...], Any]


# ---------------------------------------------------------------- pieces


planned: ContextVar[list[LoopReport] | None] = ContextVar("planned", default=None)
"""Where `emit` notes what each loop of an emitted derivative saves, in the sizes of the program it goes into."""


def emit(fn: Function, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """The body of `fn` at the current builder; sizes that it holds equal are guarded here."""
    args = fitted(fn, atoms)
    copier = Copier(dict(zip(fn.params, args, strict=True)))
    for p, a in zip(fn.params, args, strict=True):
        bind_sizes(p.type.dims, a.type.dims, copier.sizes)
    for s in fn.body.stmts:
        current().add(copier.stmt(s))
    notes = planned.get()
    if notes is not None:
        notes.extend(copier.dims(r) for r in reports(fn))
    return copier.atoms(fn.body.results)


def emit_call(fn: Function, atoms: tuple[Atom, ...], rule: str, attrs: dict[str, Any]) -> tuple[Atom, ...]:
    """A call kept whole, for its rule."""
    args = fitted(fn, atoms)
    outs = tuple(
        Var(Tensor(r.type.dtype, bound_dims(r, fn, args)), getattr(r, "hint", ""), getattr(r, "pos", None))
        for r in fn.results
    )
    current().add(Call(fn, args, outs, rule, Params(attrs), fn.pos))
    return outs


def fitted(fn: Function, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """The atoms with exactly the sizes that the parameters of `fn` ask for; the rest of its guards are asked for."""
    table: dict[Any, Dim] = {}
    for p, a in zip(fn.params, atoms, strict=True):
        bind_sizes(p.type.dims, a.type.dims, table)
    made: list[Atom] = []
    for p, a in zip(fn.params, atoms, strict=True):
        want = subst_dims(p.type.dims, table)
        if a.type.dims == want:
            made.append(a)
            continue
        for axis, (have, size_wanted) in enumerate(zip(a.type.dims, want, strict=True)):
            if have != size_wanted:
                g = broken_guard(fn.guards, table, p.hint, axis, p.type.dims[axis])
                with at(g.pos if g else None):
                    agree(size_wanted, have, g.message if g else f"argument {p.hint} has another size")
        made.append(same_size(a, dims=want))
    for g in fn.guards:
        left, right = subst_dims(size(g.left), table), subst_dims(size(g.right), table)
        known = {s for d in table.values() for s in symbols(size(d))}
        if all(s in known for d in (left, right) for s in symbols(size(d))) and left != right:
            guard(Guard(g.kind, left, right, g.message, g.pos))
    return tuple(made)


def typed(tree: Any, types: tuple[Tensor, ...]) -> Any:
    """The tree with types where the leaves are."""
    leaves, treedef = flatten(tree)
    return treedef.unflatten([types[x.index] if isinstance(x, Leaf) else x for x in leaves])


def leaves_of(tree: Any) -> list[int]:
    return [x.index for x in flatten(tree)[0] if isinstance(x, Leaf)]


def renumber(tree: Any, start: int = 0) -> Any:
    """The tree with leaves numbered from `start` in order."""
    leaves, treedef = flatten(tree)
    out = []
    for x in leaves:
        out.append(Leaf(start) if isinstance(x, Leaf) else x)
        start += isinstance(x, Leaf)
    return treedef.unflatten(out)


def with_results(fn: Function, keep: Callable[..., tuple[Atom, ...]]) -> Function:
    """`fn` with results made from its results."""
    params = tuple(Var(p.type, p.hint, p.pos) for p in fn.params)
    with building(*params) as b:
        results = keep(*inline(fn, params))
    return Function(fn.name, params, b.block(tuple(results)), fn.guards, fn.pos)


def zeros(dims: tuple[Dim, ...], dtype: Any) -> Atom:
    if not dims:
        return literal(0.0, dtype)
    make = lookup(np.zeros)
    assert make is not None
    return make(dims, dtype=np.dtype(dtype))  # type: ignore[no-any-return]


def reshape(x: Atom, dims: tuple[Dim, ...]) -> Atom:
    if x.type.dims == dims:
        return x
    make = lookup(np.reshape)
    assert make is not None
    return make(x, dims)  # type: ignore[no-any-return]


def select(argnums: int | tuple[int, ...], args: tuple[Any, ...], what: str) -> tuple[int, ...]:
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    fixed = tuple(n + len(args) if n < 0 else n for n in nums)
    for n in fixed:
        if not 0 <= n < len(args):
            raise fail(UnsupportedError, "type", None, what=f"argnums={argnums!r}, but {what} was called with {len(args)} positional arguments", instead="argnums counts positional arguments from 0")
    return fixed


def wanted(argnums: int | tuple[int, ...], in_tree: Any, types: tuple[Tensor, ...], what: str, names: list[str]) -> tuple[tuple[int, ...], Any]:
    """(leaf numbers to differentiate, the part of the arguments they form); every leaf must be a float."""
    args = in_tree[0]
    nums = select(argnums, args, what)
    part = args[nums[0]] if isinstance(argnums, int) else tuple(args[n] for n in nums)
    for n in nums:
        for x in flatten(args[n])[0]:
            if not isinstance(x, Leaf):
                raise fail(UnsupportedError, "not_float", None, name=f"{n}", dtype=f"{type(x).__name__} ({x!r})")
            if not types[x.index].is_float:
                name = names[x.index] if x.index < len(names) else f"{n}"
                raise fail(UnsupportedError, "not_float", None, name=f"{name} (number {n})", dtype=str(types[x.index].dtype))
    return tuple(leaves_of(part)), part


def describe(tree: Any, results: tuple[Atom, ...]) -> str:
    if isinstance(tree, Leaf):
        return str(results[tree.index].type)
    if isinstance(tree, tuple | list | dict):
        return f"a {type(tree).__name__} of {len(tree)}"
    return "None" if tree is None else f"a {type(tree).__name__}"


def split_aux(staged: Staged, has_aux: bool, what: str) -> tuple[Any, Any]:
    """(tree of the value, tree of the auxiliary data)"""
    if not has_aux:
        return staged.out_tree, None
    if not (isinstance(staged.out_tree, tuple) and len(staged.out_tree) == 2):
        raise fail(UnsupportedError, "type", None, what=f"{what} with has_aux=True needs a function that returns (value, aux)", instead="return a pair")
    return staged.out_tree


# ---------------------------------------------------------------- reverse


def grad(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any, argnums: Any, has_aux: bool, value: bool, tape_limit: int | None = None) -> Result:
    from adc import transform

    what = "value_and_grad" if value else "grad"
    args, kwargs = typed(in_tree, types)
    wrt, part = wanted(argnums, in_tree, types, what, [getattr(a, "hint", "") for a in atoms])
    staged, captured = stage(fun, args, kwargs)
    main, aux = split_aux(staged, has_aux, what)
    fn = staged.function
    if not (isinstance(main, Leaf) and fn.results[main.index].type.is_float and not fn.results[main.index].type.dims):
        raise fail(UnsupportedError, "not_scalar", fn.pos, what=describe(main, fn.results))
    others = leaves_of(aux) if has_aux else []
    # what is auxiliary gets no cotangent: a zero one would make NaN of an infinite derivative
    inner = with_results(fn, lambda *r: (r[main.index], *(stopped(r[k]) for k in others)))
    d = transform.vjp(inner, wrt, value or has_aux, tape_limit)
    floats = [r for r in inner.results if r.type.is_float]
    bars = (literal(1.0, floats[0].type.dtype), *(zeros(bound_dims(r, inner, (*atoms, *captured)), r.type.dtype) for r in floats[1:]))
    out = emit(d, (*atoms, *captured, *bars))
    n = len(inner.results) if value or has_aux else 0
    results: tuple[Atom, ...] = out[n:]
    tree = renumber(part)
    if value:
        results = (out[0], *results)
        tree = (Leaf(0), renumber(part, 1))
    if has_aux:
        start = len(results)
        results = (*results, *out[1:n])
        placed = renumber(aux, start)
        tree = ((Leaf(0), placed), renumber(part, 1)) if value else (tree, placed)
    return results, tree


def stopped(a: Atom) -> Atom:
    from adc.ops.arithmetic import stop_gradient

    return stop_gradient(a) if a.type.is_float else a


def bound_dims(r: Atom, fn: Function, atoms: tuple[Atom, ...]) -> tuple[Dim, ...]:
    """The dims of a result in the sizes of the caller."""
    table: dict[Any, Dim] = {}
    for p, a in zip(fn.params, atoms, strict=True):
        bind_sizes(p.type.dims, a.type.dims, table)
    dims = subst_dims(r.type.dims, table)
    known = {s for d in table.values() for s in symbols(size(d))}
    if not all(s in known for d in dims for s in symbols(size(d))):
        raise fail(UnsupportedError, "type", getattr(r, "pos", None), what=f"a result of shape {dims} whose size depends on data cannot be transformed here", instead="reduce it to a scalar first")
    return dims  # type: ignore[no-any-return]


def pullback(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any, has_aux: bool = False, tape_limit: int | None = None) -> Result:
    """(primals, cotangent) -> cotangents of all primals: the function that `vjp` returns."""
    from adc import transform

    (primals, bar_tree), kwargs = in_tree
    args = typed(primals, types)
    wrt, part = wanted(tuple(range(len(primals))), (primals, {}), types, "vjp", [])
    staged, captured = stage(fun, args, {})
    main, _ = split_aux(staged, has_aux, "vjp")
    fn = staged.function
    mine = [atoms[k] for k in leaves_of(primals)]
    order = leaves_of(main)
    inner = with_results(fn, lambda *r: tuple(r[k] for k in order))
    bars = fit(bar_tree, main, fn, atoms, (*mine, *captured), "the cotangent")
    floats = tuple(b for b, r in zip(bars, inner.results, strict=True) if r.type.is_float)
    return emit(transform.vjp(inner, wrt, False, tape_limit), (*mine, *captured, *floats)), renumber(part)


def fit(tree: Any, like: Any, fn: Function, atoms: tuple[Atom, ...], own: tuple[Atom, ...], what: str) -> tuple[Atom, ...]:
    """The leaves of `tree`, each with dtype and shape of the result of `fn` that stands there in `like`."""
    given, structure = flatten(tree)
    results, want = flatten(like)
    if structure != want:
        raise fail(UnsupportedError, "type", None, what=f"{what} has structure {structure}, expected {want}", instead="give it the structure of the value")
    return tuple(
        fit_one(atoms[g.index], fn.results[r.index], bound_dims(fn.results[r.index], fn, own), what)
        for g, r in zip(given, results, strict=True)
        if isinstance(r, Leaf) and isinstance(g, Leaf)
    )


def fit_one(a: Atom, like: Atom | Tensor, dims: tuple[Dim, ...], what: str) -> Atom:
    t = like if isinstance(like, Tensor) else like.type
    if not t.is_float:
        return a
    if a.type.rank != t.rank:
        raise fail(UnsupportedError, "type", None, what=f"{what} is {a.type}, expected {t}", instead="give it the shape of the value")
    return with_dims(convert_to(a, t.dtype), dims, f"{what} has another shape than the value")


# ---------------------------------------------------------------- forward


def jvp(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any, has_aux: bool = False) -> Result:
    """(primals, tangents) -> (out, tangent of out)"""
    from adc import transform

    (primals, tangents), _ = in_tree
    primals, tangents = tuple(primals), tuple(tangents)
    given, structure = flatten(tangents)
    want_leaves, want = flatten(primals)
    if structure != want:
        raise fail(UnsupportedError, "type", None, what=f"tangents have structure {structure}, primals {want}", instead="one tangent per primal")
    staged, captured = stage(fun, typed(primals, types), {})
    main, aux = split_aux(staged, has_aux, "jvp")
    fn = staged.function
    places = leaves_of(primals)
    mine = tuple(atoms[k] for k in places)
    active = tuple(types[k].is_float for k in places) + (False,) * len(captured)
    dots = []
    for x, t in zip(want_leaves, given, strict=True):
        if isinstance(x, Leaf) and types[x.index].is_float:
            if not isinstance(t, Leaf):
                raise fail(UnsupportedError, "type", None, what=f"a tangent is a {type(t).__name__}", instead="pass a float or an array")
            dots.append(fit_one(atoms[t.index], types[x.index], atoms[x.index].type.dims, "the tangent"))
    out = emit(transform.jvp(fn, active), (*mine, *captured, *dots))
    n = len(fn.results)
    values, moved = out[:n], iter(out[n:])
    tangent_of = {k: next(moved) for k, r in enumerate(fn.results) if r.type.is_float}
    order = leaves_of(main)
    results: list[Atom] = [values[k] for k in order]
    tree_out = renumber(main)
    results += [tangent_of.get(k, literal(0.0)) for k in order]
    tree_dot = renumber(main, len(order))
    if has_aux:
        start = len(results)
        results += [values[k] for k in leaves_of(aux)]
        return tuple(results), (tree_out, tree_dot, renumber(aux, start))
    return tuple(results), (tree_out, tree_dot)


def hvp(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any, argnums: Any, tape_limit: int | None = None) -> Result:
    """(*args, v) -> ∇²f(args) v: forward over reverse, never a matrix."""
    from adc import transform

    *args, v = in_tree[0]
    inner_tree = (tuple(args), in_tree[1])
    places = leaves_of(inner_tree)
    mine = tuple(atoms[k] for k in places)
    wrt, part = wanted(argnums, inner_tree, types, "hvp", [getattr(a, "hint", "") for a in atoms])
    params = tuple(Var(a.type, getattr(a, "hint", "x")) for a in mine)
    position = {k: j for j, k in enumerate(places)}
    local = relabel(inner_tree, position)
    with building(*params) as b:
        results, tree = grad(stage, local, tuple(types[k] for k in places), params, fun=fun, argnums=argnums, has_aux=False, value=False, tape_limit=tape_limit)
    from adc.api.pipeline import close

    fn, outer = close("hvp", params, b, results)
    given, structure = flatten(v)
    if structure != flatten(part)[1]:
        raise fail(UnsupportedError, "type", None, what="the vector of hvp has another structure than the argument", instead="give it the structure of the argument")
    dots = tuple(fit_one(atoms[g.index], types[k], atoms[k].type.dims, "the vector of hvp") for g, k in zip(given, wrt, strict=True))
    chosen = {position[k] for k in wrt}
    d = transform.jvp(fn, tuple(k in chosen for k in range(len(fn.params))))
    out = emit(d, (*mine, *outer, *dots))
    return out[len(results) :], tree


def relabel(tree: Any, position: dict[int, int]) -> Any:
    leaves, treedef = flatten(tree)
    return treedef.unflatten([Leaf(position[x.index]) if isinstance(x, Leaf) else x for x in leaves])


# ---------------------------------------------------------------- Jacobians


def one_hot(n: Dim, i: Atom, dims: tuple[Dim, ...], dtype: Any) -> Atom:
    """The i-th unit vector of length n, in the shape `dims`."""
    from adc.ops.index import setitem

    if not dims:
        return literal(1.0, dtype)
    return reshape(setitem(zeros((n,), dtype), (i,), literal(1.0, dtype)), dims)


def each_unit(dims: tuple[Dim, ...], dtype: Any, body: Callable[[Atom], tuple[Atom, ...]]) -> tuple[Atom, ...]:
    """`body(unit vector)` for every element of an array of shape `dims`: results with a leading axis per element."""
    from adc.ops.ranges import know

    if not dims:
        return body(literal(1.0, dtype))
    n = product(dims)

    def step(i: Var) -> tuple[tuple[Atom, ...], tuple[Atom, ...], tuple[Atom, ...]]:
        know(i, 0, n - 1)
        return (), (), body(one_hot(n, i, dims, dtype))

    return build_for(n, (), step)[2]


def jac(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any, argnums: Any, has_aux: bool, forward: bool, tape_limit: int | None = None) -> Result:
    """The Jacobian of every float result by every chosen leaf; tree of the result, then of the arguments."""
    from adc import transform

    what = "jacfwd" if forward else "jacrev"
    args, kwargs = typed(in_tree, types)
    wrt, part = wanted(argnums, in_tree, types, what, [getattr(a, "hint", "") for a in atoms])
    staged, captured = stage(fun, args, kwargs)
    main, aux = split_aux(staged, has_aux, what)
    fn, own = staged.function, (*atoms, *captured)
    order = leaves_of(main)
    for k in order:
        if not fn.results[k].type.is_float:
            raise fail(UnsupportedError, "type", fn.pos, what=f"{what} of a result of dtype {fn.results[k].type.dtype}", instead="return floats, or use has_aux=True")
    inner = with_results(fn, lambda *r: tuple(r[k] for k in order))
    out_dims = [bound_dims(r, inner, own) for r in inner.results]
    blocks: dict[tuple[int, int], Atom] = {}
    if forward:
        for j, k in enumerate(wrt):
            in_dims = atoms[k].type.dims
            d = transform.jvp(inner, tuple(p == k for p in range(len(fn.params))))
            columns = each_unit(in_dims, types[k].dtype, lambda e: emit(d, (*own, e))[len(order) :])
            for i, c in enumerate(columns):
                blocks[i, j] = reshape(last_axis(c) if in_dims else c, (*out_dims[i], *in_dims))
    else:
        for i, dims in enumerate(out_dims):
            one = with_results(inner, lambda *r: (r[i],))
            d = transform.vjp(one, wrt, False, tape_limit)
            rows = each_unit(dims, one.results[0].type.dtype, lambda e: emit(d, (*own, e)))
            for j, (k, row) in enumerate(zip(wrt, rows, strict=True)):
                blocks[i, j] = reshape(row, (*dims, *atoms[k].type.dims))
    results = [blocks[i, j] for i in range(len(order)) for j in range(len(wrt))]
    leaves, treedef = flatten(main)
    rows_tree = iter(range(len(order)))
    tree = treedef.unflatten([renumber(part, next(rows_tree) * len(wrt)) if isinstance(x, Leaf) else x for x in leaves])
    if has_aux:
        start = len(results)
        values = emit(fn, own)
        results += [values[k] for k in leaves_of(aux)]
        tree = (tree, renumber(aux, start))
    return tuple(results), tree


def last_axis(x: Atom) -> Atom:
    """The leading axis put last."""
    if x.type.rank < 2:
        return x
    make = lookup(np.moveaxis)
    assert make is not None
    return make(x, 0, -1)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- vmap, jit


def vmap(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any, in_axes: Any, out_axes: Any) -> Result:
    from adc import transform

    args, kwargs = in_tree
    axes_of: dict[int, int | None] = dict.fromkeys(leaves_of(in_tree))
    wide = in_axes if isinstance(in_axes, int) or in_axes is None else tuple(in_axes)
    if isinstance(wide, tuple) and len(wide) != len(args):
        raise fail(UnsupportedError, "type", None, what=f"vmap: in_axes has {len(wide)} entries for {len(args)} arguments", instead="give one entry per positional argument")
    for x, axis in zip(flatten(args)[0], broadcast_prefix(wide, args, "in_axes"), strict=True):
        if isinstance(x, Leaf):
            axes_of[x.index] = axis
        elif axis is not None and not isinstance(wide, int):
            raise fail(UnsupportedError, "type", None, what=f"vmap over a {type(x).__name__}", instead="give None in in_axes for what is not an array")
    for x in flatten(kwargs)[0]:  # as in JAX, keyword arguments are mapped over their first axis
        if isinstance(x, Leaf):
            axes_of[x.index] = 0
    slices: list[Tensor] = []
    mapped: list[int | None] = []
    count: Dim | None = None
    batch = list(atoms)
    for k, (t, a) in enumerate(zip(types, atoms, strict=True)):
        axis = axes_of.get(k)
        if axis is not None:
            if not a.type.rank:
                raise fail(UnsupportedError, "type", None, what=f"vmap over argument {getattr(a, 'hint', k) or k}, which is a scalar", instead="give None in in_axes for it")
            axis = axis + t.rank if axis < 0 else axis
            if not 0 <= axis < t.rank:
                raise fail(UnsupportedError, "type", None, what=f"vmap: axis {axes_of[k]} of an array of rank {t.rank}", instead="check in_axes")
            if count is None:
                count = a.type.dims[axis]
            want = (*a.type.dims[:axis], count, *a.type.dims[axis + 1 :])
            batch[k] = with_dims(a, want, "vmap got arguments with different sizes along the mapped axis")
            t = t.with_dims((*t.dims[:axis], *t.dims[axis + 1 :]))
        mapped.append(axis)
        slices.append(t)
    if count is None:
        raise fail(UnsupportedError, "type", None, what="vmap with nothing to map over", instead="at least one entry of in_axes must be an int")
    inner_args, inner_kwargs = typed(in_tree, tuple(slices))
    staged, captured = stage(fun, inner_args, inner_kwargs)
    fn = staged.function
    leaves, _ = flatten(staged.out_tree)
    outs: list[int | None] = [0] * len(fn.results)
    for x, axis in zip(leaves, broadcast_prefix(out_axes if not isinstance(out_axes, list) else tuple(out_axes), staged.out_tree, "out_axes"), strict=True):
        if isinstance(x, Leaf):
            rank = fn.results[x.index].type.rank + 1
            outs[x.index] = axis + rank if axis is not None and axis < 0 else axis
    d = transform.vmap(fn, (*mapped, *(None,) * len(captured)), tuple(outs), count)
    return emit(d, (*batch, *captured)), staged.out_tree


def jit(stage: Stage, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], *, fun: Any) -> Result:
    args, kwargs = typed(in_tree, types)
    staged, captured = stage(fun, args, kwargs)
    return emit(staged.function, (*atoms, *captured)), staged.out_tree


__all__ = ["emit", "grad", "hvp", "jac", "jit", "jvp", "planned", "pullback", "vmap"]
