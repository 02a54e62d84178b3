"""Peers in processes of their own, driven in turns.

In: a workload and a case.  Out: a row of plain data: times, first calls, memory and agreement by peer.

A process stays alive through all rounds; between turns it sleeps.  With one thread each process is also pinned to one core, since not
every tool heeds the variables that say so.
"""

from __future__ import annotations

import compileall
import contextlib
import functools
import json
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.workload import Workload, load, worst

ROOT = Path(__file__).resolve().parents[2]
FIRST_LIMIT, LIMIT = 240.0, 120.0
"""Seconds that a first call and any other request get."""
WRONG = "another result"
"""How the reason of a failed row begins where a result differs."""
PAIRS, TURN = 21, 0.008
"""Turns of derivative and primal for their ratio, and the seconds of each."""
PAUSE = 0.02
"""Seconds between turns: workers of the tool before stop spinning."""


class PeerFailed(Exception):
    """A peer did not do what it was asked; the text is the reason."""


def environment(threads: int, cache: Path) -> dict[str, str]:
    n = str(threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "ADC_NUM_THREADS")
    xla = "" if threads > 1 else " --xla_cpu_multi_thread_eigen=false"
    bytecode()
    found = {
        **os.environ, **{name: n for name in names}, "ADC_CACHE_DIR": str(cache), "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "") + xla, "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


@functools.cache
def bytecode() -> None:
    """adc's modules are there compiled, as after `pip install`, and as those of its peers are."""
    compileall.compile_dir(ROOT / "adc", quiet=2)


class Peer:
    """A worker process (see worker.py)."""

    def __init__(self, workload: str, case: str, name: str, threads: int, folder: Path, cache: Path):
        self.name = name
        self.log = folder / f"{name}.log"
        self.times: list[float] = []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.worker", workload, case, name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=environment(threads, cache),
            )  # fmt: skip
        if threads == 1 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, {min(os.sched_getaffinity(0))})
        self._answer(LIMIT)

    def ask(self, limit: float = LIMIT, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise PeerFailed(self._last_words()) from None
        return self._answer(limit)

    def _answer(self, limit: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            if not ready.select(limit):
                self.close()
                raise PeerFailed(f"no answer in {limit:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise PeerFailed(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise PeerFailed(answer["failed"])
        return answer

    def _last_words(self) -> str:
        code = self.process.wait()
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"exit code {code}: {lines[-1] if lines else 'silent'}"

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def results(path: Path) -> list[np.ndarray[Any, Any]]:
    with np.load(path) as stored:
        return [stored[f"arr_{k}"] for k in range(len(stored.files))]


def allowed(work: Workload, found: dict[str, float]) -> bool:
    """Are the differences, by dtype, within what the workload allows?"""
    return all(d <= (work.single if kind == "float32" else work.tolerance) for kind, d in found.items())


def measure(workload: str, case: str, threads: int, rounds: int, seconds: float, say: Any = print) -> dict[str, Any]:
    """One row: {"threads", "peers": {name: {"best", "median", "first", "warm", "memory", "ratio", "difference", "failed"}}}."""
    work = load(workload)
    found: dict[str, dict[str, Any]] = {name: {} for name in work.names(case)}
    alive: dict[str, Peer] = {}
    with tempfile.TemporaryDirectory(prefix="adc-bench-") as text:
        folder = Path(text)
        caches = {name: folder / f"cache_{name}" for name in found}
        try:
            outs: dict[str, list[np.ndarray[Any, Any]]] = {}
            for name, row in found.items():
                with _reported(row):
                    alive[name] = Peer(workload, case, name, threads, folder, caches[name])
                    row["first"] = alive[name].ask(FIRST_LIMIT, do="first", out=str(folder / "out.npz"))["seconds"]
                    outs[name] = results(folder / "out.npz")
                say(f"  {name}: " + (f"FAILED: {row['failed']}" if "failed" in row else f"first {row['first']:.2f} s"))
            judge(work, outs, found)
            for name in outs:
                if "failed" in found[name]:
                    say(f"  {name}: FAILED: {found[name]['failed']}")
                    continue
                with _reported(found[name]):
                    if name in work.adc:
                        _adc_memory(found[name], lambda name=name: Peer(workload, case, name, threads, folder, caches[name]))
                    else:
                        found[name]["memory"] = int(alive[name].ask(do="memory")["bytes"])
            _rounds([peer for name, peer in alive.items() if "failed" not in found[name]], found, rounds, seconds)
            for name in work.primal:
                if "best" in found[name]:
                    with _reported(found[name]):
                        found[name]["ratio"] = statistics.median(alive[name].ask(do="ratio", pairs=PAIRS, seconds=TURN)["ratios"])
        finally:
            for peer in alive.values():
                peer.close()
    return {"threads": threads, "rounds": rounds, "peers": found}


@contextlib.contextmanager
def _reported(row: dict[str, Any]) -> Iterator[None]:
    try:
        yield
    except PeerFailed as e:
        row["failed"] = str(e)[:300]


def judge(work: Workload, outs: dict[str, list[np.ndarray[Any, Any]]], found: dict[str, dict[str, Any]]) -> None:
    """Whoever computes something else fails: a peer that differs from adc, or adc where its peers agree with each other and not with it.

    `difference` is to the reference: adc's first spelling, or the first peer where adc is the one that is wrong.
    """
    peers = [name for name in outs if name not in work.adc]
    mine = next((name for name in work.adc if name in outs), None)
    reference = mine or next(iter(peers), None)
    if reference is None:
        return
    if mine and len(peers) > 1 and not any(allowed(work, worst(outs[mine], outs[p])) for p in peers):
        if all(allowed(work, worst(outs[peers[0]], outs[p])) for p in peers[1:]):
            reference = peers[0]
    for name, out in outs.items():
        found[name]["difference"] = worst(outs[reference], out)
        if not allowed(work, found[name]["difference"]):
            whose = "adc's" if reference == mine else f"that of {len(peers)} peers, which agree with each other"
            found[name]["failed"] = f"{WRONG} than {whose}: {found[name]['difference']}"


def _adc_memory(row: dict[str, Any], start: Callable[[], Peer]) -> None:
    """adc keeps scratch between calls, so it is measured in a fresh process that has called it on small inputs only."""
    fresh = start()
    try:
        answer = fresh.ask(FIRST_LIMIT, do="small")
        row["warm"], row["warm_imports_numba"] = answer["seconds"], answer["numba"]
        row["memory"] = int(fresh.ask(do="memory")["bytes"])
    finally:
        fresh.close()


def _rounds(alive: list[Peer], found: dict[str, dict[str, Any]], rounds: int, seconds: float) -> None:
    for k in range(rounds):
        turn = k % max(1, len(alive))
        for peer in alive[turn:] + alive[:turn]:
            if "failed" in found[peer.name]:
                continue
            try:
                peer.times += peer.ask(do="round", seconds=seconds)["times"]
            except PeerFailed as e:
                found[peer.name]["failed"] = str(e)[:300]
            time.sleep(PAUSE)
    for peer in alive:
        if peer.times and "failed" not in found[peer.name]:
            found[peer.name] |= {"best": min(peer.times), "median": statistics.median(peer.times), "calls": len(peer.times)}
