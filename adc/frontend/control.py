"""Run-time branches and loops: staging on trial, joining states, carries.

In: thunks that stage the branches or the body.  Out: one `If`, `For` or `While` at the current builder, and
boxes whose contents are its outs.

    self.branch(cond, then, orelse)          both run from the same state; changed boxes are joined
    self.for_loop(count, item, body, ...)    staged until the carries and their types are stable
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adc.errors import AdcError, UnsupportedError, fail
from adc.frontend.base import certain, inside, numpy_op
from adc.frontend.grown import Growing, GrownLists, NeedsUnroll, never_equal
from adc.frontend.scope import EMPTY, Frame, LoopState, Names
from adc.frontend.state import (
    Mismatch,
    Template,
    TGrown,
    THole,
    array_holes,
    equal,
    extract,
    holes,
    join,
    now,
    rebuild,
    template,
)
from adc.frontend.values import UNBOUND, ArrayRef, Box, Broken, Cell, ListBox, NameBox, _serial
from adc.ir import (
    I8,
    Atom,
    Dim,
    For,
    If,
    Lit,
    Op,
    Stmt,
    Tensor,
    Var,
    While,
    blocks,
    building,
    current,
    literal,
    symbols,
)
from adc.ir.build import Builder, _state
from adc.ir.dims import Sym
from adc.ops import ranges

MAX_PASSES = 24


class NeedsWhile(Exception):
    """A `for` whose body may leave early."""


def defined_symbols(stmts: list[Stmt]) -> set[Sym]:
    """Size symbols that the statements define: they mean nothing outside."""
    found: set[Sym] = set()
    todo = list(stmts)
    while todo:
        s = todo.pop()
        if isinstance(s, Op):
            found.update(s.params[k] for k in s.prim.defines)
        elif isinstance(s, While) and s.count is not None:
            found.add(s.count)
        todo.extend(x for b in blocks(s) for x in b.stmts)
    return found


def is_pure(stmts: list[Stmt]) -> bool:
    """May these be run where Python would not (no checks, no loops)?"""
    return all(isinstance(s, Op) and not s.prim.effect for s in stmts)


class Control(GrownLists):
    def __init__(self) -> None:
        super().__init__()
        self.pass_params: set[Var] = set()

    # ------------------------------------------------------------ which boxes matter

    def live(self, box: Box, names: Names | None, frame: Frame) -> bool:
        """May the box be read after a statement with these live names?"""
        if names is None or not isinstance(box, NameBox):
            return True
        own = frame.boxes.get(box.name)
        return own is not box or box.name in names

    def broken(self, box: Box, m: Mismatch, loop: bool, before_line: int = 0) -> Broken:
        name = box.name or "a value"
        if m.structure:
            before, after = (t.replace("a tuple of", "a list of") if isinstance(box, ListBox) else t for t in (m.before, m.after))
            error = fail(UnsupportedError, "structure", self.pos(), name=name, before=before, after=after)
        elif loop:
            error = fail(UnsupportedError, "carry_type", self.pos(), name=name, before=m.before, after=m.after, before_line=before_line, dims=m.dims)
        else:
            error = fail(UnsupportedError, "branch_type", self.pos(), name=name, then=m.before, orelse=m.after)
        return Broken(error)

    # ------------------------------------------------------------ branches

    def branch(
        self,
        cond: Atom,
        then: Callable[[], Any],
        orelse: Callable[[], Any],
        live: Names | None = None,
    ) -> Any:
        """Stage both thunks as the branches of an `If`; returns the joined value of the two."""
        mark = next(_serial)
        pos = self.pos()
        frame = self.frame
        sides = []
        self.conditions.append(cond)
        try:
            for thunk in (then, orelse):
                with building() as b, self.journal.trial() as changes:
                    value = NameBox(thunk(), "")
                sides.append((b, changes, value))
        finally:
            self.conditions.pop()
        (tb, tc, tv), (eb, ec, ev) = sides
        looks = tuple((lambda box, c=c: c.get(box, box.content)) for c in (tc, ec))
        joined: list[tuple[Box, Template | Broken]] = []
        for box in dict.fromkeys((*tc, *ec)):
            if box.serial > mark:
                continue
            if not self.live(box, live, frame):
                joined.append((box, template(UNBOUND)))
                continue
            a, b_ = (template(look(box), look) for look in looks)
            joined.append((box, self.joined(box, a, b_, False)))
        value_template = self.joined(tv, template(tv.content, looks[0]), template(ev.content, looks[1]), False)
        if isinstance(value_template, Broken):
            raise value_template.error
        local = defined_symbols([*tb.stmts, *eb.stmts])
        entries = [*joined, (None, value_template)]
        good: list[tuple[Box | None, Template]] = []
        for box_, t in entries:
            if isinstance(t, Broken) or any(s in local for h, _ in holes(t) for d in h.dims for s in symbols(d)):
                error = t if isinstance(t, Broken) else Broken(fail(UnsupportedError, "static", pos, what=f"the size of {getattr(box_, 'name', '') or 'this array'}"))
                if box_ is None:
                    raise error.error
                self.write(box_, error)
                continue
            good.append((box_, t))
        results = []
        for (b, changes, v), look in zip(sides, looks, strict=True):
            with inside(b), self.journal.trial():
                for box, content in changes.items():
                    self.write(box, content)
                results.append([a for box_, t in good for a in extract(t, look(box_) if box_ is not None else v.content, self.atom, look)])
        types = [(h, n) for box_, t in good for h, n in holes(t, box_.name if box_ is not None else "")]
        outs = tuple(Var(h, n, pos) for h, n in types)
        if outs or tb.stmts or eb.stmts:
            current().add(If(cond, tb.block(tuple(results[0])), eb.block(tuple(results[1])), outs, pos))
        atoms = iter(outs)
        answer: Any = None
        alive: list[tuple[THole, Cell]] = []
        for box_, t in good:
            made: list[Box] = []
            v = rebuild(t, atoms, box_.name if box_ is not None else "", made)
            alive += self.pair_holes(t, made)
            if box_ is None:
                answer = v
            else:
                self.write(box_, v)
        self.relate(alive, mark, False)
        return answer

    def joined(self, box: Box, a: Template, b: Template, loop: bool, before_line: int = 0) -> Template | Broken:
        try:
            return self.cell_template(box, a, b) if isinstance(box, Cell) else join(a, b, getattr(box, "filled", False))
        except Mismatch as m:
            return self.broken(box, m, loop, before_line)

    def cell_template(self, box: Cell, a: Template, b: Template) -> Template:
        """A cell's contents are atoms of one type; a scalar template with dims stands for them."""
        from adc.frontend.state import TPoison, TScalar

        for t in (a, b):
            if isinstance(t, TPoison):
                return t
        return TScalar(Tensor(box.type.dtype, box.type.dims))

    def pair_holes(self, t: Template, made: list[Box]) -> list[tuple[THole, Cell]]:
        cells = [b for b in made if isinstance(b, Cell)]
        return list(zip([h for h in array_holes(t) if isinstance(h, THole)], cells, strict=True))

    def relate(self, alive: list[tuple[THole, Cell]], mark: int, loop: bool) -> None:
        """Merged arrays may share memory with older arrays and with each other: a store to one then forbids
        reading the others."""
        firsts = {_cell(h.refs[0]) for h, _ in alive if h.refs} if loop else set()
        for hole, cell in alive:
            ends = [_cell(r) for r in (hole.refs[:1] + hole.refs[-1:])]
            for c in ends:
                if c is not None and c in self.shared:
                    self.shared[cell] = self.shared[c]
            old = [c for k, c in enumerate(ends) if c is not None and c.serial < mark and (k == 0 or c not in firsts)]
            peers = [
                other
                for h, other in alive
                if other is not cell and any(x is y and x is not None for x, y in zip(ends, (_cell(r) for r in (h.refs[:1] + h.refs[-1:])), strict=False))
            ]
            cell.apart = frozenset(c for _, c in alive if c is not cell and c not in peers)
            cell.sources = tuple((c, c.content) for c in dict.fromkeys([*old, *peers]))

    # ------------------------------------------------------------ loops

    def fixed_point(
        self,
        attempt: Callable[[dict[Box, Template]], tuple[dict[Box, Any], int]],
        keep: Callable[[Box], bool],
        line: int,
        sure: bool,
        growing: Growing | None = None,
    ) -> dict[Box, Template]:
        """The carried boxes with templates that the end of an iteration fits.

        `attempt(templates)` stages the body once, undone, and returns the changed boxes' contents and its mark.
        """
        templates: dict[Box, Template] = {}
        for _ in range(MAX_PASSES):
            changes, mark = attempt(templates)
            look = lambda box: changes.get(box, box.content)
            stable = True
            for box, content in changes.items():
                if box.serial > mark or not keep(box):
                    continue
                before = templates.get(box) or template(box.content)
                after = template(content, look)
                filled = sure and box.content is UNBOUND
                t = self.loop_join(box, before, after, line, filled, content, growing)
                if not equal(t, templates.get(box) or before) or (box not in templates and holes(t)):
                    stable = False
                templates[box] = t
            if stable:
                for box, e in growing.guesses if growing is not None else ():
                    if not isinstance(templates.get(box), TGrown):
                        raise e
                return templates
        raise fail(UnsupportedError, "structure", self.pos(), name="a variable of this loop", before="one value", after="another in every iteration")

    def loop_join(self, box: Box, before: Template, after: Template, line: int, filled: bool, content: Any, growing: Growing | None) -> Template:
        from adc.frontend.state import TPoison

        if isinstance(box, Cell):
            return self.cell_template(box, before, after)
        try:
            if isinstance(box, ListBox) and (grown := self.grow(box, before, after, content, growing)) is not None:
                return grown
            return join(before, after, filled or getattr(box, "filled", False))
        except Mismatch as m:
            if box.content is UNBOUND:
                return TPoison(self.broken(box, m, True, line))
            error = self.broken(box, m, True, line).error
            raise (NeedsUnroll(*error.diagnostics) if m.structure or never_equal(m.dims) else error) from None

    def enter_pass(self, templates: dict[Box, Template], mark: int, index: Var | None = None) -> list[Var]:
        """Put fresh parameters into the carried boxes; inside a journal trial."""
        params: list[Var] = []
        alive: list[tuple[THole, Cell]] = []
        for box, t in templates.items():
            mine = [Var(h, n, self.pos()) for h, n in holes(t, box.name)]
            params += mine
            self.pass_params.update(mine)
            made: list[Box] = []
            v = rebuild(self.at_index(t, index), iter(mine), box.name, made)
            alive += self.pair_holes(t, made)
            self.write(box, v)
        self.relate(alive, mark, True)
        return params

    def ends(self, templates: dict[Box, Template]) -> list[Atom] | Exception:
        """The atoms handed to the next iteration, in the state at its end; what a template that does not fit
        raises is kept, because then there is another pass."""
        try:
            return [a for box, t in templates.items() for a in extract(t, box.content, self.atom, now)]
        except (AdcError, TypeError, AttributeError, IndexError, ValueError) as e:
            return e

    def leave(self, templates: dict[Box, Template], outs: tuple[Var, ...], mark: int, count: Dim | None = None) -> None:
        """The state after the loop."""
        atoms = iter(outs)
        alive: list[tuple[THole, Cell]] = []
        for box, t in templates.items():
            made: list[Box] = []
            v = rebuild(self.after_loop(t, count), atoms, box.name, made)
            alive += self.pair_holes(t, made)
            self.write(box, v)
        self.relate(alive, mark, True)

    def only_outer(self, templates: dict[Box, Template], stmts: list[Stmt]) -> dict[Box, Template]:
        """Sizes defined inside the body cannot be carried."""
        local = defined_symbols(stmts)
        for box, t in list(templates.items()):
            if any(s in local for h, _ in holes(t) for d in h.dims for s in symbols(d)):
                raise fail(UnsupportedError, "static", self.pos(), what=f"the size of {box.name or 'an array'}, which a loop carries,")
        return templates

    def forget_guards(self, n: int) -> None:
        del _state.guards[n:]

    def run_for(
        self,
        count: Dim,
        body: Callable[[Var], None],
        frame: Frame,
        head: Names,
        after: Names,
        flags: Callable[[], tuple[Box, ...]],
        index_hint: str,
        lists: Names = EMPTY,
    ) -> None:
        """A loop of `count` trips; `NeedsWhile` if a flag that ends it may be set.  `lists`: names it appends to."""
        pos = self.pos()
        line = pos.line
        names = head | after
        sure = certain(count, 1)
        guards = len(_state.guards)
        start = next(_serial)

        def keep(box: Box) -> bool:
            return self.live(box, names, frame)

        def one(templates: dict[Box, Template]) -> tuple[Builder, Var, Any, dict[Box, Any], int]:
            self.forget_guards(guards)
            mark = next(_serial)
            index = Var(Tensor(I8, (), True), index_hint, pos)
            with self.journal.trial() as changes:
                params = self.enter_pass(templates, start, index)
                with building(index, *params) as b:
                    ranges.know(index, 0, count - 1)
                    body(index)
                    for flag in flags():
                        if flag.content is not False:
                            raise NeedsWhile
                    results = self.ends(templates)
            return b, index, results, changes, mark

        last: Any = None

        def attempt(templates: dict[Box, Template]) -> tuple[dict[Box, Any], int]:
            nonlocal last
            last = one(templates)
            growing.local = frozenset(defined_symbols(last[0].stmts))
            return last[3], last[4]

        growing = Growing(start, lists, count)
        self.growing.append(growing)
        try:
            templates = self.fixed_point(attempt, keep, line, sure, growing)
        finally:
            self.growing.pop()
        b, index, results, changes, mark = last
        if isinstance(results, Exception):
            raise results
        self.only_outer(templates, b.stmts)
        inits = tuple(a for box, t in templates.items() for a in extract(t, box.content, self.atom, now))
        outs = tuple(Var(h, n, pos) for box, t in templates.items() for h, n in holes(t, box.name))
        current().add(For(count, inits, b.block(tuple(results)), outs, pos=pos))
        self.leave(templates, outs, start, count)

    def run_while(
        self,
        cond: Callable[[], Any],
        body: Callable[[], None],
        frame: Frame,
        head: Names,
        after: Names,
    ) -> None:
        """A loop with a condition staged in its own block."""
        pos = self.pos()
        names = head | after
        guards = len(_state.guards)
        start = next(_serial)

        def one(templates: dict[Box, Template]) -> Any:
            self.forget_guards(guards)
            mark = next(_serial)
            with self.journal.trial():
                params = self.enter_pass(templates, start)
                with building(*params) as cb:
                    flag = self.truth(cond())
                    test = literal(flag) if isinstance(flag, bool) else flag
            with self.journal.trial() as changes:
                params = self.enter_pass(templates, start)
                with building(*params) as b:
                    body()
                    results = self.ends(templates)
            return cb, test, b, results, changes, mark

        last: Any = None

        def attempt(templates: dict[Box, Template]) -> tuple[dict[Box, Any], int]:
            nonlocal last
            last = one(templates)
            return last[4], last[5]

        templates = self.fixed_point(attempt, lambda box: self.live(box, names, frame), pos.line, False)
        cb, test, b, results, changes, mark = last
        if isinstance(results, Exception):
            raise results
        self.only_outer(templates, b.stmts)
        inits = tuple(a for box, t in templates.items() for a in extract(t, box.content, self.atom, now))
        outs = tuple(Var(h, n, pos) for box, t in templates.items() for h, n in holes(t, box.name))
        current().add(While(inits, cb.block((test,)), b.block(tuple(results)), outs, pos=pos))
        self.leave(templates, outs, start)

    # ------------------------------------------------------------ flags

    def either(self, *flags: Any) -> bool | Atom:
        """The or of flags that are Python bools or run-time bools."""
        found: list[Atom] = []
        for f in flags:
            v = f.content if isinstance(f, Box) else f
            if isinstance(v, Lit):
                v = bool(v.value)
            if v is True:
                return True
            if v is not False:
                found.append(v)
        if not found:
            return False
        total = found[0]
        for f in found[1:]:
            total = numpy_op(np.logical_or)(total, f)
        return total

    def negate(self, flag: bool | Atom) -> bool | Atom:
        return (not flag) if isinstance(flag, bool) else numpy_op(np.logical_not)(flag)

    def conj(self, a: Any, b: Any) -> Any:
        if isinstance(a, bool):
            return b if a else False
        if isinstance(b, bool):
            return a if b else False
        return numpy_op(np.logical_and)(a, b)

    def jump_flags(self) -> tuple[Box, ...]:
        """The flags that end the current statement list."""
        loop: LoopState | None = self.frame.loops[-1] if self.frame.loops else None
        mine: tuple[Box, ...] = (loop.broke, loop.continued) if loop is not None else ()
        return (self.frame.returned, *mine)


def _cell(ref: Any) -> Cell | None:
    return ref.cell if isinstance(ref, ArrayRef) else None
