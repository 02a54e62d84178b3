"""A `Spec` as a program: the user's function, the transformation of it, the types of its arguments, their names.

In: a `Spec`.  Out: a `Form`: a `Transformed`, argument types for the front end, and what each argument and result is.

| transform | is called | gives |
|---|---|---|
| primal, grad, value_and_grad, jacobian, jacfwd, hessian | `(*args)` | as `adc.jit`, `adc.grad`, … |
| hvp | `(*args, v)` | the Hessian times `v`, which has the structure of what is differentiated |
| jvp | `(args, tangents)` | `(value, tangent of the value)`; one tangent per differentiated argument |
| vjp | `(args, cotangent)` | `(value, cotangents)`; the cotangent has the structure of the value |

    form(make_spec("model:loss", "value_and_grad", sig="f8[d], f8[n, d], f8[n]"), root)
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import optree

from adc.api import functions, trees
from adc.api.signature import annotated, parse_signature
from adc.api.transformed import Transformed
from adc.artifact.spec import Spec, plain_name, refuse
from adc.errors import SourceError, UnsupportedError, fail
from adc.ir.program import Tensor
from adc.ir.reach import Leaf


@dataclass
class Form:
    spec: Spec
    fun: Callable[..., Any]
    """The user's own function."""
    transformed: Transformed
    args: tuple[Any, ...]
    """Arguments of `transformed`, with a `Tensor` at every run-time leaf."""
    parameters: tuple[str, ...]
    """The names under which the arguments may be given."""
    inputs: list[tuple[str, str]]
    """(name, role) of every run-time leaf of `args`."""
    part: list[str]
    """Names of the leaves that are differentiated."""
    sig: str
    """The arguments' types, as text."""


# ---------------------------------------------------------------- the function


def load_function(text: str, root: Path) -> tuple[Callable[..., Any], ModuleType]:
    """The function that `module:function` or `path.py:function` names (a path from `root`), and its module."""
    place, _, name = text.rpartition(":")
    module = _from_file((root / place).resolve()) if place.endswith(".py") else _from_name(place, root)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            have = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_") and getattr(v, "__module__", "") == module.__name__]
            raise refuse(f"{place} has no {part!r}", f"it defines {', '.join(have) or 'no functions'}")
        found = getattr(found, part)
    if not callable(found):
        raise refuse(f"{text} is a {type(found).__name__}", "name a function")
    return found, module


def _from_name(name: str, root: Path) -> ModuleType:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name and (name == e.name or name.startswith(f"{e.name}.")):
            raise fail(SourceError, "type", None, what=f"there is no module {name!r} (seen from {root})", instead="build from the folder that holds it, or give a path ending in .py") from None
        raise


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise fail(SourceError, "type", None, what=f"there is no file {str(path)!r}", instead="paths are seen from the project's folder")
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


def types_of(fun: Any, module: ModuleType, sig: str | None) -> tuple[Any, ...]:
    """The arguments' types: the signature, else the annotations (they name the sizes), else `example_inputs()`."""
    if sig:
        return parse_signature(sig)
    try:
        return annotated(fun)
    except UnsupportedError as e:
        make = getattr(module, "example_inputs", None)
        if make is None:
            if not e.diagnostics[0].message.startswith("the types of"):
                raise  # an annotation that cannot be read
            raise refuse(e.diagnostics[0].message, 'give sig, annotate them (x: "f8[n]"), or define example_inputs() in its module') from None
    found = tuple(make())
    try:
        inspect.signature(getattr(fun, "fun", fun)).bind(*found)
    except TypeError:
        raise refuse(f"example_inputs() of {module.__name__} are not for {getattr(fun, '__name__', fun)}", "give sig") from None
    leaves, treedef = trees.flatten(found)
    names = trees.paths(treedef.unflatten(leaves), parameter_names(fun))
    made = [trees.leaf_type(x, n) if trees.is_runtime(x) else x for x, n in zip(leaves, names, strict=True)]
    return tuple(treedef.unflatten(made))


def parameter_names(fun: Any) -> tuple[str, ...]:
    """The user's names of the positional arguments."""
    try:
        found = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


# ---------------------------------------------------------------- names


def word_of(path: tuple[Any, ...], names: tuple[str, ...] = ()) -> str:
    """A path into a structure as one word: `params_w_0`."""
    words = [names[p] if k == 0 and isinstance(p, int) and p < len(names) else str(p) for k, p in enumerate(path)]
    return "_".join("".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in w) for w in words)


def leaf_names(tree: Any, base: str, names: tuple[str, ...] = ()) -> list[str]:
    """A word for every run-time leaf (types or `Leaf`s) of a structure, in order; `base` stands before, or alone."""
    paths, leaves, _ = optree.tree_flatten_with_path(tree, namespace=trees.NAMESPACE)
    found = []
    for path, leaf in zip(paths, leaves, strict=True):
        if isinstance(leaf, Tensor | Leaf):
            word = word_of(path, names)
            whole = f"{base}_{word}".strip("_") if word else base
            found.append(whole if whole[:1].isalpha() else f"x{whole}")
    return found


