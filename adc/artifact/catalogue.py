"""The catalogue: kernels as users write them, and beside each what adc makes of it, checked in so that a change of the compiler is seen.

In: a folder of Python files, each with `loss`, `example_inputs(size)`, and `WRT`, the arguments to differentiate.  Out: in
`emitted/` the value and gradient of each as text: `<name>.numpy.py`, the readable adjoint, and `<name>.cpu.py`, the loops that are
compiled; both are modules that run by themselves.  Where the project has the page docs/catalogue.md, that too.

    write(Path("kernels"))       what is out of date, written anew
    check(Path("kernels"))       what is out of date, as differences

    python -m adc.artifact.catalogue [folder]
"""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from adc.artifact import forms
from adc.artifact.spec import defines, make_spec, refuse
from adc.ir.dims import Dim, Sym, size, substitute
from adc.lower.kernel import Buffer, Kernel

FUNCTION = "loss"
EMITTED = "emitted"
SUFFIXES = (".numpy.py", ".cpu.py")
HEAD = """# The catalogue

Functions as people write them, and the derivative that adc writes for each: `value_and_grad` by the arguments that are named.  The sources stand in
`kernels/`, what is made of them in `kernels/emitted/`: `<name>.numpy.py` is the adjoint shown here, `<name>.cpu.py` the loops that are compiled.  Every value
and every gradient is held against an independent program (`kernels/reference/independent.py`) and against differences.

Made by `python -m adc.artifact.catalogue`; `adc build --check` says what is out of date.
"""
IN_ORDER = '''

def run_{part}(count, *args):
    """What workers share: all chunks, one after the other."""
    for chunk in range(count):
        code = {part}(chunk, chunk + 1, 0, *args)
        if code:
            return code
    return 0
'''


@dataclass(frozen=True)
class Difference:
    """A file that is not what would be written now."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path} {self.what}"


def digest(gradient: Any) -> tuple[float, float]:
    """A gradient in two numbers, its length and a sum that depends on every entry's place: ‖g‖ and Σ g_k cos k.

    Args:
        gradient: an array, a number, or a structure of them, whose leaves are taken one after the other.

    >>> digest(np.array([3.0, 0.0, 4.0]))[0]
    5.0
    """
    from adc.api.trees import flatten

    leaves = [np.ravel(np.asarray(x, np.float64)) for x in flatten(gradient)[0]]
    g = np.concatenate(leaves)
    return float(np.linalg.norm(g)), float(np.sum(g * np.cos(np.arange(g.size))))


# ---------------------------------------------------------------- one kernel


@dataclass
class Entry:
    """One file of the catalogue."""

    root: Path
    name: str

    @cached_property
    def form(self) -> forms.Form:
        """Its value and gradient, for the types that its annotations tell."""
        wrt = tuple(getattr(self.module, "WRT", (0,)))
        return forms.form(make_spec(f"{self.name}.py:{FUNCTION}", "value_and_grad", wrt, name=self.name), self.root)

    @cached_property
    def module(self) -> ModuleType:
        return forms.load_function(f"{self.name}.py:{FUNCTION}", self.root)[1]

    @cached_property
    def text(self) -> str:
        return (self.root / f"{self.name}.py").read_text(encoding="utf-8")

    @cached_property
    def build(self) -> Any:
        return self.form.transformed.staged_types(self.form.args, {})

    @cached_property
    def kernel(self) -> Kernel:
        from adc.lower.machine import any_machine
        from adc.lower.whole import lower

        with any_machine():
            return lower(self.build.program)

    @property
    def title(self) -> str:
        """`kernels/gmm.py: value and gradient by alphas, means and icf`"""
        own = forms.parameter_names(self.form.fun)
        wrt = self.form.spec.wrt
        names = [own[n] for n in (wrt if isinstance(wrt, tuple) else (wrt or 0,))]
        return f"{self.root.name}/{self.name}.py: value and gradient by {' and '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)}"

    @cached_property
    def adjoint(self) -> str:
        from adc.emit.numpy_source import numpy_source

        return numpy_source(self.build.program, self.build.name)

    def emitted(self) -> dict[str, str]:
        """The texts, by the end of the file's name."""
        return {".numpy.py": f"# {self.title}.  Written by adc.\n{self.adjoint}", ".cpu.py": kernel_text(self.title, self.kernel)}

    def primal(self) -> str:
        """The functions as the user wrote them, without what only the catalogue needs."""
        tree = ast.parse(self.text)
        lines = self.text.splitlines()
        kept: list[str] = []
        end = 0
        for node in tree.body:
            first, last = node.lineno, node.end_lineno or node.lineno
            blank = first - 1 - end
            end = last
            if isinstance(node, ast.Expr) or _is_about(node):
                continue
            kept += [""] * (min(blank, 2) if kept else 0) + lines[first - 1 : last]
        return "\n".join(kept) + "\n"


def _is_about(node: ast.stmt) -> bool:
    """Is this statement for the catalogue: inputs, reference values?"""
    if isinstance(node, ast.FunctionDef):
        return node.name == "example_inputs"
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("WRT", "REFERENCE", "GRADIENT")


def entries(root: Path) -> list[Entry]:
    """Every file of the folder that defines `loss`, by name."""
    if not root.is_dir():
        raise refuse(f"there is no folder {str(root)!r}", "catalogue in [tool.adc.build] names the folder of the kernels")
    return [Entry(root.resolve(), p.stem) for p in sorted(root.glob("*.py")) if defines(p, FUNCTION)]


# ---------------------------------------------------------------- the kernel's text


