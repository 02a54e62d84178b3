"""Run the Python blocks of a page, in order, in one namespace; print what each one printed as JSON.

    python -m tests.doc_run docs/tour.md
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of every fenced block."""
    return BLOCK.findall(text)


def run(page: Path) -> list[str]:
    scope: dict[str, object] = {"__name__": "page"}
    outputs = []
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        for k, (language, code) in enumerate(blocks(page.read_text(encoding="utf-8"))):
            if language != "python":
                continue
            path = Path(folder) / f"block_{k}.py"  # adc reads source: every block is a file
            path.write_text(code, encoding="utf-8")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, str(path), "exec"), scope)
            outputs.append("\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines()))
    return outputs


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
