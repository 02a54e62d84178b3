"""The examples print what they promise, and the kernels' gradients are right."""

from __future__ import annotations

import io

import numpy as np
import pytest

from adc.cli import demo


def test_first_gradient(capsys):
    demo.load("first_gradient").main()
    assert "gradient = (5.50, 1.72)" in capsys.readouterr().out


def test_logistic_four_rows(capsys):
    demo.load("logistic_four_rows").main()
    out = capsys.readouterr().out
    assert "initial loss: 2.77258872224" in out
    assert "final loss:   1.06727067579" in out
    assert "[0.48307366 -0.37057217 1.06937395]" in out


def test_svm():
    value, right = demo.load("svm").main(steps=300)
    assert right > 0.94 and value < 3.0


def test_moons(tmp_path):
    value, accuracy = demo.load("moons").main(steps=2000, path=str(tmp_path / "moons.png"))
    assert value < 0.1 and accuracy > 0.96
    assert (tmp_path / "moons.png").stat().st_size > 5000


def test_breast_cancer():
    value, accuracy = demo.load("breast_cancer").main()
    assert accuracy > 0.96 and value == pytest.approx(0.0994823987, rel=1e-6)


def test_digits():
    assert demo.load("digits").main() >= 0.97


def test_lorenz():
    np.testing.assert_allclose(demo.load("lorenz").main(), [10.0, 28.0, 8.0 / 3.0], rtol=1e-6)


def test_newton(capsys):
    slopes = demo.load("newton").main()
    np.testing.assert_allclose(slopes[1], 0.25, rtol=1e-12)
    assert "while" in capsys.readouterr().out


def test_every_example_is_tested():
    names = {p.stem for p in demo.folder().glob("*.py")}
    assert names == {n.removeprefix("test_") for n in globals() if n.removeprefix("test_") in names}


def test_demo_prints_the_adjoint(monkeypatch, tmp_path):
    from rich.console import Console

    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    demo.run(Console(file=out, width=100), demo.SELECTION[:1])
    assert "def loss_value_and_grad" in out.getvalue() and "adc check" in out.getvalue()


@pytest.mark.long
def test_demo_in_full(monkeypatch, tmp_path):
    from rich.console import Console

    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    demo.run(Console(file=out, width=100))
    assert (tmp_path / "moons.png").exists()
