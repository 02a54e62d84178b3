"""Sparse Jacobians and Hessians: patterns cover the derivative for all values, values are those of the dense ones."""

from __future__ import annotations

import numpy as np
import optree
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse

import adc
from adc.ir import Tensor, trace
from adc.ir.evaluate import evaluate_program
from adc.ops.core import PRIMITIVES
from adc.transform import colouring, jvp
from adc.transform.sparsity import detect
from tests.programs import load, programs

RNG = np.random.default_rng(5)


def dense(f, args, argnums=0):
    return adc.jacfwd(f, argnums=argnums, target="numpy")(*args)


def flat(tree):
    return optree.tree_leaves(tree, none_is_leaf=False)


def compare(f, args, argnums=0, exact=False, **options):
    """The sparse Jacobian is the dense one; `exact`: and has no entry too many."""
    options.setdefault("target", "numpy")
    made = flat(adc.jacobian(f, argnums=argnums, **options)(*args))
    want = flat(dense(f, args, argnums))
    assert len(made) == len(want)
    for m, d in zip(made, want, strict=True):
        d = np.reshape(d, m.shape)
        assert m.has_canonical_format
        np.testing.assert_allclose(m.toarray(), d, rtol=1e-12, atol=1e-14)
        if exact:
            assert m.nnz == np.count_nonzero(d), f"{m.nnz} entries for {np.count_nonzero(d)}"


# ---------------------------------------------------------------- patterns


def shifted(x):
    return x[1:] * x[:-1] + np.sin(x[1:])


def cumulated(x):
    return np.cumsum(x[::-1])[::2]


def heat(u):
    for _ in range(3):
        v = u.copy()
        v[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2]) * u[1:-1]
        u = v
    return u


def in_place(u):
    for i in range(1, len(u)):
        u[i] = u[i] * u[i - 1]
    return u


def matrices(x):
    a = np.reshape(x, (3, 4))
    return a.T @ np.array([1.0, 2.0, 3.0]), np.sum(a, axis=0) ** 2, a[1], np.max(a, axis=1)


def scattered(x):
    idx = np.array([4, 0, 4, 2])
    out = np.zeros(6)
    np.add.at(out, idx, x[:4] ** 2)
    out[5] = x[11]
    return out, x[idx] * x[1:5]


def masked(x):
    return np.where(np.arange(len(x)) % 3 == 0, x * x[0], x[::-1] ** 2)


def flagged(x):
    out = np.zeros(len(x))
    for i in range(len(x)):
        if i % 2 == 0:
            out[i] = x[i] ** 2
        elif i > 3:
            out[i] = x[i - 3] * x[i]
    return out


def stopped(x):
    return adc.stop_gradient(x) * x[::-1] + np.floor(x) + np.sign(x) * 3.0


def counted(x):
    out = np.zeros(2 * len(x))
    k = 0
    for i in range(len(x)):
        out[k] = x[i] ** 2
        k += 2
    return out


def convolved(x):
    return np.convolve(x, np.array([1.0, -2.0, 1.0]), "valid")


def summed(x):
    total = 0.0
    for i in range(3):
        total += np.sin(x[2 * i])
    return np.stack([total, x[1] * x[3]])


def joined(x):
    return np.concatenate([x[3:5], np.outer(x[:2], x[2:4]).ravel(), np.sort(x[6:9])[:1] * 0.0 + x[6:9].sum()])


EXACT = [shifted, cumulated, heat, in_place, matrices, scattered, masked, flagged, stopped, counted, convolved, summed]


@pytest.mark.parametrize("f", EXACT, ids=lambda f: f.__name__)
def test_exact_pattern(f):
    x = RNG.uniform(0.5, 1.5, 12)
    # of a maximum any element may be the greatest; a block is as large as what its iteration may read
    compare(f, (x,), exact=f is not matrices, mode="forward")
    compare(f, (x,))


