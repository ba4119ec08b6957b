"""This file is about a container's file tree, seen from outside, whether it runs or not."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from moby.core.errors import MobyError
from moby.core.snapshots import Mount, Snapshotter
from moby.engine.containers.container import Container
from moby.engine.containers.record import Record
from moby.host.files import translation
from moby.host.mounts import mount, mounted, open_beneath
from moby.host.threads import finishing
from moby.volumes.service import Volumes

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Trees:
    """Opens the trees of containers."""

    def __init__(self, snapshotter: Snapshotter, volumes: Volumes) -> None:
        self._snapshotter = snapshotter
        self._volumes = volumes

    @asynccontextmanager
    async def open(self, container: Container, *, mounts: bool = True) -> AsyncIterator[int]:
        """The tree's root as a descriptor, closed at the end; paths below it are for `open_beneath` alone.

        What runs is seen as it sees itself. What does not is mounted, and cannot be started meanwhile; with
        `mounts`, its volumes too.
        """
        async with AsyncExitStack() as stack:
            root = self._running(container)
            if root < 0:
                await stack.enter_async_context(container.lock)
                # It may have been started while we waited.
                root = self._running(container)
            if root < 0:
                place = await stack.enter_async_context(mounted(await self.mounts(container)))
                root = os.open(place, _DIRECTORY)
                stack.callback(os.close, root)
                if mounts:
                    await self._mount_all(container.record, root, place, stack)
            else:
                stack.callback(os.close, root)
            yield root

    async def mounts(self, container: Container) -> Sequence[Mount]:
        """How its own file system is mounted."""
        return await self._snapshotter.mounts(container.id)

    def _running(self, container: Container) -> int:
        """The root of a running container as its first process has it; -1 if there is none."""
        state = container.record.state
        if not state.running or state.restarting:
            return -1
        try:
            root = os.open(f"/proc/{state.pid}/root", _DIRECTORY)
        except OSError:
            return -1
        return root

    async def _mount_all(self, record: Record, root: int, place: Path, stack: AsyncExitStack) -> None:
        """Mounted below `place`, they go when it is taken away."""
        for one in sorted(record.mounts, key=lambda one: one.point.destination.count("/")):
            source = one.point.source
            if one.point.type == "volume":
                source = str(await self._volumes.mount(one.volume, f"{record.id}-tree"))
                stack.push_async_callback(self._volumes.unmount, one.volume, f"{record.id}-tree")
                if one.subpath:
                    source = f"{source}/{one.subpath}"
            elif one.point.type != "bind" or not Path(source).exists():
                continue
            with translation(f"cannot mount {one.point.destination}"):
                await finishing(_mount_inside, root, one.point.destination, source)


def _mount_inside(root: int, path: str, source: str) -> None:
    directory = Path(source).is_dir()
    try:
        target = open_beneath(root, path, os.O_PATH)
    except FileNotFoundError:
        target = _make_point(root, path, directory=directory)
    try:
        if stat.S_ISDIR(os.fstat(target).st_mode) == directory:
            # By its descriptor, so that nobody can lead it elsewhere.
            mount(Mount("bind", source, ("bind",)), Path(f"/proc/self/fd/{target}"))
    finally:
        os.close(target)


def _make_point(root: int, path: str, *, directory: bool) -> int:
    """The mount point that the container would get when it is started."""
    made = ""
    steps = path.strip("/").split("/")
    for number, step in enumerate(steps, 1):
        above = open_beneath(root, made or "/", os.O_PATH | os.O_DIRECTORY)
        try:
            if number < len(steps) or directory:
                os.mkdir(step, 0o755, dir_fd=above)
            else:
                os.close(os.open(step, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=above))
        except FileExistsError:
            pass
        finally:
            os.close(above)
        made = f"{made}/{step}"
    return open_beneath(root, path, os.O_PATH)


def upper_directory(mounts: Sequence[Mount]) -> tuple[Path, list[Path]]:
    """The overlay's writable directory, and those below it, the topmost first. Raises MobyError."""
    for one in mounts:
        options = dict(option.partition("=")[::2] for option in one.options)
        if one.type == "overlay" and "upperdir" in options:
            return Path(options["upperdir"]), [Path(path) for path in options["lowerdir"].split(":")]
    raise MobyError("the container's file system is no overlay")
