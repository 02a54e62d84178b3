"""Small arrays as scalars, branches as choices: straight-line code for what one iteration computes.

In: a function whose arrays inside are small and of fixed size.  Out: the same function with a scalar parameter per
element of each parameter named, scalar results and scalar ops only; None where something in it cannot be written so.

    p = R @ x; return p[:2] / p[2]      →      p0 = R00 * x0 + R01 * x1 + …;  return p0 / p2, p1 / p2

Derivatives of such code share their common parts, and a loop over it can run in vector lanes.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from adc.ir import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Op,
    Params,
    Pointwise,
    Reduction,
    Stmt,
    Tensor,
    Var,
    View,
    at,
    building,
    current,
    literal,
    product,
)
from adc.ir.rewrite import Copier
from adc.ops.access import Arg, At
from adc.ops.contract import parts
from adc.ops.registry import PRIMITIVES

MOST = 64
"""Elements of an array that may become scalars."""
UNROLL = 16
"""Iterations of a loop that may be written out."""
LONG = 400
"""Statements of a branch that is computed whether it is taken or not."""

COMBINE = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum", "any": "or", "all": "and"}
MOVES = ("fill", "reshape", "concatenate", "stack")


class _Refused(Exception):
    """Not to be written in scalars."""


def scalarised(fn: Function, split: int) -> Function | None:
    """`fn` in scalars: its first `split` parameters by elements (C order), the others as they are; results by elements."""
    try:
        shapes = [_shape(p.type) for p in fn.params[:split]]
        elements = [tuple(Var(Tensor(p.type.dtype), p.hint, p.pos) for _ in range(int(np.prod(s)))) for p, s in zip(fn.params, shapes, strict=False)]
        params = (*itertools.chain(*elements), *fn.params[split:])
        walk = _Walk()
        for p, s, e in zip(fn.params, shapes, elements, strict=False):
            walk.env[p] = _array(list(e), s)
        with building(*params) as b:
            walk.stmts(fn.body.stmts)
            results = tuple(a for r in fn.results for a in walk.get(r).ravel())
        return Function(fn.name, params, b.block(results), fn.guards, fn.pos)
    except _Refused:
        return None


def _shape(t: Tensor) -> tuple[int, ...]:
    n = product(t.dims)
    if not isinstance(n, int) or n > MOST or not all(isinstance(d, int) for d in t.dims):
        raise _Refused
    return t.dims  # type: ignore[return-value]


def _array(items: list[Any], shape: tuple[int, ...]) -> Any:
    out = np.empty(len(items), object)
    out[:] = items
    return out.reshape(shape)


def _emit(name: str, *args: Atom) -> Any:
    return current().op(PRIMITIVES[name], args, {})[0]


class _Walk:
    """The program on arrays of atoms.  What is not in `env` was computed outside and is read element by element."""

    def __init__(self) -> None:
        self.env: dict[Var, Any] = {}

    def get(self, a: Atom) -> Any:
        if isinstance(a, Var) and a in self.env:
            return self.env[a]
        if not a.type.rank:
            return _array([a], ())
        shape = _shape(a.type)
        return _array([self.element(a, [At(k) for k in ks], ()) for ks in np.ndindex(*shape)], shape)

    def scalar(self, a: Atom) -> Atom:
        return self.get(a)[()]  # type: ignore[no-any-return]

    def element(self, x: Atom, axes: list[At], ints: tuple[Atom, ...]) -> Atom:
        return current().op(PRIMITIVES["index"], (x, *ints), {"axes": tuple(axes)})[0]

    def stmts(self, stmts: tuple[Stmt, ...]) -> None:
        for s in stmts:
            with at(s.pos, s.outs[0].hint if s.outs else ""):
                match s:
                    case Op():
                        self.op(s)
                    case If():
                        self.branch(s)
                    case For():
                        self.loop(s)
                    case Call() if not s.rule:
                        self.env.update(zip(s.fn.params, map(self.get, s.args), strict=True))
                        self.stmts(s.fn.body.stmts)
                        self.env.update(zip(s.outs, map(self.get, s.fn.results), strict=True))
                    case _:
                        raise _Refused

    # ------------------------------------------------------------ ops

    def op(self, s: Op) -> None:
        name = s.prim.name
        if s.prim.effect or len(s.outs) != 1:
            raise _Refused
        if name == "index":
            out = self.read(s)
        elif name in ("update", "accumulate"):
            out = self.write(s)
        elif name == "contract":
            out = self.contract(s)
        elif name in ("size", "iota"):
            out = _array([self.again(s, (), s.outs[0].type)], ()) if name == "size" else self.count(s)
        elif isinstance(s.prim.loops, Pointwise):
            args = [self.get(a) for a in s.args]
            items = [self.again(s, tuple(x[k] for x in args), s.outs[0].type) for k in np.ndindex(*args[0].shape)]
            out = _array(items, args[0].shape)
        elif (isinstance(s.prim.loops, View) and not s.prim.loops.loads) or name in MOVES:
            out = self.move(s)
        elif isinstance(s.prim.loops, Reduction):
            out = self.reduce(s)
        else:
            raise _Refused
        self.env[s.outs[0]] = out

    def again(self, s: Op, args: tuple[Atom, ...], t: Tensor) -> Atom:
        """The op on scalars."""
        out = Var(Tensor(t.dtype, (), t.weak and not t.dims), s.outs[0].hint, s.pos)
        current().add(Op(s.prim, args, s.params, (out,), s.pos))
        return out

    def count(self, s: Op) -> Any:
        (n,) = _shape(s.outs[0].type)
        return _array([literal(k, s.outs[0].type.dtype) for k in range(n)], (n,))

    def move(self, s: Op) -> Any:
        """Where elements go is shown by the op itself on their numbers."""
        shape = _shape(s.outs[0].type)
        args = [self.get(a) for a in s.args]
        first = np.cumsum([0, *(x.size for x in args)])
        numbers = [(np.arange(x.size) + f).reshape(x.shape)[()] for x, f in zip(args, first, strict=False)]
        assert s.prim.reference is not None
        where = np.asarray(s.prim.reference(*numbers, **s.params)).reshape(shape)
        flat = list(itertools.chain(*(x.ravel() for x in args)))
        return _array([flat[k] for k in where.ravel()], shape)

    def reduce(self, s: Op) -> Any:
        x, axes, kind = self.get(s.args[0]), tuple(s.params["axes"]), s.prim.loops.kind  # type: ignore[union-attr]
        kept = [k for k in range(x.ndim) if k not in axes]
        lines = np.transpose(x, (*kept, *axes)).reshape(*(x.shape[k] for k in kept), -1)
        if not lines.shape[-1]:
            raise _Refused
        items = []
        for k in np.ndindex(*lines.shape[:-1]):
            total = lines[k][0]
            for a in lines[k][1:]:
                total = _emit(COMBINE[kind], total, a)
            items.append(total)
        return _array(items, lines.shape[:-1])

    def contract(self, s: Op) -> Any:
        x, y = (self.get(a) for a in s.args)
        a, b, out = parts(s.params["equation"])
        sizes = {c: n for ls, v in ((a, x), (b, y)) for c, n in zip(ls, v.shape, strict=True)}
        summed = [c for c in sizes if c not in out]
        if np.prod(list(sizes.values()), dtype=np.int64) > 4 * MOST or 0 in sizes.values():
            raise _Refused
        shape = _shape(s.outs[0].type)
        items = []
        for k in np.ndindex(*shape):
            at_ = dict(zip(out, k, strict=True))
            total = None
            for j in np.ndindex(*(sizes[c] for c in summed)):
                at_.update(zip(summed, j, strict=True))
                term = _emit("mul", x[tuple(at_[c] for c in a)], y[tuple(at_[c] for c in b)])
                total = term if total is None else _emit("add", total, term)
            items.append(total)
        return _array(items, shape)

    # ------------------------------------------------------------ parts

    def read(self, s: Op) -> Any:
        x, shape = s.args[0], _shape(s.outs[0].type)
        if isinstance(x, Var) and x in self.env:
            return _array([self.env[x][k] for k in self.fixed(s.params["axes"])], shape)
        ints = tuple(self.scalar(a) for a in s.args[1:])
        items = []
        for k in np.ndindex(*shape):
            rest, axes, used = iter(k), [], []
            for axis in s.params["axes"]:
                pos = axis.pos if isinstance(axis, At) else axis.start
                step = 0 if isinstance(axis, At) else next(rest) * axis.step
                if isinstance(pos, Arg):
                    i = ints[pos.k]
                    used.append(_emit("add", i, literal(step, i.type.dtype)) if step else i)
                    axes.append(At(Arg(len(used) - 1)))
                else:
                    axes.append(At(pos + step))
            items.append(self.element(x, axes, tuple(used)))
        return _array(items, shape)

    def fixed(self, axes: Any) -> list[tuple[int, ...]]:
        """The coordinates of a part of a small array."""
        ranges = []
        for axis in axes:
            pos = axis.pos if isinstance(axis, At) else axis.start
            if not isinstance(pos, int):
                raise _Refused  # a place that only the data know
            ranges.append([pos] if isinstance(axis, At) else [pos + k * axis.step for k in range(axis.size)])
        return list(itertools.product(*ranges))

    def write(self, s: Op) -> Any:
        _shape(s.outs[0].type)
        x, v = self.get(s.args[0]).copy(), self.get(s.args[1]).ravel()
        for k, a in zip(self.fixed(s.params["axes"]), v, strict=True):
            x[k] = a if s.prim.name == "update" else _emit("add", x[k], a)
        return x

    # ------------------------------------------------------------ control

    def branch(self, s: If) -> None:
        made = []
        for b in (s.then, s.orelse):
            with building() as inner:
                self.stmts(b.stmts)
                results = [self.get(r) for r in b.results]
            made.append((inner, results))
        (then, yes), (orelse, no) = made
        flat = [tuple(a for x in xs for a in x.ravel()) for xs in (yes, no)]
        outs = [_array([Var(Tensor(v.type.dtype), v.hint, v.pos) for _ in range(x.size)], x.shape) for v, x in zip(s.outs, yes, strict=True)]
        every = tuple(a for x in outs for a in x.ravel())
        current().add(If(self.scalar(s.cond), then.block(flat[0]), orelse.block(flat[1]), every, s.pos))
        self.env.update(zip(s.outs, outs, strict=True))

    def loop(self, s: For) -> None:
        if not isinstance(s.count, int) or not 0 < s.count <= UNROLL:
            raise _Refused
        carried, reduced = [self.get(a) for a in s.inits[: s.carries]], [self.get(a) for a in s.inits[s.carries :]]
        slices: list[Any] = [None] * s.count
        for i in reversed(range(s.count)) if s.reverse else range(s.count):
            self.env[s.index] = _array([literal(i, s.index.type.dtype)], ())
            self.env.update(zip(s.body.params[1:], carried, strict=True))
            self.stmts(s.body.stmts)
            new, parts_, slices[i] = s.split(tuple(self.get(r) for r in s.body.results))
            carried = list(new)
            for k, (kind, x) in enumerate(zip(s.reduce, parts_, strict=True)):
                total = [_emit(COMBINE[kind], a, b) for a, b in zip(reduced[k].ravel(), x.ravel(), strict=True)]
                reduced[k] = _array(total, x.shape)
        stacks = [np.stack([x[k] for x in slices]) for k in range(s.stacks)]
        self.env.update(zip(s.outs, [*carried, *reduced, *stacks], strict=True))


# ---------------------------------------------------------------- branches


def chosen(fn: Function) -> Function:
    """`fn` with short branches computed both and chosen from, where that cannot fail: no loops, reads or checks inside."""
    walk = _Choose()
    params = walk.defines(fn.params)
    with building(*params) as b:
        for s in fn.body.stmts:
            walk.emit(s)
    return Function(fn.name, params, b.block(walk.atoms(fn.results)), fn.guards, fn.pos)


class _Choose(Copier):
    def emit(self, s: Stmt) -> None:
        if not (isinstance(s, If) and all(map(_harmless, (s.then, s.orelse))) and not any(v.type.rank for v in s.outs)):
            current().add(self.stmt(s))
            return
        for b in (s.then, s.orelse):
            for t in b.stmts:
                self.emit(t)
        with at(s.pos):
            for v, a, b_ in zip(s.outs, self.atoms(s.then.results), self.atoms(s.orelse.results), strict=True):
                out = self.define(v)
                current().add(Op(PRIMITIVES["where"], (self.atom(s.cond), a, b_), Params({}), (out,), s.pos))


def _harmless(b: Block) -> bool:
    return len(b.stmts) <= LONG and all(
        (isinstance(s, Op) and isinstance(s.prim.loops, Pointwise) and not any(v.type.rank for v in s.outs) and not _divides(s))
        or (isinstance(s, If) and _harmless(s.then) and _harmless(s.orelse) and not any(v.type.rank for v in s.outs))
        for s in b.stmts
    )


def _divides(s: Op) -> bool:
    """An integer division may trap where its branch is not taken."""
    return s.prim.name in ("floordiv", "mod", "fmod") and s.outs[0].type.dtype.kind in "iu"


__all__ = ["chosen", "scalarised"]

