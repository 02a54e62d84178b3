"""Variables that are set once, and those of them that are set to the same.

In: a program whose loops have met.  Out: the same; of two variables with one value there is one.

    for k in range(n):                              for k in range(n):
        i = seen[k]                                     i = seen[k]
        total += x[i]                       →           total += x[i]
        i_1 = seen[k]                                   x_bar[i] += 1.0
        x_bar[i_1] += 1.0

A loop and its reverse that have met both look up the same places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from adc.ir import size, symbols
from adc.lower.nodes import Buf, Const, Expr, Item, Loop, Program, Store, bodies, items
from adc.lower.rewrite import rename_item, replace_buffers


class Variables:
    def __init__(self, program: Program):
        self.program, self.pool = program, program.pool
        self.writes = Counter(a.buf for it in program.body for a in self.pool.accesses(it) if a.writes)
        self.fixed = {b for it in items(program.body) if isinstance(it, Loop) for b in it.carried}
        sizes = {s for b in self.writes for d in b.dims for s in symbols(size(d))}.union(program.bounds)
        self.fixed |= {*program.params, *program.outs, *(self.pool.locals[s] for s in sizes if s in self.pool.locals)}

    def single(self, it: Item) -> bool:
        """Does it set a variable that nothing else sets?"""
        return isinstance(it, Store) and it.buf.kind == "local" and it.mode == "set" and self.writes[it.buf] == 1 and it.buf not in self.fixed

    def join(self, body: list[Item], k: int, other: Buf) -> bool:
        """Let `other`, which is the same, stand for what is set at `k`; False where that is asked for before it is set, which means the turn before."""
        it = body[k]
        assert isinstance(it, Store)
        if other.dtype != it.buf.dtype or self._uses(body[k:], it.buf) != self._uses(self.program.body, it.buf):
            return False
        del body[k]
        if it.buf.sym is not None and other.sym is not None:
            for x in self.program.body:
                rename_item(self.pool, x, {it.buf.sym: size(other.sym)})
        else:
            replace_buffers(self.program, {it.buf: (other, ())})
        return True

    def _uses(self, body: list[Item], buf: Buf) -> int:
        return sum(a.buf is buf for it in body for a in self.pool.accesses(it))


def join_variables(program: Program) -> None:
    variables = Variables(program)
    pool = program.pool

    def twice() -> set[Expr]:
        """What several variables are set to, somewhere."""
        values = Counter(it.value for it in items(program.body) if isinstance(it, Store) and variables.single(it) and not isinstance(it.value, Const))
        return {e for e, n in values.items() if n > 1}

    candidates = twice()

    def again(body: list[Item], start: int, value: Expr) -> tuple[list[Item], int] | None:
        """Where another variable is set to the value, before what it is made of changes."""
        needs = pool.reads(value)
        for k in range(start, len(body)):
            it = body[k]
            if isinstance(it, Store) and it.value is value and variables.single(it):
                return body, k
            if any(a.writes and a.buf in needs for a in pool.accesses(it)):
                return None
            for inner in bodies(it):
                if (found := again(inner, 0, value)) is not None:
                    return found
        return None

    def visit(body: list[Item]) -> None:
        for k, it in enumerate(body):
            if isinstance(it, Store) and it.value in candidates and variables.single(it):
                while (found := again(body, k + 1, it.value)) is not None and variables.join(*found, it.buf):
                    candidates.update(twice())  # what has the variable's name in it is alike now
        for it in body:
            for inner in bodies(it):
                visit(inner)

    visit(program.body)


def join_copies(program: Program) -> None:
    """`t = s`, both set once: `s` stands for `t` too."""
    variables = Variables(program)
    pool = program.pool
    set_once = {it.buf for it in items(program.body) if isinstance(it, Store) and variables.single(it)}
    of = {pool.load(buf, (), ()): buf for buf in set_once}

    def visit(body: list[Item]) -> None:
        k = 0
        while k < len(body):
            it = body[k]
            if not (isinstance(it, Store) and variables.single(it) and it.value in of and variables.join(body, k, of[it.value])):
                k += 1
        for it in body:
            for inner in bodies(it):
                visit(inner)

    visit(program.body)


def remove_unread(program: Program) -> None:
    """Variables that are set, and never asked for."""
    pool = program.pool
    again = True
    while again:
        variables = Variables(program)
        read = {a.buf for it in program.body for a in pool.accesses(it) if not a.writes}
        again = _drop(program.body, lambda it: variables.single(it) and it.buf not in read)  # type: ignore[union-attr]


def _drop(body: list[Item], gone: Callable[[Item], bool]) -> bool:
    kept = [it for it in body if not gone(it)]
    dropped, body[:] = len(kept) < len(body), kept
    for it in body:
        for inner in bodies(it):
            dropped |= _drop(inner, gone)
    return dropped


__all__ = ["Variables", "join_copies", "join_variables", "remove_unread"]
