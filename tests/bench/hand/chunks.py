"""Running a hand-written kernel over `[begin, end)` on several threads, partial results added in order.

In: `kernel(begin, end, *arguments)`, compiled with `nogil=True`.  Out: a list of what each chunk returned.

>>> in_chunks(lambda begin, end, x: sum(x[begin:end]), 4, [1, 2, 3, 4], threads=2)
[3, 7]
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS = int(os.environ.get("ADC_NUM_THREADS", "0")) or len(os.sched_getaffinity(0))
_pool = ThreadPoolExecutor(max(1, THREADS - 1))


def in_chunks(kernel: Callable[..., Any], n: int, *args: Any, threads: int = THREADS) -> list[Any]:
    """One equal chunk for each thread; the calling thread does the first."""
    bounds = [n * k // threads for k in range(threads + 1)]
    others = [_pool.submit(kernel, bounds[k], bounds[k + 1], *args) for k in range(1, threads)]
    return [kernel(bounds[0], bounds[1], *args), *(f.result() for f in others)]


def added(parts: list[Any]) -> Any:
    """The sum of tuples of arrays and numbers, in order."""
    total = parts[0]
    for part in parts[1:]:
        total = tuple(a + b for a, b in zip(total, part, strict=True))
    return total
