"""From words on the command line to functions and their arguments.

In: `"kernels.logistic:loss"` or `"models/net.py:loss"`, and maybe a signature.  Out: the function, its module, arguments.

>>> load("math:sin")[0].__name__
'sin'
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np

from adc.api import trees
from adc.api.signature import annotated, parse_signature
from adc.ir.dims import Sym, evaluate, size, symbols
from adc.ir.program import Tensor


def load(target: str) -> tuple[Callable[..., Any], ModuleType]:
    """The function that `module:function` or `path.py:function` names, and its module."""
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise click.BadParameter(f"{target!r} does not name a function: write module:function, as in kernels.logistic:loss")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            have = ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_") and getattr(v, "__module__", "") == module.__name__)
            raise click.BadParameter(f"{place} has no {part!r}; it defines {have or 'no functions'}")
        found = getattr(found, part)
    if not callable(found):
        raise click.BadParameter(f"{target} is a {type(found).__name__}, not a function")
    return found, module


def _from_name(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:  # as `python -m` has it
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name and (name == e.name or name.startswith(f"{e.name}.")):
            raise click.BadParameter(f"there is no module {name!r}; run adc from the folder that holds it, or give a path ending in .py") from None
        raise


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise click.BadParameter(f"there is no file {str(path)!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent.resolve()))
    spec.loader.exec_module(module)
    return module


def types(fun: Callable[..., Any], module: ModuleType, sig: str | None) -> tuple[Any, ...]:
    """Arguments to compile for: `--sig`, else `example_inputs()` of the module, else the annotations."""
    if sig:
        return parse_signature(sig)
    examples = example_inputs(fun, module)
    return annotated(fun) if examples is None else examples


def example_inputs(fun: Callable[..., Any], module: ModuleType, size: int | None = None) -> tuple[Any, ...] | None:
    """What the module offers as arguments of its function `loss` (or of the only function it has them for)."""
    make = getattr(module, "example_inputs", None)
    if make is None:
        if size is not None:
            raise click.BadParameter(f"{module.__name__} has no example_inputs(size); give --sig with numbers for sizes", param_hint="--size")
        return None
    import inspect

    found = tuple(make() if size is None else make(size))
    try:
        inspect.signature(getattr(fun, "fun", fun)).bind(*found)
    except TypeError:
        if size is not None:
            raise click.BadParameter(f"example_inputs() of {module.__name__} are another function's; give --sig with numbers for sizes", param_hint="--size") from None
        return None  # they are another function's
    return found


def values(fun: Callable[..., Any], module: ModuleType, sig: str | None, seed: int, number: int | None = None) -> tuple[Any, ...]:
    """Arguments to call with: random ones for `--sig`, else `example_inputs()` (of this number), else random ones for the annotations."""
    if sig and number is not None:
        raise click.BadParameter("--sig says the sizes already", param_hint="--size")
    examples = None if sig else example_inputs(fun, module, number)
    return examples if examples is not None else randomly(types(fun, module, sig), seed)


def randomly(args: tuple[Any, ...], seed: int) -> tuple[Any, ...]:
    """Numbers for types: sizes 3, 4, 5 …, floats from a normal distribution, integers 3."""
    rng = np.random.default_rng(seed)
    leaves, treedef = trees.flatten(args)
    sizes: dict[Sym, int] = {}
    for t in leaves:
        for d in t.dims if isinstance(t, Tensor) else ():
            for s in symbols(size(d)):
                if isinstance(s, Sym):
                    sizes.setdefault(s, 3 + len(sizes))

    def value(t: Any) -> Any:
        if not isinstance(t, Tensor):
            return t
        shape = tuple(evaluate(size(d), sizes) for d in t.dims)
        x = rng.normal(size=shape) if t.is_float else rng.random(shape) < 0.5 if t.dtype.kind == "b" else np.full(shape, 3)
        if t.rank:
            return np.asarray(x).astype(t.dtype)
        python = {"f": float, "i": int, "b": bool}[t.dtype.kind]
        return python(x) if t.weak or t.dtype.kind == "b" else t.dtype.type(x)

    return tuple(treedef.unflatten([value(t) for t in leaves]))


__all__ = ["example_inputs", "load", "randomly", "types", "values"]
