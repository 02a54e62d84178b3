"""The native code of products of matrices: blocks of tiles, and the door to the BLAS for large ones.

In: how the processor's vectors are (`Shape`), and d (float64) or s (float32).  Out: `text(shape, letter)`, a module in LLVM's language
with

    void adc_gemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)

which has the arguments of cblas_dgemm with 64-bit integers and computes `c = op(a) @ op(b) + beta * c` for row-major blocks: `order`
and `alpha` are taken to be 101 and 1, `beta` to be 0 or 1, as kernels call it; with 0 nothing is read from c.  Up to `large(shape)` multiplications it is this code, above it is
the BLAS whose addresses stand in the words that the exported `adc_blas` points to (none: this code does all sizes).

A transposed b, columns beyond the last whole tile where vectors have no masks, and whatever is read often enough, are copied into a block on the stack first.  One row (or one
column) of c has kernels of its own.  How it is measured: tests/bench/products.py, docs/design/products.md.

>>> "adc_gemm" in text(Shape(16, 16), "d")
True
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adc.backend.gemm_tiles import Pieces, Shape

LARGE = 1 << 20
LARGE_WIDE = 1 << 27
"""Multiplications above which the BLAS is quicker, also with vectors of 512 bits (docs/design/products.md)."""
BLOCK_BYTES = 1024
"""Of one row of a, or one column of b, that are multiplied before the next: a copied block of b stays in the first cache."""
BLOCK_ROWS = 192
"""What one copied block of b is used for; so many rows of a stay in the second cache."""
PART_ROWS = 48
"""Rows whose products with fewer columns than a vector has stand beside c before they are added: whole tiles, and little of the first cache."""
PACK = 6
"""Vectors of columns from which on rows of a whose numbers lie apart are copied into the order in which tiles read them."""
REUSE = 24
"""Rows from which on a block of b is copied although it need not be."""
WORDS = ("dgemm", "sgemm", "get", "set", "saved", "users")
"""The words that `adc_blas` points to: functions of the BLAS (0: none); its number of threads while products run; how many run."""


def shape() -> Shape:
    """That of the processor here."""
    import llvmlite.binding as llvm

    has = llvm.get_host_cpu_features()
    if has.get("avx512f"):
        return Shape(64, 32)
    return Shape(32, 16) if has.get("avx2") else Shape(16, 32 if has.get("neon") else 16)


def large(shape: Shape) -> int:
    """Multiplications above which the BLAS is quicker."""
    return LARGE_WIDE if shape.bytes == 64 else LARGE


def text(shape: Shape, letter: str) -> str:
    """The module."""
    from llvmlite import ir

    module = ir.Module("adc_gemm")
    words = ir.GlobalVariable(module, ir.IntType(64).as_pointer(), "adc_blas")
    words.initializer = ir.Constant(words.value_type, None)

    def word(b: Any, name: str) -> Any:
        return b.gep(b.load(words), [ir.IntType(32)(WORDS.index(name))])

    hold, release = _holding(ir, module, word)
    real = ir.DoubleType() if letter == "d" else ir.FloatType()
    _Writer(ir, module, shape, letter, real).write(word, hold, release)
    return str(module)


# ---------------------------------------------------------------- the threads of the BLAS


def _holding(ir: Any, module: Any, word: Any) -> tuple[Any, Any]:
    """(hold, release): while anybody is between the two the BLAS uses one thread; the last gives back what it had.

    `users` counts them; -1 says that the first or the last of them is just talking to the BLAS.
    """
    i32, i64, void = ir.IntType(32), ir.IntType(64), ir.VoidType()
    pause = ir.Function(module, ir.FunctionType(i32, []), "sched_yield")

    def write(name: str, first: bool) -> Any:
        fn = ir.Function(module, ir.FunctionType(void, []), name)
        fn.linkage = "internal"
        names = ("entry", "again", "wait", "change", "count", "talk", "out")
        entry, again, wait, change, count, talk, out = (fn.append_basic_block(x) for x in names)
        b = ir.IRBuilder(entry)
        b.branch(again)
        b.position_at_end(again)

        def ask(x: str, result: Any, *args: Any) -> Any:
            function = ir.FunctionType(result, [a.type for a in args])
            return b.call(b.inttoptr(b.load(word(b, x)), function.as_pointer()), args)

        users = b.load_atomic(word(b, "users"), "seq_cst", 8)
        which = b.switch(users, count)
        which.add_case(i64(-1), wait)
        which.add_case(i64(0 if first else 1), change)
        b.position_at_end(wait)
        b.call(pause, [])
        b.branch(again)
        b.position_at_end(count)
        other = b.add(users, i64(1 if first else -1))
        done = b.extract_value(b.cmpxchg(word(b, "users"), users, other, "seq_cst", "seq_cst"), 1)
        b.cbranch(done, out, again)
        b.position_at_end(change)
        mine = b.extract_value(b.cmpxchg(word(b, "users"), users, i64(-1), "seq_cst", "seq_cst"), 1)
        b.cbranch(mine, talk, again)
        b.position_at_end(talk)
        can = b.and_(b.icmp_signed("!=", b.load(word(b, "get")), i64(0)), b.icmp_signed("!=", b.load(word(b, "set")), i64(0)))
        with b.if_then(can):
            if first:
                b.store(b.sext(ask("get", i32), i64), word(b, "saved"))
            many = b.icmp_signed(">", b.load(word(b, "saved")), i64(1))
            with b.if_then(many):
                ask("set", void, i32(1) if first else b.trunc(b.load(word(b, "saved")), i32))
        b.store_atomic(i64(1 if first else 0), word(b, "users"), "seq_cst", 8)
        b.branch(out)
        b.position_at_end(out)
        b.ret_void()
        return fn

    return write("hold", True), write("release", False)


# ---------------------------------------------------------------- one type


class _Writer(Pieces):
    """The products of one type."""

    @property
    def block_k(self) -> int:
        """Numbers of a row of a that are multiplied before the next."""
        return BLOCK_BYTES // self.size

    def write(self, word: Any, hold: Any, release: Any) -> None:
        thin, own = self.thin(self.row(), self.dots()), self.blocks()
        i32, i64, ptr, real = self.i32, self.i64, self.ptr, self.real
        types = [i32, i32, i32, i64, i64, i64, real, ptr, i64, ptr, i64, real, ptr, i64]
        fn, b = self.function("adc_gemm", types, internal=False)
        _, ta, tb, m, n, k, _, a, lda, at_b, ldb, beta, c, ldc = fn.args
        turned_a, turned_b = (b.icmp_signed("==", t, i32(112)) for t in (ta, tb))
        a_row, a_k = b.select(turned_a, i64(1), lda), b.select(turned_a, lda, i64(1))
        b_k, b_column = b.select(turned_b, i64(1), ldb), b.select(turned_b, ldb, i64(1))
        fresh = b.fcmp_ordered("==", beta, self.zero(real))
        row, column = b.icmp_signed("==", m, i64(1)), b.and_(b.icmp_signed("==", n, i64(1)), b.icmp_signed("==", ldc, i64(1)))
        few = b.or_(b.icmp_signed("<=", k, i64(0)), b.or_(row, column))
        with b.if_then(b.and_(fresh, few)):  # tiles set c with their first products; here it is set to zeros
            with self.loop(b, m, []) as (i, _, _n), self.loop(b, n, []) as (j, _, _n):
                b.store(self.zero(real), self.at(b, c, b.add(b.mul(i, ldc), j)))
        with b.if_then(row):
            b.call(thin, [n, k, a, a_k, at_b, b_k, b_column, c])
            b.ret_void()
            b.position_at_end(fn.append_basic_block("never"))
        with b.if_then(column):  # the transposed product has one row
            b.call(thin, [m, k, at_b, b_k, a, a_k, a_row, c])
            b.ret_void()
            b.position_at_end(fn.append_basic_block("never2"))
        address = b.load(word(b, f"{self.letter}gemm"))
        many = b.icmp_signed(">", b.mul(b.mul(m, n), k), i64(large(self.shape)))
        with b.if_then(b.and_(many, b.icmp_signed("!=", address, i64(0)))):
            b.call(hold, [])
            b.call(b.inttoptr(address, self.ir.FunctionType(self.void, types).as_pointer()), list(fn.args))
            b.call(release, [])
            b.ret_void()
            b.position_at_end(fn.append_basic_block("never3"))
        b.call(own, [turned_b, m, n, k, a, a_row, a_k, at_b, ldb, c, ldc, fresh])
        b.ret_void()

    def thin(self, row: Any, dots: Any) -> Any:
        """c[n] += a[k] @ b: (n, k, a, its step, b, its steps along k and n, c); one of b's steps is 1."""
        ir, i64 = self.ir, self.i64
        fn, b = self.function(f"{self.letter}thin", [i64, i64, self.ptr, i64, self.ptr, i64, i64, self.ptr])
        n, k, a, a_k, at_b, b_k, b_n, c = fn.args
        together = b.alloca(ir.ArrayType(self.real, self.block_k))
        with b.if_then(b.icmp_signed("==", b_n, i64(1))):
            b.call(row, [n, k, a, a_k, at_b, b_k, c])
            b.ret_void()
            b.position_at_end(fn.append_basic_block("never"))
        with b.if_then(b.icmp_signed("==", a_k, i64(1))):
            b.call(dots, [n, k, a, at_b, b_n, c])
            b.ret_void()
            b.position_at_end(fn.append_basic_block("never2"))
        block = b.bitcast(together, self.ptr)
        with self.loop(b, k, [], self.block_k) as (start, _, _n):
            count = self.smaller(b, i64(self.block_k), b.sub(k, start))
            with self.loop(b, count, []) as (t, _, _n):
                b.store(b.load(self.at(b, a, b.mul(b.add(start, t), a_k))), self.at(b, block, t))
            b.call(dots, [n, count, block, self.at(b, at_b, start), b_n, c])
        b.ret_void()
        return fn

    def blocks(self) -> Any:
        """All tiles: (b is transposed, m, n, k, a, row step, k step, b, ldb, c, ldc, is c set)."""
        ir, i64, ptr, lanes = self.ir, self.i64, self.ptr, self.lanes
        panels = {1: self.panel(1, whole=not self.masks), 2: self.panel(2, whole=True)}
        rest = self.panel(2, whole=False) if self.masks else panels[2]
        copy_whole = {v: self.copy_whole(v) for v in (1, 2)}
        copy_part, copy_turned, pack = self.copy_part(), self.copy_turned(), self.pack()
        tall = self.shape.rows(2)[0]
        fn, b = self.function(f"{self.letter}blocks", [self.i1, i64, i64, i64, ptr, i64, i64, ptr, i64, ptr, i64, self.i1])
        turned, m, n, k, a, a_row, a_k, at_b, ldb, c, ldc, set_c = fn.args

        def room(count: int, name: str) -> Any:
            made = b.alloca(ir.ArrayType(self.vector, count // lanes), name=name)
            made.align = 64
            return b.bitcast(made, ptr)

        block, part = room(self.block_k * 2 * lanes, "block"), room(PART_ROWS * 2 * lanes, "part")
        packs = room(self.block_k * BLOCK_ROWS, "packs")
        with self.loop(b, m, [], BLOCK_ROWS) as (i, _, _n):
            rows = self.smaller(b, i64(BLOCK_ROWS), b.sub(m, i))
            worth = b.icmp_signed(">=", rows, i64(REUSE))
            with self.loop(b, k, [], self.block_k) as (t, _, _n):
                count = self.smaller(b, i64(self.block_k), b.sub(k, t))
                fresh = b.and_(set_c, b.icmp_signed("==", t, i64(0)))
                here = self.at(b, a, b.add(b.mul(i, a_row), b.mul(t, a_k)))
                packs_a = b.and_(b.icmp_signed("!=", a_k, i64(1)), b.and_(worth, b.icmp_signed(">=", n, i64(PACK * lanes))))
                packed = b.select(packs_a, self.whole(b, rows, tall), i64(0))
                b.call(pack, [packed, count, here, a_k, packs])
                with self.loop(b, n, [], 2 * lanes) as (j, _, _n):
                    columns = self.smaller(b, i64(2 * lanes), b.sub(n, j))
                    target = self.at(b, c, b.add(b.mul(i, ldc), j))
                    source = self.at(b, at_b, b.select(turned, b.add(b.mul(j, ldb), t), b.add(b.mul(t, ldb), j)))
                    out = fn.append_basic_block("next")

                    def whole(vectors: int, panel: Any) -> None:
                        """Columns that fill so many vectors, or that masks cut out of them: into c at once."""
                        width = i64(vectors * lanes)
                        direct, copied, multiply = (fn.append_basic_block(x) for x in ("direct", "copied", "multiply"))
                        b.cbranch(b.or_(turned, worth), copied, direct)
                        b.position_at_end(direct)
                        b.call(panel, [rows, count, here, a_row, a_k, source, ldb, target, ldc, fresh, columns, packs, i64(0)])
                        b.branch(out)
                        b.position_at_end(copied)
                        with b.if_else(turned) as (yes, no):
                            with yes:
                                b.call(copy_turned, [count, columns, width, source, ldb, block])
                            with no:
                                b.call(copy_whole[vectors], [count, columns, source, ldb, block])
                        b.branch(multiply)
                        b.position_at_end(multiply)
                        b.call(panel, [rows, count, here, a_row, a_k, block, width, target, ldc, fresh, columns, packs, packed])
                        b.branch(out)

                    def partly(vectors: int) -> None:
                        """Fewer columns, and no masks: filled up with zeros, and added to c one by one."""
                        width = i64(vectors * lanes)
                        with b.if_else(turned) as (yes, no):
                            for branch, copy in ((yes, copy_turned), (no, copy_part)):
                                with branch:
                                    b.call(copy, [count, columns, width, source, ldb, block])
                        with self.loop(b, rows, [], PART_ROWS) as (first, _, _n):
                            some = self.smaller(b, i64(PART_ROWS), b.sub(rows, first))
                            known = self.smaller(b, some, self.larger(b, i64(0), b.sub(packed, first)))
                            at_a, at_packs = self.at(b, here, b.mul(first, a_row)), self.at(b, packs, b.mul(first, count))
                            b.call(panels[vectors], [some, count, at_a, a_row, a_k, block, width, part, width, self.i1(1), width, at_packs, known])
                            with self.loop(b, some, []) as (r, _, _n):
                                of, to = self.at(b, part, b.mul(r, width)), self.at(b, target, b.mul(b.add(first, r), ldc))
                                with self.loop(b, columns, []) as (x, _, _n):
                                    place = self.at(b, to, x)
                                    sum = b.load(self.at(b, of, x))
                                    with b.if_else(fresh) as (yes, no):
                                        with yes:
                                            b.store(sum, place)
                                        with no:
                                            b.store(b.fadd(b.load(place), sum), place)
                        b.branch(out)

                    def choose(where: Any, first: Callable[[], None], then: Callable[[], None]) -> None:
                        yes, no = fn.append_basic_block("yes"), fn.append_basic_block("no")
                        b.cbranch(where, yes, no)
                        for place, write in ((yes, first), (no, then)):
                            b.position_at_end(place)
                            write()

                    def is_(how: str, width: int) -> Any:
                        return b.icmp_signed(how, columns, i64(width))

                    def one() -> None:
                        if self.masks:
                            choose(is_("<=", lanes), lambda: whole(1, panels[1]), lambda: whole(2, rest))
                        else:
                            choose(is_("==", lanes), lambda: whole(1, panels[1]), lambda: choose(is_("<", lanes), lambda: partly(1), lambda: partly(2)))

                    choose(is_("==", 2 * lanes), lambda: whole(2, panels[2]), one)
                    b.position_at_end(out)
        b.ret_void()
        return fn


__all__ = ["Shape", "large", "shape", "text"]
