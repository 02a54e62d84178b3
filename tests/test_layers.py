"""The order of the rooms: a package imports only from packages on its left; files stay short enough to read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "adc"
ORDER = ["errors", "ir", "ops", "frontend", "transform", "optimize", "lower", "emit", "backend", "api", "interop", "artifact", "testing", "cli"]
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem in ORDER)
LONGEST = 500


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[tuple[str, int]]:
    """(room, line) of every import of adc, also inside functions and strings of type checking."""
    found: set[tuple[str, int]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(a.name.split(".")[1], node.lineno) for a in node.names if a.name.startswith("adc.")}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "adc":
            parts = node.module.split(".")
            found |= {(parts[1], node.lineno)} if len(parts) > 1 else {(a.name, node.lineno) for a in node.names if a.name in ORDER}
    return found


def test_every_room_stands_in_the_order():
    assert {room(p) for p in FILES} == set(ORDER)
    line = next(line for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines() if line.strip().startswith("errors →"))
    written = [w for w in line.replace("→", " ").split()]
    assert written == [r for r in ORDER if r in written], "docs/architecture.md tells another order"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_left(path):
    mine = ORDER.index(room(path))
    for other, line in imported(ast.parse(path.read_text(encoding="utf-8"))):
        assert other in ORDER, f"{path}:{line} imports adc.{other}"
        assert ORDER.index(other) <= mine, f"{path}:{line}: {room(path)} imports from {other}, which is on its right"


def test_files_are_short():
    long = {str(p.relative_to(ROOT)): n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text(encoding="utf-8").splitlines())) > LONGEST}
    assert not long, f"longer than {LONGEST} lines: {long}"


def test_every_file_says_what_it_is():
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"
