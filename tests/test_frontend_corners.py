"""Corners of the language: each piece of Python gives what Python gives, or is refused at its line with what to write instead."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

import adc
from adc.errors import AdcError, CheckError, UnsupportedError
from tests.frontend_run import check, run

X = np.array([0.3, -0.7, 1.1, 0.4, 0.9])
M = np.arange(12.0).reshape(3, 4) / 7
LAYERS = [np.ones(5), np.full(5, 2.0)]
ROWS = ((1.0, 2.0), (3.0, 4.0))
NUMBERS = [3, 1, 2]
TABLE = {"a": 2.0, "b": 3.0}
EMPTY: dict = {}
LOOKUP = defaultdict(float, {"a": 2.0})
WORD = "word"
Z = 2 + 1j
SHORTS = np.array([1, 2], dtype=np.int16)
STATE = OrderedDict(a=1.5)
LIMITS = range(1, 4)
Pair = namedtuple("Pair", "left right")


class Units:
    """Operators of the user's own."""

    def __init__(self, v):
        self.v = v

    def __neg__(self):
        return Units(-self.v)

    def __lt__(self, other):
        return self.v[0] < other.v[0]

    def __getitem__(self, k):
        return self.v[k]

    def __setitem__(self, k, x):
        self.v = self.v + x * k

    @functools.partialmethod
    def unused(self):
        return None

    @classmethod
    def doubled(cls, v):
        return cls(2 * v)


class Counted:
    def __len__(self):
        return 3

    def __getattr__(self, name):
        if name == "rate":
            return 0.5
        raise AttributeError(name)


COUNTED = Counted()


@dataclasses.dataclass
class Checked:
    w: object
    b: float = 1.0

    def __post_init__(self):
        self.total = self.w[0] + self.b


class Base:
    def __init__(self, w):
        self.w = w

    def value(self, x):
        return np.sum(x) * self.w


class Derived(Base):
    def __init__(self, w):
        super().__init__(w * 2)

    def value(self, x):
        return super().value(x) + 1.0


def operators(x):
    u = Units(x)
    u[2] = 0.5
    d = Units.doubled(x)
    low = 1.0 if u < d else 2.0
    return (-u)[1] + u[0] + low * d[3]


def outside_containers(x):
    longer = LAYERS + [x]
    total = 0.0
    for k in EMPTY or TABLE:
        total += TABLE[k] * x[0]
    for k in LIMITS:
        total += x[k]
    return np.array(ROWS)[1] * total, longer[2], len(COUNTED) * COUNTED.rate, x[NUMBERS] @ x[NUMBERS], np.asarray(LAYERS) @ x


def of_numbers(x):
    n = np.int64(3)
    f = np.float32(1.5)
    return (-n) + abs(f) + x[n] + x[: np.int64(2)].sum() + f.item() + x[True * 1] + np.float64(2.0).real + x.itemsize + x.nbytes + (-len(x)) + len(x).real


def casts(x):
    n = int(x[2] * 3)
    return float(x[:1].sum()) + int(True) * x[0] + np.float32(x).sum() + np.float64(n) + np.int64(2) + np.float32(x[1]) + np.float64(x[0]) * np.int32(n) + np.bool_(n)


def unary(x):
    y = +x
    y[0] = 5.0
    return x[0] + y[0] * y[1] + ~len(x) + -(-len(x)) + (+len(x)) + ~NUMBERS[0] + (not len(x)) + +x[1]


def conditions(x):
    a = x[0] and x[1]
    b = x[0] or x[1]
    c = 1.0 if None is None and "a" != "b" and [1] != (1,) and EMPTY is EMPTY else 0.0
    d = 0.0 < x[0] < 5.0 < 6.0
    e = 1 < 2 < 3 > 5
    return a + b + c + d + e + (2.0 if len(x) and x[0] != 0.0 else 3.0) + (1.0 if range(len(x)) else 0.0) + (1.0 if Units(x) else 0.0)


def match_all(x, mode, pair):
    match mode:
        case "slow" | "fast" if len(mode) == 5:
            total = 1.0
        case None:
            total = 2.0
        case ["a", *rest] if rest:
            total = 3.0 + len(rest)
        case (1, _, last):
            total = last * 1.0
        case _:
            total = 9.0
    match pair:
        case (left, right):
            total += left * x[0] + right
    return total


def decorated(x):
    def twice(f):
        return lambda v: f(f(v))

    @twice
    def step(v):
        return v * x[0] + 1.0

    import math as m
    import os.path
    from math import sqrt

    return step(x[1]) + m.pi + sqrt(2.0) + len(os.path.sep)


