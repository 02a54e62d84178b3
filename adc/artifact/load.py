"""`adc.load`: a built library from Python, called as `adc.grad(f)` is; neither the user's source nor a compiler is needed.

In: the folder that `adc build` wrote.  Out: a `Library`: an object with the functions as attributes.  The manifest and the library are
compared with their checksums before anything of them is used; machine and processor must be those it was built for.

    model = adc.load("build/model")
    value, gradient = model.loss_vg(w, X, y)
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adc.api import into, trees
from adc.api.doors import Read, reader, rebuilder
from adc.artifact import manifest
from adc.artifact.frames import NotImported, has_classes, kernel_of, tree_of
from adc.artifact.manifest import broken, digest
from adc.backend import aot, cache, entry, layout, pool, runtime
from adc.errors import ArtifactError, ShapeError, UnsupportedError, fail
from adc.ir.build import here
from adc.ir.reach import Leaf

_lock = threading.Lock()
_loaded: dict[str, Library] = {}
NOTHING: dict[str, Any] = {}
_opened: dict[str, str] = {}
"""Path -> the checksum of what the system has loaded under it."""


class Variant:
    """A function for one signature."""

    def __init__(self, about: dict[str, Any], run: Callable[..., tuple[Any, ...]], kept: list[Any]):
        self.about, self.run, self.kept = about, run, kept
        self.in_tree: Any = None
        self.out_tree: Any = None
        self.rebuild: Any = None

    def structure(self) -> tuple[list[Any], Any, Any]:
        """(leaves: `Leaf`s and static values, structure, order of the keys of dicts); classes of the user's must be imported."""
        if self.in_tree is None:
            args = tree_of(self.about["in_tree"])
            self.out_tree = tree_of(self.about["out_tree"])
            self.rebuild = rebuilder(self.out_tree)
            self.in_tree = (*trees.flatten(args), trees.orders(args))
        return self.in_tree  # type: ignore[no-any-return]

    def call(self, leaves: Sequence[Any], out: Any) -> Any:
        values = (*leaves, *self.kept) if self.kept else leaves
        return self.rebuild(self.run(*values) if out is None else into.call(self.run, values, self.out_tree, out))

    def fits(self, leaves: list[Any], treedef: Any, orders: Any) -> list[Any] | None:
        """The run-time leaves, if structure, static values, dtypes and ranks are those of this signature."""
        places, structure, own_orders = self.structure()
        if structure != treedef or orders != own_orders:
            return None
        run_time = []
        for x, p in zip(leaves, places, strict=True):
            if isinstance(p, Leaf):
                run_time.append(x)
            elif type(x) is not type(p) or x != p:
                return None
        kernel = self.about["kernel"]
        if not all(map(is_like, run_time, kernel["params"])):
            return None
        return [x if trees.is_native(x) else trees.native(x) for x in run_time]


def is_like(x: Any, param: tuple[str, str, list[Any]]) -> bool:
    """Has a leaf the dtype and the rank of a kernel's parameter?"""
    _, dtype, dims = param
    if not trees.is_runtime(x) or np.ndim(x) != len(dims):
        return False
    if isinstance(x, np.ndarray | np.generic):
        return bool(x.dtype.newbyteorder("=") == np.dtype(dtype))
    return np.dtype(dtype).kind in {bool: "b", int: "fi", float: "f"}.get(type(x), "")


