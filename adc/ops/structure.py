"""The primitives that all others are called with: broadcasting, dtypes, sizes, checks, and the user's print.

In: values whose dims and dtypes fit exactly.  Out: the same elements in other dims or another dtype; sizes as numbers, numbers as sizes.

    broadcast(x, dims=(n, 3), axes=(1,));   convert_to(k, np.float64);   size_value(n)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import ShapeError, fail
from adc.ir import Atom, Dim, Lit, Params, Pointwise, Primitive, Sample, Special, Tensor, View, here, literal
from adc.ops.registry import PRIMITIVES, register

# ---------------------------------------------------------------- dims

def show(dims: tuple[Dim, ...]) -> str:
    """Dims as NumPy writes them: (n, 3), (n,)."""
    return "(" + ", ".join(map(str, dims)) + ("," if len(dims) == 1 else "") + ")"


def expand(x: Atom, axes: tuple[int, ...]) -> Atom:
    """Axes of extent 1 put at positions `axes` of the result."""
    rank = x.type.rank + len(axes)
    rest = [k for k in range(rank) if k not in axes]
    dims: list[Dim] = [1] * rank
    for k, d in zip(rest, x.type.dims, strict=True):
        dims[k] = d
    return broadcast(x, dims=tuple(dims), axes=tuple(rest)) if axes else x


def _pick(axes: tuple[int, ...], coords: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(coords[a] for a in axes)


def _broadcast_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    (x,) = types
    if x.dims != tuple(p["dims"][a] for a in p["axes"]):
        raise fail(ShapeError, "shape", here(), what=f"cannot broadcast {x} to {show(p['dims'])}")
    return (x.with_dims(p["dims"]),)


def _broadcast_numpy(args: list[str], types: tuple[Tensor, ...], p: Params, dim: Callable[[Dim], str]) -> str:
    shape = "(" + ", ".join(map(dim, p["dims"])) + ("," if len(p["dims"]) == 1 else "") + ")"
    rank = len(p["dims"])
    text = args[0]
    if p["axes"] != tuple(range(rank - len(p["axes"]), rank)):
        keep = [":" if k in p["axes"] else "None" for k in range(rank)]
        text += "[" + ", ".join(keep) + "]"
        if all(p["dims"][k] == 1 for k in range(rank) if k not in p["axes"]):
            return text
    elif all(d == 1 for d in p["dims"][: rank - len(p["axes"])]):
        return text + "[" + ", ".join(["None"] * (rank - len(p["axes"])) + [":"] * len(p["axes"])) + "]" if rank > len(p["axes"]) and p["axes"] else f"np.full({shape}, {text})"
    return f"np.broadcast_to({text}, {shape})"


def _n(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)


broadcast: Primitive = register(
    Primitive(
        "broadcast",
        type=_broadcast_type,
        numpy=_broadcast_numpy,
        loops=View(lambda coords, types, p, sizes, scalars: _pick(p["axes"], coords)),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else broadcast(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (
            PRIMITIVES["sum"](bars[0], axes=tuple(k for k in range(len(p["dims"])) if k not in p["axes"])),
        ),
        samples=lambda: (
            Sample((_n(3),), {"dims": (4, 3), "axes": (1,)}),
            Sample((_n(3),), {"dims": (3, 2), "axes": (0,)}),
            Sample((_n(),), {"dims": (2,), "axes": ()}),
            Sample((_n(2, 3),), {"dims": (2, 1, 3), "axes": (0, 2)}),
        ),
        reference=lambda x, dims, axes: np.broadcast_to(
            np.reshape(x, [dims[k] if k in axes else 1 for k in range(len(dims))]), dims
        ),
        cheap=True,
    )
)


squeeze: Primitive = register(
    Primitive(
        "squeeze",
        type=lambda types, p: (types[0].with_dims(tuple(d for k, d in enumerate(types[0].dims) if k not in p["axes"])),),
        numpy=lambda args, types, p, dim: args[0] + "[" + ", ".join("0" if k in p["axes"] else ":" for k in range(max(p["axes"]) + 1)) + "]",
        loops=View(lambda coords, types, p, sizes, scalars: _unsqueeze(coords, p["axes"], types[0].rank)),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else squeeze(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (expand(bars[0], p["axes"]),),
        samples=lambda: (Sample((_n(1, 3),), {"axes": (0,)}), Sample((_n(2, 1, 1),), {"axes": (1, 2)})),
        reference=lambda x, axes: np.squeeze(x, axes),
        cheap=True,
    )
)


def _unsqueeze(coords: tuple[str, ...], axes: tuple[int, ...], rank: int) -> tuple[str, ...]:
    rest = iter(coords)
    return tuple("0" if k in axes else next(rest) for k in range(rank))


# a view of a value with sizes that a guard has proved equal; gone when the front end has renamed sizes
same_size: Primitive = register(
    Primitive(
        "same_size",
        type=lambda types, p: (types[0].with_dims(p["dims"]),),
        numpy="{0}",
        loops=View(lambda coords, types, p, sizes, scalars: coords),
        jvp=lambda args, outs, dots, p: (None if dots[0] is None else same_size(dots[0], **p),),
        vjp=lambda args, outs, bars, p: (same_size(bars[0], dims=args[0].type.dims),),
        samples=lambda: (Sample((_n(3),), {"dims": (3,)}),),
        reference=lambda x, dims: x,
        cheap=True,
    )
)


# ---------------------------------------------------------------- dtypes

def convert_to(x: Atom, dtype: Any) -> Atom:
    """`x` with the dtype; literals are converted while compiling."""
    dt = np.dtype(dtype)
    if x.type.dtype == dt:
        if isinstance(x, Lit) and x.type.weak:
            return literal(x.value, dt)
        return x
    if isinstance(x, Lit):
        return literal(x.value, dt)
    return convert(x, dtype=dt)


def _convert_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    return (convert_to(bars[0], args[0].type.dtype) if args[0].type.is_float and p["dtype"].kind == "f" else None,)


convert: Primitive = register(
    Primitive(
        "convert",
        type=lambda types, p: (Tensor(p["dtype"], types[0].dims, p.get("weak", False)),),
        numpy=lambda args, types, p, dim: f"{args[0]}.astype(np.{p['dtype'].name})" if types[0].rank else f"np.{p['dtype'].name}({args[0]})",
        loops=Pointwise(lambda args, types, p: f"{{cast:{p['dtype'].name}}}({args[0]})"),
        jvp=lambda args, outs, dots, p: (
            None if dots[0] is None or p["dtype"].kind != "f" else convert_to(dots[0], p["dtype"]),
        ),
        vjp=_convert_vjp,
        samples=lambda: (
            Sample((np.arange(3),), {"dtype": np.dtype("f8")}, differentiable=False),
            Sample((_n(3),), {"dtype": np.dtype("i8")}, differentiable=False),
            Sample((_n(3),), {"dtype": np.dtype("f4")}, differentiable=False),
            Sample((_n(2, 2),), {"dtype": np.dtype("?")}, differentiable=False),
        ),
        reference=lambda x, dtype, weak=False: np.asarray(x).astype(dtype)[()],
        cheap=True,
    )
)

# ---------------------------------------------------------------- sizes, checks, print

# the number that a size stands for
size_op: Primitive = register(
    Primitive(
        "size",
        type=lambda types, p: (Tensor(np.dtype("i8")),),
        numpy=lambda args, types, p, dim: dim(p["dim"]),
        loops=Special("size"),
        jvp=None,
        vjp=None,
        samples=lambda: (Sample((), {"dim": 3}, differentiable=False),),
        reference=lambda dim: np.int64(dim),
        cheap=True,
    )
)

# `defines` the symbol `sym` as the run-time integer; at most `upper`, and mostly `about` where that is given
bind_size: Primitive = register(
    Primitive(
        "bind_size",
        type=lambda types, p: (),
        numpy="{0}",
        loops=Special("bind_size"),
        jvp=None,
        vjp=None,
        samples=lambda: (),
        defines=("sym",),
        effect=True,
    )
)

# a run-time condition of the user's program: when false, `code`'s message is raised to the caller
check: Primitive = register(
    Primitive(
        "check",
        type=lambda types, p: (),
        numpy=lambda args, types, p, dim: f"assert {args[0]}, {p['message']!r}",
        loops=Special("check"),
        jvp=None,
        vjp=None,
        samples=lambda: (),
        effect=True,
    )
)


def _print_text(args: list[str], types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    values = iter(args)
    parts = [repr(x) if isinstance(x, str) else next(values) for x in p["parts"]]
    return f"print({', '.join([*parts, *(f'{k}={v!r}' for k, v in p['options'])])})"


def _print(*args: Any, parts: Any, options: Any) -> tuple[()]:
    values = iter(args)
    print(*(x if isinstance(x, str) else next(values) for x in parts), **dict(options))
    return ()


# the user's print: `parts` are texts, or None where the next argument goes; the NumPy target alone has it
show_values = register(
    Primitive(
        "print",
        type=lambda types, p: (),
        numpy=_print_text,
        loops=Special("print"),
        jvp=None,
        vjp=None,
        samples=lambda: (),
        reference=_print,
        effect=True,
    )
)


def size_value(dim: Dim) -> Atom:
    """A size as an int64 scalar."""
    if isinstance(dim, int):
        return literal(dim)
    return size_op(dim=dim)
