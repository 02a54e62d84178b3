"""`adc bench`: what a function and its derivative cost here: time, ratio, memory, and how near to the machine's peaks.

In: words.  Out: a table, or `--json`; exit code 1 where a peer computes another gradient.

    adc bench kernels.lorenz:loss --size 10000 --peers numpy,jax
"""

from __future__ import annotations

import json
import time
from typing import Any

import click
import numpy as np

from adc.cli.commands import TRANSFORMS, adc, console, examples, nums, refusals, transformed
from adc.cli.timing import interleaved

PEERS = ("numpy", "numba", "jax", "autograd")
LIMIT = 120.0
"""Seconds that a peer gets, with its compilation."""


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
@click.option("--peer-limit", type=click.FloatRange(min=1), default=LIMIT, show_default=True, help="Seconds that a peer gets, with its compilation.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True, help="Interleaved rounds; the best of each counts.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random arguments.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@refusals
def bench(function: str, sig: str | None, size: int | None, transform: str, argnums: str | None, peers: str, peer_limit: float, rounds: int, seed: int, as_json: bool) -> None:
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
    report = measured(function, fun, args, transform, nums(argnums), chosen, peer_limit, rounds)
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        _print(report)
    if any(p.get("agrees") is False for p in report["peers"].values()):
        raise SystemExit(1)


# ---------------------------------------------------------------- measuring


def measured(function: str, fun: Any, args: tuple[Any, ...], transform: str, argnums: Any, chosen: tuple[str, ...], limit: float, rounds: int) -> dict[str, Any]:
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
    times = interleaved({"function": lambda: primal(*args), "derivative": lambda: made(*args)}, rounds)
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
    for name in chosen:
        out = made(*args)
        gradient = out[1] if made.options.get("value") else out
        report["peers"][name] = peers.run(name, function, args, made.options.get("argnums", 0), gradient, rounds, limit)
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
        f"peaks on {peak['threads']} thread{'s' * (peak['threads'] > 1):<13} {amount(peak['flops'], 'FLOP/s')}, {amount(peak['bandwidth'], 'B/s')} from {peak['place']} (where the arguments, results and scratch fit)",
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
