"""Is a derivative right?  Gradients against central differences of the user's own Python.

In: a function that returns one float scalar, and arguments.  Out: a report that is true when everything agrees, and
prints a table.  It is what `adc check` shows.

>>> import numpy as np
>>> bool(check_grad(lambda x: np.sum(np.sin(x) * x), np.linspace(0.0, 1.0, 5), target="numpy"))
True
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from adc.api import trees
from adc.errors import UnsupportedError, fail

STEP = {"f8": 1e-4, "f4": 1e-2}
RTOL = {"f8": 1e-6, "f4": 2e-2}
LIMIT = 200
"""Elements of one array that are compared; of a larger one, a random choice."""


@dataclass(frozen=True)
class Row:
    """One differentiated leaf: how far its gradient is from differences, relative to the largest entry."""

    name: str
    type: str
    checked: int
    size: int
    largest: float
    error: float
    tolerance: float
    worst: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Report:
    """What `check_grad` found; true when the value and every gradient agree."""

    name: str
    target: str
    value: float
    expected: float
    value_ok: bool
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        return self.value_ok and all(r.ok for r in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"{self.name} ({self.target}): value {self.value!r}" + ("" if self.value_ok else f", but Python computes {self.expected!r}")]
        for r in self.rows:
            where = f", worst at {list(r.worst)}" if r.worst and not r.ok else ""
            lines.append(f"  {'ok  ' if r.ok else 'FAIL'} {r.name}: {r.type}, {r.checked} of {r.size} compared, relative error {r.error:.1e} (allowed {r.tolerance:.0e}){where}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        rows = [{**{k: getattr(r, k) for k in ("name", "type", "checked", "size", "largest", "error", "tolerance")}, "worst": list(r.worst), "ok": r.ok} for r in self.rows]
        return {"name": self.name, "target": self.target, "value": self.value, "expected": self.expected, "ok": self.ok, "gradients": rows}


def check_grad(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | tuple[int, ...] | None = None,
    has_aux: bool = False,
    target: str | None = None,
    rtol: float | None = None,
    step: float | None = None,
    limit: int = LIMIT,
    seed: int = 0,
) -> Report:
    """`adc.value_and_grad(f)` at `args` against the value and five-point central differences of `f` run by Python.

    Args:
        argnums: which arguments to check; by default every one of which all leaves are floats.
        target: "cpu" or "numpy".
        rtol: allowed error, relative to the largest gradient entry of the leaf and at least to the value's rounding;
            1e-6 for float64.
        step: the step of the differences, relative to the size of the entry; 1e-4 for float64.
        limit: at most so many elements of each array are compared, chosen at random.

    Next to a kink (an `abs`, a branch) differences are wrong, not the gradient: check at another point.
    """
    from adc.api.functions import value_and_grad

    f = plain(f)
    nums = floats(args) if argnums is None else (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not nums:
        raise fail(UnsupportedError, "type", None, what="there is no float argument to differentiate", instead="pass floats or arrays of floats")
    transformed = value_and_grad(f, argnums=nums, has_aux=has_aux, target=target)
    value, grads = transformed(*copies(args))
    value = value[0] if has_aux else value
    expected = run(f, args, has_aux)
    close = 1e-10 if np.asarray(expected).dtype != np.dtype("f4") else 1e-4
    value_ok = bool(np.isclose(float(value), float(expected), rtol=close, atol=close * 1e-2, equal_nan=True))
    rng = np.random.default_rng(seed)
    rows = tuple(r for n, g in zip(nums, grads, strict=True) for r in _rows(f, args, n, g, float(expected), has_aux, rtol, step, limit, rng))
    return Report(getattr(f, "__name__", str(f)), transformed.target, float(value), float(expected), value_ok, rows)


check_grads = check_grad


def plain(f: Callable[..., Any]) -> Callable[..., Any]:
    """The user's function under transformations."""
    return plain(f.fun) if hasattr(f, "fun") and getattr(f, "kind", "") in ("grad", "jit") else f


