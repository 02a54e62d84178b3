"""Numba's target for kernels: numbers, pointers, ranges, `math`, and nothing else.

Numba's own CPU target loads what any function of any user may ask for (arrays, strings, containers, random numbers, and
with them SciPy), and compiles its run-time for objects: some 0.7 s before the first line of a kernel is looked at.  A
kernel works on pointers and numbers; where it calls a routine of somebody else (`full`), it is compiled by Numba's target.

    with target.use(full=False) as numba_target:      # what compiles: numba_target.typing_context, .target_context
        ...
    target.Routine(fn, flags, context, library, passes)   # a plain function, as kernels call it
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from functools import cached_property
from types import ModuleType
from typing import Any

from numba.core import fastmathpass, types, typing
from numba.core.compiler import compile_extra
from numba.core.cpu import CPUContext, CPUTargetOptions
from numba.core.datamodel.models import OpaqueModel
from numba.core.datamodel.registry import register_default
from numba.core.descriptors import TargetDescriptor
from numba.core.dispatcher import Dispatcher
from numba.core.imputils import Registry as ImplementationRegistry
from numba.core.registry import cpu_target
from numba.core.sigutils import normalize_signature
from numba.core.target_extension import CPU, dispatcher_registry, jit_registry, target_override, target_registry
from numba.core.typing.npydecl import NumpyRulesArrayOperator
from numba.core.typing.templates import ConcreteTemplate, RegistryLoader, _OverloadAttributeTemplate, signature
from numba.core.typing.templates import Registry as TypingRegistry

NAME = "adc"


def _smaller(context: Any, b: Any, signature: Any, values: Any) -> Any:
    return b.select(b.icmp_signed("<", values[0], values[1]), *values)


def _larger(context: Any, b: Any, signature: Any, values: Any) -> Any:
    return b.select(b.icmp_signed(">", values[0], values[1]), *values)


def _quotient(context: Any, b: Any, signature: Any, values: Any) -> Any:
    return b.fdiv(*values)


known, made = TypingRegistry(), ImplementationRegistry("adc")
"""`min` and `max` of two numbers of loops: Numba's are functions of its own, compiled anew in every process."""
for _fn, _body in ((min, _smaller), (max, _larger)):
    known.register_global(_fn)(type(f"{_fn.__name__}_int64", (ConcreteTemplate,), {"cases": [signature(types.int64, types.int64, types.int64)]}))
    made.lower(_fn, types.int64, types.int64)(_body)
for _t in (types.float32, types.float64):
    # Numba's asks for a zero first, and then does the same
    made.lower(operator.truediv, _t, _t)(_quotient)
    made.lower(operator.itruediv, _t, _t)(_quotient)


SETTLED = ("builtins", "math", "numpy", "_operator")
"""Modules whose functions mean the same for as long as the process lives."""


class Typing(typing.Context):  # type: ignore[misc]
    """Which functions there are, and their types."""

    def load_additional_registries(self) -> None:
        from numba.core.typing import mathdecl, npydecl

        self.install_registry(known)  # first: the first that fits is taken
        self.install_registry(mathdecl.registry)
        self.install_registry(npydecl.registry)

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[Any, Any] = {}

    def resolve_value_type(self, val: Any) -> Any:
        """Found once: Numba asks for `math` and for 0.0 wherever they stand, and looks among the types of arrays and C functions first."""
        if type(val) is float:
            return types.float64
        if type(val) is int and -(1 << 63) <= val < 1 << 63:
            return types.int64
        if isinstance(val, type):
            return super().resolve_value_type(val)
        settled = type(val) is ModuleType or (callable(val) and getattr(val, "__module__", None) in SETTLED)
        found = self.found.get(val) if settled else None
        if found is None:
            found = self._get_global_type(val) or super().resolve_value_type(val)
        if settled:
            self.found[val] = found
        return found

    def resolve_getattr(self, typ: Any, attr: str) -> Any:
        if not isinstance(typ, types.Module):
            return super().resolve_getattr(typ, attr)
        key = typ, attr
        if key not in self.found:
            self.found[key] = super().resolve_getattr(typ, attr)
        return self.found[key]

    def install_registry(self, registry: Any) -> None:
        """As Numba does it, without what a kernel has no use for and pays for: the methods of containers, and `+` of arrays,
        which would be tried before that of numbers at each operation."""
        loader = self._registries.get(registry)
        if loader is None:
            loader = self._registries[registry] = RegistryLoader(registry)
        for template in loader.new_registrations("functions"):
            self.insert_function(template(self))
        for template in loader.new_registrations("attributes"):
            if _OverloadAttributeTemplate not in template.__mro__:  # `issubclass` asks ABCs, which takes ten times as long
                self.insert_attributes(template(self))
        for value, kind in loader.new_registrations("globals"):
            if type(kind) is types.Function:
                if NumpyRulesArrayOperator in kind.templates[0].__mro__:
                    continue
                kind = Operation(kind.templates)
            known = self._lookup_global(value)
            if known is not None:
                kind = known.augment(kind)
                self._remove_global(value)
                self._insert_global(value, kind)
            else:
                self.insert_global(value, kind)


