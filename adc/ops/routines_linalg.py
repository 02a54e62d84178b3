"""Plain loops for compiled code: linear systems, inverses, determinants, Cholesky factors, triangular solves.

In: flat C-ordered buffers (axes in front of a matrix are batches), the outs, scratch, then the sizes of every argument
and the static parameters as integers.  Out: the outs, filled.  Everything here runs as Python and compiles with Numba.

    solve_systems(a, b, x, lu, 2, 2, 2, 1)    # x = a^-1 b for a 2 x 2 matrix and one column

A singular matrix gives NaN everywhere (NumPy raises LinAlgError in the readable target).
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
import math

# ---------------------------------------------------------------- linear systems


def eliminate(lu, x, at, n, k):
    """Gauss with row pivots: `lu` becomes upper triangular, rows of x[at:] go along.  The permutation's sign, or 0."""
    sign = 1.0
    for j in range(n):
        p = j
        best = abs(lu[j * n + j])
        for i in range(j + 1, n):
            size = abs(lu[i * n + j])
            if size > best:
                best = size
                p = i
        if best == 0.0:
            return 0.0
        if p != j:
            sign = -sign
            for c in range(j, n):
                t = lu[j * n + c]
                lu[j * n + c] = lu[p * n + c]
                lu[p * n + c] = t
            for c in range(k):
                u = x[at + j * k + c]
                x[at + j * k + c] = x[at + p * k + c]
                x[at + p * k + c] = u
        for i in range(j + 1, n):
            f = lu[i * n + j] / lu[j * n + j]
            if f != 0.0:
                for c in range(j + 1, n):
                    lu[i * n + c] -= f * lu[j * n + c]
                for c in range(k):
                    x[at + i * k + c] -= f * x[at + j * k + c]
    return sign


def substitute_back(lu, x, at, n, k):
    """x[at:] = U^-1 x[at:] for the upper triangle of `lu`."""
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            f = lu[i * n + j]
            for c in range(k):
                x[at + i * k + c] -= f * x[at + j * k + c]
        for c in range(k):
            x[at + i * k + c] /= lu[i * n + i]


def finish(lu, x, at, n, k):
    """Solve in place; 1 where the matrix is singular, else 0."""
    if eliminate(lu, x, at, n, k) == 0.0:
        return 1
    substitute_back(lu, x, at, n, k)
    return 0


def solve_systems(a, b, x, lu, *sizes):
    """x = a^-1 b; an odd number of sizes says that b is one vector."""
    half = len(sizes) // 2
    n = sizes[half - 1]
    k = 1
    if len(sizes) % 2 == 0:
        k = sizes[len(sizes) - 1]
    batch = 1
    for j in range(half - 2):
        batch *= sizes[j]
    for m in range(batch):
        for c in range(n * n):
            lu[c] = a[m * n * n + c]
        for c in range(n * k):
            x[m * n * k + c] = b[m * n * k + c]
        if finish(lu, x, m * n * k, n, k) != 0:
            return 1
    return 0


def invert_matrices(a, x, lu, *sizes):
    n = sizes[len(sizes) - 1]
    batch = 1
    for j in range(len(sizes) - 2):
        batch *= sizes[j]
    for m in range(batch):
        at = m * n * n
        for c in range(n * n):
            lu[c] = a[at + c]
            x[at + c] = 0.0
        for i in range(n):
            x[at + i * n + i] = 1.0
        if finish(lu, x, at, n, n) != 0:
            return 1
    return 0


def determinants(a, out, lu, *sizes):
    n = sizes[len(sizes) - 1]
    batch = 1
    for j in range(len(sizes) - 2):
        batch *= sizes[j]
    for m in range(batch):
        for c in range(n * n):
            lu[c] = a[m * n * n + c]
        d = eliminate(lu, lu, 0, n, 0)
        if d != 0.0:
            for i in range(n):
                d *= lu[i * n + i]
        out[m] = d


def log_determinants(a, sign, logdet, lu, *sizes):
    n = sizes[len(sizes) - 1]
    batch = 1
    for j in range(len(sizes) - 2):
        batch *= sizes[j]
    for m in range(batch):
        for c in range(n * n):
            lu[c] = a[m * n * n + c]
        s = eliminate(lu, lu, 0, n, 0)
        total = 0.0
        if s == 0.0:
            total = -math.inf
        else:
            for i in range(n):
                d = lu[i * n + i]
                if d < 0.0:
                    s = -s
                if d != d:
                    s = d
                total += math.log(abs(d))
        sign[m] = s
        logdet[m] = total


def cholesky_factors(a, out, *sizes):
    """Lower L with L L^T = a, from the lower triangle of a; 1 where a is not positive definite, else 0."""
    n = sizes[len(sizes) - 1]
    batch = 1
    for j in range(len(sizes) - 2):
        batch *= sizes[j]
    for m in range(batch):
        at = m * n * n
        for i in range(n):
            for j in range(i + 1):
                t = a[at + i * n + j] * 1.0
                for c in range(j):
                    t -= out[at + i * n + c] * out[at + j * n + c]
                if i > j:
                    out[at + i * n + j] = t / out[at + j * n + j]
                else:
                    if not t > 0.0:
                        return 1
                    out[at + i * n + i] = math.sqrt(t)
            for j in range(i + 1, n):
                out[at + i * n + j] = 0.0
    return 0


def solve_triangles(a, b, x, *sizes):
    """x = op(a)^-1 b for a triangle of a; the last two sizes are `lower` and `trans`."""
    count = len(sizes) - 2
    lower = sizes[count]
    trans = sizes[count + 1]
    half = count // 2
    n = sizes[half - 1]
    k = 1
    if count % 2 == 0:
        k = sizes[count - 1]
    batch = 1
    for j in range(half - 2):
        batch *= sizes[j]
    for m in range(batch):
        to = m * n * n
        at = m * n * k
        for c in range(n * k):
            x[at + c] = b[at + c]
        for s in range(n):
            i = s if lower != trans else n - 1 - s  # downwards for a lower op(a)
            if trans == 0:
                for j in range(s):
                    row = j if lower != 0 else n - 1 - j
                    f = a[to + i * n + row]
                    for c in range(k):
                        x[at + i * k + c] -= f * x[at + row * k + c]
            for c in range(k):
                x[at + i * k + c] /= a[to + i * n + i]
            if trans != 0:  # row i of a is column i of op(a): push what is solved to the rest
                for j in range(n - 1 - s):
                    row = n - 1 - j if lower == 0 else j
                    f = a[to + i * n + row]
                    for c in range(k):
                        x[at + row * k + c] -= f * x[at + i * k + c]
