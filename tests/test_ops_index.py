"""Indexing, shape and creation functions against NumPy: with symbolic sizes, exact sizes, run-time indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import adc.ops  # noqa: F401
from adc.errors import AdcError, CheckError, ShapeError, UnsupportedError
from adc.ir import F8, I8, Function, Sym, Tensor, build_for, guarding, literal, scalar, size, trace, walk
from adc.ir.evaluate import evaluate_program
from adc.ir.verify import verify
from adc.ops.core import METHODS, lookup
from adc.ops.index import add_at, getitem, index_text, setitem
from adc.ops.ranges import affine, inside, know, lower, upper
from adc.ops.structure import bind_size, size_value

S = slice
RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 6, 7))


def build(f: Callable[..., Any], args: tuple[Any, ...], symbolic: bool) -> Function:
    """`f` traced; equal extents share a symbol."""
    syms: dict[int, Any] = {}

    def dim(n: int) -> Any:
        return syms.setdefault(n, size(Sym("abcdefgh"[len(syms)]))) if symbolic and n > 1 else n

    types = tuple(Tensor(np.asarray(a).dtype, tuple(dim(n) for n in np.shape(a))) for a in args)

    def body(*xs: Any) -> tuple[Any, ...]:
        out = f(*xs)
        return tuple(out) if isinstance(out, tuple | list) else (out,)

    with guarding() as guards:
        fn = trace("f", types, body)
    return verify(Function(fn.name, fn.params, fn.body, tuple(guards)), "trace")


def agree(f: Callable[..., Any], want: Any, *args: Any) -> None:
    """`f` over values gives `want`, with symbolic and with exact sizes."""
    want = want if isinstance(want, tuple | list) else (want,)
    for symbolic in (True, False):
        got = evaluate_program(build(f, args, symbolic), args)
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            assert np.asarray(g).dtype == np.asarray(w).dtype
            np.testing.assert_allclose(g, w, rtol=1e-14)
            assert np.shape(g) == np.shape(w)


BASIC: list[tuple[Any, ...]] = [
    (0,),
    (-1,),
    (2, 3, 4),
    (-2, S(None), -1),
    (S(1, None),),
    (S(None, -1), S(2, 4)),
    (S(-3, -1), 0),
    (S(None, None, 2), S(1, None, 3), S(5, 1, -2)),
    (S(None, None, -1), S(None, None, -3)),
    (..., 0),
    (0, ..., 1),
    (None, 0),
    (S(1, 4), None, ..., None, 2),
    (...,),
    (),
    (S(-2, None), S(None, -4)),
    (S(4, 1, -1),),
    (S(-2, None, -1), S(-1, -4, -2)),
    (S(2, 2),),
    (S(3, 1),),
    (S(1, 3, -1),),
    (np.int64(2),),
    (S(np.int64(1), None),),
]
ADVANCED: list[tuple[Any, ...]] = [
    ([0, 2, -1],),
    (S(1, None), [0, 2, -1]),
    ([0, 2], [1, 3]),
    ([0, 2], S(None), [1, 3]),
    (0, S(None), [1, 3]),
    (0, [1, 3]),
    (S(None), 1, [0, -2]),
    (S(None), [0, 1], [2, 3]),
    ([[0], [1]], [2, 3]),
    (..., [0, 0]),
    (None, [0, 1], S(2, 5), None, [3, 4]),
    (S(None), S(None), [6, 5]),
    ([True, False, True, True, False],),
    (0, S(None), [0], None),
    ([1], ..., 2),
    (S(None, None, -1), [5, 0], S(1, -1)),
]


def as_numpy(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(np.array(p) if isinstance(p, list) else p for p in parts)


@pytest.mark.parametrize("parts", BASIC + ADVANCED, ids=str)
def test_getitem_setitem_add(parts: tuple[Any, ...]) -> None:
    at = as_numpy(parts)
    agree(lambda x: getitem(x, parts), X[at], X)
    part = X[at]
    for v in (np.float64(2.5), part[..., :1] + 1.0 if part.ndim else np.float64(1.0), part * 2):
        new, more = X.copy(), X.copy()
        new[at] = v
        np.add.at(more, at, v)
        agree(lambda x, y: setitem(x, parts, y), new, X, v)
        agree(lambda x, y: add_at(x, parts, y), more, X, v)


@pytest.mark.parametrize("parts", [S(2, 100), S(-100, None), S(100, None), S(10, 2, -1), S(None, -100, -2)], ids=str)
def test_slices_beyond_the_end(parts: slice) -> None:
    x = np.arange(5.0)
    fn = build(lambda a: getitem(a, (parts,)), (x,), False)
    np.testing.assert_array_equal(evaluate_program(fn, (x,))[0], x[parts])
    with pytest.raises(ShapeError):  # with symbolic sizes a guard sends the caller to exact ones
        evaluate_program(build(lambda a: getitem(a, (parts,)), (x,), True), (x,))


def test_every_run_time_slice() -> None:
    x = np.arange(4.0)
    bounds = [None, *range(-6, 7)]
    for step in (1, 2, -1, -2):
        for a in bounds:
            for b in bounds:
                given = tuple(np.int64(k) for k in (a, b) if k is not None)

                def read(v: Any, *ks: Any, a: Any = a, b: Any = b, step: int = step) -> Any:
                    rest = list(ks)
                    start = rest.pop(0) if a is not None else None
                    return getitem(v, (S(start, rest.pop(0) if b is not None else None, step),))

                got = evaluate_program(build(read, (x, *given), True), (x, *given))
                np.testing.assert_array_equal(got[0], x[S(a, b, step)])


def test_run_time_index() -> None:
    for k in (-5, 0, 4):
        i = np.int64(k)
        agree(lambda x, i: (getitem(x, (i,)), getitem(x, (S(1, None), i, [0, 1]))), (X[k], X[1:, k, [0, 1]]), X, i)
        new = X.copy()
        new[k, 2] = 1.5
        agree(lambda x, i: setitem(x, (i, 2), 1.5), new, X, i)
    with pytest.raises(CheckError, match="out of bounds"):
        evaluate_program(build(lambda x, i: getitem(x, (i,)), (X, np.int64(5)), True), (X, np.int64(5)))
    idx = np.array([[0, -1], [2, 2]])
    agree(lambda x, i: getitem(x, (i,)), X[idx], X, idx)
    agree(lambda x, i: getitem(x, (0, S(None), i)), X[0, :, idx], X, idx)
    with pytest.raises(CheckError, match="out of bounds"):
        evaluate_program(build(lambda x, i: getitem(x, (i,)), (X, idx + 4), True), (X, idx + 4))


def test_index_checked_once() -> None:
    fn = build(lambda x, i: (getitem(x, (i,)), setitem(x, (i,), 0.0), getitem(x, (i, 0))), (X, np.int64(1)), True)
    assert sum(s.prim.name == "check" for s in walk(fn.body)) == 1  # type: ignore[union-attr]


def test_window() -> None:
    x = np.arange(6.0)
    fn = build(lambda a, k: getitem(a, (S(k, k + 3),)), (x, np.int64(2)), True)
    assert fn.results[0].type.dims == (3,)
    np.testing.assert_array_equal(evaluate_program(fn, (x, np.int64(2)))[0], x[2:5])
    with pytest.raises(CheckError):
        evaluate_program(fn, (x, np.int64(4)))


def test_masks() -> None:
    m2 = X[:, :, 0] > 0
    for mask, parts in (
        (X > 0, lambda m: (m,)),
        (m2, lambda m: (m,)),
        (m2, lambda m: (m, 3)),
        (X[0] > 0, lambda m: (S(None), m)),
    ):
        agree(lambda x, m, p=parts: getitem(x, p(m)), X[parts(mask)], X, mask)
        for v in (np.float64(1.0), X[parts(mask)] * 2):
            new = X.copy()
            new[parts(mask)] = v
            agree(lambda x, m, p=parts, v=v: setitem(x, p(m), getitem(x, p(m)) * 2 if np.ndim(v) else v), new, X, mask)
            if not np.ndim(v) and parts(mask)[-1] is mask:
                fn = build(lambda x, m, p=parts: setitem(x, p(m), 1.0), (X, mask), True)
                assert not any(s.prim.name == "scatter" for s in walk(fn.body))  # type: ignore[union-attr]
    values = np.arange(float(m2.sum()))
    new = X.copy()
    new[m2, 0] = values
    agree(lambda x, m, v: setitem(x, (m, 0), v), new, X, m2, values)
    with pytest.raises(CheckError, match="broadcast"):
        evaluate_program(build(lambda x, m, v: setitem(x, (m, 0), v), (X, m2, values[1:]), True), (X, m2, values[1:]))
    agree(lambda m: lookup(np.nonzero)(m), np.nonzero(X > 0), X > 0)  # type: ignore[misc]
    agree(lambda m: lookup(np.where)(m), np.where(m2), m2)  # type: ignore[misc]
    agree(lambda m: lookup(np.argwhere)(m), np.argwhere(m2), m2)  # type: ignore[misc]
    agree(lambda m: lookup(np.flatnonzero)(m), np.flatnonzero(m2), m2)  # type: ignore[misc]


def test_store_casts() -> None:
    i = np.arange(5)
    new = i.copy()
    new[1:3] = 2
    agree(lambda x: setitem(x, (S(1, 3),), literal(2.7)), new, i)
    f = np.arange(4, dtype="f4")
    agree(lambda x: setitem(x, (0,), 1), np.array([1, 1, 2, 3], "f4"), f)
    with pytest.raises(UnsupportedError, match="added"):
        build(lambda x: add_at(x, (0,), literal(0.5)), (i,), True)


def test_refusals() -> None:
    for parts in ((1.5,), (True,), (0, 0, 0, 0), (..., ...), ("a",)):
        with pytest.raises(AdcError):
            build(lambda x, p=parts: getitem(x, p), (X,), True)
    with pytest.raises(ShapeError, match="index 5 is out of bounds for axis 0 with size 5"):
        build(lambda x: getitem(x, (5,)), (X,), False)
    with pytest.raises(UnsupportedError, match="step"):
        build(lambda x, k: getitem(x, (S(None, None, k),)), (X, np.int64(2)), True)


def test_loop_indices_need_no_check() -> None:
    n = size(Sym("n"))

    def body(x: Any) -> tuple[Any, ...]:
        def step(i: Any, s: Any) -> Any:
            know(i, 0, n - 3)
            j = i + 1
            assert affine(j - 1) == affine(i) and inside(j + 1, 0, n - 1) and not inside(j + 2, 0, n - 1)
            assert (lower(j), upper(j)) == (1, n - 2)
            window = getitem(x, (S(i, i + 3),))
            assert window.type.dims == (3,)
            tail, same = getitem(x, (S(j, None),)), getitem(x, (S(None, S(j, None).start),))
            assert getitem(x, (S(j, None),)).type.dims == tail.type.dims and same.type.rank == 1
            clipped = lookup(np.minimum)(i + 7, n - 1)  # type: ignore[misc]
            assert inside(clipped, 0, n - 1)
            wrapped = (i + 5) % n
            return (
                (
                    s
                    + getitem(x, (j,)) * getitem(x, (j + 1,))
                    + getitem(window, (0,))
                    + getitem(x, (clipped,))
                    + getitem(x, (wrapped,)),
                ),
                (),
                (),
            )

        return build_for(n - 2, (literal(0.0, F8),), step)[0]

    fn = verify(trace("f", (Tensor(F8, (n,)),), body), "trace")
    assert not any(getattr(s, "prim", None) is not None and s.prim.name in ("check", "where") for s in walk(fn.body))
    x = np.arange(1.0, 7.0)
    want = sum(x[i + 1] * x[i + 2] + x[i] + x[min(i + 7, 5)] + x[(i + 5) % 6] for i in range(4))
    assert evaluate_program(fn, (x,))[0] == want


def test_texts() -> None:
    n, m = size(Sym("n")), size(Sym("m"))
    texts = []
    cases = [
        (S(1, -1), 0),
        (0,),
        (S(None, -1),),
        (S(None, None, -1),),
        (S(None, None, 2), -1),
        (S(None), S(m - 2, None)),
        (S(5, 2, -1),),
        (S(-3, None),),
    ]
    with guarding():
        fn = trace("f", (Tensor(F8, (n, m)),), lambda x: tuple(getitem(x, c) for c in cases))
        for s in fn.body.stmts:
            if s.prim.name == "index":  # type: ignore[union-attr]
                texts.append(index_text(["x"], tuple(a.type for a in s.args), s.params, str))
        assert texts == ["1:-1, 0", "0", ":-1", "::-1", "::2, -1", ":, -2:", "5:2:-1", "-3:"]
        fn = trace("f", (Tensor(F8, (n, m)), scalar(I8)), lambda x, i: (getitem(x, (i, S(i, i + 3))),))
        (op,) = [s for s in fn.body.stmts if s.prim.name == "index"]  # type: ignore[union-attr]
        assert index_text(["x", "i", "i"], tuple(a.type for a in op.args), op.params, str) == "i, i:i + 3"


# ---------------------------------------------------------------- functions

A, B, V = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 6)), RNG.normal(size=6)
FUNCTIONS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (np.reshape, (A, (3, 8)), {}),
    (np.reshape, (A, (6, -1)), {}),
    (np.reshape, (A, -1), {}),
    (np.reshape, (A, (-1,)), {"order": "F"}),
    (np.ravel, (A,), {}),
    (np.transpose, (X,), {}),
    (np.transpose, (X, (1, 2, 0)), {}),
    (np.swapaxes, (X, 0, -1), {}),
    (np.moveaxis, (X, 0, -1), {}),
    (np.moveaxis, (X, (0, 1), (2, 0)), {}),
    (np.expand_dims, (V, 0), {}),
    (np.expand_dims, (V, (0, -1)), {}),
    (np.squeeze, (A[:1],), {}),
    (np.squeeze, (A[:1], 0), {}),
    (np.broadcast_to, (V, (4, 6)), {}),
    (np.atleast_1d, (np.float64(2.0),), {}),
    (np.atleast_2d, (V,), {}),
    (np.atleast_3d, (A,), {}),
    (np.concatenate, ([A, B],), {}),
    (np.concatenate, ([A, B], 1), {}),
    (np.concatenate, ([A, V],), {"axis": None}),
    (np.stack, ([A, B],), {}),
    (np.stack, ([A, B], -1), {}),
    (np.hstack, ([V, V],), {}),
    (np.hstack, ([A, B],), {}),
    (np.vstack, ([A, V],), {}),
    (np.column_stack, ([V, V],), {}),
    (np.dstack, ([A, B],), {}),
    (np.append, (A, V), {}),
    (np.split, (A, 2), {}),
    (np.split, (A, [1, 3], 1), {}),
    (np.array_split, (V, 4), {}),
    (np.hsplit, (A, 3), {}),
    (np.vsplit, (A, 2), {}),
    (np.tile, (V, 2), {}),
    (np.tile, (A, (2, 1)), {}),
    (np.tile, (V, (3, 2)), {}),
    (np.repeat, (V, 3), {}),
    (np.repeat, (A, 2), {"axis": 1}),
    (np.repeat, (A, [1, 0, 2, 1]), {"axis": 0}),
    (np.roll, (V, 2), {}),
    (np.roll, (A, 1), {"axis": 0}),
    (np.roll, (A, -2), {"axis": 1}),
    (np.roll, (A, (1, 2)), {"axis": (0, 1)}),
    (np.roll, (A, 1), {}),
    (np.flip, (A,), {}),
    (np.flip, (A, 1), {}),
    (np.fliplr, (A,), {}),
    (np.flipud, (A,), {}),
    (np.rot90, (A,), {}),
    (np.rot90, (A, 2), {}),
    (np.rot90, (A, -1), {}),
    (np.pad, (A, 1), {}),
    (np.pad, (A, ((1, 2), (0, 3))), {}),
    (np.pad, (V, (1, 2)), {"constant_values": 3.0}),
    (np.pad, (V, (1, 2)), {"constant_values": (3.0, 4.0)}),
    (np.pad, (A, 1), {"mode": "edge"}),
    (np.pad, (A, ((1, 2), (2, 0))), {"mode": "reflect"}),
    (np.pad, (A, 2), {"mode": "symmetric"}),
    (np.pad, (A, 2), {"mode": "wrap"}),
    (np.diff, (V,), {}),
    (np.diff, (A, 2), {"axis": 0}),
    (np.take, (A, [0, -1]), {}),
    (np.take, (A, [[0], [2]], 1), {}),
    (np.take, (A, [0, 9], 0), {"mode": "clip"}),
    (np.take_along_axis, (A, np.argsort(A, 1), 1), {}),
    (np.zeros, ((2, 3),), {}),
    (np.ones, (3,), {"dtype": np.float32}),
    (np.full, ((2,), 7), {}),
    (np.zeros_like, (A,), {}),
    (np.ones_like, (A,), {}),
    (np.full_like, (A, 2), {}),
    (np.eye, (3,), {}),
    (np.eye, (3, 4, 1), {}),
    (np.identity, (3,), {}),
    (np.tri, (3,), {}),
    (np.arange, (5,), {}),
    (np.arange, (2, 9, 3), {}),
    (np.arange, (9, 2, -2), {}),
    (np.arange, (0.0, 1.0, 0.25), {}),
    (np.linspace, (0, 1), {"num": 5}),
    (np.linspace, (0.0, 3.0, 4), {"endpoint": False}),
    (np.linspace, (V, V + 1, 3), {}),
    (np.array, ([1, 2, 3],), {}),
    (np.array, ([[1.0, 2.0], [3, 4]],), {}),
    (np.array, ([V, V],), {}),
    (np.asarray, (A,), {"dtype": np.float32}),
    (np.copy, (A,), {}),
    (np.float32, (2.5,), {}),
    (np.int64, (2.5,), {}),
    (np.meshgrid, (V, A[:, 0]), {}),
    (np.indices, ((2, 3),), {}),
    (np.insert, (V, 2, 5.0), {}),
    (np.compress, ([True, False, True, True], A), {"axis": 0}),
    (np.extract, (A > 0, A), {}),
]


def takes_arrays(x: Any) -> bool:
    return isinstance(x, np.ndarray)


@pytest.mark.parametrize(
    ("fn", "args", "kwargs"), FUNCTIONS, ids=[f"{f.__name__}{k}" for k, (f, _, _) in enumerate(FUNCTIONS)]
)
def test_functions(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    arrays: list[Any] = []

    def collect(x: Any) -> Any:
        if takes_arrays(x):
            arrays.append(x)
        elif isinstance(x, list | tuple):
            for y in x:
                collect(y)

    def put(x: Any, values: list[Any]) -> Any:
        if takes_arrays(x):
            return values.pop(0)
        return type(x)(put(y, values) for y in x) if isinstance(x, list | tuple) else x

    collect(args)
    want = fn(*args, **kwargs)
    answer = lookup(fn)
    assert answer is not None
    for symbolic in (True, False):
        built = build(lambda *xs: answer(*put(args, list(xs)), **kwargs), tuple(arrays), symbolic)
        got = evaluate_program(built, arrays)
        wanted = want if isinstance(want, tuple | list) else (want,)
        for g, w in zip(got, wanted, strict=True):
            assert np.asarray(g).dtype == np.asarray(w).dtype and np.shape(g) == np.shape(w)
            np.testing.assert_allclose(g, w, rtol=1e-13, atol=1e-15)


def test_methods() -> None:
    cases: list[tuple[str, tuple[Any, ...], Any]] = [
        ("reshape", (8, 3), A.reshape(8, 3)),
        ("reshape", ((-1, 2),), A.reshape(-1, 2)),
        ("T", (), A.T),
        ("transpose", (1, 0), A.T),
        ("flatten", (), A.ravel()),
        ("swapaxes", (0, 1), A.T),
        ("astype", (np.float32,), A.astype("f4")),
        ("copy", (), A),
        ("squeeze", (), A),
        ("repeat", (2,), A.repeat(2)),
        ("take", ([1],), A.take([1])),
        ("nonzero", (), A.nonzero()),
    ]
    for name, extra, want in cases:
        agree(lambda x, name=name, extra=extra: METHODS[name](x, *extra), want, A)


def test_symbolic_results() -> None:
    n = size(Sym("n"))
    with guarding() as guards:
        fn = trace(
            "f",
            (Tensor(F8, (n, 4)),),
            lambda x: (lookup(np.reshape)(x, (-1, 2)), lookup(np.roll)(x, 1), lookup(np.arange)(1, n)),
        )  # type: ignore[misc]
    assert [str(r.type) for r in fn.results] == ["f8[2*n, 2]", "f8[n, 4]", "i8[n - 1]"]
    assert not guards or all(g.kind == "least" for g in guards)


def test_run_time_roll() -> None:
    agree(lambda x, k: lookup(np.roll)(x, k), np.roll(V, -8), V, np.int64(-8))  # type: ignore[misc]


def test_ix_and_item() -> None:
    agree(lambda x: getitem(x, lookup(np.ix_)([0, 2], [1, -1])), A[np.ix_([0, 2], [1, -1])], A)  # type: ignore[misc]
    agree(lambda x: METHODS["item"](x, 3), A.item(3), A)
    agree(lambda x: METHODS["item"](getitem(x, (S(0, 1), S(2, 3)))), A[0, 2], A)


def test_long_chains_of_integers() -> None:
    def chain(x: Any, k: Any) -> Any:
        for _ in range(3000):
            k = k + 1
        return getitem(x, (k - 3000,))

    agree(chain, V[2], V, np.int64(2))


def test_bound_sizes() -> None:
    """Sizes bound at run time keep what is known of the integers they come from."""
    n = size(Sym("n"))

    def body(x: Any) -> tuple[Any, ...]:
        def outer(i: Any, s: Any) -> Any:
            know(i, 0, n - 1)
            count, first = Sym("count"), i + 1
            span = lookup(np.maximum)(size_value(n) - first, 0)  # type: ignore[misc]
            bind_size(span, sym=count)

            def inner(k: Any, t: Any) -> Any:
                know(k, 0, size(count) - 1)
                return (t + getitem(x, (first + k,)) * getitem(x, (i,)),), (), ()

            (t,), _, _ = build_for(size(count), (s,), inner)
            assert getitem(x, (S(first, None),)).type.dims == (size(count),)  # the same symbol again
            return (t,), (), ()

        return build_for(n, (literal(0.0, F8),), outer)[0]

    fn = verify(trace("f", (Tensor(F8, (n,)),), body), "trace")
    assert not any(getattr(s, "prim", None) is not None and s.prim.name == "check" for s in walk(fn.body))
    x = np.arange(1.0, 6.0)
    want = sum(x[j] * x[i] for i in range(5) for j in range(i + 1, 5))
    assert evaluate_program(fn, (x,))[0] == want
