"""The user's function under other tools, for `adc bench --peers`.

In: the name of a tool, the function, its arguments.  Out: `run(...)`: seconds for value and gradient, and whether the
gradient is adc's, or a note saying why the tool cannot.  The function's text is not changed: the tool's modules stand
where `numpy`, `scipy.special` and `math` stand in its globals, and in those of the functions that it calls.

Each tool has a process of its own (this module's `main`): a compilation that does not end is ended there, and
threads of one tool do not disturb another.

>>> prepare("numpy", lambda x: x * x, (2.0,), 0)["function"]()
4.0
"""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from adc.api import trees

TOLERANCE = {np.dtype("f8"): 1e-6, np.dtype("f4"): 2e-3}


def prepare(name: str, fun: Callable[..., Any], args: tuple[Any, ...], argnums: Any) -> dict[str, Any]:
    """{"function": call or None, "gradient": call or None, "note": why not}; calls have been made once."""
    try:
        made: dict[str, Callable[[], Any]] = {"numpy": _numpy, "numba": _numba, "jax": _jax, "autograd": _autograd}[name](fun, args, argnums)
    except ImportError as e:
        return {"note": f"not installed ({e.name})"}
    except Exception as e:
        return {"note": _reason("function", e)}
    found: dict[str, Any] = {}
    for part, call in made.items():
        try:
            call()
            found[part] = call
        except Exception as e:  # whatever stops the other tool is what its row says
            found["note"] = _reason(part, e)
    return found


def _reason(part: str, e: Exception) -> str:
    first = next(iter(str(e).strip().splitlines()), "")
    return f"{part}: {type(e).__name__}: {first}"[:100]


def run(name: str, function: str, args: tuple[Any, ...], argnums: Any, mine: Any, rounds: int, limit: float) -> dict[str, Any]:
    """One peer: {"function_seconds", "gradient_seconds", "agrees", "note"}, as far as it gets in `limit` seconds."""
    with tempfile.TemporaryDirectory(prefix="adc-bench-") as folder:
        asked, answer = Path(folder, "asked"), Path(folder, "answer")
        asked.write_bytes(pickle.dumps((name, function, args, argnums, rounds)))
        words = [sys.executable, "-m", "adc.cli.peers", str(asked), str(answer)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return {"note": f"not ready after {limit:g} s"}
        if not answer.is_file():
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return {"note": last[:100]}
        found: dict[str, Any]
        found, gradient = pickle.loads(answer.read_bytes())
    if gradient is not None:
        found["agrees"] = agree(mine, gradient)
    return found


def main() -> None:
    """`python -m adc.cli.peers asked answer`: measure one tool."""
    from adc.cli import targets
    from adc.cli.timing import interleaved

    name, function, args, argnums, rounds = pickle.loads(Path(sys.argv[1]).read_bytes())
    fun, _ = targets.load(function)
    fun = fun.fun if hasattr(fun, "fun") else fun
    about = prepare(name, fun, args, argnums)
    calls: dict[str, Callable[[], Any]] = {part: about[part] for part in ("function", "gradient") if part in about}
    times = interleaved(calls, rounds)
    found = {f"{part}_seconds": t["best"] for part, t in times.items()}
    if "note" in about:
        found["note"] = about["note"]
    gradient = [np.asarray(x) for x in trees.flatten(about["gradient"]())[0]] if "gradient" in about else None
    Path(sys.argv[2]).write_bytes(pickle.dumps((found, gradient)))


def agree(mine: Any, theirs: list[np.ndarray[Any, Any]]) -> bool:
    """Does the tool's gradient equal adc's?"""
    ours = trees.flatten(mine)[0]
    if len(ours) != len(theirs):
        return False
    for a, b in zip(map(np.asarray, ours), theirs, strict=True):
        scale = float(np.max(np.abs(a), initial=0.0)) or 1.0
        if a.shape != b.shape or not np.all(np.abs(a - b) <= TOLERANCE.get(a.dtype, 1e-6) * scale):
            return False
    return True


def _copies(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(trees.tree_map(lambda x: x.copy() if isinstance(x, np.ndarray) else x, a) for a in args)


def _unchanging(fun: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[], Any]:
    """A call that leaves `args` as they are: of copies, where the function stores into its arguments."""
    mine = _copies(args)
    fun(*mine)
    kept = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(trees.flatten(mine)[0], trees.flatten(args)[0], strict=True) if isinstance(a, np.ndarray))
    return (lambda: fun(*args)) if kept else (lambda: fun(*_copies(args)))


def _numpy(fun: Any, args: tuple[Any, ...], argnums: Any) -> dict[str, Callable[[], Any]]:
    return {"function": _unchanging(fun, args)}


def _numba(fun: Any, args: tuple[Any, ...], argnums: Any) -> dict[str, Callable[[], Any]]:
    import numba

    compiled = translated(fun, {}, lambda f: numba.njit(error_model="numpy")(f))
    return {"function": _unchanging(compiled, args)}


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
    return {"function": lambda: own(*args), "gradient": lambda: gradient(*args)[1]}


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


__all__ = ["agree", "prepare", "run", "translated"]

if __name__ == "__main__":
    main()