def test_pattern_is_for_all_values():
    def kinked(x):
        return np.where(x > 0.5, x * x[0], np.maximum(x, x[1]))

    pattern = adc.jacobian(kinked, target="numpy").pattern(np.full(4, 0.7)).toarray()
    for _ in range(5):
        assert not np.any((dense(kinked, (RNG.uniform(size=4),)) != 0) & ~pattern)
    compare(joined, (RNG.uniform(size=9),))


def looped(x, n):
    y = x * 1.0
    for _ in range(n):
        y = np.concatenate([y[1:], y[:1]]) * y[0]
    return y


def test_loops_and_unknown_trip_counts():
    def until(x):
        y = x * 1.0
        while y[0] < 100.0:
            y = 2.0 * y
            y[1:] = y[1:] + y[:-1]
        return y

    compare(looped, (RNG.uniform(1, 2, 5), 2))
    pattern = adc.jacobian(until, target="numpy").pattern(np.ones(4)).toarray()
    assert np.array_equal(pattern, np.tril(np.ones((4, 4), bool)))  # however often it runs


def searched(x, t):
    return x[np.searchsorted(np.array([0.0, 1.0, 2.0]), t)] * t


def test_unknown_index_may_be_anywhere():
    def at_own(x):
        k = int(np.floor(x[0] * 3.0))
        return x[k] * x

    pattern = adc.jacobian(at_own, target="numpy").pattern(np.full(3, 0.4)).toarray()
    assert pattern.all()
    compare(searched, (np.ones(5), RNG.uniform(0, 3, 6)), exact=True)  # known: no sweep for the times
    compare(searched, (np.ones(5), RNG.uniform(0, 3, 6)), argnums=(0, 1))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
@given(programs(), st.integers(0, 2))
def test_random_programs(text, n):
    f = load(text.replace("return np.sum(a * b) + s * t", "return a * b + s * t").replace("+ np.sum(a)\n", "+ a\n"))
    point = tuple(RNG.uniform(-1, 1, (2, 4)))
    compare(f, (*point, n), (0, 1))


def primitive_samples():
    for name, prim in sorted(PRIMITIVES.items()):
        for k, s in enumerate(prim.samples() if prim.jvp is not None else ()):
            floats = [j for j, a in enumerate(s.args) if np.asarray(a).dtype == np.float64]
            if s.differentiable and floats and sum(np.size(s.args[j]) for j in floats) <= 24:
                yield pytest.param(prim, s, floats, id=f"{name}-{k}")


@pytest.mark.parametrize("prim, sample, floats", primitive_samples())
def test_every_primitive(prim, sample, floats):
    args = [np.asarray(a) for a in sample.args]
    fn = trace("f", tuple(Tensor(a.dtype, a.shape) for a in args), lambda *xs: tuple(np.atleast_1d(prim(*xs, **sample.params))))
    found = detect(fn, args, tuple(floats)).patterns
    sizes = [args[k].size for k in floats]
    d = jvp(fn, tuple(k in floats for k in range(len(args))))
    values = sum(r.type.is_float for r in fn.results)
    for column in range(sum(sizes)):
        unit = np.zeros(sum(sizes))
        unit[column] = 1.0
        dots = [u.reshape(args[k].shape)[()] for u, k in zip(np.split(unit, np.cumsum(sizes)[:-1]), floats, strict=True)]
        moved = evaluate_program(d, [*args, *dots])[len(fn.results) :]
        assert len(moved) == values
        for pattern, dot in zip(found, moved, strict=True):
            assert not np.any((np.ravel(dot) != 0) & ~pattern.toarray()[:, column])


# ---------------------------------------------------------------- rules


@adc.custom_jvp
def straight_through(x):
    return np.round(x)


straight_through.defjvp(lambda primals, tangents: (np.round(primals[0]), tangents[0]))


@adc.custom_vjp
def rolled(x):
    return x[::-1] * x[0]


rolled.defvjp(lambda x: (x[::-1] * x[0], x), lambda x, bar: (bar * x,))


@adc.custom_jvp
def odd(x):
    return x * 2.0


