"""Operations, bytes and memory of a call against the machine's peaks.

In: a function and its derivative, compiled, arguments, seconds.  Out: `against_peaks(...)`: plain data for `adc bench`.

Operations are those of `explain`; traffic is the least that any program must move: every argument read once, every
result written once, every byte that is kept for the reverse sweep written and read.  A call that is slow by neither
measure waits for something else: latency of a recurrence, divisions, elementary functions, the call itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adc.cli import peaks
from adc.interop.native import fitting


def against_peaks(primal: Any, made: Any, args: tuple[Any, ...], function_seconds: float, derivative_seconds: float) -> dict[str, Any]:
    from adc.backend import runtime

    best = peaks.peaks()
    # of one thread, or of all cores: what lies between is not measured
    threads = max(best.flops) if runtime.get_num_threads() > 1 else 1
    frames = {"function": _memory(primal, args), "derivative": _memory(made, args)}
    explained = made.explain(*args)
    kept = {"function": 0, "derivative": explained.bytes.number}
    counts = {"function": explained.primal_operations.number, "derivative": explained.operations.number}
    place = _place(best, sum(frames["derivative"].values()))
    limit = best.bandwidth[place][threads]
    costs: dict[str, Any] = {}
    for name, t in (("function", function_seconds), ("derivative", derivative_seconds)):
        flops = None if counts[name] is None else counts[name] / t
        moved = None if kept[name] is None else frames[name]["arguments"] + frames[name]["results"] + 2 * kept[name]
        costs[name] = {
            "operations": counts[name],
            "flops": flops,
            "of_peak_flops": None if flops is None else flops / best.flops[threads],
            "traffic": moved,
            "bandwidth": None if moved is None else moved / t,
            "of_peak_bandwidth": None if moved is None else moved / t / limit,
        }
    memory = frames["derivative"]
    return {
        "costs": costs,
        "memory": {**memory, "peak": memory["results"] + memory["scratch"]},
        "peaks": {"threads": threads, "flops": best.flops[threads], "bandwidth": limit, "place": place, "processor": best.processor},
    }


def _memory(fn: Any, args: tuple[Any, ...]) -> dict[str, int]:
    """Bytes of the arguments (and of what is read from outside), of the results, and of the kernel's scratch memory."""
    if fn.target != "cpu":
        return {"arguments": _bytes(args), "results": 0, "scratch": 0}
    _, run, arrays = fitting(fn, args)
    capacities = run.words[len(run.words) - len(run.kernel.capacities) :].tolist()
    learn, memory, _ = run.arithmetic
    extents, counts = memory(*learn([a.shape for a in arrays]), *capacities)
    results = sum(math.prod(e) * o.dtype.itemsize for e, o in zip(extents, run.kernel.outs, strict=True))
    scratch = sum(max(0, n) * s.dtype.itemsize for n, s in zip(counts, run.kernel.scratch, strict=True))
    return {"arguments": sum(a.nbytes for a in arrays), "results": int(results), "scratch": int(scratch)}


def _bytes(args: tuple[Any, ...]) -> int:
    from adc.api import trees

    return sum(np.asarray(x).nbytes for x in trees.flatten(args)[0] if trees.is_runtime(x))


def _place(best: peaks.Peaks, size: int) -> str:
    """The nearest memory that holds so many bytes."""
    return next((name for name in ("L1", "L2") if size <= best.caches.get(name, 0)), "memory")


__all__ = ["against_peaks"]
