"""This file is about a container's file tree, seen from outside, whether it runs or not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from moby.core.errors import NotFound
from moby.core.images import ImageStore
from moby.core.snapshots import Mount
from moby.engine.containers.container import Container
from moby.engine.containers.copied_changes import copied_changes
from moby.engine.containers.roots import Roots
from moby.engine.containers.tree_mounts import TreeMounts
from moby.host.mounts import mounted
from moby.volumes.service import Volumes

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Trees:
    """Opens the trees of containers."""

    def __init__(self, store: ImageStore, volumes: Volumes, roots: Roots, directory: Path) -> None:
        self._store = store
        self._snapshotter = store.snapshotter
        self._mounts = TreeMounts(store.snapshotter, volumes, roots)
        self._directory = directory

    @asynccontextmanager
    async def open(self, container: Container, *, mounts: bool = True) -> AsyncIterator[int]:
        """The tree's root as a descriptor, closed at the end; paths below it are for `open_beneath` alone.

        What runs is seen as it sees itself. What does not is mounted, and cannot be started meanwhile; with
        `mounts`, its volumes too.
        """
        async with AsyncExitStack() as stack:
            root = _running(container)
            if root < 0:
                await stack.enter_async_context(container.lock)
                # It may have been started while we waited.
                root = _running(container)
            if root < 0:
                place = await stack.enter_async_context(mounted(await self._snapshotter.mounts(container.id)))
                root = os.open(place, _DIRECTORY)
                stack.callback(os.close, root)
                if mounts:
                    await self._mounts.enter(container.record, root, stack)
            else:
                stack.callback(os.close, root)
            yield root

    @asynccontextmanager
    async def image(self, container: Container) -> AsyncIterator[int]:
        """The tree that the container began with, as a descriptor, closed at the end."""
        async with AsyncExitStack() as stack:
            parent = (await self._snapshotter.info(container.id)).parent
            key = f"{container.id}-view-{os.urandom(6).hex()}"
            # Asked for before it is there, so that nothing stays of one that was made but not answered.
            stack.push_async_callback(self._forget, key)
            place = await stack.enter_async_context(mounted(await self._snapshotter.view(key, parent)))
            root = os.open(place, _DIRECTORY)
            stack.callback(os.close, root)
            yield root

    async def _forget(self, view: str) -> None:
        with suppress(NotFound):
            await self._snapshotter.remove(view)

    @asynccontextmanager
    async def upper(self, container: Container) -> AsyncIterator[int]:
        """The directory of what it changed, as an overlay has it; a descriptor, closed at the end.

        Raises MobyError.
        """
        path = _upper_directory(await self._snapshotter.mounts(container.id))
        async with AsyncExitStack() as stack:
            if not path:
                own = self._directory / container.id
                path = str(await stack.enter_async_context(copied_changes(self._store, container.id, own)))
            root = os.open(path, _DIRECTORY)
            stack.callback(os.close, root)
            yield root


def _upper_directory(mounts: Sequence[Mount]) -> str:
    """Where an overlay keeps what was changed; empty if it is none."""
    for one in mounts:
        options = dict(option.partition("=")[::2] for option in one.options)
        if one.type == "overlay" and "upperdir" in options:
            return options["upperdir"]
    return ""


def _running(container: Container) -> int:
    """The root of a running container as its first process has it; -1 if there is none.

    The process may have ended and its number been given to another, of the host or of another container. And
    what runs in a machine of its own has a process here that sees the host's files.
    """
    state = container.record.state
    if not state.running or state.restarting:
        return -1
    try:
        process = os.open(f"/proc/{state.pid}", _DIRECTORY)
    except OSError:
        return -1
    try:
        # From here on everything is about one process: its directory does not become another's.
        if container.id not in _groups(process):
            return -1
        root = os.open("root", _DIRECTORY, dir_fd=process)
    except OSError:
        return -1
    finally:
        os.close(process)
    if os.path.samestat(os.fstat(root), os.stat("/")):
        os.close(root)
        return -1
    return root


def _groups(process: int) -> str:
    descriptor = os.open("cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        return file.read()
