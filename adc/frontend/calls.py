"""Calls: the user's functions are inlined, NumPy's go to their records, builtins are answered here.

In: a function value and argument values.  Out: the result value.  Recursion unfolds as long as its depth is
static; methods, dataclasses, namedtuples, `functools.partial`, Numba dispatchers and adc's own transformations
are all found here.

    self.call(np.sum, [x], {"axis": 0})        PRIMITIVES/composites through ops.lookup
    self.call(user_function, [x], {})          a new Frame, the body staged in place
"""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any

import gast
import numpy as np

from adc.errors import UnsupportedError, fail
from adc.frontend.comprehensions import consumable
from adc.frontend.grown import JOINS, is_grown
from adc.frontend.methods import Methods
from adc.frontend.scope import Frame
from adc.frontend.source import plain_function, source_of
from adc.frontend.state import Mismatch, join, template
from adc.frontend.values import (
    UNBOUND,
    ArrayRef,
    BoundMethod,
    Box,
    Broken,
    DictBox,
    Ext,
    FunctionValue,
    ListBox,
    NeedsStatic,
    ObjBox,
    PartialValue,
    Seq,
    UfuncMethod,
    Vectorized,
)
from adc.ir import Lit, Size, Var, symbols
from adc.ir.reach import LIBRARIES, home
from adc.ops.registry import lookup

MAX_DEPTH = 200
MAX_DYNAMIC = 16
CREATION = (np.zeros, np.ones, np.empty, np.full, np.eye, np.identity, np.array, np.arange, np.linspace, np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.copy)
SHAPED: dict[Any, tuple[int, ...]] = {
    np.zeros: (0,), np.ones: (0,), np.empty: (0,), np.full: (0,), np.eye: (0, 1, 2), np.identity: (0,), np.arange: (0, 1, 2),
    np.reshape: (1,), np.broadcast_to: (1,), np.tri: (0, 1), np.tile: (1,),
}  # fmt: skip


