"""Arrays: reading through views, storing through views, indexing, attributes.

In: `ArrayRef`s and index values.  Out: atoms; new contents of cells.  A store makes a new value of the
whole array by functional updates from the innermost view up to the cell.

    a[1:][0] = v      content' = setitem(content, slice, setitem(getitem(content, slice), 0, v))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.frontend.base import Base, numpy_op
from adc.frontend.state import number_type
from adc.frontend.values import (
    ArrayRef,
    Box,
    Cell,
    DictBox,
    Ext,
    FunctionStep,
    Grown,
    IndexStep,
    ListBox,
    PermuteStep,
    Poison,
    ReshapeStep,
    Seq,
    Step,
)
from adc.ir import Atom, Dim, Lit, Size, Tensor, Var, product
from adc.ops.core import broadcast_to
from adc.ops.registry import METHODS, lookup
from adc.ops.structure import convert_to, same_size, show


def getitem(x: Atom, index: tuple[Any, ...]) -> Atom:
    from adc.ops import index as ops

    return ops.getitem(x, index)


def setitem(x: Atom, index: tuple[Any, ...], v: Any) -> Atom:
    from adc.ops import index as ops

    return ops.setitem(x, index, v)


def _is_basic(part: Any) -> bool:
    """Does this part of an index select a view?"""
    if isinstance(part, Var | Lit):
        return not part.type.dims and part.type.dtype.kind == "i"
    return part is None or part is Ellipsis or (isinstance(part, int | Size | slice | np.integer) and not isinstance(part, bool))


def _is_plain_int(part: Any) -> bool:
    return isinstance(part, int | Size | np.integer | Var | Lit) and not isinstance(part, bool)


class Arrays(Base):
    # ------------------------------------------------------------ wrap and read

    def wrap(self, v: Any, hint: str = "") -> Any:
        """Results of ops as values: arrays get a cell of their own."""
        if isinstance(v, Var):
            return self.fresh(v, hint) if v.type.dims else v
        if isinstance(v, list):
            return ListBox(tuple(self.wrap(x, hint) for x in v), hint)
        if isinstance(v, tuple):
            items = [self.wrap(x, hint) for x in v]
            return type(v)(*items) if hasattr(v, "_fields") else tuple(items)
        if isinstance(v, dict):
            return DictBox({k: self.wrap(x, hint) for k, x in v.items()}, hint)
        return v

    def fresh(self, v: Atom, hint: str = "", contiguous: bool = False) -> ArrayRef:
        return ArrayRef(Cell(v, hint or getattr(v, "hint", ""), contiguous), (), v.type)

    def content(self, cell: Cell) -> Atom:
        """The elements of a cell now; refused where they depend on an aliasing that only data decide."""
        cell.last_read = self.clock
        if isinstance(cell.content, Poison):
            raise fail(UnsupportedError, "syntax", self.pos() or cell.content.pos, what=cell.content.why, instead="make a copy before the loop or branch: a = a.copy()")
        for source, then in cell.sources:
            by = getattr(source.content, "by", None)
            if source.content is not then and by is not cell and by not in cell.apart:
                raise fail(
                    UnsupportedError, "syntax", self.pos(),
                    what=f"{cell.name or 'this array'} may share memory with {source.name or 'another array'}, which was changed",
                    instead="make a copy before the loop or branch: a = a.copy()",
                )  # fmt: skip
        return cell.content  # type: ignore[no-any-return]

    def read(self, ref: ArrayRef) -> Atom:
        value = self.content(ref.cell)
        for step in self.merged(ref.steps):
            value = self.step(value, step, ref)
        if value.type.dims != ref.type.dims:  # run-time slice bounds bound once more: the same number
            value = same_size(value, dims=ref.type.dims)
        return value

    def step(self, x: Atom, step: Step, ref: ArrayRef) -> Atom:
        match step:
            case IndexStep():
                return getitem(x, step.index)
            case PermuteStep():
                return lookup_transpose()(x, step.axes)
            case ReshapeStep():
                if not step.certain and ref.cell.content is not step.content:
                    raise self.refuse(
                        "reading a reshaped array after the array was changed: NumPy decides at run time whether it is a view or a copy",
                        "reshape again after the change",
                    )
                return lookup_reshape()(x, step.dims)
            case FunctionStep():
                return step.read(x)

    def merged(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """Integer indexing followed by indexing is one indexing: x[i][j] is x[i, j]."""
        out: list[Step] = []
        for s in steps:
            if out and isinstance(s, IndexStep) and isinstance(last := out[-1], IndexStep) and all(map(_is_plain_int, last.index)):
                out[-1] = IndexStep(last.index + s.index)
            else:
                out.append(s)
        return tuple(out)

    # ------------------------------------------------------------ stores

    def check_store(self, ref: ArrayRef) -> None:
        outside = next((path for _, known, _, path in self.captured_arrays.values() if known.cell is ref.cell), None)
        if outside is not None:  # Python keeps what one call leaves there for the next
            raise self.wrong(f"a store into {outside}, an array from outside the function, which adc never changes", "copy it first: work = x.copy(), or pass it as an argument")
        for s in ref.steps:
            if isinstance(s, ReshapeStep) and not s.certain:
                raise self.refuse(
                    "a store through a reshaped array: NumPy decides at run time whether it is a view or a copy",
                    "store into the array itself, or reshape a copy: x.copy().reshape(...)",
                )
            if isinstance(s, FunctionStep) and s.write is None:
                raise self.refuse(f"a store through {s.what}", "store into the array itself, or make a copy first")

    def replace(self, cell: Cell, v: Atom) -> None:
        """The cell's new elements; arrays that may share its memory can no longer be read."""
        self.content(cell)
        if isinstance(v, Var) and not v.hint and cell.name:
            object.__setattr__(v, "hint", cell.name)
        for source, _ in cell.sources:
            self.write(source, Poison(f"{source.name or 'an array'} may share memory with {cell.name or 'another array'}, which was changed", self.pos(), cell))
        self.write(cell, v)

    def store(self, ref: ArrayRef, index: tuple[Any, ...], v: Any) -> None:
        """ref[index] = v"""
        self.check_store(ref)
        v = self.atom(v)
        self.check_cast(v.type, ref.type, True)
        steps = self.merged((*ref.steps, IndexStep(index)))
        self.replace(ref.cell, self.put(self.content(ref.cell), steps, v, ref))

    def store_all(self, ref: ArrayRef, v: Any, casting: bool = False) -> None:
        """ref[...] = v"""
        self.check_store(ref)
        v = self.atom(v)
        self.check_cast(v.type, ref.type, casting)
        if v.type.rank > ref.type.rank:
            raise fail(ShapeError, "shape", self.pos(), what=f"non-broadcastable output operand with shape {show(ref.type.dims)} doesn't match the broadcast shape {show(v.type.dims)}")
        v = broadcast_to(convert_to(v, ref.type.dtype), ref.type.dims)
        steps = self.merged(ref.steps)
        self.replace(ref.cell, self.put(self.content(ref.cell), steps, v, ref) if steps else v)

    def check_cast(self, have: Tensor, want: Tensor, casting: bool) -> None:
        """In-place arithmetic keeps the dtype; NumPy refuses to cast floats to ints there."""
        if not casting and have.dtype.kind != want.dtype.kind and not np.can_cast(have.dtype, want.dtype, "same_kind"):
            raise fail(ShapeError, "shape", self.pos(), what=f"cannot cast the result from {have.dtype} to {want.dtype} in an in-place operation")

    def put(self, x: Atom, steps: tuple[Step, ...], v: Atom, ref: ArrayRef) -> Atom:
        """`x` with the elements that `steps` select set to `v`."""
        first, rest = steps[0], steps[1:]
        if isinstance(first, IndexStep):
            if not rest:
                return setitem(x, first.index, v)
            return setitem(x, first.index, self.put(self.step(x, first, ref), rest, v, ref))
        inner = self.put(self.step(x, first, ref), rest, v, ref) if rest else v
        match first:
            case PermuteStep():
                inverse = tuple(int(k) for k in np.argsort(first.axes))
                return lookup_transpose()(inner, inverse)
            case ReshapeStep():
                return lookup_reshape()(inner, first.old)
            case FunctionStep():
                assert first.write is not None
                return first.write(x, inner)
        raise AssertionError(first)

    # ------------------------------------------------------------ indexing

    def index_value(self, v: Any) -> tuple[Any, ...]:
        """The value of what stands between the brackets as a tuple of index parts."""
        return tuple(self.index_part(p) for p in v) if isinstance(v, tuple) else (self.index_part(v),)

    def index_part(self, p: Any) -> Any:
        if isinstance(p, slice):
            return slice(*(self.slice_part(x) for x in (p.start, p.stop, p.step)))
        if isinstance(p, ArrayRef):
            return self.read(p)
        if isinstance(p, ListBox) and isinstance(p.content, Grown):
            return self.atom(p)
        if isinstance(p, ListBox | Ext | tuple | Seq):
            items = self.items(p)
            if items and all(isinstance(x, int | np.integer) for x in items):
                return list(items)
            return self.atom(p) if items else list(items)
        if p is None or p is Ellipsis or isinstance(p, int | Size | Var | Lit | np.integer | np.bool_):
            return p.value if isinstance(p, Lit) else p
        raise self.wrong(f"a {type(p).__name__} is no index", "index with integers, slices and arrays")

    def slice_part(self, p: Any) -> Any:
        if isinstance(p, Lit):
            return p.value
        if p is None or isinstance(p, int | Size) or (isinstance(p, Var) and p.type.dtype.kind in "i"):
            return p
        if isinstance(p, np.integer):
            return int(p)
        raise self.wrong("slice bounds must be integers", "convert with int(...)")

    def index_array(self, x: Any, index: Any) -> Any:
        """x[index] for arrays and numbers."""
        parts = self.index_value(index)
        if not isinstance(x, ArrayRef):
            x = self.atom(x)
            if all(p is Ellipsis for p in parts):
                return x
            return self.wrap(getitem(x, parts))
        if all(map(_is_basic, parts)):
            ref = ArrayRef(x.cell, (*x.steps, IndexStep(parts)), x.type)
            first = self.read_new(ref)
            return first if not first.type.dims else ArrayRef(ref.cell, ref.steps, first.type)
        return self.wrap(getitem(self.read(x), parts))

    def read_new(self, ref: ArrayRef) -> Atom:
        """The first reading of a view, whose type is not known before."""
        value = self.content(ref.cell)
        for s in self.merged(ref.steps):
            value = self.step(value, s, ref)
        return value

    def view(self, x: ArrayRef, step: Step) -> ArrayRef:
        """`x` seen through one more step."""
        ref = ArrayRef(x.cell, (*x.steps, step), x.type)
        return ArrayRef(ref.cell, ref.steps, self.read_new(ref).type)

    # ------------------------------------------------------------ functions that make views

    def reshaped(self, x: ArrayRef, new: Atom, trivial: bool = False) -> ArrayRef:
        """A view of `x` with the shape of `new`: certain where `x` is one contiguous block or only axes of extent 1 change."""
        certain = trivial or (x.cell.contiguous and all((isinstance(s, IndexStep) and all(map(_is_plain_int, s.index))) or isinstance(s, ReshapeStep) for s in x.steps))
        step = ReshapeStep(new.type.dims, x.type.dims, certain, x.cell.content)
        return ArrayRef(x.cell, (*x.steps, step), new.type)

    def reshaped_by_columns(self, x: ArrayRef, dims: tuple[Dim, ...]) -> ArrayRef:
        """`order="F"`: what is behind one another is so along the first axis."""
        turned = self.view(x, PermuteStep(tuple(reversed(range(x.type.rank)))))
        new = self.reshaped(turned, lookup_reshape()(self.read(turned), tuple(reversed(dims))))
        return self.view(new, PermuteStep(tuple(reversed(range(len(dims))))))

    def view_call(self, fn: Any, x: Any, rest: list[Any], kwargs: dict[str, Any]) -> Any:
        """`fn(x, *rest)` where NumPy returns a view of x; None if `fn` is no such function."""
        if fn in (np.asarray, np.ascontiguousarray, np.atleast_1d, np.asanyarray) and isinstance(x, ArrayRef):
            kind = self.static(rest[0] if rest else kwargs.get("dtype"))
            if kind is None or np.dtype(kind) == x.type.dtype:
                return x
            return None
        if not isinstance(x, ArrayRef):
            return None
        op = lookup(fn)
        if op is None:
            return None
        args = [self.op_arg(a) for a in rest]
        kw = {k: self.op_arg(a) for k, a in kwargs.items()}
        if fn in (np.transpose, np.swapaxes, np.moveaxis, np.rollaxis) or getattr(fn, "__name__", "") == "matrix_transpose":
            probe = fn(np.empty(tuple(range(1, x.type.rank + 1))), *(self.static(a) for a in rest), **{k: self.static(v) for k, v in kwargs.items()})
            return self.view(x, PermuteStep(tuple(d - 1 for d in probe.shape)))
        if fn in (np.reshape, np.ravel):
            new = op(self.read(x), *args, **kw)
            return self.reshaped_by_columns(x, new.type.dims) if "F" in (kw.get("order"), *args[-1:]) else self.reshaped(x, new)
        if fn in (np.expand_dims, np.squeeze, np.atleast_2d, np.atleast_3d):
            new = op(self.read(x), *args, **kw)
            return self.reshaped(x, new, True) if new.type.dims else new
        if fn in (np.flip, np.flipud, np.fliplr):
            again: Callable[[Atom], Atom] = lambda v: op(v, *args, **kw)
            return self.view(x, FunctionStep(again, lambda old, v: again(v), "a flipped array"))
        if fn in (np.broadcast_to, np.diagonal, np.rot90, np.lib.stride_tricks.sliding_window_view):
            return self.view(x, FunctionStep(lambda v: op(v, *args, **kw), None, f"np.{fn.__name__}"))
        if fn in (np.split, np.array_split, np.hsplit, np.vsplit):
            pieces = op(self.read(x), *args, **kw)

            def piece(k: int) -> ArrayRef:
                return self.view(x, FunctionStep(lambda v: op(v, *args, **kw)[k], None, "a piece of np.split"))

            return ListBox(tuple(piece(k) for k in range(len(pieces))))
        return None

    def op_arg(self, v: Any) -> Any:
        """A value as ops take it: atoms, numbers, sizes, tuples and lists of those, static objects."""
        if isinstance(v, ArrayRef):
            return self.read(v)
        if isinstance(v, ListBox):
            return self.atom(v) if isinstance(v.content, Grown) else [self.op_arg(x) for x in v.content]
        if isinstance(v, tuple):
            return tuple(self.op_arg(x) for x in v)
        if isinstance(v, slice):
            return slice(*(self.op_arg(x) for x in (v.start, v.stop, v.step)))
        if isinstance(v, Ext):
            if isinstance(v.obj, list | tuple):
                items = [self.op_arg(x) for x in self.children(v)]
                return items if isinstance(v.obj, list) else tuple(items)
            return v.obj
        if isinstance(v, Seq):
            return [self.op_arg(x) for x in self.items(v)]
        if isinstance(v, Box):
            raise self.wrong(f"a {type(v).__name__[:-3].lower()} is not a number or an array", "pass numbers or arrays")
        return v

    # ------------------------------------------------------------ attributes

    def array_attribute(self, x: Any, name: str) -> Any:
        """Attributes of arrays and run-time numbers that are not methods; None where there is none."""
        kind = x.type if isinstance(x, ArrayRef) else number_type(x)
        assert kind is not None
        match name:
            case "shape":
                return tuple(kind.dims)
            case "ndim":
                return kind.rank
            case "size":
                return product(kind.dims)
            case "dtype":
                return kind.dtype
            case "itemsize":
                return kind.dtype.itemsize
            case "nbytes":
                return product(kind.dims) * kind.dtype.itemsize
            case "T" | "mT":
                if not isinstance(x, ArrayRef) or kind.rank < 2:
                    return x
                axes = list(reversed(range(kind.rank))) if name == "T" else [*range(kind.rank - 2), kind.rank - 1, kind.rank - 2]
                return self.view(x, PermuteStep(tuple(axes)))
            case "real":
                return x
            case "flat":
                if isinstance(x, ArrayRef):
                    return self.reshaped(x, lookup_reshape()(self.read(x), (product(kind.dims),)))
        return None

    def array_method(self, x: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """x.name(*args) for arrays and run-time numbers."""
        ref = x if isinstance(x, ArrayRef) else None
        as_function = {
            "transpose": np.transpose, "swapaxes": np.swapaxes, "ravel": np.ravel, "squeeze": np.squeeze,
            "diagonal": np.diagonal, "reshape": np.reshape,
        }.get(name)  # fmt: skip
        if ref is not None and as_function is not None:
            if name in ("reshape", "transpose") and (len(args) > 1 or (args and not isinstance(args[0], tuple | ListBox | Ext | type(None)))):
                args = [tuple(args)]
            if name == "reshape":
                args = [self.shape_value(args[0]), *args[1:]]
            found = self.view_call(as_function, ref, args, kwargs)
            if found is not None:
                return found
        if ref is not None and name == "fill":
            self.store_all(ref, args[0], True)
            return None
        if ref is not None and name in ("sort", "partition"):
            self.store_all(ref, self.call(np.sort, [ref, *args], kwargs))
            return None
        if name == "item":
            found = self.index_array(x, args[0] if len(args) == 1 else tuple(args)) if args else self.atom(x)
            if isinstance(found, Var) and found.type.dims and not args:
                found = lookup_reshape()(found, ())
            return self.python_number(found)
        if name == "tolist" and ref is not None and isinstance(ref.type.dims[0], int):
            return ListBox(tuple(self.python_number(self.index_array(ref, k)) for k in range(ref.type.dims[0])))
        if name in ("setfield", "resize", "put", "itemset", "setflags"):
            raise self.refuse(f"the array method {name}", "assign with a[...] = v")
        op = METHODS.get(name)
        if op is None:
            raise fail(UnsupportedError, "no_rule", self.pos(), what=f"the array method {name}")
        if "out" in kwargs:
            return self.with_out(lambda kw: self.array_method(x, name, args, kw), kwargs)
        result = op(self.atom(x), *(self.op_arg(a) for a in args), **{k: self.op_arg(v) for k, v in kwargs.items()})
        out = self.wrap(result)
        if isinstance(out, ArrayRef) and name in ("copy", "flatten", "astype"):
            out.cell.contiguous = name == "flatten" or name == "copy"
        return out

    def shape_value(self, v: Any) -> Any:
        """A shape argument: run-time integers become sizes."""
        if isinstance(v, ListBox | Ext | tuple):
            return tuple(self.shape_value(x) for x in self.items(v))
        if isinstance(v, int) and v < 0:
            return v
        return v if v is None else self.int_dim(v, "a shape")

    def with_out(self, run: Callable[[dict[str, Any]], Any], kwargs: dict[str, Any]) -> Any:
        """A call with `out=`: compute, then store."""
        out = kwargs["out"]
        if isinstance(out, tuple) and len(out) == 1:
            out = out[0]
        rest = {k: v for k, v in kwargs.items() if k != "out"}
        result = run(rest)
        if out is None:
            return result
        if not isinstance(out, ArrayRef):
            raise self.wrong("out= must be an array", "pass an array made by np.empty or np.zeros")
        have = number_type(result) if not isinstance(result, ArrayRef) else result.type
        if have is not None and isinstance(result, ArrayRef) and not same_rank(have.dims, out.type.dims):
            raise fail(ShapeError, "shape", self.pos(), what=f"out= has shape {show(out.type.dims)}, the result has {show(have.dims)}")
        self.store_all(out, result)
        return out


def same_rank(a: tuple[Dim, ...], b: tuple[Dim, ...]) -> bool:
    return len(a) <= len(b)


def lookup_transpose() -> Callable[..., Atom]:
    return numpy_op(np.transpose)


def lookup_reshape() -> Callable[..., Atom]:
    return numpy_op(np.reshape)
