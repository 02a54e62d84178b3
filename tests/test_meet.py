"""Loops that meet, tiles, and products by themselves: what the kernels of these programs must look like, and their numbers."""

from __future__ import annotations

import collections
import re
import subprocess
import sys
import types

import numpy as np
import pytest
from scipy import special

import adc
from adc.lower.text import Writer
from adc.testing import check_grads

RNG = np.random.default_rng(3)


def parts(source: str) -> list[str]:
    """The functions that workers run."""
    return [p for p in re.split(r"^(?=def )", source, flags=re.M) if re.match(r"def \w+_part", p)]


def agree(f, args, argnums):
    both = [adc.value_and_grad(f, argnums=argnums, target=t)(*args) for t in ("cpu", "numpy")]
    for a, b in zip(*(np.atleast_1d(v).ravel().tolist() + [x for g in gs for x in np.ravel(g)] for v, gs in both), strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12)


def mixture(weights, means, Q, x, penalty):
    """What depends on the components stands between what depends on the points."""
    away = x[:, None, :] - means[None]
    q = np.einsum("kde,nke->nkd", Q, away)
    scores = weights + np.sum(penalty * means, axis=1) - 0.5 * np.sum(q * q, axis=2)
    return np.sum(special.logsumexp(scores, axis=1)) - len(x) * special.logsumexp(weights) + np.sum(Q**2)


def test_a_mixture_in_array_form_is_one_pass():
    k, d, n = 3, 2, 300
    args = RNG.normal(size=k), RNG.normal(size=(k, d)), RNG.normal(size=(k, d, d)), RNG.normal(size=(n, d)), 0.3
    g = adc.value_and_grad(mixture, argnums=(0, 1, 2))
    over_points = [p for p in parts(g.kernel_source(*args)) if "x_n0" in p]
    assert len(over_points) == 1
    agree(mixture, args, (0, 1, 2))


def test_a_product_alone_is_a_call():
    def f(a, b):
        return a @ b

    def g(a, b):
        c = a @ b
        return c + a[0, 0]

    for dtype in (np.float64, np.float32):
        a, b = RNG.normal(size=(40, 30)).astype(dtype), RNG.normal(size=(30, 20)).astype(dtype)
        for fn in (f, g):
            kernel = adc.jit(fn)
            assert "run_product(" in kernel.kernel_source(a, b)
            np.testing.assert_allclose(kernel(a, b), fn(a, b), rtol=1e-12 if dtype is np.float64 else 1e-4, atol=1e-4 if dtype is np.float32 else 0)


def test_a_product_that_waits_for_another_row_stays():
    """Row i of the product adds to what row i - 1 left."""

    def f(a, b):
        c = np.zeros((len(a), b.shape[1]))
        for i in range(1, len(a)):
            c[i] = np.sin(c[i - 1]) + a[i] @ b
        return np.sum(c * c)

    agree(f, (RNG.normal(size=(6, 4)), RNG.normal(size=(4, 5))), (0, 1))


def recurrent(W, U, b, c, xs):
    h = np.zeros((xs.shape[1], U.shape[1]))
    total = 0.0
    for t in range(len(xs)):
        z = xs[t] @ W.T + h @ U.T + b + c
        h = np.tanh(z[:, : len(b) // 2]) / (1.0 + np.exp(-z[:, len(b) // 2 :]))
        total += np.sum(h * h)
    return total


def recurrent_args(batch=40, steps=5, d=6, n=8):
    return RNG.normal(size=(2 * n, d)) / 3, RNG.normal(size=(2 * n, n)) / 3, RNG.normal(size=2 * n), RNG.normal(size=2 * n), RNG.normal(size=(steps, batch, d))


def test_a_recurrent_net_treats_each_part_of_the_batch_over_all_steps():
    """Gradients of weights go straight into their totals, transposed where need be, so examples are outside and time is inside."""
    args = recurrent_args()
    source = adc.value_and_grad(recurrent, argnums=(0, 1, 2, 3)).kernel_source(*args)
    (body,) = parts(source)
    assert len(re.findall(r"^ +for \w+ in range\(xs_n0", body, re.M)) == 2  # forwards and backwards, both inside
    main = source[source.index("def recurrent_value_and_grad(") :]
    assert not re.search(r"^ +for \w+ in range\(xs_n0", main, re.M)
    agree(recurrent, args, (0, 1, 2, 3))


@pytest.mark.parametrize("batch", [1, 7, 8, 9, 33, 257])
def test_a_recurrent_net_with_batches_of_every_size(batch):
    agree(recurrent, recurrent_args(batch), (0, 1, 2, 3))


def test_arrays_that_change_places_inside_a_chunk():
    """Two states of a step: their rows change places in each chunk by themselves."""

    def f(a, b, M, steps):
        for _ in range(steps):
            a, b = np.tanh(b @ M), a @ M * 0.5
        return np.sum(a * b)

    agree(f, (RNG.normal(size=(90, 5)), RNG.normal(size=(90, 5)), RNG.normal(size=(5, 5)), 4), (0, 1, 2))
    before = adc.get_num_threads()
    args = RNG.normal(size=(900, 16)), RNG.normal(size=(900, 16)), RNG.normal(size=(16, 16)), 5
    try:
        adc.set_num_threads(1)
        one = adc.grad(f, argnums=2)(*args)
        adc.set_num_threads(2)
        np.testing.assert_array_equal(adc.grad(f, argnums=2)(*args), one)
    finally:
        adc.set_num_threads(before)


def test_a_sum_that_goes_into_two_totals_in_two_orders():
    def f(u, v, X):
        y = X @ u + X @ v.T + np.sum(u) * 0.1
        return np.sum(np.sin(y))

    assert check_grads(f, RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=(5, 3)))
    agree(f, (RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=(50, 3))), (0, 1))


