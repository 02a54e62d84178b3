"""Scratch: which buffers may share memory.

In: a program after `improve`.  Out: the scratch buffers; others of the same dtype and dims were replaced by them where
their lives do not overlap.  A buffer lives from the first to the last item that touches it, in the innermost list of
items that holds all of its accesses.

    t and u of n floats, t dead before u is written   ->   one scratch buffer
"""

from __future__ import annotations

from adc.lower.nodes import Branch, Buf, Item, Program, Repeat, Swap, bodies, items
from adc.lower.rewrite import replace_buffers


def plan_scratch(program: Program) -> list[Buf]:
    lives = lifetimes(program)
    for it in items(program.body):
        if isinstance(it, Swap):  # two names for the same two blocks
            both = (*lives[it.a], *lives[it.b]) if it.a in lives and it.b in lives else ()
            for b in (it.a, it.b):
                if both:
                    lives[b] = (min(both[0], both[2]), max(both[1], both[3]))
    kept: list[tuple[Buf, list[tuple[int, int]]]] = []
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}
    for buf in sorted(lives, key=lambda b: lives[b][0]):
        start, end = lives[buf]
        for owner, taken in kept:
            same = owner.dtype == buf.dtype and owner.dims == buf.dims and not (owner.swapped or buf.swapped)
            if same and all(end < s or e < start for s, e in taken):
                taken.append((start, end))
                new[buf] = owner, tuple(range(len(buf.dims)))
                break
        else:
            kept.append((buf, [(start, end)]))
    if new:
        replace_buffers(program, {**new})
    return [b for b, _ in kept]


def lifetimes(program: Program) -> dict[Buf, tuple[int, int]]:
    """Positions of the first and the last item of each buffer's life."""
    span: dict[Item, list[int]] = {}
    paths: dict[Buf, list[tuple[Item, ...]]] = {}
    clock = 0

    def visit(body: list[Item], path: tuple[Item, ...]) -> None:
        nonlocal clock
        for it in body:
            clock += 1
            span[it] = [clock, clock]
            inner = bodies(it)
            for b in inner:
                visit(b, (*path, it))
            if not inner:
                for a in program.pool.accesses(it):
                    paths.setdefault(a.buf, []).append((*path, it))
            elif isinstance(it, Branch | Repeat):
                for buf in program.pool.reads(it.cond):
                    paths.setdefault(buf, []).append((*path, it))
            clock += 1
            span[it][1] = clock

    visit(program.body, ())
    lives = {}
    for buf, found in paths.items():
        if buf.kind != "temp":
            continue
        depth = 0
        while all(len(p) > depth + 1 and p[depth] is found[0][depth] for p in found):
            depth += 1
        lives[buf] = (min(span[p[depth]][0] for p in found), max(span[p[depth]][1] for p in found))
    return lives
