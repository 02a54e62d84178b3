"""Reductions, contractions and elementwise functions as NumPy users call them: the same values as NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special as special

import adc
from tests.frontend_run import check

RNG = np.random.default_rng(4)
X = RNG.uniform(-1.0, 1.0, (2, 3, 4))
M = RNG.uniform(0.1, 1.0, (3, 4))
N = RNG.uniform(-1.0, 1.0, (4, 5))
S = RNG.uniform(-1.0, 1.0, (3, 3))
V = RNG.uniform(-1.0, 1.0, 4)
W = RNG.uniform(0.2, 1.0, 3)
F4 = M.astype(np.float32)
INTS = RNG.integers(-5, 5, (3, 4))
I4 = INTS.astype(np.int32)
FLAGS = M > 0.5
HOLES = np.array([1.0, np.nan, np.inf, -np.inf, 2.5, -0.5])

CASES = {
    "sum": (lambda x: (np.sum(x), np.sum(x, axis=1), x.sum(axis=(0, 2), keepdims=True), np.sum(x, axis=-1, initial=2.0), np.sum(x, where=x > 0), np.sum(x, axis=())), X),
    "sum of ints": (lambda i, j, b: (np.sum(i), np.sum(j, axis=0), np.sum(b), b.sum(axis=1), np.sum(i, dtype=np.float64), np.prod(j), np.prod(b)), INTS, I4, FLAGS),
    "sum of floats": (lambda f: (np.sum(f), f.mean(), np.mean(f, axis=0), np.prod(f, axis=1), f.max(), np.mean(f, dtype=np.float64)), F4),
    "prod": (lambda x: (np.prod(x), x.prod(axis=1), np.prod(x, axis=(0, 1), keepdims=True), np.prod(x, initial=3.0), np.prod(x, where=x > 0)), X),
    "extremes": (lambda x: (np.max(x), x.min(axis=0), np.amax(x, axis=(1, 2)), np.min(x, axis=1, keepdims=True), np.max(x, initial=0.5), np.max(x, where=x < 0, initial=-9.0), np.amin(x, axis=())), X),
    "extremes of flags": (lambda b, i: (np.max(b), np.min(b, axis=0), np.max(i), np.min(i, axis=1)), FLAGS, INTS),
    "any all": (lambda b, x: (np.any(b), np.all(b, axis=0), b.any(axis=1, keepdims=True), np.all(x), np.any(x, axis=()), x.all(axis=1)), FLAGS, M),
    "argmax": (lambda x, b: (np.argmax(x), x.argmin(axis=1), np.argmax(x, axis=0, keepdims=True), np.argmin(x), np.argmax(b), np.argmax(b, axis=1)), X, FLAGS),
    "mean": (lambda x, i: (np.mean(x), x.mean(axis=1), np.mean(x, axis=(0, 2), keepdims=True), np.mean(i), i.mean(axis=0)), X, INTS),
    "dot": (lambda m, n, v, x: (np.dot(m, n), np.dot(m, v), np.dot(v, v), m.dot(n), np.dot(2.0, v), np.dot(x, v), np.dot(x, n)), M, N, V, X),
    "matmul": (lambda m, n, v, x, w: (m @ n, m @ v, w @ m, v @ v, x @ n, np.matmul(x, v), np.matmul(x, x.swapaxes(1, 2)), w @ x[0] @ n), M, N, V, X, W),
    "matmul of ints": (lambda i, m, b: (i @ i.T, i @ m.T, b @ b.T), INTS, M, FLAGS),
    "inner outer": (lambda m, v, w, x: (np.inner(m, v), np.inner(v, v), np.inner(x, m), np.inner(2.0, v), np.outer(v, w), np.outer(m, v), np.vdot(m, m), np.vdot(v, v)), M, V, W, X),
    "tensordot": (lambda x, m, v: (np.tensordot(x, m), np.tensordot(x, v, axes=1), np.tensordot(v, v, axes=0), np.tensordot(x, m, axes=((1, 2), (0, 1))), np.tensordot(x, m, axes=([2], [1])), np.tensordot(x, m, axes=(1, 0))), X, M, V),
    "einsum": (
        lambda x, m, n, v, s, w: (
            np.einsum("ij,jk->ik", m, n), np.einsum("ij->ji", m), np.einsum("ij->i", m), np.einsum("ii->i", s), np.einsum("ii", s),
            np.einsum("ij,jk,k->i", m, n, n[0]), np.einsum("bij,jk->bik", x, n), np.einsum("...ij,jk->...ik", x, n),
            np.einsum("i,j->ij", v, w), np.einsum("ij,ij", m, m), np.einsum("ij,jk", m, n), np.einsum("bij->b", x),
            np.einsum("i,i,i->", v, v, v), np.einsum("ij,k->k", m, v), np.einsum("...->...", v), np.einsum("ij , j -> i", m, v),
            np.einsum("ij,ij->ij", m[:1], m), np.einsum("...i,i", x, v), np.einsum("i,->i", v, 2.0),
        ),
        X, M, N, V, S, W,
    ),
    "powers": (lambda m, i: (m**2, m**-1, m**3, m**0, m**1, m**0.5, 2.0**m, m**m, i**2, i**0, np.power(m, 2.0), i**3, np.float_power(m, 2), (i * 1.0) ** i, 2**m, np.square(i)), M, INTS),
    "division": (lambda m, i: (m / 3, i / 2, i // 2, i % 3, m // 0.3, m % 0.3, -m % 0.3, np.fmod(-m, 0.3), np.divmod(m, 0.4), divmod(i, 2), np.remainder(i, 3), 1 / m, 7 // (i + 6)), M, INTS),
    "comparison": (lambda m, i: (m < 0.5, m <= m, m > 0.5, m >= 0.2, i == 2, i != 2, np.logical_and(m > 0.2, i), np.logical_or(i, m < 0), np.logical_xor(i, True), np.logical_not(i), 0.2 < m), M, INTS),
    "bits": (lambda i, b: (i & 3, i | 4, i ^ 1, ~i, i << 1, i >> 1, b & ~b, b ^ True, b + b, b * b, np.bitwise_and(i, 3), np.invert(b), -i, +i, abs(i)), INTS, FLAGS),
    "floating tests": (lambda h: (np.isnan(h), np.isinf(h), np.isfinite(h), np.signbit(h), np.nan_to_num(h), np.nan_to_num(h, nan=1.0, posinf=2.0, neginf=3.0), np.fmax(h, 1.0), np.fmin(h, 1.0), np.maximum(h, 1.0), np.minimum(h, 1.0), np.sign(h), np.heaviside(h, 0.5)), HOLES),
    "choice": (lambda x: (np.where(x > 0, x, 0.0), np.where(x > 0, 1, 2), np.clip(x, -0.2, 0.3), x.clip(0.0), np.clip(x, None, 0.1), x.clip(max=0.2), np.clip(x, min=0.0), np.where(True, x, 1.0), np.maximum(x, 0), np.copysign(1.0, x)), X),
    "rounding": (lambda x, i: (np.round(x, 1), x.round(), np.round(x * 100, -1), np.around(x), np.rint(x), np.floor(x), np.ceil(x), np.trunc(x), np.fix(x), i.round(), np.round(i), math.floor(x[0, 0, 0]), math.ceil(2.5), math.trunc(x[0, 0, 1])), X, INTS),
    "elementary": (
        lambda m: (
            np.exp(m), np.expm1(m), np.exp2(m), np.log(m), np.log1p(m), np.log2(m), np.log10(m), np.sqrt(m), np.cbrt(m), np.square(m), np.reciprocal(m), np.sin(m),
            np.cos(m), np.tan(m), np.arcsin(m), np.arccos(m), np.arctan(m), np.arctan2(m, 0.5), np.sinh(m), np.cosh(m), np.tanh(m), np.arcsinh(m), np.arccosh(m + 1.0),
            np.arctanh(m * 0.5), np.abs(-m), np.fabs(-m), np.hypot(m, 2.0), np.logaddexp(m, 0.0), np.logaddexp2(m, 1.0), np.sinc(m - 0.3), np.degrees(m), np.radians(m),
            np.deg2rad(m), np.rad2deg(m), np.positive(m), np.negative(m), np.exp(m, dtype=np.float32) if False else np.exp(m),
        ),
        M,
    ),
    "math": (
        lambda a, b: (
            math.sin(a) + math.cos(a) + math.tan(a) + math.asin(a) + math.acos(a) + math.atan(a) + math.atan2(a, b), math.sinh(a) + math.cosh(a) + math.tanh(a),
            math.asinh(a) + math.acosh(b + 1) + math.atanh(a), math.exp(a) + math.expm1(a) + math.log(b) + math.log(b, 2) + math.log1p(a) + math.log2(b) + math.log10(b),
            math.sqrt(b) + math.fabs(-a) + math.hypot(a, b) + math.degrees(a) + math.radians(a) + math.copysign(a, -1.0) + math.fmod(b, 0.3) + math.pow(b, 1.5) + math.erf(a) + math.erfc(a) + math.lgamma(b),
            math.isnan(a), math.isinf(a), math.isfinite(a), math.cbrt(b) if hasattr(math, "cbrt") else b, math.exp2(a) if hasattr(math, "exp2") else a,
        ),
        0.4, 1.7,
    ),
    "statistics": (
        lambda m: (
            special.erf(m), special.erfc(m), special.expit(m), special.logit(m * 0.9), special.gammaln(m), special.digamma(m), special.psi(m), special.polygamma(1, m),
            special.polygamma(0, m), special.xlogy(m, m), special.xlog1py(m, m), special.ndtr(m), special.log_expit(m), special.entr(m), special.betaln(m, 2.0),
            special.rel_entr(m, 0.5), special.exprel(m), special.logsumexp(m), special.logsumexp(m, axis=1), special.softmax(m, axis=0), special.log_softmax(m, axis=1),
        ),
        M,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_value(name):
    f, *args = CASES[name]
    check(f, *args)


REFUSED = {
    "axis": (lambda x: np.sum(x, axis=3), adc.ShapeError, "axis 3 is out of bounds"),
    "axis twice": (lambda x: np.sum(x, axis=(0, 0)), adc.ShapeError, "duplicate value in 'axis'"),
    "matmul sizes": (lambda x: np.ones((2, 3)) @ np.ones((4, 2)), adc.ShapeError, "mismatch in its core dimension"),
    "matmul of numbers": (lambda x: 2.0 @ x, adc.ShapeError, "does not have enough dimensions"),
    "dot sizes": (lambda x: np.dot(np.ones((2, 3)), np.ones(4)), adc.ShapeError, "not aligned"),
    "einsum operands": (lambda x: np.einsum("ij,jk->ik", x), adc.ShapeError, "subscripts for"),
    "einsum rank": (lambda x: np.einsum("ijkl->i", x), adc.ShapeError, "for an operand of"),
    "tensordot": (lambda x: np.tensordot(x, x, axes=((0, 1), (0,))), adc.ShapeError, "shape-mismatch"),
    "empty max": (lambda x: np.max(np.zeros((0, 2))) + x[0, 0, 0], adc.ShapeError, "zero-size array to reduction"),
    "where without initial": (lambda x: np.max(x, where=x > 0), adc.ShapeError, "does not have an identity"),
    "negative power": (lambda x: np.arange(3) ** -2, adc.UnsupportedError, "negative integer powers"),
    "math on arrays": (lambda x: math.sin(x), adc.UnsupportedError, "length-1 arrays"),
    "broadcast": (lambda x: np.ones(3) + np.ones(4), adc.ShapeError, "could not be broadcast"),
    "two axes": (lambda x: np.argmax(x, axis=(0, 1)), adc.UnsupportedError, "takes one axis"),
    "rounded ints": (lambda x: np.round(np.arange(3), -1), adc.UnsupportedError, "power of ten"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    f, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        adc.jit(f, target="numpy")(X)
