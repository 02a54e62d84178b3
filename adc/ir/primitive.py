"""The record of a primitive: everything that adc knows of one operation, in one place.

A primitive answers to Python objects (`calls`, looked up by identity), gives a type, NumPy text,
code for loops, its jvp and vjp, and the samples from which all of its tests come.

The rules are ordinary functions that call other ops, so they serve every target and compose to
any order:

    jvp(args, outs, dots, params)  -> the outs' tangents;     a zero tangent is None, in and out
    vjp(args, outs, bars, params)  -> the args' cotangents;   a zero cotangent is None, in and out

Batching needs no rule: `vmap` makes a `For` that stacks (docs/design/vmap.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Union

from adc.ir.program import Params, Tensor

TypeRule = Callable[[tuple[Tensor, ...], Params], tuple[Tensor, ...]]
Dots = tuple[Any, ...]
Rule = Callable[[tuple[Any, ...], tuple[Any, ...], Dots, Params], Dots]


@dataclass(frozen=True)
class Pointwise:
    """Loops: `out[i] = scalar(a[i], b[i], …)`; the text uses only `math`, `np` scalars and operators."""

    scalar: str | Callable[[tuple[str, ...], tuple[Tensor, ...], Params], str]


@dataclass(frozen=True)
class View:
    """Loops: `out[i, j] = arg[source(i, j)]`, never a copy of its own.

    `index(coords, types, params, sizes, scalars)` maps output coordinates (texts) to the first
    argument's coordinates (texts); `sizes(dim)` gives the text of a dim, `scalars` the texts of the
    remaining (rank-0 int) arguments.  With `loads` (gather) the remaining arguments are arrays:
    `index` gets a sixth argument, `load(k, coords)`, the text of one element of argument k.
    """

    index: Callable[..., tuple[str, ...]]
    loads: bool = False


@dataclass(frozen=True)
class Reduction:
    """Loops: combine over the axes in `params["axes"]` with `sum prod max min any all`."""

    kind: str


@dataclass(frozen=True)
class Contraction:
    """Loops: sums of products by an index equation, `"...ik,...kj->...ij"`, maybe from the params."""

    equation: str | Callable[[tuple[Tensor, ...], Params], str]


@dataclass(frozen=True)
class Update:
    """Loops: `out` is the first argument with some elements set or added to.

    For every coordinate of the second argument `v`: `out[index(coords)] = v[coords]`, or `+=`.
    `index` and `loads` are as in `View`.  With `loads` (scatter) two coordinates may meet in one
    element: the loop must run in C order, and the last one written stays.
    """

    mode: str  # "set" | "add"
    index: Callable[..., tuple[str, ...]]
    loads: bool = False


@dataclass(frozen=True)
class Routine:
    """Loops: a call of a plain-loop function on flat C-ordered buffers.

    `fn(*arg_pointers, *out_pointers, *sizes)` where the sizes are the dims of every argument in
    order; rank-0 arguments are passed as scalars and rank-0 results as one-element buffers.
    `params` lists static parameters appended as ints.  `work(types, params)` gives the dims of
    float64 scratch buffers, passed after the outs.
    """

    fn: Callable[..., Any]
    params: tuple[str, ...] = ()
    work: Callable[[tuple[Tensor, ...], Params], tuple[tuple[Any, ...], ...]] | None = None
    fails: str = ""
    """What is wrong when `fn` returns a number other than 0 (NumPy raises LinAlgError then)."""


@dataclass(frozen=True)
class Special:
    """Loops: handled by name in the lowering (effects, sizes, creation)."""

    name: str


Loops = Union[Pointwise, View, Reduction, Contraction, Update, Routine, Special]


@dataclass(frozen=True)
class Sample:
    """Arguments for a rule's tests: NumPy arrays or scalars, and params.

    `differentiable` may be switched off where a point lies on a kink or the op has no derivative.
    `call` is how a user would say it in NumPy, on the same arguments: the reference value.
    """

    args: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    differentiable: bool = True


@dataclass(frozen=True, eq=False)
class Primitive:
    """One operation.  Calling it emits an op at the current builder and returns its value(s)."""

    name: str
    type: TypeRule
    numpy: str | Callable[..., str]
    """`"np.sin({0})"`, or `fn(arg_texts, types, params, dim_text) -> text` for the readable source."""
    loops: Loops
    jvp: Rule | None
    """None: integers, booleans and effects; outs have no tangent."""
    vjp: Rule | None
    samples: Callable[[], tuple[Sample, ...]]
    reference: Callable[..., Any] | None = None
    """NumPy on arrays: `reference(*args, **params)`, the value every target must give."""
    calls: tuple[Any, ...] = ()
    prepare: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None = None
    """Turns a call as written (promotion, broadcasting, defaults) into exact (args, params)."""
    defines: tuple[str, ...] = ()
    """Params that are size symbols defined by this op."""
    effect: bool = False
    cheap: bool = False
    """Recomputing costs no more than a load: never worth saving for the reverse sweep."""

    def __call__(self, *args: Any, **params: Any) -> Any:
        from adc.ir.build import current

        if self.prepare is not None:
            args, params = self.prepare(*args, **params)
        outs = current().op(self, args, params)
        return outs[0] if len(outs) == 1 else outs

    def __repr__(self) -> str:
        return self.name
