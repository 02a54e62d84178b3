"""`f(*args, out=…)`: results in arrays of the caller's.

In: a program, the leaves of a call, and `out`: the structure of the result with an array where a result is to be written
and None where a fresh one will do.  Out: the result, made of those arrays.

Nothing is written where `out` does not fit; an array that shares memory with an argument is written when all is computed.

>>> import numpy as np, adc
>>> g = np.empty(2)
>>> adc.grad(lambda x: np.sum(x ** 3))(np.array([1.0, 2.0]), out=g) is g
True
>>> g
array([ 3., 12.])
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from adc.api import trees
from adc.backend.entry import careful_of
from adc.errors import ShapeError, fail
from adc.ir.reach import Leaf

DIRECT = 1 << 18
"""From so many bytes on the kernel writes into the arrays itself; a copy of fewer takes less than the careful call."""
FRESH = "give an array as np.empty(shape, dtype) makes it, or None for a fresh one"


class Place(NamedTuple):
    """An array that the k-th result of a program goes to."""

    path: str
    result: int
    array: np.ndarray[Any, Any]


def refuse(what: str, instead: str = FRESH) -> Exception:
    return fail(ShapeError, "type", None, what=what, instead=instead)


# ---------------------------------------------------------------- which array for which result


def places(tree: Any, out: Any, path: str = "out") -> Iterator[Place]:
    """The arrays in `out`, which must have the structure of the result (or None for any part of it)."""
    if out is None:
        return
    if isinstance(tree, Leaf):
        if not isinstance(out, np.ndarray):
            raise refuse(f"{path} is a {type(out).__name__}, and a result can be written into an array only")
        yield Place(path, tree.index, out)
        return
    if isinstance(tree, dict):
        if not isinstance(out, dict) or set(out) != set(tree):
            said = f"has the keys {list(out)}" if isinstance(out, dict) else f"is a {type(out).__name__}"
            raise refuse(f"{path} {said}, and the result there is a dict with the keys {list(tree)}", "give it the structure of the result")
        for k, x in tree.items():
            yield from places(x, out[k], f"{path}[{k!r}]")
        return
    children = parts(tree)
    if children is None:
        raise refuse(f"{path}: the result there is {tree!r}, which is not computed", "give None there")
    if type(out) is not type(tree) or len(mine := parts(out) or []) != len(children):
        size = f" of {len(out)}" if isinstance(out, tuple | list) else ""
        raise refuse(f"{path} is a {type(out).__name__}{size}, and the result there is a {type(tree).__name__} of {len(children)}", "give it the structure of the result")
    for (word, x), (_, y) in zip(children, mine, strict=True):
        yield from places(x, y, path + word)


def parts(x: Any) -> list[tuple[str, Any]] | None:
    """(how it is written, child) of a container."""
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return [(f".{name}", y) for name, y in zip(x._fields, x, strict=True)]
    if isinstance(x, tuple | list):
        return [(f"[{k}]", y) for k, y in enumerate(x)]
    if trees.is_registered(type(x)):
        return [(f".{name}", getattr(x, name)) for name in trees.dataclass_fields(type(x))]
    return None


# ---------------------------------------------------------------- what is wrong with it


def usable(found: Sequence[Place]) -> None:
    """Raise where an array cannot be written, or two of them are one."""
    for p in found:
        flags = p.array.flags
        if flags.carray and p.array.dtype.isnative:
            continue
        if not flags.writeable:
            raise refuse(f"{p.path} is read-only")
        raise refuse(f"{p.path} is not a C-contiguous, aligned array of native numbers")
    if len(found) > 1:
        at = [(p.array.__array_interface__["data"][0], p) for p in found if p.array.size]
        at.sort(key=lambda x: x[0])
        for (start, p), (then, q) in itertools.pairwise(at):
            if start + p.array.nbytes > then:
                raise refuse(f"{p.path} and {q.path} share memory", "give arrays of their own")


def check(p: Place, dtype: Any, shape: tuple[int, ...]) -> None:
    if p.array.dtype != dtype:
        raise refuse(f"{p.path} has dtype {p.array.dtype}, and the result {dtype}")
    if p.array.shape != shape:
        raise refuse(f"{p.path} has shape {p.array.shape}, and the result {shape}")


# ---------------------------------------------------------------- the call


def call(run: Callable[..., tuple[Any, ...]], values: Sequence[Any], tree: Any, out: Any) -> tuple[Any, ...]:
    """The results of a program, those that `out` has an array for in that array."""
    alone = type(tree) is Leaf and type(out) is np.ndarray
    found = [Place("out", tree.index, out)] if alone else list(places(tree, out))
    usable(found)
    careful = careful_of(run) if sum([p.array.nbytes for p in found]) >= DIRECT else None
    if careful is not None and not shared(found, values):
        by_result = {p.result: p for p in reversed(found)}
        results = careful.into(values, lambda k, dtype, shape: target(by_result.get(k), dtype, shape))
    else:
        results = run(*values)
    for p in found:
        check(p, results[p.result].dtype, results[p.result].shape)
    made = list(results)
    for p in reversed(found):  # a result that stands in two places is the first one's array
        if results[p.result] is not p.array:
            np.copyto(p.array, results[p.result])
        made[p.result] = p.array
    return tuple(made)


def target(p: Place | None, dtype: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any] | None:
    if p is not None:
        check(p, dtype, shape)
    return p.array if p is not None else None


def shared(found: Sequence[Place], values: Sequence[Any]) -> bool:
    """May a result be written over something that is read?"""
    return any(np.may_share_memory(p.array, v) for p in found for v in values if isinstance(v, np.ndarray))


__all__ = ["DIRECT", "call"]
