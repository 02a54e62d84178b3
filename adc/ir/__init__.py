"""The language in the middle: typed SSA.  Read `program` (the grammar), then `dims`, `primitive`, `build`."""

import adc.ir.evaluate  # first: loaded later, the module would replace the function `evaluate` of this package
from adc.ir.build import at, build_for, build_if, build_while, building, current, guard, guarding, here, literal, trace
from adc.ir.dims import Dim, Size, Sym, at_least, dim_max, dim_min, evaluate, product, size, substitute, symbols
from adc.ir.primitive import (
    Contraction,
    Pointwise,
    Primitive,
    Reduction,
    Routine,
    Sample,
    Special,
    Update,
    View,
)
from adc.ir.program import (
    B1,
    F4,
    F8,
    I4,
    I8,
    OPERATORS,
    Atom,
    Block,
    Call,
    For,
    Function,
    Guard,
    If,
    Lit,
    Op,
    Params,
    Stmt,
    Tensor,
    Var,
    While,
    blocks,
    free_vars,
    inputs,
    scalar,
    stmt_uses,
    subst_dims,
    walk,
)
from adc.ir.rewrite import Copier, bind_sizes, inline, rename_sizes
from adc.ir.text import Names, text
from adc.ir.verify import verify

__all__ = [
    "at", "at_least", "Atom", "B1", "bind_sizes", "Block", "blocks", "build_for", "build_if", "build_while",
    "building", "Call", "Contraction", "Copier", "current", "Dim", "dim_max", "dim_min", "evaluate", "F4", "F8",
    "For", "free_vars", "Function", "guard", "Guard", "guarding", "here", "I4", "I8", "If", "inline", "inputs", "Lit", "literal",
    "Names", "Op", "OPERATORS", "Params", "Pointwise", "Primitive", "product", "Reduction", "rename_sizes",
    "Routine", "Sample", "scalar", "Size", "size", "Special", "Stmt", "stmt_uses", "subst_dims", "substitute",
    "Sym", "symbols", "Tensor", "text", "trace", "Update", "Var", "verify", "View", "walk", "While",
]  # fmt: skip
