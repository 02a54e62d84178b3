"""What every family of ops calls: values, promotion, broadcasting, the elementwise factory.

In: values (`Var`, `Lit`), Python numbers, sizes.  Out: ops at the current builder, with operands of
exactly the dtypes and dims that the type rules demand, so no derivative rule mentions broadcasting.

`ops/registry.py` and `ops/structure.py` stand below; what new primitives need of the registry and the samples is read from here too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import (
    Atom,
    Dim,
    Guard,
    Lit,
    Params,
    Pointwise,
    Primitive,
    Sample,
    Size,
    Tensor,
    Var,
    guard,
    here,
    literal,
    size,
    symbols,
)
from adc.ir.build import run_time_sizes
from adc.ops.registry import METHODS, PRIMITIVES, answers, lookup, register
from adc.ops.samples import between
from adc.ops.structure import broadcast, check, convert, convert_to, expand, same_size, show, size_value, squeeze

# ---------------------------------------------------------------- values

DTYPES = tuple(np.dtype(d) for d in ("f8", "f4", "i8", "i4", "?"))


def check_dtype(dtype: Any) -> np.dtype[Any]:
    dt = np.dtype(dtype)
    if dt.kind == "c":
        raise fail(UnsupportedError, "complex", here())
    if dt not in DTYPES:
        raise fail(UnsupportedError, "dtype", here(), dtype=dt)
    return dt


def value(x: Any) -> Atom:
    """`x` as an atom: numbers become literals, sizes become ops, sequences become arrays."""
    if isinstance(x, Var | Lit):
        return x
    if isinstance(x, bool | int | float):
        return literal(x)
    if isinstance(x, np.bool_ | np.integer | np.floating):
        return literal(x.item(), check_dtype(x.dtype))
    if isinstance(x, Size):
        return size_value(x)
    if isinstance(x, list | tuple):
        return PRIMITIVES["stack"](*x) if x else _fail_empty()
    if isinstance(x, complex | np.complexfloating):
        raise fail(UnsupportedError, "complex", here())
    raise fail(UnsupportedError, "type", here(), what=f"a {type(x).__name__} is not a number or an array", instead="pass numbers or arrays")


def _fail_empty() -> Atom:
    raise fail(UnsupportedError, "type", here(), what="an empty list is not an array", instead="use np.zeros(0)")


def total(*terms: Any) -> Any:
    """The sum of tangents or cotangents, `None` being zero."""
    result = None
    for t in terms:
        if t is not None:
            result = t if result is None else PRIMITIVES["add"](result, t)
    return result


# ---------------------------------------------------------------- dtypes

def promote(types: tuple[Tensor, ...]) -> np.dtype[Any]:
    """NumPy 2's result dtype: Python numbers are weak."""
    proxies = [(0 if t.dtype.kind == "i" else 0.0 if t.dtype.kind == "f" else False) if t.weak else t.dtype for t in types]
    return check_dtype(np.result_type(*proxies))


# ---------------------------------------------------------------- shapes

def agree(a: Dim, b: Dim, message: str) -> None:
    """Two sizes that must be equal: now, or at entry by a guard, or by a run-time check."""
    if a == b:
        return
    if isinstance(a, int) and isinstance(b, int):
        raise fail(ShapeError, "shape", here(), what=message)
    computed = run_time_sizes()
    if any(s in computed for d in (a, b) for s in symbols(size(d))):
        # a size that the program itself computes: no guard at entry can speak of it
        check(PRIMITIVES["equal"](size_value(a), size_value(b)), code="shape", message=message)
        return
    guard(Guard("equal", a, b, message, here()))


def with_dims(x: Atom, dims: tuple[Dim, ...], message: str = "") -> Atom:
    """`x` seen with sizes that a guard has made equal to its own."""
    if x.type.dims == dims:
        return x
    for a, b in zip(x.type.dims, dims, strict=True):
        agree(b, a, message or f"shapes {show(x.type.dims)} and {show(dims)} differ")
    return same_size(x, dims=dims)


def broadcast_dims(shapes: tuple[tuple[Dim, ...], ...]) -> tuple[Dim, ...]:
    """NumPy's broadcast of shapes; sizes that may differ get a guard with NumPy's message."""
    rank = max(map(len, shapes))
    message = "operands could not be broadcast together with shapes " + " ".join(show(s).replace(" ", "") for s in shapes)
    out: list[Dim] = []
    for k in range(rank):
        result: Dim = 1
        for s in shapes:
            j = k - rank + len(s)
            if j < 0 or s[j] == 1:
                continue
            if result == 1:
                result = s[j]
            else:
                agree(result, s[j], message)
        out.append(result)
    return tuple(out)


def broadcast_to(x: Atom, dims: tuple[Dim, ...]) -> Atom:
    """NumPy's broadcast of `x` to `dims` (trailing axes aligned, extent 1 stretched)."""
    if x.type.dims == dims:
        return x
    offset = len(dims) - x.type.rank
    if offset < 0:
        raise fail(ShapeError, "shape", here(), what=f"could not broadcast input array from shape {show(x.type.dims)} into shape {show(dims)}")
    stretched = tuple(k for k, d in enumerate(x.type.dims) if d == 1 and dims[k + offset] != 1)
    axes = tuple(k + offset for k in range(x.type.rank) if k not in stretched)
    if stretched:
        x = squeeze(x, axes=stretched)
    want = tuple(dims[a] for a in axes)
    if x.type.dims != want:
        x = with_dims(x, want, f"could not broadcast input array from shape {show(x.type.dims)} into shape {show(dims)}")
    return x if want == dims else broadcast(x, dims=dims, axes=axes)


