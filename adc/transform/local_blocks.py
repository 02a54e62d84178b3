"""Residual loops: one small dense Jacobian per iteration, by what the iteration itself reads.

In: a program and the parameters to differentiate.  Out: a `Split`, which says which results (or parts of results) are
made by a loop over observations that reads rows of the parameters, and three programs: `values` computes the local
Jacobians, `places` the numbers of the parameters' elements that each iteration reads, `rest` what is left.

    for i in range(n):
        r[i] = f(cameras[obs[i, 0]], points[obs[i, 1]])      blocks of shape (n, 2, 11) and (n, 2, 3)

No colours are needed: every iteration is differentiated by its own rows.  `tail` makes the results from the parts by
moving elements only (reshape, concatenate, stores), so a row of the Jacobian is a row of one part.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.ir import (
    Atom,
    Block,
    Copier,
    Dim,
    For,
    Function,
    Op,
    Stmt,
    Tensor,
    Var,
    bind_sizes,
    blocks,
    building,
    current,
    evaluate,
    free_vars,
    literal,
    product,
    walk,
)
from adc.ir.dce import dce, dce_function
from adc.ir.program import inputs
from adc.ops.access import Arg, At, zeros
from adc.ops.registry import PRIMITIVES
from adc.transform.activity import varied
from adc.transform.jvp import jvp
from adc.transform.local_reads import direct
from adc.transform.scalars import chosen, scalarised
from adc.transform.vjp import vjp

MOVES = {"index", "gather", "reshape", "transpose", "squeeze", "broadcast", "same_size", "copy", "concatenate", "stack", "update", "scatter"}
"""Primitives whose result consists of elements of their float arguments."""

UNROLL = 8
"""Directions written out one by one; more of them are a loop."""


@dataclass(frozen=True)
class Leaf:
    """What an iteration reads: `var` in the body; elements of parameter number `arg`; `shared` by all iterations."""

    var: Var
    arg: int
    shared: bool


@dataclass(frozen=True)
class Store:
    """Where an iteration's value goes: `mode` "stack" (row i), "set" or "add" (the part `axes` of an array)."""

    mode: str
    value: Atom
    axes: tuple[Any, ...] = ()
    ints: tuple[Atom, ...] = ()


@dataclass(frozen=True)
class Part:
    """One array made by a loop: its stores and the leaves that its iterations read, in the order of the columns."""

    var: Var
    loop: For
    stores: tuple[Store, ...]
    leaves: tuple[Leaf, ...]

    @property
    def args(self) -> tuple[int, ...]:
        """The parameters read, in order; there is one block per store and parameter."""
        return tuple(sorted({x.arg for x in self.leaves}))

    def of(self, arg: int) -> tuple[Leaf, ...]:
        return tuple(x for x in self.leaves if x.arg == arg)


@dataclass(frozen=True)
class Split:
    """The program taken apart.  `tail` has the parameters of the program and then the bases (parts, then others)."""

    fn: Function
    parts: tuple[Part, ...]
    others: tuple[Var, ...]
    tail: Function

    @property
    def values(self) -> Function:
        """parameters -> per part, store and parameter read: local Jacobians, each iteration's results × columns in C order."""
        return _replaced(self.fn, self.parts, _local_jacobians)

    @property
    def places(self) -> Function:
        """parameters -> per part: every leaf, stacked if it is not shared; then the integers of every store, stacked."""
        fn = _replaced(self.fn, self.parts, _reads, clean=False)
        given = iter(fn.results)
        results: list[Atom] = []
        for p in self.parts:
            results += [x.var if x.shared else next(given) for x in p.leaves]
            results += [next(given) for t in p.stores for _ in t.ints]
        return dce_function(dataclasses.replace(fn, body=Block(fn.body.params, fn.body.stmts, tuple(results))))

    @property
    def rest(self) -> Function:
        """parameters -> the bases that no loop of observations makes."""
        return dce_function(dataclasses.replace(self.fn, body=Block(self.fn.body.params, self.fn.body.stmts, self.others)))


