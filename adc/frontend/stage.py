"""The front door: `stage(fn, args, kwargs)` turns a Python function into a program.

In: a function; pytrees whose run-time leaves are `Tensor` types and whose other leaves are static objects.
Out: `Staged`: the typed SSA function, the structure of its result, what it captured and depends on.

    stage(loss, (Tensor(F8, (n,)), Tensor(F8, (n, d))), {}).function
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import optree

from adc.errors import Pos, SourceError, UnsupportedError, fail
from adc.frontend.base import numpy_op
from adc.frontend.nested import sorted_keys, to_tree
from adc.frontend.source import plain_function
from adc.frontend.stmts import Stmts
from adc.frontend.values import ArrayRef, Cell, DictBox, Leaf, ListBox, NeedsStatic, NeedStatic, ObjBox, Staged
from adc.ir import Atom, Block, Function, Guard, Size, Sym, Tensor, Var, at, building, size, symbols
from adc.ir.build import _state, run_time_sizes
from adc.ir.dims import Dim, size_terms
from adc.ir.program import Op, Stmt, subst_dims
from adc.ir.reach import reach_root
from adc.ir.rewrite import Copier
from adc.ops.structure import check, same_size, size_value


class _Guards(list[Guard]):
    """Guards at entry; one that speaks of sizes made at run time becomes a check at its place."""

    def append(self, g: Guard) -> None:
        late = run_time_sizes()
        if not any(s in late for d in (g.left, g.right) for s in symbols(size(d))):
            super().append(g)
            return
        compare = np.equal if g.kind == "equal" else np.greater_equal
        check(numpy_op(compare)(size_value(g.left), size_value(g.right)), code="assertion", message=g.message or f"{g.left} and {g.right} differ")


@contextlib.contextmanager
def _guarding() -> Iterator[_Guards]:
    old = _state.guards
    mine = _Guards()
    _state.guards = mine
    try:
        yield mine
    finally:
        _state.guards = old


@contextlib.contextmanager
def _clean_builders() -> Iterator[None]:
    """Staging starts with no block open, and leaves the thread's state as it was whatever happens."""
    old, _state.builders = _state.builders, []
    try:
        yield
    finally:
        _state.builders = old


class Interpreter(Stmts):
    """All parts together; one object per staging."""

    base_builders = 1

    def argument(self, v: Any, hint: str, params: list[Var], path: str) -> Any:
        """An argument's structure with parameters for its types."""
        if isinstance(v, Tensor):
            p = Var(v, hint, None)
            self.leaves[p] = len(params)
            params.append(p)
            if not v.dims:
                return p
            cell = Cell(p, hint)
            self.given.append((cell, p))
            return ArrayRef(cell, (), v)
        if isinstance(v, list):
            return ListBox(tuple(self.argument(x, hint, params, f"{path}[{k}]") for k, x in enumerate(v)), hint)
        if isinstance(v, dict):
            names = {k: k if isinstance(k, str) and k.isidentifier() else hint for k in v}
            # parameters in the order of optree's leaves
            made = {k: self.argument(v[k], names[k], params, f"{path}[{k!r}]") for k in (v if isinstance(v, OrderedDict) else sorted_keys(v))}
            return DictBox({k: made[k] for k in v}, hint)
        if isinstance(v, tuple) and hasattr(v, "_fields"):
            return type(v)(*(self.argument(x, n, params, f"{path}.{n}") for n, x in zip(v._fields, v, strict=True)))
        if isinstance(v, tuple):
            return tuple(self.argument(x, hint, params, f"{path}[{k}]") for k, x in enumerate(v))
        if dataclasses.is_dataclass(v) and not isinstance(v, type):
            fields = {f.name: self.argument(getattr(v, f.name), f.name, params, f"{path}.{f.name}") for f in dataclasses.fields(v)}
            return ObjBox(type(v), fields, hint)
        if v is None or isinstance(v, bool | int | float | str):
            return v
        return self.lift(v, path, lambda: v)


_recursion = threading.Lock()
_deep = [0, 0]  # stagings in progress, the limit before the first of them


@contextlib.contextmanager
def _deep_recursion() -> Iterator[None]:
    """Inlined calls nest deeply while staging; the limit is put back after the last staging."""
    with _recursion:
        if _deep[0] == 0:
            _deep[1] = sys.getrecursionlimit()
            sys.setrecursionlimit(max(_deep[1], 12_000))
        _deep[0] += 1
    try:
        yield
    finally:
        with _recursion:
            _deep[0] -= 1
            if _deep[0] == 0:
                sys.setrecursionlimit(_deep[1])


