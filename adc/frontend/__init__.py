"""Python source to typed SSA.  `stage` is the door; see `stage.py`, then `stmts.py`, `loops.py`, `expr.py`, `operators.py`."""

from adc.frontend.stage import broken_guard, stage
from adc.frontend.values import Capture, Dependency, Leaf, NeedStatic, Staged

__all__ = ["Capture", "Dependency", "Leaf", "NeedStatic", "Staged", "broken_guard", "stage"]
