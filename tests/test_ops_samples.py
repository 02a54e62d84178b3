"""Every primitive against NumPy and against differences, from its samples alone.

A new primitive needs no test code: its samples are picked up here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import adc.ops  # noqa: F401  registers every family
from adc.ir import Function, Lit, Op, Tensor, Update, Var, View, current, guarding, literal, trace
from adc.ir.evaluate import evaluate_program
from adc.ir.primitive import Primitive, Sample
from adc.ir.rewrite import Copier
from adc.ir.verify import verify
from adc.ops.core import PRIMITIVES, broadcast_to
from adc.transform import vmap

SAMPLES = [
    pytest.param(prim, sample, id=f"{name}-{k}")
    for name, prim in PRIMITIVES.items()
    for k, sample in enumerate(prim.samples())
]
SMOOTH = [p for p in SAMPLES if p.values[1].differentiable and p.values[0].jvp is not None]
EPS = 1e-6


def type_of(a: Any) -> Tensor:
    a = np.asarray(a)
    return Tensor(a.dtype, a.shape)


def types(sample: Sample) -> tuple[Tensor, ...]:
    return tuple(type_of(a) for a in sample.args)


def floats(sample: Sample) -> list[int]:
    return [k for k, t in enumerate(types(sample)) if t.is_float]


def program(prim: Primitive, sample: Sample) -> Function:
    with guarding():
        return verify(trace(prim.name, types(sample), lambda *xs: current().op(prim, xs, sample.params)), "trace")


def dense(x: Any, t: Tensor) -> Any:
    return broadcast_to(literal(0.0, t.dtype), t.dims) if x is None else x


def jvp_program(prim: Primitive, sample: Sample, active: list[int]) -> Function:
    """args and tangents of the active ones -> the outs' tangents."""
    ts = types(sample)

    def body(*xs: Any) -> tuple[Any, ...]:
        args, given = xs[: len(ts)], dict(zip(active, xs[len(ts) :], strict=True))
        outs = current().op(prim, args, sample.params)
        assert prim.jvp is not None
        dots = prim.jvp(args, outs, tuple(given.get(k) for k in range(len(args))), outs_params(prim, sample))
        assert len(dots) == len(outs), "one tangent for each result"
        return tuple(dense(d, o.type) for d, o in zip(dots, outs, strict=True) if o.type.is_float)

    with guarding():
        return verify(trace("jvp", (*ts, *(ts[k] for k in active)), body), "jvp")


def vjp_program(prim: Primitive, sample: Sample) -> Function:
    """args and cotangents of the float results -> the float args' cotangents."""
    ts = types(sample)
    result = prim.type(ts, outs_params(prim, sample))
    bars_of = [k for k, t in enumerate(result) if t.is_float]

    def body(*xs: Any) -> tuple[Any, ...]:
        args, given = xs[: len(ts)], dict(zip(bars_of, xs[len(ts) :], strict=True))
        outs = current().op(prim, args, sample.params)
        assert prim.vjp is not None
        bars = prim.vjp(args, outs, tuple(given.get(k) for k in range(len(outs))), outs_params(prim, sample))
        assert len(bars) == len(args), "one cotangent for each argument"
        for b, a in zip(bars, args, strict=True):
            assert b is None or (b.type.dims, b.type.dtype) == (a.type.dims, a.type.dtype), f"{b} for {a}"
            assert b is None or a.type.is_float, "integers have no cotangent"
        return tuple(dense(bars[k], ts[k]) for k in floats(sample))

    with guarding():
        return verify(trace("vjp", (*ts, *(result[k] for k in bars_of)), body), "vjp")


def outs_params(prim: Primitive, sample: Sample) -> Any:
    from adc.ir import Params

    return Params(sample.params)


def directions(arrays: list[Any], seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.uniform(-1, 1, np.shape(a)), np.asarray(a).dtype) for a in arrays]


def differences(f: Callable[..., list[Any]], args: list[Any], where: list[int], dots: list[Any]) -> list[Any]:
    """Central differences of f along the tangents."""

    def shifted(h: float) -> list[Any]:
        moved = list(args)
        for k, d in zip(where, dots, strict=True):
            moved[k] = np.asarray(args[k]) + h * d
        return f(*moved)

    return [(np.asarray(p) - np.asarray(m)) / (2 * EPS) for p, m in zip(shifted(EPS), shifted(-EPS), strict=True)]


