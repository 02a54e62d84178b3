"""The source of a kernel: loops and stores as Python that Numba compiles.

In: an improved `Program`, its scratch buffers.  Out: the text, and the names given to buffers (for `Kernel`).

    for i in range(n):                  # y = np.sin(x) * a
        y[i] = math.sin(x[i]) * a

float32 stays float32: constants are `np.float32(0.5)`, and whatever Numba would widen is cast back.  Buffers of bools
hold uint8; inside expressions they are `x[i] != 0`.
"""

from __future__ import annotations

import ast
import builtins
import functools
import keyword
import math
import re
from collections import Counter
from typing import Any

import numpy as np

from adc.ir import Dim, Size, Sym, size
from adc.ir.dims import Atom, Monomial, Quotient
from adc.lower import products
from adc.lower.nodes import (
    Apply,
    Branch,
    Buf,
    CallFn,
    Const,
    Exit,
    Expr,
    Index,
    Item,
    Load,
    Loop,
    Program,
    Repeat,
    Store,
    Swap,
)

LONG = 90
RESERVED = {"np", "math", "report", "range", "product", "run_product", "begin", "end", "worker", *keyword.kwlist, *(n for n in dir(builtins) if n.islower())}

IN_MATH = {f"np.{n}": f"math.{m}" for n, m in {
    "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "log2": "log2", "log10": "log10", "sqrt": "sqrt", "hypot": "hypot",
    "copysign": "copysign",
}.items()}  # fmt: skip
"""The same functions of C, which Numba compiles in half the time."""


class Names:
    """Readable names, each used once."""

    def __init__(self, taken: set[str]):
        self.taken = set(taken)
        self.of: dict[Any, str] = {}
        self.indices: set[str] = set()  # names of loop indices, which loops share

    def give(self, thing: Any, hint: str, index: bool = False) -> str:
        if thing not in self.of:
            base = re.sub(r"\W", "_", hint) or "t"
            base = f"_{base}" if base[0].isdigit() else base
            name, k = base, 1
            while name in self.taken or name in RESERVED or (name in self.indices and not index):
                name, k = f"{base}_{k}", k + 1
            self.taken.add(name)
            self.of[thing] = name
        return self.of[thing]


