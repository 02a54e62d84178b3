"""What a derivative costs: what the reverse sweep saves, computes again, and how many operations it takes.

In: a build (a compilation that has run) and the arguments of a call.  Out: an `Explanation`, which prints as a table
of loops and holds everything as fields.  Sizes are expressions, and numbers where the arguments decide them.

>>> print(adc.grad(loss).explain(x, 1000))                                # doctest: +SKIP
loss_grad
  line 7: for saves x (8*n bytes = 8,000); computes 2 ops again
saved: 8*n bytes = 8,000
operations: 2*n = 2,000 for the value, 8*n = 8,000 for the gradient: 4.0 times as many
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.api import trees
from adc.api.pipeline import Build
from adc.ir import (
    Atom,
    Block,
    Call,
    Contraction,
    Dim,
    For,
    Function,
    If,
    Lit,
    Op,
    Pointwise,
    Reduction,
    Routine,
    Sym,
    Update,
    Var,
    While,
    bind_sizes,
    dim_max,
    product,
    size,
    substitute,
    symbols,
    walk,
)
from adc.ir.evaluate import _Machine
from adc.ir.primitive import Special
from adc.transform import Checkpoints, LoopReport

Known = dict[Sym, int]


@dataclass(frozen=True)
class Cost:
    """An expression in the sizes, and its number for the arguments (None where data decide it differently each time)."""

    expression: Dim
    number: int | None

    def __str__(self) -> str:
        if isinstance(self.expression, int):
            return f"{self.expression:,}"
        return f"{self.expression}" + (f" = {self.number:,}" if self.number is not None else "")


@dataclass(frozen=True)
class Kept:
    """A value kept for the reverse sweep: the user's name, the line that computes it, its bytes."""

    name: str
    line: int | None
    type: str
    bytes: Cost


@dataclass(frozen=True)
class Cut:
    """A loop under `tape_limit`: states kept of the loop and of one segment, steps whose tape is there at once, and
    how often a step runs at most."""

    limit: int
    states: Cost
    parts: Cost
    span: Cost
    state: Cost
    runs: int

    def __str__(self) -> str:
        parts = f", and of a segment {self.parts}" if self.parts.expression != 0 else ""
        runs = 2 if self.parts.number == 1 else self.runs
        times = {2: "twice", 3: "three times"}.get(runs, f"{runs} times")
        return (
            f"    checkpointed under {self.limit:,} bytes: of the states ({self.state} bytes each) {self.states} are kept{parts}\n"
            f"    the tape is there for {self.span} iterations at once; each iteration runs at most {times}\n"
        )


@dataclass(frozen=True)
class Loop:
    """What one loop (or branch) saves and computes again; `whole`: arrays that had to be kept entire each iteration."""

    kind: str
    line: int | None
    text: str
    trips: Cost
    saved: tuple[Kept, ...]
    recomputed: int
    whole: tuple[str, ...]
    cut: Cut | None = None

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else f"a {self.kind}"
        head = f"{place}: {self.text or self.kind}\n{self.cut or ''}"
        again = f"    computes {self.recomputed} operation{'s' * (self.recomputed != 1)} an iteration again"
        if not self.saved:
            return head + "    saves nothing\n" + again
        kept = "".join(
            f"    saves {s.name or 'a value'}: {s.type}" + (f", computed in line {s.line}" if s.line else "") + f": {s.bytes} bytes\n" for s in self.saved
        )
        whole = f"\n    kept entire in every iteration: {', '.join(self.whole)}" if self.whole else ""
        return head + kept + again + whole


