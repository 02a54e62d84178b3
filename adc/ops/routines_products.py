"""Products of matrices by a library: what kernels call, as plain Python that says what it means.

In: buffers, offsets and strides.  Out: `c = alpha * op(a) @ op(b) + beta * c`, in place.

The compiled form calls the BLAS that NumPy brings along (adc/backend/products.py); this text is what it must compute.
"""

from __future__ import annotations

from typing import Any


def have_gemm(number: Any) -> bool:
    """Is there a library that multiplies matrices of such numbers?"""
    return True


def gemm(ta: int, tb: int, m: int, n: int, k: int, a: Any, a0: int, lda: int, b: Any, b0: int, ldb: int, c: Any, c0: int, ldc: int) -> None:
    """`c[m, n] += op(a)[m, k] @ op(b)[k, n]`: C-ordered blocks that begin at `a0`, `b0`, `c0`, with rows `ld…` apart;
    `ta` and `tb`: the block is stored transposed."""
    for i in range(m):
        for j in range(n):
            for t in range(k):
                x = a[a0 + t * lda + i] if ta else a[a0 + i * lda + t]
                y = b[b0 + j * ldb + t] if tb else b[b0 + t * ldb + j]
                c[c0 + i * ldc + j] += x * y


__all__ = ["gemm", "have_gemm"]
