"""The rim of a grid is done with its rows, where it does not wait for other rows; the same numbers either way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import adc
from tests import programs
from tests.kernel_run import everywhere
from tests.test_elements import agree

RNG = np.random.default_rng(23)


def kernel(f: Any, *args: Any) -> str:
    return adc.value_and_grad(f).kernel_source(*args)


def sweep(u, steps):
    for _ in range(steps):
        new = u.copy()
        c = u[1:-1, 1:-1]
        new[1:-1, 1:-1] = c + 0.1 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * c) - 0.05 * c * c * c
        u = new
    return np.sum(u * u)


def walls(u, steps):
    """Both ends of a row follow what the row has become."""
    n, m = u.shape
    for _ in range(steps):
        new = np.zeros((n, m))
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                new[i, j] = u[i, j] + 0.1 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4.0 * u[i, j]) * u[i, j]
        for i in range(1, n - 1):
            new[i, 0] = new[i, 1]
            new[i, m - 1] = 2.0 * new[i, m - 2]
        for j in range(m):
            new[0, j] = new[1, j]
            new[n - 1, j] = new[n - 2, j]
        u = new
    return np.sum(u * u * u)


def slanted(u, steps):
    """The ends of a row follow the next row, and the one before: nothing to be done together."""
    n, m = u.shape
    for _ in range(steps):
        new = np.zeros((n, m))
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                new[i, j] = u[i, j] + 0.1 * (u[i - 1, j] + u[i + 1, j]) * u[i, j - 1]
        for i in range(1, n - 1):
            new[i, 0] = new[i + 1, 1]
            new[i, m - 1] = new[i - 1, m - 2]
        u = new
    return np.sum(u * u * u)


def before(u, steps):
    """The ends are made first, and the inside looks at them."""
    n, m = u.shape
    for _ in range(steps):
        new = u.copy()
        for i in range(1, n - 1):
            new[i, 0] = 0.5 * u[i, 1] * u[i, 2]
        for i in range(1, n - 1):
            for j in range(1, m):
                new[i, j] = u[i, j] * (0.9 + 0.1 * new[i, 0] + 0.05 * new[i - 1, 0])
        u = new
    return np.sum(u * u)


def planes(u, steps):
    for _ in range(steps):
        new = u.copy()
        c = u[1:-1, 1:-1, 1:-1]
        around = u[:-2, 1:-1, 1:-1] + u[2:, 1:-1, 1:-1] + u[1:-1, :-2, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, 1:-1, :-2] + u[1:-1, 1:-1, 2:]
        new[1:-1, 1:-1, 1:-1] = c + 0.05 * (around - 6.0 * c) - 0.02 * c * c
        u = new
    return np.sum(u * u)


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("f", [sweep, walls, slanted, before], ids=lambda f: f.__name__)
def test_rims_of_planes(f: Any, steps: int) -> None:
    for shape in ((4, 4), (5, 9), (9, 5)):
        agree(f, (0.5 * RNG.normal(size=shape), steps), 0)


def test_rims_of_blocks() -> None:
    for shape in ((3, 3, 3), (4, 5, 6)):
        agree(planes, (0.5 * RNG.normal(size=shape), 3), 0)


def test_columns_are_done_with_their_rows() -> None:
    source = kernel(sweep, RNG.normal(size=(8, 9)), 3)
    parts, main = source[: source.rindex("\ndef ")], source[source.rindex("\ndef ") :]
    forwards, backwards = parts.split("\ndef ")
    assert forwards.count("u_saved[u_saved_row_1 + (u_n0 + 1) * stride") == 3  # two ends, and the inside
    assert backwards.count("u_bar[") == 4  # the ends of a row, and the first and the last row
    for loop in ("for i in range(steps_1):", "for i in range(steps_1 - 1, -1, -1):"):
        step = main[main.index(loop) :]
        assert step[: step.index("run_")].count("range(u_n0") == 0, "a loop over a column alone"


def test_rims_that_wait_for_other_rows_stay_apart() -> None:
    for f in (slanted, before):
        agree(f, (0.5 * RNG.normal(size=(300, 40)), 2), 0)  # large enough for several chunks


def test_every_number_of_threads() -> None:
    u = 0.5 * RNG.normal(size=(300, 301))
    for f in (sweep, walls):
        found = set()
        for n in (1, 2, 3, 8):
            adc.set_num_threads(n)
            value, slope = adc.value_and_grad(f)(u, 3)
            found.add((float(value), slope.tobytes()))
        assert len(found) == 1


def conductivity(k, steps):
    n, m = k.shape
    u = np.ones((n, m))
    for _ in range(steps):
        new = u.copy()
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                east, north = 0.5 * (k[i, j] + k[i, j + 1]), 0.5 * (k[i, j] + k[i + 1, j])
                new[i, j] = u[i, j] + 0.1 * (east * (u[i, j + 1] - u[i, j]) + north * (u[i + 1, j] - u[i, j])) + 0.01
        u = new
    return np.sum(u * u)


def test_what_is_gathered_stays_with_the_workers() -> None:
    """Sums of what another loop of the step has left in the workers' caches: alone they are not worth a job, beside it they are."""
    agree(conductivity, (1.0 + RNG.random((7, 9)), 3), 0)
    source = kernel(conductivity, 1.0 + RNG.random((7, 9)), 3)
    main = source[source.rindex("\ndef ") :]
    back = main[main.index("range(steps_1 - 1, -1, -1)") :]
    assert back.count("run_") == 2 and "for i" not in back[back.index("run_") :]
    found = set()
    k = 1.0 + RNG.random((300, 301))
    for n in (1, 2, 5):
        adc.set_num_threads(n)
        found.add(adc.grad(conductivity)(k, 3).tobytes())
    assert len(found) == 1


