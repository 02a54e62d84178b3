"""Random programs aimed at the lowering: arrays of rank 1 to 3, copies and views stored into, stencils, products, loops over
examples, gathers, run-time bounds and indices, swaps, checkpoints, closures; as source text, from a seed.

`write(seed)` gives a `Case`: the text of `f(x, y, w, A, B, C, U, S, idx, n, j, c)`, which returns one or several results, and of
`loss(…)`, a number made of all of them; arguments; and whether an index may be out of bounds.  Sizes are called P, Q, R:
x, y: (P,), w: (Q,), A, B: (P, Q), C: (Q, P), S: (P, P), U: (P, Q, R), r: (R,).
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np

Dims = tuple[str, ...]
PARAMS: dict[str, Dims] = {
    "x": ("P",), "y": ("P",), "w": ("Q",), "r": ("R",), "A": ("P", "Q"), "B": ("P", "Q"), "C": ("Q", "P"), "S": ("P", "P"), "U": ("P", "Q", "R"),
}  # fmt: skip
LENGTH = {"P": "len(x)", "Q": "len(w)", "R": "len(r)"}
VECTOR = {"P": "x", "Q": "w", "R": "r"}
HEAD = "import adc\nimport numpy as np\n\n"


@dataclasses.dataclass
class Case:
    seed: int
    text: str
    args: tuple[Any, ...]
    wild: bool
    """May an index be out of bounds?"""


class Writer:
    def __init__(self, seed: int):
        self.r = random.Random(seed)
        self.head: list[str] = []
        self.lines: list[str] = []
        self.arrays: dict[str, Dims] = dict(PARAMS)
        self.kept: Dims | None = None
        """What the list holds, where there is one."""
        self.own: dict[str, Dims] = {}
        """Arrays that may be stored into."""
        self.scalars = ["c"]
        self.loops: list[tuple[str, str]] = []
        """Loop variables and the size that they stay below."""
        self.serial = 0
        self.wild = False
        self.indent = 1
        self.sizes, self.length, self.vector = "PQR", LENGTH, VECTOR

    # ------------------------------------------------------------ small things

    def fresh(self, name: str) -> str:
        self.serial += 1
        return f"{name}{self.serial}"

    def chance(self, p: float) -> bool:
        return self.r.random() < p

    def pick(self, items: Any) -> Any:
        return self.r.choice(list(items))

    def say(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    def having(self, dims: Dims, own: bool = False) -> list[str]:
        return [a for a, d in (self.own if own else self.arrays).items() if d == dims]

    def number(self) -> str:
        return self.pick(["0.5", "-0.75", "0.3", "1.25", "0.1", "2.0"])

    def index(self, d: str) -> str:
        """An integer inside an axis, mostly."""
        inside = [i for i, size in self.loops if size == d]
        if inside and self.chance(0.7):
            i = self.pick(inside)
            return self.pick([i, i, i, f"-1 - {i}", f"({i} + 1) % {self.length[d]}", f"{self.length[d]} - 1 - {i}"])
        options = [f"j % {self.length[d]}", "0", "-1"]
        if self.chance(0.05):
            self.wild = True
            options = ["j", "-j - 1", "n"] if "P" in self.sizes else ["2"]
            options += [*(i for i, _ in self.loops), *(f"{i} + 1" for i, _ in self.loops)]
        return self.pick(options)

    # ------------------------------------------------------------ expressions

    def scalar(self, depth: int = 2) -> str:
        kind = self.r.randrange(12 if depth else 4)
        if kind == 0:
            return self.number()
        if kind in (1, 2):
            return self.pick(self.scalars)
        if kind == 3:
            a = self.pick(self.arrays)
            return f"{a}[{', '.join(self.index(d) for d in self.arrays[a])}]"
        if kind in (4, 5):
            return f"({self.scalar(depth - 1)} {self.pick('+-')} {self.scalar(depth - 1)})"
        if kind == 6:
            return f"np.sin({self.scalar(depth - 1)} * {self.scalar(depth - 1)})"
        if kind == 7:
            return f"np.tanh({self.scalar(depth - 1)})"
        if kind == 8:
            a = self.pick(self.arrays)
            return f"np.{self.pick(['mean', 'max', 'min', 'sum'])}({self.array(self.arrays[a], depth - 1)}{'' if self.chance(0.7) else ' * 0.5'})"
        if kind == 9:
            d = self.pick(self.sizes)
            return f"({self.array((d,), depth - 1)} @ {self.array((d,), depth - 1)})"
        if kind == 10:
            return f"{self.pick(['np.maximum', 'np.minimum', 'max', 'min'])}({self.scalar(depth - 1)}, {self.scalar(depth - 1)})"
        return f"{self.scalar(depth - 1)} / (1.5 + np.cos({self.scalar(depth - 1)}) ** 2)"

    def leaf(self, dims: Dims) -> str:
        options = self.having(dims)
        if len(dims) > 1:
            options += [f"{a}.T" for a in self.having(dims[::-1])]
        # a row or a plane of something larger
        for a, d in self.arrays.items():
            if len(d) == len(dims) + 1:
                if d[1:] == dims:
                    options.append(f"{a}[{self.index(d[0])}]")
                if d[:-1] == dims:
                    options.append(f"{a}[..., {self.index(d[-1])}]")
        if options and self.chance(0.9):
            return self.pick(options)
        if len(dims) == 1:
            return self.vector[dims[0]]
        if len(dims) == 2:
            return f"({self.leaf(dims[:1])}[:, None] * {self.leaf(dims[1:])})"
        return f"({self.leaf(dims[:2])}[:, :, None] * {self.leaf(dims[2:])})"

    def array(self, dims: Dims, depth: int = 2) -> str:
        if not dims:
            return self.scalar(depth)
        kind = self.r.randrange(16 if depth > 0 else 2)
        go = lambda d=dims: self.array(d, depth - 1)
        if kind in (0, 1):
            return self.leaf(dims)
        if kind in (2, 3):
            return f"({go()} {self.pick('+-')} {go()})"
        if kind == 4:
            return f"np.{self.pick(['sin', 'tanh', 'cos'])}({go()} * {self.pick([go(), self.scalar(depth - 1)])})"
        if kind == 5:
            return f"({go()} * {self.number()})"
        if kind == 6:
            return f"np.where({go()} > {self.pick([go(), self.scalar(depth - 1)])}, {go()}, {self.pick([go(), '0.3'])})"
        if kind == 7:
            return f"np.{self.pick(['maximum', 'minimum'])}({go()}, {self.pick([go(), self.number()])})"
        if kind == 8 and len(dims) < 3:
            axis = self.r.randrange(len(dims) + 1)
            d = self.pick(self.sizes)
            more = (*dims[:axis], d, *dims[axis:])
            return f"np.{self.pick(['sum', 'mean', 'max', 'min'])}({self.array(more, depth - 1)}, axis={self.pick([axis, axis - len(more)])})"
        if kind == 9 and len(dims) > 1:
            axis = self.r.randrange(len(dims))
            e = go()
            return f"({e} - np.{self.pick(['sum', 'mean', 'max'])}({e}, axis={axis}, keepdims=True))"
        if kind in (10, 11) and len(dims) <= 2:
            k = self.pick(self.sizes)
            a, b = (((dims[0], k), (k, dims[1])) if len(dims) == 2 else self.pick([((dims[0], k), (k,)), ((k,), (k, dims[0]))]))
            product = f"{self.array(a, depth - 1)} @ {self.array(b, depth - 1)}"
            return f"np.tanh(0.3 * ({product}))" if self.chance(0.5) else f"({product}) * 0.1"
        if kind == 12:
            return f"{self.leaf(dims)}[{self.pick(['::-1', '::-1' if len(dims) == 1 else ':, ::-1'])}]"
        if kind == 13 and len(dims) > 1:
            axis = self.r.randrange(len(dims))
            return f"({go()} + {self.pick([self.array(dims[1:], depth - 1), f'({self.array((dims[0],), depth - 1)})' + '[:, None' + ', None' * (len(dims) - 2) + ']'])})"
        if kind == 14 and dims[0] == "P":
            return f"({self.leaf(dims)})[idx]"
        if kind == 15:
            if len(dims) == 1:
                return f"np.cumsum({go()}) * 0.2"
            return f"np.transpose({self.array(dims[::-1], depth - 1)})"
        return f"np.exp(-({go()}) ** 2)"

    def condition(self) -> str:
        return f"{self.scalar(1)} {self.pick('<>')} {self.scalar(1)}"

    # ------------------------------------------------------------ statements

    def define(self, name: str, dims: Dims) -> None:
        self.arrays[name] = self.own[name] = dims

    def some_own(self, rank: int | None = None) -> tuple[str, Dims]:
        found = [(a, d) for a, d in self.own.items() if rank is None or len(d) == rank]
        return self.pick(found) if found else self.copied(rank)

    def copied(self, rank: int | None = None) -> tuple[str, Dims]:
        source = self.pick([a for a, d in self.arrays.items() if rank is None or len(d) == rank])
        dims = self.arrays[source]
        name = self.fresh("a")
        how = self.r.randrange(6)
        if how == 0:
            self.say(f"{name} = {source} * 1.0")
        elif how == 1:
            self.say(f"{name} = np.array({source})")
        elif how == 2 and len(dims) > 1:
            dims = dims[::-1]
            self.say(f"{name} = {source}.T.copy()")
        elif how == 3:
            self.say(f"{name} = np.zeros_like({source})")
        else:
            self.say(f"{name} = {source}.copy()")
        if not self.scoped:
            self.define(name, dims)
        return name, dims

    @property
    def scoped(self) -> bool:
        """What is defined here is not defined everywhere."""
        return self.indent > 1

    def part(self, dims: Dims) -> tuple[str, Dims | None]:
        """An index, and the dims of what it chooses (None: a slice of odd sizes)."""
        index: list[str] = []
        left: list[str] = []
        for d in dims:
            kind = self.r.randrange(5)
            if kind < 2:
                index.append(self.index(d))
            else:
                index.append(self.pick([":", ":", ":", "::-1"]))
                left.append(d)
        return ", ".join(index), tuple(left)

    def store(self) -> None:
        a, dims = self.some_own()
        kind = self.r.randrange(8)
        if kind < 4:
            index, left = self.part(dims)
            assert left is not None
            self.say(f"{a}[{index}] {self.pick(['=', '+=', '-=', '='])} {self.array(left)}")
        elif kind < 6:
            axis = self.r.randrange(len(dims))
            lead = ":, " * axis
            to, of = self.pick([("1:", ":-1"), (":-1", "1:"), ("::2", "::2"), ("1::2", "1::2"), ("1:-1", ":-2"), (":2", "-2:"), ("1:", ":0:-1")])
            other = self.pick(self.having(dims) or [a])
            e = f"{other}[{lead}{of}]"
            e = self.pick([f"np.sin({e} * {self.scalar(1)})", f"{e} * 0.5", f"{e} + {a}[{lead}{to}]"])
            self.say(f"{a}[{lead}{to}] {self.pick(['=', '+='])} {e}")
        elif kind == 6:
            self.say(f"{a} {self.pick(['+=', '-=', '*='])} {self.array(dims)}")
        else:
            self.say(f"{a}[{a} > {self.number()}] = {self.scalar(1)}")

    def view(self) -> None:
        a, dims = self.some_own()
        v = self.fresh("v")
        kind = self.r.randrange(5)
        if kind == 0:
            self.say(f"{v} = {a}.T")
            index, left = self.part(dims[::-1])
        elif kind == 1:
            if self.chance(0.8):
                self.say(f"{a} = {a}.copy()")  # of any other, NumPy decides whether this is a view
            self.say(f"{v} = {a}.reshape(-1)")
            self.say(f"{v}[{self.pick(['0', '-1', '1:', '::2', '::-1'])}] {self.pick(['=', '+=', '*='])} {self.scalar(1)}")
            return
        elif kind == 2:
            i = self.index(dims[0])
            self.say(f"{v} = {a}[{i}]" if len(dims) > 1 else f"{v} = {a}[::-1]")
            index, left = self.part(dims[1:]) if len(dims) > 1 else self.part(dims)
        elif kind == 3 and len(dims) > 1:
            self.say(f"{v} = {a}[:, {self.index(dims[1])}]")
            rest = (dims[0], *dims[2:])
            index, left = self.part(rest)
        else:
            self.say(f"{v} = {a}[:]")
            index, left = self.part(dims)
        assert left is not None
        self.say(f"{v}[{index}] {self.pick(['=', '+='])} {self.array(left, 1)}")
        if self.chance(0.4):
            self.say(f"{a}[{self.part(dims)[0]}] {self.pick(['=', '*='])} {self.scalar(1)}")
            s = self.pick_own_scalar()
            self.say(f"{s} = {s} + np.sum({v}) * 0.1")

    def pick_own_scalar(self) -> str:
        return self.pick([s for s in self.scalars if s != "c"])

    def assign(self) -> None:
        """A new array, or a new value for an old one."""
        if self.scoped or self.chance(0.3):
            a, dims = self.some_own()
            self.say(f"{a} = {self.array(dims, 3)}{self.pick(['', ' * 1.0', ''])}" if not self.scoped else f"{a} = {self.array(dims)} * 1.0")
        else:
            dims = tuple(self.pick(self.sizes) for _ in range(self.pick([1, 2, 2, 3])))
            name = self.fresh("a")
            self.say(f"{name} = {self.array(dims, 3)} * 1.0")
            self.define(name, dims)

    def number_changes(self) -> None:
        s = self.pick_own_scalar()
        self.say(f"{s} {self.pick(['=', '+=', '-='])} {self.scalar()}" if self.chance(0.8) else f"{s} = np.tanh({s} * {self.scalar(1)})")

    def swap(self) -> None:
        a, dims = self.some_own()
        others = [b for b in self.having(dims, own=True) if b != a]
        if not others:
            b = self.fresh("a")
            self.say(f"{b} = {self.array(dims)} * 1.0")
            if self.scoped:
                return
            self.define(b, dims)
        else:
            b = self.pick(others)
        self.say(f"{a}, {b} = {b}, {self.pick([a, a, f'{a} * 0.5', f'np.sin({a} + {b})'])}")

    def stencil(self) -> None:
        """Steps of time over a grid, in several spellings."""
        rank = self.pick([1, 2] if self.scoped else [1, 1, 2, 2, 3])
        u, dims = self.some_own(rank)
        if rank != len(dims):
            return
        mid = ", ".join(["1:-1"] * rank)
        shifted = []
        for axis in range(rank):
            for s in (":-2", "2:"):
                shifted.append(", ".join(s if k == axis else "1:-1" for k in range(rank)))
        if self.chance(0.3):
            shifted.append(", ".join([":-2"] * rank))
        t = self.fresh("t")
        v = self.fresh("v")
        step = lambda e: self.pick([f"np.sin({e})", e, e, f"({e}) * ({e}) * 0.3", f"np.maximum({e}, 0.1)"])
        terms = " + ".join(f"{{0}}[{s}]" for s in shifted)
        body = step(f"{self.pick(['0.2', 'c', '0.1'])} * ({terms.format(u)} - {len(shifted)} * {u}[{mid}])")
        self.say(f"for {t} in range({self.pick(['n', 'n + 1', '3'])}):")
        self.indent += 1
        kind = self.r.randrange(5)
        if kind == 0:
            self.say(f"{v} = {u}.copy()")
            self.say(f"{v}[{mid}] = {u}[{mid}] + {body}")
            self.say(f"{u} = {v}")
        elif kind == 1:
            self.say(f"{v} = np.zeros_like({u})")
            self.say(f"{v}[{mid}] {self.pick(['=', '+='])} {body}")
            self.say(f"{u} = {u} + {v}")
        elif kind == 2:
            self.say(f"{u}[{mid}] += {body}")
        elif kind == 3:
            old = self.pick(self.having(dims) or [u])
            self.say(f"{v} = {u} * 1.0")
            self.say(f"{v}[{mid}] = 0.5 * {u}[{mid}] - 0.2 * {old}[{mid}] + {body}")
            self.say(f"{u} = {v} * 1.0" if self.chance(0.5) else f"{u}[:] = {v}")
        else:
            i = [self.fresh("i") for _ in range(rank)]
            for k in range(rank):
                size = f"{u}.shape[{k}]"
                self.say(f"for {i[k]} in range({self.pick([f'1, {size} - 1', f'{size} - 2, 0, -1'])}):")
                self.indent += 1
            near = [", ".join(f"{x} {o} 1" if m == k else x for m, x in enumerate(i)) for k in range(rank) for o in "+-"]
            here = ", ".join(i)
            self.say(f"{u}[{here}] = {step('0.2 * (' + ' + '.join(f'{u}[{p}]' for p in near) + f') + 0.3 * {u}[{here}]')}")
            self.indent -= rank
        self.indent -= 1

    def scan(self) -> None:
        a, dims = self.some_own(1)
        if len(dims) != 1:
            return
        i = self.fresh("i")
        e = self.pick(self.having(dims) or [a])
        self.say(f"for {i} in range({self.pick([f'1, {self.length[dims[0]]}', f'{self.length[dims[0]]} - 1, 0, -1', f'1, {self.length[dims[0]]}, 2'])}):")
        self.indent += 1
        self.loops.append((i, dims[0]))
        if self.chance(0.4):
            self.say(f"if {self.condition()}:")
            self.say(f"    {self.pick(['continue', 'break', f'{a}[{i}] = {self.scalar(1)}', f'{self.pick_own_scalar()} += {self.scalar(1)}'])}")
        self.say(f"{a}[{i}] {self.pick(['=', '+='])} {self.pick([f'np.tanh({a}[{i} - 1] + {e}[{i}])', f'0.5 * {a}[{i} - 1] + {e}[{i}]', f'{a}[{i} - 1] * {e}[{i}]'])}")
        self.loops.pop()
        self.indent -= 1

    def loop(self, depth: int) -> None:
        i = self.fresh("i")
        d = self.pick(self.sizes + self.sizes[0])
        bound, size = self.pick([(self.length[d], d), (self.length[d], d), ("n", ""), (f"{self.length[d]} - 1, -1, -1", d), (f"j % {self.length[d]}, {self.length[d]}", d)])
        if self.loops and self.chance(0.2):
            outer, size = self.pick(self.loops)
            bound = f"{outer}{self.pick(['', ' + 1'])}"
        self.say(f"for {i} in range({bound}):")
        self.loops.append((i, size))
        self.indent += 1
        scalars = list(self.scalars)
        if self.chance(0.6):
            z = self.fresh("z")
            self.say(f"{z} = {self.pick(['0.0', self.scalar(1)])}")
            self.scalars.append(z)
        if self.chance(0.15):
            self.say(f"if {self.condition()}:")
            self.say(f"    {self.pick(['continue', 'continue', 'break'])}")
        for _ in range(self.r.randint(1, 3)):
            self.statement(depth - 1)
        if self.chance(0.6) and self.scalars[-1] not in scalars:
            s = self.pick([x for x in scalars if x != "c"])
            self.say(f"{s} += {self.pick(['np.tanh({0})', '{0} * {0} * 0.1', '{0}'])}".format(self.scalars[-1]))
        self.scalars = scalars
        self.indent -= 1
        self.loops.pop()

    def branch(self, depth: int) -> None:
        self.say(f"if {self.condition()}:")
        for k in range(self.r.randint(1, 2)):
            if k:
                self.say("else:")
            self.indent += 1
            for _ in range(self.r.randint(1, 2)):
                self.statement(depth - 1)
            self.indent -= 1

    def repeat(self, depth: int) -> None:
        k = self.fresh("k")
        self.say(f"{k} = 0")
        self.say(f"while {k} < {self.pick(['3', 'n', 'n + 2'])} and {self.scalar(1)} < 0.9:")
        self.indent += 1
        self.say(f"{k} += 1")
        for _ in range(self.r.randint(1, 2)):
            self.statement(depth - 1)
        self.indent -= 1

    def accumulate(self) -> None:
        """Products added up in a loop, and additions at indices."""
        kind = self.r.randrange(5)
        i = self.fresh("i")
        if kind == 4 or self.scoped:
            found = [(a, d) for a, d in self.own.items() if d[0] == "P"]
            if not found:
                return self.store()
            a, dims = self.pick(found)
            e = self.array(dims, 1)
            self.say(self.pick([f"np.add.at({a}, idx, {e})", f"{a}[idx] = {e}", f"{a}[idx] += {e}", f"{a}[idx] *= 0.5"]))
            return
        m, k, n = (self.pick(self.sizes) for _ in range(3))
        a = self.fresh("a")
        size = lambda *d: "(" + ", ".join(self.length[x] for x in d) + ",)"
        if kind == 0:
            self.say(f"{a} = np.zeros({size(m, n)})")
            self.say(f"for {i} in range({self.pick(['n', '2', self.length[k]])}):")
            p, q = self.array((m, k), 1), self.array((k, n), 1)
            self.say(f"    {a} {self.pick(['+=', '-='])} {p} @ {q} * 0.2")
        elif kind == 1:
            self.say(f"{a} = np.zeros({size(m, n)})")
            self.say(f"for {i} in range({self.length[k]}):")
            self.loops.append((i, k))
            self.say(f"    {a} += ({self.leaf((m, k))})[:, {i}][:, None] * ({self.leaf((k, n))})[{i}]")
            self.loops.pop()
        elif kind == 2:
            self.say(f"{a} = np.zeros({size(m, n)})")
            self.say(f"for {i} in range({self.length[m]}):")
            self.loops.append((i, m))
            self.say(f"    {a}[{i}] {self.pick(['=', '+='])} ({self.leaf((m, k))})[{i}] @ {self.array((k, n), 1)} * 0.3")
            self.loops.pop()
        else:
            p, q = self.array((m, k), 0), self.array((k, n), 0)
            x, y, z = (self.fresh("i") for _ in range(3))
            left, right = self.fresh("l"), self.fresh("l")
            self.say(f"{left} = {p}{self.pick(['', '.copy()'])}")
            self.say(f"{right} = {q}{self.pick(['', '.copy()'])}")
            self.say(f"{a} = np.zeros({size(m, n)})")
            loops = [(x, m), (y, n), (z, k)]
            self.r.shuffle(loops)
            for depth, (v, d) in enumerate(loops):
                self.say("    " * depth + f"for {v} in range({self.length[d]}):")
            self.say(f"            {a}[{x}, {y}] += {left}[{x}, {z}] * {right}[{z}, {y}]")
        self.define(a, (m, n))

    def helper(self) -> None:
        """A function of vectors, called for one, for all by vmap, in a loop, under a checkpoint."""
        h, a, b = self.fresh("h"), self.fresh("a"), self.fresh("a")
        d = self.pick("Q")
        inner = Writer(self.r.randrange(1 << 30))
        inner.serial = self.serial + 100
        inner.arrays, inner.own, inner.scalars = {"p": (d,), "w": (d,)}, {}, ["c", "s"]
        inner.sizes, inner.length, inner.vector = d, {d: "len(p)"}, {d: "p"}
        closed = self.chance(0.5)
        inner.say("s = 0.1 * c")
        for _ in range(inner.r.randint(0, 2)):
            inner.pick([inner.number_changes, inner.small_loop, inner.assign_small])()
        inner.say(f"return {inner.array((d,))} + s" if self.chance(0.5) else f"return {inner.scalar()} + s")
        text = [line.replace("j % ", "2 % ") for line in inner.lines]
        if closed:
            self.say(f"def {h}(p):")
            self.lines += ["    " * self.indent + line for line in text]
        else:
            self.head += [f"def {h}(p, w, c):", *text, "", ""]
        args = "" if closed else ", w, c"
        axes = "" if closed else ", in_axes=(0, None, None)"
        name = f"adc.checkpoint({h})" if self.chance(0.3) else h
        s = self.pick_own_scalar()
        i = self.fresh("i")
        how = self.r.randrange(4)
        if how == 0 or self.scoped:
            self.say(f"{s} += np.sum({name}({self.leaf((d,))}{args})) * 0.2")
        elif how == 1:
            self.say(f"{a} = adc.vmap({name}{axes})({self.leaf(('P', d))}{args})")
            self.say(f"{s} += np.sum({a} * {a})")
        elif how == 2:
            self.say(f"for {i} in range(len(x)):")
            self.loops.append((i, "P"))
            self.say(f"    {s} += np.sum({name}({self.leaf(('P', d))}[{i}]{args})) * {self.scalar(1)}")
            self.loops.pop()
        else:
            self.say(f"for {i} in range({self.pick(['n', '3'])}):")
            self.say(f"    {s} = np.tanh({s} + np.mean({name}({self.leaf((d,))} * {s}{args})))")

    def small_loop(self) -> None:
        i = self.fresh("i")
        self.say(f"for {i} in range(len(p)):")
        self.loops.append((i, "Q"))
        self.indent += 1
        if self.chance(0.3):
            self.say(f"if p[{i}] > 0.3:")
            self.say("    continue")
        self.say(f"s {self.pick(['+=', '='])} {self.scalar(2)}")
        self.indent -= 1
        self.loops.pop()

    def assign_small(self) -> None:
        a = self.fresh("a")
        self.say(f"{a} = {self.array(('Q',))} * 1.0")
        self.define(a, ("Q",))

    def examples(self) -> None:
        """A sum over examples: as a loop, or with arrays."""
        s = self.pick_own_scalar()
        a, w = self.leaf(("P", "Q")), self.leaf(("Q",))
        f = self.pick(["np.tanh({0})", "np.logaddexp(0.0, {0})", "{0} * {0} * 0.1", "np.maximum({0}, 0.0)", "np.sqrt(1.0 + {0} * {0})"])
        i, k, z = self.fresh("i"), self.fresh("i"), self.fresh("z")
        if self.chance(0.5):
            self.say(f"{z} = {a} @ {w} + {self.leaf(('P',))}")
            self.say(f"{s} += np.{self.pick(['sum', 'mean'])}({f.format(z)})")
            return
        self.say(f"for {i} in range(len(x)):")
        self.indent += 1
        self.loops.append((i, "P"))
        self.say(f"{z} = {self.scalar(1)}")
        self.say(f"for {k} in range(len(w)):")
        self.loops.append((k, "Q"))
        b = self.pick(self.having(("P", "Q")))
        self.say(f"    {z} += {b}[{i}, {k}] * {self.pick(['w[' + k + ']', self.scalar(1)])}")
        self.loops.pop()
        self.scalars.append(z)
        if self.chance(0.4):
            self.say(f"if {self.condition()}:")
            self.say(f"    {self.pick([f'{z} = {self.scalar(1)}', f'{s} += {self.scalar(1)}', 'continue'])}")
        if self.chance(0.4):
            own = self.having(("P",), own=True)
            if own:
                self.say(f"{self.pick(own)}[{i}] {self.pick(['=', '+='])} {f.format(z)}")
        self.say(f"{s} += {f.format(z)}")
        self.scalars.pop()
        self.loops.pop()
        self.indent -= 1

    def keep(self) -> None:
        """Appended to a list, which grows as long as the loops around it turn."""
        assert self.kept is not None
        same = self.having(self.kept, own=True)
        self.say(f"kept.append({self.pick(same)}{self.pick(['.copy()', '.copy()', ' * 0.5', ''])})" if same else f"kept.append({self.array(self.kept)} * 1.0)")

    def statement(self, depth: int) -> None:
        simple = [self.store, self.store, self.view, self.assign, self.number_changes, self.swap, self.accumulate]
        if self.indent < 4:
            simple += [self.examples, self.scan]
        if self.indent < 3:
            simple += [self.helper, self.stencil]
        if not self.scoped:
            simple += [self.copied, self.copied, self.accumulate, self.stencil, self.examples]
        if self.kept is not None:
            simple += [self.keep, self.keep]
        if depth > 0:
            simple += [lambda: self.loop(depth), lambda: self.loop(depth), lambda: self.branch(depth), lambda: self.repeat(depth)]
        self.pick(simple)()

    def program(self) -> str:
        self.say(f"s = {self.pick(['0.0', 'c * 0.5', '1.0'])}")
        self.say("t = c * c")
        self.scalars += ["s", "t"]
        self.copied()
        if self.chance(0.25):
            a, self.kept = self.some_own()
            self.say(f"kept = [{self.pick([a + ' * 1.0', a + '.copy()', ''])}]")
        for k in range(self.r.randint(1, 4)):
            self.statement(self.pick([1, 1, 2]))
            if k == 1 and self.chance(0.08):
                self.say(f"if {self.condition()}:")
                self.say("    return s * 0.5, t, a1_")
        if self.kept is not None:
            self.say("s += sum([np.sum(q * q) * 0.1 for q in kept])")
        early = any("a1_" in line for line in self.lines)
        results = ["s", "t"]
        own = list(self.own)
        keep = own[: 1] if early else self.r.sample(own, min(len(own), self.r.randint(1, 3)))
        self.lines = [line.replace("a1_", keep[0]) for line in self.lines]
        results += keep
        if self.chance(0.3) and not early:
            results.append(self.array(self.pick([("P",), ("P", "Q"), ("Q", "P")])))
        self.say(f"return {', '.join(results)}")
        names = ", ".join((*PARAMS, "idx", "n", "j", "c"))
        own_loss = ["", "", f"def loss({names}):", f"    o = f({names})"]
        total = " + ".join(f"{0.5 + 0.25 * k} * np.sum(np.sin(o[{k}] + {k}.5) * o[{k}])" if self.chance(0.7) else f"np.sum(o[{k}])" for k in range(len(results)))
        return HEAD + "\n".join([*self.head, "", f"def f({names}):", *self.lines, *own_loss, f"    return {total}"]) + "\n"


def arguments(r: random.Random, large: bool) -> tuple[Any, ...]:
    g = np.random.default_rng(r.randrange(1 << 30))
    kind = r.random()
    if large and kind < 0.75:
        size = {k: r.choice([3, 5, 9, 17, 33]) for k in "PQR"}
        if kind < 0.3:
            size[r.choice("PQR")] = 130
    elif kind < 0.55:
        size = {k: r.choice([2, 3, 3, 4]) for k in "PQR"}
    elif kind < 0.75:
        size = {k: r.choice([1, 2, 3, 4]) for k in "PQR"}
    elif kind < 0.85:
        size = {k: r.choice([0, 1, 3]) for k in "PQR"}
    else:
        size = {k: r.choice([2, 3]) for k in "PQR"}
        size[r.choice("PQR")] = r.choice([6, 7, 11])
    made = [g.normal(size=tuple(size[d] for d in dims)) for dims in PARAMS.values()]
    if r.random() < 0.3:
        made = [g.integers(-2, 3, a.shape) * 0.5 for a in made]  # ties
    p = size["P"]
    idx = g.integers(-p, p, p) if p else np.zeros(0, np.int64)
    return (*made, idx, r.choice([0, 1, 2, 3, 4]), r.choice([-3, -1, 0, 1, 2, 5]), r.choice([0.4, -0.6, 1.1]))


def write(seed: int, large: bool = False) -> Case:
    """`large`: for compiled code."""
    w = Writer(seed)
    text = w.program()
    args = arguments(w.r, large)
    if w.chance(0.15):
        args = tuple(a.astype("f4") if isinstance(a, np.ndarray) and a.dtype == np.float64 else a for a in args)
    return Case(seed, text, args, w.wild)
