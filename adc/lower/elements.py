"""Loops that a person wrote over the elements of grids become the nests that array code has.

In: a program whose checks are hoisted.  Out: the same, where such loops are nests of one statement each, so that all that is done to
nests is done to them: the reverse of a stencil gathers, states change places instead of being copied.

    for i: for j:                                       for i: for j: t[i, j] = bar[i + 1, j + 1]
        t = bar[i + 1, j + 1]                           for i: for j: bar[i + 1, j + 1] = 0
        bar[i + 1, j + 1] = 0                    →      for i: for j: part[i, j + 1] += 0.2 * t[i, j]
        part[i, j + 1] += 0.2 * t                       for i: for j: part[i + 2, j + 1] += 0.2 * t[i, j]
        part[i + 2, j + 1] += 0.2 * t

This is loop distribution (Allen and Kennedy, "Optimizing Compilers for Modern Architectures", 2001), where no iteration needs another:
an array or a number is only read, or only added to, or each iteration has an element of its own.  It is done where something follows from it: several
additions of one number at distances that are known (see `gather`), a copy of a whole array that a step of a loop does not need, or a state that is
computed in one of two arrays that change places (see `record`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from adc.ir import Dim, Sym, size, symbols
from adc.lower.borders import apart, inner
from adc.lower.boxes import box, nest
from adc.lower.choices import choose, without_branches
from adc.lower.exchange import as_copy
from adc.lower.gather import factored
from adc.lower.independent import counts, independent
from adc.lower.nodes import Access, Branch, Buf, Expr, Item, Loop, Pool, Program, Store, Swap, bodies

CHEAP = 3
"""What computing a number takes at most that is computed again for each statement that has it (see `Pool.cost`)."""


def raise_elements(program: Program) -> None:
    pool = program.pool
    known = {s for p in program.params for d in p.dims for s in symbols(size(d))}
    everywhere = counts(pool, program.body)

    def visit(body: list[Item], around: frozenset[Sym]) -> None:
        nonlocal everywhere
        copies = {new for new, _, _ in _copied(pool, body, everywhere)}
        states = copies | {b for it in body if isinstance(it, Swap) for b in (it.a, it.b)}
        for it in list(body):
            if isinstance(it, Loop) and not it.nest:
                clear = _clear(pool, it, everywhere, around)
                grid = _grid(pool, clear.inside, everywhere | counts(pool, [clear.inside]))
                gathers = grid is not None and grid.spreads(known)
                if grid is not None and (gathers or grid.sets(states) or (clear.inside is not it and grid.alone())):
                    if gathers and it.note:
                        program.story.append(f"`{it.note}`: what an iteration adds to several elements is gathered, and each element written once")
                    program.story += clear.story()
                    at = body.index(it)
                    body[at : at + 1] = [*grid.nests(), *clear.borders]
                    everywhere = counts(pool, program.body)
                    continue
                if independent(pool, it, everywhere) is not None:  # examples: what one of them does stays together
                    if clear.borders:
                        program.story += clear.story()
                        at = body.index(it)
                        body[at : at + 1] = [clear.plain, *clear.borders]
                        everywhere = counts(pool, program.body)
                    chosen = choose(pool, clear.plain if clear.borders else it, everywhere, around)
                    program.story += [f"`{x.note}`: both sides are computed, and one is chosen" for x in chosen if x.note]
                    continue
            for part in bodies(it):
                visit(part, around | {it.var} if isinstance(it, Loop) else around)
        if copies:
            _drop_copies(pool, body, counts(pool, program.body), known)

    visit(program.body, frozenset())


@dataclass
class Clear:
    """A loop without branches, and its borders beside."""

    inside: Loop
    borders: list[Item]
    plain: Loop
    """The inside with the branches that it has."""

    def story(self) -> list[str]:
        return [f"`{self.plain.note}`: what asks for the border is done apart, and the inside asks nothing"] if self.borders and self.plain.note else []


def _clear(pool: Pool, loop: Loop, everywhere: Counter[Buf], around: frozenset[Sym]) -> Clear:
    """The loop as it is, where that cannot be had."""
    found = apart(pool, loop, everywhere)
    if found is None:
        return Clear(loop, [], loop)
    plain, bounds, borders = found
    loops = [plain]
    while isinstance(inner_loop := loops[-1].body[0], Loop):
        loops.append(inner_loop)
    body: list[Item] | None = without_branches(pool, loops[-1].body, bounds, around, counts(pool, loops[-1].body))  # type: ignore[assignment]
    inside = plain
    if body is not None and any(isinstance(x, Branch) for x in loops[-1].body):
        for x in reversed(loops):
            body = [replace(x, body=body)]
        inside = body[0]  # type: ignore[assignment]
    return Clear(inside, borders, plain)


@dataclass
class Grid:
    """Loops over a box, and statements each of whose iterations stands for itself."""

    pool: Pool
    loops: list[Loop]
    body: list[Store]
    written: set[Buf]

    def sets(self, bufs: set[Buf]) -> bool:
        """Does it compute one of them, and adds to none: additions that are not gathered are better off in one loop."""
        return any(s.buf in bufs and s.mode == "set" for s in self.body) and not any(s.mode == "sum" and s.buf.kind != "local" for s in self.body)

    def alone(self) -> bool:
        """Is there one statement, which is not cut off from anything?"""
        stores = self.statements()
        return len(stores) == 1 and stores[0].mode == "set"

    def spreads(self, known: set[Sym]) -> bool:
        """Is one number added at several distances, and all else at one, so that gathering is one pass?"""
        sums = [s for s in self.statements() if s.mode == "sum" and s.buf.kind != "local"]
        sizes = [d for s in sums for d in s.dims] + [x.count for x in self.loops]
        if any(self.shift(s) is None for s in sums) or any(x not in known for d in sizes for x in symbols(size(d))):
            return False
        spread = self.spread(sums)
        return bool(spread) and len({self.shift(s) for s in sums if s not in spread}) <= 1

    def spread(self, stores: list[Store]) -> list[Store]:
        """Additions of one number at several distances."""
        groups: dict[tuple[Buf, Expr], list[Store]] = {}
        for s in stores:
            if s.mode == "sum" and s.buf.kind != "local" and self.shift(s) is not None:
                groups.setdefault((s.buf, factored(self.pool, s.value, s.buf.dtype, self.written)[0]), []).append(s)
        return [s for group in groups.values() if len({self.shift(s) for s in group}) > 1 for s in group]

    def shift(self, s: Store) -> tuple[int, ...] | None:
        """How far from the loops' own place the element is."""
        if len(s.coords) != len(self.loops) or s.dims != s.buf.dims or s.buf.dtype.kind != "f":
            return None
        gaps = [size(c) - size(x.var) for c, x in zip(s.coords, self.loops, strict=True)]
        return tuple(g for g in gaps if isinstance(g, int)) if all(isinstance(g, int) and g >= 0 for g in gaps) else None

    # ------------------------------------------------------------ one statement each

    def statements(self) -> list[Store]:
        """The stores to arrays, without the variables of an iteration: an array has those that are costly, or that a later store changes."""
        place = tuple(size(x.var) for x in self.loops)
        extents = tuple(x.count for x in self.loops)
        value: dict[Expr, Expr] = {}
        memo: dict[Expr, Expr] = {}
        out: list[Store] = []
        for s in self.body:
            e = self.pool.replace(s.value, value.get, memo)
            if s.buf.kind != "local" or s.mode == "sum":
                out.append(Store(s.buf, s.dims, s.coords, e, s.mode, s.note))
                continue
            if self.pool.reads(e) & self.written or (self.pool.cost(e) > CHEAP and self.uses(s.buf) > 1):
                kept = Buf(s.buf.hint, s.buf.dtype, extents)
                out.append(Store(kept, extents, place, e, "set", s.note))
                e = self.pool.load(kept, extents, place)
            value[self.pool.load(s.buf, (), ())] = e
            memo.clear()  # from here on the variable has a value
        return out

    def uses(self, buf: Buf) -> int:
        return sum(a.buf is buf and not a.writes for s in self.body for a in self.pool.accesses(s))

    def in_order(self) -> list[Store]:
        """What is spread comes last: the rest is then beside what it was made of."""
        stores = self.statements()
        spread = self.spread(stores)
        rest = [s for s in stores if s not in spread]
        changed = {s.buf for s in rest if s.buf in self.written}
        return stores if any(self.pool.reads(s.value) & changed for s in spread) else [*rest, *spread]

    def nests(self) -> list[Item]:
        out: list[Item] = []
        for s in self.in_order():
            names = [(Sym(x.var.hint), x.count) for x in self.loops]
            table: dict[Sym, Dim] = {x.var: size(v) for x, (v, _) in zip(self.loops, names, strict=True)}
            memo: dict[Expr, Expr] = {}
            own = Store(s.buf, s.dims, tuple(self.pool.subst_dim(c, table, memo) for c in s.coords), self.pool.subst(s.value, table, memo), s.mode, s.note)
            out += nest(names, [own], note=s.note)
        return out


