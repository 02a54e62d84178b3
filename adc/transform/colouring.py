"""Colours of columns, so that one sweep computes many of them: compressed Jacobians and Hessians.

In: a sparse pattern.  Out: a colour for every column (or row), and for every entry where in the compressed matrix its
value stands.

    columns(tridiagonal)        3 colours: columns of one colour have no row in common (Curtis, Powell, Reid 1974)
    star(arrow)                 2 colours: an arrow-shaped Hessian from two Hessian-vector products

`star` is a star colouring of the symmetric graph (Coleman, Moré 1984; Gebremedhin, Manne, Pothen 2005): neighbours
differ, and every path over four vertices has three colours, so that every entry or its mirror stands alone.
Greedy, in time linear in the entries: each row keeps the colours it has seen as the bits of one integer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

Pattern = Any
"""A `scipy.sparse.csr_array` of booleans with sorted indices."""


@dataclass(frozen=True)
class Colouring:
    """`colour[j]` of every column (or row), and how many there are."""

    colour: Any
    count: int


def columns(pattern: Pattern) -> Colouring:
    """Colours of columns: two that share a row differ.  The better of two orders, as they stand and fullest first."""
    by_column = sparse.csc_array(pattern)
    least = int(np.max(np.diff(pattern.indptr), initial=0))
    found = _greedy(by_column.indptr, by_column.indices, pattern.shape[0], np.arange(pattern.shape[1]))
    if found.count > least:
        fullest = np.argsort(-np.diff(by_column.indptr), kind="stable")
        other = _greedy(by_column.indptr, by_column.indices, pattern.shape[0], fullest)
        found = other if other.count < found.count else found
    return found


def rows(pattern: Pattern) -> Colouring:
    """Colours of rows: two that share a column differ."""
    turned = sparse.csr_array(pattern.T)
    turned.sort_indices()
    return columns(turned)


def _greedy(indptr: Any, indices: Any, height: int, order: Any) -> Colouring:
    """In the given order, each column gets the first colour that none of its rows has."""
    seen = [0] * height
    starts, places = indptr.tolist(), indices.tolist()
    colour = np.zeros(len(starts) - 1, np.int64)
    count = 0
    for j in order.tolist():
        mine = places[starts[j] : starts[j + 1]]
        if not mine:
            continue  # an empty column may have any colour
        taken = 0
        for r in mine:
            taken |= seen[r]
        bit = ~taken & (taken + 1)
        for r in mine:
            seen[r] |= bit
        colour[j] = c = bit.bit_length() - 1
        count = max(count, c + 1)
    return Colouring(colour, count)


def star(pattern: Pattern) -> Colouring:
    """A star colouring of a symmetric pattern."""
    degree = np.diff(pattern.indptr)
    found = _star(pattern, np.arange(pattern.shape[0]))
    if found.count > 3 and np.ptp(degree) > 0:
        other = _star(pattern, np.argsort(-degree, kind="stable"))
        found = other if other.count < found.count else found
    return found


def _star(pattern: Pattern, order: Any) -> Colouring:
    """Greedy: the colour of v must not complete a path of four vertices in two colours.

    Two colours span stars.  For a coloured vertex w, `near[w]` are the colours of its neighbours and `under[w]` those
    colours c for which w hangs on a centre of colour c that has further leaves.
    """
    starts, places = pattern.indptr.tolist(), pattern.indices.tolist()
    n = pattern.shape[0]
    colour = [-1] * n
    near, under = [0] * n, [0] * n
    times: list[dict[int, int]] = [{} for _ in range(n)]  # how often each colour stands beside a vertex
    one: list[dict[int, int]] = [{} for _ in range(n)]  # and at which neighbour it was seen last
    count = 0
    for v in order.tolist():
        mine = [w for w in places[starts[v] : starts[v + 1]] if w != v and colour[w] >= 0]
        beside = times[v]  # kept up by the neighbours as they were coloured
        taken = near[v]
        for w in mine:
            # v between two of one colour would be a centre: what hangs on its leaves must differ from it
            taken |= near[w] if beside[colour[w]] > 1 else under[w]
        bit = ~taken & (taken + 1)
        c = bit.bit_length() - 1
        colour[v] = c
        count = max(count, c + 1)
        for w in places[starts[v] : starts[v + 1]]:
            if w == v:
                continue
            k = times[w].get(c, 0)
            times[w][c] = k + 1
            near[w] |= bit
            if colour[w] >= 0:
                mark = 1 << colour[w]
                if beside[colour[w]] > 1:
                    under[w] |= bit  # v is the centre
                elif k:
                    under[v] |= mark  # w is the centre
                    if k == 1:
                        under[one[w][c]] |= mark
            one[w][c] = v
    return Colouring(np.asarray(colour, np.int64).reshape(-1), count)


def recover_star(pattern: Pattern, colouring: Colouring) -> tuple[Any, Any]:
    """For each entry (i, j) of a symmetric pattern, in order: (colour, row) of the compressed Hessian where it stands.

    Row i of the product with colour c is the sum of the entries (i, k) with k of colour c: where j is the only such
    k, the entry stands there; else i is the centre of a star, and j's row holds it for i's colour.
    """
    i = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    j, colour = pattern.indices.astype(np.int64), colouring.colour
    key = i * max(colouring.count, 1) + colour[j]
    _, where, times = np.unique(key, return_inverse=True, return_counts=True)
    alone = times[where] == 1
    return np.where(alone, colour[j], colour[i]), np.where(alone, i, j)


def is_star(pattern: Pattern, colouring: Colouring) -> bool:
    """Can every entry be recovered?  (What the colouring promises, in another way.)"""
    c, r = recover_star(pattern, colouring)
    key = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)) * max(colouring.count, 1) + colouring.colour[pattern.indices]
    seen, times = np.unique(key, return_counts=True)
    at = np.searchsorted(seen, r * max(colouring.count, 1) + c)
    return bool(np.all(times[at] == 1)) if len(at) else True


__all__ = ["Colouring", "columns", "is_star", "recover_star", "rows", "star"]
