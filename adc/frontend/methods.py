"""Methods of values: of arrays and numbers, lists, dicts, named tuples, strings.

In: a method bound to its value, and argument values.  Out: the result value; what changes a list or dict writes its box.

    params.items() -> a list of pairs      xs.append(v)      x.sum() -> array_method
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adc.frontend.builtin_calls import Builtins
from adc.frontend.grown import is_grown
from adc.frontend.values import ArrayRef, BoundMethod, DictBox, Ext, Grown, ListBox, View
from adc.ir import Lit, Var


class Methods(Builtins):
    def call_method(self, m: BoundMethod, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if m.fn is not None:
            return self.call(m.fn, [m.receiver, *args], kwargs)
        v, name = m.receiver, m.name
        if isinstance(v, ArrayRef | Var | Lit | np.generic) or isinstance(v, bool | int | float):
            return self.array_method(v, name, args, kwargs)
        if isinstance(v, ListBox):
            return self.list_method(v, name, args, kwargs)
        if isinstance(v, DictBox) or (isinstance(v, Ext) and isinstance(v.obj, dict)):
            return self.dict_method(v, name, args)
        if isinstance(v, tuple) and hasattr(v, "_fields") and name in ("_replace", "_asdict"):
            made = getattr(v, name)(**kwargs)
            return made if name == "_replace" else DictBox(dict(made))
        if isinstance(v, tuple) or (isinstance(v, Ext) and isinstance(v.obj, list | tuple)):
            if name in ("index", "count"):
                return self.python(getattr(self.static(v), name), *(self.static(a) for a in args))
            if name == "copy":
                return ListBox(tuple(self.items(v)))
            raise self.refuse(f"{name} on a list from outside the function", "copy it first: list(xs)")
        return self.python(getattr(v, name), *(self.static(a) for a in args), **{k: self.static(x) for k, x in kwargs.items()})

    def list_method(self, v: ListBox, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if isinstance(v.content, Grown):
            return self.grown_method(v, v.content, name, args)
        items = list(v.content)
        match name:
            case "append":
                items.append(self.kept(args[0]))
            case "extend":
                items.extend(self.items(args[0]))
            case "insert":
                items.insert(self.static_int(args[0], "the index of a list"), self.kept(args[1]))
            case "pop":
                k = self.static_int(args[0], "the index of a list") if args else -1
                out = self.python(items.pop, k)
                self.write(v, tuple(items))
                return out
            case "clear":
                items = []
            case "reverse":
                items.reverse()
            case "copy":
                return ListBox(v.content)
            case "sort":
                items = list(self.builtin_sorted(v, **kwargs).content)
            case "index" | "count" | "remove":
                known = self.static(v, "the items of the list")
                out = self.python(getattr(known, name), *(self.static(a) for a in args))
                if name != "remove":
                    return out
                items = known
            case _:
                raise self.refuse(f"the list method {name}")
        self.write(v, tuple(items))
        return None

    def grown_method(self, v: ListBox, g: Grown, name: str, args: list[Any]) -> Any:
        match name:
            case "append":
                self.grown_append(v, self.kept(args[0]))
            case "extend" if not is_grown(args[0]):
                for x in self.items(args[0]):
                    self.grown_append(v, x)
            case "copy":
                return ListBox(Grown(self.seq(v).count, None, g.item, self.rows(g)), v.name)
            case "clear":
                self.write(v, ())
            case _:
                raise self.refuse(f"the method {name} of {v.name or 'a list'}, which grew in a loop", "make an array of it first: np.array(...)")
        return None

    def dict_method(self, v: Any, name: str, args: list[Any]) -> Any:
        content = self.mapping(v)
        key = self.static(args[0], "a key of a dict") if args and name in ("get", "pop", "setdefault") else None
        match name:
            case "items" | "keys" | "values":
                return View.of(v, name) if isinstance(v, DictBox) else tuple(getattr(content, name)())
            case "get":
                return content.get(key, args[1] if len(args) > 1 else None)
            case "copy":
                return DictBox(content)
        if isinstance(v, Ext):
            raise self.refuse(f"{name} on a dict from outside the function", "copy it first: dict(d)")
        match name:
            case "pop":
                if key not in content and len(args) < 2:
                    raise self.wrong(f"KeyError: {key!r}")
                out = content.pop(key, args[1] if len(args) > 1 else None)
            case "setdefault":
                out = content.setdefault(key, args[1] if len(args) > 1 else None)
            case "update":
                content, out = {**content, **self.mapping(args[0])}, None
            case "clear":
                content, out = {}, None
            case _:
                raise self.refuse(f"the dict method {name}")
        self.write_dict(v, content)
        return out

    def write_dict(self, v: DictBox, content: dict[Any, Any]) -> None:
        if v.viewed:
            raise self.wrong(f"{v.name or 'a dict'} is changed while a view of it is kept", "keep a list instead of the view: list(d), list(d.values())")
        self.write(v, content)


__all__ = ["Methods"]
