"""The table of contents of the compiler: `STAGES`, from a Python function to something to call.

In: a transformation, the types of its arguments.  Out: a `Program`.  After every stage the verifier looks
at the program when `ADC_CHECK=1`; `ADC_DUMP=optimize` prints the program there.

>>> [s.name for s in STAGES]
['stage', 'apply', 'optimize', 'numpy_source', 'lower', 'kernel', 'load']
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from adc.api.trees import TARGETS, flatten
from adc.ir.build import Builder, at, building, guarding
from adc.ir.program import Atom, Block, Function, Tensor, Var, free_vars
from adc.ir.rewrite import Copier
from adc.ir.verify import verify

if TYPE_CHECKING:
    from adc.frontend import Capture, Dependency, Staged
    from adc.transform.report import LoopReport



@dataclass
class Build:
    """A compilation under way; each stage adds to it."""

    transformed: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    target: str
    primals: list[Function] = field(default_factory=list)
    captures: list[tuple[Capture, Var]] = field(default_factory=list)
    dependencies: dict[str, Dependency] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    """The names of arrays from outside that functions store into."""
    emitted: tuple[Atom, ...] = ()
    params: tuple[Var, ...] = ()
    block: Block | None = None
    guards: tuple[Any, ...] = ()
    applied: Function | None = None
    function: Function | None = None
    plans: list[LoopReport] = field(default_factory=list)
    out_tree: Any = None
    source: str | None = None
    kernel: Any = None
    kernel_text: str | None = None
    run: Callable[..., tuple[Any, ...]] | None = None

    @property
    def name(self) -> str:
        return str(self.transformed.source_name)

    @property
    def changes(self) -> tuple[int, ...]:
        """The run-time leaves and captures that functions store into, where another array is beside them: no two may lie in one memory."""
        arrays = [(k, v.hint) for k, v in enumerate((*self.params, *(v for _, v in self.captures))) if v.type.dims]
        if not self.changed or len(arrays) < 2:
            return ()
        known = self.changed <= {hint for _, hint in arrays}  # of *args, say, a leaf may have another name than the function's own: then all
        return tuple(k for k, hint in arrays if not known or hint in self.changed)

    @property
    def program(self) -> Function:
        assert self.function is not None
        return self.function


class Stage(NamedTuple):
    name: str
    targets: tuple[str, ...]
    does: Callable[[Build], None]
    what: str


class StaticLeaf(Exception):
    """An int argument must be static: `tensor` is the very type object that stood for it."""

    def __init__(self, tensor: Tensor, cause: Exception):
        super().__init__(str(cause))
        self.tensor, self.cause = tensor, cause


# ---------------------------------------------------------------- staging


def stager(build: Build) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], tuple[Staged, tuple[Atom, ...]]]:
    """What transformations call to stage their function: (staged, atoms of what it captured)."""

    def stage(fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Staged, tuple[Atom, ...]]:
        from adc import frontend

        if hasattr(type(fun), "__adc_apply__"):
            return closed(stage, fun, args, kwargs)
        try:
            staged = frontend.stage(fun, args, kwargs)
        except frontend.NeedStatic as e:
            types = [x for x in flatten((args, kwargs))[0] if isinstance(x, Tensor)]
            raise StaticLeaf(types[e.leaf_index], e) from None
        build.primals.append(staged.function)
        build.changed |= staged.changed
        for d in staged.dependencies:
            build.dependencies.setdefault(d.what, d)
        own = staged.function.params[len(staged.function.params) - len(staged.captures) :]
        captured = tuple(Var(p.type, p.hint, p.pos) for p in own)
        build.captures.extend(zip(staged.captures, captured, strict=True))
        return staged, captured

    return stage


def closed(stage: Any, fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Staged, tuple[Atom, ...]]:
    """A transformation staged as a function of its own; what it reads from around becomes parameters."""
    from adc.frontend import Staged

    types, in_tree = typed_tree(args, kwargs)
    params = fresh_params(types, hints(fun, in_tree))
    with building(*params) as b:
        results, out_tree = fun.__adc_apply__(stage, in_tree, types, params)
    function, outer = close(fun.source_name, params, b, tuple(results))
    return Staged(function, out_tree, (), (), in_tree), outer


def close(name: str, params: tuple[Var, ...], b: Builder, results: tuple[Atom, ...]) -> tuple[Function, tuple[Var, ...]]:
    """The block as a function of `params` and of what it reads from around: (function, what it reads)."""
    body = Block((), tuple(b.stmts), results)
    mine = set(params)
    outer = tuple(v for v in free_vars(body) if v not in mine)
    copier = Copier()
    own = copier.defines((*params, *outer))
    inside = copier.block(body)
    return Function(name, own, Block(own, inside.stmts, inside.results)), outer


def typed_tree(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Tensor, ...], Any]:
    """The run-time types, and the same tree with `Leaf(k)` for the k-th of them."""
    from adc.frontend import Leaf

    leaves, treedef = flatten((args, kwargs))
    types: list[Tensor] = []
    placed: list[Any] = []
    for x in leaves:
        placed.append(Leaf(len(types)) if isinstance(x, Tensor) else x)
        if isinstance(x, Tensor):
            types.append(x)
    return tuple(types), treedef.unflatten(placed)


def fresh_params(types: tuple[Tensor, ...], names: list[str]) -> tuple[Var, ...]:
    return tuple(Var(t, h) for t, h in zip(types, names, strict=True))


def hints(fun: Any, in_tree: Any) -> list[str]:
    """A name for every run-time leaf: the argument's, or the dict key's inside one."""
    import optree

    from adc.api.trees import NAMESPACE
    from adc.frontend import Leaf

    while hasattr(type(fun), "__adc_apply__"):
        fun = fun.fun
    fun = getattr(fun, "func", fun)
    code = getattr(getattr(fun, "py_func", getattr(fun, "__func__", fun)), "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if hasattr(fun, "__func__"):
        names = names[1:]
    found: list[str] = []
    places, leaves, _ = optree.tree_flatten_with_path(in_tree, namespace=NAMESPACE)
    for path, leaf in zip(places, leaves, strict=True):
        if not isinstance(leaf, Leaf):
            continue
        words = [p for p in path[1:] if isinstance(p, str) and p.isidentifier()]
        if path[0] == 0 and not words and path[1] < len(names):
            words = [names[path[1]]]
        found.append(words[-1] if words else "x")
    return found


# ---------------------------------------------------------------- the stages


def _stage(build: Build) -> None:
    """Read the source; let the transformation write its program around it."""
    from adc.api.apply import planned

    types, in_tree = typed_tree(build.args, build.kwargs)
    build.params = fresh_params(types, hints(build.transformed, in_tree))
    token = planned.set(build.plans)
    try:
        with guarding() as guards, at(None), building(*build.params) as b:
            build.emitted, build.out_tree = build.transformed.__adc_apply__(stager(build), in_tree, types, build.params)
    finally:
        planned.reset(token)
    build.block = b.block(tuple(build.emitted))
    build.guards = tuple(guards)
    build.function = build.primals[0] if build.primals else None


def _apply(build: Build) -> None:
    """Close the transformed program over arguments and captures; equal sizes become one."""
    from adc.frontend.stage import apply_guards

    assert build.block is not None
    # a capture that no emitted statement reads is still handed over: the caller need not know
    params = (*build.params, *(v for _, v in build.captures))
    pos = build.primals[0].pos if build.primals else None
    body = Block(params, build.block.stmts, build.block.results)
    build.applied = build.function = apply_guards(Function(build.name, params, body, build.guards, pos))


def _optimize(build: Build) -> None:
    from adc.optimize import optimize

    build.function = optimize(build.program)


def _numpy_source(build: Build) -> None:
    from adc.emit.numpy_source import numpy_source

    build.source = numpy_source(build.program, build.name)


def _lower(build: Build) -> None:
    from adc.lower.whole import lower

    build.kernel = lower(build.program)


def _kernel(build: Build) -> None:
    from adc.emit.kernel_source import kernel_source

    build.kernel_text = kernel_source(build.kernel)


def _load(build: Build) -> None:
    if build.target == "numpy":
        from adc.backend import numpy_backend

        assert build.source is not None
        build.run = numpy_backend.load(build.program, build.source)
    else:
        from adc.backend import cpu

        if build.kernel is None:
            cpu.expect(build.program)
            _lower(build)
        build.run = cpu.load_kernel(build.kernel)


STAGES = [
    Stage("stage", TARGETS, _stage, "the user's source, for these types, as typed SSA"),
    Stage("apply", TARGETS, _apply, "grad, vmap, … as programs from programs"),
    Stage("optimize", TARGETS, _optimize, "named passes; the last one decides storage"),
    Stage("numpy_source", ("numpy",), _numpy_source, "readable NumPy text"),
    Stage("lower", ("cpu",), _lower, "loop nests over buffers"),
    Stage("kernel", ("cpu",), _kernel, "those loops as a function for Numba"),
    Stage("load", TARGETS, _load, "compiled or taken from the cache, ready to call"),
]


ASIDE = 1_000_000
"""Objects that wait for a look of the garbage collector: some five large kernels."""
_aside = 0


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Compiling makes some million small objects that refer to each other: looking for garbage among them is a sixth of the time."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            _put_aside()
            gc.enable()


def _put_aside() -> None:
    """Most of what was made will stay: it goes to the old objects unlooked at (a look takes 0.1 to 0.2 s), until there is much of it."""
    global _aside
    if gc.get_freeze_count():
        return  # frozen objects are the caller's, for a fork; what was made is looked at
    _aside += gc.get_count()[0]
    if _aside > ASIDE:
        gc.collect()
        _aside = 0
    gc.freeze()
    gc.unfreeze()


def advance(build: Build, until: str = "load", force: tuple[str, ...] = ()) -> Build:
    """Run the stages up to `until`; `force` names stages of another target to run too."""
    # cpu.load lowers and prints by itself, and not at all when the cache has the kernel:
    # these two stages run only for those who ask to see them
    skip = {"lower", "kernel"} if until == "load" else set()
    with uncollected():
        for stage in STAGES:
            wanted = build.target in stage.targets and stage.name not in skip
            if wanted or stage.name in force:
                stage.does(build)
                _look(build, stage.name)
            if stage.name == until:
                return build
    raise ValueError(f"there is no stage {until!r}: {[s.name for s in STAGES]}")


def _look(build: Build, name: str) -> None:
    if build.function is None:
        return
    if os.environ.get("ADC_CHECK") == "1" and name in ("stage", "apply", "optimize"):
        verify(build.function, name)
    if name in os.environ.get("ADC_DUMP", "").split(","):
        text = {"numpy_source": build.source, "kernel": build.kernel_text}.get(name) or str(build.function)
        print(f"# after {name}\n{text}", file=sys.stderr)
