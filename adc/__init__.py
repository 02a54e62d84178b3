"""adc: derivatives of NumPy-and-loops Python, as readable source and native code.

>>> import numpy as np, adc
>>> adc.grad(lambda x: np.sum(x ** 3))(np.array([1.0, 2.0]))
array([ 3., 12.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adc.errors import (
    AdcError,
    ArtifactError,
    BoundsError,
    BuildError,
    CheckError,
    ShapeError,
    SourceError,
    StageError,
    TapeError,
    UnsupportedError,
)

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
    from adc.api.jacobian import jacobian, sparse_hessian
    from adc.artifact.load import load
    from adc.backend.runtime import get_num_threads, set_flush_denormals, set_num_threads
    from adc.interop.c_abi import c_function
    from adc.interop.density import log_density
    from adc.interop.for_scipy import scipy_callable, scipy_objective, scipy_residuals
    from adc.interop.inside_numba import numba_callable

__version__ = "0.1.0"

__all__ = [
    "AdcError", "ArtifactError", "BoundsError", "BuildError", "CheckError", "ShapeError", "SourceError", "StageError", "TapeError", "UnsupportedError", "c_function",
    "checkpoint", "custom_jvp", "custom_vjp", "get_num_threads", "grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jit", "jvp", "load",
    "log_density", "numba_callable", "scipy_callable", "scipy_objective", "scipy_residuals", "set_flush_denormals", "set_num_threads", "sparse_hessian",
    "stop_gradient", "value_and_grad", "vjp", "vmap",
]  # fmt: skip

_HOMES = {
    "c_function": "adc.interop.c_abi",
    "get_num_threads": "adc.backend.runtime",
    "jacobian": "adc.api.jacobian",
    "load": "adc.artifact.load",
    "log_density": "adc.interop.density",
    "numba_callable": "adc.interop.inside_numba",
    "scipy_callable": "adc.interop.for_scipy",
    "scipy_objective": "adc.interop.for_scipy",
    "scipy_residuals": "adc.interop.for_scipy",
    "set_flush_denormals": "adc.backend.runtime",
    "set_num_threads": "adc.backend.runtime",
    "sparse_hessian": "adc.api.jacobian",
}
"""Where a public name is defined; those not here are transformations, in `adc.api.functions`."""


def __getattr__(name: str) -> Any:
    """Everything is imported when first used: `import adc` alone costs milliseconds."""
    if name in __all__:
        import importlib

        value = getattr(importlib.import_module(_HOMES.get(name, "adc.api.functions")), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'adc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
