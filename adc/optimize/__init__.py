"""Named passes, program in, program out: small, in a fixed order, each one able to run alone.

In: a transformed `Function`.  Out: the same meaning with less work, and with storage decided by the last pass.

>>> [name for name, _ in PASSES][-1]
'place'

`ADC_DUMP=fold,place` prints the program after those passes; `ADC_CHECK=1` verifies it after each.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from adc.ir.dce import dce_function
from adc.ir.program import Function
from adc.ir.verify import verify
from adc.optimize import fold_arrays, fold_numbers  # noqa: F401  (the rules of `fold`)
from adc.optimize.calls import inline_calls, inline_checkpoints
from adc.optimize.cse import cse
from adc.optimize.fold import fold
from adc.optimize.hoist import hoist
from adc.optimize.loops import loops
from adc.optimize.place import place
from adc.transform.additions import additions
from adc.transform.counters import counters

Pass = Callable[[Function], Function]

SIMPLIFY: list[tuple[str, Pass]] = [
    ("dce", dce_function),
    ("fold", fold),
    ("loops", loops),
    ("cse", cse),
    ("hoist", hoist),
    ("fold again", fold),
    ("cse again", cse),
    ("dce again", dce_function),
]


def simplify(fn: Function) -> Function:
    """Everything but storage, for a function without calls other than checkpoints."""
    for _, run in SIMPLIFY:
        fn = run(fn)
    return fn


PASSES: list[tuple[str, Pass]] = [
    ("inline_calls", inline_calls),
    ("counters", counters),
    ("additions", additions),
    *SIMPLIFY,
    # what a checkpoint computes again must not be found equal to what was computed before
    ("inline_checkpoints", lambda fn: inline_checkpoints(fn, simplify)),
    ("place", place),
]


def optimize(fn: Function) -> Function:
    """Every pass in order."""
    wanted = os.environ.get("ADC_DUMP", "").split(",")
    checking = os.environ.get("ADC_CHECK") == "1"
    for name, run in PASSES:
        fn = run(fn)
        if checking:
            verify(fn, f"optimize: {name}")
        if name in wanted:
            print(f"# after {name}\n{fn}", file=sys.stderr)
    return fn


__all__ = ["PASSES", "Pass", "optimize", "simplify"]
