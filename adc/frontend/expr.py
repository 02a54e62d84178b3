"""Expressions: the dispatch on their kinds; names, constants, functions, containers and strings.

In: a gast expression.  Out: a value (see `values`); ops are emitted with the place of the expression.
Static parts are computed by Python itself.  Operators are in `operators`, subscripts and attributes in `members`.

    rate        a local, or a captured global        [a, *rest]        a ListBox        f"{n} rows"        a string
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gast

from adc.errors import UnsupportedError, fail
from adc.frontend.operators import Operators
from adc.frontend.scope import Frame
from adc.frontend.values import UNBOUND, ArrayRef, Box, Broken, DictBox, Ext, FunctionValue, ListBox, Maybe, NameBox
from adc.ir import Size, Var
from adc.ir.reach import reach_cell, reach_global
from adc.ops.structure import check


class Expr(Operators):
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

    def kept_elements(self, nodes: list[Any]) -> tuple[Any, ...]:
        """Those of a list or tuple that is written out."""
        return tuple(self.kept(x) for x in self.elements(nodes))

    def eval_Tuple(self, node: Any) -> Any:
        return self.kept_elements(node.elts)

    def eval_List(self, node: Any) -> Any:
        return ListBox(self.kept_elements(node.elts))

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


__all__ = ["Expr"]
