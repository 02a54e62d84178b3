"""`adc.load`: built functions from Python, without the source, Numba or LLVM; and damage of every kind, which is found."""

from __future__ import annotations

import concurrent.futures
import importlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import adc
from adc.api import stored, trees
from adc.artifact import manifest
from adc.artifact.build import build
from adc.artifact.frames import kernel_json, kernel_of
from adc.artifact.load import Library, from_content
from adc.artifact.spec import make_spec, plans, read_config
from adc.backend import aot, cache, cpu
from adc.backend.entry import Careful
from adc.errors import ArtifactError
from tests.build_project import forget, write_project

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("clang")), reason="no C compiler"),
    pytest.mark.skipif(aot.machine_here() != "x86_64", reason="levels of x86-64"),
]
STRUCTS = """
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Pair(NamedTuple):
    a: object
    b: object


@dataclass
class State:
    position: object
    speed: object


def energy(state, pair):
    return State(np.sum(state.position**2) * pair.b, {"speed": state.speed * pair.a})


def loss(state, pair):
    return np.sum(state.position**2) * pair.b + np.sum(state.speed * pair.a)


def example_inputs():
    return State(np.ones(3), np.ones(2)), Pair(2.0, 3.0)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = write_project(tmp_path_factory.mktemp("project"))
    (folder / "structs.py").write_text(STRUCTS)
    build(read_config(folder / "pyproject.toml").plans, folder, jobs=2)
    specs = [(None, make_spec("structs:loss", "grad", wrt=(0, 1))), (None, make_spec("structs:energy", "primal"))]
    build(plans(specs, folder / "build"), folder)
    yield folder
    forget("shapes", "structs")


@pytest.fixture(scope="module")
def shapes(project):
    return importlib.import_module("shapes")


@pytest.fixture(scope="module")
def built(project):
    return adc.load(project / "build" / "shapes")


rng = np.random.default_rng(5)
W, X, Y, V = rng.normal(size=4), rng.normal(size=(30, 4)), rng.integers(0, 2, 30).astype(float), rng.normal(size=4)
CURVE = (np.array([0.3, -1.2]), 0.7)


def same(got, want):
    """The same structure, types and dtypes, and equal numbers but for rounding."""
    import optree

    mine, a = optree.tree_flatten(got, namespace="adc")
    theirs, b = optree.tree_flatten(want, namespace="adc")
    assert a == b
    for x, y in zip(mine, theirs, strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype and np.shape(x) == np.shape(y)
        np.testing.assert_allclose(x, y, rtol=1e-5 if np.asarray(y).dtype == np.float32 else 1e-11, atol=1e-13)


N = {"target": "numpy"}
CASES = {
    "logistic_vg": (lambda m: adc.value_and_grad(m.logistic, **N), (W, X, Y)),
    "logistic_hessian": (lambda m: adc.hessian(m.logistic, **N), (W, X, Y)),
    "logistic_hvp": (lambda m: adc.hvp(m.logistic, **N), (W, X, Y, V)),
    "curve_jacobian": (lambda m: adc.jacrev(m.curve, **N), CURVE),
    "curve_jacfwd": (lambda m: adc.jacfwd(m.curve, argnums=(0, 1), **N), CURVE),
    "curve": (lambda m: adc.jit(m.curve, **N), CURVE),
    "scaled_vg": (lambda m: adc.value_and_grad(m.scaled, **N), (np.array([1.0, 2.0, -1.0]),)),
    "network_grad": (lambda m: adc.grad(m.network, **N), ({"W": rng.normal(size=(3, 5)), "b": rng.normal(size=5)}, np.ones(3))),
    "checked_grad": (lambda m: adc.grad(m.checked, **N), (np.array([1.0, 2.0, 3.0]), 1)),
    "root_vg": (lambda m: adc.value_and_grad(m.root, **N), (2.0,)),
    "positive": (lambda m: adc.jit(m.positive, **N), (np.array([1.0, -2.0, 3.0]),)),
    "single_grad": (lambda m: adc.grad(m.single, **N), (np.array([1.0, 2.0], np.float32), 3)),
    "inner_grad": (lambda m: adc.grad(m.inner, argnums=(0, 1), **N), (W, V)),
    "many": (lambda m: adc.jit(m.many, **N), (W, True, 3)),
}


# ---------------------------------------------------------------- the same as just in time


@pytest.mark.parametrize("name", CASES)
def test_same_as_just_in_time(name, built, shapes):
    make, args = CASES[name]
    f, want = getattr(built, name), make(shapes)(*args)
    for _ in range(3):  # the careful way, then the quick one
        same(f(*args), want)
    same(f(**dict(zip(f.parameters, args, strict=True))), want)


def test_forward_and_reverse(built, shapes):
    x, t = CURVE
    J, dt = adc.jacrev(shapes.curve, argnums=(0, 1), **N)(x, t)
    same(built.curve_jvp((x, t), (2.0, np.array([1.0, 3.0]))), (shapes.curve(x, t), J @ [1.0, 3.0] + 2.0 * dt))
    bar = np.array([1.0, 2.0, 3.0])
    value, (x_bar, t_bar) = built.curve_vjp((x, t), bar)
    same((value, x_bar, t_bar), (shapes.curve(x, t), bar @ J, bar @ dt))


def test_every_function_is_there(built, project):
    about = manifest.read(project / "build" / "shapes")[0]
    assert set(built.functions) == {f["name"] for f in about["functions"]}
    assert repr(built).startswith("<adc library shapes: logistic_vg") and built.level in repr(built)
    assert "value_and_grad of shapes:logistic" in built.logistic_vg.__doc__ and repr(built.root_vg) == "<adc built function shapes.root_vg>"


def test_signatures_are_chosen(built, shapes):
    f = built.logistic_vg
    same(f(W, X[:1], Y[:1]), adc.value_and_grad(shapes.logistic, **N)(W, X[:1], Y[:1]))
    same(f(W, X, Y), adc.value_and_grad(shapes.logistic, **N)(W, X, Y))
    with pytest.raises(adc.ShapeError, match="not built for these sizes.*size 0"):
        f(W, X[:0], Y[:0])


def test_layouts(built, shapes):
    want = built.logistic_vg(W, X, Y)
    same(built.logistic_vg(W[::-1][::-1], np.asfortranarray(X), np.repeat(Y, 2)[::2]), want)
    same(built.logistic_vg(W.astype(">f8"), X, Y), want)
    readonly = X.copy()
    readonly.flags.writeable = False
    same(built.logistic_vg(W, readonly, Y), want)


def test_same_errors(built, shapes):
    jit = adc.grad(shapes.inner, argnums=(0, 1))
    with pytest.raises(adc.ShapeError) as mine:
        built.inner_grad(np.ones(3), np.ones(4))
    with pytest.raises(adc.ShapeError) as theirs:
        jit(np.ones(3), np.ones(4))
    # the signature names the sizes
    assert mine.value.diagnostics[0].message == theirs.value.diagnostics[0].message.replace("x_n", "n").replace("y_n", "m")
    assert mine.value.diagnostics[0].pos.line == theirs.value.diagnostics[0].pos.line and "shapes.py" in str(mine.value)
    for args in ((-np.ones(3), 1), (np.ones(3), 7)):
        with pytest.raises(adc.CheckError) as mine:
            built.checked_grad(*args)
        with pytest.raises(adc.CheckError) as theirs:
            adc.grad(shapes.checked)(*args)
        assert mine.value.diagnostics[0].message == theirs.value.diagnostics[0].message.replace("x_n", "n")


def test_what_it_was_not_built_for(built):
    for args in ((W.astype("f4"), X, Y), (list(W), X, Y), (W, X, Y[0]), (W, X, "y"), (W, X, Y.astype(int))):
        with pytest.raises(adc.UnsupportedError, match="was built for"):
            built.logistic_vg(*args)
    for args, kwargs in (((W, X), {}), ((W, X, Y, Y), {}), ((W, X), {"z": Y}), ((W, X, Y), {"y": Y})):
        with pytest.raises(TypeError, match=r"takes \(w, X, y\)"):
            built.logistic_vg(*args, **kwargs)


def test_kept_data_is_the_librarys(built):
    (variant,) = built.scaled_vg.variants
    arrays = [v for v in variant.kept if isinstance(v, np.ndarray)]
    assert len(arrays) == 1 and arrays[0].tolist() == [1.0, 2.0, 3.0] and not arrays[0].flags.writeable


def test_classes_of_the_user(project):
    structs = importlib.import_module("structs")
    built = adc.load(project / "build" / "structs")
    state, pair = structs.State(np.array([1.0, 2.0, 3.0]), np.ones(2)), structs.Pair(2.0, 3.0)
    g = built.loss_grad(state, pair)
    assert type(g[0]) is structs.State and g[0].position.tolist() == [6.0, 12.0, 18.0] and g[0].speed.tolist() == [2.0, 2.0]
    assert type(g[1]) is structs.Pair and g[1] == (2.0, 14.0)
    out = built.energy(state, pair)
    assert type(out) is structs.State and out.position == 42.0 and out.speed["speed"].tolist() == [2.0, 2.0]


def test_threads(built):
    want = {k: built.logistic_vg(W * k, X, Y)[1].tolist() for k in range(8)}

    def call(k):
        return k % 8, built.logistic_vg(W * (k % 8), X, Y)[1].tolist(), built.root_vg(float(k + 1))[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for k, (i, got, root) in enumerate(pool.map(call, range(400))):
            assert got == want[i] and abs(root - np.sqrt(k + 1.0)) < 1e-12


def test_shared_work(built, project, tmp_path):
    """The process's workers, its number of threads, a library of another version with workers of its own: the same bits."""
    n, d = 20_000, 16
    X, y, w = rng.normal(size=(n, d)), rng.integers(0, 2, n).astype(float), np.zeros(d)
    other = adc.load(copy_of(project, tmp_path, lambda about: about.update(entry="of another version")))
    before = adc.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 4):
            adc.set_num_threads(threads)
            for f in (built.logistic_vg, other.logistic_vg):
                value, gradient = f(w, X, y)
                found.append((float(value), gradient.tobytes()))
    finally:
        adc.set_num_threads(before)
    assert len(set(found)) == 1


