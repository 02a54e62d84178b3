"""Several stores to one place are one.

In: a program whose loops have met.  Out: the same; what is set and then added to at once is set to the sum, in the same order.

    u[i] = 0.0
    u[i] += a                →      u[i] = a + b
    u[i] += b
"""

from __future__ import annotations

from adc.lower.nodes import Branch, Const, Item, Pool, Program, Repeat, Store, Swap, bodies


def join_stores(program: Program) -> None:
    _visit(program.pool, program.body)


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
    needs = pool.reads(first.value) | {b for c in first.coords for b in pool.dim_reads(c)}
    for m in range(k + 1, len(body)):
        it = body[m]
        if isinstance(it, Branch | Repeat | Swap):
            return None
        if isinstance(it, Store) and it.buf is first.buf and it.dims == first.dims and it.coords == first.coords:
            alike = it.mode == "set" or (it.mode == "sum" and it.value.dtype == first.value.dtype == first.buf.dtype and first.buf.dtype.kind == "f")
            return m if alike and first.buf not in pool.reads(it.value) else None
        found = pool.accesses(it)
        if any(a.buf is first.buf or (a.writes and a.buf in needs) for a in found):
            return None
    return None


__all__ = ["join_stores"]
