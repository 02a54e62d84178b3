"""Transformations inside user code: `adc.grad(f)(x)` within a function that is being staged.

In: an object with `__adc_apply__(stage, in_tree, types, atoms) -> (atoms, out_tree)`, and argument values.
Out: the result value; what the transformation emits goes to the current builder.

`f` is staged as a closed function: values of the surrounding program that it reads become parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from optree.utils import total_order_sorted

from adc.errors import UnsupportedError, fail
from adc.frontend.base import Base
from adc.frontend.grown import is_grown
from adc.frontend.state import number_type
from adc.frontend.values import ArrayRef, Capture, Cell, DictBox, Ext, Leaf, ListBox, ObjBox, Seq, Staged, _serial
from adc.ir import Atom, Block, Copier, Function, Size, Tensor, Var, building, free_vars


def sorted_keys(d: dict[Any, Any]) -> list[Any]:
    """optree's order of a dict's leaves."""
    return total_order_sorted(d)


def to_tree(v: Any, leaf: Callable[[Any], Leaf], interp: Any) -> Any:
    """A value as a Python structure with `Leaf`s for its numbers and arrays."""
    if isinstance(v, ArrayRef) or number_type(v) is not None:
        return leaf(v)
    if is_grown(v):
        first = v.content.arrays[0]
        raise fail(
            UnsupportedError, "syntax", first.pos if isinstance(first, Var) else None,
            what=f"{v.name or 'a list'}, which grows in a loop, as a result or argument of a transformed function", instead="make an array of it: np.stack(...) or np.array(...)",
        )  # fmt: skip
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
    """Let the transformation write its program here; it asks for `fun` to be staged for the types it wants."""
    assert isinstance(interp, Base)
    atoms: list[Atom] = []

    def leaf(v: Any) -> Any:
        if isinstance(v, int | Size):  # known now (a number, or the size of an axis): it stays so inside
            return v
        a = interp.atom(v)
        atoms.append(a)
        return Leaf(len(atoms) - 1)

    in_tree = (tuple(to_tree(a, leaf, interp) for a in args), {k: to_tree(kwargs[k], leaf, interp) for k in sorted(kwargs)})
    types = tuple(a.type for a in atoms)
    emitted, tree = transformed.__adc_apply__(stager(interp), in_tree, types, tuple(atoms))
    return from_tree(tree, lambda k: interp.wrap(emitted[k]))


def stager(interp: Any) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], tuple[Staged, tuple[Atom, ...]]]:
    """Stage a function inside the program that is being written: (staged, what it reads from around)."""

    def stage(fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Staged, tuple[Atom, ...]]:
        params: list[Var] = []

        def parameter(v: Any, hint: str) -> Any:
            if isinstance(v, Tensor):
                p = Var(v, hint, interp.pos())
                params.append(p)
                return ArrayRef(Cell(p, hint), (), v) if v.dims else p
            if isinstance(v, list):
                return ListBox(tuple(parameter(x, hint) for x in v), hint)
            if isinstance(v, dict):
                made = {k: parameter(v[k], str(k) if str(k).isidentifier() else hint) for k in sorted_keys(v)}
                return DictBox({k: made[k] for k in v}, hint)
            if isinstance(v, tuple):
                items = [parameter(x, hint) for x in v]
                return type(v)(*items) if hasattr(v, "_fields") else tuple(items)
            if dataclasses.is_dataclass(v) and not isinstance(v, type) and type(v).__module__.split(".")[0] != "adc":
                return ObjBox(type(v), {f.name: parameter(getattr(v, f.name), f.name) for f in dataclasses.fields(v)}, hint)
            return v

        names = parameter_names(fun, len(args))
        values = [parameter(a, h) for a, h in zip(args, names, strict=True)]
        named = {k: parameter(kwargs[k], k) for k in sorted(kwargs)}
        places = {p: k for k, p in enumerate(params)}

        def place(v: Any) -> Any:
            content = v.cell.content if isinstance(v, ArrayRef) else v
            return Leaf(places[content]) if isinstance(content, Var) and content in places else v

        in_tree = (tuple(to_tree(v, place, interp) for v in values), {k: to_tree(v, place, interp) for k, v in named.items()})
        results: list[Atom] = []

        def result(v: Any) -> Leaf:
            results.append(interp.atom(v))
            return Leaf(len(results) - 1)

        mark = next(_serial)
        with interp.journal.trial() as changes, building(*params) as b:
            out_tree = to_tree(interp.call(fun, values, named), result, interp)
        if any(box.serial < mark for box in changes):
            raise interp.refuse("a transformed function that changes variables of the function around it", "return the value instead")
        body = Block((), tuple(b.stmts), tuple(results))
        mine = set(params)
        outer = tuple(v for v in free_vars(body) if v not in mine)
        copier = Copier()
        own = copier.defines((*params, *outer))
        name = getattr(fun, "__name__", getattr(fun, "name", "f"))
        fn = Function(name, own, copier.block(body), (), interp.pos())
        captures = tuple(Capture(v.hint or "value", lambda: None) for v in outer)
        return Staged(fn, out_tree, captures, tuple(interp.dependencies.values()), in_tree), outer

    return stage


def parameter_names(fun: Any, n: int) -> list[str]:
    """Hints for positional arguments."""
    node = getattr(fun, "node", None)
    if node is not None:
        names = [a.id for a in node.args.args if hasattr(a, "id")]
    else:
        fun = getattr(fun, "obj", fun)
        code = getattr(getattr(fun, "__func__", fun), "__code__", None)
        names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    return [names[k] if k < len(names) else f"x{k}" for k in range(n)]
