"""The quick way of a call: containers are taken apart and put together by functions written for one structure.

In: a structure of arguments and the types of its leaves; the structure of a result.  Out: `reader(...)`: (args, kwargs)
-> the run-time leaves, or None where anything is not exactly as it was; `rebuilder(...)`: the results of a program -> what the user sees.

>>> import numpy as np
>>> from adc.api import trees
>>> leaves, treedef = trees.flatten((({"w": np.ones(2), "b": 1.0}, "sum"), {}))
>>> read = reader(leaves, treedef, frozenset({2}))
>>> read(({"w": np.zeros(2), "b": 3.0}, "sum"), {})       # keys in sorted order, as optree has them
(3.0, array([0., 0.]))
>>> read(({"b": 3.0, "w": np.zeros(2)}, "sum"), {})       # another order of keys may mean another program
>>> read(({"w": np.zeros(2), "b": 3.0}, "mean"), {})
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from adc.api import trees
from adc.ir.reach import Leaf

QUICK = {np.ndarray, float, int, bool, np.float64, np.float32, np.int64, np.int32, np.bool_}
"""Types whose objects go to a compiled entry as they are: it checks the rest."""
BY_VALUE = {str, bytes, int, bool}
"""Static leaves of these types are compared by value, others are the same object or not."""
DICTS = {dict, OrderedDict}

Read = Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, ...] | None]


class Unusual(Exception):
    """A container that only optree knows."""


def fields(x: Any) -> tuple[str, ...] | None:
    """The attributes that are children: those of a registered dataclass."""
    return trees.dataclass_fields(type(x)) if trees.is_registered(type(x)) else None


class _Reader:
    """Writes the function of `reader`."""

    def __init__(self, leaves: list[Any], static: frozenset[int]):
        self.leaves, self.static = leaves, static
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.found: dict[int, str] = {}
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        return f"x{self.count}"

    def constant(self, value: Any) -> str:
        name = f"K{len(self.names)}"
        self.names[name] = value
        return name

    def unless(self, condition: str) -> None:
        self.lines.append(f"    if {condition}: return None")

    def children(self, name: str, among: list[Any], items: str) -> None:
        inner = [self.fresh() for _ in among]
        if inner:
            self.lines.append(f"    {''.join(f'{i}, ' for i in inner)}= {items.format(name)}")
        for i, x in zip(inner, among, strict=True):
            self.node(i, x)

    def node(self, name: str, x: Any) -> None:
        """`x`: the container, with numbers for its leaves."""
        kind = type(x)
        if kind is int:
            self.leaf(name, x)
        elif x is None:
            self.unless(f"{name} is not None")
        elif kind in DICTS:
            self.unless(f"type({name}) is not {self.constant(kind)} or list({name}) != {self.constant(list(x))}")
            self.children(name, list(x.values()), "{}.values()")
        elif kind in (list, tuple) or (isinstance(x, tuple) and hasattr(kind, "_fields")):
            self.unless(f"type({name}) is not {self.constant(kind)} or len({name}) != {len(x)}")
            self.children(name, list(x), "{}")
        elif (attributes := fields(x)) is not None:
            self.unless(f"type({name}) is not {self.constant(kind)}")
            self.children(name, [getattr(x, a) for a in attributes], "".join(f"{{0}}.{a}, " for a in attributes))
        else:
            raise Unusual

    def leaf(self, name: str, k: int) -> None:
        value = self.leaves[k]
        kind = type(value)
        if k not in self.static:
            if kind not in QUICK:
                raise Unusual
            self.unless(f"type({name}) is not {self.constant(kind)}")
            self.found[k] = name
        elif kind in BY_VALUE:
            self.unless(f"type({name}) is not {self.constant(kind)} or {name} != {self.constant(value)}")
        else:
            self.unless(f"{name} is not {self.constant(value)}")


def reader(leaves: list[Any], treedef: Any, static: frozenset[int], loose: bool = False) -> Read | None:
    """The function for calls like this one; None where only the careful way will do.

    `leaves`, `treedef`: of the pair (args, kwargs); `static`: the leaves that belong to the signature; `loose`: the order of
    kwargs belongs to it too.
    """
    args, kwargs = treedef.unflatten(range(len(leaves)))
    w = _Reader(leaves, static)
    try:
        w.unless(f"len(args) != {len(args)}")
        w.children("args", list(args), "{}")
        if kwargs and loose:
            w.node("kwargs", kwargs)
        elif kwargs:
            w.unless(f"len(kwargs) != {len(kwargs)} or not ({' and '.join(f'{name!r} in kwargs' for name in kwargs)})")
            w.children("kwargs", list(kwargs.values()), "".join(f"{{0}}[{name!r}], " for name in kwargs))
        else:
            w.unless("kwargs")
    except Unusual:
        return None
    leaves_text = "".join(f"{w.found[k]}, " for k in sorted(w.found))
    read = _made("def read(args, kwargs):", [*w.lines, f"    return ({leaves_text})"], w.names, "read")
    read.text = w.lines, leaves_text, w.names
    return read  # type: ignore[no-any-return]


MISS: Any = object()
"""What a whole door gives for arguments that are not its own."""


def whole(read: Read, run: Callable[..., Any], tree: Any, same: Sequence[tuple[Callable[[], Any], Any]]) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """A call in one function: (args, kwargs) -> the result, or `MISS`.

    `run`: the compiled entry; `tree`: the structure of its results; `same`: pairs of a getter and the object that it must give.
    """
    lines, leaves_text, names = read.text  # type: ignore[attr-defined]
    lines, names = [line.replace(": return None", ": return MISS") for line in lines], {**names, "MISS": MISS, "run": run}
    for k, (get, obj) in enumerate(same):
        names[f"O{k}"] = obj
        form = getattr(get, "form", None)
        if isinstance(get, functools.partial) and get.func is getattr and len(get.args) == 2:
            form = get.args[0], f".{get.args[1]}"
        names[f"G{k}"], behind = form or (get, "()")
        lines.append(f"    if G{k}{behind} is not O{k}: return MISS")
    if isinstance(tree, Leaf):
        lines.append(f"    return run({leaves_text})[{tree.index}]")
    else:
        names["rebuild"] = rebuilder(tree)
        lines.append(f"    return rebuild(run({leaves_text}))")
    return _made("def call(args, kwargs):", lines, names, "call")  # type: ignore[no-any-return]


def _made(head: str, lines: list[str], names: dict[str, Any], name: str) -> Any:
    scope = dict(names)
    exec("\n".join([head, *lines]), scope)
    return scope[name]


# ---------------------------------------------------------------- results


def rebuilder(tree: Any) -> Callable[[tuple[Any, ...]], Any]:
    """From the results of a program to the structure that the user sees."""
    if isinstance(tree, Leaf):
        k = tree.index
        return lambda out: out[k]
    if type(tree) is tuple and all(isinstance(x, Leaf) for x in tree) and [x.index for x in tree] == list(range(len(tree))):
        return lambda out: out if len(out) == len(tree) else out[: len(tree)]
    names: dict[str, Any] = {"make": _instance}
    try:
        text = _display(tree, names)
    except Unusual:
        leaves, treedef = trees.flatten(tree)
        places = [x.index if isinstance(x, Leaf) else None for x in leaves]
        return lambda out: treedef.unflatten([x if k is None else out[k] for k, x in zip(places, leaves, strict=True)])
    return _made("def build(out):", [f"    return {text}"], names, "build")  # type: ignore[no-any-return]


def _display(x: Any, names: dict[str, Any]) -> str:
    """An expression in `out` that makes the result."""

    def constant(value: Any) -> str:
        name = f"K{len(names)}"
        names[name] = value
        return name

    def several(among: Any) -> str:
        return "".join(f"{_display(y, names)}, " for y in among)

    kind = type(x)
    if isinstance(x, Leaf):
        return f"out[{x.index}]"
    if x is None:
        return "None"
    if kind is list:
        return f"[{several(x)}]"
    if kind is tuple:
        return f"({several(x)})"
    if kind in DICTS:
        inner = "{" + "".join(f"{constant(key)}: {_display(y, names)}, " for key, y in x.items()) + "}"
        return inner if kind is dict else f"{constant(kind)}({inner})"
    if isinstance(x, tuple) and hasattr(kind, "_fields"):
        return f"{constant(kind)}({several(x)})"
    if (attributes := fields(x)) is not None:
        return f"make({constant(kind)}, {constant(attributes)}, ({several(getattr(x, a) for a in attributes)}))"
    if len(leaves := trees.flatten(x)[0]) != 1 or leaves[0] is not x:
        raise Unusual
    return constant(x)


def _instance(kind: type, attributes: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    obj: Any = object.__new__(kind)  # as `trees.register_dataclass` does
    for name, value in zip(attributes, values, strict=True):
        object.__setattr__(obj, name, value)
    return obj


__all__ = ["MISS", "QUICK", "Read", "reader", "rebuilder", "whole"]
