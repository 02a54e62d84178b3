"""Programs as text, for people who read the stages (`f.ir("vjp")`, `ADC_DUMP`).

Names are chosen here: the hint, made unique by a number.
"""

from __future__ import annotations

from adc.ir.program import Atom, Block, Call, For, Function, If, Lit, Op, Var, While


class Names:
    """Unique names for variables in order of appearance."""

    def __init__(self) -> None:
        self.given: dict[Var, str] = {}
        self.used: dict[str, int] = {}

    def __call__(self, a: Atom) -> str:
        if isinstance(a, Lit):
            return repr(a.value)
        if a not in self.given:
            base = a.hint or "v"
            k = self.used.get(base, 0)
            self.used[base] = k + 1
            self.given[a] = base if k == 0 and a.hint else f"{base}_{k}" if a.hint else f"v{k}"
        return self.given[a]


def text(fn: Function) -> str:
    names = Names()
    lines = [f"function {fn.name}({', '.join(f'{names(p)}: {p.type}' for p in fn.params)})"]
    lines += [f"  guard {g.left} {'==' if g.kind == 'equal' else '>='} {g.right}" for g in fn.guards]
    _block(fn.body, names, 1, lines)
    lines.append(f"  return {', '.join(f'{names(r)}: {r.type}' for r in fn.results)}")
    return "\n".join(lines) + "\n"


def _block(block: Block, names: Names, depth: int, lines: list[str]) -> None:
    pad = "  " * depth
    for s in block.stmts:
        match s:
            case Op():
                args = ", ".join(names(a) for a in s.args)
                params = "".join(f" {k}={v}" for k, v in s.params.items())
                outs = ", ".join(f"{names(v)}: {v.type}" for v in s.outs)
                lines.append(f"{pad}{outs + ' = ' if outs else ''}{s.prim.name}({args}){params}")
            case If():
                lines.append(f"{pad}{', '.join(names(v) for v in s.outs)} = if {names(s.cond)}")
                for word, b in (("then", s.then), ("else", s.orelse)):
                    lines.append(f"{pad}{word}:")
                    _block(b, names, depth + 1, lines)
                    lines.append(f"{pad}  yield {', '.join(map(names, b.results))}")
            case For():
                c, r, k = s.split(s.outs)
                lines.append(
                    f"{pad}{', '.join(f'{names(v)}: {v.type}' for v in s.outs)} = for {names(s.index)} in "
                    f"{'reversed ' if s.reverse else ''}range({s.count})"
                )
                pairs = zip(s.body.params[1:], s.inits[: s.carries], strict=True)
                if c:
                    lines.append(f"{pad}  carry {', '.join(f'{names(p)}: {p.type} = {names(i)}' for p, i in pairs)}")
                if r:
                    both = zip(s.reduce, s.inits[s.carries :], strict=True)
                    lines.append(f"{pad}  reduce {', '.join(f'{kind} from {names(i)}' for kind, i in both)}")
                _block(s.body, names, depth + 1, lines)
                for word, values in zip(("carry", "reduce", "stack"), s.split(s.body.results), strict=True):
                    if values:
                        lines.append(f"{pad}  {word} <- {', '.join(map(names, values))}")
            case While():
                lines.append(f"{pad}{', '.join(f'{names(v)}: {v.type}' for v in s.outs)} = while (count {s.count})")
                for word, b in (("cond", s.cond), ("do", s.body)):
                    pairs = zip(b.params, s.inits, strict=True)
                    lines.append(f"{pad}{word} {', '.join(f'{names(p)}: {p.type} = {names(i)}' for p, i in pairs)}:")
                    _block(b, names, depth + 1, lines)
                    lines.append(f"{pad}  yield {', '.join(map(names, b.results))}")
            case Call():
                outs = ", ".join(f"{names(v)}: {v.type}" for v in s.outs)
                lines.append(f"{pad}{outs} = call {s.fn.name}({', '.join(map(names, s.args))}) {s.rule}")
