"""Workers: every chunk once, the same bits from any number of threads, several callers, forks, failures, the end."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adc
from adc.backend import cache, cpu, layout, pool, runtime
from adc.ir.dims import Sym, size
from adc.lower.kernel import Buffer, Check, Kernel, Part

pytestmark = pytest.mark.skipif(not pool.start(), reason="this system has no pool: kernels do their chunks alone")
F8, F4, I8, B1 = (np.dtype(d) for d in ("f8", "f4", "i8", "?"))
CHUNK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
RUN = ctypes.CFUNCTYPE(ctypes.c_int64, CHUNK, ctypes.c_void_p, ctypes.c_int64)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Any:
    yield
    adc.set_num_threads(pool.usable_cores())
    monkeypatch.setattr(pool, "_chosen", None)


def share(count: int, chunk: Any) -> int:
    """Chunks in Python, on the pool."""
    return RUN(pool.start())(CHUNK(lambda context, begin, end, worker: chunk(begin, end, worker)), None, count)


def eventually(condition: Any, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(1e-3)
    return True


def fresh(code: str, **environment: str) -> str:
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, **environment}, capture_output=True, text=True, timeout=100,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout.strip()


# ---------------------------------------------------------------- the pool itself


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_every_chunk_once(threads: int) -> None:
    adc.set_num_threads(threads)
    assert adc.get_num_threads() == threads
    for count in (0, 1, 2, 7, 100):
        seen: list[tuple[int, int, int]] = []
        assert share(count, lambda begin, end, worker: seen.append((begin, end, worker)) or 0) == 0
        assert sorted(s[:2] for s in seen) == [(k, k + 1) for k in range(count)]
        assert {s[2] for s in seen} <= set(range(threads))


def test_workers_take_part_and_have_numbers() -> None:
    adc.set_num_threads(3)
    here: dict[int, set[int]] = {}
    arrived = threading.Barrier(3, timeout=60)

    def chunk(begin: int, end: int, worker: int) -> int:
        here.setdefault(worker, set()).add(threading.get_ident())
        arrived.wait()  # three threads are inside at once, or this never ends
        return 0

    for _ in range(5):
        assert share(3, chunk) == 0
    assert sorted(here) == [0, 1, 2] and all(len(x) == 1 for x in here.values())
    assert here[0] == {threading.get_ident()}


def test_a_thread_begins_with_its_own_part_and_takes_the_last_of_others() -> None:
    adc.set_num_threads(2)
    for _ in range(3):
        both, done = threading.Barrier(2, timeout=60), threading.Event()
        ran: dict[int, list[int]] = {0: [], 1: []}

        def chunk(begin: int, end: int, worker: int, ran: Any = ran, both: Any = both, done: Any = done) -> int:
            ran[worker].append(begin)
            if len(ran[worker]) == 1:
                both.wait()
                if worker == 1:
                    return 0 if done.wait(60) else 1
            if len(ran[0]) == 7:
                done.set()
            return 0

        assert share(8, chunk) == 0
        assert ran == {0: [0, 1, 2, 3, 7, 6, 5], 1: [4]}


def test_more_chunks_than_bits() -> None:
    adc.set_num_threads(3)
    for count in (31, 32, 33, 64, 1000):
        seen: list[int] = []
        assert share(count, lambda begin, end, worker, seen=seen: seen.append(begin) or 0) == 0
        assert sorted(seen) == list(range(count))
        ran: list[int] = []
        assert share(count, lambda begin, end, worker, ran=ran: ran.append(begin) or (begin if begin >= 7 else 0)) == 7
        assert set(range(8)) <= set(ran)


def test_the_lowest_failure_counts() -> None:
    adc.set_num_threads(4)
    large = -(1 << 40)
    for _ in range(30):
        ran: list[int] = []

        def chunk(begin: int, end: int, worker: int, ran: list[int] = ran) -> int:
            ran.append(begin)
            return large - begin if begin in (3, 5, 6) else 0

        assert share(9, chunk) == large - 3
        assert {0, 1, 2, 3} <= set(ran)
    assert share(9, lambda *k: 0) == 0


def test_a_second_caller_does_not_wait() -> None:
    adc.set_num_threads(2)
    inside, go, answers = threading.Event(), threading.Event(), []

    def slow(begin: int, end: int, worker: int) -> int:
        inside.set()
        return 0 if go.wait(60) else 1

    first = threading.Thread(target=lambda: answers.append(share(4, slow)))
    first.start()
    assert inside.wait(60)
    seen: list[int] = []
    assert share(50, lambda begin, end, worker: seen.append(begin) or worker) == 0
    assert seen == list(range(50)) and first.is_alive()
    go.set()
    first.join(60)
    assert answers == [0]


def test_a_run_inside_a_chunk() -> None:
    adc.set_num_threads(3)
    total: list[int] = []
    assert share(5, lambda begin, end, worker: share(4, lambda b, e, w: total.append(10 * begin + b) or 0)) == 0
    assert sorted(total) == sorted(10 * a + b for a in range(5) for b in range(4))


def test_who_waits_long_sleeps() -> None:
    """A caller without chunks, and workers without jobs, use no processor."""
    adc.set_num_threads(2)
    barrier = threading.Barrier(2, timeout=60)

    def chunk(begin: int, end: int, worker: int) -> int:
        barrier.wait()
        if worker == 1:
            time.sleep(0.5)
        return 0

    before = time.process_time()
    assert share(2, chunk) == 0
    time.sleep(0.2)
    assert time.process_time() - before < 0.3


def test_fewer_and_more_threads() -> None:
    for n in (5, 2, 1, 3, 8, 2):
        adc.set_num_threads(n)
        seen: set[int] = set()
        assert share(200, lambda begin, end, worker, seen=seen: seen.add(worker) or 0) == 0
        assert seen <= set(range(n))
        time.sleep(2e-3)  # some are asleep the next time


def test_many_jobs_of_every_length() -> None:
    adc.set_num_threads(4)
    order = np.random.default_rng(0)
    for _ in range(300):
        count = int(order.integers(0, 12))
        hits = [0] * count

        def chunk(begin: int, end: int, worker: int, hits: list[int] = hits) -> int:
            hits[begin] += 1
            return 0

        assert share(count, chunk) == 0
        assert hits == [1] * count
        if order.random() < 0.1:
            time.sleep(1e-3)


# ---------------------------------------------------------------- kernels with parts


def parted() -> Kernel:
    """Sums of rows, by a part that calls a part; `bad` is the row that fails."""
    n = Sym("n")
    source = textwrap.dedent("""
        def row(begin, end, worker, start, x, scale, twice, cells):
            for c in range(begin, end):
                s = np.float32(0.0)
                for i in range(8):
                    s += x[start + 8 * c + i]
                if twice:
                    s = s + s
                cells[start // 8 + c] = s * scale
            return 0

        def rows(begin, end, worker, n, x, scale, twice, bad, cells, workers):
            for r in range(begin, end):
                if r == bad:
                    return 1
                workers[r] = worker
                code = run_row(4, 32 * r, x, scale, twice, cells)
                if code != 0:
                    return code
            return 0

        def nothing(begin, end, worker):
            return 0

        def parted(x, scale, twice, bad, n, out, workers, cells, report):
            twice = twice != 0
            code = run_nothing(n // 32)
            for turn in range(2):
                code = run_rows(n // 32, n, x, scale, twice, bad, cells, workers)
                if code != 0:
                    return code
            s = 0.0
            for k in range(n // 8):
                s += cells[k]
            out[0] = s
            return 0
        """)
    return Kernel(
        "parted",
        (Buffer("x", F4, (size(n),)), Buffer("scale", F8), Buffer("twice", B1), Buffer("bad", I8)),
        (n,),
        (Buffer("out", F8), Buffer("workers", I8, (size(n) // 32,))),
        (Buffer("cells", F8, (size(n) // 8,)),),
        source,
        checks=(Check("assertion", "a row is bad"),),
        parts=(Part("row"), Part("rows"), Part("nothing")),
    )  # fmt: skip


X = np.random.default_rng(1).normal(size=3200).astype("f4")


@pytest.fixture(scope="module")
def rows() -> Any:
    return cpu.load_kernel(parted())


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_parts(rows: Any, threads: int) -> None:
    adc.set_num_threads(threads)
    for twice in (False, True):
        out, workers = rows(X, 0.5, twice, -1)
        assert np.isclose(out, X.astype(float).sum() * (1.0 if twice else 0.5), rtol=1e-5)
        assert workers.min() >= 0 and workers.max() < threads
    assert len({rows(X, 0.5, True, -1)[0] for _ in range(50)}) == 1
    assert np.isclose(rows(X[:32], 1.0, False, -1)[0], X[:32].astype(float).sum(), rtol=1e-5)  # one chunk
    with pytest.raises(adc.CheckError, match="a row is bad"):
        rows(X, 0.5, True, 70)


def test_parts_from_many_threads(rows: Any) -> None:
    adc.set_num_threads(3)
    want, got = rows(X, 0.5, True, -1)[0], []
    callers = [threading.Thread(target=lambda: got.extend(rows(X, 0.5, True, -1)[0] for _ in range(200))) for _ in range(4)]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    assert set(got) == {want} and len(got) == 800


def test_without_a_table(rows: Any) -> None:
    """A library that nobody gave a table does its chunks by itself, to the same bits."""
    want = rows(X, 0.5, True, -1)[0]
    path = next(cache.fetch(cpu.kernel_key(parted())))
    if path.suffix != cache.LIBRARY:
        pytest.skip("no linker")
    word = ctypes.c_uint64.in_dll(ctypes.CDLL(str(path)), layout.RUNTIME_NAME)
    assert word.value == runtime.address()
    try:
        word.value = 0
        assert rows(X, 0.5, True, -1)[0] == want
        with pytest.raises(adc.CheckError):
            rows(X, 0.5, True, 70)
    finally:
        word.value = runtime.address()


# ---------------------------------------------------------------- programs


def loss(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def total(x, k):
    s = 0.0
    for i in range(len(x)):
        if k[i] >= 7:
            raise ValueError("a class is out of range")
        for j in range(20):
            s += np.sin(x[i] * j) * k[i]
    return s


R = np.random.default_rng(0)
DATA = R.normal(size=30), R.normal(size=(40_000, 30)), (R.normal(size=40_000) > 0) * 1.0


def run() -> tuple[bytes, ...]:
    v, g = adc.value_and_grad(loss)(*DATA)
    return v.tobytes(), g.tobytes()


def test_the_kernel_has_parts() -> None:
    text = adc.value_and_grad(loss).kernel_source(*DATA)
    assert "run_loss_value_and_grad_part(" in text


def test_same_bits_for_every_number_of_threads() -> None:
    found = set()
    for n in (1, 2, 3, 8):
        adc.set_num_threads(n)
        found |= {run() for _ in range(20)}
    assert len(found) == 1


def test_an_error_in_a_chunk_is_the_users() -> None:
    x, k = R.normal(size=30_000), np.ones(30_000, int)
    f = adc.value_and_grad(total)
    f(x, k)
    k[29_000] = 9
    with pytest.raises(adc.CheckError, match="out of range"):
        f(x, k)


# ---------------------------------------------------------------- processes


def forked(child: Any) -> int:
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = int(child())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def workers_here() -> int:
    return len(os.listdir("/proc/self/task"))


@LINUX
def test_after_a_fork(rows: Any) -> None:
    adc.set_num_threads(3)
    want = rows(X, 0.5, True, -1)[0]

    def child() -> int:
        none = workers_here() == 1  # threads begin with the first job
        right = all(rows(X, 0.5, True, -1)[0] == want for _ in range(50))
        return 0 if none and right and workers_here() == 3 and forked(lambda: rows(X, 0.5, True, -1)[0] != want) == 0 else 1

    assert forked(child) == 0
    assert rows(X, 0.5, True, -1)[0] == want


@LINUX
def test_a_fork_in_the_middle_of_a_job(rows: Any) -> None:
    adc.set_num_threads(2)
    want = rows(X, 0.5, True, -1)[0]
    inside, go = threading.Event(), threading.Event()
    busy = threading.Thread(target=lambda: share(4, lambda *k: inside.set() or (0 if go.wait(60) else 1)))
    busy.start()
    assert inside.wait(60)
    assert forked(lambda: 0 if rows(X, 0.5, True, -1)[0] == want and workers_here() == 2 else 1) == 0
    go.set()
    busy.join()


@LINUX
def test_signals_are_for_the_interpreter() -> None:
    adc.set_num_threads(2)
    share(2, lambda *k: 0)
    masks = {}
    for task in os.listdir("/proc/self/task"):
        status = dict(line.split(":", 1) for line in Path("/proc/self/task", task, "status").read_text().splitlines())
        masks[int(task)] = int(status["SigBlk"], 16)
    interrupt, fault = 1 << 1, 1 << 10
    assert masks.pop(os.getpid()) & interrupt == 0
    assert any(m & interrupt and not m & fault for m in masks.values())


def test_the_end_of_the_interpreter() -> None:
    """Workers leave, also while another thread still computes; what is called after that is done alone."""
    code = """
        import atexit, threading, time
        from tests import test_pool as t
        f = t.cpu.load_kernel(t.parted())
        t.adc.set_num_threads(3)
        want = f(t.X, 0.5, True, -1)[0]
        def late():
            assert f(t.X, 0.5, True, -1)[0] == want
            print(t.pool._read(t.pool.GONE) == t.pool._read(t.pool.MADE) > 0)
        def for_ever():
            while True:
                f(t.X, 0.5, True, -1)
        threading.Thread(target=for_ever, daemon=True).start()
        t.pool.atexit.unregister(t.pool._stop)
        atexit.register(late)
        atexit.register(t.pool._stop)
    """
    assert fresh(code) == "True"


def test_a_warm_process_imports_no_compiler() -> None:
    code = """
        import sys
        from tests import test_pool as t
        f = t.cpu.load_kernel(t.parted())
        f(t.X, 0.5, True, -1)
        print(t.pool.start() != 0, "numba" in sys.modules, "llvmlite" in sys.modules)
    """
    fresh(code)
    assert fresh(code) == "True False False"


def test_without_a_linker(tmp_path: Path, rows: Any) -> None:
    code = """
        from tests import test_pool as t
        t.adc.set_num_threads(2)
        f = t.cpu.load_kernel(t.parted())
        print(t.pool.start() != 0, float(f(t.X, 0.5, True, -1)[0]).hex(), t.pool._read(t.pool.MADE))
    """
    found = fresh(code, ADC_LINKER="", ADC_CACHE_DIR=str(tmp_path))
    assert found == f"True {float(rows(X, 0.5, True, -1)[0]).hex()} 1"
    assert {p.suffix for p in tmp_path.iterdir()} == {".o"}


def test_without_a_pool(rows: Any) -> None:
    code = """
        from adc.backend import native, pool
        def refuse(*args, **more):
            raise OSError("not allowed here")
        native.library = refuse
        from tests import test_pool as t
        f = t.cpu.load_kernel(t.parted())
        print(pool.start(), pool.why_not(), float(f(t.X, 0.5, True, -1)[0]).hex())
    """
    assert fresh(code) == f"0 OSError: not allowed here {float(rows(X, 0.5, True, -1)[0]).hex()}"


# ---------------------------------------------------------------- how many


def test_from_outside() -> None:
    assert fresh("import adc; print(adc.get_num_threads())", ADC_NUM_THREADS="5") == "5"


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "100000"])
def test_no_number_from_outside(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_chosen", None)
    monkeypatch.setenv("ADC_NUM_THREADS", given)
    with pytest.raises(adc.UnsupportedError, match="whole number from 1"):
        adc.get_num_threads()


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2", 1 << 20])
def test_no_number_of_threads(n: Any) -> None:
    with pytest.raises(ValueError, match="positive int"):
        adc.set_num_threads(n)


@pytest.mark.parametrize(
    ("lines", "files", "found"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, [(150000, 100000)]),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, [(50000, 100000)]),
        ("0::/not/here\n", {"cpu.max": "max 100000"}, []),
        ("4:cpu,cpuacct:/x\n1:name=systemd:/\n", {"cpu,cpuacct/cpu.cfs_quota_us": "-1"}, []),
        (
            "4:cpu:/x\n",
            {"cpu/x/cpu.cfs_quota_us": "400000\n", "cpu/x/cpu.cfs_period_us": "100000\n"},
            [(400000, 100000)],
        ),
    ],
)
def test_quotas(lines: str, files: dict[str, str], found: list[tuple[int, int]], tmp_path: Path) -> None:
    (tmp_path / "self").write_text(lines)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(pool._quotas(str(tmp_path / "self"), str(tmp_path))) == found


# ---------------------------------------------------------------- how numbers are computed


def flushed(count: int = 2) -> dict[int, bool]:
    """Worker → does it make denormals zero, from a job in which each of them waits for the others."""
    adc.set_num_threads(count)
    all_here = threading.Barrier(count, timeout=20.0)
    found: dict[int, bool] = {}

    def chunk(begin, end, worker):
        all_here.wait()
        found[worker] = bool(np.float64(1e-310) * np.float64(0.5) == 0.0)
        return 0

    assert share(count, chunk) == 0
    assert len(found) == count
    return found


def test_workers_compute_as_the_caller_does():
    assert set(flushed().values()) == {False}
    assert adc.set_flush_denormals(True) is False
    try:
        assert set(flushed().values()) == {True}
    finally:
        assert adc.set_flush_denormals(False) is True
    assert set(flushed().values()) == {False}


@adc.value_and_grad
def tiny_weights(w, x):
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * 1e-300 * w
    return total


def test_denormals_are_kept_until_asked_otherwise():
    x = np.full(100_000, 1e-12)
    assert tiny_weights(0.5, x)[1] == pytest.approx(1e-307, rel=1e-2)  # a sum of denormals
    before = adc.set_flush_denormals(True)
    try:
        assert tiny_weights(0.5, x) == (0.0, 0.0)
    finally:
        adc.set_flush_denormals(before)
    assert tiny_weights(0.5, x)[1] > 0.0


def test_the_mode_is_of_one_thread():
    found: list[bool] = []

    def elsewhere():
        adc.set_flush_denormals(True)
        found.append(bool(np.float64(1e-310) * np.float64(0.5) == 0.0))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [True] and np.float64(1e-310) * np.float64(0.5) > 0.0


def test_a_system_without_the_mode_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool.platform, "machine", lambda: "vax")
    with pytest.raises(adc.UnsupportedError, match="leave it out"):
        adc.set_flush_denormals(True)
