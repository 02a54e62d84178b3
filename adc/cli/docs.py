"""The pages that are made from tables: docs/errors.md, and the operations in docs/supported.md.

In: `adc.errors.MESSAGES` and the registry of operations.  Out: text.  `tests/test_docs.py` checks that the files are current.

    python -m adc.cli.docs            writes them
"""

from __future__ import annotations

import string
from collections import defaultdict
from pathlib import Path
from typing import Any

from adc.errors import MESSAGES

BEGIN, END = "<!-- operations -->\n", "<!-- end of operations -->"
HEAD = """# Errors

Everything that adc raises on purpose is an `adc.AdcError`:

| kind | when |
|---|---|
| `adc.UnsupportedError` | before anything runs: a construct that adc refuses, every such place of the function in one error |
| `adc.ShapeError` (also a `ValueError`) | shapes that NumPy would refuse too, while compiling or at a call |
| `adc.SourceError` | the source of a function cannot be read |
| `adc.CheckError` | at run time: an `assert`, a `raise` or an index out of bounds in your function |
| `adc.BoundsError` | the `CheckError` of an index out of bounds; also an `IndexError` |
| `adc.BuildError` | functions that `adc build` could not build, with file and line; their libraries are as they were |
| `adc.ArtifactError` | a built library that is damaged, of another version, or for another machine |
| `adc.StageError` | a defect of adc: please report it |

An error shows the place and what to write instead; `.diagnostics` has its parts:

    model.py:3:5: adc has no derivative rule for eval
            y = eval(s)
            ^^^^^^^^^^
        instead: write it with NumPy functions that adc knows (docs/supported.md), or give it a rule with adc.custom_vjp

## The messages

Made from `adc.errors.MESSAGES` by `python -m adc.cli.docs`; words in italics are filled in.

"""


def filled(template: str) -> str:
    """A message with its blanks in italics."""
    return "".join(text + (f"*{name}*" if name else "") for text, name, _, _ in string.Formatter().parse(template))


def errors_page() -> str:
    rows = [f"### `{code}`\n\n{filled(what)}.\n\nInstead: {filled(instead)}.\n" for code, (what, instead) in sorted(MESSAGES.items())]
    return HEAD + "\n".join(rows)


def names() -> dict[str, set[str]]:
    """Everything that has a meaning in differentiated code, by the module that users find it in."""
    import builtins
    import math
    import operator

    import numpy as np
    import scipy.special

    import adc.api.functions  # noqa: F401  (its rules are operations too)
    from adc.frontend.builtin_calls import _TABLE as BUILTINS
    from adc.ops import registry

    found: dict[str, set[str]] = defaultdict(set)
    registry.lookup(scipy.special.expit)  # modules that adc names without importing them are looked into now
    known = {key: obj for key, (obj, _) in registry._ANSWERS.items()} | {id(obj): obj for obj in BUILTINS}
    places: list[tuple[str, Any]] = [("np", np), ("np.linalg", np.linalg), ("special", scipy.special), ("math", math), ("builtins", builtins), ("operator", operator)]
    for prefix, module in places:
        for name in dir(module):
            if name.startswith("_"):
                continue
            try:
                obj = getattr(module, name)
            except (AttributeError, DeprecationWarning):
                continue
            if id(obj) in known and known[id(obj)] is obj:
                found[prefix].add(name)
    found["methods"] = set(registry.METHODS)
    return found


TITLES = {
    "np": "`numpy`", "np.linalg": "`numpy.linalg`", "special": "`scipy.special`", "math": "`math`",
    "builtins": "built-in functions", "operator": "`operator`", "methods": "methods and attributes of arrays",
}  # fmt: skip


def operations() -> str:
    found = names()
    return "\n".join(f"**{title}**: {' '.join(f'`{n}`' for n in sorted(found[key]))}\n" for key, title in TITLES.items() if found[key])


def supported_page(text: str) -> str:
    """The page with its list of operations made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{operations()}\n{END}{after}"


def folder() -> Path:
    return Path(__file__).resolve().parents[2] / "docs"


def pages() -> dict[Path, str]:
    """What the files should contain."""
    supported = folder() / "supported.md"
    return {folder() / "errors.md": errors_page(), supported: supported_page(supported.read_text(encoding="utf-8"))}


def write() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
