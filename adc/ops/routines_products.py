"""Products of matrices: what kernels call, as plain Python that says what it means.

In: buffers, offsets and strides.  Out: `c += op(a) @ op(b)` or `c = op(a) @ op(b)`, in place.

The compiled form calls what the table of the run time holds (adc/backend/products.py): adc's own tiles for small products, one row
and one column included, and the BLAS that NumPy brings along for large ones (docs/design/products.md).

    gemm(0, 1, 1, 2, 3, 4, a, 0, 4, b, 0, 4, c, 0, 3)     # c[2, 3] += a[2, 4] @ b[3, 4].T
"""

from __future__ import annotations

from typing import Any

import numpy as np

LETTERS = {np.dtype("f8"): "d", np.dtype("f4"): "s"}
"""What the BLAS calls the numbers that it multiplies."""
SHARE = 1 << 20
"""Multiplications of a block of a product: some 30 µs."""
NARROW, BROAD = 128, 384
"""Columns, or rows, from which on there are two blocks; and that many for each two of them beyond: each block packs the whole of the other
matrix, which for one of 64 columns is a third of its time."""


def product_blocks(m: int, n: int, k: int) -> int:
    """Blocks that a product of these sizes is cut into for workers, by columns or by rows: it follows from the sizes alone."""
    wide = max(m, n)
    return max(1, min(8, min(m * n * k // SHARE, 2 * max(min(1, wide // NARROW), wide // BROAD))))


def have_gemm(number: Any) -> bool:
    """Is there something that multiplies matrices of such numbers?  Only a built library that was lent nothing has none."""
    return True


def gemm(ta: int, tb: int, keep: int, m: int, n: int, k: int, a: Any, a0: int, lda: int, b: Any, b0: int, ldb: int, c: Any, c0: int, ldc: int) -> None:
    """`c[m, n] += op(a)[m, k] @ op(b)[k, n]`: C-ordered blocks that begin at `a0`, `b0`, `c0`, with rows `ld…` apart;
    `ta` and `tb`: the block is stored transposed; `keep` 0: c is set, whatever was in it."""
    for i in range(m):
        for j in range(n):
            if not keep:
                c[c0 + i * ldc + j] = 0
            for t in range(k):
                x = a[a0 + t * lda + i] if ta else a[a0 + i * lda + t]
                y = b[b0 + j * ldb + t] if tb else b[b0 + t * ldb + j]
                c[c0 + i * ldc + j] += x * y


__all__ = ["LETTERS", "gemm", "have_gemm", "product_blocks"]
