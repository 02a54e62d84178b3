"""The adjoints that adc writes, byte for byte, and executed.  `pytest --update-golden` rewrites them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import adc
from tests import four
from tests.helpers import numeric_gradient

RNG = np.random.default_rng(3)
GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "logistic": (four.logistic, (RNG.normal(size=3), RNG.normal(size=(5, 3)), RNG.integers(0, 2, 5).astype(float)), (0,)),
    "carried": (four.carried, (0.7, 0.4, 5), (0, 1)),
    "seidel": (four.seidel, (RNG.normal(size=6), RNG.normal(size=6), 3), (0, 1)),
    "root": (four.root, (2.0,), (0,)),
}


@pytest.mark.parametrize("name", CASES)
def test_adjoint(name, request):
    f, args, argnums = CASES[name]
    text = adc.grad(f, argnums=argnums, target="numpy").source(*args)
    path = GOLDEN / f"{name}.py"
    if request.config.getoption("--update-golden"):
        path.write_text(text)
    assert text == path.read_text(), "the adjoint changed: read the difference, then run pytest --update-golden"
    assert text == adc.grad(f, argnums=argnums, target="numpy").source(*args), "not deterministic"
    scope: dict[str, object] = {}
    exec(compile(text, str(path), "exec"), scope)
    functions = [v for v in scope.values() if callable(v) and getattr(v, "__module__", None) is None or getattr(v, "__code__", None) is not None]
    assert len(functions) == 1
    got = functions[0](*(a.copy() if isinstance(a, np.ndarray) else a for a in args))  # type: ignore[operator]
    got = got if isinstance(got, tuple) else (got,)
    for k, g in zip(argnums, got, strict=True):
        np.testing.assert_allclose(g, numeric_gradient(f, args, k), rtol=1e-5, atol=1e-7)
