"""This file is about copying trees: what an image or another volume has, into a new volume.

Another container may have the volume already and change it meanwhile, and the image may hold anything: every
step goes by a directory's descriptor and a single name, and follows no link.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from moby.core.errors import System
from moby.host.mounts import open_beneath
from moby.host.threads import blocking, finishing

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
# What is no longer what it was when it was looked at.
_CHANGED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EINVAL, errno.ENOENT})
_TRIES = 20
# linux/fs.h: both files on btrfs, xfs, or another that knows it; an error anywhere else.
_FICLONE = 0x40049409

Owners = Callable[[int, int], tuple[int, int]]


async def copy_up(root: Path, path: str, volume: Path) -> None:
    """Copy the directory `path` of the tree `root` into an empty volume: owners, modes, times, xattrs, links.

    `path` is looked up inside `root`, wherever the image's links lead. Nothing happens if there is no such
    directory or the volume has something in it. Raises System, with the volume emptied again. When cancelled,
    the copy is finished first.
    """
    try:
        await finishing(_copy_up, root, path, volume)
    except OSError as error:
        raise System(f"failed to populate volume: {error}") from error


def _copy_up(root: Path, path: str, volume: Path) -> None:
    target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.listdir(target):
            return
        source = _open_source(root, path)
        if source < 0:
            return
        try:
            _Copy().directory(source, target)
        except OSError:
            _empty(target)
            raise
        finally:
            os.close(source)
    finally:
        os.close(target)


async def has_directory(root: Path, path: str) -> bool:
    """Is there a directory `path` in the tree `root`, for `copy_up` to copy?"""
    return await blocking(_has_directory, root, path)


def _has_directory(root: Path, path: str) -> bool:
    if (found := _open_source(root, path)) < 0:
        return False
    os.close(found)
    return True


def _open_source(root: Path, path: str) -> int:
    """The image's directory, or -1."""
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_beneath(top, path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return -1
    finally:
        os.close(top)


def _empty(directory: int) -> None:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.name, ignore_errors=True, dir_fd=directory)
            else:
                os.unlink(entry.name, dir_fd=directory)


def _same(user: int, group: int) -> tuple[int, int]:
    return user, group


def copy_tree(source: Path, target: Path, owner: Owners = _same) -> None:
    """Copy everything in the directory `source` into the empty one `target`, for owners that `owner` says."""
    reading = os.open(source, _DIRECTORY)
    try:
        writing = os.open(target, _DIRECTORY)
        try:
            _Copy(owner).directory(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


class _Copy:
    """One copy; remembers where files with several names went, which are linked again."""

    def __init__(self, owner: Owners = _same) -> None:
        self._owner = owner
        self._top = -1
        self._linked: dict[tuple[int, int], str] = {}

    def directory(self, source: int, target: int, path: str = "") -> None:
        """Everything in `source`, and then what `source` itself is like; `path` is where we are."""
        if not path:
            self._top = target
        with os.scandir(source) as entries:
            for entry in entries:
                name = entry.name
                self._entry(source, target, name, f"{path}/{name}" if path else name)
        self._describe(source, target)

    def _entry(self, source: int, target: int, name: str, path: str) -> None:
        """Looks again where somebody puts another thing in its place meanwhile. Raises OSError."""
        for tries_left in reversed(range(_TRIES)):
            try:
                self._copied(source, target, name, path)
            except OSError as error:
                if error.errno not in _CHANGED or not tries_left or _exists(name, target):
                    raise
            else:
                return

    def _copied(self, source: int, target: int, name: str, path: str) -> None:
        try:
            found = os.stat(name, dir_fd=source, follow_symlinks=False)
        except FileNotFoundError:
            return
        kind, known = stat.S_IFMT(found.st_mode), (found.st_dev, found.st_ino)
        if known in self._linked:
            self._link(self._linked[known], target, name)
            return
        if kind == stat.S_IFDIR:
            self._subdirectory(source, target, name, path)
            return
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif kind == stat.S_IFREG:
            self._file(source, target, name)
        elif kind == stat.S_IFSOCK:
            return  # Nobody listens on a copy.
        else:
            os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
        if kind != stat.S_IFREG:
            owner = self._owner(found.st_uid, found.st_gid)
            os.chown(name, *owner, dir_fd=target, follow_symlinks=False)
            if kind != stat.S_IFLNK:
                os.chmod(f"/proc/self/fd/{target}/{name}", stat.S_IMODE(found.st_mode))
            _set_times(name, found, target)
        if found.st_nlink > 1:
            self._linked[known] = path

    def _link(self, first: str, target: int, name: str) -> None:
        parent, _, last = first.rpartition("/")
        directory = open_beneath(self._top, parent or ".", _DIRECTORY) if parent else os.dup(self._top)
        try:
            os.link(last, name, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(directory)

    def _subdirectory(self, source: int, target: int, name: str, path: str) -> None:
        below = os.open(name, _DIRECTORY, dir_fd=source)
        try:
            os.mkdir(name, 0o700, dir_fd=target)
            made = os.open(name, _DIRECTORY, dir_fd=target)
            try:
                self.directory(below, made, path)
            finally:
                os.close(made)
        finally:
            os.close(below)

    def _file(self, source: int, target: int, name: str) -> None:
        reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            writing = os.open(name, flags, 0o600, dir_fd=target)
            try:
                _copy_data(reading, writing)
                self._describe(reading, writing)
            finally:
                os.close(writing)
        finally:
            os.close(reading)

    def _describe(self, source: int, target: int) -> None:
        """Owner, xattrs, mode, times, in an order in which none undoes another."""
        found = os.fstat(source)
        os.fchown(target, *self._owner(found.st_uid, found.st_gid))
        for name in os.listxattr(source):
            # What cannot be set here, a file system's own, is no part of the content.
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError as error:
                if not name.startswith(("system.", "security.selinux", "trusted.")):
                    raise OSError(error.errno, f"extended attribute {name}: {error.strerror}") from error
        os.fchmod(target, stat.S_IMODE(found.st_mode))
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _copy_data(reading: int, writing: int) -> None:
    """The data, holes as holes; on a file system that can, both files share it until one is changed."""
    if _shared(reading, writing):
        return
    size, at = os.fstat(reading).st_size, 0
    while at < size:
        try:
            at = os.lseek(reading, at, os.SEEK_DATA)
        except OSError:
            break  # ENXIO: a hole up to the end
        end = os.lseek(reading, at, os.SEEK_HOLE)
        os.lseek(writing, at, os.SEEK_SET)
        os.lseek(reading, at, os.SEEK_SET)
        while at < end:
            sent = os.sendfile(writing, reading, at, min(end - at, _CHUNK))
            if sent == 0:
                return
            at += sent
    os.ftruncate(writing, size)


def _shared(reading: int, writing: int) -> bool:
    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError:
        return False
    return True


def _set_times(name: str, found: os.stat_result, directory: int) -> None:
    times = (found.st_atime_ns, found.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)
