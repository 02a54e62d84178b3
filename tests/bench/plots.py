"""Pictures of the stored results: one panel of bars per workload on a logarithmic scale, and the scaling curves.

In: what docs/benchmarks.json holds.  Out: SVG files, with fixed identifiers, so that the same results give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

OURS, HAND, OTHERS = "#c2410c", "#0f766e", "#64748b"


def draw(stored: dict[str, Any], folder: Path) -> list[Path]:
    """The files that were written; none where there is nothing to show."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"svg.hashsalt": "adc", "svg.fonttype": "none", "font.size": 8}
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    if stored["rows"]:
        out.append(_bars(plt, stored["rows"], folder / "workloads.svg"))
    if stored["curves"]:
        out.append(_curves(plt, stored["curves"], folder / "scaling.svg"))
    return out


def _save(figure: Any, path: Path) -> Path:
    temporary = path.with_name(path.name + ".new")
    figure.savefig(temporary, format="svg", metadata={"Date": None}, bbox_inches="tight")
    temporary.replace(path)
    return path


def _bars(plt: Any, rows: dict[str, Any], path: Path) -> Path:
    keys = sorted(rows)
    across = 3
    down = -(-len(keys) // across)
    figure, axes = plt.subplots(down, across, figsize=(4.2 * across, 1.9 * down), squeeze=False)
    for axis in axes.flat[len(keys) :]:
        axis.axis("off")
    for axis, key in zip(axes.flat, keys):
        shown = sorted(((r["best"] * 1e3, n) for n, r in rows[key]["peers"].items() if "best" in r and ":" not in n), reverse=True)
        colours = [OURS if n.startswith("adc") else HAND if n.startswith(("numba", "numpy")) else OTHERS for _, n in shown]
        axis.barh([n for _, n in shown], [t for t, _ in shown], color=colours)
        axis.set_xscale("log")
        workload, case, threads = key.split(":")
        axis.set_title(f"{workload} {case}, {threads} thread{'s' if threads != '1' else ''} (ms)", fontsize=8)
    figure.tight_layout()
    saved = _save(figure, path)
    plt.close(figure)
    return saved


def _curves(plt: Any, curves: dict[str, Any], path: Path) -> Path:
    figure, axes = plt.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.0), squeeze=False)
    for axis, (name, curve) in zip(axes.flat, sorted(curves.items())):
        for line, points in sorted(curve["lines"].items()):
            axis.plot([p[0] for p in points], [p[1] for p in points], marker="o", label=line)
        axis.set(xscale="log", yscale="log", title=name, xlabel=curve["x"], ylabel=curve["y"])
        axis.legend(fontsize=7)
    figure.tight_layout()
    saved = _save(figure, path)
    plt.close(figure)
    return saved
