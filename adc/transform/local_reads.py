"""How a loop reads: reads of parameters made direct.

In: a loop over observations.  Out: the same meaning with reads that can be told apart.

    rows = cameras[idx]                       for i: row = cameras[idx[i]]
    for i: f(rows[i])                    →           f(row)
"""

from __future__ import annotations

import dataclasses
from typing import Any

from adc.ir import (
    Atom,
    Block,
    Copier,
    Dim,
    For,
    Op,
    Params,
    Stmt,
    Var,
    at,
    blocks,
    building,
    current,
    literal,
    walk,
)
from adc.ops.access import Arg, At, Slice, part_of_part
from adc.ops.registry import PRIMITIVES
from adc.ops.structure import size_value


def direct(s: For, active: set[Var], roots: dict[Var, int], makers: dict[Var, Stmt]) -> For:
    """The loop with every read of a parameter made directly, and at the top of the body.

    `rows = cameras[idx]` outside and `rows[i]` inside become `cameras[idx[i]]`; a part of a part is one part; and
    `for k in range(3): cameras[j, k]` becomes `row = cameras[j]` and `row[k]`, the index being held inside: under a
    branch nobody has looked at it yet.
    """
    deep = {v for t in s.body.stmts for b in blocks(t) for v in defined(b)}
    copier = _Direct(deep, roots, makers)
    params = copier.defines(s.body.params)
    with building(*params) as b:
        for t in s.body.stmts:
            copier.top = True
            current().add(copier.stmt(t))
    active.update(new for old, new in copier.env.items() if old in active and isinstance(new, Var))
    active.update(copier.rows.values())
    return dataclasses.replace(s, body=b.block(copier.atoms(s.body.results)))


def defined(b: Block) -> set[Var]:
    """The variables that a block defines, at any depth."""
    found = set(b.params)
    for t in walk(b):
        found.update(t.outs)
        for inner in blocks(t):
            found.update(inner.params)
    return found


class _Direct(Copier):
    def __init__(self, deep: set[Var], roots: dict[Var, int], makers: dict[Var, Stmt]):
        super().__init__()
        self.deep, self.roots, self.makers, self.top = deep, roots, makers, True
        self.rows: dict[Any, Var] = {}
        self.reads: dict[Var, Op] = {}  # reads of parameters at the top, by what they give

    def stmt(self, s: Stmt) -> Stmt:
        top, self.top = self.top, False
        if not (isinstance(s, Op) and s.prim.name == "index"):
            return super().stmt(s)
        if not top:
            return super().stmt(self.from_row(s) if s.args[0] in self.roots else s)
        args, params = self.atoms(s.args), Params(self.dims(s.params))
        while (found := self.composed(args, params)) is not None:
            args, params = found
        made = Op(s.prim, args, params, self.defines(s.outs), s.pos)
        if args[0] in self.roots:
            self.reads[made.outs[0]] = made
        return made

    def composed(self, args: tuple[Atom, ...], params: Params) -> tuple[tuple[Atom, ...], Params] | None:
        """The same part of what the array itself is a part of, if it is one."""
        x, *ints = args
        maker = self.reads.get(x, self.makers.get(x))  # type: ignore[arg-type]
        if not isinstance(maker, Op) or maker.args[0] not in self.roots:
            return None
        if maker.prim.name == "index":
            # a small part is read whole: its parts would be read twice
            if all(isinstance(d, int) for d in maker.outs[0].type.dims):
                return None
            part = part_of_part(maker.params["axes"], maker.args[1:], params["axes"], tuple(ints))
            return None if part is None else ((maker.args[0], *part[1]), Params({"axes": part[0]}))
        if maker.prim.name != "gather":
            return None
        y, *idx = maker.args
        lead = idx[0].type.rank
        if not all(isinstance(a, At) for a in params["axes"][:lead]):
            return None
        axes = _renumbered(params["axes"][:lead], ints)
        rows = [PRIMITIVES["index"](k, *axes[1], axes=axes[0]) for k in idx]
        rest, used = _renumbered(params["axes"][lead:], ints, len(rows))
        return (y, *rows, *used), Params({"axes": (*(At(Arg(k)) for k in range(len(rows))), *rest)})

    def from_row(self, s: Op) -> Op:
        x, *ints = s.args
        outer: list[At | Slice] = []
        inner: list[At | Slice] = []
        taken: list[tuple[Atom, Dim]] = []
        left: list[Atom] = []
        for axis, d in zip(s.params["axes"], x.type.dims, strict=True):
            pos = axis.pos if isinstance(axis, At) else axis.start
            if isinstance(pos, Arg) and ints[pos.k] not in self.deep and isinstance(axis, At) and d != 0:
                outer.append(At(Arg(len(taken))))
                taken.append((ints[pos.k], d))
                continue
            outer.append(Slice(0, d, 1))
            if isinstance(pos, Arg):
                left.append(ints[pos.k])
                pos = Arg(len(left) - 1)
            inner.append(At(pos) if isinstance(axis, At) else dataclasses.replace(axis, start=pos))
        if not taken:
            return s
        key = (x, tuple(a for a, _ in taken), tuple(outer))
        if key not in self.rows:
            with at(s.pos):
                held = [_inside(self.atom(a), d) for a, d in taken]
                self.rows[key] = PRIMITIVES["index"](self.atom(x), *held, axes=tuple(outer))
        return Op(s.prim, (self.rows[key], *left), Params({"axes": tuple(inner)}), s.outs, s.pos)


def _renumbered(axes: Any, ints: Any, start: int = 0) -> tuple[tuple[At | Slice, ...], list[Atom]]:
    """The axes with their integers counted from `start`, and those integers."""
    used: list[Atom] = []
    made: list[At | Slice] = []
    for a in axes:
        pos = a.pos if isinstance(a, At) else a.start
        if isinstance(pos, Arg):
            used.append(ints[pos.k])
            pos = Arg(start + len(used) - 1)
        made.append(At(pos) if isinstance(a, At) else dataclasses.replace(a, start=pos))
    return tuple(made), used


def _inside(i: Atom, n: Dim) -> Atom:
    low = PRIMITIVES["maximum"](i, literal(0, i.type.dtype))
    return PRIMITIVES["minimum"](low, size_value(n - 1))  # type: ignore[no-any-return]


__all__ = ["defined", "direct"]
