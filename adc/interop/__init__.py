"""Compiled functions under the calling conventions that other libraries already have.

In: a derivative (or a plain function) and example arguments.  Out: a function inside Numba (`inside_numba`), SciPy's
callbacks and objectives (`for_scipy`), a log density for samplers (`density`), a plain C function (`c_abi`).

All stand on the kernel's own C function: `native` finds it, `adapter` writes the few instructions around it (scratch
memory, captured data, the order of arguments), which are compiled once and kept on disk as kernels are.

    low = adc.scipy_callable(adc.grad(f), 0.5)          # scipy.integrate.quad(low, 0.0, 1.0)
"""
