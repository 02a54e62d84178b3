"""What each op does to sets of dependences: one rule per kind of loops, a few by name.

In: the machine (`sparsity.Machine`) and an op.  Out: the op's results, bound in the machine.

    y = x[1:]              picks rows               (views, gathers, joins: anything that only moves elements)
    z = x * y              unites rows              (elementwise: each argument whose derivative is not zero)
    s = np.sum(z)          merges rows              (reductions, contractions, scans)
    r[i] = s               stores rows              (updates and scatters; into a hole where lanes store)

An index that depends on differentiated inputs stands for every position of its axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from adc.ir import Op, Pointwise, Reduction, Tensor, Var, View, building, evaluate
from adc.ir.program import Params
from adc.ops.access import At, Slice
from adc.ops.contract import parts
from adc.transform.reach_sets import Value, constant, join, known_from, merge, rows, stacked, union

if TYPE_CHECKING:
    from adc.transform.sparsity import Machine

MOVES = ("fill", "reshape", "concatenate", "stack")
"""Primitives besides views that only move elements."""


def run(m: Machine, s: Op) -> None:
    """Execute an op."""
    name = s.prim.name
    if name in ("check", "print"):
        return
    rule = BY_NAME.get(name)
    if rule is not None:
        results = rule(m, s)
    elif isinstance(s.prim.loops, Pointwise):
        results = (pointwise(m, s),)
    elif isinstance(s.prim.loops, View) or name in MOVES:
        results = (moved(m, s),)
    elif isinstance(s.prim.loops, Reduction):
        results = (reduced(m, s),)
    else:
        results = whole(m, s)
    m.put(s.outs, results)


def statics(m: Machine, s: Op) -> dict[str, Any]:
    """The params as numbers."""
    return {k: m.dims(v) for k, v in s.params.items() if k not in s.prim.defines}


def pick(values: tuple[Value, ...], labels: Any, level: int, sources: frozenset[Any] = frozenset()) -> Value:
    """Elements of values of one level, counted through all of them: `labels` has shape (lanes, *result shape)."""
    known, own, chain = known_from(values)
    heights = [v.deps.shape[0] if v.deps is not None else -1 for v in values]
    if any(h >= 0 for h in heights):
        lanes = labels.shape[0]
        heights = [lanes * v.size if h < 0 else h for v, h in zip(values, heights, strict=True)]
        deps = rows(stacked([v.deps for v in values], heights), labels.ravel())
    else:
        deps = None
    make: Callable[[], Any] | None = None
    if known:
        def make() -> Any:
            flat = [v.numbers().ravel() for v in values]
            return (flat[0] if len(flat) == 1 else np.concatenate(flat))[labels]

    return Value(level, labels.shape[1:], deps, None, make, own | sources, chain)


# ---------------------------------------------------------------- elementwise


def moving(m: Machine, s: Op) -> tuple[bool, ...]:
    """Which arguments the first result has a derivative by; asked of the op's own rule."""
    if s.prim.jvp is None:
        return (False,) * len(s.args)
    found = []
    for k, a in enumerate(s.args):
        if not a.type.is_float:
            found.append(False)
            continue
        with building():
            dots = tuple(Var(Tensor(a.type.dtype, a.type.dims)) if j == k else None for j in range(len(s.args)))
            found.append(any(d is not None for d in s.prim.jvp(s.args, s.outs, dots, s.params)))
    return tuple(found)


