"""What a loop reads before it is overwritten is read from the array as it was before the loop.

In: a function without plain calls.  Out: the same, where a loop that changes an array in place reads only what no earlier iteration has written.

    for i in range(t):                                   before = v
        v[i] = max(a * v[i + 1] + b * v[i], e[i])   →    for i in range(t):
                                                             v[i] = max(a * before[i + 1] + b * before[i], e[i])

The reverse sweep needs the numbers that were read.  Read from the array that is changed they must be saved one by one, or the loop run again;
read from the array before they are one array, which a time step saves as its state (Allen and Kennedy, 2001: an antidependence is no dependence of values).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence, Set

from adc.ir import Atom, Block, Dim, For, Function, If, Op, Stmt, Sym, Var, While, blocks, size, symbols, walk
from adc.ops.access import Arg, At
from adc.transform.activity import UPDATES, chains, number, written
from adc.transform.counters import Integers, linear
from adc.transform.local_reads import defined

STRAIGHT = {"add", "sub", "neg", "index", "copy", "broadcast", "same_size", "reshape", "transpose", "squeeze"}
"""Ops whose derivative needs none of their arguments."""


def early_reads(fn: Function, active: Set[Var]) -> Function:
    """`fn` with such reads made from the array before the loop, where the reverse sweep needs them.  `active`: what depends on what is differentiated."""
    stmts = _Early(Integers.of(fn), active).visit(fn.body.stmts)
    return fn if stmts is fn.body.stmts else dataclasses.replace(fn, body=dataclasses.replace(fn.body, stmts=stmts))


class _Early:
    def __init__(self, ints: Integers, active: Set[Var]):
        self.ints, self.active = ints, active

    def visit(self, stmts: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        out: list[Stmt] = []
        for s in stmts:
            new: Stmt = s
            match s:
                case If():
                    then, orelse = self.block(s.then), self.block(s.orelse)
                    if then is not s.then or orelse is not s.orelse:
                        new = dataclasses.replace(s, then=then, orelse=orelse)
                case While():
                    body = self.block(s.body)
                    new = s if body is s.body else dataclasses.replace(s, body=body)
                case For():
                    body = self.block(s.body)
                    new = s if body is s.body else dataclasses.replace(s, body=body)
                    for k in range(s.carries):
                        new = self.loop(new, k)
            out.append(new)
        return stmts if all(a is b for a, b in zip(stmts, out, strict=True)) else tuple(out)

    def block(self, b: Block) -> Block:
        stmts = self.visit(b.stmts)
        return b if stmts is b.stmts else dataclasses.replace(b, stmts=stmts)

    def loop(self, loop: For, k: int) -> For:
        """Its k-th carry, if all that is read of it is read before it is overwritten, and a derivative needs it."""
        p, before, results = loop.body.params[1 + k], loop.inits[k], loop.body.results
        if not p.type.rank or p not in self.active or not isinstance(before, Var) or before.type != p.type:
            return loop
        base: dict[Atom, Var] = {p: p}
        chains(loop.body.stmts, base)
        if results[k] is p or results[k] not in base or any(r in base for j, r in enumerate(results) if j != k):
            return loop
        found = _uses(loop.body.stmts, base)
        if found is None:
            return loop
        reads, writes = found
        if not reads or any(r.args[0] is not p for r in reads) or not self.needed(loop.body.stmts, reads):
            return loop
        if 4 * written([loop], base).get(p, 0) < number(p.type.dims):
            return loop  # most of the array stays as it is: another one would have to be made for each loop
        known = self.ints.known
        inside = {s for v in defined(loop.body) if v in known for s in symbols(size(known[v]))} & set(self.ints.stands_for)
        index = next(iter(symbols(size(known[loop.index]))))
        if not all(_apart(r, w, index, inside - {index}, loop.reverse, self.ints) for r in reads for w in writes):
            return loop
        body = dataclasses.replace(loop.body, stmts=_redirect(loop.body.stmts, set(map(id, reads)), before))
        return dataclasses.replace(loop, body=body)

    def needed(self, stmts: Sequence[Stmt], reads: Sequence[Op]) -> bool:
        """Does a derivative need one of the numbers?  Not where they are only added up."""
        plain: set[Atom] = {v for r in reads for v in r.outs}
        for s in walk(Block((), tuple(stmts), ())):
            if not isinstance(s, Op) or s.prim.name in UPDATES:
                continue
            mine = [a for a in s.args if a in plain]
            if not mine:
                continue
            scaled = s.prim.name in ("mul", "div") and s.args[0] in mine and s.args[1] not in self.active
            scaled = scaled or (s.prim.name == "mul" and s.args[1] in mine and s.args[0] not in self.active)
            if s.prim.name not in STRAIGHT and not scaled:
                return True
            plain.update(s.outs)
        return False


def _uses(stmts: Sequence[Stmt], base: dict[Atom, Var]) -> tuple[list[Op], list[Op]] | None:
    """(reads, writes) of the versions of one array; None where they are used for anything else."""
    reads: list[Op] = []
    writes: list[Op] = []
    for s in stmts:
        match s:
            case Op():
                if s.prim.name in UPDATES and s.args[0] in base and not any(a in base for a in s.args[1:]):
                    writes.append(s)
                elif s.prim.name == "index" and s.args[0] in base:
                    reads.append(s)
                elif any(a in base for a in s.args):
                    return None
            case If():
                if s.cond in base:
                    return None
            case For():
                for i, a in enumerate(s.inits):
                    if a in base and (i >= s.carries or base.get(s.body.results[i]) is None):
                        return None
            case _:
                if any(a in base for b in blocks(s) for t in walk(b) for a in getattr(t, "args", ())) or any(a in base for a in getattr(s, "inits", getattr(s, "args", ()))):
                    return None
                continue
        for b in blocks(s):
            if any(r in base and v not in base for v, r in zip(s.outs, b.results, strict=True)):
                return None
            found = _uses(b.stmts, base)
            if found is None:
                return None
            reads += found[0]
            writes += found[1]
    return reads, writes


def _apart(read: Op, write: Op, index: Sym, inside: set[Sym], reverse: bool, ints: Integers) -> bool:
    """Is there an axis along which no earlier iteration has written where this one reads?"""
    if write.prim.name not in ("update", "accumulate"):
        return False
    here, there = places(read, 1, ints), places(write, 2, ints)
    for r, w in zip(here, there, strict=True):
        if r is None or w is None or inside & {*symbols(size(r)), *symbols(size(w))}:
            continue
        gap, step = size(r) - w, linear(w, index)
        if not isinstance(gap, int) or step is None or not isinstance(step[1], int):
            continue
        a = step[1]
        if a == 0:
            if gap != 0:
                return True
        elif gap % a or (gap // a <= 0 if reverse else gap // a >= 0):
            return True
    return False


def places(s: Op, first: int, ints: Integers) -> list[Dim | None]:
    out: list[Dim | None] = []
    for axis in s.params["axes"]:
        if not isinstance(axis, At):
            out.append(None)
        elif isinstance(axis.pos, Arg):
            a = s.args[first + axis.pos.k]
            out.append(ints.number(a) if not isinstance(a, Var) or a in ints.known else None)
        else:
            out.append(ints.dim(axis.pos))
    return out


def _redirect(stmts: Sequence[Stmt], reads: set[int], before: Var) -> tuple[Stmt, ...]:
    out: list[Stmt] = []
    for s in stmts:
        match s:
            case Op():
                out.append(dataclasses.replace(s, args=(before, *s.args[1:])) if id(s) in reads else s)
            case If():
                then, orelse = (dataclasses.replace(b, stmts=_redirect(b.stmts, reads, before)) for b in (s.then, s.orelse))
                out.append(dataclasses.replace(s, then=then, orelse=orelse))
            case For() | While():
                out.append(dataclasses.replace(s, body=dataclasses.replace(s.body, stmts=_redirect(s.body.stmts, reads, before))))
            case _:
                out.append(s)
    return tuple(out)


__all__ = ["early_reads", "places"]
