"""Statements with blocks: loops of the user, branches.

In: `For`, `While`, `If` and the state.  Out: `Loop`, `Repeat`, `Branch` items, and the statements' results bound.

A carried array lives in one buffer that the body overwrites; a carried scalar is a local variable.  A stack is written
slice by slice where it stands; a reduce is added to.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from adc.ir import (
    I8,
    Atom,
    Block,
    Dim,
    For,
    If,
    Lit,
    Op,
    Special,
    Stmt,
    Sym,
    Tensor,
    Update,
    Var,
    While,
    free_vars,
    size,
)
from adc.lower.arrays import ask_room, is_zero, lower_op
from adc.lower.nodes import Branch, Buf, Item, Loop, Repeat, Store, Swap
from adc.lower.state import Lowering, Slot, Val, internal, note_of


def lower_block(lo: Lowering, b: Block) -> None:
    """The statements of the block that the newest frame stands for."""
    frame = lo.frames[-1]
    frame.joins = rows_of_matrices(lo, b)
    for k, s in enumerate(b.stmts):
        frame.pos = k
        lo.note = note_of(s.pos)
        lower_stmt(lo, s)
    frame.pos = len(b.stmts)


def rows_of_matrices(lo: Lowering, b: Block) -> dict[Var, Slot]:
    """`np.array([[a, b], [c, d]])`: rows that are made of numbers only to be put together, and where; and those that are put together so."""
    made = {s.outs[0]: s for s in b.stmts if isinstance(s, Op) and s.prim.loops == Special("stack")}
    found: dict[Var, Slot] = {}
    for o, s in reversed(made.items()):
        rows = [(k, a) for k, a in enumerate(s.args) if isinstance(a, Var) and a in made and len(lo.uses.get(a, ())) == 1]
        if s.params["axis"] != 0 or not rows:
            continue
        buf, lead = found.get(o) or (lo.fresh(o.type, o.hint or "stack"), ())
        found[o] = buf, lead
        for k, a in rows:
            found[a] = buf, (*lead, k)
    return found


def lower_stmt(lo: Lowering, s: Stmt) -> None:
    match s:
        case Op():
            lower_op(lo, s)
        case For():
            lower_for(lo, s)
        case While():
            lower_while(lo, s)
        case If():
            lower_if(lo, s)
        case _:
            raise internal("a call that was not inlined", s.pos)


# ---------------------------------------------------------------- loops


class Carried:
    """Where the values that a loop hands on are kept."""

    def __init__(self, lo: Lowering, inits: Sequence[Atom], types: Sequence[Tensor], hints: Sequence[str], inside: set[Var]):
        self.lo = lo
        self.bufs: list[Buf] = []
        vals = [lo.val(a) for a in inits]
        read_inside = inside | {a for a in inits if isinstance(a, Var)}
        for k, (a, t, hint) in enumerate(zip(inits, types, hints, strict=True)):
            buf = vals[k].buf
            if not t.dims:
                self.bufs.append(lo.local(hint or "c", t.dtype, vals[k].expr))
                continue
            if buf is not None and buf.kind == "temp" and isinstance(a, Var) and not lo.live_after(a) and a not in inside:
                others = [v for v in lo.readers(buf, lambda v: v in read_inside) if v is not a]
                alone = list(inits).count(a) == 1 and buf.dims == t.dims
                if alone and not any(v in read_inside for v in others) and lo.move_away(buf, others):
                    self.bufs.append(buf)
                    continue
            new = lo.fresh(t, hint)
            lo.evaluate_into(new, t.dims, vals[k])
            self.bufs.append(new)

    def value(self, k: int) -> Val:
        buf = self.bufs[k]
        return self.lo.load_local(buf) if buf.kind == "local" else self.lo.stored(buf)


def unchanged(lo: Lowering, params: Sequence[Var], results: Sequence[Atom], inits: Sequence[Atom]) -> list[bool]:
    """Carries that the body hands on as they are: no storage, just the value from before."""
    same = [r is p for p, r in zip(params, results, strict=True)]
    for flag, a in zip(same, inits, strict=True):
        if flag and isinstance(a, Var):
            settle(lo, a)
    return same


def settle(lo: Lowering, a: Var) -> None:
    """What a loop reads in every iteration is computed before it."""
    val = lo.env[a]
    if a.type.dims:
        if val.buf is None and lo.pool.cost(val.expr) > 2:
            lo.force(a)
    else:
        lo.named(a)


def step(lo: Lowering, bufs: Sequence[Buf], types: Sequence[Tensor], vals: Sequence[Val]) -> None:
    """The carries' new values, all at once."""
    moved = [(b, t, v) for b, t, v in zip(bufs, types, vals, strict=True) if v.buf is not b]
    ring = places_changed(lo, [m for m in moved if m[0].kind != "local"])
    others = [v for b, _, v in moved if b not in ring]
    if ring and not any(set(ring) & lo.pool.reads(v.expr) or v.buf in ring for v in others):
        for a, b in itertools.pairwise(ring):
            lo.emit(Swap(a, b))
        for b in ring:
            b.swapped = True
        moved = [m for m in moved if m[0] not in ring]
    lo.assign_all([(b, t.dims, v) for b, t, v in moved])


