"""A project to build: its modules, its pyproject.toml, and what its functions give when adc compiles them just in time."""

from __future__ import annotations

import sys
from pathlib import Path

MODEL = '''
from collections import namedtuple
from dataclasses import dataclass

import numpy as np

SCALE = np.array([1.0, 2.0, 3.0])
RATE = 0.5
Pair = namedtuple("Pair", "a b")


@dataclass
class State:
    position: object
    speed: object


def logistic(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def curve(x, t):
    """A vector: three numbers per parameter vector."""
    return np.array([np.sin(x[0]) * x[1], x[1] ** 2 * t, np.exp(x[0])])


def scaled(x):
    """Reads an array and a number from outside."""
    return RATE * np.sum((x * SCALE) ** 2)


def network(params, x):
    hidden = np.tanh(x @ params["W"] + params["b"])
    return np.sum(hidden) ** 2


def checked(x, k):
    assert x[0] > 0, "x must be positive"
    return np.sum(np.log(x)) * x[k]


def pair(p, x):
    return np.sum(p.a * x) * p.b


def moved(state, h):
    return State(state.position + h * state.speed, state.speed * 0.9)


def root(a):
    """Newton's method: how many iterations only the data know."""
    x = a
    step = 1.0
    while abs(step) > 1e-13:
        step = (x * x - a) / (2.0 * x)
        x = x - step
    return x


def positive(x):
    return x[x > 0.0] * 2.0


def single(x, n):
    """float32, and a number of steps."""
    for _ in range(n):
        x = x * np.float32(1.5)
    return np.sum(x * x)


def inner(x, y):
    return np.dot(x, y) + x[0]


def many(x, flag, n):
    """Every kind of number as an argument and as a result."""
    return np.where(flag, x, -x), x > 0.0, n + 1, np.sum(x) * n
'''

PYPROJECT = """
[tool.adc.build]
levels = ["baseline", "x86-64-v3"]
static = true
functions = [
  { function = "shapes:logistic", sig = ["f8[d], f8[n, d], f8[n]", "f8[d], f8[1, d], f8[1]"], transform = "value_and_grad", name = "logistic_vg" },
  { function = "shapes:logistic", sig = "f8[d], f8[n, d], f8[n]", transform = "hessian", name = "logistic_hessian" },
  { function = "shapes:logistic", sig = "f8[d], f8[n, d], f8[n]", transform = "hvp", name = "logistic_hvp" },
  { function = "shapes:curve", sig = "f8[2], float", transform = "jacobian", name = "curve_jacobian" },
  { function = "shapes:curve", sig = "f8[2], float", transform = "jacfwd", wrt = [0, 1], name = "curve_jacfwd" },
  { function = "shapes:curve", sig = "f8[2], float", transform = "jvp", wrt = [1, 0], name = "curve_jvp" },
  { function = "shapes:curve", sig = "f8[2], float", transform = "vjp", wrt = [0, 1], name = "curve_vjp" },
  { function = "shapes:curve", sig = "f8[2], float", transform = "primal" },
  { function = "shapes:scaled", sig = "f8[3]", transform = "value_and_grad", name = "scaled_vg" },
  { function = "shapes:network", sig = "{'W': f8[n, m], 'b': f8[m]}, f8[n]", transform = "grad", name = "network_grad" },
  { function = "shapes:checked", sig = "f8[n], int", transform = "grad", name = "checked_grad" },
  { function = "shapes:root", sig = "float", transform = "value_and_grad", name = "root_vg" },
  { function = "shapes:positive", sig = "f8[n]", transform = "primal", name = "positive" },
  { function = "shapes:single", sig = "f4[n], int", transform = "grad", name = "single_grad" },
  { function = "shapes:inner", sig = "f8[n], f8[m]", transform = "grad", name = "inner_grad", wrt = [0, 1] },
  { function = "shapes:many", sig = "f8[n], bool, int", transform = "primal", name = "many" },
]
"""


def write_project(folder: Path) -> Path:
    """The project's folder, ready for `adc build`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shapes.py").write_text(MODEL)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    return folder


def forget(*names: str) -> None:
    """Modules of a project in a temporary folder, which the next test imports anew."""
    for name in names:
        sys.modules.pop(name, None)
