"""Random programs about names: functions inside functions, closures, `nonlocal`, lambdas, loops and comprehensions that hide each other's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import adc
from tests import programs

Draw = Callable[..., Any]
NAMES = ["a", "b", "c", "v"]


class Writer:
    def __init__(self, draw: Draw):
        self.draw = draw
        self.made = 0

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def name(self) -> str:
        return self.pick(*NAMES)

    def expr(self, names: list[str], depth: int = 2, fns: tuple[tuple[str, int], ...] = ()) -> str:
        what = self.draw(st.integers(0, 11)) if depth else 0
        if what == 0:
            return self.pick(*names, "0.5")
        if what < 4:
            return f"np.{self.pick('sin', 'tanh')}({self.expr(names, depth - 1, fns)})"
        if what < 6:
            return f"({self.expr(names, depth - 1, fns)} {self.pick('+', '-', '*')} {self.expr(names, depth - 1, fns)})"
        if what < 8 and fns:
            fn, count = self.pick(*fns)
            return f"{fn}({', '.join(self.expr(names, 1) for _ in range(count))})"
        t = self.name()
        inner = self.expr([*names, t], 1, fns)
        if what == 8:
            return f"sum([{inner} for {t} in {self.pick('x', 'x[1:]', '(0.5, 1.5)')}])"
        if what == 9:
            return f"sum({inner} for {t} in x if {t} > 0.2)"
        if what == 10:
            return f"({self.pick('any', 'all')}({inner} > 0.1 for {t} in x) * 0.5)"
        return f"(lambda {t}: {inner})({self.pick(*names)})"

    def block(self, names: list[str], fns: tuple[tuple[str, int], ...], depth: int, count: int) -> list[str]:
        lines: list[str] = []
        names = list(names)
        for _ in range(count):
            what = self.draw(st.integers(0, 9)) if depth else self.draw(st.integers(0, 3))
            t = self.name()
            if what < 2:
                lines.append(f"{t} = {self.expr(names, 2, fns)}")
                names.append(t)
            elif what == 2:
                lines.append(f"{self.pick(*(n for n in names if n in NAMES))} {self.pick('+=', '*=')} np.tanh({self.expr(names, 1, fns)})")
            elif what == 3:
                fn, self.made = f"g{self.made}", self.made + 1
                lines.append(f"{fn} = lambda {t}: {self.expr([*names, t], 1, fns)}")
                fns = (*fns, (fn, 1))
            elif what < 6:
                lines += [f"for {t} in {self.pick('x', 'x[:2]', 'range(2)', '(0.5, 1.5)')}:", *("    " + s for s in self.block([*names, t], fns, depth - 1, 2))]
            elif what == 6:
                lines += [f"if {self.pick(*names)} > {self.pick('0.3', *names)}:", *("    " + s for s in self.block(names, fns, depth - 1, 2))]
            else:
                fn, self.made = f"f{self.made}", self.made + 1
                params = self.draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))
                seen = [n for n in names if n not in params]
                shared = sorted({n for n in seen if self.draw(st.integers(0, 2)) == 0})
                body = [f"nonlocal {', '.join(shared)}"] * bool(shared) + self.block([*params, *seen], fns, depth - 1, 2)
                lines += [f"def {fn}({', '.join(params)}):", *("    " + s for s in body), f"    return {self.expr([*params, *seen] or ['0.5'], 1, fns)}"]
                fns = (*fns, (fn, len(params)))
        return lines


@st.composite
def scopes(draw: Draw) -> str:
    writer = Writer(draw)
    head = ["import numpy as np", "", "", "def f(x, a):", "    b = x[0]", "    c = 0.4"]
    return "\n".join([*head, *("    " + s for s in writer.block(["a", "b", "c"], (), 2, draw(st.integers(4, 6)))), "    return np.sin(a) + np.sin(b) + np.sin(c)", ""])


@given(scopes())
@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_names(source: str) -> None:
    """The value of Python, or a refusal; and the slope along two directions."""
    try:
        f = programs.load(source)
        x, a = np.array([0.7, -0.4, 0.3, 0.9]), 0.37
        expected = f(x, a)
    except (UnboundLocalError, NameError, SyntaxError, OverflowError):
        assume(False)
    try:
        value, grads = adc.value_and_grad(f, argnums=(0, 1), target="numpy")(x, a)
    except adc.UnsupportedError as e:
        assert "may be used before" in str(e), source  # on a path that this run did not take
        return
    assert value == pytest.approx(expected, rel=1e-10), source
    rng = np.random.default_rng(2)
    for _ in range(2):
        dx, da = rng.normal(size=4), rng.normal()
        there, here, back = (f(x + h * dx, a + h * da) for h in (1e-6, 0.0, -1e-6))
        slope = float(np.sum(grads[0] * dx) + grads[1] * da)
        if abs(there - 2 * here + back) < 1e-9:  # neither a jump nor a bend lies between
            assert slope == pytest.approx((there - back) / 2e-6, rel=1e-3, abs=1e-3), source
