"""Loop-invariant code motion: what no iteration changes is computed before the loop.

In: a function.  Out: pure ops of a loop body that read nothing of the iteration stand before the loop.

    for i: y = exp(a) * x[i]   ->   t = exp(a); for i: y = t * x[i]

Every op is total (it gives a NaN, never an error), so running one that a loop of zero trips would not run is safe.
Views and broadcasts stay: they cost nothing, and moving them would keep arrays alive.
"""

from __future__ import annotations

import dataclasses

from adc.ir import Block, For, Function, Op, Special, Stmt, Update, Var, View, While, current
from adc.optimize.cse import pure
from adc.optimize.rebuild import Rebuild


def moves(op: Op, mine: set[Var]) -> bool:
    if not pure(op) or isinstance(op.prim.loops, Update | Special | View):
        return False
    return bool(op.args) and not any(a in mine for a in op.args)


class _Hoist(Rebuild):
    def emit(self, s: Stmt) -> None:
        new = self.stmt(s)
        if isinstance(new, For | While):
            before, body = split(new.body)
            for t in before:
                current().add(t)
            new = dataclasses.replace(new, body=body)
        current().add(new)


def split(b: Block) -> tuple[tuple[Stmt, ...], Block]:
    """(what can stand before the loop, the rest)"""
    mine: set[Var] = set(b.params)
    before: list[Stmt] = []
    rest: list[Stmt] = []
    for s in b.stmts:
        if isinstance(s, Op) and moves(s, mine):
            before.append(s)
        else:
            rest.append(s)
            mine.update(s.outs)
    return tuple(before), Block(b.params, tuple(rest), b.results)


def hoist(fn: Function) -> Function:
    """`fn` with invariant ops before their loops."""
    return _Hoist().function(fn)
