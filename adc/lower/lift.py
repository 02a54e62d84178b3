"""Time inside, examples outside: a loop of the user around nests over examples becomes a nest over examples.

In: a program before `fuse`.  Out: the same, where steps that treat all examples alike, each for itself, change places.

    for t in range(steps):                        for i in range(n):
        for i in range(n): v[i] = f(s[i])    →        for t in range(steps):
        for i in range(n): s[i] += v[i]                   v[i] = f(s[i]); s[i] += v[i]

What an example keeps from step to step is then a few numbers in registers or in a tile, instead of arrays that pass
through memory in every step.  Numbers that are the same for all examples are computed for each.
"""

from __future__ import annotations

from collections import Counter

from adc.ir import Dim, Held, Sym, size, symbols
from adc.lower.independent import counts, independent, own_row
from adc.lower.nodes import (
    Access,
    Apply,
    Buf,
    Const,
    Expr,
    Index,
    Item,
    Load,
    Loop,
    Pool,
    Program,
    Store,
    bodies,
    items,
)
from adc.lower.rewrite import rename_item

CHEAP = 8
"""What a number that all examples share may cost, since each computes it."""


def lift(program: Program) -> None:
    pool = program.pool
    everywhere = counts(pool, program.body)

    def visit(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                visit(inner)
            if isinstance(it, Loop) and not it.nest and independent(pool, it, everywhere) is None:
                before, after = sink_sums(pool, it, everywhere)
                new = lifted(pool, it)
                if new is not None:
                    moved[it] = [*before, new, *after]
                else:
                    it.body[:0], it.body[len(it.body) + len(before) :] = before, after
        body[:] = [y for x in body for y in moved.get(x, [x])]

    moved: dict[Item, list[Item]] = {}
    visit(program.body)


# ---------------------------------------------------------------- sums over examples, summed over steps


def sink_sums(pool: Pool, steps: Loop, everywhere: Counter[Buf]) -> tuple[list[Item], list[Item]]:
    """`part = 0; for i: part += e; total += c * part` in every step: `part` may as well be summed over all steps, and
    `total` be added to once.  What goes before and after the loop is taken out of it."""
    written = {a.buf for it in steps.body for a in pool.accesses(it) if a.writes}
    alone = [it for it in steps.body if isinstance(it, Store) and (it.buf.kind == "local" or _one_place(pool, it, written, steps.var))]
    zeros = {it.buf: it for it in alone if it.mode == "set" and isinstance(it.value, Const) and it.value.value == 0 and it.buf not in steps.carried}
    sums: set[Buf] = set()
    for buf in zeros:
        found = [a for it in steps.body if not isinstance(it, Store) for a in pool.accesses(it) if a.buf is buf]
        if found and all(a.mode == "sum" for a in found) and sum(it.buf is buf for it in alone) == 1:
            sums.add(buf)
    linear = set(sums)
    after: list[Item] = []
    for it in alone:
        if it.buf in sums:
            continue
        if _degree(pool, it.value, linear, written, steps.var) == 1 and pool.reads(it.value) & linear:
            if it.mode == "set" and _only_in(pool, steps, everywhere, it.buf) and it.buf not in steps.carried and sum(x.buf is it.buf for x in alone) == 1:
                linear.add(it.buf)
                after.append(it)
            elif it.mode == "sum":
                after.append(it)
    kept = [it for it in steps.body if it not in after]
    begun = linear - sums  # what starts from a sum must find it when something else is added
    read = {a.buf for it in kept for a in pool.accesses(it) if (a.mode in ("read", "set") or a.buf in begun) and it not in zeros.values()}
    targets = {it.buf for it in after if isinstance(it, Store) and it.mode == "sum"}
    used = {b for it in after for a in pool.accesses(it) for b in (a.buf,) if b in sums}
    if not used or read & (linear | targets) or not all(_only_in(pool, steps, everywhere, b) for b in used):
        return [], []
    before: list[Item] = [zeros[b] for b in zeros if b in used]
    steps.body[:] = [it for it in kept if it not in before]
    return before, after


def _one_place(pool: Pool, it: Store, written: set[Buf], var: Sym) -> bool:
    """Does it add to the same element of an array in every step?"""
    return it.mode == "sum" and not any(
        s == var or s in pool.opaque or (s in pool.locals and pool.locals[s] in written) for c in it.coords for s in symbols(size(c))
    )


def _only_in(pool: Pool, loop: Loop, everywhere: Counter[Buf], buf: Buf) -> bool:
    return sum(a.buf is buf for it in loop.body for a in pool.accesses(it)) == everywhere[buf]


def _degree(pool: Pool, e: Expr, linear: set[Buf], written: set[Buf], var: Sym) -> int | None:
    """1 where `e` is proportional to what `linear` holds, 0 where it is the same in every step, else None."""
    if isinstance(e, Load) and e.buf in linear:
        return 1
    if not pool.reads(e) & (linear | written) and not any(
        var in symbols(size(d)) for n in pool.nodes(e) for d in ((n.dim,) if isinstance(n, Index) else getattr(n, "coords", ()))
    ):
        return 0
    if not isinstance(e, Apply):
        return None
    parts = [_degree(pool, a, linear, written, var) for a in e.args]
    if None in parts:
        return None
    match e.text:
        case "-{0}":
            return parts[0]
        case "{0} + {1}" | "{0} - {1}":
            return parts[0] if parts[0] == parts[1] else None
        case "{0} * {1}":
            return parts[0] + parts[1] if parts[0] + parts[1] <= 1 else None  # type: ignore[operator]
        case "{0} / {1}":
            return parts[0] if parts[1] == 0 else None
    return None


# ---------------------------------------------------------------- the change of places


def lifted(pool: Pool, steps: Loop) -> Loop | None:
    """The nest over examples; None where a step needs more than its own example."""
    nests = [it for it in steps.body if isinstance(it, Loop)]
    if not nests or not all(x.nest and not x.reverse and x.count == nests[0].count for x in nests):
        return None
    count = nests[0].count
    if any(s is steps.var or s in pool.locals or s in pool.opaque for s in symbols(size(count))):
        return None
    if isinstance(count, int) or any(isinstance(s, Held) for s in symbols(size(steps.count))):
        return None  # tiles of examples would keep a tape for all lanes, also for those that are not there
    alone = [it for it in steps.body if not isinstance(it, Loop)]
    if not all(isinstance(it, Store) and it.buf.kind == "local" and it.mode == "set" and pool.cost(it.value) <= CHEAP for it in alone):
        return None
    shared = {it.buf for it in alone if isinstance(it, Store)}
    uses: dict[Buf, list[tuple[Loop | None, Access]]] = {}
    var = Sym(nests[0].var.hint)
    for it in steps.body:
        nest = it if isinstance(it, Loop) else None
        table: dict[Sym, Dim] = {nest.var: size(var)} if nest is not None else {}
        for a in pool.accesses(it):
            moved = Access(a.buf, a.dims, tuple(pool.subst_dim(c, table) for c in a.coords), a.mode)
            uses.setdefault(a.buf, []).append((nest, moved))
    inner = {x.var for it in steps.body for x in items([it]) if isinstance(x, Loop) and x not in nests} | {steps.var}
    for buf, found in uses.items():
        if not any(a.writes for _, a in found):
            continue
        if buf.kind == "local":
            if buf in shared:
                if any(a.writes and nest is not None for nest, a in found):
                    return None
                if buf in steps.carried:
                    return None
            elif len({id(nest) for nest, _ in found}) > 1 or buf in steps.carried:
                modes = {a.mode for _, a in found}
                if len(modes) > 1 or modes & {"set", "read"}:
                    return None
        else:
            every = [a for _, a in found]
            modes = {a.mode for a in every}
            if not own_row(pool, every, var, inner) and (len(modes) > 1 or modes & {"set", "read"}):
                return None
    body: list[Item] = []
    for it in steps.body:
        if isinstance(it, Loop):
            rename_item(pool, it, {it.var: size(var)})
            body += it.body
        else:
            body.append(it)
    time = Loop(steps.var, steps.count, body, steps.reverse, False, steps.note, carried=steps.carried)
    return Loop(var, count, [time], note=steps.note)


__all__ = ["lift"]
