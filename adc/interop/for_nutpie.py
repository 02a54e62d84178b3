"""A `LogDensity` as a model of nutpie: two addresses, names and shapes.

In: a `LogDensity`, its `Expansion`, a function from a seed to a point to start from.  Out: what `nutpie.sample` takes.
The only module that imports nutpie.

    nutpie.sample(density.nutpie(), chains=4)
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from adc.errors import UnsupportedError, fail

try:
    from nutpie import _lib
    from nutpie.sample import CompiledModel
except ImportError as e:
    raise fail(UnsupportedError, "type", None, what=f"nutpie cannot be imported ({e})", instead="pip install nutpie") from None

if TYPE_CHECKING:
    from adc.interop.density import Expansion, LogDensity

UNCONSTRAINED = "unconstrained_parameter"
"""nutpie's name for the axis of the flat vector."""


@dataclasses.dataclass(frozen=True)
class Model(CompiledModel):  # type: ignore[misc]
    """A compiled model as nutpie understands it; holds what its addresses need."""

    density: LogDensity
    expansion: Expansion
    start: Callable[[int], np.ndarray[Any, Any]]
    _coords: dict[str, Any]

    @property
    def n_dim(self) -> int:
        return self.density.dim

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return dict(zip(self.expansion.names, self.expansion.shapes, strict=True))

    @property
    def coords(self) -> dict[str, Any]:
        return self._coords

    def _make_model(self, init_mean: Any) -> Any:
        density, expansion = self.density, self.expansion
        logp = _lib.LogpFunc(density.address, density.state, density)
        expand = _lib.ExpandFunc(density.dim, expansion.size, expansion.address, expansion.bound.address, expansion)
        sizes = {name: len(values) for name, values in self._coords.items()}
        shapes = [list(s) for s in expansion.shapes]
        variables = _lib.PyVariable.new_variables(expansion.names, ["float64"] * len(shapes), shapes, sizes, self.dims or {})
        return _lib.PyMcModel(logp, expand, variables, density.dim, sizes, self._coords, self.start, None)

    def _make_sampler(self, settings: Any, init_mean: Any, cores: int, progress_type: Any, store: Any) -> Any:
        return _lib.PySampler.from_pymc(settings, cores, self._make_model(init_mean), progress_type, store)


def model(density: LogDensity, expansion: Expansion, start: Callable[[int], Any], coords: dict[str, Any] | None, dims: dict[str, tuple[str, ...]] | None) -> Model:
    import pandas as pd

    named = {name: pd.Index(values) for name, values in (coords or {}).items()}
    for name, axes in (dims or {}).items():
        if name not in expansion.names:
            raise fail(UnsupportedError, "type", None, what=f"dims names {name!r}", instead=f"use one of {', '.join(expansion.names)}")
        missing = [a for a in axes if a not in named]
        if missing:
            raise fail(UnsupportedError, "type", None, what=f"dims of {name} name {missing[0]!r}, which coords do not", instead=f"give coords={{{missing[0]!r}: …}}")
    named[UNCONSTRAINED] = pd.Index(_places(density))
    return Model(dims={k: tuple(v) for k, v in (dims or {}).items()}, density=density, expansion=expansion, start=start, _coords=named)


def _places(density: LogDensity) -> list[str]:
    """A name for every number of the flat vector."""
    found = []
    for name, shape in zip(density.names, density.vector.shapes, strict=True):
        found += [name + "".join(f"_{i}" for i in index) for index in itertools.product(*map(range, shape))]
    return found


__all__ = ["Model", "model"]
