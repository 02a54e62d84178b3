"""Sums that look like carries.

In: a program in which `s = s + e` hands s on from one iteration to the next.  Out: `s += e`, which any iteration may do in any order.

    if died[i]:                                 if died[i]:
        t = s + a                                   s += a
    else:                               →       else:
        t = s - b                                   s += -b
    s = t

What a loop adds to a fixed element of an array, `bar[0] += e`, is added to a variable, and the variable to the element afterwards: in the array
every addition would wait for the one before to reach memory, since another array might lie there.
"""

from __future__ import annotations

from collections.abc import Iterator

from adc.ir import Dim
from adc.lower.independent import counts
from adc.lower.nodes import Apply, Branch, Buf, Expr, Item, Load, Loop, Pool, Program, Store, bodies, items
from adc.lower.rewrite import replace_buffers

REGISTERS = 32
"""Variables that a loop adds to at most: more would go to memory all the same."""


def find_sums(program: Program) -> None:
    """`s = s + e` becomes `s += e`, in place, where the value from before is used for nothing else."""
    pool, body = program.pool, program.body
    for block in list(blocks(body)):
        for it in list(block):
            if isinstance(it, Branch):
                while _through_branch(program, block, it):
                    pass
    for it in items(body):
        if isinstance(it, Store) and it.mode == "set":
            before = pool.load(it.buf, it.dims, it.coords)
            rest = without(pool, it.value, before)
            if rest is not None and it.buf not in pool.reads(rest):
                it.value, it.mode = rest, "sum"


def own_totals(program: Program) -> None:
    """Fixed elements of arrays that a loop only adds to have a variable while it runs."""
    pool = program.pool

    def visit(body: list[Item]) -> None:
        for it in list(body):
            if isinstance(it, Loop) and not it.nest:
                totals = _fixed(pool, it)
                at = body.index(it)
                for (buf, dims, coords), stores in totals.items():
                    total = pool.local(buf.hint, buf.dtype)
                    body.insert(at, Store(total, (), (), pool.const(0.0, buf.dtype), note=it.note))
                    at += 1
                    for s in stores:
                        s.buf, s.dims, s.coords = total, (), ()
                    body.insert(at + 1, Store(buf, dims, coords, pool.load(total, (), ()), "sum", it.note))
            for inner in bodies(it):
                visit(inner)

    visit(program.body)


def _fixed(pool: Pool, loop: Loop) -> dict[tuple[Buf, tuple[Dim, ...], tuple[Dim, ...]], list[Store]]:
    """The elements, and what is added to each; none of arrays that the loop does anything else with, nor too many for a processor's registers."""
    modes: dict[Buf, set[str]] = {}
    for a in pool.accesses(loop):
        modes.setdefault(a.buf, set()).add(a.mode)
    out: dict[tuple[Buf, tuple[Dim, ...], tuple[Dim, ...]], list[Store]] = {}
    for it in items(loop.body):
        if isinstance(it, Store) and it.buf.kind != "local" and it.buf.dtype.kind == "f" and modes[it.buf] == {"sum"} and all(isinstance(c, int) for c in it.coords):
            out.setdefault((it.buf, it.dims, it.coords), []).append(it)
    return out if len(out) <= REGISTERS else {}


def without(pool: Pool, e: Expr, term: Expr) -> Expr | None:
    """`e - term`, where e is a sum that has `term` as one of its parts; else None."""
    if not isinstance(e, Apply) or e.dtype.kind not in "fi" or e.text not in ("{0} + {1}", "{0} - {1}"):
        return None
    a, b = e.args
    if a.dtype != e.dtype or b.dtype != e.dtype:
        return None
    if a is term:
        return b if e.text == "{0} + {1}" else pool.apply("-{0}", (b,), e.dtype)
    if b is term and e.text == "{0} + {1}":
        return a
    left = without(pool, a, term)
    if left is not None:
        return pool.apply(e.text, (left, b), e.dtype)
    right = without(pool, b, term) if e.text == "{0} + {1}" else None
    return pool.apply("{0} + {1}", (a, right), e.dtype) if right is not None else None


def blocks(body: list[Item]) -> Iterator[list[Item]]:
    """Every list of items, the inner ones first."""
    for it in body:
        for inner in bodies(it):
            yield from blocks(inner)
    yield body


def _through_branch(program: Program, block: list[Item], branch: Branch) -> bool:
    """What both sides add to one number is added where they are; True where that was done."""
    pool, at = program.pool, block.index(branch)
    for result in [x.buf for x in branch.then if isinstance(x, Store) and x.buf.kind == "local" and x.buf.dtype.kind == "f" and x.mode == "set"]:
        own = [x.value for side in (branch.then, branch.orelse) for x in side if isinstance(x, Store) and x.buf is result]
        for total in dict.fromkeys(x.buf for e in own for x in pool.nodes(e) if isinstance(x, Load) and x.buf.kind == "local"):
            end = next((k for k, x in enumerate(block[at + 1 :], at + 1) if any(a.buf is total for a in pool.accesses(x))), None)
            then = block[end] if end is not None else None
            if total is result or total.dtype != result.dtype or not isinstance(then, Store) or then.buf is not total or then.mode != "set" or total in pool.reads(then.value):
                continue
            found: list[tuple[list[Item], Store, Expr | None]] = []
            if not _parts(pool, branch, total, result, found):
                continue
            if sum(a.buf is total for a in pool.accesses(branch)) != sum(total in pool.reads(s.value) for _, s, _ in found):
                continue
            here, everywhere = counts(pool, block[at : end + 1]), counts(pool, program.body)  # type: ignore[operator]
            if any(here[b] != everywhere[b] for b in {s.buf for _, s, _ in found}):
                continue
            for side, s, rest in found:
                if rest is None:
                    side.remove(s)
                else:
                    s.buf, s.value, s.mode = total, rest, "sum"
            replace_buffers(program, {result: (total, ())})
            if then.value is pool.load(total, (), ()):
                block.remove(then)
            return True
    return False


def _parts(pool: Pool, branch: Branch, total: Buf, result: Buf, found: list[tuple[list[Item], Store, Expr | None]]) -> bool:
    """The stores to `result` in the sides, and what each adds to `total`; False where one does not just add, or there is none."""
    before = pool.load(total, (), ())
    for side in (branch.then, branch.orelse):
        stores = [x for x in side if isinstance(x, Store) and x.buf is result]
        if len(stores) != 1 or stores[0].mode != "set" or any(a.buf is result for x in side for a in pool.accesses(x) if x is not stores[0]):
            return False
        (s,) = stores
        if s.value is before:
            found.append((side, s, None))
            continue
        rest = without(pool, s.value, before)
        if rest is not None and total not in pool.reads(rest):
            found.append((side, s, rest))
            continue
        inner = [x for x in side if isinstance(x, Branch) and isinstance(s.value, Load) and any(a.buf is s.value.buf and a.writes for a in pool.accesses(x))]
        if len(inner) != 1 or not isinstance(s.value, Load) or not _parts(pool, inner[0], total, s.value.buf, found):
            return False
        if any(a.buf is s.value.buf for x in side if x is not s and x is not inner[0] for a in pool.accesses(x)):
            return False  # the sum so far is looked at on the way
        found.append((side, s, None))
    return True


__all__ = ["find_sums", "own_totals", "without"]
