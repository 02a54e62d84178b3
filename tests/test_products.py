"""Products of matrices in kernels: own tiles against NumPy, the door to the BLAS, its threads, and how kernels reach them."""

from __future__ import annotations

import ctypes
import itertools
import os
import textwrap
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest

from adc.backend import blas, cache, cpu, gemm_code, layout, native, runtime
from adc.backend.gemm_tiles import Shape
from adc.lower.kernel import Buffer, Kernel
from adc.ops import routines_products
from tests.test_pool import fresh

F8, F4 = np.dtype("f8"), np.dtype("f4")
NO, YES = 111, 112
ROUNDING = {F8: 4 * 2.0**-53, F4: 4 * 2.0**-24}


def c_type(dtype: np.dtype[Any]) -> Any:
    i, l, p, r = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p, np.ctypeslib.as_ctypes_type(dtype)
    return ctypes.CFUNCTYPE(None, i, i, i, l, l, l, r, p, l, p, l, r, p, l)


@pytest.fixture(scope="module")
def own() -> dict[Any, Any]:
    found = blas.products("ds")
    return {F8: c_type(F8)(found["dgemm"]), F4: c_type(F4)(found["sgemm"])}


def padded(x: np.ndarray[Any, Any], more: int) -> np.ndarray[Any, Any]:
    """Rows further apart, with NaN between them."""
    made = np.full((x.shape[0], x.shape[1] + more), np.nan, x.dtype)
    made[:, : x.shape[1]] = x
    return made


def check(fn: Any, dtype: np.dtype[Any], m: int, n: int, k: int, ta: int, tb: int, seed: int = 0) -> None:
    """c += op(a) @ op(b), or =, nothing else is written, and no error is larger than rounding allows."""
    r = np.random.default_rng((m, n, k, ta, tb, seed))
    a, b, c = (r.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (m, n)))
    pa, pb, pc = padded(a.T if ta else a, 3), padded(b.T if tb else b, 2), padded(c, n > 1)
    fn[dtype](101, YES if ta else NO, YES if tb else NO, m, n, k, 1.0, pa.ctypes.data, pa.shape[1], pb.ctypes.data, pb.shape[1], 1.0, pc.ctypes.data, pc.shape[1])
    want = c.astype(F8) + a.astype(F8) @ b.astype(F8)
    bound = ROUNDING[dtype] * (k + 2) * (abs(c).astype(F8) + abs(a).astype(F8) @ abs(b).astype(F8))
    assert np.all(abs(pc[:, :n] - want) <= bound + 1e-300), (dtype, m, n, k, ta, tb)
    assert np.isnan(pc[:, n:]).all()
    pc[:, :n] = np.nan  # whatever is there
    fn[dtype](101, YES if ta else NO, YES if tb else NO, m, n, k, 1.0, pa.ctypes.data, pa.shape[1], pb.ctypes.data, pb.shape[1], 0.0, pc.ctypes.data, pc.shape[1])
    assert np.all(abs(pc[:, :n] - (want - c)) <= bound + 1e-300), (dtype, m, n, k, ta, tb, "set")
    assert np.isnan(pc[:, n:]).all()


ALL = list(itertools.product((F8, F4), (0, 1), (0, 1)))


@pytest.mark.parametrize(("dtype", "ta", "tb"), ALL)
def test_every_tile_and_every_rest(own: Any, dtype: Any, ta: int, tb: int) -> None:
    for m, n, k in itertools.product((1, 2, 3, 4, 5, 6, 7, 13, 30, 100), (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 40), (0, 1, 2, 7, 8, 33, 300)):
        check(own, dtype, m, n, k, ta, tb)


@pytest.mark.parametrize(("dtype", "ta", "tb"), ALL)
def test_thin_and_long(own: Any, dtype: Any, ta: int, tb: int) -> None:
    for m, n, k in ((1, 700, 300), (700, 1, 600), (1, 1, 900), (2, 900, 3), (900, 2, 3), (0, 5, 5), (5, 0, 5), (500, 9, 1)):
        check(own, dtype, m, n, k, ta, tb)


@pytest.mark.parametrize(("dtype", "ta", "tb"), ALL)
def test_above_the_door(own: Any, dtype: Any, ta: int, tb: int) -> None:
    side = round(gemm_code.large(gemm_code.shape()) ** (1 / 3)) + 2
    check(own, dtype, side + 1, side, side - 1, ta, tb)


