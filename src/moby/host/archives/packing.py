"""This file is about packing a tree into a tar archive, by descriptors: no link leads it anywhere."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

_BUFFER = 1 << 18
_COPY = 1 << 20
_CAPABILITY = "security.capability"
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class PackOptions:
    """How a tree becomes an archive.

    `one_filesystem`: what is mounted in it is left out, but for its mount points. `layer`: the tree is an
    overlay's upper directory, whose whiteouts become those of OCI layers (image-spec, layer.md). `skip` tells
    by path, without a leading slash, what is left out with all below it.
    """

    one_filesystem: bool = False
    layer: bool = False
    skip: Callable[[str], bool] = field(default=lambda _: False)


class Packer:
    """Writes members into one archive. Raises OSError; what vanishes while it is read is left out."""

    def __init__(self, target: BinaryIO, options: PackOptions = PackOptions()) -> None:
        self._options = options
        self._target = io.BufferedWriter(cast("io.RawIOBase", target), _BUFFER)
        self._archive = tarfile.TarFile(
            fileobj=cast("Any", _Counted(cast("BinaryIO", self._target))),
            mode="w",
            format=tarfile.PAX_FORMAT,
            errors="surrogateescape",
            copybufsize=_COPY,
        )
        self._linked: dict[tuple[int, int], str] = {}
        self._device = 0

    def close(self) -> None:
        """Write the end."""
        self._archive.close()
        self._target.flush()

    def tree(self, directory: int, name: str, *, itself: bool = True) -> None:
        """A directory by its descriptor, and everything in it; `name` stands for it in the archive."""
        found = os.fstat(directory)
        self._device = found.st_dev
        if itself:
            self._add(_info(name, found), None)
        self._below(directory, f"{name}/" if name else "", "")

    def one(self, parent: int, entry: str, name: str) -> None:
        """One entry of a directory that is none itself."""
        self._entry(parent, entry, name, entry)

    def _below(self, directory: int, prefix: str, path: str) -> None:
        if self._options.layer and any(_attribute(directory, name) == b"y" for name in _OPAQUE):
            self._add(_empty(f"{prefix}{OPAQUE}"), None)
        for entry in sorted(os.listdir(directory)):
            below = f"{path}/{entry}" if path else entry
            if not self._options.skip(below):
                self._entry(directory, entry, f"{prefix}{entry}", below)

    def _entry(self, parent: int, entry: str, name: str, path: str) -> None:
        try:
            found = os.stat(entry, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        kind = stat.S_IFMT(found.st_mode)
        foreign = self._options.one_filesystem and found.st_dev != self._device
        if kind == stat.S_IFDIR:
            self._directory(parent, entry, name, path, foreign=foreign)
        elif kind == stat.S_IFREG:
            self._file(parent, entry, name, found, foreign=foreign)
        elif kind == stat.S_IFSOCK:
            return
        elif self._options.layer and kind == stat.S_IFCHR and found.st_rdev == 0:
            head, _, last = name.rpartition("/")
            self._add(_empty(f"{head}/{WHITEOUT}{last}" if head else f"{WHITEOUT}{last}"), None)
        else:
            info = _info(name, found)
            if kind == stat.S_IFLNK:
                info.linkname = os.readlink(entry, dir_fd=parent)
            self._add(info, None)

    def _directory(self, parent: int, entry: str, name: str, path: str, *, foreign: bool) -> None:
        try:
            directory = os.open(entry, _DIRECTORY, dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            info = _info(name, os.fstat(directory))
            self._add(info, None)
            if not foreign:
                self._below(directory, f"{name}/", path)
        finally:
            os.close(directory)

    def _file(self, parent: int, entry: str, name: str, found: os.stat_result, *, foreign: bool) -> None:
        known = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and known in self._linked:
            info = _info(name, found)
            info.type, info.linkname, info.size = tarfile.LNKTYPE, self._linked[known], 0
            self._add(info, None)
            return
        try:
            descriptor = os.open(entry, _FILE, dir_fd=parent)
        except OSError:
            # It has become something else since we looked.
            return
        with open(descriptor, "rb", buffering=0) as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return
            info = _info(name, found)
            if foreign:
                info.size = 0
            if capability := _attribute(descriptor, _CAPABILITY):
                value = capability.decode(errors="surrogateescape")
                info.pax_headers = {f"SCHILY.xattr.{_CAPABILITY}": value}
            if found.st_nlink > 1:
                self._linked[known] = name
            self._add(info, None if foreign else _Whole(file, info.size))

    def _add(self, info: tarfile.TarInfo, content: _Whole | None) -> None:
        self._archive.addfile(info, cast("BinaryIO | None", content))


class _Counted:
    """A file that cannot seek, but knows how much was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position


class _Whole:
    """As many bytes as the header says, whatever happens to the file meanwhile."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        found = b"".join(self._pieces(wanted))
        self._left -= wanted
        return found if len(found) == wanted else found + bytes(wanted - len(found))

    def _pieces(self, wanted: int) -> Iterator[bytes]:
        while wanted and (piece := self._file.read(wanted)):
            wanted -= len(piece)
            yield piece


def _info(name: str, found: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(found.st_mode)
    info.uid, info.gid, info.mtime = found.st_uid, found.st_gid, int(found.st_mtime)
    match stat.S_IFMT(found.st_mode):
        case stat.S_IFDIR:
            info.type = tarfile.DIRTYPE
        case stat.S_IFLNK:
            info.type = tarfile.SYMTYPE
        case stat.S_IFIFO:
            info.type = tarfile.FIFOTYPE
        case stat.S_IFCHR | stat.S_IFBLK as kind:
            info.type = tarfile.CHRTYPE if kind == stat.S_IFCHR else tarfile.BLKTYPE
            info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
        case _:
            info.size = found.st_size
    return info


def _empty(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = 0
    return info


def _attribute(descriptor: int, name: str) -> bytes:
    try:
        return os.getxattr(descriptor, name)
    except OSError:
        return b""
