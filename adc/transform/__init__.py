"""From program to program: forward mode, reverse mode, batching.  They compose in any order.

    jvp(fn, active)  ·  vjp(fn, wrt, keep_primal, tape_limit)  ·  vmap(fn, in_axes, out_axes)  ·  reports(fn)

`activity` (what carries derivatives) → `prepare` (fresh, plain calls inlined) → `tape` (what the forward
sweep saves) → `stacks` (written and read) → `checkpoints`, `segments` (loops under a limit) → `vjp`, `jvp`, `vmap`;
`report` (what was saved, for `adc.explain`).
"""

from adc.transform.jvp import jvp
from adc.transform.report import Checkpoints, LoopReport, Saved, reports
from adc.transform.vjp import vjp
from adc.transform.vmap import vmap

__all__ = ["Checkpoints", "LoopReport", "Saved", "jvp", "reports", "vjp", "vmap"]