def stage(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Staged:
    """The program of `fn` for arguments of these types.

    Sizes that one statement needs equal are equal everywhere: where a branch or loop was refused because two shapes
    differ, staging starts again with what the guards have found so far.
    """
    kwargs = dict(kwargs or {})
    before: list[Guard] = []
    outside: dict[str, tuple[Dim, ...]] = {}  # sizes of captured arrays
    while True:
        met: list[Guard] = []
        try:
            staged = _stage(fn, args, kwargs, met, outside)
        except UnsupportedError as refused:
            if not any(d.code in ("carry_type", "branch_type") for d in refused.diagnostics):
                if refused.leaf is not None:
                    raise refused.leaf from None
                raise
            given: Any = (args, kwargs)
            mine = {s for t in optree.tree_leaves(given, namespace="adc") if isinstance(t, Tensor) for d in t.dims for s in symbols(size(d))}
            mine |= {s for dims in outside.values() for d in dims for s in symbols(size(d))}
            table = _among(equal_sizes(met, mine), mine)
            if not table:
                # a loop hands an array on with the sizes that it had: they are equal, or the loop is for one turn only
                met = kept_sizes(refused)
                table = _among(equal_sizes(met, mine), mine)
            if not table:
                if refused.leaf is not None:
                    raise refused.leaf from None
                raise
            before += met
            renamed: Any = optree.tree_map(lambda t, table=table: subst_dims(t, table) if isinstance(t, Tensor) else t, given, namespace="adc")
            args, kwargs = renamed
            outside = {path: subst_dims(dims, table) for path, dims in outside.items()}
            continue
        if not before:
            return staged
        f = staged.function
        guards = (*before, *(g for g in f.guards if g not in before))
        return dataclasses.replace(staged, function=Function(f.name, f.params, f.body, guards, f.pos))


def _among(table: dict[Sym, Dim], mine: set[Sym]) -> dict[Sym, Dim]:
    return {s: d for s, d in table.items() if s in mine and all(t in mine for t in symbols(size(d)))}


def kept_sizes(refused: UnsupportedError) -> list[Guard]:
    """What sizes must be for the carries whose shapes differ between iterations."""
    found = []
    for d in refused.diagnostics:
        if d.code == "carry_type" and d.facts.get("dims"):
            message = f"{d.facts['name']} is {d.facts['before']} before the loop and {d.facts['after']} after one iteration"
            found += [Guard("equal", a, b, message, d.pos) for a, b in zip(*d.facts["dims"], strict=True) if a != b]
    return found


def _stage(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], met: list[Guard], outside: dict[str, tuple[Dim, ...]]) -> Staged:
    interp = Interpreter()
    interp.outside = outside
    target = plain_function(fn)
    interp.reached[id(target)] = reach_root(fn)
    name = getattr(target, "__name__", type(target).__name__)
    params: list[Var] = []
    results: list[Atom] = []
    interp.frame = _outside(name)
    with _deep_recursion(), _clean_builders(), _guarding() as guards, at(None), building() as b:
        arg_names = _argument_names(target, len(args))
        values = [interp.argument(a, h, params, h) for a, h in zip(args, arg_names, strict=True)]
        named = {k: interp.argument(kwargs[k], k, params, k) for k in sorted(kwargs)}
        b.params = tuple(params)
        places = {p: k for k, p in enumerate(params)}
        in_tree = (
            tuple(to_tree(v, lambda x: _place(x, places), interp) for v in values),
            {k: to_tree(v, lambda x: _place(x, places), interp) for k, v in named.items()},
        )

        def leaf(v: Any) -> Leaf:
            a = interp.atom(v)
            results.append(a)
            return Leaf(len(results) - 1)

        try:
            result = interp.call(fn, values, {k: named[k] for k in kwargs})
            out_tree = to_tree(result, leaf, interp)
        except UnsupportedError as refused:
            met.extend(guards)
            pinned = sorted(interp.leaves[r] for r in refused.pinned)
            if pinned:
                refused.leaf = NeedStatic(pinned[0], refused.diagnostics[0].pos, "the number of iterations")
            if type(refused) is UnsupportedError:
                raise
            plain = UnsupportedError(*refused.diagnostics)  # its kind was for the loops in between
            plain.leaf = refused.leaf
            raise plain from None
        except NeedsStatic as e:
            leaves = sorted(interp.leaves[r] for r in e.roots if r in interp.leaves and r.type.dtype.kind in "ib" and not r.type.dims)
            if leaves:
                raise NeedStatic(leaves[0], e.pos, e.what) from None
            raise fail(UnsupportedError, "static", e.pos, what=e.what) from None
        except RecursionError:
            raise fail(UnsupportedError, "recursion", None, what=name) from None
    extra = tuple(v for _, v in interp.captures)
    function = Function(name, (*params, *extra), Block((), tuple(b.stmts), tuple(results)), tuple(guards), _pos_of(interp, target))
    function = apply_guards(function)
    changed = frozenset(p.hint for cell, p in interp.given if cell.content is not p)
    return Staged(function, out_tree, tuple(c for c, _ in interp.captures), tuple(interp.dependencies.values()), in_tree, changed)


