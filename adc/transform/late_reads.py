"""What a loop reads and nothing later overwrites stands in its result.

In: a function ready to be differentiated.  Out: reads of arrays that a loop fills, with the loop's result that has the same number there.

    for j in range(n):                                the reverse sweep reads L[i, k] from the finished L:
        for i in range(j, n):                         no version of L is kept, nor any of the numbers
            s = M[i, j]
            for k in range(j): s -= L[i, k] * L[j, k]
            L[i, j] = …

Dynamic programming, triangular factors and recurrences along an axis write every element once.  Whether a later iteration can write where one has read
is asked of the places, polynomials in the numbers of the loops, loop by loop: the loops outside being at the same turn, this one at a later turn, those
inside at any (Allen and Kennedy, 2001, dependence by levels).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adc.ir import (
    Atom,
    Block,
    Dim,
    For,
    Function,
    If,
    Op,
    Params,
    Pointwise,
    Stmt,
    Sym,
    Var,
    While,
    blocks,
    size,
    symbols,
)
from adc.ir.dims import substitute
from adc.ir.ranges import nonnegative
from adc.ops.registry import PRIMITIVES
from adc.transform.activity import UPDATES, chains
from adc.transform.counters import Integers
from adc.transform.early_reads import places


@dataclass
class Use:
    """A read or a write of an array, the loops around it from the one that is looked at inwards, and its number in the order of the program."""

    op: Op
    loops: tuple[For, ...]
    order: int


def late_reads(fn: Function) -> dict[Var, Op]:
    """What is read, or written → a read of the result of a loop in which it stands at the same place.

    Numbers that are written count for loops that stand in no other: there the result is at hand anyway.
    """
    found: dict[Var, Op] = {}
    ints = Integers.of(fn)

    def visit(stmts: Sequence[Stmt], outermost: bool) -> None:
        for s in stmts:
            match s:
                case For():
                    for k in range(s.carries):
                        found.update({v: op for v, op in _of_loop(s, k, ints, outermost).items() if v not in found})
                    visit(s.body.stmts, False)
                case While():
                    visit(s.body.stmts, False)
                case If():
                    visit(s.then.stmts, outermost)
                    visit(s.orelse.stmts, outermost)

    visit(fn.body.stmts, True)
    return found


def _of_loop(loop: For, k: int, ints: Integers, outermost: bool) -> dict[Var, Op]:
    p, results = loop.body.params[1 + k], loop.body.results
    if not p.type.rank or loop.outs[k].type != p.type:
        return {}
    base: dict[Atom, Var] = {p: p}
    chains(loop.body.stmts, base)
    if results[k] is p or results[k] not in base:
        return {}
    uses = list(_uses(loop.body.stmts, base, (loop,), [0]))
    if any(u is None for u in uses):
        return {}
    reads = [u for u in uses if u is not None and u.op.prim.name == "index"]
    writes = [u for u in uses if u is not None and u.op.prim.name in UPDATES]
    out: dict[Var, Op] = {}
    final = loop.outs[k]
    late = [r for r in reads if all(_stays(r, w, ints) for w in writes)]
    if outermost or len(late) == len(reads):  # in a time loop the result would have to be kept beside what is read before it is overwritten
        out.update({r.op.outs[0]: dataclasses.replace(r.op, args=(final, *r.op.args[1:])) for r in late})
    if outermost:
        makers = _makers(loop.body)
        for u in writes:
            value, places_ = u.op.args[1], u.op.args[2:]
            if u.op.prim.name != "update" or not isinstance(value, Var) or value in out or value.type.dtype != final.type.dtype or value not in makers:
                continue
            block, at = makers[value]
            if block is not makers.get(u.op.outs[0], (None, 0))[0] or any(p in makers and makers[p][0] is block and makers[p][1] > at for p in places_ if isinstance(p, Var)):
                continue  # where it stands is not known yet when it is computed
            maker = block.stmts[at]
            if isinstance(maker, Op) and len(maker.outs) == 1 and isinstance(maker.prim.loops, Pointwise) and all(_stays(u, w, ints) for w in writes):
                out[value] = Op(PRIMITIVES["index"], (final, *places_), Params({"axes": u.op.params["axes"]}), (value,), maker.pos)
    return out


def _makers(b: Block) -> dict[Atom, tuple[Block, int]]:
    """Where each variable of a block is defined, at any depth: in which block, and by which of its statements."""
    found: dict[Atom, tuple[Block, int]] = {}
    for k, s in enumerate(b.stmts):
        found.update(dict.fromkeys(s.outs, (b, k)))
        for inner in blocks(s):
            found.update(_makers(inner))
    return found


def _uses(stmts: Sequence[Stmt], base: dict[Atom, Var], loops: tuple[For, ...], count: list[int]) -> Iterator[Use | None]:
    """Reads and writes of the array's versions; None for what cannot be followed."""
    for s in stmts:
        count[0] += 1
        match s:
            case Op():
                if any(a in base for a in s.args):
                    direct = s.args[0] in base and not any(a in base for a in s.args[1:])
                    yield Use(s, loops, count[0]) if direct and s.prim.name in ("index", "update", "accumulate") else None
            case For():
                if any(a in base and (i >= s.carries or s.body.results[i] not in base) for i, a in enumerate(s.inits)):
                    yield None
                yield from _uses(s.body.stmts, base, (*loops, s), count)
            case If():
                yield from _uses(s.then.stmts, base, loops, count)
                yield from _uses(s.orelse.stmts, base, loops, count)
            case While():
                if any(a in base for a in s.inits):
                    yield None
                yield from (None for _ in _uses(s.body.stmts, base, loops, count))
            case _:
                if any(a in base for a in getattr(s, "args", ())):
                    yield None


