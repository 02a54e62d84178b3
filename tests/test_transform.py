"""jvp, vjp and vmap of hand-built programs, against differences and against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adc.ir import (
    F8,
    I8,
    For,
    Function,
    Op,
    Sym,
    Tensor,
    Var,
    While,
    build_for,
    build_if,
    build_while,
    literal,
    scalar,
    size,
    trace,
    verify,
    walk,
)
from adc.ir.dce import dce_function
from adc.ir.evaluate import evaluate_program
from adc.ops.access import Arg, At, Slice
from adc.ops.core import PRIMITIVES, lookup
from adc.ops.structure import bind_size
from adc.transform import jvp, reports, vjp, vmap

f8, i8 = scalar(F8), scalar(I8)
RNG = np.random.default_rng(5)


def op(fn: Any, *args: Any) -> Any:
    answer = lookup(fn)
    assert answer is not None
    return answer(*args)


def sin(x: Any) -> Any:
    return op(np.sin, x)


def total(x: Any) -> Any:
    return PRIMITIVES["sum"](x, axes=tuple(range(x.type.rank)))


def elem(x: Any, *i: Any) -> Any:
    """x[i, …] with run-time or static positions."""
    ints = [k for k in i if isinstance(k, Var)]
    return PRIMITIVES["index"](x, *ints, axes=_axes(i))


def put(x: Any, v: Any, *i: Any) -> Any:
    ints = [k for k in i if isinstance(k, Var)]
    return PRIMITIVES["update"](x, v, *ints, axes=_axes(i))


def _axes(i: Any) -> Any:
    out, k = [], 0
    for a in i:
        if isinstance(a, slice):
            out.append(Slice(a.start, a.stop))
        elif isinstance(a, Var):
            out.append(At(Arg(k)))
            k += 1
        else:
            out.append(At(a))
    return tuple(out)


def run(fn: Function, args: Any) -> tuple[Any, ...]:
    verify(fn, fn.name)
    return evaluate_program(fn, args)


def shifted(args: Any, which: Any, directions: Any, eps: float) -> list[Any]:
    out = list(args)
    for k, d in zip(which, directions, strict=True):
        out[k] = np.asarray(args[k]) + eps * d
    return out


def differences(fn: Function, args: Any, which: Any, directions: Any) -> list[Any]:
    hi = run(fn, shifted(args, which, directions, 1e-6))
    lo = run(fn, shifted(args, which, directions, -1e-6))
    return [(a - b) / 2e-6 for a, b, r in zip(hi, lo, fn.results, strict=True) if r.type.is_float]


def check(fn: Function, args: Any, second: bool = True) -> Function:
    """Values, tangents, cotangents and second order; gives back the adjoint."""
    which = [k for k, p in enumerate(fn.params) if p.type.is_float]
    want = run(fn, args)
    directions = [RNG.normal(size=np.shape(args[k])) for k in which]
    forward = jvp(fn, tuple(p.type.is_float for p in fn.params))
    got = run(forward, (*args, *directions))
    slopes = differences(fn, args, which, directions)
    for a, b in zip(got, want, strict=False):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    tangents = got[len(want) :]
    for a, b in zip(tangents, slopes, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    bars = [RNG.normal(size=np.shape(w)) for w, r in zip(want, fn.results, strict=True) if r.type.is_float]
    for keep in (True, False):
        back = vjp(fn, tuple(which), keep)
        result = run(back, (*args, *bars))
        for a, b in zip(result, want if keep else (), strict=False):
            np.testing.assert_allclose(a, b, rtol=1e-13)
        grads = result[len(want) :] if keep else result
        left = sum(np.vdot(g, d) for g, d in zip(grads, directions, strict=True))
        right = sum(np.vdot(b, t) for b, t in zip(bars, tangents, strict=True))
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-12)
    if second:
        fixed = jvp(back, tuple(k in which for k in range(len(back.params))))
        again = run(fixed, (*args, *bars, *directions))
        for a, b in zip(again[len(grads) :], differences(back, (*args, *bars), which, directions), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        twice = vjp(back, tuple(which), False)
        weights = [RNG.normal(size=np.shape(g)) for g in grads]
        hess = run(twice, (*args, *bars, *weights))
        left = sum(np.vdot(h, d) for h, d in zip(hess, directions, strict=True))
        right = sum(np.vdot(w, t) for w, t in zip(weights, again[len(grads) :], strict=True))
        np.testing.assert_allclose(left, right, rtol=1e-8, atol=1e-10)
    return back


def loops(fn: Function) -> list[For | While]:
    return [s for s in walk(fn.body) if isinstance(s, For | While)]


def stacks(fn: Function) -> int:
    return sum(s.stacks for s in loops(fn))


# ---------------------------------------------------------------- straight line


def test_straight_line():
    fn = trace("f", (f8, f8), lambda x, y: (sin(x * y) * x + y / x,))
    back = check(fn, (1.3, 0.7))
    assert not loops(back)


def test_inactive_arguments_and_integer_results():
    fn = trace("f", (f8, i8), lambda x, k: (x * x, k + 1))
    back = vjp(fn, (0,))
    assert run(back, (3.0, 4, 2.0)) == (9.0, 5, 12.0)


def test_unused_parameter_gets_zeros():
    n = size(Sym("n"))
    fn = trace("f", (f8, Tensor(F8, (n,))), lambda x, y: (x * x,))
    _, x_bar, y_bar = run(vjp(fn, (0, 1)), (3.0, np.ones(3), 1.0))
    assert x_bar == 6.0 and np.array_equal(y_bar, np.zeros(3))


def test_arrays_and_parts():
    n = size(Sym("n"))

    def f(x, y):
        a = put(sin(x), y * y, 2)
        a = put(a, PRIMITIVES["index"](a, axes=(Slice(1, n - 1),)), slice(0, n - 1))
        return (total(a * a * x), elem(a, 1))

    back = check(trace("f", (Tensor(F8, (n,)), f8), f), (RNG.normal(size=5), 0.8))
    # reading one element adds to the running cotangent: zeros are made once at most for each array
    assert sum(isinstance(s, Op) and s.prim.name in ("fill", "broadcast") for s in walk(back.body)) <= 4


def test_names_of_cotangents():
    def f(x):
        from adc.ir import at

        with at(None, "z"):
            z = sin(x)
        return (z * z,)

    back = vjp(trace("f", (f8,), f, ("x",)), (0,))
    hints = {v.hint for s in walk(back.body) for v in s.outs}
    assert {"z", "z_bar", "x_bar"} <= hints


# ---------------------------------------------------------------- branches


@pytest.mark.parametrize("x", [0.5, -0.5])
def test_branches(x):
    def f(x, y):
        (r, s) = build_if(x > 0.0, lambda: (sin(x * y), y), lambda: (x * x * y, x))
        return (r * s * x,)

    check(trace("f", (f8, f8), f), (x, 0.3))


@pytest.mark.parametrize("x", [0.5, -0.5])
def test_branch_with_loop_inside(x):
    n = Sym("n")

    def f(x, y, k):
        bind_size(k, sym=n, upper=10)

        def then():
            (c,), _, _ = build_for(size(n), (x,), lambda i, c: ((sin(c * y) + c,), (), ()))
            return (c * y,)

        (r,) = build_if(x > 0.0, then, lambda: (y,))
        return (r * r,)

    check(trace("f", (f8, f8, i8), f), (x, 0.3, 3))


# ---------------------------------------------------------------- for


def carried(a, x, k):
    n = Sym("n")
    bind_size(k, sym=n, upper=10)
    (c,), _, _ = build_for(size(n), (x,), lambda i, c: ((sin(a * c) + c,), (), ()), hints=("x",))
    return (c,)


@pytest.mark.parametrize("trips", [0, 1, 4])
def test_scalar_carry(trips):
    fn = trace("f", (f8, f8, i8), carried, ("a", "x", "k"))
    back = check(fn, (0.9, 0.4, trips))
    (report,) = reports(back)
    assert [s.hint for s in report.saved] == ["x"]
    assert stacks(back) == 1


def test_array_carry():
    n = size(Sym("n"))

    def f(w, x, k):
        t = Sym("t")
        bind_size(k, sym=t, upper=10)
        (c,), _, _ = build_for(size(t), (x,), lambda i, c: ((sin(w * c) + c,), (), ()), hints=("x",))
        return (total(c * c),)

    a = Tensor(F8, (n,))
    back = check(trace("f", (a, a, i8), f), (RNG.normal(size=3), RNG.normal(size=3), 3))
    assert [s.hint for s in reports(back)[0].saved] == ["x"]


def seidel(nonlinear):
    n = size(Sym("n"))

    def f(u, b, k):
        sweeps = Sym("s")
        bind_size(k, sym=sweeps, upper=10)

        def sweep(_, u):
            def point(i, u):
                i1 = i + 1
                left, right = elem(u, i), elem(u, i + 2)
                v = sin(left * right) if nonlinear else 0.5 * (left + right)
                return (put(u, v + elem(b, i1), i1),), (), ()

            (u,), _, _ = build_for(n - 2, (u,), point, hints=("u",))
            return (u,), (), ()

        (u,), _, _ = build_for(size(sweeps), (u,), sweep, hints=("u",))
        return (total(u * u),)

    a = Tensor(F8, (n,))
    return trace("f", (a, a, i8), f, ("u", "b", "k"))


def test_linear_in_place_sweep_saves_nothing():
    back = check(seidel(False), (RNG.normal(size=6), RNG.normal(size=6), 2), second=False)
    assert stacks(back) == 0
    assert all(not r.saved for r in reports(back))
    # one array of zeros for each cotangent, none of them inside a loop
    for s in loops(back):
        assert not any(isinstance(t, Op) and t.prim.name == "fill" for t in walk(s.body))


def test_nonlinear_in_place_sweep_saves_elements():
    back = check(seidel(True), (RNG.normal(size=6), RNG.normal(size=6), 2))
    found = reports(back)
    assert all(not s.type.dims for s in found[0].saved) and found[0].saved
    assert not any(r.whole for r in found)


def test_sum_without_carry_has_no_tape():
    n = size(Sym("n"))

    def f(w, x):
        _, (s,), _ = build_for(n, (literal(0.0, F8),), lambda i: ((), (sin(w * elem(x, i)) * w,), ()), ("sum",))
        return (s,)

    back = check(trace("f", (f8, Tensor(F8, (n,))), f), (0.7, RNG.normal(size=4)))
    assert stacks(back) == 0


def test_linear_loop_disappears_without_the_primal():
    def f(x, a, k):
        n = Sym("n")
        bind_size(k, sym=n, upper=9)
        (c,), _, _ = build_for(size(n), (x,), lambda i, c: ((c * 0.5,), (), ()))
        return (c,)

    back = vjp(trace("f", (f8, f8, i8), f), (0,), keep_primal=False)
    assert len(loops(back)) == 1
    assert run(back, (3.0, 1.0, 3, 1.0)) == (0.125,)


def test_swap_of_carries():
    def f(x, y, k):
        n = Sym("n")
        bind_size(k, sym=n, upper=9)
        (a, b), _, _ = build_for(size(n), (x, y), lambda i, a, b: ((b, sin(a) * b), (), ()))
        return (a * b,)

    check(trace("f", (f8, f8, i8), f), (0.7, 1.2, 5))


def test_stacks_and_reverse_order():
    n = size(Sym("n"))

    def f(x, y):
        (c,), _, (s,) = build_for(
            n, (y,), lambda i, c: ((c * elem(x, i),), (), (sin(c) * elem(x, i),)), reverse=True
        )
        return (s, c)

    check(trace("f", (Tensor(F8, (n,)), f8), f), (RNG.normal(size=4), 0.6))


@pytest.mark.parametrize("kind", ["prod", "max", "min"])
def test_other_reduces(kind):
    n = size(Sym("n"))

    def f(x, y):
        _, (p,), _ = build_for(n, (y,), lambda i: ((), (sin(elem(x, i)) + 1.5,), ()), (kind,))
        return (p * y,)

    check(trace("f", (Tensor(F8, (n,)), f8), f), (np.array([0.3, 1.2, -0.4, 0.9]), 1.3))


def test_nested_loops_with_matrix():
    n, m = size(Sym("n")), size(Sym("m"))

    def f(A, x):
        def row(i, x):
            _, (s,), _ = build_for(m, (literal(0.0, F8),), lambda j: ((), (elem(A, i, j) * elem(x, j) * elem(x, j),), ()), ("sum",))
            return (put(x, sin(s), 0),), (), ()

        (x,), _, _ = build_for(n, (x,), row)
        return (total(x * x),)

    check(trace("f", (Tensor(F8, (n, m)), Tensor(F8, (m,))), f), (RNG.normal(size=(3, 4)), RNG.normal(size=4)))


def test_in_place_under_a_branch_saves_elements():
    n = size(Sym("n"))

    def f(u):
        def point(i, u):
            x = elem(u, i)
            (u,) = build_if(x > 0.0, lambda: (put(u, sin(x * elem(u, 0)), i),), lambda: (u,))
            return (u,), (), ()

        (u,), _, _ = build_for(n, (u,), point, hints=("u",))
        return (total(u * u),)

    back = check(trace("f", (Tensor(F8, (n,)),), f), (np.array([0.5, -0.2, 0.8, 0.4, -1.0]),))
    assert not any(r.whole for r in reports(back))


def test_whole_array_when_nothing_else_will_do():
    n = size(Sym("n"))

    def f(u):
        def point(i, u):
            s = total(u * u)
            return (put(u, sin(s), i),), (), ()

        (u,), _, _ = build_for(n, (u,), point, hints=("u",))
        return (total(u),)

    back = check(trace("f", (Tensor(F8, (n,)),), f), (RNG.normal(size=4),))
    assert reports(back)[0].whole == ("u",)


# ---------------------------------------------------------------- while


def newton(a):
    def body(x, k):
        step = (x * x - a) / (2.0 * x)
        return (x - step, k + 1), ()

    (x, _), _, _ = build_while((a, literal(0, I8)), lambda x, k: k < 6, body, ("x", "k"))
    return (x,)


def test_while_newton():
    back = check(trace("f", (f8,), newton, ("a",)), (2.0,))
    (report,) = reports(back)
    assert [s.hint for s in report.saved] == ["x"]
    np.testing.assert_allclose(run(back, (2.0, 1.0))[0], 0.5 / np.sqrt(2.0), rtol=1e-9)


def test_linear_while_counts_only():
    def f(x, lim):
        (y, _), _, _ = build_while((x, lim), lambda y, t: t > 0.5, lambda y, t: ((y * 0.5, t * 0.7), ()))
        return (y,)

    fn = trace("f", (f8, f8), f)
    back = vjp(fn, (0,), False)
    assert stacks(back) == 0
    np.testing.assert_allclose(run(back, (3.0, 4.0, 1.0))[0], 0.5**6)
    check(fn, (3.0, 4.0))


def test_while_counter_used_as_index_is_not_saved():
    n = size(Sym("n"))

    def f(x):
        def body(u, k):
            return (put(u, elem(u, k) * 0.5, k + 1), k + 1), ()

        (u, _), _, _ = build_while((x, literal(0, I8)), lambda u, k: k < 3, body)
        return (total(u * u),)

    back = check(trace("f", (Tensor(F8, (n,)),), f), (RNG.normal(size=5),))
    assert stacks(back) == 0


@pytest.mark.parametrize("linear", [False, True])
def test_while_inside_for(linear):
    n = size(Sym("n"))

    def f(x, y):
        def row(i, c):
            def body(z, t):
                return (z * 0.9 if linear else sin(z * y), t * 0.8), ()

            (z, _), _, _ = build_while((c, elem(x, i)), lambda z, t: t > 0.3, body)
            return (z + elem(x, i) * c,), (), ()

        (c,), _, _ = build_for(n, (y,), row)
        return (c * c,)

    check(trace("f", (Tensor(F8, (n,)), f8), f), (np.array([0.5, 0.9, 0.2]), 0.6))


def test_while_inside_while():
    def f(x):
        def outer(y, t):
            (z, _), _, _ = build_while((y, t), lambda z, s: s > 0.3, lambda z, s: ((sin(z) * x, s * 0.6), ()))
            return (z + y, t * 0.7), ()

        (y, _), _, _ = build_while((x, literal(1.0, F8)), lambda y, t: t > 0.2, outer)
        return (y,)

    check(trace("f", (f8,), f), (0.8,))


# ---------------------------------------------------------------- calls


def test_checkpoint():
    from adc.ir import Call

    n = size(Sym("n"))
    inner = trace("g", (Tensor(F8, (n,)), f8), lambda x, y: (sin(x * x), total(x) * y))

    def f(x, y):
        from adc.ir import current

        outs = tuple(Var(r.type) for r in inner.results)
        outs = (Var(Tensor(F8, x.type.dims)), outs[1])
        current().add(Call(inner, (x, y), outs, "checkpoint"))
        return (total(outs[0] * outs[0]) * outs[1],)

    m = size(Sym("m"))
    check(trace("f", (Tensor(F8, (m,)), f8), f), (RNG.normal(size=3), 0.5))


def _calling(rule, attrs):
    from adc.ir import Call, Params, current

    inner = trace("g", (f8, f8), lambda x, y: (sin(x * y),))

    def f(x, y):
        out = Var(f8)
        current().add(Call(inner, (x * 2.0, y), (out,), rule, Params(attrs)))
        return (out * out * y,)

    return trace("f", (f8, f8), f)


def test_plain_call():
    check(_calling("", {}), (0.4, 0.9))


def test_custom_jvp():
    rule = trace("g_jvp", (f8,) * 4, lambda x, y, dx, dy: (sin(x * y), op(np.cos, x * y) * (x * dy + y * dx)))
    check(_calling("custom_jvp", {"jvp": rule}), (0.4, 0.9))


def test_custom_vjp():
    fwd = trace("g_fwd", (f8, f8), lambda x, y: (sin(x * y), x, y))
    bwd = trace("g_bwd", (f8,) * 3, lambda x, y, b: (b * op(np.cos, x * y) * y, b * op(np.cos, x * y) * x))
    check(_calling("custom_vjp", {"fwd": fwd, "bwd": bwd, "n_res": 2}), (0.4, 0.9))


# ---------------------------------------------------------------- vmap


def test_vmap_of_a_loop_and_a_branch():
    def g(x, y, k):
        (r,) = build_if(x > 0.0, lambda: carried(x, y, k), lambda: (x * y,))
        return (r, r * 2.0)

    fn = trace("g", (f8, f8, i8), g)
    batched = vmap(fn, (0, None, None), 0)
    xs = np.array([0.3, -0.4, 1.1])
    got = run(batched, (xs, 0.7, 3))
    want = [evaluate_program(fn, (x, 0.7, 3)) for x in xs]
    np.testing.assert_allclose(got[0], [w[0] for w in want])
    check(batched, (xs, 0.7, 3))
    grad = vjp(fn, (0, 1), False)
    both = vmap(grad, (0, None, None, 0, 0), 0)
    ones = np.ones(3)
    got = run(both, (xs, 0.7, 3, ones, ones))
    for k, x in enumerate(xs):
        np.testing.assert_allclose([g[k] for g in got], evaluate_program(grad, (x, 0.7, 3, 1.0, 1.0)))


def test_vmap_axes():
    n = size(Sym("n"))
    fn = trace("g", (Tensor(F8, (n,)), f8), lambda x, y: (x * y, y))
    got, same = run(vmap(fn, (1, None), (1, None)), (np.arange(6.0).reshape(3, 2), 2.0))
    np.testing.assert_allclose(got, np.arange(6.0).reshape(3, 2) * 2.0)
    assert same == 2.0
    with pytest.raises(Exception, match="out_axes"):
        vmap(fn, (0, None), (None, None))


# ---------------------------------------------------------------- dead code


def test_dead_carries_stacks_and_branches():
    n = size(Sym("n"))

    def f(x, y):
        (a, b), _, (s,) = build_for(n, (y, y), lambda i, a, b: ((a * 2.0, sin(b)), (), (b,)))
        (r, q) = build_if(y > 0.0, lambda: (a, sin(y)), lambda: (y, y))
        return (r,)

    small = dce_function(trace("f", (Tensor(F8, (n,)), f8), f))
    (loop,) = loops(small)
    assert loop.carries == 1 and loop.stacks == 0
    assert not any(isinstance(s, Op) and s.prim.name == "sin" for s in walk(small.body))
    assert run(small, (np.zeros(2), 1.0)) == (4.0,)