def types_in(tree: Any) -> list[Tensor]:
    return [x for x in trees.flatten(tree)[0] if isinstance(x, Tensor)]


# ---------------------------------------------------------------- the program


def settled(spec: Spec, module: ModuleType) -> Spec:
    """With what `wrt` is where nobody said it: the module's `WRT`, else the first argument."""
    if spec.wrt is not None:
        return spec
    said = getattr(module, "WRT", 0)
    nums = tuple(said) if isinstance(said, list | tuple) else said
    if not (type(nums) is int or (isinstance(nums, tuple) and nums and all(type(n) is int for n in nums))):
        raise refuse(f"WRT of {module.__name__} is {said!r}", "it says which arguments to differentiate: an int or a tuple of them; wrt = … is stronger")
    return dataclasses.replace(spec, wrt=nums)


def form(spec: Spec, root: Path) -> Form:
    """The program that a `Spec` asks for.

    Raises: what the front end raises for the function, and `UnsupportedError` where `wrt` does not fit.
    """
    fun, module = load_function(spec.function, root)
    spec = settled(spec, module)
    args = types_of(fun, module, spec.sig)
    own = parameter_names(fun)
    trees.flatten(args)  # registers dataclasses
    nums = _nums(spec, args)
    part = tuple(args[n] for n in nums) if isinstance(spec.wrt, tuple) else args[nums[0]]
    names = leaf_names(args, "", own)
    part_names = [w for n in nums for w in leaf_names((args[n],), "", (own[n] if n < len(own) else f"x{n}",))]
    inputs = [(w, "input") for w in names]
    given: tuple[Any, ...] = args
    parameters = own[: len(args)]
    options: dict[str, Any] = {"argnums": spec.wrt, **functions.limited(spec.tape_limit)}
    made: Transformed
    if spec.transform == "primal":
        made = functions.jit(fun)
    elif spec.transform == "jvp":
        made = Along("jvp", fun, options)
        tangents = tuple(args[n] for n in nums)
        given, parameters = (args, tangents), ("primals", "tangents")
        inputs += [(f"{w}_dot", f"tangent of {w}") for w in part_names]
    elif spec.transform == "vjp":
        made = Pulled("pullback", fun, options)
        bar, bar_names = _cotangent(fun, args)
        given, parameters = (args, bar), ("primals", "cotangent")
        inputs += [(f"{w}_bar", f"cotangent of {w}") for w in bar_names]
    elif spec.transform == "hvp":
        made = functions.hvp(fun, **options)
        given, parameters = (*args, part), (*parameters, "v")
        inputs += [(f"{w}_v", f"vector for {w}") for w in part_names]
    else:
        make = {"jacobian": functions.jacrev}.get(spec.transform) or getattr(functions, spec.transform)
        made = make(fun, **options)
    made.target = "cpu"
    return Form(spec, fun, made, given, parameters, inputs, part_names, sig_text(args))


def _nums(spec: Spec, args: tuple[Any, ...]) -> tuple[int, ...]:
    nums = spec.wrt if isinstance(spec.wrt, tuple) else (spec.wrt or 0,)
    fixed = tuple(n + len(args) if n < 0 else n for n in nums)
    if spec.transform != "primal" and (not fixed or not all(0 <= n < len(args) for n in fixed)):
        raise refuse(f"wrt = {spec.wrt!r}, but {plain_name(spec.function)} has {len(args)} arguments", "wrt counts arguments from 0")
    return fixed if spec.transform != "primal" else (0,) if args else ()


def _cotangent(fun: Any, args: tuple[Any, ...]) -> tuple[Any, list[str]]:
    """A structure of types like the value of `fun`, and names for its leaves."""
    build = functions.jit(fun, target="cpu").staged_types(args, {})
    leaves, treedef = trees.flatten(build.out_tree)
    made = []
    for x in leaves:
        made.append(_result_type(build.program.results[x.index].type) if isinstance(x, Leaf) else x)
    return treedef.unflatten(made), leaf_names(build.out_tree, "value")


def _result_type(t: Tensor) -> Tensor:
    return Tensor(t.dtype, t.dims, False)


def sig_text(args: tuple[Any, ...]) -> str:
    """The arguments' types as `parse_signature` reads them."""

    def one(x: Any) -> str:
        if isinstance(x, Tensor):
            return {"f": "float", "i": "int", "b": "bool"}[x.dtype.kind] if x.weak and not x.dims else str(x).replace("*", "")
        if isinstance(x, tuple | list) and type(x) in (tuple, list):
            inner = ", ".join(map(one, x))
            return f"[{inner}]" if isinstance(x, list) else f"({inner}{',' if len(x) == 1 else ''})"
        if isinstance(x, dict):
            return "{" + ", ".join(f"{k!r}: {one(v)}" for k, v in x.items()) + "}"
        return repr(x)

    return ", ".join(map(one, args))