def places_changed(lo: Lowering, moved: Sequence[tuple[Buf, Tensor, Val]]) -> list[Buf]:
    """Buffers b, c, d of which each takes what is in the next, and the last what is in the first; empty where there are none."""
    of = {b: v.buf for b, t, v in moved if v.buf is not None and any(v.buf is c and t == u for c, u, _ in moved)}
    for first in of:
        ring = [first]
        while (then := of.get(ring[-1])) is not None and then not in ring:
            ring.append(then)
        if then is first and len(ring) > 1:
            return ring
    return []


def lower_for(lo: Lowering, s: For) -> None:
    index, *params = s.body.params
    carries, reduces, stacks = s.split(s.body.results)
    c_outs, r_outs, s_outs = s.split(s.outs)
    inits, starts = s.inits[: s.carries], s.inits[s.carries :]
    inside = set(free_vars(s.body))
    for v in [v for v in lo.env if v in inside]:
        settle(lo, v)
    same = unchanged(lo, params, carries, inits)
    moving = [k for k, f in enumerate(same) if not f]
    every = [inits[k] for k in moving] + list(starts)
    types = [params[k].type for k in moving] + [o.type for o in r_outs]
    hints = [params[k].hint or c_outs[k].hint for k in moving] + [o.hint for o in r_outs]
    store = Carried(lo, every, types, hints, inside | {a for a, f in zip(inits, same, strict=True) if f and isinstance(a, Var)})
    n = len(moving)
    rows = [lo.row(o) for o in s_outs]
    var, body = Sym(index.hint or "i"), []  # type: tuple[Sym, list[Item]]
    kept = {k: lo.val(inits[k]) for k, f in enumerate(same) if f}
    note = lo.note
    with lo.block(s.body, True, body) as frame:
        lo.bind(index, Val((), lo.pool.index(size(var))))
        for j, k in enumerate(moving):
            lo.bind(params[k], store.value(j))
        for k, val in kept.items():
            lo.bind(params[k], val)
        for kind, r, buf in zip(s.reduce, reduces, store.bufs[n:], strict=True):
            if kind == "sum" and isinstance(r, Var) and r.type.dims:
                for v in chain(lo, s.body, r):
                    frame.sinks[v] = (buf, r.type.dims)
        frame.rows = own_rows(lo, s.body, stacks, [(buf, (*lead, size(var))) for buf, lead in rows])
        lower_block(lo, s.body)
        lo.note = note
        for (row, lead), a in zip(rows, stacks, strict=True):
            lo.evaluate_into(row, a.type.dims, lo.val(a), lead=(*lead, size(var)))
        for kind, r, buf in zip(s.reduce, reduces, store.bufs[n:], strict=True):
            if not (isinstance(r, Var) and r in frame.sinks):
                lo.evaluate_into(buf, r.type.dims, lo.val(r), kind)
        step(lo, store.bufs[:n], types[:n], [lo.val(carries[k]) for k in moving])
    lo.emit(Loop(var, s.count, body, s.reverse, nest=False, note=note, carried=frozenset(store.bufs)))
    for j, k in enumerate(moving):
        lo.bind(c_outs[k], store.value(j))
    for k, val in kept.items():
        lo.bind(c_outs[k], val)
    for j, o in enumerate(r_outs):
        lo.bind(o, store.value(n + j))
    for o, (row, lead) in zip(s_outs, rows, strict=True):
        lo.bind(o, lo.part(row, lead, o.type.dims) if lead else lo.stored(row))


