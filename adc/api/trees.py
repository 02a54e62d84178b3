"""Pytrees at the door: containers of arrays and numbers to flat leaves and back.

In: the arguments of a call.  Out: leaves, a tree of types for the front end, keys for the cache of programs.
Dataclasses are registered with optree when they are first met; what is neither a container nor
numeric is static: it is part of the signature, compared by value where it is hashable, else by identity.

>>> leaves, tree = flatten(({"w": 1.0, "b": 2.0}, 3))
>>> leaves
[2.0, 1.0, 3]
>>> [str(leaf_type(x, "x")) for x in leaves]
['f8*', 'f8*', 'i8*']
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import optree

from adc.errors import UnsupportedError, fail
from adc.ir.dims import Dim, Sym, size
from adc.ir.plain import plain_like
from adc.ir.program import Tensor

TARGETS = ("cpu", "numpy")
NAMESPACE = "adc"
_registered: set[type] = set()

F8 = np.dtype("f8")
I8 = np.dtype("i8")
B1 = np.dtype("?")
DTYPES = (F8, np.dtype("f4"), I8, np.dtype("i4"), B1)


def register_dataclass(cls: type) -> None:
    """Make a dataclass a container: its fields are its children."""
    if cls in _registered:
        return
    names = dataclass_fields(cls)

    def unflatten(_: Any, children: Iterable[Any]) -> Any:
        # not through __init__: it may compute, and fields may have init=False
        obj: Any = object.__new__(cls)
        for name, child in zip(names, children, strict=True):
            object.__setattr__(obj, name, child)
        return obj

    optree.register_pytree_node(
        cls, lambda obj: (tuple(getattr(obj, n) for n in names), None, names), unflatten, namespace=NAMESPACE
    )
    _registered.add(cls)


def is_registered(cls: type) -> bool:
    return cls in _registered


def dataclass_fields(cls: type) -> tuple[str, ...]:
    """The children of a registered dataclass."""
    return tuple(f.name for f in dataclasses.fields(cls))


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Any]:
    """Leaves and structure; dict keys in sorted order; None has no leaves."""
    while True:
        leaves, treedef = optree.tree_flatten(tree, is_leaf, namespace=NAMESPACE)
        new = [
            type(x) for x in leaves
            if dataclasses.is_dataclass(x) and not isinstance(x, type) and type(x) not in _registered and not _opaque(x)
        ]  # fmt: skip
        if not new:
            return leaves, treedef
        for cls in new:
            register_dataclass(cls)


def orders(tree: Any) -> tuple[tuple[Any, ...], ...]:
    """The keys of every dict in their order, which structures leave out and a program may depend on.

    >>> orders(({"b": 1, "a": [{"y": 2, "x": 3}]}, {"k": 4}))
    (('b', 'a'), ('y', 'x'))
    """
    found: list[tuple[Any, ...]] = []

    def look(x: Any) -> None:
        children: Iterable[Any]
        if isinstance(x, np.ndarray | np.generic | float | int | str) or x is None:
            return
        if isinstance(x, dict):
            children = x.values()
            if len(x) > 1:
                found.append(tuple(x))
        elif isinstance(x, tuple | list | collections.deque):
            children = x
        elif type(x) in _registered:
            children = [getattr(x, name) for name in dataclass_fields(type(x))]
        elif (known := optree.register_pytree_node.get(type(x), namespace=NAMESPACE)) is not None:  # type: ignore[attr-defined]
            children = known.flatten_func(x)[0]
        else:
            return
        for y in children:
            look(y)

    look(tree)
    return tuple(found)


def _opaque(x: Any) -> bool:
    """adc's own dataclasses that stand for one value (types, places of results), never containers."""
    return type(x).__module__.split(".")[0] == "adc"


def tree_map(fn: Callable[..., Any], tree: Any) -> Any:
    leaves, treedef = flatten(tree)
    return treedef.unflatten([fn(x) for x in leaves])


def paths(tree: Any, names: tuple[str, ...] = ()) -> list[str]:
    """A readable name for every leaf of a tuple of arguments: `params['w'][0]`."""
    found: list[str] = []
    for path in optree.tree_paths(tree, namespace=NAMESPACE):
        head = names[path[0]] if path and isinstance(path[0], int) and path[0] < len(names) else f"{path[0]}" if path else "value"
        found.append(head + "".join(f"[{p!r}]" for p in path[1:]))
    return found


