"""The memory of large results: blocks come back, arrays are NumPy's in every way, and no limit is passed."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import adc
from adc.backend import layout, memory
from tests.test_pool import fresh

LARGE = memory.LARGE // 8 * 4
"""Elements of float64 that are four times what is kept."""


def twice(x):
    return 2.0 * x


@pytest.fixture(scope="module")
def double():
    import llvmlite.binding  # noqa: F401  # the library is made where a compiler is at hand, also if the kernels are there already

    f = adc.jit(twice)
    f(np.ones(5))
    memory.wait()
    if not layout.has_fast_entries() or memory.handler() is None:
        pytest.skip("results are NumPy's own memory here")
    return f


def test_a_block_comes_back_for_a_result_of_its_size(double):
    x = np.arange(float(LARGE))
    y = double(x)
    where, before = y.ctypes.data, memory.kept()
    del y
    gc.collect()
    assert memory.kept() == before + 8 * LARGE
    z = double(x + 1)
    assert z.ctypes.data == where
    assert memory.kept() == before
    np.testing.assert_array_equal(z, 2 * (x + 1))
    other = double(x[:-1024])  # another size: a block of its own
    assert other.ctypes.data != where
    np.testing.assert_array_equal(other, 2 * x[:-1024])


def test_results_are_arrays_in_every_way(double):
    x = np.arange(float(LARGE))
    y = double(x)
    assert y.flags.owndata
    assert y.base is None
    view = y[10:]
    del y
    again = double(x + 5)
    np.testing.assert_array_equal(view, 2 * x[10:])
    again.resize(3 * LARGE + 7, refcheck=False)
    again[:] = 1.0
    again.resize(LARGE // 2 + 3, refcheck=False)
    assert again.sum() == LARGE // 2 + 3
    del again, view
    np.testing.assert_array_equal(double(np.ones(LARGE // 2 + 3)), 2.0)


def test_small_results_and_other_arrays_are_left_alone(double):
    before = memory.kept()
    for n in (1, 7, memory.LARGE // 8 - 1):
        np.testing.assert_array_equal(double(np.ones(n)), 2.0)
    big = np.empty(LARGE)
    del big
    assert memory.kept() == before
    # NumPy's own handler is back after each call, also where the results are large
    assert np._core.multiarray.get_handler_name() == "default_allocator"
    y = double(np.ones(LARGE))
    assert np._core.multiarray.get_handler_name(y) == "adc"
    assert np._core.multiarray.get_handler_name() == "default_allocator"


def test_the_limit_holds(double):
    results = [double(np.ones(n)) for n in range(LARGE, LARGE + 1024 * 64, 1024)]
    results.append(double(np.ones(memory.LIMIT // 8 + 1)))  # larger than all that is kept
    while results:
        results.pop()
        assert memory.kept() <= memory.LIMIT


def test_several_threads_at_once(double):
    def work(seed):
        r = np.random.default_rng(seed)
        for _ in range(40):
            x = r.normal(size=LARGE + 512 * int(r.integers(0, 4)))
            assert np.array_equal(double(x), 2 * x)
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))
    assert memory.kept() <= memory.LIMIT


CODE = """
    import numpy as np, adc
    from adc.backend import memory
    from tests.test_memory import twice
    f = adc.jit(twice)
    x = np.ones(100_000)
    f(x)
    memory.wait()
    for _ in range(3):
        assert f(x).sum() == 200_000
    print(memory.kept())
"""


def test_the_limit_from_outside(double):
    assert fresh(CODE) != "0"
    assert fresh(CODE, ADC_RESULT_MEMORY="0") == "0"
    assert fresh(CODE, ADC_RESULT_MEMORY="500000") == "0"
    assert "whole number" not in fresh(CODE, ADC_RESULT_MEMORY="1000000")


def test_a_limit_that_is_no_number(monkeypatch):
    monkeypatch.setenv("ADC_RESULT_MEMORY", "much")
    with pytest.raises(adc.AdcError, match="ADC_RESULT_MEMORY=much"):
        memory.limit()


@pytest.mark.skipif(not hasattr(sys, "getrefcount") or not hasattr(__import__("os"), "fork"), reason="no fork")
def test_a_forked_child_computes(double):
    got = fresh(
        """
        import os, numpy as np, adc
        from adc.backend import memory
        from tests.test_memory import twice
        f = adc.jit(twice)
        x = np.ones(100_000)
        f(x)
        memory.wait()
        memory._state[0] = 1  # another thread of the parent is inside: it does not come along
        if os.fork() == 0:
            os._exit(0 if f(x).sum() == 200_000 and f(x).sum() == 200_000 else 1)
        print(os.wait()[1])
        """
    )
    assert got == "0"


def test_it_says_where_results_live(double, monkeypatch):
    assert "blocks that come back, up to 64 MB" in memory.describe()
    monkeypatch.setenv("ADC_RESULT_MEMORY", "0")
    assert "ADC_RESULT_MEMORY=0" in memory.describe()
    monkeypatch.delenv("ADC_RESULT_MEMORY")

    def refuse(*args, **more):
        raise OSError("not allowed here")

    monkeypatch.setattr(memory, "_capsule", None)
    monkeypatch.setattr(memory.native, "library", refuse)
    assert "cannot be kept: OSError: not allowed here" in memory.describe()
