"""`adc build`: derivatives as libraries, from the project's pyproject.toml or for one function named here.

In: words.  Out: folders of files (see adc/artifact/build.py), a table of what was done; exit code 1 where something failed
or, with `--check`, is out of date.

    adc build                                        what [tool.adc.build] lists
    adc build model:loss --sig "f8[d], f8[n, d]" --transform value_and_grad --name loss_vg --out build
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from adc.artifact.spec import TRANSFORMS, Config, find_project, make_spec, plans, read_config
from adc.backend.aot import LEVELS
from adc.cli.commands import adc, console, examples, nums, refusals
from adc.errors import UnsupportedError, fail


def configured(function: str | None, **words: Any) -> Config:
    """What is to be built: the function of the command line, else the project's list."""
    here = Path.cwd()
    out = Path(words["out"]) if words["out"] else None
    if function is not None:
        spec = make_spec(function, words["transform"] or "grad", nums(words["wrt"]), words["sig"], words["name"], words["strict"], words["tape_limit"])
        made = plans([(words["library"], spec)], out or here / "build", words["levels"] or ("baseline",), words["static"])
        return Config(here, tuple(made))
    wrong = [f"--{k.replace('_', '-')}" for k in ("sig", "transform", "wrt", "name", "library", "tape_limit") if words[k] is not None]
    if wrong:
        raise click.UsageError(f"{', '.join(wrong)} belong to a function: adc build module:function {wrong[0]} …")
    project = find_project(here)
    if project is None:
        raise fail(
            UnsupportedError, "type", None, what=f"there is no pyproject.toml with [tool.adc.build] in {here} or above",
            instead='add it, or name a function: adc build module:function --sig "f8[n]"',
        )
    return read_config(project, out, words["levels"])


@adc.command("build", epilog=examples(
    "adc build",
    'adc build model:loss --sig "f8[d], f8[n, d], f8[n]" --wrt 0 --transform value_and_grad --name loss_vg --out build',
    "adc build --check",
))  # fmt: skip
@click.argument("function", required=False)
@click.option("--sig", help="Types of the arguments; else the annotations, or example_inputs() of the module.")
@click.option("--transform", type=click.Choice(TRANSFORMS), help="What to make of the function.  [default: grad]")
@click.option("--wrt", help="Which arguments to differentiate, e.g. 0 or 0,2.  [default: WRT of the module, else 0]")
@click.option("--name", help="Name in C and Python.  [default: FUNCTION_TRANSFORM]")
@click.option("--library", help="Name of the library.  [default: that of the module]")
@click.option("--out", type=click.Path(file_okay=False), help="Where the library's folder goes.  [default: build]")
@click.option("--level", "levels", type=click.Choice(LEVELS), multiple=True, help="Processors to compile for; may be repeated: the best is chosen when it runs.  [default: baseline]")
@click.option("--static", is_flag=True, help="A static archive too.")
@click.option("--strict", is_flag=True, help="Floating-point operations exactly as written.")
@click.option("--tape-limit", help='What loops may keep for the reverse sweep, e.g. "64 MB"; the others run steps again.')
@click.option("--jobs", type=click.IntRange(min=1), help="Processes that compile at once.  [default: one per core]")
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where checked-in sources or built libraries are out of date.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@refusals
def build(function: str | None, check: bool, as_json: bool, jobs: int | None, **words: Any) -> None:
    """Compile FUNCTION, or all that pyproject.toml lists, to libraries with a plain C interface."""
    config = configured(function, **words)
    if check:
        _check(config, as_json)
        return
    _build(config, jobs or _cores(), as_json)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _catalogue(config: Config) -> Any:
    """The module that writes and checks the catalogue's sources, where the project has one."""
    if config.catalogue is None:
        return None
    if importlib.util.find_spec("adc.artifact.catalogue") is None:
        raise fail(UnsupportedError, "type", None, what="this adc has no catalogue", instead="leave catalogue out of [tool.adc.build]")
    return importlib.import_module("adc.artifact.catalogue")


def _write_catalogue(config: Config) -> None:
    """Its sources anew, unless compiler, kernels and sources are those that were written last."""
    catalogue = _catalogue(config)
    if catalogue is None:
        return
    from adc.artifact.build import folder_key
    from adc.backend import cache

    if cache.find(folder_key(config.catalogue), cache.PROGRAM) is None:
        catalogue.write(config.catalogue)
        cache.store(folder_key(config.catalogue), cache.PROGRAM, b"written")


def _check(config: Config, as_json: bool) -> None:
    from adc.artifact.build import stale

    differences = stale(config.plans, config.root)
    catalogue = _catalogue(config)
    if catalogue is not None:
        differences += [str(d) for d in catalogue.check(config.catalogue)]
    if as_json:
        click.echo(json.dumps({"ok": not differences, "differences": differences}, indent=1))
    else:
        click.echo("\n".join([*differences, f"{len(differences)} differences: run adc build"]) if differences else "everything is up to date")
    if differences:
        raise SystemExit(1)


def _build(config: Config, jobs: int, as_json: bool) -> None:
    from adc.artifact.build import build as run

    _write_catalogue(config)
    with _Bar(as_json) as bar:
        results = run(config.plans, config.root, jobs, bar.tick)
    if as_json:
        click.echo(json.dumps({"libraries": [
            {"library": r.library, "folder": str(r.folder), "functions": r.functions, "built": r.built, "written": r.written, "linked": r.linked, "dropped": r.dropped}
            for r in results
        ]}, indent=1))  # fmt: skip
        return
    from rich.table import Table

    table = Table()
    for name in ("library", "functions", "compiled", "files"):
        table.add_column(name)
    for r in results:
        state = ("written to " if r.written else "unchanged in ") + _short(r.folder)
        table.add_row(r.library, str(len(r.functions)), _listed(r.built), state)
    console().print(table)
    for r in results:
        if not r.linked:
            click.echo(f"{r.library}: no linker was found (gcc or clang): {_short(r.folder)}/objects holds what is to be linked, with -lm")
        if r.dropped:
            click.echo(f"{r.library}: no longer holds {', '.join(r.dropped)}")


def _listed(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "none"


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


class _Bar:
    """Progress on a terminal, nothing in a pipe."""

    def __init__(self, quiet: bool):
        self.quiet = quiet or not sys.stderr.isatty()
        self.bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def tick(self, done: int, total: int, name: str) -> None:
        if self.quiet:
            return
        from tqdm import tqdm

        if self.bar is None:
            self.bar = tqdm(total=total, unit="function", desc="compiling")
        self.bar.update(done - self.bar.n)
        self.bar.set_postfix_str(name)

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()


__all__ = ["build"]
