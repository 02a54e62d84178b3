"""Loops that meet: nests over the same extents become one, and what passes between them becomes a scalar.

In: a `Program` as `build` made it.  Out: the same program, faster, in place.

    for i: t[i] = sin(x[i])                       for i:
    for i: y[i] = t[i] * a              ->            t = sin(x[i])
                                                      y[i] = t * a

Two loops are merged when every pair of accesses that must keep its order meets in one iteration: some axis has the same
coordinate, linear in the loop's variable, in both.  The bodies are then treated in the same way.  A buffer that is used
in one iteration only loses that axis; one that loses all is a local variable.
"""

from __future__ import annotations

from collections.abc import Iterable

from adc.ir import Dim, Size, Sym, size, symbols
from adc.lower.nodes import (
    Access,
    Branch,
    Buf,
    CallFn,
    Exit,
    Expr,
    Item,
    Load,
    Loop,
    Pool,
    Program,
    Repeat,
    Store,
    Swap,
    bodies,
    items,
)


def improve(program: Program) -> None:
    settle_capacities(program)
    fuser = Fuser(program.pool)
    fuser.fuse(program.body)
    remove_dead(program)
    contract(program)
    coalesce(program)
    swap_copies(program)


def settle_capacities(program: Program) -> None:
    """Number the sizes that buffers grow with; no question is asked about the others."""
    pool = program.pool
    dims = [d for it in items(program.body) for a in pool.accesses(it) if a.buf.kind != "local" for d in a.buf.dims]
    needed: set[Sym] = set()
    todo = [s for d in dims for s in symbols(size(d))]
    while todo:
        s = todo.pop()
        if s not in needed:
            needed.add(s)
            todo.extend(symbols(size(program.bounds.get(s, 0))))

    def visit(body: list[Item]) -> None:
        for it in list(body):
            for inner in bodies(it):
                visit(inner)
            if isinstance(it, Exit) and it.capacity is not None:
                if it.capacity not in needed:
                    body.remove(it)
                    continue
                program.capacities.append(it.capacity)
                it.code = -len(program.capacities)

    visit(program.body)
    program.bounds = {s: d for s, d in program.bounds.items() if s in needed}


# ---------------------------------------------------------------- merging loops


class Fuser:
    def __init__(self, pool: Pool):
        self.pool = pool
        self.known: dict[Item, list[Access]] = {}
        self.sets: dict[Item, tuple[frozenset[Buf], frozenset[Buf]]] = {}

    def accesses(self, it: Item) -> list[Access]:
        if it not in self.known:
            self.known[it] = list(dict.fromkeys(self.pool.accesses(it)))
        return self.known[it]

    def touched(self, it: Item) -> tuple[frozenset[Buf], frozenset[Buf]]:
        """(read, written)"""
        if it not in self.sets:
            found = self.accesses(it)
            written = frozenset(a.buf for a in found if a.writes)
            # combining reads too, but commutes; `apart` looks at the modes
            self.sets[it] = frozenset(a.buf for a in found if a.mode != "set"), written
        return self.sets[it]

    def conflict(self, a: Item, b: Item) -> bool:
        """Must these two keep their order?"""
        (ra, wa), (rb, wb) = self.touched(a), self.touched(b)
        return bool(wa & (rb | wb) or wb & ra)

    def fuse(self, body: list[Item]) -> None:
        k = 0
        while k < len(body):
            it = body[k]
            merged = False
            if isinstance(it, Loop) and it.nest:
                for j in range(k - 1, -1, -1):
                    other = body[j]
                    if _exits(other):
                        break
                    if isinstance(other, Loop) and other.nest and other.count == it.count and self.merge(body, j, k):
                        merged = True
                        break
            if not merged:
                k += 1
        for it in body:
            for inner in bodies(it):
                self.fuse(inner)

    def merge(self, body: list[Item], j: int, k: int) -> bool:
        """Merge loop `k` into loop `j`, moving what `k` needs before it."""
        first, second = body[j], body[k]
        assert isinstance(first, Loop) and isinstance(second, Loop)
        needed: list[int] = []
        for m in range(k - 1, j, -1):
            if any(self.conflict(body[m], body[h]) for h in (k, *needed)):
                needed.append(m)
        if any(self.conflict(body[j], body[m]) for m in needed):
            return False
        rename = {second.var: size(first.var)}
        moved = [self.renamed(a, rename) for a in self.accesses(second)]
        if not self.meet(self.accesses(first), moved, first.var):
            return False
        for it in second.body:
            rename_item(self.pool, it, rename)
        joint = Loop(first.var, first.count, [*first.body, *second.body], first.reverse, True, first.note)
        self.known[joint] = list(dict.fromkeys([*self.accesses(first), *moved]))
        for it in items(second.body):
            self.known.pop(it, None)
            self.sets.pop(it, None)
        rest = [body[m] for m in range(j + 1, k) if m not in needed]
        body[j : k + 1] = [*(body[m] for m in sorted(needed)), joint, *rest]
        return True

    def renamed(self, a: Access, table: dict[Sym, Dim]) -> Access:
        return Access(a.buf, a.dims, tuple(self.pool.subst_dim(c, table) for c in a.coords), a.mode)

    def meet(self, first: Iterable[Access], second: Iterable[Access], var: Sym) -> bool:
        by_buf: dict[Buf, list[Access]] = {}
        for a in first:
            by_buf.setdefault(a.buf, []).append(a)
        for b in second:
            for a in by_buf.get(b.buf, ()):
                if not (a.writes or b.writes) or (a.mode == b.mode and a.mode not in ("set", "read")):
                    continue
                if a.dims != b.dims or not any(x == y and moves(self.pool, x, var) for x, y in zip(a.coords, b.coords, strict=False)):
                    return False
        return True


