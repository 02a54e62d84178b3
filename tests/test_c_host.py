"""The C example: built, compiled, run; its numbers against Python's; under valgrind, and from many threads."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import adc
from adc.backend import aot

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "c_host"
pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, ("make", "gcc", "g++"))), reason="no make, gcc or g++"),
    pytest.mark.skipif(aot.machine_here() != "x86_64", reason="levels of x86-64"),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """The example, made in a folder of its own."""
    folder = tmp_path_factory.mktemp("c_host")
    for path in EXAMPLE.iterdir():
        if path.is_file() and path.suffix in ("", ".c", ".cpp", ".h", ".py", ".toml") and not os.access(path, os.X_OK):
            shutil.copy(path, folder)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["make", f"PYTHON={sys.executable}", "CC=gcc", "CXX=g++", "all", "data.txt"], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def data(host):
    rows = np.loadtxt(host / "data.txt", skiprows=1)
    return rows[:, :-1].copy(), rows[:, -1].copy()


@pytest.fixture(scope="module")
def loss(host):
    spec = importlib.util.spec_from_file_location("c_host_model", host / "model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["c_host_model"] = module
    spec.loader.exec_module(module)
    yield module.loss
    del sys.modules["c_host_model"]


def output(*words: str, cwd: Path) -> str:
    # nothing of Python is there for the program
    done = subprocess.run(words, cwd=cwd, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fitted(loss, X, y) -> float:
    """The loss after the program's own steps, by the readable NumPy adjoint."""
    gradient, value = adc.value_and_grad(loss, target="numpy"), None
    w, ahead = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    step = 4.0 * len(X) / np.sum(X * X)
    for s in range(400):
        _, g = gradient(ahead, X, y, 1e-3)
        later = ahead - step * g
        ahead = later + s / (s + 3.0) * (later - w)
        w = later
    value, _ = gradient(w, X, y, 1e-3)
    return float(value)


@pytest.mark.parametrize("program", ["fit", "fit-static"])
def test_folds(host, data, loss, program):
    X, y = data
    text = output(f"./{program}", "data.txt", "4", cwd=host)
    folds = re.findall(r"^fold (\d) loss ([\d.]+) accuracy ([\d.]+)$", text, re.M)
    assert [int(k) for k, _, _ in folds] == [0, 1, 2, 3]
    for k, value, accuracy in folds:
        keep = np.arange(len(X)) % 4 != int(k)
        if k == "0":
            assert float(value) == pytest.approx(fitted(loss, X[keep], y[keep]), abs=1.5e-6)
        assert float(accuracy) > 0.93
    whole = re.search(r"^all loss ([\d.]+) accuracy ([\d.]+)$", text, re.M)
    assert float(whole[1]) == pytest.approx(fitted(loss, X, y), abs=1.5e-6) and float(whole[2]) > 0.97


def test_newton_in_cpp(host, data, loss):
    text = output("./newton", "data.txt", cwd=host)
    steps = re.findall(r"^step (\d+) loss ([\d.]+) gradient (\S+)$", text, re.M)
    assert float(steps[-1][2]) < 1e-8 and len(steps) < 15
    from scipy import optimize

    best = optimize.minimize(lambda w: float(loss(w, *data, 1e-3)), np.zeros(data[0].shape[1]), jac=adc.grad(lambda w: loss(w, *data, 1e-3), target="numpy"), method="BFGS")
    assert float(steps[-1][1]) == pytest.approx(best.fun, abs=2e-6)
    assert re.search(r"^refused: loss_vg: decay must not be negative \(model.py:\d+\)$", text, re.M)


def test_wrong_words(host):
    done = subprocess.run(["./fit", "no such file"], cwd=host, capture_output=True, text=True)
    assert done.returncode == 2 and "usage" in done.stderr


def test_benchmark_runs(host):
    text = output("./benchmark", cwd=host)
    assert re.search(r"saddle_grad [\d.]+ ns", text) and re.search(r"loss_vg [\d.]+ us", text)


@pytest.mark.parametrize("program", ["fit", "newton"])
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind")
def test_no_leaks_and_no_invalid_reads(host, program):
    """Fewer rows: valgrind is slow; every path of the kernels runs all the same (tiles that are full, and the rest)."""
    lines = (host / "data.txt").read_text().splitlines()
    (host / "few.txt").write_text("\n".join([f"150 {lines[0].split()[1]}", *lines[1:151], ""]))
    command = ["valgrind", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=all", "--errors-for-leak-kinds=all", f"./{program}", "few.txt", "2"]
    done = subprocess.run(command, cwd=host, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ERROR SUMMARY: 0 errors" in done.stderr and "no leaks are possible" in done.stderr


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind")
def test_no_races(host):
    lines = (host / "data.txt").read_text().splitlines()
    (host / "fewer.txt").write_text("\n".join([f"60 {lines[0].split()[1]}", *lines[1:61], ""]))
    done = subprocess.run(["valgrind", "--tool=helgrind", "--error-exitcode=9", "./fit", "fewer.txt", "2"], cwd=host, capture_output=True, text=True)
    assert done.returncode == 0 and "ERROR SUMMARY: 0 errors" in done.stderr, done.stderr


def test_python_sees_the_same_library(host, data, loss):
    model = adc.load(host / "build" / "model")
    X, y = data
    value, gradient = model.loss_vg(np.zeros(X.shape[1]), X, y, 1e-3)
    want = adc.value_and_grad(loss, target="numpy")(np.zeros(X.shape[1]), X, y, 1e-3)
    np.testing.assert_allclose(value, want[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, want[1], rtol=1e-10, atol=1e-14)


def test_nothing_is_left_in_the_repository():
    made = {"build", "data.txt", "fit", "fit-static", "newton", "benchmark"}
    ignored = set(EXAMPLE.joinpath(".gitignore").read_text().replace("/", "").split())
    assert made <= ignored
