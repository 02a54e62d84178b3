"""The manifest of a library: everything that must be known to call it, and the checksums of its files.

In: a folder, or a dict.  Out: a manifest that is known to be whole (`read`), or its text (`sealed`).  The last entry of
the file is the SHA-256 of all the others.

>>> opened(sealed({"format": FORMAT, "library": "model"}), "here")["library"]
'model'
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adc.backend import layout, pool_code
from adc.errors import ArtifactError, fail

FORMAT = 1
"""Changes with the meaning of a manifest, of LIBRARY_programs, or of a kernel's arguments."""
NAME = "manifest.json"


@dataclass(frozen=True)
class Table:
    """Where things stand in LIBRARY_programs, in words: functions × levels × (kernel, entry or 0), kept data, the pool."""

    functions: int
    levels: int
    kept: int
    """How many parameters are kept in the library, of all functions."""

    def program(self, function: int, level: int) -> int:
        return (function * self.levels + level) * 2

    @property
    def data(self) -> int:
        return self.functions * self.levels * 2

    @property
    def pool(self) -> int:
        """Where the functions of the pool begin (`pool.NAMES`), if the library shares work."""
        return self.data + self.kept


def table_of(about: dict[str, Any]) -> Table:
    functions = about["functions"]
    return Table(len(functions), len(about["levels"]), sum(len(f["captures"]) for f in functions))


def broken(where: str, what: str) -> ArtifactError:
    return fail(ArtifactError, "artifact", None, where=where, what=what)  # type: ignore[return-value]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry_layout() -> str:
    """What entries and the pool take for granted of Python, NumPy and the loader."""
    facts = {name: value for name, value in sorted(vars(layout).items()) if name.isupper() and isinstance(value, int | str | tuple | dict)}
    return digest(repr({k: str(v) for k, v in facts.items()}).encode() + pool_code.TEXT.encode())


def canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def sealed(content: dict[str, Any]) -> bytes:
    """The file."""
    whole = {**content, "sha256": digest(canonical(content))}
    return (json.dumps(whole, indent=1) + "\n").encode()


def opened(data: bytes, where: str) -> dict[str, Any]:
    """The content of a file; `ArtifactError` where it is damaged or of another version."""
    try:
        content = json.loads(data)
        seal = content.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise broken(where, "the manifest is damaged") from None
    if seal != digest(canonical(content)):
        raise broken(where, "the manifest is damaged: its checksum differs")
    if content.get("format") != FORMAT:
        raise broken(where, f"the manifest has format {content.get('format')}, this adc reads format {FORMAT}")
    return content  # type: ignore[no-any-return]


def find(path: str | Path) -> Path:
    """The manifest of what `path` names: a folder, a manifest, or a file beside one."""
    place = Path(path)
    found = place / NAME if place.is_dir() else place if place.name == NAME else place.with_name(NAME)
    if not found.is_file():
        raise fail(ArtifactError, "type", None, what=f"{path}: there is no {NAME}", instead="give the folder that adc build wrote")
    return found


def read(path: str | Path) -> tuple[dict[str, Any], bytes, Path]:
    """(manifest, its bytes, the folder) of a built library."""
    found = find(path)
    try:
        data = found.read_bytes()
    except OSError as e:
        raise broken(str(path), f"the manifest cannot be read ({e.strerror})") from None
    return opened(data, str(found)), data, found.parent


def file_is(path: Path, seal: str) -> bool:
    try:
        return digest(path.read_bytes()) == seal
    except OSError:
        return False


__all__ = ["FORMAT", "NAME", "Table", "broken", "digest", "entry_layout", "file_is", "find", "opened", "read", "sealed", "table_of"]