def _exits(it: Item) -> bool:
    return any(isinstance(x, Exit) for x in items([it]))


def moves(pool: Pool, d: Dim, var: Sym) -> bool:
    """Is the coordinate another one in every iteration of `var`?"""
    if not isinstance(d, Size) or any(s in pool.opaque for s in symbols(d)):
        return False
    return [m for m, _ in d.terms if var in symbols(Size(((m, 1),)))] == [(var,)]


def rename_item(pool: Pool, it: Item, table: dict[Sym, Dim]) -> None:
    memo: dict[Expr, Expr] = {}

    def dim(d: Dim) -> Dim:
        return pool.subst_dim(d, table, memo)

    for x in items([it]):
        match x:
            case Store():
                x.dims, x.coords = tuple(map(dim, x.dims)), tuple(map(dim, x.coords))
                x.value = pool.subst(x.value, table, memo)
            case Loop():
                x.count = dim(x.count)
            case Branch() | Repeat() | Exit():
                x.cond = pool.subst(x.cond, table, memo)
            case CallFn():
                x.args = tuple(a if isinstance(a, Buf) else pool.subst(a, table, memo) for a in x.args)


# ---------------------------------------------------------------- stores that nobody reads


def remove_dead(program: Program) -> None:
    pool = program.pool
    while True:
        read: set[Buf] = set()
        for it in items(program.body):
            inner = bodies(it)
            if inner:
                continue
            read.update(a.buf for a in pool.accesses(it) if not a.writes)
            if isinstance(it, CallFn):
                read.update(it.outs)
            elif isinstance(it, Swap):
                read.update((it.a, it.b))
        for it in items(program.body):
            if isinstance(it, Branch | Repeat):
                read |= pool.reads(it.cond)
            elif isinstance(it, Loop):
                read.update(pool.dim_reads(it.count))
        if not _sweep(program.body, lambda b: b.kind in ("temp", "local") and b not in read):
            return


def _sweep(body: list[Item], dead) -> bool:  # type: ignore[no-untyped-def]
    changed = False
    for it in list(body):
        for inner in bodies(it):
            changed |= _sweep(inner, dead)
        empty = isinstance(it, Loop | Branch) and not any(bodies(it))
        if empty or (isinstance(it, Store) and dead(it.buf)):
            body.remove(it)
            changed = True
    return changed


# ---------------------------------------------------------------- buffers that shrink