def pointwise(m: Machine, s: Op) -> Any:
    values = [m.env[a] if isinstance(a, Var) else m.value(a) for a in s.args]
    if s.prim.name in ("add", "sub"):
        hole = next((v for v in values if hasattr(v, "store")), None)
        if hole is not None and (s.prim.name == "add" or hole is values[0]):
            other = m.value(s.args[1 if hole is values[0] else 0])  # a running sum
            level = max(m.level, other.level)
            own = np.arange(m.lanes(level) * other.size).reshape(m.lanes(level), -1)
            lane = lane_of(m, level, hole.level)
            put(m, hole, lane[:, None] * other.size + own[:1], own, m.lift(other, level), level, False)
            return hole
    level, args = m.lift_all([m.value(a) for a in s.args])
    if s.prim.name == "where" and args[0].is_known and any(v.deps is not None for v in args[1:]):
        flags, own = m.numbers(args[0]), np.arange(m.lanes(level) * args[1].size).reshape(-1, *args[1].shape)
        return pick(args[1:], np.where(flags, own, own + own.size), level, args[0].sources)
    deps = None
    if any(v.deps is not None for v in args):
        key = s
        if key not in m.moving:
            m.moving[key] = moving(m, s)
        for v, moves in zip(args, m.moving[key], strict=True):
            deps = union(deps, v.deps) if moves else deps
    known, sources, chain = known_from(args)
    make: Callable[[], Any] | None = None
    if known:
        params, reference, dtype = statics(m, s), s.prim.reference, s.outs[0].type.dtype
        assert reference is not None

        def make() -> Any:
            with np.errstate(all="ignore"):
                return np.asarray(reference(*(v.numbers() for v in args), **params), dtype)

    return Value(level, args[0].shape, deps, None, make, sources, chain)


# ---------------------------------------------------------------- moves and merges


def moved(m: Machine, s: Op) -> Value:
    """An op that only moves elements shows where to when it is given their numbers."""
    level, args = m.lift_all([m.value(a) for a in s.args])
    lanes, sizes = m.lanes(level), [v.size for v in args]
    first = np.cumsum([0, *sizes])
    assert s.prim.reference is not None
    template = np.asarray(s.prim.reference(*((np.arange(v.size) + f).reshape(v.shape)[()] for v, f in zip(args, first, strict=False)), **statics(m, s)))
    owner = np.searchsorted(first, template, "right") - 1
    bounds, steps = lanes * first[:-1], np.asarray(sizes)
    where = (template - first[owner] + bounds[owner])[None] + np.arange(lanes).reshape(-1, *(1,) * template.ndim) * steps[owner]
    return pick(args, where, level)


def grouped(m: Machine, v: Value, group: Any, shape: tuple[int, ...]) -> Value:
    """In every lane, element g is the union of the elements k with `group[k] == g`; `group` has the value's shape."""
    size, lanes = int(np.prod(shape, dtype=np.int64)), m.lanes(v.level)
    if v.deps is None:
        return Value(v.level, shape, None)
    where = np.asarray(group).ravel() + np.arange(lanes)[:, None] * size
    return Value(v.level, shape, merge(v.deps, where.ravel(), lanes * size))


def spread_out(m: Machine, v: Value, template: Any) -> Value:
    """In every lane, elements of `v` in the places that `template` says."""
    where = np.asarray(template)[None] + np.arange(m.lanes(v.level)).reshape(-1, *(1,) * np.ndim(template)) * v.size
    return Value(v.level, np.shape(template), rows(v.deps, where.ravel()))


def numbers_of(m: Machine, s: Op, v: Value, args: tuple[Value, ...], make: Callable[[], Any]) -> Value:
    """`v` with its numbers, where those of all arguments are known."""
    known, sources, chain = known_from(args)
    return Value(v.level, v.shape, v.deps, None, make if known else None, sources, chain)


def reduced(m: Machine, s: Op) -> Value:
    (x,), params = (m.value(s.args[0]),), statics(m, s)
    axes = tuple(params["axes"])
    kept = tuple(n for k, n in enumerate(x.shape) if k not in axes)
    wide = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    group = np.broadcast_to(np.arange(int(np.prod(kept, dtype=np.int64))).reshape(wide), x.shape)
    out = grouped(m, x, group, kept)
    reference = s.prim.reference
    assert reference is not None
    return numbers_of(m, s, out, (x,), lambda: np.asarray(reference(x.numbers(), axes=tuple(a + 1 for a in axes))))