class Calls(Methods):
    def eval_Call(self, node: Any) -> Any:
        fn = self.evaluate(node.func)
        if fn is super:
            return self.super_call(node)
        if consumable(fn, node):
            return self.consumed(fn, *node.args, **{k.arg: k.value for k in node.keywords})
        args = list(self.elements(node.args))
        kwargs: dict[str, Any] = {}
        for k in node.keywords:
            if k.arg is None:
                kwargs.update(self.mapping(self.evaluate(k.value)))
            else:
                kwargs[k.arg] = self.evaluate(k.value)
        return self.call(fn, args, kwargs)

    # ------------------------------------------------------------ dispatch

    def call(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if isinstance(fn, FunctionValue):
            return self.inline(fn.frame.source, fn.node, fn.frame, None, fn.name, fn.defaults, fn.kw_defaults, args, kwargs)
        if isinstance(fn, BoundMethod):
            return self.call_method(fn, args, kwargs)
        if isinstance(fn, PartialValue):
            return self.call(fn.fn, [*fn.args, *args], {**fn.kwargs, **kwargs})
        if isinstance(fn, UfuncMethod):
            return self.ufunc_method(fn, args, kwargs)
        if isinstance(fn, Vectorized):
            return self.vectorized(fn, args, kwargs)
        if isinstance(fn, ObjBox):
            return self.call(self.class_attribute(fn, fn.cls, "__call__"), args, kwargs)
        apply = getattr(type(fn.obj if isinstance(fn, Ext) else fn), "__adc_apply__", None)
        if apply is not None:
            return self.transformed(fn, args, kwargs)
        staged = getattr(fn, "__adc_staged__", None)
        if staged is not None:  # adc.grad(f), adc.jvp(f, …) in the code that is read
            return staged(self.call, *args, **kwargs)
        if isinstance(fn, Ext):
            return self.call_ext(fn, args, kwargs)
        if isinstance(fn, Box | Var | Lit | ArrayRef | Size | Seq | int | float | str | type(None)):
            raise self.wrong(f"a {type(fn).__name__} cannot be called")
        answered, result = self.builtin(fn, args, kwargs)
        if answered:
            return result
        if lookup(fn) is not None:
            return self.call_op(fn, args, kwargs)
        if isinstance(fn, type):
            return self.construct(fn, args, kwargs)
        if isinstance(fn, types.MethodType):
            owner = fn.__self__
            if isinstance(owner, type):
                return self.call(fn.__func__, [owner, *args], kwargs)
            label = type(owner).__name__
            return self.call(fn.__func__, [self.lift(owner, self.unique(label, owner), lambda: owner), *args], kwargs)
        plain = plain_function(fn)
        if lookup(plain) is not None:
            return self.call_op(plain, args, kwargs)
        if isinstance(plain, types.FunctionType):
            if home(plain) in LIBRARIES:
                raise fail(UnsupportedError, "no_rule", self.pos(), what=self.name_of(fn))
            return self.call_python(plain, args, kwargs)
        if not isinstance(fn, types.BuiltinFunctionType | type(np.sum) | np.ufunc) and callable(getattr(type(fn), "__call__", None)):
            return self.call_ext(Ext(fn, self.unique(type(fn).__name__, fn), lambda: fn), args, kwargs)
        if all(self.is_plain(a) for a in [*args, *kwargs.values()]) and self.is_pure_builtin(fn):
            return self.python(fn, *(self.static(a) for a in args), **{k: self.static(v) for k, v in kwargs.items()})
        raise fail(UnsupportedError, "no_rule", self.pos(), what=self.name_of(fn))

    def name_of(self, fn: Any) -> str:
        module = getattr(fn, "__module__", None) or ""
        name = getattr(fn, "__qualname__", None) or getattr(fn, "__name__", None) or repr(fn)
        if isinstance(fn, np.ufunc):
            return f"np.{fn.__name__}"
        return name if module in ("", "builtins", "__main__") else f"{module}.{name}".replace("numpy.", "np.")

    def is_plain(self, v: Any) -> bool:
        """Entirely static?"""
        if isinstance(v, ArrayRef | Var | Size | Seq | ObjBox | FunctionValue):
            return False
        if isinstance(v, Lit):
            return v.type.weak
        if isinstance(v, ListBox | DictBox) and not is_grown(v):
            return all(map(self.is_plain, v.content.values() if isinstance(v, DictBox) else v.content))
        if isinstance(v, tuple):
            return all(map(self.is_plain, v))
        return not isinstance(v, Ext | ListBox)

    def is_pure_builtin(self, fn: Any) -> bool:
        return getattr(fn, "__module__", "") in ("math", "operator", "builtins", "numpy") and not isinstance(fn, np.ufunc) and fn not in (print, input, open, eval, exec)

    # ------------------------------------------------------------ NumPy

    def call_op(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        op = lookup(fn)
        assert op is not None
        if getattr(fn, "__module__", "") == "math":  # Python's numbers go in and come out, whatever NumPy's were
            if all(map(self.is_plain, [*args, *kwargs.values()])):
                return self.python(fn, *(self.static(a) for a in args))
            return self.python_number(self.wrap(self.emit_op(op, [self.python_number(a) for a in args], kwargs)))
        if kwargs.get("out") is not None or (isinstance(fn, np.ufunc) and len(args) > fn.nin):
            if isinstance(fn, np.ufunc) and len(args) > fn.nin:
                args, kwargs = args[: fn.nin], {**kwargs, "out": args[fn.nin]}
            return self.with_out(lambda kw: self.call(fn, args, kw), kwargs)
        if isinstance(fn, np.ufunc) and "where" in kwargs:
            raise self.refuse("the where= argument of a ufunc", "use np.where(condition, a, b)")
        if args and is_grown(args[0]) and fn in JOINS:
            return self.join_list(fn, args[0], args[1:], kwargs)
        if args:
            view = self.view_call(fn, args[0], args[1:], kwargs)
            if view is not None:
                return view
        if fn in SHAPED:
            args = [self.shaped(a) if k in SHAPED[fn] else a for k, a in enumerate(args)]
            kwargs = {k: self.shaped(v) if k in ("shape", "N", "M", "newshape") else v for k, v in kwargs.items()}
        if fn is np.linspace and len(args) > 2:
            args[2] = self.shaped(args[2])
        if isinstance(kwargs.get("num"), Var):
            kwargs["num"] = self.shaped(kwargs["num"])
        result = self.emit_op(op, args, kwargs)
        out = self.wrap(result)
        if isinstance(out, ArrayRef) and any(fn is c for c in CREATION):
            out.cell.contiguous = fn not in (np.copy, np.array, np.zeros_like, np.ones_like, np.empty_like, np.full_like) or self.is_contiguous(args[0])
        return out

    def emit_op(self, op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call an op; a run-time integer that it needs statically may be an argument or a loop's index."""
        given = [*args, *kwargs.values()]
        try:
            return op(*(self.op_arg(a) for a in args), **{k: self.op_arg(v) for k, v in kwargs.items()})
        except TypeError as e:
            if e.__traceback__ is None or e.__traceback__.tb_next is not None:
                raise
            raise self.wrong(str(e), "give it the arguments that docs/supported.md lists") from None
        except UnsupportedError as e:
            if not e.diagnostics or e.diagnostics[0].code != "static":
                raise
            for v in self.numbers_in(given):
                if isinstance(v, Size):
                    bound = next((var for (var, _), s in self.bound.items() if s in symbols(v)), None)
                    v = bound if bound is not None else v
                if isinstance(v, Var) and v.type.dtype.kind == "i" and self.roots(v):
                    raise self.need_static(v, e.diagnostics[0].facts.get("what", "this value")) from None
            raise

    def numbers_in(self, vs: Any) -> list[Any]:
        out: list[Any] = []
        for v in vs:
            if isinstance(v, Var | Size):
                out.append(v)
            elif isinstance(v, tuple | list):
                out += self.numbers_in(v)
            elif isinstance(v, ListBox) and not is_grown(v):
                out += self.numbers_in(v.content)
        return out

    def is_contiguous(self, v: Any) -> bool:
        return not isinstance(v, ArrayRef) or v.type.rank == 1 or (v.cell.contiguous and not v.steps)

    def shaped(self, v: Any) -> Any:
        """A shape argument: run-time integers become sizes; floats (of np.arange) stay."""
        if isinstance(v, Var | Lit) and v.type.dtype.kind == "i" and not v.type.dims:
            return self.int_dim(v)
        if isinstance(v, ListBox | Ext | tuple) and not is_grown(v) and any(isinstance(x, Var | Size) for x in self.items(v)):
            return self.shape_value(v)
        return v

    def ufunc_method(self, m: UfuncMethod, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if m.name == "at" and m.ufunc in (np.add, np.subtract) and isinstance(args[0], ArrayRef):
            from adc.ops.index import add_at

            target, index, v = args
            v = self.atom(v)
            if m.ufunc is np.subtract:
                v = -v
            self.store_all(target, add_at(self.read(target), self.index_value(index), v))
            return None
        table = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min, np.logical_and: np.all, np.logical_or: np.any}
        if m.name == "reduce" and m.ufunc in table:
            if len(args) < 2 and "axis" not in kwargs:
                kwargs = {**kwargs, "axis": 0}
            return self.call(table[m.ufunc], args, kwargs)
        axis = args[1] if len(args) > 1 else kwargs.get("axis", 0)
        if m.name == "reduce" and m.ufunc is np.logaddexp and not kwargs.keys() - {"axis", "keepdims"} and len(args) < 3:
            from scipy.special import logsumexp

            return self.call(logsumexp, [args[0]], {"axis": axis, **{k: v for k, v in kwargs.items() if k == "keepdims"}})
        if m.name == "accumulate" and not kwargs.keys() - {"axis"} and len(args) < 3:
            if m.ufunc in (np.add, np.multiply):
                return self.call(np.cumsum if m.ufunc is np.add else np.cumprod, [args[0]], {"axis": axis})
            from adc.ops.scan import RUNNING, running

            if m.ufunc in RUNNING:
                return self.wrap(self.emit_op(running, [m.ufunc, args[0], axis], {}))
        if m.name == "outer":
            a, b = (v if isinstance(v, ArrayRef) else self.wrap(self.atom(v)) for v in args)
            rank = b.type.rank if isinstance(b, ArrayRef) else 0
            left = self.subscript(a, (Ellipsis, *([None] * rank))) if isinstance(a, ArrayRef) and rank else a
            return self.call(m.ufunc, [left, b], kwargs)
        raise fail(UnsupportedError, "no_rule", self.pos(), what=f"np.{m.ufunc.__name__}.{m.name}")

    # ------------------------------------------------------------ user functions

    def call_python(self, fn: types.FunctionType, args: list[Any], kwargs: dict[str, Any]) -> Any:
        source = source_of(fn)
        self.depend(self.unique(f"{fn.__module__}.{fn.__qualname__}", fn.__code__), fn)
        name = self.unique(fn.__qualname__.replace("<locals>.", ""), fn)
        defaults = tuple(self.default(d, f"{name}'s default {k}") for k, d in enumerate(fn.__defaults__ or ()))
        kw = {k: self.default(d, f"{name}'s default {k}") for k, d in (fn.__kwdefaults__ or {}).items()}
        return self.inline(source, source.node, None, fn, fn.__name__, defaults, kw, args, kwargs)

    def default(self, v: Any, path: str) -> Any:
        """A default value: numbers are part of the function's text, arrays are captured."""
        if isinstance(v, bool | int | float | str | None.__class__):
            return v
        return self.lift(v, path, lambda: v)

    def inline(
        self,
        source: Any,
        node: Any,
        outer: Frame | None,
        pyfunc: Any,
        name: str,
        defaults: tuple[Any, ...],
        kw_defaults: dict[str, Any],
        args: list[Any],
        kwargs: dict[str, Any],
    ) -> Any:
        """Stage the body of a function in place."""
        active = sum(1 for n in self.active if n is node)
        if active >= MAX_DYNAMIC and self.conditions:
            # a branch that only data decide stands between the calls: its integers may be static after all
            roots = frozenset(r for c in self.conditions for r in self.roots(c) if r.type.dtype.kind in "ib")
            if any(r in self.leaves for r in roots):
                raise NeedsStatic(self.conditions[-1], roots, self.pos(), f"the depth of the recursion of {name}")
            raise fail(UnsupportedError, "recursion", self.pos(), what=name)
        if self.depth >= MAX_DEPTH:
            raise fail(UnsupportedError, "recursion", self.pos(), what=name)
        frame = Frame(source, node, outer, pyfunc, name)
        self.bind_arguments(frame, node.args, name, defaults, kw_defaults, args, kwargs)
        caller, self.frame = getattr(self, "frame", None), frame
        old_node = self.node
        self.depth += 1
        self.active.append(node)
        try:
            if isinstance(node, gast.Lambda):
                return self.evaluate(node.body)
            self.block(node.body)
            return self.result_of(frame)
        finally:
            self.depth -= 1
            self.active.pop()
            self.node = old_node
            if caller is not None:
                self.frame = caller

    def result_of(self, frame: Frame) -> Any:
        """The value of a finished activation."""
        returned = frame.returned.content
        if isinstance(returned, Lit):
            returned = bool(returned.value)
        value = frame.result.content
        if returned is False:
            return None
        if isinstance(value, Broken):
            raise value.error
        if returned is not True and value is not None:
            # Python returns None where no return was met
            with self.place(frame.node):
                try:
                    join(template(value), template(None))
                except Mismatch as m:
                    raise fail(UnsupportedError, "structure", self.pos(), name=f"the result of {frame.name}", before=m.before, after="None") from None
        return None if value is UNBOUND else value

    def bind_arguments(
        self, frame: Frame, spec: Any, name: str, defaults: tuple[Any, ...], kw_defaults: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        """Python's rules for arguments."""
        plain = [p.id for p in [*spec.posonlyargs, *spec.args]]
        only = {p.id for p in spec.posonlyargs}
        values: dict[str, Any] = dict(zip(plain, args, strict=False))
        extra = args[len(plain) :]
        if extra and spec.vararg is None:
            raise self.wrong(f"TypeError: {name}() takes {len(plain)} positional arguments but {len(args)} were given")
        rest: dict[str, Any] = {}
        keywords = {p.id for p in spec.kwonlyargs}
        for k, v in kwargs.items():
            if k in keywords or (k in plain and k not in only):
                if k in values:
                    raise self.wrong(f"TypeError: {name}() got multiple values for argument {k!r}")
                values[k] = v
            elif spec.kwarg is not None:
                rest[k] = v
            else:
                raise self.wrong(f"TypeError: {name}() got an unexpected keyword argument {k!r}")
        for k, v in zip(plain[len(plain) - len(defaults) :], defaults, strict=True):
            values.setdefault(k, v)
        for k, v in kw_defaults.items():
            values.setdefault(k, v)
        missing = [p for p in (*plain, *(q.id for q in spec.kwonlyargs)) if p not in values]
        if missing:
            raise self.wrong(f"TypeError: {name}() missing required argument {missing[0]!r}")
        if spec.vararg is not None:
            values[spec.vararg.id] = tuple(extra)
        if spec.kwarg is not None:
            values[spec.kwarg.id] = DictBox(rest)
        for k, v in values.items():
            frame.boxes[k].content = self.kept(v, f" in {k}")
            if isinstance(v, Var) and not v.hint:
                object.__setattr__(v, "hint", k)

    # ------------------------------------------------------------ objects

    def call_ext(self, fn: Ext, args: list[Any], kwargs: dict[str, Any]) -> Any:
        obj = fn.obj
        if isinstance(obj, functools.partial):
            get = fn.get
            first = self.children(Ext(obj.args, f"{fn.path}.args", lambda: get().args))
            words = Ext(obj.keywords, f"{fn.path}.keywords", lambda: get().keywords)
            named = {k: self.child(words, k) for k in obj.keywords}
            return self.call(self.lift(obj.func, f"{fn.path}.func", lambda: get().func), [*first, *args], {**named, **kwargs})
        if isinstance(obj, np.vectorize):
            get = fn.get
            kinds = tuple(obj.otypes) if obj.otypes is not None else None
            made = self.builtin_vectorize(self.lift(obj.pyfunc, f"{fn.path}.pyfunc", lambda: get().pyfunc), kinds, None, obj.excluded, obj.cache, obj.signature)
            return self.vectorized(made, args, kwargs)
        if isinstance(obj, types.MethodType):
            get = fn.get
            return self.call(obj.__func__, [self.lift(obj.__self__, f"{fn.path}.__self__", lambda: get().__self__), *args], kwargs)
        if lookup(obj) is not None:
            return self.call_op(obj, args, kwargs)
        call = getattr(type(obj), "__call__", None)
        if isinstance(call, types.FunctionType):
            return self.call(call, [fn, *args], kwargs)
        raise fail(UnsupportedError, "no_rule", self.pos(), what=fn.path)

    def construct(self, cls: type, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """An instance of a user's class."""
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            return self.python(cls, *args, **kwargs)
        if issubclass(cls, BaseException):
            return Ext(cls, cls.__name__, lambda: cls) if not args else self.exception(cls, args)
        if issubclass(cls, np.generic):
            return self.call_cast(np.dtype(cls), args)
        if cls.__module__ in ("builtins", "numpy", "collections") or (isinstance(cls.__new__, types.BuiltinFunctionType) and cls.__new__ is not object.__new__):
            raise fail(UnsupportedError, "no_rule", self.pos(), what=self.name_of(cls))
        self.depend(self.unique(f"{cls.__module__}.{cls.__qualname__}", cls), cls)
        box = ObjBox(cls, {}, cls.__name__)
        if dataclasses.is_dataclass(cls) and "__init__" in cls.__dict__ and not hasattr(cls.__init__, "__adc_user__") and self.generated_init(cls):
            self.dataclass_init(box, cls, args, kwargs)
            return box
        if cls.__init__ is not object.__init__:
            self.call(cls.__init__, [box, *args], kwargs)
        return box

    def generated_init(self, cls: type) -> bool:
        return vars(cls)["__init__"].__code__.co_filename.startswith("<")

    def exception(self, cls: type, args: list[Any]) -> Any:
        text = args[0] if isinstance(args[0], str) else str(args[0])
        return Ext(cls(text), cls.__name__, lambda: cls)

    def dataclass_init(self, box: ObjBox, cls: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        fields = [f for f in dataclasses.fields(cls) if f.init]
        values = dict(zip([f.name for f in fields if not f.kw_only], args, strict=False))
        values.update(kwargs)
        for f in fields:
            if f.name not in values:
                if f.default is not dataclasses.MISSING:
                    values[f.name] = self.default(f.default, f"{cls.__name__}.{f.name}")
                elif f.default_factory is not dataclasses.MISSING:
                    values[f.name] = self.call(f.default_factory, [], {})
                else:
                    raise self.wrong(f"TypeError: {cls.__name__}() missing argument {f.name!r}")
        unknown = [k for k in values if k not in {f.name for f in fields}]
        if unknown or len(args) > len(fields):
            raise self.wrong(f"TypeError: {cls.__name__}() got an unexpected argument")
        self.write(box, {f.name: values[f.name] for f in fields})
        if hasattr(cls, "__post_init__"):
            self.call(self.class_attribute(box, cls, "__post_init__"), [], {})

    def super_call(self, node: Any) -> Any:
        frame: Frame | None = self.frame
        while frame is not None and frame.pyfunc is None:
            frame = frame.outer
        if frame is None or not frame.scope.params:
            raise self.refuse("super() here", "call the base class by its name")
        fn = frame.pyfunc
        receiver = frame.boxes[frame.scope.params[0]].content
        cell = fn.__closure__[fn.__code__.co_freevars.index("__class__")] if "__class__" in fn.__code__.co_freevars else None
        if cell is None:
            raise self.refuse("super() here", "call the base class by its name")
        cls = receiver.cls if isinstance(receiver, ObjBox) else type(receiver.obj)
        mro = cls.__mro__
        return SuperValue(receiver, mro[mro.index(cell.cell_contents) + 1 :])

    def attribute(self, v: Any, name: str) -> Any:
        if isinstance(v, SuperValue):
            for k in v.mro:
                if name in k.__dict__:
                    if k is object:
                        return lambda *a, **kw: None
                    return BoundMethod(v.receiver, name, k.__dict__[name])
            raise self.wrong(f"AttributeError: super object has no attribute {name}")
        return super().attribute(v, name)

    # ------------------------------------------------------------ adc's own transformations

    def transformed(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """`adc.grad(f)(x)` inside user code: stage f for these argument types, let the transformation emit."""
        from adc.frontend.nested import call_transformed

        return call_transformed(self, fn.obj if isinstance(fn, Ext) else fn, args, kwargs)


class SuperValue:
    """`super()` inside a method."""

    def __init__(self, receiver: Any, mro: tuple[type, ...]):
        self.receiver, self.mro = receiver, mro