@pytest.mark.parametrize(("dtype", "ta", "tb"), ALL)
def test_several_blocks(own: Any, dtype: Any, ta: int, tb: int) -> None:
    """More rows, and longer ones, than are copied at once; the last blocks are small, and the columns have a rest."""
    rows, k = gemm_code.BLOCK_ROWS, gemm_code.BLOCK_BYTES // dtype.itemsize
    for m, n in itertools.product((rows, rows + 5, rows + 40, 2 * rows + 13), (64, 97, 130)):
        check(own, dtype, m, n, k + 9, ta, tb)


@pytest.mark.parametrize("shape", [Shape(64, 32), Shape(32, 16), Shape(16, 32), Shape(16, 16)])
def test_vectors_of_other_processors(shape: Shape) -> None:
    """LLVM takes vectors apart that this processor does not have: the same text runs everywhere."""
    fn, words = {}, (ctypes.c_int64 * len(gemm_code.WORDS))()
    for dtype, letter in routines_products.LETTERS.items():
        name = f"{letter}gemm{shape.bytes}_{shape.registers}"
        found = native.library(name, lambda letter=letter: gemm_code.text(shape, letter), blas._meaning() + repr(shape), blas.EXPORTS, cpu.processor())
        ctypes.c_uint64.from_address(found["adc_blas"]).value = ctypes.addressof(words)
        fn[dtype] = c_type(dtype)(found["adc_gemm"])
    for (dtype, ta, tb), (m, n, k) in itertools.product(ALL, ((1, 50, 20), (50, 1, 20), (25, 37, 19), (13, 16, 260), (3, 5, 2), (130, 140, 150), (220, 100, 270), (221, 103, 270))):
        check(fn, dtype, m, n, k, ta, tb)  # without a BLAS, however large: its words are zeros here


def test_infinity_and_nan_stay_where_they_are(own: Any) -> None:
    a, b, c = np.ones((5, 3)), np.ones((3, 7)), np.zeros((5, 7))
    a[1, 1], b[2, 4] = np.inf, np.nan
    own[F8](101, NO, NO, 5, 7, 3, 1.0, a.ctypes.data, 3, b.ctypes.data, 7, 1.0, c.ctypes.data, 7)
    assert np.array_equal(c, a @ b, equal_nan=True)


def test_the_plain_text_means_the_same(own: Any) -> None:
    r = np.random.default_rng(3)
    for ta, tb in itertools.product((0, 1), (0, 1)):
        a, b, c = r.normal(size=40), r.normal(size=40), r.normal(size=40)
        d = c.copy()
        for keep in (1, 0):
            routines_products.gemm(ta, tb, keep, 3, 4, 2, a, 1, 5, b, 2, 6, c, 3, 7)
            at = [x.ctypes.data + 8 * o for x, o in ((a, 1), (b, 2), (d, 3))]
            own[F8](101, YES if ta else NO, YES if tb else NO, 3, 4, 2, 1.0, at[0], 5, at[1], 6, float(keep), at[2], 7)
            assert np.allclose(c, d, rtol=1e-14)


# ---------------------------------------------------------------- the BLAS behind the door


@pytest.fixture
def watched(own: Any) -> Any:
    """A BLAS that tells what is done to it, in place of the real one."""
    threads, log, inside = [4], [], []
    get_type, set_type = ctypes.CFUNCTYPE(ctypes.c_int), ctypes.CFUNCTYPE(None, ctypes.c_int)
    meet = Barrier(3, timeout=60)

    def put(n: int) -> None:
        log.append(n)
        threads[0] = n

    def multiply(*args: Any) -> None:
        inside.append(threads[0])
        meet.wait()
        inside.append(threads[0])

    fakes = {0: c_type(F8)(multiply), 2: get_type(lambda: threads[0]), 3: set_type(put)}
    before = {k: blas._words[k] for k in fakes}
    for k, f in fakes.items():
        blas._words[k] = ctypes.cast(f, ctypes.c_void_p).value
    yield threads, log, inside
    for k, value in before.items():
        blas._words[k] = value


