"""`adc bench`: what a function and its derivative cost here: time, ratio, memory, and how near to the machine's peaks.

In: words.  Out: a table, or `--json`; exit code 1 where a peer computes another gradient.

    adc bench kernels.lorenz:loss --size 10000 --peers numpy,jax
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np

from adc.cli.commands import TRANSFORMS, adc, console, examples, nums, refusals, transformed

PEERS = ("numpy", "numba", "jax", "autograd")
INNER = 0.01
"""Seconds that one measurement lasts, at least: short calls are repeated within it."""


@adc.command(epilog=examples(
    "adc bench kernels.lorenz:loss",
    "adc bench kernels.logistic:loss --size 100000 --peers numpy,jax --json",
    'adc bench model.py:loss --sig "f8[64], f8[1000, 64], f8[1000]" --argnums 0',
))  # fmt: skip
@click.argument("function")
@click.option("--sig", help='Types of the arguments, with numbers for sizes: "f8[1000, 64]"; values are random.  Else example_inputs() of the module.')
@click.option("--size", type=click.IntRange(min=1), help="Call example_inputs(SIZE).")
@click.option("--transform", type=click.Choice([t for t in TRANSFORMS if t not in ("none", "jit")]), default="value_and_grad", show_default=True)
@click.option("--argnums", help="Which arguments to differentiate, e.g. 0 or 0,1.")
@click.option("--peers", default="", help=f"Compare with these, separated by commas: {', '.join(PEERS)}.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True, help="Interleaved rounds; the best of each counts.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random arguments.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@refusals
def bench(function: str, sig: str | None, size: int | None, transform: str, argnums: str | None, peers: str, rounds: int, seed: int, as_json: bool) -> None:
    """Time FUNCTION and its derivative, against this machine's measured peaks and, on request, other tools."""
    from adc.cli import targets

    chosen = tuple(p.strip() for p in peers.split(",") if p.strip())
    unknown = [p for p in chosen if p not in PEERS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(PEERS)}", param_hint="--peers")
    if chosen and transform not in ("grad", "value_and_grad"):
        raise click.BadParameter("peers compute gradients: --transform grad or value_and_grad", param_hint="--peers")
    fun, module = targets.load(function)
    args = targets.values(fun, module, sig, seed, size)
    report = measured(function, fun, args, transform, nums(argnums), chosen, rounds)
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        _print(report)
    if any(p.get("agrees") is False for p in report["peers"].values()):
        raise SystemExit(1)


# ---------------------------------------------------------------- measuring


