"""Where the entries of a sparse derivative come from: found once per sizes and indices, used at every call.

In: a staged function and the values of its arguments.  Out: a `Plan`: programs to run, with what they need, and for each
matrix of the result how its entries are put together from what they give.

    detect the pattern (or find residual loops)  →  colour  →  places of the entries in the compressed sweeps

A plan holds for arguments of the same shapes whose deciding arrays (indices, masks) are the same as when it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from adc.api.sparse_programs import Blocks, Forward, Gradient, Reverse, Staged, palette
from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import Function
from adc.transform import colouring
from adc.transform.local_blocks import Part, Split
from adc.transform.sparsity import Machine, detect
from adc.transform.sparsity_ops import outer_sum, weights

BACKWARD = 2
"""How many forward sweeps one reverse sweep may cost."""


@dataclass
class Job:
    """One program to run; `gives` arrays."""

    program: Any
    extras: dict[str, Any]
    gives: int


@dataclass
class Matrix:
    """One matrix of the result: its pattern, and its entries from the arrays that the jobs give.

    `pieces`: (array, first, last) where the entries stand there in order; else `order` picks from all arrays joined,
    and `starts` says where the sums of several begin.
    """

    shape: tuple[int, int]
    indptr: Any
    indices: Any
    piece: tuple[int, int, int] | None = None
    order: Any = None
    starts: Any = None
    block: tuple[int, int] | None = None
    sources: tuple[int, ...] = ()

    def entries(self, arrays: list[Any]) -> Any:
        if self.piece is not None:
            k, first, last = self.piece
            return arrays[k] if last - first == len(arrays[k]) else arrays[k][first:last]
        mine = [arrays[k] for k in self.sources]
        joined = mine[0] if len(mine) == 1 else np.concatenate(mine)
        taken = joined.take(self.order)
        return taken if self.starts is None else np.add.reduceat(taken, self.starts)


@dataclass
class Plan:
    jobs: list[Job]
    matrices: list[Matrix]
    decided: list[tuple[int, Any]]
    """(number of a leaf, its numbers when the plan was made)"""
    mode: str
    colours: int
    dtypes: list[Any]
    checked: bool = False
    """A pattern of the caller's was compared with a derivative."""

    def holds(self, values: Sequence[Any]) -> bool:
        return all(same(values[k], x) for k, x in self.decided)


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b, equal_nan=np.asarray(b).dtype.kind == "f"))


def kept(values: Sequence[Any], decided: set[int]) -> list[tuple[int, Any]]:
    return [(k, np.array(values[k])) for k in sorted(decided)]


def starts_of(sizes: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(sizes).tolist()]


def index_dtype(*sizes: int) -> Any:
    return np.int32 if max(sizes) < 2**31 else np.int64


# ---------------------------------------------------------------- entries to matrices


@dataclass
class Entries:
    """Entries of one matrix: where they stand, and the number of each in an array."""

    rows: Any
    columns: Any
    array: int
    places: Any


def matrix_of(shape: tuple[int, int], found: list[Entries], lengths: list[int], block: tuple[int, int] | None = None) -> Matrix:
    """Entries in the order of rows and columns; those for one place are summed."""
    dtype = index_dtype(*shape, sum(len(e.rows) for e in found) + 1)
    sources = tuple(sorted({e.array for e in found}))
    base = dict(zip(sources, starts_of([lengths[k] for k in sources]), strict=False))
    empty = np.zeros(0, np.int64)
    rows = np.concatenate([e.rows for e in found]) if found else empty
    columns = np.concatenate([e.columns for e in found]) if found else empty
    places = np.concatenate([e.places + base[e.array] for e in found]) if found else empty
    key = rows.astype(np.int64) * max(shape[1], 1) + columns
    if not bool(np.all(key[1:] > key[:-1])):
        order = np.argsort(key, kind="stable")
        key, rows, columns, places = key[order], rows[order], columns[order], places[order]
    new = np.concatenate([[True], key[1:] != key[:-1]]) if len(key) else np.zeros(0, bool)
    first = np.flatnonzero(new)
    indptr = np.searchsorted(rows[first], np.arange(shape[0] + 1)).astype(dtype)
    made = Matrix(shape, indptr, columns[first].astype(dtype), sources=sources)
    if len(first) < len(key):
        made.order, made.starts = places, first
    elif len(sources) == 1 and bool(np.all(places[1:] == places[:-1] + 1)):
        begin = int(places[0]) if len(places) else 0
        made.piece = (sources[0], begin, begin + len(places))
        made.block = block
    elif not sources:
        made.piece = (-1, 0, 0)
    else:
        made.order = places
    for x in (made.indptr, made.indices):
        x.flags.writeable = False  # shared by every result
    return made


