"""A compiled function inside functions that the user compiles with Numba.

In: a derivative and example arguments.  Out: `numba_callable(...)`: a function jitted by Numba, a few lines that take
pointers and sizes out of Numba's arrays and call the kernel's machine code.  Nothing is compiled twice.

    g = adc.numba_callable(adc.grad(loss), w, X, y)

    @numba.njit
    def descend(w, X, y, steps):
        w_bar = np.empty_like(w)
        for _ in range(steps):
            g(w, X, y, w_bar)              # into a buffer of the caller's; g(w, X, y) allocates one
            w -= 0.1 * w_bar
"""

from __future__ import annotations

import keyword
import linecache
from typing import Any

import numpy as np

from adc.backend import layout
from adc.errors import CheckError, ShapeError, StageError
from adc.interop import adapter
from adc.interop.native import CAPTURED, Bound, Native, native, refused
from adc.ir.reach import Leaf
from adc.lower.kernel import Buffer, Kernel

_kept: list[Bound] = []
"""Machine code that Numba has made holds the address of their words: they live as long as the process."""


def numba_callable(fn: Any, *example_args: Any) -> Any:
    """The compiled `fn` as a function to call inside `@numba.njit` code (and from Python).

    Args:
        fn: what `adc.grad`, `adc.value_and_grad`, … return, or a plain function.
        example_args: arguments with the dtypes, ranks and containers of later calls.  Axes of extent 1 and 0 stay so;
            other axes may have any length from 2.

    Returns a Numba function of the same arguments.  Arrays in its result are newly allocated, or lie in buffers that
    the caller passes behind the arguments, one per array of the result in order (C-contiguous, of its shape and
    dtype; by position, or by the names that `help` shows); numbers are returned.  Lists and tuples of results come as tuples.
    Arrays that `fn` reads from outside are those of now: a copy is taken.

    Raises, while the caller is compiled, `numba.TypingError` for an argument of another dtype or rank; at run time
    `ShapeError` (a `ValueError`) for sizes that do not fit and `CheckError` for a failed `assert` or index in `fn`.

    >>> import numba, numpy as np, adc
    >>> g = adc.numba_callable(adc.grad(lambda x: np.sum(x ** 3)), np.ones(2))
    >>> numba.njit(lambda x: g(x) + 1.0)(np.array([1.0, 2.0, 3.0]))
    array([ 4., 13., 28.])
    """
    return _Text(native(fn, example_args)).function()


