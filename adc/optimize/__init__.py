"""Named passes, program in, program out: small, in a fixed order, each one able to run alone.

In: a transformed `Function`.  Out: the same meaning with less work, and with storage decided by the last pass.

>>> [name for name, _ in PASSES][-1]
'place'
"""

from __future__ import annotations

from collections.abc import Callable

from adc.ir.dce import dce_function
from adc.ir.program import Function
from adc.optimize.calls import inline_calls
from adc.optimize.cse import cse
from adc.optimize.fold import fold
from adc.optimize.hoist import hoist
from adc.optimize.loops import loops
from adc.optimize.place import place

Pass = Callable[[Function], Function]

PASSES: list[tuple[str, Pass]] = [
    ("inline_calls", inline_calls),
    ("dce", dce_function),
    ("fold", fold),
    ("loops", loops),
    ("cse", cse),
    ("hoist", hoist),
    ("fold again", fold),
    ("cse again", cse),
    ("dce again", dce_function),
    ("place", place),
]


def optimize(fn: Function) -> Function:
    """Every pass in order."""
    for _, run in PASSES:
        fn = run(fn)
    return fn
