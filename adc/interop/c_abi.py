"""A compiled function as a plain C function: address, prototype, ctypes and cffi.

In: a derivative and example arguments.  Out: a `CFunction`.  Anything that can call C can call it: a C library loaded
into the same process, cffi, Cython, Julia, Rust.  (`adc build` makes libraries that need no Python at all.)

    int64_t loss_grad(void *state, const double *w, const double *X, int64_t w_n, int64_t X_n0, double *w_bar)
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from adc.interop import adapter
from adc.interop.native import CAPTURED, Bound, Native, native
from adc.interop.prototypes import ctypes_type

C_NAMES = {"f8": "double", "f4": "float", "i8": "int64_t", "i4": "int32_t", "b1": "uint8_t"}


def c_name(dtype: np.dtype[Any]) -> str:
    return C_NAMES[dtype.str[1:]]


class CFunction:
    """What `adc.c_function` returns.

    `address`: of the function.  `state`: the first argument of every call: where the function finds what it captured;
    valid as long as this object lives.  `prototype`: the declaration in C.  The function returns 0, k > 0 where the
    k-th of `checks` failed, -1 where sizes are not those it was compiled for (axes of at least 2, unless the example
    had 1 or 0), -2 where memory is short.  It may be called from several threads at once.
    """

    def __init__(self, native: Native):
        self.native = native
        self.name = native.name
        given = [k for k, p in enumerate(native.params) if p.arg != CAPTURED]
        self._bound = Bound(native, given, True)
        self.address = adapter.address(native, self._bound.given, True, "plain", None)
        self.state = self._bound.address
        self.checks = tuple(c.message or c.code for c in native.kernel.checks)
        taken = {"state", *(b.name for b in native.kernel.params)}
        params = [_declared(b.name, b.dtype, bool(b.dims), True) for k, b in enumerate(native.kernel.params) if k in self._bound.given]
        sizes = [f"int64_t {_fresh(b.sym.hint or 'n', taken)}" for b in self.sizes]
        outs = [_declared(_fresh(o.name, taken), o.dtype, True, False) for o in native.kernel.outs]
        self.prototype = f"int64_t {self.name}({', '.join(['void *state', *params, *sizes, *outs])})"

    @property
    def sizes(self) -> tuple[Any, ...]:
        """Which extent each size argument is: (parameter, axis)."""
        return tuple(b for b in self.native.plan.sizes if b.param in self._bound.given)

    @cached_property
    def ctypes(self) -> Any:
        """The function for ctypes, with argument types; it releases the interpreter lock."""
        return ctypes_type(self.prototype)(self.address)

    def cffi(self, ffi: Any) -> Any:
        """The function for cffi: `ffi` is a `cffi.FFI()`."""
        head, _, arguments = self.prototype.partition("(")
        return ffi.cast(f"{head.replace(self.name, '').strip()} (*)({arguments}", self.address)

    def __repr__(self) -> str:
        return f"<adc C function {self.prototype}>"


def _fresh(name: str, taken: set[str]) -> str:
    """`name`, or with a number behind it where it is taken; taken from now on."""
    found = next(n for k in range(len(taken) + 1) if (n := f"{name}_{k}" if k else name) not in taken)
    taken.add(found)
    return found


def _declared(name: str, dtype: np.dtype[Any], pointer: bool, constant: bool) -> str:
    return f"{'const ' if pointer and constant else ''}{c_name(dtype)} {'*' if pointer else ''}{name}"


def c_function(fn: Any, *example_args: Any) -> CFunction:
    """The compiled `fn` as a C function.

    Args:
        fn: what `adc.grad`, `adc.value_and_grad`, … return, or a plain function.
        example_args: arguments with the dtypes and ranks of later calls; axes of extent 1 and 0 stay so.

    Returns a `CFunction`: `address`, `state`, `prototype`, `ctypes`, `cffi(ffi)`.  Arrays are passed as pointers to
    C-ordered memory, numbers by value, then one size per symbol, then a pointer per result.

    Raises: what `fn` itself raises where it cannot be compiled; `UnsupportedError` for results whose size depends on data.

    >>> import numpy as np, adc
    >>> f = adc.c_function(adc.grad(lambda x: np.sum(x ** 3)), np.ones(2))     # doctest: +SKIP
    >>> f.prototype                                                           # doctest: +SKIP
    'int64_t f_grad(void *state, const double *x, int64_t x_n, double *x_bar)'
    """
    return CFunction(native(fn, example_args))
