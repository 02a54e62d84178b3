"""The page of function and derivative: which lines belong together, what stands in the margin, and the page in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import adc
from adc.cli.html import html_page, units_of
from adc.emit.html import Note, Unit, fragment, groups, highlighted, page

ROOT = Path(__file__).resolve().parents[1]
BROWSER = next((b for b in ("chromium", "chromium-browser", "google-chrome", "chrome") if shutil.which(b)), None)
VOID = {"meta", "br", "link", "img", "input"}


def helper(x, k):
    y = np.sin(x)
    return k * y * y


def main(x):
    total = 0.0
    for k in range(len(x)):
        total = total + helper(x[k], 2.0) * total + x[k]
    return total


class Tree(HTMLParser):
    """Checks that tags close, and collects the rows."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.rows: list[tuple[str, dict]] = []
        self.section = ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "section":
            self.section = attrs["id"]
        if "row" in attrs.get("class", "").split():
            self.rows.append((self.section, attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def keys(self, section):
        return [a["data-k"] for s, a in self.rows if s == section and "data-k" in a]


def parsed(text):
    tree = Tree()
    tree.feed(text)
    assert not tree.open
    return tree


# ---------------------------------------------------------------- from texts


UNITS = [
    Unit("f", "/a/model.py", 5, "def f(x):\n    y = g(x)  # <b>\n    return y * y\n"),
    Unit("g", "/a/other.py", 2, "def g(x):\n    return 'a' if x > 1 else x\n"),
]
ADJOINT = "import numpy as np\n\n\ndef f_grad(x):\n    # g, line 3: return x\n    y = x\n    # line 7: return y * y\n\n    y_bar = y + y\n    return y_bar\n"


def test_groups_are_read_from_the_comments():
    assert groups(ADJOINT, UNITS) == [None, None, None, None, (1, 3), (1, 3), (0, 7), None, (0, 7), (0, 7)]


def test_a_comment_of_a_line_that_is_not_shown_has_no_partner():
    assert groups("def f(x):\n    # line 99: lost\n    return x\n", UNITS) == [None, None, None]


def test_highlighting_keeps_every_line():
    text = 'def f(x):\n    """a\n    b < c"""\n\n    return x\n'
    lines = highlighted(text)
    plain = [re.sub(r"<[^>]+>", "", line) for line in lines]
    assert [p.replace("&lt;", "<").replace("&quot;", '"') for p in plain] == text.splitlines()
    assert all(line.count("<span") == line.count("</span>") for line in lines)


def test_page_is_whole_and_escaped():
    notes = {(0, 7): Note(("3", "3*n"), ("9", "9*n"), (("y<1>", "8 B", 'kept for "f"'),))}
    text = page("f_grad", UNITS, ADJOINT, notes, [("operations", "3", "3*n")])
    tree = parsed(text)
    assert "<b>\n" not in text and "&lt;b&gt;" in text and "y&lt;1&gt;" in text
    assert not re.search(r"https?://|<link|src=", text), "the page must need nothing else"
    assert tree.keys("primal") == ["0-5", "0-6", "0-7", "1-2", "1-3"]
    assert set(tree.keys("adjoint")) == {"0-7", "1-3"}
    assert page("f_grad", UNITS, ADJOINT, notes, [("operations", "3", "3*n")]) == text


# ---------------------------------------------------------------- from programs


@pytest.fixture(scope="module")
def shown():
    return html_page(adc.grad(main), (np.array([0.1, 0.2, 0.3]),))


def test_units_are_the_function_and_what_it_calls():
    gradient = adc.grad(main)
    units = units_of(gradient.built((np.ones(3),), {}))
    assert [u.name for u in units] == ["main", "helper"]
    assert units[0].text.startswith("def main(x):") and units[1].text.rstrip().endswith("k * y * y")


def test_every_line_of_the_adjoint_that_says_where_it_comes_from_has_a_partner(shown):
    tree = parsed(shown)
    left, right = set(tree.keys("primal")), tree.keys("adjoint")
    assert set(right) <= left and len(right) > 10
    assert {k.split("-")[0] for k in right} == {"0", "1"}
    # the lines of imports, sizes and the head have none
    bare = [a for s, a in tree.rows if s == "adjoint" and "data-k" not in a]
    assert 0 < len(bare) < len(right)


def test_margin_shows_operations_and_saved_values(shown):
    explanation = adc.grad(main).explain(np.array([0.1, 0.2, 0.3]))
    rows = re.findall(r'<span class="margin"><span title="[^"]*">([\d,]*)</span><span title="[^"]*">([\d,]*)</span></span></div>', shown)
    totals = [sum(int(n.replace(",", "")) for n in column if n) for column in zip(*rows)]
    assert totals[0] == explanation.primal_operations.number
    assert totals[1] == explanation.operations.number
    saved = sum(len(loop.saved) for loop in explanation.loops)
    assert saved and shown.count("<b title=") == saved
    assert f"{explanation.bytes.number:,} bytes" in shown


def test_types_give_expressions():
    from adc.api.signature import parse_signature

    text = html_page(adc.grad(main), parse_signature("f8[n]"))
    parsed(text)
    assert re.search(r">\d+\*n<", text) and "operations" in text


@pytest.mark.parametrize("name", ["hinge", "newton", "seidel"])
def test_pages_of_kernels(name):
    import importlib

    module = importlib.import_module(f"kernels.{name}")
    assert len(parsed(html_page(adc.grad(module.loss), module.example_inputs())).keys("adjoint")) > 3


def test_fragment_is_highlighted_source():
    text = fragment("def f(x):\n    return np.sin(x) < 3.0  # note\n")
    assert "<script" not in text and "&lt;" in text and "color:" in text and "#000000" not in text


# ---------------------------------------------------------------- in a browser


def browse(page: Path, *options: str) -> str:
    # a user's folder of its own: a browser that is open elsewhere is left alone
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={page.parent / 'profile'}", *options]
    env = {**os.environ, "HOME": str(page.parent)}
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


SCENARIO = """
<script>
const out = [], lit = () => [...document.querySelectorAll(".on")].map(r => r.closest("section").id + " " + r.dataset.k);
const row = document.querySelector('#primal [data-k="KEY"]'), other = [...document.querySelectorAll("#adjoint [data-k]")].find(r => r.dataset.k !== "KEY");
row.dispatchEvent(new Event("mouseenter")); out.push(lit());
row.dispatchEvent(new Event("mouseleave")); out.push(lit());
row.dispatchEvent(new Event("click")); out.push(lit());
other.dispatchEvent(new Event("mouseenter")); out.push(lit());
other.dispatchEvent(new Event("mouseleave")); out.push(lit());
row.dispatchEvent(new Event("click")); row.dispatchEvent(new Event("mouseleave")); out.push(lit());
const box = document.querySelector("main").getBoundingClientRect();
document.body.innerHTML = "<pre id=found>" + JSON.stringify({ out, width: box.width, over: document.documentElement.scrollWidth - innerWidth }) + "</pre>";
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no browser: install chromium to open the page")
def test_in_a_browser(tmp_path):
    import json

    text = html_page(adc.grad(main), (np.array([0.1, 0.2, 0.3]),))
    plain = tmp_path / "page.html"
    plain.write_text(text, encoding="utf-8")
    # a line of the helper, with lines of the forward and of the reverse sweep on the other side
    line = main.__code__.co_firstlineno - 3
    key = f"1-{line}"
    assert text.count(f'data-k="{key}"') > 3
    acting = tmp_path / "acting.html"
    acting.write_text(text.replace("</body>", SCENARIO.replace("KEY", key)), encoding="utf-8")
    dom = browse(acting, "--window-size=1600,950", "--virtual-time-budget=3000", "--dump-dom")
    found = json.loads(re.search(r'<pre id="found">(.*?)</pre>', dom, re.S)[1])
    hovered, left, pinned, elsewhere, back, unpinned = found["out"]
    assert left == unpinned == []
    assert {s.split()[1] for s in hovered} == {key} and {s.split()[0] for s in hovered} == {"primal", "adjoint"}
    assert pinned == back == hovered
    assert elsewhere and key not in {s.split()[1] for s in elsewhere}
    assert found["over"] <= 0, "the page scrolls sideways"
    picture = tmp_path / "page.png"
    browse(plain, "--window-size=1600,950", f"--screenshot={picture}")
    image = pytest.importorskip("matplotlib.image").imread(picture)
    assert image.shape[:2] == (950, 1600)
    # something is drawn in both panes
    assert image[100:600, 50:700, :3].std() > 0.02 and image[100:600, 850:1500, :3].std() > 0.02
