"""The programs of a function that were compiled: a table of them, and how one is called.

In: a finished build.  Out: `Program`: whether it still holds, its quick and its careful call; `Table`: the programs of one transformation
by signature, the last of them at the door.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from adc.api import trees
from adc.api.doors import MISS, Read, rebuilder
from adc.api.doors import whole as whole_door
from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir.dims import Size, Sym, evaluate, size, symbols
from adc.ir.program import Function

if TYPE_CHECKING:
    from adc.api.pipeline import Build


def closed(args: Any, kwargs: Any) -> Any:
    """The door of a table that has none."""
    return MISS


class Table:
    """The programs of one transformation of one function."""

    def __init__(self) -> None:
        self.static: dict[Any, frozenset[int]] = {}
        self.programs: dict[Any, Program] = {}
        self.exact: set[Any] = set()
        self.recent: tuple[Program, ...] = ()
        """Those that took the careful way last, the latest first: the quick way asks no others."""
        self.last: Program | None = None
        self.door: Any = closed
        """The whole door of `last`."""

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


class Program:
    """One signature, compiled."""

    def __init__(self, build: Any, read: Read | None):
        assert build.run is not None, "not compiled"
        self.build = build
        self.run = build.run
        self.captures = tuple(c.get for c, _ in build.captures)
        self.capture_keys = tuple(trees.signature_key(get()) for get in self.captures)
        # most objects that a program was made from are seen at a glance to be the same; the rest is looked at in full
        self.glances, self.looks = split_dependencies(build)
        self.rebuild = rebuilder(build.out_tree)
        self.read = read
        """The quick way: the run-time leaves of arguments that are like those the program was made for, or None."""
        self.changes = build.changes
        self.whole = None if read is None or self.captures or self.looks or self.changes else whole_door(read, self.run, build.out_tree, self.glances)
        """The same in one function, with the call: what most calls go through."""
        self.checked: set[Any] = set()

    def holds(self) -> bool:
        for get, obj in self.glances:
            if get() is not obj:
                return all(d.holds() for d in self.build.dependencies.values())
        return not self.looks or all(same() for same in self.looks)

    def captured_alike(self) -> bool:
        return all(trees.signature_key(get()) == k for get, k in zip(self.captures, self.capture_keys, strict=True))

    def quickly(self, leaves: tuple[Any, ...], out: Any = None) -> Any:
        """The result for leaves that `read` gave."""
        if self.captures:
            leaves = (*leaves, *[get() for get in self.captures])
        if self.changes:
            self.apart(leaves)
        return self.rebuild(self.run(*leaves) if out is None else self.into(leaves, out))

    def apart(self, values: Sequence[Any]) -> None:
        """Where a function stores into an array, no other may lie in the same memory: for adc they are two arrays.  Raises `UnsupportedError`."""
        for k in self.changes:
            for j, other in enumerate(values):
                if j != k and isinstance(other, np.ndarray) and np.may_share_memory(values[k], other) and overlap(values[k], other):
                    what = f"the function stores into argument {k}, which shares memory with argument {j}"
                    raise fail(UnsupportedError, "type", None, what=what, instead="pass a copy of one of them: x.copy()")

    def into(self, values: Sequence[Any], out: Any) -> tuple[Any, ...]:
        from adc.api import into

        return into.call(self.run, values, self.build.out_tree, out)

    def call(self, leaves: list[Any], out: Any = None) -> Any:
        """The result for run-time leaves, careful about layouts."""
        values = [*leaves, *(get() for get in self.captures)]
        if self.changes:
            self.apart(values)
        values = [v if trees.is_native(v) else trees.native(v) for v in values]
        if self.build.target == "numpy":
            self.look(values)
        return self.rebuild(self.run(*values) if out is None else self.into(values, out))

    def look(self, values: list[Any]) -> None:
        """What compiled entries check by themselves: dtypes, ranks, sizes, guards."""
        key = tuple((v.dtype, v.shape) if isinstance(v, np.ndarray) else type(v) for v in values)
        if key not in self.checked:
            fits(self.build.program, values)
            self.checked.add(key)


def overlap(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Is there an element of both? Where that takes long to find out, there may be."""
    try:
        return np.shares_memory(a, b, max_work=100_000)  # type: ignore[arg-type]  # its stub knows the two special values only
    except np.exceptions.TooHardError:
        return True


def split_dependencies(build: Build) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """(pairs of a getter and the object it gave, checks of what may change inside)"""
    glances: list[Any] = []
    looks: list[Any] = []
    for d in build.dependencies.values():
        if d.get is None or isinstance(d.obj, list | dict):
            looks.append(d.holds)
            continue
        if not (isinstance(d.obj, types.FunctionType) and d.constant):
            glances.append((d.get, d.obj))
        if isinstance(d.obj, types.FunctionType):
            glances.append((functools.partial(getattr, d.obj, "__code__"), d.code))
    return tuple(glances), tuple(looks)


def fits(fn: Function, values: list[Any]) -> None:
    """Raise what the user must see where the values do not fit the program's types and guards."""
    from adc.backend.entry import SizeAssumption

    known: dict[Sym, int] = {}
    later: list[tuple[Any, int, Any, int]] = []
    for p, v in zip(fn.params, values, strict=True):
        shape = np.shape(v)
        if len(shape) != p.type.rank or np.asarray(v).dtype != p.type.dtype:
            raise TypeError(f"argument {p.hint} is {np.asarray(v).dtype}{list(shape)}, compiled for {p.type}")
        for axis, (have, d) in enumerate(zip(shape, p.type.dims, strict=True)):
            if isinstance(d, Size) and d.is_symbol and d.terms[0][0][0] not in known:
                known[d.terms[0][0][0]] = have  # type: ignore[index]
                if have < 2:
                    raise SizeAssumption(f"argument {p.hint} has size {have} along axis {axis}")
            else:
                later.append((p, axis, d, have))
    for p, axis, d, have in later:
        if isinstance(d, int) and d != have:
            raise SizeAssumption(f"argument {p.hint} has size {have} along axis {axis}, compiled for {d}")
    bound = [g for g in fn.guards if all(s in known for d in (g.left, g.right) for s in symbols(size(d)))]
    for g in bound:
        if g.kind == "least" and evaluate(size(g.left), known) < evaluate(size(g.right), known):
            raise SizeAssumption(g.message)
    for g in bound:
        if g.kind == "equal" and evaluate(size(g.left), known) != evaluate(size(g.right), known):
            raise fail(ShapeError, "shape", g.pos, what=g.message)
    for p, axis, d, have in later:
        if evaluate(size(d), known) != have:
            from adc.frontend import broken_guard  # the front end is loaded for a message only

            g0 = broken_guard(fn.guards, known, p.hint, axis, d)
            what = f"argument {p.hint} has size {have} along axis {axis}, expected {d} = {evaluate(size(d), known)}"
            raise fail(ShapeError, "shape", g0.pos if g0 else None, what=f"{g0.message}: {what}" if g0 else what)