class _Text:
    """Writes the function's source, and the intrinsic that it calls."""

    def __init__(self, native: Native):
        self.native = native
        self.name = native.name
        given = [k for k, p in enumerate(native.params) if p.arg != CAPTURED]
        self.bound = Bound(native, given, True)
        self.space: dict[str, Any] = {"np": np, "ShapeError": ShapeError, "CheckError": CheckError, "StageError": StageError}
        self.arguments = [self.usable(n) for n in native.names]
        self.sizes = {b.sym: f"s{j}" for j, b in enumerate(native.plan.sizes) if b.param in self.bound.given}
        taken = {*self.arguments, *self.sizes.values()}
        self.outs: list[str] = []
        for o in native.kernel.outs:
            base = self.usable(o.name)
            self.outs.append(next(n for k in range(99) if (n := f"{base}_{k}" if k else base) not in taken))
            taken.add(self.outs[-1])

    def usable(self, name: str) -> str:
        return f"{name}_" if keyword.iskeyword(name) or name in ("np", "call", "code") else name

    # ------------------------------------------------------------ arguments and results

    def leaf(self, arg: int, path: tuple[Any, ...]) -> str:
        inside = self.native.args[arg]
        for p in path:
            if not isinstance(inside, tuple):
                break
            inside = inside[p]
        else:
            return self.arguments[arg] + "".join(f"[{p}]" for p in path)
        raise refused(
            f"argument {self.native.names[arg]} of {self.name} is a {type(inside).__name__}, which Numba cannot take apart",
            "pass tuples (or named tuples) of arrays and numbers inside Numba",
        )

    def extent(self, k: int, axis: int) -> str:
        p = self.native.params[k]
        return f"{self.leaf(p.arg, p.path)}.shape[{axis}]"

    def result(self, tree: Any) -> str:
        if isinstance(tree, Leaf):
            return self.outs[tree.index]
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            self.space[type(tree).__name__] = type(tree)
            return f"{type(tree).__name__}({', '.join(map(self.result, tree))})"
        if isinstance(tree, tuple | list):
            return f"({''.join(f'{self.result(x)}, ' for x in tree)})"
        if tree is None or isinstance(tree, bool | int | float):
            return repr(tree)
        raise refused(f"the result of {self.name} is a {type(tree).__name__}, which Numba has not", "return tuples (or named tuples) of arrays and numbers")

    # ------------------------------------------------------------ the text

    def lines(self) -> list[str]:
        native, kernel, plan = self.native, self.native.kernel, self.native.plan
        lines: list[str] = []

        def unless(condition: str, message: str, kind: str = "ShapeError") -> None:
            lines.append(f"if not ({condition}): raise {kind}({message!r})")

        for arg, path, value in native.statics:
            if value is None:
                continue
            if not isinstance(value, int):
                raise refused(f"argument {native.names[arg]} of {self.name} is a {type(value).__name__}, which Numba does not hand over", "fix it: functools.partial(f, …), or a closure")
            unless(f"{self.leaf(arg, path)} == {value}", f"{self.name} was compiled for {native.names[arg]} = {value}: make another callable with the new value")
        own = [b for b in plan.sizes if b.param in self.bound.given]
        leaves = [self.leaf(p.arg, p.path) for k, p in enumerate(native.params) if k in self.bound.given]
        buffers = [self.outs[k] for k, o in enumerate(kernel.outs) if o.dims]
        if leaves or buffers:
            self.space["expect"] = self.expecting(len(leaves), len(buffers))
            lines.append(f"expect({', '.join([*leaves, *buffers])})")
        lines += [f"{self.sizes[b.sym]} = {self.extent(b.param, b.axis)}" for b in own]
        for b in own:
            unless(f"{self.sizes[b.sym]} >= 2", f"axis {b.axis} of {kernel.params[b.param].name} is shorter than 2: make another callable, with an example of that length")
        names = {**self.sizes, **{s: str(n) for s, n in native.sizes.items() if s not in self.sizes}}
        for k, axis, dim in plan.fixed:
            name = kernel.params[k].name
            if k in self.bound.given:
                unless(f"{self.extent(k, axis)} == {layout.dim_text(dim, names)}", f"argument {name} of {self.name} has another length along axis {axis} than {dim}")
        for k, o in enumerate(kernel.outs):
            if not o.dims:
                continue
            shape = "(" + "".join(f"{layout.dim_text(d, names)}, " for d in plan.outs[k]) + ")"
            lines += [f"if {self.outs[k]} is None:", f"    {self.outs[k]}_ = np.empty({shape}, d{k})", "else:", f"    {self.outs[k]}_ = {self.outs[k]}"]
            lines.append(f"    if {self.outs[k]}_.shape != {shape}: raise ShapeError({f'the buffer {self.outs[k]} of {self.name} has another shape than the result'!r})")
            self.space[f"d{k}"] = o.dtype
        made = [f"{self.outs[k]}_" for k, o in enumerate(kernel.outs) if o.dims]
        numbers = [self.outs[k] for k, o in enumerate(kernel.outs) if not o.dims]
        passed = [*leaves, *(self.sizes[b.sym] for b in own), *made]
        values = ", ".join(passed)
        self.space["call"] = self.intrinsic(len(passed))
        lines.append(f"{', '.join(['code', *numbers])}{'' if numbers else ','} = call({values})")
        lines.append("if code != 0:")
        failures = [(k, "CheckError", f"{c.pos}: {c.message or c.code}" if c.pos else c.message or c.code) for k, c in enumerate(kernel.checks, 1)]
        failures.append((adapter.SIZES, "ShapeError", f"the sizes of the arguments of {self.name} do not fit"))
        failures.append((adapter.MEMORY, "MemoryError", f"no memory for the scratch of {self.name}"))
        lines += [f"    if code == {k}: raise {kind}({message!r})" for k, kind, message in failures]
        lines.append(f"    raise StageError({f'adc made a mistake: {self.name} reports a code that it has not'!r})")
        for k, o in enumerate(kernel.outs):
            if o.dims:
                lines.append(f"{self.outs[k]} = {self.outs[k]}_")
        lines.append(f"return {self.result(native.out_tree)}")
        return lines

    def function(self) -> Any:
        import numba

        lines = self.lines()
        buffers = [f"{self.outs[k]}=None" for k, o in enumerate(self.native.kernel.outs) if o.dims]
        name = self.name if self.name.isidentifier() else "compiled"
        text = f"def {name}({', '.join([*self.arguments, *buffers])}):\n" + "".join(f"    {line}\n" for line in lines)
        self.space["__name__"] = f"adc.numba.{name}"
        place = f"<adc numba_callable {name}>"
        linecache.cache[place] = (len(text), None, text.splitlines(True), place)  # Numba's errors show the line
        exec(compile(text, place, "exec"), self.space)
        _kept.append(self.bound)
        return numba.njit(error_model="numpy")(self.space[name])

    # ------------------------------------------------------------ the call

    def intrinsic(self, count: int) -> Any:
        """`call(leaves…, sizes…, arrays of results…) -> (code, numbers of the result…)` of `count` arguments."""
        from numba.core import types
        from numba.extending import intrinsic
        from numba.np.numpy_support import from_dtype

        kernel = self.native.kernel
        params = [kernel.params[k] for k in sorted(self.bound.given)]
        arrays = [o for o in kernel.outs if o.dims]
        numbers = [o for o in kernel.outs if not o.dims]
        address = adapter.address(self.native, self.bound.given, True, "plain", None)

        def typed(*values: Any) -> Any:
            found = [self.wanted(b, v, "argument") for b, v in zip(params, values, strict=False)]
            found += [types.int64] * (count - len(params) - len(arrays))
            found += [self.wanted(b, v, "buffer") for b, v in zip(arrays, values[len(found) :], strict=True)]
            result = types.Tuple([types.int64, *(from_dtype(o.dtype) for o in numbers)])

            def codegen(context: Any, b: Any, signature: Any, given: Any) -> Any:
                return _call(context, b, signature, given, kernel, address, self.bound.address, self.name)

            return result(*found), codegen

        return intrinsic(_of_arity("call", count, typed))

    def expecting(self, leaves: int, buffers: int) -> Any:
        """`expect(leaves…, buffers…)`: nothing happens at run time; types that do not fit are refused before anything else."""
        from numba.core import types
        from numba.extending import intrinsic

        params = [self.native.kernel.params[k] for k in sorted(self.bound.given)]
        arrays = [o for o in self.native.kernel.outs if o.dims]

        def typed(*values: Any) -> Any:
            found = [self.wanted(b, v, "argument") for b, v in zip(params, values[:leaves], strict=True)]
            for b, v in zip(arrays, values[leaves:], strict=True):
                left_out = isinstance(v, types.NoneType | types.Omitted)
                found.append(v if left_out else self.wanted(b, v, "buffer"))
            return types.none(*found), lambda context, b, signature, given: context.get_dummy_value()

        return intrinsic(_of_arity("expect", leaves + buffers, typed))

    def wanted(self, buffer: Buffer, given: Any, what: str) -> Any:
        """The Numba type that is handed over: numbers are converted, arrays never."""
        from numba.core import types
        from numba.core.errors import TypingError
        from numba.np.numpy_support import from_dtype

        dtype = from_dtype(buffer.dtype)
        given = types.unliteral(given)
        if not buffer.dims:
            kinds = {"f": types.Number, "i": types.Integer, "u": types.Integer, "b": types.Boolean}[buffer.dtype.kind]
            if isinstance(given, kinds) and not isinstance(given, types.Complex):
                return dtype
            raise TypingError(f"adc: {what} {buffer.name} of {self.name} is {given}, and was compiled for {dtype}")
        want = types.Array(dtype, len(buffer.dims), "C")
        if not isinstance(given, types.Array) or (given.dtype, given.ndim, given.layout, given.aligned) != (dtype, len(buffer.dims), "C", True):
            raise TypingError(f"adc: {what} {buffer.name} of {self.name} is {given}, and was compiled for {want} (np.ascontiguousarray, astype)")
        if what == "buffer" and not given.mutable:
            raise TypingError(f"adc: buffer {buffer.name} of {self.name} is read-only")
        return given


