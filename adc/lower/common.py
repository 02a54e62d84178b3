"""What several statements of one body compute alike is computed once.

In: loops in their last form.  Out: the same, with names for what stands in several statements: a loop and its reverse that have
met compute again what the one has from the other.

    p = 1.0 / (1.0 + exp(-(w * x + b)))                       a = w * x + b
    t += (p - y) ** 2                                         t_1 = exp(-a)
    a = w * x + b                                      →      p = 1.0 / (1.0 + t_1)
    p_1 = 1.0 / (1.0 + exp(-a))                               t += (p - y) ** 2
    w_bar += 2.0 * (p_1 - y) * p_1 * p_1 * exp(-a) * x        w_bar += 2.0 * (p - y) * p * p * t_1 * x

This is value numbering of straight lines (Cocke and Schwartz, "Programming Languages and Their Compilers", 1970): a variable that
is set once stands for what it is set to, equal expressions are one object, and what is written ends what was known of it.
Inner bodies know the names of outer ones for what they do not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adc.lower.nodes import Apply, Branch, Buf, CallFn, Exit, Expr, Item, Loop, Program, Store, Swap, bodies
from adc.lower.variables import Variables, join_copies, remove_unread

WORTH = 3
"""What computing an expression takes at least that gets a name of its own (see `Pool.cost`)."""


def common(program: Program) -> None:
    Numbering(program).body(program.body, {})
    join_copies(program)
    remove_unread(program)


@dataclass
class Run:
    """The uses of an expression while what it reads stays as it is."""

    parents: set[Any] = field(default_factory=set)
    statements: set[int] = field(default_factory=set)
    hint: str = "t"
    """The name of a variable that is set to it."""


class Numbering:
    def __init__(self, program: Program):
        self.program, self.pool = program, program.pool
        self.variables = Variables(program)
        self.changed: dict[Item, set[Buf]] = {}

    def body(self, body: list[Item], outer: Mapping[Expr, Expr]) -> None:
        """`outer`: what has a name before the body begins, and the variable of that name."""
        values = self.spelt(body)
        begun = self.runs(body, values, outer)
        known = dict(outer)
        k = 0
        for value, runs in zip(values, begun, strict=True):
            it = body[k]
            for e, name in self.names(it, value, runs, known):
                body.insert(k, Store(name, (), (), self.inside(e, known), note=getattr(it, "note", "")))
                known[e] = self.pool.load(name, (), ())
                k += 1
            if value is not None:
                _evaluate(it, self.replaced(value, known, {}))
            self.forget(known, it)
            for inner in bodies(it):
                self.body(inner, {} if isinstance(it, Loop) and it.shared else known)
            if value is not None and isinstance(it, Store) and self.stands_for(it, value):
                known.setdefault(value, self.pool.load(it.buf, (), ()))
            k += 1

    def stands_for(self, it: Store, value: Expr) -> bool:
        """Does it set a variable that is this value as it is, until what the value reads changes?"""
        return self.variables.single(it) and it.buf.dtype == value.dtype and it.buf not in self.pool.reads(value)

    # ------------------------------------------------------------ what there is

    def spelt(self, body: list[Item]) -> list[Expr | None]:
        """What each statement evaluates, without the variables that the body sets once."""
        stands: dict[Expr, Expr] = {}
        values: list[Expr | None] = []
        for it in body:
            value = _evaluated(it)
            value = None if value is None else self.replaced(value, stands, {})
            values.append(value)
            written = self.written(it)
            for e in [e for e, is_ in stands.items() if not written.isdisjoint(self.pool.reads(is_))]:
                del stands[e]
            if value is not None and isinstance(it, Store) and it.buf.sym is None and self.stands_for(it, value):
                stands[self.pool.load(it.buf, (), ())] = value
        return values

    def runs(self, body: list[Item], values: list[Expr | None], outer: Mapping[Expr, Expr]) -> list[dict[Expr, Run]]:
        """For each statement, what it is the first to compute."""
        now: dict[Expr, Run] = {}
        known = dict(outer)
        begun: list[dict[Expr, Run]] = []

        def visit(e: Expr, parent: Any, k: int) -> None:
            if not isinstance(e, Apply) or e in known:
                return
            if (run := now.get(e)) is None:
                run = now[e] = begun[k][e] = Run()
                for a in e.args:
                    visit(a, e, k)
            run.parents.add(parent)
            run.statements.add(k)

        for k, (it, value) in enumerate(zip(body, values, strict=True)):
            begun.append({})
            if value is not None:
                visit(value, k, k)
                if isinstance(it, Store) and value in now and self.stands_for(it, value):
                    now[value].hint = it.buf.hint
            self.forget(now, it)
            self.forget(known, it)
        return begun

    def names(self, it: Item, value: Expr | None, runs: dict[Expr, Run], known: Mapping[Expr, Expr]) -> list[tuple[Expr, Buf]]:
        """What gets a name before the statement, the smallest first."""
        own = value if isinstance(it, Store) and value is not None and self.stands_for(it, value) else None  # that has one
        shared = [e for e, run in runs.items() if e is not own and len(run.parents) > 1 and len(run.statements) > 1 and self.worth(e)]
        return [(e, self.pool.local(runs[e].hint, e.dtype)) for e in sorted(shared, key=self.pool.cost)]

    def worth(self, e: Expr) -> bool:
        """Does a name save something? `x if x > 0.0 else 0.0` gives its argument one, wherever it stands."""
        return self.pool.cost(e) >= WORTH or (isinstance(e, Apply) and e.text.count("{0}") > 1)

    # ------------------------------------------------------------ expressions

    def inside(self, e: Expr, known: Mapping[Expr, Expr]) -> Expr:
        """`e`, which has no name yet, by the names of its parts."""
        assert isinstance(e, Apply)
        memo: dict[Expr, Expr] = {}
        return self.pool.apply(e.text, tuple(self.replaced(a, known, memo) for a in e.args), e.dtype, e.cost)

    def replaced(self, e: Expr, new: Mapping[Expr, Expr], memo: dict[Expr, Expr]) -> Expr:
        """`e` with what `new` has others for; places stay as they are."""
        if e in new:
            return new[e]
        if not isinstance(e, Apply):
            return e
        if e not in memo:
            memo[e] = self.pool.apply(e.text, tuple(self.replaced(a, new, memo) for a in e.args), e.dtype, e.cost)
        return memo[e]

    def written(self, it: Item) -> set[Buf]:
        if it not in self.changed:
            match it:
                case Store():
                    self.changed[it] = {it.buf}
                case CallFn():
                    self.changed[it] = set(it.outs)
                case Swap():
                    self.changed[it] = {it.a, it.b}
                case _:
                    self.changed[it] = set().union(*(self.written(x) for inner in bodies(it) for x in inner))
        return self.changed[it]

    def forget(self, known: dict[Expr, Any], it: Item) -> None:
        written = self.written(it)
        for e in [e for e in known if not written.isdisjoint(self.pool.reads(e))]:
            del known[e]


def _evaluated(it: Item) -> Expr | None:
    """The expression that a statement evaluates, each time that it is come to."""
    match it:
        case Store():
            return it.value
        case Branch() | Exit():
            return it.cond
    return None


def _evaluate(it: Item, e: Expr) -> None:
    match it:
        case Store():
            it.value = e
        case Branch() | Exit():
            it.cond = e


__all__ = ["common"]
