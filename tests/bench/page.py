"""docs/benchmarks.md: each script writes its own section, between two marks, and leaves the others alone.

>>> put("example", "## A section\\n", "# Benchmarks\\n")
'# Benchmarks\\n\\n<!-- example: begin -->\\n## A section\\n<!-- example: end -->\\n'
"""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def put(name: str, section: str, text: str) -> str:
    """`text` with the section of this name replaced, or added at the end."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    new = begin + section.rstrip("\n") + "\n" + end
    if begin in text:
        return text.split(begin)[0] + new + text.split(end, 1)[1]
    return text.rstrip("\n") + "\n\n" + new


def write(name: str, section: str, path: Path = PAGE) -> None:
    """Replace a section of the page, under another name first: a run that is cut leaves the page whole."""
    old = path.read_text(encoding="utf-8") if path.is_file() else "# Benchmarks\n"
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(put(name, section, old), encoding="utf-8")
    temporary.replace(path)
