"""Pieces of products of matrices, in LLVM's language: tiles in registers, copies of blocks, single rows.

In: a module, how the processor's vectors are (`Shape`) and a type of numbers.  Out: `Pieces`, whose methods each add a
function to the module and return it.  adc/backend/gemm_code.py makes products of them.

A tile of c (some rows × one or two vectors) stays in registers while k goes by:

    for k:  for each row:  acc[row, :] += a[row, k] * b[k, :]

>>> Shape(32, 16).rows(2)
(6, 4, 2, 1)
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

DOT_ROWS = 4
"""Rows of b whose products with one row of a are added up side by side."""


@dataclass(frozen=True)
class Shape:
    """Vectors of a processor."""

    bytes: int
    registers: int

    def rows(self, vectors: int) -> tuple[int, ...]:
        """Rows of tiles, the best first: accumulators in most registers, so that no addition waits for the one before."""
        if vectors == 1:
            return (8, 4, 2, 1)
        return (6, 4, 2, 1) if self.registers <= 16 else (12, 6, 4, 2, 1)


class Pieces:
    """Functions for one type of numbers; `letter` is the BLAS's for it."""

    def __init__(self, ir: Any, module: Any, shape: Shape, letter: str, real: Any):
        self.ir, self.module, self.shape, self.letter, self.real = ir, module, shape, letter, real
        self.size = 8 if letter == "d" else 4
        self.lanes = shape.bytes // self.size
        self.vector = ir.VectorType(real, self.lanes)
        self.masks = shape.bytes == 64
        """Can vectors be read and written in part?  What is left out of a read is zero."""
        self.i1, self.i32, self.i64, self.void = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.VoidType()
        self.ptr = real.as_pointer()

    # ------------------------------------------------------------ pieces

    def function(self, name: str, args: list[Any], internal: bool = True) -> tuple[Any, Any]:
        fn = self.ir.Function(self.module, self.ir.FunctionType(self.void, args), name)
        if internal:
            fn.linkage = "internal"
        return fn, self.ir.IRBuilder(fn.append_basic_block("entry"))

    def at(self, b: Any, p: Any, offset: Any) -> Any:
        return b.gep(p, [offset])

    def load(self, b: Any, p: Any, mask: Any = None) -> Any:
        """A vector from anywhere."""
        place = b.bitcast(p, self.vector.as_pointer())
        if mask is None:
            return b.load(place, align=self.size)
        return b.call(self.intrinsic("masked.load", self.vector, [place.type, self.i32, mask.type, self.vector]), [place, self.i32(self.size), mask, self.zero(self.vector)])

    def store(self, b: Any, v: Any, p: Any, mask: Any = None) -> None:
        place = b.bitcast(p, self.vector.as_pointer())
        if mask is None:
            b.store(v, place, align=self.size)
        else:
            b.call(self.intrinsic("masked.store", self.void, [self.vector, place.type, self.i32, mask.type]), [v, place, self.i32(self.size), mask])

    def intrinsic(self, name: str, result: Any, args: list[Any]) -> Any:
        full = f"llvm.{name}.v{self.lanes}f{8 * self.size}.p0"
        return self.module.globals.get(full) or self.ir.Function(self.module, self.ir.FunctionType(result, args), full)

    def last(self, b: Any, columns: Any, vectors: int, whole: bool) -> list[Any]:
        """For each vector of a panel what of it there is: all of it (None), but of the last the columns that are left."""
        if whole or not self.masks:
            return [None] * vectors
        ir, lanes = self.ir, self.lanes
        ints = ir.VectorType(self.i32, lanes)
        left = b.trunc(b.sub(columns, self.i64((vectors - 1) * lanes)), self.i32)
        one = b.insert_element(ir.Constant(ints, ir.Undefined), left, self.i32(0))
        all_of_them = b.shuffle_vector(one, ir.Constant(ints, ir.Undefined), ir.Constant(ints, [0] * lanes))
        return [None] * (vectors - 1) + [b.icmp_signed("<", ir.Constant(ints, list(range(lanes))), all_of_them)]

    def zero(self, type: Any) -> Any:
        return self.ir.Constant(type, [0.0] * self.lanes if type == self.vector else 0.0)

    def splat(self, b: Any, x: Any) -> Any:
        ir = self.ir
        one = b.insert_element(ir.Constant(self.vector, ir.Undefined), x, self.i32(0))
        mask = ir.Constant(ir.VectorType(self.i32, self.lanes), [0] * self.lanes)
        return b.shuffle_vector(one, ir.Constant(self.vector, ir.Undefined), mask)

    def fma(self, b: Any, x: Any, y: Any, z: Any) -> Any:
        """x * y + z, in one step where the processor can."""
        t = x.type
        suffix = f"v{self.lanes}f{8 * self.size}" if t == self.vector else f"f{8 * self.size}"
        fn = self.module.globals.get(f"llvm.fmuladd.{suffix}")
        if fn is None:
            fn = self.ir.Function(self.module, self.ir.FunctionType(t, [t] * 3), f"llvm.fmuladd.{suffix}")
        return b.call(fn, [x, y, z])

    def whole(self, b: Any, x: Any, step: int) -> Any:
        """The largest multiple of `step` up to x."""
        return b.mul(b.sdiv(x, self.i64(step)), self.i64(step))

    def smaller(self, b: Any, x: Any, y: Any) -> Any:
        return b.select(b.icmp_signed("<", x, y), x, y)

    def larger(self, b: Any, x: Any, y: Any) -> Any:
        return b.select(b.icmp_signed(">", x, y), x, y)

    @contextmanager
    def loop(self, b: Any, count: Any, carried: list[Any], step: int = 1) -> Any:
        """`for k in range(0, count, step)`; yields (k, phis, next): write the carried values of the next turn into `next`.
        Afterwards `phis` hold the last ones."""
        before = b.block
        head, body, out = (b.function.append_basic_block(x) for x in ("head", "body", "out"))
        b.branch(head)
        b.position_at_end(head)
        k = b.phi(self.i64)
        k.add_incoming(self.i64(0), before)
        phis = []
        for c in carried:
            phi = b.phi(c.type)
            phi.add_incoming(c, before)
            phis.append(phi)
        b.cbranch(b.icmp_signed("<", k, count), body, out)
        b.position_at_end(body)
        new = list(phis)
        yield k, phis, new
        k.add_incoming(b.add(k, self.i64(step)), b.block)
        for phi, n in zip(phis, new, strict=True):
            phi.add_incoming(n, b.block)
        b.branch(head)
        b.position_at_end(out)

    # ------------------------------------------------------------ tiles

    def tile(self, rows: int, vectors: int, whole: bool, packed: bool = False) -> Any:
        """c[rows, vectors] += a @ b: (k, a, row step, k step, b, its step, c, its step, is c set instead, how many columns there are).

        Of a packed one the steps are known: a has `rows` numbers for each k, b `vectors`.
        """
        fn, b = self.function(f"{self.letter}tile_{rows}_{vectors}{'_whole' * whole}{'_packed' * packed}", [self.i64, *self.TILE])
        count, a, a_row, a_k, at_b, b_step, c, c_step, fresh, columns = fn.args
        masks = self.last(b, columns, vectors, whole)
        if packed:
            a_row, a_k, b_step = self.i64(1), self.i64(rows), self.i64(vectors * self.lanes)
        offsets = [self.i64(r) if packed else b.mul(a_row, self.i64(r)) for r in range(rows)]
        start = [self.zero(self.vector) for _ in range(rows * vectors)]
        with self.loop(b, count, [a, at_b, *start]) as (_, (now_a, now_b, *acc), new):
            parts = [self.load(b, self.at(b, now_b, self.i64(v * self.lanes)), masks[v]) for v in range(vectors)]
            for r in range(rows):
                x = self.splat(b, b.load(self.at(b, now_a, offsets[r])))
                for v in range(vectors):
                    new[2 + r * vectors + v] = self.fma(b, x, parts[v], acc[r * vectors + v])
            new[0], new[1] = self.at(b, now_a, a_k), self.at(b, now_b, b_step)
        places = [self.at(b, c, b.add(b.mul(c_step, self.i64(r)), self.i64(v * self.lanes))) for r in range(rows) for v in range(vectors)]
        with b.if_then(fresh):
            for place, sum, mask in zip(places, acc, masks * rows, strict=True):
                self.store(b, sum, place, mask)
            b.ret_void()
            b.position_at_end(fn.append_basic_block("never"))
        for place, sum, mask in zip(places, acc, masks * rows, strict=True):
            self.store(b, b.fadd(self.load(b, place, mask), sum), place, mask)
        b.ret_void()
        return fn

    @property
    def TILE(self) -> list[Any]:
        return [self.ptr, self.i64, self.i64, self.ptr, self.i64, self.ptr, self.i64, self.i1, self.i64]

    def panel(self, vectors: int, whole: bool) -> Any:
        """All rows of a block of columns (the whole width, or what masks cut out of it), in tiles of fewer and fewer: (rows, k, a, row step, k step, b, its step, c, its step,
        is c set instead, how many columns there are, packed rows of a, how many)."""
        fn, b = self.function(f"{self.letter}panel_{vectors}{'_whole' * whole}", [self.i64, self.i64, *self.TILE, self.ptr, self.i64])
        rows, count, a, a_row, a_k, at_b, b_step, c, c_step, fresh, columns, packs, packed = fn.args
        best = self.shape.rows(2)[0]
        tile = self.tile(best, vectors, whole, packed=True)
        with self.loop(b, packed, [], best) as (i, _, _n):
            b.call(tile, [count, self.at(b, packs, b.mul(i, count)), a_row, a_k, at_b, b_step, self.at(b, c, b.mul(i, c_step)), c_step, fresh, columns])
        done: Any = packed
        for size in self.shape.rows(vectors):
            tile = self.tile(size, vectors, whole)
            span = self.whole(b, b.sub(rows, done), size)
            with self.loop(b, span, [], size) as (i, _, _n):
                i = b.add(done, i)
                b.call(tile, [count, self.at(b, a, b.mul(i, a_row)), a_row, a_k, at_b, b_step, self.at(b, c, b.mul(i, c_step)), c_step, fresh, columns])
            done = b.add(done, span)
        b.ret_void()
        return fn

    # ------------------------------------------------------------ copies of a

    def pack(self) -> Any:
        """packs[t, k, r] = a[k, t * rows + r] for whole tiles of rows, where a lies by k: (rows, k, a, its step along k, packs)."""
        fn, b = self.function(f"{self.letter}pack", [self.i64, self.i64, self.ptr, self.i64, self.ptr])
        rows, count, a, a_k, packs = fn.args
        tall = self.shape.rows(2)[0]
        piece = self.ir.VectorType(self.real, 4 if tall % 4 == 0 else 2)
        with self.loop(b, rows, [], tall) as (i, _, _n):
            to = self.at(b, packs, b.mul(i, count))
            with self.loop(b, count, []) as (k, _, _n):
                line, place = self.at(b, a, b.add(i, b.mul(k, a_k))), self.at(b, to, b.mul(k, self.i64(tall)))
                for r in range(0, tall, piece.count):
                    of, into = (b.bitcast(self.at(b, x, self.i64(r)), piece.as_pointer()) for x in (line, place))
                    b.store(b.load(of, align=self.size), into, align=self.size)
        b.ret_void()
        return fn

    # ------------------------------------------------------------ copies of b

    def copy_whole(self, vectors: int) -> Any:
        """block[k, :] = b[k, :], with zeros for columns that there are not: (k, columns, b, its step, block)."""
        fn, b = self.function(f"{self.letter}copy_whole_{vectors}", [self.i64, self.i64, self.ptr, self.i64, self.ptr])
        count, columns, source, step, block = fn.args
        masks = self.last(b, columns, vectors, whole=False)
        with self.loop(b, count, []) as (k, _, _n):
            to, of = self.at(b, block, b.mul(k, self.i64(vectors * self.lanes))), self.at(b, source, b.mul(k, step))
            for v in range(vectors):
                at = self.i64(v * self.lanes)
                self.store(b, self.load(b, self.at(b, of, at), masks[v]), self.at(b, to, at))
        b.ret_void()
        return fn

    def copy_part(self) -> Any:
        """block[k, :columns] = b[k, :columns], zeros up to `width`: (k, columns, width, b, its step, block)."""
        fn, b = self.function(f"{self.letter}copy_part", [self.i64, self.i64, self.i64, self.ptr, self.i64, self.ptr])
        count, columns, width, source, step, block = fn.args
        with self.loop(b, count, []) as (k, _, _n):
            to, of = self.at(b, block, b.mul(k, width)), self.at(b, source, b.mul(k, step))
            with self.loop(b, columns, []) as (j, _, _n):
                b.store(b.load(self.at(b, of, j)), self.at(b, to, j))
            with self.loop(b, b.sub(width, columns), []) as (j, _, _n):
                b.store(self.zero(self.real), self.at(b, to, b.add(columns, j)))
        b.ret_void()
        return fn

    def copy_turned(self) -> Any:
        """block[k, j] = b[j, k]: squares of vectors are turned in registers.  (k, columns, width, b, its step, block)"""
        fn, b = self.function(f"{self.letter}copy_turned", [self.i64, self.i64, self.i64, self.ptr, self.i64, self.ptr])
        count, columns, width, source, step, block = fn.args
        squares_j, squares_k = (self.whole(b, x, self.lanes) for x in (columns, count))
        with self.loop(b, squares_j, [], self.lanes) as (j, _, _n):
            of = self.at(b, source, b.mul(j, step))
            to = self.at(b, block, j)
            with self.loop(b, squares_k, [], self.lanes) as (k, _, _n):
                lines = [self.load(b, self.at(b, of, b.add(b.mul(step, self.i64(r)), k))) for r in range(self.lanes)]
                for r, line in enumerate(self.turned(b, lines)):
                    self.store(b, line, self.at(b, to, b.mul(b.add(k, self.i64(r)), width)))
            with self.loop(b, b.sub(count, squares_k), []) as (rest, _, _n):
                k = b.add(squares_k, rest)
                for r in range(self.lanes):
                    value = b.load(self.at(b, of, b.add(b.mul(step, self.i64(r)), k)))
                    b.store(value, self.at(b, to, b.add(b.mul(k, width), self.i64(r))))
        with self.loop(b, b.sub(columns, squares_j), []) as (rest, _, _n):
            j = b.add(squares_j, rest)
            with self.loop(b, count, []) as (k, _, _n):
                value = b.load(self.at(b, source, b.add(b.mul(j, step), k)))
                b.store(value, self.at(b, block, b.add(b.mul(k, width), j)))
        with self.loop(b, b.sub(width, columns), []) as (rest, _, _n):
            with self.loop(b, count, []) as (k, _, _n):
                b.store(self.zero(self.real), self.at(b, block, b.add(b.mul(k, width), b.add(columns, rest))))
        b.ret_void()
        return fn

    def turned(self, b: Any, lines: list[Any]) -> list[Any]:
        """The transposed square: interleaving the halves log2(lanes) times."""
        ir, n = self.ir, self.lanes
        masks = [[x for i in range(n // 2) for x in (start + i, n + start + i)] for start in (0, n // 2)]
        low, high = (ir.Constant(ir.VectorType(self.i32, n), m) for m in masks)
        done = 1
        while done < n:
            lines = [b.shuffle_vector(lines[i], lines[i + n // 2], mask) for i in range(n // 2) for mask in (low, high)]
            done *= 2
        return lines

    # ------------------------------------------------------------ one row

    def row(self) -> Any:
        """c[n] += a[k] @ b[k, n]: (n, k, a, k step, b, its step, c)."""
        fn, b = self.function(f"{self.letter}row", [self.i64, self.i64, self.ptr, self.i64, self.ptr, self.i64, self.ptr])
        n, count, a, a_k, at_b, b_step, c = fn.args
        done: Any = self.i64(0)
        for vectors in (8, 2, 1, 0):
            width = max(1, vectors * self.lanes)
            span = self.whole(b, b.sub(n, done), width)
            with self.loop(b, span, [], width) as (j, _, _n):
                column = b.add(done, j)
                start = [self.zero(self.vector if vectors else self.real)] * max(1, vectors)
                with self.loop(b, count, [a, self.at(b, at_b, column), *start]) as (_, (now_a, now_b, *acc), new):
                    x = b.load(now_a)
                    x = self.splat(b, x) if vectors else x
                    for v in range(max(1, vectors)):
                        place = self.at(b, now_b, self.i64(v * self.lanes))
                        new[2 + v] = self.fma(b, x, self.load(b, place) if vectors else b.load(place), acc[v])
                    new[0], new[1] = self.at(b, now_a, a_k), self.at(b, now_b, b_step)
                for v in range(max(1, vectors)):
                    place = self.at(b, c, b.add(column, self.i64(v * self.lanes)))
                    if vectors:
                        self.store(b, b.fadd(self.load(b, place), acc[v]), place)
                    else:
                        b.store(b.fadd(b.load(place), acc[v]), place)
            done = b.add(done, span)
        b.ret_void()
        return fn

    def dots(self) -> Any:
        """c[n] += b[n, k] @ a[k]: (n, k, a, b, its step, c); a lies together."""
        fn, b = self.function(f"{self.letter}dots", [self.i64, self.i64, self.ptr, self.ptr, self.i64, self.ptr])
        n, count, a, at_b, b_step, c = fn.args
        whole_k = self.whole(b, count, self.lanes)
        done: Any = self.i64(0)
        for rows in (DOT_ROWS, 1):
            span = self.whole(b, b.sub(n, done), rows)
            with self.loop(b, span, [], rows) as (i, _, _n):
                first = b.add(done, i)
                lines = [self.at(b, at_b, b.mul(b.add(first, self.i64(r)), b_step)) for r in range(rows)]
                with self.loop(b, whole_k, [self.zero(self.vector)] * rows, self.lanes) as (k, acc, new):
                    x = self.load(b, self.at(b, a, k))
                    for r in range(rows):
                        new[r] = self.fma(b, x, self.load(b, self.at(b, lines[r], k)), acc[r])
                sums = [self.added(b, v) for v in acc]
                with self.loop(b, b.sub(count, whole_k), sums) as (rest, now, new):
                    k = b.add(whole_k, rest)
                    x = b.load(self.at(b, a, k))
                    for r in range(rows):
                        new[r] = self.fma(b, x, b.load(self.at(b, lines[r], k)), now[r])
                for r in range(rows):
                    place = self.at(b, c, b.add(first, self.i64(r)))
                    b.store(b.fadd(b.load(place), now[r]), place)
            done = b.add(done, span)
        b.ret_void()
        return fn

    def added(self, b: Any, v: Any) -> Any:
        """The sum of the lanes, by halves."""
        ir, n = self.ir, self.lanes
        half = n // 2
        while half:
            mask = [i + half if i < half else i for i in range(n)]
            other = b.shuffle_vector(v, v, ir.Constant(ir.VectorType(self.i32, n), mask))
            v = b.fadd(v, other)
            half //= 2
        return b.extract_element(v, self.i32(0))


__all__ = ["Pieces", "Shape"]
