"""Loops whose tape would be too large: some states are kept, and steps are run again from them.

In: a loop that the tape planner has looked at, and a limit in bytes.  Out: the loop in segments, whose forward sweep
keeps the state at the start of each, and the walk back, which runs one segment at a time again with its tape.

    for t in range(T): u = step(u)

    for s in range(segments):                        for s in reversed(range(segments)):
        u_kept[s] = u                          then      u = u_kept[s]
        for t in range(span): u = step(u)                for t in range(span): u_saved[t] = u; u = step(u)
                                                         for t in reversed(range(span)): u_bar = adjoint(u_saved[t], u_bar)

Where that is too much, segments have parts and these are run again too.  `transform/checkpoints.py` says how a loop is cut.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Set
from typing import Any

import numpy as np

from adc.errors import TapeError, fail
from adc.ir import (
    Atom,
    Block,
    Dim,
    For,
    Held,
    Size,
    Stmt,
    Sym,
    Tensor,
    Var,
    While,
    at,
    build_for,
    build_if,
    building,
    current,
    literal,
    size,
)
from adc.ir.dce import dce
from adc.ir.dims import floordiv
from adc.ops.access import Arg, At, Slice
from adc.ops.registry import PRIMITIVES
from adc.ops.structure import bind_size, check, size_value
from adc.transform.checkpoints import chosen, cut_with, least, memory, up
from adc.transform.prepare import Fresh, as_carries, load
from adc.transform.report import Checkpoints, Saved
from adc.transform.stacks import stack_hint

INT = Tensor(np.dtype("i8"))
Bars = tuple[Atom, ...]


class Segments:
    """One loop in segments.  Turns are counted from 0 in the order in which they run; the user's index follows from them."""

    def __init__(
        self, loop: For | While, forward: tuple[Stmt, ...], saved: tuple[Var, ...], names: dict[Var, str], limit: int, nested: bool, maybe_none: Set[Sym],
        aside: Dim,
    ):  # fmt: skip
        # values are those of the sweep that saves: a custom rule's `fwd`, not its function
        loop = dataclasses.replace(loop, body=Block(loop.body.params, forward, loop.body.results))
        self.loop, self.names, self.nested = loop, names, nested
        self.trips = Sym("trips")
        self.s = s = loop if isinstance(loop, For) else self.counted(loop)
        stacks = tuple(Var(Tensor(v.type.dtype, (size(s.count), *v.type.dims)), v.hint, v.pos) for v in saved)
        results, outs = s.body.results[: s.carries], s.outs[: s.carries]
        again = For(s.count, s.inits[: s.carries], Block(s.body.params, s.body.stmts, (*results, *saved)), (*outs, *stacks), (), len(stacks), s.reverse, s.pos)
        (taped,) = dce(Block((), (again,), stacks), effects=False).stmts
        assert isinstance(taped, For)
        self.taped = taped
        self.needed = [s.body.params.index(p) - 1 for p in self.taped.body.params[1:]]
        advance = dataclasses.replace(
            again, inits=self.taped.inits, outs=tuple(s.outs[k] for k in self.needed), stacks=0,
            body=Block(self.taped.body.params, s.body.stmts, tuple(s.body.results[k] for k in self.needed)),
        )  # fmt: skip
        self.advance: For | None = next((t for t in dce(Block((), (advance,), advance.outs), effects=False).stmts if isinstance(t, For)), None)
        state = [s.outs[k] for k in self.needed]
        self.cut = chosen(s.count, memory(saved), memory(state), limit, maybe_none, aside, isinstance(loop, While))
        if self.cut.fits() is False:
            numbers = (s.count, self.cut.step, self.cut.state, aside)
            known = all(isinstance(n, int) for n in numbers)
            raise fail(TapeError, "tape_limit", s.pos, what=self.complaint(least(*numbers) if known else None))  # type: ignore[arg-type]

    def counted(self, loop: While) -> For:
        """The loop as it runs again: its trips are known then."""
        n = len(loop.inits)
        body = Block((Var(INT, "k"), *loop.body.params), loop.body.stmts, loop.body.results[:n])
        return For(size(self.trips), loop.inits, body, loop.outs[:n], (), 0, False, loop.pos)

    def complaint(self, least: int | None = None) -> str:
        cut = self.cut
        inner = f" and needs {cut.aside} for its own loops" if cut.aside != 0 else ""
        head = f"the tape of this loop does not fit into {cut.limit:,} bytes: an iteration saves {cut.step} bytes{inner}, a kept state takes {cut.state}, and"
        if cut.open:
            return f"{head} only a run knows how many iterations there are"
        about = f"{cut.levels + 1} * ({cut.count} * ({cut.step}) * ({cut.state})**{cut.levels}) ** (1/{cut.levels + 1})"
        need = f"at least {least:,} bytes" if least is not None else f"at least about {about} bytes{' more than those' if inner else ''}"
        return f"{head} {cut.count} iterations need {need}"

    # ------------------------------------------------------------ sizes

    def named(self, d: Dim, hint: str, upper: Dim | None = None) -> Dim:
        """A size with a name of its own; none in branches and in loops over examples, for what is kept goes out of them."""
        if isinstance(d, int) or self.nested:
            return d
        sym = Sym(hint)
        bind_size(size_value(d), sym=sym, upper=d if upper is None else upper)
        return size(sym)

    def start(self) -> None:
        """What both sweeps need to know; asks whether it fits."""
        message = self.complaint()
        span = self.named(self.cut.span, "span")
        cut = cut_with(self.cut, span)
        self.cut = cut = dataclasses.replace(cut, cap=self.named(cut.cap, "cap"))
        if cut.open:
            if not isinstance(cut.bytes, int):
                check(PRIMITIVES["less_equal"](size_value(cut.bytes), literal(cut.limit, INT.dtype)), code="tape_limit", message=message)
            return
        if cut.fits() is None:
            with at(self.s.pos, "fits"):
                fits = PRIMITIVES["less_equal"](size_value(cut.bytes), literal(cut.limit, INT.dtype))
            long = PRIMITIVES["less_equal"](size_value(cut.count), size_value(cut.reach))
            check(PRIMITIVES["and"](fits, long), code="tape_limit", message=message)
        self.strides: list[Dim] = []
        length = cut.count
        for _ in range(cut.levels - 1):
            length = self.named(cut.stride(length), "stride")
            self.strides.append(length)
        self.strides.append(cut.span)
        self.count = cut.segments if self.nested else self.named(up(cut.count, self.strides[0]), "segments", cut.segments)

    def length(self, stride: Dim, start: Atom, end: Atom) -> Atom:
        """The steps of a segment."""
        n = PRIMITIVES["minimum"](size_value(stride), end - start)
        return PRIMITIVES["maximum"](n, literal(0, INT.dtype)) if self.nested else n

    def bound(self, n: Atom | Dim, hint: str, upper: Dim, about: Dim) -> Dim:
        """A size of one turn of a loop of segments: `about` is that of most turns."""
        if isinstance(n, int):
            return n
        sym = Held(hint)
        bind_size(size_value(n) if isinstance(n, Size) else n, sym=sym, upper=upper, about=about)
        return size(sym)

    # ------------------------------------------------------------ steps

    def run(self, loop: For, first: Atom, n: Dim, inits: Bars, turn: Callable[[Atom], Atom] | None = None) -> tuple[Var, ...]:
        """Run n turns of a loop from turn `first` on; stacks have one row per turn run."""
        copier = Fresh(self.names)
        index = Var(INT, loop.index.hint, loop.index.pos)
        copier.env[loop.index] = index
        params = copier.defines(loop.body.params[1:])
        with building(index, *params) as b:
            copier.env[loop.index] = self.place(first, index)
            for t in loop.body.stmts:
                b.add(copier.stmt(t))
            results = copier.atoms(loop.body.results)
        stacked = loop.body.results[len(loop.inits) :]
        outs = (
            *(Var(Tensor(v.type.dtype, v.type.dims), v.hint, v.pos) for v in loop.outs[: len(loop.inits)]),
            *(Var(Tensor(v.type.dtype, (size(n), *v.type.dims)), stack_hint(getattr(v, "hint", "")), getattr(v, "pos", None)) for v in stacked),
        )
        current().add(For(n, inits, b.block(results), outs, loop.reduce, loop.stacks, False, loop.pos))
        return outs

    def place(self, first: Atom, turn: Atom) -> Atom:
        """The user's index at the turn `first + turn`."""
        with at(self.s.pos, self.s.index.hint):
            k = PRIMITIVES["add"](first, turn)
            return size_value(size(self.s.count) - 1) - k if self.s.reverse else k

    def forward(self) -> tuple[tuple[Stmt, ...], tuple[Var, ...]]:
        """The loop in segments, for its own results, with what is kept of it."""
        if isinstance(self.loop, While):
            return self.online(self.loop)
        with building() as b, at(self.s.pos):
            self.start()
            s = with_carried_stacks(self.s)
            end = size_value(size(s.count))

            def segment(k: Var, *state: Var) -> Any:
                first = k * size_value(self.strides[0])
                n = self.bound(self.length(self.strides[0], first, end), "n", s.count, self.strides[0])
                outs = self.run(s, first, n, state)
                return outs, (), tuple(state[j] for j in self.needed)

            _, _, kept = build_for(self.count, s.inits, segment, hints=tuple(v.hint for v in s.outs), index_hint="s")
            made = b.stmts.pop()
            assert isinstance(made, For)
            kept = tuple(Var(v.type, kept_hint(self.s.outs[j].hint or v.hint), v.pos) for v, j in zip(kept, self.needed, strict=True))
            b.stmts.append(dataclasses.replace(made, outs=(*s.outs, *kept)))
        return tuple(b.stmts), kept

    def online(self, loop: While) -> tuple[tuple[Stmt, ...], tuple[Var, ...]]:
        """The loop as it is, keeping a state every `stride` turns; when there are too many, every other one is dropped.

        Wang, Moin and Iaccarino, Minimal repetition dynamic checkpointing, SIAM J. Sci. Comput. 31, 2009, do it state by state.
        """
        n = len(loop.inits)
        with building() as b, at(loop.pos):
            self.start()
            cap, span = self.cut.cap, self.cut.span
            types = [Tensor(loop.outs[k].type.dtype, (size(cap), *loop.outs[k].type.dims)) for k in self.needed]
            rows = tuple(Var(t, kept_hint(loop.body.params[k].hint), loop.pos) for t, k in zip(types, self.needed, strict=True))
            empty = tuple(map(room, rows))
            first = (literal(0, INT.dtype), size_value(span))
            turn, stride = Var(INT, "turn"), Var(INT, "stride")
            with building() as inner:
                full = PRIMITIVES["equal"](turn, size_value(cap) * stride)
                now = build_if(full, lambda: (*self.halved(rows), stride * literal(2, INT.dtype)), lambda: (*rows, stride))
                held, wide = now[:-1], now[-1]
                due = PRIMITIVES["equal"](PRIMITIVES["mod"](turn, wide), literal(0, INT.dtype))
                with at(loop.pos, "row"):
                    row = PRIMITIVES["floordiv"](turn, wide)
                state = [loop.body.params[k] for k in self.needed]
                held = build_if(due, lambda: tuple(put(h, v, row) for h, v in zip(held, state, strict=True)), lambda: held)
                after = PRIMITIVES["add"](turn, literal(1, INT.dtype))
            tests = (Var(INT, "turn"), Var(INT, "stride"), *(Var(t, v.hint) for t, v in zip(types, rows, strict=True)))
            ends = (Var(INT, "turns"), Var(INT, "stride"), *(Var(t, v.hint, v.pos) for t, v in zip(types, rows, strict=True)))
            r = loop.body.results
            b.add(dataclasses.replace(
                loop,
                inits=(*loop.inits, *first, *empty),
                cond=Block((*loop.cond.params, *tests), loop.cond.stmts, loop.cond.results),
                body=Block((*loop.body.params, turn, stride, *rows), (*inner.stmts, *loop.body.stmts), (*r[:n], after, wide, *held, *r[n:])),
                outs=(*loop.outs[:n], *ends, *loop.outs[n:]),
            ))  # fmt: skip
            enough = PRIMITIVES["less_equal"](ends[1], size_value(span * cap))
            check(enough, code="tape_limit", message=self.complaint())
        return tuple(b.stmts), ends

    def halved(self, kept: tuple[Var, ...]) -> Bars:
        """Every other state, at the front."""

        def move(i: Var, *rows: Var) -> Any:
            return tuple(put(v, load(v, i * literal(2, INT.dtype)), i) for v in rows), (), ()

        return build_for(floordiv(self.cut.cap, 2), kept, move, hints=tuple(v.hint for v in kept))[0]

    def backward(self, kept: tuple[Var, ...], bars: Bars, adjoint: Callable[[Atom, Dim, tuple[Var, ...], Bars], Bars], hints: tuple[str, ...]) -> Bars:
        """The walk back: `adjoint(first, n, stacks, bars)` emits that of n turns from `first` on, with their tape."""
        if isinstance(self.loop, While):
            turns, stride, *rows = kept
            kept = tuple(rows)
            bind_size(turns, sym=self.trips, upper=None)
            wide = self.bound(stride, "stride", self.cut.span * self.cut.cap, self.cut.span)
            self.strides = [wide, self.cut.span]
            self.count = up(size(self.trips), wide)
        end = size_value(size(self.s.count))

        def segment(k: Var, *inner: Var) -> Any:
            first = k * size_value(self.strides[0])
            return self.down(0, first, self.length(self.strides[0], first, end), self.states(kept, k), inner, adjoint, hints), (), ()

        return build_for(self.count, bars, segment, reverse=True, hints=hints, index_hint="s")[0]

    def states(self, kept: tuple[Var, ...], k: Atom) -> Bars:
        found = []
        for v, j in zip(kept, self.needed, strict=True):
            with at(v.pos, self.s.body.params[j + 1].hint):
                found.append(load(v, k))
        return tuple(found)

    def down(self, level: int, first: Atom, length: Atom, state: Bars, bars: Bars, adjoint: Any, hints: tuple[str, ...]) -> Bars:
        """The adjoint of `length` turns from `first` on, from the state before them."""
        if level == self.cut.levels - 1:
            n = self.bound(length, "n", self.cut.tape, self.cut.span)
            stacks = self.run(self.taped, first, n, state)[len(state) :]
            return adjoint(first, n, stacks, bars)  # type: ignore[no-any-return]
        whole, piece = self.strides[level : level + 2]
        stride = size_value(piece)
        most = self.cut.span * self.cut.cap if self.cut.open else self.s.count
        steps = self.bound(length, "length", most, whole)
        length = size_value(steps)
        parts = self.bound(up(steps, piece), "parts", self.cut.parts, floordiv(whole, piece))

        def keep(p: Var, *now: Var) -> Any:
            # the last part runs with its tape below: only the state before it is wanted
            rest = (size_value(parts - 1) - p) * stride
            n = self.bound(PRIMITIVES["minimum"](stride, rest), "n", most, piece)
            assert self.advance is not None
            return self.run(self.advance, first + p * stride, n, now), (), now

        kept: tuple[Var, ...] = ()
        if self.needed:
            names = tuple(self.s.body.params[j + 1].hint for j in self.needed)
            _, _, kept = build_for(parts, state, keep, hints=names, index_hint="p")
            renamed = tuple(Var(v.type, kept_hint(h), v.pos) for v, h in zip(kept, names, strict=True))
            made = current().stmts.pop()
            assert isinstance(made, For)
            current().add(dataclasses.replace(made, outs=(*made.outs[: len(state)], *renamed)))
            kept = renamed

        def part(p: Var, *inner: Var) -> Any:
            begin = p * stride
            n = PRIMITIVES["minimum"](stride, length - begin)
            return self.down(level + 1, first + begin, n, self.states(kept, p), inner, adjoint, hints), (), ()

        return build_for(parts, bars, part, reverse=True, hints=hints, index_hint="p")[0]

    def report(self) -> Checkpoints:
        return Checkpoints(self.cut.limit, self.s.count, self.count, self.pieces, self.cut.levels, self.cut.tape, self.cut.state)

    @property
    def pieces(self) -> Dim:
        """Kept states of further levels."""
        total: Dim = 0
        for whole, piece in itertools.pairwise(self.strides):
            total = floordiv(whole, piece) + total
        return total

    def kept(self) -> tuple[Saved, ...]:
        """The states that are kept, at all levels."""
        states = self.pieces + self.count
        found = [self.s.body.params[j + 1] for j in self.needed]
        return tuple(Saved(kept_hint(v.hint), v.pos.line if v.pos else None, v.type, size(states) * memory((v,))) for v in found)


