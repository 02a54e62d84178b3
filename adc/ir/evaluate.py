"""The meaning of a program: every op by its NumPy reference, every statement as Python would run it.

In: a function and NumPy arguments.  Out: the results as NumPy values.  It is slow and obvious on
purpose: the tests compare everything else with it.

>>> from adc.ir import trace, scalar, F8                                     # doctest: +SKIP
>>> evaluate_program(trace("f", (scalar(F8),), lambda x: (x * x,)), (3.0,))   # doctest: +SKIP
(np.float64(9.0),)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from adc.errors import CheckError, Diagnostic, ShapeError, StageError, failed_check
from adc.ir.dims import Dim, Size, Sym, evaluate, size, symbols
from adc.ir.program import Atom, Block, Call, For, Function, If, Lit, Op, Params, Stmt, Tensor, Var, While

MAX_TRIPS = 10_000_000

COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def evaluate_program(fn: Function, args: Sequence[Any]) -> tuple[Any, ...]:
    """Run `fn` on NumPy arrays and numbers."""
    with np.errstate(all="ignore"):
        return _Machine().call(fn, args)


def _failed(code: str, pos: Any, message: str) -> CheckError:
    # every code of a check is a message of its own; its text was made when the program was staged
    return failed_check(code, pos, message or code)


class _Machine:
    def __init__(self) -> None:
        self.env: dict[Var, Any] = {}
        self.sizes: dict[Sym, int] = {}

    # ------------------------------------------------------------ values

    def get(self, a: Atom) -> Any:
        return a.type.dtype.type(a.value) if isinstance(a, Lit) else self.env[a]

    def dims(self, value: Any) -> Any:
        """Params with every size replaced by its number."""
        if isinstance(value, Size):
            return evaluate(value, self.sizes)
        if isinstance(value, Sym):
            return self.sizes[value]
        if isinstance(value, Params | dict):
            return {k: self.dims(v) for k, v in value.items()}
        if isinstance(value, tuple):
            return tuple(self.dims(v) for v in value)
        if isinstance(value, Tensor):
            return Tensor(value.dtype, self.dims(value.dims), value.weak)
        if dataclasses.is_dataclass(value) and not isinstance(value, type | Var | Lit | Function):
            fields = {f.name: self.dims(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return dataclasses.replace(value, **fields)
        return value

    def put(self, v: Var, x: Any, what: str) -> None:
        """Bind a variable; its type must be what was promised, its own symbols are learnt."""
        x = np.asarray(x)
        if x.dtype != v.type.dtype:
            raise StageError(Diagnostic("internal", v.pos, {"what": f"{what} gave {x.dtype} for {v!r}"}))
        if x.ndim != v.type.rank:
            raise StageError(Diagnostic("internal", v.pos, {"what": f"{what} gave rank {x.ndim} for {v!r}"}))
        for have, dim in zip(x.shape, v.type.dims, strict=True):
            if isinstance(dim, Size) and dim.is_symbol and dim.terms[0][0][0] not in self.sizes:
                sym = dim.terms[0][0][0]
                assert isinstance(sym, Sym)
                self.sizes[sym] = have
            elif evaluate(size(dim), self.sizes) != have:
                raise StageError(Diagnostic("internal", v.pos, {"what": f"{what} gave shape {x.shape} for {v!r}"}))
        self.env[v] = x[()] if x.ndim == 0 else x

    # ------------------------------------------------------------ statements

    def call(self, fn: Function, args: Sequence[Any]) -> tuple[Any, ...]:
        late: list[tuple[int, Dim, Any]] = []
        for p, a in zip(fn.params, args, strict=True):
            x = np.asarray(a, p.type.dtype)
            if x.ndim != p.type.rank:
                raise ShapeError(f"argument {p.hint} has rank {x.ndim}, expected {p.type}")
            for have, dim in zip(x.shape, p.type.dims, strict=True):
                if isinstance(dim, Size) and dim.is_symbol and dim.terms[0][0][0] not in self.sizes:
                    self.sizes[dim.terms[0][0][0]] = have  # type: ignore[index]
                else:
                    late.append((have, dim, p))
            self.env[p] = x[()] if x.ndim == 0 else x
        for have, dim, p in late:
            if evaluate(dim, self.sizes) != have:
                raise ShapeError(next((g.message for g in fn.guards), f"argument {p.hint} does not fit {p.type}"))
        for g in fn.guards:
            if not all(s in self.sizes for d in (g.left, g.right) for s in symbols(size(d))):
                continue  # a symbol that was replaced by its equal; the parameters' shapes were compared above
            left, right = evaluate(size(g.left), self.sizes), evaluate(size(g.right), self.sizes)
            if left != right if g.kind == "equal" else left < right:
                raise ShapeError(g.message)
        return self.block(fn.body)

    def block(self, b: Block) -> tuple[Any, ...]:
        for s in b.stmts:
            self.stmt(s)
        return tuple(self.get(r) for r in b.results)

    def enter(self, b: Block, values: Sequence[Any]) -> tuple[Any, ...]:
        for p, x in zip(b.params, values, strict=True):
            self.put(p, x, "an iteration")
        return self.block(b)

    def stmt(self, s: Stmt) -> None:
        match s:
            case Op():
                self.op(s)
            case If():
                results = self.block(s.then if bool(self.get(s.cond)) else s.orelse)
                for v, x in zip(s.outs, results, strict=True):
                    self.put(v, x, "a branch")
            case For():
                self.loop(s)
            case While():
                self.repeat(s)
            case Call():
                inner = _Machine()
                for v, x in zip(s.outs, inner.call(s.fn, [self.get(a) for a in s.args]), strict=True):
                    self.put(v, x, f"the call of {s.fn.name}")

    def op(self, s: Op) -> None:
        args = [self.get(a) for a in s.args]
        name = s.prim.name
        if name == "bind_size":
            n = int(args[0])
            if n < 0:
                raise StageError(Diagnostic("internal", s.pos, {"what": f"size {s.params['sym']} is {n}"}))
            self.sizes[s.params["sym"]] = n
            return
        if name == "check":
            if not bool(args[0]):
                raise _failed(s.params.get("code", "assertion"), s.pos, str(s.params.get("message", "")))
            return
        for key in s.prim.defines:  # a symbol inside a loop is new in every iteration
            self.sizes.pop(s.params[key], None)
        if s.prim.reference is None:
            raise StageError(Diagnostic("internal", s.pos, {"what": f"{name} has no reference"}))
        params = self.dims({k: v for k, v in s.params.items() if k not in s.prim.defines})
        got = s.prim.reference(*args, **params)
        results = got if len(s.outs) != 1 or isinstance(got, tuple) else (got,)
        for v, x in zip(s.outs, results, strict=True):
            self.put(v, x, name)

    def loop(self, s: For) -> None:
        count = int(evaluate(size(s.count), self.sizes))
        inits = [self.get(a) for a in s.inits]
        carries, reduces = inits[: s.carries], inits[s.carries :]
        _, _, stack_types = s.split(tuple(v.type for v in s.outs))
        stacks: list[list[Any]] = [[None] * count for _ in range(s.stacks)]
        for i in reversed(range(count)) if s.reverse else range(count):
            carries, reduced, slices = map(list, s.split(self.enter(s.body, [np.int64(i), *carries])))
            reduces = [COMBINE[k](a, b) for k, a, b in zip(s.reduce, reduces, reduced, strict=True)]
            for column, x in zip(stacks, slices, strict=True):
                column[i] = x
        full = [np.array(c) if c else np.zeros(self.dims(t.dims), t.dtype) for c, t in zip(stacks, stack_types, strict=True)]
        for v, x in zip(s.outs, [*carries, *reduces, *full], strict=True):
            self.put(v, x, "a loop")

    def repeat(self, s: While) -> None:
        values: tuple[Any, ...] = tuple(self.get(a) for a in s.inits)
        stacks: list[list[Any]] = [[] for _ in range(s.stacks)]
        trips = 0
        while bool(self.enter(s.cond, values)[0]):
            results = self.enter(s.body, values)
            values = results[: len(s.inits)]
            for column, x in zip(stacks, results[len(s.inits) :], strict=True):
                column.append(x)
            trips += 1
            if trips > MAX_TRIPS:
                raise StageError(Diagnostic("internal", s.pos, {"what": f"a loop did not end after {trips} trips"}))
        if s.count is not None:
            self.sizes[s.count] = trips
        types = [v.type for v in s.outs[len(s.inits) :]]
        full = [np.array(c) if c else np.zeros(self.dims(t.dims), t.dtype) for c, t in zip(stacks, types, strict=True)]
        for v, x in zip(s.outs, [*values, *full], strict=True):
            self.put(v, x, "a loop")
