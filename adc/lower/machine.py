"""What tiles are sized for: the caches of the machine that compiles.

In: nothing.  Out: `caches()`: bytes of L1 data and of L2, read from the system once; the usual ones where it does not say.
`ADC_CACHES=32768,1048576` fixes them (a library built for other machines should be).
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

USUAL = 32 * 1024, 512 * 1024


def caches() -> tuple[int, int]:
    """(L1 data, L2) in bytes."""
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


__all__ = ["caches"]
