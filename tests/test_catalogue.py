"""The catalogue: values and gradients against independent programs, its texts current, and running by themselves."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import adc
from adc.api import trees
from adc.artifact import catalogue
from adc.errors import UnsupportedError
from adc.testing import check_grads, copies
from kernels.reference import independent
from tests.lower_run import run_kernel

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "kernels"
ENTRIES = {e.name: e for e in catalogue.entries(KERNELS)}
NAMES = sorted(ENTRIES)
SMALL = {"gmm": 6, "ba": 6, "lstm": 5, "heston": 5, "lorenz": 12, "newton": 5, "hand": 7, "heat3d": 4, "seidel": 5}
"""Sizes at which plain Python runs a kernel's loops quickly."""


def module(name):
    return importlib.import_module(f"kernels.{name}")


def flat(value):
    return [np.asarray(x) for x in trees.flatten(value)[0]]


def gradient(name, args, target):
    kernel = module(name)
    return adc.value_and_grad(kernel.loss, argnums=kernel.WRT, target=target)(*args)


def agree(found, wanted, rtol=1e-9):
    found, wanted = flat(found), flat(wanted)
    assert [x.shape for x in found] == [x.shape for x in wanted]
    scale = max(float(np.max(np.abs(x), initial=0.0)) for x in wanted)
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w, rtol=rtol, atol=rtol * scale)


