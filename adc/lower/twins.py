"""A loop that does what a later one does too is done once.

In: a program after `fuse`, where the forward sweep of a value and that of its reverse have met.  Out: the same with one
sweep, which does what the later one did (it saves what the reverse needs); the earlier one's variables are the later one's.

    s = 1.0                                            s = 1.0
    for t: s = s * x[t]                                for t: saved[t] = s; s = s * x[t]
    total += s                                 →       total += s
    r = 1.0                                            …
    for t: saved[t] = r; r = r * x[t]

Two loops are twins if they turn equally often, the later one's statements are the earlier one's, but for stores that only
it makes (also of a part of an expression that it keeps), and all variables that they read before they write them start alike.
"""

from __future__ import annotations

from adc.ir import Dim, Size, Sym, size, symbols
from adc.lower.independent import counts
from adc.lower.nodes import (
    Apply,
    Branch,
    Buf,
    Const,
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
    bodies,
)
from adc.lower.rewrite import replace_buffers
from adc.lower.sums import without


def join_twins(program: Program) -> None:
    def visit(body: list[Item]) -> None:
        again = True
        while again:
            again = any(
                _join(program, body, p, q)
                for q in range(len(body))
                for p in range(q)
                if isinstance(body[p], Loop | Repeat) and type(body[p]) is type(body[q]) and not getattr(body[p], "nest", False)
            )
        for it in body:
            for inner in bodies(it):
                visit(inner)

    visit(program.body)


class Pairing:
    """What the earlier loop calls one thing and the later one another."""

    def __init__(self, pool: Pool, names: dict[Sym, Dim], private: set[Buf], inner: set[Buf]):
        self.pool, self.names, self.private, self.inner = pool, names, private, inner
        self.of: dict[Buf, Buf] = {}
        self.made: dict[Buf, Expr] = {}
        """Numbers that only one of them gives a name: what they are, as long as that would be the same here."""
        self.met: list[tuple[Buf, Buf]] = []
        """Where the stores that do the same go."""

    def pair(self, x: Buf, y: Buf) -> bool:
        if x is y:
            return x not in self.of or self.of[x] is x
        if x in self.of:
            return self.of[x] is y
        if y in self.of.values() or x.kind != "local" or y.kind != "local" or x.dtype != y.dtype or x.sym or y.sym:
            return False
        if x not in self.private:
            return False
        self.of[x] = y
        return True

    def dim(self, a: Dim, b: Dim) -> bool:
        if isinstance(a, Size) and any(s in self.pool.opaque for s in symbols(a)):
            return False
        return self.pool.subst_dim(a, self.names) == b

    def same(self, a: Expr, b: Expr) -> bool:
        match a, b:
            case Const(), Const():
                return a is b
            case Index(), Index():
                return self.dim(a.dim, b.dim)
            case Load(), Load():
                named = a.buf in self.made and b.buf in self.made
                if not named and len(a.coords) == len(b.coords) and all(map(self.dim, a.coords, b.coords)) and self.pair(a.buf, b.buf):
                    return True
            case Apply(), Apply():
                return a.text == b.text and a.dtype == b.dtype and len(a.args) == len(b.args) and all(map(self.same, a.args, b.args))
        if isinstance(b, Load) and b.buf in self.made:
            return self.same(a, self.made[b.buf])
        return isinstance(a, Load) and a.buf in self.made and self.same(self.made[a.buf], b)

    def lists(self, first: list[Item], second: list[Item]) -> bool:
        """Does `second` do all that `first` does, in the same order, and otherwise only store elsewhere?"""
        left, outside = list(first), self.made
        fits = all(self.meets(left, it) or (isinstance(it, Store | Exit) and self.pass_by(it)) for it in second)
        self.made = outside
        return fits and not left

    def meets(self, left: list[Item], it: Item) -> bool:
        """Is `it` the next of those that are left, but for numbers that get names before?"""
        for k, mine in enumerate(left):
            of, met = dict(self.of), len(self.met)
            if self.item(mine, it):
                self.pass_by(mine)
                self.pass_by(it)
                del left[: k + 1]
                return True
            self.of = of
            del self.met[met:]
            if not (isinstance(mine, Store) and mine.buf in self.inner):
                return False
            self.pass_by(mine)
        return False

    def pass_by(self, it: Item) -> bool:
        """What names mean after this."""
        written = {w.buf for w in self.pool.accesses(it) if w.writes}
        self.made = {b: e for b, e in self.made.items() if b not in written and written.isdisjoint(self.pool.reads(e))}
        if isinstance(it, Store) and it.mode == "set" and it.buf.kind == "local" and not it.coords and it.buf not in self.pool.reads(it.value):
            self.made[it.buf] = it.value
        return True

    def item(self, a: Item, b: Item) -> bool:
        match a, b:
            case Store(), Store():
                if len(a.coords) != len(b.coords) or a.buf.kind != "local" or b.buf.kind != "local":
                    return False
                one, other = (self.added(x) if a.mode != b.mode else x.value for x in (a, b))
                if one is None or other is None or not self.same(one, other) or not self.pair(a.buf, b.buf):
                    return False
                self.met.append((a.buf, b.buf))
                return True
            case Loop(), Loop():
                if a.reverse != b.reverse or not self.dim(a.count, b.count):
                    return False
                before, self.names = self.names, {**self.names, a.var: size(b.var)}
                found = self.turns((a.body, b.body))
                self.names = before
                return found
            case Branch(), Branch():
                return self.same(a.cond, b.cond) and self.lists(a.then, b.then) and self.lists(a.orelse, b.orelse)
            case Repeat(), Repeat():
                return self.turns((a.head, b.head), (a.body, b.body)) and self.same(a.cond, b.cond)
            case Exit(), Exit():
                return a.code == b.code and a.when == b.when and a.capacity is b.capacity and self.same(a.cond, b.cond)
        return False

    def added(self, it: Store) -> Expr | None:
        """What `s = s + e` and `s += e` add."""
        if it.mode == "set":
            return without(self.pool, it.value, self.pool.load(it.buf, it.dims, it.coords))
        return it.value if it.mode == "sum" else None

    def turns(self, *pairs: tuple[list[Item], list[Item]]) -> bool:
        """Bodies of loops: names mean in every turn what they mean before only if no turn changes that."""
        for it in (it for pair in pairs for body in pair for it in body):
            self.pass_by(it)
        self.made = {b: e for b, e in self.made.items() if not any(w.buf is b for pair in pairs for body in pair for it in body for w in self.pool.accesses(it) if w.writes)}
        return all(self.lists(a, b) for a, b in pairs)