def contracted(m: Machine, s: Op) -> tuple[Value, ...]:
    args = tuple(m.value(a) for a in s.args)
    *letters, out = parts(s.params["equation"])
    sizes = {c: n for ls, v in zip(letters, args, strict=True) for c, n in zip(ls, v.shape, strict=True)}
    shape = tuple(sizes[c] for c in out)
    level, deps = max(v.level for v in args), None
    for ls, v in zip(letters, args, strict=True):
        if v.deps is None:
            continue
        kept = "".join(c for c in out if c in ls)
        places = np.arange(int(np.prod([sizes[c] for c in kept], dtype=np.int64))).reshape([sizes[c] for c in kept])
        group = np.einsum(f"{kept},{ls}->{ls}", places, np.ones([sizes[c] for c in ls], np.int64))
        mine = grouped(m, v, group, places.shape)
        wide = np.einsum(f"{kept},{out}->{out}", places, np.ones(shape, np.int64))
        deps = union(deps, m.lift(spread_out(m, mine, wide), level).deps)
    _, lifted = m.lift_all(args)
    lane_by_lane = per_lane(m, s, lifted)
    return (numbers_of(m, s, Value(level, shape, deps), lifted, lambda: lane_by_lane()[0]),)


def per_lane(m: Machine, s: Op, args: tuple[Value, ...]) -> Callable[[], list[Any]]:
    """The op's reference on the numbers of every lane; called once for all results."""
    params, lanes, made = statics(m, s), m.lanes(args[0].level if args else 0), list[Any]()
    reference = s.prim.reference
    assert reference is not None

    def make() -> list[Any]:
        if not made:
            columns: list[list[Any]] = [[] for _ in s.outs]
            for t in range(lanes):
                got = reference(*(v.numbers()[t][()] for v in args), **params)
                for column, x in zip(columns, got if isinstance(got, tuple) else (got,), strict=True):
                    column.append(np.asarray(x))
            made.extend(np.stack(c) for c in columns)
        return made

    return make


def whole(m: Machine, s: Op) -> tuple[Value, ...]:
    """An op of which every result depends on every element of its arguments, as far as anyone knows."""
    level, args = m.lift_all([m.value(a) for a in s.args])
    everything = None
    for v in args:
        if s.prim.jvp is not None and v.deps is not None:
            everything = union(everything, grouped(m, v, np.zeros(v.shape, np.int64), ()).deps)
    lane_by_lane = per_lane(m, s, args)
    outs = []
    for k, o in enumerate(s.outs):
        shape = m.shape(o.type)
        out = Value(level, shape, None)
        if o.type.is_float and everything is not None:
            out = spread_out(m, Value(level, (), everything), np.zeros(shape, np.int64))
        outs.append(numbers_of(m, s, out, args, lambda k=k: lane_by_lane()[k]))  # type: ignore[misc]
    return tuple(outs)


