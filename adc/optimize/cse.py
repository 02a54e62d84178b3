"""Equal ops are computed once.

In: a function.  Out: the same, where a pure op equal to one before it in the same or an enclosing block is gone.

    u = x * w; v = x * w; u + v   ->   u = x * w; u + u
"""

from __future__ import annotations

from typing import Any

from adc.ir import Atom, Function, Lit, Op, Params, current
from adc.ir.rebuild import Rebuild

# each makes storage of its own, which later stores overwrite
STORAGE = frozenset({"fill", "empty", "copy", "update", "accumulate", "scatter", "scatter_add"})


def cse(fn: Function) -> Function:
    """`fn` without repeated ops."""
    return _Cse().function(fn)


def pure(s: Op) -> bool:
    """Is the op's value all that it is?"""
    return not s.prim.effect and not s.prim.defines and s.prim.name not in STORAGE


class _Cse(Rebuild):
    def __init__(self) -> None:
        super().__init__()
        self.known: list[dict[Any, tuple[Atom, ...]]] = [{}]

    def enter(self) -> None:
        self.known.append({})

    def leave(self) -> None:
        self.known.pop()

    def op(self, s: Op, args: tuple[Atom, ...], params: Params) -> tuple[Atom, ...] | None:
        if not pure(s) or not s.outs:
            return None
        key = (s.prim.name, tuple(_key(a) for a in args), params, tuple(v.type.dtype for v in s.outs))
        try:
            hash(key)
        except TypeError:
            return None
        for level in self.known:
            if key in level:
                return level[key]
        new = self.stmt(s)
        current().add(new)
        self.known[-1][key] = new.outs
        return new.outs


def _key(a: Atom) -> Any:
    # repr tells -0.0 from 0.0, and one nan from none
    return (repr(a.value), a.type) if isinstance(a, Lit) else a
