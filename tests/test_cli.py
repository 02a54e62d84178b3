"""The command: what it prints, plain in a pipe, its exit codes, its errors."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from adc.cli import commands, peaks, peers, targets

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


@pytest.mark.parametrize("stage, words", [("llvm", ["define i64 @adc_kernel", "ret i64"]), ("asm", ["adc_kernel:", "ret"])])
def test_show_machine_code(run, stage, words):
    text = run("show", "kernels.logistic:loss", "--stage", stage)
    assert all(w in text for w in words) and "adc_entry" not in text and "_ZN" not in text
    typed = json.loads(run("show", "kernels.logistic:loss", "--stage", stage, "--sig", "f8[d], f8[n, d], f8[n]", "--json"))
    assert typed["stage"] == stage and words[0] in typed["text"]


def test_show_html(run, tmp_path, model):
    target = tmp_path / "page.html"
    said = run("show", "kernels.seidel:loss", "--argnums", "0,1", "--html", str(target))
    assert "loss_grad" in said and target.read_text().startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".new-")] == []
    assert run("show", f"{model}:loss", "--html", "-").startswith("<!doctype html>")
    assert json.loads(run("show", f"{model}:loss", "--html", str(target), "--json"))["html"] == str(target)


def test_refusals_as_json(run, model):
    found = json.loads(run("show", f"{model}:refused", "--json", code=1).split("UnsupportedError:")[0])
    assert found["error"] == "UnsupportedError"
    assert {d["line"] for d in found["diagnostics"]} == {11} and all(d["instead"] for d in found["diagnostics"])


PEAKS = peaks.Peaks("here", peaks.cores(), {"L1": 32 << 10, "L2": 1 << 20}, {1: 4e10, peaks.cores(): 8e10}, {p: {1: 2e10, peaks.cores(): 4e10} for p in ("L1", "L2", "memory")})


@pytest.fixture
def known_peaks(monkeypatch):
    """No test measures: peaks are numbers that are known."""
    monkeypatch.setattr(peaks, "peaks", lambda again=False: PEAKS)


def test_bench(run, known_peaks, model):
    found = json.loads(run("bench", f"{model}:loss", "--sig", "f8[1000], f8[1000]", "--rounds", "1", "--json"))
    assert found["derivative"] == "loss_value_and_grad" and found["arguments"] == ["float64[1000]", "float64[1000]"]
    for name in ("function", "derivative"):
        t, cost = found["seconds"][name], found["costs"][name]
        assert 0 < t["best"] <= t["median"] and cost["operations"] > 1000
        assert cost["flops"] == pytest.approx(cost["operations"] / t["best"])
        assert cost["of_peak_flops"] == pytest.approx(cost["flops"] / found["peaks"]["flops"])
        assert cost["of_peak_bandwidth"] == pytest.approx(cost["traffic"] / t["best"] / found["peaks"]["bandwidth"])
    assert found["ratio"] == pytest.approx(found["seconds"]["derivative"]["best"] / found["seconds"]["function"]["best"])
    assert found["memory"]["arguments"] == 16000 and found["memory"]["results"] == 8008
    assert found["costs"]["function"]["traffic"] == 16008 and found["peaks"]["place"] == "L1"


def test_bench_table(run, known_peaks):
    text = run("bench", "kernels.logistic:loss", "--size", "40", "--transform", "jacrev", "--rounds", "1")
    assert "derivative / function" in text and "loss_jacobian" in text and "FLOP/s" in text
    assert "f8[5]" not in text and "float64[40, 4]" in text


def test_bench_peers(run, known_peaks):
    found = json.loads(run("bench", "kernels.logistic:loss", "--peers", "numpy,autograd", "--rounds", "1", "--json"))
    assert found["peers"]["numpy"]["function_seconds"] > 0 and "gradient_seconds" not in found["peers"]["numpy"]
    row = found["peers"]["autograd"]
    assert row.get("agrees", True) and (row.get("gradient_seconds", 0) > 0 or "not installed" in row["note"])
    assert "not ready after 1 s" in run("bench", "kernels.logistic:loss", "--peers", "numba", "--peer-limit", "1", "--rounds", "1")


def test_bench_a_peer_that_differs(run, known_peaks, monkeypatch):
    monkeypatch.setattr(peers, "run", lambda name, *a: {"gradient_seconds": 1.0, "agrees": False})
    assert "another gradient" in run("bench", "kernels.logistic:loss", "--peers", "jax", "--rounds", "1", code=1)


@pytest.mark.parametrize(
    "words, message",
    [
        (("--peers", "cray"), "none of numpy"),
        (("--peers", "jax", "--transform", "hessian"), "peers compute gradients"),
        (("--size", "3", "--sig", "f8[3]"), "says the sizes"),
        (("--size", "0"), "0 is not in the range"),
    ],
)
def test_bench_wrong_words(run, words, message):
    assert message in " ".join(run("bench", "kernels.logistic:loss", *words, code=2).split())


def test_size_needs_example_inputs(run, model):
    assert "example_inputs" in run("bench", f"{model}:loss", "--size", "3", code=2)


def test_translated_functions_use_the_other_modules():
    from kernels import lorenz

    other = SimpleNamespace(array=lambda x: ("array", *x), __name__="numpy")
    own = peers.translated(lorenz.loss, {"numpy": other}, None)
    assert own is not lorenz.loss and own.__globals__["slope"].__globals__["np"] is other
    assert lorenz.slope.__globals__["np"] is np


def test_peers_agree_on_numbers():
    assert peers.agree((np.ones(3), 2.0), [np.ones(3), np.array(2.0 + 1e-9)])
    assert not peers.agree((np.ones(3),), [np.ones(3) + 1e-4])
    assert not peers.agree((np.ones(3),), [np.ones(2)]) and not peers.agree(np.ones(3), [])
    assert not peers.agree(np.ones(1), [np.array([np.nan])])


def test_functions_that_store_are_called_with_copies():
    x = np.ones(3)

    def stores(x):
        x[0] += 1.0
        return x[0]

    call = peers.prepare("numpy", stores, (x,), 0)["function"]
    assert call() == call() == 2.0 and x[0] == 1.0


def test_peaks_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path))
    here = dataclasses.replace(PEAKS, processor=peaks.processor())
    calls = []
    monkeypatch.setattr(peaks, "measure", lambda: calls.append(1) or here)
    assert peaks.peaks() == peaks.peaks() == here and len(calls) == 1
    assert peaks.peaks(again=True) == here and len(calls) == 2
    path = tmp_path / peaks.FILE
    for damage in ("", "{}", "[]", path.read_text()[:40], path.read_text().replace(peaks.processor(), "another")):
        path.write_text(damage)
        calls.clear()
        assert peaks.peaks() == here and len(calls) == 1, damage


def test_peaks_are_plausible():
    call, lanes = peaks._multiply_add()
    # x -> 0.999999 x + 1e-6 tends to 1: ten chains from 1, 2, ... 10
    assert call(1) == pytest.approx(sum(0.999999 * (1.0 + j) + 1e-6 for j in range(peaks.CHAINS)), rel=1e-12) and lanes in (2, 4, 8)
    assert peaks.cores() >= 1 and all(size > 1024 for size in peaks.caches().values())
    a, b, c = np.ones(4), np.full(4, 2.0), np.zeros(4)
    peaks._scaled_sum(a, b, c, 0.5, 1)
    assert c.tolist() == [2.0] * 4


def test_doctor(run, known_peaks, monkeypatch):
    found = json.loads(run("doctor", "--json"))
    assert all(row["ok"] for row in found.values()), found
    assert {"numba", "threads", "BLAS of NumPy", "products", "vector math", "CUDA", "cache", "arithmetic", "bandwidth, memory"} <= set(found)
    assert "20.0 GB/s on 1 thread" in found["bandwidth, memory"]["value"]
    assert found["denormals"]["value"] == "kept, as quick as other numbers"
    monkeypatch.setattr(peaks, "peaks", lambda again=False: dataclasses.replace(PEAKS, denormals=28.2))
    assert "28 times as slow" in run("doctor") and "numba" in run("doctor")


def test_doctor_says_what_is_broken(run, monkeypatch):
    def broken(again=False):
        raise OSError("no space left")

    monkeypatch.setattr(peaks, "peaks", broken)
    assert "no space left" in run("doctor", code=1)


def test_cache(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ADC_CACHE_DIR", str(tmp_path / "cache"))
    assert json.loads(run("cache", "info", "--json"))["entries"] == 0
    assert "0 kernels" in run("cache", "info")
    (tmp_path / "cache" / "a.so").write_bytes(b"x" * 100)
    assert json.loads(run("cache", "prune", "--max-mb", "1", "--json")) == {"removed": 0}
    assert json.loads(run("cache", "clear", "--json")) == {"removed": 1}
    assert "0 kernels removed" in run("cache", "clear")


COMMANDS = [(), ("show",), ("check",), ("bench",), ("doctor",), ("demo",), ("cache",), ("cache", "info"), ("cache", "clear"), ("cache", "prune")]


@pytest.mark.parametrize("words", COMMANDS)
def test_help_has_an_example(run, words):
    text = run(*words, "--help")
    assert "Example" in text and "adc " in text


@pytest.mark.parametrize("words", [w for w in COMMANDS if w not in ((), ("demo",), ("cache",))])
def test_every_command_speaks_json(run, words):
    assert "--json" in run(*words, "--help")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell):
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("click asks bash for its version, and there is none")
    code = "from adc.cli.commands import adc; adc(prog_name='adc')"
    env = {**os.environ, "_ADC_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=env)
    assert done.returncode == 0 and "_ADC_COMPLETE" in done.stdout, done.stderr
    result = ShellComplete(commands.adc, {}, "adc", "_ADC_COMPLETE").get_completions(["show"], "--st")
    assert [c.value for c in result] == ["--stage"]


def test_page_of_the_command(request):
    from tests import test_docs

    test_docs.test_blocks_print_what_the_page_says("docs/cli.md", request)


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
