"""This file is about crun's program as monitors run it: a copy in memory that nobody can write to.

A container's first process must not be able to write to the runtime that began it (CVE-2019-5736), so that
crun, run from a file that can be written to, mounts it read-only and runs itself once more: a third of the
time of `crun exec`. It leaves that out where it finds itself in a memory file with these seals, and does so
from its first versions on (libcrun/cloned_binary.c).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import NamedTuple

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MFD_EXEC = 0x10  # linux/memfd.h, from Linux 6.3 on; not in the os module
_ELF = b"\x7fELF"

Identity = tuple[int, int, int, int]


class SealedProgram(NamedTuple):
    """A copy of the program at `path`, as it was when it was copied."""

    path: str
    descriptor: int
    identity: Identity

    @property
    def executable(self) -> str:
        """What a child of ours runs."""
        return f"/proc/self/fd/{self.descriptor}"

    def is_still(self, path: str) -> bool:
        """Is it what stands there now? Another is installed while containers of the one before run on."""
        if path != self.path:
            return False
        try:
            return self.identity == _identity(os.stat(path))
        except OSError:
            return False


def find_program(name: str) -> str:
    """Where a command is found; empty if it is not (`shutil`, and what that loads, is more than a page)."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def seal(path: str) -> SealedProgram | None:
    """A copy; none of what cannot be copied, and of scripts, whose interpreter needs a path."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        identity = _identity(os.fstat(file.fileno()))
        program = file.read()
        if not program.startswith(_ELF):
            return None
        descriptor = _memory_file(os.path.basename(path))
        try:
            with open(descriptor, "wb", closefd=False) as copy:
                copy.write(program)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except OSError:
            os.close(descriptor)
            raise
        return SealedProgram(path, descriptor, identity)
    return None


def _memory_file(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_EXEC)
    except OSError:
        return os.memfd_create(name, flags)


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns
