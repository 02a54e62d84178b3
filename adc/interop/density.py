"""A log density and its gradient as one C function, for samplers.

In: `logp(params, *data)`, example parameters in any container, the data.  Out: a `LogDensity`: the address of

    int64_t logp(uint64_t dim, const double *x, double *grad, double *logp, void *state)

(what PyMC's samplers call), and a model for nutpie.  The parameters' arrays are views of `x`, their gradients are
written where they belong in `grad`: nothing is copied, and no Python runs while a sampler samples.

    density = adc.log_density(logp, {"mu": 0.0, "theta": np.zeros(8)}, y, sigma)
    trace = nutpie.sample(density.nutpie())
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import optree

from adc.api import functions, trees
from adc.api.transformed import Transformed
from adc.errors import StageError, fail, failed_check
from adc.interop import adapter, flat
from adc.interop.for_scipy import Vector
from adc.interop.native import Bound, Native, native, refused
from adc.interop.prototypes import FIRST_CHECK, NOT_FINITE_GRADIENT, NOT_FINITE_VALUE, PROTOTYPES, Flat, ctypes_type

F8 = np.dtype("f8")


def _same(params: Any) -> Any:
    return params


class LogDensity:
    """What `adc.log_density` returns.

    `address`, `state`: the C function and its last argument, valid as long as this object lives; `prototype`; `dim`.
    Calling it with a flat vector (or with parameters) gives `(logp, gradient)`, the gradient flat.  The C function
    returns 0; 3 where a gradient is not finite, 4 where the value is not; 16 + k where the k-th `assert`
    or index failed (a sampler takes all of these for a divergence); a negative number where it was called with another `dim` or has no memory.
    """

    def __init__(self, logp: Any, params: Any, data: tuple[Any, ...], expand: Any):
        self.vector = Vector(params)
        self.params = params
        self.names = dotted(params)
        gradient = functions.value_and_grad(logp)
        self.native = native(gradient, (params, *data))
        self.name = self.native.name
        self.dim = self.vector.size
        offsets, total = flat.inputs(self.native, (0,), F8, any_length=False)
        value, *grads = self.native.results()
        places, count = flat.outputs(self.native, tuple(grads))
        if self.native.kernel.outs[value].dtype != F8:
            raise refused(f"{self.name} computes the log density in {self.native.kernel.outs[value].dtype}", "pass float64 data and parameters")
        if (places, count) != (offsets, total):
            raise fail(StageError, "internal", None, what=f"gradients of {self.name} do not lie as its parameters do")
        outs = [0] * len(self.native.kernel.outs)
        outs[value] = -1
        for k, at in zip(grads, places, strict=True):
            outs[k] = at
        self._bound = Bound(self.native, self.native.of_args((0,)), False)
        where = Flat(offsets, total, tuple(outs), count)
        self.address = adapter.address(self.native, self._bound.given, False, "density", where)
        self.state = self._bound.address
        self.prototype = PROTOTYPES["density"].format(name=self.name)
        self._expand = expand

    @cached_property
    def ctypes(self) -> Any:
        """The C function for ctypes."""
        return ctypes_type(self.prototype)(self.address)

    def __call__(self, params: Any) -> tuple[float, np.ndarray[Any, Any]]:
        x = self.flatten(params)
        grad, value = np.empty(self.dim), ctypes.c_double()
        pointer = ctypes.POINTER(ctypes.c_double)
        code = self.ctypes(self.dim, x.ctypes.data_as(pointer), grad.ctypes.data_as(pointer), ctypes.byref(value), self.state)
        if code == adapter.MEMORY:
            raise MemoryError(f"no memory for the scratch of {self.name}")
        if code >= FIRST_CHECK:
            check = self.native.kernel.checks[code - FIRST_CHECK]
            raise failed_check(check.code, check.pos, check.message or check.code)
        if code not in (0, NOT_FINITE_GRADIENT, NOT_FINITE_VALUE):
            raise fail(StageError, "internal", None, what=f"{self.name} returned {code}")
        return value.value, grad

    def flatten(self, params: Any) -> np.ndarray[Any, Any]:
        """Parameters as the flat vector that the C function takes."""
        x = params if isinstance(params, np.ndarray) and params.shape == (self.dim,) else self.vector.pack(params)
        return np.ascontiguousarray(x, np.float64)

    def unflatten(self, x: np.ndarray[Any, Any]) -> Any:
        """The parameters of a flat vector."""
        return self.vector.unpack(np.asarray(x, np.float64))

    # ------------------------------------------------------------ nutpie

    def nutpie(
        self,
        *,
        initial: Callable[[int], Any] | Any = None,
        coords: dict[str, Any] | None = None,
        dims: dict[str, tuple[str, ...]] | None = None,
    ) -> Any:
        """This density as a model that `nutpie.sample` takes.

        Args:
            initial: parameters to start from, or a function of a seed that returns some; by default every coordinate is
                drawn uniformly from (-2, 2), as Stan does.
            coords, dims: names for the axes of the trace, as for PyMC: `dims={"theta": ("school",)}`.
        """
        if optree.tree_is_leaf(self.params, namespace=trees.NAMESPACE) and self._expand is None:
            raise refused("the parameters are one vector without names", 'pass them in a dict, {"theta": x}, or give expand=')
        from adc.interop.for_nutpie import model

        return model(self, self.expansion, self._start(initial), coords, dims)

    @cached_property
    def expansion(self) -> Expansion:
        """What is kept of every draw: `expand(params)`, or the parameters themselves."""
        return Expansion(self._expand if self._expand is not None else _same, self.params)

    def _start(self, initial: Any) -> Callable[[int], np.ndarray[Any, Any]]:
        def start(seed: int) -> np.ndarray[Any, Any]:
            if initial is None:
                return np.random.default_rng(seed).uniform(-2.0, 2.0, self.dim)
            return self.flatten(initial(seed) if callable(initial) else initial)

        return start


def dotted(tree: Any) -> list[str]:
    """A name for every leaf: `layers.0.w`."""
    return [".".join(map(str, path)) or "x" for path in optree.tree_paths(tree, namespace=trees.NAMESPACE)]


class Expansion:
    """`expand(params)` as a C function from the sampler's vector to the numbers that the trace keeps."""

    def __init__(self, expand: Any, params: Any):
        fn = expand if isinstance(expand, Transformed) else functions.jit(expand)
        self.native: Native = native(fn, (params,))
        tree = self.native.out_tree
        if not isinstance(tree, dict) or not all(isinstance(k, str) for k in tree):
            raise refused(f"{self.native.name} returns a {type(tree).__name__}, and a trace keeps named values", 'return a dict, such as {"tau": np.exp(log_tau)}')
        order = self.native.results()
        places, self.size = flat.outputs(self.native, order)
        self.names = dotted(tree)
        self.shapes = [self.native.shape(self.native.kernel.outs[k]) for k in order]
        outs = [0] * len(order)
        for k, at in zip(order, places, strict=True):
            outs[k] = at
        offsets, total = flat.inputs(self.native, (0,), F8, any_length=False)
        self.bound = Bound(self.native, self.native.of_args((0,)), False)
        self.dim = total or 0
        self.address = adapter.address(self.native, self.bound.given, False, "expand", Flat(offsets, total, tuple(outs), self.size))