def reference(prim: Primitive, sample: Sample, args: Any = None) -> tuple[Any, ...]:
    assert prim.reference is not None, f"{prim.name} has samples and no reference"
    with np.errstate(all="ignore"):
        got = prim.reference(*(sample.args if args is None else args), **sample.params)
    return got if isinstance(got, tuple) else (got,)


@pytest.mark.parametrize(("prim", "sample"), SAMPLES)
def test_type_and_value(prim: Primitive, sample: Sample) -> None:
    fn = program(prim, sample)
    want = reference(prim, sample)
    assert [(r.type.dtype, r.type.dims) for r in fn.results] == [(np.asarray(w).dtype, np.shape(w)) for w in want]
    for g, w in zip(evaluate_program(fn, sample.args), want, strict=True):
        np.testing.assert_array_equal(g, w)
    if sample.differentiable and prim.jvp is None:
        assert not any(r.type.is_float for r in fn.results) or not floats(sample), "a float op without derivative"


@pytest.mark.parametrize(("prim", "sample"), SMOOTH)
def test_jvp(prim: Primitive, sample: Sample) -> None:
    active = floats(sample)
    dots = directions([sample.args[k] for k in active], 1)
    got = evaluate_program(jvp_program(prim, sample, active), (*sample.args, *dots))

    def value(*xs: Any) -> list[Any]:
        return [r for r in reference(prim, sample, xs) if np.asarray(r).dtype.kind == "f"]

    for g, d in zip(got, differences(value, list(sample.args), active, dots), strict=True):
        np.testing.assert_allclose(g, d, rtol=1e-5, atol=1e-6)
    # a tangent that is None means zero: one at a time they add up
    parts = [
        evaluate_program(jvp_program(prim, sample, [k]), (*sample.args, d)) for k, d in zip(active, dots, strict=True)
    ]
    for k, g in enumerate(got):
        np.testing.assert_allclose(sum(p[k] for p in parts), g, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("prim", "sample"), SMOOTH)
def test_vjp_is_the_transpose(prim: Primitive, sample: Sample) -> None:
    active = floats(sample)
    dots = directions([sample.args[k] for k in active], 1)
    tangents = evaluate_program(jvp_program(prim, sample, active), (*sample.args, *dots))
    bars = directions(list(tangents), 2)
    cotangents = evaluate_program(vjp_program(prim, sample), (*sample.args, *bars))
    left = sum(float(np.vdot(b, t)) for b, t in zip(bars, tangents, strict=True))
    right = sum(float(np.vdot(c, d)) for c, d in zip(cotangents, dots, strict=True))
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-10)


def pushed(fn: Function, active: list[int]) -> Function:
    """Forward mode over a straight-line program, by the records' own rules."""
    ts = tuple(p.type for p in fn.params)

    def body(*xs: Any) -> tuple[Any, ...]:
        copier = Copier(dict(zip(fn.params, xs, strict=False)))
        dots: dict[Any, Any] = {fn.params[k]: d for k, d in zip(active, xs[len(ts) :], strict=True)}
        for s in fn.body.stmts:
            new = copier.stmt(s)
            current().add(new)
            if not isinstance(s, Op) or not isinstance(new, Op):
                from adc.transform import jvp  # a rule with a loop needs the real thing

                raise _Needs(jvp(fn, tuple(k in active for k in range(len(ts)))))
            given = tuple(None if isinstance(a, Lit) else dots.get(a) for a in s.args)
            if s.prim.jvp is None or all(d is None for d in given):
                continue
            for v, d in zip(s.outs, s.prim.jvp(new.args, new.outs, given, new.params), strict=True):
                dots[v] = d
        return tuple(dense(dots.get(r) if isinstance(r, Var) else None, r.type) for r in fn.results)

    try:
        return trace("pushed", (*ts, *(ts[k] for k in active)), body)
    except _Needs as e:
        n = len(e.fn.results) - len(fn.results)
        return Function("pushed", e.fn.params, type(e.fn.body)(e.fn.body.params, e.fn.body.stmts, e.fn.results[-n:]))


