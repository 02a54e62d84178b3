"""Sums of products: dot, matmul, @, inner, outer, tensordot, einsum, vdot.

In: two values.  Out: one `contract` op with an index equation, `"ij,jk->ik"`: letters in both operands and not
in the result are summed.  Its derivative is again a contraction.

    X @ w;  np.einsum("ij,ik->jk", A, B);  np.tensordot(a, b, axes=1)
"""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from adc.errors import ShapeError, UnsupportedError, fail
from adc.ir import OPERATORS, Atom, Contraction, Dim, Params, Primitive, Sample, Tensor, here, product
from adc.ops.arithmetic import mul
from adc.ops.comparison import greater
from adc.ops.core import agree, promote, total, value, with_dims
from adc.ops.reduce import sum_
from adc.ops.registry import METHODS, PRIMITIVES, answers, register
from adc.ops.structure import broadcast, convert_to, show, squeeze

LETTERS = string.ascii_letters


def parts(equation: str) -> tuple[str, str, str]:
    left, out = equation.split("->")
    a, b = left.split(",")
    return a, b, out


def _type(types: tuple[Tensor, ...], p: Params) -> tuple[Tensor, ...]:
    a, b, out = parts(p["equation"])
    dims: dict[str, Dim] = {}
    for letters, t in ((a, types[0]), (b, types[1])):
        if len(letters) != t.rank or len(set(letters)) != len(letters):
            raise fail(ShapeError, "shape", here(), what=f"{p['equation']} does not fit {t}")
        for c, d in zip(letters, t.dims, strict=True):
            if dims.setdefault(c, d) != d:
                raise fail(ShapeError, "shape", here(), what=f"{p['equation']}: sizes {dims[c]} and {d} of {c} differ")
    return (Tensor(types[0].dtype, tuple(dims[c] for c in out)),)


def _text(args: list[str], types: tuple[Tensor, ...], p: Params, dim: Any) -> str:
    a, b, out = parts(p["equation"])
    x, y = args
    summed = [c for c in a if c in b and c not in out]
    batch = [c for c in a if c in b and c in out]
    free_a, free_b = [c for c in a if c not in b], [c for c in b if c not in a]
    if set(free_a + free_b + batch) != set(out):
        return f"np.einsum({p['equation']!r}, {x}, {y})"
    if not batch and len(summed) == 1 and len(a) <= 2 and len(b) <= 2:
        if "".join(free_a + free_b) != out:  # (A @ B).T is B.T @ A.T
            a, b, x, y, free_a, free_b = b, a, y, x, free_b, free_a
        if free_a and a[0] == summed[0]:
            x = f"({x}).T"
        if free_b and b[-1] == summed[0]:
            y = f"({y}).T"
        return f"({x}) @ ({y})"
    if not batch and not summed and len(a) == len(b) == 1:
        return f"np.outer({x}, {y})" if out == a + b else f"np.outer({y}, {x})"
    if not batch and not out and a == b:
        return f"np.vdot({x}, {y})"
    lead = "".join(batch)
    if len(summed) == 1 and batch and a[:-2] == b[:-2] == lead and out == lead + a[-2] + b[-1] and a[-1] == b[-2]:
        return f"({x}) @ ({y})"
    return f"np.einsum({p['equation']!r}, {x}, {y})"


def _toward(k: int, args: Any, bar: Any, equation: str) -> Any:
    """The cotangent of operand `k`."""
    if bar is None or not args[k].type.is_float:
        return None
    letters, out = parts(equation)[:2], parts(equation)[2]
    mine, other = letters[k], letters[1 - k]
    present = [c for c in mine if c in out or c in other]
    if not out and mine == other:  # a number times an array
        return mul(bar, args[1 - k])
    y = contract(bar, args[1 - k], equation=f"{out},{other}->{''.join(present)}") if (out or other) else bar * args[1 - k]
    if len(present) == len(mine):
        return y
    return broadcast(y, dims=args[k].type.dims, axes=tuple(mine.index(c) for c in present))


