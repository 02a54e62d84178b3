"""What every part of the staged interpreter uses: places, conversion to atoms, reading from outside.

In: values (see `values`) and Python objects read from globals, closures and attributes.  Out: atoms at
the current builder; captured parameters; dependencies.

    self.atom(2.0)         a weak literal          self.lift(np.ndarray, "W", get)    a captured array
    self.static_int(v)     an int, or NeedsStatic  self.lift(print, "print", get)     static
"""

from __future__ import annotations

import contextlib
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from adc.errors import AdcError, Pos, UnsupportedError, fail
from adc.frontend.scope import Frame
from adc.frontend.source import plain_function
from adc.frontend.state import Journal
from adc.frontend.values import (
    ArrayRef,
    Box,
    Broken,
    Cell,
    Dependency,
    Ext,
    Grown,
    ListBox,
    NeedsStatic,
    Seq,
)
from adc.ir import Atom, Dim, For, If, Lit, Op, Params, Size, Sym, Tensor, Var, at, at_least, current, literal, size
from adc.ir.build import Builder, _state, definition, run_time_sizes
from adc.ir.plain import plain_like
from adc.ir.reach import Capture, depends_on, plain, reach_item
from adc.ops.core import value
from adc.ops.registry import METHODS, lookup
from adc.ops.structure import bind_size, check, size_op

STATIC_TYPES = (
    bool, int, str, bytes, type(None), type(Ellipsis), type, slice, range, types.ModuleType, np.dtype, np.ufunc,
    types.BuiltinFunctionType, types.BuiltinMethodType, types.MethodDescriptorType, types.GenericAlias, type(np.sum), np.bool_, np.integer,
)  # fmt: skip


class _EntrySizes(dict[Sym, int]):
    """`least` for size proofs: sizes of arguments are at least 2, others may be 0."""

    def get(self, key: Sym, default: Any = None) -> Any:  # type: ignore[override]
        return 0 if key in run_time_sizes() else 2


LEAST = _EntrySizes()


def certain(left: Dim, right: Dim) -> bool:
    """Is left >= right for all sizes?"""
    return at_least(left, right, LEAST)


@contextlib.contextmanager
def inside(builder: Builder) -> Iterator[None]:
    """Write on in a block that was left before."""
    _state.builders.append(builder)
    try:
        yield
    finally:
        _state.builders.pop()


def numpy_op(fn: Any) -> Callable[..., Any]:
    """What adc does for a NumPy function."""
    op = lookup(fn)
    if op is None:
        raise fail(UnsupportedError, "no_rule", None, what=f"np.{fn.__name__}")
    return op


