"""What is certain about integers: whether a polynomial in sizes and loop indices can be negative.

>>> from adc.ir import Sym, size
>>> n, i = Sym("n"), Sym("i")
>>> nonnegative(size(n) - 1 - i, {i: size(n)}), nonnegative(size(n) - 2, {})
(True, False)
"""

from __future__ import annotations

from collections.abc import Mapping

from adc.ir import Dim, Size, Sym, size, symbols
from adc.ir.dims import lower_bound, size_terms, substitute


def nonnegative(d: Dim, counts: Mapping[Sym, Dim]) -> bool:
    """Is `d` at least 0 in every iteration?  `counts`: how often the loop of each index turns, the outermost first.

    Every other symbol is a size, so at least 0; an index that stands in a product or a power decides nothing.
    """
    for index in reversed(tuple(counts)):
        if index in symbols(d):
            terms = dict(size_terms(d))
            step = terms.get((index,))
            if step is None or any(index in symbols(Size(((m, 1),))) for m in terms if m != (index,)):
                return False
            d = substitute(d, {index: 0 if step > 0 else size(counts[index]) - 1})
    least = lower_bound(d, dict.fromkeys(symbols(d), 0))
    return least is not None and least >= 0
