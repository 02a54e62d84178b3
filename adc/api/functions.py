"""The public transformations: grad, value_and_grad, jvp, vjp, jacfwd, jacrev, hessian, hvp, vmap, jit and the rules.

In: a function of NumPy arrays, numbers and containers of them.  Out: a function (a `Transformed`), or values.

    g = adc.grad(loss);  g(w, X, y)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.api.transformed import Transformed
from adc.api.trees import tree_map
from adc.errors import UnsupportedError, fail


def _in_staged_code(how: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What a call of this function means inside a function that adc is reading: `how(call, *args)`."""

    def mark(fn: Callable[..., Any]) -> Callable[..., Any]:
        fn.__adc_staged__ = how  # type: ignore[attr-defined]
        return fn

    return mark


UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def limited(tape_limit: Any) -> dict[str, int]:
    """The option `tape_limit` in bytes, if there is one; texts such as "64 MB" or "1.5 GiB" are read."""
    if tape_limit is None:
        return {}
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([A-Za-z]*)\s*", tape_limit) if isinstance(tape_limit, str) else None
    if found is not None and found[2] in UNITS:
        tape_limit = int(float(found[1]) * UNITS[found[2]])
    if not isinstance(tape_limit, int | np.integer) or isinstance(tape_limit, bool) or tape_limit <= 0:
        instead = f"give a number of bytes above 0, or a text such as '64 MB' (units: {', '.join(filter(None, UNITS))})"
        raise fail(UnsupportedError, "type", None, what=f"tape_limit={tape_limit!r}", instead=instead)
    return {"tape_limit": int(tape_limit)}


def _as_decorator(make: Callable[..., Any]) -> Callable[..., Any]:
    """`@adc.grad` and `@adc.grad(argnums=1)` both decorate."""

    @functools.wraps(make)
    def front(fun: Any = None, **options: Any) -> Any:
        if fun is None:
            return lambda f: make(f, **options)
        return make(fun, **options)

    front.__adc_staged__ = lambda call, *args, **options: front(*args, **options)  # type: ignore[attr-defined]
    return front


@_as_decorator
def grad(fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, tape_limit: int | str | None = None, target: str | None = None) -> Transformed:
    """The gradient of a scalar function, as a function of the same arguments.

    Args:
        fun: returns one float scalar (with `has_aux`, a pair of it and anything).
        argnums: which positional arguments to differentiate; a tuple gives a tuple of gradients.
        tape_limit: what loops may keep for the reverse sweep, in bytes or as a text such as "64 MB"; those that would keep
            more keep some states and run iterations again (docs/design/checkpoints.md; Griewank and Walther, Evaluating
            Derivatives, SIAM 2008, chapter 12). Without it everything is kept.
        target: "cpu" (native code, the default) or "numpy" (the readable source, which a debugger can step through).

    Returns a function whose result has the structure, shapes and dtypes of the chosen arguments.

    Raises: `UnsupportedError` for what adc cannot differentiate, with file, line and caret; `ShapeError` where NumPy
    itself would complain; `CheckError` for a failed `assert`, `raise` or index at run time; `TapeError` where `tape_limit`
    cannot be met, when compiling if all sizes are known, else at run time.

    >>> import numpy as np, adc
    >>> def loss(w, x): return np.sum((x @ w) ** 2)
    >>> adc.grad(loss)(np.ones(2), np.eye(2))
    array([2., 2.])
    >>> def orbit(x):
    ...     for _ in range(1000): x = x + 0.01 * np.sin(x)
    ...     return x
    >>> adc.grad(orbit, tape_limit="1 kB")(0.5) == adc.grad(orbit)(0.5)
    np.True_
    """
    return Transformed("grad", fun, {"argnums": argnums, "has_aux": has_aux, "value": False, **limited(tape_limit)}, target)


@_as_decorator
def value_and_grad(fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, tape_limit: int | str | None = None, target: str | None = None) -> Transformed:
    """Value and gradient together, for little more than the gradient alone: `(value, gradient)`; see `grad`, also for `tape_limit`."""
    return Transformed("grad", fun, {"argnums": argnums, "has_aux": has_aux, "value": True, **limited(tape_limit)}, target)


@_as_decorator
def jacfwd(fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, target: str | None = None) -> Transformed:
    """The Jacobian by forward mode, shape (*result, *argument): for few inputs and many results."""
    return Transformed("jac", fun, {"argnums": argnums, "has_aux": has_aux, "forward": True}, target)


@_as_decorator
def jacrev(fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, tape_limit: int | str | None = None, target: str | None = None) -> Transformed:
    """The Jacobian by reverse mode, shape (*result, *argument): for many inputs and few results; `tape_limit` as for `grad`, for each row."""
    return Transformed("jac", fun, {"argnums": argnums, "has_aux": has_aux, "forward": False, **limited(tape_limit)}, target)


@_as_decorator
def hessian(fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0, tape_limit: int | str | None = None, target: str | None = None) -> Transformed:
    """The matrix of second derivatives, forward over reverse; shape (*argument, *argument).

    `tape_limit` as for `grad`; the tangents of what is kept take as much again.
    """
    inner = Transformed("jac", fun, {"argnums": argnums, "has_aux": False, "forward": False, **limited(tape_limit)}, target)
    return Transformed("jac", inner, {"argnums": argnums, "has_aux": False, "forward": True}, target)


