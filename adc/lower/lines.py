"""Rows of grids begin on cache lines.

In: a program whose scratch is planned.  Out: the same, where the rows of scratch whose neighbours are read together take whole cache lines, and the
element with which a loop over a row begins stands first in a line.

                                                    stride = (m + 7) // 8 * 8
    for j: new[i * m + j + 1] = u[i * m + j]    →    for j: new[i * stride + j + 8] = u[i * stride + j + 7]
           + u[i * m + j + 2] …                             + u[i * stride + j + 9] …

A vector that lies across two lines takes two accesses of the cache.  Of a point of a plane, which reads five numbers and writes one, all six lie so where a
row begins anywhere, and two where it begins on a line (docs/design/sweeps.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from adc.ir import I8, Dim, Sym, size, symbols
from adc.ir.dims import dim_min, floordiv, product
from adc.lower.nodes import Access, Buf, CallFn, Expr, Item, Load, Loop, Pool, Program, Store, bodies, items
from adc.lower.plan import rings
from adc.lower.rewrite import replace_loads

LINE = 64
"""Bytes."""
Leads = dict[Buf, dict[tuple[Dim, ...], int]]
"""Elements before the first row: of a buffer, and there of each array that has its turn in it, who is known by its shape."""
SHORT = 2
"""Rows of up to so many lines stay as they are: they would grow by too much."""


def rows_on_lines(program: Program, scratch: Iterable[Buf]) -> None:
    seen: dict[Buf, list[Access]] = {}
    for it in program.body:
        for a in program.pool.accesses(it):
            seen.setdefault(a.buf, []).append(a)
    swapped = rings(program)
    groups = [[b] for b in scratch if not any(b in r for r in swapped)] + [sorted(r, key=lambda b: b.hint) for r in swapped]
    fixed = _fixed(program)
    new: Leads = {}
    for group in groups:
        if all(b.kind == "temp" and b.dims and b not in fixed and _one_array(seen.get(b, [])) for b in group):
            firsts = _firsts(program.pool, program.body, group)
            if firsts:
                lanes = LINE // group[0].dtype.itemsize
                new.update({b: {dims: -first % lanes for dims, first in firsts.items()} for b in group})
    if new:
        _Lines(program, new).rewrite()


def _fixed(program: Program) -> set[Buf]:
    """What routines see, and accumulators of chunks: where their elements lie is agreed upon elsewhere."""
    out: set[Buf] = set()
    for it in items(program.body):
        if isinstance(it, CallFn):
            out.update(b for b in (*it.args, *it.outs) if isinstance(b, Buf))
        elif isinstance(it, Loop):
            out.update(it.alone, it.alone.values())
    return out


def _one_array(found: list[Access]) -> bool:
    """Is each array that has its turn in the buffer seen with one shape?  Two shapes of one array would have as many elements."""
    shapes = {a.dims for a in found if a.dims != ("whole",)}
    return bool(shapes) and len({len(s) for s in shapes}) == 1 and len({product(s) for s in shapes}) == len(shapes)


def _firsts(pool: Pool, body: list[Item], group: list[Buf]) -> dict[tuple[Dim, ...], int]:
    """Which element of a row most vectors begin with, for each shape; nothing where no loop reads neighbours."""
    votes: dict[tuple[Dim, ...], dict[int, Counter[int]]] = {}
    neighbours = False
    for depth, loop in _innermost(body, 1):
        seen: dict[tuple[Dim, ...], set[int]] = {}
        for a in pool.accesses(loop):
            if a.buf in group and a.coords and not any(loop.var in symbols(size(c)) for c in a.coords[:-1]):
                first = size(a.coords[-1]) - size(loop.var)
                if isinstance(first, int):
                    seen.setdefault(a.dims, set()).add(first)
                    votes.setdefault(a.dims, {}).setdefault(depth, Counter())[first] += 1 + a.writes
        neighbours |= any(len(firsts) > 1 for firsts in seen.values())
    if not neighbours:
        return {}
    return {dims: max(found[max(found)].items(), key=lambda v: (v[1], -v[0]))[0] for dims, found in votes.items()}


def _innermost(body: list[Item], depth: int) -> Iterator[tuple[int, Loop]]:
    for it in body:
        inner = depth + isinstance(it, Loop)
        if isinstance(it, Loop) and not any(isinstance(x, Loop) for x in items(it.body)):
            yield depth, it
        for b in bodies(it):
            yield from _innermost(b, inner)


class _Lines:
    def __init__(self, program: Program, leads: Leads):
        self.program, self.leads = program, leads
        self.strides: dict[tuple[Dim, int], Dim] = {}
        self.made: list[Item] = []

    def rewrite(self) -> None:
        pool, body = self.program.pool, self.program.body

        def moved(e: Load) -> Expr | None:
            return pool.load(e.buf, *self.place(e.buf, e.dims, e.coords)) if e.buf in self.leads else None

        replace_loads(pool, body, moved)
        for it in items(body):
            if isinstance(it, Store) and it.buf in self.leads:
                it.dims, it.coords = self.place(it.buf, it.dims, it.coords)
        for buf, leads in self.leads.items():
            *rows, last = buf.dims
            if rows:
                last = self.stride(last, LINE // buf.dtype.itemsize)
            buf.dims = (size(product((*rows, last))) + max(leads.values()),)
        body[:0] = self.made

    def place(self, buf: Buf, dims: tuple[Dim, ...], coords: tuple[Dim, ...]) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
        last = dims[-1] if len(dims) == 1 else self.stride(dims[-1], LINE // buf.dtype.itemsize)
        return (*dims[:-1], last), (*coords[:-1], size(coords[-1]) + self.leads[buf].get(dims, 0))

    def stride(self, length: Dim, lanes: int) -> Dim:
        if isinstance(length, int):
            return -(-length // lanes) * lanes if length > SHORT * lanes else length
        if (length, lanes) not in self.strides:
            pool, sym = self.program.pool, Sym(f"stride_{len(self.strides)}" if self.strides else "stride")
            whole = f"({{0}} + {lanes - 1}) // {lanes} * {lanes} if {{0}} > {SHORT * lanes} else {{0}}"
            value = pool.apply(whole, (pool.index(length),), I8)
            self.made.append(Store(pool.local(sym.hint, I8, sym), (), (), value, note="rows of whole cache lines"))
            # memory is asked for before the kernel begins
            self.program.bounds[sym] = size(length) + (lanes - 1) * size(dim_min(1, floordiv(length, SHORT * lanes + 1)))
            self.strides[length, lanes] = size(sym)
        return self.strides[length, lanes]


__all__ = ["rows_on_lines"]