def test_one_exponential_for_a_sigmoid_and_its_slope():
    def f(x):
        return np.sum((1.0 / (1.0 + np.exp(-x))) ** 2)

    x = np.array([-800.0, -705.0, -30.0, -1.0, 0.0, 3.0, 30.0, 705.0, 800.0])
    g = adc.grad(f)
    assert set(re.findall(r"math\.exp\(([^)]*)\)", g.kernel_source(x))) == {"-x[i]"}
    e = np.exp(-np.abs(x))
    y = np.where(x < 0, e, 1.0) / (1.0 + e)
    np.testing.assert_allclose(g(x), 2.0 * y * e / (1.0 + e) ** 2, rtol=1e-12)


def test_compiling_loads_no_part_of_numba_that_kernels_do_without():
    """SciPy's BLAS, Numba's containers and its run-time for objects cost more than a kernel of ten lines."""
    code = (
        "import sys, tempfile, os; os.environ['ADC_CACHE_DIR'] = tempfile.mkdtemp()\n"
        "import numpy as np\n"
        "from numba.core.runtime.nrt import rtsys\n"
        "from tests.test_meet import recurrent, recurrent_args\n"
        "del sys.modules['scipy.special']; before = set(sys.modules)\n"
        "import adc\n"
        "adc.grad(recurrent)(*recurrent_args())\n"
        "print(sorted(m for m in set(sys.modules) - before if m in ('scipy.linalg', 'numba.np.arraymath')), rtsys._init)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"], done.stdout + done.stderr


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 9, 12])
def test_powers_are_products(n):
    def f(x):
        return np.sum(x**n) + np.sum(x ** (-n))

    x = np.array([-1.3, 0.4, 2.0])
    agree(f, (x,), (0,))
    assert adc.jit(lambda i: i**n)(np.array([-3, 2])).tolist() == [(-3) ** n, 2**n]


def stencil(u, k, steps):
    for _ in range(steps):
        new = u.copy()
        c = u[1:-2, 2:-1]
        new[1:-2, 2:-1] = c + k * (u[:-3, 2:-1] + u[2:-1, 2:-1] - 2.0 * c) + 0.05 * (c - c * c * c)
        u = new
    return np.sum(u * u * u)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_stencil_and_its_state_change_places(steps):
    args = RNG.normal(size=(7, 9)), 0.2, steps
    source = adc.jit(stencil).kernel_source(*args)
    main = source[source.index("def stencil(") :]
    assert "hold = " in main and main.count("for i_1 in range") <= 1  # the step itself, and no copy after it
    before = args[0].copy()
    np.testing.assert_allclose(adc.jit(stencil)(*args), stencil(*args), rtol=1e-12)
    agree(stencil, args, (0, 1))
    np.testing.assert_array_equal(args[0], before)


def test_a_state_whose_border_changes_too_is_copied():
    def f(u, steps):
        for i in range(steps):
            new = u.copy()
            new[1:-1] = 0.5 * (u[:-2] + u[2:])
            new[0] = u[0] * 0.9 + i
            u = new
        return np.sum(u * u)

    agree(f, (RNG.normal(size=9), 5), (0,))
    assert adc.jit(f)(np.arange(6.0), 3) == pytest.approx(f(np.arange(6.0), 3))


