"""Names: which are local, which are live after a statement, which statements jump.

In: a gast function.  Out: `Scope` (locals, nonlocals, liveness), `Frame` (the boxes of one activation).
Liveness decides what a branch or loop hands on: a name that nobody reads later is not carried.

>>> scope = Scope(node); scope.after[id(loop)]      # doctest: +SKIP
{'total'}
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator
from typing import Any

import gast

from adc.frontend.source import Source
from adc.frontend.values import UNBOUND, NameBox

FUNCTIONS = (gast.FunctionDef, gast.Lambda)
COMPREHENSIONS = (gast.ListComp, gast.SetComp, gast.DictComp, gast.GeneratorExp)
Names = frozenset[str]
EMPTY: Names = frozenset()


def parameters(args: Any) -> Iterator[Any]:
    """Every parameter node, in order."""
    yield from args.posonlyargs
    yield from args.args
    if args.vararg:
        yield args.vararg
    yield from args.kwonlyargs
    if args.kwarg:
        yield args.kwarg


def walk_own(node: Any) -> Iterator[Any]:
    """The nodes of a function's own body, not those of functions inside (but of their defaults)."""
    stack = [node]
    if isinstance(node, FUNCTIONS):
        yield node
        stack = [d for d in [*node.args.defaults, *node.args.kw_defaults] if d is not None]
    while stack:
        n = stack.pop()
        yield n
        for child in gast.iter_child_nodes(n):
            if isinstance(child, FUNCTIONS):
                yield child
                stack.extend(d for d in [*child.args.defaults, *child.args.kw_defaults] if d is not None)
                stack.extend(getattr(child, "decorator_list", []))
            else:
                stack.append(child)


def stored(node: Any) -> Names:
    """Names that the statement binds, in its own function."""
    found: set[str] = set()
    nodes = list(walk_own(node))
    inner: set[int] = set()
    for n in nodes:
        if isinstance(n, COMPREHENSIONS):
            for g in n.generators:  # a comprehension's own names live in its own scope
                inner.update(id(t) for t in gast.walk(g.target))
        if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Store | gast.Del) and id(n) not in inner:
            found.add(n.id)
        elif isinstance(n, gast.FunctionDef):
            found.add(n.name)
        elif isinstance(n, gast.Import | gast.ImportFrom):
            found.update((a.asname or a.name).split(".")[0] for a in n.names)
        elif type(n).__name__ in ("MatchAs", "MatchStar") and n.name:
            found.add(n.name if isinstance(n.name, str) else n.name.id)
    # walk_own meets a comprehension before or after its targets: remove those found too early
    for n in nodes:
        if isinstance(n, COMPREHENSIONS):
            own = {t.id for g in n.generators for t in gast.walk(g.target) if isinstance(t, gast.Name)}
            outside = {
                m.id
                for m in nodes
                if isinstance(m, gast.Name) and isinstance(m.ctx, gast.Store) and id(m) not in inner
            }
            found -= own - outside
    return frozenset(found)


def changed(stmts: list[Any]) -> Names:
    """Names that statements bind, or whose objects they may change in place."""
    found: set[str] = set()
    for s in stmts:
        found |= stored(s)
        for n in gast.walk(s):
            if isinstance(n, gast.Subscript | gast.Attribute) and isinstance(n.ctx, gast.Store | gast.Del):
                found |= loaded(n.value)
            elif isinstance(n, gast.AugAssign):
                found |= loaded(n.target)
            elif isinstance(n, gast.Expr):
                found |= loaded(n.value)  # a call for what it does
    return frozenset(found)


def loaded(node: Any) -> Names:
    """Names that the statement may read, functions inside included."""
    found = {n.id for n in gast.walk(node) if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Load)}
    for n in gast.walk(node):
        if isinstance(n, gast.AugAssign) and isinstance(n.target, gast.Name):
            found.add(n.target.id)
        if isinstance(n, gast.Nonlocal):
            found.update(n.names)
    return frozenset(found)


