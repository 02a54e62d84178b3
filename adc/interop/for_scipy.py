"""Compiled functions for SciPy: callbacks without Python (`scipy_callable`), objectives and residuals of optimisers.

In: a function or its derivative.  Out: a `scipy.LowLevelCallable`; `Objective`, a function of a flat vector that
`scipy.optimize.minimize(…, jac=True)` takes; a pair for `scipy.optimize.least_squares`.

    quad(adc.scipy_callable(adc.grad(f, argnums=1), 0.0, bound=(2.0,)), 0.0, 1.0)
    minimize(adc.scipy_objective(loss), x0, args=(X, y), jac=True)
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from adc.api import functions, trees
from adc.interop import adapter, flat
from adc.interop.native import Bound, Native, native, refused
from adc.interop.prototypes import PROTOTYPES, Flat, ctypes_type

F8 = np.dtype("f8")
CALLERS = {
    "integrand": ("integrand", F8),
    "generic_filter": ("window_filter", F8),
    "generic_filter1d": ("line_filter", F8),
    "geometric_transform": ("coordinates", np.dtype(np.intp)),
}
"""Who calls -> (the convention, dtype of what it hands over)."""


class _State(ctypes.c_void_p):
    """The address of what a callback has bound, holding it alive."""

    bound: Bound


def scipy_callable(fn: Any, *example_args: Any, bound: tuple[Any, ...] = (), caller: str = "integrand") -> Any:
    """The compiled `fn` as a `scipy.LowLevelCallable`: SciPy calls it without Python and without the interpreter lock.

    Args:
        fn: what `adc.grad`, … return, or a plain function.
        example_args: the arguments that SciPy passes: for an integrand numbers (`x[0]`, `x[1]`, …) or one vector; for
            `generic_filter` the window, a float64 vector; for `generic_filter1d` the extended line; for
            `geometric_transform` the output coordinates, a vector (or a tuple of numbers) of int64.
        bound: the arguments behind them, fixed: arrays are copied.
        caller: "integrand" (`scipy.integrate.quad`, `nquad`, …), or the function of `scipy.ndimage` that calls:
            "generic_filter", "generic_filter1d", "geometric_transform".

    `fn` returns one float64 number (integrands and `generic_filter`), the line, or the input coordinates.

    Raises `UnsupportedError` for other arguments or results.  Where an `assert` or index of `fn` fails at run time, or a
    length does not fit, an integrand gives NaN and functions of ndimage raise `RuntimeError`.

    >>> import numpy as np, adc
    >>> from scipy.integrate import quad
    >>> f = adc.scipy_callable(adc.grad(lambda x: np.sin(x) ** 2), 0.5)
    >>> round(quad(f, 0.0, np.pi / 2.0)[0], 12)
    1.0
    """
    from scipy import LowLevelCallable

    if caller not in CALLERS:
        raise refused(f"caller={caller!r}", f"use one of {', '.join(CALLERS)}")
    convention, dtype = CALLERS[caller]
    made = native(fn, (*example_args, *bound))
    args = tuple(range(len(example_args)))
    offsets, total = flat.inputs(made, args, dtype, any_length=caller != "geometric_transform")
    outs, out_total = flat.outputs(made, tuple(range(len(made.kernel.outs))))
    _results(made, caller, out_total)
    order = made.results()
    if order != tuple(range(len(order))):
        raise refused(f"the results of {made.name} come in another order than they are computed", "return one array")
    words = Bound(made, made.of_args(args), total is None)
    where = Flat(offsets, total, outs, out_total)
    address = adapter.address(made, words.given, words.free, convention, where)
    state = _State(words.address)
    state.bound = words
    return LowLevelCallable(ctypes_type(PROTOTYPES[convention].format(name="f"))(address), state)


def _results(made: Native, caller: str, total: int) -> None:
    outs = made.kernel.outs
    if caller in ("integrand", "generic_filter") and (len(outs) != 1 or outs[0].dims):
        raise refused(f"{made.name} returns {_described(made)}, and {caller} takes one number", "return one number: adc.grad of one scalar argument, or a sum")
    if caller == "generic_filter1d" and (len(outs) != 1 or len(outs[0].dims) != 1):
        raise refused(f"{made.name} returns {_described(made)}, and generic_filter1d takes one line", "return one vector")
    if caller == "geometric_transform" and not total:
        raise refused(f"{made.name} returns nothing", "return the input coordinates")


def _described(made: Native) -> str:
    return ", ".join(f"{o.dtype}{list(made.shape(o))}" for o in made.kernel.outs) or "nothing"


# ---------------------------------------------------------------- optimisers


class Vector:
    """A tree of float arrays and numbers as one flat float64 vector, and back."""

    def __init__(self, like: Any):
        leaves, self.treedef = trees.flatten(like)
        for x in leaves:
            if not trees.is_runtime(x) or np.asarray(x).dtype.kind != "f":
                raise refused(f"a {type(x).__name__} ({x!r}) among the parameters", "keep only floats in the parameters; pass the rest as further arguments")
        self.shapes = [np.shape(x) for x in leaves]
        # a Python number stays one: it takes part in NumPy's promotion as a weak type
        self.kinds = [float if type(x) is float else np.asarray(x).dtype.type for x in leaves]
        self.offsets, self.size = flat.offsets_of(self.shapes)

    def pack(self, tree: Any, lead: tuple[int, ...] = ()) -> np.ndarray[Any, Any]:
        """The leaves one after the other, behind the axes `lead`."""
        return np.concatenate([np.reshape(x, (*lead, -1)) for x in trees.flatten(tree)[0]], axis=-1, dtype=np.float64)

    def unpack(self, x: np.ndarray[Any, Any]) -> Any:
        leaves = []
        for at, shape, kind in zip(self.offsets, self.shapes, self.kinds, strict=True):
            leaves.append(x[at : at + math.prod(shape)].reshape(shape).astype(kind, copy=False) if shape else kind(x[at]))
        return self.treedef.unflatten(leaves)


class _OfVector:
    """A function whose first argument SciPy sees as a flat vector."""

    def __init__(self, fun: Callable[..., Any], like: Any):
        self.fun = fun
        self.vector = None if like is None else Vector(like)
        self.like = like

    @property
    def x0(self) -> np.ndarray[Any, Any]:
        """The parameters given as `like`, as a vector to start from."""
        if self.vector is None:
            raise refused("there is no x0", "give the parameters to start from: like=params")
        return self.vector.pack(self.like)

    def unflatten(self, x: np.ndarray[Any, Any]) -> Any:
        """The parameters that a vector stands for."""
        return np.asarray(x) if self.vector is None else self.vector.unpack(np.asarray(x))

    def flat(self, tree: Any) -> np.ndarray[Any, Any]:
        return np.asarray(tree, np.float64) if self.vector is None else self.vector.pack(tree)


class Objective(_OfVector):
    """What `adc.scipy_objective` returns: `(x, *args) -> (value, gradient)`, with `hess` and `hessp` beside it."""

    @cached_property
    def _value_and_grad(self) -> Any:
        return functions.value_and_grad(self.fun)

    @cached_property
    def _hvp(self) -> Any:
        return functions.hvp(self.fun)

    @cached_property
    def _hessian(self) -> Any:
        return functions.hessian(self.fun)

    def __call__(self, x: np.ndarray[Any, Any], *args: Any) -> tuple[float, np.ndarray[Any, Any]]:
        value, gradient = self._value_and_grad(self.unflatten(x), *args)
        return float(value), self.flat(gradient)

    def hessp(self, x: np.ndarray[Any, Any], p: np.ndarray[Any, Any], *args: Any) -> np.ndarray[Any, Any]:
        """The Hessian times `p`: `minimize(fun, x0, jac=True, hessp=fun.hessp, method="trust-ncg")`."""
        return self.flat(self._hvp(self.unflatten(x), *args, self.unflatten(p)))

    def hess(self, x: np.ndarray[Any, Any], *args: Any) -> np.ndarray[Any, Any]:
        """The matrix of second derivatives; for parameters in a tree, column by column."""
        if self.vector is None:
            return np.asarray(self._hessian(x, *args))
        return np.stack([self.hessp(x, e, *args) for e in np.eye(self.vector.size)], axis=1)


class Residuals(_OfVector):
    def __call__(self, x: np.ndarray[Any, Any], *args: Any) -> np.ndarray[Any, Any]:
        return np.asarray(self._value(self.unflatten(x), *args), np.float64)

    @cached_property
    def _value(self) -> Any:
        return functions.jit(self.fun)

    @cached_property
    def _forward(self) -> Any:
        return functions.jacfwd(self.fun)

    @cached_property
    def _reverse(self) -> Any:
        return functions.jacrev(self.fun)

    def jac(self, x: np.ndarray[Any, Any], *args: Any) -> np.ndarray[Any, Any]:
        """The Jacobian, (residuals, parameters); forward or reverse mode, whichever has fewer columns or rows to make."""
        params = self.unflatten(x)
        if self._tall is None:
            self._tall = np.size(self._value(params, *args)) >= np.size(x)
        tree = (self._forward if self._tall else self._reverse)(params, *args)
        if self.vector is None:
            return np.asarray(tree, np.float64)
        return self.vector.pack(tree, (len(trees.flatten(tree)[0][0]),))

    _tall: bool | None = None
    """As many residuals as parameters, or more, at the first call: decides the mode, never the result."""


def scipy_objective(fun: Callable[..., Any], like: Any = None) -> Objective:
    """`fun` as `scipy.optimize.minimize` takes it with `jac=True`: `(x, *args) -> (value, gradient)`.

    Args:
        fun: `fun(params, *args)` returns one float.
        like: parameters in any container (dicts, tuples, dataclasses of float arrays and numbers); SciPy then sees one flat
            float64 vector, `.x0` is theirs, and `.unflatten(x)` gives parameters back.  Without it `params` is the vector.

    The result also has `.hessp(x, p, *args)` and `.hess(x, *args)`.

    >>> import numpy as np, adc
    >>> from scipy.optimize import minimize
    >>> fun = adc.scipy_objective(lambda x: np.sum((x - 1.0) ** 4))
    >>> minimize(fun, np.zeros(3), jac=True, hess=fun.hess, method="Newton-CG").success
    True
    """
    return Objective(fun, like)


def scipy_residuals(fun: Callable[..., Any], like: Any = None) -> tuple[Residuals, Callable[..., np.ndarray[Any, Any]]]:
    """`(fun, jac)` as `scipy.optimize.least_squares(fun, x0, jac=jac)` takes them.

    Args:
        fun: `fun(params, *args)` returns a vector of residuals.
        like: as for `scipy_objective`; `.x0` and `.unflatten` are the first result's.

    >>> import numpy as np, adc
    >>> from scipy.optimize import least_squares
    >>> fun, jac = adc.scipy_residuals(lambda x, t, y: x[0] * np.exp(-x[1] * t) - y)
    >>> t = np.linspace(0.0, 1.0, 20)
    >>> least_squares(fun, np.ones(2), jac=jac, args=(t, 3.0 * np.exp(-2.0 * t))).x.round(9)
    array([3., 2.])
    """
    made = Residuals(fun, like)
    return made, made.jac


__all__ = ["Objective", "Residuals", "scipy_callable", "scipy_objective", "scipy_residuals"]