# ---------------------------------------------------------------- coloured sweeps


@dataclass
class Sweep:
    """A compressed sweep decided: its job, and the entries of every (result, argument)."""

    job: Job
    entries: dict[tuple[int, int], Entries]
    lengths: list[int]
    mode: str
    colours: int


def sweep_of(fn: Function, patterns: Sequence[Any], sizes: list[int], shapes: list[tuple[int, ...]], outs: list[tuple[int, ...]], mode: str, make: Any) -> Sweep:
    """Colours for the results of `fn` (shapes `outs`) by arguments (shapes `shapes`); `make(class)` is the program."""
    heights = [int(np.prod(s, dtype=np.int64)) for s in outs]
    first, top = starts_of(sizes), starts_of(heights)
    whole = sparse.csr_array(sparse.vstack(list(patterns), format="csr")) if len(patterns) > 1 else patterns[0]
    whole.sort_indices()
    by_column = colouring.columns(whole) if mode != "reverse" else None
    if mode == "auto" and by_column is not None:
        fullest = int(np.max(np.bincount(whole.indices, minlength=1), initial=0))
        by_row = colouring.rows(whole) if by_column.count > BACKWARD * fullest else None
        mode = "reverse" if by_row is not None and by_column.count > BACKWARD * by_row.count else "forward"
    else:
        by_row = None
    entries: dict[tuple[int, int], Entries] = {}
    lengths: list[int] = []
    places: list[Any] = []
    row = np.repeat(np.arange(whole.shape[0]), np.diff(whole.indptr))
    column = whole.indices.astype(np.int64)
    if mode == "forward":
        assert by_column is not None
        chosen, shape = by_column, shapes
        for r, m in enumerate(heights):
            mine = (row >= top[r]) & (row < top[r + 1])
            at, spots = 0, []
            for k in range(len(sizes)):
                here = np.flatnonzero(mine & (column >= first[k]) & (column < first[k + 1]))
                i, j = row[here] - top[r], column[here]
                entries[r, k] = Entries(i, j - first[k], r, np.arange(at, at + len(here)))
                spots.append(chosen.colour[j] * m + i)
                at += len(here)
            places.append(np.concatenate(spots))
            lengths.append(at)
        cut = first
    else:
        chosen, shape = by_row or colouring.rows(whole), outs
        for k, n in enumerate(sizes):
            mine = (column >= first[k]) & (column < first[k + 1])
            at, spots = 0, []
            for r in range(len(heights)):
                here = np.flatnonzero(mine & (row >= top[r]) & (row < top[r + 1]))
                i, j = row[here], column[here] - first[k]
                entries[r, k] = Entries(i - top[r], j, k, np.arange(at, at + len(here)))
                spots.append(chosen.colour[i] * n + j)
                at += len(here)
            places.append(np.concatenate(spots))
            lengths.append(at)
        cut = top
    colours = tuple(chosen.colour[cut[k] : cut[k + 1]].reshape(s)[()] for k, s in enumerate(shape))
    extras = {"palette": palette(chosen.count, fn), "colour": colours, "places": tuple(places)}
    job = Job(make(Forward if mode == "forward" else Reverse), extras, len(lengths))
    return Sweep(job, entries, lengths, mode, chosen.count)


def empty_job(s: Sweep) -> bool:
    return not sum(s.lengths)


# ---------------------------------------------------------------- local blocks


@dataclass
class Local:
    """A part's blocks: rows of the base, columns of the parameters, per store and argument."""

    part: Part
    size: int
    rows: list[Any]
    columns: dict[int, Any]


