"""Where a row begins has a name, when several places lie in it.

In: loops in their last form.  Out: the same, with variables for the part of a position that inner loops do not change: a reader
sees which elements lie side by side, and Numba has fewer operations to type.

    for i in range(k):                                                  for i in range(k):
        for lane in range(lanes):                                           base = at + i * tile
            e = math.exp(z[at + i * tile + lane] - top[lane])      →        for lane in range(lanes):
            p[at + i * tile + lane] = e                                         e = math.exp(z[base + lane] - top[lane])
            total[lane] += e                                                    p[base + lane] = e
                                                                                total[lane] += e

Sizes alone stay with the element: the neighbours `u[base + j]` and `u[base + m + j]` of a stencil count from one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from adc.ir import I8, Dim, Size, Sym, size, symbols
from adc.ir.dims import Monomial, floordiv, product, size_terms
from adc.lower.nodes import Branch, Buf, Exit, Expr, Item, Load, Loop, Pool, Program, Store, bodies
from adc.lower.variables import Variables

WORTH = 2
"""How many operations on positions a name saves at least."""

SIZE = -1
"""The level of symbols that keep their value throughout the kernel."""


@dataclass(frozen=True)
class Place:
    """An element as a statement names it."""

    buf: Buf
    dims: tuple[Dim, ...]
    coords: tuple[Dim, ...]

    @property
    def position(self) -> Dim:
        where: Dim = 0
        for d, c in zip(self.dims, self.coords, strict=True):
            where = where * d + c
        return where


@dataclass(eq=False)
class Row:
    """Places that lie side by side, and the item before which the beginning gets its name."""

    first: Item
    places: list[tuple[Item, Place]] = field(default_factory=list)


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
                found = self.begins(place.position)
                if found is not None:
                    home, start = found
                    home.rows.setdefault(start, Row(home.now)).places.append((it, place))
            inner = (it.var,) if isinstance(it, Loop) else ()
            self.loops.update(inner)
            for b in bodies(it):
                self.body(b, inner)
            if isinstance(it, Store) and it.buf.sym is not None and self.writes[it.buf] == 1:
                scope.bound.add(it.buf.sym)
        self.scopes.pop()
        for start, row in scope.rows.items():
            if operations(start) * (len(row.places) - 1) >= WORTH:
                self.name(body, start, row)

    # ------------------------------------------------------------ where rows begin

    def places(self, it: Item) -> Iterator[Place]:
        if isinstance(it, Store) and it.buf.dims:
            yield Place(it.buf, it.dims, it.coords)
        for e in self.pool.nodes(*evaluated(self.pool, it)):
            if isinstance(e, Load) and e.buf.dims:
                yield Place(e.buf, e.dims, e.coords)

    def begins(self, where: Dim) -> tuple[Scope, Dim] | None:
        """The body that says where the row of a position begins, and where: all but its last step."""
        terms = [(monomial, c, self.level(monomial)) for monomial, c in size_terms(where)]
        last = max((level for _, _, level in terms if level is not None), default=SIZE)
        if all(len(monomial) == 1 and c == 1 for monomial, c, level in terms if level == last):
            terms = [t for t in terms if t[2] != last]
        fixed = [(monomial, c, level) for monomial, c, level in terms if level is not None and level > SIZE]
        start = total((monomial, c) for monomial, c, _ in fixed)
        return (self.scopes[max(level for _, _, level in fixed)], start) if fixed and operations(start) else None

    def level(self, monomial: Monomial) -> int | None:
        """How deep the body is that fixes it; None where it may change."""
        levels = [self.level_of(s) for s in symbols(total([(monomial, 1)]))]
        return None if None in levels else max((v for v in levels if v is not None), default=SIZE)

    def level_of(self, s: Sym) -> int | None:
        for scope in reversed(self.scopes):
            if s in scope.bound:
                return scope.level
        buf = self.pool.locals.get(s)
        moves = s in self.pool.opaque or s in self.loops or (buf is not None and (buf.kind != "param" or self.writes[buf] > 0))
        return None if moves else SIZE

    # ------------------------------------------------------------ naming

    def name(self, body: list[Item], start: Dim, row: Row) -> None:
        bufs = {place.buf for _, place in row.places}
        local = self.pool.local(f"{bufs.pop().hint}_row" if len(bufs) == 1 else "base", I8)
        assert local.sym is not None
        body.insert(body.index(row.first), Store(local, (), (), self.written(start), note=getattr(row.first, "note", "")))
        begin = size(local.sym)
        for it, place in row.places:
            self.rewrite(it, place, Place(place.buf, (product(place.dims), 1), (begin, size(place.position) - start)))

    def rewrite(self, it: Item, old: Place, new: Place) -> None:
        memo: dict[Expr, Expr] = {}

        def swap(e: Load) -> Expr | None:
            return self.pool.load(e.buf, new.dims, new.coords) if (e.buf, e.dims, e.coords) == (old.buf, old.dims, old.coords) else None

        match it:
            case Store():
                it.value = self.pool.replace(it.value, swap, memo)
                it.coords = tuple(self.pool.replace_dim(c, swap, memo) for c in it.coords)
                if (it.buf, it.dims, it.coords) == (old.buf, old.dims, old.coords):
                    it.dims, it.coords = new.dims, new.coords
            case Branch() | Exit():
                it.cond = self.pool.replace(it.cond, swap, memo)

    def written(self, d: Dim) -> Expr:
        factor, inside, rest = factored(d)
        if factor is None:
            return self.pool.index(d)
        found = self.pool.apply("{0} * {1}", (self.written(inside), self.pool.index(size(factor))), I8)
        return found if rest == 0 else self.pool.apply("{0} + {1}", (found, self.written(rest)), I8)


def evaluated(pool: Pool, it: Item) -> list[Expr]:
    """What a statement computes whenever it is reached."""
    match it:
        case Store():
            return [it.value, *(e for c in it.coords for e in pool.dim_parts(c))]
        case Branch() | Exit():
            return [it.cond]
    return []


def total(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    found: Dim = 0
    for monomial, c in terms:
        found = size(found) + (Size(((monomial, c),)) if monomial else c)
    return found


def factored(d: Dim) -> tuple[Sym | None, Dim, Dim]:
    """`factor * inside + rest`, where several terms have one factor."""
    count = Counter(a for monomial, _ in size_terms(d) for a in set(monomial) if isinstance(a, Sym))
    factor, times = max(count.items(), key=lambda pair: pair[1], default=(None, 0))
    if factor is None or times < 2:
        return None, d, 0
    inside = total(t for t in size_terms(d) if factor in t[0])
    return factor, floordiv(inside, size(factor)), size(d) - inside


def operations(d: Dim) -> int:
    """What computing it takes."""
    factor, inside, rest = factored(d)
    if factor is not None:
        return operations(inside) + 1 + (operations(rest) + 1 if rest != 0 else 0)
    terms = size_terms(d)
    return len(terms) - 1 + sum(len(monomial) - (abs(c) == 1) for monomial, c in terms if monomial)


__all__ = ["name_rows"]
