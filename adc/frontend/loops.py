"""`for` and `while`: what is iterated over, whether a loop stays a loop, break, else.

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
from adc.frontend.base import certain, numpy_op
from adc.frontend.control import Control, NeedsWhile, is_pure
from adc.frontend.grown import NeedsUnroll, appended, is_grown
from adc.frontend.scope import EMPTY, LoopState, changed, loaded, walrus_names
from adc.frontend.state import number_type
from adc.frontend.values import ArrayRef, Box, DictBox, Ext, ListBox, NameBox, NeedsStatic, Seq, View
from adc.ir import OPERATORS, Atom, Dim, Lit, Var, building, dim_max, dim_min, literal, size, symbols
from adc.ir.dims import floordiv
from adc.ops import ranges
from adc.ops.core import agree
from adc.ops.structure import check

UNROLL = 4
MAX_UNROLL = 100_000


class Loops(Control):
    # ------------------------------------------------------------ what is iterated over

    def seq(self, v: Any) -> Seq:
        """Anything iterable as a `Seq`."""
        if isinstance(v, Seq):
            return v
        if isinstance(v, ArrayRef):
            ref = v
            return Seq(v.type.dims[0], lambda k: self.index_array(ref, k), False)
        if isinstance(v, range):
            return self.range_seq(v.start, v.stop, v.step)
        if is_grown(v):
            return self.grown_seq(v, v.content)
        if isinstance(v, ListBox):
            return self.list_seq(v)
        if isinstance(v, View):
            return self.view_seq(v)
        if isinstance(v, tuple):
            items = v
        elif isinstance(v, DictBox):
            items = tuple(v.content)
        elif isinstance(v, Ext) and isinstance(v.obj, list | tuple):
            items = tuple(self.children(v))
        elif isinstance(v, Ext) and isinstance(v.obj, dict):
            items = tuple(v.obj)
        elif isinstance(v, str | set | frozenset | list | dict):
            items = tuple(v)
        elif isinstance(v, Var | Lit):
            raise self.wrong("iteration over a 0-d array", "iterate over an array or range(n)")
        else:
            raise self.wrong(f"a {type(v).__name__} is not iterable here", "iterate over range(n), arrays, lists, tuples or dicts")
        return Seq(len(items), lambda k: items[self.static_int(k, "the index of a list")], True, getattr(v, "once", ""), getattr(v, "reads", None))

    def list_seq(self, v: ListBox) -> Seq:
        """The items as they are when they are reached."""
        count = len(v.content)

        def item(k: Any) -> Any:
            if len(v.content) != count:
                raise self.wrong(f"{v.name or 'a list'} becomes longer or shorter while it is iterated over", "iterate over a copy: list(...)")
            return v.content[self.static_int(k, "the index of a list")]

        return Seq(count, item, True)

    def view_seq(self, v: View) -> Seq:
        """The items as they are when they are reached; the keys are those of the beginning."""
        keys = tuple(v.box.content)

        def item(k: Any) -> Any:
            now = v.box.content
            if tuple(now) != keys:
                raise self.wrong(f"{v.box.name or 'a dict'} gets other keys while it is iterated over", "iterate over a copy: list(...)")
            key = keys[self.static_int(k, "the index of a view")]
            return key if v.kind == "keys" else now[key] if v.kind == "values" else (key, now[key])

        return Seq(len(keys), item, True)

    def items(self, v: Any) -> list[Any]:
        """All items, while compiling."""
        s = self.seq(v)
        if not isinstance(s.count, int):
            raise self.need_static(self.size_atom(s.count), "the number of items")
        return [s.item(k) for k in range(s.count)]

    def range_seq(self, start: Any, stop: Any, step: Any) -> Seq:
        start, stop, step = (x.value if isinstance(x, Lit) else int(x) if isinstance(x, np.integer) else x for x in (start, stop, step))
        for x in (start, stop, step):
            kind = number_type(x)
            if kind is None or kind.dtype.kind not in "ib":
                raise self.wrong("range() takes integers", "convert with int(...)")
        if isinstance(step, int) and step == 0:
            raise self.wrong("range() arg 3 must not be zero")
        statics = not any(isinstance(x, Var) for x in (start, stop, step)) and isinstance(step, int)
        if statics:
            gap = stop - start if step > 0 else start - stop
            count = floordiv(size(gap + (abs(step) - 1)), abs(step))
            if isinstance(count, int):
                count = max(count, 0)
            elif not certain(gap, 0):
                count = dim_max(count, 0)
        elif isinstance(start, int) and start == 0 and isinstance(step, int) and step == 1:
            count = self.bind(stop, False)
        else:
            count = self.bind(self.range_count(start, stop, step), False)

        def item(k: Any) -> Any:
            scaled = k if isinstance(step, int) and step == 1 else self.number_op("mul", step, k)
            return scaled if isinstance(start, int) and start == 0 else self.number_op("add", start, scaled)

        return Seq(count, item, False)

    def range_count(self, start: Any, stop: Any, step: Any) -> Var:
        """ceil((stop - start) / step), which may be negative."""
        if isinstance(step, Var):
            check(numpy_op(np.not_equal)(step, literal(0)), code="assertion", message="range() arg 3 must not be zero")
        if isinstance(step, int) and step == 1:
            got = self.number_op("sub", stop, start)
        else:
            got = self.number_op("neg", self.number_op("floordiv", self.number_op("sub", start, stop), step))
        return self.atom(got)  # type: ignore[return-value]

    def number_op(self, name: str, *xs: Any) -> Any:
        """Integer arithmetic where sizes and ints stay static."""
        if not any(isinstance(x, Var) for x in xs):
            a = xs[0].value if isinstance(xs[0], Lit) else xs[0]
            if len(xs) == 1:
                return a * -1
            b = xs[1].value if isinstance(xs[1], Lit) else xs[1]
            return {"add": lambda: a + b, "sub": lambda: a - b, "mul": lambda: a * b, "floordiv": lambda: a // b}[name]()
        if name == "mul" and isinstance(xs[0], int) and xs[0] == -1:
            return OPERATORS["neg"](self.atom(xs[1]))
        return OPERATORS[name](*(self.atom(x) for x in xs))

    def enumerate_seq(self, v: Any, start: Any) -> Seq:
        s = self.seq(v)

        def item(k: Any) -> Any:
            first = k if isinstance(start, int) and start == 0 else self.number_op("add", start, k)
            return (first, s.item(k))

        return Seq(s.count, item, s.static, "enumerate(...)", s.reads)

    def zip_seq(self, parts: list[Any], strict: bool) -> Seq:
        seqs = [self.seq(p) for p in parts]
        if not seqs:
            return Seq(0, lambda k: (), True, "zip()")
        static = any(s.static for s in seqs)
        count = seqs[0].count
        for s in seqs[1:]:
            if s.count == count:
                continue
            if strict or (static and not (isinstance(count, int) and isinstance(s.count, int))):
                agree(count, s.count, f"zip() of {count} and {s.count} items")
                count = count if isinstance(count, int) else s.count
            else:
                count = dim_min(count, s.count)
        lazy = [s.reads for s in seqs if s.reads is not None]
        return Seq(count, lambda k: tuple(s.item(k) for s in seqs), static, "zip(...)", frozenset().union(*lazy) if lazy else None)

    def reversed_seq(self, v: Any) -> Seq:
        s = self.seq(v)

        def item(k: Any) -> Any:
            return s.item(self.number_op("sub", s.count - 1, k))

        return Seq(s.count, item, s.static, "reversed(...)", s.reads)

    def kept(self, v: Any, where: str = "") -> Any:
        """What gets a name, or becomes part of something: no iterator, for those are consumed where they stand."""
        once = getattr(v, "once", "")
        if once:
            raise self.wrong(f"{once} is kept{where}: Python computes its items only when they are consumed, and then it is empty", "make a list of it: list(...), or [... for ...]")
        if isinstance(v, View):
            v.box.viewed = True
        return v

    # ------------------------------------------------------------ for

    def for_statement(self, node: Any) -> None:
        with self.place(node.iter):
            seq = self.seq(self.evaluate(node.iter))
            if seq.reads is not None and (both := sorted((seq.reads | loaded(node.iter)) & changed(node.body))):
                raise self.wrong(f"the loop changes {both[0]}, which {seq.once} reads for its next items", "iterate over a list: list(...), or [... for ...]")
        frame = self.frame
        head = frame.scope.head.get(id(node), EMPTY)
        after = frame.scope.after.get(id(node), EMPTY)
        loop = LoopState(head | after)
        frame.loops.append(loop)
        try:
            with self.place(node):
                if seq.static or self.small(seq, node):
                    self.unrolled(node, seq, loop)
                else:
                    self.rolled(node, seq, loop, head, after)
        finally:
            frame.loops.pop()
        self.loop_else(node, loop, after)

    def small(self, seq: Seq, node: Any) -> bool:
        if not isinstance(seq.count, int) or seq.count > UNROLL:
            return False
        if seq.count == 0:
            return True
        inner = any(isinstance(n, gast.Break | gast.Continue | gast.Return | gast.While) for s in node.body for n in gast.walk(s))
        return seq.count == 1 or (not inner and sum(1 for s in node.body for n in gast.walk(s) if isinstance(n, gast.stmt)) <= 6)

    def rolled(self, node: Any, seq: Seq, loop: LoopState, head: Any, after: Any) -> None:
        hint = node.target.id if isinstance(node.target, gast.Name) else "i"
        indices: list[Var] = []
        shared = dict(self.shared)

        def bind(index: Var) -> None:
            indices.append(index)
            loop.continued = NameBox(False, "skipped")
            self.assign(node.target, seq.item(index))

        def body() -> None:
            self.block(node.body)

        try:
            try:
                flags = lambda: (loop.broke, self.frame.returned)
                self.run_for(seq.count, bind, body, self.frame, head, after, flags, hint, appended(node.body))
            except NeedsWhile:
                self.leaving_for(node, seq, loop, head, after, indices)
        except UnsupportedError as e:
            if not isinstance(seq.count, int) and any(d.code == "structure" or d.facts.get("dims") for d in e.diagnostics):
                e.pinned = self.trip_roots(seq.count)
            if not isinstance(e, NeedsUnroll) or not isinstance(seq.count, int) or seq.count > MAX_UNROLL:
                raise
            self.shared = shared
            self.unrolled(node, seq, loop)
        except NeedsStatic as e:
            mine = e.roots & (set(indices) | self.pass_params)
            if not mine or not isinstance(seq.count, int) or seq.count > MAX_UNROLL:
                raise
            self.shared = shared
            self.unrolled(node, seq, loop)

    def trip_roots(self, count: Dim) -> frozenset[Var]:
        """Arguments that say how many iterations there are: known when compiling, the loop is straight code."""
        bound = [var for (var, _), s in self.bound.items() if s in symbols(count)]
        return frozenset(r for var in bound for r in self.roots(var)) & frozenset(self.leaves)

    def leaving_for(self, node: Any, seq: Seq, loop: LoopState, head: Any, after: Any, indices: list[Var]) -> None:
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
            loop.continued = NameBox(False, "skipped")
            self.assign(node.target, seq.item(index))
            self.block(node.body)
            self.write(k, OPERATORS["add"](self.atom(index), literal(1)))

        self.run_while(cond, body, frame, head, after)

    def unrolled(self, node: Any, seq: Seq, loop: LoopState) -> None:
        if not isinstance(seq.count, int):
            raise self.need_static(self.size_atom(seq.count), "the number of iterations")
        after = self.frame.scope.after.get(id(node), EMPTY) | self.frame.scope.head.get(id(node), EMPTY)

        def run(k: int) -> None:
            while k < seq.count:  # type: ignore[operator]
                loop.continued = NameBox(False, "skipped")
                self.assign(node.target, seq.item(k))
                self.block(node.body)
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
        simple = is_pure(probe.stmts) and not changes and not walrus_names(node.test) and not self.calls_user_code(node.test)
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

    def calls_user_code(self, node: Any) -> bool:
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