def _place(v: Any, places: dict[Var, int]) -> Any:
    content = v.cell.content if isinstance(v, ArrayRef) else v
    return Leaf(places[content]) if isinstance(content, Var) and content in places else v


class _NoSource:
    """Stands for the place of a call from outside."""

    def __init__(self, name: str):
        self.name = name

    def pos(self, node: Any) -> Pos | None:
        return None

    def text(self, node: Any) -> str:
        return self.name


def _outside(name: str) -> Any:
    class _Frame:
        source = _NoSource(name)
        outer = None
        pyfunc = None
        boxes: dict[str, Any] = {}

    return _Frame()


def _argument_names(fn: Any, n: int) -> list[str]:
    """Hints for positional arguments."""
    code = getattr(getattr(fn, "__func__", fn), "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if hasattr(fn, "__func__"):
        names = names[1:]
    return [names[k] if k < len(names) else f"x{k}" for k in range(n)]


def _pos_of(interp: Interpreter, fn: Any) -> Pos | None:
    from adc.frontend.source import source_of

    try:
        source = source_of(getattr(fn, "__func__", fn))
    except (SourceError, UnsupportedError):
        return None
    return source.pos(source.node)


# ---------------------------------------------------------------- guards


def solve(left: Dim, right: Dim, fixed: set[Sym]) -> tuple[Sym, Dim] | None:
    """A symbol and what it equals, from left == right; None where no symbol stands alone."""
    gap = size(left) - right
    best: tuple[Sym, Dim] | None = None
    for monomial, coefficient in size_terms(gap):
        if len(monomial) != 1 or abs(coefficient) != 1 or not isinstance(monomial[0], Sym) or monomial[0] in fixed:
            continue
        sym = monomial[0]
        rest = (gap - size(sym) * coefficient) * -coefficient
        if sym in symbols(size(rest)):
            continue
        if best is None or sym.serial > best[0].serial:
            best = (sym, rest)
    return best


def equal_sizes(guards: Iterable[Guard], bindable: set[Any]) -> dict[Sym, Dim]:
    """What symbols of `bindable` must be, by the guards that ask for equal sizes."""
    table: dict[Sym, Dim] = {}
    for g in guards:
        if g.kind != "equal":
            continue
        left, right = subst_dims(size(g.left), table), subst_dims(size(g.right), table)
        if left == right or (isinstance(left, int) and isinstance(right, int)):
            continue
        found = solve(left, right, {s for s in (*symbols(left), *symbols(right)) if s not in bindable})
        if found is None:
            continue
        sym, rest = found
        table = {s: subst_dims(d, {sym: rest}) for s, d in table.items()}
        table[sym] = rest
    return table


def broken_guard(guards: Iterable[Guard], known: Collection[Any], name: str, axis: int, dim: Dim) -> Guard | None:
    """The guard by which axis `axis` of argument `name` must have the size `dim`: what the user's line asked for.

    `known`: the symbols that are left; the guards speak of those that were merged into them, too.
    """
    merged = [g for g in guards if g.kind == "equal" and any(s not in known for d in (g.left, g.right) for s in symbols(size(d)))]
    unknown = {s for g in merged for d in (g.left, g.right) for s in symbols(size(d)) if s not in known}
    table = equal_sizes(merged, unknown)

    def likely(g: Guard) -> tuple[bool, bool]:
        names = {s.hint for d in (g.left, g.right) for s in symbols(size(d))}
        same = size(dim) in [subst_dims(size(d), table) for d in (g.left, g.right)]
        return same, bool(names & {f"{name}_n", f"{name}_n{axis}"})

    return max(merged, key=likely, default=None)


def apply_guards(fn: Function) -> Function:
    """Sizes that the guards make equal become one symbol; the guards keep the original ones."""
    bindable = {d.terms[0][0][0] for p in fn.params for d in p.type.dims if isinstance(d, Size) and d.is_symbol}
    table = equal_sizes(fn.guards, bindable)
    if not table:
        return fn
    copier = _Renamer(table)
    inside = copier.block(Block(fn.params, fn.body.stmts, fn.body.results))
    body = inside if fn.body.params else Block((), inside.stmts, inside.results)
    return Function(fn.name, inside.params, body, fn.guards, fn.pos)


class _Renamer(Copier):
    """Renames sizes and drops `same_size` ops that became identities."""

    def __init__(self, sizes: dict[Sym, Dim]):
        super().__init__(sizes=sizes)

    def block(self, b: Block) -> Block:
        params = self.defines(b.params)
        stmts: list[Stmt] = []
        for s in b.stmts:
            if isinstance(s, Op) and s.prim is same_size:
                arg = self.atom(s.args[0])
                if self.dims(s.params["dims"]) == arg.type.dims:
                    self.env[s.outs[0]] = arg
                    continue
            stmts.append(self.stmt(s))
        return Block(params, tuple(stmts), self.atoms(b.results))


__all__ = ["broken_guard", "solve", "stage"]
