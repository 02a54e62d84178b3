"""Ops as loops: elementwise ops and views become expressions, the others nests of loops.

In: an `Op` and the state.  Out: its results bound, and items emitted where memory must be written.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import UnsupportedError, fail
from adc.ir import (
    Atom,
    Contraction,
    Dim,
    Op,
    Pointwise,
    Reduction,
    Routine,
    Size,
    Special,
    Sym,
    Update,
    Var,
    View,
    product,
    size,
    symbols,
)
from adc.lower.checks import everywhere
from adc.lower.kernel import Check
from adc.lower.nodes import Buf, CallFn, Const, Exit, Expr, Index, Item, Load, Loop, Store
from adc.lower.opposites import EXP
from adc.lower.places import source
from adc.lower.state import CHEAP, LARGE, LARGE_SCALAR, Lowering, Val, internal

WRITTEN = 4
"""Terms of a sum of products, up to which it is written out: matrices of three or four rows."""
INTEGER: dict[str, Callable[..., Dim]] = {"add": lambda a, b: size(a) + b, "sub": lambda a, b: size(a) - b, "mul": lambda a, b: size(a) * b, "neg": lambda a: size(a) * -1}


def lower_op(lo: Lowering, s: Op) -> None:
    rule = s.prim.loops
    wide = any(o.type.dims for o in s.outs) or any(a.type.dims for a in s.args)
    if wide and not isinstance(rule, Special):
        for a in s.args:
            lo.named(a)
    match rule:
        case Pointwise() if s.prim.name == "copy" and s.outs[0].type.dims and lo.owned(s.args[0]):
            lo.bind(s.outs[0], lo.val(s.args[0]))  # the original is not used again
        case Pointwise():
            coords = tuple(Sym("c") for _ in s.outs[0].type.dims)
            at = tuple(size(c) for c in coords)
            args = tuple(lo.elem(a, at if a.type.dims else ()) for a in s.args)
            define(lo, s.outs[0], Val(coords, apply(lo, s, rule, args)))
        case View():
            coords = tuple(Sym("c") for _ in s.outs[0].type.dims)
            where = source(lo, s, rule, tuple(size(c) for c in coords))
            define(lo, s.outs[0], Val(coords, lo.elem(s.args[0], where)))
        case Reduction():
            reduction(lo, s, rule.kind)
        case Contraction():
            equation = rule.equation if isinstance(rule.equation, str) else rule.equation(tuple(a.type for a in s.args), s.params)
            contraction(lo, s, equation)
        case Update():
            update(lo, s, rule)
        case Routine():
            routine(lo, s, rule)
        case Special():
            SPECIAL[rule.name](lo, s)


# ---------------------------------------------------------------- values that are expressions


def define(lo: Lowering, v: Var, val: Val) -> None:
    """Bind; store now what is not worth or not possible to evaluate later."""
    lo.bind(v, val)
    if not keeps(lo, v, val):
        lo.force(v)


def keeps(lo: Lowering, v: Var, val: Val) -> bool:
    if lo.simple(val.expr) or val.buf is not None:
        return True
    cost = lo.pool.cost(val.expr)
    uses = lo.uses.get(v, [])
    if not v.type.dims:
        return len(uses) <= 1 and cost <= LARGE_SCALAR and all(_here(lo, u) and _is_scalar(u[1]) for u in uses)
    if cost <= CHEAP:
        return True
    return len(uses) <= 1 and cost <= LARGE and all(_here(lo, u) and once(u[1], v) for u in uses)


def _here(lo: Lowering, use: tuple[Any, Any]) -> bool:
    return use[0] is lo.current


def _is_scalar(s: Any) -> bool:
    """Does the consumer read a scalar just once?"""
    if not isinstance(s, Op):
        return True
    if isinstance(s.prim.loops, Update):
        return not s.args[1].type.dims and not s.prim.loops.loads
    if s.prim.loops == Special("stack"):
        return True
    return not any(o.type.dims for o in s.outs) and (isinstance(s.prim.loops, View) or not any(a.type.dims for a in s.args))


def once(s: Any, v: Var) -> bool:
    """Does the consumer evaluate every element at most once?"""
    if not isinstance(s, Op):
        return True
    rule = s.prim.loops
    if isinstance(rule, View):
        if rule.loads:
            return s.args[0] is not v
        return s.prim.name != "broadcast" or product(s.params["dims"]) == product(v.type.dims)
    if isinstance(rule, Contraction):
        equation = rule.equation if isinstance(rule.equation, str) else rule.equation(tuple(a.type for a in s.args), s.params)
        operands, out = equation.split("->")
        every = set(operands.replace(",", "")) | set(out)
        return all(set(letters) == every for a, letters in zip(s.args, operands.split(","), strict=True) if a is v)
    return not isinstance(rule, Update) or s.args[0] is not v


def apply(lo: Lowering, s: Op, rule: Pointwise, args: tuple[Expr, ...]) -> Expr:
    """The scalar expression of an elementwise op."""
    pool, t, name = lo.pool, s.outs[0].type, s.prim.name
    if t.dtype == np.dtype("i8") and name in INTEGER and all(isinstance(a, Index) for a in args):
        dim: Dim = INTEGER[name](*(a.dim for a in args if isinstance(a, Index)))
        if not isinstance(dim, Size) or len(dim.terms) <= 6:
            return pool.index(dim)
    if name == "convert" and isinstance(args[0], Const | Index):
        if isinstance(args[0], Const) or isinstance(args[0].dim, int):
            number = args[0].value if isinstance(args[0], Const) else args[0].dim
            if t.dtype.kind != "i" or not isinstance(number, float):
                return pool.const(t.dtype.type(number).item(), t.dtype)
    if name == "convert" and args[0].dtype == t.dtype:
        return args[0]
    holes = tuple(f"{{{k}}}" for k in range(len(args)))
    text = rule.scalar if isinstance(rule.scalar, str) else rule.scalar(holes, tuple(a.type for a in s.args), s.params)
    for routine_name in re.findall(r"\broutines\.(\w+)", text):
        lo.program.routines[routine_name] = named_routine(routine_name, s)
    text = re.sub(r"\broutines\.(\w+)", r"\1", text)
    for hole in re.findall(r"np\.exp\(\{(\d+)\}\)", text) if text != EXP else ():
        # a part of its own: `opposites` looks for it
        args = tuple(pool.apply(EXP, (a,), a.dtype, 8) if k == int(hole) else a for k, a in enumerate(args))
        text = text.replace(f"np.exp({{{hole}}})", f"{{{hole}}}")
    return pool.apply(text, args, t.dtype, 1 if s.prim.cheap or name == "copy" else 8)


def named_routine(name: str, s: Op) -> Any:
    import importlib

    try:
        fn = getattr(importlib.import_module("adc.ops.routines"), name, None)
    except ModuleNotFoundError:
        fn = None
    if fn is None:
        raise fail(UnsupportedError, "type", s.pos, what=f"{s.prim.name} has no loops for the cpu target", instead="use target='numpy'")
    return fn


# ---------------------------------------------------------------- sums


def unit_stride(lo: Lowering, e: Expr, var: Sym) -> int:
    """How many loads of `e` step over memory with `var`."""
    bad = 0
    for n in lo.pool.nodes(e):
        if isinstance(n, Load) and n.coords:
            bad += any(var in symbols(size(c)) for c in n.coords[:-1])
    return bad


def accumulate_nest(
    lo: Lowering,
    out: Var,
    letters: str,
    kept: str,
    extents: dict[str, Dim],
    element: Callable[[dict[str, Dim]], Expr],
    mode: str,
    start: Any,
    natural: bool,
) -> None:
    """`out[kept] = combine over the other letters of element`, in an order that walks memory in order."""
    pool = lo.pool
    syms = {c: Sym("ijklmn"[min(k, 5)]) for k, c in enumerate(dict.fromkeys(kept + letters if not natural else letters))}
    at: dict[str, Dim] = {c: 0 if extents[c] == 1 else size(s) for c, s in syms.items()}
    value = element(at)
    summed = [c for c in letters if c not in kept]
    moving = [c for c in letters if extents[c] != 1]
    wide = [c for c in kept if extents[c] != 1]
    t = out.type

    def strides(c: str) -> tuple[int, int, int]:
        store = 2 if c in wide[:-1] else 0
        return (unit_stride(lo, value, syms[c]) + store, c in kept, -letters.index(c))

    order = list(letters) if natural else [*kept, *summed]
    if moving:
        inner = min(moving, key=strides)
        last = [c for c in order if extents[c] != 1][-1]
        if not natural or strides(inner)[0] < strides(last)[0]:
            order = [c for c in order if c != inner] + [inner]
        outer_kept, outer_summed = ([c for c in order[:-1] if c in group and c in moving] for group in (kept, summed))
        if not natural and outer_kept and outer_summed and order[-1] in kept:
            # A.T @ B row by row: the summed axis outside reads both operands in order, and may meet what made them
            if unit_stride(lo, value, syms[outer_summed[-1]]) > unit_stride(lo, value, syms[outer_kept[-1]]):
                order = [*outer_summed, *outer_kept, order[-1]]
    order = [c for c in order if extents[c] != 1]
    lead = order[: max((k + 1 for k, c in enumerate(order) if c in kept), default=0)]
    rest = order[len(lead) :]
    first = pool.const(start, t.dtype)
    place = tuple(at[c] for c in kept)

    matrices = not natural and len([c for c in order if c in kept]) == 2 and len(order) == 3
    if matrices:
        lead, rest = order, []

    def loops(over: list[str], body: list[Item]) -> list[Item]:
        for c in reversed(over):
            body = [Loop(syms[c], extents[c], body, note=lo.note, product=matrices and c != over[0])]
        return body

    if not t.dims:
        acc = lo.local(out.hint or mode, t.dtype, first)
        for item in loops(order, [Store(acc, (), (), value, mode)]):
            lo.emit(item)
        lo.bind(out, lo.load_local(acc))
        return
    buf = lo.fresh(t, out.hint or mode)
    partial = any(c in summed for c in lead)
    if partial:
        lo.nest(t.dims, lambda c: [Store(buf, t.dims, c, first)])
    if rest:
        acc = pool.local(out.hint or mode, t.dtype)
        body: list[Item] = [
            Store(acc, (), (), first),
            *loops(rest, [Store(acc, (), (), value, mode)]),
            Store(buf, t.dims, place, pool.load(acc, (), ()), mode if partial else "set"),
        ]
    else:
        body = [Store(buf, t.dims, place, value, mode if partial else "set")]
    for item in loops(lead, body):
        lo.emit(item)
    lo.bind(out, lo.stored(buf))


def neutral(kind: str, dtype: np.dtype[Any]) -> Any:
    if kind in ("max", "min"):
        if dtype.kind == "f":
            return -np.inf if kind == "max" else np.inf
        info = np.iinfo(dtype)
        return int(info.min if kind == "max" else info.max)
    return {"sum": 0, "prod": 1, "any": False, "all": True}[kind] if dtype.kind != "f" else float(kind == "prod")


def reduction(lo: Lowering, s: Op, kind: str) -> None:
    (x,), (out,) = s.args, s.outs
    letters = "".join(chr(ord("a") + k) for k in range(x.type.rank))
    kept = "".join(c for k, c in enumerate(letters) if k not in s.params["axes"])
    extents = dict(zip(letters, x.type.dims, strict=True))
    val = lo.val(x)
    start = neutral(kind, out.type.dtype)
    if kind == "all" and not out.type.dims:
        cond = everywhere(lo.pool, val.expr, dict(zip(val.coords, x.type.dims, strict=True)))
        if cond is not None:  # such as `i < n` of np.arange(m)
            define(lo, out, Val((), cond))
            return
    accumulate_nest(lo, out, letters, kept, extents, lambda at: lo.at(val, tuple(at[c] for c in letters)), kind, start, True)


def contraction(lo: Lowering, s: Op, equation: str) -> None:
    operands, kept = equation.split("->")
    parts = operands.split(",")
    (out,) = s.outs
    letters = "".join(dict.fromkeys("".join(parts)))
    extents: dict[str, Dim] = {}
    for a, part in zip(s.args, parts, strict=True):
        extents.update(zip(part, a.type.dims, strict=True))
    if len(kept) == 2 and len(letters) == 3:
        for a in s.args:  # every element is used again and again
            if a.type.rank > 1 and isinstance(a, Var) and not isinstance(lo.val(a).expr, Load):
                lo.force(a)
    vals = [lo.val(a) for a in s.args]
    dtype = out.type.dtype

    def element(at: dict[str, Dim]) -> Expr:
        es = [lo.at(v, tuple(at[c] for c in part)) for v, part in zip(vals, parts, strict=True)]
        e = es[0]
        for other in es[1:]:
            e = lo.pool.apply("{0} * {1}", (e, other), dtype)
        return e

    if not set(letters) - set(kept):  # nothing is summed: an elementwise product
        coords = tuple(Sym("c") for _ in kept)
        define(lo, out, Val(coords, element(dict(zip(kept, (size(c) for c in coords), strict=True)))))
        return
    terms = product(tuple(extents[c] for c in letters if c not in kept))
    if isinstance(terms, int) and 0 < terms <= WRITTEN and kept:
        coords = tuple(Sym("c") for _ in kept)
        define(lo, out, Val(coords, written_out(lo, element, letters, kept, extents, coords)))
        return
    accumulate_nest(lo, out, letters, kept, extents, element, "sum", neutral("sum", dtype), False)


def written_out(
    lo: Lowering, element: Callable[[dict[str, Dim]], Expr], letters: str, kept: str, extents: dict[str, Dim], coords: tuple[Sym, ...]
) -> Expr:
    """`a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + …`: an element like any other, for loops to meet and for registers to hold."""
    at: dict[str, Dim] = {c: 0 if extents[c] == 1 else size(s) for c, s in zip(kept, coords, strict=True)}
    summed = [c for c in letters if c not in kept]
    total: Expr | None = None
    for turn in itertools.product(*(range(extents[c]) for c in summed)):  # type: ignore[arg-type]
        term = element({**at, **dict(zip(summed, turn, strict=True))})
        total = term if total is None else lo.pool.apply("{0} + {1}", (total, term), term.dtype)
    assert total is not None
    return total


# ---------------------------------------------------------------- stores


def update(lo: Lowering, s: Op, rule: Update) -> None:
    x, v, *rest = s.args
    (out,) = s.outs
    mode = "sum" if rule.mode == "add" else "set"
    if not x.type.dims:
        new = lo.pool.apply("{0} + {1}", (lo.scalar(x), lo.scalar(v)), out.type.dtype) if mode == "sum" else lo.scalar(v)
        define(lo, out, Val((), new))
        return
    sink = lo.frames[-1].sinks.get(out)
    if sink is not None:
        buf, dims = sink
    else:
        buf, dims = lo.overwrite(x, out.hint or (x.hint if isinstance(x, Var) else "")), x.type.dims
    val = lo.val(v)
    if rule.loads:
        for a in rest:  # indices read while their own array is stored to
            if isinstance(a, Var) and buf in lo.pool.reads(lo.val(a).expr):
                lo.force(a)
    if lo.collides(buf, dims, lambda c: source(lo, s, rule, c), v.type.dims, val):
        val = lo.put(val, v.type, v.hint if isinstance(v, Var) else "")
    lo.nest(v.type.dims, lambda c: [Store(buf, dims, source(lo, s, rule, c), lo.at(val, c), mode)])
    lo.bind(out, lo.stored(buf, dims))


def is_zero(lo: Lowering, x: Atom) -> bool:
    e = lo.val(x).expr
    return (isinstance(e, Const) and e.value == 0) or (isinstance(e, Index) and e.dim == 0)


def routine(lo: Lowering, s: Op, rule: Routine) -> None:
    """A call on whole buffers."""
    args: list[Buf | Expr] = [lo.identity(a) if a.type.dims else lo.scalar(a) for a in s.args]
    outs: list[Buf] = []
    for o in s.outs:
        outs.append(Buf(o.hint or s.prim.name, o.type.dtype, o.type.dims or (1,)))
    work = rule.work(tuple(a.type for a in s.args), s.params) if rule.work is not None else ()
    scratch = [Buf("work", np.dtype("f8"), tuple(dims)) for dims in work]
    sizes = [lo.pool.index(size(d)) for a in s.args for d in a.type.dims]
    sizes += [lo.pool.index(int(s.params[p])) for p in rule.params]
    known = lo.program.routines.setdefault(rule.fn.__name__, rule.fn)
    if known is not rule.fn:
        raise internal(f"two routines of the name {rule.fn.__name__}", s.pos)
    code = 0
    if rule.fails:
        lo.program.checks.append(Check("assertion", rule.fails, s.pos))
        code = len(lo.program.checks)
    lo.emit(CallFn(rule.fn.__name__, (*args, *outs, *scratch, *sizes), (*outs, *scratch), code=code))
    for o, b in zip(s.outs, outs, strict=True):
        lo.bind(o, lo.stored(b) if o.type.dims else Val((), lo.pool.load(b, (1,), (0,))))


# ---------------------------------------------------------------- by name


def _fill(lo: Lowering, s: Op) -> None:
    lo.named(s.args[0])
    coords = tuple(Sym("c") for _ in s.params["dims"])
    define(lo, s.outs[0], Val(coords, lo.scalar(s.args[0])))


def _empty(lo: Lowering, s: Op) -> None:
    lo.bind(s.outs[0], lo.stored(lo.fresh(s.outs[0].type, s.outs[0].hint or "t")))


def _iota(lo: Lowering, s: Op) -> None:
    c = Sym("c")
    define(lo, s.outs[0], Val((c,), lo.pool.index(size(c))))


def _size(lo: Lowering, s: Op) -> None:
    lo.bind(s.outs[0], Val((), lo.pool.index(size(s.params["dim"]))))


def _reshape(lo: Lowering, s: Op) -> None:
    (x,), (out,) = s.args, s.outs
    val, old, new = lo.val(x), x.type.dims, s.params["dims"]
    wide = [d for d in old if d != 1]
    if wide == [d for d in new if d != 1] and (val.buf is None or val.buf.kind == "local"):
        coords = tuple(Sym("c") for _ in new)
        moving = iter(size(c) for c, d in zip(coords, new, strict=True) if d != 1)
        define(lo, out, Val(coords, lo.at(val, tuple(0 if d == 1 else next(moving) for d in old))))
        return
    if not new and val.buf is not None:
        lo.bind(out, Val((), lo.at(val, tuple(0 for _ in old))))
        return
    lo.bind(out, lo.stored(lo.identity(x), new))


def _join(lo: Lowering, s: Op) -> None:
    """concatenate, stack: every part is evaluated where it belongs."""
    (out,), axis = s.outs, s.params["axis"]
    stack = s.prim.name == "stack"
    if out.type.rank > 1 or not stack:
        for a in s.args:
            lo.named(a)
    joins = lo.frames[-1].joins
    buf, lead = joins.get(out) or (lo.fresh(out.type, out.hint or s.prim.name), ())
    start: Dim = 0
    for k, a in enumerate(s.args):
        val, dims = lo.val(a), a.type.dims
        if stack and isinstance(a, Var) and joins.get(a) == (buf, (*lead, k)):
            continue  # it was made there

        def leaf(c: tuple[Dim, ...], val: Val = val, k: int = k, start: Dim = start) -> list[Item]:
            where = (*c[:axis], k, *c[axis:]) if stack else (*c[:axis], size(c[axis]) + start, *c[axis + 1 :])
            return [Store(buf, buf.dims, (*lead, *where), lo.at(val, c))]

        lo.nest(dims, leaf)
        start = start + (1 if stack else dims[axis])
    lo.bind(out, lo.part(buf, lead, out.type.dims) if lead else lo.stored(buf))


def _bind_size(lo: Lowering, s: Op) -> None:
    sym: Sym = s.params["sym"]
    lo.local(sym.hint, np.dtype("i8"), lo.scalar(s.args[0]), sym)
    if s.params.get("upper") is not None:
        lo.program.bounds[sym] = size(s.params["upper"])
    else:
        ask_room(lo, sym, "{0} > {1}", lo.items)


def ask_room(lo: Lowering, sym: Sym, test: str, into: list[Item]) -> None:
    """A size without a bound: what depends on it is allocated for a capacity, which may turn out too small."""
    capacity = Sym(f"{sym.hint}_most")
    lo.program.bounds[sym] = size(capacity)
    cond = lo.pool.apply(test, (lo.pool.index(size(sym)), lo.pool.index(size(capacity))), np.dtype("?"))
    into.append(Exit(cond, 0, True, lo.note, capacity))


def _check(lo: Lowering, s: Op) -> None:
    cond = lo.scalar(s.args[0])
    if isinstance(cond, Const) and cond.value:
        return
    lo.program.checks.append(Check(s.params.get("code", "assertion"), str(s.params.get("message", "")), s.pos))
    lo.emit(Exit(cond, len(lo.program.checks), False))


def _refuse_print(lo: Lowering, s: Op) -> None:
    raise fail(UnsupportedError, "type", s.pos, what="print in compiled code", instead='use target="numpy" while looking, and take the print out afterwards')


SPECIAL: dict[str, Callable[[Lowering, Op], None]] = {
    "fill": _fill,
    "empty": _empty,
    "iota": _iota,
    "size": _size,
    "reshape": _reshape,
    "concatenate": _join,
    "stack": _join,
    "bind_size": _bind_size,
    "check": _check,
    "print": _refuse_print,
}

__all__ = ["ask_room", "define", "is_zero", "lower_op"]
