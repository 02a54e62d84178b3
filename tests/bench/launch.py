"""What it costs to share a loop between workers: launches of an empty part, and from which work on it pays.

    python -m tests.bench.launch            prints the table of docs/design/threads.md

In: nothing.  Out: microseconds, best and median of many: a launch while the workers still look for work ("awake"), after
they have gone to sleep ("asleep"), and the break-even of two chunks against one thread.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

import adc
from adc.backend import cpu, pool
from adc.lower.kernel import Buffer, Kernel, Part

SOURCE = """
def spin(begin, end, worker, work, out):
    for chunk in range(begin, end):
        x = 0.3 + 0.001 * chunk
        for i in range(work):
            x = 3.7 * x * (1.0 - x)
        out[chunk * 16] = x
    return 0

def launch(chunks, work, rounds, out, report):
    code = 0
    for r in range(rounds):
        code = run_spin(chunks, work, out)
        if code != 0:
            return code
    return 0
"""


def kernel() -> Kernel:
    i8 = np.dtype("i8")
    params = tuple(Buffer(name, i8) for name in ("chunks", "work", "rounds"))
    return Kernel("launch", params, (), (Buffer("out", np.dtype("f8"), (4096,)),), (), SOURCE, parts=(Part("spin"),))


def sample(run: Any, chunks: int, work: int, rounds: int, pause: float, n: int) -> list[float]:
    """Microseconds of a launch, n times."""
    found = []
    for _ in range(n):
        if pause:
            time.sleep(pause)
        start = time.perf_counter()
        run(chunks, work, rounds)
        found.append((time.perf_counter() - start) / rounds * 1e6)
    return found


def text(found: list[float]) -> str:
    return f"{min(found):9.2f} {statistics.median(found):9.2f}"


def main() -> None:
    run = cpu.load_kernel(kernel())
    cores = pool.usable_cores()
    print(f"{cores} cores; microseconds: best, median")
    for threads in dict.fromkeys((1, 2, cores, 2 * cores)):
        adc.set_num_threads(threads)
        run(2 * threads, 0, 1)
        call = sample(run, 1, 0, 1, 0.0, 2000)
        awake = sample(run, max(2, threads), 0, 100, 0.0, 300)
        asleep = sample(run, max(2, threads), 0, 1, 1e-3, 300)
        print(f"{threads:3} threads   one call, one chunk {text(call)}   launch awake {text(awake)}   after sleeping {text(asleep)}")
    adc.set_num_threads(1)
    rows = []
    for work in (50, 100, 200, 400, 800, 1600, 3200, 6400):
        one, two, cold = [], [], []
        for _ in range(30):
            adc.set_num_threads(1)
            one += sample(run, 2, work, 20, 0.0, 1)
            adc.set_num_threads(2)
            two += sample(run, 2, work, 20, 0.0, 2)[1:]
            cold += sample(run, 2, work, 1, 0.5e-3, 1)
        rows.append((work, one, two, cold))
    print("two chunks, µs: one thread | two, awake | two, asleep before (best, median)")
    for work, one, two, cold in rows:
        print(f"{work:6} turns {text(one)} | {text(two)} | {text(cold)}")


if __name__ == "__main__":
    main()
