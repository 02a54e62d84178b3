"""Expressions.

In: a gast expression.  Out: a value (see `values`); ops are emitted with the place of the expression.
Static parts are computed by Python itself; `and`, `or` and `a if c else b` never run what Python would not.

    x * len(x) + 1.0        mul, size, add          (n + 1) // 2 on sizes: static
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable
from typing import Any

import gast
import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.frontend.base import certain, numpy_op
from adc.frontend.comprehensions import Comprehensions
from adc.frontend.control import is_pure
from adc.frontend.grown import is_grown
from adc.frontend.scope import Frame
from adc.frontend.state import number_type
from adc.frontend.values import (
    UNBOUND,
    ArrayRef,
    BoundMethod,
    Box,
    Broken,
    DictBox,
    Ext,
    FunctionValue,
    ListBox,
    Maybe,
    NameBox,
    NeedsStatic,
    ObjBox,
    Seq,
    UfuncMethod,
)
from adc.ir import OPERATORS, Atom, Lit, Size, Var, building, current, literal
from adc.ir.reach import reach_attribute, reach_cell, reach_global, reach_of_object
from adc.ops.registry import METHODS
from adc.ops.structure import check

# gast class -> (name of the operator on values, Python's function, dunder)
BINARY: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "Add": ("add", operator.add),
    "Sub": ("sub", operator.sub),
    "Mult": ("mul", operator.mul),
    "Div": ("truediv", operator.truediv),
    "FloorDiv": ("floordiv", operator.floordiv),
    "Mod": ("mod", operator.mod),
    "Pow": ("pow", operator.pow),
    "MatMult": ("matmul", operator.matmul),
    "BitAnd": ("and", operator.and_),
    "BitOr": ("or", operator.or_),
    "BitXor": ("xor", operator.xor),
    "LShift": ("lshift", operator.lshift),
    "RShift": ("rshift", operator.rshift),
}
COMPARE: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "Lt": ("lt", operator.lt),
    "LtE": ("le", operator.le),
    "Gt": ("gt", operator.gt),
    "GtE": ("ge", operator.ge),
    "Eq": ("eq", operator.eq),
    "NotEq": ("ne", operator.ne),
}
COMPARE_UFUNCS = {
    "Lt": np.less, "LtE": np.less_equal, "Gt": np.greater, "GtE": np.greater_equal, "Eq": np.equal, "NotEq": np.not_equal,
}  # fmt: skip
CONTAINERS = (ListBox, DictBox, ObjBox, Ext, tuple, Seq, str, type(None), dict, list, set)


CONSTANTS = ("numpy", "math", "scipy.constants")
"""Modules whose floats never change."""


class Expr(Comprehensions):
    def evaluate(self, node: Any) -> Any:
        method = getattr(self, "eval_" + type(node).__name__, None)
        if method is None:
            raise self.refuse(f"the expression {type(node).__name__}", node=node)
        with self.place(node):
            return method(node)

    # ------------------------------------------------------------ names and constants

    def eval_Constant(self, node: Any) -> Any:
        return node.value

    def eval_Name(self, node: Any) -> Any:
        return self.name_value(node.id)

    def name_value(self, name: str) -> Any:
        box = self.frame.find(name)
        if box is not None:
            return self.name_content(box, name)
        frame: Frame | None = self.frame
        while frame is not None and frame.pyfunc is None:
            frame = frame.outer
        if frame is None:
            raise fail(UnsupportedError, "unbound", self.pos(), name=name)
        fn = frame.pyfunc
        code = fn.__code__
        if name in code.co_freevars and fn.__closure__ is not None:
            cell = fn.__closure__[code.co_freevars.index(name)]
            try:
                found = cell.cell_contents
            except ValueError:
                raise fail(UnsupportedError, "unbound", self.pos(), name=name) from None
            return self.lift(found, self.unique(f"{fn.__qualname__.replace('<locals>.', '')}.{name}", cell), reach_cell(self.reached.get(id(fn)), fn, name))
        scope = fn.__globals__
        if name in scope:
            return self.lift(scope[name], self.unique(f"{scope.get('__name__', '')}.{name}", scope), reach_global(scope, name))
        builtin = scope.get("__builtins__", {})
        table = builtin if isinstance(builtin, dict) else vars(builtin)
        if name in table:
            return table[name]
        raise fail(UnsupportedError, "unbound", self.pos(), name=name)

    def name_content(self, box: NameBox, name: str) -> Any:
        v = box.content
        if v is UNBOUND:
            raise fail(UnsupportedError, "unbound", self.pos(), name=name)
        if isinstance(v, Broken):
            raise v.error
        if isinstance(v, Maybe):
            check(v.flag, code="assertion", message=f"{name} is used before it is assigned")
            return v.value
        return v

    def eval_NamedExpr(self, node: Any) -> Any:
        v = self.evaluate(node.value)
        self.assign(node.target, v)
        return v

    def eval_Lambda(self, node: Any) -> Any:
        return self.make_function(node, "<lambda>")

    def make_function(self, node: Any, name: str) -> FunctionValue:
        defaults = tuple(self.evaluate(d) for d in node.args.defaults)
        names = [p.id for p in node.args.kwonlyargs]
        kw = {n: self.evaluate(d) for n, d in zip(names, node.args.kw_defaults, strict=True) if d is not None}
        return FunctionValue(node, self.frame, name, defaults, kw)

    # ------------------------------------------------------------ containers

    def elements(self, nodes: list[Any]) -> tuple[Any, ...]:
        out: list[Any] = []
        for n in nodes:
            if isinstance(n, gast.Starred):
                out.extend(self.items(self.evaluate(n.value)))
            else:
                out.append(self.evaluate(n))
        return tuple(out)

    def eval_Tuple(self, node: Any) -> Any:
        return self.elements(node.elts)

    def eval_List(self, node: Any) -> Any:
        return ListBox(self.elements(node.elts))

    def eval_Set(self, node: Any) -> Any:
        return {self.static(v, "an element of a set") for v in self.elements(node.elts)}

    def eval_Dict(self, node: Any) -> Any:
        out: dict[Any, Any] = {}
        for k, v in zip(node.keys, node.values, strict=True):
            if k is None:
                out.update(self.mapping(self.evaluate(v)))
            else:
                out[self.static(self.evaluate(k), "a key of a dict")] = self.evaluate(v)
        return DictBox(out)

    def mapping(self, v: Any) -> dict[Any, Any]:
        if isinstance(v, DictBox):
            return dict(v.content)
        if isinstance(v, Ext) and isinstance(v.obj, dict):
            return {k: self.child(v, k) for k in v.obj}
        raise self.wrong("** needs a dict")

    def eval_JoinedStr(self, node: Any) -> str:
        return "".join(self.evaluate(v) if isinstance(v, gast.FormattedValue) else str(v.value) for v in node.values)

    def eval_FormattedValue(self, node: Any) -> str:
        v = self.evaluate(node.value)
        if isinstance(v, Var | ArrayRef | Size | Box):
            # the number is only known at run time: messages show the expression instead
            return "{" + self.frame.source.text(node.value) + "}"
        v = self.static(v)
        conversions: dict[int, Callable[[Any], Any]] = {115: str, 114: repr, 97: ascii}
        text = conversions[node.conversion](v) if node.conversion in conversions else v
        return format(text, self.evaluate(node.format_spec) if node.format_spec is not None else "")

    # ------------------------------------------------------------ arithmetic

    def eval_BinOp(self, node: Any) -> Any:
        return self.binary(type(node.op).__name__, self.evaluate(node.left), self.evaluate(node.right))

    def binary(self, op: str, a: Any, b: Any) -> Any:
        name, fn = BINARY[op]
        a, b = (v.value if isinstance(v, Lit) and v.type.weak else v for v in (a, b))
        for v, other, dunder in ((a, b, f"__{name}__"), (b, a, f"__r{name}__")):
            if isinstance(v, ObjBox) and hasattr(v.cls, dunder):
                return self.call(self.attribute(v, dunder), [other], {})
        if isinstance(a, CONTAINERS) or isinstance(b, CONTAINERS):
            if not any(isinstance(v, ArrayRef | Var) for v in (a, b)):
                return self.combine(op, a, b)
        if not (self.is_runtime(a) or self.is_runtime(b)):
            if isinstance(a, Size) or isinstance(b, Size):
                done = self.size_arithmetic(op, a, b)
                if done is not None:
                    return done
            else:
                return self.python(fn, a, b)
        operate = OPERATORS.get(name)
        if operate is None:
            raise self.refuse(f"the operator {op}")
        return self.wrap(operate(self.atom(a), self.atom(b)))

    def python(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Static Python; what it raises is the user's error."""
        try:
            with np.errstate(all="ignore"):
                return fn(*args, **kwargs)
        except Exception as e:
            raise self.wrong(f"{type(e).__name__}: {e}") from e

    def combine(self, op: str, a: Any, b: Any) -> Any:
        """+ and * of lists and tuples, % of strings, | of dicts."""
        if op == "Add" and isinstance(a, ListBox) and is_grown(a) and isinstance(b, ListBox | Ext) and not is_grown(b):
            longer = self.call(list, [a], {})
            self.call(BoundMethod(longer, "extend"), [b], {})
            return longer
        if op == "Add" and isinstance(a, ListBox) and isinstance(b, ListBox | Ext):
            return ListBox((*a.content, *self.items(b)))
        if op == "Add" and isinstance(a, Ext) and isinstance(a.obj, list) and isinstance(b, ListBox | Ext):
            return ListBox((*self.children(a), *self.items(b)))
        if op == "Add" and all(isinstance(v, tuple) or (isinstance(v, Ext) and isinstance(v.obj, tuple)) for v in (a, b)):
            return (*self.items(a), *self.items(b))
        if op == "Mult":
            for v, n in ((a, b), (b, a)):
                if isinstance(v, ListBox | tuple | Ext) and not isinstance(n, CONTAINERS):
                    items = tuple(self.items(v)) * self.static_int(n, "the number of repetitions of a list")
                    return items if isinstance(v, tuple) else ListBox(items)
        if op == "BitOr" and isinstance(a, DictBox) and isinstance(b, DictBox):
            return DictBox({**a.content, **b.content})
        return self.python(BINARY[op][1], self.static(a), self.static(b))

    def size_arithmetic(self, op: str, a: Any, b: Any) -> Any:
        """Arithmetic of sizes that stays static; None where it becomes a run-time number."""
        if not all(isinstance(v, int | Size | np.integer) for v in (a, b)):
            return None
        a, b = (int(v) if isinstance(v, np.integer | bool) else v for v in (a, b))
        if op in ("Add", "Sub", "Mult"):
            return BINARY[op][1](a, b)
        if op in ("FloorDiv", "Mod") and ((isinstance(b, int) and b > 0) or certain(b, 1)):
            return BINARY[op][1](a, b)
        if op == "Pow" and isinstance(b, int) and 0 <= b <= 8:
            out: Any = 1
            for _ in range(b):
                out = out * a
            return out
        return None

    def eval_UnaryOp(self, node: Any) -> Any:
        return self.unary(type(node.op).__name__, self.evaluate(node.operand))

    def unary(self, op: str, v: Any) -> Any:
        if op == "Not":
            return self.negate(self.truth(v))
        if isinstance(v, Lit) and v.type.weak:
            v = v.value
        if isinstance(v, Size):
            return {"USub": v * -1, "UAdd": v, "Invert": v * -1 - 1}[op]
        if self.is_runtime(v):
            if op == "UAdd":  # a new array
                return self.fresh(self.read(v)) if isinstance(v, ArrayRef) else v
            return self.wrap(OPERATORS["neg" if op == "USub" else "invert"](self.atom(v)))
        if isinstance(v, ObjBox):
            return self.call(self.attribute(v, {"USub": "__neg__", "UAdd": "__pos__", "Invert": "__invert__"}[op]), [], {})
        unary: dict[str, Callable[..., Any]] = {"USub": operator.neg, "UAdd": operator.pos, "Invert": operator.invert}
        return self.python(unary[op], self.static(v))

    # ------------------------------------------------------------ logic

    def eval_BoolOp(self, node: Any) -> Any:
        is_and = isinstance(node.op, gast.And)

        def chain(k: int) -> Any:
            left = self.evaluate(node.values[k])
            if k == len(node.values) - 1:
                return left
            t = self.truth(left)
            if isinstance(t, bool):
                return chain(k + 1) if t == is_and else left
            return self.short_circuit(is_and, left, t, lambda: chain(k + 1))

        return chain(0)

    def short_circuit(self, is_and: bool, left: Any, t: Atom, right: Callable[[], Any]) -> Any:
        """`left and right()`, where left is only known at run time."""
        with building() as b, self.journal.trial() as changes:
            v = right()
        boolean = isinstance(left, Var) and left.type.dtype.kind == "b"
        kind = number_type(v) if not isinstance(v, ArrayRef) else None
        if boolean and kind is not None and kind.dtype.kind == "b" and not changes and is_pure(b.stmts) and len(b.stmts) <= 8:
            for s in b.stmts:
                current().add(s)
            other = self.truth(v)
            if isinstance(other, bool):
                return t if other == is_and else other
            return numpy_op(np.logical_and if is_and else np.logical_or)(t, other)
        if is_and:
            return self.branch(t, right, lambda: left)
        return self.branch(t, lambda: left, right)

    def eval_IfExp(self, node: Any) -> Any:
        t = self.truth(self.evaluate(node.test))
        if isinstance(t, bool):
            return self.evaluate(node.body if t else node.orelse)
        return self.branch(t, lambda: self.evaluate(node.body), lambda: self.evaluate(node.orelse))

    def eval_Compare(self, node: Any) -> Any:
        left = self.evaluate(node.left)

        def chain(k: int, left: Any) -> Any:
            right = self.evaluate(node.comparators[k])
            result = self.compare(type(node.ops[k]).__name__, left, right)
            if k == len(node.ops) - 1:
                return result
            t = self.truth(result)
            if isinstance(t, bool):
                return chain(k + 1, right) if t else False
            return self.short_circuit(True, result, t, lambda: chain(k + 1, right))

        return chain(0, left)

    def compare(self, op: str, a: Any, b: Any) -> Any:
        if op in ("Is", "IsNot"):
            return self.identical(a, b) == (op == "Is")
        if op in ("In", "NotIn"):
            found = self.contains(b, a)
            return found if op == "In" else self.negate(found)
        a, b = (v.value if isinstance(v, Lit) else v for v in (a, b))
        name, fn = COMPARE[op]
        if isinstance(a, ObjBox) and hasattr(a.cls, f"__{name}__") and getattr(a.cls, f"__{name}__") is not getattr(object, f"__{name}__", None):
            return self.call(self.attribute(a, f"__{name}__"), [b], {})
        if isinstance(a, CONTAINERS) or isinstance(b, CONTAINERS):
            if not any(isinstance(v, ArrayRef) for v in (a, b)) or a is None or b is None:
                return self.compare_containers(op, a, b)
        if not (self.is_runtime(a) or self.is_runtime(b)):
            if isinstance(a, Size) or isinstance(b, Size):
                known = self.compare_sizes(op, a, b)
                if known is not None:
                    return known
            else:
                return self.python(fn, self.static(a), self.static(b))
        operate = OPERATORS.get(name) or numpy_op(COMPARE_UFUNCS[op])
        return self.wrap(operate(self.atom(a), self.atom(b)))

    def compare_sizes(self, op: str, a: Any, b: Any) -> bool | None:
        """What is certain of two sizes; None if only run time tells."""
        if not all(isinstance(v, int | Size | np.integer) for v in (a, b)):
            return None
        ge, le = certain(a, b), certain(b, a)
        gt, lt = certain(a, b + 1), certain(b, a + 1)
        equal = a == b
        table = {
            "Eq": (equal, gt or lt), "NotEq": (gt or lt, equal), "Lt": (lt, ge), "LtE": (le, gt), "Gt": (gt, le), "GtE": (ge, lt),
        }  # fmt: skip
        yes, no = table[op]
        return True if yes else False if no else None

    def compare_containers(self, op: str, a: Any, b: Any) -> Any:
        kinds = [type(v.obj) if isinstance(v, Ext) else list if isinstance(v, ListBox) else tuple if isinstance(v, tuple) else type(v) for v in (a, b)]
        if op in ("Eq", "NotEq") and kinds[0] is kinds[1] and kinds[0] in (list, tuple):
            x, y = self.items(a), self.items(b)
            if len(x) != len(y):
                return op == "NotEq"
            total: Any = True
            for p, q in zip(x, y, strict=True):
                total = self.conj(total, self.truth(self.compare("Eq", p, q)))
            return total if op == "Eq" else self.negate(total)
        if op in ("Eq", "NotEq") and (any(self.is_number(v) for v in (a, b)) or kinds[0] is not kinds[1]):
            return op == "NotEq"
        return self.python(COMPARE[op][1], self.static(a), self.static(b))

    def identical(self, a: Any, b: Any) -> bool:
        if isinstance(a, ArrayRef) and isinstance(b, ArrayRef):
            return a.same(b)
        if isinstance(a, Ext) and isinstance(b, Ext):
            return a.obj is b.obj
        a, b = (v.obj if isinstance(v, Ext) else v for v in (a, b))
        if (isinstance(a, Var | Lit) and isinstance(b, bool)) or (isinstance(b, Var | Lit) and isinstance(a, bool)):
            raise self.refuse("'is' with a value computed at run time", "compare with ==")
        return a is b

    def contains(self, box: Any, v: Any) -> Any:
        if isinstance(box, DictBox) or (isinstance(box, Ext) and isinstance(box.obj, dict)):
            keys = box.content if isinstance(box, DictBox) else box.obj
            return self.static(v, "a key of a dict") in keys
        if isinstance(box, str | set | frozenset | dict):
            return self.static(v, "this value") in box
        total: Any = False
        for item in self.items(box):
            total = self.either(total, self.truth(self.compare("Eq", v, item)))
        return total

    # ------------------------------------------------------------ subscripts and attributes

    def eval_Slice(self, node: Any) -> Any:
        return slice(*(self.evaluate(n) if n is not None else None for n in (node.lower, node.upper, node.step)))

    def eval_Subscript(self, node: Any) -> Any:
        return self.subscript(self.evaluate(node.value), self.evaluate(node.slice))

    def subscript(self, v: Any, key: Any) -> Any:
        if isinstance(v, ArrayRef):
            return self.index_array(v, key)
        if isinstance(v, DictBox) or (isinstance(v, Ext) and isinstance(v.obj, dict)):
            k = self.static(key, "a key of a dict")
            content = v.content if isinstance(v, DictBox) else v.obj
            if k not in content:
                if isinstance(v, Ext) and hasattr(type(v.obj), "__missing__"):
                    raise self.refuse("a defaultdict's missing key", "store the key before the call")
                raise self.wrong(f"KeyError: {k!r}")
            return content[k] if isinstance(v, DictBox) else self.child(v, k)
        if isinstance(v, ListBox) and is_grown(v):
            return self.grown_part(v, v.content, key) if isinstance(key, slice) else self.grown_item(v, v.content, key)
        if isinstance(v, ListBox | tuple | Seq) or (isinstance(v, Ext) and isinstance(v.obj, list | tuple)):
            if isinstance(v, Seq):
                return v.item(key)
            items = self.items(v)
            if isinstance(key, slice):
                part = items[self.static(key, "the bounds of a list's slice")]
                return tuple(part) if isinstance(v, tuple) or (isinstance(v, Ext) and isinstance(v.obj, tuple)) else ListBox(tuple(part))
            try:
                k = self.static_int(key, "the index of a list or tuple")
            except NeedsStatic as e:
                if not isinstance(v, ListBox):
                    raise
                return self.guess(v, e)
            if not -len(items) <= k < len(items):
                error = self.wrong(f"IndexError: list index {k} out of range")
                if not isinstance(v, ListBox):
                    raise error
                return self.guess(v, error)
            return items[k]
        if isinstance(v, Var | Lit):
            return self.index_array(v, key)
        if isinstance(v, ObjBox):
            return self.call(self.attribute(v, "__getitem__"), [key], {})
        if isinstance(v, Ext) and hasattr(type(v.obj), "__getitem__"):
            method = type(v.obj).__getitem__
            return self.call(BoundMethod(v, "__getitem__", method), [key], {})
        if isinstance(v, UfuncMethod | BoundMethod | FunctionValue | Size):
            raise self.wrong(f"a {type(v).__name__} cannot be indexed")
        return self.python(operator.getitem, v, self.static(key))

    def eval_Attribute(self, node: Any) -> Any:
        return self.attribute(self.evaluate(node.value), node.attr)

    def attribute(self, v: Any, name: str) -> Any:
        if isinstance(v, ArrayRef) or isinstance(v, Var | Lit):
            found = self.array_attribute(v, name)
            if found is None:
                return BoundMethod(v, name)
            return found
        if isinstance(v, Size):
            if name in ("real",):
                return v
            raise self.wrong(f"an int has no attribute {name} that adc knows")
        if isinstance(v, ObjBox):
            if name in v.content:
                return v.content[name]
            if name == "__class__":
                return v.cls
            return self.class_attribute(v, v.cls, name)
        if isinstance(v, Ext):
            return self.ext_attribute(v, name)
        if isinstance(v, ListBox | DictBox | set):
            return BoundMethod(v, name)
        if isinstance(v, tuple) and hasattr(v, "_fields"):
            if name in v._fields:
                return getattr(v, name)
            if name in ("_replace", "_asdict", "index", "count"):
                return BoundMethod(v, name)
            if name == "_fields":
                return v._fields
            return self.class_attribute(v, type(v), name)
        if isinstance(v, tuple | str | dict | bytes):
            return BoundMethod(v, name)
        if isinstance(v, np.ufunc) and name in ("at", "reduce", "accumulate", "outer"):
            return UfuncMethod(v, name)
        if isinstance(v, FunctionValue):
            if name == "__name__":
                return v.name
            raise self.refuse(f"the attribute {name} of a function")
        if isinstance(v, bool | int | float | np.generic):
            if name in METHODS:
                return BoundMethod(v, name)
            return self.array_attribute(v, name) if isinstance(v, np.generic) else self.python(getattr, v, name)
        if isinstance(v, Seq | BoundMethod | UfuncMethod):
            raise self.refuse(f"the attribute {name}")
        try:
            found = getattr(v, name)
        except AttributeError as e:
            raise self.wrong(f"AttributeError: {e}") from None
        if isinstance(found, float) and isinstance(v, types.ModuleType) and v.__name__ in CONSTANTS:
            return found  # np.pi, math.inf: part of the program, unlike the user's own globals
        label = getattr(v, "__name__", type(v).__name__)
        return self.lift(found, self.unique(f"{label}.{name}", v), reach_of_object(v, name))

    def class_attribute(self, receiver: Any, cls: type, name: str) -> Any:
        """A method, property, or class variable of a user's class, bound to `receiver`."""
        raw: Any = next((k.__dict__[name] for k in cls.__mro__ if name in k.__dict__), UNBOUND)
        if raw is UNBOUND:
            raise self.wrong(f"AttributeError: {cls.__name__} has no attribute {name}")
        if isinstance(raw, property):
            return self.call(raw.fget, [receiver], {})
        if isinstance(raw, staticmethod):
            return raw.__func__
        if isinstance(raw, classmethod):
            return BoundMethod(cls, name, raw.__func__)
        if type(raw).__name__ == "cached_property":
            return self.call(raw.func, [receiver], {})
        if callable(raw) and not isinstance(raw, type):
            return BoundMethod(receiver, name, raw)
        return self.lift(raw, self.unique(f"{cls.__name__}.{name}", cls), lambda: getattr(cls, name))

    def ext_attribute(self, v: Ext, name: str) -> Any:
        obj = v.obj
        own = getattr(obj, "__dict__", {})
        slots = any(name in getattr(k, "__slots__", ()) for k in type(obj).__mro__)
        fields = getattr(obj, "_fields", ()) if isinstance(obj, tuple) else ()
        get = v.get
        if name in own or slots or name in fields:
            return self.lift(getattr(obj, name), f"{v.path}.{name}", reach_attribute(get, name))
        if isinstance(obj, list | dict | tuple) and not any(name in k.__dict__ for k in type(obj).__mro__ if k not in (list, dict, tuple, object)):
            return BoundMethod(v, name)
        if any(name in k.__dict__ for k in type(obj).__mro__ if k is not object):
            return self.class_attribute(v, type(obj), name)
        try:
            found = getattr(obj, name)  # __getattr__, C attributes
        except AttributeError as e:
            raise self.wrong(f"AttributeError: {e}") from None
        return self.lift(found, f"{v.path}.{name}", reach_attribute(get, name))


__all__ = ["BINARY", "Expr", "ShapeError", "building", "literal"]
