"""Where there is no linker, or the cache lies where nothing may be executed: LLVM places an object in this process.

In: the bytes of an object.  Out: the addresses of its exported functions.  Imports llvmlite, never Numba.

>>> load_object(data)                          # doctest: +SKIP
{'adc_kernel': 140184462692352, 'adc_entry': 140184462692800}
"""

from __future__ import annotations

from typing import Any

from adc.backend import layout

_engines: list[Any] = []


def load_object(data: bytes) -> dict[str, int]:
    """The addresses of what a kernel exports."""
    return load_names(data, (layout.KERNEL, layout.ENTRY), (layout.RUNTIME_NAME, layout.PRODUCTS_NAME))


def load_names(data: bytes, functions: tuple[str, ...], words: tuple[str, ...] = ()) -> dict[str, int]:
    """The addresses of those of the functions and words that the object defines."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(reloc="pic", codemodel="default")
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(data))
    engine.finalize_object()
    _engines.append(engine)  # the code lives as long as the process
    found = {name: engine.get_function_address(name) for name in functions}
    found.update({name: engine.get_global_value_address(name) for name in words})
    return {name: address for name, address in found.items() if address}
