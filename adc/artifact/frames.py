"""A kernel's frame and the structure of arguments as JSON: what a manifest holds so that a library can be called.

In: a `Kernel`, a structure of containers.  Out: plain dicts, lists, strings and numbers, and back: `kernel_json`,
`kernel_of`, `tree_json`, `tree_of`.  A size is its text in the names of the symbols, `"2*n + max(m, 3)"`; the kernel's source and
routines are left out.

>>> from adc.ir.dims import Sym, size
>>> n = Sym("n")
>>> dim_json(size(n) * 2 + 1, {n: "n"})
'2*n + 1'
>>> dim_of("2*n + 1", {"n": n}) == size(n) * 2 + 1
True
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optree.utils import total_order_sorted

from adc.errors import Pos, UnsupportedError, fail
from adc.ir.dims import COMBINE, Dim, Quotient, Sym, size, size_terms, symbols
from adc.ir.program import Guard, Tensor
from adc.ir.reach import Leaf
from adc.lower.kernel import Buffer, Check, Kernel

# ---------------------------------------------------------------- sizes


def dim_json(dim: Dim, names: Mapping[Sym, str]) -> int | str:
    """A number, or an expression that `dim_of` reads."""
    if isinstance(dim, int):
        return dim

    def atom(a: Sym | Quotient) -> str:
        if isinstance(a, Sym):
            return names[a]
        left, right = dim_json(a.left, names), dim_json(a.right, names)
        return f"{a.op}({left}, {right})" if a.op in ("max", "min") else f"(({left}) {a.op} ({right}))"

    parts = ["*".join([*([str(c)] if c != 1 or not m else []), *map(atom, m)]) for m, c in size_terms(dim)]
    return " + ".join(parts)


def dim_of(text: int | str, known: Mapping[str, Sym]) -> Dim:
    """The size that `dim_json` wrote; ValueError or KeyError for anything else."""
    if isinstance(text, int):
        return text

    def read(e: ast.expr) -> Dim:
        if isinstance(e, ast.Constant) and type(e.value) is int:
            return e.value
        if isinstance(e, ast.Name):
            return size(known[e.id])
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
            return read(e.operand) * -1
        if isinstance(e, ast.BinOp) and type(e.op) in _OPERATORS:
            return _OPERATORS[type(e.op)](read(e.left), read(e.right))
        if isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id in ("max", "min") and len(e.args) == 2:
            return COMBINE[e.func.id](read(e.args[0]), read(e.args[1]))
        raise ValueError(f"{text!r} is not a size")

    return read(ast.parse(text, mode="eval").body)


_OPERATORS: dict[type, Callable[[Dim, Dim], Dim]] = {
    ast.Add: lambda a, b: a + b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: COMBINE["//"],
    ast.Mod: COMBINE["%"],
}


def symbol_names(kernel: Kernel) -> dict[Sym, str]:
    """A name for every symbol in a kernel's frame: its hint, with a number where two have the same."""
    buffers = (*kernel.params, *kernel.outs, *kernel.scratch)
    dims = [d for b in buffers for d in b.dims]
    dims += [d for g in kernel.guards for d in (g.left, g.right)] + list(kernel.bounds.values())
    every = [*kernel.sizes, *kernel.capacities, *kernel.run_time, *kernel.bounds, *(s for d in dims for s in symbols(size(d)))]
    names: dict[Sym, str] = {}
    for s in every:
        if s not in names:
            names[s] = fresh("".join(c if c.isalnum() else "_" for c in s.hint) or "n", set(names.values()) | {"max", "min"})
    return names


def fresh(word: str, taken: set[str]) -> str:
    """`word`, or `word_2` and so on where it is taken or not a name."""
    word = word if word.isidentifier() else f"n_{word}"
    return next(w for k in range(len(taken) + 1) if (w := word if k == 0 else f"{word}_{k + 1}") not in taken)


# ---------------------------------------------------------------- kernels


def pos_json(pos: Pos | None) -> list[Any] | None:
    return None if pos is None else [pos.file, pos.line, pos.col, pos.end_col, pos.text, pos.function]


def pos_of(data: list[Any] | None) -> Pos | None:
    return None if data is None else Pos(*data)


def kernel_json(kernel: Kernel) -> dict[str, Any]:
    """What `entry.make` needs of a kernel."""
    names = symbol_names(kernel)

    def dim(d: Dim) -> int | str:
        return dim_json(d, names)

    def buffer(b: Buffer) -> list[Any]:
        return [b.name, b.dtype.str, [dim(d) for d in b.dims]]

    return {
        "name": kernel.name,
        "params": [buffer(b) for b in kernel.params],
        "sizes": [names[s] for s in kernel.sizes],
        "outs": [buffer(b) for b in kernel.outs],
        "scratch": [buffer(b) for b in kernel.scratch],
        "capacities": [names[s] for s in kernel.capacities],
        "run_time": [names[s] for s in kernel.run_time],
        "bounds": {names[s]: dim(d) for s, d in kernel.bounds.items()},
        "checks": [[c.code, c.message, pos_json(c.pos)] for c in kernel.checks],
        "guards": [[g.kind, dim(g.left), dim(g.right), g.message, pos_json(g.pos)] for g in kernel.guards],
    }


