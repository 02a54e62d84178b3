"""The command: what it prints, plain in a pipe, its exit codes, its errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from adc.cli import commands, targets

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(monkeypatch):
    monkeypatch.chdir(ROOT)

    def call(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(commands.adc, list(words), catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.output

    return call


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "a_model.py"
    path.write_text(
        "import numpy as np\nimport adc\n\n"
        "def loss(w: 'f8[n]', x: 'f8[n]'):\n    return np.sum(w * x) ** 2\n\n"
        "def unknown(w):\n    return w\n\n"
        "def refused(w: 'f8[n]'):\n    with open('f') as f:\n        return np.fft.fft(w)\n\n"
        "@adc.custom_vjp\ndef wrong(x):\n    return x * x\n\n"
        "wrong.defvjp(lambda x: (x * x, x), lambda x, bar: (bar * x,))\n\n"
        "def mistaken(x: float):\n    return wrong(x)\n\n"
        "gradient = adc.grad(loss)\nCONSTANT = 3\n"
    )
    return str(path)


def test_show(run):
    text = run("show", "kernels.logistic:loss", "--sig", "f8[d], f8[n, d], f8[n]")
    assert "def loss_grad(w, X, y):" in text and "\x1b" not in text
    compile(text, "shown", "exec")


def test_show_stages(run):
    assert "function loss_grad" in run("show", "kernels.logistic:loss", "--stage", "ir")
    assert "function loss_grad" in run("show", "kernels.logistic:loss", "--stage", "optimize")
    assert "for " in run("show", "kernels.logistic:loss", "--stage", "kernel")
    assert "operations" in run("show", "kernels.lorenz:loss", "--stage", "explain")
    assert json.loads(run("show", "kernels.lorenz:loss", "--stage", "explain", "--json"))["loops"]


def test_show_transforms(run, model):
    assert "return" in run("show", f"{model}:loss", "--transform", "value_and_grad", "--argnums", "0,1")
    assert "def loss(" in run("show", f"{model}:loss", "--transform", "none")
    assert "loss_grad" in run("show", f"{model}:gradient")
    assert "jacobian" in run("show", f"{model}:loss", "--transform", "jacfwd")
    shown = json.loads(run("show", f"{model}:loss", "--json"))
    assert shown["name"] == "loss_grad" and shown["stage"] == "source"


def test_check(run):
    text = run("check", "kernels.logistic:loss", "--target", "numpy")
    assert "ok" in text and "DIFFERS" not in text
    reports = json.loads(run("check", "kernels.hinge:loss", "--json"))
    assert [r["target"] for r in reports] == ["numpy", "cpu"] and all(r["ok"] for r in reports)


def test_check_with_random_arguments(run, model):
    assert "f8[3]" in run("check", f"{model}:loss", "--target", "numpy")
    assert "f8[4]" in run("check", f"{model}:loss", "--target", "numpy", "--sig", "f8[4], f8[4]", "--argnums", "0")


def test_check_fails(run, model):
    assert "DIFFERS" in run("check", f"{model}:mistaken", "--target", "numpy", code=1)


def test_refusals(run, model):
    text = run("show", f"{model}:refused", code=1)
    assert "UnsupportedError" in text and "a_model.py:11" in text and "instead" in text
    assert "types of w" in run("show", f"{model}:unknown", code=1)
    assert "not a type" in run("show", f"{model}:loss", "--sig", "q8[n]", code=1)


@pytest.mark.parametrize(
    "words, message",
    [
        (("nothing",), "module:function"),
        (("no.such.module:f",), "no module"),
        (("kernels.logistic:f",), "it defines loss"),
        (("nofile.py:f",), "no file"),
        (("kernels.logistic:REFERENCE",), "not a function"),
        (("kernels.logistic:loss", "--argnums", "x"), "list of numbers"),
    ],
)
def test_wrong_words(run, words, message):
    assert message in " ".join(run("show", *words, code=2).split())


def test_argnums_of_a_transformed_function(run, model):
    assert "already" in run("show", f"{model}:gradient", "--argnums", "0", code=2)


def test_doctor(run):
    found = json.loads(run("doctor", "--json"))
    assert all(row["ok"] for row in found.values())
    assert "numba" in run("doctor")


def test_cache(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path / "cache"))
    assert json.loads(run("cache", "info", "--json"))["entries"] == 0
    assert "0 kernels" in run("cache", "info")
    assert "0 kernels removed" in run("cache", "prune", "--max-mb", "1")
    assert "0 kernels removed" in run("cache", "clear")


@pytest.mark.parametrize("words", [(), ("show",), ("check",), ("doctor",), ("demo",), ("cache",), ("cache", "prune")])
def test_help_has_an_example(run, words):
    text = run(*words, "--help")
    assert "Example" in text and "adc " in text


def test_values_for_types():
    from adc.api.signature import parse_signature

    w, X, k, t, flag, s = targets.randomly(parse_signature("f8[d], f8[n, d], int, float, b1[n], 'name'"), 0)
    assert X.shape == (4, 3) and w.shape == (3,) and k == 3 and type(t) is float and flag.dtype == bool and s == "name"


def test_module_entry():
    done = subprocess.run([sys.executable, "-m", "adc", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("adc 0.")


def test_a_terminal_gets_colours(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(ROOT)
    assert commands.console().is_terminal
    result = CliRunner().invoke(commands.adc, ["show", "kernels.logistic:loss"], catch_exceptions=False)
    assert "\x1b[" in result.output
