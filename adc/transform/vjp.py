"""Reverse mode: from a program to the program of its cotangents.

In: a function and the numbers of the parameters to differentiate.  Out: a function of the parameters and one
cotangent per float result, giving (the results and) one cotangent per chosen parameter.

    y = sin(x)   ->   x_bar = cos(x) * y_bar

The forward sweep is the program itself, with loops that also stack what `tape.plan` decides to keep.  The
adjoint of a block is written first as if every value of the forward sweep were still there; then the planner
replaces that by loads and recomputation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from adc.errors import Pos, StageError, UnsupportedError, fail
from adc.ir import (
    Atom,
    Block,
    Call,
    Dim,
    For,
    Function,
    If,
    Op,
    Params,
    Stmt,
    Sym,
    Tensor,
    Var,
    While,
    at,
    bind_sizes,
    building,
    current,
    free_vars,
    size,
    subst_dims,
    walk,
)
from adc.ir.dce import dce, defined_sizes
from adc.ops.access import zeros
from adc.ops.registry import PRIMITIVES
from adc.transform.activity import READS, carried, in_place, read_in_parts, through_loop, varied
from adc.transform.checkpoints import Tape, has_loops, inner_tape, memory, shares
from adc.transform.late_reads import late_reads
from adc.transform.prepare import Fresh, all_vars, finish, load, prepare, zeros_like
from adc.transform.report import Checkpoints, LoopReport, Saved, attach
from adc.transform.segments import Segments
from adc.transform.stacks import counters, from_tape, known_as, taping
from adc.transform.tape import Plan, plan

INT = Tensor(np.dtype("i8"))
Bars = dict[Atom, Any]


def vjp(fn: Function, wrt: tuple[int, ...], keep_primal: bool = True, tape_limit: int | None = None) -> Function:
    """The function (params, one cotangent per float result) -> (results, one cotangent per parameter in `wrt`).

    `tape_limit`: bytes that loops may keep for the reverse sweep; those that would keep more are run again in segments.
    """
    for k in wrt:
        if not fn.params[k].type.is_float:
            p = fn.params[k]
            raise fail(UnsupportedError, "not_float", p.pos or fn.pos, name=p.hint, dtype=p.type.dtype)
    primal = prepare(fn, set(wrt))
    limits: dict[Stmt, int] = {}
    if tape_limit is not None and has_loops(primal.body):
        tapes = _sweep(primal, wrt, fn.pos, {})[0].tapes  # once to see what would be kept
        limits = shares(tapes, tape_limit)
    sweep, everything, forward, stmts, out = _sweep(primal, wrt, fn.pos, limits)
    results = (*(primal.results if keep_primal else ()), *out)
    body = dce(Block(everything, (*forward, *stmts), results))
    made = finish(Function(f"{fn.name}_vjp", everything, body, fn.guards, fn.pos), sweep.names)
    attach(made, tuple(sweep.reports))
    return made


def _sweep(primal: Function, wrt: tuple[int, ...], pos: Pos | None, limits: dict[Stmt, int]) -> tuple[Reverse, tuple[Var, ...], tuple[Stmt, ...], tuple[Stmt, ...], tuple[Any, ...]]:
    """(the walk, parameters with cotangents of the results, the forward sweep, the adjoint, its results)"""
    params = primal.params
    sweep = Reverse(varied(primal, {params[k] for k in wrt}), all_vars(primal), limits)
    sweep.late = late_reads(primal)
    sweep.local = set(defined_sizes(walk(primal.body)))
    floats = [r for r in primal.results if r.type.is_float]
    seeds = tuple(Var(Tensor(r.type.dtype, r.type.dims), _bar(r), getattr(r, "pos", None)) for r in floats)
    with building() as b:
        bars: Bars = {}
        for r, s in zip(floats, seeds, strict=True):
            sweep.give(bars, r, s)
        forward = sweep.block(primal.body.stmts, bars)
        with at(pos):
            out = tuple(sweep.settle(bars, params[k]) for k in wrt)
    return sweep, (*params, *seeds), forward, tuple(b.stmts), out


def _bar(a: Atom) -> str:
    return f"{a.hint}_bar" if isinstance(a, Var) and a.hint else "bar" if isinstance(a, Var) else ""


def _strong(v: Atom, hint: str | None = None) -> Var:
    """A fresh variable of the same type."""
    return Var(Tensor(v.type.dtype, v.type.dims), getattr(v, "hint", "") if hint is None else hint, getattr(v, "pos", None))


class Reverse:
    """The walk backwards.  `bars` maps a variable to its cotangent so far; absent means zero.

    `limits`: the loops that are run again in segments, with the bytes that each may keep."""

    def __init__(self, active: set[Var], primal: set[Var], limits: dict[Stmt, int]):
        self.active = active
        self.primal = primal
        self.dear: set[Var] = set()
        self.late: dict[Var, Op] = {}
        """What is read or written → a read of the array that has it after the forward sweep."""
        self.names: dict[Var, str] = {}
        self.reports: list[LoopReport] = []
        self.limits = limits
        self.tapes: list[Tape] = []
        """What loops save that have iterations which wait for each other, the outermost of those that save anything."""
        self.stacks: list[Var] = []
        """The tapes of all loops so far."""
        self.inside: list[Stmt] = []
        self.local: set[Sym] = set()
        """Sizes that the program itself finds out: they may be 0."""

    # ------------------------------------------------------------ cotangents

    def give(self, bars: Bars, a: Atom, bar: Any) -> None:
        """Add `bar` to the cotangent of `a`."""
        if bar is None or a not in self.active:
            return
        if (bar.type.dtype, bar.type.dims) != (a.type.dtype, a.type.dims):
            raise fail(StageError, "internal", getattr(a, "pos", None), what=f"the cotangent of {a!r} is {bar.type}")
        old = bars.get(a)
        bars[a] = self.named(bar if old is None else PRIMITIVES["add"](old, bar), a)

    def named(self, bar: Any, a: Atom) -> Any:
        if isinstance(bar, Var) and not bar.hint and isinstance(a, Var) and a.hint:
            self.names.setdefault(bar, _bar(a))
        return bar

    def settle(self, bars: Bars, a: Atom) -> Any:
        """The cotangent of `a`, zeros written out."""
        bar = bars.get(a)
        return self.named(zeros_like(a), a) if bar is None else bar

    # ------------------------------------------------------------ statements

    def block(self, stmts: Sequence[Stmt], bars: Bars) -> tuple[Stmt, ...]:
        """Emit the adjoint of `stmts`; returns them with what the forward sweep must do in addition."""
        forward: list[tuple[Stmt, ...]] = []
        for s in reversed(stmts):
            out_bars = [bars.pop(v, None) for v in s.outs]
            if all(bar is None for bar in out_bars):
                forward.append((s,))
                continue
            with at(s.pos):
                match s:
                    case Op():
                        self.op(s, tuple(out_bars), bars)
                        forward.append((s,))
                    case If():
                        forward.append((self.branch(s, out_bars, bars),))
                    case For() | While():
                        forward.append(self.loop(s, out_bars, bars))
                    case Call():
                        forward.append((self.call(s, out_bars, bars),))
        return tuple(s for group in reversed(forward) for s in group)

    def op(self, s: Op, out_bars: tuple[Any, ...], bars: Bars) -> None:
        if not any(a in self.active for a in s.args):
            return
        if s.prim.vjp is None:
            if s.prim.jvp is None:
                return  # no derivative at all: locally constant
            raise fail(UnsupportedError, "no_rule", s.pos, what=s.prim.name)
        if s.prim.name in READS:
            # straight into the running cotangent: never an array of zeros for one element
            x, rest = s.args[0], s.args[1:]
            if x in self.active:
                add = PRIMITIVES[READS[s.prim.name]]
                bars[x] = self.named(add(self.settle(bars, x), out_bars[0], *rest, **s.params), x)
            return
        if s.prim.name == "update":
            # read before the store, so that the running cotangent can be overwritten in place
            x, v, *ints = s.args
            if v in self.active:
                self.give(bars, v, PRIMITIVES["index"](out_bars[0], *ints, **s.params))
            if x in self.active:
                self.give(bars, x, s.prim(out_bars[0], zeros_like(v), *ints, **s.params))
            return
        got = s.prim.vjp(s.args, s.outs, out_bars, s.params)
        for a, bar in zip(s.args, got, strict=True):
            self.give(bars, a, bar)

    def branch(self, s: If, out_bars: list[Any], bars: Bars) -> Stmt:
        """The adjoint of an `If` is an `If` on the same condition that hands on the running cotangents."""
        inside = {v: None for b in (s.then, s.orelse) for v in free_vars(b) if v in self.active}
        self.inside.append(s)
        raw: list[tuple[tuple[Stmt, ...], Bars, tuple[Stmt, ...]]] = []
        for b in (s.then, s.orelse):
            with building() as inner:
                mine: Bars = {v: bars[v] for v in inside if v in bars}
                for r, bar in zip(b.results, out_bars, strict=True):
                    self.give(mine, r, bar)
                forward = self.block(b.stmts, mine)
            raw.append((tuple(inner.stmts), mine, forward))
        self.inside.pop()
        changed = [v for v in inside if any(mine.get(v) is not bars.get(v) for _, mine, _ in raw)]
        if not changed:
            return s
        plans: list[Plan] = []
        for stmts, mine, forward in raw:
            with building() as filler:
                results = tuple(self.settle(mine, v) for v in changed)
            adjoint = Block((), (*stmts, *filler.stmts), results)
            plans.append(plan((), forward, adjoint, self.primal, self.dear, set(), self.late))
        extra = [(v, _strong(v, name)) for p in plans for v, name in known_as(p.forward, p.saved).items()]
        self.primal.update(k for _, k in extra)
        outs = tuple(_strong(v, _bar(v)) for v in changed)
        adjoints = []
        for p in plans:
            copier = Fresh(self.names)
            copier.env.update((v, k) for v, k in extra if v in p.saved)
            adjoints.append(copier.block(p.adjoint))
        current().add(If(s.cond, adjoints[0], adjoints[1], outs, s.pos))
        for v, o in zip(changed, outs, strict=True):
            bars[v] = o
        if not extra:
            return s
        names = {v: n for p in plans for v, n in known_as(p.forward, p.saved).items()}
        self.note("if", s, 1, tuple(names), plans[0].recomputed + plans[1].recomputed, names)
        blocks = []
        for b, p in zip((s.then, s.orelse), plans, strict=True):
            with building() as filler:
                kept = tuple(v if v in p.saved else zeros(k.type) for v, k in extra)
            blocks.append(Block((), (*p.forward, *filler.stmts), (*b.results, *kept)))
        return If(s.cond, blocks[0], blocks[1], (*s.outs, *(k for _, k in extra)), s.pos)

    # ------------------------------------------------------------ loops

    def loop(self, s: For | While, out_bars: list[Any], bars: Bars) -> tuple[Stmt, ...]:
        params, n = carried(s)
        reduces = len(s.reduce) if isinstance(s, For) else 0
        index = s.index if isinstance(s, For) else Var(INT, "k")
        hit: set[Var] = set()
        through_loop(s, {k for k, bar in enumerate(out_bars) if bar is not None}, hit, self.active)
        alive = [k for k in range(n) if params[k] in self.active and (out_bars[k] is not None or params[k] in hit)]
        inside = [v for v in free_vars(s.body) if v in hit]
        running = [v for v in inside if v.type.rank and read_in_parts(s.body, v)]
        carry_params = tuple(_strong(params[k], _bar(params[k])) for k in alive)
        running_params = tuple(_strong(v, _bar(v)) for v in running)

        outer, self.dear = self.dear, self.dear | in_place(s)
        self.inside.append(s)
        tapes, stacks = len(self.tapes), len(self.stacks)
        with building(index, *carry_params, *running_params) as inner:
            mine: Bars = dict(zip(running, running_params, strict=True))
            for k, bar in zip(alive, carry_params, strict=True):
                self.give(mine, s.body.results[k], bar)
            for k in range(n, len(out_bars)):
                bar = out_bars[k]
                if bar is not None:
                    self.give(mine, s.body.results[k], bar if k < n + reduces else load(bar, index))
            forward = self.block(s.body.stmts, mine)
            touched = [j for j, v in enumerate(running) if mine[v] is not running_params[j]]
            sums = [v for v in inside if v not in running and v in mine]
            results = (
                *(self.settle(mine, params[k]) for k in alive),
                *(mine[running[j]] for j in touched),
                *(mine[v] for v in sums),
            )
        chosen = [running[j] for j in touched]
        adjoint = Block(
            (index, *carry_params, *(running_params[j] for j in touched)), tuple(inner.stmts), results
        )
        steps = counters(s)
        known = {index, *steps}
        near = s not in self.limits and not any(isinstance(around, While) for around in self.inside)
        p = plan(params, forward, adjoint, self.primal, self.dear, known, self.late, near)
        self.inside.pop()
        outs = (
            *(_strong(params[k], _bar(s.inits[k])) for k in alive),
            *(_strong(v, _bar(v)) for v in (*chosen, *sums)),
        )

        def starts() -> tuple[Any, ...]:
            return (
                *(zeros_like(params[k]) if out_bars[k] is None else out_bars[k] for k in alive),
                *(self.settle(bars, v) for v in chosen),
                *(self.settle(bars, v) for v in sums),
            )

        names = known_as(p.forward, p.saved)
        aside = inner_tape(self.stacks[stacks:], p.saved, p.adjoint)
        if n and p.saved:  # its tape holds what the loops inside leave, or has room beside it for one iteration of theirs
            self.tapes[tapes:] = [Tape(s, size(s.count) * memory(p.saved) + aside if isinstance(s, For) else None)]
        if s in self.limits:
            new = self.segments(s, p, starts(), outs, len(sums), steps, names, aside)
        else:
            taped, kept, count = taping(s, p, self.primal)
            self.stacks.extend(kept.values())
            new = (taped,)
            body = from_tape(s, p, kept, count, steps, Fresh(self.names))
            reverse = not s.reverse if isinstance(s, For) else True
            current().add(For(count, starts(), body, outs, ("sum",) * len(sums), 0, reverse, s.pos))
            self.note("for" if isinstance(s, For) else "while", s, count, p.saved, p.recomputed, names)
        for v, o in zip((*chosen, *sums), outs[len(alive) :], strict=True):
            bars[v] = o
        for k, o in zip(alive, outs, strict=False):
            self.give(bars, s.inits[k], o)
        for k in range(n, n + reduces):
            self.give(bars, s.inits[k], out_bars[k])
        self.dear = outer
        return new

    def segments(
        self, s: For | While, p: Plan, inits: tuple[Any, ...], outs: tuple[Var, ...], sums: int,
        steps: dict[Var, tuple[Atom, Op]], names: dict[Var, str], aside: Dim,
    ) -> tuple[Stmt, ...]:  # fmt: skip
        """The loop under a limit; its adjoint is emitted.  Returns the forward sweep."""
        around = self.inside[-1] if self.inside else None
        # in a loop whose iterations wait for each other, states must not be kept for all of them: a size of its own says so
        nested = around is not None and not (isinstance(around, For | While) and carried(around)[1])
        cut = Segments(s, p.forward, p.saved, self.names, self.limits[s], nested, self.local, aside)
        forward, kept = cut.forward()
        self.primal.update(kept)

        def adjoint(first: Atom, n: Dim, stacks: tuple[Var, ...], bars: tuple[Atom, ...]) -> tuple[Atom, ...]:
            body = from_tape(s, p, dict(zip(p.saved, stacks, strict=True)), cut.s.count, steps, Fresh(self.names), lambda turn: cut.place(first, turn))
            made = tuple(_strong(v) for v in outs)
            current().add(For(n, bars, body, made, ("sum",) * sums, 0, True, s.pos))
            return made

        cut.backward(kept, inits, adjoint, tuple(v.hint for v in outs))
        made = current().stmts.pop()
        assert isinstance(made, For)
        current().add(dataclasses.replace(made, outs=outs))
        self.note("for" if isinstance(s, For) else "while", s, cut.cut.tape, p.saved, p.recomputed, names, cut.report(), cut.kept())
        return forward

    def note(
        self, kind: str, s: Stmt, count: Dim, saved: tuple[Var, ...], recomputed: int, names: dict[Var, str],
        checkpoints: Checkpoints | None = None, kept: tuple[Saved, ...] = (),
    ) -> None:  # fmt: skip
        self.reports.append(
            LoopReport(
                kind,
                s.pos,
                count if checkpoints is None else checkpoints.count,
                (
                    *kept,
                    *(Saved(names[v], v.pos.line if v.pos else None, v.type, size(count) * memory((v,))) for v in saved),
                ),
                recomputed,
                tuple(v.hint for v in saved if v in self.dear and v.type.rank),
                checkpoints,
            )
        )

    # ------------------------------------------------------------ calls

    def call(self, s: Call, out_bars: list[Any], bars: Bars) -> Stmt:
        cotangents = tuple(
            zeros_like(v) if bar is None else bar
            for v, bar in zip(s.outs, out_bars, strict=True)
            if v.type.is_float
        )
        if s.rule == "checkpoint":
            wrt = tuple(k for k, a in enumerate(s.args) if a in self.active)
            if has_loops(s.fn.body):
                self.tapes.append(Tape(s, None))
            back = vjp(s.fn, wrt, keep_primal=False, tape_limit=self.limits.get(s))
            chosen = tuple(s.args[k] for k in wrt)
            got = call(back, (*s.args, *cotangents), tuple(_bar(a) for a in chosen), "checkpoint", chosen)
            for a, bar in zip(chosen, got, strict=True):
                self.give(bars, a, bar)
            return s
        if s.rule == "custom_vjp":
            return self.custom(s, out_bars, cotangents, bars)
        if s.rule == "custom_jvp":
            back, floats = transposed_jvp(s)
            args = (*s.args, *(zeros_like(a) for a in floats))
            nothing = tuple(zeros_like(v) for v in s.outs if v.type.is_float)
            got = call(back, (*args, *nothing, *cotangents), tuple(_bar(a) for a in floats), "", floats)
            for a, bar in zip(floats, got, strict=True):
                self.give(bars, a, bar)
            return s
        raise fail(StageError, "internal", s.pos, what=f"a call with the rule {s.rule!r}")

    def custom(self, s: Call, out_bars: list[Any], cotangents: tuple[Any, ...], bars: Bars) -> Stmt:
        """The user's pair: `fwd` runs in the forward sweep, `bwd` gets its residuals."""
        fwd, bwd, n = s.attrs["fwd"], s.attrs["bwd"], s.attrs["n_res"]
        made = outs_of(fwd, s.args)
        residuals = tuple(_strong(v, "residual") for v in made[len(made) - n :]) if n else ()
        self.primal.update(residuals)
        if len(bwd.params) == n + len(s.outs):  # one cotangent for every result, floats or not
            cotangents = tuple(
                zeros(Tensor(np.dtype("f8") if not v.type.is_float else v.type.dtype, v.type.dims)) if bar is None else bar
                for v, bar in zip(s.outs, out_bars, strict=True)
            )
        targets = tuple(s.args) if len(bwd.results) == len(s.args) else tuple(a for a in s.args if a.type.is_float)
        got = call(bwd, (*residuals, *cotangents), tuple(_bar(a) for a in targets), "", None)
        for a, bar in zip(targets, got, strict=True):
            self.give(bars, a, bar)
        return Call(fwd, s.args, (*s.outs, *residuals), "", Params(), s.pos)


