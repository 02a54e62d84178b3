"""Whole programs on disk: in a new process the first call finds its kernel without reading the user's source again.

In: a transformation and the signature of a call.  Out: a `Program`, or None where nothing fits: `load`; `save` keeps
one.  An entry holds the kernel's frame, the structure of the result, the ways to what the program reads from outside,
and a digest of every function and static value that it was made from; each is compared before the entry is used.

    load(adc.grad(f), signature, ())      # None the first time; a Program in the next process
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pickle
import types
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from adc.backend import cache, cpu, entry
from adc.ir.reach import Capture, Dependency, code_digest, path_of, plain, restore

DAMAGE = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError, OSError)
KEPT = {"grad", "jit", "vmap", "jac", "hvp", "jvp", "pullback"}


@dataclasses.dataclass
class Stored:
    """What a program needs of a build, as it was on disk."""

    run: Callable[..., tuple[Any, ...]]
    captures: list[tuple[Capture, None]]
    dependencies: dict[str, Dependency]
    out_tree: Any
    target: str
    changes: tuple[int, ...]
    again: Callable[[], Any]
    """The build itself, made anew: for those who want to read."""


def key_of(transformed: Any, signature: Any) -> str | None:
    """The name of the entry; None where the call cannot be described in words that another process understands."""
    fun = transformed.fun
    while hasattr(fun, "kind") and hasattr(fun, "fun"):
        if fun.kind not in KEPT:
            return None
        fun = fun.fun
    fun = plain(fun)
    if transformed.kind not in KEPT or transformed.target != "cpu" or not isinstance(fun, types.FunctionType):
        return None
    words = _words((transformed.key(), signature))
    if words is None:
        return None
    h = hashlib.sha256()
    for part in (compiler(), cpu.environment(), fun.__module__, fun.__qualname__, code_digest(fun), words):
        h.update(part.encode() + b"\0")
    return h.hexdigest()


def _words(x: Any) -> str | None:
    if isinstance(x, tuple):
        inner = [_words(y) for y in x]
        return None if any(w is None for w in inner) else f"({','.join(inner)})"  # type: ignore[arg-type]
    if x is None or isinstance(x, bool | int | float | str | type) or type(x).__name__ in ("PyTreeSpec",) or hasattr(x, "itemsize"):
        return repr(x)
    return None


@lru_cache(maxsize=1)
def compiler() -> str:
    """Changes whenever a file of adc does."""
    root = Path(__file__).resolve().parents[1]
    parts = []
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            if name.endswith(".py"):
                about = os.stat(os.path.join(folder, name))
                parts.append(f"{name} {about.st_size} {about.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def root_of(transformed: Any) -> Any:
    fun = transformed.fun
    while hasattr(fun, "kind") and hasattr(fun, "fun"):
        fun = fun.fun
    return fun


def save(transformed: Any, signature: Any, static: tuple[int, ...], build: Any) -> None:
    """Keep a program that was just compiled; what cannot be found again by name is not kept."""
    key = key_of(transformed, signature)
    if key is None or build.kernel is None or len(build.primals) != 1:
        return
    captures = [(c.path, path_of(c.get)) for c, _ in build.captures]
    dependencies = []
    functions = {id(plain(d.obj)) for d in build.dependencies.values() if path_of(d.get)} | {id(plain(root_of(transformed)))}
    for d in build.dependencies.values():
        if d.constant and id(plain(d.obj)) in functions:
            continue  # its text is part of another entry, or of the key
        dependencies.append((d.what, d.digest, path_of(d.get), None if d.same is None else (path_of(d.same),)))
    if any(p is None for _, p in captures) or any(p is None or s == (None,) for _, _, p, s in dependencies):
        return
    frame = dataclasses.replace(build.kernel, source="", routines=())
    content = (cpu.kernel_key(build.kernel), frame, build.out_tree, captures, dependencies, static, build.changes)
    with contextlib.suppress(pickle.PicklingError, AttributeError, TypeError, OSError):  # an exotic structure, a full disk
        cache.store(key, cache.PROGRAM, pickle.dumps(content, protocol=5))


def load(transformed: Any, signature: Any, again: Callable[[], Any]) -> tuple[tuple[int, ...], Stored] | None:
    """(static leaves, the stored program), if one is there and still right."""
    key = key_of(transformed, signature)
    path = None if key is None else cache.find(key, cache.PROGRAM)
    if path is None:
        return None
    try:
        library, frame, out_tree, captures, dependencies, static, changes = pickle.loads(cache.content(path))
        root = root_of(transformed)
        found = [(Capture(name, restore(p, root)), None) for name, p in captures]
        needs: dict[str, Dependency] = {}
        for what, digest, p, same in dependencies:
            get = restore(p, root)
            needs[what] = d = Dependency(what, digest, get, get(), None if same is None else restore(same[0], root))
            if not d.holds():
                return None
        where = cpu.known(library)
    except DAMAGE:  # made by another version, or what it names is gone: the program is made anew
        return None
    if where is None:
        return None
    return static, Stored(entry.make(frame, where), found, needs, out_tree, "cpu", changes, again)


__all__ = ["Stored", "load", "save"]
