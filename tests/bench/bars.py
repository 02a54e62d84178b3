"""What must be reached: one table, read by the report.

A bar says: adc's best time (of `of`, one of the workload's spellings) is at most `limit` times the best of `against`.
`BEST` is every peer of the row.  Names that a row has not measured are no excuse: the bar is then "not measured".

>>> BARS[0].workload, BARS[0].case
('gmm', '1k_d10_K25')
"""

from __future__ import annotations

from dataclasses import dataclass

BEST = ("*",)
HAND = ("numba_hand", "numba_hand_par")
JAX = ("jax", "jax_*")
CPP = ("cpp_manual",)
"""ADBench's hand-written C++: a peer where a copy of ADBench is (hand/adbench_cpp.py)."""


@dataclass(frozen=True)
class Bar:
    workload: str
    case: str
    limit: float
    """adc's time over the peers' best time, at most."""
    against: tuple[str, ...]
    of: str = "adc"
    threads: int = 2
    stand_in: tuple[str, ...] = ()
    """Shown where no peer of `against` was there: the bar is then not judged, and the row says so."""


@dataclass(frozen=True)
class Memory:
    workload: str
    case: str
    limit: float
    """Bytes beyond inputs and outputs, below."""
    of: str = "adc"


BARS = (
    Bar("gmm", "1k_d10_K25", 1 / 2.5, JAX),
    Bar("gmm", "10k_d10_K25", 1.0, ("numba_block",), threads=1),
    Bar("gmm", "1k_d64_K100", 1 / 1.4, JAX),
    Bar("gmm", "1M_d2_K10", 0.7, ("numba_block", "numba_block_par")),
    Bar("logreg", "100k_d64_f64", 1 / 1.4, BEST),
    Bar("logreg", "100k_d64_f32", 1 / 1.4, BEST),
    Bar("mlp", "b64", 1.05, BEST),
    Bar("mlp", "b512", 1.05, BEST),
    Bar("mlp", "adam_b64", 1.05, BEST),
    Bar("tiny_mlp", "n200", 0.9, HAND),
    Bar("overhead", "vec3", 0.9, HAND),
    Bar("lorenz", "n10000", 1.1, HAND),
    Bar("heston", "p10000", 0.6, HAND),
    Bar("heston", "p10000", 0.6, HAND, of="adc_arrays"),
    Bar("newton", "n100000", 0.9, HAND),
    Bar("stencils", "jacobi2d", 0.7, HAND),
    Bar("stencils", "heat3d", 0.7, HAND),
    Bar("stencils", "nonlinear2d", 0.5, HAND),
    Bar("stencils", "seidel2d", 1.1, HAND),
    Bar("lstm", "l2_c1024", 1.0, HAND),
    Bar("rnn", "lstm", 1.0, BEST),
    Bar("rnn", "gru", 1.0, BEST),
    Bar("ba", "ba1", 0.6, CPP, stand_in=HAND),
    Bar("hand", "simple_hand1", 3.0, CPP, stand_in=HAND),
    Bar("hand", "simple_hand5", 3.0, CPP, stand_in=HAND),
    Bar("hand", "complicated_hand1", 3.0, CPP, stand_in=HAND),
    Bar("hand", "complicated_hand5", 3.0, CPP, stand_in=HAND),
    Bar("per_example", "b32", 1.0, BEST),
    Bar("per_example", "b256", 1.0, BEST),
    Bar("hvp", "logreg", 1 / 1.3, BEST),
    Bar("hvp", "mlp_b64", 1.0, BEST),
)
MEMORY = (Memory("gmm", "1M_d2_K10", 10e6),)
RATIO, MEDIAN_RATIO = 3.5, 2.2
"""Gradient over primal, of adc itself: everywhere, and in the median."""
FIRST = 2.0
"""Seconds of a first call without a cache."""
REGRESSION = 1.15
"""A time that grew by more than this since the stored run, after the peers' own drift is divided out, is marked."""


def bars(workload: str, case: str) -> list[Bar]:
    return [b for b in BARS if (b.workload, b.case) == (workload, case)]
