"""Tiles of iterations: a loop over examples with a long body becomes loops over lanes, innermost, inside tiles.

In: a program after `fuse` and `contract`.  Out: the same, where loops whose iterations are independent are tiled in place.

    for i in range(n):                        for start in range(0, n, tile):
        for k in range(d):                        for k in range(d):
            t = t * x[i] + c[k]         →             for j in range(lanes):        # vectorised
        y[i] = f(t)                                       t[j] = t[j] * x[start + j] + c[k]
                                                  for j in range(lanes):
                                                      y[start + j] = f(t[j])

Every variable that one iteration keeps to itself (`Roles.private`) becomes a row of lanes, if more than one of the loops
over lanes needs it; what is the same for all iterations stays what it is.  A loop whose number of turns, or a branch
whose condition, differs between lanes stays whole inside one loop over lanes.  Rows of an argument that are looked at
again and again are copied once per tile, transposed.  How many lanes a tile has follows from what they keep, and the
caches (`machine`).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from adc.ir import Dim, Size, Sym, product, size, symbols
from adc.ir.dims import dim_max, dim_min
from adc.lower.independent import Roles, counts, defined_first, independent
from adc.lower.lane_order import Group, LaneOrder
from adc.lower.machine import caches
from adc.lower.nodes import (
    Branch,
    Buf,
    CallFn,
    Exit,
    Expr,
    Index,
    Item,
    Load,
    Loop,
    Program,
    Repeat,
    Store,
    Swap,
    bodies,
    items,
)
from adc.lower.rewrite import rename_item
from adc.lower.share import TOTALS, middle, product_totals, work

MOST = 128
"""Lanes of a tile at most; more only cost cache, but for `WIDE`."""
LEAST = 8
WIDE = 512
"""Lanes at most where what products add to is larger than `share.TOTALS`: each tile reads and writes all of it, and packs the other matrix anew."""


def tile(program: Program) -> None:
    """Tile the outermost loops that gain from it."""
    everywhere = counts(program.pool, program.body)
    _visit(program, program.body, everywhere)


def _visit(program: Program, body: list[Item], everywhere: Counter[Buf]) -> None:
    k = 0
    while k < len(body):
        it = body[k]
        if isinstance(it, Loop) and (new := tiled(program, it, everywhere)) is not None:
            body[k : k + 1] = new
            k += len(new)
            continue
        for inner in bodies(it):
            _visit(program, inner, everywhere)
        k += 1


def tiled(program: Program, loop: Loop, everywhere: Counter[Buf]) -> list[Item] | None:
    """What stands for the loop; None where it stays as it is."""
    if not any(isinstance(x, Loop) for it in loop.body for x in items([it])):
        return None
    if isinstance(loop.count, int) and loop.count < 2 * LEAST:
        return None
    roles = independent(program.pool, loop, everywhere)
    if roles is None or any(isinstance(x, CallFn) for x in items(loop.body)):
        return None
    plan = Tiling(program, loop, roles)
    if not plan.worthwhile():
        return None
    return plan.write()


class Tiling(LaneOrder):
    def __init__(self, program: Program, loop: Loop, roles: Roles):
        self.program, self.pool, self.loop, self.roles = program, program.pool, loop, roles
        self.work = size(middle(loop, work(program, loop.body))) * loop.count
        self.varying: set[Buf] = set()
        self.find_varying()
        self.groups: list[Group] = []
        self.lane, self.start, self.lanes, self.tile = Sym("lane"), Sym("start"), Sym("lanes"), Sym("tile")
        self.most = MOST
        self.body = self.spread(loop.body, ())

    # ------------------------------------------------------------ what differs between lanes

    def differs(self, e: Expr) -> bool:
        for n in self.pool.nodes(e):
            if isinstance(n, Load):
                if n.buf in self.varying or any(self.dim_differs(c) for c in n.coords):
                    return True
            elif isinstance(n, Index) and self.dim_differs(n.dim):
                return True
        return False

    def dim_differs(self, d: Dim) -> bool:
        pool = self.pool
        for s in symbols(d) if isinstance(d, Size) else ():
            if s is self.loop.var or (s in pool.locals and pool.locals[s] in self.varying):
                return True
            if s in pool.opaque and self.differs(pool.opaque[s]):
                return True
        return False

    def find_varying(self) -> None:
        """Buffers whose contents are not the same for all lanes."""
        before = -1
        while len(self.varying) != before:
            before = len(self.varying)
            self.mark(self.loop.body, False)

    def mark(self, body: list[Item], apart: bool) -> None:
        for it in body:
            match it:
                case Store():
                    if apart or self.differs(it.value) or any(self.dim_differs(c) for c in it.coords):
                        self.varying.add(it.buf)
                case Loop():
                    self.mark(it.body, apart or self.dim_differs(it.count))
                case Branch():
                    inner = apart or self.differs(it.cond)
                    self.mark(it.then, inner)
                    self.mark(it.orelse, inner)
                case Repeat():
                    inner = apart or self.differs(it.cond)
                    self.mark(it.head, inner)
                    self.mark(it.body, inner)
                case Swap():
                    if apart or it.a in self.varying or it.b in self.varying:
                        self.varying |= {it.a, it.b}

    def uniform_store(self, it: Store) -> bool:
        return it.buf in self.roles.private and it.buf not in self.varying

    def uniform(self, it: Item) -> bool:
        """Stores, and loops over them, that no lane has a part in."""
        match it:
            case Store():
                return self.uniform_store(it)
            case Loop():
                return not self.dim_differs(it.count) and all(map(self.uniform, it.body))
        return False

    def conflict(self, it: Item, run: list[Item]) -> bool:
        """Does one write what the other looks at?"""
        mine, theirs = self.pool.accesses(it), [a for x in run for a in self.pool.accesses(x)]
        return any(a.buf is b.buf and (a.writes or b.writes) for a in mine for b in theirs)

    # ------------------------------------------------------------ the lanes' loops

    def spread(self, body: list[Item], around: tuple[Loop, ...]) -> list[Item]:
        """The body with every run of items that differ between lanes in a group's loop."""
        out: list[Item] = []
        run: list[Item] = []

        def flush() -> None:
            if run:
                group = Group(list(run), around)
                group.loop = Loop(self.lane, size(self.lanes), group.items, nest=True, note=run[0].note)
                self.groups.append(group)
                out.append(group.loop)
                run.clear()

        for it in body:
            if run and self.uniform(it) and not self.conflict(it, run):
                out.append(it)  # what is the same for all lanes goes before the run, which stays one loop
                continue
            match it:
                case Store() if not self.uniform_store(it):
                    run.append(it)
                    continue
                case Loop() if not self.dim_differs(it.count):
                    flush()
                    new = Loop(it.var, it.count, [], it.reverse, it.nest, it.note, it.product, it.carried)
                    new.body = self.spread(it.body, (*around, new))
                    out.append(new)
                    continue
                case Branch() if not self.differs(it.cond) and self.has_loops(it):
                    flush()
                    out.append(Branch(it.cond, self.spread(it.then, around), self.spread(it.orelse, around), it.note))
                    continue
                case Store() | Swap():
                    flush()
                    out.append(it)
                    continue
                case Exit() if not self.differs(it.cond):
                    flush()
                    out.append(it)
                    continue
            run.append(it)
        flush()
        return out

    @staticmethod
    def has_loops(it: Item) -> bool:
        return any(isinstance(x, Loop | Repeat) for x in items([it]))

    def worthwhile(self) -> bool:
        """Do lanes need one another's loops apart, and is there anything that they keep?"""
        if len(self.groups) < 2 or not any(g.around for g in self.groups):
            return False
        if any(isinstance(x, Swap) and x in g.items for g in self.groups for x in items(g.items)):
            return False
        return bool(self.kept()) or self.side_by_side()

    def side_by_side(self) -> bool:
        """Nothing is kept, but the lanes' elements lie next to one another in all arrays, and loops would keep them from being vectors."""
        found = [a for g in self.groups for it in g.items for a in self.pool.accesses(it) if a.buf.kind != "local"]
        mine = [a for a in found if any(self.dim_differs(c) for c in a.coords)]
        return bool(mine) and all(a.coords[-1] == size(self.loop.var) and not any(self.dim_differs(c) for c in a.coords[:-1]) for a in mine)

    def homes(self) -> dict[Buf, list[Group]]:
        """The groups that look at each private buffer."""
        found: dict[Buf, list[Group]] = {}
        for g in self.groups:
            for a in (a for it in g.items for a in self.pool.accesses(it)):
                if a.buf in self.roles.private and a.buf in self.varying and g not in found.setdefault(a.buf, []):
                    found[a.buf].append(g)
        return found

    def kept(self) -> set[Buf]:
        """What outlives one loop over lanes."""
        kept: set[Buf] = set()
        for buf, groups in self.homes().items():
            if len(groups) > 1:
                kept.add(buf)
            elif buf.kind == "local":
                if not defined_first(self.pool, groups[0].items, {buf}):
                    kept.add(buf)
            elif groups[0].around:
                kept.add(buf)
        return kept

    # ------------------------------------------------------------ writing

    def write(self) -> list[Item] | None:
        pool = self.pool
        kept = self.kept()
        if any(b.sym is not None for b in kept):
            return None  # an index that differs between lanes and is kept: its name stands in coordinates
        self.choose_order(kept)
        self.selections()
        packs = self.pack(kept)
        self.gather_sums(kept)
        self.rows(kept)
        start, lanes, wide = (pool.local(s.hint, np.dtype("i8"), s) for s in (self.start, self.lanes, self.tile))
        count = size(self.loop.count)
        width = self.width(kept)
        step: Dim = size(self.tile)
        if isinstance(width, int):
            # a number in the text: LLVM sees that rows of one buffer lie apart, and takes lanes side by side
            step = width
            for b in self.new_rows:
                b.dims = (*b.dims[:-1], step)
            for it in (*packs, *self.body):
                rename_item(pool, it, {self.tile: step})
        else:
            # memory is handed over before the kernel starts, which knows the width where it follows from the sizes of arguments
            known = {s for p in self.program.params for d in p.dims for s in symbols(size(d))}
            self.program.bounds[self.tile] = width if known.issuperset(symbols(width)) else self.most
        block = Sym("block")
        body: list[Item] = [
            Store(start, (), (), pool.index(size(block) * step)),
            Store(lanes, (), (), pool.index(dim_min(step, size(count) - size(self.start)))),
            *packs,
            *self.body,
        ]
        tiles = Loop(block, (count + step - 1) // step, body, nest=False, note=self.loop.note, roles=self.roles, work=self.work)
        self.program.story.append(f"`{self.loop.note}`: tiles of up to {self.most} iterations, side by side in the innermost loops")
        return [tiles] if isinstance(width, int) else [Store(wide, (), (), pool.index(width)), tiles]

    def width(self, kept: set[Buf]) -> Dim:
        """Lanes so that what they keep stays in the first cache; if that is few, as many as stay near."""
        pool = self.pool
        inner = {x.var for x in items(self.loop.body) if isinstance(x, Loop)}
        steps = {x.var for x in items(self.body) if isinstance(x, Loop) and not x.nest}

        def kept_by_a_lane(passing: bool) -> Dim:
            total: Dim = 0
            for b in self.new_rows:
                dims = [d for k, d in enumerate(b.dims[:-1]) if passing or not self.passes(b, k, steps)]
                if not any(s in inner or s in pool.locals or s in pool.opaque for d in dims for s in symbols(size(d))):
                    total = size(total) + product(dims) * b.dtype.itemsize
            return total

        # what a step leaves for later passes by: where steps multiply matrices, these want lanes more than that wants the cache
        multiplies = bool(steps) and any(x.product for x in items(self.body) if isinstance(x, Loop))
        lane_bytes = kept_by_a_lane(passing=not multiplies)
        if lane_bytes == 0:
            return MOST
        first, second = caches()
        room = dim_max(first // lane_bytes if isinstance(lane_bytes, int) else size(first) // lane_bytes, dim_min(64, 4 * second // lane_bytes))
        if multiplies:  # long iterations: a tile for each of two workers at least
            room = dim_min(room, (size(self.loop.count) + 2 * LEAST - 1) // (2 * LEAST) * LEAST)
        narrow = dim_max(LEAST, dim_min(MOST, size(room) // LEAST * LEAST))
        totals = product_totals(self.body, self.roles)
        if totals == 0 or steps:
            return narrow
        self.most = WIDE
        wide = dim_min(WIDE * size(dim_min(1, size(totals) // TOTALS)), (size(self.loop.count) + LEAST - 1) // LEAST * LEAST)
        return dim_max(narrow, wide)

    def passes(self, b: Buf, axis: int, steps: set[Sym]) -> bool:
        """Is one place of this axis looked at in each step of a loop of the user?  The others may be far away."""
        found = [a for it in self.body for a in self.pool.accesses(it) if a.buf is b]
        return bool(found) and all(a.dims == b.dims and steps & set(symbols(size(a.coords[axis]))) for a in found)

    def rows(self, kept: set[Buf]) -> None:
        """Kept buffers get an axis of lanes, the last one; the loop's variable becomes start + lane."""
        pool = self.pool
        here, last = size(self.lane), size(self.tile)
        self.new_rows: list[Buf] = [b for b, _ in self.packed.values()]
        table: dict[Buf, Buf] = {}
        for b in sorted(kept, key=lambda b: b.hint):
            table[b] = Buf(b.hint, b.dtype, (*b.dims, last), swapped=b.swapped)
            self.new_rows.append(table[b])
        memo: dict[Expr, Expr] = {}

        def swap(e: Load) -> Expr | None:
            if e.buf not in table:
                return None
            return pool.load(table[e.buf], (*e.dims, last), (*e.coords, here))

        def expr(e: Expr) -> Expr:
            return pool.replace(e, swap, memo)

        for it in items(self.body):
            match it:
                case Store():
                    it.value, it.coords = expr(it.value), tuple(pool.replace_dim(c, swap, memo) for c in it.coords)
                    if it.buf in table:
                        it.buf, it.dims, it.coords = table[it.buf], (*it.dims, last), (*it.coords, here)
                case Branch() | Repeat() | Exit():
                    it.cond = expr(it.cond)
                case Loop():
                    it.count = pool.replace_dim(it.count, swap, memo)
                case Swap():
                    it.a, it.b = table.get(it.a, it.a), table.get(it.b, it.b)
        for it in self.body:
            rename_item(pool, it, {self.loop.var: size(self.start) + size(self.lane)})


__all__ = ["tile"]