# ---------------------------------------------------------------- without the source, without a compiler

LEAN = """
import json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("numba", "llvmlite", "gast", "astunparse", "scipy", "shapes") or name.startswith(("adc.frontend", "adc.lower.whole", "adc.transform")):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
import numpy as np, adc
model = adc.load(sys.argv[1])
w, X, y = np.arange(4.0), np.eye(4), np.ones(4)
value, gradient = model.logistic_vg(w, X, y)
grads = model.network_grad({"W": np.eye(2), "b": np.zeros(2)}, np.ones(2))
n = 20000
big = [model.logistic_vg(w, np.ones((n, 4)) * np.arange(n)[:, None] / n, np.ones(n))[1].tobytes() for k in (1, 2, 4) if adc.set_num_threads(k) is None]
assert len(set(big)) == 1
from adc.backend import layout, pool, runtime
print(json.dumps({"run": bool(runtime._table[layout.RUNTIME["run"]]), "state": pool._state is not None, "value": float(value), "gradient": gradient.tolist(), "b": grads["b"].tolist(), "root": float(model.root_vg(2.0)[0]), "level": model.level,
                  "kept": model.scaled_vg(np.ones(3))[1].tolist(), "positive": model.positive(np.array([1.0, -1.0])).tolist()}))
"""