class Base(ABC):
    """State of one staging."""

    frame: Frame

    def __init__(self) -> None:
        self.journal = Journal()
        self.outside: dict[str, tuple[Dim, ...]] = {}  # captured array -> its sizes, kept while staging starts again
        self.reached: dict[int, Callable[[], Any]] = {}  # id of a function -> the way to it
        self.leaves: dict[Var, int] = {}
        self.given: list[tuple[Cell, Var]] = []
        """Arrays from outside, arguments and captured ones, with what was in them."""
        self.captures: list[tuple[Capture, Var]] = []
        self.captured_arrays: dict[int, tuple[Any, ArrayRef, Callable[[], Any], str]] = {}
        self.captured_numbers: dict[Any, Var] = {}
        self.dependencies: dict[str, Dependency] = {}
        self.entry: Builder | None = None
        self.bound: dict[Any, Sym] = {}
        self.paths: dict[str, list[Any]] = {}
        self.clock = 0
        self.depth = 0
        self.node: Any = None
        self.active: list[Any] = []  # functions being inlined
        self.conditions: list[Atom] = []  # of the branches being staged

    # ------------------------------------------------------------ places and refusals

    def pos(self, node: Any = None) -> Pos:
        return self.frame.source.pos(node if node is not None else self.node)

    def refuse(self, what: str, instead: str = "write it with plain loops and NumPy functions", node: Any = None) -> AdcError:
        return fail(UnsupportedError, "syntax", self.pos(node), what=what, instead=instead)

    def wrong(self, what: str, instead: str = "Python itself would raise here", node: Any = None) -> AdcError:
        return fail(UnsupportedError, "type", self.pos(node), what=what, instead=instead)

    @contextlib.contextmanager
    def place(self, node: Any) -> Iterator[None]:
        """Ops and errors inside belong to `node`."""
        old, self.node = self.node, node
        try:
            with at(self.pos(node)):
                yield
        finally:
            self.node = old

    def write(self, box: Box, content: Any) -> None:
        self.journal.write(box, content)

    # ------------------------------------------------------------ atoms

    def is_runtime(self, v: Any) -> bool:
        return isinstance(v, Var | Lit | ArrayRef)

    def is_number(self, v: Any) -> bool:
        return isinstance(v, bool | int | float | np.generic | Size | Var | Lit) and not (isinstance(v, Var) and v.type.dims)

    def atom(self, v: Any) -> Atom:
        """Any numeric value as an atom; lists and tuples become arrays."""
        if isinstance(v, Var | Lit):
            return v
        if isinstance(v, ArrayRef):
            return self.read(v)
        if isinstance(v, Size):
            return self.size_atom(v)
        if isinstance(v, ListBox):
            return self.atom(self.list_array(v)) if isinstance(v.content, Grown) else self.atom(tuple(v.content))
        if isinstance(v, tuple):
            return value([self.atom(x) for x in v])
        if isinstance(v, Ext):
            if isinstance(v.obj, list | tuple):
                return self.atom(tuple(self.children(v)))
            raise self.wrong(f"{v.path} is a {type(v.obj).__name__}, not a number or an array", "pass numbers or arrays")
        if isinstance(v, Seq):
            return self.atom(tuple(self.items(v)))
        return value(v)

    def size_atom(self, dim: Dim) -> Atom:
        """A size as a weak integer, which is what `x.shape[0]` is in Python."""
        if isinstance(dim, int):
            return literal(dim)
        out = Var(Tensor(np.dtype("i8"), (), True), "", self.pos())
        current().add(Op(size_op, (), Params({"dim": dim}), (out,), self.pos()))
        return out

    def int_dim(self, v: Any, what: str = "a size") -> Dim:
        """An integer as a size; a run-time one becomes a symbol (checked to be >= 0)."""
        if isinstance(v, bool | np.bool_):
            return int(v)
        if isinstance(v, int | Size):
            return v
        if isinstance(v, np.integer):
            return int(v)
        if isinstance(v, Lit) and v.type.dtype.kind == "i":
            return int(v.value)
        if isinstance(v, Var) and not v.type.dims and v.type.dtype.kind == "i":
            return self.bind(v, True)
        raise self.wrong(f"{what} must be an integer", "pass an int")

    def bind(self, v: Var, checked: bool) -> Dim:
        """The size symbol of a run-time integer, clamped at 0; bound where the integer is defined."""
        known = self.bound.get((v, checked))
        if known is not None and any(known in b.sizes for b in _state.builders):
            return size(known)
        op = definition(v)
        if op is not None and op.prim is size_op:
            return size(op.params["dim"])
        sym = Sym(v.hint or "n")
        builder = next((b for b in reversed(_state.builders) if v in b.defs or v in b.params), current())
        with inside(builder):
            if checked:
                check(numpy_op(np.greater_equal)(v, 0), code="assertion", message="negative dimensions are not allowed")
            bind_size(numpy_op(np.maximum)(v, literal(0)), sym=sym)
        self.bound[(v, checked)] = sym
        return size(sym)

    def truth(self, v: Any) -> bool | Atom:
        """Python's truth of a value: a bool when it is known, else a run-time bool."""
        if isinstance(v, Lit):
            return bool(v.value)
        if isinstance(v, ArrayRef):
            total = v.type.dims
            if all(d == 1 for d in total):
                return self.truth(METHODS["reshape"](self.read(v), ()))
            raise self.wrong(
                "the truth value of an array with more than one element is ambiguous", "use np.any(...) or np.all(...)"
            )
        if isinstance(v, Var):
            return v if v.type.dtype.kind == "b" else numpy_op(np.not_equal)(v, literal(0))
        if isinstance(v, Size):
            return True if certain(v, 1) else self.truth(numpy_op(np.not_equal)(self.size_atom(v), literal(0)))
        if isinstance(v, ListBox) and isinstance(v.content, Grown):
            return self.truth(self.seq(v).count)
        if isinstance(v, Box) and isinstance(v.content, tuple | dict | Broken) and not hasattr(v, "cls"):
            return bool(v.content)
        if isinstance(v, Ext):
            return bool(v.obj)
        if isinstance(v, Seq):
            return self.truth(v.count)
        if isinstance(v, Box):
            return True
        return bool(v)

    # ------------------------------------------------------------ static values

    def need_static(self, v: Any, what: str) -> Exception:
        """The exception for a run-time value where a static one is needed."""
        return NeedsStatic(v, self.roots(v), self.pos(), what)

    def roots(self, v: Any) -> frozenset[Var]:
        """Parameters (of the function, of loops) that a run-time value is computed from."""
        found: set[Var] = set()
        seen: set[Var] = set()
        todo = [v.cell.content if isinstance(v, ArrayRef) else v]
        outs = {o: s for b in _state.builders for s in b.stmts for o in s.outs}
        while todo:
            a = todo.pop()
            if not isinstance(a, Var) or a in seen:
                continue
            seen.add(a)
            if a not in outs:
                found.add(a)
                continue
            s = outs[a]
            if isinstance(s, Op):
                todo.extend(s.args)
            elif isinstance(s, If):
                todo.append(s.cond)
            elif isinstance(s, For):
                todo.extend(s.inits)
        return frozenset(found)

    def static_int(self, v: Any, what: str) -> int:
        if isinstance(v, Lit):
            v = v.value
        if isinstance(v, bool | int | np.integer | np.bool_):
            return int(v)
        raise self.need_static(v, what)

    def static(self, v: Any, what: str = "this value") -> Any:
        """A plain Python object for `v`, containers rebuilt."""
        if isinstance(v, Lit):
            return v.value
        if isinstance(v, Var | ArrayRef | Size):
            raise self.need_static(v, what)
        if isinstance(v, ListBox):
            if isinstance(v.content, Grown):
                raise self.need_static(self.atom(v), what)
            return [self.static(x, what) for x in v.content]
        if isinstance(v, Box):
            if isinstance(v.content, dict) and not hasattr(v, "cls"):
                return {k: self.static(x, what) for k, x in v.content.items()}
            raise self.need_static(v, what)
        if isinstance(v, tuple):
            items = [self.static(x, what) for x in v]
            return type(v)(*items) if hasattr(v, "_fields") else tuple(items)
        if isinstance(v, Ext):
            if isinstance(v.obj, list | tuple):
                items = [self.static(x, what) for x in self.children(v)]
                return items if isinstance(v.obj, list) else tuple(items)
            return v.obj
        if isinstance(v, slice):
            return slice(*(self.static(x, what) for x in (v.start, v.stop, v.step)))
        return v

    def python(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Static Python; what it raises is the user's error."""
        try:
            with np.errstate(all="ignore"):
                return fn(*args, **kwargs)
        except Exception as e:
            raise self.wrong(f"{type(e).__name__}: {e}") from e

    # ------------------------------------------------------------ reading from outside

    def unique(self, path: str, owner: Any) -> str:
        """`path`, marked where another owner (module, closure cell) has a value of the same name."""
        owners = self.paths.setdefault(path, [])
        for k, o in enumerate(owners):
            if o is owner:
                return path if k == 0 else f"{path} ({k + 1})"
        owners.append(owner)
        return path if len(owners) == 1 else f"{path} ({len(owners)})"

    def depend(self, what: str, obj: Any, get: Callable[[], Any] | None = None) -> None:
        """Note that the program was made from a static object."""
        if what not in self.dependencies:
            self.dependencies[what] = depends_on(what, obj, get)
        if get is not None and isinstance(plain(obj), types.FunctionType):
            self.reached.setdefault(id(plain(obj)), get)

    def lift(self, obj: Any, path: str, get: Callable[[], Any]) -> Any:
        """A Python object from outside as a value: data is captured, the rest is static."""
        if isinstance(obj, np.ndarray | float):
            plain_like(obj, path, self.pos())
        if isinstance(obj, np.ndarray):
            return self.capture_array(obj, path, get)
        if isinstance(obj, float | np.floating) or isinstance(obj, np.ndarray):
            return self.capture_number(obj, path, get)
        if isinstance(obj, complex | np.complexfloating):
            raise fail(UnsupportedError, "complex", self.pos())
        if isinstance(obj, STATIC_TYPES) or isinstance(plain_function(obj), types.FunctionType):
            if not (isinstance(obj, types.ModuleType | types.BuiltinFunctionType) or obj is None):
                self.depend(path, obj, get)
            return obj
        self.depend(path, obj, get)
        return Ext(obj, path, get)

    def children(self, v: Ext) -> list[Any]:
        """The items of an outside list or tuple (the values of a dict)."""
        if isinstance(v.obj, dict):
            return [self.child(v, k) for k in v.obj]
        return [self.child(v, k) for k in range(len(v.obj))]

    def child(self, v: Ext, key: Any) -> Any:
        get = v.get
        return self.lift(v.obj[key], f"{v.path}[{key!r}]", reach_item(get, key))

    def capture_number(self, obj: Any, path: str, get: Callable[[], Any]) -> Var:
        key = path
        if key not in self.captured_numbers:
            weak = not isinstance(obj, np.generic | np.ndarray)
            kind = self.check_dtype(np.asarray(obj).dtype, path)
            var = Var(Tensor(kind, (), weak), self.hint_of(path), self.pos())
            self.captures.append((Capture(path, get), var))
            self.captured_numbers[key] = var
        return self.captured_numbers[key]

    def capture_array(self, obj: np.ndarray[Any, Any], path: str, get: Callable[[], Any]) -> Any:
        if obj.ndim == 0:
            return self.capture_number(obj, path, get)
        known = self.captured_arrays.get(id(obj))
        if known is None:
            fresh: tuple[Dim, ...] = tuple(size(Sym(f"{self.hint_of(path)}_{k}" if obj.ndim > 1 else f"{self.hint_of(path)}_n")) if n > 1 else n for k, n in enumerate(obj.shape))
            dims = self.outside.setdefault(path, fresh)
            var = Var(Tensor(self.check_dtype(obj.dtype, path), dims), self.hint_of(path), self.pos())
            self.captures.append((Capture(path, get), var))
            cell = Cell(var, self.hint_of(path))
            self.given.append((cell, var))
            known = self.captured_arrays[id(obj)] = (obj, ArrayRef(cell, (), var.type), get, path)
        elif known[3] != path:
            # one object read by two paths is one array, as long as that stays so
            first = known[2]
            what = f"{path} is {known[3]}"
            self.dependencies.setdefault(what, Dependency(what, "True", get, obj, first))
        return known[1]

    def check_dtype(self, dtype: Any, path: str) -> Any:
        dt = np.dtype(dtype).newbyteorder("=")
        if dt.kind == "c":
            raise fail(UnsupportedError, "complex", self.pos())
        if dt.kind not in "fib" or dt.itemsize not in (1, 4, 8) or (dt.kind == "i" and dt.itemsize == 1):
            raise fail(UnsupportedError, "dtype", self.pos(), dtype=f"{dt} of {path}")
        return dt

    def hint_of(self, path: str) -> str:
        word = "".join(c if c.isalnum() or c == "_" else " " for c in path).split()
        names = [w for w in word if w.isidentifier()]
        return names[-1] if names else "captured"

    # ------------------------------------------------------------ what the other parts provide

    @abstractmethod
    def read(self, ref: ArrayRef) -> Atom: ...

    @abstractmethod
    def items(self, v: Any) -> list[Any]: ...

    @abstractmethod
    def seq(self, v: Any) -> Seq: ...

    @abstractmethod
    def list_array(self, v: Any) -> Any: ...

    @abstractmethod
    def wrap(self, v: Any, hint: str = "") -> Any: ...

    @abstractmethod
    def evaluate(self, node: Any) -> Any: ...

    @abstractmethod
    def call(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any: ...

    @abstractmethod
    def python_number(self, v: Any) -> Any: ...

    @abstractmethod
    def block(self, stmts: list[Any]) -> None: ...

    @abstractmethod
    def assign(self, target: Any, v: Any) -> None: ...