def unpacking(x):
    (a, *b), c = [x[0], x[1], x[2]], x[3]
    [d, *e] = x[0] * 2, x[4]
    s = sum(b) + sum(e)
    first, second = M[:2]
    kw = {"axis": 0}
    return a + c + d + s + first @ second + np.sum(M, **kw) @ M[0]


def keyword_calls(x):
    def f(a, /, b, *, c=2.0, **rest):
        return a * b + c + rest["d"]

    return f(x[0], b=x[1], **{"c": x[2], "d": 1.0}) + functools.partial(f, x[0])(x[1], d=x[3]) + functools.reduce(operator.mul, [x[0], x[1], 3.0]) + operator.neg(operator.getitem(x, 2)) * operator.lt(x[0], x[1]) + operator.mul(2, 3) + operator.abs(x[1])


def leaving_early(x):
    total = 0.0
    for k in range(3):
        for v in (x, 2 * x):
            if v[k] > 0.8:
                total += 10.0
                break
            total += v[k]
        else:
            total += 100.0
    return total


def static_returns(x):
    for k in [1, 2, 3]:
        if k == 2:
            return x[k] * 5.0
    return x[0]


def steps(x, n):
    total = 0.0
    for k in range(n, 0, -2):
        total += x[k - 1] * k
    for k in range(len(x), 1, -2):
        total += x[k - 1]
    for a, b in zip(x, [1.0, 2.0, 3.0, 4.0, 5.0], strict=True):
        total += a * b
    for () in zip():
        total += 1e9
    return total


def countdown(x):
    layers = [x, 2 * x, 3 * x]
    total = 0.0
    while layers:
        total += np.sum(layers.pop()) * len(layers)
    k = 0
    while True:
        total += LAYERS[k][0]
        k += 1
        if k == len(LAYERS):
            break
    return total


def checked_condition(x):
    k = 0
    while x[k] < 1.0:
        k += 1
        if k > 3:
            break
    return x[k] * k


def array_corners(x):
    y = x.copy()
    y.sort()
    a, b = x[:2].tolist()
    z = np.zeros(2)
    np.add(x[:2], 1.0, out=z)
    w = np.zeros(2)
    np.multiply(x[:2], 2.0, w)
    v = np.cumsum(x, out=None)
    e = np.expand_dims(x, 0)
    e[0, 1] = 4.0
    np.copyto(w, 5.0, where=w > 0.5)
    q = x.T
    flat = M.copy().flat
    m = M.copy()
    c = m.copy()
    np.clip(c, 0.2, 1.0, out=(c,))
    return y, a + b, z, w, v, e, q, flat[3], c, np.squeeze(x[:1])


def kept_ends(x):
    y = 2 * x[1:4]
    y[...] = y * y
    s = slice(1, None, 2)
    return y[s], M[1:, s].copy(), np.take(M, [0, 2], axis=0), x[[]], np.linspace(0.0, x[0], len(x)), np.linspace(0.0, 1.0, num=len(x) - 1)


def ints(x, k):
    i = k + 1
    grid = np.zeros((i, len(NUMBERS)))
    grid[k, 1] = x[k]
    return grid, x[np.int64(1) :].sum() + np.result_type(x, 1.0).itemsize + np.result_type(k, x[0]).itemsize


def objects(x):
    c = Checked(x, b=2.0)
    d = Derived(3.0)
    p = Pair(x[0], x[1])
    return c.total + d.value(x) + p._replace(left=x[2]).left + p._asdict()["right"] + len(p._fields) + isinstance(c, Checked) * 1.0 + (c.__class__ is Checked) * 2.0


def kinds(x):
    f = lambda v: v
    names = [type(f).__name__, type({}).__name__, type(TABLE).__name__, type(len(x)).__name__]
    return len("".join(names)) * x[0] + len(f.__name__) * x[1]


def sets(x):
    s = {k % 2 for k in range(5)}
    t = set(NUMBERS)
    return x[0] * len(s) + len(t) * x[1] + sum(v for v in filter(None, NUMBERS))


def dict_methods(x):
    d = {"a": x[0]}
    d.setdefault("b", x[1])
    d.update({"c": x[2]})
    e = d | {"a": x[3]}
    v = d.pop("zz", x[4])
    d.clear()
    return e["a"] + e["b"] * e["c"] + v + len(d) + STATE["a"] + dict(x=x[0])["x"] + LOOKUP["a"]


def copies(x):
    c = NUMBERS.copy() if isinstance(NUMBERS, list) else []
    t = (1.0, 2.0, 1.0)
    return x[c[0]] + t.count(1.0) + t.index(2.0) + NUMBERS.index(2)


def unbound_paths(x, n):
    pair = None
    for k in range(n):
        if x[k] > 0.5:
            y = (x[k], {"a": x * 2.0})
            pair = y
    return x[0] if pair is None else x[1]


