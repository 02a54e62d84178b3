"""The loops of a kernel as text.

In: a `Kernel`.  Out: the module text that Numba compiles, the same for the same program.

>>> print(kernel_source(lower(fn)))          # doctest: +SKIP
"""

from __future__ import annotations

from adc.lower.kernel import Kernel


def kernel_source(kernel: Kernel) -> str:
    """The source of the kernel's function; the printing itself stands in `adc.lower.text`."""
    return kernel.source
