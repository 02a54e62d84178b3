"""`adc build`: what is written, that it is right from C, that it is built again exactly when it must be."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import adc
from adc.artifact import manifest
from adc.artifact.build import build, stale
from adc.artifact.spec import find_project, make_spec, plans, read_config
from adc.backend import aot
from adc.cli import commands
from adc.errors import BuildError
from tests.build_project import forget, write_project

ROOT = Path(__file__).resolve().parents[1]
needs_linker = pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("clang")), reason="no C compiler")
x86 = pytest.mark.skipif(aot.machine_here() != "x86_64", reason="levels of x86-64")
pytestmark = [needs_linker, x86]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = write_project(tmp_path_factory.mktemp("project"))
    config = read_config(folder / "pyproject.toml")
    results = build(config.plans, folder, jobs=2)
    assert [r.library for r in results] == ["shapes"] and results[0].written and results[0].linked
    yield folder
    forget("shapes")


@pytest.fixture(scope="module")
def shapes(project):
    """The module as Python has it."""
    import importlib

    return importlib.import_module("shapes")


@pytest.fixture(scope="module")
def about(project):
    return manifest.read(project / "build" / "shapes")[0]


CTYPES = {"double": ctypes.c_double, "float": ctypes.c_float, "int64_t": ctypes.c_int64, "uint8_t": ctypes.c_uint8, "int32_t": ctypes.c_int32}


class C:
    """The library as a C program sees it: prototypes from the header, nothing else."""

    def __init__(self, folder: Path):
        self.header = (folder / "shapes.h").read_text()
        self.library = ctypes.CDLL(str(folder / "libshapes.so"))
        self.library.shapes_strerror.restype = ctypes.c_char_p
        self.library.shapes_level_name.restype = ctypes.c_char_p

    def arguments(self, name: str) -> list[tuple[str, str]]:
        found = re.search(rf"^int {name}\((.*)\);$", self.header, re.M)
        assert found, f"no prototype of {name}"
        return [tuple(re.fullmatch(r"(?:const )?(.*?) ?(\w+)", a.strip()).groups()) for a in found[1].split(",")]

    def __call__(self, name: str, shapes: dict[str, tuple[int, ...]], **given):
        """(code, results): arrays for `shapes`, numbers and arrays from `given`; scratch of exactly the bytes asked for."""
        fn, size_of = getattr(self.library, name), getattr(self.library, f"{name}_scratch_bytes")
        size_of.restype = ctypes.c_size_t
        arguments = self.arguments(name)
        sizes = re.search(rf"^size_t {name}_scratch_bytes\((.*)\);$", self.header, re.M)[1]
        asked = [] if sizes == "void" else [s.split()[1] for s in sizes.split(", ")]
        count = size_of(*(ctypes.c_int64(given[s]) for s in asked))
        guard = 64
        block = np.full(count + guard, 0xA5, np.uint8)
        made, results, kept = [], {}, []
        for kind, arg in arguments:
            if arg == "scratch":
                made.append(ctypes.c_void_p(block.ctypes.data if count else None))
            elif "*" in kind and arg in given:
                kept.append(np.ascontiguousarray(given[arg]))
                made.append(ctypes.c_void_p(kept[-1].ctypes.data))
            elif "*" in kind:
                dtype = np.dtype(CTYPES[kind.replace("*", "").strip()])
                results[arg] = np.full(shapes.get(arg, (1,)), 0x5A, dtype)
                made.append(ctypes.c_void_p(results[arg].ctypes.data))
            else:
                made.append(CTYPES[kind.strip()](given[arg]))
        before = [k.copy() for k in kept]
        code = fn(*made)
        assert np.all(block[count:] == 0xA5), "wrote behind its scratch"
        for a, b in zip(kept, before, strict=True):
            np.testing.assert_array_equal(a, b)
        return code, results

    def good(self, name: str, shapes: dict[str, tuple[int, ...]], **given):
        code, results = self(name, shapes, **given)
        assert code == 0, self.library.shapes_strerror(code).decode()
        return results

    def says(self, code: int) -> str:
        return self.library.shapes_strerror(code).decode()


@pytest.fixture(scope="module", params=[0, 1], ids=["baseline", "x86-64-v3"])
def c(request, project):
    made = C(project / "build" / "shapes")
    assert made.library.shapes_set_level(request.param) == 0
    assert made.library.shapes_level() == request.param
    yield made
    made.library.shapes_set_level(1)


rng = np.random.default_rng(3)
W, X, Y, V = rng.normal(size=4), rng.normal(size=(30, 4)), rng.integers(0, 2, 30).astype(float), rng.normal(size=4)
N = {"target": "numpy"}


def close(got, want):
    np.testing.assert_allclose(np.squeeze(got), want, rtol=1e-11, atol=1e-13)


# ---------------------------------------------------------------- the functions, from C


def test_value_and_grad(c, shapes):
    want = adc.value_and_grad(shapes.logistic, **N)(W, X, Y)
    got = c.good("logistic_vg", {"w_grad": (4,)}, w=W, X=X, y=Y, d=4, n=30)
    close(got["value"], want[0])
    close(got["w_grad"], want[1])
    one = c.good("logistic_vg_2", {"w_grad": (4,)}, w=W, X=X[:1], y=Y[:1], d=4)
    close(one["w_grad"], adc.grad(shapes.logistic, **N)(W, X[:1], Y[:1]))


def test_second_order(c, shapes):
    H = adc.hessian(shapes.logistic, **N)(W, X, Y)
    close(c.good("logistic_hessian", {"w_hessian": (4, 4)}, w=W, X=X, y=Y, d=4, n=30)["w_hessian"], H)
    close(c.good("logistic_hvp", {"w_hvp": (4,)}, w=W, X=X, y=Y, w_v=V, d=4, n=30)["w_hvp"], H @ V)


def test_jacobians(c, shapes):
    x, t = np.array([0.3, -1.2]), 0.7
    J, dt = adc.jacrev(shapes.curve, argnums=(0, 1), **N)(x, t)
    close(c.good("curve_jacobian", {"x_jacobian": (3, 2)}, x=x, t=t)["x_jacobian"], J)
    got = c.good("curve_jacfwd", {"x_jacobian": (3, 2), "t_jacobian": (3,)}, x=x, t=t)
    close(got["x_jacobian"], J)
    close(got["t_jacobian"], dt)
    x_dot, t_dot = np.array([2.0, -0.5]), 0.25
    got = c.good("curve_jvp", {"value": (3,), "value_dot": (3,)}, x=x, t=t, x_dot=x_dot, t_dot=t_dot)
    close(got["value"], shapes.curve(x, t))
    close(got["value_dot"], J @ x_dot + dt * t_dot)
    bar = np.array([1.0, 2.0, -3.0])
    got = c.good("curve_vjp", {"value": (3,), "x_bar": (2,)}, x=x, t=t, value_bar=bar)
    close(got["value"], shapes.curve(x, t))
    close(got["x_bar"], bar @ J)
    close(got["t_bar"], bar @ dt)
    close(c.good("curve", {"value": (3,)}, x=x, t=t)["value"], shapes.curve(x, t))


def test_containers_and_kept_data(c, shapes):
    params, x = {"W": rng.normal(size=(3, 5)), "b": rng.normal(size=5)}, rng.normal(size=3)
    want = adc.grad(shapes.network, **N)(params, x)
    got = c.good("network_grad", {"params_W_grad": (3, 5), "params_b_grad": (5,)}, params_W=params["W"], params_b=params["b"], x=x, n=3, m=5)
    close(got["params_W_grad"], want["W"])
    close(got["params_b_grad"], want["b"])
    got = c.good("scaled_vg", {"x_grad": (3,)}, x=np.ones(3))
    close(got["value"], 0.5 * 14.0)
    close(got["x_grad"], [1.0, 4.0, 9.0])


def test_other_kinds_of_numbers(c, shapes):
    x = np.array([1.0, 2.0, 3.0], np.float32)
    got = c.good("single_grad", {"x_grad": (3,)}, x=x, n=2, n_2=3)["x_grad"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, 2 * x * 1.5**4, rtol=1e-6)
    x = np.array([1.0, -2.0])
    for flag in (0, 1):
        got = c.good("many", {"value_0": (2,), "value_1": (2,)}, x=x, flag=flag, n=4, n_2=2)
        close(got["value_0"], x if flag else -x)
        assert got["value_1"].tolist() == [1, 0] and got["value_2"] == 5 and got["value_3"] == -4.0


# ---------------------------------------------------------------- codes


def test_checks_have_words(c):
    shape = {"x_grad": (3,)}
    x = np.array([1.0, 2.0, 3.0])
    close(c.good("checked_grad", shape, x=x, k=2, n=3)["x_grad"], 3.0 / x + [0, 0, np.sum(np.log(x))])
    code, _ = c("checked_grad", shape, x=-x, k=2, n=3)
    assert code > 0 and re.fullmatch(r"checked_grad: x must be positive \(shapes.py:\d+\)", c.says(code))
    code, _ = c("checked_grad", shape, x=x, k=3, n=3)
    assert code > 0 and "out of bounds" in c.says(code)
    code, _ = c("checked_grad", {"x_grad": (1,)}, x=x[:1], k=0, n=1)
    assert c.says(code) == "checked_grad: n is below 2: build the function for that size too"


def test_general_codes(c):
    assert c.says(0) == "success" and c.says(10_000) == "unknown code"
    data = [np.ascontiguousarray(a).ctypes.data for a in (W, X, Y)]
    out = (ctypes.c_double * 5)()
    code = c.library.logistic_vg(*map(ctypes.c_void_p, data), ctypes.c_int64(4), ctypes.c_int64(30), out, out, None)
    assert code == -1 and "scratch is NULL" in c.says(code)


def test_codes_are_the_functions_own(about):
    every = [code for f in about["functions"] for code in f["c"]["codes"]]
    assert sorted(map(int, every)) == list(range(1, len(every) + 1))


def test_capacity(c):
    code, _ = c("root_vg", {}, a=2.0, trips_capacity=2)
    assert code == -16 and "capacity" in c.says(code)
    got = c.good("root_vg", {}, a=2.0, trips_capacity=64)
    close(got["value"], np.sqrt(2.0))
    close(got["a_grad"], 0.5 / np.sqrt(2.0))


def test_size_found_by_the_call(c):
    x = np.array([1.0, -1.0, 3.0, 0.0])
    got = c.good("positive", {"value": (4,)}, x=x, n=4)
    assert got["extents"].tolist() == [2] and got["value"][:2].tolist() == [2.0, 6.0]


def test_scratch_may_begin_anywhere(project):
    library = ctypes.CDLL(str(project / "build" / "shapes" / "libshapes.so"))
    library.logistic_vg_scratch_bytes.restype = ctypes.c_size_t
    count = library.logistic_vg_scratch_bytes(ctypes.c_int64(4), ctypes.c_int64(30))
    block = np.zeros(count + 16, np.uint8)
    want = None
    for shift in (0, 1, 7, 15):
        value, grad = ctypes.c_double(), (ctypes.c_double * 4)()
        code = library.logistic_vg(
            *(ctypes.c_void_p(a.ctypes.data) for a in (W, X, Y)), ctypes.c_int64(4), ctypes.c_int64(30),
            ctypes.byref(value), grad, ctypes.c_void_p(block.ctypes.data + shift),
        )
        assert code == 0
        assert want in (None, list(grad))
        want = list(grad)


# ---------------------------------------------------------------- levels


def test_levels(project, about):
    assert [x["name"] for x in about["levels"]] == ["baseline", "x86-64-v3"]
    c = C(project / "build" / "shapes")
    assert [c.library.shapes_level_name(k).decode() for k in range(3)] == ["baseline", "x86-64-v3", "none"]
    for wrong in (-1, 2, 31, 32, 99):
        assert c.library.shapes_set_level(wrong) == -2
    assert c.library.shapes_level() in (0, 1)


def test_levels_have_their_instructions(project):
    if shutil.which("objdump") is None:
        pytest.skip("no objdump")
    text = subprocess.run(["objdump", "-d", "libshapes.a"], cwd=project / "build" / "shapes", capture_output=True, text=True, check=True).stdout
    members = dict(re.findall(r"^(\S+\.o):\s+file format[^\n]*\n(.*?)(?=^\S+\.o:\s+file format|\Z)", text, re.M | re.S))
    assert "%ymm" not in members["logistic_vg.baseline.o"] and "vfmadd" not in members["logistic_vg.baseline.o"]
    assert "%ymm" in members["logistic_vg.x86-64-v3.o"]
    assert "%ymm" not in members["shapes.glue.o"]


def test_level_names():
    assert [x.name for x in aot.levels(["x86-64-v4", "baseline", "x86-64-v2"])] == ["baseline", "x86-64-v2", "x86-64-v4"]
    assert set(aot.level("x86-64-v2").needs) < set(aot.level("x86-64-v3").needs) < set(aot.level("x86-64-v4").needs)
    assert set(aot.level("native").needs) >= set(aot.level("x86-64-v2").needs)
    for wrong in (["pentium"], [], ["baseline", "aarch64"]):
        with pytest.raises(adc.UnsupportedError):
            aot.levels(wrong)


def test_detection_agrees_with_the_system():
    """What CPUID says is what LLVM says of this machine, for every instruction set that a level may need."""
    import llvmlite.binding as llvm
    from llvmlite import ir

    host = llvm.get_host_cpu_features()
    names = sorted(aot.FEATURES)
    module = ir.Module()
    for start in range(0, len(names), 16):
        some = [aot.Level(n, "x86_64", "x86-64", (n,)) for n in names[start : start + 16]]
        module = ir.Module(f"probe{start}")
        fn = aot.write_detection(module, some, f"probe{start}")
        fn.linkage = ""
        data = aot.link_library({"probe.o": aot.emit(str(module), some[0])}, [f"probe{start}"], "libprobe.so", "x86_64")
        path = Path(os.environ["ADC_CACHE_DIR"]) / f"probe-{os.getpid()}-{start}.so"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        try:
            mask = getattr(ctypes.CDLL(str(path)), f"probe{start}")()
        finally:
            path.unlink()
        for k, x in enumerate(some):
            assert bool(mask >> k & 1) == host[x.name], x.name


# ---------------------------------------------------------------- threads

THREADS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "shapes.h"

static int calls;

/* A host's own way to run chunks: the last first, all on one thread. */
static int64_t backwards(int64_t (*chunk)(void *, int64_t, int64_t, int64_t), void *context, int64_t count)
{
    int64_t code = 0;
    for (int64_t k = count - 1; k >= 0; k--) {
        int64_t c = chunk(context, k, k + 1, 0);
        code = c ? c : code;
        calls++;
    }
    return code;
}

enum { D = 16, N = 20000 };
static double X[N * D], y[N], w[D], g[D], h[D], v, u;

static int same(void *scratch)
{
    memset(h, 0, sizeof h), u = 0;
    return !logistic_vg(w, X, y, D, N, &u, h, scratch) && u == v && !memcmp(g, h, sizeof g);
}

int main(void)
{
    void *scratch = malloc(logistic_vg_scratch_bytes(D, N) + 1);
    for (int k = 0; k < N * D; k++)
        X[k] = rand() / (double)RAND_MAX - 0.5;
    for (int k = 0; k < N; k++)
        y[k] = k % 2;
    if (logistic_vg(w, X, y, D, N, &v, g, scratch))
        return 1;
    for (int threads = 1; threads <= 4; threads++) {
        if (shapes_set_num_threads(threads) != threads)
            return 2;
        for (int repeat = 0; repeat < 50; repeat++)
            if (!same(scratch))
                return 3;
    }
    if (shapes_set_num_threads(0) || shapes_set_num_threads(-1) || shapes_set_num_threads(5000))
        return 4;
    adc_runtime own = {.run = backwards};
    shapes_set_runtime(&own);
    if (!same(scratch) || calls < 2)
        return 5;
    shapes_set_runtime(NULL);
    calls = 0;
    if (!same(scratch) || calls)
        return 6;
    shapes_set_num_threads(3);
    pid_t child = fork();
    if (!child)
        _exit(shapes_set_num_threads(2) == 2 && same(scratch) && same(scratch) ? 0 : 7);
    int status;
    waitpid(child, &status, 0);
    if (!same(scratch))
        return 8;
    free(scratch);
    return status != 0;
}
"""


