"""Arguments with which elementwise primitives are tried: every test of a primitive is made from its samples.

In: bounds, one pair per argument.  Out: a function that makes the samples, when a test asks for them.

    samples=and_also(between((-2.0, 2.0), (0.3, 3.0)), ints((-9, 9), (1, 9)))
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adc.ir import Sample

ANY = (-2.0, 2.0)
POSITIVE = (0.3, 3.0)


def between(*bounds: tuple[float, float], extra: tuple[float, ...] = ()) -> Callable[[], tuple[Sample, ...]]:
    """Samples for `len(bounds)` arguments: a scalar, a vector and a matrix inside the bounds."""

    def make() -> tuple[Sample, ...]:
        rng = np.random.default_rng(7)
        shapes: tuple[tuple[int, ...], ...] = ((), (5,), (2, 3))
        out = [Sample(tuple(np.asarray(rng.uniform(lo, hi, s)) for lo, hi in bounds)) for s in shapes]
        return (*out, *(Sample(tuple(np.asarray(e) for _ in bounds), {}, False) for e in extra))

    return make


def ints(*bounds: tuple[int, int]) -> Callable[[], tuple[Sample, ...]]:
    """Samples of integers, a scalar and a vector."""

    def make() -> tuple[Sample, ...]:
        rng = np.random.default_rng(3)
        shapes: tuple[tuple[int, ...], ...] = ((), (6,))
        return tuple(Sample(tuple(np.asarray(rng.integers(lo, hi, s)) for lo, hi in bounds), {}, False) for s in shapes)

    return make


def and_also(*makers: Callable[[], tuple[Sample, ...]]) -> Callable[[], tuple[Sample, ...]]:
    return lambda: tuple(s for m in makers for s in m())


def halves() -> tuple[Sample, ...]:
    return (Sample((np.array([0.3, 0.7], np.float32), np.array([1.5, 2.0], np.float32)), {}, False),)
