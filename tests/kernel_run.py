"""A random program of `kernel_programs` held against plain NumPy, against differences and against other spellings of its kernel.

`check(case)` runs values and gradients as NumPy text, by the meaning of the IR, and as loops in plain Python (serial, in
chunks, in small tiles); `check_compiled(case)` runs what a user runs.  Both give "ok" or say why nothing was compared.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import adc
from adc.api import trees
from adc.api.pipeline import Build, StaticLeaf, advance
from adc.api.programs import fits
from adc.backend import numpy_backend
from adc.backend.entry import SizeAssumption
from adc.emit.numpy_source import numpy_source
from adc.errors import AdcError, CheckError, ShapeError, StageError, UnsupportedError
from adc.ir.evaluate import evaluate_program
from adc.lower.whole import lower
from tests.helpers import copies
from tests.kernel_programs import PARAMS, Case
from tests.lower_run import run_kernel, small_tiles
from tests.programs import load

FLOATS = tuple(range(len(PARAMS)))
ACTIVE = (*FLOATS, len(PARAMS) + 3)  # and c


class Refused(Exception):
    """The compiler said no."""


def built(t: Any, args: tuple[Any, ...]) -> tuple[Build, list[Any]]:
    """The program of a transformation for these arguments, as a call makes it; and what the program is called with."""
    leaves, treedef = trees.flatten((args, {}))
    kinds = [trees.is_runtime(x) for x in leaves]
    static: frozenset[int] = frozenset()
    exact = False
    while True:
        (a, kw), types = t.types_of(leaves, treedef, kinds, static, exact)
        try:
            build = advance(Build(t, a, kw, t.target), until="optimize")
        except StaticLeaf as need:
            (k,) = (k for k, x in enumerate(types) if x is need.tensor)
            static = static | {k}
            continue
        values = [trees.native(x) for k, (x, run_time) in enumerate(zip(leaves, kinds, strict=True)) if run_time and k not in static]
        values += [c.get() for c, _ in build.captures]
        try:
            fits(build.program, values)
        except SizeAssumption:
            assert not exact
            exact = True
            continue
        return build, values


def outcome(run: Any) -> Any:
    """What comes out, an error of the program itself included."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return run()
        except StageError:
            raise
        except (CheckError, ShapeError, IndexError, ValueError, ZeroDivisionError) as e:
            return e


def flat(out: Any) -> list[Any]:
    return [np.asarray(x) for x in trees.flatten(out)[0]]


def agree(got: Any, want: Any, what: str, rtol: float, types: bool = True) -> None:
    if isinstance(want, Exception):
        assert isinstance(got, Exception), f"{what}: {type(want).__name__} ({want}) is not raised"
        return
    assert not isinstance(got, Exception), f"{what}: raises {type(got).__name__}: {got}"
    assert len(got) == len(want), what
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = np.asarray(g), np.asarray(w)
        # a number that Python would keep as a float where a loop does not turn, or a branch is not taken, has one type here
        same = g.dtype == w.dtype or (not w.ndim and not types)
        assert g.shape == w.shape and same, f"{what}, result {k}: {g.dtype}{g.shape}, expected {w.dtype}{w.shape}"
        scale = float(np.max(np.abs(w), initial=0.0, where=np.isfinite(w)))
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol * max(1.0, scale), err_msg=f"{what}, result {k}")


SPELLINGS = {"small": small_tiles, "serial": lambda fn: lower(fn, workers=False), "shared": lambda fn: lower(fn, workers=True)}


def everywhere(t: Any, args: tuple[Any, ...], what: str, want: Any, rtol: float, spellings: tuple[str, ...]) -> Any:
    """The program as NumPy text, by its meaning and as loops: all the same.  `want`: None, or what is known before."""
    try:
        build, values = built(t, args)
    except ShapeError as e:
        if isinstance(want, Exception):
            return e
        raise Refused(str(e)) from e
    except UnsupportedError as e:
        raise Refused(str(e)) from e
    assert build.applied is not None
    first = outcome(lambda: evaluate_program(build.applied, copies(values)))
    tree = lambda out: out if isinstance(out, Exception) else out[: len(build.program.results)]
    if want is not None:
        agree(first, want, f"{what}, meaning", rtol, types=rtol < 1e-6)
    text = numpy_source(build.program, build.name)
    before = copies(values)
    got = outcome(lambda: numpy_backend.load(build.program, text)(*values))
    agree(tree(got), tree(first), f"{what}, NumPy text", rtol)
    for a, b in zip(values, before, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"{what}, NumPy text: an argument was changed")
    seen: set[str] = set()
    for name, make in SPELLINGS.items():
        if name in spellings:
            kernel = make(build.program)
            if kernel.source not in seen:
                seen.add(kernel.source)
                agree(outcome(lambda: run_kernel(kernel, values)), first, f"{what}, {name} loops", rtol)
    return first


