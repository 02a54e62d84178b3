"""The front end: every feature of the language, compared with Python's own run."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.frontend_run import check, run, staged

X = np.array([0.3, -0.7, 1.1, 0.4, 0.9])
Y = np.array([1.2, 0.8, -0.5, 0.6, 1.5])
M = np.arange(12.0).reshape(3, 4) / 7
SCALE = 1.5
WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
CONFIG = {"rate": 0.25, "layers": [np.ones(5), np.full(5, 2.0)], "mode": "fast", "steps": 3}


class Pair(NamedTuple):
    left: Any
    right: Any

    def total(self):
        return np.sum(self.left) + self.right


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 2.0

    def norm2(self):
        return self.x * self.x + self.y * self.y

    @property
    def half(self):
        return Point(self.x / 2, self.y / 2)

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)


class Base:
    bias = 0.5

    def __init__(self, w):
        self.w = w

    def energy(self, x):
        return np.sum(self.w * x) + self.bias


class Model(Base):
    def __init__(self, w, power=2):
        super().__init__(w)
        self.power = power

    def energy(self, x):
        return super().energy(x) ** self.power

    def __call__(self, x):
        return self.energy(x) + 1.0


MODEL = Model(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), 3)


# ---------------------------------------------------------------- assignments and expressions


def assignments(x, y):
    a = b = np.sum(x)
    (c, d), *rest = (a, b * 2), 3.0, y[0]
    e: float = c + d
    e += rest[0]
    e *= 2
    first, *middle, last = [1.0, 2.0, 3.0, a]
    return e, last, len(middle), first, rest[1]


def operators(x, y):
    n = len(x)
    return x[0] + 2, 3 - x[1], x * y / n, -x, x[2] ** 2 % 0.3, 7 // 2 + n // 2, n % 2, n**2, +x[0], abs(x[1]), (n + 1) / 2


def comparisons(x, y):
    a = 0.0 < x[0] < 0.5 < y[0]
    b = len(x) > 2 and x.shape == y.shape and not x.ndim == 2
    c = x[0] > 5 or y[0] > 1
    d = x[1] if x[1] > 0 else -x[1]
    e = 1.0 if len(x) == len(y) else 2.0
    return a, b, c, d, e, x is x, x is not None, 2 in (1, 2), "a" in {"a": 1}


def walrus(x):
    if (s := np.sum(x)) > 1.0:
        return s * 2
    total = 0.0
    while (total := total + s) < 5.0:
        s = s + 0.5
    return total + s


def branches(x, k):
    if k == 0:
        y = x * 2
    elif k == 1:
        y = x + 1
    else:
        y = x
    if x[0] > 0:
        z = y[0]
        if x[1] > 0:
            z = z * 3
        else:
            z = z * 4
            y = y * 2
    else:
        z = 0
    return z, y


def static_match(x, mode="square"):
    match mode:
        case "cube" | "square" as m:
            return x**2 if m == "square" else x**3
        case _:
            return x


def unpack_match(x):
    match (1, 2, 3):
        case (1, *rest):
            return x * rest[1]
    return x


def lambdas(x):
    f, g = lambda a: a * 2, lambda a, b=3.0: a + b
    return f(x), g(x), (lambda *a: a[0] + a[1])(x, g(x, 1.0))


def arguments(x, *args, scale=2.0, **kw):
    return x * scale + args[0] * args[1] + kw["extra"] * len(kw)


def closures(x):
    factor = 2.0
    count = 0

    def inner(v):
        nonlocal count
        count += 1
        return v * factor

    a = inner(x)
    factor = 3.0
    b = inner(x)
    return a + b * count


def factory(scale):
    def made(v, power=2):
        return v**power * scale

    return made


def higher(x):
    fs = [factory(2.0), factory(x[0])]
    third = functools.partial(factory(1.0), power=3)
    return sum(f(x) for f in fs) + third(x) + functools.reduce(lambda a, b: a * b, [x[0], x[1], 2.0])


def recursion(x, n):
    if n <= 1:
        return x
    return x * recursion(x, n - 1) + recursion(x, n - 2)


def containers(params, x):
    h = x
    for name, layer in params["layers"].items():
        h = h * layer["w"] + (layer["b"] if name == "b" else 0.0)
    out = []
    for k, v in enumerate([1.0, 2.0, h[0]]):
        out.append(v * k)
    squares = [v * v for v in out if True]
    table = {f"k{i}": s for i, s in enumerate(squares)}
    table["more"] = table.pop("k0") + 1
    table.setdefault("z", x[0])
    return {"h": h, "s": sum(squares), "t": table}, Pair(h, x[0]).total(), sorted([3, 1, 2])


def objects(x):
    p = Point(x[0], x[1]) + Point(1.0)
    q = dataclasses_half(p)
    p.x = q.x * 10
    m = Model(x)
    return p.norm2(), q.half.y, m.energy(x), m(x), isinstance(p, Point), hasattr(p, "zzz"), getattr(p, "x")


def dataclasses_half(p):
    return p.half


def outside(x):
    total = SCALE * np.sum(WEIGHTS * x) + CONFIG["rate"]
    for layer in CONFIG["layers"]:
        total = total + np.sum(layer * x)
    if CONFIG["mode"] == "fast":
        total = total * CONFIG["steps"]
    return total + MODEL.energy(x) + MODEL(x) + Base.bias + math.pi


def strings(x):
    """A docstring."""
    name = f"k{1 + 1:02d}" + "x".upper()
    assert len(x) > 1, f"short {x[0]}"
    return x[0] if name == "k02X" else x[1]


def builtins_(x, n):
    a = max(x[0], x[1], 0.0) + min(1.0, x[2]) + sum(x) + max(x) + float(n) + int(x[2]) + round(1.26, 1)
    b = [v for v in zip([1, 2], (x[0], x[1]), strict=True)]
    c = any([x[0] > 0, False]) and all([True, x[1] < 0])
    return a, b, c, divmod(7, 2), pow(x[0], 2), list(map(lambda v: v * 2, [1, 2])), bool(n), tuple(reversed([1, 2]))


def imports(x):
    import math as m

    from numpy import sin

    return m.exp(x[0]) + sin(x[1])


def scalars_static(x):
    a = math.sqrt(2.0)
    return x * a + math.log(3)


@pytest.mark.parametrize(
    ("f", "args", "kwargs"),
    [
        (assignments, (X, Y), {}), (operators, (X, Y), {}), (comparisons, (X, Y), {}), (walrus, (X,), {}), (walrus, (-X,), {}),
        (branches, (X, 0), {}), (branches, (X, 1), {}), (branches, (X, 5), {}), (branches, (-X, 5), {}),
        (static_match, (2.0,), {}), (static_match, (2.0,), {"mode": "cube"}), (static_match, (2.0,), {"mode": "?"}),
        (unpack_match, (X,), {}), (lambdas, (X,), {}), (arguments, (X, 2.0, Y), {"extra": 1.5}),
        (arguments, (X, 2.0, Y), {"extra": 1.5, "scale": 3.0, "b": 1}), (closures, (X,), {}), (higher, (X,), {}),
        (recursion, (0.9, 6), {}), (objects, (X,), {}), (outside, (X,), {}), (strings, (X,), {}), (builtins_, (X, 3), {}),
        (imports, (X,), {}), (scalars_static, (X,), {}), (MODEL.energy, (X,), {}), (MODEL, (X,), {}),
        (functools.partial(arguments, X, scale=4.0), (1.0, 2.0), {"extra": 0.5}),
        (containers, ({"layers": {"a": {"w": X, "b": Y}, "b": {"w": Y, "b": X}}}, X), {}),
    ],
)  # fmt: skip
def test_expressions(f, args, kwargs):
    check(f, *args, **kwargs)


# ---------------------------------------------------------------- loops


def ranges_(x, n, m):
    total = 0.0
    for i in range(n):
        total += i * x[0]
    for i in range(2, n):
        total += i * x[1]
    for i in range(n, m, -2):
        total += i * x[2]
    for i in range(len(x) - 1, -1, -1):
        total = total * 0.5 + x[i] * i
    for i in range(1, len(x), 2):
        total -= x[i] / i
    for i in range(m, n, 3):
        total += i
    for i in range(10):
        total += i * 0.1
    return total


def run_time_step(x, s):
    total = 0
    for i in range(0, 10 * s, s):
        total += i
    return total * x


def over_arrays(a, x):
    total = 0.0
    for row in a:
        for v in row:
            total += v * v
    for k, row in enumerate(a, 1):
        total += k * row[0]
    for u, v in zip(x, reversed(x)):
        total += u * v
    return total


def list_loop(x):
    ws = [x, x * 2]
    total = 0
    for k in range(2):
        total = total + ws[k]
    for k in range(6):
        total = total + [1.0, 2.0, 3.0][k % 3]
    return total


def else_loops(x, limit):
    for v in x:
        if v > limit:
            found = v
            break
    else:
        found = -1.0
    k = 0
    while k < 3:
        k += 1
    else:
        found = found * 2
    return found, k


def nested_jumps(x, lim):
    total = 0.0
    for i in range(len(x)):
        if x[i] < 0:
            continue
        j = 0
        while True:
            j += 1
            if j > i:
                break
            if x[j] > lim:
                continue
            total += x[i] * x[j]
            if total > 100.0:
                return -total
    return total


def search(x, v):
    for i in range(len(x)):
        for j in range(len(x)):
            if x[i] * x[j] > v:
                return x[i] - x[j] + i * 10 + j
    return 0.0


def leak(x):
    for i in range(len(x)):
        last = x[i] * i
    return last + i


def many_exits(x):
    if x[0] > 1:
        return x[0]
    for v in x:
        if v > 1:
            if v > 2:
                return 2.0
            return v
        if v < -0.6:
            continue
    if x[1] > 0:
        return 5.0
    return 6.0


def carries(x, n):
    a, b = x, 1
    state = (x[0], [x[1], 0.0])
    flag = False
    for i in range(n):
        a = a * 0.9
        b = b + 0.5
        state = (state[0] + state[1][0], [state[1][0] * 2, i])
        if a[0] < 0.2:
            flag = True
    return a, b, state, flag


def while_list(x):
    items = [x[0]]
    k = 0
    while k < 3:
        items.append(items[-1] * 2)
        k += 1
    return items


def object_loop(x, n):
    p = Point(x[0], x[1])
    for _ in range(n):
        p = Point(p.x + p.y, p.y * 0.5)
        p.x += 1.0
    return p.norm2()


def mutable_object(x, n):
    p = Point(x[0], 0.0)
    log = {"count": 0}
    for i in range(n):
        p.y = p.y + p.x * i
        log["count"] += 1
    return p.y, log["count"]


def counter(x, n):
    total = 0.0

    def add(v):
        nonlocal total
        total += v

    for i in range(n):
        add(x[0] * i)
    return total


def while_pop(x):
    total = 0.0
    k = len(x) - 1
    while k >= 0 and x[k] > 0:
        total += x[k]
        k -= 1
    return total


def zero_trips(x, n):
    y = x
    for _ in range(n):
        y = y * 2
    z = 1.0
    while z < 0:
        z = z + 1
    return y + z


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (ranges_, (X, 5, 2)), (ranges_, (X, 0, 7)), (run_time_step, (2.0, 2)), (run_time_step, (2.0, -3)), (over_arrays, (M, X)),
        (list_loop, (X,)), (else_loops, (X, 0.5)), (else_loops, (X, 9.0)), (nested_jumps, (X, 1.0)), (nested_jumps, (X * 20, 100.0)),
        (search, (X, 0.5)), (search, (X, 50.0)), (leak, (X,)), (many_exits, (X,)), (many_exits, (X * 2,)), (many_exits, (X * 0.1,)),
        (many_exits, (X * 9,)), (carries, (X, 4)), (carries, (X, 0)), (while_list, (X,)), (object_loop, (X, 3)),
        (mutable_object, (X, 4)), (counter, (X, 4)), (while_pop, (X,)), (while_pop, (np.abs(X),)), (zero_trips, (X, 0)), (zero_trips, (X, 2)),
    ],
)  # fmt: skip
def test_loops(f, args):
    check(f, *args)


# ---------------------------------------------------------------- arrays and aliasing


def views(a):
    b = np.zeros((3, 4))
    t = b.T
    t[0] = a[:, 0]
    row = b[1]
    row[1:3] = 5.0
    row *= 2
    b[2][3] = a[0, 0]
    flat = b.reshape(-1)
    flat[5] += 1.0
    c = b.ravel()
    b[0, 0] = 9.0
    return b, t, row, c, flat.sum(), b[::-1][0], b[..., 1], b[None, 0].shape


def aliases(x):
    a = x
    b = a
    b[1] = 7.0
    c = a.copy()
    c[0] = 1.0
    d = a + 0
    d[2] = 0.0
    a += 1
    e = a * 1.0
    e, f = e[1:], e[:-1]
    e[0] = 3.0
    return a, b, c, d, f, x


def out_arguments(x):
    y = np.empty(len(x))
    np.multiply(x, 2.0, out=y)
    np.add(y, y, y)
    y.fill(1.0) if len(x) > 99 else None
    z = np.zeros(len(x))
    np.copyto(z, y)
    z[1:] -= y[:-1]
    return y, z


def in_branch(x):
    y = np.zeros(len(x))
    if x[0] > 0:
        y[0] = x[1]
        z = y
    else:
        y[1] = 2.0
        z = y
    z[2] = 4.0
    return y, z


def swap(u, n):
    a = u.copy()
    b = np.zeros(len(u))
    for _ in range(n):
        b[1:-1] = a[:-2] * a[2:]
        a, b = b, a
    return a, b


def rebind(x, n):
    h = x
    for i in range(n):
        h = h * 2
        h[0] = i
    return h, x


def prev_cur(x, n):
    prev = x
    cur = x * 2
    for _ in range(n):
        prev, cur = cur, cur * 0.5 + prev
    return prev, cur


def fancy(x):
    a = np.zeros(4)
    a[np.array([0, 0, 2])] += x[:3]
    np.add.at(a, np.array([1, 1, 3]), x[:3])
    y = x * 1.0
    y[x > 0.5] = 0.0
    y[y < 0] *= 2.0
    return a, y


def shapes(a, x):
    n, m = a.shape
    z = np.zeros((n, m + 1))
    z[:, :m] = a
    z[:, m] = a[:, 0] * n
    return z, a.size, a.T.shape, a.ndim, len(a.T), np.ones(len(x) - 1) + x[1:]


def dynamic(x, n, i):
    z = np.zeros(n)
    for k in range(n):
        z[k] = x[i] * k
    return z, x[:i], x[i:], x[-i]


def rows(a):
    total = np.zeros(a.shape[1])
    for r in a:
        total += r
        r[0] = 0.0
    return total, a


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (views, (M,)), (aliases, (X,)), (out_arguments, (X,)), (in_branch, (X,)), (in_branch, (-X,)), (swap, (X, 3)), (swap, (X, 4)),
        (rebind, (X, 3)), (prev_cur, (X, 3)), (fancy, (X,)), (shapes, (M, X)), (dynamic, (X, 3, 2)), (rows, (M,)),
    ],
)  # fmt: skip
def test_arrays(f, args):
    check(f, *args)


# ---------------------------------------------------------------- captures, guards, dependencies


def test_globals_are_inputs():
    s, _ = staged(outside, X)
    paths = {c.path.split(".", 1)[1] for c in s.captures}
    assert {"SCALE" in p for p in paths} and any("WEIGHTS" in p for p in paths)
    assert any("MODEL.w" in p for p in paths)
    assert all(isinstance(d.digest, str) and d.current() == d.digest for d in s.dependencies)


def test_changed_dependency_is_noticed():
    box = {"power": 2}

    def f(x):
        return x ** box["power"]

    s, _ = staged(f, 2.0)
    assert all(d.current() == d.digest for d in s.dependencies)
    box["power"] = 3
    assert any(d.current() != d.digest for d in s.dependencies)


def test_equal_sizes_become_one():
    def f(x, y):
        return np.sum(x * y)

    s, _ = staged(f, X, Y)
    assert s.function.params[0].type.dims == s.function.params[1].type.dims
    assert [g.kind for g in s.function.guards] == ["equal"]
    assert "same_size" not in str(s.function)
    with pytest.raises(ValueError, match="broadcast"):
        run(f, X, Y[:3])


def test_hints_and_positions():
    def f(x):
        y = np.sin(x)
        return y * 2

    s, _ = staged(f, 1.0)
    op = s.function.body.stmts[0]
    assert op.outs[0].hint == "y"
    assert op.pos is not None and "np.sin(x)" in op.pos.text


def test_run_time_loop_stays_a_loop():
    s, _ = staged(ranges_, X, 5, 2)
    assert str(s.function).count("= for ") == 7
