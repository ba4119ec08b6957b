"""This file is about volumes over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import empty_response, json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core import errors
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


class VolumeRoutes:
    """The handlers."""

    def __init__(self, backend: Volumes) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("VolumeList", self._list),
            Route("VolumeCreate", self._create, finishes=True, partial="no cluster volumes"),
            Route("VolumeInspect", self._inspect),
            Route("VolumeDelete", self._remove, finishes=True),
            Route("VolumePrune", self._prune, finishes=True),
        ]

    async def _list(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.list(request.filters()))

    async def _create(self, request: Request) -> StreamResponse:
        wanted = await request.body(VolumeCreateRequest)
        if wanted.cluster_volume_spec is not None and request.version >= (1, 42):
            raise errors.NotImplemented("ClusterVolumeSpec is not supported yet")
        return json_response(await self._backend.create(wanted), 201)

    async def _inspect(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.inspect(request.name))

    async def _remove(self, request: Request) -> StreamResponse:
        await self._backend.remove(request.name, force=request.flag("force"))
        return empty_response()

    async def _prune(self, request: Request) -> StreamResponse:
        filters = request.filters()
        if request.version < (1, 42):
            # Older clients mean every volume, with a name or without.
            filters = Filters({**{key: filters.values(key) for key in filters}, "all": ["true"]})
        return json_response(await self._backend.prune(filters))
