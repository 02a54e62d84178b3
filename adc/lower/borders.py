"""Loops whose first and last turns are special: the inside of the box, where nothing is asked, and its borders apart.

In: loops over the elements of grids.  Out: the same elements in other loops, where conditions and indices that ask how far the border is are decided.

    for i in range(n):                                    for i in range(n - 2): w[i + 1] = v[i + 2] + v[i]
        w[i] = v[(i + 1) % n] + v[(i - 1) % n]      →     for e in range(min(2, n)):
                                                              i = e * (n - 1)
                                                              w[i] = v[i + 1 if i + 1 < n else i + 1 - n] + v[i - 1 + n if i - 1 < 0 else i - 1]

This is index set splitting (Allen and Kennedy, "Optimizing Compilers for Modern Architectures", 2001), for iterations that may run in any order: the
borders stay as they were written, in one loop for each axis, so that the kernel does not grow with the corners.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from adc.ir import I8, Dim, Sym, size, symbols
from adc.ir.dims import dim_max, dim_min
from adc.lower.bounds import BOOL, CHOICE, Bounds, turning_points, turns
from adc.lower.independent import counts, independent
from adc.lower.nodes import Branch, Buf, Const, Exit, Expr, Item, Load, Loop, Pool, Program, Store, bodies, items

WIDEST = 8
"""A border has at most so many turns."""


@dataclass
class Box:
    """Loops around one body, one inside the other; what is computed between them is in the body, and sums in parts go to the whole sum."""

    loops: list[Loop]
    body: list[Item]


def box_of(pool: Pool, loop: Loop, everywhere: Counter[Buf]) -> Box | None:
    """None where more than indices and parts of sums stands between the loops, or an inner one depends on an outer one."""
    found, body = [loop], loop.body
    between: list[Item] = []
    totals: dict[Buf, Buf] = {}
    while any(isinstance(it, Loop) for it in body):
        lead = 0
        while isinstance(it := body[lead], Store) and it.buf.sym is not None and it.mode == "set" and it.buf.kind == "local":
            lead += 1
        between += body[:lead]
        inside = inner(pool, body[lead:], everywhere)
        if inside is None:
            return None
        more, parts = inside
        found.append(more)
        body = more.body
        totals = {**totals, **{part: totals.get(total, total) for part, total in parts.items()}}
    variables = {x.var for x in found}
    changed = {a.buf for a in pool.accesses(loop) if a.writes}
    if any(s in variables or pool.locals.get(s) in changed for x in found for s in symbols(size(x.count))):
        return None
    plain = Copied(pool, Bounds(pool, {}), everywhere, [*between, *body], totals).items([*between, *body])
    return None if plain is None else Box(found, plain)


def inner(pool: Pool, body: list[Item], everywhere: Counter[Buf]) -> tuple[Loop, dict[Buf, Buf]] | None:
    """The loop that is all of a body, but for parts of sums: `part = 0`, `for j: part += …`, `total += part`; part → total."""
    inside = [it for it in body if isinstance(it, Loop)]
    if len(inside) != 1 or inside[0].nest or inside[0].product:
        return None
    at = body.index(inside[0])
    zero = {s.buf for s in body[:at] if isinstance(s, Store) and s.buf.kind == "local" and s.mode == "set" and isinstance(s.value, Const) and s.value.value == 0}
    parts: dict[Buf, Buf] = {}
    for s in body[at + 1 :]:
        if isinstance(s, Store) and s.mode == "sum" and s.buf.kind == "local" and isinstance(s.value, Load) and s.value.buf in zero:
            parts[s.value.buf] = s.buf
    if len(body) != 1 + 2 * len(parts) or any(p not in parts for p in zero):
        return None
    found = Counter(a.buf for it in body for a in pool.accesses(it))
    sums = Counter(a.buf for a in pool.accesses(inside[0]) if a.mode == "sum")
    return (inside[0], parts) if all(found[p] == everywhere[p] == sums[p] + 2 for p in parts) else None


def apart(pool: Pool, loop: Loop, everywhere: Counter[Buf]) -> tuple[Loop, Bounds, list[Item]] | None:
    """(the inside, what is certain there, the borders); None where the loop is as it should be, or its iterations have an order."""
    if not any(isinstance(x, Branch) or (isinstance(x, Store) and _asks(pool, x)) for x in items(loop.body)):
        return None
    box = box_of(pool, loop, everywhere)
    if box is None or any(isinstance(x, Loop) for x in items(box.body)):
        return None
    if any(independent(pool, x, everywhere) is None for x in box.loops):
        return None
    variables = {x.var for x in box.loops}
    widths = [_widths(pool, x, box.body, variables) for x in box.loops]
    insides = [size(x.count) - low - high for x, (low, high) in zip(box.loops, widths, strict=True)]
    if any(isinstance(n, int) and n < 1 for n in insides):
        return None

    def piece(axis: int) -> tuple[Loop, Bounds] | None:
        """The inside along the axes before, the border along this one, all along the rest; the inside alone for -1."""
        table: dict[Sym, Dim] = {}
        ranges: dict[Sym, tuple[Dim, Dim]] = {}
        made: list[tuple[Loop, Sym, Dim]] = []
        place: list[Item] = []
        for k, (x, (low, high), n) in enumerate(zip(box.loops, widths, insides, strict=True)):
            var = Sym(x.var.hint)
            if axis < 0 or k < axis:
                table[x.var], count = size(var) + low, n
            elif k == axis:
                count = dim_min(low + high, x.count)
                gap = dim_max(n, 0)
                at = size(var) + gap if not low else size(var)
                if low and high:  # the first ones, then the last
                    name = pool.local(x.var.hint, I8)
                    place.append(Store(name, (), (), _ends(pool, var, low, high, x.count), note=x.note))
                    at = size(name.sym)  # type: ignore[arg-type]
                    ranges[name.sym] = (0, size(x.count) - 1)  # type: ignore[index]
                table[x.var] = at
            else:
                table[x.var], count = size(var), x.count
            ranges[var] = (0, size(count) - 1)
            made.append((x, var, count))
        bounds = Bounds(pool, ranges, [x.count for x in box.loops])
        body = Copied(pool, bounds, everywhere, box.body, {}, table).items(box.body)
        if not body:
            return None
        body[:0] = place
        for x, var, count in reversed(made):
            body = [Loop(var, count, body, x.reverse, nest=False, note=x.note, carried=x.carried, small=axis >= 0)]
        (out,) = body
        assert isinstance(out, Loop)
        return out, bounds

    inside = piece(-1)
    borders = [piece(k) for k, (low, high) in enumerate(widths) if low or high]
    if inside is None or None in borders:
        return None
    return (*inside, [b[0] for b in borders if b is not None])


def _asks(pool: Pool, s: Store) -> bool:
    """Does it have choices between integers, or remainders of them?"""
    roots = [s.value, *(pool.opaque[y] for c in s.coords for y in symbols(size(c)) if y in pool.opaque)]
    return any(True for e in roots for _ in turning_points(pool, e))


def _ends(pool: Pool, var: Sym, low: int, high: int, count: Dim) -> Expr:
    """The turns of both borders, one after the other."""
    if low == high == 1:
        return pool.index(size(var) * (size(count) - 1))
    first = pool.apply("{0} < {1}", (pool.index(size(var)), pool.index(low)), BOOL)
    gap = dim_max(size(count) - low - high, 0)
    return pool.apply(CHOICE, (first, pool.index(size(var)), pool.index(size(var) + gap)), I8)


def _widths(pool: Pool, loop: Loop, body: list[Item], variables: set[Sym]) -> tuple[int, int]:
    return _width(loop, (point for e in _expressions(pool, body) for point in turning_points(pool, e)), variables)


def _width(loop: Loop, points: Iterable[tuple[Dim, int, int]], variables: set[Sym]) -> tuple[int, int]:
    """How many turns at the beginning and at the end are special."""
    low = high = 0
    for gap, below, above in points:
        rest = size(gap) - size(loop.var)
        sign = 1
        if loop.var in symbols(size(rest)):
            rest, sign = size(gap) + size(loop.var), -1
        if any(v in symbols(size(rest)) for v in variables):
            continue
        # gap = sign * i + rest: decided for i up to `before` and from `after` on
        before, after = (below - size(rest), above - size(rest)) if sign > 0 else (size(rest) - above, size(rest) - below)
        end = size(before) - loop.count + 1
        if isinstance(after, int) and 0 < after <= WIDEST:
            low = max(low, after)
        elif isinstance(end, int) and -WIDEST <= end < 0:
            high = max(high, -end)
    return low, high


def split_rings(program: Program) -> None:
    """Rows of nests whose neighbours are those of a ring, `x[(j + 1) % n]`, have a loop for the inside and one for the ends."""
    pool = program.pool
    everywhere = counts(pool, program.body)

    def visit(body: list[Item]) -> None:
        for it in list(body):
            if isinstance(it, Loop) and it.nest and all(isinstance(x, Store) for x in it.body):
                at = body.index(it)
                body[at : at + 1] = _ring(pool, it, everywhere)
            elif not (isinstance(it, Loop) and not it.nest and independent(pool, it, everywhere) is not None):
                for part in bodies(it):  # examples have the turns of a ring outside of their lanes
                    visit(part)

    visit(program.body)


def _ring(pool: Pool, loop: Loop, everywhere: Counter[Buf]) -> list[Item]:
    coords = dict.fromkeys(c for it in loop.body for a in pool.accesses(it) for c in a.coords)
    low, high = _width(loop, (point for c in coords for point in turns(c)), {loop.var})
    inside = size(loop.count) - low - high
    if not (low or high) or (isinstance(inside, int) and inside < 1) or independent(pool, loop, everywhere) is None:
        return [loop]
    out: list[Item] = []
    for border in (False, True):
        var = Sym(loop.var.hint)
        count = dim_min(low + high, loop.count) if border else inside
        at, place, ranges = size(var) + (0 if border else low), [], {var: (0, size(count) - 1)}  # type: tuple[Dim, list[Item], dict[Sym, tuple[Dim, Dim]]]
        if border:
            name = pool.local(loop.var.hint, I8)
            place.append(Store(name, (), (), _ends(pool, var, low, high, loop.count)))
            at, ranges = size(name.sym), {name.sym: (0, size(loop.count) - 1)}  # type: ignore[arg-type, dict-item]
        body = Copied(pool, Bounds(pool, ranges, [loop.count]), everywhere, loop.body, {}, {loop.var: at}).items(loop.body)
        if body is None:
            return [loop]
        out.append(replace(loop, var=var, count=count, body=[*place, *body], small=border))
    return out


def _expressions(pool: Pool, body: list[Item]) -> list[Expr]:
    out: list[Expr] = []
    for it in items(body):
        match it:
            case Store():
                out += [it.value, *(pool.opaque[s] for c in it.coords for s in symbols(size(c)) if s in pool.opaque)]
            case Branch() | Exit():
                out.append(it.cond)
    return out


class Copied:
    """Items once more, with variables of their own, without what is decided; integers that are set once stand where they are used."""

    def __init__(self, pool: Pool, bounds: Bounds, everywhere: Counter[Buf], body: list[Item], totals: dict[Buf, Buf], table: dict[Sym, Dim] | None = None):
        self.pool, self.bounds = pool, bounds
        self.table: dict[Sym, Dim] = dict(table or {})
        found = [a for it in body for a in pool.accesses(it)]
        here = Counter(a.buf for a in found)
        self.written = Counter(a.buf for a in found if a.writes)
        self.own = {b for b in here if b.kind == "local" and (here[b] == everywhere[b] or b not in everywhere)}
        self.bufs: dict[Buf, Buf] = dict(totals)

    def items(self, body: list[Item]) -> list[Item] | None:
        out: list[Item] = []
        for it in body:
            match it:
                case Store():
                    if it.buf.sym is not None:
                        if it.buf not in self.own or it.mode != "set" or self.written[it.buf] != 1:
                            return None
                        value = self.expr(it.value)
                        if any(b in self.written for b in self.pool.reads(value)):
                            return None
                        self.table[it.buf.sym] = self.pool.as_dim(value)
                        continue
                    value, coords = self.expr(it.value), tuple(self.dim(c) for c in it.coords)
                    out.append(Store(self.buf(it.buf), it.dims, coords, value, it.mode, it.note))
                case Exit():
                    cond = self.expr(it.cond)
                    if self.bounds.decide(cond) is not it.when and self.bounds.decide(cond) is not None:
                        continue
                    out.append(Exit(cond, it.code, it.when, it.note, it.capacity))
                case Branch():
                    cond = self.expr(it.cond)
                    truth = self.bounds.decide(cond)
                    then = [] if truth is False else self.items(it.then)
                    orelse = [] if truth is True else self.items(it.orelse)
                    if then is None or orelse is None:
                        return None
                    out += [*then, *orelse] if truth is not None else [Branch(cond, then, orelse, it.note)]
                case _:
                    return None
        return out

    def buf(self, b: Buf) -> Buf:
        if b in self.own and b not in self.bufs:
            self.bufs[b] = self.pool.local(b.hint, b.dtype)
        return self.bufs.get(b, b)

    def expr(self, e: Expr) -> Expr:
        def swap(x: Load) -> Expr | None:
            new = self.buf(x.buf)
            return None if new is x.buf else self.pool.load(new, x.dims, x.coords)

        return self.bounds.fold(self.pool.replace(self.pool.subst(e, self.table), swap, {}))

    def dim(self, d: Dim) -> Dim:
        e = self.expr(self.pool.index(d))
        return self.pool.as_dim(e)


__all__ = ["Copied", "apart", "inner", "split_rings"]