def broadcast_prefix(prefix: Any, tree: Any, what: str) -> list[Any]:
    """One value per leaf of `tree` from a tree prefix such as `in_axes=(0, None)`."""
    none_free = optree.tree_map(lambda x: x, prefix, none_is_leaf=True, namespace=NAMESPACE)
    try:
        return list(
            optree.tree_flatten(
                optree.tree_broadcast_prefix(none_free, tree, none_is_leaf=True, namespace=NAMESPACE),
                lambda x: x is None, none_is_leaf=True, namespace=NAMESPACE,
            )[0]
        )  # fmt: skip
    except ValueError as e:
        raise fail(UnsupportedError, "type", None, what=f"{what}={prefix!r} does not fit the arguments: {e}", instead="give one int or None, or a tuple with one entry per argument") from None


# ---------------------------------------------------------------- leaves


def is_runtime(x: Any) -> bool:
    """Is a leaf a run-time value (a number or an array)?"""
    return isinstance(x, np.ndarray | np.generic | float | int | complex) and not isinstance(x, np.void | np.str_ | np.bytes_)


def leaf_type(x: Any, name: str, exact: bool = False) -> Tensor:
    """The type of a run-time leaf: a fresh symbol per axis of extent >= 2 (the number itself with `exact`)."""
    kind = type(x)
    if kind is float:
        return Tensor(F8, (), True)
    if kind is bool:
        return Tensor(B1)
    if kind is int:
        if not -(2**63) <= x < 2**63:
            raise fail(UnsupportedError, "argument", None, name=name, what="integer beyond 64 bits", instead="pass a float, or an int of 64 bits")
        return Tensor(I8, (), True)
    if isinstance(x, float | int) and not isinstance(x, np.generic):  # subclasses: enums, user's floats
        return leaf_type(float(x) if isinstance(x, float) else int(x), name)
    if isinstance(x, complex | np.complexfloating) or getattr(x, "dtype", F8).kind == "c":
        raise fail(UnsupportedError, "complex", None)
    dtype = x.dtype.newbyteorder("=")
    if dtype not in DTYPES:
        raise fail(UnsupportedError, "dtype", None, dtype=f"{x.dtype} of argument {name}")
    dims: tuple[Dim, ...] = tuple(
        n if n < 2 or exact else size(Sym(f"{_word(name)}_n{k if x.ndim > 1 else ''}")) for k, n in enumerate(x.shape)
    )
    return Tensor(dtype, dims)


def _word(name: str) -> str:
    words = "".join(c if c.isalnum() or c == "_" else " " for c in name).split()
    return next((w for w in reversed(words) if w.isidentifier()), "x")


def signature_key(x: Any) -> Any:
    """What decides which program fits a leaf: dtype, rank, and which axes have extent 0 or 1.

    Raises `UnsupportedError` for arrays and numbers with operators of their own.
    """
    if is_runtime(x):
        plain_like(x, "an argument")
    if isinstance(x, np.ndarray):
        return (x.dtype.newbyteorder("="), tuple(n if n < 2 else -1 for n in x.shape))
    if isinstance(x, np.generic):
        return (x.dtype.newbyteorder("="), ())
    if is_runtime(x):
        return float if isinstance(x, float) else bool if isinstance(x, bool) else int
    return static_key(x)


class _Same:
    """A static object compared by identity, kept alive while it is part of a key."""

    __slots__ = ("obj",)

    def __init__(self, obj: Any):
        self.obj = obj

    def __hash__(self) -> int:
        return id(self.obj)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.obj is other.obj


def static_key(x: Any) -> Any:
    if isinstance(x, str | bytes | type | frozenset | range | np.dtype) or x is None or x is Ellipsis:
        return (type(x), x)
    return _Same(x)


def native(x: Any) -> Any:
    """A leaf as compiled code takes it: C order, native bytes, aligned, a plain ndarray or number."""
    if isinstance(x, np.ndarray):
        return np.require(np.asarray(x), x.dtype.newbyteorder("="), ["C_CONTIGUOUS", "ALIGNED", "ENSUREARRAY"])
    if isinstance(x, np.generic):
        return x
    if isinstance(x, bool):
        return bool(x)
    return float(x) if isinstance(x, float) else int(x)


def is_native(x: Any) -> bool:
    """Can a leaf be handed over as it is?"""
    if type(x) is np.ndarray:
        return bool(x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative)
    return isinstance(x, np.generic) or type(x) in (float, int, bool)