@_as_decorator
def hvp(fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0, tape_limit: int | str | None = None, target: str | None = None) -> Transformed:
    """`hvp(f)(*args, v)` is the Hessian of f times v, without the matrix (Pearlmutter 1994): one tangent of the gradient.

    `tape_limit` as for `grad`; the tangents of what is kept take as much again.
    """
    return Transformed("hvp", fun, {"argnums": argnums, **limited(tape_limit)}, target)


@_as_decorator
def vmap(fun: Callable[..., Any], *, in_axes: Any = 0, out_axes: Any = 0, target: str | None = None) -> Transformed:
    """`fun` for every slice of its arguments; `in_axes` gives each argument's axis, or None for "the same for all"."""
    return Transformed("vmap", fun, {"in_axes": in_axes, "out_axes": out_axes}, target)


@_as_decorator
def jit(fun: Callable[..., Any], *, target: str | None = None) -> Transformed:
    """`fun` itself, compiled."""
    return Transformed("jit", fun, {}, target)


def _jvp_staged(call: Any, fun: Any, primals: Any, tangents: Any, has_aux: bool = False, target: Any = None) -> Any:
    return call(Transformed("jvp", fun, {"has_aux": has_aux}), [primals, tangents], {})


@_in_staged_code(_jvp_staged)
def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False, target: str | None = None) -> Any:
    """Forward mode: `(value, derivative of the value along the tangents)`.

    >>> import numpy as np, adc
    >>> adc.jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise fail(UnsupportedError, "type", None, what="primals and tangents of jvp must be tuples", instead="write adc.jvp(f, (x,), (dx,))")
    return Transformed("jvp", fun, {"has_aux": has_aux}, target)(tuple(primals), tuple(tangents))


def _vjp_staged(call: Any, fun: Any, *primals: Any, has_aux: bool = False, tape_limit: Any = None, target: Any = None) -> Any:
    from adc.frontend.values import PartialValue

    out = call(Transformed("jit", fun, {}), list(primals), {})
    pull = PartialValue(Transformed("pullback", fun, {"has_aux": has_aux, **limited(tape_limit)}), (tuple(primals),), {})
    return (out[0], pull, out[1]) if has_aux else (out, pull)


@_in_staged_code(_vjp_staged)
def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False, tape_limit: int | str | None = None, target: str | None = None) -> Any:
    """Reverse mode: `(value, pullback)`; `pullback(cotangent of the value)` gives one cotangent per primal.

    The pullback belongs to the primals as they are now: arrays are copied, a later change of them is not seen.
    `tape_limit` as for `grad`.

    >>> import numpy as np, adc
    >>> y, pullback = adc.vjp(np.sin, 0.0)
    >>> pullback(2.0)
    (np.float64(2.0),)
    """
    primals = tuple(tree_map(lambda x: x.copy() if isinstance(x, np.ndarray) else x, p) for p in primals)
    out = Transformed("jit", fun, {}, target)(*primals)
    pull = Transformed("pullback", fun, {"has_aux": has_aux, **limited(tape_limit)}, target)

    def pullback(bar: Any) -> Any:
        return pull(primals, bar)

    return (out[0], pullback, out[1]) if has_aux else (out, pullback)


# ---------------------------------------------------------------- rules of the user's own


class Ruled(Transformed):
    """A function that derivatives treat by a rule; called directly it is the function itself."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fun(*args, **kwargs)


class CustomVjp(Ruled):
    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """`fwd(*args) -> (value, residuals)`; `bwd(residuals, cotangent) -> one cotangent (or None) per argument`."""
        self.options.update(fwd=fwd, bwd=bwd)


class CustomJvp(Ruled):
    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """`rule(primals, tangents) -> (value, tangent)`; may be used as a decorator."""
        self.options.update(rule=rule)
        return rule


@_as_decorator
def custom_vjp(fun: Callable[..., Any], *, nondiff_argnums: tuple[int, ...] = ()) -> CustomVjp:
    """`fun` with a reverse rule of its own, given by `.defvjp(fwd, bwd)`, as in JAX.

    >>> import numpy as np, adc
    >>> @adc.custom_vjp
    ... def clipped(x): return x
    >>> clipped.defvjp(lambda x: (x, None), lambda res, bar: (np.clip(bar, -1.0, 1.0),))
    >>> adc.grad(lambda x: 5.0 * clipped(x))(2.0)
    np.float64(1.0)
    """
    return CustomVjp("custom_vjp", fun, {"fwd": None, "bwd": None, "nondiff_argnums": tuple(nondiff_argnums)})


@_as_decorator
def custom_jvp(fun: Callable[..., Any], *, nondiff_argnums: tuple[int, ...] = ()) -> CustomJvp:
    """`fun` with a forward rule of its own, given by `.defjvp(rule)`; reverse mode transposes the rule."""
    return CustomJvp("custom_jvp", fun, {"rule": None, "nondiff_argnums": tuple(nondiff_argnums)})


@_as_decorator
def checkpoint(fun: Callable[..., Any]) -> Ruled:
    """`fun` whose intermediate values are not kept for the reverse sweep but computed again there."""
    return Ruled("checkpoint", fun, {})


def stop_gradient(x: Any) -> Any:
    """`x`, taken as constant by every derivative."""
    return x
