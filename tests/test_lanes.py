"""Lanes of tiles: few loops over them, rows no longer than they need be, small products in place."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import adc
from adc.backend import layout
from adc.cli.machine import machine_text
from adc.ir import Size, product, size, symbols
from adc.ir.dims import evaluate
from adc.lower.whole import lower
from adc.transform import jvp, vmap
from kernels import lstm
from tests.frontend_run import staged
from tests.lower_run import compare

R = np.random.default_rng(11)


def turned(angles: Any, vectors: Any) -> Any:
    """A chain of rotations, written with numbers taken out of arrays: each has a tangent, which differs between lanes."""
    total = np.zeros((3, 3))
    for i in range(angles.shape[0]):
        c, s = np.cos(angles[i]), np.sin(angles[i])
        cx, cy = c[0], c[1]
        sx, sy = s[0], s[1]
        a = sx * sy
        b = cx * cy
        turn = np.array([[a, b, cx], [sx, a * b, cy], [sy, b, a]])
        total = total + turn @ turn
    return total @ vectors


def columns(*args: Any) -> Any:
    """The program of all tangents of `turned` by its first argument, with its values."""
    s, values = staged(turned, *args)
    n = len(s.function.params)
    moved = jvp(s.function, tuple(k == 0 for k in range(n)))
    seeds = R.normal(size=(16, *args[0].shape))
    return vmap(moved, (*(None,) * n, 0), (0, 0)), (*values, seeds)


def test_what_is_the_same_for_all_lanes_does_not_part_their_loops() -> None:
    fn, values = columns(R.normal(size=(4, 2)), R.normal(size=(3, 5)))
    text = compare(fn, *values, rtol=1e-10).source
    body = re.search(r"cx = .*?(?=\n +for i)", text, re.S)
    assert body is not None, text
    assert body.group().count("for lane in range") == 1, text  # of nine numbers with a tangent each, and three rows of three
    assert "cx_dot = " in text  # a number in the loop, not a row of lanes


def test_memory_is_for_the_width_that_the_sizes_give() -> None:
    fn, values = columns(R.normal(size=(4, 2)), R.normal(size=(3, 5)))
    kernel = lower(fn)
    wide = [s for s in kernel.bounds if s.hint == "tile"]
    assert wide
    known = {s for p in fn.params for d in p.type.dims for s in symbols(size(d))}
    for s in wide:
        bound = kernel.bounds[s]
        assert isinstance(bound, Size) and known.issuperset(symbols(bound)), bound  # and not the most that a tile may have
    sizes = {b.sym: np.shape(values[b.param])[b.axis] for b in layout.plan(kernel).sizes}
    for dims in layout.plan(kernel).scratch:
        assert evaluate(size(product(dims)), sizes) * 8 < 1 << 20


def small(a: Any, b: Any, x: Any) -> Any:
    return (a @ b) @ x


def test_products_of_known_small_extents_are_loops() -> None:
    @adc.jit
    def fixed(x: Any) -> Any:
        a = np.array([[1.0, 2.0], [3.0, x[0]]])
        b = np.array([[x[1], 2.0], [3.0, 4.0]])
        return a @ b

    assert "run_product" not in fixed.kernel_source(np.ones(3))
    assert "run_product" in adc.jit(small).kernel_source(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 3)))



def test_overlap_is_asked_for_one_turn_of_the_loop_around() -> None:
    """For all layers at once rows of the states do overlap, and the loop over a row would run without vectors."""
    text = machine_text(lower(staged(lstm.loss, *lstm.example_inputs())[0].function), "llvm")
    assert "vector.body" in text and "stride.check" not in text
