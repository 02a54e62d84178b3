"""Transformations inside user code: `adc.grad(f)(x)` within a function that is being staged.

In: an object with `.fun` and `__adc_apply__(staged, atoms) -> (atoms, out_tree)`, and argument values.
Out: the result value; what the transformation emits goes to the current builder.

`f` is staged as a closed function: values of the surrounding program that it reads become parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from adc.frontend.base import Base
from adc.frontend.state import number_type
from adc.frontend.values import ArrayRef, Capture, Cell, DictBox, Ext, Leaf, ListBox, ObjBox, Seq, Staged, _serial
from adc.ir import Atom, Block, Copier, Function, Lit, Size, Tensor, Var, building, free_vars


def map_leaves(v: Any, leaf: Callable[[Any], Any], interp: Any) -> Any:
    """A value with every run-time leaf replaced; containers become new boxes."""
    if isinstance(v, ArrayRef | Var | Lit | Size) or isinstance(v, float):
        return leaf(v)
    if isinstance(v, ListBox):
        return ListBox(tuple(map_leaves(x, leaf, interp) for x in v.content), v.name)
    if isinstance(v, DictBox):
        return DictBox({k: map_leaves(v.content[k], leaf, interp) for k in sorted_keys(v.content)}, v.name)
    if isinstance(v, ObjBox):
        return ObjBox(v.cls, {k: map_leaves(x, leaf, interp) for k, x in v.content.items()}, v.name)
    if isinstance(v, Seq):
        return tuple(map_leaves(x, leaf, interp) for x in interp.items(v))
    if isinstance(v, Ext) and isinstance(v.obj, dict):
        return DictBox({k: map_leaves(interp.child(v, k), leaf, interp) for k in sorted_keys(v.obj)}, v.path)
    if isinstance(v, Ext) and isinstance(v.obj, list | tuple) and not hasattr(v.obj, "_fields"):
        parts = tuple(map_leaves(x, leaf, interp) for x in interp.children(v))
        return parts if isinstance(v.obj, tuple) else ListBox(parts, v.path)
    if isinstance(v, tuple):
        items = [map_leaves(x, leaf, interp) for x in v]
        return type(v)(*items) if hasattr(v, "_fields") else tuple(items)
    return v


def sorted_keys(d: dict[Any, Any]) -> list[Any]:
    """optree's order of a dict's leaves."""
    try:
        return sorted(d)
    except TypeError:
        return list(d)


def to_tree(v: Any, leaf: Callable[[Any], Leaf], interp: Any) -> Any:
    """A value as a Python structure with `Leaf`s for its numbers and arrays."""
    if isinstance(v, ArrayRef) or number_type(v) is not None:
        return leaf(v)
    if isinstance(v, ListBox):
        return [to_tree(x, leaf, interp) for x in v.content]
    if isinstance(v, DictBox):
        return {k: to_tree(x, leaf, interp) for k, x in v.content.items()}
    if isinstance(v, ObjBox):
        made: Any = object.__new__(v.cls)
        for k, x in v.content.items():
            object.__setattr__(made, k, to_tree(x, leaf, interp))
        return made
    if isinstance(v, Seq):
        return [to_tree(x, leaf, interp) for x in interp.items(v)]
    if isinstance(v, tuple):
        items = [to_tree(x, leaf, interp) for x in v]
        return type(v)(*items) if hasattr(v, "_fields") else tuple(items)
    if isinstance(v, Ext):
        if isinstance(v.obj, list | tuple):
            parts = [to_tree(x, leaf, interp) for x in interp.children(v)]
            if isinstance(v.obj, list):
                return parts
            return type(v.obj)(*parts) if hasattr(v.obj, "_fields") else tuple(parts)
        if isinstance(v.obj, dict):
            return {k: to_tree(interp.child(v, k), leaf, interp) for k in v.obj}
        return v.obj
    return v


def from_tree(t: Any, value: Callable[[int], Any]) -> Any:
    """The value of a Python structure with `Leaf`s."""
    if isinstance(t, Leaf):
        return value(t.index)
    if isinstance(t, list):
        return ListBox(tuple(from_tree(x, value) for x in t))
    if isinstance(t, dict):
        return DictBox({k: from_tree(x, value) for k, x in t.items()})
    if isinstance(t, tuple):
        items = [from_tree(x, value) for x in t]
        return type(t)(*items) if hasattr(t, "_fields") else tuple(items)
    if dataclasses.is_dataclass(t) and not isinstance(t, type):
        return ObjBox(type(t), {f.name: from_tree(getattr(t, f.name), value) for f in dataclasses.fields(t)})
    return t


def call_transformed(interp: Any, transformed: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Stage `transformed.fun` for these arguments and let the transformation emit its program."""
    assert isinstance(interp, Base)
    atoms: list[Atom] = []
    params: list[Var] = []

    def leaf(v: Any) -> Any:
        a = interp.atom(v)
        atoms.append(a)
        hint = getattr(v, "hint", "") or (v.cell.name if isinstance(v, ArrayRef) else "") or "x"
        p = Var(Tensor(a.type.dtype, a.type.dims, a.type.weak), hint, interp.pos())
        params.append(p)
        return ArrayRef(Cell(p, hint), (), p.type) if p.type.dims else p

    inner_args = [map_leaves(a, leaf, interp) for a in args]
    inner_kwargs = {k: map_leaves(kwargs[k], leaf, interp) for k in sorted(kwargs)}
    places = {p: k for k, p in enumerate(params)}

    def place(v: Any) -> Leaf:
        content = v.cell.content if isinstance(v, ArrayRef) else v
        return Leaf(places[content]) if isinstance(content, Var) and content in places else v

    in_tree = (tuple(to_tree(a, place, interp) for a in inner_args), {k: to_tree(v, place, interp) for k, v in inner_kwargs.items()})
    results: list[Atom] = []

    def result(v: Any) -> Leaf:
        results.append(interp.atom(v))
        return Leaf(len(results) - 1)

    mark = next(_serial)
    with interp.journal.trial() as changes, building(*params) as b:
        out_tree = to_tree(interp.call(transformed.fun, inner_args, inner_kwargs), result, interp)
    if any(box.serial < mark for box in changes):
        raise interp.refuse("a transformed function that changes variables of the function around it", "return the value instead")
    body = Block((), tuple(b.stmts), tuple(results))
    mine = set(params)
    outer = [v for v in free_vars(body) if v not in mine]
    copier = Copier()
    own = copier.defines(tuple(params) + tuple(outer))
    name = getattr(transformed.fun, "__name__", getattr(transformed.fun, "name", "f"))
    fn = Function(name, own, copier.block(body), (), interp.pos())
    captures = tuple(Capture(v.hint or "value", lambda: None) for v in outer)
    staged = Staged(fn, out_tree, captures, tuple(interp.dependencies.values()), in_tree)
    emitted, tree = transformed.__adc_apply__(staged, (*atoms, *outer))
    return from_tree(tree, lambda k: interp.wrap(emitted[k]))
