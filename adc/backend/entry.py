"""What is called: the machine-code entry of a kernel, and the careful Python way behind it.

In: a `Kernel` and the addresses of its compiled functions.  Out: `make(...)`: a callable(*leaves) -> tuple of NumPy
arrays and scalars.  Where the interpreter is known it is a builtin function around `adc_entry` (see `glue`), which
calls `Careful` for everything unusual; elsewhere `Careful` itself.

`Careful` converts layouts, raises what the user must see, and grows buffers:

* an `equal` guard fails: `ShapeError` with the guard's message and place;
* a size is below what the program was compiled for: `SizeAssumption`; the api compiles for the exact sizes;
* the kernel reports a failed check: `CheckError`.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from adc.backend import layout, memory
from adc.errors import ShapeError, StageError, fail, failed_check
from adc.ir.dims import evaluate, product
from adc.lower.kernel import Buffer, Kernel

METH_FASTCALL = 0x80


class SizeAssumption(Exception):
    """The program was compiled for other sizes (usually: axes of at least 2): compile for the exact ones."""


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("meth", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_raw_free = ctypes.pythonapi.PyMem_RawFree
_raw_free.restype, _raw_free.argtypes = None, [ctypes.c_void_p]


class State(np.ndarray):
    """The words of one entry: `self` of the builtin, so it lives exactly as long, and so does what it holds."""

    careful: Careful
    method: Any
    owner: bool

    # as defaults: the last entries go when the interpreter ends, and modules before them
    def __del__(self, free: Any = _raw_free, at: int = layout.SCRATCH, size: int = layout.SCRATCH_BYTES, told: Any = layout.scratch_freed) -> None:
        if getattr(self, "owner", False) and self[at]:  # not a view of it
            free(int(self[at]))
            told(int(self[size]))


def make(kernel: Kernel, addresses: dict[str, int]) -> Any:
    careful = Careful(kernel, layout.plan(kernel), addresses[layout.KERNEL])
    entry = addresses.get(layout.ENTRY)
    if entry is None or not layout.has_fast_entries():
        return careful
    words = careful.words
    state = words.view(State)
    state.careful, state.owner = careful, True
    state.method = _MethodDef(kernel.name.encode(), entry, METH_FASTCALL, b"a program compiled by adc")
    words[layout.API] = layout.api_table(memory.scratch_limit())
    layout.keep_results(memory.handler)
    words[layout.FALLBACK] = id(careful)
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return new(ctypes.addressof(state.method), state, None)


def careful_of(run: Any) -> Careful | None:
    """The careful way behind what `make` returned; None for a callable that is none of them."""
    own = run if isinstance(run, Careful) else getattr(getattr(run, "__self__", None), "careful", None)
    return own if isinstance(own, Careful) else None


Place = Callable[[int, np.dtype[Any], tuple[int, ...]], "np.ndarray[Any, Any] | None"]
"""(number of a result, dtype, shape) -> where it goes; None: into fresh memory."""


class Careful:
    """Calls the kernel from Python."""

    def __init__(self, kernel: Kernel, plan: layout.Plan, address: int):
        self.kernel, self.plan = kernel, plan
        self.words = np.zeros(layout.CAPACITIES + len(kernel.capacities), np.uint64)
        self.words[layout.CAPACITIES :] = layout.FIRST_CAPACITY
        types = [_c_type(p.dtype) if not p.dims else ctypes.c_void_p for p in kernel.params]
        types += [ctypes.c_int64] * (len(kernel.sizes) + len(kernel.capacities))
        types += [ctypes.c_void_p] * (len(kernel.outs) + len(kernel.scratch) + 1)
        # CFUNCTYPE, unlike PYFUNCTYPE, releases the interpreter lock around the call
        self.call = ctypes.CFUNCTYPE(ctypes.c_int64, *types)(address)

    @cached_property
    def arithmetic(self) -> tuple[Any, Any, Any]:
        """Dims as compiled Python: (extents -> sizes or None, sizes and capacities -> memory, sizes -> true shapes)."""
        kernel, plan = self.kernel, self.plan
        names = {b.sym: f"s{k}" for k, b in enumerate(plan.sizes)}
        sizes = list(names.values())
        fits = [f"e[{k}][{axis}] >= 2" for k, axis in plan.grown]
        fits += [f"e[{k}][{axis}] == {layout.dim_text(dim, names)}" for k, axis, dim in plan.fixed]
        for g in plan.guards:
            sign = "==" if g.kind == "equal" else ">="
            fits.append(f"{layout.dim_text(g.left, names)} {sign} {layout.dim_text(g.right, names)}")
        names.update({s: f"c{k}" for k, s in enumerate(kernel.capacities)})
        names.update({s: f"r{k}" for k, s in enumerate(kernel.run_time)})

        def tuples(groups: Any) -> str:
            return "[" + ", ".join("(" + "".join(f"{layout.dim_text(d, names)}, " for d in g) + ")" for g in groups) + "]"

        memory = ", ".join(layout.dim_text(product(dims), names) for dims in plan.scratch)
        given = [names[s] for s in (*(b.sym for b in plan.sizes), *kernel.capacities)]
        text = [
            "def sizes(e):",
            *(f"    s{k} = e[{b.param}][{b.axis}]" for k, b in enumerate(plan.sizes)),
            f"    return [{', '.join(sizes)}] if {' and '.join(fits) or 'True'} else None",
            f"def memory({', '.join(given)}): return {tuples(plan.outs)}, [{memory}]",
            f"def shapes({', '.join(names.values())}): return {tuples(o.dims for o in kernel.outs)}",
        ]
        made: dict[str, Any] = {}
        exec("\n".join(text), made)
        return made["sizes"], made["memory"], made["shapes"]

    def __call__(self, *leaves: Any) -> tuple[Any, ...]:
        return self.into(leaves, lambda k, dtype, shape: None)

    def into(self, leaves: Sequence[Any], place: Place) -> tuple[Any, ...]:
        """The results, written where `place` says."""
        kernel = self.kernel
        if len(leaves) != len(kernel.params):
            raise TypeError(f"{kernel.name} takes {len(kernel.params)} leaves, got {len(leaves)}")
        learn, memory, shapes = self.arithmetic
        arrays = [convert(x, p) for x, p in zip(leaves, kernel.params, strict=True)]
        sizes = learn([a.shape for a in arrays])
        if sizes is None:
            raise self.misfit(arrays)
        given = [a.ctypes.data if p.dims else a.item() for a, p in zip(arrays, kernel.params, strict=True)]
        given += sizes[: len(kernel.sizes)]
        report = (ctypes.c_int64 * max(1, len(kernel.run_time)))()
        while True:
            capacities = self.words[layout.CAPACITIES :].tolist()
            extents, counts = memory(*sizes, *capacities)
            outs = [self.room(k, e, place) for k, e in enumerate(extents)]
            scratch = [aligned(n, s.dtype) for s, n in zip(kernel.scratch, counts, strict=True)]
            pointers = [x.ctypes.data for x in (*outs, *scratch)]
            code = self.call(*given, *capacities, *pointers, ctypes.addressof(report))
            if code >= 0:
                break
            self.grow(-code, capacities)
        if code:
            raise self.failed(code)
        true = shapes(*sizes, *capacities, *report[: len(kernel.run_time)])
        return tuple(cut(x, e) for x, e in zip(outs, true, strict=True))

    def room(self, k: int, extents: tuple[int, ...], place: Place) -> np.ndarray[Any, Any]:
        """Memory for the k-th result."""
        out = self.kernel.outs[k]
        # of a size that only the kernel knows there is room for the most that it may be
        given = place(k, out.dtype, extents) if extents and self.plan.outs[k] == out.dims else None
        return np.empty(extents or 1, out.dtype) if given is None else given

    def misfit(self, arrays: list[np.ndarray[Any, Any]]) -> Exception:
        """What to raise where the sizes do not fit: an assumption of the compiler first, then the user's mistake."""
        plan, params = self.plan, self.kernel.params
        sizes = {b.sym: arrays[b.param].shape[b.axis] for b in plan.sizes}
        for k, axis in plan.grown:
            if arrays[k].shape[axis] < 2:
                return SizeAssumption(f"argument {params[k].name} has size {arrays[k].shape[axis]} along axis {axis}")
        for k, axis, dim in plan.fixed:
            have = arrays[k].shape[axis]
            if isinstance(dim, int) and dim != have:
                return SizeAssumption(f"argument {params[k].name} has size {have} along axis {axis}, compiled for {dim}")
        for g in plan.guards:
            if g.kind == "least" and evaluate(g.left, sizes) < evaluate(g.right, sizes):
                return SizeAssumption(g.message or f"compiled for {g.left} >= {g.right}")
        for k, axis, dim in plan.fixed:
            if arrays[k].shape[axis] != evaluate(dim, sizes):
                want = tuple(evaluate(d, sizes) for d in params[k].dims)
                return self.mismatch(k, axis, f"argument {params[k].name} has shape {arrays[k].shape}, expected {want}")
        wrong = next(g for g in plan.guards if evaluate(g.left, sizes) != evaluate(g.right, sizes) and g.kind == "equal")
        return fail(ShapeError, "shape", wrong.pos, what=wrong.message)

    def mismatch(self, k: int, axis: int, here: str) -> Exception:
        """Sizes that a guard made one differ: in the words of that guard."""
        from adc.frontend import broken_guard  # the front end is loaded for a message only

        p = self.kernel.params[k]
        g = broken_guard(self.kernel.guards, {b.sym for b in self.plan.sizes}, p.name, axis, p.dims[axis])
        return fail(ShapeError, "shape", g.pos if g else None, what=f"{g.message}: {here}" if g else here)

    def grow(self, k: int, used: list[int]) -> None:
        """Double the k-th capacity, unless another thread has grown it meanwhile."""
        if k > len(used):
            raise fail(StageError, "internal", None, what=f"kernel {self.kernel.name} returned {-k}")
        word = layout.CAPACITIES + k - 1
        self.words[word] = max(int(self.words[word]), 2 * used[k - 1])

    def failed(self, code: int) -> Exception:
        if code > len(self.kernel.checks):
            return fail(StageError, "internal", None, what=f"kernel {self.kernel.name} returned {code}")
        check = self.kernel.checks[code - 1]
        # the message was made when the program was staged, whatever its code
        return failed_check(check.code, check.pos, check.message or check.code)


