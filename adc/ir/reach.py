"""How a program finds again what it read from outside: globals, closure cells, attributes, items.

In: a function and names.  Out: `Reach`, a callable that gives the object as it is now; its `path` says the same in
plain tuples, so that a program kept on disk finds its data in another process (`restore`).

>>> reach_global({"__name__": "math"}, "pi").path is None      # not the module's own dictionary
True
>>> import math; reach_global(vars(math), "pi").path
('global', 'math', 'pi')
>>> restore(('global', 'math', 'pi'), None)()
3.141592653589793
"""

from __future__ import annotations

import functools
import hashlib
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Path = tuple[Any, ...]
LIBRARIES = ("numpy", "scipy")
"""Packages whose functions are known by name, and not read."""
CACHED = type(functools.cache(lambda: None))


class Reach:
    """A way to an object; without a `path` it is good for this process alone."""

    __slots__ = ("form", "get", "path")

    def __init__(self, path: Path | None, get: Callable[[], Any], form: tuple[Any, str] | None = None):
        self.path, self.get = path, get
        self.form = form
        """Where one step leads there: an object and what to write behind its name (`.pi`), for functions that are written as text."""

    def __call__(self) -> Any:
        return self.get()


def path_of(get: Any) -> Path | None:
    return getattr(get, "path", None)


def reach_root(fn: Any) -> Reach:
    """The function that is being compiled."""
    return Reach(("root",), lambda: fn)


def reach_global(scope: dict[str, Any], name: str) -> Reach:
    module = sys.modules.get(scope.get("__name__", ""))
    own = module is not None and vars(module) is scope
    return Reach(("global", scope["__name__"], name) if own else None, lambda: scope[name], (scope, f"[{name!r}]"))


def reach_cell(base: Any, fn: types.FunctionType, name: str) -> Reach:
    cell = (fn.__closure__ or ())[fn.__code__.co_freevars.index(name)]
    path = path_of(base)
    return Reach(("cell", path, name) if path else None, lambda: cell.cell_contents, (cell, ".cell_contents"))


def reach_attribute(base: Any, name: str) -> Reach:
    path = path_of(base)
    return Reach(("attribute", path, name) if path else None, lambda: getattr(base(), name))


def reach_found(base: Any, name: str) -> Reach:
    """The function that an attribute of an object is found to be: its own, or that of its class, which either may change."""
    path = path_of(base)
    return Reach(("found", path, name) if path else None, lambda: found_function(base(), name))


def found_function(obj: Any, name: str) -> Any:
    """What makes `obj.name`, without making it: a function, that of a property or of a static method, or data."""
    own = getattr(obj, "__dict__", {})
    raw = own[name] if name in own else next((k.__dict__[name] for k in type(obj).__mro__ if name in k.__dict__), None)
    if isinstance(raw, property):
        return raw.fget
    if isinstance(raw, functools.cached_property):
        return raw.func
    return raw.__func__ if isinstance(raw, staticmethod | classmethod) else raw


def reach_of_object(obj: Any, name: str) -> Reach:
    """An attribute of an object that is known itself: of a module, it can be found again."""
    known = isinstance(obj, types.ModuleType) and sys.modules.get(obj.__name__) is obj
    return Reach(("global", obj.__name__, name) if known else None, lambda: getattr(obj, name), (obj, f".{name}"))


def reach_item(base: Any, key: Any) -> Reach:
    path = path_of(base)
    return Reach(("item", path, key) if path and isinstance(key, int | str) else None, lambda: base()[key])


def restore(path: Path, root: Any) -> Reach:
    """The way that `path` describes, from the function `root`; KeyError and the like where it leads nowhere."""
    kind = path[0]
    if kind == "root":
        return reach_root(root)
    if kind == "global":
        made = reach_global(vars(sys.modules[path[1]]), path[2])
    elif kind == "cell":
        base = restore(path[1], root)
        made = reach_cell(base, plain(base()), path[2])
    elif kind == "attribute":
        made = reach_attribute(restore(path[1], root), path[2])
    elif kind == "found":
        made = reach_found(restore(path[1], root), path[2])
    else:
        made = reach_item(restore(path[1], root), path[2])
    made()
    return made