odd.defjvp(lambda primals, tangents: (primals[0] * 2.0, tangents[0][::-1]))


def test_custom_rules_give_the_pattern():
    x = RNG.uniform(1, 2, 6)
    for f in (lambda x: straight_through(x) * 2.0, lambda x: odd(x)[1:] * 3.0):
        compare(f, (x,), exact=True, mode="forward")
    made = adc.jacobian(lambda x: rolled(x), target="numpy", mode="reverse")(x)
    assert made.nnz == 6
    np.testing.assert_allclose(made.toarray(), np.diag(x))


# ---------------------------------------------------------------- colours


def banded(n, width):
    return sparse.csr_array(sparse.diags_array([np.ones(n - abs(k)) for k in range(-width, width + 1)], offsets=range(-width, width + 1)), dtype=bool)


def test_tridiagonal_needs_three_colours():
    assert colouring.columns(banded(50, 1)).count == 3
    assert colouring.star(banded(50, 1)).count == 3
    J = adc.jacobian(lambda x: x[2:] - 2.0 * x[1:-1] ** 2 + x[:-2], target="numpy")
    assert [J.colours(np.ones(n)) for n in (5, 100)] == [3, 3]


def arrow(x):
    return np.sum(x[0] * np.sin(x)) + np.sum(x**3)


def test_arrow_needs_two_products():
    x = RNG.uniform(size=9)
    H = adc.sparse_hessian(arrow, target="numpy")
    assert H.colours(x) == 2
    np.testing.assert_allclose(H(x).toarray(), adc.hessian(arrow, target="numpy")(x), rtol=1e-12)


def test_dense_row_and_dense_column():
    def wide(x):
        return np.concatenate([np.reshape(np.sum(x) ** 2, (1,)), x[:-1] ** 2])

    def tall(x):
        return x[0] * x

    x = RNG.uniform(1, 2, 8)
    assert adc.jacobian(wide, target="numpy").mode_of(x) == "reverse"
    assert adc.jacobian(wide, target="numpy").colours(x) == 2
    assert adc.jacobian(tall, target="numpy").mode_of(x) == "forward"
    for f in (wide, tall):
        for mode in ("auto", "forward", "reverse"):
            compare(f, (x,), exact=True, mode=mode)


def is_star_colouring(adjacent, colour):
    """By the definition: neighbours differ, paths of four vertices have three colours."""
    for a in range(len(adjacent)):
        for b in adjacent[a]:
            if colour[a] == colour[b]:
                return False
            for c in adjacent[b] - {a}:
                for d in adjacent[c] - {a, b}:
                    if len({colour[a], colour[b], colour[c], colour[d]}) < 3:
                        return False
    return True


@pytest.mark.parametrize("seed", range(40))
def test_colourings_of_random_patterns(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 14))
    half = rng.uniform(size=(n, n)) < rng.uniform(0, 0.4)
    full = half | half.T | np.eye(n, dtype=bool)
    if seed % 3 == 0:
        full[0] = full[:, 0] = True
    pattern = sparse.csr_array(full)
    found = colouring.star(pattern)
    assert is_star_colouring([set(np.flatnonzero(full[k]).tolist()) - {k} for k in range(n)], found.colour)
    # and every entry comes back from the compressed matrix
    values = np.where(full, rng.uniform(1, 2, (n, n)), 0.0)
    values = values + values.T
    compressed = np.stack([values[:, found.colour == c].sum(axis=1) for c in range(found.count)])
    c, r = colouring.recover_star(pattern, found)
    np.testing.assert_allclose(compressed[c, r], values[full])
    by_column = colouring.columns(sparse.csr_array(half))
    for c in range(by_column.count):
        assert half[:, by_column.colour == c].sum(axis=1).max(initial=0) <= 1


# ---------------------------------------------------------------- blocks