def kernel_text(title: str, kernel: Kernel) -> str:
    """The kernel as a module: what its arguments are, what it imports, the loops."""
    tree = ast.parse(kernel.source)
    main = next(s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == kernel.name)
    names = [a.arg for a in main.args.args]
    rows = list(_rows(kernel, names))
    width = max(len(r[0]) for r in rows)
    kinds = max(len(r[1]) for r in rows)
    table = "\n".join(f"    {n:<{width}}  {t:<{kinds}}  {what}".rstrip() for n, t, what in rows)
    checks = "".join(f"\n    {k}  {c.message}{f' (line {c.pos.line})' if c.pos else ''}" for k, c in enumerate(kernel.checks, 1))
    returns = f"Returns 0, or the number of what failed:\n{checks}\n" if checks else "Returns 0.\n"
    routines = "".join(f"from {m} import {n}\n" for m, n in sorted({(f.__module__, f.__name__) for f in kernel.routines}))
    imports = "import math\n\nimport numpy as np\n" + (f"\n{routines}" if routines else "")
    parts = "".join(IN_ORDER.format(part=p.name) for p in kernel.parts)
    return f'"""{title}: the loops that adc compiles.\n\nArrays are flat and C-ordered; bools are bytes.\n\n{table}\n\n{returns}"""\n\n{imports}\n\n{kernel.source.rstrip()}\n{parts}'


def _rows(kernel: Kernel, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(name, type, role) of every argument, sizes under the names that the text has for them."""
    count = len(kernel.params)
    after = count + len(kernel.sizes) + len(kernel.capacities)
    known: dict[Sym, Dim] = {s: size(Sym(n)) for s, n in zip((*kernel.sizes, *kernel.capacities), names[count:after], strict=True)}

    def typed(b: Buffer) -> str:
        dims = ", ".join(str(substitute(size(d), known)) for d in b.dims)
        return f"{b.dtype.str[1:]}[{dims}]" if b.dims else b.dtype.str[1:]

    roles = ["input"] * count + ["size"] * len(kernel.sizes) + ["room"] * len(kernel.capacities) + ["result"] * len(kernel.outs) + ["scratch"] * len(kernel.scratch)
    types = [typed(b) for b in kernel.params] + ["i8"] * (after - count) + [typed(b) for b in (*kernel.outs, *kernel.scratch)]
    yield from zip(names, types, roles)
    yield names[-1], f"i8[{len(kernel.run_time)}]", "result: sizes that only the data know"


# ---------------------------------------------------------------- the page


def page(found: Sequence[Entry]) -> str:
    """docs/catalogue.md: every kernel, then its adjoint."""
    parts = [HEAD, "| | |\n|---|---|\n" + "".join(f"| [{e.name}](#{e.name}) | {_first_sentence(e)} |\n" for e in found)]
    for e in found:
        said = ast.get_docstring(ast.parse(e.text)) or ""
        said = said.split("\n>>>")[0].rstrip()
        parts.append(f"## {e.name}\n\n{said}\n\n```python\n{e.primal()}```\n\n{e.title}:\n\n```python\n{e.adjoint.rstrip()}\n```\n")
    return "\n".join(parts)


def _first_sentence(e: Entry) -> str:
    said = (ast.get_docstring(ast.parse(e.text)) or "").splitlines()
    return said[0] if said else ""


# ---------------------------------------------------------------- files


def texts(root: Path) -> dict[Path, str]:
    """Every made file of the catalogue and what it should contain."""
    root = root.resolve()
    found = entries(root)
    made = {root / EMITTED / f"{e.name}{suffix}": text for e in found for suffix, text in e.emitted().items()}
    about = root.parent / "docs" / "catalogue.md"
    if about.is_file():
        made[about] = page(found)
    return made


def check(root: Path) -> list[Difference]:
    """What `write` would change: files that are missing, differ, or belong to no kernel.

    Raises: `UnsupportedError` where there is no such folder; what the front end raises for a kernel.
    """
    root = root.resolve()
    wanted = texts(root)
    found = []
    for path, text in wanted.items():
        shown = path.relative_to(root.parent).as_posix()
        if not path.is_file():
            found.append(Difference(shown, "is missing"))
        elif path.read_text(encoding="utf-8") != text:
            found.append(Difference(shown, f"differs from line {_first_difference(path.read_text(encoding='utf-8'), text)} on"))
    return found + [Difference(p.relative_to(root.parent).as_posix(), "belongs to no kernel") for p in _left_over(root, wanted)]


def write(root: Path) -> list[Path]:
    """Write what is out of date, remove what belongs to no kernel; the files that were changed.

    Raises: as `check`; nothing is written where a kernel is refused.
    """
    root = root.resolve()
    wanted = texts(root)
    changed = [p for p, text in wanted.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    for path in changed:
        _put(path, wanted[path])
    gone = _left_over(root, wanted)
    for path in gone:
        path.unlink()
    return changed + gone


def _left_over(root: Path, wanted: dict[Path, str]) -> list[Path]:
    """Made files whose kernel is gone."""
    folder = root / EMITTED
    return [p for p in sorted(folder.glob("*.py")) if p.name.endswith(SUFFIXES) and p not in wanted] if folder.is_dir() else []


def _first_difference(have: str, want: str) -> int:
    lines = zip(have.splitlines(), want.splitlines())
    return next((k for k, (a, b) in enumerate(lines, 1) if a != b), min(len(have.splitlines()), len(want.splitlines())) + 1)


def _put(path: Path, text: str) -> None:
    """Others see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as f:
            f.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


if __name__ == "__main__":
    import sys

    for changed in write(Path(sys.argv[1] if len(sys.argv) > 1 else "kernels")):
        print(changed)


__all__ = ["Difference", "Entry", "check", "digest", "entries", "page", "texts", "write"]