def kernel_of(data: Mapping[str, Any]) -> Kernel:
    """The frame again, with symbols of its own."""
    known: dict[str, Sym] = {}

    class Known(dict[str, Sym]):
        def __missing__(self, name: str) -> Sym:
            return known.setdefault(name, Sym(name))

    table = Known()

    def dim(d: Any) -> Dim:
        return dim_of(d, table)

    def buffer(b: list[Any]) -> Buffer:
        return Buffer(b[0], np.dtype(b[1]), tuple(map(dim, b[2])))

    def syms(names: list[str]) -> tuple[Sym, ...]:
        return tuple(table[name] for name in names)

    return Kernel(
        data["name"],
        tuple(map(buffer, data["params"])),
        syms(data["sizes"]),
        tuple(map(buffer, data["outs"])),
        tuple(map(buffer, data["scratch"])),
        "",
        syms(data["capacities"]),
        syms(data["run_time"]),
        {table[s]: dim(d) for s, d in data["bounds"].items()},
        tuple(Check(code, message, pos_of(pos)) for code, message, pos in data["checks"]),
        tuple(Guard(kind, dim(left), dim(right), message, pos_of(pos)) for kind, left, right, message, pos in data["guards"]),
    )


# ---------------------------------------------------------------- structures


def tree_json(tree: Any, what: str) -> Any:
    """Containers, `Leaf`s, types and static values as JSON; a `Tensor` is the next run-time leaf.

    Raises: `UnsupportedError` for what a manifest cannot say (a class inside a function, a custom pytree node).
    """
    count = iter(range(1 << 30))

    def visit(x: Any) -> Any:
        if isinstance(x, Leaf):
            return {"leaf": x.index}
        if isinstance(x, Tensor):
            return {"leaf": next(count)}
        if x is None or (isinstance(x, bool | int | float | str) and type(x) in (bool, int, float, str)):
            return {"static": x}
        kind = type(x)
        if kind in (tuple, list):
            return {kind.__name__: [visit(y) for y in x]}
        if kind in (dict, collections.OrderedDict):
            if not all(type(k) in (str, int) for k in x):
                raise _unsaid(what, f"a dict with keys {list(x)!r}", "use strings or integers as keys")
            # leaves of a plain dict come in the order of its sorted keys
            made = {k: visit(x[k]) for k in (x if kind is not dict else total_order_sorted(x))}
            return {"dict" if kind is dict else "ordered": [[k, made[k]] for k in x]}
        if isinstance(x, tuple) and hasattr(kind, "_fields"):
            return {"namedtuple": _class_name(kind, what), "items": [visit(y) for y in x]}
        if dataclasses.is_dataclass(x):
            return {"dataclass": _class_name(kind, what), "items": [[f.name, visit(getattr(x, f.name))] for f in dataclasses.fields(x)]}
        raise _unsaid(what, f"a {kind.__name__}", "use tuples, lists, dicts, named tuples or dataclasses")

    return visit(tree)


def _unsaid(what: str, found: str, instead: str) -> UnsupportedError:
    return fail(UnsupportedError, "type", None, what=f"{what} holds {found}, which a built library cannot record", instead=instead)  # type: ignore[return-value]


def _class_name(cls: type, what: str) -> str:
    if "<locals>" in cls.__qualname__:
        raise _unsaid(what, f"a {cls.__qualname__}", "define the class at the top of a module")
    return f"{cls.__module__}:{cls.__qualname__}"


class NotImported(Exception):
    """A class of the user's that this process has not imported; its name is the message."""


def tree_of(data: Any) -> Any:
    """The structure again, with `Leaf(k)` at the run-time leaves; NotImported where a class is not known here."""
    ((kind, value), *more) = data.items()
    if kind == "leaf":
        return Leaf(value)
    if kind == "static":
        return value
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(tree_of(x) for x in value)
    if kind in ("dict", "ordered"):
        return (dict if kind == "dict" else collections.OrderedDict)((k, tree_of(x)) for k, x in value)
    if kind == "namedtuple":
        return _class(value)(*(tree_of(x) for x in more[0][1]))
    if kind == "dataclass":
        made = object.__new__(_class(value))
        for name, x in more[0][1]:
            object.__setattr__(made, name, tree_of(x))
        return made
    raise ValueError(f"{kind!r} is no structure")


def _class(name: str) -> Any:
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    try:
        for part in qualname.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise NotImported(name) from None
    return found


def has_classes(data: Any) -> bool:
    """Does a structure name classes of the user's?"""
    if isinstance(data, dict):
        return any(k in ("namedtuple", "dataclass") for k in data) or any(map(has_classes, data.values()))
    return isinstance(data, list) and any(map(has_classes, data))


__all__ = ["NotImported", "dim_json", "dim_of", "fresh", "has_classes", "kernel_json", "kernel_of", "tree_json", "tree_of"]
