"""Parts of a value by index and by name: subscripts, attributes, methods and properties of the user's classes.

In: a value (see `values`) and a key or a name.  Out: the part as a value; what is read from an object outside becomes a capture.

    x[i, 1:]  index_array        params["w"]  the item        self.rate  a captured float        x.sum  a BoundMethod
"""

from __future__ import annotations

import operator
import types
from typing import Any

import numpy as np

from adc.frontend.comprehensions import Comprehensions
from adc.frontend.grown import is_grown
from adc.frontend.values import (
    UNBOUND,
    ArrayRef,
    BoundMethod,
    DictBox,
    Ext,
    FunctionValue,
    ListBox,
    NeedsStatic,
    ObjBox,
    Seq,
    UfuncMethod,
)
from adc.ir import Lit, Size, Var
from adc.ir.reach import found_function, reach_attribute, reach_found, reach_of_object
from adc.ops.registry import METHODS

CONSTANTS = ("numpy", "math", "scipy.constants")
"""Modules whose floats never change."""


class Members(Comprehensions):
    # ------------------------------------------------------------ subscripts

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
                found = self.looked_up(items, key, e)
                if found is not None:
                    return found
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

    def looked_up(self, items: Any, key: Any, e: NeedsStatic) -> Any:
        """An item of a list of numbers of one kind, by an index that only a run knows: a table; None for other lists.

        Python's numbers stay what they are (`weak`), so they are not mixed with float32.  An int argument as the index is part of the program as ever.
        """
        pinned = any(r in self.leaves and r.type.dtype.kind in "ib" and not r.type.dims for r in e.roots)
        if pinned or not (isinstance(key, Var) and key.type.dtype.kind == "i" and not key.type.dims and items):
            return None
        kinds: set[tuple[type | None, bool]] = set()
        for v in items:
            t = v.type if isinstance(v, Var | Lit) else None
            if t is None and isinstance(v, bool | int | float):
                kinds.add((type(v), True))
            elif t is not None and not t.dims:
                kinds.add(({"f8": float, "i8": int, "b1": bool}.get(t.dtype.str[1:]), t.weak))
            else:
                return None
        types_, weak = {k for k, _ in kinds}, {w for _, w in kinds}
        if None in types_ or (bool in types_ and len(types_) > 1) or (len(types_) > 1 and weak != {True}):
            return None
        found = self.subscript(self.call(np.array, [tuple(items)], {}), key)
        return self.call(float if float in types_ else types_.pop(), [found], {}) if weak == {True} else found

    # ------------------------------------------------------------ attributes

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
            made = found_function(obj, name)
            if isinstance(made, types.FunctionType):
                self.depend(f"{v.path}.{name}()", made, reach_found(get, name))
                return self.class_attribute(v, type(obj), name)
            if callable(made) and not isinstance(made, type):
                return self.class_attribute(v, type(obj), name)
            return self.lift(getattr(obj, name), f"{v.path}.{name}", reach_attribute(get, name))
        try:
            found = getattr(obj, name)  # __getattr__, C attributes
        except AttributeError as e:
            raise self.wrong(f"AttributeError: {e}") from None
        return self.lift(found, f"{v.path}.{name}", reach_attribute(get, name))


__all__ = ["Members"]
