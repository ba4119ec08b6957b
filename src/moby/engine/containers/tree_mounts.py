"""This file is about mounting into a stopped container's tree what it has when it runs, but for memory."""

from __future__ import annotations

import os
import stat
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from moby.core.snapshots import Snapshotter
from moby.engine.containers.record import Mounted, Record
from moby.engine.containers.roots import Roots
from moby.host.files import translation
from moby.host.mounts import graft, mounted, open_beneath
from moby.host.threads import finishing
from moby.volumes.service import Volumes


class TreeMounts:
    """Mounts binds, volumes and images, read-only where the container may only read."""

    def __init__(self, snapshotter: Snapshotter, volumes: Volumes, roots: Roots) -> None:
        self._snapshotter = snapshotter
        self._roots = roots
        self._volumes = volumes

    async def enter(self, record: Record, root: int, stack: AsyncExitStack) -> None:
        """All of them, in the tree `root`; they go with that one's mount, and what they need with `stack`."""
        owner = self._roots.ids(record.host_config).root
        for one in sorted(record.mounts, key=lambda one: one.point.destination.count("/")):
            source = await self._source(record, one, stack)
            if source is None:
                continue
            with translation(f"cannot mount {one.point.destination}"):
                await finishing(_mount_inside, root, one, source, owner)

    async def _source(self, record: Record, one: Mounted, stack: AsyncExitStack) -> Path | None:
        match one.point.type:
            case "volume":
                user = f"{record.id}-tree"
                stack.push_async_callback(self._volumes.unmount, one.volume, user)
                return await self._volumes.mount(one.volume, user)
            case "image":
                return await stack.enter_async_context(mounted(await self._snapshotter.mounts(one.snapshot)))
            case "bind" if Path(one.point.source).exists():
                return Path(one.point.source)
            case _:
                return None


def _mount_inside(root: int, one: Mounted, path: Path, owner: tuple[int, int]) -> None:
    with ExitStack() as opened:
        source = os.open(path, os.O_PATH | os.O_CLOEXEC)
        opened.callback(os.close, source)
        if one.subpath:
            source = open_beneath(source, one.subpath, os.O_PATH)
            opened.callback(os.close, source)
        directory = stat.S_ISDIR(os.fstat(source).st_mode)
        try:
            target = open_beneath(root, one.point.destination, os.O_PATH)
        except FileNotFoundError:
            target = _make_point(root, one.point.destination, owner, directory=directory)
        opened.callback(os.close, target)
        if stat.S_ISDIR(os.fstat(target).st_mode) == directory:
            graft(
                source,
                target,
                recursive=not one.non_recursive,
                read_only=not one.point.rw,
                deep=not one.shallow_read_only,
            )


def _make_point(root: int, path: str, owner: tuple[int, int], *, directory: bool) -> int:
    """The mount point that the container would get when it is started, its root's."""
    made = ""
    steps = path.strip("/").split("/")
    for number, step in enumerate(steps, 1):
        above = open_beneath(root, made or "/", os.O_PATH | os.O_DIRECTORY)
        try:
            if number < len(steps) or directory:
                os.mkdir(step, 0o755, dir_fd=above)
            else:
                os.close(os.open(step, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=above))
            os.chown(step, *owner, dir_fd=above, follow_symlinks=False)
        except FileExistsError:
            pass
        finally:
            os.close(above)
        made = f"{made}/{step}"
    return open_beneath(root, path, os.O_PATH)
