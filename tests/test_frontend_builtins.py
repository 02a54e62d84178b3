"""Python's built-in functions and container methods inside user code: the same values as Python gives."""

from __future__ import annotations

import functools
import math
from collections import namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest

import adc
from tests.frontend_run import check

X = np.array([0.5, -1.5, 2.0, 0.25])
M = np.arange(6.0).reshape(2, 3) / 4 + 0.1
Pair = namedtuple("Pair", "left right")
TABLE = {"a": 2.0, "b": [1.0, 3.0], "n": 2}
NAMES = ["p", "q"]


@dataclass
class Box:
    w: object
    scale: float = 2.0
    tags: list = field(default_factory=list)

    def __len__(self):
        return len(self.tags) + 2

    def __abs__(self):
        return abs(self.scale)

    def __call__(self, x):
        return self.scale * x

    @property
    def double(self):
        return 2.0 * self.scale

    @classmethod
    def make(cls, w):
        return cls(w, 3.0)

    @staticmethod
    def half(x):
        return x / 2


def lists(x):
    xs = [x[0], x[1]]
    xs.append(x[2])
    xs.extend([x[3], 1.0])
    xs.insert(0, x[0] * 2)
    last = xs.pop()
    first = xs.pop(0)
    ys = xs.copy()
    xs.reverse()
    ys.clear()
    ns = [3, 1, 2]
    ns.sort()
    ns.sort(key=lambda v: -v)
    ns.remove(2)
    return sum(v * k for k, v in enumerate(xs)) + last + first + len(ys) + ns.index(1) + ns.count(3) + ns[0]


def dicts(x):
    d = {"a": x[0], "b": x[1]}
    d["c"] = x[2]
    e = d.copy()
    p = e.pop("a")
    q = e.pop("zz", 2.0)
    e.setdefault("d", x[3])
    e.setdefault("b", 0.0)
    e.update({"f": 4.0})
    f = dict(d, g=1.0)
    g = dict([("k", x[0]), ("l", 2.0)])
    h = dict()
    e2 = {**e, "b": 0.5}
    h.update(g)
    total = p + q + d.get("a") + (d.get("zz", 3.0)) + len(f)
    for k in e2.keys():
        total = total + len(k)
    for v in e2.values():
        total = total + v
    for k, v in f.items():
        total = total * 1.01 + v
    e.clear()
    return total + len(e) + h["k"] + ("b" in d) + ("zz" in d)


def numbers(x):
    a = abs(x[1]) + abs(-2) + pow(x[0], 2) + pow(2, 3)
    q, r = divmod(x[2], 0.75)
    i, j = divmod(7, 2)
    c = round(x[2] * 1.26, 1) + round(2.6) + round(2.567, 2) + round(len(x))
    f = float(x[0]) + float("1.5") + float(2) + float(len(x))
    n = int(x[2] * 1.7) + int("3") + int(2.7) + int(len(x))
    b = bool(x[0]) + bool(0) + bool([])
    return a + q * r + i * j + c + f + n + (1.0 if b else 0.0) + complex_free(x)


def complex_free(x):
    return min(x[0], x[1], 3.0) + max(x[0], x[1]) + max(x) + min(x) + max([1, 5, 2]) + min(4, 2) + max([x[0], x[2]]) + max([], default=2.5)


def extremes(x):
    words = ["bb", "a", "ccc"]
    return max(words, key=len).count("c") * x[0] + min(words, key=len).count("a") * x[1] + min(len(x), 9) + max(len(x), 2)


