"""What is iterated over.

In: a value.  Out: a `Seq`, its items one after the other, or a `Nest`, loops inside each other that are written as one.

    range(n - 1, -1, -1)                  Seq(n, k -> (n - 1) - k)
    itertools.combinations(x, 2)          Nest(i in range(n - 1); j in range(i + 1, n); (x[i], x[j]))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from adc.frontend.base import certain, numpy_op
from adc.frontend.control import Control
from adc.frontend.grown import is_grown
from adc.frontend.state import number_type
from adc.frontend.values import ArrayRef, DictBox, Ext, ListBox, Nest, Seq, View
from adc.ir import OPERATORS, Lit, Var, dim_max, dim_min, literal, size
from adc.ir.dims import floordiv
from adc.ops.core import agree
from adc.ops.structure import check


def always(s: Seq) -> Callable[[tuple[Any, ...]], Seq]:
    return lambda _: s


class Iteration(Control):
    def seq(self, v: Any) -> Seq:
        """Anything iterable as a `Seq`."""
        if isinstance(v, Seq):
            return v
        if isinstance(v, Nest):
            together = self.together(v, ())
            return Seq(len(together), lambda k: together[self.static_int(k, "the index of a list")], True, v.once, v.reads)
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

    # ------------------------------------------------------------ several loops written as one

    def nest(self, v: Any) -> Nest:
        """Anything iterable as a `Nest`."""
        if isinstance(v, Nest):
            return v
        s = self.seq(v)
        return Nest((always(s),), lambda items: items[0], s.once, s.reads)

    def together(self, v: Nest, items: tuple[Any, ...]) -> list[Any]:
        """All items of a nest, while compiling."""
        if len(items) == len(v.levels):
            return [v.item(items)]
        return [x for item in self.items(v.levels[len(items)](items)) for x in self.together(v, (*items, item))]

    def pool(self, v: Any) -> Seq:
        """The items as they are now: what is stored into an array or a list afterwards changes none (rows of an array are views)."""
        v = self.list_array(v)
        if isinstance(v, ArrayRef) and v.type.rank == 1:
            now = self.read(v)
            return Seq(v.type.dims[0], lambda k: self.index_array(now, k), False)
        return self.seq(v if isinstance(v, ArrayRef | Seq | range) else tuple(self.items(v)))

    def ndindex_nest(self, dims: tuple[Any, ...]) -> Nest:
        return Nest(tuple(always(self.range_seq(0, d, 1)) for d in dims), lambda ks: ks, "np.ndindex(...)")

    def ndenumerate_nest(self, x: Any) -> Nest:
        if not isinstance(x, ArrayRef):
            raise self.wrong("np.ndenumerate() of what is no array", "np.ndenumerate(np.asarray(x))")
        ref: ArrayRef = x
        return replace(self.ndindex_nest(x.type.dims), item=lambda ks: (ks, self.index_array(ref, ks)), once="np.ndenumerate(...)")

    def product_nest(self, parts: tuple[Any, ...]) -> Nest:
        return Nest(tuple(always(self.pool(p)) for p in parts), lambda items: items, "itertools.product(...)")

    def combinations_nest(self, v: Any, r: int, apart: int, once: str) -> Nest:
        """r items of v, each behind the one before by `apart` at least."""
        pool = self.pool(v)

        def level(k: int) -> Callable[[tuple[Any, ...]], Seq]:
            stop = self.number_op("sub", pool.count, (r - 1 - k) * apart)
            return lambda ks: self.range_seq(self.number_op("add", ks[-1], apart) if k and apart else ks[-1] if k else 0, stop, 1)

        return Nest(tuple(level(k) for k in range(r)), lambda ks: tuple(pool.item(k) for k in ks), once)

    def pairwise_seq(self, v: Any) -> Seq:
        s = self.seq(v)
        count = s.count - 1
        return Seq(count if certain(count, 0) else dim_max(count, 0), lambda k: (s.item(k), s.item(self.number_op("add", k, 1))), s.static, "itertools.pairwise(...)", s.reads or frozenset())

    def islice_seq(self, v: Any, start: Any, stop: Any, step: Any) -> Seq:
        s = self.seq(v)
        end = s.count if stop is None else dim_min(s.count, size(stop))
        picks = self.range_seq(start, end, step)
        return Seq(picks.count, lambda k: s.item(picks.item(k)), s.static, "itertools.islice(...)", s.reads or frozenset())
