"""Rows to text: ratios, bars kept or missed, regressions; and the section of docs/benchmarks.md between two markers.

In: the stored results.  Out: Markdown.  What was not measured is written as such, never left out.

>>> time_text(0.00123)
'1.23 ms'
"""

from __future__ import annotations

import fnmatch
import statistics
from pathlib import Path
from typing import Any

from tests.bench import bars, page
from tests.bench.workload import load


def time_text(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e9:.3g} ns"


def bytes_text(n: float) -> str:
    return f"{n / 1e6:.1f} MB" if n >= 1e5 else f"{n / 1e3:.0f} kB"


def best_of(row: dict[str, Any], patterns: tuple[str, ...], mine: tuple[str, ...]) -> tuple[str, float] | None:
    """The fastest measured peer whose name matches."""
    found = [
        (r["best"], name)
        for name, r in row["peers"].items()
        if "best" in r and name not in mine and any(fnmatch.fnmatch(name, p) for p in patterns)
    ]
    return (min(found)[1], min(found)[0]) if found else None


def judged(workload: str, case: str, row: dict[str, Any]) -> list[tuple[str, str]]:
    """(what the bar says, what came of it) for every bar of the row."""
    mine = tuple(load(workload).adc)
    out = []
    for bar in bars.bars(workload, case):
        own = row["peers"].get(bar.of, {})
        them = best_of(row, bar.against, mine)
        against = "best" if bar.against == bars.BEST else bar.against[0]
        says = f"{bar.of} ≤ {bar.limit:.2f}× {against}"
        if bar.threads != row["threads"]:
            out.append((says, f"not judged: asks for {bar.threads} thread(s)"))
        elif "best" not in own:
            out.append((says, "**not measured**"))
        elif them is None:
            instead = best_of(row, bar.stand_in, mine)
            shown = f"not judged: {against} was not there; {own['best'] / instead[1]:.2f}× {instead[0]}" if instead else "**no peer measured**"
            out.append((says, shown))
        else:
            ratio = own["best"] / them[1]
            out.append((says, f"{ratio:.2f}× {them[0]}" + ("" if ratio <= bar.limit else " **missed**")))
    for limit in bars.MEMORY:
        if (limit.workload, limit.case) == (workload, case):
            used = row["peers"].get(limit.of, {}).get("memory")
            verdict = "**not measured**" if used is None else bytes_text(used) + ("" if used < limit.limit else " **missed**")
            out.append((f"{limit.of} < {bytes_text(limit.limit)}", verdict))
    return out


def ratio_to_primal(workload: str, case: str, row: dict[str, Any], name: str) -> tuple[float | None, int]:
    """That of one column, and how many there are."""
    columns = load(workload).columns.get(case, 1)
    ratio = row["peers"].get(name, {}).get("ratio")
    return (ratio / columns if ratio else None), columns


def ratio_text(ratio: float | None, columns: int) -> str:
    if ratio is None:
        return "–"
    return f"{ratio:.1f}" + (f" ({columns} columns)" if columns > 1 else "") + (" **missed**" if ratio > bars.RATIO else "")


def compare(row: dict[str, Any], before: dict[str, Any] | None) -> None:
    """Mark what became slower than the stored run on such a processor: `slower` holds the factor beyond the peers' own drift."""
    if before is None or before["machine"]["cpu"] != row["machine"]["cpu"]:
        return
    both = {n: r["best"] / before["peers"][n]["best"] for n, r in row["peers"].items() if "best" in r and "best" in before["peers"].get(n, {})}
    others = [f for n, f in both.items() if not n.startswith("adc")]
    drift = statistics.median(others) if others else 1.0
    for n, f in both.items():
        if n.startswith("adc") and f / drift > bars.REGRESSION:
            row["peers"][n]["slower"] = f / drift


def row_text(workload: str, case: str, row: dict[str, Any]) -> str:
    """Some lines for the terminal."""
    lines = []
    for name, r in sorted(row["peers"].items(), key=lambda item: item[1].get("best", 1e9)):
        if "best" not in r:
            lines.append(f"    {name:20s} {r.get('failed', 'no time')}")
            continue
        memory = f"  {bytes_text(r['memory'])}" if "memory" in r else ""
        slower = f"  SLOWER THAN THE STORED RUN: {r['slower']:.2f}x" if "slower" in r else ""
        lines.append(f"    {name:20s} {time_text(r['best']):>10s} (median {time_text(r['median'])}), first {r['first']:.2f} s{memory}{slower}")
    lines += [f"    bar: {says}: {verdict}".replace("**", "") for says, verdict in judged(workload, case, row)]
    return "\n".join(lines)


