"""What a body does twice is done once.

In: the body of a loop that two loops of the user became, before the nests in it meet.  Out: the same without what is computed again
with the same result.  The reverse of an iteration begins with what it needs of the forward one; where both run together it is there.

    square = 0.0;  for i: square += x[k, i] ** 2              square = 0.0;  for i: square += x[k, i] ** 2
    if square > 1.0: y = sqrt(square)                         if square > 1.0: y = sqrt(square)
    total += y                                                total += y
    square_1 = 0.0;  for i: square_1 += x[k, i] ** 2    →     if square > 1.0: …
    if square_1 > 1.0: y_1 = sqrt(square_1)
    if square_1 > 1.0: …

This is value numbering (see `common`) of whole statements: the value of a buffer is the statement that wrote it last, and the values of what
that looked at.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from adc.ir import Dim, Size, Sym, size, symbols
from adc.ir.dims import Quotient
from adc.lower.nodes import (
    Apply,
    Branch,
    Buf,
    CallFn,
    Exit,
    Expr,
    Index,
    Item,
    Load,
    Loop,
    Pool,
    Program,
    Repeat,
    Store,
    Swap,
)
from adc.lower.rewrite import rename_item, replace_buffers


def leave_out_repeats(pool: Pool, loop: Loop, everywhere: Counter[Buf]) -> None:
    """`everywhere`: how often each buffer is used in the program; kept up to date."""
    values = Values(pool, loop, everywhere)
    body, k = loop.body, 0
    while k < len(body):
        same = values.again(body[k], body[k + 1 :])
        if same is None:
            k += 1
            continue
        for a in pool.accesses(body[k]):
            everywhere[a.buf] -= 1
        del body[k]
        for old, new in same.items():
            later = sum(a.buf is old for it in body[k:] for a in pool.accesses(it))
            everywhere[new] += later
            everywhere[old] -= later
            if old.sym is not None and new.sym is not None:
                for it in body[k:]:
                    rename_item(pool, it, {old.sym: size(new.sym)})
        replace_buffers(Program("", body[k:], [], [], pool), {old: (new, tuple(range(len(old.dims)))) for old, new in same.items()})


class Values:
    """What is in the buffers, statement by statement: equal numbers are equal values."""

    def __init__(self, pool: Pool, loop: Loop, everywhere: Counter[Buf]):
        self.pool = pool
        here = Counter(a.buf for it in loop.body for a in pool.accesses(it))
        sizes = {s for b in here for d in b.dims for s in symbols(size(d))}
        own = {b for b, n in here.items() if b.kind in ("local", "temp") and n == everywhere[b] and b not in loop.carried and not b.swapped}
        self.own = {b for b in own if b.sym is None or b.sym not in sizes}
        self.of: dict[Buf, int] = {}
        self.holder: dict[int, Buf] = {}
        self.asked: set[int] = set()
        self.numbers: dict[Any, int] = {}

    def number(self, what: Any) -> int:
        return self.numbers.setdefault(what, len(self.numbers))

    def value(self, b: Buf) -> int:
        """What an iteration's own buffers hold before they are written is nothing, the same for all."""
        if b not in self.of:
            self.of[b] = self.number(("nothing", b.dims, b.dtype, b.kind) if b in self.own else b)
        return self.of[b]

    def again(self, it: Item, later: list[Item]) -> dict[Buf, Buf] | None:
        """Where the statement does nothing new: whose values its own are.  None where it does, which is noted."""
        new = self.after(it)
        if isinstance(it, Exit) and it.capacity is None:
            key = Reader(self, set()).item(it)
            if key in self.asked:
                return {}
            self.asked.add(key)
        same = {b: self.holder[v] for b, v in new.items() if v in self.holder and self.value(self.holder[v]) == v}
        if new and len(same) == len(new) and self.may_stand(same, later):
            return same
        self.of.update(new)
        for b, v in new.items():
            if v not in self.holder or self.value(self.holder[v]) != v:
                self.holder[v] = b
        return None

    def after(self, it: Item) -> dict[Buf, int]:
        """What the statement leaves in the buffers that it writes."""
        if isinstance(it, Store):
            reader = Reader(self, set())
            value = reader.expr(it.value)
            if it.mode == "set" and not it.dims:
                return {it.buf: value if it.value.dtype == it.buf.dtype else self.number(("as", it.buf.dtype, value))}
            return {it.buf: self.number(("store", self.value(it.buf), it.mode, reader.dims(it.dims), reader.dims(it.coords), value))}
        reader = Reader(self, {a.buf for a in self.pool.accesses(it) if a.writes})
        key = self.number((reader.item(it), tuple(map(self.value, reader.met))))
        return {b: self.number((key, n)) for b, n in reader.met.items()}

    def may_stand(self, same: dict[Buf, Buf], later: list[Item]) -> bool:
        """Nobody changes either afterwards, and the one that goes is nobody else's."""
        changed = {a.buf for it in later for a in self.pool.accesses(it) if a.writes}
        return all(
            old in self.own and new is not old and old.kind == new.kind and (old.sym is None) == (new.sym is None) and old.dims == new.dims
            and old.dtype == new.dtype and not changed & {old, new}
            for old, new in same.items()
        )  # fmt: skip


