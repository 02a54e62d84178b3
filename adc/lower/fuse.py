"""Loops that meet: nests over the same extents become one, and what passes between them becomes a scalar.

In: a `Program` as `build` made it.  Out: the same program, faster, in place.

    for i: t[i] = sin(x[i])                       for i:
    for i: y[i] = t[i] * a              ->            t = sin(x[i])
                                                      y[i] = t * a

Two loops are merged when every pair of accesses that must keep its order meets in one iteration (some axis has the same
coordinate, linear in the loop's variable, in both) or never (`independent.apart`).  The bodies are then treated in the same way.  A buffer that is used
in one iteration only loses that axis; one that loses all is a local variable.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from adc.ir import Dim, Sym, size, symbols
from adc.lower.independent import apart, independent, moves
from adc.lower.nodes import (
    Access,
    Branch,
    Buf,
    CallFn,
    Exit,
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
from adc.lower.repeats import leave_out_repeats
from adc.lower.rewrite import rename_item, replace_buffers

# ---------------------------------------------------------------- merging loops


@dataclass
class Seen:
    """What an item does with buffers; that of a joint loop is made of those of its parts."""

    accesses: dict[Buf, dict[Access, None]]
    read: set[Buf]
    written: set[Buf]
    exits: bool

    def takes(self, moved: dict[Buf, dict[Access, None]], other: Seen) -> None:
        for buf, found in moved.items():
            self.accesses.setdefault(buf, {}).update(found)
        self.read |= other.read
        self.written |= other.written
        self.exits |= other.exits


class Fuser:
    def __init__(self, program: Program, everywhere: Counter[Buf]):
        self.pool, self.everywhere, self.story = program.pool, everywhere, program.story
        self.bounds = program.bounds
        self.known: dict[Item, Seen] = {}
        self.joined: set[Item] = set()
        """Loops of the user that several became."""

    def seen(self, it: Item) -> Seen:
        if it not in self.known:
            new = self.known[it] = Seen({}, set(), set(), _exits(it))
            for a in self.pool.accesses(it):
                new.accesses.setdefault(a.buf, {})[a] = None
                if a.writes:
                    new.written.add(a.buf)
                if a.mode != "set":
                    new.read.add(a.buf)  # combining reads too, but commutes; `meet` looks at the modes
            for x in items([it]):
                if isinstance(x, Exit) and x.capacity is not None:
                    new.written.update(self.grown(x.capacity))
        return self.known[it]

    def grown(self, capacity: Sym) -> set[Buf]:
        """The buffers that are large enough once the question about the capacity is passed, and may not be touched before."""

        def needs(d: Dim) -> bool:
            return any(s == capacity or (s in self.bounds and needs(self.bounds[s])) for s in symbols(size(d)))

        return {b for b in self.everywhere if any(needs(d) for d in b.dims)}

    def program(self, body: list[Item]) -> None:
        """First the outermost loops that pass something on: two that only have the same extents, merged before, may part others."""
        self.meet_all(body, self.conflict)
        self.fuse(body)

    def fuse(self, body: list[Item]) -> None:
        self.meet_all(body, lambda a, b: True)
        for it in body:
            if it in self.joined:
                assert isinstance(it, Loop)
                leave_out_repeats(self.pool, it, self.everywhere)
            for inner in bodies(it):
                self.fuse(inner)

    def meet_all(self, body: list[Item], suit: Callable[[Item, Item], bool]) -> None:
        k = 0
        while k < len(body):
            joint = self.merged(body, k, suit)
            k = k + 1 if joint is None else joint  # which may meet another

    def merged(self, body: list[Item], k: int, suit: Callable[[Item, Item], bool]) -> int | None:
        """Where the loop stands that loop `k` and one before it became."""
        it = body[k]
        if not (isinstance(it, Loop) and self.any_order(it)):
            return None
        for j in range(k - 1, -1, -1):
            other = body[j]
            if self.seen(other).exits:
                return None
            if isinstance(other, Loop) and other.count == it.count and self.any_order(other) and suit(other, it):
                joint = self.merge(body, j, k)
                if joint is not None:
                    return joint
        return None

    def conflict(self, a: Item, b: Item) -> bool:
        """Does one make what the other looks at?  Then these two must keep their order."""
        x, y = self.seen(a), self.seen(b)
        return not (x.written.isdisjoint(y.read) and x.written.isdisjoint(y.written) and y.written.isdisjoint(x.read))

    def any_order(self, loop: Loop) -> bool:
        """May its iterations meet those of another loop?  Those of the user's loops if none needs another."""
        if loop.product:
            return False
        return loop.nest or (not self.seen(loop).exits and independent(self.pool, loop, self.everywhere) is not None)

    def merge(self, body: list[Item], j: int, k: int) -> int | None:
        """Merge loop `k` into loop `j`, moving what `k` needs before it."""
        first, second = body[j], body[k]
        assert isinstance(first, Loop) and isinstance(second, Loop)
        needed: list[int] = []
        for m in range(k - 1, j, -1):
            if any(self.conflict(body[m], body[h]) for h in (k, *needed)):
                needed.append(m)
        if any(self.conflict(body[j], body[m]) for m in needed):
            return None
        rename = {second.var: size(first.var)}
        moved = {buf: {self.renamed(a, rename): None for a in found} for buf, found in self.seen(second).accesses.items()}
        within = {x.var for loop in (first, second) for x in items([loop]) if isinstance(x, Loop)}
        if not self.meet(self.seen(first).accesses, moved, first.var, within):
            return None
        for it in second.body:
            rename_item(self.pool, it, rename)
        joint = Loop(
            first.var, first.count, [*first.body, *second.body], first.reverse and first.nest, first.nest and second.nest,
            first.note, carried=first.carried | second.carried,
        )  # fmt: skip
        if not (first.nest and second.nest):
            self.story.append(f"`{first.note}`: its iterations and those of `{second.note}` run together, and nothing is kept for every iteration between them")
            self.joined.add(joint)
        seen = self.known[joint] = self.known.pop(first)
        seen.takes(moved, self.known.pop(second))
        for it in items(second.body):
            self.known.pop(it, None)
        rest = [body[m] for m in range(j + 1, k) if m not in needed]
        body[j : k + 1] = [*(body[m] for m in sorted(needed)), joint, *rest]
        return j + len(needed)

    def renamed(self, a: Access, table: dict[Sym, Dim]) -> Access:
        return Access(a.buf, a.dims, tuple(self.pool.subst_dim(c, table) for c in a.coords), a.mode)

    def meet(self, first: dict[Buf, dict[Access, None]], second: dict[Buf, dict[Access, None]], var: Sym, within: set[Sym]) -> bool:
        """Do those that must keep their order meet in one iteration, or never?  `within`: the numbers of both loops, and of those inside."""
        for buf, found in second.items():
            for b, a in itertools.product(found, first.get(buf, ())):
                if not (a.writes or b.writes) or (a.mode == b.mode and a.mode not in ("set", "read")):
                    continue
                same = a.dims == b.dims and any(x == y and moves(self.pool, x, var) for x, y in zip(a.coords, b.coords, strict=False))
                if not same and not apart(self.pool, a, b, within):
                    return False
        return True