def test_threads_in_c(project, tmp_path):
    """Any number of threads, the host's own, and a forked child: the same bits."""
    (tmp_path / "t.c").write_text(THREADS)
    folder = project / "build" / "shapes"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "t.c", f"-I{folder}", f"-L{folder}", "-lshapes", f"-Wl,-rpath,{folder}", "-o", "t"], cwd=tmp_path, check=True)
    assert subprocess.run(["./t"], cwd=tmp_path, timeout=60).returncode == 0


# ---------------------------------------------------------------- the files


def symbols(path: Path) -> list[tuple[str, str]]:
    text = subprocess.run(["nm", "-D", str(path)], capture_output=True, text=True, check=True).stdout
    return [tuple(line.split()[-2:]) for line in text.splitlines()]


@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm")
def test_no_symbol_of_python(project, about):
    found = symbols(project / "build" / "shapes" / "libshapes.so")
    undefined = {name.partition("@")[0] for kind, name in found if kind in "Uw"}
    libc = {"memset", "memcpy", "memmove", "fma", "fmaf", "fmod", "fmodf", "getpid", "sched_yield", "__cxa_finalize", "__gmon_start__"}
    assert {n for n in undefined if not n.startswith("pthread_")} <= libc
    assert not [n for _, n in found if re.search(r"^_?Py|[Nn]umba|NRT|npy|adc_kernel|adc_entry", n)]
    shown = {name for kind, name in found if kind not in "Uw"}
    wanted = {n for f in about["functions"] for n in (f["symbol"], f"{f['symbol']}_scratch_bytes")}
    assert shown == wanted | {f"shapes_{n}" for n in ("strerror", "level", "set_level", "level_name", "programs", "set_num_threads", "set_runtime")}


