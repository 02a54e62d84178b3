"""Scratch: which buffers may share memory.

In: a program after `improve`.  Out: the scratch buffers; others of the same dtype and dims were replaced by them where
their lives do not overlap.  A buffer lives from the first to the last item that touches it, in the innermost list of
items that holds all of its accesses.  Two that change places are a pair: another pair may follow them, also one that is larger by a rim, or
that is made in the very nest that looks at the first for the last time, element by element.

    t and u of n floats, t dead before u is written   ->   one scratch buffer
"""

from __future__ import annotations

from adc.ir import size
from adc.lower.boxes import box
from adc.lower.nodes import Branch, Buf, Item, Loop, Program, Repeat, Store, Swap, bodies, items
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
    for names in rings(program):  # each of them may be any of the blocks
        mine = [b for b in names if b in lives]
        if mine:
            together = min(lives[b][0] for b in mine), max(lives[b][1] for b in mine)
            lives.update(dict.fromkeys(mine, together))
    kept: list[tuple[Buf, list[tuple[int, int]]]] = []
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}
    for buf in sorted(lives, key=lambda b: lives[b][0]):
        if buf in new:
            continue
        start, end = lives[buf]
        other = partner.get(buf)
        if other is not None and other in lives and not {buf, other} & lonely and lives[other] == (start, end):
            pair = _pair(program, buf, other, (start, end), kept, partner, lonely)
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


def rings(program: Program) -> list[set[Buf]]:
    """Buffers that change places with one another, in twos or more."""
    out: list[set[Buf]] = []
    for it in items(program.body):
        if isinstance(it, Swap):
            mine = {it.a, it.b}.union(*(r for r in out if r & {it.a, it.b}))
            out = [*(r for r in out if not r & mine), mine]
    return out


def _pair(
    program: Program, buf: Buf, other: Buf, life: tuple[int, int], kept: list[tuple[Buf, list[tuple[int, int]]]], partner: dict[Buf, Buf], lonely: set[Buf]
) -> tuple[Buf, Buf] | None:
    """Two buffers that changed places before, and are free: they are made as large as the larger of the two pairs."""
    taken = dict(kept)
    for owner, _ in kept:
        second = partner.get(owner)
        if second is None or second not in taken or {owner, second} & lonely or owner.dtype != buf.dtype or second is owner:
            continue
        busy = [(b, e) for b in (owner, second) for s, e in taken[b] if life[0] <= e and s <= life[1]]
        if busy and not (owner.dims == buf.dims and all(_in_place(program, life[0], e, (buf, other), (owner, second)) for _, e in busy)):
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


def _in_place(program: Program, start: int, end: int, new: tuple[Buf, Buf], old: tuple[Buf, Buf]) -> bool:
    """Do the new ones begin in the nest in which the old ones end, each element after its last look at the old?"""
    item = next((it for it, (s, e) in spans(program).items() if s == start and e == end), None)
    if item is None or any(a.buf in old and a.writes for a in program.pool.accesses(item)):
        return False
    loops: list[Loop] = []
    while isinstance(item, Loop) and item.nest and len(item.body) == 1 and isinstance(item.body[0], Loop):
        loops.append(item)
        item = item.body[0]
    if not isinstance(item, Loop) or not item.nest or not all(isinstance(s, Store) for s in item.body):
        return False
    loops.append(item)
    places, set_already = set(), False
    for s in item.body:
        found = program.pool.accesses(s)
        if set_already and any(a.buf in old for a in found):
            return False
        places |= {(a.dims, a.coords) for a in found if a.buf in (*old, *new)}
        set_already |= any(a.buf in new for a in found)
        if any(a.buf in new and (not a.writes or a.mode != "set") for a in found):
            return False
    if len(places) != 1:
        return False
    ((dims, coords),) = places
    return dims == old[0].dims and box(loops, coords) is not None


def spans(program: Program) -> dict[Item, tuple[int, int]]:
    """Where each item begins and ends, by the clock of `lifetimes`."""
    out: dict[Item, tuple[int, int]] = {}
    clock = 0

    def visit(body: list[Item]) -> None:
        nonlocal clock
        for it in body:
            clock += 1
            begin = clock
            for b in bodies(it):
                visit(b)
            clock += 1
            out[it] = begin, clock

    visit(program.body)
    return out


def lifetimes(program: Program) -> dict[Buf, tuple[int, int]]:
    """Positions of the first and the last item of each buffer's life."""
    span = spans(program)
    paths: dict[Buf, list[tuple[Item, ...]]] = {}

    def visit(body: list[Item], path: tuple[Item, ...]) -> None:
        for it in body:
            inner = bodies(it)
            for b in inner:
                visit(b, (*path, it))
            if not inner:
                for a in program.pool.accesses(it):
                    paths.setdefault(a.buf, []).append((*path, it))
            elif isinstance(it, Branch | Repeat):
                for buf in program.pool.reads(it.cond):
                    paths.setdefault(buf, []).append((*path, it))

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