class Reader:
    """Numbers of a statement's parts.  Loops have no names, nor has what the statement itself writes: they count as they are met."""

    def __init__(self, values: Values, written: set[Buf]):
        self.values, self.pool, self.number = values, values.pool, values.number
        self.written = written
        self.met: dict[Buf, int] = {}
        self.vars: dict[Sym, int] = {}
        self.known: dict[Expr, int] = {}

    def buf(self, b: Buf) -> Any:
        if b in self.written:
            return "own", self.met.setdefault(b, len(self.met))
        return self.values.value(b)

    def items(self, body: list[Item]) -> Any:
        return tuple(map(self.item, body))

    def item(self, it: Item) -> int:
        return self.number(self.said(it))

    def said(self, it: Item) -> Any:
        match it:
            case Store():
                return self.expr(it.value), self.dims(it.dims), self.dims(it.coords), it.mode, self.buf(it.buf)
            case Loop():
                count = self.dim(it.count)
                self.vars[it.var] = len(self.vars)
                return "for", count, it.reverse, it.nest, it.product, len(it.carried), self.items(it.body)
            case Branch():
                return "if", self.expr(it.cond), self.items(it.then), self.items(it.orelse)
            case Repeat():
                return "while", self.items(it.head), self.expr(it.cond), self.items(it.body)
            case Exit():
                return "exit", self.expr(it.cond), it.code, it.when, it.capacity
            case CallFn():
                args = tuple(self.buf(a) if isinstance(a, Buf) else self.expr(a) for a in it.args)
                return "call", it.name, args, tuple(map(self.buf, it.outs)), it.code
            case Swap():
                return it  # nothing is like it

    def expr(self, e: Expr) -> int:
        if e not in self.known:
            self.known[e] = self.found(e)
        return self.known[e]

    def found(self, e: Expr) -> int:
        match e:
            case Index() if isinstance(e.dim, Size) and e.dim.is_symbol:
                atom = self.atom(symbols(e.dim)[0])
                return atom if isinstance(atom, int) else self.number(("index", atom))
            case Index():
                return self.number(("index", self.dim(e.dim)))
            case Load() if e.buf.kind == "local" and e.buf not in self.written:
                return self.values.value(e.buf)
            case Load():
                return self.number(("load", self.buf(e.buf), self.dims(e.dims), self.dims(e.coords)))
            case Apply():
                return self.number((e.text, e.dtype, tuple(map(self.expr, e.args))))
        return self.number(e)

    def dims(self, ds: tuple[Dim, ...]) -> Any:
        return tuple(map(self.dim, ds))

    def dim(self, d: Dim) -> Any:
        if not isinstance(d, Size):
            return d
        return frozenset((tuple(sorted(map(self.atom, monomial), key=repr)), c) for monomial, c in d.terms)

    def atom(self, a: Sym | Quotient) -> Any:
        if isinstance(a, Quotient):
            return a.op, self.dim(a.left), self.dim(a.right)
        if a in self.vars:
            return "var", self.vars[a]
        if a in self.pool.locals:
            return self.buf(self.pool.locals[a])
        return self.expr(self.pool.opaque[a]) if a in self.pool.opaque else a


__all__ = ["leave_out_repeats"]
