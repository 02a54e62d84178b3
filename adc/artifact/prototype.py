"""The C function of a built program: its arguments in a friendly order, its conditions, the words that describe them.

In: the record of a function (`make`).  Out: a `Prototype`:

    int name(inputs…, sizes…, capacities…, results…, [int64_t *extents,] void *scratch)
    size_t name_scratch_bytes(sizes…, capacities…)

A number is passed by value, an array as a pointer to C-ordered memory.  Each free size comes once, as int64_t.  What
the function read from outside its arguments is no argument: its value at build time lies in the library.

>>> Prototype(record).declaration                       # doctest: +SKIP
'int loss_vg(const double *w, …, int64_t d, int64_t n, double *value, double *w_grad, void *scratch)'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from adc.artifact.frames import dim_json, fresh, kernel_of
from adc.artifact.spec import C_WORDS
from adc.backend import layout
from adc.interop.c_abi import c_name
from adc.ir.dims import Dim, Sym, size, symbols

BAD_SCRATCH, BAD_PROCESSOR, INTERNAL = -1, -2, -3
CAPACITY = -16
"""CAPACITY - k: the k-th capacity, counted from 0, is too small."""
CODES = {
    "ADC_OK": (0, "success"),
    "ADC_ERROR_SCRATCH": (BAD_SCRATCH, "scratch is NULL, and the function needs some: see NAME_scratch_bytes"),
    "ADC_ERROR_PROCESSOR": (BAD_PROCESSOR, "this processor lacks instructions that the library was built for"),
    "ADC_ERROR_INTERNAL": (INTERNAL, "adc made a mistake here: please report it"),
    "ADC_ERROR_CAPACITY": (CAPACITY, "minus k: the k-th capacity (from 0) is too small: double it, allocate again, call again"),
}
"""Codes that every library has; positive ones are conditions of its own functions."""


@dataclass(frozen=True)
class Argument:
    """One argument of the C function."""

    name: str
    kind: str
    """"input", "size", "capacity", "result", "extents" or "scratch"."""
    type: str
    """As it is declared: `const double *`."""
    dtype: str
    shape: tuple[int | str, ...]
    role: str

    @property
    def declaration(self) -> str:
        return f"{self.type}{'' if self.type.endswith('*') else ' '}{self.name}"


@dataclass(frozen=True)
class Condition:
    """What the sizes must satisfy: `left` (`==` or `>=`) `right`."""

    kind: str
    left: Dim
    right: Dim
    message: str


class Prototype:
    """The C side of one record."""

    def __init__(self, record: Mapping[str, Any]):
        self.record = record
        self.symbol: str = record["symbol"]
        self.kernel = kernel_of(record["kernel"])
        self.plan = layout.plan(self.kernel)
        self.count = len(record["inputs"])
        """Parameters of the kernel that come with a call; those behind them are kept in the library."""
        self.shares = any(n.endswith("_runtime") for x in record["objects"].values() for n in x["names"])
        """Does it use threads or a library of matrix products?"""
        self.sizes = tuple(b for b in self.plan.sizes if b.param < self.count)
        self.fixed_sizes = {b.sym: int(record["captures"][b.param - self.count]["shape"][b.axis]) for b in self.plan.sizes if b.param >= self.count}

    @cached_property
    def names(self) -> dict[Sym, str]:
        """The name of every size, capacity and extent in C."""
        found: dict[Sym, str] = {}
        taken = self._taken()
        for sym, suffix in [
            *((b.sym, "") for b in self.sizes),
            *((s, "_capacity") for s in self.kernel.capacities),
            *((s, "") for s in self.kernel.run_time),
        ]:
            word = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in sym.hint) or "n"
            word = word.removesuffix("_most") if suffix else word
            found[sym] = fresh(word + suffix, taken)
            taken.add(found[sym])
        for sym, n in self.fixed_sizes.items():
            found[sym] = str(n)
        return found

    def _taken(self) -> set[str]:
        return {*C_WORDS, "scratch", "extents", *(name for name, _ in self.record["inputs"])}

    def text(self, dim: Dim) -> int | str:
        """A size in the names of the C function."""
        return dim_json(dim, _Named(self.names))

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        taken = {*C_WORDS, "scratch", "extents"}
        made: list[Argument] = []

        def add(name: str, kind: str, type: str, dtype: str, shape: tuple[Dim, ...], role: str) -> None:
            own = fresh(name, taken)
            taken.add(own)
            made.append(Argument(own, kind, type, dtype, tuple(self.text(d) for d in shape), role))

        for (name, role), p in zip(self.record["inputs"], self.kernel.params, strict=False):
            c = c_name(p.dtype)
            add(name, "input", f"const {c} *" if p.dims else c, p.dtype.str[1:], p.dims, role)
        for b in self.sizes:
            add(self.names[b.sym], "size", "int64_t", "i8", (), f"extent of {made[b.param].name} along axis {b.axis}")
        for s in self.kernel.capacities:
            uses = [x.name for x in (*self.kernel.outs, *self.kernel.scratch) if any(s in _all(d, self.kernel.bounds) for d in x.dims)]
            add(self.names[s], "capacity", "int64_t", "i8", (), f"room for so many slices of what a loop saves ({', '.join(uses) or 'nothing'})")
        for (name, role), o in zip(self.record["outputs"], self.kernel.outs, strict=True):
            add(name, "result", f"{c_name(o.dtype)} *", o.dtype.str[1:], o.dims, role)
        if self.kernel.run_time:
            what = ", ".join(self.names[s] for s in self.kernel.run_time)
            made.append(Argument("extents", "extents", "int64_t *", "i8", (len(self.kernel.run_time),), f"sizes found by the call: {what}"))
        made.append(Argument("scratch", "scratch", "void *", "", (), "working memory"))
        return tuple(made)

    def of_kind(self, *kinds: str) -> tuple[Argument, ...]:
        return tuple(a for a in self.arguments if a.kind in kinds)

    @property
    def declaration(self) -> str:
        return f"int {self.symbol}({', '.join(a.declaration for a in self.arguments)})"

    @property
    def scratch_declaration(self) -> str:
        inside = ", ".join(a.declaration for a in self.of_kind("size", "capacity"))
        return f"size_t {self.symbol}_scratch_bytes({inside or 'void'})"

    def room(self, k: int) -> tuple[int | str, ...]:
        """The shape that result k must have room for: extents found by the call are replaced by what they never exceed."""
        return tuple(self.text(d) for d in self.plan.outs[k])

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """What is checked before the kernel runs."""
        found: dict[tuple[str, Any, Any], Condition] = {}

        def add(kind: str, left: Dim, right: Dim, message: str) -> None:
            if not (isinstance(left, int) and isinstance(right, int)):
                found.setdefault((kind, left, right), Condition(kind, left, right, message))

        params = self.kernel.params
        for k, axis in self.plan.grown:
            if k < self.count:
                d = params[k].dims[axis]
                add(">=", d, 2, f"{self.symbol}: {self.text(d)} is below 2: build the function for that size too")
        for k, axis, d in self.plan.fixed:
            if k >= self.count:
                capture = self.record["captures"][k - self.count]
                have = int(capture["shape"][axis])
                add("==", d, have, f"{self.symbol}: {self.text(d)} must be {have}, as in {capture['name']}")
        for g in self.plan.guards:
            where = f" ({g.pos.file}:{g.pos.line})" if g.pos else ""
            add("==" if g.kind == "equal" else ">=", g.left, g.right, f"{self.symbol}: {g.message or f'{self.text(g.left)} and {self.text(g.right)} do not agree'}{where}")
        return tuple(found.values())

    @cached_property
    def messages(self) -> tuple[str, ...]:
        """What the positive codes of this function say: the program's own checks, then the sizes'."""
        checks = []
        for c in self.kernel.checks:
            where = f" ({c.pos.file}:{c.pos.line})" if c.pos else ""
            checks.append(f"{self.symbol}: {c.message or c.code}{where}")
        return (*checks, *(c.message for c in self.conditions))

    @cached_property
    def kept(self) -> tuple[np.ndarray[Any, Any], ...]:
        """The values of the parameters that are kept in the library."""
        return tuple(capture_value(c) for c in self.record["captures"])


class _Named(dict[Sym, str]):
    """A size without a C name is called by its hint (a run-time extent inside a bound)."""

    def __missing__(self, sym: Sym) -> str:
        return sym.hint


def _all(dim: Dim, bounds: Mapping[Sym, Dim]) -> set[Sym]:
    """The symbols of a size and of what bounds it."""
    found: set[Sym] = set()
    todo = list(symbols(size(dim)))
    while todo:
        s = todo.pop()
        if s not in found:
            found.add(s)
            if s in bounds:
                todo.extend(symbols(size(bounds[s])))
    return found


def exports(library: str, prototypes: Sequence[Prototype]) -> list[str]:
    """The names that a library shows."""
    own = [f"{library}_{name}" for name in ("strerror", "level", "set_level", "level_name", "programs")]
    if any(p.shares for p in prototypes):
        own += [f"{library}_set_num_threads", f"{library}_set_runtime"]
    return [name for p in prototypes for name in (p.symbol, f"{p.symbol}_scratch_bytes")] + own


def first_codes(prototypes: Sequence[Prototype]) -> list[int]:
    """The code of the first condition of each function: a library's codes are its own."""
    found, at = [], 1
    for p in prototypes:
        found.append(at)
        at += len(p.messages)
    return found


def capture_json(name: str, value: Any) -> dict[str, Any]:
    """A value that a function read from outside, for the record."""
    a = np.ascontiguousarray(value)
    return {"name": name, "dtype": a.dtype.str, "shape": list(np.shape(value)), "data": a.tobytes().hex()}


def capture_value(data: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(bytes.fromhex(data["data"]), np.dtype(data["dtype"])).reshape(data["shape"])


__all__ = ["CODES", "Argument", "Condition", "Prototype", "capture_json", "capture_value", "exports", "first_codes"]
