"""A compiled program as native code: the address of its kernel, and what its arguments, sizes and results are.

In: a transformation (or a function), example arguments.  Out: a `Native`, and `Bound`: the words of memory that an
adapter reads (see `adapter`): the kernel's address, and the parameters and sizes that are fixed.

>>> native(adc.grad(loss), (w, X, y)).kernel.name                       # doctest: +SKIP
'loss_grad'
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import optree

from adc.api import trees
from adc.api.functions import Ruled, jit
from adc.api.transformed import Transformed
from adc.backend import entry, layout
from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir.dims import Sym, evaluate, size, symbols
from adc.ir.reach import Leaf
from adc.lower.kernel import Buffer, Kernel

CAPTURED = -1


@dataclass(frozen=True)
class Param:
    """A parameter of the kernel: the leaf of which argument it is (CAPTURED: read from outside), and its example."""

    name: str
    arg: int
    path: tuple[Any, ...]
    value: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Native:
    name: str
    kernel: Kernel
    plan: layout.Plan
    address: int
    params: tuple[Param, ...]
    names: tuple[str, ...]
    """One per positional argument."""
    statics: tuple[tuple[int, tuple[Any, ...], Any], ...]
    """(argument, path inside it, value) of every leaf that is no parameter: the program was compiled for this value."""
    out_tree: Any
    args: tuple[Any, ...]
    """The example arguments."""

    @cached_property
    def sizes(self) -> dict[Sym, int]:
        """The sizes of the example."""
        return {b.sym: self.params[b.param].value.shape[b.axis] for b in self.plan.sizes}

    def shape(self, buffer: Buffer) -> tuple[int, ...]:
        """The shape of a parameter or result for the sizes of the example."""
        return tuple(evaluate(size(d), self.sizes) for d in buffer.dims)

    def of_args(self, args: Iterable[int]) -> tuple[int, ...]:
        """The parameters that are leaves of these arguments."""
        wanted = set(args)
        return tuple(k for k, p in enumerate(self.params) if p.arg in wanted)

    def results(self) -> tuple[int, ...]:
        """The kernel's results in the order of the leaves of the function's result."""
        found = tuple(x.index for x in trees.flatten(self.out_tree)[0] if isinstance(x, Leaf))
        if sorted(found) != list(range(len(self.kernel.outs))):
            raise refused(f"{self.name} gives a result twice, or one that it does not return", "return every value once")
        return found


def refused(what: str, instead: str) -> Exception:
    return fail(UnsupportedError, "type", None, what=what, instead=instead)


def native(fn: Any, args: tuple[Any, ...]) -> Native:
    """The program of `fn` for these example arguments, compiled or from the cache."""
    if not isinstance(fn, Transformed) or isinstance(fn, Ruled):
        fn = jit(fn)
    if fn.target != "cpu":
        raise refused(f"{fn!r} is made for target {fn.target!r}", 'leave out target=, or write target="cpu": only compiled code has an address')
    if not args and takes(fn):
        raise refused(f"{fn!r} was given no example arguments", "add some behind the function: their dtypes, ranks and structure are what it is compiled for")
    program, run, arrays = fitting(fn, args)
    kernel, plan = run.kernel, run.plan
    if not plan.exact:
        raise refused(f"the size of a result of {fn.source_name} depends on data", "reduce the result, or give it a size that the arguments tell")
    leaves, _ = trees.flatten((args, {}))
    static = fn.static_of(args)
    places = [(k, path) for k, a in enumerate(args) for path in optree.tree_paths(a, namespace=trees.NAMESPACE)]
    params: list[Param] = []
    statics: list[tuple[int, tuple[Any, ...], Any]] = []
    for j, ((arg, path), x) in enumerate(zip(places, leaves, strict=True)):
        if trees.is_runtime(x) and j not in static:
            params.append(Param(kernel.params[len(params)].name, arg, path, arrays[len(params)]))
        else:
            statics.append((arg, path, x))
    params += [Param(b.name, CAPTURED, (), a) for b, a in zip(kernel.params[len(params) :], arrays[len(params) :], strict=True)]
    address = ctypes.cast(run.call, ctypes.c_void_p).value or 0
    return Native(fn.source_name, kernel, plan, address, tuple(params), names(fn, len(args)), tuple(statics), program.build.out_tree, args)


def fitting(fn: Transformed, args: tuple[Any, ...]) -> tuple[Any, entry.Careful, list[np.ndarray[Any, Any]]]:
    """(program, what calls it carefully, its parameters as arrays) for arguments of these very sizes."""
    for exact in (False, True):
        program, leaves = fn.program(args, {}, exact=exact)
        run = entry.careful_of(program.run)
        assert run is not None, "compiled"
        values = [*leaves, *(get() for get in program.captures)]
        arrays = [entry.convert(trees.native(v), p) for v, p in zip(values, run.kernel.params, strict=True)]
        if run.arithmetic[0]([a.shape for a in arrays]) is not None:
            return program, run, arrays
        misfit = run.misfit(arrays)
        if not isinstance(misfit, entry.SizeAssumption):
            raise misfit
    raise fail(ShapeError, "shape", None, what=f"{fn.source_name}: {misfit}")


def takes(fn: Transformed) -> list[str]:
    """The user's names of the positional arguments; none where they cannot be known."""
    try:
        return [p.name for p in inspect.signature(fn).parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        return []


def names(fn: Transformed, count: int) -> tuple[str, ...]:
    """A name for each of so many positional arguments."""
    found = takes(fn)
    return tuple(found[k] if k < len(found) else f"x{k}" for k in range(count))


# ---------------------------------------------------------------- parameters that are fixed


@dataclass(frozen=True)
class Words:
    """Where things stand in the memory that an adapter is handed: word 0 is the kernel's address, then capacities."""

    capacities: int
    params: dict[int, int]
    """Parameter -> its word: a pointer, or the bits of a number."""
    sizes: dict[Sym, int]
    extents: dict[tuple[int, int], int]
    """(parameter, axis) -> the word with its extent, where a size that comes with the call must be equal to it."""
    count: int


def words(kernel: Kernel, plan: layout.Plan, given: frozenset[int], free: bool) -> Words:
    """`given` parameters come with each call; with `free` so do their sizes."""
    at = 1 + len(kernel.capacities)
    params = {k: at + j for j, k in enumerate(k for k in range(len(kernel.params)) if k not in given)}
    at += len(params)
    asked = {b.sym for b in plan.sizes if free and b.param in given}
    fixed = [b.sym for b in plan.sizes if b.sym not in asked]
    sizes = {s: at + j for j, s in enumerate(fixed)}
    at += len(fixed)
    held = [(k, axis) for k, axis, dim in plan.fixed if k not in given and asked & set(symbols(size(dim)))]
    extents = {place: at + j for j, place in enumerate(held)}
    return Words(1, params, sizes, extents, at + len(extents))


class Bound:
    """A native program whose other parameters have values: copies, so that later changes of an array are not seen."""

    def __init__(self, native: Native, given: Iterable[int], free: bool):
        self.native, self.given, self.free = native, frozenset(given), free
        kernel, plan = native.kernel, native.plan
        where = words(kernel, plan, self.given, free)
        self.data = np.zeros(where.count, np.uint64)
        self.data[0] = native.address
        self.data[1 : 1 + len(kernel.capacities)] = layout.FIRST_CAPACITY
        self.kept: list[np.ndarray[Any, Any]] = []
        for k, at in where.params.items():
            if kernel.params[k].dims:
                self.kept.append(np.array(native.params[k].value, order="C"))
                self.data[at] = self.kept[-1].ctypes.data
            else:
                self.data[at] = np.frombuffer(native.params[k].value.tobytes().ljust(8, b"\0"), np.uint64)[0]
        for sym, at in where.sizes.items():
            self.data[at] = native.sizes[sym]
        for (k, axis), at in where.extents.items():
            self.data[at] = native.params[k].value.shape[axis]

    @property
    def address(self) -> int:
        """What an adapter takes as its `state`."""
        return int(self.data.ctypes.data)


__all__ = ["CAPTURED", "Bound", "Native", "Param", "Words", "native", "refused", "words"]