def turned(rot, x):
    squared = rot[0] * rot[0] + rot[1] * rot[1] + rot[2] * rot[2]
    if squared > 0.0:
        angle = np.sqrt(squared)
        c, s, w = np.cos(angle), np.sin(angle), rot / angle
        cross = np.array([w[1] * x[2] - w[2] * x[1], w[2] * x[0] - w[0] * x[2], w[0] * x[1] - w[1] * x[0]])
        return x * c + cross * s + w * (np.sum(w * x) * (1.0 - c))
    return x + np.array([rot[1] * x[2] - rot[2] * x[1], rot[2] * x[0] - rot[0] * x[2], rot[0] * x[1] - rot[1] * x[0]])


def projected(camera, x):
    p = turned(camera[:3], x - camera[3:6])
    return p[:2] / p[2] * camera[6] + camera[7:9]


def residual(camera, point, weight, feature):
    return weight * (projected(camera, point) - feature)


def observed(cameras, points, weights, seen, features):
    r = np.zeros((len(seen), 2))
    for i in range(len(seen)):
        r[i] = weights[i] * (projected(cameras[seen[i, 0]], points[seen[i, 1]]) - features[i])
    return r, 1.0 - weights * weights


def mapped(cameras, points, weights, seen, features):
    return adc.vmap(residual)(cameras[seen[:, 0]], points[seen[:, 1]], weights, features), 1.0 - weights * weights


def in_one(cameras, points, weights, seen, features):
    r, w = observed(cameras, points, weights, seen, features)
    return np.concatenate([w, r.T.ravel()])


def scene(n=9, cameras=3, points=5):
    at = RNG.uniform(-1, 1, (cameras, 9))
    at[:, 5] -= 8.0
    at[0, :3] = 0.0  # no rotation: the other branch
    seen = np.stack([np.arange(n) % cameras, (3 * np.arange(n)) % points], 1)
    return at, RNG.uniform(-1, 1, (points, 3)), RNG.uniform(1, 2, n), seen, RNG.uniform(-1, 1, (n, 2))


@pytest.mark.parametrize("f", [observed, mapped, in_one], ids=lambda f: f.__name__)
def test_residual_blocks(f):
    args = scene()
    assert adc.jacobian(f, argnums=(0, 1, 2), target="numpy").mode_of(*args).startswith("blocks")
    compare(f, args, argnums=(0, 1, 2))
    if f is observed:
        compare(f, args, argnums=(2, 1))


def test_residual_blocks_compiled():
    args = scene()
    compare(observed, args, argnums=(0, 1, 2), target="cpu")


def test_blocks_as_bsr():
    args = scene()
    J = adc.jacobian(observed, argnums=(0, 1), format="bsr", target="numpy")(*args)
    D = dense(observed, args, (0, 1))
    for k, width in ((0, 9), (1, 3)):
        assert J[0][k].format == "bsr" and J[0][k].blocksize == (2, width)
        np.testing.assert_allclose(J[0][k].toarray(), np.reshape(D[0][k], J[0][k].shape), rtol=1e-12, atol=1e-14)
    with pytest.raises(adc.UnsupportedError, match="bsr"):
        adc.jacobian(heat, format="bsr", target="numpy")(np.ones(6))


def windows(x, rows):
    out = np.zeros(len(rows))
    for i in range(len(rows)):
        total = 0.0
        for k in range(3):
            total += np.sin(x[rows[i], k]) * (k + 1.0)
        if rows[i] > 0:
            total += x[rows[i] - 1, 0] ** 2
        out[i] = total
    return out


def added(x, rows):
    out = np.zeros(4)
    for i in range(len(rows)):
        out[rows[i]] += np.sin(x[i]) * x[i + 1]
    return out


def overwritten(x, rows):
    out = np.zeros(4)
    for i in range(len(rows)):
        out[rows[i]] = x[i] * x[i + 1]
    return out


def fitted(theta, t):
    out = np.zeros(len(t))
    for i in range(len(t)):
        out[i] = theta[0] * np.exp(-theta[1] * t[i]) + theta[2]
    return out