def split(fn: Function, wrt: tuple[int, ...]) -> Split | None:
    """`fn` (simplified, float results) taken apart; None if no part of a result is made by such a loop."""
    params = {fn.params[k]: k for k in wrt}
    active = varied(fn, set(params))
    makers = {v: s for s in fn.body.stmts for v in s.outs}
    bases = _bases(fn, active, makers)
    roots = _roots(fn, params, active, makers)
    body, found = _Loops(fn, active, roots, makers).run(bases)
    parts = tuple(found)
    if not parts:
        return None
    made = {p.var for p in parts}
    others = tuple(v for v in bases if v not in made)
    # `values` and `places` must not hold the other outs' work: dead code goes
    whole = dataclasses.replace(fn, body=Block(fn.body.params, body, fn.results))
    return Split(whole, parts, others, _tail(fn, (*(p.var for p in parts), *others)))


def _bases(fn: Function, active: set[Var], makers: dict[Var, Stmt]) -> list[Var]:
    """The active variables of which the results are made by moving elements, each once."""
    found: dict[Var, None] = {}
    seen: set[Var] = set()

    def visit(a: Atom) -> None:
        if not isinstance(a, Var) or a not in active or a in seen:
            return
        seen.add(a)
        s = makers.get(a)
        if isinstance(s, Op) and s.prim.name in MOVES:
            for b in s.args:
                visit(b)
        else:
            found[a] = None

    for r in fn.results:
        visit(r)
    return list(found)


def _roots(fn: Function, params: dict[Var, int], active: set[Var], makers: dict[Var, Stmt]) -> dict[Var, int]:
    """Variables that consist of elements of one parameter: which one."""
    found = dict(params)
    for s in fn.body.stmts:
        if isinstance(s, Op) and s.prim.name in MOVES:
            floats = [a for a in s.args if a in active]
            from_ = {found.get(a) for a in floats}  # type: ignore[arg-type]
            # what is stored into a copy may leave constants beside the parameter's elements
            if len(from_) == 1 and None not in from_ and len(floats) == sum(a.type.is_float for a in s.args):
                found[s.outs[0]] = from_.pop()  # type: ignore[assignment]
    return found


def _tail(fn: Function, bases: tuple[Var, ...]) -> Function:
    """(parameters, bases) -> results"""
    copier = Copier()
    params = copier.defines(fn.params)
    given = {v: Var(v.type, v.hint, v.pos) for v in bases}
    copier.env.update({v: g for v, g in given.items() if v in fn.params})
    stmts: list[Stmt] = []
    for s in fn.body.stmts:
        stmts.append(copier.stmt(s))
        copier.env.update({v: given[v] for v in s.outs if v in given})
    everything = (*params, *given.values())
    body = Block(everything, tuple(stmts), copier.atoms(fn.results))
    return Function(f"{fn.name}_tail", everything, dce(body, effects=False), fn.guards, fn.pos)


# ---------------------------------------------------------------- finding the loops