def text(x):
    label = f"{WORD!r:>8}{len(NUMBERS):03d}"
    assert len(label) == 11, f"{x[0]} is wrong"
    return x[0] * len(label)


ALL = [
    (operators, (X,)), (outside_containers, (X,)), (of_numbers, (X,)), (casts, (X,)), (unary, (X,)), (conditions, (X,)), (match_all, (X, "fast", (1.0, 2.0))),
    (match_all, (X, None, (1.0, 2.0))), (match_all, (X, ["a", 3], [1.0, 2.0])), (match_all, (X, (1, 2, 3), (1.0, 2.0))), (match_all, (X, 5.5, (1.0, 2.0, 3.0))),
    (decorated, (X,)), (unpacking, (X,)), (keyword_calls, (X,)), (leaving_early, (X,)), (static_returns, (X,)), (steps, (X, 5)), (countdown, (X,)),
    (checked_condition, (X,)), (array_corners, (X,)), (kept_ends, (X,)), (ints, (X, 2)), (objects, (X,)), (kinds, (X,)), (sets, (X,)), (dict_methods, (X,)),
    (copies, (X,)), (text, (X,)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "args"), ALL, ids=lambda v: getattr(v, "__name__", None))
def test_the_same_as_python(f, args):
    check(f, *args)


# ------------------------------------------------------------ refused


def r_condition(x):
    return sum([v for v in [x[0], x[1]] if v > 0])


def r_two_for(x):
    return sum([a * b for a in x for b in x])


def r_builtin(x):
    return len(x, 2) * x[0]


def r_unknown(x):
    return undefined_name + x  # noqa: F821


def r_deleted(x):
    y = x
    del y
    return y


def r_double_star(x):
    return f(**x) if (f := np.sum) else x


def r_defaultdict(x):
    return LOOKUP["zz"] * x[0]


def r_bound_index(x):
    return x.sum[0]


def r_size_attribute(x):
    return len(x).numerator


def r_seq_attribute(x):
    return range(x.shape[0]).start


def r_module_attribute(x):
    return math.nothing


def r_object_attribute(x):
    return COUNTED.nothing * x[0]


def r_where(x):
    return np.sin(x, where=x > 0)


def r_many(x):
    return (lambda a: a)(x, x)


def r_twice(x):
    return (lambda a: a)(x, a=x)


def r_missing(x):
    return Checked()


def r_extra(x):
    return Checked(x, 1.0, 2.0)


def r_super(x):
    return super().value(x)


def r_zero_d(x):
    return sum(v for v in x[0])


def r_not_iterable(x):
    return sum(math.sin)


def r_range_float(x):
    return sum(x[0] for _ in range(2.5))


def r_range_zero(x):
    return sum(x[0] for _ in range(0, 3, 0))


def r_filter(x):
    return sum(filter(lambda v: v > 0, [x[0], x[1]]))


def r_float(x):
    return float(x)


def r_outside_attribute(x):
    COUNTED.rate = 1.0
    return x[0]


def r_copyto(x):
    np.copyto([1.0], x[0])
    return x[0]


def r_pop_key(x):
    return {"a": x[0]}.pop("b")


def r_dict_method(x):
    return {"a": x[0]}.fromkeys([1])


def r_broadcast_store(x):
    y = np.broadcast_to(x, (2, 5))
    y[0, 0] = 1.0
    return y


def r_store_rank(x):
    y = np.zeros(5)
    y[:] = M[:2, :1] * np.ones((2, 5))
    return y


def r_cast(x):
    k = np.zeros(5, dtype=int)
    k += x
    return k


def r_out(x):
    return np.add(x, 1.0, out=[1.0])


def r_out_rank(x):
    return np.add(M, 1.0, out=np.zeros(4))


def r_dict_argument(x):
    return np.sum({"a": x})


def r_method(x):
    return x.resize((2, 2))


def r_no_method(x):
    return x.byteswap()


def r_index_float(x):
    return x[slice(0.5, 2)]


def r_guard(x):
    match 1:
        case _ if x[0] > 0:
            return x[0]


def r_subject(x):
    match x[0]:
        case 1.0:
            return x[0]


def r_pattern(x):
    match COUNTED:
        case Counted():
            return x[0]


def r_mapping(x):
    match {"k": 1.0}:
        case {"k": v}:
            return x[0] * v


def r_bare_raise(x):
    if x[0] > 0:
        raise
    return x[0]


def r_relative(x):
    from . import helpers

    return helpers


def r_array_attribute(x):
    x.shape = (5, 1)
    return x


def r_few(x):
    a, b, *c, d = [x[0], x[1]]
    return a


