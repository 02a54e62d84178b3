"""What depends on what: which variables carry derivatives, which arrays are changed in place.

In: a program.  Out: sets of variables.  Only floats carry derivatives; integers and bools never do.

>>> varied(fn, {fn.params[0]})     # doctest: +SKIP
{<x: f8>, <y: f8>}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from adc.ir import Atom, Block, Call, Dim, For, Function, If, Op, Stmt, Var, While, free_vars, product, size, symbols
from adc.ir.dims import evaluate

UPDATES = ("update", "accumulate", "scatter", "scatter_add")
"""Primitives whose result is their first argument with some elements changed."""

READS = {"index": "accumulate", "gather": "scatter_add"}
"""Primitives that read a part, and what adds to that part of a running cotangent."""


def carried(s: For | While) -> tuple[tuple[Var, ...], int]:
    """The body's carry parameters, and how many there are."""
    params = s.body.params[1:] if isinstance(s, For) else s.body.params
    return params, len(params)


def derived(s: Op) -> bool:
    """Has the op a derivative at all?"""
    return s.prim.vjp is not None or s.prim.jvp is not None


def varied(fn: Function, seeds: Set[Var]) -> set[Var]:
    """The float variables that depend on `seeds` through ops that have derivatives."""
    found = {v for v in seeds if v.type.is_float}
    _spread(fn.body.stmts, found)
    return found


def _spread(stmts: Sequence[Stmt], found: set[Var]) -> None:
    for s in stmts:
        match s:
            case Op():
                if derived(s) and any(a in found for a in s.args):
                    found.update(v for v in s.outs if v.type.is_float)
            case Call():
                if any(a in found for a in s.args):
                    found.update(v for v in s.outs if v.type.is_float)
            case If():
                for b in (s.then, s.orelse):
                    _spread(b.stmts, found)
                    found.update(v for v, r in zip(s.outs, b.results, strict=True) if r in found)
            case For() | While():
                params, n = carried(s)
                while True:
                    before = len(found)
                    for p, i, r in zip(params, s.inits, s.body.results, strict=False):
                        if i in found or r in found:
                            found.add(p)
                    _spread(s.body.stmts, found)
                    if len(found) == before:
                        break
                for k, (v, r) in enumerate(zip(s.outs, s.body.results, strict=True)):
                    if r in found or (k < n and params[k] in found) or (k < len(s.inits) and s.inits[k] in found):
                        found.add(v)


def influence(stmts: Sequence[Stmt], hit: set[Var], active: Set[Var]) -> None:
    """Add to `hit` every active variable of `stmts` on which a variable of `hit` depends."""

    def mark(a: Atom) -> None:
        if a in active:
            hit.add(a)  # type: ignore[arg-type]

    for s in reversed(stmts):
        if not any(v in hit for v in s.outs):
            continue
        match s:
            case Op() | Call():
                if isinstance(s, Call) or derived(s):
                    for a in s.args:
                        mark(a)
            case If():
                for b in (s.then, s.orelse):
                    for v, r in zip(s.outs, b.results, strict=True):
                        if v in hit:
                            mark(r)
                    influence(b.stmts, hit, active)
            case For() | While():
                through_loop(s, {k for k, v in enumerate(s.outs) if v in hit}, hit, active)
                params, _ = carried(s)
                for k, i in enumerate(s.inits):
                    if s.outs[k] in hit or (k < len(params) and params[k] in hit):
                        mark(i)


def through_loop(s: For | While, outs: Set[int], hit: set[Var], active: Set[Var]) -> None:
    """Add to `hit` what the loop's outs of these numbers depend on inside the body."""
    params, _ = carried(s)
    while True:
        before = len(hit)
        for k, r in enumerate(s.body.results):
            if (k in outs or (k < len(params) and params[k] in hit)) and r in active:
                hit.add(r)  # type: ignore[arg-type]
        influence(s.body.stmts, hit, active)
        if len(hit) == before:
            return


def read_in_parts(block: Block, x: Var) -> bool:
    """Is `x` read by `index` or `gather` somewhere in the block?"""
    from adc.ir import walk

    return any(isinstance(s, Op) and s.prim.name in READS and s.args[0] is x for s in walk(block))


def in_place(s: For | While) -> set[Var]:
    """Every version of the carried arrays that an iteration changes only in part.

    Those are stored over one another, so no version of them should ever be saved whole: unless an iteration
    writes most of the array anyway (a time step that leaves the rim as it is): by one update, or by loops over its elements
    beside which the array from before is looked at.
    """
    params, _ = carried(s)
    base: dict[Atom, Var] = {p: p for p in params if p.type.rank}
    chains(s.body.stmts, base)
    chained = {p for p, r in zip(params, s.body.results, strict=False) if base.get(r) is p and r is not p}
    for t in s.body.stmts:
        most = {p for p, n in written([t], base).items() if 4 * n >= number(p.type.dims)}
        chained -= most if isinstance(t, Op) else {p for p in most if _looked_at(s.body.stmts, p)}
    return {v for v, p in base.items() if p in chained and isinstance(v, Var)}


def written(stmts: Iterable[Stmt], base: dict[Atom, Var]) -> dict[Var, int]:
    """How many elements of each carried array are written, with every size 1000."""
    found: dict[Var, int] = {}

    def add(p: Var, n: int) -> None:
        found[p] = found.get(p, 0) + n

    for s in stmts:
        match s:
            case Op() if s.prim.name in UPDATES and s.args[0] in base:
                add(base[s.args[0]], number(s.args[1].type.dims))
            case For():
                for p, n in written(s.body.stmts, base).items():
                    add(p, n * number((s.count,)))
            case If():
                sides = [written(b.stmts, base) for b in (s.then, s.orelse)]
                for p in {*sides[0], *sides[1]}:
                    add(p, max(side.get(p, 0) for side in sides))
    return found


def _looked_at(stmts: Iterable[Stmt], v: Var) -> bool:
    """Is this version used for anything but to be changed?"""
    for s in stmts:
        match s:
            case Op():
                if v in (s.args[1:] if s.prim.name in UPDATES else s.args):
                    return True
            case If():
                if any(_looked_at(b.stmts, v) for b in (s.then, s.orelse)):
                    return True
            case For() | While():
                if v in free_vars(s.body):
                    return True
    return False


def number(dims: Iterable[Dim]) -> int:
    total = size(product(dims))
    return max(evaluate(total, dict.fromkeys(symbols(total), 1000)), 0)


def chains(stmts: Iterable[Stmt], base: dict[Atom, Var]) -> None:
    for s in stmts:
        match s:
            case Op():
                if s.prim.name in UPDATES and s.args[0] in base:
                    base[s.outs[0]] = base[s.args[0]]
            case If():
                for b in (s.then, s.orelse):
                    chains(b.stmts, base)
                for v, a, b2 in zip(s.outs, s.then.results, s.orelse.results, strict=True):
                    if a in base and base.get(a) is base.get(b2):
                        base[v] = base[a]
            case For() | While():
                params, _ = carried(s)
                for p, i in zip(params, s.inits, strict=False):
                    if i in base:
                        base[p] = base[i]
                chains(s.body.stmts, base)
                for v, p, r in zip(s.outs, params, s.body.results, strict=False):
                    if p in base and base.get(r) is base[p]:
                        base[v] = base[p]
            case Call():
                pass
