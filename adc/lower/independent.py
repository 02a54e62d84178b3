"""What is known of a loop: may its iterations run in any order, or at the same time?

In: a `Loop`, and how often each buffer is used in the program.  Out: `Roles`, or None where an iteration needs another.

    for i: t = f(x[i]); y[i] = t; s += t       t is private, y has a row for each i, s is combined

A buffer that is written is, in a loop whose iterations are independent,

* private: written before it is read in every iteration, and used nowhere else;
* combined: only added to (multiplied …) and not looked at;
* in rows: every access has a coordinate that is another one in every iteration; reads of another plane, in which nothing is written, do not
  matter (`u[t + 1, i] = f(u[t, i - 1])` in a loop over i).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from adc.ir import Dim, Size, Sym, size, symbols
from adc.lower.nodes import (
    Access,
    Branch,
    Buf,
    CallFn,
    Exit,
    Item,
    Load,
    Loop,
    Pool,
    Repeat,
    Store,
    Swap,
    bodies,
    items,
)


@dataclass
class Roles:
    private: set[Buf] = field(default_factory=set)
    combined: dict[Buf, str] = field(default_factory=dict)
    rows: set[Buf] = field(default_factory=set)
    exits: bool = False


def counts(pool: Pool, body: Iterable[Item]) -> Counter[Buf]:
    """How often each buffer is accessed."""
    return Counter(a.buf for it in body for a in pool.accesses(it))


def moves(pool: Pool, d: Dim, var: Sym) -> bool:
    """Is the coordinate another one in every iteration of `var`?"""
    if not isinstance(d, Size) or any(s in pool.opaque for s in symbols(d)):
        return False
    return [m for m, _ in d.terms if var in symbols(Size(((m, 1),)))] == [(var,)]


def independent(pool: Pool, loop: Loop, everywhere: Counter[Buf]) -> Roles | None:
    """The roles of what the loop writes, or None."""
    found = [a for it in loop.body for a in pool.accesses(it)]
    here = Counter(a.buf for a in found)
    by_buf: dict[Buf, list[Access]] = {}
    for a in found:
        by_buf.setdefault(a.buf, []).append(a)
    roles = Roles(exits=any(isinstance(x, Exit) for x in items(loop.body)))
    inner = {x.var for x in items(loop.body) if isinstance(x, Loop)}
    candidates = set()
    for buf, uses in by_buf.items():
        if not any(a.writes for a in uses):
            continue
        modes = {a.mode for a in uses}
        if buf.kind in ("local", "temp") and here[buf] == everywhere[buf] and buf not in loop.carried:
            candidates.add(buf)
        elif buf.kind != "local" and own_row(pool, near(pool, uses, loop.var, inner), loop.var, inner):
            roles.rows.add(buf)
        elif len(modes) == 1 and not modes & {"set", "read"}:
            roles.combined[buf] = modes.pop()
        else:
            return None
    if not defined_first(pool, loop.body, {b for b in candidates if b.kind == "local"}):
        return None
    for it in items(loop.body):
        if isinstance(it, Swap) and not {it.a, it.b} <= candidates:
            return None
        if isinstance(it, CallFn) and not set(it.outs) <= candidates:
            return None
    roles.private = candidates
    return roles


def obstacle(pool: Pool, loop: Loop, everywhere: Counter[Buf]) -> str | None:
    """Why the iterations of a loop cannot run in any order; None where they can."""
    if independent(pool, loop, everywhere) is not None:
        return None
    found = [a for it in loop.body for a in pool.accesses(it)]
    here = Counter(a.buf for a in found)
    inner = {x.var for x in items(loop.body) if isinstance(x, Loop)}
    for buf in dict.fromkeys(a.buf for a in found if a.writes):
        uses = [a for a in found if a.buf is buf]
        modes = {a.mode for a in uses}
        private = buf.kind in ("local", "temp") and here[buf] == everywhere[buf] and buf not in loop.carried
        if private or (buf.kind != "local" and own_row(pool, near(pool, uses, loop.var, inner), loop.var, inner)) or (len(modes) == 1 and not modes & {"set", "read"}):
            continue
        lines = [it.note for it in items(loop.body) if isinstance(it, Store) and it.buf is buf and it.note]
        return f"{buf.hint} is handed from one to the next" + (f" (`{lines[-1]}`)" if lines else "")
    return "a value that one sets is looked at by the next"


def apart(pool: Pool, a: Access, b: Access, inside: set[Sym]) -> bool:
    """Do two accesses never meet, whatever the turns of the loops `inside`?  Along some axis both are fixed, and a number apart: planes of two steps."""

    def fixed(d: Dim) -> bool:
        return not any(s in inside or s in pool.locals or s in pool.opaque for s in symbols(size(d)))

    if a.dims != b.dims or len(a.coords) != len(b.coords):
        return False
    return any(fixed(x) and fixed(y) and isinstance(d := size(x) - y, int) and d != 0 for x, y in zip(a.coords, b.coords, strict=True))


def near(pool: Pool, uses: list[Access], var: Sym, inner: set[Sym]) -> list[Access]:
    """Without the reads of planes that no write touches."""
    writes = [a for a in uses if a.writes]
    return [a for a in uses if a.writes or not all(apart(pool, a, w, inner | {var}) for w in writes)]


def own_row(pool: Pool, uses: list[Access], var: Sym, inner: set[Sym]) -> bool:
    """Does some axis have the same moving coordinate, free of inner loops, in every access?"""
    first = uses[0]
    if any(a.dims != first.dims or len(a.coords) != len(first.coords) for a in uses):
        return False
    return any(
        moves(pool, c, var) and not any(s in inner or s in pool.locals for s in symbols(c)) and all(a.coords[axis] == c for a in uses)
        for axis, c in enumerate(first.coords)
    )


def defined_first(pool: Pool, body: list[Item], names: set[Buf]) -> bool:
    """Is every variable of `names` set before it is looked at?"""
    return _walk(pool, body, set(), names) is not None


def _walk(pool: Pool, body: list[Item], known: set[Buf], names: set[Buf]) -> set[Buf] | None:
    for it in body:
        if not _looked_at(pool, it) & names <= known:
            return None
        match it:
            case Store():
                if it.buf in names and it.mode == "set":
                    known = known | {it.buf}
            case Loop():
                if _walk(pool, it.body, set(known), names) is None:
                    return None
            case Branch():
                sides = [_walk(pool, b, set(known), names) for b in (it.then, it.orelse)]
                if sides[0] is None or sides[1] is None:
                    return None
                known = sides[0] & sides[1]
            case Repeat():
                after = _walk(pool, it.head, set(known), names)
                if after is None or not {b for b in pool.reads(it.cond) if b in names} <= after:
                    return None
                if _walk(pool, it.body, set(after), names) is None:
                    return None
                known = after
    return known


def _looked_at(pool: Pool, it: Item) -> set[Buf]:
    """What the item reads before its bodies are run."""
    found: set[Buf] = set()
    match it:
        case Store():
            found.update(pool.reads(it.value), *(pool.dim_reads(d) for d in (*it.dims, *it.coords)))
            if it.mode != "set":
                found.add(it.buf)
        case Loop():
            found.update(pool.dim_reads(it.count))
        case Branch() | Exit():
            found.update(pool.reads(it.cond))
        case CallFn():
            for a in it.args:
                found.update((a,) if isinstance(a, Buf) else pool.reads(a))
    return found  # the condition of a Repeat is looked at after its `head`


# ---------------------------------------------------------------- sums that look like carries


def inline_carries(pool: Pool, body: list[Item]) -> dict[Buf, Buf]:
    """`t = s` … `s = t` around an inner loop, where s is not looked at between: t is s.  (t → s)"""
    same: dict[Buf, Buf] = {}
    everywhere = counts(pool, body)

    def visit(block: list[Item]) -> None:
        for it in block:
            for inner in bodies(it):
                visit(inner)
        for k, it in enumerate(block):
            t, s = _copied(it)
            if t is None or s is None or t.kind != "local" or s.kind != "local" or t.dtype != s.dtype or t.sym or s.sym:
                continue
            for m in range(k + 1, len(block)):
                back, origin = _copied(block[m])
                if back is s and origin is t:
                    inside = counts(pool, block[k : m + 1])
                    if inside[t] == everywhere[t] and inside[s] == 2 and t not in same and s not in same:
                        same[t] = s
                        block[m].mode = "gone"  # type: ignore[union-attr]
                        block[k].mode = "gone"  # type: ignore[union-attr]
                    break
                if any(a.buf is s for a in pool.accesses(block[m])):
                    break

    visit(body)
    _drop_gone(body)
    for t in same:  # through several loops: the outermost one's
        while same[t] in same:
            same[t] = same[same[t]]
    return same


def _copied(it: Item) -> tuple[Buf | None, Buf | None]:
    if isinstance(it, Store) and it.mode == "set" and isinstance(it.value, Load) and not it.coords and not it.value.coords:
        return it.buf, it.value.buf
    return None, None


def _drop_gone(body: list[Item]) -> None:
    for it in body:
        for inner in bodies(it):
            _drop_gone(inner)
    body[:] = [it for it in body if not (isinstance(it, Store) and it.mode == "gone")]


__all__ = ["Roles", "counts", "defined_first", "independent", "inline_carries", "moves", "obstacle"]
