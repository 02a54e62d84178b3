"""Own native code that every kernel shares: text of LLVM's language, made into a library once and kept in the cache.

In: a name, how to write the text, all that the text depends on, and what it exports.  Out: `library(…)`: where each export
stands in this process.

A warm process opens the library with ctypes.  Making it needs llvmlite, and is done where a kernel is compiled anyway.

>>> text = "define i64 @answer() { ret i64 42 }"
>>> library("answer", lambda: text, text, ("answer",))["answer"] != 0
True
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from adc.backend import cache


def library(
    name: str, write: Callable[[], str], meaning: str, exports: Sequence[str], processor: str = "", make: bool = True
) -> dict[str, int]:
    """The addresses of the exports; without `make` only if it was made before, else empty.

    `meaning`: another one, another text.  `processor`: what the text was written for beyond the machine's first processor
    ("": nothing); LLVM may then use all that this processor has.  Raises: OSError where the system refuses to load it, RuntimeError
    where LLVM refuses the text.
    """
    words = f"{meaning}\0{processor}\0{sys.platform}\0{platform.machine()}\0{cache.FORMAT}"
    key = f"{name}-{hashlib.sha256(words.encode()).hexdigest()[:48]}"
    if found := _kept(key, exports):
        return found
    if not make:
        return {}
    from adc.backend.compile import link

    data = _object(write(), bool(processor))
    made = link(data, libraries=("-lpthread",))
    if made is not None:
        found = _opened(cache.store(key, cache.LIBRARY, made), exports)
        if found:
            return found
    found = _opened(cache.store(key, cache.OBJECT, data), exports)
    if not found:
        raise OSError(f"the library {name} cannot be loaded")
    return found


def _kept(key: str, exports: Sequence[str]) -> dict[str, int]:
    """The addresses of the exports, if the library is in the cache."""
    return next((found for path in cache.fetch(key) if (found := _opened(path, exports))), {})


def _object(text: str, all_features: bool) -> bytes:
    """The object of a text, for the machine's first processor or this very one."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(text)
    module.verify()
    cpu, features = "", ""
    if all_features:
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=2, reloc="pic", codemodel="default")
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(1)  # the texts say themselves what is unrolled, and what lies side by side
    options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def _opened(path: Path, exports: Sequence[str]) -> dict[str, int]:
    """Empty where the system does not load it, or it lacks an export."""
    if path.suffix == cache.OBJECT:
        from adc.backend.inprocess import load_names

        found = load_names(cache.content(path), tuple(exports))
        return found if len(found) == len(exports) else {}
    try:
        opened = ctypes.CDLL(str(path))
        return {name: ctypes.addressof(ctypes.c_uint64.in_dll(opened, name)) for name in exports}
    except (OSError, ValueError):
        return {}


__all__ = ["library"]
