"""Seeded programs aimed at the lowering: values, gradients and errors are those of NumPy, in every spelling of the loops."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.kernel_programs import write
from tests.kernel_run import check, check_compiled, trouble

COUNT = int(os.environ.get("ADC_PROGRAMS", "8"))
FAILURES = ("WRONG", "BROKEN")
ALL_THERE = ("ok", "an error")


@pytest.mark.parametrize("start", range(0, COUNT, 4))
def test_loops(start):
    for seed in range(start, min(start + 4, COUNT)):
        word, message = trouble(write(seed), check)
        assert word not in FAILURES, f"seed {seed}: {message}"


@pytest.mark.parametrize("seed", range(7_000, 7_000 + max(COUNT // 6, 1)))
def test_compiled(seed):
    word, message = trouble(write(seed, large=True), check_compiled)
    assert word not in FAILURES, f"seed {seed}: {message}"


@pytest.mark.long
def test_most_programs_are_compared():
    """A generator whose programs are refused, or not smooth anywhere, tests nothing."""
    seen = Counter(trouble(write(seed))[0] for seed in range(100, 140))
    assert sum(seen[word] for word in ALL_THERE) >= 30, seen
