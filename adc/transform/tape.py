"""The tape planner: the one place that decides what the forward sweep saves.

In: the statements of a loop body or branch, and the block of its adjoint, which uses their values freely.
Out: a `Plan`: the values to save, and the adjoint block with everything else computed again.

The choice is a minimum cut.  Every value may be saved (its bytes) or computed again (the work of its
statement, which needs the statement's inputs in turn); loop invariants cost nothing; the carries at the start
of an iteration can only be saved.  Arrays that are changed in place are never saved whole unless nothing else
will do: what is read from them is saved instead.

    for i in range(n): x = sin(a * x) + x       saves x; a * x and its cosine are computed again
    for i in range(n): u[i] = 0.5 * u[i - 1]    saves nothing
    for i in range(n): x = x * exp(-x) + b[i]   saves x, and exp(-x) beside it: numbers, whose tape stays in the cache
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from adc.errors import StageError, fail
from adc.ir import (
    Block,
    Call,
    Contraction,
    For,
    If,
    Op,
    Pointwise,
    Reduction,
    Routine,
    Special,
    Stmt,
    Sym,
    Tensor,
    Update,
    Var,
    View,
    While,
    free_vars,
    product,
    size,
    stmt_uses,
    symbols,
    walk,
)
from adc.ir.dce import dce, defined_sizes, stmt_sizes
from adc.ir.dims import evaluate

TYPICAL = 1000
"""The value of every size symbol when costs are compared."""
WORK = 0.05
"""Bytes of tape that one scalar operation of recomputation is worth."""
DEAR, DEAR_NEAR = 20.0, 200.0
"""Operations that exp, log, division and their like are worth; beside a tape that stays in the cache (`_near`), a number of which costs a store
and a load there."""
WHOLE = 1e6
"""How much dearer an array changed in place is than its bytes."""
NEVER = 1e30
EQUALITIES = ("equal", "not_equal")


@dataclass(frozen=True)
class Plan:
    """`saved`: values to keep.  `forward`: the primal statements, with those added that compute saved values.
    `adjoint`: the adjoint block; recomputation first; it uses `saved` and what is known anyway."""

    saved: tuple[Var, ...]
    forward: tuple[Stmt, ...]
    adjoint: Block
    recomputed: int


def plan(
    carries: Sequence[Var], stmts: Sequence[Stmt], adjoint: Block, primal: Set[Var], dear: Set[Var], known: Set[Var], late: Mapping[Var, Op],
    near: bool = False,
) -> Plan:  # fmt: skip
    """Decide for one body.

    `carries` must be saved if needed, except `known` ones; `primal` are all values of the forward sweep;
    `dear` are the versions of arrays changed in place, of this loop and of those around it; `late`: what is
    read or written → a read of an array that has it when the forward sweep is over (see `late_reads`); `near`: the body belongs to
    a `for` loop, whose turns have places of known numbers in the tape, and nobody has limited it.
    """
    adjoint = dce(adjoint)
    early, others = _split(adjoint, primal)
    everything = (*stmts, *early)
    rest = Block(adjoint.params, others, adjoint.results)
    compared = {v for _, s in _compared(everything, rest) for v in s.outs}  # both sides of such a comparison are computed, or neither
    within = {v for s in walk(Block((), tuple(stmts), ())) for v in s.outs}  # a loop that runs again cannot read its own result
    again = _from_results(everything, {v: op for v, op in late.items() if op.args[0] not in dear and op.args[0] not in within and v not in compared})
    roots = tuple(c for c in carries if c not in known)
    saved = _cut(roots, again, len(stmts), rest, dear, DEAR)
    if near and any(v in roots for v in saved) and _near(stmts):
        saved = _cut(roots, again, len(stmts), rest, dear, DEAR_NEAR, {*carries, *known})
    given = set(saved)
    result = dce(Block(adjoint.params, (*again, *others), adjoint.results), effects=False, given=given)
    missing = [v for v in free_vars(result) if v in carries and v not in given and v not in known]
    if missing:
        raise fail(StageError, "internal", missing[0].pos, what=f"the tape lacks {missing[0]!r}")
    forward = everything if any(v in given for s in early for v in s.outs) else tuple(stmts)
    own = {v for s in stmts for v in s.outs}
    recomputed = sum(any(v in own for v in s.outs) for s in result.stmts)
    return Plan(saved, forward, result, recomputed)


def _from_results(stmts: Sequence[Stmt], late: Mapping[Var, Op]) -> tuple[Stmt, ...]:
    """The statements as they run again: what stands in a result of the forward sweep is read from there."""
    if not late:
        return tuple(stmts)

    def block(b: Block) -> Block:
        return dataclasses.replace(b, stmts=_from_results(b.stmts, late))

    out: list[Stmt] = []
    for s in stmts:
        match s:
            case Op() if s.outs and s.outs[0] in late:
                out.append(late[s.outs[0]])
            case For():
                out.append(dataclasses.replace(s, body=block(s.body)))
            case While():
                out.append(dataclasses.replace(s, cond=block(s.cond), body=block(s.body)))
            case If():
                out.append(dataclasses.replace(s, then=block(s.then), orelse=block(s.orelse)))
            case _:
                out.append(s)
    return tuple(out)


def _split(adjoint: Block, primal: Set[Var]) -> tuple[tuple[Stmt, ...], tuple[Stmt, ...]]:
    """The adjoint's ops that use only primal values, and the others.

    The first could as well run in the forward sweep, so their results may be saved instead of their inputs
    (one byte of `x > 0` instead of eight of `x`).
    """
    have = set(primal)
    early: list[Stmt] = []
    late: list[Stmt] = []
    for s in adjoint.stmts:
        used = [a for a in s.args if isinstance(a, Var)] if isinstance(s, Op) else []
        if isinstance(s, Op) and used and not s.prim.effect and not s.prim.defines and all(a in have for a in used):
            have.update(s.outs)
            early.append(s)
        else:
            late.append(s)
    return tuple(early), tuple(late)


# ---------------------------------------------------------------- costs

def _number(t: Tensor) -> float:
    total = product(t.dims)
    return float(max(evaluate(size(total), dict.fromkeys(symbols(size(total)), TYPICAL)), 0))


def _bytes(t: Tensor) -> float:
    return max(_number(t), 1.0) * t.dtype.itemsize


def _large(t: Tensor) -> bool:
    return any(symbols(size(d)) for d in t.dims) or _number(t) > 64


def save_cost(v: Var, dear: Set[Var], local: Set[Sym]) -> float:
    """The price of keeping one value; sizes that the body itself defines differ between iterations."""
    if any(s in local for d in v.type.dims for s in symbols(size(d))):
        return NEVER
    return _bytes(v.type) * (WHOLE if v in dear and _large(v.type) else 1.0)


def _near(stmts: Sequence[Stmt]) -> bool:
    """Is the tape of these turns one of numbers, or of one array whose elements never meet, so that a tile of them goes through all turns at once?"""
    lengths: set[object] = set()
    for s in stmts:
        if not isinstance(s, Op):
            continue
        arrays = [d for a in s.args if isinstance(a.type, Tensor) for d in (a.type.dims,) if d]
        outs = [v.type.dims for v in s.outs if isinstance(v.type, Tensor) and v.type.dims]
        match s.prim.loops:
            case Pointwise() | Special():
                if any(len(d) > 1 for d in outs):
                    return False
                lengths.update(outs)
            case View():
                if outs and arrays and outs[0][-1] not in arrays[0]:
                    return False  # shifted against each other
            case Update():
                pass
            case _:
                if arrays:
                    return False
    return len(lengths) <= 1


def work(s: Stmt, dear: float) -> float:
    """Roughly how many scalar operations a statement takes."""
    match s:
        case Op():
            outs = max((_number(v.type) for v in s.outs), default=1.0)
            args = [_number(a.type) for a in s.args]
            match s.prim.loops:
                case Contraction():
                    # m·n·k, from the sizes m·k, k·n and m·n
                    return math.sqrt(math.prod(max(x, 1.0) for x in (*args, outs)))
                case Pointwise():
                    return outs if s.prim.cheap else dear * outs
                case Reduction():
                    return max([outs, *args])
                case Update():
                    return args[1]
                case Routine():
                    return 50.0 * max([outs, *args])
                case _:
                    return outs
        case If():
            return 1.0 + sum(work(t, dear) for b in (s.then, s.orelse) for t in b.stmts)
        case For():
            trips = evaluate(size(s.count), dict.fromkeys(symbols(size(s.count)), TYPICAL))
            return max(trips, 1) * sum(work(t, dear) for t in s.body.stmts)
        case While():
            return 20.0 * sum(work(t, dear) for b in (s.cond, s.body) for t in b.stmts)
        case Call():
            return sum(work(t, dear) for t in s.fn.body.stmts)
    raise TypeError(f"not a statement: {s!r}")


# ---------------------------------------------------------------- the cut

def _cut(
    roots: tuple[Var, ...], stmts: tuple[Stmt, ...], computed: int, rest: Block, dear: Set[Var], price: float, varying: Set[Var] | None = None
) -> tuple[Var, ...]:
    """The values to save: a minimum cut between what must be saved or computed and what the adjoint uses.

    On the sink's side lie the values that the adjoint needs and the statements that run again.
    `computed`: how many of `stmts` belong to the forward sweep (the others run once in any case); `price`: what exp and its like are worth;
    `varying`: what differs between turns, where what follows from other things alone is computed once before the loop.
    """
    local = defined_sizes(stmts)
    node: dict[object, int] = {}

    def at(key: object) -> int:
        return node.setdefault(key, len(node) + 2)

    flow = _Flow()
    source, sink = 0, 1
    candidates: list[tuple[Var, int]] = []
    inside = {v for s in stmts for v in s.outs} | set(roots)
    outside: set[Var] = set()

    def need(v: Var, by: int) -> None:
        if v in inside:
            flow.arc(at(v), by, NEVER)
        elif v in dear and _large(v.type):
            if v not in outside:
                outside.add(v)
                flow.arc(source, at(v), _bytes(v.type) * WHOLE)
            flow.arc(at(v), by, NEVER)

    for p in roots:
        flow.arc(source, at(p), save_cost(p, dear, set(local)))
        candidates.append((p, source))
    moving = set(varying or ())
    for k, s in enumerate(stmts):
        here = at(s)
        once = varying is not None and isinstance(s, Op) and moving.isdisjoint(stmt_uses(s))
        if not once:
            moving.update(s.outs)
        flow.arc(source, here, (WORK * work(s, price) if k < computed and not once else 0.0) + 0.001)
        for v in s.outs:
            flow.arc(here, at(v), save_cost(v, dear, set(local)))
            candidates.append((v, here))
        for v in stmt_uses(s):
            need(v, here)
        for sym in stmt_sizes(s):
            if sym in local and local[sym] is not s:
                flow.arc(at(sym), here, NEVER)
        for sym in (y for y, t in local.items() if t is s):
            flow.arc(here, at(sym), NEVER)
    for first, then in _compared(stmts, rest):
        # `x == max(x)`: were x computed again and the maximum saved, rounding might leave no element equal
        flow.arc(at(then), at(first), NEVER)
    used = free_vars(rest)
    for v in used:
        need(v, sink)
    for s in rest.stmts:
        for sym in stmt_sizes(s):
            if sym in local:
                flow.arc(at(sym), sink, NEVER)
    for v in used:
        for d in v.type.dims:
            for sym in symbols(size(d)):
                if sym in local:
                    flow.arc(at(sym), sink, NEVER)
    before = flow.source_side(source, sink)
    return tuple(v for v, start in candidates if at(v) not in before and start in before)


def _compared(stmts: Sequence[Stmt], rest: Block) -> Iterator[tuple[Stmt, Stmt]]:
    """Where `p == q` and q comes from p: the statement of p with each one on the way from p to q.

    Such a comparison means something only if both sides come from one evaluation: compiled code may contract
    and reorder, so a second evaluation may differ in the last bit.
    """
    maker = {v: s for s in stmts for v in s.outs}
    before: dict[Var, set[Var]] = {}
    for s in stmts:
        above = {v for u in stmt_uses(s) for v in (u, *before.get(u, ()))}
        before.update(dict.fromkeys(s.outs, above))
    for t in walk(Block((), (*stmts, *rest.stmts), ())):
        if isinstance(t, Op) and t.prim.name in EQUALITIES:
            for p, q in (t.args, t.args[::-1]):
                if isinstance(p, Var) and isinstance(q, Var) and p in maker and p in before.get(q, ()):
                    way = {maker[v] for v in (q, *before[q]) if v in maker and p in before[v]}
                    yield from ((maker[p], s) for s in stmts if s in way)


class _Flow:
    """Dinic's maximum flow, on small graphs."""

    def __init__(self) -> None:
        self.edges: list[list[int]] = []
        self.to: list[int] = []
        self.room: list[int] = []  # thousandths of a byte: sums of integers are exact

    def arc(self, a: int, b: int, capacity: float) -> None:
        while len(self.edges) <= max(a, b):
            self.edges.append([])
        for x, y, c in ((a, b, int(capacity * 1000)), (b, a, 0)):
            self.edges[x].append(len(self.to))
            self.to.append(y)
            self.room.append(c)

    def levels(self, source: int) -> list[int]:
        level = [-1] * len(self.edges)
        level[source] = 0
        queue = [source]
        for x in queue:
            for e in self.edges[x]:
                if self.room[e] > 0 and level[self.to[e]] < 0:
                    level[self.to[e]] = level[x] + 1
                    queue.append(self.to[e])
        return level

    def source_side(self, source: int, sink: int) -> set[int]:
        """The nodes that stay with the source in the minimum cut nearest to it."""
        if not self.edges:
            return {source}
        while len(self.edges) <= sink:
            self.edges.append([])
        while True:
            level = self.levels(source)
            if level[sink] < 0:
                return {k for k, x in enumerate(level) if x >= 0}
            position = [0] * len(self.edges)
            while self._push(source, sink, level, position) > 0:
                pass

    def _push(self, source: int, sink: int, level: list[int], position: list[int]) -> int:
        """One augmenting path in the level graph, found without recursion."""
        path: list[int] = []
        x = source
        while x != sink:
            edges = self.edges[x]
            while position[x] < len(edges):
                e = edges[position[x]]
                if self.room[e] > 0 and level[self.to[e]] == level[x] + 1:
                    break
                position[x] += 1
            if position[x] == len(edges):
                if not path:
                    return 0
                x = self.to[path.pop() ^ 1]
                position[x] += 1
                continue
            path.append(edges[position[x]])
            x = self.to[path[-1]]
        amount = min(self.room[e] for e in path)
        for e in path:
            self.room[e] -= amount
            self.room[e ^ 1] += amount
        return amount
