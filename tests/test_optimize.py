"""The passes: each alone on small programs, and all of them on random programs against the evaluator."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

import adc.ops  # noqa: F401
from adc.backend.numpy_backend import load
from adc.emit.numpy_source import numpy_source
from adc.ir import (
    B1,
    F8,
    I8,
    Call,
    For,
    Function,
    If,
    Op,
    Params,
    Sym,
    Tensor,
    Var,
    While,
    build_for,
    build_if,
    build_while,
    current,
    literal,
    scalar,
    size,
    trace,
    verify,
    walk,
)
from adc.ir.evaluate import evaluate_program
from adc.ops.access import Arg, At, Slice
from adc.ops.core import PRIMITIVES as P
from adc.ops.core import broadcast_to
from adc.ops.structure import check
from adc.optimize import optimize
from adc.optimize.cse import cse
from adc.optimize.fold import fold
from adc.optimize.hoist import hoist
from adc.optimize.loops import loops
from adc.optimize.place import place

N = Sym("n")
VEC = Tensor(F8, (size(N),))
MAT = Tensor(F8, (size(N), 3))
F = scalar(F8)


def ops(fn: Function) -> list[str]:
    return [s.prim.name for s in walk(fn.body) if isinstance(s, Op)]


def set_at(x, v, k):
    return P["update"](x, v, axes=(At(k),)) if isinstance(k, int) else P["update"](x, v, k, axes=(At(Arg(0)),))


def get_at(x, k):
    return P["index"](x, axes=(At(k),)) if isinstance(k, int) else P["index"](x, k, axes=(At(Arg(0)),))


def agree(fn: Function, *args, optimized: Function | None = None) -> str:
    """The source of the optimized function gives what the evaluator gives for the original."""
    made = optimize(fn) if optimized is None else optimized
    verify(made, "optimize")
    source = numpy_source(made, "f")
    want = evaluate_program(fn, args)
    kept = [np.array(a) for a in args]
    got = load(made, source)(*args)
    for a, b in zip(args, kept, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"an argument was changed\n{source}")
    for g, w in zip(got, want, strict=True):
        assert np.asarray(g).dtype == np.asarray(w).dtype
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12, err_msg=source)
    for j, g in enumerate(got):
        for h in (*got[:j], *args):
            if isinstance(g, np.ndarray) and isinstance(h, np.ndarray):
                assert not np.shares_memory(g, h), source
    return source


X = np.array([0.5, -1.25, 2.0, 0.75])
Y = np.array([1.5, 0.25, -0.5, 3.0])
M = np.arange(12.0).reshape(4, 3) / 7


# ---------------------------------------------------------------- fold, cse, dce


def test_neutral_elements():
    fn = trace("f", (VEC,), lambda x: (x * 1.0 + np.float64(0.0) - 0.0,))
    assert ops(optimize(fn)) == ["copy"]  # a result is never the parameter itself
    fn = trace("f", (F,), lambda x: (-(-x) * 1.0,))
    assert ops(optimize(fn)) == []


def test_signs():
    fn = trace("f", (F, F), lambda x, y: (x + -y, -x + y, x - -y, x * -y + 1.0, -x / y))
    made = optimize(fn)
    assert ops(made).count("neg") <= 1
    agree(fn, 2.0, 3.0)


def test_zero_times_x_is_kept():
    fn = trace("f", (F,), lambda x: (x * 0.0,))
    assert np.isnan(evaluate_program(fold(fn), (np.inf,))[0])


def test_constants_are_computed():
    fn = trace("f", (F,), lambda x: (x + P["sin"](literal(0.5)) * 2.0,))
    assert ops(fold(fn)) == ["add"] or ops(optimize(fn)) == ["add"]
    agree(fn, 1.0)


def test_integers_of_loops():
    def body(i, c):
        j = i + 1
        inside = P["and"](P["greater_equal"](j, literal(0)), P["less"](j - 1, P["size"](dim=size(N))))
        check(inside, code="out_of_bounds", message="no")
        return (c + j - 1,), (), ()

    fn = trace("f", (VEC,), lambda x: build_for(size(N), (literal(0, I8),), body)[0])
    made = optimize(fn)
    assert "check" not in ops(made)
    agree(fn, X)


def test_work_on_broadcast_scalars_is_done_before():
    def f(a, x):
        wide = broadcast_to(a, x.type.dims)
        return (P["exp"](wide) * x,)

    made = optimize(trace("f", (F, VEC), f))
    exp = next(s for s in walk(made.body) if isinstance(s, Op) and s.prim.name == "exp")
    assert not exp.outs[0].type.rank
    agree(trace("f", (F, VEC), f), 0.5, X)


def test_cse_and_dce():
    fn = trace("f", (VEC,), lambda x: (P["exp"](x) + P["exp"](x) * P["sin"](x), P["cos"](x))[:1])
    assert ops(cse(fn)).count("exp") == 1
    assert sorted(ops(optimize(fn))) == ["add", "exp", "mul", "sin"]


def test_cse_keeps_signed_zero_and_storage_apart():
    fn = trace("f", (F,), lambda x: (x / literal(0.0, F8), x / literal(-0.0, F8)))
    assert ops(cse(fn)).count("div") == 2
    agree(fn, 1.0)

    def two(x):
        zero = literal(0.0, F8)
        a, b = P["fill"](zero, dims=x.type.dims), P["fill"](zero, dims=x.type.dims)
        return set_at(a, literal(1.0, F8), 0), set_at(b, literal(2.0, F8), 1)

    agree(trace("f", (VEC,), two), X)


# ---------------------------------------------------------------- loops, hoist


def test_invariant_carry_and_expensive_op():
    def f(x):
        (y, _), _, _ = build_for(size(N), (x, x), lambda i, y, a: ((y + P["exp"](a), a), (), ()))
        return (y,)

    fn = trace("f", (F,), f)
    fn = Function(fn.name, (*fn.params, Var(VEC, "v")), fn.body)
    made = hoist(loops(fn))
    loop = next(s for s in made.body.stmts if isinstance(s, For))
    assert loop.carries == 1 and [s.prim.name for s in loop.body.stmts] == ["add"]
    agree(fn, 0.5, X)


@pytest.mark.parametrize("count", [0, 1])
def test_short_loops(count):
    def f(x, a):
        def body(i, y):
            z = set_at(y, P["convert"](i, dtype=F8), i)
            return (z,), (z,), (z,)

        (y,), (s,), (k,) = build_for(count, (x, a), body, reduce=("sum",))
        return y, s, k

    fn = trace("f", (VEC, VEC), f)
    assert not any(isinstance(s, For) for s in walk(optimize(fn).body))
    agree(fn, X, Y)


def test_branches():
    fn = trace("f", (F, scalar(B1)), lambda x, c: build_if(c, lambda: (x,), lambda: (literal(1.0, F8),)))
    assert not any(isinstance(s, If) for s in walk(optimize(fn).body))
    agree(fn, 2.0, True)
    agree(fn, 2.0, False)
    known = trace("f", (F,), lambda x: build_if(literal(True), lambda: (x + 1.0,), lambda: (x,)))
    assert ops(optimize(known)) == ["add"]


def test_calls_are_inlined_and_checkpoints_not_merged():
    m = Sym("m")
    inner = trace("g", (Tensor(F8, (size(m),)),), lambda v: (P["exp"](v) * 2.0,))

    def f(x):
        out = Var(VEC, "y")
        again = Var(VEC, "z")
        current().add(Call(inner, (x,), (out,), "", Params()))
        current().add(Call(inner, (x,), (again,), "checkpoint", Params()))
        return (out + again,)

    fn = trace("f", (VEC,), f)
    assert ops(optimize(fn)).count("exp") == 2
    agree(fn, X)


# ---------------------------------------------------------------- place


def test_parameters_are_copied_and_results_owned():
    fn = trace("f", (VEC,), lambda x: (x, set_at(x, literal(1.0, F8), 0), x))
    source = agree(fn, X)
    assert source.count(".copy()") == 3


def test_nothing_is_copied_without_need():
    def f(x):
        y = set_at(x * 2.0, literal(1.0, F8), 0)
        return (set_at(y, get_at(y, 0), 1),)

    assert "copy" not in ops(optimize(trace("f", (VEC,), f)))


def test_view_read_after_the_store():
    def f(x):
        y = x * 2.0
        tail = P["index"](y, axes=(Slice(1, size(N) - 1),))
        z = set_at(y, literal(9.0, F8), 1)
        return z, P["sum"](tail, axes=(0,))

    fn = trace("f", (VEC,), f)
    made = optimize(fn)
    copies = [s for s in walk(made.body) if isinstance(s, Op) and s.prim.name == "copy"]
    assert len(copies) == 1 and copies[0].outs[0].type.dims == (size(N) - 1,)  # the part, not the array
    agree(fn, X)


def test_swap_copies_nothing():
    def f(x, y, k):
        def body(i, a, b):
            return (b, set_at(a, get_at(b, 0) * 0.5, i)), (), ()

        carries, _, _ = build_for(size(N), (x * 2.0, y * 3.0), body)
        return carries

    fn = trace("f", (VEC, VEC, F), f)
    made = optimize(fn)
    assert "copy" not in ops(made)
    agree(fn, X, Y, 1.0)


def test_previous_value_is_kept():
    def f(x):
        def body(i, a, before):
            return (set_at(a, P["sum"](before, axes=(0,)), i), a), (), ()

        return build_for(size(N), (x, x), body)[0]

    agree(trace("f", (VEC,), f), X)


def test_stacked_arrays_are_stored_before_they_are_overwritten():
    def f(x):
        def body(i, a):
            return (set_at(a, get_at(a, i) * 2.0 + 1.0, i),), (), (a,)

        (a,), _, (s,) = build_for(size(N), (x,), body, hints=("a",))
        return a, s

    source = agree(trace("f", (VEC,), f), X)
    assert source.count(".copy()") == 1  # of the parameter, before the loop


def test_while_stacks_arrays():
    def f(x):
        def body(k, a):
            return (k + 1, set_at(a, get_at(a, 0) + 1.0, 1)), (a, get_at(a, 1))

        carries, stacks, _ = build_while((literal(0, I8), x), lambda k, a: P["less"](k, literal(3, I8)), body)
        return (*carries, *stacks, P["sum"](stacks[0], axes=(0,)))

    agree(trace("f", (VEC,), f), X)


def test_array_sum_in_a_loop():
    def f(x, a):
        _, (s,), _ = build_for(size(N), (a,), lambda i: ((), (x * get_at(x, i),), ()), reduce=("sum",))
        return s, a

    agree(trace("f", (VEC, VEC), f), X, Y)


def test_branch_overwrites_what_lives_after():
    def f(x, c):
        y = x * 2.0
        (z,) = build_if(c, lambda: (set_at(y, literal(5.0, F8), 0),), lambda: (y,))
        return z, y

    fn = trace("f", (VEC, scalar(B1)), f)
    agree(fn, X, True)
    agree(fn, X, False)


# ---------------------------------------------------------------- random programs


class _Random:
    """Random programs of vectors, matrices, views, stores, loops and branches."""

    def __init__(self, seed: int):
        self.r = random.Random(seed)

    def function(self) -> Function:
        def f(x, y, m, a):
            state = {"v": [x, y, x * 0.5], "m": [m, m + 1.0], "s": [a, literal(0.75, F8)]}
            self.steps(state, self.r.randint(3, 7), 2, ())
            return tuple([self.r.choice(state["v"]), self.r.choice(state["v"]), state["v"][-1], state["m"][-1], state["s"][-1]])

        return trace("f", (VEC, VEC, MAT, F), f, ("x", "y", "m", "a"))

    def steps(self, st, count: int, depth: int, index: tuple) -> None:
        for _ in range(count):
            self.step(st, depth, index)

    def position(self, index: tuple):
        return self.r.choice([0, 1, *index])

    def step(self, st, depth: int, index: tuple) -> None:
        r = self.r
        kind = r.randint(0, 14 if depth else 10)
        v, w, m, s = (r.choice(st["v"]), r.choice(st["v"]), r.choice(st["m"]), r.choice(st["s"]))
        n = size(N)
        if kind == 0:
            st["v"].append(P["tanh"](v) * s)
        elif kind == 1:
            st["v"].append(set_at(v, s, self.position(index)))
        elif kind == 2:
            k = self.position(index)
            axes = (At(k),) if isinstance(k, int) else (At(Arg(0)),)
            st["v"].append(P["accumulate"](v, s, *(() if isinstance(k, int) else (k,)), axes=axes))
        elif kind == 3:
            part = P["index"](w, axes=(Slice(0, n - 1),))
            st["v"].append(P["update"](v, part if r.random() < 0.5 else P["sin"](part), axes=(Slice(1, n - 1),)))
        elif kind == 4:
            st["v"].append(P["index"](v, axes=(Slice(n - 1, n, -1),)))
        elif kind == 5:
            st["v"].append(P["index"](m, axes=(Slice(0, n), At(r.randint(0, 2)))))
        elif kind == 6:
            k = r.randint(0, 2)
            st["m"].append(P["update"](m, v, axes=(Slice(0, n), At(k))))
        elif kind == 7:
            st["s"].append(P["tanh"](P["sum"](v, axes=(0,)) + get_at(w, self.position(index))))
        elif kind == 8:
            flat = P["reshape"](m, dims=(n * 3,))
            st["m"].append(P["reshape"](set_at(flat, s, 2), dims=(n, 3)))
        elif kind == 9:
            t = P["transpose"](m, axes=(1, 0))
            st["v"].append(P["index"](t, axes=(At(1), Slice(0, n))) + v)
        elif kind == 10:
            idx = P["iota"](size=n)
            name = r.choice(["scatter", "scatter_add"])
            st["v"].append(P[name](v, w, idx) if name == "scatter_add" else P[name](v, w, idx, unique=True))
        elif kind in (11, 12):
            self.loop(st, depth, index)
        elif kind == 13:
            self.branch(st, depth, index)
        else:
            self.repeat(st, depth, index)

    def inner(self, st, values, depth: int, index: tuple):
        """A block on carried values (two vectors, a matrix, a scalar): the new ones."""
        r = self.r
        mine = {"v": [*r.sample(st["v"], 1), *values[:2]], "m": [values[2]], "s": [*st["s"][-1:], values[3]]}
        self.steps(mine, r.randint(1, 4), depth - 1, index)
        pick = r.choice([(-1, -2), (-2, -1), (-1, -1), (-1, 0)])
        return mine["v"][pick[0]], mine["v"][pick[1]], mine["m"][-1], mine["s"][-1], r.choice(mine["v"])

    def spread(self, st, outs) -> None:
        st["v"] += outs[:2]
        st["m"].append(outs[2])
        st["s"].append(outs[3])

    def inits(self, st):
        return (*self.r.choices(st["v"], k=2), self.r.choice(st["m"]), self.r.choice(st["s"]))

    def loop(self, st, depth: int, index: tuple) -> None:
        inits, kind = self.inits(st), self.r.randint(0, 2)
        total = self.r.choice(st["v"])

        def body(i, *values):
            *new, extra = self.inner(st, values, depth, (*index, i))
            reduced = (extra,) if kind == 1 else ()
            return tuple(new), reduced, (self.r.choice([extra, values[0], new[0]]),) if kind == 2 else ()

        outs, sums, stacks = build_for(
            size(N),
            (*inits, total) if kind == 1 else inits,
            body,
            reduce=("sum",) if kind == 1 else (),
            reverse=self.r.random() < 0.4,
        )
        self.spread(st, outs)
        st["v"] += [P["tanh"](s) for s in sums]
        st["v"] += [P["tanh"](P["sum"](s, axes=(0,))) for s in stacks]

    def repeat(self, st, depth: int, index: tuple) -> None:
        stacking = self.r.random() < 0.5

        def body(k, *values):
            *new, extra = self.inner(st, values, depth, index)
            return (k + 1, *new), (self.r.choice([extra, values[0]]),) if stacking else ()

        carries, stacks, _ = build_while(
            (literal(0, I8), *self.inits(st)), lambda k, *v: P["less"](k, literal(3, I8)), body
        )
        self.spread(st, carries[1:])
        st["v"] += [P["tanh"](P["sum"](s, axes=(0,))) for s in stacks]

    def branch(self, st, depth: int, index: tuple) -> None:
        cond = P["less"](self.r.choice(st["s"]), literal(0.3, F8))
        values = self.inits(st)
        plain = self.r.random() < 0.3

        def then():
            return self.inner(st, values, depth, index)[:4]

        self.spread(st, build_if(cond, then, (lambda: values) if plain else then))


@pytest.mark.parametrize("seed", range(int(os.environ.get("ADC_SEEDS", "60"))))
def test_random_programs(seed):
    fn = _Random(seed).function()
    verify(fn, "trace")
    rng = np.random.default_rng(seed)
    args = (rng.normal(size=4), rng.normal(size=4), rng.normal(size=(4, 3)), 0.25)
    agree(fn, *args)
    agree(fn, *args, optimized=place(fn))  # storage alone, without the other passes


def test_random_programs_have_every_statement():
    kinds = {type(s) for seed in range(20) for s in walk(_Random(seed).function().body)}
    assert {Op, If, For, While} <= kinds
