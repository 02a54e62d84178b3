"""What is to be built: `[tool.adc.build]` of a pyproject.toml, or the same words as arguments.

In: a file or words.  Out: `Plan`s: a library, its functions (`Spec`), its levels and extras.  Nothing is imported.

    [tool.adc.build]
    out = "build"                          # a folder per library is made here
    levels = ["baseline", "x86-64-v3"]     # of one library; chosen by the processor that it meets
    static = true                          # also lib<name>.a
    catalogue = "kernels"                  # checked-in sources for `adc build --check`

    [[tool.adc.build.functions]]
    function = "model:loss"                # module:function or path.py:function
    sig = "f8[d], f8[n, d], f8[n]"         # or a list; without it the annotations, then example_inputs()
    transform = "value_and_grad"
    wrt = 0                                # or [0, 2]
    tape_limit = "64 MB"                   # what loops may keep for the reverse sweep; without it all that is needed
    name = "loss_vg"                       # in C and in Python; by default loss_value_and_grad
    library = "model"                      # by default the last part of the module's name

    [[tool.adc.build.functions]]
    function = "kernels/*.py:loss"         # every file that defines it, as one library "kernels"
    name = "{module}_vg"                   # by default {module}_{transform}
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adc.api import functions
from adc.errors import UnsupportedError, fail

TRANSFORMS = ("primal", "grad", "value_and_grad", "jvp", "vjp", "hvp", "jacobian", "jacfwd", "hessian")
"""`jacobian` is made by reverse mode, `jacfwd` is the same by forward mode."""
REVERSE = ("grad", "value_and_grad", "vjp", "hvp", "jacobian", "hessian")
C_WORDS = frozenset({
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern", "float", "for",
    "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct",
    "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "bool", "true", "false", "nullptr", "class", "new",
    "delete", "this", "template", "typename", "namespace", "using", "public", "private", "protected", "virtual", "operator",
    "friend", "try", "catch", "throw", "main",
})  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """One function of a library; several with one name are one function of Python for several signatures."""

    function: str
    transform: str = "grad"
    wrt: int | tuple[int, ...] | None = None
    """None: what the module says in `WRT`, else 0 (`forms.settled`)."""
    sig: str | None = None
    name: str = ""
    symbol: str = ""
    """Its name in C: `name`, with `_2` … for the later signatures of one name."""
    strict: bool = False
    """Floating-point operations exactly as written: sums in order, no fused multiply-add."""
    tape_limit: int | None = None
    """Bytes that loops may keep for the reverse sweep (docs/design/checkpoints.md)."""


@dataclass(frozen=True)
class Plan:
    """One library."""

    library: str
    specs: tuple[Spec, ...]
    out: Path
    """The folder that the library's own folder stands in."""
    levels: tuple[str, ...] = ("baseline",)
    static: bool = False

    @property
    def folder(self) -> Path:
        return self.out / self.library


def refuse(what: str, instead: str) -> UnsupportedError:
    return fail(UnsupportedError, "type", None, what=what, instead=instead)  # type: ignore[return-value]


def c_identifier(name: str, what: str) -> str:
    """`name`, if it can stand in C and in Python."""
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or name in C_WORDS or keyword.iskeyword(name):
        raise refuse(f"{what} {name!r} is not a name in C and Python", "use letters, digits and _, beginning with a letter")
    return name


def plain_name(function: str) -> str:
    return function.rpartition(":")[2].rpartition(".")[2]


def library_of(function: str) -> str:
    """The library that a function goes into where none is named: its module's last name."""
    place = function.rpartition(":")[0]
    return re.sub(r"\W", "_", Path(place).stem if place.endswith(".py") else place.rpartition(".")[2])


def make_spec(
    function: str, transform: str = "grad", wrt: int | Iterable[int] | None = None, sig: str | None = None, name: str | None = None,
    strict: bool = False, tape_limit: int | str | None = None,
) -> Spec:  # fmt: skip
    """A checked `Spec`.

    >>> make_spec("model:loss", "hessian").name
    'loss_hessian'
    """
    if transform not in TRANSFORMS:
        raise refuse(f"the transformation {transform!r}", f"use one of {', '.join(TRANSFORMS)}")
    if ":" not in function:
        raise refuse(f"{function!r} does not name a function", "write module:function, or path.py:function")
    base = plain_name(function)
    made = name or (base if transform == "primal" else f"{base}_{transform}")
    nums = wrt if wrt is None or isinstance(wrt, int) else tuple(wrt)
    limit = functions.limited(tape_limit).get("tape_limit")
    if limit is not None and transform not in REVERSE:
        raise refuse(f"tape_limit for {transform}, which has no reverse sweep", f"leave it out, or use one of {', '.join(REVERSE)}")
    return Spec(function, transform, nums, sig, c_identifier(made, "the name"), made, strict, limit)


