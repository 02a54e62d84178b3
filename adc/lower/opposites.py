"""exp(-x) beside exp(x): one exponential and a division.

In: a program whose loops have met.  Out: the same, where of two such exponentials in one body the later one is `1 / …` of the
earlier.  The derivative of a sigmoid has the one, the sigmoid that is computed again beside it the other.

    y = 1 / (1 + exp(-x));  d = y / (1 + exp(x))      →      e = exp(-x);  y = 1 / (1 + e);  d = y / (1 + 1 / e)

Where one of them is infinite the other is 0, and the division says the same.
"""

from __future__ import annotations

from adc.lower.nodes import Apply, Expr, Item, Pool, Program, Store, bodies

EXP = "np.exp({0})"


def opposites(program: Program) -> None:
    _visit(program.pool, program.body)


def _visit(pool: Pool, body: list[Item]) -> None:
    for it in body:
        for inner in bodies(it):
            _visit(pool, inner)
    stores = [it for it in body if isinstance(it, Store)]
    found = list(dict.fromkeys(e for s in stores for e in pool.nodes(s.value) if isinstance(e, Apply) and e.text == EXP))
    of = {e.args[0]: e for e in found}
    new: dict[Expr, Expr] = {}
    for e in found:
        x = e.args[0]
        other = of.get(x.args[0]) if isinstance(x, Apply) and x.text == "-{0}" else None
        if other is not None and other not in new and e not in new:
            first, second = sorted((e, other), key=found.index)
            new[second] = pool.apply("{0} / {1}", (pool.const(1.0, first.dtype), first), first.dtype, 8)
    for s in stores if new else ():
        s.value = _replaced(pool, s.value, new, {})


def _replaced(pool: Pool, e: Expr, new: dict[Expr, Expr], memo: dict[Expr, Expr]) -> Expr:
    if e not in memo:
        if isinstance(e, Apply):
            same = pool.apply(e.text, tuple(_replaced(pool, a, new, memo) for a in e.args), e.dtype, e.cost)
            memo[e] = new.get(e, same)
        else:
            memo[e] = e
    return memo[e]


__all__ = ["EXP", "opposites"]