def directional(f: Any, args: tuple[Any, ...], direction: dict[int, Any]) -> float | None:
    """Derivative along a direction by differences in double precision; None where it is not smooth or not finite."""
    wide = tuple(np.asarray(a, float) if k in ACTIVE and isinstance(a, np.ndarray) else a for k, a in enumerate(args))
    found = []
    for eps in (2e-5, 1e-5, 2.5e-6):
        ends = [outcome(lambda s=s: f(*(a + s * eps * direction[k] if k in direction else np.copy(a) if isinstance(a, np.ndarray) else a for k, a in enumerate(wide)))) for s in (1, 0, -1)]
        if any(isinstance(e, Exception) for e in ends):
            return None
        up, here, down = map(float, ends)
        found.append((up - down) / (2 * eps))
        if abs((up - here) / eps - found[-1]) > 2e-3 * (1 + abs(found[-1])):
            return None
    # a kink, or a curvature that differences cannot see over
    if not np.isfinite(found).all() or max(abs(a - found[2]) for a in found) > 1e-4 * (1 + abs(found[2])):
        return None
    return found[2]


def directions(case: Case) -> dict[int, Any]:
    g = np.random.default_rng(case.seed)
    return {k: g.normal(size=np.shape(case.args[k])) if np.ndim(case.args[k]) else float(g.normal()) for k in ACTIVE}


def single(case: Case) -> bool:
    return any(isinstance(a, np.ndarray) and a.dtype == np.float32 for a in case.args)


def sensible(out: Any) -> bool:
    return isinstance(out, Exception) or all(np.isfinite(x).all() and np.max(np.abs(x), initial=0.0) < 1e5 for x in flat(out))


def check(case: Case) -> str:
    f = load(case.text)
    loss = f.__globals__["loss"]
    args = case.args
    want = outcome(lambda: f(*copies(args)))
    if not sensible(want):
        return "not finite"
    rtol = 2e-4 if single(case) else 1e-9
    everywhere(adc.jit(f, target="numpy"), args, "value", want if isinstance(want, Exception) else flat(want), rtol, ("small",))
    t = adc.value_and_grad(loss, argnums=ACTIVE, target="numpy")
    rtol = 1e-3 if single(case) else 1e-7
    total = outcome(lambda: loss(*copies(args)))
    got = everywhere(t, args, "gradient", total if isinstance(total, Exception) else None, rtol, tuple(SPELLINGS)[: 3 if case.seed % 4 == 0 else 2])
    if isinstance(total, Exception) or isinstance(got, Exception):
        agree(got, total, "gradient", rtol)
        return "an error"
    agree(got[:1], [total], "value beside the gradient", rtol, types=False)
    direction = directions(case)
    slope = directional(loss, args, direction)
    if slope is None:
        return "not smooth"
    along = sum(float(np.sum(np.asarray(g, float) * direction[k])) for g, k in zip(got[1:], ACTIVE, strict=True))
    size = sum(float(np.sum(np.abs(np.asarray(g, float) * direction[k]))) for g, k in zip(got[1:], ACTIVE, strict=True))
    tol = 5e-3 if single(case) else 3e-4
    assert abs(along - slope) <= tol * (1 + abs(slope)) + 1e-7 * size + (2e-5 * size if single(case) else 0), f"gradient along a direction: {along}, by differences {slope}"
    return "ok"


def check_compiled(case: Case) -> str:
    """What a user runs: values, gradient, tangent on the cpu, held against NumPy and the NumPy target."""
    f = load(case.text)
    loss = f.__globals__["loss"]
    args = case.args
    want = outcome(lambda: f(*copies(args)))
    if not sensible(want):
        return "not finite"
    rtol = 2e-4 if single(case) else 1e-8
    try:
        got = outcome(lambda: adc.jit(f, target="cpu")(*args))
        agree(got if isinstance(got, Exception) else flat(got), want if isinstance(want, Exception) else flat(want), "value", rtol, types=rtol < 1e-6)
        before = copies(args)
        found = [outcome(lambda: adc.value_and_grad(loss, argnums=ACTIVE, target=target)(*args)) for target in ("cpu", "numpy")]
        for a, b in zip(args, before, strict=True):
            np.testing.assert_array_equal(a, b, err_msg="an argument was changed")
        one, other = (x if isinstance(x, Exception) else flat(x) for x in found)
        agree(one, other, "gradient on the cpu and in NumPy", 2e-3 if single(case) else 1e-7)
    except UnsupportedError as e:
        raise Refused(str(e)) from e
    return "an error" if isinstance(want, Exception) else "ok"


def trouble(case: Case, run: Any = check) -> tuple[str, str]:
    """(what became of it, in a word; a message): nothing is raised."""
    try:
        return run(case), ""
    except Refused as e:
        return "refused", str(e)
    except AssertionError as e:
        return "WRONG", str(e)
    except StageError as e:
        return "BROKEN", f"StageError: {e}"
    except AdcError as e:
        return "refused", f"{type(e).__name__}: {e}"
    except Exception as e:
        import traceback

        return "BROKEN", f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-6)}"
