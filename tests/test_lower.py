"""Lowering: every op and statement, as loops, gives what the program means; and the loops are the ones wanted."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import adc.ops  # noqa: F401
from adc.emit.kernel_source import kernel_source
from adc.errors import AdcError, CheckError
from adc.ir import F8, I8, Call, Function, Sym, Tensor, Var, building, current, literal, scalar, size, trace
from adc.ir.evaluate import evaluate_program
from adc.lower.whole import Kernel, lower
from adc.ops.core import PRIMITIVES
from adc.transform import vjp
from tests import four, programs
from tests.frontend_run import staged
from tests.lower_run import compare, run_kernel

R = np.random.default_rng(0)


def gradient(f: Any, *args: Any, rtol: float = 1e-10, compiled: bool = False) -> tuple[Kernel, Kernel]:
    """The kernels of a function and of its gradient, both compared with the meaning of their programs."""
    s, values = staged(f, *args)
    values = [*values, *(c.get() for c in s.captures)]
    primal = compare(s.function, *values, rtol=rtol, compiled=compiled)
    wrt = tuple(k for k, p in enumerate(s.function.params) if p.type.is_float)
    g = vjp(s.function, wrt)
    outs = evaluate_program(s.function, values)
    bars = [np.ones_like(o) for o, r in zip(outs, s.function.results, strict=True) if r.type.is_float]
    return primal, compare(g, *values, *bars, rtol=rtol, compiled=compiled)


def count(pattern: str, kernel: Kernel) -> int:
    return len(re.findall(pattern, kernel_source(kernel)))


# ---------------------------------------------------------------- every primitive


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_samples(name: str) -> None:
    p = PRIMITIVES[name]
    for s in p.samples():
        args = [np.asarray(a) for a in s.args]

        def body(*xs: Any, s: Any = s) -> Any:
            r = p(*xs, **s.params)
            return r if isinstance(r, tuple) else (r,)

        compare(trace("f", tuple(Tensor(a.dtype, a.shape) for a in args), body), *args, rtol=1e-11)


# ---------------------------------------------------------------- the four functions


def lanes_only(kernel: Kernel, examples: str) -> bool:
    """Is nothing kept for every example?"""
    n = next(p for p in kernel.params if p.name == examples).dims[0]
    return not any(n == d for b in kernel.scratch for d in b.dims)


def test_logistic_is_one_pass() -> None:
    _, g = gradient(four.logistic, R.normal(size=3), R.normal(size=(5, 3)), R.normal(size=5))
    assert lanes_only(g, "X")
    assert count("for block in range", g) == 1, g.source  # all of it, tile by tile


def test_carried_state_is_updated_in_place() -> None:
    p, g = gradient(four.carried, 0.3, R.normal(size=4), 3)
    assert not p.scratch
    assert [len(b.dims) for b in g.scratch] == [2]  # only what is saved


def test_seidel_sweeps_in_place() -> None:
    p, g = gradient(four.seidel, R.normal(size=6), R.normal(size=6), 3)
    assert len(p.scratch) == len(g.scratch) == 1
    assert count(r"(?m)^ +for ", g) == 7


def test_while_loop_grows_its_tape() -> None:
    p, g = gradient(four.root, 2.0)
    assert not p.capacities and len(g.capacities) == 1 and g.bounds
    assert "return -1" in g.source


def test_compiled_by_numba() -> None:
    gradient(four.logistic, R.normal(size=3), R.normal(size=(5, 3)), R.normal(size=5), compiled=True)


# ---------------------------------------------------------------- loops that meet


def mlp(W1, b1, W2, b2, X, Y):  # type: ignore[no-untyped-def]
    h = np.tanh(X @ W1 + b1)
    o = h @ W2 + b2
    m = o - np.max(o, axis=1, keepdims=True)
    s = m - np.log(np.sum(np.exp(m), axis=1, keepdims=True))
    return -np.mean(np.sum(s * Y, axis=1))


def test_network_keeps_no_array_of_examples() -> None:
    args = (R.normal(size=(3, 4)), R.normal(size=4), R.normal(size=(4, 2)), R.normal(size=2), R.normal(size=(6, 3)), R.normal(size=(6, 2)))
    _, g = gradient(mlp, *args)
    assert lanes_only(g, "X")


def softmax(x, y):  # type: ignore[no-untyped-def]
    e = np.exp(x - np.max(x, axis=1)[:, None])
    return e / np.sum(e, axis=1)[:, None] * y


def test_rows() -> None:
    p, _ = gradient(softmax, R.normal(size=(3, 4)), R.normal(size=(3, 4)))
    assert lanes_only(p, "x")


def stencil(u, steps):  # type: ignore[no-untyped-def]
    for _ in range(steps):
        v = u.copy()
        v[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u = v
    return np.sum(u * u)


def test_linear_stencil_keeps_no_tape() -> None:
    _, g = gradient(stencil, R.normal(size=(5, 6)), 3)
    assert len(g.scratch) <= 4 and not g.capacities


def products(A, B, x):  # type: ignore[no-untyped-def]
    return np.sum((A @ B.T) @ (B @ A.T), axis=0) + A.T[0] @ np.outer(x, A[:, 1]), (A.T @ A) @ B.T


def test_products() -> None:
    gradient(products, R.normal(size=(4, 3)), R.normal(size=(5, 3)), R.normal(size=4))


# ---------------------------------------------------------------- storage


def overwritten(a, n):  # type: ignore[no-untyped-def]
    b = a * 1.0
    c = b[1:]
    s = np.sum(c)
    b[1:] = b[:-1] * b[1:]
    for i in range(n):
        old = b[i]
        b[i] = np.sin(b[i + 1]) * old
        s += old * b[0]
    return s + np.sum(b * a)


def swapped(x, y, n):  # type: ignore[no-untyped-def]
    y = y + x
    x = x + y
    for _ in range(n):
        x, y = y, x
    for _ in range(n):
        x, y = y, x * 0.5 + np.sin(y[::-1])
    return np.sum(x), y


def chosen(x, n):  # type: ignore[no-untyped-def]
    a = x * 1.0
    b = np.cos(x)
    for i in range(n):
        if a[i] > 0.1:
            a[1:] = np.sin(a[:-1]) + b[1:]
        else:
            a, b = b * 0.5, a
    return a, np.sum(a * b)


def power(A, x, n):  # type: ignore[no-untyped-def]
    for _ in range(n):
        x = A.T @ (A @ x)
        x = x / np.sqrt(np.sum(x * x))
    return x


def masked(x):  # type: ignore[no-untyped-def]
    y = x[x > 0.2]
    return np.sum(y * y), y


def shrinking(x):  # type: ignore[no-untyped-def]
    k, s = 0, 0.0
    while np.sum(x) > 1e-2 and k < 60:
        x = x * 0.7 * np.cos(x)
        s = s + np.sum(np.sin(x))
        k += 1
    return s, x


def pieces(x, y):  # type: ignore[no-untyped-def]
    z = np.concatenate((x, np.sin(y), x[::-1]))
    w = np.stack((x * 2.0, y))
    return np.sum(z * z), w.reshape(-1)[1:4], np.array([x[0], y[1]]) * 3.0, z.reshape(3, -1).T


def small(x, w):  # type: ignore[no-untyped-def]
    return np.sum(np.where(x > 0.5, np.sin(x) * 2.0, 0.1 * x**3) @ w), np.maximum(x, 0.3) / 3, x.max() - x.min()


@pytest.mark.parametrize(
    "f, args",
    [
        (overwritten, (R.normal(size=5), 4)),
        (swapped, (R.normal(size=4), R.normal(size=4), 3)),
        (chosen, (R.normal(size=5), 4)),
        (power, (R.normal(size=(4, 3)), R.normal(size=3), 3)),
        (masked, (R.normal(size=7),)),
        (masked, (-np.ones(4),)),
        (shrinking, (R.uniform(0.5, 1, size=4),)),
        (pieces, (R.normal(size=4), R.normal(size=4))),
        (small, (R.normal(size=(4, 3)).astype("f4"), R.normal(size=3).astype("f4"))),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_programs(f: Any, args: Any) -> None:
    gradient(f, *args, rtol=2e-5 if f is small else 1e-10)


def test_float32_stays_float32() -> None:
    p, _ = gradient(small, R.normal(size=(4, 3)).astype("f4"), R.normal(size=3).astype("f4"), rtol=2e-5)
    code = re.sub(r"#.*", "", p.source)
    assert not re.findall(r"(?<!float32\()\b\d+\.\d+", code)


def test_double_buffer() -> None:
    """A carry that cannot be overwritten while it is read: pointers are exchanged."""
    def f(x, n):  # type: ignore[no-untyped-def]
        for _ in range(n):
            x = x[::-1] * 0.5 + np.sin(x)
        return np.sum(x)

    p, _ = gradient(f, R.normal(size=5), 3)
    assert "hold = " in p.source


# ---------------------------------------------------------------- the contract


def test_parameters_are_never_results() -> None:
    n = size(Sym("n"))
    fn = trace("f", (Tensor(F8, (n,)), scalar("?"), scalar(I8)), lambda x, b, k: (x, x, b, k, literal(2.5)))
    kernel = compare(fn, np.arange(3.0), True, 7)
    assert [o.dims for o in kernel.outs] == [(n,), (n,), (), (), ()]


def test_checks_are_numbered() -> None:
    def f(x, i):  # type: ignore[no-untyped-def]
        assert x[0] > 0.0, "positive"
        return x[i]

    s, _ = staged(f, np.ones(3), 1)
    kernel = lower(s.function)
    assert run_kernel(kernel, (np.ones(3), -1)) == (1.0,)
    with pytest.raises(CheckError):
        run_kernel(kernel, (np.ones(3), 3))
    with pytest.raises(CheckError, match="positive"):
        run_kernel(kernel, (-np.ones(3), 0))


def test_calls_are_inlined() -> None:
    t = Tensor(F8, (3,))
    inner = trace("inner", (t,), lambda x: (PRIMITIVES["sin"](x),))
    x = Var(t, "x")
    with building(x) as b:
        y = Var(t, "y")
        current().add(Call(inner, (x,), (y,)))
        z = PRIMITIVES["mul"](y, x)
    compare(Function("outer", (x,), b.block((z,))), np.arange(3.0))


def test_same_text_twice() -> None:
    texts = []
    for _ in range(2):
        s, _ = staged(mlp, *(np.ones(k) for k in ((3, 4), 4, (4, 2), 2, (6, 3), (6, 2))))
        texts.append(lower(vjp(s.function, (0, 1))).source)
    assert texts[0] == texts[1]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(programs.programs())
def test_random_programs(text: str) -> None:
    r = np.random.default_rng(1)
    args = (r.normal(size=5), r.normal(size=5), 3)
    try:
        s, values = staged(programs.load(text), *args)
        values = [*values, *(c.get() for c in s.captures)]
        evaluate_program(s.function, values)
    except AdcError:
        return  # refused, or an index out of bounds
    compare(s.function, *values, rtol=1e-9)
    wrt = tuple(k for k, p in enumerate(s.function.params) if p.type.is_float)
    compare(vjp(s.function, wrt), *values, np.float64(1.0), rtol=1e-8)


def test_checks_of_labels_stand_before_everything():
    """They depend on nothing that is computed: forward and reverse of a tile of examples still run together."""

    def loss(W, X, labels):
        z = X @ W
        return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(len(labels)), labels])

    rng = np.random.default_rng(0)
    W, X, labels = rng.normal(size=(5, 4)), rng.normal(size=(30, 5)), rng.integers(0, 4, 30)
    assert adc.value_and_grad(loss).kernel_source(W, X, labels).count("def loss_value_and_grad_part") == 1
    np.testing.assert_allclose(adc.grad(loss)(W, X, labels), adc.grad(loss, target="numpy")(W, X, labels), rtol=1e-12)
    labels[7] = 4
    for target in ("cpu", "numpy"):
        with pytest.raises(IndexError):
            adc.grad(loss, target=target)(W, X, labels)
