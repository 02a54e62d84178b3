"""The public transformations: containers, argnums, has_aux, nesting, rules, errors; on both targets."""

from __future__ import annotations

import copy
import dataclasses
import functools
import gc
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import adc
from adc.api.transformed import compiled_programs
from adc.testing import check_grad

both = pytest.mark.parametrize("target", ["numpy", "cpu"])
X = np.array([0.3, -0.7, 1.1])


def close(a, b, rtol=1e-12):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


# ---------------------------------------------------------------- containers


class Point(NamedTuple):
    x: float
    y: np.ndarray


@dataclasses.dataclass
class Model:
    w: np.ndarray
    b: float
    name: str = "linear"


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: float
    inner: tuple = ()


def of_dict(p, x):
    return np.sum((p["w"] * x + p["b"]) ** 2)


def of_list(p, x):
    total = 0.0
    for layer in p:
        total += np.sum(layer["w"] * x) ** 2
    return total


def of_point(p):
    return p.x**2 * np.sum(p.y)


def of_model(m, x):
    return (np.sum(m.w * x) + m.b) ** 2


def of_frozen(f):
    return f.a**3 * f.inner[0]


@both
def test_dict(target):
    p = {"w": X, "b": 0.5}
    g = adc.grad(of_dict, target=target)(p, np.ones(3))
    assert set(g) == {"w", "b"}
    close(g["w"], 2 * (X + 0.5))
    close(g["b"], np.sum(2 * (X + 0.5)))


@both
def test_list_of_dicts(target):
    p = [{"w": X}, {"w": 2 * X}]
    g = adc.grad(of_list, target=target)(p, np.ones(3))
    assert isinstance(g, list)
    close(g[1]["w"], np.full(3, 2 * np.sum(2 * X)))


@both
def test_namedtuple(target):
    g = adc.grad(of_point, target=target)(Point(2.0, X))
    assert type(g) is Point
    close(g.x, 4.0 * np.sum(X))
    close(g.y, np.full(3, 4.0))


@both
def test_dataclass(target):
    m = Model(X, 0.5)
    value, g = adc.value_and_grad(of_model, argnums=1, target=target)(m, X)
    close(value, (np.sum(X * X) + 0.5) ** 2)
    close(g, 2 * (np.sum(X * X) + 0.5) * X)


def test_dataclass_gradient():
    g = adc.grad(of_frozen)(Frozen(2.0, (3.0,)))
    assert type(g) is Frozen
    close(g.a, 36.0)
    close(g.inner[0], 8.0)


def test_a_static_leaf_cannot_be_differentiated():
    with pytest.raises(adc.UnsupportedError, match="cannot be differentiated"):
        adc.grad(of_model)(Model(X, 0.5), X)


def containers(x):
    return {"twice": 2 * x, "pair": (np.sum(x), [x[0]])}


@both
def test_containers_out(target):
    out = adc.jit(containers, target=target)(X)
    close(out["twice"], 2 * X)
    close(out["pair"][0], np.sum(X))
    close(out["pair"][1][0], X[0])
    jac = adc.jacrev(containers, target=target)(X)
    close(jac["twice"], 2 * np.eye(3))
    close(jac["pair"][1][0], [1, 0, 0])


# ---------------------------------------------------------------- arguments


def three(x, y, z=2.0, *, scale=1.0):
    return scale * np.sum(x * y) * z


@both
def test_argnums(target):
    y = np.ones(3)
    close(adc.grad(three, argnums=1, target=target)(X, y), 2 * X)
    gx, gz = adc.grad(three, argnums=(0, 2), target=target)(X, y, 3.0)
    close(gx, 3 * y)
    close(gz, np.sum(X))
    (g,) = adc.grad(three, argnums=(0,), target=target)(X, y)
    close(g, 2 * y)
    close(adc.grad(three, argnums=-1, target=target)(X, y), 2 * X)
    close(adc.grad(three, target=target)(X, y, scale=5.0), 10 * y)


def test_argnums_out_of_range():
    with pytest.raises(adc.UnsupportedError, match="argnums=3"):
        adc.grad(three, argnums=3)(X, X)


def with_aux(x, y):
    z = x * y
    return np.sum(z**2), {"z": z, "n": len(x)}


