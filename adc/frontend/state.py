"""What changes: the journal of box writes, and templates that tell how two states are joined.

In: values of two paths (two branches; before a loop and after an iteration).  Out: a template whose
holes are the run-time parts that differ, to be filled by the outs of an `If`, `For` or `While`.

    join(template(0.0), template(<v: f8>))   ->  TScalar(f8)
    join(template((1, a)), template((1, b))) ->  TTuple(TStatic(1), THole)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adc.frontend.values import (
    UNBOUND,
    ArrayRef,
    Box,
    Broken,
    Cell,
    DictBox,
    Ext,
    Grown,
    ListBox,
    Maybe,
    ObjBox,
    Poison,
)
from adc.ir import B1, Atom, Dim, Lit, Size, Tensor, Var, literal
from adc.ops.core import broadcast_to, promote
from adc.ops.structure import convert_to

Look = Callable[[Box], Any]


def now(box: Box) -> Any:
    return box.content


class Journal:
    """Levels of remembered old contents, so that a path can be undone."""

    def __init__(self) -> None:
        self.levels: list[dict[Box, Any]] = []

    def write(self, box: Box, content: Any) -> None:
        if self.levels:
            self.levels[-1].setdefault(box, box.content)
        box.content = content

    @contextlib.contextmanager
    def trial(self) -> Iterator[dict[Box, Any]]:
        """Writes inside are undone at the end; the dict then holds the new contents."""
        changes: dict[Box, Any] = {}
        level: dict[Box, Any] = {}
        self.levels.append(level)
        try:
            yield changes
        finally:
            assert self.levels.pop() is level
            for box, old in level.items():
                changes[box] = box.content
                box.content = old


# ---------------------------------------------------------------- templates


class Mismatch(Exception):
    """Two values that no template joins."""

    def __init__(self, before: str, after: str, structure: bool = False, dims: tuple[Any, Any] | None = None):
        super().__init__(before, after)
        self.before, self.after, self.structure, self.dims = before, after, structure, dims
        """`dims`: the two shapes, where nothing else differs."""


GROWN = "a list that grows in a loop"


class Template:
    __slots__ = ()


@dataclass(frozen=True)
class TStatic(Template):
    value: Any


@dataclass(frozen=True)
class TScalar(Template):
    type: Tensor


@dataclass(frozen=True)
class TRef(Template):
    """The same array on every path."""

    ref: ArrayRef


@dataclass(frozen=True)
class THole(Template):
    """Different arrays of one type; `refs` are the arrays of the first and of the last path."""

    type: Tensor
    refs: tuple[Any, ...] = ()
    contiguous: bool = False


@dataclass(frozen=True)
class TTuple(Template):
    cls: type
    items: tuple[Template, ...]


@dataclass(frozen=True)
class TBox(Template):
    """The same list, dict or object on every path."""

    box: Box
    look: Look


@dataclass(frozen=True)
class TParts(Template):
    """Different lists, dicts or objects of one structure."""

    kind: type
    cls: Any
    keys: tuple[Any, ...]
    items: tuple[Template, ...]


@dataclass(frozen=True)
class TGrown(Template):
    """A list that a loop appends to: `length` items (and `index` more), room for `capacity`.  `seen`: a whole pass was
    staged with it, so that every array in it is known to be shared."""

    length: Dim
    index: Any
    item: Template
    capacity: Dim
    seen: bool = True


@dataclass(frozen=True)
class TMaybe(Template):
    inner: Template


@dataclass(frozen=True)
class TUnbound(Template):
    pass


@dataclass(frozen=True)
class TPoison(Template):
    value: Any


def number_type(v: Any) -> Tensor | None:
    """The type of a rank-0 number, static or not; None for other values."""
    if isinstance(v, Var | Lit):
        return v.type if not v.type.dims else None
    if isinstance(v, bool):
        return Tensor(B1)
    if isinstance(v, int | Size):
        return Tensor(np.dtype("i8"), (), True)
    if isinstance(v, float) and not isinstance(v, np.floating):
        return Tensor(np.dtype("f8"), (), True)
    if isinstance(v, np.bool_ | np.integer | np.floating):
        return Tensor(v.dtype)
    return None


def template(v: Any, look: Look = now) -> Template:
    if v is UNBOUND:
        return TUnbound()
    if isinstance(v, Poison | Broken):
        return TPoison(v)
    if isinstance(v, Maybe):
        return TMaybe(template(v.value, look))
    if isinstance(v, Var | Lit):
        return TScalar(v.type)
    if isinstance(v, ArrayRef):
        return TRef(v)
    if isinstance(v, ListBox | DictBox | ObjBox):
        return TBox(v, look)
    if isinstance(v, Grown):
        return TGrown(v.length, v.index, v.item, v.arrays[0].type.dims[0])
    if isinstance(v, tuple):
        return TTuple(type(v), tuple(template(x, look) for x in v))
    if isinstance(v, dict):  # the content of a DictBox or ObjBox
        return TParts(dict, None, tuple(v), tuple(template(x, look) for x in v.values()))
    return TStatic(v)


def expand(t: TBox) -> TParts:
    content = t.look(t.box)
    kind = type(t.box)
    if isinstance(content, Grown):
        if content.index is not None:
            raise Mismatch(GROWN, "another list", True)
        return TParts(kind, "grown", (), (template(content),))
    if isinstance(t.box, ListBox):
        return TParts(kind, None, (), tuple(template(x, t.look) for x in content))
    cls = t.box.cls if isinstance(t.box, ObjBox) else None
    return TParts(kind, cls, tuple(content), tuple(template(x, t.look) for x in content.values()))


def same_static(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, Ext) and isinstance(b, Ext):
        return a.obj is b.obj
    if isinstance(a, float) and isinstance(b, float) and a != a and b != b:
        return True
    return type(a) is type(b) and isinstance(a, int | float | str | Size | bytes | type(None) | np.generic | np.dtype) and bool(a == b)


def join_types(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype == b.dtype:
        return Tensor(a.dtype, (), a.weak and b.weak)
    if not (a.weak or b.weak):
        raise Mismatch(str(a), str(b))
    return Tensor(promote((a, b)), (), a.weak and b.weak)


def _scalar(t: Template) -> Tensor | None:
    return t.type if isinstance(t, TScalar) else number_type(t.value) if isinstance(t, TStatic) else None


def describe(t: Template) -> str:
    """For messages."""
    match t:
        case TStatic():
            kind = number_type(t.value)
            return str(kind) if kind is not None else repr(t.value) if isinstance(t.value, str | type(None)) else f"a {type(t.value).__name__}"
        case TScalar() | THole():
            return str(t.type)
        case TRef():
            return str(t.ref.type)
        case TTuple():
            return f"a tuple of {len(t.items)}"
        case TGrown():
            return GROWN
        case TBox():
            return describe(expand(t))
        case TParts():
            word = {ListBox: "list", DictBox: "dict", dict: "dict"}.get(t.kind, getattr(t.cls, "__name__", "object"))
            return f"a {word} of {len(t.items)}"
        case TMaybe():
            return describe(t.inner)
    return "unbound"


def join(a: Template, b: Template, filled: bool = False) -> Template:
    """A template that fits both; `Mismatch` where there is none.  `filled`: unbound takes any value."""
    if isinstance(a, TPoison) or isinstance(b, TPoison):
        return a if isinstance(a, TPoison) else b
    if isinstance(a, TUnbound) and isinstance(b, TUnbound):
        return a
    if isinstance(a, TMaybe) or isinstance(b, TMaybe):
        left, right = (t.inner if isinstance(t, TMaybe) else t for t in (a, b))
        return TMaybe(join(left, right, True))
    if isinstance(a, TUnbound) or isinstance(b, TUnbound):
        other = b if isinstance(a, TUnbound) else a
        inner = _open(other)
        return inner if filled else TMaybe(inner)
    if isinstance(a, TStatic) and isinstance(b, TStatic) and same_static(a.value, b.value):
        return a
    x, y = _scalar(a), _scalar(b)
    if x is not None and y is not None:
        return TScalar(join_types(x, y))
    if isinstance(a, TRef) and isinstance(b, TRef) and a.ref.same(b.ref):
        return a
    if isinstance(a, TRef | THole) and isinstance(b, TRef | THole):
        ta, tb = (t.ref.type if isinstance(t, TRef) else t.type for t in (a, b))
        if (ta.dtype, ta.dims) != (tb.dtype, tb.dims):
            raise Mismatch(str(ta), str(tb), dims=(ta.dims, tb.dims) if ta.dtype == tb.dtype and ta.rank == tb.rank else None)
        refs = ((a.ref if isinstance(a, TRef) else a.refs[0]), (b.ref if isinstance(b, TRef) else b.refs[-1]))
        tight = all(t.ref.cell.contiguous and not t.ref.steps if isinstance(t, TRef) else t.contiguous for t in (a, b))
        return THole(Tensor(ta.dtype, ta.dims), refs, tight)
    if isinstance(a, TTuple) and isinstance(b, TTuple) and a.cls is b.cls and len(a.items) == len(b.items):
        return TTuple(a.cls, tuple(join(p, q, filled) for p, q in zip(a.items, b.items, strict=True)))
    if isinstance(a, TBox) and isinstance(b, TBox) and a.box is b.box:
        return a
    if isinstance(a, TGrown) and isinstance(b, TGrown) and equal(a, b):
        return a
    if isinstance(a, TBox | TParts) and isinstance(b, TBox | TParts):
        p, q = (expand(t) if isinstance(t, TBox) else t for t in (a, b))
        if (p.kind, p.cls, p.keys) == (q.kind, q.cls, q.keys) and len(p.items) == len(q.items):
            return replace(p, items=tuple(join(i, j, filled) for i, j in zip(p.items, q.items, strict=True)))
        raise Mismatch(describe(p), describe(q), True)
    numeric = all(isinstance(t, TRef | THole) or _scalar(t) is not None for t in (a, b))
    raise Mismatch(describe(a), describe(b), not numeric)


def _open(t: Template) -> Template:
    """`t` with every run-time part a hole: what is unbound on the other path gets zeros there."""
    match t:
        case TRef():
            return THole(Tensor(t.ref.type.dtype, t.ref.type.dims), (t.ref,), False)
        case TTuple():
            return replace(t, items=tuple(_open(i) for i in t.items))
        case TBox():
            return _open(expand(t))
        case TParts():
            return replace(t, items=tuple(_open(i) for i in t.items))
    return t


def equal(a: Template, b: Template) -> bool:
    """Same holes and same static parts (the arrays met do not count)."""
    match a, b:
        case TStatic(), TStatic():
            return same_static(a.value, b.value)
        case TScalar(), TScalar():
            return a.type == b.type
        case TRef(), TRef():
            return a.ref.same(b.ref)
        case THole(), THole():
            return a.type == b.type and a.contiguous == b.contiguous
        case TTuple(), TTuple():
            return a.cls is b.cls and len(a.items) == len(b.items) and all(map(equal, a.items, b.items))
        case TBox(), TBox():
            return a.box is b.box
        case TParts(), TParts():
            return (a.kind, a.cls, a.keys) == (b.kind, b.cls, b.keys) and len(a.items) == len(b.items) and all(map(equal, a.items, b.items))
        case TGrown(), TGrown():
            return (a.length, a.index, a.capacity, a.seen) == (b.length, b.index, b.capacity, b.seen) and equal(a.item, b.item)
        case TMaybe(), TMaybe():
            return equal(a.inner, b.inner)
    return type(a) is type(b)


def holes(t: Template, name: str = "") -> list[tuple[Tensor, str]]:
    """Types and name hints of the holes, in order."""
    match t:
        case TScalar() | THole():
            return [(t.type, name)]
        case TTuple() | TParts():
            names = [f"{name}_{k}" for k in range(len(t.items))]
            if isinstance(t, TParts) and t.keys:
                names = [str(k) if str(k).isidentifier() else n for k, n in zip(t.keys, names, strict=True)]
            elif isinstance(t, TTuple) and hasattr(t.cls, "_fields"):
                names = list(t.cls._fields)
            return [h for i, n in zip(t.items, names, strict=True) for h in holes(i, n)]
        case TGrown():
            return [(Tensor(h.dtype, (t.capacity, *h.dims)), name) for h, _ in holes(t.item)]
        case TMaybe():
            return [(Tensor(B1), f"has_{name}"), *holes(t.inner, name)]
    return []


def array_holes(t: Template) -> list[THole | None]:
    """For each hole, its array template, or None for scalars."""
    match t:
        case THole():
            return [t]
        case TScalar():
            return [None]
        case TTuple() | TParts():
            return [h for i in t.items for h in array_holes(i)]
        case TGrown():
            return [None] * len(holes(t))
        case TMaybe():
            return [None, *array_holes(t.inner)]
    return []


def rebuild(t: Template, atoms: Iterator[Atom], name: str, made: list[Box]) -> Any:
    """The value with `atoms` in its holes; new boxes are listed in `made`."""
    match t:
        case TStatic() | TPoison():
            return t.value
        case TScalar():
            return next(atoms)
        case TRef():
            return t.ref
        case THole():
            cell = Cell(next(atoms), name, t.contiguous)
            made.append(cell)
            return ArrayRef(cell, (), cell.type)
        case TTuple():
            items = [rebuild(i, atoms, name, made) for i in t.items]
            return t.cls(*items) if hasattr(t.cls, "_fields") else tuple(items)
        case TBox():
            return t.box
        case TParts():
            items = [rebuild(i, atoms, name, made) for i in t.items]
            box: Box
            if t.kind is dict:
                return dict(zip(t.keys, items, strict=True))
            if t.kind is ListBox:
                box = ListBox(items[0] if t.cls == "grown" else tuple(items), name)
            elif t.kind is DictBox:
                box = DictBox(dict(zip(t.keys, items, strict=True)), name)
            else:
                box = ObjBox(t.cls, dict(zip(t.keys, items, strict=True)), name)
            made.append(box)
            return box
        case TGrown():
            return Grown(t.length, t.index, t.item, tuple(next(atoms) for _ in holes(t)))
        case TMaybe():
            flag = next(atoms)
            return Maybe(rebuild(t.inner, atoms, name, made), flag)
    return UNBOUND


def zeros(t: Tensor) -> Atom:
    zero = literal(0, t.dtype)
    return broadcast_to(zero, t.dims) if t.dims else zero


def extract(t: Template, v: Any, atom: Callable[[Any], Atom], look: Look = now) -> Iterator[Atom]:
    """The atoms that `v` puts into the holes; ops may be emitted at the current builder."""
    match t:
        case TScalar():
            yield zeros(t.type) if v is UNBOUND else _as(atom(v), t.type)
        case THole():
            yield zeros(t.type) if v is UNBOUND else atom(v)
        case TTuple():
            for k, i in enumerate(t.items):
                yield from extract(i, v if v is UNBOUND else v[k], atom, look)
        case TParts():
            pieces: list[Any]
            if v is UNBOUND:
                pieces = [UNBOUND] * len(t.items)
            else:
                content = v if isinstance(v, dict) else look(v)
                pieces = [content] if isinstance(content, Grown) else list(content if isinstance(v, ListBox) else content.values())
            for i, p in zip(t.items, pieces, strict=True):
                yield from extract(i, p, atom, look)
        case TGrown():
            if isinstance(v, Grown) and v.arrays[0].type.dims[0] == t.capacity:
                yield from v.arrays
            else:
                yield from filled(t, v, atom, look)
        case TMaybe():
            yield v.flag if isinstance(v, Maybe) else literal(v is not UNBOUND)
            yield from extract(t.inner, v.value if isinstance(v, Maybe) else v, atom, look)


def _as(a: Atom, t: Tensor) -> Atom:
    if a.type.dtype == t.dtype:
        return a
    return convert_to(a, t.dtype)


def parts(t: Template, v: Any, atom: Callable[[Any], Atom], look: Look = now) -> tuple[Atom, ...]:
    """What an item puts into the arrays of a list that grows."""
    return tuple(extract(t, v, atom, look))


def filled(t: TGrown, items: Any, atom: Callable[[Any], Atom], look: Look) -> Iterator[Atom]:
    """The arrays of a list that is going to grow, with the items it has."""
    from adc.ops.index import setitem

    rows = [parts(t.item, v, atom, look) for v in items] if isinstance(items, tuple) else []
    for k, (kind, _) in enumerate(holes(t)):
        whole = zeros(kind)
        if isinstance(items, Grown):
            whole = setitem(whole, (slice(None, items.length),), items.arrays[k])
        for row, values in enumerate(rows):
            whole = setitem(whole, (row,), values[k])
        yield whole
