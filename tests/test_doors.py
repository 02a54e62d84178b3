"""Containers at the door: what the quick way takes, it takes rightly; everything else finds or makes its program."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest

import adc
from adc.api.doors import reader, rebuilder
from adc.api.transformed import RECENT, Transformed
from adc.ir.reach import Leaf

ONES = np.ones(3)


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Line:
    slope: Any
    offset: Any


@pytest.fixture
def careful_calls(monkeypatch):
    """How many calls took the careful way."""
    count = [0]
    slow = Transformed.careful

    def counted(self, *args, **kwargs):
        count[0] += 1
        return slow(self, *args, **kwargs)

    monkeypatch.setattr(Transformed, "careful", counted)
    return count


def equal(got, want):
    import optree

    mine, a = optree.tree_flatten(got, namespace="adc")
    theirs, b = optree.tree_flatten(want, namespace="adc")
    assert a == b
    for x, y in zip(mine, theirs, strict=True):
        assert np.shape(x) == np.shape(y) and np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_allclose(x, y, rtol=1e-6)


def weighted(p, x):
    return np.sum(p["w"] * x) * p["b"]


def layers(params, x):
    for w, b in params:
        x = np.tanh(w @ x + b)
    return np.sum(x)


def nested(tree):
    return np.sum(tree["a"][0].a * 2.0) + tree["a"][0].b * tree["line"].slope + (0.0 if tree["none"] is None else 1.0) * 7.0


CASES = {
    "dict": (weighted, ({"w": ONES, "b": 2.0}, np.arange(3.0))),
    "pairs": (layers, ([(np.full((3, 3), 0.1 * k), ONES) for k in range(4)], ONES)),
    "nested": (nested, ({"a": [Pair(ONES, 2.0)], "line": Line(3.0, 1.0), "none": None},)),
    "ordered": (weighted, (collections.OrderedDict(w=ONES, b=2.0), np.arange(3.0))),
    "default": (weighted, (collections.defaultdict(float, w=ONES, b=2.0), np.arange(3.0))),
    "empty": (lambda p, x: np.sum(x), ({"w": [], "b": ()}, ONES)),
}


@pytest.mark.parametrize("name", CASES)
def test_results_come_back_in_the_same_structure(name, careful_calls):
    fun, args = CASES[name]
    want = adc.grad(fun, target="numpy")(*args)
    f = adc.grad(fun)
    careful_calls[0] = 0
    for _ in range(4):
        got = f(*args)
        equal(got, want)
        assert type(got) is type(args[0])
    # a defaultdict is known to optree alone
    assert careful_calls[0] == (4 if name == "default" else 1)


def test_other_arguments_never_get_the_program_of_the_last_call():
    g, reference = adc.grad(weighted), adc.grad(weighted, target="numpy")
    calls = [
        {"w": ONES, "b": 2.0},
        {"w": ONES, "b": np.float64(2.0)},
        {"w": ONES.astype(np.float32), "b": 2.0},
        {"w": ONES[:1], "b": 2.0},
        {"w": ONES, "b": 2.0, "more": ONES},
        {"w": ONES, "b": np.full(3, 2.0)[1]},
        {"w": np.asfortranarray(np.ones((3, 3))), "b": 2.0},
        {"w": np.ones(6)[::2], "b": 2.0},
        {"w": 3.0, "b": 2.0},
    ]
    for _ in range(2):
        for p in calls:
            equal(g(p, np.arange(3.0)), reference(p, np.arange(3.0)))


def first(p):
    return np.sum(list(p.values())[0] * 2.0)


def first_of_more(x, **more):
    return list(more.values())[0] * x


def test_another_order_of_keys_is_another_program():
    g = adc.grad(first)
    for _ in range(2):
        equal(g({"b": ONES, "a": ONES}), {"b": 2.0 * ONES, "a": 0.0 * ONES})
        equal(g({"a": ONES, "b": ONES}), {"a": 2.0 * ONES, "b": 0.0 * ONES})
    assert list(g({"b": ONES, "a": ONES})) == ["b", "a"]
    h = adc.grad(first_of_more)
    for _ in range(2):
        assert h(1.0, a=2.0, b=3.0) == 2.0
        assert h(1.0, b=3.0, a=2.0) == 3.0


def mixed(p):
    return np.sum(p["a"] * 2.0) + np.sum(p[1] * 3.0) + np.sum(p[None] * 5.0)


@pytest.mark.parametrize("target", ["numpy", "cpu"])
def test_keys_of_several_types(target):
    p = {"a": ONES, 1: ONES, None: ONES}
    for _ in range(2):
        equal(adc.grad(mixed, target=target)(p), {"a": 2.0 * ONES, 1: 3.0 * ONES, None: 5.0 * ONES})


def test_keyword_arguments_in_any_order_are_one_program(careful_calls):
    def f(x, scale, shift):
        return np.sum(x * scale["k"]) + shift

    g = adc.grad(f)
    for _ in range(3):
        equal(g(ONES, scale={"k": 2.0}, shift=1.0), 2.0 * ONES)
        equal(g(ONES, shift=1.0, scale={"k": 2.0}), 2.0 * ONES)
    assert careful_calls[0] == 1 and len(g.table.programs) == 1
    with pytest.raises(adc.UnsupportedError, match="missing required argument 'shift'"):
        g(ONES, scale={"k": 2.0})
    with pytest.raises(adc.UnsupportedError, match="unexpected keyword argument 'more'"):
        g(ONES, scale={"k": 2.0}, shift=1.0, more=2)


def test_missing_key_and_wrong_containers_are_refused():
    g = adc.grad(weighted)
    g({"w": ONES, "b": 2.0}, ONES)
    with pytest.raises(adc.UnsupportedError, match="KeyError: 'b'"):
        g({"w": ONES}, ONES)
    with pytest.raises(adc.ShapeError, match=r"argument x has shape \(3,\), expected \(4,\)"):
        g({"w": np.ones(4), "b": 2.0}, ONES)
    with pytest.raises(adc.UnsupportedError, match="complex"):
        g({"w": ONES.astype(complex), "b": 2.0}, ONES)
    with pytest.raises(adc.UnsupportedError):
        g([ONES, 2.0], ONES)
    equal(g({"w": ONES, "b": 2.0}, ONES), {"w": 2.0 * ONES, "b": 3.0})


def test_static_leaves_are_compared_by_value(careful_calls):
    def f(config, x):
        y = x
        for _ in range(config["steps"][0]):
            y = y * x
        return np.sum(y) if config["how"] == "sum" else np.mean(y)

    def g(steps, how):
        return adc.grad(f, argnums=1)({"steps": [steps], "how": how}, 2.0 * ONES)

    for _ in range(3):
        equal(g(1, "sum"), 4.0 * ONES)
        equal(g(2, "sum"), 12.0 * ONES)
        equal(g(1, "mean"), 4.0 / 3.0 * ONES)
        equal(g(1, "".join(["me", "an"])), 4.0 / 3.0 * ONES)


def test_programs_called_in_turns_are_all_quick(careful_calls):
    def f(p):
        return sum(np.sum(x * x) for x in p)

    g = adc.grad(f)
    calls = [[ONES], [ONES, ONES], [ONES.astype(np.float32)], [2.0]]
    assert len(calls) == RECENT
    for p in (*calls, *calls, *calls):
        equal(g(p), [2.0 * x for x in p])
    assert careful_calls[0] == RECENT


def test_what_the_function_reads_from_outside_is_seen_to_change():
    scale = {"k": 2.0}

    def f(p):
        return np.sum(p["w"]) * scale["k"]

    g = adc.grad(f)
    for _ in range(2):
        equal(g({"w": ONES}), {"w": 2.0 * ONES})
    scale["k"] = 5.0
    equal(g({"w": ONES}), {"w": 5.0 * ONES})


# ---------------------------------------------------------------- the functions that are written


def read_of(*args, static=()):
    from adc.api import trees

    leaves, treedef = trees.flatten((args, {}))
    return reader(leaves, treedef, frozenset(static))


def test_reader_takes_only_what_is_alike():
    read = read_of({"b": [ONES, (2.0, None)], "a": Pair(1, True)})
    assert read is not None
    x = np.zeros(5)
    assert read(({"b": [x, (3.0, None)], "a": Pair(4, False)},), {}) == (4, False, x, 3.0)
    others = [
        {"a": Pair(4, False), "b": [x, (3.0, None)]},
        {"b": [x, (3.0, None)], "a": (4, False)},
        {"b": [x, (3.0, 1.0)], "a": Pair(4, False)},
        {"b": [x, [3.0, None]], "a": Pair(4, False)},
        {"b": [x, (3, None)], "a": Pair(4, False)},
        {"b": [x], "a": Pair(4, False)},
        {"b": [x, (3.0, None)], "a": Pair(4, False), "c": 1},
        {"b": [x, (3.0, None)]},
        [x],
        collections.OrderedDict(b=[x, (3.0, None)], a=Pair(4, False)),
        None,
    ]
    for other in others:
        assert read((other,), {}) is None
    assert read((), {}) is None and read(({}, {}), {}) is None
    assert read(({"b": [x, (3.0, None)], "a": Pair(4, False)},), {"k": 1}) is None


def test_reader_leaves_to_the_careful_way_what_entries_cannot_take():
    assert read_of(collections.deque([ONES])) is None
    assert read_of(np.ma.masked_array(ONES)) is None
    assert read_of(np.float16(1.0)) is None


def test_rebuilder_makes_every_structure():
    line = Line(Leaf(0), [Leaf(2)])
    from adc.api import trees

    trees.flatten(line)
    tree = {"z": Leaf(1), "line": line, "pair": Pair(None, ()), "od": collections.OrderedDict(k=Leaf(0)), "d": collections.deque([Leaf(2)]), "s": "word"}
    for made in (rebuilder({k: v for k, v in tree.items() if k != "d"}), rebuilder(tree)):
        got = made((10, 11, 12))
        assert got.pop("d", collections.deque([12])) == collections.deque([12])
        assert list(got) == ["z", "line", "pair", "od", "s"]
        assert got == {"z": 11, "line": Line(10, [12]), "pair": Pair(None, ()), "od": collections.OrderedDict(k=10), "s": "word"}
        assert type(got["pair"]) is Pair and got["line"].offset is not line.offset