ENDS = ["new[i, 0] = {}", "new[i, m - 1] = {}", "new[i, 1] = {}"]
READS = ["u[i, 1]", "u[i - 1, 0]", "new[i, 1]", "new[i, 2]", "new[i + 1, 1]", "new[i - 1, 1]", "u[i + 1, m - 1] * u[i, 2]", "new[i, m - 2]"]


@given(st.lists(st.tuples(st.sampled_from(ENDS), st.sampled_from(READS), st.booleans()), min_size=1, max_size=4))
@settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True)
def test_random_rims(statements: list[tuple[str, str, bool]]) -> None:
    """Loops over the ends of rows, before and after the inside, that look at anything near."""
    loops = [f"        for i in range(1, n - 1):\n            {end.format(read)}\n" for end, read, _ in statements]
    first = "".join(x for x, (_, _, early) in zip(loops, statements, strict=True) if early)
    last = "".join(x for x, (_, _, early) in zip(loops, statements, strict=True) if not early)
    inside = "        for i in range(1, n - 1):\n            for j in range(2, m - 1):\n                new[i, j] = u[i, j] * (0.9 + 0.1 * u[i - 1, j]) + 0.1 * u[i + 1, j - 1]\n"
    text = f"import numpy as np\n\n\ndef f(u, steps):\n    n, m = u.shape\n    for _ in range(steps):\n        new = u.copy()\n{first}{inside}{last}        u = new\n    return np.sum(u * u)\n"
    agree(programs.load(text), (0.5 * RNG.normal(size=(6, 7)), 2), 0)



def test_rows_are_done_with_the_chunks_beside_them() -> None:
    source = kernel(sweep, RNG.normal(size=(8, 9)), 3)
    parts, main = source[: source.rindex("\ndef ")], source[source.rindex("\ndef ") :]
    for part in parts.split("\ndef "):
        assert part.count("if chunk == 0:") == part.count("if chunk == chunks") == 1
    for loop in ("for i in range(steps_1):", "for i in range(steps_1 - 1, -1, -1):"):
        step = main[main.index(loop) :]
        assert "for " not in step[len(loop) : step.index("run_")], "a loop over a row alone"


@pytest.mark.parametrize(("f", "n"), [(sweep, 1), (sweep, 2), *((f, n) for f in (sweep, walls, slanted, before) for n in (3, 4, 7))])
def test_chunks_in_any_order(f: Any, n: int) -> None:
    """Also where the first row is the last one, and where there is nothing between them."""
    everywhere(adc.value_and_grad(f), (0.5 * RNG.normal(size=(n, 6)), 3), f.__name__, None, 1e-9, ("small", "shared"))


ROWS = ["new[0, j] = {}", "new[n - 1, j] = {}", "new[1, j] = {}", "new[n - 2, j] = {}"]
BELOW = ["u[1, j]", "u[0, j]", "u[n - 2, j]", "new[1, j]", "new[n - 2, j]", "new[n - 1, j]", "new[0, j]", "u[n - 1, j] * u[2, j]", "new[0, j - 1]", "new[n - 1, j + 1]"]


@given(st.lists(st.tuples(st.sampled_from(ROWS), st.sampled_from(BELOW), st.booleans()), min_size=1, max_size=4), st.integers(3, 6))
@settings(max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True)
def test_random_rows(statements: list[tuple[str, str, bool]], n: int) -> None:
    """Loops over rows, before and after the inside, that look at anything near."""
    loops = [f"        for j in range(1, m - 1):\n            {end.format(read)}\n" for end, read, _ in statements]
    first = "".join(x for x, (_, _, early) in zip(loops, statements, strict=True) if early)
    last = "".join(x for x, (_, _, early) in zip(loops, statements, strict=True) if not early)
    inside = "        for i in range(1, n - 1):\n            for j in range(2, m - 1):\n                new[i, j] = u[i, j] * (0.9 + 0.1 * u[i - 1, j]) + 0.1 * u[i + 1, j - 1]\n"
    text = f"import numpy as np\n\n\ndef f(u, steps):\n    n, m = u.shape\n    for _ in range(steps):\n        new = u.copy()\n{first}{inside}{last}        u = new\n    return np.sum(u * u)\n"
    everywhere(adc.value_and_grad(programs.load(text)), (0.5 * RNG.normal(size=(n, 7)), 2), text, None, 1e-9, ("small", "serial"))
