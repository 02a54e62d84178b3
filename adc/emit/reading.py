"""What the NumPy printer must know of a program before it writes: uses, aliases, and what may be written in place.

In: a function after `place`.  Out: `Reading`: for each op the operands as they will be printed (NumPy broadcasts by
itself), how often each value is used, which ops become part of the expression that uses them.

    t = mul(broadcast(2.0), x); y = sin(t)   ->   y = np.sin(2.0 * x)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from adc.ir import Atom, Block, Dim, For, Function, If, Lit, Op, Pointwise, Stmt, Var, While, blocks, inputs
from adc.optimize.alias import is_view, overwrites

ARITHMETIC = frozenset({"add", "sub", "mul", "div", "less", "less_equal", "greater", "greater_equal"})
OPERATORS = ARITHMETIC | {
    "neg", "floordiv", "mod", "power", "integer_power", "square", "equal", "not_equal", "and", "or", "xor", "invert",
    "left_shift", "right_shift", "abs", "bitwise_and", "bitwise_or",
}  # fmt: skip
RAISING = frozenset({"div", "floordiv", "mod", "power", "integer_power", "square", "left_shift", "right_shift"})
STORES = {"update": 1, "accumulate": 1, "scatter": 1, "scatter_add": 1}


@dataclass(frozen=True)
class Operand:
    """An argument as printed: an atom, and how axes are put in (`x[:, None]`; None: not at all)."""

    atom: Atom
    index: tuple[bool, ...] | None = None  # per axis of the result: is it an axis of the atom?


class Reading:
    def __init__(self, fn: Function):
        self.defs: dict[Var, Op] = {}
        self.home: dict[Var, Block] = {}
        self.indices: set[Var] = set()
        self.python: set[Var] = set()
        self.operands: dict[Op, tuple[Operand, ...]] = {}
        self.uses: Counter[Var] = Counter()
        self.used_by: dict[Var, tuple[Block, int, str]] = {}  # the last use seen: block, position, hint of the user
        self.stack_only: set[Var] = set()
        self._group: dict[Var, Var] = {}
        self._collect(fn.body)
        for p in fn.params:
            self._group.setdefault(p, p)
        while self._pythons(fn.body):
            pass
        self._read(fn.body, tuple("" for _ in fn.body.results), None)
        self.inlined: set[Var] = set()
        self._decide(fn.body)

    # ------------------------------------------------------------ aliases

    def group(self, v: Var) -> Var:
        """One variable for all that may share storage."""
        while (g := self._group.get(v, v)) is not v:
            v = g
        return v

    def join(self, a: Atom, b: Atom) -> None:
        if isinstance(a, Var) and isinstance(b, Var) and a.type.rank and b.type.rank:
            self._group[self.group(a)] = self.group(b)

    def _collect(self, b: Block) -> None:
        for s in b.stmts:
            for v in s.outs:
                self.home[v] = b
            match s:
                case Op():
                    for v in s.outs:
                        self.defs[v] = s
                    if s.outs and (is_view(s) or overwrites(s)):
                        self.join(s.outs[0], s.args[0])
                case If():
                    for inner in (s.then, s.orelse):
                        for v, r in zip(s.outs, inner.results, strict=True):
                            self.join(v, r)
                case For():
                    self.indices.add(s.index)
                    for k, p in enumerate(s.body.params[1:]):
                        for x in (s.inits[k], s.body.results[k], s.outs[k]):
                            self.join(p, x)
                    for k in range(s.carries, len(s.inits)):
                        self.join(s.outs[k], s.inits[k])
                case While():
                    for k, p in enumerate(s.body.params):
                        for x in (s.inits[k], s.cond.params[k], s.body.results[k], s.outs[k]):
                            self.join(p, x)
            for inner in blocks(s):
                for p in inner.params:
                    self.home[p] = inner
                self._collect(inner)

    def overwritten(self, s: Stmt) -> set[Var]:
        """The groups whose storage a statement stores into."""
        found: set[Var] = set()
        if isinstance(s, Op):
            if overwrites(s) and isinstance(s.args[0], Var):
                found.add(self.group(s.args[0]))
        elif isinstance(s, For):
            found.update(self.group(v) for v in s.outs[s.carries : len(s.inits)] if v.type.rank)
        for b in blocks(s):
            for inner in b.stmts:
                found |= self.overwritten(inner)
        return found

    # ------------------------------------------------------------ Python numbers

    def is_python(self, a: Atom) -> bool:
        """May `a` be a Python number at run time (rather than a NumPy one)?"""
        return isinstance(a, Lit) or a in self.python

    def _pythons(self, b: Block) -> bool:
        before = len(self.python)

        def mark(v: Var, *sources: Atom) -> None:
            if not v.type.rank and any(self.is_python(a) for a in sources):
                self.python.add(v)

        for s in b.stmts:
            match s:
                case Op() if len(s.outs) == 1 and not s.outs[0].type.rank:
                    name = s.prim.name
                    if name == "size":
                        self.python.add(s.outs[0])
                    elif name == "where":
                        mark(s.outs[0], *s.args[1:])
                    elif name in ("maximum", "minimum") and s.args[0].type.dtype.kind == "i":
                        mark(s.outs[0], *s.args)
                    elif s.prim.numpy == "{0}":
                        mark(s.outs[0], s.args[0])
                    elif name in ("and", "or", "invert"):
                        self.python.add(s.outs[0])
                    elif name in OPERATORS and s.outs[0].type.dtype.itemsize in (1, 8):
                        if all(self.is_python(a) for a in s.args) and not self.wrapped(s):
                            self.python.add(s.outs[0])
                case If():
                    for v, a, c in zip(s.outs, s.then.results, s.orelse.results, strict=True):
                        mark(v, a, c)
                case For():
                    self.python.add(s.index)
                    for k, p in enumerate(s.body.params[1:]):
                        mark(p, s.inits[k], s.body.results[k])
                    for k in range(len(s.inits)):
                        mark(s.outs[k], s.inits[k], s.body.results[k])
                case While():
                    for k, p in enumerate(s.body.params):
                        mark(p, s.inits[k], s.body.results[k])
                        mark(s.cond.params[k], p)
                        mark(s.outs[k], p)
            for inner in blocks(s):
                self._pythons(inner)
        return len(self.python) > before

    def wrapped(self, s: Op) -> bool:
        """Must an operand be made a NumPy number, because Python would raise where NumPy gives inf?"""
        if s.prim.name not in RAISING or not all(self.is_python(a) for a in s.args):
            return False
        if s.prim.name in ("div", "floordiv", "mod"):
            return not (isinstance(s.args[1], Lit) and s.args[1].value)
        return s.outs[0].type.is_float or s.prim.name != "square"

    # ------------------------------------------------------------ operands and uses

    def _use(self, a: Atom, b: Block, k: int, hint: str) -> None:
        if isinstance(a, Var):
            self.uses[a] += 1
            self.used_by[a] = (b, k, hint)

    def _read(self, b: Block, hints: tuple[str, ...], stacks: int | None) -> None:
        """Count uses in a block from its end, so that a broadcast whose uses all vanished is itself no use."""
        first_stack = len(b.results) - (stacks or 0)
        for k, r in enumerate(b.results):
            self._use(r, b, len(b.stmts), hints[k])
            if k >= first_stack and isinstance(r, Var):
                self.stack_only.add(r)
        for k in range(len(b.stmts) - 1, -1, -1):
            s = b.stmts[k]
            match s:
                case Op():
                    if len(s.outs) == 1 and not self.uses[s.outs[0]] and not s.prim.effect and not s.prim.defines:
                        continue
                    self.operands[s] = self._operands(s)
                    for j, o in enumerate(self.operands[s]):
                        for _ in range(_named(s, j)):
                            self._use(o.atom, b, k, s.outs[0].hint if s.outs else "")
                case If():
                    for inner in (s.orelse, s.then):
                        self._read(inner, tuple(v.hint for v in s.outs), None)
                    self._use(s.cond, b, k, "")
                case For():
                    self._read(s.body, tuple(v.hint for v in s.outs), s.stacks)
                    for a, v in zip(s.inits, s.outs, strict=False):
                        self._use(a, b, k, v.hint)
                case While():
                    self._read(s.body, tuple(v.hint for v in s.outs), s.stacks)
                    self._read(s.cond, ("",), None)
                    for a, v in zip(s.inits, s.outs, strict=False):
                        self._use(a, b, k, v.hint)
                case _:
                    for a in inputs(s):
                        self._use(a, b, k, "")

    def _operands(self, s: Op) -> tuple[Operand, ...]:
        plain = tuple(Operand(a) for a in s.args)
        if isinstance(s.prim.loops, Pointwise) and s.prim.name not in ("copy", "stop_gradient") and s.outs[0].type.rank:
            plain = self._stripped(plain, s.outs[0].type.dims)
        elif s.prim.name in STORES:
            k = STORES[s.prim.name]
            bare = self._strip(plain[k])
            # np.add.at reads beyond the end of a vector of values under an index of more axes (NumPy 1.25 to 2.4 at least)
            if s.prim.name != "scatter_add" or _rank(bare) == 0:
                plain = (*plain[:k], bare, *plain[k + 1 :])
        if s.prim.name in ("add", "sub", "mul", "div"):
            plain = self._unconverted(s, plain)
        return plain

    def _strip(self, o: Operand) -> Operand:
        """An operand without its broadcast."""
        d = self.defs.get(o.atom) if isinstance(o.atom, Var) else None
        if d is not None and d.prim.name == "fill":
            return Operand(d.args[0])
        if d is None or d.prim.name != "broadcast":
            return o
        axes, rank = d.params["axes"], len(d.params["dims"])
        inner = d.args[0]
        if axes == tuple(range(rank - len(axes), rank)):
            return Operand(inner)
        return Operand(inner, tuple(k in axes for k in range(axes[0], rank)))

    def _stripped(self, operands: tuple[Operand, ...], dims: tuple[Dim, ...]) -> tuple[Operand, ...]:
        """Operands without broadcasts, as long as NumPy gives the same shape."""
        out = [self._strip(o) for o in operands]
        for j in range(len(dims)):
            back = len(dims) - j
            if dims[j] == 1:
                short = all(_rank(o) < back for o in out)
                covered = not short
            else:
                covered = any(_rank(o) >= back and (o.index is None or o.index[-back]) for o in out)
            if not covered:
                k = next(k for k, (o, p) in enumerate(zip(out, operands, strict=True)) if o is not p)
                out[k] = operands[k]
        return tuple(out)

    def _unconverted(self, s: Op, operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
        """`x / n` for `x / np.float64(n)`, where x is certainly NumPy's float64."""
        for k, o in enumerate(operands):
            d = self.defs.get(o.atom) if isinstance(o.atom, Var) else None
            other = operands[1 - k].atom
            if (
                d is not None
                and d.prim.name == "convert"
                and not d.args[0].type.rank
                and d.args[0].type.dtype.kind == "i"
                and d.outs[0].type.dtype.str[1:] == "f8"
                and other.type.dtype == d.outs[0].type.dtype
                and not self.is_python(other)
                and (self.defs.get(other) is None or self.defs[other].prim.name != "convert")  # type: ignore[arg-type,index]
            ):
                return tuple(Operand(d.args[0]) if j == k else x for j, x in enumerate(operands))
        return operands

    # ------------------------------------------------------------ inlining

    def trivial(self, s: Op) -> bool:
        """Read better, and computed as fast, wherever it is used: `n`, `i + 1`."""
        if s.prim.name == "size":
            return True
        return (
            s.prim.name in ("add", "sub")
            and s.args[0] in self.indices
            and isinstance(s.args[1], Lit)
            and s.outs[0].type.dtype.kind == "i"
        )

    def _decide(self, b: Block) -> None:
        """Which ops are written where they are used; positions are those where the value will be read."""
        stores = [self.overwritten(s) for s in b.stmts]
        reads_at: dict[Var, int] = {}
        for k in range(len(b.stmts) - 1, -1, -1):
            s = b.stmts[k]
            for inner in blocks(s):
                self._decide(inner)
            if not isinstance(s, Op) or len(s.outs) != 1 or s not in self.operands:
                continue
            v = s.outs[0]
            if self.trivial(s):
                self.inlined.add(v)
                continue
            if self.uses[v] != 1 or s.prim.effect or s.prim.defines or overwrites(s) or v in self.stack_only:
                continue
            user, at, hint = self.used_by[v]
            if user is not b or (v.hint and v.hint != hint):
                continue
            reader = b.stmts[at] if at < len(b.stmts) else None
            if isinstance(reader, Op):
                if overwrites(reader) and reader.args[0] is v:
                    continue
                if len(reader.outs) == 1 and reader.outs[0] in self.inlined:
                    at = reads_at.get(reader.outs[0], at)
            groups = {self.group(o.atom) for o in self.operands[s] if isinstance(o.atom, Var) and o.atom.type.rank}
            if any(groups & stores[j] for j in range(k + 1, min(at, len(b.stmts)))):
                continue
            self.inlined.add(v)
            reads_at[v] = at


def _named(s: Op, k: int) -> int:
    """How often the text of an op names its operand."""
    return max(1, s.prim.numpy.count(f"{{{k}}}")) if isinstance(s.prim.numpy, str) else 1


def _rank(o: Operand) -> int:
    return len(o.index) if o.index is not None else o.atom.type.rank
