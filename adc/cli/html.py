"""The page of `adc show --html`: what it shows of a derivative, gathered from the program.

In: a transformation and arguments (or types).  Out: the text of the page (`adc.emit.html` lays it out): the user's
functions as they stand in their files, the adjoint, operations and saved bytes line by line.

    adc show kernels.seidel:loss --html seidel.html
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adc.api import trees
from adc.api.explain import Cost, Explanation, number, operations, sizes_of
from adc.emit.html import Note, Unit, page
from adc.errors import Pos
from adc.ir import Block, Call, Dim, For, Function, If, Op, Sym, Tensor, While, size

Lines = dict[tuple[str, int], Dim]


def html_page(made: Any, args: tuple[Any, ...]) -> str:
    """The page for these arguments; with types in their place costs are expressions in the sizes."""
    build = made.built(args, {})
    units = units_of(build)
    explanation = made.explain(*args)
    values = _values(made, args, build)
    forward, whole = _counted(build.primals[0], values), _counted(build.program, values)
    notes: dict[tuple[int, int], Note] = {}
    for (file, line), cost in {**dict.fromkeys(whole, None), **forward}.items():
        place = next(((k, line) for k, u in enumerate(units) if u.file == file and line in u.lines), None)
        if place is not None:
            notes[place] = Note(_counts(cost), _counts(whole.get((file, line))))
    for place, saved in _saved(explanation, units).items():
        old = notes.get(place, Note())
        notes[place] = Note(old.operations, old.in_derivative, tuple(saved))
    return page(build.name, units, made.source(*args), notes, _facts(explanation))


def _facts(e: Explanation) -> list[tuple[str, str, str]]:
    found = [("operations", *_counts(e.primal_operations, 90)), ("in the derivative", *_counts(e.operations, 90))]
    if e.ratio is not None:
        found.append(("ratio", f"{e.ratio:.1f}", "operations of the derivative for each of the function"))
    kept, full = _counts(e.bytes, 90)
    return [*found, ("kept for the reverse sweep", f"{kept or 0} bytes", full)]


def _counts(cost: Cost | None, room: int = 24) -> tuple[str, str]:
    """(a number, or an expression in the sizes where there is room; the expression in full)"""
    if cost is None or cost.expression == 0:
        return "", ""
    full = str(cost.expression)
    return (f"{cost.number:,}", full) if cost.number is not None else (full if len(full) <= room else "varies", full)


def _saved(e: Explanation, units: list[Unit]) -> dict[tuple[int, int], list[tuple[str, str, str]]]:
    """Values kept, at the line that computes them (or at their loop)."""
    found: dict[tuple[int, int], list[tuple[str, str, str]]] = {}
    for loop in e.loops:
        for kept in loop.saved:
            line = kept.line or loop.line
            place = next(((k, line) for k, u in enumerate(units) if line is not None and line in u.lines), None)
            if place is not None:
                why = f"{kept.type}: {kept.bytes} bytes, for the reverse of line {loop.line}: {loop.text}"
                found.setdefault(place, []).append((kept.name or "a value", f"{_counts(kept.bytes)[0]} B", why))
    return found


# ---------------------------------------------------------------- the user's functions


def units_of(build: Any) -> list[Unit]:
    """The functions whose lines the program comes from, the differentiated one first."""
    places = [p for fn in (*build.primals, build.program) for p in _positions(fn)]
    main = build.primals[0].pos or next(iter(places), None)
    found: list[Unit] = []
    for file in dict.fromkeys(p.file for p in ([main] if main else []) + places):
        lines = sorted({p.line for p in places if p.file == file} | ({main.line} if main and main.file == file else set()))
        found += _functions(file, lines, {p.line: p for p in places if p.file == file})
    if main is not None:
        found.sort(key=lambda u: (u.file != main.file, main.line not in u.lines if u.file == main.file else False))
    return found


def _functions(file: str, wanted: list[int], places: dict[int, Pos]) -> Iterator[Unit]:
    text = linecache.getlines(file)
    try:
        tree: ast.AST | None = ast.parse("".join(text))
    except SyntaxError:
        tree = None  # the file has changed since
    spans = [(n.lineno, n.end_lineno or n.lineno, n.name) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)] if tree else []
    shown: list[tuple[int, int, str]] = []
    for line in wanted:
        around = [s for s in spans if s[0] <= line <= s[1]]
        own = max(around, default=(line, line, places[line].function if line in places else ""))
        if own not in shown:
            shown.append(own)
    for first, last, name in sorted(shown):
        if any(a <= first and last <= b and (a, b, n) != (first, last, name) for a, b, n in shown):
            continue  # a nested function stands in the one around it
        body = "".join(text[first - 1 : last]) or (places[first].text if first in places else "")
        yield Unit(name or Path(file).name, file, first, body, _shown(file))


def _shown(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name


def _positions(fn: Function) -> Iterator[Pos]:
    from adc.ir import walk

    for s in walk(fn.body):
        if s.pos is not None:
            yield s.pos


# ---------------------------------------------------------------- costs, line by line


def _values(made: Any, args: tuple[Any, ...], build: Any) -> list[Any] | None:
    if any(isinstance(x, Tensor) for x in trees.flatten(args)[0]) or not args:
        return None
    _, leaves = made.program(args, {})
    return [*leaves, *(c.get() for c, _ in build.captures)]


def _counted(fn: Function, values: list[Any] | None) -> dict[tuple[str, int], Cost]:
    """Operations of every line of the program."""
    found: Lines = {}
    _count(fn.body, 1, found)
    if values is not None and len(values) != len(fn.params):
        values = None
    known = sizes_of(fn.params, fn.body, values, list(found.values())) if values is not None else {}
    return {place: Cost(d, number(d, known)) for place, d in found.items()}


def _count(block: Block, times: Dim, found: Lines) -> None:
    def add(pos: Pos | None, n: Dim) -> None:
        if pos is not None:
            key = pos.file, pos.line
            found[key] = _sum(found.get(key, 0), _product(times, n))

    for s in block.stmts:
        match s:
            case Op():
                add(s.pos, operations(Block((), (s,), ())))
            case For():
                if s.reduce:
                    add(s.pos, _product(s.count, len(s.reduce)))
                _count(s.body, _product(times, s.count), found)
            case While():
                trips: Dim = size(s.count) if s.count is not None else size(Sym("trips"))
                _count(s.cond, _product(times, trips), found)
                _count(s.body, _product(times, trips), found)
            case If():
                _count(s.then, times, found)
                _count(s.orelse, times, found)
            case Call():
                _count(s.fn.body, times, found)


def _product(a: Dim, b: Dim) -> Dim:
    return size(a) * b if not isinstance(a, int) or not isinstance(b, int) else a * b


def _sum(a: Dim, b: Dim) -> Dim:
    return size(a) + b if not isinstance(a, int) or not isinstance(b, int) else a + b


__all__ = ["html_page", "units_of"]