def _grid(pool: Pool, loop: Loop, everywhere: Counter[Buf]) -> Grid | None:
    loops, body = [loop], loop.body
    totals: dict[Buf, Buf] = {}
    while (found := inner(pool, body, everywhere)) is not None:
        more, parts = found
        loops.append(more)
        body = more.body
        totals = {**totals, **{part: totals.get(total, total) for part, total in parts.items()}}
    variables = {x.var for x in loops}
    if not all(isinstance(s, Store) for s in body) or any(v in symbols(size(x.count)) for v in variables for x in loops):
        return None
    stores = [Store(totals.get(s.buf, s.buf), s.dims, s.coords, s.value, s.mode, s.note) for s in body if isinstance(s, Store)]
    uses = [a for s in stores for a in pool.accesses(s)]
    here = Counter(a.buf for a in uses)
    ready: set[Buf] = set()
    for s in stores:
        read = {a.buf for a in pool.accesses(s) if a.buf.kind == "local" and not (a.writes and a.buf is s.buf)}
        if any(b in here and any(x.buf is b for x in stores) and b not in ready for b in read):
            return None  # of the iteration before
        if s.buf.kind == "local" and {a.mode for a in uses if a.buf is s.buf} != {"sum"}:
            if s.mode != "set" or s.buf.sym is not None or s.buf in ready or here[s.buf] != everywhere[s.buf]:
                return None
            ready.add(s.buf)
    written = {s.buf for s in stores if s.buf.kind != "local"}
    for buf in written:
        mine = [a for a in uses if a.buf is buf]
        if {a.mode for a in mine} != {"sum"} and not _own(pool, mine, loops):
            return None
    if any(pool.opaque.get(v) is not None and pool.reads(pool.opaque[v]) & written for a in uses for c in a.coords for v in symbols(size(c))):
        return None
    return Grid(pool, loops, stores, written)