class _Loops:
    """Which bases are made by loops whose iterations can be differentiated one by one."""

    def __init__(self, fn: Function, active: set[Var], roots: dict[Var, int], makers: dict[Var, Stmt]):
        self.fn, self.active, self.roots, self.makers = fn, active, roots, makers

    def run(self, bases: list[Var]) -> tuple[tuple[Stmt, ...], list[Part]]:
        stmts: list[Stmt] = []
        parts: dict[Var, Part] = {}
        wanted = set(bases)
        for s in self.fn.body.stmts:
            if isinstance(s, For) and any(v in wanted for v in s.outs):
                s = direct(s, self.active, self.roots, self.makers)
                for k, v in enumerate(s.outs):
                    part = self.part(s, k, v) if v in wanted else None
                    if part is not None:
                        parts[v] = part
            stmts.append(s)
        return tuple(stmts), [parts[v] for v in bases if v in parts]

    def part(self, s: For, k: int, v: Var) -> Part | None:
        c, r = s.carries, len(s.reduce)
        if k < c:
            stores = self.stores(s, k)
        elif k >= c + r:
            stores = (Store("stack", s.body.results[k]),)
        else:
            return None
        # where stores replace and add in turn, their order matters
        if not stores or any(not t.value.type.is_float for t in stores) or len({t.mode for t in stores}) > 1:
            return None
        values, ints = tuple(t.value for t in stores), tuple(i for t in stores for i in t.ints)
        inside = dce(Block((), s.body.stmts, values), effects=False)
        leaves = self.leaves(s, inside)
        if leaves is None:
            return None
        # what is computed for the positions may read integers and the index, never a carry
        carried = set(s.body.params[1:])
        needed = dce(Block((), s.body.stmts, (*values, *ints)), effects=False)
        if any(x in carried for x in free_vars(needed)):
            return None
        return Part(v, s, stores, leaves)

    def stores(self, s: For, k: int) -> tuple[Store, ...]:
        """How the body writes into its k-th carry; nothing if it does anything else with it."""
        if s.inits[k] in self.active:
            return ()
        uses: dict[Atom, int] = {}
        for t in walk(s.body):
            for a in inputs(t):
                uses[a] = uses.get(a, 0) + 1
            for b in blocks(t):
                for a in b.results:
                    uses[a] = uses.get(a, 0) + 1
        for a in s.body.results:
            uses[a] = uses.get(a, 0) + 1
        makers = {v: t for t in s.body.stmts if isinstance(t, Op) for v in t.outs}
        found: list[Store] = []
        now, first = s.body.results[k], s.body.params[1 + k]
        while now is not first:
            op = makers.get(now)  # type: ignore[arg-type]
            if op is None or op.prim.name not in ("update", "accumulate") or uses.get(now) != 1:
                return ()
            found.append(Store("set" if op.prim.name == "update" else "add", op.args[1], op.params["axes"], op.args[2:]))
            now = op.args[0]
        return tuple(reversed(found)) if uses.get(first) == 1 else ()

    def leaves(self, s: For, inside: Block) -> tuple[Leaf, ...] | None:
        """What the sliced body reads of active arrays from outside; None where that is more than elements."""
        found: dict[Var, Leaf] = {}
        shared: dict[Var, Leaf] = {}
        read = set()
        for t in inside.stmts:
            if isinstance(t, Op) and t.prim.name in ("index", "gather") and t.args[0] in self.roots:
                if any(isinstance(a, Var) and a in self.active for a in t.args[1:]):
                    return None
                found[t.outs[0]] = Leaf(t.outs[0], self.roots[t.args[0]], False)  # type: ignore[index]
                read.add(t)
        others = Block((), tuple(t for t in inside.stmts if t not in read), inside.results)
        for v in free_vars(others):
            if v in self.active and v not in found:
                if v not in self.roots or v in s.body.params:
                    return None
                shared[v] = Leaf(v, self.roots[v], True)
        order = {t.outs[0]: _key(t, n) for n, t in enumerate(inside.stmts) if t in read}
        return tuple(sorted([*found.values()], key=lambda x: order[x.var])) + tuple(shared.values()) or None


def _key(t: Stmt, n: int) -> Any:
    """Where a leaf's columns stand among those of the same row, as far as the text tells; else the order of reading."""
    assert isinstance(t, Op)
    if t.prim.name != "index":
        return (n,)
    starts = [a.pos if isinstance(a, At) else a.start for a in t.params["axes"]]
    return tuple(s if isinstance(s, int) else -1 for s in starts) + (n,)


# ---------------------------------------------------------------- programs


def _replaced(fn: Function, parts: tuple[Part, ...], make: Any, clean: bool = True) -> Function:
    """`fn` with, per part, a loop of the same iterations that stacks what `make(part, copier)` emits in its body."""
    stmts: list[Stmt] = []
    outs: dict[int, tuple[Var, ...]] = {}
    for s in fn.body.stmts:
        stmts.append(s)
        for k, p in enumerate(parts):
            if p.loop is s:
                loop = _loop_with(p, make)
                outs[k] = loop.outs
                stmts.append(loop)
    body = Block(fn.body.params, tuple(stmts), tuple(v for k in range(len(parts)) for v in outs[k]))
    made = Function(fn.name, fn.params, body, fn.guards, fn.pos)
    return dce_function(made) if clean else made


