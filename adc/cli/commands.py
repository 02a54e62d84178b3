"""The commands: each reads its words, asks the library, prints.  (`bench` and `build` have files of their own.)

In: words.  Out: text; exit code 0, 1 where a check failed or adc refused, 2 where the words make no sense.

    adc check kernels.hinge:loss --target numpy
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from adc.errors import AdcError

F = TypeVar("F", bound=Callable[..., Any])
TRANSFORMS = ("grad", "value_and_grad", "jit", "jacfwd", "jacrev", "hessian", "none")
LIMITED = ("grad", "value_and_grad", "jacrev", "hessian")
STAGES = ("source", "ir", "optimize", "kernel", "llvm", "asm", "explain")
LANGUAGES = {"source": "python", "kernel": "python", "llvm": "llvm", "asm": "gas"}


def console(**options: Any) -> Any:
    """Colours on a terminal, plain text in a pipe."""
    from rich.console import Console

    plain = Console(**options)
    # a pipe has no width: 80 columns would break lines of code
    return plain if plain.is_terminal else Console(width=200, no_color=True, highlight=False, **options)


def refusals(command: F) -> F:
    """An error of adc is a message, not a traceback."""
    import functools

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except AdcError as e:
            if kwargs.get("as_json"):
                click.echo(json.dumps({"error": type(e).__name__, "message": str(e), "diagnostics": [_diagnostic(d) for d in e.diagnostics]}, indent=1))
            click.echo(f"{type(e).__name__}: {e}", err=True)
            raise SystemExit(1) from None

    return run  # type: ignore[return-value]


def _diagnostic(d: Any) -> dict[str, Any]:
    place = {"file": d.pos.file, "line": d.pos.line, "column": d.pos.col + 1} if d.pos else {}
    return {"code": d.code, "message": d.message, "instead": d.instead, **place}


def examples(*lines: str) -> str:
    return "Example:\n\n\b\n" + "\n".join(f"    {line}" for line in lines)


def nums(text: str | None) -> int | tuple[int, ...] | None:
    if text is None:
        return None
    try:
        parts = tuple(int(p) for p in text.split(",") if p.strip())
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers, such as 0 or 0,1") from None
    return parts[0] if len(parts) == 1 and "," not in text else parts


@click.group(epilog=examples('adc show kernels.logistic:loss --sig "f8[d], f8[n, d], f8[n]"'), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=None, message="adc %(version)s", version=__import__("adc").__version__)
def adc() -> None:
    """Derivatives of NumPy-and-loops Python, as readable source and native code."""


# ---------------------------------------------------------------- show


@adc.command(epilog=examples(
    "adc show kernels.seidel:loss --argnums 0,1",
    'adc show model.py:loss --sig "f8[d], f8[n, d]" --stage kernel',
    "adc show kernels.lorenz:loss --html lorenz.html",
))  # fmt: skip
@click.argument("function")
@click.option("--sig", help='Types of the arguments, e.g. "f8[d], f8[n, d], float"; else example_inputs() or the annotations.')
@click.option("--transform", type=click.Choice(TRANSFORMS), default="grad", show_default=True, help="What to make of the function; a decorated one is shown as it is.")
@click.option("--argnums", help="Which arguments to differentiate, e.g. 0 or 0,1.")
@click.option("--tape-limit", help='What loops may keep for the reverse sweep, e.g. "64 MB"; the others run steps again.')
@click.option("--stage", type=click.Choice(STAGES), default="source", show_default=True, help="NumPy source, SSA as transformed, SSA as optimised, compiled loops, LLVM, assembly, or what is saved.")
@click.option("--html", "html", type=click.Path(dir_okay=False, allow_dash=True), help="Write a page of function and derivative side by side into this file (- for the terminal).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: name, stage, text.")
@refusals
def show(function: str, sig: str | None, transform: str, argnums: str | None, tape_limit: str | None, stage: str, html: str | None, as_json: bool) -> None:
    """Print the derivative of FUNCTION (module:function or path.py:function)."""
    from adc.cli import targets

    fun, module = targets.load(function)
    args = targets.types(fun, module, sig)
    made = transformed(fun, transform, nums(argnums), tape_limit)
    if html is not None:
        _page(function, made, args, html, as_json)
        return
    if stage == "explain":
        report = made.explain(*args)
        click.echo(json.dumps(report.as_dict(), indent=1) if as_json else str(report))
        return
    text = _text(made, args, stage)
    if as_json:
        click.echo(json.dumps({"function": function, "name": made.source_name, "stage": stage, "text": text}))
        return
    out = console()
    if out.is_terminal and stage in LANGUAGES:
        from rich.syntax import Syntax

        out.print(Syntax(text.rstrip(), LANGUAGES[stage], theme="ansi_dark", background_color="default"))
    else:
        click.echo(text.rstrip())


def _text(made: Any, args: tuple[Any, ...], stage: str) -> str:
    from adc.cli import machine

    if stage == "source":
        return str(made.source(*args))
    if stage == "kernel":
        return str(made.kernel_source(*args))
    if stage in machine.STAGES:
        from adc.lower.whole import lower

        build = made.built(args, {})
        return machine.machine_text(build.kernel or lower(build.program), stage)
    return str(made.ir({"ir": "apply"}.get(stage, stage), *args))


def _page(function: str, made: Any, args: tuple[Any, ...], path: str, as_json: bool) -> None:
    from adc.cli.html import html_page

    text = html_page(made, args)
    if path != "-":
        replace(Path(path), text)
    if as_json:
        click.echo(json.dumps({"function": function, "name": made.source_name, "html": text if path == "-" else path}))
    else:
        click.echo(text if path == "-" else f"{path}: {made.source_name}, {len(text) / 1e3:.0f} kB")


def replace(path: Path, text: str) -> None:
    """Write a file so that others see all of it or what was there before."""
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def transformed(fun: Any, transform: str, argnums: int | tuple[int, ...] | None, tape_limit: str | None = None) -> Any:
    """`adc.grad(fun)` and so on; what is transformed already stays what it is."""
    import adc as library
    from adc.api.transformed import Transformed

    if isinstance(fun, Transformed):
        if argnums is not None:
            raise click.BadParameter("the function is transformed already; --argnums is for plain functions")
        if tape_limit is not None:
            raise click.BadParameter("the function is transformed already; --tape-limit is for plain functions")
        return fun
    name = "jit" if transform == "none" else transform
    options: dict[str, Any] = {} if argnums is None or name == "jit" else {"argnums": argnums}
    if tape_limit is not None:
        if name not in LIMITED:
            raise click.BadParameter(f"--tape-limit is for {', '.join(LIMITED)}: {transform} has no reverse sweep")
        options["tape_limit"] = tape_limit
    return getattr(library, name)(fun, **options)


# ---------------------------------------------------------------- check


@adc.command(epilog=examples("adc check kernels.gmm:loss", 'adc check model.py:loss --sig "f8[d], f8[n, d]" --target numpy'))
@click.argument("function")
@click.option("--sig", help="Types of the arguments: random numbers are drawn for them; else example_inputs() or the annotations.")
@click.option("--argnums", help="Which arguments to check; by default all that are floats.")
@click.option("--target", type=click.Choice(("cpu", "numpy", "both")), default="both", show_default=True)
@click.option("--rtol", type=float, help="Allowed relative error (1e-6 for float64).")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random arguments.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list, a report per target.")
@refusals
def check(function: str, sig: str | None, argnums: str | None, target: str, rtol: float | None, seed: int, as_json: bool) -> None:
    """Hold the gradient of FUNCTION against central differences; exit code 1 where they differ."""
    from adc.cli import targets
    from adc.testing import check_grad

    fun, module = targets.load(function)
    args = targets.values(fun, module, sig, seed)
    chosen = ("numpy", "cpu") if target == "both" else (target,)
    reports = [check_grad(fun, *args, argnums=nums(argnums), target=t, rtol=rtol, seed=seed) for t in chosen]
    if as_json:
        click.echo(json.dumps([r.as_dict() for r in reports], indent=1))
    else:
        _tables(function, reports)
    if not all(reports):
        raise SystemExit(1)


def _tables(function: str, reports: list[Any]) -> None:
    from rich.table import Table

    table = Table(title=f"{function}: gradient against central differences")
    for name, side in (("target", "left"), ("argument", "left"), ("type", "left"), ("compared", "right"), ("largest", "right"), ("relative error", "right"), ("allowed", "right"), ("", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for r in reports:
        good = abs(r.value - r.expected) / (abs(r.expected) or 1.0)
        table.add_row(r.target, "value", "", "", f"{r.expected:.6g}", f"{good:.1e}", "1e-10", "[green]ok[/]" if r.value_ok else "[red]DIFFERS[/]")
        for row in r.rows:
            of = f"{row.checked}" if row.checked == row.size else f"{row.checked} of {row.size}"
            verdict = "[green]ok[/]" if row.ok else "[red]DIFFERS[/]"
            table.add_row("", row.name.replace("[", r"\["), row.type.replace("[", r"\["), of, f"{row.largest:.3g}", f"{row.error:.1e}", f"{row.tolerance:.0e}", verdict)
    console().print(table)


# ---------------------------------------------------------------- doctor, demo, cache


@adc.command(epilog=examples("adc doctor", "adc doctor --json", "adc doctor --measure"))
@click.option("--measure", is_flag=True, help="Measure the machine's peaks again (a few seconds).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: a value and a verdict per line.")
@refusals
def doctor(measure: bool, as_json: bool) -> None:
    """Versions, BLAS, threads, caches and peaks of this machine; compiles a gradient.  Exit code 1 where something is broken."""
    from adc.cli.doctor import examine

    rows = examine(measure)
    if as_json:
        click.echo(json.dumps({r.name: {"value": r.value, "ok": r.ok} for r in rows}, indent=1))
    else:
        from rich.table import Table

        table = Table(show_header=False)
        for r in rows:
            table.add_row("[green]✓[/]" if r.ok else "[red]✗[/]", r.name, r.value)
        console().print(table)
    if not all(r.ok for r in rows):
        raise SystemExit(1)


@adc.command(epilog=examples("adc demo"))
def demo() -> None:
    """Train a few models with derivatives that adc wrote, and read one of them."""
    from adc.cli.demo import run

    run(console())


@adc.group(epilog=examples("adc cache info", "adc cache prune --max-mb 100"))
def cache() -> None:
    """The compiled kernels on disk."""


@cache.command(epilog=examples("adc cache info --json"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object: path, entries, bytes.")
def info(as_json: bool) -> None:
    """Where the cache is, how many kernels it holds, and their size."""
    from adc.backend import cache as store

    about = store.info()
    click.echo(json.dumps(about) if as_json else f"{about['path']}\n{about['entries']} kernels, {about['bytes'] / 1e6:.1f} MB")


@cache.command(epilog=examples("adc cache clear"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object: removed.")
def clear(as_json: bool) -> None:
    """Remove every kernel; they are compiled again when needed."""
    from adc.backend import cache as store

    _removed(store.clear(), as_json)


@cache.command(epilog=examples("adc cache prune --max-mb 100"))
@click.option("--max-mb", type=click.FloatRange(min=0), default=512, show_default=True, help="Megabytes that may stay.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: removed.")
def prune(max_mb: float, as_json: bool) -> None:
    """Remove the kernels unused for longest until the rest fit."""
    from adc.backend import cache as store

    _removed(store.prune(int(max_mb * 1e6)), as_json)


def _removed(count: int, as_json: bool) -> None:
    click.echo(json.dumps({"removed": count}) if as_json else f"{count} kernels removed")


from adc.cli import bench as bench  # noqa: E402  commands with files of their own
from adc.cli import build as build  # noqa: E402
