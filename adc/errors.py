"""How adc speaks to its users.

In: a place in the user's source and the name of a message.  Out: an exception that shows file,
line, caret, what is wrong and what to write instead.  Every message stands once, in `MESSAGES`;
`docs/errors.md` is made from that table.

>>> pos = Pos("model.py", 3, 4, 14, "    y = eval(s)", "loss")
>>> print(Diagnostic("no_rule", pos, {"what": "eval"}))
model.py:3:5: adc has no derivative rule for eval
        y = eval(s)
        ^^^^^^^^^^
    instead: write it with NumPy functions that adc knows (docs/supported.md), or give it a rule with adc.custom_vjp
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "MESSAGES",
    "AdcError",
    "ArtifactError",
    "BuildError",
    "CheckError",
    "Diagnostic",
    "LinkError",
    "Pos",
    "ShapeError",
    "SourceError",
    "StageError",
    "TapeError",
    "UnsupportedError",
]


@dataclass(frozen=True, slots=True)
class Pos:
    """A place in the user's source: 1-based line, 0-based columns, the text of the line."""

    file: str
    line: int
    col: int
    end_col: int
    text: str
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col + 1}"

    def excerpt(self) -> str:
        """The line with a caret under the place."""
        stripped = self.text.lstrip()
        indent = len(self.text) - len(stripped)
        start = max(self.col - indent, 0)
        width = max(min(self.end_col, len(self.text.rstrip())) - self.col, 1)
        return f"        {stripped.rstrip()}\n        {' ' * start}{'^' * width}"


# name: (what is wrong, what to write instead)
MESSAGES: dict[str, tuple[str, str]] = {
    "no_rule": (
        "adc has no derivative rule for {what}",
        "write it with NumPy functions that adc knows (docs/supported.md), "
        "or give it a rule with adc.custom_vjp",
    ),
    "syntax": (
        "{what} cannot be differentiated",
        "{instead}",
    ),
    "no_source": (
        "the source of {what} cannot be read",
        "put the function in a file or a notebook cell: adc reads source, it does not trace",
    ),
    "unbound": (
        "{name} may be used before it is assigned",
        "assign {name} before the branch or loop",
    ),
    "carry_type": (
        "{name} is {before} before the loop (line {before_line}) and {after} after one iteration",
        "give {name} its final type and shape before the loop",
    ),
    "branch_type": (
        "{name} is {then} in one branch and {orelse} in the other",
        "make both branches give the same type and shape",
    ),
    "structure": (
        "{name} has another structure in each branch or iteration: {before} and {after}",
        "keep lists, tuples and dicts the same in every branch and iteration; a list may grow by one item in each iteration of a for loop",
    ),
    "shape": ("{what}", "make the shapes agree: NumPy itself would raise here"),
    "type": ("{what}", "{instead}"),
    "static": (
        "{what} must be known when compiling, and this value is computed at run time",
        "use a Python int, a shape, or a default argument",
    ),
    "complex": (
        "complex numbers are not supported",
        "split the computation into real and imaginary parts",
    ),
    "dtype": ("dtype {dtype} is not supported", "convert to float64, float32, an integer or bool"),
    "argument": ("argument {name} is a {what}, which adc cannot pass to compiled code", "{instead}"),
    "not_scalar": (
        "grad needs a function that returns one float scalar, and this one returns {what}",
        "reduce the result (np.sum, np.mean), or use adc.jacrev or adc.vjp",
    ),
    "not_float": (
        "argument {name} has dtype {dtype} and cannot be differentiated",
        "pass floats, or leave it out of argnums",
    ),
    "out_of_bounds": ("index {index} is out of bounds for axis {axis} with size {size}", "check the index"),
    "outside": ("{what}", "check the index, as NumPy would: -n to n - 1 are inside an axis of size n"),
    "assertion": ("{what}", "the condition of this assert or raise was met at run time"),
    "tape_limit": (
        "{what}",
        "raise tape_limit, make the iteration save less (adc.explain shows what), or leave tape_limit out",
    ),
    "recursion": (
        "{what} calls itself to a depth that only the data decide",
        "write the recursion as a loop, or bound its depth by a static argument",
    ),
    "artifact": ("{where}: {what}", "build it again with adc build"),
    "internal": (
        "adc made a mistake here: {what}",
        "please report it with the function; adc refuses rather than guess",
    ),
}


@dataclass(frozen=True)
class Diagnostic:
    """One message about one place."""

    code: str
    pos: Pos | None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return MESSAGES[self.code][0].format(**self.facts)

    @property
    def instead(self) -> str:
        return MESSAGES[self.code][1].format(**self.facts)

    def __str__(self) -> str:
        head = f"{self.pos}: {self.message}" if self.pos else self.message
        middle = f"\n{self.pos.excerpt()}" if self.pos and self.pos.text else ""
        tail = f"\n    instead: {self.instead}" if self.instead else ""
        return head + middle + tail


class AdcError(Exception):
    """Base of everything adc raises on purpose; `.diagnostics` lists every place."""

    def __init__(self, *diagnostics: Diagnostic | str):
        self.diagnostics = tuple(d for d in diagnostics if isinstance(d, Diagnostic))
        super().__init__("\n".join(str(d) for d in diagnostics))


class SourceError(AdcError):
    """The source of a function cannot be found or read."""


class UnsupportedError(AdcError):
    """A construct that adc refuses, with every such place in the function.

    `pinned`: parameters whose values, known when compiling, would make it straight code; `leaf`: what asks for one.
    """

    pinned: frozenset[Any] = frozenset()
    leaf: AdcError | None = None


class ShapeError(AdcError, ValueError):
    """Shapes or dtypes that NumPy would refuse too."""


class CheckError(AdcError):
    """A run-time check of the user's program failed (assert, raise, index out of bounds)."""


class BoundsError(CheckError, IndexError):
    """An index outside its array, found at run time: an IndexError too, as in NumPy."""


class TapeError(CheckError):
    """What the reverse sweep must keep does not fit into `tape_limit`: found when compiling, or at run time where only a run knows the sizes."""


def failed_check(code: str, pos: Pos | None, what: str) -> CheckError:
    """The error of a check that a program makes while it runs."""
    known = {"out_of_bounds": (BoundsError, "outside"), "shape": (CheckError, "shape"), "tape_limit": (TapeError, "tape_limit")}
    kind, message = known.get(code, (CheckError, "assertion"))
    return kind(Diagnostic(message, pos, {"what": what}))


class StageError(AdcError):
    """A stage of the compiler broke its promise: a defect of adc, never of the user."""


class ArtifactError(AdcError):
    """A built library that cannot be used: damaged, of another version, or for another machine."""


class BuildError(AdcError):
    """Functions that could not be built; their libraries are as they were."""


class LinkError(AdcError):
    """A linker refused; its words are in the message."""


def fail(kind: type[AdcError], code: str, pos: Pos | None = None, **facts: Any) -> AdcError:
    """The exception `kind` with one diagnostic; the caller raises it."""
    return kind(Diagnostic(code, pos, facts))