def iteration(x):
    total = 0.0
    for k, (u, v) in enumerate(zip(x, reversed(x)), start=2):
        total += k * u * v
    for s in sorted([3, 1, 2], reverse=True):
        total = total * 0.5 + s
    for s in sorted({"b", "a"}):
        total += len(s)
    for s in tuple(x[:2]) + (1.0,):
        total += s
    for u in map(lambda p, q: p * q, [x[0], x[1]], [2.0, 3.0]):
        total += u
    for u in filter(None, [1, 0, 3]):
        total += u
    for u in filter(lambda v: v > 1, (1, 2, 3)):
        total += u
    for u in iter([x[0]]):
        total += u
    for u in list(range(3)) + list("ab").copy()[:0]:
        total += u
    return total + functools.reduce(lambda p, q: p * q, [x[0], x[1], 2.0]) + sum(x) + sum([x[0], 1.0], 2.0) + sum([x, x])[0] + sum(M)[1]


def logic(x):
    t = 0.0
    if any(x > 1.0) and all(x > -9.0):
        t += 1.0
    if any([x[0] > 0, x[1] > 0]) or all([]):
        t += 2.0
    if all([x[0] > 0, x[1] > 0]):
        t += 4.0
    return t * x[0]


def objects(x):
    b = Box(x, 1.5, ["u"])
    c = Box.make(x)
    t = b.double + c.scale + Box.half(x[0]) + b(x[1]) + len(b) + abs(b)
    setattr(b, "scale", 4.0)
    b.w = x * 2.0
    t += getattr(b, "scale") + getattr(b, "nothing", 7.0) + hasattr(b, "w") + hasattr(b, "zz") + hasattr(x, "shape")
    t += isinstance(b, Box) + isinstance(x, np.ndarray) + isinstance(x[0], float) + isinstance(3, (int, str)) + isinstance(len(x), int)
    t += (type(b) is Box) + (type([]) is list) + callable(b.half) + callable(3)
    p = Pair(x[0], 2.0)
    r = p._replace(left=x[1])
    return t + np.sum(b.w) + p.left * r.left + r._asdict()["right"] + p.index(2.0) if False else t + np.sum(b.w) + p.left * r.left + r._asdict()["right"]


def strings(x):
    name = str(3) + repr("a") + f"{len('abc')}-{2:03d}"
    s = slice(1, 3)
    return np.sum(x[s]) + len(name) + len(name.upper().split("-")) + ("a" in name) + "abc".index("b") + TABLE["a"] + TABLE["b"][1] * TABLE.get("n") + len(NAMES) + NAMES.index("q")


def partials(x):
    f = functools.partial(lambda a, b, c=1.0: a * b + c, x[0], c=x[1])
    g = functools.partial(np.sum, axis=0)
    return f(3.0) + f(x[2], c=2.0) + g(M)[0]


def stores(x):
    a = np.zeros(4)
    np.copyto(a, x)
    np.copyto(a, 1.0, where=a < 0.0)
    a.fill(2.0) if len(x) == 3 else a.fill(3.0)
    a[1] = x[1]
    b = a.copy()
    b *= 2
    b -= x
    b /= 2.0
    b **= 2
    b //= 0.5
    b %= 3.0
    return np.sum(a * b) + np.ndim(a) + np.size(M) + np.size(M, 0) + np.shape(M)[1] + np.ndim([1, 2]) + np.shape([[1.0], [2.0]])[0]


def types_(x):
    y = np.float32(x[0]) + np.float64(2) + np.int64(3) + np.float32(0.5)
    z = x.astype(np.float32).astype("float64") + np.asarray(x, dtype=float)
    w = np.zeros(2, dtype=np.result_type(x, 1))
    return y + np.sum(z) + w[0] + np.array([1, 2], np.int32).sum() + int(x.dtype == np.float64)


def attributes(x):
    return x.ndim + x.size + x.shape[0] + M.T.shape[0] + len(M) + np.sum(M.T @ M) + x.item(0) + x[:1].item() + math.pi * x.mean() + np.e


def chained(x):
    a = b = x * 2.0
    c, *rest = x[0], x[1], x[2]
    (d, e), g = (x[0], x[1]), 3.0
    h: float = x[3]
    assert x.shape == (4,), "four"
    if (n := len(x)) > 3:
        h += n
    t = -1.0 if not 0 < x[0] <= 1 < n else 1.0
    del g
    return np.sum(a * b) + c + rest[1] + d * e + h + t


