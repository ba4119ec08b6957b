"""This file is about `docker rm`: until nothing of a container is left."""

from __future__ import annotations

import logging
from pathlib import Path

from moby.core.errors import Conflict, MobyError, NotFound, no_such
from moby.core.filters import Filters
from moby.core.snapshots import Snapshotter
from moby.core.types.containers import ContainerPruneResponse
from moby.engine.containers.container import Container
from moby.engine.containers.exits import Exits
from moby.engine.containers.history import History
from moby.engine.containers.matching import Matcher
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.stop import Stopper
from moby.engine.containers.volumes import MountPlanner
from moby.engine.prunes import Prunes
from moby.engine.together import together
from moby.host.files import remove_tree

log = logging.getLogger(__name__)


class Remover:
    """Removes containers. A removal that was begun is on disk as such, and finished after a crash."""

    def __init__(
        self,
        shelf: Shelf,
        stopper: Stopper,
        exits: Exits,
        mounts: MountPlanner,
        snapshotter: Snapshotter,
        directory: Path,
        history: History,
    ) -> None:
        self._shelf = shelf
        self._stopper = stopper
        self._exits = exits
        self._mounts = mounts
        self._snapshotter = snapshotter
        self._directory = directory
        self._history = history
        self._prunes = Prunes("container", shelf.bus)

    async def remove(
        self, name: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Remove a container. Raises Conflict while it runs, unless forced."""
        if link:
            await self._remove_link(name)
            return
        container = self._shelf.find(name)
        if container.removing:
            raise Conflict(f"removal of container {name} is already in progress")
        state = container.record.state
        if state.running and not force:
            if state.paused:
                raise Conflict(
                    f'cannot remove container "{name}": container is paused and must be unpaused first'
                )
            raise Conflict(
                f'cannot remove container "{name}": container is {state.status}: '
                "stop the container before removing or force remove"
            )
        container.removing = True
        try:
            if state.running:
                await self._stopper.kill_now(container)
            await self.finish(container, volumes=volumes)
        finally:
            container.removing = False

    async def _remove_link(self, name: str) -> None:
        """`OWNER/ALIAS` is a link from now on no more. Raises Conflict, NotFound."""
        owner, separator, alias = name.removeprefix("/").partition("/")
        if not separator:
            self._shelf.find(name)
            raise Conflict("Conflict, cannot remove the default link name of the container")
        container = self._shelf.find(owner)
        if alias not in container.record.links:
            raise no_such("container", name)
        async with container.lock:
            container.record.links.pop(alias, None)
            await self._shelf.save(container)

    async def auto_remove(self, container: Container) -> None:
        """What `--rm` asks for, after the container ended."""
        if not container.record.host_config.auto_remove or container.removing:
            return
        container.removing = True
        try:
            await self.finish(container, volumes=True)
        except MobyError as error:
            log.exception("cannot remove container", extra={"container": container.id})
            container.tell_not_removed(error)
        finally:
            container.removing = False

    async def finish(self, container: Container, *, volumes: bool) -> None:
        """Take the container apart, in an order that can be begun again at every step."""
        async with container.lock:
            record = container.record
            if container.removed:
                return
            if not record.removing:
                record.removing = True
                record.state.dead = True
                await self._shelf.save(container)
            await self._exits.free(container)
            await self._snapshotter.remove(container.id)
            await self._mounts.free(record, anonymous=volumes)
            await remove_tree(self._directory / container.id)
            await self._exits.removed(container)
            # The two share a commit.
            await together(self._history.keep(record), self._shelf.forget(container))
            # It may have been started again after it was killed: whoever waits for us finds that it is over.
            state = record.state
            state.running = state.paused = state.restarting = False
            container.tell_removed()
        self._shelf.publish(container, "destroy")

    async def prune(self, filters: Filters) -> ContainerPruneResponse:
        """Remove every container that does not run and that the filters allow."""
        with self._prunes.one():
            report = await self._prune(Matcher.for_prune(filters))
        self._prunes.told(report.space_reclaimed)
        return report

    async def _prune(self, matcher: Matcher) -> ContainerPruneResponse:
        deleted: list[str] = []
        freed = 0
        for container in self._shelf.index:
            if container.record.state.running or not matcher.matches(container):
                continue
            try:
                usage = await self._snapshotter.usage(container.id)
                await self.remove(container.id)
            except (Conflict, NotFound):
                continue
            freed += usage.size
            deleted.append(container.id)
        return ContainerPruneResponse(containers_deleted=deleted or None, space_reclaimed=freed)
