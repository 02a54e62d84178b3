"""Scratch: which buffers may share memory.

In: a program after `improve`.  Out: the scratch buffers; others of the same dtype and dims were replaced by them where
their lives do not overlap.  A buffer lives from the first to the last item that touches it, in the innermost list of
items that holds all of its accesses.  Two that change places are a pair: another pair may follow them, also one that is larger by a rim.

    t and u of n floats, t dead before u is written   ->   one scratch buffer
"""

from __future__ import annotations

from adc.ir import size
from adc.lower.nodes import Branch, Buf, Item, Program, Repeat, Swap, bodies, items
from adc.lower.rewrite import replace_buffers


def plan_scratch(program: Program) -> list[Buf]:
    lives = lifetimes(program)
    partner: dict[Buf, Buf] = {}
    lonely: set[Buf] = set()
    for it in items(program.body):
        if isinstance(it, Swap):  # two names for the same two blocks
            for a, b in ((it.a, it.b), (it.b, it.a)):
                if partner.setdefault(a, b) is not b:
                    lonely |= {a, b, partner[a]}  # three names
            both = (*lives[it.a], *lives[it.b]) if it.a in lives and it.b in lives else ()
            for b in (it.a, it.b):
                if both:
                    lives[b] = (min(both[0], both[2]), max(both[1], both[3]))
    kept: list[tuple[Buf, list[tuple[int, int]]]] = []
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}
    for buf in sorted(lives, key=lambda b: lives[b][0]):
        if buf in new:
            continue
        start, end = lives[buf]
        other = partner.get(buf)
        if other is not None and other in lives and not {buf, other} & lonely and lives[other] == (start, end):
            pair = _pair(buf, other, (start, end), kept, partner, lonely)
            if pair is not None:
                new[buf], new[other] = ((owner, tuple(range(len(buf.dims)))) for owner in pair)
                continue
        for owner, taken in kept:
            same = owner.dtype == buf.dtype and owner.dims == buf.dims and not (owner.swapped or buf.swapped)
            if same and all(end < s or e < start for s, e in taken):
                taken.append((start, end))
                new[buf] = owner, tuple(range(len(buf.dims)))
                break
        else:
            kept.append((buf, [(start, end)]))
    if new:
        replace_buffers(program, {**new})  # every access says with which shape it sees its buffer
    return [b for b, _ in kept]


def _pair(
    buf: Buf, other: Buf, life: tuple[int, int], kept: list[tuple[Buf, list[tuple[int, int]]]], partner: dict[Buf, Buf], lonely: set[Buf]
) -> tuple[Buf, Buf] | None:
    """Two buffers that changed places before, and are free: they are made as large as the larger of the two pairs."""
    taken = dict(kept)
    for owner, lives in kept:
        second = partner.get(owner)
        if second is None or second not in taken or {owner, second} & lonely or owner.dtype != buf.dtype or second is owner:
            continue
        if any(life[0] <= e and s <= life[1] for s, e in (*lives, *taken[second])):
            continue
        if len({owner.dims, second.dims}) > 1 or len({buf.dims, other.dims}) > 1 or len(owner.dims) != len(buf.dims):
            continue
        more = [size(a) - b for a, b in zip(buf.dims, owner.dims, strict=True)]
        if not (all(isinstance(d, int) and d >= 0 for d in more) or all(isinstance(d, int) and d <= 0 for d in more)):
            continue
        if any(isinstance(d, int) and d > 0 for d in more):
            owner.dims = second.dims = buf.dims
        for x in (owner, second):
            taken[x].append(life)
        return owner, second
    return None


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
