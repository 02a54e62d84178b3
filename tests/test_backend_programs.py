"""Whole programs through `optimize`, `lower` and the CPU backend, against the meaning of the program."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adc.backend import cpu
from adc.ir import F4, F8, I8, Function, Sym, Tensor, build_for, build_while, literal, scalar, size, trace
from adc.ir.evaluate import evaluate_program
from adc.ops.core import PRIMITIVES, lookup
from adc.transform import vjp

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as m:
        m.setenv("ADC_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def op(fn: Any, *args: Any, **kw: Any) -> Any:
    answer = lookup(fn)
    assert answer is not None
    return answer(*args, **kw)


def array(dtype: Any, *dims: Any) -> Tensor:
    return Tensor(np.dtype(dtype), tuple(size(d) for d in dims))


def logistic(dtype: Any = F8) -> Function:
    n, m = Sym("n"), Sym("m")

    def body(w: Any, x: Any, y: Any) -> Any:
        z = op(np.matmul, x, w)
        return (op(np.mean, op(np.logaddexp, 0.0, z) - y * z),)

    return trace("logistic", (array(dtype, m), array(dtype, n, m), array(dtype, n)), body)


def carried() -> Function:
    """A loop that hands a state on: x <- sin(x) * a."""
    n = Sym("n")

    def body(x: Any, a: Any) -> Any:
        n = x.type.dims[0]
        (s,), _, _ = build_for(n, (x,), lambda i, s: ((op(np.sin, s) * a,), (), ()))
        return (PRIMITIVES["sum"](s, axes=(0,)),)

    return trace("carried", (array(F8, n), scalar(F8)), body)


def until() -> Function:
    """A loop of unknown length: the tape of its adjoint grows."""

    def body(x: Any, least: Any) -> Any:
        outs = build_while((x,), lambda v: v > least, lambda v: ((op(np.sin, v),), ()))
        return (outs[0][0],)

    return trace("until", (scalar(F8), scalar(F8)), body)


def gradient(fn: Function, *wrt: int) -> Function:
    return vjp(fn, wrt, True)


CASES: dict[str, Callable[[], tuple[Function, tuple[Any, ...]]]] = {
    "logistic": lambda: (gradient(logistic(), 0), (RNG.normal(size=5), RNG.normal(size=(20, 5)), RNG.normal(size=20), 1.0)),
    "logistic_f4": lambda: (
        gradient(logistic(F4), 0, 1),
        (*(RNG.normal(size=s).astype("f4") for s in ((5,), (20, 5), (20,))), np.float32(1)),
    ),
    "carried": lambda: (gradient(carried(), 0, 1), (RNG.normal(size=7), 0.9, 1.0)),
    "until": lambda: (gradient(until(), 0), (2.0, 0.05, 1.0)),
}


def compiled(fn: Function) -> Any:
    from adc.optimize import optimize

    fn = optimize(fn)
    return fn, cpu.load(fn)


@pytest.mark.parametrize("name", CASES)
def test_value(name: str) -> None:
    fn, args = CASES[name]()
    want = evaluate_program(fn, args)
    _, run = compiled(fn)
    for _ in range(2):
        got = run(*args)
        for g, w in zip(got, want, strict=True):
            w = np.asarray(w)
            assert g.dtype == w.dtype and g.shape == w.shape
            np.testing.assert_allclose(g, w, rtol=1e-12 if w.dtype == F8 else 2e-5, atol=0 if w.dtype == F8 else 1e-6)


def test_threads_give_one_answer() -> None:
    fn, args = CASES["logistic"]()
    _, run = compiled(fn)
    big = (RNG.normal(size=64), RNG.normal(size=(2000, 64)), RNG.normal(size=2000), 1.0)
    want, wrong = run(*big), []

    def work() -> None:
        for _ in range(20):
            if not all(np.array_equal(a, b) for a, b in zip(run(*big), want, strict=True)):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


SCRIPT = """
import sys, time
import numpy as np
from tests.test_backend_programs import carried, compiled, gradient
t = time.perf_counter()
_, run = compiled(gradient(carried(), 0, 1))
run(np.ones(3), 0.5, 1.0)
print(time.perf_counter() - t, *sorted({"numba", "llvmlite"} & set(sys.modules)))
"""


def test_a_new_process_hits() -> None:
    root = str(Path(__file__).parent.parent)
    for first in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        if not first:
            assert len(done.stdout.split()) == 1, done.stdout


def test_an_int_result_keeps_its_type() -> None:
    n = Sym("n")
    fn = trace("count", (array(I8, n), scalar(I8)), lambda x, a: (PRIMITIVES["sum"](x * a, axes=(0,)), literal(2, I8)))
    _, run = compiled(fn)
    got = run(np.arange(4), 3)
    assert got == (18, 2) and all(type(v) is np.int64 for v in got)