def floats(args: tuple[Any, ...]) -> tuple[int, ...]:
    """The arguments of which every leaf is a float or an array of floats."""
    found = []
    for k, a in enumerate(args):
        leaves = trees.flatten(a)[0]
        if leaves and all(isinstance(x, float) or getattr(x, "dtype", np.dtype("i8")).kind == "f" for x in leaves):
            found.append(k)
    return tuple(found)


def copies(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments that a function may change."""
    return tuple(trees.tree_map(lambda x: x.copy() if isinstance(x, np.ndarray) else x, a) for a in args)


def run(f: Callable[..., Any], args: tuple[Any, ...], has_aux: bool) -> Any:
    out = f(*copies(args))
    return out[0] if has_aux else out


def _names(args: tuple[Any, ...], f: Callable[..., Any]) -> list[str]:
    code = getattr(f, "__code__", None)
    return trees.paths(args, code.co_varnames[: code.co_argcount] if code else ())


def _rows(
    f: Callable[..., Any], args: tuple[Any, ...], n: int, grad: Any, value: float, has_aux: bool,
    rtol: float | None, step: float | None, limit: int, rng: np.random.Generator,
) -> Iterator[Row]:  # fmt: skip
    leaves, treedef = trees.flatten(args)
    before = len(trees.flatten(args[:n])[0])
    names = _names(args, f)
    for k, g in enumerate(trees.flatten(grad)[0]):
        x = np.asarray(leaves[before + k])
        name = names[before + k]
        code = f"{x.dtype.kind}{x.dtype.itemsize}"
        if np.shape(g) != x.shape:
            yield Row(name, f"{code}{list(x.shape)}", 0, x.size, 0.0, math.inf, 0.0)
            continue
        places = list(np.ndindex(*x.shape))
        if len(places) > limit:
            places = [places[i] for i in sorted(rng.choice(len(places), limit, replace=False))]

        def at(place: tuple[int, ...], shift: float, x: Any = x, k: int = k) -> float:
            y = x.copy()
            y[place] += shift
            fresh = list(leaves)
            fresh[before + k] = y if isinstance(leaves[before + k], np.ndarray) else x.dtype.type(y) if isinstance(leaves[before + k], np.generic) else float(y)
            return float(run(f, treedef.unflatten(fresh), has_aux))

        def apart(place: tuple[int, ...], got: float, h: float) -> tuple[float, float]:
            """(distance of the gradient from the differences of step h, the differences)"""
            want = (8.0 * (at(place, h) - at(place, -h)) - (at(place, 2 * h) - at(place, -2 * h))) / (12.0 * h)
            if got == want or (math.isnan(got) and math.isnan(want)):
                return 0.0, want
            return abs(got - want) if math.isfinite(got - want) else math.inf, want

        errors, largest, scale = [0.0], 0.0, 0.0
        allowed = rtol if rtol is not None else RTOL[code]
        for place in places:
            h = (step or STEP[code]) * max(1.0, abs(float(x[place])))
            got = float(np.asarray(g)[place])
            error, want = apart(place, got, h)
            if error > 0.1 * allowed * max(abs(want), 1e-3) and step is None:
                # a function that bends within the step: a smaller one sees more
                error, want = min((error, want), apart(place, got, h / 30.0))
            errors.append(error)
            largest = max(largest, abs(want)) if math.isfinite(want) else largest
            # what the differences themselves cannot see: rounding of the value, divided by the step
            scale = max(scale, abs(value) * float(np.finfo(x.dtype).eps) / h)
        unit = max(largest, 10.0 * scale / allowed, 1e-12)
        worst = int(np.argmax(errors))
        yield Row(name, f"{code}{list(x.shape)}" if x.ndim else code, len(places), x.size, largest, errors[worst] / unit, allowed, places[worst - 1] if worst else ())


__all__ = ["Report", "Row", "check_grad", "check_grads"]