def test_no_path_of_this_machine(project):
    folder = project / "build" / "shapes"
    for path in folder.iterdir():
        data = path.read_bytes()
        for place in (str(project), str(ROOT), str(Path.home() / "."), os.environ["ADC_CACHE_DIR"]):
            assert place.encode() not in data, f"{path.name} names {place}"


@pytest.mark.parametrize(("compiler", "flags", "name"), [("gcc", ["-std=c99"], "p.c"), ("g++", ["-std=c++11"], "p.cpp")])
def test_header_compiles(project, tmp_path, compiler, flags, name):
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    other = (project / "build" / "shapes" / "shapes.h").read_text().replace("shapes_", "other_").replace("SHAPES_H", "OTHER_H").replace("#define adc_strerror shapes", "#define adc_strerror other")
    (tmp_path / "other.h").write_text(re.sub(r"^(int|size_t) (?!other_)\w+\(.*\);$", "", other, flags=re.M))
    (tmp_path / name).write_text('#include "shapes.h"\nconst char *one(int k) { return adc_strerror(k); }\n#include "other.h"\n#ifdef adc_strerror\n#error ambiguous\n#endif\n')
    subprocess.run([compiler, *flags, "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{project}/build/shapes", "-c", name, "-o", "p.o"], cwd=tmp_path, check=True)


