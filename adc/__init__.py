"""adc: derivatives of NumPy-and-loops Python, as readable source and native code.

>>> import numpy as np, adc
>>> adc.grad(lambda x: np.sum(x ** 3))(np.array([1.0, 2.0]))
array([ 3., 12.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adc.errors import AdcError, CheckError, ShapeError, SourceError, StageError, UnsupportedError

if TYPE_CHECKING:
    from adc.api.functions import (
        checkpoint,
        custom_jvp,
        custom_vjp,
        grad,
        hessian,
        hvp,
        jacfwd,
        jacrev,
        jit,
        jvp,
        stop_gradient,
        value_and_grad,
        vjp,
        vmap,
    )

__version__ = "0.1.0"

__all__ = [
    "AdcError", "CheckError", "ShapeError", "SourceError", "StageError", "UnsupportedError", "checkpoint",
    "custom_jvp", "custom_vjp", "grad", "hessian", "hvp", "jacfwd", "jacrev", "jit", "jvp", "stop_gradient",
    "value_and_grad", "vjp", "vmap",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The transformations are imported when first used: `import adc` alone costs milliseconds."""
    if name in __all__:
        from adc.api import functions

        value = getattr(functions, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'adc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