class _Needs(Exception):
    def __init__(self, fn: Function):
        self.fn = fn


@pytest.mark.parametrize(("prim", "sample"), SMOOTH)
def test_second_order(prim: Primitive, sample: Sample) -> None:
    fn = vjp_program(prim, sample)
    args: list[Any] = [np.asarray(a) for a in sample.args]
    args += directions([np.zeros(p.type.dims, p.type.dtype) for p in fn.params[len(args) :]], 3)
    where = [k for k, p in enumerate(fn.params) if p.type.is_float]
    dots = directions([args[k] for k in where], 4)
    got = evaluate_program(pushed(fn, where), (*args, *dots))
    want = differences(lambda *xs: list(evaluate_program(fn, xs)), args, where, dots)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("prim", "sample"), [p for p in SAMPLES if not isinstance(p.values[0].loops, Update)])
def test_vmap_is_a_loop(prim: Primitive, sample: Sample) -> None:
    fn = program(prim, sample)
    if not fn.params:
        return
    with guarding():
        batched = verify(vmap(fn, (0,) * len(fn.params), (0,) * len(fn.results), 3), "vmap")
    rows = [[a * (1 + 0.01 * k) if np.asarray(a).dtype == np.float64 else a for a in sample.args] for k in range(3)]
    got = evaluate_program(batched, [np.stack([np.asarray(r[k]) for r in rows]) for k in range(len(sample.args))])
    each = [reference(prim, sample, r) for r in rows]
    for k, g in enumerate(got):
        np.testing.assert_array_equal(g, np.stack([np.asarray(e[k]) for e in each]))


# ---------------------------------------------------------------- texts


def dim_text(d: Any) -> str:
    return str(d)


@pytest.mark.parametrize(("prim", "sample"), [p for p in SAMPLES if not p.values[0].effect])
def test_numpy_text(prim: Primitive, sample: Sample) -> None:
    scope: dict[str, Any] = {"np": np, "math": math, "special": scipy.special, "scipy": scipy}
    names = [f"a{k}" for k in range(len(sample.args))]
    # NumPy's own scalars, as the emitted source meets them
    scope.update((n, np.array(a)[()]) for n, a in zip(names, sample.args, strict=True))
    params = outs_params(prim, sample)
    text = (
        prim.numpy.format(*names) if isinstance(prim.numpy, str) else prim.numpy(names, types(sample), params, dim_text)
    )
    with np.errstate(all="ignore"):
        if isinstance(prim.loops, Update):
            exec(text, scope)
            got = scope["a0"]
        else:
            got = eval(text, scope)
    want = reference(prim, sample)
    for g, w in zip(got if isinstance(got, tuple | list) and len(want) > 1 else (got,), want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-13, atol=1e-14)
        assert np.shape(g) == np.shape(w)


ADDRESSING = [p for p in SAMPLES if isinstance(p.values[0].loops, View | Update)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("prim", "sample"), ADDRESSING)
def test_index_texts(prim: Primitive, sample: Sample) -> None:
    """The coordinates that a View or an Update gives to loops address what NumPy addresses."""
    loops = prim.loops
    assert isinstance(loops, View | Update)
    arrays = [np.asarray(a) for a in sample.args]
    first = 1 if isinstance(loops, View) else 2
    scalars = tuple(str(a) for a in arrays[first:])
    (want,) = reference(prim, sample)
    out = np.empty_like(want) if isinstance(loops, View) else arrays[0].copy()

    def load(k: int, coords: tuple[str, ...]) -> str:
        return f"arrays[{k}][({', '.join(coords)}{',' if coords else ''})]"

    for at in np.ndindex(*(want.shape if isinstance(loops, View) else arrays[1].shape)):
        extra = (load,) if loops.loads else ()
        texts = loops.index(tuple(map(str, at)), types(sample), outs_params(prim, sample), str, scalars, *extra)
        source = tuple(eval(t, {"arrays": arrays}) for t in texts)
        if isinstance(loops, View):
            out[at] = arrays[0][source]
        elif loops.mode == "set":
            out[source] = arrays[1][at]
        else:
            out[source] += arrays[1][at]
    np.testing.assert_array_equal(out, want)