def log_density(logp: Any, params: Any, *data: Any, expand: Any = None) -> LogDensity:
    """`logp(params, *data)` and its gradient as a compiled C function with the data inside.

    Args:
        logp: returns the log density (up to a constant) as one float64.
        params: example parameters: a dict, tuple, dataclass, … of float64 arrays and floats, or one vector.  Their shapes
            are those of every call.  They are unconstrained: write `tau = np.exp(log_tau)` in `logp`, and add `log_tau` to it.
        data: further arguments of `logp`: fixed, arrays are copied.
        expand: `expand(params)` returns a dict of float64 values that a trace keeps of each draw (by default the
            parameters); compiled too.

    Returns a `LogDensity`: `.address`, `.state`, `.nutpie()`; call it for `(logp, gradient)`.

    Raises: as `adc.value_and_grad(logp)` does; `UnsupportedError` for parameters that are not float64.

    >>> import numpy as np, adc
    >>> density = adc.log_density(lambda p, y: -0.5 * np.sum((y - p["mu"]) ** 2), {"mu": 0.0}, np.array([1.0, 2.0]))
    >>> density(np.array([0.0]))
    (-2.5, array([3.]))
    """
    return LogDensity(logp, params, data, expand)


__all__ = ["Expansion", "LogDensity", "log_density"]
