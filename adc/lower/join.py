"""Several stores to one place are one, and so are several tapes of one value.

In: a program whose loops have met.  Out: the same; what is set and then added to at once is set to the sum, in the same order.

    u[i] = 0.0                                                a_saved[t] = u[i]              a_saved[t] = u[i]
    u[i] += a                →      u[i] = a + b              b_saved[t] = u[i]       →      … a_saved[t] … a_saved[t] …
    u[i] += b                                                 … a_saved[t] … b_saved[t] …
"""

from __future__ import annotations

from collections import Counter

from adc.ir import size
from adc.lower.nodes import Access, Branch, Buf, CallFn, Const, Item, Pool, Program, Repeat, Store, Swap, bodies, items
from adc.lower.rewrite import replace_buffers


def join_stores(program: Program) -> None:
    join_tapes(program)
    _visit(program.pool, program.body)


# ---------------------------------------------------------------- tapes


def join_tapes(program: Program) -> None:
    pool = program.pool
    writes = Counter(a.buf for it in program.body for a in pool.accesses(it) if a.writes)
    fixed = {b for it in items(program.body) if isinstance(it, Swap) for b in (it.a, it.b)}
    fixed |= {b for it in items(program.body) if isinstance(it, CallFn) for b in (*it.args, *it.outs) if isinstance(b, Buf)}
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}

    def alone(s: Store) -> bool:
        return s.mode == "set" and s.buf.kind == "temp" and writes[s.buf] == 1 and s.buf not in fixed and not s.buf.swapped and s.dims == s.buf.dims

    def visit(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                visit(inner)
        k = 0
        while k < len(body):
            first = body[k]
            if isinstance(first, Store) and alone(first) and not isinstance(first.value, Const):
                for second in [x for x in body[k + 1 :] if isinstance(x, Store) and x.value is first.value and x.coords == first.coords]:
                    if second.buf is not first.buf and alone(second) and second.dims == first.dims and second.buf.dtype == first.buf.dtype and second.buf not in new:
                        between = [a for x in body[k + 1 : body.index(second)] for a in pool.accesses(x)]
                        needs = pool.reads(first.value)
                        if not any((a.writes and a.buf in needs) or a.buf in (first.buf, second.buf) for a in between):
                            body.remove(second)
                            new[second.buf] = first.buf, tuple(range(len(first.dims)))
            k += 1

    visit(program.body)
    if new:
        replace_buffers(program, new)


# ---------------------------------------------------------------- places


def _visit(pool: Pool, body: list[Item]) -> None:
    for it in body:
        for inner in bodies(it):
            _visit(pool, inner)
    k = 0
    while k < len(body):
        first = body[k]
        m = _next(pool, body, k) if isinstance(first, Store) and first.mode == "set" and first.buf.kind != "local" else None
        if m is None:
            k += 1
            continue
        second = body[m]
        assert isinstance(first, Store) and isinstance(second, Store)
        if second.mode == "sum" and not (isinstance(first.value, Const) and first.value.value == 0):
            second.value = pool.apply("{0} + {1}", (first.value, second.value), first.buf.dtype)
        second.mode = "set"
        del body[k]


def _next(pool: Pool, body: list[Item], k: int) -> int | None:
    """The store to the same place that store `k` may wait for: nobody looks at the buffer, or changes what the value is made of, before."""
    first = body[k]
    assert isinstance(first, Store)
    where = {b for c in first.coords for b in pool.dim_reads(c)}
    if first.buf in where:
        return None  # `k[k[i]] = …`: the same words, perhaps another place
    needs = pool.reads(first.value) | where
    for m in range(k + 1, len(body)):
        it = body[m]
        if isinstance(it, Branch | Repeat | Swap):
            return None
        if isinstance(it, Store) and it.buf is first.buf and it.dims == first.dims and it.coords == first.coords:
            alike = it.mode == "set" or (it.mode == "sum" and it.value.dtype == first.value.dtype == first.buf.dtype and first.buf.dtype.kind == "f")
            return m if alike and first.buf not in pool.reads(it.value) else None
        found = pool.accesses(it)
        if any((a.buf is first.buf and not _apart(a, first)) or (a.writes and a.buf in needs) for a in found):
            return None
    return None


def _apart(a: Access, s: Store) -> bool:
    """Is it surely another place?"""
    if a.dims != s.dims or len(a.coords) != len(s.coords):
        return False
    return any(isinstance(d := size(x) - y, int) and d != 0 for x, y in zip(a.coords, s.coords, strict=True))


__all__ = ["join_stores"]