def pairs(x):
    out = np.zeros((len(x), 3))
    for i in range(len(x)):
        out[i] = x[i] * x[(i + 1) % len(x)]
    return out


def vectors(x, data):
    out = np.zeros((len(data), len(data[0])))
    for i in range(len(data)):
        out[i] = np.tanh(data[i] * x[i]) + x[i + 1]
    return out


def backwards(x, rows):
    out = np.zeros(4)
    for i in range(len(rows) - 1, -1, -1):
        out[rows[i]] = x[i] ** 2
    return out


BLOCKS = [
    (windows, (RNG.uniform(size=(4, 3)), np.array([3, 0, 1, 1, 2]))),
    (added, (RNG.uniform(size=7), np.array([3, 0, 3, 1, 1, 2]))),
    (overwritten, (RNG.uniform(size=7), np.array([3, 0, 3, 1, 1, 2]))),
    (backwards, (RNG.uniform(size=7), np.array([3, 0, 3, 1, 1, 2]))),
    (fitted, (np.array([1.0, 0.3, 0.1]), np.linspace(0, 1, 6))),
    (pairs, (RNG.uniform(size=(5, 3)),)),
    (vectors, (RNG.uniform(size=6), RNG.uniform(size=(5, 20)))),
]


@pytest.mark.parametrize("f, args", BLOCKS, ids=lambda x: getattr(x, "__name__", ""))
def test_blocks_of_loops(f, args):
    J = adc.jacobian(f, target="numpy")
    if f is not backwards:  # counting down is another loop for the front end; colours do as well
        assert J.mode_of(*args) == "blocks"
    compare(f, args)
    compare(f, args, mode="forward")
    compare(f, args, mode="reverse")


def test_blocks_follow_their_indices():
    args = scene()
    J = adc.jacobian(observed, argnums=(0, 1), target="numpy")
    for _ in range(2):
        for m, d in zip(flat(J(*args)), flat(dense(observed, args, (0, 1))), strict=True):
            np.testing.assert_allclose(m.toarray(), np.reshape(d, m.shape), rtol=1e-12, atol=1e-14)
        args[3][:] = args[3][::-1].copy()


def test_loops_with_memory_have_no_blocks():
    x = RNG.uniform(1, 2, 6)
    assert adc.jacobian(in_place, target="numpy").mode_of(x) == "forward"
    with pytest.raises(adc.UnsupportedError, match="iterations"):
        adc.jacobian(in_place, mode="blocks", target="numpy")(x)


def test_index_out_of_bounds_is_told():
    args = list(scene())
    J = adc.jacobian(observed, target="numpy")
    J(*args)
    args[3] = args[3] + 4
    with pytest.raises(adc.CheckError, match="out of bounds"):
        J(*args)


# ---------------------------------------------------------------- plans


def taken(x, idx):
    return x[idx] ** 2 * x[0]


def test_found_again_when_indices_or_sizes_change():
    x, idx = RNG.uniform(1, 2, 6), np.array([1, 2, 3])
    J = adc.jacobian(taken, target="numpy")
    for change in (np.array([1, 2, 3]), np.array([5, 2, 0]), np.array([1, 2, 3])):
        idx[:] = change  # in place: the array is the same object
        np.testing.assert_allclose(J(x, idx).toarray(), dense(taken, (x, idx)), rtol=1e-12)
    assert len(next(iter(J.table().values()))) == 2
    compare(taken, (RNG.uniform(1, 2, 9), np.arange(8)))
    for n in (1, 2, 3):  # an extent of 1 is a program of its own
        compare(taken, (RNG.uniform(1, 2, n), np.zeros(n, int)))


def test_values_that_decide_nothing_are_not_compared():
    J = adc.jacobian(searched, argnums=0, target="numpy")
    x, t = np.ones(5), np.array([0.5, 1.5])
    J(x, t)
    plan = J.plan((x, t), {})[0]
    assert [k for k, _ in plan.decided] == [1]
    assert J.plan((2 * x, t), {})[0] is plan
    assert J.plan((x, t + 1.0), {})[0] is not plan