def r_count(x):
    a, b = [x[0]]
    return a


def r_list_store(x):
    y = [x[0]]
    y[3] = 1.0
    return y


def r_text_store(x):
    WORD[0] = "a"
    return x


def r_word(x):
    return np.sum(COUNTED) * x[0]


def r_shape_float(x):
    return np.zeros(2.5) + x[0]


def r_complex(x):
    return x * Z


def r_shorts(x):
    return x[:2] * SHORTS


def r_del_item(x):
    d = {"a": x}
    del d["a"]
    return x


def r_result_or_none(x):
    def f(v):
        if v > 0:
            return [v]

    return f(x[0])[0]


def r_key_of_max(x):
    return max([x[0], x[1]], key=lambda v: v)


def r_mode(x):
    while [x[0]] and x[0] > 0:
        x = [x]
    return x


def r_class(x):
    return np.random.default_rng(0).normal() * x[0]


def r_outer_variable(x):
    total = 0.0

    def inner(v):
        nonlocal total
        total = v[0]
        return np.sum(v)

    return adc.grad(inner)(x)


REFUSED = [
    (r_condition, 1, "the condition of a comprehension"), (r_two_for, 1, "must be known when compiling"), (r_builtin, 1, "len(): too many positional arguments"), (r_unknown, 1, "undefined_name may be used before"), (r_deleted, 3, "y may be used before"),
    (r_double_star, 1, "** needs a dict"), (r_defaultdict, 1, "defaultdict's missing key"), (r_bound_index, 1, "cannot be indexed"), (r_size_attribute, 1, "no attribute numerator"),
    (r_seq_attribute, 1, "the attribute start"), (r_module_attribute, 1, "AttributeError"), (r_object_attribute, 1, "AttributeError: nothing"),
    (r_where, 1, "use np.where(condition, a, b)"), (r_many, 1, "takes 1 positional arguments but 2"), (r_twice, 1, "multiple values for argument 'a'"), (r_missing, 1, "missing argument 'w'"),
    (r_extra, 1, "unexpected argument"), (r_super, 1, "super() here"), (r_zero_d, 1, "iteration over a 0-d array"), (r_not_iterable, 1, "is not iterable"),
    (r_range_float, 1, "range() takes integers"), (r_range_zero, 1, "must not be zero"), (r_filter, 1, "the condition of filter()"), (r_float, 1, "only length-1 arrays"),
    (r_outside_attribute, 1, "an object from outside"), (r_copyto, 1, "np.copyto needs an array"), (r_pop_key, 1, "KeyError: 'b'"), (r_dict_method, 1, "the dict method fromkeys"),
    (r_broadcast_store, 2, "a store through np.broadcast_to"), (r_store_rank, 2, "broadcast"), (r_cast, 2, "cannot cast"), (r_out, 1, "out= must be an array"), (r_out_rank, 1, "shape"),
    (r_dict_argument, 1, "a dict is not a number or an array"), (r_method, 1, "the array method resize"), (r_no_method, 1, "the array method byteswap"), (r_index_float, 1, "slice bounds must be integers"),
    (r_guard, 1, "the guard of a case"), (r_subject, 2, "the subject of match"), (r_pattern, 2, "a class pattern"), (r_mapping, 2, "a mapping pattern"), (r_bare_raise, 2, "raise without an exception"), (r_relative, 1, "a relative import"),
    (r_array_attribute, 1, "x.reshape"), (r_few, 1, "not enough values to unpack"), (r_count, 1, "expected 2 values to unpack, got 1"),
    (r_list_store, 2, "list assignment index out of range"), (r_text_store, 1, "item assignment"), (r_word, 1, "a Counted is not a number"), (r_shape_float, 1, "must be"),
    (r_complex, 1, "complex"), (r_shorts, 1, "int16"), (r_del_item, 2, "del of an element"), (r_result_or_none, 1, "the result of f"),
    (r_key_of_max, 1, "must be known when compiling"), (r_mode, 1, "x"), (r_class, 1, "numpy"), (r_outer_variable, 8, "changes variables of the function around it"),
]  # fmt: skip


@pytest.mark.parametrize(("f", "line", "says"), REFUSED, ids=lambda v: getattr(v, "__name__", None))
def test_refused_at_its_line(f, line, says):
    with pytest.raises(AdcError) as e:
        run(f, X)
    assert says in str(e.value)
    d = e.value.diagnostics[0]
    assert d.pos is not None and d.pos.line == f.__code__.co_firstlineno + line, str(e.value)


def test_unbound_on_some_paths():
    with pytest.raises((UnsupportedError, CheckError), match="pair"):
        run(unbound_paths, X, 3)
