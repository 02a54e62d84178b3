"""What `adc.grad(f)` returns: something to call, to read and to transform again.

In: a function, the name of a transformation and its options.  Out: a callable that stages, compiles and keeps one
program per signature (structure, dtypes, ranks, static values); a new length needs no new program.

Programs are kept with the function, not with the transformation: `adc.grad(f)` may be made anew at every step.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
import types
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from adc.api import trees
from adc.api.doors import MISS, Read, reader
from adc.api.programs import Program, Table, closed
from adc.errors import AdcError, ShapeError, UnsupportedError, fail
from adc.ir.build import here
from adc.ir.program import Tensor

if TYPE_CHECKING:
    from adc.api.pipeline import Build

_compiling = threading.RLock()
Kinds = dict[str, Callable[..., Any]]


def default_target() -> str:
    return os.environ.get("ADC_TARGET", "cpu")


class Tables(dict[Any, Table]):
    """The programs of a function by transformation, in an attribute of the function.

    They hold the function, and it holds them: the two go together when nobody else has the function, with all that its closure keeps
    alive.  A table elsewhere with the function as its weak key would keep both for ever.
    """

    ATTRIBUTE = "__adc_tables__"

    def __init__(self, fun: Any) -> None:
        super().__init__()
        self.fun = weakref.ref(fun)

    @classmethod
    def of(cls, fun: Any, make: bool) -> Tables | None:
        own = getattr(fun, "__dict__", {})
        found = own.get(cls.ATTRIBUTE)
        if isinstance(found, Tables) and found.fun() is fun:  # functools.wraps copies attributes
            return found
        if not make:
            return None
        new = cls(fun)
        if isinstance(own, dict) and hasattr(fun, "__dict__"):
            own[cls.ATTRIBUTE] = new  # also where attributes may not be set, as in a frozen dataclass
        else:
            setattr(fun, cls.ATTRIBUTE, new)
        return new

    def __reduce__(self) -> Any:
        return dict, ()  # whoever pickles a function by value gets it without programs

    def __deepcopy__(self, memo: Any) -> dict[Any, Any]:
        return {}


def table_of(fun: Any, key: Any) -> Table:
    """The programs made for `fun` so far; a table of its own where `fun` takes no attribute."""
    base = fun
    while isinstance(base, Transformed):
        base = base.fun
    if hasattr(base, "__self__"):
        return Table()  # a bound method is a new object at every access
    try:
        tables = Tables.of(base, make=True)
    except (TypeError, AttributeError):
        return Table()
    assert tables is not None
    return tables.setdefault(key, Table())


def compiled_programs(fun: Any) -> list[Program]:
    """Every program that was compiled from `fun`."""
    return [p for t in (Tables.of(fun, make=False) or {}).values() for p in t.programs.values()]


class Transformed:
    """A transformation of a function; calling it compiles what is needed."""

    def __init__(self, kind: str, fun: Any, options: dict[str, Any], target: str | None = None):
        if not callable(fun) and not hasattr(fun, "frame"):
            raise fail(UnsupportedError, "type", None, what=f"adc.{kind} needs a function, not a {type(fun).__name__}", instead="pass a function")
        target = target or default_target()
        if target not in trees.TARGETS:
            raise fail(UnsupportedError, "type", None, what=f"target {target!r}", instead=f"use one of {', '.join(trees.TARGETS)}")
        self.kind, self.fun, self.options, self.target = kind, fun, options, target
        self.table = table_of(fun, (self.key(), target))
        for name in ("__doc__", "__module__", "__qualname__", "__name__"):
            if hasattr(fun, name):
                setattr(self, name, getattr(fun, name))
        self.__wrapped__ = fun

    def key(self) -> Any:
        inner = self.fun.key() if isinstance(self.fun, Transformed) else None
        return (self.kind, tuple(sorted((k, _frozen(v)) for k, v in self.options.items())), inner)

    @property
    def source_name(self) -> str:
        """The name under which the derivative is printed: `loss_grad`."""
        base = getattr(self.fun, "source_name", None) or getattr(getattr(self.fun, "func", self.fun), "__name__", getattr(self.fun, "name", "f"))
        base = "f" if base == "<lambda>" else base
        label = "value_and_grad" if self.options.get("value") else SUFFIX.get(self.kind, self.kind)
        return f"{base}_{label}" if label else str(base)

    def __repr__(self) -> str:
        return f"<adc.{self.kind} of {getattr(self.fun, '__qualname__', self.fun)!s}>"

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        """A decorated method is bound as methods are."""
        return self if obj is None else functools.partial(self, obj)

    def __adc_apply__(self, stage: Any, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Any, ...]) -> Any:
        if "out" in in_tree[1] and not self.own_out:
            raise fail(UnsupportedError, "type", here(), what="out= inside a function that adc reads", instead="leave it out: there adc plans the memory itself")
        return rule(self.kind)(stage, in_tree, types, atoms, fun=self.fun, **self.options)

    # ------------------------------------------------------------ calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result = self.table.door(args, kwargs)
            if result is not MISS:
                return result
        except (TypeError, ShapeError, SizeAssumption()):
            pass  # another dtype, rank or an extent of 1: another program, found or made
        out = kwargs.pop("out") if kwargs and "out" in kwargs and not self.own_out else None
        for program in self.table.recent:
            leaves = program.read(args, kwargs)  # type: ignore[misc]
            if leaves is not None and program.holds():
                self.remember(program)
                try:
                    return program.quickly(leaves, out)
                except (TypeError, ShapeError, SizeAssumption()):
                    pass  # another dtype, rank or an extent of 1: another program, found or made
        return self.careful(args, kwargs, out)

    def remember(self, program: Program) -> None:
        self.table.last = program
        self.table.door = program.whole or closed

    @functools.cached_property
    def own_out(self) -> bool:
        """Does the function itself take an argument `out`?"""
        code = _code(self.fun)
        return code is not None and (self.loose or "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    def careful(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any = None) -> Any:
        program, leaves = self.program(args, kwargs)
        try:
            result = program.call(leaves, out)
        except SizeAssumption():
            program, leaves = self.program(args, kwargs, exact=True)
            result = program.call(leaves, out)
        except (TypeError, ShapeError):
            if program.captured_alike():
                raise
            self.table.clear()  # data read from outside has another dtype or rank than before
            program, leaves = self.program(args, kwargs)
            result = program.call(leaves, out)
        self.remember(program)
        if program.read is not None:
            self.table.recent = (program, *[p for p in self.table.recent if p is not program])[:RECENT]
        return result

    def program(self, args: tuple[Any, ...], kwargs: dict[str, Any], exact: bool = False, build_only: bool = False) -> tuple[Program, list[Any]]:
        """The program for these arguments, compiled if there is none, and its run-time leaves."""
        leaves, treedef = trees.flatten((args, kwargs))
        kinds = [trees.is_runtime(x) for x in leaves]
        base = self.base(leaves, treedef, args, kwargs)
        table = self.table
        sizes = tuple(np.shape(x) for x, r in zip(leaves, kinds, strict=True) if r)
        exact = exact or (base, sizes) in table.exact
        static = table.static.get(base, frozenset())
        key = (base, tuple(leaves[k] for k in sorted(static)), sizes if exact else None)
        program = table.programs.get(key)
        if program is None or not program.holds() or not program.captured_alike():
            with _compiling:
                program = table.programs.get(key)
                if program is None or not program.holds() or not program.captured_alike():
                    made = self.stored(leaves, treedef, kinds, exact, base, sizes)
                    static, program = made or self.compile(leaves, treedef, kinds, static, exact, base, sizes)
                    table.static[base] = static
                    key = (base, tuple(leaves[k] for k in sorted(static)), sizes if exact else None)
                    table.programs[key] = program
                    if exact:
                        table.exact.add((base, sizes))
        run_time = [x for k, (x, r) in enumerate(zip(leaves, kinds, strict=True)) if r and k not in static]
        return program, run_time

    def base(self, leaves: list[Any], treedef: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What is known of a signature before any program is: structure, types, the order of keys."""
        loose = self.loose or len(kwargs) < 2
        orders = trees.orders((args, kwargs if loose else {k: kwargs[k] for k in sorted(kwargs)}))
        return (treedef, tuple(trees.signature_key(x) for x in leaves), orders)

    def static_of(self, args: tuple[Any, ...]) -> frozenset[int]:
        """The numbers among the leaves that belong to the signature, of a program that is there."""
        leaves, treedef = trees.flatten((args, {}))
        return self.table.static.get(self.base(leaves, treedef, args, {}), frozenset())

    def types_of(self, leaves: list[Any], treedef: Any, kinds: list[bool], static: frozenset[int], exact: bool) -> tuple[Any, list[Any]]:
        names = trees.paths(treedef.unflatten(leaves)[0], _parameter_names(self.fun)) if treedef.num_leaves else []
        made = []
        for k, (x, run_time) in enumerate(zip(leaves, kinds, strict=True)):
            name = names[k] if k < len(names) else f"argument {k}"
            if run_time and k not in static:
                made.append(trees.leaf_type(x, name, exact))
            else:
                made.append(x)
        return treedef.unflatten(made), made

    def compile(self, leaves: list[Any], treedef: Any, kinds: list[bool], static: frozenset[int], exact: bool, base: Any, sizes: Any) -> tuple[frozenset[int], Program]:
        from adc.api.pipeline import Build, StaticLeaf, advance

        while True:
            (args, kwargs), types = self.types_of(leaves, treedef, kinds, static, exact)
            try:
                build = advance(Build(self, args, kwargs, self.target))
                break
            except StaticLeaf as need:
                found = [k for k, t in enumerate(types) if t is need.tensor]
                if not found or found[0] in static:
                    raise need.cause from None
                static = static | {found[0]}
        if self.target == "cpu":
            from adc.api import stored

            order = tuple(sorted(static))
            if order:  # which integers are static is looked up first
                stored.save(self, (base, "static"), order, build)
            stored.save(self, self.signature(base, leaves, order, exact, sizes), order, build)
        return static, Program(build, self.reader(leaves, treedef, kinds, static))

    def reader(self, leaves: list[Any], treedef: Any, kinds: list[bool], static: frozenset[int]) -> Read | None:
        """The quick way of a program; the readable source has none: `Program.look` checks what compiled entries do."""
        if self.target == "numpy":
            return None
        return reader(leaves, treedef, static | {k for k, run_time in enumerate(kinds) if not run_time}, self.loose)

    @functools.cached_property
    def loose(self) -> bool:
        """Does the function take `**kwargs`, and may so depend on their order?"""
        code = _code(self.fun)
        return code is None or bool(code.co_flags & inspect.CO_VARKEYWORDS)

    def signature(self, base: Any, leaves: list[Any], static: tuple[int, ...], exact: bool, sizes: Any) -> Any:
        return (base, tuple(leaves[k] for k in static), sizes if exact else None)

    def stored(self, leaves: list[Any], treedef: Any, kinds: list[bool], exact: bool, base: Any, sizes: Any) -> tuple[frozenset[int], Program] | None:
        """The program that another process compiled for this signature."""
        if self.target != "cpu":
            return None
        from adc.api import stored

        def again() -> Any:
            from adc.api.pipeline import Build, advance

            (args, kwargs), _ = self.types_of(leaves, treedef, kinds, frozenset(order), exact)
            return advance(Build(self, args, kwargs, self.target), until="optimize")

        hint = stored.load(self, (base, "static"), again)
        order = hint[0] if hint else ()
        found = stored.load(self, self.signature(base, leaves, order, exact, sizes), again)
        if found is None:
            return None
        order, build = found
        return frozenset(order), Program(build, self.reader(leaves, treedef, kinds, frozenset(order)))

    # ------------------------------------------------------------ reading

    def built(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Build:
        """The build for these arguments (arrays, numbers, or types); without any, of the last call or the annotations."""
        if not args and not kwargs:
            programs = list(self.table.programs.values())
            if programs:
                return whole((self.table.last or programs[-1]).build)
            from adc.api.signature import annotated

            args = annotated(self.fun)
        if any(isinstance(x, Tensor) for x in trees.flatten((args, kwargs))[0]):
            return self.staged_types(args, kwargs)
        program, _ = self.program(args, kwargs)
        return whole(program.build)

    def staged_types(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Build:
        """A build from types alone, compiled no further than its program."""
        from adc.api.pipeline import Build, StaticLeaf, advance

        with _compiling:
            try:
                return advance(Build(self, args, kwargs, self.target), until="optimize")
            except StaticLeaf as need:
                raise need.cause from None

    def source(self, *args: Any, **kwargs: Any) -> str:
        """The NumPy source of this function for the given example arguments (default: those of the last call)."""
        build = self.built(args, kwargs)
        if build.source is None:
            from adc.emit.numpy_source import numpy_source

            build.source = numpy_source(build.program, build.name)
        return build.source

    def ir(self, stage: str = "optimize", *args: Any, **kwargs: Any) -> str:
        """The typed SSA after `stage`: "stage", "apply" or "optimize"."""
        build = self.built(args, kwargs)
        if stage == "stage":
            return "\n\n".join(map(str, build.primals))
        if stage == "apply":
            return str(build.applied)
        if stage == "optimize":
            return str(build.function)
        raise fail(UnsupportedError, "type", None, what=f"there is no IR after {stage!r}", instead="use 'stage', 'apply' or 'optimize'")

    def kernel_source(self, *args: Any, **kwargs: Any) -> str:
        """The loops that are compiled, as the text that Numba reads."""
        build = self.built(args, kwargs)
        if build.kernel_text is None:
            from adc.emit.kernel_source import kernel_source
            from adc.lower.whole import lower

            build.kernel = lower(build.program)
            build.kernel_text = kernel_source(build.kernel)
        return build.kernel_text

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """What the reverse sweep saves and computes again, loop by loop, and what it costs."""
        from adc.api.explain import explain

        return explain(self.built(args, kwargs), args, kwargs)

    def _repr_html_(self) -> str:
        """Jupyter shows the adjoint, in colours."""
        import html

        from adc.emit.html import fragment

        try:
            return fragment(self.source())
        except AdcError as e:
            return f"<pre>{html.escape(str(e))}</pre>"


RECENT = 4
"""So many programs does a call look at before it takes the careful way."""
SUFFIX = {"grad": "grad", "jit": "", "pullback": "vjp", "jac": "jacobian", "checkpoint": "", "custom_vjp": "", "custom_jvp": ""}


@functools.lru_cache(maxsize=1)
def SizeAssumption() -> type[Exception]:
    from adc.backend.entry import SizeAssumption as cls

    return cls


@functools.lru_cache(maxsize=1)
def rules() -> Kinds:
    from adc.api import apply
    from adc.api import rules as own

    return {
        "grad": apply.grad,
        "jvp": apply.jvp,
        "pullback": apply.pullback,
        "hvp": apply.hvp,
        "jac": apply.jac,
        "vmap": apply.vmap,
        "jit": apply.jit,
        "checkpoint": own.checkpoint,
        "custom_vjp": own.custom_vjp,
        "custom_jvp": own.custom_jvp,
    }


def rule(kind: str) -> Callable[..., Any]:
    return rules()[kind]


def whole(build: Any) -> Build:
    """A build with its programs, also where the running one came from disk."""
    if hasattr(build, "again"):
        with _compiling:
            return build.again()  # type: ignore[no-any-return]
    return build  # type: ignore[no-any-return]


def _frozen(v: Any) -> Any:
    return tuple(map(_frozen, v)) if isinstance(v, list | tuple) else v if isinstance(v, int | str | bool | type(None)) else id(v)


def _plain(fun: Any) -> Any:
    """The function that was written."""
    while isinstance(fun, Transformed):
        fun = fun.fun
    fun = getattr(fun, "func", fun)
    return getattr(fun, "py_func", fun)


def _code(fun: Any) -> types.CodeType | None:
    fun = _plain(fun)
    return getattr(getattr(fun, "__func__", fun), "__code__", None)


def _parameter_names(fun: Any) -> tuple[str, ...]:
    code = _code(fun)
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    return tuple(names[1:] if hasattr(_plain(fun), "__func__") else names)