def contract(program: Program) -> None:
    """Drop the axes of a buffer that only one iteration of a loop looks at."""
    pool = program.pool
    found: dict[Buf, list[tuple[Access, tuple[Loop, ...]]]] = {}

    def visit(body: list[Item], stack: tuple[Loop, ...]) -> None:
        for it in body:
            inner = bodies(it)
            if inner:
                shell: Item
                if isinstance(it, Loop):
                    shell = Loop(it.var, it.count, [])
                elif isinstance(it, Branch):
                    shell = Branch(it.cond, [], [])
                else:
                    assert isinstance(it, Repeat)
                    shell = Repeat([], it.cond, [])
                for a in pool.accesses(shell):
                    found.setdefault(a.buf, []).append((a, stack))
                for b in inner:
                    visit(b, (*stack, it) if isinstance(it, Loop) else stack)
            else:
                for a in pool.accesses(it):
                    found.setdefault(a.buf, []).append((a, stack))

    visit(program.body, ())
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}
    for buf, uses in found.items():
        if buf.kind != "temp" or buf.swapped or any(a.dims != buf.dims or len(a.coords) != len(buf.dims) for a, _ in uses):
            continue
        common = uses[0][1]
        for _, stack in uses:
            common = tuple(x for x, y in zip(common, stack, strict=False) if x is y)
        first = uses[0][0].coords
        gone = []
        for axis in range(len(buf.dims)):
            c = first[axis]
            if any(a.coords[axis] != c for a, _ in uses):
                continue
            if isinstance(c, int) or any(moves(pool, c, loop.var) for loop in common):
                gone.append(axis)
        keep = tuple(k for k in range(len(buf.dims)) if k not in gone)
        if len(keep) == len(buf.dims):
            continue
        if keep:
            new[buf] = Buf(buf.hint, buf.dtype, tuple(buf.dims[k] for k in keep)), keep
        else:
            new[buf] = pool.local(buf.hint, buf.dtype), ()
    if new:
        replace_buffers(program, new)


def replace_buffers(program: Program, new: dict[Buf, tuple[Buf, tuple[int, ...]]]) -> None:
    """Every access to `buf` becomes one to its replacement, with the axes that are kept."""
    pool = program.pool
    memo: dict[Expr, Expr] = {}

    def swap(e: Load) -> Expr | None:
        if e.buf not in new:
            return None
        buf, keep = new[e.buf]
        return pool.load(buf, tuple(e.dims[k] for k in keep), tuple(e.coords[k] for k in keep))

    def expr(e: Expr) -> Expr:
        return pool.replace(e, swap, memo)

    def dim(d: Dim) -> Dim:
        return pool.replace_dim(d, swap, memo)

    for it in items(program.body):
        match it:
            case Store():
                it.value, it.coords = expr(it.value), tuple(map(dim, it.coords))
                if it.buf in new:
                    buf, keep = new[it.buf]
                    it.buf, it.dims, it.coords = buf, tuple(it.dims[k] for k in keep), tuple(it.coords[k] for k in keep)
            case Branch() | Repeat() | Exit():
                it.cond = expr(it.cond)
            case CallFn():
                it.args = tuple((new[a][0] if a in new else a) if isinstance(a, Buf) else expr(a) for a in it.args)
                it.outs = tuple(new[b][0] if b in new else b for b in it.outs)
            case Swap():
                it.a, it.b = (new[x][0] if x in new else x for x in (it.a, it.b))