contract: Primitive = register(
    Primitive(
        "contract",
        type=_type,
        numpy=_text,
        loops=Contraction(lambda types, p: p["equation"]),
        jvp=lambda args, outs, dots, p: (
            total(
                None if dots[0] is None else contract(dots[0], args[1], **p),
                None if dots[1] is None else contract(args[0], dots[1], **p),
            ),
        ),
        vjp=lambda args, outs, bars, p: tuple(_toward(k, args, bars[0], p["equation"]) for k in (0, 1)),
        samples=lambda: tuple(
            Sample((_array(a, 1), _array(b, 2)), {"equation": f"{a},{b}->{o}"})
            for a, b, o in (
                ("i", "i", ""), ("ij", "j", "i"), ("j", "jk", "k"), ("ij", "jk", "ik"), ("ij", "kj", "ik"), ("ji", "jk", "ik"),
                ("ij", "jk", "ki"), ("i", "j", "ij"), ("i", "j", "ji"), ("ij", "ij", ""), ("bij", "bjk", "bik"),
                ("bij", "jk", "bik"), ("ij", "ij", "i"), ("ij", "k", "k"), ("ijk", "jk", "i"),
            )
        )
        + (Sample((np.arange(6).reshape(2, 3), np.arange(3)), {"equation": "ij,j->i"}, False),),
        reference=lambda a, b, equation: np.einsum(equation, a, b)[()],
    )
)  # fmt: skip


def _array(letters: str, seed: int) -> Any:
    sizes = {"i": 2, "j": 3, "k": 4, "b": 2}
    return np.random.default_rng(seed).uniform(-1, 1, [sizes[c] for c in letters])


def contracted(a: Atom, b: Atom, equation: str, message: str) -> Atom:
    """`contract` after promotion; axes of extent 1 stretch, equal sizes are asked for with `message`."""
    la, lb, out = parts(equation)
    joint = promote((a.type, b.type))
    flags = joint.kind == "b"
    if flags:
        joint = np.dtype("i8")
    a, b = convert_to(a, joint), convert_to(b, joint)
    sizes: dict[str, Dim] = {}
    for c in dict.fromkeys(la + lb):
        found = [t.type.dims[ls.index(c)] for t, ls in ((a, la), (b, lb)) if c in ls]
        size = next((d for d in found if d != 1), 1)
        for d in found:
            if d != 1:
                agree(size, d, message)
        sizes[c] = size

    def fit(x: Atom, letters: str) -> tuple[Atom, str]:
        ones = tuple(k for k, c in enumerate(letters) if x.type.dims[k] == 1 and sizes[c] != 1)
        if ones:
            x, letters = squeeze(x, axes=ones), "".join(c for k, c in enumerate(letters) if k not in ones)
        return with_dims(x, tuple(sizes[c] for c in letters), message), letters

    a, la = fit(a, la)
    b, lb = fit(b, lb)
    gone = tuple(k for k, c in enumerate(la) if c not in lb and c not in out)  # summed in one operand only
    if gone:
        a, la = sum_(a, axes=gone), "".join(c for k, c in enumerate(la) if k not in gone)
    gone = tuple(k for k, c in enumerate(lb) if c not in la and c not in out)
    if gone:
        b, lb = sum_(b, axes=gone), "".join(c for k, c in enumerate(lb) if k not in gone)
    have = [c for c in out if c in la or c in lb]
    if not la and not lb:
        y = mul(a, b)
    elif not la or not lb:
        x, letters = (b, lb) if not la else (a, la)
        y = _ordered(mul(a, b), letters, "".join(have))
        del x
    else:
        y = contract(a, b, equation=f"{la},{lb}->{''.join(have)}")
    if len(have) != len(out):
        y = broadcast(y, dims=tuple(sizes[c] for c in out), axes=tuple(out.index(c) for c in have))
    return greater(y, 0) if flags else y