def walls(x):
    total = 0.0
    i = 0
    while True:
        i += 1
        if i == 2:
            continue
        if i > 4:
            break
        total += x[i - 1]
    else:
        total += 100.0
    for k in range(5, -1, -2):
        if k == 9:
            break
    else:
        total += k
    while i > 2:
        i -= 1
    else:
        total += 0.5
    return total * i


def matched(x, mode="b"):
    match mode:
        case "a":
            return x[0]
        case "b" | "c":
            return x[1] * 2
        case _:
            return 0.0


def power(x, n):
    return 1.0 if n == 0 else x * power(x, n - 1)


def recursion(x):
    return power(x[0], 4)


def comprehension(x):
    a = [v * k for k, v in enumerate([x[0], x[1]]) if k >= 0]
    b = {k: x[k] for k in range(2)}
    c = {n for n in (1, 2, 2)}
    d = sum(x[i] * x[j] for i in range(2) for j in range(2) if i != j)
    return a[1] + b[1] + len(c) + d + sum(v for v in [x[0], x[3]])


FUNCTIONS = [
    lists, dicts, numbers, extremes, iteration, logic, objects, strings, partials, stores, types_, attributes, chained, walls,
    matched, recursion, comprehension,
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_value(f):
    check(f, X)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_gradient(f):
    if f in (numbers, stores, types_):  # rounding: differences are not derivatives
        adc.grad(f, target="numpy")(X)
        return
    g = adc.grad(f, target="numpy")(X)
    steps = [(f(X + 1e-6 * e) - f(X - 1e-6 * e)) / 2e-6 for e in np.eye(4)]
    np.testing.assert_allclose(g, steps, rtol=1e-5, atol=1e-6)


class Grid:
    def __init__(self, values):
        self.values = values

    def __getitem__(self, k):
        return self.values[k] * 2.0

    def __iadd__(self, other):
        self.values = self.values + other
        return self


OUTSIDE = [1.0, 2.0, 3.0]
HELD = Grid(np.array([1.0, 2.0]))


def containers(x):
    xs = [x[0], x[1]] + OUTSIDE[:1] + [1.0] * 2
    ys = (x[0],) + (x[1], 2.0)
    d = {"a": x[0]} | {"b": 2.0}
    xs[0] = x[3]
    xs[1:2] = [x[2], 5.0]
    xs += [x[0]]
    zs = xs[1:3]
    (t,) = ys[-1:]
    k = np.array([1, 0])
    w = np.array([x[0], [1.0, 2.0][1]]) + np.asarray(OUTSIDE)[:2] + np.sum([x[:2], x[2:]], axis=0)
    g = Grid(x)
    g += 1.0
    return sum(xs) + sum(ys) + d["b"] + zs[0] + t + np.sum(x[k]) + np.sum(w) + g[0] + HELD[1] + np.sum(x[[0, 2]]) + np.sum(x[np.int64(1)])


def ufuncs(x):
    a = np.add.reduce(x) + np.multiply.reduce(M)[0] + np.maximum.reduce(x) + np.minimum.reduce(M, axis=1)[0]
    b = np.add.accumulate(x)[2] + np.multiply.accumulate(x)[1] + np.sum(np.subtract.outer(x, M[0])) + np.sum(np.multiply.outer(x, 2.0))
    y = x.copy()
    np.add.at(y, [0, 0], 1.0)
    return a + b + y[0]


def views(x):
    y = x * 1.0
    f = np.flip(y)
    f[0] = 2.0
    s = np.split(y, 2)[1]
    u = np.flipud(M)
    v = np.broadcast_to(y, (2, 4))
    r = np.reshape(y, (2, 2))
    e = y[None, :, None]
    q = np.swapaxes(M, 0, 1)[1:, ...]
    h = np.rot90(M)
    z = np.ravel(M)[::2]
    return np.sum(y * f) + s[0] + np.sum(u[0]) + np.sum(v) + np.sum(e) + r[0, 1] + np.sum(q * q) + h[0, 0] + z[1] + np.diagonal(M)[1]


def loops(x):
    total = 0.0
    for row in M:
        for v in row[:2]:
            total += v
    for i, (a, b) in enumerate(zip(M[0], x)):
        total += i * a * b
    for k in (3, 1):
        for name, v in {"p": x[0], "q": k}.items():
            total = total + v * len(name)
    for v in reversed(x):
        if v < -1.0:
            continue
        total *= 1.1
        if total > 50:
            break
    else:
        total += 1.0
    n = int(x[2])
    for i in range(n, 0, -1):
        total += x[i] * i
    for i in range(n * 2):
        if i == 3:
            break
        total += x[i]
    k = 0
    while k < n + 1:
        k += 1
        if x[k - 1] < 0:
            continue
        total += x[k - 1]
    return total


def exits(x):
    def inner(v, limit=2.0):
        if v > limit:
            return v * 2
        for k in range(3):
            if v > k:
                return v + k
        return -v

    def outer():
        nonlocal_total[0] = inner(x[0])
        return nonlocal_total[0]

    nonlocal_total = [0.0]
    count = 0.0

    def bump():
        nonlocal count
        count = count + x[1]

    bump()
    bump()
    return inner(x[1]) + inner(x[2], limit=1.0) + outer() + count


def numbers_as_arrays(x):
    a = x[0]
    i = len(x)
    return a.ndim + a.real if False else a[()] + a[...] + a.sum() + a.reshape(1)[0] + (i + 1) // 2 + i % 3 + np.float64(2.0).item() + abs(np.float32(1.5)) + np.sum(np.atleast_1d(a))


MORE = [containers, ufuncs, views, loops, exits, numbers_as_arrays]


@pytest.mark.parametrize("f", MORE, ids=lambda f: f.__name__)
def test_more_values(f):
    check(f, X)
    adc.grad(f, target="numpy")(X)


WRONG = {
    "index out of range": lambda x: [x[0]][2],
    "store out of range": lambda x: [x[0]].__setitem__(4, 1.0) or x[0],
    "key": lambda x: {"a": x[0]}["b"],
    "attribute": lambda x: x.nothing,
    "function attribute": lambda x: (lambda v: v).nothing,
    "index type": lambda x: x["a"],
    "slice type": lambda x: x[0.5:],
    "call a number": lambda x: len(x)(x),
    "no rule": lambda x: np.add.reduceat(x, [0, 1])[0],
    "reduce of another": lambda x: np.hypot.reduce(x),
    "list method": lambda x: [x[0]].__iadd__([1.0])[0] if False else [x[0]].nothing(),
    "outside append": lambda x: OUTSIDE.append(1.0) or x[0],
    "text of a value": lambda x: f"{x[0]}" or x[0],
    "list size": lambda x: [x[0]] * int(x[2]) and x[0],
    "unpack": lambda x: (lambda a, b: a)(*[x[0]]),
    "keyword": lambda x: np.sum(x, nothing=1),
    "subscript of a function": lambda x: np.sum[0],
    "sorted": lambda x: sorted([x[0], x[1]])[0],
    "open": lambda x: open("f") and x[0],
    "print to a file": lambda x: print(x, file=None) or x[0],
    "dict from outside": lambda x: TABLE.update({"z": 1.0}) or x[0],
    "infinite recursion": lambda x: endless(x),
}


def endless(x):
    return endless(x) + 1.0


@pytest.mark.parametrize("name", WRONG)
def test_refused(name):
    with pytest.raises(adc.AdcError) as caught:
        adc.grad(WRONG[name], target="numpy")(X)
    assert str(caught.value)
    assert not isinstance(caught.value, adc.StageError)
