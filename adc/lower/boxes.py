"""Boxes of arrays: what a store in a nest of loops writes, and what lies around it.

In: a store and the loops around it.  Out: `box(…)`: (first, count) along each axis; `around(…)`: the slabs that make up the rest; `lasting(…)`: is it the same
box in every iteration of a loop?

    for i: for j: u[i + 1, j + 1] = …      i < n - 2, j < m - 2      →      [(1, n - 2), (1, m - 2)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from adc.ir import Dim, Sym, size, symbols
from adc.lower.nodes import Item, Loop, Pool

Box = list[tuple[Dim, Dim]]


def box(loops: Sequence[Loop], coords: Sequence[Dim]) -> Box | None:
    """None where that is no box, or not all of the loops move through it."""
    left = {x.var: x.count for x in loops}
    if any(v in symbols(size(c)) for v in left for c in left.values()):
        return None
    out: Box = []
    for c in coords:
        mine = [v for v in left if v in symbols(size(c))]
        if len(mine) > 1:
            return None
        if mine:
            first = size(c) - size(mine[0])
            if not isinstance(first, int) or first < 0:
                return None
            out.append((first, left.pop(mine[0])))
        elif isinstance(c, int):
            out.append((c, 1))
        else:
            return None
    return None if left else out


def lasting(pool: Pool, loop: Loop, dims: Iterable[Dim]) -> bool:
    """Are the sizes the same in every iteration?"""
    changed = {a.buf for it in loop.body for a in pool.accesses(it) if a.writes}
    return not any(s == loop.var or s in pool.opaque or pool.locals.get(s) in changed for d in dims for s in symbols(size(d)))


def around(dims: Sequence[Dim], inside: Box) -> Iterator[Box]:
    """For each axis what lies before and behind the box, within it along the axes before."""
    for axis, (first, count) in enumerate(inside):
        for start, extent in ((0, first), (size(first) + count, size(dims[axis]) - first - count)):
            if extent != 0:
                yield [inside[k] if k < axis else (start, extent) if k == axis else (0, d) for k, d in enumerate(dims)]


def places(of: Box) -> tuple[list[tuple[Sym, Dim]], tuple[Dim, ...]]:
    """(variables and counts of loops over a box, the coordinates of their element)."""
    names = [Sym("ijklmn"[min(k, 5)]) for k in range(len(of))]
    coords = tuple(size(a) + size(v) if n != 1 else a for v, (a, n) in zip(names, of, strict=True))
    return [(v, n) for v, (_, n) in zip(names, of, strict=True) if n != 1], coords


def nest(loops: Sequence[tuple[Sym, Dim]], body: list[Item], note: str = "", small: bool = False) -> list[Item]:
    """The loops around the body; the body itself where there are none."""
    for v, n in reversed(loops):
        body = [Loop(v, n, body, note=note, small=small)]
    return body


__all__ = ["Box", "around", "box", "lasting", "nest", "places"]