def _loop_with(p: Part, make: Any) -> For:
    copier = Copier()
    index = copier.define(p.loop.index)
    with building(index) as b:
        # the carries and what is stored are left behind; the checks stay in the loop itself, which runs before
        keep = dce(Block((), p.loop.body.stmts, (*(t.value for t in p.stores), *(i for t in p.stores for i in t.ints))), effects=False)
        carried = set(p.loop.body.params[1:])
        lost: set[Var] = set(carried)
        for s in keep.stmts:
            if any(a in lost for a in inputs(s)) or any(v in lost for c in blocks(s) for v in free_vars(c)):
                lost.update(s.outs)
                continue
            current().add(copier.stmt(s))
        slices = tuple(make(p, copier))
    outs = tuple(Var(Tensor(a.type.dtype, (p.loop.count, *a.type.dims)), getattr(a, "hint", ""), p.loop.pos) for a in slices)
    return For(p.loop.count, (), Block((index,), tuple(b.stmts), slices), outs, (), len(slices), False, p.loop.pos)


def _reads(p: Part, copier: Copier) -> list[Atom]:
    leaves: list[Atom] = [copier.atom(x.var) for x in p.leaves if not x.shared]
    return leaves + [copier.atom(i) for t in p.stores for i in t.ints]


def _local_jacobians(p: Part, copier: Copier) -> list[Atom]:
    """Per store and parameter: the derivative of the stored value by the leaves, (results, columns)."""
    made: list[Atom] = []
    for t in p.stores:
        local, leaves, free = _local_function(p, t)
        args = copier.atoms((*leaves, *free))
        straight = scalarised(local, len(leaves))
        if straight is not None:
            made += _in_scalars(p, straight, leaves, args)
            continue
        columns: Dim = 0
        for x in leaves:
            columns = columns + product(x.type.dims)
        rows = product(t.value.type.dims)
        if isinstance(columns, int) and (not isinstance(rows, int) or rows > 2 * columns):
            made += _by_columns(p, local, leaves, args, rows)
        else:
            made += _by_rows(p, local, leaves, args, rows, t)
    return made


def _local_function(p: Part, t: Store) -> tuple[Function, tuple[Var, ...], tuple[Var, ...]]:
    """The iteration as a function of its leaves and of what else it reads."""
    leaves = tuple(x.var for x in p.leaves)
    inside = dce(Block((), p.loop.body.stmts, (t.value,)), effects=False, given=set(leaves))
    free = tuple(v for v in free_vars(inside) if v not in leaves)
    copier = Copier()
    params = copier.defines((*leaves, *free))
    stmts = tuple(copier.stmt(s) for s in inside.stmts)
    body = Block(params, stmts, copier.atoms(inside.results))
    return Function("local", params, body, (), p.loop.pos), leaves, free


def _emit(fn: Function, args: tuple[Atom, ...]) -> tuple[Atom, ...]:
    copier = Copier(dict(zip(fn.params, args, strict=True)))
    for q, a in zip(fn.params, args, strict=True):
        bind_sizes(q.type.dims, a.type.dims, copier.sizes)
    for s in fn.body.stmts:
        current().add(copier.stmt(s))
    return copier.atoms(fn.results)


def _flat(x: Atom) -> Atom:
    n = product(x.type.dims)
    return x if x.type.dims == (n,) else PRIMITIVES["reshape"](x, dims=(n,))  # type: ignore[no-any-return]


def _joined(xs: list[Atom], axis: int = 0) -> Atom:
    return xs[0] if len(xs) == 1 else PRIMITIVES["concatenate"](*xs, axis=axis)  # type: ignore[no-any-return]


def _unit(n: int, k: int, t: Tensor) -> Atom:
    """The k-th unit vector of a type, n elements."""
    if not t.dims:
        return literal(1.0, t.dtype)
    ones = [literal(float(j == k), t.dtype) for j in range(n)]
    v = PRIMITIVES["stack"](*ones, axis=0)
    return v if t.dims == (n,) else PRIMITIVES["reshape"](v, dims=t.dims)  # type: ignore[no-any-return]