def lean(path: Path, tmp_path: Path, code: str = LEAN) -> dict:
    """What a process prints that has no home folder, no cache and none of the heavy modules."""
    home = tmp_path / "nobody"
    home.mkdir(exist_ok=True)
    home.chmod(0o500)
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")}
    env.update(HOME=str(home), PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-B", "-c", code, str(path)], capture_output=True, text=True, env=env, cwd=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_lean_process(project, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(project / "build" / "shapes", moved)  # far from the source
    got = lean(moved, tmp_path)
    w = np.arange(4.0)
    np.testing.assert_allclose(got["gradient"], (1 / (1 + np.exp(-w)) - 1) / 4)
    assert abs(got["root"] - np.sqrt(2.0)) < 1e-12 and got["kept"] == [1.0, 4.0, 9.0] and got["positive"] == [2.0]
    assert got["run"] and got["state"], "no workers, though the library brings the pool"


def test_pickle_takes_the_library_along(project, tmp_path):
    built = adc.load(project / "build" / "shapes")
    assert pickle.loads(pickle.dumps(built.root_vg)) is built.root_vg
    (tmp_path / "function.pickle").write_bytes(pickle.dumps({"root": built.root_vg, "library": built}))
    code = (
        "import json, pickle, sys\nfrom pathlib import Path\nimport numpy as np\n"
        "d = pickle.loads(Path(sys.argv[1]).read_bytes())\nf = d['root']\n"
        "print(json.dumps({'root': float(f(2.0)[0]), 'path': str(f.library.path), 'same': f.library is d['library'], 'numba': 'numba' in sys.modules}))"
    )
    got = lean(tmp_path / "function.pickle", tmp_path, code)
    assert abs(got["root"] - np.sqrt(2.0)) < 1e-12 and got["path"] == "None" and got["same"] and not got["numba"]


# ---------------------------------------------------------------- refusals


def copy_of(project: Path, tmp_path: Path, change=None, name: str = "copy") -> Path:
    """A copy of the library whose manifest was changed and sealed again."""
    folder = tmp_path / name
    shutil.copytree(project / "build" / "shapes", folder)
    about = manifest.read(folder)[0]
    if change is not None:
        change(about)
    (folder / manifest.NAME).write_bytes(manifest.sealed(about))
    return folder


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"format": 99}, "format 99, this adc reads format"),
        ({"machine": "sparc"}, "built for linux on sparc"),
        ({"system": "plan9"}, "built for plan9"),
        ({"file": None}, "objects only"),
        ({"functions": [{}]}, "does not describe the library"),
        ({"library": "other"}, "does not describe the library"),
        ({"levels": []}, "does not describe the library"),
    ],
)
def test_manifests_of_others(project, tmp_path, facts, says):
    folder = copy_of(project, tmp_path, lambda about: about.update(facts))
    with pytest.raises(ArtifactError, match=says):
        adc.load(folder)


