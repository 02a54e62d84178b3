"""The user's function under other tools, for `adc bench --peers`.

In: the name of a tool, the function, its arguments.  Out: `prepare(...)`: what to call for the value and for the
gradient, or a note saying why the tool cannot.  The function's text is not changed: the tool's modules stand where
`numpy`, `scipy.special` and `math` stand in its globals, and in those of the functions that it calls.

>>> prepare("numpy", lambda x: x * x, (2.0,), 0)["function"]()
4.0
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.api import trees

TOLERANCE = {np.dtype("f8"): 1e-6, np.dtype("f4"): 2e-3}


def prepare(name: str, fun: Callable[..., Any], args: tuple[Any, ...], argnums: Any) -> dict[str, Any]:
    """{"function": call or None, "gradient": call or None, "note": why not}; calls have been made once."""
    try:
        made = {"numpy": _numpy, "numba": _numba, "jax": _jax, "autograd": _autograd}[name](fun, args, argnums)
    except ImportError as e:
        return {"note": f"not installed ({e.name})"}
    found: dict[str, Any] = {}
    for part, call in made.items():
        try:
            call()
            found[part] = call
        except Exception as e:  # whatever stops the other tool is what its row says
            reason = str(e).strip().splitlines()[0] if str(e).strip() else ""
            found["note"] = f"{part}: {type(e).__name__}: {reason}"[:100]
    return found


def agrees(gradient: Callable[[], Any], made: Any, args: tuple[Any, ...]) -> bool:
    """Does the tool's gradient equal adc's?"""
    mine = made(*args)
    mine = mine[1] if made.options.get("value") else mine
    ours, theirs = (trees.flatten(x)[0] for x in (mine, gradient()))
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        scale = float(np.max(np.abs(a), initial=0.0)) or 1.0
        if a.shape != b.shape or not np.all(np.abs(a - b) <= TOLERANCE.get(a.dtype, 1e-6) * scale):
            return False
    return True


def _fresh(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copies, for tools that run the function as it is: it may store into its arguments."""
    return tuple(trees.tree_map(lambda x: x.copy() if isinstance(x, np.ndarray) else x, a) for a in args)


def _numpy(fun: Any, args: tuple[Any, ...], argnums: Any) -> dict[str, Callable[[], Any]]:
    return {"function": lambda: fun(*_fresh(args))}


def _numba(fun: Any, args: tuple[Any, ...], argnums: Any) -> dict[str, Callable[[], Any]]:
    import numba

    compiled = translated(fun, {}, lambda f: numba.njit(error_model="numpy")(f))
    return {"function": lambda: compiled(*_fresh(args))}


def _jax(fun: Any, args: tuple[Any, ...], argnums: Any) -> dict[str, Callable[[], Any]]:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    special = importlib.import_module("jax.scipy.special")
    own = translated(fun, {"numpy": importlib.import_module("jax.numpy"), "math": importlib.import_module("jax.numpy"), "scipy.special": special}, None)
    static = tuple(k for k, a in enumerate(args) if type(a) in (int, bool, str))
    value, gradient = jax.jit(own, static_argnums=static), jax.jit(jax.value_and_grad(own, argnums), static_argnums=static)
    return {"function": lambda: jax.block_until_ready(value(*args)), "gradient": lambda: jax.block_until_ready(gradient(*args))[1]}


def _autograd(fun: Any, args: tuple[Any, ...], argnums: Any) -> dict[str, Callable[[], Any]]:
    autograd = importlib.import_module("autograd")
    modules = {"numpy": importlib.import_module("autograd.numpy"), "scipy.special": importlib.import_module("autograd.scipy.special")}
    own = translated(fun, modules, None)
    gradient = autograd.value_and_grad(own, argnums)
    return {"function": lambda: own(*_fresh(args)), "gradient": lambda: gradient(*_fresh(args))[1]}


def translated(fun: Any, modules: dict[str, Any], wrap: Callable[[Any], Any] | None, made: dict[Any, Any] | None = None) -> Any:
    """A copy of `fun` whose globals name the tool's modules; `wrap` is applied to it and to every function that it calls."""
    made = {} if made is None else made
    if fun in made:
        return made[fun]
    if not isinstance(fun, types.FunctionType):
        raise TypeError(f"{fun!r} is not a plain function")
    own = dict(fun.__globals__)
    copy = types.FunctionType(fun.__code__, own, fun.__name__, fun.__defaults__, fun.__closure__)
    copy.__kwdefaults__ = fun.__kwdefaults__
    copy.__module__ = fun.__module__
    made[fun] = found = wrap(copy) if wrap else copy
    for name in _names(fun.__code__):
        value = own.get(name)
        if isinstance(value, types.ModuleType) and value.__name__ in modules:
            own[name] = modules[value.__name__]
        elif isinstance(value, types.FunctionType) and value.__module__ == fun.__module__:
            own[name] = translated(value, modules, wrap, made)
        elif value is not None and (isinstance(value, np.ufunc) or getattr(value, "__module__", None) == "numpy"):
            own[name] = getattr(modules.get("numpy", np), value.__name__, value)  # from numpy import sin
    return found


def _names(code: types.CodeType) -> set[str]:
    """Global names of a function and of those inside it."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner)) if inner else set(code.co_names)


__all__ = ["agrees", "prepare", "translated"]
