"""Scaling: time per example should be flat in the number of examples, time per step flat in the trip count, compile time flat in both.

In: nothing.  Out: curves as plain data: {"title": {"x", "y", "lines": {name: [[x, y], …]}}}.  Each point has a process of its own with
an empty cache.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.processes import Peer
from tests.bench.workload import load

EXAMPLES = (10**3, 10**4, 10**5, 10**6, 10**7)
STEPS = (10**2, 10**3, 10**4, 10**5, 10**6)
SWEEPS: tuple[tuple[str, str, str, tuple[int, ...], str], ...] = (
    ("gmm", "1M_d2_K10", "n", EXAMPLES, "examples"),
    ("logreg", "100k_d64_f64", "n", EXAMPLES[:4], "examples"),
    ("lorenz", "n10000", "n", STEPS, "steps"),
)
"""(workload, case, the argument of `inputs` that grows, its values, what it counts); logistic regression stops at 10^6, half a gigabyte."""


def measure_all(say: Callable[[str], None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for workload, case, argument, values, counts in SWEEPS:
        times: dict[str, list[list[float]]] = {}
        compiles: list[list[float]] = []
        for n in values:
            for threads in (1, 2):
                best, first = point(workload, case, argument, n, threads)
                times.setdefault(f"adc, {threads} thread{'s' if threads > 1 else ''}", []).append([n, 1e9 * best / n])
                if threads == 1:
                    compiles.append([n, first])
                say(f"  {workload} {argument}={n} threads={threads}: {1e9 * best / n:.3g} ns each, first call {first:.2f} s")
        found[f"{load(workload).title}: time"] = {"x": counts, "y": f"ns per {counts[:-1]}", "lines": times}
        found[f"{load(workload).title}: first call"] = {"x": counts, "y": "seconds", "lines": {"adc": compiles}}
    return found


def point(workload: str, case: str, argument: str, n: int, threads: int) -> tuple[float, float]:
    """(best seconds, seconds of the first call) with `argument` set to n."""
    with tempfile.TemporaryDirectory(prefix="adc-bench-") as text:
        folder = Path(text)
        peer = Peer(workload, f"{case}@{argument}={n}", "adc", threads, folder, folder / "cache")
        try:
            first = peer.ask(600.0, do="first", out=str(folder / "out.npz"))["seconds"]
            times = [t for _ in range(3) for t in peer.ask(600.0, do="round", seconds=0.3)["times"]]
        finally:
            peer.close()
    return min(times), first
