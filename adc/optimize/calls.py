"""Calls that were kept whole for a rule have served: their bodies are put in place.

In: a function with `Call`s.  Out: none of them.

    y = call checkpoint f(x)   ->   the statements of f
"""

from __future__ import annotations

from adc.ir import Call, Function, Stmt, bind_sizes
from adc.optimize.rebuild import Rebuild


class _Inline(Rebuild):
    def emit(self, s: Stmt) -> None:
        if not isinstance(s, Call):
            super().emit(s)
            return
        args = self.atoms(s.args)
        for p, a in zip(s.fn.params, args, strict=True):
            bind_sizes(p.type.dims, a.type.dims, self.sizes)
        self.env.update(zip(s.fn.params, args, strict=True))
        for inner in s.fn.body.stmts:
            self.emit(inner)
        self.env.update(zip(s.outs, self.atoms(s.fn.results), strict=True))


def inline_calls(fn: Function) -> Function:
    """`fn` without calls."""
    return _Inline().function(fn)
