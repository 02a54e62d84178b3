"""What the staged interpreter computes with, and what `stage` returns.

Everything that can change is a `Box` (a local name, the current value of an array, the items of a list):
one journal of box writes then serves branches, loops and retries.  Static Python values stand for
themselves, run-time numbers are rank-0 atoms, run-time arrays are `ArrayRef(cell, steps)`.

    x = np.zeros(3)      Cell(content=<x: f8[3]>),  x -> ArrayRef(cell, ())
    v = x[1:]            v -> ArrayRef(cell, (IndexStep((slice(1, None),)),))
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from adc.errors import AdcError, Pos
from adc.ir import Atom, Dim, Function, Tensor, Var
from adc.ir.reach import Capture, Dependency, Leaf  # noqa: F401  (read from here by the other rooms)

_serial = itertools.count()


# ---------------------------------------------------------------- the result


@dataclass(frozen=True, eq=False)
class Staged:
    function: Function
    out_tree: Any
    captures: tuple[Capture, ...]
    dependencies: tuple[Dependency, ...]
    in_tree: Any = None
    """(args, kwargs) as given, with `Leaf(k)` where parameter k goes."""
    changed: frozenset[str] = frozenset()
    """The names of arrays from outside that the function stores into."""


class NeedStatic(AdcError):
    """An int argument is used where a static value is needed: stage again with its value."""

    def __init__(self, leaf_index: int, pos: Pos | None, what: str = "this value"):
        from adc.errors import Diagnostic

        super().__init__(Diagnostic("static", pos, {"what": what}))
        self.leaf_index = leaf_index


class NeedsStatic(Exception):
    """Internal: `atom` must be static; a loop that defines one of `roots` unrolls itself."""

    def __init__(self, atom: Any, roots: frozenset[Var], pos: Pos | None, what: str):
        super().__init__(what)
        self.atom, self.roots, self.pos, self.what = atom, roots, pos, what


# ---------------------------------------------------------------- boxes


class _Sentinel:
    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNBOUND = _Sentinel("UNBOUND")


class Box:
    """Something that may change while the function runs."""

    __slots__ = ("content", "name", "serial")

    def __init__(self, content: Any, name: str = ""):
        self.content = content
        self.name = name
        self.serial = next(_serial)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.content!r}>"


class NameBox(Box):
    """A local variable.  `filled`: where it is unbound any value will do, nobody reads it."""

    __slots__ = ("filled",)

    def __init__(self, content: Any, name: str = "", filled: bool = False):
        super().__init__(content, name)
        self.filled = filled


class Cell(Box):
    """An array: `content` is the atom that holds its elements now, or a `Poison`."""

    __slots__ = ("apart", "contiguous", "last_read", "sources", "type")

    def __init__(self, content: Atom, name: str = "", contiguous: bool = False):
        super().__init__(content, name)
        self.type: Tensor = content.type
        self.contiguous = contiguous
        # cells that this one may share memory with on some path, with their contents at that time
        self.sources: tuple[tuple[Cell, Any], ...] = ()
        self.apart: frozenset[Cell] = frozenset()  # merged with this one, and another array in every case
        self.last_read = -1


class ListBox(Box):
    """A list; content is a tuple of items, or a `Grown`."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class Grown:
    """Content of a list that a loop of run-time count appends to: each part of its items lies in an array of its own.

    There are `length` items, inside the loop `length + index`; the arrays have room for those that are still to come.
    """

    length: Dim
    index: Var | None
    item: Any
    arrays: tuple[Atom, ...]


class DictBox(Box):
    """A dict; content is a dict that is never changed in place."""

    __slots__ = ("viewed",)

    def __init__(self, content: Any, name: str = ""):
        super().__init__(content, name)
        self.viewed = False
        """Is there a name for a view of it?"""


class ObjBox(Box):
    """An instance of a user class made by the function or passed as an argument; content is its attributes."""

    __slots__ = ("cls",)

    def __init__(self, cls: type, content: dict[str, Any], name: str = ""):
        super().__init__(content, name)
        self.cls = cls


@dataclass(frozen=True, eq=False)
class Poison:
    """Content of an array whose elements depend on an aliasing that is only known at run time."""

    why: str
    pos: Pos | None
    by: Any = None


@dataclass(frozen=True, eq=False)
class Maybe:
    """Content of a name that is bound only where `flag` is true."""

    value: Any
    flag: Atom