def own_rows(
    lo: Lowering, b: Block, stacks: Sequence[Atom], rows: Sequence[Slot]
) -> dict[Var, Slot]:
    """Arrays made in the body only to be stacked, and where."""
    made = {o for s in b.stmts for o in s.outs}
    return {
        a: row
        for row, a in zip(rows, stacks, strict=True)
        if isinstance(a, Var) and a in made and a.type.dims and len(lo.uses.get(a, ())) == 1
    }


def chain(lo: Lowering, b: Block, r: Var) -> list[Var]:
    """`r` as additions to parts of zeros, last first; empty if it is anything else."""
    made = {o: s for s in b.stmts for o in s.outs}
    found: list[Var] = []
    while True:
        s = made.get(r)
        if not isinstance(s, Op) or len(lo.uses.get(r, ())) != 1:
            break
        if isinstance(s.prim.loops, Update) and s.prim.loops.mode == "add" and isinstance(s.args[0], Var):
            found.append(r)
            r = s.args[0]
            continue
        zero = s.prim.loops == Special("fill") and isinstance(s.args[0], Lit) and s.args[0].value == 0
        return found if zero else []
    outside = r in lo.env and r not in made and is_zero(lo, r)
    inside = isinstance(made.get(r), Op) and made[r].prim.loops == Special("fill") and isinstance(made[r].args[0], Lit) and made[r].args[0].value == 0  # type: ignore[union-attr]
    return found if outside or inside else []


def lower_while(lo: Lowering, s: While) -> None:
    n = len(s.inits)
    results, stacks = s.body.results[:n], s.body.results[n:]
    inside = set(free_vars(s.body)) | set(free_vars(s.cond))
    for v in [v for v in lo.env if v in inside]:
        settle(lo, v)
    same = unchanged(lo, s.body.params, results, s.inits)
    moving = [k for k, f in enumerate(same) if not f]
    kept = {k: lo.val(s.inits[k]) for k, f in enumerate(same) if f}
    types = [s.body.params[k].type for k in moving]
    hints = [s.body.params[k].hint or s.outs[k].hint for k in moving]
    blocked = inside | {a for k, a in enumerate(s.inits) if k in kept and isinstance(a, Var)}
    store = Carried(lo, [s.inits[k] for k in moving], types, hints, blocked)
    rows = [lo.fresh(o.type, o.hint or "stack") for o in s.outs[n:]]
    trips: Buf | None = None
    head: list[Item] = []
    body: list[Item] = []
    note = lo.note
    if s.count is not None:
        trips = lo.local(s.count.hint, I8, lo.pool.index(0), s.count)
        ask_room(lo, s.count, "{0} >= {1}", body)

    def enter(params: tuple[Var, ...]) -> None:
        for j, k in enumerate(moving):
            lo.bind(params[k], store.value(j))
        for k, val in kept.items():
            lo.bind(params[k], val)

    with lo.block(s.cond, True, head, frozenset(inside)):
        enter(s.cond.params)
        lower_block(lo, s.cond)
        cond = lo.scalar(s.cond.results[0])
    with lo.block(s.body, True, body, frozenset(inside)) as frame:
        enter(s.body.params)
        if s.count is not None:
            frame.rows = own_rows(lo, s.body, stacks, [(row, (size(s.count),)) for row in rows])
        lower_block(lo, s.body)
        lo.note = note
        for row, a in zip(rows, stacks, strict=True):
            assert s.count is not None
            lo.evaluate_into(row, a.type.dims, lo.val(a), lead=(size(s.count),))
        step(lo, store.bufs, types, [lo.val(results[k]) for k in moving])
        if trips is not None:
            lo.emit(Store(trips, (), (), lo.pool.index(size(s.count) + 1)))  # type: ignore[arg-type, operator]
    lo.emit(Repeat(head, cond, body, note))
    for j, k in enumerate(moving):
        lo.bind(s.outs[k], store.value(j))
    for k, val in kept.items():
        lo.bind(s.outs[k], val)
    for o, row in zip(s.outs[n:], rows, strict=True):
        lo.bind(o, lo.stored(row))


