"""This file is about unpacking a tar archive into a tree, by descriptors: nothing outside is ever touched.

Archive and tree are both somebody else's, and the tree may be changed meanwhile. Every directory is opened as
if the tree's root were `/` (openat2(2)), and the last name of a member is never followed.
"""

from __future__ import annotations

import math
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.idmaps import NO_MAP, IdMap
from moby.host.archives.reading import read_members
from moby.host.archives.removal import remove_tree
from moby.host.mounts import open_beneath

_COPY = 1 << 20
_LAST = (1 << 63) - 1
_PATH = os.O_PATH | os.O_DIRECTORY
_XATTR = "SCHILY.xattr."


class UnpackOptions(msgspec.Struct, frozen=True):
    """How members become files; `owner` is given them instead of whom the archive names.

    `ids` says who the archive's users are here; what has to be made around the members is its root's.
    """

    overwrite_directories: bool = True
    owner: tuple[int, int] | None = None
    ids: IdMap = NO_MAP


def unpack(source: BinaryIO, root: int, path: str, options: UnpackOptions) -> None:
    """Unpack below the directory `path` of the tree `root`.

    Raises InvalidParameter for an archive that is none, or that leads out; OSError for what cannot be done.
    """
    unpacker = _Unpacker(root, path, options)
    read_members(source, unpacker.member)
    unpacker.finish()


