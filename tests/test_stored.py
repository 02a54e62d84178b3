"""A second process calls what a first one compiled; whatever changed in between is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = """
import numpy as np
import adc

SCALE = np.array([1.0, 2.0])
POWER = 2
RATE = 3.0


def helper(x):
    return np.sum(x**POWER)


def make(k):
    def f(x, n):
        for _ in range(n):
            x = x * k
        return helper(x * SCALE) * RATE

    return f


loss = make(1.5)


def total(x):
    assert x[0] > 0, "x must be positive"
    return helper(x)
"""

RUN = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import adc
import model
x = np.array([1.0, 2.0])
out = {"loss": adc.grad(model.loss)(x, 3).tolist(), "again": adc.grad(model.loss)(np.array([1.0, 2.0]), 2).tolist()}
out["total"] = adc.value_and_grad(model.total)(x)[0].item()
try:
    adc.value_and_grad(model.total)(-x)
except adc.CheckError as e:
    out["error"] = str(e)
out["lazy"] = not any(m in sys.modules for m in ("numba", "gast", "adc.frontend", "adc.lower.whole"))
print(json.dumps(out))
"""


def run(folder: Path) -> dict:
    env = {**os.environ, "ADC_CACHE_DIR": str(folder / "cache")}
    env.pop("PYTHONPATH", None)
    done = subprocess.run([sys.executable, "-B", "-c", RUN, str(folder)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def gradient(x, scale, power, rate, k, n):
    return [rate * power * (k**n * s) ** power * v ** (power - 1) for s, v in zip(scale, x, strict=True)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "model.py").read_text()
    assert old in text
    (folder / "model.py").write_text(text.replace(old, new))


def close(got, want):
    assert got == pytest.approx(want, rel=1e-12)


def test_second_process(folder):
    first = run(folder)
    assert not first["lazy"]
    close(first["loss"], gradient([1, 2], [1, 2], 2, 3.0, 1.5, 3))
    second = run(folder)
    assert second.pop("lazy"), "the second process should read nothing but the cache"
    first.pop("lazy")
    assert second == first
    assert "model.py" in second["error"] and "x must be positive" in second["error"]


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        ("POWER = 2", "POWER = 3", {"power": 3}),  # a static global of a callee
        ("RATE = 3.0", "RATE = 5.0", {"rate": 5.0}),  # a float: an input, no new program needed
        ("[1.0, 2.0])", "[2.0, 4.0])", {"scale": [2, 4]}),
        ("make(1.5)", "make(2.5)", {"k": 2.5}),  # a closure value
        ("return np.sum(x**POWER)", "return np.sum(x**POWER) * 2.0", {"rate": 6.0}),  # a callee
        ("x = x * k", "x = x * k * 2.0", {"k": 3.0}),  # the function itself
    ],
)
def test_changes_between_processes(folder, old, new, want):
    run(folder)
    change(folder, old, new)
    facts = {"x": [1, 2], "scale": [1, 2], "power": 2, "rate": 3.0, "k": 1.5, **want}
    got = run(folder)
    close(got["loss"], gradient(**facts, n=3))
    close(got["again"], gradient(**facts, n=2))


def test_damaged_entries_are_made_anew(folder):
    first = run(folder)
    for k, path in enumerate(sorted((folder / "cache").glob("*.adc"))):
        data = bytearray(path.read_bytes())
        if k % 2:
            data = data[: len(data) // 2]
        else:
            data[len(data) // 3] ^= 0xFF
        path.write_bytes(bytes(data))
    again = run(folder)
    assert not again["lazy"]
    assert again["loss"] == first["loss"]