def outs_of(fn: Function, args: tuple[Atom, ...]) -> tuple[Var, ...]:
    """Variables for the results of a call: their types in the caller's sizes."""
    sizes: dict[Sym, Dim] = {}
    for p, a in zip(fn.params, args, strict=True):
        bind_sizes(p.type.dims, a.type.dims, sizes)
    types = tuple(subst_dims(r.type, sizes) for r in fn.results)
    return tuple(Var(Tensor(t.dtype, t.dims), getattr(r, "hint", "")) for t, r in zip(types, fn.results, strict=True))


def call(
    fn: Function, args: tuple[Any, ...], hints: tuple[str, ...], rule: str, like: tuple[Atom, ...] | None
) -> tuple[Var, ...]:
    """Emit a call; the results' types are those of `like`, or of the function in the caller's sizes."""
    made = outs_of(fn, args)
    types = tuple(v.type for v in (made if like is None else like))
    pos = next((a.pos for a in args if isinstance(a, Var) and a.pos), None)
    outs = tuple(Var(Tensor(t.dtype, t.dims), h, pos) for t, h in zip(types, hints, strict=True))
    current().add(Call(fn, tuple(args), outs, rule, Params(), pos))
    return outs


def transposed_jvp(s: Call) -> tuple[Function, tuple[Atom, ...]]:
    """The transpose of a user's jvp rule, which is linear in its tangents; and the float arguments.

    Params: those of the rule, then one cotangent per float result (value, then tangent).
    """
    rule: Function = s.attrs["jvp"]
    floats = tuple(a for a in s.args if a.type.is_float)
    n = len(s.args)
    return vjp(rule, tuple(range(n, n + len(floats))), keep_primal=False), floats
