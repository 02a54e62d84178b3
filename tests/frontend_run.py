"""Stage a function and run its program: what the front end's tests compare with Python."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import optree

from adc.frontend import Leaf, NeedStatic, Staged, stage
from adc.ir import Sym, Tensor, size, verify
from adc.ir.evaluate import evaluate_program

NUMBER = (bool, int, float, np.generic, np.ndarray)


def type_of(v: Any, hint: str = "n") -> Tensor:
    if isinstance(v, np.ndarray):
        return Tensor(v.dtype, tuple(size(Sym(f"{hint}{k}")) if n > 1 else n for k, n in enumerate(v.shape)))
    if isinstance(v, np.generic):
        return Tensor(v.dtype)
    return Tensor(np.dtype("?" if isinstance(v, bool) else "i8" if isinstance(v, int) else "f8"), (), not isinstance(v, bool))


def staged(f: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Staged, list[Any]]:
    """The program and its run-time arguments; ints become static where the code needs that."""
    leaves, tree = optree.tree_flatten((args, kwargs), none_is_leaf=True)
    fixed: set[int] = set()
    while True:
        given = [k for k, v in enumerate(leaves) if isinstance(v, NUMBER) and k not in fixed]
        types = [type_of(v, "nmkpq"[k % 5]) if k in given else v for k, v in enumerate(leaves)]
        a, kw = optree.tree_unflatten(tree, types)
        try:
            s = stage(f, a, kw)
        except NeedStatic as e:
            fixed.add(given[e.leaf_index])
            continue
        verify(s.function, "frontend")
        return s, [leaves[k] for k in given]


def fill(t: Any, results: tuple[Any, ...]) -> Any:
    if isinstance(t, Leaf):
        return results[t.index]
    if isinstance(t, dict):
        return {k: fill(x, results) for k, x in t.items()}
    if isinstance(t, list):
        return [fill(x, results) for x in t]
    if isinstance(t, tuple):
        items = [fill(x, results) for x in t]
        return type(t)(*items) if hasattr(t, "_fields") else tuple(items)
    return t


def run(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    s, values = staged(f, *args, **kwargs)
    values = [v.copy() if isinstance(v, np.ndarray) else v for v in values]
    results = evaluate_program(s.function, [*values, *(c.get() for c in s.captures)])
    return fill(s.out_tree, results)


def assert_same(got: Any, want: Any) -> None:
    if isinstance(want, dict):
        assert got.keys() == want.keys()
        for k in want:
            assert_same(got[k], want[k])
    elif isinstance(want, list | tuple):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            assert_same(g, w)
    elif want is None or isinstance(want, str):
        assert got == want
    else:
        assert np.shape(got) == np.shape(want)
        if isinstance(want, np.ndarray | np.generic):
            assert np.asarray(got).dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def check(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """The staged program gives what Python gives."""
    want = f(*copy.deepcopy(args), **copy.deepcopy(kwargs))
    assert_same(run(f, *args, **kwargs), want)
