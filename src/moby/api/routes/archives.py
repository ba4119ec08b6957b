"""This file is about files in containers over HTTP: archives out and in, exports, differences."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Protocol

from moby.api.request import Request
from moby.api.responses import TAR, begin, closing, empty_response, json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.codec import encode
from moby.core.errors import InvalidParameter, MobyError
from moby.core.types.archives import PathStat
from moby.core.types.containers import FilesystemChange

_UNWANTED, _UNWANTED_LIMIT_S = 1 << 20, 0.5


class Archives(Protocol):
    """What this module asks of an engine. Every method raises NotFound (`No such container: NAME`)."""

    async def stat(self, name: str, path: str) -> PathStat:
        """What is at a path."""
        ...

    async def get(self, name: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        """What is at a path, and a tar of it in chunks."""
        ...

    async def put(
        self,
        name: str,
        path: str,
        archive: AsyncIterator[bytes],
        *,
        overwrite_directories: bool,
        container_owner: bool,
    ) -> None:
        """Unpack a tar into the directory at `path`. Raises InvalidParameter."""
        ...

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """A tar of all of it, in chunks."""
        ...

    async def changes(self, name: str) -> Sequence[FilesystemChange]:
        """What differs from its image."""
        ...


class ArchiveRoutes:
    """The handlers."""

    def __init__(self, backend: Archives) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("ContainerArchiveInfo", self._stat),
            Route("ContainerArchive", self._get),
            Route("PutContainerArchive", self._put),
            Route("ContainerExport", self._export),
            Route("ContainerChanges", self._changes),
        ]

    async def _stat(self, request: Request) -> StreamResponse:
        response = empty_response(200)
        response.headers["X-Docker-Container-Path-Stat"] = _shown(
            await self._backend.stat(request.name, _path(request))
        )
        return response

    async def _get(self, request: Request) -> StreamResponse:
        found, chunks = await self._backend.get(request.name, _path(request))
        async with closing(chunks):
            request.common = {**request.common, "X-Docker-Container-Path-Stat": _shown(found)}
            return await _sent(request, chunks)

    async def _put(self, request: Request) -> StreamResponse:
        try:
            await self._backend.put(
                request.name,
                _path(request),
                request.stream(),
                overwrite_directories=not request.flag("noOverwriteDirNonDir"),
                container_owner=request.flag("copyUIDGID"),
            )
        except MobyError:
            await _read_away(request.stream())
            raise
        return empty_response(200)

    async def _export(self, request: Request) -> StreamResponse:
        chunks = await self._backend.export(request.name)
        async with closing(chunks):
            return await _sent(request, chunks)

    async def _changes(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.changes(request.name) or None)


async def _read_away(archive: AsyncIterator[bytes]) -> None:
    """A little of what nobody wants: clients complain of a connection that ends while they write."""
    left = _UNWANTED
    with suppress(TimeoutError):
        async with asyncio.timeout(_UNWANTED_LIMIT_S):
            async for chunk in archive:
                left -= len(chunk)
                if left < 0:
                    return


async def _sent(request: Request, chunks: AsyncIterator[bytes]) -> StreamResponse:
    response = await begin(request, TAR)
    async for chunk in chunks:
        await response.write(chunk)
    return response


def _path(request: Request) -> str:
    if not (path := request.text("path")):
        raise InvalidParameter("bad parameter: 'path' cannot be empty")
    return path


def _shown(found: PathStat) -> str:
    return base64.b64encode(encode(found)).decode()
