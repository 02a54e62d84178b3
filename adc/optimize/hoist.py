"""What a loop computes anew with the same result in every iteration is computed once, before it.

In: a function.  Out: the same with expensive invariant ops moved out.  Every op is total, so computing one that the
loop would never have reached is harmless; cheap ops stay where they read well and fuse.

    for i: y = y + exp(a)   ->   t = exp(a); for i: y = y + t
"""

from __future__ import annotations

import dataclasses

from adc.ir import Block, For, Function, If, Op, Stmt, Var, While
from adc.ir.dce import defined_sizes, stmt_sizes
from adc.optimize.cse import pure


def hoist(fn: Function) -> Function:
    """`fn` with invariant ops before their loops."""
    return dataclasses.replace(fn, body=_block(fn.body))


def _block(b: Block) -> Block:
    stmts: list[Stmt] = []
    for s in b.stmts:
        match s:
            case If():
                stmts.append(dataclasses.replace(s, then=_block(s.then), orelse=_block(s.orelse)))
            case For():
                before, body = _lift(_block(s.body))
                stmts += [*before, dataclasses.replace(s, body=body)]
            case While():
                before, body = _lift(_block(s.body))
                first, cond = _lift(_block(s.cond))
                stmts += [*first, *before, dataclasses.replace(s, cond=cond, body=body)]
            case _:
                stmts.append(s)
    return Block(b.params, tuple(stmts), b.results)


def _lift(b: Block) -> tuple[list[Op], Block]:
    """The invariant ops of a loop's block that are worth moving, and the rest."""
    inside: set[Var] = {*b.params, *(v for s in b.stmts for v in s.outs)}
    sizes = set(defined_sizes(b.stmts))
    candidates: dict[Var, Op] = {}  # invariant; moved only if something expensive is, or needs it
    expensive: list[Var] = []
    for s in b.stmts:
        if not isinstance(s, Op) or not pure(s) or not s.outs or stmt_sizes(s) & sizes:
            continue
        if any(a in inside and a not in candidates for a in s.args):
            continue
        candidates.update((v, s) for v in s.outs)
        if not s.prim.cheap:
            expensive += s.outs
    moved: set[Op] = set()

    def take(v: Var) -> None:
        op = candidates.get(v)
        if op is not None and op not in moved:
            moved.add(op)
            for a in op.args:
                if isinstance(a, Var):
                    take(a)

    for v in expensive:
        take(v)
    before = [s for s in b.stmts if isinstance(s, Op) and s in moved]
    return before, Block(b.params, tuple(s for s in b.stmts if not (isinstance(s, Op) and s in moved)), b.results)
