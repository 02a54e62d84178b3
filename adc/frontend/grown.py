"""Lists that a loop of run-time count appends to.

In: a list of which each iteration appends one item, of one type.  Out: an array for each part of an item, made
before the loop with room for all; `append` is a store at the index of the iteration, the items are views of rows.

    hs = []                              hs = zeros((n, 3))
    for t in range(n):                   for t in range(n):
        hs.append(h)                         hs[t] = h
    np.stack(hs)                         hs

An item stays the user's object: while it is also in the list, changing it in place is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gast
import numpy as np

from adc.errors import UnsupportedError, fail
from adc.frontend.arrays import Arrays, getitem, setitem
from adc.frontend.base import certain, numpy_op
from adc.frontend.state import (
    GROWN,
    Mismatch,
    TBox,
    Template,
    TGrown,
    THole,
    TParts,
    TRef,
    TScalar,
    TStatic,
    TTuple,
    expand,
    holes,
    join,
    number_type,
    parts,
    rebuild,
    same_static,
    template,
)
from adc.frontend.values import ArrayRef, Box, DictBox, Grown, ListBox, ObjBox, Seq
from adc.ir import OPERATORS, Atom, Dim, Lit, Op, Params, Size, Sym, Tensor, Var, current, literal, size, symbols
from adc.ops import ranges
from adc.ops.core import agree
from adc.ops.structure import check, convert, same_size

JOINS = (np.stack, np.concatenate, np.vstack, np.hstack, np.column_stack)


def never_equal(dims: tuple[Any, Any] | None) -> bool:
    """Do two shapes differ whatever the sizes are?"""
    return dims is not None and any(isinstance(gap := size(a) - b, int) and gap != 0 for a, b in zip(*dims, strict=True))


class NeedsUnroll(UnsupportedError):
    """A container changes its structure in every iteration: only straight code can say that."""


def opened(t: Template) -> Template:
    """`t` with every number and array a hole."""
    match t:
        case TStatic():
            kind = number_type(t.value)
            if kind is None:
                raise Mismatch(GROWN, f"an item that is a {type(t.value).__name__}", True)
            return TScalar(kind)
        case TScalar() | THole():
            return t
        case TRef():
            return THole(Tensor(t.ref.type.dtype, t.ref.type.dims), (None,), False)
        case TTuple() | TParts():
            return replace(t, items=tuple(map(opened, t.items)))
        case TBox():
            return opened(expand(t))
        case TGrown() if t.index is None:
            return t
    raise Mismatch(GROWN, "an item of another kind", True)


@dataclass
class Growing:
    """A loop whose body appends to lists of these names; `guesses`: lists read before it is known that they grow,
    and what to raise if they do not."""

    mark: int
    names: frozenset[str]
    count: Dim
    guesses: list[tuple[Box, Exception]] = field(default_factory=list)
    local: frozenset[Sym] = frozenset()
    """Size symbols that mean nothing outside the body."""


def appended(body: list[Any]) -> frozenset[str]:
    """Names of lists that the statements append to."""
    nodes = [n for s in body for n in gast.walk(s)]
    calls = {n.value.id for n in nodes if isinstance(n, gast.Attribute) and n.attr == "append" and isinstance(n.value, gast.Name)}
    return frozenset(calls | {n.target.id for n in nodes if isinstance(n, gast.AugAssign) and isinstance(n.target, gast.Name)})


class GrownLists(Arrays):
    def __init__(self) -> None:
        super().__init__()
        self.shared: dict[Box, str] = {}  # what is an item of such a list, and the list's name
        self.growing: list[Growing] = []  # the loops being staged

    def share(self, v: Any, name: str) -> None:
        """`v` is an item of the list `name` from now on: it must not be changed in place."""
        if isinstance(v, ArrayRef):
            self.shared[v.cell] = name
        elif isinstance(v, ListBox | DictBox | ObjBox):
            self.shared[v] = name
            if not isinstance(v.content, Grown):
                self.share(tuple(v.content if isinstance(v, ListBox) else v.content.values()), name)
        elif isinstance(v, tuple):
            for x in v:
                self.share(x, name)

    def write(self, box: Box, content: Any) -> None:
        if box in self.shared:
            name, owner = box.name or "this value", self.shared[box] or "a list"
            if name == owner:
                raise self.refuse(f"a change in place of an item of {owner}, which grows in a loop", f"make an array of it first: np.stack({owner})")
            raise self.refuse(
                f"a change in place of {name}, which is an item of {owner}, a list that grows in a loop,",
                f"append a copy ({owner}.append({name}.copy())), or make a new array: {name} = {name} + ...",
            )
        super().write(box, content)

    # ------------------------------------------------------------ growing

    def grow(self, box: ListBox, before: Template, after: Template, content: Any, loop: Growing | None) -> Template | None:
        """The template of a list that an iteration made one item longer; None if that is not what it did."""
        if loop is None:
            return None
        t = self.grown_template(box, before, after, content, loop.count)
        if t is not None and any(s in loop.local for h, _ in holes(t) for d in h.dims for s in symbols(size(d))):
            raise Mismatch("items of one shape", "items of sizes that each iteration computes", True)
        return t

    def grown_template(self, box: ListBox, before: Template, after: Template, content: Any, count: Dim) -> Template | None:
        if isinstance(before, TGrown) and isinstance(after, TGrown):
            if before.index is not None or after.length != before.length + 1:
                return None
            if after.index is None:  # the first pass after an earlier loop
                return replace(before, capacity=before.length + count, seen=False, item=join(before.item, after.item))
            return replace(before, item=join(before.item, after.item), seen=True)
        old = box.content
        if not (isinstance(old, tuple) and isinstance(content, tuple) and isinstance(before, TTuple) and isinstance(after, TTuple)):
            return None
        n = len(old)
        if len(content) != n + 1 or not all(a is b or same_static(a, b) for a, b in zip(old, content, strict=False)):
            return None
        item = opened(after.items[-1])
        try:
            for t in before.items:
                item = join(opened(t), item)
        except Mismatch as m:
            raise Mismatch(m.before, m.after, m.dims is None, m.dims) from None
        if not holes(item):
            return None
        self.share(old, box.name)
        return TGrown(n, None, item, size(count) + n, False)

    def guess(self, box: ListBox, e: Exception) -> Any:
        """What a run-time index reads of a list that the loop around is going to grow: an item, for its type (this
        pass is staged again); raises `e` where no loop does."""
        for loop in reversed(self.growing):
            if box.serial < loop.mark and box.name in loop.names and box.content:
                loop.guesses.append((box, e))
                return box.content[-1]
        raise e

    def at_index(self, t: Template, index: Var | None) -> Template:
        return replace(t, index=index) if isinstance(t, TGrown) and index is not None else t

    def after_loop(self, t: Template, count: Dim | None) -> Template:
        return replace(t, length=t.length + count) if isinstance(t, TGrown) and count is not None else t

    def grown_length(self, g: Grown) -> Any:
        """len(list): a size, inside the loop a run-time number."""
        if g.index is None:
            return g.length
        return g.index if g.length == 0 else OPERATORS["add"](g.index, self.size_atom(g.length))

    def grown_append(self, box: ListBox, v: Any) -> None:
        g = box.content
        try:
            v = self.of_size(g.item, v)
            item = join(g.item, opened(template(v)))
        except Mismatch as m:
            error = fail(UnsupportedError, "structure", self.pos(), name=f"an item of {box.name or 'a list'}", before=m.before, after=m.after)
            raise NeedsUnroll(*error.diagnostics) from None
        self.share(v, box.name)
        values = parts(g.item, v, self.atom)
        if g.index is None:
            arrays = tuple(numpy_op(np.concatenate)([a, getitem(numpy_op(np.asarray)(x), (None,))]) for a, x in zip(g.arrays, values, strict=True))
        else:
            row = self.grown_length(g)
            arrays = tuple(setitem(a, (row,), x) for a, x in zip(g.arrays, values, strict=True))
        self.write(box, Grown(g.length + 1, g.index, item, arrays))

    def of_size(self, t: Template, v: Any) -> Any:
        """An array whose sizes must be those of the items before it: a guard says so."""
        if not isinstance(t, THole) or not isinstance(v, ArrayRef) or v.type.rank != t.type.rank or v.type.dims == t.type.dims or never_equal((v.type.dims, t.type.dims)):
            return v
        for a, b in zip(v.type.dims, t.type.dims, strict=True):
            agree(a, b, "all input arrays must have the same shape")
        return self.fresh(same_size(self.read(v), dims=t.type.dims), v.cell.name)

    # ------------------------------------------------------------ reading

    def grown_place(self, g: Grown, key: Any) -> Any:
        """The row of item `key`; checked where the arrays have more rows than the list has items."""
        key = key.value if isinstance(key, Lit) else int(key) if isinstance(key, np.integer) else key
        if not isinstance(key, int | Size | Var) or isinstance(key, bool):
            raise self.wrong("list indices must be integers or slices", "index with an integer")
        if g.index is None:
            return key
        n = self.grown_length(g)
        if isinstance(key, int) and key < 0:
            place = OPERATORS["add"](n, literal(key))
        else:
            place = self.atom(key)
            if isinstance(key, Var) and not ranges.inside(key, 0, None):
                place = numpy_op(np.where)(OPERATORS["lt"](key, literal(0)), OPERATORS["add"](key, n), key)
        below = OPERATORS["sub"](OPERATORS["sub"](n, literal(1)), place)
        for distance in (place, below):
            if not ranges.inside(distance, 0, None):
                check(OPERATORS["ge"](distance, literal(0)), code="out_of_bounds", message="list index out of range")
        return place

    def grown_item(self, box: ListBox, g: Grown, key: Any) -> Any:
        place = self.grown_place(g, key)
        atoms = [getitem(a, (place,)) for a in g.arrays]
        kinds = [h for h, _ in holes(g.item)]
        made: list[Box] = []
        v = rebuild(g.item, iter([self.weakened(a, h) for a, h in zip(atoms, kinds, strict=True)]), box.name, made)
        self.share(v, box.name)
        return v

    def weakened(self, a: Atom, kind: Tensor) -> Atom:
        """A Python number that was put into an array is a Python number again."""
        if not kind.weak or a.type.weak or isinstance(a, Lit):
            return a
        out = Var(kind, "", self.pos())
        current().add(Op(convert, (a,), Params({"dtype": np.dtype(kind.dtype)}), (out,), self.pos()))
        return out

    def grown_part(self, box: ListBox, g: Grown, key: slice) -> Any:
        """list[a:b], a list of its own."""
        whole = self.rows(g)
        arrays = tuple(getitem(a, (slice(*(self.slice_part(x) for x in (key.start, key.stop, key.step))),)) for a in whole)
        return ListBox(Grown(arrays[0].type.dims[0], None, g.item, arrays), box.name)

    def rows(self, g: Grown) -> tuple[Atom, ...]:
        """The arrays without the rows that are still to come."""
        if g.index is None:
            return g.arrays
        n = self.grown_length(g)
        return tuple(getitem(a, (slice(None, n),)) for a in g.arrays)

    def grown_seq(self, box: ListBox, g: Grown) -> Seq:
        n = self.grown_length(g)
        return Seq(self.bind(n, False) if isinstance(n, Var) else n, lambda k: self.grown_item(box, g, k), False)

    def grown_array(self, g: Grown) -> Atom:
        """np.array(list)"""
        arrays = iter(self.rows(g))
        return self.one_array(g.item, arrays)

    def one_array(self, t: Template, arrays: Iterator[Atom], axis: int = 1) -> Atom:
        match t:
            case TScalar() | THole():
                return next(arrays)
            case TGrown():
                return self.one_array(t.item, arrays, axis + 1)
            case TParts() if t.kind is ListBox and t.cls == "grown":
                return self.one_array(t.items[0], arrays, axis)
            case TTuple() | TParts() if isinstance(t, TTuple) or t.kind is ListBox:
                return numpy_op(np.stack)([self.one_array(i, arrays, axis + 1) for i in t.items], axis=axis)
        raise self.wrong("this list has dicts or objects as items, not numbers or arrays", "append the arrays themselves, to a list each")

    def some(self, g: Grown, message: str) -> None:
        """Refuse, at run time, what NumPy refuses of an empty list."""
        n = self.grown_length(g)
        if isinstance(n, Var) or not certain(n, 1):
            check(OPERATORS["ge"](self.atom(n), literal(1)), code="shape", message=message)

    def list_array(self, v: Any) -> Any:
        """A list that grew as one array; any other value as it is."""
        if not (isinstance(v, ListBox) and isinstance(v.content, Grown)):
            return v
        if any(h.dims for h, _ in holes(v.content.item)):
            self.some(v.content, "an empty list of arrays has no shape")
        return self.wrap(self.grown_array(v.content), v.name)

    def join_list(self, fn: Any, v: ListBox, rest: list[Any], kwargs: dict[str, Any]) -> Any:
        """np.stack(list) and its family."""
        self.some(v.content, "need at least one array to stack" if fn is np.stack else "need at least one array to concatenate")
        x = self.grown_array(v.content)
        rank = x.type.rank - 1
        axis = rest[0] if rest else kwargs.get("axis", 0)
        axis = None if axis is None else self.static_int(axis, "an axis")
        if len(rest) > 1 or set(kwargs) - {"axis"} or (fn not in (np.stack, np.concatenate) and (rest or kwargs)):
            raise self.refuse(f"np.{fn.__name__} of a list that grew in a loop, with these arguments", "give it the list and an axis")
        if fn is np.stack:
            return self.wrap(numpy_op(np.moveaxis)(x, 0, axis))
        if fn is np.concatenate and axis is None:
            return self.wrap(numpy_op(np.ravel)(x))
        if fn is np.vstack and rank < 2:
            return self.wrap(x if rank else getitem(x, (slice(None), None)))
        if fn is np.column_stack and rank < 2:
            return self.wrap(numpy_op(np.transpose)(x) if rank else getitem(x, (None,)))
        if fn is np.hstack and not rank:
            return self.wrap(x)
        if fn is np.column_stack or (fn is np.hstack and rank > 1):
            axis = 1
        if axis is None or not -rank <= axis < rank:
            raise self.wrong("zero-dimensional arrays cannot be concatenated" if not rank else f"axis {axis} is out of bounds for array of dimension {rank}")
        axis %= rank
        moved = numpy_op(np.moveaxis)(x, 0, axis)
        d = moved.type.dims
        return self.wrap(numpy_op(np.reshape)(moved, (*d[:axis], d[axis] * d[axis + 1], *d[axis + 2 :])))

    def no_list_change(self, v: ListBox, name: str) -> Exception:
        return self.refuse(f"{name} of {v.name or 'a list'}, which grows in a loop,", "make an array of it first: np.stack(...)")


def is_grown(v: Any) -> bool:
    return isinstance(v, ListBox) and isinstance(v.content, Grown)


__all__ = ["JOINS", "GrownLists", "NeedsUnroll", "is_grown"]
