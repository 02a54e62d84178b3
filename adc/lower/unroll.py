"""Small loops inside loops over many elements are written out.

In: loops with a constant number of turns, in a loop whose iterations are independent.  Out: their bodies one after the other.

    for j: s = 0.0                                   for j: s = k[0] * x[j] + k[1] * x[j + 1] + k[2] * x[j + 2]
           for b in range(3): s += k[b] * x[j + b]   →

The element's loop is then the innermost one, which takes vectors; places that only the small loop tells apart have fixed distances (see `gather`), or are
fixed elements, which get variables (see `own_totals`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from adc.lower.borders import Copied
from adc.lower.bounds import Bounds
from adc.lower.independent import counts, independent
from adc.lower.nodes import Buf, Const, Item, Loop, Pool, Program, Store, bodies

TURNS = 8
"""A loop with more turns stays one."""
LONGEST = 128
"""So many statements at most: what is longer takes long to compile, and its numbers do not stay in registers."""


def unroll(program: Program) -> None:
    pool = program.pool
    everywhere = counts(pool, program.body)

    def visit(body: list[Item], many: bool) -> None:
        """`many`: inside a loop over elements."""
        nonlocal everywhere
        for it in list(body):
            inside = many or (isinstance(it, Loop) and not it.nest and not (isinstance(it.count, int) and it.count <= TURNS) and independent(pool, it, everywhere) is not None)
            for part in bodies(it):
                visit(part, inside)
            if many and isinstance(it, Loop) and not it.nest and not it.product:
                written_out = _written_out(pool, it, everywhere)
                if written_out is not None:
                    at = body.index(it)
                    body[at : at + 1] = written_out
                    _join_sums(pool, body)
                    everywhere = counts(pool, program.body)

    visit(program.body, False)


def _written_out(pool: Pool, loop: Loop, everywhere: Counter[Buf]) -> list[Item] | None:
    n = loop.count
    if not isinstance(n, int) or n > TURNS or n * len(loop.body) > LONGEST or not all(isinstance(x, Store) for x in loop.body):
        return None
    out: list[Item] = []
    for turn in reversed(range(n)) if loop.reverse else range(n):
        copy = Copied(pool, Bounds(pool, {}), everywhere, loop.body, {}, {loop.var: turn}).items(loop.body)
        if copy is None:
            return None
        out += copy
    return out


def _join_sums(pool: Pool, body: list[Item]) -> None:
    """`s = 0`, `s += a`, `s += b` with nothing between that looks at it: `s = a + b`."""
    for first in [x for x in body if isinstance(x, Store) and x.mode == "set" and x.buf.kind == "local" and x.buf.dtype.kind == "f"]:
        if first not in body:
            continue
        value, at = first.value, body.index(first)
        terms: list[Store] = []
        changed: set[Buf] = set()
        for x in body[at + 1 :]:
            if isinstance(x, Store) and x.buf is first.buf and x.mode == "sum" and not pool.reads(x.value) & {first.buf}:
                terms.append(x)
            elif any(a.buf is first.buf for a in pool.accesses(x)):
                break
        if not terms:
            continue
        end = body.index(terms[-1])
        for x in body[at:end]:
            changed |= {a.buf for a in pool.accesses(x) if a.writes}
        if pool.reads(first.value) & changed - {first.buf}:
            continue
        # the last of them takes all: what the others are made of must still be there
        if any(pool.reads(t.value) & {a.buf for x in body[body.index(t) + 1 : end] for a in pool.accesses(x) if a.writes} for t in terms):
            continue
        for t in terms:
            value = t.value if isinstance(value, Const) and value.value == 0 else pool.apply("{0} + {1}", (value, t.value), first.buf.dtype)
        body[end] = replace(terms[-1], value=value, mode="set")
        for x in (first, *terms[:-1]):
            body.remove(x)


__all__ = ["unroll"]
