"""The everyday programs of the benchmarks, small: their values are Python's, their gradients those of differences and of the NumPy target."""

from __future__ import annotations

import numpy as np
import pytest

import adc
from tests.bench import everyday, programs

SCALE = 0.05


@pytest.mark.parametrize("name", sorted(everyday.PROGRAMS))
def test_value_and_gradient(name):
    f, _ = everyday.PROGRAMS[name]
    args = everyday.arguments(name, SCALE)
    value, bar = adc.value_and_grad(f)(*args)
    np.testing.assert_allclose(value, f(*args), rtol=1e-9)
    np.testing.assert_allclose(bar, adc.grad(f, target="numpy")(*args), rtol=1e-8, atol=1e-10)
    x = args[0]
    along = np.random.default_rng(3).standard_normal(x.shape)
    eps = 1e-6
    slope = (f(x + eps * along, *args[1:]) - f(x - eps * along, *args[1:])) / (2 * eps)
    assert np.sum(bar * along) == pytest.approx(slope, rel=2e-4, abs=1e-6)


def test_the_bench_compares_and_tells(capsys):
    programs.main(["--only", "hidden_states", "--rounds", "1"])
    said = capsys.readouterr().out
    assert "| hidden states |" in said and "in the median of 1 programs" in said


def test_an_unknown_program_is_named(capsys):
    with pytest.raises(SystemExit):
        programs.main(["--only", "nothing"])
    assert "no such program: nothing" in capsys.readouterr().err