@both
def test_has_aux(target):
    g, aux = adc.grad(with_aux, has_aux=True, target=target)(X, X)
    close(g, 2 * X**3)
    close(aux["z"], X * X)
    assert aux["n"] == 3
    (value, aux), g = adc.value_and_grad(with_aux, has_aux=True, argnums=(0, 1), target=target)(X, X)
    close(value, np.sum(X**4))
    close(g[1], 2 * X**3)
    jac, aux = adc.jacfwd(lambda x: (x * x, x), has_aux=True, target=target)(X)
    close(jac, np.diag(2 * X))
    close(aux, X)


def test_has_aux_needs_a_pair():
    with pytest.raises(adc.UnsupportedError, match="value, aux"):
        adc.grad(three, has_aux=True)(X, X)


@adc.grad
def decorated(x):
    return np.sum(x**2)


@adc.value_and_grad(argnums=1)
def decorated_with(a, x):
    return a * np.sum(x**2)


def test_decorators():
    close(decorated(X), 2 * X)
    value, g = decorated_with(2.0, X)
    close(value, 2 * np.sum(X * X))
    close(g, 4 * X)
    assert decorated.__name__ == "decorated"


class Quadratic:
    def __init__(self, a):
        self.a = a

    def energy(self, x):
        return self.a * np.sum(x * x)

    @adc.grad(argnums=1)
    def slope(self, x):
        return self.a * np.sum(x * x)


def test_methods_and_partials():
    q = Quadratic(3.0)
    close(adc.grad(q.energy)(X), 6 * X)
    q.a = 4.0
    close(adc.grad(q.energy)(X), 8 * X)
    close(adc.grad(functools.partial(three, y=X))(X), 2 * X)


# ---------------------------------------------------------------- transformations


def smooth(x):
    return np.sum(np.sin(x) * x) + x[0] * x[1] ** 2


def smooth_hessian(x):
    h = np.diag(2 * np.cos(x) - x * np.sin(x))
    h[0, 1] += 2 * x[1]
    h[1, 0] += 2 * x[1]
    h[1, 1] += 2 * x[0]
    return h


@both
def test_second_order(target):
    h = smooth_hessian(X)
    v = np.array([1.0, -2.0, 0.5])
    close(adc.hessian(smooth, target=target)(X), h)
    close(adc.hvp(smooth, target=target)(X, v), h @ v)
    close(adc.jacrev(adc.grad(smooth), target=target)(X), h)
    close(adc.jacfwd(adc.grad(smooth), target=target)(X), h)
    close(adc.jvp(adc.grad(smooth), (X,), (v,), target=target)[1], h @ v)


def cubic(x):
    return x**3


@both
def test_nesting(target):
    close(adc.grad(adc.grad(adc.grad(cubic)), target=target)(2.0), 6.0)
    xs = np.linspace(-1, 2, 5)
    close(adc.vmap(adc.grad(cubic), target=target)(xs), 3 * xs**2)
    close(adc.grad(lambda x: np.sum(adc.vmap(cubic)(x)), target=target)(xs), 3 * xs**2)
    close(adc.vmap(adc.vmap(cubic), target=target)(xs.reshape(5, 1)), (xs**3).reshape(5, 1))


def test_inside_user_code():
    def outer(x):
        slope = adc.grad(cubic)(x)
        value, tangent = adc.jvp(cubic, (x,), (1.0,))
        out, pull = adc.vjp(cubic, x)
        return slope + tangent + pull(1.0)[0]

    close(outer(2.0), 36.0)
    close(adc.grad(outer)(2.0), 36.0)


def matrix(x):
    return np.outer(x, x)[:2] * x


@both
def test_jacobians_agree(target):
    a, b = adc.jacfwd(matrix, target=target)(X), adc.jacrev(matrix, target=target)(X)
    assert a.shape == (2, 3, 3)
    close(a, b)


@both
def test_jvp_and_vjp(target):
    v = np.array([1.0, 2.0, 3.0])
    out, dot = adc.jvp(lambda x: np.sin(x), (X,), (v,), target=target)
    close(out, np.sin(X))
    close(dot, np.cos(X) * v)
    out, pull = adc.vjp(lambda x, y: np.sin(x) * y, X, 2.0, target=target)
    gx, gy = pull(v)
    close(gx, 2 * np.cos(X) * v)
    close(gy, np.sin(X) @ v)


