"""This file is about mount(2) and umount2(2)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from moby.core.snapshots import Mount

_libc = ctypes.CDLL(None, use_errno=True)

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_NOATIME = 0x400
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2
_NOFOLLOW = 0x8

_FLAGS = {
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "remount": MS_REMOUNT,
    "noatime": MS_NOATIME,
    "bind": MS_BIND,
    "rbind": MS_BIND | MS_REC,
}
_IGNORED = frozenset({"rw", "suid", "dev", "exec", "async", "defaults"})


def mount(what: Mount, target: Path) -> None:
    """Mount as mount(8) would with the same words. Raises OSError."""
    flags, data = 0, []
    for option in what.options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif option not in _IGNORED:
            data.append(option)
    _mount(what.source, str(target), what.type, flags, ",".join(data))
    if flags & MS_BIND and flags & MS_RDONLY:
        _mount("none", str(target), "", flags | MS_REMOUNT, "")


def bind_mount(source: Path, target: Path, *, recursive: bool = True) -> None:
    """Make `source` appear at `target` too, private. Raises OSError."""
    _mount(str(source), str(target), "", MS_BIND | (MS_REC if recursive else 0), "")
    _mount("none", str(target), "", MS_PRIVATE | MS_REC, "")


def _mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {source}: {os.strerror(number)}", target)


def unmount(target: Path, *, lazy: bool = True) -> None:
    """Unmount; no error if nothing is mounted there. With `lazy`, whoever uses it goes on doing so."""
    if _libc.umount2(os.fsencode(target), _NOFOLLOW | (MNT_DETACH if lazy else 0)) != 0:
        number = ctypes.get_errno()
        if number not in (22, 2):  # EINVAL: not a mount point; ENOENT
            raise OSError(number, os.strerror(number), str(target))
