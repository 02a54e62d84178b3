"""What folds to less of arrangements and of indexing: the same elements, otherwise reached.

In: a fold, an op and its folded arguments.  Out: what the op is, or None.

    reshape(reshape(x)) -> reshape(x);   transpose(transpose(x)) -> x;   update(x, v)[i] -> v
"""

from __future__ import annotations

import math
from typing import Any

from adc.ir import Atom, Dim, Lit, Op, Params, Tensor, Var, symbols
from adc.ir.rebuild import literal_like
from adc.ops.access import Arg, At, Slice, is_full, part_of_part
from adc.ops.registry import PRIMITIVES
from adc.optimize.fold import Fold, constant, defined_by, equals, rule

# ---------------------------------------------------------------- the same elements, otherwise arranged


@rule("size")
def _size(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    return Lit(p["dim"], s.outs[0].type) if isinstance(p["dim"], int) else None


@rule("convert")
def _convert(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if isinstance(args[0], Lit) and (not isinstance(args[0].value, float) or math.isfinite(args[0].value)):
        if p["dtype"].kind == "i" and isinstance(args[0].value, float) and abs(args[0].value) > 2**31:
            return None
        return literal_like(args[0].value, Tensor(p["dtype"], (), s.outs[0].type.weak))
    if args[0].type.dtype == p["dtype"]:
        return args[0]
    d = defined_by(args[0], "broadcast")
    if d is not None:
        inner = f.make(s, s.prim, d.args, dict(p)) if isinstance(d.args[0], Var) else literal_like(
            constant(d.args[0]), Tensor(p["dtype"])
        )
        return f.make(s, PRIMITIVES["broadcast"], (inner,), dict(d.params))
    return None


@rule("copy", "stop_gradient")
def _same(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    # values do not change; the last pass makes copies where storage is overwritten
    return args[0]


@rule("same_size")
def _same_size(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if args[0].type.dims == p["dims"]:
        return args[0]
    d = defined_by(args[0], "same_size")
    if d is None:
        return None
    return d.args[0] if d.args[0].type.dims == p["dims"] else f.make(s, s.prim, d.args, dict(p))


@rule("broadcast")
def _broadcast(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if args[0].type.dims == p["dims"]:
        return args[0]
    d = defined_by(args[0], "broadcast")
    if d is None:
        return None
    axes = tuple(p["axes"][a] for a in d.params["axes"])
    return f.make(s, s.prim, d.args, {"dims": p["dims"], "axes": axes})


@rule("reshape")
def _reshape(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if not args[0].type.rank:  # a number, which may be Python's own, has no reshape
        return f.make(s, PRIMITIVES["broadcast"], args, {"dims": p["dims"], "axes": ()})
    if args[0].type.dims == p["dims"]:
        return args[0]
    d = defined_by(args[0], "reshape")
    if d is not None:
        return d.args[0] if d.args[0].type.dims == p["dims"] else f.make(s, s.prim, d.args, dict(p))
    d = defined_by(args[0], "broadcast", "fill")
    if d is not None and not d.args[0].type.rank:
        return _everywhere(f, s, d, p["dims"])
    return None


def _everywhere(f: Fold, s: Op, like: Op, dims: tuple[Dim, ...]) -> Atom:
    """The scalar of a broadcast or fill, in another shape."""
    x = like.args[0]
    if not dims:
        return x
    params: dict[str, Any] = {"dims": dims} if like.prim.name == "fill" else {"dims": dims, "axes": ()}
    return f.make(s, like.prim, (x,), params)


@rule("transpose")
def _transpose(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    axes = p["axes"]
    if axes == tuple(range(len(axes))):
        return args[0]
    d = defined_by(args[0], "transpose")
    if d is not None:
        both = tuple(d.params["axes"][a] for a in axes)
        return d.args[0] if both == tuple(range(len(both))) else f.make(s, s.prim, d.args, {"axes": both})
    return None


@rule("squeeze")
def _squeeze(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    d = defined_by(args[0], "broadcast")
    if d is None or any(a in d.params["axes"] for a in p["axes"]):
        return None
    kept = [k for k in range(len(d.params["dims"])) if k not in p["axes"]]
    dims = tuple(d.params["dims"][k] for k in kept)
    axes = tuple(kept.index(a) for a in d.params["axes"])
    if d.args[0].type.dims == dims:
        return d.args[0]
    return f.make(s, PRIMITIVES["broadcast"], d.args, {"dims": dims, "axes": axes})


# ---------------------------------------------------------------- indexing


def whole(axes: tuple[Any, ...], t: Tensor) -> bool:
    return all(is_full(a, d) for a, d in zip(axes, t.dims, strict=True))


def _where_of(args: tuple[Atom, ...], p: Params, ints: int) -> tuple[Any, ...]:
    return (p["axes"], tuple((a.value if isinstance(a, Lit) else a) for a in args[ints:]))


def _static(f: Fold, s: Op, args: tuple[Atom, ...], p: Params, lead: int) -> Atom | None:
    """Positions given by constants or sizes become part of the axes."""
    known: dict[int, Dim] = {}
    for k, a in enumerate(args[lead:]):
        at = f.polynomial(a)
        if at is not None and not any(x in f.counts for x in symbols(at)):
            known[k] = at
    if not known:
        return None
    rest = [k for k in range(len(args) - lead) if k not in known]

    def position(x: Any) -> Any:
        if not isinstance(x, Arg):
            return x
        return known[x.k] if x.k in known else Arg(rest.index(x.k))

    axes = tuple(
        At(position(a.pos)) if isinstance(a, At) else Slice(position(a.start), a.size, a.step) for a in p["axes"]
    )
    return f.make(s, s.prim, (*args[:lead], *(args[lead + k] for k in rest)), {**p, "axes": axes})


@rule("index")
def _index(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    x = args[0]
    if whole(p["axes"], x.type):
        return x
    d = defined_by(x, "update")
    if d is not None and _where_of(d.args, d.params, 2) == _where_of(args, p, 1):
        return d.args[1]
    d = defined_by(x, "broadcast", "fill")
    if d is not None and not d.args[0].type.rank:
        return _everywhere(f, s, d, tuple(a.size for a in p["axes"] if isinstance(a, Slice)))
    return _static(f, s, args, p, 1)


@rule("update")
def _update(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if whole(p["axes"], args[0].type):
        return args[1]
    return _static(f, s, args, p, 2)


@rule("accumulate")
def _accumulate(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    d = defined_by(args[0], "fill", "broadcast")
    if d is not None and equals(args[0], 0) and args[0].type.is_float:
        if whole(p["axes"], args[0].type):
            return args[1]
        return f.make(s, PRIMITIVES["update"], args, dict(p))
    d = defined_by(args[1], "update")
    if d is not None and equals(d.args[0], 0):
        # a part of which all but some elements are zeros: never a whole row for one element
        part = part_of_part(p["axes"], args[2:], d.params["axes"], d.args[2:])
        if part is not None:
            return f.make(s, s.prim, (args[0], d.args[1], *part[1]), {**p, "axes": part[0]})
    return _static(f, s, args, p, 2)
