"""This file is about a log in files: one is written, and becomes `.1`, `.2` and so on when it is full."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable

import msgspec

_SUFFIXES = ("", ".gz")


class Rotation(msgspec.Struct, frozen=True):
    """The size at which a new file is begun (0: never), how many files are kept, are the older compressed?"""

    size: int = 0
    files: int = 1
    compress: bool = False


class RotatedFile:
    """The files of one log, for the one process that writes it.

    `mend(descriptor, path, size)` is called before something is appended to what may have a torn end, left by
    a killed writer or a full disk; it returns the size afterwards.
    """

    def __init__(self, path: str, rotation: Rotation, mend: Callable[[int, str, int], int]) -> None:
        self._path = path
        self._rotation = rotation
        self._mend = mend
        self._complained = False
        self._file, self._size, self._torn = -1, 0, False
        self._open()

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o640)
        self._size = os.fstat(self._file).st_size
        self._mend_end()

    def _mend_end(self) -> None:
        self._torn = True
        if self._size:
            self._size = self._mend(self._file, self._path, self._size)
        self._torn = False

    def put(self, block: bytes, entries: Callable[[bytes], Iterable[bytes]]) -> None:
        """Append; `entries` cuts a block where a new file may begin. A full disk loses entries, no more."""
        try:
            if self._file >= 0 and not os.fstat(self._file).st_nlink:
                # Somebody has emptied the log by removing its files.
                os.close(self._file)
                self._file = -1
                self._open()
            limit = self._rotation.size
            if limit and self._size + len(block) > limit:
                for entry in entries(block):
                    if self._size >= limit:
                        self._rotate()
                    self._put_whole(entry)
                return
            self._put_whole(block)
        except OSError as error:
            self._complain(error)

    def _put_whole(self, block: bytes) -> None:
        if self._file < 0:
            self._open()
        if self._torn:
            self._mend_end()
        view = memoryview(block)
        try:
            while view:
                written = os.write(self._file, view)
                view = view[written:]
                self._size += written
        except OSError:
            self._torn = True
            raise

    def _rotate(self) -> None:
        """Begin a new file; a reader that has the old one open finds it renamed, not cut."""
        inode = os.fstat(self._file).st_ino
        os.close(self._file)
        # Should anything fail now, no other file that gets this number must be written to.
        self._file = -1
        try:
            self._shift()
            if self._rotation.files > 1:
                os.replace(self._path, f"{self._path}.1")
                if self._rotation.compress:
                    _compress(f"{self._path}.1", inode)
            else:
                os.unlink(self._path)
        finally:
            self._open()

    def _shift(self) -> None:
        """Make each older file older by one; the oldest goes. A crash may have left one not compressed."""
        for number in range(self._rotation.files - 1, 1, -1):
            if any(os.path.exists(f"{self._path}.{number - 1}{suffix}") for suffix in _SUFFIXES):
                for suffix in _SUFFIXES:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{self._path}.{number}{suffix}")
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(f"{self._path}.{number - 1}{suffix}", f"{self._path}.{number}{suffix}")
        if self._rotation.compress and self._rotation.files > 1:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}.1.gz")

    def _complain(self, error: OSError) -> None:
        """A full disk must not stop the container: entries are lost until there is room again."""
        if not self._complained:
            self._complained = True
            print(f"cannot write {self._path}: {error}", file=sys.stderr)  # noqa: T201 - the monitor's log

    def close(self) -> None:
        """Nothing more will be put."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def remove_files(path: str) -> None:
    """Remove every file of a log, the newest last; a writer that has it open begins another."""
    directory, name = os.path.split(path)
    older: list[str] = []
    with contextlib.suppress(FileNotFoundError):
        for other in os.listdir(directory):
            number = other.removeprefix(f"{name}.")
            if number != other and number[:1].isdigit():
                older.append(os.path.join(directory, other))
    for each in (*older, path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(each)


def _compress(path: str, inode: int) -> None:
    """Replace a file by its compressed form, which says in its header which inode it was made of."""
    import gzip
    import shutil

    with (
        open(path, "rb") as source,
        open(f"{path}.tmp", "wb") as raw,
        gzip.GzipFile(str(inode), "wb", compresslevel=1, fileobj=raw) as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    os.replace(f"{path}.tmp", f"{path}.gz")
    os.unlink(path)