def test_nothing_there(tmp_path):
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "lib.so"):
        with pytest.raises(ArtifactError, match="there is no manifest.json"):
            adc.load(path)


def test_a_processor_with_less(tmp_path):
    """A level that this processor does not have: the library says so before any instruction of it runs."""
    import llvmlite.binding as llvm

    if llvm.get_host_cpu_features().get("avx512f"):
        pytest.skip("this processor has every level")
    (tmp_path / "tall.py").write_text("def f(x):\n    return x * x\n")
    try:
        build(plans([(None, make_spec("tall.py:f", sig="float"))], tmp_path / "build", levels=("x86-64-v4",)), tmp_path)
    finally:
        forget("tall")
    with pytest.raises(ArtifactError, match=r"level x86-64-v4, and this one lacks .*avx512f"):
        adc.load(tmp_path / "build" / "tall")
    import ctypes

    library = ctypes.CDLL(str(tmp_path / "build" / "tall" / "libtall.so"))
    assert library.tall_level() == -1 and library.f_grad(ctypes.c_double(1.0), (ctypes.c_double * 1)(), None) == -2


def test_another_interpreter(project, tmp_path):
    """Entries made for another layout of objects are not used; the kernels are."""
    built = adc.load(copy_of(project, tmp_path, lambda about: about.update(entry="of another version")))
    assert all(isinstance(v.run, Careful) for name in built.functions for v in getattr(built, name).variants)
    same(built.logistic_vg(W, X, Y), adc.load(project / "build" / "shapes").logistic_vg(W, X, Y))


def test_built_again_in_the_same_process(tmp_path):
    for k in (2.0, 5.0):
        (tmp_path / "again.py").write_text(f"def f(x):\n    return x * x * {k}\n")
        forget("again")
        build(plans([(None, make_spec("again.py:f", sig="float"))], tmp_path / "build"), tmp_path)
        assert adc.load(tmp_path / "build" / "again").f_grad(1.0) == 2 * k
    forget("again")


def test_frames_round_trip(project):
    for f in manifest.read(project / "build" / "shapes")[0]["functions"]:
        assert kernel_json(kernel_of(f["kernel"])) == f["kernel"]


# ---------------------------------------------------------------- damage


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """A file that was cut off, overwritten in places, or filled with another's end; never the file itself."""
    while True:
        made = bytearray(data)
        kind = rng.integers(5)
        at = int(rng.integers(len(made)))
        if kind == 0:
            made = made[:at]
        elif kind == 1:
            for k in rng.integers(len(made), size=int(rng.integers(1, 9))):
                made[k] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            made[at : at + int(rng.integers(1, 64))] = rng.bytes(int(rng.integers(1, 64)))
        elif kind == 3:
            made += rng.bytes(int(rng.integers(1, 64)))
        else:
            made[at:] = bytes(len(made) - at)
        if bytes(made) != data:
            return bytes(made)