class _Unpacker:
    def __init__(self, root: int, path: str, options: UnpackOptions) -> None:
        self._root = root
        self._path = path.strip("/")
        self._options = options
        self._directories: dict[str, int] = {}

    def member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """One member, in the place of whatever was there."""
        name = self._inside(member.name)
        if not name:
            return
        head, _, last = name.rpartition("/")
        parent = self._parent(head)
        try:
            exists = self._make_room(parent, last, member)
            if member.isdir():
                if not exists:
                    os.mkdir(last, 0o700, dir_fd=parent)
                self._directories[name] = _moment(member)
                self._describe(parent, last, member, times=False)
                return
            self._make(parent, last, archive, member)
            if not member.islnk():
                self._describe(parent, last, member)
        finally:
            os.close(parent)

    def finish(self) -> None:
        """Directories get their times last: what is put into one changes them."""
        for name, moment in self._directories.items():
            head, _, last = name.rpartition("/")
            parent = self._parent(head)
            try:
                _set_times(parent, last, moment)
            except FileNotFoundError:
                continue
            finally:
                os.close(parent)

    def _inside(self, name: str) -> str:
        clean = posixpath.normpath(name.lstrip("/") or ".")
        if clean == ".." or clean.startswith("../"):
            raise InvalidParameter(f'"{name}" is outside of "/{self._path}"')
        return "" if clean == "." else clean

    def _parent(self, head: str) -> int:
        """The directory that a member goes into, made with those above it if need be."""
        where = f"/{self._path}/{head}"
        try:
            return open_beneath(self._root, where, _PATH)
        except FileNotFoundError:
            pass
        made = f"/{self._path}"
        for step in head.split("/"):
            directory = open_beneath(self._root, made, _PATH)
            try:
                os.mkdir(step, 0o755, dir_fd=directory)
                os.chown(step, *self._options.ids.root, dir_fd=directory, follow_symlinks=False)
            except FileExistsError:
                pass
            finally:
                os.close(directory)
            made = f"{made}/{step}"
        return open_beneath(self._root, where, _PATH)

    def _make_room(self, parent: int, last: str, member: tarfile.TarInfo) -> bool:
        """Take away what is in the way; is there a directory that stays?"""
        try:
            found = os.stat(last, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        is_directory = stat.S_ISDIR(found.st_mode)
        if is_directory and member.isdir():
            return True
        if not self._options.overwrite_directories:
            if is_directory:
                raise InvalidParameter(f'cannot overwrite directory "{member.name}" with non-directory')
            if member.isdir():
                raise InvalidParameter(f'cannot overwrite non-directory "{member.name}" with directory')
        if is_directory:
            remove_tree(parent, last)
        else:
            os.unlink(last, dir_fd=parent)
        return False

    def _make(self, parent: int, last: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if member.isreg():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(last, flags, 0o600, dir_fd=parent), "wb", buffering=0) as target:
                _copy(archive, member, target.fileno())
        elif member.issym():
            os.symlink(member.linkname, last, dir_fd=parent)
        elif member.islnk():
            self._link(parent, last, member)
        elif member.isfifo():
            os.mkfifo(last, 0o600, dir_fd=parent)
        elif member.ischr() or member.isblk():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            os.mknod(last, kind | 0o600, os.makedev(member.devmajor, member.devminor), dir_fd=parent)
        else:
            raise InvalidParameter(f"unhandled tar header type {member.type!r}")

    def _link(self, parent: int, last: str, member: tarfile.TarInfo) -> None:
        head, _, target = self._inside(member.linkname).rpartition("/")
        if not target:
            raise InvalidParameter(f'invalid hardlink "{member.name}" -> "{member.linkname}"')
        directory = open_beneath(self._root, f"/{self._path}/{head}", _PATH)
        try:
            os.link(target, last, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(directory)

    def _describe(self, parent: int, last: str, member: tarfile.TarInfo, *, times: bool = True) -> None:
        """Owner, mode, attributes and times; the owner first, since a change of it clears set-uid bits."""
        uid, gid = self._options.owner or (member.uid, member.gid)
        os.chown(last, *self._options.ids.to_host(uid, gid), dir_fd=parent, follow_symlinks=False)
        if not member.issym():
            # A descriptor of the thing itself: nobody can put a link in its place now.
            found = os.open(last, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                if not stat.S_ISLNK(os.fstat(found).st_mode):
                    os.chmod(f"/proc/self/fd/{found}", stat.S_IMODE(member.mode))
                    for key, value in member.pax_headers.items():
                        if key.startswith(_XATTR):
                            _set_attribute(found, key.removeprefix(_XATTR), value)
            finally:
                os.close(found)
        if times:
            _set_times(parent, last, _moment(member))


def _set_attribute(descriptor: int, name: str, value: str) -> None:
    try:
        os.setxattr(f"/proc/self/fd/{descriptor}", name, value.encode(errors="surrogateescape"))
    except OSError as error:
        if error.errno not in (1, 95):  # EPERM, EOPNOTSUPP: not every file system takes every attribute
            raise


def _moment(member: tarfile.TarInfo) -> int:
    """Nanoseconds since 1970; what a file system cannot have is brought to where it can."""
    seconds = float(member.mtime)
    return 0 if math.isnan(seconds) else int(min(max(seconds * 1e9, 0), _LAST // 2))


def _set_times(parent: int, last: str, moment: int) -> None:
    os.utime(last, ns=(moment, moment), dir_fd=parent, follow_symlinks=False)


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, target: int) -> None:
    """The content of a member; holes stay holes, so that a small archive cannot fill a disk with zeros."""
    content = archive.extractfile(member)
    assert content is not None
    if member.sparse is not None:
        os.ftruncate(target, member.size)
    for offset, size in _pieces(member):
        if member.sparse is not None:
            content.seek(offset)
            os.lseek(target, offset, os.SEEK_SET)
        left = size
        while left and (data := content.read(min(_COPY, left))):
            view = memoryview(data)
            while view:
                view = view[os.write(target, view) :]
            left -= len(data)
        if left:
            raise EOFError(member.name)


def _pieces(member: tarfile.TarInfo) -> Iterator[tuple[int, int]]:
    """Where there is something other than holes."""
    if member.sparse is None:
        yield 0, member.size
        return
    for offset, size in cast("list[tuple[int, int]]", member.sparse):
        if size and offset + size <= member.size:
            yield offset, size
