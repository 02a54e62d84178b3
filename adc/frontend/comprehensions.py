"""Comprehensions and generator expressions.

In: comprehension nodes.  Out: tuples, lists, sets and dicts whose items are known while compiling; over a run-time
number of items, a list that a loop appends to.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gast

from adc.frontend.loops import Loops
from adc.frontend.scope import EMPTY, LoopState, loaded
from adc.frontend.values import UNBOUND, BoundMethod, Broken, DictBox, ListBox, NameBox, Once
from adc.ir import Dim, Var
from adc.ops.structure import check

GENERATOR = "a generator expression"


class OnceList(ListBox):
    """What a generator expression, or `map`, over a run-time number of items gives."""

    __slots__ = ("once", "reads")

    def __init__(self, content: Any, name: str = "", once: str = GENERATOR, reads: frozenset[str] = frozenset()):
        super().__init__(content, name)
        self.once, self.reads = once, reads


# what makes several loops of one `for`, by its last name
_NESTS = {"product", "combinations", "combinations_with_replacement", "ndindex", "ndenumerate"}


def consumable(fn: Any, call: Any) -> bool:
    """Is it sum, any, all, max or min of one generator expression that is more than one loop?  (One loop makes an array, which fuses with the sum.)"""
    if not any(fn is f for f in (sum, any, all, max, min)) or not 1 <= len(call.args) <= (2 if fn is sum else 1) or any(k.arg != "default" for k in call.keywords):
        return False
    made = call.args[0]
    if not isinstance(made, gast.GeneratorExp) or any(isinstance(n, gast.NamedExpr) for n in gast.walk(made)):
        return False
    if (fn is any or fn is all) and stops_early(made):
        return True
    first = made.generators[0]
    nested = isinstance(first.iter, gast.Call) and getattr(first.iter.func, "attr", getattr(first.iter.func, "id", "")) in _NESTS
    return len(made.generators) > 1 or bool(first.ifs) or nested


def stops_early(made: Any) -> bool:
    """Would it show whether `any` and `all` ask for the items behind the one that decides?"""
    return any(isinstance(n, gast.Call | gast.Subscript) for part in (made.elt, *(t for g in made.generators for t in g.ifs)) for n in gast.walk(part))


class Comprehensions(Loops):
    def comprehension(self, node: Any, first: Any, emit: Callable[[], None]) -> None:
        """Run `emit` for every combination.  `first`: the first iterable, evaluated outside, where hidden names still mean the outer ones."""

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

        with self.within(node.generators):
            run(0, self.items(first))

    @contextlib.contextmanager
    def within(self, generators: Sequence[Any]) -> Iterator[None]:
        """The targets of `generators` are names of their own, also for functions that are made meanwhile."""
        outer = self.frame
        self.frame = outer.around({t.id: NameBox(UNBOUND, t.id) for g in generators for t in gast.walk(g.target) if isinstance(t, gast.Name)})
        try:
            yield
        finally:
            self.frame = outer

    def rolled_comprehension(self, node: Any, first: Any) -> ListBox | None:
        """[f(i) for i in range(n)] with a run-time n: a loop that appends; None where the items are static."""
        g = node.generators[0]
        if len(node.generators) > 1 or g.ifs or any(isinstance(n, gast.NamedExpr) for n in gast.walk(node)):
            return None
        seq = self.seq(first)
        if seq.static or isinstance(seq.count, int):
            return None

        def item(index: Var) -> Any:
            with self.within([g]):
                self.assign(g.target, seq.item(index))
                return self.evaluate(node.elt)

        return self.grown_list(seq.count, item, g.target.id if isinstance(g.target, gast.Name) else "i")

    def grown_list(self, count: Dim, item: Callable[[Var], Any], hint: str) -> ListBox:
        """A list that a loop appends to."""
        out = ListBox(())
        with self.within(()):  # what item() changes of this activation's names is read afterwards, for all that is known here
            self.run_for(count, lambda index: self.call(BoundMethod(out, "append"), [item(index)], {}), self.frame, EMPTY, EMPTY, lambda: (), hint)
        return out

    def consumed(self, fn: Any, node: Any, first: Any = None, *, default: Any = None) -> Any:
        """sum, any, all, max or min of a generator expression: the loops that it is written for, and a number that they carry."""
        total = NameBox(self.evaluate(first) if first is not None else fn is all if fn is any or fn is all else 0, fn.__name__)
        any_yet = NameBox(False, "any_yet")
        careful = (fn is any or fn is all) and stops_early(node)

        def now() -> Any:
            if isinstance(total.content, Broken):
                raise total.content.error
            return total.content

        def add() -> None:
            x = self.evaluate(node.elt)
            if fn is sum:
                self.write(total, self.call(operator.add, [now(), x], {}))
            elif fn is any or fn is all:
                self.write(total, (self.either if fn is any else self.conj)(now(), self.truth(x)))
            else:
                best = (lambda: self.write(total, self.call(fn, [now(), x], {}))), (lambda: self.write(total, x))
                if isinstance(any_yet.content, bool):
                    best[0 if any_yet.content else 1]()
                else:
                    self.branch(any_yet.content, *best)
                self.write(any_yet, True)

        def tested(k: int, tests: list[Any]) -> None:
            if not tests:
                run(k + 1)
                return
            holds = self.truth(self.evaluate(tests[0]))
            if isinstance(holds, bool):
                if holds:
                    tested(k, tests[1:])
            else:
                self.branch(holds, lambda: tested(k, tests[1:]), lambda: None)

        def run(k: int) -> None:
            if k == len(node.generators):
                add()
                return
            g = node.generators[k]

            def take(item: Any) -> None:
                with self.within([g]):
                    self.assign(g.target, item)
                    tested(k, g.ifs)

            def inner(item: Any) -> None:
                decided = careful and (now() if fn is any else self.negate(now()))
                if isinstance(decided, bool):
                    if not decided:
                        take(item)
                else:
                    self.branch(decided, lambda: None, lambda: take(item))

            nest = self.nest(self.evaluate(g.iter))
            with self.place(node), self.within(()):
                self.level(gast.For(g.target, g.iter, [], [], None), nest, (), LoopState(), (EMPTY, EMPTY), inner)

        run(0)
        if fn is max or fn is min:
            if default is not None and any_yet.content is not True:
                otherwise = self.evaluate(default)
                if any_yet.content is False:
                    return otherwise
                self.branch(any_yet.content, lambda: None, lambda: self.write(total, otherwise))
                return now()
            if any_yet.content is False:
                raise self.wrong(f"ValueError: {fn.__name__}() of a generator expression without items")
            if any_yet.content is not True:
                check(any_yet.content, code="assertion", message=f"ValueError: {fn.__name__}() of a generator expression without items")
        return now()

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
