"""What the front end refuses: the place, the message, and that nothing is left behind."""

from __future__ import annotations

import numpy as np
import pytest

from adc.errors import AdcError, CheckError, SourceError, UnsupportedError
from tests.frontend_run import run

X = np.array([0.3, -0.7, 1.1])


def every_place(x):
    try:
        y = x
    except ValueError:
        y = 2j
    with open("f") as g:
        yield g
    return y


def grows(x, n):
    total = 0.0
    for _ in range(n):
        total = x * 2
    return total


def two_structures(x):
    if x[0] > 0:
        y = [1.0]
    else:
        y = [1.0, 2.0]
    return y


def unbound(x):
    if x.ndim > 5:
        z = 1.0
    return z


def maybe_unbound(x):
    if x[0] > 10:
        z = 1.0
    return z


def run_time_depth(x):
    return x if x < 1 else run_time_depth(x / 2)


def prints(x):
    print(x)
    return x


def store_outside(x):
    CONFIG["a"] = x
    return x


CONFIG = {"a": 1.0}


def reshaped_store(x):
    y = (x * 2).reshape(1, 3)
    y[0, 0] = 1.0
    return y


def ambiguous(x):
    a = x * 1.0
    b = x * 2.0
    if x[0] > 0:
        c = a
    else:
        c = b
    c[0] = 5.0
    return a


def asserts(x):
    assert x[0] > 5, "too small"
    return x


def raises(x):
    if x[0] < 5:
        raise ValueError(f"bad {x[0]}")
    return x


def static_raise(x, mode="a"):
    if mode == "a":
        raise ValueError("mode a")
    return x


def wrong_call(x):
    return every_place(x, 1, 2, 3)


def truth_of_array(x):
    return 1.0 if x > 0 else 2.0


def complex_number(x):
    return x * 1j


@pytest.mark.parametrize(
    ("f", "args", "kind", "text"),
    [
        (every_place, (X,), UnsupportedError, "try statement"), (every_place, (X,), UnsupportedError, "with statement"),
        (every_place, (X,), UnsupportedError, "yield"), (every_place, (X,), UnsupportedError, "complex"),
        (grows, (X, 3), UnsupportedError, "total is f8.* before the loop"), (two_structures, (X,), UnsupportedError, "y has another structure"),
        (unbound, (X,), UnsupportedError, "z may be used before"), (maybe_unbound, (X,), CheckError, "z is used before"),
        (run_time_depth, (3.0,), UnsupportedError, "calls itself"),
        (store_outside, (X,), UnsupportedError, "outside the function"), (reshaped_store, (X,), UnsupportedError, "view or a copy"),
        (ambiguous, (X,), UnsupportedError, "share memory"), (asserts, (X,), CheckError, "too small"), (raises, (X,), CheckError, "bad"),
        (static_raise, (X,), CheckError, "mode a"), (truth_of_array, (X,), UnsupportedError, "ambiguous"),
        (complex_number, (X,), UnsupportedError, "complex"), (eval("lambda x: x"), (X,), SourceError, "cannot be read"), (np.linalg.qr, (X,), AdcError, "qr"),
    ],
)  # fmt: skip
def test_refusals(f, args, kind, text):
    with pytest.raises(kind, match=text) as e:
        run(f, *args)
    if kind is UnsupportedError and f is not run_time_depth and f is not np.linalg.qr:
        assert "^" in str(e.value)


def test_every_place_is_listed():
    with pytest.raises(UnsupportedError) as e:
        run(every_place, X)
    assert len(e.value.diagnostics) == 4


def test_nothing_is_left_behind():
    from adc.ir.build import _state

    with pytest.raises(AdcError):
        run(unbound, X)
    assert not _state.builders and not _state.guards and _state.pos is None
