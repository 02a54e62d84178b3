"""What makes something to iterate over, and functions that take functions.

In: a builtin and argument values.  Out: a `Seq`, a `Nest`, items computed at once, or an array of results.

    enumerate(xs) -> Seq      itertools.product(xs, ys) -> Nest      map(f, xs) -> Once      np.vectorize(f) -> Vectorized
"""

from __future__ import annotations

import functools
import itertools
import operator
from dataclasses import replace
from typing import Any

import numpy as np

from adc.frontend.base import numpy_op
from adc.frontend.comprehensions import OnceList
from adc.frontend.expr import Expr
from adc.frontend.scope import EMPTY, loaded
from adc.frontend.values import ArrayRef, FunctionValue, ListBox, NameBox, Once, Vectorized
from adc.ir import Lit, Size, Var, literal
from adc.ops.structure import check


class Iterators(Expr):
    # ------------------------------------------------------------ loops

    def builtin_enumerate(self, v: Any, start: Any = 0) -> Any:
        return self.enumerate_seq(v, start)

    def builtin_zip(self, *parts: Any, strict: Any = False) -> Any:
        return self.zip_seq(list(parts), bool(strict))

    def builtin_reversed(self, v: Any) -> Any:
        return self.reversed_seq(v)

    def builtin_ndindex(self, *dims: Any) -> Any:
        return self.ndindex_nest(tuple(self.items(dims[0])) if len(dims) == 1 and not self.is_number(dims[0]) else dims)

    def builtin_ndenumerate(self, v: Any) -> Any:
        return self.ndenumerate_nest(v)

    def builtin_product(self, *parts: Any, repeat: Any = 1) -> Any:
        return self.product_nest(parts * self.static_int(repeat, "repeat"))

    def builtin_combinations(self, v: Any, r: Any) -> Any:
        return self.combinations_nest(v, self.static_int(r, "how many are combined"), 1, "itertools.combinations(...)")

    def builtin_combinations_with_replacement(self, v: Any, r: Any) -> Any:
        return self.combinations_nest(v, self.static_int(r, "how many are combined"), 0, "itertools.combinations_with_replacement(...)")

    def builtin_pairwise(self, v: Any) -> Any:
        return self.pairwise_seq(v)

    def builtin_islice(self, v: Any, *limits: Any) -> Any:
        start, stop, step = (0, limits[0], 1) if len(limits) == 1 else (limits[0] or 0, limits[1], (limits[2] if len(limits) > 2 else None) or 1)
        return self.islice_seq(v, start, stop, step)

    def builtin_map(self, fn: Any, *parts: Any) -> Any:
        together = self.zip_seq(list(parts), False)
        if not together.static and not isinstance(together.count, int):
            made = self.grown_list(together.count, lambda k: self.call(fn, list(together.item(k)), {}), "i")
            return OnceList(made.content, made.name, "map(...)", self.read_by(fn))
        return Once.of([self.call(fn, list(xs), {}) for xs in self.items(together)], "map(...)", self.read_by(fn))

    def read_by(self, fn: Any) -> frozenset[str]:
        """Names that a function of the source reads."""
        return loaded(fn.node) if isinstance(fn, FunctionValue) else frozenset()

    def builtin_filter(self, fn: Any, v: Any) -> Any:
        kept = []
        for x in self.items(v):
            t = self.truth(x if fn is None else self.call(fn, [x], {}))
            if not isinstance(t, bool):
                raise self.need_static(t, "the condition of filter()")
            if t:
                kept.append(x)
        return Once.of(kept, "filter(...)", self.read_by(fn))

    def builtin_reduce(self, fn: Any, v: Any, *init: Any) -> Any:
        s = self.seq(v)
        if s.static or isinstance(s.count, int):
            items = [*init, *self.items(s)]
            if not items:
                raise self.wrong("TypeError: reduce() of empty iterable with no initial value")
            return functools.reduce(lambda total, x: self.call(fn, [total, x], {}), items)
        if not init:
            check(numpy_op(np.greater)(self.size_atom(s.count), literal(0)), code="assertion", message="TypeError: reduce() of empty iterable with no initial value")
        total = NameBox(init[0] if init else s.item(0), "total")
        skip = 0 if init else 1

        def turn(k: Var) -> None:
            self.write(total, self.call(fn, [total.content, s.item(self.number_op("add", k, skip))], {}))

        with self.within(()):
            self.run_for(s.count - skip, turn, self.frame, EMPTY, EMPTY, lambda: (), "i")
        return total.content

    def builtin_accumulate(self, v: Any, func: Any = operator.add, *, initial: Any = None) -> Any:
        s = self.seq(v)
        if not (s.static or isinstance(s.count, int)):
            raise self.refuse("itertools.accumulate over a run-time number of items", "use np.cumsum, or a loop")
        items = [*([] if initial is None else [initial]), *self.items(s)]
        return Once.of(itertools.accumulate(items, lambda total, x: self.call(func, [total, x], {})), "itertools.accumulate(...)", self.read_by(func))

    def builtin_chain(self, *parts: Any) -> Any:
        seqs = [self.seq(p) for p in parts]
        if not all(s.static or isinstance(s.count, int) for s in seqs):
            raise self.refuse("itertools.chain over a run-time number of items", "use np.concatenate, or two loops")
        return Once.of([x for s in seqs for x in self.items(s)], "itertools.chain(...)")

    def builtin_iter(self, v: Any) -> Any:
        return replace(self.seq(v), once="iter(...)")

    # ------------------------------------------------------------ a function of the user's at each place

    def builtin_vectorize(self, pyfunc: Any, otypes: Any = None, doc: Any = None, excluded: Any = None, cache: Any = False, signature: Any = None) -> Any:
        if excluded or signature is not None:
            raise self.refuse("np.vectorize with excluded= or signature=", "use adc.vmap")
        kinds = None if otypes is None else [np.dtype(t) for t in self.items(otypes)]
        if kinds is not None and len(kinds) != 1:
            raise self.refuse("np.vectorize of a function with several results", "call it in a loop")
        return Vectorized(pyfunc, kinds[0] if kinds else None, bool(cache))

    def vectorized(self, v: Vectorized, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The function at each place of the arguments, broadcast: a loop over them."""
        if kwargs or not args:
            raise self.refuse("a np.vectorize'd function without arguments, or with keywords", "give them by their position")
        arrays = [a if isinstance(a, ArrayRef) else self.call(np.asarray, [a], {}) for a in args]

        def one(places: list[Any]) -> Any:
            got = self.call(v.fn, places, {})
            if got.type.dims if isinstance(got, ArrayRef) else not self.is_number(got):
                raise self.refuse("np.vectorize of a function whose result is not one number", "call it in a loop")
            return got

        if v.dtype is None and not v.cache:  # NumPy asks for the type of the first result, and forgets it
            one([self.index_array(a, (0,) * a.type.rank) for a in arrays])
        together = self.items(self.call(np.broadcast_arrays, arrays, {}))
        now = [self.read(self.call(np.ravel, [a], {})) for a in together]  # it copies them: the function may store into what they came from
        results = self.grown_list(now[0].type.dims[0], lambda k: one([self.index_array(a, k) for a in now]), "i")
        return self.call(np.reshape, [self.call(np.array, [results], {"dtype": v.dtype} if v.dtype is not None else {}), together[0].type.dims], {})

    def builtin_fromfunction(self, function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
        grid = self.call(np.indices, [shape], {"dtype": dtype})
        return self.call(function, [self.index_array(grid, k) for k in range(len(self.items(shape)))], kwargs)

    def builtin_fromiter(self, iter: Any, dtype: Any, count: Any = -1) -> Any:
        items = ListBox(iter.content, iter.name) if isinstance(iter, ListBox) else ListBox(tuple(self.items(iter)))
        made: ArrayRef = self.call(np.array, [items], {"dtype": dtype})
        if isinstance(count, int) and count == -1:
            return made
        check(numpy_op(np.greater_equal)(self.size_atom(made.type.dims[0]), self.atom(count)), code="assertion", message="ValueError: iterator too short")
        return self.index_array(made, (slice(None, count),))

    def builtin_apply_along_axis(self, func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
        arr = arr if isinstance(arr, ArrayRef) else self.call(np.asarray, [arr], {})
        if not 1 <= arr.type.rank <= 2:
            raise self.refuse(f"np.apply_along_axis of {arr.type.rank} axes", "use a loop")
        if arr.type.rank == 1:
            return self.call(np.asarray, [self.call(func1d, [arr, *args], kwargs)], {})
        lines = self.call(np.moveaxis, [arr, self.static_int(axis, "an axis"), -1], {})  # a view: the function may store into it
        results = self.call(np.array, [self.grown_list(lines.type.dims[0], lambda k: self.call(func1d, [self.index_array(lines, k), *args], kwargs), "i")], {})
        if results.type.rank > 2:
            raise self.refuse("np.apply_along_axis of a function that gives a matrix", "use a loop")
        return self.call(np.moveaxis, [results, -1, axis], {}) if results.type.rank == 2 else results

    def builtin_piecewise(self, x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
        x = self.call(np.asarray, [x], {})
        if x.type.rank == 0:
            one = self.builtin_piecewise(self.call(np.reshape, [x, (1,)], {}), ListBox(tuple(self.call(np.reshape, [c, (1,)], {}) for c in self.items(condlist))), funclist, *args, **kw)
            return self.call(np.reshape, [one, ()], {})
        conds = [condlist] if isinstance(condlist, Var) or (isinstance(condlist, ArrayRef) and condlist.type.rank == 1) else self.items(condlist)
        fns = self.items(funclist)
        if len(fns) not in (len(conds), len(conds) + 1):
            raise self.wrong(f"ValueError: with {len(conds)} condition(s), either {len(conds)} or {len(conds) + 1} functions are expected")
        out = self.call(np.zeros_like, [x], {})
        if len(fns) > len(conds):
            rest = self.call(np.logical_not, [functools.reduce(lambda a, b: self.call(np.logical_or, [a, b], {}), conds)], {})
            conds = [*conds, rest]
        for cond, fn in zip(conds, fns, strict=True):
            value = fn if isinstance(fn, bool | int | float | np.generic | Var | Lit | Size | ArrayRef) else self.call(fn, [self.index_array(x, cond), *args], kw)
            self.store(out, self.index_value(cond), value)
        return out