class Scope:
    """What is known of one function's names before it is staged."""

    def __init__(self, node: Any):
        self.node = node
        body = node.body if isinstance(node.body, list) else []
        self.nonlocals = {n for s in body for m in walk_own(s) if isinstance(m, gast.Nonlocal) for n in m.names}
        self.params = [p.id for p in parameters(node.args)]
        walrus = () if body else (n.target.id for n in gast.walk(node.body) if isinstance(n, gast.NamedExpr))
        self.locals = (set(self.params) | {n for s in body for n in stored(s)} | set(walrus)) - self.nonlocals
        # names that functions inside read: live everywhere
        self.escaping: Names = frozenset().union(
            *(loaded(n) | stored_deep(n) for s in body for n in walk_own(s) if isinstance(n, FUNCTIONS)), EMPTY
        )
        self.after: dict[int, Names] = {}
        self.head: dict[int, Names] = {}
        self._loops: list[tuple[Names, Names]] = []
        self._block(body, self.escaping)

    # backward, over the structure; loops to a fixed point
    def _block(self, stmts: list[Any], out: Names) -> Names:
        for s in reversed(stmts):
            self.after[id(s)] = self.after.get(id(s), EMPTY) | out
            out = self._stmt(s, out) | self.escaping
        return out

    def _stmt(self, s: Any, out: Names) -> Names:
        match s:
            case gast.If():
                return loaded(s.test) | (self._block(s.body, out) | self._block(s.orelse, out)) - walrus_names(s.test)
            case gast.For():
                targets = stored(s.target)
                end = self._block(s.orelse, out)
                head = end
                for _ in range(8):
                    self._loops.append((out, head))
                    new = end | (self._block(s.body, head) - targets) | loaded(s.target)
                    self._loops.pop()
                    if new == head:
                        break
                    head = new
                self.head[id(s)] = head
                return head | loaded(s.iter)
            case gast.While():
                end = self._block(s.orelse, out)
                head = end | loaded(s.test)
                for _ in range(8):
                    self._loops.append((out, head))
                    new = end | loaded(s.test) | self._block(s.body, head)
                    self._loops.pop()
                    if new == head:
                        break
                    head = new
                self.head[id(s)] = head
                return head
            case gast.Return():
                return loaded(s) if s.value is not None else EMPTY
            case gast.Raise():
                return loaded(s)
            case gast.Break():
                return self._loops[-1][0] if self._loops else out
            case gast.Continue():
                return self._loops[-1][1] if self._loops else out
            case gast.Match():
                inner = frozenset().union(*(self._block(c.body, out) | loaded(c) for c in s.cases), EMPTY)
                return loaded(s.subject) | inner | out
            case _:
                if isinstance(s, gast.AugAssign) and isinstance(s.target, gast.Name):
                    return out | loaded(s)
                conditional = any(isinstance(n, gast.IfExp | gast.BoolOp) for n in gast.walk(s))
                return (out if conditional else out - stored(s)) | loaded(s)


def stored_deep(node: Any) -> Names:
    """Names declared nonlocal inside a nested function: it writes them."""
    return frozenset(n for m in gast.walk(node) if isinstance(m, gast.Nonlocal) for n in m.names)


def walrus_names(node: Any) -> Names:
    return frozenset(n.target.id for n in gast.walk(node) if isinstance(n, gast.NamedExpr))


def always_jumps(stmts: list[Any]) -> bool:
    """Does the end of this list never fall through?"""
    if not stmts:
        return False
    last = stmts[-1]
    if isinstance(last, gast.Return | gast.Raise | gast.Break | gast.Continue):
        return True
    return isinstance(last, gast.If) and always_jumps(last.body) and always_jumps(last.orelse)


def has_jump(node: Any, loop_depth: int = 0) -> bool:
    """May this statement leave its list (return, or break/continue of a loop around it)?"""
    if isinstance(node, gast.Return):
        return True
    if isinstance(node, gast.Break | gast.Continue):
        return loop_depth == 0
    if isinstance(node, FUNCTIONS):
        return False
    deeper = loop_depth + isinstance(node, gast.For | gast.While)
    return any(has_jump(c, deeper) for c in gast.iter_child_nodes(node) if isinstance(c, gast.stmt | gast.match_case))


_scopes: weakref.WeakKeyDictionary[Any, Scope] = weakref.WeakKeyDictionary()


def scope_of(node: Any) -> Scope:
    """The scope of a function node, computed once."""
    found = _scopes.get(node)
    if found is None:
        found = _scopes[node] = Scope(node)
    return found


class LoopState:
    """The flags of one loop (or one iteration) being staged."""

    def __init__(self, live: Names = EMPTY) -> None:
        self.live = live  # at the loop's head or after it
        self.broke = NameBox(False, "broke")
        self.continued = NameBox(False, "skipped")


class Frame:
    """One activation of a function."""

    def __init__(self, source: Source, node: Any, outer: Frame | None, pyfunc: Any, name: str):
        self.source = source
        self.node = node
        self.scope = scope_of(node)
        self.outer = outer
        self.pyfunc = pyfunc
        self.name = name
        self.boxes = {n: NameBox(UNBOUND, n) for n in sorted(self.scope.locals)}
        self.returned = NameBox(False, "returned")
        self.result = NameBox(UNBOUND, "result", filled=True)
        self.loops: list[LoopState] = []
        self.self_class: Any = None

    def around(self, boxes: dict[str, NameBox]) -> Frame:
        """This activation, with names of a comprehension in it."""
        inner = copy.copy(self)
        inner.boxes, inner.outer = boxes, self
        return inner

    def find(self, name: str) -> NameBox | None:
        """The box of a local name, of this activation or one around it."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.boxes:
                return frame.boxes[name]
            frame = frame.outer
        return None