def _each(n: Dim, t: Tensor, body: Any) -> list[Atom]:
    """`body(unit vector)` for every element of a type, stacked along a new first axis: a list of such results."""
    from adc.ir import build_for
    from adc.ops.ranges import know

    if isinstance(n, int) and n <= UNROLL:
        columns = [body(_unit(n, k, t)) for k in range(n)]
        return [PRIMITIVES["stack"](*xs, axis=0) for xs in zip(*columns, strict=True)]

    def step(i: Var) -> Any:
        know(i, 0, n - 1)
        flat = Tensor(t.dtype, (n,))
        one = PRIMITIVES["update"](zeros(flat), literal(1.0, t.dtype), i, axes=(At(Arg(0)),))
        return (), (), tuple(body(one if t.dims == (n,) else PRIMITIVES["reshape"](one, dims=t.dims)))

    return list(build_for(n, (), step)[2])


def _in_scalars(p: Part, local: Function, leaves: tuple[Var, ...], args: tuple[Atom, ...]) -> list[Atom]:
    """Straight-line code: every entry a scalar, computed from the others as far as they share."""
    first: list[Atom] = []
    starts: dict[Var, int] = {}
    for v, a in zip(leaves, args, strict=False):
        starts[v] = len(first)
        dims = v.type.dims
        if not dims:
            first.append(a)
        for ks in np.ndindex(*dims) if dims else ():  # type: ignore[arg-type]
            first.append(PRIMITIVES["index"](a, axes=tuple(At(k) for k in ks)))
    everything = (*first, *args[len(leaves) :])
    rows: list[list[Atom]] = []
    if len(local.results) <= 2 * len(first):
        for k, r in enumerate(local.results):
            one = dce_function(dataclasses.replace(local, body=dataclasses.replace(local.body, results=(r,))))
            d = chosen(vjp(one, tuple(range(len(first))), keep_primal=False))
            rows.append(list(_emit(d, (*everything, literal(1.0, local.results[k].type.dtype)))))
    else:
        columns = []
        for k in range(len(first)):
            d = chosen(jvp(local, tuple(j == k for j in range(len(local.params)))))
            columns.append(_emit(d, (*everything, literal(1.0, first[k].type.dtype)))[len(local.results) :])
        rows = [list(row) for row in zip(*columns, strict=True)]
    made: list[Atom] = []
    for arg in p.args:
        places = [starts[x.var] + k for x in p.of(arg) for k in range(evaluate(product(x.var.type.dims), {}))]
        made.append(PRIMITIVES["stack"](*(row[k] for row in rows for k in places), axis=0))
    return made


def _by_rows(p: Part, local: Function, leaves: tuple[Var, ...], args: tuple[Atom, ...], rows: Dim, t: Store) -> list[Atom]:
    d = vjp(local, tuple(range(len(leaves))), keep_primal=False)

    def row(seed: Atom) -> list[Atom]:
        bars = dict(zip(leaves, _emit(d, (*args, seed)), strict=True))
        return [_joined([_flat(bars[x.var]) for x in p.of(arg)]) for arg in p.args]

    return _each(rows, t.value.type, row)


def _by_columns(p: Part, local: Function, leaves: tuple[Var, ...], args: tuple[Atom, ...], rows: Dim) -> list[Atom]:
    place = {v: k for k, v in enumerate(leaves)}
    made = []
    for arg in p.args:
        blocks_: list[Atom] = []
        for x in p.of(arg):
            d = jvp(local, tuple(k == place[x.var] for k in range(len(local.params))))
            n = product(x.var.type.dims)
            columns = _each(n, x.var.type, lambda seed, d=d: [_flat(_emit(d, (*args, seed))[1])])
            blocks_.append(PRIMITIVES["transpose"](columns[0], axes=(1, 0)))
        made.append(_joined(blocks_, axis=1))
    return made


__all__ = ["Leaf", "Part", "Split", "Store", "split"]
