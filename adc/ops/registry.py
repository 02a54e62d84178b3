"""The registry: every primitive by its name, and what answers to a Python object or to a method of arrays.

In: records and functions over values, as the families of ops are imported.  Out: `PRIMITIVES["sin"]`, `lookup(np.sin)`, `METHODS["sum"]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from adc.ir import Primitive

PRIMITIVES: dict[str, Primitive] = {}
_LATER: dict[str, dict[str, Callable[..., Any]]] = {}
_ANSWERS: dict[int, tuple[Any, Callable[..., Any]]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
"""ndarray method name -> function whose first argument is the array."""


def register(prim: Primitive) -> Primitive:
    """Add a record; two of one name are a mistake."""
    if prim.name in PRIMITIVES:
        raise ValueError(f"primitive {prim.name} is defined twice")
    PRIMITIVES[prim.name] = prim
    for obj in prim.calls:
        _answer(obj, prim)
    return prim


def _answer(obj: Any, fn: Callable[..., Any]) -> None:
    if isinstance(obj, str):
        module, _, name = obj.rpartition(".")
        _LATER.setdefault(module, {})[name] = fn
    else:
        _ANSWERS[id(obj)] = (obj, fn)


def answers(*objects: Any, method: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function over values as what adc does when user code calls one of `objects`.

    A string such as "scipy.special.erf" names an object of a module that adc itself does not import.
    """

    def mark(fn: Callable[..., Any]) -> Callable[..., Any]:
        for obj in objects:
            _answer(obj, fn)
        if method:
            METHODS[method] = fn
        return fn

    return mark


def lookup(obj: Any) -> Callable[..., Any] | None:
    """What answers to a Python object, found by identity."""
    for module in [m for m in _LATER if m in sys.modules]:
        for name, fn in _LATER.pop(module).items():
            if hasattr(sys.modules[module], name):
                _answer(getattr(sys.modules[module], name), fn)
    found = _ANSWERS.get(id(obj))
    return found[1] if found is not None and found[0] is obj else None
