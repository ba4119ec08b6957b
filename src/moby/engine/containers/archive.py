"""This file is about `docker cp` and `docker export`: archives out of a container's tree, and into it."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from moby.core.errors import Conflict, InvalidParameter, NotFound, System
from moby.core.types.archives import PathStat
from moby.core.types.containers import FilesystemChange
from moby.engine.containers.accounts import read_accounts
from moby.engine.containers.changes import Changes
from moby.engine.containers.container import Container
from moby.engine.containers.roots import Roots
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.tree import Trees
from moby.host.archives import Packer, PackOptions, UnpackOptions, fed, piped, unpack
from moby.host.mounts import open_beneath
from moby.host.threads import blocking
from moby.images.compression import plain
from moby.runtime.spec import resolve_user

_LINKS = 255
# Go's os.FileMode has its own bits beside the permissions (io/fs, FileMode).
_GO_KINDS = {
    stat.S_IFDIR: 1 << 31, stat.S_IFLNK: 1 << 27, stat.S_IFBLK: 1 << 26, stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24, stat.S_IFCHR: 1 << 26 | 1 << 21,
}  # fmt: skip
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class Archiver:
    """Copies between containers and archives, and compares; never by a path that could be led elsewhere."""

    def __init__(self, shelf: Shelf, trees: Trees, roots: Roots) -> None:
        self._shelf = shelf
        self._trees = trees
        self._roots = roots
        self._changes = Changes(shelf, trees)

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        """See `Changes.changes`."""
        return await self._changes.changes(name)

    async def stat(self, name: str, path: str) -> PathStat:
        """What is at a path. Raises NotFound."""
        container = self._find(name)
        async with self._trees.open(container) as root:
            return await self._stat(root, path, name)

    async def _stat(self, root: int, path: str, name: str) -> PathStat:
        try:
            return await blocking(_describe, root, _absolute(path))
        except FileNotFoundError as error:
            raise _not_there(path, name) from error
        except NotADirectoryError as error:
            raise System(f"lstat {path}: not a directory") from error
        except OSError as error:
            raise System(str(error)) from error

    async def get(self, name: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        """What is at a path, and a tar of it. Raises NotFound."""
        container = self._find(name)
        absolute = _absolute(path)
        chunks = self._get(container, absolute, name)
        found = await anext(chunks)
        assert isinstance(found, PathStat)
        return found, _bytes_of(chunks)

    async def _get(
        self, container: Container, absolute: str, name: str
    ) -> AsyncGenerator[PathStat | bytes, None]:
        """The description first, then the archive: the tree stays open from one to the other."""
        async with self._trees.open(container) as root:
            yield await self._stat(root, absolute, name)
            self._shelf.publish(container, "archive-path")
            options = self._packing(container)
            async with aclosing(piped(lambda file: _pack(file, root, absolute, options))) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def put(
        self,
        name: str,
        path: str,
        archive: AsyncIterator[bytes],
        *,
        overwrite_directories: bool,
        container_owner: bool,
    ) -> None:
        """Unpack a tar, compressed or not, into a directory. Raises NotFound, InvalidParameter."""
        container = self._find(name)
        async with self._trees.open(container) as root:
            try:
                where = await blocking(_extraction_point, root, path)
                _check_writable(container, where)
                owner = await blocking(_owner, root, container) if container_owner else None
                ids = self._roots.ids(container.record.host_config)
                options = UnpackOptions(overwrite_directories, owner, ids)
                await fed(lambda file: unpack(file, root, where, options), plain(archive))
            except FileNotFoundError as error:
                raise _not_there(path, name) from error
            except OSError as error:
                raise System(f"{error.strerror}: {error.filename or path}") from error
        self._shelf.publish(container, "extract-to-dir")

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """A tar of the container's own file system, without what is mounted in it."""
        container = self._find(name)
        if container.record.state.dead:
            raise Conflict(f"You cannot export container {container.id} which is Dead")
        return self._export(container)

    async def _export(self, container: Container) -> AsyncGenerator[bytes, None]:
        options = self._packing(container, one_filesystem=True)
        async with (
            self._trees.open(container, mounts=False) as root,
            aclosing(piped(lambda file: _pack_all(file, root, options))) as chunks,
        ):
            async for chunk in chunks:
                yield chunk
        self._shelf.publish(container, "export")

    def _packing(self, container: Container, *, one_filesystem: bool = False) -> PackOptions:
        ids = self._roots.ids(container.record.host_config)
        return PackOptions(one_filesystem=one_filesystem, owner=ids.to_container if ids else None)

    def _find(self, name: str) -> Container:
        container = self._shelf.find(name)
        if container.removing:
            raise Conflict(f"container is marked for removal: {container.id}")
        return container


