"""Forward mode: from a program to the program of its values and tangents.

In: a function and which float parameters are active.  Out: a function of the parameters and one tangent per
active parameter, giving the results and one tangent per float result.

    y = sin(x)   ->   y = sin(x); y_dot = cos(x) * x_dot

Only what depends on an active parameter gets a tangent; zeros are written out only at the end, or where a
loop or branch needs a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from adc.errors import StageError, UnsupportedError, fail
from adc.ir import Atom, Block, Call, For, Function, If, Op, Params, Stmt, Tensor, Var, While, at, building, current
from adc.ir.build import Builder
from adc.ir.dce import dce
from adc.transform.activity import carried, varied
from adc.transform.prepare import finish, prepare, zeros_like
from adc.transform.vjp import outs_of, vjp

Dots = dict[Atom, Any]


def jvp(fn: Function, active: tuple[bool, ...]) -> Function:
    """The function (params, one tangent per active float param) -> (results, one tangent per float result)."""
    wrt = [k for k, (p, a) in enumerate(zip(fn.params, active, strict=True)) if a]
    for k in wrt:
        if not fn.params[k].type.is_float:
            p = fn.params[k]
            raise fail(UnsupportedError, "not_float", p.pos or fn.pos, name=p.hint, dtype=p.type.dtype)
    primal = prepare(fn, set(wrt))
    seeds = tuple(_tangent(primal.params[k]) for k in wrt)
    sweep = Forward(varied(primal, {primal.params[k] for k in wrt}))
    dots: Dots = {primal.params[k]: s for k, s in zip(wrt, seeds, strict=True)}
    params = (*primal.params, *seeds)
    with building(*params) as b:
        sweep.block(primal.body.stmts, dots)
        with at(fn.pos):
            out = tuple(_settle(dots, r) for r in primal.results if r.type.is_float)
    body = dce(Block(params, tuple(b.stmts), (*primal.results, *out)))
    return finish(Function(f"{fn.name}_jvp", params, body, fn.guards, fn.pos), sweep.names)


def _dot(a: Atom) -> str:
    return f"{a.hint}_dot" if isinstance(a, Var) and a.hint else ""


def _tangent(a: Atom) -> Var:
    return Var(Tensor(a.type.dtype, a.type.dims), _dot(a), getattr(a, "pos", None))


def _settle(dots: Dots, a: Atom) -> Any:
    """The tangent of `a`, zeros written out."""
    dot = dots.get(a)
    return zeros_like(a) if dot is None else dot


class Forward:
    """The walk.  `dots` maps a variable to its tangent; absent means zero."""

    def __init__(self, active: set[Var]):
        self.active = active
        self.names: dict[Var, str] = {}

    def block(self, stmts: Sequence[Stmt], dots: Dots) -> None:
        for s in stmts:
            with at(s.pos):
                match s:
                    case Op():
                        self.op(s, dots)
                    case If():
                        self.branch(s, dots)
                    case For() | While():
                        self.loop(s, dots)
                    case Call():
                        self.call(s, dots)

    def op(self, s: Op, dots: Dots) -> None:
        current().add(s)
        if s.prim.jvp is None or not any(a in dots for a in s.args):
            return
        got = s.prim.jvp(s.args, s.outs, tuple(dots.get(a) for a in s.args), s.params)
        for v, dot in zip(s.outs, got, strict=True):
            if dot is None:
                continue
            if (dot.type.dtype, dot.type.dims) != (v.type.dtype, v.type.dims):
                raise fail(StageError, "internal", v.pos, what=f"the tangent of {v!r} is {dot.type}")
            dots[v] = dot
            if isinstance(dot, Var) and not dot.hint and v.hint:
                self.names.setdefault(dot, _dot(v))

    def branch(self, s: If, dots: Dots) -> None:
        builders: list[Builder] = []
        for b in (s.then, s.orelse):
            with building() as inner:
                self.block(b.stmts, dots)
            builders.append(inner)
        moving = [
            k for k, (x, y) in enumerate(zip(s.then.results, s.orelse.results, strict=True)) if x in dots or y in dots
        ]
        blocks = []
        for b, inner in zip((s.then, s.orelse), builders, strict=True):
            with building() as filler:
                tangents = tuple(_settle(dots, b.results[k]) for k in moving)
            blocks.append(Block((), (*inner.stmts, *filler.stmts), (*b.results, *tangents)))
        new = tuple(_tangent(s.outs[k]) for k in moving)
        current().add(If(s.cond, blocks[0], blocks[1], (*s.outs, *new), s.pos))
        dots.update((s.outs[k], v) for k, v in zip(moving, new, strict=True))

    def loop(self, s: For | While, dots: Dots) -> None:
        params, n = carried(s)
        reduces = len(s.reduce) if isinstance(s, For) else 0
        moving = [k for k in range(n) if params[k] in self.active]
        new_params = tuple(_tangent(params[k]) for k in moving)
        inits = tuple(_settle(dots, s.inits[k]) for k in moving)
        dots.update((params[k], v) for k, v in zip(moving, new_params, strict=True))
        with building() as b:
            self.block(s.body.stmts, dots)
            results = s.body.results
            carried_dots = tuple(_settle(dots, results[k]) for k in moving)
            # a reduce or stack has a tangent only where its iterations have one
            summed = [k for k in range(n, n + reduces) if results[k] in dots]
            stacked = [k for k in range(n + reduces, len(results)) if results[k] in dots]
        for k in range(n, n + reduces):
            if k not in summed and s.inits[k] in dots:
                dots[s.outs[k]] = dots[s.inits[k]]
        stmts = tuple(b.stmts)

        def joined(values: tuple[Any, ...], c: Any, r: Any, k: Any) -> tuple[Any, ...]:
            mid = n + reduces
            return (*values[:n], *c, *values[n:mid], *r, *values[mid:], *k)

        sums = tuple(dots[results[k]] for k in summed)
        slices = tuple(dots[results[k]] for k in stacked)
        outs_c, outs_r, outs_k = (tuple(_tangent(s.outs[k]) for k in ks) for ks in (moving, summed, stacked))
        all_results = joined(results, carried_dots, sums, slices)
        outs = joined(s.outs, outs_c, outs_r, outs_k)
        stacks = s.stacks + len(stacked)
        if isinstance(s, For):
            all_inits = (
                *s.inits[:n], *inits, *s.inits[n:], *(_settle(dots, s.inits[k]) for k in summed)
            )  # fmt: skip
            body = Block((*s.body.params, *new_params), stmts, all_results)
            current().add(
                dataclasses.replace(
                    s, inits=all_inits, body=body, outs=outs, reduce=s.reduce + ("sum",) * len(summed), stacks=stacks
                )
            )
        else:
            body = Block((*s.body.params, *new_params), stmts, all_results)
            cond = Block(
                (*s.cond.params, *(_tangent(params[k]) for k in moving)), s.cond.stmts, s.cond.results
            )
            current().add(
                dataclasses.replace(s, inits=(*s.inits, *inits), cond=cond, body=body, outs=outs, stacks=stacks)
            )
        for ks, vs in ((moving, outs_c), (summed, outs_r), (stacked, outs_k)):
            dots.update((s.outs[k], v) for k, v in zip(ks, vs, strict=True))

    def call(self, s: Call, dots: Dots) -> None:
        if not any(a in dots for a in s.args):
            current().add(s)
            return
        floats = tuple(v for v in s.outs if v.type.is_float)
        new = tuple(_tangent(v) for v in floats)
        if s.rule == "checkpoint":
            active = tuple(a in dots for a in s.args)
            tangents = tuple(dots[a] for a in s.args if a in dots)
            both = jvp(s.fn, active)
            current().add(Call(both, (*s.args, *tangents), (*s.outs, *new), "checkpoint", Params(), s.pos))
        elif s.rule == "custom_jvp":
            tangents = tuple(_settle(dots, a) for a in s.args if a.type.is_float)
            current().add(Call(s.attrs["jvp"], (*s.args, *tangents), (*s.outs, *new), "", Params(), s.pos))
        elif s.rule == "custom_vjp":
            self.custom(s, dots, new)
        else:
            raise fail(StageError, "internal", s.pos, what=f"a call with the rule {s.rule!r}")
        dots.update(zip(floats, new, strict=True))

    def custom(self, s: Call, dots: Dots, new: tuple[Var, ...]) -> None:
        """`bwd` is linear in its cotangents, so its transpose gives the tangents."""
        fwd, bwd, n = s.attrs["fwd"], s.attrs["bwd"], s.attrs["n_res"]
        made = outs_of(fwd, s.args)
        residuals = tuple(Var(v.type, "residual") for v in made[len(made) - n :]) if n else ()
        current().add(Call(fwd, s.args, (*s.outs, *residuals), "", Params(), s.pos))
        targets = tuple(s.args) if len(bwd.results) == len(s.args) else tuple(a for a in s.args if a.type.is_float)
        if len(bwd.params) != n + len(new) or any(
            r.type.is_float and not a.type.is_float for r, a in zip(bwd.results, targets, strict=True)
        ):
            raise fail(
                UnsupportedError, "type", s.pos, what=f"forward mode through the custom rule of {s.fn.name}",
                instead="give it float arguments and results only, or use reverse mode",
            )  # fmt: skip
        back = vjp(bwd, tuple(range(n, n + len(new))), keep_primal=False)
        nothing = tuple(zeros_like(v) for v in new)
        tangents = tuple(_settle(dots, a) for a, r in zip(targets, bwd.results, strict=True) if r.type.is_float)
        current().add(Call(back, (*residuals, *nothing, *tangents), new, "", Params(), s.pos))
