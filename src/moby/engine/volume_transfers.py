"""This file is about copies, new names and archives of volumes, as the API asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from moby.core.types.volumes import Volume, VolumeCopyRequest
from moby.engine.containers.index import Index
from moby.engine.volumes import shown
from moby.images.compression import plain
from moby.volumes.service import Volumes
from moby.volumes.transfers import VolumeTransfers


class VolumeTransferService:
    """What Docker's own engine does not do with volumes."""

    def __init__(self, volumes: Volumes, index: Index) -> None:
        self._index = index
        self._transfers = VolumeTransfers(volumes, self._writers)

    def _writers(self, name: str, users: frozenset[str]) -> list[str]:
        """Whoever has it mounted may write, but for paused containers, and those that may only read."""
        found = []
        for user in sorted(users):
            container = self._index.get(user)
            if container is None:
                found.append("another operation")
                continue
            record = container.record
            writable = any(mount.volume == name and mount.point.rw for mount in record.mounts)
            if writable and not record.state.paused:
                found.append(record.name)
        return found

    async def clone(self, name: str, request: VolumeCopyRequest) -> Volume:
        """Raises NotFound, Conflict."""
        return shown(await self._transfers.clone(name, request.name, request.labels))

    async def rename(self, name: str, new: str) -> Volume:
        """Raises NotFound, Conflict, InvalidParameter."""
        return shown(await self._transfers.rename(name, new))

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """Raises NotFound, Conflict, before the first piece."""
        return await self._transfers.export(name)

    async def import_(self, name: str, archive: AsyncIterator[bytes]) -> Volume:
        """Raises Conflict, InvalidParameter."""
        return shown(await self._transfers.import_(name, plain(archive)))
