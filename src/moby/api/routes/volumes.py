"""This file is about volumes over HTTP."""

from __future__ import annotations

from typing import Protocol

from moby.core.filters import Filters
from moby.core.types.volumes import Volume, VolumeCreateRequest, VolumeListResponse, VolumePruneResponse


class Volumes(Protocol):
    """What this module asks of an engine."""

    async def create(self, request: VolumeCreateRequest) -> Volume:
        """A volume; the one that is there if driver and options are the same. Raises Conflict."""
        ...

    async def inspect(self, name: str) -> Volume:
        """Raises NotFound (`get NAME: no such volume`)."""
        ...

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Raises Conflict while it is in use, and NotFound unless forced."""
        ...

    async def prune(self, filters: Filters) -> VolumePruneResponse:
        """Remove volumes that nothing uses: the ones without a name, or all with the filter `all=true`."""
        ...

    async def list(self, filters: Filters) -> VolumeListResponse:
        """Every volume that the filters let through."""
        ...
