"""Derivatives as files: `adc build` writes libraries with a plain C interface, `adc.load` calls them from Python.

In: functions, signatures, transformations (`spec`).  Out: a folder with a shared library, its header, its manifest
(`build`); from that folder callables (`load`) that need neither the user's source nor a compiler.

`spec` (what is asked for) → `forms` (the transformations) → `make` (one function: objects and record) → `prototype`,
`glue` (its C functions) → `texts` (header, CMake, pkg-config) → `build` (the files).  `frames` and `manifest` are what
is written down; `load` reads it again.

    adc build model:loss --sig "f8[d], f8[n, d], f8[n]" --transform value_and_grad --out build
"""