SCALE = np.array([1.0, 2.0])


def test_reads_what_is_outside():
    def scaled(x):
        return x[1:] * SCALE

    compare(scaled, (np.ones(3),), exact=True)


def test_result_is_the_callers_own():
    J = adc.jacobian(shifted, target="numpy")
    x = np.ones(4)
    first = J(x)
    first.data[:] = 0.0
    assert J(x).nnz == 6 and np.all(J(x).data != 0)
    with pytest.raises(ValueError, match="read-only"):
        first.eliminate_zeros()
    assert first.copy().toarray().sum() == 0


# ---------------------------------------------------------------- patterns given


def test_given_pattern():
    x = RNG.uniform(1, 2, 8)
    pattern = banded(8, 1)
    compare(heat, (x,), sparsity=sparse.csr_array(banded(8, 3)))
    with pytest.raises(adc.CheckError, match="lacks entries in row 1"):
        adc.jacobian(heat, sparsity=pattern, target="numpy")(x)
    adc.jacobian(heat, sparsity=pattern, check=False, target="numpy")(x)
    with pytest.raises(adc.ShapeError, match=r"shape \(7, 7\)"):
        adc.jacobian(heat, sparsity=banded(7, 1), target="numpy")(x)
    J = adc.jacobian(heat, sparsity="dense", target="numpy")
    assert J(x).nnz == 64 and J.colours(x) == 8
    compare(heat, (x,), sparsity="dense")


def test_given_hessian_pattern():
    x = RNG.uniform(1, 2, 6)
    want = adc.hessian(arrow, target="numpy")(x)
    pattern = np.eye(6, dtype=bool)
    with pytest.raises(adc.CheckError, match="lacks entries"):
        adc.sparse_hessian(arrow, sparsity=sparse.csr_array(pattern), target="numpy")(x)
    pattern[0] = True  # one triangle is enough
    np.testing.assert_allclose(adc.sparse_hessian(arrow, sparsity=sparse.csr_array(pattern), target="numpy")(x).toarray(), want, rtol=1e-12)
    assert adc.sparse_hessian(arrow, sparsity="dense", target="numpy")(x).nnz == 36


# ---------------------------------------------------------------- structures


def trees(p, q):
    return {"a": p["a"][1:] * q, "b": (np.sum(p["b"] * p["a"]), p["b"] * 1.0)}


def test_trees_of_arguments_and_results():
    args = ({"a": RNG.uniform(size=3), "b": 2.0}, 3.0)
    made = adc.jacobian(trees, argnums=(0, 1), target="numpy")(*args)
    assert made["b"][1][0]["a"].shape == (1, 3) and made["b"][1][0]["a"].nnz == 0
    compare(trees, args, argnums=(0, 1))
    compare(trees, args)


def test_keywords_and_nothing_to_differentiate():
    def scaled(x, *, k, scale=2.0):
        return x[k] * x * scale, np.ones(3)

    J = adc.jacobian(scaled, target="numpy")
    for words in ({"k": np.array([1, 0, 2])}, {"k": np.array([1, 0, 0]), "scale": 3.0}):
        made, nothing = J(np.arange(1.0, 4.0), **words)
        want = adc.jacfwd(scaled, target="numpy")(np.arange(1.0, 4.0), **words)
        np.testing.assert_allclose(made.toarray(), want[0])
        assert nothing.shape == (3, 3) and nothing.nnz == 0
    assert adc.jacobian(lambda x: np.ones(2) + 0.0 * np.floor(x[0]), target="numpy")(np.ones(3)).nnz == 0


def test_transformations_inside():
    args = scene()
    rows = (args[0][args[3][:, 0]], args[1][args[3][:, 1]], args[2], args[4])
    compare(adc.vmap(residual), rows, argnums=(0, 1, 2))
    assert adc.jacobian(adc.vmap(residual), target="numpy").mode_of(*rows) == "blocks"
    x = RNG.uniform(1, 2, 7)
    compare(adc.grad(rosenbrock), (x,), exact=True)


