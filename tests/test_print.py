"""`print` in user code: the NumPy target prints when the value is there, compiled code refuses."""

import numpy as np
import pytest

import adc


def f(x):
    total = 0.0
    for i in range(2):
        total = total + x[i] ** 2
        print("step", i, total, sep=" | ")
    return total


def test_numpy_target_prints(capsys):
    g = adc.grad(f, target="numpy")
    np.testing.assert_allclose(g(np.array([1.0, 3.0])), [2.0, 6.0])
    assert capsys.readouterr().out == "step | 0 | 1.0\nstep | 1 | 10.0\n"
    assert "print('step'" in g.source()


def test_compiled_code_refuses():
    with pytest.raises(adc.UnsupportedError, match="print in compiled code"):
        adc.grad(f, target="cpu")(np.ones(2))
