"""Adjoints as a performance engineer would write them by hand, compiled by Numba: the peers to beat, one file per workload.

Serial kernels work on a range of independent items where there is one; `in_chunks` runs such a kernel on every thread.
"""