async def _bytes_of(chunks: AsyncGenerator[PathStat | bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            assert isinstance(chunk, bytes)
            yield chunk


def _not_there(path: str, name: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {name}")


def _absolute(path: str) -> str:
    """As Go cleans it, but a `/` or `/.` at the end keeps its meaning: what a link there leads to."""
    if not path:
        raise InvalidParameter("bad parameter: 'path' cannot be empty")
    clean = posixpath.normpath("/" + path).replace("//", "/")
    if path.endswith("/.") or path == ".":
        return f"{clean.rstrip('/')}/."
    return clean if clean == "/" or not path.endswith("/") else f"{clean}/"


def _open(root: int, absolute: str) -> int:
    """The thing itself, or where it leads if the path ends with a separator."""
    follow = absolute.endswith(("/", "/."))
    return open_beneath(root, absolute, os.O_PATH | (os.O_DIRECTORY if follow else os.O_NOFOLLOW))


def _base(absolute: str) -> str:
    """Go's `filepath.Base`."""
    return absolute.rstrip("/").rpartition("/")[2] or "/"


def _describe(root: int, absolute: str) -> PathStat:
    descriptor = _open(root, absolute)
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    target = _target(root, absolute) if stat.S_ISLNK(found.st_mode) else ""
    moment = datetime.fromtimestamp(found.st_mtime_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{found.st_mtime_ns % 1_000_000_000:09d}".rstrip("0").rstrip(".")
    return PathStat(_base(absolute), found.st_size, _go_mode(found.st_mode), f"{moment}{fraction}Z", target)


def _go_mode(mode: int) -> int:
    bits = sum(value for bit, value in _GO_BITS.items() if mode & bit)
    return (mode & 0o777) | _GO_KINDS.get(stat.S_IFMT(mode), 0) | bits


def _target(root: int, path: str) -> str:
    """Where a link leads in the end, as far as it does; only told, never followed."""
    done, left = "/", path.strip("/").split("/")
    for _ in range(_LINKS):
        while left:
            step = left.pop(0)
            here = posixpath.normpath(posixpath.join(done, step))
            try:
                descriptor = open_beneath(root, here, os.O_PATH | os.O_NOFOLLOW)
            except OSError:
                return posixpath.normpath(posixpath.join(here, *left))
            try:
                link = os.readlink("", dir_fd=descriptor) if _is_link(descriptor) else None
            finally:
                os.close(descriptor)
            if link is not None:
                left = [*link.strip("/").split("/"), *left]
                done = "/" if link.startswith("/") else done
                break
            done = here
        else:
            return done
    return done


def _is_link(descriptor: int) -> bool:
    return stat.S_ISLNK(os.fstat(descriptor).st_mode)


def _pack(target: BinaryIO, root: int, absolute: str, options: PackOptions) -> None:
    packer = Packer(target, options)
    descriptor = _open(root, absolute)
    try:
        base = _base(absolute)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)
            try:
                packer.tree(directory, base)
            finally:
                os.close(directory)
        else:
            parent = open_beneath(root, posixpath.dirname(absolute), os.O_PATH | os.O_DIRECTORY)
            try:
                packer.one(parent, base, base)
            finally:
                os.close(parent)
    finally:
        os.close(descriptor)
    packer.close()


def _pack_all(target: BinaryIO, root: int, options: PackOptions) -> None:
    packer = Packer(target, options)
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        packer.tree(directory, "", itself=False)
    finally:
        os.close(directory)
    packer.close()


def _extraction_point(root: int, path: str) -> str:
    """The directory that a path leads to, links followed, as a path below the root."""
    where = _target(root, _absolute(path))
    descriptor = open_beneath(root, where, os.O_PATH)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise InvalidParameter("extraction point is not a directory")
    finally:
        os.close(descriptor)
    return where


def _check_writable(container: Container, where: str) -> None:
    record = container.record
    for mount in sorted(record.mounts, key=lambda mount: -len(mount.point.destination)):
        if f"{where}/".startswith(f"{mount.point.destination.rstrip('/')}/"):
            if not mount.point.rw:
                raise InvalidParameter("mounted volume is marked read-only")
            return
    if record.host_config.readonly_rootfs:
        raise InvalidParameter("container rootfs is marked read-only")


def _owner(root: int, container: Container) -> tuple[int, int] | None:
    """Whom the container runs as, if it says so."""
    if not (text := container.record.config.user):
        return None
    passwd, group = read_accounts(Path(f"/proc/self/fd/{root}"))
    user = resolve_user(text, passwd, group)
    return user.uid, user.gid