def room(v: Var) -> Any:
    """An array like `v`, whose rows are written before they are read."""
    with at(v.pos, v.hint):
        return PRIMITIVES["empty"](dims=v.type.dims, dtype=v.type.dtype)


def put(stack: Atom, v: Atom, k: Atom) -> Any:
    """The stack with another slice `k`."""
    return PRIMITIVES["update"](stack, v, k, axes=(At(Arg(0)), *(Slice(0, d) for d in v.type.dims)))


def kept_hint(name: str) -> str:
    return f"{name}_kept" if name else "kept"


def with_carried_stacks(s: For) -> For:
    """The loop with its stacks and reduces as carries: they are handed from segment to segment."""
    s = as_carries(s, tuple(kind != "sum" for kind in s.reduce))
    carries, reduces, stacks = s.split(s.body.results)
    outs = s.split(s.outs)[2]
    arrays = tuple(Var(Tensor(v.type.dtype, v.type.dims), v.hint, v.pos) for v in outs)
    sums = tuple(Var(Tensor(v.type.dtype, v.type.dims), v.hint, v.pos) for v in s.split(s.outs)[1])
    with building() as b, at(s.pos):
        added = tuple(PRIMITIVES["add"](p, r) for p, r in zip(sums, reduces, strict=True))
        written = tuple(put(a, v, s.index) for a, v in zip(arrays, stacks, strict=True))
    empty = tuple(map(room, arrays))
    body = Block((*s.body.params, *sums, *arrays), (*s.body.stmts, *b.stmts), (*carries, *added, *written))
    return dataclasses.replace(s, inits=(*s.inits, *empty), body=body, reduce=(), stacks=0)