@both
def test_jvp_and_vjp_with_aux(target):
    out, dot, aux = adc.jvp(lambda x: (np.sum(x), {"x": x}), (X,), (np.ones(3),), has_aux=True, target=target)
    close([out, dot], [np.sum(X), 3.0])
    close(aux["x"], X)
    out, pull, aux = adc.vjp(lambda x: (np.sum(x * x), x[0]), X, has_aux=True, target=target)
    close(pull(1.0)[0], 2 * X)
    close(aux, X[0])


def test_a_pullback_keeps_its_point():
    x = X.copy()
    _, pull = adc.vjp(lambda x: np.sum(x * x), x)
    x[:] = 0.0
    close(pull(1.0)[0], 2 * X)


@both
def test_vmap_axes(target):
    A = np.arange(12.0).reshape(3, 4)
    close(adc.vmap(lambda a, s: np.sum(a) * s, in_axes=(1, None), target=target)(A, 2.0), 2 * A.sum(0))
    close(adc.vmap(lambda a: a * 2, out_axes=1, target=target)(A), 2 * A.T)
    p = {"w": A, "b": np.ones(3)}
    close(adc.vmap(lambda p: np.sum(p["w"]) + p["b"], target=target)(p), A.sum(1) + 1)


def branchy(x):
    total = 0.0
    while x > 1.0:
        x = x / 2.0
        total += x
    if x > 0.7:
        return total + x * x
    return total - x


@both
def test_vmap_of_branches(target):
    xs = np.array([0.2, 0.8, 3.0, 17.0])
    close(adc.vmap(branchy, target=target)(xs), [branchy(x) for x in xs])
    close(adc.vmap(adc.grad(branchy), target=target)(xs), [adc.grad(branchy, target="numpy")(x) for x in xs])


def test_vmap_mistakes():
    with pytest.raises(adc.UnsupportedError, match="in_axes has 1"):
        adc.vmap(three, in_axes=(0,))(X, X)
    with pytest.raises(adc.UnsupportedError, match="scalar"):
        adc.vmap(cubic)(2.0)
    with pytest.raises(adc.AdcError, match="sizes"):
        adc.vmap(lambda x, y: x * y)(np.ones(3), np.ones(4))


# ---------------------------------------------------------------- rules of the user's own


@adc.custom_vjp
def clipped(x, limit):
    return x


def _clipped_fwd(x, limit):
    return x, limit


def _clipped_bwd(limit, bar):
    return np.clip(bar, -limit, limit), None


clipped.defvjp(_clipped_fwd, _clipped_bwd)


@both
def test_custom_vjp(target):
    close(adc.grad(lambda x: np.sum(5.0 * clipped(x, 1.0)), target=target)(X), np.ones(3))
    close(adc.grad(lambda x: np.sum(0.5 * clipped(x, 1.0)), target=target)(X), np.full(3, 0.5))
    close(clipped(X, 1.0), X)
    close(adc.jit(lambda x: clipped(x, 1.0) * 2, target=target)(X), 2 * X)


@adc.custom_jvp
def half(x):
    return x * x


@half.defjvp
def _half_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return half(x), x * dx  # half of the true derivative, to see that it is used


@both
def test_custom_jvp(target):
    close(adc.jvp(half, (X,), (np.ones(3),), target=target)[1], X)
    close(adc.grad(lambda x: np.sum(half(x)), target=target)(X), X)


@adc.custom_jvp
def sine(x):
    return np.sin(x)


sine.defjvp(lambda primals, tangents: (sine(primals[0]), cosine(primals[0]) * tangents[0]))


@adc.custom_vjp
def cosine(x):
    return np.cos(x)


cosine.defvjp(lambda x: (cosine(x), x), lambda x, bar: (-sine(x) * bar,))


@both
def test_rules_that_call_their_function(target):
    close(adc.grad(sine, target=target)(0.5), np.cos(0.5))
    close(adc.grad(adc.grad(sine), target=target)(0.5), -np.sin(0.5))
    close(adc.grad(adc.grad(adc.grad(sine)), target=target)(0.5), -np.cos(0.5))


@adc.custom_jvp
def own(x):
    return x * x


own.defjvp(lambda primals, tangents: (own(primals[0]), 2.0 * own(primals[0]) / primals[0] * tangents[0]))


