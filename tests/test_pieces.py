"""Kernels in pieces, compiled by two processes: the same numbers, whoever makes which, and whatever happens to the other."""

from __future__ import annotations

import os
import pickle
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
from adc.backend import compile as compiling
from adc.backend import cpu, helper, pieces, runtime
from adc.backend.workers import Unit
from adc.lower.kernel import Buffer, Kernel, Part
from tests.test_pool import fresh

pytestmark = pytest.mark.skipif(not compiling.linkers(), reason="pieces are put together by a linker")

SOURCE = """
def short(begin, end, worker, y, x):
    for chunk in range(begin, end):
        y[chunk] += x
    return 0

def long(begin, end, worker, y, x):
    for chunk in range(begin, end):
        y[chunk] = math.exp(x) + chunk
        code = run_short(1, y, x)
        if code != 0:
            return code
        code = run_short(1, y, 2)
        if code != 0:
            return code
{more}
    return 0

def main(x, y, report):
    code = run_long(4, y, x)
    if code != 0:
        return code
    code = run_short(4, y, x)
    if code != 0:
        return code
    return 0
"""


def kernel(mark: float = 0.0) -> Kernel:
    """Its long part has a module of its own, and calls the short one, which the main function has, for a type that it has not."""
    more = "\n".join(f"        y[chunk] += {k}.0 * {mark!r}" for k in range(compiling.SHORT))
    f8 = np.dtype("f8")
    source = SOURCE.format(more=more)
    return Kernel("main", (Buffer("x", f8),), (), (Buffer("y", f8, (4,)),), (), source, parts=(Part("short"), Part("long")))


def by_hand(x: float) -> Any:
    y = np.exp(x) + np.arange(4.0)
    y[0] += x + 2  # the only chunk of the inner calls, in turn 0 …
    for k in range(1, 4):
        y[0] += x + 2  # … and of those after it
    return y + x


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("ADC_COMPILE_PROCESSES", "2")
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("ADC_NUM_THREADS", "1")
    helper.stop()
    threads = runtime.get_num_threads()  # the variable is only looked at once
    runtime.set_num_threads(1)
    yield
    runtime.set_num_threads(threads)
    helper.stop()


