"""`adc.jacobian` and `adc.sparse_hessian`: derivatives as sparse matrices, at the cost of a few sweeps.

In: a function.  Out: a callable that gives `scipy.sparse` matrices; at the first call with certain sizes and indices
it finds the pattern, colours it and compiles one program, later calls run that and wrap what it gives.

    J = adc.jacobian(residuals)(x)          J.shape == (residuals, x.size), J.format == "csr"
"""

from __future__ import annotations

import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from adc.api import trees
from adc.api.functions import _as_decorator
from adc.api.transformed import SizeAssumption, Transformed, default_target
from adc.errors import CheckError, Diagnostic, UnsupportedError, fail
from adc.ir.reach import Leaf

MODES = ("auto", "forward", "reverse", "blocks")
FORMATS = ("csr", "bsr")
KEPT = 16
"""Plans kept per function and options; each is as large as its patterns."""

_planning = threading.RLock()
_plans: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


@_as_decorator
def jacobian(
    fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0, sparsity: Any = "auto", mode: str = "auto", format: str = "csr",
    check: bool = True, target: str | None = None,
) -> SparseJacobian:  # fmt: skip
    """The Jacobian as a sparse matrix: rows are the elements of the result, columns those of the argument, both in C order.

    Args:
        fun: returns float arrays or numbers, or a container of them.
        argnums: which positional arguments to differentiate; a tuple gives a tuple of matrices, as with `jacfwd`.
        sparsity: "auto" finds the pattern for all values of the arguments at these sizes and indices; "dense" takes every
            entry; a `scipy.sparse` matrix (or, for several results or arguments, the tree of them) is a pattern of your own.
        mode: "forward" (colours of columns), "reverse" (colours of rows), "blocks" (one small Jacobian per iteration
            of a loop over observations), "auto" the cheapest of them.
        format: "csr", or "bsr" where blocks were found.
        check: compare a pattern of your own with a directional derivative when it is first used, and refuse one that lacks entries.
        target: "cpu" or "numpy", as for `adc.grad`.

    Returns a function of the same arguments; its matrices are `scipy.sparse.csr_array` or `bsr_array` with entries of the
    result's dtype.  They share the arrays of their pattern, which are read-only: `J.copy()` before changing it.

    Raises: `UnsupportedError` where no pattern can be found (sizes or trip counts that depend on the values), `ShapeError`
    for a pattern of another shape, `CheckError` for one that is too small.

    >>> import numpy as np, adc
    >>> def steps(x): return x[1:] * x[:-1]
    >>> print(adc.jacobian(steps)(np.array([1.0, 2.0, 3.0])).toarray())
    [[2. 1. 0.]
     [0. 3. 2.]]
    """
    return SparseJacobian(fun, argnums, sparsity, mode, format, check, target)


@_as_decorator
def sparse_hessian(
    fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0, sparsity: Any = "auto", check: bool = True, target: str | None = None
) -> SparseHessian:
    """The Hessian of a scalar function as a sparse symmetric matrix, from a few Hessian-vector products (star colouring).

    Args:
        fun: returns one float scalar.
        argnums: which positional arguments; with several arrays the result is a tree of trees of matrices, as with `hessian`.
        sparsity, check, target: as for `jacobian`; a pattern of your own is over all elements of all arguments, and symmetric
            (one triangle suffices).

    >>> import numpy as np, adc
    >>> def energy(x): return np.sum((x[1:] - x[:-1]) ** 4)
    >>> print(adc.sparse_hessian(energy)(np.array([0.0, 1.0, 3.0])).toarray())
    [[ 12. -12.   0.]
     [-12.  60. -48.]
     [  0. -48.  48.]]
    """
    return SparseHessian(fun, argnums, sparsity, check, target)