def test_rules_of_too_high_an_order():
    f = own
    for k, want in enumerate((6.0, 2.0, 0.0, 0.0)):
        f = adc.grad(f, target="numpy")
        np.testing.assert_allclose(f(3.0), want, atol=1e-12)
    with pytest.raises(adc.UnsupportedError, match="order 5"):
        adc.grad(f, target="numpy")(3.0)


def test_a_rule_is_needed():
    @adc.custom_vjp
    def nothing(x):
        return x

    with pytest.raises(adc.UnsupportedError, match="has no rule"):
        adc.grad(lambda x: np.sum(nothing(x)))(X)


@both
def test_stop_gradient(target):
    close(adc.grad(lambda x: np.sum(x * adc.stop_gradient(x)), target=target)(X), X)
    close(adc.jvp(lambda x: x * adc.stop_gradient(x), (3.0,), (1.0,), target=target)[1], 3.0)
    assert adc.stop_gradient(3.0) == 3.0


@adc.checkpoint
def block(x):
    for _ in range(3):
        x = np.sin(x) * x
    return x


def chained(x, n):
    for _ in range(n):
        x = block(x)
    return np.sum(x)


def unchecked(x, n):
    for _ in range(n):
        for _ in range(3):
            x = np.sin(x) * x
    return np.sum(x)


@both
def test_checkpoint(target):
    close(adc.grad(chained, target=target)(X, 4), adc.grad(unchecked, target="numpy")(X, 4))
    close(adc.grad(adc.checkpoint(smooth), target=target)(X), adc.grad(smooth, target="numpy")(X))


def test_jit():
    f = adc.jit(unchecked)
    close(f(X, 3), unchecked(X, 3))
    close(f(np.ones(7), 2), unchecked(np.ones(7), 2))
    close(adc.grad(f)(X, 3), adc.grad(unchecked)(X, 3))


# ---------------------------------------------------------------- what comes back


@both
def test_float32_stays(target):
    g = adc.grad(smooth, target=target)(X.astype("f4"))
    assert g.dtype == np.float32
    close(g, adc.grad(smooth, target="numpy")(X), rtol=1e-5)


def mutating(a, b):
    a[1:] *= b[:-1]
    b[0] = 0.0
    return np.sum(a * a)


@both
def test_callers_arrays_are_never_changed(target):
    a, b = X.copy(), X.copy() + 2
    for f in (adc.grad(mutating, target=target), adc.value_and_grad(mutating, argnums=(0, 1), target=target), adc.jit(mutating, target=target), adc.hessian(mutating, target=target)):
        f(a, b)
        close(a, X)
        close(b, X + 2)
    report = check_grad(mutating, a, b, target=target)
    assert report, str(report)


@both
def test_results_do_not_share_memory(target):
    out = adc.jit(lambda x: (x, x[1:], x), target=target)(X)
    assert not any(np.shares_memory(o, X) for o in out)
    assert not np.shares_memory(out[0], out[1])
    out[0][:] = 7.0
    close(X[0], 0.3)


@both
def test_layouts_and_shapes(target):
    f = adc.grad(lambda A: np.sum(np.sin(A) * A), target=target)

    def want(A):
        return np.cos(A) * A + np.sin(A)

    A = np.arange(12.0).reshape(3, 4) / 5
    read_only = A.copy()
    read_only.flags.writeable = False
    for B in (A, np.asfortranarray(A), A[:, ::2], A.T, A.astype(">f8"), read_only, np.ones((2, 5)), np.ones((1, 4)), np.zeros((0, 4)), A[::-1]):
        close(f(B), want(np.asarray(B, float)))


# ---------------------------------------------------------------- errors


def test_errors():
    with pytest.raises(adc.UnsupportedError, match="one float scalar"):
        adc.grad(lambda x: x * 2)(X)
    with pytest.raises(adc.UnsupportedError, match="one float scalar"):
        adc.grad(lambda x: (x, x))(1.0)
    with pytest.raises(adc.UnsupportedError, match="int64 and cannot be differentiated"):
        adc.grad(cubic)(3)
    with pytest.raises(adc.UnsupportedError, match="int64"):
        adc.grad(smooth)(np.arange(3))
    with pytest.raises(adc.UnsupportedError, match="complex"):
        adc.grad(smooth)(X + 0j)
    with pytest.raises(adc.UnsupportedError, match="float16"):
        adc.grad(smooth)(X.astype("f2"))
    with pytest.raises(adc.UnsupportedError, match="needs a function"):
        adc.grad(3.0)
    with pytest.raises(adc.UnsupportedError, match="target 'gpu'"):
        adc.grad(cubic, target="gpu")
    with pytest.raises(adc.SourceError):
        adc.grad(eval("lambda x: x * x"))(1.0)
    with pytest.raises(adc.UnsupportedError, match="tuples"):
        adc.jvp(cubic, 1.0, 1.0)
    with pytest.raises(adc.AdcError):
        adc.jvp(lambda x: x, (X,), (np.ones(4),))


