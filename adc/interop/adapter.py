"""The few machine instructions between somebody's calling convention and a kernel.

In: a `Native`, which of its parameters come with each call, and a convention (a writer of one C function).  Out: the
address of that function, compiled by LLVM once and kept on disk beside the kernels.

Every adapter calls one internal function (`writer.Adapter.core`):

    int64 core(int64 *state, given parameters…, their sizes…, results…)

which reads what is fixed from `state` (`native.Words`), refuses sizes that the kernel was not compiled for, finds
scratch memory (on the stack while it is small, else from malloc: calls on several threads share nothing) and grows
buffers until the kernel has room.  It returns 0, the number of a failed check of the user's program, or
SIZES, MEMORY, BROKEN.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from adc.backend import cache, cpu, layout
from adc.errors import StageError, fail
from adc.interop.native import Native

SIZES, MEMORY, BROKEN = -1, -2, -3
"""What an adapter returns for sizes that the program was not compiled for, no memory, and a defect of adc."""
_addresses: dict[str, int] = {}


def address(native: Native, given: frozenset[int], free: bool, convention: str, detail: Any) -> int:
    """The C function that follows `convention` (a function of `conventions`, told `detail`)."""
    key = adapter_key(native, given, free, convention, detail)
    if key not in _addresses:
        found = cpu.from_cache(key) or compiled(key, native, given, free, convention, detail)
        _addresses[key] = found[layout.KERNEL]
    return _addresses[key]


def adapter_key(native: Native, given: frozenset[int], free: bool, convention: str, detail: Any) -> str:
    h = hashlib.sha256()
    for part in (
        "adapter", cpu.environment(), _generator(), layout.describe(native.kernel, native.plan),
        f"{sorted(given)} {free} {convention} {detail!r}",
    ):  # fmt: skip
        h.update(part.encode() + b"\0")
    return h.hexdigest()


@lru_cache(maxsize=1)
def _generator() -> str:
    """The code that writes adapters is its own version."""
    here = Path(__file__).parent
    return " ".join(hashlib.sha256((here / f"{n}.py").read_bytes()).hexdigest() for n in ("adapter", "conventions", "native", "prototypes", "writer"))


def compiled(key: str, native: Native, given: frozenset[int], free: bool, convention: str, detail: Any) -> dict[str, int]:
    from adc.backend.compile import link
    from adc.interop import conventions
    from adc.interop.writer import Adapter, object_code

    made = Adapter(native, given, free)
    getattr(conventions, convention)(made, detail)
    data = object_code(made.module, layout.KERNEL)
    library = link(data)
    found = cpu.opened(cache.store(key, cache.LIBRARY, library)) if library is not None else None
    found = found or cpu.opened(cache.store(key, cache.OBJECT, data))
    if not found:
        raise fail(StageError, "internal", None, what=f"the adapter of {native.name} cannot be loaded")
    return found


__all__ = ["BROKEN", "MEMORY", "SIZES", "address"]
