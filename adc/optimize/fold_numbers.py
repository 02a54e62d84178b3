"""What folds to less of arithmetic, of truth values and of comparisons.

In: a fold, an op and its folded arguments.  Out: what the op is, or None.

    x + 0 -> x;   a + -b -> a - b;   (k + 1) - 1 -> k;   i < n -> True
"""

from __future__ import annotations

import numpy as np

from adc.ir import Atom, Lit, Op, Params, Tensor, building, current
from adc.ir.rebuild import literal_like
from adc.ops.registry import PRIMITIVES
from adc.optimize.fold import Fold, constant, defined_by, equals, rule

# ---------------------------------------------------------------- arithmetic


@rule("add")
def _add(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    if equals(b, 0):
        return a
    if equals(a, 0):
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
def _sub(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    if equals(b, 0):
        return a
    if equals(a, 0) and a.type.is_float:
        return f.make(s, PRIMITIVES["neg"], (b,))
    if a.type.dtype.kind == "i":
        return _shifted(f, s, args)
    if (d := defined_by(b, "neg")) is not None:
        return f.make(s, PRIMITIVES["add"], (a, d.args[0]))
    return None


def _shifted(f: Fold, s: Op, args: tuple[Atom, ...]) -> Atom | None:
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
def _mul(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    for x, c in ((a, b), (b, a)):
        if equals(c, 1):
            return x
        if equals(c, -1) and x.type.is_float:
            return f.make(s, PRIMITIVES["neg"], (x,))
        d = defined_by(c, "neg")
        if d is not None and x.type.is_float and not d.outs[0].hint:
            inner = f.make(s, s.prim, (x, d.args[0]) if c is b else (d.args[0], x))
            return f.make(s, PRIMITIVES["neg"], (f.again(inner),))
        d = defined_by(c, "div")
        if d is not None and equals(d.args[0], 1) and x.type.is_float and defined_by(d.args[1], "broadcast") is None:
            return f.make(s, PRIMITIVES["div"], (x, d.args[1]))
    return None


@rule("div")
def _div(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if equals(args[1], 1) and args[0].type.is_float:
        return args[0]
    d = defined_by(args[0], "neg")
    if d is not None and not d.outs[0].hint and args[0].type.is_float:
        return f.make(s, PRIMITIVES["neg"], (f.make(s, s.prim, (d.args[0], args[1])),))
    return None


@rule("neg")
def _neg(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    if (d := defined_by(args[0], "neg")) is not None:
        return d.args[0]
    if (d := defined_by(args[0], "mul")) is not None and d.args[0].type.is_float:
        for x, c in (d.args, d.args[::-1]):
            if isinstance(c, Lit):
                return f.make(s, PRIMITIVES["mul"], (literal_like(-c.value, c.type), x))
    return None


# ---------------------------------------------------------------- truth


@rule("where")
def _where(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
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
def _and_or(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
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
def _invert(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    d = defined_by(args[0], "invert")
    return d.args[0] if d is not None else None


@rule("greater_equal", "less", "greater", "less_equal")
def _compare(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
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


def _moved(f: Fold, a: Atom, by: int) -> Atom:
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
def _maximum(f: Fold, s: Op, args: tuple[Atom, ...], p: Params) -> Atom | None:
    a, b = args
    if a.type.rank or a.type.dtype.kind != "i":
        return None
    if f.above(a, b):
        return a
    return b if f.above(b, a) else None
