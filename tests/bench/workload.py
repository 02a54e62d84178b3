"""What a workload is: inputs, the objective for adc, and the peers that compute the same thing.

In: a module of `tests/bench/workloads`.  Out: its `WORKLOAD`.

A peer is a plain function `make(*inputs) -> call`: everything that may be prepared once (compiled functions, arrays on a
device, layouts) is prepared in `make`; `call()` is what is timed.  Results are trees of arrays in one agreed order: they are
flattened and compared leaf by leaf with adc's.  Peers import their tools inside `make`, so that each process holds one tool.

>>> from tests.bench.workload import names
>>> "gmm" in names()
True
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Make = Callable[..., Callable[[], Any]]


@dataclass(frozen=True)
class Workload:
    """One row group of the table."""

    title: str
    cases: dict[str, dict[str, Any]]
    """Arguments of `inputs`, by case."""
    inputs: Callable[..., tuple[Any, ...]]
    adc: dict[str, Make]
    """Spellings for adc; the first is the reference that peers are compared with."""
    peers: dict[str, Make]
    primal: dict[str, Make]
    """The same objectives without derivative, compiled by adc, for the ratio gradient/primal; keyed as `adc`."""
    columns: dict[str, int] = field(default_factory=dict)
    """Columns of a case's Jacobian, each of them a derivative of the whole program: the ratio is that of one."""
    small: dict[str, Any] = field(default_factory=dict)
    """Changes of a case's arguments that make it small: used to compile before memory is measured."""
    tolerance: float = 1e-10
    """Largest difference allowed in float64, relative to each leaf's largest element."""
    single: float = 2e-5
    """The same in float32."""
    threads: dict[str, int] = field(default_factory=dict)
    """Cases whose bar asks for a number of threads."""
    slow: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Peers that need minutes or gigabytes for a case and are left out of it."""
    flushes: bool = False
    """Every peer makes denormals zero, as JAX always does: they appear in masses, and only JAX would be quick."""

    def make(self, peer: str) -> Make:
        for group in (self.adc, self.peers):
            if peer in group:
                return group[peer]
        raise KeyError(peer)

    def names(self, case: str) -> list[str]:
        """adc's spellings, then the peers."""
        return [*self.adc, *(p for p in self.peers if p not in self.slow.get(case, ()))]


def names() -> list[str]:
    """Every workload, sorted."""
    from tests.bench import workloads

    return sorted(m.name for m in pkgutil.iter_modules(workloads.__path__))


def load(name: str) -> Workload:
    return importlib.import_module(f"tests.bench.workloads.{name}").WORKLOAD  # type: ignore[no-any-return]


def timed(fun: Callable[..., Any]) -> Make:
    """The plainest `make`: nothing to prepare."""
    return lambda *args: lambda: fun(*args)


def leaves(tree: Any) -> list[np.ndarray[Any, Any]]:
    """Arrays of a result in order: dictionaries by key, sparse matrices as dense blocks of numbers."""
    if isinstance(tree, dict):
        return [x for k in sorted(tree) for x in leaves(tree[k])]
    if isinstance(tree, (tuple, list)):
        return [x for t in tree for x in leaves(t)]
    if hasattr(tree, "detach"):
        return [tree.detach().numpy()]
    return [np.asarray(tree)]


def worst(mine: list[np.ndarray[Any, Any]], theirs: list[np.ndarray[Any, Any]]) -> dict[str, float]:
    """The largest difference relative to its leaf's largest element, by the dtype of adc's leaf; infinite where shapes differ or a number is not finite."""
    if len(mine) != len(theirs):
        return {"float64": np.inf}
    found: dict[str, float] = {}
    for a, b in zip(mine, theirs, strict=True):
        kind = a.dtype.name
        if a.shape != b.shape or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
            return {kind: np.inf}  # no workload has results that are not finite: comparing NaN with NaN would prove nothing
        scale = float(np.max(np.abs(a), initial=0.0)) or 1.0
        difference = float(np.max(np.abs(a.astype(np.float64) - b), initial=0.0)) / scale
        found[kind] = max(found.get(kind, 0.0), difference)
    return found


def in_jax(make: Callable[[], Callable[..., Any]], static: tuple[int, ...] = (), x64: bool = True) -> Make:
    """A peer of jitted JAX: arrays are put on the device before, results are waited for."""

    def prepared(*args: Any) -> Callable[[], Any]:
        import jax

        jax.config.update("jax_enable_x64", x64)
        fun = jax.jit(make(), static_argnums=static)
        own = [a if k in static else jax.tree.map(jax.numpy.asarray, a) for k, a in enumerate(args)]
        return lambda: jax.block_until_ready(fun(*own))

    return prepared


def tensors(tree: Any, grad: bool = False) -> Any:
    """Torch tensors of a tree's arrays, which share their memory."""
    import torch

    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree).requires_grad_(grad)
    if isinstance(tree, (list, tuple)):
        return type(tree)(tensors(t, grad) for t in tree)
    return tree


def in_torch(make: Callable[[], Callable[..., Any]], wrt: tuple[int, ...]) -> Make:
    """A peer of eager PyTorch: `make()` is the objective; the result is (value, gradients in the order of `wrt`)."""

    def prepared(*args: Any) -> Callable[[], Any]:
        import torch

        fun = make()
        own = [tensors(a, k in wrt) for k, a in enumerate(args)]
        leaves_of = [leaf for k in wrt for leaf in _flat(own[k])]

        def call() -> Any:
            value = fun(*own)
            return value, torch.autograd.grad(value, leaves_of)

        return call

    return prepared


def _flat(tree: Any) -> list[Any]:
    return [x for t in tree for x in _flat(t)] if isinstance(tree, (list, tuple)) else [tree]