class Operation(types.Function):  # type: ignore[misc]
    """`+`, `math.sin`, …: a kernel adds floats a thousand times, and which function that is, is found once."""

    def __init__(self, template: Any) -> None:
        super().__init__(template)
        self.found: dict[Any, Any] = {}

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        if kws:
            return super().get_call_type(context, args, kws)
        if args not in self.found:
            self.found[args] = super().get_call_type(context, args, kws)
        return self.found[args]


register_default(Operation)(OpaqueModel)


class Context(CPUContext):  # type: ignore[misc]
    """What those functions are made of."""

    found: dict[Any, Any]
    bytes: dict[Any, int]

    def load_additional_registries(self) -> None:
        from numba.cpython import builtins, iterators, mathimpl, numbers, rangeobj, tupleobj  # noqa: F401
        from numba.np import npyimpl

        self.install_registry(mathimpl.registry)
        self.install_registry(npyimpl.registry)

    def refresh(self) -> None:
        super().refresh()
        self.install_registry(made)  # last: it replaces Numba's

    def subtarget(self, **words: Any) -> Any:
        new = super().subtarget(**words)
        new.found, new.bytes = {}, {}
        return new

    def get_function(self, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        """Found once: Numba wraps the body of `+` anew at each addition, and reads its signature."""
        if not isinstance(fn, Operation):
            return super().get_function(fn, sig, _firstcall)
        key = fn, sig.args, sig.return_type
        if key not in self.found:
            self.found[key] = super().get_function(fn, sig, _firstcall)
        return self.found[key]

    def get_abi_sizeof(self, ty: Any) -> Any:
        """Asked of LLVM once for each type, not for each variable."""
        if ty not in self.bytes:
            self.bytes[ty] = super().get_abi_sizeof(ty)
        return self.bytes[ty]

    def post_lowering(self, mod: Any, library: Any) -> None:
        """As Numba does it, without linking its run-time for objects to each function."""
        if self.fastmath:
            fastmathpass.rewrite_module(mod, self.fastmath)


class KernelTarget(TargetDescriptor):  # type: ignore[misc]
    options = CPUTargetOptions

    @cached_property
    def typing_context(self) -> Any:
        return Typing()

    @cached_property
    def target_context(self) -> Any:
        return Context(self.typing_context, NAME)


class Kernel(CPU):  # type: ignore[misc]
    """The name by which Numba knows it."""


lean = KernelTarget(NAME)


class KernelDispatcher(Dispatcher):  # type: ignore[misc]
    targetdescr = lean


target_registry[NAME] = Kernel
dispatcher_registry[Kernel] = KernelDispatcher
jit_registry[Kernel] = lambda **options: lambda fn: KernelDispatcher(fn, targetoptions=options)


@contextlib.contextmanager
def use(full: bool) -> Iterator[Any]:
    """The target that compiles a kernel, up to date; `full`: Numba's own."""
    chosen = cpu_target if full else lean
    with contextlib.nullcontext() if full else target_override(NAME):
        chosen.target_context.refresh()  # and with it the typing context
        yield chosen


class Routine(KernelDispatcher):  # type: ignore[misc]
    """A plain function that kernels call: compiled into the library of the kernel, by its passes, and never called from Python."""

    def __init__(self, fn: Any, flags: Any, context: Any, library: Any, pipeline: Any) -> None:
        super().__init__(fn)
        self.how = flags, context, library, pipeline

    def compile(self, sig: Any) -> Any:
        args, _ = normalize_signature(sig)
        if args not in self.overloads:
            flags, context, library, pipeline = self.how
            made = compile_extra(lean.typing_context, context, self.py_func, args, None, flags, {}, library, pipeline_class=pipeline)
            key = object()  # by which Numba finds it: elsewhere the function that Python would call
            context.insert_user_function(key, made.fndesc, [])
            self.overloads[args] = made._replace(entry_point=key)
        found: Any = self.overloads[args]
        return found.entry_point


__all__ = ["Routine", "use"]