def _exits(it: Item) -> bool:
    """May it end the kernel for what is wrong with the input?  (A buffer that is too small only makes it start again.)"""
    return any(isinstance(x, Exit) and x.capacity is None for x in items([it]))


# ---------------------------------------------------------------- stores that nobody reads


def remove_dead(program: Program) -> None:
    pool = program.pool
    while True:
        read: set[Buf] = set()
        for it in items(program.body):
            inner = bodies(it)
            if inner:
                continue
            read.update(a.buf for a in pool.accesses(it) if not a.writes)
            if isinstance(it, CallFn):
                read.update(it.outs)
            elif isinstance(it, Swap):
                read.update((it.a, it.b))
        for it in items(program.body):
            if isinstance(it, Branch | Repeat):
                read |= pool.reads(it.cond)
            elif isinstance(it, Loop):
                read.update(pool.dim_reads(it.count))
        if not _sweep(program.body, lambda b: b.kind in ("temp", "local") and b not in read):
            return


def _sweep(body: list[Item], dead) -> bool:  # type: ignore[no-untyped-def]
    changed = False
    for it in list(body):
        for inner in bodies(it):
            changed |= _sweep(inner, dead)
        empty = isinstance(it, Loop | Branch) and not any(bodies(it))
        if empty or (isinstance(it, Store) and dead(it.buf)):
            body.remove(it)
            changed = True
    return changed


