"""This file is about building nothing when nothing has changed: a machine is known by all it is made of.

A note in the cache says what a machine's files looked like when they were written, and from what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from moby.core.errors import MobyError
from moby.host.files import translation, write_atomic

_CODE = Path(__file__).parent


class _File(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was: another content would show in one of these."""

    path: str
    size: int
    changed: int
    inode: int


class _Note(msgspec.Struct, frozen=True):
    key: str
    files: list[_File]


class Notes:
    """Notes of builds, one for each place that a machine was written to."""

    def __init__(self, cache: Path, folder: Path, name: str) -> None:
        place = hashlib.sha256(f"{folder.resolve()}/{name}".encode()).hexdigest()[:24]
        self._path = cache / "builds" / f"{place}.json"

    def find(self, key: str) -> list[Path] | None:
        """The files, if they were made of the same and nobody has touched them since."""
        try:
            note = msgspec.json.decode(self._path.read_bytes(), type=_Note)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if note.key != key or any(_seen(Path(file.path)) != file for file in note.files):
            return None
        return [Path(file.path) for file in note.files]

    def write(self, key: str, files: Sequence[Path]) -> None:
        """Remember what was written. A cache that cannot be written to is no failure of a build."""
        seen = [found for path in files if (found := _seen(path)) is not None]
        with suppress(MobyError), translation("cannot remember the build"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._path, msgspec.json.encode(_Note(key, seen)), 0o644)


def key_of(parts: Iterable[object], sources: Iterable[Path]) -> str:
    """The hash of what a machine is made of: these values, the content of these files, and our own code."""
    found = hashlib.sha256(msgspec.json.encode([str(part) for part in parts]))
    for path in sources:
        found.update(f"\n{path} ".encode())
        with suppress(FileNotFoundError), path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    for path in sorted(_CODE.rglob("*.py")):
        status = path.stat()
        found.update(f"\n{path.relative_to(_CODE)} {status.st_size} {status.st_mtime_ns}".encode())
    return found.hexdigest()


def _seen(path: Path) -> _File | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # The time of change is the kernel's own; nobody can set it back.
    return _File(str(path.absolute()), status.st_size, status.st_ctime_ns, status.st_ino)
