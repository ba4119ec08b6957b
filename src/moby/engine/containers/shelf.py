"""This file is about the shelf that containers stand on: the index, their records on disk, their events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from moby.core.errors import Conflict, no_such
from moby.core.events import Bus
from moby.core.store import Store, Table
from moby.engine.containers.container import Container
from moby.engine.containers.index import Index
from moby.engine.containers.record import Record

log = logging.getLogger(__name__)


class Shelf:
    """Every container, where it is found, saved and spoken of; `watchers` hear of it at once."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self.index = Index()
        self._table = Table(store, "containers", Record)
        self.bus = bus
        self.watchers: list[Callable[[Container, str], None]] = []

    async def load(self) -> None:
        """Take every stored container back in. Raises DataLoss, naming the record."""
        records = (await self._table.load()).values()
        # What is being removed takes no name from what lives.
        for record in sorted(records, key=lambda record: record.removing):
            container = Container(record)
            container.removing = record.removing
            try:
                self.index.add(container)
            except Conflict as error:
                # No reason not to start: it is found by its ID, and can be renamed.
                log.warning(
                    "a container loses its name", extra={"container": record.id, "why": error.message}
                )
                record.name = record.id[:12]
                self.index.add(container)
                await self._table.save(record.id, record)

    async def save(self, container: Container) -> None:
        """Write the record; it is on disk when this returns. The caller holds the container's lock.

        Raises NotFound if it has been removed: written again it would come back at the next start, with a
        name that is somebody else's by then.
        """
        if container.removed:
            raise no_such("container", container.id)
        container.changed()
        await self._table.save(container.id, container.record)

    async def forget(self, container: Container) -> None:
        """Remove the record and then the container from the index."""
        await self._table.delete(container.id)
        self.index.remove(container)

    def find(self, text: str) -> Container:
        """By ID, name or unique beginning. Raises NotFound."""
        return self.index.find(text)

    def publish(self, container: Container, action: str, attributes: Mapping[str, str] | None = None) -> None:
        """Tell everyone what happened to a container, with the attributes that dockerd sends."""
        config = container.record.config
        told = {**(attributes or {}), **(config.labels or {})}
        if config.image:
            told["image"] = config.image
        told["name"] = container.record.name
        self.bus.publish("container", action, container.id, told)
        for watcher in self.watchers:
            watcher(container, action)

    def publish_mounted(self, container: Container) -> None:
        """Tell everyone which volumes a container has mounted."""
        for mount in container.record.mounts:
            if mount.point.type == "volume":
                told = {
                    "driver": mount.point.driver,
                    "container": container.id,
                    "destination": mount.point.destination,
                    "read/write": "true" if mount.point.rw else "false",
                    "propagation": mount.point.propagation,
                }
                self.bus.publish("volume", "mount", mount.volume, told)

    def publish_unmounted(self, container: Container) -> None:
        """Tell everyone that it has its volumes no more."""
        for mount in container.record.mounts:
            if mount.point.type == "volume":
                told = {"driver": mount.point.driver, "container": container.id}
                self.bus.publish("volume", "unmount", mount.volume, told)