# ---------------------------------------------------------------- buffers that shrink


def contract(program: Program) -> None:
    """Drop the axes of a buffer that only one iteration of a loop looks at."""
    pool = program.pool
    found: dict[Buf, list[tuple[Access, tuple[Loop, ...]]]] = {}

    def visit(body: list[Item], stack: tuple[Loop, ...]) -> None:
        for it in body:
            inner = bodies(it)
            if inner:
                shell: Item
                if isinstance(it, Loop):
                    shell = Loop(it.var, it.count, [])
                elif isinstance(it, Branch):
                    shell = Branch(it.cond, [], [])
                else:
                    assert isinstance(it, Repeat)
                    shell = Repeat([], it.cond, [])
                for a in pool.accesses(shell):
                    found.setdefault(a.buf, []).append((a, stack))
                for b in inner:
                    visit(b, (*stack, it) if isinstance(it, Loop) else stack)
            else:
                for a in pool.accesses(it):
                    found.setdefault(a.buf, []).append((a, stack))

    visit(program.body, ())
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}
    for buf, uses in found.items():
        if buf.kind != "temp" or buf.swapped or any(a.dims != buf.dims or len(a.coords) != len(buf.dims) for a, _ in uses):
            continue
        common = uses[0][1]
        for _, stack in uses:
            common = tuple(x for x, y in zip(common, stack, strict=False) if x is y)
        first = uses[0][0].coords
        gone, apart_in = [], set()
        for axis in range(len(buf.dims)):
            c = first[axis]
            if any(a.coords[axis] != c for a, _ in uses):
                continue
            moving = [loop for loop in common if moves(pool, c, loop.var)]
            if isinstance(c, int) or moving:
                gone.append(axis)
                apart_in.update(moving)
        keep = tuple(k for k in range(len(buf.dims)) if k not in gone)
        if len(keep) == len(buf.dims):
            continue
        for loop in apart_in:  # each iteration had a part of its own, and made it: nothing is handed on
            loop.carried -= {buf}
        if keep:
            new[buf] = Buf(buf.hint, buf.dtype, tuple(buf.dims[k] for k in keep)), keep
        else:
            new[buf] = pool.local(buf.hint, buf.dtype), ()
    if new:
        replace_buffers(program, new)


def coalesce(program: Program) -> None:
    """`sum_2 = sum_1`, where sum_1 has its last value: one variable."""
    writes: dict[Buf, int] = {}
    for it in items(program.body):
        if isinstance(it, Store) and it.buf.kind == "local":
            writes[it.buf] = writes.get(it.buf, 0) + 1
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}

    def visit(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                visit(inner)
        made: dict[Buf, int] = {}
        for k, it in enumerate(body):
            if isinstance(it, Store) and it.buf.kind == "local" and it.mode == "set":
                made.setdefault(it.buf, k)
        for k, it in enumerate(body):
            if not (isinstance(it, Store) and it.buf.kind == "local" and it.mode == "set" and isinstance(it.value, Load)):
                continue
            a, b = it.buf, it.value.buf
            if b.kind != "local" or a.sym or b.sym or writes[a] != 1 or made.get(b, k) >= k or b in new:
                continue
            before = sum(isinstance(x, Store) and x.buf is b for x in items(body[:k]))
            if before == writes.get(b) and a.dtype == b.dtype:
                new[a] = b, ()
                body[k] = Loop(Sym("i"), 0, [])  # goes below

    visit(program.body)
    if new:
        for a, (b, _) in list(new.items()):
            while b in new:
                b = new[b][0]
            new[a] = b, ()
        replace_buffers(program, new)
        _sweep(program.body, lambda b: False)


__all__ = ["Fuser", "coalesce", "contract", "remove_dead"]
