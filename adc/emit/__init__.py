"""Programs as text: `numpy_source` for people, `kernel_source` for the compiler.  No decisions, only printing."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__all__ = ["kernel_source", "numpy_source"]


class _Package(ModuleType):
    """Each printer is a function in a room of the same name, loaded when first asked for: a call from the cache
    needs neither.  The import system binds the room itself as an attribute; the function is what callers mean."""

    def __getattribute__(self, name: str) -> Any:
        if name == "numpy_source":
            from adc.emit.numpy_source import numpy_source

            return numpy_source
        if name == "kernel_source":
            from adc.emit.kernel_source import kernel_source

            return kernel_source
        return super().__getattribute__(name)


sys.modules[__name__].__class__ = _Package
