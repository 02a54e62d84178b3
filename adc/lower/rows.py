"""Where a row begins has a name, when several places lie in it.

In: loops in their last form.  Out: the same, with variables for the part of a position that inner loops do not change: a reader
sees which elements lie side by side, and Numba has fewer operations to type.

    for i in range(k):                                                  for i in range(k):
        for lane in range(lanes):                                           base = at + i * tile
            e = math.exp(z[at + i * tile + lane] - top[lane])      →        for lane in range(lanes):
            p[at + i * tile + lane] = e                                         e = math.exp(z[base + lane] - top[lane])
            total[lane] += e                                                    p[base + lane] = e
                                                                                total[lane] += e

Sizes alone stay with the element: the neighbours `u[base + j]` and `u[base + m + j]` of a stencil count from one row.  From here on an
access may have one coordinate more than dims: the first is the position that the others count from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from adc.ir import I8, Dim, Size, Sym, size, symbols
from adc.ir.dims import Monomial, size_terms
from adc.lower.nodes import Branch, Buf, Exit, Expr, Item, Load, Loop, Pool, Program, Store, bodies
from adc.lower.variables import Variables

WORTH = 2
"""How many operations on positions a name saves at least."""

SIZE = -1
"""The level of symbols that keep their value throughout the kernel."""

Coords = tuple[Dim, ...]


@dataclass(frozen=True)
class Place:
    """An element as a statement names it."""

    buf: Buf
    dims: tuple[Dim, ...]
    coords: Coords

    def position(self, coords: Coords) -> Dim:
        where: Dim = 0
        for d, c in zip(self.dims, coords, strict=True):
            where = where * d + c
        return where

    def operations(self, coords: Coords) -> int:
        """What a position takes to compute."""
        count, begun = 0, False
        for d, c in zip(self.dims, coords, strict=True):
            terms = size_terms(c)
            count += (begun and d != 1) + sum(len(m) - (abs(n) == 1) for m, n in terms if m) + max(0, len(terms) - 1) + (begun and bool(terms))
            begun = begun or bool(terms)
        return count


@dataclass(eq=False)
class Row:
    """Places that lie side by side, and the item before which the beginning gets its name."""

    first: Item
    begin: Coords
    """Coordinates of the beginning in the array of the first place."""
    places: list[tuple[Item, Place, Coords]] = field(default_factory=list)
    """Statements, what they name, and the coordinates that are left in the row."""

    @property
    def saved(self) -> int:
        _, place, _ = self.places[0]
        return place.operations(self.begin) * (len(self.places) - 1)


@dataclass(eq=False)
class Scope:
    """A body that is being looked at: what has got its only value there, and the rows that begin where the body says."""

    level: int
    now: Item
    bound: set[Sym]
    rows: dict[Dim, Row] = field(default_factory=dict)


def name_rows(program: Program) -> None:
    Rows(program).body(program.body, ())


class Rows:
    def __init__(self, program: Program):
        self.pool = program.pool
        self.writes = Variables(program).writes
        self.loops: set[Sym] = set()
        self.scopes: list[Scope] = []

    def body(self, body: list[Item], bound: tuple[Sym, ...]) -> None:
        if not body:
            return
        scope = Scope(len(self.scopes), body[0], set(bound))
        self.scopes.append(scope)
        for it in body:
            scope.now = it
            for place in self.places(it):
                self.in_row(it, place)
            inner = (it.var,) if isinstance(it, Loop) else ()
            self.loops.update(inner)
            for b in bodies(it):
                self.body(b, inner)
            if isinstance(it, Store) and it.buf.sym is not None and self.writes[it.buf] == 1:
                scope.bound.add(it.buf.sym)
        self.scopes.pop()
        for row in scope.rows.values():
            if row.saved >= WORTH:
                self.name(body, row)

    # ------------------------------------------------------------ where rows begin

    def places(self, it: Item) -> Iterator[Place]:
        if isinstance(it, Store) and it.buf.dims:
            yield Place(it.buf, it.dims, it.coords)
        for e in self.pool.nodes(*evaluated(self.pool, it)):
            if isinstance(e, Load) and e.buf.dims:
                yield Place(e.buf, e.dims, e.coords)

    def in_row(self, it: Item, place: Place) -> None:
        """Puts a place into the row in which it lies: what is fixed of its coordinates, but for the last step."""
        terms = [(k, monomial, c, self.level(monomial)) for k, coord in enumerate(place.coords) for monomial, c in size_terms(coord)]
        last = max((level for *_, level in terms if level is not None), default=SIZE)
        if all(k == len(place.dims) - 1 and len(monomial) == 1 and c == 1 for k, monomial, c, level in terms if level == last):
            terms = [t for t in terms if t[3] != last]
        fixed = [(k, monomial, c, level) for k, monomial, c, level in terms if level is not None and level > SIZE]
        if not fixed:
            return
        begin = [size(0)] * len(place.dims)
        for k, monomial, c, _ in fixed:
            begin[k] = size(begin[k]) + Size(((monomial, c),))
        home = self.scopes[max(level for *_, level in fixed)]
        row = home.rows.setdefault(place.position(tuple(begin)), Row(home.now, tuple(begin)))
        row.places.append((it, place, tuple(size(c) - b for c, b in zip(place.coords, begin, strict=True))))

    def level(self, monomial: Monomial) -> int | None:
        """How deep the body is that fixes it; None where it may change."""
        levels = [self.level_of(s) for s in symbols(Size(((monomial, 1),)))]
        return None if None in levels else max((v for v in levels if v is not None), default=SIZE)

    def level_of(self, s: Sym) -> int | None:
        for scope in reversed(self.scopes):
            if s in scope.bound:
                return scope.level or SIZE  # what the kernel sets once before all loops, such as `tile`, is as good as a size
        buf = self.pool.locals.get(s)
        moves = s in self.pool.opaque or s in self.loops or (buf is not None and (buf.kind != "param" or self.writes[buf] > 0))
        return None if moves else SIZE

    # ------------------------------------------------------------ naming

    def name(self, body: list[Item], row: Row) -> None:
        bufs = {place.buf for _, place, _ in row.places}
        local = self.pool.local(f"{bufs.pop().hint}_row" if len(bufs) == 1 else "base", I8)
        assert local.sym is not None
        value = self.written(row.places[0][1].dims, row.begin)
        body.insert(body.index(row.first), Store(local, (), (), value, note=getattr(row.first, "note", "")))
        for it, place, rest in row.places:
            self.rewrite(it, place, (size(local.sym), *rest))

    def rewrite(self, it: Item, old: Place, coords: Coords) -> None:
        memo: dict[Expr, Expr] = {}

        def swap(e: Load) -> Expr | None:
            return self.pool.load(e.buf, e.dims, coords) if Place(e.buf, e.dims, e.coords) == old else None

        match it:
            case Store():
                it.value = self.pool.replace(it.value, swap, memo)
                it.coords = tuple(self.pool.replace_dim(c, swap, memo) for c in it.coords)
                if Place(it.buf, it.dims, it.coords) == old:
                    it.coords = coords
            case Branch() | Exit():
                it.cond = self.pool.replace(it.cond, swap, memo)

    def written(self, dims: tuple[Dim, ...], coords: Coords) -> Expr:
        """A position by Horner's rule."""
        found: Expr | None = None
        for d, c in zip(dims, coords, strict=True):
            if found is not None and d != 1:
                found = self.pool.apply("{0} * {1}", (found, self.pool.index(d)), I8)
            if c != 0:
                found = self.pool.index(c) if found is None else self.pool.apply("{0} + {1}", (found, self.pool.index(c)), I8)
        assert found is not None
        return found


def evaluated(pool: Pool, it: Item) -> list[Expr]:
    """What a statement computes whenever it is reached."""
    match it:
        case Store():
            return [it.value, *(e for c in it.coords for e in pool.dim_parts(c))]
        case Branch() | Exit():
            return [it.cond]
    return []


__all__ = ["name_rows"]
