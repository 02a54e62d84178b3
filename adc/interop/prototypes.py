"""The calling conventions in words of C, and in ctypes.

In: the name of a convention.  Out: its prototype; `ctypes_type` makes a ctypes function type of any prototype.  The
instructions that follow a convention are written by the function of the same name in `conventions`.

>>> ctypes_type("double f(int n, double *x, void *state)")._argtypes_[0].__name__
'c_int'
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

PROTOTYPES = {
    "density": "int64_t {name}(uint64_t dim, const double *x, double *grad, double *logp, void *state)",
    "expand": "int64_t {name}(uint64_t dim, uint64_t expanded, const double *x, double *out, void *state)",
    "integrand": "double {name}(int n, double *x, void *state)",
    "window_filter": "int {name}(double *buffer, intptr_t size, double *result, void *state)",
    "line_filter": "int {name}(double *input, intptr_t input_length, double *output, intptr_t output_length, void *state)",
    "coordinates": "int {name}(intptr_t *output, double *input, int output_rank, int input_rank, void *state)",
}
NOT_FINITE_GRADIENT, NOT_FINITE_VALUE, FIRST_CHECK = 3, 4, 16
"""Returned by `density`, as nutpie's own functions do (the sampler takes the step for a divergence); FIRST_CHECK + k
where check k of the user's program, counted from 0, failed."""


class Flat(NamedTuple):
    """Places in flat vectors, in elements; a total of None where one vector of any length comes with the call."""

    inputs: tuple[int, ...]
    input_total: int | None
    outputs: tuple[int, ...]
    """Of the kernel's results, in their order."""
    output_total: int | None


C_TYPES: dict[str, Any] = {
    "double": ctypes.c_double, "int": ctypes.c_int, "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64,
    "intptr_t": ctypes.c_ssize_t, "float": ctypes.c_float, "int32_t": ctypes.c_int32, "uint8_t": ctypes.c_uint8,
    "uint32_t": ctypes.c_uint32, "int8_t": ctypes.c_int8, "int16_t": ctypes.c_int16, "uint16_t": ctypes.c_uint16,
}  # fmt: skip


def ctypes_type(prototype: str) -> Any:
    """The ctypes function type of a C prototype."""

    def one(text: str) -> Any:
        word = text.replace("const", "").strip()
        if "*" not in word:
            return C_TYPES[word.split()[0]]
        base = word.split("*")[0].strip()
        return ctypes.c_void_p if base == "void" else ctypes.POINTER(C_TYPES[base])

    head, _, arguments = prototype.partition("(")
    return ctypes.CFUNCTYPE(one(head), *[one(x) for x in arguments.rstrip(")").split(",")])
