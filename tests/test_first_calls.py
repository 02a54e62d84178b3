"""What makes first calls short: loops counted by hand, LLVM's habits in large functions, modules that are not imported."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from adc.api import pipeline
from adc.backend import compile as compiling
from adc.backend import cpu, entry, pieces
from adc.backend.counting import counting
from adc.lower.whole import lower
from tests.frontend_run import staged

ROOT = Path(__file__).parents[1]

LOOPS = """
def plain(n, log):
    for i in range(n):
        n = n - 1                      # the number of turns is known before
        for j in range(i, 3):
            log.append((i, j))
        for j in range(i - 1, -1, -1):
            log.append((j, i))
            for k in range(2):
                if j == 4:
                    return log
    return log
"""


@pytest.mark.parametrize("n", [0, 1, 4, 9])
def test_counting_by_hand_is_what_a_range_does(n: int) -> None:
    meant: dict[str, Any] = {}
    made: dict[str, Any] = {}
    exec(LOOPS, meant)
    code = counting(LOOPS, "loops")
    exec(code, made)
    assert made["plain"](n, []) == meant["plain"](n, [])
    assert "range" not in made["plain"].__code__.co_names


TWO = """
define void @one(ptr %p) {
entry:
  %a = load i64, ptr %p
  %b = add i64 %a, 1
  br label %next
next:
  store i64 %b, ptr %p
  ret void
}

define void @two() {
  ret void
}
"""


def test_lengths_are_those_of_the_longest_function_and_block() -> None:
    assert compiling.lengths(llvm.parse_assembly(TWO)) == (5, 3)


def rolled(x: Any, a: Any) -> Any:
    """Loops that LLVM likes to write out, and sums that it likes to unroll."""
    y = np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            for k in range(x.shape[0]):
                y[i, j] += np.sin(x[k]) * a[i, j]
    return np.sum(y @ a) / (1.0 + np.sum(x**2))


def test_large_functions_compile_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    args = rng.normal(size=7), rng.normal(size=(4, 4))
    said: list[str] = []
    set_option = llvm.set_option
    monkeypatch.setattr(llvm, "set_option", lambda name, text: (said.append(text), set_option(name, text))[1])
    monkeypatch.setattr(compiling, "LARGE", 1)
    kernel = lower(staged(rolled, *args)[0].function)
    library = pieces.compile_kernel(kernel).library
    if library is None:
        pytest.skip("no linker")
    (tmp_path / "kernel.so").write_bytes(library)
    addresses = cpu.opened(tmp_path / "kernel.so")
    assert addresses is not None
    assert entry.make(kernel, addresses)(*args)[0] == pytest.approx(rolled(*args), rel=1e-12)
    changed = [text for text in said if "lsr" in text or "unroll" in text]
    assert changed == ["-disable-lsr=true", f"-unroll-threshold-aggressive={compiling.UNROLLED[1]}", "-disable-lsr=false", f"-unroll-threshold-aggressive={compiling.UNROLLED[0]}"]


def test_the_options_are_given_back_where_llvm_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(llvm, "set_option", lambda name, text: said.append(text))
    with pytest.raises(ZeroDivisionError), compiling.habits(True):
        raise ZeroDivisionError
    assert said[-3:] == ["-hoist-runtime-checks=true", "-disable-lsr=false", f"-unroll-threshold-aggressive={compiling.UNROLLED[0]}"]


FOLDED = """
import sys, numpy as np, adc
def f(x):
    a = 2.0
    return x * np.sqrt(a * 3.0)
adc.grad(f).ir("optimize", 1.0)
print("scipy.special" in sys.modules)
"""


def test_folding_numbers_imports_no_special_functions(tmp_path: Path) -> None:
    (tmp_path / "folded.py").write_text(FOLDED)
    made = subprocess.run([sys.executable, str(tmp_path / "folded.py")], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert made.stdout.split() == ["False"], made.stderr


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.me = self


@pytest.mark.parametrize("many", [False, True])
def test_what_compiling_made_is_not_looked_at_until_there_is_much_of_it(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "ASIDE", 0 if many else 1 << 40)
    gc.collect()
    with pipeline.uncollected():
        gone = weakref.ref(Ring())
    assert (gone() is None) == many
    assert gc.isenabled() and gc.get_freeze_count() == 0
    gc.collect()
    assert gone() is None


def test_what_the_caller_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        with pipeline.uncollected():
            Ring()
        assert 0 < gc.get_freeze_count() <= before
    finally:
        gc.unfreeze()
