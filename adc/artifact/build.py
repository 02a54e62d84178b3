"""Libraries from plans: what is unchanged stays, what is new is built in several processes, files are put in place at the end.

In: `Plan`s.  Out: a folder per library with

    lib<name>.so   <name>.h   manifest.json   <name>-config.cmake   <name>.pc   [lib<name>.a]   [objects/*.o]

and a `Result` each.  A function that fails leaves its library as it was; the others are written all the same, and then
`BuildError` tells all that failed.  `stale` says what a build would change, without reading any source.

    results = build(plans([(None, make_spec("model:loss", sig="f8[n]"))], "build"), Path.cwd())
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adc.api import stored
from adc.artifact import manifest, texts
from adc.artifact.forms import load_function
from adc.artifact.make import Record, contents, known, source
from adc.artifact.prototype import Prototype, exports, first_codes
from adc.artifact.spec import Plan, Spec
from adc.artifact.workers import Task, run
from adc.backend import aot, pool_code
from adc.errors import AdcError, ArtifactError, BuildError, fail


@dataclass
class Result:
    """What became of one library."""

    library: str
    folder: Path
    built: list[str] = field(default_factory=list)
    """Functions that were compiled; the others were there already."""
    functions: list[str] = field(default_factory=list)
    written: bool = False
    """False where all files were there and as they should be."""
    linked: bool = True
    """False where there was no linker: the library is objects, to be linked elsewhere."""
    dropped: list[str] = field(default_factory=list)
    """Functions that the library had before and has no more."""


Tick = Callable[[int, int, str], None]
"""Called with (functions done, functions to do, the name of the last)."""


def build(found: Sequence[Plan], root: Path, jobs: int = 1, tick: Tick | None = None) -> list[Result]:
    """Build libraries.

    Args:
        found: what to build (`spec.plans`, `spec.read_config`).
        root: the folder that modules and paths are seen from.
        jobs: how many processes compile at once.
        tick: told about progress.

    Returns a `Result` per library.  Raises: `BuildError` with every function that failed, after the rest is written.
    """
    root = root.resolve()
    records: dict[tuple[str, str], Record] = {}
    errors: list[str] = []
    tasks: list[Task] = []
    for plan in found:
        levels = aot.levels(plan.levels)
        for spec in plan.specs:
            record, error = _known(spec, root, levels, plan.library)
            if record is not None:
                records[plan.library, spec.symbol] = record
            elif error is not None:
                errors.append(f"{plan.library}: {spec.symbol} ({spec.function}): {error}")
            else:
                tasks.append(Task(spec, root, plan.levels, plan.library))
    fresh = {(t.library, t.spec.symbol) for t in tasks}
    if tick is not None and tasks:
        tick(0, len(tasks), "")
    for done, (task, record, error) in enumerate(run(tasks, jobs), 1):
        if record is None:
            errors.append(f"{task.library}: {task.spec.symbol} ({task.spec.function}): {error}")
        else:
            records[task.library, task.spec.symbol] = record
        if tick is not None:
            tick(done, len(tasks), task.spec.symbol)
    results = []
    for plan in found:
        own = [records.get((plan.library, s.symbol)) for s in plan.specs]
        if all(r is not None for r in own):
            result = write(plan, [r for r in own if r is not None])
            result.built = [s.symbol for s in plan.specs if (plan.library, s.symbol) in fresh]
            results.append(result)
    if errors:
        raise fail(BuildError, "type", None, what="\n".join(["not built:", *errors]), instead="see each message; a library with a failure is as it was before")
    return results


def _known(spec: Spec, root: Path, levels: Sequence[aot.Level], library: str) -> tuple[Record | None, str | None]:
    """(the record that is there, None), (None, None) where there is none, (None, why the function cannot be found)."""
    try:
        return known(spec, root, levels, library), None
    except AdcError as e:
        return None, f"{type(e).__name__}: {e}"
    except Exception as e:  # the user's module may raise anything while it is imported
        return None, f"{type(e).__name__}: {e} (while its module was imported)"


# ---------------------------------------------------------------- one library


def library_key(plan: Plan, levels: Sequence[aot.Level], records: Sequence[Record]) -> str:
    """Changes with anything that the files are made from."""
    here = Path(__file__).parent
    h = hashlib.sha256()
    for name in ("build", "glue", "threads", "texts", "prototype", "frames", "manifest"):
        h.update((here / f"{name}.py").read_bytes())
    h.update(pool_code.TEXT.encode())
    h.update(f"{plan.library} {plan.static} {[x.name for x in levels]} {_linker(levels[0].machine)} {_version()}".encode())
    h.update(json.dumps(list(records), sort_keys=True).encode())
    return h.hexdigest()


def _linker(machine: str) -> str:
    """Which linker is there, in words that change where it does; without importing a compiler."""
    import shutil

    names = [os.environ["ADC_LINKER"]] if "ADC_LINKER" in os.environ else ["gcc", "clang", "cc", f"{machine}-linux-gnu-gcc"]
    return " ".join(str(shutil.which(n)) for n in names if n)


def _version() -> str:
    import adc

    return adc.__version__


def write(plan: Plan, records: Sequence[Record]) -> Result:
    """Put the files of a library in place, unless they are there already."""
    levels = aot.levels(plan.levels)
    result = Result(plan.library, plan.folder, functions=[r["symbol"] for r in records])
    key = library_key(plan, levels, records)
    before = previous(plan.folder)
    if before is not None:
        result.dropped = [f["symbol"] for f in before["functions"] if f["symbol"] not in result.functions]
        if before["key"] == key and not damaged(before, plan.folder):
            result.linked = before["file"] is not None
            return result
    files, about = assemble(plan, levels, records)
    about["key"] = key
    place(plan.folder, files, about, set(before["files"]) if before else set())
    result.written, result.linked = True, about["file"] is not None
    return result


def previous(folder: Path) -> dict[str, Any] | None:
    """The manifest of the library that is there, if one is and it is whole."""
    try:
        return manifest.read(folder)[0]
    except ArtifactError:
        return None


def damaged(about: dict[str, Any], folder: Path) -> list[str]:
    """Files that are not as the manifest has them."""
    return [name for name, seal in about["files"].items() if not manifest.file_is(folder / name, seal)]


def assemble(plan: Plan, levels: Sequence[aot.Level], records: Sequence[Record]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """(file name -> bytes, the manifest) of a library."""
    from adc.artifact import glue, threads

    library, machine = plan.library, levels[0].machine
    prototypes = [Prototype(r) for r in records]
    objects: dict[str, bytes] = {}
    for r in records:
        for name, data in contents(r).items():
            objects[f"{r['symbol']}.{name}.o"] = data
    symbols = [{level: x["names"] for level, x in r["objects"].items()} for r in records]
    shares = any(p.shares for p in prototypes)
    if shares:
        objects[threads.pool_object(library)] = aot.emit(threads.pool_text(library, machine), levels[0])
    objects[f"{library}.glue.o"] = aot.emit(glue.write(library, prototypes, levels, symbols), levels[0])
    shared_name = texts.soname(library, sys.platform)
    shared = aot.link_library(objects, exports(library, prototypes), shared_name, machine, shares)
    static = aot.archive(objects, f"lib{library}.a") if plan.static else None
    names = [x.name for x in levels]
    files = {f"{library}.h": texts.header(library, prototypes, names, _version()).encode()}
    if shared is not None:
        files[shared_name] = shared
        files[f"{library}.pc"] = texts.pkg_config(library, _version()).encode()
    else:
        files |= {f"objects/{name}": data for name, data in objects.items()}
    if static is not None:
        files[f"lib{library}.a"] = static
    if shared is not None or static is not None:
        made = (shared_name if shared is not None else None, f"lib{library}.a" if static is not None else None)
        files[f"{library}-config.cmake"] = texts.cmake(library, *made).encode()
    functions = []
    for p, first, r in zip(prototypes, first_codes(prototypes), records, strict=True):
        kept = [{k: c[k] for k in ("name", "dtype", "shape")} for c in r["captures"]]
        words = ("name", "symbol", "function", "transform", "wrt", "sig", "strict", "tape_limit", "parameters", "inputs", "in_tree", "outputs", "out_tree", "kernel", "source")
        functions.append({**{w: r[w] for w in words}, "captures": kept, "c": texts.describe(p, first)})
    import numpy as np

    return files, {
        "format": manifest.FORMAT,
        "library": library,
        "file": shared_name if shared is not None else None,
        "system": sys.platform,
        "machine": machine,
        "levels": [{"name": x.name, "cpu": x.cpu, "needs": list(x.needs)} for x in levels],
        "entry": manifest.entry_layout(),
        "shares": shares,
        "versions": {"adc": _version(), "numpy": np.__version__, "python": ".".join(map(str, sys.version_info[:3]))},
        "functions": functions,
        "files": {name: manifest.digest(data) for name, data in sorted(files.items())},
    }


def place(folder: Path, files: dict[str, bytes], about: dict[str, Any], before: set[str]) -> None:
    """All files under other names first, then each in its place, the manifest last; what went is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    ready: list[tuple[Path, Path]] = []
    try:
        for name, data in {**files, manifest.NAME: manifest.sealed(about)}.items():
            final = folder / name
            final.parent.mkdir(exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=final.parent)
            ready.append((Path(temporary), final))
            with os.fdopen(handle, "wb") as f:
                f.write(data)
            os.chmod(temporary, 0o755 if final.suffix in (".so", ".dylib") else 0o644)
        for made, final in ready:
            os.replace(made, final)
    finally:
        for made, _ in ready:
            with contextlib.suppress(OSError):
                made.unlink()
    for name in before - set(files):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
            (folder / name).parent.rmdir()  # only where it is empty: never the folder of the manifest


