"""This file is about paths inside a root that somebody else wrote: openat2(2), which cannot be raced."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10


def open_beneath(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path` as if `root` (a directory's descriptor) were `/`: links, also absolute ones, stay inside.

    Raises OSError. The descriptor is the caller's to close.
    """
    # struct open_how: flags, mode, resolve
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    descriptor = _libc.syscall(_SYS_OPENAT2, root, os.fsencode(path), how, ctypes.c_size_t(len(how)))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(descriptor)


def resolve_in_root(root: Path, path: str) -> Path:
    """Where `path` leads inside `root`, as a path of ours. Raises OSError.

    The answer is good as long as nobody changes the tree: where somebody may, use `open_beneath`.
    """
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = open_beneath(directory, path, os.O_PATH)
        try:
            return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        finally:
            os.close(descriptor)
    finally:
        os.close(directory)
