"""This file is about the container service: every verb by its name, for the API and for embedders.

Nothing is done here; each verb is in the file that has its name.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec

from moby.core.errors import NotModified
from moby.core.filters import Filters
from moby.core.types.containers import (
    ContainerCreateRequest,
    ContainerCreateResponse,
    ContainerInspectResponse,
    ContainerPruneResponse,
    ContainerSummary,
    ContainerTopResponse,
    ContainerUpdateRequest,
    ContainerUpdateResponse,
    RemovedContainer,
)
from moby.core.types.requests import AttachRequest, ListRequest, LogsRequest, Takeover
from moby.engine.containers.attach import Attacher
from moby.engine.containers.change import Changer
from moby.engine.containers.checkpoints import Checkpoints
from moby.engine.containers.container import Container
from moby.engine.containers.create import Creator
from moby.engine.containers.history import History
from moby.engine.containers.inspect import Inspector
from moby.engine.containers.listing import Lister
from moby.engine.containers.logs import LogService
from moby.engine.containers.remove import Remover
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.start import Starter
from moby.engine.containers.stop import Stopper
from moby.engine.containers.top import Top
from moby.engine.containers.update import Updater
from moby.engine.containers.waiting import Wait, wait


class Verbs(msgspec.Struct, frozen=True):
    """The verbs, each with what it needs."""

    creator: Creator
    starter: Starter
    checkpoints: Checkpoints
    stopper: Stopper
    remover: Remover
    changer: Changer
    inspector: Inspector
    lister: Lister
    history: History


class Containers:
    """The life of containers."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs

    async def create(
        self,
        name: str,
        request: ContainerCreateRequest,
        platform: str | None = None,
        *,
        shallow_read_only: bool = False,
    ) -> ContainerCreateResponse:
        """See `Creator.create`."""
        return await self._verbs.creator.create(name, request, platform, shallow_read_only=shallow_read_only)

    async def start(self, name: str, checkpoint: str = "", checkpoint_dir: str = "") -> None:
        """See `Starter.start`."""
        self._verbs.checkpoints.check_start(checkpoint, checkpoint_dir)

        def checkpoint_of(container: Container) -> str:
            return self._verbs.checkpoints.to_start_from(container, checkpoint, checkpoint_dir)

        await self._verbs.starter.start(name, checkpoint_of)

    async def stop(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        """See `Stopper.stop`."""
        await self._verbs.stopper.stop(name, signal_=signal_, timeout_s=timeout_s)

    async def restart(self, name: str, *, signal_: str = "", timeout_s: int | None = None) -> None:
        """Stop it if it runs, then start it."""
        container = await self._verbs.stopper.stop_for_restart(name, signal_=signal_, timeout_s=timeout_s)
        with contextlib.suppress(NotModified):
            await self._verbs.starter.start(container.id)
        self._verbs.starter.shelf.publish(container, "restart")

    async def kill(self, name: str, signal_: str = "") -> None:
        """See `Stopper.kill`."""
        await self._verbs.stopper.kill(name, signal_)

    async def pause(self, name: str) -> None:
        """See `Changer.pause`."""
        await self._verbs.changer.pause(name)

    async def unpause(self, name: str) -> None:
        """See `Changer.unpause`."""
        await self._verbs.changer.unpause(name)

    async def rename(self, name: str, new: str) -> None:
        """See `Changer.rename`."""
        await self._verbs.changer.rename(name, new)

    async def remove(
        self, name: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """See `Remover.remove`."""
        await self._verbs.remover.remove(name, force=force, volumes=volumes, link=link)

    async def inspect(self, name: str, *, size: bool = False) -> ContainerInspectResponse:
        """See `Inspector.inspect`."""
        return await self._verbs.inspector.inspect(name, size=size)

    async def prune(self, filters: Filters) -> ContainerPruneResponse:
        """See `Remover.prune`."""
        return await self._verbs.remover.prune(filters)

    async def removed(self, name: str) -> Sequence[RemovedContainer]:
        """See `History.removed`."""
        return await self._verbs.history.removed(name)

    async def list(self, request: ListRequest) -> Sequence[ContainerSummary | msgspec.Raw]:
        """See `Lister.list`."""
        return await self._verbs.lister.list(request)


class ContainerChanges:
    """Looking into containers, and changing their limits."""

    def __init__(self, top: Top, updater: Updater) -> None:
        self._top = top
        self._updater = updater

    async def top(self, name: str, ps_args: str) -> ContainerTopResponse:
        """See `Top.top`."""
        return await self._top.top(name, ps_args)

    async def update(self, name: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        """See `Updater.update`."""
        return await self._updater.update(name, request)


class ContainerStreams:
    """What flows to and from containers."""

    def __init__(self, shelf: Shelf, logs: LogService, attacher: Attacher, changer: Changer) -> None:
        self._shelf = shelf
        self._logs = logs
        self._attacher = attacher
        self._changer = changer

    async def wait(self, name: str, condition: str) -> Wait:
        """See `waiting.wait`."""
        return wait(self._shelf, name, condition)

    async def logs(self, name: str, request: LogsRequest) -> tuple[bool, AsyncIterator[bytes]]:
        """See `LogService.logs`."""
        return await self._logs.logs(name, request)

    async def empty_log(self, name: str) -> None:
        """See `LogService.empty`."""
        await self._logs.empty(name)

    async def attach(self, name: str, request: AttachRequest, takeover: Takeover) -> None:
        """See `Attacher.attach`."""
        await self._attacher.attach(name, request, takeover)

    async def resize(self, name: str, *, height: int, width: int) -> None:
        """See `Changer.resize`."""
        await self._changer.resize(name, height=height, width=width)
