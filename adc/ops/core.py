"""What every family of ops stands on: the registry, promotion, broadcasting, the elementwise factory.

In: values (`Var`, `Lit`), Python numbers, sizes.  Out: ops at the current builder, with operands of
exactly the dtypes and dims that the type rules demand, so no derivative rule mentions broadcasting.
"""

from __future__ import annotations

import sys
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
    Special,
    Tensor,
    Var,
    View,
    guard,
    here,
    literal,
    size,
    symbols,
)
from adc.ir.build import run_time_sizes

# ---------------------------------------------------------------- registry

PRIMITIVES: dict[str, Primitive] = {}
_LATER: dict[str, dict[str, Callable[..., Any]]] = {}
_ANSWERS: dict[int, tuple[Any, Callable[..., Any]]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
"""ndarray method name -> function whose first argument is the array."""


def register(prim: Primitive) -> Primitive:
    """Add a record; two of one name are a mistake."""
    if prim.name in PRIMITIVES:
        raise ValueError(f"primitive {prim.name} is defined twice")
    PRIMITIVES[prim.name] = prim
    for obj in prim.calls:
        _answer(obj, prim)
    return prim


def _answer(obj: Any, fn: Callable[..., Any]) -> None:
    if isinstance(obj, str):
        module, _, name = obj.rpartition(".")
        _LATER.setdefault(module, {})[name] = fn
    else:
        _ANSWERS[id(obj)] = (obj, fn)


def answers(*objects: Any, method: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function over values as what adc does when user code calls one of `objects`.

    A string such as "scipy.special.erf" names an object of a module that adc itself does not import.
    """

    def mark(fn: Callable[..., Any]) -> Callable[..., Any]:
        for obj in objects:
            _answer(obj, fn)
        if method:
            METHODS[method] = fn
        return fn

    return mark


def lookup(obj: Any) -> Callable[..., Any] | None:
    """What answers to a Python object, found by identity."""
    for module in [m for m in _LATER if m in sys.modules]:
        for name, fn in _LATER.pop(module).items():
            if hasattr(sys.modules[module], name):
                _answer(getattr(sys.modules[module], name), fn)
    found = _ANSWERS.get(id(obj))
    return found[1] if found is not None and found[0] is obj else None


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


def show(dims: tuple[Dim, ...]) -> str:
    """Dims as NumPy writes them: (n, 3), (n,)."""
    return "(" + ", ".join(map(str, dims)) + ("," if len(dims) == 1 else "") + ")"


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


def expand(x: Atom, axes: tuple[int, ...]) -> Atom:
    """Axes of extent 1 put at positions `axes` of the result."""
    rank = x.type.rank + len(axes)
    rest = [k for k in range(rank) if k not in axes]
    dims: list[Dim] = [1] * rank
    for k, d in zip(rest, x.type.dims, strict=True):
        dims[k] = d
    return broadcast(x, dims=tuple(dims), axes=tuple(rest)) if axes else x


# ---------------------------------------------------------------- structural primitives

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


def between(*bounds: tuple[float, float], extra: tuple[float, ...] = ()) -> Callable[[], tuple[Sample, ...]]:
    """Samples for `len(bounds)` arguments: a scalar, a vector and a matrix inside the bounds."""

    def make() -> tuple[Sample, ...]:
        rng = np.random.default_rng(7)
        shapes: tuple[tuple[int, ...], ...] = ((), (5,), (2, 3))
        out = [Sample(tuple(np.asarray(rng.uniform(lo, hi, s)) for lo, hi in bounds)) for s in shapes]
        return (*out, *(Sample(tuple(np.asarray(e) for _ in bounds), {}, False) for e in extra))

    return make
