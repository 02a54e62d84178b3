"""Plain loops and scalar functions for compiled code: special functions, scans, sorting (systems: routines_linalg).

In: flat C-ordered buffers of the arguments, the outs, scratch, then the sizes of every argument and the static
parameters as integers.  Out: the outs, filled.  Everything here runs as Python and compiles with Numba: no
allocation, no slices, no closures.

    running_sum(x, out, 2, 3, 1, 0)    # np.cumsum(x, axis=1) of a 2 x 3 array, forwards
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
import math

# ---------------------------------------------------------------- special functions


def expit(x):
    """1 / (1 + exp(-x)), also where exp overflows."""
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


def logaddexp(a, b):
    """log(exp(a) + exp(b)): the larger, and what the other adds."""
    apart = a - b if a != b else 0.0
    return (a if a > b else b) + math.log1p(math.exp(-abs(apart)))


def digamma(x):
    """d/dx log gamma(x): reflection below zero, a rational form on [1, 2], an asymptotic series from 10 on."""
    y = 0.0
    if x != x or x == math.inf:
        return x
    if x == 0.0:
        return math.copysign(math.inf, -x)
    if x < 0.0:
        r = x - math.floor(x)
        if r == 0.0:
            return math.nan
        y = -math.pi / math.tan(math.pi * r)
        x = 1.0 - x
    if x <= 10.0 and x == math.floor(x):
        n = int(x)
        for k in range(1, n):
            y += 1.0 / k
        return y - 0.57721566490153286061
    if x < 1.0:
        y -= 1.0 / x
        x += 1.0
    elif x < 10.0:
        while x > 2.0:
            x -= 1.0
            y += 1.0 / x
    if x <= 2.0:
        # around the positive root, written as the sum of three numbers (Boost's form)
        g = x - 1569415565.0 / 1073741824.0
        g -= (381566830.0 / 1073741824.0) / 1073741824.0
        g -= 0.9016312093258695918615325266959189453125e-19
        t = x - 1.0
        p = -0.0020713321167745952
        p = p * t - 0.045251321448739056
        p = p * t - 0.28919126444774784
        p = p * t - 0.65031853770896507
        p = p * t - 0.32555031186804491
        p = p * t + 0.25479851061131551
        q = -0.55789841321675513e-6
        q = q * t + 0.0021284987017821144
        q = q * t + 0.054151797245674225
        q = q * t + 0.43593529692665969
        q = q * t + 1.4606242909763515
        q = q * t + 2.0767117023730469
        q = q * t + 1.0
        return g * 0.99558162689208984375 + g * (p / q) + y
    z = 1.0 / (x * x)
    s = 0.0
    if x < 1e17:
        s = 8.33333333333333333333e-2
        s = s * z - 2.10927960927960927961e-2
        s = s * z + 7.57575757575757575758e-3
        s = s * z - 4.16666666666666666667e-3
        s = s * z + 3.96825396825396825397e-3
        s = s * z - 8.33333333333333333333e-3
        s = s * z + 8.33333333333333333333e-2
        s = s * z
    return math.log(x) - 0.5 / x - s + y


ZETA = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10, -2.950130727918164224e12,
    1.1646782814350067249e14, -4.5979787224074726105e15, 1.8152105401943546773e17, -7.1661652561756670113e18,
)  # fmt: skip


def hurwitz(s, q):
    """sum over k of (q + k)**-s for a whole s > 1: direct terms, then Euler and Maclaurin."""
    if q != q:
        return q
    if q <= 0.0 and q == math.floor(q):
        return math.inf
    if q == math.inf:
        return 0.0
    total = q**-s
    a = q
    b = total
    n = 0
    while n < 9 or a <= 9.0:
        n += 1
        a += 1.0
        b = a**-s
        total += b
        if abs(b) < 1e-17 * abs(total):
            return total
    w = a
    total += b * w / (s - 1.0) - 0.5 * b
    a = 1.0
    k = 0.0
    for i in range(12):
        a *= s + k
        b /= w
        t = a * b / ZETA[i]
        total += t
        if abs(t) < 1e-17 * abs(total):
            return total
        a *= s + k + 1.0
        b /= w
        k += 2.0
    return total


def polygamma(n, x):
    """The n-th derivative of digamma, n >= 1."""
    factorial = 1.0
    for k in range(2, n + 1):
        factorial *= k
    y = factorial * hurwitz(n + 1.0, x)
    return y if n % 2 == 1 else -y


def trigamma(x):
    return polygamma(1, x)


def erfinv(y):
    """The inverse of erf: Giles' polynomials, then Halley's steps until they no longer matter."""
    if y != y or abs(y) > 1.0:
        return math.nan
    if abs(y) == 1.0:
        return math.copysign(math.inf, y)
    if y == 0.0:
        return y
    a = abs(y)
    w = -math.log((1.0 - a) * (1.0 + a))
    if w < 5.0:
        w -= 2.5
        x = 2.81022636e-08
        x = 3.43273939e-07 + x * w
        x = -3.5233877e-06 + x * w
        x = -4.39150654e-06 + x * w
        x = 0.00021858087 + x * w
        x = -0.00125372503 + x * w
        x = -0.00417768164 + x * w
        x = 0.246640727 + x * w
        x = 1.50140941 + x * w
    else:
        w = math.sqrt(w) - 3.0
        x = -0.000200214257
        x = 0.000100950558 + x * w
        x = 0.00134934322 + x * w
        x = -0.00367342844 + x * w
        x = 0.00573950773 + x * w
        x = -0.0076224613 + x * w
        x = 0.00943887047 + x * w
        x = 1.00167406 + x * w
        x = 2.83297682 + x * w
    x *= a
    for _ in range(10):
        # far out the complement keeps the digits
        miss = math.erf(x) - a if a < 0.5 else (1.0 - a) - math.erfc(x)
        step = miss / (1.1283791670955126 * math.exp(-x * x))
        step /= 1.0 + x * step
        x -= step
        if abs(step) < 1e-9 * x:
            break
    return math.copysign(x, y)


# ---------------------------------------------------------------- scans


def running_sum(x, out, *sizes):
    """Sums along an axis; the last two sizes are the axis and whether to run from the end."""
    count = len(sizes) - 2
    axis = sizes[count]
    outer = 1
    inner = 1
    for j in range(count):
        if j < axis:
            outer *= sizes[j]
        if j > axis:
            inner *= sizes[j]
    n = sizes[axis]
    for o in range(outer):
        for s in range(n):
            i = n - 1 - s if sizes[count + 1] != 0 else s
            before = i + 1 if sizes[count + 1] != 0 else i - 1
            for c in range(inner):
                at = (o * n + i) * inner + c
                if s == 0:
                    out[at] = x[at]
                else:
                    out[at] = out[(o * n + before) * inner + c] + x[at]


def running_product(x, out, *sizes):
    """Products along an axis, which is the last size."""
    count = len(sizes) - 1
    axis = sizes[count]
    outer = 1
    inner = 1
    for j in range(count):
        if j < axis:
            outer *= sizes[j]
        if j > axis:
            inner *= sizes[j]
    n = sizes[axis]
    for o in range(outer):
        for i in range(n):
            for c in range(inner):
                at = (o * n + i) * inner + c
                if i == 0:
                    out[at] = x[at]
                else:
                    out[at] = out[at - inner] * x[at]


def convolution(a, v, out, n, m, valid):
    """Every shift of the reversed v over a, or those where v lies inside a."""
    first = m - 1 if valid != 0 else 0
    count = n - m + 1 if valid != 0 else n + m - 1
    for i in range(count):
        k = first + i
        lo = k - m + 1 if k >= m else 0
        hi = k if k < n else n - 1
        t = a[0] * v[0] * 0
        for j in range(lo, hi + 1):
            t += a[j] * v[k - j]
        out[i] = t


# ---------------------------------------------------------------- order


def before(a, b):
    """NumPy's order: NaN comes last."""
    return a < b or (b != b and a == a)


