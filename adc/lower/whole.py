"""Lowering: an optimised program becomes one flat function of loops over buffers that the caller owns.

In: a `Function`.  Out: `lower(fn)`, a `Kernel` (see `kernel`), whose `source` is the text for Numba.

`state` (values and who is alive) → `arrays`, `control` (statements to loops) → `fuse` (loops that meet) → `plan`
(scratch buffers) → `text` (the source).  The loop language is in `nodes`.

>>> print(lower(fn).source)          # doctest: +SKIP
def double(x, n, out, report):
    for i in range(n):
        out[i] = 2.0 * x[i]
    return 0
"""

from __future__ import annotations

from adc.ir import I8, Atom, Block, Call, Copier, Function, Size, Sym, Var, building, current, inline, size, symbols
from adc.lower.control import lower_block
from adc.lower.improve import improve
from adc.lower.kernel import Buffer, Check, Kernel, Part
from adc.lower.lines import rows_on_lines
from adc.lower.nodes import Buf, Program, Store
from adc.lower.plan import plan_scratch
from adc.lower.rows import name_rows
from adc.lower.state import Lowering
from adc.lower.text import source_text


class _Inliner(Copier):
    """Copies a program with every call replaced by what is called."""

    def block(self, b: Block) -> Block:
        params = self.defines(b.params)
        with building(*params) as builder:
            for s in b.stmts:
                if isinstance(s, Call):
                    results = inline(flat(s.fn), self.atoms(s.args))
                    self.env.update(zip(s.outs, results, strict=True))
                else:
                    current().add(self.stmt(s))
        return builder.block(self.atoms(b.results))


def flat(fn: Function) -> Function:
    """`fn` without calls."""
    from adc.ir import walk

    if not any(isinstance(s, Call) for s in walk(fn.body)):
        return fn
    copier = _Inliner({p: p for p in fn.params})
    body = copier.block(Block((), fn.body.stmts, fn.body.results))
    return Function(fn.name, fn.params, body, fn.guards, fn.pos)


def loops(fn: Function) -> Program:
    """The program as loops, before anything is improved."""
    lo = Lowering(fn)
    program = lo.program
    with lo.block(Block(fn.params, fn.body.stmts, fn.body.results), False, program.body) as frame:
        lo.current = fn.body
        for p in fn.params:
            buf = Buf(p.hint or "x", p.type.dtype, p.type.dims, "param")
            if not p.type.dims and p.type.dtype == I8:
                buf.sym = Sym(p.hint or "k")
                lo.pool.locals[buf.sym] = buf
            program.params.append(buf)
            lo.bind(p, lo.stored(buf))
        lower_block(lo, fn.body)
        frame.pos = len(fn.body.stmts)
        lo.note = ""
        _results(lo, fn.results)
    return program


def _results(lo: Lowering, results: tuple[Atom, ...]) -> None:
    """Every result in a buffer of its own: the one it was computed in, if that can be the caller's."""
    program = lo.program
    owned: dict[int, Buf] = {}
    for k, a in enumerate(results):
        buf = lo.val(a).buf
        if a.type.dims and buf is not None and buf.kind == "temp" and not buf.swapped and buf.dims == a.type.dims:
            if buf not in owned.values():
                owned[k] = buf
    for k, a in enumerate(results):
        hint = (a.hint if isinstance(a, Var) else "") or "out"
        if k in owned:
            continue
        buf = Buf(hint, a.type.dtype, a.type.dims or (1,), "out")
        if a.type.dims:
            lo.evaluate_into(buf, a.type.dims, lo.val(a))
        else:
            lo.emit(Store(buf, (1,), (0,), lo.scalar(a)))
        owned[k] = buf
    for k in range(len(results)):
        owned[k].kind = "out"
        program.outs.append(owned[k])


def lower(fn: Function, workers: bool = True) -> Kernel:
    """The kernel of a program; `workers`: long loops are cut into chunks for several of them."""
    fn = flat(fn)
    program = loops(fn)
    improve(program, workers)
    scratch = plan_scratch(program)
    rows_on_lines(program, scratch)
    name_rows(program)
    sizes = tuple(dict.fromkeys(s for p in fn.params for d in p.type.dims for s in symbols(size(d))))
    run_time = tuple(
        dict.fromkeys(s for o in program.outs for d in o.dims if isinstance(d, Size) for s in symbols(d) if s not in sizes)
    )
    text, names, parts = source_text(program, sizes, scratch, run_time)

    def buffers(bufs: list[Buf]) -> tuple[Buffer, ...]:
        return tuple(Buffer(names[b], b.dtype, b.dims) for b in bufs)

    outs = tuple(
        Buffer(names[b], b.dtype, a.type.dims) for b, a in zip(program.outs, fn.results, strict=True)
    )
    return Kernel(
        names[program],
        buffers(program.params),
        sizes,
        outs,
        buffers(scratch),
        text,
        tuple(program.capacities),
        run_time,
        program.bounds,
        tuple(program.checks),
        fn.guards,
        tuple(program.routines.values()),
        tuple(Part(name) for name in parts),
        tuple(dict.fromkeys(program.story)),
    )


__all__ = ["Buffer", "Check", "Kernel", "lower"]
