"""Lowering: an optimised program becomes one flat function of loops over buffers that the caller owns.

`whole.lower(fn)` gives a `Kernel` (see `kernel`).  Imported from its room: a call from the cache needs only `kernel`.
"""
