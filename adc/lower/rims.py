"""The rim of a grid beside its inside: a row's first and last elements are done with the row.

In: a program whose time loops have their states in the tape, and one pass backwards.  Out: the same, where loops over the rims of a
step, and the nest over its inside, are one loop over rows.

    for i: new[i + 1, 0] = u[i + 1, 0]                      for i:
    for i: new[i + 1, m - 1] = u[i + 1, m - 1]                  new[i + 1, 0] = u[i + 1, 0]
    for i:                                          ->          new[i + 1, m - 1] = u[i + 1, m - 1]
        for j: new[i + 1, j + 1] = step(u)                      for j: new[i + 1, j + 1] = step(u)

Alone a column is as many cache lines as it has elements, on one thread, while the others wait: a third of a step on a grid of
200 × 200.  Beside its row it is at hand, and is shared like it.
"""

from __future__ import annotations

from adc.lower.fuse import Fuser
from adc.lower.independent import counts
from adc.lower.nodes import Item, Loop, Program, bodies, depth


def rims_beside(program: Program) -> None:
    fuser = Fuser(program, counts(program.pool, program.body))

    def visit(body: list[Item], inside: bool) -> None:
        if inside:
            fuser.meet_all(body, _rim)
        for it in body:
            for inner in bodies(it):
                visit(inner, isinstance(it, Loop))

    visit(program.body, False)


def _rim(a: Item, b: Item) -> bool:
    """Is one of them a nest, and the other a part of its rim?"""
    assert isinstance(a, Loop) and isinstance(b, Loop)
    return a.nest and b.nest and depth(a) != depth(b)


__all__ = ["rims_beside"]
