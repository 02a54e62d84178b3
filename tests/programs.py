"""Random small programs: loops, branches, stores, slices, views, swaps; as source text.

`program(draw)` gives the text of `f(x, y, n)`: x and y are float arrays of one length, n a small int.
Values stay bounded (every product goes through sin or tanh), so differences are accurate.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

_FOLDER = Path(tempfile.mkdtemp(prefix="adc_programs_"))


class _Writer:
    def __init__(self, draw: Callable[..., Any]):
        self.draw = draw
        self.lines: list[str] = []
        self.arrays = ["a", "b"]
        self.scalars = ["s", "t"]
        self.loops: list[str] = []
        self.serial = 0

    def pick(self, items: Any) -> Any:
        return self.draw(st.sampled_from(list(items)))

    def index(self) -> str:
        options = ["0", "-1", "1", "2"]
        for i in self.loops:
            options += [i, f"-1 - {i}", f"({i} + 1) % len(x)"]
        return self.pick(options)

    def scalar(self, depth: int = 2) -> str:
        kind = self.draw(st.integers(0, 9 if depth else 3))
        if kind == 0:
            return self.pick(["0.5", "-1.25", "2.0", "0.1"])
        if kind in (1, 2):
            return self.pick(self.scalars)
        if kind == 3:
            return f"{self.pick(self.arrays)}[{self.index()}]"
        if kind in (4, 5):
            return f"({self.scalar(depth - 1)} {self.pick('+-')} {self.scalar(depth - 1)})"
        if kind == 6:
            return f"np.sin({self.scalar(depth - 1)} * {self.scalar(depth - 1)})"
        if kind == 7:
            return f"np.tanh({self.scalar(depth - 1)})"
        if kind == 8:
            return f"np.{self.pick(['sum', 'mean'])}({self.array(depth - 1)})"
        return f"{self.scalar(depth - 1)} / (1.5 + np.cos({self.scalar(depth - 1)}) ** 2)"

    def array(self, depth: int = 2) -> str:
        kind = self.draw(st.integers(0, 7 if depth else 1))
        if kind in (0, 1):
            return self.pick(self.arrays)
        if kind == 2:
            return f"({self.array(depth - 1)} {self.pick('+-')} {self.array(depth - 1)})"
        if kind == 3:
            return f"np.sin({self.array(depth - 1)} * {self.scalar(depth - 1)})"
        if kind == 4:
            return f"np.tanh({self.array(depth - 1)} * {self.array(depth - 1)})"
        if kind == 5:
            return f"{self.pick(self.arrays)}[::-1]"
        if kind == 6:
            return f"np.where({self.array(depth - 1)} > {self.scalar(depth - 1)}, {self.array(depth - 1)}, 0.3)"
        return f"({self.array(depth - 1)} + {self.scalar(depth - 1)})"

    def block(self, depth: int, indent: int) -> None:
        for _ in range(self.draw(st.integers(1, 3))):
            self.stmt(depth, indent)

    def say(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def stmt(self, depth: int, indent: int) -> None:
        kind = self.draw(st.integers(0, 11 if depth else 6))
        a = self.pick(self.arrays)
        if kind == 0:
            self.say(indent, f"{self.pick(self.scalars)} = {self.scalar()}")
        elif kind == 1:
            self.say(indent, f"{self.pick(self.scalars)} {self.pick(['+=', '-='])} {self.scalar()}")
        elif kind == 2:
            self.say(indent, f"{a} = {self.array()} * 1.0")
        elif kind == 3:
            self.say(indent, f"{a}[{self.index()}] {self.pick(['=', '+='])} {self.scalar()}")
        elif kind == 4:
            s = self.pick([("1:", ":-1"), (":-1", "1:"), ("::2", "::2"), ("1:-1", ":-2"), (":2", "-2:")])
            other = self.pick(self.arrays)
            self.say(indent, f"{a}[{s[0]}] = np.sin({other}[{s[1]}] * {self.scalar(1)}) + {a}[{s[0]}]")
        elif kind == 5:
            self.say(indent, "a, b = b, a")
        elif kind == 6:
            self.say(indent, f"v = {a}[{self.pick(['1:', ':-1', '::-1'])}]")
            self.say(indent, f"{a}[{self.index()}] = {self.scalar(1)}")
            self.say(indent, f"v[0] += {self.scalar(1)}")
            self.say(indent, "s = s + np.sin(v[1])")
        elif kind in (7, 8):
            i = f"i{self.serial}"
            self.serial += 1
            self.say(indent, f"for {i} in {self.pick(['range(n)', 'range(len(x))', 'range(len(x) - 1, 0, -1)'])}:")
            self.loops.append(i)
            if self.draw(st.integers(0, 3)) == 0:
                self.say(indent + 1, f"if {self.scalar(1)} > 0.4:")
                self.say(indent + 2, self.pick(["break", "continue"]))
            self.block(depth - 1, indent + 1)
            self.loops.pop()
        elif kind == 9:
            self.say(indent, f"if {self.scalar(1)} > {self.scalar(1)}:")
            self.block(depth - 1, indent + 1)
            if self.draw(st.booleans()):
                self.say(indent, "else:")
                self.block(depth - 1, indent + 1)
        elif kind == 10:
            k = f"k{self.serial}"
            self.serial += 1
            self.say(indent, f"{k} = 0")
            self.say(indent, f"while {k} < 3 and {self.scalar(1)} < 0.9:")
            self.block(depth - 1, indent + 1)
            self.say(indent + 1, f"{k} += 1")
        else:
            self.say(indent, f"if {self.scalar(1)} > 1.4:")
            self.say(indent + 1, f"return {self.scalar(1)} + np.sum(a)")


@st.composite
def programs(draw: Callable[..., Any]) -> str:
    w = _Writer(draw)
    w.say(0, "import numpy as np\n\n")
    w.say(0, "def f(x, y, n):")
    w.say(1, "a = x * 1.0 + 0.0 * y")
    w.say(1, "b = np.cos(y)")
    w.say(1, "s = x[0] * y[1]")
    w.say(1, "t = np.sum(x)")
    w.block(2, 1)
    w.block(2, 1)
    w.say(1, "return np.sum(a * b) + s * t")
    return "\n".join(w.lines) + "\n"


def load(text: str) -> Callable[..., Any]:
    """The function `f` of a program text, from a real file (adc reads source)."""
    name = f"program_{abs(hash(text)):x}"
    path = _FOLDER / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.f
