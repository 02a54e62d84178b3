"""What the pages say is what adc does.  `pytest --update-golden` writes the printed blocks and made pages anew."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import adc
from adc.cli import docs
from tests.doc_run import BLOCK, blocks

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/tour.md", "docs/add_a_primitive.md", "docs/build.md", "docs/sparse.md", "docs/design/checkpoints.md")


def outputs(page: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-m", "tests.doc_run", str(page)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", PAGES)
def test_blocks_print_what_the_page_says(name, request):
    page = ROOT / name
    printed = iter(outputs(page))
    found = blocks(page.read_text(encoding="utf-8"))
    expected: list[str] = []
    for k, (language, _) in enumerate(found):
        if language == "python":
            text = next(printed)
            assert bool(text) == (k + 1 < len(found) and found[k + 1][0] == "text"), f"block {k} of {name} prints {text!r}"
            expected += [text] if text else []
    if request.config.getoption("--update-golden"):
        rest = iter(expected)
        text = BLOCK.sub(lambda m: f"```text\n{next(rest)}\n```" if m[1] == "text" else m[0], page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
    said = [content.rstrip() for language, content in blocks(page.read_text(encoding="utf-8")) if language == "text"]
    for want, have in zip(expected, said, strict=True):
        assert want == have


def test_made_pages_are_current(request):
    if request.config.getoption("--update-golden"):
        docs.write()
    # in a process of its own: other tests register primitives
    code = "from adc.cli.docs import pages\nassert all(p.read_text(encoding='utf-8') == t for p, t in pages().items()), 'run python -m adc.cli.docs'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_message_is_on_the_page():
    page = docs.errors_page()
    assert all(f"### `{code}`" in page for code in adc.errors.MESSAGES)
    assert "{" not in page.split("## The messages")[1]


def kinks() -> list[tuple[str, str, str]]:
    page = (ROOT / "docs" / "supported.md").read_text(encoding="utf-8")
    table = page.split("| expression | x | derivative |")[1].split("\n\n")[0]
    return re.findall(r"^\| `(.+)` \| `(.+)` \| `(.+)` \|$", table, re.M)


@pytest.fixture(scope="module")
def kink_functions(tmp_path_factory):
    path = tmp_path_factory.mktemp("kinks") / "kinks.py"
    lines = [f"def f{k}(x): return {e}\n" for k, (e, _, _) in enumerate(kinks())]
    path.write_text("import numpy as np\nfrom scipy import special\n\n" + "\n".join(lines))
    spec = importlib.util.spec_from_file_location("kinks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_kinks():
    assert len(kinks()) > 30


@pytest.mark.parametrize("k", range(len(kinks())), ids=[e for e, _, _ in kinks()])
def test_derivative_at_kink(k, kink_functions):
    _, x, want = (eval(t, {"np": np, "nan": np.nan, "inf": np.inf}) if n else t for n, t in enumerate(kinks()[k]))
    x = np.array(x) if isinstance(x, list) else x
    f = getattr(kink_functions, f"f{k}")
    np.testing.assert_allclose(adc.grad(f, target="numpy")(x), want, rtol=1e-15)
    if k % 4 == 0:  # compiled: each costs half a second
        np.testing.assert_allclose(adc.grad(f, target="cpu")(x), want, rtol=1e-15)


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name} links to {link}"