# ---------------------------------------------------------------- branches


def lower_if(lo: Lowering, s: If) -> None:
    cond = lo.scalar(s.cond)
    lists: list[list[Item]] = [[], []]
    vals: list[list[Val]] = []
    note = lo.note
    shared = set(free_vars(s.then)) | set(free_vars(s.orelse))
    for v in [v for v in lo.env if v in shared and not v.type.dims]:
        lo.named(v)
    # what a branch may overwrite is saved before, for those who read it after
    mine = {lo.env[v].buf for v in shared if v in lo.env and v.type.dims and not lo.live_after(v)}
    for buf in [b for b in mine if b is not None and b.kind == "temp"]:
        for v in lo.readers(buf):
            if lo.env[v].buf is not buf and v in lo.frames[-1].defined:
                lo.force(v)
    for b, into in zip((s.then, s.orelse), lists, strict=True):
        with lo.block(b, False, into):
            lower_block(lo, b)
            vals.append([lo.val(r) for r in b.results])
    targets: list[tuple[Buf, tuple[Dim, ...]] | None] = []
    claimed: set[Buf] = set()
    for k, o in enumerate(s.outs):
        if s.then.results[k] is s.orelse.results[k] and isinstance(s.then.results[k], Var):
            targets.append(None)
        elif not o.type.dims:
            targets.append((lo.pool.local(o.hint or "t", o.type.dtype), ()))
        else:
            buf = _shared_buffer(lo, s, k, vals, claimed) or lo.fresh(o.type, o.hint or "t")
            claimed.add(buf)
            targets.append((buf, o.type.dims))
    for into, b, side in zip(lists, (s.then, s.orelse), vals, strict=True):
        with lo.block(b, False, into) as frame:
            frame.pos = len(b.stmts)
            lo.note = note
            lo.assign_all([(t[0], t[1], v) for t, v in zip(targets, side, strict=True) if t is not None])
    lo.emit(Branch(cond, lists[0], lists[1], note))
    for k, (o, t) in enumerate(zip(s.outs, targets, strict=True)):
        if t is None:
            lo.bind(o, lo.val(s.then.results[k]))
        else:
            lo.bind(o, lo.load_local(t[0]) if t[0].kind == "local" else lo.stored(t[0], t[1]))


def _shared_buffer(lo: Lowering, s: If, k: int, vals: list[list[Val]], claimed: set[Buf]) -> Buf | None:
    """Storage of one branch's result that may hold the other's too."""
    dims = s.outs[k].type.dims
    for side in (0, 1):
        buf = vals[side][k].buf
        if buf is None or buf.kind != "temp" or buf in claimed or buf.dims != dims:
            continue
        if any(v.buf is buf for j, v in enumerate(vals[side]) if j != k):
            continue  # two results in one place
        if not lo.readers(buf, lambda v: v in s.then.results and v in s.orelse.results):
            return buf
    return None


__all__ = ["lower_block"]