class Writer:
    def __init__(self, program: Program, names: Names):
        self.program, self.pool, self.names = program, program.pool, names
        self.lines: list[str] = []
        self.parts: dict[str, list[str]] = {}
        self.alike: dict[str, str] = {}
        self.routines = {fn.__name__ for fn in program.routines.values()}
        self.note = ""
        self.known: dict[Expr, str] = {}
        """Names of what the statement that is being written uses more than once."""

    # ------------------------------------------------------------ dims

    def sym(self, s: Sym) -> str:
        if s in self.pool.opaque:
            return f"({self.expr(self.pool.opaque[s])})"
        buf = self.pool.locals.get(s)
        if buf is not None:
            return self.names.give(buf, buf.hint)
        return self.names.give(s, s.hint)

    def dim(self, d: Dim) -> str:
        if isinstance(d, int):
            return str(d)
        shared, inner, rest = taken_out(d)
        parts = []
        if shared is not None and isinstance(inner, Size):
            parts.append((False, f"({self.dim(inner)}) * {self.atom(shared)}"))
        for monomial, c in rest:
            factors = [self.atom(a) for a in monomial]
            if abs(c) != 1 or not factors:
                factors.insert(0, str(abs(c)))
            parts.append((c < 0, " * ".join(factors)))
        parts.sort(key=lambda p: p[0])  # `n - i` rather than `-i + n`
        text = ("-" if parts[0][0] else "") + parts[0][1]
        return text + "".join(f" {'-' if neg else '+'} {p}" for neg, p in parts[1:])

    def atom(self, a: Atom) -> str:
        return self.sym(a) if isinstance(a, Sym) else self.quotient(a)

    def quotient(self, q: Quotient) -> str:
        a, b = self.dim(q.left), self.dim(q.right)
        return f"{q.op}({a}, {b})" if q.op in ("max", "min") else f"(({a}) {q.op} ({b}))"

    def place(self, dims: tuple[Dim, ...], coords: tuple[Dim, ...]) -> str:
        """The position in a C-ordered block, by Horner's rule; what is a number yet is kept as one."""
        if len(coords) > len(dims):  # in a row that has a name (`rows`)
            row, rest = self.dim(coords[0]), self.place(dims, coords[1:])
            return row if rest == "0" else f"{row} - {rest[1:]}" if rest.startswith("-") else f"{row} + {rest}"
        text, number = "", 0
        for d, c in zip(dims, coords, strict=True):
            if not text and isinstance(d, int):
                number *= d
            elif (text or number) and d != 1:
                text = f"({text}) * {self.factor(d)}" if text else self.times(number, d)
                number = 0
            if isinstance(c, int):
                number += c
            else:
                text = f"{text} + {self.dim(c)}" if text else self.dim(c)
            if text and number:
                text, number = f"{text} {'-' if number < 0 else '+'} {abs(number)}", 0
        return text or str(number)

    def times(self, number: int, d: Dim) -> str:
        return f"{'-' if number < 0 else ''}{'' if abs(number) == 1 else f'{abs(number)} * '}{self.factor(d)}"

    def factor(self, d: Dim) -> str:
        text = self.dim(d)
        return f"({text})" if isinstance(d, Size) and not d.is_symbol else text

    # ------------------------------------------------------------ expressions

    def const(self, value: Any, dtype: np.dtype[Any]) -> str:
        if dtype.kind == "b":
            return str(bool(value))
        if dtype.kind == "f":
            v = float(value)
            text = "math.nan" if math.isnan(v) else ("-" if v < 0 else "") + "math.inf" if math.isinf(v) else repr(v)
        else:
            text = str(int(value))
        text = f"({text})" if text.startswith("-") else text
        return text if dtype in (np.dtype("f8"), np.dtype("i8")) else f"np.{dtype.name}({text})"

    def load(self, buf: Buf, place: str) -> str:
        name = self.names.give(buf, buf.hint)
        if buf.kind == "local":
            return name
        text = f"{name}[{place}]" if buf.dims else name
        return f"({text} != 0)" if buf.dtype.kind == "b" else text

    def expr(self, e: Expr) -> str:
        if e in self.known:
            return self.known[e]
        match e:
            case Const():
                return self.const(e.value, e.dtype)
            case Index():
                text = self.dim(e.dim)
                return text if re.fullmatch(r"\w+", text) else f"({text})"
            case Load():
                return self.load(e.buf, self.place(e.dims, e.coords) if e.buf.dims else "")
        return f"({self.applied(e)})"

    def applied(self, e: Apply) -> str:
        text = for_numba(e.text, any(a.dtype.kind == "f" for a in e.args))
        args = [self.expr(a) for a in e.args]
        out = re.sub(r"\{(\d+)\}", lambda m: args[int(m.group(1))], text)
        if e.dtype == np.dtype("i4") and not text.startswith("np.int32("):
            return f"np.int32({out})"
        if e.dtype == np.dtype("f4") and not keeps_float32(text):
            return f"np.float32({out})"
        if e.dtype == np.dtype("i8") and re.search(r"\d\.\d", text):
            return f"np.int64({out})"
        return out

    def statement(self, e: Expr, indent: int) -> str:
        """The text of a value; parts used twice, or under a condition, get names before."""
        try:
            return self.with_names(e, indent)
        finally:
            self.known = {}

    def with_names(self, e: Expr, indent: int) -> str:
        count: dict[Expr, int] = {}
        forced: set[Expr] = set()
        order: list[Expr] = []

        def visit(x: Expr) -> None:
            for c, holes in uses(self.pool, x):
                count[c] = count.get(c, 0) + holes
                if count[c] == holes:
                    visit(c)
                if isinstance(x, Apply) and " if " in x.text and isinstance(c, Load | Apply):
                    forced.add(c)  # both sides are computed, so that the choice is a selection
            order.append(x)

        visit(e)
        for x in order:
            if x is e or isinstance(x, Const | Index) or (isinstance(x, Load) and x.buf.kind == "local"):
                continue
            if isinstance(x, Load) and not x.buf.dims and x.dtype.kind != "b":
                continue
            if count[x] > 1 or x in forced or len(self.expr(x)) > LONG:
                name = self.names.give(("part", x, len(self.lines)), "t")
                self.say(indent, f"{name} = {tidy(self.expr(x))}")
                self.known[x] = name
        return self.expr(e)

    # ------------------------------------------------------------ items

    def say(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def block(self, body: list[Item], indent: int) -> None:
        start = len(self.lines)
        for it in body:
            if it.note and it.note != self.note:
                self.note = it.note
                self.say(indent, f"# {it.note}")
            self.item(it, indent)
        if all(line.lstrip().startswith("#") for line in self.lines[start:]):
            self.say(indent, "pass")

    def item(self, it: Item, indent: int) -> None:
        match it:
            case Store():
                self.store(it, indent)
            case Loop() if it.shared:
                self.part(it, indent)
            case Loop():
                n = tidy(self.dim(it.count))
                span = f"{n} - 1, -1, -1" if it.reverse else n
                name = self.names.give(it.var, it.var.hint if it.var.hint.strip("_0123456789") else "i", index=True)
                self.say(indent, f"for {name} in range({span}):")
                self.block(it.body, indent + 1)
                # the next loop may use it, nothing else: a name has one type
                self.names.taken.discard(name)
                self.names.indices.add(name)
            case Branch():
                then, orelse, cond = it.then, it.orelse, tidy(self.statement(it.cond, indent))
                if not then:
                    then, orelse, cond = orelse, then, f"not ({cond})"
                self.say(indent, f"if {tidy(cond)}:")
                self.block(then, indent + 1)
                if orelse:
                    self.say(indent, "else:")
                    self.block(orelse, indent + 1)
            case Repeat():
                self.repeat(it, indent)
            case Exit():
                cond = tidy(self.statement(it.cond, indent))
                self.say(indent, f"if {cond if it.when else tidy(f'not ({cond})')}:")
                self.say(indent + 1, f"return {it.code}")
            case CallFn():
                args = [self.names.give(a, a.hint) if isinstance(a, Buf) else tidy(self.expr(a)) for a in it.args]
                if it.name == products.PART:
                    count = self.names.give((it, "blocks"), "blocks")
                    sizes = ", ".join(args[at] for at in (products.ROWS, products.COLUMNS, products.INNER))
                    self.say(indent, f"{count} = product_blocks({sizes})")
                    self.say(indent, f"run_{it.name}({count}, {', '.join([count, *args])})")
                    return
                if it.code:
                    self.say(indent, f"if {it.name}({', '.join(args)}) != 0:")
                    self.say(indent + 1, f"return {it.code}")
                else:
                    self.say(indent, f"{it.name}({', '.join(args)})")
            case Swap():
                a, b, t = self.names.give(it.a, it.a.hint), self.names.give(it.b, it.b.hint), self.names.give((it, "swap"), "hold")
                for line in (f"{t} = {a}", f"{a} = {b}", f"{b} = {t}"):
                    self.say(indent, line)

    def part(self, it: Loop, indent: int) -> None:
        """A shared loop: a function over chunks before this one, and its call through the pool."""
        mark, outer = len(self.lines), self.lines
        self.lines = []
        chunk = self.names.give(it.var, it.var.hint, index=True)
        self.say(1, f"for {chunk} in range(begin, end):")
        self.block(it.body, 2)
        self.say(1, "return 0")
        made, self.lines = self.lines, outer
        del self.lines[mark:]
        self.names.taken.discard(chunk)
        self.names.indices.add(chunk)
        code = "\n".join(line for line in made if not line.lstrip().startswith("#"))
        own = set(re.findall(r"^\s*(\w+) (?:[-+*|&]|//)?= ", code, re.M)) | set(re.findall(r"^\s*for (\w+) in ", code, re.M))
        own -= {n for thing, n in self.names.of.items() if isinstance(thing, Buf) and thing.dims}  # arrays that change places are given
        given = set(self.names.of.values())
        free = [w for w in dict.fromkeys(re.findall(r"(?<![.\w])[A-Za-z_]\w*", code)) if w in given and w not in own and w not in self.routines]
        name = self.once(it, free, code, made)
        count = tidy(self.dim(it.count))
        result = self.names.give((it, "code"), "code")
        if it.alone:
            alone = {self.names.give(rows, rows.hint): self.names.give(b, b.hint) for rows, b in it.alone.items()}
            self.say(indent, f"if {count} == 1:")
            self.say(indent + 1, f"{result} = run_{name}(1, {', '.join(alone.get(w, w) for w in free)})")
            self.say(indent, "else:")
            indent += 1
        self.say(indent, f"{result} = run_{name}({count}, {', '.join(free)})")
        indent -= bool(it.alone)
        self.say(indent, f"if {result} != 0:")
        self.say(indent + 1, f"return {result}")

    def once(self, it: Loop, free: list[str], code: str, made: list[str]) -> str:
        """The name of the part with this text, or of an earlier one that does the same with its arguments: layers of a network are alike."""
        order: dict[str, str] = {}
        mine = set(self.names.of.values())
        general = re.sub(r"(?<![.\w])[A-Za-z_]\w*", lambda m: order.setdefault(m[0], f"@{len(order)}") if m[0] in mine else m[0], code)
        if general not in self.alike:
            self.alike[general] = name = self.names.give((it, "part"), f"{self.program.name}_part")
            self.parts[name] = [f"def {name}(begin, end, worker, {', '.join(free)}):", *made]
        return self.alike[general]

    def repeat(self, it: Repeat, indent: int) -> None:
        mark = len(self.lines)
        cond = tidy(self.statement(it.cond, indent + 1))
        simple = len(self.lines) == mark and not it.head
        parts, self.lines[mark:] = self.lines[mark:], []
        if simple:
            self.say(indent, f"while {cond}:")
        else:
            self.say(indent, "while True:")
            self.block(it.head, indent + 1) if it.head else None
            self.lines.extend(parts)
            self.say(indent + 1, f"if {tidy(f'not ({cond})')}:")
            self.say(indent + 2, "break")
        self.block(it.body, indent + 1)

    def store(self, it: Store, indent: int) -> None:
        name = self.names.give(it.buf, it.buf.hint)
        is_bool = it.buf.dtype.kind == "b"
        if it.buf.kind == "local":
            target = now = name
        else:
            target = f"{name}[{tidy(self.place(it.dims, it.coords))}]"
            now = f"({target} != 0)" if is_bool else target
        text = self.statement(it.value, indent)
        if it.mode in ("max", "min"):
            if not re.fullmatch(r"\w+", text):
                part = self.names.give((it, "value"), "t")
                self.say(indent, f"{part} = {tidy(text)}")
                text = part
            sign = ">" if it.mode == "max" else "<"
            nan = f" or {text} != {text}" if it.buf.dtype.kind == "f" else ""
            self.say(indent, f"if {text} {sign} {now}{nan}:")
            self.say(indent + 1, f"{target} = {text}")
            return
        if it.mode != "set":
            op = {"sum": "+", "prod": "*", "any": "|", "all": "&"}[it.mode]
            if it.buf.dtype in (np.dtype("f8"), np.dtype("f4"), np.dtype("i8")):
                self.say(indent, f"{target} {op}= {tidy(text)}")
                return
            text = f"{now} {op} {text}"
            text = f"np.{it.buf.dtype.name}({text})" if not is_bool else text
        if is_bool and it.buf.kind != "local":
            text = f"np.uint8({text})"
        self.say(indent, f"{target} = {tidy(text)}")


def taken_out(d: Size) -> tuple[Atom | None, Dim, tuple[tuple[Monomial, int], ...]]:
    """`3 * i * n + j * n + k` as (n, 3 * i + j, k): the factor of most terms, what it multiplies, and the other terms."""
    count = Counter(a for monomial, _ in d.terms for a in dict.fromkeys(monomial))
    shared, often = max(count.items(), key=lambda found: found[1], default=(None, 0))
    if shared is None or often < 2:
        return None, 0, d.terms
    inner: Dim = 0
    for monomial, c in d.terms:
        if shared in monomial:
            at = monomial.index(shared)
            inner = size(inner) + Size(((monomial[:at] + monomial[at + 1 :], c),)) if len(monomial) > 1 else size(inner) + c
    return shared, inner, tuple(t for t in d.terms if shared not in t[0])


def uses(pool: Any, e: Expr) -> list[tuple[Expr, int]]:
    """Operands, with how often the text names each."""
    if isinstance(e, Apply):
        return [(a, max(1, len(re.findall(rf"\{{{k}\}}", e.text)))) for k, a in enumerate(e.args)]
    return [(c, 1) for c in pool.children(e)]


@functools.cache
def for_numba(text: str, floats: bool) -> str:
    """A template in the words that Numba compiles."""
    text = re.sub(r"\bnp\.\w+", lambda m: IN_MATH.get(m.group(), m.group()), text)
    text = re.sub(r"\{cast:bool\}\(\{0\}\)", "({0} != 0)", text)
    text = re.sub(r"\{cast:(\w+)\}", r"np.\1", text)
    return text if floats else text.replace(" | ({0} != {0})", "")  # integers are never NaN


@functools.cache
def keeps_float32(text: str) -> bool:
    """Does Numba give float32 when the arguments are?"""
    if text.startswith("np.float32(") or re.fullmatch(r"(np|math)\.\w+\((\{\d+\}(, )?)+\)", text):
        return True
    bare = re.sub(r"\{\d+\}|\*\* \d+", "", text)
    return not re.search(r"[0-9]|math|np\.|//|%", bare)


@functools.lru_cache(10_000)
def tidy(text: str) -> str:
    """Minimal parentheses."""
    return ast.unparse(ast.parse(text.strip(), mode="eval"))


def source_text(
    program: Program, sizes: tuple[Sym, ...], scratch: list[Buf], run_time: tuple[Sym, ...]
) -> tuple[str, dict[Any, str], tuple[str, ...]]:
    """The module text, the names of the program and its buffers, and of the functions that workers run."""
    taken = {fn.__name__ for fn in program.routines.values()}
    names = Names(taken)
    name = names.give(program, program.name)
    arguments = [names.give(p, p.hint) for p in program.params]
    arguments += [names.give(s, s.hint) for s in (*sizes, *program.capacities)]
    arguments += [names.give(b, b.hint) for b in (*program.outs, *scratch)]
    writer = Writer(program, names)
    for p in program.params:
        if not p.dims and p.dtype.kind == "b":
            writer.say(1, f"{names.of[p]} = {names.of[p]} != 0")
    writer.block(program.body, 1) if program.body else None
    for k, s in enumerate(run_time):
        writer.say(1, f"report[{k}] = {writer.sym(s)}")
    writer.say(1, "return 0")
    head = f"def {name}({', '.join([*arguments, 'report'])}):"
    if program.shares_products:
        writer.parts[products.PART] = products.TEXT.splitlines()
    parts = [line for lines in writer.parts.values() for line in [*lines, "", ""]]
    return "\n".join([*parts, head, *writer.lines]) + "\n", names.of, tuple(writer.parts)


__all__ = ["source_text"]
