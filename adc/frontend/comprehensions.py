"""Comprehensions and generator expressions.

In: comprehension nodes.  Out: tuples, lists, sets and dicts whose items are known while compiling; over a run-time
number of items, a list that a loop appends to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gast

from adc.frontend.loops import Loops
from adc.frontend.scope import EMPTY, loaded
from adc.frontend.values import UNBOUND, BoundMethod, DictBox, ListBox, NameBox, Once
from adc.ir import Var

GENERATOR = "a generator expression"


class OnceList(ListBox):
    """What a generator expression over a run-time number of items gives."""

    __slots__ = ()
    once = GENERATOR
    reads: frozenset[str] = frozenset()


class Comprehensions(Loops):
    def comprehension(self, node: Any, first: Any, emit: Callable[[], None]) -> None:
        """Run `emit` for every combination; the targets are names of their own.

        `first`: the first iterable, evaluated outside, where hidden names still mean the outer ones.
        """
        targets = [t for g in node.generators for t in gast.walk(g.target) if isinstance(t, gast.Name)]
        hidden = {t.id: self.frame.boxes.get(t.id) for t in targets}

        def run(k: int, items: list[Any]) -> None:
            g = node.generators[k]
            for item in items:
                self.assign(g.target, item)
                tests = [self.truth(self.evaluate(t)) for t in g.ifs]
                if any(not isinstance(t, bool) for t in tests):
                    raise self.need_static(next(t for t in tests if not isinstance(t, bool)), "the condition of a comprehension")
                if not all(tests):
                    continue
                if k + 1 == len(node.generators):
                    emit()
                else:
                    run(k + 1, self.items(self.evaluate(node.generators[k + 1].iter)))

        own = {name: NameBox(UNBOUND, name) for name in hidden}
        self.frame.boxes |= own
        self.frame.comprehended.append(own)
        try:
            run(0, self.items(first))
        finally:
            self.frame.comprehended.pop()
            for name, box in hidden.items():
                if box is None:
                    del self.frame.boxes[name]
                else:
                    self.frame.boxes[name] = box

    def rolled_comprehension(self, node: Any, first: Any) -> ListBox | None:
        """[f(i) for i in range(n)] with a run-time n: a loop that appends; None where the items are static."""
        g = node.generators[0]
        if len(node.generators) > 1 or g.ifs or any(isinstance(n, gast.NamedExpr) for n in gast.walk(node)):
            return None
        seq = self.seq(first)
        if seq.static or isinstance(seq.count, int):
            return None
        out = ListBox(())
        hidden = {t.id: self.frame.boxes.get(t.id) for t in gast.walk(g.target) if isinstance(t, gast.Name)}

        def bind(index: Var) -> None:
            for name in hidden:
                self.frame.boxes[name] = NameBox(UNBOUND, name)
            self.assign(g.target, seq.item(index))

        def body() -> None:
            self.call(BoundMethod(out, "append"), [self.evaluate(node.elt)], {})

        try:
            hint = g.target.id if isinstance(g.target, gast.Name) else "i"
            self.run_for(seq.count, bind, body, self.frame, EMPTY, EMPTY, lambda: (), hint)
        finally:
            for name, box in hidden.items():
                if box is None:
                    self.frame.boxes.pop(name, None)
                else:
                    self.frame.boxes[name] = box
        return out

    def listed(self, node: Any) -> Any:
        """The items of a list comprehension: a tuple, or a list that a loop makes."""
        first = self.evaluate(node.generators[0].iter)
        if (rolled := self.rolled_comprehension(node, first)) is not None:
            return rolled
        out: list[Any] = []
        self.comprehension(node, first, lambda: out.append(self.evaluate(node.elt)))
        return tuple(out)

    def eval_ListComp(self, node: Any) -> Any:
        items = self.listed(node)
        return ListBox(items) if isinstance(items, tuple) else items

    def eval_GeneratorExp(self, node: Any) -> Any:
        items = self.listed(node)
        own = {t.id for g in node.generators for t in gast.walk(g.target) if isinstance(t, gast.Name)}
        if any(isinstance(n, gast.Lambda) and loaded(n) & own for n in gast.walk(node.elt)):
            raise self.wrong("a function that is made in a generator expression depends on how far that has been consumed", "make a list of functions: [... for ...]", node)
        return Once.of(items, GENERATOR) if isinstance(items, tuple) else OnceList(items.content, items.name)

    def eval_SetComp(self, node: Any) -> Any:
        out: list[Any] = []
        self.comprehension(node, self.evaluate(node.generators[0].iter), lambda: out.append(self.static(self.evaluate(node.elt), "an element of a set")))
        return set(out)

    def eval_DictComp(self, node: Any) -> Any:
        out: dict[Any, Any] = {}

        def emit() -> None:
            out[self.static(self.evaluate(node.key), "a key of a dict")] = self.evaluate(node.value)

        self.comprehension(node, self.evaluate(node.generators[0].iter), emit)
        return DictBox(out)
