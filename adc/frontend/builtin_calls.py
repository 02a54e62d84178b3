"""Python's builtins, and a few NumPy functions that change or alias arrays.

In: a builtin and argument values.  Out: the result value.

    len(x) -> a size      enumerate(xs) -> Seq      float(x) -> a Python number      sorted(keys) -> a list
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import operator
import types
from collections import OrderedDict
from typing import Any

import numpy as np

from adc.frontend.grown import is_grown
from adc.frontend.iterators import Iterators
from adc.frontend.operators import BINARY, COMPARE
from adc.frontend.state import number_type
from adc.frontend.values import ArrayRef, BoundMethod, DictBox, Ext, FunctionValue, ListBox, ObjBox, PartialValue
from adc.ir import Lit, Op, Params, Size, Tensor, Var, current
from adc.ops.structure import convert, convert_to, show_values


class Builtins(Iterators):
    def builtin(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> tuple[bool, Any]:
        """(answered, result)"""
        try:
            name = _TABLE.get(fn)
        except TypeError:
            name = None
        if isinstance(fn, types.BuiltinFunctionType) and fn in _OPERATORS and not kwargs:
            kind, op = _OPERATORS[fn]
            return True, getattr(self, kind)(op, *args) if op else getattr(self, kind)(*args)
        if name is None:
            return False, None
        answer = getattr(self, "builtin_" + name)
        try:
            inspect.signature(answer).bind(*args, **kwargs)
        except TypeError as e:
            raise self.wrong(f"TypeError: {getattr(fn, '__name__', name)}(): {e}") from None
        return True, answer(*args, **kwargs)

    # ------------------------------------------------------------ sizes and iteration

    def builtin_len(self, v: Any) -> Any:
        if isinstance(v, ArrayRef):
            return v.type.dims[0]
        if isinstance(v, str | set | dict | bytes):
            return len(v)
        if isinstance(v, ObjBox):
            return self.call(self.attribute(v, "__len__"), [], {})
        if isinstance(v, Ext) and not isinstance(v.obj, list | tuple | dict):
            return self.call(self.ext_attribute(v, "__len__"), [], {})
        if is_grown(v):
            return self.grown_length(v.content)
        return self.seq(v).count

    def builtin_range(self, *args: Any) -> Any:
        start, stop, step = (0, args[0], 1) if len(args) == 1 else (args[0], args[1], args[2] if len(args) > 2 else 1)
        return self.range_seq(start, stop, step)

    def builtin_list(self, v: Any = ()) -> Any:
        if is_grown(v):
            return self.call(BoundMethod(v, "copy"), [], {})
        return ListBox(tuple(self.items(v)))

    def builtin_tuple(self, v: Any = ()) -> Any:
        return tuple(self.items(v))

    def builtin_dict(self, v: Any = None, **kwargs: Any) -> Any:
        if v is None:
            return DictBox(dict(kwargs))
        if isinstance(v, DictBox) or (isinstance(v, Ext) and isinstance(v.obj, dict)):
            return DictBox({**self.mapping(v), **kwargs})
        pairs = [self.items(p) for p in self.items(v)]
        return DictBox({**{self.static(k, "a key of a dict"): x for k, x in pairs}, **kwargs})

    def builtin_set(self, v: Any = ()) -> Any:
        return {self.static(x, "an element of a set") for x in self.items(v)}

    def builtin_sorted(self, v: Any, key: Any = None, reverse: Any = False) -> Any:
        numbers = self.list_array(v) if key is None else v
        if isinstance(numbers, ArrayRef) and numbers.type.rank == 1 and key is None:
            ranked: ArrayRef = self.call(np.sort, [numbers], {})
            n = ranked.type.dims[0]
            return self.grown_list(n, lambda k: self.index_array(ranked, self.number_op("sub", n - 1, k) if reverse else k), "i")
        items = self.items(v)
        keys = items if key is None else [self.call(key, [x], {}) for x in items]
        known = [self.static(k, "what sorted() compares") for k in keys]
        order = self.python(sorted, range(len(items)), key=lambda k: known[k], reverse=bool(reverse))
        return ListBox(tuple(items[k] for k in order))

    # ------------------------------------------------------------ numbers

    def builtin_prod(self, v: Any, start: Any = 1) -> Any:
        total = self.builtin_reduce(operator.mul, v, start)
        return self.python_number(total) if self.is_runtime(total) else total

    def builtin_dist(self, a: Any, b: Any) -> Any:
        one, other = (self.call(np.array, [self.list_array(v)], {"dtype": float}) for v in (a, b))
        gap = self.binary("Sub", one, other)
        return self.call(math.sqrt, [self.call(np.sum, [self.binary("Mult", gap, gap)], {})], {})

    def builtin_sum(self, v: Any, start: Any = 0) -> Any:
        v = self.list_array(v)
        if isinstance(v, ArrayRef):
            total = self.call(np.sum, [v], {"axis": 0})
            return total if isinstance(start, int) and start == 0 else self.binary("Add", total, start)
        total = start
        for x in self.items(v):
            if total is start and isinstance(start, int) and start == 0 and isinstance(x, ArrayRef | Var):
                total = self.binary("Add", x, 0) if isinstance(x, ArrayRef) or x.type.dtype.kind == "b" else x
            else:
                total = self.binary("Add", total, x)
        return total

    def extreme(self, fn: Any, ufunc: Any, whole: Any, args: tuple[Any, ...], key: Any, default: Any) -> Any:
        if len(args) == 1 and isinstance(whole_list := self.list_array(args[0]), ArrayRef) and whole_list.type.rank == 1 and key is None:
            return self.call(whole, [whole_list], {})
        items = list(args) if len(args) > 1 else self.items(args[0])
        if not items and default is not _NO:
            return default
        if key is not None:
            known = [self.static(self.call(key, [x], {}), "what the key of max() gives") for x in items]
            return items[known.index(fn(known))]
        if all(isinstance(x, bool | int | float | np.generic | str) for x in items):
            return self.python(fn, items)
        if all(isinstance(x, int | Size) for x in items):
            from adc.ir import dim_max, dim_min

            total = items[0]
            for x in items[1:]:
                keep = self.compare_sizes("GtE", total, x)
                pick = dim_max if fn is max else dim_min
                total = pick(total, x) if keep is None else (total if keep == (fn is max) else x)
            return total
        total = items[0]
        for x in items[1:]:
            total = self.call(ufunc, [total, x], {})
        return total

    def builtin_max(self, *args: Any, key: Any = None, default: Any = None) -> Any:
        return self.extreme(max, np.maximum, np.max, args, key, default if default is not None else _NO)

    def builtin_min(self, *args: Any, key: Any = None, default: Any = None) -> Any:
        return self.extreme(min, np.minimum, np.min, args, key, default if default is not None else _NO)

    def builtin_abs(self, v: Any) -> Any:
        if isinstance(v, bool | int | float | np.generic):
            return self.python(abs, v)
        if isinstance(v, ObjBox):
            return self.call(self.attribute(v, "__abs__"), [], {})
        return self.call(np.abs, [v], {})

    def builtin_pow(self, a: Any, b: Any) -> Any:
        return self.binary("Pow", a, b)

    def builtin_divmod(self, a: Any, b: Any) -> Any:
        return (self.binary("FloorDiv", a, b), self.binary("Mod", a, b))

    def builtin_round(self, v: Any, digits: Any = None) -> Any:
        if not self.is_runtime(v):
            return self.python(round, v, *([] if digits is None else [self.static(digits)])) if not isinstance(v, Size) else v
        rounded = self.call(np.round, [v] if digits is None else [v, digits], {})
        return rounded if digits is not None else self.builtin_int(rounded)

    def cast(self, v: Any, dtype: Any, weak: bool) -> Any:
        """A run-time number as a Python number of another kind."""
        a = self.atom(v)
        if a.type.dims:
            if not all(d == 1 for d in a.type.dims):
                raise self.wrong("TypeError: only length-1 arrays can be converted to Python scalars")
            a = self.atom(self.array_method(v, "item", [], {}))
        if a.type.dtype == dtype and (a.type.weak or not weak):
            return a
        if isinstance(a, Lit):
            return Lit(a.value, Tensor(np.dtype(dtype), (), weak)) if a.type.dtype == dtype else convert_to(a, dtype)
        out = Var(Tensor(np.dtype(dtype), (), weak), "", self.pos())
        current().add(Op(convert, (a,), Params({"dtype": np.dtype(dtype)}), (out,), self.pos()))
        return out

    def python_number(self, v: Any) -> Any:
        """A number as Python has it: float64 or int64, and weak."""
        if not isinstance(v, Var) or v.type.dims:
            return v
        return self.cast(v, np.dtype({"f": "f8", "i": "i8", "b": "?"}[v.type.dtype.kind]), True)

    def builtin_float(self, v: Any = 0.0) -> Any:
        if isinstance(v, str) or not (self.is_runtime(v) or isinstance(v, Size)):
            return self.python(float, v)
        return self.cast(v, np.dtype("f8"), True)

    def builtin_int(self, v: Any = 0) -> Any:
        if isinstance(v, Size):
            return v
        if not self.is_runtime(v):
            return self.python(int, v)
        return self.cast(v, np.dtype("i8"), True)

    def builtin_bool(self, v: Any = False) -> Any:
        t = self.truth(v)
        return t if isinstance(t, bool) else convert(t, dtype=np.dtype("?"), weak=True)

    def call_cast(self, dtype: Any, args: list[Any]) -> Any:
        """np.float32(x), np.int64(x), …"""
        v = args[0] if args else 0
        if isinstance(v, ArrayRef):
            return self.array_method(v, "astype", [dtype], {})
        if not (self.is_runtime(v) or isinstance(v, Size)):
            return self.python(dtype.type, self.static(v))
        a = self.atom(v)
        if a.type.dtype == dtype and a.type.weak:
            return convert(a, dtype=dtype)
        return convert_to(a, dtype)

    def builtin_any(self, v: Any) -> Any:
        v = self.list_array(v)
        if isinstance(v, ArrayRef):
            return self.call(np.any, [v], {})
        return self.either(*(self.truth(x) for x in self.items(v)))

    def builtin_all(self, v: Any) -> Any:
        v = self.list_array(v)
        if isinstance(v, ArrayRef):
            return self.call(np.all, [v], {})
        total: Any = True
        for x in self.items(v):
            total = self.conj(total, self.truth(x))
        return total

    # ------------------------------------------------------------ objects

    def class_of(self, v: Any) -> type:
        if isinstance(v, ArrayRef):
            return np.ndarray
        if isinstance(v, Size):
            return int
        if isinstance(v, Var | Lit):
            kind = {"b": bool, "i": int, "f": float}[v.type.dtype.kind]
            return kind if v.type.weak else v.type.dtype.type  # type: ignore[no-any-return]
        if isinstance(v, ListBox):
            return list
        if isinstance(v, DictBox):
            return dict
        if isinstance(v, ObjBox):
            return v.cls
        if isinstance(v, Ext):
            return type(v.obj)
        if isinstance(v, FunctionValue):
            return type(lambda: 0)
        return type(v)

    def builtin_isinstance(self, v: Any, classes: Any) -> bool:
        wanted = self.static(classes)
        return issubclass(self.class_of(v), tuple(wanted) if isinstance(wanted, list | tuple) else wanted)

    def builtin_type(self, v: Any) -> Any:
        return self.class_of(v)

    def builtin_hasattr(self, v: Any, name: Any) -> bool:
        from adc.errors import AdcError

        kind = number_type(v) if not isinstance(v, ArrayRef) else v.type
        if kind is not None:
            return hasattr(np.ndarray if isinstance(v, ArrayRef) else self.class_of(v), self.static(name))
        try:
            self.attribute(v, self.static(name))
        except AdcError:
            return False
        return True

    def builtin_getattr(self, v: Any, name: Any, *default: Any) -> Any:
        key = self.static(name, "the name of an attribute")
        if default and not self.builtin_hasattr(v, key):
            return default[0]
        return self.attribute(v, key)

    def builtin_setattr(self, v: Any, name: Any, x: Any) -> None:
        self.set_attribute(v, self.static(name, "the name of an attribute"), x)

    def set_attribute(self, v: Any, name: str, x: Any) -> None:
        if not isinstance(v, ObjBox):
            raise self.refuse("assignment to an attribute of an object from outside the function", "return the value instead")
        self.write(v, {**v.content, name: self.kept(x)})

    def builtin_callable(self, v: Any) -> bool:
        return isinstance(v, FunctionValue | BoundMethod | PartialValue) or callable(v.obj if isinstance(v, Ext) else v)

    def builtin_print(self, *args: Any, **kwargs: Any) -> None:
        """Printed by the NumPy target, when the value is computed; compiled kernels refuse it."""
        options = tuple((k, self.static(kwargs[k], f"the option {k} of print")) for k in sorted(kwargs))
        if any(k not in ("sep", "end", "flush") for k, _ in options):
            raise self.refuse("print to a file", "print to standard output, or outside the function")
        parts: list[str | None] = []
        values: list[Any] = []
        for a in args:
            if self.is_plain(a):  # type: ignore[attr-defined]
                parts.append(str(self.static(a)))
            else:
                parts.append(None)
                values.append(self.atom(a))
        show_values(*values, parts=tuple(parts), options=options)

    def builtin_str(self, v: Any = "") -> str:
        return str(self.static(v))

    def builtin_repr(self, v: Any) -> str:
        return repr(self.static(v))

    def builtin_slice(self, *args: Any) -> slice:
        return slice(*args)

    def builtin_partial(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        return PartialValue(fn, args, kwargs)

    # ------------------------------------------------------------ NumPy functions that store or alias

    def builtin_copyto(self, dst: Any, src: Any, where: Any = True) -> None:
        if not isinstance(dst, ArrayRef):
            raise self.wrong("np.copyto needs an array")
        if where is not True:
            src = self.call(np.where, [where, src, dst], {})
        self.store_all(dst, src)

    def builtin_shape(self, v: Any) -> Any:
        return self.array_attribute(v, "shape") if self.is_runtime(v) else self.shape_of(v)

    def shape_of(self, v: Any) -> tuple[Any, ...]:
        if is_grown(v):
            return tuple(self.list_array(v).type.dims)
        if isinstance(v, ListBox | tuple | Ext):
            items = self.items(v)
            return (len(items), *(self.shape_of(items[0]) if items else ()))
        return tuple(v.type.dims) if isinstance(v, ArrayRef) else ()

    def builtin_ndim(self, v: Any) -> int:
        return len(self.builtin_shape(v))

    def builtin_size(self, v: Any, axis: Any = None) -> Any:
        dims = self.builtin_shape(v)
        if axis is not None:
            return dims[self.static_int(axis, "an axis")]
        total: Any = 1
        for d in dims:
            total = total * d
        return total

    def builtin_dtype_of(self, *args: Any) -> Any:
        kinds = []
        for a in args:
            if isinstance(a, ArrayRef):
                kinds.append(a.type.dtype)
            elif isinstance(a, Var | Lit):
                kinds.append(a.type.dtype.type(0).item() if a.type.weak else a.type.dtype)
            else:
                kinds.append(self.static(a))
        return self.python(np.result_type, *kinds)


_NO: Any = object()
_TABLE: dict[Any, str] = {
    len: "len", range: "range", enumerate: "enumerate", zip: "zip", reversed: "reversed", list: "list", tuple: "tuple",
    dict: "dict", OrderedDict: "dict", set: "set", frozenset: "set", sorted: "sorted", map: "map", filter: "filter", functools.reduce: "reduce",
    iter: "iter", sum: "sum", max: "max", min: "min", abs: "abs", math.fabs: "abs", pow: "pow", divmod: "divmod", round: "round",
    float: "float", int: "int", bool: "bool", any: "any", all: "all", isinstance: "isinstance", type: "type",
    hasattr: "hasattr", getattr: "getattr", setattr: "setattr", callable: "callable", print: "print", str: "str",
    repr: "repr", slice: "slice", functools.partial: "partial", np.copyto: "copyto", np.shape: "shape", np.ndim: "ndim",
    np.size: "size", np.result_type: "dtype_of", np.isscalar: "isscalar", np.ndindex: "ndindex", np.ndenumerate: "ndenumerate", np.fromiter: "fromiter",
    itertools.product: "product", itertools.combinations: "combinations", itertools.islice: "islice", itertools.pairwise: "pairwise",
    itertools.combinations_with_replacement: "combinations_with_replacement", itertools.accumulate: "accumulate", itertools.chain: "chain",
    np.vectorize: "vectorize", np.piecewise: "piecewise", np.fromfunction: "fromfunction", np.apply_along_axis: "apply_along_axis",
    math.prod: "prod", math.dist: "dist",
}  # fmt: skip
# the functions of `operator`, as functools.reduce takes them
_OPERATORS: dict[Any, tuple[str, str]] = {
    **{fn: ("binary", name) for name, (_, fn) in BINARY.items()},
    **{fn: ("compare", name) for name, (_, fn) in COMPARE.items()},
    operator.neg: ("unary", "USub"), operator.pos: ("unary", "UAdd"), operator.invert: ("unary", "Invert"), operator.getitem: ("subscript", ""),
    operator.abs: ("builtin_abs", ""), operator.truth: ("truth", ""), operator.is_: ("identical", ""),
}  # fmt: skip
_TABLE.pop(math.fabs)
_TABLE.pop(np.isscalar)


__all__ = ["Builtins"]