def test_other_types():
    x = RNG.uniform(1, 2, 6).astype(np.float32)
    J = adc.jacobian(shifted, target="numpy")(x)
    assert J.dtype == np.float32
    np.testing.assert_allclose(J.toarray(), dense(shifted, (x,)), rtol=1e-6)
    assert adc.jacobian(lambda x: x * x, target="numpy")(3.0).toarray().tolist() == [[6.0]]
    with pytest.raises(adc.UnsupportedError, match="dtype"):
        adc.jacobian(lambda x: x > 0.0, target="numpy")(x)
    with pytest.raises(adc.UnsupportedError, match="not a int"):
        adc.jacobian(3)
    with pytest.raises(adc.UnsupportedError, match="sparsity"):
        adc.jacobian(shifted, sparsity="sparse")
    with pytest.raises(adc.UnsupportedError, match="'fast'"):
        adc.jacobian(shifted, mode="fast")


def test_data_dependent_size_is_refused():
    with pytest.raises(adc.UnsupportedError, match="no pattern for all of them"):
        adc.jacobian(lambda x: np.reshape(np.sum(x[x > 0.5]), (1,)), target="numpy")(np.ones(3))


# ---------------------------------------------------------------- Hessians


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def terms(x, i, j):
    total = 0.0
    for k in range(len(i)):
        total += np.sin(x[i[k]] * x[j[k]]) + x[i[k]] ** 2
    return total


def test_hessians():
    x = RNG.uniform(size=10)
    for f, colours in ((rosenbrock, 3), (lambda x: np.sum(x**4), 1), (lambda x: np.sum(x) ** 2, 10)):
        H = adc.sparse_hessian(f, target="numpy")
        assert H.colours(x) == colours
        np.testing.assert_allclose(H(x).toarray(), adc.hessian(f, target="numpy")(x), rtol=1e-12, atol=1e-14)


def test_hessian_of_a_partially_separable_function():
    x, (i, j) = RNG.uniform(size=30), RNG.integers(0, 30, (2, 40))
    H = adc.sparse_hessian(terms, target="numpy")
    np.testing.assert_allclose(H(x, i, j).toarray(), adc.hessian(terms, target="numpy")(x, i, j), rtol=1e-12, atol=1e-14)
    assert H(x, i, j).nnz < 120 and H.colours(x, i, j) < 12


def test_hessian_of_several_arguments():
    def mixed(p, q):
        return np.sum(p["a"] ** 2 * p["b"]) + q[0] ** 2 * p["b"]

    args = ({"a": RNG.uniform(size=3), "b": 2.0}, RNG.uniform(size=4))
    made = adc.sparse_hessian(mixed, argnums=(0, 1), target="numpy")(*args)
    for m, d in zip(flat(made), flat(adc.hessian(mixed, argnums=(0, 1), target="numpy")(*args)), strict=True):
        np.testing.assert_allclose(m.toarray(), np.reshape(d, m.shape), rtol=1e-12)


# ---------------------------------------------------------------- compiled, and in use


def test_compiled():
    x = RNG.uniform(1, 2, 40)
    compare(shifted, (x,), target="cpu")
    H = adc.sparse_hessian(rosenbrock, target="cpu")
    np.testing.assert_allclose(H(x).toarray(), adc.hessian(rosenbrock, target="numpy")(x), rtol=1e-12, atol=1e-12)


def test_least_squares_takes_it():
    def broyden(x):
        padded = np.concatenate([np.zeros(1), x, np.zeros(1)])
        return (3.0 - 2.0 * x) * x - padded[:-2] - 2.0 * padded[2:] + 1.0

    J = adc.jacobian(broyden, target="numpy")
    done = optimize.least_squares(broyden, -np.ones(50), jac=J, tr_solver="lsmr")
    assert done.success and done.cost < 1e-15 and J.colours(-np.ones(50)) == 3
