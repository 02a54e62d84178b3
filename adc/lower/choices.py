"""Branches in loops whose iterations are independent become choices between two numbers.

In: the body of such a loop.  Out: the same without branches, where it is harmless to compute both sides.

    if mask[i, j]:                                 t = v[i, j]
        t = v[i, j]                         →      v[i, j] = 0.0
        v[i, j] = 0.0                              w[i - 1, j] += 0.2 * (t if mask[i, j] else 0.0)
        w[i - 1, j] += 0.2 * t                     w[i, j] += t
        w[i, j] += t
    else:
        t = v[i, j]
        v[i, j] = 0.0
        w[i, j] += t

This is if-conversion (Allen, Kennedy, Porterfield and Warren, "Conversion of control dependence to data dependence", 1983).  Harmless is what reads
inside its arrays whatever the condition says, what no integer division can end, and what is not too dear (see `DEAREST`).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from adc.ir import Dim, Sym, size
from adc.lower.bounds import BOOL, CHOICE, Bounds
from adc.lower.independent import counts
from adc.lower.nodes import Apply, Branch, Buf, Const, Expr, Item, Load, Loop, Pool, Store

DEAREST = 200
"""What both sides may cost together (see `Pool.cost`): without branches a loop takes vectors, which are several times as fast, so that
computing both sides loses only where a dear one is seldom taken."""

Place = tuple[Buf, tuple[Dim, ...], tuple[Dim, ...]]


def choose(pool: Pool, loop: Loop, everywhere: Counter[Buf], around: frozenset[Sym], ranges: dict[Sym, tuple[Dim, Dim]] | None = None) -> list[Branch]:
    """In a loop whose iterations are independent, in place, wherever it is harmless; the branches that are gone.  `around`: variables of loops around it."""
    gone: list[Branch] = []
    ranges = {**(ranges or {}), loop.var: (0, size(loop.count) - 1)}
    bounds = Bounds(pool, ranges)
    for it in list(loop.body):
        if isinstance(it, Loop):
            gone += choose(pool, it, everywhere, around, ranges)
        elif isinstance(it, Branch):
            stores = without_branches(pool, [it], bounds, around, everywhere)
            if stores is not None:
                at = loop.body.index(it)
                loop.body[at : at + 1] = stores
                gone.append(it)
    return gone


def without_branches(pool: Pool, body: list[Item], bounds: Bounds, around: frozenset[Sym], everywhere: Counter[Buf]) -> list[Store] | None:
    """None where a branch must stay one.  `everywhere`: how often buffers are used in all of the program, or in all of a body that is not yet part of it."""
    out: list[Store] = []
    for it in body:
        match it:
            case Store():
                out.append(it)
            case Branch():
                sides = [without_branches(pool, side, bounds, around, everywhere) for side in (it.then, it.orelse)]
                if sides[0] is None or sides[1] is None:
                    return None
                both = _Side(pool, sides[0]), _Side(pool, sides[1])
                if not all(s.plain for s in both) or _entangled(both) or not _harmless(pool, both, bounds, around):
                    return None
                here = counts(pool, [it])
                outside = {b for b in here if here[b] != everywhere[b]}
                given = {b for s in both for b in s.locals if b in outside}
                if any(pool.reads(e) & given for s in both for e in s.values()):
                    return None  # set one after the other, one would be made of another's new value
                out += _merged(pool, it, both, outside)
            case _:
                return None
    return out


class _Side:
    """What a side does, said in terms of what was there before it."""

    def __init__(self, pool: Pool, stores: list[Store]):
        self.pool = pool
        self.locals: dict[Buf, Expr] = {}
        self.sets: dict[Place, Expr] = {}
        self.sums: list[tuple[Place, Expr, str]] = []
        self.notes: dict[Place, str] = {}
        self.plain = all(self.take(s) for s in stores)

    def take(self, s: Store) -> bool:
        value = self.pool.replace(s.value, self.known, {})
        place = (s.buf, s.dims, s.coords)
        changed = {b for b, _, _ in (*self.sets, *(p for p, _, _ in self.sums))}
        if s.mode not in ("set", "sum") or s.buf.sym is not None or (self.pool.reads(value) & changed and not self.before(s, changed)):
            return False
        self.notes[place] = s.note
        if s.mode == "sum":
            if s.buf in self.locals or s.buf in {b for b, _, _ in self.sets}:
                return False
            self.sums.append((place, value, s.note))
        elif s.buf.kind == "local":
            self.locals[s.buf] = value
        else:
            if any(p[0] is s.buf and p != place for p in self.sets) or s.buf in {b for (b, _, _), _, _ in self.sums}:
                return False
            self.sets[place] = value
        return True

    def known(self, x: Load) -> Expr | None:
        return self.locals.get(x.buf) if x.buf.kind == "local" else self.sets.get((x.buf, x.dims, x.coords))

    def before(self, s: Store, changed: set[Buf]) -> bool:
        """Is all that it reads of what was changed what was there before?  (The place that was set has its value in place of the read.)"""
        reads = [a for a in self.pool.accesses(s) if not a.writes and a.buf in changed]
        return all((a.buf, a.dims, a.coords) in self.sets for a in reads)

    def values(self) -> list[Expr]:
        return [*self.sets.values(), *(v for _, v, _ in self.sums), *self.locals.values()]

    def places(self) -> list[Place]:
        return [*self.sets, *(p for p, _, _ in self.sums)]


def _entangled(sides: tuple[_Side, _Side]) -> bool:
    """Does one side set what the other adds to, or another place of it?"""
    sets = {p for s in sides for p in s.sets}
    bufs = {b for b, _, _ in sets}
    return len(sets) != len(bufs) or any(p[0] in bufs or p[0] in s.locals for s in sides for t in sides for p, _, _ in t.sums)


def _harmless(pool: Pool, sides: tuple[_Side, _Side], bounds: Bounds, around: frozenset[Sym]) -> bool:
    roots = [e for s in sides for e in s.values()]
    if sum(pool.cost(e) for e in dict.fromkeys(roots)) > DEAREST:
        return False
    places = [p for s in sides for p in s.places() if p[0].kind != "local"]
    for x in pool.nodes(*roots):
        if isinstance(x, Load) and x.buf.kind != "local":
            places.append((x.buf, x.dims, x.coords))
        elif isinstance(x, Apply) and x.dtype.kind in "iu" and any(sign in x.text for sign in ("//", "%", "/")):
            return False

    def inside(buf: Buf, c: Dim, d: Dim) -> bool:
        # a tape has a row for every turn of the loop around it
        return bounds.within(c, d) or (buf.kind == "temp" and any(c == size(v) for v in around))

    return all(inside(buf, c, d) for buf, dims, coords in places for c, d in zip(coords, dims, strict=True))


def _merged(pool: Pool, it: Branch, sides: tuple[_Side, _Side], outside: set[Buf]) -> list[Store]:
    """The stores of both sides, each once; what is overwritten is looked at first.  `outside`: what is used after the branch, too."""
    then, orelse = sides
    changed = {b for s in sides for b, _, _ in s.places() if b.kind != "local"}
    cond = pool.local("holds", BOOL)
    out = [Store(cond, (), (), it.cond, note=it.note)]
    holds = pool.load(cond, (), ())
    kept: dict[Expr, Expr] = {}

    def first(x: Load) -> Expr | None:
        if x.buf not in changed:
            return None
        if x not in kept:
            local = pool.local(x.buf.hint, x.dtype)
            out.append(Store(local, (), (), x, note=it.note))
            kept[x] = pool.load(local, (), ())
        return kept[x]

    def read(e: Expr) -> Expr:
        return pool.replace(e, first, {})

    def choice(a: Expr, b: Expr) -> Expr:
        return a if a is b else pool.apply(CHOICE, (holds, a, b), a.dtype)

    late: list[Store] = []
    for buf in dict.fromkeys(b for s in sides for b in s.locals if b in outside):
        was = pool.load(buf, (), ())
        late.append(Store(buf, (), (), choice(read(then.locals.get(buf, was)), read(orelse.locals.get(buf, was))), note=it.note))
    left = list(orelse.sums)
    for place, value, note in then.sums:
        other = next((x for x in left if x[0] == place and x[1] is value), None)
        if other is None and place[0].kind == "local":
            other = next((x for x in left if x[0] == place), None)
        if other is not None:
            left.remove(other)
            late.append(Store(*place, choice(read(value), read(other[1])), "sum", note))
        else:
            late.append(Store(*place, _only(pool, holds, read(value), True), "sum", note))
    late += [Store(*place, _only(pool, holds, read(value), False), "sum", note) for place, value, note in left]
    for place in dict.fromkeys([*then.sets, *orelse.sets]):
        was = pool.load(*place)
        value = choice(read(then.sets.get(place, was)), read(orelse.sets.get(place, was)))
        late.append(Store(*place, value, note=then.notes.get(place) or orelse.notes.get(place, "")))
    return [*out, *late]


def _only(pool: Pool, holds: Expr, e: Expr, when: bool) -> Expr:
    """The number where the condition has that truth, else nothing; factors stay outside, so that one choice serves all that it is multiplied to."""
    if isinstance(e, Apply) and e.text == "-{0}":
        return pool.apply(e.text, (_only(pool, holds, e.args[0], when),), e.dtype, e.cost)
    if isinstance(e, Apply) and e.text == "{0} * {1}" and e.dtype.kind == "f":
        for k in (0, 1):
            factor = e.args[k]
            if isinstance(factor, Const) and np.isfinite(factor.value) and e.args[1 - k].dtype == e.dtype:  # inf * 0 is not nothing
                part = _only(pool, holds, e.args[1 - k], when)
                return pool.apply(e.text, (part, factor) if k else (factor, part), e.dtype, e.cost)
    zero = pool.const(0.0 if e.dtype.kind == "f" else 0, e.dtype)
    return pool.apply(CHOICE, (holds, e, zero) if when else (holds, zero, e), e.dtype)


__all__ = ["choose", "without_branches"]
