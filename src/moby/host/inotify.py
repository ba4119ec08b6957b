"""This file is about noticing that a file changes (inotify(7)), for one file and its name."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_IN_MODIFY = 0x002
_IN_MOVED_FROM = 0x040
_IN_MOVED_TO = 0x080
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_NONBLOCK = 0o4000
_CLOEXEC = 0o2000000


class Changes:
    """Tells when something changes in a file's directory, from the moment it is made."""

    def __init__(self, path: Path) -> None:
        self._descriptor = _libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        mask = _IN_MODIFY | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE
        if _libc.inotify_add_watch(self._descriptor, os.fsencode(path.parent), mask) < 0:
            error = ctypes.get_errno()
            os.close(self._descriptor)
            raise OSError(error, os.strerror(error), str(path.parent))
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._readable)

    def _readable(self) -> None:
        try:
            os.read(self._descriptor, 65536)
        except BlockingIOError:
            return
        self._changed.set()

    async def wait_or(self, other: asyncio.Event) -> None:
        """Returns after a change since the last call, or once `other` is set."""
        if not other.is_set():
            async with asyncio.TaskGroup() as group:
                waits = [group.create_task(self._changed.wait()), group.create_task(other.wait())]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
        self._changed.clear()

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
