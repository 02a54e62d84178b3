"""One peer in a process of its own, told what to do by lines of JSON.

In: `python -m tests.bench.worker gmm 1k_d10_K25 jax`, then lines on standard input: {"do": "first", "out": path},
{"do": "round", "seconds": 0.2}, {"do": "ratio", "pairs": 15, "seconds": 0.01}, {"do": "memory"}.  Out: one line of JSON for each.

A tool's own chatter goes to standard error, so that the protocol's lines stand alone.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import adc
from tests.bench.workload import Workload, leaves, load

BATCH = 100e-6
"""Calls shorter than this many seconds are timed several at a time."""


class Worker:
    def __init__(self, workload: str, case: str, peer: str):
        self.work = load(workload)
        self.peer = peer
        self.sizes = sizes(self.work, case)
        self.args = self.work.inputs(**self.sizes)
        self.call: Callable[[], Any] | None = None
        self.inner = 1

    def first(self, out: str) -> dict[str, Any]:
        """Seconds of preparing and calling for the first time; the result goes to `out`."""
        adcs = self.peer not in self.work.peers
        if self.work.flushes and not adcs:
            adc.set_flush_denormals(True)
        start = time.perf_counter()
        if self.work.flushes and adcs:
            adc.set_flush_denormals(True)  # makes the pool of workers, which is part of a first call
        self.call = self.work.make(self.peer)(*self.args)
        result = self.call()
        seconds = time.perf_counter() - start
        np.savez(out, *leaves(result))
        again = self._once()
        self.inner = max(1, int(BATCH / max(again, 1e-9)))
        return {"seconds": seconds, "again": again, "numba": "numba" in sys.modules}

    def small(self) -> dict[str, Any]:
        """The first call on small inputs, for a process that finds the compiled program on disk."""
        args = self.work.inputs(**{**self.sizes, **self.work.small})
        if self.work.flushes:
            adc.set_flush_denormals(True)
        start = time.perf_counter()
        self.work.make(self.peer)(*args)()
        return {"seconds": time.perf_counter() - start, "numba": "numba" in sys.modules}

    def _once(self) -> float:
        assert self.call is not None
        start = time.perf_counter()
        self.call()
        return time.perf_counter() - start

    def round(self, seconds: float) -> dict[str, Any]:
        """Times of calls during `seconds` (three calls at least), after one that warms the caches."""
        assert self.call is not None
        call, inner = self.call, range(self.inner)
        call()
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            for _ in inner:
                call()
            times.append((time.perf_counter() - start) / len(inner))
            if times[-1] > 2.0:
                break
        return {"times": times}

    def ratio(self, pairs: int, seconds: float) -> dict[str, Any]:
        """Derivative over primal: the median of pairs of short turns, one after the other here, for the machine's speed changes from one second to the next."""
        assert self.call is not None
        call, primal = self.call, self.work.primal[self.peer](*self.args)
        primal()
        return {"ratios": [self._turn(call, seconds) / self._turn(primal, seconds) for _ in range(pairs)]}

    def _turn(self, call: Callable[[], Any], seconds: float) -> float:
        """The best of some calls, the first of which warms the caches."""
        inner = range(self.inner)
        call()
        best, count, end = np.inf, 0, time.perf_counter() + seconds
        while count < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            for _ in inner:
                call()
            best, count = min(best, (time.perf_counter() - start) / len(inner)), count + 1
        return best

    def memory(self) -> dict[str, Any]:
        """Peak resident bytes of one call beyond inputs and outputs."""
        call = self.call or self.work.make(self.peer)(*self.args)
        _trim()
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        result = call()
        peak = _status("VmHWM")
        out = sum(x.nbytes for x in leaves(result))
        return {"bytes": max(0, peak - before - out)}


def sizes(work: Workload, case: str) -> dict[str, Any]:
    """Arguments of `inputs` for `1M_d2_K10`, or for `1M_d2_K10@n=1000`, the same with another size."""
    name, _, change = case.partition("@")
    key, _, number = change.partition("=")
    return {**work.cases[name], **({key: int(number)} if change else {})}


def _trim() -> None:
    """Freed memory goes back to the system, so that the next call's use of it is seen."""
    ctypes.CDLL(None).malloc_trim(0)


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(*sys.argv[1:4])
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        what = asked.pop("do")
        if what not in ("first", "small", "round", "ratio", "memory"):
            raise ValueError(f"unknown request {what!r}")
        try:
            answer = getattr(worker, what)(**asked)
        except Exception as e:  # a tool that cannot is a row of the table, with its reason
            import traceback

            traceback.print_exc()
            answer = {"failed": f"{type(e).__name__}: {str(e).strip()}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
