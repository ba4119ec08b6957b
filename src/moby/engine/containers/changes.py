"""This file is about `docker diff`: what a container has changed in its image's files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from moby.core.errors import Conflict
from moby.core.types.containers import FilesystemChange
from moby.engine.containers.record import Record
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.tree import Trees, upper_directory
from moby.host.threads import blocking

MODIFIED, ADDED, DELETED = 0, 1, 2
_OPAQUE = "trusted.overlay.opaque"
# What a container gets from us at every start, and whose mount points are made for that.
_OURS = frozenset({
    "dev", "dev/console", "dev/mqueue", "dev/pts", "dev/shm", "etc/hostname", "etc/hosts", "etc/mtab",
    "etc/resolv.conf", "proc", "sys", ".dockerenv", "sbin/docker-init",
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
        upper, lower = upper_directory(await self._trees.mounts(container))
        return await blocking(compare, upper, lower, not_its_own(container.record))


def not_its_own(record: Record) -> Callable[[str], bool]:
    """Tells of paths that are there because something is mounted on them."""
    points = {mount.point.destination.strip("/") for mount in record.mounts} | _OURS
    points |= {path.strip("/") for path in record.host_config.tmpfs}
    return points.__contains__


def compare(upper: Path, lower: Sequence[Path], skip: Callable[[str], bool]) -> list[FilesystemChange]:
    """What an overlay's upper directory changes in those below it."""
    return [FilesystemChange(kind, f"/{path}") for path, kind in _walk(upper, lower, "", skip)]


def _walk(
    upper: Path, lower: Sequence[Path], path: str, skip: Callable[[str], bool]
) -> Iterator[tuple[str, int]]:
    for entry in sorted(os.scandir(upper / path), key=lambda entry: entry.name):
        below = f"{path}/{entry.name}" if path else entry.name
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            yield below, DELETED
            continue
        known = _exists(lower, below)
        inside = list(_walk(upper, lower, below, skip)) if entry.is_dir(follow_symlinks=False) else []
        if skip(below) or (not inside and _only_for_mounts(entry, below, skip)):
            yield from inside
            continue
        yield below, MODIFIED if known else ADDED
        yield from inside


def _only_for_mounts(entry: os.DirEntry[str], path: str, skip: Callable[[str], bool]) -> bool:
    """Is a directory changed by nothing but mount points that were made in it?"""
    if not entry.is_dir(follow_symlinks=False):
        return False
    names = os.listdir(entry.path)
    return bool(names) and all(skip(f"{path}/{name}") for name in names)


def _exists(lower: Sequence[Path], path: str) -> bool:
    """Is it in the image? The topmost directory that knows of it says so."""
    for directory in lower:
        try:
            found = os.lstat(directory / path)
        except FileNotFoundError:
            if _hidden_above(directory, path):
                return False
            continue
        except NotADirectoryError:
            return False
        return not (stat.S_ISCHR(found.st_mode) and found.st_rdev == 0)
    return False


def _hidden_above(directory: Path, path: str) -> bool:
    """Does a directory above it hide what is further down: opaque, or a whiteout?"""
    above = path
    while "/" in above:
        above = above.rpartition("/")[0]
        try:
            found = os.lstat(directory / above)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            return True
        try:
            return os.getxattr(directory / above, _OPAQUE, follow_symlinks=False) == b"y"
        except OSError:
            return False
    return False