@dataclass(frozen=True, eq=False)
class Broken:
    """Content of a name, or of a list, dict or object, whose reading is an error found earlier."""

    error: AdcError

    def read(self, *_: Any) -> Any:
        raise self.error

    # a container's content is read in these ways
    __iter__ = __len__ = __getitem__ = __contains__ = __add__ = __radd__ = __or__ = __ror__ = read
    keys = values = items = get = read


# ---------------------------------------------------------------- views


@dataclass(frozen=True, eq=False)
class IndexStep:
    """Basic indexing; `dims` are those of the first reading."""

    index: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class PermuteStep:
    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ReshapeStep:
    """`certain`: NumPy makes a view here whatever the layout; otherwise it may be a copy."""

    dims: tuple[Dim, ...]
    old: tuple[Dim, ...]
    certain: bool
    content: Any = None


@dataclass(frozen=True, eq=False)
class FunctionStep:
    """A view that a NumPy function makes (`np.flip`, a piece of `np.split`): read by calling it again."""

    read: Callable[[Atom], Atom]
    write: Callable[[Atom, Atom], Atom] | None
    """(old whole, new view) -> new whole, where a store is possible."""
    what: str = "this view"


Step = IndexStep | PermuteStep | ReshapeStep | FunctionStep


@dataclass(frozen=True, eq=False)
class ArrayRef:
    """An array value: a cell seen through view steps."""

    cell: Cell
    steps: tuple[Step, ...]
    type: Tensor

    def same(self, other: ArrayRef) -> bool:
        return self.cell is other.cell and self.steps == other.steps

    def __repr__(self) -> str:
        return f"<array {self.cell.name}{' view' if self.steps else ''}: {self.type}>"


# ---------------------------------------------------------------- other values


@dataclass(frozen=True, eq=False)
class Ext:
    """A Python object from outside (a list, an instance, …): its parts are read one by one."""

    obj: Any
    path: str
    get: Callable[[], Any]


@dataclass(frozen=True, eq=False)
class FunctionValue:
    """A function, lambda or method defined in staged code: its tree and the scope around it."""

    node: Any
    frame: Any
    name: str
    defaults: tuple[Any, ...] = ()
    kw_defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class BoundMethod:
    """`receiver.name`; `fn` is the function found on the receiver's class, or None for built-in kinds."""

    receiver: Any
    name: str
    fn: Any = None


@dataclass(frozen=True, eq=False)
class PartialValue:
    fn: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Vectorized:
    """`np.vectorize(fn)`: `dtype` of its results, or None for that of `fn`; `cache`: it is not asked for its first result twice."""

    fn: Any
    dtype: Any
    cache: bool


@dataclass(frozen=True, eq=False)
class UfuncMethod:
    """`np.add.at`, `np.add.reduce`, …"""

    ufunc: Any
    name: str


@dataclass(frozen=True, eq=False)
class Seq:
    """Something to iterate over: `item(k)` for k from 0 to count - 1.

    `static`: item needs a Python int (a list); otherwise it also takes a run-time index.
    """

    count: Dim
    item: Callable[[Any], Any]
    static: bool
    once: str = ""
    """What Python calls it, where that is an iterator: consumed item by item, and then empty."""
    reads: frozenset[str] | None = None
    """Where Python computes its items as they are consumed: the names that functions in it read."""


@dataclass(frozen=True)
class Nest:
    """Loops inside each other that are written as one: `np.ndindex(n, m)`, `itertools.product(xs, ys)`."""

    levels: tuple[Callable[[tuple[Any, ...]], Seq], ...]
    """Each loop, from the items of those around it."""
    item: Callable[[tuple[Any, ...]], Any]
    """What the target gets, from the items of all."""
    once: str = ""
    reads: frozenset[str] | None = None


class Once(tuple[Any, ...]):
    """The items of `map`, `filter` and generator expressions, computed at once; `once` and `reads` as in `Seq`."""

    once: str
    reads: frozenset[str] | None

    @staticmethod
    def of(items: Iterable[Any], once: str, reads: frozenset[str] = frozenset()) -> Once:
        made = Once(items)
        made.once, made.reads = once, reads
        return made


class View(tuple[Any, ...]):
    """`d.keys()`, `d.values()`, `d.items()` as they are now."""

    box: DictBox
    kind: str

    @staticmethod
    def of(box: DictBox, kind: str) -> View:
        made = View(getattr(box.content, kind)())
        made.box, made.kind = box, kind
        return made
