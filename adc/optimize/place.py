"""Storage: where values may be overwritten, and where they must be copied before.

In: a function over immutable values.  Out: the same with `copy` ops, such that every update, accumulate, scatter and
scatter_add may overwrite the storage of its first argument: that argument is owned (neither a parameter nor a
view) and nothing that shares its storage is read later.

    y = update(x, 1.0, 0); return x + y      ->   c = copy(x); y = update(c, 1.0, 0); return x + y

Further promises to both printers:

* a carry that the body overwrites owns its storage when the loop begins; its result is storage that no other
  result of the body shares (a swap `a, b = b, a` of two such carries hands the storages over, and copies nothing);
* an array that a loop sums into is owned;
* a stacked slice is intact at the end of the iteration (a `copy` stands after its definition where it is not);
* results are owned and share nothing with each other.

A view that is read after its base was overwritten is copied where it is made; where something else is shared, the
array is copied before the store.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from adc.ir import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Op,
    Params,
    Stmt,
    Tensor,
    Var,
    While,
    blocks,
    free_vars,
    stmt_uses,
)
from adc.ops.registry import PRIMITIVES
from adc.optimize.alias import is_rename, is_view, overwrites

Roots = frozenset[int]
FOREIGN = 0  # storage that the caller owns
OWNED_REDUCES = ("sum", "prod")


class _Again(Exception):
    """A view was found that must be copied where it is made."""


def place(fn: Function) -> Function:
    """`fn` with the copies that storage needs."""
    materialise: set[Var] = set()
    sliced: set[Var] = set()
    while True:
        p = _Place(materialise, sliced)
        try:
            return p.function(fn)
        except _Again:
            continue


def _array(a: Atom) -> bool:
    return isinstance(a, Var) and a.type.rank > 0


class _Place:
    """One forward walk with the set of what is live after each statement."""

    def __init__(self, materialise: set[Var], sliced: set[Var]):
        self.materialise = materialise  # views to copy where they are made
        self.sliced = sliced  # stacked values to copy where they are made
        self.slices: set[Var] = set()  # stacked values of the bodies being walked
        self.rigid: set[Var] = set()  # read-only to NumPy: made by broadcasting
        self.count = FOREIGN
        self.roots: dict[Var, Roots] = {}
        self.whole: set[Var] = set()  # variables that are all of their storage
        self.views: set[Var] = set()  # parts made by an op: a copy of one is no larger than its base
        self.env: dict[Var, Var] = {}
        self.written: set[int] = set()

    # ------------------------------------------------------------ storage

    def fresh(self) -> Roots:
        self.count += 1
        return frozenset({self.count})

    def own(self, v: Var) -> None:
        if v.type.rank:
            self.roots[v] = self.fresh()
            self.whole.add(v)

    def of(self, a: Atom) -> Roots:
        return self.roots.get(a, frozenset()) if isinstance(a, Var) else frozenset()

    def atom(self, a: Atom) -> Atom:
        return self.env.get(a, a) if isinstance(a, Var) else a

    def sharing(self, a: Atom, others: Iterable[Atom]) -> list[Var]:
        mine = self.of(a)
        return [o for o in others if isinstance(o, Var) and o is not a and self.of(o) & mine]

    def owned(self, a: Atom) -> bool:
        return a in self.whole and FOREIGN not in self.of(a)

    def copy(self, a: Atom, stmts: list[Stmt], pos: object = None) -> Var:
        """New storage with the value of `a`."""
        assert isinstance(a, Var)
        source: Stmt | None = next((s for s in reversed(stmts) if isinstance(s, Op) and a in s.outs), None)
        new = Var(Tensor(a.type.dtype, a.type.dims), a.hint, a.pos)
        made = Op(PRIMITIVES["copy"], (a,), Params(), (new,), pos or a.pos)  # type: ignore[arg-type]
        if isinstance(source, Op) and source.prim.name == "broadcast" and not source.args[0].type.rank:
            made = Op(PRIMITIVES["fill"], source.args, Params(dims=a.type.dims), (new,), source.pos)
        if isinstance(source, Op) and source.prim.name == "empty":
            made = dataclasses.replace(source, outs=(new,))
        stmts.append(made)
        self.own(new)
        return new

    def claim(self, a: Atom, later: Iterable[Atom], stmts: list[Stmt], pos: object = None) -> Atom:
        """`a`, or a copy of it, as storage that may be overwritten while `later` stays readable."""
        if not _array(a):
            return a
        later = set(later)
        if self.owned(a):
            sharing = self.sharing(a, later) + [v for v in later if v is a]
            if not sharing:
                return a
            if all(v in self.views or v in self.slices for v in sharing):
                self.sliced.update(v for v in sharing if v in self.slices)
                self.materialise.update(v for v in sharing if v not in self.slices)  # type: ignore[misc]
                raise _Again
        return self.copy(a, stmts, pos)

    # ------------------------------------------------------------ walk

    def function(self, fn: Function) -> Function:
        for p in fn.params:
            if p.type.rank:
                self.roots[p] = frozenset({FOREIGN})
                self.whole.add(p)
        stmts, results = self.inside(fn.body, set())
        out: list[Atom] = []
        for r in results:
            if _array(r):
                shared = FOREIGN in self.of(r) or bool(self.sharing(r, out)) or r in out
                if shared or r in self.rigid or (r not in self.views and r not in self.whole):
                    r = self.copy(r, stmts)
            out.append(r)
        return dataclasses.replace(fn, body=Block(fn.body.params, tuple(stmts), tuple(out)))

    def inside(self, b: Block, outer: set[Var]) -> tuple[list[Stmt], list[Atom]]:
        """The statements of a block and its results; `outer` is live after the block."""
        live = outer | {a for a in b.results if isinstance(a, Var)}
        after: list[set[Var]] = []
        for s in reversed(b.stmts):
            after.append(live)
            live = live | set(stmt_uses(s))
        stmts: list[Stmt] = []
        for s, later in zip(b.stmts, reversed(after), strict=True):
            # only what stores, and what holds blocks, asks what is read later
            asks = not isinstance(s, Op) or overwrites(s)
            self.stmt(s, {v for v in (self.atom(a) for a in later) if isinstance(v, Var)} if asks else set(), stmts)
        return stmts, [self.atom(r) for r in b.results]

    def stmt(self, s: Stmt, later: set[Var], stmts: list[Stmt]) -> None:
        match s:
            case Op():
                self.op(s, later, stmts)
            case If():
                self.branch(s, later, stmts)
            case For() | While():
                self.loop(s, later, stmts)
            case Call():
                stmts.append(dataclasses.replace(s, args=tuple(self.atom(a) for a in s.args)))
                for v in s.outs:
                    self.own(v)

    def op(self, s: Op, later: set[Var], stmts: list[Stmt]) -> None:
        args = tuple(self.atom(a) for a in s.args)
        if overwrites(s) and _array(args[0]):
            target = self.claim(args[0], later - set(s.outs), stmts, s.pos)
            rest = list(args[1:])
            if s.prim.name in ("scatter", "scatter_add"):
                # np.add.at makes no promise about overlap; a plain store does
                rest = [self.copy(a, stmts, s.pos) if self.of(a) & self.of(target) else a for a in rest]
            stmts.append(dataclasses.replace(s, args=(target, *rest)))
            self.written |= self.of(target)
            self.roots[s.outs[0]] = self.of(target)
            self.whole.add(s.outs[0])
            return
        stmts.append(dataclasses.replace(s, args=args))
        if s.prim.name == "broadcast" and not args[0].type.rank:
            self.roots[s.outs[0]] = self.fresh()  # one number seen many times: nothing to store into
            self.rigid.add(s.outs[0])
            return
        if is_view(s):
            v = s.outs[0]
            if not v.type.rank and s.prim.name != "reshape":
                return  # a number
            self.roots[v] = self.of(args[0])
            if is_rename(s) and args[0] in self.whole:
                self.whole.add(v)
            if s.prim.name == "broadcast" or args[0] in self.rigid:
                self.rigid.add(v)
            if v in self.materialise:
                self.env[v] = self.copy(v, stmts, s.pos)
            elif s.prim.name not in ("broadcast", "same_size"):
                self.views.add(v)
            return
        for v in s.outs:
            self.own(v)

    def branch(self, s: If, later: set[Var], stmts: list[Stmt]) -> None:
        blocks: list[Block] = []
        both: list[list[Atom]] = []
        for b in (s.then, s.orelse):
            inner, results = self.inside(b, later)
            blocks.append(Block((), tuple(inner), tuple(results)))
            both.append(results)
        stmts.append(If(self.atom(s.cond), blocks[0], blocks[1], s.outs, s.pos))
        for v, x, y in zip(s.outs, both[0], both[1], strict=True):
            if v.type.rank:
                self.roots[v] = self.of(x) | self.of(y)
                if x in self.whole and y in self.whole:
                    self.whole.add(v)

    # ------------------------------------------------------------ loops

    def loop(self, s: For | While, later: set[Var], stmts: list[Stmt]) -> None:
        carries = s.carries if isinstance(s, For) else len(s.inits)
        params = s.body.params[1:] if isinstance(s, For) else s.body.params
        outer = later | {v for v in (self.atom(a) for a in _free(s)) if isinstance(v, Var)}
        saved, self.written = self.written, set()
        slices, entry = self.slices, self.count
        mine: list[Roots] = []
        for p in params:
            self.own(p)
            mine.append(self.of(p))
        cond: Block | None = None
        if isinstance(s, While):
            for c, p in zip(s.cond.params, params, strict=True):
                if p.type.rank:
                    self.roots[c] = self.of(p)
                    self.whole.add(c)
            tests, verdict = self.inside(s.cond, outer | set(s.cond.params))
            cond = Block(s.cond.params, tuple(tests), tuple(verdict))
        old_body = self.with_copies(s)
        mine_inside = {*params, *(v for t in old_body.stmts for v in t.outs)}
        stacked = old_body.results[len(old_body.results) - s.stacks :]
        self.slices = slices | {r for r in stacked if isinstance(r, Var) and r in mine_inside}
        inner, results = self.inside(old_body, outer)
        self.slices = slices
        # a carry is overwritten if its storage is, now or after it was handed to another carry
        owned = {k for k in range(carries) if mine[k] & self.written}
        while True:
            reached = {k for k in range(carries) for j in owned if mine[k] & self.of(results[j])}
            if reached <= owned:
                break
            owned |= reached
        self.written = saved | {r for r in self.written if not any(r in m for m in mine)}
        # results that owned carries get: whole, of this loop's own storage, shared with no other result
        order = [*sorted(owned), *(k for k in range(len(results)) if k not in owned)]
        done: list[Atom] = []
        for k in order:
            r = results[k]
            if not _array(r):
                continue
            if k in owned:
                born = all(x > entry for x in self.of(r))
                if not (self.owned(r) and born) or r in done or self.sharing(r, done):
                    results[k] = self.copy(r, inner)
            elif k < carries and (r in done or self.sharing(r, done)):
                results[k] = self.copy(r, inner)
            if k in owned:
                done.append(results[k])
        body = Block(s.body.params, tuple(inner), tuple(results))
        # initial values
        inits = [self.atom(a) for a in s.inits]
        sums = s.reduce if isinstance(s, For) else ()
        claimed = owned | {carries + k for k, kind in enumerate(sums) if kind in OWNED_REDUCES}
        for k in sorted(claimed):
            others = [a for j, a in enumerate(inits) if j != k]
            inits[k] = self.claim(inits[k], {*outer, *others}, stmts, s.pos)  # type: ignore[misc]
            self.written |= self.of(inits[k])
        if isinstance(s, For):
            stmts.append(dataclasses.replace(s, inits=tuple(inits), body=body))
        else:
            assert cond is not None
            stmts.append(dataclasses.replace(s, inits=tuple(inits), cond=cond, body=body))
        # outs
        for k, v in enumerate(s.outs):
            if k in claimed or k >= carries:
                self.own(v)
        rest = [k for k in range(carries) if k not in owned and s.outs[k].type.rank]
        together = self.fresh()
        apart = not any(self.of(results[j]) & self.of(results[k]) for j in rest for k in rest if j < k)
        for k in rest:
            v = s.outs[k]
            outside = frozenset(x for x in self.of(results[k]) if x <= entry)
            kept = frozenset().union(*(self.of(inits[j]) for j in range(carries) if mine[j] & self.of(results[k])))
            self.roots[v] = self.of(inits[k]) | outside | kept | (self.fresh() if apart else together)
            if inits[k] in self.whole and results[k] in self.whole:
                self.whole.add(v)

    def with_copies(self, s: For | While) -> Block:
        """The body, with copies of those stacked values whose storage it overwrites later."""
        b, first = s.body, len(s.body.results) - s.stacks
        stmts, results = list(b.stmts), list(b.results)
        for k in range(first, len(results)):
            v = results[k]
            if not isinstance(v, Var) or v not in self.sliced:
                continue
            kept = Var(v.type, v.hint, v.pos)
            place = next((j + 1 for j, t in enumerate(stmts) if v in t.outs), 0)
            stmts.insert(place, Op(PRIMITIVES["copy"], (v,), Params(), (kept,), v.pos or s.pos))
            results[k] = kept
        return Block(b.params, tuple(stmts), tuple(results))


def _free(s: For | While) -> tuple[Var, ...]:
    """What the loop's blocks read from outside: live through every iteration."""
    return tuple(v for b in blocks(s) for v in free_vars(b))