def test_what_must_be_there():
    assert {
        "linear", "logistic", "softmax", "hinge", "gmm", "ba", "lstm", "gru", "mlp", "conv", "kmeans", "lorenz", "heston", "seidel", "jacobi", "heat3d",
        "kalman", "gp", "newton", "tiny", "hand",
    } <= set(NAMES)  # fmt: skip
    assert set(independent.ROADS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_value(name):
    kernel = module(name)
    for size in (None, 7):
        args = kernel.example_inputs() if size is None else kernel.example_inputs(size)
        value = kernel.loss(*copies(args))
        assert np.isfinite(value)
        assert float(value) == pytest.approx(float(independent.ROADS[name](np, *copies(args))), rel=1e-10)
        if size is None:
            assert float(value) == pytest.approx(kernel.REFERENCE, rel=1e-10)
        for a, b in zip(flat(args), flat(kernel.example_inputs(*(() if size is None else (size,)))), strict=True):
            np.testing.assert_array_equal(a, b, err_msg="example_inputs is not the same twice")


@pytest.mark.parametrize("target", ["numpy", "cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_gradient(name, target):
    kernel = module(name)
    args = kernel.example_inputs()
    value, found = gradient(name, args, target)
    assert value == pytest.approx(kernel.REFERENCE, rel=1e-10)
    for g, wanted in zip(found, kernel.GRADIENT, strict=True):
        np.testing.assert_allclose(catalogue.digest(g), wanted, rtol=1e-8, atol=1e-10 * wanted[0])
    report = check_grads(kernel.loss, *args, argnums=kernel.WRT, target=target, limit=8)
    assert report, str(report)


@pytest.mark.parametrize("name", NAMES)
def test_both_targets_agree_at_another_size(name):
    args = module(name).example_inputs(9)
    value, found = gradient(name, args, "cpu")
    expected, wanted = gradient(name, args, "numpy")
    assert value == pytest.approx(expected, rel=1e-11)
    agree(found, wanted)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_jax(name):
    pytest.importorskip("jax")
    kernel = module(name)
    for args in (kernel.example_inputs(), kernel.example_inputs(9)):
        value, wanted = independent.gradients(name, args, kernel.WRT)
        assert value == pytest.approx(float(kernel.loss(*copies(args))), rel=1e-10)
        agree(gradient(name, args, "cpu")[1], wanted, 1e-8)


# ---------------------------------------------------------------- the texts


def test_texts_are_current():
    # in a process of its own: other tests register primitives
    code = "import sys\nfrom pathlib import Path\nfrom adc.artifact.catalogue import check\nprint(*check(Path('kernels')), sep='\\n', end='')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stdout, f"{done.stdout}\nread the differences, then run python -m adc.artifact.catalogue"


def test_texts_are_the_same_again():
    for name in ("logistic", "lorenz"):
        assert catalogue.Entry(KERNELS, name).emitted() == catalogue.Entry(KERNELS, name).emitted()


def emitted(name, suffix):
    path = KERNELS / catalogue.EMITTED / f"{name}{suffix}"
    spec = importlib.util.spec_from_file_location(f"emitted_{name}{suffix.replace('.', '_')}", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found, path.read_text(encoding="utf-8")


def small(name):
    return module(name).example_inputs(*((SMALL[name],) if name in SMALL else ()))


@pytest.mark.parametrize("name", NAMES)
def test_numpy_text_runs(name):
    found, text = emitted(name, ".numpy.py")
    imports = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imports <= {"numpy", "scipy", "math"}
    args = small(name)
    with np.errstate(all="ignore"):
        value, *bars = found.loss_value_and_grad(*trees.flatten(copies(args))[0])
    expected, wanted = gradient(name, args, "numpy")
    assert value == pytest.approx(expected, rel=1e-12)
    agree(bars, wanted, 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_cpu_text_runs(name):
    """The loops as plain Python on flat arrays: the file's own text, with the frame that the compiler has for it."""
    found, text = emitted(name, ".cpu.py")
    kernel = ENTRIES[name].kernel
    assert kernel.source.strip() in text and [p.name for p in kernel.parts] == [p.name for p in kernel.parts if hasattr(found, f"run_{p.name}")]
    args = small(name)
    assert "\nimport math\n" in text
    text = text.replace("\nimport math\n", "\nfrom tests.lower_run import NUMPY_MATH as math\n")  # as compiled code, x / 0.0 is inf
    value, *bars = run_kernel(replace(kernel, source=text, parts=(), routines=()), trees.flatten(copies(args))[0])
    expected, wanted = gradient(name, args, "numpy")
    assert float(value) == pytest.approx(expected, rel=1e-11)
    agree(bars, wanted, 1e-9)


def test_page_shows_every_kernel():
    page = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    for name, entry in ENTRIES.items():
        assert f"## {name}\n" in page and entry.adjoint.strip() in page and entry.primal().strip() in page
        assert "In the adjoint: " in entry.text, name
        assert "example_inputs" not in entry.primal() and "REFERENCE" not in entry.primal() and "GRADIENT" not in entry.primal()


# ---------------------------------------------------------------- write and check


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "kernels"
    root.mkdir()
    shutil.copy(KERNELS / "hinge.py", root)
    (root / "other.py").write_text("def helper():\n    return 1\n")
    return root


def test_write_and_check(project):
    said = [str(d) for d in catalogue.check(project)]
    assert said == ["kernels/emitted/hinge.numpy.py is missing", "kernels/emitted/hinge.cpu.py is missing"]
    written = catalogue.write(project)
    assert [p.name for p in written] == ["hinge.numpy.py", "hinge.cpu.py"]
    assert catalogue.check(project) == [] and catalogue.write(project) == []
    assert sorted(p.name for p in (project / "emitted").iterdir()) == ["hinge.cpu.py", "hinge.numpy.py"]

    path = project / "emitted" / "hinge.numpy.py"
    text = path.read_text()
    path.write_text(text.replace("margin < 1.0", "margin < 2.0"))
    line = 1 + [a == b for a, b in zip(text.splitlines(), path.read_text().splitlines())].index(False)
    assert [str(d) for d in catalogue.check(project)] == [f"kernels/emitted/hinge.numpy.py differs from line {line} on"]
    (project / "emitted" / "gone.cpu.py").write_text("")
    assert [str(d) for d in catalogue.check(project)][1:] == ["kernels/emitted/gone.cpu.py belongs to no kernel"]
    assert {p.name for p in catalogue.write(project)} == {"hinge.numpy.py", "gone.cpu.py"}
    assert path.read_text() == text and not (project / "emitted" / "gone.cpu.py").exists()


def test_page_is_made_where_there_is_one(project):
    catalogue.write(project)
    page = project.parent / "docs" / "catalogue.md"
    page.parent.mkdir()
    assert catalogue.check(project) == []
    page.write_text("")
    assert [str(d) for d in catalogue.check(project)] == ["docs/catalogue.md differs from line 1 on"]
    assert catalogue.write(project) == [page]
    assert "## hinge" in page.read_text() and "w_bar" in page.read_text()


def test_nothing_is_written_where_one_is_refused(project):
    catalogue.write(project)
    before = (project / "emitted" / "hinge.numpy.py").read_text()
    (project / "hinge.py").write_text((project / "hinge.py").read_text().replace("margin < 1.0", "margin < 3.0"))
    (project / "broken.py").write_text('def loss(x: "f8[n]"):\n    return eval("x")\n')
    with pytest.raises(UnsupportedError, match="eval"):
        catalogue.write(project)
    assert (project / "emitted" / "hinge.numpy.py").read_text() == before


def test_no_folder(tmp_path):
    with pytest.raises(UnsupportedError, match="no folder"):
        catalogue.check(tmp_path / "kernels")


def test_digest_tells_places_apart():
    a, b = np.array([1.0, 2.0]), np.array([2.0, 1.0])
    assert catalogue.digest(a)[0] == catalogue.digest(b)[0] and catalogue.digest(a)[1] != catalogue.digest(b)[1]
    assert catalogue.digest({"x": a, "y": 3.0}) == catalogue.digest(np.array([1.0, 2.0, 3.0]))