def plans(specs: Iterable[tuple[str | None, Spec]], out: str | Path, levels: Iterable[str] = ("baseline",), static: bool = False) -> list[Plan]:
    """Libraries of (library or None, spec); symbols of C are made unique."""
    by_library: dict[str, list[Spec]] = {}
    for library, spec in specs:
        place = c_identifier(library or library_of(spec.function), "the library")
        by_library.setdefault(place, []).append(spec)
    made = []
    for library, found in by_library.items():
        used: set[str] = set()
        final: list[Spec] = []
        for spec in found:
            k = 1
            symbol = spec.name
            while symbol in used:
                k += 1
                symbol = f"{spec.name}_{k}"
            if k > 1 and any(f.name == spec.name and (f.function, f.transform, f.wrt) != (spec.function, spec.transform, spec.wrt) for f in final):
                raise refuse(f"two functions of {library} are called {spec.name}", 'give them names of their own: name = "…"')
            used.add(symbol)
            final.append(Spec(spec.function, spec.transform, spec.wrt, spec.sig, spec.name, symbol, spec.strict, spec.tape_limit))
        made.append(Plan(library, tuple(final), Path(out), tuple(levels), static))
    return made


# ---------------------------------------------------------------- pyproject.toml


@dataclass(frozen=True)
class Config:
    """`[tool.adc.build]` of a project."""

    root: Path
    plans: tuple[Plan, ...] = ()
    catalogue: Path | None = None


KEYS = {"out": str, "levels": list, "static": bool, "catalogue": str, "functions": list}
FUNCTION_KEYS = {
    "function": str, "sig": (str, list), "transform": str, "wrt": (int, list), "name": str, "library": str, "strict": bool, "tape_limit": (int, str),
}  # fmt: skip


def read_toml(path: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef,import-not-found]
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise refuse(f"{path} cannot be read: {e}", "correct the file") from None


def find_project(start: Path) -> Path | None:
    """The pyproject.toml with `[tool.adc.build]` here or above."""
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            return path if "build" in read_toml(path).get("tool", {}).get("adc", {}) else None
    return None


def read_config(path: Path, out: Path | None = None, levels: Iterable[str] = ()) -> Config:
    """What a project wants built; `out` and `levels` given here are stronger than the file's."""
    table = read_toml(path).get("tool", {}).get("adc", {}).get("build")
    where = f"{path}: [tool.adc.build]"
    if table is None:
        raise refuse(f"{path} has no [tool.adc.build]", "add it, or name functions: adc build module:function --sig …")
    check_keys(table, KEYS, where)
    specs: list[tuple[str | None, Spec]] = []
    for k, entry in enumerate(table.get("functions", ())):
        here = f"{where} functions[{k}]"
        if not isinstance(entry, dict):
            raise refuse(f"{here} is a {type(entry).__name__}", "write [[tool.adc.build.functions]] tables")
        check_keys(entry, FUNCTION_KEYS, here)
        if "function" not in entry:
            raise refuse(f"{here} names no function", 'add function = "module:function"')
        sigs = entry.get("sig")
        for own in several(entry, path.parent, here):
            for sig in sigs if isinstance(sigs, list) else [sigs]:
                specs.append((own.get("library"), make_spec(
                    own["function"], own.get("transform", "grad"), own.get("wrt"), sig, own.get("name"), own.get("strict", False), own.get("tape_limit")
                )))  # fmt: skip
    root = path.parent
    made = plans(specs, out or root / table.get("out", "build"), tuple(levels) or table.get("levels", ("baseline",)), table.get("static", False))
    catalogue = table.get("catalogue")
    return Config(root, tuple(made), root / catalogue if catalogue else None)


def several(entry: dict[str, Any], root: Path, where: str) -> list[dict[str, Any]]:
    """The entry; where its path has a `*`, an entry for every file that defines the function."""
    place, _, function = entry["function"].rpartition(":")
    if "*" not in place:
        return [entry]
    files = [p for p in sorted(root.glob(place)) if p.suffix == ".py" and defines(p, function)]
    if not files:
        raise refuse(f"{where}: no file {place} defines {function}", "paths are seen from the folder of pyproject.toml")
    pattern = entry.get("name", "{module}_{transform}")
    made = []
    for p in files:
        name = pattern.format(module=p.stem, transform=entry.get("transform", "grad"), function=function)
        made.append({"library": re.sub(r"\W", "_", p.parent.name), **entry, "function": f"{p.relative_to(root).as_posix()}:{function}", "name": name})
    return made


def defines(path: Path, function: str) -> bool:
    """Has the file a function of this name?"""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)


def check_keys(table: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """Every key is known and has a value of its kind."""
    for key, value in table.items():
        if key not in known:
            raise refuse(f"{where}: there is no key {key!r}", f"use {', '.join(known)}")
        kinds = known[key] if isinstance(known[key], tuple) else (known[key],)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise refuse(f"{where}: {key} is a {type(value).__name__}", f"it must be a {' or a '.join(k.__name__ for k in kinds)}")


__all__ = ["TRANSFORMS", "Config", "Plan", "Spec", "find_project", "make_spec", "plans", "read_config"]
