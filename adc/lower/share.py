"""Loops for several workers: chunks of iterations, with accumulators of their own.

In: a program after `tile`.  Out: the same; loops whose iterations are independent, and long enough, are loops over chunks
marked `shared`, which `text` prints as a function that the pool calls with the lock of the interpreter released.

    for block in range(blocks):                   for chunk in range(chunks):              # shared
        … s += e; g[k] += d …             →           part = 0.0; (g_parts[chunk, :] = 0)
                                                      for turn in range(from this chunk to the next):
                                                          … part += e; g_parts[chunk, k] += d …
                                                      s_parts[chunk] = part
                                                  for chunk in range(chunks): s += s_parts[chunk]; g += g_parts[chunk]

How many chunks there are depends on sizes only, never on how many workers there happen to be, and partial sums are added
in their order: the result is the same to the last bit, whoever computes it.  With one chunk the accumulators are the
results themselves.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from adc.ir import Dim, Size, Sym, product, size, substitute, symbols
from adc.ir.dims import dim_max, dim_min
from adc.lower.checks import asks
from adc.lower.independent import Roles, counts, independent
from adc.lower.nodes import (
    Branch,
    Buf,
    CallFn,
    Expr,
    Item,
    Load,
    Loop,
    Program,
    Repeat,
    Store,
    Swap,
    bodies,
    depth,
    items,
)
from adc.lower.rewrite import rename_item
from adc.lower.rims import ends

CHUNKS = 16
"""Chunks at most: a few for each worker of the machines that adc is for."""
GRAIN = 1 << 17
"""Elementary operations that a chunk should have: 10 to 40 µs, where a worker is told in 1 to 5."""
ROOM = 4 << 20
"""Bytes that the accumulators of all chunks may take, where that leaves a few of them."""
TOTALS = 1 << 18
"""Bytes of sums of matrix products from which on there is one chunk: its products are large enough to be shared one by one, and
accumulators of several chunks would be set, and added up, at the speed of memory (docs/design/tiles.md)."""
TURNS = 16
"""What a loop without a known number of turns is taken to do."""
PAD = 16
"""Elements between the rows of two workers, so that they never write to one cache line."""
START = {"sum": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf, "any": False, "all": True}


def share(program: Program) -> None:
    everywhere = counts(program.pool, program.body)
    _visit(program, program.body, everywhere)


def _visit(program: Program, body: list[Item], everywhere: Counter[Buf], inside: bool = False) -> None:
    """`inside`: of a loop, whose next turn finds what this one left in the caches."""
    heavy: list[Loop] = []
    for it in list(body):
        beside = ends(program.pool, body, it, everywhere) if inside and isinstance(it, Loop) else None
        new = shared(program, it, everywhere) if isinstance(it, Loop) else None
        if new is not None:
            assert isinstance(it, Loop)
            heavy.append(it)
            k = body.index(it)
            body[k : k + 1] = new
            if beside is not None:
                beside.move(program.pool, body, next(x for x in new if isinstance(x, Loop) and x.shared))
            continue
        for inner in bodies(it):
            _visit(program, inner, everywhere, inside or isinstance(it, Loop | Repeat))
    for it in list(body) if inside else ():
        if isinstance(it, Loop) and not it.shared and any(_beside(program, it, h) for h in heavy):
            new = shared(program, it, everywhere, light=True)
            if new is not None:
                k = body.index(it)
                body[k : k + 1] = new


def _beside(program: Program, loop: Loop, heavy: Loop) -> bool:
    """Does it walk over rows that the workers have in their caches from a loop that is shared?"""
    if any(x.product for x in items([loop]) if isinstance(x, Loop)) or depth(loop) < 2 or depth(loop) != depth(heavy) or not isinstance(size(loop.count) - heavy.count, int):
        return False
    mine, theirs = ({a.buf for x in it.body for a in program.pool.accesses(x) if a.buf.dims} for it in (loop, heavy))
    return not mine.isdisjoint(theirs)


# ---------------------------------------------------------------- what a loop costs


def work(program: Program, body: list[Item]) -> Dim:
    """Elementary operations, as an expression in what is known before the loop."""
    total: Dim = 0
    for it in body:
        match it:
            case Store():
                total = size(total) + 1 + program.pool.cost(it.value)
            case Loop():
                inner = it.work or size(middle(it, work(program, it.body))) * it.count
                total = size(total) + inner
            case Branch():
                total = size(total) + work(program, it.then) + work(program, it.orelse)
            case Repeat():
                total = size(total) + size(work(program, it.body)) * TURNS
            case _:
                total = size(total) + 8
    return total


def middle(loop: Loop, cost: Dim) -> Dim:
    """The cost of a turn in the middle."""
    return substitute(cost, {loop.var: size(loop.count) // 2}) if isinstance(cost, Size) else cost


def known_before(program: Program, d: Dim, inside: set[Sym]) -> Dim:
    """`d` with everything that is not known before the loop as `TURNS`."""
    pool = program.pool
    return substitute(size(d), {s: TURNS for s in symbols(size(d)) if s in inside or s in pool.opaque})


# ---------------------------------------------------------------- the loop


def shared(program: Program, loop: Loop, everywhere: Counter[Buf], light: bool = False) -> list[Item] | None:
    """What stands for the loop; None where it stays as it is.

    `light`: also where memory is the limit, since each worker has its part of the arrays in its own cache.
    """
    pool = program.pool
    if loop.small or asks(loop):
        return None  # integers are compared, once: no function of its own for that
    roles = loop.roles or independent(pool, loop, everywhere)
    if roles is None or not _movable(loop, roles) or (light and roles.combined):
        return None
    inside = {x.var for x in items([loop]) if isinstance(x, Loop)}
    inside |= {x.buf.sym for x in items([loop]) if isinstance(x, Store) and x.buf.sym is not None}
    turn = known_before(program, middle(loop, work(program, loop.body)), inside)
    cost = known_before(program, loop.work, inside) if loop.work else size(turn) * loop.count
    if isinstance(cost, int) and cost < 2 * GRAIN:
        return None
    if not loop.work and not light and all(_light(program, it) for it in items(loop.body)):
        return None  # memory is the limit, or nothing at all
    found = {x.buf.sym for x in items([loop]) if isinstance(x, Store) and x.buf.sym is not None}
    rows = {a.buf for it in loop.body for a in pool.accesses(it) if a.buf.kind == "temp"}
    if any(s in found and s not in program.bounds for b in rows for d in b.dims for s in symbols(size(d))):
        return None
    return Sharing(program, loop, roles, cost).write()


def _light(program: Program, it: Item) -> bool:
    """Does it take less than waking a worker, whatever the sizes?"""
    return isinstance(it, Loop) or (isinstance(it, Store) and program.pool.cost(it.value) <= 4)


def _movable(loop: Loop, roles: Roles) -> bool:
    """Nothing inside needs the address of a buffer that each chunk would have of its own."""
    for it in items(loop.body):
        if isinstance(it, CallFn) or (isinstance(it, Swap) and not _rows_change_places(it, roles)):
            return False
    return all(mode in START and (b.dtype.kind == "f" or mode in ("sum", "prod")) for b, mode in roles.combined.items())


def _rows_change_places(it: Swap, roles: Roles) -> bool:
    """Rows of two buffers that each chunk has of its own begin at the same place: the names may change places in the chunk."""
    alike = it.a.dims == it.b.dims and it.a.dtype == it.b.dtype
    return alike and all(b.kind == "temp" and b not in roles.combined and b not in roles.rows for b in (it.a, it.b))


def product_totals(body: list[Item], roles: Roles) -> Dim:
    """Bytes of the totals to which products of matrices add."""
    products = [x for x in items(body) if isinstance(x, Loop) and x.product]
    targets = {s.buf for x in products for s in items(x.body) if isinstance(s, Store) and s.mode == "sum"}
    return sum((size(product(b.dims)) * b.dtype.itemsize for b in roles.combined if b in targets and b.dims), size(0))


class Sharing:
    def __init__(self, program: Program, loop: Loop, roles: Roles, cost: Dim):
        self.program, self.pool, self.loop, self.roles, self.cost = program, program.pool, loop, roles, cost
        self.chunk, self.chunks = Sym("chunk"), Sym("chunks")
        found = counts(self.pool, loop.body)
        written = {a.buf for it in loop.body for a in self.pool.accesses(it) if a.writes}
        self.private = [b for b in found if b in written and b.kind == "temp" and b not in roles.combined and b not in roles.rows]
        self.sums = [(b, m) for b, m in roles.combined.items()]

    def how_many(self) -> Dim:
        """Chunks: by work, and fewer where every chunk needs large accumulators."""
        kept = sum((size(product(b.dims)) * b.dtype.itemsize for b, _ in self.sums if b.dims), size(0))
        grain = GRAIN if kept == 0 else dim_max(GRAIN, size(kept) * 4)
        most: Dim = CHUNKS // 2 if kept == 0 else dim_max(2, dim_min(CHUNKS // 2, ROOM // 2 // size(kept)))
        large = product_totals([self.loop], self.roles)
        if large != 0:
            most = size(most) * dim_min(1, TOTALS // size(large))
        return dim_max(1, dim_min(self.loop.count, 2 * size(dim_min(most, size(self.cost) // (size(grain) * 2)))))

    def write(self) -> list[Item]:
        pool, program, loop = self.pool, self.program, self.loop
        here: Dim = size(self.chunk)
        many: Dim = size(self.chunks)
        number = pool.local("chunks", np.dtype("i8"), self.chunks)
        how_many = self.how_many()
        bound = substitute(size(how_many), {}) if isinstance(how_many, Size) else how_many
        # memory is handed over before the kernel starts: a loop around this one turns later
        known = {s for p in program.params for d in p.dims for s in symbols(size(d))}
        program.bounds[self.chunks] = bound if known.issuperset(symbols(size(how_many))) else CHUNKS
        self.bases: dict[Dim, Sym] = {}
        table: dict[Buf, tuple[Buf, Dim]] = {b: self.own(b, b.hint) for b in self.private}
        before: list[Item] = []
        after: list[Item] = []
        joined: list[Item] = []
        alone: dict[Buf, Buf] = {}
        several = dim_min(1, size(many) - 1)  # nothing to do where there is one chunk
        for b, mode in self.sums:
            start = pool.const(START[mode] if b.dtype.kind in "fb" else int(START[mode]), b.dtype)
            if b.kind == "local":
                part = pool.local(b.hint, b.dtype)
                cells = Buf(f"{b.hint}_parts", b.dtype, (many, PAD))
                before.append(Store(part, (), (), start))
                after.append(Store(cells, cells.dims, (here, 0), pool.load(part, (), ())))
                joined.append(Store(b, (), (), pool.load(cells, cells.dims, (here, 0)), mode))
                table[b] = part, 0
            else:
                table[b] = self.own(b, f"{b.hint}_parts")
                rows, base = table[b]
                k = Sym("i")
                count = product(b.dims)
                alone[rows] = b
                turns = size(several) * count
                there = size(here) * (size(count) + PAD) + size(k)
                before.append(Loop(k, turns, [Store(rows, rows.dims, (size(base) + size(k),), start)]))
                joined.append(Loop(k, turns, [Store(b, (count,), (size(k),), pool.load(rows, rows.dims, (there,)), mode)]))
        turn, first, last = Sym("turn"), Sym("first"), Sym("last")
        begin, end = (pool.local(s.hint, np.dtype("i8"), s) for s in (first, last))
        body = list(loop.body)
        shell = Loop(turn, size(last) - size(first), body, note=loop.note)
        self.redirect(body, table)
        index = Sym(loop.var.hint)
        body.insert(0, Store(pool.local(loop.var.hint, np.dtype("i8"), index), (), (), pool.index(size(first) + size(turn))))
        for it in body[1:]:
            rename_item(pool, it, {loop.var: size(index)})
        chunk_body: list[Item] = [
            Store(begin, (), (), pool.index(size(self.chunk) * loop.count // many)),
            Store(end, (), (), pool.index((size(self.chunk) + 1) * size(loop.count) // many)),
            *(Store(pool.local(s.hint, np.dtype("i8"), s), (), (), pool.index(size(here) * width)) for width, s in self.bases.items()),
            *before,
            shell,
            *after,
        ]
        out: list[Item] = [
            Store(number, (), (), pool.index(how_many), note=loop.note),
            Loop(self.chunk, many, chunk_body, nest=False, note=loop.note, shared=True, alone=alone),
        ]
        program.story.append(f"`{loop.note}`: cut into chunks for the workers, as many as its sizes are worth")
        if joined:
            out.append(Loop(self.chunk, many, joined, nest=False, note=loop.note))
        return out

    def own(self, b: Buf, hint: str) -> tuple[Buf, Dim]:
        """A row for each chunk, and where it begins."""
        width = size(self.bounded(product(b.dims))) + PAD
        base = self.bases.setdefault(width, Sym("at"))
        return Buf(hint, b.dtype, (size(self.chunks) * width,), swapped=b.swapped), size(base)

    def bounded(self, d: Dim) -> Dim:
        """`d`, or what it never exceeds where a chunk itself finds out how large it is."""
        inside = {x.buf.sym for x in items([self.loop]) if isinstance(x, Store) and x.buf.sym is not None}
        while any(s in inside for s in symbols(size(d))):
            d = substitute(size(d), {s: self.program.bounds[s] for s in symbols(size(d)) if s in inside})
        return d

    def redirect(self, body: list[Item], table: dict[Buf, tuple[Buf, Dim]]) -> None:
        pool = self.pool
        memo: dict[Expr, Expr] = {}

        def place(new: Buf, row: Dim, dims: tuple[Dim, ...], coords: tuple[Dim, ...]) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
            if not new.dims:
                return (), ()
            flat: Dim = 0
            for d, c in zip(dims, coords, strict=True):
                flat = size(flat) * d + c
            return new.dims, (size(row) + flat,)

        def swap(e: Load) -> Expr | None:
            if e.buf not in table:
                return None
            new, row = table[e.buf]
            return pool.load(new, *place(new, row, e.dims, e.coords))

        def expr(e: Expr) -> Expr:
            return pool.replace(e, swap, memo)

        for it in items(body):
            match it:
                case Store():
                    it.value, it.coords = expr(it.value), tuple(pool.replace_dim(c, swap, memo) for c in it.coords)
                    if it.buf in table:
                        new, row = table[it.buf]
                        it.dims, it.coords = place(new, row, it.dims, it.coords)
                        it.buf = new
                case Loop():
                    it.count = pool.replace_dim(it.count, swap, memo)
                case Swap():
                    it.a, it.b = (table[b][0] for b in (it.a, it.b))
                case _ if hasattr(it, "cond"):
                    it.cond = expr(it.cond)


__all__ = ["share", "work"]
