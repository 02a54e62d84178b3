"""The loop language: buffers, element expressions, and items (stores, loops, branches).

In: pieces made by `build`.  Out: a tree of items that `fuse` rewrites and `text` prints.

    Loop(i, n, [Store(y, (n,), (i,), Apply("{0} * {1}", a, Load(x, (n,), (i,))))])      # y[i] = a * x[i]

Coordinates are dims over loop symbols, size symbols and integer locals, so that two places can be compared by `==`.
Expressions are interned by their `Pool`: equal expressions are one object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np

from adc.ir import I8, Dim, Size, Sym, size, substitute, symbols


@dataclass(eq=False)
class Buf:
    """A block of memory, or with `kind == "local"` a scalar variable of the kernel."""

    hint: str
    dtype: np.dtype[Any]
    dims: tuple[Dim, ...] = ()
    kind: str = "temp"
    """param | temp | out | local"""
    sym: Sym | None = None
    """The integer locals' and parameters' name in dims."""
    swapped: bool = False
    """Its pointer is exchanged with another's, so it cannot be one of the caller's."""

    def __repr__(self) -> str:
        return f"<{self.kind} {self.hint}>"


@dataclass(frozen=True, eq=False)
class Const:
    value: Any
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class Index:
    """An int64 that is a polynomial of loop variables, sizes and integer locals."""

    dim: Dim
    dtype: np.dtype[Any] = I8


@dataclass(frozen=True, eq=False)
class Load:
    """An element of a buffer seen with the shape `dims`."""

    buf: Buf
    dims: tuple[Dim, ...]
    coords: tuple[Dim, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.buf.dtype


@dataclass(frozen=True, eq=False)
class Apply:
    """`text` with `{k}` replaced by the arguments."""

    text: str
    args: tuple[Expr, ...]
    dtype: np.dtype[Any]
    cost: int = 1


Expr = Union[Const, Index, Load, Apply]


@dataclass(eq=False)
class Store:
    """`buf[coords] = value`, or combined with what is there (`mode`: set add prod max min any all)."""

    buf: Buf
    dims: tuple[Dim, ...]
    coords: tuple[Dim, ...]
    value: Expr
    mode: str = "set"
    note: str = ""


@dataclass(eq=False)
class Loop:
    var: Sym
    count: Dim
    body: list[Item]
    reverse: bool = False
    nest: bool = True
    """Made from an array op, so its iterations may meet those of another; not a loop of the user."""
    note: str = ""
    product: bool = False
    """Inside a product of matrices, which meets others at its outermost loop only."""
    carried: frozenset[Buf] = frozenset()
    """What one iteration hands to the next."""
    roles: Any = None
    """`independent.Roles` of a loop over tiles, whose coordinates do not show that its iterations are independent."""
    work: Dim = 0
    """What all iterations cost, where it is known (see `share`)."""
    shared: bool = False
    """Its iterations are handed to the workers: printed as a function of its own."""
    small: bool = False
    """Never worth several workers: the rim of what another loop treats."""
    alone: dict[Buf, Buf] = field(default_factory=dict)
    """Of a shared loop: rows of accumulators → what stands for them where there is one chunk only."""


@dataclass(eq=False)
class Branch:
    cond: Expr
    then: list[Item]
    orelse: list[Item]
    note: str = ""


@dataclass(eq=False)
class Repeat:
    """`head` is run before every test of `cond`."""

    head: list[Item]
    cond: Expr
    body: list[Item]
    note: str = ""


@dataclass(eq=False)
class Exit:
    """Return `code` when `cond` has the truth `when`."""

    cond: Expr
    code: int
    when: bool
    note: str = ""
    capacity: Sym | None = None
    """Asks whether what depends on this size has room."""


@dataclass(eq=False)
class CallFn:
    """A routine on whole buffers; `args` are buffers or scalar expressions."""

    name: str
    args: tuple[Buf | Expr, ...]
    outs: tuple[Buf, ...]
    note: str = ""
    code: int = 0
    """Where not 0: the kernel returns it when the routine does not return 0."""


@dataclass(eq=False)
class Swap:
    """The two pointers change places."""

    a: Buf
    b: Buf
    note: str = ""


Item = Union[Store, Loop, Branch, Repeat, Exit, CallFn, Swap]


def bodies(item: Item) -> tuple[list[Item], ...]:
    match item:
        case Loop():
            return (item.body,)
        case Branch():
            return (item.then, item.orelse)
        case Repeat():
            return (item.head, item.body)
    return ()


def depth(loop: Loop) -> int:
    """Loops right inside one another: 2 for a row in a plane."""
    return 1 + max((depth(x) for x in loop.body if isinstance(x, Loop)), default=0)


def items(body: Iterable[Item]) -> Iterator[Item]:
    for it in body:
        yield it
        for inner in bodies(it):
            yield from items(inner)


@dataclass(frozen=True)
class Access:
    buf: Buf
    dims: tuple[Dim, ...]
    coords: tuple[Dim, ...]
    mode: str
    """read, or a mode of `Store`"""

    @property
    def writes(self) -> bool:
        return self.mode != "read"


class Pool:
    """Makes expressions; equal ones are the same object.  Knows which symbols stand for locals and for expressions."""

    def __init__(self) -> None:
        self._made: dict[Any, Expr] = {}
        self.locals: dict[Sym, Buf] = {}
        self.opaque: dict[Sym, Expr] = {}
        self._opaque_of: dict[Expr, Sym] = {}
        self._reads: dict[Expr, frozenset[Buf]] = {}
        self._accesses: dict[Expr, list[Access]] = {}

    # ------------------------------------------------------------ making

    def const(self, value: Any, dtype: Any) -> Expr:
        dt = np.dtype(dtype)
        if dt == I8 and not isinstance(value, float):
            return self.index(int(value))
        key = ("const", repr(value), dt)
        return self._made.get(key) or self._made.setdefault(key, Const(value, dt))

    def index(self, dim: Dim) -> Expr:
        key = ("index", dim)
        return self._made.get(key) or self._made.setdefault(key, Index(dim))

    def load(self, buf: Buf, dims: tuple[Dim, ...], coords: tuple[Dim, ...]) -> Expr:
        if buf.sym is not None and not dims:
            return self.index(size(buf.sym))
        key = ("load", id(buf), dims, coords)
        return self._made.get(key) or self._made.setdefault(key, Load(buf, dims, coords))

    def apply(self, text: str, args: tuple[Expr, ...], dtype: Any, cost: int = 1) -> Expr:
        if text == "{0}" and args[0].dtype == dtype:
            return args[0]
        if text == "{0} * {1}":
            for a, b in (args, args[::-1]):
                if isinstance(a, Const) and b.dtype == dtype and abs(a.value) == 1:
                    return b if a.value == 1 else self.apply("-{0}", (b,), dtype)
        key = ("apply", text, tuple(id(a) for a in args), np.dtype(dtype))
        return self._made.get(key) or self._made.setdefault(key, Apply(text, args, np.dtype(dtype), cost))

    def local(self, hint: str, dtype: Any, sym: Sym | None = None) -> Buf:
        buf = Buf(hint, np.dtype(dtype), kind="local")
        if buf.dtype == I8:
            buf.sym = sym or Sym(hint or "k")
            self.locals[buf.sym] = buf
            self._accesses.clear()  # a symbol of known expressions may be this local
        return buf

    def as_dim(self, e: Expr) -> Dim:
        """An integer expression as a coordinate."""
        if isinstance(e, Index):
            return e.dim
        if isinstance(e, Const):
            return int(e.value)
        if e not in self._opaque_of:
            sym = Sym("at")
            self._opaque_of[e] = sym
            self.opaque[sym] = e
        return size(self._opaque_of[e])

    # ------------------------------------------------------------ looking

    def dim_parts(self, d: Dim) -> tuple[Expr, ...]:
        """The expressions inside a dim."""
        return tuple(self.opaque[s] for s in symbols(d) if s in self.opaque) if isinstance(d, Size) else ()

    def children(self, e: Expr) -> tuple[Expr, ...]:
        match e:
            case Apply():
                return e.args
            case Load():
                return tuple(p for c in e.coords for p in self.dim_parts(c))
            case Index():
                return self.dim_parts(e.dim)
        return ()

    def dim_reads(self, d: Dim) -> Iterator[Buf]:
        for s in symbols(d) if isinstance(d, Size) else ():
            if s in self.locals:
                yield self.locals[s]
            elif s in self.opaque:
                yield from self.reads(self.opaque[s])

    def reads(self, e: Expr) -> frozenset[Buf]:
        """Every buffer and local whose contents decide the value."""
        if e not in self._reads:
            found: set[Buf] = set()
            for c in self.children(e):
                found |= self.reads(c)
            if isinstance(e, Load):
                found.add(e.buf)
                for d in (*e.dims, *e.coords):
                    found.update(self.dim_reads(d))
            elif isinstance(e, Index):
                found.update(self.dim_reads(e.dim))
            self._reads[e] = frozenset(found)
        return self._reads[e]

    def nodes(self, *roots: Expr) -> Iterator[Expr]:
        """Every node once."""
        seen: set[int] = set()
        todo = list(roots)
        while todo:
            e = todo.pop()
            if id(e) not in seen:
                seen.add(id(e))
                yield e
                todo.extend(self.children(e))

    def cost(self, e: Expr) -> int:
        """What computing the element takes: loads and cheap operations count 1."""
        total = 0
        for n in self.nodes(e):
            if isinstance(n, Load) and (n.buf.kind != "local"):
                total += 1
            elif isinstance(n, Apply):
                total += n.cost
        return total

    # ------------------------------------------------------------ rewriting

    def subst(self, e: Expr, table: Mapping[Sym, Dim], memo: dict[Expr, Expr] | None = None) -> Expr:
        """`e` with symbols replaced, also inside coordinates."""
        if not table:
            return e
        memo = {} if memo is None else memo
        if e not in memo:
            match e:
                case Apply():
                    memo[e] = self.apply(e.text, tuple(self.subst(a, table, memo) for a in e.args), e.dtype, e.cost)
                case Load():
                    dims = tuple(self.subst_dim(d, table, memo) for d in e.dims)
                    memo[e] = self.load(e.buf, dims, tuple(self.subst_dim(c, table, memo) for c in e.coords))
                case Index():
                    memo[e] = self.index(self.subst_dim(e.dim, table, memo))
                case _:
                    memo[e] = e
        return memo[e]

    def subst_dim(self, d: Dim, table: Mapping[Sym, Dim], memo: dict[Expr, Expr] | None = None) -> Dim:
        if not isinstance(d, Size):
            return d
        inside = {s: self.as_dim(self.subst(self.opaque[s], table, memo)) for s in symbols(d) if s in self.opaque}
        return substitute(d, {**table, **inside})

    def replace(self, e: Expr, swap: Any, memo: dict[Expr, Expr]) -> Expr:
        """`e` with loads rewritten by `swap(load) -> Expr | None`."""
        if e not in memo:
            match e:
                case Apply():
                    memo[e] = self.apply(e.text, tuple(self.replace(a, swap, memo) for a in e.args), e.dtype, e.cost)
                case Load():
                    coords = tuple(self.replace_dim(c, swap, memo) for c in e.coords)
                    new = self.load(e.buf, e.dims, coords)
                    memo[e] = swap(new) or new
                case Index():
                    memo[e] = self.index(self.replace_dim(e.dim, swap, memo))
                case _:
                    memo[e] = e
        return memo[e]

    def replace_dim(self, d: Dim, swap: Any, memo: dict[Expr, Expr]) -> Dim:
        table = {s: self.as_dim(self.replace(self.opaque[s], swap, memo)) for s in symbols(d) if s in self.opaque} if isinstance(d, Size) else {}
        return substitute(d, table) if table else d

    # ------------------------------------------------------------ accesses

    def _dim_accesses(self, d: Dim) -> Iterator[Access]:
        for s in symbols(d) if isinstance(d, Size) else ():
            if s in self.locals:
                yield Access(self.locals[s], (), (), "read")
            elif s in self.opaque:
                yield from self._expr_accesses(self.opaque[s])

    def _expr_accesses(self, root: Expr) -> list[Access]:
        """What an expression reads: looked at once, for loops that meet one after the other ask again and again."""
        if root not in self._accesses:
            out: list[Access] = []
            for e in self.nodes(root):
                if isinstance(e, Load):
                    out.append(Access(e.buf, e.dims, e.coords, "read"))
                    for d in (*e.dims, *e.coords):
                        out.extend(self._dim_accesses(d))
                elif isinstance(e, Index):
                    out.extend(self._dim_accesses(e.dim))
            self._accesses[root] = out
        return self._accesses[root]

    def accesses(self, it: Item) -> list[Access]:
        """Every read and write of an item, its bodies included."""
        out: list[Access] = []
        self._collect(it, out)
        return out

    def _collect(self, it: Item, out: list[Access]) -> None:
        match it:
            case Store():
                out.extend(self._expr_accesses(it.value))
                for d in (*it.dims, *it.coords):
                    if isinstance(d, Size):
                        out.extend(self._dim_accesses(d))
                out.append(Access(it.buf, it.dims, it.coords, it.mode))
            case Loop():
                out.extend(self._dim_accesses(it.count))
            case Branch() | Repeat() | Exit():
                out.extend(self._expr_accesses(it.cond))
            case CallFn():
                for a in it.args:
                    out.extend([_whole(a, "read")] if isinstance(a, Buf) else self._expr_accesses(a))
                out.extend(_whole(b, "set") for b in it.outs)
            case Swap():
                out.extend((_whole(it.a, "set"), _whole(it.b, "set")))
        for body in bodies(it):
            for inner in body:
                self._collect(inner, out)


def _whole(b: Buf, mode: str) -> Access:
    return Access(b, ("whole",), (), mode)  # type: ignore[arg-type]


@dataclass(eq=False)
class Program:
    """What `build` makes and `fuse` improves."""

    name: str
    body: list[Item]
    params: list[Buf]
    outs: list[Buf]
    pool: Pool
    capacities: list[Sym] = field(default_factory=list)
    bounds: dict[Sym, Dim] = field(default_factory=dict)
    checks: list[Any] = field(default_factory=list)
    routines: dict[str, Any] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    """What was done to its loops, for `explain`."""
    shares_products: bool = False
    """Does it call BLAS through the pool?"""

