"""`adc demo`: a selection of the examples, one derivative to read, and what to try next.

In: a console.  Out: text and progress bars; under two minutes.
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import click

SELECTION = (
    ("logistic_four_rows", "Logistic regression, four rows: 100 steps of gradient descent"),
    ("breast_cancer", "Logistic regression, breast cancer: Newton's method with gradient and Hessian"),
    ("moons", "A network of 2-3-2 units on two moons"),
    ("digits", "A network on handwritten digits"),
    ("lorenz", "Lorenz system: the gradient of 3,000 Runge–Kutta steps"),
    ("newton", "Newton iteration: the derivative of a while loop"),
)


def folder() -> Path:
    found = Path(__file__).resolve().parents[2] / "examples"
    if not (found / "digits.py").is_file():
        raise click.ClickException("the examples are not installed with the package: clone the repository and run `make demo` there")
    return found


def load(name: str) -> ModuleType:
    path = folder() / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"adc_example_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(console: Any, selection: tuple[tuple[str, str], ...] = SELECTION) -> None:
    from rich.rule import Rule
    from rich.syntax import Syntax

    def heading(title: str) -> Any:
        return Rule(title, align="left") if console.is_terminal else f"== {title}"

    import adc

    folder()
    for package in ("sklearn", "matplotlib", "tqdm"):
        if importlib.util.find_spec(package) is None:
            raise click.ClickException(f"the demo needs {package}: pip install 'adc[examples]', or run `make demo`")
    start = time.perf_counter()
    for name, title in selection:
        console.print(heading(title))
        began = time.perf_counter()
        load(name).main()
        console.print(f"[dim]{time.perf_counter() - began:.1f} s, examples/{name}.py[/]\n")
    console.print(heading("The derivative that trained the first model"))
    first = load("logistic_four_rows")
    text = adc.value_and_grad(first.loss).source(first.INPUTS[0] * 0.0, first.INPUTS, first.TARGETS)
    console.print(Syntax(text.rstrip(), "python", theme="ansi_dark", background_color="default"))
    console.print(heading("What to try next"))
    console.print(
        "  adc show kernels.seidel:loss --argnums 0,1      the adjoint of an in-place solver\n"
        "  adc show kernels.newton:loss --stage kernel     the loops that are compiled\n"
        "  adc check kernels.gmm:loss                      its gradient against differences\n"
        "  docs/tour.md                                    one function through every stage\n"
        '  and your own: adc show model.py:loss --sig "f8[d], f8[n, d], f8[n]"',
        highlight=False, markup=False,
    )  # fmt: skip
    console.print(f"[dim]{time.perf_counter() - start:.0f} s in all[/]")


__all__ = ["run"]
