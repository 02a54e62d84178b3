"""What each element of a value depends on: rows of a sparse boolean matrix, for many loop iterations at once.

In: values and where their elements come from.  Out: values.  A `Value` stands for one value in every *lane*: a loop
whose iterations are independent is run once, its iterations being lanes (a loop in a loop multiplies them).

    x has 3 elements, columns 0 1 2:    identity((3,), 0, 3).deps      rows {0} {1} {2}
    x[::-1] + x:                        union(pick(…), …)              rows {0, 2} {1} {0, 2}

`deps` is None where nothing depends on a differentiated input.  What does not is *known*: its numbers are computed
when an index or a branch asks for them, and `sources` says which arguments they came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

Matrix = Any
"""A `scipy.sparse.csr_array` of booleans: (lanes × elements, columns)."""

DEEP = 200
"""Numbers not yet computed may hang on each other in a chain of this length; then they are computed."""


class Value:
    """A value in every lane of `level` nested loops: `deps` has a row per lane and element, lanes outermost."""

    __slots__ = ("_known", "_make", "chain", "deps", "level", "shape", "sources")

    def __init__(
        self, level: int, shape: tuple[int, ...], deps: Matrix | None, known: Any = None,
        make: Callable[[], Any] | None = None, sources: frozenset[Any] = frozenset(), chain: int = 0,
    ):  # fmt: skip
        self.level, self.shape, self.deps = level, shape, deps
        self._known, self._make, self.sources, self.chain = known, make, sources, chain
        if make is not None and chain > DEEP:
            self.numbers()

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_known(self) -> bool:
        return self._known is not None or self._make is not None

    def numbers(self) -> Any:
        """The numbers in every lane, shape (lanes, *shape)."""
        if self._known is None:
            assert self._make is not None, "asked for what depends on the differentiated inputs"
            self._known, self._make, self.chain = self._make(), None, 0
        return self._known


def known_from(values: tuple[Value, ...]) -> tuple[bool, frozenset[Any], int]:
    """(are all known, where their numbers come from, the length of the chain)"""
    sources = frozenset().union(*(v.sources for v in values)) if values else frozenset()
    return all(v.is_known for v in values), sources, 1 + max((v.chain for v in values), default=0)


def identity(shape: tuple[int, ...], start: int, columns: int) -> Value:
    """A differentiated input: element k depends on column `start + k`."""
    n = int(np.prod(shape, dtype=np.int64))
    data = np.ones(n, bool)
    return Value(0, shape, sparse.csr_array((data, np.arange(start, start + n), np.arange(n + 1)), shape=(n, columns)))


def constant(x: Any, sources: frozenset[Any] = frozenset(), level: int = 0) -> Value:
    """A known value, the same in every lane of level 0."""
    x = np.asarray(x)
    return Value(level, x.shape, None, x[None], sources=sources)


# ---------------------------------------------------------------- matrices


def union(a: Matrix | None, b: Matrix | None) -> Matrix | None:
    """Row by row."""
    if a is None or a is b:
        return b
    return a if b is None else a + b


def rows(a: Matrix | None, where: Any) -> Matrix | None:
    """The rows `where`."""
    return None if a is None else a[where]


def merge(a: Matrix | None, group: Any, count: int) -> Matrix | None:
    """Row g is the union of the rows k with `group[k] == g`."""
    if a is None:
        return None
    return join(a, group, np.arange(a.shape[0]), count)


def join(a: Matrix | None, targets: Any, origins: Any, count: int) -> Matrix | None:
    """Row t is the union of the rows `origins[k]` with `targets[k] == t`."""
    if a is None:
        return None
    ones = np.ones(len(targets), bool)
    out = sparse.csr_array((ones, (targets, origins)), shape=(count, a.shape[0])) @ a
    out.sort_indices()
    return out


def stacked(parts: list[Matrix | None], heights: list[int]) -> Matrix | None:
    """The matrices under each other; None has `heights[k]` empty rows."""
    found = next((p for p in parts if p is not None), None)
    if found is None:
        return None
    full = [sparse.csr_array((h, found.shape[1]), dtype=bool) if p is None else p for p, h in zip(parts, heights, strict=True)]
    return full[0] if len(full) == 1 else sparse.csr_array(sparse.vstack(full, format="csr"))


def alike(a: Matrix | None, b: Matrix | None) -> bool:
    """The same rows?"""
    if a is None or b is None:
        return a is b
    if a is b:
        return True
    if a.nnz != b.nnz:
        return False
    a.sort_indices()
    b.sort_indices()
    return bool(np.array_equal(a.indptr, b.indptr) and np.array_equal(a.indices, b.indices))
