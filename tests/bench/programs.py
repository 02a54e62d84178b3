"""Value and gradient of everyday programs, beside Numba's value alone, and beside another revision.

    python -m tests.bench.programs                        all of them
    python -m tests.bench.programs --only torus,garch
    python -m tests.bench.programs --against DIR          and with the adc of another checkout, in the same turns
    python -m tests.bench.programs --write                into docs/benchmarks.md, between its own marks

A process for each program and each way, driven in turns; best of all calls.  That gradients of two revisions agree is asked; that they are right is
asked by `tests/test_everyday.py`.  First calls are told too, each with an empty cache of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).resolve()
ROOT = FILE.parents[2]
EVERYDAY = FILE.with_name("everyday.py")
TURN, FEWEST = 0.1, 3
"""Seconds of a turn, and its fewest calls."""
PAUSE = 0.02
"""Seconds between turns: workers of the process before stop spinning."""
WAYS = ("numba", "value", "gradient")


def everyday() -> Any:
    """By path, so that `adc` may come from another checkout, and `tests` from none."""
    spec = importlib.util.spec_from_file_location("everyday", EVERYDAY)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["everyday"] = module
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- a process


def way_of(name: str, way: str) -> Callable[[], Any]:
    programs = everyday()
    f, args = programs.PROGRAMS[name][0], programs.arguments(name)
    if way == "numba":
        import numba

        made: Any = numba.njit(f)
    else:
        import adc

        made = adc.jit(f) if way == "value" else adc.value_and_grad(f)
    return lambda: made(*args)


def serve(name: str, way: str) -> None:
    call = way_of(name, way)
    start = time.perf_counter()
    out = call()
    first = time.perf_counter() - start
    sums = [float(np.sum(np.abs(x))) for x in (out if isinstance(out, tuple) else (out,))]
    print(json.dumps({"first": first, "sums": sums}), flush=True)
    for _ in sys.stdin:
        end, times = time.perf_counter() + TURN, []
        while time.perf_counter() < end or len(times) < FEWEST:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        print(json.dumps(min(times)), flush=True)


class Worker:
    def __init__(self, name: str, way: str, root: Path, cache: str):
        env = {**os.environ, "PYTHONPATH": str(root), "ADC_CACHE_DIR": cache}
        words = [sys.executable, str(FILE), "--serve", name, way]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=root)
        self.times: list[float] = []
        told = self._read(name, way)
        self.first, self.sums = told["first"], told["sums"]

    def _read(self, *what: str) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(what)}: exit code {self.process.wait()}")
        return json.loads(line)

    def turn(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.times.append(self._read())
        time.sleep(PAUSE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


# ---------------------------------------------------------------- all of them


def row(name: str, rounds: int, against: Path | None) -> dict[str, Any]:
    """{"numba", "value", "gradient", "before": seconds; "first": of the gradient}"""
    ways = [(w, w, ROOT) for w in WAYS if w != "numba" or name not in everyday().ARRAYS_ONLY]
    if against is not None:
        ways.append(("before", "gradient", against))
    with tempfile.TemporaryDirectory(prefix="adc-programs-") as folder:
        alive: dict[str, Worker] = {}
        try:
            for label, way, root in ways:
                alive[label] = Worker(name, way, root, str(Path(folder, label)))
            for _ in range(rounds):
                for worker in alive.values():
                    worker.turn()
        finally:
            for worker in alive.values():
                worker.close()
        told = alive["gradient"].sums
        for label, worker in alive.items():
            if not np.allclose(worker.sums, told[: len(worker.sums)], rtol=1e-6, atol=1e-9):
                raise SystemExit(f"{name}: {label} says {worker.sums}, the gradient {told}")
        return {**{label: min(w.times) for label, w in alive.items()}, "first": alive["gradient"].first}


def shown(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-4 else f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.1f} s"


def table(found: dict[str, dict[str, Any]], against: bool) -> str:
    head = ["program", "Numba, value alone", "adc, value alone", "adc, value and gradient", "of Numba's value", "first call"] + ["before, now of it"] * against
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, r in found.items():
        numba = r.get("numba")
        cells = [name.replace("_", " "), shown(numba), shown(r["value"]), shown(r["gradient"]), f"{r['gradient'] / numba:.2f}" if numba else "–", f"{r['first']:.1f} s"]
        if against:
            cells.append(f"{shown(r['before'])}, {r['gradient'] / r['before']:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--serve", nargs=2, metavar=("PROGRAM", "WAY"), help=argparse.SUPPRESS)
    parser.add_argument("--only", help="names, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout of adc")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(words)
    if options.serve:
        serve(*options.serve)
        return
    known = everyday().PROGRAMS
    names = options.only.split(",") if options.only else list(known)
    if unknown := [n for n in names if n not in known]:
        parser.error(f"no such program: {', '.join(unknown)}")
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        found[name] = row(name, options.rounds, options.against)
        print(table({name: found[name]}, options.against is not None).splitlines()[-1], flush=True)
    ratios = sorted(r["gradient"] / r["numba"] for r in found.values() if "numba" in r)
    text = table(found, options.against is not None)
    if ratios:
        text += f"\nThe gradient takes {ratios[len(ratios) // 2]:.1f} of what Numba takes for the value, in the median of {len(ratios)} programs.\n"
    print("\n" + text)
    if options.write:
        from tests.bench import page

        page.write("programs", f"## Programs that no workload has\n\n{ABOUT}\n\n{text}")


ABOUT = (
    "Programs as people have them (`tests/bench/everyday.py`), value and gradient of the first argument, best of interleaved turns (`python -m tests.bench.programs`). Numba's column is the "
    "program itself, compiled as it stands and without a gradient: what a person has today. Its value is computed in the order that is written; adc's may be in vectors, and on two threads."
)


if __name__ == "__main__":
    main()
