"""From variables to names: copies between variables vanish, and every variable gets a readable name.

In: statements (Python trees) whose variables are placeholders `_v0`, `_v1`, …, and a hint for each.  Out: the same
statements with names.  Two variables share one name when neither is assigned while the other is still needed.

    _v0 = x; for …: _v1 = _v0 + 1; _v0 = _v1   ->   for …: x = x + 1
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

RESERVED = frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "np", "special", "math"})
PLACEHOLDER = re.compile(r"_v\d+$")


class Move(ast.stmt):
    """Assignments that happen at once: `targets[k] = values[k]`, all values read before."""

    _fields = ("targets", "values")

    def __init__(self, targets: list[ast.expr], values: list[ast.expr]):
        super().__init__()
        self.targets = targets
        self.values = values


@dataclass
class Info:
    """What is known of a placeholder."""

    hint: str = ""
    default: str = "t"
    fixed: str | None = None
    number: bool = True  # rank 0


@dataclass
class _Classes:
    parent: dict[str, str] = field(default_factory=dict)
    against: dict[str, set[str]] = field(default_factory=dict)

    def find(self, v: str) -> str:
        while (p := self.parent.get(v, v)) != v:
            v = p
        return v

    def clash(self, a: str, b: str) -> None:
        if a != b:
            self.against.setdefault(a, set()).add(b)
            self.against.setdefault(b, set()).add(a)

    def merge(self, a: str, b: str) -> bool:
        a, b = self.find(a), self.find(b)
        if a == b:
            return True
        if b in {self.find(x) for x in self.against.get(a, ())}:
            return False
        self.parent[b] = a
        self.against.setdefault(a, set()).update(self.against.get(b, ()))
        for x in self.against.get(b, ()):
            self.against.setdefault(x, set()).add(a)
        return True


def reads(node: ast.AST | None) -> set[str]:
    """The placeholders that an expression reads."""
    if node is None:
        return set()
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and PLACEHOLDER.match(n.id)}


def _targets(node: ast.expr) -> list[str]:
    """The placeholders that an assignment to `node` defines (a store into an element defines nothing)."""
    if isinstance(node, ast.Name):
        return [node.id] if PLACEHOLDER.match(node.id) else []
    if isinstance(node, ast.Tuple):
        return [v for e in node.elts for v in _targets(e)]
    return []


class _Liveness:
    """Walks statements backwards; notes which variables may not share a name, and which are copies."""

    def __init__(self, classes: _Classes):
        self.classes = classes
        self.moves: list[tuple[str, str]] = []
        self.heads: dict[ast.stmt, set[str]] = {}
        """What is live at the head of each loop, as far as it was found."""

    def define(self, targets: Iterable[str], live: set[str], copies: Mapping[str, str] | None = None) -> set[str]:
        targets = list(targets)
        alive = live | set(targets)
        for t in targets:
            for v in alive:
                if v != t and not (copies and copies.get(t) == v):
                    self.classes.clash(t, v)
        return live - set(targets)

    def block(self, stmts: Sequence[ast.stmt], live: set[str], leave: set[str]) -> set[str]:
        for s in reversed(stmts):
            live = self.stmt(s, live, leave)
        return live

    def stmt(self, s: ast.stmt, live: set[str], leave: set[str]) -> set[str]:
        """What is live before `s`; `leave` is live where a `break` goes."""
        match s:
            case Move():
                pairs = {
                    t.id: v.id
                    for t, v in zip(s.targets, s.values, strict=True)
                    if isinstance(t, ast.Name) and isinstance(v, ast.Name) and PLACEHOLDER.match(v.id)
                }
                self.moves += pairs.items()
                rest = self.define([t for e in s.targets for t in _targets(e)], live, pairs)
                return rest.union(*(reads(v) for v in s.values))
            case ast.Assign():
                rest = self.define([t for e in s.targets for t in _targets(e)], live)
                return rest.union(reads(s.value), *(reads(t) for t in s.targets if not isinstance(t, ast.Name | ast.Tuple)))
            case ast.AugAssign():
                for t in _targets(s.target):
                    self.define([t], live)
                return live | reads(s.target) | reads(s.value)
            case ast.If():
                both = self.block(s.body, live, leave) | self.block(s.orelse, live, leave)
                return both | reads(s.test)
            case ast.For():
                targets = set(_targets(s.target))
                # what was found before holds again: else each level of loops would double the work
                head = live | self.heads.get(s, set())
                while True:
                    # the index keeps its name to the end of the body: a debugger shows it
                    start = self.block(s.body, head | targets, live)
                    before = self.define(targets, start | live) | live
                    if before <= head:
                        self.heads[s] = head
                        return head | reads(s.iter)
                    head |= before
            case ast.While():
                forever = isinstance(s.test, ast.Constant) and bool(s.test.value)  # `while False` ends at once: what comes after is live
                head = (set() if forever else live | reads(s.test)) | self.heads.get(s, set())
                while True:
                    before = self.block(s.body, head, live) | head
                    if before <= head:
                        self.heads[s] = head
                        return head
                    head = before
            case ast.Break():
                return set(leave)
            case ast.Raise():
                return reads(s.exc)
            case ast.Return():
                return reads(s.value)
        return live | reads(s)


def name_all(body: list[ast.stmt], params: Sequence[str], info: Mapping[str, Info], taken: Iterable[str]) -> list[ast.stmt]:
    """The statements with names for placeholders; self-assignments gone, parallel ones put in order."""
    classes = _Classes()
    live = _Liveness(classes)
    at_entry = live.block(body, set(), set())
    for p in params:
        for q in (*params, *at_entry):
            classes.clash(p, q)
    for a, b in dict.fromkeys(live.moves):
        if info[a].fixed is not None and info[b].fixed is not None:
            continue
        classes.merge(a, b)
    order = list(dict.fromkeys([*params, *_appearance(body)]))
    members: dict[str, list[str]] = {}
    for v in order:
        members.setdefault(classes.find(v), []).append(v)
    chosen = _choose(members, classes, info, {*RESERVED, *taken})
    names = {v: chosen[classes.find(v)] for v in order}
    numbers = dict.fromkeys(names.values(), True)
    for v, n in names.items():
        numbers[n] = numbers[n] and info[v].number
    return _Rename(names, numbers, {*RESERVED, *taken, *names.values()}).block(body)


def _appearance(body: list[ast.stmt]) -> list[str]:
    found: dict[str, None] = {}

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Name) and PLACEHOLDER.match(node.id):
            found[node.id] = None
        for child in ast.iter_child_nodes(node):
            visit(child)

    for s in body:
        visit(s)
    return list(found)


def identifier(hint: str) -> str:
    """A hint as a Python name."""
    name = re.sub(r"\W", "_", hint)
    if not name or name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name in RESERVED else name


INDICES = ("i", "j", "k", "l", "m")


def _choose(
    members: dict[str, list[str]], classes: _Classes, info: Mapping[str, Info], taken: set[str]
) -> dict[str, str]:
    chosen: dict[str, str] = {}
    clashes = {c: {classes.find(x) for x in classes.against.get(c, ())} - {c} for c in members}
    for c, vs in members.items():
        fixed = next((info[v].fixed for v in vs if info[v].fixed), None)
        if fixed is not None:
            chosen[c] = fixed
    unnamed: set[str] = set()
    named = [c for c, vs in members.items() if any(info[v].hint.strip("_") for v in vs)]
    for c in dict.fromkeys([*named, *members]):  # the user's names first
        vs = members[c]
        if c in chosen:
            continue
        used = taken | {chosen[x] for x in clashes[c] if x in chosen}
        hints = [h for v in vs if (h := info[v].hint).strip("_")]
        if hints:
            base = identifier(min(hints, key=lambda h: (h.endswith("_saved"), hints.index(h))))
            options: Iterable[str] = (base if not k else f"{base}_{k}" for k in range(10_000))
        elif info[vs[0]].default == "i":
            options = (*INDICES, *(f"i{k}" for k in range(1, 10_000)))
        else:
            base = info[vs[0]].default
            used = used | unnamed
            options = (f"{base}{k}" for k in range(10_000))
        name = next(o for o in options if o not in used)
        if not hints and info[vs[0]].default != "i":
            unnamed.add(name)
        chosen[c] = name
    return chosen


AUGMENTED = (ast.Add, ast.Sub, ast.Mult, ast.Div)


class _Rename:
    """Writes names, drops what has become `x = x`, turns `x = x + y` of numbers into `x += y`."""

    def __init__(self, names: Mapping[str, str], numbers: Mapping[str, bool], used: set[str]):
        self.names = names
        self.numbers = numbers
        self.used = used

    def expr(self, e: ast.AST) -> None:
        for n in ast.walk(e):
            if isinstance(n, ast.Name) and n.id in self.names:
                n.id = self.names[n.id]

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        return [t for s in body for t in self.stmt(s)]

    def stmt(self, s: ast.stmt) -> list[ast.stmt]:
        if isinstance(s, Move):
            for e in (*s.targets, *s.values):
                self.expr(e)
            return self.ordered(s)
        if isinstance(s, ast.For | ast.While | ast.If):
            for child in ("test", "iter", "target"):
                if hasattr(s, child):
                    self.expr(getattr(s, child))
            s.body = self.block(s.body) or [ast.Pass()]
            if s.orelse:
                s.orelse = self.block(s.orelse)
            if isinstance(s, ast.If):
                if isinstance(s.body[0], ast.Pass):
                    if not s.orelse:
                        return []
                    s.body, s.orelse, s.test = s.orelse, [], negated(s.test)
            return [s]
        self.expr(s)
        if isinstance(s, ast.AugAssign) and isinstance(s.op, ast.Add) and isinstance(s.value, ast.UnaryOp):
            if isinstance(s.value.op, ast.USub):
                s.op, s.value = ast.Sub(), s.value.operand
        if isinstance(s, ast.Assign) and len(s.targets) == 1:
            return [at_pos(self.augmented(s.targets[0], s.value), s)]
        return [s]

    def augmented(self, target: ast.expr, value: ast.expr) -> ast.stmt:
        if isinstance(target, ast.Name) and self.numbers.get(target.id) and isinstance(value, ast.BinOp):
            left, right = value.left, value.right
            if isinstance(value.op, AUGMENTED):
                if isinstance(left, ast.Name) and left.id == target.id:
                    return ast.AugAssign(target, value.op, right)
                # x + (y + x): only the outermost pair, so that the order of sums is kept
                if isinstance(right, ast.Name) and right.id == target.id and isinstance(value.op, ast.Add | ast.Mult):
                    return ast.AugAssign(target, value.op, left)
        return ast.Assign([target], value)

    def ordered(self, s: Move) -> list[ast.stmt]:
        """One assignment after another where that means the same; the rest as a tuple."""
        pairs = [
            (t, v)
            for t, v in zip(s.targets, s.values, strict=True)
            if not (isinstance(t, ast.Name) and isinstance(v, ast.Name) and t.id == v.id)
        ]
        out: list[ast.stmt] = []
        while pairs:
            ready = None
            for k, (t, _) in enumerate(pairs):
                name = t.id if isinstance(t, ast.Name) else ""
                if not any(name in _names(v) for j, (_, v) in enumerate(pairs) if j != k):
                    ready = k
                    break
            if ready is None:
                out.append(
                    at_pos(ast.Assign([ast.Tuple([t for t, _ in pairs])], ast.Tuple([v for _, v in pairs])), s)
                )
                break
            t, v = pairs.pop(ready)
            out.append(at_pos(self.augmented(t, v), v if hasattr(v, "pos") else s))
        return out


def _names(e: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(e) if isinstance(n, ast.Name)}


def at_pos(s: ast.stmt, like: ast.AST) -> ast.stmt:
    """`s` with the source position (an adc `Pos`) of another node."""
    s.pos = getattr(like, "pos", None)  # type: ignore[attr-defined]
    return s


def negated(e: ast.expr) -> ast.expr:
    """`not e`, without a double negation."""
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.Not):
        return e.operand
    return ast.UnaryOp(ast.Not(), e)