def _ordered(x: Atom, letters: str, out: str) -> Atom:
    return x if letters == out else PRIMITIVES["transpose"](x, axes=tuple(letters.index(c) for c in out))


# ---------------------------------------------------------------- as NumPy calls them

@answers(np.matmul)
def matmul(a: Any, b: Any) -> Atom:
    a, b = value(a), value(b)
    m, n = a.type.rank, b.type.rank
    if m == 0 or n == 0:
        raise fail(ShapeError, "shape", here(), what=f"matmul: Input operand {0 if m == 0 else 1} does not have enough dimensions (has 0, gufunc core with signature (n?,k),(k,m?)->(n?,m?) requires 1)")
    batch = LETTERS[3 : 3 + max(m - 2, n - 2, 0)]
    la = batch[len(batch) - max(m - 2, 0) :] + ("ik" if m > 1 else "k")
    lb = batch[len(batch) - max(n - 2, 0) :] + ("kj" if n > 1 else "k")
    la, lb = la.replace("i", "A").replace("k", "B"), lb.replace("k", "B").replace("j", "C")
    out = batch + ("A" if m > 1 else "") + ("C" if n > 1 else "")
    da, db = a.type.dims[-1], b.type.dims[-2 if n > 1 else -1]
    message = (
        f"matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature (n?,k),(k,m?)->(n?,m?) "
        f"(size {db} is different from {da})"
    )
    agree(da, db, message)  # no stretching here: (n, 1) @ (3, m) is an error
    return contracted(a, b, _small(f"{la},{lb}->{out}"), message)


def _small(equation: str) -> str:
    """The equation in the letters i, j, k … by order of appearance."""
    names: dict[str, str] = {}
    pool = iter("ijklmnopqrstuvwxyzabcdefgh" + string.ascii_uppercase)
    return "".join(names.setdefault(c, next(pool)) if c.isalpha() and c not in names else names.get(c, c) for c in equation)


@answers(np.dot, method="dot")
def dot(a: Any, b: Any, out: Any = None) -> Atom:
    a, b = value(a), value(b)
    m, n = a.type.rank, b.type.rank
    if m == 0 or n == 0:
        return mul(a, b)
    ia, ib = m - 1, max(n - 2, 0)
    message = f"shapes {show(a.type.dims)} and {show(b.type.dims)} not aligned: {a.type.dims[ia]} (dim {ia}) != {b.type.dims[ib]} (dim {ib})"
    return _along(a, b, (ia,), (ib,), message)


def _along(a: Atom, b: Atom, axes_a: tuple[int, ...], axes_b: tuple[int, ...], message: str) -> Atom:
    """Sum over pairs of axes; what is left of `a`, then what is left of `b`."""
    la = list(LETTERS[: a.type.rank])
    lb = list(LETTERS[a.type.rank : a.type.rank + b.type.rank])
    for i, j in zip(axes_a, axes_b, strict=True):
        agree(a.type.dims[i], b.type.dims[j], message)
        lb[j] = la[i]
    out = [c for k, c in enumerate(la) if k not in axes_a] + [c for k, c in enumerate(lb) if k not in axes_b]
    return contracted(a, b, _small(f"{''.join(la)},{''.join(lb)}->{''.join(out)}"), message)


@answers(np.inner)
def inner(a: Any, b: Any) -> Atom:
    a, b = value(a), value(b)
    if a.type.rank == 0 or b.type.rank == 0:
        return mul(a, b)
    i, j = a.type.rank - 1, b.type.rank - 1
    return _along(a, b, (i,), (j,), f"shapes {show(a.type.dims)} and {show(b.type.dims)} not aligned: {a.type.dims[i]} (dim {i}) != {b.type.dims[j]} (dim {j})")


def _flat(x: Any) -> Atom:
    x = value(x)
    return x if x.type.rank == 1 else PRIMITIVES["reshape"](x, dims=(product(x.type.dims),))


