"""Programs as text: `numpy_source` for people, `kernel_source` for the compiler.  No decisions, only printing."""

from __future__ import annotations

from typing import Any

__all__ = ["kernel_source", "numpy_source"]


def __getattr__(name: str) -> Any:
    # each printer is loaded when it is first asked for: a call from the cache needs neither
    if name == "numpy_source":
        from adc.emit.numpy_source import numpy_source

        return numpy_source
    if name == "kernel_source":
        from adc.emit.kernel_source import kernel_source

        return kernel_source
    raise AttributeError(name)