def locals_of(parts: Split, values: Sequence[Any], wrt: tuple[int, ...], decided: set[int]) -> list[Local] | None:
    """What each iteration reads and where its results go; None if that is not what the program seemed to say."""
    machine = Machine()
    got = iter(machine.run(parts.places, values, wrt))
    made: list[Local] = []
    for p in parts.parts:
        count = int(machine.dims(p.loop.count))
        columns: dict[int, list[Any]] = {k: [] for k in p.args}
        own = shared = 0
        for x in p.leaves:
            v = next(got)
            if v.deps is None or not bool(np.all(np.diff(v.deps.indptr) == 1)):
                return None
            here = v.deps.indices.astype(np.int64).reshape(1 if x.shared else count, -1)
            own, shared = own + (not x.shared) * here.shape[1], shared + x.shared * here.shape[1]
            columns[x.arg].append(np.broadcast_to(here, (count, here.shape[1])))
        if shared > max(16, 4 * own):
            return None  # every iteration reads a large array whole: most of its block may be empty
        shape = machine.shape(p.var.type)
        rows = []
        for t in p.stores:
            ints = [next(got) for _ in t.ints]
            if not all(v.is_known for v in ints):
                return None
            rows.append(_rows(machine, t, [machine.numbers(v)[0] for v in ints], count, shape))
        last = _survivors(rows, p.loop.reverse, int(np.prod(shape, dtype=np.int64))) if p.stores[0].mode == "set" else rows
        made.append(Local(p, int(np.prod(shape, dtype=np.int64)), last, {k: np.concatenate(c, axis=1) for k, c in columns.items()}))
    decided |= {k for k in machine.decided if isinstance(k, int)}
    return made


def _rows(machine: Machine, t: Any, ints: list[Any], count: int, shape: tuple[int, ...]) -> Any:
    """The elements of the base that each iteration's values go to, (iterations, values)."""
    if t.mode == "stack":
        return np.arange(int(np.prod(shape, dtype=np.int64))).reshape(count, -1)
    found = []
    for a in machine.dims(t.axes):
        pos = a.pos if hasattr(a, "pos") else a.start
        start = ints[pos.k].astype(np.int64).reshape(-1, 1) if hasattr(pos, "k") else np.full((1, 1), int(pos))
        found.append(start if hasattr(a, "pos") else start + np.arange(a.size) * a.step)
    total = outer_sum(found, weights(shape))
    return np.broadcast_to(total.reshape(total.shape[0], -1), (count, int(total[0].size)))


def _survivors(rows: list[Any], backwards: bool, size: int) -> list[Any]:
    """-1 where what was stored is overwritten later."""
    joined = np.concatenate(rows, axis=1)
    order = joined[::-1] if backwards else joined
    owner = np.full(size, -1)
    owner[order.ravel()] = np.arange(order.size)  # the last one stays
    held = np.where(owner[order.ravel()] == np.arange(order.size), order.ravel(), -1).reshape(order.shape)
    held = held[::-1] if backwards else held
    cuts = np.cumsum([r.shape[1] for r in rows])[:-1]
    return [np.ascontiguousarray(x) for x in np.split(held, cuts, axis=1)]


# ---------------------------------------------------------------- plans


def jacobian_plan(seen: Staged, values: list[Any], mode: str, given: list[Any] | None, make: Any) -> Plan:
    """The plan of `adc.jacobian` for these values of the staged function's parameters; `make(class, …)` gives programs."""
    fn, wrt = seen.fn, seen.wrt
    shapes = [np.shape(values[k]) for k in wrt]
    sizes = [int(np.prod(s, dtype=np.int64)) for s in shapes]
    decided: set[int] = set()
    if given is not None:
        outs = result_shapes(fn, values)
        return _swept(fn, given_patterns(given, outs, sizes), sizes, shapes, outs, mode, make, kept(values, set()))
    parts = seen.split() if mode in ("auto", "blocks") else None
    found = locals_of(parts, values, wrt, decided) if parts is not None else None
    if parts is not None and found is not None:
        plan = _blocks(fn, parts, found, values, wrt, sizes, shapes, decided, make)
        if plan is not None:
            return plan
    if mode == "blocks":
        raise fail(UnsupportedError, "type", fn.pos, what="no result of this function is made by a loop whose iterations read and write elements of their own", instead='leave mode="auto"')
    detected = detect(fn, values, wrt)
    outs = result_shapes(fn, values)
    return _swept(fn, list(detected.patterns), sizes, shapes, outs, mode, make, kept(values, set(detected.decided)))


