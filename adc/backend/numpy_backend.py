"""The readable source, run as it is.

In: a program after `optimize` and its NumPy source.  Out: a callable from leaves to a tuple of NumPy values of
exactly the result types.  The text is registered with `linecache`, so pdb steps through it and tracebacks show it.

    run = load(fn, source);  run(np.float64(2.0))   ->   (np.float64(0.909…),)
"""

from __future__ import annotations

import ast
import hashlib
import linecache
from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import CheckError, Diagnostic, StageError, fail, failed_check
from adc.ir import Function, Op, Routine, Tensor, walk


def load(fn: Function, source: str) -> Callable[..., tuple[Any, ...]]:
    """The program as a callable on leaves."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    file = f"<adc {fn.name} {digest}>"
    tree = ast.parse(source, file)
    defined = [s.name for s in tree.body if isinstance(s, ast.FunctionDef)]
    if len(defined) != 1:
        raise fail(StageError, "internal", fn.pos, what=f"the source defines {len(defined)} functions")
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {"__name__": f"adc_{digest}", "__file__": file}
    exec(compile(tree, file, "exec"), scope)
    function = scope[defined[0]]
    checks = _checks(fn, tree)
    takes = tuple(_taker(p.type) for p in fn.params)
    gives = tuple(_giver(r.type) for r in fn.results)
    single = len(gives) == 1

    def run(*leaves: Any) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            try:
                got = function(*[take(x) for take, x in zip(takes, leaves, strict=True)])
            except np.linalg.LinAlgError as e:
                raise CheckError(Diagnostic("assertion", _routine_pos(fn, str(e)), {"what": str(e)})) from None
            except (AssertionError, IndexError, MemoryError, ValueError) as e:
                line = _line(e, file)
                if line not in checks:
                    raise
                raise failed_check(*checks[line]) from None
            return (gives[0](got),) if single else tuple(give(x) for give, x in zip(gives, got, strict=True))

    run.__name__ = defined[0]
    run.source = source  # type: ignore[attr-defined]
    run.function = function  # type: ignore[attr-defined]
    return run


def _routine_pos(fn: Function, message: str) -> Any:
    """The place of the op that says so, where only one can."""
    ops = [s for s in walk(fn.body) if isinstance(s, Op) and isinstance(s.prim.loops, Routine) and s.prim.loops.fails == message]
    return ops[0].pos if ops else fn.pos


def _taker(t: Tensor) -> Callable[[Any], Any]:
    if t.rank:
        return lambda x: np.asarray(x, t.dtype)
    return t.dtype.type


def _giver(t: Tensor) -> Callable[[Any], Any]:
    dtype = t.dtype
    if t.rank:
        return lambda x: x if type(x) is np.ndarray and x.dtype == dtype else np.array(x, dtype)
    make = dtype.type
    return lambda x: x if type(x) is make else make(x)


def _checks(fn: Function, tree: ast.Module) -> dict[int, tuple[str, Any, str]]:
    """Line of each `raise` -> what to tell: the k-th `raise` is the k-th check of the program."""
    lines = sorted(n.lineno for n in ast.walk(tree) if isinstance(n, ast.Raise))
    ops = [s for s in walk(fn.body) if isinstance(s, Op) and s.prim.name == "check"]
    if len(lines) != len(ops):
        raise fail(StageError, "internal", fn.pos, what=f"{len(ops)} checks and {len(lines)} raises")
    # every code of a check is a message of its own; its text was made when the program was staged
    return {
        line: (str(s.params.get("code", "")), s.pos, str(s.params.get("message", "")) or str(s.params.get("code", "")))
        for line, s in zip(lines, ops, strict=True)
    }


def _line(e: BaseException, file: str) -> int | None:
    """Where in the source the exception was raised, if it was raised there itself."""
    tb, line = e.__traceback__, None
    while tb is not None:
        line = tb.tb_lineno if tb.tb_frame.f_code.co_filename == file else None
        tb = tb.tb_next
    return line