def test_static_archive_and_pkg_config(project, tmp_path):
    program = '#include "shapes.h"\n#include <stdio.h>\nint main(void) { double x[3] = {1, 1, 1}, g[3], v; int code = scaled_vg(x, &v, g, 0); printf("%d %g %g\\n", code, v, g[2]); return code; }\n'
    (tmp_path / "p.c").write_text(program)
    folder = project / "build" / "shapes"
    subprocess.run(["gcc", "p.c", f"-I{folder}", f"{folder}/libshapes.a", "-lm", "-o", "static"], cwd=tmp_path, check=True)
    assert subprocess.run(["./static"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "0 7 9\n"
    if shutil.which("pkg-config"):
        env = {**os.environ, "PKG_CONFIG_PATH": str(folder)}
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "shapes"], env=env, capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["gcc", "p.c", *flags, f"-Wl,-rpath,{folder}", "-o", "dynamic"], cwd=tmp_path, check=True)
        assert subprocess.run(["./dynamic"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "0 7 9\n"


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake")
def test_cmake(project, tmp_path):
    (tmp_path / "p.c").write_text('#include "shapes.h"\nint main(void) { return shapes_level() < 0; }\n')
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.10)\nproject(p C)\nfind_package(shapes REQUIRED)\n"
        "add_executable(p p.c)\ntarget_link_libraries(p adc::shapes)\nadd_executable(q p.c)\ntarget_link_libraries(q adc::shapes_static)\n"
    )
    subprocess.run(["cmake", "-S", ".", "-B", "b", f"-Dshapes_DIR={project}/build/shapes"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["cmake", "--build", "b"], cwd=tmp_path, check=True, capture_output=True)
    for name in ("p", "q"):
        subprocess.run([tmp_path / "b" / name], check=True)


def test_manifest(about, shapes):
    f = {x["symbol"]: x for x in about["functions"]}["logistic_vg"]
    assert f["function"] == "shapes:logistic" and f["transform"] == "value_and_grad" and f["sig"] == "f8[d], f8[n, d], f8[n]"
    assert f["source"]["file"] == "shapes.py" and len(f["source"]["sha256"]) == 64 and f["source"]["line"] == shapes.logistic.__code__.co_firstlineno
    assert about["versions"]["adc"] == adc.__version__ and about["file"] in about["files"]
    assert f["c"]["prototype"].startswith("int logistic_vg(const double *w, ")


# ---------------------------------------------------------------- again, and only what must be

SMALL = "import numpy as np\n\nPOWER = 2\nSHIFT = np.array([1.0, 2.0])\n\n\ndef helper(x):\n    return x**POWER\n\n\ndef f(x):\n    return np.sum(helper(x) + SHIFT)\n\n\ndef g(x):\n    return np.sum(x * x * x)\n"


class Small:
    """A project of two functions that are built again and again, each time as a new process would."""

    def __init__(self, folder: Path):
        self.folder, self.out = folder, folder / "build" / "small"
        self.write(SMALL)

    def write(self, text: str) -> None:
        (self.folder / "small.py").write_text(text)

    def change(self, old: str, new: str) -> None:
        text = (self.folder / "small.py").read_text()
        assert old in text
        self.write(text.replace(old, new))

    def plans(self):
        return plans([(None, make_spec(f"small.py:{n}", "grad", sig="f8[2]")) for n in "fg"], self.folder / "build")

    def build(self):
        forget("small")
        (result,) = build(self.plans(), self.folder)
        return result

    def gradient(self, name: str, *x: float) -> list[float]:
        return getattr(adc.load(self.out), f"{name}_grad")(np.array(x)).tolist()


@pytest.fixture
def small(tmp_path):
    yield Small(tmp_path)
    forget("small")


def test_incremental(small):
    first = small.build()
    assert first.built == ["f_grad", "g_grad"] and first.written
    bytes_before = {p.name: p.read_bytes() for p in small.out.iterdir()}
    again = small.build()
    assert again.built == [] and not again.written
    assert {p.name: p.read_bytes() for p in small.out.iterdir()} == bytes_before
    assert small.gradient("f", 1.0, 2.0) == [2.0, 4.0]
    small.change("return np.sum(x * x * x)", "return np.sum(x * x) * 2.0")
    assert small.build().built == ["g_grad"]
    assert small.gradient("g", 1.0, 2.0) == [4.0, 8.0]
    small.change("POWER = 2", "POWER = 3")  # a static value that a callee reads
    assert small.build().built == ["f_grad"]
    assert small.gradient("f", 1.0, 2.0) == [3.0, 12.0]
    small.change("[1.0, 2.0])", "[1.0, 5.0])")  # data that lies in the library
    assert small.build().built == ["f_grad"]
    small.change("return x**POWER", "return x**POWER * 2.0")  # a callee
    assert small.build().built == ["f_grad"]
    assert small.gradient("f", 1.0, 2.0) == [6.0, 24.0]


def test_damaged_files_are_written_again(small):
    small.build()
    before = {p.name: p.read_bytes() for p in small.out.iterdir()}
    for name, data in before.items():
        for damage in (data[: len(data) // 2], b""):
            (small.out / name).write_bytes(damage)
            assert stale(small.plans(), small.folder)
            result = small.build()
            assert result.written and result.built == []
            assert (small.out / name).read_bytes() == data
            assert not stale(small.plans(), small.folder)
    (small.out / "libsmall.so").unlink()
    assert small.build().written


def test_failure_leaves_what_was_there(small):
    small.build()
    before = {p.name: p.read_bytes() for p in small.out.iterdir()}
    small.change("return np.sum(helper(x) + SHIFT)", "return np.sum(np.fft.fft(x))")
    with pytest.raises(BuildError) as e:
        small.build()
    assert "f_grad" in str(e.value) and "small.py:12" in str(e.value) and "fft" in str(e.value) and "g_grad" not in str(e.value)
    assert {p.name: p.read_bytes() for p in small.out.iterdir()} == before
    assert small.gradient("f", 1.0, 2.0) == [2.0, 4.0]
    small.write("import nothing_of_this_name\n" + SMALL)
    with pytest.raises(BuildError, match="nothing_of_this_name"):
        small.build()
    assert {p.name: p.read_bytes() for p in small.out.iterdir()} == before


def test_workers_report_failures(tmp_path):
    """Two processes: a good function's library is written, a bad one's is not; a process that dies is a failure."""
    (tmp_path / "several.py").write_text(
        "import os\nimport numpy as np\n\n\ndef good(x):\n    return np.sum(x * x)\n\n\ndef bad(x):\n    return np.fft.fft(x)\n"
    )
    (tmp_path / "deadly.py").write_text("import os\nif os.environ.get('ADC_TEST_PARENT') != str(os.getpid()):\n    os._exit(3)\n\n\ndef f(x):\n    return x * x\n")
    specs = [("one", make_spec("several:good", sig="f8[n]")), ("two", make_spec("several:bad", sig="f8[n]")), ("three", make_spec("deadly:f", sig="float"))]
    os.environ["ADC_TEST_PARENT"] = str(os.getpid())
    try:
        with pytest.raises(BuildError) as e:
            build(plans(specs, tmp_path / "build"), tmp_path, jobs=2)
    finally:
        del os.environ["ADC_TEST_PARENT"]
        forget("several", "deadly")
    assert "several.py:10" in str(e.value) and "ended with 3" in str(e.value) and "good" not in str(e.value)
    assert sorted(p.name for p in (tmp_path / "build").iterdir()) == ["one"]


def test_without_linker(small, monkeypatch):
    monkeypatch.setenv("ADC_LINKER", "")
    result = small.build()
    assert not result.linked
    assert sorted(p.name for p in (small.out / "objects").iterdir()) == ["f_grad.baseline.o", "g_grad.baseline.o", "small.glue.o"]
    assert not (small.out / "libsmall.so").exists() and (small.out / "small.h").exists()
    with pytest.raises(adc.AdcError, match="objects only"):
        adc.load(small.out)
    subprocess.run(["gcc", "-shared", "-o", "x.so", *map(str, (small.out / "objects").iterdir()), "-lm"], cwd=small.folder, check=True)
    monkeypatch.delenv("ADC_LINKER")
    result = small.build()
    assert result.linked and result.built == []
    assert not (small.out / "objects").exists()


def test_other_architecture(small):
    """Objects for aarch64: LLVM makes them anywhere; a linker for it is another matter."""
    made = plans([(None, make_spec("small.py:g", "grad", sig="f8[2]"))], small.folder / "arm", levels=("aarch64",))
    forget("small")
    (result,) = build(made, small.folder)
    if result.linked:
        with pytest.raises(adc.AdcError, match="built for linux on aarch64"):
            adc.load(result.folder)
        return
    for path in (result.folder / "objects").iterdir():
        assert path.read_bytes()[18:20] == b"\xb7\x00", f"{path.name} is not for aarch64"
    with pytest.raises(adc.AdcError, match="aarch64"):
        adc.load(result.folder)


# ---------------------------------------------------------------- what is asked for


def test_configuration(tmp_path):
    write_project(tmp_path)
    assert find_project(tmp_path / "anywhere") == tmp_path / "pyproject.toml"
    config = read_config(tmp_path / "pyproject.toml", tmp_path / "elsewhere", ["native"])
    (plan,) = config.plans
    assert plan.folder == tmp_path / "elsewhere" / "shapes" and plan.levels == ("native",) and plan.static
    assert [s.symbol for s in plan.specs][:2] == ["logistic_vg", "logistic_vg_2"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.adc.build]\nlevel = 'native'", "no key 'level'"),
        ("[tool.adc.build]\nlevels = 'native'", "levels is a str"),
        ("[tool.adc.build]\nstatic = 1", "static is a int"),
        ("[tool.adc.build]\nfunctions = [{ sig = 'f8' }]", "names no function"),
        ("[tool.adc.build]\nfunctions = [{ function = 'm:f', transform = 'integral' }]", "'integral'"),
        ("[tool.adc.build]\nfunctions = [{ function = 'm:f', name = 'for' }]", "'for' is not a name"),
        ("[tool.adc.build]\nfunctions = [{ function = 'm' }]", "does not name a function"),
        ("[tool.adc.build]\nfunctions = [{ function = 'm:f', name = 'a' }, { function = 'm:g', name = 'a' }]", "two functions"),
        ("[tool.adc.build]\nfunctions = [{ function = 'none/*.py:f' }]", "no file"),
        ("[tool.other]\n", "has no [tool.adc.build]"),
        ("[tool.adc.build\n", "cannot be read"),
    ],
)
def test_mistakes_in_the_configuration(tmp_path, text, says):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(adc.UnsupportedError, match=re.escape(says)):
        read_config(tmp_path / "pyproject.toml")


def test_a_file_each(tmp_path):
    (tmp_path / "models").mkdir()
    for name, text in (("a", "def loss(x):\n    return x * x\n"), ("b", "def other(x):\n    return x\n"), ("c", "def loss(x: float):\n    return x\n")):
        (tmp_path / "models" / f"{name}.py").write_text(text)
    (tmp_path / "pyproject.toml").write_text("[tool.adc.build]\nfunctions = [{ function = 'models/*.py:loss', sig = 'float' }]\n")
    (plan,) = read_config(tmp_path / "pyproject.toml").plans
    assert plan.library == "models" and [(s.function, s.symbol) for s in plan.specs] == [("models/a.py:loss", "a_grad"), ("models/c.py:loss", "c_grad")]


def test_the_module_says_what_to_differentiate(tmp_path):
    """`WRT` is what `wrt` is where nobody says it; another `WRT` is another function."""

    def once(said, **spec):
        (tmp_path / "with_wrt.py").write_text(f"{said}\ndef f(x, y):\n    return x * y * y\n")
        forget("with_wrt")
        (result,) = build(plans([(None, make_spec("with_wrt.py:f", sig="float, float", **spec))], tmp_path / "build"), tmp_path)
        return result.built, adc.load(tmp_path / "build" / "with_wrt").f_grad(3.0, 2.0)

    try:
        assert once("WRT = (1, 0)") == (["f_grad"], (12.0, 4.0))
        assert once("WRT = 1") == (["f_grad"], 12.0)
        assert once("WRT = 1 ", wrt=0) == (["f_grad"], 4.0)
        assert once("") == ([], 4.0)  # as before
    finally:
        forget("with_wrt")


@pytest.mark.parametrize(
    ("text", "spec", "says"),
    [
        ("def f(x, axis):\n    return np.sum(np.sum(x, axis=axis))\n", {"sig": "f8[n, m], int"}, "literal|known when compiling"),
        ("def f(x):\n    return x\n", {"sig": "f8[n]"}, "one float scalar"),
        ("def f(x):\n    return x\n", {"sig": "i8"}, "cannot be differentiated"),
        ("def f(x):\n    return x * x\n", {}, r"types of x of f are not known(.|\n)*define example_inputs\(\) in its module"),
        ("def f(x):\n    return x * x\n", {"sig": "float", "wrt": 1}, "wrt = 1"),
        ("def f(x):\n    return {1.5: x}\n", {"sig": "float", "transform": "primal"}, "keys"),
        ("WRT = 'x'\ndef f(x):\n    return x * x\n", {"sig": "float"}, "WRT of refused_model is 'x'"),
        ("WRT = (0, 1)\ndef f(x):\n    return x * x\n", {"sig": "float"}, r"wrt = \(0, 1\), but f has 1 argument"),
        ("BIG = np.zeros(1 << 24)\ndef f(x):\n    return x * BIG[3]\n", {"sig": "float"}, "would lie in the library"),
    ],
)
def test_refusals(tmp_path, text, spec, says):
    (tmp_path / "refused_model.py").write_text("import numpy as np\n\n" + text)
    try:
        with pytest.raises(BuildError, match=says):
            build(plans([(None, make_spec("refused_model.py:f", **spec))], tmp_path), tmp_path)
    finally:
        forget("refused_model")
    assert not (tmp_path / "refused_model").exists()


# ---------------------------------------------------------------- the command


@pytest.fixture
def run(small, monkeypatch):
    monkeypatch.chdir(small.folder)

    def call(*words: str, code: int = 0) -> str:
        forget("small")
        result = CliRunner().invoke(commands.adc, ["build", *words], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.output

    return call


def test_command(run, small):
    said = json.loads(run("small:g", "--sig", "f8[2]", "--transform", "value_and_grad", "--name", "g_vg", "--library", "mine", "--out", "made", "--json"))
    assert said["libraries"][0]["built"] == ["g_vg"] and said["libraries"][0]["linked"]
    value, gradient = adc.load(small.folder / "made" / "mine").g_vg(np.array([1.0, 2.0]))
    assert value == 9.0 and gradient.tolist() == [3.0, 12.0]
    text = run("small:f", "--sig", "f8[2]", "--library", "mine", "--out", "made")
    assert "no longer holds g_vg" in text and "\x1b" not in text
    assert "Example" in run("--help")


def test_command_with_a_project(run, small):
    assert "there is no pyproject.toml" in run(code=1)
    (small.folder / "pyproject.toml").write_text('[tool.adc.build]\nfunctions = [{ function = "small:g", sig = "f8[2]" }]\n')
    assert "everything is up to date" in run("--check")  # nothing was built
    assert "g_grad" in run("--jobs", "1")
    assert "unchanged" in run()
    assert "everything is up to date" in run("--check")
    small.change("x * x * x", "x * x")
    said = json.loads(run("--check", "--json", code=1))
    assert not said["ok"] and "small:g was changed" in said["differences"][0]
    assert "belong to a function" in run("--sig", "f8[2]", code=2)
    (small.folder / "pyproject.toml").write_text('[tool.adc.build]\nfunctions = [{ function = "small:h", sig = "f8[2]" }]\n')
    assert "has no 'h'" in run(code=1)


def test_command_asks_the_catalogue(run, small, monkeypatch):
    import types

    written = []
    fake = types.ModuleType("adc.artifact.catalogue")
    fake.__spec__ = sys.__spec__
    fake.check = lambda root: [] if written else [f"{root.name}/emitted/g.numpy.py differs"]
    fake.write = written.append
    monkeypatch.setitem(sys.modules, "adc.artifact.catalogue", fake)
    (small.folder / "pyproject.toml").write_text('[tool.adc.build]\ncatalogue = "kernels"\n')
    assert "kernels/emitted/g.numpy.py differs" in run("--check", code=1)
    run()
    assert written == [small.folder / "kernels"]
    run()
    assert len(written) == 1, "nothing was changed"
    (small.folder / "kernels").mkdir()
    (small.folder / "kernels" / "g.py").write_text("def loss(x):\n    return x\n")
    run()
    assert len(written) == 2
    assert "up to date" in run("--check")