def result_shapes(fn: Function, values: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shapes of the results, which the arguments' shapes must tell."""
    machine = Machine()
    try:
        return [shape_in(machine, fn, values, r) for r in fn.results]
    except KeyError:
        raise fail(UnsupportedError, "type", fn.pos, what="the size of the result depends on data", instead="give the result a size that depends on the shapes only") from None


def shape_in(machine: Machine, fn: Function, values: Sequence[Any], v: Any) -> tuple[int, ...]:
    """The shape of a value of `fn`, in the sizes of its parameters."""
    for p, x in zip(fn.params, values, strict=True):
        machine.learn(p.type, np.shape(x))
    return machine.shape(v.type)


def given_patterns(given: list[Any], outs: list[tuple[int, ...]], sizes: list[int]) -> list[Any]:
    """The caller's patterns (None: full), one per result, over all arguments."""
    patterns = []
    for r, s in enumerate(outs):
        row = []
        for k, n in enumerate(sizes):
            p, want = given[r * len(sizes) + k], (int(np.prod(s, dtype=np.int64)), n)
            if p is None:
                p = np.ones(want, bool)
            elif tuple(p.shape) != want:
                raise fail(ShapeError, "shape", None, what=f"the given pattern has shape {tuple(p.shape)}, the Jacobian {want}")
            row.append(sparse.csr_array(p).astype(bool))
        made = sparse.csr_array(sparse.hstack(row, format="csr")) if len(row) > 1 else row[0].copy()
        made.sum_duplicates()
        made.sort_indices()
        patterns.append(made)
    return patterns


def _swept(fn: Function, patterns: list[Any], sizes: list[int], shapes: Any, outs: Any, mode: str, make: Any, decided: Any) -> Plan:
    s = sweep_of(fn, patterns, sizes, shapes, outs, mode, lambda cls: make(cls, rest=False))
    heights = [int(np.prod(o, dtype=np.int64)) for o in outs]
    matrices = [matrix_of((m, n), [s.entries[r, k]] if len(s.entries[r, k].rows) else [], s.lengths) for r, m in enumerate(heights) for k, n in enumerate(sizes)]
    dtypes = [r.type.dtype for r in fn.results for _ in sizes]
    return Plan([] if empty_job(s) else [s.job], matrices, decided, s.mode, s.colours, dtypes)


def _blocks(fn: Function, parts: Split, found: list[Local], values: list[Any], wrt: tuple[int, ...], sizes: list[int], shapes: Any, decided: set[int], make: Any) -> Plan | None:
    """A plan of local blocks, and of colours for what is left."""
    first = starts_of(sizes)
    jobs = [Job(make(Blocks), {}, sum(len(p.stores) * len(p.args) for p in parts.parts))]
    lengths: list[int] = []
    base_sizes = [x.size for x in found]
    # entries by base: (rows of the base, columns of an argument, array, places), per argument
    per_base: list[dict[int, list[Entries]]] = []
    blocks: list[dict[int, tuple[int, int]]] = []
    for x in found:
        mine: dict[int, list[Entries]] = {k: [] for k in range(len(sizes))}
        whole: dict[int, tuple[int, int]] = {}
        for rows in x.rows:
            for arg in x.part.args:
                k, c = wrt.index(arg), x.columns[arg]
                count, m, n = rows.shape[0], rows.shape[1], c.shape[1]
                i = np.broadcast_to(rows[:, :, None], (count, m, n)).ravel()
                j = np.broadcast_to(c[:, None, :], (count, m, n)).ravel() - first[k]
                places = np.arange(len(i))
                lengths.append(len(i))
                if not bool(np.all(i >= 0)):
                    keep = np.flatnonzero(i >= 0)
                    i, j, places = i[keep], j[keep], keep
                mine[k].append(Entries(i, j, len(lengths) - 1, places))
                whole[k] = (m, n)
        per_base.append(mine)
        blocks.append(whole if len(x.rows) == 1 else {})
    mode, colours = "blocks", 0
    if parts.others:
        rest = parts.rest
        detected = detect(rest, values, wrt)
        decided |= set(detected.decided)
        outs = result_shapes(rest, values)
        s = sweep_of(rest, detected.patterns, sizes, shapes, outs, "auto", lambda cls: make(cls, rest=True))
        shift = len(lengths)
        for r, o in enumerate(outs):
            base_sizes.append(int(np.prod(o, dtype=np.int64)))
            per_base.append({k: [Entries(e.rows, e.columns, e.array + shift, e.places)] if len((e := s.entries[r, k]).rows) else [] for k in range(len(sizes))})
            blocks.append({})
        if not empty_job(s):
            jobs.append(s.job)
            lengths += s.lengths
            mode, colours = f"blocks, {s.mode}", s.colours
    machine = Machine()
    bases = [p.var for p in parts.parts] + list(parts.others)
    shaped = [np.zeros(shape_in(machine, fn, values, v)) for v in bases]
    n = len(fn.params)
    results = machine.run(parts.tail, [*values, *shaped], tuple(range(n, n + len(bases))))
    decided |= {k for k in machine.decided if isinstance(k, int) and k < n}
    matrices = []
    cut = starts_of(base_sizes)
    for v in results:
        if v.deps is not None and bool(np.any(np.diff(v.deps.indptr) > 1)):
            return None  # an index that depends on the arguments chooses what goes where
        for k, width in enumerate(sizes):
            pieces: list[Entries] = []
            block = None
            for b, by_arg in enumerate(per_base):
                moved = [_moved(e, v.deps, cut[b], base_sizes[b]) for e in by_arg[k]]
                pieces += [e for e in moved if len(e.rows)]
                block = blocks[b].get(k, block) if moved else block
            matrices.append(matrix_of((v.size, width), pieces, lengths, block))
    dtypes = [r.type.dtype for r in fn.results for _ in sizes]
    return Plan(jobs, matrices, kept(values, decided), mode, colours, dtypes)


def _moved(e: Entries, deps: Any, start: int, size: int) -> Entries:
    """Entries of a base as entries of a result: `deps` has the element of a base that each row of the result is."""
    if deps is None:
        return Entries(e.rows[:0], e.columns[:0], e.array, e.places[:0])
    row = np.repeat(np.arange(deps.shape[0]), np.diff(deps.indptr))
    here = (deps.indices >= start) & (deps.indices < start + size)
    row, element = row[here], deps.indices[here].astype(np.int64) - start
    if len(row) == size and bool(np.all(element == np.arange(size))) and bool(np.all(row == row[0] + np.arange(size))):
        return Entries(e.rows + int(row[0]), e.columns, e.array, e.places)
    # entries of a row of the base stand together after sorting; every row of the result takes a run of them
    order = np.argsort(e.rows, kind="stable")
    begin = np.searchsorted(e.rows[order], np.arange(size + 1))
    count = np.diff(begin)[element]
    total = starts_of(count.tolist())[-1] if len(count) else 0
    offset = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    take = order[np.repeat(begin[:-1][element], count) + offset]
    return Entries(np.repeat(row, count), e.columns[take], e.array, e.places[take])


def hessian_plan(seen: Gradient, values: list[Any], given: list[Any] | None, program: Any) -> Plan:
    """The plan of `adc.sparse_hessian`: `program` gives compressed Hessian-vector products."""
    wrt = seen.wrt
    shapes = [np.shape(values[k]) for k in wrt]
    sizes = [int(np.prod(s, dtype=np.int64)) for s in shapes]
    n, first = sum(sizes), starts_of(sizes)
    decided: set[int] = set()
    if given is None:
        found = detect(seen.fn, values, wrt)
        decided = set(found.decided)
        pattern = sparse.csr_array(sparse.vstack(list(found.patterns), format="csr"))
    else:
        pattern = np.ones((n, n), bool) if given[0] is None else given[0]
        if tuple(pattern.shape) != (n, n):
            raise fail(ShapeError, "shape", None, what=f"the given pattern has shape {tuple(pattern.shape)}, the Hessian {(n, n)}")
    pattern = sparse.csr_array(pattern, dtype=bool)
    pattern = sparse.csr_array(pattern + pattern.T)
    pattern.sum_duplicates()
    pattern.sort_indices()
    colours = colouring.star(pattern)
    c, r = colouring.recover_star(pattern, colours)
    row = np.repeat(np.arange(n), np.diff(pattern.indptr))
    column = pattern.indices.astype(np.int64)
    owner = np.searchsorted(first, r, "right") - 1
    # products are stacked per argument, (colours, size), and those joined
    before, width = np.asarray(first)[owner] * colours.count, np.asarray([*sizes, 0])[owner]
    where = before + c * width + (r - np.asarray(first)[owner])
    spots, entries, at = [], [], 0
    for a in range(len(sizes)):
        for b in range(len(sizes)):
            here = np.flatnonzero((row >= first[a]) & (row < first[a + 1]) & (column >= first[b]) & (column < first[b + 1]))
            entries.append(Entries(row[here] - first[a], column[here] - first[b], 0, np.arange(at, at + len(here))))
            spots.append(where[here])
            at += len(here)
    matrices = [matrix_of((sizes[a], sizes[b]), [e] if len(e.rows) else [], [at]) for (a, b), e in zip(np.ndindex(len(sizes), len(sizes)), entries, strict=True)]
    cuts = tuple(colours.colour[first[k] : first[k + 1]].reshape(s)[()] for k, s in enumerate(shapes))
    extras = {"palette": palette(colours.count, seen.fn), "colour": cuts, "places": (np.concatenate(spots),)}
    jobs = [Job(program, extras, 1)] if at else []
    dtypes = [np.asarray(values[k]).dtype for k in wrt for _ in wrt]
    return Plan(jobs, matrices, kept(values, decided), "products", colours.count, dtypes)


__all__ = ["Job", "Matrix", "Plan", "hessian_plan", "jacobian_plan"]
