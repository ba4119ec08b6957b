"""This file is about mount(2), umount2(2), move_mount(2) and mount_setattr(2)."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from moby.core.snapshots import Mount
from moby.host.mounting.options import MS_BIND, MS_PRIVATE, MS_REC, MS_REMOUNT, parse_options

# Not pathlib: each monitor would have it in its memory.
AnyPath = str | os.PathLike[str]

_libc = ctypes.CDLL(None, use_errno=True)
# Looked up once, and not by each process that is forked from this one.
_mount_call, _umount_call = _libc.mount, _libc.umount2

_MNT_DETACH = 0x2
_UMOUNT_NOFOLLOW = 0x8
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_ATTRIBUTES = {"ro": 0x1, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8}

# mount(2) takes one page of words for the file system.
_PAGE = os.sysconf("SC_PAGE_SIZE") - 1


def mount(what: Mount, target: AnyPath) -> None:
    """Mount as mount(8) would with the same words. Raises OSError."""
    flags, data, propagation = parse_options(what.options)
    with _shortened(what.type, data) as short:
        _mount(what.source, str(target), what.type, flags, short)
    if flags & MS_BIND and flags & ~(MS_BIND | MS_REC | MS_REMOUNT):
        # A bind takes its flags only when it is mounted again.
        _mount("none", str(target), "", (flags & ~MS_REC) | MS_REMOUNT, "")
    if propagation:
        _mount("none", str(target), "", propagation, "")


def bind_mount(source: AnyPath, target: AnyPath, *, recursive: bool = True, read_only: bool = False) -> None:
    """Make `source` appear at `target` too, private. Raises OSError, with nothing mounted."""
    _mount(str(source), str(target), "", MS_BIND | (MS_REC if recursive else 0), "")
    try:
        make_private(target)
        if read_only:
            set_attributes(target, "ro", recursive=recursive)
    except OSError:
        unmount(target)
        raise


def make_private(target: AnyPath) -> None:
    """What is mounted below `target` from now on is seen nowhere else. Raises OSError."""
    _mount("none", str(target), "", MS_PRIVATE | MS_REC, "")


def move(source: AnyPath, target: AnyPath) -> None:
    """Take a mount, with all below it, from one place to another. Raises OSError."""
    result = _libc.syscall(
        _SYS_MOVE_MOUNT, _AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(0)
    )
    if result != 0:
        raise _failure(f"move mount {source}", str(target))


def set_attributes(target: AnyPath, *words: str, recursive: bool = False) -> None:
    """Set `ro`, `nosuid`, `nodev`, `noexec` on a mount; with `recursive`, on all below it too.

    Raises OSError. Without mount_setattr(2), before Linux 5.12, a whole tree cannot be changed.
    """
    bits = 0
    for word in words:
        bits |= _ATTRIBUTES[word]
    # struct mount_attr: attr_set, attr_clr, propagation, userns_fd
    attributes = struct.pack("QQQQ", bits, 0, 0, 0)
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        ctypes.c_uint(_AT_RECURSIVE if recursive else 0),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )
    if result == 0:
        return
    if ctypes.get_errno() != errno.ENOSYS or recursive:
        raise _failure("set mount attributes", str(target))
    _mount("none", str(target), "", parse_options(words).flags | MS_BIND | MS_REMOUNT, "")


def _mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    result = _mount_call(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        os.fsencode(data) or None,
    )
    if result != 0:
        raise _failure(f"mount {source}", target)


def _failure(what: str, target: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}", target)


@contextmanager
def _shortened(kind: str, data: str) -> Iterator[str]:
    """Overlay's words, each directory named by its parent's descriptor if they do not fit in a page.

    Raises OSError (E2BIG) for what is too long all the same.
    """
    if len(os.fsencode(data)) <= _PAGE:
        yield data
        return
    with ExitStack() as stack:
        opened: dict[str, int] = {}

        def short(path: str) -> str:
            # .../snapshots/123/fs: what comes before the number is the same for all.
            parent, rest = path.rsplit("/", 2)[0], "/".join(path.rsplit("/", 2)[1:])
            if kind != "overlay" or not parent.startswith("/"):
                return path
            if parent not in opened:
                descriptor = os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                opened[parent] = descriptor
            return f"/proc/self/fd/{opened[parent]}/{rest}"

        words = []
        for word in data.split(","):
            key, separator, value = word.partition("=")
            if key == "lowerdir":
                value = ":".join(short(path) for path in value.split(":"))
            words.append(f"{key}{separator}{value}")
        found = ",".join(words)
        if len(os.fsencode(found)) > _PAGE:
            raise OSError(errno.E2BIG, f"mount {kind}: too many layers")
        yield found


def unmount(target: AnyPath, *, lazy: bool = True) -> None:
    """Unmount; no error if nothing is mounted there. With `lazy`, whoever uses it goes on doing so."""
    if _umount_call(os.fsencode(target), _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazy else 0)) != 0:
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):  # EINVAL: not a mount point
            raise OSError(number, os.strerror(number), str(target))
