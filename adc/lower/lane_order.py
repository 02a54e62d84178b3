"""The loops of a tile in their last form: which one is innermost, what is copied for the lanes, and how lanes add up.

In: the groups of items that a loop over lanes will hold (see `tile`).  Out: the same, in place: where the lanes of a nest would jump
through memory another loop is innermost; rows that lanes look at again and again are copied once per tile, transposed; what
all lanes add to one place is added up in a variable first.

    for lane: g[k] += e(lane)          →          part = 0
                                                  for lane: part += e(lane)
                                                  g[k] += part
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from adc.ir import Dim, Sym, size, symbols
from adc.lower.independent import Roles, moves
from adc.lower.nodes import Branch, Buf, Exit, Expr, Item, Load, Loop, Pool, Repeat, Store, bodies, items


@dataclass(eq=False)
class Group:
    """Items that one loop over lanes will hold."""

    items: list[Item]
    around: tuple[Loop, ...]
    """The loops of the body that it stands in."""
    loop: Loop = field(init=False)


class LaneOrder(ABC):
    """What `tile.Tiling` is on top of: it has found the groups."""

    pool: Pool
    loop: Loop
    roles: Roles
    body: list[Item]
    groups: list[Group]
    lane: Sym
    start: Sym
    lanes: Sym
    tile: Sym

    @abstractmethod
    def dim_differs(self, d: Dim) -> bool:
        """Is a coordinate another one for each lane?"""

    def lane_steps(self, g: Group, inner: Sym, kept: set[Buf]) -> int:
        """How many accesses of a group jump through memory when `inner` is the innermost variable."""
        lane = inner is self.lane
        bad = 0
        for it in items(g.items):
            for a in dict.fromkeys(self.pool.accesses(it)):
                if not a.coords and a.buf not in kept:
                    continue
                if lane:
                    at = [k for k, c in enumerate(a.coords) if self.loop.var in symbols(size(c))]
                    bad += bool(at) and a.buf not in kept and (at != [len(a.coords) - 1]) and not self.reused(g, a.coords)
                else:
                    own = len(a.coords) if a.buf not in kept else len(a.coords) + 1
                    bad += any(inner in symbols(size(c)) and k != own - 1 for k, c in enumerate(a.coords))
        return bad

    def reused(self, g: Group, coords: tuple[Dim, ...]) -> bool:
        """Is the same element looked at in several turns of a loop around the group?"""
        return any(not any(x.var in symbols(size(c)) for c in coords) for x in g.around)

    def any_turn(self, g: Group, var: Sym) -> bool:
        """May the turns of a loop be taken side by side: does none look at what another has written?"""
        found = dict.fromkeys(a for it in g.items for a in self.pool.accesses(it))
        for a in [a for a in found if a.writes]:
            if a.mode == "set" and not any(moves(self.pool, c, var) for c in a.coords):
                return False
            if any(b.buf is a.buf and (b.coords != a.coords or b.mode != a.mode != "set") for b in found):
                return False
        return True

    def choose_order(self, kept: set[Buf]) -> None:
        """In a nest that holds one loop over lanes only, the innermost loop is the one that walks through memory."""

        def visit(body: list[Item]) -> None:
            for it in body:
                for inner in bodies(it):
                    visit(inner)
                if not (isinstance(it, Loop) and len(it.body) == 1 and isinstance(it.body[0], Loop) and it.body[0].var is self.lane):
                    continue
                lanes = it.body[0]
                g = next((g for g in self.groups if g.loop is lanes), None)
                if g is None or not all(isinstance(x, Store) for x in g.items):
                    continue
                if not self.any_turn(g, it.var):
                    continue
                if self.lane_steps(g, it.var, kept) < self.lane_steps(g, self.lane, kept):
                    it.var, it.count, it.reverse, lanes.var, lanes.count, lanes.reverse = lanes.var, lanes.count, False, it.var, it.count, it.reverse
                    g.loop = it
                    g.around = tuple(x for x in g.around if x is not it)
                    self.turned.add(g)

        self.turned: set[Group] = set()
        visit(self.body)

    def pack(self, kept: set[Buf]) -> list[Item]:
        """Copies of the rows that lanes look at again and again, transposed so that lanes lie side by side."""
        pool = self.pool
        self.packed: dict[Buf, tuple[Buf, tuple[Dim, ...]]] = {}
        found: dict[Buf, list[tuple[Group, Load]]] = {}
        for g in self.groups:
            for e in self.loads(g):
                if e.buf.kind in ("param", "temp") and e.buf not in self.roles.private and len(e.coords) > 1:
                    if any(self.loop.var in symbols(size(c)) for c in e.coords):
                        found.setdefault(e.buf, []).append((g, e))
        out: list[Item] = []
        written = {a.buf for it in self.loop.body for a in pool.accesses(it) if a.writes}
        for buf, uses in found.items():
            plain = all(e.dims == buf.dims and e.coords[0] == size(self.loop.var) and not any(self.loop.var in symbols(size(c)) for c in e.coords[1:]) for _, e in uses)
            wanted = any(g not in self.turned and self.reused(g, e.coords) for g, e in uses)
            if not plain or not wanted or buf in written:
                continue
            rest = buf.dims[1:]
            copy = Buf(f"{buf.hint}_tile", buf.dtype, (*rest, size(self.tile)))
            self.packed[buf] = copy, rest
            names = [Sym("ijklmn"[min(k, 5)]) for k in range(len(rest))]
            at = tuple(0 if d == 1 else size(s) for s, d in zip(names, rest, strict=True))
            value = pool.load(buf, buf.dims, (size(self.start) + size(self.lane), *at))
            body: list[Item] = [Store(copy, copy.dims, (*at, size(self.lane)), value)]
            for s, d in reversed(list(zip(names, rest, strict=True))):
                if d != 1:
                    body = [Loop(s, d, body)]
            out.append(Loop(self.lane, size(self.lanes), body, note=self.loop.note))

        def swap(e: Load) -> Expr | None:
            if e.buf not in self.packed or e.coords[0] != size(self.loop.var):
                return None
            copy, _ = self.packed[e.buf]
            return pool.load(copy, copy.dims, (*e.coords[1:], size(self.lane)))

        for g in self.groups:
            if g in self.turned:
                continue
            memo: dict[Expr, Expr] = {}
            for it in items(g.items):
                if isinstance(it, Store):
                    it.value = pool.replace(it.value, swap, memo)
                elif isinstance(it, Branch | Repeat | Exit):
                    it.cond = pool.replace(it.cond, swap, memo)
        return out

    def selections(self) -> None:
        """The larger of two numbers as a choice, which vectors know, rather than as a branch around a store."""
        for g in self.groups:
            for it in g.items:
                if isinstance(it, Store) and it.mode in ("max", "min") and it.buf in self.roles.private:
                    sign = ">" if it.mode == "max" else "<"
                    nan = " | ({0} != {0})" if it.buf.dtype.kind == "f" else ""
                    now = self.pool.load(it.buf, it.dims, it.coords)
                    text = f"({{0}} if ({{0}} {sign} {{1}}){nan} else {{1}})"
                    it.value, it.mode = self.pool.apply(text, (it.value, now), it.buf.dtype), "set"

    def loads(self, g: Group) -> Iterator[Load]:
        pool = self.pool
        for it in items(g.items):
            roots = [it.value] if isinstance(it, Store) else [it.cond] if isinstance(it, Branch | Repeat | Exit) else []
            for e in pool.nodes(*roots):
                if isinstance(e, Load):
                    yield e

    def gather_sums(self, kept: set[Buf]) -> None:
        """What lanes add to one place is added up in a variable first."""
        pool = self.pool
        for g in self.groups:
            if g in self.turned:
                continue
            before: list[Item] = []
            after: list[Item] = []
            for it in g.items:
                if not isinstance(it, Store) or it.mode not in ("sum", "prod") or it.buf.kind == "local" or it.buf in self.roles.private:
                    continue
                if any(self.dim_differs(c) for c in it.coords):
                    continue
                part = pool.local(it.buf.hint, it.buf.dtype)
                start = 0.0 if it.mode == "sum" else 1.0
                before.append(Store(part, (), (), pool.const(start if it.buf.dtype.kind == "f" else int(start), it.buf.dtype), note=it.note))
                after.append(Store(it.buf, it.dims, it.coords, pool.load(part, (), ()), it.mode, it.note))
                it.buf, it.dims, it.coords = part, (), ()
            if before:
                self.put_around(self.body, g.loop, before, after)

    def put_around(self, body: list[Item], loop: Loop, before: list[Item], after: list[Item]) -> bool:
        for k, it in enumerate(body):
            if it is loop:
                body[k : k + 1] = [*before, it, *after]
                return True
            if any(self.put_around(inner, loop, before, after) for inner in bodies(it)):
                return True
        return False


__all__ = ["Group", "LaneOrder"]