def test_its_threads_are_held_and_given_back(own: Any, watched: Any) -> None:
    threads, log, inside = watched

    def call() -> None:
        own[F8](101, NO, NO, 600, 600, 600, 1.0, 0, 600, 0, 600, 1.0, 0, 600)  # fakes look at no number

    for _ in range(5):
        callers = [Thread(target=call) for _ in range(3)]
        for t in callers:
            t.start()
        for t in callers:
            t.join()
        assert threads == [4]
    assert set(inside) == {1} and len(inside) == 30
    assert log == [1, 4] * (len(log) // 2) and len(log) >= 10
    assert blas._words[gemm_code.WORDS.index("users")] == 0


def test_small_products_do_not_reach_it(own: Any, watched: Any) -> None:
    check(own, F8, 20, 20, 20, 0, 0)
    assert watched[1] == [] and watched[2] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_while_somebody_is_inside(own: Any, watched: Any) -> None:
    threads, log, _ = watched
    users, saved = (gemm_code.WORDS.index(x) for x in ("users", "saved"))
    blas._words[users], blas._words[saved] = 2, 4
    try:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if blas._words[users] == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert blas._words[users] == 2
    finally:
        blas._words[users] = 0


def test_the_blas_of_numpy_is_found() -> None:
    found = blas.addresses()
    about = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    if "openblas" in about:
        assert all(found.values())
        get = ctypes.CFUNCTYPE(ctypes.c_int)(found["blas_get"])
        assert get() >= 1
    assert "own tiles" in blas.describe()


def test_without_any_blas() -> None:
    code = """
        import numpy as np
        from adc.backend import blas
        blas.addresses = lambda: dict.fromkeys(blas.FUNCTIONS, 0)
        from tests import test_products as t
        found = blas.products("ds")
        fn = {t.F8: t.c_type(t.F8)(found["dgemm"])}
        t.check(fn, t.F8, 150, 130, 140, 0, 1)
        print(blas.describe())
    """
    assert fresh(code) == "own tiles"


# ---------------------------------------------------------------- kernels


def kernel(dtype: np.dtype[Any] = F8) -> Kernel:
    """c = a @ b and d = a^T @ c of 5 x 4 and 4 x 6 matrices."""
    source = textwrap.dedent("""
        def multiply(a, b, c, d, report):
            for i in range(30):
                c[i] = 0.0
            for i in range(24):
                d[i] = 0.0
            if have_gemm(a[0]):
                gemm(0, 0, 1, 5, 6, 4, a, 0, 4, b, 0, 6, c, 0, 6)
                gemm(1, 0, 1, 4, 6, 5, a, 0, 4, c, 0, 6, d, 0, 6)
            return 0
        """)

    def buf(name: str, *dims: int) -> Buffer:
        return Buffer(name, dtype, dims)

    return Kernel(
        "multiply", (buf("a", 5, 4), buf("b", 4, 6)), (), (buf("c", 5, 6), buf("d", 4, 6)), (), source,
        routines=(routines_products.gemm, routines_products.have_gemm),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [F8, F4])
def test_a_kernel_multiplies(dtype: Any) -> None:
    run = cpu.load_kernel(kernel(dtype))
    r = np.random.default_rng(0)
    a, b = r.normal(size=(5, 4)).astype(dtype), r.normal(size=(4, 6)).astype(dtype)
    c, d = run(a, b)
    assert np.allclose(c, a @ b, rtol=1e-5) and np.allclose(d, a.T @ (a @ b), rtol=1e-4)
    path = next(cache.fetch(cpu.kernel_key(kernel(dtype))))
    if path.suffix == cache.LIBRARY:
        library = ctypes.CDLL(str(path))
        assert hasattr(library, layout.PRODUCTS_NAME)
        table = ctypes.c_uint64.in_dll(library, layout.RUNTIME_NAME).value
        own = blas.products("d" if dtype == F8 else "s", make=False)
        words = {n: ctypes.c_uint64.from_address(table + 8 * layout.RUNTIME[n]).value for n in own}
        assert words == own


def test_millions_of_products_in_one_call() -> None:
    """None keeps a piece of the stack."""
    source = textwrap.dedent("""
        def many(a, rounds, c, report):
            c[0] = 0.0
            for r in range(rounds):
                if have_gemm(a[0]):
                    gemm(0, 0, 1, 1, 1, 1, a, 0, 1, a, 1, 1, c, 0, 1)
            return 0
        """)
    routines = routines_products.gemm, routines_products.have_gemm
    run = cpu.load_kernel(
        Kernel("many", (Buffer("a", F8, (2,)), Buffer("rounds", np.dtype("i8"))), (), (Buffer("c", F8, (1,)),), (), source, routines=routines)
    )
    assert run(np.array([0.5, 2.0]), 3_000_000)[0][0] == 3e6


def test_made_only_for_those_who_multiply(tmp_path: Path) -> None:
    code = """
        from adc.backend import cpu, runtime
        from tests import test_pool, test_products as t
        cpu.load_kernel(test_pool.parted())
        before = [p.name for p in t.cache.directory().glob("?gemm-*")]
        multiply = t.cpu.load_kernel(t.kernel())
        print(before, len(list(t.cache.directory().glob("?gemm-*"))))
    """
    assert fresh(code, ADC_CACHE_DIR=str(tmp_path)) == "[] 1"
    warm = """
        import sys
        from tests import test_products as t
        run = t.cpu.load_kernel(t.kernel())
        a, b = t.np.ones((5, 4)), t.np.ones((4, 6))
        print(float(run(a, b)[1].sum()), "numba" in sys.modules, "llvmlite" in sys.modules)
    """
    assert fresh(warm, ADC_CACHE_DIR=str(tmp_path)) == "480.0 False False"


def test_where_no_tiles_can_be_made() -> None:
    """Then the BLAS is called for all sizes, its threads held by the kernel itself."""
    code = """
        from adc.backend import native
        made = native.library
        def refuse(name, *args, **more):
            if name.endswith("gemm"):
                raise OSError("not allowed here")
            return made(name, *args, **more)
        native.library = refuse
        from tests import test_products as t
        run = t.cpu.load_kernel(t.kernel())
        print(float(run(t.np.ones((5, 4)), t.np.ones((4, 6)))[1].sum()), t.blas.describe())
    """
    said = fresh(code)
    assert said == "480.0 the BLAS of NumPy; own tiles cannot be made: OSError: not allowed here"


def test_the_table_keeps_its_place() -> None:
    assert runtime.address() == runtime.address("ds") != 0


def squares(a):
    return a @ a


MADE_HERE = """
        import adc
        from adc.backend import helper
        from tests import test_products as t
        made = []
        write = t.native._object
        t.native._object = lambda text, all_features: (made.append("adc_gemm" in text), write(text, all_features))[1]
"""


def test_another_process_makes_the_tiles_while_a_kernel_is_compiled(tmp_path: Path) -> None:
    code = f"""{MADE_HERE}
        print(float(adc.jit(t.squares)(t.np.ones((4, 4))).sum()), any(made), t.blas.describe()[:9])
    """
    assert fresh(code, ADC_CACHE_DIR=str(tmp_path), ADC_COMPILE_PROCESSES="2") == "64.0 False own tiles"


@pytest.mark.parametrize(
    "trouble",
    ["sys.executable = ''", "sys.executable = '/nowhere/python3'", "sys.executable = '/usr/bin/host'", "sys.frozen = True", "helper.ask = lambda *asked: None"],
)
def test_where_no_process_makes_the_tiles_they_are_made_here(trouble: str, tmp_path: Path) -> None:
    """Nor where there is a helper that does not answer."""
    code = f"""{MADE_HERE}
        import sys
        {trouble}
        print(float(adc.jit(t.squares)(t.np.ones((4, 4))).sum()), any(made), t.blas.describe()[:9])
    """
    assert fresh(code, ADC_CACHE_DIR=str(tmp_path), ADC_COMPILE_PROCESSES="2") == "64.0 True own tiles"


def test_who_wants_one_process_gets_one(tmp_path: Path) -> None:
    code = """
        import subprocess
        import adc
        from tests import test_products as t
        made = subprocess.Popen
        subprocess.Popen = lambda *args, **more: 1 / 0 if "adc" in args[0][-1] else made(*args, **more)
        print(float(adc.jit(t.squares)(t.np.ones((4, 4))).sum()))
    """
    assert fresh(code, ADC_CACHE_DIR=str(tmp_path), ADC_COMPILE_PROCESSES="1") == "64.0"


def test_only_the_tiles_of_a_programs_numbers_are_made(tmp_path: Path) -> None:
    """Those for the other numbers when somebody multiplies such; who is inside the BLAS is counted for both together."""
    code = """
        import adc, sys
        from adc.backend import blas
        from tests import test_products as t
        run = adc.jit(t.squares)
        for dtype in ("f4", "f4", "f8"):
            assert float(run(t.np.ones((8, 8), dtype)).sum()) == 512.0
            print(blas.missing("ds") or "none", *sorted(p.name[:5] for p in t.Path(sys.argv[1]).glob("?gemm*.so")))
        print(float(adc.jit(t.squares)(t.np.ones((600, 600))).sum()) == 600.0 ** 3, list(blas._words[-1:]))
    """.replace("sys.argv[1]", repr(str(tmp_path)))
    said = fresh(code, ADC_CACHE_DIR=str(tmp_path))
    assert said.split("\n") == ["d sgemm", "d sgemm", "none dgemm sgemm", "True [0]"]
