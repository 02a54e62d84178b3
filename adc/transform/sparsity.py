"""Sparsity by abstract execution: which elements of the inputs each element of the results can depend on.

In: a program, its arguments, the parameters to differentiate.  Out: a boolean matrix per result that covers the
Jacobian for every value of those parameters, and the arguments whose numbers decided it (indices, masks, bounds).

    detect(fn, args, (0,)).patterns[0]      # f(x)[i] = x[i] * x[i + 1]: rows {0, 1} {1, 2} …

The walk is that of `ir/evaluate.py` on sets instead of numbers (`reach_sets`; the ops are in `sparsity_ops`).  A loop
whose iterations are independent, apart from storing into arrays, runs once with its iterations as lanes; another
runs as often as it iterates, or until nothing changes any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import Atom, Block, Call, For, Function, If, Lit, Op, Params, Stmt, Sym, Tensor, Var, While, size
from adc.ir.dims import Size, evaluate
from adc.ir.evaluate import COMBINE, MAX_TRIPS
from adc.ir.program import subst_dims
from adc.transform import sparsity_ops, sparsity_rules
from adc.transform.reach_sets import (
    Matrix,
    Value,
    alike,
    constant,
    identity,
    join,
    known_from,
    merge,
    rows,
    stacked,
    union,
)

GIVE = 'give the pattern (sparsity=a scipy.sparse matrix), or sparsity="dense"'


@dataclass(frozen=True)
class Detected:
    """What `detect` found."""

    patterns: tuple[Matrix, ...]
    """Per float result: (its elements, all elements of the parameters in order)."""
    decided: tuple[int, ...]
    """Parameters whose numbers the patterns depend on."""


def detect(fn: Function, args: Sequence[Any], wrt: tuple[int, ...]) -> Detected:
    """The patterns of the float results of `fn` by its parameters `wrt`, one after the other."""
    machine = Machine()
    results = machine.run(fn, args, wrt)
    columns = sum(int(np.size(args[k])) for k in wrt)
    patterns = []
    for r, v in zip(fn.results, results, strict=True):
        if r.type.is_float:
            patterns.append(v.deps if v.deps is not None else _empty(v.size, columns))
            patterns[-1].sort_indices()
    return Detected(tuple(patterns), tuple(sorted(k for k in machine.decided if isinstance(k, int))))


def _empty(height: int, width: int) -> Matrix:
    from scipy import sparse

    return sparse.csr_array((height, width), dtype=bool)


class Varying(Exception):
    """These iterations cannot be lanes: what happens in one depends on another, or sizes and branches differ."""


class Hole:
    """An array that the iterations of a loop store into and do not read: carried from lane to lane unseen."""

    def __init__(self, level: int, shape: tuple[int, ...]):
        self.level, self.shape = level, shape
        self.targets: list[Any] = []
        self.parts: list[Matrix | None] = []
        self.overwritten: list[Any] = []

    def store(self, targets: Any, deps: Matrix | None, certain: bool) -> None:
        """`deps` has a row for each of `targets`, which are rows of the whole array in its own lanes."""
        self.targets.append(targets)
        self.parts.append(deps)
        if certain:
            self.overwritten.append(targets)


class Machine:
    """The state of an execution: values of variables, numbers of sizes, the loops whose iterations are lanes."""

    def __init__(self) -> None:
        self.env: dict[Var, Value | Hole] = {}
        self.sizes: dict[Sym, int] = {}
        self.extents: list[int] = []
        self.decided: set[Any] = set()
        self.in_order: set[For] = set()  # loops that were found not to run in lanes
        self.doubts = 0  # branches around us that nobody knows are taken
        self.masks: list[Value] = []  # conditions of the branches around us that only some lanes take
        self.tokens = 0
        self.moving: dict[Op, tuple[bool, ...]] = {}  # by which arguments an elementwise op moves

    # ------------------------------------------------------------ values

    @property
    def level(self) -> int:
        return len(self.extents)

    def lanes(self, level: int) -> int:
        return int(np.prod(self.extents[:level], dtype=np.int64))

    def value(self, a: Atom) -> Value:
        if isinstance(a, Lit):
            return constant(a.type.dtype.type(a.value))
        found = self.env[a]
        if isinstance(found, Hole):
            raise Varying
        return found

    def dims(self, value: Any) -> Any:
        """Anything with its sizes replaced by numbers."""
        return subst_dims(value, self.sizes)

    def shape(self, t: Tensor) -> tuple[int, ...]:
        return tuple(evaluate(size(d), self.sizes) for d in t.dims)

    def numbers(self, v: Value) -> Any:
        """Known numbers that something is decided by."""
        self.decided |= v.sources
        return v.numbers()

    def lift(self, v: Value, level: int) -> Value:
        """The same value in the lanes of more loops."""
        if v.level == level:
            return v
        times = self.lanes(level) // self.lanes(v.level)
        own = np.arange(self.lanes(v.level) * v.size).reshape(-1, v.size)
        deps = rows(v.deps, np.repeat(own, times, axis=0).ravel()) if v.deps is not None else None
        make = (lambda: np.repeat(v.numbers(), times, axis=0)) if v.is_known else None
        return Value(level, v.shape, deps, None, make, v.sources, v.chain + 1)

    def lift_all(self, values: Sequence[Value]) -> tuple[int, tuple[Value, ...]]:
        level = max((v.level for v in values), default=0)
        return level, tuple(self.lift(v, level) for v in values)

    def learn(self, t: Tensor, shape: tuple[int, ...]) -> None:
        """Sizes that a type names for the first time."""
        for d, n in zip(t.dims, shape, strict=True):
            if isinstance(d, Size) and d.is_symbol and d.terms[0][0][0] not in self.sizes:
                self.sizes[d.terms[0][0][0]] = n  # type: ignore[index]

    # ------------------------------------------------------------ statements

    def run(self, fn: Function, args: Sequence[Any], wrt: tuple[int, ...]) -> list[Value]:
        """The results; the parameters `wrt` depend on columns of their own, the others are known."""
        sizes = [int(np.size(args[k])) for k in wrt]
        first = dict(zip(wrt, np.cumsum([0, *sizes]).tolist(), strict=False))
        for k, (p, a) in enumerate(zip(fn.params, args, strict=True)):
            x = np.asarray(a, p.type.dtype)
            if x.ndim != p.type.rank:
                raise fail(ShapeError, "shape", fn.pos, what=f"argument {p.hint} has rank {x.ndim}, expected {p.type}")
            self.learn(p.type, x.shape)
            if k in first:
                self.env[p] = identity(x.shape, first[k], sum(sizes))
            else:
                self.env[p] = constant(x, frozenset((k,)))
        return [self.value(r) for r in self.block(fn.body)]

    def block(self, b: Block) -> tuple[Atom, ...]:
        for s in b.stmts:
            self.stmt(s)
        return b.results

    def outcome(self, b: Block) -> list[Value | Hole]:
        """The block's results; a hole may pass through."""
        return [self.env[r] if isinstance(r, Var) else self.value(r) for r in self.block(b)]

    def stmt(self, s: Stmt) -> None:
        match s:
            case Op():
                sparsity_ops.run(self, s)
            case If():
                self.branch(s)
            case For():
                self.loop(s)
            case While():
                self.repeat(s)
            case Call():
                sparsity_rules.call(self, s)

    def put(self, outs: Sequence[Var], values: Sequence[Value | Hole]) -> None:
        for v, x in zip(outs, values, strict=True):
            self.learn(v.type, x.shape)
            self.env[v] = x

    # ------------------------------------------------------------ branches

    def branch(self, s: If) -> None:
        cond = self.value(s.cond)
        flags = self.numbers(cond) if cond.is_known else None
        if flags is not None and (flags.all() or not flags.any()):
            self.put(s.outs, self.outcome(s.then if flags.size and flags.flat[0] else s.orelse))
            return
        yes, no = self.taken(s.then, cond, False), self.taken(s.orelse, cond, True)
        self.put(s.outs, [self.either(cond, a, b) for a, b in zip(yes, no, strict=True)])

    def taken(self, b: Block, cond: Value, other: bool) -> list[Value | Hole]:
        """A branch, in the lanes that may take it."""
        known = cond.is_known
        if known:
            flags = cond.numbers().reshape(-1)
            self.masks.append(Value(cond.level, (), None, ~flags if other else flags))
        self.doubts += not known
        try:
            return self.outcome(b)
        finally:
            self.doubts -= not known
            if known:
                self.masks.pop()

    def active(self, level: int) -> Any:
        """Which lanes are in the branch that is being executed; None where all are."""
        if not self.masks:
            return None
        # a mask belongs to the loops around its branch: their lanes are all there
        return np.logical_and.reduce([self.lift(v, level).numbers().reshape(-1) for v in self.masks if v.level <= level])

    def either(self, cond: Value, a: Value | Hole, b: Value | Hole) -> Value | Hole:
        """`a` in the lanes where the condition is known to hold, `b` where not; both where it is unknown."""
        if isinstance(a, Hole) or isinstance(b, Hole):
            if a is not b:
                raise Varying
            return a
        if not cond.is_known:
            return self.one_of(a, b)
        level, (c, x, y) = self.lift_all((cond, a, b))
        own = np.arange(self.lanes(level) * x.size).reshape(-1, x.size)
        labels = np.where(c.numbers().reshape(-1, 1), own, own + own.size)
        return sparsity_ops.pick((x, y), labels.reshape(-1, *x.shape), level, c.sources)

    def one_of(self, a: Value, b: Value) -> Value:
        """Either of two, nobody knows which."""
        if a is b:
            return a
        level, (x, y) = self.lift_all((a, b))
        return Value(level, x.shape, union(x.deps, y.deps))

    # ------------------------------------------------------------ loops

    def loop(self, s: For) -> None:
        count = evaluate(size(s.count), self.sizes)
        inits = [self.env[a] if isinstance(a, Var) else self.value(a) for a in s.inits]
        if count and s not in self.in_order:
            try:
                self.put(s.outs, self.in_lanes(s, count, inits))
                return
            except Varying:
                self.in_order.add(s)
        self.put(s.outs, self.step_by_step(s, count, inits))

    def in_lanes(self, s: For, count: int, inits: list[Value | Hole]) -> list[Value | Hole]:
        """All iterations at once."""
        self.tokens += 1
        token, level, n = frozenset((f"loop {self.tokens}",)), self.level, s.carries
        lanes = self.lanes(level)
        order = np.arange(count)[::-1] if s.reverse else np.arange(count)
        carried: list[Value | Hole] = []
        after: dict[int, Value] = {}
        for k, (p, init) in enumerate(zip(s.body.params[1:], inits[:n], strict=True)):
            if isinstance(init, Hole):
                carried.append(init)
            elif p.type.is_float:
                carried.append(Hole(level, init.shape))
            else:
                step = self.step_of(s, k)
                if step is None or not init.is_known:
                    raise Varying
                first = self.lift(init, level)
                from_ = first.sources | step.sources
                at = (first.numbers()[:, None] + order * self.lift(step, level).numbers()[:, None]).reshape(-1)
                carried.append(Value(level + 1, (), None, at.astype(p.type.dtype), None, from_ | token))
                after[k] = Value(level, (), None, (first.numbers() + count * self.lift(step, level).numbers()).astype(p.type.dtype), None, from_)
        self.extents.append(count)
        try:
            index = Value(level + 1, (), None, np.tile(np.arange(count), lanes), None, token)
            for p, x in zip(s.body.params, (index, *carried), strict=True):
                self.env[p] = x
            got = self.outcome(s.body)
            reduced = [self.merged(self.no_hole(x), level + 1, kind) for kind, x in zip(s.reduce, s.split(tuple(got))[1], strict=True)]
            slices = [self.lift(self.no_hole(x), level + 1) for x in s.split(tuple(got))[2]]
        finally:
            self.extents.pop()
        outs: list[Value | Hole] = []
        for k in range(n):
            hole, init = carried[k], inits[k]
            if isinstance(hole, Hole):
                if got[k] is not hole:
                    raise Varying
                outs.append(hole if isinstance(init, Hole) else self.filled(hole, init))
            else:
                outs.append(after[k])
        for init, part, kind in zip(inits[n:], reduced, s.reduce, strict=True):
            outs.append(self.combined(self.no_hole(init), part, kind))
        for x in slices:
            make = (lambda x=x: x.numbers().reshape(-1, count, *x.shape)) if x.is_known else None
            outs.append(Value(level, (count, *x.shape), x.deps, None, make, x.sources, x.chain + 1))
        return outs

    def no_hole(self, x: Value | Hole) -> Value:
        if isinstance(x, Hole):
            raise Varying
        return x

    def step_of(self, s: For, k: int) -> Value | None:
        """By how much an integer carry grows in every iteration, if it always grows by the same."""
        made = {v: t for t in s.body.stmts if isinstance(t, Op) for v in t.outs}
        inner = set(made) | set(s.body.params) | {v for t in s.body.stmts for v in t.outs}
        at, p, total = s.body.results[k], s.body.params[1 + k], None
        while at is not p:
            op = made.get(at) if isinstance(at, Var) else None
            if op is None or op.prim.name not in ("add", "sub"):
                return None
            a, b = op.args if op.prim.name == "sub" or op.args[1] not in inner else op.args[::-1]
            if b in inner:
                return None
            amount = self.value(b)
            if not amount.is_known or amount.shape:
                return None
            sign = -1 if op.prim.name == "sub" else 1
            level, (x, y) = self.lift_all((total or constant(np.int64(0)), amount))
            total = Value(level, (), None, x.numbers() + sign * y.numbers(), None, x.sources | y.sources)
            at = a
        return total or constant(np.int64(0))

    def filled(self, hole: Hole, init: Value) -> Value:
        """The array after all lanes have stored into it."""
        first = self.lift(init, hole.level)
        height = self.lanes(hole.level) * first.size
        kept = first.deps
        if hole.overwritten and kept is not None:
            stay = np.ones(height, bool)
            for t in hole.overwritten:
                stay[t] = False
            left = np.flatnonzero(stay)
            kept = join(kept, left, left, height)
        targets = np.concatenate(hole.targets) if hole.targets else np.zeros(0, np.int64)
        new = stacked(hole.parts, [len(t) for t in hole.targets])
        deps = union(kept, join(new, targets, np.arange(len(targets)), height))
        return Value(hole.level, first.shape, deps, None, first.numbers if first.is_known and not hole.targets else None, first.sources)

    def merged(self, x: Value, level: int, kind: str) -> Value:
        """All iterations of the innermost loop combined."""
        x, count, outer = self.lift(x, level), self.extents[level - 1], self.lanes(level - 1)
        own = np.arange(outer * x.size).reshape(outer, 1, x.size)
        deps = merge(x.deps, np.broadcast_to(own, (outer, count, x.size)).ravel(), outer * x.size)
        make = (lambda: COMBINE[kind].reduce(x.numbers().reshape(outer, count, *x.shape), axis=1)) if x.is_known else None  # type: ignore[attr-defined]
        return Value(level - 1, x.shape, deps, None, make, x.sources, x.chain + 1)

    def combined(self, a: Value, b: Value, kind: str) -> Value:
        level, (x, y) = self.lift_all((a, b))
        known, sources, chain = known_from((x, y))
        make = (lambda: COMBINE[kind](x.numbers(), y.numbers())) if known else None
        return Value(level, x.shape, union(x.deps, y.deps), None, make, sources, chain)

    def step_by_step(self, s: For, count: int, inits: list[Value | Hole]) -> list[Value | Hole]:
        """One iteration after the other; when one has changed nothing, so do the rest."""
        self.tokens += 1
        token, n = f"loop {self.tokens}", s.carries
        carried, reduced = list(inits[:n]), [self.no_hole(x) for x in inits[n:]]
        slices: dict[int, list[Value]] = {}
        order = list(reversed(range(count))) if s.reverse else list(range(count))
        for done, i in enumerate(order):
            self.env[s.index] = constant(np.int64(i), frozenset((token,)))
            for p, x in zip(s.body.params[1:], carried, strict=True):
                self.env[p] = x
            before, self.decided = self.decided, set()
            got = self.outcome(s.body)
            moved = token in self.decided or any(not isinstance(x, Hole) and token in x.sources for x in got)
            self.decided |= before
            new, parts, rest = s.split(tuple(got))
            still = not moved and all(map(self.unchanged, carried, new)) and not any(self.no_hole(x).is_known for x in parts)
            carried = list(new)
            reduced = [self.combined(a, self.no_hole(b), k) for a, b, k in zip(reduced, parts, s.reduce, strict=True)]
            slices[i] = [self.no_hole(x) for x in rest]
            if still:
                slices.update((j, slices[i]) for j in order[done + 1 :])
                break
        stacks = [self.piled([slices[i][k] for i in range(count)], v.type) for k, v in enumerate(s.split(s.outs)[2])]
        return [*carried, *reduced, *stacks]

    def unchanged(self, a: Value | Hole, b: Value | Hole) -> bool:
        if isinstance(a, Hole) or isinstance(b, Hole):
            return a is b
        if a is b:
            return True
        if a.level != b.level or a.is_known != b.is_known or not alike(a.deps, b.deps):
            return False
        return not a.is_known or bool(np.array_equal(a.numbers(), b.numbers(), equal_nan=a.numbers().dtype.kind == "f"))

    def piled(self, values: list[Value], t: Tensor) -> Value:
        """Slices as one array."""
        if not values:
            return constant(np.zeros(self.shape(t), t.dtype))
        level, lifted = self.lift_all(values)
        n, lanes, one = len(values), self.lanes(level), lifted[0]
        labels = np.arange(n * lanes * one.size).reshape(n, lanes, *one.shape)
        return sparsity_ops.pick(lifted, np.moveaxis(labels, 0, 1), level)

    def repeat(self, s: While) -> None:
        values: list[Value | Hole] = [self.env[a] if isinstance(a, Var) else self.value(a) for a in s.inits]
        n, slices, trips = len(values), [], 0
        while True:
            for p, x in zip(s.cond.params, values, strict=True):
                self.env[p] = x
            test = self.no_hole(self.outcome(s.cond)[0])
            if not test.is_known:
                break
            flags = self.numbers(test)
            if not flags.any():
                break
            if not flags.all() or trips > MAX_TRIPS:
                raise Varying
            for p, x in zip(s.body.params, values, strict=True):
                self.env[p] = x
            got = self.outcome(s.body)
            values = got[:n]
            slices.append([self.no_hole(x) for x in got[n:]])
            trips += 1
        if test.is_known:
            if s.count is not None:
                self.sizes[s.count] = trips
            stacks = [self.piled([x[k] for x in slices], v.type) for k, v in enumerate(s.outs[n:])]
            self.put(s.outs, [*values, *stacks])
            return
        if s.stacks or s.count is not None:
            raise self.refused(s, "the number of iterations of a loop, which sets the size of what it saves,")
        self.put(s.outs, self.fixpoint(s, values))

    def fixpoint(self, s: While, values: list[Value | Hole]) -> list[Value | Hole]:
        """What the carries can depend on after any number of further iterations."""
        self.doubts += 1
        try:
            while True:
                for p, x in zip(s.body.params, values, strict=True):
                    self.env[p] = x
                got = self.outcome(s.body)
                new = [a if isinstance(a, Hole) and a is b else self.grown(self.no_hole(a), self.no_hole(b)) for a, b in zip(values, got, strict=True)]
                if all(map(self.unchanged, values, new)):
                    return new
                values = new
        finally:
            self.doubts -= 1

    def grown(self, a: Value, b: Value) -> Value:
        """What holds both; known only while it is the same."""
        return a if self.unchanged(a, b) else self.one_of(a, b)

    def refused(self, s: Stmt, what: str) -> Exception:
        return fail(UnsupportedError, "type", s.pos, what=f"{what} depends on the values of the differentiated arguments, so there is no pattern for all of them", instead=GIVE)


__all__ = ["Detected", "Machine", "Params", "Varying", "detect"]

