"""`for` and `while`: whether a loop stays a loop, break, else.

In: loop nodes.  Out: a `For` where the count is known at its start, a `While` where the body may leave early,
straight code where the items are static (lists, tuples, dicts) or the body needs the index while compiling.

    for i in range(n - 1, -1, -1):      index k from 0, i = (n - 1) - k
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gast
import numpy as np

from adc.errors import UnsupportedError, fail
from adc.frontend.base import numpy_op
from adc.frontend.control import NeedsWhile, is_pure
from adc.frontend.grown import NeedsUnroll, appended
from adc.frontend.iteration import Iteration
from adc.frontend.scope import EMPTY, LoopState, Names, changed, loaded, walrus_names
from adc.frontend.values import Box, NameBox, NeedsStatic, Nest, Seq
from adc.ir import OPERATORS, Atom, Dim, Var, building, literal, symbols
from adc.ops import ranges

UNROLL = 4
MAX_UNROLL = 100_000


class Loops(Iteration):
    def for_statement(self, node: Any) -> None:
        with self.place(node.iter):
            nest = self.nest(self.evaluate(node.iter))
            if nest.reads is not None and (both := sorted((nest.reads | loaded(node.iter)) & changed(node.body))):
                raise self.wrong(f"the loop changes {both[0]}, which {nest.once} reads for its next items", "iterate over a list: list(...), or [... for ...]")
        frame = self.frame
        head = frame.scope.head.get(id(node), EMPTY)
        after = frame.scope.after.get(id(node), EMPTY)
        loop = LoopState(head | after)
        frame.loops.append(loop)

        def inner(item: Any) -> None:
            loop.continued = NameBox(False, "skipped")
            self.assign(node.target, item)
            self.block(node.body)

        try:
            with self.place(node):
                self.level(node, nest, (), loop, (head, after), inner)
        finally:
            frame.loops.pop()
        self.loop_else(node, loop, after)

    def level(self, node: Any, nest: Nest, items: tuple[Any, ...], loop: LoopState, names: tuple[Names, Names], inner: Callable[[Any], None]) -> None:
        """The loops of a nest below those that `items` are of; `inner` when there are no more.  `names`: those that live at the head and after."""
        if len(items) == len(nest.levels):
            inner(nest.item(items))
            return
        seq = nest.levels[len(items)](items)

        def turn(item: Any) -> None:
            self.level(node, nest, (*items, item), loop, names, inner)

        if seq.static or self.small(seq, node):
            self.unrolled(node, seq, loop, turn)
        else:
            self.rolled(node, seq, loop, *names, turn)

    def small(self, seq: Seq, node: Any) -> bool:
        if not isinstance(seq.count, int) or seq.count > UNROLL:
            return False
        if seq.count == 0:
            return True
        inner = any(isinstance(n, gast.Break | gast.Continue | gast.Return | gast.While) for s in node.body for n in gast.walk(s))
        return seq.count == 1 or (not inner and sum(1 for s in node.body for n in gast.walk(s) if isinstance(n, gast.stmt)) <= 6)

    def rolled(self, node: Any, seq: Seq, loop: LoopState, head: Any, after: Any, turn: Callable[[Any], None]) -> None:
        hint = node.target.id if isinstance(node.target, gast.Name) else "i"
        indices: list[Var] = []
        shared = dict(self.shared)

        def body(index: Var) -> None:
            indices.append(index)
            turn(seq.item(index))

        try:
            try:
                flags = lambda: (loop.broke, self.frame.returned)
                self.run_for(seq.count, body, self.frame, head, after, flags, hint, appended(node.body))
            except NeedsWhile:
                self.leaving_for(node, seq, loop, head, after, indices, turn)
        except UnsupportedError as e:
            if not isinstance(seq.count, int) and any(d.code == "structure" or d.facts.get("dims") for d in e.diagnostics):
                e.pinned = self.trip_roots(seq.count)
            if not isinstance(e, NeedsUnroll) or not isinstance(seq.count, int) or seq.count > MAX_UNROLL:
                raise
            self.shared = shared
            self.unrolled(node, seq, loop, turn)
        except NeedsStatic as e:
            mine = e.roots & (set(indices) | self.pass_params)
            if not mine or not isinstance(seq.count, int) or seq.count > MAX_UNROLL:
                raise
            self.shared = shared
            self.unrolled(node, seq, loop, turn)

    def trip_roots(self, count: Dim) -> frozenset[Var]:
        """Arguments that say how many iterations there are: known when compiling, the loop is straight code."""
        bound = [var for (var, _), s in self.bound.items() if s in symbols(count)]
        return frozenset(r for var in bound for r in self.roots(var)) & frozenset(self.leaves)

    def leaving_for(self, node: Any, seq: Seq, loop: LoopState, head: Any, after: Any, indices: list[Var], turn: Callable[[Any], None]) -> None:
        """A `for` that may break: a `While` that carries the index."""
        count = seq.count
        k = NameBox(0, node.target.id if isinstance(node.target, gast.Name) else "k")
        frame = self.frame

        def cond() -> Any:
            more = numpy_op(np.less)(self.atom(k.content), self.size_atom(count))
            return self.conj(self.negate(self.either(loop.broke, frame.returned)), more)

        def body() -> None:
            index = self.atom(k.content)
            if isinstance(index, Var):
                indices.append(index)
                ranges.know(index, 0, count - 1)
            turn(seq.item(index))
            self.write(k, OPERATORS["add"](self.atom(index), literal(1)))

        self.run_while(cond, body, frame, head, after)

    def unrolled(self, node: Any, seq: Seq, loop: LoopState, turn: Callable[[Any], None]) -> None:
        if not isinstance(seq.count, int):
            raise self.need_static(self.size_atom(seq.count), "the number of iterations")
        after = self.frame.scope.after.get(id(node), EMPTY) | self.frame.scope.head.get(id(node), EMPTY)

        def run(k: int) -> None:
            while k < seq.count:  # type: ignore[operator]
                turn(seq.item(k))
                k += 1
                stop = self.either(loop.broke, self.frame.returned)
                if stop is True:
                    return
                if stop is not False and k < seq.count:  # type: ignore[operator]
                    self.unless(stop, (loop.broke, self.frame.returned), lambda: run(k), after)
                    return
            if seq.static and seq.count:
                seq.item(seq.count - 1)  # Python would look for another item now: is the list as long as it was?

        run(0)

    def unless(self, stop: Atom, flags: tuple[Box, ...], rest: Callable[[], None], live: Any) -> None:
        """Run `rest` where no flag is set."""

        open_flags = [f for f in flags if not isinstance(f.content, bool)]

        def go() -> None:
            for f in flags:
                self.write(f, False)
            rest()

        def stay() -> None:
            if len(open_flags) == 1:  # then this is the one that is set
                self.write(open_flags[0], True)

        self.branch(self.negate(stop), go, stay, live)  # type: ignore[arg-type]

    def loop_else(self, node: Any, loop: LoopState, after: Any) -> None:
        if not node.orelse:
            return
        stop = self.either(loop.broke, self.frame.returned)
        if stop is False:
            self.block(node.orelse)
        elif stop is not True:
            with self.place(node):
                self.unless(stop, (self.frame.returned,), lambda: self.block(node.orelse), after)

    # ------------------------------------------------------------ while

    def while_statement(self, node: Any) -> None:
        frame = self.frame
        head = frame.scope.head.get(id(node), EMPTY)
        after = frame.scope.after.get(id(node), EMPTY)
        loop = LoopState(head | after)
        frame.loops.append(loop)
        try:
            with self.place(node):
                first = self.first_test(node)
                if first is not False:
                    try:
                        self.rolled_while(node, loop, head, after)
                    except NeedsUnroll as e:
                        if first is not True:
                            raise
                        try:
                            self.unrolled_while(node, loop)
                        except NeedsStatic:
                            raise e from None
                    except NeedsStatic as e:
                        if first is not True or not (e.roots & self.pass_params):
                            raise
                        self.unrolled_while(node, loop)
        finally:
            frame.loops.pop()
        self.loop_else(node, loop, after)

    def first_test(self, node: Any) -> bool | None:
        """The condition before the first trip, if it is static."""
        with building(), self.journal.trial():
            t = self.truth(self.evaluate(node.test))
        return t if isinstance(t, bool) else None

    def rolled_while(self, node: Any, loop: LoopState, head: Any, after: Any) -> None:
        frame = self.frame

        def stop() -> bool | Atom:
            return self.either(loop.broke, frame.returned)

        def test() -> Any:
            return self.truth(self.evaluate(node.test))

        def body() -> None:
            loop.continued = NameBox(False, "skipped")
            self.block(node.body)

        with building() as probe, self.journal.trial() as changes:
            test()
        simple = is_pure(probe.stmts) and not changes and not walrus_names(node.test) and not self.may_raise(node.test)
        if simple:

            def cond() -> Any:
                return self.conj(self.negate(stop()), test())

            self.run_while(cond, body, frame, head, after)
            return
        # a condition with checks or loops of its own: evaluated before the loop and at each end
        go = NameBox(test(), "go")

        def again() -> None:
            body()
            s = stop()
            if s is True:
                self.write(go, False)
            elif s is False:
                self.write(go, test())
            else:
                self.write(go, self.branch(self.negate(s), test, lambda: False))  # type: ignore[arg-type]

        self.run_while(lambda: go.content, again, frame, head | after, after)

    def may_raise(self, node: Any) -> bool:
        """Is there an index in it, which may be outside where it is not asked for?"""
        return any(isinstance(n, gast.Subscript) and isinstance(n.ctx, gast.Load) for n in gast.walk(node))

    def unrolled_while(self, node: Any, loop: LoopState) -> None:
        after = self.frame.scope.after.get(id(node), EMPTY) | self.frame.scope.head.get(id(node), EMPTY)
        flags = (loop.broke, self.frame.returned)

        def run(trips: int) -> None:
            while True:
                t = self.truth(self.evaluate(node.test))
                if t is False:
                    return
                if t is not True:
                    raise self.need_static(t, "the condition of this loop")
                if trips > MAX_UNROLL:
                    raise fail(UnsupportedError, "static", self.pos(), what="the number of iterations")
                loop.continued = NameBox(False, "skipped")
                self.block(node.body)
                trips += 1
                stop = self.either(*flags)
                if stop is True:
                    return
                if stop is not False:
                    self.unless(stop, flags, lambda: run(trips), after)
                    return

        run(0)