def mismatch(x, y):
    return np.sum(x + y)


@both
def test_shape_errors_name_the_line(target):
    f = adc.grad(mismatch, target=target)
    with pytest.raises(adc.ShapeError, match=r"test_api.py:\d+"):
        f(np.ones(3), np.ones(4))
    close(f(np.ones(4), np.ones(4)), np.ones(4))  # nothing is left behind
    with pytest.raises(ValueError):
        f(np.ones(5), np.ones(4))


def guarded(x):
    assert x > 0, "x must be positive"
    return np.log(x)


@both
def test_run_time_checks(target):
    f = adc.grad(guarded, target=target)
    close(f(2.0), 0.5)
    with pytest.raises(adc.CheckError, match="x must be positive"):
        f(-1.0)
    close(f(4.0), 0.25)


# ---------------------------------------------------------------- programs are kept


def test_made_anew_costs_no_compilation():
    compiled = adc.grad(smooth)
    compiled(X)
    programs = len(compiled.table.programs)
    for _ in range(3):
        again = adc.grad(smooth)
        close(again(X), compiled(X))
        assert again.table is compiled.table
    assert len(compiled.table.programs) == programs
    compiled(np.ones(50))
    assert len(compiled.table.programs) == programs


WEIGHT = np.array([1.0, 2.0, 3.0])


def uses_global(x):
    return np.sum(WEIGHT * x * x)


@both
def test_globals_are_inputs(target, monkeypatch):
    f = adc.grad(uses_global, target=target)
    close(f(X), 2 * WEIGHT * X)
    monkeypatch.setitem(globals(), "WEIGHT", np.array([5.0, 5.0, 5.0]))
    close(f(X), 10 * X)
    WEIGHT[0] = 1.0
    close(f(X), [2 * X[0], 10 * X[1], 10 * X[2]])


def threaded(x):
    return np.sum(np.exp(x) * x)


def test_threads():
    f = adc.grad(threaded)
    found: list[bool] = []

    def work(k):
        x = np.full(20, 0.1 * k)
        for _ in range(50):
            found.append(bool(np.allclose(f(x), np.exp(x) * (1 + x))))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 200 and all(found)


# ---------------------------------------------------------------- importing


