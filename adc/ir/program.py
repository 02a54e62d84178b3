"""The grammar of adc's typed SSA, on one screen.

    Function = (name, params: Var*, body: Block, guards: Guard*)
    Block    = (params: Var*, stmts: Stmt*, results: Atom*)
    Stmt     = Op | If | For | While | Call
    Op       = outs: Var* <- prim(args: Atom*; params)
    If       = outs: Var* <- if cond: Atom then Block() else Block()
    For      = outs: Var* <- for index < count: Dim, Block(index, carry*) -> (carry*, reduce*, stack*)
    While    = outs: Var* <- while Block(carry*) -> bool, do Block(carry*) -> (carry*, stack*)
    Call     = outs: Var* <- fn: Function (args: Atom*)          (kept for custom rules and checkpoints)
    Atom     = Var | Lit
    Tensor   = (dtype, dims: Dim*, weak)                         (rank 0 is a scalar)

Values are immutable and every `Var` is defined once; a block may use any variable defined before
its statement, in its own or an enclosing block.  Variables have no names, only hints; printers
choose names.  Every sub-block is entered by `blocks(stmt)`, so a traversal descends by default.

`For` outputs, in this order: each *carry* is handed to the next iteration; each *reduce*
(`sum`, `prod`, `max`, `min`) is combined with its init in any order; each *stack* is one slice per
iteration, written at its own index, so its out has type `(count, *slice)`.  `inits` holds the
carries' and then the reduces' initial values.  With `reverse`, the index runs from count - 1 to 0.
A `While` with stacks defines the symbol `count`: its number of iterations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from adc.errors import Pos
from adc.ir.dims import Dim, Size, Sym, size, substitute

if TYPE_CHECKING:
    from adc.ir.primitive import Primitive

OPERATORS: dict[str, Any] = {}
"""Python operator name ("add", "radd", "neg", "getitem" …) -> function on values; filled by `adc.ops`."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """The type of a value.  `weak` marks what came from a Python number (NumPy 2's rule)."""

    dtype: np.dtype[Any]
    dims: tuple[Dim, ...] = ()
    weak: bool = False

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def is_float(self) -> bool:
        return self.dtype.kind == "f"

    def with_dims(self, dims: tuple[Dim, ...]) -> Tensor:
        return Tensor(self.dtype, tuple(dims), self.weak and not dims)

    def with_dtype(self, dtype: Any) -> Tensor:
        return Tensor(np.dtype(dtype), self.dims)

    def __str__(self) -> str:
        name = f"{self.dtype.kind}{self.dtype.itemsize}" if self.dtype.kind != "b" else "b1"
        return name + ("*" if self.weak else "") + (f"[{', '.join(map(str, self.dims))}]" if self.dims else "")


F8, F4, I8, I4, B1 = (np.dtype(d) for d in ("f8", "f4", "i8", "i4", "?"))


def scalar(dtype: Any, weak: bool = False) -> Tensor:
    return Tensor(np.dtype(dtype), (), weak)


class _Value:
    """Arithmetic on atoms emits ops at the current builder; `==` stays identity."""

    __slots__ = ()
    type: Tensor

    def _do(self, name: str, *args: Any) -> Any:
        return OPERATORS[name](self, *args)

    def __add__(self, o: Any) -> Any: return self._do("add", o)
    def __radd__(self, o: Any) -> Any: return OPERATORS["add"](o, self)
    def __sub__(self, o: Any) -> Any: return self._do("sub", o)
    def __rsub__(self, o: Any) -> Any: return OPERATORS["sub"](o, self)
    def __mul__(self, o: Any) -> Any: return self._do("mul", o)
    def __rmul__(self, o: Any) -> Any: return OPERATORS["mul"](o, self)
    def __truediv__(self, o: Any) -> Any: return self._do("truediv", o)
    def __rtruediv__(self, o: Any) -> Any: return OPERATORS["truediv"](o, self)
    def __floordiv__(self, o: Any) -> Any: return self._do("floordiv", o)
    def __mod__(self, o: Any) -> Any: return self._do("mod", o)
    def __pow__(self, o: Any) -> Any: return self._do("pow", o)
    def __rpow__(self, o: Any) -> Any: return OPERATORS["pow"](o, self)
    def __matmul__(self, o: Any) -> Any: return self._do("matmul", o)
    def __neg__(self) -> Any: return self._do("neg")
    def __lt__(self, o: Any) -> Any: return self._do("lt", o)
    def __le__(self, o: Any) -> Any: return self._do("le", o)
    def __gt__(self, o: Any) -> Any: return self._do("gt", o)
    def __ge__(self, o: Any) -> Any: return self._do("ge", o)
    def __and__(self, o: Any) -> Any: return self._do("and", o)
    def __or__(self, o: Any) -> Any: return self._do("or", o)
    def __invert__(self) -> Any: return self._do("invert")

    def __bool__(self) -> bool:
        raise TypeError("the truth of an adc value is known only at run time")

    def __iter__(self) -> Any:
        raise TypeError("an adc value cannot be iterated while compiling")


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Var(_Value):
    """A value defined once.  Equality is identity; `hint` is the user's name for it."""

    type: Tensor
    hint: str = ""
    pos: Pos | None = None

    def __repr__(self) -> str:
        return f"<{self.hint or 'v'}: {self.type}>"


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Lit(_Value):
    """A scalar constant; `type` is always rank 0."""

    value: bool | int | float
    type: Tensor

    def __repr__(self) -> str:
        return f"{self.value!r}:{self.type}"


Atom = Union[Var, Lit]


class Params(dict[str, Any]):
    """The static parameters of an op: hashable, treated as immutable."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items(), key=lambda kv: kv[0])))


@dataclass(frozen=True, eq=False)
class Block:
    params: tuple[Var, ...]
    stmts: tuple[Stmt, ...]
    results: tuple[Atom, ...]


@dataclass(frozen=True, eq=False)
class Op:
    prim: Primitive
    args: tuple[Atom, ...]
    params: Params
    outs: tuple[Var, ...]
    pos: Pos | None = None


@dataclass(frozen=True, eq=False)
class If:
    cond: Atom
    then: Block
    orelse: Block
    outs: tuple[Var, ...]
    pos: Pos | None = None


@dataclass(frozen=True, eq=False)
class For:
    count: Dim
    inits: tuple[Atom, ...]
    body: Block
    outs: tuple[Var, ...]
    reduce: tuple[str, ...] = ()
    stacks: int = 0
    reverse: bool = False
    pos: Pos | None = None

    @property
    def carries(self) -> int:
        return len(self.inits) - len(self.reduce)

    @property
    def index(self) -> Var:
        return self.body.params[0]

    def split(self, values: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
        """Outs or body results as (carries, reduces, stacks)."""
        c, r = self.carries, len(self.reduce)
        return values[:c], values[c : c + r], values[c + r :]


@dataclass(frozen=True, eq=False)
class While:
    inits: tuple[Atom, ...]
    cond: Block
    body: Block
    outs: tuple[Var, ...]
    stacks: int = 0
    count: Sym | None = None
    pos: Pos | None = None


@dataclass(frozen=True, eq=False)
class Call:
    """A call kept whole.  `rule` is "checkpoint", or the name of a custom rule held in `attrs`."""

    fn: Function
    args: tuple[Atom, ...]
    outs: tuple[Var, ...]
    rule: str = ""
    attrs: Params = dataclasses.field(default_factory=Params)
    pos: Pos | None = None


Stmt = Union[Op, If, For, While, Call]


@dataclass(frozen=True)
class Guard:
    """What must hold of the sizes at entry.

    `equal`: else the user's NumPy would raise `message`.  `least` (left >= right): an assumption
    under which the program was compiled; when it fails, the caller compiles for the exact sizes.
    """

    kind: str
    left: Dim
    right: Dim
    message: str = ""
    pos: Pos | None = None


@dataclass(frozen=True, eq=False)
class Function:
    name: str
    params: tuple[Var, ...]
    body: Block
    guards: tuple[Guard, ...] = ()
    pos: Pos | None = None

    @property
    def results(self) -> tuple[Atom, ...]:
        return self.body.results

    def __str__(self) -> str:
        from adc.ir.text import text

        return text(self)


def blocks(stmt: Stmt) -> tuple[Block, ...]:
    """The sub-blocks of a statement, in order of execution."""
    match stmt:
        case Op():
            return ()
        case If():
            return (stmt.then, stmt.orelse)
        case For():
            return (stmt.body,)
        case While():
            return (stmt.cond, stmt.body)
        case Call():
            return ()  # a closed function of its own
    raise TypeError(f"not a statement: {stmt!r}")


def inputs(stmt: Stmt) -> tuple[Atom, ...]:
    """The atoms a statement reads itself (not those its blocks read)."""
    match stmt:
        case Op() | Call():
            return stmt.args
        case If():
            return (stmt.cond,)
        case For() | While():
            return stmt.inits
    raise TypeError(f"not a statement: {stmt!r}")


def walk(block: Block) -> Iterator[Stmt]:
    """Every statement, descending into sub-blocks, in order."""
    for stmt in block.stmts:
        yield stmt
        for inner in blocks(stmt):
            yield from walk(inner)


def free_vars(block: Block) -> tuple[Var, ...]:
    """Variables used in the block but defined outside it, in order of first use."""
    defined: set[Var] = set()
    found: dict[Var, None] = {}

    def visit(b: Block) -> None:
        defined.update(b.params)
        for s in b.stmts:
            for a in inputs(s):
                if isinstance(a, Var) and a not in defined:
                    found[a] = None
            for inner in blocks(s):
                visit(inner)
            defined.update(s.outs)
        for a in b.results:
            if isinstance(a, Var) and a not in defined:
                found[a] = None

    visit(block)
    return tuple(found)


def stmt_uses(stmt: Stmt) -> tuple[Var, ...]:
    """Every variable a statement needs from outside, its blocks included."""
    found: dict[Var, None] = {a: None for a in inputs(stmt) if isinstance(a, Var)}
    for b in blocks(stmt):
        for v in free_vars(b):
            found[v] = None
    return tuple(found)


def subst_dims(value: Any, table: Mapping[Sym, Dim]) -> Any:
    """Replace size symbols anywhere inside types, params, tuples and frozen dataclasses."""
    if not table:
        return value
    if isinstance(value, Size):
        return substitute(value, table)
    if isinstance(value, Sym):
        return table.get(value, size(value))
    if isinstance(value, Params):
        return Params({k: subst_dims(v, table) for k, v in value.items()})
    if isinstance(value, tuple):
        return tuple(subst_dims(v, table) for v in value)
    if isinstance(value, Tensor):
        return Tensor(value.dtype, subst_dims(value.dims, table), value.weak)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Var | Lit | Function):
        return dataclasses.replace(
            value, **{f.name: subst_dims(getattr(value, f.name), table) for f in dataclasses.fields(value)}
        )
    return value
