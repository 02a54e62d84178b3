"""Compiled kernels on disk: one file per kernel, named by a hash of everything it depends on.

In: a key and bytes.  Out: the paths of files known to be whole.  A file ends with the SHA-256 of what stands
before it, so that a damaged one is found out and built again; it is written under another name and then renamed, so
that processes that build the same kernel at once all end well.

>>> info()                                               # doctest: +SKIP
{'path': '/home/me/.cache/adc', 'entries': 12, 'bytes': 231424}
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FORMAT = 1
LIBRARY, OBJECT = KINDS = (".so", ".o")
"""Linked for `dlopen`; or an object that llvmlite loads, where there is no linker."""
PROGRAM = ".adc"
"""How a program is called: its frame, without machine code (see adc/api/stored.py)."""
LIMIT = 512 << 20
_MARK = b"adc-sha256"
_found: dict[str, Path] = {}


def directory() -> Path:
    """Where kernels are kept: ADC_CACHE_DIR, the user's cache folder, or a private temporary folder."""
    chosen = os.environ.get("ADC_CACHE_DIR", "")
    if chosen not in _found or not _found[chosen].is_dir():
        _found[chosen] = _usable(Path(chosen).expanduser() if chosen else _default())
    return _found[chosen]


def _default() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "adc" / "Cache"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/adc").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "adc"


def _usable(path: Path) -> Path:
    if _private(path):
        return path
    user = os.getuid() if hasattr(os, "getuid") else "user"
    shared = Path(tempfile.gettempdir()) / f"adc-{user}"
    return shared if _private(shared) else Path(tempfile.mkdtemp(prefix="adc-"))


def _private(path: Path) -> bool:
    """Made, writable, and not writable by strangers: what lies here is executed."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = path.stat()
    except OSError:
        return False
    if hasattr(os, "getuid") and (about.st_uid not in (os.getuid(), 0) or about.st_mode & stat.S_IWOTH):
        return False
    return os.access(path, os.W_OK | os.X_OK)


def find(key: str, kind: str) -> Path | None:
    """The file of this kind, if it is there and whole; a damaged one is removed."""
    path = directory() / (key + kind)
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if _whole(data):
        with contextlib.suppress(OSError):  # what was used last is pruned last
            os.utime(path)
        return path
    with contextlib.suppress(OSError):
        path.unlink()
    return None


def fetch(key: str) -> Iterator[Path]:
    """The files of this kernel that are whole, the library first; damaged ones are removed."""
    for kind in KINDS:
        path = find(key, kind)
        if path is not None:
            yield path


def store(key: str, kind: str, data: bytes) -> Path:
    """Write a kernel; other processes see all of it or nothing."""
    path = directory() / (key + kind)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data + _MARK + hashlib.sha256(data).digest())
        os.chmod(temporary, 0o700)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        # where a loaded library cannot be replaced (Windows), the one that is there was built from the same source
        if not path.exists():
            raise
    prune(LIMIT)
    return path


def content(path: Path) -> bytes:
    """What was stored, without its seal."""
    return path.read_bytes()[: -len(_MARK) - 32]


def _whole(data: bytes) -> bool:
    body, seal = data[: -len(_MARK) - 32], data[-len(_MARK) - 32 :]
    return seal[: len(_MARK)] == _MARK and seal[len(_MARK) :] == hashlib.sha256(body).digest()


def _entries() -> Iterator[tuple[float, int, str]]:
    with os.scandir(directory()) as it:
        for e in it:
            if e.name.endswith((*KINDS, PROGRAM)) or e.name.startswith(".new-"):
                with contextlib.suppress(OSError):
                    about = e.stat()
                    yield about.st_mtime, about.st_size, e.path


def info() -> dict[str, Any]:
    """Where the cache is, how many kernels it holds and their size in bytes."""
    found = list(_entries())
    return {"path": str(directory()), "entries": len(found), "bytes": sum(size for _, size, _ in found)}


def clear() -> int:
    """Remove every kernel; how many there were."""
    return prune(-1)


def prune(max_bytes: int) -> int:
    """Remove the kernels unused for longest until the rest fit; how many went."""
    found = sorted(_entries())
    total, gone = sum(size for _, size, _ in found), 0
    for _, size, path in found:
        if total <= max_bytes:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            gone += 1
        total -= size
    return gone