def test_import_is_light():
    code = (
        "import sys, numpy, time; t = time.perf_counter(); import adc; t = time.perf_counter() - t\n"
        "heavy = {'numba', 'llvmlite', 'scipy', 'rich', 'click', 'gast'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert t < 0.15, t\n"
        "assert set(adc.__all__) <= set(dir(adc))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_names():
    for name in adc.__all__:
        assert getattr(adc, name).__doc__, name
    with pytest.raises(AttributeError):
        adc.nonsense  # noqa: B018


@pytest.mark.parametrize("target", ["numpy", "cpu"])
def test_sizes_that_disagree_name_the_statement_that_needed_them(target):
    def loss(w, X, y, v):
        z = X @ w
        r = z - y
        return np.sum(r * r) * np.sum(w + v)

    g = adc.grad(loss, target=target)
    w, X, y, v = np.ones(3), np.ones((5, 3)), np.ones(5), np.ones(3)
    assert np.shape(g(w, X, y, v)) == (3,)
    first = loss.__code__.co_firstlineno
    for args, line, name in (((w, X, y[:4], v), 2, "y"), ((w, X[:, :2], y, v), 1, "X"), ((w, X, y, v[:2]), 3, "v")):
        with pytest.raises(ValueError, match=f"argument {name} has") as e:
            g(*args)
        assert e.value.diagnostics[0].pos.line == first + line, str(e.value)


# ---------------------------------------------------------------- functions that are thrown away


@both
def test_a_function_goes_with_its_programs(target: str) -> None:
    """And with the data that its closure holds: gradients made in a loop keep none of it."""

    def made() -> tuple[Any, Any]:
        data = np.ones((5, 3))

        def loss(w):
            return np.sum((data @ w) ** 2)

        g = adc.grad(loss, target=target)
        g(np.ones(3))
        adc.value_and_grad(loss, target=target)(np.ones(3))
        g.source()
        return weakref.ref(loss), weakref.ref(data)

    loss, data = made()
    gc.collect()
    assert loss() is None and data() is None


def test_programs_are_the_functions_own() -> None:
    """A wrapper that `functools.wraps` dressed up as another function is not that function; nor is a copy of an object."""

    def square(x):
        return x * x

    @functools.wraps(square)
    def cube(x):
        return x * x * x

    assert adc.grad(square)(3.0) == 6.0

    @functools.wraps(square)
    def later(x):
        return x * x * x

    assert adc.grad(cube)(3.0) == adc.grad(later)(3.0) == 27.0 and adc.grad(square)(3.0) == 6.0
    assert len(compiled_programs(square)) == len(compiled_programs(later)) == 1

    @dataclasses.dataclass(frozen=True)
    class Scaled:
        by: float

        def __call__(self, x):
            return x * x * self.by

    one = Scaled(2.0)
    assert adc.grad(one)(3.0) == 12.0 == adc.grad(one)(3.0) and len(compiled_programs(one)) == 1
    for again in (copy.copy(one), copy.deepcopy(one)):
        assert adc.grad(again)(3.0) == 12.0 and again == one
    assert pickle.loads(pickle.dumps(vars(one)["__adc_tables__"])) == {}


# ---------------------------------------------------------------- wrappers


def square(x):
    return x * x


@functools.wraps(square)
def cube(x):
    return x * x * x


def doubled(f):
    @functools.wraps(f)
    def inner(*args, **kwargs):
        return 2.0 * f(*args, **kwargs)

    return inner


def timed(f):
    @functools.wraps(f)
    def inner(*args):
        start = time.time()
        return f(*args) + 0.0 * (time.time() - start)

    return inner


@doubled
def power(x, n=3.0):
    return x**n


@doubled
@doubled
def four_times(x):
    return x * x


@functools.lru_cache
def remembered(x):
    return 3.0 * x


@functools.wraps(np.sin)
def sine_of_twice(x):
    return np.sin(2.0 * x)


@np.errstate(all="ignore")
def quietly(x):
    return np.log(x)


def of_all(x):
    return cube(x) + power(x, n=2.0) + remembered(x) + sine_of_twice(x)


@both
@pytest.mark.parametrize(
    ("fun", "slope"),
    [(cube, 12.0), (power, 24.0), (four_times, 16.0), (remembered, 3.0), (sine_of_twice, 2.0 * np.cos(4.0)), (quietly, 0.5), (of_all, 12.0 + 8.0 + 3.0 + 2.0 * np.cos(4.0))],
)
def test_a_wrapper_is_read_as_it_is(fun, slope, target):
    """`functools.wraps` says what a function looks like, not what it does."""
    close(adc.grad(fun, target=target)(2.0), slope)
    close(adc.jit(fun, target=target)(2.0), fun(2.0))


@both
def test_what_a_wrapper_does_besides_is_refused(target):
    with pytest.raises(adc.UnsupportedError, match="time.time"):
        adc.grad(timed(square), target=target)(2.0)


def test_a_wrapper_around_another_function(tmp_path):
    """Programs on disk belong to the wrapper with what it calls: the same wrapper around something else is another."""
    code = """
        import functools, sys
        import adc
        def doubled(f):
            @functools.wraps(f)
            def inner(x):
                return 2.0 * f(x)
            return inner
        @doubled
        def f(x):
            return x ** POWER
        print(float(adc.grad(f)(3.0)))
    """
    for power, want in (("2", 12.0), ("3", 54.0), ("2", 12.0)):
        file = tmp_path / "wrapped.py"
        file.write_text(textwrap.dedent(code).replace("POWER", power))
        said = subprocess.run([sys.executable, str(file)], env={**os.environ, "ADC_CACHE_DIR": str(tmp_path / "cache")}, capture_output=True, text=True, check=True)
        assert float(said.stdout) == want
