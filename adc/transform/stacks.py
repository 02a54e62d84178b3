"""The stacks of a loop: written by the forward sweep, read by the walk back.

In: a loop and the planner's decision.  Out: the loop that also stacks what is saved; the adjoint's body that loads it.

    for t in range(T): u = step(u)   ->   for t in range(T): u_saved[t] = u; u = step(u)
    u_bar = adjoint(u, u_bar)        ->   u_bar = adjoint(u_saved[t], u_bar)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from adc.ir import Atom, Block, Dim, For, Lit, Op, Stmt, Sym, Tensor, Var, While, at, building, free_vars, literal, size
from adc.ir.dce import dce
from adc.ops.registry import PRIMITIVES
from adc.ops.structure import bind_size, convert_to, size_value
from adc.transform.activity import READS, carried
from adc.transform.prepare import Fresh, load
from adc.transform.tape import Plan

INT = Tensor(np.dtype("i8"))


def stack_hint(name: str) -> str:
    return name if name.endswith("saved") else f"{name}_saved" if name else "saved"


def _stack(v: Var, count: Dim, name: str) -> Var:
    return Var(Tensor(v.type.dtype, (size(count), *v.type.dims)), stack_hint(name), v.pos)


def known_as(stmts: Sequence[Stmt], saved: tuple[Var, ...]) -> dict[Var, str]:
    """A name for each saved value: its own, or that of the array from which it was read."""
    found = {v: v.hint for v in saved}
    for s in stmts:
        if isinstance(s, Op) and s.prim.name in READS and s.outs[0] in found and not s.outs[0].hint:
            found[s.outs[0]] = getattr(s.args[0], "hint", "")
    return found


def counters(s: For | While) -> dict[Var, tuple[Atom, Op]]:
    """Integer carries that grow by a constant: known from the iteration's number, never saved."""
    params, _ = carried(s)
    defs = {v: t for t in s.body.stmts if isinstance(t, Op) for v in t.outs}
    found: dict[Var, tuple[Atom, Op]] = {}
    for p, init, r in zip(params, s.inits, s.body.results, strict=False):
        op = defs.get(r) if isinstance(r, Var) else None
        if p.type.rank or p.type.dtype.kind != "i" or op is None:
            continue
        left, right = op.args if len(op.args) == 2 else (None, None)
        if (op.prim.name in ("add", "sub") and left is p and isinstance(right, Lit)) or (
            op.prim.name == "add" and right is p and isinstance(left, Lit)
        ):
            found[p] = (init, op)
    return found


def taping(s: For | While, p: Plan, primal: set[Var]) -> tuple[Stmt, dict[Var, Var], Dim]:
    """The forward loop with stacks of what is saved; the stacks; the number of iterations.  New variables join `primal`."""
    names = known_as(p.forward, p.saved)
    if isinstance(s, For):
        kept = {v: _stack(v, s.count, names[v]) for v in p.saved}
        primal.update(kept.values())
        body = Block(s.body.params, p.forward, (*s.body.results, *p.saved))
        new: Stmt = dataclasses.replace(s, body=body, outs=(*s.outs, *kept.values()), stacks=s.stacks + len(kept))
        return new, kept, s.count
    if p.saved:
        sym = s.count or Sym("trips")
        kept = {v: _stack(v, size(sym), names[v]) for v in p.saved}
        primal.update(kept.values())
        body = Block(s.body.params, p.forward, (*s.body.results, *p.saved))
        new = dataclasses.replace(
            s, body=body, outs=(*s.outs, *kept.values()), stacks=s.stacks + len(kept), count=sym
        )
        return new, kept, size(sym)
    # nothing to save: only the number of iterations must be known
    n = len(s.inits)
    before, test, total = Var(INT, "trips"), Var(INT, "trips"), Var(INT, "trips")
    with building() as b:
        after = PRIMITIVES["add"](before, literal(1, INT.dtype))
    r = s.body.results
    new = dataclasses.replace(
        s,
        inits=(*s.inits, literal(0, INT.dtype)),
        cond=Block((*s.cond.params, test), s.cond.stmts, s.cond.results),
        body=Block((*s.body.params, before), (*p.forward, *b.stmts), (*r[:n], after, *r[n:])),
        outs=(*s.outs[:n], total, *s.outs[n:]),
    )
    primal.update((before, test, total, after))
    sym = Sym("trips")
    bind_size(total, sym=sym, upper=None)
    return new, {}, size(sym)


def from_tape(
    s: For | While, p: Plan, kept: dict[Var, Var], count: Dim, steps: dict[Var, tuple[Atom, Op]], copier: Fresh,
    place: Callable[[Atom], Atom] | None = None,
) -> Block:  # fmt: skip
    """The adjoint's body with loads of what was saved; `copier` copies it; `place`: the index of the k-th turn on the tape, if not k."""
    used = set(free_vars(p.adjoint))
    with building() as b:
        params = copier.defines(p.adjoint.params)
        index: Atom = params[0]
        if place is not None:
            copier.env[p.adjoint.params[0]] = index = place(params[0])
        for v, stack in kept.items():
            if v in used:
                with at(v.pos, v.hint or stack.hint.removesuffix("_saved")):
                    copier.env[v] = load(stack, params[0])
        for v, (init, op) in steps.items():
            if v in used and v not in kept:
                turn: Atom = index
                if isinstance(s, For) and s.reverse:
                    turn = size_value(count) - literal(1, INT.dtype) - index
                by = next(a for a in op.args if isinstance(a, Lit))
                with at(v.pos, v.hint):
                    copier.env[v] = convert_to(op.prim(init, turn * by), v.type.dtype)
        for t in p.adjoint.stmts:
            b.add(copier.stmt(t))
        results = copier.atoms(p.adjoint.results)
    return dce(Block(params, tuple(b.stmts), results))
