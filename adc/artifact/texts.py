"""The texts beside a library: its C header, a CMake config, a pkg-config file.

In: the prototypes of a library.  Out: texts; the same library gives the same bytes.

    #include "model.h"
    int code = loss_vg(w, X, y, d, n, &value, gradient, scratch);
    if (code) puts(model_strerror(code));
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adc.artifact.prototype import CODES, Argument, Prototype, first_codes
from adc.backend import layout

INTRODUCTION = """\
Calling a function
  Arrays are C-ordered (the last axis is contiguous) and aligned to their elements.  Everything belongs to the caller: inputs
  are only read, results are overwritten from their start, nothing is allocated, kept or freed.  Inputs, results and scratch must
  not overlap each other.  Functions may be called from any number of threads at once, with a scratch block each.
  Scratch is working memory of at least NAME_scratch_bytes(sizes) bytes at any address; it may be NULL where that is 0.
  Sizes are the extents of axes, once each; the shapes below tell which.  An axis with a name must have at least 2 elements.

Results
  0 is success.  A positive code is a condition of this library's functions that does not hold (sizes that do not agree, an
  assertion or an index of the program itself); {library}_strerror(code) tells it in words.  Negative codes are below.  Where
  the code is not 0 the results are undefined, the inputs unchanged."""


def comment(text: str) -> str:
    return text.replace("*/", "* /")


def shape_text(shape: Sequence[int | str]) -> str:
    return f"[{']['.join(map(str, shape))}]" if shape else ""


def argument_line(p: Prototype, a: Argument, width: int) -> str:
    """What one argument is: `w          double[d]: input`."""
    if a.kind in ("size", "capacity"):
        return f" *   {a.name:<{width}}  {a.role}"
    if a.kind == "scratch":
        return f" *   {a.name:<{width}}  {p.symbol}_scratch_bytes({', '.join(s.name for s in p.of_kind('size', 'capacity'))}) bytes"
    base = a.type.replace("const ", "").replace(" *", "")
    room = ""
    if a.kind == "result":
        k = p.of_kind("result").index(a)
        if a.shape != p.room(k):
            room = f", C-ordered; make room for {shape_text(p.room(k))}"
    return f" *   {a.name:<{width}}  {base}{shape_text(a.shape) or ('' if a.kind == 'input' else '[1]')}: {comment(a.role)}{room}"


def function_text(p: Prototype, first: int) -> str:
    """The comment and the prototypes of one function."""
    record = p.record
    width = max(len(a.name) for a in p.arguments)
    wrt = "" if record["transform"] == "primal" else f" by argument {record['wrt']}"
    lines = [f"/* {record['transform']} of {record['function']}{wrt}: {comment(record['sig'])}", " *"]
    lines += [argument_line(p, a, width) for a in p.arguments]
    if record["captures"]:
        kept = ", ".join(f"{c['name']}{shape_text(c['shape'])}" for c in record["captures"])
        lines += [" *", f" * As it was when built: {comment(kept)}."]
    if p.messages:
        lines += [" *", " * Codes:"]
        lines += [f" *   {first + k:<4} {comment(m)}" for k, m in enumerate(p.messages)]
    return "\n".join([*lines, " */", f"{p.declaration};", f"{p.scratch_declaration};", ""])


THREADS = """\
#ifndef ADC_RUNTIME
#define ADC_RUNTIME
/* What a host may lend to a library; a member may be NULL.
 * run: call chunk(context, k, k + 1, 0) once for every k from 0 to count - 1, on any threads, and return when all are done: 0, or
 *   what the failing chunk of the lowest k returned.
 * dgemm, sgemm: cblas_dgemm and cblas_sgemm of a BLAS with 64-bit integers, cast to this type; called from several threads at once.
 * blas_get, blas_set: how many threads that BLAS uses by itself; kept at 1 during a product. */
typedef struct {{
{members}
}} adc_runtime;
#endif

/* Long loops can be shared between threads; results are the same to the last bit, however many there are.
 * {library}_set_num_threads: from now on n threads, the calling one included, share each call; returns n (0 where n
 *   makes no sense).  They are made when first needed and sleep when there is nothing to do.  A forked child calls it again.
 * {library}_set_runtime: the host's own threads and products instead; the table must live as long as it is used; NULL: one thread.
 * Neither may be called while functions of this library run. */