def sorted_(m: Machine, s: Op) -> tuple[Value, ...]:
    """Along the last axis each result may be any of the elements."""
    x = m.value(s.args[0])
    line = np.broadcast_to(np.arange(x.size // x.shape[-1] if x.shape[-1] else 0).reshape(*x.shape[:-1], 1), x.shape)
    out = spread_out(m, grouped(m, x, line, x.shape[:-1]), line)
    lane_by_lane = per_lane(m, s, (x,))
    return (numbers_of(m, s, out, (x,), lambda: lane_by_lane()[0]),)


def scanned(m: Machine, s: Op) -> tuple[Value, ...]:
    """A running sum or product depends on everything before."""
    x, params = m.value(s.args[0]), statics(m, s)
    axis, n = params["axis"], x.shape[params["axis"]]
    deps = None
    if x.deps is not None and x.size:
        lines = np.moveaxis(np.arange(x.size).reshape(x.shape), axis, -1).reshape(-1, n)
        later, earlier = np.tril_indices(n)
        if params.get("reverse"):
            later, earlier = earlier, later
        lane = np.arange(m.lanes(x.level))[:, None, None] * x.size
        deps = join(x.deps, (lane + lines[:, later]).ravel(), (lane + lines[:, earlier]).ravel(), x.deps.shape[0])
    lane_by_lane = per_lane(m, s, (x,))
    return (numbers_of(m, s, Value(x.level, x.shape, deps), (x,), lambda: lane_by_lane()[0]),)


def convolved(m: Machine, s: Op) -> tuple[Value, ...]:
    level, (a, v) = m.lift_all([m.value(x) for x in s.args])
    n, k = a.shape[0], v.shape[0]
    i, j = (x.ravel() for x in np.indices((n, k)))
    at, count = (i + j - (k - 1), n - k + 1) if s.params["valid"] else (i + j, n + k - 1)
    good = (at >= 0) & (at < count)
    lane, deps = np.arange(m.lanes(level))[:, None], None
    for x, origin in ((a, i), (v, j)):
        deps = union(deps, join(x.deps, (lane * count + at[good]).ravel(), (lane * x.size + origin[good]).ravel(), m.lanes(level) * count))
    lane_by_lane = per_lane(m, s, (a, v))
    return (numbers_of(m, s, Value(level, (count,), deps), (a, v), lambda: lane_by_lane()[0]),)


# ---------------------------------------------------------------- sizes


def constants(m: Machine, s: Op) -> tuple[Value, ...]:
    assert s.prim.reference is not None
    return (constant(s.prim.reference(**statics(m, s))),)


def bound(m: Machine, s: Op) -> tuple[Value, ...]:
    """A size that the program computes."""
    from adc.transform.sparsity import Varying

    n = m.value(s.args[0])
    if not n.is_known:
        raise m.refused(s, "the size of an array")
    numbers = m.numbers(n)
    if np.any(numbers != numbers.flat[0]):
        raise Varying
    m.sizes[s.params["sym"]] = int(numbers.flat[0])
    return ()


# ---------------------------------------------------------------- reading and writing parts


def weights(shape: tuple[int, ...]) -> list[int]:
    """How far apart neighbours along each axis lie."""
    return [int(np.prod(shape[k + 1 :], dtype=np.int64)) for k in range(len(shape))]


def across(m: Machine, v: Value, axes: list[int]) -> Value:
    """The union along some axes, at position 0 of them; the rest is empty.  Nothing stays known."""
    if not axes:
        return v
    places = np.arange(v.size).reshape(v.shape)
    for a in axes:
        places = np.broadcast_to(np.take(places, [0], a), v.shape)
    return grouped(m, v, places, v.shape)


def positions(m: Machine, x: Value | Any, axes: Any, ints: tuple[Value, ...], level: int) -> list[Any]:
    """For each axis the positions in every lane, (lanes or 1, extent); None where nobody knows."""
    found: list[Any] = []
    for a, n in zip(axes, x.shape, strict=True):
        start = a.pos if isinstance(a, At) else a.start
        if hasattr(start, "k"):
            v = ints[start.k]
            if not v.is_known:
                found.append(None)
                continue
            first = m.numbers(m.lift(v, level)).reshape(-1, 1).astype(np.int64)
        else:
            first = np.full((1, 1), start, np.int64)
        steps = np.arange(_extent(a)) * a.step if isinstance(a, Slice) else np.zeros(1, np.int64)
        # out of bounds only where a lane does not come here, or where the program is about to stop
        found.append(np.clip(first + steps, 0, max(n - 1, 0)))
    return found


def _extent(a: At | Slice) -> int:
    """How many positions, of an axis whose sizes are numbers."""
    return evaluate(a.size, {}) if isinstance(a, Slice) else 1


def outer_sum(parts_: list[Any], strides: list[int]) -> Any:
    """Offsets (lanes or 1, extent, extent, …) from the positions along each axis."""
    total = np.zeros((1,), np.int64)
    for p, w in zip(parts_, strides, strict=True):
        total = total[..., None] + (p * w).reshape(p.shape[0], *(1,) * (total.ndim - 1), p.shape[1])
    return total


def lane_of(m: Machine, level: int, outer: int) -> Any:
    """For each lane of `level` the lane of the loops around it."""
    return np.arange(m.lanes(level)) // (m.lanes(level) // m.lanes(outer))


def indexed(m: Machine, s: Op) -> tuple[Value, ...]:
    x, *ints = (m.value(a) for a in s.args)
    axes = m.dims(s.params["axes"])
    level = max((x.level, *(v.level for v in ints)))
    shape = tuple(_extent(a) for a in axes if isinstance(a, Slice))
    found = positions(m, x, axes, tuple(ints), level)
    source = across(m, x, [k for k, p in enumerate(found) if p is None])
    # of an unknown position all is at 0 now
    found = [np.zeros((1, _extent(a)), np.int64) if p is None else p for a, p in zip(axes, found, strict=True)]
    total, lanes = outer_sum(found, weights(x.shape)), m.lanes(level)
    total = np.broadcast_to(total, (lanes, *total.shape[1:])) + (lane_of(m, level, x.level) * x.size).reshape(-1, *(1,) * (total.ndim - 1))
    return (pick((source,), total.reshape(lanes, *shape), level),)


def leading(m: Machine, x: Any, idx: tuple[Value, ...], level: int) -> Any:
    """Offsets of rows addressed by arrays of indices, (lanes, *their shape); None if an index is unknown."""
    if not all(v.is_known for v in idx):
        return None
    total = np.zeros((1,) * (1 + len(idx[0].shape)), np.int64)
    for v, n, w in zip(idx, x.shape, weights(x.shape), strict=False):
        total = total + np.clip(m.numbers(m.lift(v, level)).astype(np.int64), 0, max(n - 1, 0)) * w
    return np.broadcast_to(total, (m.lanes(level), *idx[0].shape))


def gathered(m: Machine, s: Op) -> tuple[Value, ...]:
    x, *idx = (m.value(a) for a in s.args)
    level = max((x.level, *(v.level for v in idx)))
    rest = x.shape[len(idx) :]
    shape = (*idx[0].shape, *rest)
    if not all(v.is_known for v in idx):
        x = across(m, x, [k for k, v in enumerate(idx) if not v.is_known])
        idx = [v if v.is_known else constant(np.zeros(v.shape, np.int64)) for v in idx]
    start = leading(m, x, tuple(idx), level)
    inner = np.arange(int(np.prod(rest, dtype=np.int64)))
    lanes = m.lanes(level)
    where = start.reshape(lanes, -1, 1) + inner + (lane_of(m, level, x.level) * x.size).reshape(-1, 1, 1)
    return (pick((x,), where.reshape(lanes, *shape), level),)


def written(m: Machine, s: Op) -> tuple[Any, ...]:
    """update, accumulate: `x` with a part replaced or added to."""
    held = m.env[s.args[0]] if isinstance(s.args[0], Var) else m.value(s.args[0])
    v, *ints = (m.value(a) for a in s.args[1:])
    axes = m.dims(s.params["axes"])
    level = max((held.level, v.level, *(i.level for i in ints), m.level if hasattr(held, "store") else 0))
    found = positions(m, held, axes, tuple(ints), level)
    lost = [k for k, p in enumerate(found) if p is None]
    # the part with one axis per axis of the array
    kept = tuple(map(_extent, axes))
    part = Value(v.level, kept, v.deps, None, (lambda: v.numbers().reshape(-1, *kept)) if v.is_known else None, v.sources)
    part = m.lift(across(m, part, [k for k in lost if kept[k] > 1]), level)
    targets = outer_sum([np.arange(n)[None] if p is None else p for p, n in zip(found, held.shape, strict=True)], weights(held.shape))
    origins = outer_sum([np.zeros((1, n), np.int64) if p is None else np.arange(e)[None] for p, n, e in zip(found, held.shape, kept, strict=True)], weights(kept))
    return (stored(m, s, held, part, targets, origins, level, bool(lost)),)


def scattered(m: Machine, s: Op) -> tuple[Any, ...]:
    """scatter, scatter_add: the same with arrays of indices."""
    held = m.env[s.args[0]] if isinstance(s.args[0], Var) else m.value(s.args[0])
    v, *idx = (m.value(a) for a in s.args[1:])
    level = max((held.level, v.level, *(i.level for i in idx), m.level if hasattr(held, "store") else 0))
    rest = int(np.prod(held.shape[len(idx) :], dtype=np.int64))
    start = leading(m, held, tuple(idx), level)
    inner, size = np.arange(rest), int(np.prod(held.shape, dtype=np.int64))
    if start is None:
        v = grouped(m, v, np.broadcast_to(inner.reshape(held.shape[len(idx) :]), v.shape), held.shape[len(idx) :])
        targets, origins = np.arange(size)[None], (np.arange(size) % max(rest, 1))[None]
    else:
        count = start[0].size
        targets = (start.reshape(len(start), -1, 1) + inner).reshape(len(start), -1)
        origins = np.arange(count * rest)[None]
    return (stored(m, s, held, m.lift(v, level), targets, origins, level, start is None),)


def stored(m: Machine, s: Op, held: Any, v: Value, targets: Any, origins: Any, level: int, unsure: bool) -> Any:
    """Element `origins` of `v` goes to place `targets` of `held`, in every lane."""
    lanes, size = m.lanes(level), int(np.prod(held.shape, dtype=np.int64))
    sets = s.prim.name in ("update", "scatter") and not unsure
    lane = np.arange(lanes)[:, None]
    taken = np.broadcast_to(origins.reshape(1, -1), (lanes, origins.size)) + lane * v.size
    spots = np.broadcast_to(targets.reshape(targets.shape[0], -1), (lanes, origins.size))
    if hasattr(held, "store"):
        put(m, held, spots + lane_of(m, level, held.level)[:, None] * size, taken, v, level, sets)
        return held
    takes = taken.ravel()
    into = (spots + lane * size).ravel()
    x = m.lift(held, level)
    if sets:
        labels = np.arange(lanes * size)
        labels[into] = lanes * size + takes  # of several values for one place the last one stays, as in NumPy
        return pick((x, v), labels.reshape(lanes, *held.shape), level)
    deps = union(x.deps, join(v.deps, into, takes, lanes * size))
    out = Value(level, held.shape, deps)
    if unsure:
        return out

    def make() -> Any:
        made = x.numbers().copy()
        np.add.at(made.reshape(-1), into, v.numbers().reshape(-1)[takes])
        return made

    return numbers_of(m, s, out, (x, v), make)


def put(m: Machine, hole: Any, into: Any, takes: Any, v: Value, level: int, sets: bool) -> None:
    """Store elements `takes` of `v` at `into`, both (lanes, number), in the lanes that are here."""
    here = m.active(level)
    if here is not None:
        into, takes = into[here], takes[here]
    hole.store(into.ravel(), rows(v.deps, takes.ravel()), sets and not m.doubts)


BY_NAME: dict[str, Callable[[Machine, Op], Any]] = {
    "size": constants, "iota": constants, "bind_size": bound, "index": indexed, "gather": gathered, "update": written, "accumulate": written,
    "scatter": scattered, "scatter_add": scattered, "contract": contracted, "cumsum": scanned, "cumprod": scanned, "sort": sorted_,
    "convolve": convolved,
}  # fmt: skip

__all__ = ["Params", "pick", "run"]