def _own(pool: Pool, uses: list[Access], loops: list[Loop]) -> bool:
    """Does every iteration have an element of its own, the same in all of the accesses?"""
    first = uses[0]
    if any((a.dims, a.coords) != (first.dims, first.coords) for a in uses):
        return False
    left = {x.var for x in loops}
    for c in first.coords:
        mine = [v for v in left if v in symbols(size(c))]
        if len(mine) > 1 or any(s in pool.opaque for s in symbols(size(c))):
            return False
        if mine:
            if any(x.var in symbols(size(c) - size(mine[0])) for x in loops):
                return False
            left.remove(mine[0])
    return not left


# ---------------------------------------------------------------- copies of whole arrays


def _copied(pool: Pool, body: list[Item], everywhere: Counter[Buf]) -> Iterator[tuple[Buf, Item, Item]]:
    """`new[:] = carry[:]` … `carry[:] = new[:]`, where `new` is nowhere else: (new, the first, the last)."""
    for first in body:
        to_from = as_copy(first)
        if to_from is None or to_from[0].kind != "temp":
            continue
        new, carry = to_from
        last = next((it for it in body[body.index(first) + 1 :] if as_copy(it) == (carry, new)), None)
        if last is None or new.dims != carry.dims or carry.kind == "param":
            continue
        between = body[body.index(first) + 1 : body.index(last)]
        inside = [a for it in between for a in pool.accesses(it)]
        if any(a.buf is carry and a.writes for a in inside) or sum(a.buf is new for a in inside) + 2 != everywhere[new]:
            continue
        if [a.mode for a in inside if a.buf is new] == ["set"]:
            yield new, first, last


def _drop_copies(pool: Pool, body: list[Item], everywhere: Counter[Buf], known: set[Sym]) -> None:
    """Where a nest sets the inside of `new`, and the rim is the copy's, the inside alone goes to `carry`."""
    for new, first, last in list(_copied(pool, body, everywhere)):
        it = next(x for x in body[body.index(first) + 1 :] if any(a.buf is new for a in pool.accesses(x)))
        loops: list[Loop] = []
        while isinstance(it, Loop) and it.nest and len(it.body) == 1:
            loops.append(it)
            it = it.body[0]
        if not isinstance(it, Store) or box(loops, it.coords) is None or len(loops) != len(it.coords) or it.dims != new.dims:
            continue
        carry = as_copy(last)[0]  # type: ignore[index]
        names = [(Sym(x.var.hint), x.count) for x in loops]
        table: dict[Sym, Dim] = {x.var: size(v) for x, (v, _) in zip(loops, names, strict=True)}
        place = tuple(pool.subst_dim(c, table) for c in it.coords)
        if all(s in known for x in loops for s in symbols(size(x.count))):
            extents = tuple(x.count for x in loops)
            inside = Buf(new.hint, new.dtype, extents)
            part = pool.load(inside, extents, tuple(size(v) for v, _ in names))
            it.buf, it.dims, it.coords = inside, extents, tuple(size(x.var) for x in loops)
        else:  # another box in each step: as large as the whole
            part = pool.load(new, new.dims, place)
        back = Store(carry, carry.dims, place, part, note=it.note)
        body[body.index(last)] = nest(names, [back], note=it.note)[0]
        body.remove(first)


__all__ = ["raise_elements"]