@answers(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Atom:
    return _along(_flat(a), _flat(b), (), (), "")


@answers(np.vdot)
def vdot(a: Any, b: Any) -> Atom:
    return inner(_flat(a), _flat(b))


@answers(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Atom:
    a, b = value(a), value(b)
    if isinstance(axes, int):
        left, right = tuple(range(a.type.rank - axes, a.type.rank)), tuple(range(axes))
    else:
        left, right = (tuple(x) if isinstance(x, tuple | list) else (x,) for x in axes)
    if len(left) != len(right) or len(left) > min(a.type.rank, b.type.rank):
        raise fail(ShapeError, "shape", here(), what="shape-mismatch for sum")
    left, right = tuple(k % a.type.rank for k in left), tuple(k % b.type.rank for k in right)
    return _along(a, b, left, right, "shape-mismatch for sum")


@answers(np.einsum)
def einsum(*operands: Any, optimize: Any = False, out: Any = None) -> Atom:
    if not operands or not isinstance(operands[0], str):
        raise fail(UnsupportedError, "static", here(), what="the subscripts of einsum (a string, first)")
    arrays = [value(x) for x in operands[1:]]
    terms, result = _subscripts(operands[0].replace(" ", ""), arrays)
    message = f"einsum: operands do not fit {operands[0]!r}"
    seen: list[tuple[Atom, str]] = [_on_diagonal(x, t) for x, t in zip(arrays, terms, strict=True)]
    x, letters = seen[0]
    if len(seen) == 1:
        gone = tuple(k for k, c in enumerate(letters) if c not in result)
        if gone:
            x, letters = sum_(x, axes=gone), "".join(c for c in letters if c in result)
        return _ordered(x, letters, result)
    for n, (y, other) in enumerate(seen[1:], 2):
        later = set(result).union(*(t for _, t in seen[n:]))
        last = n == len(seen)
        target = result if last else "".join(c for c in dict.fromkeys(letters + other) if c in later)
        x, letters = contracted(x, y, f"{letters},{other}->{target}", message), target
    return x


def _subscripts(text: str, arrays: list[Atom]) -> tuple[list[str], str]:
    """The letters of every operand and of the result, ellipses spelled out."""
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise fail(ShapeError, "shape", here(), what=f"einsum: {len(terms)} subscripts for {len(arrays)} operands")
    spare = [c for c in LETTERS if c not in text]
    longest = max([x.type.rank - len(t.replace("...", "")) for t, x in zip(terms, arrays, strict=True) if "..." in t], default=0)
    dots = "".join(spare[:longest])
    full = []
    for t, x in zip(terms, arrays, strict=True):
        own = x.type.rank - len(t.replace("...", ""))
        t = t.replace("...", dots[len(dots) - own :] if own else "")
        if len(t) != x.type.rank:
            raise fail(ShapeError, "shape", here(), what=f"einsum: subscript {t!r} for an operand of {x.type.rank} dimensions")
        full.append(t)
    if arrow:
        return full, right.replace("...", dots)
    every = "".join(full)
    return full, dots + "".join(sorted(c for c in set(every) if every.count(c) == 1 and c not in dots))


def _on_diagonal(x: Atom, letters: str) -> tuple[Atom, str]:
    """A letter twice in one operand means its diagonal."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            agree(x.type.dims[i], x.type.dims[j], "einsum: a repeated subscript needs equal sizes")
            n = x.type.dims[i]
            order = (i, j, *(k for k in range(x.type.rank) if k not in (i, j)))
            along = PRIMITIVES["iota"](size=n)
            y = OPERATORS["getitem"](PRIMITIVES["transpose"](x, axes=order), (along, along))
            letters = c + "".join(letters[k] for k in order[2:])
            x = y
    return x, letters


OPERATORS["matmul"] = matmul
METHODS["__matmul__"] = matmul