def convert(x: Any, p: Buffer) -> np.ndarray[Any, Any]:
    """The argument as the kernel wants it; only layout and Python numbers are converted, never a dtype."""
    a = np.asarray(x)
    if a.ndim != len(p.dims):
        raise fail(ShapeError, "shape", None, what=f"argument {p.name} has {a.ndim} axes, expected {len(p.dims)}")
    if a.dtype == p.dtype and a.flags.carray:
        return a
    if a.dtype.newbyteorder("=") != p.dtype:
        if not isinstance(x, bool | int | float) or (isinstance(x, bool) != (p.dtype.kind == "b")):
            raise TypeError(f"argument {p.name} has dtype {a.dtype}, compiled for {p.dtype}")
        if isinstance(x, np.generic) or (isinstance(x, float) and p.dtype.kind != "f"):
            raise TypeError(f"argument {p.name} is a {type(x).__name__}, compiled for {p.dtype}")
        return np.array(x, p.dtype)  # an int out of range raises OverflowError here
    return np.require(a, p.dtype, ["C", "A"])


def aligned(count: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Uninitialised memory at a multiple of 64 bytes."""
    n = max(0, count) * dtype.itemsize
    block = np.empty(n + layout.ALIGN, np.uint8)
    start = -block.ctypes.data % layout.ALIGN
    return block[start : start + n]


def cut(x: np.ndarray[Any, Any], shape: tuple[int, ...]) -> Any:
    """The result in its true shape: it was filled from the start of its memory."""
    if not shape:
        return x[0]
    if shape == x.shape:
        return x
    return x.reshape(-1)[: math.prod(shape)].reshape(shape).copy()


def _c_type(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return ctypes.c_uint8
    return np.ctypeslib.as_ctypes_type(dtype)
