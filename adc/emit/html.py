"""A derivative beside its function as one HTML page, and highlighted source for notebooks.

In: texts: the user's functions with their line numbers, the adjoint's source, what each line costs and keeps.
Out: `page(...)`: a page that needs nothing else (no network, no files): the function left, its adjoint right; the
lines that come from one another light up together.  `fragment(text)`: the source alone, in colours.

    Path("loss.html").write_text(page("loss_grad", units, adjoint, notes, facts))

Which lines belong together is read from the comments that `tidy.Comments` writes above every group of statements.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MARK = re.compile(r"^\s*# (?:(?P<where>.+), )?line (?P<line>\d+): ")
"""A comment of `tidy.Comments`: `# line 7: y = x`, or `# helper, line 7: y = x` for another file's function."""


@dataclass(frozen=True)
class Unit:
    """One function of the user's: where it stands, and its lines."""

    name: str
    file: str
    first: int
    text: str
    place: str = ""
    """The file as readers know it; `file` itself where that is empty."""

    @property
    def lines(self) -> range:
        return range(self.first, self.first + len(self.text.splitlines()))


@dataclass(frozen=True)
class Note:
    """The margin of a line: operations in the function and in the derivative as (text, in full), what is kept as (name, bytes, why)."""

    operations: tuple[str, str] = ("", "")
    in_derivative: tuple[str, str] = ("", "")
    saved: tuple[tuple[str, str, str], ...] = ()


def groups(adjoint: str, units: Sequence[Unit]) -> list[tuple[int, int] | None]:
    """For every line of the adjoint the (unit, line) that it comes from."""
    found: list[tuple[int, int] | None] = []
    now: tuple[int, int] | None = None
    for line in adjoint.splitlines():
        mark = MARK.match(line)
        if mark:
            now = _place(mark["where"], int(mark["line"]), units)
        elif line and not line[0].isspace():
            now = None  # imports and the head of the function
        found.append(now if line.strip() else None)
    return found


def _place(where: str | None, line: int, units: Sequence[Unit]) -> tuple[int, int] | None:
    for k, unit in enumerate(units):
        # without a name the line is of the first function's file
        mine = unit.file == units[0].file if where is None else where in (unit.name, unit.file)
        if mine and line in unit.lines:
            return k, line
    return None


# ---------------------------------------------------------------- colours


def highlighted(text: str) -> list[str]:
    """Every line of Python source as HTML with the classes of Pygments."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    made = highlight(text, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True))
    return str(made).split("\n")[: len(text.splitlines())]


def fragment(text: str) -> str:
    """Highlighted source for `_repr_html_`: colours inline, readable on light and on dark."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    style = "padding: .5em; line-height: 1.35; overflow-x: auto; background: transparent"
    made = highlight(text, PythonLexer(), HtmlFormatter(noclasses=True, style="xcode", nobackground=True, prestyles=style))
    # black text is the page's own colour, whatever its theme
    return str(made).replace("color: #000000", "color: inherit")


# ---------------------------------------------------------------- the page


def page(title: str, units: Sequence[Unit], adjoint: str, notes: Mapping[tuple[int, int], Note], facts: Sequence[tuple[str, str, str]]) -> str:
    """The whole page.

    `units[0]` is the function itself, the others are helpers; `notes` has (unit, line) -> margin; `facts` are for the
    head: (name, text, in full), such as ("kept", "8,000 bytes", "8*n bytes").
    """
    left = "\n".join(_unit(k, unit, notes) for k, unit in enumerate(units))
    keys = groups(adjoint, units)
    linked = {k for k in keys if k is not None}
    right = "\n".join(_row(n, code, key) for n, (code, key) in enumerate(zip(highlighted(adjoint), keys, strict=True), 1))
    head = "".join(f'<div><dt>{html.escape(name)}</dt><dd title="{html.escape(full)}">{html.escape(value)}</dd></div>' for name, value, full in facts)
    hint = f"{len(linked)} lines of the function have partners: point at one, click to keep it lit"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>{html.escape(title)}</h1><dl>{head}</dl><p>{hint}</p></header>
<main>
<section id="primal" aria-label="function">
{left}
</section>
<section id="adjoint" aria-label="derivative">
<h2>{html.escape(title)} <small>NumPy source, as adc wrote it</small></h2>
<div class="code">
{right}
</div>
</section>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _unit(k: int, unit: Unit, notes: Mapping[tuple[int, int], Note]) -> str:
    rows = []
    for line, code in zip(unit.lines, highlighted(unit.text), strict=True):
        rows.append(_row(line, code, (k, line), notes.get((k, line), Note())))
    heads = '<span class="margin"><span>operations</span><span>in derivative</span></span>'
    name = f"<h2>{html.escape(unit.name)} <small>{html.escape(unit.place or unit.file)}</small>{heads}</h2>"
    return f'{name}\n<div class="code">\n' + "\n".join(rows) + "\n</div>"


def _row(number: int, code: str, key: tuple[int, int] | None, note: Note | None = None) -> str:
    mine = f' data-k="{key[0]}-{key[1]}"' if key is not None else ""
    place = f'{mine} tabindex="0"' if mine else ""
    margin = kept = ""
    if note is not None:
        counts = "".join(f'<span title="{html.escape(full)}">{html.escape(text)}</span>' for text, full in (note.operations, note.in_derivative))
        margin = f'<span class="margin">{counts}</span>'
        saved = "".join(f'<b title="{html.escape(why)}">keeps {html.escape(name)} <i>{html.escape(size)}</i></b>' for name, size, why in note.saved)
        kept = f'\n<div class="saved"{mine}>{saved}</div>' if saved else ""
    return f'<div class="row"{place}><span class="no">{number}</span><code>{code or " "}</code>{margin}</div>{kept}'


