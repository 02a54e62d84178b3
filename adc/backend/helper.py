"""Another process that compiles: it loads Numba while this one lowers the program and loads it too, and then makes pieces of its kernels.

In: `start()`, as soon as a compilation is in sight; `ask(does, arguments, found)`.  Out: what the function `does` gives there, or None where
there is no helper, or it cannot: then the piece is made here.

It is started by a process that may use two cores and threads, and ends when that process ends, or has not asked for `IDLE` seconds.
`ADC_COMPILE_PROCESSES=1` does without.

    helper                         this process
    ------                         ------------
    own products, where none are   lower, import Numba
    import Numba                   the main function
    unit_object(text, unit, how)   pieces that are left
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adc.errors import UnsupportedError, fail

IDLE = 20.0
"""Seconds without a request after which the helper ends."""
_process: subprocess.Popen[bytes] | None = None
_why_not = ""
_lock = threading.Lock()
"""Held by who talks to the helper."""


# ---------------------------------------------------------------- who asks


def processes() -> int:
    """How many processes compile: `ADC_COMPILE_PROCESSES`, or two where there are two cores and threads.

    Raises: `UnsupportedError` where that is neither 1 nor 2.
    """
    given = os.environ.get("ADC_COMPILE_PROCESSES", "").strip()
    if given not in ("", "1", "2"):
        raise fail(UnsupportedError, "type", None, what=f"ADC_COMPILE_PROCESSES={given}", instead="set it to 1 or 2, or not at all")
    if given:
        return int(given)
    from adc.backend import pool

    return 2 if pool.threads() > 1 and pool.usable_cores() > 1 else 1


def spawn(command: str, **pipes: Any) -> subprocess.Popen[bytes] | None:
    """Another interpreter with this one's modules, at work on a command; None where there is none, or one process is to do."""
    global _why_not
    program = Path(sys.executable or "").name.lower()
    if processes() < 2:
        return None
    if getattr(sys, "frozen", False) or not program.startswith("python"):
        _why_not = f"{sys.executable or 'the program that runs'} is no Python to start again"
        return None
    path = [str(Path(p).absolute()) for p in sys.path]
    try:
        return subprocess.Popen([sys.executable, "-c", f"import sys; sys.path[:] = {path!r}; {command}"], stderr=subprocess.DEVNULL, **pipes)
    except OSError as e:
        _why_not = str(e)
        return None


def describe() -> str:
    """Who compiles, in words."""
    said = " (ADC_COMPILE_PROCESSES)" if "ADC_COMPILE_PROCESSES" in os.environ else ""
    if processes() < 2:
        return f"one process{said}"
    start()
    return f"two processes{said}" if there() else f"one process; a second cannot be started: {_why_not}"


def start(products: tuple[str, str] | None = None) -> None:
    """A compilation is in sight; where `products` says so, the helper begins with adc's own products, for that folder and those numbers."""
    global _process
    with _lock:
        if _process is None or _process.poll() is not None:
            _process = spawn(f"from adc.backend.helper import serve; serve({products!r})", stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def there() -> bool:
    return _process is not None and _process.poll() is None


def ask(does: Callable[..., bytes], arguments: tuple[Any, ...], found: Callable[[Any], None]) -> bytes | None:
    """What the function makes, or None; `found`, its last argument, is told of each part that it calls, while it is made."""
    global _why_not
    process = _process
    with _lock:
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            pickle.dump((does, arguments), process.stdin)
            process.stdin.flush()
            while True:
                kind, what = pickle.load(process.stdout)
                if kind != "calls":
                    return what  # type: ignore[no-any-return]
                found(what)
        except Exception as e:  # it ended, or cannot be told: whatever it was, the piece is made here
            _why_not = f"{type(e).__name__}: {e}"
            stop()
            return None


def stop() -> None:
    """No helper any more."""
    global _process
    process, _process = _process, None
    if process is not None:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _after_fork() -> None:
    """It is the parent's."""
    global _process, _lock
    if _process is not None:
        _process.returncode = 0  # not ours to wait for
    _process, _lock = None, threading.Lock()


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ---------------------------------------------------------------- the helper


def make_products(directory: str, letters: str, found: Any = None) -> bytes:
    """What multiplies matrices of these numbers in all kernels is in the cache then."""
    from adc.backend import blas, cache

    if str(cache.directory()) != directory:
        os.environ["ADC_CACHE_DIR"] = directory
    blas.products(letters)
    return b""


def serve(products: tuple[str, str] | None) -> None:
    """Answer requests on standard input until there are none any more."""
    with os.fdopen(os.dup(0), "rb") as asked, os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever prints does not answer
        if products:
            make_products(*products)
        import adc.backend.compile  # noqa: F401, before it is asked for

        while _awaited(asked):
            try:
                does, arguments = pickle.load(asked)
            except EOFError:
                return

            def say(*answer: Any) -> None:
                pickle.dump(answer, answers)
                answers.flush()

            data = None
            with contextlib.suppress(Exception):  # its caller makes it again, and says what is wrong with it
                data = does(*arguments, lambda called: say("calls", called))
            say("made", data)


def _awaited(asked: Any) -> bool:
    """Is there something to read within the time? Where pipes cannot be asked, one waits."""
    if os.name == "nt":
        return True
    import select

    return bool(select.select([asked], [], [], IDLE)[0])


__all__ = ["ask", "describe", "make_products", "processes", "serve", "spawn", "start", "stop", "there"]