# ---------------------------------------------------------------- what an object is, as a text


def plain(fn: Any) -> Any:
    """The function a person wrote: Numba's dispatchers are read through `py_func`, `functools.cache` and NumPy's and SciPy's own wrappers through `__wrapped__`.

    Anybody else's wrapper is a function like any other: it may do more than call what it wraps.
    """
    for _ in range(32):
        inner = getattr(fn, "py_func", None)
        if inner is None and (isinstance(fn, CACHED) or (isinstance(fn, types.FunctionType) and home(fn) in LIBRARIES)):
            inner = getattr(fn, "__wrapped__", None)
        if inner is None or not callable(inner):
            return fn
        fn = inner
    return fn


def home(fn: types.FunctionType) -> str:
    """The package whose text a function is; `__module__` is copied by `functools.wraps`."""
    return str(fn.__globals__.get("__name__")).split(".")[0]


def code_digest(fn: types.FunctionType) -> str:
    """Changes with the function's code, the places of its lines, and its defaults."""
    h = hashlib.sha256()
    for part in _code_parts(fn.__code__):
        h.update(part + b"\0")
    h.update(repr([_plain_text(x) for x in (fn.__defaults__ or ())]).encode())
    h.update(repr([(k, _plain_text(x)) for k, x in (fn.__kwdefaults__ or {}).items()]).encode())
    return h.hexdigest()


def _plain_text(x: Any) -> str:
    return repr(x) if isinstance(x, int | float | str | type(None)) else type(x).__name__


def _code_parts(code: types.CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_firstlineno, code.co_filename)).encode()
    yield getattr(code, "co_linetable", b"")
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            yield from _code_parts(c)
        else:
            yield repr(sorted(map(repr, c)) if isinstance(c, frozenset) else c).encode()


def object_digest(obj: Any) -> str:
    """A text that changes when a static object does."""
    fn = plain(obj) if callable(obj) else obj
    if isinstance(fn, types.FunctionType):
        return code_digest(fn)
    if isinstance(obj, np.ufunc | type(np.sum) | types.BuiltinFunctionType):
        return f"{getattr(obj, '__module__', '')}.{obj.__name__}"
    if isinstance(obj, list | tuple):
        return f"{type(obj).__name__} of {len(obj)}"
    if isinstance(obj, dict):
        return f"dict with {list(obj)!r}"
    if isinstance(obj, types.ModuleType | type):
        return f"{getattr(obj, '__module__', '')}.{obj.__name__}"
    if isinstance(obj, int | str | bytes | type(None) | np.generic | np.dtype | slice | range | type(Ellipsis)):
        return f"{type(obj).__name__} {obj!r}"
    return f"{type(obj).__module__}.{type(obj).__qualname__}"


@dataclass(frozen=True)
class Leaf:
    """The place of result `index` in the structure of a result."""

    index: int


@dataclass(frozen=True, eq=False)
class Capture:
    """A parameter that is read from outside the arguments at every call."""

    path: str
    get: Callable[[], Any]


@dataclass(frozen=True, eq=False)
class Dependency:
    """A source text or static value that the program was made from; unpacks as (what, digest)."""

    what: str
    digest: str
    get: Callable[[], Any]
    obj: Any
    same: Callable[[], Any] | None = None
    """Where given: `get` and `same` must give one object (an array that is known by two names)."""
    constant: bool = False
    """Does `get` always give the same object?"""

    def current(self) -> str:
        """The digest now: another text means that the program must be staged again."""
        return str(self.get() is self.same()) if self.same is not None else object_digest(self.get())

    @property
    def code(self) -> Any:
        return getattr(plain(self.obj), "__code__", None)

    def holds(self) -> bool:
        return self.current() == self.digest

    def __iter__(self) -> Iterator[str]:
        return iter((self.what, self.digest))


def depends_on(what: str, obj: Any, get: Callable[[], Any] | None) -> Dependency:
    return Dependency(what, object_digest(obj), get or (lambda: obj), obj, None, get is None)