def test_a_state_that_is_an_index_too():
    """The new state's elements say where to add, and how often, before the two change places."""

    def f(u, w, steps):
        total = 0.0
        for _ in range(steps):
            new = u.copy()
            new[1:-1] = 0.5 * (u[:-2] + u[2:]) + 1.0
            for i in range(1, len(u) - 1):
                total += w[int(new[i]) % len(w)] * new[i]
            u = new
        return total + np.sum(u * u)

    agree(f, (np.array([0.2, 3.1, 1.7, 0.4, 2.6, 5.3]), RNG.normal(size=5), 4), (0, 1))
    args = np.array([0.2, 3.1, 1.7, 0.4, 2.6, 5.3]), RNG.normal(size=5), 4
    assert adc.jit(f)(*args) == pytest.approx(f(*args), rel=1e-12)


def test_sums_into_elements_of_the_gradient_leave_the_time_loop():
    """A Monte Carlo with arrays over paths: parameters come as one array, and the paths are outside, forwards and backwards."""

    def f(p, z):
        s, v = np.full(z.shape[1], p[0]), np.full(z.shape[1], p[1])
        for t in range(len(z)):
            root = np.sqrt(v)
            s = s * np.exp(root * z[t] - 0.5 * v)
            v = v + p[2] * (p[3] - v) + 0.1 * p[4] * root * z[t]
        return np.mean(np.maximum(s - 1.0, 0.0))

    args = np.array([1.0, 0.04, 0.1, 0.05, 0.02]), RNG.normal(size=(7, 40))
    source = adc.value_and_grad(f).kernel_source(*args)
    (body,) = parts(source)
    assert len(re.findall(r"^ +for \w+ in range\(z_n0", body, re.M)) == 2
    assert "in range(z_n0" not in source[source.index("def f_value_and_grad(") :]
    for steps in (0, 1, 9):
        agree(f, (args[0], RNG.normal(size=(steps, 30))), (0,))


def test_parts_that_are_alike_are_one_function():
    def f(params, x):
        for w, b in params:
            x = np.tanh(w @ x + b)
        return np.sum(x)

    params = [(RNG.normal(size=(3, 3)), RNG.normal(size=3)) for _ in range(5)]
    g = adc.value_and_grad(f)
    text = g.kernel_source(params, np.ones(3))
    parts = re.findall(r"^def (f_value_and_grad_part\w*)", text, re.M)
    calls = collections.Counter(re.findall(r"= run_(f_value_and_grad_part\w*)\(", text))
    assert parts == [f"f_value_and_grad_part{k}" for k in ("", "_1", "_2", "_3")]
    assert calls["f_value_and_grad_part"] == 4  # layers before the last, which adds up, too
    value, bars = g(params, np.ones(3))
    want, wanted = adc.value_and_grad(f, target="numpy")(params, np.ones(3))
    assert value == pytest.approx(want, rel=1e-12)
    for (w, b), (u, c) in zip(bars, wanted, strict=True):
        np.testing.assert_allclose(w, u, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(b, c, rtol=1e-10, atol=1e-14)


def test_a_number_is_no_name():
    """Parts whose texts differ in a number where the other has a name are two, whatever stands for names when they are compared."""
    names = types.SimpleNamespace(of={n: n for n in ("a", "b", "y", "n")}, give=lambda thing, hint: f"{hint}_{len(writer.parts)}")
    writer = Writer(types.SimpleNamespace(pool=None, name="f", routines={}), names)
    texts = ["y[n] = a * b", "y[n] = a * 3", "y[n] = a * a", "y[n] = 2 * b", "y[1] = a * b", "y[n] = a * 2"]
    made = [writer.once(None, [], text, []) for text in texts]
    assert len(set(made)) == len(texts)
    assert writer.once(None, [], "a[n] = y * b", []) == made[0]


def kernel_matrix(X, y, scale):
    """A matrix that loops fill, and that is looked at afterwards."""
    n, d = X.shape
    K = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            s = 0.0
            for k in range(d):
                s += (X[i, k] - X[j, k]) ** 2
            K[i, j] = np.exp(-0.5 * s / scale)
    return y @ K @ y


def test_a_filled_matrix_is_not_handed_from_one_iteration_to_the_next() -> None:
    """It became a number of each iteration, but stayed among what the loop carries: on one thread, element by element."""
    rng = np.random.default_rng(5)
    for n, d in ((1, 1), (7, 3), (150, 4)):
        args = rng.normal(size=(n, d)), rng.normal(size=n), 1.3
        (value, own), (other, plain) = (adc.value_and_grad(kernel_matrix, argnums=(0, 1, 2), target=t)(*args) for t in ("cpu", "numpy"))
        assert value == pytest.approx(other, rel=1e-12) and value == pytest.approx(kernel_matrix(*args), rel=1e-12)
        for a, b in zip(own, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    source = adc.value_and_grad(kernel_matrix).kernel_source(*args)
    assert source.count("_part(begin, end") == 1 and "for lane in range(lanes)" in source and "K[" not in source[source.rindex("\ndef ") :]