STYLE = """
:root { --bg: #fcfcfa; --fg: #23262b; --soft: #6b7280; --rule: #e4e4de; --on: #fff0b8; --mark: #e0a800; --kept: #e3eefc; --kept-fg: #124a8c;
  --key: #8430a8; --str: #2b7a3d; --num: #a3480c; --fn: #1f5fb0; --com: #8a8f98; --bi: #0d7c86 }
@media (prefers-color-scheme: dark) { :root { --bg: #16181c; --fg: #dcdfe4; --soft: #8f96a3; --rule: #2b2f36; --on: #3d3618; --mark: #e0b23a; --kept: #1c2f48;
  --kept-fg: #a9ccf7; --key: #cf96f0; --str: #8fce9b; --num: #eaa677; --fn: #86b8f5; --com: #7d8592; --bi: #6ccbd3 } }
* { box-sizing: border-box }
body { margin: 0; height: 100vh; display: flex; flex-direction: column; background: var(--bg); color: var(--fg); font: 15px/1.5 system-ui, sans-serif }
header { padding: 12px 20px 10px; border-bottom: 1px solid var(--rule); display: flex; flex-wrap: wrap; gap: 4px 32px; align-items: baseline }
h1 { font-size: 19px; margin: 0 } header p { margin: 0; color: var(--soft); flex-basis: 100%; font-size: 13px }
dl { display: flex; flex-wrap: wrap; gap: 2px 26px; margin: 0 } dl div { display: flex; gap: 7px } dt { color: var(--soft) } dd { margin: 0; font-variant-numeric: tabular-nums; max-width: 60vw; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
main { flex: 1; min-height: 0; display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) }
section { overflow: auto; padding: 0 0 40px } section + section { border-left: 1px solid var(--rule) }
h2 { position: sticky; top: 0; z-index: 1; margin: 0; padding: 8px 0 8px 16px; font-size: 14px; background: var(--bg); border-bottom: 1px solid var(--rule); display: flex; gap: 10px; align-items: baseline }
h2 small { color: var(--soft); font-weight: normal; overflow-wrap: anywhere }
.code { padding: 6px 0; font: 13px/1.55 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; min-width: max-content }
.row { display: flex; align-items: stretch; padding-left: 0; border-left: 3px solid transparent; min-width: 100%; background: var(--bg) }
.row code { font: inherit; white-space: pre; tab-size: 4; flex: 1; padding-right: 20px }
.no { width: 46px; padding-right: 12px; text-align: right; color: var(--soft); opacity: .65; user-select: none; flex: none }
.margin { position: sticky; right: 0; display: flex; align-items: center; margin-left: auto; padding: 0 16px 0 12px; background: inherit; color: var(--soft); font-size: 12px; font-weight: normal }
.margin span { width: 92px; padding-left: 10px; text-align: right; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; font-variant-numeric: tabular-nums }
.saved { padding: 0 16px 3px 58px; border-left: 3px solid transparent; background: var(--bg) }
.saved b { display: inline-block; background: var(--kept); color: var(--kept-fg); border-radius: 4px; padding: 0 8px; margin-right: 6px; font-size: 12px; font-weight: normal } .saved i { opacity: .8 }
[data-k] { cursor: pointer } [data-k]:focus { outline: none } .on { background: var(--on) } .on, .pin { border-left-color: var(--mark) }
.k, .kn, .kc, .ow, .kr { color: var(--key) } .s, .s1, .s2, .sd, .sa, .si { color: var(--str) } .mi, .mf, .mh { color: var(--num) } .nf, .nc { color: var(--fn) }
.c1, .c, .ch { color: var(--com); font-style: italic } .nb, .bp { color: var(--bi) }
@media (max-width: 900px) { body { height: auto } main { grid-template-columns: minmax(0, 1fr) } section + section { border-left: 0; border-top: 1px solid var(--rule) } }
"""

SCRIPT = """
const rows = [...document.querySelectorAll("[data-k]")], partners = {};
for (const r of rows) (partners[r.dataset.k] ??= []).push(r);
let pinned = null;
function light(key) {
  for (const r of document.querySelectorAll(".on")) r.classList.remove("on");
  for (const r of partners[key] || []) r.classList.add("on");
}
function pin(row) {
  pinned = pinned === row.dataset.k ? null : row.dataset.k;
  for (const r of rows) r.classList.toggle("pin", r.dataset.k === pinned);
  light(pinned ?? row.dataset.k);
  const here = row.closest("section"), other = (partners[row.dataset.k] || []).find(r => r.closest("section") !== here);
  if (pinned && other) {
    const pane = other.closest("section");
    pane.scrollTo({ top: other.offsetTop - pane.offsetTop - pane.clientHeight / 3, behavior: "smooth" });
  }
}
for (const r of rows) {
  r.addEventListener("mouseenter", () => light(r.dataset.k));
  r.addEventListener("mouseleave", () => light(pinned));
  r.addEventListener("focus", () => light(r.dataset.k));
  r.addEventListener("click", () => pin(r));
  r.addEventListener("keydown", e => { if (e.key === "Enter") pin(r); });
}
"""

__all__ = ["Note", "Unit", "fragment", "groups", "highlighted", "page"]
