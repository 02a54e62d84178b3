"""Workers: the same bits from any number of threads, several callers at once, after a fork, with failures."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import adc
from adc.backend import pool

pytestmark = pytest.mark.skipif(not pool.start(), reason="this system has no pool: kernels do their chunks alone")


@pytest.fixture(autouse=True)
def as_before():  # type: ignore[no-untyped-def]
    yield
    adc.set_num_threads(pool.usable_cores())
    pool._wanted = None


def loss(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def rows(x, k):
    total = 0.0
    for i in range(len(x)):
        if k[i] >= 7:
            raise ValueError("a class is out of range")
        for j in range(20):
            total += np.sin(x[i] * j) * k[i]
    return total


R = np.random.default_rng(0)
DATA = R.normal(size=30), R.normal(size=(40_000, 30)), (R.normal(size=40_000) > 0) * 1.0


def run() -> tuple[bytes, ...]:
    v, g = adc.value_and_grad(loss)(*DATA)
    return v.tobytes(), g.tobytes()


def test_the_kernel_has_parts():
    text = adc.value_and_grad(loss).kernel_source(*DATA)
    assert "run_loss_value_and_grad_part(" in text


def test_same_bits_for_every_number_of_threads():
    found = set()
    for n in (1, 2, 3, 8):
        adc.set_num_threads(n)
        assert adc.get_num_threads() == n
        found |= {run() for _ in range(20)}
    assert len(found) == 1


def test_several_callers_at_once():
    adc.set_num_threads(3)
    want, got = run(), []
    callers = [threading.Thread(target=lambda: got.extend(run() for _ in range(20))) for _ in range(4)]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    assert set(got) == {want} and len(got) == 80


def test_every_chunk_once_and_the_first_failure():
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    run = ctypes.CFUNCTYPE(ctypes.c_int64, call, ctypes.c_void_p, ctypes.c_int64)(pool.start())
    adc.set_num_threads(4)
    for count in (0, 1, 2, 7, 100):
        seen: list[int] = []

        def chunk(context, begin, end, worker, seen=seen):
            seen.extend(range(begin, end))
            return 0

        assert run(call(chunk), None, count) == 0
        assert sorted(seen) == list(range(count))
    assert run(call(lambda c, begin, end, w: -begin if begin in (3, 5, 6) else 0), None, 9) == -3


def test_an_error_in_a_chunk_is_the_users():
    x, k = R.normal(size=30_000), np.ones(30_000, int)
    f = adc.value_and_grad(rows)
    f(x, k)
    k[29_000] = 9
    with pytest.raises(adc.CheckError, match="out of range"):
        f(x, k)


def test_after_a_fork():
    want = run()
    child = os.fork()
    if child == 0:
        os._exit(0 if run() == want else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert run() == want


def test_from_outside():
    code = "import adc; print(adc.get_num_threads())"
    made = subprocess.run([sys.executable, "-c", code], env={**os.environ, "ADC_NUM_THREADS": "5"}, capture_output=True, text=True)
    assert made.stdout == "5\n", made.stderr


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_no_number_of_threads(n):
    with pytest.raises(ValueError, match="positive int"):
        adc.set_num_threads(n)
