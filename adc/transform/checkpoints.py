"""Loops whose tape would be too large: which get how much of a limit, and how each is cut into segments.

In: what loops save, and a limit in bytes.  Out: the loops' parts of it (`shares`); the cut of one loop (`Scheme`), which `transform/segments.py` writes.

    steps that save 80 kB, states of 80 kB, a limit of 16 MB   ->   100 steps have their tape at once, beside at most 100 kept states

With `levels` kinds of kept states, of which at most `cap` are there at once, loops of `span * cap ** levels` iterations fit, and each step
runs at most `levels + 1` times (Griewank and Walther, Evaluating Derivatives, SIAM 2008, chapter 12: multilevel checkpointing).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence, Set
from dataclasses import dataclass

from adc.ir import (
    Block,
    Call,
    Dim,
    For,
    Stmt,
    Sym,
    Var,
    While,
    at_least,
    dim_max,
    dim_min,
    product,
    size,
    symbols,
    walk,
)
from adc.ir.dce import defined_sizes
from adc.ir.dims import floordiv

DEEPEST = 4
"""So many kinds of kept states are tried where all sizes are known when compiling."""
USUAL = 2
"""So many where they are not: the second costs nothing where the first would do."""


def memory(variables: Sequence[Var]) -> Dim:
    """The bytes of one value of each."""
    total: Dim = 0
    for v in variables:
        total = product(v.type.dims) * v.type.dtype.itemsize + total
    return total


def up(a: Dim, b: Dim) -> Dim:
    """a / b, rounded up."""
    return floordiv(size(a) + b - 1, size(b))


# ---------------------------------------------------------------- who gets how much


@dataclass(frozen=True)
class Tape:
    """What an outermost loop saves where nothing is run again: all its bytes, or None where only a run can tell."""

    stmt: Stmt
    bytes: Dim | None


def shares(tapes: Sequence[Tape], limit: int) -> dict[Stmt, int]:
    """The loops that need a limit, with theirs: those that need less than an equal part leave the rest to the others."""
    waiting, left = list(tapes), limit
    while waiting:
        part = left // len(waiting)
        small = [t for t in waiting if isinstance(t.bytes, int) and t.bytes <= part]
        if not small:
            return {t.stmt: part for t in waiting}
        left -= sum(t.bytes for t in small if isinstance(t.bytes, int))
        waiting = [t for t in waiting if t not in small]
    return {}


def inner_tape(made: Sequence[Var], saved: Sequence[Var], adjoint: Block) -> Dim:
    """The bytes of the tapes of inner loops that an iteration's adjoint makes for itself, where they are known before it."""
    inside = list(walk(adjoint))
    defined = {v for s in inside for v in s.outs}
    local = set(defined_sizes(inside))
    return memory([v for v in made if v in defined and v not in saved and not any(s in local for d in v.type.dims for s in symbols(size(d)))])


def has_loops(b: Block) -> bool:
    return any(isinstance(s, For | While) or (isinstance(s, Call) and has_loops(s.fn.body)) for s in walk(b))


# ---------------------------------------------------------------- how it is cut


@dataclass(frozen=True)
class Scheme:
    """How a loop of `count` iterations is cut, where one saves `step` bytes and the state takes `state` bytes."""

    count: Dim
    step: Dim
    state: Dim
    limit: int
    levels: int
    span: Dim
    """So many steps have their tape at once."""
    cap: Dim
    """So many states of each level may be kept at once."""
    states: Dim
    """The bytes of one state of each level, at least 1."""
    aside: Dim
    """The bytes of what loops inside one iteration keep for its own adjoint."""
    open: bool
    """Only the loop's end tells how many iterations there were."""

    @property
    def reach(self) -> Dim:
        """The longest loop that fits."""
        total = self.span
        for _ in range(self.levels):
            total = total * self.cap
        return total

    @property
    def bytes(self) -> Dim:
        """The memory at most, however long the loop."""
        return self.levels * self.cap * self.state + self.span * self.step + self.aside

    @property
    def segments(self) -> Dim:
        """Kept states of the first level; it never falls when `count` grows, so memory may be planned with it."""
        return self.cap if self.open else dim_min(self.cap, dim_max(1, up(self.count, self.span)))

    @property
    def parts(self) -> Dim:
        """Kept states of a further level, at most; it never falls either."""
        return self.cap if self.open else dim_min(self.cap, dim_max(1, up(self.count, self.span * self.cap)))

    @property
    def tape(self) -> Dim:
        """Steps whose tape is there at once, at most."""
        return self.span if self.open else dim_min(self.span, self.count)

    def stride(self, length: Dim) -> Dim:
        """The steps of one segment of `length` steps, so that at most `cap` are needed."""
        return self.span * dim_max(1, up(length, self.span * self.cap))

    def fits(self) -> bool | None:
        """Is the limit kept?  None: only a run can tell."""
        room, reach = size(self.limit) - self.bytes, self.reach - self.count
        if isinstance(room, int) and room < 0:
            return False
        return room >= 0 and reach >= 0 if isinstance(room, int) and isinstance(reach, int) else None


def scheme(
    count: Dim, step: Dim, state: Dim, limit: int, levels: int, maybe_none: Set[Sym] = frozenset(), aside: Dim = 0, open: bool = False
) -> Scheme:  # fmt: skip
    """The cut with so many levels: equal parts of the limit for the tape and for each level are the best (their product counts)."""

    def some(d: Dim) -> Dim:
        known = not any(s in maybe_none for s in symbols(size(d)))
        return d if known and at_least(d, 1) else dim_max(1, d)

    span = dim_max(1, floordiv(limit - aside, (levels + 1) * some(step)))
    return cut_with(Scheme(count, step, state, limit, levels, span, 1, levels * some(state), aside, open), span)


def cut_with(cut: Scheme, span: Dim) -> Scheme:
    """The states that may be kept beside the tape of `span` steps."""
    cap = floordiv(cut.limit - cut.aside - span * cut.step, cut.states)
    # an open loop drops every other state when there are too many
    return dataclasses.replace(cut, span=span, cap=dim_max(2, floordiv(cap, 2) * 2) if cut.open else dim_max(1, cap))


def chosen(count: Dim, step: Dim, state: Dim, limit: int, maybe_none: Set[Sym], aside: Dim, open: bool) -> Scheme:
    """The cut that runs steps again least often, of those that fit; the usual one where only a run can tell."""
    if open:
        return scheme(count, step, state, limit, USUAL, maybe_none, aside, True)
    for levels in range(1, DEEPEST + 1):
        cut = scheme(count, step, state, limit, levels, maybe_none, aside)
        if cut.fits():
            return cut
        if cut.fits() is None:
            break
    return scheme(count, step, state, limit, USUAL, maybe_none, aside)


def least(count: int, step: int, state: int, aside: int = 0) -> int:
    """The smallest limit in which a loop with these numbers fits."""
    low, high = 0, max(1, count * step + state * 2 + aside)
    while high - low > 1:
        middle = (low + high) // 2
        if any(scheme(count, step, state, middle, k, aside=aside).fits() for k in range(1, DEEPEST + 1)):
            high = middle
        else:
            low = middle
    return high