# ---------------------------------------------------------------- what would change


def folder_key(folder: Path | None) -> str:
    """Changes with the compiler, the place, and any file of a catalogue or the page that is made from it."""
    h = hashlib.sha256(f"catalogue {stored.compiler()}".encode())
    if folder is not None:
        h.update(str(folder.resolve()).encode())
        page = folder.resolve().parent / "docs" / "catalogue.md"
        for path in (*sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts), page):
            h.update(f"{path.name} ".encode() + (path.read_bytes() if path.is_file() else b"-") + b"\0")
    return h.hexdigest()


def stale(found: Sequence[Plan], root: Path) -> list[str]:
    """What is not as it should be in libraries that have been built: damaged files, functions that were changed."""
    said: list[str] = []
    for plan in found:
        if not (plan.folder / manifest.NAME).exists():
            continue
        try:
            about = manifest.read(plan.folder)[0]
        except ArtifactError as e:
            said.append(str(e.diagnostics[0].message))
            continue
        said += [f"{plan.folder / name}: damaged or missing" for name in damaged(about, plan.folder)]
        have = {f["symbol"]: f for f in about["functions"]}
        said += [f"{plan.library}: {s} is no more asked for" for s in have if s not in {x.symbol for x in plan.specs}]
        for spec in plan.specs:
            if spec.symbol not in have:
                said.append(f"{plan.library}: {spec.symbol} is not built")
                continue
            now = source(load_function(spec.function, root.resolve())[0], root.resolve())
            if now["sha256"] != have[spec.symbol]["source"]["sha256"]:
                said.append(f"{plan.library}: {spec.function} was changed since {spec.symbol} was built")
    return said


__all__ = ["Result", "build", "folder_key", "stale", "write"]
