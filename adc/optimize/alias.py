"""What may share storage with what.

In: an op.  Out: is its result a view of its first argument (as NumPy prints it), or does it overwrite that?

    is_view(index op of rank > 0), overwrites(update op)   ->   True, True
"""

from __future__ import annotations

from adc.ir import Op, Update, View


def is_view(s: Op) -> bool:
    """May the result share the first argument's storage?"""
    if not s.outs or not s.args or not s.args[0].type.rank:
        return False
    if s.prim.name == "gather":  # by numbers it is plain indexing
        return s.args[1].type.rank == 0
    if isinstance(s.prim.loops, View):
        return not s.prim.loops.loads
    return s.prim.name == "reshape" or s.prim.numpy == "{0}"


def is_rename(s: Op) -> bool:
    """Is the result the whole of the first argument, as it is?"""
    return is_view(s) and s.prim.numpy == "{0}"


def overwrites(s: Op) -> bool:
    """Does the op store into its first argument?"""
    return isinstance(s.prim.loops, Update)
