"""This file is about limits for what a directory holds: project quotas (quotactl(2), ioctl_fsgetxattr(2)).

A directory gets a project of its own, which everything made below it inherits. ext4 and XFS have them where
they are mounted with `prjquota`; Linux is asked by quotactl_fd(2), which it has since 5.14.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_QUOTACTL_FD = 443
_PROJECT = 2
_GET, _LIMIT, _STATE = (ord("X") << 8 | number for number in (3, 4, 5))
_ACCOUNTED_AND_ENFORCED = 0x30
# struct fs_disk_quota: version, whose, which fields, ID, limits and use; the rest are times and warnings.
_QUOTA = struct.Struct("=bbHI6Q56x")
_VERSION, _OF_PROJECTS, _BLOCK_LIMITS = 1, 2, 0x0C
_STATE_SIZE, _STATE_FLAGS = 128, struct.Struct("=2xH")
_BLOCK = 512

# struct fsxattr: flags, sizes, the project.
_ATTRIBUTES = struct.Struct("=IIII12x")
_GET_ATTRIBUTES, _SET_ATTRIBUTES = 0x801C581F, 0x401C5820
_INHERITED = 0x200

# Far above what administrators give away by hand.
_PROJECTS = range(1 << 20, 1 << 31)
_TRIES = 16


def supported(directory: Path) -> bool:
    """Does the file system of a directory keep to limits of projects?"""
    state = ctypes.create_string_buffer(_STATE_SIZE)
    try:
        with _opened(directory) as descriptor:
            _quotactl(descriptor, _STATE, 0, state)
    except OSError:
        return False
    flags: int = _STATE_FLAGS.unpack_from(state.raw)[0]
    return flags & _ACCOUNTED_AND_ENFORCED == _ACCOUNTED_AND_ENFORCED


def limit(directory: Path, size: int) -> None:
    """Let an empty directory hold `size` bytes and no more. Raises OSError."""
    with _opened(directory) as descriptor:
        project = _unused(descriptor)
        _set_limit(descriptor, project, -(-size // _BLOCK))
        _set_project(descriptor, project)


def free(directory: Path) -> None:
    """Forget the limit of a directory that is to be removed; nothing if it has none. Raises OSError."""
    with _opened(directory) as descriptor:
        project = _attributes(descriptor)[3]
        if project in _PROJECTS:
            _set_limit(descriptor, project, 0)


def _unused(descriptor: int) -> int:
    for _ in range(_TRIES):
        project = random.choice(_PROJECTS)  # noqa: S311 - a number like any other
        if not any(_quota(descriptor, project)):
            return project
    raise OSError(errno.EBUSY, "no project is left")


def _quota(descriptor: int, project: int) -> tuple[int, ...]:
    """Limits and use of a project."""
    found = ctypes.create_string_buffer(_QUOTA.size)
    try:
        _quotactl(descriptor, _GET, project, found)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return ()
        raise
    return _QUOTA.unpack(found.raw)[4:]


def _set_limit(descriptor: int, project: int, blocks: int) -> None:
    wanted = _QUOTA.pack(_VERSION, _OF_PROJECTS, _BLOCK_LIMITS, project, blocks, blocks, 0, 0, 0, 0)
    _quotactl(descriptor, _LIMIT, project, ctypes.create_string_buffer(wanted, _QUOTA.size))


def _attributes(descriptor: int) -> tuple[int, ...]:
    return _ATTRIBUTES.unpack(fcntl.ioctl(descriptor, _GET_ATTRIBUTES, bytes(_ATTRIBUTES.size)))


def _set_project(descriptor: int, project: int) -> None:
    flags, extent, extents, _ = _attributes(descriptor)
    wanted = _ATTRIBUTES.pack(flags | _INHERITED, extent, extents, project)
    fcntl.ioctl(descriptor, _SET_ATTRIBUTES, wanted)


def _quotactl(descriptor: int, command: int, project: int, data: ctypes.Array[ctypes.c_char]) -> None:
    if _libc.syscall(_QUOTACTL_FD, descriptor, command << 8 | _PROJECT, ctypes.c_uint(project), data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
