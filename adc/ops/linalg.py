"""Linear systems: solve, inv, det, slogdet, cholesky, triangular solves.

In: matrices, with any axes of batches in front.  Out: NumPy's results.  Derivatives are again such systems.

    np.linalg.solve(A, b); sign, logdet = np.linalg.slogdet(A); L = np.linalg.cholesky(A)

A singular matrix, or one that is not positive definite, is a CheckError on every target.
`cholesky` reads the lower triangle only, so its gradient is lower triangular.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import Atom, Params, Primitive, Routine, Sample, Tensor, here, literal
from adc.ops import routines_linalg as routines
from adc.ops.comparison import equal, greater, greater_equal, where
from adc.ops.contract import LETTERS, contract
from adc.ops.core import agree, broadcast_dims, broadcast_to, promote, total, value, with_dims
from adc.ops.registry import PRIMITIVES, answers, register
from adc.ops.scan import same_type
from adc.ops.shape import swapaxes
from adc.ops.structure import broadcast, convert_to, expand, same_size, show, squeeze

# ---------------------------------------------------------------- matrices in expressions


def times(a: Any, b: Any, ta: bool = False, tb: bool = False) -> Any:
    """Matrix products along equal batch axes, of transposes if asked; `b` may be one vector."""
    lead = LETTERS[3 : 3 + a.type.rank - 2]
    left = lead + ("ba" if ta else "ab")
    right = "b" if b.type.rank == 1 else lead + ("cb" if tb else "bc")
    out = "a" if b.type.rank == 1 else lead + "ac"
    return contract(a, b, equation=f"{left},{right}->{out}")


def outer(a: Any, b: Any) -> Any:
    """a b^T for columns (or two vectors)."""
    return contract(a, b, equation="a,b->ab") if a.type.rank == 1 else times(a, b, tb=True)


def turned(a: Any) -> Any:
    return swapaxes(a, -1, -2)


def places(t: Tensor) -> tuple[Any, Any]:
    """Row and column numbers, to be compared at every element of a matrix."""
    n, m = t.dims[-2:]
    rows, columns = PRIMITIVES["iota"](size=n), PRIMITIVES["iota"](size=m)
    return broadcast(rows, dims=(n, m), axes=(0,)), broadcast(columns, dims=(n, m), axes=(1,))


def _stacked(flags: Any, t: Tensor) -> Any:
    return flags if t.rank == 2 else broadcast(flags, dims=t.dims, axes=(t.rank - 2, t.rank - 1))


def triangle(a: Any, lower: bool, k: int = 0) -> Any:
    """The part of matrices on and below (or above) the k-th diagonal."""
    i, j = places(a.type)
    i = i + k if k else i
    return where(_stacked(greater_equal(i, j) if lower else greater_equal(j, i), a.type), a, 0)


def half_lower(a: Any) -> Any:
    """The lower triangle with half of the diagonal."""
    i, j = places(a.type)
    below, on = _stacked(greater(i, j), a.type), _stacked(equal(i, j), a.type)
    return where(below, a, where(on, a * literal(0.5, a.type.dtype), 0))


def to_matrices(v: Any, like: Tensor) -> Any:
    """One number for each matrix, seen at all of its elements."""
    return broadcast(v, dims=like.dims, axes=tuple(range(like.rank - 2)))


def trace_of_product(a: Any, b: Any) -> Any:
    """trace(a^T b) for each matrix."""
    lead = LETTERS[3 : 3 + a.type.rank - 2]
    return contract(a, b, equation=f"{lead}ab,{lead}ab->{lead}")


# ---------------------------------------------------------------- types


def _square(t: Tensor) -> None:
    if t.rank < 2 or t.dims[-1] != t.dims[-2]:
        raise fail(ShapeError, "shape", here(), what="Last 2 dimensions of the array must be square")


def _matrix_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    _square(types[0])
    return same_type(types, p)


def _number_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    _square(types[0])
    return (Tensor(types[0].dtype, types[0].dims[:-2]),)


def _solve_type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    a, b = types
    _square(a)
    fits = b.dims == a.dims[-1:] if b.rank == 1 and a.rank == 2 else b.rank == a.rank and b.dims[:-1] == a.dims[:-1]
    if not fits or a.dtype != b.dtype:
        raise fail(ShapeError, "shape", here(), what=f"cannot solve {a} with a right side {b}")
    return (Tensor(b.dtype, b.dims),)


def _scratch(types: tuple[Tensor, ...], p: Params) -> tuple[tuple[Any, ...], ...]:
    return (types[0].dims[-2:],)


# ---------------------------------------------------------------- samples


def _matrices(*lead: int, n: int = 3, seed: int = 1) -> Any:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (*lead, n, n)) + 2.0 * np.eye(n)


def _positive(*lead: int, n: int = 3) -> Any:
    a = _matrices(*lead, n=n)
    return a @ np.swapaxes(a, -1, -2)


def _right(*shape: int) -> Any:
    return np.random.default_rng(9).uniform(-1.0, 1.0, shape)


def _each(make: Callable[..., Any]) -> Callable[[], tuple[Sample, ...]]:
    def samples() -> tuple[Sample, ...]:
        return (
            Sample((make(),)),
            Sample((make(n=1),)),
            Sample((make(2, 2),)),
            Sample((make().astype(np.float32),), {}, False),
            Sample((make(n=0),), {}, False),
        )

    return samples


# ---------------------------------------------------------------- solve, inv


def _solve_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    (a, _), (x,), (da, db) = args, outs, dots
    right = total(db, None if da is None else -times(da, x))
    return (None if right is None else solve_op(a, right),)


def _solve_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    if bars[0] is None:
        return None, None
    b_bar = solve_op(turned(args[0]), bars[0])
    return -outer(b_bar, outs[0]), b_bar


solve_op: Primitive = register(
    Primitive(
        "solve",
        type=_solve_type,
        numpy="np.linalg.solve({0}, {1})",
        loops=Routine(routines.solve_systems, work=_scratch, fails="Singular matrix"),
        jvp=_solve_jvp,
        vjp=_solve_vjp,
        samples=lambda: (
            Sample((_matrices(), _right(3))),
            Sample((_matrices(), _right(3, 2))),
            Sample((_matrices(2), _right(2, 3, 1))),
            Sample((np.array([[0.0, 2.0], [3.0, 1.0]]), _right(2, 2))),
            Sample((_matrices().astype(np.float32), _right(3).astype(np.float32)), {}, False),
            Sample((_matrices(n=1), _right(1))),
        ),
        reference=np.linalg.solve,
    )
)


def _inv_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    return (None if dots[0] is None else -times(times(outs[0], dots[0]), outs[0]),)


def _inv_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    return (None if bars[0] is None else -times(times(outs[0], bars[0], ta=True), outs[0], tb=True),)


inv_op: Primitive = register(
    Primitive(
        "inv",
        type=_matrix_type,
        numpy="np.linalg.inv({0})",
        loops=Routine(routines.invert_matrices, work=_scratch, fails="Singular matrix"),
        jvp=_inv_jvp,
        vjp=_inv_vjp,
        samples=_each(_matrices),
        reference=np.linalg.inv,
    )
)

# ---------------------------------------------------------------- determinants

# d log|det a| = trace(a^-1 da); with a singular matrix these rules divide by zero, and say so


def _det_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    if dots[0] is None:
        return (None,)
    return (outs[0] * trace_of_product(turned(inv_op(args[0])), dots[0]),)


def _det_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    if bars[0] is None:
        return (None,)
    return (to_matrices(bars[0] * outs[0], args[0].type) * turned(inv_op(args[0])),)


det_op: Primitive = register(
    Primitive(
        "det",
        type=_number_type,
        numpy="np.linalg.det({0})",
        loops=Routine(routines.determinants, work=_scratch),
        jvp=_det_jvp,
        vjp=_det_vjp,
        samples=lambda: (*_each(_matrices)(), Sample((np.ones((2, 2)),), {}, False), Sample((-_matrices(),))),
        reference=np.linalg.det,
    )
)


def _slogdet_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    return None, (None if dots[0] is None else trace_of_product(turned(inv_op(args[0])), dots[0]))


def _slogdet_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    if bars[1] is None:
        return (None,)
    return (to_matrices(bars[1], args[0].type) * turned(inv_op(args[0])),)


slogdet_op: Primitive = register(
    Primitive(
        "slogdet",
        type=lambda types, p: _number_type(types, p) * 2,
        numpy="np.linalg.slogdet({0})",
        loops=Routine(routines.log_determinants, work=_scratch),
        jvp=_slogdet_jvp,
        vjp=_slogdet_vjp,
        samples=lambda: (*_each(_matrices)(), Sample((np.ones((2, 2)),), {}, False), Sample((-_matrices(),))),
        reference=lambda a: tuple(np.linalg.slogdet(a)),
    )
)


# ---------------------------------------------------------------- triangles


def _tri_text(args: list[str], types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    part = f"np.{'tril' if p['lower'] else 'triu'}({args[0]})"
    if p["trans"]:
        part = f"{part}.T" if types[0].rank == 2 else f"np.swapaxes({part}, -1, -2)"
    return f"np.linalg.solve({part}, {args[1]})"


def _tri_reference(a: Any, b: Any, lower: bool, trans: bool) -> Any:
    part = np.tril(a) if lower else np.triu(a)
    return np.linalg.solve(np.swapaxes(part, -1, -2) if trans else part, b)


def _tri_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    (a, _), (x,), (da, db) = args, outs, dots
    moved = None if da is None else -times(triangle(da, p["lower"]), x, ta=p["trans"])
    right = total(db, moved)
    return (None if right is None else trisolve(a, right, **p),)


def _tri_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    if bars[0] is None:
        return None, None
    b_bar = trisolve(args[0], bars[0], lower=p["lower"], trans=not p["trans"])
    a_bar = outer(outs[0], b_bar) if p["trans"] else outer(b_bar, outs[0])
    return -triangle(a_bar, p["lower"]), b_bar


trisolve: Primitive = register(
    Primitive(
        "trisolve",
        type=_solve_type,
        numpy=_tri_text,
        loops=Routine(routines.solve_triangles, ("lower", "trans")),
        jvp=_tri_jvp,
        vjp=_tri_vjp,
        samples=lambda: tuple(
            Sample((_matrices(*lead), _right(*lead, 3, *columns)), {"lower": lower, "trans": trans})
            for lead, columns in (((), ()), ((), (2,)), ((2,), (2,)))
            for lower in (True, False)
            for trans in (True, False)
        ),
        reference=_tri_reference,
    )
)


def _cholesky_jvp(args: Any, outs: Any, dots: Any, p: Params) -> Any:
    if dots[0] is None:
        return (None,)
    # only the lower triangle is read: its change stands for a symmetric one (Murray 2016)
    factor, low = outs[0], half_lower(dots[0])
    da = low + turned(low)
    inner = trisolve(factor, da, lower=True, trans=False)
    inner = turned(trisolve(factor, turned(inner), lower=True, trans=False))
    return (times(factor, half_lower(inner)),)


def _cholesky_vjp(args: Any, outs: Any, bars: Any, p: Params) -> Any:
    if bars[0] is None:
        return (None,)
    factor = outs[0]
    inner = half_lower(times(factor, bars[0], ta=True))
    s = trisolve(factor, inner, lower=True, trans=True)
    s = turned(trisolve(factor, turned(s), lower=True, trans=True))
    return (half_lower(s + turned(s)),)


cholesky_op: Primitive = register(
    Primitive(
        "cholesky",
        type=_matrix_type,
        numpy="np.linalg.cholesky({0})",
        loops=Routine(routines.cholesky_factors, fails="Matrix is not positive definite"),
        jvp=_cholesky_jvp,
        vjp=_cholesky_vjp,
        samples=_each(_positive),
        reference=np.linalg.cholesky,
    )
)

# ---------------------------------------------------------------- as NumPy calls them


def matrices(a: Any, square: bool = True) -> Atom:
    """Float matrices, square if asked."""
    x = value(a)
    if not x.type.is_float:
        x = convert_to(x, np.float64)
    if x.type.rank < 2:
        raise fail(
            ShapeError,
            "shape",
            here(),
            what=f"{x.type.rank}-dimensional array given. Array must be at least two-dimensional",
        )
    *lead, n, m = x.type.dims
    if square and n != m:
        x = with_dims(x, (*lead, n, n), "Last 2 dimensions of the array must be square")
    return x


def _two_sides(a: Any, b: Any, vector: bool) -> tuple[Atom, Atom]:
    """Both sides of systems with one dtype and equal batches; `vector`: b is one right side."""
    a, b = matrices(a), value(b)
    joint = promote((a.type, b.type))
    a, b = convert_to(a, joint), convert_to(b, joint)
    n = a.type.dims[-1]
    if not b.type.rank:
        raise fail(
            ShapeError, "shape", here(), what="0-dimensional array given. Array must be at least one-dimensional"
        )
    shapes = f"{show(a.type.dims)} and {show(b.type.dims)}"
    message = f"solve: Input operand 1 has a mismatch in its core dimension 0: shapes {shapes}"
    if vector and a.type.rank == 2:
        return a, with_dims(b, (n,), message)
    if vector:
        b = expand(b, (1,))
    rows = b.type.dims[-2]
    agree(n, rows, message)
    if rows != n:
        b = same_size(b, dims=(*b.type.dims[:-2], n, b.type.dims[-1]))
    lead = broadcast_dims((a.type.dims[:-2], b.type.dims[:-2]))
    return broadcast_to(a, (*lead, n, n)), broadcast_to(b, (*lead, n, b.type.dims[-1]))


def _answer(x: Atom, a: Atom, vector: bool) -> Atom:
    return squeeze(x, axes=(x.type.rank - 1,)) if vector and a.type.rank > 2 else x  # type: ignore[no-any-return]


@answers(np.linalg.solve, "scipy.linalg.solve")
def solve(a: Any, b: Any) -> Atom:
    vector = value(b).type.rank == 1
    left, right = _two_sides(a, b, vector)
    return _answer(solve_op(left, right), left, vector)


@answers(np.linalg.inv, "scipy.linalg.inv")
def inv(a: Any) -> Atom:
    return inv_op(matrices(a))  # type: ignore[no-any-return]


@answers(np.linalg.det, "scipy.linalg.det")
def det(a: Any) -> Atom:
    return det_op(matrices(a))  # type: ignore[no-any-return]


class SlogdetResult(NamedTuple):
    """As NumPy names them."""

    sign: Any
    logabsdet: Any


@answers(np.linalg.slogdet)
def slogdet(a: Any) -> SlogdetResult:
    return SlogdetResult(*slogdet_op(matrices(a)))


@answers(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Atom:
    x = matrices(a)
    return turned(cholesky_op(turned(x))) if upper else cholesky_op(x)  # type: ignore[no-any-return]


@answers("scipy.linalg.cholesky")
def scipy_cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Atom:
    return cholesky(a, upper=not lower)


@answers("scipy.linalg.solve_triangular")
def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Atom:
    if unit_diagonal:
        raise fail(
            UnsupportedError,
            "type",
            here(),
            what="solve_triangular(unit_diagonal=True)",
            instead="put ones on the diagonal",
        )
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise fail(ShapeError, "shape", here(), what=f"trans={trans!r}")
    vector = value(b).type.rank == 1
    left, right = _two_sides(a, b, vector)
    return _answer(trisolve(left, right, lower=bool(lower), trans=trans not in (0, "N")), left, vector)


@answers("scipy.linalg.cho_factor")
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Atom, bool]:
    return cholesky(a, upper=not lower), bool(lower)


@answers("scipy.linalg.cho_solve")
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Atom:
    c, lower = c_and_lower
    y = solve_triangular(c, b, 0 if lower else 1, lower)
    return solve_triangular(c, y, 1 if lower else 0, lower)


__all__ = ["cholesky", "det", "inv", "matrices", "slogdet", "solve", "solve_triangular", "triangle", "turned"]
