"""What a lowered program is: one flat function over caller-owned buffers.

In: nothing but data.  Out: `Kernel`, the contract between `lower` (who makes it), `emit.kernel_source`
(who prints it) and `backend.cpu` (who compiles, allocates and calls).

The compiled function is

    int64 name(params..., sizes..., capacities..., outs..., scratch..., report)

* `params`: rank 0 by value (bool as uint8), others a pointer to C-ordered, aligned data; never written;
* `sizes`: int64, one per `Kernel.sizes` symbol (those of the parameters' dims);
* `capacities`: int64, one per `Kernel.capacities` symbol: how many slices growable buffers hold;
* `outs`: one pointer per result, rank 0 a one-element buffer; all are distinct from params and each other;
* `scratch`: one pointer per scratch buffer; contents need not be kept between calls;
* `report`: int64*, `len(Kernel.run_time)` entries: the values of run-time sizes, written by the kernel.

It returns 0; or k > 0 when `checks[k - 1]` failed; or -k when `capacities[k - 1]` was too small (the caller
doubles that capacity, reallocates what depends on it, and calls again: nothing of the caller's was changed).

A dim of an out or scratch buffer may hold run-time symbols: it is allocated with `bounds[sym]` in the symbol's
place, and is filled C-ordered with the extents in `report`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adc.errors import Pos
from adc.ir import Dim, Guard, Sym
from adc.ops.routines_products import LETTERS, gemm


@dataclass(frozen=True)
class Buffer:
    """A parameter of the kernel: a scalar (`dims == ()`, params only by value) or a C-ordered block of memory."""

    name: str
    dtype: np.dtype[Any]
    dims: tuple[Dim, ...] = ()


@dataclass(frozen=True)
class Check:
    """A condition that failed in the user's program: raised as CheckError with this code of `adc.errors.MESSAGES`."""

    code: str
    message: str
    pos: Pos | None = None


@dataclass(frozen=True)
class Part:
    """A function `<name>(begin, end, worker, *args) -> int` of `Kernel.source` that runs chunks begin … end - 1.

    Other functions of the source call it as `run_<name>(count, *args)`: chunks 0 … count - 1, on all workers; it returns
    0 or what the first failing chunk returned.
    """

    name: str


@dataclass(frozen=True)
class Kernel:
    name: str
    params: tuple[Buffer, ...]
    sizes: tuple[Sym, ...]
    outs: tuple[Buffer, ...]
    scratch: tuple[Buffer, ...]
    source: str
    """Text of a module that defines the function for Numba: arguments in the order above, pointers indexed `x[k]`."""
    capacities: tuple[Sym, ...] = ()
    run_time: tuple[Sym, ...] = ()
    """Symbols whose values the kernel writes to `report`, in order."""
    bounds: dict[Sym, Dim] = field(default_factory=dict)
    """Run-time symbol -> a dim over `sizes` and `capacities` that it never exceeds."""
    checks: tuple[Check, ...] = ()
    guards: tuple[Guard, ...] = ()
    routines: tuple[Any, ...] = ()
    """Plain Python functions that the source calls by `fn.__name__`; compiled with it."""
    parts: tuple[Part, ...] = ()
    """Functions of the source whose calls are shared between workers."""
    story: tuple[str, ...] = ()
    """What was done to the loops, a sentence each; nothing of the machine code depends on it."""

    @property
    def multiplies(self) -> str:
        """The letters of the numbers of which it may multiply matrices by the routine of that name: of those that it keeps in arrays."""
        kept = {b.dtype for b in (*self.params, *self.outs, *self.scratch) if b.dims}
        return "".join(letter for dtype, letter in LETTERS.items() if dtype in kept) if gemm in self.routines else ""