class _Sparse(ABC):
    """What both have: plans by signature, sizes and deciding arrays."""

    what = ""

    def __init__(self, fun: Any, argnums: Any, sparsity: Any, check: bool, target: str | None):
        if not callable(fun):
            raise fail(UnsupportedError, "type", None, what=f"adc.{self.what} needs a function, not a {type(fun).__name__}", instead="pass a function")
        if isinstance(sparsity, str) and sparsity not in ("auto", "dense"):
            raise fail(UnsupportedError, "type", None, what=f"sparsity={sparsity!r}", instead='use "auto", "dense" or a scipy.sparse matrix')
        self.fun, self.argnums, self.sparsity, self.check = fun, argnums, sparsity, check
        self.target = target or default_target()
        self.probe = self.make_probe()
        self.own: dict[Any, Any] = {}
        for name in ("__doc__", "__module__", "__qualname__", "__name__"):
            if hasattr(fun, name):
                setattr(self, name, getattr(fun, name))
        self.__wrapped__ = fun

    def __repr__(self) -> str:
        return f"<adc.{self.what} of {getattr(self.fun, '__qualname__', self.fun)!s}>"

    # ------------------------------------------------------------ plans

    @abstractmethod
    def make_probe(self) -> Transformed: ...

    @abstractmethod
    def new_plan(self, program: Any, values: list[Any]) -> Any: ...

    @abstractmethod
    def options(self) -> Any: ...

    def table(self) -> dict[Any, Any]:
        """The plans; with a pattern of the caller's they are this object's own."""
        if not isinstance(self.sparsity, str):
            return self.own
        base = self.fun
        while isinstance(base, Transformed):
            base = base.fun
        mine = (self.what, self.probe.key(), self.options(), self.target)
        try:
            return _plans.setdefault(base, {}).setdefault(mine, {})  # type: ignore[no-any-return]
        except TypeError:  # cannot be remembered weakly
            return self.own

    def plan(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, list[Any]]:
        """(plan, staged program, values of its parameters) for these arguments; planned if there is no plan that holds."""
        program, leaves = self.probe.program(args, kwargs)
        values = [*leaves, *(get() for get in program.captures)]
        if program.changes:
            program.apart(values)
        values = [v if trees.is_native(v) else trees.native(v) for v in values]
        try:
            program.look(values)
        except SizeAssumption():
            program, leaves = self.probe.program(args, kwargs, exact=True)
            program.look(values)
        table = self.table()
        key = (id(program), tuple(np.shape(v) for v in values))
        # the program is kept with its plans: an id is not given away while they stand
        for held, plan in table.get(key, ()):
            if held is program and plan.holds(values):
                return plan, program, values
        with _planning:
            plan = self.new_plan(program, values)
            table[key] = [(program, plan), *table.get(key, ())][:KEPT]
            while len(table) > KEPT:
                table.pop(next(iter(table)))
        return plan, program, values

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plan, program, values = self.plan(args, kwargs)
        arrays: list[Any] = []
        for job in plan.jobs:
            arrays += job.program(*args, job.extras, **kwargs)
        made = [self.matrix(m, arrays, dtype) for m, dtype in zip(plan.matrices, plan.dtypes, strict=True)]
        if self.check and not plan.checked and not isinstance(self.sparsity, str):
            self.compare(program, values, made, args, kwargs)
            plan.checked = True
        return self.shaped(program, self.finished(plan, made))

    def finished(self, plan: Any, made: list[Any]) -> list[Any]:
        return made

    def compare(self, program: Any, values: list[Any], made: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise where the product with a random direction is not what a sweep along it gives."""
        seen = self.staged(program)
        n = len(seen.wrt)
        directions = _direction([values[k] for k in seen.wrt])
        for r, want in enumerate(self.along(seen, directions, args, kwargs)):
            row = made[r * n : (r + 1) * n]
            product = sum(m @ np.ravel(d) for m, d in zip(row, directions, strict=True))
            reach = sum(abs(m) @ np.ravel(np.abs(d)) for m, d in zip(row, directions, strict=True))
            _refuse_small(np.ravel(product), np.ravel(want), np.ravel(reach))

    @abstractmethod
    def along(self, seen: Any, directions: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    def staged(self, program: Any) -> Any:
        """What the function was staged to, when this program was made."""
        return program.build.transformed.found[program.build.params]

    def matrix(self, m: Any, arrays: list[Any], dtype: Any) -> Any:
        data = m.entries(arrays) if len(m.indices) else np.zeros(0, dtype)
        return sparse.csr_array((data, m.indices, m.indptr), shape=m.shape, copy=False)

    # ------------------------------------------------------------ reading

    def colours(self, *args: Any, **kwargs: Any) -> int:
        """How many sweeps a call makes for these arguments; blocks need none."""
        return int(self.plan(args, kwargs)[0].colours)

    def mode_of(self, *args: Any, **kwargs: Any) -> str:
        """How a call is computed for these arguments: "forward", "reverse", "blocks", "products", or two of them."""
        return str(self.plan(args, kwargs)[0].mode)

    def pattern(self, *args: Any, **kwargs: Any) -> Any:
        """The pattern alone: matrices of True where the derivative may differ from 0, in the structure of the result."""
        plan, program, _ = self.plan(args, kwargs)
        made = [sparse.csr_array((np.ones(len(m.indices), bool), m.indices.copy(), m.indptr.copy()), shape=m.shape) for m in plan.matrices]
        return self.shaped(program, made)

    def source(self, *args: Any, **kwargs: Any) -> str:
        """The NumPy source of the programs that compute the entries, for these arguments."""
        plan, _, _ = self.plan(args, kwargs)
        return "\n\n".join(job.program.source(*args, job.extras, **kwargs) for job in plan.jobs)

    @abstractmethod
    def shaped(self, program: Any, made: list[Any]) -> Any: ...


def _refuse_small(product: Any, want: Any, reach: Any) -> None:
    tolerance = 1e-3 if want.dtype == np.float32 else 1e-7
    wrong = np.flatnonzero(~(np.abs(product - want) <= tolerance * (reach + np.abs(want))) & np.isfinite(want))
    if len(wrong):
        k = int(wrong[0])
        what = f"the given pattern lacks entries in row {k}: along a random direction the derivative is {want[k]:.6g}, by the pattern {product[k]:.6g}"
        raise CheckError(Diagnostic("assertion", None, {"what": what}))


def _direction(values: list[Any]) -> list[Any]:
    rng = np.random.default_rng(20240229)
    return [rng.uniform(0.5, 1.5, np.shape(v)).astype(np.asarray(v).dtype)[()] for v in values]


def _given(sparsity: Any, count: int, what: str) -> list[Any] | None:
    """One pattern (None: full) per matrix of the result; None where patterns are to be found."""
    if isinstance(sparsity, str):
        return None if sparsity == "auto" else [None] * count
    leaves = [sparsity] if sparse.issparse(sparsity) else trees.flatten(sparsity, is_leaf=sparse.issparse)[0]
    if len(leaves) != count or not all(sparse.issparse(x) for x in leaves):
        raise fail(UnsupportedError, "type", None, what=f"sparsity holds {len(leaves)} patterns for {count} matrices of {what}", instead="give scipy.sparse matrices in the structure of the result")
    return leaves


class SparseJacobian(_Sparse):
    """What `adc.jacobian(f)` returns."""

    what = "jacobian"

    def __init__(self, fun: Any, argnums: Any, sparsity: Any, mode: str, format: str, check: bool, target: str | None):
        for given, known in ((mode, MODES), (format, FORMATS)):
            if given not in known:
                raise fail(UnsupportedError, "type", None, what=f"adc.jacobian with {given!r}", instead=f"use one of {', '.join(map(repr, known))}")
        if mode == "blocks" and not (isinstance(sparsity, str) and sparsity == "auto"):
            raise fail(UnsupportedError, "type", None, what='mode="blocks" with a pattern of your own', instead='leave sparsity="auto"')
        self.mode, self.format = mode, format
        super().__init__(fun, argnums, sparsity, check, target)

    def options(self) -> Any:
        return (self.mode, self.sparsity)

    def make_probe(self) -> Transformed:
        from adc.api.sparse_programs import Probe

        return Probe(self.fun, {"argnums": self.argnums, "what": self.what})

    def make(self, cls: Any, **more: Any) -> Transformed:
        kind = {"Forward": "sparse_forward", "Reverse": "sparse_reverse", "Blocks": "sparse_blocks"}[cls.__name__]
        return cls(kind, self.fun, {"argnums": self.argnums, **more}, self.target)  # type: ignore[no-any-return]

    def new_plan(self, program: Any, values: list[Any]) -> Any:
        from adc.api.sparse_plan import jacobian_plan

        seen = self.staged(program)
        given = _given(self.sparsity, len(seen.fn.results) * len(seen.wrt), "the Jacobian")
        return jacobian_plan(seen, values, self.mode, given, self.make)

    def finished(self, plan: Any, made: list[Any]) -> list[Any]:
        if self.format == "csr":
            return made
        return [_blocked(m, x) for m, x in zip(plan.matrices, made, strict=True)]

    def along(self, seen: Any, directions: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from adc.api.sparse_programs import Along

        return Along("sparse_along", self.fun, {"argnums": self.argnums}, self.target)(*args, {"along": tuple(directions)}, **kwargs)

    def shaped(self, program: Any, made: list[Any]) -> Any:
        seen = self.staged(program)
        return _placed(seen.tree, seen.part, made)


def _placed(tree: Any, part: Any, made: list[Any]) -> Any:
    """The structure of the result, and in each place that of the arguments."""
    inner, treedef = trees.flatten(part)
    given = iter(made)

    def row() -> Any:
        return treedef.unflatten([next(given) if isinstance(x, Leaf) else x for x in inner])

    leaves, outer = trees.flatten(tree)
    return outer.unflatten([row() if isinstance(x, Leaf) else x for x in leaves])


def _blocked(m: Any, x: Any) -> Any:
    """The matrix by blocks, sharing its entries."""
    if not len(m.indices):
        return sparse.bsr_array(x)
    if m.block is None:
        raise fail(UnsupportedError, "type", None, what='format="bsr" for a Jacobian in which no blocks of one size were found', instead='use format="csr", or its tobsr()')
    height, width = m.block
    if width == 1 and height == 1:
        return sparse.bsr_array(x)
    lined = m.indices.reshape(-1, height, width)
    if m.shape[0] % height or m.shape[1] % width or np.any(lined[:, 0, 0] % width) or np.any(lined != lined[:, :1, :1] + np.arange(width)):
        raise fail(UnsupportedError, "type", None, what='format="bsr" for blocks that do not lie on a grid', instead='use format="csr", or its tobsr()')
    counts = np.diff(m.indptr)[::height] // width
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(m.indptr.dtype)
    return sparse.bsr_array((x.data.reshape(-1, height, width), (lined[:, 0, 0] // width).astype(m.indices.dtype), indptr), shape=m.shape)


class SparseHessian(_Sparse):
    """What `adc.sparse_hessian(f)` returns."""

    what = "sparse_hessian"

    def options(self) -> Any:
        return (self.sparsity,)

    def make_probe(self) -> Transformed:
        from adc.api.sparse_programs import GradientProbe

        return GradientProbe(self.fun, {"argnums": self.argnums, "what": self.what})

    def new_plan(self, program: Any, values: list[Any]) -> Any:
        from adc.api.sparse_plan import hessian_plan
        from adc.api.sparse_programs import Products

        given = _given(self.sparsity, 1, "the Hessian")
        return hessian_plan(self.staged(program), values, given, Products("sparse_hvp", self.fun, {"argnums": self.argnums}, self.target))

    def along(self, seen: Any, directions: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        vector = _placed(seen.part, Leaf(0), directions)
        return trees.flatten(Transformed("hvp", self.fun, {"argnums": self.argnums}, self.target)(*args, vector, **kwargs))[0]

    def shaped(self, program: Any, made: list[Any]) -> Any:
        seen = self.staged(program)
        return _placed(seen.part, seen.part, made)


__all__ = ["SparseHessian", "SparseJacobian", "jacobian", "sparse_hessian"]