def output_names(f: Form, out_tree: Any, count: int) -> list[tuple[str, str]]:
    """(name, role) of every result of the program, in order of the results."""
    kind = f.spec.transform
    what = f"of the value of {plain_name(f.spec.function)}"

    def values(tree: Any) -> list[tuple[str, str]]:
        return [(w, "value") for w in leaf_names(tree, "value")]

    p = f.part
    found: list[tuple[str, str]]
    if kind == "primal":
        found = values(out_tree)
    elif kind == "grad":
        found = [(f"{w}_grad", f"gradient by {w}") for w in p]
    elif kind == "value_and_grad":
        found = [("value", "value"), *((f"{w}_grad", f"gradient by {w}") for w in p)]
    elif kind == "jvp":
        first = values(out_tree[0])
        found = [*first, *((f"{w}_dot", f"tangent of {w}") for w, _ in first)]
    elif kind == "vjp":
        found = [*values(out_tree[0]), *((f"{w}_bar", f"cotangent of {w}") for w in p)]
    elif kind == "hvp":
        found = [(f"{w}_hvp", f"Hessian times vector, by {w}") for w in p]
    else:
        rows = p if kind == "hessian" else leaf_names(out_tree, "value")
        label = "hessian" if kind == "hessian" else "jacobian"
        each = count // max(1, len(p))
        rows = [""] if each == 1 else [f"{w}_" for w in p] if kind == "hessian" else [f"value_{k}_" for k in range(each)]
        of = f"second derivatives {what}" if kind == "hessian" else "Jacobian"
        found = [(f"{r}{w}_{label}", f"{of} by {f'{r[:-1]} and ' if r and kind == 'hessian' else ''}{w}") for r in rows for w in p]
    leaves = [x.index for x in trees.flatten(out_tree)[0] if isinstance(x, Leaf)]
    names: dict[int, tuple[str, str]] = {}
    for index, name in zip(leaves, found, strict=True):
        names.setdefault(index, name)
    return [names.get(k, (f"result_{k}", "result")) for k in range(count)]


# ---------------------------------------------------------------- transformations by some of the arguments


class Along(Transformed):
    """(primals, tangents of the chosen ones) -> (value, tangent of the value)."""

    def __adc_apply__(self, stage: Any, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Any, ...]) -> Any:
        from adc import transform
        from adc.api import apply
        from adc.ir import literal

        primals, tangents = in_tree[0]
        wrt, _ = apply.wanted(self.options["argnums"], (primals, {}), types, "jvp", [getattr(a, "hint", "") for a in atoms])
        staged, captured = stage(self.fun, apply.typed(primals, types), {})
        fn = staged.function
        places = apply.leaves_of(primals)
        dots = {
            k: apply.fit_one(atoms[d], types[k], atoms[k].type.dims, "the tangent")
            for k, d in zip(wrt, apply.leaves_of(tangents), strict=True)
        }
        active = tuple(k in wrt for k in places) + (False,) * len(captured)
        out = apply.emit(transform.jvp(fn, active), (*(atoms[k] for k in places), *captured, *(dots[k] for k in sorted(dots))))
        n = len(fn.results)
        moved = iter(out[n:])
        tangent_of = {k: next(moved) for k, r in enumerate(fn.results) if r.type.is_float}
        order = apply.leaves_of(staged.out_tree)
        results = [out[k] for k in order] + [tangent_of.get(k, literal(0.0)) for k in order]
        return tuple(results), (apply.renumber(staged.out_tree), apply.renumber(staged.out_tree, len(order)))


class Pulled(Transformed):
    """(primals, cotangent of the value) -> (value, cotangents of the chosen primals)."""

    def __adc_apply__(self, stage: Any, in_tree: Any, types: tuple[Tensor, ...], atoms: tuple[Any, ...]) -> Any:
        from adc import transform
        from adc.api import apply

        primals, bar = in_tree[0]
        wrt, part = apply.wanted(self.options["argnums"], (primals, {}), types, "vjp", [getattr(a, "hint", "") for a in atoms])
        staged, captured = stage(self.fun, apply.typed(primals, types), {})
        fn = staged.function
        mine = (*(atoms[k] for k in apply.leaves_of(primals)), *captured)
        order = apply.leaves_of(staged.out_tree)
        inner = apply.with_results(fn, lambda *r: tuple(r[k] for k in order))
        bars = apply.fit(bar, staged.out_tree, fn, atoms, mine, "the cotangent")
        floats = tuple(b for b, r in zip(bars, inner.results, strict=True) if r.type.is_float)
        out = apply.emit(transform.vjp(inner, wrt, True, self.options.get("tape_limit")), (*mine, *floats))
        n = len(order)
        return out, (apply.renumber(staged.out_tree), apply.renumber(part, n))


__all__ = ["Form", "form", "output_names"]