def _join(program: Program, body: list[Item], p: int, q: int) -> bool:
    """Let the loop at `p` be done by its twin at `q`; False where they are none."""
    pool = program.pool
    a, b = body[p], body[q]
    everywhere = counts(pool, program.body)
    mine = counts(pool, body[:q])
    private = {x for x in mine if x.kind == "local" and mine[x] <= everywhere[x]}
    within = counts(pool, [a])
    inner = {x for x in within if x.kind == "local" and within[x] >= everywhere[x]}
    pairing = Pairing(pool, {}, private, inner)
    if not pairing.item(a, b):
        return False
    pairs = {x: y for x, y in pairing.of.items() if x is not y}
    if not pairs:
        return False
    starts: list[Item] = []
    old: list[Item] = []
    for x, y in pairs.items():
        ends = []
        for buf, at in ((x, p), (y, q)):
            m = next((m for m in range(at - 1, -1, -1) if any(w.buf is buf for w in pool.accesses(body[m]))), None)
            ends.append(body[m] if m is not None else None)
        writes = [sum(w.buf is buf and w.writes for it in program.body for w in pool.accesses(it)) for buf in (x, y)]
        inside = [sum(w.buf is buf and w.writes for w in pool.accesses(loop)) for buf, loop in ((x, a), (y, b))]
        if inside != [pairing.met.count((x, y))] * 2:
            return False  # a store to one of them is none to the other
        if ends[0] is None and ends[1] is None:  # set in every turn before it is looked at
            if writes != inside:
                return False
            continue
        one, other = ends
        if not (isinstance(one, Store) and isinstance(other, Store) and one.mode == other.mode == "set" and one.buf is x and other.buf is y):
            return False
        # the very same value: what stands outside of the loops has no pairs
        if [n + 1 for n in inside] != writes or one.value is not other.value or not pool.reads(other.value).isdisjoint({*pairs, *pairs.values()}):
            return False
        starts.append(other)
        old.append(one)
    starts += _counters(pool, body[p + 1 : q], b, starts)
    # the later loop, and what its variables start from, move up to the earlier one
    moved = [*starts, b]
    if any(w.buf in pairs for it in moved for w in pool.accesses(it)):
        return False  # it asks for the number that the earlier loop ends with
    for m in range(p + 1, q):
        if body[m] in moved:
            continue
        for w in pool.accesses(body[m]):
            for v in (v for it in moved for v in pool.accesses(it)):
                if v.buf is w.buf and (v.writes or w.writes):
                    return False
    if any(body.index(s) < p and any(w.writes and w.buf in pool.reads(s.value) for it in body[body.index(s) : p] for w in pool.accesses(it)) for s in starts if isinstance(s, Store)):
        return False
    gone = {id(it) for it in (*moved, *old)}
    head = [it for it in body[:p] if id(it) not in gone]
    tail = [it for it in body[p + 1 :] if id(it) not in gone]
    body[:] = [*head, *starts, b, *tail]
    replace_buffers(program, {x: (y, ()) for x, y in pairs.items()})
    return True


def _counters(pool: Pool, between: list[Item], loop: Item, known: list[Item]) -> list[Item]:
    """What only the later loop starts from: counts of what it saves."""
    own = {w.buf for w in pool.accesses(loop)}
    constant = [it for it in between if isinstance(it, Store) and it.mode == "set" and it.buf.kind == "local" and not pool.reads(it.value)]
    return [it for it in constant if it.buf in own and it not in known]


__all__ = ["join_twins"]
