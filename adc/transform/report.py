"""What the reverse sweep keeps: one report for each loop (and each branch that saves something).

In: nothing; `vjp` fills it.  Out: `reports(fn)` for a function that `vjp` made; `adc.explain` shows it.

>>> reports(vjp(fn, (0,)))[0].saved          # doctest: +SKIP
(Saved(hint='x', line=3, type=f8, bytes=8*n),)
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

from adc.errors import Pos
from adc.ir import Dim, Function, Tensor


@dataclass(frozen=True)
class Saved:
    """One value kept for the reverse sweep: its name, the line that computes it, all its bytes."""

    hint: str
    line: int | None
    type: Tensor
    bytes: Dim


@dataclass(frozen=True)
class Checkpoints:
    """How a loop was cut under a limit: what is kept beside the tape of a few steps."""

    limit: int
    count: Dim
    """Iterations of the loop."""
    states: Dim
    """Kept states of the loop itself."""
    parts: Dim
    """Kept states of one of its segments; 0 where a segment is run again whole."""
    levels: int
    span: Dim
    """Steps whose tape is there at once."""
    state: Dim
    """The bytes of one kept state."""


@dataclass(frozen=True)
class LoopReport:
    """What one loop (`kind` "for" or "while") or branch ("if") saves; `recomputed` ops run again in reverse."""

    kind: str
    pos: Pos | None
    count: Dim
    saved: tuple[Saved, ...]
    recomputed: int
    whole: tuple[str, ...] = ()
    """Arrays changed in place that still had to be saved whole in every iteration."""
    checkpoints: Checkpoints | None = None
    """How the loop was cut, if its tape was too large; `saved` then holds the states kept, and what is left of the tape."""

    @property
    def bytes(self) -> Dim:
        total: Dim = 0
        for s in self.saved:
            total = total + s.bytes
        return total

    def __str__(self) -> str:
        line = f"line {self.pos.line}" if self.pos else "a loop"
        if not self.saved:
            return f"{line}: {self.kind} saves nothing, computes {self.recomputed} ops again"
        names = ", ".join(f"{s.hint or 'a value'} ({s.bytes} bytes)" for s in self.saved)
        return f"{line}: {self.kind} saves {names}; computes {self.recomputed} ops again"


_TABLE: weakref.WeakKeyDictionary[Function, tuple[LoopReport, ...]] = weakref.WeakKeyDictionary()


def attach(fn: Function, found: tuple[LoopReport, ...]) -> None:
    """Note what was planned while `fn` was made."""
    _TABLE[fn] = found


def reports(fn: Function) -> tuple[LoopReport, ...]:
    """What each loop of a function made by `vjp` saves, outer loops after inner ones."""
    return _TABLE.get(fn, ())
