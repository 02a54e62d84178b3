"""How a flat vector of numbers is cut into the parameters and results of a kernel.

In: a `Native`, which arguments come with each call.  Out: `Flat` (see `prototypes`): offsets in elements.  Leaves lie
one after the other in the order of `optree`, each in C order; a single vector may come with any length.

>>> inputs(native, (0,), np.dtype("f8"), any_length=False)               # doctest: +SKIP
([0, 3], 4)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adc.interop.native import Native, refused


def inputs(native: Native, args: tuple[int, ...], dtype: np.dtype[Any], any_length: bool) -> tuple[tuple[int, ...], int | None]:
    """(offset of each given parameter, length of the vector or None for any)"""
    params = native.of_args(args)
    for arg, _, value in native.statics:
        if arg in args and value is not None:
            raise refused(f"argument {native.names[arg]} of {native.name} is static ({value!r})", "pass it in bound=, or fix it with functools.partial")
    if not params:
        raise refused(f"no argument of {native.name} changes from call to call", "give example arguments for what comes with each call")
    for k in params:
        buffer = native.kernel.params[k]
        if buffer.dtype != dtype:
            raise refused(f"{buffer.name} of {native.name} is {buffer.dtype}, and {dtype} comes with each call", f"pass an example of dtype {dtype}")
    only = params[0]
    if any_length and len(params) == 1 and len(native.kernel.params[only].dims) == 1 and any(b.param == only for b in native.plan.sizes):
        return (0,), None
    offsets, at = offsets_of([native.shape(native.kernel.params[k]) for k in params])
    return offsets, at


def outputs(native: Native, results: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """(offset of each of these results of the kernel, length of the vector); all must be float64."""
    for k in results:
        if native.kernel.outs[k].dtype != np.float64:
            raise refused(f"a result of {native.name} is {native.kernel.outs[k].dtype}, and float64 is what the caller takes", "convert the result to float64")
    return offsets_of([native.shape(native.kernel.outs[k]) for k in results])


def offsets_of(shapes: list[tuple[int, ...]]) -> tuple[tuple[int, ...], int]:
    found, at = [], 0
    for shape in shapes:
        found.append(at)
        at += math.prod(shape)
    return tuple(found), at


__all__ = ["inputs", "offsets_of", "outputs"]