def sum_to(x: Any, dims: tuple[Dim, ...]) -> Any:
    """The transpose of `broadcast_to`: sum over the stretched axes."""
    if x is None or x.type.dims == dims:
        return x
    offset = x.type.rank - len(dims)
    ones = tuple(k + offset for k, d in enumerate(dims) if d == 1 and x.type.dims[k + offset] != 1)
    lead = tuple(range(offset))
    y = PRIMITIVES["sum"](x, axes=lead + ones)
    return y if y.type.dims == dims else expand(y, axes=tuple(k - offset for k in ones))


# ---------------------------------------------------------------- elementwise

def elementwise(
    name: str,
    *,
    calls: tuple[Any, ...] = (),
    numpy: str | Callable[..., str],
    scalar: str | Callable[..., str] | None = None,
    partials: tuple[Callable[..., Any] | None, ...] | None,
    samples: Callable[[], tuple[Sample, ...]],
    reference: Callable[..., Any] | None = None,
    result: str = "float",
    cheap: bool = False,
    operator: bool = False,
    float_args: bool = False,
) -> Primitive:
    """A primitive that works element by element; one derivative per argument yields everything.

    `partials[k](y, *xs)` is ∂y/∂x_k as an expression of ops (or 1, -1), or a function that applies it to a tangent or
    cotangent (where it must be a choice: 0 · inf is not 0); `y` is the result.  None for
    an argument without derivative; `partials=None` for ops of integers and booleans.
    `result`: "float" (ints become float64), "same" (the promoted dtype), "bool", or a dtype name.
    An `operator` of Python numbers gives a Python number (weak), a NumPy function of them does not.
    """

    def dtypes(types: tuple[Tensor, ...]) -> tuple[np.dtype[Any], np.dtype[Any]]:
        """(dtype of the operands, dtype of the result)"""
        joint = promote(types)
        if (result == "float" or float_args) and joint.kind != "f":
            joint = np.dtype("f8")
        out = joint if result in ("float", "same") else np.dtype("?" if result == "bool" else result)
        return joint, out

    def type_rule(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
        if any(t.dims != types[0].dims for t in types):
            raise fail(ShapeError, "shape", here(), what=f"{name}: {' and '.join(map(str, types))}")
        weak = all(t.weak for t in types) and (operator or p.get("weak", False))
        return (Tensor(dtypes(types)[1], types[0].dims, weak),)

    def prepare(*xs: Any, dtype: Any = None, weak: bool = False) -> tuple[tuple[Any, ...], dict[str, Any]]:
        values = tuple(value(x) for x in xs)
        joint = check_dtype(dtype) if dtype is not None else dtypes(tuple(v.type for v in values))[0]
        if all(v.type.weak for v in values):  # Python numbers stay what they are
            values = tuple(v if v.type.dtype == joint else _weakly(v, joint) for v in values)
        else:
            values = tuple(convert_to(v, joint) for v in values)
        dims = broadcast_dims(tuple(v.type.dims for v in values))
        return tuple(broadcast_to(v, dims) for v in values), {"weak": True} if weak else {}

    def scale(bar: Any, k: int, args: Any, outs: Any) -> Any:
        rule = partials[k] if partials is not None else None
        if bar is None or rule is None:
            return None
        d = rule(outs[0], *args)
        if callable(d):
            return d(bar)
        if isinstance(d, int | float) and d == 1:
            return bar
        if isinstance(d, int | float) and d == -1:
            return PRIMITIVES["neg"](bar)
        return PRIMITIVES["mul"](bar, d)

    def jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
        return (total(*(scale(d, k, args, outs) for k, d in enumerate(dots))),)

    def vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
        return tuple(
            scale(bars[0], k, args, outs) if args[k].type.is_float else None for k in range(len(args))
        )

    def numpy_reference(*args: Any, **params: Any) -> Any:
        assert isinstance(numpy, str)
        return eval(numpy.format(*(f"a[{k}]" for k in range(len(args)))), {"np": np, "a": args, **_text_scope(numpy)})

    return register(
        Primitive(
            name,
            type=type_rule,
            numpy=numpy,
            loops=Pointwise(scalar or numpy),  # type: ignore[arg-type]
            jvp=jvp if partials is not None else None,
            vjp=vjp if partials is not None else None,
            samples=samples,
            reference=reference or numpy_reference,
            calls=calls,
            prepare=prepare,
            cheap=cheap,
        )
    )


def _weakly(x: Atom, dtype: np.dtype[Any]) -> Atom:
    """A Python number as another kind of Python number."""
    if isinstance(x, Lit):
        return Lit(float(x.value) if dtype.kind == "f" else int(x.value), Tensor(dtype, (), True))
    return convert(x, dtype=dtype, weak=True)


def _text_scope(text: str) -> dict[str, Any]:
    import math

    if "special" not in text:
        return {"math": math}
    import scipy.special  # a third of a second, which folding 2.0 * 3.0 need not take

    return {"math": math, "special": scipy.special}


__all__ = [
    "DTYPES", "METHODS", "PRIMITIVES", "agree", "answers", "between", "broadcast_dims", "broadcast_to", "check_dtype",
    "elementwise", "lookup", "promote", "register", "sum_to", "total", "value", "with_dims",
]  # fmt: skip
