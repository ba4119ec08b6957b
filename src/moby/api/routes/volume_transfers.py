"""This file is about copies, new names and archives of volumes over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import TAR, json_response, stream_bytes
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.types.volumes import Volume, VolumeCopyRequest


class VolumeTransfers(Protocol):
    """What this module asks of an engine. Every method raises NotFound (`get NAME: no such volume`)."""

    async def clone(self, name: str, request: VolumeCopyRequest) -> Volume:
        """A copy. Raises Conflict while somebody may write to it, or if the other is there."""
        ...

    async def rename(self, name: str, new: str) -> Volume:
        """The volume under its new name. Raises Conflict while a container refers to it."""
        ...

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """A tar of it. Raises Conflict while somebody may write to it."""
        ...

    async def import_(self, name: str, archive: AsyncIterator[bytes]) -> Volume:
        """A new volume made of a tar, compressed or not. Raises Conflict if it is there."""
        ...


class VolumeTransferRoutes:
    """The handlers."""

    def __init__(self, backend: VolumeTransfers) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("VolumeClone", self._clone, finishes=True),
            Route("VolumeRename", self._rename, finishes=True),
            Route("VolumeExport", self._export),
            Route("VolumeImport", self._import),
        ]

    async def _clone(self, request: Request) -> StreamResponse:
        wanted = await request.body(VolumeCopyRequest)
        return json_response(await self._backend.clone(request.name, wanted), 201)

    async def _rename(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.rename(request.name, request.text("name")))

    async def _export(self, request: Request) -> StreamResponse:
        return await stream_bytes(request, TAR, await self._backend.export(request.name))

    async def _import(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.import_(request.name, request.stream()), 201)
