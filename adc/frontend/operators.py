"""Operators: arithmetic, comparison, `and`, `or`, `not`, `is`, `in` and `a if c else b`.

In: the expressions of the operands, or their values.  Out: a value; Python itself computes what is static.
`and`, `or` and `a if c else b` never run what Python would not.

    x * len(x) + 1.0        mul, size, add          (n + 1) // 2 on sizes: static
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import gast
import numpy as np

from adc.frontend.base import certain, numpy_op
from adc.frontend.control import is_pure
from adc.frontend.grown import is_grown
from adc.frontend.members import Members
from adc.frontend.state import number_type
from adc.frontend.values import ArrayRef, BoundMethod, DictBox, Ext, ListBox, ObjBox, Seq
from adc.ir import OPERATORS, Atom, Lit, Size, Var, building, current

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


class Operators(Members):
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


__all__ = ["BINARY", "COMPARE", "Operators"]
