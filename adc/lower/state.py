"""The state of a lowering: which value stands in which buffer, which is still an expression, who is alive.

In: one call per statement, from `arrays` and `control`.  Out: items of the loop language.

A value (`Val`) is an expression over coordinates.  Where the expression is just the elements of a buffer in order,
`buf` names it; such a value has storage and may be overwritten when it is dead.  Everything else is evaluated where it
is used, and is put into a buffer (`force`) when it is used often, or before a buffer that it reads is overwritten.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adc.errors import Pos, StageError, fail
from adc.ir import Atom, Block, Dim, Function, Lit, Stmt, Sym, Tensor, Var, size, stmt_uses, symbols
from adc.ir.program import blocks, inputs
from adc.lower.nodes import Buf, Const, Expr, Index, Item, Load, Loop, Pool, Program, Store

CHEAP = 2
"""An expression of this cost is evaluated again rather than stored."""
LARGE, LARGE_SCALAR = 64, 24
"""An expression of this cost is stored even if it is used once."""


@dataclass(frozen=True)
class Val:
    coords: tuple[Sym, ...]
    expr: Expr
    buf: Buf | None = None


Slot = tuple[Buf, tuple[Dim, ...]]
"""`buf[lead]`: part of an array that is being put together."""


@dataclass
class Frame:
    """A block being lowered."""

    last_use: dict[Var, int]
    loop: bool
    defined: set[Var]
    again: frozenset[Var] = frozenset()
    """What the other block of the same loop reads."""
    pos: int = -1
    sinks: dict[Var, tuple[Buf, tuple[Dim, ...]]] = field(default_factory=dict)
    """Sums of a loop that may be added to directly, by the variable that would have been added."""
    rows: dict[Var, Slot] = field(default_factory=dict)
    """Values that a loop stacks: where they end up."""
    joins: dict[Var, Slot] = field(default_factory=dict)
    """Rows of matrices, and the matrices: where they are made."""


def internal(what: str, pos: Pos | None = None) -> Exception:
    return fail(StageError, "internal", pos, what=what)


def note_of(pos: Pos | None) -> str:
    return re.sub(r"\s+", " ", pos.text.strip()) if pos is not None and pos.text else ""


class Lowering:
    def __init__(self, fn: Function):
        self.fn = fn
        self.pool = Pool()
        self.items: list[Item] = []
        self.env: dict[Var, Val] = {}
        self.reading: dict[Buf, set[Var]] = {}
        self.frames: list[Frame] = []
        self.current: Block = fn.body
        self.uses: dict[Var, list[tuple[Block, Stmt | None]]] = {}
        self.program = Program(fn.name, self.items, [], [], self.pool)
        self.note = ""
        self._count_uses(fn.body)

    def _count_uses(self, block: Block) -> None:
        for s in block.stmts:
            for a in dict.fromkeys(a for a in inputs(s) if isinstance(a, Var)):
                self.uses.setdefault(a, []).append((block, s))
            for b in blocks(s):
                self._count_uses(b)
        for r in block.results:
            if isinstance(r, Var):
                self.uses.setdefault(r, []).append((block, None))

    # ------------------------------------------------------------ blocks and liveness

    @contextlib.contextmanager
    def block(self, b: Block, loop: bool, into: list[Item], again: frozenset[Var] = frozenset()) -> Iterator[Frame]:
        """Items go to `into`; what is bound or forced inside is forgotten at the end."""
        last: dict[Var, int] = {}
        defined = set(b.params)
        for k, s in enumerate(b.stmts):
            for v in stmt_uses(s):
                last[v] = k
            defined.update(s.outs)
        for r in b.results:
            if isinstance(r, Var):
                last[r] = len(b.stmts)
        frame = Frame(last, loop, defined, again)
        old_items, old_env, old_note, old_block = self.items, self.env, self.note, self.current
        self.items, self.env, self.current = into, dict(self.env), b
        self.frames.append(frame)
        try:
            yield frame
        finally:
            self.frames.pop()
            self.items, self.env, self.note, self.current = old_items, old_env, old_note, old_block

    def live_after(self, v: Var) -> bool:
        """Is `v` used after the current statement?"""
        for f in reversed(self.frames):
            if f.last_use.get(v, -1) > f.pos:
                return True
            if v in f.defined:
                return False
            if f.loop and (v in f.last_use or v in f.again):
                return True  # the next iteration reads it
        return False

    def readers(self, buf: Buf, also: Callable[[Var], bool] = lambda v: False) -> list[Var]:
        """Values alive after this statement (or chosen by `also`) that depend on the contents of `buf`."""
        found = []
        for v in self.reading.get(buf, ()):
            val = self.env.get(v)
            if val is not None and buf in self.pool.reads(val.expr) and (self.live_after(v) or also(v)):
                found.append(v)
        return sorted(found, key=lambda v: list(self.env).index(v)) if len(found) > 1 else found

    # ------------------------------------------------------------ values

    def bind(self, v: Var, val: Val) -> None:
        self.env[v] = val
        for b in self.pool.reads(val.expr):
            self.reading.setdefault(b, set()).add(v)

    def val(self, a: Atom) -> Val:
        if isinstance(a, Lit):
            return Val((), self.pool.const(a.value, a.type.dtype))
        return self.env[a]

    def at(self, val: Val, coords: tuple[Dim, ...]) -> Expr:
        return self.pool.subst(val.expr, dict(zip(val.coords, coords, strict=True)))

    def elem(self, a: Atom, coords: tuple[Dim, ...]) -> Expr:
        return self.at(self.val(a), coords)

    def scalar(self, a: Atom) -> Expr:
        return self.val(a).expr

    def fresh(self, t: Tensor, hint: str, kind: str = "temp") -> Buf:
        return Buf(hint, t.dtype, t.dims, kind)

    def stored(self, buf: Buf, dims: tuple[Dim, ...] | None = None) -> Val:
        """The elements of a buffer in order, seen with `dims`."""
        dims = buf.dims if dims is None else dims
        coords = tuple(Sym("c") for _ in dims)
        return Val(coords, self.pool.load(buf, dims, tuple(size(c) for c in coords)), buf)

    def row(self, o: Var) -> Slot:
        """Where a stack is written: its row in the stack of the loop around, or storage of its own."""
        return self.frames[-1].rows.get(o) or (self.fresh(o.type, o.hint or "stack"), ())

    def simple(self, e: Expr) -> bool:
        """Nothing is gained by naming it."""
        return isinstance(e, Const) or (isinstance(e, Load) and e.buf.kind == "local") or (
            isinstance(e, Load) and e.buf.kind == "param" and not e.dims
        ) or (isinstance(e, Index) and not self.pool.children(e))

    # ------------------------------------------------------------ emitting

    def emit(self, item: Item) -> None:
        if not item.note:
            item.note = self.note
        self.items.append(item)

    def nest(self, extents: tuple[Dim, ...], leaf: Callable[[tuple[Dim, ...]], list[Item]], order: tuple[int, ...] | None = None) -> None:
        """Loops over `extents` (those of extent 1 vanish), outermost first or in `order`."""
        names = [Sym("ijklmn"[min(k, 5)]) for k in range(len(extents))]
        coords = tuple(0 if d == 1 else size(s) for s, d in zip(names, extents, strict=True))
        body = leaf(coords)
        for k in reversed(order if order is not None else range(len(extents))):
            if extents[k] != 1:
                body = [Loop(names[k], extents[k], body, note=self.note)]
        for item in body:
            self.emit(item)

    def local(self, hint: str, dtype: np.dtype[Any], value: Expr | None = None, sym: Sym | None = None) -> Buf:
        buf = self.pool.local(hint, dtype, sym)
        if value is not None:
            self.emit(Store(buf, (), (), value))
        return buf

    def load_local(self, buf: Buf) -> Val:
        return Val((), self.pool.load(buf, (), ()), buf)

    def evaluate_into(
        self, buf: Buf, dims: tuple[Dim, ...], val: Val, mode: str = "set", lead: tuple[Dim, ...] = ()
    ) -> None:
        """Write every element of `val` to `buf[lead + coords]`; `dims` are the shape of `val`."""
        if mode == "set" and not lead and val.buf is buf:
            return
        full = buf.dims if lead else dims
        if lead and mode == "set" and self.at(val, val_at := tuple(size(c) for c in val.coords)) is self.pool.load(buf, full, (*lead, *val_at)):
            return
        if buf.kind == "local":
            self.emit(Store(buf, (), (), val.expr, mode))
            return
        if self.collides(buf, full, lambda c: (*lead, *c), dims, val):
            val = self.put(val, Tensor(buf.dtype, dims), buf.hint)
        self.nest(dims, lambda c: [Store(buf, full, (*lead, *c), self.at(val, c), mode)])

    def collides(
        self, buf: Buf, full: tuple[Dim, ...], place: Callable[[tuple[Dim, ...]], tuple[Dim, ...]], dims: tuple[Dim, ...], val: Val
    ) -> bool:
        """Would storing element by element change what later elements of `val` are made of?"""
        if buf not in self.pool.reads(val.expr):
            return False
        vs = tuple(0 if d == 1 else size(Sym("c")) for d in dims)
        if all(isinstance(v, int) for v in vs):
            return False  # one element: read, then written
        target = place(vs)
        moving = {s for v in vs for s in _syms(v)}
        for e in self.pool.nodes(self.at(val, vs)):
            if isinstance(e, Load) and e.buf is buf:
                if e.dims != full or not _same_or_apart(target, e.coords, moving):
                    return True
        return False

    def put(self, val: Val, t: Tensor, hint: str) -> Val:
        """The value in new storage."""
        if not t.dims:
            return self.load_local(self.local(hint or "t", t.dtype, val.expr))
        buf = self.fresh(t, hint or "t")
        self.nest(t.dims, lambda c: [Store(buf, t.dims, c, self.at(val, c))])
        return self.stored(buf)

    def force(self, v: Var) -> Val:
        """Give `v` storage of its own (a scalar: a name)."""
        row = self.frames[-1].rows.get(v)
        if row is None:
            val = self.put(self.env[v], v.type, v.hint)
        else:  # its place in the stack
            buf, lead = row
            self.evaluate_into(buf, v.type.dims, self.env[v], lead=lead)
            val = self.part(buf, lead, v.type.dims)
        self.bind(v, val)
        return val

    def part(self, buf: Buf, lead: tuple[Dim, ...], dims: tuple[Dim, ...]) -> Val:
        """The slice `buf[lead]`."""
        coords = tuple(Sym("c") for _ in dims)
        return Val(coords, self.pool.load(buf, buf.dims, (*lead, *(size(c) for c in coords))))

    def named(self, a: Atom) -> None:
        """A scalar that loops will read is computed before them."""
        if isinstance(a, Var) and not a.type.dims and not self.simple(self.env[a].expr):
            self.force(a)

    def identity(self, a: Atom) -> Buf:
        """A buffer that holds exactly this array."""
        val = self.val(a)
        if val.buf is None or val.buf.kind == "local":
            assert isinstance(a, Var)
            val = self.force(a)
        if val.buf is None:  # a slice of a stack
            assert isinstance(a, Var)
            val = self.put(val, a.type, a.hint)
            self.bind(a, val)
        assert val.buf is not None
        return val.buf

    def overwrite(self, x: Atom, hint: str) -> Buf:
        """The storage of `x`, or a copy of it, that may now be written; whoever needs the old contents gets a copy."""
        val = self.val(x)
        if self.owned(x):
            assert val.buf is not None
            return val.buf
        return self.put(val, x.type, hint).buf  # type: ignore[return-value]

    def owned(self, x: Atom) -> bool:
        """Make the storage of `x` free to be written, if `x` is dead and nobody else must keep it."""
        buf = self.val(x).buf
        if buf is None or buf.kind != "temp" or not isinstance(x, Var) or self.live_after(x):
            return False
        return self.move_away(buf, [v for v in self.readers(buf) if v is not x])

    def move_away(self, buf: Buf, readers: list[Var]) -> bool:
        """Give those who read `buf` storage of their own; False if that is not possible here."""
        here = self.frames[-1].defined  # what is forced in an inner block is forgotten after it
        if any(self.env[v].buf is buf or v not in here for v in readers):
            return False
        for v in readers:
            self.force(v)
        return True

    def assign_all(self, pairs: list[tuple[Buf, tuple[Dim, ...], Val]]) -> None:
        """Assign all at once: every value is that from before."""
        pairs = [p for p in pairs if p[2].buf is not p[0]]
        for k, (buf, dims, val) in enumerate(pairs):
            for m in range(k + 1, len(pairs)):
                other, odims, oval = pairs[m]
                if buf in self.pool.reads(oval.expr):
                    pairs[m] = (other, odims, self.put(oval, Tensor(other.dtype, odims), other.hint))
            self.evaluate_into(buf, dims, val)


def _syms(d: Dim) -> tuple[Sym, ...]:
    return symbols(d) if not isinstance(d, int) else ()


def _same_or_apart(a: tuple[Dim, ...], b: tuple[Dim, ...], moving: set[Sym]) -> bool:
    """The same place in every iteration, or never places of one another's."""
    if a == b:
        return {s for d in a for s in _syms(d)} >= moving
    for x, y in zip(a, b, strict=True):
        gap = size(x) - y
        if isinstance(gap, int) and gap != 0 and not any(s in moving for s in (*_syms(x), *_syms(y))):
            return True
    return False


__all__ = ["CHEAP", "LARGE", "LARGE_SCALAR", "Frame", "Lowering", "Slot", "Val", "internal", "note_of"]