def test_the_short_part_is_in_the_main_module() -> None:
    assert compiling.Text.of(kernel()).own() == {"short"}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_numbers(processes: str, two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADC_COMPILE_PROCESSES", processes)
    helper.start()
    assert helper.there() == (processes == "2")
    k = kernel(0.0)
    np.testing.assert_allclose(cpu.load_kernel(k)(0.5)[0], by_hand(0.5), rtol=1e-14)


def test_the_same_library_whoever_makes_it(two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    here: list[str] = []
    make = compiling.unit_object
    monkeypatch.setattr(compiling, "unit_object", lambda text, unit, *more: (here.append(unit.name), make(text, unit, *more))[1])
    alone = pieces.compile_kernel(kernel(1.0)).library
    assert alone is not None and here == ["long", "short"]
    here.clear()
    helper.start()
    monkeypatch.setattr(pieces.Pieces, "begun", lambda self, own, begun=pieces.Pieces.begun: (_until(lambda: not self.waiting and self.busy < 2), begun(self, own))[1])
    assert pieces.compile_kernel(kernel(1.0)).library == alone
    assert "long" not in here


def _until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_helper_that_is_killed(two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    helper.start()
    process = helper._process
    assert process is not None
    ask = helper.ask

    def and_dies(*request: Any) -> Any:
        process.kill()
        return ask(*request)

    monkeypatch.setattr(helper, "ask", and_dies)
    np.testing.assert_allclose(cpu.load_kernel(kernel(2.0))(0.5)[0][1:], by_hand(0.5)[1:] + 2.0 * sum(range(compiling.SHORT)), rtol=1e-14)
    assert not helper.there() and process.poll() is not None
    helper.start()
    assert helper.there()


def test_a_helper_that_does_not_answer(two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PATIENCE", 0.5)
    monkeypatch.setattr(helper, "spawn", lambda command, spawn=helper.spawn, **pipes: spawn("import time; time.sleep(100)", **pipes))
    helper.start()
    start = time.monotonic()
    cpu.load_kernel(kernel(3.0))
    assert time.monotonic() - start < 60 and not helper.there()


def test_what_the_helper_cannot_is_an_error_here(two: None) -> None:
    helper.start()
    k = kernel(4.0)
    wrong = Kernel(k.name, k.params, (), k.outs, (), k.source.replace("math.exp", "math.no_such"), parts=k.parts)
    with pytest.raises(Exception, match="no_such"):
        pieces.compile_kernel(wrong)
    np.testing.assert_allclose(cpu.load_kernel(k)(0.5)[0].shape, (4,))


def test_an_error_in_the_main_function_ends_all(two: None) -> None:
    helper.start()
    k = kernel(5.0)
    wrong = Kernel(k.name, k.params, (), k.outs, (), k.source.replace("run_short(4, y, x)", "run_short(4, y, math.no_such(x))"), parts=k.parts)
    before = threading.active_count()
    with pytest.raises(Exception, match="no_such"):
        pieces.compile_kernel(wrong)
    _until(lambda: threading.active_count() <= before)


def test_several_python_threads(two: None) -> None:
    helper.start()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda k=k: found.append(cpu.load_kernel(kernel(10.0 + k))(0.5)[0])) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 3


def test_a_number_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADC_COMPILE_PROCESSES", "many")
    with pytest.raises(adc.UnsupportedError, match="ADC_COMPILE_PROCESSES=many"):
        helper.processes()


def test_who_compiles_in_words(two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert helper.describe() == "two processes (ADC_COMPILE_PROCESSES)"
    helper.stop()
    monkeypatch.setattr(sys, "executable", "/usr/bin/host")
    assert helper.describe() == "one process; a second cannot be started: /usr/bin/host is no Python to start again"
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    assert "No such file" in helper.describe()
    monkeypatch.setenv("ADC_COMPILE_PROCESSES", "1")
    assert helper.describe() == "one process (ADC_COMPILE_PROCESSES)"


def test_units_and_texts_travel() -> None:
    from numba.core import types

    unit = Unit("part", (types.CPointer(types.float64), types.int64, types.boolean))
    text = compiling.Text.of(kernel())
    for x in (unit, text, compiling.How.here(False, "x", "+y")):
        assert pickle.loads(pickle.dumps(x)) == x
    assert Unit("part", unit.args).symbol == unit.symbol != Unit("part", unit.args[:2]).symbol


def test_the_helper_ends_when_its_process_does(tmp_path: Path) -> None:
    said = fresh("from adc.backend import helper; helper.start(); print(helper._process.pid)", ADC_COMPILE_PROCESSES="2")
    with pytest.raises(ProcessLookupError):
        os.kill(int(said), 0)


def test_the_helper_of_a_process_that_was_killed() -> None:
    code = "import os, sys, time; from adc.backend import helper; helper.start(); print(helper._process.pid, flush=True); time.sleep(100)"
    env = {**os.environ, "ADC_COMPILE_PROCESSES": "2"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env, cwd=Path(__file__).parents[1])
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    if not Path("/proc").is_dir():
        pytest.skip("who runs is read from /proc")
    _until(gone)


def test_a_helper_that_nobody_asks_ends() -> None:
    code = """
        import time
        from adc.backend import helper
        spawn = helper.spawn
        helper.spawn = lambda command, **pipes: spawn(command.replace("serve()", "import adc.backend.helper as h; h.IDLE = 0.1; serve()"), **pipes)
        helper.start()
        end = time.monotonic() + 60
        while helper.there() and time.monotonic() < end:
            time.sleep(0.05)
        print(helper.there(), helper.ask(print, (1,), print))
        helper.start()
        print(helper.there())
    """
    assert fresh(textwrap.dedent(code), ADC_COMPILE_PROCESSES="2") == "False None\nTrue"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_after_fork() -> None:
    code = """
        import os
        from adc.backend import helper
        helper.start()
        child = os.fork()
        if child == 0:
            there = helper.there()
            helper.stop()
            os._exit(7 if not there else 8)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), helper.there())
    """
    assert fresh(textwrap.dedent(code), ADC_COMPILE_PROCESSES="2") == "7 True"