int {library}_set_num_threads(int n);
void {library}_set_runtime(const adc_runtime *table);
"""
MEMBERS = {
    "run": "int64_t (*run)(int64_t (*chunk)(void *context, int64_t begin, int64_t end, int64_t worker), void *context, int64_t count)",
    "dgemm": "void (*dgemm)(void)",
    "sgemm": "void (*sgemm)(void)",
    "blas_get": "int (*blas_get)(void)",
    "blas_set": "void (*blas_set)(int)",
}


def threads_text(library: str) -> str:
    """How a library is given threads."""
    order = sorted(layout.RUNTIME, key=lambda name: layout.RUNTIME[name])
    return "\n" + THREADS.format(library=library, members="\n".join(f"    {MEMBERS[name]};" for name in order))


def header(library: str, prototypes: Sequence[Prototype], levels: Sequence[str], version: str) -> str:
    """The header of a library."""
    guard = f"{library.upper()}_H"
    codes = "\n".join(f"#define {name} ({value}) /* {text} */" for name, (value, text) in CODES.items())
    functions = "\n".join(function_text(p, first) for p, first in zip(prototypes, first_codes(prototypes), strict=True))
    introduction = "\n".join(f" * {line}".rstrip() for line in INTRODUCTION.format(library=library).splitlines())
    return f"""\
/* {library}: written by adc {version}.
 *
{introduction}
 */
#ifndef {guard}
#define {guard}

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#ifndef ADC_CODES
#define ADC_CODES
{codes}
#define ADC_SINGLE_LIBRARY
#endif

{functions}
/* What a code says.  Codes are a library's own: where the headers of several libraries are included, adc_strerror is not defined. */
const char *{library}_strerror(int code);
#undef adc_strerror
#ifdef ADC_SINGLE_LIBRARY
#undef ADC_SINGLE_LIBRARY
#define adc_strerror {library}_strerror
#endif

/* The processor levels of this library: {', '.join(f'{k} {name}' for k, name in enumerate(levels))}.
 * {library}_level: the one in use, the last that the processor has; -1 where it has none.
 * {library}_set_level: use another one from now on (results are the same on all processors of one level);
 *   ADC_ERROR_PROCESSOR where the processor does not have it.
 */
int {library}_level(void);
int {library}_set_level(int level);
const char *{library}_level_name(int level);
{threads_text(library) if any(p.shares for p in prototypes) else ""}
#ifdef __cplusplus
}}
#endif

#endif
"""


def cmake(library: str, shared: str | None, static: str | None) -> str:
    """`find_package(LIBRARY)` gives the targets adc::LIBRARY and adc::LIBRARY_static."""

    def target(name: str, kind: str, file: str) -> str:
        link = "\n  INTERFACE_LINK_LIBRARIES \"m;pthread\"" if kind == "STATIC" else ""
        return f"""\
if(NOT TARGET {name})
  add_library({name} {kind} IMPORTED)
  set_target_properties({name} PROPERTIES
  IMPORTED_LOCATION "${{CMAKE_CURRENT_LIST_DIR}}/{file}"
  INTERFACE_INCLUDE_DIRECTORIES "${{CMAKE_CURRENT_LIST_DIR}}"{link})
endif()
"""

    parts = [target(f"adc::{library}", "SHARED", shared)] if shared else []
    parts += [target(f"adc::{library}_static", "STATIC", static)] if static else []
    return "\n".join(parts)


def pkg_config(library: str, version: str) -> str:
    """`pkg-config --cflags --libs LIBRARY`, wherever the folder is."""
    return f"""\
prefix=${{pcfiledir}}

Name: {library}
Description: functions and derivatives compiled by adc
Version: {version}
Cflags: -I${{prefix}}
Libs: -L${{prefix}} -l{library}
Libs.private: -lm -lpthread
"""


def soname(library: str, system: str) -> str:
    return f"lib{library}.dylib" if system == "darwin" else f"lib{library}.so"


def describe(p: Prototype, first: int) -> dict[str, Any]:
    """The C side of one function for the manifest."""
    return {
        "prototype": p.declaration,
        "scratch": p.scratch_declaration,
        "arguments": [
            {"name": a.name, "kind": a.kind, "type": a.type, "dtype": a.dtype, "shape": list(a.shape), "role": a.role} for a in p.arguments
        ],
        "codes": {str(first + k): m for k, m in enumerate(p.messages)},
    }


__all__ = ["cmake", "describe", "function_text", "header", "pkg_config", "soname"]