def sort_rows(x, out, work, *sizes):
    """Each row in ascending order: insertion in runs of 16, then merging."""
    m = sizes[len(sizes) - 1]
    rows = 1
    for j in range(len(sizes) - 1):
        rows *= sizes[j]
    for r in range(rows):
        base = r * m
        for i in range(m):
            t = x[base + i]
            j = i
            while j % 16 != 0 and before(t, out[base + j - 1]):
                out[base + j] = out[base + j - 1]
                j -= 1
            out[base + j] = t
        width = 16
        while width < m:
            start = 0
            while start + width < m:
                middle = start + width
                end = min(middle + width, m)
                for i in range(start, middle):
                    work[i] = out[base + i]
                i = start
                j = middle
                to = start
                while i < middle:
                    if j < end and before(out[base + j], work[i]):
                        out[base + to] = out[base + j]
                        j += 1
                    else:
                        out[base + to] = work[i]
                        i += 1
                    to += 1
                start = end
            width *= 2


def argsort_rows(x, out, work, *sizes):
    """The stable order of each row; the scratch holds positions as floats."""
    m = sizes[len(sizes) - 1]
    rows = 1
    for j in range(len(sizes) - 1):
        rows *= sizes[j]
    for r in range(rows):
        base = r * m
        for i in range(m):
            j = i
            while j % 16 != 0 and before(x[base + i], x[base + out[base + j - 1]]):
                out[base + j] = out[base + j - 1]
                j -= 1
            out[base + j] = i
        width = 16
        while width < m:
            start = 0
            while start + width < m:
                middle = start + width
                end = min(middle + width, m)
                for i in range(start, middle):
                    work[i] = out[base + i]
                i = start
                j = middle
                to = start
                while i < middle:
                    left = int(work[i])
                    if j < end and before(x[base + out[base + j]], x[base + left]):
                        out[base + to] = out[base + j]
                        j += 1
                    else:
                        out[base + to] = left
                        i += 1
                    to += 1
                start = end
            width *= 2


def place_of(a, v, n, right):
    """Where v goes in the ascending a: before its equals, or after them."""
    lo = 0
    hi = n
    while lo < hi:
        mid = (lo + hi) // 2
        if before(a[mid], v) or (right != 0 and not before(v, a[mid])):
            lo = mid + 1
        else:
            hi = mid
    return lo


def places(a, v, out, *sizes):
    """searchsorted: sizes of a, of v, then whether to go to the right of equals."""
    total = 1
    for j in range(1, len(sizes) - 1):
        total *= sizes[j]
    for i in range(total):
        out[i] = place_of(a, v[i], sizes[0], sizes[len(sizes) - 1])


def place(a, v, out, n, right):
    """searchsorted of one number."""
    out[0] = place_of(a, v, n, right)