@dataclass(frozen=True)
class Explanation:
    name: str
    loops: tuple[Loop, ...]
    bytes: Cost
    primal_operations: Cost
    operations: Cost
    kernel: tuple[str, ...] = ()
    """What the compiler did to the loops of the machine code; empty for the numpy target."""

    @property
    def ratio(self) -> float | None:
        """How many times the operations of the function its derivative takes."""
        a, b = self.primal_operations.number, self.operations.number
        return b / a if a and b is not None else None

    def __str__(self) -> str:
        loops = "".join(f"  {line}\n" for loop in self.loops for line in str(loop).splitlines())
        nothing = "  no loop saves anything\n"
        times = f" ({self.ratio:.1f} times as many)" if self.ratio is not None else ""
        return (
            f"{self.name}\n{loops or nothing}"
            f"saved in all: {self.bytes} bytes\n"
            f"operations: {self.primal_operations} for the function, {self.operations} for {self.name}{times}"
            + "".join(f"\n  {line}" for line in (("in machine code:", *self.kernel) if self.kernel else ()))
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for `--json`."""
        def cost(c: Cost) -> dict[str, Any]:
            return {"expression": str(c.expression), "number": c.number}

        return {
            "name": self.name,
            "bytes": cost(self.bytes),
            "primal_operations": cost(self.primal_operations),
            "operations": cost(self.operations),
            "ratio": self.ratio,
            "kernel": list(self.kernel),
            "loops": [
                {"kind": l.kind, "line": l.line, "text": l.text, "trips": cost(l.trips), "recomputed": l.recomputed, "whole": list(l.whole),
                 **({"checkpoints": {"limit": l.cut.limit, "states": cost(l.cut.states), "parts": cost(l.cut.parts), "span": cost(l.cut.span), "state": cost(l.cut.state), "runs": l.cut.runs}} if l.cut else {}),
                 "saved": [{"name": s.name, "line": s.line, "type": s.type, "bytes": cost(s.bytes)} for s in l.saved]}
                for l in self.loops
            ],
        }  # fmt: skip


# ---------------------------------------------------------------- counting


def operations(block: Block) -> Dim:
    """Scalar arithmetic operations of a block: one per element of an elementwise result, two per product summed."""
    total: Dim = 0
    for s in block.stmts:
        match s:
            case Op():
                total = total + _op(s)
            case For():
                each = operations(s.body)
                total = total + s.count * (each + len(s.reduce)) if isinstance(s.count, int) else s.count * (each + len(s.reduce)) + total
            case While():
                trips: Dim = size(s.count) if s.count is not None else size(Sym("trips"))
                total = trips * (operations(s.body) + operations(s.cond)) + total
            case If():
                total = dim_max(operations(s.then), operations(s.orelse)) + total
            case Call():
                total = operations(s.fn.body) + total
    return total


def _op(s: Op) -> Dim:
    loops = s.prim.loops
    outs = product(s.outs[0].type.dims) if s.outs else 0
    if isinstance(loops, Special) or s.prim.effect or s.prim.name == "convert":
        return 0
    # integers compute places, which the processor's address units and the compiler take for nothing
    if s.outs and s.outs[0].type.dtype.kind in "iub" and not s.outs[0].type.dims:
        return 0
    if isinstance(loops, Pointwise):
        return 0 if s.prim.name in ("copy", "stop_gradient") else outs
    if isinstance(loops, Reduction):
        return product(s.args[0].type.dims)
    if isinstance(loops, Contraction):
        equation = loops.equation if isinstance(loops.equation, str) else loops.equation(tuple(a.type for a in s.args), s.params)
        return _contraction(equation, s.args)
    if isinstance(loops, Update):
        return product(s.args[1].type.dims) if loops.mode == "add" else 0
    if isinstance(loops, Routine):
        return product(s.args[0].type.dims)
    return 0


def _contraction(equation: str, args: tuple[Atom, ...]) -> Dim:
    """Twice the number of products: the product of the extents of all letters."""
    extents: dict[str, Dim] = {}
    for part, a in zip(equation.split("->")[0].split(","), args, strict=True):
        names, dims = part.strip(), list(a.type.dims)
        if "..." in names:
            lead, tail = names.split("...")
            free = len(dims) - len(lead) - len(tail)
            letters = [*lead, *(f"...{free - k}" for k in range(free)), *tail]
        else:
            letters = list(names)
        for letter, d in zip(letters, dims, strict=True):
            if extents.get(letter, 1) == 1:
                extents[letter] = d
    return 2 * product(extents.values())


# ---------------------------------------------------------------- numbers


class _Largest(dict[Sym, int]):
    """Sizes as a run binds them; remembers those that took several values."""

    def __init__(self) -> None:
        super().__init__()
        self.varied: set[Sym] = set()

    def __setitem__(self, key: Sym, value: int) -> None:
        if key in self and self[key] != value:
            self.varied.add(key)
        super().__setitem__(key, value)


def at_entry(params: tuple[Var, ...], values: list[Any]) -> Known:
    """The sizes that the arguments decide."""
    table: dict[Any, Dim] = {}
    for p, v in zip(params, values, strict=True):
        bind_sizes(p.type.dims, tuple(np.shape(v)), table)
    return {s: d for s, d in table.items() if isinstance(d, int)}


def from_integers(block: Block, known: Known, env: dict[Var, Any]) -> None:
    """Adds the sizes that follow from integer arguments: `range(n)`, `np.zeros(n - 1)`."""
    for s in block.stmts:
        if isinstance(s, Op):
            _integer_op(s, known, env)
        elif isinstance(s, For):
            from_integers(s.body, known, env)
        elif isinstance(s, If):
            from_integers(s.then, known, env)
            from_integers(s.orelse, known, env)


def _integer_op(s: Op, known: Known, env: dict[Var, Any]) -> None:
    args: list[Any] = [a.type.dtype.type(a.value) if isinstance(a, Lit) else env.get(a) for a in s.args]
    if any(a is None for a in args):
        return
    if s.prim.name == "bind_size":
        known[s.params["sym"]] = int(args[0] or 0)
    elif s.prim.name == "size":
        n = number(s.params["dim"], known)
        if n is not None:
            env[s.outs[0]] = np.int64(n)
    elif s.prim.reference is not None and len(s.outs) == 1 and s.outs[0].type.dtype.kind == "i" and not s.outs[0].type.dims:
        if all(not np.shape(a) for a in args):
            env[s.outs[0]] = s.prim.reference(*args, **s.params)


def number(d: Dim, known: Mapping[Sym, int]) -> int | None:
    from adc.ir import evaluate

    return int(evaluate(size(d), known)) if all(s in known for s in symbols(size(d))) else None


def sizes_of(params: tuple[Var, ...], body: Block, values: list[Any] | None, wanted: list[Dim]) -> Known:
    """Numbers for the symbols of `wanted`; what only a run can tell is found by running the program, step by step."""
    if values is None or len(values) != len(params) or any(np.ndim(v) != p.type.rank for p, v in zip(params, values, strict=True)):
        return {}
    known = at_entry(params, values)
    from_integers(body, known, {p: p.type.dtype.type(v) for p, v in zip(params, values, strict=True) if not p.type.dims and p.type.dtype.kind == "i"})
    if named(known, wanted, set()):
        return known
    machine = _Machine()
    seen = _Largest()
    machine.sizes = seen
    typed = [np.asarray(v, p.type.dtype)[()] for p, v in zip(params, values, strict=True)]
    with np.errstate(all="ignore"):
        machine.call(Function("explained", params, Block(params, body.stmts, body.results)), typed)
    known = {**{s: n for s, n in seen.items() if s not in seen.varied}, **known}
    named(known, wanted, {s.hint for s in seen.varied})
    return known


def named(known: Known, wanted: list[Dim], not_these: set[str]) -> bool:
    """Numbers for the symbols of `wanted` that copies of the program renamed, by their name where it says one number; are all known?"""
    missing = {s for d in wanted for s in symbols(size(d)) if s not in known}
    for s in missing:
        alike = {n for other, n in known.items() if other.hint == s.hint}
        if len(alike) == 1 and s.hint not in not_these:
            known[s] = alike.pop()
    return all(s in known for s in missing)


# ---------------------------------------------------------------- the report


def explain(build: Build, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Explanation:
    """The explanation of a build for these arguments; without arguments (or with types), expressions only."""
    from adc.optimize import optimize

    assert build.block is not None
    values = _values(build, args, kwargs)
    params = (*build.params, *(v for _, v in build.captures))
    wanted = [s.bytes for r in build.plans for s in r.saved]
    known = sizes_of(params, build.block, values, [*wanted, *(r.count for r in build.plans)])
    total: Dim = 0
    for d in wanted:
        total = d + total if not isinstance(d, int) else total + d
    primal = optimize(build.primals[0])
    for r in build.plans:  # trips of a `while` are known by their name in the program without the derivative, too
        named(known, [r.count], set())
    return Explanation(
        build.name,
        tuple(_loop(r, known) for r in build.plans),
        Cost(total, number(total, known)),
        _count(primal, values, known),
        _count(build.program, values, known),
        _story(build),
    )


def _story(build: Build) -> tuple[str, ...]:
    if build.target != "cpu":
        return ()
    from adc.lower.whole import lower

    kernel = build.kernel if build.kernel is not None else lower(build.program)
    return tuple(kernel.story)


def _values(build: Build, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
    leaves = trees.flatten((args, kwargs))[0]
    # the leaves that became static are those that the build was given as values
    types = trees.flatten((build.args, build.kwargs))[0]
    if len(leaves) != len(types) or not all(trees.is_runtime(x) for x in leaves if not _static(x)):
        return None
    from adc.ir import Tensor

    mine = [x for x, t in zip(leaves, types, strict=True) if isinstance(t, Tensor)]
    if any(isinstance(x, Tensor) for x in mine):
        return None
    return [*mine, *(c.get() for c, _ in build.captures)]


def _static(x: Any) -> bool:
    return not trees.is_runtime(x)


def _count(fn: Function, values: list[Any] | None, also: Known) -> Cost:
    expression = operations(fn.body)
    about = {s.params["sym"]: s.params["about"] for s in walk(fn.body) if isinstance(s, Op) and "about" in s.params}
    while any(sym in about for sym in symbols(size(expression))):  # sizes of one segment, in those of the whole loop
        expression = substitute(expression, about)
    known = sizes_of(fn.params, fn.body, values, [expression])
    if values is not None:
        known = {**also, **known}
        named(known, [expression], set())
    return Cost(expression, number(expression, known))


def _loop(r: LoopReport, known: Known) -> Loop:
    kept = tuple(Kept(s.hint, s.line, str(s.type), Cost(s.bytes, number(s.bytes, known))) for s in r.saved)
    return Loop(
        r.kind,
        r.pos.line if r.pos else None,
        r.pos.text.strip() if r.pos else "",
        Cost(r.count, number(r.count, known)),
        kept,
        r.recomputed,
        r.whole,
        _cut(r.checkpoints, known) if r.checkpoints is not None else None,
    )


def _cut(c: Checkpoints, known: Known) -> Cut:
    def cost(d: Dim) -> Cost:
        return Cost(d, number(d, known))

    return Cut(c.limit, cost(c.states), cost(c.parts), cost(c.span), cost(c.state), c.levels + 1)


__all__ = ["Cost", "Cut", "Explanation", "Kept", "Loop", "explain", "operations"]