# ---------------------------------------------------------------- docs/benchmarks.md


def table(rows: dict[str, Any]) -> str:
    head = "| workload | threads | adc | ratio to primal | best peer | adc / best peer | bar | result | first call | warm | memory |\n"
    text = head + "|" + "---|" * head.count(" | ") + "---|\n"
    for key, row in sorted(rows.items()):
        workload, case, threads = key.split(":")
        work = load(workload)
        for k, name in enumerate(work.adc):
            own = row["peers"].get(name, {})
            them = best_of(row, bars.BEST, tuple(work.adc))
            verdicts = [(s, v) for s, v in judged(workload, case, row) if s.startswith(name + " ")]
            cells = [
                f"{work.title}, {case}" if not k else f"… {name}",
                threads,
                time_text(own["best"]) + (" **slower**" if "slower" in own else "") if "best" in own else f"**{own.get('failed', 'not measured')}**",
                ratio_text(*ratio_to_primal(workload, case, row, name)),
                f"{them[0]} {time_text(them[1])}" if them else "–",
                f"{own['best'] / them[1]:.2f}" if them and "best" in own else "–",
                "; ".join(s for s, _ in verdicts) or "–",
                "; ".join(v for _, v in verdicts) or "–",
                f"{own['first']:.1f} s" + (" **missed**" if own["first"] > bars.FIRST else "") if "first" in own else "–",
                f"{own['warm']:.2f} s" if "warm" in own else "–",
                bytes_text(own["memory"]) if "memory" in own else "–",
            ]
            text += "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |\n"
    return text


def summary(rows: dict[str, Any]) -> str:
    """How many bars are kept, and the median of gradient over primal."""
    verdicts = [v for key, row in rows.items() for _, v in judged(*key.split(":")[:2], row)]
    kept = sum("**" not in v and "not judged" not in v for v in verdicts)
    unjudged = sum("not judged" in v for v in verdicts)
    ratios = [r for key, row in rows.items() for n in load(key.split(":")[0]).adc if (r := ratio_to_primal(*key.split(":")[:2], row, n)[0])]
    measured = {tuple(key.split(":")[:2]) for key in rows}
    missing = sorted({f"{b.workload} {b.case}" for b in bars.BARS if (b.workload, b.case) not in measured})
    text = f"{kept} of {len(verdicts) - unjudged} bars judged here are kept, {unjudged} could not be judged. "
    if ratios:
        text += f"Gradient over primal: median {statistics.median(ratios):.1f} (bar {bars.MEDIAN_RATIO}), largest {max(ratios):.1f} (bar {bars.RATIO}). "
    return text + (f"Not measured yet: {', '.join(missing)}." if missing else "")


def heads(rows: dict[str, Any]) -> str:
    """One line for each machine, date and load that rows were measured under."""
    seen: dict[str, list[str]] = {}
    for key, row in sorted(rows.items()):
        m = row["machine"]
        versions = ", ".join(f"{k} {v}" for k, v in m["versions"].items())
        line = f"{m['date']}, {m['cpu']}, {m['cores']} cores, Python {m['python']}, {versions}; revision {m['revision']}; inputs {m['inputs']}"
        seen.setdefault(line, []).append(m["load"])
    return "\n\n".join(f"{line}; load average {min(loads)} to {max(loads)}." for line, loads in seen.items())


def publish(stored: dict[str, Any], path: Path, images: list[Path]) -> None:
    """The section of the page on the workloads."""
    pictures = "\n".join(f"![{i.stem}](img/{i.name})" for i in images)
    body = (
        "## Workloads against their peers\n\n"
        "Written by `python -m tests.bench.run`: one process per peer, interleaved rounds, best of all calls; every peer's result is compared with adc's before "
        "it is timed. `numba_*` are adjoints written by hand. The ratio to the primal is the median of pairs of short turns in one process; that of a Jacobian is "
        "one column's. Memory is the peak beyond inputs and outputs. A time measured on a busy machine "
        "(load above 1) is a ranking, not a result.\n\n"
        f"{heads(stored['rows'])}\n\n{summary(stored['rows'])}\n\n{table(stored['rows'])}\n{pictures}\n"
    )
    page.write("workloads", body, path)