def _stays(read: Use, write: Use, ints: Integers) -> bool:
    """Is it certain that the write comes nowhere after the read, or the other write, to the same place?"""
    common = [a for a, b in zip(read.loops, write.loops, strict=False) if a is b]
    for level in range(len(common)):
        if not _apart(read, write, common, level, ints):
            return False
    return write.order <= read.order or _apart(read, write, common, None, ints)


def _apart(read: Use, write: Use, common: list[For], level: int | None, ints: Integers) -> bool:
    """Another place along some axis: with equal turns of the loops before `level`, a later one there, any inside of it."""
    counts: dict[Sym, Dim] = {}
    own: dict[Sym, Dim] = {}  # the write's loops, by other names
    same = len(common) if level is None else level
    for loop in read.loops:
        index = _symbol(loop, ints)
        if index is None:
            return False
        counts[index] = ints.dim(loop.count)
    for k, loop in enumerate(write.loops):
        index = _symbol(loop, ints)
        if index is None:
            return False
        if k < same:
            continue
        new = Sym(index.hint)
        count = substitute(ints.dim(loop.count), own)
        if k == level and loop.reverse:  # an earlier number: turn - 1 - new
            counts[new], own[index] = size(index), size(index) - 1 - size(new)
        elif k == level:
            counts[new], own[index] = size(count) - 1 - size(index), size(index) + 1 + size(new)
        else:
            counts[new], own[index] = count, size(new)
    known = {s for c in counts.values() for s in symbols(size(c))} | set(counts)
    if any(s in ints.stands_for and s not in counts for s in known):
        return False
    for r, w in zip(places(read.op, 1 if read.op.prim.name == "index" else 2, ints), places(write.op, 2, ints), strict=True):
        if r is None or w is None:
            continue
        mine = (set(symbols(size(r))) | set(symbols(size(w)))) & set(ints.stands_for)
        if not mine <= {s for x in (*read.loops, *write.loops) if (s := _symbol(x, ints)) is not None}:
            continue  # a place that the data say
        gap = size(substitute(w, own)) - r
        if nonnegative(size(gap) - 1, counts) or nonnegative(size(gap) * -1 - 1, counts):
            return True
    return False


def _symbol(loop: For, ints: Integers) -> Sym | None:
    found = symbols(size(ints.known[loop.index])) if loop.index in ints.known else ()
    return found[0] if len(found) == 1 else None


__all__ = ["late_reads"]
