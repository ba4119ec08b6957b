"""This file is about paths inside a root that somebody else wrote: openat2(2), which cannot be raced."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moby.core.errors import InvalidParameter

_libc = ctypes.CDLL(None, use_errno=True)

_SYS_OPENAT2 = 437
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_RESOLVE_IN_ROOT = 0x10
_AGAIN = 32


def open_beneath(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path` as if `root` (a directory's descriptor) were `/`: links, also absolute ones, stay inside.

    Raises OSError. The descriptor is the caller's to close.
    """
    return _openat2(root, path, flags, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)


def open_without_links(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open the relative `path` below `root`, which has to get there without a link and without leaving.

    Raises OSError: ELOOP for a link, EXDEV for a path that leads out. Closing it is the caller's.
    """
    return _openat2(root, path, flags, mode, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)


def open_on_same_mount(directory: int, name: str, flags: int) -> int:
    """Open an entry of a directory. Raises OSError: EXDEV if something is mounted on it."""
    return _openat2(directory, name, flags, 0, _RESOLVE_NO_XDEV | _RESOLVE_NO_MAGICLINKS)


def _openat2(root: int, path: str, flags: int, mode: int, resolve: int) -> int:
    # struct open_how: flags, mode, resolve
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_AGAIN):
        descriptor = _libc.syscall(_SYS_OPENAT2, root, os.fsencode(path), how, ctypes.c_size_t(len(how)))
        if descriptor >= 0:
            return int(descriptor)
        # The kernel could not be sure, because something was renamed or mounted at the same time.
        if ctypes.get_errno() not in (11, 4):  # EAGAIN, EINTR
            break
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), path)


@contextmanager
def opened_beneath(root: Path, path: str) -> Iterator[Path]:
    """Inside this block, a path of ours to what `path` means in `root`, which nobody can exchange.

    A link that leads out, as every absolute one does, is none of ours. Raises InvalidParameter.
    """
    try:
        directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = _openat2(directory, path, os.O_PATH, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise InvalidParameter(
                f"path concatenation escapes the base directory, base: {root}, subpath: {path}"
            ) from error
        words = (error.strerror or "").lower()
        raise InvalidParameter(f"cannot access path {root / path}: lstat {root / path}: {words}") from error
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


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
