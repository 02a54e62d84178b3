"""The compiled programs behind sparse derivatives: compressed sweeps and local blocks.

In: `(*args, extras, **kwargs)`: the arguments, and what the plan found (colours, where the entries stand).  Out: flat
arrays of entries, in the order of the plan.

    Forward    for every colour one tangent of that colour's columns; entries taken from (colours × results)
    Reverse    for every colour one cotangent of that colour's rows; entries taken from (colours × arguments)
    Products   for every colour one Hessian-vector product
    Blocks     the local Jacobians of loops over observations (`transform/local_blocks.py`)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.api.apply import (
    Result,
    Stage,
    bound_dims,
    emit,
    grad,
    leaves_of,
    relabel,
    reshape,
    typed,
    wanted,
    with_results,
)
from adc.api.pipeline import close
from adc.api.transformed import Transformed
from adc.errors import StageError, UnsupportedError, fail
from adc.frontend import Leaf
from adc.ir import Atom, Dim, Function, Tensor, Var, build_for, building, literal, product, walk
from adc.ir.dce import dce_function
from adc.ops.core import promote, with_dims
from adc.ops.ranges import know
from adc.ops.registry import PRIMITIVES, lookup
from adc.ops.structure import convert_to
from adc.optimize.cse import cse
from adc.optimize.loops import loops
from adc.transform.additions import additions
from adc.transform.local_blocks import Split, split
from adc.transform.prepare import finish

FEW = 8
SHORT = 300
"""Sweeps, and statements of all of them, that may be written out: what they share is then computed once."""


def tidy(fn: Function) -> Function:
    """`fn` without plain calls, dead code and repetitions; nothing that has a derivative of its own is touched."""
    for run in (finish, dce_function, loops, cse, additions, dce_function):
        fn = run(fn)
    return fn


class Staged:
    """The function as every program here sees it: tidy, with all results floats."""

    def __init__(self, stage: Stage, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], fun: Any, argnums: Any, what: str):
        args, kwargs = typed(inner, types)
        self.wrt, self.part = wanted(argnums, inner, types, what, [getattr(a, "hint", "") for a in atoms])
        staged, captured = stage(fun, args, kwargs)
        self.tree, self.captured = staged.out_tree, captured
        self.own = (*atoms, *captured)
        fn, order = staged.function, leaves_of(staged.out_tree)
        for k in order:
            if not fn.results[k].type.is_float:
                raise fail(UnsupportedError, "type", fn.pos, what=f"{what} of a result of dtype {fn.results[k].type.dtype}", instead="return floats only")
        self.fn = tidy(with_results(fn, lambda *r: tuple(r[k] for k in order)))

    def split(self) -> Split | None:
        return split(self.fn, self.wrt)


class Probe(Transformed):
    """The function itself; remembers what it was staged to, for the plan to look at."""

    def __init__(self, fun: Any, options: dict[str, Any]):
        super().__init__("sparse_probe", fun, options, "numpy")
        self.found: dict[tuple[Atom, ...], Staged] = {}

    def __adc_apply__(self, stage: Any, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Any, ...]) -> Result:
        seen = Staged(stage, in_tree, types, atoms, self.fun, self.options["argnums"], self.options["what"])
        self.found[tuple(atoms)] = seen
        return emit(seen.fn, seen.own), tuple(Leaf(k) for k in range(len(seen.fn.results)))


class _Program(Transformed, ABC):
    """A program of `(*args, extras, **kwargs)`."""

    def __adc_apply__(self, stage: Any, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Any, ...]) -> Result:
        (*args, extras), kwargs = in_tree
        inner = (tuple(args), kwargs)
        places = leaves_of(inner)
        local = relabel(inner, {k: j for j, k in enumerate(places)})
        mine, kinds = tuple(atoms[k] for k in places), tuple(types[k] for k in places)
        given: dict[str, list[Any]] = {name: [atoms[k] for k in leaves_of(x)] for name, x in extras.items()}
        if isinstance(extras.get("palette"), range):
            given["palette"] = [extras["palette"]]
        results = self.write(stage, local, kinds, mine, given)
        return tuple(results), tuple(Leaf(k) for k in range(len(results)))

    @abstractmethod
    def write(self, stage: Any, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], given: dict[str, list[Any]]) -> list[Atom]: ...

    def staged(self, stage: Any, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...]) -> Staged:
        return Staged(stage, inner, types, atoms, self.fun, self.options["argnums"], "jacobian")

    def swept(self, seen: Staged) -> Function:
        """What the colours are of: the results, or the parts of them that no loop of observations makes."""
        if not self.options["rest"]:
            return seen.fn
        parts = seen.split()
        if parts is None:
            raise fail(StageError, "internal", seen.fn.pos, what="the parts of the program were not found again")
        return parts.rest


def _indicator(colour: Atom, c: Atom, like: Tensor, dims: tuple[Dim, ...]) -> Atom:
    """1 where the colour is `c`, else 0, in the shape of `like`."""
    equal, where = lookup(np.equal), lookup(np.where)
    assert equal is not None and where is not None
    flags = equal(with_dims(colour, dims, "the plan is of another size"), c)
    return where(flags, literal(1.0, like.dtype), literal(0.0, like.dtype))  # type: ignore[no-any-return]


def palette(colours: int, fn: Function) -> Any:
    """How the sweeps of a program are told their colours: few sweeps of short programs are written out one by one."""
    return range(colours) if colours <= FEW and colours * sum(1 for _ in walk(fn.body)) <= SHORT else np.zeros(colours, bool)


def _each_colour(colours: Any, body: Callable[[Atom], tuple[Atom, ...]]) -> tuple[Atom, ...]:
    """`body(colour)` for every colour, stacked."""
    if isinstance(colours, range):
        return tuple(PRIMITIVES["stack"](*xs, axis=0) for xs in zip(*(body(literal(c)) for c in colours), strict=True))
    n = colours.type.dims[0]

    def step(c: Var) -> tuple[tuple[Atom, ...], tuple[Atom, ...], tuple[Atom, ...]]:
        know(c, 0, n - 1)
        return (), (), body(c)

    return build_for(n, (), step)[2]


def _entries(stacked: Atom, places: Atom) -> Atom:
    """The elements of a stack that the plan asks for; it counts them in C order."""
    return PRIMITIVES["gather"](reshape(stacked, (product(stacked.type.dims),)), places)  # type: ignore[no-any-return]


class Forward(_Program):
    """extras: palette, colour per differentiated argument, places per result."""

    def write(self, stage: Any, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], given: dict[str, list[Any]]) -> list[Atom]:
        from adc import transform

        seen = self.staged(stage, inner, types, atoms)
        fn = self.swept(seen)
        d = transform.jvp(fn, tuple(k in seen.wrt for k in range(len(fn.params))))

        def sweep(c: Atom) -> tuple[Atom, ...]:
            seeds = {k: _indicator(x, c, fn.params[k].type, seen.own[k].type.dims) for k, x in zip(seen.wrt, given["colour"], strict=True)}
            return emit(d, (*seen.own, *(seeds[k] for k in sorted(seeds))))[len(fn.results) :]

        stacks = _each_colour(given["palette"][0], sweep)
        return [_entries(x, p) for x, p in zip(stacks, given["places"], strict=True)]


class Reverse(_Program):
    """extras: palette, colour per result, places per differentiated argument."""

    def write(self, stage: Any, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], given: dict[str, list[Any]]) -> list[Atom]:
        from adc import transform

        seen = self.staged(stage, inner, types, atoms)
        fn = self.swept(seen)
        d = transform.vjp(fn, seen.wrt, False)

        def sweep(c: Atom) -> tuple[Atom, ...]:
            bars = [_indicator(x, c, r.type, bound_dims(r, fn, seen.own)) for r, x in zip(fn.results, given["colour"], strict=True)]
            return emit(d, (*seen.own, *bars))

        stacks = _each_colour(given["palette"][0], sweep)
        return [_entries(x, p) for x, p in zip(stacks, given["places"], strict=True)]


class Along(_Program):
    """One tangent; extras: a direction per differentiated argument."""

    def write(self, stage: Any, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], given: dict[str, list[Any]]) -> list[Atom]:
        from adc import transform

        seen = self.staged(stage, inner, types, atoms)
        d = transform.jvp(seen.fn, tuple(k in seen.wrt for k in range(len(seen.fn.params))))
        dots = {k: with_dims(x, seen.own[k].type.dims, "a direction of another size") for k, x in zip(seen.wrt, given["along"], strict=True)}
        return list(emit(d, (*seen.own, *(dots[k] for k in sorted(dots))))[len(seen.fn.results) :])


class Gradient:
    """The gradient as a function, for Hessians."""

    def __init__(self, stage: Any, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], fun: Any, argnums: Any):
        self.wrt, self.part = wanted(argnums, inner, types, "sparse_hessian", [getattr(a, "hint", "") for a in atoms])
        params = tuple(Var(a.type, getattr(a, "hint", "x")) for a in atoms)
        with building(*params) as b:
            results, _ = grad(stage, inner, types, params, fun=fun, argnums=argnums, has_aux=False, value=False)
        fn, outer = close("gradient", params, b, results)
        self.fn, self.own = tidy(fn), (*atoms, *outer)


class GradientProbe(Transformed):
    """The gradient itself; remembers its program, for the plan to look at."""

    def __init__(self, fun: Any, options: dict[str, Any]):
        super().__init__("sparse_gradient", fun, options, "numpy")
        self.found: dict[tuple[Atom, ...], Gradient] = {}

    def __adc_apply__(self, stage: Any, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Any, ...]) -> Result:
        seen = Gradient(stage, in_tree, types, atoms, self.fun, self.options["argnums"])
        self.found[tuple(atoms)] = seen
        return emit(seen.fn, seen.own), tuple(Leaf(k) for k in range(len(seen.fn.results)))


class Products(_Program):
    """Hessian-vector products; extras: palette, colour per differentiated argument, one array of places."""

    def write(self, stage: Any, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], given: dict[str, list[Any]]) -> list[Atom]:
        from adc import transform

        seen = Gradient(stage, inner, types, atoms, self.fun, self.options["argnums"])
        d = transform.jvp(seen.fn, tuple(k in seen.wrt for k in range(len(seen.fn.params))))

        def sweep(c: Atom) -> tuple[Atom, ...]:
            seeds = {k: _indicator(x, c, atoms[k].type, atoms[k].type.dims) for k, x in zip(seen.wrt, given["colour"], strict=True)}
            return emit(d, (*seen.own, *(seeds[k] for k in sorted(seeds))))[len(seen.fn.results) :]

        stacks = _each_colour(given["palette"][0], sweep)
        joint = promote(tuple(x.type for x in stacks))
        flat = [reshape(convert_to(x, joint), (product(x.type.dims),)) for x in stacks]
        whole = flat[0] if len(flat) == 1 else PRIMITIVES["concatenate"](*flat, axis=0)
        return [PRIMITIVES["gather"](whole, given["places"][0])]


class Blocks(_Program):
    """Local Jacobians; no extras."""

    def write(self, stage: Any, inner: Any, types: tuple[Tensor, ...], atoms: tuple[Atom, ...], given: dict[str, list[Any]]) -> list[Atom]:
        seen = self.staged(stage, inner, types, atoms)
        parts = seen.split()
        if parts is None:
            raise fail(StageError, "internal", seen.fn.pos, what="the parts of the program were not found again")
        return [reshape(x, (product(x.type.dims),)) for x in emit(parts.values, seen.own)]




__all__ = ["Along", "Blocks", "Forward", "Gradient", "GradientProbe", "Probe", "Products", "Reverse", "Staged", "palette"]
