"""One function of a library: staged, lowered and compiled for every level, and a record of all that it came from.

In: a `Spec`, the project's folder, levels.  Out: a record (JSON), whose objects lie in the cache of kernels.  A record is used again
as long as everything it was made from is as it was: the compiler, the function and what it calls, static values, the
data it keeps (`known`).

    record = known(spec, root, levels) or make(spec, root, levels)
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adc.api import stored, trees
from adc.artifact.forms import Form, form, load_function, output_names, settled, sig_text, types_of
from adc.artifact.frames import kernel_json, tree_json
from adc.artifact.prototype import capture_json
from adc.artifact.spec import Spec, refuse
from adc.backend import aot, cache, cpu
from adc.errors import Pos
from adc.ir.reach import Dependency, code_digest, path_of, plain, restore
from adc.lower.kernel import Kernel

LARGEST = 64 << 20
"""Bytes of data that a function may keep in its library."""
Record = dict[str, Any]


def key_of(spec: Spec, root: Path, levels: Sequence[aot.Level], library: str) -> str:
    """The name of a function's record: changes with all that is seen without reading the function's source."""
    fun, module = load_function(spec.function, root)
    spec = settled(spec, module)
    own = plain(fun)
    while hasattr(own, "fun"):
        own = plain(own.fun)
    h = hashlib.sha256()
    for part in (
        "record", stored.compiler(), cpu.environment(), repr(spec), library, repr([dataclasses.astuple(x) for x in levels]), str(root),
        own.__module__, own.__qualname__, code_digest(own) if isinstance(own, types.FunctionType) else "",
        sig_text(types_of(fun, module, spec.sig)),
    ):  # fmt: skip
        h.update(part.encode() + b"\0")
    return h.hexdigest()


# ---------------------------------------------------------------- what is there already


def known(spec: Spec, root: Path, levels: Sequence[aot.Level], library: str) -> Record | None:
    """The record of an earlier build, if all of it still holds and its objects are there."""
    path = cache.find(key_of(spec, root, levels, library), cache.PROGRAM)
    if path is None:
        return None
    try:
        record: Record = json.loads(cache.content(path))
        good = record["dependencies"] is not None and _holds(record, load_function(spec.function, root)[0])
    except (ValueError, KeyError, AttributeError, ImportError, IndexError, TypeError):
        return None  # what it names is gone: made anew
    return record if good and all(cache.find(x["key"], cache.OBJECT) for x in record["objects"].values()) else None


def _root_of(fun: Any) -> Any:
    while hasattr(fun, "kind") and hasattr(fun, "fun"):
        fun = fun.fun
    return fun


def _holds(record: Record, fun: Any) -> bool:
    root = _root_of(fun)
    for what, digest, path, same in record["dependencies"]:
        get = restore(path, root)
        if not Dependency(what, digest, get, get(), None if same is None else restore(same, root)).holds():
            return False
    return all(capture_json(c["name"], restore(c["way"], root)()) == {k: v for k, v in c.items() if k != "way"} for c in record["captures"])


def _dependencies(build: Any, fun: Any) -> list[Any] | None:
    """What the program was made from, in words that another process understands; None where there are none."""
    found = []
    functions = {id(plain(d.obj)) for d in build.dependencies.values() if path_of(d.get)} | {id(plain(_root_of(fun)))}
    for d in build.dependencies.values():
        if d.constant and id(plain(d.obj)) in functions:
            continue  # its text is part of another entry, or of the key
        path, same = path_of(d.get), None if d.same is None else path_of(d.same)
        if path is None or (d.same is not None and same is None):
            return None
        found.append([d.what, d.digest, path, same])
    return found if all(path_of(c.get) for c, _ in build.captures) else None


def contents(record: Record) -> dict[str, bytes]:
    """Level -> the object of this function."""
    found = {}
    for level, about in record["objects"].items():
        path = cache.find(about["key"], cache.OBJECT)
        if path is None:
            raise FileNotFoundError(about["key"])
        found[level] = cache.content(path)
    return found


# ---------------------------------------------------------------- made anew


def make(spec: Spec, root: Path, levels: Sequence[aot.Level], library: str) -> Record:
    """Stage, lower and compile.

    Raises: `AdcError` with file and line where the function cannot be built.
    """
    f = form(spec, root)
    build = f.transformed.staged_types(f.args, {})
    record = describe(f, build, root)
    from adc.lower.machine import any_machine
    from adc.lower.whole import lower

    with any_machine():
        kernel = lower(build.program)
    record["kernel"] = kernel_json(_relative(kernel, root))
    record["outputs"] = output_names(f, build.out_tree, len(kernel.outs))
    record["objects"] = compiled(kernel, f"{library}_{spec.symbol}", levels, spec.strict)
    data = json.dumps(record).encode()
    cache.store(key_of(spec, root, levels, library), cache.PROGRAM, data)
    return json.loads(data)  # type: ignore[no-any-return]


def describe(f: Form, build: Any, root: Path) -> Record:
    """All of a record but its kernel."""
    spec = f.spec
    captures = []
    for capture, _ in build.captures:
        value = trees.native(capture.get())
        if getattr(value, "nbytes", 0) > LARGEST:
            raise refuse(
                f"{spec.symbol} reads {capture.path}, {value.nbytes >> 20} MB, which would lie in the library",
                "pass it as an argument",
            )
        captures.append({**capture_json(capture.path, value), "way": path_of(capture.get)})
    return {
        **{k: v for k, v in dataclasses.asdict(spec).items() if k != "sig"},
        "sig": f.sig,
        "parameters": f.parameters,
        "inputs": f.inputs,
        "in_tree": tree_json(f.args, f"the arguments of {spec.symbol}"),
        "out_tree": tree_json(build.out_tree, f"the result of {spec.symbol}"),
        "captures": captures,
        "dependencies": _dependencies(build, f.fun),
        "source": source(f.fun, root),
    }


def source(fun: Any, root: Path) -> dict[str, Any]:
    """Where the function stands, and the digest of its text."""
    own = plain(_root_of(fun))
    own = plain(getattr(own, "func", own))
    try:
        text, line = inspect.getsourcelines(own)
        file = inspect.getsourcefile(own)
    except (OSError, TypeError):
        return {"file": None, "line": None, "sha256": None}
    return {"file": relative(file or "", root), "line": line, "sha256": hashlib.sha256("".join(text).encode()).hexdigest()}


def relative(file: str, root: Path) -> str:
    """A path as it may be written into a file that goes elsewhere: from the project's folder, or the name alone."""
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _relative(kernel: Kernel, root: Path) -> Kernel:
    def moved(pos: Pos | None) -> Pos | None:
        return None if pos is None else dataclasses.replace(pos, file=relative(pos.file, root))

    return dataclasses.replace(
        kernel,
        checks=tuple(dataclasses.replace(c, pos=moved(c.pos)) for c in kernel.checks),
        guards=tuple(dataclasses.replace(g, pos=moved(g.pos)) for g in kernel.guards),
    )


def compiled(kernel: Kernel, prefix: str, levels: Sequence[aot.Level], strict: bool) -> dict[str, Any]:
    """Level -> where its object lies in the cache, and what it exports; only what is missing is compiled."""
    base = cpu.kernel_key(kernel, strict)
    here = hashlib.sha256(Path(aot.__file__).read_bytes()).hexdigest()
    keys = {x.name: hashlib.sha256(f"{base} {here} {prefix} {dataclasses.astuple(x)}".encode()).hexdigest() for x in levels}
    names_key = hashlib.sha256(f"names {sorted(keys.values())}".encode()).hexdigest()
    listing = cache.find(names_key, cache.PROGRAM)
    if listing is None or not all(cache.find(k, cache.OBJECT) for k in keys.values()):
        names = {}
        for name, (data, exported) in aot.objects(kernel, prefix, levels, strict).items():
            cache.store(keys[name], cache.OBJECT, data)
            names[name] = exported
        listing = cache.store(names_key, cache.PROGRAM, json.dumps(names).encode())
    names = json.loads(cache.content(listing))
    return {name: {"key": keys[name], "names": names[name]} for name in keys}


__all__ = ["Record", "contents", "known", "make"]
