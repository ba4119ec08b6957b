"""This file is about commands in running containers over HTTP: create, start, resize and inspect an exec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from moby.api.request import Request
from moby.api.responses import empty_response, json_response
from moby.api.routing import Route
from moby.api.serving import StreamResponse
from moby.core.types.execs import (
    ExecCreateRequest,
    ExecCreateResponse,
    ExecInspectResponse,
    ExecStartRequest,
)
from moby.core.types.requests import Takeover


class Execs(Protocol):
    """What this module asks of an engine. Raises NotFound: `No such exec instance: NAME`."""

    async def create(self, name: str, request: ExecCreateRequest) -> str:
        """A new instance in the container; its ID. Raises InvalidParameter; Conflict if it does not run."""
        ...

    async def start(self, name: str, request: ExecStartRequest, takeover: Takeover) -> None:
        """Run it; not detached, `takeover` is called first, and this returns when the stream ended."""
        ...

    async def resize(self, name: str, *, height: int, width: int) -> None:
        """Set the terminal's size in characters."""
        ...

    async def inspect(self, name: str) -> ExecInspectResponse:
        """What is known of it."""
        ...


class ExecRoutes:
    """The handlers."""

    def __init__(self, backend: Execs) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """What is served here."""
        return [
            Route("ContainerExec", self._create),
            Route("ExecStart", self._start, finishes=True),
            Route("ExecResize", self._resize),
            Route("ExecInspect", self._inspect),
        ]

    async def _create(self, request: Request) -> StreamResponse:
        wanted = await request.body(ExecCreateRequest)
        if request.version < (1, 42):
            wanted = msgspec.structs.replace(wanted, console_size=None)
        return json_response(ExecCreateResponse(await self._backend.create(request.name, wanted)), 201)

    async def _start(self, request: Request) -> StreamResponse:
        wanted = await request.body(ExecStartRequest)
        if request.version < (1, 42):
            wanted = msgspec.structs.replace(wanted, console_size=None)
        assert request.takeover is not None
        await self._backend.start(request.name, wanted, request.takeover)
        return empty_response(200)

    async def _resize(self, request: Request) -> StreamResponse:
        height, width = request.size("h", "height"), request.size("w", "width")
        await self._backend.resize(request.name, height=height, width=width)
        return empty_response(200)

    async def _inspect(self, request: Request) -> StreamResponse:
        return json_response(await self._backend.inspect(request.name))
