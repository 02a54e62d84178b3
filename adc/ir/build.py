"""Writing programs: statements are added to the current builder.

Rules and transformations call ops as functions; each call adds one `Op` here, with the position
and hints that are current.

>>> from adc.ops import sin                                        # doctest: +SKIP
>>> fn = trace("f", (scalar("f8"),), lambda x: (sin(x) * 2.0,))    # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from adc.errors import Pos
from adc.ir.dims import Dim, Sym
from adc.ir.program import Atom, Block, For, Function, Guard, If, Lit, Op, Params, Stmt, Tensor, Var, While

if TYPE_CHECKING:
    from adc.ir.primitive import Primitive


class Builder:
    """A block under construction."""

    def __init__(self, params: tuple[Var, ...] = ()):
        self.params = params
        self.stmts: list[Stmt] = []
        self.defs: dict[Var, Op] = {}
        self.facts: dict[Any, Any] = {}  # what ops/ranges.py knows of this block's values
        self.sizes: dict[Sym, Atom | None] = {}  # symbols defined by statements (unknown at entry, maybe 0): by which integer

    def add(self, stmt: Stmt) -> tuple[Var, ...]:
        self.stmts.append(stmt)
        if isinstance(stmt, Op):
            self.defs.update((v, stmt) for v in stmt.outs)
            self.sizes.update((stmt.params[key], stmt.args[0] if stmt.args else None) for key in stmt.prim.defines)
        elif isinstance(stmt, While) and stmt.count is not None:
            self.sizes[stmt.count] = None
        return stmt.outs

    def op(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Var, ...]:
        frozen = Params(params)
        types = prim.type(tuple(a.type for a in args), frozen)
        outs = tuple(Var(t, _state.hint, _state.pos) for t in types)
        self.add(Op(prim, tuple(args), frozen, outs, _state.pos))
        return outs

    def block(self, results: tuple[Atom, ...]) -> Block:
        return Block(self.params, tuple(self.stmts), tuple(results))


class _State(threading.local):
    def __init__(self) -> None:
        self.builders: list[Builder] = []
        self.pos: Pos | None = None
        self.hint: str = ""
        self.guards: list[Guard] = []


_state = _State()


def current() -> Builder:
    return _state.builders[-1]


@contextlib.contextmanager
def building(*params: Var) -> Iterator[Builder]:
    """A new block: statements go to it until the end of the `with`."""
    builder = Builder(tuple(params))
    _state.builders.append(builder)
    try:
        yield builder
    finally:
        _state.builders.pop()


@contextlib.contextmanager
def at(pos: Pos | None, hint: str = "") -> Iterator[None]:
    """Ops emitted inside carry this position (and hint)."""
    old = _state.pos, _state.hint
    _state.pos, _state.hint = pos, hint
    try:
        yield
    finally:
        _state.pos, _state.hint = old


def definition(v: Any) -> Op | None:
    """The op that defined `v`, in the blocks now being written."""
    for b in reversed(_state.builders):
        if v in b.defs:
            return b.defs[v]
    return None


def fact(key: Any) -> Any:
    """What was noted under `key` in the blocks now being written, or None."""
    for b in reversed(_state.builders):
        if key in b.facts:
            return b.facts[key]
    return None


def run_time_sizes() -> dict[Sym, Atom | None]:
    """The symbols in scope that statements define, so that no guard at entry can speak of them: their integers."""
    return {sym: a for b in _state.builders for sym, a in b.sizes.items()}


def here() -> Pos | None:
    return _state.pos


@contextlib.contextmanager
def guarding() -> Iterator[list[Guard]]:
    """Collects the guards on sizes that ops ask for while a program is written."""
    old, _state.guards = _state.guards, []
    try:
        yield _state.guards
    finally:
        _state.guards = old


def guard(g: Guard) -> None:
    """Ask for a condition on the sizes at entry (once)."""
    if all((g.kind, g.left, g.right) != (h.kind, h.left, h.right) for h in _state.guards):
        _state.guards.append(g)


def trace(name: str, types: tuple[Tensor, ...], fn: Callable[..., tuple[Atom, ...]], hints: tuple[str, ...] = ()) -> Function:
    """The program of `fn` on fresh parameters of the given types."""
    names = hints or tuple(f"x{i}" for i in range(len(types)))
    params = tuple(Var(t, h) for t, h in zip(types, names, strict=True))
    with building(*params) as b:
        results = tuple(fn(*params))
    return Function(name, params, b.block(results))


def build_for(
    count: Dim,
    inits: tuple[Atom, ...],
    body: Callable[..., tuple[tuple[Atom, ...], tuple[Atom, ...], tuple[Atom, ...]]],
    reduce: tuple[str, ...] = (),
    reverse: bool = False,
    hints: tuple[str, ...] = (),
    index_hint: str = "i",
) -> tuple[tuple[Var, ...], tuple[Var, ...], tuple[Var, ...]]:
    """Emit a `For`; `body(index, *carries)` returns (carries, reduces, stacks).  Gives the three kinds of outs."""
    import numpy as np

    from adc.ir.dims import size

    n_carry = len(inits) - len(reduce)
    index = Var(Tensor(np.dtype("i8")), index_hint)
    names = hints or ("",) * n_carry
    params = tuple(Var(_strong(a.type), h, _state.pos) for a, h in zip(inits[:n_carry], names, strict=False))
    with building(index, *params) as b:
        carries, reduces, stacks = body(index, *params)
    block = b.block((*carries, *reduces, *stacks))
    outs = (
        *(Var(p.type, p.hint, _state.pos) for p in params),
        *(Var(_strong(a.type), _hint(r), _state.pos) for a, r in zip(inits[n_carry:], reduces, strict=True)),
        *(Var(Tensor(a.type.dtype, (size(count), *a.type.dims)), _hint(a), _state.pos) for a in stacks),
    )
    stmt = For(count, tuple(inits), block, outs, tuple(reduce), len(stacks), reverse, _state.pos)
    current().add(stmt)
    return stmt.split(outs)


def build_while(
    inits: tuple[Atom, ...],
    cond: Callable[..., Atom],
    body: Callable[..., tuple[tuple[Atom, ...], tuple[Atom, ...]]],
    hints: tuple[str, ...] = (),
) -> tuple[tuple[Var, ...], tuple[Var, ...], Sym | None]:
    """Emit a `While`; `body(*carries)` returns (carries, stacks).  Gives (carries, stacks, count)."""
    from adc.ir.dims import size

    names = hints or ("",) * len(inits)
    types = tuple(_strong(a.type) for a in inits)
    with building(*(Var(t, h) for t, h in zip(types, names, strict=False))) as cb:
        flag = cond(*cb.params)
    with building(*(Var(t, h) for t, h in zip(types, names, strict=False))) as bb:
        carries, stacks = body(*bb.params)
    count = Sym("trips") if stacks else None
    outs = tuple(Var(t, h, _state.pos) for t, h in zip(types, names, strict=False))
    if count is not None:
        outs += tuple(Var(Tensor(a.type.dtype, (size(count), *a.type.dims)), _hint(a)) for a in stacks)
    current().add(
        While(tuple(inits), cb.block((flag,)), bb.block((*carries, *stacks)), outs, len(stacks), count, _state.pos)
    )
    return outs[: len(inits)], outs[len(inits) :], count


def build_if(
    cond: Atom, then: Callable[[], tuple[Atom, ...]], orelse: Callable[[], tuple[Atom, ...]]
) -> tuple[Var, ...]:
    """Emit an `If`; both branches return values of equal types."""
    with building() as tb:
        a = tuple(then())
    with building() as eb:
        b = tuple(orelse())
    outs = tuple(Var(_strong(x.type), _hint(x) or _hint(y), _state.pos) for x, y in zip(a, b, strict=True))
    current().add(If(cond, tb.block(a), eb.block(b), outs, _state.pos))
    return outs


def _strong(t: Tensor) -> Tensor:
    return Tensor(t.dtype, t.dims)


def _hint(a: Atom) -> str:
    return a.hint if isinstance(a, Var) else ""


def literal(value: bool | int | float, dtype: Any = None) -> Lit:
    """A constant; without a dtype it is weak, as a Python number is."""
    import numpy as np

    if dtype is not None:
        dt = np.dtype(dtype)
        cast: Any = bool(value) if dt.kind == "b" else int(value) if dt.kind in "iu" else float(value)
        return Lit(cast, Tensor(dt))
    if isinstance(value, bool):
        return Lit(value, Tensor(np.dtype("?")))
    kind = "i8" if isinstance(value, int) else "f8"
    return Lit(value, Tensor(np.dtype(kind), (), True))
