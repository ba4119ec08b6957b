"""This file is about `docker diff`: what a container has changed in its image's files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress

import msgspec

from moby.core.errors import Conflict
from moby.core.types.containers import FilesystemChange
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.tree import Trees
from moby.host.files import translation
from moby.host.mounts import open_without_links
from moby.host.threads import blocking

MODIFIED, ADDED, DELETED = 0, 1, 2
# What dockerd puts into a layer of its own, below the container's, for what is mounted there at every start.
_OURS = frozenset({
    "dev", "dev/console", "dev/mqueue", "dev/pts", "dev/shm", "etc/hostname", "etc/hosts", "etc/mtab",
    "etc/resolv.conf", "proc", "sys", ".dockerenv",
})  # fmt: skip


class Changes:
    """Compares containers with their images."""

    def __init__(self, shelf: Shelf, trees: Trees) -> None:
        self._shelf = shelf
        self._trees = trees

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        """In the order of their paths. Raises NotFound, Conflict."""
        container = self._shelf.find(name)
        if container.removing or container.record.state.dead:
            raise Conflict(f"container is marked for removal: {container.id}")
        async with self._trees.upper(container) as upper, self._trees.image(container) as image:
            with translation("cannot compare the container with its image"):
                return await blocking(compare, upper, image, not_its_own)


def not_its_own(path: str) -> bool:
    """Is it there for what every container gets? Mount points of its own count, as anything else."""
    return path in _OURS


class _Directory(msgspec.Struct):
    descriptor: int
    path: str
    names: list[str]
    left: Iterator[str]
    changed: bool = False


def compare(upper: int, image: int, skip: Callable[[str], bool]) -> list[FilesystemChange]:
    """What an overlay's upper directory changes in the image's tree; both are descriptors.

    Both trees are somebody else's, who may change the upper one meanwhile: no link is followed.
    """
    found: dict[str, int] = {}
    with ExitStack() as stack:
        opened = [_open(upper, ".", "")]
        stack.callback(_close, opened)
        while opened:
            directory = opened[-1]
            if (name := next(directory.left, None)) is None:
                os.close(opened.pop().descriptor)
                if opened:
                    _leave(directory, opened[-1], image, skip, found)
                continue
            path = f"{directory.path}/{name}".lstrip("/")
            with suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    opened.append(_open(directory.descriptor, name, path))
                elif stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                    found[path], directory.changed = DELETED, True
                elif not skip(path):
                    found[path], directory.changed = _kind(image, path), True
    return [FilesystemChange(kind, f"/{path}") for path, kind in sorted(found.items())]


def _open(parent: int, name: str, path: str) -> _Directory:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    names = os.listdir(descriptor)
    return _Directory(descriptor, path, names, iter(names))


def _close(opened: list[_Directory]) -> None:
    while opened:
        os.close(opened.pop().descriptor)


def _leave(
    directory: _Directory, above: _Directory, image: int, skip: Callable[[str], bool], found: dict[str, int]
) -> None:
    """A directory counts unless it changed only because mount points were made in it."""
    path = directory.path
    for_mounts = bool(directory.names) and all(skip(f"{path}/{name}") for name in directory.names)
    if not skip(path) and (directory.changed or not for_mounts):
        found[path], above.changed = _kind(image, path), True
    above.changed |= directory.changed


def _kind(image: int, path: str) -> int:
    try:
        os.close(open_without_links(image, path, os.O_PATH | os.O_NOFOLLOW))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return ADDED
        raise
    return MODIFIED