def _of_arity(name: str, count: int, typed: Any) -> Any:
    """A typing function of exactly `count` arguments: a star would make a tuple, which counts references of its arrays."""
    names = ", ".join(f"a{k}" for k in range(count))
    space: dict[str, Any] = {"typed": typed}
    exec(f"def {name}(typingctx, {names}): return typed({names})", space)
    return space[name]


def _call(context: Any, b: Any, signature: Any, given: Any, kernel: Kernel, address: int, state: int, name: str) -> Any:
    """The instructions: pointers out of arrays, the call, and its numbers in a tuple behind the code."""
    from llvmlite import ir
    from numba.core import types

    from adc.backend.glue import I64, machine_type

    count = sum(1 for o in kernel.outs if o.dims)
    passed = []
    for value, kind in zip(given, signature.args, strict=True):
        if isinstance(kind, types.Array):
            passed.append(context.make_array(kind)(context, b, value).data)
        else:
            passed.append(context.cast(b, value, kind, types.uint8) if kind == types.boolean else value)
    inputs, arrays = passed[: len(passed) - count], iter(passed[len(passed) - count :])
    results = []
    for o in kernel.outs:
        with b.goto_entry_block():
            results.append(next(arrays) if o.dims else b.alloca(machine_type(o.dtype)))
    arguments = [*inputs, *results]
    type = ir.FunctionType(I64, [I64.as_pointer(), *(v.type for v in arguments)])
    # as dynamic addresses: Numba then knows that its code must not be kept for another process
    target = b.bitcast(context.add_dynamic_addr(b, address, info=f"adc_{name}"), type.as_pointer())
    words = b.bitcast(context.add_dynamic_addr(b, state, info=f"adc_{name}_state"), I64.as_pointer())
    code = b.call(target, [words, *arguments])
    values = [code]
    for o, at in zip(kernel.outs, results, strict=True):
        if not o.dims:
            value = b.load(at)
            values.append(context.cast(b, value, types.uint8, types.boolean) if o.dtype.kind == "b" else value)
    return context.make_tuple(b, signature.return_type, values)


__all__ = ["numba_callable"]