def put(path: Path, data: bytes) -> None:
    """Another file in its place: what a process has loaded of the old one stays as it was."""
    made = path.with_name(".made")
    made.write_bytes(data)
    made.replace(path)


def test_damaged_libraries(project, tmp_path):
    """600 damaged manifests and libraries: an error that says what to do, and no other."""
    folder = copy_of(project, tmp_path)
    good = adc.load(folder)
    rng = np.random.default_rng(7)
    whole = {p: p.read_bytes() for p in (folder / manifest.NAME, folder / "libshapes.so")}
    for k in range(600):
        path = list(whole)[k % 2]
        put(path, damage(whole[path], rng))
        with pytest.raises(ArtifactError, match="instead: build it again with adc build") as e:
            adc.load(folder)
        assert "damaged" in str(e.value)
        put(path, whole[path])
    assert adc.load(folder) is good
    seal, data = good._content
    for k in range(50):
        with pytest.raises(ArtifactError):
            from_content(*((damage(seal, rng), data) if k % 2 else (seal, damage(data, rng))))


def test_damaged_cache_entries(shapes, monkeypatch, tmp_path):
    """400 damaged kernels and stored programs: each is taken away, never used; what is made anew is right."""
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path / "cache"))
    f = adc.grad(shapes.root)
    assert abs(f(2.0) - 0.5 / np.sqrt(2.0)) < 1e-12
    rng = np.random.default_rng(8)
    whole = {p: p.read_bytes() for p in sorted((tmp_path / "cache").iterdir()) if p.suffix in (cache.LIBRARY, cache.OBJECT, cache.PROGRAM)}
    assert {p.suffix for p in whole} >= {cache.LIBRARY, cache.PROGRAM}
    leaves, treedef = trees.flatten(((2.0,), {}))
    base = f.base(leaves, treedef, (2.0,), {})
    for k in range(400):
        path = list(whole)[k % len(whole)]
        put(path, damage(whole[path], rng))
        key = path.stem
        if path.suffix == cache.PROGRAM:
            assert stored.load(f, f.signature(base, [2.0], (), False, ((),)), lambda: None) is None
        else:
            assert cpu.from_cache(key) is None
        assert not path.exists(), "a damaged entry stays"
        put(path, whole[path])
    for path in whole:
        put(path, damage(whole[path], rng))
    f.table.clear()
    cpu._loaded.clear()
    assert abs(f(2.0) - 0.5 / np.sqrt(2.0)) < 1e-12


def test_entries_of_another_version(shapes, monkeypatch, tmp_path):
    """A stored program whose seal is right and whose content is another version's is made anew."""
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path / "cache"))
    f = adc.grad(shapes.scaled)
    want = f(np.ones(3)).tolist()
    for content in (b"", b"\x80\x05N.", pickle.dumps((1, 2, 3)), pickle.dumps(tuple(range(7))), b"not a pickle"):
        for path in (tmp_path / "cache").glob(f"*{cache.PROGRAM}"):
            cache.store(path.stem, cache.PROGRAM, content)
        f.table.clear()
        assert f(np.ones(3)).tolist() == want


def test_damaged_records_are_made_anew(tmp_path, monkeypatch):
    """What `adc build` keeps of a function: a damaged record or object is built again."""
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "kept.py").write_text("def f(x):\n    return x * x\n")
    rng = np.random.default_rng(9)

    def once():
        forget("kept")
        (result,) = build(plans([(None, make_spec("kept.py:f", sig="float"))], tmp_path / "build"), tmp_path)
        return result

    try:
        assert once().built == ["f_grad"]
        library = (tmp_path / "build" / "kept" / "libkept.so").read_bytes()
        for path in sorted((tmp_path / "cache").iterdir()):
            put(path, damage(path.read_bytes(), rng))
            once()
            assert (tmp_path / "build" / "kept" / "libkept.so").read_bytes() == library
        assert once().built == []
    finally:
        forget("kept")


def test_type_of_what_is_returned(built):
    assert isinstance(built, Library)
