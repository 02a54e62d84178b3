"""Statements.

In: gast statements.  Out: changed boxes and ops at the current builder.  A statement list stops where a
flag (returned, broke, skipped) is set; where only run time tells, the rest stands in a branch of its own.

    if y < 0: return 0.0      the rest of the list goes into the other branch
    rest(y)
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import gast
import numpy as np

from adc.errors import CheckError, Diagnostic, UnsupportedError, fail
from adc.frontend.base import numpy_op
from adc.frontend.calls import Calls
from adc.frontend.grown import is_grown
from adc.frontend.scope import EMPTY, Names, always_jumps, has_jump
from adc.frontend.values import UNBOUND, ArrayRef, BoundMethod, Box, DictBox, Ext, ListBox, ObjBox
from adc.ir import Var, literal
from adc.ops.structure import check


class Stmts(Calls):
    base_builders = 1

    def block(self, stmts: list[Any]) -> None:
        """Stage a statement list from the state where no flag is set."""
        for k, s in enumerate(stmts):
            rest = stmts[k + 1 :]
            if isinstance(s, gast.If) and self.branching(s, rest):
                return
            self.statement(s)
            if not has_jump(s) and not isinstance(s, gast.Raise | gast.Assert | gast.If):
                continue
            flags = self.jump_flags()
            stop = self.either(*flags)
            if stop is True:
                return
            if stop is not False and rest:
                live = self.live_after(stmts[-1])
                with self.place(s):
                    self.unless(stop, flags, lambda rest=rest: self.block(rest), live)  # type: ignore[misc]
                return

    def statement(self, s: Any) -> None:
        method: Callable[[Any], None] | None = getattr(self, "stmt_" + type(s).__name__, None)
        if method is None:
            raise self.refuse(f"the statement {type(s).__name__.lower()}", node=s)
        with self.place(s):
            method(s)

    def live_after(self, s: Any) -> Names:
        """Names that may be read after a statement, also where a jump leaves a loop."""
        loops = self.frame.loops
        return self.frame.scope.after.get(id(s), EMPTY) | (loops[-1].live if loops else EMPTY)

    # ------------------------------------------------------------ if

    def branching(self, s: Any, rest: list[Any]) -> bool:
        """An `if` that decides at run time and of which one side always jumps; True if it was staged, with the rest."""
        ends, other = always_jumps(s.body), always_jumps(s.orelse)
        if not (ends or other):
            return False
        with self.place(s.test):
            t = self.truth(self.evaluate(s.test))
        if isinstance(t, bool):
            chosen = s.body if t else s.orelse
            self.block([*chosen, *rest])
            return True
        if len(s.body) == 1 and isinstance(s.body[0], gast.Raise):
            with self.place(s.body[0]):
                check(self.negate(t), code="assertion", message=self.raise_message(s.body[0]))
            self.block([*s.orelse, *rest])
            return True
        last = rest[-1] if rest else s
        live = self.live_after(last)
        with self.place(s):
            body = s.body if ends else [*s.body, *rest]
            orelse = s.orelse if other else [*s.orelse, *rest]
            self.branch(t, lambda: self.block(body), lambda: self.block(orelse), live)
        return True

    def stmt_If(self, s: Any) -> None:
        with self.place(s.test):
            t = self.truth(self.evaluate(s.test))
        if isinstance(t, bool):
            self.block(s.body if t else s.orelse)
            return
        live = self.live_after(s)
        self.branch(t, lambda: self.block(s.body), lambda: self.block(s.orelse), live)

    def stmt_Match(self, s: Any) -> None:
        subject = self.evaluate(s.subject)
        for case in s.cases:
            if not self.matches(case.pattern, subject):
                continue
            if case.guard is not None:
                t = self.truth(self.evaluate(case.guard))
                if not isinstance(t, bool):
                    raise self.need_static(t, "the guard of a case")
                if not t:
                    continue
            self.block(case.body)
            return

    def matches(self, p: Any, v: Any) -> bool:
        kind = type(p).__name__
        with self.place(p):
            if kind == "MatchValue":
                t = self.truth(self.compare("Eq", v, self.evaluate(p.value)))
                if not isinstance(t, bool):
                    raise self.need_static(t, "the subject of match")
                return t
            if kind == "MatchSingleton":
                return self.identical(v, p.value)
            if kind == "MatchOr":
                return any(self.matches(q, v) for q in p.patterns)
            if kind == "MatchAs":
                if p.pattern is not None and not self.matches(p.pattern, v):
                    return False
                if p.name is not None:
                    self.bind_name(p.name if isinstance(p.name, str) else p.name.id, v)
                return True
            if kind == "MatchSequence" and isinstance(v, tuple | ListBox | Ext):
                items = self.items(v)
                stars = [k for k, q in enumerate(p.patterns) if type(q).__name__ == "MatchStar"]
                if not stars:
                    return len(items) == len(p.patterns) and all(map(self.matches, p.patterns, items))
                k, tail = stars[0], len(p.patterns) - stars[0] - 1
                if len(items) < k + tail:
                    return False
                star = p.patterns[k].name
                if star is not None:
                    self.bind_name(star if isinstance(star, str) else star.id, ListBox(tuple(items[k : len(items) - tail])))
                ends = items[len(items) - tail :] if tail else []
                return all(map(self.matches, p.patterns[:k], items[:k])) and all(map(self.matches, p.patterns[k + 1 :], ends))
            if kind == "MatchSequence":
                return False
        raise self.refuse(f"the pattern {kind}", node=p)

    # ------------------------------------------------------------ loops and jumps

    def stmt_For(self, s: Any) -> None:
        self.for_statement(s)

    def stmt_While(self, s: Any) -> None:
        self.while_statement(s)

    def stmt_Break(self, s: Any) -> None:
        self.write(self.frame.loops[-1].broke, True)

    def stmt_Continue(self, s: Any) -> None:
        self.write(self.frame.loops[-1].continued, True)

    def stmt_Return(self, s: Any) -> None:
        v = None if s.value is None else self.evaluate(s.value)
        self.write(self.frame.result, v)
        self.write(self.frame.returned, True)

    # ------------------------------------------------------------ errors of the user's

    def raise_message(self, s: Any) -> str:
        if s.exc is None:
            raise self.refuse("raise without an exception", node=s)
        node = s.exc
        if isinstance(node, gast.Call):
            parts = [self.evaluate(a) for a in node.args]
            texts = [p if isinstance(p, str) else self.frame.source.text(a) for p, a in zip(parts, node.args, strict=True)]
            return ", ".join(texts) or self.frame.source.text(node.func)
        return self.frame.source.text(node)

    def stmt_Raise(self, s: Any) -> None:
        message = self.raise_message(s)
        if not self.at_run_time():
            raise CheckError(Diagnostic("assertion", self.pos(), {"what": message}))
        check(literal(False), code="assertion", message=message)
        self.write(self.frame.returned, True)

    def at_run_time(self) -> bool:
        """Does it depend on run time whether the current statement is reached?"""
        from adc.ir.build import _state

        return len(_state.builders) > self.base_builders

    def stmt_Assert(self, s: Any) -> None:
        t = self.truth(self.evaluate(s.test))
        if t is True:
            return
        message = self.evaluate(s.msg) if s.msg is not None else f"assertion failed: {self.frame.source.text(s.test)}"
        text = message if isinstance(message, str) else self.frame.source.text(s.msg)
        if t is False and not self.at_run_time():
            raise CheckError(Diagnostic("assertion", self.pos(), {"what": text}))
        check(literal(False) if isinstance(t, bool) else t, code="assertion", message=text)

    # ------------------------------------------------------------ simple statements

    def stmt_Expr(self, s: Any) -> None:
        if getattr(s, "context", False):
            self.errstate(s.value)
        elif not isinstance(s.value, gast.Constant):
            self.evaluate(s.value)

    def errstate(self, call: Any) -> None:
        """`with np.errstate(divide="ignore"):`; what would raise is refused."""
        if self.evaluate(call.func) is not np.errstate:
            raise self.refuse("a with statement", "enter the context around the call of the function", node=call)
        for k in call.keywords:
            with self.place(k.value):
                if self.static(self.evaluate(k.value)) not in ("ignore", "warn", None):
                    raise self.refuse("an errstate that raises or calls", "assert what must hold")

    def stmt_Pass(self, s: Any) -> None:
        pass

    def stmt_Nonlocal(self, s: Any) -> None:
        pass

    def stmt_FunctionDef(self, s: Any) -> None:
        v: Any = self.make_function(s, s.name)
        for d in reversed(s.decorator_list):
            v = self.call(self.evaluate(d), [v], {})
        self.bind_name(s.name, v)

    def stmt_Import(self, s: Any) -> None:
        for a in s.names:
            module = self.python(importlib.import_module, a.name)
            if a.asname:
                self.bind_name(a.asname, module)
            else:
                self.bind_name(a.name.split(".")[0], importlib.import_module(a.name.split(".")[0]))

    def stmt_ImportFrom(self, s: Any) -> None:
        if s.level:
            raise self.refuse("a relative import inside a function", "import at module level", node=s)
        module = self.python(importlib.import_module, s.module)
        for a in s.names:
            found = getattr(module, a.name, UNBOUND)
            if found is UNBOUND:
                found = self.python(importlib.import_module, f"{s.module}.{a.name}")
            get = functools.partial(getattr, module, a.name)
            self.bind_name(a.asname or a.name, self.lift(found, self.unique(f"{s.module}.{a.name}", module), get))

    def stmt_Delete(self, s: Any) -> None:
        for t in s.targets:
            box = self.frame.find(t.id)
            if box is None or box.content is UNBOUND:
                raise fail(UnsupportedError, "unbound", self.pos(t), name=t.id)
            self.write(box, UNBOUND)

    # ------------------------------------------------------------ assignment

    def stmt_Assign(self, s: Any) -> None:
        v = self.evaluate(s.value)
        for t in s.targets:
            self.assign(t, v)

    def stmt_AnnAssign(self, s: Any) -> None:
        if s.value is not None:
            self.assign(s.target, self.evaluate(s.value))

    def assign(self, target: Any, v: Any) -> None:
        match target:
            case gast.Name():
                self.bind_name(target.id, v)
            case gast.Tuple() | gast.List():
                self.unpack(target.elts, v)
            case gast.Starred():
                self.assign(target.value, ListBox(tuple(self.items(v))))
            case gast.Subscript():
                self.store_subscript(self.evaluate(target.value), self.evaluate(target.slice), v)
            case gast.Attribute():
                owner = self.evaluate(target.value)
                if isinstance(owner, ArrayRef):
                    raise self.refuse(f"assignment to the array attribute {target.attr}", "use a new array: x = x.reshape(...)")
                self.set_attribute(owner, target.attr, v)
            case _:
                raise self.refuse("this assignment target", node=target)

    def bind_name(self, name: str, v: Any) -> None:
        box = self.frame.find(name)
        if box is None:
            raise fail(UnsupportedError, "unbound", self.pos(), name=name)
        self.kept(v, f" in {name}")
        if isinstance(v, Var) and not v.hint:
            object.__setattr__(v, "hint", name)
        elif isinstance(v, ArrayRef) and not v.cell.name:
            v.cell.name = name
            if isinstance(v.cell.content, Var) and not v.cell.content.hint:
                object.__setattr__(v.cell.content, "hint", name)
        elif isinstance(v, Box) and not v.name:
            v.name = name
        self.write(box, v)

    def unpack(self, targets: list[Any], v: Any) -> None:
        if isinstance(v, ArrayRef) and not isinstance(v.type.dims[0], int):
            # the number of rows is a size: the targets say what it must be
            from adc.ops.core import agree

            stars = [k for k, t in enumerate(targets) if isinstance(t, gast.Starred)]
            if stars:
                self.unpack_around(targets, stars[0], v)
                return
            agree(v.type.dims[0], len(targets), f"not enough values to unpack (expected {len(targets)})")
            items = [self.index_array(v, k) for k in range(len(targets))]
        else:
            items = self.items(v)
        stars = [k for k, t in enumerate(targets) if isinstance(t, gast.Starred)]
        if stars:
            k, tail = stars[0], len(targets) - stars[0] - 1
            if len(items) < k + tail:
                raise self.wrong(f"ValueError: not enough values to unpack (expected at least {k + tail}, got {len(items)})")
            items = [*items[:k], ListBox(tuple(items[k : len(items) - tail])), *items[len(items) - tail :]]
            targets = [t.value if isinstance(t, gast.Starred) else t for t in targets]
        if len(items) != len(targets):
            raise self.wrong(f"ValueError: expected {len(targets)} values to unpack, got {len(items)}")
        for t, x in zip(targets, items, strict=True):
            self.assign(t, x)

    def unpack_around(self, targets: Any, k: int, v: ArrayRef) -> None:
        """`first, *rest, last = x` of a run-time number of items."""
        count, tail = v.type.dims[0], len(targets) - k - 1
        check(numpy_op(np.greater_equal)(self.size_atom(count), literal(k + tail)), code="assertion", message=f"ValueError: not enough values to unpack (expected at least {k + tail})")
        rest = self.grown_list(count - (k + tail), lambda i: self.index_array(v, self.number_op("add", i, k)), targets[k].value.id)
        items = [*(self.index_array(v, i) for i in range(k)), rest, *(self.index_array(v, i - tail) for i in range(tail))]
        for t, x in zip(targets, items, strict=True):
            self.assign(t.value if isinstance(t, gast.Starred) else t, x)

    def store_subscript(self, owner: Any, key: Any, v: Any) -> None:
        if not isinstance(owner, ArrayRef):
            self.kept(v)
        if isinstance(owner, ArrayRef):
            self.store(owner, self.index_value(key), v)
        elif is_grown(owner):
            raise self.no_list_change(owner, "assignment to an item")
        elif isinstance(owner, ListBox):
            items = list(owner.content)
            if isinstance(key, slice):
                items[self.static(key, "the bounds of a list's slice")] = self.items(v)
            else:
                k = self.static_int(key, "the index of a list")
                if not -len(items) <= k < len(items):
                    raise self.wrong("IndexError: list assignment index out of range")
                items[k] = v
            self.write(owner, tuple(items))
        elif isinstance(owner, DictBox):
            self.write_dict(owner, {**owner.content, self.static(key, "a key of a dict"): v})
        elif isinstance(owner, ObjBox):
            self.call(self.attribute(owner, "__setitem__"), [key, v], {})
        elif isinstance(owner, Ext):
            raise self.refuse("assignment to an element of an object from outside the function", "copy it first: list(xs), dict(d)")
        else:
            raise self.wrong("item assignment to a value that does not support it", "assign to elements of arrays, lists and dicts")

    def stmt_AugAssign(self, s: Any) -> None:
        op = type(s.op).__name__
        target = s.target
        if isinstance(target, gast.Name):
            with self.place(target):
                old = self.name_value(target.id)
            new = self.augmented(op, old, self.evaluate(s.value))
            if new is not old:
                self.bind_name(target.id, new)
        elif isinstance(target, gast.Subscript):
            owner, key = self.evaluate(target.value), self.evaluate(target.slice)
            with self.place(target):
                old = self.subscript(owner, key)
            new = self.augmented(op, old, self.evaluate(s.value), isinstance(owner, ArrayRef))
            if new is not old or not isinstance(old, ArrayRef):
                self.store_subscript(owner, key, new)
        else:
            owner = self.evaluate(target.value)
            with self.place(target):
                old = self.attribute(owner, target.attr)
            new = self.augmented(op, old, self.evaluate(s.value))
            if new is not old:
                self.set_attribute(owner, target.attr, new)

    def augmented(self, op: str, old: Any, v: Any, element: bool = False) -> Any:
        """The value of `old op= v`; `old` itself where it is changed in place."""
        if is_grown(old) and op == "Add":
            self.call(BoundMethod(old, "extend"), [v], {})
            return old
        if isinstance(old, ListBox) and op == "Add":
            self.write(old, (*old.content, *self.items(v)))
            return old
        if isinstance(old, ArrayRef) and op != "MatMult":
            if element and not self.is_view(old):
                return self.binary(op, old, v)  # a[idx] += v: read, add, store; no accumulation
            result = self.binary(op, old, v)
            self.store_all(old, result)
            return old
        if isinstance(old, ObjBox):
            name = {"Add": "__iadd__", "Sub": "__isub__", "Mult": "__imul__"}.get(op, "")
            if name and hasattr(old.cls, name):
                return self.call(self.attribute(old, name), [v], {})
        return self.binary(op, old, v)

    def is_view(self, ref: ArrayRef) -> bool:
        return bool(ref.steps)
