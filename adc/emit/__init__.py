"""Programs as text: `numpy_source.numpy_source` for people, `kernel_source.kernel_source` for the compiler.

No decisions, only printing: the same program gives the same bytes.  Import the room that is needed; a call from the
cache needs neither.
"""
