"""Seconds of calls, measured in turns.

In: calls by name.  Out: best and median seconds of each.

>>> sorted(interleaved({"nothing": lambda: None}, 1)["nothing"])
['best', 'median']
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

INNER = 0.01
"""Seconds that one measurement lasts, at least: short calls are repeated within it."""


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
