"""This file is about packing a tree into a tar archive, by descriptors: no link leads it anywhere.

The tree may be changed meanwhile, by somebody who means harm. What is in a directory is opened without being
touched (O_PATH) and looked at before it is read: a device that took a file's place is never opened.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from moby.host.archives.headers import END, header, marker, padding
from moby.host.mounts import is_made_up, open_on_same_mount

_BUFFER = 1 << 18
_SMALL = 1 << 16
_COPY = 1 << 20
_LONGEST = 4096
_CAPABILITY = "security.capability"
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


class PackOptions(msgspec.Struct, frozen=True):
    """How a tree becomes an archive.

    `one_filesystem`: what is mounted in it is left out, but for its mount points. `layer`: the tree is an
    overlay's upper directory, whose whiteouts become those of OCI layers (image-spec, layer.md). `skip` tells
    by path, without a leading slash, what is left out with all below it. `owner` says whom the archive is to
    name for a user and a group.
    """

    one_filesystem: bool = False
    layer: bool = False
    skip: Callable[[str], bool] = lambda _: False
    owner: Callable[[int, int], tuple[int, int]] | None = None


_PLAIN = PackOptions()


class _Directory(NamedTuple):
    descriptor: int
    prefix: str
    path: str
    left: Iterator[str]


class Packer:
    """Writes members into one archive; `count` is how many. Raises OSError.

    What the kernel makes up in a tree (/proc, /sys) is left out, since no archive of it can be made, as is
    what vanishes while it is read; what is deeper than any path can say is ENAMETOOLONG.
    """

    def __init__(self, target: BinaryIO, options: PackOptions = _PLAIN) -> None:
        self._options = options
        self._target = io.BufferedWriter(cast("io.RawIOBase", target), _BUFFER)
        self._pipe = _descriptor(target)
        self._linked: dict[tuple[int, int], str] = {}
        self._open: list[_Directory] = []
        self._device = 0
        self.count = 0

    def close(self) -> None:
        """Write the end; the file itself stays open."""
        self._target.write(END)
        self._target.detach()

    def tree(self, directory: int, name: str, *, itself: bool = True) -> None:
        """A directory by its descriptor, and everything in it; `name` stands for it in the archive."""
        if itself:
            self._add(self._header(name, os.fstat(directory)))
        self._device = os.fstat(directory).st_dev
        self._below(os.dup(directory), f"{name.rstrip('/')}/" if name else "", "")
        try:
            while self._open:
                parent, prefix, path, left = self._open[-1]
                if (entry := next(left, None)) is None:
                    os.close(self._open.pop().descriptor)
                    continue
                below = f"{path}/{entry}" if path else entry
                if not self._options.skip(below):
                    self._entry(parent, entry, f"{prefix}{entry}", below)
        finally:
            while self._open:
                os.close(self._open.pop().descriptor)

    def one(self, parent: int, entry: str, name: str) -> None:
        """One entry of a directory that is none itself."""
        self._entry(parent, entry, name, entry)

    def _below(self, directory: int, prefix: str, path: str) -> None:
        """What is in a directory comes next; the descriptor is ours from here on."""
        try:
            _check_length(prefix)
            if self._options.layer and any(_attribute(directory, name) == b"y" for name in _OPAQUE):
                self._add(marker(f"{prefix}{OPAQUE}"))
            # Its own open file: an inherited one would share its position with others.
            with_position = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
            try:
                entries = sorted(os.listdir(with_position))
            finally:
                os.close(with_position)
            self._open.append(_Directory(directory, prefix, path, iter(entries)))
        except BaseException:
            os.close(directory)
            raise

    def _entry(self, parent: int, entry: str, name: str, path: str) -> None:
        found, foreign = -1, False
        try:
            found, foreign = self._look(parent, entry)
            status = os.fstat(found)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFDIR:
                self._add(self._header(name, status))
                if not (foreign or self._is_made_up(found, status)):
                    descriptor, found = found, -1
                    self._below(descriptor, f"{name}/", path)
            elif kind == stat.S_IFREG:
                self._file(found, name, status, foreign=foreign)
            elif self._options.layer and kind == stat.S_IFCHR and status.st_rdev == 0:
                head, _, last = name.rpartition("/")
                self._add(marker(f"{head}/{WHITEOUT}{last}" if head else f"{WHITEOUT}{last}"))
            elif kind != stat.S_IFSOCK:
                link = os.readlink("", dir_fd=found) if kind == stat.S_IFLNK else ""
                self._add(self._header(name, status, link=link))
        except FileNotFoundError:
            return
        finally:
            if found >= 0:
                os.close(found)

    def _is_made_up(self, found: int, status: os.stat_result) -> bool:
        """Does the kernel make this tree up, other than the one that was asked for?"""
        return status.st_dev != self._device and is_made_up(found)

    def _look(self, parent: int, entry: str) -> tuple[int, bool]:
        """An entry's descriptor, and whether it is one of another file system that is to be left out."""
        if not self._options.one_filesystem:
            return os.open(entry, _LOOK, dir_fd=parent), False
        try:
            return open_on_same_mount(parent, entry, _LOOK), False
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        return os.open(entry, _LOOK, dir_fd=parent), True

    def _file(self, found: int, name: str, status: os.stat_result, *, foreign: bool) -> None:
        known = (status.st_dev, status.st_ino)
        if status.st_nlink > 1:
            if known in self._linked:
                self._add(self._header(name, status, link=self._linked[known], hard=True))
                return
            self._linked[known] = name
        if foreign:
            self._add(self._header(name, status))
            return
        descriptor = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            capability = _attribute(descriptor, _CAPABILITY)
            attributes = {_CAPABILITY: capability} if capability else None
            size = os.fstat(descriptor).st_size
            self._add(self._header(name, status, size=size, attributes=attributes))
            self._content(descriptor, size)
            self._target.write(padding(size))
        finally:
            os.close(descriptor)

    def _header(self, name: str, status: os.stat_result, **rest: Any) -> bytes:
        owner = self._options.owner
        return header(
            name, status, **rest, owner=owner(status.st_uid, status.st_gid) if owner is not None else None
        )

    def _content(self, descriptor: int, size: int) -> None:
        """As many bytes as the header says, whatever happens to the file meanwhile."""
        if size > _SMALL and self._pipe >= 0:
            self._target.flush()
            while size and (sent := _sent(self._pipe, descriptor, min(size, _COPY))):
                size -= sent
        while size and (piece := os.read(descriptor, min(size, _COPY))):
            self._target.write(piece)
            size -= len(piece)
        while size:
            self._target.write(bytes(min(size, _COPY)))
            size -= min(size, _COPY)

    def _add(self, block: bytes) -> None:
        self._target.write(block)
        self.count += 1


def _check_length(path: str) -> None:
    if len(path) > _LONGEST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), f"{path[:100]}...")


def _descriptor(target: BinaryIO) -> int:
    """Where the kernel itself can copy to; -1 if it cannot."""
    with suppress(OSError, AttributeError):
        descriptor = target.fileno()
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return descriptor
    return -1


def _sent(target: int, source: int, size: int) -> int:
    """How much the kernel copied; nothing from where it cannot."""
    try:
        return os.sendfile(target, source, None, size)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS):
            return 0
        raise


def _attribute(descriptor: int, name: str) -> bytes:
    try:
        return os.getxattr(f"/proc/self/fd/{descriptor}", name)
    except OSError:
        return b""
