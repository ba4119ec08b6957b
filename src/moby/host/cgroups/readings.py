"""This file is about files that the kernel writes anew for every reading: read once, or again and again."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

_SIZE = 16384
_SHORT = 2048


class Readings:
    """Reads such files; with `keep` they stay open, so that reading them again costs one system call each.

    A file that stays open keeps what it tells of from being freed: what belongs to a process or its
    namespaces is read with `once`. A file that is not there, or no more, is empty.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._open: dict[str, int] = {}

    def text(self, path: str) -> str:
        """The whole file."""
        if not self._keep:
            return self.once(path)
        descriptor = self._open.get(path)
        try:
            if descriptor is None:
                descriptor = self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return _whole(descriptor)
        except OSError:
            return ""

    def once(self, path: str) -> str:
        """The whole file, closed again."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            return _whole(descriptor)
        except OSError:
            return ""
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of every file."""
        while self._open:
            os.close(self._open.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _whole(descriptor: int) -> str:
    found = part = os.pread(descriptor, _SIZE, 0)
    # The kernel may hand out a long file in parts; a short one comes whole.
    while len(part) > _SHORT:
        part = os.pread(descriptor, _SIZE, len(found))
        found += part
    return found.decode(errors="replace")