class Function:
    """A built function: called with the arguments of the transformation that it was built from (see docs/build.md)."""

    def __init__(self, library: Library, name: str, variants: list[Variant]):
        self.library, self.variants = library, variants
        self.__name__ = self.__qualname__ = name
        first = variants[0].about
        self.parameters = tuple(first["parameters"])
        self.__doc__ = f"{first['transform']} of {first['function']}; built for " + "; ".join(v.about["sig"] for v in variants)
        self.quick: tuple[Read, Variant] | None = None
        """What takes arguments like those of the last call apart, and the variant that they go to."""

    def __repr__(self) -> str:
        return f"<adc built function {self.library.name}.{self.__name__}>"

    def __reduce__(self) -> Any:
        return getattr, (self.library, self.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        out = None
        if kwargs:
            if "out" not in self.parameters:
                out = kwargs.pop("out", None)
            args = self.positional(args, kwargs)
        if self.quick is not None:
            read, variant = self.quick
            leaves = read(args, NOTHING)
            if leaves is not None:
                try:
                    return variant.call(leaves, out)
                except (TypeError, ShapeError, entry.SizeAssumption):
                    pass  # another dtype, rank or an extent of 1: perhaps another signature
        return self.careful(args, out)

    def careful(self, args: tuple[Any, ...], out: Any) -> Any:
        args = self.positional(args, NOTHING)
        leaves, treedef = trees.flatten(args)
        orders = trees.orders(args)
        assumed: Exception | None = None
        for variant in self.variants:
            try:
                run_time = variant.fits(leaves, treedef, orders)
            except NotImported as e:
                raise fail(UnsupportedError, "type", None, what=f"{self.__name__} was built with the class {e}, which is not imported here", instead="import its module first") from None
            if run_time is None:
                continue
            try:
                result = variant.call(run_time, out)
            except entry.SizeAssumption as e:
                assumed = assumed or e
                continue
            static = frozenset(k for k, p in enumerate(variant.structure()[0]) if not isinstance(p, Leaf))
            quick = reader(leaves, trees.flatten((args, NOTHING))[1], static)
            self.quick = None if quick is None else (quick, variant)
            return result
        if assumed is not None:
            raise fail(ShapeError, "type", None, what=f"{self.__name__} was not built for these sizes: {assumed}", instead="build it for them too: sig takes a list of signatures, with 1 or 0 where an axis has that size")
        have = ", ".join(map(described, args))
        other = any(v.structure()[1] == treedef and v.structure()[2] != orders for v in self.variants)
        raise fail(
            UnsupportedError, "type", None, what=f"{self.__name__} was built for ({'), ('.join(v.about['sig'] for v in self.variants)}) and called with ({have}){'' if other else self.unlike(leaves, treedef)}",
            instead="give the keys of dicts in the order that it was built for: a function may depend on it" if other else "build it for that signature too",
        )

    def __adc_staged__(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        raise fail(
            UnsupportedError, "type", here(), what=f"{self.library.name}.{self.__name__} is built: adc has its machine code and not its source",
            instead="use the function that it was built from",
        )

    def unlike(self, leaves: list[Any], treedef: Any) -> str:
        """Where there is one signature of this structure: the first argument that differs from it."""
        alike = [v for v in self.variants if v.structure()[1] == treedef]
        if len(alike) != 1:
            return ""
        (variant,) = alike
        names = trees.paths(treedef.unflatten(leaves), self.parameters)
        params = variant.about["kernel"]["params"]
        for name, x, p in zip(names, leaves, variant.structure()[0], strict=True):
            if not isinstance(p, Leaf):
                if type(x) is not type(p) or x != p:
                    return f": {name} is {x!r}, built for {p!r}"
            elif not is_like(x, params[p.index]):
                _, dtype, dims = params[p.index]
                want = np.dtype(dtype).str[1:] + (f"[{', '.join(map(str, dims))}]" if dims else "")
                return f": {name} is {described(x)}, built for {want}"
        return ""

    def positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in order."""
        names = self.parameters
        rest = names[len(args) :]
        if len(args) > len(names) or set(rest) != set(kwargs):
            raise TypeError(f"{self.__name__} takes ({', '.join(names)}), got {len(args)} positional arguments{''.join(f', {k}=' for k in kwargs)}")
        return (*args, *(kwargs[k] for k in rest))


def described(x: Any) -> str:
    """An argument in the words of a signature."""
    if isinstance(x, np.ndarray):
        return f"{x.dtype.str[1:]}[{', '.join(map(str, x.shape))}]"
    if isinstance(x, np.generic):
        return x.dtype.str[1:]
    if isinstance(x, tuple | list):
        inner = ", ".join(map(described, x))
        return f"({inner})" if isinstance(x, tuple) else f"[{inner}]"
    if isinstance(x, dict):
        return "{" + ", ".join(f"{k!r}: {described(v)}" for k, v in x.items()) + "}"
    return type(x).__name__


class Library:
    """What `adc.load` returns.

    `name`; `functions`: their names; `manifest`: signatures, shapes, codes; `level`: the processor level in use;
    `path`: where it was loaded from (None for one that came through pickle).
    """

    def __init__(self, about: dict[str, Any], seal: bytes, data: bytes, handle: Any, path: Path | None):
        self.manifest, self.path, self.name = about, path, about["library"]
        self._content = (seal, data)
        self._handle = handle
        self.level = self._level()
        if about["shares"]:
            self._share()
        by_name: dict[str, list[Variant]] = {}
        for k, f in enumerate(about["functions"]):
            by_name.setdefault(f["name"], []).append(self._variant(k, f))
        self.functions = tuple(by_name)
        for name, variants in by_name.items():
            setattr(self, name, Function(self, name, variants))

    def __repr__(self) -> str:
        return f"<adc library {self.name}: {', '.join(self.functions)} ({self.level})>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "functions" not in self.__dict__:  # still being made
            raise AttributeError(name)
        raise AttributeError(f"{self.name} has no function {name!r}: it has {', '.join(self.functions)}")

    def __reduce__(self) -> Any:
        return from_content, self._content

    def _level(self) -> str:
        k = getattr(self._handle, f"{self.name}_level")()
        levels = self.manifest["levels"]
        if k < 0:
            raise fail(
                ArtifactError, "type", None, what=f"{self.name} was built for processors of level {levels[0]['name']}, and this one lacks {missing(levels[0]['needs'])}",
                instead='build it with a lower level too, such as levels = ["baseline", …]',
            )
        return str(levels[k]["name"])

    def _words(self) -> Any:
        """LIBRARY_programs."""
        table = manifest.table_of(self.manifest)
        count = table.pool + len(pool.NAMES) * self.manifest["shares"]
        return (ctypes.c_size_t * max(1, count)).in_dll(self._handle, f"{self.name}_programs")

    def _variant(self, k: int, about: dict[str, Any]) -> Variant:
        table, words = manifest.table_of(self.manifest), self._words()
        at = table.program(k, [x["name"] for x in self.manifest["levels"]].index(self.level))
        addresses = {layout.KERNEL: words[at]}
        if words[at + 1] and self._same_layout():
            addresses[layout.ENTRY] = words[at + 1]
        before = sum(len(f["captures"]) for f in self.manifest["functions"][:k])
        kept = [_value(words[table.data + before + j], c) for j, c in enumerate(about["captures"])]
        variant = Variant(about, entry.make(kernel_of(about["kernel"]), addresses), kept)
        if not has_classes(about["in_tree"]) and not has_classes(about["out_tree"]):
            variant.structure()  # what the manifest cannot say is found now, not at the first call
        return variant

    def _same_layout(self) -> bool:
        return bool(self.manifest["entry"] == manifest.entry_layout())

    def _share(self) -> None:
        """Give the library the workers and products of this process; to one of another version its own workers."""
        if not self._same_layout():
            def start() -> None:
                getattr(self._handle, f"{self.name}_set_num_threads")(pool.threads())

            start()
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=start)
            return
        at, words = manifest.table_of(self.manifest).pool, self._words()
        pool.adopt({name: words[at + k] for k, name in enumerate(pool.NAMES)})
        set_runtime = getattr(self._handle, f"{self.name}_set_runtime")
        set_runtime.argtypes, set_runtime.restype = [ctypes.c_void_p], None
        set_runtime(runtime.address())


def _value(address: int, about: dict[str, Any]) -> Any:
    """Data that lies in the library, as a read-only array, or a number; a loaded library stays until the process ends."""
    dtype, shape = np.dtype(about["dtype"]), tuple(about["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        return np.empty(shape, dtype)
    block = (ctypes.c_uint8 * (count * dtype.itemsize)).from_address(address)
    array = np.frombuffer(block, dtype).reshape(shape)
    array.flags.writeable = False
    return array if shape else array[()]


def missing(needs: list[str]) -> str:
    """Instruction sets of `needs` that this processor does not tell of."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split("\n\n")[0]
        have = set(next(x for x in text.splitlines() if x.startswith("flags")).split()[2:])
    except (OSError, StopIteration):
        return "one of " + ", ".join(needs)
    kernel_names = {"sse3": "pni", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "bmi": "bmi1", "lzcnt": "abm", "sahf": "lahf_lm", "pclmul": "pclmulqdq"}
    return ", ".join(n for n in needs if kernel_names.get(n, n) not in have and n.replace("avx512v", "avx512_v") not in have) or "one of " + ", ".join(needs)


# ---------------------------------------------------------------- from files, from bytes


def load(path: str | os.PathLike[str]) -> Library:
    """A library that `adc build` wrote, as an object with its functions.

    Args:
        path: the folder of the library (or its manifest, or the library itself).

    Returns a `Library`.  A function takes what the transformation of the original takes (containers of arrays too),
    checks shapes and dtypes and raises the same errors; it may be called from several threads, and pickled: the library goes along.

    Raises: `ArtifactError` where the library is damaged, was built by another version of adc, for another machine or
    for a processor with more instruction sets.

    >>> model = adc.load("build/model")                     # doctest: +SKIP
    >>> value, gradient = model.loss_vg(w, X, y)            # doctest: +SKIP
    """
    about, seal, folder = manifest.read(Path(path))
    suits(about, str(folder))
    if about["file"] is None:
        raise fail(ArtifactError, "type", None, what=f"{folder} holds objects only: there was no linker where it was built", instead="build it where gcc or clang is installed")
    place = folder / about["file"]
    try:
        data = place.read_bytes()
    except OSError as e:
        raise broken(str(place), f"the library cannot be read ({e.strerror})") from None
    return made(about, seal, data, place)


def from_content(seal: bytes, data: bytes) -> Library:
    """A library from the bytes of its manifest and of itself: what pickles hold."""
    about = manifest.opened(seal, "a pickled library")
    suits(about, about["library"])
    return made(about, seal, data, None)


def suits(about: dict[str, Any], where: str) -> None:
    """Is it for this kind of machine?"""
    if (about["system"], about["machine"]) != (sys.platform, aot.machine_here()):
        raise fail(
            ArtifactError, "type", None, what=f"{where} was built for {about['system']} on {about['machine']}, and this is {sys.platform} on {aot.machine_here()}",
            instead="build it for this machine",
        )


def made(about: dict[str, Any], seal: bytes, data: bytes, path: Path | None) -> Library:
    """The library, once per process and content."""
    key = digest(seal)
    if digest(data) != about["files"].get(about["file"]):
        raise broken(str(path or about["library"]), "the library is damaged: its checksum differs")
    with _lock:
        if key not in _loaded:
            try:
                _loaded[key] = Library(about, seal, data, opened(path, data), path)
            except (KeyError, IndexError, TypeError, AttributeError, ValueError) as e:
                raise broken(str(path or about["library"]), f"the manifest does not describe the library ({type(e).__name__}: {e})") from None
        return _loaded[key]


def opened(path: Path | None, data: bytes) -> Any:
    """The library in this process.

    A path is opened once: the system gives what it has loaded under a name also where the file is another now.
    """
    seal = digest(data)
    if path is not None and _opened.setdefault(str(path.resolve()), seal) == seal:
        name = str(path.resolve())
    else:
        name = str(cache.store(seal, cache.LIBRARY, data))
    try:
        return ctypes.CDLL(name)
    except OSError as e:
        raise broken(name, f"the system cannot load the library ({e})") from None


__all__ = ["Function", "Library", "load"]
