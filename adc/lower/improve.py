"""What is done to loops, in order.

In: a `Program` as `arrays` and `control` made it.  Out: the same program, faster, in place.
"""

from __future__ import annotations

from adc.ir import Sym, size, symbols
from adc.lower.borders import split_rings
from adc.lower.checks import hoist_checks
from adc.lower.common import common
from adc.lower.direct import add_directly, start_from_zero
from adc.lower.elements import raise_elements
from adc.lower.exchange import swap_copies
from adc.lower.fresh import fresh
from adc.lower.fuse import Fuser, coalesce, contract, remove_dead
from adc.lower.gather import gather
from adc.lower.hand_on import hand_on
from adc.lower.independent import counts, inline_carries, obstacle
from adc.lower.join import join_stores
from adc.lower.lift import lift
from adc.lower.nodes import Exit, Item, Loop, Program, bodies, items
from adc.lower.opposites import opposites
from adc.lower.products import products
from adc.lower.record import states_in_tape
from adc.lower.rewrite import inline_indices, replace_buffers
from adc.lower.rims import rims_beside
from adc.lower.share import share
from adc.lower.sums import find_sums, own_totals
from adc.lower.sweep import sweep_once
from adc.lower.tapes import one_tape
from adc.lower.tile import tile
from adc.lower.twins import join_twins
from adc.lower.unroll import unroll
from adc.lower.variables import join_variables


def improve(program: Program, workers: bool = True) -> None:
    settle_capacities(program)
    merge_carries(program)
    inline_indices(program)
    hoist_checks(program)
    find_sums(program)
    unroll(program)
    own_totals(program)
    raise_elements(program)
    one_tape(program)
    add_directly(program)
    gather(program)
    lift(program)
    start_from_zero(program)
    Fuser(program, counts(program.pool, program.body)).program(program.body)
    join_variables(program)
    join_twins(program)
    remove_dead(program)
    contract(program)
    coalesce(program)
    join_stores(program)
    swap_copies(program)
    states_in_tape(program)
    sweep_once(program)
    split_rings(program)
    rims_beside(program)
    common(program)
    opposites(program)
    tile(program)
    if workers:
        share(program)
    products(program)
    fresh(program)
    hand_on(program)
    common(program)
    tell(program)


def tell(program: Program) -> None:
    """What stands in the way of the user's loops that stayed as they are."""
    everywhere = counts(program.pool, program.body)
    for it in program.body:
        if isinstance(it, Loop) and not it.nest and it.roles is None and not it.shared and it.note and not any(x.shared for x in items(it.body) if isinstance(x, Loop)):
            why = obstacle(program.pool, it, everywhere)
            if why is not None:
                program.story.append(f"`{it.note}`: one iteration after the other, since {why}")


def merge_carries(program: Program) -> None:
    same = inline_carries(program.pool, program.body)
    replace_buffers(program, {t: (s, ()) for t, s in same.items()})


def settle_capacities(program: Program) -> None:
    """Number the sizes that buffers grow with; no question is asked about the others."""
    pool = program.pool
    dims = [d for it in items(program.body) for a in pool.accesses(it) if a.buf.kind != "local" for d in a.buf.dims]
    needed: set[Sym] = set()
    todo = [s for d in dims for s in symbols(size(d))]
    while todo:
        s = todo.pop()
        if s not in needed:
            needed.add(s)
            todo.extend(symbols(size(program.bounds.get(s, 0))))

    def visit(body: list[Item]) -> None:
        for it in list(body):
            for inner in bodies(it):
                visit(inner)
            if isinstance(it, Exit) and it.capacity is not None:
                if it.capacity not in needed:
                    body.remove(it)
                    continue
                program.capacities.append(it.capacity)
                it.code = -len(program.capacities)

    visit(program.body)
    program.bounds = {s: d for s, d in program.bounds.items() if s in needed}


__all__ = ["improve"]