def coalesce(program: Program) -> None:
    """`sum_2 = sum_1`, where sum_1 has its last value: one variable."""
    writes: dict[Buf, int] = {}
    for it in items(program.body):
        if isinstance(it, Store) and it.buf.kind == "local":
            writes[it.buf] = writes.get(it.buf, 0) + 1
    new: dict[Buf, tuple[Buf, tuple[int, ...]]] = {}

    def visit(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                visit(inner)
        made: dict[Buf, int] = {}
        for k, it in enumerate(body):
            if isinstance(it, Store) and it.buf.kind == "local" and it.mode == "set":
                made.setdefault(it.buf, k)
        for k, it in enumerate(body):
            if not (isinstance(it, Store) and it.buf.kind == "local" and it.mode == "set" and isinstance(it.value, Load)):
                continue
            a, b = it.buf, it.value.buf
            if b.kind != "local" or a.sym or b.sym or writes[a] != 1 or made.get(b, k) >= k or b in new:
                continue
            before = sum(isinstance(x, Store) and x.buf is b for x in items(body[:k]))
            if before == writes.get(b) and a.dtype == b.dtype:
                new[a] = b, ()
                body[k] = Loop(Sym("i"), 0, [])  # goes below

    visit(program.body)
    if new:
        for a, (b, _) in list(new.items()):
            while b in new:
                b = new[b][0]
            new[a] = b, ()
        replace_buffers(program, new)
        _sweep(program.body, lambda b: False)


# ---------------------------------------------------------------- copies that become exchanges


def swap_copies(program: Program) -> None:
    """At the end of a loop's body, `carry[:] = new[:]` becomes an exchange of the two pointers."""
    pool = program.pool
    outside: list[Item] = []

    def visit(body: list[Item]) -> None:
        for it in body:
            for inner in bodies(it):
                visit(inner)
            if (isinstance(it, Loop) and not it.nest) or isinstance(it, Repeat):
                loop_body = it.body
                for m in range(len(loop_body) - 1, -1, -1):
                    copy = as_copy(loop_body[m])
                    if copy is None:
                        continue
                    target, origin = copy
                    if exchangeable(loop_body, m, target, origin):
                        loop_body[m] = Swap(target, origin, loop_body[m].note)
                        target.swapped = origin.swapped = True
                        if target.kind == "out":
                            outside.append(_deliver(program, target))

    def exchangeable(body: list[Item], m: int, target: Buf, origin: Buf) -> bool:
        if origin.kind != "temp" or origin.swapped or target.swapped or target.kind not in ("temp", "out"):
            return False
        if target.dims != origin.dims or target.dtype != origin.dtype:
            return False
        inside = sum(a.buf is origin for x in body for a in pool.accesses(x))
        if inside != sum(a.buf is origin for x in program.body for a in pool.accesses(x)):
            return False
        if any(a.buf in (origin, target) for x in body[m + 1 :] for a in pool.accesses(x)):
            return False
        first = next(x for x in body if any(a.buf is origin for a in pool.accesses(x)))
        return fills(first, origin)

    visit(program.body)
    program.body.extend(outside)


def _deliver(program: Program, buf: Buf) -> Item:
    """A result that is exchanged in a loop is computed in scratch, and copied at the end."""
    out = Buf(buf.hint, buf.dtype, buf.dims, "out")
    buf.kind = "temp"
    program.outs[program.outs.index(buf)] = out
    names = [Sym("ijklmn"[min(k, 5)]) for k in range(len(buf.dims))]
    at = tuple(0 if d == 1 else size(s) for s, d in zip(names, buf.dims, strict=True))
    body: list[Item] = [Store(out, buf.dims, at, program.pool.load(buf, buf.dims, at))]
    for s, d in reversed(list(zip(names, buf.dims, strict=True))):
        if d != 1:
            body = [Loop(s, d, body)]
    return body[0]


def _nest(it: Item) -> tuple[list[Loop], Item | None]:
    loops = []
    while isinstance(it, Loop) and it.nest:
        loops.append(it)
        if len(it.body) != 1:
            return loops, None
        it = it.body[0]
    return loops, it


def _covers(loops: list[Loop], s: Store) -> bool:
    wide = [(c, d) for c, d in zip(s.coords, s.dims, strict=True) if d != 1]
    have = {loop.var: loop.count for loop in loops}
    found = [next((v for v in have if c == size(v) and have[v] == d), None) for c, d in wide]
    return None not in found and len(set(found)) == len(found) == len(loops) and s.dims == s.buf.dims


def as_copy(it: Item) -> tuple[Buf, Buf] | None:
    """(to, from) if the item copies one whole buffer to another."""
    loops, s = _nest(it)
    if not isinstance(s, Store) or s.mode != "set" or not loops or not _covers(loops, s):
        return None
    e = s.value
    if isinstance(e, Load) and e.dims == s.dims and e.coords == s.coords and e.buf is not s.buf:
        return s.buf, e.buf
    return None


def fills(it: Item, buf: Buf) -> bool:
    """Does the item, before anything else, write every element of the buffer?"""
    loops: list[Loop] = []

    def search(x: Item) -> bool:
        if isinstance(x, Store):
            return x.buf is buf and x.mode == "set" and _covers(loops, x)
        if isinstance(x, Loop) and x.nest:
            loops.append(x)
            if any(search(y) for y in x.body):
                return True
            loops.pop()
        return False

    return search(it) if not isinstance(it, CallFn) else buf in it.outs


__all__ = ["improve", "replace_buffers"]