def interleaved(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Best and median seconds of each call; rounds take turns, so that a busy machine slows all of them alike."""
    inner: dict[str, int] = {}
    seen: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in calls.items():
        start = time.perf_counter()
        call()
        inner[name] = max(1, int(INNER / max(time.perf_counter() - start, 1e-9)))
    for _ in range(rounds):
        for name, call in calls.items():
            repeat = range(inner[name])
            start = time.perf_counter()
            for _ in repeat:
                call()
            seen[name].append((time.perf_counter() - start) / len(repeat))
    return {name: {"best": min(t), "median": statistics.median(t)} for name, t in seen.items()}


def measured(function: str, fun: Any, args: tuple[Any, ...], transform: str, argnums: Any, chosen: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Everything that the command shows, as plain data."""
    from adc.api.functions import Ruled
    from adc.api.transformed import Transformed
    from adc.cli import peers, rates

    made = transformed(fun, transform, argnums)
    inner = fun.fun if isinstance(fun, Transformed) and not isinstance(fun, Ruled) else fun
    primal = transformed(inner, "jit", None)
    first: dict[str, float] = {}
    for name, call in (("function", primal), ("derivative", made)):
        start = time.perf_counter()
        call(*args)
        first[name] = time.perf_counter() - start
    calls: dict[str, Callable[[], Any]] = {"function": lambda: primal(*args), "derivative": lambda: made(*args)}
    others: dict[str, dict[str, Any]] = {}
    for name in chosen:
        others[name] = about = peers.prepare(name, inner, args, made.options.get("argnums", 0))
        if about.get("gradient") is not None:
            about["agrees"] = peers.agrees(about["gradient"], made, args)
        calls.update({f"{name} {part}": about[part] for part in ("function", "gradient") if about.get(part) is not None})
    times = interleaved(calls, rounds)
    report: dict[str, Any] = {
        "function": function,
        "derivative": made.source_name,
        "arguments": [_described(a) for a in args],
        "seconds": {"function": times["function"], "derivative": times["derivative"]},
        "first_call_seconds": first,
        "ratio": times["derivative"]["best"] / times["function"]["best"],
        **rates.against_peaks(primal, made, args, times["function"]["best"], times["derivative"]["best"]),
        "peers": {},
    }
    for name, about in others.items():
        row = {k: v for k, v in about.items() if k in ("agrees", "note")}
        row |= {f"{part}_seconds": times[f"{name} {part}"]["best"] for part in ("function", "gradient") if f"{name} {part}" in times}
        report["peers"][name] = row
    return report


def _described(a: Any) -> str:
    from adc.api import trees

    leaves = trees.flatten(a)[0]
    texts = [f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else f"{type(x).__name__} {x!r}"[:40] for x in leaves]
    return texts[0] if len(texts) == 1 and leaves[0] is a else f"{type(a).__name__} of {', '.join(texts)}"


# ---------------------------------------------------------------- the table


def seconds(t: float) -> str:
    unit, name = next(((u, n) for u, n in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")) if t >= u), (1e-9, "ns"))
    return f"{t / unit:.3g} {name}"


def amount(x: float | None, unit: str) -> str:
    if x is None:
        return "–"
    factor, prefix = next(((f, p) for f, p in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if x >= f), (1.0, ""))
    return f"{x / factor:.3g} {prefix}{unit}"


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    out = console()
    table = Table(title=f"{report['function']}: {', '.join(report['arguments'])}".replace("[", r"\["))
    for name, side in (("", "left"), ("best", "right"), ("median", "right"), ("first call", "right"), ("operations", "right"), ("rate", "right"), ("of peak", "right"), ("traffic", "right"), ("of memory", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for name in ("function", "derivative"):
        t, cost = report["seconds"][name], report["costs"][name]
        table.add_row(
            report["function"].split(":")[-1] if name == "function" else report["derivative"],
            seconds(t["best"]), seconds(t["median"]), seconds(report["first_call_seconds"][name]),
            amount(cost["operations"], ""), amount(cost["flops"], "FLOP/s"), _percent(cost["of_peak_flops"]),
            amount(cost["bandwidth"], "B/s"), _percent(cost["of_peak_bandwidth"]),
        )  # fmt: skip
    out.print(table)
    memory, peak = report["memory"], report["peaks"]
    lines = [
        f"derivative / function   {report['ratio']:.2f}",
        f"memory                  arguments {amount(memory['arguments'], 'B')}, results {amount(memory['results'], 'B')}, scratch {amount(memory['scratch'], 'B')} (peak beyond the arguments: {amount(memory['peak'], 'B')})",
        f"one thread's peaks      {amount(peak['flops'], 'FLOP/s')}, {amount(peak['bandwidth'], 'B/s')} from {peak['place']} (where the arguments, results and scratch fit)",
    ]
    for line in lines:
        out.print(line, markup=False, highlight=False)
    if not report["peers"]:
        return
    table = Table(title="peers")
    for name, side in (("", "left"), ("function", "right"), ("gradient", "right"), ("times adc's", "right"), ("", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    mine = report["seconds"]["derivative"]["best"]
    for name, row in report["peers"].items():
        gradient = row.get("gradient_seconds")
        verdict = "[red]another gradient[/]" if row.get("agrees") is False else row.get("note", "").replace("[", r"\[")
        table.add_row(
            name, seconds(row["function_seconds"]) if "function_seconds" in row else "–", seconds(gradient) if gradient else "–",
            f"{gradient / mine:.2f}" if gradient else "–", verdict,
        )  # fmt: skip
    out.print(table)


def _percent(x: float | None) -> str:
    return "–" if x is None else f"{100 * x:.0f} %"
