"""Arithmetic that can be done, or left out, while compiling.

In: a function.  Out: the same with constants computed, neutral elements dropped, indices like `(i + 1) - 1` made
simple, work on broadcast scalars done on the scalars, and comparisons decided where the ranges of loop indices do.

    y = x * 1.0 + zeros;  k = (1 + i) - 1   ->   y = x;  k = i

Kept as they are: `x * 0` (x may be infinite) and whatever else depends on values that floats may take.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.ir import (
    Atom,
    Dim,
    For,
    Function,
    Lit,
    Op,
    Params,
    Pointwise,
    Stmt,
    Sym,
    Tensor,
    Var,
    building,
    current,
    size,
    symbols,
)
from adc.ir.build import definition
from adc.ir.ranges import nonnegative
from adc.ir.rebuild import Rebuild, literal_like, same_type
from adc.ops.access import Arg, At, Slice, is_full, part_of_part
from adc.ops.registry import PRIMITIVES

RULES: dict[str, Callable[..., Atom | None]] = {}


def fold(fn: Function) -> Function:
    """`fn` after every rule, bottom up."""
    return _Fold().function(fn)


def rule(*names: str) -> Callable[[Callable[..., Atom | None]], Callable[..., Atom | None]]:
    """A rule for the ops of these names: (fold, op, args, params) -> what the op is, or None."""

    def mark(fn: Callable[..., Atom | None]) -> Callable[..., Atom | None]:
        for n in names:
            RULES[n] = fn
        return fn

    return mark


def constant(a: Atom) -> Any:
    """The number that every element of `a` is, or None."""
    if isinstance(a, Lit):
        return a.value
    d = definition(a)
    if d is not None and d.prim.name in ("broadcast", "fill", "same_size", "reshape") and d.args:
        return constant(d.args[0])
    return None


def defined_by(a: Atom, *names: str) -> Op | None:
    """The op that defines `a`, if it is one of these."""
    d = definition(a) if isinstance(a, Var) else None
    return d if d is not None and d.prim.name in names else None


class _Fold(Rebuild):
    def __init__(self) -> None:
        super().__init__()
        self.index: dict[Var, Sym] = {}
        self.counts: dict[Sym, Dim] = {}
        """How often the loop of each index turns, the outermost first."""

    def stmt(self, s: Stmt) -> Stmt:
        if not isinstance(s, For):
            return super().stmt(s)
        sym = self.index[s.index] = Sym("i")
        self.counts[sym] = self.dims(s.count)
        new = super().stmt(s)
        del self.counts[sym]
        return new

    def define(self, v: Var) -> Var:
        new = super().define(v)
        if v in self.index:
            self.index[new] = self.index[v]
        return new

    def op(self, s: Op, args: tuple[Atom, ...], params: Params) -> tuple[Atom, ...] | None:
        if s.prim.name == "check":
            # a check of what is known to hold is no check; one that must fail stays, as the user wrote it
            return () if constant(args[0]) is True else None
        if len(s.outs) != 1 or s.prim.effect or s.prim.defines:
            return None
        want = self.dims(s.outs[0].type)
        found = self.numbers(s, args, params, want)
        if found is None and s.prim.name in RULES:
            found = RULES[s.prim.name](self, s, args, params)
        if found is None and isinstance(s.prim.loops, Pointwise):
            found = self.sunk(s, args, params)
        if found is None or not same_type(found.type, want):
            return None
        return (found,)

    def numbers(self, s: Op, args: tuple[Atom, ...], params: Params, want: Tensor) -> Atom | None:
        """An op on constants alone."""
        if want.rank or not args or not isinstance(s.prim.loops, Pointwise) or s.prim.reference is None:
            return None
        if not all(isinstance(a, Lit) for a in args):
            return None
        with np.errstate(all="ignore"):
            try:
                got = s.prim.reference(*(a.type.dtype.type(a.value) for a in args if isinstance(a, Lit)), **params)
            except (ArithmeticError, ValueError):
                return None
        value = np.asarray(got)
        if value.dtype != want.dtype or (value.dtype.kind == "f" and not np.isfinite(value)):
            return None
        return literal_like(value.item(), want)

    def sunk(self, s: Op, args: tuple[Atom, ...], params: Params) -> Atom | None:
        """An op on values broadcast alike is done before they are broadcast."""
        ops = [defined_by(a, "broadcast") for a in args]
        first = ops[0] if ops else None
        if first is None or any(o is None or o.params["axes"] != first.params["axes"] for o in ops):
            return None
        inner = tuple(o.args[0] for o in ops if o is not None)
        if any(a.type.dims != inner[0].type.dims for a in inner):
            return None
        made: Atom = self.make(s, s.prim, inner, params)
        if all(isinstance(a, Lit) for a in inner) and isinstance(made, Var):
            d = definition(made)
            known = self.numbers(d, inner, params, made.type) if d is not None else None
            if known is not None:
                current().stmts.remove(d)  # type: ignore[arg-type]
                made = known
        return self.make(s, PRIMITIVES["broadcast"], (made,), dict(first.params))

    def again(self, v: Var) -> Atom:
        """What a rule has just made, after the rules."""
        d = definition(v)
        if d is None or d.prim.name not in RULES:
            return v
        found = RULES[d.prim.name](self, d, d.args, d.params)
        return v if found is None or not same_type(found.type, v.type) else found

    # ------------------------------------------------------------ integers

    def polynomial(self, a: Atom) -> Dim | None:
        """`a` in sizes and loop indices."""
        if isinstance(a, Lit):
            return int(a.value) if a.type.dtype.kind == "i" else None
        if a.type.dtype.kind != "i" or a.type.rank:
            return None
        if a in self.index:
            return size(self.index[a])
        d = definition(a)
        if d is None:
            return None
        if d.prim.name == "size":
            return size(d.params["dim"])
        if d.prim.name not in ("add", "sub", "mul"):
            return None
        left, right = self.polynomial(d.args[0]), self.polynomial(d.args[1])
        if left is None or right is None:
            return None
        left = size(left)
        return left + right if d.prim.name == "add" else left - right if d.prim.name == "sub" else left * right

    def above(self, a: Atom, b: Atom) -> bool:
        """Is `a >= b` certain?"""
        left, right = self.polynomial(a), self.polynomial(b)
        if left is not None and right is not None and nonnegative(size(left) - right, self.counts):
            return True
        return isinstance(right, int) and right <= 0 and self.positive(a)

    def positive(self, a: Atom) -> bool:
        """Is `a >= 0` certain, from how it is made?"""
        known = self.polynomial(a)
        if known is not None and nonnegative(known, self.counts):
            return True
        d = definition(a) if isinstance(a, Var) else None
        if d is None or a.type.rank or a.type.dtype.kind != "i":
            return False
        match d.prim.name:
            case "add" | "mul" | "floordiv":
                return all(self.positive(x) for x in d.args)
            case "maximum":
                return any(self.positive(x) for x in d.args)
        return False


# ---------------------------------------------------------------- arithmetic


def _is(a: Atom, number: float) -> bool:
    c = constant(a)
    return c is not None and not isinstance(c, bool) and c == number


@rule("add")
def _add(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    if _is(b, 0):
        return a
    if _is(a, 0):
        return b
    if a.type.dtype.kind == "i":
        return _shifted(f, s, args)
    if (d := defined_by(b, "neg")) is not None:
        return f.make(s, PRIMITIVES["sub"], (a, d.args[0]))
    if (d := defined_by(a, "neg")) is not None:
        return f.make(s, PRIMITIVES["sub"], (b, d.args[0]))
    left, right = defined_by(a, "sum"), defined_by(b, "sum")
    if left is not None and right is not None and left.params == right.params and left.args[0].type.dims == right.args[0].type.dims:
        # one pass and one accumulator instead of two
        both = f.make(s, PRIMITIVES["add"], (left.args[0], right.args[0]))
        return f.make(s, PRIMITIVES["sum"], (both,), dict(left.params))
    if a is b and a.type.is_float:
        two: Atom = literal_like(2.0, Tensor(a.type.dtype))
        if a.type.rank:
            two = f.make(s, PRIMITIVES["broadcast"], (two,), {"dims": a.type.dims, "axes": ()})
        return f.make(s, PRIMITIVES["mul"], (two, a))
    return None


@rule("sub")
def _sub(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    if _is(b, 0):
        return a
    if _is(a, 0) and a.type.is_float:
        return f.make(s, PRIMITIVES["neg"], (b,))
    if a.type.dtype.kind == "i":
        return _shifted(f, s, args)
    if (d := defined_by(b, "neg")) is not None:
        return f.make(s, PRIMITIVES["add"], (a, d.args[0]))
    return None


def _shifted(f: _Fold, s: Op, args: tuple[Atom, ...]) -> Atom | None:
    """Sums of integers with constants: the constant last, and one at most."""
    if args[0].type.rank:
        return None
    a, b = args
    if s.prim.name == "add" and isinstance(a, Lit) and not isinstance(b, Lit):
        a, b = b, a
    if not isinstance(b, Lit) or isinstance(a, Lit):
        return None
    total = int(b.value) if s.prim.name == "add" else -int(b.value)
    d = defined_by(a, "add", "sub")
    if d is not None and isinstance(d.args[1], Lit):
        total += int(d.args[1].value) if d.prim.name == "add" else -int(d.args[1].value)
        a = d.args[0]
    if total == 0:
        return a
    name = "add" if total > 0 else "sub"
    if name == s.prim.name and a is args[0] and total == abs(int(b.value)):
        return None
    weak = {"weak": True} if s.params.get("weak") else {}
    return f.make(s, PRIMITIVES[name], (a, Lit(abs(total), b.type)), weak)


@rule("mul")
def _mul(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    for x, c in ((a, b), (b, a)):
        if _is(c, 1):
            return x
        if _is(c, -1) and x.type.is_float:
            return f.make(s, PRIMITIVES["neg"], (x,))
        d = defined_by(c, "neg")
        if d is not None and x.type.is_float and not d.outs[0].hint:
            inner = f.make(s, s.prim, (x, d.args[0]) if c is b else (d.args[0], x))
            return f.make(s, PRIMITIVES["neg"], (f.again(inner),))
        d = defined_by(c, "div")
        if d is not None and _is(d.args[0], 1) and x.type.is_float and defined_by(d.args[1], "broadcast") is None:
            return f.make(s, PRIMITIVES["div"], (x, d.args[1]))
    return None


@rule("div")
def _div(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if _is(args[1], 1) and args[0].type.is_float:
        return args[0]
    d = defined_by(args[0], "neg")
    if d is not None and not d.outs[0].hint and args[0].type.is_float:
        return f.make(s, PRIMITIVES["neg"], (f.make(s, s.prim, (d.args[0], args[1])),))
    return None


@rule("neg")
def _neg(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if (d := defined_by(args[0], "neg")) is not None:
        return d.args[0]
    if (d := defined_by(args[0], "mul")) is not None and d.args[0].type.is_float:
        for x, c in (d.args, d.args[::-1]):
            if isinstance(c, Lit):
                return f.make(s, PRIMITIVES["mul"], (literal_like(-c.value, c.type), x))
    return None


# ---------------------------------------------------------------- truth


@rule("where")
def _where(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    c, a, b = args
    known = constant(c)
    if known is not None:
        return a if known else b
    if a is b:
        return a
    if a.type.dtype.kind == "b" and not a.type.rank:
        if isinstance(a, Lit) and isinstance(b, Lit) and a.value and not b.value:
            return c
        if isinstance(a, Lit) and isinstance(b, Lit) and b.value and not a.value:
            return f.make(s, PRIMITIVES["invert"], (c,))
        if isinstance(a, Lit) and a.value:
            return f.make(s, PRIMITIVES["or"], (c, b))
        if isinstance(b, Lit) and not b.value:
            return f.make(s, PRIMITIVES["and"], (c, a))
    return None


@rule("and", "or")
def _and_or(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if args[0].type.dtype.kind != "b":
        return None
    if args[0] is args[1]:
        return args[0]
    neutral = s.prim.name == "and"
    for x, c in (args, args[::-1]):
        known = constant(c)
        if known is not None:
            return x if bool(known) == neutral else c
    return None


@rule("invert")
def _invert(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    d = defined_by(args[0], "invert")
    return d.args[0] if d is not None else None


@rule("greater_equal", "less", "greater", "less_equal")
def _compare(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    if a.type.dtype.kind != "i" or a.type.rank:
        return None
    if s.prim.name in ("less", "less_equal"):
        a, b = b, a
    strict = 1 if s.prim.name in ("less", "greater") else 0
    one = Tensor(np.dtype("?"))
    if f.above(a, _moved(f, b, strict)):
        return Lit(True, one)
    if f.above(b, _moved(f, a, 1 - strict)):
        return Lit(False, one)
    return None


def _moved(f: _Fold, a: Atom, by: int) -> Atom:
    """`a + by`, only to be asked about: the op is not kept."""
    if not by:
        return a
    if isinstance(a, Lit):
        return literal_like(int(a.value) + by, a.type)
    probe = PRIMITIVES["add"]
    with building() as b:
        (v,) = b.op(probe, (a, Lit(by, a.type)), {})
    current().defs[v] = b.defs[v]
    return v


@rule("maximum")
def _maximum(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    if a.type.rank or a.type.dtype.kind != "i":
        return None
    if f.above(a, b):
        return a
    return b if f.above(b, a) else None


# ---------------------------------------------------------------- the same elements, otherwise arranged


@rule("size")
def _size(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    return Lit(p["dim"], s.outs[0].type) if isinstance(p["dim"], int) else None


@rule("convert")
def _convert(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
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
def _same(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    # values do not change; the last pass makes copies where storage is overwritten
    return args[0]


@rule("same_size")
def _same_size(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if args[0].type.dims == p["dims"]:
        return args[0]
    d = defined_by(args[0], "same_size")
    if d is None:
        return None
    return d.args[0] if d.args[0].type.dims == p["dims"] else f.make(s, s.prim, d.args, dict(p))


@rule("broadcast")
def _broadcast(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if args[0].type.dims == p["dims"]:
        return args[0]
    d = defined_by(args[0], "broadcast")
    if d is None:
        return None
    axes = tuple(p["axes"][a] for a in d.params["axes"])
    return f.make(s, s.prim, d.args, {"dims": p["dims"], "axes": axes})


@rule("reshape")
def _reshape(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
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


def _everywhere(f: _Fold, s: Op, like: Op, dims: tuple[Dim, ...]) -> Atom:
    """The scalar of a broadcast or fill, in another shape."""
    x = like.args[0]
    if not dims:
        return x
    params: dict[str, Any] = {"dims": dims} if like.prim.name == "fill" else {"dims": dims, "axes": ()}
    return f.make(s, like.prim, (x,), params)


@rule("transpose")
def _transpose(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    axes = p["axes"]
    if axes == tuple(range(len(axes))):
        return args[0]
    d = defined_by(args[0], "transpose")
    if d is not None:
        both = tuple(d.params["axes"][a] for a in axes)
        return d.args[0] if both == tuple(range(len(both))) else f.make(s, s.prim, d.args, {"axes": both})
    return None


@rule("squeeze")
def _squeeze(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
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


def _static(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params, lead: int) -> Atom | None:
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
def _index(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
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
def _update(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if whole(p["axes"], args[0].type):
        return args[1]
    return _static(f, s, args, p, 2)


@rule("accumulate")
def _accumulate(f: _Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    d = defined_by(args[0], "fill", "broadcast")
    if d is not None and _is(args[0], 0) and args[0].type.is_float:
        if whole(p["axes"], args[0].type):
            return args[1]
        return f.make(s, PRIMITIVES["update"], args, dict(p))
    d = defined_by(args[1], "update")
    if d is not None and _is(d.args[0], 0):
        # a part of which all but some elements are zeros: never a whole row for one element
        part = part_of_part(p["axes"], args[2:], d.params["axes"], d.args[2:])
        if part is not None:
            return f.make(s, s.prim, (args[0], d.args[1], *part[1]), {**p, "axes": part[0]})
    return _static(f, s, args, p, 2)
