"""The CPU backend on hand-written kernels: values, refusals, growth, threads, and the cache on disk."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adc.backend import cache, cpu, entry, layout
from adc.errors import CheckError, Pos, ShapeError
from adc.ir.dims import Dim, Sym, dim_max, dim_min, evaluate, size
from adc.ir.program import Guard
from adc.lower.kernel import Buffer, Check, Kernel

F8, F4, I8, I4, B1 = (np.dtype(d) for d in ("f8", "f4", "i8", "i4", "?"))
FAST = layout.has_fast_entries()
POS = Pos("model.py", 3, 4, 9, "    x + y", "f")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("cache")
    before = os.environ.get("ADC_CACHE_DIR")
    os.environ["ADC_CACHE_DIR"] = str(place)
    yield place
    if before is None:
        del os.environ["ADC_CACHE_DIR"]
    else:
        os.environ["ADC_CACHE_DIR"] = before


def buf(name: str, dtype: np.dtype[Any], *dims: Dim | Sym) -> Buffer:
    return Buffer(name, dtype, tuple(size(d) for d in dims))


def text(source: str) -> str:
    return textwrap.dedent(source)


def square(dtype: np.dtype[Any] = F8, name: str = "square", guards: tuple[Guard, ...] = ()) -> Kernel:
    """sum(a * x * x) and its gradient, through a scratch buffer."""
    n = Sym("n")
    source = text(f"""
        def {name}(x, a, n, value, g, t, report):
            for i in range(n):
                t[i] = x[i] * a
            s = t[0] * x[0]
            for i in range(1, n):
                s += t[i] * x[i]
            for i in range(n):
                g[i] = t[i] + t[i]
            value[0] = s
            return 0
        """)
    return Kernel(
        name, (buf("x", dtype, n), buf("a", dtype)), (n,), (buf("value", dtype), buf("g", dtype, n)),
        (buf("t", dtype, n),), source, guards=guards,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run() -> Any:
    return cpu.load_kernel(square())


def careful(run: Any) -> Any:
    return run.__self__.careful if FAST else run


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("dtype", [F8, F4, I8, I4, np.dtype("u1")])
def test_dtypes(dtype: np.dtype[Any]) -> None:
    r = cpu.load_kernel(square(dtype, f"square_{dtype}"))
    x = np.array([1, 2, 3], dtype)
    for f in (r, careful(r)):
        for a in (dtype.type(2), 2 if dtype.kind in "iu" else 2.0):
            value, g = f(x, a)
            assert value == 28 and type(value) is dtype.type
            assert g.dtype == dtype and np.array_equal(g, 4 * x) and type(g) is np.ndarray


def test_fast_entry_is_used(run: Any) -> None:
    if not FAST:
        pytest.skip("no fast entries here")
    calls = []
    state = run.__self__
    assert type(run).__name__ == "builtin_function_or_method"
    before = entry.Careful.__call__
    try:
        entry.Careful.__call__ = lambda self, *x: calls.append(x) or before(self, *x)  # type: ignore[method-assign,func-returns-value]
        run(np.ones(3), 2.0)
        run(np.ones(3), np.float64(2.0))
        assert not calls
        run(np.ones(3), 2)
        assert len(calls) == 1
    finally:
        entry.Careful.__call__ = before  # type: ignore[method-assign]
    assert state.owner


def test_unusual_layouts(run: Any) -> None:
    x = np.arange(6.0)
    x.flags.writeable = False
    raw = np.zeros(49, np.uint8)
    shifted = raw[1:].view(F8)
    shifted[:] = x
    assert not shifted.flags.aligned
    wide = np.zeros((6, 2))
    wide[:, 0] = x
    import pickle

    class Sub(np.ndarray):
        pass

    for y in (x, shifted, wide[:, 0], x[::-1][::-1], x.astype(">f8"), pickle.loads(pickle.dumps(x)), x.view(Sub), list(x)):
        value, g = run(y, 2.0)
        assert value == 110.0 and np.array_equal(g, 4 * x)
    assert run(x, np.array(2.0))[0] == 110.0


def test_refusals(run: Any) -> None:
    x = np.ones(3)
    with pytest.raises(TypeError, match="takes 2 leaves"):
        run(x)
    with pytest.raises(ShapeError, match="2 axes, expected 1"):
        run(np.ones((3, 3)), 2.0)
    with pytest.raises(ShapeError, match="1 axes, expected 0"):
        run(x, x)
    for bad in (np.ones(3, "f4"), np.ones(3, "i8"), np.ones(3, bool), np.ones(3, "c16")):
        with pytest.raises(TypeError, match="dtype"):
            run(bad, 2.0)
    for a in (np.float32(2), True, "a", None, 2j):
        with pytest.raises(TypeError):
            run(x, a)
    i = cpu.load_kernel(square(I4, "square_int32"))
    with pytest.raises(OverflowError):
        i(np.ones(3, I4), 2**40)
    with pytest.raises(OverflowError):
        i(np.ones(3, I4), 2**70)
    with pytest.raises(TypeError):
        i(np.ones(3, I4), 2.5)


def test_scalars_of_every_kind() -> None:
    kinds = (F8, F4, I8, I4, np.dtype("i1"), np.dtype("u1"), np.dtype("u8"), B1)
    names = [f"a{k}" for k in range(len(kinds))]
    outs = [f"o{k}" for k in range(len(kinds))]
    body = "".join(f"    {o}[0] = {a}\n" for o, a in zip(outs, names))
    source = f"def scalars({', '.join((*names, *outs))}, report):\n{body}    return 0\n"
    k = Kernel("scalars", tuple(map(buf, names, kinds)), (), tuple(map(buf, outs, kinds)), (), source)
    r = cpu.load_kernel(k)
    plain = (1.5, 2.5, -3, -4, -5, 6, 7, True)
    typed = tuple(d.type(v) for d, v in zip(kinds, plain))
    zero = tuple(np.array(v, d) for d, v in zip(kinds, plain))
    for f in (r, careful(r)):
        for given in (plain, typed, zero, (-1.5, float("nan"), -1, -1, -1, 0, 0, False)):
            got = f(*given)
            assert [type(v) for v in got] == [d.type for d in kinds]
            np.testing.assert_array_equal(got, np.array([np.float64(v) for v in given]))
    assert r(*plain[:6], 2**64 - 1, True)[6] == 2**64 - 1
    assert r(*plain[:2], -(2**63), *plain[3:])[2] == -(2**63)
    for where, what in ((4, 128), (5, -1), (5, 256), (6, -1), (2, 2**63)):
        with pytest.raises(OverflowError):
            r(*plain[:where], what, *plain[where + 1 :])
    with pytest.raises(TypeError):
        r(*plain[:7], 1)
    with pytest.raises(TypeError):
        r(*plain[:2], True, *plain[3:])


def test_bool_arrays_and_no_results() -> None:
    n = Sym("n")
    source = "def flip(m, n, o, report):\n    for i in range(n):\n        o[i] = m[i] == 0\n    return 0\n"
    r = cpu.load_kernel(Kernel("flip", (buf("m", B1, n),), (n,), (buf("o", B1, n),), (), source))
    m = np.array([True, False, True])
    assert r(m)[0].dtype == B1 and np.array_equal(r(m)[0], ~m)
    nothing = cpu.load_kernel(Kernel("nothing", (), (), (), (), "def nothing(report):\n    return 0\n"))
    assert nothing() == ()


def test_derived_dims_and_routines() -> None:
    """Dims that are expressions; a routine that calls another by name; two-dimensional results."""
    n, m = Sym("n"), Sym("m")
    rows = (size(n) * 3 - 4) // 2
    source = text("""
        def derived(x, y, n, m, o, report):
            for i in range((3 * n - 4) // 2):
                for j in range(max(n, m)):
                    o[i * max(n, m) + j] = outer_part(x[i % n], y[j % m])
            return 0
        """)
    k = Kernel(
        "derived", (buf("x", F8, n), buf("y", F8, m)), (n, m), (buf("o", F8, rows, dim_max(size(n), size(m))),), (),
        source, routines=(outer_part,),
    )  # fmt: skip
    r = cpu.load_kernel(k)
    for a, b in ((2, 5), (5, 3), (4, 4)):
        x, y = np.arange(1.0, a + 1), np.arange(2.0, b + 2)
        want = np.array([[10 * x[i % a] * y[j % b] for j in range(max(a, b))] for i in range((3 * a - 4) // 2)])
        for f in (r, careful(r)):
            assert np.array_equal(f(x, y)[0], want)


def test_arithmetic_of_dims() -> None:
    """Every operation on dims, also below zero, gives machine code and Python the same shapes."""
    n, m = Sym("n"), Sym("m")
    a, b = size(n), size(m)
    dims = ((a - 10) // b + 20, (a - 10) % b, (a * b - 7) % 4, dim_max(a - b, 0), dim_min(a, b * 2 - 3), (3 - a) // 2 + 20)
    outs = tuple(buf(f"o{k}", F8, d) for k, d in enumerate(dims))
    source = f"def dims(x, y, n, m, {', '.join(o.name for o in outs)}, report):\n    return 0\n"
    r = cpu.load_kernel(Kernel("dims", (buf("x", F8, n), buf("y", F8, m)), (n, m), outs, (), source))
    for i, j in itertools.product((2, 3, 7, 20), repeat=2):
        want = [(evaluate(d, {n: i, m: j}),) for d in dims]
        for f in (r, careful(r)):
            assert [o.shape for o in f(np.ones(i), np.ones(j))] == want
    k = Kernel("below", (buf("x", F8, n),), (n,), (buf("o", F8, a - 5),), (), "def below(x, n, o, report):\n    return 0\n")
    for f in (r2 := cpu.load_kernel(k), careful(r2)):
        with pytest.raises(ValueError, match="negative dimensions"):
            f(np.ones(3))


SCALE = 10.0


def inner_part(x: float) -> float:
    return x * SCALE


def outer_part(x: float, y: float) -> float:
    return inner_part(x) * y


def helper(x: float) -> float:
    return x + SCALE


def through_a_helper(x: float) -> float:
    return helper(x) * 2.0


@pytest.mark.parametrize("name", ["helper", "through_a_helper"])
def test_routines_of_other_people(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its author compiled with Numba, called at once or through a plain function."""
    import numba  # not above: another process imports this module to see that nothing loads Numba

    monkeypatch.setitem(globals(), "helper", numba.njit(helper))
    routine, n = globals()[name], Sym("n")
    source = text(f"""
        def others(x, n, o, report):
            for i in range(n):
                o[i] = {routine.__name__}(x[i])
            return 0
        """)
    r = cpu.load_kernel(Kernel("others", (buf("x", F8, n),), (n,), (buf("o", F8, n),), (), source, routines=(routine,)))
    x = np.arange(4.0)
    assert np.array_equal(r(x)[0], [routine(v) for v in x])


def test_routines_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    k = Kernel("r", (), (), (), (), "def r(report):\n    return 0\n", routines=(outer_part,))
    before = cpu.kernel_key(k)
    assert cpu.kernel_key(k) == before
    monkeypatch.setitem(globals(), "SCALE", 11.0)
    assert cpu.kernel_key(k) != before


# ---------------------------------------------------------------- sizes and guards


def test_guards() -> None:
    n, m, lost = Sym("n"), Sym("m"), Sym("n")
    source = "def guarded(x, y, z, n, m, o, report):\n    o[0] = n + m\n    return 0\n"
    guards = (
        Guard("equal", size(n), size(lost), "operands could not be broadcast", POS),
        Guard("equal", size(m), size(n) * 2, "twice as many", POS),
        Guard("least", size(lost), 3),
    )
    k = Kernel(
        "guarded", (buf("x", F8, n), buf("y", F8, n), buf("z", F8, m, 4)), (n, m), (buf("o", I8),), (), source,
        guards=guards,
    )  # fmt: skip
    r = cpu.load_kernel(k)
    one = lambda *s: np.ones(s)
    assert r(one(3), one(3), one(6, 4)) == (9,)
    with pytest.raises(ShapeError, match=r"model.py:3:5: operands could not .* y has shape \(4,\), expected \(3,\)"):
        r(one(3), one(4), one(6, 4))
    with pytest.raises(ShapeError, match="model.py:3:5: twice as many"):
        r(one(3), one(3), one(5, 4))
    for bad in ((one(2), one(2), one(4, 4)), (one(3), one(1), one(6, 4)), (one(3), one(3), one(6, 5)), (one(0), one(0), one(0, 4))):
        with pytest.raises(entry.SizeAssumption):
            r(*bad)


def test_exact_sizes() -> None:
    k = Kernel("exact", (buf("x", F8, 1, 0),), (), (buf("o", F8, 0),), (), "def exact(x, o, report):\n    return 0\n")
    r = cpu.load_kernel(k)
    assert r(np.ones((1, 0)))[0].shape == (0,)
    with pytest.raises(entry.SizeAssumption):
        r(np.ones((2, 0)))


def test_checks() -> None:
    n = Sym("n")
    source = "def checked(x, n, o, report):\n    o[0] = 1.0\n    return 0 if x[0] >= 0 else 2\n"
    checks = (Check("a", "first"), Check("b", "x must not be negative", POS))
    r = cpu.load_kernel(Kernel("checked", (buf("x", F8, n),), (n,), (buf("o", F8),), (), source, checks=checks))
    assert r(np.ones(2)) == (1.0,)
    for _ in range(3):
        with pytest.raises(CheckError, match="model.py:3:5: x must not be negative"):
            r(-np.ones(2))


def collatz() -> Kernel:
    """A growable tape: the numbers met on the way to 1, backwards; result of a run-time size."""
    c, k = Sym("c"), Sym("k")
    source = text("""
        def collatz(a, c, count, o, tape, report):
            k = 0
            while a != 1:
                if k == c:
                    return -1
                tape[k] = a
                k += 1
                a = a // 2 if a % 2 == 0 else 3 * a + 1
            for i in range(k):
                o[i] = tape[k - 1 - i]
            report[0] = k
            count[0] = k
            return 0
        """)
    return Kernel(
        "collatz", (buf("a", I8),), (), (buf("count", I8), buf("o", I8, k)), (buf("tape", I8, c),), source,
        capacities=(c,), run_time=(k,), bounds={k: size(c)},
    )  # fmt: skip


def test_run_time_sizes_and_growth() -> None:
    r = cpu.load_kernel(collatz())
    for a, steps in ((6, 8), (27, 111), (97, 118), (837799, 524), (1, 0)):
        count, o = r(a)
        assert count == steps and o.shape == (steps,) and (steps == 0 or o[-1] == a)


def test_growth_in_the_fast_entry() -> None:
    """Capacities without results of run-time size: the entry learns them once."""
    k = collatz()
    source = k.source.replace("collatz(a, c, count, o, tape", "steps(a, c, count, tape")
    source = "\n".join(line for line in source.splitlines() if "for i" not in line and "o[i]" not in line)
    r = cpu.load_kernel(Kernel("steps", k.params, (), k.outs[:1], k.scratch, source, k.capacities, k.run_time, k.bounds))
    assert r(837799) == (524,) and r(6) == (8,)
    words = careful(r).words
    assert words[layout.CAPACITIES] == 1024
    if FAST:
        before = entry.Careful.__call__
        try:
            entry.Careful.__call__ = None  # type: ignore[assignment,method-assign]
            assert r(837799) == (524,)
        finally:
            entry.Careful.__call__ = before  # type: ignore[method-assign]


# ---------------------------------------------------------------- memory and threads


def test_scratch_is_kept_or_given_back(run: Any) -> None:
    if not FAST:
        pytest.skip("no fast entries here")
    words = careful(run).words
    run(np.ones(100), 2.0)
    block = words[layout.SCRATCH]
    assert block and words[layout.SCRATCH_BYTES] >= 800
    run(np.ones(50), 2.0)
    assert words[layout.SCRATCH] == block
    assert run(np.ones(3), 2.0)[0] == 6.0


def test_large_scratch_is_kept_while_all_of_it_is_within_the_limit(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if not FAST:
        pytest.skip("no fast entries here")
    run(np.ones(3), 2.0)
    table, at, words, large = layout._api, layout.SLOTS["scratch limit"], careful(run).words, np.ones(layout.KEEP_BYTES // 8)
    before, others = table[at], layout.scratch_kept()
    try:
        table[at] = others + 2 * layout.KEEP_BYTES
        for _ in range(2):  # the second call finds it
            run(large, 2.0)
            block, size = words[layout.SCRATCH], int(words[layout.SCRATCH_BYTES])
            assert block and size > layout.KEEP_BYTES and layout.scratch_kept() == others + size
        run(np.ones(3), 2.0)
        assert words[layout.SCRATCH] == block and layout.scratch_kept() == others + size
        table[at] = others + size - 1
        run(np.ones(3), 2.0)
        assert not words[layout.SCRATCH] and layout.scratch_kept() == others
        assert run(large, 2.0)[0] == 2.0 * large.size and not words[layout.SCRATCH]
    finally:
        table[at] = before


def test_kept_scratch_goes_with_its_entry() -> None:
    if not FAST:
        pytest.skip("no fast entries here")
    own = cpu.load_kernel(square(name="gone"))
    own(np.ones(3), 2.0)
    table, at, others = layout._api, layout.SLOTS["scratch limit"], layout.scratch_kept()
    before, table[at] = table[at], others + 2 * layout.KEEP_BYTES
    try:
        own(np.ones(layout.KEEP_BYTES // 8), 2.0)
        assert layout.scratch_kept() > others
        del own
        gc.collect()
        assert layout.scratch_kept() == others
    finally:
        table[at] = before


def test_the_limit_of_scratch_is_the_users(tmp_path: Path) -> None:
    """In a process of its own: the limit is read once."""
    if not FAST:
        pytest.skip("no fast entries here")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent("""
        import numpy as np
        import adc
        from adc.backend import layout, memory

        def f(u, steps):
            for _ in range(steps):
                u = u + 0.1 * np.sin(u) * u[::-1]
            return np.sum(u * u)

        g = adc.grad(f)
        for _ in range(2):
            g(np.linspace(0.0, 1.0, 100_000), 200)
        print(memory.scratch_limit(), layout.scratch_kept() > 150_000_000)
        """))

    def run_with(given: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "ADC_SCRATCH_MEMORY": given, "PYTHONPATH": str(Path(__file__).parents[1])}
        return subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=100)

    for given, says in (("1000000000", "True"), ("100", "False")):
        done = run_with(given)
        assert done.stdout.split() == [given, says] and not done.stderr, done.stderr
    assert "ADC_SCRATCH_MEMORY=much" in (error := run_with("much").stderr) and "number of bytes" in error


def test_memory_does_not_leak(run: Any) -> None:
    import tracemalloc

    x = np.ones(1000)
    for _ in range(3):
        run(x, 2.0)
    tracemalloc.start()
    try:
        a = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            run(x, 2.0)
            with pytest.raises(TypeError):
                run(x, None)
        assert tracemalloc.get_traced_memory()[0] - a < 50_000
    finally:
        tracemalloc.stop()
    before = [sys.getrefcount(v) for v in (x, np.ndarray, x.dtype, run)]
    for _ in range(100):
        run(x, 2.0)
    after = [sys.getrefcount(v) for v in (x, np.ndarray, x.dtype, run)]
    assert all(abs(p - q) < 10 for p, q in zip(before, after))


def test_threads(run: Any) -> None:
    wrong: list[Any] = []

    def work(seed: int) -> None:
        for k in range(40):
            n = 20_000 if k % 2 else 5 + seed
            x = np.full(n, float(seed))
            value, g = run(x, 2.0)
            if value != 2.0 * n * seed**2 or not np.all(g == 4.0 * seed):
                wrong.append((seed, k))

    threads = [threading.Thread(target=work, args=(s,)) for s in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_the_lock_is_released() -> None:
    """A long kernel lets another Python thread run."""
    source = text("""
        def long(a, o, report):
            s = 0.5
            for i in range(a):
                s = s * 3.7 * (1.0 - s)
            o[0] = s
            return 0
        """)
    r = cpu.load_kernel(Kernel("long", (buf("a", I8),), (), (buf("o", F8),), (), source))
    for f in (r, careful(r)):
        t = threading.Thread(target=f, args=(150_000_000,))
        t.start()
        ticks = 0
        while t.is_alive():
            ticks += 1
        assert ticks > 1000


# ---------------------------------------------------------------- the cache

SCRIPT = """
import sys
import numpy as np
from adc.backend import cache, cpu
from tests.test_backend import square, F8
k = square(F8, {name!r})
run = cpu.load_kernel(k)
assert run(np.ones(3), 2.0)[0] == 6.0
print(*sorted({{"numba", "llvmlite", "scipy"}} & set(sys.modules)), cpu.kernel_key(k))
"""


def process(name: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    full = {**os.environ, "ADC_CACHE_DIR": str(folder), "PYTHONPATH": str(Path(__file__).parent.parent), **env}
    return subprocess.Popen([sys.executable, "-c", SCRIPT.format(name=name)], env=full, stdout=-1, stderr=-1, text=True)


def result(p: subprocess.Popen[str]) -> list[str]:
    out, err = p.communicate(timeout=120)
    assert p.returncode == 0, err
    return out.split()


def test_a_hit_imports_nothing_and_two_processes_may_compile(tmp_path: Path) -> None:
    both = [process("fresh", tmp_path), process("fresh", tmp_path)]
    first, second = map(result, both)
    assert first[-1] == second[-1]
    assert [p.suffix for p in tmp_path.iterdir() if not p.name.startswith("memory-")] == [".so"]
    assert result(process("fresh", tmp_path)) == [first[-1]]


def forget() -> None:
    cpu._loaded.clear()


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "rubbish"])
def test_damage_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path))
    k = square(name="damaged")
    # what is mapped must not change: the good file is seen only by its bytes
    from adc.backend.pieces import compile_kernel

    key = cpu.kernel_key(k)
    made = compile_kernel(k)
    if made.library is None:
        pytest.skip("no linker")
    path = cache.store(key, ".so", made.library)
    good = path.read_bytes()
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 0x10
    path.write_bytes({"truncate": good[: len(good) // 2], "flip": bytes(bad), "empty": b"", "rubbish": os.urandom(300)}[damage])
    forget()
    assert cpu.load_kernel(k)(np.ones(3), 2.0)[0] == 6.0
    assert list(cache.fetch(key)) == [path]


def test_without_a_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("ADC_LINKER", "")
    source = text("""
        import math
        def unlinked(x, n, o, report):
            for i in range(n):
                o[i] = math.exp(x[i])
            return 0
        """)
    n = Sym("n")
    k = Kernel("unlinked", (buf("x", F8, n),), (n,), (buf("o", F8, n),), (), source)
    for _ in range(2):
        forget()
        np.testing.assert_allclose(cpu.load_kernel(k)(np.arange(4.0))[0], np.exp(np.arange(4.0)), rtol=1e-15)
        assert [p.suffix for p in tmp_path.iterdir()] == [".o"]


def test_a_library_that_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system where nothing may be executed: the object is placed in the process instead."""
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path))

    def refuse(*_: Any) -> None:
        raise OSError("failed to map segment from shared object")

    monkeypatch.setattr(cpu.ctypes, "CDLL", refuse)
    for _ in range(2):
        forget()
        assert cpu.load_kernel(square(name="refused"))(np.ones(3), 2.0)[0] == 6.0
    assert tmp_path.joinpath(cpu.kernel_key(square(name="refused")) + ".o").exists()


def test_info_prune_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path / "new"))
    assert cache.info() == {"path": str(tmp_path / "new"), "entries": 0, "bytes": 0}
    paths = [cache.store(f"k{i}", ".so", b"x" * 100) for i in range(4)]
    for i, p in enumerate(paths):
        os.utime(p, (i + 1, i + 1))
    list(cache.fetch("k0"))  # used last
    each = paths[0].stat().st_size
    assert cache.info()["bytes"] == 4 * each
    assert cache.prune(2 * each) == 2
    assert [p.exists() for p in paths] == [True, False, False, True]
    assert cache.clear() == 2 and cache.info()["entries"] == 0


def test_an_unwritable_place_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert cache.directory().is_dir()


def test_key_depends_on_meaning_only() -> None:
    assert cpu.kernel_key(square()) == cpu.kernel_key(square())
    keys = {cpu.kernel_key(square(d)) for d in (F8, F4, I8)} | {cpu.kernel_key(square(), strict=True)}
    n = Sym("n")
    keys.add(cpu.kernel_key(square(guards=(Guard("least", size(n), 2),))))
    assert len(keys) >= 4
    for a, b in itertools.combinations((F8, F4, I8), 2):
        assert cpu.kernel_key(square(a)) != cpu.kernel_key(square(b))
