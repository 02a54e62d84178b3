"""What tiles are sized for: the caches of the machine that compiles.

In: nothing.  Out: `caches()`: bytes of L1 data and of L2, read from the system once; the usual ones where it does not say.
`ADC_CACHES=32768,1048576` fixes them (a library built for other machines should be).
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

USUAL = 32 * 1024, 512 * 1024


_any = contextvars.ContextVar("any machine", default=False)


@contextlib.contextmanager
def any_machine() -> Iterator[None]:
    """What is lowered inside is for machines that are not known: the usual caches, the same text everywhere."""
    token = _any.set(True)
    try:
        yield
    finally:
        _any.reset(token)


def caches() -> tuple[int, int]:
    """(L1 data, L2) in bytes."""
    if _any.get():
        return USUAL
    given = os.environ.get("ADC_CACHES")
    if given:
        first, second = (int(p) for p in given.split(","))
        return first, second
    return _read()


@lru_cache(maxsize=1)
def _read() -> tuple[int, int]:
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction" and size.endswith("K"):
                found[int(level)] = int(size[:-1]) * 1024
        except (OSError, ValueError):
            continue
    return found.get(1, USUAL[0]), found.get(2, USUAL[1])


__all__ = ["any_machine", "caches"]
