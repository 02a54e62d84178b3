"""Calls that were kept whole for a rule have served: their bodies are put in place.

In: a function with `Call`s.  Out: none of them.  Checkpoints come last, each simplified by itself first, so that
what it computes again is not merged with what was computed before.

    y = call checkpoint f(x)   ->   the statements of f
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from adc.ir import Atom, Call, Function, Lit, Stmt, Tensor, current, inline, walk
from adc.ir.rebuild import Rebuild
from adc.ops.structure import same_size


def inline_calls(fn: Function) -> Function:
    """`fn` without calls other than checkpoints, at any depth."""
    if not any(isinstance(s, Call) for s in walk(fn.body)):
        return fn
    return _Inline("checkpoint", None).function(fn)


def inline_checkpoints(fn: Function, simplify: Callable[[Function], Function]) -> Function:
    """`fn` without calls; the body of each is simplified alone."""
    if not any(isinstance(s, Call) for s in walk(fn.body)):
        return fn
    return _Inline("", simplify).function(fn)


class _Inline(Rebuild):
    def __init__(self, keep: str, simplify: Callable[[Function], Function] | None):
        super().__init__()
        self.keep = keep  # the rule of calls that stay
        self.simplify = simplify
        self.done: dict[Function, Function] = {}

    def callee(self, fn: Function) -> Function:
        if fn not in self.done:
            made = inline_calls(fn)
            if self.simplify is not None:
                made = inline_checkpoints(self.simplify(made), self.simplify)
            self.done[fn] = made
        return self.done[fn]

    def emit(self, s: Stmt) -> None:
        if not isinstance(s, Call):
            super().emit(s)
            return
        fn = self.callee(s.fn)
        if self.keep and s.rule == self.keep:
            new = self.stmt(s)
            assert isinstance(new, Call)
            current().add(dataclasses.replace(new, fn=fn))
            return
        results = inline(fn, self.atoms(s.args))
        for v, r in zip(s.outs, results, strict=True):
            self.env[v] = self.fitted(r, v.type)

    def fitted(self, r: Atom, t: Tensor) -> Atom:
        """A result in the caller's sizes."""
        dims = self.dims(t.dims)
        if isinstance(r, Lit) or r.type.dims == dims:
            return r
        return same_size(r, dims=dims)  # type: ignore[no-any-return]
